/*
 * ext_in.h - read the parts of an external term, which are a stranger's.
 *
 * For the two passes of decoding (ext_size.c, ext_decode.c), which must take the
 * same for sound. Inline, as each wants a half of it, and `in` in registers.
 */
#ifndef VM_EXT_IN_H
#define VM_EXT_IN_H

#include "vm/atom.h"
#include "vm/ext.h"
#include "vm/ext_tag.h"
#include "vm/node.h"
#include "vm/unicode.h"

#include <math.h>
#include <stdlib.h>

#define FUN_FREE_MAX 255        /* MAX_ARG: more can't be called */

/*
 * What is left of the input. The first error sticks and everything read after
 * it is zero, so one look at `bad` after several reads is enough.
 */
struct in {
    const uint8_t *p, *end;
    unsigned flags;
    bool bad;
};

static inline size_t in_left(const struct in *in)
{
    return (size_t)(in->end - in->p);
}

static inline bool in_need(struct in *in, uint64_t n)
{
    if (unlikely(in->bad || n > in_left(in))) {
        in->bad = true;
        return false;
    }
    return true;
}

static inline const uint8_t *in_bytes(struct in *in, uint64_t n)
{
    const uint8_t *p = in->p;

    if (!in_need(in, n))
        return NULL;
    in->p += n;
    return p;
}

static inline uint32_t in_u8(struct in *in)
{
    return in_need(in, 1) ? *in->p++ : 0;
}

static inline uint32_t in_u16(struct in *in)
{
    const uint8_t *p = in_bytes(in, 2);

    return p ? (uint32_t)p[0] << 8 | p[1] : 0;
}

static inline uint32_t get_u32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint32_t in_u32(struct in *in)
{
    const uint8_t *p = in_bytes(in, 4);

    return p ? get_u32(p) : 0;
}

static inline uint64_t in_u64(struct in *in)
{
    uint64_t high = in_u32(in);

    return high << 32 | in_u32(in);
}

/* Valid UTF-8 of at most 255 characters? */
static inline bool utf8_atom(const uint8_t *s, size_t n)
{
    size_t chars = 0, i = 0;
    uint32_t c;

    while (i < n && s[i] < 0x80)
        i++;
    for (chars = i; i < n; chars++) {
        unsigned len = utf8_get(s + i, n - i, &c);

        if (len == 0)
            return false;
        i += len;
    }
    return chars <= ATOM_MAX_CHARS;
}

/*
 * The atom after its tag. Unless `make` is set, it is only checked, and looked
 * up if the input must not make atoms; the result is then any atom.
 */
static inline term in_atom_body(struct in *in, uint32_t tag, bool make)
{
    bool latin1 = tag == ATOM_EXT || tag == SMALL_ATOM_EXT;
    bool small = tag == SMALL_ATOM_EXT || tag == SMALL_ATOM_UTF8_EXT;
    size_t n = small ? in_u8(in) : in_u16(in);
    const uint8_t *s = in_bytes(in, n);
    uint8_t utf8[2 * ATOM_MAX_CHARS + UTF8_MAX];
    term t = am_false;

    /* atom_make() looks at what is new to it by itself. */
    if (!s || (latin1 ? n > ATOM_MAX_CHARS : !make && !utf8_atom(s, n))) {
        in->bad = true;
        return am_false;
    }
    if (latin1 && (make || (in->flags & EXT_SAFE))) {
        size_t ascii = 0, to;

        while (ascii < n && s[ascii] < 0x80)
            ascii++;
        if (ascii < n) {
            memcpy(utf8, s, ascii);
            to = ascii;
            for (size_t i = ascii; i < n; i++)
                to += utf8_put(utf8 + to, s[i]);
            s = utf8;
            n = to;
        }
    }
    if (in->flags & EXT_SAFE)
        t = atom_find(s, n);
    else if (make)
        t = atom_make(s, n);
    if (t == THE_NON_VALUE) {
        in->bad = true;
        return am_false;
    }
    return t;
}

static inline bool is_atom_tag(uint32_t tag)
{
    return tag == ATOM_EXT || tag == SMALL_ATOM_EXT || tag == ATOM_UTF8_EXT
           || tag == SMALL_ATOM_UTF8_EXT;
}

/* An atom where nothing else may be. */
static inline term in_atom(struct in *in, bool make)
{
    uint32_t tag = in_u8(in);

    if (in->bad || !is_atom_tag(tag)) {
        in->bad = true;
        return am_false;
    }
    return in_atom_body(in, tag, make);
}

/* A small integer where nothing else may be: parts of funs. */
static inline int32_t in_int(struct in *in)
{
    uint32_t tag = in_u8(in);

    if (tag == SMALL_INTEGER_EXT)
        return (int32_t)in_u8(in);
    if (tag == INTEGER_EXT)
        return (int32_t)in_u32(in);
    in->bad = true;
    return 0;
}

/* The creation at the end of identifiers; old tags have two bits in a byte. */
static inline uint32_t in_creation(struct in *in, bool old)
{
    uint32_t creation = old ? in_u8(in) : in_u32(in);

    if (old && creation > 3)
        in->bad = true;
    return creation;
}

/* A float as text. False: it is none. */
static inline bool in_float_text(struct in *in, double *d)
{
    const uint8_t *p = in_bytes(in, FLOAT_TEXT_BYTES);
    char s[FLOAT_TEXT_BYTES + 1];
    char *end;
    size_t i = 0;

    if (!p)
        return false;
    memcpy(s, p, FLOAT_TEXT_BYTES);
    s[FLOAT_TEXT_BYTES] = '\0';
    /* Digits, a point, digits: strtod also takes hexadecimal, inf and nan. */
    i = s[0] == '-' || s[0] == '+';
    if (s[i] < '0' || s[i] > '9' || strspn(s + i, "0123456789.eE+-") != strlen(s + i)
        || !strchr(s, '.')) {
        in->bad = true;
        return false;
    }
    *d = strtod(s, &end);
    if (*end != '\0' || !isfinite(*d))
        in->bad = true;
    return !in->bad;
}

/* The float whose bits these are. */
static inline double double_of(uint64_t v)
{
    double d;

    memcpy(&d, &v, sizeof d);
    return d;
}

static inline size_t ext_words(size_t data)
{
    return sizeof(struct ext_words) / sizeof(term) + data;
}

/* Words that a reference of another node with n numbers takes. */
static inline size_t extref_data(uint32_t n)
{
    return 1 + (n + 1) / 2;
}

#endif
