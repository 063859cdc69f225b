/*
 * inet_opt.c - setopts and getopts. Options of the driver are fields of struct
 * inet; options of the socket go to its back end.
 */
#include <errno.h>

#include "bif/bif.h"
#include "io/inet.h"
#include "io/io.h"
#include "os/os.h"

enum {
    OPT_REUSEADDR, OPT_KEEPALIVE, OPT_DONTROUTE, OPT_LINGER, OPT_BROADCAST,
    OPT_OOBINLINE, OPT_SNDBUF, OPT_RCVBUF, OPT_PRIORITY, OPT_TOS, OPT_NODELAY,
    OPT_MULTICAST_IF, OPT_MULTICAST_TTL, OPT_MULTICAST_LOOP, OPT_ADD_MEMBERSHIP,
    OPT_DROP_MEMBERSHIP, OPT_V6ONLY,
    LOPT_BUFFER = 20, LOPT_HEADER, LOPT_ACTIVE, LOPT_PACKET, LOPT_MODE, LOPT_DELIVER,
    LOPT_EXITONCLOSE,
    LOPT_PACKET_SIZE = 32, OPT_RAW = 34,
    LOPT_MSGQ_HIWTRMRK = 36, LOPT_MSGQ_LOWTRMRK, LOPT_NETNS,
    LOPT_LINE_DELIM = 40, OPT_TCLASS, OPT_BIND_TO_DEVICE, OPT_RECVTOS, OPT_RECVTCLASS,
    OPT_PKTOPTIONS, OPT_TTL, OPT_RECVTTL, OPT_NOPUSH, LOPT_DEBUG = 99,
};

#define OPT_BYTES_MAX (64 * 1024)
#define MSGQ_MIN 1
#define DATAGRAM_BUFFER_MAX (1 << 16)
#define DEVICE_NAME 16

/* Options that are one integer of the socket. report: a failure is einval. */
static const struct sock_opt {
    uint8_t code;
    enum net_opt opt;
    bool report;
    uint8_t anc;                /* 1 + enum net_ancillary it asks for */
} sock_opts[] = {
    {OPT_REUSEADDR, NET_REUSEADDR, false, 0},
    {OPT_KEEPALIVE, NET_KEEPALIVE, false, 0},
    {OPT_DONTROUTE, NET_DONTROUTE, false, 0},
    {OPT_BROADCAST, NET_BROADCAST, false, 0},
    {OPT_OOBINLINE, NET_OOBINLINE, false, 0},
    {OPT_SNDBUF, NET_SNDBUF, false, 0},
    {OPT_RCVBUF, NET_RCVBUF, false, 0},
    {OPT_PRIORITY, NET_PRIORITY, true, 0},
    {OPT_TOS, NET_TOS, true, 0},
    {OPT_TCLASS, NET_TCLASS, true, 0},
    {OPT_TTL, NET_TTL, true, 0},
    {OPT_RECVTOS, NET_RECVTOS, true, 1 + NET_ANC_TOS},
    {OPT_RECVTCLASS, NET_RECVTCLASS, true, 1 + NET_ANC_TCLASS},
    {OPT_RECVTTL, NET_RECVTTL, true, 1 + NET_ANC_TTL},
    {OPT_NODELAY, NET_NODELAY, false, 0},
    {OPT_NOPUSH, NET_NOPUSH, false, 0},
    {OPT_MULTICAST_TTL, NET_MULTICAST_TTL, false, 0},
    {OPT_MULTICAST_LOOP, NET_MULTICAST_LOOP, false, 0},
    {OPT_V6ONLY, NET_V6ONLY, true, 0},
};

static const struct sock_opt *sock_opt(unsigned code)
{
    for (size_t i = 0; i < sizeof sock_opts / sizeof *sock_opts; i++)
        if (sock_opts[i].code == code)
            return &sock_opts[i];
    return NULL;
}

/* What is being read: a decoder that keeps its first error. */
struct reader {
    const uint8_t *s;
    size_t n;
    bool bad;
};

static const uint8_t *take(struct reader *r, size_t n)
{
    static const uint8_t zeros[16];
    const uint8_t *s = r->s;

    if (r->bad || r->n < n) {
        r->bad = true;
        return zeros;
    }
    r->s += n;
    r->n -= n;
    return s;
}

static int32_t take32(struct reader *r)
{
    return (int32_t)get32(take(r, 4));
}

static int set_sock(struct inet *in, const struct sock_opt *o, int32_t v)
{
    int err = in->sock ? net_ops.set(in->sock, o->opt, &v, sizeof v) : -EBADF;

    if (err < 0)
        return o->report ? -1 : 0;
    if (o->anc && v)
        in->recv_anc |= 1u << (o->anc - 1);
    else if (o->anc)
        in->recv_anc &= ~(1u << (o->anc - 1));
    return 0;
}

/* Buffers grow with the socket's own unless their size was set. */
static void grow_buffer(struct inet *in, int32_t v)
{
    if (in->buffer_set)
        return;
    if (in->udp && v > DATAGRAM_BUFFER_MAX)
        in->buffer = DATAGRAM_BUFFER_MAX;
    else if (v > in->buffer)
        in->buffer = v;
}

static bool set_membership(struct inet *in, unsigned code, int32_t family, struct reader *r)
{
    struct net_group g = {.family = (uint8_t)family};

    if ((family != NET_INET && family != NET_INET6) || family != in->family)
        return false;
    g.ifindex = (uint32_t)take32(r);
    if (family == NET_INET) {
        memcpy(g.group, take(r, 4), 4);
        memcpy(g.local, take(r, 4), 4);
    } else {
        memcpy(g.group, take(r, 16), 16);
    }
    if (r->bad || !in->sock)
        return false;
    /* A failure is not told, as everywhere below OTP. */
    net_ops.set(in->sock, code == OPT_ADD_MEMBERSHIP ? NET_JOIN : NET_LEAVE, &g, sizeof g);
    return true;
}

static bool set_raw(struct inet *in, int32_t level, struct reader *r)
{
    int32_t opt = take32(r), n = take32(r);
    const uint8_t *value;

    if (r->bad || n < 0 || (size_t)n > r->n)
        return false;
    value = take(r, (size_t)n);
    if (in->sock && net_ops.set_raw)
        net_ops.set_raw(in->sock, level, opt, value, (size_t)n);
    return true;
}

/* False: einval. *gone: the port has ended. */
static bool set_active(struct inet *in, int32_t v, struct reader *r, bool *gone)
{
    in->active = (uint32_t)v;
    if (v == INET_MULTI) {
        int16_t add = (int16_t)get16(take(r, 2));

        if (r->bad || in->active_count + add > INT16_MAX ||
            in->active_count + add < INT16_MIN)
            return false;
        in->active_count += add;
        if (in->active_count < 0)
            in->active_count = 0;
        if (in->active_count == 0) {
            in->active = INET_PASSIVE;
            inet_tell(in, in->udp ? am_udp_passive : am_tcp_passive);
        }
    } else {
        in->active_count = 0;
    }
    if (!in->udp && in->active != INET_PASSIVE && in->state == 0)
        *gone = tcp_active_when_closed(in) < 0;
    return true;
}

/* False: einval. */
static bool set_one(struct inet *in, unsigned code, int32_t v, struct reader *r, bool *gone)
{
    const struct sock_opt *o;
    int32_t linger[2];

    switch (code) {
    case LOPT_BUFFER:
        in->buffer = v < 1 ? 1 : v;
        in->buffer_set = true;
        return true;
    case LOPT_HEADER: in->header = (uint32_t)v; return true;
    case LOPT_MODE: in->mode = (uint32_t)v; return true;
    case LOPT_DELIVER: in->deliver = (uint32_t)v; return true;
    case LOPT_PACKET: in->packet = (uint32_t)v; return true;
    case LOPT_PACKET_SIZE: in->packet_size = (uint32_t)v; return true;
    case LOPT_EXITONCLOSE: in->exit_on_close = (uint32_t)v; return true;
    case LOPT_LINE_DELIM: in->delimiter = (uint8_t)v; return true;
    case LOPT_DEBUG: in->debug = v != 0; return true;
    case LOPT_ACTIVE: return set_active(in, v, r, gone);
    case LOPT_MSGQ_HIWTRMRK:
        if (v < MSGQ_MIN)
            return false;
        in->msgq_high = v;
        if (in->msgq_low > v)
            in->msgq_low = v;
        return true;
    case LOPT_MSGQ_LOWTRMRK:
        if (v < MSGQ_MIN)
            return false;
        in->msgq_low = v;
        if (in->msgq_high < v)
            in->msgq_high = v;
        return true;
    case OPT_LINGER:
        linger[0] = v;
        linger[1] = take32(r);
        if (r->bad)
            return false;
        if (!in->udp)
            tcp_linger_zero(in, v && linger[1] == 0);
        if (in->sock)
            net_ops.set(in->sock, NET_LINGER, linger, sizeof linger);
        return true;
    case OPT_MULTICAST_IF: {
        uint8_t wire[4];

        put32(wire, (uint32_t)v);
        if (in->family != NET_INET && in->family != NET_INET6)
            return false;
        if (in->sock && in->family == NET_INET)
            net_ops.set(in->sock, NET_MULTICAST_IF, wire, sizeof wire);
        else if (in->sock)
            net_ops.set(in->sock, NET_MULTICAST_IF, &v, sizeof v);
        return true;
    }
    case OPT_ADD_MEMBERSHIP:
    case OPT_DROP_MEMBERSHIP:
        return set_membership(in, code, v, r);
    case OPT_RAW:
        return set_raw(in, v, r);
    case OPT_BIND_TO_DEVICE: {
        const uint8_t *name;

        if (v < 0 || (size_t)v > r->n || v >= DEVICE_NAME)
            return false;
        name = take(r, (size_t)v);
        return in->sock && net_ops.set(in->sock, NET_DEVICE, name, (size_t)v) == 0;
    }
    }
    if (in->udp ? udp_option_set(in, code, v) : tcp_option_set(in, code, v))
        return true;
    o = sock_opt(code);
    if (!o)
        return false;
    if (code == OPT_RCVBUF)
        grow_buffer(in, v);
    return set_sock(in, o, v) == 0;
}

int inet_set_options(struct inet *in, const uint8_t *s, size_t n)
{
    struct reader r = {s, n, false};
    uint32_t old_active = in->active, old_packet = in->packet;
    bool gone = false;

    while (r.n >= 5) {
        unsigned code = *take(&r, 1);

        if (!set_one(in, code, take32(&r), &r, &gone) || r.bad)
            return INET_SET_ERROR;
        if (gone)
            return INET_SET_GONE;
    }
    if (in->udp ? !inet_is_open(in) : !inet_is_connected(in))
        return INET_SET_OK;
    if (!in->udp && !old_active && in->packet == old_packet &&
        (in->active == INET_ONCE || in->active == INET_MULTI))
        return INET_SET_READ;
    if (in->active != old_active)
        inet_watch(in, in->active ? NET_READ : 0, in->active ? 0 : NET_READ);
    if (!in->udp && in->active && (!old_active || in->packet != old_packet))
        return INET_SET_DELIVER;
    return INET_SET_OK;
}

/* ---- getopts ---- */

static void put_opt(struct inet_buf *b, unsigned code, uint32_t v)
{
    inet_buf_byte(b, (uint8_t)code);
    inet_buf_32(b, v);
}

/* {raw, Level, Option, Size or Value}. False: einval. */
static bool get_raw(struct inet *in, struct reader *r, struct inet_buf *b)
{
    int32_t level = take32(r), opt = take32(r);
    bool provided = *take(r, 1);
    uint32_t n = (uint32_t)take32(r);
    uint8_t *value;
    size_t bytes = n;

    if (r->bad || n > OPT_BYTES_MAX || (provided && r->n < n))
        return false;
    value = vm_zalloc(ALLOC_SYSTEM, n + 1);
    if (provided)
        memcpy(value, r->s, n), take(r, n);
    if (in->sock && net_ops.get_raw &&
        net_ops.get_raw(in->sock, level, opt, value, &bytes) == 0 && bytes <= n) {
        put_opt(b, OPT_RAW, (uint32_t)level);
        inet_buf_32(b, (uint32_t)opt);
        inet_buf_32(b, (uint32_t)bytes);
        inet_buf_put(b, value, bytes);
    }
    vm_free(value);
    return true;
}

/* A socket's option that can't be had is left out. */
static void get_sock(struct inet *in, const struct sock_opt *o, struct inet_buf *b)
{
    int32_t v = 0;
    size_t n = sizeof v;

    if (in->sock && net_ops.get(in->sock, o->opt, &v, &n) == 0)
        put_opt(b, o->code, (uint32_t)v);
}

static bool get_one(struct inet *in, unsigned code, struct reader *r, struct inet_buf *b)
{
    const struct sock_opt *o;
    char name[DEVICE_NAME];
    int32_t v, linger[2];
    size_t n;

    switch (code) {
    case LOPT_BUFFER: put_opt(b, code, (uint32_t)in->buffer); return true;
    case LOPT_HEADER: put_opt(b, code, in->header); return true;
    case LOPT_MODE: put_opt(b, code, in->mode); return true;
    case LOPT_DELIVER: put_opt(b, code, in->deliver); return true;
    case LOPT_PACKET: put_opt(b, code, in->packet); return true;
    case LOPT_PACKET_SIZE: put_opt(b, code, in->packet_size); return true;
    case LOPT_EXITONCLOSE: put_opt(b, code, in->exit_on_close); return true;
    case LOPT_MSGQ_HIWTRMRK: put_opt(b, code, (uint32_t)in->msgq_high); return true;
    case LOPT_MSGQ_LOWTRMRK: put_opt(b, code, (uint32_t)in->msgq_low); return true;
    case LOPT_DEBUG: put_opt(b, code, in->debug); return true;
    case LOPT_NETNS: return true;       /* none was set */
    case LOPT_ACTIVE:
        put_opt(b, code, in->active);
        if (in->active == INET_MULTI)
            put16(inet_buf_room(b, 2), (uint32_t)in->active_count);
        return true;
    case OPT_LINGER:
        n = sizeof linger;
        if (in->sock && net_ops.get(in->sock, NET_LINGER, linger, &n) == 0) {
            put_opt(b, code, (uint32_t)linger[0]);
            inet_buf_32(b, (uint32_t)linger[1]);
        }
        return true;
    case OPT_MULTICAST_IF:
        if (in->family != NET_INET && in->family != NET_INET6)
            return false;
        n = sizeof v;
        if (in->sock && net_ops.get(in->sock, NET_MULTICAST_IF, &v, &n) == 0) {
            /* The address as it is, or the index. */
            put_opt(b, code, in->family == NET_INET ? get32((const uint8_t *)&v) : (uint32_t)v);
            inet_buf_32(b, in->family);
        }
        return true;
    case OPT_RAW:
        return get_raw(in, r, b);
    case OPT_BIND_TO_DEVICE:
        n = sizeof name;
        if (in->sock && net_ops.get(in->sock, NET_DEVICE, name, &n) == 0) {
            n = strnlen(name, n);
            put_opt(b, code, (uint32_t)n);
            inet_buf_put(b, name, n);
        }
        return true;
    case OPT_PKTOPTIONS:
        /* What the last packet of a stream had on it: not kept. */
        put_opt(b, code, 0);
        return true;
    case LOPT_LINE_DELIM:
        return false;
    }
    if (in->udp ? udp_option_get(in, code, &v) : tcp_option_get(in, code, &v)) {
        put_opt(b, code, (uint32_t)v);
        return true;
    }
    o = sock_opt(code);
    if (o)
        get_sock(in, o, b);
    /* Others' options are left out too: of the other driver, say. */
    return o || (code >= 27 && code <= 39);
}

term inet_get_options(struct inet *in, struct inet_request *q)
{
    struct reader r = {q->data, q->n, false};
    struct inet_buf b = {0};

    while (r.n > 0) {
        unsigned code = *take(&r, 1);

        if (!get_one(in, code, &r, &b) || r.bad || b.n > OPT_BYTES_MAX) {
            inet_buf_free(&b);
            return inet_error(q, EINVAL);
        }
    }
    return inet_ok_buf(q, &b);
}
