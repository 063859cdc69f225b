/*
 * tcp_inet_input.c - what a stream receives: the socket -> buf[start, end) ->
 * packets -> messages and answers.
 */
#include <errno.h>

#include "io/tcp_inet.h"
#include "vm/packet.h"

#define RECV_MAX 0x4000000          /* the most recv/2 may ask for */
#define GROW_MAX (1u << 20)         /* a buffer grows so far on a packet's word */

enum { PB_HTTP_BIN = PACKET_SSL_TLS + 1, PB_HTTPH_BIN };

static size_t capacity(const struct tcp *t)
{
    return t->buf ? t->buf->capacity : 0;
}

void tcp_inet_input_clear(struct tcp *t)
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
int tcp_inet_deliver(struct tcp *t, size_t request)
{
    int count = 0;

    while (t->end > t->start) {
        int64_t len = whole_packet(t, request);

        if (len < 0)
            return tcp_inet_input_ended(t, (int)-len);
        if (len == 0)
            break;
        deliver_packet(t, t->buf->data + t->start, (size_t)len);
        t->start += (size_t)len;
        request = 0;
        count++;
        if (t->start == t->end)
            tcp_inet_input_clear(t);
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
int tcp_inet_input(struct tcp *t, size_t request)
{
    size_t room;
    int64_t n;
    int count;

    if (t->end > t->start) {
        count = tcp_inet_deliver(t, request);
        if (count != 0)
            return count;
    } else if (request > 0) {
        t->want = request;
    }
    room = t->want > (size_t)t->in.buffer ? t->want : (size_t)t->in.buffer;
    if (room > GROW_MAX && !t->buf)
        room = GROW_MAX;
    if (!t->buf && !input_room(t, room))
        return tcp_inet_input_ended(t, ENOMEM);
    /* A message may still share what was read before. */
    if (t->buf->refc != 1 && !input_room(t, capacity(t)))
        return tcp_inet_input_ended(t, ENOMEM);
    n = net_ops.recv(t->in.sock, t->buf->data + t->end, capacity(t) - t->end);
    if (n == -EAGAIN) {
        if (t->start == t->end) {
            size_t want = t->want;

            tcp_inet_input_clear(t);
            t->want = want;
        }
        return 0;
    }
    if (n == -ECONNRESET && !t->show_econnreset)
        n = 0;
    if (n <= 0)
        return tcp_inet_input_ended(t, (int)-n);
    t->end += (size_t)n;
    return tcp_inet_deliver(t, 0);
}

void tcp_inet_recv_timeout(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, recv_timer);

    inet_watch(&t->in, 0, NET_READ);
    t->want = 0;
    inet_async_error(&t->in, am_timeout);
}

term tcp_inet_recv(struct tcp *t, struct inet_request *r)
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
    count = t->in.ignored ? 0 : tcp_inet_input(t, n);
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
term tcp_inet_unrecv(struct tcp *t, struct inet_request *r)
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
        tcp_inet_input_clear(t);
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
        tcp_inet_deliver(t, 0);
    return inet_ok(r, NULL, 0);
}
