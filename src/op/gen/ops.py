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
each combination of kinds in COMBOS (the interpreter: but rare ones), and one
for what is not there: the interpreter's has every place generic (G), the one of
native code every place in an x register in memory, where the loader moves them
first.
u: a constant word; native code has it in 31 bits, but for that last instance.
p: a constant of 64 bits (an address). label: an address in the same code.
y: the byte offset of a y register. fr: a float register. live: a number of x
registers, up to X_REGS.

Flags: ret (pushes a return address: what follows the instruction is aligned),
aligned (native code has it at a multiple of 32),
vary (operands of its own follow the declared ones), entry (native code jumps to
it from a stub, with the operand in S->a[0]), interpreted, native (the other
back end has no use for it), shared (native code has the body once, and calls it
with the operands: t1.h).

Kinds: 0-5 an x register in a machine register, X another x register, Y a y
register; constants: S a small and C another word, of 31 bits, J one of 64; G
any of them, told by two operand words. The interpreter takes S, C, J as one.

Writes op.gen.h (enum op), t0.gen.c (the interpreter's instances and the tables
of the loader), t1.gen.c (the functions that become stencils; stencils.py),
t1_entry.gen.c (what the stubs of native code go to) and t1_shared.gen.c (the
bodies that stencils call).
"""
import os
import re
import sys

outdir, combos_file, tabs = sys.argv[1], sys.argv[2], sys.argv[3:]
PLACES = ("src", "dst", "reg")
CODES = "012345XYCSJG"
# Less often than that in all of OTP (2^n), and the interpreter has no instance for it.
INTERPRETED_WEIGHT = 3
WORDS = {**{k: 0 for k in "012345"}, **{k: 1 for k in "XYCSJ"}, "G": 2}
ROLE_LETTER = {"src": "s", "dst": "d", "reg": "r", "u": "u", "p": "p",
               "live": "n", "label": "l", "y": "y", "fr": "f"}


class Op:
    def __init__(self, name, operands, flags, body, where):
        self.name, self.operands, self.flags = name, operands, flags
        self.body, self.where = body, where
        self.places = [i for i, (r, _) in enumerate(operands) if r in PLACES]
        self.generic = "G" * len(self.places)
        self.memory = "X" * len(self.places)
        self.weight = {}        # of kinds, from COMBOS
        self.kinds = set()


# What an instruction does that is looked up in the table of frames.
LEAVES = re.compile(r"\b(GC|SELF|RET_ADDR|LEAVE\w*|RAISE\w*|YIELD\w*|SLOW(?!_TEST)\w*|"
                    r"COUNTED_CALL|CALL_BIF|BIF_\w+|CLAUSES_END|FLOAT_PAIR|ENTER_\w+|"
                    r"NOTICE_HEAP|return)\b")


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


class T0:
    """The interpreter: operands are words of the code."""
    const = {k: "((term)HOLE({k}))" for k in "CSJ"}
    x = "(*(term *)((char *)S + HOLE({k})))"
    y = "(*(term *)((char *)E + HOLE({k})))"
    f = "(*(double *)((char *)S + HOLE({k})))"
    u = wide = "((uintptr_t)HOLE({k}))"
    label = at = "((code_ptr)HOLE({k}))"
    jump = "JUMP((code_ptr)HOLE({k}))"
    all_memory_is_wide = False
    generic = "HOLE({k}), HOLE({k1})"
    length = "    enum {{ LENGTH = {n} }};\n"


class T1:
    """Native code: operands are symbols, which the loader patches."""
    const = {"C": "((term)(uintptr_t)h{k})", "S": "((term)(uintptr_t)s{k})",
             "J": "((term)WIDE({k}))"}
    x = "(*(term *)((char *)S + (uintptr_t)h{k}))"
    y = "(*(term *)((char *)E + (uintptr_t)h{k}))"
    f = "(*(double *)((char *)S + (uintptr_t)h{k}))"
    u = "((uintptr_t)h{k})"
    wide = "WIDE({k})"
    label = "((code_ptr)WIDE({k}))"
    at = "j{k}"
    jump = "MUSTTAIL return j{k}(ARGS)"
    all_memory_is_wide = True
    length = ""


class Entry(T1):
    """What a stub goes to: the one operand is in S->a[0], and self in S."""
    wide = "S->a[0]"


class Shared(T1):
    """A body that stencils call; its operands are arguments."""
    u = wide = "operand{k}"


def instance(op, kinds, tier):
    """The body with its operands put in, and the length in words."""
    read, write = {}, {}
    k = 1
    place = 0
    body = "\n".join(op.body)
    for role, name in op.operands:
        def form(text, k=k):
            return text.format(k=k, k1=k + 1)
        if role in PLACES:
            kind = kinds[place]
            place += 1
            if kind.isdigit():
                read[name] = f"x{kind}"
                write[name] = f"x{kind} = (%s)"
            elif kind in "XY":
                read[name] = form(tier.x if kind == "X" else tier.y)
                write[name] = read[name] + " = (%s)"
            elif kind == "G":
                read[name] = f"G_GET({form(tier.generic)})"
                write[name] = f"G_PUT({form(tier.generic)}, %s)"
            else:
                read[name] = form(tier.const[kind])
            k += WORDS[kind]
            continue
        if role == "u":
            wide = tier.all_memory_is_wide and kinds == op.memory and op.places
            read[name] = form(tier.wide if wide else tier.u)
        elif role == "p":
            read[name] = form(tier.wide)
        elif role == "live":
            read[name] = form(tier.u)
        elif role == "label":
            body = re.sub(rf"\bAT\(%{name}\)", lambda _, f=form: f(tier.at), body)
            body = re.sub(rf"\b(FAIL|JUMP)\(%{name}\)",
                          lambda _, f=form: f(tier.jump), body)
            read[name] = form(tier.label)
        elif role == "y":
            read[name] = form(tier.y)
            write[name] = read[name] + " = (%s)"
        elif role == "fr":
            read[name] = form(tier.f)
            write[name] = read[name] + " = (%s)"
        else:
            sys.exit(f"{op.where}: role {role}?")
        k += 1
    for name, form in write.items():
        body = re.sub(
            rf"(?<![\w.>])%{name}\s*=\s*([^=;][^;]*);",
            lambda m, form=form: form.replace("%s", m[1].strip()) + ";", body)
    for name, form in read.items():
        body = re.sub(rf"(?<![\w.>])%{name}\b", lambda _, form=form: form, body)
    left = re.search(r"(?<!%)%[a-z]\w*", re.sub(r'"[^"]*"', "", body))
    if left and left[0][1:] in dict((n, 0) for _, n in op.operands):
        sys.exit(f"{op.where}: {left[0]} can't be used like that")
    ends = re.search(r"^    (JUMP\([^;]*|RAISE\w*\([^;]*|RAISE|CLAUSES_END.*|return .*);\s*\Z", body, re.M)
    if not ends:
        body += "\n    " + ("NEXT_RET;" if "ret" in op.flags else "NEXT;")
    return tier.length.format(n=k) + body + "\n", k


def pack(kinds):
    return sum(CODES.index(kind) << 4 * i for i, kind in enumerate(kinds))


def write(name, text):
    path = os.path.join(outdir, name)
    if not os.path.exists(path) or open(path).read() != text:
        with open(path, "w") as f:
            f.write(text)


ops = [op for tab in tabs for op in parse(tab)]
by_name = {op.name: op for op in ops}
for line in open(combos_file):
    if line.startswith("#") or not line.strip():
        continue
    name, kinds, weight = line.split()
    kinds = kinds.strip("-")
    op = by_name.get(name)
    if op and len(kinds) == len(op.places):
        op.kinds.add(kinds)
        op.weight[kinds] = int(weight)

made = "/* Made by ops.py from the .tab files. */"
write("op.gen.h", "\n".join([made, "enum op {"] +
                            [f"    OP_{op.name}," for op in ops] +
                            ["    OP_COUNT,", "};"]) + "\n")

# The interpreter. An instruction that only native code has is a name to it.
t0 = [made, '#include "op/t0.h"', ""]
table, infos = [], []
for op in ops:
    plain = {re.sub("[SJ]", "C", kinds) for kinds, weight in op.weight.items()
             if weight >= INTERPRETED_WEIGHT} | {op.generic}
    if "native" in op.flags:
        plain = set()
    first = len(table)
    for kinds in sorted(plain):
        body, words = instance(op, kinds, T0)
        t0.append(f"OP t0_{op.name}_{kinds or 'N'}(PARAMS)\n{{\n{body}}}\n")
        table.append(f"    {{{pack(kinds):#x}, {words}, "
                     f"t0_{op.name}_{kinds or 'N'}}},")
    roles = "".join(ROLE_LETTER[r] for r, _ in op.operands)
    plain = [] if set(op.flags) & {"ret", "entry"} or LEAVES.search("\n".join(op.body)) \
        else ["plain"]
    flags = "|".join(["0"] + [f"OPF_{f.upper()}" for f in op.flags + plain])
    infos.append(f'    {{"{op.name}", "{roles}", {flags}, {first}, '
                 f'{len(table) - first}}},')
t0 += ["const struct op_instance t0_instances[] = {"] + table + ["};"]
t0 += ["const struct op_info op_infos[OP_COUNT] = {"] + infos + ["};"]
write("t0.gen.c", "\n".join(t0) + "\n")

# Native code. The name tells stencils.py which instance a function is. A move
# from anywhere to memory and back is what the others fall back on.
t1 = [made, '#include "op/t1.h"', ""]
by_weight = []
entries = [made, "#define T1_ENTRY", '#include "op/t1.h"', ""]
shared = [made, "#define T1_SHARED", '#include "op/t1.h"', ""]
# Code that passes operands in the two argument registers that are left: bytes.
PASS = [{"p": 10, "u": 6}, {"p": 10, "u": 5}]
CALL = 5


def share(op):
    """The stencil that calls the body of op, which is written to t1_shared.gen.c."""
    roles = [r for r, _ in op.operands]
    if op.places or len(roles) > len(PASS) or set(roles) - {"p", "u"}:
        sys.exit(f"{op.where}: operands that a shared body can't have")
    length = CALL + sum(PASS[i][r] for i, r in enumerate(roles))
    name = f"shared_{length}_{op.name}"
    head = (f"PRESERVE_NONE long {name}(PARAMS" +
            "".join(f", uintptr_t operand{i + 1}" for i in range(len(roles))) + ")")
    body, _ = instance(op, "", Shared)
    shared.append(f"{head};\n{head}\n{{\n    enum {{ SHARED_BYTES = {length} }};\n{body}}}\n")
    args = "".join(", " + (T1.wide if r == "p" else T1.u).format(k=i + 1)
                   for i, r in enumerate(roles))
    t1.append(f"{head};")
    # musttail wants equal parameters; stencils.py refuses a call.
    return f"    return {name}(ARGS{args});\n"


by_name["move"].kinds |= {k + "X" for k in CODES[:-1]} | {"X" + k for k in "012345XY"}
for op in ops:
    if "interpreted" in op.flags:
        continue
    if "entry" in op.flags:
        body, words = instance(op, "", Entry)
        entries.append(f"PRESERVE_NONE long t1_{op.name}(PARAMS)\n{{\n{body}}}\n")
        continue
    for kinds in sorted(op.kinds | {op.memory}):
        body, _ = instance(op, kinds, T1)
        if "shared" in op.flags:
            body = share(op)
        place = {"ret", "aligned"} & set(op.flags) or {"anywhere"}
        by_weight.append((op.weight.get(kinds, 0),
                          f"PRESERVE_NONE long st_{ops.index(op)}_{pack(kinds):x}_"
                          f"{place.pop()}_{op.name}_{kinds or 'N'}(PARAMS)\n{{\n{body}}}\n"))
# What modules mostly want lies together.
by_weight.sort(key=lambda stencil: -stencil[0])
write("t1.gen.c", "\n".join(t1 + [stencil for _, stencil in by_weight]) + "\n")
write("t1_entry.gen.c", "\n".join(entries) + "\n")
write("t1_shared.gen.c", "\n".join(shared) + "\n")
