/*
 * inet.h - what the drivers tcp_inet and udp_inet share.
 *
 * OTP's prim_inet speaks to them: requests by port_control/3, whose answers are
 * lists of bytes, data by port_command/2, and messages back:
 *
 *   {inet_reply, S, ok | {error, R}}          after data to send
 *   {inet_async, S, Ref, ok | {ok, V} | {error, R}}   of connect, accept, recv
 *   {tcp, S, Data}, {udp, S, IP, Port, Data}  active mode, and their kin
 *
 * The names and numbers are those of OTP's inet_int.hrl. What is below is a
 * net_ops (net/net.h); nothing here knows which.
 *
 * A function that may end the port, and so free its state, returns a negative
 * number when it did; the caller must not touch the state then.
 */
#ifndef IO_INET_H
#define IO_INET_H

#include "io/port.h"
#include "net/net.h"
#include "vm/binary.h"
#include "vm/timer.h"

#define INET_CONTROL 0x03f1a300u    /* added to each request's number */
#define INET_INFINITY 0xffffffffu   /* a timeout */

enum inet_req {
    INET_REQ_OPEN = 1, INET_REQ_CLOSE, INET_REQ_CONNECT, INET_REQ_PEER, INET_REQ_NAME,
    INET_REQ_BIND, INET_REQ_SETOPTS, INET_REQ_GETOPTS,
    INET_REQ_GETSTAT = 11, INET_REQ_GETHOSTNAME, INET_REQ_FDOPEN, INET_REQ_GETFD,
    INET_REQ_GETTYPE, INET_REQ_GETSTATUS, INET_REQ_GETSERVBYNAME, INET_REQ_GETSERVBYPORT,
    INET_REQ_SETNAME, INET_REQ_SETPEER, INET_REQ_GETIFLIST, INET_REQ_IFGET,
    INET_REQ_IFSET, INET_REQ_SUBSCRIBE, INET_REQ_GETIFADDRS, INET_REQ_ACCEPT,
    INET_REQ_LISTEN, INET_REQ_IGNOREFD, INET_REQ_GETLADDRS, INET_REQ_GETPADDRS,
    TCP_REQ_RECV = 42, TCP_REQ_UNRECV, TCP_REQ_SHUTDOWN, TCP_REQ_SENDFILE,
    PACKET_REQ_RECV = 60,
};

enum inet_af { INET_AF_UNSPEC, INET_AF_INET, INET_AF_INET6, INET_AF_ANY, INET_AF_LOOPBACK,
               INET_AF_LOCAL, INET_AF_UNDEFINED };

/* getstatus */
enum { INET_F_OPEN = 1, INET_F_BOUND = 2, INET_F_ACTIVE = 4, INET_F_LISTEN = 8,
       INET_F_CON = 16, INET_F_ACC = 32, INET_F_BUSY = 128 };
#define INET_CONNECTED (INET_F_OPEN | INET_F_ACTIVE)

enum inet_active { INET_PASSIVE, INET_ACTIVE, INET_ONCE, INET_MULTI };
enum { INET_MODE_LIST, INET_MODE_BINARY };
enum { INET_DELIVER_PORT, INET_DELIVER_TERM };

struct inet {
    struct port *port;
    struct net_sock *sock;          /* NULL: closed */
    enum net_type type;
    uint8_t family;                 /* enum net_family */
    bool udp;
    bool prebound;                  /* fdopen: close leaves it open */
    unsigned state;                 /* INET_F_* */
    unsigned watched;               /* NET_READ | NET_WRITE */

    /* {active, _} and the like */
    uint32_t active, mode, deliver, exit_on_close;
    int32_t active_count;
    uint32_t header, packet;        /* bytes of header; TCP_PB_* */
    uint32_t packet_size;
    int32_t buffer;
    bool buffer_set, debug;
    uint8_t delimiter;
    int32_t msgq_high, msgq_low;    /* kept; nothing queues messages to a port */

    /* IGNOREFD: somebody else reads and writes the descriptor. */
    bool ignored;
    unsigned ignored_wants;         /* what is watched again afterwards */

    /* The one connect or recv under way. */
    struct {
        bool used;
        uint16_t ref;
        term caller;
    } op;
    uint16_t next_ref;
    term caller;                    /* who is to get inet_reply */

    struct net_addr fake_peer, fake_name;
    bool has_fake_peer, has_fake_name;
    unsigned recv_anc;              /* bits of enum net_ancillary */

    term *subscribers;              /* pids to tell that the queue is empty */
    size_t nsubscribers;

    struct {
        uint64_t recv_oct, recv_cnt, recv_max, send_oct, send_cnt, send_max;
        double recv_avg, recv_dvi, send_avg;
    } stat;
};

/* Requests and their answers. */
struct inet_request {
    struct proc *p;                 /* who asks */
    const uint8_t *data;
    size_t n;
};
static inline uint32_t get16(const uint8_t *s) { return (uint32_t)s[0] << 8 | s[1]; }
static inline uint32_t get32(const uint8_t *s) { return get16(s) << 16 | get16(s + 2); }
static inline void put16(uint8_t *s, uint32_t v)
{
    s[0] = (uint8_t)(v >> 8);
    s[1] = (uint8_t)v;
}
static inline void put32(uint8_t *s, uint32_t v)
{
    put16(s, v >> 16);
    put16(s + 2, v);
}
term inet_ok(struct inet_request *r, const void *bytes, size_t n);
term inet_ok_ref(struct inet_request *r, uint16_t ref);
term inet_error(struct inet_request *r, int err);       /* positive or negative */
term inet_xerror(struct inet_request *r, const char *name);

/* Bytes that grow, for answers. */
struct inet_buf {
    uint8_t *s;
    size_t n, size;
};
uint8_t *inet_buf_room(struct inet_buf *b, size_t n);   /* n bytes at the end */
void inet_buf_byte(struct inet_buf *b, uint8_t v);
void inet_buf_32(struct inet_buf *b, uint32_t v);
void inet_buf_put(struct inet_buf *b, const void *s, size_t n);
void inet_buf_free(struct inet_buf *b);
term inet_ok_buf(struct inet_request *r, struct inet_buf *b);   /* and frees it */

/*
 * An address, [Tag | Port, Address] of prim_inet, and what follows it. NULL, or
 * the name of the error.
 */
const char *inet_get_addr(enum net_family family, const uint8_t **s, size_t *n,
                          struct net_addr *a);
/* The same way back; *s moves on. At most INET_ADDR_MAX bytes. */
#define INET_ADDR_MAX (2 + NET_PATH_MAX)
size_t inet_put_addr(uint8_t *s, const struct net_addr *a);

/* The state. */
void inet_init(struct inet *in, struct port *port, bool udp);
void inet_close(struct inet *in);               /* the socket; the port stays */
int inet_open(struct inet *in, const uint8_t *data, size_t n, enum net_type want,
              void (*ready)(struct net_sock *s, unsigned events));
int inet_fdopen(struct inet *in, const uint8_t *data, size_t n, enum net_type want,
                void (*ready)(struct net_sock *s, unsigned events));
void inet_watch(struct inet *in, unsigned add, unsigned drop);
/* Requests of both; THE_NON_VALUE: badarg. */
term inet_control(struct inet *in, struct inet_request *r, uint32_t op);
static inline bool inet_is_open(const struct inet *in) { return in->state & INET_F_OPEN; }
static inline bool inet_is_connected(const struct inet *in)
{
    return (in->state & INET_CONNECTED) == INET_CONNECTED;
}
uint64_t inet_deadline(uint32_t ms);            /* monotonic ns */
uint32_t inet_queued(struct inet *in);

void inet_count_in(struct inet *in, size_t n);
void inet_count_out(struct inet *in, size_t n);

/* The driver of `in`, for options: false if it has no such option. */
bool tcp_option_set(struct inet *in, unsigned opt, int32_t v);
bool tcp_option_get(struct inet *in, unsigned opt, int32_t *v);
bool udp_option_set(struct inet *in, unsigned opt, int32_t v);
bool udp_option_get(struct inet *in, unsigned opt, int32_t *v);
void tcp_linger_zero(struct inet *in, bool on);

/* inet_opt.c. -1: einval; 0; 1: deliver what is there; 2: read; 3: it is gone. */
enum { INET_SET_ERROR = -1, INET_SET_OK, INET_SET_DELIVER, INET_SET_READ, INET_SET_GONE };
int inet_set_options(struct inet *in, const uint8_t *s, size_t n);
term inet_get_options(struct inet *in, struct inet_request *r);
/* tcp: {active, _} was set on a closed socket. Negative: the port is gone. */
int tcp_active_when_closed(struct inet *in);

/* inet_if.c */
term inet_iflist(struct inet_request *r);
term inet_ifaddrs(struct inet_request *r);
term inet_ifget(struct inet_request *r);

/* inet_msg.c: messages. A process that is gone gets none. */
uint16_t inet_op_start(struct inet *in, struct proc *p);
bool inet_op_take(struct inet *in, uint16_t *ref, term *to);
void inet_async_ok(struct inet *in);
void inet_async_error(struct inet *in, term reason);
void inet_send_async_error(struct inet *in, uint16_t ref, term to, term reason);
void inet_send_async_port(struct inet *in, uint16_t ref, term to, term port);
void inet_reply_ok(struct inet *in);
void inet_reply_error(struct inet *in, term reason);
void inet_tell(struct inet *in, term tag);                  /* {Tag, S} to the owner */
void inet_tell_error(struct inet *in, term tag, term reason);   /* {Tag, S, Reason} */
void inet_queue_empty(struct inet *in);                     /* to subscribers */
bool inet_subscribe(struct inet *in, term pid);

/*
 * Data of a stream: [header | rest], by mode. In steal's bytes, if not NULL,
 * which the message may then share (takes no reference).
 */
void inet_async_data(struct inet *in, const uint8_t *s, size_t n, struct refbin *share);
void inet_message_data(struct inet *in, const uint8_t *s, size_t n, struct refbin *share);
/* A parsed packet (packet_term): {ok, T} or {http, S, T} and the like. */
void inet_parsed(struct inet *in, unsigned packet, const uint8_t *s, size_t n);
/* Datagrams. */
void inet_async_datagram(struct inet *in, const struct net_addr *from,
                         const struct net_anc *anc, const uint8_t *s, size_t n);
void inet_message_datagram(struct inet *in, const struct net_addr *from,
                           const struct net_anc *anc, const uint8_t *s, size_t n);
/* One message was delivered: once and {active, N} count. */
void inet_count_active(struct inet *in);

#endif
