/*
 * datagram.c - UDP. Datagrams wait in a queue of limited size; what comes when
 * it is full is dropped.
 */
#include <errno.h>
#include <string.h>

#include "lwip/ip.h"
#include "lwip/udp.h"
#include "net/lwip/sock.h"
#include "vm/vm.h"

static void on_recv(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                    u16_t port)
{
    struct lwip_sock *s = arg;
    size_t cost = sizeof(struct datagram) + p->tot_len;
    struct datagram *d = NULL;

    /* As Linux counts: twice what was asked for, and one that is too large fits. */
    if (s->queued_bytes < 2 * (size_t)s->option[NET_RCVBUF])
        d = vm_try_alloc(ALLOC_SYSTEM, cost);
    if (d) {
        d->next = NULL;
        d->n = p->tot_len;
        pbuf_copy_partial(p, d->bytes, p->tot_len, 0);
        addr_from_ip(s->family, from, port, &d->from);
        d->anc.has = 0;
        if (ip_current_is_v6()) {
            d->anc.has = 1u << NET_ANC_TCLASS;
            d->anc.v[NET_ANC_TCLASS] = IP6H_TC(ip6_current_header());
        } else {
            d->anc.has = 1u << NET_ANC_TOS | 1u << NET_ANC_TTL;
            d->anc.v[NET_ANC_TOS] = IPH_TOS(ip4_current_header());
            d->anc.v[NET_ANC_TTL] = IPH_TTL(ip4_current_header());
        }
        *s->last = d;
        s->last = &d->next;
        s->queued_bytes += cost;
        sock_touch(s);
    }
    pbuf_free(p);
}

int datagram_open(struct lwip_sock *s)
{
    s->udp = udp_new_ip_type(s->family == NET_INET ? IPADDR_TYPE_V4 : IPADDR_TYPE_ANY);
    if (!s->udp)
        return -ENOMEM;
    udp_recv(s->udp, on_recv, s);
    return 0;
}

static void drop_first(struct lwip_sock *s)
{
    struct datagram *d = s->first;

    s->first = d->next;
    if (!s->first)
        s->last = &s->first;
    s->queued_bytes -= sizeof *d + d->n;
    vm_free(d);
}

void datagram_close(struct lwip_sock *s)
{
    udp_remove(s->udp);
    while (s->first)
        drop_first(s);
}

unsigned datagram_ready(const struct lwip_sock *s)
{
    return (s->first || s->err ? NET_READ : 0u) | NET_WRITE;
}

static int take_port(struct lwip_sock *s, uint16_t port)
{
    ip_addr_t ip = s->udp->local_ip;

    return addr_error(udp_bind(s->udp, &ip, port));
}

int datagram_bind(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port)
{
    if (port)
        return addr_error(udp_bind(s->udp, ip, port));
    s->udp->local_ip = *ip;
    return addr_choose_port(s, take_port);
}

static int need_port(struct lwip_sock *s)
{
    int err = s->bound ? 0 : addr_choose_port(s, take_port);

    s->bound = err == 0;
    return err;
}

int datagram_connect(struct lwip_sock *s, const ip_addr_t *ip, uint16_t port)
{
    int err = need_port(s);

    if (err < 0)
        return err;
    if (port == 0)
        return -EINVAL;
    if (!ip_route(&s->udp->local_ip, ip))
        return -ENETUNREACH;
    err = addr_error(udp_connect(s->udp, ip, port));
    if (err == 0) {
        addr_from_ip(s->family, ip, port, &s->peer);
        s->state = SOCK_CONNECTED;
    }
    return err;
}

int datagram_disconnect(struct lwip_sock *s)
{
    udp_disconnect(s->udp);
    s->state = SOCK_IDLE;
    return 0;
}

int datagram_name(struct lwip_sock *s, bool local, struct net_addr *a)
{
    if (local)
        addr_from_ip(s->family, &s->udp->local_ip, s->udp->local_port, a);
    else if (s->state == SOCK_CONNECTED)
        *a = s->peer;
    else
        return -ENOTCONN;
    return 0;
}

/* Of what came with it, what was asked for. */
static void pick_ancillary(const struct lwip_sock *s, const struct datagram *d,
                           struct net_anc *anc)
{
    static const enum net_opt asked[NET_ANCS] = {
        [NET_ANC_TOS] = NET_RECVTOS, [NET_ANC_TCLASS] = NET_RECVTCLASS,
        [NET_ANC_TTL] = NET_RECVTTL,
    };

    *anc = d->anc;
    for (int i = 0; i < NET_ANCS; i++)
        if (!s->option[asked[i]])
            anc->has &= ~(1u << i);
}

int64_t datagram_recv(struct lwip_sock *s, void *buf, size_t n, struct net_addr *from,
                      struct net_anc *anc)
{
    struct datagram *d = s->first;

    if (s->err)
        return sock_take_error(s);
    if (!d)
        return -EAGAIN;
    if (n > d->n)
        n = d->n;
    memcpy(buf, d->bytes, n);
    if (from)
        *from = d->from;
    if (anc)
        pick_ancillary(s, d, anc);
    drop_first(s);
    return (int64_t)n;
}

int64_t datagram_send(struct lwip_sock *s, const void *buf, size_t n,
                      const struct net_addr *to, const struct net_anc *anc)
{
    struct udp_pcb *pcb = s->udp;
    u8_t tos = pcb->tos, ttl = pcb->ttl, multicast_ttl = pcb->mcast_ttl;
    struct pbuf *p;
    ip_addr_t ip;
    int err;

    if (s->err)
        return sock_take_error(s);
    if (!to && s->state != SOCK_CONNECTED)
        return -EDESTADDRREQ;
    if (to && to->port == 0)
        return -EINVAL;
    if (to) {
        err = addr_to_ip(s, to, &ip);
        if (err < 0)
            return err;
        addr_loopback_for_any(&ip);
    }
    if (n > DATAGRAM_MAX)
        return -EMSGSIZE;
    err = need_port(s);
    if (err < 0)
        return err;
    p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)n, PBUF_RAM);
    if (!p)
        return -ENOBUFS;
    if (n > 0)
        pbuf_take(p, buf, (u16_t)n);
    if (anc && anc->has & 1u << NET_ANC_TOS)
        pcb->tos = (u8_t)anc->v[NET_ANC_TOS];
    if (anc && anc->has & 1u << NET_ANC_TCLASS)
        pcb->tos = (u8_t)anc->v[NET_ANC_TCLASS];
    if (anc && anc->has & 1u << NET_ANC_TTL)
        pcb->ttl = pcb->mcast_ttl = (u8_t)anc->v[NET_ANC_TTL];
    err = to ? udp_sendto(pcb, p, &ip, to->port) : udp_send(pcb, p);
    pbuf_free(p);
    pcb->tos = tos;
    pcb->ttl = ttl;
    pcb->mcast_ttl = multicast_ttl;
    /* As for a full queue of a device: the datagram is lost, not the sender. */
    if (err == ERR_MEM || err == ERR_WOULDBLOCK)
        return (int64_t)n;
    if (err == ERR_VAL)
        return -EACCES;         /* a broadcast that was not allowed */
    err = addr_error(err);
    return err < 0 ? err : (int64_t)n;
}

void datagram_set_option(struct lwip_sock *s, enum net_opt o)
{
    int32_t v = s->option[o];
    struct udp_pcb *pcb = s->udp;

    switch (o) {
    case NET_REUSEADDR:
        set_pcb_flag(pcb, SOF_REUSEADDR, v);
        break;
    case NET_BROADCAST:
        set_pcb_flag(pcb, SOF_BROADCAST, v);
        break;
    case NET_TOS: case NET_TCLASS: pcb->tos = (u8_t)v; break;
    case NET_TTL: pcb->ttl = (u8_t)v; break;
    case NET_MULTICAST_TTL: udp_set_multicast_ttl(pcb, (u8_t)v); break;
    case NET_MULTICAST_LOOP:
        if (v)
            udp_set_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
        else
            udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
        break;
    default: break;
    }
}

void datagram_refused(const ip_addr_t *local, uint16_t port, const ip_addr_t *peer,
                      uint16_t peer_port)
{
    for (struct udp_pcb *u = udp_pcbs; u; u = u->next) {
        struct lwip_sock *s = u->recv_arg;

        if (u->recv != on_recv || u->local_port != port || !(u->flags & UDP_FLAGS_CONNECTED) ||
            u->remote_port != peer_port || !ip_addr_cmp(&u->remote_ip, peer) ||
            (!ip_addr_isany(&u->local_ip) && !ip_addr_cmp(&u->local_ip, local)))
            continue;
        s->err = ECONNREFUSED;
        sock_touch(s);
    }
}
