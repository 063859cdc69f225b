/*
 * stream.c - TCP.
 *
 * What arrives is copied into the socket's bytes, and its window given back
 * (tcp_recved) as the owner takes it: a reader that is slow closes the window.
 * A writer is ready again once a good part of the send buffer is free, which
 * on_sent() finds out.
 *
 * lwIP frees a connection's pcb by itself: on a reset, telling on_error(), and
 * some time after both sides have ended, telling nobody. So we let go of one as
 * soon as both have: what it has still to send, it sends.
 */
#include <errno.h>
#include <string.h>

#include "lwip/ip.h"
#include "lwip/tcp.h"
#include "net/lwip/sock.h"
#include "vm/vm.h"

#define RX_MIN 4096
#define RX_KEEP 16384           /* an empty buffer this small is kept */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err);
static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n);
static void on_error(void *arg, err_t err);

/* ---- bytes ---- */

static size_t bytes_held(const struct sock_bytes *b)
{
    return b->end - b->start;
}

static void bytes_free(struct sock_bytes *b)
{
    vm_free(b->p);
    *b = (struct sock_bytes){0};
}

static bool bytes_add(struct sock_bytes *b, struct pbuf *p)
{
    size_t held = bytes_held(b), need = held + p->tot_len, size = b->size;

    if (size - b->end < p->tot_len && need <= size / 2) {
        memmove(b->p, b->p + b->start, held);
        b->start = 0;
        b->end = held;
    } else if (size - b->end < p->tot_len) {
        uint8_t *to;

        for (size = size ? size : RX_MIN; size < 2 * need;)
            size *= 2;
        to = vm_try_alloc(ALLOC_SYSTEM, size);
        if (!to)
            return false;
        if (held)
            memcpy(to, b->p + b->start, held);
        vm_free(b->p);
        *b = (struct sock_bytes){to, 0, held, size};
    }
    pbuf_copy_partial(p, b->p + b->end, p->tot_len, 0);
    b->end += p->tot_len;
    return true;
}

static size_t bytes_take(struct sock_bytes *b, void *to, size_t n)
{
    size_t held = bytes_held(b);

    if (n > held)
        n = held;
    memcpy(to, b->p + b->start, n);
    b->start += n;
    if (b->start == b->end) {
        b->start = b->end = 0;
        if (b->size > RX_KEEP)
            bytes_free(b);
    }
    return n;
}

/* ---- the pcb ---- */

static void attach(struct lwip_sock *s, struct tcp_pcb *pcb)
{
    s->tcp = pcb;
    tcp_arg(pcb, s);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
}

static struct tcp_pcb *detach(struct lwip_sock *s)
{
    struct tcp_pcb *pcb = s->tcp;

    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    s->tcp = NULL;
    return pcb;
}

static void remember_names(struct lwip_sock *s)
{
    addr_from_ip(s->family, &s->tcp->local_ip, s->tcp->local_port, &s->local);
    addr_from_ip(s->family, &s->tcp->remote_ip, s->tcp->remote_port, &s->peer);
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct lwip_sock *s = arg;

    if (!p) {
        s->eof = true;
        if (s->shut_write)
            detach(s);
    } else if (s->shut_read) {
        tcp_recved(pcb, p->tot_len);
        pbuf_free(p);
    } else if (bytes_add(&s->rx, p)) {
        pbuf_free(p);
    } else {
        return ERR_MEM;         /* lwIP keeps it and asks again */
    }
    sock_touch(s);
    return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    sock_touch(arg);
    return ERR_OK;
}

/* The pcb is gone already. */
static void on_error(void *arg, err_t err)
{
    struct lwip_sock *s = arg;

    if (s->state == SOCK_CONNECTING) {
        s->state = SOCK_IDLE;
        s->err = err == ERR_RST ? ECONNREFUSED : ETIMEDOUT;
    } else if (err == ERR_CLSD) {
        s->eof = true;
    } else {
        s->err = err != ERR_RST ? ETIMEDOUT : s->eof ? EPIPE : ECONNRESET;
    }
    s->tcp = NULL;
    sock_touch(s);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct lwip_sock *s = arg;

    s->state = SOCK_CONNECTED;
    remember_names(s);
    sock_touch(s);
    return ERR_OK;
}

/* ---- opening ---- */

int stream_open(struct lwip_sock *s)
{
    struct tcp_pcb *pcb =
        tcp_new_ip_type(s->family == NET_INET ? IPADDR_TYPE_V4 : IPADDR_TYPE_ANY);

    if (!pcb)
        return -ENOMEM;
    attach(s, pcb);
    for (enum net_opt o = 0; o < NET_DEVICE; o++)
        if (s->option[o])
            stream_set_option(s, o);
    return 0;
}

static int take_port(struct lwip_sock *s, uint16_t port)
{
    ip_addr_t ip = s->tcp->local_ip;

    return addr_error(tcp_bind(s->tcp, &ip, port));
}

int stream_bind(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port)
{
    if (!s->tcp || s->state != SOCK_IDLE)
        return -EINVAL;
    if (port)
        return addr_error(tcp_bind(s->tcp, ip, port));
    s->tcp->local_ip = *ip;
    return addr_choose_port(s, take_port);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct lwip_sock *l = arg, *s;

    if (err != ERR_OK || !pcb)
        return ERR_VAL;
    s = sock_new(l->family, NET_STREAM);
    if (!s)
        return ERR_MEM;
    tcp_backlog_delayed(pcb);
    s->state = SOCK_CONNECTED;
    s->bound = true;
    memcpy(s->option, l->option, sizeof s->option);
    memcpy(s->linger, l->linger, sizeof s->linger);
    attach(s, pcb);
    if (s->option[NET_NODELAY])
        tcp_nagle_disable(pcb);
    remember_names(s);
    *l->waiting_last = s;
    l->waiting_last = &s->wait_next;
    sock_touch(l);
    return ERR_OK;
}

int stream_listen(struct lwip_sock *s, int backlog)
{
    struct tcp_pcb *l;
    err_t err = ERR_OK;
    int r;

    /* Linux lets one more in; lwIP's number has 8 bits. */
    backlog = backlog < 0 || backlog > 254 ? 255 : backlog + 1;
    if (s->state == SOCK_LISTENING) {
        tcp_backlog_set(s->tcp, (u8_t)backlog);
        return 0;
    }
    if (s->state != SOCK_IDLE || !s->tcp)
        return -EINVAL;
    if (!s->bound) {
        r = addr_choose_port(s, take_port);
        if (r < 0)
            return r;
        s->bound = true;
    }
    l = tcp_listen_with_backlog_and_err(s->tcp, (u8_t)backlog, &err);
    if (!l)
        return addr_error(err);
    s->tcp = l;
    s->state = SOCK_LISTENING;
    tcp_arg(l, s);
    tcp_accept(l, on_accept);
    return 0;
}

int stream_accept(struct lwip_sock *l, struct lwip_sock **accepted)
{
    struct lwip_sock *s = l->waiting;

    if (l->state != SOCK_LISTENING)
        return -EINVAL;
    if (!s)
        return -EAGAIN;
    l->waiting = s->wait_next;
    if (!l->waiting)
        l->waiting_last = &l->waiting;
    s->wait_next = NULL;
    if (s->tcp)
        tcp_backlog_accepted(s->tcp);
    *accepted = s;
    return 0;
}

int stream_connect(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port)
{
    int err;

    if (s->state == SOCK_CONNECTING)
        return -EALREADY;
    if (s->state != SOCK_IDLE)
        return -EISCONN;
    if (ip_addr_ismulticast(ip))
        return -ENETUNREACH;
    if (port == 0)
        return -ECONNREFUSED;
    if (!s->tcp) {              /* an earlier attempt failed */
        s->bound = false;
        err = stream_open(s);
        if (err < 0)
            return err;
    }
    if (!ip_route(&s->tcp->local_ip, ip))
        return -ENETUNREACH;
    if (!s->bound) {
        err = addr_choose_port(s, take_port);
        if (err < 0)
            return err;
        s->bound = true;
    }
    s->state = SOCK_CONNECTING;
    err = addr_error(tcp_connect(s->tcp, ip, port, on_connected));
    if (err < 0) {
        s->state = SOCK_IDLE;
        return err;
    }
    stack_loop();
    return s->state == SOCK_CONNECTING ? -EINPROGRESS : sock_take_error(s);
}

/* ---- small sends ---- */

static struct lwip_sock *late;          /* what they wrote is to go out yet */

static void late_remove(struct lwip_sock *s)
{
    if (!s->late_prev)
        return;
    *s->late_prev = s->late_next;
    if (s->late_next)
        s->late_next->late_prev = s->late_prev;
    s->late_prev = NULL;
}

static void late_insert(struct lwip_sock *s)
{
    if (s->late_prev)
        return;
    s->late_next = late;
    s->late_prev = &late;
    if (late)
        late->late_prev = &s->late_next;
    late = s;
}

void stream_flush(void)
{
    while (late) {
        struct lwip_sock *s = late;

        late_remove(s);
        if (s->tcp)
            tcp_output(s->tcp);
    }
}

/*
 * Nobody outside looks before we wait, or have run for long. So what is less than
 * a segment waits for that too, and what else is sent until then goes along: an
 * answer in two parts is one frame, and not acknowledged at once.
 */
static void output(struct lwip_sock *s, size_t bytes)
{
    if (bytes < TCP_MSS && !addr_is_ours(&s->tcp->remote_ip)) {
        late_insert(s);
    } else {
        late_remove(s);
        tcp_output(s->tcp);
    }
}

/* ---- ending ---- */

void stream_close(struct lwip_sock *s)
{
    struct tcp_pcb *pcb;

    while (s->waiting) {
        struct lwip_sock *w = s->waiting;

        s->waiting = w->wait_next;
        if (w->tcp)
            tcp_abort(detach(w));
        bytes_free(&w->rx);
        vm_free(w);
    }
    bytes_free(&s->rx);
    if (s->late_prev && s->tcp)
        tcp_output(s->tcp);     /* it may end by a reset */
    late_remove(s);
    if (!s->tcp)
        return;
    if (s->state == SOCK_LISTENING) {
        tcp_arg(s->tcp, NULL);
        tcp_close(s->tcp);      /* of a listener it can't fail */
        return;
    }
    pcb = detach(s);
    if ((s->linger[0] && s->linger[1] == 0 && s->state == SOCK_CONNECTED) ||
        tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
}

int stream_shutdown(struct lwip_sock *s, int how)
{
    if (s->state != SOCK_CONNECTED)
        return -ENOTCONN;
    if (how != NET_SHUT_WRITE) {
        s->shut_read = true;
        sock_touch(s);
    }
    if (how != NET_SHUT_READ && !s->shut_write) {
        s->shut_write = true;
        if (s->tcp) {
            struct tcp_pcb *pcb = s->eof ? detach(s) : s->tcp;
            int err = addr_error(tcp_shutdown(pcb, 0, 1));

            if (err < 0)
                return err;
        }
    }
    return 0;
}

int stream_name(struct lwip_sock *s, bool local, struct net_addr *a)
{
    if (s->state == SOCK_CONNECTED) {
        *a = local ? s->local : s->peer;
        return 0;
    }
    if (!local)
        return -ENOTCONN;
    if (s->tcp) {
        addr_from_ip(s->family, &s->tcp->local_ip, s->tcp->local_port, a);
    } else {
        memset(a, 0, sizeof *a);
        a->family = (uint8_t)s->family;
    }
    return 0;
}

/* ---- data ---- */

/* Bytes that may be written now. (tcp_sndbuf() would say 65535 at most.) */
static size_t send_room(const struct lwip_sock *s)
{
    size_t room = s->tcp->snd_buf, used = TCP_SND_BUF - room;
    size_t limit = (size_t)s->option[NET_SNDBUF];

    if (tcp_sndqueuelen(s->tcp) >= TCP_SND_QUEUELEN - 4)
        return 0;
    if (limit < TCP_SND_BUF)
        room = used < limit ? limit - used : 0;
    return room;
}

static bool writable(const struct lwip_sock *s)
{
    size_t limit = (size_t)s->option[NET_SNDBUF];

    if (limit > TCP_SND_BUF)
        limit = TCP_SND_BUF;
    return send_room(s) >= limit / 3 && tcp_sndqueuelen(s->tcp) <= TCP_SND_QUEUELEN / 2;
}

unsigned stream_ready(const struct lwip_sock *s)
{
    switch (s->state) {
    case SOCK_LISTENING:
        return s->waiting ? NET_READ : 0;
    case SOCK_CONNECTING:
        return 0;
    case SOCK_IDLE:
        return NET_READ | NET_WRITE;
    case SOCK_CONNECTED:
        break;
    }
    if (s->err || !s->tcp)
        return NET_READ | NET_WRITE;
    return (bytes_held(&s->rx) || s->eof || s->shut_read ? NET_READ : 0u) |
           (s->shut_write || writable(s) ? NET_WRITE : 0u);
}

int64_t stream_recv(struct lwip_sock *s, void *buf, size_t n)
{
    if (bytes_held(&s->rx) && n > 0) {
        size_t took = bytes_take(&s->rx, buf, n);

        /* tcp_recved() takes 16 bits. */
        for (size_t left = took, part; s->tcp && left > 0; left -= part) {
            part = left < 0xffff ? left : 0xffff;
            tcp_recved(s->tcp, (u16_t)part);
        }
        return (int64_t)took;
    }
    if (s->err)
        return sock_take_error(s);
    if (s->state != SOCK_CONNECTED)
        return -ENOTCONN;
    return s->eof || s->shut_read || !s->tcp ? 0 : -EAGAIN;
}

int64_t stream_send(struct lwip_sock *s, const struct net_iov *iov, size_t n)
{
    size_t total = 0;
    bool full = false;

    if (s->err)
        return sock_take_error(s);
    if (s->state == SOCK_CONNECTING)
        return -EAGAIN;
    if (s->state != SOCK_CONNECTED)
        return -ENOTCONN;
    if (s->shut_write || !s->tcp)
        return -EPIPE;
    for (size_t i = 0; i < n && !full; i++) {
        const uint8_t *p = iov[i].base;
        size_t left = iov[i].bytes;

        while (left > 0 && !full) {
            size_t part = send_room(s);
            bool more;

            part = part < left ? part : left;
            part = part < 0xffff ? part : 0xffff;
            more = part < left || i + 1 < n;
            full = part == 0 ||
                   tcp_write(s->tcp, p, (u16_t)part,
                             TCP_WRITE_FLAG_COPY | (more ? TCP_WRITE_FLAG_MORE : 0)) != ERR_OK;
            if (full)
                break;
            p += part;
            left -= part;
            total += part;
        }
    }
    if (total > 0)
        output(s, total);
    return total > 0 || !full ? (int64_t)total : -EAGAIN;
}

void stream_set_option(struct lwip_sock *s, enum net_opt o)
{
    int32_t v = s->option[o];
    struct tcp_pcb *pcb = s->tcp;

    if (!pcb)
        return;
    switch (o) {
    case NET_REUSEADDR:
        set_pcb_flag(pcb, SOF_REUSEADDR, v);
        break;
    case NET_KEEPALIVE:
        set_pcb_flag(pcb, SOF_KEEPALIVE, v);
        break;
    case NET_NODELAY:
        if (s->state == SOCK_LISTENING)
            break;              /* for those it accepts */
        if (v) {
            tcp_nagle_disable(pcb);
            if (s->state == SOCK_CONNECTED)
                tcp_output(pcb);
        } else {
            tcp_nagle_enable(pcb);
        }
        break;
    case NET_TOS: case NET_TCLASS: pcb->tos = (u8_t)v; break;
    case NET_TTL: pcb->ttl = (u8_t)v; break;
    default: break;
    }
}
