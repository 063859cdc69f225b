#!/usr/bin/env python3
"""Lateness of a ticking process beside long work: stock erl, then ling.

late.py [--mb N] [--rounds N] [--ling PATH] [--no-stock] DIR [NAME...]
DIR holds late.beam; of rounds the least counts.

Each operation is run in a VM of its own, so that none suffers from what an
earlier one left behind. Columns, milliseconds: worst lateness; most processor
time between two ticks, which the load of the machine adds nothing to; duration.
"""
import argparse
import re
import subprocess
import sys

LIMIT_MS = 5


def names():
    text = open("bench/late/late.erl").read()
    return re.findall(r"^ {4}[ \[]\{(\w+), ", text, re.M)


def run(vm, beams, mb, name):
    args = [*vm, "-noshell", "-pa", beams, "-run", "late", "run", str(mb), name]
    done = subprocess.run(args, capture_output=True, text=True, timeout=600)
    for line in done.stdout.splitlines():
        words = line.split()
        if words[:1] == [name]:
            return [int(w) / 1000 for w in words[1:]]
    return None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--mb", type=int, default=256)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--ling", default="bin/ling")
    p.add_argument("--no-stock", action="store_true")
    p.add_argument("name", nargs="*")
    a = p.parse_args()
    vms = [("ling", [a.ling])]
    if not a.no_stock:
        vms.insert(0, ("stock", ["erl", "+S", "1:1"]))
    print(f"{a.mb} MB, milliseconds")
    print(f"{'':22}" + "".join(f"{v + ':    late  held   took':>28}" for v, _ in vms))
    beyond = []
    for name in a.name or names():
        cells = []
        for vm, command in vms:
            got = [run(command, a.dir, a.mb, name) for _ in range(a.rounds)]
            got = [g for g in got if g]
            if not got:
                cells.append("failed")
                continue
            late, held, took = (min(g[i] for g in got) for i in range(3))
            cells.append(f"{late:8.1f} {held:5.0f} {took:6.0f}")
            if vm == "ling" and min(late, held) > LIMIT_MS and not name.startswith("copy_"):
                beyond.append(name)
        print(f"{name:22}" + "".join(f"{c:>28}" for c in cells), flush=True)
    print(f"ling holds the scheduler above {LIMIT_MS} ms: {', '.join(beyond) or 'never'}")


if __name__ == "__main__":
    sys.exit(main())
