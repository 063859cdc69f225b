/*
 * sock.c - the table of operations, and which sockets are ready.
 *
 * A socket that is watched and may be ready is in a list. Whatever can make one
 * ready puts it there; one that turns out not to be is taken out. So a poll
 * costs what there is to do, not what there is.
 */
#include "net/lwip/sock.h"

#include <errno.h>
#include <string.h>

#include "os/os.h"
#include "vm/vm.h"

static struct lwip_sock *active, *walk_next;

struct lwip_sock *sock_new(enum net_family family, enum net_type type)
{
    /* Connections come from outside: no memory for one is no fault of ours. */
    struct lwip_sock *s = vm_try_alloc(ALLOC_SYSTEM, sizeof *s);

    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->family = family;
    s->type = type;
    s->last = &s->first;
    s->waiting_last = &s->waiting;
    option_defaults(s);
    return s;
}

void sock_touch(struct lwip_sock *s)
{
    if (!s->want || s->prev)
        return;
    s->next = active;
    s->prev = &active;
    if (active)
        active->prev = &s->next;
    active = s;
}

static void inactive(struct lwip_sock *s)
{
    if (!s->prev)
        return;
    if (walk_next == s)
        walk_next = s->next;
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->prev = NULL;
}

static unsigned ready_now(const struct lwip_sock *s)
{
    return s->want & (s->type == NET_STREAM ? stream_ready(s) : datagram_ready(s));
}

bool sock_any_active(void)
{
    while (active && !ready_now(active))
        inactive(active);
    return active;
}

void sock_run_ready(void)
{
    for (struct lwip_sock *s = active; s; s = walk_next) {
        unsigned events = ready_now(s);

        walk_next = s->next;
        if (events)
            s->net.ready(&s->net, events);
        else
            inactive(s);
    }
    walk_next = NULL;
}

int sock_take_error(struct lwip_sock *s)
{
    int err = s->err;

    s->err = 0;
    return -err;
}

static void net_watch(struct net_sock *net, unsigned events)
{
    struct lwip_sock *s = sock_of(net);

    s->want = events;
    if (events)
        sock_touch(s);
    else
        inactive(s);
}

static int net_open(struct net_sock **out, enum net_family family, enum net_type type)
{
    struct lwip_sock *s;
    int err;

    if (family != NET_INET && family != NET_INET6)
        return -EAFNOSUPPORT;
    stack_enter();
    s = sock_new(family, type);
    if (!s)
        return -ENOMEM;
    err = type == NET_STREAM ? stream_open(s) : datagram_open(s);
    if (err < 0) {
        vm_free(s);
        return err;
    }
    *out = &s->net;
    return 0;
}

static int net_fd(struct net_sock *net)
{
    return -ENOTSUP;
}

static void net_close(struct net_sock *net)
{
    struct lwip_sock *s = sock_of(net);

    stack_enter();
    inactive(s);
    if (s->type == NET_STREAM)
        stream_close(s);
    else
        datagram_close(s);
    vm_free(s);
    stack_loop();
}

static int net_bind(struct net_sock *net, const struct net_addr *a)
{
    struct lwip_sock *s = sock_of(net);
    ip_addr_t ip;
    int err = addr_to_ip(s, a, &ip);

    stack_enter();
    if (err < 0)
        return err;
    if (s->bound)
        return -EINVAL;
    if (!addr_is_ours(&ip) && !(s->type == NET_DGRAM && ip_addr_ismulticast(&ip)))
        return -EADDRNOTAVAIL;
    if (s->family == NET_INET6 && ip_addr_isany(&ip) && !s->option[NET_V6ONLY])
        ip = (ip_addr_t)IPADDR_ANY_TYPE_INIT;
    err = s->type == NET_STREAM ? stream_bind(s, &ip, a->port)
                                : datagram_bind(s, &ip, a->port);
    s->bound = err == 0;
    return err;
}

static int net_listen(struct net_sock *net, int backlog)
{
    stack_enter();
    if (sock_of(net)->type != NET_STREAM)
        return -EOPNOTSUPP;
    return stream_listen(sock_of(net), backlog);
}

static int net_connect(struct net_sock *net, const struct net_addr *a)
{
    struct lwip_sock *s = sock_of(net);
    ip_addr_t ip;
    int err = addr_to_ip(s, a, &ip);

    stack_enter();
    if (err < 0)
        return err;
    addr_loopback_for_any(&ip);
    return s->type == NET_STREAM ? stream_connect(s, &ip, a->port)
                                 : datagram_connect(s, &ip, a->port);
}

static int net_connect_result(struct net_sock *net)
{
    struct lwip_sock *s = sock_of(net);

    return s->state == SOCK_CONNECTING ? -EINPROGRESS : sock_take_error(s);
}

static int net_disconnect(struct net_sock *net)
{
    stack_enter();
    return datagram_disconnect(sock_of(net));
}

static int net_accept(struct net_sock *net, struct net_sock **accepted)
{
    struct lwip_sock *s;
    int err;

    stack_enter();
    err = stream_accept(sock_of(net), &s);
    if (err == 0)
        *accepted = &s->net;
    return err;
}

static int net_shutdown(struct net_sock *net, int how)
{
    int err;

    stack_enter();
    if (sock_of(net)->type != NET_STREAM)
        return -ENOTCONN;
    err = stream_shutdown(sock_of(net), how);
    stack_loop();
    return err;
}

static int name_of(struct net_sock *net, bool local, struct net_addr *a)
{
    struct lwip_sock *s = sock_of(net);

    return s->type == NET_STREAM ? stream_name(s, local, a) : datagram_name(s, local, a);
}
static int net_local(struct net_sock *net, struct net_addr *a)
{
    return name_of(net, true, a);
}
static int net_peer(struct net_sock *net, struct net_addr *a)
{
    return name_of(net, false, a);
}

static int64_t net_recv(struct net_sock *net, void *buf, size_t n)
{
    struct lwip_sock *s = sock_of(net);
    int64_t r;

    stack_enter();
    if (s->type != NET_STREAM)
        return datagram_recv(s, buf, n, NULL, NULL);
    r = stream_recv(s, buf, n);
    if (r > 0)
        stack_loop();           /* the window has opened */
    return r;
}

static int64_t net_send(struct net_sock *net, const struct net_iov *iov, size_t n)
{
    int64_t r;

    stack_enter();
    r = stream_send(sock_of(net), iov, n);
    stack_loop();
    return r;
}

static int64_t net_recvfrom(struct net_sock *net, void *buf, size_t n, struct net_addr *from,
                            struct net_anc *anc)
{
    stack_enter();
    return datagram_recv(sock_of(net), buf, n, from, anc);
}

static int64_t net_sendto(struct net_sock *net, const void *buf, size_t n,
                          const struct net_addr *to, const struct net_anc *anc)
{
    int64_t r;

    stack_enter();
    r = datagram_send(sock_of(net), buf, n, to, anc);
    stack_loop();
    return r;
}

/*
 * With a domain: of a name without, kernel's start would ask the system's
 * resolver, and there is none.
 */
static int net_hostname(char *buf, size_t n)
{
    static const char domain[] = ".nodomain";
    const char *name = os_getenv("HOSTNAME");

    if (!name || !*name || strlen(name) + sizeof domain > n)
        name = "nohost";
    strcpy(buf, name);
    if (!strchr(name, '.'))
        strcat(buf, domain);
    return 0;
}

/* There is no /etc/services. */
static int net_service_port(const char *name, const char *protocol)
{
    return -EINVAL;
}
static int net_service_name(int port, const char *protocol, char *buf, size_t n)
{
    return -EINVAL;
}

const struct net_ops net_ops = {
    .open = net_open,
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
    .set = option_set,
    .get = option_get,
    .set_raw = option_set_raw,
    .get_raw = option_get_raw,
    .interfaces = addr_interfaces,
    .hostname = net_hostname,
    .service_port = net_service_port,
    .service_name = net_service_name,
};
