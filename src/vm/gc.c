/*
 * gc.c - the generational copying collector.
 *
 *        from                                    to
 *    old heap     [old_heap ... old_htop)   minor: stays, grows at old_htop
 *    young block  [heap .. high_water)      minor: to the old heap
 *                 [high_water .. htop)      minor: to a new young block
 *    fragments    p->heap.mbuf              minor: to the new young block
 *
 * A full sweep copies all four to one new young block. Terms are immutable, so
 * what has survived one collection can only refer to what is as old: the old
 * heap needs no list of pointers into the young one.
 *
 * Cheney: what the roots refer to is copied first; then the copies are scanned
 * from the bottom and what they refer to is copied behind them, until the scan
 * reaches the top. A copied object leaves its new address behind (term.h).
 *
 * A large heap is collected in slices (slice.h), between which the process does
 * not run, and nobody touches its heap.
 */
#include "vm/gc.h"
#include "vm/atom.h"
#include "os/os.h"
#include "vm/binary.h"
#include "vm/heap.h"
#include "vm/heaplimit.h"
#include "vm/msacc.h"
#include "vm/pdict.h"
#include "vm/roots.h"
#include "vm/slice.h"
#include "vm/sysmon.h"
#include "vm/trace.h"

#include <errno.h>

/*
 * A young block whose survivors fill more than half of it doubles at the next
 * collection (measured on programs that build trees: 40 ms become 34), up to
 * this size; above, it grows by one step as in OTP.
 */
#define DOUBLE_MAX_WORDS ((size_t)8 << 20)

/*
 * A minor collection that leaves the young block nearly empty is mostly followed
 * by some that don't. So the block shrinks, which is another copy of what lives,
 * only after so many in a row, or if it is larger than this.
 */
#define ROOMY_COLLECTIONS 4
#define ROOMY_MAX_WORDS ((size_t)1 << 20)

/* Heaps of so many words, with fragments and binaries, are collected in slices. */
#define SLICED_WORDS ((size_t)128 << 10)
/* An object of more words is copied in slices. */
#define SLICED_OBJECT ((size_t)32 << 10)
/* Words looked at, and cells of one list copied, until time is looked at. */
#define PACE_WORDS 128
#define PACE_CELLS 1024
#define COPY_NS 2                       /* a word's */
#define SWEEP_NS 20                     /* of a list: one object */

struct gc {
    struct proc *p;
    term *roots;                /* x registers and what else the caller holds */
    size_t nroots;

    /* What is copied from, in bytes: addresses below `young` wrap around. */
    uintptr_t young;            /* the young block up to htop */
    size_t young_bytes;
    size_t mature_bytes;        /* of those, what goes to the old heap */
    uintptr_t old;              /* the old heap, which a minor one leaves */
    size_t old_bytes;
    bool frags;                 /* there are fragments */
    uintptr_t to;               /* the new block: what lies there has been moved */
    size_t to_bytes;

    /* What is copied to. */
    term *new_heap, *new_htop, *new_hend;
    term *old_htop;             /* minor only */
    term *new_paced, *old_paced;        /* as far as pace() has counted */
};

/*
 * MINOR: young goes to its generation. INTO_OLD: what a promoted object refers
 * to is promoted. FULL: all but literals is moved. RESIZE: one block, which
 * holds all that is young, to another.
 */
enum mode { MINOR, INTO_OLD, FULL, RESIZE };

size_t heap_size_step(size_t words)
{
    size_t a = 12, b = 38, next;

    if (words <= a)
        return a;
    /* Fibonacci up to the 23rd step, a fifth at a time from there. */
    for (int i = 2; b < words; i++) {
        next = i < 23 ? a + b + 1 : b + b / 5;
        a = b;
        b = next;
    }
    return b;
}

static size_t size_for(const struct heap *h, size_t words)
{
    size_t size = heap_size_step(words);

    return size < h->min_words ? h->min_words : size;
}

/* Where the object at src goes; NULL if it stays. */
static inline __attribute__((always_inline)) term **
destination(struct gc *g, const term *src, enum mode mode)
{
    uintptr_t a = (uintptr_t)src;
    size_t at = a - g->young;

    switch (mode) {
    case FULL:
        return a - vm.literal_base < vm.literal_end - vm.literal_base ||
                       a - g->to < g->to_bytes
                   ? NULL
                   : &g->new_htop;
    case RESIZE:
        return at < g->young_bytes ? &g->new_htop : NULL;
    case INTO_OLD:
        return at < g->young_bytes ? &g->old_htop : NULL;
    case MINOR:
        if (at < g->young_bytes)
            return at < g->mature_bytes ? &g->old_htop : &g->new_htop;
        if (likely(!g->frags) || a - g->old < g->old_bytes ||
            a - g->to < g->to_bytes ||
            a - vm.literal_base < vm.literal_end - vm.literal_base)
            return NULL;
        return &g->new_htop;
    }
    __builtin_unreachable();
}

/* What has been copied since the last time is work that took time. */
static inline void pace(struct gc *g)
{
    slice(PACE_WORDS + COPY_NS * (size_t)(g->new_htop - g->new_paced +
                                          (g->old_htop - g->old_paced)));
    g->new_paced = g->new_htop;
    g->old_paced = g->old_htop;
}

static inline __attribute__((always_inline)) void visit(struct gc *g, term *at,
                                                        enum mode mode)
{
    term t = *at;

    if ((t & TAG_MASK) == TAG_CONS) {
        term *src = cons_ptr(t);
        term **to = destination(g, src, mode);
        term *copy;

        if (!to)
            return;
        if (src[0] == THE_NON_VALUE) {
            *at = src[1];
            return;
        }
        *at = cons_make(*to);
        /* All of the list that goes there, side by side: fewer visits, and who
         * walks along it later finds it in order. What is left of a very long
         * one is found when its last cell here is scanned. */
        copy = *to;
        for (unsigned left = PACE_CELLS;; left--) {
            term tail = src[1];

            copy[0] = src[0];
            src[0] = THE_NON_VALUE;
            src[1] = cons_make(copy);
            copy += CONS_WORDS;
            if (!term_is_cons(tail) || left == 0 ||
                destination(g, src = cons_ptr(tail), mode) != to) {
                copy[-1] = tail;
                break;
            }
            if (src[0] == THE_NON_VALUE) {
                copy[-1] = src[1];
                break;
            }
            copy[-1] = cons_make(copy);
        }
        *to = copy;
    } else if ((t & TAG_MASK) == TAG_BOXED) {
        term *src = boxed_ptr(t);
        term **to = destination(g, src, mode);
        term header, *copy;
        size_t n;

        if (!to)
            return;
        header = src[0];
        if (term_is_boxed(header)) {
            *at = header;
            return;
        }
        assert(term_is_header(header));
        n = header_words(header);
        copy = *to;
        *to += 1 + n;
        copy[0] = header;
        if (unlikely(n > SLICED_OBJECT))
            slice_copy(copy + 1, src + 1, n * sizeof *copy);
        else
            for (size_t i = 1; i <= n; i++)
                copy[i] = src[i];
        src[0] = *at = boxed_make(copy);
    }
}

/*
 * The words of the object at s that need no visit, its header included. Those
 * of its fields that need one while others don't are visited here.
 */
static inline size_t scan_header(struct gc *g, term *s, enum mode mode)
{
    switch (header_type(*s)) {
    case BOX_TUPLE:
    case BOX_MAP:
    case BOX_HASHMAP:
    case BOX_MAPNODE:
        return 1;
    case BOX_FUN:
        return 2;
    case BOX_SUBBIN:
        visit(g, &((struct subbin_words *)s)->orig, mode);
        return SUBBIN_WORDS;
    case BOX_MATCH: {
        struct match_words *m = (struct match_words *)s;

        visit(g, &m->orig, mode);
        m->base = binary_data(m->orig);
        return MATCH_WORDS;
    }
    default:
        return 1 + header_words(*s);
    }
}

/* Scan copies from s up to *top, which moves on as they refer to more. */
static inline __attribute__((always_inline)) void
scan(struct gc *g, term *s, term *const *top, enum mode mode)
{
    while (s < *top) {
        const term *until = *top - s > PACE_WORDS ? s + PACE_WORDS : *top;

        while (s < until) {
            switch (*s & TAG_MASK) {
            case TAG_CONS:
            case TAG_BOXED:
                visit(g, s, mode);
                s++;
                break;
            case TAG_HEADER:
                s += scan_header(g, s, mode);
                break;
            default:
                s++;
            }
        }
        pace(g);
    }
}

#define RANGE(name, mode)                                                      \
    static void name(void *ctx, term *start, size_t n)                         \
    {                                                                          \
        for (size_t i = 0; i < n; i++) {                                       \
            visit(ctx, &start[i], mode);                                       \
            if (i % PACE_WORDS == PACE_WORDS - 1)                              \
                pace(ctx);                                                     \
        }                                                                      \
    }
RANGE(range_minor, MINOR)
RANGE(range_full, FULL)
RANGE(range_resize, RESIZE)

static void visit_roots(struct gc *g, root_range range)
{
    struct proc *p = g->p;
    struct heap *h = &p->heap;
    term *one[] = {
        &p->exit_reason, &p->group_leader, &p->seq_token, &p->ftrace_args,
        &p->exc.reason,  &p->exc.trace,    &p->exc.args,  &p->exc.cause,
        &p->parent,      &p->initial_call,
    };

    range(g, h->stop, h->hend - h->stop);
    range(g, g->roots, g->nroots);
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        range(g, one[i], 1);
    /* Those on the heap come first, or nearly so: not a walk of all. */
    size_t left = p->msgq.on_heap;
    for (struct msg *m = p->msgq.first; left > 0; m = m->next) {
        if (!m->frag && msg_has_roots(m)) {
            range(g, &m->value, 1);
            range(g, &m->token, 1);
            left--;
            pace(g);
        }
    }
    proc_roots(p, range, g);
}

/* Bytes off the heap that an object keeps, as words. */
static size_t offheap_words(const term *obj)
{
    return header_type(*obj) == BOX_REFCBIN
               ? ((const struct refcbin_words *)obj)->size / sizeof(term)
               : 0;
}

/*
 * Go through a list of the from-space: what was moved is entered in the list of
 * the generation it is in now, what was not is garbage.
 */
static void sweep_offheap(struct gc *g, struct offheap *from,
                          struct offheap *young, struct offheap *old)
{
    term *obj = from->first;

    *from = (struct offheap){0};
    while (obj) {
        term *next = (term *)obj[1];

        if (term_is_boxed(obj[0])) {
            term *copy = boxed_ptr(obj[0]);
            struct offheap *to =
                copy >= g->new_heap && copy < g->new_hend ? young : old;

            copy[1] = (term)(uintptr_t)to->first;
            to->first = copy;
            to->vheap_words += offheap_words(copy);
        } else {
            offheap_drop(obj);
        }
        slice(SWEEP_NS);
        obj = next;
    }
}

/* Off-heap bytes that ask for the next collection: grow by 1.618 above three
 * quarters, halve below one. */
static size_t next_vheap(const struct heap *h, size_t used, size_t limit)
{
    if (used / 3 > limit / 4) {
        while (used / 3 > limit / 4)
            limit = limit * 1618 / 1000;
    } else if (used < limit / 4) {
        limit /= 2;
    }
    return limit < h->min_bin_vheap ? h->min_bin_vheap : limit;
}

/* The young block is the new one from here; its stack is at its end. */
static void young_replace(struct gc *g)
{
    struct heap *h = &g->p->heap;
    size_t stack = h->hend - h->stop;

    slice_copy(g->new_hend - stack, h->stop, stack * sizeof(term));
    slice_free(h->heap);
    h->heap = g->new_heap;
    h->htop = h->high_water = g->new_htop;
    h->hend = g->new_hend;
    h->stop = g->new_hend - stack;
    assert(h->htop <= h->stop);
}

static bool new_block(struct gc *g, size_t words)
{
    g->new_heap = vm_try_alloc(ALLOC_PROC, words * sizeof(term));
    if (!g->new_heap)
        return false;
    g->new_htop = g->new_paced = g->new_heap;
    g->new_hend = g->new_heap + words;
    g->to = (uintptr_t)g->new_heap;
    g->to_bytes = words * sizeof(term);
    return true;
}

/* Move the young block, all of it live, to one of another size. */
static int young_resize(struct gc *g, size_t words)
{
    struct heap *h = &g->p->heap;
    struct offheap live = {0};

    g->young = (uintptr_t)h->heap;
    g->young_bytes = (h->htop - h->heap) * sizeof(term);
    if (!new_block(g, words))
        return -ENOMEM;
    visit_roots(g, range_resize);
    scan(g, g->new_heap, &g->new_htop, RESIZE);
    sweep_offheap(g, &h->off, &live, &live);
    h->off = live;
    young_replace(g);
    return 0;
}

static size_t frag_words(const struct heap *h)
{
    size_t n = 0;

    for (const struct mbuf *m = h->mbuf; m; m = m->next) {
        n += m->used;
        slice(1);
    }
    return n;
}

/* The fragments' terms have been copied: give them back. */
static void frags_release(struct gc *g, struct offheap *young,
                          struct offheap *old)
{
    struct heap *h = &g->p->heap;

    for (struct mbuf *m = h->mbuf; m; m = m->next)
        sweep_offheap(g, &m->off, young, old);
    mbuf_free(h->mbuf);
    h->mbuf = NULL;
    h->mbuf_words = 0;
    h->frag_vheap_words = 0;
}

/* Make `need` words free after a collection, and shrink what is too large. */
static int fit(struct gc *g, size_t need, bool minor)
{
    struct heap *h = &g->p->heap;
    size_t size = h->hend - h->heap;
    size_t live = h->htop - h->heap + (h->hend - h->stop);
    size_t wanted = size;

    need += live + HEAP_RESERVE;
    /* Not a word more: the next heap test collects again. */
    if (vm.stress_gc)
        return young_resize(g, need);
    h->grow = need * 2 > size;
    if (need > size) {
        wanted = size_for(h, need);
    } else if (minor) {
        size_t old_size = h->old_hend - h->old_heap;

        bool roomy = size > 3000 && 4 * need < size &&
                     (size > 8000 || size > old_size);

        if (!roomy)
            h->roomy_gcs = 0;
        else if (size > ROOMY_MAX_WORDS || ++h->roomy_gcs >= ROOMY_COLLECTIONS) {
            /* Not small beside the old heap, or it fills too soon. */
            wanted = 3 * need;
            if (wanted * 9 < old_size && old_size / 8 > wanted)
                wanted = old_size / 8;
            wanted = size_for(h, wanted);
        }
    } else if (4 * need < size) {
        wanted = size_for(h, 2 * need);
    }
    if (wanted > size)
        return young_resize(g, wanted);
    /* Without memory for a smaller block the larger one serves as well. */
    if (wanted < size)
        (void)young_resize(g, wanted);
    return 0;
}

static size_t grown(const struct heap *h, size_t words)
{
    size_t size = size_for(h, words);

    if (!h->grow)
        return size;
    return size_for(h, size <= DOUBLE_MAX_WORDS ? size * 2 : size + 1);
}

static int full(struct gc *g, size_t need)
{
    struct heap *h = &g->p->heap;
    struct offheap live = {0};
    size_t used = h->htop - h->heap + frag_words(h) + (h->old_htop - h->old_heap);
    size_t stack = h->hend - h->stop;
    size_t size = grown(h, used + stack + HEAP_RESERVE);

    if (!heap_limit_allows(g->p, used + (h->old_hend - h->old_htop) +
                                     (h->hend - h->htop) + size))
        return -E2BIG;
    if (!new_block(g, size))
        return -ENOMEM;
    visit_roots(g, range_full);
    scan(g, g->new_heap, &g->new_htop, FULL);

    sweep_offheap(g, &h->off, &live, &live);
    sweep_offheap(g, &h->old_off, &live, &live);
    frags_release(g, &live, &live);
    h->off = live;
    young_replace(g);
    slice_free(h->old_heap);
    h->old_heap = h->old_htop = h->old_hend = NULL;

    h->bin_vheap_limit = next_vheap(h, live.vheap_words, h->bin_vheap_limit);
    h->bin_old_vheap_limit =
        next_vheap(h, live.vheap_words, h->bin_old_vheap_limit);
    h->gen_gcs = 0;
    h->want_full = false;
    g->p->gc_major_total++;
    vm.gc.words_reclaimed += used - (h->htop - h->heap);
    return fit(g, need, false);
}

/* 1: the old heap is too small, a full sweep is needed. */
static int minor(struct gc *g, size_t need)
{
    struct heap *h = &g->p->heap;
    struct offheap live = {0}, promoted;
    size_t mature = h->high_water - h->heap;
    size_t used = h->htop - h->heap + frag_words(h);
    size_t stack = h->hend - h->stop;
    size_t size = grown(h, used + stack + HEAP_RESERVE);
    size_t old_size = h->old_heap ? (size_t)(h->old_hend - h->old_heap)
                      : mature    ? heap_size_step(used + 1)
                                  : 0;
    term *promoted_from;

    if (h->old_heap ? mature > (size_t)(h->old_hend - h->old_htop) ||
                          h->old_off.vheap_words >= h->bin_old_vheap_limit
                    : false)
        return 1;
    if (!heap_limit_allows(g->p, used + (h->hend - h->htop) + old_size + size))
        return -E2BIG;
    if (!h->old_heap && mature) {
        h->old_heap = vm_try_alloc(ALLOC_PROC, old_size * sizeof(term));
        if (!h->old_heap)
            return -ENOMEM;
        h->old_htop = h->old_heap;
        h->old_hend = h->old_heap + old_size;
    }
    if (!new_block(g, size))
        return -ENOMEM;
    g->young = (uintptr_t)h->heap;
    g->young_bytes = (h->htop - h->heap) * sizeof(term);
    g->mature_bytes = mature * sizeof(term);
    g->old = (uintptr_t)h->old_heap;
    g->old_bytes = (h->old_hend - h->old_heap) * sizeof(term);
    g->frags = h->mbuf != NULL;
    g->old_htop = g->old_paced = promoted_from = h->old_htop;

    visit_roots(g, range_minor);
    scan(g, g->new_heap, &g->new_htop, MINOR);
    scan(g, promoted_from, &g->old_htop, INTO_OLD);
    assert(g->old_htop <= h->old_hend);
    h->old_htop = g->old_htop;

    promoted = h->old_off;
    sweep_offheap(g, &h->off, &live, &promoted);
    frags_release(g, &live, &promoted);
    h->off = live;
    h->old_off = promoted;
    young_replace(g);

    h->bin_vheap_limit = next_vheap(h, live.vheap_words, h->bin_vheap_limit);
    h->gen_gcs++;
    g->p->gc_minor++;
    vm.gc.words_reclaimed +=
        used - (h->htop - h->heap) - (h->old_htop - promoted_from);
    return fit(g, need, true);
}

/* A collection, told to the process's tracer. */
static __attribute__((noinline, cold)) int traced_part(struct gc *g, size_t need,
                                                      bool is_minor)
{
    struct proc *p = g->p;
    uint64_t reclaimed = vm.gc.words_reclaimed;
    int result;

    trace_gc(p, is_minor ? am_gc_minor_start : am_gc_major_start, need);
    result = is_minor ? minor(g, need) : full(g, need);
    if (result != 1 && p->trace & TF_GC)
        trace_gc(p, is_minor ? am_gc_minor_end : am_gc_major_end,
                 (size_t)(vm.gc.words_reclaimed - reclaimed));
    return result;
}

static int collect(struct proc *p, size_t words, term *roots, size_t n,
                   bool all)
{
    struct gc g = {.p = p, .roots = roots, .nroots = n};
    struct heap *h = &p->heap;
    int result = 1;
    uint64_t began_ns = unlikely(vm.sysmon->watch_gc) ? os_mono_ns() : 0;
    enum msacc_state was = msacc_enter(MSACC_GC);

#ifndef NDEBUG
    if (vm.stress_gc)
        heap_check(p);
#endif
    if (!all && !h->want_full && h->gen_gcs < h->max_gen_gcs)
        result = unlikely(p->trace & TF_GC) ? traced_part(&g, words, true)
                                            : minor(&g, words);
    if (result == 1)
        result = unlikely(p->trace & TF_GC) ? traced_part(&g, words, false)
                                            : full(&g, words);
    vm.gc.collections++;
    h->want_gc = false;
    if (unlikely(vm.sysmon->watch_gc))
        sysmon_collected(p, began_ns);
    msacc_enter(was);
    assert(result < 0 || heap_free_words(h) >= words);
#ifndef NDEBUG
    if (vm.stress_gc)
        heap_check(p);
#endif
    return result;
}

int gc_collect(struct proc *p, size_t words, term *roots, size_t n)
{
    return collect(p, words, roots, n, false);
}

int gc_collect_running(struct proc *p, size_t words, term *roots, size_t n)
{
    struct heap *h = &p->heap;

    if (unlikely(p->flags & PF_NO_GC) && heap_free_words(h) >= words) {
        h->want_gc = false;
        return 0;
    }
    /* What it takes to look through the dictionary and to give binaries back counts too. */
    if (likely(pdict_words(p) + (size_t)(h->hend - h->heap + (h->old_htop - h->old_heap)) +
                   h->mbuf_words + h->off.vheap_words + h->old_off.vheap_words +
                   h->frag_vheap_words < SLICED_WORDS && !vm.stress_gc))
        return collect(p, words, roots, n, false);
    SLICED(p, NULL);
    return collect(p, words, roots, n, false);
}

int gc_full(struct proc *p, size_t words, term *roots, size_t n)
{
    return collect(p, words, roots, n, true);
}

int gc_hibernate(struct proc *p)
{
    struct gc g = {.p = p, .roots = p->arg, .nroots = p->live};
    struct heap *h = &p->heap;
    SLICED(p, NULL);
    int result = collect(p, 0, p->arg, p->live, true);

    if (result < 0)
        return result;
    /* Without memory for a smaller block the larger one serves as well. */
    (void)young_resize(&g, h->htop - h->heap + (h->hend - h->stop) + HEAP_RESERVE);
    return 0;
}

#ifndef NDEBUG
static bool in_words(const term *at, const term *start, const term *end)
{
    return at >= start && at < end;
}

/* A pointer found in the young block (old false) or in the old heap. */
static void check_pointer(struct heap *h, term t, bool old)
{
    const term *at;

    if (!term_is_cons(t) && !term_is_boxed(t))
        return;
    if (term_is_literal(t))
        return;
    at = (const term *)(t & ~(term)TAG_MASK);
    assert(term_is_cons(t) || term_is_header(*at));
    if (in_words(at, h->old_heap, h->old_htop))
        return;
    assert(!old);
    if (in_words(at, h->heap, h->htop))
        return;
    for (struct mbuf *m = h->mbuf; m; m = m->next)
        if (in_words(at, m->words, m->words + m->used))
            return;
    assert(!"a term leads out of its process");
}

static void check_words(struct heap *h, const term *s, const term *end, bool old)
{
    while (s < end) {
        term t = *s;

        if (!term_is_header(t)) {
            check_pointer(h, t, old);
            s++;
            continue;
        }
        assert(header_words(t) < (size_t)(end - s));
        switch (header_type(t)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            s++;
            break;
        case BOX_FUN:
            s += 2;
            break;
        case BOX_SUBBIN:
        case BOX_MATCH:
            check_pointer(h, s[1], old);
            assert(boxed_is(s[1], BOX_HEAPBIN) || boxed_is(s[1], BOX_REFCBIN));
            s += 1 + header_words(t);
            break;
        default:
            s += 1 + header_words(t);
        }
    }
    assert(s == end);
}

void heap_check(struct proc *p)
{
    struct heap *h = &p->heap;

    assert(h->heap <= h->high_water && h->high_water <= h->htop);
    assert(h->htop <= h->stop && h->stop <= h->hend);
    assert(h->old_heap <= h->old_htop && h->old_htop <= h->old_hend);
    check_words(h, h->heap, h->htop, false);
    /* All of the old heap at every collection is too much when each word asks
     * for one; what was promoted was young before. */
    if (h->old_htop - h->old_heap < 1000 || vm.gc.collections % 256 == 0)
        check_words(h, h->old_heap, h->old_htop, true);
    for (term *s = h->stop; s < h->hend; s++)
        check_pointer(h, *s, false);
    for (const term *o = h->old_off.first; o; o = (const term *)o[1])
        assert(in_words(o, h->old_heap, h->old_htop));
}
#else
void heap_check(struct proc *p)
{
}
#endif
