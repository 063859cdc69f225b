/*
 * memcpy.c - memcpy and its like. musl's begin with `rep movs' or go by bytes; the
 * VM mostly copies and compares a few words, where that takes ten times as long.
 *
 * What has up to 32 bytes is two pieces that may overlap, both read before either
 * is written. Compiled so that no loop here becomes a call of what it is (bare.mk).
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef long long sixteen __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t eight __attribute__((aligned(1), may_alias));
typedef uint32_t four __attribute__((aligned(1), may_alias));
typedef uint16_t two __attribute__((aligned(1), may_alias));

/* From here on the processor's own way is the fastest, though it begins slowly. */
#define LONG 1024

#define PIECES(type)                                                           \
    do {                                                                       \
        type first = *(const type *)from;                                      \
        type last = *(const type *)(from + n - sizeof(type));                  \
                                                                               \
        *(type *)to = first;                                                   \
        *(type *)(to + n - sizeof(type)) = last;                               \
    } while (0)

static inline void copy_few(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n >= 16)
        PIECES(sixteen);
    else if (n >= 8)
        PIECES(eight);
    else if (n >= 4)
        PIECES(four);
    else if (n >= 2)
        PIECES(two);
    else if (n == 1)
        *to = *from;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    uint8_t *to = dst;
    const uint8_t *from = src;

    if (n <= 32) {
        copy_few(to, from, n);
    } else if (n < LONG) {
        sixteen last = *(const sixteen *)(from + n - 16);
        uint8_t *end = to + n - 16;

        for (; to < end; to += 16, from += 16)
            *(sixteen *)to = *(const sixteen *)from;
        *(sixteen *)end = last;
    } else {
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    }
    return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
    uint8_t *to = dst;
    const uint8_t *from = src;

    if (n <= 32) {
        copy_few(to, from, n);
    } else if ((uintptr_t)to - (uintptr_t)from >= n) {
        /* Forwards: nothing that is still to be read is written over. */
        sixteen last = *(const sixteen *)(from + n - 16);
        uint8_t *end = to + n - 16;

        for (; to < end; to += 16, from += 16)
            *(sixteen *)to = *(const sixteen *)from;
        *(sixteen *)end = last;
    } else {
        sixteen first = *(const sixteen *)from;

        for (; n > 16; n -= 16)
            *(sixteen *)(to + n - 16) = *(const sixteen *)(from + n - 16);
        *(sixteen *)to = first;
    }
    return dst;
}

void *memset(void *dst, int c, size_t n)
{
    uint8_t *to = dst, *end = to + n;
    uint64_t word = 0x0101010101010101u * (uint8_t)c;
    sixteen all = {(long long)word, (long long)word};

    if (n >= LONG) {
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
    } else if (n >= 16) {
        for (; to < end - 16; to += 16)
            *(sixteen *)to = all;
        *(sixteen *)(end - 16) = all;
    } else if (n >= 8) {
        *(eight *)to = word;
        *(eight *)(end - 8) = word;
    } else if (n >= 4) {
        *(four *)to = (uint32_t)word;
        *(four *)(end - 4) = (uint32_t)word;
    } else {
        for (; to < end; to++)
            *to = (uint8_t)c;
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *p = a, *q = b;

    for (; n >= 8; n -= 8, p += 8, q += 8) {
        uint64_t v = __builtin_bswap64(*(const eight *)p);
        uint64_t w = __builtin_bswap64(*(const eight *)q);

        if (v != w)
            return v < w ? -1 : 1;
    }
    for (; n > 0; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}
