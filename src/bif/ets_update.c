/*
 * ets_update.c - ets:update_element and ets:update_counter: some elements of an
 * object change, all or none of them.
 */
#include "bif/ets_bif.h"
#include "vm/big.h"
#include "vm/ops.h"

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

BIF(ets, update_element, 3)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_WRITE);
    struct elements e;

    if (!t)
        return THE_NON_VALUE;
    if (ets_is_bag(t))
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
        if (pos < 1 || (uint64_t)pos > tuple_arity(ets_obj_term(o)))
            return bif_badarg(p);
    }
    if (!term_is_nil(l))
        return bif_badarg(p);

    elements_init(&e, o->tuple, tuple_arity(ets_obj_term(o)));
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
    if (ets_is_bag(t))
        return bif_error_cause(p, am_badarg, am_table_type);
    struct ets_obj *o = ets_find(t, arg[1]);
    if (!o && init == THE_NON_VALUE)
        return bif_error_cause(p, am_badarg, am_badkey);
    if (!o && !ets_is_object(t, init))
        return bif_badarg(p);
    if (o) {
        elements_init(&e, o->tuple, tuple_arity(ets_obj_term(o)));
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
