/*
 * purge.c - who uses old code, and who waits for what becomes of it.
 */
#include "vm/purge.h"

#include "op/break.h"
#include "vm/link.h"
#include "vm/sched.h"
#include "vm/slice.h"

void purge_init(void)
{
    struct purge *u = vm_zalloc(ALLOC_CODE, sizeof *u + 15);

    u = (struct purge *)(((uintptr_t)u + 15) & ~(uintptr_t)15);
    u->module = THE_NON_VALUE;
    leaving_init(&u->leaving);
    u->purger = u->collector = u->writer = THE_NON_VALUE;
    vm.purge = u;
}

/* Of a walk of the stack, which is done in slices: nanoseconds. */
#define FRAME_NS 10

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

static void wake(struct purge *u)
{
    for (size_t i = 0; i < u->nwaiting; i++) {
        struct proc *p = proc_find(u->waiting[i]);

        if (p)
            proc_resume(p);
    }
    u->nwaiting = 0;
}

void purge_end(void)
{
    vm.purge->module = THE_NON_VALUE;
    wake(vm.purge);
}

bool purge_kept_from(struct proc *p)
{
    struct purge *u = vm.purge;

    if (u->writer == THE_NON_VALUE || u->writer == p->id || !proc_find(u->writer))
        return false;
    purge_wait(p);
    return true;
}

bool purge_seize(struct proc *p)
{
    if (purge_kept_from(p))
        return false;
    vm.purge->writer = p->id;
    return true;
}

void purge_unseize(void)
{
    vm.purge->writer = THE_NON_VALUE;
    wake(vm.purge);
}
