#!/usr/bin/env python3
"""Turn the compiled instances of t1.gen.c into stencils.

usage: stencils.py ASSEMBLY ASSEMBLER CPU OUT.c
       stencils.py ASSEMBLY OUT.s       the same rules, for functions that stay

1. Each function of the assembly text is cut in two: the hot part, straight on
   from its entry to `next`, where it falls through to the instruction after it;
   and the cold part, everything else, which the loader puts elsewhere.
2. The assembler (a command that takes INPUT -o OUTPUT) makes an object of it.
3. Its bytes and relocations become the tables that op/native.c copies from.

The compiler saves rbp, which its convention gives to the caller; here nobody
wants it kept (t1_call does for the C that enters), so that goes.

A stencil that tail-calls a function shared_... instead calls it, and goes on to
next when it returns. In such a function, whose arguments are in the same
registers, a jump to next or back is a return; any other way out of it drops the
return address from the C stack first. shared_N_... : the call ends N bytes after
the beginning of the stencil, which is how the function knows where that is.

`jmp nowhere' says that control does not get there, and is dropped.

What a stencil assumes is checked, and a function that breaks it named: no use
of the C stack; no reference to anything but the symbols of op/t1.h, and
functions of the VM; no address of 32 bits but operands.
"""
import re
import struct
import subprocess
import sys

INVERSE = {}
for a, b in (("e", "ne"), ("l", "ge"), ("g", "le"), ("b", "ae"), ("a", "be"),
             ("s", "ns"), ("o", "no"), ("p", "np")):
    INVERSE["j" + a], INVERSE["j" + b] = "j" + b, "j" + a


def way_out(mnemonic, to, label):
    """The lines of a jump out of a shared function."""
    if mnemonic in INVERSE:
        return [f"\t{INVERSE[mnemonic]}\t{label}"] + way_out("jmp", to, "") + [f"{label}:"]
    if to in ("next", "back"):
        return ["\taddq\t$8, %rsp", "\tretq"]
    return ["\taddq\t$16, %rsp", f"\t{mnemonic}\t{to}"]


def functions_that_stay(path):
    """The lines of an assembly text, fit to be jumped to and called by stencils."""
    shared = None
    for n, line in enumerate(open(path)):
        line = line.rstrip("\n")
        code = line.split("#")[0].split()
        if code and (m := re.match(r"(\w+):$", code[0])):
            shared = m[1].startswith("shared_") and m[1]
            yield line
            if shared:
                # The stack as C wants it before a call.
                yield "\tsubq\t$8, %rsp"
            continue
        if re.match(r"\s*(push|pop)q\s+%rbp\b", line):
            continue
        if shared and code[:1] == ["retq"]:
            sys.exit(f"stencils.py: {path}: {shared} does not end with a jump")
        if shared and code and code[0][0] == "j":
            if not code[1].startswith(".L"):
                yield from way_out(code[0], "".join(code[1:]), f".Lstay{n}")
                continue
        elif re.match(r"\s*(push|pop)|[^#]*%rsp", line):
            if not (shared and re.match(r"\s*movq\s+8\(%rsp\), %r\w+$", line)):
                sys.exit(f"stencils.py: {path} uses the C stack: {line.strip()}")
        yield line


if len(sys.argv) == 3:
    with open(sys.argv[2], "w") as f:
        f.writelines(line + "\n" for line in functions_that_stay(sys.argv[1]))
    sys.exit()
source, assembler, cpu, out = sys.argv[1], sys.argv[2].split(), sys.argv[3], sys.argv[4]


NOWHERE = ("jmp", "nowhere")
END = "\t# nowhere"


class Block:
    def __init__(self, label):
        self.label = label
        self.lines = []         # (mnemonic, operands)
        self.after = None       # where it falls through to: a Block or None


def functions(path):
    """(name, blocks) of each function of the assembly text."""
    name = None
    for line in open(path):
        line = line.split("#")[0].strip()
        if not line:
            continue
        if m := re.match(r"(st_\w+):$", line):
            name, blocks = m[1], [Block(".L" + m[1])]
        elif line.startswith(".Lfunc_end"):
            if name:
                yield name, blocks
            name = None
        elif m := re.match(r"(\.L\w+):$", line):
            if name:
                blocks.append(Block(m[1]))
        elif name and (not line.startswith(".") or line.startswith((".long", ".byte"))):
            mnemonic, _, operands = line.partition("\t")
            if operands == "%rbp" and mnemonic in ("pushq", "popq"):
                continue
            mnemonic, operands = mnemonic.strip(), operands.strip()
            if mnemonic == "callq" and re.match(r"shared_\d+_", operands):
                sys.exit(f"stencils.py: {name} does not end with {operands}")
            if mnemonic == "jmp" and operands.startswith("shared_"):
                blocks[-1].lines.append(("callq", operands))
                operands = "next"
            blocks[-1].lines.append((mnemonic, operands))
            if mnemonic.startswith("j") and mnemonic not in ("jmp", "jmpq"):
                blocks.append(Block(f".L{name}_{len(blocks)}"))


def leaves(block):
    return block.lines and block.lines[-1][0] in ("jmp", "jmpq", "retq", "ud2")


def check(name, blocks):
    for block in blocks:
        for mnemonic, operands in block.lines:
            if mnemonic.startswith(("push", "pop")) or "%rsp" in operands:
                sys.exit(f"stencils.py: {name} uses the C stack: {mnemonic} {operands}")


def parts(name, blocks):
    """The lines of the hot and the cold part."""
    check(name, blocks)
    by_label = {b.label: b for b in blocks}
    for block, after in zip(blocks, blocks[1:] + [None]):
        if not leaves(block):
            if after is None:
                sys.exit(f"stencils.py: {name} runs off its end")
            block.after = after

    # A jump to a block that only jumps on goes straight there.
    def target(label):
        for _ in range(len(blocks)):
            b = by_label.get(label)
            while b and not b.lines and b.after:
                b = b.after
            if not b or len(b.lines) != 1 or b.lines[0][0] != "jmp":
                break
            label = b.lines[0][1]
        return label
    for block in blocks:
        block.lines = [(m, target(o) if m.startswith("j") and not o.startswith("*") else o)
                       for m, o in block.lines]

    hot, placed = [], set()
    block = blocks[0]
    while True:
        placed.add(block)
        hot.append(f"{block.label}:")
        lines, after = block.lines, block.after
        if after:
            last = lines[-1] if lines else ("", "")
            onward = target(after.label)
            if last[1] == "next" and last[0] in INVERSE:
                # Away from here unless it goes on; what is left is cold.
                hot += [f"\t{m}\t{o}" for m, o in lines[:-1]]
                hot.append(f"\t{INVERSE[last[0]]}\t{onward}")
                break
            hot += [f"\t{m}\t{o}" for m, o in lines]
            if onward == "next":
                break
            if after in placed:
                hot.append(f"\tjmp\t{after.label}")
                break
            block = after
            continue
        hot += [f"\t{m}\t{o}" for m, o in lines[:-1]]
        m, o = lines[-1]
        if (m, o) == ("jmp", "next"):
            break
        if m == "jmp" and o in by_label and by_label[o] not in placed:
            block = by_label[o]
            continue
        if (m, o) != NOWHERE:
            hot.append(f"\t{m}\t{o}")
        break

    cold = []
    rest = [b for b in blocks if b not in placed]
    for block, following in zip(rest, rest[1:] + [None]):
        cold.append(f"{block.label}:")
        cold += [f"\t{m}\t{o}" for m, o in block.lines if (m, o) != NOWHERE]
        if block.lines and block.lines[-1] == NOWHERE:
            cold.append(END)
        if block.after and block.after is not following:
            cold.append(f"\tjmp\t{target(block.after.label)}")
    return hot, [line for line in drop_unreached(cold, hot) if line != END]


def drop_unreached(cold, hot):
    """Blocks of the cold part that jumps were threaded past."""
    while True:
        used = set(re.findall(r"\.L\w+", "\n".join(
            l for l in hot + cold if not l.endswith(":"))))
        kept, keep, falls = [], False, False
        for line in cold:
            if line.endswith(":"):
                keep = falls or line[:-1] in used
            if keep:
                kept.append(line)
                if not line.endswith(":"):
                    falls = not re.match(r"\t(jmp|jmpq|retq|ud2)\b", line) and line != END
        if kept == cold:
            return cold
        cold = kept


def read_elf(path):
    """(section bytes by name, symbols by name, relocations by section name)"""
    data = open(path, "rb").read()
    shoff, = struct.unpack_from("<Q", data, 0x28)
    shentsize, shnum, shstrndx = struct.unpack_from("<HHH", data, 0x3a)
    if shnum == 0:
        shnum, = struct.unpack_from("<Q", data, shoff + 0x20)
    if shstrndx == 0xffff:
        shstrndx, = struct.unpack_from("<I", data, shoff + 0x28)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + i * shentsize)
               for i in range(shnum)]

    def text(section, at):
        start = headers[section][4] + at
        return data[start:data.index(b"\0", start)].decode()
    names = [text(shstrndx, h[0]) for h in headers]
    sections = {n: data[h[4]:h[4] + h[5]] for n, h in zip(names, headers)}
    symtab = names.index(".symtab")
    symbols = []
    for at in range(headers[symtab][4], headers[symtab][4] + headers[symtab][5], 24):
        name, info, _, shndx, value, _ = struct.unpack_from("<IBBHQQ", data, at)
        kind = info & 15
        symbols.append((names[shndx] if kind == 3 else text(headers[symtab][6], name),
                        names[shndx] if 0 < shndx < 0xff00 else None, value, kind))
    relocs = {}
    for n, h in zip(names, headers):
        if h[1] == 4:
            relocs[names[h[7]]] = [struct.unpack_from("<QQq", data, at)
                                   for at in range(h[4], h[4] + h[5], 24)]
    return sections, symbols, relocs


# As in stencil.h; what is written asserts that.
SLACK = 32
REL_HIGH, REL_PC, REL_COLD = 32, 64, 128
TO = {"next": 100, "self": 101, "vary": 102, "hot": 103, "cold": 104}
TO_RUNTIME = 105
ENDS, VARY = 32, 64
FLAGS = {"anywhere": 0, "aligned": 31, "ret": 15 | ENDS}
FIRST_BITS = 12
SAME = {"STENCIL_SLACK": SLACK, "REL_HIGH": REL_HIGH, "REL_PC": REL_PC, "REL_COLD": REL_COLD,
        **{f"TO_{name.upper()}": to for name, to in TO.items()}, "TO_RUNTIME": TO_RUNTIME,
        "STENCIL_UNIT": 31, "STENCIL_ENDS": ENDS, "STENCIL_VARY": VARY,
        "STENCIL_FIRST_BITS": FIRST_BITS, "sizeof(struct stencil_reloc)": 8}
ABS64, PC32, PLT32, ABS32, ABS32S = 1, 2, 4, 10, 11

stencils = []
text = {"hot": [], "cold": []}
for name, blocks in functions(source):
    n = len(stencils)
    _, op, kinds, place, title = name.split("_", 4)
    hot, cold = parts(name, blocks)
    text["hot"] += [f"hot{n}:"] + hot
    text["cold"] += [f"cold{n}:"] + cold
    stencils.append((title, int(op), int(kinds, 16), place))
with open(out + ".s", "w") as f:
    for part in ("hot", "cold"):
        f.write(f'\t.section .{part},"ax",@progbits\n' + "\n".join(text[part]) +
                f"\n{part}{len(stencils)}:\n")
subprocess.run(assembler + [out + ".s", "-o", out + ".o"], check=True)
sections, symbols, relocs = read_elf(out + ".o")

start = {"hot": {}, "cold": {}}
for name, section, value, _ in symbols:
    if m := re.match(r"(hot|cold)(\d+)$", name):
        start[m[1]][int(m[2])] = value
runtime = {}
all_bytes = bytearray()
rows = []
relocations = 0


def reloc(title, part, offset, kind, symbol, addend, n):
    """What a reference is to, how (32 bits each), and the addend of struct stencil_reloc."""
    name, section, value, symbol_kind = symbol
    if symbol_kind == 3 or section:
        # A local jump between the parts.
        target = section[1:]
        if kind not in (PC32, PLT32):
            sys.exit(f"stencils.py: {title} takes the address of its own code")
        return TO[target], [REL_PC], addend + value - start[target][n] - offset
    if m := re.match(r"([hsjw])(\d+)$", name):
        width = {"h": (ABS32, ABS32S), "s": (ABS32, ABS32S), "j": (PC32, PLT32),
                 "w": (ABS64,)}[m[1]]
        if kind not in width:
            sys.exit(f"stencils.py: {title} has {name} by relocation {kind}")
        how = {"j": [REL_PC], "w": [0, REL_HIGH]}.get(m[1], [0])
        return int(m[2]), how, addend - (offset if m[1] == "j" else 0)
    if kind not in (PC32, PLT32):
        sys.exit(f"stencils.py: {title} has {name} by relocation {kind}")
    if name in ("next", "ret", "self", "vary"):
        return TO["next" if name == "ret" else name], [REL_PC], addend - offset
    if kind != PLT32:
        sys.exit(f"stencils.py: {title} refers to {name}, which is no function")
    if (m := re.match(r"shared_(\d+)_", name)) and int(m[1]) != offset - addend:
        sys.exit(f"stencils.py: {title} calls {name} after {offset - addend} bytes")
    index = runtime.setdefault(name, len(runtime))
    return TO_RUNTIME + index, [REL_PC], addend - offset


by_place = {"hot": [[] for _ in stencils], "cold": [[] for _ in stencils]}
for part in ("hot", "cold"):
    starts = [start[part][i] for i in range(len(stencils) + 1)]
    i = 0
    for offset, info, addend in sorted(relocs.get("." + part, [])):
        while starts[i + 1] <= offset:
            i += 1
        by_place[part][i].append((offset - starts[i], info & 0xffffffff,
                                  symbols[info >> 32], addend))
for n, (title, op, kinds, place) in enumerate(stencils):
    at = len(all_bytes)
    code = {part: bytearray(sections["." + part][start[part][n]:start[part][n + 1]])
            for part in ("hot", "cold")}
    flags = FLAGS[place]
    found = []
    for part in ("hot", "cold"):
        for offset, *rest in by_place[part][n]:
            to, how, addend = reloc(title, part, offset, *rest, n)
            here = {"hot": {TO["hot"]: 0, TO["next"]: len(code["hot"])},
                    "cold": {TO["cold"]: 0}}[part]
            if to in here:
                struct.pack_into("<i", code[part], offset, here[to] + addend)
                continue
            if to == TO["vary"]:
                flags |= VARY
            for i, kind in enumerate(how):
                kind |= REL_COLD if part == "cold" else 0
                found.append(struct.pack("<HBBi", offset + 4 * i, to, kind, addend))
    if len(found) > 255:
        sys.exit(f"stencils.py: {title} has too many relocations for a byte: struct stencil")
    relocations += len(found)
    hot, cold = len(code["hot"]), len(code["cold"])
    all_bytes += code["hot"] + code["cold"] + b"".join(found)
    rows.append(f"    {{{kinds:#x}, {at}, {op}, {hot}, {cold}, {len(found)}, {flags}}},"
                f" /* {title} */")


def hashed(stencil, bits):
    """(op, kinds), as native.c looks it up."""
    _, op, kinds, _ = stencil
    return ((op << 32 | kinds) * 0x9e3779b97f4a7c15 & (1 << 64) - 1) >> (64 - bits)


bits = (3 * len(stencils) // 2).bit_length()
table, first_of = [0xffff] * (1 << bits), [0] * (1 << FIRST_BITS)
for i, stencil in reversed(list(enumerate(stencils))):
    first_of[hashed(stencil, FIRST_BITS)] = i
for i, stencil in enumerate(stencils):
    at = hashed(stencil, bits)
    while table[at] != 0xffff:
        at = (at + 1) % len(table)
    table[at] = i


def numbers(values, per_line=24):
    values = [str(v) for v in values]
    return "\n".join("    " + ", ".join(values[i:i + per_line]) + ","
                     for i in range(0, len(values), per_line))


with open(out, "w") as f:
    f.write('/* Made by stencils.py from the compiled instances. */\n#include "op/stencil.h"\n\n')
    for name in runtime:
        f.write(f"extern char {name}[];\n")
    for name, value in SAME.items():
        f.write(f'_Static_assert({name} == {value}, "stencils.py");\n')
    f.write(f"\nconst uint8_t stencil_bytes[] = {{\n{numbers(bytes(all_bytes) + bytes(SLACK))}\n}};\n"
            "const struct stencil stencils[] = {\n" + "\n".join(rows) + "\n};\n"
            f'const char stencil_cpu[] = "{cpu}";\n'
            f"const uint32_t stencil_count = {len(stencils)};\n"
            f"const unsigned stencil_table_bits = {bits};\n"
            f"const uint16_t stencil_table[] = {{\n{numbers(table)}\n}};\n"
            f"const uint16_t stencil_first[] = {{\n{numbers(first_of)}\n}};\n"
            f"const uint32_t stencil_runtime_count = {len(runtime)};\n"
            "const void *const stencil_runtime[] = {\n    " +
            ", ".join(runtime) + "\n};\n")
if len(runtime) > 256 - TO_RUNTIME:
    sys.exit("stencils.py: too many functions for a byte: struct stencil_reloc")
print(f"{len(stencils)} stencils, {sum(len(s) for s in (sections['.hot'], sections['.cold']))} bytes, "
      f"{relocations} relocations, {len(runtime)} functions called")
