/*
 * t0.h - the interpreter's side of hooks.h.
 *
 * Code is a run of words: an instance's handler, its operands, the next
 * handler ... An instance has one more argument, I: where it is.
 */
#ifndef OP_T0_H
#define OP_T0_H

#include "op/code.h"
#include "vm/sched.h"

#define PARAMS                                                                 \
    struct sched *S, term *H, term *E, int64_t FC, term x0, term x1, term x2,  \
        term x3, term x4, term x5, code_ptr I
#define ARGS S, H, E, FC, x0, x1, x2, x3, x4, x5, I
#define PRESERVE_NONE __attribute__((preserve_none))
#define OP static PRESERVE_NONE long
typedef PRESERVE_NONE long (*op_fn)(PARAMS);
#define MUSTTAIL __attribute__((musttail))

#define SELF I
#define HOLE(k) (I[k])

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
/* A word of a vary instance's own operands. */
#define VARY(i) (I[LENGTH + (i)])

/* Cold paths (cold.h): they find the instruction in I. */
#define LEAVE(what) MUSTTAIL return t0_##what(ARGS)
#define YIELD_AT(label, n_live)                                                \
    do {                                                                       \
        I = (label);                                                           \
        YIELD(n_live);                                                         \
    } while (0)

#include "op/hooks.h"

COLD_EACH(COLD_DECLARE, t0)

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
#define G_GET(kind, where) g_get(S, E, x0, x1, x2, x3, x4, x5, kind, where)
#define G_PUT(kind, where, value)                                              \
    do {                                                                       \
        term put_ = (value);                                                   \
        switch (kind) {                                                        \
        case KIND_X0: x0 = put_; break;                                        \
        case KIND_X1: x1 = put_; break;                                        \
        case KIND_X2: x2 = put_; break;                                        \
        case KIND_X3: x3 = put_; break;                                        \
        case KIND_X4: x4 = put_; break;                                        \
        case KIND_X5: x5 = put_; break;                                        \
        case KIND_X: *(term *)((char *)S + (where)) = put_; break;             \
        default: *(term *)((char *)E + (where)) = put_; break;                 \
        }                                                                      \
    } while (0)

#endif
