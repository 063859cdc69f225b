/*
 * tcp_inet.h - a stream's port, for the files of the driver "tcp_inet" alone.
 */
#ifndef IO_TCP_INET_H
#define IO_TCP_INET_H

#include <stddef.h>

#include "bif/bif.h"
#include "io/inet.h"
#include "io/io.h"

struct chunk;                       /* of the queue: tcp_inet_output.c */
struct accept_op;                   /* somebody in accept: tcp_inet_connect.c */

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

#define TIMER_OF(t, field) ((struct tcp *)((char *)(t) - offsetof(struct tcp, field)))

static inline struct tcp *tcp_of(struct inet *in)
{
    return (struct tcp *)in;
}

/* A sender waits until the queue is shorter. */
static inline bool busy(const struct tcp *t)
{
    return t->in.state & INET_F_BUSY;
}

/*
 * Where a function gives an int: 0 or more, it went on (a count, where it says
 * so); negative, the socket or the port is gone and *t may not be used again.
 */

/* tcp_inet.c: the socket can be read or written, or failed */
void tcp_inet_ready(struct net_sock *s, unsigned events);

/* tcp_inet_connect.c. Requests answer their caller with a term. */
term tcp_inet_accept(struct tcp *t, struct inet_request *r);
term tcp_inet_connect(struct tcp *t, struct inet_request *r);
void tcp_inet_accept_ready(struct tcp *t);
void tcp_inet_connect_ready(struct tcp *t);
void tcp_inet_connect_timeout(struct timer *timer);
void tcp_inet_accepts_end(struct tcp *t);

/*
 * tcp_inet_input.c. request: the bytes recv/2 wants; 0: a packet of the
 * socket's type. Both give the number of packets delivered.
 */
int tcp_inet_deliver(struct tcp *t, size_t request);    /* of what is in buf */
int tcp_inet_input(struct tcp *t, size_t request);      /* reads once before */
void tcp_inet_input_clear(struct tcp *t);
void tcp_inet_recv_timeout(struct timer *timer);
term tcp_inet_recv(struct tcp *t, struct inet_request *r);
term tcp_inet_unrecv(struct tcp *t, struct inet_request *r);

/* tcp_inet_output.c */
void tcp_inet_send(struct port *port, const uint8_t *data, size_t n);
int tcp_inet_output(struct tcp *t);     /* what is queued, as far as it goes */
void tcp_inet_queue_clear(struct tcp *t);
void tcp_inet_send_timeout(struct timer *timer);
void tcp_inet_delayed_send(struct timer *timer);
term tcp_inet_shutdown(struct tcp *t, struct inet_request *r);
term tcp_inet_sendfile(struct tcp *t, struct inet_request *r);

/* tcp_inet_end.c. err: a positive errno; 0: the peer said all. */
int tcp_inet_input_ended(struct tcp *t, int err);
int tcp_inet_output_failed(struct tcp *t, int err);
void tcp_inet_close_check(struct tcp *t);
void tcp_inet_desc_close(struct tcp *t);
void tcp_inet_unbusy(struct tcp *t);
void tcp_inet_file_end(struct tcp *t);
void tcp_inet_file_reply(struct tcp *t, term error);    /* THE_NON_VALUE: it is sent */
void tcp_inet_file_abort(struct tcp *t, int err);

#endif
