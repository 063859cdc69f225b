/*
 * tcp_inet_end.c - how a stream ends: closed here, by the peer, or by an error;
 * who is told, and in what order.
 */
#include <errno.h>

#include "io/tcp_inet.h"

/* Whoever waits for something is told that it is closed. */
void tcp_inet_close_check(struct tcp *t)
{
    timer_cancel(&t->recv_timer);
    timer_cancel(&t->connect_timer);
    tcp_inet_accepts_end(t);
    inet_async_error(&t->in, am_closed);
}

/* No longer busy: the one that waits is the caller now. */
void tcp_inet_unbusy(struct tcp *t)
{
    t->in.caller = t->busy_caller;
    t->busy_caller = THE_NON_VALUE;
    t->in.state &= ~(unsigned)INET_F_BUSY;
    timer_cancel(&t->send_timer);
    port_set_busy(t->in.port, false);
}

void tcp_inet_file_end(struct tcp *t)
{
    if (t->file.on)
        net_ops.file_close(t->file.fd);
    t->file.on = false;
}

/* Close the socket, keep the port. */
void tcp_inet_desc_close(struct tcp *t)
{
    timer_cancel(&t->delay_timer);
    tcp_inet_input_clear(t);
    tcp_inet_queue_clear(t);
    tcp_inet_file_end(t);
    inet_close(&t->in);
}

/* The owner was told already, in messages: no exit signal for it. */
static void exit_softly(struct port *port, term reason)
{
    link_remove(port->id, port->owner);
    port_exit(port, reason);
}

static void tell_closed(struct tcp *t)
{
    if (!t->closed_told)
        inet_tell(&t->in, am_tcp_closed);
    t->closed_told = true;
}

/* {sendfile, S, {ok, Low, High}} or {sendfile, S, {error, R}} to the owner. */
void tcp_inet_file_reply(struct tcp *t, term error)
{
    struct proc *p = proc_find(t->in.port->owner);
    struct msg_build b;
    term v;

    if (!p)
        return;
    msg_build_begin(&b, p, 4 + 4);
    if (error != THE_NON_VALUE)
        v = put_tuple2(&b.d.htop, am_error, error);
    else
        v = put_tuple3(&b.d.htop, am_ok, small_make(t->file.sent & 0xffffffff),
                       small_make(t->file.sent >> 32));
    v = put_tuple3(&b.d.htop, am_sendfile, t->in.port->id, v);
    msg_build_send(&b, p, v);
}

void tcp_inet_file_abort(struct tcp *t, int err)
{
    if (!t->file.on)
        return;
    tcp_inet_file_reply(t, err == ECONNRESET || err == ENOTCONN || err == EPIPE ? am_closed
                                                                       : errno_atom(err));
}

/* A sender that is blocked hears that it is closed. True if there was one. */
static bool fail_blocked_send(struct tcp *t)
{
    if (!busy(t))
        return false;
    tcp_inet_unbusy(t);
    tcp_inet_queue_clear(t);
    inet_reply_error(&t->in, am_closed);
    return true;
}

/* A port that is only flushing gives up what it has. */
static int end_flush(struct tcp *t)
{
    struct port *port = t->in.port;

    tcp_inet_desc_close(t);
    port_drained(port);
    return -1;
}

/* Reading ended: err 0, or the error. The port lives on if exit_on_close is false. */
int tcp_inet_input_ended(struct tcp *t, int err)
{
    struct port *port = t->in.port;
    bool blocked;

    if (port->closing)
        return end_flush(t);
    blocked = fail_blocked_send(t);
    if (t->file.on) {
        tcp_inet_file_abort(t, err ? err : ENOTCONN);
        blocked = true;
    }
    if (!blocked && err == 0)
        t->late_send = true;
    tcp_inet_input_clear(t);
    if (t->in.active == INET_PASSIVE) {
        timer_cancel(&t->recv_timer);
        if (t->in.exit_on_close)
            tcp_inet_desc_close(t);
        else
            inet_watch(&t->in, 0, NET_READ);
        inet_async_error(&t->in, err ? errno_atom(err) : am_closed);
        return -1;
    }
    if (err)
        inet_tell_error(&t->in, am_tcp_error, errno_atom(err));
    tell_closed(t);
    if (!t->in.exit_on_close)
        inet_watch(&t->in, 0, NET_READ);
    else if (err)
        exit_softly(port, errno_atom(err));
    else
        exit_softly(port, am_normal);
    return -1;
}

/* Sending, or shutting down, failed. */
int tcp_inet_output_failed(struct tcp *t, int err)
{
    struct port *port = t->in.port;
    term reason;

    if (port->closing)
        return end_flush(t);
    /* Our own shutdown apart, a broken pipe is the peer's reset. */
    if (err == EPIPE && !t->write_shut)
        err = ECONNRESET;
    reason = err == ECONNRESET && t->show_econnreset ? am_econnreset : am_closed;
    if (busy(t))
        tcp_inet_unbusy(t);
    if (t->in.active != INET_PASSIVE) {
        if (reason == am_econnreset)
            inet_tell_error(&t->in, am_tcp_error, reason);
        tell_closed(t);
        if (!t->file.on)
            inet_reply_error(&t->in, reason);
        if (t->in.exit_on_close)
            exit_softly(port, am_normal);
        else
            tcp_inet_desc_close(t);
        return -1;
    }
    tcp_inet_close_check(t);
    if (t->in.caller == THE_NON_VALUE)
        t->late_send = true;
    else if (!t->file.on)
        inet_reply_error(&t->in, reason);
    tcp_inet_desc_close(t);
    t->late_recv = true;
    t->late_reset = reason == am_econnreset;
    return -1;
}

int tcp_active_when_closed(struct inet *in)
{
    struct tcp *t = tcp_of(in);

    if (t->late_reset) {
        t->late_reset = false;
        inet_tell_error(in, am_tcp_error, am_econnreset);
    }
    tell_closed(t);
    if (!in->exit_on_close)
        return 0;
    exit_softly(in->port, am_normal);
    return -1;
}
