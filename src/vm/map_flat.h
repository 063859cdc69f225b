/*
 * map_flat.h - flat maps: where their parts lie, their sorted keys.
 *
 * For vm/map*.c, which alone know how a map looks inside. The keys are a tuple, in
 * the order of term_compare_exact(); the values follow in the same order.
 */
#ifndef VM_MAP_FLAT_H
#define VM_MAP_FLAT_H

#include "vm/atom.h"
#include "vm/heap.h"
#include "vm/map.h"
#include "vm/ops.h"

struct flat {
    term header, keys;
    term value[];
};
#define FLAT_WORDS(n) (3 + 2 * (n))     /* of the map and its keys */

static inline struct flat *flat_ptr(term t) { return (struct flat *)boxed_ptr(t); }
static inline bool is_flat(term map) { return boxed_is(map, BOX_MAP); }
static inline size_t flat_size(term map)
{
    return header_words(*boxed_ptr(map)) - 1;
}

/* A flat map at *hp with these n keys; its values are yet to be written. */
static inline struct flat *flat_put(term **hp, term keys, size_t n)
{
    struct flat *f = (struct flat *)*hp;

    *hp += 2 + n;
    f->header = MAP_HEADER(n);
    f->keys = keys;
    return f;
}

/* A flat map of n sorted keys and their values. */
static inline term flat_make(term **hp, const term *keys, const term *values, size_t n)
{
    term *tuple = *hp;
    struct flat *f;

    *hp += 1 + n;
    tuple[0] = TUPLE_HEADER(n);
    memcpy(tuple + 1, keys, n * sizeof(term));
    f = flat_put(hp, boxed_make(tuple), n);
    memcpy(f->value, values, n * sizeof(term));
    return boxed_make(&f->header);
}

/* The order of two keys: less than 0, 0 or more. */
static inline int key_compare(term a, term b)
{
    return term_is_atom(a) && term_is_atom(b) ? atom_compare(a, b)
                                              : term_compare_exact(a, b);
}

/* Where key, which is not among them, belongs in n sorted keys. */
static inline size_t sorted_place(const term *keys, size_t n, term key)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (key_compare(keys[mid], key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Insert or replace in arrays of sorted keys and values; returns the new n. */
static inline size_t sorted_insert(term *keys, term *values, size_t n, term key,
                                   term value)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (term_eq(keys[i], key)) {
            values[i] = value;
            return n;
        }
    i = sorted_place(keys, n, key);
    memmove(&keys[i + 1], &keys[i], (n - i) * sizeof(term));
    memmove(&values[i + 1], &values[i], (n - i) * sizeof(term));
    keys[i] = key;
    values[i] = value;
    return n + 1;
}

#endif
