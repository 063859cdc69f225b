/*
 * option.c - options of sockets. What is set is kept; what lwIP has a word for
 * is told to it too. The rest are hints, as to any system that has no use for
 * them.
 */
#include <errno.h>
#include <string.h>

#include "lwip/tcp.h"
#include "net/lwip/sock.h"

/* Linux's numbers, for {raw, Level, Option, Value}. */
enum { LEVEL_TCP = 6, RAW_NODELAY = 1, RAW_KEEPIDLE = 4, RAW_KEEPINTVL, RAW_KEEPCNT };

void option_defaults(struct lwip_sock *s)
{
    s->option[NET_SNDBUF] = s->type == NET_STREAM ? TCP_SND_BUF : DATAGRAMS_MAX_BYTES;
    s->option[NET_RCVBUF] = s->type == NET_STREAM ? TCP_WND : DATAGRAMS_MAX_BYTES;
    s->option[NET_TTL] = 255;
    s->option[NET_MULTICAST_TTL] = 1;
    s->option[NET_MULTICAST_LOOP] = 1;
}

static bool in_range(enum net_opt o, int32_t v)
{
    switch (o) {
    case NET_TTL: return v >= 1 && v <= 255;
    case NET_TOS: case NET_TCLASS: case NET_MULTICAST_TTL: return v >= 0 && v <= 255;
    default: return true;
    }
}

static bool known(const struct lwip_sock *s, enum net_opt o)
{
    switch (o) {
    case NET_NODELAY: case NET_NOPUSH: return s->type == NET_STREAM;
    case NET_TCLASS: case NET_RECVTCLASS: case NET_V6ONLY: return s->family == NET_INET6;
    case NET_MULTICAST_IF: case NET_JOIN: case NET_LEAVE: case NET_DEVICE: return false;
    default: return o < NET_DEVICE;
    }
}

int option_set(struct net_sock *net, enum net_opt o, const void *value, size_t n)
{
    struct lwip_sock *s = sock_of(net);
    int32_t v;

    stack_enter();
    if (o == NET_LINGER) {
        memcpy(s->linger, value, sizeof s->linger);
        return 0;
    }
    if (!known(s, o))
        return -ENOPROTOOPT;
    memcpy(&v, value, sizeof v);
    if (!in_range(o, v))
        return -EINVAL;
    /* A buffer has room for something. */
    if ((o == NET_SNDBUF || o == NET_RCVBUF) && v < 4096)
        v = 4096;
    s->option[o] = v;
    if (s->type == NET_STREAM)
        stream_set_option(s, o);
    else
        datagram_set_option(s, o);
    return 0;
}

int option_get(struct net_sock *net, enum net_opt o, void *value, size_t *n)
{
    struct lwip_sock *s = sock_of(net);

    if (o == NET_LINGER) {
        memcpy(value, s->linger, sizeof s->linger);
        *n = sizeof s->linger;
        return 0;
    }
    if (!known(s, o))
        return -ENOPROTOOPT;
    memcpy(value, &s->option[o], sizeof s->option[o]);
    *n = sizeof s->option[o];
    return 0;
}

/* Those of TCP's that programs set by number. */
static u32_t *keep_field(struct lwip_sock *s, int opt)
{
    struct tcp_pcb *pcb = s->state == SOCK_LISTENING ? NULL : s->tcp;

    if (!pcb)
        return NULL;
    switch (opt) {
    case RAW_KEEPIDLE: return &pcb->keep_idle;
    case RAW_KEEPINTVL: return &pcb->keep_intvl;
    case RAW_KEEPCNT: return &pcb->keep_cnt;
    }
    return NULL;
}

int option_set_raw(struct net_sock *net, int level, int opt, const void *value, size_t n)
{
    int32_t v;
    u32_t *field;

    stack_enter();
    if (level != LEVEL_TCP || sock_of(net)->type != NET_STREAM)
        return -ENOPROTOOPT;
    if (n < sizeof v)
        return -EINVAL;
    memcpy(&v, value, sizeof v);
    if (opt == RAW_NODELAY)
        return option_set(net, NET_NODELAY, &v, sizeof v);
    field = keep_field(sock_of(net), opt);
    if (!field)
        return -ENOPROTOOPT;
    if (v < 1 || v > 32767)
        return -EINVAL;
    *field = (u32_t)v * (opt == RAW_KEEPCNT ? 1u : 1000u);
    return 0;
}

int option_get_raw(struct net_sock *net, int level, int opt, void *value, size_t *n)
{
    int32_t v;
    u32_t *field;

    if (level != LEVEL_TCP || sock_of(net)->type != NET_STREAM)
        return -ENOPROTOOPT;
    if (*n < sizeof v)
        return -EINVAL;
    if (opt == RAW_NODELAY)
        return option_get(net, NET_NODELAY, value, n);
    field = keep_field(sock_of(net), opt);
    if (!field)
        return -ENOPROTOOPT;
    v = (int32_t)(*field / (opt == RAW_KEEPCNT ? 1u : 1000u));
    memcpy(value, &v, sizeof v);
    *n = sizeof v;
    return 0;
}
