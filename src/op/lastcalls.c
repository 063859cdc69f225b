/*
 * lastcalls.c - see lastcalls.h.
 */
#include "op/lastcalls.h"

#include "bif/build.h"
#include "op/break.h"
#include "vm/atom.h"

struct last_calls {
    size_t size, n, next;           /* a ring; n of them are there */
    const struct export *what[];
};

const struct export last_send = {.f = am_send}, last_receive = {.f = am_receive},
                    last_timeout = {.f = am_timeout};

void last_calls_add(struct proc *p, const struct export *what)
{
    struct last_calls *l = p->last_calls;

    if (p->flags & PF_SENSITIVE)
        return;
    l->what[l->next] = what;
    l->next = (l->next + 1) % l->size;
    l->n += l->n < l->size;
}

size_t last_calls_set(struct proc *p, size_t n)
{
    struct last_calls *old = p->last_calls, *l = NULL;
    size_t was = old ? old->size : 0;

    if (n > 0) {
        l = vm_zalloc(ALLOC_PROC, sizeof *l + n * sizeof *l->what);
        l->size = n;
    }
    p->last_calls = l;
    if (!old != !l)
        break_save(l != NULL);
    vm_free(old);
    return was;
}

term last_calls_list(struct proc *p, const struct proc *q)
{
    const struct last_calls *l = q->last_calls;
    term list = TERM_NIL;

    if (!l)
        return am_false;
    for (size_t i = 1; i <= l->n; i++) {
        const struct export *e = l->what[(l->next + l->size - i) % l->size];
        bool call = e != &last_send && e != &last_receive && e != &last_timeout;

        list = build_cons(
            p, call ? build_tuple3(p, e->m, e->f, small_make(e->arity)) : e->f, list);
    }
    return list;
}
