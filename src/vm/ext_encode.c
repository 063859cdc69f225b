/*
 * ext_encode.c - encode the external term format.
 *
 * Nothing here recurses: what is still to be written lies on a stack of words,
 * in frames that are changed where they lie until nothing is left of them.
 *
 * There is one pass: the buffer grows, so that a term need not be walked first
 * for its size.
 */
#include "vm/ext.h"

#include "os/os.h"
#include "vm/atom.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/ext_tag.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/pair_sort.h"
#include "vm/slice.h"
#include "vm/wstack.h"

#include <stdio.h>
#include <stdlib.h>

#define STRING_MAX 0xffff       /* a list of bytes this long is a STRING_EXT */
#define NEW_PORT_MAX (((uint64_t)1 << 28) - 1)

/* Steps of a loop until time is looked at. */
#define PACE 1024
#define LARGE_BYTES ((size_t)128 << 10)

/*
 * Frames: three words, the last n << FRAME_BITS | kind.
 *   ARRAY     at: n > 0 terms
 *   LIST      at: what is left of a list, which is written cell by cell
 *   FLATMAP   at, keys: so many values and keys; n: of both together
 *   STACKED   n > 0 terms below the frame, topmost first
 *   FUN_SIZE  at: where in the output a fun's length belongs
 */
enum { ARRAY, LIST, FLATMAP, STACKED, FUN_SIZE, FRAME_BITS = 3 };
enum { FRAME_AT, FRAME_KEYS, FRAME_N, FRAME_WORDS };
#define FRAME_ONE ((term)1 << FRAME_BITS)

static inline void frame_push(struct wstack *s, const void *at, const void *keys,
                              size_t n, unsigned kind)
{
    if (unlikely(s->n + FRAME_WORDS > s->size))
        wstack_grow(s, FRAME_WORDS);
    s->base[s->n + FRAME_AT] = (term)(uintptr_t)at;
    s->base[s->n + FRAME_KEYS] = (term)(uintptr_t)keys;
    s->base[s->n + FRAME_N] = (term)n << FRAME_BITS | kind;
    s->n += FRAME_WORDS;
}

static inline uint8_t *put_u16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static inline uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static inline uint8_t *put_u64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/*
 * A list of bytes goes out as a string. True if it is one; *n is its length,
 * else the number of its cells.
 */
static inline bool is_string(term list, size_t *n)
{
    size_t count = 0;

    for (; term_is_cons(list); list = cons_tail(list), count++) {
        if ((cons_head(list) & ~small_make(255)) != 0)
            break;
        if (unlikely(count % PACE == PACE - 1))
            slice(PACE * 2);
    }
    *n = count;
    if (term_is_nil(list) && count <= STRING_MAX)
        return true;
    for (; term_is_cons(list); list = cons_tail(list))
        if (unlikely(++count % PACE == 0))
            slice(PACE * 2);
    *n = count;
    return false;
}

static inline bool atom_as_latin1(const struct atom *a, unsigned flags)
{
    return a->latin1 && !(flags & EXT_MINOR_2);
}

static inline size_t atom_size(term t, unsigned flags)
{
    const struct atom *a = atom_get(t);

    if (atom_as_latin1(a, flags))
        return 3 + (size_t)a->chars;
    return (a->bytes > 255 ? 3 : 2) + (size_t)a->bytes;
}

/* Needs atom_size() bytes. */
static inline uint8_t *put_atom(uint8_t *p, term t, unsigned flags)
{
    const struct atom *a = atom_get(t);

    if (atom_as_latin1(a, flags)) {
        *p++ = ATOM_EXT;
        p = put_u16(p, a->chars);
        if (a->chars != a->bytes) {
            for (size_t i = 0; i < a->bytes; i++) {
                if (a->name[i] < 0x80) {
                    *p++ = a->name[i];
                } else {
                    *p++ = (uint8_t)(a->name[i] << 6 | (a->name[i + 1] & 0x3f));
                    i++;
                }
            }
            return p;
        }
    } else if (a->bytes > 255) {
        *p++ = ATOM_UTF8_EXT;
        p = put_u16(p, a->bytes);
    } else {
        *p++ = SMALL_ATOM_UTF8_EXT;
        *p++ = (uint8_t)a->bytes;
    }
    bytes_copy(p, a->name, a->bytes);
    return p + a->bytes;
}

/* Significant bytes of an integer's magnitude. */
static size_t magnitude_bytes(const uint64_t *digit, size_t n)
{
    uint64_t top = digit[n - 1];

    return n * 8 - (top ? (size_t)__builtin_clzll(top) / 8 : 7);
}

static size_t integer_size(const uint64_t *digit, size_t n)
{
    size_t bytes = magnitude_bytes(digit, n);

    return (bytes < 256 ? 3 : 6) + bytes;
}

static uint8_t *put_integer(uint8_t *p, const uint64_t *digit, size_t n,
                            bool negative)
{
    size_t bytes = magnitude_bytes(digit, n);

    if (bytes < 256) {
        *p++ = SMALL_BIG_EXT;
        *p++ = (uint8_t)bytes;
    } else {
        *p++ = LARGE_BIG_EXT;
        p = put_u32(p, (uint32_t)bytes);
    }
    *p++ = negative;
    memcpy(p, digit, bytes);    /* both are least significant first */
    return p + bytes;
}

static uint64_t small_magnitude(term t)
{
    int64_t v = small_value(t);

    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

/* Node of an identifier, ours or another's. */
static const struct node *node_of(term t)
{
    if (term_is_imm(t) || term_is_local_ref(t))
        return *node_this;
    return ((const struct ext_words *)boxed_ptr(t))->node;
}

static const uint64_t *ext_data(term t)
{
    return ((const struct ext_words *)boxed_ptr(t))->data;
}

static uint64_t port_of(term t)
{
    return term_is_local_port(t) ? port_number(t) : ext_data(t)[0];
}

static uint32_t ref_count(term t)
{
    return term_is_local_ref(t) ? REF_NUMBERS : (uint32_t)ext_data(t)[0];
}

static uint32_t ref_number(term t, uint32_t i)
{
    const uint64_t *n = term_is_local_ref(t) ? ref_numbers(t) : ext_data(t) + 1;

    return (uint32_t)(n[i / 2] >> (i % 2 ? 32 : 0));
}

static uint8_t *put_pid(uint8_t *p, term t, unsigned flags)
{
    const struct node *n = node_of(t);
    uint32_t number, serial;

    if (term_is_local_pid(t)) {
        number = pid_number(t);
        serial = pid_serial(t);
    } else {
        number = (uint32_t)ext_data(t)[0];
        serial = (uint32_t)(ext_data(t)[0] >> 32);
    }
    *p++ = NEW_PID_EXT;
    p = put_atom(p, n->name, flags);
    p = put_u32(p, number);
    p = put_u32(p, serial);
    return put_u32(p, n->creation);
}

static size_t pid_size(term t, unsigned flags)
{
    return 1 + atom_size(node_of(t)->name, flags) + 12;
}

/*
 * What a hashed map holds, onto the stack: in the map's order, or in that of
 * the keys. False: no memory to sort them, or abandoned.
 */
static bool push_hashed(struct wstack *s, term map, unsigned flags)
{
    size_t n = map_size(map), at;
    struct map_iter it;
    term key, value;

    /* Room for all at once; they are written from the top down. */
    wstack_reserve(s, 2 * n);
    at = s->n;
    map_iter_init(&it, map);
    while (map_iter_next(&it, &key, &value)) {
        s->base[--at] = key;
        s->base[--at] = value;
        slice(20);
    }
    if (flags & EXT_DETERMINISTIC && !pair_sort(&s->base[at], n, flags & EXT_ABANDON))
        return false;
    frame_push(s, NULL, NULL, 2 * n, STACKED);
    return true;
}

/* Push what a tuple, map or fun holds, so that it pops in order. False: as above. */
static bool push_parts(struct wstack *s, term t, unsigned flags)
{
    const term *obj = boxed_ptr(t);
    size_t n = header_words(*obj);

    switch (header_type(*obj)) {
    case BOX_TUPLE:
        if (n > 0)
            frame_push(s, obj + 1, NULL, n, ARRAY);
        break;
    case BOX_MAP:
        if (n > 1)
            frame_push(s, obj + 2, tuple_at(obj[1], 1), 2 * (n - 1), FLATMAP);
        break;
    case BOX_FUN:
        n -= FUN_WORDS(0) - 1;
        if (n > 0)
            frame_push(s, fun_ptr(t)->env, NULL, n, ARRAY);
        break;
    default:
        return push_hashed(s, t, flags);
    }
    return true;
}

/*
 * The next term to be written; false: no more. THE_NON_VALUE: a fun is
 * complete, whose frame lies just above the top.
 */
static inline bool next_term(struct wstack *s, term *t)
{
    while (s->n > 0) {
        term *f = &s->base[s->n - FRAME_WORDS];
        const term *at = (const term *)(uintptr_t)f[FRAME_AT];

        switch (f[FRAME_N] & (FRAME_ONE - 1)) {
        case ARRAY:
            *t = *at;
            f[FRAME_AT] += sizeof(term);
            f[FRAME_N] -= FRAME_ONE;
            if (f[FRAME_N] < FRAME_ONE)
                s->n -= FRAME_WORDS;
            return true;
        case LIST: {
            term rest = f[FRAME_AT];

            if (term_is_cons(rest)) {
                *t = cons_head(rest);
                f[FRAME_AT] = cons_tail(rest);
            } else {
                *t = rest;
                s->n -= FRAME_WORDS;
            }
            return true;
        }
        case FLATMAP:
            if (f[FRAME_N] & FRAME_ONE) {
                *t = *at;
                f[FRAME_AT] += sizeof(term);
            } else {
                *t = *(const term *)(uintptr_t)f[FRAME_KEYS];
                f[FRAME_KEYS] += sizeof(term);
            }
            f[FRAME_N] -= FRAME_ONE;
            if (f[FRAME_N] < FRAME_ONE)
                s->n -= FRAME_WORDS;
            return true;
        case STACKED:
            *t = f[-1];
            s->n--;
            f[-1 + FRAME_N] = f[FRAME_N] - FRAME_ONE;
            if (f[-1 + FRAME_N] < FRAME_ONE)
                s->n -= FRAME_WORDS;
            return true;
        default:
            *t = THE_NON_VALUE;
            s->n -= FRAME_WORDS;
            return true;
        }
    }
    return false;
}

/* Bytes of a term by itself; *deep if more is inside. */
static size_t one_size(term t, unsigned flags, bool *deep)
{
    size_t n;

    if (term_is_small(t)) {
        int64_t v = small_value(t);
        uint64_t m = small_magnitude(t);

        return v >= 0 && v < 256                    ? 2
               : v >= INT32_MIN && v <= INT32_MAX   ? 5
                                                    : integer_size(&m, 1);
    }
    if (term_is_atom(t))
        return atom_size(t, flags);
    if (term_is_nil(t))
        return 1;
    if (term_is_pid(t))
        return pid_size(t, flags);
    if (term_is_port(t))
        return 1 + atom_size(node_of(t)->name, flags)
               + (port_of(t) > NEW_PORT_MAX ? 12 : 8);
    if (term_is_cons(t)) {
        if (is_string(t, &n))
            return 3 + n;
        *deep = true;
        return 5;
    }
    switch (header_type(*boxed_ptr(t))) {
    case BOX_TUPLE:
        *deep = true;
        return tuple_arity(t) < 256 ? 2 : 5;
    case BOX_MAP:
    case BOX_HASHMAP:
        *deep = true;
        return 5;
    case BOX_FUN: {
        const struct fun_words *f = fun_ptr(t);
        uint64_t uniq = f->entry->old_uniq;
        bool unused;

        *deep = true;
        n = 1 + 4 + 1 + 16 + 4 + 4 + atom_size(f->entry->module, flags)
            + pid_size(f->creator, flags);
        if (flags & EXT_OTP_SIZE)
            return n + 2 * 5;
        return n + one_size(small_make(f->entry->index), flags, &unused)
               + one_size(small_make((int64_t)uniq), flags, &unused);
    }
    case BOX_EXPORT: {
        const struct export *e
            = ((const struct export_words *)boxed_ptr(t))->export;

        return 1 + atom_size(e->m, flags) + atom_size(e->f, flags) + 2;
    }
    case BOX_FLOAT:
        return flags & EXT_MINOR_0 ? 1 + FLOAT_TEXT_BYTES : 9;
    case BOX_POSBIG:
    case BOX_NEGBIG:
        return integer_size(big_data(t), big_digits(t));
    case BOX_REF:
    case BOX_MAGIC:
    case BOX_EXTREF:
        return 3 + atom_size(node_of(t)->name, flags) + 4
               + 4 * (size_t)ref_count(t);
    default: {
        struct bits b = bits_of(t);

        return (b.size % 8 ? 6 : 5) + (b.size + 7) / 8;
    }
    }
}

size_t ext_encode_size(term t, unsigned flags)
{
    size_t size = 0;
    unsigned steps = 0;
    struct wstack s;

    wstack_init(&s);
    do {
        bool deep = false;

        if (unlikely(++steps % PACE == 0))
            slice(PACE * 10);
        size += one_size(t, flags, &deep);
        if (deep && term_is_cons(t))
            frame_push(&s, (const void *)(uintptr_t)t, NULL, 0, LIST);
        else if (deep)
            push_parts(&s, t, flags & ~(unsigned)EXT_DETERMINISTIC);
    } while (next_term(&s, &t));
    wstack_fini(&s);
    return size;
}

/*
 * The output. What a tag and its fixed fields take fits whenever a term is
 * begun; what is of any length asks for room.
 */
enum {
    ROOM_FIXED = 64,
    ROOM_NAMED = 2 * (3 + ATOM_MAX_BYTES) + 128,    /* two atoms and more */
    FIRST_BYTES = 8192,
};

void ext_buf_init(struct ext_buf *b)
{
    b->data = b->local;
    b->n = 0;
    b->end = b->local + sizeof b->local;
    b->bin = NULL;
}

void ext_buf_fini(struct ext_buf *b)
{
    if (b->bin)
        refbin_put(b->bin);
}

static __attribute__((noinline)) uint8_t *grow(struct ext_buf *b, uint8_t *p,
                                               size_t n)
{
    size_t used = (size_t)(p - b->data), size = 2 * (size_t)(b->end - b->data);
    struct refbin *bin;

    if (size < FIRST_BYTES)
        size = FIRST_BYTES;
    if (size < used + n)
        size = used + n;
    if (size > BINARY_MAX_BITS / 8)
        return NULL;
    /* A block that is large from the start is never copied in one go. */
    if (b->bin && (size < OS_LARGE || b->bin->size >= OS_LARGE)) {
        bin = vm_try_realloc(b->bin, sizeof *bin + size);
        if (!bin)
            return NULL;
        bin->size = size;
    } else {
        bin = refbin_try_new(size);
        if (!bin)
            return NULL;
        slice_copy(bin->data, b->data, used);
        if (b->bin)
            refbin_put(b->bin);
    }
    b->bin = bin;
    b->data = bin->data;
    b->end = bin->data + size;
    return b->data + used;
}

/* Where to write n bytes more, at p unless that moves; NULL: no memory. */
static inline uint8_t *room(struct ext_buf *b, uint8_t *p, size_t n)
{
    return likely((size_t)(b->end - p) >= n) ? p : grow(b, p, n);
}

struct refbin *ext_buf_refbin(struct ext_buf *b)
{
    struct refbin *bin;

    if (b->bin) {
        bin = vm_try_realloc(b->bin, sizeof *bin + b->n);
        if (!bin)
            bin = b->bin;
        bin->size = bin->capacity = b->n;
    } else {
        bin = refbin_try_new(b->n);
        if (bin)
            memcpy(bin->data, b->data, b->n);
    }
    if (bin)
        b->bin = NULL;
    return bin;
}

static inline uint8_t *put_small(uint8_t *p, int64_t v)
{
    if (v >= 0 && v < 256) {
        *p++ = SMALL_INTEGER_EXT;
        *p++ = (uint8_t)v;
        return p;
    }
    if (v >= INT32_MIN && v <= INT32_MAX) {
        *p++ = INTEGER_EXT;
        return put_u32(p, (uint32_t)v);
    }
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
    return put_integer(p, &m, 1, v < 0);
}

static uint8_t *put_list(struct ext_buf *b, uint8_t *p, term t, struct wstack *s)
{
    size_t n;

    if (is_string(t, &n)) {
        p = room(b, p, 3 + n);
        if (!p)
            return NULL;
        *p++ = STRING_EXT;
        p = put_u16(p, (uint32_t)n);
        for (; term_is_cons(t); t = cons_tail(t))
            *p++ = (uint8_t)small_value(cons_head(t));
        return p;
    }
    *p++ = LIST_EXT;
    frame_push(s, (const void *)(uintptr_t)t, NULL, 0, LIST);
    return put_u32(p, (uint32_t)n);
}

static uint8_t *put_fun(struct ext_buf *b, uint8_t *p, term t, struct wstack *s,
                        unsigned flags)
{
    const struct fun_words *f = fun_ptr(t);
    const struct fun_entry *e = f->entry;

    *p++ = NEW_FUN_EXT;
    frame_push(s, (const void *)(uintptr_t)(p - b->data), NULL, 0, FUN_SIZE);
    p += 4;
    *p++ = (uint8_t)e->arity;
    memcpy(p, e->uniq, 16);
    p = put_u32(p + 16, e->index);
    p = put_u32(p, (uint32_t)(header_words(f->header) + 1 - FUN_WORDS(0)));
    p = put_atom(p, e->module, flags);
    p = put_small(p, e->index);
    p = put_small(p, e->old_uniq);
    p = put_pid(p, f->creator, flags);
    return push_parts(s, t, flags) ? p : NULL;
}

static uint8_t *put_float(uint8_t *p, double d, unsigned flags)
{
    uint64_t v;

    if (flags & EXT_MINOR_0) {
        char text[FLOAT_TEXT_BYTES + 1] = {0};

        snprintf(text, sizeof text, "%.20e", d);
        *p++ = FLOAT_EXT;
        memcpy(p, text, FLOAT_TEXT_BYTES);
        return p + FLOAT_TEXT_BYTES;
    }
    memcpy(&v, &d, sizeof v);
    *p++ = NEW_FLOAT_EXT;
    return put_u64(p, v);
}

static uint8_t *put_bitstring(struct ext_buf *buf, uint8_t *p, term t)
{
    struct bits b = bits_of(t);
    size_t bytes = (b.size + 7) / 8;
    unsigned last = b.size % 8;

    p = room(buf, p, 6 + bytes);
    if (!p)
        return NULL;
    *p++ = last ? BIT_BINARY_EXT : BINARY_EXT;
    p = put_u32(p, (uint32_t)bytes);
    if (last) {
        *p++ = (uint8_t)last;
        p[bytes - 1] = 0;
    }
    if (bits_aligned(b) && last == 0)
        bytes < LARGE_BYTES ? bytes_copy(p, b.base + b.offset / 8, bytes)
                            : slice_copy(p, b.base + b.offset / 8, bytes);
    else
        bits_copy(p, 0, b.base, b.offset, b.size);
    return p + bytes;
}

static uint8_t *put_port(uint8_t *p, term t, unsigned flags)
{
    uint64_t number = port_of(t);

    *p++ = number > NEW_PORT_MAX ? V4_PORT_EXT : NEW_PORT_EXT;
    p = put_atom(p, node_of(t)->name, flags);
    p = number > NEW_PORT_MAX ? put_u64(p, number) : put_u32(p, (uint32_t)number);
    return put_u32(p, node_of(t)->creation);
}

static uint8_t *put_ref(uint8_t *p, term t, unsigned flags)
{
    uint32_t n = ref_count(t);

    if (boxed_is(t, BOX_MAGIC))
        magic_remember(t);
    *p++ = NEWER_REFERENCE_EXT;
    p = put_u16(p, n);
    p = put_atom(p, node_of(t)->name, flags);
    p = put_u32(p, node_of(t)->creation);
    for (uint32_t i = 0; i < n; i++)
        p = put_u32(p, ref_number(t, i));
    return p;
}

static uint8_t *put_export(uint8_t *p, term t, unsigned flags)
{
    const struct export *e = ((const struct export_words *)boxed_ptr(t))->export;

    *p++ = EXPORT_EXT;
    p = put_atom(p, e->m, flags);
    p = put_atom(p, e->f, flags);
    return put_small(p, e->arity);
}

/* What has a name in it: of a node, a module, a function. */
static __attribute__((noinline)) uint8_t *
put_named(struct ext_buf *b, uint8_t *p, term t, struct wstack *s, unsigned flags)
{
    p = room(b, p, ROOM_NAMED);
    if (!p)
        return NULL;
    if (term_is_pid(t))
        return put_pid(p, t, flags);
    if (term_is_port(t))
        return put_port(p, t, flags);
    switch (header_type(*boxed_ptr(t))) {
    case BOX_FUN:
        return put_fun(b, p, t, s, flags);
    case BOX_EXPORT:
        return put_export(p, t, flags);
    default:
        assert(term_is_ref(t));
        return put_ref(p, t, flags);
    }
}

static uint8_t *put_boxed(struct ext_buf *b, uint8_t *p, term t,
                          struct wstack *s, unsigned flags)
{
    term header = *boxed_ptr(t);
    size_t n = header_words(header);

    switch (header_type(header)) {
    case BOX_TUPLE:
        if (!push_parts(s, t, flags))
            return NULL;
        if (n < 256) {
            *p++ = SMALL_TUPLE_EXT;
            *p++ = (uint8_t)n;
            return p;
        }
        *p++ = LARGE_TUPLE_EXT;
        return put_u32(p, (uint32_t)n);
    case BOX_MAP:
    case BOX_HASHMAP:
        if (!push_parts(s, t, flags))
            return NULL;
        *p++ = MAP_EXT;
        return put_u32(p, (uint32_t)map_size(t));
    case BOX_FLOAT:
        return put_float(p, float_value(t), flags);
    case BOX_POSBIG:
    case BOX_NEGBIG:
        p = room(b, p, 6 + 8 * n);
        return p ? put_integer(p, big_data(t), n, big_negative(t)) : NULL;
    case BOX_HEAPBIN:
    case BOX_REFCBIN:
    case BOX_SUBBIN:
        return put_bitstring(b, p, t);
    default:
        return put_named(b, p, t, s, flags);
    }
}

/* All of a fun is written, up to p: its length is known. */
static void fun_complete(struct ext_buf *b, const uint8_t *p, const term *frame)
{
    uint8_t *at = b->data + frame[FRAME_AT];

    put_u32(at, (uint32_t)(p - at));
}

bool ext_encode(struct ext_buf *b, term t, unsigned flags)
{
    uint8_t *p = b->data + b->n;
    struct wstack s;
    unsigned steps = 0;

    wstack_init(&s);
    do {
        if (unlikely(++steps % PACE == 0)) {
            slice(PACE * 20);
            if (flags & EXT_ABANDON && slice_killed()) {
                p = NULL;
                break;
            }
        }
        p = room(b, p, ROOM_FIXED);
        if (unlikely(!p))
            break;
        if (term_is_small(t)) {
            p = put_small(p, small_value(t));
        } else if (term_is_cons(t)) {
            p = put_list(b, p, t, &s);
        } else if (term_is_boxed(t)) {
            p = put_boxed(b, p, t, &s, flags);
        } else if (term_is_atom(t)) {
            p = room(b, p, atom_size(t, flags));
            p = p ? put_atom(p, t, flags) : NULL;
        } else if (term_is_nil(t)) {
            *p++ = NIL_EXT;
        } else if (t == THE_NON_VALUE) {
            fun_complete(b, p, &s.base[s.n]);
        } else {
            p = put_named(b, p, t, &s, flags);
        }
        if (unlikely(!p))
            break;
    } while (next_term(&s, &t));
    wstack_fini(&s);
    if (!p)
        return false;
    b->n = (size_t)(p - b->data);
    return true;
}
