/*
 * copy.c - the size of a term, and copies of it.
 *
 * A copy needs no stack: like the collector, it copies an object flat to the
 * destination and then scans what it has copied. Unlike there nothing is left
 * behind in the source, so what is shared in a term is not in its copy.
 *
 * Both passes must agree on every object's size; object_words() is the one
 * place that knows.
 */
#include "vm/binary.h"
#include "vm/literal.h"
#include "vm/node.h"
#include "vm/proc.h"
#include "vm/ops.h"
#include "vm/slice.h"
#include "vm/wstack.h"

/* A part of a heap binary is copied without the rest of it. */
static bool subbin_is_flat(const term *obj)
{
    return boxed_is(((const struct subbin_words *)obj)->orig, BOX_HEAPBIN);
}

static size_t subbin_flat_words(const struct subbin_words *s)
{
    return HEAPBIN_WORDS((s->size + 7) / 8) + (s->size & 7 ? SUBBIN_WORDS : 0);
}

/* Words of the copy of one object, without what it refers to. */
static inline size_t object_words(const term *obj)
{
    if (header_type(*obj) == BOX_SUBBIN && subbin_is_flat(obj))
        return subbin_flat_words((const struct subbin_words *)obj);
    return 1 + header_words(*obj);
}

/*
 * On OTP a copy of whole bytes is no part of another binary; of others all the
 * bytes that they touch are copied, as they lie.
 */
static size_t subbin_otp_words(const struct subbin_words *s, bool flat)
{
    size_t bits = (s->size & 7) + (s->offset & 7), bytes = s->size / 8 + (bits + 7) / 8;

    return (flat ? HEAPBIN_WORDS(bytes) : 0) + (bits > 0 ? 5 : 0);
}

/*
 * What erts_debug:flat_size/1 says: OTP's layout, where it is not ours. A
 * hashed map has no word for the root apart from its first node there, and
 * keeps a node's bitmap in the header.
 */
static inline size_t object_otp_words(const term *obj)
{
    size_t n = 1 + header_words(*obj);

    switch (header_type(*obj)) {
    case BOX_TUPLE:
        return n == 1 ? 0 : n;  /* there is one {}, on no heap */
    case BOX_FUN:
        return n + 2;
    case BOX_EXPORT:
        return 5;
    case BOX_MAP:
        return n + 1;           /* OTP keeps the size in a word */
    case BOX_HASHMAP:
        return 1;
    case BOX_MAPNODE:
        return n - 1;
    case BOX_REFCBIN:
        return 6;
    case BOX_SUBBIN:
        return subbin_otp_words((const struct subbin_words *)obj, subbin_is_flat(obj));
    case BOX_EXTPID:
    case BOX_EXTPORT:
        return 4;
    case BOX_EXTREF:            /* the count shares a word with the first number */
        return 4 + ((const struct ext_words *)obj)->data[0] / 2;
    case BOX_MAGIC:
        return REF_WORDS;       /* the resource is found by its numbers */
    default:
        return n;
    }
}

#define FLAT_NS 10             /* to look at an object of one term */

/* COPY: literals count nothing. */
enum what { COPY, ALL, FLAT };

static inline __attribute__((always_inline)) size_t size_of(term t,
                                                            enum what what)
{
    struct wstack todo;
    size_t n = 0;

    wstack_init(&todo);
    for (;;) {
        const term *obj;
        size_t first;

        if (term_is_cons(t) && !(what == COPY && term_stays(t))) {
            struct list_walk w = LIST_WALK;

            do {
                term head = cons_head(t);

                n += CONS_WORDS;
                if (what == FLAT)
                    slice(FLAT_NS);
                if (!term_is_imm(head))
                    wstack_push(&todo, head);
            } while (list_next(&t, &w) && !(what == COPY && term_stays(t)));
        }
        if (!term_is_boxed(t) || (what == COPY && term_stays(t)))
            goto next;
        obj = boxed_ptr(t);
        n += what == FLAT ? object_otp_words(obj) : object_words(obj);
        switch (header_type(*obj)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            first = 1;
            break;
        case BOX_FUN:
            first = 2;
            break;
        case BOX_SUBBIN:
            if (subbin_is_flat(obj))
                goto next;
            t = ((const struct subbin_words *)obj)->orig;
            continue;
        default:
            goto next;
        }
        for (size_t i = 1 + header_words(*obj); i-- > first;)
            if (!term_is_imm(obj[i]))
                wstack_push(&todo, obj[i]);
    next:
        if (todo.n == 0)
            break;
        t = wstack_pop(&todo);
        /* The others are of a copy, which is made at once. */
        if (what == FLAT)
            slice(FLAT_NS);
    }
    wstack_fini(&todo);
    return n;
}

size_t term_size(term t)
{
    return term_is_imm(t) ? 0 : size_of(t, COPY);
}

size_t term_size_all(term t)
{
    return term_is_imm(t) ? 0 : size_of(t, ALL);
}

size_t term_flat_size(term t)
{
    return term_is_imm(t) ? 0 : size_of(t, FLAT);
}

static void offheap_link(struct offheap *off, term *obj, size_t words)
{
    obj[1] = (term)(uintptr_t)off->first;
    off->first = obj;
    off->vheap_words += words;
}

/* The bits of a sub-binary as a heap binary, and a sub-binary of that when they
 * do not fill their last byte. */
static term copy_flat_subbin(struct dest *d, const struct subbin_words *s)
{
    const struct heapbin_words *orig =
        (const struct heapbin_words *)boxed_ptr(s->orig);
    size_t bytes = (s->size + 7) / 8;
    struct heapbin_words *h = (struct heapbin_words *)d->htop;
    struct subbin_words *sub;

    d->htop += HEAPBIN_WORDS(bytes);
    h->header = HEADER(BOX_HEAPBIN, 0, HEAPBIN_WORDS(bytes) - 1);
    h->size = bytes;
    if (bytes > 0) {
        ((term *)h)[HEAPBIN_WORDS(bytes) - 1] = 0;
        bits_copy(h->data, 0, orig->data, s->offset, s->size);
    }
    if ((s->size & 7) == 0)
        return boxed_make((term *)h);
    sub = (struct subbin_words *)d->htop;
    d->htop += SUBBIN_WORDS;
    sub->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    sub->orig = boxed_make((term *)h);
    sub->offset = 0;
    sub->size = s->size;
    return boxed_make((term *)sub);
}

/* obj is a copy: one more that refers to what is off the heap. */
static inline void offheap_get(struct dest *d, term *obj)
{
    switch (header_type(*obj)) {
    case BOX_REFCBIN: {
        struct refcbin_words *bin = (struct refcbin_words *)obj;

        /* Only one object may be appended to in place: the source. */
        bin->header = HEADER(BOX_REFCBIN, 0, REFCBIN_WORDS - 1);
        refbin_get(bin->bin);
        offheap_link(d->off, obj, bin->size / sizeof(term));
        break;
    }
    case BOX_MAGIC:
        resource_get(((struct magic_words *)obj)->res);
        offheap_link(d->off, obj, 0);
        break;
    case BOX_EXTPID:
    case BOX_EXTPORT:
    case BOX_EXTREF:
        node_ref(((struct ext_words *)obj)->node);
        offheap_link(d->off, obj, 0);
        break;
    }
}

static term copy_boxed(struct dest *d, const term *obj)
{
    term header = *obj, *copy = d->htop;
    size_t n = 1 + header_words(header);
    unsigned type = header_type(header);

    if (type == BOX_SUBBIN && subbin_is_flat(obj))
        return copy_flat_subbin(d, (const struct subbin_words *)obj);
    d->htop += n;
    for (size_t i = 0; i < n; i++)
        copy[i] = obj[i];
    if (type == BOX_SUBBIN)
        copy[0] = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    else if (type == BOX_MATCH)
        vm_bug("a match context is copied");
    else
        offheap_get(d, copy);
    return boxed_make(copy);
}

/* Copied words that refer to nothing but each other: no need to scan them. */
struct done {
    term *from, *to;
};

/*
 * The cells of a list, side by side; their tails lead into the copy, which tells
 * the scan that they are done.
 */
static inline __attribute__((always_inline)) term
copy_list(struct dest *d, term t, bool all, struct done *done)
{
    struct list_walk w = LIST_WALK;
    term *start = d->htop, *cell = start;
    bool flat = true;

    do {
        term head = cons_head(t);

        cell[0] = head;
        cell[1] = cons_make(cell + CONS_WORDS);
        cell += CONS_WORDS;
        flat &= term_is_imm(head);
    } while (list_next(&t, &w) && (all || !term_stays(t)));
    cell[-1] = t;
    d->htop = cell;
    if (flat && term_is_imm(t))
        *done = (struct done){start, cell};
    return cons_make(start);
}

static inline __attribute__((always_inline)) void
copy_word(struct dest *d, term *at, const term *start, bool all, struct done *done)
{
    term t = *at;

    if (term_is_cons(t)) {
        const term *src = cons_ptr(t);

        if ((!all && term_stays(t)) ||
            (size_t)(src - start) < (size_t)(d->htop - start))
            return;
        *at = copy_list(d, t, all, done);
    } else if (term_is_boxed(t)) {
        const term *src = boxed_ptr(t);

        if ((!all && term_stays(t)) ||
            (size_t)(src - start) < (size_t)(d->htop - start))
            return;
        *at = copy_boxed(d, src);
    }
}

static inline __attribute__((always_inline)) term copy(struct dest *d, term t,
                                                       bool all)
{
    term *s = d->htop, *start = s;
    struct done done = {NULL, NULL};

    copy_word(d, &t, start, all, &done);
    while (s < d->htop) {
        if (s == done.from) {
            s = done.to;
            continue;
        }
        if (!term_is_header(*s)) {
            copy_word(d, s++, start, all, &done);
            continue;
        }
        switch (header_type(*s)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            s += 1;
            break;
        case BOX_FUN:
            s += 2;
            break;
        case BOX_SUBBIN:
            copy_word(d, &((struct subbin_words *)s)->orig, start, all, &done);
            s += SUBBIN_WORDS;
            break;
        default:
            s += 1 + header_words(*s);
        }
    }
    return t;
}

term term_copy(struct dest *d, term t)
{
    return term_is_imm(t) ? t : copy(d, t, false);
}

term term_copy_all(struct dest *d, term t)
{
    return term_is_imm(t) ? t : copy(d, t, true);
}

term term_copy_to(struct proc *p, term t)
{
    size_t words = term_size(t);
    struct dest d;

    if (words == 0)
        return t;
    d = (struct dest){heap_alloc(p, words), &p->heap.off};
    t = term_copy(&d, t);
    if (p->heap.off.vheap_words > p->heap.bin_vheap_limit)
        p->heap.want_gc = true;
    return t;
}

void term_copy_block(struct dest *d, const term *from, size_t n)
{
    term *s = d->htop, *end = s + n;
    uintptr_t by = (uintptr_t)s - (uintptr_t)from;

    d->htop = end;
    while (s < end) {
        term w = *from, *obj = s;
        size_t raw;             /* words that refer to nothing in the block */

        if (!term_is_header(w)) {
            *s++ = term_is_imm(w) ? w : w + by;
            from++;
            continue;
        }
        switch (header_type(w)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            raw = 1;
            break;
        case BOX_FUN:
            raw = 2;
            break;
        default:
            raw = 1 + header_words(w);
        }
        for (; raw > 0; raw--)
            *s++ = *from++;
        if (header_type(w) == BOX_SUBBIN)
            ((struct subbin_words *)obj)->orig += by;
        else
            offheap_get(d, obj);
    }
}

/*
 * With sharing kept: a table of the objects met, by address, and where their
 * copies are. For erts_debug and persistent_term; sends and inserts do not pay
 * for it.
 */
struct seen {
    struct {
        term from, to;
    } *slots;
    size_t n, size;             /* a power of two, at most half full */
    bool all;                   /* literals too */
};

/* Where the copy of an object is noted: 0 for one that was not met before. */
#define SEEN_NS 80              /* to look whether an object was met before */
#define SEEN_FAR_NS 300         /* in a table that no cache has, whose pages may be new */
#define NEAR_SLOTS 65536

static inline size_t seen_ns(const struct seen *s)
{
    return s->size > NEAR_SLOTS ? SEEN_FAR_NS : SEEN_NS;
}

static term *seen_at(struct seen *s, term t)
{
    size_t mask = s->size - 1;

    for (size_t i = (t * 0x9e3779b97f4a7c15u >> 32) & mask;; i = (i + 1) & mask) {
        if (s->slots[i].from == t)
            return &s->slots[i].to;
        if (s->slots[i].from == 0) {
            s->slots[i].from = t;
            s->n++;
            return &s->slots[i].to;
        }
    }
}

static bool was_seen(const struct seen *s, term t)
{
    size_t mask = s->size - 1, i = (t * 0x9e3779b97f4a7c15u >> 32) & mask;

    while (s->slots[i].from != 0 && s->slots[i].from != t)
        i = (i + 1) & mask;
    return s->slots[i].from == t;
}

static void seen_init(struct seen *s, size_t size)
{
    s->n = 0;
    s->size = size;
    s->slots = vm_zalloc(ALLOC_SYSTEM, size * sizeof *s->slots);
}

static void seen_room(struct seen *s)
{
    struct seen old = *s;

    if (s->n * 2 < s->size)
        return;
    seen_init(s, old.size * 2);
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].from)
            *seen_at(s, old.slots[i].from) = old.slots[i].to;
        slice(seen_ns(s));
    }
    slice_free(old.slots);
}

static inline bool is_object(const struct seen *s, term t)
{
    return !term_is_imm(t) && (s->all || !term_is_literal(t));
}

/*
 * The words of all objects of t, each once, here or (otp) on OTP; they are in the
 * table then.
 */
static size_t walk_shared(struct seen *seen, term t, bool otp)
{
    struct wstack todo;
    size_t n = 0;

    wstack_init(&todo);
    wstack_push(&todo, t);
    while (todo.n > 0) {
        const term *obj;
        size_t first = 1, end;
        term *met;

        t = wstack_pop(&todo);
        if (!is_object(seen, t))
            continue;
        seen_room(seen);
        met = seen_at(seen, t);
        slice(seen_ns(seen));
        if (*met)
            continue;
        *met = THE_NON_VALUE;
        if (term_is_cons(t)) {
            obj = cons_ptr(t);
            n += CONS_WORDS;
            wstack_push(&todo, obj[1]);
            wstack_push(&todo, obj[0]);
            continue;
        }
        obj = boxed_ptr(t);
        n += otp ? object_otp_words(obj) : object_words(obj);
        end = 1 + header_words(*obj);
        switch (header_type(*obj)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            break;
        case BOX_FUN:
            first = 2;
            break;
        case BOX_SUBBIN:
            end = subbin_is_flat(obj) ? 1 : 2;
            break;
        default:
            continue;
        }
        while (end-- > first)
            wstack_push(&todo, obj[end]);
    }
    wstack_fini(&todo);
    return n;
}

size_t term_size_shared(term t)
{
    struct seen seen = {.all = false};
    size_t n;

    seen_init(&seen, 64);
    n = walk_shared(&seen, t, true);
    slice_free(seen.slots);
    return n;
}

static void copy_shared_word(struct dest *d, struct seen *seen, term *at)
{
    term t = *at, *met;

    if (!is_object(seen, t))
        return;
    met = seen_at(seen, t);
    if (*met == THE_NON_VALUE) {
        if (term_is_cons(t)) {
            term *hp = d->htop;

            *met = put_cons(&hp, cons_head(t), cons_tail(t));
            d->htop = hp;
        } else {
            *met = copy_boxed(d, boxed_ptr(t));
        }
    }
    *at = *met;
}

/* A copy, of what walk_shared() went through. */
static term copy_shared(struct dest *d, struct seen *seen, term t)
{
    term *s = d->htop;

    copy_shared_word(d, seen, &t);
    while (s < d->htop) {
        slice(seen_ns(seen));
        if (!term_is_header(*s)) {
            copy_shared_word(d, seen, s++);
            continue;
        }
        switch (header_type(*s)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            s += 1;
            break;
        case BOX_FUN:
            s += 2;
            break;
        case BOX_SUBBIN:
            /* A flat one's copy refers to what was copied with it. */
            if (was_seen(seen, ((struct subbin_words *)s)->orig))
                copy_shared_word(d, seen, &((struct subbin_words *)s)->orig);
            s += SUBBIN_WORDS;
            break;
        default:
            s += 1 + header_words(*s);
        }
    }
    return t;
}

term term_copy_shared(struct proc *p, term t)
{
    struct seen seen = {.all = false};
    struct dest d;

    seen_init(&seen, 64);
    d = (struct dest){heap_alloc(p, walk_shared(&seen, t, false)), &p->heap.off};
    t = copy_shared(&d, &seen, t);
    slice_free(seen.slots);
    return t;
}

struct literal_area *term_to_area(term t, term *copy)
{
    struct seen seen = {.all = true};
    struct literal_area *a;
    struct dest d;

    seen_init(&seen, 64);
    a = literal_area_new(walk_shared(&seen, t, false));
    if (a) {
        d = (struct dest){a->start, &a->off};
        *copy = copy_shared(&d, &seen, t);
        a->end = d.htop;
    }
    slice_free(seen.slots);
    return a;
}
