/*
 * map_trie.h - hashed maps: where the parts of a trie lie (map.h has its shape).
 *
 * For vm/map*.c, which alone know how a map looks inside.
 */
#ifndef VM_MAP_TRIE_H
#define VM_MAP_TRIE_H

#include "vm/map.h"
#include "vm/vm.h"

/* Levels served by one hash: its upper 56 bits, the first level uppermost, so
 * that sorting by hash is sorting by place. */
enum { WAYS = 16, SALT_LEVELS = 14, LEVELS = 240 };

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

static inline struct root *root_ptr(term t) { return (struct root *)boxed_ptr(t); }
static inline struct mapnode *node_ptr(term t)
{
    return (struct mapnode *)boxed_ptr(t);
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

/* A path of so many nodes ends, or there is a bug. */
static inline void too_deep(unsigned depth)
{
    if (unlikely(depth == MAP_DEPTH))
        vm_bug("a map is deeper than %d nodes", MAP_DEPTH);
}

#endif
