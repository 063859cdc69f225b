/*
 * clock.h - Erlang's time: monotonic time and its offset to system time.
 *
 * Erlang monotonic time counts nanoseconds from a large negative number, as
 * OTP's does, so that programs that assume a positive one are found early and
 * all of it fits a small integer. The offset is set once, at the start: OTP's
 * no_time_warp mode.
 */
#ifndef VM_CLOCK_H
#define VM_CLOCK_H

#include "vm/vm.h"

#define CLOCK_NATIVE_PER_S 1000000000   /* erts_internal:time_unit() */

void clock_init(void);          /* timer_init() calls it */
void clock_start(void);         /* time begins now: at init, at an image's start */
void clock_resume(void);        /* a copy goes on: the offset is found again */
int64_t clock_monotonic_ns(void);
int64_t clock_offset_ns(void);
static inline int64_t clock_system_ns(void)
{
    return clock_monotonic_ns() + clock_offset_ns();
}
/* erlang:now/0: system time in microseconds, each call a later one. */
int64_t clock_now_us(void);
/* system_info(start_time), system_info(end_time) */
int64_t clock_start_ns(void);
int64_t clock_end_ns(void);

#endif
