/*
 * stack.c - lwIP in an instance: its interfaces, its timers, and when it runs.
 *
 * Begun when the first socket is opened, so that an instance without pays
 * nothing. Packets to ourselves are delivered in the operation that sent them,
 * as Linux does; frames are taken in os_wait(), between slices.
 */
#include "net/lwip/stack.h"

#include <string.h>

#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/icmp.h"
#include "lwip/init.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "lwip/udp.h"
#include "net/link.h"
#include "net/lwip/frame.h"
#include "net/lwip/hooks.h"
#include "net/lwip/sock.h"
#include "net/lwip/ticks.h"
#include "netif/ethernet.h"
#include "os/os.h"
#include "vm/md5.h"

#define FRAMES_MAX 64           /* a poll */
/* How long an end waits for a peer that takes nothing, and for all of them. */
#define END_IDLE_NS UINT64_C(3000000000)
#define END_NS      UINT64_C(30000000000)

static bool begun, has_link, ending;
static uint64_t generation;     /* of which secret and interface are */
static uint8_t isn_secret[16];
static struct netif eth;

u32_t sys_now(void)
{
    return (u32_t)(os_mono_ns() / 1000000);
}

uint32_t stack_random(void)
{
    uint32_t v;

    os_entropy(&v, sizeof v);
    return v;
}

_Noreturn void stack_broken(const char *why)
{
    os_abort(why);
}

/*
 * RFC 6528: the clock plus what only we can reckon. The clock's step is Linux's, not the
 * RFC's 4 us: over loopback the next connection between the same ports may come within a
 * few of these, and has to begin beyond the one before.
 */
#define ISN_TICK_NS 64

u32_t stack_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                u16_t remote_port)
{
    struct md5 m;
    uint8_t sum[16];
    struct net_addr a, b;
    uint32_t isn;

    addr_from_ip(NET_INET6, local_ip, local_port, &a);
    addr_from_ip(NET_INET6, remote_ip, remote_port, &b);
    md5_init(&m);
    md5_update(&m, isn_secret, sizeof isn_secret);
    md5_update(&m, a.ip, 16);
    md5_update(&m, b.ip, 16);
    md5_update(&m, &local_port, sizeof local_port);
    md5_update(&m, &remote_port, sizeof remote_port);
    md5_final(&m, sum);
    memcpy(&isn, sum, sizeof isn);
    return isn + (u32_t)(os_mono_ns() / ISN_TICK_NS);
}

/*
 * ICMP's "port unreachable" about a datagram of ours (RFC 1122, 4.1.3.3), which
 * lwIP passes on to nobody.
 */
int stack_sees_ip4(struct pbuf *p, struct netif *in)
{
    uint8_t b[60 + 8 + 60 + 8];
    u16_t n = pbuf_copy_partial(p, b, sizeof b, 0);
    unsigned head = (b[0] & 15u) * 4u, inner, udp;
    ip_addr_t from = IPADDR4_INIT(0), to = IPADDR4_INIT(0);

    if (n < 20 || b[0] >> 4 != 4 || b[9] != IP_PROTO_ICMP || head < 20 || n < head + 8u + 20u ||
        b[head] != ICMP_DUR || b[head + 1] != ICMP_DUR_PORT)
        return 0;
    inner = head + 8;
    udp = inner + (b[inner] & 15u) * 4u;
    if (b[inner + 9] != IP_PROTO_UDP || udp < inner + 20 || n < udp + 4)
        return 0;
    memcpy(&ip_2_ip4(&from)->addr, b + inner + 12, 4);
    memcpy(&ip_2_ip4(&to)->addr, b + inner + 16, 4);
    datagram_refused(&from, (uint16_t)(b[udp] << 8 | b[udp + 1]), &to,
                     (uint16_t)(b[udp + 2] << 8 | b[udp + 3]));
    return 0;
}

/* ---- the interface ---- */

static err_t eth_send(struct netif *n, struct pbuf *p)
{
    uint8_t *frame;

    if (p->tot_len > LINK_FRAME_MAX)
        return ERR_BUF;
    frame = link_tx();
    if (!frame)
        return ERR_MEM;         /* TCP sends it later: ticks_run() */
    pbuf_copy_partial(p, frame, p->tot_len, 0);
    link_tx_done(p->tot_len);
    ticks_frame();
    return ERR_OK;
}

static err_t eth_init(struct netif *n)
{
    n->name[0] = 'e';
    n->name[1] = 't';
    n->hwaddr_len = 6;
    n->mtu = 1500;
    n->output = etharp_output;
    n->output_ip6 = ethip6_output;
    n->linkoutput = eth_send;
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    return ERR_OK;
}

static void set_link(void)
{
    struct link_config c;
    ip4_addr_t ip, mask, gateway;

    if (has_link)
        netif_remove(&eth);
    has_link = link_config(&c);
    if (!has_link)
        return;
    memcpy(&ip.addr, c.ip, 4);
    memcpy(&mask.addr, c.mask, 4);
    memcpy(&gateway.addr, c.gateway, 4);
    memcpy(eth.hwaddr, c.mac, 6);
    netif_add(&eth, &ip, &mask, &gateway, NULL, eth_init, ethernet_input);
    memcpy(eth.hwaddr, c.mac, 6);
    netif_create_ip6_linklocal_address(&eth, 1);
    netif_ip6_addr_set_state(&eth, 0, IP6_ADDR_PREFERRED);
    netif_set_default(&eth);
    netif_set_link_up(&eth);
    netif_set_up(&eth);         /* tells the others who we are (ARP) */
}

/* ---- when it runs ---- */

/* A copy of an instance has another address, and must not be guessed from it. */
static void renew(void)
{
    if (generation == os_generation())
        return;
    generation = os_generation();
    os_entropy(isn_secret, sizeof isn_secret);
    set_link();
    ticks_touch();
}

void stack_enter(void)
{
    if (!begun) {
        begun = true;
        generation = UINT64_MAX;
        ticks_begin();
        lwip_init();
    }
    renew();
    ticks_touch();
}

void stack_loop(void)
{
    netif_poll_all();
}

/* ---- os_wait() ---- */

uint64_t stack_until(uint64_t mono_ns)
{
    uint64_t until;
    const uint8_t *frame;
    uint32_t ms;

    if (begun)
        stream_flush();
    if (!begun || mono_ns == 0)
        return mono_ns;
    if (generation != os_generation() || (!ending && sock_any_active()) || (has_link && link_rx(&frame)))
        return 0;
    ms = ticks_left_ms();
    if (ms == UINT32_MAX)
        return mono_ns;
    until = os_mono_ns() + (uint64_t)ms * 1000000;
    return until < mono_ns ? until : mono_ns;
}

static void take_frames(void)
{
    const uint8_t *frame;
    size_t n;

    for (int i = 0; i < FRAMES_MAX && (n = link_rx(&frame)) > 0; i++) {
        struct pbuf *p = frame_pbuf(frame, n);

        link_rx_done();
        ticks_frame();
        if (p && eth.input(p, &eth) != ERR_OK)
            pbuf_free(p);
    }
}

void stack_poll(void)
{
    if (!begun)
        return;
    renew();
    if (has_link)
        take_frames();
    stack_loop();
    ticks_run();
    if (!ending)
        sock_run_ready();
}

/* Bytes that no peer has acknowledged yet, ends included. */
static uint64_t outstanding(void)
{
    uint64_t n = 0;

    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if (p->unsent || p->unacked)
            n += (uint32_t)(p->snd_lbb - p->lastack);
    return n;
}

/* The owners' pointers to the pcbs dangle from here on: nobody uses them. */
void stack_end(void)
{
    uint64_t now = os_mono_ns(), end = now + END_NS, idle_end = now + END_IDLE_NS;
    uint64_t left, before = UINT64_MAX;

    if (!begun)
        return;
    stack_enter();
    ending = true;
    for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
        next = p->next;
        tcp_arg(p, NULL);
        tcp_recv(p, NULL);
        tcp_sent(p, NULL);
        tcp_err(p, NULL);
        if (tcp_close(p) != ERR_OK)
            tcp_abort(p);
    }
    while ((left = outstanding()) > 0 && now < end && now < idle_end) {
        if (left < before)
            idle_end = now + END_IDLE_NS;
        before = left;
        os_wait(idle_end < end ? idle_end : end);
        now = os_mono_ns();
    }
    while (tcp_active_pcbs)
        tcp_abort(tcp_active_pcbs);
    stack_loop();
    os_wait(0);
}
