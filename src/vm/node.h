/*
 * node.h - references, and the identifiers of other nodes.
 *
 * A reference is three 32-bit numbers, as OTP shows and encodes them:
 * #Ref<0.num[2].num[1].num[0]>. num[0] has 18 significant bits.
 */
#ifndef VM_NODE_H
#define VM_NODE_H

#include "vm/heap.h"

struct ref_words {
    term header;
    uint64_t ref[2];        /* num[0] | num[1] << 32, num[2] */
};
#define REF_WORDS (sizeof(struct ref_words) / 8)
#define REF_HEADER HEADER(BOX_REF, 0, 2)

/* A new unique number, and a reference in REF_WORDS reserved words. */
void ref_next(uint64_t ref[2]);
term ref_put(term **hp, const uint64_t ref[2]);
/* One with these numbers, magic if they are those of a resource; MAGIC_WORDS. */
struct dest;
term ref_recall(struct dest *d, const uint64_t ref[2]);
/* Numbers of a local (or magic) reference. */
static inline const uint64_t *ref_numbers(term t)
{
    return header_type(*boxed_ptr(t)) == BOX_MAGIC ? boxed_ptr(t) + 2 : boxed_ptr(t) + 1;
}
static inline bool term_is_local_ref(term t)
{
    return boxed_is(t, BOX_REF) || boxed_is(t, BOX_MAGIC);
}

/*
 * One incarnation of a node, interned. refc counts the identifiers that lead to
 * it, atomic, for threads. One that nobody refers to is dropped when the table
 * would grow, or is looked at.
 */
struct node {
    term name;              /* atom */
    uint32_t creation;
    int64_t refc;
};
/* With one reference more, the caller's. */
struct node *node_get(term name, uint32_t creation);
static inline void node_ref(struct node *n)
{
    __atomic_fetch_add(&n->refc, 1, __ATOMIC_RELAXED);
}
static inline void node_put(struct node *n)
{
    __atomic_fetch_sub(&n->refc, 1, __ATOMIC_RELEASE);
}
/* Visit all others that are referred to: start with *i = 0; NULL at the end. */
struct node *node_next(size_t *i);
size_t node_count(void);
/* Forget those that are not: before a visit. */
void node_sweep(void);
extern const struct node *const *node_this; /* nonode@nohost, 0 */
term node_name(void);
void node_set_this(const struct node *n);    /* setnode/2; n has a reference */

/* Identifiers of other nodes: boxed, nothing in them is a term. */
struct ext_words {
    term header;            /* BOX_EXTPID, BOX_EXTPORT, BOX_EXTREF */
    term *next;             /* offheap list */
    struct node *node;      /* counted */
    uint64_t data[];        /* pid: number | serial << 32; port: number;
                               ref: count, then 32-bit numbers two a word */
};

#endif
