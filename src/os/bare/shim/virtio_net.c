/*
 * virtio_net.c - see virtio_net.h. No interrupt comes in between: it is called
 * with them off. On some hosts each instruction here takes 0.3 us, and a look
 * at a register 60: a turn that moves nothing looks at memory only.
 */
#include "os/bare/shim/virtio_net.h"

/* Registers, in words (4.2.2). */
enum {
    DEVICE_FEATURES = 0x10 / 4, DEVICE_FEATURES_SEL = 0x14 / 4,
    DRIVER_FEATURES = 0x20 / 4, DRIVER_FEATURES_SEL = 0x24 / 4,
    QUEUE_SEL = 0x30 / 4, QUEUE_MAX = 0x34 / 4, QUEUE_SIZE = 0x38 / 4,
    QUEUE_READY = 0x44 / 4, QUEUE_NOTIFY = 0x50 / 4, INTERRUPT_ACK = 0x64 / 4,
    STATUS = 0x70 / 4, QUEUE_DESC = 0x80 / 4, QUEUE_AVAIL = 0x90 / 4, QUEUE_USED = 0xa0 / 4,
};

#define STATUS_KNOWN    1
#define STATUS_DRIVER   2
#define STATUS_GOES     4
#define STATUS_FEATURES 8
#define FEATURE_1_0     1u              /* of the second word */

#define DESC_WRITE      2
#define NO_INTERRUPT    1               /* avail.flags */
#define NO_NOTIFY       1               /* used.flags */

enum { RX, TX };
enum { SLOT_OURS, SLOT_OUT, SLOT_BACK };        /* state[]; SLOT_BACK + its bytes */

_Static_assert(NET_BEFORE == 12, "struct virtio_net_hdr of version 1 (5.1.6)");
_Static_assert(offsetof(struct net_slot, before) + NET_BEFORE ==
               offsetof(struct net_slot, frame), "the header is in front of the frame");

/* ---- the queues ---- */

static void queue_give(struct card_queue *q, struct net_slot *slot, uint32_t bytes,
                       uint16_t flags)
{
    uint32_t i = q->given++ & (q->size - 1);

    q->desc[i].address = (uint64_t)slot->before;
    q->desc[i].bytes = bytes;
    q->desc[i].flags = flags;
    q->state[i] = SLOT_OUT;
    q->avail.ring[q->shown++ & (q->size - 1)] = (uint16_t)i;
}

/* What was given is to be seen; true: the device wants to be told. */
static bool queue_show(struct card_queue *q)
{
    if (q->avail.count == q->shown)
        return false;
    __atomic_store_n(&q->avail.count, q->shown, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !(__atomic_load_n(&q->used.flags, __ATOMIC_RELAXED) & NO_NOTIFY);
}

/* What came back is in state[]. False: the device lies. */
static bool queue_take(struct card_queue *q, uint32_t least, uint32_t most)
{
    uint16_t count = __atomic_load_n(&q->used.count, __ATOMIC_ACQUIRE);

    /* A count that is too large ends where nothing is out any more. */
    for (; q->seen != count; q->seen++) {
        uint32_t at = q->seen & (q->size - 1);
        uint32_t id = __atomic_load_n(&q->used.ring[at].id, __ATOMIC_RELAXED);
        uint32_t bytes = __atomic_load_n(&q->used.ring[at].bytes, __ATOMIC_RELAXED);

        if (id >= q->size || q->state[id] != SLOT_OUT || bytes < least || bytes > most)
            return false;
        q->state[id] = (uint16_t)(bytes + SLOT_BACK);
    }
    return true;
}

/* Whether the oldest slot that was out is back, and with how many bytes. */
static bool queue_back(struct card_queue *q, uint32_t *bytes)
{
    uint32_t i = q->back & (q->size - 1);

    if (q->state[i] < SLOT_BACK)
        return false;
    *bytes = q->state[i] - SLOT_BACK;
    q->state[i] = SLOT_OURS;
    return true;
}

static bool queue_start(struct card_queue *q, volatile uint32_t *regs, uint32_t which)
{
    uint32_t max;

    regs[QUEUE_SEL] = which;
    max = regs[QUEUE_MAX];
    if (max == 0)
        return false;
    for (q->size = NET_SLOTS; q->size > max;)
        q->size /= 2;
    regs[QUEUE_SIZE] = q->size;
    regs[QUEUE_DESC] = (uint32_t)(uint64_t)q->desc;
    regs[QUEUE_DESC + 1] = (uint32_t)((uint64_t)q->desc >> 32);
    regs[QUEUE_AVAIL] = (uint32_t)(uint64_t)&q->avail;
    regs[QUEUE_AVAIL + 1] = (uint32_t)((uint64_t)&q->avail >> 32);
    regs[QUEUE_USED] = (uint32_t)(uint64_t)&q->used;
    regs[QUEUE_USED + 1] = (uint32_t)((uint64_t)&q->used >> 32);
    regs[QUEUE_READY] = 1;
    return true;
}

/* ---- the card ---- */

/*
 * The guest says by `tail` what it has taken; if it lies it loses frames. What
 * is out it cannot get at: that is reckoned by our own counts.
 */
static bool receive(struct card *c)
{
    struct net_ring *r = &c->port->to_guest;
    struct card_queue *q = &c->rx;
    uint32_t bytes, tail;

    if (!queue_take(q, NET_BEFORE, NET_BEFORE + NET_FRAME_MAX))
        return false;
    while (queue_back(q, &bytes))
        net_put(r, &q->back, bytes - NET_BEFORE);
    tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
    while (q->given - q->back < q->size && q->given - tail < NET_SLOTS)
        queue_give(q, &r->slot[q->given % NET_SLOTS], NET_BEFORE + NET_FRAME_MAX, DESC_WRITE);
    if (queue_show(q))
        c->regs[QUEUE_NOTIFY] = RX;
    return true;
}

static bool transmit(struct card *c)
{
    struct net_ring *r = &c->port->from_guest;
    struct card_queue *q = &c->tx;
    const uint8_t *frame;
    uint32_t written;
    size_t bytes;

    /* It writes nothing, but some devices say they did. */
    if (!queue_take(q, 0, NET_BEFORE + NET_FRAME_MAX))
        return false;
    while (queue_back(q, &written))
        net_got(r, &q->back);
    while (q->given - q->back < q->size && net_get_at(r, q->given, &frame, &bytes)) {
        struct net_slot *slot = &r->slot[q->given % NET_SLOTS];

        for (int i = 0; i < NET_BEFORE; i++)
            slot->before[i] = 0;
        if (bytes > 0)
            queue_give(q, slot, NET_BEFORE + (uint32_t)bytes, 0);
        else                    /* no frame: it comes back without the device */
            q->state[q->given++ & (q->size - 1)] = SLOT_BACK;
    }
    if (queue_show(q))
        c->regs[QUEUE_NOTIFY] = TX;
    return true;
}

bool card_work(struct card *c)
{
    if (receive(c) && transmit(c))
        return true;
    c->regs[STATUS] = 0;
    return false;
}

void card_heard(struct card *c)
{
    c->regs[INTERRUPT_ACK] = 3;
}

bool card_start(struct card *c, volatile uint32_t *regs, struct net_port *port)
{
    c->regs = regs;
    c->port = port;
    regs[STATUS] = 0;
    regs[STATUS] = STATUS_KNOWN;
    regs[STATUS] = STATUS_KNOWN | STATUS_DRIVER;
    /* Of all it offers, that it is no older than version 1. */
    regs[DEVICE_FEATURES_SEL] = 1;
    if (!(regs[DEVICE_FEATURES] & FEATURE_1_0))
        return false;
    regs[DRIVER_FEATURES_SEL] = 0;
    regs[DRIVER_FEATURES] = 0;
    regs[DRIVER_FEATURES_SEL] = 1;
    regs[DRIVER_FEATURES] = FEATURE_1_0;
    regs[STATUS] = STATUS_KNOWN | STATUS_DRIVER | STATUS_FEATURES;
    if (!(regs[STATUS] & STATUS_FEATURES))
        return false;
    if (!queue_start(&c->rx, regs, RX) || !queue_start(&c->tx, regs, TX))
        return false;
    /* What was sent is looked for when there is something else to do. */
    c->tx.avail.flags = NO_INTERRUPT;
    net_sleeps(&port->from_guest, true);
    regs[STATUS] = STATUS_KNOWN | STATUS_DRIVER | STATUS_FEATURES | STATUS_GOES;
    return card_work(c);
}
