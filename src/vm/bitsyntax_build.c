/*
 * bitsyntax_build.c - construction of bitstrings: the segments, one by one and
 * all at once.
 *
 * Integers are moved 64 bits at a time from the digits of a bignum.
 */
#include "vm/bitsyntax_build.h"

#include "vm/big.h"
#include "vm/bitfield.h"
#include "vm/slice.h"

#include <math.h>

/* Digit i of an integer in two's complement, as if it had endless digits. */
struct twos {
    const uint64_t *digit;
    size_t n;
    bool negative;
    uint64_t small;
    size_t zeros;           /* low digits that are zero: where the carry ends */
};

static void twos_init(struct twos *t, term v)
{
    if (term_is_small(v)) {
        int64_t i = small_value(v);

        t->negative = i < 0;
        t->small = i < 0 ? -(uint64_t)i : (uint64_t)i;
        t->digit = &t->small;
        t->n = 1;
    } else {
        t->negative = big_negative(v);
        t->digit = big_data(v);
        t->n = big_digits(v);
    }
    t->zeros = 0;
    while (t->zeros < t->n && t->digit[t->zeros] == 0)
        t->zeros++;
}

static uint64_t twos_digit(const struct twos *t, size_t i)
{
    uint64_t d = i < t->n ? t->digit[i] : 0;

    if (!t->negative)
        return d;
    return i <= t->zeros ? -d : ~d;
}

static void store_field(uint8_t *base, uint64_t offset, unsigned n, uint64_t v,
                        unsigned flags)
{
    if (bs_is_little(flags))
        bits_store_little(base, offset, n, v);
    else
        bits_store(base, offset, n, v);
}

bool bs_put_integer(struct proc *p, struct bs_build *b, term v, uint64_t bits,
                    unsigned flags)
{
    if (!term_is_integer(v))
        return false;
    assert(bits <= b->size - b->offset);
    if (bits <= 64 && term_is_small(v)) {
        store_field(b->base, b->offset, (unsigned)bits,
                    (uint64_t)small_value(v), flags);
    } else {
        struct twos t;
        bool little = bs_is_little(flags);

        twos_init(&t, v);
        for (uint64_t at = 0; at < bits; at += 64) {
            unsigned n = bits - at < 64 ? (unsigned)(bits - at) : 64;
            uint64_t d = twos_digit(&t, at / 64);

            if (little)
                bits_store_little(b->base, b->offset + at, n, d);
            else
                bits_store(b->base, b->offset + bits - at - n, n, d);
        }
        bs_spend(p, bits);
    }
    b->offset += bits;
    return true;
}

/*
 * Round to half precision by way of a float, to nearest, ties to even, as OTP
 * does: that the value is rounded twice can be seen in the last bit.
 */
static uint16_t double_to_half(double d)
{
    float f = (float)d;
    uint16_t sign = signbit(f) ? 0x8000 : 0;
    float a = fabsf(f);

    if (isnan(f))
        return sign | 0x7e00;
    if (a >= 65520.0f)              /* rounds beyond the largest, 65504 */
        return sign | 0x7c00;
    if (a < 0x1p-14f)               /* subnormal: units of 2^-24 */
        return sign | (uint16_t)rintf(a * 0x1p24f);

    int e;
    float m = frexpf(a, &e);        /* a = m * 2^e, 0.5 <= m < 1 */
    /* A fraction that rounds up to 2048 carries into the exponent. */
    unsigned scaled = (unsigned)rintf(m * 2048.0f);
    return sign | (uint16_t)(((unsigned)(e + 13) << 10) + scaled);
}

bool bs_put_float(struct bs_build *b, term v, uint64_t bits, unsigned flags,
                  term *why)
{
    double d;
    uint64_t word;

    if (bits != 16 && bits != 32 && bits != 64) {
        *why = am_invalid;
        return false;
    }
    if (term_is_float(v)) {
        d = float_value(v);
    } else if (!term_is_integer(v)) {
        *why = am_type;
        return false;
    } else if (!num_to_double(v, &d)) {
        *why = am_no_float;
        return false;
    }
    if (bits == 64) {
        memcpy(&word, &d, sizeof word);
    } else if (bits == 32) {
        /* From an integer at once: by way of a double rounds twice. */
        float f = term_is_small(v) ? (float)small_value(v) : (float)d;
        uint32_t w;

        memcpy(&w, &f, sizeof w);
        word = w;
    } else {
        word = double_to_half(d);
    }
    store_field(b->base, b->offset, (unsigned)bits, word, flags);
    b->offset += bits;
    return true;
}

/* Of so many bits bs_create_bin() builds a binary in slices. */
#define SLICED_BITS ((uint64_t)1 << 20)

static void put_bits(struct proc *p, struct bs_build *b, struct bits s,
                     uint64_t bits)
{
    assert(bits <= b->size - b->offset);
    /* bits_copy() says how much it has done. */
    if ((b->offset | s.offset | bits) % 8 == 0 && likely(bits < SLICED_BITS))
        memcpy(b->base + b->offset / 8, s.base + s.offset / 8, bits / 8);
    else
        bits_copy(b->base, b->offset, s.base, s.offset, bits);
    b->offset += bits;
    bs_spend(p, bits);
}

bool bs_put_binary(struct proc *p, struct bs_build *b, term v, uint64_t bits)
{
    if (!term_is_bitstring(v))
        return false;
    struct bits s = bits_of(v);
    if (s.size < bits)
        return false;
    put_bits(p, b, s, bits);
    return true;
}

bool bs_put_binary_all(struct proc *p, struct bs_build *b, term v, uint64_t unit)
{
    if (!term_is_bitstring(v))
        return false;
    struct bits s = bits_of(v);
    if (!bs_is_multiple(s.size, unit))
        return false;
    put_bits(p, b, s, s.size);
    return true;
}

bool bs_put_utf8(struct bs_build *b, term v)
{
    if (!bs_valid_unicode(v))
        return false;
    uint32_t c = (uint32_t)small_value(v), w;
    unsigned n = bs_utf8_size(v);

    switch (n) {
    case 1:
        w = c;
        break;
    case 2:
        w = 0xc080 | (c & 0x7c0) << 2 | (c & 0x3f);
        break;
    case 3:
        w = 0xe08080 | (c & 0xf000) << 4 | (c & 0xfc0) << 2 | (c & 0x3f);
        break;
    default:
        w = 0xf0808080 | (c & 0x1c0000) << 6 | (c & 0x3f000) << 4
            | (c & 0xfc0) << 2 | (c & 0x3f);
        break;
    }
    bits_store(b->base, b->offset, n * 8, w);
    b->offset += n * 8;
    return true;
}

bool bs_put_utf16(struct bs_build *b, term v, unsigned flags)
{
    if (!bs_valid_unicode(v))
        return false;
    uint32_t c = (uint32_t)small_value(v);

    if (c >= 0x10000) {
        c -= 0x10000;
        store_field(b->base, b->offset, 16, 0xd800 | c >> 10, flags);
        b->offset += 16;
        c = 0xdc00 | (c & 0x3ff);
    }
    store_field(b->base, b->offset, 16, c, flags);
    b->offset += 16;
    return true;
}

bool bs_put_utf32(struct bs_build *b, term v, unsigned flags)
{
    if (!bs_valid_unicode(v))
        return false;
    store_field(b->base, b->offset, 32, (uint64_t)small_value(v), flags);
    b->offset += 32;
    return true;
}

void bs_put_string(struct bs_build *b, const uint8_t *s, size_t bytes)
{
    if (b->offset % 8 == 0)
        memcpy(b->base + b->offset / 8, s, bytes);
    else
        bits_copy(b->base, b->offset, s, 0, (uint64_t)bytes * 8);
    b->offset += (uint64_t)bytes * 8;
}

/* bs_create_bin */

static term create_fail(struct proc *p, const struct bs_segment *s, term reason,
                        term what, term value)
{
    static const term names[] = {
        [BS_APPEND] = am_binary,   [BS_PRIVATE_APPEND] = am_binary,
        [BS_BINARY] = am_binary,   [BS_FLOAT] = am_float,
        [BS_INTEGER] = am_integer, [BS_STRING] = am_string,
        [BS_UTF8] = am_utf8,       [BS_UTF16] = am_utf16,
        [BS_UTF32] = am_utf32,
    };
    term *hp = heap_alloc(p, 5);

    return bs_fail(p, reason,
                   put_tuple4(&hp, small_make(s->position), names[s->type], what, value));
}

/* Bits of a segment. False after setting p->exc. */
static bool segment_bits(struct proc *p, const struct bs_segment *s,
                         uint64_t *bits)
{
    *bits = 0;
    switch (s->type) {
    case BS_APPEND:
    case BS_PRIVATE_APPEND:
        return true;
    case BS_STRING:
        *bits = (uint64_t)small_value(s->size) * 8;
        return true;
    case BS_UTF8:
        *bits = bs_utf8_size(s->value) * 8;
        return true;
    case BS_UTF16:
        *bits = bs_utf16_size(s->value) * 8;
        return true;
    case BS_UTF32:
        if (!bs_valid_unicode(s->value)) {
            create_fail(p, s, am_badarg, am_type, s->value);
            return false;
        }
        *bits = 32;
        return true;
    case BS_BINARY:
        if (s->size == am_all) {
            if (!term_is_bitstring(s->value)) {
                create_fail(p, s, am_badarg, am_type, s->value);
                return false;
            }
            *bits = bits_of(s->value).size;
            return true;
        }
        break;
    default:
        break;
    }

    bool limit;
    if (term_is_small(s->size)) {
        limit = small_value(s->size) >= 0;
        if (bs_size_bits(s->size, s->unit, bits) && *bits <= INT64_MAX)
            return true;
    } else {
        limit = term_is_big(s->size) && !big_negative(s->size);
    }
    create_fail(p, s, limit ? am_system_limit : am_badarg, am_size, s->size);
    return false;
}

/* Write a segment whose size has been checked. False after setting p->exc. */
static bool segment_put(struct proc *p, struct bs_build *b,
                        const struct bs_segment *s)
{
    term what = am_type, value = s->value;
    uint64_t bits = 0;
    bool good;

    if (s->type == BS_BINARY || s->type == BS_FLOAT || s->type == BS_INTEGER)
        bs_size_bits(s->size, s->unit, &bits);

    switch (s->type) {
    case BS_STRING:
        bs_put_string(b, s->string, (size_t)small_value(s->size));
        return true;
    case BS_BINARY:
        if (s->size == am_all) {
            good = bs_put_binary_all(p, b, value, s->unit);
            what = am_unit;
        } else {
            good = bs_put_binary(p, b, value, bits);
            if (term_is_bitstring(value))
                what = am_short;
        }
        break;
    case BS_FLOAT:
        good = bs_put_float(b, value, bits, s->flags, &what);
        if (!good && what == am_invalid)
            value = small_make((int64_t)bits);
        break;
    case BS_INTEGER:
        good = bs_put_integer(p, b, value, bits, s->flags);
        break;
    case BS_UTF8:
        good = bs_put_utf8(b, value);
        break;
    case BS_UTF16:
        good = bs_put_utf16(b, value, s->flags);
        break;
    default:
        good = bs_put_utf32(b, value, s->flags);
        break;
    }
    if (!good)
        create_fail(p, s, am_badarg, what, value);
    return good;
}

/* total: bits of all segments but one that is appended to. */
static term create(struct proc *p, struct bs_build *b, const struct bs_segment *segs,
                   size_t n, uint64_t total)
{
    size_t i = 0;
    if (n > 0 && segs[0].type <= BS_PRIVATE_APPEND) {
        const struct bs_segment *s = &segs[0];
        term why = am_size;

        if (bs_append(p, b, s->value, total, s->unit, s->type == BS_PRIVATE_APPEND,
                      &why) == THE_NON_VALUE)
            return create_fail(p, s, p->exc.reason, why, s->value);
        i = 1;
    } else if (bs_init(p, b, total) == THE_NON_VALUE) {
        return n > 0 ? create_fail(p, &segs[n - 1], am_system_limit, am_size,
                                   segs[n - 1].size)
                     : THE_NON_VALUE;
    }
    for (; i < n; i++) {
        if (!segment_put(p, b, &segs[i]))
            return THE_NON_VALUE;
    }
    assert(b->offset == b->size);
    return b->bin;
}

/* The caller's segments, and what it builds in, are where others have theirs meanwhile. */
static term create_sliced(struct proc *p, const struct bs_segment *segs, size_t n,
                          uint64_t total)
{
    struct bs_build b;
    struct bs_segment local[8], *own = local;
    term bin;

    if (n > sizeof local / sizeof *local)
        own = vm_alloc(ALLOC_SYSTEM, n * sizeof *own);

    memcpy(own, segs, n * sizeof *own);
    {
        SLICED(p, NULL);
        bin = create(p, &b, own, n, total);
    }
    if (own != local)
        vm_free(own);
    return bin;
}

term bs_create_bin(struct proc *p, struct bs_build *b,
                   const struct bs_segment *segs, size_t n)
{
    uint64_t total = 0, bits;

    for (size_t i = 0; i < n; i++) {
        if (!segment_bits(p, &segs[i], &bits))
            return THE_NON_VALUE;
        if (__builtin_add_overflow(total, bits, &total))
            return create_fail(p, &segs[i], am_system_limit, am_size,
                               segs[i].size);
    }

    bits = total;
    if (n > 0 && segs[0].type <= BS_PRIVATE_APPEND && term_is_bitstring(segs[0].value))
        bits += bits_of(segs[0].value).size;
    return unlikely(bits >= SLICED_BITS) ? create_sliced(p, segs, n, total)
                                         : create(p, b, segs, n, total);
}
