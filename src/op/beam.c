/*
 * beam.c - the frame of a .beam file, and compact terms.
 *
 * "FOR1" size "BEAM", then chunks: four letters, size (big endian), bytes,
 * padding to four. OTP: lib/compiler/src/beam_asm.erl, erts beam_file.c.
 */
#include <stdarg.h>
#include <stdio.h>

#include "op/compact.h"
#include "vm/atom.h"
#include "vm/big.h"

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

const uint8_t *beam_chunk(const uint8_t *beam, size_t n, const char id[4],
                          size_t *size)
{
    if (n < 12 || memcmp(beam, "FOR1", 4) || memcmp(beam + 8, "BEAM", 4) ||
        be32(beam + 4) < 4 || be32(beam + 4) > n - 8)
        return NULL;
    const uint8_t *end = beam + 8 + be32(beam + 4);
    const uint8_t *p = beam + 12;

    while (end - p >= 8) {
        size_t bytes = be32(p + 4);

        if (bytes > (size_t)(end - p) - 8)
            return NULL;
        if (!memcmp(p, id, 4)) {
            *size = bytes;
            return p + 8;
        }
        size_t padded = (bytes + 3) & ~(size_t)3;
        if (padded > (size_t)(end - p) - 8)
            return NULL;
        p += 8 + padded;
    }
    return NULL;
}

bool load_fail(struct loader *l, const char *fmt, ...)
{
    if (load_ok(l)) {
        va_list ap;

        va_start(ap, fmt);
        vsnprintf(l->why, 256, fmt, ap);
        va_end(ap);
        if (!l->why[0])
            strcpy(l->why, "broken");
    }
    return false;
}

void *load_grow(void *array, uint32_t *size, size_t n, size_t element)
{
    if (n <= *size)
        return array;
    size_t want = *size ? *size * 2 : 64;

    if (want < n)
        want = n;
    array = vm_realloc(array, want * element);
    *size = (uint32_t)want;
    return array;
}

uint8_t read_u8(struct loader *l, struct reader *r)
{
    if (r->p == r->end) {
        load_fail(l, "it is truncated");
        return 0;
    }
    return *r->p++;
}

const uint8_t *read_bytes(struct loader *l, struct reader *r, size_t n)
{
    const uint8_t *p = r->p;

    if (n > (size_t)(r->end - r->p)) {
        load_fail(l, "it is truncated");
        return NULL;
    }
    r->p += n;
    return p;
}

uint32_t read_u32(struct loader *l, struct reader *r)
{
    const uint8_t *p = read_bytes(l, r, 4);

    return p ? be32(p) : 0;
}

/*
 * The number of a compact term. Up to 11 bits lie in the first two bytes;
 * longer ones are big endian two's complement. What does not fit 64 bits sets
 * *big, and the bytes are left to the caller.
 */
static int64_t compact_value(struct loader *l, struct reader *r, uint8_t first,
                             const uint8_t **big, size_t *big_bytes)
{
    *big = NULL;
    if ((first & 8) == 0)
        return first >> 4;
    if ((first & 16) == 0)
        return (first & 0xe0) << 3 | read_u8(l, r);

    size_t n = (first >> 5) + 2;
    if (n == 9) {
        unsigned tag;
        uint64_t more = read_compact(l, r, &tag);

        if (tag != CT_U || more > (1u << 24)) {
            load_fail(l, "a number in it has no sensible size");
            return 0;
        }
        n = more + 9;
    }
    const uint8_t *p = read_bytes(l, r, n);
    if (!p)
        return 0;
    if (n > 8) {
        *big = p;
        *big_bytes = n;
        return 0;
    }
    uint64_t v = p[0] & 0x80 ? ~(uint64_t)0 : 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

uint64_t read_compact(struct loader *l, struct reader *r, unsigned *tag)
{
    uint8_t first = read_u8(l, r);
    const uint8_t *big;
    size_t n;

    *tag = first & 7;
    if (*tag == CT_Z) {
        load_fail(l, "an operand is of an unexpected kind");
        return 0;
    }
    /* A size of a size of a size: not more than one level. */
    if ((first & 0xf8) == 0xf8) {
        load_fail(l, "a number in it is too large");
        return 0;
    }
    int64_t v = compact_value(l, r, first, &big, &n);
    if (big || v < 0) {
        load_fail(l, "a number in it is too large");
        return 0;
    }
    return (uint64_t)v;
}

uint32_t load_literal(struct loader *l, term t)
{
    l->literals = load_grow(l->literals, &l->literals_size, l->nliterals + 1,
                            sizeof(term));
    l->literals[l->nliterals] = t;
    return l->nliterals++;
}

/* A bignum operand, big endian two's complement. */
static uint32_t big_literal(struct loader *l, const uint8_t *p, size_t n)
{
    bool negative = p[0] & 0x80;
    struct mbuf *m = mbuf_new(big_bytes_words(n + 1));
    uint8_t *le = vm_alloc(ALLOC_CODE, n + 1);
    unsigned carry = 1;

    for (size_t i = 0; i < n; i++) {
        unsigned byte = p[n - 1 - i];

        if (negative) {
            byte = (byte ^ 255) + carry;
            carry = byte >> 8;
        }
        le[i] = (uint8_t)byte;
    }
    term *hp = m->words;
    term t = big_put_bytes(&hp, le, n, negative);
    m->used = (size_t)(hp - m->words);
    vm_free(le);
    m->next = l->mbufs;
    l->mbufs = m;
    return load_literal(l, t);
}

static bool read_alloc(struct loader *l, struct reader *r, struct arg *out)
{
    unsigned tag;
    uint64_t n = read_compact(l, r, &tag), words = 0;

    for (uint64_t i = 0; i < n && load_ok(l); i++) {
        uint64_t kind = read_compact(l, r, &tag);
        uint64_t count = read_compact(l, r, &tag);

        if (count > 1u << 24)
            return load_fail(l, "a heap need is too large");
        switch (kind) {
        case 0: words += count; break;
        case 1: words += count * FLOAT_WORDS; break;
        case 2: words += count * FUN_WORDS(0); break;
        default: return load_fail(l, "a heap need of unknown kind %u", (unsigned)kind);
        }
    }
    *out = (struct arg){ARG_ALLOC, words};
    return load_ok(l);
}

void read_args_init(struct loader *l)
{
    const struct short_tag tags[8] = {
        [CT_U] = {1u << 11, ARG_U, .scale = 1},
        [CT_I] = {1u << 11, ARG_I, .scale = small_make(1)},
        [CT_A] = {l->natoms + 1, ARG_ATOM, .atom = ~(uint64_t)0},
        [CT_X] = {X_REGS, ARG_X, .scale = 1},
        [CT_Y] = {X_REGS, ARG_Y, .scale = 1},
        [CT_F] = {l->nlabels, ARG_LABEL, .scale = 1, .label = 1},
    };

    /* Bit 3: it has two bytes; with bit 4 too, more. */
    for (uint32_t i = 0; i < SHORT_TAGS; i++) {
        struct short_tag *t = &l->short_tags[i];

        *t = tags[i & 7];
        t->bytes = 1 + (i >> 3 & 1);
        if ((i & 0x18) == 0x18)
            t->limit = 0;
    }
}

/* Any operand but an ARG_LIST's elements. */
static bool read_arg(struct loader *l, struct reader *r, struct arg *out)
{
    struct arg a = {ARG_U, 0};
    uint8_t first = read_u8(l, r);
    unsigned tag = first & 7;
    const uint8_t *big = NULL;
    size_t big_bytes = 0;
    int64_t v = 0;

    if (!load_ok(l))
        return false;
    if (tag != CT_Z) {
        v = compact_value(l, r, first, &big, &big_bytes);
        /* A size in bits may be larger than any bitstring. */
        if (big && tag == CT_U)
            v = -1;
        else if (big && tag != CT_I)
            return load_fail(l, "an operand is too large");
        if (!big && v < 0 && tag != CT_I)
            return load_fail(l, "an operand is negative");
    }
    a.value = (uint64_t)v;
    switch (tag) {
    case CT_U: a.kind = ARG_U; break;
    case CT_I:
        a.kind = ARG_I;
        if (big) {
            a = (struct arg){ARG_LITERAL, big_literal(l, big, big_bytes)};
        } else if (!small_fits(v)) {
            uint8_t be[8];
            for (int i = 0; i < 8; i++)
                be[i] = (uint8_t)((uint64_t)v >> (56 - 8 * i));
            a = (struct arg){ARG_LITERAL, big_literal(l, be, 8)};
        } else {
            a.value = small_make(v);
        }
        break;
    case CT_A:
        a.kind = ARG_ATOM;
        if (a.value > l->natoms)
            return load_fail(l, "atom %u is not in its table", (unsigned)a.value);
        a.value = a.value ? l->atoms[a.value] : TERM_NIL;
        break;
    case CT_X:
    case CT_Y:
        a.kind = tag == CT_X ? ARG_X : ARG_Y;
        if (a.value >= X_REGS)
            return load_fail(l, "register %u is out of range", (unsigned)a.value);
        break;
    case CT_F:
        a.kind = ARG_LABEL;
        if (a.value >= l->nlabels)
            return load_fail(l, "label %u is out of range", (unsigned)a.value);
        break;
    case CT_H: a.kind = ARG_CHAR; a.value = small_make((int64_t)a.value); break;
    default:
        switch (first >> 4) {
        case CT_Z_LIST:
            a = (struct arg){ARG_LIST, read_compact(l, r, &tag)};
            break;
        case CT_Z_FR:
            a = (struct arg){ARG_FR, read_compact(l, r, &tag)};
            if (a.value >= FLOAT_REGS)
                return load_fail(l, "float register %u is out of range",
                                 (unsigned)a.value);
            break;
        case CT_Z_ALLOC:
            if (!read_alloc(l, r, &a))
                return false;
            break;
        case CT_Z_LITERAL:
            a = (struct arg){ARG_LITERAL, read_compact(l, r, &tag)};
            break;
        case CT_Z_TYPED:
            a.value = read_compact(l, r, &tag);
            a.kind = tag == CT_X ? ARG_X : ARG_Y;
            if ((tag != CT_X && tag != CT_Y) || a.value >= X_REGS)
                return load_fail(l, "a typed register is broken");
            read_compact(l, r, &tag);   /* index in the Type chunk */
            break;
        default:
            return load_fail(l, "an operand has unknown tag %u", first >> 4);
        }
    }
    *out = a;
    return load_ok(l);
}

bool read_args(struct loader *l, struct reader *r, uint64_t n)
{
    uint64_t operands = n;      /* left, without the elements of a list */
    struct arg a;

    for (;;) {
        if (l->args_size - l->nargs < n)
            l->args = load_grow(l->args, &l->args_size, l->nargs + n, sizeof *l->args);
        n = read_short_args(l, r, n);
        if (n == 0)
            return true;
        if (!read_arg(l, r, &a))
            return false;
        l->arg_labels |= a.kind == ARG_LABEL;
        l->args[l->nargs++] = a;
        n--;
        if (a.kind != ARG_LIST)
            continue;
        /* Each element takes a byte at least. */
        if (a.value > (size_t)(r->end - r->p) || n >= operands)
            return load_fail(l, "an operand list is broken");
        operands = n;
        n += a.value;
    }
}
