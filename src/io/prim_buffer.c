/*
 * prim_buffer.c - the natives of prim_buffer: a queue of bytes.
 *
 *    bin->data        start              end        capacity
 *        | read already | waiting to be read | free    |
 *
 * The bytes lie in one refbin, so that peek_head hands out what waits without
 * copying it. Bytes that were handed out are never overwritten: as long as
 * somebody else refers to the refbin it is only appended to, and replaced
 * when it is full.
 */
#include "bif/bif.h"
#include "io/io.h"
#include "vm/big.h"

#define BUFFER_MIN 2048

struct buffer {
    struct resource res;
    struct refbin *bin;             /* NULL: nothing yet */
    size_t start, end;
    bool locked;
};
static const char buffer_type;

static void buffer_free(struct resource *r)
{
    struct buffer *b = (struct buffer *)r;

    if (b->bin)
        refbin_put(b->bin);
    vm_free(b);
}

static struct buffer *buffer_get(term t)
{
    return (struct buffer *)magic_resource(t, &buffer_type);
}

/* Room for n more bytes at end. */
static bool make_room(struct buffer *b, size_t n)
{
    size_t used = b->end - b->start, size;
    struct refbin *bin;

    if (b->bin && b->bin->capacity - b->end >= n)
        return true;
    if (b->bin && b->bin->refc == 1 && b->bin->capacity - used >= n &&
        used <= b->bin->capacity / 2) {
        memmove(b->bin->data, b->bin->data + b->start, used);
    } else {
        size = (used + n) * 2 < BUFFER_MIN ? BUFFER_MIN : (used + n) * 2;
        bin = refbin_try_new(size);
        if (!bin)
            return false;
        if (b->bin) {
            memcpy(bin->data, b->bin->data + b->start, used);
            refbin_put(b->bin);
        }
        b->bin = bin;
    }
    b->start = 0;
    b->end = used;
    return true;
}

static void skip(struct buffer *b, size_t n)
{
    b->start += n;
    if (b->start == b->end && b->bin && b->bin->refc == 1)
        b->start = b->end = 0;
}

NIF(prim_buffer, new, 0)
{
    struct buffer *b = vm_zalloc(ALLOC_SYSTEM, sizeof *b);

    b->res = (struct resource){.refc = 1, .free = buffer_free, .type = &buffer_type};
    return io_magic(p, &b->res);
}

NIF(prim_buffer, size, 1)
{
    struct buffer *b = buffer_get(arg[0]);

    if (!b)
        return bif_badarg(p);
    return uint64_make(p, b->end - b->start);
}

NIF(prim_buffer, peek_head, 1)
{
    struct buffer *b = buffer_get(arg[0]);
    struct dest d;

    if (!b || b->start == b->end)
        return bif_badarg(p);
    refbin_get(b->bin);
    d = (struct dest){heap_alloc(p, BINARY_FROM_REFBIN_WORDS), &p->heap.off};
    return binary_put_refbin(&d, b->bin, b->bin->data + b->start,
                             b->end - b->start);
}

NIF(prim_buffer, copying_read, 2)
{
    struct buffer *b = buffer_get(arg[0]);
    uint64_t n;
    term t;

    if (!b || !term_to_uint64(arg[1], &n) || n > b->end - b->start)
        return bif_badarg(p);
    t = binary_from(p, b->bin ? b->bin->data + b->start : NULL, n);
    if (t == THE_NON_VALUE)
        return bif_error(p, am_out_of_memory);
    skip(b, n);
    return t;
}

/* The second argument is a list of binaries. */
NIF(prim_buffer, write, 2)
{
    struct buffer *b = buffer_get(arg[0]);
    size_t n = 0;
    term t;

    if (!b)
        return bif_badarg(p);
    for (t = arg[1]; term_is_cons(t); t = cons_tail(t)) {
        if (!term_is_binary(cons_head(t)))
            return bif_badarg(p);
        n += bits_bytes(bits_of(cons_head(t)));
    }
    if (!term_is_nil(t))
        return bif_badarg(p);
    if (!make_room(b, n))
        return bif_error(p, am_out_of_memory);
    for (t = arg[1]; term_is_cons(t); t = cons_tail(t)) {
        struct bits bits = bits_of(cons_head(t));

        bits_copy(b->bin->data + b->end, 0, bits.base, bits.offset, bits.size);
        b->end += bits_bytes(bits);
    }
    return am_ok;
}

NIF(prim_buffer, skip, 2)
{
    struct buffer *b = buffer_get(arg[0]);
    uint64_t n;

    if (!b || !term_to_uint64(arg[1], &n) || n > b->end - b->start)
        return bif_badarg(p);
    skip(b, n);
    return am_ok;
}

NIF(prim_buffer, find_byte_index, 2)
{
    struct buffer *b = buffer_get(arg[0]);
    const uint8_t *at;
    uint64_t byte;
    term *hp;

    if (!b || !term_to_uint64(arg[1], &byte) || byte > 255)
        return bif_badarg(p);
    if (b->start == b->end)
        return am_not_found;
    at = memchr(b->bin->data + b->start, (int)byte, b->end - b->start);
    if (!at)
        return am_not_found;
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_ok, small_make(at - b->bin->data - (int64_t)b->start));
}

NIF(prim_buffer, try_lock, 1)
{
    struct buffer *b = buffer_get(arg[0]);

    if (!b)
        return bif_badarg(p);
    if (b->locked)
        return am_busy;
    b->locked = true;
    return am_acquired;
}

NIF(prim_buffer, unlock, 1)
{
    struct buffer *b = buffer_get(arg[0]);

    if (!b)
        return bif_badarg(p);
    if (!b->locked)
        return bif_error(p, am_lock_order_violation);
    b->locked = false;
    return am_ok;
}
