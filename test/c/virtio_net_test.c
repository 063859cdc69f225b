/*
 * virtio_net_test.c - the shim's driver of a network card, between guests and
 * devices that are honest, slow, or lie. Registers are memory here.
 */
#include "t.h"

#include <stdlib.h>
#include <string.h>

#include "os/bare/shim/virtio_net.c"

#define DEVICE_QUEUE_MAX 256

static struct machine {
    struct card card;
    struct net_port port;
    uint32_t regs[64];
    uint16_t seen[2];                   /* what the device took of avail */
    uint16_t out[2][NET_SLOTS], outs[2];        /* what it has */
    uint32_t sent, taken;               /* the guest's ends */
} m;

static struct card_queue *queue(int which)
{
    return which == RX ? &m.card.rx : &m.card.tx;
}

static void machine_start(uint32_t queue_max)
{
    memset(&m, 0, sizeof m);
    m.regs[QUEUE_MAX] = queue_max;
    m.regs[DEVICE_FEATURES] = FEATURE_1_0;
    assert_true(card_start(&m.card, m.regs, &m.port));
    assert_int_equal(m.regs[STATUS], 15);
}

/* The device looks at what it was given; each descriptor is a slot, given once. */
static void device_looks(int which)
{
    struct card_queue *q = queue(which);
    struct net_ring *r = which == RX ? &m.port.to_guest : &m.port.from_guest;

    for (; m.seen[which] != q->avail.count; m.seen[which]++) {
        uint16_t id = q->avail.ring[m.seen[which] % q->size];
        uint64_t slot = (q->desc[id].address - 4 - (uint64_t)r->slot) / 2048;

        assert_true(id < q->size && m.outs[which] < q->size);
        for (int i = 0; i < m.outs[which]; i++)
            assert_int_not_equal(m.out[which][i], id);
        assert_true(slot < NET_SLOTS);
        assert_ptr_equal(q->desc[id].address, r->slot[slot].before);
        assert_true(q->desc[id].bytes > NET_BEFORE &&
                    q->desc[id].bytes <= NET_BEFORE + NET_FRAME_MAX);
        assert_int_equal(q->desc[id].flags, which == RX ? DESC_WRITE : 0);
        m.out[which][m.outs[which]++] = id;
    }
}

static void device_says(int which, uint32_t id, uint32_t bytes)
{
    struct card_queue *q = queue(which);

    q->used.ring[q->used.count % q->size].id = id;
    q->used.ring[q->used.count % q->size].bytes = bytes;
    q->used.count++;
}

/* One of those it has, in whatever order. */
static uint16_t device_picks(struct rng *r, int which)
{
    size_t at = rng_below(r, m.outs[which]);
    uint16_t id = m.out[which][at];

    m.out[which][at] = m.out[which][--m.outs[which]];
    return id;
}

/* A frame has its number in front; its length follows from that. */
static size_t frame_bytes(uint32_t number)
{
    return 14 + number * 7919 % (NET_FRAME_MAX - 13);
}

/*
 * Numbered frames both ways through a device that gives back in any order. What
 * it received is in the order in which it was given room; sent is what was sent.
 */
static void frames(uint32_t queue_max)
{
    struct rng r = {queue_max + 1};
    static uint32_t of_slot[NET_SLOTS];
    uint32_t received = 0, got = 0, left = 0, sent = 0;
    const uint8_t *at;
    uint8_t *to;
    size_t n;

    machine_start(queue_max);
    for (int step = 0; step < 200000; step++) {
        switch (rng_below(&r, 5)) {
        case 0:                         /* the guest sends */
            to = net_put_at(&m.port.from_guest, m.sent);
            if (!to)
                break;
            memcpy(to, &sent, 4);
            net_put(&m.port.from_guest, &m.sent, frame_bytes(sent));
            sent++;
            break;
        case 1:                         /* and takes */
            if (!net_get_at(&m.port.to_guest, m.taken, &at, &n))
                break;
            assert_int_equal(of_slot[got % NET_SLOTS], *(const uint32_t *)at);
            assert_int_equal(n, frame_bytes(*(const uint32_t *)at));
            net_got(&m.port.to_guest, &m.taken);
            got++;
            break;
        case 2:
            device_looks(TX);
            if (m.outs[TX] > 0) {
                uint16_t id = device_picks(&r, TX);
                const struct virtq_desc *d = &m.card.tx.desc[id];
                uint32_t number = *(uint32_t *)(d->address + NET_BEFORE);

                assert_int_equal(d->bytes - NET_BEFORE, frame_bytes(number));
                assert_true(number < sent && sent - number <= NET_SLOTS);
                for (int i = 0; i < NET_BEFORE; i++)
                    assert_int_equal(((uint8_t *)d->address)[i], 0);
                device_says(TX, id, 0);
                left++;
            }
            break;
        case 3:
            device_looks(RX);
            if (m.outs[RX] > 0) {
                uint16_t id = device_picks(&r, RX);
                uint64_t a = m.card.rx.desc[id].address;

                of_slot[(a - 4 - (uint64_t)m.port.to_guest.slot) / 2048] = received;
                memcpy((uint8_t *)a + NET_BEFORE, &received, 4);
                device_says(RX, id, NET_BEFORE + (uint32_t)frame_bytes(received));
                received++;
            }
            break;
        case 4:
            assert_true(card_work(&m.card));
            break;
        }
    }
    assert_true(got > 10000 && left > 10000);
}

static void honest(void **state)
{
    for (uint32_t max = 1; max <= 1024; max *= 4)
        frames(max);
}

/* Indexes and lengths of the rings at random: the device is given only slots. */
static void guest_lies(void **state)
{
    struct rng r = {7};

    machine_start(DEVICE_QUEUE_MAX);
    for (int step = 0; step < 100000; step++) {
        struct net_ring *ring = rng_below(&r, 2) ? &m.port.to_guest : &m.port.from_guest;

        switch (rng_below(&r, 7)) {
        case 0: ring->head = (uint32_t)rng_next(&r); break;
        case 1: ring->tail = (uint32_t)rng_next(&r); break;
        case 2: ring->head += (uint32_t)rng_below(&r, 300); break;
        case 3: ring->tail += (uint32_t)rng_below(&r, 300); break;
        case 4: ring->slot[rng_below(&r, NET_SLOTS)].bytes = (uint32_t)rng_below(&r, 3000); break;
        case 5: ring->head = m.card.tx.given + (uint32_t)rng_below(&r, 256); break;
        case 6: ring->tail = m.card.rx.back; break;
        }
        assert_true(card_work(&m.card));
        for (int which = RX; which <= TX; which++) {
            device_looks(which);
            if (m.outs[which] > 0 && rng_below(&r, 2))
                device_says(which, device_picks(&r, which), NET_BEFORE);
        }
    }
    assert_true(m.card.tx.given > 1000 && m.card.rx.given > 1000);
}

static void lie(int which, uint32_t id, uint32_t bytes)
{
    machine_start(DEVICE_QUEUE_MAX / 2);
    device_says(which, id, bytes);
    assert_false(card_work(&m.card));
    assert_int_equal(m.regs[STATUS], 0);
    assert_int_equal(m.port.to_guest.head, 0);
}

static void device_lies(void **state)
{
    lie(RX, DEVICE_QUEUE_MAX / 2, 100);         /* no such descriptor */
    lie(RX, UINT32_MAX, 100);
    lie(RX, 0, NET_BEFORE - 1);                 /* it does not fit */
    lie(RX, 0, NET_BEFORE + NET_FRAME_MAX + 1);
    lie(RX, 0, UINT32_MAX);
    lie(TX, 0, 0);                              /* it was not given that */
    machine_start(DEVICE_QUEUE_MAX);
    device_says(RX, 3, 100);                    /* it had, once */
    device_says(RX, 3, 100);
    assert_false(card_work(&m.card));
    machine_start(DEVICE_QUEUE_MAX);
    m.card.rx.used.count = 60000;               /* more than it has */
    assert_false(card_work(&m.card));
}

static void start(uint32_t features, uint32_t queue_max)
{
    memset(&m, 0, sizeof m);
    m.regs[QUEUE_MAX] = queue_max;
    m.regs[DEVICE_FEATURES] = features;
    assert_false(card_start(&m.card, m.regs, &m.port));
}

static void no_card(void **state)
{
    start(0, DEVICE_QUEUE_MAX);
    start(FEATURE_1_0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_card),
        cmocka_unit_test(honest),
        cmocka_unit_test(guest_lies),
        cmocka_unit_test(device_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
