/*
 * btimer.h - timers that send a message: erlang:send_after, start_timer.
 */
#ifndef VM_BTIMER_H
#define VM_BTIMER_H

#include "vm/proc.h"

void btimer_init(void);
/*
 * At at_ns send message, or {timeout, Ref, Message} if wrap, to a pid or a
 * registered name. A timer for a process ends with it.
 */
void btimer_start(const uint64_t ref[2], uint64_t at_ns, term to, term message,
                  bool wrap);
/* Milliseconds left, -1: there is no such timer. */
int64_t btimer_left(const uint64_t ref[2]);
int64_t btimer_cancel(const uint64_t ref[2]);
/* All that there are: to, a pid or a name; frag, what they send, or NULL. */
void btimer_visit(void (*see)(void *ctx, term to, const struct mbuf *frag), void *ctx);
/* p ends: its timers too, a slice of them. True when none is left. */
bool btimer_proc_exit(struct proc *p, int32_t *reds);

#endif
