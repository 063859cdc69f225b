/*
 * addr.c - addresses: net_addr to lwIP's and back, what is ours, interfaces.
 */
#include <errno.h>
#include <string.h>

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "net/lwip/sock.h"
#include "os/os.h"
#include "vm/vm.h"

#define PORT_FIRST 32768        /* ephemeral ones, as Linux has them */
#define PORTS 28232
#define PORT_TRIES 64

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

int addr_to_ip(const struct lwip_sock *s, const struct net_addr *a, ip_addr_t *ip)
{
    if (a->family == NET_INET && s->family == NET_INET) {
        ip_addr_set_zero_ip4(ip);
        memcpy(&ip_2_ip4(ip)->addr, a->ip, 4);
        return 0;
    }
    if (a->family != NET_INET6 || s->family != NET_INET6)
        return -EAFNOSUPPORT;
    if (memcmp(a->ip, mapped, sizeof mapped) == 0) {
        ip_addr_set_zero_ip4(ip);
        memcpy(&ip_2_ip4(ip)->addr, a->ip + 12, 4);
        return 0;
    }
    ip_addr_set_zero_ip6(ip);
    memcpy(ip_2_ip6(ip)->addr, a->ip, 16);
    if (!ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN))
        return 0;
    /* Only one link is there that such an address can be of. */
    if (a->scope && a->scope < 256)
        ip6_addr_set_zone(ip_2_ip6(ip), (u8_t)a->scope);
    else if (netif_default)
        ip6_addr_assign_zone(ip_2_ip6(ip), IP6_UNKNOWN, netif_default);
    return 0;
}

void addr_from_ip(enum net_family family, const ip_addr_t *ip, uint16_t port,
                  struct net_addr *a)
{
    memset(a, 0, sizeof *a);
    a->family = (uint8_t)family;
    a->port = port;
    if (family == NET_INET) {
        memcpy(a->ip, &ip_2_ip4(ip)->addr, 4);
    } else if (IP_IS_V4_VAL(*ip)) {
        memcpy(a->ip, mapped, sizeof mapped);
        memcpy(a->ip + 12, &ip_2_ip4(ip)->addr, 4);
    } else {
        memcpy(a->ip, ip_2_ip6(ip)->addr, 16);
        a->scope = ip6_addr_zone(ip_2_ip6(ip));
    }
}

bool addr_is_ours(const ip_addr_t *ip)
{
    struct netif *n;

    if (ip_addr_isany(ip))
        return true;
    NETIF_FOREACH(n) {
        if (IP_IS_V4(ip) ? ip4_addr_cmp(ip_2_ip4(ip), netif_ip4_addr(n))
                         : netif_get_ip6_addr_match(n, ip_2_ip6(ip)) >= 0)
            return true;
    }
    return false;
}

void addr_loopback_for_any(ip_addr_t *ip)
{
    if (!ip_addr_isany(ip))
        return;
    if (IP_IS_V4(ip))
        ip_addr_set_loopback(0, ip);
    else
        ip_addr_set_loopback(1, ip);
}

int addr_choose_port(struct lwip_sock *s, int (*take)(struct lwip_sock *s, uint16_t port))
{
    uint16_t chance;
    int err = -EADDRINUSE;

    for (int i = 0; i < PORT_TRIES && err == -EADDRINUSE; i++) {
        os_entropy(&chance, sizeof chance);
        err = take(s, (uint16_t)(PORT_FIRST + chance % PORTS));
    }
    /* Nearly all are taken: look at each. */
    for (unsigned i = 0; i < PORTS && err == -EADDRINUSE; i++)
        err = take(s, (uint16_t)(PORT_FIRST + (chance + i) % PORTS));
    return err;
}

int addr_error(int lwip_error)
{
    switch (lwip_error) {
    case ERR_OK: return 0;
    case ERR_MEM: return -ENOBUFS;
    case ERR_BUF: return -ENOBUFS;
    case ERR_TIMEOUT: return -ETIMEDOUT;
    case ERR_RTE: return -ENETUNREACH;
    case ERR_USE: return -EADDRINUSE;
    case ERR_ALREADY: return -EALREADY;
    case ERR_ISCONN: return -EISCONN;
    case ERR_CONN: return -ENOTCONN;
    case ERR_ABRT: return -ECONNABORTED;
    case ERR_RST: return -ECONNRESET;
    case ERR_CLSD: return -ENOTCONN;
    case ERR_VAL: case ERR_ARG: return -EINVAL;
    }
    return -EIO;
}

/* An element an address, as getifaddrs(3) has them. */
static struct net_if *next_if(struct net_if **list, size_t *n, struct netif *i)
{
    struct net_if *e;
    bool loopback = i->name[0] == 'l';

    *list = vm_realloc(*list, (*n + 1) * sizeof **list);
    e = &(*list)[(*n)++];
    memset(e, 0, sizeof *e);
    strcpy(e->name, loopback ? "lo" : "eth0");
    e->flags = NET_IFF_UP | NET_IFF_RUNNING |
               (loopback ? NET_IFF_LOOPBACK : NET_IFF_BROADCAST);
    e->mtu = i->mtu ? i->mtu : 65535;
    return e;
}

int addr_interfaces(struct net_if **list, size_t *n)
{
    struct netif *i;

    stack_enter();
    *list = NULL;
    *n = 0;
    NETIF_FOREACH(i) {
        struct net_if *e = next_if(list, n, i);
        ip_addr_t all;

        memcpy(e->hwaddr, i->hwaddr, 6);
        e->hwaddr_bytes = 6;
        addr_from_ip(NET_INET, &i->ip_addr, 0, &e->addr);
        addr_from_ip(NET_INET, &i->netmask, 0, &e->mask);
        if (e->flags & NET_IFF_BROADCAST) {
            ip_addr_set_ip4_u32(&all, ip4_addr_get_u32(netif_ip4_addr(i)) |
                                          ~ip4_addr_get_u32(netif_ip4_netmask(i)));
            addr_from_ip(NET_INET, &all, 0, &e->broadcast);
        }
        for (int k = 0; k < LWIP_IPV6_NUM_ADDRESSES; k++) {
            if (!ip6_addr_isvalid(netif_ip6_addr_state(i, k)))
                continue;
            e = next_if(list, n, i);
            addr_from_ip(NET_INET6, netif_ip_addr6(i, k), 0, &e->addr);
            e->mask.family = NET_INET6;
            memset(e->mask.ip, 0xff, e->flags & NET_IFF_LOOPBACK ? 16 : 8);
        }
    }
    return 0;
}
