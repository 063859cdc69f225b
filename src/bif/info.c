/*
 * info.c - erlang:system_info/1.
 *
 * One table: the item, and what gives its value. Facts about the release are
 * in `release`; what has no counterpart here (schedulers, allocators) answers
 * in OTP's form for a machine with one scheduler.
 */
#include "bif/info.h"

#include <sys/utsname.h>

#include "bif/bif.h"
#include "bif/blocking.h"
#include "bif/build.h"
#include "io/port.h"
#include "os/os.h"
#include "op/code.h"
#include "vm/trace.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/clock.h"
#include "vm/dirty.h"
#include "vm/ets.h"
#include "vm/gc.h"
#include "vm/map.h"
#include "vm/node.h"
#include "vm/print.h"

/* What the .beam files of this OTP expect to hear. */
static const struct {
    const char *otp, *erts, *nif, *driver;
    int compat;
} release = { "25", "13.1.5", "2.16", "3.3", 25 };

enum {
    PORT_LIMIT = 65536,
    ETS_LIMIT = 8192,
    HEAP_STEPS = 137,           /* as many as OTP lists */
};

void info_init(void)
{
    vm.info = vm_zalloc(ALLOC_SYSTEM, sizeof *vm.info);
    vm.info->min_heap_words = HEAP_MIN_WORDS;
    vm.info->min_bin_vheap_words = 46422;       /* OTP's */
    vm.info->max_heap_kill = vm.info->max_heap_log = true;
    vm.info->fullsweep_after = 65535;
    vm.info->backtrace_depth = 8;
    vm.info->outstanding_requests = 2;          /* OTP's: twice the schedulers */
    vm.info->system_logger = am_logger;
}

term info_max_heap_size(struct proc *p)
{
    const term pairs[] = {
        am_error_logger, bool_make(vm.info->max_heap_log),
        am_kill, bool_make(vm.info->max_heap_kill),
        am_size, small_make((int64_t)vm.info->max_heap_words),
    };

    return map_from_pairs(p, pairs, 3);
}

static term string(struct proc *p, const char *s)
{
    return bif_string(p, s, strlen(s));
}

/* Values */

#define VALUE(name, expr)                                                      \
    static term name(struct proc *p)                                           \
    {                                                                          \
        return expr;                                                           \
    }

VALUE(one, small_make(1))
VALUE(zero, small_make(0))
VALUE(dirty_cpu_schedulers, small_make(DIRTY_CPU_PLACES))
VALUE(dirty_io_schedulers, small_make(DIRTY_IO_PLACES))
VALUE(yes, am_true)
VALUE(no, am_false)
VALUE(none, TERM_NIL)
VALUE(undefined, am_undefined)
VALUE(atom_none, am_none)
VALUE(enabled, am_enabled)
VALUE(unbound, am_unbound)
VALUE(unbound_tuple, ({
          term *hp = heap_alloc(p, 2);
          hp[0] = TUPLE_HEADER(1);
          hp[1] = am_unbound;
          boxed_make(hp);
      }))
VALUE(otp_release, string(p, release.otp))
VALUE(erts_version, string(p, release.erts))
VALUE(nif_version, string(p, release.nif))
VALUE(driver_version, string(p, release.driver))
VALUE(compat_rel, small_make(release.compat))
VALUE(machine, string(p, "BEAM"))
VALUE(architecture, string(p, "x86_64-pc-linux-gnu"))
VALUE(emu_flavor, code_native ? am_jit : am_emu)
VALUE(build_type, am_opt)
VALUE(wordsize, small_make(sizeof(term)))
VALUE(endian, am_little)
VALUE(heap_type, am_private)
VALUE(literal_test, am_range)
VALUE(time_offset, am_final)
VALUE(time_warp_mode, am_no_time_warp)
VALUE(unchanged, am_unchanged)
VALUE(unknown, am_unknown)
VALUE(message_queue_data, vm.info->off_heap_messages ? am_off_heap : am_on_heap)
VALUE(schedulers_state, build_tuple3(p, small_make(1), small_make(1), small_make(1)))
VALUE(multi_scheduling, blocking_state())
VALUE(process_count, small_make((int64_t)proc_count()))
VALUE(process_limit, small_make((int64_t)proc_limit()))
VALUE(ports, small_make((int64_t)port_count()))
VALUE(port_limit, small_make(PORT_LIMIT))
VALUE(ets_count, small_make((int64_t)ets_table_count()))
VALUE(ets_limit, small_make(ETS_LIMIT))
VALUE(atoms, small_make((int64_t)atom_count()))
VALUE(atom_limit, small_make(ATOM_LIMIT))
VALUE(context_reductions, small_make(SLICE_REDS))
VALUE(creation, small_make((*node_this)->creation))
VALUE(dist_buf_busy_limit, small_make(1024 * 1024))
VALUE(node_table_gc, small_make(60))
VALUE(trace_control_word, uint64_make(p, vm.info->trace_control_word))
VALUE(system_logger, vm.info->system_logger)
VALUE(outstanding_requests, small_make(vm.info->outstanding_requests))
VALUE(os_type, build_tuple2(p, am_unix, am_linux))
VALUE(sequential_tracer,
      build_tuple2(p, am_sequential_tracer,
                   tracer_alive(vm.trace->seq_tracer, am_undefined)
                       ? tracer_term(p, vm.trace->seq_tracer)
                       : am_false))
VALUE(start_time, int64_make(p, clock_start_ns()))
VALUE(end_time, int64_make(p, clock_end_ns()))
VALUE(fullsweep_after,
      build_tuple2(p, am_fullsweep_after, small_make(vm.info->fullsweep_after)))
VALUE(min_heap_size,
      build_tuple2(p, am_min_heap_size, small_make((int64_t)vm.info->min_heap_words)))
VALUE(min_bin_vheap_size,
      build_tuple2(p, am_min_bin_vheap_size,
                   small_make((int64_t)vm.info->min_bin_vheap_words)))
VALUE(compiler, build_tuple2(p, am_gnuc,
                             build_tuple3(p, small_make(__GNUC__),
                                          small_make(__GNUC_MINOR__),
                                          small_make(__GNUC_PATCHLEVEL__))))
VALUE(allocator, build_tuple4(p, am_undefined, TERM_NIL, TERM_NIL, TERM_NIL))

static term os_version(struct proc *p)
{
    struct utsname u;
    unsigned v[3] = { 0, 0, 0 };

    if (uname(&u) == 0) {
        const char *s = u.release;

        for (int i = 0; i < 3 && *s >= '0' && *s <= '9'; i++) {
            for (; *s >= '0' && *s <= '9'; s++)
                v[i] = v[i] * 10 + (unsigned)(*s - '0');
            if (*s == '.')
                s++;
        }
    }
    return build_tuple3(p, small_make(v[0]), small_make(v[1]), small_make(v[2]));
}

static term system_version(struct proc *p)
{
    struct text t;
    term list;

    text_init(&t);
    text_printf(&t,
                "Erlang/OTP %s [erts-%s] [source] [64-bit] [smp:1:1] [ds:1:1:1] "
                "[async-threads:1] [ling]\n",
                release.otp, release.erts);
    list = bif_string(p, t.s, t.n);
    text_fini(&t);
    return list;
}

static term garbage_collection(struct proc *p)
{
    term list = TERM_NIL;

    list = build_cons(p, fullsweep_after(p), list);
    list = build_cons(p, min_heap_size(p), list);
    list = build_cons(p, min_bin_vheap_size(p), list);
    return build_item(p, am_max_heap_size, small_make((int64_t)vm.info->max_heap_words),
                      list);
}

static term heap_sizes(struct proc *p)
{
    size_t sizes[HEAP_STEPS], size = 0;
    term list = TERM_NIL;

    for (int i = 0; i < HEAP_STEPS; i++)
        sizes[i] = size = heap_size_step(size + 1);
    for (int i = HEAP_STEPS; i > 0; i--)
        list = build_cons(p, small_make((int64_t)sizes[i - 1]), list);
    return list;
}

static term all_schedulers_state(struct proc *p)
{
    const term kinds[] = { am_dirty_io, am_dirty_cpu, am_normal };
    term n = small_make(1), list = TERM_NIL;
    term dirty = blocking_state() == am_blocked ? small_make(0) : n;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        term active = kinds[i] == am_normal ? n : dirty;

        list = build_cons(p, build_tuple4(p, kinds[i], n, n, active), list);
    }
    return list;
}

static term time_source(struct proc *p, term clock, int64_t now_ns, bool monotonic)
{
    term list = build_item(p, am_time, int64_make(p, now_ns), TERM_NIL);

    list = build_item(p, am_parallel, am_yes, list);
    if (monotonic)
        list = build_item(p, am_extended, am_no, list);
    list = build_item(p, am_resolution, small_make(1000000000), list);
    list = build_item(p, am_clock_id, clock, list);
    return build_item(p, am_function, am_clock_gettime, list);
}

static term monotonic_source(struct proc *p)
{
    return time_source(p, am_CLOCK_MONOTONIC, (int64_t)os_mono_ns(), true);
}

static term system_time_source(struct proc *p)
{
    return time_source(p, am_CLOCK_REALTIME, os_wall_ns(), false);
}

void info_taint(term name)
{
    struct info *i = vm.info;
    size_t bytes = (i->ntaints + 1) * sizeof *i->taints;

    for (size_t n = 0; n < i->ntaints; n++)
        if (i->taints[n] == name)
            return;
    i->taints = i->taints ? vm_realloc(i->taints, bytes) : vm_alloc(ALLOC_SYSTEM, bytes);
    i->taints[i->ntaints++] = name;
}

static term taints(struct proc *p)
{
    term list = TERM_NIL;

    for (size_t n = 0; n < vm.info->ntaints; n++)
        list = build_cons(p, vm.info->taints[n], list);
    return list;
}

/* One set, which the scheduler waits for: the only thread that does. */
static term check_io(struct proc *p)
{
    const term pairs[][2] = {
        { am_poll_threads, small_make(1) },
        { am_active_fds, small_make(0) },
        { am_max_fds, small_make(1024) },
        { am_fallback, am_false },
        { am_concurrent_updates, am_false },
        { am_batch_updates, am_false },
        { am_pending_updates, small_make(0) },
        { am_lazy_updates, am_false },
        { am_total_poll_set_size, small_make((int64_t)os_watched()) },
        { am_memory_size, small_make(0) },
        { am_kernel_poll, am_false },
        { am_primary, am_poll },
        { am_name, am_erts_poll },
    };
    term list = TERM_NIL;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        list = build_item(p, pairs[i][0], pairs[i][1], list);
    return build_cons(p, list, TERM_NIL);
}

static term scheduling_statistics(struct proc *p)
{
    const term kinds[] = { am_port, am_process_low, am_process_normal, am_process_high,
                           am_process_max };
    term list = TERM_NIL;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        list = build_cons(p, build_tuple3(p, kinds[i], small_make(0), small_make(0)),
                          list);
    return list;
}

static term emu_args(struct proc *p)
{
    term list = TERM_NIL;

    for (int i = vm.info->argc; i > 0; i--)
        list = build_cons(p, string(p, vm.info->argv[i - 1]), list);
    return list;
}

static term compile_info(struct proc *p)
{
    term list = TERM_NIL;

    list = build_item(p, am_config_h, TERM_NIL, list);
    list = build_item(p, am_cflags, TERM_NIL, list);
    return build_item(p, am_ldflags, TERM_NIL, list);
}

bool info_own_bif(const struct export *e)
{
    struct module *m = module_find(e->m);

    if (e->m == am_ling || e->f == am_collected || (e->m == am_erlang && e->f == am_yield) ||
        e->f == am_pending_purge_lambda)
        return true;
    if (!m || !m->curr)
        return false;
    for (uint32_t i = 0; i < m->curr->nfuncs; i++)
        if (m->curr->funcs[i].f == e->f && m->curr->funcs[i].arity == e->arity)
            return false;
    return true;
}

/* {M, F, A} of every BIF, the latest first. */
static term snifs(struct proc *p)
{
    struct export *e;
    term list = TERM_NIL;

    for (size_t i = 0; (e = export_next(&i));) {
        if (e->flags & EXPORT_BIF && !info_own_bif(e))
            list = build_cons(p, build_tuple3(p, e->m, e->f, small_make(e->arity)), list);
    }
    return list;
}

/* The texts of the crash dump's parts */

static term text_binary(struct proc *p, struct text *t)
{
    term b = binary_from(p, t->s, t->n);

    text_fini(t);
    return b == THE_NON_VALUE ? bif_error(p, am_system_limit) : b;
}

static size_t code_bytes(struct text *t, bool old)
{
    size_t total = 0;
    struct module *m;

    for (size_t i = 0; (m = module_next(&i));) {
        const struct code *c = old ? m->old : m->curr;

        if (!c)
            continue;
        total += c->bytes;
        if (t) {
            text_term(t, m->name, 0);
            text_printf(t, " %zu\n", c->bytes);
        }
    }
    return total;
}

static term loaded_text(struct proc *p)
{
    struct text t;

    text_init(&t);
    text_printf(&t, "Current code: %zu\nOld code: %zu\n", code_bytes(NULL, false),
                code_bytes(NULL, true));
    code_bytes(&t, false);
    return text_binary(p, &t);
}

static void add_memory(struct text *t)
{
    size_t total = 0, procs = vm_allocated(ALLOC_PROC);

    for (int i = 0; i < ALLOC_KINDS; i++)
        total += vm_allocated((enum alloc_kind)i);
    text_printf(t,
                "=memory\ntotal: %zu\nprocesses: %zu\nprocesses_used: %zu\nsystem: %zu\n"
                "atom: %zu\natom_used: %zu\nbinary: %zu\ncode: %zu\nets: %zu\n",
                total, procs, procs, total - procs, vm_allocated(ALLOC_ATOM),
                vm_allocated(ALLOC_ATOM), vm_allocated(ALLOC_BINARY),
                vm_allocated(ALLOC_CODE), vm_allocated(ALLOC_ETS));
}

static term info_text(struct proc *p)
{
    struct text t;

    text_init(&t);
    add_memory(&t);
    text_printf(&t, "=loaded_modules\nCurrent code: %zu\nOld code: %zu\n",
                code_bytes(NULL, false), code_bytes(NULL, true));
    code_bytes(&t, false);
    text_printf(&t, "=atoms\nNumber of atoms: %zu\n", atom_count());
    return text_binary(p, &t);
}

static term procs_text(struct proc *p)
{
    static const char *const states[] = { "Scheduled", "Running", "Waiting", "Exiting",
                                          "Free" };
    struct proc *q;
    struct text t;

    text_init(&t);
    for (size_t i = 0; (q = proc_next(&i));) {
        text_printf(&t, "=proc:");
        text_term(&t, q->id, 0);
        text_printf(&t, "\nState: %s\n", states[q->state]);
        if (q->name != THE_NON_VALUE) {
            text_printf(&t, "Name: ");
            text_term(&t, q->name, 0);
            text_printf(&t, "\n");
        }
        text_printf(&t, "Spawned as: ");
        text_term(&t, q->init_m, 0);
        text_printf(&t, ":");
        text_term(&t, q->init_f, 0);
        text_printf(&t,
                    "/%u\nMessage queue length: %zu\nReductions: %llu\n"
                    "Stack+heap: %zu\n",
                    (unsigned)q->init_arity, q->msgq.length,
                    (unsigned long long)q->reductions,
                    (size_t)(q->heap.hend - q->heap.heap));
    }
    return text_binary(p, &t);
}

static term dist_text(struct proc *p)
{
    struct text t;

    text_init(&t);
    text_printf(&t, "=node:");
    text_term(&t, node_name(), 0);
    text_printf(&t, "\n=no_distribution\n");
    return text_binary(p, &t);
}

/* [{Feature, Value, []}], strings, of which atomics' memory use can be told. */
static term ethread_info(struct proc *p)
{
    static const char *const rows[][2] = {
        { "sse2", "yes" }, { "64-bit native atomics", "yes" },
        { "32-bit native atomics", "yes" }, { "Double word native atomics", "yes" },
    };
    term list = TERM_NIL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        term name = string(p, rows[i][0]), value = string(p, rows[i][1]);

        list = build_cons(p, build_tuple3(p, name, value, TERM_NIL), list);
    }
    return list;
}

static const struct {
    term item;
    term (*value)(struct proc *p);
} items[] = {
    { am_all_schedulers_state, all_schedulers_state },
    { am_alloc_util_allocators, info_allocators },
    { am_allocated_areas, info_allocated_areas },
    { am_allocator, allocator },
    { am_atom_count, atoms },
    { am_atom_limit, atom_limit },
    { am_beam_jump_table, yes },
    { am_break_ignored, no },
    { am_build_type, build_type },
    { am_c_compiler_used, compiler },
    { am_check_io, check_io },
    { am_compat_rel, compat_rel },
    { am_compile_info, compile_info },
    { am_context_reductions, context_reductions },
    { am_cpu_quota, unknown },
    { am_cpu_topology, undefined },
    { am_creation, creation },
    { am_debug_compiled, no },
    { am_decentralized_counter_groups_map, none },
    { am_delayed_node_table_gc, node_table_gc },
    { am_dirty_cpu_schedulers, dirty_cpu_schedulers },
    { am_dirty_cpu_schedulers_online, dirty_cpu_schedulers },
    { am_dirty_io_schedulers, dirty_io_schedulers },
    { am_dist, dist_text },
    { am_dist_buf_busy_limit, dist_buf_busy_limit },
    { am_dist_ctrl, none },
    { am_driver_version, driver_version },
    { am_dynamic_trace, atom_none },
    { am_dynamic_trace_probes, no },
    { am_eager_check_io, yes },
    { am_emu_args, emu_args },
    { am_emu_flavor, emu_flavor },
    { am_emu_type, build_type },
    { am_end_time, end_time },
    { am_endian, endian },
    { am_ets_always_compress, no },
    { am_ets_count, ets_count },
    { am_ets_limit, ets_limit },
    { am_ets_realloc_moves, no },
    { am_fullsweep_after, fullsweep_after },
    { am_garbage_collection, garbage_collection },
    { am_heap_sizes, heap_sizes },
    { am_heap_type, heap_type },
    { am_hipe_architecture, undefined },
    { am_info, info_text },
    { am_io_thread, no },
    { am_kernel_poll, no },
    { am_literal_test, literal_test },
    { am_loaded, loaded_text },
    { am_lock_checking, no },
    { am_lock_counting, no },
    { am_logical_processors, one },
    { am_logical_processors_available, one },
    { am_logical_processors_online, one },
    { am_machine, machine },
    { am_max_heap_size, info_max_heap_size },
    { am_message_queue_data, message_queue_data },
    { am_min_bin_vheap_size, min_bin_vheap_size },
    { am_min_heap_size, min_heap_size },
    { am_modified_timing_level, undefined },
    { am_multi_scheduling, multi_scheduling },
    { am_multi_scheduling_blockers, none },
    { am_nif_version, nif_version },
    { am_normal_multi_scheduling_blockers, none },
    { am_os_monotonic_time_source, monotonic_source },
    { am_os_system_time_source, system_time_source },
    { am_os_type, os_type },
    { am_os_version, os_version },
    { am_otp_release, otp_release },
    { am_outstanding_system_requests_limit, outstanding_requests },
    { am_port_count, ports },
    { am_port_limit, port_limit },
    { am_port_parallelism, no },
    { am_port_tasks, yes },
    { am_process_count, process_count },
    { am_process_limit, process_limit },
    { am_procs, procs_text },
    { am_reader_groups_map, none },
    { am_run_queues, one },
    { am_scheduler_bind_type, unbound },
    { am_scheduler_bindings, unbound_tuple },
    { am_scheduler_id, one },
    { am_schedulers, one },
    { am_schedulers_active, one },
    { am_schedulers_online, one },
    { am_schedulers_state, schedulers_state },
    { am_schedulers_total, one },
    { am_scheduling_statistics, scheduling_statistics },
    { am_sequential_tracer, sequential_tracer },
    { am_smp_support, yes },
    { am_snifs, snifs },
    { am_start_time, start_time },
    { am_system_architecture, architecture },
    { am_system_logger, system_logger },
    { am_system_version, system_version },
    { am_taints, taints },
    { am_thread_pool_size, one },
    { am_thread_progress, yes },
    { am_threads, yes },
    { am_time_correction, yes },
    { am_time_offset, time_offset },
    { am_time_warp_mode, time_warp_mode },
    { am_tolerant_timeofday, enabled },
    { am_total_scheduling_statistics, scheduling_statistics },
    { am_trace_control_word, trace_control_word },
    { am_update_cpu_info, unchanged },
    { am_version, erts_version },
    { am_wordsize, wordsize },
    { am_ethread_info, ethread_info },
    { am_ethread_used_tse, zero },
};

static term tuple_item(struct proc *p, term t)
{
    size_t arity = tuple_arity(t);
    term what = arity > 0 ? *tuple_at(t, 1) : THE_NON_VALUE;

    if (arity == 2) {
        term which = *tuple_at(t, 2);

        if (what == am_wordsize && (which == am_internal || which == am_external))
            return small_make(sizeof(term));
        if ((what == am_cpu_topology || what == am_internal_cpu_topology) &&
            (which == am_used || which == am_detected || which == am_defined))
            return am_undefined;
        if (what == am_allocator || what == am_allocator_sizes)
            return bif_trap(p,
                            what == am_allocator ? EXP("erlang", "alloc_info", 1)
                                                 : EXP("erlang", "alloc_sizes", 1),
                            &which, 1);
    } else if (arity == 3) {
        if (what == am_memory_internal || what == am_allocator ||
            what == am_allocator_sizes)
            return info_allocator_request(p, *tuple_at(t, 2), *tuple_at(t, 3));
    }
    return bif_badarg(p);
}

BIF(erlang, system_info, 1)
{
    if (term_is_tuple(arg[0]))
        return tuple_item(p, arg[0]);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        if (items[i].item == arg[0])
            return items[i].value(p);
    }
    return bif_badarg(p);
}
