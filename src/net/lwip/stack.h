/*
 * stack.h - when the stack of an instance runs: os_wait() calls both, once the
 * first socket was opened. Nothing here knows who calls.
 */
#ifndef NET_LWIP_STACK_H
#define NET_LWIP_STACK_H

#include <stdint.h>

/* How long one may wait for an event at the latest: `mono_ns` or earlier; 0: now. */
uint64_t stack_until(uint64_t mono_ns);
/* Frames, timers, then the sockets that are ready. */
void stack_poll(void);

/*
 * The instance ends: connections are closed, and what they have still to send
 * is sent, for some seconds at most. Whoever did not take it is reset. No
 * socket is told anything any more.
 */
void stack_end(void);

#endif
