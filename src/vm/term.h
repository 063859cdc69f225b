/*
 * term.h - the 64-bit word that holds an Erlang term.
 *
 *    xxxx...xxxx xxxx 0000   small integer, 60 bits, sign in bit 63
 *    pointer          .001   cons: two words, head and tail
 *    pointer          .010   boxed: a header word, then its payload
 *    payload      ss s 011   immediate; sss says which (enum imm_tag)
 *    words  aux  type  111   header of a boxed object, never seen by Erlang
 *
 * Smalls need no untagging to be added, compared or masked. A 16-byte aligned
 * address looks like a small, so return addresses on a stack and pointers in
 * a fun or a refc binary need no special care from the collector.
 *
 * A boxed object is moved by the collector by overwriting its header with a
 * boxed pointer to the copy; a cons by THE_NON_VALUE in its head and a pointer
 * in its tail (gc.c).
 */
#ifndef VM_TERM_H
#define VM_TERM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t term;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum { TAG_CONS = 1, TAG_BOXED = 2, TAG_IMM = 3, TAG_HEADER = 7, TAG_MASK = 7 };

enum imm_tag {
    IMM_ATOM = 0x03,
    IMM_PID = 0x0b,     /* a process of this node: serial and slot */
    IMM_PORT = 0x13,    /* a port of this node: number */
    IMM_NIL = 0x1b,
    IMM_CATCH = 0x23,   /* only in y registers: index of a catch entry */
    IMM_NONE = 0x2b,    /* THE_NON_VALUE */
    IMM_MASK = 0x3f,
    IMM_SHIFT = 6,
};

#define TERM_NIL ((term)IMM_NIL)
#define THE_NON_VALUE ((term)IMM_NONE) /* no term: an exception, an absent argument */

/* Small integers. */
#define SMALL_BITS 60
#define SMALL_MAX (((int64_t)1 << 59) - 1)
#define SMALL_MIN (-((int64_t)1 << 59))
#define SMALL_MASK 15

static inline bool term_is_small(term t) { return (t & SMALL_MASK) == 0; }
static inline bool term_both_small(term a, term b)
{
    return ((a | b) & SMALL_MASK) == 0;
}
static inline bool small_fits(int64_t v)
{
    return v >= SMALL_MIN && v <= SMALL_MAX;
}
static inline term small_make(int64_t v) { return (term)v << 4; }
static inline int64_t small_value(term t) { return (int64_t)t >> 4; }

/* Atoms are indexes into the atom table (atom.h). */
#define ATOM_MAKE(index) ((term)(index) << IMM_SHIFT | IMM_ATOM)
static inline bool term_is_atom(term t) { return (t & IMM_MASK) == IMM_ATOM; }
static inline uint32_t atom_index(term t) { return (uint32_t)(t >> IMM_SHIFT); }

static inline bool term_is_nil(term t) { return t == TERM_NIL; }
/* Of a term the low two bits are 1 (cons), 2 (boxed), 3, or 0 (small). */
static inline bool term_is_imm(term t) { return ((t + 1) & 2) == 0; }
static inline bool term_either_imm(term a, term b) { return ((a + 1) & (b + 1) & 2) == 0; }

/* Catch entries: an index into vm.catches (module.h). */
static inline bool term_is_catch(term t) { return (t & IMM_MASK) == IMM_CATCH; }
static inline term catch_make(uint32_t i)
{
    return (term)i << IMM_SHIFT | IMM_CATCH;
}
static inline uint32_t catch_index(term t) { return (uint32_t)(t >> IMM_SHIFT); }

/*
 * Pids and ports of this node. number and serial are what pid_to_list shows
 * between the dots: <0.number.serial>, 28 and 13 bits.
 */
#define PID_NUMBER_BITS 28
#define PID_SERIAL_BITS 13
static inline bool term_is_local_pid(term t) { return (t & IMM_MASK) == IMM_PID; }
static inline bool term_is_local_port(term t) { return (t & IMM_MASK) == IMM_PORT; }
static inline term pid_make(uint32_t number, uint32_t serial)
{
    return ((term)serial << PID_NUMBER_BITS | number) << IMM_SHIFT | IMM_PID;
}
static inline uint32_t pid_number(term t)
{
    return (uint32_t)(t >> IMM_SHIFT) & ((1u << PID_NUMBER_BITS) - 1);
}
static inline uint32_t pid_serial(term t)
{
    return (uint32_t)(t >> (IMM_SHIFT + PID_NUMBER_BITS)) & ((1u << PID_SERIAL_BITS) - 1);
}
static inline term port_make(uint64_t number)
{
    return (term)number << IMM_SHIFT | IMM_PORT;
}
static inline uint64_t port_number(term t) { return t >> IMM_SHIFT; }

/* Cons cells. */
#define CONS_WORDS 2
static inline bool term_is_cons(term t) { return (t & TAG_MASK) == TAG_CONS; }
static inline bool term_is_list(term t) { return term_is_cons(t) || term_is_nil(t); }
static inline term *cons_ptr(term t)
{
    assert(term_is_cons(t));
    return (term *)(t - TAG_CONS);
}
static inline term cons_make(const term *cell) { return (term)(uintptr_t)cell + TAG_CONS; }
static inline term cons_head(term t) { return cons_ptr(t)[0]; }
static inline term cons_tail(term t) { return cons_ptr(t)[1]; }

/* Boxed objects. */
static inline bool term_is_boxed(term t) { return (t & TAG_MASK) == TAG_BOXED; }
static inline term *boxed_ptr(term t)
{
    assert(term_is_boxed(t));
    return (term *)(t - TAG_BOXED);
}
static inline term boxed_make(const term *obj) { return (term)(uintptr_t)obj + TAG_BOXED; }

/*
 * Header: words that follow (48 bits) | aux (8) | type (5) | 111.
 * Order within the list matters: see header_is_* below.
 */
enum box_type {
    BOX_TUPLE = 0,      /* elements */
    BOX_FUN = 1,        /* struct fun_entry *, env terms; aux = arity - env */
    BOX_MAP = 2,        /* flat: keys tuple, values in key order (map.h) */
    BOX_HASHMAP = 3,    /* root: size as small, then node (map.h) */
    BOX_MAPNODE = 4,    /* inner node; aux unused, first word bitmap as small */
    BOX_EXPORT = 5,     /* fun M:F/A: struct export * (16-byte aligned) */
    BOX_FLOAT = 8,      /* one double */
    BOX_POSBIG = 9,     /* magnitude, 64-bit digits, least first */
    BOX_NEGBIG = 10,
    BOX_REF = 11,       /* struct ref_words (node.h): a reference of this node */
    BOX_MAGIC = 12,     /* a reference that owns a struct resource (binary.h) */
    BOX_EXTPID = 13,    /* struct ext_words (node.h) */
    BOX_EXTPORT = 14,
    BOX_EXTREF = 15,
    BOX_HEAPBIN = 16,   /* size in bytes, then the bytes */
    BOX_REFCBIN = 17,   /* struct refcbin_words (binary.h) */
    BOX_SUBBIN = 18,    /* struct subbin_words: part of a heap or refc binary */
    BOX_MATCH = 19,     /* struct match_words: a match context */
};

#define HEADER(type, aux, words) \
    ((term)(words) << 16 | (term)(aux) << 8 | (term)(type) << 3 | TAG_HEADER)

static inline bool term_is_header(term t) { return (t & TAG_MASK) == TAG_HEADER; }
static inline unsigned header_type(term h) { return (h >> 3) & 31; }
static inline unsigned header_aux(term h) { return (h >> 8) & 255; }
static inline size_t header_words(term h) { return h >> 16; }

static inline bool boxed_is(term t, enum box_type type)
{
    return term_is_boxed(t) && header_type(*boxed_ptr(t)) == type;
}

/* Tuples. The arity is the header's word count; {} is a boxed header alone. */
#define TUPLE_HEADER(arity) HEADER(BOX_TUPLE, 0, arity)
#define TUPLE_MAX_ARITY 16777215u
static inline bool term_is_tuple(term t) { return boxed_is(t, BOX_TUPLE); }
static inline size_t tuple_arity(term t) { return header_words(*boxed_ptr(t)); }
/* i from 1, as in element/2. */
static inline term *tuple_at(term t, size_t i) { return boxed_ptr(t) + i; }
static inline bool term_is_tuple_of(term t, size_t arity)
{
    return term_is_boxed(t) && *boxed_ptr(t) == TUPLE_HEADER(arity);
}

/* Floats. */
#define FLOAT_WORDS 2
#define FLOAT_HEADER HEADER(BOX_FLOAT, 0, 1)
static inline bool term_is_float(term t)
{
    return term_is_boxed(t) && *boxed_ptr(t) == FLOAT_HEADER;
}
static inline double float_value(term t)
{
    double d;

    memcpy(&d, boxed_ptr(t) + 1, sizeof d);
    return d;
}
/* In FLOAT_WORDS words at *hp, which moves on. d must be finite. */
static inline term float_make(term **hp, double d)
{
    term *p = *hp;

    p[0] = FLOAT_HEADER;
    memcpy(p + 1, &d, sizeof d);
    *hp = p + FLOAT_WORDS;
    return boxed_make(p);
}

/* Bignums (big.h). */
static inline bool term_is_big(term t)
{
    if (!term_is_boxed(t))
        return false;
    unsigned type = header_type(*boxed_ptr(t));
    return type == BOX_POSBIG || type == BOX_NEGBIG;
}
static inline bool term_is_integer(term t) { return term_is_small(t) || term_is_big(t); }
static inline bool term_is_number(term t) { return term_is_integer(t) || term_is_float(t); }

/* Other type tests. */
static inline bool term_is_map(term t)
{
    if (!term_is_boxed(t))
        return false;
    unsigned type = header_type(*boxed_ptr(t));
    return type == BOX_MAP || type == BOX_HASHMAP;
}
static inline bool term_is_fun(term t)
{
    if (!term_is_boxed(t))
        return false;
    unsigned type = header_type(*boxed_ptr(t));
    return type == BOX_FUN || type == BOX_EXPORT;
}
static inline bool term_is_bitstring(term t)
{
    if (!term_is_boxed(t))
        return false;
    unsigned type = header_type(*boxed_ptr(t));
    return type >= BOX_HEAPBIN && type <= BOX_SUBBIN;
}
static inline bool term_is_ref(term t)
{
    if (!term_is_boxed(t))
        return false;
    unsigned type = header_type(*boxed_ptr(t));
    return type == BOX_REF || type == BOX_MAGIC || type == BOX_EXTREF;
}
static inline bool term_is_pid(term t)
{
    return term_is_local_pid(t) || boxed_is(t, BOX_EXTPID);
}
static inline bool term_is_port(term t)
{
    return term_is_local_port(t) || boxed_is(t, BOX_EXTPORT);
}
static inline bool term_is_bool(term t);

/* Building in words that are already reserved; *hp moves on. */
static inline term put_cons(term **hp, term head, term tail)
{
    term *p = *hp;

    p[0] = head;
    p[1] = tail;
    *hp = p + CONS_WORDS;
    return cons_make(p);
}
static inline term put_tuple2(term **hp, term a, term b)
{
    term *p = *hp;

    p[0] = TUPLE_HEADER(2);
    p[1] = a;
    p[2] = b;
    *hp = p + 3;
    return boxed_make(p);
}
static inline term put_tuple3(term **hp, term a, term b, term c)
{
    term *p = *hp;

    p[0] = TUPLE_HEADER(3);
    p[1] = a;
    p[2] = b;
    p[3] = c;
    *hp = p + 4;
    return boxed_make(p);
}
static inline term put_tuple4(term **hp, term a, term b, term c, term d)
{
    term *p = *hp;

    p[0] = TUPLE_HEADER(4);
    p[1] = a;
    p[2] = b;
    p[3] = c;
    p[4] = d;
    *hp = p + 5;
    return boxed_make(p);
}

#endif
