/*
 * process_flag.c - set what a process is like.
 */
#include "bif/bif.h"
#include "bif/info.h"
#include "bif/process.h"
#include "op/lastcalls.h"
#include "vm/map.h"
#include "vm/trace.h"

bool proc_prio_parse(term t, enum proc_prio *prio)
{
    switch (t) {
    case am_max: *prio = PRIO_MAX; return true;
    case am_high: *prio = PRIO_HIGH; return true;
    case am_normal: *prio = PRIO_NORMAL; return true;
    case am_low: *prio = PRIO_LOW; return true;
    default: return false;
    }
}

term proc_prio_atom(const struct proc *p)
{
    static const term atoms[PRIOS] = {am_max, am_high, am_normal, am_low};

    return atoms[p->prio];
}

term proc_max_heap_map(struct proc *p, const struct proc *of)
{
    term pairs[6] = {
        am_error_logger, bool_make(of->flags & PF_MAX_HEAP_LOG),
        am_kill,         bool_make(of->flags & PF_MAX_HEAP_KILL),
        am_size,         small_make((int64_t)of->heap.max_words),
    };

    return map_from_pairs(p, pairs, 3);
}

static term set_bit(struct proc *p, uint32_t bit, term value)
{
    term old = bool_make(p->flags & bit);

    if (value == am_true)
        p->flags |= bit;
    else if (value == am_false)
        p->flags &= ~bit;
    else
        return bif_badarg(p);
    return old;
}

/* What process_flag/2 and /3 share: save_calls. THE_NON_VALUE: badarg. */
static term save_calls(struct proc *of, term flag, term value)
{
    if (flag != am_save_calls || !term_is_small(value) || small_value(value) < 0 ||
        small_value(value) > 10000)
        return THE_NON_VALUE;
    return small_make((int64_t)last_calls_set(of, (size_t)small_value(value)));
}

/* Nodes come and go only in a distributed system; the count is OTP's answer. */
static term monitor_nodes(struct proc *p, term on, term opts)
{
    term old = small_make(p->monitor_nodes);

    for (; term_is_cons(opts); opts = cons_tail(opts)) {
        term o = cons_head(opts);

        if (o == am_nodedown_reason || o == am_connection_id)
            continue;
        if (!term_is_tuple_of(o, 2) || *tuple_at(o, 1) != am_node_type ||
            (*tuple_at(o, 2) != am_visible && *tuple_at(o, 2) != am_hidden &&
             *tuple_at(o, 2) != am_all))
            return bif_badarg(p);
    }
    if (!term_is_nil(opts) && !term_is_map(opts))
        return bif_badarg(p);
    if (on == am_true)
        p->monitor_nodes++;
    else if (on == am_false)
        p->monitor_nodes = 0;
    else
        return bif_badarg(p);
    return old;
}

BIF(erlang, process_flag, 2)
{
    term flag = arg[0], value = arg[1], old;
    size_t n;

    switch (flag) {
    case am_trap_exit:
        return set_bit(p, PF_TRAP_EXIT, value);
    case am_sensitive:
        old = set_bit(p, PF_SENSITIVE, value);
        trace_refresh(p);
        return old;
    case am_async_dist:
        break;                  /* OTP 25.3's; 25.2 does not know it */
    case am_error_handler:
        if (!term_is_atom(value))
            return bif_badarg(p);
        old = p->error_handler;
        p->error_handler = value;
        return old;
    case am_priority: {
        enum proc_prio prio;

        if (!proc_prio_parse(value, &prio))
            return bif_badarg(p);
        old = proc_prio_atom(p);
        p->prio = prio;
        return old;
    }
    case am_scheduler:
        if (!proc_natural(value, &n) || n > 1)
            return bif_badarg(p);
        old = small_make(p->bound);
        p->bound = (uint32_t)n;
        return old;
    case am_fullsweep_after:
        if (!proc_natural(value, &n))
            return bif_badarg(p);
        old = small_make(p->heap.max_gen_gcs);
        p->heap.max_gen_gcs = (uint16_t)n;
        return old;
    case am_min_heap_size:
        if (!proc_natural(value, &n))
            return bif_badarg(p);
        old = small_make((int64_t)p->heap.min_words);
        p->heap.min_words = proc_heap_words(n, vm.info->min_heap_words);
        return old;
    case am_min_bin_vheap_size:
        if (!proc_natural(value, &n))
            return bif_badarg(p);
        old = small_make((int64_t)p->heap.min_bin_vheap);
        p->heap.min_bin_vheap = proc_heap_words(n, vm.info->min_bin_vheap_words);
        return old;
    case am_max_heap_size: {
        bool kill = vm.info->max_heap_kill, log = vm.info->max_heap_log;

        if (!info_max_heap_parse(value, &n, &kill, &log) ||
            (n != 0 && n < p->heap.min_words))
            return bif_badarg(p);
        old = proc_max_heap_map(p, p);
        p->heap.max_words = n;
        p->flags &= ~(uint32_t)(PF_MAX_HEAP_KILL | PF_MAX_HEAP_LOG);
        p->flags |= (kill ? PF_MAX_HEAP_KILL : 0) | (log ? PF_MAX_HEAP_LOG : 0);
        return old;
    }
    case am_message_queue_data:
        if (value != am_on_heap && value != am_off_heap)
            return bif_badarg(p);
        old = p->flags & PF_OFF_HEAP_MSGS ? am_off_heap : am_on_heap;
        p->flags &= ~(uint32_t)PF_OFF_HEAP_MSGS;
        p->flags |= value == am_off_heap ? PF_OFF_HEAP_MSGS : 0;
        return old;
    case am_monitor_nodes:
        return monitor_nodes(p, value, TERM_NIL);
    default:
        if (term_is_tuple_of(flag, 2) && *tuple_at(flag, 1) == am_monitor_nodes)
            return monitor_nodes(p, value, *tuple_at(flag, 2));
    }
    old = save_calls(p, flag, value);
    if (old != THE_NON_VALUE)
        return old;
    return bif_error_cause(p, am_badarg, flag == am_save_calls ? am_none : am_badopt);
}

BIF(erts_internal, process_flag, 3)
{
    struct proc *of;
    term old;

    if (!term_is_local_pid(arg[0]))
        return am_badtype;
    of = proc_find(arg[0]);
    if (!of)
        return am_badtype;
    old = save_calls(of, arg[1], arg[2]);
    return old == THE_NON_VALUE ? am_badarg : old;
}
