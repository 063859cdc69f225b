/*
 * msg.h - the message queue of a process.
 *
 * Receive walks the queue with a save pointer: everything before it has been
 * looked at and did not match. A message's term lies in its own fragment
 * (frag), or on the receiver's heap (frag NULL) when there was room at the
 * send; only those are roots of a collection. What code looks at is the
 * process's own, as it may collect meanwhile; with message_queue_data off_heap
 * a message that did not match is set apart again, if nothing was collected.
 */
#ifndef VM_MSG_H
#define VM_MSG_H

#include "vm/heap.h"

struct msg {
    struct msg *next;
    term value;             /* THE_NON_VALUE: undecodable, skip */
    struct mbuf *frag;      /* owned until the message is received */
    term token;             /* seqtrace.h */
};
static inline size_t msg_frag_words(const struct msg *m)
{
    size_t n = 0;

    for (const struct mbuf *f = m->frag; f; f = f->next)
        n += f->used;
    return n;
}
/* Without a fragment: does a collection have to know it? */
static inline bool msg_has_roots(const struct msg *m)
{
    return !term_is_imm(m->value) || !term_is_imm(m->token);
}

struct msgq {
    struct msg *first;
    struct msg **last;      /* where the next one is linked */
    struct msg **save;      /* the link to the message to look at next */
    size_t length;
    size_t on_heap;         /* messages without frag that msg_has_roots() */
    size_t frag_words;      /* of all frags */
    /* The message last peeked, if its frag is to be given back when skipped. */
    struct mbuf *lent;
    size_t lent_used;
    uint32_t lent_gcs;      /* collections until then */
    struct recv_marks *marks;   /* NULL until one is reserved */
};

void msgq_init(struct msgq *q);
void msgq_clear(struct msgq *q);    /* frees everything */

/*
 * Send a copy of message to a process; wakes it. from is the sender, or NULL
 * (the VM: port data, timers). to may be from. Order per pair is kept.
 */
void msg_send(struct proc *from, struct proc *to, term message);
/* The same for a term that the caller built in a fragment; takes it. */
void msg_send_mbuf(struct proc *to, struct mbuf *frag, term message);
/* from has a token, which goes along; by: what the message was sent to. */
void msg_send_token(struct proc *from, struct proc *to, term by, term message);
/* ... for a signal of the process or port `from`. */
void msg_send_mbuf_from(struct proc *to, struct mbuf *frag, term message, term from);

/*
 * A message that is built where it is to lie. Between begin and send nothing
 * else may be allocated for `to`. words is the most it takes.
 */
struct msg_build {
    struct dest d;          /* build here */
    struct mbuf *frag;      /* NULL: on the receiver's heap */
};
void msg_build_begin(struct msg_build *b, struct proc *to, size_t words);
void msg_build_send(struct msg_build *b, struct proc *to, term message);
/* A message that was built on the receiver's own heap, by heap_alloc(). */
void msg_send_own(struct proc *to, term message);

/* The receive instructions. */
/* Next message to look at: its term, made p's own; THE_NON_VALUE if none. */
term msg_peek(struct proc *p);
void msg_remove(struct proc *p);    /* unlink the one last peeked, save = first */
void msg_skip(struct proc *p);      /* it did not match: save = next */
void msg_rewind(struct proc *p);    /* save = first: a receive begins anew */

/*
 * receive ... after. 0: wait, until the timer fires (it sets PF_TIMEOUT and
 * wakes p; it may be running already) or for ever (infinity). 1: time is out
 * already. -1: no valid time.
 */
int recv_wait_until(struct proc *p, term timeout);
void recv_timer_cancel(struct proc *p);     /* clears PF_TIMEOUT too */
void msg_timeout(struct proc *p);           /* the time is over: the receive ends */

/*
 * Receive markers: where the queue ended when a reference was made, so that a
 * receive that needs the reference skips what came before. RECV_MARKS are kept;
 * without a free one the oldest gives way to a new one, which costs time only.
 */
#define RECV_MARKS 8
term msg_marker_reserve(struct proc *p);
/* The number of the next one: for tests of what happens when they wrap. */
void msg_marker_count(struct proc *p, uint64_t next);
void msg_marker_bind(struct proc *p, term marker, term ref);
void msg_marker_clear(struct proc *p, term ref);
void msg_marker_use(struct proc *p, term ref);

#endif
