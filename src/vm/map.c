/*
 * map.c - maps: flat ones, and tries of hashes for more than 32 keys.
 *
 * The trie is a Patricia trie of 16 ways (map.h). To insert a key, walk down
 * by its hash as if all it passes by agreed with it; compare with the hash of
 * any leaf found at the end; the first level at which the two differ is where
 * the new branch belongs, on the way or at its end.
 */
#include "vm/map.h"
#include "vm/atom.h"
#include "vm/hash.h"
#include "vm/heap.h"
#include "vm/ops.h"
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
#define PUT_NS 300
#define PACE 1024               /* entries looked at in a row */

/* Levels served by one hash: its upper 56 bits, the first level uppermost, so
 * that sorting by hash is sorting by place. */
enum { WAYS = 16, SALT_LEVELS = 14, LEVELS = 240 };

struct flat {
    term header, keys;
    term value[];
};
struct root {
    term header, size, node;
};
struct mapnode {
    term header, bitmap;
    term child[];
};
#define ROOT_WORDS 3
#define ROOT_HEADER HEADER(BOX_HASHMAP, 0, ROOT_WORDS - 1)
#define NODE_WORDS(n) (2 + (n))

static inline struct flat *flat_ptr(term t) { return (struct flat *)boxed_ptr(t); }
static inline struct root *root_ptr(term t) { return (struct root *)boxed_ptr(t); }
static inline struct mapnode *node_ptr(term t)
{
    return (struct mapnode *)boxed_ptr(t);
}
static inline bool is_flat(term map) { return boxed_is(map, BOX_MAP); }
static inline size_t flat_size(term map)
{
    return header_words(*boxed_ptr(map)) - 1;
}
static inline unsigned node_level(const struct mapnode *n)
{
    return header_aux(n->header);
}
static inline unsigned node_bitmap(const struct mapnode *n)
{
    return (unsigned)small_value(n->bitmap);
}
static inline unsigned node_count(const struct mapnode *n)
{
    return (unsigned)header_words(n->header) - 1;
}
/* The index of the child in way `way`: how many ways before it are taken. */
static inline unsigned slot_of(unsigned bitmap, unsigned way)
{
    return (unsigned)__builtin_popcount(bitmap & ((1u << way) - 1));
}

/* A key's way at a level; the hash in use is kept until the salt changes. */
struct path {
    term key;
    uint64_t hash;
    unsigned salt;
};

static inline void path_init(struct path *p, term key)
{
    p->key = key;
    p->salt = 0;
    p->hash = hash_of(key);
}

static inline void path_salt(struct path *p, unsigned salt)
{
    if (unlikely(salt != p->salt)) {
        p->salt = salt;
        p->hash = term_hash64(p->key, salt);
    }
}

static inline unsigned path_way(struct path *p, unsigned level)
{
    path_salt(p, level / SALT_LEVELS);
    return p->hash >> (60 - 4 * (level % SALT_LEVELS)) & (WAYS - 1);
}

/* The first level at which the ways of two keys differ. */
static unsigned first_difference(struct path *a, struct path *b)
{
    for (unsigned level = 0; level < LEVELS; level += SALT_LEVELS) {
        uint64_t differ;

        path_salt(a, level / SALT_LEVELS);
        path_salt(b, level / SALT_LEVELS);
        differ = (a->hash ^ b->hash) >> 8;
        if (differ)
            return level + (unsigned)(__builtin_clzll(differ) - 8) / 4;
    }
    vm_bug("two keys of a map agree in %d hashes", LEVELS / SALT_LEVELS);
}

size_t map_size(term map)
{
    return is_flat(map) ? flat_size(map)
                        : (size_t)small_value(root_ptr(map)->size);
}

static inline int key_compare(term a, term b)
{
    return term_is_atom(a) && term_is_atom(b) ? atom_compare(a, b)
                                              : term_compare_exact(a, b);
}

/* The order of a key and the tuple `key`; mostly a word or two decide. */
static inline int tuple_compare(term t, const term *key)
{
    const term *x, *end = key + header_words(*key);

    if (term_is_boxed(t) && *(x = boxed_ptr(t)) == *key) {
        for (const term *y = key; y < end;) {
            if (*++x == *++y)
                continue;
            if (!term_both_small(*x, *y))
                return term_compare_exact(t, boxed_make(key));
            return (int64_t)*x < (int64_t)*y ? -1 : 1;
        }
        return 0;
    }
    return term_compare_exact(t, boxed_make(key));
}

/* The index of a tuple among n sorted keys, or n. */
static size_t find_tuple(const term *keys, size_t n, const term *key)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        int order = tuple_compare(keys[mid], key);

        if (order == 0)
            return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return n;
}

/* The index of key in a flat map, or its size. */
static size_t flat_find(term map, term key)
{
    const term *keys = boxed_ptr(flat_ptr(map)->keys) + 1;
    size_t n = flat_size(map);

    if (term_is_imm(key)) {
        for (size_t i = 0; i < n; i++)
            if (keys[i] == key)
                return i;
    } else if (term_is_tuple(key)) {
        return find_tuple(keys, n, boxed_ptr(key));
    } else {
        for (size_t i = 0; i < n; i++)
            if (term_eq(keys[i], key))
                return i;
    }
    return n;
}

/* The leaf of key below node, or NONE. */
static term hashed_find(term node, struct path *p)
{
    while (term_is_boxed(node)) {
        const struct mapnode *n = node_ptr(node);
        unsigned way = path_way(p, node_level(n)), bitmap = node_bitmap(n);

        if (!(bitmap >> way & 1))
            return THE_NON_VALUE;
        node = n->child[slot_of(bitmap, way)];
    }
    return term_eq(cons_head(node), p->key) ? node : THE_NON_VALUE;
}

term map_get(term map, term key)
{
    struct path p;
    term leaf;

    if (is_flat(map)) {
        size_t i = flat_find(map, key);

        return i < flat_size(map) ? flat_ptr(map)->value[i] : THE_NON_VALUE;
    }
    path_init(&p, key);
    leaf = hashed_find(root_ptr(map)->node, &p);
    return leaf == THE_NON_VALUE ? leaf : cons_tail(leaf);
}

/* Flat maps. */

static struct flat *flat_put(term **hp, term keys, size_t n)
{
    struct flat *f = (struct flat *)*hp;

    *hp += 2 + n;
    f->header = MAP_HEADER(n);
    f->keys = keys;
    return f;
}

/* The same keys, other values; they are yet to be written. */
static struct flat *flat_with_keys_of(struct proc *p, term map)
{
    size_t n = flat_size(map);
    term *hp = heap_alloc(p, 2 + n);

    return flat_put(&hp, flat_ptr(map)->keys, n);
}

static term flat_copy_set(struct proc *p, term map, size_t i, term value)
{
    struct flat *from = flat_ptr(map), *to;

    if (from->value[i] == value)
        return map;
    to = flat_with_keys_of(p, map);
    memcpy(to->value, from->value, flat_size(map) * sizeof(term));
    to->value[i] = value;
    return boxed_make(&to->header);
}

/* Where key, which is not among them, belongs in n sorted keys. */
static size_t sorted_place(const term *keys, size_t n, term key)
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

/* A flat map of n sorted keys and their values. */
static term flat_make(term **hp, const term *keys, const term *values, size_t n)
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
#define FLAT_WORDS(n) (3 + 2 * (n))

/* Insert or replace in arrays of sorted keys and values; returns the new n. */
static size_t sorted_insert(term *keys, term *values, size_t n, term key,
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

/*
 * Building a trie at once: pairs are sorted by hash, and every run of hashes
 * that agree up to a level becomes one node. The recursion is as deep as the
 * trie (MAP_DEPTH), whatever the number of keys.
 */
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

/* One key at a time. */

/* A copy of a node with another child in a slot. */
static term node_with(struct proc *p, const struct mapnode *n, unsigned slot,
                      term child)
{
    size_t words = NODE_WORDS(node_count(n));
    struct mapnode *copy = (struct mapnode *)heap_alloc(p, words);

    memcpy(copy, n, words * sizeof(term));
    copy->child[slot] = child;
    return boxed_make(&copy->header);
}

/* ... with one more, in a way that is free. */
static term node_insert(struct proc *p, const struct mapnode *n, unsigned way,
                        term child)
{
    unsigned count = node_count(n), bitmap = node_bitmap(n);
    unsigned slot = slot_of(bitmap, way);
    struct mapnode *copy =
        (struct mapnode *)heap_alloc(p, NODE_WORDS(count + 1));

    copy->header = HEADER(BOX_MAPNODE, node_level(n), 2 + count);
    copy->bitmap = small_make(bitmap | 1u << way);
    memcpy(copy->child, n->child, slot * sizeof(term));
    copy->child[slot] = child;
    memcpy(copy->child + slot + 1, n->child + slot, (count - slot) * sizeof(term));
    return boxed_make(&copy->header);
}

/* ... without the one in a slot. */
static term node_remove(struct proc *p, const struct mapnode *n, unsigned way,
                        unsigned slot)
{
    unsigned count = node_count(n);
    struct mapnode *copy;

    if (count == 2)
        return n->child[1 - slot];
    copy = (struct mapnode *)heap_alloc(p, NODE_WORDS(count - 1));
    copy->header = HEADER(BOX_MAPNODE, node_level(n), count);
    copy->bitmap = small_make(node_bitmap(n) & ~(1u << way));
    memcpy(copy->child, n->child, slot * sizeof(term));
    memcpy(copy->child + slot, n->child + slot + 1,
           (count - 1 - slot) * sizeof(term));
    return boxed_make(&copy->header);
}

static term node_pair(struct proc *p, unsigned level, unsigned way_a, term a,
                      unsigned way_b, term b)
{
    struct mapnode *n = (struct mapnode *)heap_alloc(p, NODE_WORDS(2));

    n->header = HEADER(BOX_MAPNODE, level, 3);
    n->bitmap = small_make(1u << way_a | 1u << way_b);
    n->child[way_a > way_b] = a;
    n->child[way_a < way_b] = b;
    return boxed_make(&n->header);
}

static term root_make(struct proc *p, size_t size, term node)
{
    struct root *r = (struct root *)heap_alloc(p, ROOT_WORDS);

    r->header = ROOT_HEADER;
    r->size = small_make((int64_t)size);
    r->node = node;
    return boxed_make(&r->header);
}

static term leaf_make(struct proc *p, term key, term value)
{
    term *hp = heap_alloc(p, CONS_WORDS);

    return put_cons(&hp, key, value);
}

/* The way down to a place: nodes, and which child was taken. */
struct step {
    const struct mapnode *node;
    unsigned slot, way;
};

static void too_deep(unsigned depth)
{
    if (unlikely(depth == MAP_DEPTH))
        vm_bug("a map is deeper than %d nodes", MAP_DEPTH);
}

/* Copy the nodes of the first `depth` steps around the new subtrie. */
static term rebuild(struct proc *p, const struct step *steps, unsigned depth,
                    term sub)
{
    while (depth-- > 0)
        sub = node_with(p, steps[depth].node, steps[depth].slot, sub);
    return sub;
}

static term hashed_put(struct proc *p, term map, term key, term value)
{
    struct step steps[MAP_DEPTH];
    struct path path, other;
    term node = root_ptr(map)->node, leaf;
    unsigned depth = 0, level;
    size_t size = (size_t)small_value(root_ptr(map)->size);

    path_init(&path, key);
    while (term_is_boxed(node)) {
        const struct mapnode *n = node_ptr(node);
        unsigned way = path_way(&path, node_level(n)), bitmap = node_bitmap(n);
        unsigned slot = bitmap >> way & 1 ? slot_of(bitmap, way) : 0;

        /* Where no child is, any will lead to a leaf to compare with. */
        too_deep(depth);
        steps[depth++] = (struct step){n, slot, way};
        node = n->child[slot];
    }
    leaf = node;
    if (term_eq(cons_head(leaf), key)) {
        if (cons_tail(leaf) == value)
            return map;
        return root_make(p, size,
                         rebuild(p, steps, depth,
                                 leaf_make(p, cons_head(leaf), value)));
    }

    path_init(&other, cons_head(leaf));
    level = first_difference(&path, &other);
    /* Back to the highest node that does not branch before that level. */
    while (depth > 0 && node_level(steps[depth - 1].node) >= level)
        depth--;
    node = depth == 0 ? root_ptr(map)->node
                      : steps[depth - 1].node->child[steps[depth - 1].slot];
    leaf = leaf_make(p, key, value);
    if (term_is_boxed(node) && node_level(node_ptr(node)) == level)
        node = node_insert(p, node_ptr(node), path_way(&path, level), leaf);
    else
        node = node_pair(p, level, path_way(&path, level), leaf,
                         path_way(&other, level), node);
    return root_make(p, size + 1, rebuild(p, steps, depth, node));
}

term map_put(struct proc *p, term map, term key, term value)
{
    size_t n, i;
    term *hp;

    if (!is_flat(map))
        return hashed_put(p, map, key, value);
    n = flat_size(map);
    i = flat_find(map, key);
    if (i < n)
        return flat_copy_set(p, map, i, value);

    const term *keys = boxed_ptr(flat_ptr(map)->keys) + 1;
    const term *values = flat_ptr(map)->value;

    if (n < MAP_SMALL_LIMIT) {
        term *new_keys, *tuple;
        struct flat *f;

        i = sorted_place(keys, n, key);
        hp = heap_alloc(p, FLAT_WORDS(n + 1));
        tuple = hp;
        hp += 2 + n;
        tuple[0] = TUPLE_HEADER(n + 1);
        new_keys = tuple + 1;
        memcpy(new_keys, keys, i * sizeof(term));
        new_keys[i] = key;
        memcpy(new_keys + i + 1, keys + i, (n - i) * sizeof(term));
        f = flat_put(&hp, boxed_make(tuple), n + 1);
        memcpy(f->value, values, i * sizeof(term));
        f->value[i] = value;
        memcpy(f->value + i + 1, values + i, (n - i) * sizeof(term));
        return boxed_make(&f->header);
    }

    term pairs[2 * (MAP_SMALL_LIMIT + 1)];

    for (i = 0; i < n; i++) {
        pairs[2 * i] = keys[i];
        pairs[2 * i + 1] = values[i];
    }
    pairs[2 * n] = key;
    pairs[2 * n + 1] = value;
    return map_from_pairs(p, pairs, n + 1);
}

/* All pairs into an array of twice the map's size. */
static void collect_pairs(term map, term *pairs)
{
    struct map_iter it;
    size_t n = 0;
    term k, v;

    map_iter_init(&it, map);
    while (map_iter_next(&it, &k, &v)) {
        pairs[n++] = k;
        pairs[n++] = v;
        slice(MOVE_NS);
    }
}

static term hashed_remove(struct proc *p, term map, term key)
{
    struct step steps[MAP_DEPTH];
    struct path path;
    term node = root_ptr(map)->node;
    unsigned depth = 0;
    size_t size = (size_t)small_value(root_ptr(map)->size);

    path_init(&path, key);
    while (term_is_boxed(node)) {
        const struct mapnode *n = node_ptr(node);
        unsigned way = path_way(&path, node_level(n)), bitmap = node_bitmap(n);
        unsigned slot = slot_of(bitmap, way);

        if (!(bitmap >> way & 1))
            return map;
        too_deep(depth);
        steps[depth++] = (struct step){n, slot, way};
        node = n->child[slot];
    }
    if (!term_eq(cons_head(node), key))
        return map;
    if (size - 1 <= MAP_SMALL_LIMIT) {
        term pairs[2 * (MAP_SMALL_LIMIT + 1)];

        collect_pairs(map, pairs);
        for (size_t i = 0; i < size; i++)
            if (term_eq(pairs[2 * i], key)) {
                memmove(&pairs[2 * i], &pairs[2 * i + 2],
                        (size - 1 - i) * 2 * sizeof(term));
                break;
            }
        return map_from_pairs(p, pairs, size - 1);
    }
    depth--;
    node = node_remove(p, steps[depth].node, steps[depth].way, steps[depth].slot);
    return root_make(p, size - 1, rebuild(p, steps, depth, node));
}

term map_remove(struct proc *p, term map, term key)
{
    size_t n, i;
    const term *keys, *values;
    term *hp, *tuple;
    struct flat *f;

    if (!is_flat(map))
        return hashed_remove(p, map, key);
    n = flat_size(map);
    i = flat_find(map, key);
    if (i == n)
        return map;
    keys = boxed_ptr(flat_ptr(map)->keys) + 1;
    values = flat_ptr(map)->value;
    n--;
    tuple = hp = heap_alloc(p, FLAT_WORDS(n));
    hp += 1 + n;
    tuple[0] = TUPLE_HEADER(n);
    memcpy(tuple + 1, keys, i * sizeof(term));
    memcpy(tuple + 1 + i, keys + i + 1, (n - i) * sizeof(term));
    f = flat_put(&hp, boxed_make(tuple), n);
    memcpy(f->value, values, i * sizeof(term));
    memcpy(f->value + i, values + i + 1, (n - i) * sizeof(term));
    return boxed_make(&f->header);
}

/* Many keys at a time. */

term map_merge(struct proc *p, term a, term b)
{
    size_t m = map_size(a), n = map_size(b);
    struct map_iter it;
    term k, v;

    if (n == 0 || a == b)
        return a;
    if (m == 0)
        return b;
    if (is_flat(a) && is_flat(b) && flat_ptr(a)->keys == flat_ptr(b)->keys)
        return b;
    if (m + n > MAP_SMALL_LIMIT && m >= n * 4) {
        map_iter_init(&it, b);
        while (map_iter_next(&it, &k, &v)) {
            a = map_put(p, a, k, v);
            slice(PUT_NS);
        }
        return a;
    }
    if (m + n > MAP_SMALL_LIMIT && n >= m * 4) {
        map_iter_init(&it, a);
        while (map_iter_next(&it, &k, &v)) {
            if (map_get(b, k) == THE_NON_VALUE)
                b = map_put(p, b, k, v);
            slice(PUT_NS);
        }
        return b;
    }

    term local[4 * MAP_SMALL_LIMIT], *pairs = local, result;

    if (m + n > 2 * MAP_SMALL_LIMIT)
        pairs = vm_alloc(ALLOC_SYSTEM, 2 * (m + n) * sizeof(term));
    collect_pairs(a, pairs);
    collect_pairs(b, pairs + 2 * m);
    result = map_from_pairs(p, pairs, m + n);
    if (pairs != local)
        slice_free(pairs);
    return result;
}

/*
 * The first, in the order of flat maps' keys, of the n keys that a map lacks, or
 * THE_NON_VALUE. That is the one which OTP names: its loader sorts the keys.
 */
static term missing_key(term map, const term *kv, size_t n)
{
    term least = THE_NON_VALUE;

    for (size_t i = 0; i < n; i++) {
        term key = kv[2 * i];

        if (map_get(map, key) == THE_NON_VALUE &&
            (least == THE_NON_VALUE || term_compare_exact(key, least) < 0))
            least = key;
    }
    return least;
}

/* All n keys are in a flat map: its values with some replaced. */
static term flat_update_many(struct proc *p, term map, const term *kv, size_t n,
                             term *badkey)
{
    struct flat *from = flat_ptr(map), *to;
    size_t size = flat_size(map);

    *badkey = missing_key(map, kv, n);
    if (*badkey != THE_NON_VALUE)
        return THE_NON_VALUE;
    to = flat_with_keys_of(p, map);
    memcpy(to->value, from->value, size * sizeof(term));
    for (size_t i = 0; i < n; i++)
        to->value[flat_find(map, kv[2 * i])] = kv[2 * i + 1];
    return boxed_make(&to->header);
}

term map_update_many(struct proc *p, term map, const term *kv, size_t n,
                     term *badkey)
{
    if (n == 1 && is_flat(map)) {
        size_t i = flat_find(map, kv[0]);

        if (i < flat_size(map))
            return flat_copy_set(p, map, i, kv[1]);
        *badkey = kv[0];
        return THE_NON_VALUE;
    }
    if (is_flat(map))
        return flat_update_many(p, map, kv, n, badkey);
    *badkey = missing_key(map, kv, n);
    if (*badkey != THE_NON_VALUE)
        return THE_NON_VALUE;
    for (size_t i = 0; i < n; i++)
        map = hashed_put(p, map, kv[2 * i], kv[2 * i + 1]);
    return map;
}

term map_put_many(struct proc *p, term map, const term *kv, size_t n)
{
    size_t size = map_size(map);
    term badkey;

    if (n == 1)
        return map_put(p, map, kv[0], kv[1]);
    if (size == 0)
        return map_from_pairs(p, kv, n);
    if (is_flat(map)) {
        term keys[MAP_SMALL_LIMIT], values[MAP_SMALL_LIMIT], result;
        term *hp;

        result = flat_update_many(p, map, kv, n, &badkey);
        if (result != THE_NON_VALUE)
            return result;
        if (size + n <= MAP_SMALL_LIMIT) {
            memcpy(keys, boxed_ptr(flat_ptr(map)->keys) + 1, size * sizeof(term));
            memcpy(values, flat_ptr(map)->value, size * sizeof(term));
            for (size_t i = 0; i < n; i++)
                size = sorted_insert(keys, values, size, kv[2 * i], kv[2 * i + 1]);
            hp = heap_alloc(p, FLAT_WORDS(size));
            return flat_make(&hp, keys, values, size);
        }
    }
    for (size_t i = 0; i < n; i++)
        map = map_put(p, map, kv[2 * i], kv[2 * i + 1]);
    return map;
}

/* Iteration. */

static const term *node_end(const struct mapnode *n)
{
    return n->child + node_count(n);
}

/* Go into a node, to begin with its child in `slot`. */
static void iter_enter(struct map_iter *it, term node, unsigned slot)
{
    const struct mapnode *n = node_ptr(node);

    too_deep((unsigned)it->depth);
    if (it->depth > 0)
        it->stack[it->depth - 1].at = it->at;
    it->stack[it->depth++].node = node;
    it->at = n->child + slot;
    it->end = node_end(n);
}

void map_iter_init(struct map_iter *it, term map)
{
    it->at = it->end = NULL;
    it->map = map;
    it->i = 0;
    it->depth = 0;
    if (is_flat(map)) {
        it->n = flat_size(map);
    } else {
        it->n = 0;
        iter_enter(it, root_ptr(map)->node, 0);
    }
}

/* The next pair, which is a flat map's or in another node. */
bool map_iter_step(struct map_iter *it, term *key, term *value)
{
    if (it->i < it->n) {
        struct flat *f = flat_ptr(it->map);

        *key = boxed_ptr(f->keys)[1 + it->i];
        *value = f->value[it->i];
        it->i++;
        return true;
    }
    while (it->depth > 0) {
        if (it->at < it->end) {
            term child = *it->at++;

            if (term_is_cons(child)) {
                *key = cons_head(child);
                *value = cons_tail(child);
                return true;
            }
            iter_enter(it, child, 0);
        } else if (--it->depth > 0) {
            it->at = it->stack[it->depth - 1].at;
            it->end = node_end(node_ptr(it->stack[it->depth - 1].node));
        }
    }
    return false;
}

/*
 * A place in a hashed map, for iterators that outlive a call: the upper 56 bits
 * of a key's hash. Keys that agree in these are one place.
 */
uint64_t map_place(term key)
{
    return term_hash64(key, 0) >> 8;
}

/* Start at the first key at or after a place that map_place() gave. */
void map_iter_at(struct map_iter *it, term map, uint64_t place)
{
    term node;

    map_iter_init(it, map);
    if (is_flat(map)) {
        it->i = place < it->n ? place : it->n;
        return;
    }
    node = it->stack[0].node;
    it->depth = 0;
    while (term_is_boxed(node)) {
        const struct mapnode *n = node_ptr(node);
        unsigned level = node_level(n), slot = 0;

        if (level < SALT_LEVELS)
            slot = slot_of(node_bitmap(n), place >> (52 - 4 * level) & 15);
        iter_enter(it, node, slot);
        /* A place that is no key's: what follows it in this node. */
        if (level >= SALT_LEVELS || slot == node_count(n) ||
            !(node_bitmap(n) >> (place >> (52 - 4 * level) & 15) & 1))
            return;
        node = n->child[slot];
        if (term_is_boxed(node))
            it->at++;
    }
}

bool map_shape(term map, struct map_shape *shape)
{
    struct map_iter it;
    term key, value;

    memset(shape, 0, sizeof *shape);
    if (is_flat(map))
        return false;
    map_iter_init(&it, map);
    while (map_iter_next(&it, &key, &value)) {
        shape->leaves[it.depth]++;
        /* Nodes of which this leaf is the first. */
        it.stack[it.depth - 1].at = it.at;
        for (int d = it.depth; d > 0; d--) {
            const struct mapnode *n = node_ptr(it.stack[d - 1].node);

            if (it.stack[d - 1].at != n->child + 1)
                break;
            shape->ways[node_count(n) - 1]++;
        }
    }
    return true;
}
