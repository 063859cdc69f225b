/*
 * bitsyntax.c - matching and construction of bitstrings.
 *
 * Integers are moved 64 bits at a time, between any bit offset and the digits
 * of a bignum. A little-endian field of 8 * k + r bits is k bytes, the least
 * significant first, then r bits, which are the most significant.
 *
 * A binary that grows lies in a refbin with room to spare, whose `size` counts
 * the bytes that somebody has claimed. Appending in place needs all of: the
 * sub-binary has SUBBIN_WRITABLE (it is the latest on this heap), it ends
 * where the claimed bytes end, and the refbin has room. So two heaps that
 * share the bytes can't both claim what follows them. A sub-binary that ends
 * within a byte shares that byte with what is claimed; there the count must
 * say that no other heap refers to it. Full, the bytes move to a refbin twice
 * as large with a refcbin of its own, and the old one stays as it is for those
 * who refer to it, match contexts among them: no pointer to bytes ever goes
 * stale.
 */
#include "vm/bitsyntax.h"

#include "vm/atom.h"
#include "vm/big.h"
#include "vm/exc.h"
#include "vm/sched.h"
#include "vm/slice.h"
#include "vm/unicode.h"

#include <math.h>

#define BITS_PER_RED (8 * 1024)     /* copied; OTP's figure */
#define APPEND_MIN_BYTES 256        /* OTP's */
#define APPEND_DOUBLE_BYTES ((size_t)16 << 20)  /* beyond, grow by a fifth */

static term no_match(struct proc *p)
{
    p->need_words = 0;
    return THE_NON_VALUE;
}

static term fail(struct proc *p, term reason, term cause)
{
    p->need_words = 0;
    return exc_set(p, EXC_ERROR, reason, cause);
}

static void spend(struct proc *p, uint64_t bits)
{
    uint64_t reds = bits / BITS_PER_RED;

    if (reds > SLICE_REDS)
        reds = SLICE_REDS;
    if (p->reds_left > -SLICE_REDS)
        p->reds_left -= (int32_t)reds;
}

static uint64_t mask(unsigned n)
{
    return n >= 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
}

/* Every machine we run on is little-endian. */
static bool is_little(unsigned flags)
{
    return flags & (BS_LITTLE | BS_NATIVE);
}

uint64_t bits_load(const uint8_t *base, uint64_t offset, unsigned n)
{
    const uint8_t *s = base + offset / 8;
    unsigned end = (unsigned)(offset & 7) + n;  /* bits from *s to the last */
    uint64_t v = 0;

    if (n == 0)
        return 0;
    if (end < 64) {
        for (unsigned i = 0; i < end; i += 8)
            v = v << 8 | *s++;
        return v >> (-end & 7) & mask(n);
    }
    memcpy(&v, s, 8);
    v = __builtin_bswap64(v);
    if (end > 64)
        v = v << (end - 64) | s[8] >> (72 - end);
    return v & mask(n);
}

void bits_store(uint8_t *base, uint64_t offset, unsigned n, uint64_t v)
{
    uint8_t *d = base + offset / 8;
    unsigned skip = offset & 7;

    if (n < 64)
        v &= mask(n);
    if (skip && n) {
        unsigned room = 8 - skip;

        if (n <= room) {
            unsigned keep = ~(mask(n) << (room - n));
            *d = (uint8_t)((*d & keep) | v << (room - n));
            return;
        }
        n -= room;
        *d = (uint8_t)((*d & ~mask(room)) | v >> n);
        d++;
        v &= mask(n);
    }
    if (n >= 32) {
        uint32_t w = __builtin_bswap32((uint32_t)(v >> (n - 32)));

        memcpy(d, &w, sizeof w);
        d += sizeof w;
        n -= 32;
    }
    for (; n >= 8; n -= 8)
        *d++ = (uint8_t)(v >> (n - 8));
    if (n)
        *d = (uint8_t)((*d & mask(8 - n)) | v << (8 - n));
}

bool bs_size_bits(term size, uint64_t unit, uint64_t *bits)
{
    return term_is_small(size) && small_value(size) >= 0
           && !__builtin_mul_overflow((uint64_t)small_value(size), unit, bits);
}

/* Matching */

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

/* n <= 64 bits at an offset as a little-endian field. */
static uint64_t load_little(const uint8_t *base, uint64_t offset, unsigned n)
{
    unsigned whole = n & ~7u, rest = n & 7;
    uint64_t v = 0;

    if (whole)
        v = __builtin_bswap64(bits_load(base, offset, whole) << (64 - whole));
    if (rest)
        v |= bits_load(base, offset + whole, rest) << whole;
    return v;
}

/* Digit i of a field of `bits` bits; the last digit may be shorter. */
static uint64_t load_digit(const struct match_words *m, uint64_t bits,
                           unsigned flags, size_t i)
{
    uint64_t from = (uint64_t)i * 64;
    unsigned n = bits - from < 64 ? (unsigned)(bits - from) : 64;

    if (is_little(flags))
        return load_little(m->base, m->offset + from, n);
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
    if (n > BIG_MAX_DIGITS && first == (negative ? mask(top) : 0)) {
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
        digit[n - 1] &= mask(top);
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
    uint64_t v = is_little(flags) ? load_little(m->base, m->offset, n)
                                  : bits_load(m->base, m->offset, n);
    bool negative = (flags & BS_SIGNED) && v >> (n - 1) & 1;
    if (negative)
        v |= ~mask(n);
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

term bs_get_float(struct proc *p, term ctx, uint64_t bits, unsigned flags)
{
    struct match_words *m = bs_match(ctx);
    double d = 0.0;

    if (m->size - m->offset < bits)
        return no_match(p);
    if (bits != 0 && bits != 16 && bits != 32 && bits != 64)
        return no_match(p);

    uint64_t v = is_little(flags)
                     ? load_little(m->base, m->offset, (unsigned)bits)
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
    return (uint32_t)(is_little(flags) ? load_little(m->base, offset, bits)
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

/* Construction */

static term put_subbin(term *hp, term orig, uint64_t bits, unsigned aux)
{
    struct subbin_words *s = (struct subbin_words *)hp;

    s->header = HEADER(BOX_SUBBIN, aux, SUBBIN_WORDS - 1);
    s->orig = orig;
    s->offset = 0;
    s->size = bits;
    return boxed_make(hp);
}

term bs_init(struct proc *p, struct bs_build *b, uint64_t bits)
{
    if (bits > BINARY_MAX_BITS)
        return fail(p, am_system_limit, THE_NON_VALUE);
    term bin = binary_new(p, (bits + 7) / 8, &b->base);
    if (bin == THE_NON_VALUE)
        return fail(p, am_system_limit, THE_NON_VALUE);
    if (bits % 8 != 0) {
        /* What pads the last byte is written out in places: no old memory. */
        b->base[bits / 8] = 0;
        bin = put_subbin(heap_alloc(p, SUBBIN_WORDS), bin, bits, 0);
    }
    b->bin = bin;
    b->offset = 0;
    b->size = bits;
    return bin;
}

/*
 * A new refbin with room for `capacity` bytes, the bytes of `old` in it, on
 * p's heap with a writable sub-binary of `bits` bits. NULL: no memory.
 */
static struct subbin_words *writable_new(struct proc *p, size_t capacity,
                                         struct bits old, uint64_t bits)
{
    struct refbin *bin = refbin_try_new(capacity);

    if (!bin)
        return NULL;
    bin->capacity = capacity;
    bin->size = (bits + 7) / 8;
    if (bits % 8 != 0)
        bin->data[bits / 8] = 0;
    bits_copy(bin->data, 0, old.base, old.offset, old.size);

    term *hp = heap_alloc(p, REFCBIN_WORDS + SUBBIN_WORDS);
    struct refcbin_words *r = (struct refcbin_words *)hp;
    r->header = HEADER(BOX_REFCBIN, REFCBIN_WRITABLE, REFCBIN_WORDS - 1);
    r->next = p->heap.off.first;
    p->heap.off.first = hp;
    r->bin = bin;
    r->data = bin->data;
    r->size = bin->size;
    p->heap.off.vheap_words += capacity / 8;

    put_subbin(hp + REFCBIN_WORDS, boxed_make(hp), bits, SUBBIN_WRITABLE);
    return (struct subbin_words *)(hp + REFCBIN_WORDS);
}

static bool is_multiple(uint64_t bits, uint64_t unit)
{
    /* Mostly a power of two, and dividing is what appending would wait for. */
    return (unit & (unit - 1)) == 0 ? unit == 0 || (bits & (unit - 1)) == 0
                                    : bits % unit == 0;
}

/* May bin grow in place to so many bits? Then its refcbin, else NULL. */
static struct refcbin_words *can_grow(term bin, uint64_t bits)
{
    if (!boxed_is(bin, BOX_SUBBIN))
        return NULL;
    const struct subbin_words *s = (const struct subbin_words *)boxed_ptr(bin);
    if (!(header_aux(s->header) & SUBBIN_WRITABLE) || s->offset != 0
        || !boxed_is(s->orig, BOX_REFCBIN))
        return NULL;
    struct refcbin_words *r = (struct refcbin_words *)boxed_ptr(s->orig);
    struct refbin *rb = r->bin;
    if (!(header_aux(r->header) & REFCBIN_WRITABLE) || r->data != rb->data
        || (s->size + 7) / 8 != rb->size || (bits + 7) / 8 > rb->capacity)
        return NULL;
    int64_t refc = __atomic_load_n(&rb->refc, __ATOMIC_ACQUIRE);
    if (refc == REFC_SATURATED || (s->size % 8 != 0 && refc != 1))
        return NULL;
    return r;
}

/* bin grows in place to so many bits: the same term if private, else a new one. */
static term grow(struct proc *p, term bin, struct refcbin_words *r, uint64_t bits,
                 bool private)
{
    struct subbin_words *s = (struct subbin_words *)boxed_ptr(bin);
    size_t bytes = (bits + 7) / 8;

    p->heap.off.vheap_words += (bytes - r->bin->size) / 8;
    r->bin->size = r->size = bytes;
    if (private) {
        s->size = bits;
        return bin;
    }
    s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    return put_subbin(heap_alloc(p, SUBBIN_WORDS), s->orig, bits, SUBBIN_WRITABLE);
}

bool bs_more(struct bs_build *b, term bin, size_t bytes)
{
    const struct subbin_words *s;
    struct refcbin_words *r;

    if (!boxed_is(bin, BOX_SUBBIN))
        return false;
    s = (const struct subbin_words *)boxed_ptr(bin);
    if (s->size % 8 != 0 || bytes > BINARY_MAX_BITS / 8 ||
        s->size + bytes * 8 > BINARY_MAX_BITS ||
        !(r = can_grow(bin, s->size + bytes * 8)))
        return false;
    b->bin = bin;
    b->more = r;
    b->to = r->data + s->size / 8;
    return true;
}

term bs_more_end(struct proc *p, struct bs_build *b)
{
    return grow(p, b->bin, b->more, (uint64_t)(b->to - b->more->data) * 8, false);
}

static term append(struct proc *p, struct bs_build *b, term bin,
                   uint64_t extra, uint64_t unit, bool private, term *why)
{
    if (!term_is_bitstring(bin)) {
        *why = am_type;
        return fail(p, am_badarg, THE_NON_VALUE);
    }
    struct bits old = bits_of(bin);
    if (!is_multiple(old.size, unit)) {
        *why = am_unit;
        return fail(p, am_badarg, THE_NON_VALUE);
    }
    if (extra > BINARY_MAX_BITS || old.size + extra > BINARY_MAX_BITS) {
        *why = am_size;
        return fail(p, am_system_limit, THE_NON_VALUE);
    }
    uint64_t bits = old.size + extra;
    size_t bytes = (bits + 7) / 8;

    b->offset = old.size;
    b->size = bits;
    if (extra == 0) {
        b->base = (uint8_t *)old.base;
        return b->bin = bin;
    }

    struct refcbin_words *r = can_grow(bin, bits);
    if (r) {
        b->base = r->data;
        b->bin = grow(p, bin, r, bits, private);
        if (old.size % 8 == 0 || (old.size + 7) / 8 != bytes)
            b->base[bytes - 1] = 0;
        return b->bin;
    }

    size_t capacity = bytes > APPEND_DOUBLE_BYTES ? bytes + bytes / 5 : 2 * bytes;
    if (capacity < APPEND_MIN_BYTES)
        capacity = APPEND_MIN_BYTES;
    struct subbin_words *s = writable_new(p, capacity, old, bits);
    if (!s)     /* Perhaps without room to spare. */
        s = writable_new(p, bytes, old, bits);
    if (!s) {
        *why = am_size;
        return fail(p, am_system_limit, THE_NON_VALUE);
    }
    spend(p, old.size);
    b->base = ((struct refcbin_words *)boxed_ptr(s->orig))->data;
    return b->bin = boxed_make((term *)s);
}

term bs_append(struct proc *p, struct bs_build *b, term bin, uint64_t extra,
               uint64_t unit, term *why)
{
    return append(p, b, bin, extra, unit, false, why);
}

term bs_private_append(struct proc *p, struct bs_build *b, term bin,
                       uint64_t extra, uint64_t unit, term *why)
{
    return append(p, b, bin, extra, unit, true, why);
}

term bs_init_writable(struct proc *p, term size)
{
    size_t bytes = 1024;
    struct bits none = {.base = (const uint8_t *)"", .orig = TERM_NIL};

    if (term_is_small(size) && small_value(size) >= 0)
        bytes = (size_t)small_value(size);
    if (bytes > BINARY_MAX_BITS / 8)
        return fail(p, am_system_limit, THE_NON_VALUE);
    struct subbin_words *s = writable_new(p, bytes, none, 0);
    return s ? boxed_make((term *)s) : fail(p, am_system_limit, THE_NON_VALUE);
}

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

/* n <= 64 bits as a little-endian field. */
static void store_little(uint8_t *base, uint64_t offset, unsigned n, uint64_t v)
{
    unsigned whole = n & ~7u;

    if (whole)
        bits_store(base, offset, whole, __builtin_bswap64(v) >> (64 - whole));
    if (n > whole)
        bits_store(base, offset + whole, n - whole, v >> whole);
}

static void store_field(uint8_t *base, uint64_t offset, unsigned n, uint64_t v,
                        unsigned flags)
{
    if (is_little(flags))
        store_little(base, offset, n, v);
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
        bool little = is_little(flags);

        twos_init(&t, v);
        for (uint64_t at = 0; at < bits; at += 64) {
            unsigned n = bits - at < 64 ? (unsigned)(bits - at) : 64;
            uint64_t d = twos_digit(&t, at / 64);

            if (little)
                store_little(b->base, b->offset + at, n, d);
            else
                bits_store(b->base, b->offset + bits - at - n, n, d);
        }
        spend(p, bits);
    }
    b->offset += bits;
    return true;
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
    spend(p, bits);
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
    if (!is_multiple(s.size, unit))
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

    return fail(p, reason,
                put_tuple4(&hp, small_make(s->position), names[s->type], what,
                           value));
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

        if (append(p, b, s->value, total, s->unit,
                   s->type == BS_PRIVATE_APPEND, &why)
            == THE_NON_VALUE)
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
