/*
 * op.h - the specific instructions, as the loader sees them.
 *
 * src/op/xxx.tab defines each once; op/gen/ops.py makes an instance of it for
 * every combination of operand kinds in op/combos.txt, and a generic one.
 */
#ifndef OP_OP_H
#define OP_OP_H

#include "op.gen.h"
#include "vm/sched.h"

enum kind {
    KIND_X0, KIND_X1, KIND_X2, KIND_X3, KIND_X4, KIND_X5,
    KIND_X, KIND_Y,
    /* Constants: of 31 bits, a small of 31 bits, any. One kind to T0. */
    KIND_C, KIND_S, KIND_J,
    KIND_G,
};

enum op_flag {
    OPF_RET = 1,    /* a return address follows: 16-byte aligned */
    OPF_VARY = 2,   /* more operand words follow the declared ones */
    OPF_INTERPRETED = 4,    /* only the interpreter has it */
    OPF_NATIVE = 8,         /* only native code has it */
    OPF_ENTRY = 16,         /* where a stub goes */
    OPF_SHARED = 32,        /* native code calls its body */
    OPF_PLAIN = 64,         /* it neither calls nor raises, collects nor waits */
    OPF_ALIGNED = 128,      /* native code has it at a multiple of 32 */
};

struct op_instance {
    uint32_t kinds;             /* 4 bits a place */
    uint32_t words;             /* handler included */
    void *handler;
};
struct op_info {
    const char *name;
    const char *roles;          /* s d r: places; u p l y f: one word each */
    uint8_t flags;
    uint32_t first, count;      /* in t0_instances, sorted by kind string */
};
extern const struct op_info op_infos[];
extern const struct op_instance t0_instances[];

#endif
