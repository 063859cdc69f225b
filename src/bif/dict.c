/*
 * dict.c - the process dictionary.
 */
#include "bif/bif.h"
#include "vm/ops.h"
#include "vm/pdict.h"
#include "vm/slice.h"

#define ENTRY_NS 10

static term or_undefined(term t)
{
    return t == THE_NON_VALUE ? am_undefined : t;
}

BIF(erlang, get, 1)
{
    return or_undefined(pdict_get(p, arg[0]));
}

BIF(erlang, put, 2)
{
    return or_undefined(pdict_put(p, arg[0], arg[1]));
}

BIF(erlang, erase, 1)
{
    return or_undefined(pdict_erase(p, arg[0]));
}

static term all(struct proc *p)
{
    term *hp = heap_alloc(p, pdict_size(p) * (3 + CONS_WORDS));
    term list = TERM_NIL;
    const struct pdict_slot *s;

    for (size_t i = 0; (s = pdict_next(p, &i));) {
        term pair = put_tuple2(&hp, s->key, s->value);

        list = put_cons(&hp, pair, list);
        slice(ENTRY_NS);
    }
    return list;
}

BIF(erlang, get, 0)
{
    SLICED(p, EXP("erlang", "get", 0));

    return all(p);
}

BIF(erlang, erase, 0)
{
    SLICED(p, EXP("erlang", "erase", 0));

    term list = all(p);

    pdict_clear(p);
    return list;
}

static term keys(struct proc *p, term value)
{
    term *hp = heap_alloc(p, pdict_size(p) * CONS_WORDS);
    term list = TERM_NIL;
    const struct pdict_slot *s;

    for (size_t i = 0; (s = pdict_next(p, &i));) {
        slice(ENTRY_NS);
        if (value == THE_NON_VALUE || term_eq(s->value, value))
            list = put_cons(&hp, s->key, list);
    }
    heap_trim(p, hp);
    return list;
}

BIF(erlang, get_keys, 0)
{
    SLICED(p, EXP("erlang", "get_keys", 0));

    return keys(p, THE_NON_VALUE);
}

BIF(erlang, get_keys, 1)
{
    SLICED(p, EXP("erlang", "get_keys", 1));

    return keys(p, arg[0]);
}
