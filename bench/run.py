#!/usr/bin/env python3
"""Time programs under stock Erlang and ling, in turns, and compare.

usage: bench/run.py [--rounds N] [--repeat K] [--out FILE] [--only NAME,...]
                    [--image FILE] DIR

DIR holds the compiled modules of bench/erl. Every round starts each VM once and
runs every program K times in it; the fastest of a round is a row of FILE (CSV:
round, vm, program, microseconds). Printed: for each program the minimum and the
median over rounds, and the ratio of minima to `erl +S 1:1`. With an image of the
same modules (bench.mk) it runs on KVM in turn with ling, without erl, and the
ratio is to ling.
"""
import argparse
import csv
import math
import os
import statistics
import subprocess
import sys

TEN = "fib nrev tak trees funs tuples nbody bytes utf8 gcd".split()
# The same C library does the work in both.
LIBRARY = "regex regex_split compress".split()
VMS = [("erl +S 1:1", ["erl", "+S", "1:1"]), ("erl", ["erl"]), ("ling", ["bin/ling"])]

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--repeat", type=int, default=5)
parser.add_argument("--out", default="build/bench.csv")
parser.add_argument("--only", default="")
parser.add_argument("--image", default="")
parser.add_argument("dir")
args = parser.parse_args()
if args.image:
    VMS = [("ling", ["bin/ling"]), ("image", ["bin/kindling", "run", "--on", "kvm", args.image])]
BASE, OURS = VMS[0][0], VMS[-1][0]


def erlang(vm, expression, *more):
    if vm[0] == "bin/kindling":     # it has the expression built in
        command = vm + ["--", *expression[3:], *more]
    else:
        command = vm + ["-noshell", "-pa", args.dir, *expression, *more, "-s", "init", "stop"]
    r = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if r.returncode:
        sys.exit(f"bench: {' '.join(vm)} ended with status {r.returncode}")
    return r.stdout


names = args.only.split(",") if args.only else \
    erlang(VMS[0][1], ["-s", "bench", "names", "all"]).split()
times = {(vm, name): [] for vm, _ in VMS for name in names}
rows = []
for i in range(args.rounds):
    for vm, command in VMS:
        print(f"\rround {i + 1} of {args.rounds}: {vm}   ", end="", file=sys.stderr)
        out = erlang(command, ["-s", "bench", "main", str(args.repeat)], *names)
        for line in out.splitlines():
            name, us = line.split()
            times[vm, name].append(int(us))
            rows.append((i + 1, vm, name, us))
print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
with open(args.out, "w", newline="") as f:
    csv.writer(f).writerows([("round", "vm", "program", "microseconds")] + rows)


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else 0


print(f"{'ms, minimum / median':18}" + "".join(f"{vm:>22}" for vm, _ in VMS) + f"{'ratio':>8}")
ratios = {}
for name in names:
    cells = []
    for vm, _ in VMS:
        t = times[vm, name]
        cells.append(f"{min(t) / 1000:12.3f} {statistics.median(t) / 1000:9.3f}")
    ratios[name] = min(times[OURS, name]) / min(times[BASE, name])
    print(f"{name:18}" + "".join(cells) + f"{ratios[name]:8.2f}")
ten = [ratios[n] for n in TEN if n in ratios]
print(f"\ngeometric mean of {OURS} / {BASE}: the ten {geomean(ten):.2f}, "
      f"all {len(names)} programs {geomean(list(ratios.values())):.2f}")
for name in names:
    if ratios[name] > (1.05 if name in LIBRARY or args.image else 1.0):
        print(f"slower than {BASE}: {name} {ratios[name]:.2f}")
