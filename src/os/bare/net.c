/*
 * net.c - the Ethernet port of an instance (net/link.h) on the rings of
 * abi/net.h, which lead to the switch, or to the shim and its network card.
 */
#include "net/link.h"

#include <string.h>

#include "os/bare/bare.h"
#include "os/os.h"

#define port ((struct net_port *)(GUEST_BASE + GUEST_NET))

/*
 * While there is something to do, the switch is woken so long after the first
 * frame that finds it asleep, for all that there is by then.
 */
#define KICK_NS 30000

static bool present, kick;
static uint64_t kick_since;             /* when it became true */
static uint32_t sent, taken;            /* our ends of the two rings */
static uint32_t told;                   /* `taken` at the latest call of the gate */

_Static_assert(LINK_FRAME_MAX == NET_FRAME_MAX, "the same frames");

bool link_config(struct link_config *c)
{
    const struct guest_net *n = &guest_info->net;

    /* The rings of each start are new. */
    present = guest_info->flags & GUEST_HAS_NET;
    kick = false;
    sent = taken = told = 0;
    if (!present)
        return false;
    memcpy(c->mac, n->mac, sizeof c->mac);
    memcpy(c->ip, n->ip, sizeof c->ip);
    memcpy(c->mask, n->mask, sizeof c->mask);
    memcpy(c->gateway, n->gateway, sizeof c->gateway);
    return true;
}

size_t link_rx(const uint8_t **frame)
{
    size_t bytes;

    if (!present)
        return 0;
    while (net_get_at(&port->to_guest, taken, frame, &bytes)) {
        if (bytes > 0)
            return bytes;
        net_got(&port->to_guest, &taken);
    }
    return 0;
}

void link_rx_done(void)
{
    net_got(&port->to_guest, &taken);
}

uint8_t *link_tx(void)
{
    return present ? net_put_at(&port->from_guest, sent) : NULL;
}

void link_tx_done(size_t bytes)
{
    if (net_put(&port->from_guest, &sent, bytes) && !kick) {
        kick = true;
        kick_since = os_mono_ns();
    }
}

unsigned bare_net_waits(uint64_t *mono_ns)
{
    unsigned what = 0;

    if (!present)
        return 0;
    if (*mono_ns > 0) {
        net_sleeps(&port->to_guest, true);
        if (net_any(&port->to_guest, taken))
            *mono_ns = 0;
        what = WAIT_NET;
    }
    /* The shim gives slots back to its card in the gate, however busy we are. */
    if ((kick && (*mono_ns > 0 || os_mono_ns() - kick_since >= KICK_NS)) ||
        taken - told >= NET_SLOTS / 2) {
        what |= WAIT_KICK;
        kick = false;
    }
    if (what & WAIT_KICK || *mono_ns > 0)
        told = taken;
    return what;
}

void bare_net_waited(void)
{
    if (present)
        net_sleeps(&port->to_guest, false);
}
