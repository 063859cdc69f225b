/*
 * system_task.c - collection and code checks on request.
 */
#include "bif/bif.h"
#include "bif/process.h"
#include "vm/ops.h"
#include "vm/purge.h"
#include "vm/slice.h"
#include "vm/task.h"

BIF(erts_internal, garbage_collect, 1)
{
    if (arg[0] != am_major && arg[0] != am_minor)
        return bif_badarg(p);
    /* Where it enters the function that gives the result, below. */
    p->heap.want_gc = true;
    p->heap.want_full |= arg[0] == am_major;
    arg[0] = am_true;
    return bif_trap(p, EXP("erts_internal", "collected", 1), arg, 1);
}

/* Entered, so slices can end and heaps be collected here. */
BIF(erts_internal, collected, 1)
{
    return arg[0];
}

/* The message that answers a task: {Type, Id, Result}. */
static void task_reply(struct task_request *r, term type, term id)
{
    struct mbuf *frag = mbuf_new(term_size(id) + 4);
    struct dest d = {frag->words, &frag->off};

    id = term_copy(&d, id);
    r->frag = frag;
    r->reply = put_tuple3(&d.htop, type, id, am_false);
    r->result = tuple_at(r->reply, 3);
    frag->used = d.htop - frag->words;
}

static term system_task(struct proc *p, term requester, term target, term prio_name,
                        term request)
{
    struct proc *of = proc_find(target);
    struct task_request r = {.requester = requester, .module = THE_NON_VALUE};
    enum proc_prio prio = p->prio;
    term type, what;

    if (!term_is_local_pid(target) && !boxed_is(target, BOX_EXTPID))
        return bif_badarg(p);
    if (prio_name != am_inherit && !proc_prio_parse(prio_name, &prio))
        return bif_badarg(p);
    if (!term_is_tuple(request) || tuple_arity(request) < 2 || tuple_arity(request) > 4)
        return bif_badarg(p);
    type = *tuple_at(request, 1);
    what = tuple_arity(request) > 2 ? *tuple_at(request, 3) : THE_NON_VALUE;
    switch (type) {
    case am_garbage_collect:
        if (what != am_major && what != am_minor)
            return bif_badarg(p);
        r.kind = what == am_major ? TASK_GC_MAJOR : TASK_GC_MINOR;
        break;
    case am_check_process_code:
        if (!term_is_atom(what))
            return bif_badarg(p);
        r.kind = TASK_CHECK_CODE;
        r.module = what;
        break;
    case am_system_task_test:
        r.kind = TASK_TEST;
        break;
    default:
        return bif_badarg(p);
    }
    task_reply(&r, type, *tuple_at(request, 2));
    if (of) {
        task_add(of, prio, &r);
    } else {
        struct proc *to = proc_find(requester);

        if (to)
            msg_send_mbuf(to, r.frag, r.reply);
        else
            mbuf_free(r.frag);
    }
    return am_ok;
}

BIF(erts_internal, request_system_task, 3)
{
    return system_task(p, p->id, arg[0], arg[1], arg[2]);
}

BIF(erts_internal, request_system_task, 4)
{
    return system_task(p, arg[0], arg[1], arg[2], arg[3]);
}

/* p runs: where it goes on is the BIF's return address, on the stack. */
BIF(erts_internal, check_process_code, 1)
{
    SLICED(p, EXP("erts_internal", "check_process_code", 1));

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    return bool_make(purge_check_process(p, arg[0]));
}
