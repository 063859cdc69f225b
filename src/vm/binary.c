/*
 * binary.c - binaries and what is kept off the heap; bits; iolists.
 */
#include "vm/binary.h"
#include "vm/node.h"
#include "vm/proc.h"
#include "vm/slice.h"
#include "vm/wstack.h"

#include <errno.h>

/* Off-heap bytes and resources. */

struct refbin *refbin_try_new(size_t size)
{
    struct refbin *b;

    if (size > BINARY_MAX_BITS / 8)
        return NULL;
    b = vm_try_alloc(ALLOC_BINARY, sizeof *b + size);
    if (!b)
        return NULL;
    b->refc = 1;
    b->size = b->capacity = size;
    b->free = NULL;
    return b;
}

struct refbin *refbin_new_in(size_t size, const char *caller)
{
    struct refbin *b = refbin_try_new(size);

    if (!b)
        vm_no_memory(size, "a binary", caller);
    return b;
}

void refbin_put(struct refbin *b)
{
    if (__atomic_load_n(&b->refc, __ATOMIC_RELAXED) == REFC_SATURATED)
        return;
    if (__atomic_sub_fetch(&b->refc, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (b->free)
        b->free(b);
    else
        slice_free(b);
}

void offheap_share(term *obj)
{
    switch (header_type(*obj)) {
    case BOX_REFCBIN:
        refbin_get(((struct refcbin_words *)obj)->bin);
        break;
    case BOX_MAGIC:
        resource_get(((struct magic_words *)obj)->res);
        break;
    default:
        assert(header_type(*obj) >= BOX_EXTPID && header_type(*obj) <= BOX_EXTREF);
        node_ref(((struct ext_words *)obj)->node);
    }
}

void offheap_drop(term *obj)
{
    switch (header_type(*obj)) {
    case BOX_REFCBIN:
        refbin_put(((struct refcbin_words *)obj)->bin);
        break;
    case BOX_MAGIC:
        resource_put(((struct magic_words *)obj)->res);
        break;
    default:
        assert(header_type(*obj) >= BOX_EXTPID && header_type(*obj) <= BOX_EXTREF);
        node_put(((struct ext_words *)obj)->node);
    }
}

/* Bits. */

static inline uint64_t load_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, 8);
}

/* n bits, 1 to 8, from bit position off (0 to 7) of p, in the low end. */
static inline unsigned get_few(const uint8_t *p, unsigned off, unsigned n)
{
    unsigned v = p[0] << 8;

    if (off + n > 8)
        v |= p[1];
    return v >> (16 - off - n) & (0xffu >> (8 - n));
}

/* Write the low n bits of v at bit position off of a byte: off + n <= 8. */
static inline void put_few(uint8_t *p, unsigned off, unsigned n, unsigned v)
{
    unsigned shift = 8 - off - n, mask = (0xffu >> (8 - n)) << shift;

    *p = (uint8_t)((*p & ~mask) | (v << shift & mask));
}

/* Bytes copied or compared, cells and words looked at, until time is looked at. */
#define AT_ONCE_BYTES ((size_t)128 << 10)
#define PACE 1024
#define CELL_NS 15              /* of an iolist, with a small binary */
/* Copied without a thought of time. */
#define FEW_BYTES 1024

static inline void copy_bytes(uint8_t *out, const uint8_t *from, size_t n)
{
    if (likely(n < FEW_BYTES))
        bytes_copy(out, from, n);
    else
        slice_copy(out, from, n);
}

void bits_copy(uint8_t *dst, uint64_t dst_off, const uint8_t *src,
               uint64_t src_off, uint64_t n)
{
    unsigned d = dst_off & 7, s = src_off & 7;

    dst += dst_off / 8;
    src += src_off / 8;
    if (n == 0)
        return;
    if (d) {
        unsigned k = 8 - d < n ? 8 - d : (unsigned)n;

        put_few(dst, d, k, get_few(src, s, k));
        dst++;
        s += k;
        src += s / 8;
        s &= 7;
        n -= k;
    }
    if (s == 0) {
        copy_bytes(dst, src, n / 8);
        dst += n / 8;
        src += n / 8;
    } else {
        /* The 64 bits from position s end in the ninth byte. */
        for (; n >= 64; n -= 64, src += 8, dst += 8) {
            store_be64(dst, load_be64(src) << s | src[8] >> (8 - s));
            if (unlikely(n / 64 % PACE == 0))
                slice(PACE * 4);
        }
        for (; n >= 8; n -= 8, src++, dst++)
            *dst = (uint8_t)(src[0] << s | src[1] >> (8 - s));
    }
    n &= 7;
    if (n)
        put_few(dst, 0, (unsigned)n, get_few(src, s, (unsigned)n));
}

int bits_compare(struct bits a, struct bits b)
{
    uint64_t n = a.size < b.size ? a.size : b.size;
    const uint8_t *p = a.base + a.offset / 8, *q = b.base + b.offset / 8;
    unsigned i = a.offset & 7, j = b.offset & 7;

    if ((i | j) == 0) {
        int order;

        for (; n > AT_ONCE_BYTES * 8; n -= AT_ONCE_BYTES * 8) {
            if ((order = memcmp(p, q, AT_ONCE_BYTES)))
                return order;
            p += AT_ONCE_BYTES;
            q += AT_ONCE_BYTES;
            slice(AT_ONCE_BYTES / 4);
        }
        order = n >= 8 ? memcmp(p, q, n / 8) : 0;
        if (order)
            return order;
        p += n / 8;
        q += n / 8;
        n &= 7;
    }
    for (; n >= 72; n -= 64, p += 8, q += 8) {
        uint64_t x = load_be64(p), y = load_be64(q);

        if (i)
            x = x << i | p[8] >> (8 - i);
        if (unlikely(n / 64 % PACE == 0))
            slice(PACE * 2);
        if (j)
            y = y << j | q[8] >> (8 - j);
        if (x != y)
            return x < y ? -1 : 1;
    }
    while (n > 0) {
        unsigned k = n < 8 ? (unsigned)n : 8;
        int order = (int)get_few(p, i, k) - (int)get_few(q, j, k);

        if (order)
            return order;
        p++;
        q++;
        n -= k;
    }
    return (a.size > b.size) - (a.size < b.size);
}

/* Making binaries. */

term binary_put_refbin(struct dest *d, struct refbin *bin, uint8_t *data,
                       size_t n)
{
    struct refcbin_words *r = (struct refcbin_words *)d->htop;

    d->htop += REFCBIN_WORDS;
    r->header = HEADER(BOX_REFCBIN, 0, REFCBIN_WORDS - 1);
    r->next = d->off->first;
    d->off->first = &r->header;
    d->off->vheap_words += n / sizeof(term);
    r->bin = bin;
    r->data = data;
    r->size = n;
    return boxed_make(&r->header);
}

term binary_from_refbin(struct proc *p, struct refbin *bin)
{
    struct dest d = {heap_alloc(p, REFCBIN_WORDS), &p->heap.off};
    term t = binary_put_refbin(&d, bin, bin->data, bin->size);

    if (p->heap.off.vheap_words > p->heap.bin_vheap_limit)
        p->heap.want_gc = true;
    return t;
}

term binary_new(struct proc *p, size_t n, uint8_t **data)
{
    struct refbin *bin;

    if (n <= HEAPBIN_MAX) {
        size_t words = HEAPBIN_WORDS(n);
        term *at = heap_alloc(p, words);
        struct heapbin_words *h = (struct heapbin_words *)at;

        /* What follows the last byte is zero: equal binaries, equal words. */
        at[words - 1] = 0;
        h->header = HEADER(BOX_HEAPBIN, 0, words - 1);
        h->size = n;
        *data = h->data;
        return boxed_make(at);
    }
    bin = refbin_try_new(n);
    if (!bin)
        return THE_NON_VALUE;
    *data = bin->data;
    return binary_from_refbin(p, bin);
}

term binary_from(struct proc *p, const void *bytes, size_t n)
{
    uint8_t *data;
    term t = binary_new(p, n, &data);

    if (t != THE_NON_VALUE && n > 0)
        copy_bytes(data, bytes, n);
    return t;
}

term binary_put(struct dest *d, const void *bytes, size_t n)
{
    struct heapbin_words *b = (struct heapbin_words *)d->htop;

    if (n > HEAPBIN_MAX) {
        struct refbin *bin = refbin_new(n);

        memcpy(bin->data, bytes, n);
        return binary_put_refbin(d, bin, bin->data, n);
    }
    d->htop += HEAPBIN_WORDS(n);
    d->htop[-1] = 0;
    b->header = HEADER(BOX_HEAPBIN, 0, HEAPBIN_WORDS(n) - 1);
    b->size = n;
    if (n > 0)
        memcpy(b->data, bytes, n);
    return boxed_make(&b->header);
}

term binary_sub(struct proc *p, term t, uint64_t offset, uint64_t size)
{
    struct bits b = bits_of(t);
    struct subbin_words *s;

    assert(offset <= b.size && size <= b.size - offset);
    s = (struct subbin_words *)heap_alloc(p, SUBBIN_WORDS);
    s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    s->orig = b.orig;
    s->offset = b.offset + offset;
    s->size = size;
    return boxed_make(&s->header);
}

bool binary_bytes(term t, struct binbytes *out)
{
    struct bits b;

    if (!term_is_binary(t))
        return false;
    b = bits_of(t);
    out->size = bits_bytes(b);
    out->copy = NULL;
    if (bits_aligned(b)) {
        out->data = b.base + b.offset / 8;
    } else {
        out->copy = vm_alloc(ALLOC_SYSTEM, out->size);
        bits_copy(out->copy, 0, b.base, b.offset, b.size);
        out->data = out->copy;
    }
    return true;
}

void binary_bytes_end(struct binbytes *b)
{
    vm_free(b->copy);
    b->copy = NULL;
}

/*
 * Iolists. The stack holds what follows a list that is an element of another.
 */

/* 0 to 255 as a small, without a look at sign and tag one by one. */
static inline bool is_byte(term t)
{
    return (t & ~small_make(255)) == 0;
}

/* Adds what a binary has; false if it is none, or if bits are left over. */
static inline bool add_bytes(term t, size_t *n)
{
    const term *o;

    if (!term_is_boxed(t))
        return false;
    o = boxed_ptr(t);
    switch (header_type(*o)) {
    case BOX_HEAPBIN:
        *n += ((const struct heapbin_words *)o)->size;
        return true;
    case BOX_REFCBIN:
        *n += ((const struct refcbin_words *)o)->size;
        return true;
    case BOX_SUBBIN: {
        const struct subbin_words *s = (const struct subbin_words *)o;

        *n += s->size / 8;
        return (s->size & 7) == 0;
    }
    default:
        return false;
    }
}

/* most leaves room for one more binary of any size. */
static int count_bytes(term t, size_t most, size_t *bytes)
{
    struct wstack todo;
    size_t n = 0;
    unsigned cells = 0;
    int err = 0;

    if (!term_is_list(t) && !term_is_binary(t))
        return -EINVAL;
    wstack_init(&todo);
    for (;;) {
        while (term_is_cons(t)) {
            const term *cell = cons_ptr(t);
            term head = cell[0];

            if (unlikely(++cells % PACE == 0))
                slice(PACE * CELL_NS);
            t = cell[1];
            if (is_byte(head)) {
                n++;
                continue;
            }
            if (term_is_list(head)) {
                if (!term_is_nil(t))
                    wstack_push(&todo, t);
                t = head;
            } else if (!add_bytes(head, &n)) {
                goto invalid;
            }
            if (n > most)
                goto overflow;
        }
        if (!term_is_nil(t) && !add_bytes(t, &n))
            goto invalid;
        if (todo.n == 0)
            break;
        t = wstack_pop(&todo);
    }
    *bytes = n;
    if (n <= most)
        goto out;
overflow:
    err = -EOVERFLOW;
    goto out;
invalid:
    err = -EINVAL;
out:
    wstack_fini(&todo);
    return err;
}

int iolist_size(term t, size_t *bytes)
{
    return count_bytes(t, BINARY_MAX_BITS / 8, bytes);
}

int iolist_count(term t, size_t *bytes)
{
    return count_bytes(t, SIZE_MAX / 2, bytes);
}

static inline uint8_t *copy_binary(uint8_t *out, term t)
{
    struct bits b = bits_of(t);

    if (likely(bits_aligned(b)))
        copy_bytes(out, b.base + b.offset / 8, bits_bytes(b));
    else
        bits_copy(out, 0, b.base, b.offset, b.size);
    return out + bits_bytes(b);
}

void iolist_copy(term t, uint8_t *out)
{
    struct wstack todo;
    unsigned cells = 0;

    wstack_init(&todo);
    for (;;) {
        while (term_is_cons(t)) {
            const term *cell = cons_ptr(t);
            term head = cell[0];

            if (unlikely(++cells % PACE == 0))
                slice(PACE * CELL_NS);
            t = cell[1];
            if (term_is_small(head)) {
                *out++ = (uint8_t)small_value(head);
            } else if (term_is_list(head)) {
                if (!term_is_nil(t))
                    wstack_push(&todo, t);
                t = head;
            } else {
                out = copy_binary(out, head);
            }
        }
        if (!term_is_nil(t))
            out = copy_binary(out, t);
        if (todo.n == 0)
            break;
        t = wstack_pop(&todo);
    }
    wstack_fini(&todo);
}
