/*
 * map.c - the BIFs on maps.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "vm/map.h"
#include "vm/ops.h"
#include "vm/slice.h"

/* What a pair of a list that becomes a map takes, and one listed of a map. */
#define PAIR_NS 10
#define ITEM_NS 20

static term badmap(struct proc *p, term t)
{
    return bif_error(p, build_tuple2(p, am_badmap, t));
}

static term badkey(struct proc *p, term key)
{
    return bif_error(p, build_tuple2(p, am_badkey, key));
}

GUARD(erlang, is_map, 1)
{
    return bool_make(term_is_map(arg[0]));
}

GUARD(erlang, map_size, 1)
{
    if (!term_is_map(arg[0]))
        return badmap(p, arg[0]);
    return small_make((int64_t)map_size(arg[0]));
}

/*
 * Of these two the compiler does not say what is alive, so they can't ask for a
 * collection: what they raise goes to a fragment if there is no room.
 */
GUARD(erlang, map_get, 2)
{
    term value;

    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    value = map_get(arg[1], arg[0]);
    return value == THE_NON_VALUE ? badkey(p, arg[0]) : value;
}

GUARD(erlang, is_map_key, 2)
{
    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    return bool_make(map_get(arg[1], arg[0]) != THE_NON_VALUE);
}

BIF(maps, get, 2)
{
    term value;

    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    value = map_get(arg[1], arg[0]);
    return value == THE_NON_VALUE ? badkey(p, arg[0]) : value;
}

BIF(maps, find, 2)
{
    term value;

    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    value = map_get(arg[1], arg[0]);
    return value == THE_NON_VALUE ? am_error : build_tuple2(p, am_ok, value);
}

BIF(maps, is_key, 2)
{
    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    return bool_make(map_get(arg[1], arg[0]) != THE_NON_VALUE);
}

BIF(maps, put, 3)
{
    return term_is_map(arg[2]) ? map_put(p, arg[2], arg[0], arg[1])
                               : badmap(p, arg[2]);
}

BIF(maps, update, 3)
{
    if (!term_is_map(arg[2]))
        return badmap(p, arg[2]);
    if (map_get(arg[2], arg[0]) == THE_NON_VALUE)
        return badkey(p, arg[0]);
    return map_put(p, arg[2], arg[0], arg[1]);
}

BIF(maps, remove, 2)
{
    return term_is_map(arg[1]) ? map_remove(p, arg[1], arg[0])
                               : badmap(p, arg[1]);
}

BIF(maps, take, 2)
{
    term value;

    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    value = map_get(arg[1], arg[0]);
    if (value == THE_NON_VALUE)
        return am_error;
    return build_tuple2(p, value, map_remove(p, arg[1], arg[0]));
}

BIF(maps, merge, 2)
{
    SLICED(p, EXP("maps", "merge", 2));

    if (!term_is_map(arg[0]))
        return badmap(p, arg[0]);
    if (!term_is_map(arg[1]))
        return badmap(p, arg[1]);
    bif_spend(p, map_size(arg[0]) + map_size(arg[1]), 10);
    return map_merge(p, arg[0], arg[1]);
}

/* A map of a proper list's n pairs, or of n keys with one value. */
static term from_list(struct proc *p, term list, int64_t n, bool keys_only,
                      term value)
{
    term local[2 * MAP_SMALL_LIMIT], *pairs = local, map;
    size_t i = 0;

    if (n > MAP_SMALL_LIMIT)
        pairs = vm_alloc(ALLOC_SYSTEM, 2 * (size_t)n * sizeof(term));
    for (; term_is_cons(list); list = cons_tail(list)) {
        term head = cons_head(list);

        if (!keys_only && !term_is_tuple_of(head, 2)) {
            if (pairs != local)
                vm_free(pairs);
            return bif_badarg(p);
        }
        pairs[i++] = keys_only ? head : *tuple_at(head, 1);
        pairs[i++] = keys_only ? value : *tuple_at(head, 2);
        slice(PAIR_NS);
    }
    map = map_from_pairs(p, pairs, (size_t)n);
    if (pairs != local)
        slice_free(pairs);
    bif_spend(p, (size_t)n, 10);
    return map;
}

BIF(maps, from_list, 1)
{
    SLICED(p, EXP("maps", "from_list", 1));

    int64_t n = list_length(arg[0]);

    return n < 0 ? bif_badarg(p) : from_list(p, arg[0], n, false, 0);
}

BIF(maps, from_keys, 2)
{
    SLICED(p, EXP("maps", "from_keys", 2));

    int64_t n = list_length(arg[0]);

    return n < 0 ? bif_badarg(p) : from_list(p, arg[0], n, true, arg[1]);
}

/*
 * Keys or values. Flat maps in order; hashed ones in the order of
 * maps:to_list/1, which conses as it goes (map_next/3).
 */
static term to_list(struct proc *p, term map, bool values)
{
    size_t n = map_size(map);
    bool flat = n <= MAP_SMALL_LIMIT;
    term *hp, list = TERM_NIL, key, value;
    struct map_iter it;

    hp = heap_alloc_big(p, n * CONS_WORDS);
    if (!hp)
        return bif_error(p, am_system_limit);
    map_iter_init(&it, map);
    for (size_t i = 0; map_iter_next(&it, &key, &value); i++) {
        term item = values ? value : key;

        if (flat) {
            hp[2 * i] = item;
            hp[2 * i + 1] = i + 1 < n ? cons_make(hp + 2 * i + 2) : TERM_NIL;
        } else {
            list = put_cons(&hp, item, list);
        }
        slice(ITEM_NS);
    }
    bif_spend(p, n, 10);
    return flat && n > 0 ? cons_make(hp) : list;
}

BIF(maps, keys, 1)
{
    SLICED(p, EXP("maps", "keys", 1));

    return term_is_map(arg[0]) ? to_list(p, arg[0], false) : badmap(p, arg[0]);
}

BIF(maps, values, 1)
{
    SLICED(p, EXP("maps", "values", 1));

    return term_is_map(arg[0]) ? to_list(p, arg[0], true) : badmap(p, arg[0]);
}

/*
 * How many pairs come next: max, and those that share the last one's place; then
 * there may be more, from *place on.
 */
static size_t pairs_until(const struct map_iter *it, size_t max, uint64_t *place, bool *more)
{
    struct map_iter ahead = *it;
    term key, value;
    size_t n;

    for (n = 0; map_iter_next(&ahead, &key, &value); n++) {
        if (n >= max && map_place(key) != *place) {
            *more = true;
            *place = map_place(key);
            break;
        }
        if (n + 1 >= max)
            *place = map_place(key);
    }
    return n;
}

/*
 * erts_internal:map_next(Place, Map, iterator | Acc), for maps.erl.
 *
 * With `iterator`: {K1, V1, {K2, V2, ... End}}, where End is none, or
 * [Place | Map] to go on with. With a list: its pairs are put in front of Acc
 * as they come, and [Place, Map | List] says that there are more. Place 0 is
 * the start, where an iterator gets only a few: many never go on.
 */
BIF(erts_internal, map_next, 3)
{
    bool iterator = arg[2] == am_iterator;
    size_t n, max, words;
    struct map_iter it;
    term key, value, result, *last = &result, *hp;
    uint64_t place;
    bool more = false;

    if (!term_is_map(arg[1]) || (!iterator && !term_is_list(arg[2])) ||
        !term_is_small(arg[0]) || small_value(arg[0]) < 0)
        return bif_badarg(p);
    n = map_size(arg[1]);
    place = (uint64_t)small_value(arg[0]);
    if (n <= MAP_SMALL_LIMIT) {
        if (place > n)
            return bif_badarg(p);
        place = 0;
        max = n;
    } else {
        max = bif_budget(p, 1);
        if (iterator && place == 0 && max > MAP_SMALL_LIMIT)
            max = MAP_SMALL_LIMIT;
    }
    map_iter_at(&it, arg[1], place);

    /* From the start all of them, if that is not too many. */
    if (place > 0 || n > max)
        n = pairs_until(&it, max, &place, &more);

    words = n * (iterator ? 4 : 5) + 4;
    hp = heap_alloc(p, words);
    result = iterator ? am_none : arg[2];
    if (n <= MAP_SMALL_LIMIT && map_size(arg[1]) <= MAP_SMALL_LIMIT && !iterator) {
        /* A flat map's pairs stay in order. */
        while (map_iter_next(&it, &key, &value)) {
            term pair = put_tuple2(&hp, key, value);

            *last = cons_make(hp);
            last = &hp[1];
            put_cons(&hp, pair, arg[2]);
        }
    } else {
        for (size_t i = 0; i < n && map_iter_next(&it, &key, &value); i++) {
            if (iterator) {
                *last = boxed_make(hp);
                last = &hp[3];
                put_tuple3(&hp, key, value, am_none);
            } else {
                term pair = put_tuple2(&hp, key, value);

                result = put_cons(&hp, pair, result);
            }
        }
    }
    if (more && iterator) {
        *last = put_cons(&hp, small_make((int64_t)place), arg[1]);
    } else if (more) {
        result = put_cons(&hp, arg[1], result);
        result = put_cons(&hp, small_make((int64_t)place), result);
    }
    heap_trim(p, hp);
    bif_spend(p, n, 1);
    return result;
}

/* For erts_debug:size/1, which walks terms in Erlang. */

BIF(erts_internal, map_to_tuple_keys, 1)
{
    if (!term_is_map(arg[0]))
        return badmap(p, arg[0]);
    return boxed_is(arg[0], BOX_MAP) ? boxed_ptr(arg[0])[1] : bif_badarg(p);
}

/* The root's children are those of its node, as in OTP, where they are one. */
BIF(erts_internal, map_hashmap_children, 1)
{
    term list = TERM_NIL, *node;

    if (boxed_is(arg[0], BOX_HASHMAP))
        node = boxed_ptr(boxed_ptr(arg[0])[2]);
    else if (boxed_is(arg[0], BOX_MAPNODE))
        node = boxed_ptr(arg[0]);
    else if (term_is_map(arg[0]))
        return bif_badarg(p);
    else
        return badmap(p, arg[0]);
    for (size_t i = header_words(*node); i >= 2; i--)
        list = build_cons(p, node[i], list);
    return list;
}

BIF(erts_internal, term_type, 1)
{
    static const term names[32] = {
        [BOX_TUPLE] = am_tuple,
        [BOX_FUN] = am_fun,
        [BOX_MAP] = am_flatmap,
        [BOX_HASHMAP] = am_hashmap,
        [BOX_MAPNODE] = am_hashmap_node,
        [BOX_EXPORT] = am_export,
        [BOX_FLOAT] = am_hfloat,
        [BOX_POSBIG] = am_bignum,
        [BOX_NEGBIG] = am_bignum,
        [BOX_REF] = am_reference,
        [BOX_MAGIC] = am_reference,
        [BOX_EXTPID] = am_external_pid,
        [BOX_EXTPORT] = am_external_port,
        [BOX_EXTREF] = am_external_reference,
        [BOX_HEAPBIN] = am_heap_binary,
        [BOX_REFCBIN] = am_refc_binary,
        [BOX_SUBBIN] = am_sub_binary,
        [BOX_MATCH] = am_matchstate,
    };
    term t = arg[0];

    if (term_is_cons(t))
        return am_list;
    if (term_is_boxed(t))
        return names[header_type(*boxed_ptr(t))];
    if (term_is_small(t))
        return am_fixnum;
    if (term_is_local_pid(t))
        return am_pid;
    if (term_is_local_port(t))
        return am_port;
    return term_is_nil(t) ? am_nil : am_atom;
}

BIF(erts_internal, cmp_term, 2)
{
    int order = term_compare_exact(arg[0], arg[1]);

    return small_make((order > 0) - (order < 0));
}
