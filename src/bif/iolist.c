/*
 * iolist.c - binaries to lists of bytes and back; parts of binaries.
 *
 * Memory for the result is asked for once its size is known.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/bitfield.h"
#include "vm/bitsyntax.h"
#include "vm/slice.h"
#include "vm/wstack.h"

#include <errno.h>

#define BYTES_PER_RED 200       /* list cells made or read */
#define COPY_PER_RED 4096       /* bytes of binaries copied */
#define PACE 1024               /* bytes of a list until time is looked at */

/* The flattened list in a new binary. */
static term flatten(struct proc *p, term list)
{
    size_t n;
    uint8_t *data;
    int err = iolist_size(list, &n);

    if (err)
        return bif_error(p, err == -EOVERFLOW ? am_system_limit : am_badarg);
    term bin = binary_new(p, n, &data);
    if (bin == THE_NON_VALUE)
        return bif_error(p, am_system_limit);
    iolist_copy(list, data);
    bif_spend(p, n, BYTES_PER_RED);
    return bin;
}

BIF(erlang, list_to_binary, 1)
{
    SLICED(p, EXP("erts_internal", "list_to_binary_continue", 1));

    return term_is_list(arg[0]) ? flatten(p, arg[0]) : bif_badarg(p);
}

BIF(binary, list_to_bin, 1)
{
    SLICED(p, EXP("erts_internal", "list_to_binary_continue", 1));

    return term_is_list(arg[0]) ? flatten(p, arg[0]) : bif_badarg(p);
}

BIF(erlang, iolist_to_binary, 1)
{
    SLICED(p, EXP("erts_internal", "list_to_binary_continue", 1));

    return term_is_binary(arg[0]) ? arg[0] : flatten(p, arg[0]);
}

BIF(erlang, iolist_size, 1)
{
    SLICED(p, EXP("erlang", "iolist_size", 1));

    size_t n;
    int err = iolist_count(arg[0], &n);

    if (err)
        return bif_error(p, err == -EOVERFLOW ? am_system_limit : am_badarg);
    bif_spend(p, n, COPY_PER_RED);
    return uint64_make(p, n);
}

/* At most one binary: how the bytes are divided is not specified. */
BIF(erlang, iolist_to_iovec, 1)
{
    SLICED(p, EXP("erlang", "iolist_to_iovec", 1));

    term bin = term_is_binary(arg[0]) ? arg[0] : flatten(p, arg[0]);

    if (bin == THE_NON_VALUE)
        return bin;
    if (bits_of(bin).size == 0)
        return TERM_NIL;
    term *hp = heap_alloc(p, CONS_WORDS);
    return put_cons(&hp, bin, TERM_NIL);
}

/* n bytes of b from a bit offset as a list in front of tail. */
static term bytes_to_list(struct proc *p, struct bits b, uint64_t offset,
                          size_t n, term tail)
{
    term *hp = heap_alloc_big(p, n * CONS_WORDS);
    const uint8_t *s = b.base;

    if (!hp)
        return bif_error(p, am_system_limit);
    offset += b.offset;
    for (size_t i = n; i > 0; i--) {
        uint64_t at = offset + (uint64_t)(i - 1) * 8;
        uint64_t c = at % 8 == 0 ? s[at / 8] : bits_load(s, at, 8);

        tail = put_cons(&hp, small_make((int64_t)c), tail);
        if (unlikely(i % PACE == 0))
            slice(PACE * 4);
    }
    bif_spend(p, n, BYTES_PER_RED);
    return tail;
}

BIF(erlang, binary_to_list, 1)
{
    SLICED(p, EXP("erts_internal", "binary_to_list_continue", 1));

    if (!term_is_binary(arg[0]))
        return bif_badarg(p);
    struct bits b = bits_of(arg[0]);
    return bytes_to_list(p, b, 0, b.size / 8, TERM_NIL);
}

BIF(erlang, binary_to_list, 3)
{
    SLICED(p, EXP("erts_internal", "binary_to_list_continue", 1));

    uint64_t start, stop;

    if (!term_is_bitstring(arg[0]) || !term_to_uint64(arg[1], &start)
        || !term_to_uint64(arg[2], &stop))
        return bif_badarg(p);
    struct bits b = bits_of(arg[0]);
    if (start < 1 || stop < start || stop > b.size / 8)
        return bif_badarg(p);
    return bytes_to_list(p, b, (start - 1) * 8, stop - start + 1, TERM_NIL);
}

BIF(erlang, bitstring_to_list, 1)
{
    SLICED(p, EXP("erts_internal", "binary_to_list_continue", 1));

    if (!term_is_bitstring(arg[0]))
        return bif_badarg(p);
    struct bits b = bits_of(arg[0]);
    uint64_t whole = b.size & ~(uint64_t)7;
    term tail = TERM_NIL;

    if (b.size != whole) {
        term *hp = heap_alloc(p, SUBBIN_WORDS + CONS_WORDS);

        tail = bits_extract(&hp, b, whole, b.size - whole);
        tail = put_cons(&hp, tail, TERM_NIL);
    }
    return bytes_to_list(p, b, 0, whole / 8, tail);
}

/*
 * Visit a list of bytes, bitstrings and such lists. With out == NULL count the
 * bits, else write them. False if it is something else or too large.
 */
static bool bitlist(term t, uint8_t *out, uint64_t *bits)
{
    struct wstack todo;
    uint64_t at = 0;
    bool good = term_is_list(t);
    unsigned steps = 0;

    wstack_init(&todo);
    wstack_push(&todo, t);
    while (good && todo.n > 0) {
        if (unlikely(++steps % PACE == 0))
            slice(PACE * 10);
        t = wstack_pop(&todo);
        if (term_is_cons(t)) {
            term head = cons_head(t);

            wstack_push(&todo, cons_tail(t));
            if (term_is_list(head)) {
                wstack_push(&todo, head);
                continue;
            }
            if (term_is_small(head) && head <= small_make(255)) {
                if (out)
                    bits_store(out, at, 8, (uint64_t)small_value(head));
                at += 8;
                continue;
            }
            t = head;
        }
        if (term_is_bitstring(t)) {
            struct bits b = bits_of(t);

            if (out)
                bits_copy(out, at, b.base, b.offset, b.size);
            at += b.size;
        } else {
            good = term_is_nil(t);
        }
        good = good && at <= BINARY_MAX_BITS;
    }
    wstack_fini(&todo);
    *bits = at;
    return good;
}

BIF(erlang, list_to_bitstring, 1)
{
    SLICED(p, EXP("erts_internal", "list_to_binary_continue", 1));

    struct bs_build b;
    uint64_t bits;

    if (!bitlist(arg[0], NULL, &bits))
        return bif_badarg(p);
    if (bs_init(p, &b, bits) == THE_NON_VALUE)
        return THE_NON_VALUE;
    bitlist(arg[0], b.base, &bits);
    bif_spend(p, bits / 8, BYTES_PER_RED);
    return b.bin;
}

BIF(erlang, split_binary, 2)
{
    uint64_t at;

    if (!term_is_bitstring(arg[0]) || !term_to_uint64(arg[1], &at))
        return bif_badarg(p);
    struct bits b = bits_of(arg[0]);
    if (at > b.size / 8)
        return bif_badarg(p);
    at *= 8;
    term *hp = heap_alloc(p, bits_extract_words(at)
                                 + bits_extract_words(b.size - at) + 3);
    term left = bits_extract(&hp, b, 0, at);
    term right = bits_extract(&hp, b, at, b.size - at);
    return put_tuple2(&hp, left, right);
}

/*
 * Bytes pos to pos + len of a bitstring; a negative len counts backwards.
 * False if they are not all there.
 */
static bool part_of(term bin, term pos, term len, struct bits *b,
                    uint64_t *offset, uint64_t *size)
{
    uint64_t at;
    int64_t n;

    if (!term_is_bitstring(bin) || !term_to_uint64(pos, &at)
        || !term_to_int64(len, &n))
        return false;
    *b = bits_of(bin);
    uint64_t bytes = b->size / 8, count = n < 0 ? -(uint64_t)n : (uint64_t)n;
    if (n < 0) {
        if (count > at)
            return false;
        at -= count;
    }
    if (at > bytes || count > bytes - at)
        return false;
    *offset = at * 8;
    *size = count * 8;
    return true;
}

static term part(struct proc *p, term bin, term pos, term len)
{
    struct bits b;
    uint64_t offset, size;

    if (!part_of(bin, pos, len, &b, &offset, &size))
        return bif_badarg(p);
    term *hp = heap_alloc(p, bits_extract_words(size));
    return bits_extract(&hp, b, offset, size);
}

static term guard_part(struct proc *p, term bin, term pos, term len)
{
    struct bits b;
    uint64_t offset, size;

    if (!part_of(bin, pos, len, &b, &offset, &size))
        return bif_badarg(p);
    term *hp = heap_try(p, bits_extract_words(size));
    return hp ? bits_extract(&hp, b, offset, size) : THE_NON_VALUE;
}

BIF(binary, part, 2)
{
    if (!term_is_tuple_of(arg[1], 2))
        return bif_badarg(p);
    return part(p, arg[0], *tuple_at(arg[1], 1), *tuple_at(arg[1], 2));
}

BIF(binary, part, 3)
{
    return part(p, arg[0], arg[1], arg[2]);
}

GUARD(erlang, binary_part, 2)
{
    if (!term_is_tuple_of(arg[1], 2))
        return bif_badarg(p);
    return guard_part(p, arg[0], *tuple_at(arg[1], 1), *tuple_at(arg[1], 2));
}

GUARD(erlang, binary_part, 3)
{
    return guard_part(p, arg[0], arg[1], arg[2]);
}
