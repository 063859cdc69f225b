/*
 * leaving.c - copying literals out of areas that leave.
 *
 * A process that refers to such an area gets the area whole, as a heap
 * fragment, and its references are moved by the same distance: one pass over
 * its heap, sharing is kept, and the collection that follows drops what it
 * does not use. Messages in fragments of their own are copied one by one,
 * since the collector does not look into them.
 */
#include "vm/leaving.h"

#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/link.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/purge.h"
#include "vm/roots.h"
#include "vm/slice.h"

/* Of work that is done in slices, in nanoseconds. */
#define MESSAGE_NS 30
#define SHARE_NS 20             /* a reference more to what is off the heap */
#define FIND_NS 50              /* the area of an address */
#define FREE_NS 100             /* an area */
#define MERGE_NS 10
#define MOVE_WORDS 4096
#define MOVE_NS 4096

void leaving_init(struct leaving *l) { *l = (struct leaving){.last = &l->first}; }

void leaving_add(struct literal_area *a)
{
    struct leaving *l = &vm.purge->leaving;
    struct proc *collector = proc_find(vm.purge->collector);

    a->next = NULL;
    *l->last = a;
    l->last = &a->next;
    /* It asks by itself at the end of a round; more messages only lengthen its queue. */
    if (collector && !l->told) {
        l->told = true;
        msg_send(NULL, collector, am_copy_literals);
    }
}

/* The one that t lies in, or NULL. */
static struct literal_area **find(const struct leaving *l, term t)
{
    size_t low = 0, high = l->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if ((uintptr_t)l->area[mid]->start <= t)
            low = mid + 1;
        else
            high = mid;
    }
    /* low counts those that start at t or below. */
    return low > 0 && t < (uintptr_t)l->area[low - 1]->end ? &l->area[low - 1] : NULL;
}

bool leaving_has(term t) { return find(&vm.purge->leaving, t) != NULL; }

/* By address: runs of 1, 2, 4 ... are merged. Others see a whole set meanwhile. */
static void sort(struct leaving *l)
{
    struct literal_area **to = vm_alloc(ALLOC_CODE, l->n * sizeof *to);

    for (size_t run = 1; run < l->n; run *= 2) {
        struct literal_area **from = l->area;

        for (size_t at = 0; at < l->n; at += 2 * run) {
            size_t mid = at + run < l->n ? at + run : l->n;
            size_t end = mid + run < l->n ? mid + run : l->n;
            size_t i = at, j = mid;

            for (size_t k = at; k < end; k++) {
                bool left = j == end || (i < mid && from[i]->start < from[j]->start);

                to[k] = left ? from[i++] : from[j++];
                slice(MERGE_NS);
            }
        }
        l->area = to;
        to = from;
    }
    vm_free(to);
}

/* All that wait. */
static void take(struct leaving *l)
{
    size_t n = 0;

    for (struct literal_area *a = l->first; a; a = a->next)
        n++;
    l->area = vm_alloc(ALLOC_CODE, n * sizeof *l->area);
    l->n = n;
    n = 0;
    for (struct literal_area *a = l->first; a; a = a->next)
        l->area[n++] = a;
    l->first = NULL;
    l->last = &l->first;
}

bool leaving_switch(struct proc *p)
{
    struct leaving *l = &vm.purge->leaving;
    SLICED(p, NULL);

    vm.leaving_base = vm.leaving_end = 0;
    while (l->n > 0) {
        literal_area_free(l->area[--l->n]);
        slice(FREE_NS);
    }
    vm_free(l->area);
    l->area = NULL;
    l->told = l->first;
    if (!l->first)
        return false;
    take(l);
    sort(l);
    vm.leaving_base = (uintptr_t)l->area[0]->start;
    vm.leaving_end = (uintptr_t)l->area[l->n - 1]->end;
    return true;
}

/* Copying */

struct move {
    const struct leaving *set;
    uintptr_t base, bytes;          /* from the first to the end of the last */
    /*
     * Of each area: 0 not used, USED, or how far away its copy is. NULL until
     * one is used, or if that is all that is asked.
     */
    uintptr_t *distance;
    bool look;                      /* only ask */
    bool found;
};

#define USED ((uintptr_t)1)         /* no distance: both are aligned */

static uintptr_t found(struct move *m, uintptr_t at)
{
    struct literal_area **area = find(m->set, at);
    uintptr_t *d;

    slice(FIND_NS);
    if (!area)
        return 0;
    m->found = true;
    if (m->look)
        return 0;
    if (!m->distance)
        m->distance = vm_zalloc(ALLOC_SYSTEM, m->set->n * sizeof *m->distance);
    d = &m->distance[area - m->set->area];
    if (*d == 0)
        *d = USED;
    return *d == USED ? 0 : *d;
}

/* How far what lies there moves: 0 if it stays, or there is no copy yet. */
static inline uintptr_t distance(struct move *m, uintptr_t at)
{
    return likely(at - m->base >= m->bytes) ? 0 : found(m, at);
}

static inline void move_root(term *t, struct move *m)
{
    uintptr_t by = term_is_cons(*t) || term_is_boxed(*t) ? distance(m, *t) : 0;

    if (by)
        *t += by;
}

/* Every pointer among the words of well-formed objects. */
static void move_words(struct move *m, term *w, const term *end)
{
    unsigned left = MOVE_WORDS;

    for (; w < end; w++) {
        term t = *w;

        if (unlikely(--left == 0)) {
            slice(MOVE_NS);
            left = MOVE_WORDS;
        }
        if (!term_is_header(t)) {
            move_root(w, m);
            continue;
        }
        switch (header_type(t)) {
        case BOX_SUBBIN:
            move_root(&w[1], m);
            w += header_words(t);
            break;
        case BOX_MATCH: {
            struct match_words *mw = (struct match_words *)w;
            uintptr_t by = distance(m, (uintptr_t)mw->base);

            /* A heap binary's bytes move with it. */
            move_root(&w[1], m);
            if (by)
                mw->base = (const uint8_t *)((uintptr_t)mw->base + by);
            w += header_words(t);
            break;
        }
        case BOX_FLOAT:
        case BOX_POSBIG:
        case BOX_NEGBIG:
        case BOX_REF:
        case BOX_MAGIC:
        case BOX_EXTPID:
        case BOX_EXTPORT:
        case BOX_EXTREF:
        case BOX_HEAPBIN:
        case BOX_REFCBIN:
            w += header_words(t);
            break;
        default:
            /* Its words are terms, or addresses that look like smalls. */
            break;
        }
    }
}

static void move_range(void *arg, term *start, size_t n)
{
    for (size_t i = 0; i < n; i++)
        move_root(&start[i], arg);
}

static void move_process(struct move *m, struct proc *p)
{
    struct heap *h = &p->heap;

    move_words(m, h->heap, h->htop);
    move_words(m, h->old_heap, h->old_htop);
    for (struct mbuf *f = h->mbuf; f; f = f->next)
        move_words(m, f->words, f->words + f->used);
    for (term *sp = h->stop; sp < h->hend; sp++)
        move_root(sp, m);
    for (uint32_t i = 0; i < p->live; i++)
        move_root(&p->arg[i], m);
    move_root(&p->exit_reason, m);
    move_root(&p->group_leader, m);
    move_root(&p->seq_token, m);
    move_root(&p->ftrace_args, m);
    proc_roots(p, move_range, m);
    for (struct msg *msg = p->msgq.first; msg; msg = msg->next) {
        if (!msg->frag && msg->value != THE_NON_VALUE)
            move_root(&msg->value, m);
        slice(MESSAGE_NS);
    }
}

/* An area as a fragment that stands by itself. */
static struct mbuf *copy_area(const struct literal_area *a, struct move *m, uintptr_t *by)
{
    size_t words = (size_t)(a->end - a->start);
    struct mbuf *f = mbuf_new(words);
    term *from = a->off.first;

    slice_copy(f->words, a->start, words * sizeof *f->words);
    f->used = words;
    *by = (uintptr_t)f->words - (uintptr_t)a->start;
    /* What it refers to is its own. */
    move_words(m, f->words, f->words + words);

    /* Each off-heap object is referred to once more. */
    while (from) {
        term *obj = (term *)((uintptr_t)from + *by);

        offheap_share(obj);
        from = (term *)(uintptr_t)from[1];
        obj[1] = (term)(uintptr_t)f->off.first;
        f->off.first = obj;
        slice(SHARE_NS);
    }
    f->off.vheap_words = a->off.vheap_words;
    return f;
}

/* A message whose fragment refers to the area gets a new fragment. */
static void copy_messages(struct move *m, struct proc *p)
{
    for (struct msg *msg = p->msgq.first; msg; msg = msg->next) {
        struct move look = {.set = m->set, .base = m->base, .bytes = m->bytes, .look = true};

        slice(MESSAGE_NS);
        if (!msg->frag)
            continue;
        for (struct mbuf *f = msg->frag; f && !look.found; f = f->next)
            move_words(&look, f->words, f->words + f->used);
        move_root(&msg->value, &look);
        if (look.found) {
            size_t words = term_size_all(msg->value);
            struct mbuf *f = mbuf_new(words);
            struct dest d = { .htop = f->words, .off = &f->off };

            msg->value = term_copy_all(&d, msg->value);
            f->used = (size_t)(d.htop - f->words);
            p->msgq.frag_words -= msg_frag_words(msg);
            mbuf_free(msg->frag);
            msg->frag = f;
            p->msgq.frag_words += msg_frag_words(msg);
        }
    }
}

void leaving_copy(struct proc *p)
{
    const struct leaving *l = &vm.purge->leaving;
    struct move m = {.set = l, .base = vm.leaving_base,
                     .bytes = vm.leaving_end - vm.leaving_base};
    int err;

    copy_messages(&m, p);
    move_process(&m, p);
    if (!m.found)
        return;
    for (size_t i = 0; i < l->n; i++) {
        slice(1);
        /* Attached first, so that the walk finds the copy as p's own. */
        if (m.distance[i])
            heap_attach(p, copy_area(l->area[i], &m, &m.distance[i]));
    }
    move_process(&m, p);
    vm_free(m.distance);
    p->heap.want_gc = p->heap.want_full = true;
    if (p->state == PROC_EXITING || p->flags & PF_KILLED)
        return;
    if ((err = gc_full(p, 0, p->arg, p->live)) < 0) {
        /* Beyond max_heap_size, say. The copies are whole all the same. */
        heap_refused(p, err);
        proc_exit_signal(p, p->id, am_kill, false);
    }
}
