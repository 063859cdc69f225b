/*
 * inet_if.c - what sockets tell about interfaces: getiflist, ifget, getifaddrs.
 */
#include <errno.h>

#include "io/inet.h"
#include "io/io.h"

enum ifopt { IFOPT_ADDR = 1, IFOPT_BROADADDR, IFOPT_DSTADDR, IFOPT_MTU, IFOPT_NETMASK,
             IFOPT_FLAGS, IFOPT_HWADDR };

/* [Option, Family | Address]; nothing for an address that is not there. */
static void put_addr(struct inet_buf *b, enum ifopt opt, const struct net_addr *a)
{
    if (a->family == NET_UNSPEC)
        return;
    inet_buf_byte(b, opt);
    inet_buf_byte(b, a->family);
    inet_buf_put(b, a->ip, a->family == NET_INET ? 4 : 16);
}

static void put_hwaddr(struct inet_buf *b, const struct net_if *i)
{
    if (i->hwaddr_bytes == 0)
        return;
    inet_buf_byte(b, IFOPT_HWADDR);
    put16(inet_buf_room(b, 2), i->hwaddr_bytes);
    inet_buf_put(b, i->hwaddr, i->hwaddr_bytes);
}

static void put_flags(struct inet_buf *b, unsigned flags)
{
    inet_buf_byte(b, IFOPT_FLAGS);
    inet_buf_32(b, flags);
}

static void put_name(struct inet_buf *b, const struct net_if *i)
{
    inet_buf_put(b, i->name, strlen(i->name) + 1);
}

term inet_iflist(struct inet_request *r)
{
    struct inet_buf b = {0};
    struct net_if *list;
    size_t n;
    int err = net_ops.interfaces(&list, &n);

    if (err < 0)
        return inet_error(r, err);
    /* As SIOCGIFCONF: those with an IPv4 address. */
    for (size_t i = 0; i < n; i++)
        if (list[i].addr.family == NET_INET)
            put_name(&b, &list[i]);
    vm_free(list);
    return inet_ok_buf(r, &b);
}

term inet_ifaddrs(struct inet_request *r)
{
    struct inet_buf b = {0};
    struct net_if *list;
    size_t n;
    int err = net_ops.interfaces(&list, &n);

    if (err < 0)
        return inet_error(r, err);
    for (size_t i = 0; i < n; i++) {
        put_name(&b, &list[i]);
        put_flags(&b, list[i].flags);
        put_addr(&b, IFOPT_ADDR, &list[i].addr);
        put_addr(&b, IFOPT_NETMASK, &list[i].mask);
        put_addr(&b, IFOPT_DSTADDR, &list[i].peer);
        put_addr(&b, IFOPT_BROADADDR, &list[i].broadcast);
        put_hwaddr(&b, &list[i]);
        inet_buf_byte(&b, 0);
    }
    vm_free(list);
    return inet_ok_buf(r, &b);
}

/* Options of one interface, from all its elements. False: no such option. */
static bool get_option(struct inet_buf *b, enum ifopt opt, const struct net_if *list, size_t n,
                       const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const struct net_if *e = &list[i];
        bool ip4 = e->addr.family == NET_INET;

        if (strcmp(e->name, name) != 0)
            continue;
        switch (opt) {
        case IFOPT_ADDR:
            if (ip4) {
                put_addr(b, opt, &e->addr);
                return true;
            }
            break;
        case IFOPT_NETMASK:
            if (ip4) {
                put_addr(b, opt, &e->mask);
                return true;
            }
            break;
        case IFOPT_BROADADDR:
            if (ip4) {
                put_addr(b, opt, &e->broadcast);
                return true;
            }
            break;
        case IFOPT_DSTADDR:
            if (ip4) {
                put_addr(b, opt, e->peer.family ? &e->peer : &e->addr);
                return true;
            }
            break;
        case IFOPT_MTU:
            inet_buf_byte(b, opt);
            inet_buf_32(b, (uint32_t)e->mtu);
            return true;
        case IFOPT_FLAGS:
            put_flags(b, e->flags);
            return true;
        case IFOPT_HWADDR:
            if (e->hwaddr_bytes > 0) {
                put_hwaddr(b, e);
                return true;
            }
            break;
        default:
            return false;
        }
    }
    if (opt == IFOPT_FLAGS)
        put_flags(b, 0);
    return opt >= IFOPT_ADDR && opt <= IFOPT_HWADDR;
}

term inet_ifget(struct inet_request *r)
{
    struct inet_buf b = {0};
    struct net_if *list;
    char name[256];
    size_t n, len;
    int err;

    if (r->n < 1 || r->n < 1u + r->data[0])
        return inet_error(r, EINVAL);
    len = r->data[0];
    memcpy(name, r->data + 1, len);
    name[len] = 0;
    err = net_ops.interfaces(&list, &n);
    if (err < 0)
        return inet_error(r, err);
    for (size_t i = 1 + len; i < r->n; i++) {
        if (!get_option(&b, r->data[i], list, n, name)) {
            vm_free(list);
            inet_buf_free(&b);
            return inet_error(r, EINVAL);
        }
    }
    vm_free(list);
    return inet_ok_buf(r, &b);
}
