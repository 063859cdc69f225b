/*
 * ticks.c - see ticks.h.
 */
#include "net/lwip/ticks.h"

#include <stdbool.h>

#include "lwip/etharp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/nd6.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"

#define QUIET_MS 5000
#define SLOW_MS 1000
#define AWAKE_MS 10000

static bool quiet;
static u32_t tick_ms, slow_ms, frame_ms;

void ticks_begin(void)
{
    tick_ms = slow_ms = sys_now();
    frame_ms = tick_ms - AWAKE_MS;
}

/* Whether a connection waits for anything that time brings. */
static bool any_busy(void)
{
    for (struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if ((p->state != ESTABLISHED && p->state != CLOSE_WAIT) || p->unsent || p->unacked ||
            p->ooseq || p->refused_data || p->persist_backoff ||
            p->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND | TF_NAGLEMEMERR | TF_FIN))
            return true;
    return false;
}

void ticks_run(void)
{
    u32_t now = sys_now();

    if (!tcp_active_pcbs && !tcp_tw_pcbs) {
        tick_ms = now;
    } else if (now - tick_ms >= TCP_TMR_INTERVAL) {
        for (; now - tick_ms >= TCP_TMR_INTERVAL; tick_ms += TCP_TMR_INTERVAL)
            tcp_tmr();
        quiet = !any_busy();
    }
    if (now - slow_ms >= SLOW_MS) {
        slow_ms = now;
        ip_reass_tmr();
        ip6_reass_tmr();
        etharp_tmr();
        nd6_tmr();
    }
    tcp_txnow();                /* what did not fit into the ring before */
}

void ticks_frame(void)
{
    frame_ms = sys_now();
    ticks_touch();
}

/*
 * Also when there is no connection: the time without one would be counted
 * against the next.
 */
void ticks_touch(void)
{
    if (quiet || (!tcp_active_pcbs && !tcp_tw_pcbs))
        ticks_run();
    quiet = false;
}

uint32_t ticks_left_ms(void)
{
    u32_t now = sys_now(), left = UINT32_MAX;

    if (tcp_active_pcbs || tcp_tw_pcbs) {
        u32_t every = quiet ? QUIET_MS : TCP_TMR_INTERVAL, passed = now - tick_ms;

        left = passed < every ? every - passed : 0;
    }
    if (now - frame_ms < AWAKE_MS) {
        u32_t passed = now - slow_ms, slow = passed < SLOW_MS ? SLOW_MS - passed : 0;

        left = slow < left ? slow : left;
    }
    return left;
}
