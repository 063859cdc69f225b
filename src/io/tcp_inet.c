/*
 * tcp_inet.c - the port driver "tcp_inet": streams. Requests and options; the
 * other files of this name have the rest.
 *
 * Passive sockets are read when somebody asks, active ones whenever there is
 * something. A sender that finds the queue above `high` is answered when it is
 * down at `low`, and the port is busy meanwhile.
 */
#include <errno.h>

#include "io/port_trace.h"
#include "io/tcp_inet.h"

#define HIGH_DEFAULT 8192
#define LOW_DEFAULT 4096

enum { LOPT_TCP_HIWTRMRK = 27, LOPT_TCP_LOWTRMRK, LOPT_TCP_SEND_TIMEOUT = 30,
       LOPT_TCP_DELAY_SEND, LOPT_TCP_SEND_TIMEOUT_CLOSE = 35,
       LOPT_TCP_SHOW_ECONNRESET = 39 };

static void ready(struct tcp *t, unsigned events)
{
    if (t->in.state & INET_F_LISTEN) {
        tcp_inet_accept_ready(t);
        return;
    }
    if (t->in.state & INET_F_CON) {
        tcp_inet_connect_ready(t);
        return;
    }
    if (!inet_is_connected(&t->in)) {
        inet_watch(&t->in, 0, NET_READ | NET_WRITE);
        return;
    }
    if ((events & NET_WRITE) && tcp_inet_output(t) < 0)
        return;
    if (events & NET_READ)
        tcp_inet_input(t, 0);
}

void tcp_inet_ready(struct net_sock *s, unsigned events)
{
    struct tcp *t = s->owner;
    struct port_work work = port_told(t->in.port, events & NET_READ ? am_input : am_output);

    ready(t, events);
    port_worked(&work);
}

static term control_listen(struct tcp *t, struct inet_request *r)
{
    int err;

    if (!inet_is_open(&t->in))
        return inet_xerror(r, "exbadport");
    if (r->n != 2)
        return inet_error(r, EINVAL);
    err = net_ops.listen(t->in.sock, (int)get16(r->data));
    if (err < 0)
        return inet_error(r, err);
    t->in.state = INET_F_OPEN | INET_F_LISTEN;
    return inet_ok(r, NULL, 0);
}

static term control_setopts(struct tcp *t, struct inet_request *r)
{
    switch (inet_set_options(&t->in, r->data, r->n)) {
    case INET_SET_ERROR:
        return inet_error(r, EINVAL);
    case INET_SET_DELIVER:
        tcp_inet_deliver(t, 0);
        break;
    case INET_SET_READ:
        if (t->in.ignored)
            inet_watch(&t->in, NET_READ, 0);
        else if (tcp_inet_input(t, 0) >= 0 && t->in.active != INET_PASSIVE)
            inet_watch(&t->in, NET_READ, 0);
        break;
    }
    return inet_ok(r, NULL, 0);
}

static term tcp_control(struct port *port, struct proc *p, uint32_t op, const uint8_t *data,
                        size_t n)
{
    struct tcp *t = port->state;
    struct inet_request r = {p, data, n};
    int err;

    op -= INET_CONTROL;
    switch (op) {
    case INET_REQ_OPEN:
        if (t->in.state != 0)
            return inet_xerror(&r, "exbadseq");
        err = inet_open(&t->in, data, n, NET_STREAM, tcp_inet_ready);
        return err < 0 ? inet_error(&r, err) : inet_ok(&r, NULL, 0);
    case INET_REQ_FDOPEN:
        err = inet_fdopen(&t->in, data, n, NET_STREAM, tcp_inet_ready);
        return err < 0 ? inet_error(&r, err) : inet_ok(&r, NULL, 0);
    case INET_REQ_CLOSE:
        tcp_inet_close_check(t);
        tcp_inet_desc_close(t);
        return inet_ok(&r, NULL, 0);
    case INET_REQ_LISTEN: return control_listen(t, &r);
    case INET_REQ_CONNECT: return tcp_inet_connect(t, &r);
    case INET_REQ_ACCEPT: return tcp_inet_accept(t, &r);
    case INET_REQ_SETOPTS: return control_setopts(t, &r);
    case TCP_REQ_RECV: return tcp_inet_recv(t, &r);
    case TCP_REQ_UNRECV: return tcp_inet_unrecv(t, &r);
    case TCP_REQ_SHUTDOWN: return tcp_inet_shutdown(t, &r);
    case TCP_REQ_SENDFILE: return tcp_inet_sendfile(t, &r);
    }
    return inet_control(&t->in, &r, op);
}

bool tcp_option_set(struct inet *in, unsigned opt, int32_t v)
{
    struct tcp *t = tcp_of(in);

    switch (opt) {
    case LOPT_TCP_HIWTRMRK:
        t->high = v < 0 ? 0 : (size_t)v;
        if (t->low > t->high)
            t->low = t->high;
        return true;
    case LOPT_TCP_LOWTRMRK:
        t->low = v < 0 ? 0 : (size_t)v;
        if (t->high < t->low)
            t->high = t->low;
        return true;
    case LOPT_TCP_SEND_TIMEOUT: t->send_timeout = (uint32_t)v; return true;
    case LOPT_TCP_SEND_TIMEOUT_CLOSE: t->send_timeout_close = v != 0; return true;
    case LOPT_TCP_DELAY_SEND: t->delay_send = v != 0; return true;
    case LOPT_TCP_SHOW_ECONNRESET: t->show_econnreset = v != 0; return true;
    case 33: return true;       /* read_packets, of datagrams */
    }
    return false;
}

bool tcp_option_get(struct inet *in, unsigned opt, int32_t *v)
{
    const struct tcp *t = tcp_of(in);

    switch (opt) {
    case LOPT_TCP_HIWTRMRK: *v = (int32_t)t->high; return true;
    case LOPT_TCP_LOWTRMRK: *v = (int32_t)t->low; return true;
    case LOPT_TCP_SEND_TIMEOUT: *v = (int32_t)t->send_timeout; return true;
    case LOPT_TCP_SEND_TIMEOUT_CLOSE: *v = t->send_timeout_close; return true;
    case LOPT_TCP_DELAY_SEND: *v = t->delay_send; return true;
    case LOPT_TCP_SHOW_ECONNRESET: *v = t->show_econnreset; return true;
    }
    return false;
}

void tcp_linger_zero(struct inet *in, bool on)
{
    tcp_of(in)->linger_zero = on;
}

static int tcp_open(struct port *port, const struct port_opts *opts)
{
    struct tcp *t = vm_zalloc(ALLOC_SYSTEM, sizeof *t);

    inet_init(&t->in, port, false);
    t->last = &t->first;
    t->accepts_last = &t->accepts;
    t->high = HIGH_DEFAULT;
    t->low = LOW_DEFAULT;
    t->send_timeout = INET_INFINITY;
    t->busy_caller = THE_NON_VALUE;
    t->pending_shutdown = -1;
    t->recv_timer.fire = tcp_inet_recv_timeout;
    t->send_timer.fire = tcp_inet_send_timeout;
    t->connect_timer.fire = tcp_inet_connect_timeout;
    t->delay_timer.fire = tcp_inet_delayed_send;
    port->state = t;
    return 0;
}

static void tcp_close(struct port *port)
{
    struct tcp *t = port->state;

    timer_cancel(&t->send_timer);
    tcp_inet_close_check(t);
    tcp_inet_desc_close(t);
    vm_free(t);
}

static void tcp_flush(struct port *port)
{
    struct tcp *t = port->state;

    /* What nobody waits to write never will be. */
    if (!(t->in.watched & NET_WRITE) || t->linger_zero || t->file.on)
        tcp_inet_queue_clear(t);
    else
        inet_watch(&t->in, 0, NET_READ);
    timer_cancel(&t->send_timer);
}

static size_t tcp_queued(struct port *port)
{
    return ((struct tcp *)port->state)->queued;
}

struct port_driver tcp_inet_driver = {
    .name = "tcp_inet",
    .open = tcp_open,
    .close = tcp_close,
    .output = tcp_inet_send,
    .flush = tcp_flush,
    .queued = tcp_queued,
    .control = tcp_control,
    .soft_busy = true,
};
