/*
 * bitsyntax.h - what the instructions of the bit syntax do.
 *
 * Matching reads from a match context (struct match_words, binary.h) and moves
 * its offset only on success. Construction writes to a struct bs_build, which
 * says where in the new binary the next segment goes.
 *
 * Fields are in bits throughout. Flags are those of the instructions.
 */
#ifndef VM_BITSYNTAX_H
#define VM_BITSYNTAX_H

#include "vm/binary.h"
#include "vm/proc.h"

enum bs_flags {
    BS_LITTLE = 2,
    BS_SIGNED = 4,
    BS_NATIVE = 16,
};

/* Every machine we run on is little-endian. */
static inline bool bs_is_little(unsigned flags)
{
    return flags & (BS_LITTLE | BS_NATIVE);
}

/* Size operand times unit. False: negative, no integer, or too large. */
static inline bool bs_size_bits(term size, uint64_t unit, uint64_t *bits)
{
    return term_is_small(size) && small_value(size) >= 0
           && !__builtin_mul_overflow((uint64_t)small_value(size), unit, bits);
}

/*
 * Matching.
 *
 * Those that return a term keep the contract of heap_try(): THE_NON_VALUE with
 * p->need_words != 0 says collect and come again (need_words is cleared by
 * whoever collects); with need_words == 0 it says no match. The others never
 * allocate.
 */
static inline struct match_words *bs_match(term ctx)
{
    assert(boxed_is(ctx, BOX_MATCH));
    return (struct match_words *)boxed_ptr(ctx);
}

/* A context at the beginning of a bitstring; no match if it is none. */
term bs_start(struct proc *p, term bitstring);

term bs_get_integer(struct proc *p, term ctx, uint64_t bits, unsigned flags);
term bs_get_float(struct proc *p, term ctx, uint64_t bits, unsigned flags);
/* Small binaries are copied, others share the bytes. */
term bs_get_binary(struct proc *p, term ctx, uint64_t bits);
/* All that is left. get_binary_all moves to the end, get_tail stays. */
term bs_get_binary_all(struct proc *p, term ctx);
term bs_get_tail(struct proc *p, term ctx);

/* The code point, or -1 if there is no valid one. */
int64_t bs_get_utf8(term ctx);
int64_t bs_get_utf16(term ctx, unsigned flags);
int64_t bs_get_utf32(term ctx, unsigned flags);

/* The next bits are these, and are passed over. */
bool bs_match_string(term ctx, const uint8_t *s, uint64_t bits);

static inline bool bs_skip(term ctx, uint64_t bits)
{
    struct match_words *m = bs_match(ctx);

    if (m->size - m->offset < bits)
        return false;
    m->offset += bits;
    return true;
}
/* What is left is a multiple of unit. */
static inline bool bs_test_unit(term ctx, uint64_t unit)
{
    const struct match_words *m = bs_match(ctx);

    return (m->size - m->offset) % unit == 0;
}
static inline bool bs_test_tail(term ctx, uint64_t bits)
{
    const struct match_words *m = bs_match(ctx);

    return m->size - m->offset == bits;
}

/*
 * Construction. Terms are built with heap_alloc: nothing moves, so base stays
 * good until the next collection.
 */
struct bs_build {
    term bin;               /* the result */
    uint8_t *base;          /* its first byte */
    uint64_t offset;        /* bits: where the next segment goes */
    uint64_t size;          /* bits: of all */
    struct refcbin_words *more; /* bs_more: what grows, and where to write */
    uint8_t *to;
    uint64_t part;              /* of bytes, collected before they are written */
};

/*
 * Begin a bitstring of so many bits. THE_NON_VALUE: system_limit in p->exc,
 * as everywhere below.
 */
term bs_init(struct proc *p, struct bs_build *b, uint64_t bits);

/*
 * Begin with a copy of bin and room for extra bits. The result can be appended
 * to again without another copy: it lies in a binary with room to spare, and
 * the latest part that ends where the bytes in use end may grow. Others that
 * refer to the same bytes never see beyond their own end.
 *
 * bin must be a bitstring whose size is a multiple of unit: else badarg, with
 * *why am_type or am_unit (am_size goes with system_limit). private: the compiler
 * has proved that nobody else refers to bin.
 */
term bs_append(struct proc *p, struct bs_build *b, term bin, uint64_t extra,
               uint64_t unit, bool private, term *why);
/* An empty binary to append to, with room for `size` bytes (or 1024). */
term bs_init_writable(struct proc *p, term size);

/*
 * Whole bytes to the end of a binary that may grow where it is. bs_more makes
 * b->to a place for so many; false: that can't be, and nothing has happened. What
 * is written there is nobody's until bs_more_end, so it may be abandoned.
 */
bool bs_more(struct bs_build *b, term bin, size_t bytes);
/* When the compiler has proved that nobody else refers to it. */
static inline term bs_more_private_end(struct bs_build *b)
{
    struct refcbin_words *r = b->more;
    size_t bytes = (size_t)(b->to - r->data);

    r->size = bytes;
    r->bin->size = bytes;
    ((struct subbin_words *)boxed_ptr(b->bin))->size = bytes * 8;
    return b->bin;
}
/* On p's heap. */
term bs_more_end(struct proc *p, struct bs_build *b);

/* Write the next segment. False: the value is of the wrong kind (badarg). */
bool bs_put_integer(struct proc *p, struct bs_build *b, term v, uint64_t bits,
                    unsigned flags);
/* The first bits of v; all of v, which must be a multiple of unit. */
bool bs_put_binary(struct proc *p, struct bs_build *b, term v, uint64_t bits);
bool bs_put_binary_all(struct proc *p, struct bs_build *b, term v, uint64_t unit);
bool bs_put_utf8(struct bs_build *b, term v);
bool bs_put_utf16(struct bs_build *b, term v, unsigned flags);
bool bs_put_utf32(struct bs_build *b, term v, unsigned flags);
void bs_put_string(struct bs_build *b, const uint8_t *s, size_t bytes);
/* False, with *why: am_type, am_no_float, am_invalid (bits not 16, 32, 64). */
bool bs_put_float(struct bs_build *b, term v, uint64_t bits, unsigned flags,
                  term *why);

/* A code point that may be encoded. */
static inline bool bs_valid_unicode(term v)
{
    return term_is_small(v) && v <= small_make(0x10ffff)
           && (v < small_make(0xd800) || v > small_make(0xdfff));
}
/* Bytes it takes. What is no code point gets any size: put_utf* refuses it. */
static inline unsigned bs_utf8_size(term v)
{
    return v < small_make(0x80)    ? 1
           : v < small_make(0x800) ? 2
           : v < small_make(0x10000) ? 3
                                     : 4;
}
static inline unsigned bs_utf16_size(term v)
{
    return v < small_make(0x10000) ? 2 : 4;
}

/*
 * bs_create_bin: all of a construction at once. Sizes are checked and added up
 * first, left to right, then the segments are written, so that the first thing
 * wrong in that order decides what is raised. p->exc gets badarg or
 * system_limit with the cause {Segment, Type, What, Value}, which
 * erl_erts_errors:format_bs_fail explains (not format_error: whoever makes
 * the error_info map sees that by the tuple).
 */
enum bs_type {
    BS_APPEND,              /* only as the first one */
    BS_PRIVATE_APPEND,      /* only as the first one */
    BS_BINARY,
    BS_FLOAT,
    BS_INTEGER,
    BS_STRING,
    BS_UTF8,
    BS_UTF16,
    BS_UTF32,
};
struct bs_segment {
    uint8_t type;           /* enum bs_type */
    uint8_t flags;
    uint32_t unit;
    uint32_t position;      /* in the source, from 1: for messages */
    term value;             /* not of BS_STRING */
    term size;              /* as in the code: am_all (binaries, append), or a
                               term that should be a size; BS_STRING: bytes as
                               a small; unused for UTF */
    const uint8_t *string;  /* BS_STRING */
};
term bs_create_bin(struct proc *p, struct bs_build *b,
                   const struct bs_segment *segs, size_t n);

/*
 * A part of a bitstring as a term of its own, offset and size in bits: whole
 * bytes up to HEAPBIN_MAX are copied, else the bytes are shared. As what the
 * instructions extract.
 */
static inline size_t bits_extract_words(uint64_t size)
{
    return size % 8 == 0 && size <= HEAPBIN_MAX * 8 ? HEAPBIN_WORDS(size / 8)
                                                    : SUBBIN_WORDS;
}
term bits_extract(term **hp, struct bits b, uint64_t offset, uint64_t size);

#endif
