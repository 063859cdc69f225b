/*
 * ets_table.h - ETS tables: their objects, their two kinds, their owners.
 *
 * An object is one block: links, then a copy of the tuple that points only
 * into itself (literals are copied too, so a table outlives any code). A set,
 * bag or duplicate_bag is a hash table that grows and shrinks one bucket at a
 * time; an ordered_set is an AVL tree.
 *
 * A table's identifier is a magic reference to a small resource that leads to
 * the table while there is one. The table holds the first such reference, so
 * that every copy of it has the same number.
 *
 * While a table is fixed (safe_fixtable, or a traversal that gave up its
 * slice) its hash table keeps its size and deleted objects stay in their
 * chains, marked dead, so that a traversal can go on behind them.
 */
#ifndef VM_ETS_TABLE_H
#define VM_ETS_TABLE_H

#include "vm/binary.h"
#include "vm/proc.h"

/* Chains of dead objects and links share the words; see hash and tree. */
struct ets_obj {
    struct ets_obj *next;           /* hash: chain; tree: left */
    union {
        struct ets_obj *right;      /* tree */
        struct {
            uint32_t hash;
            bool dead;
        };
    };
    size_t words : 56;              /* of the tuple and what hangs off it */
    int8_t balance;                 /* tree: height of right minus left */
    term *off;                      /* its off-heap objects */
    term tuple[];
};
static inline term ets_obj_term(const struct ets_obj *o)
{
    return boxed_make(o->tuple);
}

/* Levels of the largest tree there can be: 1.44 log2 of 2^48 objects. */
#define ETS_TREE_DEPTH 72
#define ETS_HASH_SEGMENTS 48

struct ets_hash {
    /* Segment 0 has 1 << base_bits buckets, each other as many as all before. */
    struct ets_obj **segment[ETS_HASH_SEGMENTS];
    int base_bits;
    size_t buckets;                 /* in use */
    size_t mask;                    /* 2^n - 1 with 2^(n-1) < buckets <= 2^n */
    struct ets_dead *dead;          /* buckets with dead objects, repeats */
};
struct ets_tree {
    struct ets_obj *root;
};

enum ets_type { ETS_SET, ETS_BAG, ETS_DUPLICATE_BAG, ETS_ORDERED_SET };
enum ets_protection { ETS_PRIVATE, ETS_PROTECTED, ETS_PUBLIC };

/* One process that keeps a table fixed. */
struct ets_fix {
    struct ets_table *table;
    struct proc *proc;
    size_t count;
    struct ets_fix *table_next, **table_prev;
    struct ets_fix *proc_next, **proc_prev;
};

struct ets_tid {
    struct resource res;
    struct ets_table *table;        /* NULL: was deleted */
};

struct ets_table {
    struct ets_tid *handle;
    bool deleted;                   /* unreachable, being emptied */
    enum ets_type type;
    enum ets_protection protection;
    bool named, compressed, read_concurrency;
    size_t keypos;
    term name;
    term owner;                     /* pid */
    term heir;                      /* pid or none */
    struct ets_obj *heir_data;      /* {Data}, if there is an heir */
    size_t count;                   /* live objects */
    size_t bytes;                   /* of objects and buckets */

    term tid;
    struct offheap tid_off;
    term tid_words[MAGIC_WORDS];

    struct proc *busy;              /* in the middle of changing it, or NULL */
    term next;                      /* pid: whose turn is then, or THE_NON_VALUE */
    size_t fix_count;               /* fixes held, and running traversals */
    struct ets_fix *fixes;
    int64_t fix_time_ns;            /* when it was, as erlang:monotonic_time */
    int64_t fix_offset_ns;          /* to system time then */

    struct ets_table *owner_next, **owner_prev;
    struct ets_table *all_next, **all_prev;
    struct ets_table *name_next;
    union {
        struct ets_hash hash;
        struct ets_tree tree;
    };
};

struct ets {
    struct ets_table *all;          /* newest first */
    size_t tables;
    size_t bytes;                   /* of all tables */
    struct ets_table **names;       /* chains by atom */
    size_t names_size, names_count;
};

/* What hangs off struct proc. */
struct ets_proc {
    struct ets_table *tables;
    struct ets_fix *fixes;
    bool super_user;                /* erts_internal:ets_super_user/1 */
};
struct ets_proc *ets_of_proc(struct proc *p);   /* made when first asked for */

/* Tables. */
struct ets_table *ets_table_new(struct proc *owner, term name, bool named,
                                enum ets_type type, size_t keypos);
/* What an identifier or a name stands for. NULL, *cause: id or type. */
struct ets_table *ets_table_find(term id, term *cause);
bool ets_name_put(struct ets_table *t, term name);      /* false: is taken */
void ets_name_remove(struct ets_table *t);
/*
 * Make it unreachable. ets_table_empty() then frees what it holds, *reds of
 * it at a time, and is true when done; with that the caller's loan ends.
 */
void ets_table_delete(struct ets_table *t);
bool ets_table_empty(struct ets_table *t, int32_t *reds);
/* Drop all objects; it is not fixed. In slices: then t may be gone afterwards. */
void ets_table_clear(struct ets_table *t);
void ets_owner_set(struct ets_table *t, struct proc *to);
/* data is copied; heir must be a live process. */
void ets_heir_set(struct ets_table *t, term heir, term data);
/* Give t to another process and tell it. */
void ets_transfer(struct ets_table *t, struct proc *to, term from, term data);

void ets_fix(struct ets_table *t, struct proc *p);
void ets_unfix(struct ets_table *t, struct proc *p);    /* false fixes are fine */
/* Keep objects where they are during one call; dead ones go at the end. */
static inline void ets_hold(struct ets_table *t) { t->fix_count++; }
void ets_release(struct ets_table *t);

static inline bool ets_is_tree(const struct ets_table *t)
{
    return t->type == ETS_ORDERED_SET;
}
static inline term ets_key(const struct ets_table *t, const struct ets_obj *o)
{
    return o->tuple[t->keypos];
}

/* Objects. NULL: memory is out. elements points at n terms from anywhere. */
struct ets_obj *ets_obj_new(struct ets_table *t, const term *elements, size_t n);
void ets_obj_free(struct ets_table *t, struct ets_obj *o);

/* Any table. */
/* The first object with this key, NULL if none. */
struct ets_obj *ets_find(struct ets_table *t, term key);
/* The next one with o's key (bags); order: newest first. */
struct ets_obj *ets_find_next(struct ets_table *t, struct ets_obj *o);
/* The same, with those that are dead but still in the table. */
struct ets_obj *ets_find_raw(struct ets_table *t, term key);
struct ets_obj *ets_find_next_raw(struct ets_table *t, struct ets_obj *o);
/* Takes o. An equal object already in a bag makes this a no-op. */
void ets_insert(struct ets_table *t, struct ets_obj *o);
size_t ets_delete_key(struct ets_table *t, term key);
/* o is in t. replace: both have the same key; old is freed. */
void ets_delete_obj(struct ets_table *t, struct ets_obj *o);
void ets_replace(struct ets_table *t, struct ets_obj *old, struct ets_obj *o);

/* ets_hash.c */
void ets_hash_init(struct ets_table *t);
struct ets_obj *ets_hash_bucket(struct ets_table *t, size_t i);
size_t ets_hash_index(struct ets_table *t, term key);
struct ets_obj *ets_hash_find(struct ets_table *t, term key);
/* The first object at or behind o in its chain that lives. */
struct ets_obj *ets_hash_live(struct ets_obj *o);
/* A key behind the given one, for next/2: NULL and *end at the end of the
 * table, NULL if key is not there. Dead objects count as places. */
struct ets_obj *ets_hash_after(struct ets_table *t, term key, bool raw, bool *end);
struct ets_obj *ets_hash_first(struct ets_table *t, bool raw);
void ets_hash_insert(struct ets_table *t, struct ets_obj *o);
void ets_hash_delete(struct ets_table *t, struct ets_obj *o);
size_t ets_hash_delete_key(struct ets_table *t, term key);
void ets_hash_replace(struct ets_table *t, struct ets_obj *old, struct ets_obj *o);
/* No fix is left: drop the dead, let the size follow again. */
void ets_hash_unfixed(struct ets_table *t);
bool ets_hash_empty(struct ets_table *t, int32_t *reds);

/* ets_tree.c */
struct ets_obj *ets_tree_find(struct ets_table *t, term key);
void ets_tree_insert(struct ets_table *t, struct ets_obj *o);
void ets_tree_delete(struct ets_table *t, term key);
/* Take it out, not freed; NULL if there is none. */
struct ets_obj *ets_tree_take(struct ets_table *t, term key);
void ets_tree_replace(struct ets_table *t, struct ets_obj *old, struct ets_obj *o);
bool ets_tree_empty(struct ets_table *t, int32_t *reds);

/*
 * A place in a tree. Changing the tree makes it stale, ets_tree_replace of the
 * object it is at excepted if the caller stores the new one.
 */
struct ets_iter {
    struct ets_obj *path[ETS_TREE_DEPTH];   /* from the root down to it */
    int depth;                              /* 0: at the end */
};
static inline struct ets_obj *ets_iter_get(const struct ets_iter *it)
{
    return it->depth ? it->path[it->depth - 1] : NULL;
}
void ets_iter_first(struct ets_table *t, struct ets_iter *it);
void ets_iter_last(struct ets_table *t, struct ets_iter *it);
void ets_iter_next(struct ets_iter *it);
void ets_iter_prev(struct ets_iter *it);
/* The first one above key, or the last one below it. */
void ets_iter_above(struct ets_table *t, struct ets_iter *it, term key);
void ets_iter_below(struct ets_table *t, struct ets_iter *it, term key);
/* The first one (the last one) that a key pattern could match or that lies
 * beyond all it could match; ms_compare_key(). */
void ets_iter_from(struct ets_table *t, struct ets_iter *it, term pattern);
void ets_iter_to(struct ets_table *t, struct ets_iter *it, term pattern);

#endif
