/*
 * net.h - sockets as the drivers tcp_inet and udp_inet (src/io) see them.
 *
 * A back end is one struct net_ops: os/linux/net.c has the sockets of Linux,
 * lwip.c the ones of an instance. vm.net says which. Nothing blocks; errors
 * are negative Linux errno values, -EAGAIN among them.
 *
 * The owner of a socket says what it waits for by watch(); ready() then runs in
 * os_wait(), between slices, in every os_wait() while the condition holds. It
 * may close its own socket or any other. An accepted socket is not watched.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of OTP's protocol (INET_AF_*, INET_TYPE_*). */
enum net_family { NET_UNSPEC = 0, NET_INET = 1, NET_INET6 = 2, NET_LOCAL = 5 };
enum net_type { NET_STREAM = 1, NET_DGRAM = 2 };

#define NET_PATH_MAX 108        /* sun_path */

struct net_addr {
    uint8_t family;
    uint16_t port;
    uint32_t flow, scope;               /* NET_INET6 */
    uint8_t path_bytes;                 /* NET_LOCAL */
    union {
        uint8_t ip[16];                 /* 4 or 16 bytes, as on the wire */
        uint8_t path[NET_PATH_MAX];     /* not terminated */
    };
};

enum { NET_READ = 1, NET_WRITE = 2 };
enum { NET_SHUT_READ, NET_SHUT_WRITE, NET_SHUT_BOTH };

/* Options: values are one int32_t, but for those that say what else. */
enum net_opt {
    NET_REUSEADDR, NET_KEEPALIVE, NET_DONTROUTE, NET_BROADCAST, NET_OOBINLINE,
    NET_SNDBUF, NET_RCVBUF, NET_PRIORITY,
    NET_LINGER,                 /* int32_t[2]: on, seconds */
    NET_NODELAY, NET_NOPUSH,
    NET_TOS, NET_TTL, NET_RECVTOS, NET_RECVTTL,
    NET_TCLASS, NET_RECVTCLASS, NET_V6ONLY,
    NET_MULTICAST_IF,           /* IPv4: 4 bytes of address; IPv6: index */
    NET_MULTICAST_TTL, NET_MULTICAST_LOOP,
    NET_JOIN, NET_LEAVE,        /* struct net_group */
    NET_DEVICE,                 /* name, not terminated */
};
struct net_group {
    uint8_t family;
    uint8_t group[16], local[4];
    uint32_t ifindex;
};

/* What comes with a datagram or is sent with one; bit n of has: v[n]. */
enum net_ancillary { NET_ANC_TOS, NET_ANC_TCLASS, NET_ANC_TTL, NET_ANCS };
struct net_anc {
    unsigned has;
    int32_t v[NET_ANCS];
};

struct net_if {
    char name[16];              /* terminated */
    unsigned flags;             /* NET_IFF_* */
    int32_t mtu;
    struct net_addr addr, mask, broadcast, peer;    /* NET_UNSPEC: none */
    uint8_t hwaddr[32];
    uint8_t hwaddr_bytes;
};
enum {
    NET_IFF_UP = 1, NET_IFF_BROADCAST = 2, NET_IFF_LOOPBACK = 4,
    NET_IFF_POINTTOPOINT = 8, NET_IFF_RUNNING = 16, NET_IFF_MULTICAST = 32,
};

/* The beginning of every back end's socket. */
struct net_sock {
    void *owner;
    void (*ready)(struct net_sock *s, unsigned events);
};

struct net_iov {
    const void *base;
    size_t bytes;
};

struct net_ops {
    int (*open)(struct net_sock **s, enum net_family family, enum net_type type);
    /* A descriptor of the process; NULL where there are none. Left open by close. */
    int (*adopt)(struct net_sock **s, int fd);
    int (*fd)(struct net_sock *s);          /* its number, or negative */
    void (*close)(struct net_sock *s);

    int (*bind)(struct net_sock *s, const struct net_addr *a);
    int (*listen)(struct net_sock *s, int backlog);
    /* -EINPROGRESS: ready to write when decided, connect_result says how. */
    int (*connect)(struct net_sock *s, const struct net_addr *a);
    int (*connect_result)(struct net_sock *s);
    int (*disconnect)(struct net_sock *s);  /* NET_DGRAM */
    int (*accept)(struct net_sock *s, struct net_sock **accepted);
    int (*shutdown)(struct net_sock *s, int how);
    int (*local)(struct net_sock *s, struct net_addr *a);
    int (*peer)(struct net_sock *s, struct net_addr *a);
    void (*watch)(struct net_sock *s, unsigned events);

    /* Bytes, 0 at the end of the stream. */
    int64_t (*recv)(struct net_sock *s, void *buf, size_t n);
    int64_t (*send)(struct net_sock *s, const struct net_iov *iov, size_t n);
    /* Datagrams. from and anc may be NULL; to is NULL if connected. */
    int64_t (*recvfrom)(struct net_sock *s, void *buf, size_t n,
                        struct net_addr *from, struct net_anc *anc);
    int64_t (*sendto)(struct net_sock *s, const void *buf, size_t n,
                      const struct net_addr *to, const struct net_anc *anc);
    /* Up to n bytes of a file; NULL: there are no descriptors. */
    int64_t (*sendfile)(struct net_sock *s, int fd, int64_t offset, size_t n);
    /* A file's descriptor, kept while it is sent: number or negative errno. */
    int (*file_dup)(int fd);
    void (*file_close)(int fd);

    int (*set)(struct net_sock *s, enum net_opt o, const void *value, size_t n);
    /* *n: room, then bytes. */
    int (*get)(struct net_sock *s, enum net_opt o, void *value, size_t *n);
    /* Options by number, as {raw, Level, Option, Value}; may be NULL. */
    int (*set_raw)(struct net_sock *s, int level, int opt, const void *value, size_t n);
    int (*get_raw)(struct net_sock *s, int level, int opt, void *value, size_t *n);

    /* Interfaces, an address an element, in vm_alloc'ed memory. */
    int (*interfaces)(struct net_if **list, size_t *n);
    int (*hostname)(char *buf, size_t n);
    int (*service_port)(const char *name, const char *protocol);    /* or negative */
    int (*service_name)(int port, const char *protocol, char *buf, size_t n);
};

/* The back end of this build. */
extern const struct net_ops net_ops;

#endif
