/*
 * task.c - see task.h.
 */
#include "vm/task.h"

#include "vm/atom.h"
#include "vm/dirty.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/msg.h"
#include "vm/purge.h"
#include "vm/sched.h"

/* So many tasks of normal priority are done before one of low: OTP's figure. */
#define NORMAL_IN_A_ROW 8
#define TASK_REDS 1
#define GC_WORDS_PER_RED 10

struct task {
    struct task *next;
    enum proc_prio prio;
    struct task_request r;
};

struct tasks {
    struct task_queue {
        struct task *first, **last;
    } queue[PRIOS];
    struct task *held, **held_last;     /* until p may be collected */
    unsigned normal_in_a_row;
    enum proc_prio doing;               /* the one that is being done; or PRIOS */
};

static struct tasks *tasks_of(struct proc *p)
{
    struct tasks *t = p->tasks;

    if (!t) {
        t = p->tasks = vm_zalloc(ALLOC_PROC, sizeof *t);
        for (int i = 0; i < PRIOS; i++)
            t->queue[i].last = &t->queue[i].first;
        t->held_last = &t->held;
        t->doing = PRIOS;
    }
    return t;
}

static void answer(struct task *k, term result)
{
    struct proc *to = proc_find(k->r.requester);

    *k->r.result = result;
    if (to)
        msg_send_mbuf(to, k->r.frag, k->r.reply);
    else
        mbuf_free(k->r.frag);
    vm_free(k);
}

/* p is to die: what it answers. It may yet look at its literals. */
static void refuse(struct proc *p, struct task *k)
{
    if (k->r.kind == TASK_LITERALS)
        leaving_copy(p);
    answer(k, k->r.kind == TASK_LITERALS ? am_ok : am_false);
}

static void queue_add(struct tasks *t, struct task *k)
{
    struct task_queue *q = &t->queue[k->prio];

    k->next = NULL;
    *q->last = k;
    q->last = &k->next;
}

void task_add(struct proc *p, enum proc_prio prio, const struct task_request *r)
{
    struct task *k = vm_alloc(ALLOC_PROC, sizeof *k);

    *k = (struct task){.prio = prio, .r = *r};
    if (p->state == PROC_EXITING || p->flags & PF_KILLED) {
        refuse(p, k);
        return;
    }
    queue_add(tasks_of(p), k);
    sched_request(p);
}

bool task_is_due(const struct proc *p)
{
    const struct tasks *t = p->tasks;

    for (int i = 0; t && i < PRIOS; i++)
        if (t->queue[i].first)
            return true;
    return false;
}

enum proc_prio task_prio(const struct proc *p)
{
    const struct tasks *t = p->tasks;

    for (enum proc_prio i = PRIO_MAX; t && i < p->prio; i++)
        if (t->queue[i].first || t->doing == i)
            return i;
    return p->prio;
}

/* The most urgent one; low ones get their share beside normal ones. */
static struct task *take(struct tasks *t)
{
    struct task_queue *q = t->queue;
    struct task *k;

    while (q < &t->queue[PRIO_LOW] && !q->first)
        q++;
    if (q == &t->queue[PRIO_NORMAL] && t->queue[PRIO_LOW].first &&
        ++t->normal_in_a_row > NORMAL_IN_A_ROW) {
        t->normal_in_a_row = 0;
        q = &t->queue[PRIO_LOW];
    }
    k = q->first;
    if (!k)
        return NULL;
    q->first = k->next;
    if (!q->first)
        q->last = &q->first;
    return k;
}

/* Its heap is to be left alone for now. */
static bool must_wait(const struct proc *p, enum task_kind kind)
{
    return (p->flags & PF_NO_GC || dirty_runs(p)) &&
           (kind == TASK_GC_MINOR || kind == TASK_GC_MAJOR || kind == TASK_LITERALS);
}

static size_t heap_words_used(const struct heap *h)
{
    return (size_t)(h->htop - h->heap + (h->old_htop - h->old_heap)) + h->mbuf_words;
}

static void collect(struct proc *p, bool major)
{
    int err;

    p->heap.want_full |= major;
    if ((err = gc_collect(p, 0, p->arg, p->live)) < 0) {
        heap_refused(p, err);
        proc_exit_signal(p, p->id, am_kill, false);
    }
}

void task_run(struct proc *p, int32_t *reds)
{
    struct tasks *t = p->tasks;
    bool minor = false, major = false;  /* done in this turn, once for all */
    struct task *k;

    while (*reds > 0 && !(p->flags & PF_KILLED) && (k = take(t))) {
        term result = am_true;
        size_t cost = TASK_REDS;

        if (must_wait(p, k->r.kind)) {
            k->next = NULL;
            *t->held_last = k;
            t->held_last = &k->next;
            continue;
        }
        t->doing = k->prio;
        switch (k->r.kind) {
        case TASK_GC_MINOR:
        case TASK_GC_MAJOR: {
            bool all = k->r.kind == TASK_GC_MAJOR;

            /* What hibernates is as small as it gets. */
            if (!(all ? major : minor) && !(p->flags & PF_HIBERNATED)) {
                cost += heap_words_used(&p->heap) / GC_WORDS_PER_RED;
                collect(p, all);
                minor = true;
                major |= all;
            }
            break;
        }
        case TASK_CHECK_CODE:
            result = bool_make(purge_check_process(p, k->r.module));
            break;
        case TASK_LITERALS:
            cost += heap_words_used(&p->heap) / GC_WORDS_PER_RED;
            leaving_copy(p);
            result = am_ok;
            break;
        case TASK_TEST:
            break;
        }
        answer(k, result);
        *reds -= cost < (size_t)*reds ? (int32_t)cost : *reds;
    }
    t->doing = PRIOS;
    if (!t->held && !task_is_due(p)) {
        vm_free(t);
        p->tasks = NULL;
    }
}

void task_release(struct proc *p)
{
    struct tasks *t = p->tasks;
    struct task *next;

    if (!t || !t->held)
        return;
    for (struct task *k = t->held; k; k = next) {
        next = k->next;
        queue_add(t, k);
    }
    t->held = NULL;
    t->held_last = &t->held;
    sched_request(p);
}

void task_refuse(struct proc *p)
{
    struct tasks *t = p->tasks;
    struct task *k, *next;

    if (!t)
        return;
    p->tasks = NULL;
    while ((k = take(t)))
        refuse(p, k);
    for (k = t->held; k; k = next) {
        next = k->next;
        refuse(p, k);
    }
    vm_free(t);
}
