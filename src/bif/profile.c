/*
 * profile.c - ling:profile/1,2: where time goes (vm/profile.h).
 *
 *    ling:profile(start)             -> ok, a look each millisecond
 *    ling:profile(start, Micros)     -> ok, 100 to 1,000,000
 *    ling:profile(stop)              -> folded stacks, as flamegraph.pl takes them
 *    ling:profile(stop, folded|svg)  -> the same, or a flame graph
 */
#include "bif/bif.h"
#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/profile.h"

#define MICROS_MIN 100
#define MICROS_MAX 1000000

static term begin(struct proc *p, int64_t micros)
{
    if (micros < MICROS_MIN || micros > MICROS_MAX)
        return bif_badarg(p);
    profile_start((uint64_t)micros * 1000);
    return am_ok;
}

static term end(struct proc *p, void (*show)(struct text *t))
{
    struct text t;

    profile_stop();
    text_init(&t);
    show(&t);
    term b = binary_from(p, t.s, t.n);
    text_fini(&t);
    return b == THE_NON_VALUE ? bif_error(p, am_system_limit) : b;
}

BIF(ling, profile, 1)
{
    if (arg[0] == am_start)
        return begin(p, PROFILE_INTERVAL_NS / 1000);
    return arg[0] == am_stop ? end(p, profile_folded) : bif_badarg(p);
}

BIF(ling, profile, 2)
{
    if (arg[0] == am_start && term_is_small(arg[1]))
        return begin(p, small_value(arg[1]));
    if (arg[0] == am_stop && arg[1] == am_folded)
        return end(p, profile_folded);
    return arg[0] == am_stop && arg[1] == am_svg ? end(p, profile_svg) : bif_badarg(p);
}
