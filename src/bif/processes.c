/*
 * processes.c - processes/0: a table of a million is listed in several slices.
 */
#include "bif/bif.h"
#include "bif/procinfo.h"
#include "vm/proclist.h"

/* What a reduction pays: looking at slots of the table, most of it cache misses. */
#define SLOTS_PER_RED 4
#define PIDS_PER_RED 10

/* {ptab_list_bif_info, ...}: what makes processes/0 give up its slice, for OTP's tests. */
term processes_info(struct proc *p)
{
    term *t = heap_alloc(p, 11), one = small_make(1);
    const term values[] = {am_ptab_list_bif_info, one, one,
                           small_make((int64_t)proc_slots()), small_make(SLOTS_PER_RED),
                           one, one, one, small_make(PIDS_PER_RED), small_make(0)};

    t[0] = TUPLE_HEADER(10);
    memcpy(t + 1, values, sizeof values);
    return boxed_make(t);
}

/* Goes on with a list, from its end: acc is what there is of the result. */
static term list_on(struct proc *p, struct proc_list *l, term acc, term magic)
{
    size_t slots = bif_budget(p, SLOTS_PER_RED), left = slots;
    bool complete = proc_list_go(l, &left);

    bif_spend(p, slots - left, SLOTS_PER_RED);
    if (complete) {
        size_t budget = bif_budget(p, PIDS_PER_RED), n = l->n < budget ? l->n : budget;
        term *hp = heap_alloc(p, n * CONS_WORDS);

        for (size_t i = 0; i < n; i++)
            acc = put_cons(&hp, l->pids[--l->n], acc);
        bif_spend(p, n, PIDS_PER_RED);
    }
    if (!complete || l->n > 0) {
        term args[2] = {acc, magic};

        if (term_is_nil(magic)) {
            struct dest d = {heap_alloc(p, MAGIC_WORDS), &p->heap.off};

            args[1] = magic_put(&d, &l->res);
        }
        return bif_trap(p, EXP("erlang", "ptab_list_continue", 2), args, 2);
    }
    if (term_is_nil(magic))
        resource_put(&l->res);
    return acc;
}

/* In the order of the table. Who is dying counts until it has left that. */
BIF(erlang, processes, 0)
{
    return list_on(p, proc_list_new(), TERM_NIL, TERM_NIL);
}

/* OTP's name for the rest of it. */
BIF(erlang, ptab_list_continue, 2)
{
    struct proc_list *l = proc_list_of(arg[1]);

    return l ? list_on(p, l, arg[0], arg[1]) : bif_badarg(p);
}

/* The same in one go. */
term processes_at_once(struct proc *p)
{
    term *hp = heap_alloc(p, proc_count() * CONS_WORDS);
    term list = TERM_NIL, *tail = &list;
    const struct proc *q;

    for (size_t i = 0; (q = proc_next(&i)); hp += CONS_WORDS) {
        hp[0] = q->id;
        hp[1] = TERM_NIL;
        *tail = cons_make(hp);
        tail = &hp[1];
    }
    return list;
}
