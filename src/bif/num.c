/*
 * num.c - arithmetic as functions of erlang: what the instructions do not do
 * themselves, apply/3, and what has no instruction.
 */
#include "bif/bif.h"
#include "vm/big.h"

#include <math.h>

GUARD_AS(erlang, plus, 1, "+")
{
    return term_is_number(arg[0]) ? arg[0] : bif_error(p, am_badarith);
}

GUARD_AS(erlang, minus, 1, "-")
{
    return num_neg(p, arg[0]);
}

GUARD_AS(erlang, plus, 2, "+")
{
    return num_add(p, arg[0], arg[1]);
}

GUARD_AS(erlang, minus, 2, "-")
{
    return num_sub(p, arg[0], arg[1]);
}

GUARD_AS(erlang, times, 2, "*")
{
    return num_mul(p, arg[0], arg[1]);
}

GUARD_AS(erlang, fdiv, 2, "/")
{
    return num_fdiv(p, arg[0], arg[1]);
}

GUARD(erlang, div, 2)
{
    return num_div(p, arg[0], arg[1]);
}

GUARD(erlang, rem, 2)
{
    return num_rem(p, arg[0], arg[1]);
}

GUARD(erlang, band, 2)
{
    return num_band(p, arg[0], arg[1]);
}

GUARD(erlang, bor, 2)
{
    return num_bor(p, arg[0], arg[1]);
}

GUARD(erlang, bxor, 2)
{
    return num_bxor(p, arg[0], arg[1]);
}

GUARD(erlang, bsl, 2)
{
    return num_bsl(p, arg[0], arg[1]);
}

GUARD(erlang, bsr, 2)
{
    return num_bsr(p, arg[0], arg[1]);
}

GUARD(erlang, bnot, 1)
{
    return num_bnot(p, arg[0]);
}

GUARD(erlang, abs, 1)
{
    return num_abs(p, arg[0]);
}

/* float/1. An integer no double can hold is badarg here, not badarith. */
GUARD(erlang, float, 1)
{
    double d;
    term *hp;

    if (term_is_float(arg[0]))
        return arg[0];
    if (!num_to_double(arg[0], &d))
        return bif_badarg(p);
    hp = heap_try(p, FLOAT_WORDS);
    return hp ? float_make(&hp, d) : THE_NON_VALUE;
}

static term to_integer(struct proc *p, term t, double (*whole)(double))
{
    if (term_is_integer(t))
        return t;
    if (!term_is_float(t))
        return bif_badarg(p);
    return num_from_double(p, whole(float_value(t)));
}

GUARD(erlang, trunc, 1)
{
    return to_integer(p, arg[0], trunc);
}

GUARD(erlang, round, 1)
{
    return to_integer(p, arg[0], round);
}

GUARD(erlang, floor, 1)
{
    return to_integer(p, arg[0], floor);
}

GUARD(erlang, ceil, 1)
{
    return to_integer(p, arg[0], ceil);
}
