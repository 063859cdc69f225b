/*
 * hooks.h - what the bodies of the instructions are written with.
 *
 * An instance of an instruction is a function that ends by tail-calling the
 * next one. What the machine holds in registers all the time are its arguments:
 *
 *    S    the scheduler: x[6..], float registers, the running process
 *    H    htop       E    stack top      FC   reductions left
 *    x0 .. x5
 *
 * preserve_none passes all of them in registers. C functions that may collect,
 * or look at x registers, run between SPILL and SWAPIN, RELOADX.
 *
 * t0.h (the interpreter) and t1.h (native code) bring, before this file:
 * PARAMS, ARGS, SELF (where this instruction is), LEAVE(what) (go to a cold
 * path), JUMP(to) (an address at run time), NEXT. With COLD_DATA also what
 * stands below under that name.
 */
#ifndef OP_HOOKS_H
#define OP_HOOKS_H

#include "op/break.h"
#include "op/cold.h"
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
/* The same for the first x registers only. */
#define SPILL1 (SWAPOUT, S->x[0] = x0)
#define SPILL2 (SPILL1, S->x[1] = x1)
#define SPILL3 (SPILL2, S->x[2] = x2)

/* htop or the stack top, moved by bytes. */
#define UP(at, bytes) ((term *)((char *)(at) + (bytes)))
#define DOWN(at, bytes) ((term *)((char *)(at) - (bytes)))

/* What x registers hold does not matter: any value will do, none need be kept. */
#define DEAD_X                                                                 \
    __asm__ volatile("" : "=r"(x0), "=r"(x1), "=r"(x2), "=r"(x3), "=r"(x4), "=r"(x5))
/* x1 to x5 are dead: any value will do, and none need be kept. */
#define DEAD_X1_TO_X5                                                          \
    __asm__ volatile("" : "=r"(x1), "=r"(x2), "=r"(x3), "=r"(x4), "=r"(x5))

static inline uint32_t load_be16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}
static inline uint32_t load_be32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

#define KEEP_INTEGER(v) __asm__("" : "+r"(v))

#ifdef STRESS
#define GC_STRESS || (S->stress_done != SELF && (S->stress_done = SELF, true))
#else
#define GC_STRESS
#endif

/* Bytes free at H, or collect with n_live x registers and run this again. */
#define GC(bytes, n_live)                                                      \
    do {                                                                       \
        if (unlikely((char *)H + ((bytes) + HEAP_RESERVE * sizeof(term)) >     \
                     (char *)E GC_STRESS)) {                                   \
            LEAVE_GC(bytes, n_live);                                           \
        }                                                                      \
    } while (0)
#ifndef COLD_DATA
#define LEAVE_GC(bytes, n_live)                                                \
    S->gc_bytes = (bytes);                                                     \
    S->live = (uint32_t)(n_live);                                              \
    LEAVE(gc)
#endif

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
        S->fail = (code_ptr)(label);                                           \
        LEAVE(slow_failed);                                                    \
    } while (0)

/*
 * v = slow_name of one operand or two, the same in one go; label is AT(%fail).
 * SLOW_RAISES: there is no label. SLOW_FAILS: it never gives a value.
 */
#ifndef COLD_DATA
#define SLOW1(v, name, t, n_live, label)                                       \
    S->a[0] = (t);                                                             \
    SLOW_CALL(v, slow_##name);                                                 \
    if (unlikely(v == THE_NON_VALUE))                                          \
    SLOW_FAILED(n_live, label)
#define SLOW2(v, name, t1, t2, n_live, label)                                  \
    S->a[1] = (t2);                                                            \
    SLOW1(v, name, t1, n_live, label)
#define SLOW1_RAISES(v, name, t, n_live) SLOW1(v, name, t, n_live, 0)
#define SLOW2_RAISES(v, name, t1, t2, n_live) SLOW2(v, name, t1, t2, n_live, 0)
#define SLOW_FAILS(name, t1, t2, label)                                        \
    SLOW2(v_, name, t1, t2, 0, label);                                         \
    __builtin_unreachable()
/* slow_name(S), of two operands, a bool or an int. */
#define SLOW_TEST(name, t1, t2) (S->a[0] = (t1), S->a[1] = (t2), slow_##name(S))
#endif

/*
 * Two operations on floats, the second of which takes the result t of the first
 * from where it is, not from its register.
 */
#define FLOAT_PAIR(first, second, first_to, second_to)                         \
    do {                                                                       \
        double t = (first), v_ = (second), zero_ = (t - t) + (v_ - v_);        \
                                                                               \
        if (unlikely(zero_ != zero_))                                          \
            RAISE_ERROR(badarith);                                             \
        first_to = t;                                                          \
        second_to = v_;                                                        \
    } while (0)

/* p->exc is filled in. */
#define RAISE                                                                  \
    do {                                                                       \
        DEAD_X;                                                                \
        LEAVE(raise);                                                          \
    } while (0)
/* An error of cold.h, which makes its reason of S->a[0]. */
#define RAISE_ERROR(why)                                                       \
    do {                                                                       \
        DEAD_X;                                                                \
        LEAVE(why);                                                            \
    } while (0)
#ifndef COLD_DATA
#define YIELD(n_live)                                                          \
    do {                                                                       \
        S->live = (uint32_t)(n_live);                                          \
        LEAVE(yield);                                                          \
    } while (0)
/* No clause matches the function's n arguments. */
#define CLAUSES_END(n)                                                         \
    S->live = (n);                                                             \
    LEAVE(function_clause)
#endif

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

/*
 * v = call, of a function that may use up reductions (p->reds_left), allocate
 * fragments, fail. x registers are in S->x.
 */
#define COUNTED_CALL(v, call)                                                  \
    S->self = SELF;                                                            \
    PROC->reds_left = (int32_t)(FC + S->reds_kept);                            \
    term v = (call);                                                           \
    FC = PROC->reds_left - S->reds_kept;                                       \
    SWAPIN

/* The BIF e gave THE_NON_VALUE; ret: where its call returns to, or NULL. */
#define BIF_FAILED(e, ret)                                                     \
    do {                                                                       \
        S->bif = (struct export *)(e);                                         \
        S->fail = (ret);                                                       \
        DEAD_X;                                                                \
        LEAVE(bif_failed);                                                     \
    } while (0)
#define BIF_RESULT(v)                                                          \
    x0 = v;                                                                    \
    DEAD_X1_TO_X5;                                                             \
    NOTICE_HEAP
/* The BIF of an export, called in line; spill stores its arguments. */
#define CALL_BIF(export_, spill)                                               \
    struct export *e = (struct export *)(export_);                             \
                                                                               \
    if (unlikely(e->flags & EXPORT_TRACED)) {                                  \
        *--E = (term)(uintptr_t)RET_ADDR;                                      \
        JUMP(e->addr);                                                         \
    }                                                                          \
    spill;                                                                     \
    COUNTED_CALL(v, e->bif(PROC, S->x));                                       \
    FC--;                                                                      \
    if (unlikely(v == THE_NON_VALUE))                                          \
        BIF_FAILED(e, RET_ADDR);                                               \
    BIF_RESULT(v)

/*
 * Where LEAVE goes: out of the registers into a function of cold.h, and back.
 * COLD_STUBS(tier), once, defines them all; ENTER_COLD is the tier's.
 */
#define COLD_DECLARE(tier, name, spill) PRESERVE_NONE long tier##_##name(PARAMS);
#define COLD_STUB(tier, name, spill)                                           \
    PRESERVE_NONE long tier##_##name(PARAMS)                                   \
    {                                                                          \
        spill;                                                                 \
        ENTER_COLD;                                                            \
        S->fcalls = FC;                                                        \
        code_ptr to = cold_##name(S);                                          \
        if (!to)                                                               \
            return S->end;                                                     \
        FC = S->fcalls;                                                        \
        SWAPIN;                                                                \
        RELOADX;                                                               \
        JUMP(to);                                                              \
    }
/* raise and bif_failed find in S->x what matters. */
#define COLD_EACH(M, tier)                                                     \
    M(tier, gc, SPILL)                                                         \
    M(tier, slow_failed, SPILL)                                                \
    M(tier, yield, SPILL)                                                      \
    M(tier, function_clause, SPILL)                                            \
    M(tier, raise, (void)0)                                                    \
    M(tier, badmatch, SWAPOUT)                                                 \
    M(tier, case_clause, SWAPOUT)                                              \
    M(tier, try_clause, SWAPOUT)                                               \
    M(tier, badrecord, SWAPOUT)                                                \
    M(tier, if_clause, SWAPOUT)                                                \
    M(tier, badarith, SWAPOUT)                                                 \
    M(tier, system_limit, SWAPOUT)                                             \
    M(tier, bif_failed, (void)0)
#define COLD_STUBS(tier) COLD_EACH(COLD_STUB, tier)

#endif
