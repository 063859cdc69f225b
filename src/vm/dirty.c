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
    struct dirty_place *place;  /* p's, or NULL */
    bool began, over;
    bool dead;                  /* p is gone but for its heap */
};

struct dirty_place {
    bool taken;
    uint64_t since_ns;          /* busy since; 0: it is not */
    uint64_t busy_ns;           /* ... before that, since dirty_reset() */
};

void dirty_init(struct sched *s)
{
    s->dirty[DIRTY_CPU].places = DIRTY_CPU_PLACES;
    s->dirty[DIRTY_IO].places = DIRTY_IO_PLACES;
    for (int kind = 0; kind < DIRTY_KINDS; kind++) {
        struct dirty_places *d = &s->dirty[kind];

        d->place = vm_zalloc(ALLOC_SYSTEM, d->places * sizeof *d->place);
        for (int i = 0; i < PRIOS; i++)
            d->runq[i].last = &d->runq[i].first;
    }
}

/* A place of d, if there is a free one. */
static struct dirty_place *take_place(struct dirty_places *d)
{
    for (unsigned i = 0; i < d->places; i++) {
        if (!d->place[i].taken) {
            d->place[i].taken = true;
            return &d->place[i];
        }
    }
    return NULL;
}

/* Give free places to those who wait for one, in the order of a run queue. */
static void place_next(enum dirty_kind kind)
{
    struct dirty_places *d = &vm.sched->dirty[kind];
    struct dirty_place *place = take_place(d);
    struct proc *p;

    while (place && (p = sched_next(d->runq))) {
        p->dirty_waits = false;
        /* Who is suspended asks again when it is resumed. */
        if (!(p->flags & PF_SUSPENDED)) {
            p->dirty->place = place;
            place = take_place(d);
        }
        sched_enqueue(p);
    }
    if (place)
        place->taken = false;
}

static void job_free(struct proc *p)
{
    vm_free(p->dirty);
    p->dirty = NULL;
}

static void leave(struct dirty_job *j)
{
    if (j->place->since_ns)
        j->place->busy_ns += os_mono_ns() - j->place->since_ns;
    j->place->since_ns = 0;
    j->place->taken = false;
    j->place = NULL;
    j->over = true;
    if (vm.sched->alone == j)
        vm.sched->alone = NULL;
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
    if (j->place || j->over)
        return true;
    j->place = take_place(d);
    if (!j->place)
        p->dirty_waits = true;
    return j->place;
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
    if (j->began)
        return false;
    j->began = true;
    j->place->since_ns = os_mono_ns();
    if (ms != DIRTY_FOR_EVER)
        timer_start(&j->timer, j->place->since_ns + ms * NS_PER_MS);
    return false;
}

void dirty_alone(struct proc *p)
{
    struct dirty_job *j = p->dirty;

    if (j->timer.prev)
        vm.sched->alone = j;
}

uint64_t dirty_busy_ns(enum dirty_kind kind, unsigned i)
{
    const struct dirty_place *place = &vm.sched->dirty[kind].place[i];

    return place->busy_ns + (place->since_ns ? os_mono_ns() - place->since_ns : 0);
}

void dirty_reset(void)
{
    for (int kind = 0; kind < DIRTY_KINDS; kind++) {
        const struct dirty_places *d = &vm.sched->dirty[kind];

        for (unsigned i = 0; i < d->places; i++) {
            d->place[i].busy_ns = 0;
            if (d->place[i].since_ns)
                d->place[i].since_ns = os_mono_ns();
        }
    }
}

bool dirty_runs(const struct proc *p)
{
    return p->dirty && p->dirty->place;
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
    if (!j->place) {
        job_free(p);
        return false;
    }
    j->dead = true;
    if (!j->timer.prev)
        timer_start(&j->timer, os_mono_ns() + LINGER_MS * NS_PER_MS);
    return true;
}
