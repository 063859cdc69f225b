/*
 * ext_decode.c - the second pass of decoding the external term format: build it.
 *
 * Nothing here recurses: what is still to be filled in lies on a stack of
 * words.
 */
#include "vm/ext_in.h"

#include "vm/big.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/slice.h"
#include "vm/wstack.h"

#define REF_FIRST_MAX ((uint32_t)1 << 18)
/* Steps of a loop until time is looked at. */
#define PACE 512

/*
 * The decoder's stack holds pairs, changed where they lie until nothing is left:
 * where, and how many times four plus what.
 *   FILL_ARRAY  consecutive words
 *   FILL_LIST   heads of consecutive cells, then the tail of the last
 *   FILL_FLAT   the tuple of a small map's keys, whose other words follow; how
 *               many keys and values together
 *   FILL_MAP    nothing: a map whose pairs are all there now
 */
enum { FILL_ARRAY, FILL_LIST, FILL_FLAT, FILL_MAP, FILL_BITS = 2 };
#define FILL_ONE ((term)1 << FILL_BITS)

struct pending_map {
    term *slot;
    size_t n;
    term pairs[];
};

static inline void fill_push(struct wstack *s, const void *at, size_t n,
                             unsigned what)
{
    wstack_push2(s, (term)(uintptr_t)at, (term)n << FILL_BITS | what);
}

/* What is being filled in; the frames around it are on the stack. */
struct fill {
    term *at;
    term n;                     /* left << FILL_BITS | what */
};

static inline void fill_begin(struct fill *f, struct wstack *s, term *at, size_t n,
                              unsigned what)
{
    fill_push(s, f->at, f->n >> FILL_BITS, f->n & (FILL_ONE - 1));
    f->at = at;
    f->n = (term)n << FILL_BITS | what;
}

static inline void fill_end(struct fill *f, struct wstack *s)
{
    s->n -= 2;
    f->at = (term *)(uintptr_t)s->base[s->n];
    f->n = s->base[s->n + 1];
}

/* Build the map and forget the pairs. THE_NON_VALUE if two keys are equal. */
static term finish_map(struct dest *d, struct pending_map *m)
{
    term t = map_build(d, m->pairs, m->n);

    if (t != THE_NON_VALUE && map_size(t) != m->n)
        t = THE_NON_VALUE;
    slice_free(m);
    return t;
}

/* A binary with these bytes; THE_NON_VALUE for no memory. */
static term put_bytes(struct dest *d, const uint8_t *s, size_t n)
{
    if (n <= HEAPBIN_MAX) {
        struct heapbin_words *h = (struct heapbin_words *)d->htop;

        d->htop[HEAPBIN_WORDS(n) - 1] = 0;
        h->header = HEADER(BOX_HEAPBIN, 0, HEAPBIN_WORDS(n) - 1);
        h->size = n;
        memcpy(h->data, s, n);
        d->htop += HEAPBIN_WORDS(n);
        return boxed_make((term *)h);
    }
    struct refbin *b = refbin_try_new(n);
    if (!b)
        return THE_NON_VALUE;
    slice_copy(b->data, s, n);
    return binary_put_refbin(d, b, b->data, n);
}

/* Is this what we call ourselves? Creation 0 is whoever has the name. */
static bool is_this_node(term name, uint32_t creation)
{
    const struct node *n = *node_this;

    return name == n->name && (creation == n->creation || creation == 0);
}

static term put_ext(struct dest *d, enum box_type type, term name,
                    uint32_t creation, const uint64_t *data, size_t n)
{
    term *p = d->htop;
    struct ext_words *e = (struct ext_words *)p;

    e->header = HEADER(type, 0, ext_words(n) - 1);
    e->next = d->off->first;
    d->off->first = p;
    e->node = node_get(name, creation);
    memcpy(e->data, data, n * sizeof *data);
    d->htop = p + ext_words(n);
    return boxed_make(p);
}

static term decode_pid(struct in *in, struct dest *d, bool old)
{
    term name = in_atom(in, true);
    uint32_t number = in_u32(in), serial = in_u32(in);
    uint32_t creation = in_creation(in, old);

    if (in->bad)
        return THE_NON_VALUE;
    if (is_this_node(name, creation)) {
        if (number >> PID_NUMBER_BITS || serial >> PID_SERIAL_BITS)
            return THE_NON_VALUE;
        return pid_make(number, serial);
    }
    uint64_t data = number | (uint64_t)serial << 32;
    return put_ext(d, BOX_EXTPID, name, creation, &data, 1);
}

static term decode_port(struct in *in, struct dest *d, uint32_t tag)
{
    term name = in_atom(in, true);
    uint64_t number = tag == V4_PORT_EXT ? in_u64(in) : in_u32(in);
    uint32_t creation = in_creation(in, tag == PORT_EXT);

    if (in->bad)
        return THE_NON_VALUE;
    if (is_this_node(name, creation)) {
        if (number >> (64 - IMM_SHIFT))
            return THE_NON_VALUE;
        return port_make(number);
    }
    return put_ext(d, BOX_EXTPORT, name, creation, &number, 1);
}

static term decode_ref(struct in *in, struct dest *d, uint32_t tag)
{
    uint32_t n = tag == REFERENCE_EXT ? 1 : in_u16(in);
    uint32_t num[REF_NUMBERS_MAX + 1] = {0};
    bool old = tag != NEWER_REFERENCE_EXT;
    term name = in_atom(in, true);
    uint32_t creation = 0;

    if (n > REF_NUMBERS_MAX)
        return THE_NON_VALUE;
    if (tag == REFERENCE_EXT) {
        num[0] = in_u32(in);
        creation = in_creation(in, true);
    } else {
        creation = in_creation(in, old);
        for (uint32_t i = 0; i < n; i++)
            num[i] = in_u32(in);
    }
    if (in->bad || (old && num[0] >= REF_FIRST_MAX))
        return THE_NON_VALUE;

    if (is_this_node(name, creation)) {
        uint64_t ref[2] = {num[0] | (uint64_t)num[1] << 32, num[2]};

        if (num[0] >= REF_FIRST_MAX || n > REF_NUMBERS)
            return THE_NON_VALUE;
        return ref_recall(d, ref);
    }
    uint64_t data[1 + (REF_NUMBERS_MAX + 1) / 2] = {n};
    for (uint32_t i = 0; i < n; i += 2)
        data[1 + i / 2] = num[i] | (uint64_t)num[i + 1] << 32;
    return put_ext(d, BOX_EXTREF, name, creation, data, extref_data(n));
}

static term decode_export(struct in *in, struct dest *d)
{
    term m = in_atom(in, true), f = in_atom(in, true);
    int32_t arity = in_int(in);

    if (in->bad)
        return THE_NON_VALUE;
    if ((in->flags & EXT_SAFE) && !export_callable(m, f, (uint32_t)arity))
        return THE_NON_VALUE;
    return export_fun_put(&d->htop, export_put(m, f, (uint32_t)arity));
}

/* A fun with holes for its creator and environment. */
static term decode_fun(struct in *in, struct dest *d, struct fill *fill,
                       struct wstack *s)
{
    in_u32(in);         /* the size; OTP 23 sometimes wrote a wrong one */
    uint32_t arity = in_u8(in);
    const uint8_t *uniq = in_bytes(in, 16);
    uint32_t index = in_u32(in), num_free = in_u32(in);
    term module = in_atom(in, true);
    /* The old index is told by `index`; new compilers make them the same. */
    in_int(in);
    uint32_t old_uniq = (uint32_t)in_int(in);

    if (in->bad || num_free > FUN_FREE_MAX)
        return THE_NON_VALUE;
    struct fun_words *f = (struct fun_words *)d->htop;
    d->htop += FUN_WORDS(num_free);
    f->header = HEADER(BOX_FUN, arity, FUN_WORDS(num_free) - 1);
    f->entry = fun_entry_put(module, index, old_uniq, uniq, arity, num_free);
    fill_begin(fill, s, &f->creator, 1 + num_free, FILL_ARRAY);
    return boxed_make((term *)f);
}

static term decode_tuple(struct dest *d, uint32_t n, struct fill *f, struct wstack *s)
{
    term *p = d->htop;

    p[0] = TUPLE_HEADER(n);
    d->htop += 1 + (size_t)n;
    if (n > 0)
        fill_begin(f, s, p + 1, n, FILL_ARRAY);
    return boxed_make(p);
}

/* Words of a flat map that is being filled in, from the keys' tuple on. */
static inline term *flat_value(term *tuple, size_t n, size_t i)
{
    return tuple + 1 + n + 2 + i;
}

/*
 * The map follows when its pairs are known; the slot is written then. One that
 * is flat is filled in where it will be.
 */
static term decode_map(struct in *in, struct dest *d, term *slot, struct fill *f,
                       struct wstack *s)
{
    uint32_t n = in_u32(in);

    if (n > 0 && n <= MAP_SMALL_LIMIT) {
        term *tuple = d->htop, *map = tuple + 1 + n;

        d->htop = flat_value(tuple, n, n);
        tuple[0] = TUPLE_HEADER(n);
        map[0] = MAP_HEADER(n);
        map[1] = boxed_make(tuple);
        fill_begin(f, s, tuple, 2 * (size_t)n, FILL_FLAT);
        return boxed_make(map);
    }
    struct pending_map *m
        = vm_try_alloc(ALLOC_PROC, sizeof *m + (size_t)n * 2 * sizeof(term));

    if (!m)
        return THE_NON_VALUE;
    m->slot = slot;
    m->n = n;
    fill_begin(f, s, (term *)m, 0, FILL_MAP);
    if (n > 0)
        fill_begin(f, s, m->pairs, 2 * (size_t)n, FILL_ARRAY);
    return TERM_NIL;
}

static term decode_bits(struct in *in, struct dest *d)
{
    uint32_t n = in_u32(in), last = in_u8(in);
    const uint8_t *bytes = in_bytes(in, n);
    term t = bytes ? put_bytes(d, bytes, n) : THE_NON_VALUE;

    if (t == THE_NON_VALUE || n == 0 || last == 8)
        return t;
    struct subbin_words *s = (struct subbin_words *)d->htop;
    d->htop += SUBBIN_WORDS;
    s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    s->orig = t;
    s->offset = 0;
    s->size = (uint64_t)(n - 1) * 8 + last;
    return boxed_make((term *)s);
}

/* The term at in->p, whose parts may be left to be filled in. */
static term decode_one(struct in *in, struct dest *d, term *slot, struct fill *fill,
                       struct wstack *s)
{
    uint32_t tag = in_u8(in), n;
    const uint8_t *bytes;
    double f;

    switch (tag) {
    case SMALL_BIG_EXT:
    case LARGE_BIG_EXT: {
        n = tag == SMALL_BIG_EXT ? in_u8(in) : in_u32(in);
        bool negative = in_u8(in) != 0;
        bytes = in_bytes(in, n);
        return bytes ? big_put_bytes(&d->htop, bytes, n, negative)
                     : THE_NON_VALUE;
    }
    case NEW_FLOAT_EXT:
        return float_make(&d->htop, double_of(in_u64(in)));
    case FLOAT_EXT:
        return in_float_text(in, &f) ? float_make(&d->htop, f) : THE_NON_VALUE;
    case ATOM_EXT:
    case SMALL_ATOM_EXT:
    case ATOM_UTF8_EXT:
    case SMALL_ATOM_UTF8_EXT:
        return in_atom_body(in, tag, true);
    case LARGE_TUPLE_EXT:
        return decode_tuple(d, in_u32(in), fill, s);
    case MAP_EXT:
        return decode_map(in, d, slot, fill, s);
    case BINARY_EXT:
        n = in_u32(in);
        bytes = in_bytes(in, n);
        return bytes ? put_bytes(d, bytes, n) : THE_NON_VALUE;
    case BIT_BINARY_EXT:
        return decode_bits(in, d);
    case PID_EXT:
    case NEW_PID_EXT:
        return decode_pid(in, d, tag == PID_EXT);
    case PORT_EXT:
    case NEW_PORT_EXT:
    case V4_PORT_EXT:
        return decode_port(in, d, tag);
    case REFERENCE_EXT:
    case NEW_REFERENCE_EXT:
    case NEWER_REFERENCE_EXT:
        return decode_ref(in, d, tag);
    case NEW_FUN_EXT:
        return decode_fun(in, d, fill, s);
    case EXPORT_EXT:
        return decode_export(in, d);
    default:
        return THE_NON_VALUE;
    }
}

/*
 * Where the next term goes; NULL if all is filled in, or, with *bad, if a map
 * can't be built.
 */
static inline term *fill_next(struct fill *f, struct wstack *s, struct dest *d,
                              bool *bad)
{
    for (;;) {
        term *at = f->at;
        size_t n = f->n >> FILL_BITS;

        switch (f->n & (FILL_ONE - 1)) {
        case FILL_ARRAY:
            if (n == 0)
                break;
            f->at = at + 1;
            f->n -= FILL_ONE;
            return at;
        case FILL_LIST:
            if (n == 0) {
                fill_end(f, s);
                return at - CONS_WORDS + 1;
            }
            f->at = at + CONS_WORDS;
            f->n -= FILL_ONE;
            return at;
        case FILL_FLAT: {
            size_t keys = header_words(*at), i = keys - (n + 1) / 2;

            if (n == 0) {
                if (map_flat_complete(at + 1, flat_value(at, keys, 0), keys))
                    break;
                *bad = true;
                return NULL;
            }
            f->n -= FILL_ONE;
            return n % 2 == 0 ? at + 1 + i : flat_value(at, keys, i);
        }
        default: {
            struct pending_map *m = (struct pending_map *)at;
            term *slot;

            if (!m)
                return NULL;
            slot = m->slot;
            fill_end(f, s);
            *slot = finish_map(d, m);
            if (*slot == THE_NON_VALUE) {
                *bad = true;
                return NULL;
            }
            continue;
        }
        }
        fill_end(f, s);
    }
}

/* After an error: nothing is built, and nothing kept. */
static void decode_undo(struct fill *f, struct wstack *s, struct dest *d,
                        term *start, term *first, size_t vheap)
{
    for (; f->at; fill_end(f, s)) {
        if ((f->n & (FILL_ONE - 1)) == FILL_MAP)
            vm_free(f->at);
    }
    for (term *obj = d->off->first, *next; obj != first; obj = next) {
        next = (term *)obj[1];
        offheap_drop(obj);
    }
    d->off->first = first;
    d->off->vheap_words = vheap;
    d->htop = start;
}

/*
 * What most terms are made of is read without a look at how much is left: the
 * first pass has looked. The rest goes by decode_one().
 */
term ext_decode(struct dest *d, const uint8_t *data, size_t n, unsigned flags)
{
    struct in in = {.p = data, .end = data + n, .flags = flags};
    term *start = d->htop, *first = d->off->first, *hp = start;
    size_t vheap = d->off->vheap_words;
    term result = TERM_NIL, *slot = &result;
    const uint8_t *p = data;
    struct fill f = {NULL, FILL_MAP};
    struct wstack s;
    bool bad = false;
    unsigned steps = 0;

    wstack_init(&s);
    while (slot) {
        term t;

        if (unlikely(++steps % PACE == 0))
            slice(PACE * 20);

        switch (*p) {
        case SMALL_INTEGER_EXT:
            t = small_make(p[1]);
            p += 2;
            break;
        case INTEGER_EXT:
            t = small_make((int32_t)get_u32(p + 1));
            p += 5;
            break;
        case NIL_EXT:
            t = TERM_NIL;
            p += 1;
            break;
        case SMALL_TUPLE_EXT: {
            size_t arity = p[1];

            p += 2;
            hp[0] = TUPLE_HEADER(arity);
            t = boxed_make(hp);
            if (arity > 0)
                fill_begin(&f, &s, hp + 1, arity, FILL_ARRAY);
            hp += 1 + arity;
            break;
        }
        case STRING_EXT: {
            size_t len = (size_t)p[1] << 8 | p[2];

            p += 3;
            t = len ? cons_make(hp) : TERM_NIL;
            for (size_t i = 0; i < len; i++, hp += CONS_WORDS) {
                hp[0] = small_make(p[i]);
                hp[1] = cons_make(hp + CONS_WORDS);
            }
            if (len)
                hp[-1] = TERM_NIL;
            p += len;
            break;
        }
        case LIST_EXT: {
            size_t len = get_u32(p + 1);
            term *cell = hp;

            p += 5;
            if (len == 0)
                continue;       /* the tail alone */
            t = cons_make(cell);
            hp += len * CONS_WORDS;
            for (size_t i = 1; i < 2 * len; i += 2) {
                cell[i] = cons_make(cell + i + 1);
                if (unlikely(i % PACE == PACE - 1))
                    slice(PACE);
            }
            fill_begin(&f, &s, cell, len, FILL_LIST);
            break;
        }
        default:
            in.p = p;
            d->htop = hp;
            t = decode_one(&in, d, slot, &f, &s);
            hp = d->htop;
            p = in.p;
            if (unlikely(t == THE_NON_VALUE || in.bad))
                goto failed;
        }
        *slot = t;
        d->htop = hp;
        slot = fill_next(&f, &s, d, &bad);
        hp = d->htop;
    }
    if (unlikely(bad)) {
failed:
        decode_undo(&f, &s, d, start, first, vheap);
        result = THE_NON_VALUE;
    }
    wstack_fini(&s);
    return result;
}

term ext_decode_mbuf(const uint8_t *data, size_t n, struct mbuf **out)
{
    size_t words;

    *out = NULL;
    if (n < 1 || data[0] != EXT_VERSION
        || ext_size(data + 1, n - 1, 0, &words) < 0)
        return THE_NON_VALUE;
    struct mbuf *m = mbuf_try_new(words);
    if (!m)
        return THE_NON_VALUE;
    struct dest d = {.htop = m->words, .off = &m->off};
    term t = ext_decode(&d, data + 1, n - 1, 0);
    m->used = (size_t)(d.htop - m->words);
    if (t == THE_NON_VALUE) {
        mbuf_free(m);
        return t;
    }
    *out = m;
    return t;
}
