/*
 * slice.c - see slice.h: C stacks, and moving from one to another.
 *
 * A stack that is not in use is an idle scheduler, which waits in rest() for
 * its turn; or, if its memory was given back, one that has yet to begin.
 */
#include "vm/slice.h"

#include "bif/bif.h"
#include "os/os.h"
#include "vm/heap.h"
#include "vm/msacc.h"
#include "vm/task.h"
#include "vm/trace.h"

#include <pthread.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#if SANITIZED
/*
 * The VM may end for want of memory while work is put aside. What those stacks hold is
 * not lost, but the leak checker does not look there.
 */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return vm.sched && vm.sched->aside; }
#endif

/* About half a millisecond. */
#define SLICE_NS ((int64_t)1 << 19)
/* NIFs run on it too. The lowest page is never there: who needs more ends. */
#define STACK_BYTES ((size_t)512 << 10)
#define GUARD_BYTES ((size_t)4096)
/* Idle ones that keep their memory. */
#define STACKS_KEPT 4
/* Bytes copied, and given back to the system, at once. */
#define COPY_BYTES ((size_t)128 << 10)
#define COPY_BYTES_PER_NS 1     /* to pages that are new: most of it is theirs */
#define FREE_BYTES ((size_t)2 << 20)
/* A block up to this is free in a moment; mostly malloc keeps it, for the next one. */
#define FREE_AT_ONCE ((size_t)16 << 20)
#define FREE_BYTES_PER_NS 8

struct stack {
    void *sp;                   /* while not in use */
    struct stack *next, **prev; /* idle ones, or those put aside */
    struct proc *owner;         /* put aside in the middle of its work */
    uint8_t *low;               /* memory; NULL: the one of sched_run()'s caller */
    bool has_memory, begun;
    bool holds;                 /* no stack at all: the owner looks at a process */
    /* For the sanitizer. */
    void *fake;
    const void *bottom;
    size_t size;
    /* What struct sched held for the owner. */
    uint8_t saved[offsetof(struct sched, scratch)];
};

/*
 * stack_switch(&from->sp, to->sp): registers that a function keeps go on the
 * stack, and come from the other one.
 */
void stack_switch(void **from, void *to);
__asm__(".text\n"
        ".p2align 4\n"
        ".globl stack_switch\n"
        ".type stack_switch, @function\n"
        "stack_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    retq\n"
        ".size stack_switch, . - stack_switch\n");
#define SWITCH_WORDS 6

static int64_t share(void) { return vm.slice_reds == 1 ? 0 : SLICE_NS; }

/* ---- lists ---- */

static void list_add(struct stack **list, struct stack *k)
{
    k->next = *list;
    if (k->next)
        k->next->prev = &k->next;
    k->prev = list;
    *list = k;
}

static void list_remove(struct stack *k)
{
    *k->prev = k->next;
    if (k->next)
        k->next->prev = k->prev;
}

/* ---- stacks ---- */

void slice_init(struct sched *s)
{
    struct stack *k = vm_zalloc(ALLOC_SYSTEM, sizeof *k);

    k->begun = true;
    s->base = s->stack = k;
    s->work_left = share();
}

static void arrived(struct stack *from)
{
#if SANITIZED
    __sanitizer_finish_switch_fiber(vm.sched->stack->fake, &from->bottom, &from->size);
#else
    (void)from;
#endif
}

static void switch_to(struct stack *to)
{
    struct stack *from = vm.sched->stack;

    vm.sched->stack = to;
    vm.sched->left = from;
#if SANITIZED
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->size);
#endif
    stack_switch(&from->sp, to->sp);
    arrived(vm.sched->left);
}

/* The first function on a stack. */
static _Noreturn void begin(void)
{
    arrived(vm.sched->left);
    sched_loop(vm.sched);
    __builtin_unreachable();
}

static void prepare(struct stack *k)
{
    void **sp = (void **)(k->low + GUARD_BYTES + STACK_BYTES);

    *--sp = NULL;               /* where begin() would return to */
    *--sp = (void *)begin;
    for (int i = 0; i < SWITCH_WORDS; i++)
        *--sp = NULL;
    k->sp = sp;
    k->bottom = k->low + GUARD_BYTES;
    k->size = STACK_BYTES;
    k->fake = NULL;
    k->begun = true;
}

/* An idle one, or a new one; NULL without memory. */
static struct stack *take(struct sched *s)
{
    struct stack *k = s->idle;

    if (k) {
        list_remove(k);
        s->nidle -= k->has_memory;
    } else {
        k = vm_zalloc(ALLOC_SYSTEM, sizeof *k);
        k->low = os_reserve(GUARD_BYTES + STACK_BYTES);
        if (!k->low) {
            vm_free(k);
            return NULL;
        }
    }
    if (k->low && !k->has_memory) {
        if (os_commit(k->low + GUARD_BYTES, STACK_BYTES) < 0) {
            list_add(&s->idle, k);
            return NULL;
        }
        k->has_memory = true;
    }
    if (!k->begun)
        prepare(k);
    return k;
}

static void release(struct stack *k)
{
    os_decommit(k->low + GUARD_BYTES, STACK_BYTES);
    k->has_memory = k->begun = false;
}

void slice_trim(struct sched *s)
{
    size_t kept = 0;

    for (struct stack *k = s->idle; k; k = k->next)
        if (k->has_memory && ++kept > STACKS_KEPT)
            release(k);
    s->nidle = kept < STACKS_KEPT ? kept : STACKS_KEPT;
}

/* This stack's scheduler goes idle, and `to` on. */
static void rest(struct sched *s, struct stack *to)
{
    list_add(&s->idle, s->stack);
    s->nidle += s->stack->has_memory;
    switch_to(to);
    if (s->nidle > 2 * STACKS_KEPT)
        slice_trim(s);
}

/* ---- processes ---- */

/* What came for p while it was put aside. */
void slice_settle(struct proc *p)
{
    struct mbuf *late = p->late;

    if (late) {
        p->late = NULL;
        p->exit_reason = p->late_reason;
        if (p->state == PROC_EXITING)
            mbuf_free(late);
        else
            heap_attach(p, late);
    }
    /* It goes on until the next call. Its slices might always end in here. */
    if ((p->flags & (PF_KILLED | PF_SUSPENDED) || task_is_due(p)) && p->reds_left > 0)
        p->reds_left = 0;
}

void slice_over(void)
{
    struct sched *s = vm.sched;
    struct proc *p = s->sliced;
    struct stack *self = s->stack, *next;
    enum proc_state state;
    enum msacc_state accounted = msacc_now();

    /* NIFs have threads, which encode terms and free fragments too. */
    if (!pthread_equal(pthread_self(), s->thread))
        return;
    s->work_left = share();
    os_freed();
    if (!p || s->unsliced || s->halt || s->pause || sched_goes_on(s, p) ||
        !(next = take(s)))
        return;
    state = p->state;
    self->owner = p;
    list_add(&s->aside, self);
    memcpy(self->saved, s, sizeof self->saved);
    p->stack = self;
    p->current = s->sliced_in;
    if (s->sliced_in)
        p->pc = s->self;
    s->p = s->sliced = NULL;
    sched_put_aside(s, p);

    switch_to(next);

    list_remove(self);
    self->owner = NULL;
    memcpy(s, self->saved, sizeof self->saved);
    s->settle = true;
    p->stack = NULL;
    p->state = state;
    msacc_enter(accounted);
    s->work_left = share();
    sched_take_back(s, p);
    p->current = NULL;
}

void slice_resume(struct proc *p)
{
    if (p->stack->holds) {
        /* Who looks at it goes first, however little it matters. */
        sched_hurry(p->stack->owner, p->prio);
        if (p->state == PROC_WAITING)
            sched_request(p);
        else
            sched_enqueue(p);
        return;
    }
    rest(vm.sched, p->stack);
}

void slice_hold(struct proc *p, struct proc *q)
{
    assert(!q->stack);
    q->stack = vm_zalloc(ALLOC_SYSTEM, sizeof *q->stack);
    q->stack->owner = p;
    q->stack->holds = true;
}

void slice_release(struct proc *q)
{
    vm_free(q->stack);
    q->stack = NULL;
    slice_settle(q);
}

bool slice_unwind(struct sched *s)
{
    struct proc *p = s->halt    ? s->base->owner
                     : s->aside ? s->aside->owner
                                : NULL;

    if (p) {
        sched_dequeue(p);
        slice_resume(p);
        return false;
    }
    if (s->stack != s->base) {
        list_remove(s->base);
        rest(s, s->base);
        return false;
    }
    for (struct stack *k = s->idle; k; k = k->next)
        if (k->has_memory)
            release(k);
    s->nidle = 0;
    slice_clear_all();
    return true;
}

term slice_wait(struct proc *p, struct proc *q)
{
    sched_hurry(q->stack && q->stack->holds ? q->stack->owner : q, p->prio);
    return bif_yield(p);
}

/* ---- pieces ---- */

void slice_copy(void *to, const void *from, size_t n)
{
    uint8_t *d = to;
    const uint8_t *s = from;

    for (; n > COPY_BYTES; n -= COPY_BYTES, d += COPY_BYTES, s += COPY_BYTES) {
        memcpy(d, s, COPY_BYTES);
        slice(COPY_BYTES / COPY_BYTES_PER_NS);
    }
    memcpy(d, s, n);
    slice(n / COPY_BYTES_PER_NS);
}

/* A large block that nobody needs; it begins in that block. */
struct leftover {
    struct leftover *next;
    size_t bytes;               /* not yet given back */
};

void slice_free(void *block)
{
    struct sched *s = vm.sched;
    size_t bytes = block ? vm_block_bytes(block) : 0;
    uint8_t *at = block;

    /* Most of the time it takes to free a large block goes to its pages. */
    if (bytes <= FREE_AT_ONCE) {
        bytes = 0;
    } else if (!s->sliced && pthread_equal(pthread_self(), s->thread)) {
        struct leftover *l = block;

        *l = (struct leftover){s->leftovers, bytes};
        s->leftovers = l;
        return;
    }
    for (; bytes > 2 * FREE_BYTES; at += FREE_BYTES, bytes -= FREE_BYTES) {
        os_discard(at, FREE_BYTES);
        slice(FREE_BYTES / FREE_BYTES_PER_NS);
    }
    vm_free(block);
}

void slice_clear(struct sched *s)
{
    struct leftover *l = s->leftovers;

    if (l->bytes > 2 * FREE_BYTES) {
        l->bytes -= FREE_BYTES;
        os_discard((uint8_t *)l + l->bytes, FREE_BYTES);
        return;
    }
    s->leftovers = l->next;
    vm_free(l);
}

bool slice_clear_all(void)
{
    struct sched *s = vm.sched;
    bool some = s && s->leftovers && pthread_equal(pthread_self(), s->thread);

    while (some && s->leftovers)
        slice_clear(s);
    return some;
}
