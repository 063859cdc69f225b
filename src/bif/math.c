/*
 * math.c - the module math: the C library's functions.
 *
 * As in OTP: what is no number is badarg; an integer too large for a double,
 * or a result that is not finite, is badarith.
 */
#include "bif/bif.h"
#include "vm/big.h"

#include <math.h>

static term result(struct proc *p, double d)
{
    term *hp;

    if (!isfinite(d))
        return bif_error(p, am_badarith);
    hp = heap_alloc(p, FLOAT_WORDS);
    return float_make(&hp, d);
}

static bool number(struct proc *p, term t, double *d)
{
    if (num_to_double(t, d))
        return true;
    bif_error(p, term_is_number(t) ? am_badarith : am_badarg);
    return false;
}

static term math1(struct proc *p, const term *arg, double (*f)(double))
{
    double x;

    return number(p, arg[0], &x) ? result(p, f(x)) : THE_NON_VALUE;
}

static term math2(struct proc *p, const term *arg, double (*f)(double, double))
{
    double x, y;

    if (!number(p, arg[0], &x) || !number(p, arg[1], &y))
        return THE_NON_VALUE;
    return result(p, f(x, y));
}

BIF(math, sin, 1)
{
    return math1(p, arg, sin);
}

BIF(math, sinh, 1)
{
    return math1(p, arg, sinh);
}

BIF(math, asin, 1)
{
    return math1(p, arg, asin);
}

BIF(math, asinh, 1)
{
    return math1(p, arg, asinh);
}

BIF(math, cos, 1)
{
    return math1(p, arg, cos);
}

BIF(math, cosh, 1)
{
    return math1(p, arg, cosh);
}

BIF(math, acos, 1)
{
    return math1(p, arg, acos);
}

BIF(math, acosh, 1)
{
    return math1(p, arg, acosh);
}

BIF(math, tan, 1)
{
    return math1(p, arg, tan);
}

BIF(math, tanh, 1)
{
    return math1(p, arg, tanh);
}

BIF(math, atan, 1)
{
    return math1(p, arg, atan);
}

BIF(math, atanh, 1)
{
    return math1(p, arg, atanh);
}

BIF(math, atan2, 2)
{
    return math2(p, arg, atan2);
}

BIF(math, erf, 1)
{
    return math1(p, arg, erf);
}

BIF(math, erfc, 1)
{
    return math1(p, arg, erfc);
}

BIF(math, exp, 1)
{
    return math1(p, arg, exp);
}

BIF(math, log, 1)
{
    return math1(p, arg, log);
}

BIF(math, log2, 1)
{
    return math1(p, arg, log2);
}

BIF(math, log10, 1)
{
    return math1(p, arg, log10);
}

BIF(math, sqrt, 1)
{
    return math1(p, arg, sqrt);
}

BIF(math, pow, 2)
{
    return math2(p, arg, pow);
}

BIF(math, fmod, 2)
{
    return math2(p, arg, fmod);
}

BIF(math, floor, 1)
{
    return math1(p, arg, floor);
}

BIF(math, ceil, 1)
{
    return math1(p, arg, ceil);
}
