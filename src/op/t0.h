/*
 * t0.h - the hooks of the instruction bodies, as the interpreter has them.
 *
 * An instance is a function that ends by tail-calling the next one. What the
 * machine holds in registers all the time are its arguments (PARAMS):
 *
 *    S    the scheduler: x[6..], float registers, the running process
 *    H    htop       E    stack top      FC   reductions left
 *    x0 .. x5        I    the instruction that runs (interpreter only)
 *
 * preserve_none passes all eleven in registers. C functions that may collect,
 * or look at x registers, run between SPILL and RELOAD.
 */
#ifndef OP_T0_H
#define OP_T0_H

#include "op/code.h"
#include "op/op.h"
#include "op/slow.h"
#include "vm/atom.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/bitsyntax.h"
#include "vm/exc.h"
#include "vm/map.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"

#define PARAMS                                                                 \
    struct sched *S, term *H, term *E, int64_t FC, term x0, term x1, term x2,  \
        term x3, term x4, term x5, code_ptr I
#define ARGS S, H, E, FC, x0, x1, x2, x3, x4, x5, I
#define PRESERVE_NONE __attribute__((preserve_none))
#define OP static PRESERVE_NONE long
typedef PRESERVE_NONE long (*op_fn)(PARAMS);
#define MUSTTAIL __attribute__((musttail))

#define HOLE(k) (I[k])
#define X_REG(k) (*(term *)((char *)S + HOLE(k)))
#define Y_REG(k) (*(term *)((char *)E + HOLE(k)))
#define F_REG(k) (*(double *)((char *)S + HOLE(k)))

/* A place told by two words: its kind, and offset or value. */
static inline term g_get(struct sched *S, term *E, term x0, term x1, term x2,
                         term x3, term x4, term x5, uintptr_t kind, uintptr_t v)
{
    switch (kind) {
    case KIND_X0: return x0;
    case KIND_X1: return x1;
    case KIND_X2: return x2;
    case KIND_X3: return x3;
    case KIND_X4: return x4;
    case KIND_X5: return x5;
    case KIND_X: return *(term *)((char *)S + v);
    case KIND_Y: return *(term *)((char *)E + v);
    default: return v;
    }
}
#define G_GET(k) g_get(S, E, x0, x1, x2, x3, x4, x5, HOLE(k), HOLE((k) + 1))
#define G_PUT(k, value)                                                        \
    do {                                                                       \
        term put_ = (value);                                                   \
        switch (HOLE(k)) {                                                     \
        case KIND_X0: x0 = put_; break;                                        \
        case KIND_X1: x1 = put_; break;                                        \
        case KIND_X2: x2 = put_; break;                                        \
        case KIND_X3: x3 = put_; break;                                        \
        case KIND_X4: x4 = put_; break;                                        \
        case KIND_X5: x5 = put_; break;                                        \
        case KIND_X: *(term *)((char *)S + HOLE((k) + 1)) = put_; break;       \
        default: *(term *)((char *)E + HOLE((k) + 1)) = put_; break;           \
        }                                                                      \
    } while (0)

/* What follows. LENGTH is the instance's; a ret instance's end is aligned. */
#define DISPATCH MUSTTAIL return ((op_fn)I[0])(ARGS)
#define NEXT                                                                   \
    do {                                                                       \
        I += LENGTH;                                                           \
        DISPATCH;                                                              \
    } while (0)
#define RET_ADDR ((code_ptr)(((uintptr_t)(I + LENGTH) + 15) & ~(uintptr_t)15))
#define NEXT_RET                                                               \
    do {                                                                       \
        I = RET_ADDR;                                                          \
        DISPATCH;                                                              \
    } while (0)
#define JUMP(to)                                                               \
    do {                                                                       \
        I = (to);                                                              \
        DISPATCH;                                                              \
    } while (0)
#define FAIL(label) JUMP(label)
/* A word of a vary instance's own operands. */
#define VARY(i) (I[LENGTH + (i)])
#define NEXT_VARY(words)                                                       \
    do {                                                                       \
        I += LENGTH + (words);                                                 \
        DISPATCH;                                                              \
    } while (0)

/* Cold paths, common to all instances (t0.c). They find the instruction in I. */
PRESERVE_NONE long t0_gc(PARAMS);           /* collect S->gc_words, S->live; again */
PRESERVE_NONE long t0_slow_failed(PARAMS);  /* S->fail: label, or NULL: raise */
PRESERVE_NONE long t0_raise(PARAMS);        /* p->exc at I, after SWAPOUT */
PRESERVE_NONE long t0_bif_failed(PARAMS);   /* S->bif gave THE_NON_VALUE */
PRESERVE_NONE long t0_yield(PARAMS);        /* S->live arguments, go on at I */

#define PROC (S->p)
#define HEAP (S->p->heap)
/* Make heap and stack visible to C, and take them back. */
#define SWAPOUT (HEAP.htop = H, HEAP.stop = E)
#define SWAPIN (H = HEAP.htop, E = HEAP.stop)
#define SPILLX                                                                 \
    (S->x[0] = x0, S->x[1] = x1, S->x[2] = x2, S->x[3] = x3, S->x[4] = x4,     \
     S->x[5] = x5)
#define RELOADX                                                                \
    (x0 = S->x[0], x1 = S->x[1], x2 = S->x[2], x3 = S->x[3], x4 = S->x[4],     \
     x5 = S->x[5])
#define SPILL (SWAPOUT, SPILLX)

/* An x register that is dead: no value, no instruction. */
#define DEAD(x) __asm__("" : "=r"(x))
#define DEAD_1_TO_5 (DEAD1(x1) DEAD1(x2) DEAD1(x3) DEAD1(x4) DEAD1(x5))

#ifdef STRESS
#define GC_STRESS || (S->stress_done != I && (S->stress_done = I, true))
#else
#define GC_STRESS
#endif

/* n words free at H, or collect with n_live x registers and run I again. */
#define GC(n, n_live)                                                          \
    do {                                                                       \
        if (unlikely(H + (n) + HEAP_RESERVE > E GC_STRESS)) {                  \
            S->gc_words = (n);                                                 \
            S->live = (uint32_t)(n_live);                                      \
            MUSTTAIL return t0_gc(ARGS);                                       \
        }                                                                      \
    } while (0)

/*
 * d = fn(S) over S->a[]: a callee that preserves all registers, allocates
 * with heap_try() and neither collects nor raises. THE_NON_VALUE: collect and
 * run again, or go to label fail, or raise when that is 0.
 */
#define SLOW_CALL(v, fn)                                                       \
    SWAPOUT;                                                                   \
    term v = fn(S);                                                            \
    H = HEAP.htop
#define SLOW_FAILED(n_live, label)                                             \
    do {                                                                       \
        S->live = (uint32_t)(n_live);                                          \
        S->fail = (label);                                                     \
        MUSTTAIL return t0_slow_failed(ARGS);                                  \
    } while (0)

#define RAISE_ERROR(why)                                                       \
    do {                                                                       \
        SWAPOUT;                                                               \
        slow_error(S, why);                                                    \
        MUSTTAIL return t0_raise(ARGS);                                        \
    } while (0)
#define YIELD(n_live)                                                          \
    do {                                                                       \
        S->live = (uint32_t)(n_live);                                          \
        MUSTTAIL return t0_yield(ARGS);                                        \
    } while (0)

/*
 * A body BIF made fragments, or asked for a collection: take the reductions
 * away, so that the next function entry collects.
 */
#define NOTICE_HEAP                                                            \
    do {                                                                       \
        if (unlikely(HEAP.want_gc) && FC > 0) {                                \
            S->reds_kept += FC;                                                \
            FC = 0;                                                            \
        }                                                                      \
    } while (0)

#endif
