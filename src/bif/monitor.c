/*
 * monitor.c - links, monitors, aliases.
 */
#include "bif/bif.h"
#include "io/port.h"
#include "vm/link.h"
#include "vm/node.h"
#include "vm/trace.h"

static bool of_this_node(term ext)
{
    return ((const struct ext_words *)boxed_ptr(ext))->node->name == node_name();
}

/* ---- links ---- */

/* link/1's own way to say so, old and documented. */
static term link_noproc(struct proc *p, term id)
{
    if (!(p->flags & PF_TRAP_EXIT))
        return bif_error(p, am_noproc);
    proc_exit_signal(p, id, am_noproc, true);
    return am_true;
}

static void link_to(struct proc *p, term id)
{
    if (unlikely(p->trace & TF_PROCS))
        trace_proc(p, am_link, id);
    if (link_add(p->id, id))
        trace_tie(id, am_getting_linked, p->id);
}

BIF(erlang, link, 1)
{
    term id = arg[0];

    if (id == p->id)
        return am_true;
    if (term_is_local_pid(id)) {
        struct proc *to = proc_find_any(id);

        if (!to || to->state == PROC_EXITING)
            return link_noproc(p, id);
        link_to(p, id);
        return am_true;
    }
    if (term_is_local_port(id)) {
        if (!port_find(id))
            return link_noproc(p, id);
        link_to(p, id);
        return am_true;
    }
    if (boxed_is(id, BOX_EXTPID) && !of_this_node(id)) {
        proc_exit_signal(p, id, am_noconnection, true);
        return p->flags & PF_KILLED ? bif_exiting(p) : am_true;
    }
    if (boxed_is(id, BOX_EXTPID) || (boxed_is(id, BOX_EXTPORT) && of_this_node(id)))
        return link_noproc(p, id);
    return bif_badarg(p);
}

BIF(erlang, unlink, 1)
{
    term id = arg[0];

    if (term_is_local_pid(id) || term_is_local_port(id)) {
        if (unlikely(p->trace & TF_PROCS))
            trace_proc(p, am_unlink, id);
        if (link_remove(p->id, id))
            trace_tie(id, am_getting_unlinked, p->id);
        return am_true;
    }
    if (boxed_is(id, BOX_EXTPID) || (boxed_is(id, BOX_EXTPORT) && of_this_node(id)))
        return am_true;
    return bif_badarg(p);
}

/* ---- monitors ---- */

static term monitor(struct proc *p, term type, term target,
                    const struct monitor_opts *o)
{
    term *hp = heap_alloc(p, REF_WORDS), ref, id = target, name = THE_NON_VALUE;
    uint64_t numbers[2];

    ref_next(numbers);
    ref = ref_put(&hp, numbers);
    if (type == am_time_offset) {
        if (target != am_clock_service)
            return bif_badarg(p);
        monitor_add(p, numbers, type, target, name, o);
        return ref;
    }
    if (type != am_process && type != am_port)
        return bif_error_cause(p, am_badarg, am_badtype);

    if (term_is_tuple_of(target, 2)) {
        term node = *tuple_at(target, 2);

        name = *tuple_at(target, 1);
        if (!term_is_atom(name) || !term_is_atom(node))
            return bif_badarg(p);
        /* While this node has no name, no other node can be told from it. */
        if (node != node_name() || (type == am_process && node != am_NonodeAtNohost))
            return bif_badarg(p);
        target = name;
    }
    if (term_is_atom(target)) {
        name = target;
        id = name_whereis(name);
        if (id != THE_NON_VALUE &&
            !(type == am_process ? term_is_local_pid(id) : term_is_local_port(id)))
            id = THE_NON_VALUE;
    } else if (type == am_process ? boxed_is(id, BOX_EXTPID)
                                  : boxed_is(id, BOX_EXTPORT) && of_this_node(id)) {
        if (of_this_node(id))
            monitor_add(p, numbers, type, id, name, o);
        else
            monitor_add_remote(p, numbers, id, name, node_name(), am_noconnection, o);
        return ref;
    } else if (type == am_process ? !term_is_local_pid(id) : !term_is_local_port(id)) {
        return bif_badarg(p);
    }
    if (id != p->id)
        monitor_add(p, numbers, type, id, name, o);
    return ref;
}

BIF(erlang, monitor, 2)
{
    return monitor(p, arg[0], arg[1], NULL);
}

BIF(erlang, monitor, 3)
{
    struct monitor_opts o;

    if (!monitor_opts_parse(arg[2], &o))
        return bif_error_cause(p, am_badarg, am_badopt);
    return monitor(p, arg[0], arg[1], &o);
}

/* False: ref is no reference that could be a monitor. */
static bool demonitor(struct proc *p, term ref, enum demonitor *result)
{
    *result = DEMONITOR_NONE;
    if (boxed_is(ref, BOX_EXTREF))
        return of_this_node(ref);
    if (!term_is_local_ref(ref))
        return false;
    *result = monitor_remove(p, ref_numbers(ref));
    return true;
}

BIF(erlang, demonitor, 1)
{
    enum demonitor result;

    return demonitor(p, arg[0], &result) ? am_true : bif_badarg(p);
}

BIF(erlang, demonitor, 2)
{
    bool flush = false, info = false;
    enum demonitor result;
    term l = arg[1];

    for (; term_is_cons(l); l = cons_tail(l)) {
        if (cons_head(l) == am_flush)
            flush = true;
        else if (cons_head(l) == am_info)
            info = true;
        else
            return bif_badarg(p);
    }
    if (!term_is_nil(l) || !demonitor(p, arg[0], &result))
        return bif_badarg(p);

    term value = result == DEMONITOR_NONE && info ? am_false : am_true;
    if (flush && result != DEMONITOR_DONE) {
        term args[3] = {arg[0], bool_make(result == DEMONITOR_TIME), value};

        return bif_trap(p, EXP("erts_internal", "flush_monitor_messages", 3), args, 3);
    }
    return value;
}

/* ---- aliases ---- */

BIF(erlang, alias, 1)
{
    enum alias_how how = ALIAS_EXPLICIT;
    term l = arg[0], *hp, ref;
    uint64_t numbers[2];

    for (; term_is_cons(l); l = cons_tail(l)) {
        if (cons_head(l) == am_explicit_unalias)
            how = ALIAS_EXPLICIT;
        else if (cons_head(l) == am_reply)
            how = ALIAS_ONCE;
        else
            return bif_badarg(p);
    }
    if (!term_is_nil(l))
        return bif_badarg(p);
    hp = heap_alloc(p, REF_WORDS);
    ref_next(numbers);
    ref = ref_put(&hp, numbers);
    alias_add(p, numbers, how, NULL);
    return ref;
}

BIF(erlang, unalias, 1)
{
    if (!term_is_ref(arg[0]))
        return bif_badarg(p);
    if (!term_is_local_ref(arg[0]))
        return am_false;
    return bool_make(alias_remove(p, ref_numbers(arg[0])));
}
