/*
 * ets.c - the ets BIFs on objects: read, insert and delete them, go from one to
 * the next. Those that take match specifications are in ets_select.c.
 *
 * Where OTP checks in a certain order, so that one wrong argument hides
 * another, the order here is the same; so it is in the other files of ets BIFs.
 */
#include "bif/ets_bif.h"
#include "vm/ops.h"

/* Objects copied, compared or inserted per reduction. */
#define OBJECTS_PER_RED 4
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

static struct ets_obj *obj_of(struct ets_table *t, term tuple)
{
    return ets_obj_new(t, tuple_at(tuple, 1), tuple_arity(tuple));
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
        slice(ETS_OBJECT_NS);
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
        slice(ETS_OBJECT_NS);
    }
    term list = TERM_NIL;
    for (struct ets_obj *o = first; o; o = ets_find_next(t, o)) {
        term element = term_copy_to(p, o->tuple[pos]);
        term *hp = heap_alloc(p, CONS_WORDS);
        list = put_cons(&hp, element, list);
        slice(ETS_OBJECT_NS);
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
        if (!ets_is_object(t, cons_head(l)))
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
        slice(ETS_OBJECT_NS);
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
        slice(ETS_OBJECT_NS);
    }
    for (struct ets_obj *o = first; o; o = next) {
        next = o->next;
        ets_insert(t, o);
        slice(ETS_OBJECT_NS);
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
    if (!ets_is_object(t, arg[1]))
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
