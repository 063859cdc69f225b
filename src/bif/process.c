/*
 * process.c - processes: are they alive, names, group leaders, suspension,
 * hibernation.
 */
#include "bif/bif.h"
#include "io/port.h"
#include "op/code.h"
#include "vm/exc.h"
#include "vm/link.h"
#include "vm/names.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/slice.h"

term bif_exiting(struct proc *p)
{
    return exc_set(p, EXC_EXITING, TERM_NIL, THE_NON_VALUE);
}

/* ---- existence and names ---- */

BIF(erlang, is_process_alive, 1)
{
    if (term_is_local_pid(arg[0]))
        return bool_make(proc_find(arg[0]) != NULL);
    if (boxed_is(arg[0], BOX_EXTPID) &&
        ((const struct ext_words *)boxed_ptr(arg[0]))->node->name == node_name())
        return am_false;
    return bif_badarg(p);
}

BIF(erts_internal, is_system_process, 1)
{
    struct proc *of = proc_find(arg[0]);

    if (!term_is_local_pid(arg[0]))
        return boxed_is(arg[0], BOX_EXTPID) ? am_false : bif_badarg(p);
    return bool_make(of && (of->flags & PF_SYSTEM));
}

/* {Ref, Result} to p; ref may be any term. */
static void answer(struct proc *p, term ref, term result)
{
    struct mbuf *frag = mbuf_new(term_size(ref) + 3);
    struct dest d = {frag->words, &frag->off};

    ref = term_copy(&d, ref);
    ref = put_tuple2(&d.htop, ref, result);
    frag->used = d.htop - frag->words;
    msg_send_mbuf(p, frag, ref);
}

BIF(erts_internal, is_process_alive, 2)
{
    if (!term_is_local_pid(arg[0]) || !term_is_local_ref(arg[1]))
        return bif_badarg(p);
    answer(p, arg[1], bool_make(proc_find(arg[0]) != NULL));
    return am_ok;
}

BIF(erlang, register, 2)
{
    term cause = am_none;
    struct proc *of;

    if (name_register(arg[0], arg[1]))
        return am_true;
    if (term_is_atom(arg[0]) && arg[0] != am_undefined) {
        if (term_is_local_pid(arg[1])) {
            of = proc_find(arg[1]);
            cause = !of                         ? am_notalive
                    : of->name != THE_NON_VALUE ? am_registered_name
                                                : am_none;
        } else if (term_is_local_port(arg[1])) {
            struct port *port = port_find(arg[1]);

            if (port && port->name != THE_NON_VALUE)
                cause = am_registered_name;
        }
    }
    return bif_error_cause(p, am_badarg, cause);
}

BIF(erlang, unregister, 1)
{
    if (!term_is_atom(arg[0]) || !name_unregister(arg[0]))
        return bif_badarg(p);
    return am_true;
}

BIF(erlang, whereis, 1)
{
    term id;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    id = name_whereis(arg[0]);
    return id == THE_NON_VALUE ? am_undefined : id;
}

BIF(erlang, registered, 0)
{
    term *hp = heap_alloc(p, name_count() * CONS_WORDS), list = TERM_NIL;
    const struct name_entry *e;

    for (size_t i = 0; (e = name_next(&i));)
        list = put_cons(&hp, e->name, list);
    return list;
}

/* ---- group leaders ---- */

BIF(erlang, group_leader, 0)
{
    return p->group_leader;
}

static void set_leader(struct proc *of, term leader)
{
    of->group_leader = term_copy_to(of, leader);
}

BIF(erts_internal, group_leader, 2)
{
    struct proc *of;

    if (!term_is_pid(arg[0]))
        return am_badarg;
    if (boxed_is(arg[1], BOX_EXTPID)) {
        const struct ext_words *w = (struct ext_words *)boxed_ptr(arg[1]);

        return w->node->name == node_name() ? bif_badarg(p) : am_true;
    }
    of = proc_find(arg[1]);
    if (!of)
        return am_badarg;
    if (of->stack)
        return slice_wait(p, of);
    set_leader(of, arg[0]);
    return am_true;
}

BIF(erts_internal, group_leader, 3)
{
    struct proc *of;

    if (!term_is_pid(arg[0]) || !term_is_local_pid(arg[1]) ||
        !term_is_local_ref(arg[2]))
        return bif_badarg(p);
    of = proc_find(arg[1]);
    if (of && of->stack)
        return slice_wait(p, of);
    if (of)
        set_leader(of, arg[0]);
    answer(p, arg[2], of ? am_true : am_badarg);
    return am_ok;
}

/* ---- suspension ---- */

BIF(erts_internal, suspend_process, 2)
{
    bool async = false, unless_suspending = false;
    term tag = THE_NON_VALUE, l = arg[1];
    struct proc *of;

    if (arg[0] == p->id || !term_is_local_pid(arg[0]))
        return am_badarg;
    for (; term_is_cons(l); l = cons_tail(l)) {
        term o = cons_head(l);

        if (o == am_unless_suspending) {
            unless_suspending = true;
        } else if (o == am_asynchronous) {
            async = true;
        } else if (term_is_tuple_of(o, 2) && *tuple_at(o, 1) == am_asynchronous) {
            async = true;
            tag = *tuple_at(o, 2);
        } else {
            return am_badopt;
        }
    }
    if (!term_is_nil(l))
        return am_badopt;
    of = proc_find(arg[0]);
    if (!of) {
        if (tag != THE_NON_VALUE)
            answer(p, tag, am_exited);
        return async ? am_true : am_badarg;
    }
    if (unless_suspending && suspend_find(p, of->id)) {
        if (tag != THE_NON_VALUE)
            answer(p, tag, am_suspended);
        return am_false;
    }
    suspend_add(p, of);
    if (tag != THE_NON_VALUE)
        answer(p, tag, am_suspended);
    return am_true;
}

BIF(erlang, resume_process, 1)
{
    if (!term_is_local_pid(arg[0]) || !suspend_drop(p, arg[0]))
        return bif_badarg(p);
    return am_true;
}

/* ---- hibernate ---- */

BIF(erlang, hibernate, 3)
{
    int64_t n = list_length(arg[2]);

    if (!term_is_atom(arg[0]) || !term_is_atom(arg[1]) || n < 0)
        return bif_badarg(p);
    if (n > X_REGS)
        return bif_error(p, am_system_limit);

    /* The scheduler does the rest once the call has been left. */
    if (p->arg != p->arg_def) {
        vm_free(p->arg);
        p->arg = p->arg_def;
        p->arg_size = sizeof p->arg_def / sizeof *p->arg_def;
    }
    memcpy(p->arg, arg, 3 * sizeof *arg);
    p->live = 3;
    p->pc = code_apply_stub;
    p->heap.stop = p->heap.hend - 1;
    assert(*p->heap.stop == (term)(uintptr_t)code_exit_stub);
    p->catches = 0;
    p->flags |= PF_HIBERNATED;
    return bif_exiting(p);
}

BIF(erlang, yield, 0)
{
    /* What is left of the slice is given up, not spent. */
    p->reductions -= (uint64_t)(p->reds_left > 0 ? p->reds_left : 0);
    p->reds_left = 0;
    vm.sched->reds_kept = 0;
    arg[0] = am_true;
    return bif_trap(p, EXP("erts_internal", "collected", 1), arg, 1);
}
