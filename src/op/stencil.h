/*
 * stencil.h - the tables that op/gen/stencils.py makes.
 *
 * A stencil is an instance's machine code in two parts, hot and cold, and what
 * to fill in. The hot part falls through to the next instruction's.
 */
#ifndef OP_STENCIL_H
#define OP_STENCIL_H

#include <stdint.h>

enum stencil_reloc_kind { REL_ABS32, REL_ABS64, REL_PC32 };

/* What a relocation refers to: operand words 1 .. 99 (of a REL_PC32, a label). */
enum stencil_to {
    TO_NEXT = 100,  /* the instruction after it, or a return address: what follows */
    TO_SELF,        /* itself */
    TO_VARY,        /* the words of its own operands */
    TO_HOT, TO_COLD,
    TO_RUNTIME,     /* + i: stencil_runtime[i] */
};

/*
 * Eight bytes: there are tens of thousands. What is the same wherever a stencil
 * goes (from one of its parts to itself) is in its bytes already. The addend of a
 * REL_PC32 counts from the beginning of the part.
 */
struct stencil_reloc {
    uint16_t offset;
    uint8_t to;
    uint8_t kind : 7, cold : 1; /* cold: it is in that part */
    int32_t addend;
};
/* Those that most code is made of come first, in all tables. */
struct stencil {
    uint32_t kinds;             /* 4 bits a place */
    uint16_t op;
    uint16_t hot, cold;         /* bytes */
    uint8_t relocs;
    uint8_t vary;               /* it refers to TO_VARY */
    uint32_t at;                /* in stencil_bytes: hot, then cold */
    uint32_t reloc;             /* first in stencil_relocs */
};

extern const char stencil_cpu[];    /* os_cpu_has() */
extern const struct stencil stencils[];
extern const uint32_t stencil_count;
#define STENCIL_SLACK 32        /* bytes behind the last one */
extern const uint8_t stencil_bytes[];
extern const struct stencil_reloc stencil_relocs[];
extern const void *const stencil_runtime[];
extern const uint32_t stencil_runtime_count;
/*
 * Open addressing over (op << 32 | kinds) * 0x9e3779b97f4a7c15, top bits. 0xffff:
 * empty. First those that come first, a table of a few kilobytes; then all.
 */
extern const unsigned stencil_common_bits, stencil_table_bits;
extern const uint16_t stencil_common[], stencil_table[];

#endif
