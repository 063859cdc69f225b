/*
 * unicode.h - UTF-8, one character at a time.
 */
#ifndef VM_UNICODE_H
#define VM_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX 4      /* bytes of a character */

/* Bytes of a character that begins with this one; 0: none does. */
static inline unsigned utf8_length(uint8_t first)
{
    return first < 0x80    ? 1
           : first < 0xc0  ? 0
           : first < 0xe0  ? 2
           : first < 0xf0  ? 3
           : first < 0xf8  ? 4
                           : 0;
}

/*
 * The character at s, of which n > 0 bytes can be read; its length. 0: what is
 * there is none, or is cut short.
 */
static inline unsigned utf8_get(const uint8_t *s, size_t n, uint32_t *c)
{
    unsigned len = utf8_length(s[0]);
    uint32_t v = s[0];

    if (len == 1) {
        *c = v;
        return 1;
    }
    if (len == 0 || len > n)
        return 0;
    v &= 0x7f >> len;
    for (unsigned i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3f);
    }
    if ((len == 2 && v < 0x80)
        || (len == 3 && (v < 0x800 || (v >= 0xd800 && v <= 0xdfff)))
        || (len == 4 && (v < 0x10000 || v > 0x10ffff)))
        return 0;
    *c = v;
    return len;
}

/* A valid code point to s, which has UTF8_MAX bytes; how many it took. */
static inline unsigned utf8_put(uint8_t *s, uint32_t c)
{
    if (c < 0x80) {
        s[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        s[0] = (uint8_t)(0xc0 | c >> 6);
        s[1] = 0x80 | (c & 0x3f);
        return 2;
    }
    if (c < 0x10000) {
        s[0] = (uint8_t)(0xe0 | c >> 12);
        s[1] = 0x80 | (c >> 6 & 0x3f);
        s[2] = 0x80 | (c & 0x3f);
        return 3;
    }
    s[0] = (uint8_t)(0xf0 | c >> 18);
    s[1] = 0x80 | (c >> 12 & 0x3f);
    s[2] = 0x80 | (c >> 6 & 0x3f);
    s[3] = 0x80 | (c & 0x3f);
    return 4;
}

static inline bool unicode_valid(uint64_t c)
{
    return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

#endif
