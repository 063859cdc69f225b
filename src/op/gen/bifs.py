#!/usr/bin/env python3
"""Write bifs.gen.c, the table of BIFs, from the definitions in the sources.

usage: bifs.py OUT SOURCE...

A definition starts in column 1 and fits one line (bif/bif.h):
BIF(mod, name, arity), BIF_AS(mod, cname, arity, "name"), GUARD, GUARD_AS, NIF.
"""
import os
import re
import sys

out, sources = sys.argv[1], sys.argv[2:]
pattern = re.compile(
    r'^(BIF|GUARD|NIF)(_AS)?\(\s*(\w+),\s*(\w+),\s*(\d+)(?:,\s*"([^"]+)")?\)',
    re.M)
kinds = {"BIF": "BIF_BODY", "GUARD": "BIF_GUARD", "NIF": "BIF_NIF"}
rows = {}
for source in sources:
    for kind, _, m, c, arity, name in pattern.findall(open(source).read()):
        key = (m, name or c, int(arity))
        if key in rows:
            sys.exit(f"bifs.py: {m}:{key[1]}/{arity} is defined twice: "
                     f"{rows[key][2]} and {source}")
        rows[key] = (kinds[kind], f"bif_{m}_{c}_{arity}", source)

lines = ['/* Made by bifs.py from the sources. */', '#include "bif/bif.h"', ""]
for key in sorted(rows):
    kind, fn, _ = rows[key]
    const = "const " if kind == "BIF_GUARD" else ""
    lines.append(f"term {fn}(struct proc *, {const}term *);")
lines += ["", "const struct bif_row bif_table[] = {"]
for (m, name, arity) in sorted(rows):
    kind, fn, _ = rows[(m, name, arity)]
    lines.append(f'    {{"{m}", "{name}", {arity}, {kind}, (bif_fn){fn}}},')
lines += ["};", "const size_t bif_count = sizeof bif_table / sizeof *bif_table;"]
text = "\n".join(lines) + "\n"
if not os.path.exists(out) or open(out).read() != text:
    with open(out, "w") as f:
        f.write(text)
