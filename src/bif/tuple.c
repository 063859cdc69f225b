/*
 * tuple.c - BIFs on tuples.
 */
#include "bif/bif.h"
#include "vm/ops.h"
#include "vm/slice.h"

/* A tuple whose elements the caller fills in; NULL: no room. */
static term *tuple_new(struct proc *p, size_t arity)
{
    term *t = heap_alloc_big(p, arity + 1);

    if (t)
        t[0] = TUPLE_HEADER(arity);
    return t;
}

/* What is more than COPIED_AT_ONCE of a tuple is copied in slices. */
#define COPIED_AT_ONCE 4096     /* elements */

static void copy_elements(struct proc *p, term *to, const term *from, size_t n)
{
    if (likely(n <= COPIED_AT_ONCE)) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    SLICED(p, NULL);
    slice_copy(to, from, n * sizeof *to);
}

/* 1 to max as a number, 0 for anything else. */
static size_t index_of(term t, size_t max)
{
    if (!term_is_small(t) || small_value(t) < 1 || (uint64_t)small_value(t) > max)
        return 0;
    return (size_t)small_value(t);
}

GUARD(erlang, element, 2)
{
    size_t i = term_is_tuple(arg[1]) ? index_of(arg[0], tuple_arity(arg[1])) : 0;

    return i ? *tuple_at(arg[1], i) : bif_badarg(p);
}

GUARD(erlang, tuple_size, 1)
{
    return term_is_tuple(arg[0]) ? small_make((int64_t)tuple_arity(arg[0]))
                                 : bif_badarg(p);
}

BIF(erlang, setelement, 3)
{
    size_t n = term_is_tuple(arg[1]) ? tuple_arity(arg[1]) : 0;
    size_t i = index_of(arg[0], n);
    term *t;

    if (!i)
        return bif_badarg(p);
    t = tuple_new(p, n);
    if (!t)
        return bif_error(p, am_system_limit);
    copy_elements(p, t + 1, tuple_at(arg[1], 1), n);
    t[i] = arg[2];
    return boxed_make(t);
}

static term *filled(struct proc *p, term arity, term value)
{
    term *t;

    if (!term_is_small(arity) || small_value(arity) < 0 ||
        small_value(arity) > (int64_t)TUPLE_MAX_ARITY) {
        bif_badarg(p);
        return NULL;
    }
    size_t n = (size_t)small_value(arity);
    t = tuple_new(p, n);
    if (!t) {
        bif_error(p, am_system_limit);
        return NULL;
    }
    for (size_t i = 1; i <= n; i++) {
        t[i] = value;
        if (unlikely(i % COPIED_AT_ONCE == 0))
            slice(COPIED_AT_ONCE * 4);
    }
    return t;
}

BIF(erlang, make_tuple, 2)
{
    SLICED(p, EXP("erlang", "make_tuple", 2));

    term *t = filled(p, arg[0], arg[1]);

    return t ? boxed_make(t) : THE_NON_VALUE;
}

/* make_tuple(Arity, Default, [{Position, Value}]): the last of a position wins. */
BIF(erlang, make_tuple, 3)
{
    SLICED(p, EXP("erlang", "make_tuple", 3));

    term *t = filled(p, arg[0], arg[1]), l;

    if (!t)
        return THE_NON_VALUE;
    for (l = arg[2]; term_is_cons(l); l = cons_tail(l)) {
        term pair = cons_head(l);
        size_t i = term_is_tuple_of(pair, 2)
                       ? index_of(*tuple_at(pair, 1), header_words(t[0])) : 0;

        if (!i)
            return bif_badarg(p);
        t[i] = *tuple_at(pair, 2);
    }
    return term_is_nil(l) ? boxed_make(t) : bif_badarg(p);
}

/* The tuple with a value put in at i, 1 to arity + 1. */
static term insert(struct proc *p, term tuple, size_t i, term value)
{
    size_t n = tuple_arity(tuple);
    term *t;

    if (n + 1 > TUPLE_MAX_ARITY)
        return bif_badarg(p);
    t = tuple_new(p, n + 1);
    if (!t)
        return bif_error(p, am_system_limit);
    copy_elements(p, t + 1, tuple_at(tuple, 1), i - 1);
    t[i] = value;
    copy_elements(p, t + i + 1, tuple_at(tuple, i), n - i + 1);
    return boxed_make(t);
}

BIF(erlang, append_element, 2)
{
    if (!term_is_tuple(arg[0]))
        return bif_badarg(p);
    return insert(p, arg[0], tuple_arity(arg[0]) + 1, arg[1]);
}

BIF(erlang, insert_element, 3)
{
    size_t i = term_is_tuple(arg[1]) ? index_of(arg[0], tuple_arity(arg[1]) + 1) : 0;

    return i ? insert(p, arg[1], i, arg[2]) : bif_badarg(p);
}

BIF(erlang, delete_element, 2)
{
    size_t n = term_is_tuple(arg[1]) ? tuple_arity(arg[1]) : 0;
    size_t i = index_of(arg[0], n);
    term *t;

    if (!i)
        return bif_badarg(p);
    t = tuple_new(p, n - 1);
    if (!t)
        return bif_error(p, am_system_limit);
    copy_elements(p, t + 1, tuple_at(arg[1], 1), i - 1);
    copy_elements(p, t + i, tuple_at(arg[1], i) + 1, n - i);
    return boxed_make(t);
}

BIF(erlang, tuple_to_list, 1)
{
    SLICED(p, EXP("erlang", "tuple_to_list", 1));

    term list = TERM_NIL, *hp;

    if (!term_is_tuple(arg[0]))
        return bif_badarg(p);
    size_t n = tuple_arity(arg[0]);
    hp = heap_alloc_big(p, n * CONS_WORDS);
    if (!hp)
        return bif_error(p, am_system_limit);
    for (; n > 0; n--) {
        list = put_cons(&hp, *tuple_at(arg[0], n), list);
        slice(5);
    }
    return list;
}

BIF(erlang, list_to_tuple, 1)
{
    SLICED(p, EXP("erlang", "list_to_tuple", 1));

    int64_t n = list_length(arg[0]);
    term *t, l = arg[0];

    if (n < 0 || n > (int64_t)TUPLE_MAX_ARITY)
        return bif_badarg(p);
    t = tuple_new(p, (size_t)n);
    if (!t)
        return bif_error(p, am_system_limit);
    for (int64_t i = 1; i <= n; i++, l = cons_tail(l)) {
        t[i] = cons_head(l);
        slice(4);
    }
    return boxed_make(t);
}
