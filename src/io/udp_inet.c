/*
 * udp_inet.c - the port driver "udp_inet": datagrams.
 */
#include <errno.h>

#include "bif/bif.h"
#include "io/inet.h"
#include "io/io.h"
#include "io/port_trace.h"

#define READ_PACKETS 5          /* read at a time, before others have their turn */

enum { LOPT_READ_PACKETS = 33 };
enum { OPT_TOS = 9, OPT_TCLASS = 41, OPT_TTL = 46 };

struct udp {
    struct inet in;
    struct timer recv_timer;
    int32_t read_packets;
};

static struct udp *udp_of(struct inet *in)
{
    return (struct udp *)in;
}

/* Read and deliver. 0: there was nothing for the one that waits. */
static int input(struct udp *u)
{
    uint8_t *buf = vm_alloc(ALLOC_SYSTEM, (size_t)u->in.buffer);
    int count = 0;

    for (int32_t left = u->read_packets; left > 0 && u->in.sock; left--) {
        struct net_addr from;
        struct net_anc anc = {0}, *with = u->in.recv_anc ? &anc : NULL;
        int64_t n = net_ops.recvfrom(u->in.sock, buf, (size_t)u->in.buffer, &from, with);

        if (n == -EAGAIN)
            break;
        if (n < 0 && u->in.active != INET_PASSIVE) {
            inet_tell_error(&u->in, am_udp_error, errno_atom((int)-n));
            break;
        }
        count++;
        if (n >= 0) {
            inet_count_in(&u->in, (size_t)n);
            if (from.family == NET_UNSPEC && u->in.family != NET_LOCAL)
                net_ops.peer(u->in.sock, &from);
        }
        if (u->in.active == INET_PASSIVE) {
            timer_cancel(&u->recv_timer);
            inet_watch(&u->in, 0, NET_READ);
            if (n < 0)
                inet_async_error(&u->in, errno_atom((int)-n));
            else
                inet_async_datagram(&u->in, &from, with, buf, (size_t)n);
            break;
        }
        inet_message_datagram(&u->in, &from, with, buf, (size_t)n);
        inet_count_active(&u->in);
        if (u->in.active == INET_PASSIVE) {
            inet_watch(&u->in, 0, NET_READ);
            break;
        }
    }
    vm_free(buf);
    return count;
}

static void ready(struct net_sock *s, unsigned events)
{
    struct udp *u = s->owner;
    struct port_work work = port_told(u->in.port, am_input);

    input(u);
    port_worked(&work);
}

static void recv_timeout(struct timer *timer)
{
    struct udp *u = (struct udp *)((char *)timer - offsetof(struct udp, recv_timer));

    inet_watch(&u->in, 0, NET_READ);
    inet_async_error(&u->in, am_timeout);
}

/* ---- output ---- */

/* [Option, Value]*. False: something else. */
static bool take_ancillary(const uint8_t *s, size_t n, struct net_anc *anc)
{
    for (; n >= 5; s += 5, n -= 5) {
        enum net_ancillary which;

        switch (s[0]) {
        case OPT_TOS: which = NET_ANC_TOS; break;
        case OPT_TCLASS: which = NET_ANC_TCLASS; break;
        case OPT_TTL: which = NET_ANC_TTL; break;
        default: return false;
        }
        anc->has |= 1u << which;
        anc->v[which] = (int32_t)get32(s + 1);
    }
    return n == 0;
}

/* [Address, Bytes of ancillary data, that, Data] */
static void udp_output(struct port *port, const uint8_t *s, size_t n)
{
    struct udp *u = port->state;
    struct net_anc anc = {0};
    struct net_addr to;
    const char *x;
    size_t anc_bytes;
    int64_t r;

    u->in.caller = port->caller;
    if (!inet_is_open(&u->in)) {
        inet_reply_error(&u->in, am_einval);
        return;
    }
    x = inet_get_addr(u->in.family, &s, &n, &to);
    if (x) {
        inet_reply_error(&u->in, atom_from_cstr(x));
        return;
    }
    anc_bytes = n < 4 ? 0 : get32(s);
    if (n < 4 || n - 4 < anc_bytes || !take_ancillary(s + 4, anc_bytes, &anc)) {
        inet_reply_error(&u->in, am_einval);
        return;
    }
    s += 4 + anc_bytes;
    n -= 4 + anc_bytes;
    inet_count_out(&u->in, n);
    r = net_ops.sendto(u->in.sock, s, n, u->in.state & INET_F_ACTIVE ? NULL : &to,
                       anc.has ? &anc : NULL);
    if (r < 0)
        inet_reply_error(&u->in, errno_atom((int)-r));
    else
        inet_reply_ok(&u->in);
}

/* ---- requests ---- */

static term control_connect(struct udp *u, struct inet_request *r)
{
    const uint8_t *s = r->data + 4;
    size_t n = r->n - 4;
    struct net_addr a;
    const char *x;
    uint16_t ref;
    int err;

    if (!inet_is_open(&u->in))
        return inet_xerror(r, "exbadport");
    if (r->n == 0) {
        net_ops.disconnect(u->in.sock);
        u->in.state &= ~(unsigned)INET_F_ACTIVE;
    } else {
        if (r->n < 6)
            return inet_error(r, EINVAL);
        x = inet_get_addr(u->in.family, &s, &n, &a);
        if (x)
            return inet_xerror(r, x);
        /* Or the address it sends from would stay. */
        if (u->in.state & INET_F_ACTIVE)
            net_ops.disconnect(u->in.sock);
        err = net_ops.connect(u->in.sock, &a);
        if (err < 0) {
            net_ops.disconnect(u->in.sock);
            u->in.state &= ~(unsigned)INET_F_ACTIVE;
            return inet_error(r, err);
        }
        u->in.state |= INET_F_ACTIVE;
    }
    ref = inet_op_start(&u->in, r->p);
    inet_async_ok(&u->in);
    return inet_ok_ref(r, ref);
}

static term control_recv(struct udp *u, struct inet_request *r)
{
    uint32_t timeout;
    uint16_t ref;

    if (!inet_is_open(&u->in))
        return inet_xerror(r, "exbadport");
    if (u->in.active != INET_PASSIVE || r->n != 8)
        return inet_error(r, EINVAL);
    timeout = get32(r->data);
    if (u->in.op.used)
        return inet_error(r, EALREADY);
    ref = inet_op_start(&u->in, r->p);
    if (input(u) == 0) {
        inet_watch(&u->in, NET_READ, 0);
        if (timeout != INET_INFINITY)
            timer_start(&u->recv_timer, inet_deadline(timeout));
    }
    return inet_ok_ref(r, ref);
}

/* Whoever waits for a datagram is told that there will be none. */
static void socket_close(struct udp *u)
{
    timer_cancel(&u->recv_timer);
    inet_async_error(&u->in, am_closed);
    inet_close(&u->in);
}

static term udp_control(struct port *port, struct proc *p, uint32_t op, const uint8_t *data,
                        size_t n)
{
    struct udp *u = port->state;
    struct inet_request r = {p, data, n};
    int err;

    op -= INET_CONTROL;
    switch (op) {
    case INET_REQ_OPEN:
    case INET_REQ_FDOPEN:
        if (u->in.state != 0)
            return inet_xerror(&r, "exbadseq");
        err = op == INET_REQ_OPEN ? inet_open(&u->in, data, n, NET_DGRAM, ready)
                                  : inet_fdopen(&u->in, data, n, NET_DGRAM, ready);
        if (err < 0)
            return inet_error(&r, err);
        if (u->in.active != INET_PASSIVE)
            inet_watch(&u->in, NET_READ, 0);
        return inet_ok(&r, NULL, 0);
    case INET_REQ_CLOSE:
        socket_close(u);
        return inet_ok(&r, NULL, 0);
    case INET_REQ_CONNECT: return control_connect(u, &r);
    case PACKET_REQ_RECV: return control_recv(u, &r);
    }
    return inet_control(&u->in, &r, op);
}

bool udp_option_set(struct inet *in, unsigned opt, int32_t v)
{
    if (opt == LOPT_READ_PACKETS && v > 0) {
        udp_of(in)->read_packets = v;
        return true;
    }
    /* Streams' own: taken and of no effect. */
    return (opt >= 27 && opt <= 31) || opt == 35 || opt == 39;
}

bool udp_option_get(struct inet *in, unsigned opt, int32_t *v)
{
    if (opt != LOPT_READ_PACKETS)
        return false;
    *v = udp_of(in)->read_packets;
    return true;
}

static int udp_open(struct port *port, const struct port_opts *opts)
{
    struct udp *u = vm_zalloc(ALLOC_SYSTEM, sizeof *u);

    inet_init(&u->in, port, true);
    u->read_packets = READ_PACKETS;
    u->recv_timer.fire = recv_timeout;
    port->state = u;
    return 0;
}

static void udp_close(struct port *port)
{
    struct udp *u = port->state;

    socket_close(u);
    vm_free(u);
}

struct port_driver udp_inet_driver = {
    .name = "udp_inet",
    .open = udp_open,
    .close = udp_close,
    .output = udp_output,
    .control = udp_control,
};
