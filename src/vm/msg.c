/*
 * msg.c - message queues: sending, the receive instructions, their timeouts.
 */
#include "vm/msg.h"

#include "op/lastcalls.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/proc.h"
#include "vm/sched.h"
#include "vm/seqtrace.h"
#include "vm/slice.h"
#include "vm/timer.h"
#include "vm/trace.h"

/*
 * Messages on the receiver's heap are roots of each of its collections, and
 * are copied by them. So a queue that is long already gets fragments.
 */
#define ON_HEAP_MAX_QUEUE 64

/*
 * What copying costs the sender. Without it one that sends large messages gets
 * hundreds of them out before the receiver runs, and all of them are cold.
 */
#define WORDS_PER_RED 16

#define MSG_FREE_NS 30

/* OTP's longest timeout, in milliseconds. */
#define TIMEOUT_MAX UINT32_MAX
#define NS_PER_MS 1000000u

void msgq_init(struct msgq *q)
{
    *q = (struct msgq){0};
    q->last = q->save = &q->first;
}

void msgq_clear(struct msgq *q)
{
    for (struct msg *m = q->first, *next; m; m = next) {
        next = m->next;
        mbuf_free(m->frag);
        vm_free(m);
        slice(MSG_FREE_NS);
    }
    vm_free(q->marks);
    msgq_init(q);
}

/* from: a pid, or the atom system. */
static void enqueue(struct proc *to, struct mbuf *frag, term value, term from, term token)
{
    struct msg *m;

    if (unlikely(to->state == PROC_EXITING || to->state == PROC_FREE)) {
        mbuf_free(frag);
        return;
    }
    m = vm_alloc(ALLOC_PROC, sizeof *m);
    m->next = NULL;
    m->value = value;
    m->frag = frag;
    m->token = token;
    *to->msgq.last = m;
    to->msgq.last = &m->next;
    to->msgq.length++;
    to->msgq.on_heap += !frag && !term_is_imm(value);
    to->msgq.frag_words += msg_frag_words(m);
    if (unlikely(to->trace & TF_RECEIVE))
        trace_receive(to, from, value);
    proc_wake(to);
}

void msg_send_mbuf(struct proc *to, struct mbuf *frag, term message)
{
    enqueue(to, frag, message, am_system, am_undefined);
}

void msg_send_mbuf_from(struct proc *to, struct mbuf *frag, term message, term from)
{
    struct proc *p = seq_trace_sender(from);

    if (unlikely(p != NULL)) {
        msg_send_token(p, to, to->id, message);
        mbuf_free(frag);
    } else {
        enqueue(to, frag, message, from, am_undefined);
    }
}

void msg_send_token(struct proc *from, struct proc *to, term by, term message)
{
    size_t words = term_size(message) + term_size(from->seq_token);
    struct mbuf *frag;
    struct dest d;
    term token;

    seq_trace_sends(from, by, message);
    frag = mbuf_new(words);
    d = (struct dest){frag->words, &frag->off};
    token = term_copy(&d, from->seq_token);
    message = term_copy(&d, message);
    frag->used = (size_t)(d.htop - frag->words);
    enqueue(to, frag, message, from->id, token);
}

/* Is there room on the heap for a message, and may it lie there? */
static bool on_heap(const struct proc *to, size_t words)
{
    return words <= heap_free_words(&to->heap) && to->msgq.length < ON_HEAP_MAX_QUEUE &&
           !(to->flags & PF_OFF_HEAP_MSGS) && to->state != PROC_EXITING && !to->stack;
}

void msg_build_begin(struct msg_build *b, struct proc *to, size_t words)
{
    b->frag = NULL;
    if (on_heap(to, words)) {
        b->d = (struct dest){to->heap.htop, &to->heap.off};
    } else {
        b->frag = mbuf_new(words);
        b->d = (struct dest){b->frag->words, &b->frag->off};
    }
}

void msg_build_send(struct msg_build *b, struct proc *to, term message)
{
    if (b->frag)
        b->frag->used = (size_t)(b->d.htop - b->frag->words);
    else
        to->heap.htop = b->d.htop;
    enqueue(to, b->frag, message, am_system, am_undefined);
}

void msg_send_own(struct proc *to, term message)
{
    enqueue(to, NULL, message, am_system, am_undefined);
}

void msg_send(struct proc *from, struct proc *to, term message)
{
    struct mbuf *frag = NULL;

    if (from && unlikely(from->trace & TF_TOKEN)) {
        msg_send_token(from, to, to->id, message);
        return;
    }
    if (!term_is_imm(message)) {
        size_t words = term_size(message);
        struct dest d;

        if (words == 0) {
            /* A literal: nothing to copy. */
        } else if (on_heap(to, words)) {
            d = (struct dest){to->heap.htop, &to->heap.off};
            message = term_copy(&d, message);
            assert(d.htop == to->heap.htop + words);
            to->heap.htop = d.htop;
        } else {
            frag = mbuf_new(words);
            d = (struct dest){frag->words, &frag->off};
            message = term_copy(&d, message);
            frag->used = d.htop - frag->words;
        }
        if (from) {
            size_t reds = words / WORDS_PER_RED;

            from->reds_left -= reds < SLICE_REDS ? (int32_t)reds : SLICE_REDS;
        }
    }
    enqueue(to, frag, message, from ? from->id : am_system,
            from ? TERM_NIL : am_undefined);
}

/* ---- markers ---- */

struct recv_marks {
    uint64_t next;              /* id of the next one */
    struct recv_mark {
        struct msg **at;        /* the end of the queue then; NULL: none */
        uint64_t id;
        uint64_t ref[2];
        bool bound;
    } mark[RECV_MARKS];
};

/* m, to which `at` led, leaves the queue: what was behind it is there now. */
static void marks_removed(struct recv_marks *marks, const struct msg *m,
                          struct msg **at)
{
    for (int i = 0; i < RECV_MARKS; i++)
        if (marks->mark[i].at == &m->next)
            marks->mark[i].at = at;
}

static struct recv_marks *marks_of(struct proc *p)
{
    if (!p->msgq.marks)
        p->msgq.marks = vm_zalloc(ALLOC_PROC, sizeof *p->msgq.marks);
    return p->msgq.marks;
}

void msg_marker_count(struct proc *p, uint64_t next)
{
    marks_of(p)->next = next;
}

term msg_marker_reserve(struct proc *p)
{
    struct msgq *q = &p->msgq;
    struct recv_mark *k = marks_of(p)->mark;

    for (int i = 1; i < RECV_MARKS && k->at; i++) {
        struct recv_mark *other = &q->marks->mark[i];

        if (!other->at || other->id < k->id)
            k = other;
    }
    *k = (struct recv_mark){.at = q->last, .id = q->marks->next++};
    return small_make((int64_t)(k->id & (uint64_t)SMALL_MAX));
}

void msg_marker_bind(struct proc *p, term marker, term ref)
{
    struct recv_marks *marks = p->msgq.marks;

    if (!marks || !term_is_small(marker) || !term_is_local_ref(ref))
        return;
    for (int i = 0; i < RECV_MARKS; i++) {
        struct recv_mark *k = &marks->mark[i];

        if (k->at && (k->id & (uint64_t)SMALL_MAX) == (uint64_t)small_value(marker)) {
            memcpy(k->ref, ref_numbers(ref), sizeof k->ref);
            k->bound = true;
            return;
        }
    }
}

static struct recv_mark *find_mark(struct proc *p, term ref)
{
    struct recv_marks *marks = p->msgq.marks;

    if (!marks || !term_is_local_ref(ref))
        return NULL;
    for (int i = 0; i < RECV_MARKS; i++) {
        struct recv_mark *k = &marks->mark[i];

        if (k->at && k->bound &&
            memcmp(k->ref, ref_numbers(ref), sizeof k->ref) == 0)
            return k;
    }
    return NULL;
}

void msg_marker_clear(struct proc *p, term ref)
{
    struct recv_mark *k = find_mark(p, ref);

    if (k)
        k->at = NULL;
}

void msg_marker_use(struct proc *p, term ref)
{
    struct recv_mark *k = find_mark(p, ref);

    if (k)
        p->msgq.save = k->at;
}

/* ---- receive ---- */

term msg_peek(struct proc *p)
{
    struct msg *m = *p->msgq.save;

    if (!m)
        return THE_NON_VALUE;
    p->msgq.lent = NULL;
    if (m->frag) {
        /* What code has seen must be the process's own: it may collect. */
        p->msgq.frag_words -= msg_frag_words(m);
        if (unlikely(p->flags & PF_OFF_HEAP_MSGS) && !m->frag->next) {
            p->msgq.lent = m->frag;
            p->msgq.lent_used = m->frag->used;
            p->msgq.lent_gcs = p->gc_minor + p->gc_major_total;
        }
        heap_attach(p, m->frag);
        m->frag = NULL;
        p->msgq.on_heap += msg_has_roots(m);
    }
    return m->value;
}

void msg_remove(struct proc *p)
{
    struct msgq *q = &p->msgq;
    struct msg **at = q->save, *m = *at;

    *at = m->next;
    if (!m->next)
        q->last = at;
    if (q->marks)
        marks_removed(q->marks, m, at);
    q->length--;
    q->on_heap -= msg_has_roots(m);
    q->lent = NULL;
    q->save = &q->first;
    assert(!m->frag);
    if (unlikely(!term_is_nil(m->token) || p->trace & TF_TOKEN))
        seq_trace_received(p, m->token, m->value);
    vm_free(m);
    recv_timer_cancel(p);
    last_calls_note(p, &last_receive);
}

/* No term but the message's own refers to its fragment: receive keeps none. */
static void give_back(struct proc *p, struct msg *m)
{
    struct mbuf *frag = p->msgq.lent, **at = &p->heap.mbuf;

    p->msgq.lent = NULL;
    if (p->gc_minor + p->gc_major_total != p->msgq.lent_gcs || frag->used != p->msgq.lent_used)
        return;
    while (*at != frag)
        at = &(*at)->next;
    heap_detach(p, at);
    p->msgq.on_heap -= msg_has_roots(m);
    m->frag = frag;
    p->msgq.frag_words += msg_frag_words(m);
}

void msg_skip(struct proc *p)
{
    if (unlikely(p->msgq.lent != NULL))
        give_back(p, *p->msgq.save);
    p->msgq.save = &(*p->msgq.save)->next;
}

void msg_rewind(struct proc *p)
{
    p->msgq.save = &p->msgq.first;
}

/* ---- timeouts ---- */

struct recv_timer {
    struct timer timer;
    struct proc *p;
};

static void timed_out(struct timer *t)
{
    struct proc *p = ((struct recv_timer *)t)->p;

    p->flags |= PF_TIMEOUT;
    proc_wake(p);
}

int recv_wait_until(struct proc *p, term timeout)
{
    struct recv_timer *t = (struct recv_timer *)p->timer;

    /*
     * Woken by a message that did not match, the instruction runs again, and
     * its register may not hold the time any more.
     */
    if ((p->flags & PF_AFTER_INFINITY) || (t && t->timer.prev))
        return 0;
    if (timeout == am_infinity) {
        p->flags |= PF_AFTER_INFINITY;
        return 0;
    }
    if (!term_is_small(timeout) || small_value(timeout) < 0 ||
        small_value(timeout) > TIMEOUT_MAX)
        return -1;
    if (timeout == small_make(0))
        return 1;
    if (!t) {
        t = vm_zalloc(ALLOC_PROC, sizeof *t);
        t->timer.fire = timed_out;
        t->p = p;
        p->timer = &t->timer;
    }
    timer_start(&t->timer, os_mono_ns() + small_value(timeout) * NS_PER_MS);
    return 0;
}

void recv_timer_cancel(struct proc *p)
{
    p->flags &= ~(uint32_t)(PF_TIMEOUT | PF_AFTER_INFINITY);
    if (p->timer)
        timer_cancel(p->timer);
}

void msg_timeout(struct proc *p)
{
    recv_timer_cancel(p);
    msg_rewind(p);
    if (unlikely(p->trace & TF_RECEIVE))
        trace_receive(p, am_clock_service, am_timeout);
    last_calls_note(p, &last_timeout);
}
