/*
 * ets_bif.h - what the files of ets BIFs share.
 */
#ifndef BIF_ETS_BIF_H
#define BIF_ETS_BIF_H

#include "bif/bif.h"
#include "vm/ets_table.h"
#include "vm/slice.h"

enum ets_access { ETS_INFO, ETS_READ, ETS_WRITE };
/*
 * The table id names, if p may do that. NULL: badarg is in p->exc, with the
 * cause that erl_stdlib_errors explains.
 */
struct ets_table *ets_access(struct proc *p, term id, enum ets_access what);

/*
 * To the end of the block p works on t in slices: whoever else wants t waits.
 * as: what p is seen in meanwhile.
 */
#define ETS_SLICED(p, t, as)                                                   \
    SLICED(p, as);                                                             \
    __attribute__((cleanup(ets_idle))) struct ets_table *ets_busy_ = ets_busy(p, t)

static inline struct ets_table *ets_busy(struct proc *p, struct ets_table *t)
{
    t->busy = p;
    return t;
}
static inline void ets_idle(struct ets_table **t) { (*t)->busy = NULL; }

/* Under one key there may be any number of objects. */
static inline bool ets_is_bag(const struct ets_table *t)
{
    return t->type == ETS_BAG || t->type == ETS_DUPLICATE_BAG;
}
/* What may be inserted: a tuple that has a key. */
static inline bool ets_is_object(const struct ets_table *t, term obj)
{
    return term_is_tuple(obj) && tuple_arity(obj) >= t->keypos;
}

#define ETS_OBJECT_NS 200       /* to make, insert, find or delete an object */

#endif
