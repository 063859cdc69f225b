/*
 * ets_table.c - the ets BIFs on tables as such: make, name and delete them, whose
 * they are, who may use them, that they stay as they are meanwhile.
 */
#include "bif/ets_bif.h"
#include "vm/big.h"
#include "vm/ops.h"

/* new/2 */

struct options {
    enum ets_type type;
    enum ets_protection protection;
    bool named, compressed, read, locks;
    size_t keypos;
    term heir, heir_data;
};

#define LOCKS_MAX 32768

/* Looked at only: with one scheduler there is nothing to lock. */
static bool write_concurrency(struct options *o, term v)
{
    int64_t n;

    o->locks = term_is_tuple_of(v, 2)
               && *tuple_at(v, 1) == am_debug_hash_fixed_number_of_locks
               && term_to_int64(*tuple_at(v, 2), &n) && n >= 1 && n <= LOCKS_MAX;
    return o->locks || v == am_auto || term_is_bool(v);
}

static bool option(struct options *o, term v)
{
    switch (v) {
    case am_set:
    case am_protected:
        return true;        /* OTP takes these as no change, not as a change */
    case am_bag: o->type = ETS_BAG; return true;
    case am_duplicate_bag: o->type = ETS_DUPLICATE_BAG; return true;
    case am_ordered_set: o->type = ETS_ORDERED_SET; return true;
    case am_public: o->protection = ETS_PUBLIC; return true;
    case am_private: o->protection = ETS_PRIVATE; return true;
    case am_named_table: o->named = true; return true;
    case am_compressed: o->compressed = true; return true;
    }
    if (term_is_tuple_of(v, 3)) {
        if (*tuple_at(v, 1) != am_heir || !term_is_local_pid(*tuple_at(v, 2)))
            return false;
        o->heir = *tuple_at(v, 2);
        o->heir_data = *tuple_at(v, 3);
        return true;
    }
    if (!term_is_tuple_of(v, 2))
        return false;
    term value = *tuple_at(v, 2);
    switch (*tuple_at(v, 1)) {
    case am_keypos:
        if (!term_is_small(value) || small_value(value) < 1)
            return false;
        o->keypos = (size_t)small_value(value);
        return true;
    case am_write_concurrency:
        return write_concurrency(o, value);
    case am_read_concurrency:
        o->read = value == am_true;
        return term_is_bool(value);
    case am_decentralized_counters: return term_is_bool(value);
    case am_heir:
        o->heir = am_none;
        return value == am_none;
    }
    return false;
}

BIF(ets, new, 2)
{
    struct options o = {.protection = ETS_PROTECTED, .keypos = 1, .heir = am_none};
    term list = arg[1];

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    for (; term_is_cons(list); list = cons_tail(list)) {
        if (!option(&o, cons_head(list)))
            return bif_badarg(p);
    }
    if (!term_is_nil(list) || (o.type == ETS_ORDERED_SET && o.locks))
        return bif_badarg(p);

    struct ets_table *t = ets_table_new(p, arg[0], o.named, o.type, o.keypos);
    if (!t)
        return bif_error_cause(p, am_badarg, am_already_exists);
    t->protection = o.protection;
    t->compressed = o.compressed;
    if (o.protection != ETS_PRIVATE)
        t->read_concurrency = o.read;
    ets_heir_set(t, o.heir, o.heir_data);
    return o.named ? arg[0] : term_copy_to(p, t->tid);
}

BIF(ets, whereis, 1)
{
    term cause;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    struct ets_table *t = ets_table_find(arg[0], &cause);
    return t ? term_copy_to(p, t->tid) : am_undefined;
}

BIF(ets, rename, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;
    if (!term_is_atom(arg[1]))
        return bif_badarg(p);
    if (!t->named) {
        t->name = arg[1];
        return arg[0];
    }
    /* Renaming to its own name fails too, as in OTP. */
    term cause;
    if (ets_table_find(arg[1], &cause))
        return bif_badarg(p);
    ets_name_remove(t);
    ets_name_put(t, arg[1]);
    return arg[1];
}

/*
 * Deleting a table: it is gone at once, but its objects are freed in slices.
 * Until then it is p's own, so that p's end would see to the rest.
 */
static term delete_slice(struct proc *p, struct ets_table *t, term ref)
{
    int32_t budget = (int32_t)bif_budget(p, 1), reds = budget;
    bool done;

    {
        SLICED(p, EXP("erts_internal", "ets_delete_trap", 1));

        done = ets_table_empty(t, &reds);
    }
    bif_spend(p, (size_t)(budget - reds), 1);
    if (done)
        return am_true;
    return bif_trap(p, EXP("erts_internal", "ets_delete_trap", 1), &ref, 1);
}

BIF(erts_internal, ets_delete_trap, 1)
{
    term cause;
    struct ets_proc *e = p->ets;

    if (!term_is_ref(arg[0]) || ets_table_find(arg[0], &cause) || cause != am_id)
        return bif_badarg(p);
    for (struct ets_table *t = e ? e->tables : NULL; t; t = t->owner_next) {
        if (t->deleted && term_eq(t->tid, arg[0]))
            return delete_slice(p, t, arg[0]);
    }
    return am_true;
}

BIF(ets, delete, 1)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;
    term ref = term_copy_to(p, t->tid);
    if (t->owner != p->id)
        ets_owner_set(t, p);
    ets_table_delete(t);
    return delete_slice(p, t, ref);
}

/* delete_all_objects/1 and select_delete of everything: how many there were. */
BIF(ets, internal_delete_all, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;
    size_t n = t->count;
    SLICED(p, EXP("ets", "internal_delete_all", 2));
    if (t->fix_count > 0 && !ets_is_tree(t)) {
        struct ets_obj *next;

        ets_busy(p, t);
        for (size_t i = 0; i < t->hash.buckets; i++) {
            for (struct ets_obj *o = ets_hash_live(ets_hash_bucket(t, i)); o;
                 o = next) {
                next = ets_hash_live(o->next);
                ets_hash_delete(t, o);
                slice(ETS_OBJECT_NS);
            }
        }
        t->busy = NULL;
    } else {
        ets_table_clear(t);
    }
    bif_spend(p, n, 10);
    return uint64_make(p, n);
}

/* Owners. */

BIF(ets, give_away, 3)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;
    struct proc *to = term_is_local_pid(arg[1]) ? proc_find(arg[1]) : NULL;
    if (!to)
        return bif_badarg(p);
    if (t->owner != p->id)
        return bif_error_cause(p, am_badarg, am_not_owner);
    if (to == p)
        return bif_error_cause(p, am_badarg, am_owner);
    ets_transfer(t, to, p->id, arg[2]);
    return am_true;
}

BIF(ets, setopts, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);
    term heir = THE_NON_VALUE, heir_data = TERM_NIL;
    int protection = -1;

    if (!t)
        return THE_NON_VALUE;
    term cell[2] = {arg[1], TERM_NIL};
    term l = term_is_tuple(arg[1]) ? cons_make(cell) : arg[1];
    for (; term_is_cons(l); l = cons_tail(l)) {
        term o = cons_head(l);
        if (!term_is_tuple(o) || tuple_arity(o) < 2)
            return bif_badarg(p);
        term value = *tuple_at(o, 2);
        if (*tuple_at(o, 1) == am_heir && heir == THE_NON_VALUE) {
            if (tuple_arity(o) == 3 && term_is_local_pid(value))
                heir_data = *tuple_at(o, 3);
            else if (tuple_arity(o) != 2 || value != am_none)
                return bif_badarg(p);
            heir = value;
        } else if (*tuple_at(o, 1) == am_protection && tuple_arity(o) == 2
                   && protection < 0) {
            protection = value == am_private     ? ETS_PRIVATE
                         : value == am_protected ? ETS_PROTECTED
                         : value == am_public    ? ETS_PUBLIC
                                                 : -1;
            if (protection < 0)
                return bif_badarg(p);
        } else {
            return bif_badarg(p);
        }
    }
    if (!term_is_nil(l) || t->owner != p->id)
        return bif_badarg(p);
    if (heir != THE_NON_VALUE)
        ets_heir_set(t, heir, heir_data);
    if (protection >= 0)
        t->protection = (enum ets_protection)protection;
    return am_true;
}

/* What was deleted meanwhile goes now. */
static void unfix(struct proc *p, struct ets_table *t)
{
    ETS_SLICED(p, t, EXP("ets", "safe_fixtable", 2));
    ets_unfix(t, p);
}

BIF(ets, safe_fixtable, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    if (arg[1] == am_true)
        ets_fix(t, p);
    else if (arg[1] == am_false)
        unfix(p, t);
    else
        return bif_badarg(p);
    return am_true;
}

BIF(erts_internal, ets_super_user, 1)
{
    if (!term_is_bool(arg[0]))
        return bif_badarg(p);
    ets_of_proc(p)->super_user = arg[0] == am_true;
    return am_ok;
}
