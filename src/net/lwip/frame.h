/*
 * frame.h - a frame that came, as a pbuf of lwIP's; NULL without memory.
 *
 * lwIP reads headers before it looks at lengths, and relies on that Ethernet
 * has no frame shorter than 60 bytes. Ours may: what is missing is zero.
 */
#ifndef NET_LWIP_FRAME_H
#define NET_LWIP_FRAME_H

#include <string.h>

#include "lwip/pbuf.h"

#define FRAME_MIN 60

static inline struct pbuf *frame_pbuf(const uint8_t *frame, size_t n)
{
    size_t bytes = n < FRAME_MIN ? FRAME_MIN : n;
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)bytes, PBUF_RAM);

    if (p) {
        memcpy(p->payload, frame, n);
        memset((uint8_t *)p->payload + n, 0, bytes - n);
    }
    return p;
}

#endif
