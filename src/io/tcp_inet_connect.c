/*
 * tcp_inet_connect.c - how a stream begins: accept, by as many as ask, in their
 * order; and connect.
 */
#include <errno.h>

#include "io/tcp_inet.h"

#define ACCEPTS_MAX 64              /* a time, before others have their turn */

/* Somebody in accept. */
struct accept_op {
    struct accept_op *next, **prev;
    struct tcp *tcp;
    struct proc_watch watch;
    struct timer timer;
    term caller;
    uint16_t ref;
};

static void accept_op_free(struct accept_op *op)
{
    timer_cancel(&op->timer);
    proc_unwatch(&op->watch);
    *op->prev = op->next;
    if (op->next)
        op->next->prev = op->prev;
    else
        op->tcp->accepts_last = op->prev;
    if (!op->tcp->accepts) {
        op->tcp->in.state &= ~(unsigned)INET_F_ACC;
        inet_watch(&op->tcp->in, 0, NET_READ);
    }
    vm_free(op);
}

/* Whoever waits in accept is told that it is closed. */
void tcp_inet_accepts_end(struct tcp *t)
{
    while (t->accepts) {
        inet_send_async_error(&t->in, t->accepts->ref, t->accepts->caller, am_closed);
        accept_op_free(t->accepts);
    }
}

/*
 * A port for an accepted socket, with what is inherited of its listener. 0, or
 * negative errno with the socket closed.
 */
static int tcp_copy(struct tcp *t, struct net_sock *s, struct proc *owner, term *id)
{
    struct port_opts o = {.name = "tcp_inet", .in = true, .out = true};
    struct port *port = port_new(owner, &tcp_inet_driver, &o);
    struct tcp *c;

    if (!port) {
        net_ops.close(s);
        return -ENFILE;
    }
    tcp_inet_driver.open(port, &o);
    c = port->state;
    c->in.sock = s;
    s->owner = &c->in;
    s->ready = tcp_inet_ready;
    c->in.state = INET_CONNECTED;
    c->in.family = t->in.family;
    c->in.mode = t->in.mode;
    c->in.exit_on_close = t->in.exit_on_close;
    c->in.deliver = t->in.deliver;
    c->in.packet = t->in.packet;
    c->in.packet_size = t->in.packet_size;
    c->in.header = t->in.header;
    c->in.buffer = t->in.buffer;
    c->in.msgq_high = t->in.msgq_high;
    c->in.msgq_low = t->in.msgq_low;
    c->in.delimiter = t->in.delimiter;
    c->high = t->high;
    c->low = t->low;
    c->send_timeout = t->send_timeout;
    c->send_timeout_close = t->send_timeout_close;
    c->show_econnreset = t->show_econnreset;
    c->linger_zero = t->linger_zero;
    link_add(owner->id, port->id);
    *id = port->id;
    return 0;
}

/* What tcp_copy and accept give as an error of accept. */
static term accept_error(int err)
{
    return err == -ENFILE ? am_system_limit : errno_atom(-err);
}

void tcp_inet_accept_ready(struct tcp *t)
{
    for (int i = 0; t->accepts && i < ACCEPTS_MAX; i++) {
        struct accept_op *op = t->accepts;
        struct net_sock *s;
        int err = net_ops.accept(t->in.sock, &s);
        uint16_t ref = op->ref;
        term caller = op->caller, id;
        struct proc *p;

        if (err == -EAGAIN)
            return;
        accept_op_free(op);
        if (err == 0) {
            p = proc_find(caller);
            if (!p) {
                net_ops.close(s);
                continue;
            }
            err = tcp_copy(t, s, p, &id);
        } else if (err == -ENFILE) {
            err = -EMFILE;          /* the machine's, not our table */
        }
        if (err < 0)
            inet_send_async_error(&t->in, ref, caller, accept_error(err));
        else
            inet_send_async_port(&t->in, ref, caller, id);
    }
}

static void accept_timeout(struct timer *timer)
{
    struct accept_op *op =
        (struct accept_op *)((char *)timer - offsetof(struct accept_op, timer));

    inet_send_async_error(&op->tcp->in, op->ref, op->caller, am_timeout);
    accept_op_free(op);
}

static void accept_caller_gone(struct proc_watch *w, struct proc *p)
{
    accept_op_free((struct accept_op *)((char *)w - offsetof(struct accept_op, watch)));
}

term tcp_inet_accept(struct tcp *t, struct inet_request *r)
{
    struct accept_op *op;
    struct net_sock *s;
    uint32_t timeout;
    uint16_t ref;
    term id;
    int err = -EAGAIN;

    if (!(t->in.state & INET_F_LISTEN) || r->n != 4)
        return inet_error(r, EINVAL);
    timeout = get32(r->data);
    /* Those who came before are first. */
    if (!t->accepts)
        err = net_ops.accept(t->in.sock, &s);
    if (err == 0) {
        err = tcp_copy(t, s, r->p, &id);
        if (err < 0)
            return inet_xerror(r, "system_limit");
        ref = t->in.next_ref++;
        inet_send_async_port(&t->in, ref, r->p->id, id);
        return inet_ok_ref(r, ref);
    }
    if (err != -EAGAIN)
        return inet_error(r, err);
    op = vm_zalloc(ALLOC_SYSTEM, sizeof *op);
    op->tcp = t;
    op->caller = r->p->id;
    op->ref = t->in.next_ref++;
    op->watch.fire = accept_caller_gone;
    op->timer.fire = accept_timeout;
    op->prev = t->accepts_last;
    *t->accepts_last = op;
    t->accepts_last = &op->next;
    proc_watch(r->p, &op->watch);
    if (timeout != INET_INFINITY)
        timer_start(&op->timer, inet_deadline(timeout));
    t->in.state |= INET_F_ACC;
    inet_watch(&t->in, NET_READ, 0);
    return inet_ok_ref(r, op->ref);
}

static void connected(struct tcp *t)
{
    t->in.state = INET_CONNECTED;
    if (t->in.active != INET_PASSIVE)
        inet_watch(&t->in, NET_READ, 0);
    inet_async_ok(&t->in);
}

void tcp_inet_connect_ready(struct tcp *t)
{
    int err = net_ops.connect_result(t->in.sock);

    if (err == -EINPROGRESS)
        return;
    inet_watch(&t->in, 0, NET_WRITE);
    timer_cancel(&t->connect_timer);
    if (err == 0) {
        connected(t);
    } else {
        t->in.state = INET_F_OPEN;
        inet_async_error(&t->in, errno_atom(-err));
    }
}

void tcp_inet_connect_timeout(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, connect_timer);

    tcp_inet_desc_close(t);
    inet_async_error(&t->in, am_timeout);
}

term tcp_inet_connect(struct tcp *t, struct inet_request *r)
{
    struct net_addr a;
    const uint8_t *s = r->data + 4;
    size_t n = r->n - 4;
    const char *x;
    uint16_t ref;
    int err;

    if (!inet_is_open(&t->in))
        return inet_xerror(r, "exbadport");
    if (inet_is_connected(&t->in))
        return inet_error(r, EISCONN);
    if ((t->in.state & INET_F_CON) || r->n < 6)
        return inet_error(r, EINVAL);
    x = inet_get_addr(t->in.family, &s, &n, &a);
    if (x)
        return inet_xerror(r, x);
    err = net_ops.connect(t->in.sock, &a);
    if (err < 0 && err != -EINPROGRESS)
        return inet_error(r, err);
    ref = inet_op_start(&t->in, r->p);
    if (err == 0) {
        connected(t);
        return inet_ok_ref(r, ref);
    }
    t->in.state = INET_F_OPEN | INET_F_CON;
    inet_watch(&t->in, NET_WRITE, 0);
    if (get32(r->data) != INET_INFINITY)
        timer_start(&t->connect_timer, inet_deadline(get32(r->data)));
    return inet_ok_ref(r, ref);
}
