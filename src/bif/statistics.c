/*
 * statistics.c - erlang:statistics/1: what the VM has done so far.
 *
 * OTP asks each scheduler and traps to wait for the answers; with one
 * scheduler they are known at once.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "bif/info.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/dirty.h"
#include "vm/map.h"
#include "vm/msacc.h"

#define NS_PER_MS 1000000u

/* {Total, SinceLastCall} */
static term since(struct proc *p, uint64_t now, uint64_t *last)
{
    term total = uint64_make(p, now), diff = uint64_make(p, now - *last);

    *last = now;
    return build_tuple2(p, total, diff);
}

static size_t queued_in(const struct runq q[PRIOS])
{
    size_t n = 0;

    for (int i = 0; i < PRIOS; i++)
        n += q[i].length;
    return n;
}

/* Those who wait for the scheduler, and for places of so many dirty kinds. */
static size_t queued(int dirty)
{
    size_t n = queued_in(vm.sched->runq);

    for (int kind = 0; kind < dirty; kind++)
        n += queued_in(vm.sched->dirty[kind].runq);
    return n;
}

/* Of all processes, dead and alive. */
static uint64_t reductions(bool exact)
{
    uint64_t n = vm.info->ended_reductions;
    struct proc *q;

    for (size_t i = 0; (q = proc_next(&i));)
        n += q->reductions;
    if (exact && vm.sched->p && vm.sched->p->reds_left < SLICE_REDS)
        n += (uint64_t)(SLICE_REDS - vm.sched->p->reds_left);
    return n;
}

/* A number for our queue, where `more` are counted too, and one for each dirty one. */
static term queue_list(struct proc *p, size_t more, int dirty)
{
    term list = TERM_NIL;

    for (int kind = dirty; kind-- > 0;)
        list = build_cons(p, small_make((int64_t)queued_in(vm.sched->dirty[kind].runq)),
                          list);
    return build_cons(p, small_make((int64_t)(queued(0) + more)), list);
}

/* The dirty schedulers of a kind, n with ids from `first`, before what list has. */
static term dirty_times(struct proc *p, enum dirty_kind kind, unsigned n, unsigned first,
                        term total, term list)
{
    for (unsigned i = n; i-- > 0;)
        list = build_cons(p,
                          build_tuple3(p, small_make(first + i),
                                       uint64_make(p, dirty_busy_ns(kind, i)), total),
                          list);
    return list;
}

/* [{SchedulerId, ActiveTime, TotalTime}], dirty ones after ours. */
static term wall_times(struct proc *p, bool all)
{
    uint64_t active, total;
    term list = TERM_NIL, t;

    if (!vm.info->wall_time)
        return am_undefined;
    total = os_mono_ns() - vm.info->wall_time_mono_ns;
    active = total - vm.sched->slept_ns;
    t = uint64_make(p, total);
    if (all)
        list = dirty_times(p, DIRTY_IO, DIRTY_IO_PLACES, 2 + DIRTY_CPU_PLACES, t, list);
    list = dirty_times(p, DIRTY_CPU, DIRTY_CPU_PLACES, 2, t, list);
    return build_cons(p, build_tuple3(p, small_make(1), uint64_make(p, active), t), list);
}

/* [#{type, id, counters}] of the scheduler; nothing else works for the VM. */
static term microstates(struct proc *p)
{
    static const term names[] = {
        [MSACC_AUX] = am_aux,           [MSACC_CHECK_IO] = am_check_io,
        [MSACC_EMULATOR] = am_emulator, [MSACC_GC] = am_gc,
        [MSACC_OTHER] = am_other,       [MSACC_PORT] = am_port,
        [MSACC_SLEEP] = am_sleep,
    };
    uint64_t ns[MSACC_STATES];
    term counters[2 * MSACC_STATES], thread[6];

    msacc_read(ns);
    for (size_t i = 0; i < MSACC_STATES; i++) {
        counters[2 * i] = names[i];
        counters[2 * i + 1] = uint64_make(p, ns[i]);
    }
    thread[0] = am_type;
    thread[1] = am_scheduler;
    thread[2] = am_id;
    thread[3] = small_make(1);
    thread[4] = am_counters;
    thread[5] = map_from_pairs(p, counters, MSACC_STATES);
    return build_cons(p, map_from_pairs(p, thread, 3), TERM_NIL);
}

BIF(erlang, statistics, 1)
{
    struct info *info = vm.info;
    term *hp;

    switch (arg[0]) {
    case am_runtime:
        return since(p, os_cpu_ns() / NS_PER_MS, &info->last_runtime_ms);
    case am_wall_clock:
        return since(p, (os_mono_ns() - vm.start_mono_ns) / NS_PER_MS,
                     &info->last_wall_ms);
    case am_reductions:
        return since(p, reductions(false), &info->last_reductions);
    case am_exact_reductions:
        return since(p, reductions(true), &info->last_exact_reductions);
    case am_context_switches:
        return build_tuple2(p, uint64_make(p, vm.sched->context_switches), small_make(0));
    case am_garbage_collection:
        return build_tuple3(p, uint64_make(p, vm.gc.collections),
                            uint64_make(p, vm.gc.words_reclaimed), small_make(0));
    case am_io:
        return build_tuple2(
            p, build_tuple2(p, am_input, uint64_make(p, info->io_in_bytes)),
            build_tuple2(p, am_output, uint64_make(p, info->io_out_bytes)));
    case am_run_queue:
        return small_make((int64_t)queued(0));
    case am_total_run_queue_lengths:
        return small_make((int64_t)queued(1));
    case am_total_run_queue_lengths_all:
        return small_make((int64_t)queued(DIRTY_KINDS));
    case am_run_queue_lengths:
        return queue_list(p, 0, 1);
    case am_run_queue_lengths_all:
        return queue_list(p, 0, DIRTY_KINDS);
    case am_run_queues:
        hp = heap_alloc(p, 4);
        return put_tuple3(&hp, small_make((int64_t)queued(0)), small_make(0),
                          small_make(0));
    case am_total_active_tasks:
        return small_make((int64_t)queued(1) + 1);
    case am_total_active_tasks_all:
        return small_make((int64_t)queued(DIRTY_KINDS) + 1);
    case am_active_tasks:
        return queue_list(p, 1, 1);
    case am_active_tasks_all:
        return queue_list(p, 1, DIRTY_KINDS);
    case am_microstate_accounting:
        return microstates(p);
    case am_scheduler_wall_time:
        return wall_times(p, false);
    case am_scheduler_wall_time_all:
        return wall_times(p, true);
    default:
        return bif_badarg(p);
    }
}

/* Called by kernel_refc alone, which counts those who want it on. */
BIF(erts_internal, scheduler_wall_time, 1)
{
    bool old = vm.info->wall_time;

    vm.info->wall_time = arg[0] == am_true;
    if (vm.info->wall_time && !old) {
        vm.sched->slept_ns = 0;
        dirty_reset();
        vm.info->wall_time_mono_ns = os_mono_ns();
    }
    return bool_make(old);
}
