/*
 * btimer.c - timers that send a message, found by their reference.
 */
#include "vm/btimer.h"

#include "os/os.h"
#include "vm/atom.h"
#include "vm/link.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/timer.h"

#define NS_PER_MS 1000000

struct bif_timer {
    struct snode node;              /* in all: by reference */
    struct timer timer;
    struct proc *p;                 /* NULL: to a name */
    struct bif_timer *next, **prev; /* of p */
    term name;                      /* who it was for: pid or name */
    struct mbuf *frag;              /* holds message; NULL: immediate */
    term message;
};

void btimer_init(void)
{
    vm.btimers = vm_alloc(ALLOC_PROC, sizeof *vm.btimers);
    set_init(vm.btimers);
}

static void unlink_timer(struct bif_timer *b)
{
    timer_cancel(&b->timer);
    set_remove(vm.btimers, &b->node);
    if (b->p) {
        *b->prev = b->next;
        if (b->next)
            b->next->prev = b->prev;
    }
}

static void btimer_free(struct bif_timer *b)
{
    unlink_timer(b);
    mbuf_free(b->frag);
    vm_free(b);
}

static void fire(struct timer *t)
{
    struct bif_timer *b =
        (struct bif_timer *)((char *)t - offsetof(struct bif_timer, timer));
    struct proc *to = b->p;

    if (!to) {
        term id = name_whereis(b->name);

        to = id == THE_NON_VALUE ? NULL : proc_find(id);
    }
    if (to) {
        msg_send_mbuf(to, b->frag, b->message);
        b->frag = NULL;
    }
    btimer_free(b);
}

void btimer_start(const uint64_t ref[2], uint64_t at_ns, term to, term message,
                  bool wrap)
{
    struct bif_timer *b;
    struct proc *p = NULL;
    size_t words = (wrap ? 4 + REF_WORDS : 0) + term_size(message);
    struct dest d;

    if (!term_is_atom(to)) {
        p = proc_find(to);
        if (!p)
            return;             /* it ended, and its timers with it */
    }
    b = vm_zalloc(ALLOC_PROC, sizeof *b);
    b->timer.fire = fire;
    b->name = to;
    b->message = message;
    if (words > 0) {
        b->frag = mbuf_new(words);
        d = (struct dest){b->frag->words, &b->frag->off};
        b->message = term_copy(&d, message);
        if (wrap) {
            term r = ref_put(&d.htop, ref);

            b->message = put_tuple3(&d.htop, am_timeout, r, b->message);
        }
        b->frag->used = d.htop - b->frag->words;
    }
    if (p) {
        b->p = p;
        b->prev = &p->timers;
        b->next = p->timers;
        if (b->next)
            b->next->prev = &b->next;
        p->timers = b;
    }
    set_add(vm.btimers, &b->node, ref[0], ref[1]);
    timer_start(&b->timer, at_ns);
}

static struct bif_timer *find(const uint64_t ref[2])
{
    return (struct bif_timer *)set_find(vm.btimers, ref[0], ref[1]);
}

void btimer_visit(void (*see)(void *ctx, term to, const struct mbuf *frag), void *ctx)
{
    for (struct snode *s = vm.btimers->first; s; s = s->next) {
        struct bif_timer *b = (struct bif_timer *)s;

        see(ctx, b->name, b->frag);
    }
}

int64_t btimer_left(const uint64_t ref[2])
{
    struct bif_timer *b = find(ref);
    uint64_t now = os_mono_ns();

    if (!b)
        return -1;
    return b->timer.at_ns <= now
               ? 0
               : (int64_t)((b->timer.at_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

int64_t btimer_cancel(const uint64_t ref[2])
{
    int64_t left = btimer_left(ref);

    if (left >= 0)
        btimer_free(find(ref));
    return left;
}

bool btimer_proc_exit(struct proc *p, int32_t *reds)
{
    for (; p->timers && *reds > 0; *reds -= 2)
        btimer_free(p->timers);
    return !p->timers;
}
