/*
 * timer_chain.c - timers started by timers that fire, for OTP's tests.
 */
#include "bif/timer_chain.h"

#include "os/os.h"
#include "vm/atom.h"
#include "vm/msg.h"
#include "vm/timer.h"

#define NS_PER_MS 1000000u

struct chain {
    struct timer timer;         /* first: see fire() */
    term pid;
    int left;                   /* timers of no time still to start */
};

static void fire(struct timer *t)
{
    struct chain *c = (struct chain *)t;
    struct proc *p = proc_find(c->pid);

    if (c->left-- > 0) {
        timer_start(t, os_mono_ns());
        return;
    }
    if (p)
        msg_send(NULL, p, am_multizero_timeout_in_timeout_done);
    vm_free(c);
}

void timer_chain_start(struct proc *p, uint64_t ms)
{
    struct chain *c = vm_zalloc(ALLOC_SYSTEM, sizeof *c);

    c->timer.fire = fire;
    c->pid = p->id;
    c->left = 2;
    timer_start(&c->timer, os_mono_ns() + ms * NS_PER_MS);
}
