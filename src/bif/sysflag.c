/*
 * sysflag.c - erlang:system_flag/2. Returns the old value.
 */
#include "bif/bif.h"
#include "bif/blocking.h"
#include "bif/build.h"
#include "bif/info.h"
#include "vm/big.h"
#include "vm/gc.h"
#include "vm/map.h"
#include "vm/msacc.h"
#include "vm/trace.h"

#define MAX_BACKTRACE 64        /* OTP's */
#define MAX_PROCESSES 134217727 /* OTP's */

bool info_max_heap_parse(term t, size_t *words, bool *kill, bool *log)
{
    *kill = vm.info->max_heap_kill;
    *log = vm.info->max_heap_log;
    if (term_is_map(t)) {
        term v = map_get(t, am_kill);

        if (v != THE_NON_VALUE) {
            if (!term_is_bool(v))
                return false;
            *kill = v == am_true;
        }
        v = map_get(t, am_error_logger);
        if (v != THE_NON_VALUE) {
            if (!term_is_bool(v))
                return false;
            *log = v == am_true;
        }
        t = map_get(t, am_size);
        if (t == THE_NON_VALUE)
            return false;
    }
    if (!term_is_small(t) || small_value(t) < 0)
        return false;
    *words = (size_t)small_value(t);
    return true;
}

static term set_max_heap(struct proc *p, term value)
{
    size_t words;
    bool kill, log;
    term old;

    if (!info_max_heap_parse(value, &words, &kill, &log) ||
        (words != 0 && words < vm.info->min_heap_words))
        return bif_badarg(p);
    old = info_max_heap_size(p);
    vm.info->max_heap_words = words;
    vm.info->max_heap_kill = kill;
    vm.info->max_heap_log = log;
    return old;
}

static term set_logger(struct proc *p, term value)
{
    term old = vm.info->system_logger;

    if (value != am_logger && value != am_undefined && !term_is_local_pid(value))
        return bif_badarg(p);
    vm.info->system_logger = value;
    return old;
}

static term clear_seq_trace(void)
{
    struct proc *q;

    for (size_t i = 0; (q = proc_next(&i));) {
        q->seq_token = TERM_NIL;
        trace_refresh(q);
        if (q->traced)
            q->traced->seq_clock = q->traced->seq_last = 0;
        for (struct msg *m = q->msgq.first; m; m = m->next)
            m->token = TERM_NIL;
    }
    return am_true;
}

/* false, or a tracer; returns the old one. */
static term set_seq_tracer(struct proc *p, term value)
{
    struct tracer *new = NULL, *old = vm.trace->seq_tracer;
    term was;

    if (value != am_false && (!tracer_parse(value, THE_NON_VALUE, &new) ||
                              !tracer_alive(new, am_undefined))) {
        tracer_put(new);
        return bif_badarg(p);
    }
    was = tracer_alive(old, am_undefined) ? tracer_term(p, old) : am_false;
    vm.trace->seq_tracer = new;
    tracer_put(old);
    return was;
}

BIF(erlang, system_flag, 2)
{
    struct info *info = vm.info;
    term value = arg[1], old;
    int64_t n = term_is_small(value) ? small_value(value) : -1;
    uint64_t u;

    switch (arg[0]) {
    case am_fullsweep_after:
        if (n < 0)
            break;
        old = small_make(info->fullsweep_after);
        info->fullsweep_after = n > UINT16_MAX ? UINT16_MAX : (uint32_t)n;
        return old;
    case am_min_heap_size:
        if (n < 0)
            break;
        old = small_make((int64_t)info->min_heap_words);
        info->min_heap_words = heap_size_step((size_t)n);
        return old;
    case am_min_bin_vheap_size:
        if (n < 0)
            break;
        old = small_make((int64_t)info->min_bin_vheap_words);
        info->min_bin_vheap_words = heap_size_step((size_t)n);
        return old;
    case am_max_heap_size:
        return set_max_heap(p, value);
    case am_backtrace_depth:
        if (n < 0)
            break;
        old = small_make(info->backtrace_depth);
        info->backtrace_depth = n > MAX_BACKTRACE ? MAX_BACKTRACE : n;
        return old;
    case am_system_logger:
        return set_logger(p, value);
    case am_outstanding_system_requests_limit:
        if (n < 1 || n > MAX_PROCESSES)
            break;
        old = small_make(info->outstanding_requests);
        info->outstanding_requests = (uint32_t)n;
        return old;
    case am_trace_control_word:
        if (!term_to_uint64(value, &u) || u > UINT32_MAX)
            break;
        old = uint64_make(p, info->trace_control_word);
        info->trace_control_word = (uint32_t)u;
        return old;
    case am_scheduler_wall_time:
        if (!term_is_bool(value))
            break;
        return bif_trap(p, EXP("erts_internal", "system_flag_scheduler_wall_time", 1),
                        &value, 1);
    case am_microstate_accounting:
        old = bool_make(vm.accounting);
        if (term_is_bool(value))
            msacc_set(value == am_true);
        else if (value == am_reset)
            msacc_reset();
        else
            break;
        return old;
    case am_schedulers_online:
    case am_dirty_cpu_schedulers_online:
        if (n != 1)
            break;
        return small_make(1);
    case am_multi_scheduling:
        if (!blocking_flag(p, value))
            break;
        return blocking_state();
    case am_time_offset:
        if (value != am_finalize)
            break;
        return am_final;
    case am_scheduler_bind_type:
        return am_unbound;
    case am_cpu_topology:
        return bif_trap(p, EXP("erlang", "set_cpu_topology", 1), &value, 1);
    case am_internal_cpu_topology:
        return am_undefined;
    case am_sequential_tracer:
        return set_seq_tracer(p, value);
    case am_reset_seq_trace:
        return clear_seq_trace();
    case am_debug_flags:
        return am_true;
    default:
        return bif_error_cause(p, am_badarg, am_badopt);
    }
    return bif_badarg(p);
}
