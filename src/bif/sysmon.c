/*
 * sysmon.c - erlang:system_monitor/0,1,2, erlang:system_profile/0,2.
 */
#include "vm/sysmon.h"

#include "bif/bif.h"
#include "bif/build.h"
#include "io/port.h"
#include "vm/big.h"
#include "vm/trace.h"

/* A heap of less is nothing to tell: OTP's figure. */
#define LARGE_HEAP_MIN 16384

static term monitor_get(struct proc *p)
{
    const struct sysmon *s = vm.sysmon;
    term pid = sysmon_monitor(), list = TERM_NIL;

    if (pid == THE_NON_VALUE)
        return am_undefined;
    if (s->long_gc_ms)
        list = build_item(p, am_long_gc, uint64_make(p, s->long_gc_ms), list);
    if (s->long_schedule_ms)
        list = build_item(p, am_long_schedule, uint64_make(p, s->long_schedule_ms), list);
    if (s->large_heap_words)
        list = build_item(p, am_large_heap, uint64_make(p, s->large_heap_words), list);
    if (s->busy_port)
        list = build_cons(p, am_busy_port, list);
    if (s->busy_dist_port)
        list = build_cons(p, am_busy_dist_port, list);
    return build_tuple2(p, pid, list);
}

static bool limit(struct sysmon *s, term key, term value)
{
    uint64_t n;

    if (!term_to_uint64(value, &n))
        return false;
    switch (key) {
    case am_long_gc: s->long_gc_ms = n < 1 ? 1 : n; return true;
    case am_long_schedule: s->long_schedule_ms = n < 1 ? 1 : n; return true;
    case am_large_heap: s->large_heap_words = n < LARGE_HEAP_MIN ? LARGE_HEAP_MIN : n; return true;
    default: return false;
    }
}

static term monitor_set(struct proc *p, term pid, term list)
{
    struct sysmon new = {.monitor = pid}, *s = vm.sysmon;
    term old;

    if (pid == am_undefined || term_is_nil(list)) {
        old = monitor_get(p);
        sysmon_clear();
        return old;
    }
    if (!term_is_local_pid(pid) || !proc_find(pid))
        return bif_badarg(p);
    for (; term_is_cons(list); list = cons_tail(list)) {
        term t = cons_head(list);

        if (t == am_busy_port)
            new.busy_port = true;
        else if (t == am_busy_dist_port)
            new.busy_dist_port = true;
        else if (!term_is_tuple_of(t, 2) || !limit(&new, *tuple_at(t, 1), *tuple_at(t, 2)))
            return bif_badarg(p);
    }
    if (!term_is_nil(list))
        return bif_badarg(p);
    old = monitor_get(p);
    sysmon_clear();
    s->monitor = pid;
    s->long_gc_ms = new.long_gc_ms;
    s->long_schedule_ms = new.long_schedule_ms;
    s->large_heap_words = new.large_heap_words;
    s->busy_port = new.busy_port;
    s->busy_dist_port = new.busy_dist_port;
    s->watch_gc = new.long_gc_ms || new.large_heap_words;
    return old;
}

BIF(erlang, system_monitor, 0)
{
    return monitor_get(p);
}

BIF(erlang, system_monitor, 1)
{
    if (arg[0] == am_undefined)
        return monitor_set(p, am_undefined, TERM_NIL);
    if (!term_is_tuple_of(arg[0], 2))
        return bif_badarg(p);
    return monitor_set(p, *tuple_at(arg[0], 1), *tuple_at(arg[0], 2));
}

BIF(erlang, system_monitor, 2)
{
    return monitor_set(p, arg[0], arg[1]);
}

static const struct {
    term name;
    uint32_t flag;
} profiles[] = {
    {am_runnable_ports, PROFILE_PORTS},
    {am_runnable_procs, PROFILE_PROCS},
    {am_scheduler, PROFILE_SCHEDULER},
    {am_exclusive, PROFILE_EXCLUSIVE},
};
#define PROFILES (sizeof profiles / sizeof *profiles)

static term profile_get(struct proc *p)
{
    term to = sysmon_profiler(), list = TERM_NIL;

    if (to == THE_NON_VALUE)
        return am_undefined;
    for (size_t i = 0; i < PROFILES; i++)
        if (vm.sysmon->profile & profiles[i].flag)
            list = build_cons(p, profiles[i].name, list);
    return build_tuple2(p, to, list);
}

static uint32_t profile_flag(term t)
{
    for (size_t i = 0; i < PROFILES; i++)
        if (profiles[i].name == t)
            return profiles[i].flag;
    return 0;
}

BIF(erlang, system_profile, 0)
{
    return profile_get(p);
}

BIF(erlang, system_profile, 2)
{
    uint32_t flags = 0, stamp = TF_TIMESTAMP;
    term to = arg[0], l = arg[1], old;

    if (to == am_undefined || term_is_nil(l)) {
        old = profile_get(p);
        vm.sysmon->profiler = THE_NON_VALUE;
        vm.sysmon->profile = 0;
        return old;
    }
    if (!(term_is_local_pid(to) && proc_find(to)) &&
        !(term_is_local_port(to) && port_find(to)))
        return bif_badarg(p);
    for (; term_is_cons(l); l = cons_tail(l)) {
        term t = cons_head(l);

        if (t == am_timestamp || t == am_monotonic_timestamp ||
            t == am_strict_monotonic_timestamp)
            stamp = trace_flag(t);
        else if (term_is_atom(t) && profile_flag(t))
            flags |= profile_flag(t);
        else
            return bif_badarg(p);
    }
    if (!term_is_nil(l))
        return bif_badarg(p);
    old = profile_get(p);
    vm.sysmon->profiler = to;
    vm.sysmon->profile = flags;
    vm.sysmon->stamp = stamp;
    return old;
}
