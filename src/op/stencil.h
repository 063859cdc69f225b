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
    TO_NEXT = 100,  /* the instruction after it */
    TO_SELF,        /* itself */
    TO_RET,         /* what follows, as a return address: the same as next */
    TO_VARY,        /* the words of its own operands */
    TO_HOT, TO_COLD,
    TO_RUNTIME,     /* + i: stencil_runtime[i] */
};

/* Eight bytes: there are tens of thousands. */
struct stencil_reloc {
    uint16_t offset;
    uint8_t to;
    uint8_t kind : 7, cold : 1; /* cold: it is in that part */
    int32_t addend;
};
struct stencil {
    uint16_t op;
    uint32_t kinds;             /* 4 bits a place */
    uint32_t at;                /* in stencil_bytes: hot, then cold */
    uint32_t reloc;             /* first in stencil_relocs */
    uint16_t hot, cold;         /* bytes */
    uint16_t relocs;
    uint8_t words;              /* of the record it is made from: op/native.c */
};

extern const char stencil_cpu[];    /* os_cpu_has() */
extern const struct stencil stencils[];
extern const uint32_t stencil_count;
#define STENCIL_SLACK 16        /* bytes behind the last one */
extern const uint8_t stencil_bytes[];
extern const struct stencil_reloc stencil_relocs[];
extern const void *const stencil_runtime[];
/* Open addressing over (op << 32 | kinds) * 0x9e3779b97f4a7c15, top bits. */
struct stencil_slot {
    uint32_t kinds;
    uint16_t op, stencil;       /* stencil: 0xffff: empty */
};
extern const unsigned stencil_table_bits;
extern const struct stencil_slot stencil_table[];

#endif
