/*
 * link.h - the one Ethernet port of an instance, below the stack (net/lwip).
 * os/bare/net.c has the rings that lead to the switch. A frame is received and
 * sent in place: what *frame points to is the other side's until done.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_config {
    uint8_t mac[6];
    uint8_t ip[4], mask[4], gateway[4];
};

/* False: this start of the instance has no port. */
bool link_config(struct link_config *c);

/* Bytes of the next frame, 0: none; it is there until link_rx_done(). */
size_t link_rx(const uint8_t **frame);
void link_rx_done(void);

/* Room for a frame of up to LINK_FRAME_MAX bytes; NULL: none now. */
#define LINK_FRAME_MAX 1514
uint8_t *link_tx(void);
void link_tx_done(size_t bytes);

#endif
