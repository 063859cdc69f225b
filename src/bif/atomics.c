/*
 * atomics.c - atomics, and counters with write_concurrency.
 *
 * Both are arrays of 64-bit words in a resource. One scheduler runs all
 * processes, so a counter is spread over nothing; the operations are atomic
 * for the sake of natives on other threads.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/map.h"

enum { OPT_SIGNED = 1 };        /* atomics.erl */

struct words {
    struct resource res;
    size_t n;
    bool is_signed;
    int64_t v[];
};

static void words_free(struct resource *r)
{
    vm_free(r);
}

/* Their addresses tell the two kinds apart. */
static const char atomics_type[] = "atomics", counters_type[] = "counters";

static size_t words_bytes(size_t n)
{
    return sizeof(struct words) + n * sizeof(int64_t);
}

static term not_uint64(struct proc *p, term t)
{
    return bif_error(p, term_is_big(t) && !big_negative(t) ? am_system_limit : am_badarg);
}

static term words_new(struct proc *p, term count, bool is_signed,
                      const void *type)
{
    uint64_t n;

    if (!term_to_uint64(count, &n))
        return not_uint64(p, count);
    if (n == 0)
        return bif_badarg(p);
    if (n > (SIZE_MAX >> 4) / sizeof(int64_t))
        return bif_error(p, am_system_limit);
    struct words *w = vm_try_alloc(ALLOC_SYSTEM, words_bytes(n));
    if (!w)
        return bif_error(p, am_system_limit);
    memset(w, 0, words_bytes(n));
    w->res = (struct resource){.refc = 1, .free = words_free, .type = type};
    w->n = n;
    w->is_signed = is_signed;

    struct dest d = {.htop = heap_alloc(p, MAGIC_WORDS), .off = &p->heap.off};
    return magic_put(&d, &w->res);
}

static struct words *words_of(term ref, const void *type)
{
    return (struct words *)magic_resource(ref, type);
}

/* The word that ref and index name, or NULL. */
static int64_t *word_at(const term *arg, const void *type, struct words **w)
{
    uint64_t i;

    *w = words_of(arg[0], type);
    if (!*w || !term_to_uint64(arg[1], &i) || i == 0 || i > (*w)->n)
        return NULL;
    return &(*w)->v[i - 1];
}

static bool get_value(const struct words *w, term t, int64_t *v)
{
    uint64_t u;

    if (w->is_signed)
        return term_to_int64(t, v);
    if (!term_to_uint64(t, &u))
        return false;
    *v = (int64_t)u;
    return true;
}

/* An increment may be given either way: it wraps. */
static bool get_incr(term t, int64_t *v)
{
    uint64_t u;

    if (term_to_int64(t, v))
        return true;
    if (!term_to_uint64(t, &u))
        return false;
    *v = (int64_t)u;
    return true;
}

static term make_value(struct proc *p, const struct words *w, int64_t v)
{
    return w->is_signed ? int64_make(p, v) : uint64_make(p, (uint64_t)v);
}

BIF(erts_internal, atomics_new, 2)
{
    uint64_t n, opts;

    if (!term_to_uint64(arg[0], &n))
        return not_uint64(p, arg[0]);
    if (n == 0)
        return bif_badarg(p);
    if (!term_to_uint64(arg[1], &opts))
        return not_uint64(p, arg[1]);
    return words_new(p, arg[0], opts & OPT_SIGNED, atomics_type);
}

BIF(atomics, put, 3)
{
    struct words *w;
    int64_t *at = word_at(arg, atomics_type, &w), v;

    if (!at || !get_value(w, arg[2], &v))
        return bif_badarg(p);
    __atomic_store_n(at, v, __ATOMIC_SEQ_CST);
    return am_ok;
}

BIF(atomics, get, 2)
{
    struct words *w;
    int64_t *at = word_at(arg, atomics_type, &w);

    if (!at)
        return bif_badarg(p);
    return make_value(p, w, __atomic_load_n(at, __ATOMIC_SEQ_CST));
}

BIF(atomics, add, 3)
{
    struct words *w;
    int64_t *at = word_at(arg, atomics_type, &w), v;

    if (!at || !get_incr(arg[2], &v))
        return bif_badarg(p);
    __atomic_fetch_add(at, v, __ATOMIC_SEQ_CST);
    return am_ok;
}

BIF(atomics, add_get, 3)
{
    struct words *w;
    int64_t *at = word_at(arg, atomics_type, &w), v;

    if (!at || !get_incr(arg[2], &v))
        return bif_badarg(p);
    return make_value(p, w, __atomic_add_fetch(at, v, __ATOMIC_SEQ_CST));
}

BIF(atomics, exchange, 3)
{
    struct words *w;
    int64_t *at = word_at(arg, atomics_type, &w), v;

    if (!at || !get_value(w, arg[2], &v))
        return bif_badarg(p);
    return make_value(p, w, __atomic_exchange_n(at, v, __ATOMIC_SEQ_CST));
}

BIF(atomics, compare_exchange, 4)
{
    struct words *w;
    int64_t *at = word_at(arg, atomics_type, &w), expected, desired;

    if (!at || !get_value(w, arg[2], &expected)
        || !get_value(w, arg[3], &desired))
        return bif_badarg(p);
    if (__atomic_compare_exchange_n(at, &expected, desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return am_ok;
    return make_value(p, w, expected);
}

BIF(atomics, info, 1)
{
    struct words *w = words_of(arg[0], atomics_type);

    if (!w)
        return bif_badarg(p);
    term kv[8] = {
        am_max, w->is_signed ? int64_make(p, INT64_MAX)
                             : uint64_make(p, UINT64_MAX),
        am_min, w->is_signed ? int64_make(p, INT64_MIN) : small_make(0),
        am_size, uint64_make(p, w->n),
        am_memory, uint64_make(p, words_bytes(w->n)),
    };
    return map_from_pairs(p, kv, 4);
}

BIF(erts_internal, counters_new, 1)
{
    return words_new(p, arg[0], true, counters_type);
}

BIF(erts_internal, counters_get, 2)
{
    struct words *w;
    int64_t *at = word_at(arg, counters_type, &w);

    if (!at)
        return bif_badarg(p);
    return make_value(p, w, __atomic_load_n(at, __ATOMIC_RELAXED));
}

BIF(erts_internal, counters_add, 3)
{
    struct words *w;
    int64_t *at = word_at(arg, counters_type, &w), v;

    if (!at || !get_incr(arg[2], &v))
        return bif_badarg(p);
    __atomic_fetch_add(at, v, __ATOMIC_RELAXED);
    return am_ok;
}

BIF(erts_internal, counters_put, 3)
{
    struct words *w;
    int64_t *at = word_at(arg, counters_type, &w), v;

    if (!at || !term_to_int64(arg[2], &v))
        return bif_badarg(p);
    __atomic_store_n(at, v, __ATOMIC_RELAXED);
    return am_ok;
}

BIF(erts_internal, counters_info, 1)
{
    struct words *w = words_of(arg[0], counters_type);

    if (!w)
        return bif_badarg(p);
    term kv[4] = {
        am_size, uint64_make(p, w->n),
        am_memory, uint64_make(p, words_bytes(w->n)),
    };
    return map_from_pairs(p, kv, 2);
}
