/*
 * num.c - arithmetic on numbers of any kind: small, big, float.
 *
 * The rule of every function here (big.h): look at the operands, heap_try()
 * what the result can need, compute into it, give back what was too much. When
 * heap_try() fails nothing has happened and the caller collects and calls
 * again, so scratch memory is got after it.
 */
#include "vm/atom.h"
#include "vm/exc.h"
#include "vm/big.h"
#include "vm/digits.h"
#include "vm/slice.h"

#include <math.h>

static term fail(struct proc *p, term reason)
{
    return exc_set(p, EXC_ERROR, reason, THE_NON_VALUE);
}

static term badarith(struct proc *p)
{
    return fail(p, am_badarith);
}

/* An integer as sign and magnitude. A small's digit is in the struct itself. */
struct integer {
    const uint64_t *d;
    size_t n;               /* stripped; 0 for zero */
    bool negative;
    uint64_t digit;
};

static inline uint64_t magnitude(int64_t v)
{
    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

static inline void integer_of(struct integer *i, term t)
{
    if (term_is_small(t)) {
        int64_t v = small_value(t);

        i->digit = magnitude(v);
        i->d = &i->digit;
        i->n = v != 0;
        i->negative = v < 0;
    } else {
        i->d = big_data(t);
        i->n = big_digits(t);
        i->negative = big_negative(t);
    }
}

/* Does a magnitude of one digit fit a small? */
static inline bool digit_is_small(uint64_t d, bool negative)
{
    return d <= (uint64_t)SMALL_MAX + negative;
}

static inline term digit_small(uint64_t d, bool negative)
{
    return small_make(negative ? -(int64_t)d : (int64_t)d);
}

term big_finish(struct proc *p, term *hp, size_t n, bool negative)
{
    n = dig_strip(hp + 1, n);
    if (n == 0) {
        heap_trim(p, hp);
        return small_make(0);
    }
    if (n == 1 && digit_is_small(hp[1], negative)) {
        term t = digit_small(hp[1], negative);

        heap_trim(p, hp);
        return t;
    }
    if (unlikely(n > BIG_MAX_DIGITS)) {
        heap_trim(p, hp);
        return fail(p, am_system_limit);
    }
    hp[0] = HEADER(negative ? BOX_NEGBIG : BOX_POSBIG, 0, n);
    heap_trim(p, hp + 1 + n);
    return boxed_make(hp);
}

static term make_float(struct proc *p, double d)
{
    term *hp;

    if (unlikely(!isfinite(d)))
        return badarith(p);
    hp = heap_try(p, FLOAT_WORDS);
    return hp ? float_make(&hp, d) : THE_NON_VALUE;
}

/*
 * A big as OTP makes it a double: digit by digit from the top, each step
 * rounded. The last bit may differ from the nearest double's; programs that
 * compare with stored results see OTP's.
 */
static bool big_to_double(term t, double *d)
{
    const uint64_t *data = big_data(t);
    size_t n = big_digits(t);
    double r = 0.0;

    /* 2^1024 has 17 digits; more than that overflow before they are summed. */
    if (n > 17)
        return false;
    while (n-- > 0)
        r = r * 0x1p64 + (double)data[n];
    if (!isfinite(r))
        return false;
    *d = big_negative(t) ? -r : r;
    return true;
}

bool num_to_double(term t, double *d)
{
    if (term_is_small(t))
        *d = (double)small_value(t);
    else if (term_is_float(t))
        *d = float_value(t);
    else if (term_is_big(t))
        return big_to_double(t, d);
    else
        return false;
    return true;
}

/* Both operands as doubles; false: not numbers, or too large. */
static bool to_doubles(term a, term b, double *x, double *y)
{
    return num_to_double(a, x) && num_to_double(b, y);
}

static bool both_integers(term a, term b)
{
    return term_is_integer(a) && term_is_integer(b);
}

/* --- + - * --------------------------------------------------------------- */

/* Numbers of which one has so many digits are multiplied and divided in slices. */
#define SLICED_DIGITS 512

/* a + b, or a - b if negate. Integers. */
static term int_add(struct proc *p, term ta, term tb, bool negate)
{
    struct integer a, b;

    if (term_both_small(ta, tb)) {
        int64_t x = small_value(ta), y = small_value(tb);
        int64_t v = negate ? x - y : x + y;
        term *hp;

        if (small_fits(v))
            return small_make(v);
        hp = heap_try(p, BIG_INT64_WORDS);
        return hp ? int64_put(&hp, v) : THE_NON_VALUE;
    }
    integer_of(&a, ta);
    integer_of(&b, tb);
    b.negative ^= negate;
    if (b.n == 0)
        return ta;
    if (a.n == 0 && !negate)
        return tb;

    const struct integer *x = &a, *y = &b;

    if (x->n < y->n) {
        x = &b;
        y = &a;
    }

    term *hp = heap_try(p, 2 + x->n);

    if (!hp)
        return THE_NON_VALUE;
    if (x->negative == y->negative) {
        hp[1 + x->n] = dig_add(hp + 1, x->d, x->n, y->d, y->n);
        return big_finish(p, hp, x->n + 1, x->negative);
    }
    if (dig_compare(x->d, x->n, y->d, y->n) < 0) {
        const struct integer *t = x;

        x = y;
        y = t;
    }
    dig_sub(hp + 1, x->d, x->n, y->d, y->n);
    return big_finish(p, hp, x->n, x->negative);
}

term num_add(struct proc *p, term a, term b)
{
    double x, y;

    if (both_integers(a, b))
        return int_add(p, a, b, false);
    return to_doubles(a, b, &x, &y) ? make_float(p, x + y) : badarith(p);
}

term num_sub(struct proc *p, term a, term b)
{
    double x, y;

    if (both_integers(a, b))
        return int_add(p, a, b, true);
    return to_doubles(a, b, &x, &y) ? make_float(p, x - y) : badarith(p);
}

static void mul_sliced(struct proc *p, uint64_t *r, const struct integer *a,
                       const struct integer *b)
{
    SLICED(p, NULL);

    if (a->d == b->d)
        dig_sqr(r, a->d, a->n);
    else
        dig_mul(r, a->d, a->n, b->d, b->n);
}

static term int_mul(struct proc *p, term ta, term tb)
{
    struct integer a, b;
    term *hp;

    integer_of(&a, ta);
    integer_of(&b, tb);
    if (a.n == 0 || b.n == 0)
        return small_make(0);
    if (a.n + b.n > BIG_MAX_DIGITS + 1)
        return fail(p, am_system_limit);
    if (a.n == 1 && b.n == 1) {
        unsigned __int128 r = (unsigned __int128)a.d[0] * b.d[0];
        bool negative = a.negative != b.negative;

        if (!(uint64_t)(r >> 64) && digit_is_small((uint64_t)r, negative))
            return digit_small((uint64_t)r, negative);
        hp = heap_try(p, 3);
        if (!hp)
            return THE_NON_VALUE;
        hp[1] = (uint64_t)r;
        hp[2] = (uint64_t)(r >> 64);
        return big_finish(p, hp, 2, negative);
    }
    hp = heap_try(p, 1 + a.n + b.n);
    if (!hp)
        return THE_NON_VALUE;
    if (unlikely(a.n + b.n >= SLICED_DIGITS))
        mul_sliced(p, hp + 1, &a, &b);
    else if (b.n == 1)
        hp[1 + a.n] = dig_mul1(hp + 1, a.d, a.n, b.d[0], 0);
    else if (a.n == 1)
        hp[1 + b.n] = dig_mul1(hp + 1, b.d, b.n, a.d[0], 0);
    else if (a.d == b.d)
        dig_sqr(hp + 1, a.d, a.n);
    else
        dig_mul(hp + 1, a.d, a.n, b.d, b.n);
    return big_finish(p, hp, a.n + b.n, a.negative != b.negative);
}

term num_mul(struct proc *p, term a, term b)
{
    double x, y;

    if (both_integers(a, b))
        return int_mul(p, a, b);
    return to_doubles(a, b, &x, &y) ? make_float(p, x * y) : badarith(p);
}

/* --- / div rem ----------------------------------------------------------- */

term num_fdiv(struct proc *p, term a, term b)
{
    double x, y;

    /* Division by zero gives no finite value, so make_float() refuses it. */
    return to_doubles(a, b, &x, &y) ? make_float(p, x / y) : badarith(p);
}

static void divrem(struct proc *p, uint64_t *q, uint64_t *r, const struct integer *a,
                   const struct integer *b)
{
    if (likely(a->n < SLICED_DIGITS)) {
        dig_divrem(q, r, a->d, a->n, b->d, b->n);
    } else {
        SLICED(p, NULL);
        dig_divrem(q, r, a->d, a->n, b->d, b->n);
    }
}

term num_div(struct proc *p, term ta, term tb)
{
    struct integer a, b;
    term *hp;

    if (!both_integers(ta, tb) || tb == small_make(0))
        return badarith(p);
    if (term_both_small(ta, tb)) {
        int64_t q = small_value(ta) / small_value(tb);

        if (small_fits(q))
            return small_make(q);
        hp = heap_try(p, BIG_INT64_WORDS);      /* the least small by -1 */
        return hp ? int64_put(&hp, q) : THE_NON_VALUE;
    }
    integer_of(&a, ta);
    integer_of(&b, tb);
    if (a.n < b.n)
        return small_make(0);
    hp = heap_try(p, 1 + a.n - b.n + 1);
    if (!hp)
        return THE_NON_VALUE;
    divrem(p, hp + 1, NULL, &a, &b);
    return big_finish(p, hp, a.n - b.n + 1, a.negative != b.negative);
}

term num_rem(struct proc *p, term ta, term tb)
{
    struct integer a, b;
    term *hp;

    if (!both_integers(ta, tb) || tb == small_make(0))
        return badarith(p);
    if (term_both_small(ta, tb))
        return small_make(small_value(ta) % small_value(tb));
    integer_of(&a, ta);
    integer_of(&b, tb);
    if (a.n < b.n)
        return ta;
    hp = heap_try(p, 1 + b.n);
    if (!hp)
        return THE_NON_VALUE;
    divrem(p, NULL, hp + 1, &a, &b);
    return big_finish(p, hp, b.n, a.negative);
}

/* --- sign ---------------------------------------------------------------- */

/* The magnitude of a big with another sign. */
static term big_with_sign(struct proc *p, term t, bool negative)
{
    size_t n = big_digits(t);
    term *hp = heap_try(p, 1 + n);

    if (!hp)
        return THE_NON_VALUE;
    memcpy(hp + 1, big_data(t), n * sizeof *hp);
    return big_finish(p, hp, n, negative);
}

term num_neg(struct proc *p, term a)
{
    if (term_is_small(a))
        return int_add(p, small_make(0), a, true);
    if (term_is_float(a))
        return make_float(p, -float_value(a));
    if (term_is_big(a))
        return big_with_sign(p, a, !big_negative(a));
    return badarith(p);
}

term num_abs(struct proc *p, term a)
{
    if (term_is_small(a))
        return small_value(a) < 0 ? num_neg(p, a) : a;
    /* abs(-0.0) is -0.0, as in OTP. */
    if (term_is_float(a))
        return float_value(a) < 0.0 ? make_float(p, -float_value(a)) : a;
    if (term_is_big(a))
        return big_negative(a) ? big_with_sign(p, a, false) : a;
    return fail(p, am_badarg);
}

/* --- bits ---------------------------------------------------------------- */

enum bit_op { BIT_AND, BIT_OR, BIT_XOR };

/* Negative numbers have their ones' complement plus one, without end. */
struct complement {
    const struct integer *i;
    uint64_t mask, carry;
};

static inline struct complement complement_of(const struct integer *i)
{
    return (struct complement){i, i->negative ? ~(uint64_t)0 : 0, i->negative};
}

static inline uint64_t complement_digit(struct complement *c, size_t at)
{
    uint64_t d = at < c->i->n ? c->i->d[at] : 0;
    uint64_t r = (d ^ c->mask) + c->carry;

    c->carry = r < c->carry;
    return r;
}

static inline uint64_t bit_apply(enum bit_op op, uint64_t x, uint64_t y)
{
    switch (op) {
    case BIT_AND: return x & y;
    case BIT_OR: return x | y;
    default: return x ^ y;
    }
}

/* Two numbers that are not negative need no complements. */
static inline term magnitude_op(struct proc *p, const struct integer *a,
                                const struct integer *b, enum bit_op op)
{
    const struct integer *x = a->n < b->n ? b : a, *y = a->n < b->n ? a : b;
    size_t n = op == BIT_AND ? y->n : x->n;
    term *hp;

    if (n <= 1) {
        uint64_t d = n ? bit_apply(op, x->d[0], y->n ? y->d[0] : 0) : 0;

        if (digit_is_small(d, false))
            return digit_small(d, false);
    }
    hp = heap_try(p, 1 + n);
    if (!hp)
        return THE_NON_VALUE;
    for (size_t i = 0; i < y->n; i++)
        hp[1 + i] = bit_apply(op, x->d[i], y->d[i]);
    if (n > y->n)
        memcpy(hp + 1 + y->n, x->d + y->n, (n - y->n) * sizeof *hp);
    return big_finish(p, hp, n, false);
}

static inline term bit_op(struct proc *p, term ta, term tb, enum bit_op op)
{
    struct integer a, b;
    struct complement x, y;
    uint64_t mask, carry;
    size_t n;
    term *hp;

    if (!both_integers(ta, tb))
        return badarith(p);
    if (term_both_small(ta, tb))
        return bit_apply(op, ta, tb);
    integer_of(&a, ta);
    integer_of(&b, tb);
    if (!a.negative && !b.negative)
        return magnitude_op(p, &a, &b, op);
    /* One more: the complement of a negative result can carry out of n. */
    n = (a.n > b.n ? a.n : b.n) + 1;
    hp = heap_try(p, 1 + n);
    if (!hp)
        return THE_NON_VALUE;
    x = complement_of(&a);
    y = complement_of(&b);
    mask = bit_apply(op, x.mask, y.mask);
    carry = mask & 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t d = bit_apply(op, complement_digit(&x, i),
                               complement_digit(&y, i));
        hp[1 + i] = (d ^ mask) + carry;
        carry = hp[1 + i] < carry;
    }
    return big_finish(p, hp, n, mask & 1);
}

term num_band(struct proc *p, term a, term b)
{
    return bit_op(p, a, b, BIT_AND);
}

term num_bor(struct proc *p, term a, term b)
{
    return bit_op(p, a, b, BIT_OR);
}

term num_bxor(struct proc *p, term a, term b)
{
    return bit_op(p, a, b, BIT_XOR);
}

/* -1 - a: the magnitude goes up by one and the sign turns, or the reverse. */
term num_bnot(struct proc *p, term a)
{
    if (term_is_small(a))
        return small_make(~small_value(a));
    if (!term_is_big(a))
        return badarith(p);

    const uint64_t one = 1;
    bool negative = big_negative(a);
    size_t n = big_digits(a);
    term *hp = heap_try(p, 2 + n);

    if (!hp)
        return THE_NON_VALUE;
    hp[1 + n] = 0;
    if (negative)
        dig_sub(hp + 1, big_data(a), n, &one, 1);
    else
        hp[1 + n] = dig_add(hp + 1, big_data(a), n, &one, 1);
    return big_finish(p, hp, n + 1, !negative);
}

/* a shifted to the left; bits > 0. */
static term shift_left(struct proc *p, term ta, uint64_t bits)
{
    struct integer a;
    size_t words = bits / 64;
    term *hp;

    integer_of(&a, ta);
    if (a.n == 0)
        return ta;
    if (words > BIG_MAX_DIGITS || a.n + words > BIG_MAX_DIGITS)
        return fail(p, am_system_limit);
    hp = heap_try(p, 2 + a.n + words);
    if (!hp)
        return THE_NON_VALUE;
    memset(hp + 1, 0, words * sizeof *hp);
    hp[1 + words + a.n] = dig_shl(hp + 1 + words, a.d, a.n, bits % 64);
    return big_finish(p, hp, words + a.n + 1, a.negative);
}

/* a shifted to the right, rounded down; bits > 0. */
static term shift_right(struct proc *p, term ta, uint64_t bits)
{
    struct integer a;
    size_t words = bits / 64, n;
    uint64_t lost;
    term *hp;

    if (term_is_small(ta)) {
        int64_t v = small_value(ta);

        return small_make(bits > 63 ? v >> 63 : v >> bits);
    }
    integer_of(&a, ta);
    if (words >= a.n)
        return small_make(a.negative ? -1 : 0);
    n = a.n - words;
    hp = heap_try(p, 2 + n);
    if (!hp)
        return THE_NON_VALUE;
    hp[1 + n] = 0;
    lost = dig_shr(hp + 1, a.d + words, n, bits % 64);
    if (a.negative && (lost || dig_strip(a.d, words) > 0)) {
        const uint64_t one = 1;

        hp[1 + n] = dig_add(hp + 1, hp + 1, n, &one, 1);
    }
    return big_finish(p, hp, n + 1, a.negative);
}

/* By how much: smalls and bigs alike; what is too much for one is too much. */
static uint64_t shift_bits(term t, bool *negative)
{
    struct integer i;

    integer_of(&i, t);
    *negative = i.negative;
    return i.n == 0 ? 0 : i.n == 1 ? i.d[0] : UINT64_MAX;
}

static term shift(struct proc *p, term a, term b, bool left)
{
    bool negative;
    uint64_t bits;

    if (!both_integers(a, b))
        return badarith(p);
    bits = shift_bits(b, &negative);
    if (bits == 0)
        return a;
    return left != negative ? shift_left(p, a, bits) : shift_right(p, a, bits);
}

term num_bsl(struct proc *p, term a, term b)
{
    return shift(p, a, b, true);
}

term num_bsr(struct proc *p, term a, term b)
{
    return shift(p, a, b, false);
}

/* --- order --------------------------------------------------------------- */

int big_compare(term ta, term tb)
{
    struct integer a, b;
    int c;

    if (term_both_small(ta, tb)) {
        int64_t x = small_value(ta), y = small_value(tb);

        return (x > y) - (x < y);
    }
    integer_of(&a, ta);
    integer_of(&b, tb);
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    c = dig_compare(a.d, a.n, b.d, b.n);
    return a.negative ? -c : c;
}

/* 2^1024, which no double reaches, has 16 digits and a bit. */
#define DOUBLE_DIGITS 16

/* The magnitude of an integral double; its number of digits. */
static size_t double_digits(double d, uint64_t out[DOUBLE_DIGITS])
{
    int exponent;
    double fraction = frexp(fabs(d), &exponent);    /* [0.5, 1) * 2^exponent */
    size_t n = (size_t)(exponent + 63) / 64;
    unsigned bits = (unsigned)exponent % 64;        /* in the top digit */
    uint64_t m = (uint64_t)ldexp(fraction, 64);     /* top bit set */

    if (exponent <= 0)
        return 0;
    memset(out, 0, n * sizeof *out);
    out[n - 1] = bits ? m >> (64 - bits) : m;
    if (bits && n > 1)
        out[n - 2] = m << bits;
    return n;
}

/* An integer and a float, exactly. */
static int compare_float(term a, double d)
{
    uint64_t digits[DOUBLE_DIGITS];
    struct integer i, whole;
    double t = trunc(d);
    int c;

    integer_of(&i, a);
    whole.n = double_digits(t, digits);
    whole.negative = d < 0;
    if (i.n == 0)
        return (d < 0) - (d > 0);
    if (i.negative != whole.negative)
        return i.negative ? -1 : 1;
    c = dig_compare(i.d, i.n, digits, whole.n);
    /* The same whole part: what the float has behind the point decides. */
    if (c == 0 && t != d)
        c = -1;
    return i.negative ? -c : c;
}

int num_compare(term a, term b)
{
    if (term_is_float(a)) {
        double x = float_value(a), y;

        if (!term_is_float(b))
            return -compare_float(b, x);
        y = float_value(b);
        return (x > y) - (x < y);
    }
    return term_is_float(b) ? compare_float(a, float_value(b))
                            : big_compare(a, b);
}

/* --- from and to C ------------------------------------------------------- */

term num_from_double(struct proc *p, double d)
{
    uint64_t digits[DOUBLE_DIGITS];
    size_t n;
    term *hp;

    assert(isfinite(d) && trunc(d) == d);
    if (d >= (double)SMALL_MIN && d < (double)SMALL_MAX)
        return small_make((int64_t)d);
    n = double_digits(d, digits);
    hp = heap_try(p, 1 + n);
    if (!hp)
        return THE_NON_VALUE;
    memcpy(hp + 1, digits, n * sizeof *hp);
    return big_finish(p, hp, n, d < 0);
}

/* One digit and a sign in BIG_INT64_WORDS at *hp. */
static term digit_put(term **hp, uint64_t d, bool negative)
{
    term *at = *hp;

    if (digit_is_small(d, negative))
        return digit_small(d, negative);
    at[0] = HEADER(negative ? BOX_NEGBIG : BOX_POSBIG, 0, 1);
    at[1] = d;
    *hp = at + 2;
    return boxed_make(at);
}

term int64_put(term **hp, int64_t v)
{
    return digit_put(hp, magnitude(v), v < 0);
}

term uint64_put(term **hp, uint64_t v)
{
    return digit_put(hp, v, false);
}

term int64_make(struct proc *p, int64_t v)
{
    term *hp;

    if (small_fits(v))
        return small_make(v);
    hp = heap_alloc(p, BIG_INT64_WORDS);
    return int64_put(&hp, v);
}

term uint64_make(struct proc *p, uint64_t v)
{
    term *hp;

    if (v <= (uint64_t)SMALL_MAX)
        return small_make((int64_t)v);
    hp = heap_alloc(p, BIG_INT64_WORDS);
    return uint64_put(&hp, v);
}

bool term_to_int64(term t, int64_t *v)
{
    if (term_is_small(t)) {
        *v = small_value(t);
        return true;
    }
    if (!term_is_big(t) || big_digits(t) > 1)
        return false;

    uint64_t d = *big_data(t);
    bool negative = big_negative(t);

    if (d > (uint64_t)INT64_MAX + negative)
        return false;
    *v = negative ? (int64_t)-d : (int64_t)d;
    return true;
}

bool term_to_uint64(term t, uint64_t *v)
{
    if (term_is_small(t)) {
        *v = (uint64_t)small_value(t);
        return small_value(t) >= 0;
    }
    if (!term_is_big(t) || big_digits(t) > 1 || big_negative(t))
        return false;
    *v = *big_data(t);
    return true;
}

term big_put_bytes(term **hp, const uint8_t *le, size_t n, bool negative)
{
    term *at = *hp;
    size_t digits = (n + 7) / 8;

    if (digits > 0) {
        at[digits] = 0;
        memcpy(at + 1, le, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        for (size_t i = 1; i <= digits; i++)
            at[i] = __builtin_bswap64(at[i]);
#endif
        digits = dig_strip(at + 1, digits);
    }
    if (digits == 0)
        return small_make(0);
    if (digits == 1)
        return digit_put(hp, at[1], negative);
    at[0] = HEADER(negative ? BOX_NEGBIG : BOX_POSBIG, 0, digits);
    *hp = at + 1 + digits;
    return boxed_make(at);
}
