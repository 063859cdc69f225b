/*
 * virtio_net.h - the network card that a foreign VMM has for us (virtio 1.1:
 * 4.2 the registers, 2.6 split queues, 5.1 the card), driven by the shim.
 *
 *   guest -- frame rings (abi/net.h) -- card_work() -- two queues -- device
 *
 * A descriptor of a queue is a slot of a ring: the device reads and writes frames
 * where the guest has them, and nothing is copied. The queues themselves lie
 * where the guest cannot reach.
 *
 * The device is a stranger: a descriptor it gives back must be one that it has,
 * and as long as can be. It may give them back in any order; slots change hands
 * in the order of the ring.
 */
#ifndef SHIM_VIRTIO_NET_H
#define SHIM_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/net.h"

struct virtq_desc {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};
struct virtq_avail {
    uint16_t flags, count, ring[NET_SLOTS];
};
struct virtq_used {
    uint16_t flags, count;
    struct {
        uint32_t id, bytes;
    } ring[NET_SLOTS];
};

/* One direction: slots are given to the device, and come back. */
struct card_queue {
    _Alignas(16) struct virtq_desc desc[NET_SLOTS];
    struct virtq_avail avail;
    _Alignas(4) struct virtq_used used;
    uint32_t size;              /* descriptors in use; a power of two */
    uint32_t given, back;       /* slots of the ring, ever; those between are out */
    uint16_t shown, seen;       /* our ends of avail and used */
    uint16_t state[NET_SLOTS];  /* by descriptor: where it is */
};

struct card {
    volatile uint32_t *regs;
    struct net_port *port;      /* at its physical address; the guest's, too */
    struct card_queue rx, tx;
};

/*
 * Set up the device behind these registers. What is in `c` is zero, or of a
 * device that was reset. False: it is not a card that can be driven.
 */
bool card_start(struct card *c, volatile uint32_t *regs, struct net_port *port);

/* It interrupts, once for what there is, until told that we know. */
void card_heard(struct card *c);

/*
 * Frames go both ways, as far as there are any and there is room. False: the
 * device broke its rules; it was switched off, and c is not to be used again.
 */
bool card_work(struct card *c);

#endif
