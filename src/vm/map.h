/*
 * map.h - maps.
 *
 * Up to MAP_SMALL_LIMIT keys: flat. {BOX_MAP header, keys tuple, values...},
 * keys in term order (integers before floats: exact order), so two maps with
 * the same keys can share the keys tuple. Above: a hash array mapped trie,
 * root {BOX_HASHMAP header, size as small, node}, whose leaves are [Key|Value]
 * cells and whose nodes are {BOX_MAPNODE header, bitmap as small, child...},
 * 16 ways a level. A node has at least two children: the header's aux is the
 * level it branches at, and levels at which all keys below agree have no node.
 * So a map's shape depends on its keys only, and n keys take at most 6n words.
 * Below level 13 a level's bits come from a hash with another salt. Hashes do
 * not depend on addresses.
 */
#ifndef VM_MAP_H
#define VM_MAP_H

#include "vm/proc.h"

#define MAP_SMALL_LIMIT 32
#define MAP_DEPTH 32            /* nodes on a path: 128 bits of hashes that agree */
#define MAP_HEADER(n) HEADER(BOX_MAP, 0, (n) + 1)

size_t map_size(term map);
/* The value of key, or THE_NON_VALUE. */
term map_get(term map, term key);

/*
 * The map with key => value; the same map if nothing changes. Terms are built
 * with heap_alloc: nothing moves.
 */
term map_put(struct proc *p, term map, term key, term value);
term map_remove(struct proc *p, term map, term key);
/* From n key, value pairs in any order; the last of equal keys wins. */
term map_from_pairs(struct proc *p, const term *pairs, size_t n);
/*
 * A flat or hashed map into d from n pairs with distinct keys, in any order
 * (decoders). map_build_words(n) words are enough. May reorder pairs. Of equal
 * keys in a small map the last counts, so map_size() tells; a large one with
 * equal keys is not built: THE_NON_VALUE.
 */
size_t map_build_words(size_t n);
term map_build(struct dest *d, term *pairs, size_t n);

/*
 * The n keys and values of a flat map have been written where they belong, in
 * any order: put them in order. False if two keys are equal.
 */
bool map_flat_complete(term *keys, term *values, size_t n);

/*
 * Visit all pairs; order: flat maps by key, hashed ones by hash. Most follow
 * another one of their node: these take no call.
 */
struct map_iter {
    const term *at, *end;   /* what is left of the last node of the stack */
    term map;
    size_t i, n;            /* flat */
    /* Nodes; of all but the last one, what is left. */
    struct { term node; const term *at; } stack[MAP_DEPTH];
    int depth;
};
void map_iter_init(struct map_iter *it, term map);
bool map_iter_step(struct map_iter *it, term *key, term *value);

static inline bool map_iter_next(struct map_iter *it, term *key, term *value)
{
    if (unlikely(it->at == it->end || !term_is_cons(*it->at)))
        return map_iter_step(it, key, value);

    const term *pair = cons_ptr(*it->at++);
    *key = pair[0];
    *value = pair[1];
    return true;
}

/*
 * A place in a map that outlives the call: map_place() of the key to start with
 * next, in a hashed map; its index in a flat one. Keys whose hashes agree share
 * a place, so they must be passed by together.
 */
uint64_t map_place(term key);
void map_iter_at(struct map_iter *it, term map, uint64_t place);

/*
 * What a hashed map is made of: nodes of k + 1 children in ways[k], pairs found
 * through k nodes in leaves[k]. false: the map is flat.
 */
struct map_shape {
    size_t ways[16], leaves[MAP_DEPTH + 1];
};
bool map_shape(term map, struct map_shape *shape);

/* maps:merge/2: b's values win. */
term map_merge(struct proc *p, term a, term b);

/*
 * The instructions' batch forms. kv: n keys and values in turn. put_map_assoc
 * returns the map; put_map_exact THE_NON_VALUE with *badkey when one is
 * missing. Both build with heap_alloc.
 */
term map_put_many(struct proc *p, term map, const term *kv, size_t n);
term map_update_many(struct proc *p, term map, const term *kv, size_t n, term *badkey);

#endif
