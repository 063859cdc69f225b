/*
 * sock.h - sockets of an instance: net_ops (net/net.h) over lwIP's raw API.
 *
 *    sock.c     the table of operations, what is ready
 *    stream.c   TCP, datagram.c UDP, option.c, addr.c
 *    stack.c    lwIP itself: interfaces, timers, frames; when it runs
 *
 * lwIP calls back only from within stack_loop() and stack_poll(). The callbacks
 * change the state of sockets and sock_touch() those that may have become
 * ready; they call no owner, so an operation may run them at any place.
 *
 * Errors that lwIP reports are kept in `err` until the next operation tells
 * them, as Linux does (SO_ERROR).
 */
#ifndef NET_LWIP_SOCK_H
#define NET_LWIP_SOCK_H

#include "lwip/ip_addr.h"
#include "net/net.h"

#define DATAGRAMS_MAX_BYTES 212992      /* a socket's queue: Linux's default */
#define DATAGRAM_MAX 65507

enum sock_state { SOCK_IDLE, SOCK_LISTENING, SOCK_CONNECTING, SOCK_CONNECTED };

/* What was received of a stream: p[start, end). */
struct sock_bytes {
    uint8_t *p;
    size_t start, end, size;
};

struct datagram {
    struct datagram *next;
    struct net_addr from;
    struct net_anc anc;
    size_t n;
    uint8_t bytes[];
};

struct lwip_sock {
    struct net_sock net;
    enum net_family family;
    enum net_type type;
    enum sock_state state;
    unsigned want;                  /* watched for */
    int err;                        /* to be told once; positive errno */
    bool bound, eof, shut_read, shut_write;
    struct lwip_sock *next, **prev; /* of those that may be ready; prev NULL: not */

    struct tcp_pcb *tcp;            /* NULL: the connection has ended */
    struct lwip_sock *late_next, **late_prev;   /* stream_flush(); prev NULL: not */
    struct sock_bytes rx;
    struct net_addr local, peer;    /* of a connection, for when it has ended */
    /* A listener's connections that nobody accepted yet. */
    struct lwip_sock *waiting, **waiting_last;
    struct lwip_sock *wait_next;

    struct udp_pcb *udp;
    struct datagram *first, **last;
    size_t queued_bytes;

    int32_t option[NET_DEVICE + 1]; /* as set; what lwIP has no word for is kept only */
    int32_t linger[2];
};

static inline struct lwip_sock *sock_of(struct net_sock *s)
{
    return (struct lwip_sock *)s;
}

struct lwip_sock *sock_new(enum net_family family, enum net_type type);     /* or NULL */
void sock_touch(struct lwip_sock *s);
int sock_take_error(struct lwip_sock *s);       /* 0, or negative, once */
/* Whether a socket that is watched is or may be ready. */
bool sock_any_active(void);
void sock_run_ready(void);

/* stream.c */
int stream_open(struct lwip_sock *s);
void stream_close(struct lwip_sock *s);
unsigned stream_ready(const struct lwip_sock *s);
int stream_bind(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port);
int stream_listen(struct lwip_sock *s, int backlog);
int stream_connect(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port);
int stream_accept(struct lwip_sock *s, struct lwip_sock **accepted);
int stream_shutdown(struct lwip_sock *s, int how);
int stream_name(struct lwip_sock *s, bool local, struct net_addr *a);
int64_t stream_recv(struct lwip_sock *s, void *buf, size_t n);
int64_t stream_send(struct lwip_sock *s, const struct net_iov *iov, size_t n);
void stream_flush(void);       /* what small sends left for the next os_wait() */
void stream_set_option(struct lwip_sock *s, enum net_opt o);

/* datagram.c */
int datagram_open(struct lwip_sock *s);
void datagram_close(struct lwip_sock *s);
unsigned datagram_ready(const struct lwip_sock *s);
int datagram_bind(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port);
int datagram_connect(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port);
int datagram_disconnect(struct lwip_sock *s);
int datagram_name(struct lwip_sock *s, bool local, struct net_addr *a);
int64_t datagram_recv(struct lwip_sock *s, void *buf, size_t n, struct net_addr *from,
                      struct net_anc *anc);
int64_t datagram_send(struct lwip_sock *s, const void *buf, size_t n,
                      const struct net_addr *to, const struct net_anc *anc);
void datagram_set_option(struct lwip_sock *s, enum net_opt o);
/* Nobody is at the far end's port: the sender is told. */
void datagram_refused(const ip_addr_t *local, uint16_t port, const ip_addr_t *peer,
                      uint16_t peer_port);

/* option.c: net_ops of the same names */
int option_set(struct net_sock *s, enum net_opt o, const void *value, size_t n);
int option_get(struct net_sock *s, enum net_opt o, void *value, size_t *n);
int option_set_raw(struct net_sock *s, int level, int opt, const void *value, size_t n);
int option_get_raw(struct net_sock *s, int level, int opt, void *value, size_t *n);
void option_defaults(struct lwip_sock *s);

/* addr.c */
/* 0, or -EAFNOSUPPORT. An IPv6 socket reaches IPv4 by mapped addresses. */
int addr_to_ip(const struct lwip_sock *s, const struct net_addr *a, ip_addr_t *ip);
void addr_from_ip(enum net_family family, const ip_addr_t *ip, uint16_t port,
                  struct net_addr *a);
bool addr_is_ours(const ip_addr_t *ip);         /* or any */
void addr_loopback_for_any(ip_addr_t *ip);      /* "any" as a destination is this host */
int addr_interfaces(struct net_if **list, size_t *n);
/* Of the ephemeral ports, one by chance that take() can have (0); or its error. */
int addr_choose_port(struct lwip_sock *s, int (*take)(struct lwip_sock *s, uint16_t port));
int addr_error(int lwip_error);                 /* negative errno */

/* stack.c */
void stack_enter(void);         /* before anything is asked of lwIP */
void stack_loop(void);          /* packets to ourselves are delivered */

/* SOF_ flags of a TCP or UDP pcb, which share their first members. */
#define set_pcb_flag(pcb, flag, on)                                            \
    ((on) ? ip_set_option(pcb, flag) : ip_reset_option(pcb, flag))

#endif
