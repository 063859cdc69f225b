/*
 * ets.c - the ets BIFs, but for those that take match specifications.
 *
 * Where OTP checks in a certain order, so that one wrong argument hides
 * another, the order here is the same.
 */
#include "bif/ets_bif.h"
#include "vm/atom.h"
#include "vm/big.h"
#include "vm/ets.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/slice.h"

#include <math.h>

/* Objects copied, compared or inserted per reduction. */
#define OBJECTS_PER_RED 4
#define OBJECT_NS 200           /* to make, insert or find one */
#define COMPARE_NS 20           /* to go on to the next one */

/*
 * Who changes much of a table has to finish first: it is seen before or after.
 * The first that had to wait is next, or those that change it again and again
 * would keep it out for ever. False: p is to wait.
 */
static bool has_turn(struct proc *p, struct ets_table *t)
{
    struct proc *next = t->next == THE_NON_VALUE ? NULL : proc_find(t->next);

    if (next && (next->state != PROC_RUNNABLE || next->flags & PF_SUSPENDED))
        next = NULL;
    if (t->busy) {
        if (!next)
            t->next = p->id;
        slice_wait(p, t->busy);
        return false;
    }
    if (next) {
        slice_wait(p, next);
        return false;
    }
    t->next = THE_NON_VALUE;
    return true;
}

struct ets_table *ets_access(struct proc *p, term id, enum ets_access what)
{
    term cause;
    struct ets_table *t = ets_table_find(id, &cause);

    if (!t) {
        bif_error_cause(p, am_badarg, cause);
        return NULL;
    }
    if (unlikely(t->busy || t->next != THE_NON_VALUE) && !has_turn(p, t))
        return NULL;
    enum ets_protection least = what == ETS_WRITE ? ETS_PUBLIC : ETS_PROTECTED;
    struct ets_proc *e = p->ets;
    if (what != ETS_INFO && t->protection < least && t->owner != p->id
        && !(e && e->super_user)) {
        bif_error_cause(p, am_badarg, am_access);
        return NULL;
    }
    return t;
}

/* A copy of o's tuple before list. */
static term cons_obj(struct proc *p, const struct ets_obj *o, term list)
{
    size_t words = o->words;
    term *hp = heap_alloc(p, words + CONS_WORDS), t = boxed_make(hp);

    if (words == 1 + header_words(o->tuple[0])) {
        /* Elements of one word: nothing to look at. */
        for (size_t i = 0; i < words; i++)
            hp[i] = o->tuple[i];
        hp += words;
    } else {
        struct dest d = {hp, &p->heap.off};

        term_copy_block(&d, o->tuple, words);
        hp = d.htop;
        if (p->heap.off.vheap_words > p->heap.bin_vheap_limit)
            p->heap.want_gc = true;
    }
    return put_cons(&hp, t, list);
}

static bool is_object(const struct ets_table *t, term obj)
{
    return term_is_tuple(obj) && tuple_arity(obj) >= t->keypos;
}

static struct ets_obj *obj_of(struct ets_table *t, term tuple)
{
    return ets_obj_new(t, tuple_at(tuple, 1), tuple_arity(tuple));
}

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

/* Reading. */

/* All objects of a key, oldest first. */
static term lookup(struct proc *p, struct ets_table *t, term key)
{
    struct ets_obj *o = ets_find(t, key);
    term list = TERM_NIL;
    size_t n = 0;

    if (!ets_is_bag(t))
        return o ? cons_obj(p, o, list) : list;
    for (; o; o = ets_find_next(t, o), n++) {
        list = cons_obj(p, o, list);
        slice(OBJECT_NS);
    }
    bif_spend(p, n, OBJECTS_PER_RED);
    return list;
}

BIF(ets, lookup, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    if (!ets_is_bag(t))
        return lookup(p, t, arg[1]);

    ETS_SLICED(p, t, EXP("ets", "lookup", 2));

    return lookup(p, t, arg[1]);
}

BIF(ets, member, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    return t ? bool_make(ets_find(t, arg[1]) != NULL) : THE_NON_VALUE;
}

BIF(ets, lookup_element, 3)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    if (!term_is_small(arg[2]) || small_value(arg[2]) < 1)
        return bif_badarg(p);
    size_t pos = (size_t)small_value(arg[2]);
    struct ets_obj *first = ets_find(t, arg[1]);
    if (!first)
        return bif_error_cause(p, am_badarg, am_badkey);
    if (!ets_is_bag(t))
        return pos > tuple_arity(ets_obj_term(first)) ? bif_badarg(p)
                                                      : term_copy_to(p, first->tuple[pos]);

    ETS_SLICED(p, t, EXP("ets", "lookup_element", 3));

    for (struct ets_obj *o = first; o; o = ets_find_next(t, o)) {
        if (pos > tuple_arity(ets_obj_term(o)))
            return bif_badarg(p);
        slice(OBJECT_NS);
    }
    term list = TERM_NIL;
    for (struct ets_obj *o = first; o; o = ets_find_next(t, o)) {
        term element = term_copy_to(p, o->tuple[pos]);
        term *hp = heap_alloc(p, CONS_WORDS);
        list = put_cons(&hp, element, list);
        slice(OBJECT_NS);
    }
    return list;
}

static term key_or_end(struct proc *p, struct ets_table *t, struct ets_obj *o)
{
    return o ? term_copy_to(p, ets_key(t, o)) : am_EndOfTable;
}

static term edge(struct proc *p, term id, bool last, bool raw)
{
    struct ets_table *t = ets_access(p, id, ETS_READ);
    struct ets_iter it;

    if (!t)
        return THE_NON_VALUE;
    if (!ets_is_tree(t)) {
        /* What is dead, or empty, may be all but one. */
        ETS_SLICED(p, t, NULL);

        return key_or_end(p, t, ets_hash_first(t, raw));
    }
    if (last)
        ets_iter_last(t, &it);
    else
        ets_iter_first(t, &it);
    return key_or_end(p, t, ets_iter_get(&it));
}

static term beside(struct proc *p, term *arg, bool before, bool raw)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);
    struct ets_iter it;

    if (!t)
        return THE_NON_VALUE;
    if (!ets_is_tree(t)) {
        bool end;

        ETS_SLICED(p, t, NULL);

        struct ets_obj *o = ets_hash_after(t, arg[1], raw, &end);
        if (!o && !end)
            return bif_badarg(p);
        return key_or_end(p, t, o);
    }
    /* What ends a walk is no place in a table, though it may be a key. */
    if (arg[1] == am_EndOfTable)
        return bif_badarg(p);
    if (before)
        ets_iter_below(t, &it, arg[1]);
    else
        ets_iter_above(t, &it, arg[1]);
    return key_or_end(p, t, ets_iter_get(&it));
}

BIF(ets, first, 1) { return edge(p, arg[0], false, false); }
BIF(ets, last, 1) { return edge(p, arg[0], true, false); }
BIF(ets, next, 2) { return beside(p, arg, false, false); }
BIF(ets, prev, 2) { return beside(p, arg, true, false); }
BIF(erts_internal, ets_raw_first, 1) { return edge(p, arg[0], false, true); }
BIF(erts_internal, ets_raw_next, 2) { return beside(p, arg, false, true); }

BIF(erts_internal, ets_super_user, 1)
{
    if (!term_is_bool(arg[0]))
        return bif_badarg(p);
    ets_of_proc(p)->super_user = arg[0] == am_true;
    return am_ok;
}

/*
 * [{Address, Bytes, References}] of the large binaries in a key's objects, those
 * included that a fixed table has yet to drop.
 */
BIF(erts_internal, ets_lookup_binary_info, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    term list = TERM_NIL;
    for (struct ets_obj *o = ets_find_raw(t, arg[1]); o; o = ets_find_next_raw(t, o)) {
        for (term *w = o->off; w; w = (term *)w[1]) {
            if (header_type(*w) != BOX_REFCBIN)
                continue;
            struct refbin *b = ((struct refcbin_words *)w)->bin;
            term at = uint64_make(p, (uint64_t)(uintptr_t)b);
            term size = uint64_make(p, b->size);
            term refs = uint64_make(p, (uint64_t)b->refc);
            term *hp = heap_alloc(p, 4 + CONS_WORDS);
            term info = put_tuple3(&hp, at, size, refs);
            list = put_cons(&hp, info, list);
        }
    }
    return list;
}

BIF(ets, slot, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);
    term list = TERM_NIL;

    if (!t)
        return THE_NON_VALUE;
    size_t slots = ets_is_tree(t) ? t->count : t->hash.buckets;
    if (!term_is_small(arg[1]) || small_value(arg[1]) < 0
        || (uint64_t)small_value(arg[1]) > slots)
        return bif_badarg(p);
    size_t i = (size_t)small_value(arg[1]);
    if (i == slots)
        return am_EndOfTable;
    if (ets_is_tree(t)) {
        struct ets_iter it;

        ETS_SLICED(p, t, EXP("ets", "slot", 2));

        bif_spend(p, i, 100);
        for (ets_iter_first(t, &it); i > 0; i--) {
            ets_iter_next(&it);
            slice(COMPARE_NS);
        }
        return cons_obj(p, ets_iter_get(&it), TERM_NIL);
    }
    for (struct ets_obj *o = ets_hash_live(ets_hash_bucket(t, i)); o;
         o = ets_hash_live(o->next))
        list = cons_obj(p, o, list);
    return list;
}

/* Writing. */

/*
 * Objects of a tuple or a proper list of tuples, linked by next; false if it
 * is neither. NULL and true: no object, or memory is out (*failed).
 *
 * A list for a bag comes out backwards: OTP inserts its last element first, and
 * lookup/2 shows it.
 */
static bool objects_of(struct proc *p, struct ets_table *t, term what,
                       struct ets_obj **first, bool *failed)
{
    struct ets_obj **at = first;
    term cell[2] = {what, TERM_NIL};
    term list = term_is_tuple(what) ? cons_make(cell) : what, l = list;
    size_t n = 0;

    *first = NULL;
    *failed = false;
    for (; term_is_cons(l); l = cons_tail(l)) {
        if (!is_object(t, cons_head(l)))
            return false;
        slice(10);
    }
    if (!term_is_nil(l))
        return false;
    for (l = list; term_is_cons(l); l = cons_tail(l), n++) {
        struct ets_obj *o = obj_of(t, cons_head(l));
        if (!o) {
            *failed = true;
            break;
        }
        slice(OBJECT_NS);
        if (t->type == ETS_BAG) {
            o->next = *first;
            *first = o;
        } else {
            o->next = NULL;
            *at = o;
            at = &o->next;
        }
    }
    bif_spend(p, n, OBJECTS_PER_RED);
    return true;
}

static void free_objects(struct ets_table *t, struct ets_obj *o)
{
    struct ets_obj *next;

    for (; o; o = next) {
        next = o->next;
        ets_obj_free(t, o);
    }
}

static term insert_objects(struct proc *p, struct ets_table *t, term what, bool only_new)
{
    struct ets_obj *first, *next;
    bool failed;

    if (!objects_of(p, t, what, &first, &failed))
        return bif_badarg(p);
    if (failed) {
        free_objects(t, first);
        return bif_error(p, am_system_limit);
    }
    for (struct ets_obj *o = first; o && only_new; o = o->next) {
        if (ets_find(t, ets_key(t, o))) {
            free_objects(t, first);
            return am_false;
        }
        slice(OBJECT_NS);
    }
    for (struct ets_obj *o = first; o; o = next) {
        next = o->next;
        ets_insert(t, o);
        slice(OBJECT_NS);
    }
    return am_true;
}

/* A list of objects goes in at once, though in slices: t is busy meanwhile. */
static term insert(struct proc *p, term *arg, bool only_new)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;
    /* All of a key's objects move with their bucket. */
    if (ets_is_bag(t) || (term_is_cons(arg[1]) && term_is_cons(cons_tail(arg[1])))) {
        ETS_SLICED(p, t, only_new ? EXP("ets", "insert_new", 2) : EXP("ets", "insert", 2));
        return insert_objects(p, t, arg[1], only_new);
    }
    return insert_objects(p, t, arg[1], only_new);
}

BIF(ets, insert, 2) { return insert(p, arg, false); }
BIF(ets, insert_new, 2) { return insert(p, arg, true); }

BIF(ets, take, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;

    ETS_SLICED(p, t, EXP("ets", "take", 2));

    term list = lookup(p, t, arg[1]);

    ets_delete_key(t, arg[1]);
    return list;
}

BIF_AS(ets, delete_key, 2, "delete")
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);

    if (!t)
        return THE_NON_VALUE;
    if (ets_is_bag(t)) {
        ETS_SLICED(p, t, EXP("ets", "delete", 2));
        bif_spend(p, ets_delete_key(t, arg[1]), OBJECTS_PER_RED);
    } else {
        ets_delete_key(t, arg[1]);
    }
    return am_true;
}

BIF(ets, delete_object, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);
    struct ets_obj *next;

    if (!t)
        return THE_NON_VALUE;
    if (!is_object(t, arg[1]))
        return bif_badarg(p);

    ETS_SLICED(p, t, EXP("ets", "delete_object", 2));

    for (struct ets_obj *o = ets_find(t, *tuple_at(arg[1], t->keypos)); o;
         o = next) {
        slice(COMPARE_NS);
        next = ets_find_next(t, o);
        if (term_eq(ets_obj_term(o), arg[1]))
            ets_delete_obj(t, o);
    }
    return am_true;
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
                slice(OBJECT_NS);
            }
        }
        t->busy = NULL;
    } else {
        ets_table_clear(t);
    }
    bif_spend(p, n, 10);
    return uint64_make(p, n);
}

/* Updating. */

/* The elements of a tuple, to be changed one by one. */
struct elements {
    term *at;               /* from 1, as positions are */
    size_t n;
    term local[33];
};

static void elements_init(struct elements *e, const term *tuple, size_t n)
{
    e->n = n;
    e->at = n < 33 ? e->local : vm_alloc(ALLOC_ETS, (n + 1) * sizeof(term));
    memcpy(e->at + 1, tuple + 1, n * sizeof(term));
}

static void elements_fini(struct elements *e)
{
    if (e->at != e->local)
        vm_free(e->at);
}

/* Store them in place of old (or as a new object); false: out of memory. */
static bool elements_store(struct ets_table *t, struct elements *e,
                           struct ets_obj *old)
{
    bool in_place = old != NULL;

    for (size_t i = 1; i <= e->n && in_place; i++) {
        in_place = e->at[i] == old->tuple[i]
                   || (term_is_imm(e->at[i]) && term_is_imm(old->tuple[i]));
    }
    if (in_place) {
        memcpy(old->tuple + 1, e->at + 1, e->n * sizeof(term));
        return true;
    }
    struct ets_obj *o = ets_obj_new(t, e->at + 1, e->n);
    if (!o)
        return false;
    if (old)
        ets_replace(t, old, o);
    else
        ets_insert(t, o);
    return true;
}

static size_t obj_arity(const struct ets_obj *o)
{
    return header_words(o->tuple[0]);
}

BIF(ets, update_element, 3)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);
    struct elements e;

    if (!t)
        return THE_NON_VALUE;
    if (t->type == ETS_BAG || t->type == ETS_DUPLICATE_BAG)
        return bif_badarg(p);
    struct ets_obj *o = ets_find(t, arg[1]);
    if (!o)
        return am_false;

    term cell[2] = {arg[2], TERM_NIL};
    term list = term_is_tuple(arg[2]) ? cons_make(cell) : arg[2], l = list;
    for (; term_is_cons(l); l = cons_tail(l)) {
        term pv = cons_head(l);
        if (!term_is_tuple_of(pv, 2) || !term_is_small(*tuple_at(pv, 1)))
            return bif_badarg(p);
        int64_t pos = small_value(*tuple_at(pv, 1));
        if (pos == (int64_t)t->keypos)
            return bif_error_cause(p, am_badarg, am_keypos);
        if (pos < 1 || (uint64_t)pos > obj_arity(o))
            return bif_badarg(p);
    }
    if (!term_is_nil(l))
        return bif_badarg(p);

    elements_init(&e, o->tuple, obj_arity(o));
    for (l = list; term_is_cons(l); l = cons_tail(l)) {
        term pv = cons_head(l);
        e.at[small_value(*tuple_at(pv, 1))] = *tuple_at(pv, 2);
    }
    bool stored = elements_store(t, &e, o);
    elements_fini(&e);
    return stored ? am_true : bif_error(p, am_system_limit);
}

/* The sum of two integers on p's heap; THE_NON_VALUE: too large. */
static term add_integers(struct proc *p, term a, term b)
{
    if (term_both_small(a, b))
        return int64_make(p, small_value(a) + small_value(b));

    /*
     * num_add() wants room at htop or a collection, which a BIF can't have:
     * lend it a heap. What it says on failure is system_limit.
     */
    size_t need = (term_is_big(a) ? big_digits(a) : 1)
                  + (term_is_big(b) ? big_digits(b) : 1) + 4 + HEAP_RESERVE;
    term sum;
    for (;;) {
        struct mbuf *m = mbuf_new(need);
        struct heap own = p->heap;
        p->heap = (struct heap){.heap = m->words, .htop = m->words,
                                .stop = m->words + need, .hend = m->words + need,
                                .bin_vheap_limit = SIZE_MAX};
        p->need_words = 0;
        sum = num_add(p, a, b);
        struct mbuf *more = p->heap.mbuf;
        p->heap = own;
        if (sum != THE_NON_VALUE)
            sum = term_copy_to(p, sum);
        mbuf_free(more);
        mbuf_free(m);
        if (sum != THE_NON_VALUE || p->need_words == 0)
            return sum;
        need += p->need_words;
        p->need_words = 0;
    }
}

/*
 * {Pos, Incr} or {Pos, Incr, Threshold, SetValue}; NONE if it may be applied,
 * else false (badarg without a cause) or the cause.
 */
static term check_counter_op(struct ets_table *t, const struct elements *e,
                             term op)
{
    if (!term_is_tuple_of(op, 2) && !term_is_tuple_of(op, 4))
        return am_false;
    if (tuple_arity(op) == 4
        && (!term_is_integer(*tuple_at(op, 3)) || !term_is_integer(*tuple_at(op, 4))))
        return am_false;
    if (!term_is_small(*tuple_at(op, 1)) || !term_is_integer(*tuple_at(op, 2)))
        return am_false;
    int64_t pos = small_value(*tuple_at(op, 1));
    if (pos == (int64_t)t->keypos)
        return am_keypos;
    if (pos < 1 || (uint64_t)pos > e->n)
        return am_position;
    return term_is_integer(e->at[pos]) ? THE_NON_VALUE : am_false;
}

/* The new value; THE_NON_VALUE: too large. */
static term apply_counter_op(struct proc *p, struct elements *e, term op)
{
    int64_t pos = small_value(*tuple_at(op, 1));
    term incr = *tuple_at(op, 2);
    term v = add_integers(p, e->at[pos], incr);

    if (v == THE_NON_VALUE)
        return v;
    if (tuple_arity(op) == 4) {
        int c = term_compare(v, *tuple_at(op, 3));
        bool down = term_compare(incr, small_make(0)) < 0;
        if (down ? c < 0 : c > 0)
            v = *tuple_at(op, 4);
    }
    e->at[pos] = v;
    return v;
}

static term update_counter(struct proc *p, term *arg, term init)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);
    struct elements e;

    if (!t)
        return THE_NON_VALUE;
    if (init != THE_NON_VALUE && !term_is_tuple(init))
        return bif_badarg(p);
    if (t->type == ETS_BAG || t->type == ETS_DUPLICATE_BAG)
        return bif_error_cause(p, am_badarg, am_table_type);
    struct ets_obj *o = ets_find(t, arg[1]);
    if (!o && init == THE_NON_VALUE)
        return bif_error_cause(p, am_badarg, am_badkey);
    if (!o && !is_object(t, init))
        return bif_badarg(p);
    if (o) {
        elements_init(&e, o->tuple, obj_arity(o));
    } else {
        elements_init(&e, boxed_ptr(init), tuple_arity(init));
        e.at[t->keypos] = arg[1];
    }

    /* An integer or a tuple is a list of one, but for the result. */
    term op[3] = {TUPLE_HEADER(2), small_make((int64_t)t->keypos + 1), arg[2]};
    term cell[2] = {term_is_integer(arg[2]) ? boxed_make(op) : arg[2], TERM_NIL};
    bool one = term_is_integer(arg[2]) || term_is_tuple(arg[2]);
    term list = one ? cons_make(cell) : arg[2], l = list;
    term result = TERM_NIL;

    for (; term_is_cons(l); l = cons_tail(l)) {
        term cause = check_counter_op(t, &e, cons_head(l));
        if (cause != THE_NON_VALUE) {
            elements_fini(&e);
            return cause == am_false ? bif_badarg(p)
                                     : bif_error_cause(p, am_badarg, cause);
        }
    }
    if (!term_is_nil(l)) {
        elements_fini(&e);
        return bif_badarg(p);
    }

    term *last = &result;
    for (l = list; term_is_cons(l); l = cons_tail(l)) {
        term v = apply_counter_op(p, &e, cons_head(l));
        if (v == THE_NON_VALUE) {
            elements_fini(&e);
            return bif_error(p, am_system_limit);
        }
        if (one) {
            result = v;
        } else {
            term *hp = heap_alloc(p, CONS_WORDS);
            *last = put_cons(&hp, v, TERM_NIL);
            last = hp - 1;
        }
    }
    bool stored = elements_store(t, &e, o);
    elements_fini(&e);
    return stored ? result : bif_error(p, am_system_limit);
}

BIF(ets, update_counter, 3) { return update_counter(p, arg, THE_NON_VALUE); }
BIF(ets, update_counter, 4) { return update_counter(p, arg, arg[3]); }

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

/* Information. */

static term info_fixed(struct proc *p, struct ets_table *t, bool monotonic)
{
    term list = TERM_NIL, time, *hp;

    if (!t->fixes)
        return am_false;
    for (struct ets_fix *f = t->fixes; f; f = f->table_next) {
        term count = uint64_make(p, f->count);
        hp = heap_alloc(p, 3 + CONS_WORDS);
        term pair = put_tuple2(&hp, f->proc->id, count);
        list = put_cons(&hp, pair, list);
    }
    if (monotonic) {
        time = int64_make(p, t->fix_time_ns);
    } else {
        int64_t us = (t->fix_time_ns + t->fix_offset_ns) / 1000;
        hp = heap_alloc(p, 4);
        time = put_tuple3(&hp, small_make(us / 1000000000000),
                          small_make(us / 1000000 % 1000000),
                          small_make(us % 1000000));
    }
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, time, list);
}

/* Chain lengths: {Buckets, Avg, StdDev, StdDevExpected, Min, Max, Kept, Locks} */
static term info_stats(struct proc *p, struct ets_table *t)
{
    size_t n = t->hash.buckets, min = SIZE_MAX, max = 0, kept = 0;
    double sum = 0, squares = 0;

    if (ets_is_tree(t))
        return am_false;
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        for (struct ets_obj *o = ets_hash_bucket(t, i); o; o = o->next) {
            len++;
            kept += o->dead;
        }
        sum += (double)len;
        squares += (double)len * (double)len;
        min = len < min ? len : min;
        max = len > max ? len : max;
    }
    double avg = sum / (double)n;
    double dev = sqrt(fmax(0, squares / (double)n - avg * avg));
    double expected = sqrt(avg * (1 - 1.0 / (double)n));
    term *hp = heap_alloc(p, 9 + 3 * FLOAT_WORDS);
    term a = float_make(&hp, avg), b = float_make(&hp, dev);
    term c = float_make(&hp, expected);
    hp[0] = TUPLE_HEADER(8);
    hp[1] = small_make((int64_t)n);
    hp[2] = a;
    hp[3] = b;
    hp[4] = c;
    hp[5] = small_make((int64_t)min);
    hp[6] = small_make((int64_t)max);
    hp[7] = small_make((int64_t)kept);
    hp[8] = small_make(1);
    return boxed_make(hp);
}

static term info(struct proc *p, struct ets_table *t, term what)
{
    static const term types[] = {am_set, am_bag, am_duplicate_bag, am_ordered_set};
    static const term protections[] = {am_private, am_protected, am_public};

    switch (what) {
    case am_size: return uint64_make(p, t->count);
    case am_type: return types[t->type];
    case am_memory: return uint64_make(p, (t->bytes + 7) / sizeof(term));
    case am_owner: return t->owner;
    case am_heir: return t->heir;
    case am_protection: return protections[t->protection];
    /* As OTP with one scheduler: no fine-grained locks, no counters apart. */
    case am_write_concurrency:
    case am_decentralized_counters: return am_false;
    case am_read_concurrency: return bool_make(t->read_concurrency);
    case am_name: return t->name;
    case am_keypos: return small_make((int64_t)t->keypos);
    case am_node: return node_name();
    case am_named_table: return bool_make(t->named);
    case am_compressed: return bool_make(t->compressed);
    case am_id: return term_copy_to(p, t->tid);
    case am_fixed: return bool_make(t->fixes != NULL);
    case am_safe_fixed: return info_fixed(p, t, false);
    case am_safe_fixed_monotonic_time: return info_fixed(p, t, true);
    case am_stats: return info_stats(p, t);
    }
    return THE_NON_VALUE;
}

/* For info/1,2: a table that is gone gives undefined, other things badarg. */
static struct ets_table *info_table(struct proc *p, term id, term *result)
{
    term cause;
    struct ets_table *t = ets_table_find(id, &cause);

    if (!t)
        *result = cause == am_id ? am_undefined
                                 : bif_error_cause(p, am_badarg, cause);
    return t;
}

BIF(ets, info, 1)
{
    static const term fields[] = {
        am_protection, am_keypos, am_type, am_named_table, am_node, am_size,
        am_name, am_heir, am_owner, am_memory, am_compressed,
        am_write_concurrency, am_read_concurrency, am_decentralized_counters,
        am_id,
    };
    term list = TERM_NIL;
    struct ets_table *t = info_table(p, arg[0], &list);

    for (size_t i = 0; t && i < sizeof fields / sizeof *fields; i++) {
        term value = info(p, t, fields[i]);
        term *hp = heap_alloc(p, 3 + CONS_WORDS);
        value = put_tuple2(&hp, fields[i], value);
        list = put_cons(&hp, value, list);
    }
    return list;
}

BIF_AS(ets, info_item, 2, "info")
{
    term result;

    if (arg[1] == am_binary)
        return bif_trap(p, EXP("erts_internal", "ets_info_binary", 1), arg, 1);
    struct ets_table *t = info_table(p, arg[0], &result);
    if (!t)
        return result;
    result = info(p, t, arg[1]);
    return result == THE_NON_VALUE ? bif_badarg(p) : result;
}

/*
 * ets:all/0 waits for one {Ref, Tables} from each scheduler, and there is one:
 * p has its answer before it gets the reference.
 */
BIF(ets, internal_request_all, 0)
{
    uint64_t number[2];
    term *hp = heap_alloc(p, REF_WORDS);

    ref_next(number);
    term ref = ref_put(&hp, number);

    size_t words = 3 + REF_WORDS + vm.ets->tables * (CONS_WORDS + MAGIC_WORDS);
    struct mbuf *m = mbuf_new(words);
    struct dest d = {.htop = m->words, .off = &m->off};
    term list = TERM_NIL;
    for (struct ets_table *t = vm.ets->all; t; t = t->all_next) {
        term id = t->named ? t->name : term_copy(&d, t->tid);
        list = put_cons(&d.htop, id, list);
    }
    term copy = ref_put(&d.htop, number);
    term message = put_tuple2(&d.htop, copy, list);
    m->used = (size_t)(d.htop - m->words);
    bif_spend(p, vm.ets->tables, 10);
    msg_send_mbuf(p, m, message);
    return ref;
}
