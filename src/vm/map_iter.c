/*
 * map_iter.c - visit the pairs of a map, from its beginning or from a place.
 */
#include "vm/map_flat.h"
#include "vm/map_trie.h"

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

/* The upper 56 bits of a key's hash: the ways of the levels it serves. */
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
