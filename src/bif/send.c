/*
 * send.c - sending messages and exit signals.
 *
 * Nodes: this one is not alive, so what goes to another node is lost, as OTP
 * loses it when there is no connection.
 */
#include "bif/bif.h"
#include "io/port.h"
#include "op/lastcalls.h"
#include "vm/link.h"
#include "vm/log.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/print.h"
#include "vm/seqtrace.h"
#include "vm/trace.h"

/* What OTP counts for a send. */
#define SEND_REDS 4

enum sent { SENT, SENT_NOWHERE, SENT_BADARG, SENT_BUSY };

static bool of_this_node(term ext)
{
    return ((const struct ext_words *)boxed_ptr(ext))->node->name == node_name();
}

/* A pid, port or ref of an earlier life of this node. */
static void discard(struct proc *p, term to, term message)
{
    struct text t;

    text_init(&t);
    text_add(&t, "Discarding message ", 19);
    text_term(&t, message, 1000);
    text_add(&t, " from ", 6);
    text_term(&t, p->id, 0);
    text_add(&t, " to ", 4);
    text_term(&t, to, 0);
    text_printf(&t, " in an old incarnation (%u) of this node (%u)\n",
                ((const struct ext_words *)boxed_ptr(to))->node->creation,
                (*node_this)->creation);
    log_text(am_error, p->group_leader, t.s, t.n);
    text_fini(&t);
}

static enum sent send_to_id(struct proc *p, term id, term message)
{
    if (term_is_local_pid(id)) {
        struct proc *to = proc_find_any(id);

        if (to)
            msg_send(p, to, message);
    } else {
        if (port_holds_up(id, message))
            return SENT_BUSY;
        if (unlikely(p->trace & TF_TOKEN))
            seq_trace_sends(p, id, message);
        port_signal(id, p->id, message);
    }
    return SENT;
}

/* A port is named by its id, also if it was sent to by name. */
static __attribute__((noinline, cold)) void tell_send(struct proc *p, term to,
                                                      term message)
{
    if (term_is_atom(to)) {
        term id = name_whereis(to);

        if (id != THE_NON_VALUE && term_is_local_port(id))
            to = id;
    }
    trace_send(p, to, message);
}

static enum sent send(struct proc *p, term to, term message)
{
    p->reds_left -= SEND_REDS;
    if (unlikely(p->trace & TF_SEND))
        tell_send(p, to, message);
    if (term_is_local_pid(to) || term_is_local_port(to))
        return send_to_id(p, to, message);
    if (term_is_atom(to)) {
        term id = name_whereis(to);

        return id == THE_NON_VALUE ? SENT_BADARG : send_to_id(p, id, message);
    }
    if (term_is_local_ref(to)) {
        struct proc *owner = alias_take(ref_numbers(to));

        if (owner && unlikely(p->trace & TF_TOKEN))
            msg_send_token(p, owner, to, message);
        else if (owner)
            msg_send(p, owner, message);
        return SENT;
    }
    if (boxed_is(to, BOX_EXTPID) || boxed_is(to, BOX_EXTREF) ||
        (boxed_is(to, BOX_EXTPORT) && of_this_node(to))) {
        if (!of_this_node(to))
            return SENT_NOWHERE;
        discard(p, to, message);
        return SENT;
    }
    if (term_is_tuple_of(to, 2)) {
        term name = *tuple_at(to, 1), node = *tuple_at(to, 2), id;

        if (!term_is_atom(name) || !term_is_atom(node))
            return SENT_BADARG;
        if (node != node_name())
            return SENT_NOWHERE;
        id = name_whereis(name);
        return id == THE_NON_VALUE ? SENT : send_to_id(p, id, message);
    }
    return SENT_BADARG;
}

/* A port does not take it yet. The BIF is called again. */
static term wait_for_port(struct proc *p, term to)
{
    port_wait(p, term_is_tuple(to) ? *tuple_at(to, 1) : to);
    return bif_wait(p);
}

static term send_2(struct proc *p, const term *arg)
{
    last_calls_note(p, &last_send);
    switch (send(p, arg[0], arg[1])) {
    case SENT_BADARG:
        return bif_badarg(p);
    case SENT_BUSY:
        return wait_for_port(p, arg[0]);
    default:
        break;
    }
    return p->flags & PF_KILLED ? bif_exiting(p) : arg[1];
}

BIF_AS(erlang, bang, 2, "!")
{
    /* It is a call of send/2, says OTP. */
    if (unlikely(p->last_calls != NULL))
        last_calls_add(p, EXP("erlang", "send", 2));
    return send_2(p, arg);
}

BIF(erlang, send, 2)
{
    return send_2(p, arg);
}

BIF(erlang, send, 3)
{
    bool connect = true, suspend = true;
    term l = arg[2];

    for (; term_is_cons(l); l = cons_tail(l)) {
        if (cons_head(l) == am_noconnect)
            connect = false;
        else if (cons_head(l) == am_nosuspend)
            suspend = false;
        else
            return bif_error_cause(p, am_badarg, am_badopt);
    }
    if (!term_is_nil(l))
        return bif_error_cause(p, am_badarg, am_badopt);
    switch (send(p, arg[0], arg[1])) {
    case SENT_BADARG:
        return bif_badarg(p);
    case SENT_NOWHERE:
        return connect ? am_ok : am_noconnect;
    case SENT_BUSY:
        return suspend ? wait_for_port(p, arg[0]) : am_nosuspend;
    case SENT:
        break;
    }
    return p->flags & PF_KILLED ? bif_exiting(p) : am_ok;
}

/* ---- exit signals ---- */

static term exit_signal(struct proc *p, term id, term reason, bool exit2)
{
    if (term_is_local_pid(id)) {
        struct proc *to = proc_find(id);

        /* exit/2 of oneself with normal kills, by old custom. */
        if (!to || (to == p && reason == am_normal && !exit2 &&
                    !(p->flags & PF_TRAP_EXIT)))
            return am_true;
        proc_exit_signal(to, p->id, reason, false);
        return p->flags & PF_KILLED ? bif_exiting(p) : am_true;
    }
    if (term_is_local_port(id)) {
        port_exit_signal(id, p->id, reason, false);
        return p->flags & PF_KILLED ? bif_exiting(p) : am_true;
    }
    if (boxed_is(id, BOX_EXTPID))
        return am_true;         /* nothing is connected */
    if (boxed_is(id, BOX_EXTPORT) && of_this_node(id))
        return am_true;
    return bif_badarg(p);
}

BIF(erlang, exit, 2)
{
    return exit_signal(p, arg[0], arg[1], true);
}

BIF(erlang, exit_signal, 2)
{
    return exit_signal(p, arg[0], arg[1], false);
}
