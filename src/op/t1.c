/*
 * t1.c - where native code goes when it can't go on: out of the registers into
 * cold.c, and back. Compiled as stencils are (op.mk), and under their rules.
 */
#include "op/t1.h"

#define COLD_STUB(name, spill)                                                 \
    PRESERVE_NONE long t1_##name(PARAMS)                                       \
    {                                                                          \
        spill;                                                                 \
        S->fcalls = FC;                                                        \
        code_ptr to = cold_##name(S);                                          \
        if (!to)                                                               \
            return S->end;                                                     \
        FC = S->fcalls;                                                        \
        SWAPIN;                                                                \
        RELOADX;                                                               \
        JUMP(to);                                                              \
    }
COLD_STUB(gc, SPILL)
COLD_STUB(slow_failed, SPILL)
COLD_STUB(yield, SPILL)
COLD_STUB(function_clause, SPILL)
COLD_STUB(raise, (void)0)
COLD_STUB(bif_failed, (void)0)
