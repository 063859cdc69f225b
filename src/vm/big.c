/*
 * big.c - the digit loops of bignums.
 *
 * Multiplication is by columns of one digit up to KARATSUBA_MIN digits, by
 * Karatsuba's method above. Division is Knuth's algorithm D up to
 * BURNIKEL_MIN digits of divisor, that of Burnikel and Ziegler ("Fast
 * Recursive Division", 1998) above, so that it costs about two
 * multiplications. Quotient digits come from a precomputed reciprocal (Moeller
 * and Granlund, "Improved division by invariant integers", 2011): the
 * machine's divide takes several times as long as two multiplications.
 */
#include "vm/digits.h"
#include "vm/slice.h"
#include "vm/vm.h"

typedef unsigned __int128 u128;

/* Measured on random digits: where the recursive methods begin to win. */
#define KARATSUBA_MIN 32
#define KARATSUBA_SQR_MIN 48
#define BURNIKEL_MIN 80
/* From so many digits a row's time is counted: about a nanosecond each. */
#define PACED_DIGITS 64

/* Scratch of this many digits lives in the frame. */
#define SCRATCH_LOCAL 160

/* Memory for n digits: buf if they fit, else from the allocator. */
static uint64_t *scratch_get(uint64_t *buf, size_t n)
{
    return n <= SCRATCH_LOCAL ? buf : vm_alloc(ALLOC_SYSTEM, n * sizeof *buf);
}

static void scratch_put(uint64_t *buf, uint64_t *s)
{
    if (s != buf)
        vm_free(s);
}

static inline uint64_t add_carry(uint64_t a, uint64_t b, uint64_t *carry)
{
    unsigned long long out, r = __builtin_addcll(a, b, *carry, &out);

    *carry = out;
    return r;
}

static inline uint64_t sub_borrow(uint64_t a, uint64_t b, uint64_t *borrow)
{
    unsigned long long out, r = __builtin_subcll(a, b, *borrow, &out);

    *borrow = out;
    return r;
}

int dig_compare(const uint64_t *a, size_t na, const uint64_t *b, size_t nb)
{
    if (na != nb)
        return na < nb ? -1 : 1;
    while (na-- > 0) {
        if (a[na] != b[na])
            return a[na] < b[na] ? -1 : 1;
    }
    return 0;
}

/* r[0..n) = a + b + carry; the carry out. */
static uint64_t add_n(uint64_t *r, const uint64_t *a, const uint64_t *b,
                      size_t n, uint64_t carry)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        r[i] = add_carry(a[i], b[i], &carry);
        r[i + 1] = add_carry(a[i + 1], b[i + 1], &carry);
        r[i + 2] = add_carry(a[i + 2], b[i + 2], &carry);
        r[i + 3] = add_carry(a[i + 3], b[i + 3], &carry);
    }
    for (; i < n; i++)
        r[i] = add_carry(a[i], b[i], &carry);
    return carry;
}

static uint64_t sub_n(uint64_t *r, const uint64_t *a, const uint64_t *b,
                      size_t n, uint64_t borrow)
{
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        r[i] = sub_borrow(a[i], b[i], &borrow);
        r[i + 1] = sub_borrow(a[i + 1], b[i + 1], &borrow);
        r[i + 2] = sub_borrow(a[i + 2], b[i + 2], &borrow);
        r[i + 3] = sub_borrow(a[i + 3], b[i + 3], &borrow);
    }
    for (; i < n; i++)
        r[i] = sub_borrow(a[i], b[i], &borrow);
    return borrow;
}

/* r[0..n) = a + carry; the carry out. */
static uint64_t add_1(uint64_t *r, const uint64_t *a, size_t n, uint64_t carry)
{
    size_t i = 0;

    for (; i < n && carry; i++) {
        r[i] = a[i] + carry;
        carry = r[i] < carry;
    }
    if (r != a && i < n)
        memcpy(r + i, a + i, (n - i) * sizeof *r);
    return carry;
}

static uint64_t sub_1(uint64_t *r, const uint64_t *a, size_t n, uint64_t borrow)
{
    size_t i = 0;

    for (; i < n && borrow; i++) {
        uint64_t d = a[i];
        r[i] = d - borrow;
        borrow = d < borrow;
    }
    if (r != a && i < n)
        memcpy(r + i, a + i, (n - i) * sizeof *r);
    return borrow;
}

uint64_t dig_add(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
                 size_t nb)
{
    assert(na >= nb);
    uint64_t carry = add_n(r, a, b, nb, 0);
    return add_1(r + nb, a + nb, na - nb, carry);
}

uint64_t dig_sub(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
                 size_t nb)
{
    assert(na >= nb);
    uint64_t borrow = sub_n(r, a, b, nb, 0);
    return sub_1(r + nb, a + nb, na - nb, borrow);
}

uint64_t dig_mul1(uint64_t *r, const uint64_t *a, size_t n, uint64_t m,
                  uint64_t carry)
{
    for (size_t i = 0; i < n; i++) {
        u128 t = (u128)a[i] * m + carry;
        r[i] = (uint64_t)t;
        carry = (uint64_t)(t >> 64);
    }
    return carry;
}

/* r[0..n) += a * m; the carry out. */
static uint64_t addmul_1(uint64_t *r, const uint64_t *a, size_t n, uint64_t m)
{
    uint64_t carry = 0;
    size_t i = 0;

#define STEP(k)                                                                \
    do {                                                                       \
        u128 t_ = (u128)a[i + (k)] * m + r[i + (k)] + carry;                   \
        r[i + (k)] = (uint64_t)t_;                                             \
        carry = (uint64_t)(t_ >> 64);                                          \
    } while (0)
    for (; i + 4 <= n; i += 4) {
        STEP(0);
        STEP(1);
        STEP(2);
        STEP(3);
    }
    for (; i < n; i++)
        STEP(0);
#undef STEP
    return carry;
}

/* r[0..n) -= a * m; the borrow out. */
static uint64_t submul_1(uint64_t *r, const uint64_t *a, size_t n, uint64_t m)
{
    uint64_t carry = 0;

    for (size_t i = 0; i < n; i++) {
        u128 t = (u128)a[i] * m + carry;
        uint64_t low = (uint64_t)t;

        carry = (uint64_t)(t >> 64) + (r[i] < low);
        r[i] -= low;
    }
    return carry;
}

uint64_t dig_shl(uint64_t *r, const uint64_t *a, size_t n, unsigned bits)
{
    uint64_t out = 0;

    if (bits == 0) {
        memmove(r, a, n * sizeof *r);
        return 0;
    }
    /* From the top, so that r may lie above a. */
    if (n > 0)
        out = a[n - 1] >> (64 - bits);
    for (size_t i = n; i-- > 1;)
        r[i] = a[i] << bits | a[i - 1] >> (64 - bits);
    if (n > 0)
        r[0] = a[0] << bits;
    return out;
}

uint64_t dig_shr(uint64_t *r, const uint64_t *a, size_t n, unsigned bits)
{
    uint64_t out = 0;

    if (bits == 0) {
        memmove(r, a, n * sizeof *r);
        return 0;
    }
    if (n > 0)
        out = a[0] << (64 - bits);
    for (size_t i = 0; i + 1 < n; i++)
        r[i] = a[i] >> bits | a[i + 1] << (64 - bits);
    if (n > 0)
        r[n - 1] = a[n - 1] >> bits;
    return out;
}

/* --- multiplication ------------------------------------------------------ */

static void mul_school(uint64_t *r, const uint64_t *a, size_t na,
                       const uint64_t *b, size_t nb)
{
    r[na] = dig_mul1(r, a, na, b[0], 0);
    for (size_t i = 1; i < nb; i++) {
        r[na + i] = addmul_1(r + i, a, na, b[i]);
        if (unlikely(na >= PACED_DIGITS))
            slice(na);
    }
}

/* Each product of two different digits once, doubled, plus the squares. */
static void sqr_school(uint64_t *r, const uint64_t *a, size_t n)
{
    uint64_t carry = 0, top = 0;

    r[0] = 0;
    r[2 * n - 1] = 0;
    if (n > 1) {
        r[n] = dig_mul1(r + 1, a + 1, n - 1, a[0], 0);
        for (size_t i = 1; i + 1 < n; i++)
            r[n + i] = addmul_1(r + 2 * i + 1, a + i + 1, n - i - 1, a[i]);
    }
    for (size_t i = 0; i < n; i++) {
        u128 sq = (u128)a[i] * a[i];
        uint64_t low = r[2 * i], high = r[2 * i + 1];
        uint64_t low2 = low << 1 | top, high2 = high << 1 | low >> 63;

        top = high >> 63;
        r[2 * i] = add_carry(low2, (uint64_t)sq, &carry);
        r[2 * i + 1] = add_carry(high2, (uint64_t)(sq >> 64), &carry);
    }
    assert(carry == 0 && top == 0);
}

/* r[0..n) = |a - b| for a of n digits and b of nb <= n; true if negative. */
static bool diff_abs(uint64_t *r, const uint64_t *a, size_t n,
                     const uint64_t *b, size_t nb)
{
    if (dig_compare(a, dig_strip(a, n), b, dig_strip(b, nb)) >= 0) {
        dig_sub(r, a, n, b, nb);
        return false;
    }
    /* a < b, so a's digits above b's are zero. */
    sub_n(r, b, a, nb, 0);
    memset(r + nb, 0, (n - nb) * sizeof *r);
    return true;
}

/*
 * Scratch for kara_mul of n digits: 4 * ceil(n / 2) at each level. The halves
 * are rounded up at most once a level, and there are fewer than 64.
 */
static size_t kara_scratch(size_t n)
{
    return 4 * n + 4 * 64;
}

/*
 * r[0..2n) = a * b by three products of half the size:
 *    (a0 + a1 B)(b0 + b1 B) = z0 + (z0 + z2 - (a0 - a1)(b0 - b1)) B + z2 B^2
 * b == NULL: a squared. The depth of recursion is that of halving n.
 */
static void kara_mul(uint64_t *r, const uint64_t *a, const uint64_t *b,
                     size_t n, uint64_t *s)
{
    if (b ? n < KARATSUBA_MIN : n < KARATSUBA_SQR_MIN) {
        if (b)
            mul_school(r, a, n, b, n);
        else
            sqr_school(r, a, n);
        slice(n * n / 2);
        return;
    }

    size_t hi = n / 2, lo = n - hi;
    uint64_t *mid = s, *prod = s + 2 * lo;
    const uint64_t *b1 = b ? b + lo : NULL;
    bool negative;
    uint64_t carry;

    negative = diff_abs(mid, a, lo, a + lo, hi);
    if (b) {
        negative ^= diff_abs(mid + lo, b, lo, b + lo, hi);
        kara_mul(prod, mid, mid + lo, lo, s + 4 * lo);
    } else {
        negative = false;
        kara_mul(prod, mid, NULL, lo, s + 4 * lo);
    }
    kara_mul(r, a, b, lo, s + 4 * lo);
    kara_mul(r + 2 * lo, a + lo, b1, hi, s + 4 * lo);

    carry = dig_add(mid, r, 2 * lo, r + 2 * lo, 2 * hi);
    if (negative)
        carry += add_n(mid, mid, prod, 2 * lo, 0);
    else
        carry -= sub_n(mid, mid, prod, 2 * lo, 0);
    carry += add_n(r + lo, r + lo, mid, 2 * lo, 0);
    carry = add_1(r + 3 * lo, r + 3 * lo, 2 * n - 3 * lo, carry);
    assert(carry == 0);
}

void dig_mul(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
             size_t nb)
{
    if (na < nb) {
        const uint64_t *t = a;
        size_t nt = na;

        a = b;
        na = nb;
        b = t;
        nb = nt;
    }
    assert(nb > 0);
    if (nb < KARATSUBA_MIN) {
        mul_school(r, a, na, b, nb);
        return;
    }

    size_t ks = kara_scratch(nb);
    uint64_t *s = vm_alloc(ALLOC_SYSTEM, (ks + 2 * nb) * sizeof *s);

    if (na == nb) {
        kara_mul(r, a, b, na, s);
    } else {
        /* Pieces of a as long as b; what remains is a smaller product. */
        uint64_t *piece = s + ks;
        size_t at = nb;

        kara_mul(r, a, b, nb, s);
        for (; na - at >= nb; at += nb) {
            kara_mul(piece, a + at, b, nb, s);
            dig_add(r + at, piece, 2 * nb, r + at, nb);
        }
        if (at < na) {
            size_t n = na - at;

            dig_mul(piece, b, nb, a + at, n);
            dig_add(r + at, piece, nb + n, r + at, nb);
        }
    }
    vm_free(s);
}

void dig_sqr(uint64_t *r, const uint64_t *a, size_t n)
{
    if (n < KARATSUBA_SQR_MIN) {
        sqr_school(r, a, n);
        return;
    }

    uint64_t *s = vm_alloc(ALLOC_SYSTEM, kara_scratch(n) * sizeof *s);

    kara_mul(r, a, NULL, n, s);
    vm_free(s);
}

/* --- division ------------------------------------------------------------ */

/* floor((B^2 - 1) / d) - B, for d with its top bit set. */
static uint64_t reciprocal1(uint64_t d)
{
    assert(d >> 63);
    return (uint64_t)(((u128)~d << 64 | ~(uint64_t)0) / d);
}

/* (u1 B + u0) / d and the remainder, for u1 < d; v = reciprocal1(d). */
static inline uint64_t div_2by1(uint64_t u1, uint64_t u0, uint64_t d,
                                uint64_t v, uint64_t *rem)
{
    u128 q = (u128)v * u1 + ((u128)u1 << 64 | u0);
    uint64_t q1 = (uint64_t)(q >> 64) + 1, q0 = (uint64_t)q;
    uint64_t r = u0 - q1 * d;

    if (r > q0) {
        q1--;
        r += d;
    }
    if (unlikely(r >= d)) {
        q1++;
        r -= d;
    }
    *rem = r;
    return q1;
}

/* floor((B^3 - 1) / (d1 B + d0)) - B, for d1 with its top bit set. */
static uint64_t reciprocal2(uint64_t d1, uint64_t d0)
{
    uint64_t v = reciprocal1(d1);
    uint64_t p = d1 * v + d0;
    u128 t;

    if (p < d0) {
        v--;
        if (p >= d1) {
            v--;
            p -= d1;
        }
        p -= d1;
    }
    t = (u128)v * d0;
    p += (uint64_t)(t >> 64);
    if (p < (uint64_t)(t >> 64)) {
        v--;
        if (((u128)p << 64 | (uint64_t)t) >= ((u128)d1 << 64 | d0))
            v--;
    }
    return v;
}

/* (u2 B^2 + u1 B + u0) / d, for u2 B + u1 < d; v = reciprocal2(d). */
static inline uint64_t div_3by2(uint64_t u2, uint64_t u1, uint64_t u0, u128 d,
                                uint64_t v)
{
    uint64_t d1 = (uint64_t)(d >> 64), d0 = (uint64_t)d;
    u128 q = (u128)v * u2 + ((u128)u2 << 64 | u1);
    uint64_t q1 = (uint64_t)(q >> 64), q0 = (uint64_t)q;
    u128 r = ((u128)(u1 - q1 * d1) << 64 | u0) - (u128)d0 * q1 - d;

    q1++;
    if ((uint64_t)(r >> 64) >= q0) {
        q1--;
        r += d;
    }
    if (unlikely(r >= d))
        q1++;
    return q1;
}

uint64_t dig_divrem1(uint64_t *q, const uint64_t *a, size_t n, uint64_t d)
{
    unsigned shift = (unsigned)__builtin_clzll(d);
    uint64_t rem = 0;

    if (n == 1) {
        uint64_t a0 = a[0];

        q[0] = a0 / d;
        return a0 % d;
    }
    d <<= shift;

    uint64_t v = reciprocal1(d);

    if (shift == 0) {
        for (size_t i = n; i-- > 0;)
            q[i] = div_2by1(rem, a[i], d, v, &rem);
        return rem;
    }
    rem = a[n - 1] >> (64 - shift);
    for (size_t i = n; i-- > 1;) {
        uint64_t u = a[i] << shift | a[i - 1] >> (64 - shift);
        q[i] = div_2by1(rem, u, d, v, &rem);
    }
    q[0] = div_2by1(rem, a[0] << shift, d, v, &rem);
    return rem >> shift;
}

/*
 * Algorithm D on a divisor d of n >= 2 digits with its top bit set. u has m + n
 * digits, the top n of which are less than d: q[0..m) is the quotient, the
 * remainder stays in u[0..n). q may be NULL.
 */
static void div_school(uint64_t *q, uint64_t *u, size_t m, const uint64_t *d,
                       size_t n)
{
    uint64_t d1 = d[n - 1], d0 = d[n - 2];
    uint64_t v = reciprocal2(d1, d0);
    u128 d10 = (u128)d1 << 64 | d0;

    for (size_t j = m; j-- > 0;) {
        uint64_t u2 = u[j + n], u1 = u[j + n - 1];
        uint64_t qd, borrow;

        if (unlikely(u2 == d1 && u1 == d0))
            qd = ~(uint64_t)0;
        else
            qd = div_3by2(u2, u1, u[j + n - 2], d10, v);
        borrow = submul_1(u + j, d, n, qd);
        if (unlikely(n >= PACED_DIGITS))
            slice(n);
        /* The estimate is never too small, and at most one too large. */
        if (unlikely(u2 < borrow)) {
            qd--;
            borrow -= add_n(u + j, u + j, d, n, 0);
        }
        assert(u2 == borrow);
        u[j + n] = 0;
        if (q)
            q[j] = qd;
    }
}

static void div_recurse(uint64_t *q, uint64_t *u, const uint64_t *d, size_t n,
                        uint64_t *s);

/*
 * u[0..n + h) by d[0..n), h < n: q[0..h), remainder in u[0..n), zeros above it.
 * The top n digits of u are less than d, whose top bit is set. The first h
 * digits of d give a quotient that is at most two too large. s: n digits.
 */
static void div_part(uint64_t *q, uint64_t *u, const uint64_t *d, size_t n,
                     size_t h, uint64_t *s)
{
    size_t low = n - h;
    const uint64_t *top = d + low;
    int64_t carry = 0;          /* of u[0..n), in units of B^n */

    if (h < BURNIKEL_MIN / 2) {
        div_school(q, u, h, d, n);
        return;
    }
    if (dig_compare(u + n, dig_strip(u + n, h), top, h) < 0) {
        div_recurse(q, u + low, top, h, s);
    } else {
        /* They are equal, so the quotient is B^h - 1 before correction. */
        memset(q, 0xff, h * sizeof *q);
        carry = (int64_t)add_n(u + low, u + low, top, h, 0);
        memset(u + n, 0, h * sizeof *u);
    }
    dig_mul(s, q, h, d, low);
    carry -= (int64_t)sub_n(u, u, s, n, 0);
    while (carry < 0) {
        sub_1(q, q, h, 1);
        carry += (int64_t)add_n(u, u, d, n, 0);
    }
    assert(carry == 0);
}

/* The same for h == n, in two parts. */
static void div_recurse(uint64_t *q, uint64_t *u, const uint64_t *d, size_t n,
                        uint64_t *s)
{
    size_t low = n / 2;

    if (n < BURNIKEL_MIN) {
        div_school(q, u, n, d, n);
        return;
    }
    div_part(q + low, u + low, d, n, n - low, s);
    div_part(q, u, d, n, low, s);
}

/* u[0..m + n) by d[0..n), as div_school(): from the top, n digits at a time. */
static void div_blocks(uint64_t *q, uint64_t *u, size_t m, const uint64_t *d,
                       size_t n)
{
    size_t at = m - m % n;
    uint64_t *s = vm_alloc(ALLOC_SYSTEM, (n + m) * sizeof *s);

    if (!q)
        q = s + n;
    if (m > at)
        div_part(q + at, u + at, d, n, m - at, s);
    while (at > 0) {
        at -= n;
        div_recurse(q + at, u + at, d, n, s);
    }
    vm_free(s);
}

void dig_divrem(uint64_t *q, uint64_t *r, const uint64_t *a, size_t na,
                const uint64_t *b, size_t nb)
{
    assert(na >= nb && nb > 0 && b[nb - 1] != 0);
    uint64_t local[SCRATCH_LOCAL];
    unsigned bits = (unsigned)__builtin_clzll(b[nb - 1]);

    if (nb == 1) {
        uint64_t *to = q ? q : scratch_get(local, na);
        uint64_t rem = dig_divrem1(to, a, na, b[0]);

        if (r)
            r[0] = rem;
        if (!q)
            scratch_put(local, to);
        return;
    }
    uint64_t *s = scratch_get(local, na + 1 + nb), *u = s, *d = s + na + 1;

    dig_shl(d, b, nb, bits);
    u[na] = dig_shl(u, a, na, bits);
    if (nb >= BURNIKEL_MIN && na - nb >= BURNIKEL_MIN / 2)
        div_blocks(q, u, na - nb + 1, d, nb);
    else
        div_school(q, u, na - nb + 1, d, nb);
    if (r)
        dig_shr(r, u, nb, bits);
    scratch_put(local, s);
}
