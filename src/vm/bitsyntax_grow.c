/*
 * bitsyntax_grow.c - where a bitstring is constructed: in new memory, or behind
 * another that grows.
 *
 * A binary that grows lies in a refbin with room to spare, whose `size` counts
 * the bytes that somebody has claimed. Appending in place needs all of: the
 * sub-binary has SUBBIN_WRITABLE (it is the latest on this heap), it ends
 * where the claimed bytes end, and the refbin has room. So two heaps that
 * share the bytes can't both claim what follows them. A sub-binary that ends
 * within a byte shares that byte with what is claimed; there the count must
 * say that no other heap refers to it. Full, the bytes move to a refbin twice
 * as large with a refcbin of its own, and the old one stays as it is for those
 * who refer to it, match contexts among them: no pointer to bytes ever goes
 * stale.
 */
#include "vm/bitsyntax_build.h"

#define APPEND_MIN_BYTES 256        /* OTP's */
#define APPEND_DOUBLE_BYTES ((size_t)16 << 20)  /* beyond, grow by a fifth */

static term put_subbin(term *hp, term orig, uint64_t bits, unsigned aux)
{
    struct subbin_words *s = (struct subbin_words *)hp;

    s->header = HEADER(BOX_SUBBIN, aux, SUBBIN_WORDS - 1);
    s->orig = orig;
    s->offset = 0;
    s->size = bits;
    return boxed_make(hp);
}

term bs_init(struct proc *p, struct bs_build *b, uint64_t bits)
{
    if (bits > BINARY_MAX_BITS)
        return bs_fail(p, am_system_limit, THE_NON_VALUE);
    term bin = binary_new(p, (bits + 7) / 8, &b->base);
    if (bin == THE_NON_VALUE)
        return bs_fail(p, am_system_limit, THE_NON_VALUE);
    if (bits % 8 != 0) {
        /* What pads the last byte is written out in places: no old memory. */
        b->base[bits / 8] = 0;
        bin = put_subbin(heap_alloc(p, SUBBIN_WORDS), bin, bits, 0);
    }
    b->bin = bin;
    b->offset = 0;
    b->size = bits;
    return bin;
}

/*
 * A new refbin with room for `capacity` bytes, the bytes of `old` in it, on
 * p's heap with a writable sub-binary of `bits` bits. NULL: no memory.
 */
static struct subbin_words *writable_new(struct proc *p, size_t capacity,
                                         struct bits old, uint64_t bits)
{
    struct refbin *bin = refbin_try_new(capacity);

    if (!bin)
        return NULL;
    bin->capacity = capacity;
    bin->size = (bits + 7) / 8;
    if (bits % 8 != 0)
        bin->data[bits / 8] = 0;
    bits_copy(bin->data, 0, old.base, old.offset, old.size);

    term *hp = heap_alloc(p, REFCBIN_WORDS + SUBBIN_WORDS);
    struct refcbin_words *r = (struct refcbin_words *)hp;
    r->header = HEADER(BOX_REFCBIN, REFCBIN_WRITABLE, REFCBIN_WORDS - 1);
    r->next = p->heap.off.first;
    p->heap.off.first = hp;
    r->bin = bin;
    r->data = bin->data;
    r->size = bin->size;
    p->heap.off.vheap_words += capacity / 8;

    put_subbin(hp + REFCBIN_WORDS, boxed_make(hp), bits, SUBBIN_WRITABLE);
    return (struct subbin_words *)(hp + REFCBIN_WORDS);
}

/* May bin grow in place to so many bits? Then its refcbin, else NULL. */
static struct refcbin_words *can_grow(term bin, uint64_t bits)
{
    if (!boxed_is(bin, BOX_SUBBIN))
        return NULL;
    const struct subbin_words *s = (const struct subbin_words *)boxed_ptr(bin);
    if (!(header_aux(s->header) & SUBBIN_WRITABLE) || s->offset != 0
        || !boxed_is(s->orig, BOX_REFCBIN))
        return NULL;
    struct refcbin_words *r = (struct refcbin_words *)boxed_ptr(s->orig);
    struct refbin *rb = r->bin;
    if (!(header_aux(r->header) & REFCBIN_WRITABLE) || r->data != rb->data
        || (s->size + 7) / 8 != rb->size || (bits + 7) / 8 > rb->capacity)
        return NULL;
    int64_t refc = __atomic_load_n(&rb->refc, __ATOMIC_ACQUIRE);
    if (refc == REFC_SATURATED || (s->size % 8 != 0 && refc != 1))
        return NULL;
    return r;
}

/* bin grows in place to so many bits: the same term if private, else a new one. */
static term grow(struct proc *p, term bin, struct refcbin_words *r, uint64_t bits,
                 bool private)
{
    struct subbin_words *s = (struct subbin_words *)boxed_ptr(bin);
    size_t bytes = (bits + 7) / 8;

    p->heap.off.vheap_words += (bytes - r->bin->size) / 8;
    r->bin->size = r->size = bytes;
    if (private) {
        s->size = bits;
        return bin;
    }
    s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    return put_subbin(heap_alloc(p, SUBBIN_WORDS), s->orig, bits, SUBBIN_WRITABLE);
}

bool bs_more(struct bs_build *b, term bin, size_t bytes)
{
    const struct subbin_words *s;
    struct refcbin_words *r;

    if (!boxed_is(bin, BOX_SUBBIN))
        return false;
    s = (const struct subbin_words *)boxed_ptr(bin);
    if (s->size % 8 != 0 || bytes > BINARY_MAX_BITS / 8 ||
        s->size + bytes * 8 > BINARY_MAX_BITS ||
        !(r = can_grow(bin, s->size + bytes * 8)))
        return false;
    b->bin = bin;
    b->more = r;
    b->to = r->data + s->size / 8;
    return true;
}

term bs_more_end(struct proc *p, struct bs_build *b)
{
    return grow(p, b->bin, b->more, (uint64_t)(b->to - b->more->data) * 8, false);
}

term bs_append(struct proc *p, struct bs_build *b, term bin, uint64_t extra,
               uint64_t unit, bool private, term *why)
{
    if (!term_is_bitstring(bin)) {
        *why = am_type;
        return bs_fail(p, am_badarg, THE_NON_VALUE);
    }
    struct bits old = bits_of(bin);
    if (!bs_is_multiple(old.size, unit)) {
        *why = am_unit;
        return bs_fail(p, am_badarg, THE_NON_VALUE);
    }
    if (extra > BINARY_MAX_BITS || old.size + extra > BINARY_MAX_BITS) {
        *why = am_size;
        return bs_fail(p, am_system_limit, THE_NON_VALUE);
    }
    uint64_t bits = old.size + extra;
    size_t bytes = (bits + 7) / 8;

    b->offset = old.size;
    b->size = bits;
    if (extra == 0) {
        b->base = (uint8_t *)old.base;
        return b->bin = bin;
    }

    struct refcbin_words *r = can_grow(bin, bits);
    if (r) {
        b->base = r->data;
        b->bin = grow(p, bin, r, bits, private);
        if (old.size % 8 == 0 || (old.size + 7) / 8 != bytes)
            b->base[bytes - 1] = 0;
        return b->bin;
    }

    size_t capacity = bytes > APPEND_DOUBLE_BYTES ? bytes + bytes / 5 : 2 * bytes;
    if (capacity < APPEND_MIN_BYTES)
        capacity = APPEND_MIN_BYTES;
    struct subbin_words *s = writable_new(p, capacity, old, bits);
    if (!s)     /* Perhaps without room to spare. */
        s = writable_new(p, bytes, old, bits);
    if (!s) {
        *why = am_size;
        return bs_fail(p, am_system_limit, THE_NON_VALUE);
    }
    bs_spend(p, old.size);
    b->base = ((struct refcbin_words *)boxed_ptr(s->orig))->data;
    return b->bin = boxed_make((term *)s);
}

term bs_init_writable(struct proc *p, term size)
{
    size_t bytes = 1024;
    struct bits none = {.base = (const uint8_t *)"", .orig = TERM_NIL};

    if (term_is_small(size) && small_value(size) >= 0)
        bytes = (size_t)small_value(size);
    if (bytes > BINARY_MAX_BITS / 8)
        return bs_fail(p, am_system_limit, THE_NON_VALUE);
    struct subbin_words *s = writable_new(p, bytes, none, 0);
    return s ? boxed_make((term *)s) : bs_fail(p, am_system_limit, THE_NON_VALUE);
}
