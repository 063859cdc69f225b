/*
 * dirty.c - see dirty.h.
 */
#include "vm/dirty.h"

#include "os/os.h"
#include "vm/task.h"
#include "vm/timer.h"

#define NS_PER_MS UINT64_C(1000000)
/* What is busy for ever notices that it is dead, and ends so much later: OTP's. */
#define LINGER_MS 1000

struct dirty_job {
    struct timer timer;
    struct proc *p;
    bool has_place, began, over;
    bool dead;                  /* p is gone but for its heap */
};

void dirty_init(struct sched *s)
{
    s->dirty[DIRTY_CPU].places = DIRTY_CPU_PLACES;
    s->dirty[DIRTY_IO].places = DIRTY_IO_PLACES;
    for (int kind = 0; kind < DIRTY_KINDS; kind++)
        for (int i = 0; i < PRIOS; i++)
            s->dirty[kind].runq[i].last = &s->dirty[kind].runq[i].first;
}

/* Give free places to those who wait for one, in the order of a run queue. */
static void place_next(enum dirty_kind kind)
{
    struct dirty_places *d = &vm.sched->dirty[kind];
    struct proc *p;

    while (d->places > 0 && (p = sched_next(d->runq))) {
        p->dirty_waits = false;
        /* Who is suspended asks again when it is resumed. */
        if (!(p->flags & PF_SUSPENDED)) {
            p->dirty->has_place = true;
            d->places--;
        }
        sched_enqueue(p);
    }
}

static void job_free(struct proc *p)
{
    vm_free(p->dirty);
    p->dirty = NULL;
}

static void leave(struct dirty_job *j)
{
    j->has_place = false;
    j->over = true;
    vm.sched->dirty[j->p->dirty_kind].places++;
    place_next(j->p->dirty_kind);
}

static void time_is_up(struct timer *t)
{
    struct dirty_job *j = (struct dirty_job *)t;
    struct proc *p = j->p;

    leave(j);
    if (j->dead) {
        job_free(p);
        sched_enqueue(p);
        return;
    }
    task_release(p);
    proc_wake(p);
}

bool dirty_enter(struct proc *p, enum dirty_kind kind)
{
    struct dirty_places *d = &vm.sched->dirty[kind];
    struct dirty_job *j = p->dirty;

    if (!j) {
        j = p->dirty = vm_zalloc(ALLOC_PROC, sizeof *j);
        j->timer.fire = time_is_up;
        j->p = p;
        p->dirty_kind = kind;
    }
    if (j->has_place || j->over)
        return true;
    if (d->places == 0) {
        p->dirty_waits = true;
        return false;
    }
    d->places--;
    j->has_place = true;
    return true;
}

bool dirty_passed(struct proc *p, uint64_t ms)
{
    struct dirty_job *j = p->dirty;

    if (!j->began && ms == 0)
        leave(j);
    if (j->over) {
        job_free(p);
        return true;
    }
    if (!j->began && ms != DIRTY_FOR_EVER)
        timer_start(&j->timer, os_mono_ns() + ms * NS_PER_MS);
    j->began = true;
    return false;
}

bool dirty_runs(const struct proc *p)
{
    return p->dirty && p->dirty->has_place;
}

void dirty_withdraw(struct proc *p)
{
    p->dirty_waits = false;
    sched_enqueue(p);
}

bool dirty_lingers(struct proc *p)
{
    struct dirty_job *j = p->dirty;

    if (!j)
        return false;
    if (!j->has_place) {
        job_free(p);
        return false;
    }
    j->dead = true;
    if (!j->timer.prev)
        timer_start(&j->timer, os_mono_ns() + LINGER_MS * NS_PER_MS);
    return true;
}
