/*
 * bitsyntax_build.h - what bitsyntax_grow.c and bitsyntax_build.c share.
 */
#ifndef VM_BITSYNTAX_BUILD_H
#define VM_BITSYNTAX_BUILD_H

#include "vm/atom.h"
#include "vm/bitsyntax.h"
#include "vm/exc.h"
#include "vm/sched.h"

#define BITS_PER_RED (8 * 1024)     /* copied; OTP's figure */

/* Raise error:reason; THE_NON_VALUE. */
static inline term bs_fail(struct proc *p, term reason, term cause)
{
    p->need_words = 0;
    return exc_set(p, EXC_ERROR, reason, cause);
}

/* p has copied so many bits. */
static inline void bs_spend(struct proc *p, uint64_t bits)
{
    uint64_t reds = bits / BITS_PER_RED;

    if (reds > SLICE_REDS)
        reds = SLICE_REDS;
    if (p->reds_left > -SLICE_REDS)
        p->reds_left -= (int32_t)reds;
}

/* bs_test_unit() of a size; any size is a multiple of unit 0. */
static inline bool bs_is_multiple(uint64_t bits, uint64_t unit)
{
    /* Mostly a power of two, and dividing is what appending would wait for. */
    return (unit & (unit - 1)) == 0 ? unit == 0 || (bits & (unit - 1)) == 0
                                    : bits % unit == 0;
}

#endif
