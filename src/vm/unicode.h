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
    uint32_t first = s[0], v;

    if (first < 0x80) {
        *c = first;
        return 1;
    }
    if (n < 2 || (s[1] & 0xc0) != 0x80)
        return 0;
    v = s[1] & 0x3f;
    if (first < 0xe0) {
        *c = (first & 0x1f) << 6 | v;
        return first < 0xc2 ? 0 : 2;
    }
    if (n < 3 || (s[2] & 0xc0) != 0x80)
        return 0;
    v = v << 6 | (s[2] & 0x3f);
    if (first < 0xf0) {
        *c = v |= (first & 0x0f) << 12;
        return v < 0x800 || (v >= 0xd800 && v <= 0xdfff) ? 0 : 3;
    }
    if (n < 4 || (s[3] & 0xc0) != 0x80 || first > 0xf4)
        return 0;
    *c = v = (first & 0x07) << 18 | v << 6 | (s[3] & 0x3f);
    return v < 0x10000 || v > 0x10ffff ? 0 : 4;
}

/* The same where a character of more than one byte is known to be. */
static inline unsigned utf8_get_valid(const uint8_t *s, uint32_t *c)
{
    if (s[0] < 0xe0) {
        *c = (s[0] & 0x1fu) << 6 | (s[1] & 0x3f);
        return 2;
    }
    if (s[0] < 0xf0) {
        *c = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3f);
        return 3;
    }
    *c = (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 |
         (s[3] & 0x3f);
    return 4;
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
