/*
 * t1_slow.c - the shared functions that cold paths of stencils call: t1.h.
 *
 * They begin with everything in its register, two operands behind x5, and find the
 * rest behind the call. Compiled as stencils are (op.mk), and under their rules.
 */
#define T1_SHARED
#include "op/t1.h"

typedef int32_t data __attribute__((aligned(1), may_alias));

/* A place told by its distance from there. */
static inline code_ptr place(const data *d) { return (code_ptr)((char *)d + *d); }

/* Behind calls that don't come back. */
struct cold_at {
    data self, live, bytes;
};
/* Behind those that may: operands of `test $..., %eax'. fail: 0 if it raises. */
struct slow_at {
    uint8_t test1;
    data self;
    uint8_t test2;
    data fail;
    uint8_t test3;
    data live;
} __attribute__((packed));

PRESERVE_NONE long shared_gc(PARAMS);
PRESERVE_NONE long shared_gc(PARAMS)
{
    const struct cold_at *at = (const struct cold_at *)RET_ADDR;

    S->gc_bytes = (size_t)at->bytes;
    S->live = (uint32_t)at->live;
    S->self = place(&at->self);
    return t1_gc(ARGS);
}

PRESERVE_NONE long shared_yield(PARAMS);
PRESERVE_NONE long shared_yield(PARAMS)
{
    const struct cold_at *at = (const struct cold_at *)RET_ADDR;

    S->live = (uint32_t)at->live;
    S->self = place(&at->self);
    return t1_yield(ARGS);
}

PRESERVE_NONE long shared_function_clause(PARAMS);
PRESERVE_NONE long shared_function_clause(PARAMS)
{
    enum { SHARED_BYTES = 5 };

    S->live = (uint32_t)*(const data *)RET_ADDR;
    S->self = SELF;
    return t1_function_clause(ARGS);
}

#define SHARED_SLOW(name)                                                      \
    PRESERVE_NONE long shared_slow_##name(PARAMS, term a, term b);             \
    PRESERVE_NONE long shared_slow_##name(PARAMS, term a, term b)              \
    {                                                                          \
        S->a[0] = a;                                                           \
        S->a[1] = b;                                                           \
        SLOW_CALL(v, slow_##name);                                             \
        if (unlikely(v == THE_NON_VALUE)) {                                    \
            const struct slow_at *at = (const struct slow_at *)RET_ADDR;       \
                                                                               \
            S->live = (uint32_t)at->live;                                      \
            S->fail = at->fail ? place(&at->fail) : NULL;                      \
            S->self = place(&at->self);                                        \
            return t1_slow_failed(ARGS);                                       \
        }                                                                      \
        return back(ARGS, v);                                                  \
    }
SHARED_SLOW(add) SHARED_SLOW(sub) SHARED_SLOW(mul)
SHARED_SLOW(band) SHARED_SLOW(bor) SHARED_SLOW(bxor)
SHARED_SLOW(bnot) SHARED_SLOW(neg) SHARED_SLOW(increment) SHARED_SLOW(guard_bif)
SHARED_SLOW(hd) SHARED_SLOW(tl) SHARED_SLOW(element)
SHARED_SLOW(bs_start) SHARED_SLOW(bs_get_tail) SHARED_SLOW(bs_get_integer)
SHARED_SLOW(bs_get_binary)

#define SHARED_TEST(name)                                                      \
    PRESERVE_NONE long shared_slow_##name(PARAMS, term a, term b);             \
    PRESERVE_NONE long shared_slow_##name(PARAMS, term a, term b)              \
    {                                                                          \
        S->a[0] = a;                                                           \
        S->a[1] = b;                                                           \
        return back(ARGS, (term)(int64_t)slow_##name(S));                      \
    }
SHARED_TEST(eq_exact) SHARED_TEST(compare)
