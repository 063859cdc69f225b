/*
 * timer.h - timers: receive timeouts, send_after, start_timer, the VM's own.
 *
 * A hierarchical wheel of 1 ms ticks: start and cancel are O(1).
 */
#ifndef VM_TIMER_H
#define VM_TIMER_H

#include "vm/proc.h"

struct timer {
    struct timer *next, **prev;     /* wheel slot; prev NULL: not running */
    uint64_t at_ns;                 /* monotonic */
    void (*fire)(struct timer *t);  /* unlinked first; may free t */
};

void timer_init(void);
void timer_start(struct timer *t, uint64_t at_ns);
void timer_cancel(struct timer *t);     /* harmless when not running */
/* Fire what is due. */
void timer_run(uint64_t now_ns);
/* When the next one is due; UINT64_MAX if none. May be early, never late. */
uint64_t timer_next_ns(void);

#endif
