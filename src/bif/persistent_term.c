/*
 * persistent_term.c - terms that reading does not copy.
 *
 * Each pair lies in a literal area of its own, so get/1 gives out the stored
 * term itself. An area that put/2 or erase/1 takes out of the table is freed
 * as that of a purged module is: erts_literal_area_collector first asks every
 * process to copy what it uses of it.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/literal.h"
#include "vm/map.h"
#include "vm/ops.h"
#include "vm/purge.h"
#include "vm/slice.h"

#define PAIRS_PER_RED 10
#define BUCKETS_MIN 16

struct entry {
    struct entry *next;
    uint32_t hash;
    term pair;                  /* {Key, Value}, in area */
    struct literal_area *area;
};

struct persistent {
    struct entry **bucket;
    size_t buckets;             /* power of two */
    size_t count;
    size_t words;               /* of all areas */
};

static struct persistent *table(void)
{
    if (!vm.persistent) {
        struct persistent *t = vm_zalloc(ALLOC_SYSTEM, sizeof *t);
        t->buckets = vm.stress_gc ? 2 : BUCKETS_MIN;
        t->bucket = vm_zalloc(ALLOC_SYSTEM, t->buckets * sizeof *t->bucket);
        vm.persistent = t;
    }
    return vm.persistent;
}

size_t persistent_term_buckets(void) { return table()->buckets; }

void persistent_term_visit(void (*see)(void *ctx, const struct literal_area *a), void *ctx)
{
    struct persistent *t = table();

    for (size_t i = 0; i < t->buckets; i++)
        for (struct entry *e = t->bucket[i]; e; e = e->next)
            see(ctx, e->area);
}

static term entry_key(const struct entry *e) { return *tuple_at(e->pair, 1); }
static term entry_value(const struct entry *e) { return *tuple_at(e->pair, 2); }

/* The link to the entry of key, or to the NULL where it would be. */
static struct entry **find(struct persistent *t, term key, uint32_t hash)
{
    struct entry **at = &t->bucket[hash & (t->buckets - 1)];

    while (*at && !((*at)->hash == hash && term_eq(entry_key(*at), key)))
        at = &(*at)->next;
    return at;
}

static void resize(struct persistent *t, size_t n)
{
    struct entry **bucket = vm_zalloc(ALLOC_SYSTEM, n * sizeof *bucket), *next;

    for (size_t i = 0; i < t->buckets; i++) {
        for (struct entry *e = t->bucket[i]; e; e = next) {
            next = e->next;
            e->next = bucket[e->hash & (n - 1)];
            bucket[e->hash & (n - 1)] = e;
        }
    }
    vm_free(t->bucket);
    t->bucket = bucket;
    t->buckets = n;
}

static size_t area_words(const struct literal_area *a)
{
    return (size_t)(a->end - a->start);
}

/* {Key, Value} in an area of its own, what they share once; or NULL. In slices. */
static struct literal_area *store(struct proc *p, term key, term value, term *pair)
{
    const term tuple[] = {TUPLE_HEADER(2), key, value};
    SLICED(p, NULL);

    return term_to_area(boxed_make(tuple), pair);
}

BIF(persistent_term, put, 2)
{
    struct persistent *t = table();
    uint32_t hash = term_internal_hash(arg[0]);
    struct entry **at, *e = *find(t, arg[0], hash);
    term pair;

    if (e && term_eq(entry_value(e), arg[1]))
        return am_ok;
    struct literal_area *a = store(p, arg[0], arg[1], &pair);
    if (!a)
        return bif_error(p, am_system_limit);
    /* Others may have changed the table meanwhile. */
    at = find(t, arg[0], hash);
    e = *at;
    t->words += area_words(a);
    bif_spend(p, area_words(a), 100);
    if (e) {
        struct literal_area *old = e->area;
        t->words -= area_words(old);
        e->area = a;
        e->pair = pair;
        leaving_add(old);
        return am_ok;
    }
    e = vm_alloc(ALLOC_SYSTEM, sizeof *e);
    *e = (struct entry){.hash = hash, .pair = pair, .area = a};
    *at = e;
    if (++t->count > t->buckets / 2)
        resize(t, t->buckets * 2);
    return am_ok;
}

static term get(struct proc *p, term key, term otherwise)
{
    struct entry *e = *find(table(), key, term_internal_hash(key));

    if (e)
        return entry_value(e);
    return otherwise != THE_NON_VALUE ? otherwise : bif_badarg(p);
}

BIF(persistent_term, get, 1)
{
    return get(p, arg[0], THE_NON_VALUE);
}
BIF(persistent_term, get, 2)
{
    return get(p, arg[0], arg[1]);
}

BIF(persistent_term, get, 0)
{
    struct persistent *t = table();
    term *hp = heap_alloc(p, t->count * CONS_WORDS);
    term list = TERM_NIL;

    for (size_t i = 0; i < t->buckets; i++) {
        for (struct entry *e = t->bucket[i]; e; e = e->next)
            list = put_cons(&hp, e->pair, list);
    }
    bif_spend(p, t->count, PAIRS_PER_RED);
    return list;
}

static void drop(struct persistent *t, struct entry **at)
{
    struct entry *e = *at;

    *at = e->next;
    t->count--;
    t->words -= area_words(e->area);
    leaving_add(e->area);
    vm_free(e);
}

BIF(persistent_term, erase, 1)
{
    struct persistent *t = table();
    struct entry **at = find(t, arg[0], term_internal_hash(arg[0]));

    if (!*at)
        return am_false;
    drop(t, at);
    if (t->count < t->buckets / 4 && t->buckets > BUCKETS_MIN)
        resize(t, t->buckets / 2);
    return am_true;
}

/* init:restart/0 begins anew without them. */
BIF(erts_internal, erase_persistent_terms, 0)
{
    struct persistent *t = table();

    for (size_t i = 0; i < t->buckets; i++) {
        while (t->bucket[i])
            drop(t, &t->bucket[i]);
    }
    return am_true;
}

BIF(persistent_term, info, 0)
{
    struct persistent *t = table();
    size_t bytes = sizeof *t + t->buckets * sizeof *t->bucket
                   + t->count * sizeof(struct entry) + t->words * sizeof(term);
    term kv[4] = {
        am_count, uint64_make(p, t->count),
        am_memory, uint64_make(p, bytes),
    };
    return map_from_pairs(p, kv, 2);
}
