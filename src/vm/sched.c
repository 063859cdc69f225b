/*
 * sched.c - the scheduler: who runs, for how long, and what happens between.
 *
 * Between slices the world gets its turn: timers, then what os_wait() finds
 * ready. Looking costs time, so it is done once a slice's reductions are spent
 * (or LOOK_SLICES slices), and the system call of os_wait() once in some of
 * those. Nothing depends on measured time.
 */
#include "vm/sched.h"

#include "bif/info.h"
#include "io/io.h"
#include "io/port.h"
#include "op/break.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/dirty.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/log.h"
#include "vm/msacc.h"
#include "vm/profile.h"
#include "vm/slice.h"
#include "vm/sysmon.h"
#include "vm/task.h"
#include "vm/timer.h"
#include "vm/trace.h"

#define LOOK_SLICES 64
/* os_wait() is due after so many reductions, or short slices. */
#define WAIT_REDS (8 * SLICE_REDS)
#define WAIT_SLICES (4 * LOOK_SLICES)
/* What a process costs that was put aside: to others, who wait for the clock. */
#define ASIDE_REDS (2 * SLICE_REDS)
/* A process of PRIO_LOW runs when its turn has come so often: OTP's figure. */
#define LOW_SKIPS 8

void sched_init(void)
{
    struct sched *s = vm_zalloc(ALLOC_SYSTEM, sizeof *s);

    for (int i = 0; i < PRIOS; i++)
        s->runq[i].last = &s->runq[i].first;
    vm.sched = s;
    dirty_init(s);
    slice_init(s);
}

static void append(struct runq *q, struct proc *p)
{
    p->runq = q;
    p->run_next = NULL;
    p->run_prev = q->last;
    *q->last = p;
    q->last = &p->run_next;
    q->length++;
}

void sched_dequeue(struct proc *p)
{
    struct runq *q = p->runq;

    if (!q)
        return;
    *p->run_prev = p->run_next;
    if (p->run_next)
        p->run_next->run_prev = p->run_prev;
    else
        q->last = p->run_prev;
    q->length--;
    p->runq = NULL;
}

/* Where p is to be. Low and normal ones share a queue: sched_next(). */
static struct runq *queue_of(const struct proc *p)
{
    struct sched *s = vm.sched;
    struct runq *q = p->dirty_waits ? s->dirty[p->dirty_kind].runq : s->runq;
    enum proc_prio prio = unlikely(p->tasks != NULL) ? task_prio(p) : p->prio;

    return &q[prio == PRIO_LOW ? PRIO_NORMAL : prio];
}

void sched_enqueue(struct proc *p)
{
    struct runq *q = queue_of(p);

    if (unlikely(vm.sysmon->profile & PROFILE_PROCS) &&
        (p->state == PROC_WAITING || p->state == PROC_RUNNABLE))
        sysmon_profile_proc(p, am_active);
    if (p->state != PROC_EXITING)
        p->state = PROC_RUNNABLE;
    if (unlikely(p->runq != NULL)) {
        if (p->runq == q)
            return;
        sched_dequeue(p);
    }
    append(q, p);
}

void sched_request(struct proc *p)
{
    struct runq *q;

    if (p->state == PROC_RUNNING) {
        /* Its own: in its next turn, which is soon. */
        if (p->reds_left > 0)
            p->reds_left = 0;
        return;
    }
    if (p->dirty_waits) {
        p->dirty_waits = false;
        sched_dequeue(p);
    }
    q = queue_of(p);
    /* One that was hurried stays where it is. */
    if (p->runq && p->runq <= q)
        return;
    sched_dequeue(p);
    append(q, p);
}

void sched_hurry(struct proc *p, enum proc_prio prio)
{
    if (prio >= p->prio)
        return;
    sched_dequeue(p);
    append(&vm.sched->runq[prio], p);
}

void sched_let_others(const struct proc *p)
{
    struct runq *q = vm.sched->runq;
    int n = LOOK_SLICES;

    for (enum proc_prio prio = p->prio + 1; prio < PRIO_LOW; prio++)
        for (; q[prio].first && n > 0; n--)
            sched_hurry(q[prio].first, p->prio);
}

struct proc *sched_next(struct runq q[PRIOS])
{
    struct proc *p = q[PRIO_MAX].first ? q[PRIO_MAX].first : q[PRIO_HIGH].first;

    /* A low one is passed by seven times of eight, as in OTP: a share for each. */
    while (!p && (p = q[PRIO_NORMAL].first)) {
        if (likely(p->prio != PRIO_LOW) || (p->tasks && task_prio(p) != PRIO_LOW) ||
            ++p->low_skips >= LOW_SKIPS) {
            p->low_skips = 0;
            break;
        }
        sched_dequeue(p);
        append(&q[PRIO_NORMAL], p);
        p = NULL;
    }
    if (p)
        sched_dequeue(p);
    return p;
}

/* A slice of p's exit. Returns the reductions it cost; p may be gone. */
static int32_t run_exit(struct proc *p)
{
    int32_t reds = vm.slice_reds > 100 ? vm.slice_reds : 100, before = reds;

    if (!proc_exit_continue(p, &reds)) {
        if (unlikely(p->trace & TF_EXITING))
            trace_running(p, am_out_exiting);
        sched_enqueue(p);
    }
    return before - reds;
}

static void now_waits(struct proc *p)
{
    p->state = PROC_WAITING;
    if (unlikely(vm.sysmon->profile & PROFILE_PROCS))
        sysmon_profile_proc(p, am_inactive);
}

/* p called hibernate/3, with nothing in its queue or it goes on at once. */
static void hibernate(struct proc *p)
{
    int err = 0;

    msg_rewind(p);
    p->exc.kind = EXC_NONE;
    if (!p->msgq.first)
        err = gc_hibernate(p);
    if (err < 0) {
        heap_refused(p, err);
        proc_exit_signal(p, p->id, am_kill, false);
    }
    /* Much may have come while a large heap was collected. */
    if (p->msgq.first || p->flags & PF_KILLED) {
        p->flags &= ~(uint32_t)PF_HIBERNATED;
        sched_enqueue(p);
    } else {
        now_waits(p);
        if (unlikely(p->tasks != NULL) && task_is_due(p))
            sched_request(p);
    }
}

/* p begins a slice, or has ended one. */
static void trace_switch(struct proc *p, bool in)
{
    if (in)
        trace_check(p);
    if (p->traced->timed)
        break_time_switch(p, in);
    if (p->trace & (TF_RUNNING | TF_RUNNING_PROCS))
        trace_running(p, in ? am_in : am_out);
}

/* p's slice begins. */
static void slice_started(struct sched *s, struct proc *p)
{
    s->slice = profile_is_on() ? profile_slice(vm.slice_reds) : vm.slice_reds;
    p->reds_left = s->slice;
    s->context_switches++;
    if (unlikely(p->traced != NULL) && p->state != PROC_EXITING &&
        !(p->flags & PF_IN_TASK))
        trace_switch(p, true);
    s->began_ns = unlikely(vm.sysmon->long_schedule_ms) ? os_mono_ns() : 0;
}

/* It is over. */
static void slice_ended(struct sched *s, struct proc *p, bool goes_on)
{
    if (unlikely(s->began_ns))
        sysmon_ran(p, s->began, s->began_ns);
    if (unlikely(p->traced != NULL) && goes_on && p->state != PROC_EXITING &&
        !(p->flags & PF_IN_TASK))
        trace_switch(p, false);
}

bool sched_goes_on(struct sched *s, struct proc *p)
{
    /* As far as others can tell it is put aside, and comes back. */
    if (vm.slice_reds == 1 || s->reds_unseen >= WAIT_REDS || s->leftovers || s->alone ||
        p->traced || vm.sysmon->long_schedule_ms || profile_is_on())
        return false;
    for (int i = 0; i < PRIOS; i++)
        if (s->runq[i].first)
            return false;
    if (timer_next_ns() <= os_mono_ns())
        return false;
    s->reds_unseen += ASIDE_REDS;
    p->reductions += (uint32_t)s->slice;
    return true;
}

void sched_put_aside(struct sched *s, struct proc *p)
{
    /* What it counts is its share of time, which is used up. */
    p->reductions += (uint32_t)s->slice;
    /* Who waits for the clock need not wait for another slice. */
    s->reds += ASIDE_REDS;
    if (profile_is_on())
        profile_look(p, false);
    slice_ended(s, p, true);
    sched_enqueue(p);
}

void sched_take_back(struct sched *s, struct proc *p)
{
    slice_started(s, p);
}

/*
 * A turn of p for what others ask of it. To them it still waits, if it does. True:
 * it has something of its own to do, in the same turn: or those who ask again and
 * again would keep it from that.
 */
static bool run_tasks(struct sched *s, struct proc *p)
{
    enum proc_state before = p->state;
    const struct export *current = p->current;
    int32_t left = vm.slice_reds;
    bool woken;

    p->state = PROC_RUNNING;
    p->flags |= PF_IN_TASK;
    s->slice = vm.slice_reds;
    s->began_ns = 0;
    {
        SLICED(p, NULL);

        task_run(p, &left);
    }
    woken = p->flags & PF_WOKEN;
    p->flags &= ~(uint32_t)(PF_IN_TASK | PF_WOKEN);
    p->state = before;
    p->current = current;
    s->reds += vm.slice_reds - left;
    if (before == PROC_RUNNABLE || p->flags & PF_KILLED)
        return true;
    if (woken)
        proc_wake(p);
    if (task_is_due(p))
        sched_request(p);
    return false;
}

/* A slice of p. Returns the reductions it cost; p may be gone. */
static int32_t run(struct sched *s, struct proc *p)
{
    enum run_end end;
    int32_t spent;

    if (unlikely(p->stack != NULL)) {
        slice_resume(p);
        return 0;
    }
    if (unlikely(p->tasks != NULL) && p->state != PROC_EXITING && task_is_due(p) &&
        !(p->flags & PF_KILLED) && !run_tasks(s, p))
        return 0;
    if (p->state == PROC_EXITING || (p->flags & PF_KILLED)) {
        if (unlikely(p->trace & TF_EXITING)) {
            p->state = PROC_EXITING;
            trace_running(p, am_in_exiting);
        }
        return run_exit(p);
    }
    if (p->flags & PF_SUSPENDED) {
        now_waits(p);
        p->flags |= PF_ACTIVE;
        return 0;
    }
    p->state = PROC_RUNNING;
    p->flags &= ~(uint32_t)PF_HIBERNATED;
    slice_started(s, p);
    p->current = NULL;
    s->began = p->pc;
    end = code_run(s, p);
    s->p = NULL;
    if (profile_is_on())
        profile_look(p, end != RUN_EXIT);
    spent = s->slice - p->reds_left;
    p->reductions += spent > 0 ? (uint32_t)spent : 0;
    slice_ended(s, p, end != RUN_EXIT || p->flags & PF_HIBERNATED);

    switch (end) {
    case RUN_YIELD:
        sched_enqueue(p);
        break;
    case RUN_WAIT:
        now_waits(p);
        if (p->flags & PF_KILLED)
            sched_enqueue(p);
        else if (unlikely(p->tasks != NULL) && task_is_due(p))
            sched_request(p);
        break;
    case RUN_EXIT:
        if ((p->flags & PF_HIBERNATED) && !(p->flags & PF_KILLED))
            hibernate(p);
        else
            spent += run_exit(p);
        break;
    }
    return spent;
}

/* Signals of the world become messages to OTP's erl_signal_server. */
static void take_signals(void)
{
    static const struct {
        int sig;
        term name;
    } names[] = {
        {1, am_sighup},   {3, am_sigquit},  {6, am_sigabrt},  {10, am_sigusr1},
        {12, am_sigusr2}, {14, am_sigalrm}, {15, am_sigterm}, {17, am_sigchld},
        {18, am_sigcont}, {20, am_sigtstp}, {28, am_sigwinch},
    };
    int sig;

    while ((sig = os_take_signal())) {
        term to = name_whereis(am_erl_signal_server);
        struct proc *p = to == THE_NON_VALUE ? NULL : proc_find(to);

        if (!p) {
            if (sig == 15)
                sched_halt(0);
            continue;
        }
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (names[i].sig == sig) {
                struct mbuf *frag = mbuf_new(3);
                term *hp = frag->words;
                term m = put_tuple2(&hp, am_notify, names[i].name);

                frag->used = 3;
                msg_send_mbuf(p, frag, m);
            }
        }
    }
}

/* What has come meanwhile from outside. */
static void deliver(void)
{
    msacc_enter(MSACC_AUX);
    take_signals();
    nif_deliver();
    msacc_enter(MSACC_OTHER);
}

void sched_look(void)
{
    vm.sched->reds = SLICE_REDS;
    vm.sched->reds_unseen = WAIT_REDS;
}

static void sleep_until(struct sched *s, uint64_t ns)
{
    uint64_t from = unlikely(vm.info->wall_time) ? os_mono_ns() : 0;

    msacc_enter(MSACC_SLEEP);
    os_wait(ns);
    if (unlikely(from))
        s->slept_ns += os_mono_ns() - from;
}

void sched_loop(struct sched *s)
{
    for (;;) {
        struct proc *p;

        if (unlikely(s->halt || s->pause)) {
            if (slice_unwind(s))
                return;
            continue;
        }
        if (s->reds >= SLICE_REDS || s->slices >= LOOK_SLICES) {
            s->reds_unseen += s->reds;
            s->slices_unseen += s->slices;
            s->reds = 0;
            s->slices = 0;
            timer_run(os_mono_ns());
            if (s->reds_unseen >= WAIT_REDS || s->slices_unseen >= WAIT_SLICES) {
                s->reds_unseen = 0;
                s->slices_unseen = 0;
                msacc_enter(MSACC_CHECK_IO);
                os_wait(0);
                deliver();
            }
        }
        if (unlikely(s->leftovers != NULL)) {
            slice_clear(s);
            s->reds += SLICE_REDS;
        }
        p = unlikely(s->alone != NULL) ? NULL : sched_next(s->runq);
        if (p) {
            msacc_enter(MSACC_EMULATOR);
            s->reds += run(s, p);
            s->slices++;
            msacc_enter(MSACC_OTHER);
            continue;
        }
        if (unlikely(s->leftovers != NULL))
            continue;
        sleep_until(s, timer_next_ns());
        deliver();
        timer_run(os_mono_ns());
        s->reds = s->reds_unseen = 0;
        s->slices = s->slices_unseen = 0;
    }
}

int sched_run(void)
{
    struct sched *s = vm.sched;

    s->thread = pthread_self();
    s->reds = s->reds_unseen = 0;
    s->slices = s->slices_unseen = 0;
    sched_loop(s);
    if (s->pause)
        return 0;
    port_flush();
    return s->halt_status;
}

void sched_halt(int status)
{
    struct sched *s = vm.sched;

    if (s->halt)
        return;
    s->halt = true;
    s->halt_status = status;
    if (s->p && s->p->reds_left > 0)
        s->p->reds_left = 0;
}
