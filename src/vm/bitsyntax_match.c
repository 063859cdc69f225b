/*
 * bitsyntax_match.c - matching of bitstrings.
 *
 * Integers are moved 64 bits at a time to the digits of a bignum.
 */
#include "vm/big.h"
#include "vm/bitfield.h"
#include "vm/bitsyntax.h"
#include "vm/unicode.h"

#include <math.h>

static term no_match(struct proc *p)
{
    p->need_words = 0;
    return THE_NON_VALUE;
}

term bs_start(struct proc *p, term bitstring)
{
    if (!term_is_bitstring(bitstring))
        return no_match(p);

    struct match_words *m = (struct match_words *)heap_try(p, MATCH_WORDS);
    if (!m)
        return THE_NON_VALUE;

    struct bits b = bits_of(bitstring);
    m->header = HEADER(BOX_MATCH, 0, MATCH_WORDS - 1);
    m->orig = b.orig;
    m->base = b.base;
    m->offset = b.offset;
    m->size = b.offset + b.size;
    m->start = b.offset;
    return boxed_make((term *)m);
}

/* Digit i of a field of `bits` bits; the last digit may be shorter. */
static uint64_t load_digit(const struct match_words *m, uint64_t bits,
                           unsigned flags, size_t i)
{
    uint64_t from = (uint64_t)i * 64;
    unsigned n = bits - from < 64 ? (unsigned)(bits - from) : 64;

    if (bs_is_little(flags))
        return bits_load_little(m->base, m->offset + from, n);
    return bits_load(m->base, m->offset + bits - from - n, n);
}

/* More than 64 bits: a bignum, unless the value is small after all. */
static term get_big(struct proc *p, struct match_words *m, uint64_t bits,
                    unsigned flags)
{
    size_t n = (bits + 63) / 64;
    unsigned top = (unsigned)(bits - (uint64_t)(n - 1) * 64);
    uint64_t first = load_digit(m, bits, flags, n - 1);
    bool negative = (flags & BS_SIGNED) && first >> (top - 1) & 1;

    /* Too long for a bignum, but perhaps it is only padded. */
    if (n > BIG_MAX_DIGITS && first == (negative ? bits_mask(top) : 0)) {
        uint64_t pad = negative ? UINT64_MAX : 0;

        do {
            n--;
            first = load_digit(m, bits, flags, n - 1);
        } while (n > BIG_MAX_DIGITS && first == pad);
        top = 64;
        if ((flags & BS_SIGNED) && first >> 63 != negative)
            n++;
    }
    if (n > BIG_MAX_DIGITS)
        return no_match(p);
    term *hp = heap_try(p, 1 + n);
    if (!hp)
        return THE_NON_VALUE;

    uint64_t *digit = hp + 1;
    for (size_t i = 0; i < n; i++)
        digit[i] = load_digit(m, bits, flags, i);

    if (negative) {
        uint64_t carry = 1;

        for (size_t i = 0; i < n; i++) {
            digit[i] = ~digit[i] + carry;
            carry = carry && digit[i] == 0;
        }
        digit[n - 1] &= bits_mask(top);
    }
    m->offset += bits;

    while (n > 0 && digit[n - 1] == 0)
        n--;
    uint64_t low = n ? digit[0] : 0;
    if (n <= 1 && low <= (uint64_t)SMALL_MAX + negative) {
        heap_trim(p, hp);
        return small_make(negative ? -(int64_t)low : (int64_t)low);
    }
    hp[0] = HEADER(negative ? BOX_NEGBIG : BOX_POSBIG, 0, n);
    heap_trim(p, hp + 1 + n);
    return boxed_make(hp);
}

term bs_get_integer(struct proc *p, term ctx, uint64_t bits, unsigned flags)
{
    struct match_words *m = bs_match(ctx);

    if (m->size - m->offset < bits)
        return no_match(p);
    if (bits == 0)
        return small_make(0);
    if (bits > 64)
        return get_big(p, m, bits, flags);

    unsigned n = (unsigned)bits;
    uint64_t v = bs_is_little(flags) ? bits_load_little(m->base, m->offset, n)
                                  : bits_load(m->base, m->offset, n);
    bool negative = (flags & BS_SIGNED) && v >> (n - 1) & 1;
    if (negative)
        v |= ~bits_mask(n);
    if (negative ? (int64_t)v >= SMALL_MIN : v <= (uint64_t)SMALL_MAX) {
        m->offset += bits;
        return small_make((int64_t)v);
    }

    term *hp = heap_try(p, 2);
    if (!hp)
        return THE_NON_VALUE;
    hp[0] = HEADER(negative ? BOX_NEGBIG : BOX_POSBIG, 0, 1);
    hp[1] = negative ? -v : v;
    m->offset += bits;
    return boxed_make(hp);
}

/* IEEE half precision, exactly. */
static double half_to_double(uint16_t h)
{
    unsigned exponent = h >> 10 & 31, fraction = h & 1023;
    double d;

    if (exponent == 31)
        d = fraction ? NAN : INFINITY;
    else if (exponent == 0)
        d = ldexp(fraction, -24);
    else
        d = ldexp(1024 + fraction, (int)exponent - 25);
    return h & 0x8000 ? -d : d;
}

term bs_get_float(struct proc *p, term ctx, uint64_t bits, unsigned flags)
{
    struct match_words *m = bs_match(ctx);
    double d = 0.0;

    if (m->size - m->offset < bits)
        return no_match(p);
    if (bits != 0 && bits != 16 && bits != 32 && bits != 64)
        return no_match(p);

    uint64_t v = bs_is_little(flags)
                     ? bits_load_little(m->base, m->offset, (unsigned)bits)
                     : bits_load(m->base, m->offset, (unsigned)bits);
    if (bits == 16) {
        d = half_to_double((uint16_t)v);
    } else if (bits == 32) {
        uint32_t w = (uint32_t)v;
        float f;

        memcpy(&f, &w, sizeof f);
        d = f;
    } else if (bits == 64) {
        memcpy(&d, &v, sizeof d);
    }
    if (!isfinite(d))
        return no_match(p);

    term *hp = heap_try(p, FLOAT_WORDS);
    if (!hp)
        return THE_NON_VALUE;
    m->offset += bits;
    return float_make(&hp, d);
}

term bits_extract(term **hp, struct bits b, uint64_t offset, uint64_t size)
{
    size_t words = bits_extract_words(size);
    term *at = *hp;

    assert(offset <= b.size && size <= b.size - offset);
    *hp = at + words;
    offset += b.offset;
    if (size % 8 == 0 && size <= HEAPBIN_MAX * 8) {
        struct heapbin_words *h = (struct heapbin_words *)at;

        at[words - 1] = 0;
        h->header = HEADER(BOX_HEAPBIN, 0, words - 1);
        h->size = size / 8;
        if (offset % 8 == 0)
            memcpy(h->data, b.base + offset / 8, h->size);
        else
            bits_copy(h->data, 0, b.base, offset, size);
    } else {
        struct subbin_words *s = (struct subbin_words *)at;

        s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
        s->orig = b.orig;
        s->offset = offset;
        s->size = size;
    }
    return boxed_make(at);
}

/* The next bits of a context. heap_try contract. */
static term extract(struct proc *p, const struct match_words *m, uint64_t bits)
{
    struct bits b = {m->base, m->offset, m->size - m->offset, m->orig};
    term *hp = heap_try(p, bits_extract_words(bits));

    return hp ? bits_extract(&hp, b, 0, bits) : THE_NON_VALUE;
}

term bs_get_binary(struct proc *p, term ctx, uint64_t bits)
{
    struct match_words *m = bs_match(ctx);

    if (m->size - m->offset < bits)
        return no_match(p);
    term v = extract(p, m, bits);
    if (v != THE_NON_VALUE)
        m->offset += bits;
    return v;
}

term bs_get_binary_all(struct proc *p, term ctx)
{
    const struct match_words *m = bs_match(ctx);

    return bs_get_binary(p, ctx, m->size - m->offset);
}

term bs_get_tail(struct proc *p, term ctx)
{
    const struct match_words *m = bs_match(ctx);

    return extract(p, m, m->size - m->offset);
}

int64_t bs_get_utf8(term ctx)
{
    struct match_words *m = bs_match(ctx);
    uint64_t left = m->size - m->offset;

    if (left < 8)
        return -1;
    if (likely(m->offset % 8 == 0)) {
        uint32_t code;
        unsigned len = utf8_get(m->base + m->offset / 8, left / 8, &code);

        m->offset += len * 8;
        return len ? (int64_t)code : -1;
    }
    uint32_t c = (uint32_t)bits_load(m->base, m->offset, 8);
    if (c < 0x80) {
        m->offset += 8;
        return c;
    }
    unsigned n = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
    if (n == 0 || left < n * 8)
        return -1;

    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    c &= 0x7f >> n;
    for (unsigned i = 1; i < n; i++) {
        uint32_t b = (uint32_t)bits_load(m->base, m->offset + i * 8, 8);

        if ((b & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (b & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return -1;
    m->offset += n * 8;
    return c;
}

static uint32_t load_unit(const struct match_words *m, uint64_t offset,
                          unsigned bits, unsigned flags)
{
    return (uint32_t)(bs_is_little(flags) ? bits_load_little(m->base, offset, bits)
                                       : bits_load(m->base, offset, bits));
}

int64_t bs_get_utf16(term ctx, unsigned flags)
{
    struct match_words *m = bs_match(ctx);
    uint64_t left = m->size - m->offset;

    if (left < 16)
        return -1;
    uint32_t high = load_unit(m, m->offset, 16, flags);
    if (high < 0xd800 || high > 0xdfff) {
        m->offset += 16;
        return high;
    }
    if (high > 0xdbff || left < 32)
        return -1;
    uint32_t low = load_unit(m, m->offset + 16, 16, flags);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    m->offset += 32;
    return ((high & 0x3ff) << 10 | (low & 0x3ff)) + 0x10000;
}

int64_t bs_get_utf32(term ctx, unsigned flags)
{
    struct match_words *m = bs_match(ctx);

    if (m->size - m->offset < 32)
        return -1;
    uint32_t c = load_unit(m, m->offset, 32, flags);
    if (!bs_valid_unicode(small_make(c)))
        return -1;
    m->offset += 32;
    return c;
}

bool bs_match_string(term ctx, const uint8_t *s, uint64_t bits)
{
    struct match_words *m = bs_match(ctx);

    if (m->size - m->offset < bits)
        return false;
    if (m->offset % 8 == 0 && bits % 8 == 0) {
        if (memcmp(m->base + m->offset / 8, s, bits / 8) != 0)
            return false;
    } else {
        for (uint64_t at = 0; at < bits; at += 64) {
            unsigned n = bits - at < 64 ? (unsigned)(bits - at) : 64;

            if (bits_load(m->base, m->offset + at, n) != bits_load(s, at, n))
                return false;
        }
    }
    m->offset += bits;
    return true;
}
