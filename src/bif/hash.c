/*
 * hash.c - erlang:phash/2 and erlang:phash2/1,2.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/ops.h"
#include "vm/slice.h"

#define RANGE_MAX ((uint64_t)1 << 32)

/* 1 to 2^32 from a range argument; 0: badarg. */
static uint64_t range_of(term t)
{
    uint64_t range;

    return term_to_uint64(t, &range) && range <= RANGE_MAX ? range : 0;
}

BIF(erlang, phash2, 1)
{
    SLICED(p, EXP("erlang", "phash2", 1));

    return small_make(term_phash2(arg[0]) & ((1 << 27) - 1));
}

BIF(erlang, phash2, 2)
{
    SLICED(p, EXP("erlang", "phash2", 2));
    uint64_t range = range_of(arg[1]);

    return range ? small_make((int64_t)(term_phash2(arg[0]) % range))
                 : bif_badarg(p);
}

BIF(erlang, phash, 2)
{
    SLICED(p, EXP("erlang", "phash", 2));
    uint64_t range = range_of(arg[1]);

    return range ? small_make((int64_t)(term_phash(arg[0]) % range) + 1)
                 : bif_badarg(p);
}
