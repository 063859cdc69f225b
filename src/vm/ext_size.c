/*
 * ext_size.c - the first pass of decoding the external term format: is it sound,
 * how much memory does it want?
 *
 * It needs no stack, it counts the terms to come.
 */
#include "vm/ext_in.h"

#include "vm/big.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/slice.h"

#include <errno.h>

#define PACE 512                /* terms until time is looked at */
#define MAP_PAIRS_MAX ((uint32_t)1 << 31)

static size_t bin_words(size_t n)
{
    return n <= HEAPBIN_MAX ? HEAPBIN_WORDS(n) : REFCBIN_WORDS;
}

int64_t ext_size(const uint8_t *data, size_t n, unsigned flags, size_t *words)
{
    struct in in = {.p = data, .end = data + n, .flags = flags};
    size_t w = 0;
    uint64_t terms = 1;
    unsigned steps = 0;
    double d;

    while (terms > 0 && !in.bad) {
        uint64_t more = 0;      /* terms inside this one */
        uint64_t size;
        uint32_t tag = in_u8(&in);

        if (unlikely(++steps % PACE == 0))
            slice(PACE * 8);

        switch (tag) {
        case SMALL_INTEGER_EXT:
            in_u8(&in);
            break;
        case INTEGER_EXT:
            in_u32(&in);
            break;
        case SMALL_BIG_EXT:
        case LARGE_BIG_EXT:
            size = tag == SMALL_BIG_EXT ? in_u8(&in) : in_u32(&in);
            if (size > BIG_MAX_DIGITS * 8)
                in.bad = true;
            in_bytes(&in, 1 + size);
            w += big_bytes_words(size);
            break;
        case NEW_FLOAT_EXT:
            if (!isfinite(double_of(in_u64(&in))))
                in.bad = true;
            w += FLOAT_WORDS;
            break;
        case FLOAT_EXT:
            in_float_text(&in, &d);
            w += FLOAT_WORDS;
            break;
        case ATOM_EXT:
        case SMALL_ATOM_EXT:
        case ATOM_UTF8_EXT:
        case SMALL_ATOM_UTF8_EXT:
            in_atom_body(&in, tag, false);
            break;
        case NIL_EXT:
            break;
        case STRING_EXT:
            size = in_u16(&in);
            in_bytes(&in, size);
            w += size * CONS_WORDS;
            break;
        case LIST_EXT:
            size = in_u32(&in);
            more = size + 1;
            w += size * CONS_WORDS;
            break;
        case SMALL_TUPLE_EXT:
        case LARGE_TUPLE_EXT:
            more = tag == SMALL_TUPLE_EXT ? in_u8(&in) : in_u32(&in);
            if (more > TUPLE_MAX_ARITY)
                in.bad = true;
            w += 1 + more;
            break;
        case MAP_EXT:
            size = in_u32(&in);
            if (size >= MAP_PAIRS_MAX)
                in.bad = true;
            more = 2 * size;
            /* Only sizes that the input can hold are multiplied. */
            if (in_need(&in, more))
                w += map_build_words(size);
            break;
        case BINARY_EXT:
            size = in_u32(&in);
            in_bytes(&in, size);
            w += bin_words(size);
            break;
        case BIT_BINARY_EXT: {
            size = in_u32(&in);
            uint32_t last = in_u8(&in);
            if ((last == 0) != (size == 0) || last > 8)
                in.bad = true;
            in_bytes(&in, size);
            w += bin_words(size) + SUBBIN_WORDS;
            break;
        }
        case PID_EXT:
        case NEW_PID_EXT:
            in_atom(&in, false);
            in_u64(&in);
            in_creation(&in, tag == PID_EXT);
            w += ext_words(1);
            break;
        case PORT_EXT:
        case NEW_PORT_EXT:
        case V4_PORT_EXT:
            in_atom(&in, false);
            in_bytes(&in, tag == V4_PORT_EXT ? 8 : 4);
            in_creation(&in, tag == PORT_EXT);
            w += ext_words(1);
            break;
        case REFERENCE_EXT:
            in_atom(&in, false);
            in_u32(&in);
            in_creation(&in, true);
            w += ext_words(extref_data(1));
            break;
        case NEW_REFERENCE_EXT:
        case NEWER_REFERENCE_EXT:
            size = in_u16(&in);
            if (size == 0 || size > REF_NUMBERS_MAX)
                in.bad = true;
            in_atom(&in, false);
            in_creation(&in, tag == NEW_REFERENCE_EXT);
            in_bytes(&in, 4 * size);
            /* One that turns out to be ours may need more. */
            w += MAGIC_WORDS > ext_words(extref_data(REF_NUMBERS_MAX))
                     ? MAGIC_WORDS
                     : ext_words(extref_data(REF_NUMBERS_MAX));
            break;
        case NEW_FUN_EXT:
            in_bytes(&in, 4 + 1 + 16 + 4);
            size = in_u32(&in);
            if (size > FUN_FREE_MAX)
                in.bad = true;
            in_atom(&in, false);
            in_int(&in);
            in_int(&in);
            more = 1 + size;    /* the creator, the environment */
            if (!in_need(&in, 1) || (*in.p != PID_EXT && *in.p != NEW_PID_EXT))
                in.bad = true;
            w += FUN_WORDS(size);
            break;
        case EXPORT_EXT: {
            in_atom(&in, false);
            in_atom(&in, false);
            int32_t arity = in_int(&in);
            if (arity < 0 || arity > 255)
                in.bad = true;
            w += EXPORT_FUN_WORDS;
            break;
        }
        default:
            in.bad = true;
            break;
        }
        /* Each of them takes a byte at least. */
        terms += more - 1;
        if (terms > in_left(&in))
            in.bad = true;
    }
    if (in.bad)
        return -EINVAL;
    *words = w;
    return in.p - data;
}
