/*
 * bitfield.h - integers of up to 64 bits at any bit of memory.
 *
 * The first bit is the most significant one, or the field is little-endian: one of
 * 8 * k + r bits is k bytes, the least significant first, then r bits, which are
 * the most significant.
 */
#ifndef VM_BITFIELD_H
#define VM_BITFIELD_H

#include <stdint.h>
#include <string.h>

static inline uint64_t bits_mask(unsigned n)
{
    return n >= 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
}

/* n <= 64 bits. */
static inline uint64_t bits_load(const uint8_t *base, uint64_t offset, unsigned n)
{
    const uint8_t *s = base + offset / 8;
    unsigned end = (unsigned)(offset & 7) + n;  /* bits from *s to the last */
    uint64_t v = 0;

    if (n == 0)
        return 0;
    if (end < 64) {
        for (unsigned i = 0; i < end; i += 8)
            v = v << 8 | *s++;
        return v >> (-end & 7) & bits_mask(n);
    }
    memcpy(&v, s, 8);
    v = __builtin_bswap64(v);
    if (end > 64)
        v = v << (end - 64) | s[8] >> (72 - end);
    return v & bits_mask(n);
}

/* The same, written; neighbouring bits keep their values. */
static inline void bits_store(uint8_t *base, uint64_t offset, unsigned n, uint64_t v)
{
    uint8_t *d = base + offset / 8;
    unsigned skip = offset & 7;

    if (n < 64)
        v &= bits_mask(n);
    if (skip && n) {
        unsigned room = 8 - skip;

        if (n <= room) {
            unsigned keep = ~(bits_mask(n) << (room - n));
            *d = (uint8_t)((*d & keep) | v << (room - n));
            return;
        }
        n -= room;
        *d = (uint8_t)((*d & ~bits_mask(room)) | v >> n);
        d++;
        v &= bits_mask(n);
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
        *d = (uint8_t)((*d & bits_mask(8 - n)) | v << (8 - n));
}

/* The same as little-endian fields. */
static inline uint64_t bits_load_little(const uint8_t *base, uint64_t offset, unsigned n)
{
    unsigned whole = n & ~7u, rest = n & 7;
    uint64_t v = 0;

    if (whole)
        v = __builtin_bswap64(bits_load(base, offset, whole) << (64 - whole));
    if (rest)
        v |= bits_load(base, offset + whole, rest) << whole;
    return v;
}

static inline void bits_store_little(uint8_t *base, uint64_t offset, unsigned n,
                                     uint64_t v)
{
    unsigned whole = n & ~7u;

    if (whole)
        bits_store(base, offset, whole, __builtin_bswap64(v) >> (64 - whole));
    if (n > whole)
        bits_store(base, offset + whole, n - whole, v >> whole);
}

#endif
