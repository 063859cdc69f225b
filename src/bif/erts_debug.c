/*
 * erts_debug.c - the BIFs of erts_debug that look into terms.
 */
#include "bif/bif.h"
#include "vm/ops.h"
#include "vm/slice.h"

BIF(erts_debug, size_shared, 1)
{
    SLICED(p, EXP("erts_debug", "size_shared", 1));

    return small_make((int64_t)term_size_shared(arg[0]));
}

/* copy_shared(Term, CopyLiterals): literals never need to be copied here. */
BIF(erts_debug, copy_shared, 2)
{
    if (!term_is_bool(arg[1]))
        return bif_badarg(p);
    SLICED(p, EXP("erts_debug", "copy_shared", 2));

    return term_copy_shared(p, arg[0]);
}
