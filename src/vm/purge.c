/*
 * purge.c - who uses old code, and copying literals out of a leaving area.
 *
 * A process that refers to a leaving area gets the area whole, as a heap
 * fragment, and its references are moved by the same distance: one pass over
 * its heap, sharing is kept, and the collection that follows drops what it
 * does not use. Messages in fragments of their own are copied one by one,
 * since the collector does not look into them.
 */
#include "vm/purge.h"

#include "op/break.h"
#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/link.h"
#include "vm/map.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/roots.h"
#include "vm/sched.h"
#include "vm/slice.h"

void purge_init(void)
{
    struct purge *u = vm_zalloc(ALLOC_CODE, sizeof *u + 15);

    u = (struct purge *)(((uintptr_t)u + 15) & ~(uintptr_t)15);
    u->module = THE_NON_VALUE;
    u->last = &u->first;
    u->purger = u->collector = THE_NON_VALUE;
    vm.purge = u;
}

/* Of work that is done in slices, in nanoseconds. */
#define FRAME_NS 10
#define MESSAGE_NS 30
#define SHARE_NS 20             /* a reference more to what is off the heap */
#define MOVE_WORDS 4096
#define MOVE_NS 4096

/* Where code lay: known even when it is gone meanwhile. */
struct code_range {
    uintptr_t start, bytes;
};

static bool in_range(struct code_range r, uintptr_t at)
{
    return at - r.start < r.bytes;
}

/*
 * The exact walk: only return addresses count, found by frame sizes. A small
 * in a y register that equals an address in old code is only a small.
 */
static bool uses_code(const struct proc *p, const struct code *code)
{
    const struct code_range old = {(uintptr_t)code->base, code->bytes};
    const term *sp = p->heap.stop;
    uintptr_t pc = (uintptr_t)p->pc;

    if (in_range(old, pc))
        return true;
    for (;;) {
        struct code *c = code_find((code_ptr)pc);
        struct frame_row row;

        slice(FRAME_NS);
        /* It was killed meanwhile, and the code may be gone already. */
        if (p->flags & PF_KILLED)
            return false;

        if (c && code_row(c, (code_ptr)pc, &row))
            sp += row.frame;
        if (sp >= p->heap.hend)
            return false;
        /* The address after a call may be the first of another row. */
        pc = (uintptr_t)*sp++;
        if (break_frame((code_ptr)pc) >= 0)
            sp += break_frame((code_ptr)pc);
        pc--;
        if (in_range(old, pc))
            return true;
    }
}

bool purge_check_process(const struct proc *p, term module)
{
    const struct module *m = module_find(module);

    /* One that is to die never gets to its code again. */
    if (p->state == PROC_EXITING || p->flags & PF_KILLED)
        return false;
    return m && m->old && uses_code(p, m->old);
}

void purge_wait(struct proc *p)
{
    struct purge *u = vm.purge;

    if (u->nwaiting == u->waiting_size) {
        u->waiting_size = u->waiting_size ? u->waiting_size * 2 : 16;
        u->waiting = u->waiting
                         ? vm_realloc(u->waiting, u->waiting_size * sizeof *u->waiting)
                         : vm_alloc(ALLOC_CODE, u->waiting_size * sizeof *u->waiting);
    }
    u->waiting[u->nwaiting++] = p->id;
    proc_suspend(p);
}

void purge_end(void)
{
    struct purge *u = vm.purge;

    u->module = THE_NON_VALUE;
    for (size_t i = 0; i < u->nwaiting; i++) {
        struct proc *p = proc_find(u->waiting[i]);

        if (p)
            proc_resume(p);
    }
    u->nwaiting = 0;
}

void purge_literals(struct literal_area *a)
{
    struct proc *collector;

    a->next = NULL;
    *vm.purge->last = a;
    vm.purge->last = &a->next;
    collector = proc_find(vm.purge->collector);
    if (collector)
        msg_send(NULL, collector, am_copy_literals);
}

/* Copying */

struct move {
    uintptr_t start, bytes;         /* the leaving area */
    uintptr_t distance;             /* to its copy */
    bool found;
};

static inline bool leaves(const struct move *m, term t)
{
    return (term_is_cons(t) || term_is_boxed(t)) && (uintptr_t)t - m->start < m->bytes;
}

/*
 * Every pointer among the words of well-formed objects or of a stack. With
 * distance 0 this only finds out whether there is one.
 */
static void move_words(struct move *m, term *w, const term *end)
{
    unsigned left = MOVE_WORDS;

    while (w < end) {
        term t = *w;

        if (unlikely(--left == 0)) {
            slice(MOVE_NS);
            left = MOVE_WORDS;
        }

        if (leaves(m, t)) {
            m->found = true;
            *w = t + m->distance;
        } else if (term_is_header(t)) {
            switch (header_type(t)) {
            case BOX_SUBBIN:
                if (leaves(m, w[1])) {
                    m->found = true;
                    w[1] += m->distance;
                }
                w += header_words(t);
                break;
            case BOX_MATCH:
                if (leaves(m, w[1])) {
                    struct match_words *mw = (struct match_words *)w;

                    m->found = true;
                    w[1] += m->distance;
                    /* A heap binary's bytes moved with it. */
                    if ((uintptr_t)mw->base - m->start < m->bytes)
                        mw->base += m->distance;
                }
                w += header_words(t);
                break;
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
        w++;
    }
}

static void move_root(term *t, void *arg)
{
    struct move *m = arg;

    if (leaves(m, *t)) {
        m->found = true;
        *t += m->distance;
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

/* The area as a fragment that stands by itself. */
static struct mbuf *copy_area(struct literal_area *a, struct move *m)
{
    size_t words = (size_t)(a->end - a->start);
    struct mbuf *f = mbuf_new(words);
    term *from = a->off.first;

    slice_copy(f->words, a->start, words * sizeof *f->words);
    f->used = words;
    m->distance = (uintptr_t)f->words - m->start;
    move_words(m, f->words, f->words + words);

    /* Each off-heap object is referred to once more. */
    while (from) {
        term *obj = (term *)((uintptr_t)from + m->distance);

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
        struct move look = { .start = m->start, .bytes = m->bytes };

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

void purge_copy_literals(struct proc *p)
{
    int err;
    struct literal_area *a = vm.purge->leaving;
    struct move m = { .start = (uintptr_t)a->start,
                      .bytes = (uintptr_t)a->end - (uintptr_t)a->start };

    copy_messages(&m, p);
    move_process(&m, p);
    if (!m.found)
        return;
    struct mbuf *f = copy_area(a, &m);
    /* heap_attach() first, so that the walk finds the copy as p's own. */
    heap_attach(p, f);
    move_process(&m, p);
    p->heap.want_gc = p->heap.want_full = true;
    if (p->state == PROC_EXITING || p->flags & PF_KILLED)
        return;
    if ((err = gc_full(p, 0, p->arg, p->live)) < 0) {
        /* Beyond max_heap_size, say. The copies are whole all the same. */
        heap_refused(p, err);
        proc_exit_signal(p, p->id, am_kill, false);
    }
}
