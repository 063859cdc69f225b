/*
 * numtext.c - numbers to text and back.
 *
 * Bases that are powers of two are a matter of shifts. For the others the unit
 * is the chunk: the largest power of the base in one digit, 10^19 for 10. Up
 * to TEXT_SPLIT_MIN digits chunks are split off, or added, one by one; above,
 * the number is halved at chunk^(2^i), so that the cost is that of the
 * multiplications and divisions of big.c.
 */
#include "vm/atom.h"
#include "vm/exc.h"
#include "vm/big.h"
#include "vm/digits.h"
#include "vm/slice.h"

#include <ryu/ryu.h>

#define TEXT_SPLIT_MIN 40       /* digits */
#define POWERS_MAX 32           /* chunk^(2^31) is beyond any memory */
#define CHAR_NS 2               /* what a character of a text takes */

static const char digit_char[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* A base: its chunk, and the powers of that which have been needed. */
struct radix {
    unsigned base, chars;       /* characters in a chunk */
    uint64_t chunk;
    unsigned n_powers;
    struct power {
        uint64_t *d;            /* chunk^(2^i) */
        size_t n;
    } power[POWERS_MAX];
};

static void radix_init(struct radix *r, unsigned base)
{
    r->base = base;
    r->n_powers = 0;
    r->chars = 0;
    for (r->chunk = 1; r->chunk <= UINT64_MAX / base; r->chunk *= base)
        r->chars++;
}

static void radix_fini(struct radix *r)
{
    for (unsigned i = 0; i < r->n_powers; i++)
        vm_free(r->power[i].d);
}

static const struct power *radix_power(struct radix *r, unsigned i)
{
    while (r->n_powers <= i) {
        struct power *w = &r->power[r->n_powers];

        assert(r->n_powers < POWERS_MAX);
        if (r->n_powers == 0) {
            w->d = vm_alloc(ALLOC_SYSTEM, sizeof *w->d);
            w->d[0] = r->chunk;
            w->n = 1;
        } else {
            w->d = vm_alloc(ALLOC_SYSTEM, 2 * w[-1].n * sizeof *w->d);
            dig_sqr(w->d, w[-1].d, w[-1].n);
            w->n = dig_strip(w->d, 2 * w[-1].n);
        }
        r->n_powers++;
    }
    return &r->power[i];
}

/* --- to text ------------------------------------------------------------- */

size_t int_text_max(term t, unsigned base)
{
    unsigned bits = 31 - (unsigned)__builtin_clz(base); /* floor(log2(base)) */

    if (term_is_small(t))
        return SMALL_BITS + 2;
    /* The bits of a character rounded down but for base 10, 3.32 bits. */
    if (base == 10)
        return big_digits(t) * 20 + 1;
    return (big_digits(t) * 64 + bits - 1) / bits + 2;
}

/* The characters of v, at least `width`, ending at end; where they begin. */
static char *word_text(char *end, uint64_t v, unsigned base, unsigned width)
{
    char *at = end;

    if (base == 10) {
        for (; v > 0; v /= 10)
            *--at = (char)('0' + v % 10);
    } else {
        for (; v > 0; v /= base)
            *--at = digit_char[v % base];
    }
    while ((size_t)(end - at) < width)
        *--at = '0';
    return at;
}

/* Chunk by chunk. a is used up. width 0: no zeros in front. */
static char *text_school(const struct radix *r, uint64_t *a, size_t n,
                         char *out, size_t width)
{
    /* A chunk has more than half the bits of a digit. */
    uint64_t chunk[2 * TEXT_SPLIT_MIN + 1];
    char word[64];
    size_t k = 0, have;

    for (n = dig_strip(a, n); n > 0; n = dig_strip(a, n)) {
        assert(k < sizeof chunk / sizeof *chunk);
        chunk[k++] = dig_divrem1(a, a, n, r->chunk);
    }

    char *end = word + sizeof word;
    char *at = k ? word_text(end, chunk[k - 1], r->base, 0) : end;

    have = (size_t)(end - at) + (k ? (k - 1) * r->chars : 0);
    if (have < width) {
        memset(out, '0', width - have);
        out += width - have;
    }
    memcpy(out, at, (size_t)(end - at));
    out += end - at;
    for (size_t i = k; i-- > 1;) {
        word_text(out + r->chars, chunk[i - 1], r->base, r->chars);
        out += r->chars;
    }
    slice(k * (k + r->chars) * CHAR_NS);
    return out;
}

/*
 * a, less than chunk^(2^level) and used up, as text; with zeros in front to
 * its full width if pad. Recursion as deep as the size can be halved.
 */
static char *text_split(struct radix *r, uint64_t *a, size_t n, unsigned level,
                        char *out, bool pad)
{
    n = dig_strip(a, n);
    if (n < TEXT_SPLIT_MIN)
        return text_school(r, a, n, out, pad ? (size_t)r->chars << level : 0);

    const struct power *w = radix_power(r, --level);

    if (dig_compare(a, n, w->d, w->n) < 0) {
        if (pad) {
            memset(out, '0', (size_t)r->chars << level);
            out += (size_t)r->chars << level;
        }
        return text_split(r, a, n, level, out, pad);
    }

    size_t nq = n - w->n + 1;
    uint64_t *q = vm_alloc(ALLOC_SYSTEM, (nq + w->n) * sizeof *q);

    dig_divrem(q, q + nq, a, n, w->d, w->n);
    out = text_split(r, q, nq, level, out, pad);
    out = text_split(r, q + nq, w->n, level, out, true);
    vm_free(q);
    return out;
}

/* Base 2^bits: from the top, however the characters lie across the digits. */
static char *text_bits(const uint64_t *a, size_t n, unsigned bits, char *out)
{
    size_t total = n * 64 - (size_t)__builtin_clzll(a[n - 1]);
    size_t at = (total + bits - 1) / bits * bits;
    uint64_t mask = (1u << bits) - 1;

    while (at > 0) {
        at -= bits;

        size_t i = at / 64;
        unsigned shift = at % 64;
        uint64_t v = a[i] >> shift;

        if (shift + bits > 64 && i + 1 < n)
            v |= a[i + 1] << (64 - shift);
        *out++ = digit_char[v & mask];
        slice(CHAR_NS);
    }
    return out;
}

static char *big_text(term t, unsigned base, char *out)
{
    const uint64_t *a = big_data(t);
    size_t n = big_digits(t);

    if ((base & (base - 1)) == 0)
        return text_bits(a, n, (unsigned)__builtin_ctz(base), out);

    struct radix r;
    uint64_t local[TEXT_SPLIT_MIN];
    uint64_t *copy = local;
    unsigned level = 0;

    radix_init(&r, base);
    if (n >= TEXT_SPLIT_MIN) {
        copy = vm_alloc(ALLOC_SYSTEM, n * sizeof *copy);
        /*
         * The power that splits a in two: half as long as a, or a little more.
         * Above that power's square there may be one chunk more.
         */
        while (2 * radix_power(&r, level)->n <= n)
            level++;
        level++;
        if (radix_power(&r, level - 1)->n * 2 - 1 <= n)
            level++;
    }
    memcpy(copy, a, n * sizeof *copy);
    out = text_split(&r, copy, n, level, out, false);
    if (copy != local)
        vm_free(copy);
    radix_fini(&r);
    return out;
}

size_t int_to_text(term t, unsigned base, char *out)
{
    char *at = out;

    assert(base >= 2 && base <= 36);
    if (term_is_small(t)) {
        char word[SMALL_BITS + 2], *end = word + sizeof word, *from;
        int64_t v = small_value(t);

        from = word_text(end, v < 0 ? -(uint64_t)v : (uint64_t)v, base, 1);
        if (v < 0)
            *--from = '-';
        memcpy(out, from, (size_t)(end - from));
        return (size_t)(end - from);
    }
    if (big_negative(t))
        *at++ = '-';
    return (size_t)(big_text(t, base, at) - out);
}

/* --- from text ----------------------------------------------------------- */

/* The value of a character; 255 if it is none. */
static unsigned char_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10u;
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10u;
    return 255;
}

static uint64_t word_parse(const char *s, size_t n, unsigned base)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v * base + char_value((unsigned char)*s++);
    return v;
}

/* Digits that n characters can need, at most. */
static size_t parse_digits(const struct radix *r, size_t n)
{
    return n / r->chars + 1;
}

/* s[0..n) into d[0..parse_digits(n)); how many digits are in use. */
static size_t parse_school(const struct radix *r, const char *s, size_t n,
                           uint64_t *d)
{
    size_t first = n % r->chars, used = 0;

    if (first > 0) {
        d[0] = word_parse(s, first, r->base);
        used = d[0] != 0;
    }
    for (size_t at = first; at < n; at += r->chars) {
        uint64_t v = word_parse(s + at, r->chars, r->base);
        uint64_t carry = dig_mul1(d, d, used, r->chunk, v);

        if (carry)
            d[used++] = carry;
    }
    slice(n * CHAR_NS);
    return used;
}

static size_t parse_split(struct radix *r, const char *s, size_t n, uint64_t *d)
{
    unsigned level = 0;

    if (n < (size_t)r->chars * TEXT_SPLIT_MIN)
        return parse_school(r, s, n, d);
    while ((size_t)r->chars << (level + 1) < n)
        level++;

    size_t low = (size_t)r->chars << level;
    const struct power *w = radix_power(r, level);
    size_t size = parse_digits(r, n - low);
    uint64_t *high = vm_alloc(ALLOC_SYSTEM,
                              (size + w->n + parse_digits(r, low)) * sizeof *d);
    uint64_t *rest = high + size + w->n;
    size_t n_high = parse_split(r, s, n - low, high);
    size_t n_low = parse_split(r, s + n - low, low, rest);

    if (n_high == 0) {
        memcpy(d, rest, n_low * sizeof *d);
        vm_free(high);
        return n_low;
    }

    /* The product may be a digit longer than the sum can be. */
    uint64_t *product = vm_alloc(ALLOC_SYSTEM, (n_high + w->n) * sizeof *d);
    size_t used;

    dig_mul(product, high, n_high, w->d, w->n);
    dig_add(product, product, n_high + w->n, rest, n_low);
    used = dig_strip(product, n_high + w->n);
    assert(used <= parse_digits(r, n));
    memcpy(d, product, used * sizeof *d);
    vm_free(product);
    vm_free(high);
    return used;
}

/* Base 2^bits; d has been cleared. */
static size_t parse_bits(const char *s, size_t n, unsigned bits, uint64_t *d)
{
    size_t at = 0;

    for (; n > 0; at += bits) {
        uint64_t v = char_value((unsigned char)s[--n]);
        unsigned shift = at % 64;

        d[at / 64] |= v << shift;
        if (shift + bits > 64)
            d[at / 64 + 1] |= v >> (64 - shift);
        slice(CHAR_NS);
    }
    return dig_strip(d, (at + 63) / 64);
}

static term fail(struct proc *p, term reason)
{
    return exc_set(p, EXC_ERROR, reason, THE_NON_VALUE);
}

term int_from_text(struct proc *p, const char *s, size_t n, unsigned base)
{
    bool negative = false;
    uint64_t v = 0;

    assert(base >= 2 && base <= 36);
    if (n > 0 && (*s == '-' || *s == '+')) {
        negative = *s == '-';
        s++;
        n--;
    }
    if (n == 0)
        return fail(p, am_badarg);
    for (size_t i = 0; i < n; i++) {
        unsigned c = char_value((unsigned char)s[i]);

        if (c >= base)
            return fail(p, am_badarg);
        v = v * base + c;
    }
    /* Not so many that v overflowed: most numbers end here. */
    if (n * (64 - (unsigned)__builtin_clzll(base - 1)) < SMALL_BITS)
        return small_make(negative ? -(int64_t)v : (int64_t)v);
    while (n > 0 && *s == '0') {
        s++;
        n--;
    }

    struct radix r;

    radix_init(&r, base);
    if (n <= r.chars) {
        term *hp;

        v = word_parse(s, n, base);
        if (v <= (uint64_t)SMALL_MAX)
            return small_make(negative ? -(int64_t)v : (int64_t)v);
        hp = heap_alloc(p, 2);
        hp[1] = v;
        return big_finish(p, hp, 1, negative);
    }

    /* The lower bound of the length decides; big_finish() has the last word. */
    unsigned bits = 31 - (unsigned)__builtin_clz(base);

    if ((n - 1) / 64 * bits > BIG_MAX_DIGITS)
        return fail(p, am_system_limit);

    size_t size = (base & (base - 1)) == 0 ? (n * bits + 63) / 64
                                           : parse_digits(&r, n);
    term *hp = heap_alloc(p, 1 + size);

    if ((base & (base - 1)) == 0) {
        memset(hp + 1, 0, size * sizeof *hp);
        size = parse_bits(s, n, bits, hp + 1);
    } else {
        size = parse_split(&r, s, n, hp + 1);
        radix_fini(&r);
    }
    return big_finish(p, hp, size, negative);
}

/* --- floats -------------------------------------------------------------- */

size_t double_to_text(double d, char *out)
{
    return (size_t)d2s_buffered_n(d, out);
}
