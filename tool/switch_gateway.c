/*
 * switch_gateway.c - the gateway: an end of the network that is the switch's
 * own. lwIP speaks here for the host: names, and connections to published ports.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/sys.h"
#include "lwip/tcp.h"
#include "net/lwip/frame.h"
#include "net/lwip/hooks.h"
#include "net/lwip/ticks.h"
#include "netif/ethernet.h"
#include "switch.h"

const uint8_t gateway_mac[6] = {0x02, 0x4b, 0x69, 0x6e, 0, 1};
const uint8_t gateway_ip[4] = {10, 78, 0, 1};
const uint8_t gateway_mask[4] = {255, 255, 0, 0};

static struct netif gateway;

u32_t sys_now(void)
{
    return (u32_t)(now_ns() / 1000000);
}

uint32_t stack_random(void)
{
    uint32_t v;

    if (getrandom(&v, sizeof v, 0) != sizeof v)
        fail(EXIT_TOOL, "the switch has no entropy");
    return v;
}

_Noreturn void stack_broken(const char *why)
{
    fail(EXIT_TOOL, "the switch ends: %s", why);
}

/*
 * They go on with the clock, 4 us a step, so that a new connection begins beyond
 * an older one; from where nobody knows. No instance sees those of another, or
 * can speak as another: that is enough here.
 */
u32_t stack_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                u16_t remote_port)
{
    static u32_t begin;

    if (!begin)
        begin = stack_random();
    return begin + (u32_t)(now_ns() / 4000);
}

int stack_sees_ip4(struct pbuf *p, struct netif *in)
{
    return 0;
}

static err_t send_frame(struct netif *n, struct pbuf *p)
{
    uint8_t frame[NET_FRAME_MAX];

    if (p->tot_len > sizeof frame)
        return ERR_BUF;
    pbuf_copy_partial(p, frame, p->tot_len, 0);
    ticks_frame();
    return port_send(frame, p->tot_len) ? ERR_OK : ERR_MEM;
}

/* Whose an address is, it says itself: there is nothing to ask for (ARP). */
static err_t send_ip(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
    struct eth_addr mac;

    memcpy(mac.addr, gateway_mac, 4);
    memcpy(mac.addr + 4, (const uint8_t *)&to->addr + 2, 2);
    return ethernet_output(n, p, (const struct eth_addr *)n->hwaddr, &mac, ETHTYPE_IP);
}

static err_t init(struct netif *n)
{
    n->name[0] = 'g';
    n->name[1] = 'w';
    n->hwaddr_len = 6;
    n->mtu = 1500;
    n->output = send_ip;
    n->linkoutput = send_frame;
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    memcpy(n->hwaddr, gateway_mac, 6);
    return ERR_OK;
}

void gateway_start(void)
{
    ip4_addr_t ip, mask;

    memcpy(&ip.addr, gateway_ip, 4);
    memcpy(&mask.addr, gateway_mask, 4);
    lwip_init();
    ticks_begin();
    netif_add(&gateway, &ip, &mask, IP4_ADDR_ANY4, NULL, init, ethernet_input);
    netif_set_default(&gateway);
    netif_set_link_up(&gateway);
    netif_set_up(&gateway);
}

void gateway_frame(const uint8_t *frame, size_t n)
{
    struct pbuf *p = frame_pbuf(frame, n);

    if (!p)
        return;
    ticks_frame();
    if (gateway.input(p, &gateway) != ERR_OK)
        pbuf_free(p);
}

void gateway_work(void)
{
    netif_poll_all();
    ticks_run();
}

int gateway_wait_ms(void)
{
    uint32_t ms = ticks_left_ms();

    return ms == UINT32_MAX ? -1 : (int)ms;
}
