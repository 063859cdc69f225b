/*
 * big_test.c - the digit loops, held against 128-bit arithmetic and against
 * each other, at the sizes where the method changes and with the digits that
 * carry the furthest.
 */
#include "t.h"

#include "vm/big.h"
#include "vm/digits.h"

#include <stdio.h>
#include <stdlib.h>

typedef unsigned __int128 u128;

/* Digits that make carries, borrows and wrong quotient digits likely. */
static uint64_t digit(struct rng *r)
{
    switch (rng_below(r, 6)) {
    case 0:
        return 0;
    case 1:
        return ~(uint64_t)0;
    case 2:
        return (uint64_t)1 << 63;
    case 3:
        return ~(uint64_t)0 >> rng_below(r, 64);
    default:
        return rng_next(r);
    }
}

/* n digits, the highest not 0. */
static void fill(struct rng *r, uint64_t *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        a[i] = digit(r);
    while (n > 0 && a[n - 1] == 0)
        a[n - 1] = digit(r);
}

static void two_digits(void **state)
{
    struct rng r = {1};

    for (int i = 0; i < 200000; i++) {
        uint64_t a[2] = {digit(&r), digit(&r)}, b = digit(&r), p[3], q[2];
        u128 va = (u128)a[1] << 64 | a[0];

        p[2] = dig_mul1(p, a, 2, b, 7);
        u128 low = (u128)a[0] * b + 7, high = (u128)a[1] * b + (uint64_t)(low >> 64);
        assert_true(p[0] == (uint64_t)low && p[1] == (uint64_t)high
                    && p[2] == (uint64_t)(high >> 64));
        if (b == 0)
            continue;
        uint64_t rem = dig_divrem1(q, a, 2, b);
        assert_true(((u128)q[1] << 64 | q[0]) == va / b && rem == (uint64_t)(va % b));
    }
}

static void three_by_two(void **state)
{
    struct rng r = {2};

    for (int i = 0; i < 200000; i++) {
        uint64_t a[2], b[2], q[1], rem[2];

        fill(&r, a, 2);
        fill(&r, b, 2);
        u128 va = (u128)a[1] << 64 | a[0], vb = (u128)b[1] << 64 | b[0];
        dig_divrem(q, rem, a, 2, b, 2);
        assert_true(q[0] == (uint64_t)(va / vb));
        assert_true(((u128)rem[1] << 64 | rem[0]) == va % vb);
    }
}

/* By columns, as at school: slow, and simple enough to be believed. */
static void mul_plain(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
                      size_t nb)
{
    memset(r, 0, (na + nb) * sizeof *r);
    for (size_t i = 0; i < na; i++) {
        uint64_t carry = 0;

        for (size_t j = 0; j < nb; j++) {
            u128 t = (u128)a[i] * b[j] + r[i + j] + carry;

            r[i + j] = (uint64_t)t;
            carry = (uint64_t)(t >> 64);
        }
        r[i + nb] = carry;
    }
}

#define MAX 700

static size_t size(struct rng *r, int round)
{
    static const size_t edges[] = {1, 2, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80,
                                   81, 95, 96, 97, 127, 128, 160, 161, 320, 641};

    if (round & 1)
        return edges[rng_below(r, sizeof edges / sizeof *edges)];
    return 1 + rng_below(r, round % 50 ? 100 : MAX - 1);
}

static void products(void **state)
{
    static uint64_t a[MAX], b[MAX], p[2 * MAX], want[2 * MAX];
    struct rng r = {3};

    for (int i = 0; i < 3000; i++) {
        size_t na = size(&r, i), nb = size(&r, i / 2);

        fill(&r, a, na);
        fill(&r, b, nb);
        mul_plain(want, a, na, b, nb);
        memset(p, 0xa5, sizeof p);
        dig_mul(p, a, na, b, nb);
        assert_memory_equal(p, want, (na + nb) * sizeof *p);
        mul_plain(want, a, na, a, na);
        dig_sqr(p, a, na);
        assert_memory_equal(p, want, 2 * na * sizeof *p);
    }
}

/* q * b + r == a and r < b, whatever way the quotient was found. */
static void quotients(void **state)
{
    static uint64_t a[2 * MAX], b[MAX], q[2 * MAX], rem[MAX], back[3 * MAX];
    static uint64_t q2[2 * MAX], rem2[MAX];
    struct rng r = {4};

    for (int i = 0; i < 3000; i++) {
        size_t nb = size(&r, i), nq = size(&r, i / 2);
        size_t na = nb + nq - 1;

        fill(&r, b, nb);
        if (i % 3 == 0) {
            /* Just below a multiple, where the estimate is too large. */
            fill(&r, q, nq);
            dig_mul(a, q, nq, b, nb);
            na = dig_strip(a, nb + nq);
            uint64_t one = rng_below(&r, 3);
            if (na > nb)
                dig_sub(a, a, na, &one, 1);
            na = dig_strip(a, na);
        } else {
            fill(&r, a, na);
        }
        if (na < nb)
            continue;
        dig_divrem(q, rem, a, na, b, nb);
        nq = dig_strip(q, na - nb + 1);
        memset(back, 0, sizeof back);
        if (nq > 0)
            dig_mul(back, q, nq, b, nb);
        assert_int_equal(dig_add(back, back, na + 1, rem, nb), 0);
        assert_int_equal(back[na], 0);
        assert_memory_equal(back, a, na * sizeof *a);
        assert_true(dig_compare(rem, dig_strip(rem, nb), b, nb) < 0);
        /* One result alone is the same. */
        dig_divrem(q2, NULL, a, na, b, nb);
        assert_memory_equal(q2, q, (na - nb + 1) * sizeof *q);
        dig_divrem(NULL, rem2, a, na, b, nb);
        assert_memory_equal(rem2, rem, nb * sizeof *rem);
    }
}

static void shifts(void **state)
{
    struct rng r = {5};

    for (int i = 0; i < 20000; i++) {
        size_t n = 1 + rng_below(&r, 20);
        unsigned bits = (unsigned)rng_below(&r, 64);
        uint64_t a[21], b[21], c[21];

        fill(&r, a, n);
        b[n] = dig_shl(b, a, n, bits);
        /* In place, and back. */
        memcpy(c, a, n * sizeof *c);
        c[n] = dig_shl(c, c, n, bits);
        assert_memory_equal(b, c, (n + 1) * sizeof *b);
        assert_int_equal(dig_shr(b, b, n + 1, bits), 0);
        assert_int_equal(b[n], 0);
        assert_memory_equal(b, a, n * sizeof *a);
    }
}

/* A 128-bit integer on p's heap. */
static term make(struct proc *p, __int128 v)
{
    u128 m = v < 0 ? -(u128)v : (u128)v;
    uint8_t le[16];
    term *hp = heap_alloc(p, big_bytes_words(sizeof le)), t;

    memcpy(le, &m, sizeof le);
    t = big_put_bytes(&hp, le, sizeof le, v < 0);
    heap_trim(p, hp);
    return t;
}

static void is(term t, __int128 v)
{
    u128 m = v < 0 ? -(u128)v : (u128)v, got = 0;

    if (v >= SMALL_MIN && v <= SMALL_MAX) {
        assert_true(t == small_make((int64_t)v));
        return;
    }
    assert_true(term_is_big(t));
    assert_true(big_digits(t) == (m >> 64 ? 2 : 1));
    assert_true(big_negative(t) == (v < 0));
    memcpy(&got, big_data(t), big_digits(t) * 8);
    assert_true(got == m);
}

/* Up to 126 bits, so that sums do not overflow; around the powers of two. */
static __int128 wide(struct rng *r)
{
    u128 v = (u128)1 << rng_below(r, 126);

    switch (rng_below(r, 3)) {
    case 0:
        v = ((u128)rng_next(r) << 64 | rng_next(r)) >> (2 + rng_below(r, 126));
        break;
    default:
        v = v + rng_below(r, 5) - 2;
    }
    return rng_below(r, 2) ? -(__int128)v : (__int128)v;
}

static void mixed(void **state)
{
    struct rng r = {6};

    t_vm();
    for (int i = 0; i < 100000; i++) {
        struct proc *p = t_proc();
        __int128 a = wide(&r), b = wide(&r);
        term ta = make(p, a), tb = make(p, b), t;
        unsigned k = (unsigned)rng_below(&r, 140);
        term *top = p->heap.htop;

        is(ta, a);
        is(t = num_add(p, ta, tb), a + b);
        if (a != 0 && b != 0)
            assert_true(p->heap.htop == top + (term_is_big(t) ? big_digits(t) + 1 : 0));
        is(num_sub(p, ta, tb), a - b);
        is(num_band(p, ta, tb), a & b);
        is(num_bor(p, ta, tb), a | b);
        is(num_bxor(p, ta, tb), a ^ b);
        is(num_bnot(p, ta), ~a);
        is(num_neg(p, ta), -a);
        is(num_abs(p, ta), a < 0 ? -a : a);
        is(num_bsr(p, ta, small_make(k)), k > 127 ? (a < 0 ? -1 : 0) : a >> k);
        if (b != 0) {
            is(num_div(p, ta, tb), a / b);
            is(num_rem(p, ta, tb), a % b);
        }
        assert_int_equal((num_compare(ta, tb) > 0) - (num_compare(ta, tb) < 0),
                         (a > b) - (a < b));
        __int128 prod;
        if (!__builtin_mul_overflow(a, b, &prod) && prod != (__int128)((unsigned __int128)1 << 127))
            is(num_mul(p, ta, tb), prod);
        t_proc_free(p);
    }
}

/* Without room nothing happens but a note of the need. */
static void no_room(void **state)
{
    struct proc *p = t_proc();
    term a = make(p, (__int128)1 << 100), *top;

    heap_alloc(p, heap_free_words(&p->heap));
    top = p->heap.htop;
    assert_true(num_add(p, a, a) == THE_NON_VALUE);
    assert_int_equal(p->need_words, 4);
    assert_true(p->heap.htop == top);
    assert_int_equal(p->exc.kind, EXC_NONE);
    p->need_words = 0;
    assert_true(num_mul(p, a, a) == THE_NON_VALUE);
    assert_int_equal(p->need_words, 5);
    t_proc_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_digits), cmocka_unit_test(three_by_two),
        cmocka_unit_test(products),   cmocka_unit_test(quotients),
        cmocka_unit_test(shifts),     cmocka_unit_test(mixed),
        cmocka_unit_test(no_room),
    };

    t_vm();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
