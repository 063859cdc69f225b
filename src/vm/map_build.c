/*
 * map_build.c - maps from pairs, all at once.
 *
 * Pairs are sorted by hash, and every run of hashes that agree up to a level
 * becomes one node. The recursion is as deep as the trie (MAP_DEPTH), whatever
 * the number of keys.
 */
#include "vm/map_flat.h"
#include "vm/map_trie.h"
#include "vm/slice.h"

#include <stdlib.h>

/*
 * What it takes to hash a key, to move an entry to the next place, to sort a bucket,
 * to move an entry to any place, to enter one in the trie.
 */
#define HASH_NS 20
#define MOVE_NS 10
#define SORT_NS 20
#define SCATTER_NS 20
#define SCATTER_FAR_NS 400      /* where no cache has them, to pages that may be new */
#define NEAR_ENTRIES 16384      /* more are far apart */
#define BUILD_NS 60
#define PACE 1024               /* entries looked at in a row */

struct entry {
    uint64_t hash;
    term key, value;
    size_t order;               /* place in the input: the last one wins */
};

static int entry_compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->hash >> 8 != y->hash >> 8)
        return x->hash >> 8 < y->hash >> 8 ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

/*
 * Into buckets by the first bits of the hash, about as many as there are
 * entries, then within the buckets: mostly nothing is left to do there.
 */
static void sort_entries(struct entry *e, size_t n, unsigned salt)
{
    unsigned bits = n < 16 ? 0 : 63 - (unsigned)__builtin_clzll(n);
    size_t scatter_ns = n > NEAR_ENTRIES ? SCATTER_FAR_NS : SCATTER_NS;
    size_t buckets = (size_t)1 << bits, *at;
    struct entry *from;

    for (size_t i = 0; i < n; i++) {
        e[i].hash = term_hash64(e[i].key, salt);
        slice(HASH_NS);
    }
    if (bits == 0) {
        qsort(e, n, sizeof *e, entry_compare);
        return;
    }
    from = vm_alloc(ALLOC_SYSTEM, n * sizeof *e);
    slice_copy(from, e, n * sizeof *e);
    at = vm_zalloc(ALLOC_SYSTEM, (buckets + 1) * sizeof *at);
    for (size_t i = 0; i < n; i++) {
        at[(from[i].hash >> (64 - bits)) + 1]++;
        slice(scatter_ns);
    }
    for (size_t i = 1; i <= buckets; i++) {
        at[i] += at[i - 1];
        slice(1);
    }
    for (size_t i = 0; i < n; i++) {
        e[at[from[i].hash >> (64 - bits)]++] = from[i];
        slice(scatter_ns);
    }
    slice_free(from);
    /* at[i] is where bucket i ends now. */
    for (size_t i = 0, start = 0; i < buckets; start = at[i++]) {
        if (at[i] - start > 1)
            qsort(e + start, at[i] - start, sizeof *e, entry_compare);
        slice(SORT_NS);
    }
    slice_free(at);
}

/* Drop all but the last of equal keys in sorted entries; returns how many stay. */
static size_t drop_equal(struct entry *e, size_t n)
{
    size_t kept = 0, run = 0;

    for (size_t i = 0; i < n; i++) {
        size_t k;

        /* Entries from run on have e[i]'s place, and are kept. */
        if (kept > 0 && e[kept - 1].hash >> 8 != e[i].hash >> 8)
            run = kept;
        for (k = run; k < kept; k++)
            if (e[k].hash == e[i].hash && term_eq(e[k].key, e[i].key))
                break;
        if (k < kept)
            e[k].value = e[i].value;
        else
            e[kept++] = e[i];
        slice(MOVE_NS);
    }
    return kept;
}

/* The subtrie of n distinct keys, sorted by their hashes of this salt. */
static term build_node(term **hp, struct entry *e, size_t n, unsigned salt)
{
    size_t end[WAYS];
    unsigned bitmap = 0, level, shift, ways = 0;
    struct mapnode *node;
    uint64_t differ;

    slice(BUILD_NS);
    if (n == 1)
        return put_cons(hp, e->key, e->value);
    differ = (e[0].hash ^ e[n - 1].hash) >> 8;
    while (differ == 0) {
        if (++salt * SALT_LEVELS >= LEVELS)
            vm_bug("two keys of a map agree in %d hashes", (int)salt);
        sort_entries(e, n, salt);
        differ = (e[0].hash ^ e[n - 1].hash) >> 8;
    }
    level = (unsigned)(__builtin_clzll(differ) - 8) / 4;
    shift = 60 - 4 * level;
    level += salt * SALT_LEVELS;
    for (size_t i = 0; i < n; ways++) {
        unsigned way = e[i].hash >> shift & (WAYS - 1);

        bitmap |= 1u << way;
        for (size_t from = i; i < n && (e[i].hash >> shift & (WAYS - 1)) == way; i++)
            if (unlikely((i - from) % PACE == PACE - 1))
                slice(PACE * 2);
        end[ways] = i;
    }
    node = (struct mapnode *)*hp;
    *hp += NODE_WORDS(ways);
    node->header = HEADER(BOX_MAPNODE, level, 1 + ways);
    node->bitmap = small_make(bitmap);
    for (unsigned k = 0; k < ways; k++) {
        size_t start = k == 0 ? 0 : end[k - 1];

        node->child[k] = build_node(hp, e + start, end[k] - start, salt);
    }
    return boxed_make(&node->header);
}

/* n > 0 distinct sorted entries. Needs map_build_words(n) words. */
static term build_root(term **hp, struct entry *e, size_t n)
{
    struct root *r = (struct root *)*hp;

    *hp += ROOT_WORDS;
    r->header = ROOT_HEADER;
    r->size = small_make((int64_t)n);
    r->node = build_node(hp, e, n, 0);
    return boxed_make(&r->header);
}

size_t map_build_words(size_t n)
{
    return n <= MAP_SMALL_LIMIT ? FLAT_WORDS(n) : ROOT_WORDS + 6 * n;
}

static struct entry *entries_new(const term *pairs, size_t n)
{
    struct entry *e = vm_alloc(ALLOC_SYSTEM, n * sizeof *e);

    for (size_t i = 0; i < n; i++) {
        e[i] = (struct entry){.key = pairs[2 * i],
                              .value = pairs[2 * i + 1],
                              .order = i};
        slice(MOVE_NS);
    }
    sort_entries(e, n, 0);
    return e;
}

static term flat_from_pairs(term **hp, const term *pairs, size_t n)
{
    term keys[MAP_SMALL_LIMIT], values[MAP_SMALL_LIMIT];
    size_t kept = 0;

    assert(n <= MAP_SMALL_LIMIT);
    for (size_t i = 0; i < n; i++)
        kept = sorted_insert(keys, values, kept, pairs[2 * i], pairs[2 * i + 1]);
    return flat_make(hp, keys, values, kept);
}

bool map_flat_complete(term *keys, term *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        term key = keys[i], value = values[i];
        size_t at;

        /* Mostly they are in order. */
        if (key_compare(keys[i - 1], key) < 0)
            continue;
        for (at = 0; at < i; at++)
            if (term_eq(keys[at], key))
                return false;
        at = sorted_place(keys, i, key);
        memmove(&keys[at + 1], &keys[at], (i - at) * sizeof(term));
        memmove(&values[at + 1], &values[at], (i - at) * sizeof(term));
        keys[at] = key;
        values[at] = value;
    }
    return true;
}

term map_build(struct dest *d, term *pairs, size_t n)
{
    struct entry *e;
    term map;

    if (n <= MAP_SMALL_LIMIT)
        return flat_from_pairs(&d->htop, pairs, n);
    e = entries_new(pairs, n);
    map = drop_equal(e, n) == n ? build_root(&d->htop, e, n) : THE_NON_VALUE;
    slice_free(e);
    return map;
}

/* Sorted distinct entries, few or many. */
static term from_entries(struct proc *p, struct entry *e, size_t n)
{
    term *hp = heap_alloc(p, map_build_words(n)), map;

    if (n <= MAP_SMALL_LIMIT) {
        term keys[MAP_SMALL_LIMIT], values[MAP_SMALL_LIMIT];
        size_t kept = 0;

        for (size_t i = 0; i < n; i++)
            kept = sorted_insert(keys, values, kept, e[i].key, e[i].value);
        map = flat_make(&hp, keys, values, kept);
    } else {
        map = build_root(&hp, e, n);
    }
    heap_trim(p, hp);
    return map;
}

term map_from_pairs(struct proc *p, const term *pairs, size_t n)
{
    struct entry *e;
    term map;

    if (n <= MAP_SMALL_LIMIT) {
        term *hp = heap_alloc(p, FLAT_WORDS(n));

        map = flat_from_pairs(&hp, pairs, n);
        heap_trim(p, hp);
        return map;
    }
    e = entries_new(pairs, n);
    map = from_entries(p, e, drop_equal(e, n));
    slice_free(e);
    return map;
}
