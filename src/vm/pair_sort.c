/*
 * pair_sort.c - a merge sort, in slices, of many keys of any type.
 *
 * To compare two keys is to fetch them from all over a heap. So every key gets
 * a number first that orders as the keys do; only where two numbers are the
 * same are the keys looked at. Of bitstrings it holds the bytes behind those
 * that all of them begin with.
 */
#include "vm/pair_sort.h"

#include "vm/big.h"
#include "vm/binary.h"
#include "vm/map.h"
#include "vm/ops.h"
#include "vm/slice.h"

struct item {
    uint64_t number;
    term key, value;
};

/* The number: where the type stands, then this much of the key. */
#define KEY_BITS 60
#define KEY_MAX (((uint64_t)1 << KEY_BITS) - 1)
/* Bytes at the head of all bitstrings that are looked for. */
#define COMMON_MAX ((size_t)16 << 10)
/* Sorted by insertion. */
#define RUN 8
/* Items until time is looked at, and what takes how many ns for one. */
#define PACE 64
#define NUMBER_NS 20
#define MOVE_NS 10

/* How many bytes all bitstrings among the keys begin with. */
static size_t common_bytes(const term *pairs, size_t n)
{
    const uint8_t *first = NULL;
    size_t common = 0;

    for (size_t i = 0; i < n; i++) {
        term key = pairs[2 * i + 1];

        slice(NUMBER_NS + common / 8);
        if (!term_is_bitstring(key))
            continue;

        struct bits b = bits_of(key);
        const uint8_t *p = b.base + b.offset / 8;
        size_t bytes = bits_bytes(b);

        if (!bits_aligned(b))
            return 0;
        if (!first) {
            first = p;
            common = bytes < COMMON_MAX ? bytes : COMMON_MAX;
            continue;
        }
        if (bytes < common)
            common = bytes;
        if (memcmp(first, p, common) == 0)
            continue;
        for (size_t same = 0; same < common; same++)
            if (first[same] != p[same])
                common = same;
    }
    return common;
}

/* Eight bytes behind the first `skip`, zeros behind the last bit. */
static uint64_t bits_number(struct bits b, size_t skip)
{
    uint64_t v = 0, left = b.size - 8 * skip;

    bits_copy((uint8_t *)&v, 0, b.base, b.offset + 8 * skip, left < 64 ? left : 64);
    return __builtin_bswap64(v) >> (64 - KEY_BITS);
}

static uint64_t float_number(double d)
{
    uint64_t v, sign = (uint64_t)1 << 63;

    if (d == 0)
        d = 0;      /* not -0.0, which is the same */
    memcpy(&v, &d, sizeof v);
    return (v & sign ? ~v : v | sign) >> (64 - KEY_BITS);
}

/* Never less for the greater of two keys. */
static uint64_t number_of(term key, size_t skip)
{
    /* Of the numbers, the integers come first. */
    uint64_t class = (uint64_t)(term_rank(key) + (term_rank(key) > 0)), v = 0;

    if (term_is_small(key)) {
        v = (uint64_t)(small_value(key) - SMALL_MIN);
    } else if (term_is_boxed(key)) {
        switch (header_type(*boxed_ptr(key))) {
        case BOX_POSBIG:
            v = KEY_MAX;
            break;
        case BOX_FLOAT:
            class = 1;
            v = float_number(float_value(key));
            break;
        case BOX_TUPLE:
            v = tuple_arity(key);
            break;
        case BOX_MAP:
        case BOX_HASHMAP:
            v = map_size(key);
            break;
        case BOX_HEAPBIN:
        case BOX_REFCBIN:
        case BOX_SUBBIN:
            v = bits_number(bits_of(key), skip);
            break;
        }
    }
    return class << KEY_BITS | v;
}

static inline bool before(const struct item *a, const struct item *b)
{
    if (a->number != b->number)
        return a->number < b->number;
    return term_compare_exact(a->key, b->key) < 0;
}

static void insertion_sort(struct item *a, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct item x = a[i];
        size_t at = i;

        for (; at > 0 && before(&x, &a[at - 1]); at--)
            a[at] = a[at - 1];
        a[at] = x;
    }
}

/* a[0..m) and a[m..n), sorted each, into `to`. */
static void merge(struct item *to, const struct item *a, size_t m, size_t n)
{
    size_t i = 0, k = m;

    for (size_t at = 0; at < n; at++) {
        to[at] = k == n || (i < m && !before(&a[k], &a[i])) ? a[i++] : a[k++];
        if (unlikely(at % PACE == PACE - 1))
            slice(PACE * MOVE_NS);
    }
}

/* With as much room behind them. Where they are then; NULL: abandoned. */
static struct item *sort(struct item *a, size_t n, bool abandon)
{
    struct item *from = a, *to = a + n;

    for (size_t i = 0; i < n; i += RUN) {
        insertion_sort(from + i, n - i < RUN ? n - i : RUN);
        slice(RUN * RUN / 2 * MOVE_NS);
    }
    for (size_t width = RUN; width < n; width *= 2) {
        struct item *was = from;

        for (size_t i = 0; i < n; i += 2 * width) {
            size_t left = n - i;

            merge(to + i, from + i, left < width ? left : width,
                  left < 2 * width ? left : 2 * width);
            slice(MOVE_NS);
            if (abandon && slice_killed())
                return NULL;
        }
        from = to;
        to = was;
    }
    return from;
}

bool pair_sort(term *pairs, size_t n, bool abandon)
{
    struct item *items = vm_try_alloc(ALLOC_SYSTEM, 2 * n * sizeof *items), *sorted;
    size_t skip = common_bytes(pairs, n);

    if (!items)
        return false;
    for (size_t i = 0; i < n; i++) {
        term value = pairs[2 * i], key = pairs[2 * i + 1];

        items[i] = (struct item){number_of(key, skip), key, value};
        slice(NUMBER_NS);
    }
    sorted = sort(items, n, abandon);
    for (size_t i = 0; sorted && i < n; i++) {
        pairs[2 * i] = sorted[n - 1 - i].value;
        pairs[2 * i + 1] = sorted[n - 1 - i].key;
        if (unlikely(i % PACE == PACE - 1))
            slice(PACE);
    }
    slice_free(items);
    return sorted != NULL;
}
