/*
 * map_test.c - maps against a list of pairs, and the order of terms.
 */
#include "t.h"

#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/gc.h"
#include "vm/map.h"
#include "vm/ops.h"

#include <stdlib.h>

struct model {
    term key[2000], value[2000];
    size_t n;
};

static size_t model_find(const struct model *m, term key)
{
    size_t i = 0;

    while (i < m->n && !term_eq(m->key[i], key))
        i++;
    return i;
}

static void model_put(struct model *m, term key, term value)
{
    size_t i = model_find(m, key);

    m->key[i] = key;
    m->value[i] = value;
    if (i == m->n)
        m->n++;
}

static void model_remove(struct model *m, term key)
{
    size_t i = model_find(m, key);

    if (i < m->n) {
        m->n--;
        m->key[i] = m->key[m->n];
        m->value[i] = m->value[m->n];
    }
}

/* Shape: a map built at once from the model equals the one that grew. */
static void check(struct proc *p, term map, const struct model *m)
{
    term pairs[4000], k, v, built;
    struct map_iter it;
    struct mbuf *frag = mbuf_new(map_build_words(m->n));
    struct dest d = {frag->words, &frag->off};
    size_t n = 0;

    assert_int_equal(map_size(map), m->n);
    assert_int_equal(boxed_is(map, BOX_MAP), m->n <= MAP_SMALL_LIMIT);
    for (size_t i = 0; i < m->n; i++) {
        assert_true(map_get(map, m->key[i]) == m->value[i]);
        pairs[2 * i] = m->key[i];
        pairs[2 * i + 1] = m->value[i];
    }
    map_iter_init(&it, map);
    while (map_iter_next(&it, &k, &v)) {
        size_t i = model_find(m, k);

        assert_true(i < m->n && m->value[i] == v);
        n++;
    }
    assert_int_equal(n, m->n);
    built = map_build(&d, pairs, m->n);
    assert_true((size_t)(d.htop - frag->words) <= frag->size);
    assert_true(term_eq(map, built));
    assert_int_equal(term_hash64(map, 1), term_hash64(built, 1));
    assert_int_equal(term_phash2(map), term_phash2(built));
    assert_int_equal(term_compare(map, built), 0);
    assert_int_equal(term_compare_exact(map, built), 0);
    mbuf_free(frag);
}

static void against_model(void **state)
{
    t_vm();
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rng r = {seed};
        struct proc *p = t_proc();
        struct model *m = calloc(1, sizeof *m);
        term map = map_from_pairs(p, NULL, 0);
        size_t most = seed < 10 ? 60 : 1200;

        for (int i = 0; i < 4000; i++) {
            bool grow = m->n < most / 2 || (i / 1000 % 2 == 0 && m->n < most);
            term key = rng_below(&r, 2) && m->n > 0
                           ? m->key[rng_below(&r, m->n)]
                           : t_key(&r, p);

            if (rng_below(&r, 10) < (grow ? 7 : 3)) {
                term value = small_make((int64_t)rng_below(&r, 50));

                map = map_put(p, map, key, value);
                model_put(m, key, value);
            } else {
                map = map_remove(p, map, key);
                model_remove(m, key);
            }
            if (i % 97 == 0)
                check(p, map, m);
        }
        while (m->n > 0) {
            map = map_remove(p, map, m->key[0]);
            model_remove(m, m->key[0]);
            if (m->n % 31 == 0)
                check(p, map, m);
        }
        heap_check(p);
        free(m);
        t_proc_free(p);
    }
}

static void merged(void **state)
{
    t_vm();
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rng r = {seed};
        struct proc *p = t_proc();
        term a[400], b[400], both[800], x, y, z;
        size_t m = rng_below(&r, 200), n = rng_below(&r, seed % 3 ? 20 : 200);

        for (size_t i = 0; i < 2 * m; i++)
            a[i] = i & 1 ? small_make((int64_t)i) : t_key(&r, p);
        for (size_t i = 0; i < 2 * n; i++)
            b[i] = i & 1 ? small_make(-(int64_t)i) : t_key(&r, p);
        memcpy(both, a, 2 * m * sizeof(term));
        memcpy(both + 2 * m, b, 2 * n * sizeof(term));
        x = map_from_pairs(p, a, m);
        y = map_from_pairs(p, b, n);
        z = map_from_pairs(p, both, m + n);
        assert_true(term_eq(map_merge(p, x, y), z));
        assert_true(term_eq(map_put_many(p, x, b, n), z));
        t_proc_free(p);
    }
}

/* An iterator may stop after any key and go on from its place. */
static void places(void **state)
{
    struct rng r = {1};
    struct proc *p;
    term pairs[2000], map, k, v;
    struct map_iter it, again;
    size_t n = 0;

    t_vm();
    p = t_proc();
    for (size_t i = 0; i < 2000; i += 2) {
        pairs[i] = t_key(&r, p);
        pairs[i + 1] = TERM_NIL;
    }
    map = map_from_pairs(p, pairs, 1000);
    map_iter_init(&it, map);
    while (map_iter_next(&it, &k, &v)) {
        term k2, v2;
        size_t rest = 1;

        map_iter_at(&again, map, map_place(k));
        assert_true(map_iter_next(&again, &k2, &v2));
        assert_true(k == k2);
        while (map_iter_next(&again, &k2, &v2))
            rest++;
        assert_int_equal(rest, map_size(map) - n);
        n++;
    }
    t_proc_free(p);
}

/* The order is one: total, antisymmetric, transitive; equal terms compare 0. */
static void order(void **state)
{
    t_vm();
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct rng r = {seed};
        struct proc *p = t_proc();
        term t[60];

        for (size_t i = 0; i < 60; i++)
            t[i] = t_term(&r, p, t, i);
        for (size_t i = 0; i < 60; i++)
            for (size_t j = 0; j < 60; j++) {
                int ij = term_compare_exact(t[i], t[j]);
                int ji = term_compare_exact(t[j], t[i]);

                assert_true((ij < 0) == (ji > 0) && (ij == 0) == (ji == 0));
                assert_true((ij == 0) == term_eq(t[i], t[j]));
                if (ij == 0) {
                    assert_int_equal(term_hash64(t[i], 0), term_hash64(t[j], 0));
                    assert_int_equal(term_phash2(t[i]), term_phash2(t[j]));
                }
                for (size_t k = 0; k < 60; k++)
                    if (ij <= 0 && term_compare_exact(t[j], t[k]) <= 0)
                        assert_true(term_compare_exact(t[i], t[k]) <= 0);
            }
        t_proc_free(p);
    }
}

/* bits_copy and bits_compare against one bit at a time. */
static void bits(void **state)
{
    struct rng r = {7};

    for (int i = 0; i < 20000; i++) {
        uint8_t src[64], dst[64], want[64];
        uint64_t s = rng_below(&r, 100), d = rng_below(&r, 100);
        uint64_t n = rng_below(&r, 300);

        for (size_t k = 0; k < 64; k++) {
            src[k] = (uint8_t)rng_next(&r);
            dst[k] = want[k] = (uint8_t)rng_next(&r);
        }
        for (uint64_t k = 0; k < n; k++) {
            unsigned bit = src[(s + k) / 8] >> (7 - (s + k) % 8) & 1;
            unsigned shift = 7 - (d + k) % 8;

            want[(d + k) / 8] = (uint8_t)((want[(d + k) / 8] & ~(1u << shift)) |
                                          bit << shift);
        }
        bits_copy(dst, d, src, s, n);
        assert_memory_equal(dst, want, 64);

        struct bits x = {.base = src, .offset = s, .size = n};
        struct bits y = {.base = dst, .offset = d, .size = n};

        assert_int_equal(bits_compare(x, y), 0);
        if (n > 0) {
            uint64_t k = rng_below(&r, n);
            unsigned bit = src[(s + k) / 8] >> (7 - (s + k) % 8) & 1;

            dst[(d + k) / 8] ^= (uint8_t)(1u << (7 - (d + k) % 8));
            assert_true(bit ? bits_compare(x, y) > 0 : bits_compare(x, y) < 0);
            assert_true(bit ? bits_compare(y, x) < 0 : bits_compare(y, x) > 0);
            y.size = k;
            assert_true(bits_compare(x, y) > 0);
            assert_true(bits_compare(y, x) < 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits),   cmocka_unit_test(against_model),
        cmocka_unit_test(merged), cmocka_unit_test(places),
        cmocka_unit_test(order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
