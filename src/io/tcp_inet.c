/*
 * tcp_inet.c - the port driver "tcp_inet": streams.
 *
 *   input   the socket -> buf[start, end) -> packets -> messages
 *   output  data -> the socket at once; what it does not take -> the queue
 *
 * Passive sockets are read when somebody asks, active ones whenever there is
 * something. A sender that finds the queue above `high` is answered when it is
 * down at `low`, and the port is busy meanwhile.
 */
#include <errno.h>

#include "bif/bif.h"
#include "io/inet.h"
#include "io/io.h"
#include "os/os.h"
#include "vm/packet.h"

#define HIGH_DEFAULT 8192
#define LOW_DEFAULT 4096
#define RECV_MAX 0x4000000          /* the most recv/2 may ask for */
#define GROW_MAX (1u << 20)         /* a buffer grows so far on a packet's word */
#define SEND_IOVS 16
#define ACCEPTS_MAX 64              /* a time, before others have their turn */
#define SENDFILE_CHUNK (1u << 30)

enum { LOPT_TCP_HIWTRMRK = 27, LOPT_TCP_LOWTRMRK, LOPT_TCP_SEND_TIMEOUT = 30,
       LOPT_TCP_DELAY_SEND, LOPT_TCP_SEND_TIMEOUT_CLOSE = 35,
       LOPT_TCP_SHOW_ECONNRESET = 39 };
enum { PB_HTTP_BIN = PACKET_SSL_TLS + 1, PB_HTTPH_BIN };

struct chunk {
    struct chunk *next;
    size_t at, n;                   /* bytes[at..n) are to be sent */
    uint8_t bytes[];
};

/* Somebody in accept. */
struct accept_op {
    struct accept_op *next, **prev;
    struct tcp *tcp;
    struct proc_watch watch;
    struct timer timer;
    term caller;
    uint16_t ref;
};

struct tcp {
    struct inet in;

    struct refbin *buf;             /* NULL: empty */
    size_t start, end;
    size_t want;                    /* bytes a packet needs, from start; 0: unknown */
    bool http_headers;              /* the request line was read */

    struct chunk *first, **last;
    size_t queued, high, low;
    term busy_caller;               /* INET_F_BUSY: to be answered */
    uint32_t send_timeout;
    bool send_timeout_close, delay_send, show_econnreset, linger_zero;

    bool closed_told;               /* {tcp_closed, S}: once */
    bool late_recv, late_send;      /* the next one gets {error, closed} */
    bool late_reset;                /* ... or econnreset */
    int pending_shutdown;           /* NET_SHUT_*, when the queue is empty; or -1 */
    bool write_shut;

    struct {
        bool on;
        int fd;
        int64_t offset, length, sent;
        size_t skip;                /* queued bytes that go first */
    } file;

    struct timer recv_timer, send_timer, connect_timer, delay_timer;
    struct accept_op *accepts, **accepts_last;
};

static void ready(struct net_sock *s, unsigned events);

static struct tcp *tcp_of(struct inet *in)
{
    return (struct tcp *)in;
}

#define TIMER_OF(t, field) ((struct tcp *)((char *)(t) - offsetof(struct tcp, field)))

static bool busy(const struct tcp *t)
{
    return t->in.state & INET_F_BUSY;
}

/* ---- the buffer ---- */

static size_t capacity(const struct tcp *t)
{
    return t->buf ? t->buf->capacity : 0;
}

static void input_clear(struct tcp *t)
{
    if (t->buf)
        refbin_put(t->buf);
    t->buf = NULL;
    t->start = t->end = t->want = 0;
}

/* Room for `bytes` from start on. False: there is no memory. */
static bool input_room(struct tcp *t, size_t bytes)
{
    size_t n = t->end - t->start;
    struct refbin *b;

    if (t->buf && bytes <= capacity(t) - t->start && t->buf->refc == 1)
        return true;
    if (t->buf && bytes <= capacity(t) && t->buf->refc == 1) {
        memmove(t->buf->data, t->buf->data + t->start, n);
        t->start = 0;
        t->end = n;
        return true;
    }
    b = refbin_try_new(bytes);
    if (!b)
        return false;
    if (n > 0)
        memcpy(b->data, t->buf->data + t->start, n);
    if (t->buf)
        refbin_put(t->buf);
    t->buf = b;
    t->start = 0;
    t->end = n;
    return true;
}

/* ---- the end ---- */

static void queue_clear(struct tcp *t)
{
    while (t->first) {
        struct chunk *c = t->first;

        t->first = c->next;
        vm_free(c);
    }
    t->last = &t->first;
    t->queued = 0;
    inet_queue_empty(&t->in);
}

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

/* Whoever waits for something is told that it is closed. */
static void close_check(struct tcp *t)
{
    timer_cancel(&t->recv_timer);
    timer_cancel(&t->connect_timer);
    while (t->accepts) {
        inet_send_async_error(&t->in, t->accepts->ref, t->accepts->caller, am_closed);
        accept_op_free(t->accepts);
    }
    inet_async_error(&t->in, am_closed);
}

/* No longer busy: the one that waits is the caller now. */
static void unbusy(struct tcp *t)
{
    t->in.caller = t->busy_caller;
    t->busy_caller = THE_NON_VALUE;
    t->in.state &= ~(unsigned)INET_F_BUSY;
    timer_cancel(&t->send_timer);
    port_set_busy(t->in.port, false);
}

static void file_end(struct tcp *t)
{
    if (t->file.on)
        net_ops.file_close(t->file.fd);
    t->file.on = false;
}

/* Close the socket, keep the port. */
static void desc_close(struct tcp *t)
{
    timer_cancel(&t->delay_timer);
    input_clear(t);
    queue_clear(t);
    file_end(t);
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
static void file_reply(struct tcp *t, term error)
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

static void file_abort(struct tcp *t, int err)
{
    if (!t->file.on)
        return;
    file_reply(t, err == ECONNRESET || err == ENOTCONN || err == EPIPE ? am_closed
                                                                       : errno_atom(err));
}

/* A sender that is blocked hears that it is closed. True if there was one. */
static bool fail_blocked_send(struct tcp *t)
{
    if (!busy(t))
        return false;
    unbusy(t);
    queue_clear(t);
    inet_reply_error(&t->in, am_closed);
    return true;
}

/* A port that is only flushing gives up what it has. */
static int end_flush(struct tcp *t)
{
    struct port *port = t->in.port;

    desc_close(t);
    port_drained(port);
    return -1;
}

/* Reading ended: err 0, or the error. The port lives on if exit_on_close is false. */
static int input_ended(struct tcp *t, int err)
{
    struct port *port = t->in.port;
    bool blocked;

    if (port->closing)
        return end_flush(t);
    blocked = fail_blocked_send(t);
    if (t->file.on) {
        file_abort(t, err ? err : ENOTCONN);
        blocked = true;
    }
    if (!blocked && err == 0)
        t->late_send = true;
    input_clear(t);
    if (t->in.active == INET_PASSIVE) {
        timer_cancel(&t->recv_timer);
        if (t->in.exit_on_close)
            desc_close(t);
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
static int output_failed(struct tcp *t, int err)
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
        unbusy(t);
    if (t->in.active != INET_PASSIVE) {
        if (reason == am_econnreset)
            inet_tell_error(&t->in, am_tcp_error, reason);
        tell_closed(t);
        if (!t->file.on)
            inet_reply_error(&t->in, reason);
        if (t->in.exit_on_close)
            exit_softly(port, am_normal);
        else
            desc_close(t);
        return -1;
    }
    close_check(t);
    if (t->in.caller == THE_NON_VALUE)
        t->late_send = true;
    else if (!t->file.on)
        inet_reply_error(&t->in, reason);
    desc_close(t);
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

/* ---- input ---- */

/* The type that packets have now. */
static enum packet_type packet_now(const struct tcp *t)
{
    switch (t->in.packet) {
    case PACKET_HTTP:
    case PB_HTTP_BIN:
        return t->http_headers ? PACKET_HTTPH : PACKET_HTTP;
    case PB_HTTPH_BIN:
        return PACKET_HTTPH;
    }
    return (enum packet_type)t->in.packet;
}

static bool is_parsed(uint32_t packet)
{
    return packet == PACKET_HTTP || packet == PACKET_HTTPH || packet >= PACKET_SSL_TLS;
}

/* One whole packet goes to whom it belongs. */
static void deliver_packet(struct tcp *t, const uint8_t *s, size_t n)
{
    enum packet_type type = packet_now(t);

    inet_count_in(&t->in, n);
    if (is_parsed(t->in.packet) && t->in.deliver == INET_DELIVER_TERM) {
        bool binaries = t->in.packet > PACKET_SSL_TLS;

        if (type == PACKET_HTTP)
            t->http_headers = s[0] != '\n' && s[0] != '\r';
        else if (type == PACKET_HTTPH && (s[0] == '\n' || (s[0] == '\r' && s[1] == '\n')))
            t->http_headers = false;
        inet_parsed(&t->in,
                    type == PACKET_SSL_TLS ? PACKET_SSL_TLS
                    : type == PACKET_HTTP  ? (binaries ? PB_HTTP_BIN : PACKET_HTTP)
                                           : (binaries ? PB_HTTPH_BIN : PACKET_HTTPH),
                    s, n);
    } else {
        /* What fills most of the buffer is given away with it. */
        struct refbin *share = n * 4 >= capacity(t) * 3 ? t->buf : NULL;

        packet_body(type, &s, &n);
        if (t->in.active == INET_PASSIVE && t->in.deliver == INET_DELIVER_TERM)
            inet_async_data(&t->in, s, n, share);
        else if (t->in.active == INET_PASSIVE)
            inet_async_data(&t->in, s, n, share);
        else
            inet_message_data(&t->in, s, n, share);
    }
    if (t->in.active != INET_PASSIVE)
        inet_count_active(&t->in);
}

/*
 * Length of the first packet, which is there; 0: not yet, and there is room to
 * read on; or a negative errno. request: recv/2's length, 0: a packet.
 */
static int64_t whole_packet(struct tcp *t, size_t request)
{
    size_t n = t->end - t->start, cap = capacity(t);
    struct packet_options o = {
        .max_bytes = t->in.packet_size,
        .line_bytes = cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX,
        .delimiter = t->in.delimiter,
    };
    int64_t len;

    if (t->want > n)
        len = (int64_t)t->want;
    else if (t->want > 0 && !request)
        request = t->want;
    if (t->want <= n && request > 0)
        len = (int64_t)request;
    else if (t->want <= n)
        len = n == 0 ? 0 : packet_length(packet_now(t), t->buf->data + t->start, n, &o);
    if (len < 0)
        return -EMSGSIZE;
    if (len > 0 && (size_t)len <= n) {
        t->want = 0;
        return len;
    }
    if (len > 0) {
        size_t room = (size_t)len;

        t->want = room;
        /* The peer only says that so much will come. */
        if (room > GROW_MAX && room > cap)
            room = n * 2 > GROW_MAX ? (n * 2 < room ? n * 2 : room) : GROW_MAX;
        if (room < (size_t)t->in.buffer)
            room = (size_t)t->in.buffer;
        return n < cap - t->start || input_room(t, room) ? 0 : -ENOMEM;
    }
    if (n == 0 || t->end < cap)
        return 0;
    if (t->start > 0)
        return input_room(t, cap) ? 0 : -ENOMEM;
    if (t->in.packet_size > cap)
        return input_room(t, t->in.packet_size) ? 0 : -ENOMEM;
    return -EMSGSIZE;
}

/*
 * Deliver what is in the buffer. The number of packets, or negative: the port
 * or the socket is gone.
 */
static int deliver(struct tcp *t, size_t request)
{
    int count = 0;

    while (t->end > t->start) {
        int64_t len = whole_packet(t, request);

        if (len < 0)
            return input_ended(t, (int)-len);
        if (len == 0)
            break;
        deliver_packet(t, t->buf->data + t->start, (size_t)len);
        t->start += (size_t)len;
        request = 0;
        count++;
        if (t->start == t->end)
            input_clear(t);
        if (t->in.active == INET_PASSIVE) {
            timer_cancel(&t->recv_timer);
            inet_watch(&t->in, 0, NET_READ);
            break;
        }
    }
    return count;
}

/*
 * Read once and deliver. 0: nothing could be delivered yet. request as above;
 * t->want keeps it for later calls.
 */
static int input(struct tcp *t, size_t request)
{
    size_t room;
    int64_t n;
    int count;

    if (t->end > t->start) {
        count = deliver(t, request);
        if (count != 0)
            return count;
    } else if (request > 0) {
        t->want = request;
    }
    room = t->want > (size_t)t->in.buffer ? t->want : (size_t)t->in.buffer;
    if (room > GROW_MAX && !t->buf)
        room = GROW_MAX;
    if (!t->buf && !input_room(t, room))
        return input_ended(t, ENOMEM);
    /* A message may still share what was read before. */
    if (t->buf->refc != 1 && !input_room(t, capacity(t)))
        return input_ended(t, ENOMEM);
    n = net_ops.recv(t->in.sock, t->buf->data + t->end, capacity(t) - t->end);
    if (n == -EAGAIN) {
        if (t->start == t->end) {
            size_t want = t->want;

            input_clear(t);
            t->want = want;
        }
        return 0;
    }
    if (n == -ECONNRESET && !t->show_econnreset)
        n = 0;
    if (n <= 0)
        return input_ended(t, (int)-n);
    t->end += (size_t)n;
    return deliver(t, 0);
}

static void recv_timeout(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, recv_timer);

    inet_watch(&t->in, 0, NET_READ);
    t->want = 0;
    inet_async_error(&t->in, am_timeout);
}

/* ---- output ---- */

static void enqueue(struct tcp *t, const void *data, size_t n)
{
    struct chunk *c;

    if (n == 0)
        return;
    c = vm_alloc(ALLOC_SYSTEM, sizeof *c + n);
    c->next = NULL;
    c->at = 0;
    c->n = n;
    memcpy(c->bytes, data, n);
    *t->last = c;
    t->last = &c->next;
    t->queued += n;
}

static void dequeue(struct tcp *t, size_t n)
{
    t->queued -= n;
    while (n > 0) {
        struct chunk *c = t->first;
        size_t part = n < c->n - c->at ? n : c->n - c->at;

        c->at += part;
        n -= part;
        if (c->at < c->n)
            continue;
        t->first = c->next;
        if (!t->first)
            t->last = &t->first;
        vm_free(c);
    }
}

static void send_timeout(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, send_timer);

    unbusy(t);
    inet_reply_error(&t->in, am_timeout);
    if (t->send_timeout_close)
        desc_close(t);
}

static int do_shutdown(struct tcp *t)
{
    int err = net_ops.shutdown(t->in.sock, t->pending_shutdown);

    t->pending_shutdown = -1;
    if (err < 0)
        return output_failed(t, -err);
    t->write_shut = true;
    return 0;
}

/* The queue is down: whoever waited for that may go on. */
static void below_low(struct tcp *t)
{
    if (t->queued <= t->low && busy(t)) {
        unbusy(t);
        inet_reply_ok(&t->in);
    }
}

static int queue_empty(struct tcp *t)
{
    struct port *port = t->in.port;

    inet_watch(&t->in, 0, NET_WRITE);
    inet_queue_empty(&t->in);
    if (t->pending_shutdown >= 0 && do_shutdown(t) < 0)
        return -1;
    if (port->closing) {
        port_drained(port);
        return -1;
    }
    return 0;
}

/* Up to `most` bytes of the queue. Bytes, or a negative errno. */
static int64_t send_queue(struct tcp *t, size_t most)
{
    struct net_iov v[SEND_IOVS];
    size_t n = 0;

    for (struct chunk *c = t->first; c && n < SEND_IOVS && most > 0; c = c->next, n++) {
        size_t bytes = c->n - c->at < most ? c->n - c->at : most;

        v[n] = (struct net_iov){c->bytes + c->at, bytes};
        most -= bytes;
    }
    return net_ops.send(t->in.sock, v, n);
}

static int output_file(struct tcp *t)
{
    int64_t n;

    while (t->file.skip > 0) {
        n = send_queue(t, t->file.skip);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            goto failed;
        dequeue(t, (size_t)n);
        t->file.skip -= (size_t)n;
    }
    while (t->file.length > 0) {
        n = net_ops.sendfile(t->in.sock, t->file.fd, t->file.offset,
                             t->file.length < SENDFILE_CHUNK ? (size_t)t->file.length
                                                             : SENDFILE_CHUNK);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            goto failed;
        if (n == 0)
            break;
        t->file.offset += n;
        t->file.length -= n;
        t->file.sent += n;
    }
    file_end(t);
    below_low(t);
    file_reply(t, THE_NON_VALUE);
    return t->queued == 0 ? queue_empty(t) : 0;
failed:
    file_abort(t, (int)-n);
    return output_failed(t, (int)-n);
}

/* Write what is queued, as far as it goes. Negative: gone. */
static int output(struct tcp *t)
{
    if (t->file.on)
        return output_file(t);
    while (t->queued > 0) {
        int64_t n = send_queue(t, SIZE_MAX);

        if (n == -EAGAIN) {
            inet_watch(&t->in, NET_WRITE, 0);
            return 0;
        }
        if (n < 0)
            return output_failed(t, (int)-n);
        dequeue(t, (size_t)n);
        below_low(t);
    }
    return queue_empty(t);
}

static void delayed_send(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, delay_timer);

    if (inet_is_connected(&t->in))
        output(t);
}

static size_t packet_head(const struct tcp *t, size_t n, uint8_t head[4])
{
    switch (t->in.packet) {
    case PACKET_1:
        head[0] = (uint8_t)n;
        return 1;
    case PACKET_2:
        put16(head, (uint32_t)n);
        return 2;
    case PACKET_4:
        put32(head, (uint32_t)n);
        return 4;
    }
    return 0;
}

/* 0: answer ok; 1: the answer comes later; negative: answered or gone. */
static int send_data(struct tcp *t, const uint8_t *data, size_t n)
{
    uint8_t head[4];
    size_t h = packet_head(t, n, head);
    struct net_iov v[2] = {{head, h}, {data, n}};
    int64_t sent = 0;

    inet_count_out(&t->in, h + n);
    if (t->file.on || t->queued > 0) {
        enqueue(t, head, h);
        enqueue(t, data, n);
        if (t->queued < t->high)
            return 0;
        if (t->send_timeout == 0) {
            inet_reply_error(&t->in, am_timeout);
            return 1;
        }
        t->in.state |= INET_F_BUSY;
        t->busy_caller = t->in.caller;
        port_set_busy(t->in.port, true);
        if (t->send_timeout != INET_INFINITY)
            timer_start(&t->send_timer, inet_deadline(t->send_timeout));
        return 1;
    }
    if (h + n == 0)
        return 0;
    if (t->delay_send) {
        enqueue(t, head, h);
        enqueue(t, data, n);
        if (!t->delay_timer.prev)
            timer_start(&t->delay_timer, os_mono_ns());
        return 0;
    }
    if (!t->in.ignored) {
        sent = net_ops.send(t->in.sock, h ? v : v + 1, h ? 2 : 1);
        if (sent == -EAGAIN)
            sent = 0;
        if (sent < 0)
            return output_failed(t, (int)-sent);
    }
    if ((size_t)sent < h) {
        enqueue(t, head + sent, h - (size_t)sent);
        sent = (int64_t)h;
    }
    enqueue(t, data + ((size_t)sent - h), n - ((size_t)sent - h));
    if (t->queued > 0)
        inet_watch(&t->in, NET_WRITE, 0);
    return 0;
}

static void tcp_output(struct port *port, const uint8_t *data, size_t n)
{
    struct tcp *t = port->state;

    t->in.caller = port->caller;
    if (!inet_is_connected(&t->in)) {
        term reason = am_enotconn;

        /* The flag of a reset stays, for the next recv. */
        if (t->late_send)
            reason = t->late_reset ? am_econnreset : am_closed;
        t->late_send = false;
        inet_reply_error(&t->in, reason);
    } else if (t->pending_shutdown >= 0) {
        output_failed(t, EPIPE);
    } else if (send_data(t, data, n) == 0) {
        inet_reply_ok(&t->in);
    }
}

/* ---- accept ---- */

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
    s->ready = ready;
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

static void accept_ready(struct tcp *t)
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

static term control_accept(struct tcp *t, struct inet_request *r)
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

/* ---- connect ---- */

static void connected(struct tcp *t)
{
    t->in.state = INET_CONNECTED;
    if (t->in.active != INET_PASSIVE)
        inet_watch(&t->in, NET_READ, 0);
    inet_async_ok(&t->in);
}

static void connect_ready(struct tcp *t)
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

static void connect_timeout(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, connect_timer);

    desc_close(t);
    inet_async_error(&t->in, am_timeout);
}

static term control_connect(struct tcp *t, struct inet_request *r)
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

/* ---- requests ---- */

static void ready(struct net_sock *s, unsigned events)
{
    struct tcp *t = s->owner;

    if (t->in.state & INET_F_LISTEN) {
        accept_ready(t);
        return;
    }
    if (t->in.state & INET_F_CON) {
        connect_ready(t);
        return;
    }
    if (!inet_is_connected(&t->in)) {
        inet_watch(&t->in, 0, NET_READ | NET_WRITE);
        return;
    }
    if ((events & NET_WRITE) && output(t) < 0)
        return;
    if (events & NET_READ)
        input(t, 0);
}

static term control_recv(struct tcp *t, struct inet_request *r)
{
    uint32_t timeout, n;
    uint16_t ref;
    int count;

    if (!inet_is_connected(&t->in)) {
        bool reset = t->late_reset;

        if (!t->late_recv)
            return inet_error(r, ENOTCONN);
        t->late_recv = t->late_send = t->late_reset = false;
        return inet_xerror(r, reset ? "econnreset" : "closed");
    }
    if (t->in.active != INET_PASSIVE || r->n != 8)
        return inet_error(r, EINVAL);
    timeout = get32(r->data);
    n = get32(r->data + 4);
    if (t->in.packet != PACKET_RAW && n != 0)
        return inet_error(r, EINVAL);
    if (n > RECV_MAX)
        return inet_error(r, ENOMEM);
    if (t->in.op.used)
        return inet_error(r, EALREADY);
    ref = inet_op_start(&t->in, r->p);
    t->want = 0;
    count = t->in.ignored ? 0 : input(t, n);
    if (count == 0 && timeout == 0) {
        t->want = 0;
        inet_async_error(&t->in, am_timeout);
    } else if (count == 0) {
        if (timeout != INET_INFINITY)
            timer_start(&t->recv_timer, inet_deadline(timeout));
        inet_watch(&t->in, NET_READ, 0);
    }
    return inet_ok_ref(r, ref);
}

/* Data that is to be read again. */
static term control_unrecv(struct tcp *t, struct inet_request *r)
{
    size_t n = t->end - t->start;

    if (!inet_is_connected(&t->in))
        return inet_error(r, ENOTCONN);
    if (r->n > 0 && (!t->buf || t->start < r->n || t->buf->refc != 1)) {
        struct refbin *b = refbin_try_new(r->n + n + (size_t)t->in.buffer);

        if (!b)
            return inet_error(r, ENOMEM);
        if (n > 0)
            memcpy(b->data + r->n, t->buf->data + t->start, n);
        input_clear(t);
        t->buf = b;
        t->start = r->n;
        t->end = r->n + n;
    }
    if (r->n > 0) {
        t->start -= r->n;
        memcpy(t->buf->data + t->start, r->data, r->n);
    }
    t->want = 0;
    if (t->in.active != INET_PASSIVE)
        deliver(t, 0);
    return inet_ok(r, NULL, 0);
}

static term control_shutdown(struct tcp *t, struct inet_request *r)
{
    int how, err;

    if (!inet_is_connected(&t->in))
        return inet_error(r, ENOTCONN);
    if (r->n != 1 || r->data[0] > NET_SHUT_BOTH)
        return inet_error(r, EINVAL);
    how = r->data[0];
    if (how != NET_SHUT_READ && t->queued > 0) {
        t->pending_shutdown = how;
        return inet_ok(r, NULL, 0);
    }
    err = net_ops.shutdown(t->in.sock, how);
    if (how != NET_SHUT_READ)
        t->write_shut = true;
    return err < 0 ? inet_error(r, err) : inet_ok(r, NULL, 0);
}

static term control_sendfile(struct tcp *t, struct inet_request *r)
{
    int fd;

    if (!net_ops.sendfile)
        return inet_error(r, ENOTSUP);
    if (r->n != sizeof fd + 16)
        return inet_error(r, EINVAL);
    if (!inet_is_connected(&t->in))
        return inet_error(r, ENOTCONN);
    if (t->file.on)
        return inet_error(r, EINVAL);
    memcpy(&fd, r->data, sizeof fd);
    fd = net_ops.file_dup(fd);
    if (fd < 0)
        return inet_error(r, fd);
    t->file.on = true;
    t->file.fd = fd;
    t->file.offset = (int64_t)((uint64_t)get32(r->data + 4) << 32 | get32(r->data + 8));
    t->file.length = (int64_t)((uint64_t)get32(r->data + 12) << 32 | get32(r->data + 16));
    t->file.sent = 0;
    t->file.skip = t->queued;
    t->in.caller = r->p->id;
    if (output_file(t) == 0 && t->file.on)
        inet_watch(&t->in, NET_WRITE, 0);
    return inet_ok(r, NULL, 0);
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
        deliver(t, 0);
        break;
    case INET_SET_READ:
        if (t->in.ignored)
            inet_watch(&t->in, NET_READ, 0);
        else if (input(t, 0) >= 0 && t->in.active != INET_PASSIVE)
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
        err = inet_open(&t->in, data, n, NET_STREAM, ready);
        return err < 0 ? inet_error(&r, err) : inet_ok(&r, NULL, 0);
    case INET_REQ_FDOPEN:
        err = inet_fdopen(&t->in, data, n, NET_STREAM, ready);
        return err < 0 ? inet_error(&r, err) : inet_ok(&r, NULL, 0);
    case INET_REQ_CLOSE:
        close_check(t);
        desc_close(t);
        return inet_ok(&r, NULL, 0);
    case INET_REQ_LISTEN: return control_listen(t, &r);
    case INET_REQ_CONNECT: return control_connect(t, &r);
    case INET_REQ_ACCEPT: return control_accept(t, &r);
    case INET_REQ_SETOPTS: return control_setopts(t, &r);
    case TCP_REQ_RECV: return control_recv(t, &r);
    case TCP_REQ_UNRECV: return control_unrecv(t, &r);
    case TCP_REQ_SHUTDOWN: return control_shutdown(t, &r);
    case TCP_REQ_SENDFILE: return control_sendfile(t, &r);
    }
    return inet_control(&t->in, &r, op);
}

/* ---- options ---- */

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

/* ---- the driver ---- */

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
    t->recv_timer.fire = recv_timeout;
    t->send_timer.fire = send_timeout;
    t->connect_timer.fire = connect_timeout;
    t->delay_timer.fire = delayed_send;
    port->state = t;
    return 0;
}

static void tcp_close(struct port *port)
{
    struct tcp *t = port->state;

    timer_cancel(&t->send_timer);
    close_check(t);
    desc_close(t);
    vm_free(t);
}

static void tcp_flush(struct port *port)
{
    struct tcp *t = port->state;

    /* What nobody waits to write never will be. */
    if (!(t->in.watched & NET_WRITE) || t->linger_zero || t->file.on)
        queue_clear(t);
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
    .output = tcp_output,
    .flush = tcp_flush,
    .queued = tcp_queued,
    .control = tcp_control,
    .soft_busy = true,
};
