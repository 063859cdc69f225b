/*
 * stencil.h - the tables that op/gen/stencils.py makes.
 *
 * A stencil is an instance's machine code in two parts, hot and cold, and what
 * to fill in. The hot part falls through to the next instruction's.
 */
#ifndef OP_STENCIL_H
#define OP_STENCIL_H

#include <stdint.h>

/* All of them fill 32 bits. REL_HIGH: of a word of 64 bits the high half, else the low one. */
enum stencil_reloc_kind {
    REL_HIGH = 32,              /* bits to shift it by */
    REL_PC = 64,                /* from the beginning of the part; to 0: it is 0 */
    REL_COLD = 128,             /* it is in that part */
};

/* What a relocation refers to: operand words 1 .. 99 (of a REL_PC, a label). */
enum stencil_to {
    TO_NEXT = 100,  /* the instruction after it, or a return address: what follows */
    TO_SELF,        /* itself */
    TO_VARY,        /* the words of its own operands */
    TO_HOT, TO_COLD,
    TO_RUNTIME,     /* + i: stencil_runtime[i] */
};

/* What is the same wherever a stencil goes is in its bytes already. */
struct stencil_reloc {
    uint16_t offset;            /* in its part */
    uint8_t to;
    uint8_t kind;
    int32_t addend;
};
/*
 * 16 bytes, for it is looked at twice: when it is found, and long after, when it is
 * copied. Those that most code is made of come first, in all tables.
 */
struct stencil {
    uint32_t kinds;             /* 4 bits a place */
    uint32_t at;                /* in stencil_bytes: hot, cold, relocations */
    uint16_t op;
    uint16_t hot, cold;         /* bytes */
    uint8_t relocs;
    uint8_t flags;
};
enum stencil_flag {
    STENCIL_UNIT = 31,          /* it is at a multiple of that, plus 1, */
    STENCIL_ENDS = 32,          /* or ends at one */
    STENCIL_VARY = 64,          /* it refers to TO_VARY */
};

extern const char stencil_cpu[];    /* os_cpu_has() */
extern const struct stencil stencils[];
extern const uint32_t stencil_count;
#define STENCIL_SLACK 32        /* bytes behind the last one */
extern const uint8_t stencil_bytes[];
extern const void *const stencil_runtime[];
extern const uint32_t stencil_runtime_count;
/*
 * By the top bits of (op << 32 | kinds) * 0x9e3779b97f4a7c15: of the stencils where
 * these are the same the first, which most code wants; a table of a few kilobytes.
 */
#define STENCIL_FIRST_BITS 12
extern const uint16_t stencil_first[];
/* Open addressing over the same; 0xffff: empty. */
extern const unsigned stencil_table_bits;
extern const uint16_t stencil_table[];

#endif
