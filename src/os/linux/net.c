/*
 * net.c - net_ops over the sockets of Linux.
 */
#define _GNU_SOURCE
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/os.h"
#include "vm/vm.h"

struct linux_sock {
    struct net_sock net;
    struct os_watch watch;
    unsigned want;          /* what the owner waits for: part of watch.events */
    bool adopted;
};

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

static struct linux_sock *sock_of(struct net_sock *s)
{
    return (struct linux_sock *)s;
}

static int fd_of(struct net_sock *s)
{
    return sock_of(s)->watch.fd;
}

static int domain_of(enum net_family f)
{
    return f == NET_INET ? AF_INET : f == NET_INET6 ? AF_INET6
           : f == NET_LOCAL ? AF_UNIX : AF_UNSPEC;
}

static socklen_t to_sockaddr(const struct net_addr *a, union sockaddr_any *sa)
{
    memset(sa, 0, sizeof *sa);
    sa->sa.sa_family = (sa_family_t)domain_of(a->family);
    switch (a->family) {
    case NET_INET:
        sa->in.sin_port = htons(a->port);
        memcpy(&sa->in.sin_addr, a->ip, 4);
        return sizeof sa->in;
    case NET_INET6:
        sa->in6.sin6_port = htons(a->port);
        memcpy(&sa->in6.sin6_addr, a->ip, 16);
        sa->in6.sin6_flowinfo = a->flow;
        sa->in6.sin6_scope_id = a->scope;
        return sizeof sa->in6;
    case NET_LOCAL:
        memcpy(sa->un.sun_path, a->path, a->path_bytes);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + a->path_bytes);
    }
    return sizeof sa->sa;
}

static void from_sockaddr(const union sockaddr_any *sa, socklen_t n, struct net_addr *a)
{
    memset(a, 0, sizeof *a);
    if (n < sizeof sa->sa.sa_family)
        return;
    switch (sa->sa.sa_family) {
    case AF_INET:
        a->family = NET_INET;
        a->port = ntohs(sa->in.sin_port);
        memcpy(a->ip, &sa->in.sin_addr, 4);
        break;
    case AF_INET6:
        a->family = NET_INET6;
        a->port = ntohs(sa->in6.sin6_port);
        memcpy(a->ip, &sa->in6.sin6_addr, 16);
        a->flow = sa->in6.sin6_flowinfo;
        a->scope = sa->in6.sin6_scope_id;
        break;
    case AF_UNIX: {
        size_t bytes = n - offsetof(struct sockaddr_un, sun_path);
        size_t len;

        a->family = NET_LOCAL;
        if (n <= offsetof(struct sockaddr_un, sun_path))
            break;
        if (bytes > NET_PATH_MAX)
            bytes = NET_PATH_MAX;
        /* Linux's abstract names begin with a zero. */
        len = strnlen(sa->un.sun_path, bytes);
        a->path_bytes = (uint8_t)(len ? len : bytes);
        memcpy(a->path, sa->un.sun_path, a->path_bytes);
        break;
    }
    }
}

/*
 * What is no longer wanted stays watched until it happens once more: most
 * sockets want to read again before there is anything to.
 */
static void on_ready(struct os_watch *w, unsigned events)
{
    struct linux_sock *s =
        (struct linux_sock *)((char *)w - offsetof(struct linux_sock, watch));

    if (events & ~s->want)
        os_watch(w, s->want);
    events &= s->want;
    if (events)
        s->net.ready(&s->net, events);
}

static void net_watch(struct net_sock *net, unsigned events)
{
    struct linux_sock *s = sock_of(net);

    _Static_assert(NET_READ == OS_READ && NET_WRITE == OS_WRITE, "the same bits");
    s->want = events;
    if (events & ~s->watch.events)
        os_watch(&s->watch, s->watch.events | events);
}

static struct linux_sock *sock_new(int fd)
{
    struct linux_sock *s = vm_zalloc(ALLOC_SYSTEM, sizeof *s);

    s->watch = (struct os_watch){.fd = fd, .ready = on_ready};
    return s;
}

static int net_open(struct net_sock **out, enum net_family family, enum net_type type)
{
    int fd = socket(domain_of(family),
                    (type == NET_STREAM ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK |
                        SOCK_CLOEXEC,
                    family == NET_LOCAL ? 0
                    : type == NET_STREAM ? IPPROTO_TCP : IPPROTO_UDP);

    if (fd < 0)
        return -errno;
    *out = &sock_new(fd)->net;
    return 0;
}

static int net_adopt(struct net_sock **out, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    *out = &sock_new(fd)->net;
    sock_of(*out)->adopted = true;
    return 0;
}

static int net_fd(struct net_sock *s)
{
    return fd_of(s);
}

static void net_close(struct net_sock *net)
{
    struct linux_sock *s = sock_of(net);

    os_unwatch(&s->watch);
    if (!s->adopted)
        close(s->watch.fd);
    vm_free(s);
}

static int net_bind(struct net_sock *s, const struct net_addr *a)
{
    union sockaddr_any sa;
    socklen_t n = to_sockaddr(a, &sa);

    return bind(fd_of(s), &sa.sa, n) < 0 ? -errno : 0;
}

static int net_listen(struct net_sock *s, int backlog)
{
    return listen(fd_of(s), backlog) < 0 ? -errno : 0;
}

static int net_connect(struct net_sock *s, const struct net_addr *a)
{
    union sockaddr_any sa;
    socklen_t n = to_sockaddr(a, &sa);

    if (connect(fd_of(s), &sa.sa, n) < 0)
        /* A full backlog of a local socket; there is nothing to wait for. */
        return -errno;
    return 0;
}

static int net_connect_result(struct net_sock *s)
{
    int err = 0;
    socklen_t n = sizeof err;

    if (getsockopt(fd_of(s), SOL_SOCKET, SO_ERROR, &err, &n) < 0)
        return -errno;
    return -err;
}

static int net_disconnect(struct net_sock *s)
{
    struct sockaddr sa = {.sa_family = AF_UNSPEC};

    return connect(fd_of(s), &sa, sizeof sa) < 0 ? -errno : 0;
}

static int net_accept(struct net_sock *s, struct net_sock **accepted)
{
    int fd;

    do {
        fd = accept4(fd_of(s), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *accepted = &sock_new(fd)->net;
    return 0;
}

static int net_shutdown(struct net_sock *s, int how)
{
    static const int hows[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};

    return shutdown(fd_of(s), hows[how]) < 0 ? -errno : 0;
}

static int name_of(struct net_sock *s, struct net_addr *a,
                   int (*ask)(int fd, struct sockaddr *sa, socklen_t *n))
{
    union sockaddr_any sa;
    socklen_t n = sizeof sa;

    memset(&sa, 0, sizeof sa);
    if (ask(fd_of(s), &sa.sa, &n) < 0)
        return -errno;
    from_sockaddr(&sa, n, a);
    return 0;
}
static int net_local(struct net_sock *s, struct net_addr *a)
{
    return name_of(s, a, getsockname);
}
static int net_peer(struct net_sock *s, struct net_addr *a)
{
    return name_of(s, a, getpeername);
}

static int64_t net_recv(struct net_sock *s, void *buf, size_t n)
{
    ssize_t r;

    do {
        r = recv(fd_of(s), buf, n, 0);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int64_t net_send(struct net_sock *s, const struct net_iov *iov, size_t n)
{
    struct iovec v[16];
    struct msghdr m = {.msg_iov = v};
    ssize_t r;

    for (; m.msg_iovlen < n && m.msg_iovlen < sizeof v / sizeof *v; m.msg_iovlen++)
        v[m.msg_iovlen] = (struct iovec){(void *)iov[m.msg_iovlen].base,
                                         iov[m.msg_iovlen].bytes};
    do {
        r = sendmsg(fd_of(s), &m, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static const struct {
    int level, type;
} ancillary[NET_ANCS] = {
    [NET_ANC_TOS] = {IPPROTO_IP, IP_TOS},
    [NET_ANC_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS},
    [NET_ANC_TTL] = {IPPROTO_IP, IP_TTL},
};

static void take_ancillary(struct msghdr *m, struct net_anc *anc)
{
    anc->has = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        for (int i = 0; i < NET_ANCS; i++) {
            if (c->cmsg_level != ancillary[i].level || c->cmsg_type != ancillary[i].type)
                continue;
            anc->has |= 1u << i;
            anc->v[i] = 0;
            if (c->cmsg_len == CMSG_LEN(1))
                anc->v[i] = *CMSG_DATA(c);
            else
                memcpy(&anc->v[i], CMSG_DATA(c), sizeof anc->v[i]);
        }
    }
}

static int64_t net_recvfrom(struct net_sock *s, void *buf, size_t n,
                            struct net_addr *from, struct net_anc *anc)
{
    union sockaddr_any sa;
    union {
        struct cmsghdr align;
        char bytes[NET_ANCS * CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {buf, n};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_name = &sa, .msg_namelen = sizeof sa,
        .msg_control = &control, .msg_controllen = anc ? sizeof control : 0,
    };
    ssize_t r;

    memset(&sa, 0, sizeof sa);
    do {
        r = recvmsg(fd_of(s), &m, 0);
    } while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    if (from)
        from_sockaddr(&sa, m.msg_namelen, from);
    if (anc)
        take_ancillary(&m, anc);
    return r;
}

static int64_t net_sendto(struct net_sock *s, const void *buf, size_t n,
                          const struct net_addr *to, const struct net_anc *anc)
{
    union sockaddr_any sa;
    union {
        struct cmsghdr align;
        char bytes[NET_ANCS * CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = {(void *)buf, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    ssize_t r;

    if (to) {
        m.msg_namelen = to_sockaddr(to, &sa);
        m.msg_name = &sa;
    }
    if (anc && anc->has) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = (size_t)__builtin_popcount(anc->has) * CMSG_SPACE(sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        for (int i = 0; i < NET_ANCS; i++) {
            if (!(anc->has & 1u << i))
                continue;
            c->cmsg_level = ancillary[i].level;
            c->cmsg_type = ancillary[i].type;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(c), &anc->v[i], sizeof(int));
            c = CMSG_NXTHDR(&m, c);
        }
    }
    do {
        r = sendmsg(fd_of(s), &m, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int64_t net_sendfile(struct net_sock *s, int fd, int64_t offset, size_t n)
{
    off_t off = offset;
    ssize_t r;

    do {
        r = sendfile(fd_of(s), fd, &off, n);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int file_dup(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? -errno : copy;
}

static void file_close(int fd)
{
    close(fd);
}

static bool option(enum net_opt o, int *level, int *type)
{
    static const struct {
        int level, type;
    } names[] = {
        [NET_REUSEADDR] = {SOL_SOCKET, SO_REUSEADDR},
        [NET_KEEPALIVE] = {SOL_SOCKET, SO_KEEPALIVE},
        [NET_DONTROUTE] = {SOL_SOCKET, SO_DONTROUTE},
        [NET_BROADCAST] = {SOL_SOCKET, SO_BROADCAST},
        [NET_OOBINLINE] = {SOL_SOCKET, SO_OOBINLINE},
        [NET_SNDBUF] = {SOL_SOCKET, SO_SNDBUF},
        [NET_RCVBUF] = {SOL_SOCKET, SO_RCVBUF},
        [NET_PRIORITY] = {SOL_SOCKET, SO_PRIORITY},
        [NET_LINGER] = {SOL_SOCKET, SO_LINGER},
        [NET_NODELAY] = {IPPROTO_TCP, TCP_NODELAY},
        [NET_NOPUSH] = {IPPROTO_TCP, TCP_CORK},
        [NET_TOS] = {IPPROTO_IP, IP_TOS},
        [NET_TTL] = {IPPROTO_IP, IP_TTL},
        [NET_RECVTOS] = {IPPROTO_IP, IP_RECVTOS},
        [NET_RECVTTL] = {IPPROTO_IP, IP_RECVTTL},
        [NET_TCLASS] = {IPPROTO_IPV6, IPV6_TCLASS},
        [NET_RECVTCLASS] = {IPPROTO_IPV6, IPV6_RECVTCLASS},
        [NET_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY},
        [NET_MULTICAST_TTL] = {IPPROTO_IP, IP_MULTICAST_TTL},
        [NET_MULTICAST_LOOP] = {IPPROTO_IP, IP_MULTICAST_LOOP},
        [NET_DEVICE] = {SOL_SOCKET, SO_BINDTODEVICE},
    };

    if ((size_t)o >= sizeof names / sizeof *names || !names[o].type)
        return false;
    *level = names[o].level;
    *type = names[o].type;
    return true;
}

static int set_raw(struct net_sock *s, int level, int type, const void *value, size_t n)
{
    return setsockopt(fd_of(s), level, type, value, (socklen_t)n) < 0 ? -errno : 0;
}

static int get_raw(struct net_sock *s, int level, int type, void *value, size_t *n)
{
    socklen_t len = (socklen_t)*n;

    if (getsockopt(fd_of(s), level, type, value, &len) < 0)
        return -errno;
    *n = len;
    return 0;
}

static int set_group(struct net_sock *s, bool join, const struct net_group *g)
{
    struct ip_mreqn m4 = {.imr_ifindex = (int)g->ifindex};
    struct ipv6_mreq m6 = {.ipv6mr_interface = g->ifindex};

    if (g->family == NET_INET) {
        memcpy(&m4.imr_multiaddr, g->group, 4);
        memcpy(&m4.imr_address, g->local, 4);
        return set_raw(s, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &m4,
                       sizeof m4);
    }
    memcpy(&m6.ipv6mr_multiaddr, g->group, 16);
    return set_raw(s, IPPROTO_IPV6, join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, &m6,
                   sizeof m6);
}

static int family_of(struct net_sock *s)
{
    int domain = AF_UNSPEC;
    socklen_t n = sizeof domain;

    getsockopt(fd_of(s), SOL_SOCKET, SO_DOMAIN, &domain, &n);
    return domain;
}

/*
 * Setting one of priority, TOS and the rest changes the others on Linux; what
 * programs know are options that have nothing to do with each other.
 */
static int set_keeping_tos(struct net_sock *s, int level, int type, const void *value,
                           size_t n)
{
    int priority, tos, r;
    size_t pn = sizeof priority, tn = sizeof tos;
    bool has_priority = get_raw(s, SOL_SOCKET, SO_PRIORITY, &priority, &pn) == 0;
    bool has_tos = get_raw(s, IPPROTO_IP, IP_TOS, &tos, &tn) == 0;

    r = set_raw(s, level, type, value, n);
    if (r < 0 || (level == SOL_SOCKET && type == SO_PRIORITY))
        return r;
    if (has_tos && !(level == IPPROTO_IP && type == IP_TOS))
        set_raw(s, IPPROTO_IP, IP_TOS, &tos, tn);
    if (has_priority)
        set_raw(s, SOL_SOCKET, SO_PRIORITY, &priority, pn);
    return 0;
}

static int net_set(struct net_sock *s, enum net_opt o, const void *value, size_t n)
{
    int level, type;

    if (o == NET_JOIN || o == NET_LEAVE)
        return set_group(s, o == NET_JOIN, value);
    if (o == NET_MULTICAST_IF)
        return family_of(s) == AF_INET6
                   ? set_raw(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, value, n)
                   : set_raw(s, IPPROTO_IP, IP_MULTICAST_IF, value, n);
    if (!option(o, &level, &type))
        return -ENOPROTOOPT;
    if (o == NET_TOS || o == NET_PRIORITY || o == NET_REUSEADDR)
        return set_keeping_tos(s, level, type, value, n);
    return set_raw(s, level, type, value, n);
}

static int net_get(struct net_sock *s, enum net_opt o, void *value, size_t *n)
{
    int level, type;

    if (o == NET_MULTICAST_IF)
        return family_of(s) == AF_INET6
                   ? get_raw(s, IPPROTO_IPV6, IPV6_MULTICAST_IF, value, n)
                   : get_raw(s, IPPROTO_IP, IP_MULTICAST_IF, value, n);
    if (!option(o, &level, &type))
        return -ENOPROTOOPT;
    return get_raw(s, level, type, value, n);
}

static unsigned if_flags(unsigned f)
{
    return (f & IFF_UP ? NET_IFF_UP : 0u) | (f & IFF_BROADCAST ? NET_IFF_BROADCAST : 0u) |
           (f & IFF_LOOPBACK ? NET_IFF_LOOPBACK : 0u) |
           (f & IFF_POINTOPOINT ? NET_IFF_POINTTOPOINT : 0u) |
           (f & IFF_RUNNING ? NET_IFF_RUNNING : 0u) |
           (f & IFF_MULTICAST ? NET_IFF_MULTICAST : 0u);
}

static int32_t if_mtu(const char *name)
{
    struct ifreq r = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mtu = 0;

    if (fd < 0)
        return 0;
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, SIOCGIFMTU, &r) == 0)
        mtu = r.ifr_mtu;
    close(fd);
    return mtu;
}

static void if_addr(const struct sockaddr *sa, struct net_addr *a)
{
    union sockaddr_any any = {0};

    if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return;
    memcpy(&any, sa, sa->sa_family == AF_INET ? sizeof any.in : sizeof any.in6);
    from_sockaddr(&any, sizeof any, a);
}

static int net_interfaces(struct net_if **list, size_t *n)
{
    struct ifaddrs *all;
    size_t i = 0;

    if (getifaddrs(&all) < 0)
        return -errno;
    *n = 0;
    for (struct ifaddrs *p = all; p; p = p->ifa_next)
        ++*n;
    *list = vm_zalloc(ALLOC_SYSTEM, (*n + 1) * sizeof **list);
    for (struct ifaddrs *p = all; p; p = p->ifa_next) {
        struct net_if *e = &(*list)[i++];

        strncpy(e->name, p->ifa_name, sizeof e->name - 1);
        e->flags = if_flags(p->ifa_flags);
        e->mtu = if_mtu(p->ifa_name);
        if (p->ifa_addr && p->ifa_addr->sa_family == AF_PACKET) {
            struct sockaddr_ll ll;

            memcpy(&ll, p->ifa_addr, sizeof ll);
            e->hwaddr_bytes = ll.sll_halen < sizeof ll.sll_addr
                                  ? ll.sll_halen : (uint8_t)sizeof ll.sll_addr;
            memcpy(e->hwaddr, ll.sll_addr, e->hwaddr_bytes);
            continue;
        }
        if_addr(p->ifa_addr, &e->addr);
        if_addr(p->ifa_netmask, &e->mask);
        if (p->ifa_flags & IFF_POINTOPOINT)
            if_addr(p->ifa_dstaddr, &e->peer);
        else if (p->ifa_flags & IFF_BROADCAST)
            if_addr(p->ifa_broadaddr, &e->broadcast);
    }
    freeifaddrs(all);
    return 0;
}

static int net_hostname(char *buf, size_t n)
{
    if (gethostname(buf, n) < 0)
        return -errno;
    buf[n - 1] = 0;
    return 0;
}

static int net_service_port(const char *name, const char *protocol)
{
    struct servent *s = getservbyname(name, protocol);

    return s ? ntohs((uint16_t)s->s_port) : -EINVAL;
}

static int net_service_name(int port, const char *protocol, char *buf, size_t n)
{
    struct servent *s = getservbyport(htons((uint16_t)port), protocol);

    if (!s || strlen(s->s_name) >= n)
        return -EINVAL;
    strcpy(buf, s->s_name);
    return 0;
}

const struct net_ops net_ops = {
    .open = net_open,
    .adopt = net_adopt,
    .fd = net_fd,
    .close = net_close,
    .bind = net_bind,
    .listen = net_listen,
    .connect = net_connect,
    .connect_result = net_connect_result,
    .disconnect = net_disconnect,
    .accept = net_accept,
    .shutdown = net_shutdown,
    .local = net_local,
    .peer = net_peer,
    .watch = net_watch,
    .recv = net_recv,
    .send = net_send,
    .recvfrom = net_recvfrom,
    .sendto = net_sendto,
    .sendfile = net_sendfile,
    .file_dup = file_dup,
    .file_close = file_close,
    .set = net_set,
    .get = net_get,
    .set_raw = set_raw,
    .get_raw = get_raw,
    .interfaces = net_interfaces,
    .hostname = net_hostname,
    .service_port = net_service_port,
    .service_name = net_service_name,
};
