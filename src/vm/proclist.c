/*
 * proclist.c - see proclist.h.
 *
 * The table may double meanwhile. What was in slot i is then in one of the
 * slots i, i + end, i + 2 * end, ...: so these are looked at together.
 */
#include "vm/proclist.h"

#define FIRST_PIDS 64
/* Pids count up in so many bits, and then begin again. */
#define PID_BITS (PID_NUMBER_BITS + PID_SERIAL_BITS)

static const char list_type;

static void finish(struct proc_list *l)
{
    if (!l->prev)
        return;
    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
    l->prev = NULL;
}

static void list_free(struct resource *r)
{
    struct proc_list *l = (struct proc_list *)r;

    finish(l);
    vm_free(l->pids);
    vm_free(l);
}

struct proc_list *proc_list_new(void)
{
    struct proc_table *t = vm.procs;
    struct proc_list *l = vm_zalloc(ALLOC_PROC, sizeof *l);

    l->res = (struct resource){.refc = 1, .free = list_free, .type = &list_type};
    l->before = t->next;
    l->end = t->mask + 1;
    l->next = t->lists;
    if (l->next)
        l->next->prev = &l->next;
    l->prev = &t->lists;
    t->lists = l;
    return l;
}

struct proc_list *proc_list_of(term t)
{
    return (struct proc_list *)magic_resource(t, &list_type);
}

static void add(struct proc_list *l, const struct proc *p)
{
    const uint64_t half = UINT64_C(1) << (PID_BITS - 1);
    uint64_t number = (uint64_t)pid_serial(p->id) << PID_NUMBER_BITS | pid_number(p->id);

    /* How far it is back from the first that is too new; further than half: ahead. */
    if (((l->before - 1 - number) & (2 * half - 1)) >= half)
        return;
    if (l->n == l->size) {
        l->size = l->size ? 2 * l->size : FIRST_PIDS;
        l->pids = l->pids ? vm_realloc(l->pids, l->size * sizeof *l->pids)
                          : vm_alloc(ALLOC_PROC, l->size * sizeof *l->pids);
    }
    l->pids[l->n++] = p->id;
}

bool proc_list_go(struct proc_list *l, size_t *slots)
{
    const struct proc_table *t = vm.procs;

    for (; l->at < l->end && *slots > 0; l->at++) {
        for (size_t i = l->at; i <= t->mask; i += l->end) {
            if (t->slot[i])
                add(l, t->slot[i]);
            *slots -= *slots > 0;
        }
    }
    if (l->at < l->end)
        return false;
    finish(l);
    return true;
}

void proc_list_lose(const struct proc *p)
{
    for (struct proc_list *l = vm.procs->lists; l; l = l->next)
        if ((pid_number(p->id) & (l->end - 1)) >= l->at)
            add(l, p);
}
