#!/usr/bin/env python3
"""Write atoms.gen.h and atoms.gen.inc: the atoms the sources name.

usage: atoms.py OUTDIR ATOM_DEF SOURCE...

Every word am_xyz in a source is the atom 'xyz'. ATOM_DEF gives the names that
are no C identifier, one a line: C name, blank, the atom. Indexes are the order
of the sorted C names; atoms true and false come first.
"""
import os
import re
import sys

outdir, def_file, sources = sys.argv[1], sys.argv[2], sys.argv[3:]
named = {}
for line in open(def_file):
    if line.strip() and not line.startswith("#"):
        c, _, name = line.rstrip("\n").partition(" ")
        named[c] = name
words = set(named)
pattern = re.compile(r"\bam_(\w+)\b")
for source in sources:
    words.update(pattern.findall(open(source, encoding="utf-8").read()))
words.discard("xyz")
first = ["false", "true"]
order = first + sorted(words - set(first))

header = ["/* Made by atoms.py from am_ words in the sources. */"]
table = []
for index, word in enumerate(order):
    name = named.get(word, word)
    header.append(f"#define am_{word} ATOM_MAKE({index})")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    table.append(f'{{"{quoted}", {len(name.encode())}}},')
header.append(f"#define ATOM_STATIC_COUNT {len(order)}")


def write(name, lines):
    """Only touch the file when it changes, so that little is rebuilt."""
    path = os.path.join(outdir, name)
    text = "\n".join(lines) + "\n"
    if not os.path.exists(path) or open(path).read() != text:
        with open(path, "w") as f:
            f.write(text)


write("atoms.gen.h", header)
write("atoms.gen.inc", table)
