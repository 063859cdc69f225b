/*
 * tcp_inet_output.c - what a stream sends: data -> the socket at once; what it
 * does not take -> the queue. A file goes after what is queued before it.
 */
#include <errno.h>

#include "io/tcp_inet.h"
#include "os/os.h"
#include "vm/packet.h"

#define SEND_IOVS 16
#define SENDFILE_CHUNK (1u << 30)

struct chunk {
    struct chunk *next;
    size_t at, n;                   /* bytes[at..n) are to be sent */
    uint8_t bytes[];
};

void tcp_inet_queue_clear(struct tcp *t)
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

void tcp_inet_send_timeout(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, send_timer);

    tcp_inet_unbusy(t);
    inet_reply_error(&t->in, am_timeout);
    if (t->send_timeout_close)
        tcp_inet_desc_close(t);
}

static int do_shutdown(struct tcp *t)
{
    int err = net_ops.shutdown(t->in.sock, t->pending_shutdown);

    t->pending_shutdown = -1;
    if (err < 0)
        return tcp_inet_output_failed(t, -err);
    t->write_shut = true;
    return 0;
}

/* The queue is down: whoever waited for that may go on. */
static void below_low(struct tcp *t)
{
    if (t->queued <= t->low && busy(t)) {
        tcp_inet_unbusy(t);
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
    tcp_inet_file_end(t);
    below_low(t);
    tcp_inet_file_reply(t, THE_NON_VALUE);
    return t->queued == 0 ? queue_empty(t) : 0;
failed:
    tcp_inet_file_abort(t, (int)-n);
    return tcp_inet_output_failed(t, (int)-n);
}

/* Write what is queued, as far as it goes. Negative: gone. */
int tcp_inet_output(struct tcp *t)
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
            return tcp_inet_output_failed(t, (int)-n);
        dequeue(t, (size_t)n);
        below_low(t);
    }
    return queue_empty(t);
}

void tcp_inet_delayed_send(struct timer *timer)
{
    struct tcp *t = TIMER_OF(timer, delay_timer);

    if (inet_is_connected(&t->in))
        tcp_inet_output(t);
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
            return tcp_inet_output_failed(t, (int)-sent);
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

void tcp_inet_send(struct port *port, const uint8_t *data, size_t n)
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
        tcp_inet_output_failed(t, EPIPE);
    } else if (send_data(t, data, n) == 0) {
        inet_reply_ok(&t->in);
    }
}

term tcp_inet_shutdown(struct tcp *t, struct inet_request *r)
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

term tcp_inet_sendfile(struct tcp *t, struct inet_request *r)
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
