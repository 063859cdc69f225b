/*
 * binary.h - binaries, sub-binaries, match contexts, resources.
 *
 * Up to HEAPBIN_MAX bytes a binary lies on the heap whole. Larger ones are
 * struct refbin, shared between processes by a count, and each heap holds a
 * refcbin object that is linked in its off-heap list. Parts of binaries are
 * subbin objects that point to a heap or refc binary (never to another part).
 */
#ifndef VM_BINARY_H
#define VM_BINARY_H

#include "vm/heap.h"
#include "vm/vm.h"

#define HEAPBIN_MAX 64
#define BINARY_MAX_BITS ((uint64_t)1 << 59)

/*
 * The shared bytes. The count is atomic, for threads; SATURATED marks what
 * came with an image, which is never written or freed.
 */
#define REFC_SATURATED INT64_MAX
struct refbin {
    int64_t refc;
    void (*free)(struct refbin *b);  /* NULL: vm_free; else resource, mapped ... */
    size_t capacity;
    size_t size;            /* bytes in use; grows under an appending owner */
    uint8_t data[] __attribute__((aligned(16)));
};
/* Drivers see the size with the bytes right behind it: an ErlDrvBinary. */
static_assert(offsetof(struct refbin, data) == offsetof(struct refbin, size) + 8,
              "the bytes follow their number");
#define refbin_new(size) refbin_new_in(size, __func__)  /* count 1; never NULL */
struct refbin *refbin_new_in(size_t size, const char *caller);
struct refbin *refbin_try_new(size_t size);     /* or NULL */
static inline void refbin_get(struct refbin *b)
{
    if (__atomic_load_n(&b->refc, __ATOMIC_RELAXED) != REFC_SATURATED)
        __atomic_fetch_add(&b->refc, 1, __ATOMIC_RELAXED);
}
void refbin_put(struct refbin *b);

/* Objects on a heap. All sizes in words include the header. */
struct heapbin_words {
    term header;
    uint64_t size;          /* bytes */
    uint8_t data[];
};
struct refcbin_words {
    term header;            /* aux: REFCBIN_WRITABLE */
    term *next;             /* offheap list */
    struct refbin *bin;
    uint8_t *data;          /* within bin->data, or elsewhere (mapped) */
    uint64_t size;          /* bytes */
};
/* A binary that bs_append may extend in place: only its latest sub-binary. */
enum { REFCBIN_WRITABLE = 1 };
struct subbin_words {
    term header;            /* aux: SUBBIN_WRITABLE */
    term orig;              /* a heap or refc binary */
    uint64_t offset, size;  /* bits */
};
enum { SUBBIN_WRITABLE = 1 };
struct match_words {
    term header;
    term orig;              /* a heap or refc binary */
    const uint8_t *base;    /* its bytes; the collector renews it */
    uint64_t offset, size;  /* bits from base: next to read, end */
    uint64_t start;         /* bits: where the matched bitstring began */
};
#define HEAPBIN_WORDS(bytes) (2 + ((bytes) + 7) / 8)
#define REFCBIN_WORDS (sizeof(struct refcbin_words) / 8)
#define SUBBIN_WORDS (sizeof(struct subbin_words) / 8)
#define MATCH_WORDS (sizeof(struct match_words) / 8)

/* Any bitstring as bytes and bits. Valid until the next collection. */
struct bits {
    const uint8_t *base;    /* of the heap or refc binary */
    uint64_t offset, size;  /* bits */
    term orig;
};
/* The bytes of a heap or refc binary, which may be a context's or a part's orig. */
static inline const uint8_t *binary_data(term whole)
{
    const term *o = boxed_ptr(whole);

    return header_type(*o) == BOX_HEAPBIN
               ? ((const struct heapbin_words *)o)->data
               : ((const struct refcbin_words *)o)->data;
}
static inline struct bits bits_of(term t)
{
    const term *o = boxed_ptr(t);

    switch (header_type(*o)) {
    case BOX_HEAPBIN: {
        const struct heapbin_words *h = (const struct heapbin_words *)o;

        return (struct bits){h->data, 0, h->size * 8, t};
    }
    case BOX_REFCBIN: {
        const struct refcbin_words *r = (const struct refcbin_words *)o;

        return (struct bits){r->data, 0, r->size * 8, t};
    }
    case BOX_SUBBIN: {
        const struct subbin_words *s = (const struct subbin_words *)o;

        return (struct bits){binary_data(s->orig), s->offset, s->size, s->orig};
    }
    default: {
        const struct match_words *m = (const struct match_words *)o;

        assert(header_type(*o) == BOX_MATCH);
        return (struct bits){m->base, m->offset, m->size - m->offset, m->orig};
    }
    }
}
static inline uint64_t bits_bytes(struct bits b) { return b.size / 8; }
static inline bool bits_aligned(struct bits b) { return (b.offset & 7) == 0; }
/* A bitstring of whole bytes? */
static inline bool term_is_binary(term t)
{
    if (!term_is_boxed(t))
        return false;
    switch (header_type(*boxed_ptr(t))) {
    case BOX_HEAPBIN:
    case BOX_REFCBIN:
        return true;
    case BOX_SUBBIN:
        return (((struct subbin_words *)boxed_ptr(t))->size & 7) == 0;
    default:
        return false;
    }
}

/* memcpy() for what is mostly shorter than the call is worth. */
static inline void bytes_copy(uint8_t *dst, const uint8_t *src, size_t n)
{
    if (n > 16) {
        memcpy(dst, src, n);
    } else if (n >= 8) {
        uint64_t first, last;

        memcpy(&first, src, 8);
        memcpy(&last, src + n - 8, 8);
        memcpy(dst, &first, 8);
        memcpy(dst + n - 8, &last, 8);
    } else if (n >= 4) {
        uint32_t first, last;

        memcpy(&first, src, 4);
        memcpy(&last, src + n - 4, 4);
        memcpy(dst, &first, 4);
        memcpy(dst + n - 4, &last, 4);
    } else if (n > 0) {
        uint8_t middle = src[n / 2], last = src[n - 1];

        dst[0] = src[0];
        dst[n / 2] = middle;
        dst[n - 1] = last;
    }
}

/* Copy n bits between bit positions; the areas do not overlap. */
void bits_copy(uint8_t *dst, uint64_t dst_off, const uint8_t *src,
               uint64_t src_off, uint64_t n);
/* <0, 0, >0 as Erlang orders bitstrings. */
int bits_compare(struct bits a, struct bits b);

/*
 * A new binary of n bytes on p's heap (or in a refbin); *data is where to
 * write them. THE_NON_VALUE if n bytes can't be had.
 */
term binary_new(struct proc *p, size_t n, uint8_t **data);
term binary_from(struct proc *p, const void *bytes, size_t n);
/* The same of a refbin, whose reference the caller gives away. */
term binary_from_refbin(struct proc *p, struct refbin *bin);
/* A whole-bytes or bits part of an existing bitstring: shares when > 64 bytes
 * remain sensible, else copies; as binary:part. Offsets in bits, relative. */
term binary_sub(struct proc *p, term bitstring, uint64_t offset, uint64_t size);
/* A heap object for a refbin whose reference the caller gives away. */
#define BINARY_FROM_REFBIN_WORDS REFCBIN_WORDS
term binary_put_refbin(struct dest *d, struct refbin *bin, uint8_t *data, size_t n);
/* A binary of these bytes, in the words of it that d has left. */
static inline size_t binary_put_words(size_t n)
{
    return n <= HEAPBIN_MAX ? HEAPBIN_WORDS(n) : BINARY_FROM_REFBIN_WORDS;
}
term binary_put(struct dest *d, const void *bytes, size_t n);

/*
 * The bytes of a binary as one run. Unaligned sub-binaries are copied to a
 * buffer that binary_bytes_end() frees. Not for bitstrings of odd size.
 */
struct binbytes {
    const uint8_t *data;
    size_t size;
    uint8_t *copy;          /* owned, or NULL */
};
bool binary_bytes(term t, struct binbytes *b);  /* false: not a binary */
void binary_bytes_end(struct binbytes *b);

/*
 * Flatten an iolist. Returns 0, -EINVAL (not an iolist, or bits left over), or
 * -EOVERFLOW: more than one binary holds. No recursion; iolist_copy writes exactly
 * iolist_size bytes. iolist_count is for the number alone: parts may be shared, so
 * that their sum is more than there is memory.
 */
int iolist_size(term t, size_t *bytes);
int iolist_count(term t, size_t *bytes);
void iolist_copy(term t, uint8_t *out);

/*
 * A magic ref on a heap: a reference that owns a resource. All references to
 * one resource have its number, which the first magic_put() gives it.
 */
struct resource {
    int64_t refc;
    void (*free)(struct resource *r);   /* last reference gone */
    const void *type;                   /* whose it is: compare before a cast */
    uint64_t ref[2];                    /* 0, 0: none yet */
    struct resource *chain;             /* of vm.magics */
    bool remembered;                    /* ... it is in there: magic.c */
};
struct magic_words {
    term header;
    term *next;             /* offheap list */
    uint64_t ref[2];        /* as struct ref_words */
    struct resource *res;
};
#define MAGIC_WORDS (sizeof(struct magic_words) / 8)
/* Takes one reference of res. */
term magic_put(struct dest *d, struct resource *res);
/* The resource of a magic ref if it is of this type, else NULL. A loan. */
struct resource *magic_resource(term t, const void *type);
void resource_get(struct resource *r);
void resource_put(struct resource *r);
void magic_init(void);
/* t, a magic ref, goes where it may come back from as numbers. */
void magic_remember(term t);
/* The resource of such numbers with one reference more; NULL if there is none now. */
struct resource *magic_recall(const uint64_t ref[2]);
bool magic_number(const uint64_t ref[2]);       /* of a magic ref, now or once */

#endif
