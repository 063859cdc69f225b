#!/usr/bin/env python3
"""Write the instances of the instructions from their one definition.

usage: ops.py OUTDIR COMBOS TAB...

A definition in a .tab file:

    # comment
    name(role operand, ...) [flags]
    {
        C over the operands and the hooks of op/hooks.h
    }

Roles: src (read), dst (written), reg (both): a place; an instance exists for
each combination of kinds in COMBOS, and one with every place generic (G).
u: a constant word. label: an address. y: the byte offset of a y register.
fr: a float register. Flags: ret (pushes a return address: what follows the
instruction is aligned), vary (operands of its own follow the declared ones).

Kinds: 0-5 an x register in a machine register, X another x register, Y a y
register, C a constant, G any of them, told by two operand words.

Writes op.gen.h (enum op, struct rows for the loader) and t0.gen.c (the
interpreter's instances).
"""
import os
import re
import sys

outdir, combos_file, tabs = sys.argv[1], sys.argv[2], sys.argv[3:]
PLACES = ("src", "dst", "reg")
KIND_CODE = {**{str(i): i for i in range(6)}, "X": 6, "Y": 7, "C": 8, "G": 9}
WORDS = {**{str(i): 0 for i in range(6)}, "X": 1, "Y": 1, "C": 1, "G": 2}


class Op:
    def __init__(self, name, operands, flags, body, where):
        self.name, self.operands, self.flags = name, operands, flags
        self.body, self.where = body, where
        self.places = [i for i, (r, _) in enumerate(operands) if r in PLACES]
        self.kinds = set()


def parse(path):
    lines = open(path).read().split("\n")
    i = 0
    while i < len(lines):
        line = lines[i]
        if not line.strip() or line.startswith("#"):
            i += 1
            continue
        m = re.match(r"^(\w+)\(([^)]*)\)\s*([\w ]*)$", line)
        if not m or lines[i + 1] != "{":
            sys.exit(f"{path}:{i + 1}: not a definition: {line}")
        operands = []
        for part in filter(None, (p.strip() for p in m[2].split(","))):
            role, name = part.split()
            operands.append((role, name))
        start = i + 2
        end = start
        while lines[end] != "}":
            end += 1
        yield Op(m[1], operands, m[3].split(), lines[start:end],
                 f"{path}:{start + 1}")
        i = end + 1


ops = [op for tab in tabs for op in parse(tab)]
by_name = {op.name: op for op in ops}
for line in open(combos_file):
    if line.startswith("#") or not line.strip():
        continue
    name, kinds = line.split()[:2]
    op = by_name.get(name)
    if op and op.places and len(kinds) == len(op.places):
        op.kinds.add(kinds)
for op in ops:
    op.kinds.add("G" * len(op.places))


def instance(op, kinds):
    """The C function of one instance, and its length in words."""
    read, write = {}, {}
    k = 1
    place = 0
    for role, name in op.operands:
        if role in PLACES:
            kind = kinds[place]
            place += 1
            if kind.isdigit():
                read[name] = f"x{kind}"
                write[name] = f"x{kind} = (%s)"
            elif kind == "X":
                read[name] = f"X_REG({k})"
                write[name] = f"X_REG({k}) = (%s)"
            elif kind == "Y":
                read[name] = f"Y_REG({k})"
                write[name] = f"Y_REG({k}) = (%s)"
            elif kind == "C":
                read[name] = f"((term)HOLE({k}))"
            else:
                read[name] = f"G_GET({k})"
                write[name] = f"G_PUT({k}, %s)"
            k += WORDS[kind]
            continue
        if role == "u":
            read[name] = f"((uintptr_t)HOLE({k}))"
        elif role == "label":
            read[name] = f"((code_ptr)HOLE({k}))"
        elif role == "y":
            read[name] = write[name] = f"Y_REG({k})"
            write[name] += " = (%s)"
        elif role == "fr":
            read[name] = f"F_REG({k})"
            write[name] = f"F_REG({k}) = (%s)"
        else:
            sys.exit(f"{op.where}: role {role}?")
        k += 1
    body = "\n".join(op.body)
    for name, form in write.items():
        body = re.sub(
            rf"(?<![\w.>])%{name}\s*=\s*([^=;][^;]*);",
            lambda m, form=form: form.replace("%s", m[1].strip()) + ";", body)
    for name, form in read.items():
        body = re.sub(rf"(?<![\w.>])%{name}\b", lambda _, form=form: form, body)
    left = re.search(r"(?<!%)%[a-z]\w*", re.sub(r'"[^"]*"', "", body))
    if left and left[0][1:] in dict((n, 0) for _, n in op.operands):
        sys.exit(f"{op.where}: {left[0]} can't be used like that")
    next_ = "NEXT_RET" if "ret" in op.flags else "NEXT"
    c = (f"OP t0_{op.name}_{kinds or 'N'}(PARAMS)\n{{\n"
         f"    enum {{ LENGTH = {k} }};\n{body}\n    {next_};\n}}\n")
    return c, k


def pack(kinds):
    v = 0
    for i, kind in enumerate(kinds):
        v |= KIND_CODE[kind] << (4 * i)
    return v


def write(name, text):
    path = os.path.join(outdir, name)
    if not os.path.exists(path) or open(path).read() != text:
        with open(path, "w") as f:
            f.write(text)


header = ["/* Made by ops.py from the .tab files. */", "enum op {"]
header += [f"    OP_{op.name}," for op in ops]
header += ["    OP_COUNT,", "};", ""]
write("op.gen.h", "\n".join(header) + "\n")

c = ["/* Made by ops.py from the .tab files: the interpreter's instances. */",
     '#include "op/t0.h"', ""]
rows = []
for op in ops:
    for kinds in sorted(op.kinds):
        text, words = instance(op, kinds)
        c.append(text)
        rows.append((op, kinds, words))
c.append("const struct op_instance t0_instances[] = {")
first = {}
for n, (op, kinds, words) in enumerate(rows):
    first.setdefault(op.name, n)
    c.append(f"    {{{pack(kinds):#x}, {words}, "
             f"t0_{op.name}_{kinds or 'N'}}},")
c.append("};")
c.append("const struct op_info op_infos[OP_COUNT] = {")
role_code = {"src": "s", "dst": "d", "reg": "r", "u": "u", "label": "l",
             "y": "y", "fr": "f"}
for op in ops:
    n = len(op.kinds)
    roles = "".join(role_code[r] for r, _ in op.operands)
    flags = "|".join(["0"] + [f"OPF_{f.upper()}" for f in op.flags])
    c.append(f'    {{"{op.name}", "{roles}", {flags}, {first[op.name]}, {n}}},')
c.append("};")
write("t0.gen.c", "\n".join(c) + "\n")
