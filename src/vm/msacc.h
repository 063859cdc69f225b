/*
 * msacc.h - microstate accounting: what the scheduler spends its time on.
 *
 * Off it costs a look at a flag where the state changes. The states are OTP's:
 *
 *    emulator    processes run, BIFs and NIFs among them
 *    gc          one is collected
 *    port        a driver is told something by a process
 *    check_io    a look at what the world has, and what it leads to
 *    aux         signals of the system, messages of NIFs' threads
 *    sleep       nothing to do; what ends it is counted here too
 *    other       timers, and the choice of who runs next
 */
#ifndef VM_MSACC_H
#define VM_MSACC_H

#include "vm/vm.h"

enum msacc_state {
    MSACC_AUX,
    MSACC_CHECK_IO,
    MSACC_EMULATOR,
    MSACC_GC,
    MSACC_OTHER,
    MSACC_PORT,
    MSACC_SLEEP,
    MSACC_STATES,
};

struct msacc {
    enum msacc_state now;
    uint64_t since_ns;
    uint64_t ns[MSACC_STATES];
};

enum msacc_state msacc_change(enum msacc_state to);
/* From here on it is `to`. Returns what it was: to go back to. */
static inline enum msacc_state msacc_enter(enum msacc_state to)
{
    return unlikely(vm.accounting) ? msacc_change(to) : to;
}
/* What it is; anything while it is off. */
static inline enum msacc_state msacc_now(void)
{
    return unlikely(vm.accounting) ? vm.msacc->now : MSACC_OTHER;
}

/* Begin or stop to count; a process runs. */
void msacc_set(bool on);
void msacc_reset(void);
/* Nanoseconds of each state until now. */
void msacc_read(uint64_t ns[MSACC_STATES]);

#endif
