/*
 * net.h - the Ethernet port of an instance: two rings of frames in memory that
 * the guest shares with the switch (under a foreign VMM with the shim, which
 * has a card behind it), part of no image, new for each start.
 *
 * Each ring has one producer and one consumer. `head` counts the frames ever
 * put, `tail` those ever taken; each side keeps its own count to itself and
 * believes nothing but the distance between the two. An index that is a lie
 * looks like an empty or a full ring: whoever tells it loses his own frames.
 * A length is read once, checked, and the frame copied before it is looked at.
 *
 * A consumer that goes to sleep says so and looks once more; a producer that
 * sees it wakes it: the guest by WAIT_KICK, the switch by an event that ends the
 * guest's wait (WAIT_NET).
 */
#ifndef ABI_NET_H
#define ABI_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_SLOTS       256u            /* of a ring; a power of two */
#define NET_FRAME_MAX   1514            /* without the checksum */
#define NET_BEFORE      12              /* room in front for a card's own header */

struct net_slot {
    uint32_t bytes;
    uint8_t before[NET_BEFORE];
    uint8_t frame[2032];
};

struct net_ring {
    _Alignas(64) uint32_t head;         /* the producer's */
    _Alignas(64) uint32_t tail;         /* the consumer's, */
    _Alignas(64) uint32_t sleeps;       /* this too */
    _Alignas(64) struct net_slot slot[NET_SLOTS];
};

struct net_port {
    struct net_ring to_guest, from_guest;
};

/* Where the next frame goes; NULL: no room. */
static inline uint8_t *net_put_at(struct net_ring *r, uint32_t head)
{
    uint32_t tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);

    return head - tail < NET_SLOTS ? r->slot[head % NET_SLOTS].frame : NULL;
}

/* It is there. True: the consumer is to be woken. */
static inline bool net_put(struct net_ring *r, uint32_t *head, size_t bytes)
{
    __atomic_store_n(&r->slot[*head % NET_SLOTS].bytes, (uint32_t)bytes, __ATOMIC_RELAXED);
    ++*head;
    __atomic_store_n(&r->head, *head, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&r->sleeps, __ATOMIC_RELAXED);
}

static inline bool net_any(struct net_ring *r, uint32_t tail)
{
    uint32_t there = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - tail;

    return there > 0 && there <= NET_SLOTS;
}

/* The next frame and its bytes; false: there is none. 0 bytes: not a frame. */
static inline bool net_get_at(struct net_ring *r, uint32_t tail, const uint8_t **frame,
                              size_t *bytes)
{
    const struct net_slot *s = &r->slot[tail % NET_SLOTS];

    if (!net_any(r, tail))
        return false;
    *bytes = __atomic_load_n(&s->bytes, __ATOMIC_RELAXED);
    if (*bytes > NET_FRAME_MAX)
        *bytes = 0;
    *frame = s->frame;
    return true;
}

/* It was copied. */
static inline void net_got(struct net_ring *r, uint32_t *tail)
{
    ++*tail;
    __atomic_store_n(&r->tail, *tail, __ATOMIC_RELEASE);
}

/* The consumer goes to sleep (then it must look once more), or is awake. */
static inline void net_sleeps(struct net_ring *r, bool sleeps)
{
    __atomic_store_n(&r->sleeps, sleeps, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
