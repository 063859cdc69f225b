/*
 * map.c - maps: flat ones, and tries of hashes for more than 32 keys.
 *
 * The trie is a Patricia trie of 16 ways (map.h). To insert a key, walk down
 * by its hash as if all it passes by agreed with it; compare with the hash of
 * any leaf found at the end; the first level at which the two differ is where
 * the new branch belongs, on the way or at its end.
 */
#include "vm/hash.h"
#include "vm/map_flat.h"
#include "vm/map_trie.h"
#include "vm/slice.h"

#define MOVE_NS 10      /* to move a pair to the next place */
#define PUT_NS 300      /* to put one */

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
