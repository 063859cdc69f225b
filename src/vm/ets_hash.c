/*
 * ets_hash.c - the tables of sets and bags: linear hashing.
 *
 * A table of n buckets splits one bucket when it holds more than n objects,
 * and joins two when it holds fewer than a quarter of that, so no single
 * operation ever moves more than a chain. Buckets lie in segments that double
 * in size and never move.
 *
 * Objects of one key are neighbours in their chain, the newest first.
 */
#include "vm/ets_table.h"
#include "vm/hash.h"
#include "vm/ops.h"
#include "vm/slice.h"

#define COMPARE_NS 20           /* to go on to the next object of a key */

#define EMPTY_NS 4              /* to pass by an empty bucket */
#define EMPTY_PER_RED 64
/* So many of a list with dead objects in an allocation. */
#define DEAD_AT_ONCE 510

#define BASE_BITS 4
#define BASE_BITS_STRESS 1

/*
 * Integers of one block go to neighbouring buckets, each to its own: those that
 * are used one after the other lie in the same cache lines. Blocks are spread as
 * anything else is.
 */
#define BLOCK_BITS 4

static inline uint32_t key_hash(term key)
{
    if (term_is_small(key)) {
        int64_t n = small_value(key);
        return (uint32_t)(hash_of(small_make(n >> BLOCK_BITS)) >> 32)
               ^ ((uint32_t)n & ((1 << BLOCK_BITS) - 1));
    }
    return (uint32_t)(hash_of(key) >> 32);
}

/* Where segment k > 0 begins: as many buckets are in it as before it. */
static inline size_t before(const struct ets_hash *h, int k)
{
    return (size_t)1 << (h->base_bits + k - 1);
}

static inline struct ets_obj **bucket(const struct ets_hash *h, size_t i)
{
    if (i >> h->base_bits == 0)
        return &h->segment[0][i];
    int k = 64 - __builtin_clzll(i) - h->base_bits;
    return &h->segment[k][i - before(h, k)];
}

static inline size_t index_of(const struct ets_hash *h, uint32_t hash)
{
    size_t i = hash & h->mask;

    return i < h->buckets ? i : i & (h->mask >> 1);
}

size_t ets_hash_index(struct ets_table *t, term key)
{
    return index_of(&t->hash, key_hash(key));
}

struct ets_obj *ets_hash_bucket(struct ets_table *t, size_t i)
{
    return *bucket(&t->hash, i);
}

static size_t segment_bytes(const struct ets_hash *h, int k)
{
    return (k ? before(h, k) : (size_t)1 << h->base_bits) * sizeof(struct ets_obj *);
}

/* Buckets are cleared as they come into use: a segment may be large. */
static bool segment_add(struct ets_table *t, int k)
{
    size_t bytes = segment_bytes(&t->hash, k);
    struct ets_obj **s = vm_try_alloc(ALLOC_ETS, bytes);

    if (!s)
        return false;
    t->hash.segment[k] = s;
    t->bytes += bytes;
    vm.ets->bytes += bytes;
    return true;
}

static void segment_drop(struct ets_table *t, int k)
{
    size_t bytes = segment_bytes(&t->hash, k);
    void *s = t->hash.segment[k];

    t->hash.segment[k] = NULL;
    t->bytes -= bytes;
    vm.ets->bytes -= bytes;
    slice_free(s);
}

/* The segment that begins with bucket i, 0 if none does. */
static int segment_at(const struct ets_hash *h, size_t i)
{
    return i >> h->base_bits && (i & (i - 1)) == 0
               ? 64 - __builtin_clzll(i) - h->base_bits : 0;
}

void ets_hash_init(struct ets_table *t)
{
    struct ets_hash *h = &t->hash;

    *h = (struct ets_hash){.base_bits = vm.stress_gc ? BASE_BITS_STRESS : BASE_BITS};
    h->buckets = (size_t)1 << h->base_bits;
    h->mask = h->buckets - 1;
    if (!segment_add(t, 0))
        vm_no_memory(segment_bytes(h, 0), "an ETS table", __func__);
    memset(h->segment[0], 0, segment_bytes(h, 0));
}

/* One bucket more: split the one it shares its objects with. */
static void grow(struct ets_table *t)
{
    struct ets_hash *h = &t->hash;
    size_t i = h->buckets;
    int k = segment_at(h, i);

    /* Without memory for more buckets chains just get longer. */
    if (i > UINT32_MAX || (k && !segment_add(t, k)))
        return;
    if (i > h->mask)
        h->mask = h->mask * 2 + 1;
    h->buckets++;

    struct ets_obj **from = bucket(h, i & (h->mask >> 1)), **to = bucket(h, i);
    *to = NULL;
    while (*from) {
        struct ets_obj *o = *from;
        if (unlikely(t->type != ETS_SET))
            slice(COMPARE_NS);
        if ((o->hash & h->mask) == i) {
            *from = o->next;
            *to = o;
            o->next = NULL;
            to = &o->next;
        } else {
            from = &o->next;
        }
    }
}

/* One bucket less: its objects go back to where they came from. */
static void shrink(struct ets_table *t)
{
    struct ets_hash *h = &t->hash;
    size_t i = --h->buckets;
    struct ets_obj **from = bucket(h, i), **to = bucket(h, i & (h->mask >> 1));

    while (*to) {
        to = &(*to)->next;
        slice(COMPARE_NS);
    }
    *to = *from;
    *from = NULL;
    if (h->buckets - 1 == h->mask >> 1)
        h->mask >>= 1;
    int k = segment_at(h, i);
    if (k)
        segment_drop(t, k);
}

static inline bool too_sparse(const struct ets_table *t)
{
    const struct ets_hash *h = &t->hash;

    return t->count < h->buckets / 4 && h->buckets > (size_t)1 << h->base_bits;
}

static inline void fit(struct ets_table *t)
{
    struct ets_hash *h = &t->hash;

    if (t->fix_count > 0 || !(t->count > h->buckets || too_sparse(t)))
        return;
    /* Two steps, to make up for changes while it was fixed. */
    for (int n = 0; n < 2; n++) {
        if (t->count > h->buckets)
            grow(t);
        else if (too_sparse(t))
            shrink(t);
    }
}

struct ets_obj *ets_hash_live(struct ets_obj *o)
{
    for (; o && o->dead; o = o->next)
        slice(COMPARE_NS);
    return o;
}

/* The link to the first object of this key, dead or not; else to NULL. */
static inline struct ets_obj **find_link(struct ets_table *t, term key, uint32_t hash)
{
    struct ets_obj **at = bucket(&t->hash, index_of(&t->hash, hash)), *o;

    while ((o = *at) && !(o->hash == hash && term_eq(ets_key(t, o), key)))
        at = &o->next;
    return at;
}

static bool same_key(struct ets_table *t, struct ets_obj *o, term key,
                     uint32_t hash)
{
    return o && o->hash == hash && term_eq(ets_key(t, o), key);
}

struct ets_obj *ets_hash_find(struct ets_table *t, term key)
{
    uint32_t hash = key_hash(key);
    struct ets_obj *o = *find_link(t, key, hash);

    if (!o || likely(!o->dead))
        return o;
    o = ets_hash_live(o);
    /* The living one found behind dead ones may be of another key. */
    return same_key(t, o, key, hash) ? o : NULL;
}

struct ets_obj *ets_find_raw(struct ets_table *t, term key)
{
    return ets_is_tree(t) ? ets_tree_find(t, key) : *find_link(t, key, key_hash(key));
}

struct ets_obj *ets_find_next_raw(struct ets_table *t, struct ets_obj *o)
{
    return !ets_is_tree(t) && same_key(t, o->next, ets_key(t, o), o->hash) ? o->next : NULL;
}

struct ets_obj *ets_find_next(struct ets_table *t, struct ets_obj *o)
{
    if (t->type == ETS_SET || t->type == ETS_ORDERED_SET)
        return NULL;
    struct ets_obj *next = ets_hash_live(o->next);
    return same_key(t, next, ets_key(t, o), o->hash) ? next : NULL;
}

struct ets_obj *ets_hash_first(struct ets_table *t, bool raw)
{
    for (size_t i = 0; i < t->hash.buckets; i++) {
        struct ets_obj *o = ets_hash_bucket(t, i);
        if (!raw)
            o = ets_hash_live(o);
        if (o)
            return o;
        slice(EMPTY_NS);
    }
    return NULL;
}

struct ets_obj *ets_hash_after(struct ets_table *t, term key, bool raw, bool *end)
{
    uint32_t hash = key_hash(key);
    struct ets_obj *o = *find_link(t, key, hash);

    *end = false;
    if (!o)
        return NULL;
    for (; o && ((o->dead && !raw) || same_key(t, o, key, hash)); o = o->next)
        slice(COMPARE_NS);
    for (size_t i = index_of(&t->hash, hash) + 1; !o && i < t->hash.buckets; i++) {
        o = ets_hash_bucket(t, i);
        if (!raw)
            o = ets_hash_live(o);
        slice(EMPTY_NS);
    }
    *end = !o;
    return o;
}

void ets_hash_insert(struct ets_table *t, struct ets_obj *o)
{
    term key = ets_key(t, o);
    uint32_t hash = key_hash(key);
    struct ets_obj **at = find_link(t, key, hash);

    o->hash = hash;
    o->dead = false;
    if (t->type == ETS_SET) {
        if (*at && !(*at)->dead) {
            ets_hash_replace(t, *at, o);
            return;
        }
        /* In front of a dead one of this key. */
    } else if (t->type == ETS_BAG) {
        for (struct ets_obj *x = *at; same_key(t, x, key, hash); x = x->next) {
            slice(COMPARE_NS);
            if (!x->dead && term_eq(ets_obj_term(x), ets_obj_term(o))) {
                ets_obj_free(t, o);
                return;
            }
        }
    }
    o->next = *at;
    *at = o;
    t->count++;
    fit(t);
}

/* Some of the buckets with dead objects. Lists of them: there may be millions. */
struct ets_dead {
    struct ets_dead *before;
    size_t n;
    size_t bucket[DEAD_AT_ONCE];
};

static void note_dead(struct ets_hash *h, size_t i)
{
    struct ets_dead *d = h->dead;

    if (d && d->bucket[d->n - 1] == i)
        return;
    if (!d || d->n == DEAD_AT_ONCE) {
        d = vm_alloc(ALLOC_ETS, sizeof *d);
        d->before = h->dead;
        d->n = 0;
        h->dead = d;
    }
    d->bucket[d->n++] = i;
}

static void dead_drop(struct ets_hash *h)
{
    struct ets_dead *d = h->dead;

    h->dead = d->before;
    vm_free(d);
}

static void leave_dead(struct ets_table *t, struct ets_obj *o)
{
    t->count--;
    o->dead = true;
    note_dead(&t->hash, index_of(&t->hash, o->hash));
}

/* *at is taken out, or left dead if the table is fixed. Returns the next. */
static struct ets_obj **kill(struct ets_table *t, struct ets_obj **at)
{
    struct ets_obj *o = *at;

    if (t->fix_count > 0) {
        leave_dead(t, o);
        return &o->next;
    }
    t->count--;
    *at = o->next;
    ets_obj_free(t, o);
    return at;
}

/* key is not in the table itself: its object may be freed before the last. */
size_t ets_hash_delete_key(struct ets_table *t, term key)
{
    uint32_t hash = key_hash(key);
    struct ets_obj **at = find_link(t, key, hash);
    size_t n = 0;

    while (same_key(t, *at, key, hash)) {
        if ((*at)->dead) {
            at = &(*at)->next;
        } else {
            at = kill(t, at);
            n++;
        }
    }
    fit(t);
    return n;
}

static struct ets_obj **link_to(struct ets_table *t, struct ets_obj *o)
{
    struct ets_obj **at = bucket(&t->hash, index_of(&t->hash, o->hash));

    while (*at != o)
        at = &(*at)->next;
    return at;
}

void ets_hash_delete(struct ets_table *t, struct ets_obj *o)
{
    assert(!o->dead);
    if (t->fix_count > 0) {
        /* Its chain may be long, and more of it is to be deleted. */
        leave_dead(t, o);
        return;
    }
    kill(t, link_to(t, o));
    fit(t);
}

void ets_hash_replace(struct ets_table *t, struct ets_obj *old, struct ets_obj *o)
{
    struct ets_obj **at = link_to(t, old);

    o->next = old->next;
    o->hash = old->hash;
    o->dead = false;
    *at = o;
    ets_obj_free(t, old);
}

void ets_hash_unfixed(struct ets_table *t)
{
    struct ets_hash *h = &t->hash;

    while (h->dead) {
        struct ets_obj **at = bucket(h, h->dead->bucket[--h->dead->n]);
        if (h->dead->n == 0)
            dead_drop(h);
        while (*at) {
            struct ets_obj *o = *at;
            if (o->dead) {
                *at = o->next;
                ets_obj_free(t, o);
            } else {
                at = &o->next;
                slice(COMPARE_NS);
            }
        }
    }
    fit(t);
}

bool ets_hash_empty(struct ets_table *t, int32_t *reds)
{
    struct ets_hash *h = &t->hash;

    while (h->buckets > 0) {
        struct ets_obj **at = bucket(h, h->buckets - 1);
        while (*at) {
            if ((*reds)-- <= 0)
                return false;
            struct ets_obj *o = *at;
            *at = o->next;
            ets_obj_free(t, o);
        }
        int k = segment_at(h, --h->buckets);
        if (k)
            segment_drop(t, k);
        if (h->buckets % EMPTY_PER_RED == 0) {
            slice(EMPTY_NS * EMPTY_PER_RED);
            if (--*reds <= 0 && h->buckets > 0)
                return false;
        }
    }
    /* The first, and one that was added as memory ran out. */
    for (int k = 0; k < ETS_HASH_SEGMENTS; k++)
        if (h->segment[k])
            segment_drop(t, k);
    while (h->dead)
        dead_drop(h);
    return true;
}
