#!/usr/bin/env python3
"""What loading kernel, stdlib and compiler costs, under stock Erlang and ling.

usage: bench/load.py DIR

DIR holds bench_load.beam, which says what is measured. Printed: each figure
beside stock's, and what was wanted of it.
"""
import subprocess
import sys


def measure(vm):
    out = subprocess.run(vm + ["-noshell", "-pa", sys.argv[1], "-run", "bench_load", "main"],
                         stdout=subprocess.PIPE, text=True, check=True).stdout
    return {name: int(value) for name, value in map(str.split, out.splitlines())}


stock, ling = measure(["erl", "+S", "1:1"]), measure(["bin/ling"])
ms = [m["prepare_ms"] + m["install_ms"] for m in (stock, ling)]
code = ling["hot"] + ling["cold"]
print(f"load {ling['modules']} modules: {ms[1]} ms of CPU (wanted: 60), stock {ms[0]} ms")
print(f"code: {code / ling['instructions']:.1f} bytes an instruction (30): hot "
      f"{ling['hot'] / ling['instructions']:.1f}, cold {ling['cold'] / ling['instructions']:.1f}")
print(f"code and tables of {ling['new_modules']} modules: "
      f"{ling['code_bytes'] / stock['code_bytes']:.2f} of stock's memory(code) (1.30)")
for part in "hot cold functions frames lines exports funs imports catches module".split():
    print(f"    {part:10} {ling[part] / 1e6:6.2f} MB")
print(f"a fresh process: {ling['process_bytes']} bytes (2700), stock {stock['process_bytes']}")
