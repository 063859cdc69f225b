/*
 * timer.c - a hierarchical timing wheel.
 *
 * Time is counted in ticks of 1 ms; a timer fires in the first tick that is
 * not before it. Level l of the wheel has a slot for each value of the l-th
 * byte of a tick's number. A timer is in the level of the highest byte in
 * which its tick differs from the current one, so each level only holds what
 * comes after the slot the current tick is in, and nothing wraps around. When
 * the time reaches a slot above level 0, its timers move down.
 */
#include "vm/timer.h"

#include "os/os.h"
#include "vm/clock.h"

enum { LEVELS = 8, SLOTS = 256, TICK_NS = 1000000 };

/* A slot is a ring of timers; its head looks like one. */
struct head {
    struct timer *next, **prev;
};
struct timer_table {
    uint64_t tick;              /* everything before it has fired */
    size_t n;
    struct head slot[LEVELS][SLOTS];
    uint64_t used[LEVELS][SLOTS / 64];  /* may be set though the ring is empty */
};

static inline struct timer *ring(struct head *h)
{
    return (struct timer *)h;
}
static inline bool ring_empty(struct head *h) { return h->next == ring(h); }

static void ring_init(struct head *h)
{
    h->next = ring(h);
    h->prev = &h->next;
}

void timer_init(void)
{
    struct timer_table *w = vm_zalloc(ALLOC_SYSTEM, sizeof *w);

    for (int l = 0; l < LEVELS; l++)
        for (int i = 0; i < SLOTS; i++)
            ring_init(&w->slot[l][i]);
    w->tick = os_mono_ns() / TICK_NS;
    vm.timers = w;
    clock_init();
}

static uint64_t tick_of(const struct timer *t)
{
    return t->at_ns / TICK_NS + (t->at_ns % TICK_NS != 0);
}

static void put(struct timer_table *w, struct timer *t)
{
    uint64_t tick = tick_of(t), differs;
    struct head *h;
    unsigned l, i;

    if (tick < w->tick)
        tick = w->tick;
    differs = tick ^ w->tick;
    l = differs ? (63 - __builtin_clzll(differs)) / 8 : 0;
    i = tick >> 8 * l & (SLOTS - 1);
    h = &w->slot[l][i];
    w->used[l][i / 64] |= (uint64_t)1 << i % 64;
    /* At the end, so that equal times fire in the order of their starting. */
    t->next = ring(h);
    t->prev = h->prev;
    *h->prev = t;
    h->prev = &t->next;
}

void timer_start(struct timer *t, uint64_t at_ns)
{
    timer_cancel(t);
    t->at_ns = at_ns;
    put(vm.timers, t);
    vm.timers->n++;
}

static void unlink_timer(struct timer *t)
{
    *t->prev = t->next;
    t->next->prev = t->prev;
    t->prev = NULL;
}

void timer_cancel(struct timer *t)
{
    if (!t->prev)
        return;
    unlink_timer(t);
    vm.timers->n--;
}

/* The first used slot of a level at or after `from`; SLOTS if none. */
static unsigned first_used(struct timer_table *w, unsigned l, unsigned from)
{
    for (unsigned i = from; i < SLOTS; i++) {
        uint64_t word = w->used[l][i / 64] >> i % 64;

        if (!word) {
            i |= 63;
            continue;
        }
        i += __builtin_ctzll(word);
        if (!ring_empty(&w->slot[l][i]))
            return i;
        w->used[l][i / 64] &= ~((uint64_t)1 << i % 64);
    }
    return SLOTS;
}

/* The tick at which the next slot begins, its level and index; or false. */
static bool next_slot(struct timer_table *w, uint64_t *tick, unsigned *level,
                      unsigned *index)
{
    if (w->n == 0)
        return false;
    for (unsigned l = 0; l < LEVELS; l++) {
        unsigned i = first_used(w, l, w->tick >> 8 * l & (SLOTS - 1));

        if (i < SLOTS) {
            uint64_t above = l == 7 ? 0 : w->tick >> 8 * (l + 1) << 8 * (l + 1);

            *tick = above | (uint64_t)i << 8 * l;
            *level = l;
            *index = i;
            return true;
        }
    }
    return false;
}

uint64_t timer_next_ns(void)
{
    uint64_t tick;
    unsigned l, i;

    if (!next_slot(vm.timers, &tick, &l, &i))
        return UINT64_MAX;
    return tick > UINT64_MAX / TICK_NS ? UINT64_MAX : tick * TICK_NS;
}

/* Empty a slot whose time has come: fire what is due, move down the rest. */
static void turn(struct timer_table *w, unsigned l, unsigned i)
{
    struct head *from = &w->slot[l][i], due;

    ring_init(&due);
    due.next = from->next;
    due.prev = from->prev;
    due.next->prev = &due.next;
    *due.prev = ring(&due);
    ring_init(from);
    while (!ring_empty(&due)) {
        struct timer *t = due.next;

        unlink_timer(t);
        if (l > 0) {
            put(w, t);
        } else {
            w->n--;
            t->fire(t);
        }
    }
}

void timer_run(uint64_t now_ns)
{
    struct timer_table *w = vm.timers;
    uint64_t now = now_ns / TICK_NS, tick;
    unsigned l, i;

    while (next_slot(w, &tick, &l, &i) && tick <= now) {
        if (tick > w->tick)
            w->tick = tick;
        turn(w, l, i);
    }
    if (now > w->tick)
        w->tick = now;
}
