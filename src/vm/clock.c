/*
 * clock.c - Erlang's monotonic time and its offset.
 */
#include "vm/clock.h"

#include "os/os.h"

/* The whole seconds that SMALL_MIN nanoseconds hold, as OTP computes it. */
#define BEGIN_NS ((SMALL_MIN / CLOCK_NATIVE_PER_S) * CLOCK_NATIVE_PER_S)

struct clock {
    int64_t offset_ns;
    int64_t base_ns;            /* Erlang monotonic time at os_mono_ns() 0 */
    int64_t now_us;             /* erlang:now/0's latest */
};

void clock_init(void)
{
    vm.clock = vm_zalloc(ALLOC_SYSTEM, sizeof *vm.clock);
    clock_start();
}

void clock_start(void)
{
    vm.start_mono_ns = os_mono_ns();
    vm.clock->base_ns = BEGIN_NS - (int64_t)vm.start_mono_ns;
    vm.clock->offset_ns = os_wall_ns() - BEGIN_NS;
}

void clock_resume(void)
{
    vm.clock->offset_ns = os_wall_ns() - clock_monotonic_ns();
}

int64_t clock_monotonic_ns(void)
{
    return (int64_t)os_mono_ns() + vm.clock->base_ns;
}

int64_t clock_offset_ns(void)
{
    return vm.clock->offset_ns;
}

int64_t clock_start_ns(void)
{
    return BEGIN_NS;
}

/* OTP's: its internal counter starts at 576460753 s and has 63 bits. */
int64_t clock_end_ns(void)
{
    return (INT64_MAX / CLOCK_NATIVE_PER_S - 1) * CLOCK_NATIVE_PER_S + BEGIN_NS;
}

int64_t clock_now_us(void)
{
    int64_t now = clock_system_ns() / 1000;

    if (now <= vm.clock->now_us)
        now = vm.clock->now_us + 1;
    vm.clock->now_us = now;
    return now;
}
