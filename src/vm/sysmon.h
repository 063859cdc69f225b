/*
 * sysmon.h - who is told what the system does: system_monitor, system_profile.
 */
#ifndef VM_SYSMON_H
#define VM_SYSMON_H

#include "vm/proc.h"

enum { PROFILE_PROCS = 1, PROFILE_PORTS = 2, PROFILE_SCHEDULER = 4, PROFILE_EXCLUSIVE = 8 };

struct sysmon {
    term monitor;                   /* pid, or NONE */
    uint64_t long_gc_ms, long_schedule_ms;      /* 0: not asked for */
    size_t large_heap_words;
    bool busy_port, busy_dist_port;
    bool watch_gc;                  /* long_gc or large_heap */

    term profiler;                  /* pid or port, or NONE */
    uint32_t profile;
    uint32_t stamp;                 /* TF_TIMESTAMP ... of trace.h */

    uint64_t test_gc_sleep_ms;      /* erts_debug:set_internal_state/2 */
};
void sysmon_init(void);
/* NONE unless it lives: then nothing is monitored, or profiled, any more. */
term sysmon_monitor(void);
term sysmon_profiler(void);
void sysmon_clear(void);

/* A collection of p that began at began_ns is over; watch_gc is set. */
void sysmon_collected(struct proc *p, uint64_t began_ns);
/* A slice is over, longer than long_schedule_ms perhaps; it began at pc `in`. */
void sysmon_ran(struct proc *p, code_ptr in, uint64_t began_ns);
/* A port's driver has run since then: the same. What it did: input, timeout. */
void sysmon_port_ran(term port, term what, uint64_t began_ns);
/* p waits for a port: busy_port is set. */
void sysmon_busy_port(struct proc *p, term port);
/* active, inactive: profile has the bit. */
void sysmon_profile_proc(struct proc *p, term status);
void sysmon_profile_port(term port, term status);

#endif
