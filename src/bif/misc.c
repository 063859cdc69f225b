/*
 * misc.c - BIFs that belong to no family: display, tags of dtrace, system
 * monitoring and profiling, debugging aids.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "bif/info.h"
#include "bif/node_refs.h"
#include "bif/procinfo.h"
#include "bif/timer_chain.h"
#include "io/port.h"
#include "op/genop.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/dirty.h"
#include "vm/map.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/purge.h"
#include "vm/link.h"
#include "vm/sysmon.h"
#include "vm/task.h"
#include "vm/print.h"
#include "vm/slice.h"
#include "vm/unicode.h"
#include "vm/unique.h"

/* Display */

static term display(struct proc *p, term t, bool as_list)
{
    struct text text;
    term result = am_true;

    text_init(&text);
    text_term(&text, t, 0);
    text_add(&text, "\n", 1);
    os_console(text.s, text.n);
    if (as_list)
        result = bif_string(p, text.s, text.n);
    text_fini(&text);
    return result;
}

BIF(erlang, display, 1)
{
    return display(p, arg[0], false);
}

BIF(erts_debug, display, 1)
{
    return display(p, arg[0], true);
}

/* A list of characters, as UTF-8. */
BIF(erlang, display_string, 1)
{
    struct text t;
    term l = arg[0];

    text_init(&t);
    for (; term_is_cons(l); l = cons_tail(l)) {
        term head = cons_head(l);
        int64_t c = term_is_small(head) ? small_value(head) : -1;
        uint8_t u[UTF8_MAX];

        if (!unicode_valid((uint64_t)c))
            break;
        text_add(&t, (char *)u, utf8_put(u, (uint32_t)c));
    }
    if (!term_is_nil(l)) {
        text_fini(&t);
        return bif_badarg(p);
    }
    os_console(t.s, t.n);
    text_fini(&t);
    return am_true;
}

BIF(erlang, display_nl, 0)
{
    os_console("\n", 1);
    return am_true;
}

/* Tags for dtrace: as in an OTP that was built without it. */

BIF(erlang, dt_put_tag, 1)
{
    return am_undefined;
}

BIF(erlang, dt_get_tag, 0)
{
    return am_undefined;
}

BIF(erlang, dt_get_tag_data, 0)
{
    return am_undefined;
}

BIF(erlang, dt_spread_tag, 1)
{
    return term_is_bool(arg[0]) ? am_true : bif_badarg(p);
}

BIF(erlang, dt_restore_tag, 1)
{
    return arg[0] == am_true ? am_true : bif_badarg(p);
}

BIF(erlang, dt_prepend_vm_tag_data, 1)
{
    return arg[0];
}

BIF(erlang, dt_append_vm_tag_data, 1)
{
    return arg[0];
}

/* Scheduling */

BIF(erlang, bump_reductions, 1)
{
    if (!term_is_small(arg[0]) || small_value(arg[0]) < 0)
        return bif_badarg(p);
    bif_spend(p, small_value(arg[0]) > SLICE_REDS ? SLICE_REDS
                                                  : (size_t)small_value(arg[0]), 1);
    return am_true;
}

BIF(erts_internal, system_check, 1)
{
    /* All schedulers answered: this is the one. */
    return arg[0] == am_schedulers ? am_ok : bif_badarg(p);
}

BIF(erts_internal, time_unit, 0)
{
    return small_make(1000000000);
}

BIF(erts_internal, perf_counter_unit, 0)
{
    return small_make(1000000000);
}

BIF(erts_internal, is_process_executing_dirty, 1)
{
    const struct proc *of = proc_find(arg[0]);

    return term_is_local_pid(arg[0]) ? bool_make(of && dirty_runs(of)) : bif_badarg(p);
}

/* What OTP's handlers of dirty processes' signals do: the scheduler does it. */
BIF(erts_internal, check_dirty_process_code, 2)
{
    return bif_error(p, am_notsup);
}

BIF(erts_internal, dirty_process_handle_signals, 1)
{
    return bif_error(p, am_notsup);
}

BIF(error_logger, warning_map, 0)
{
    return am_warning;
}

/* Debugging */

BIF(erts_debug, same, 2)
{
    return bool_make(arg[0] == arg[1]);
}

BIF(erts_debug, flat_size, 1)
{
    SLICED(p, EXP("erts_debug", "flat_size", 1));

    return uint64_make(p, term_flat_size(arg[0]));
}

BIF(erts_debug, interpreter_size, 0)
{
    return small_make(0);
}

/* heap_binary, or {refc_binary, Size, {binary, Allocated}, Flags}. */
static term binary_info(struct proc *p, term t)
{
    if (!term_is_bitstring(t))
        return bif_badarg(p);
    t = bits_of(t).orig;
    if (!boxed_is(t, BOX_REFCBIN))
        return am_heap_binary;

    const struct refcbin_words *r = (const struct refcbin_words *)boxed_ptr(t);
    term size = uint64_make(p, r->size);
    term capacity = uint64_make(p, r->bin->capacity);
    term *hp = heap_alloc(p, 8);

    capacity = put_tuple2(&hp, am_binary, capacity);
    return put_tuple4(&hp, am_refc_binary, size, capacity,
                      small_make(header_aux(r->header)));
}

/* {N1, ..., Nn} */
static term counts_tuple(struct proc *p, const size_t *counts, size_t n)
{
    term *hp = heap_alloc(p, 1 + n), *tuple = hp;

    tuple[0] = TUPLE_HEADER(n);
    for (size_t i = 0; i < n; i++)
        tuple[1 + i] = small_make((int64_t)counts[i]);
    return boxed_make(tuple);
}

/*
 * erts_debug:map_info(HashMap) -> [{depth, D}, {arrays, Full, []}, {bitmaps, Nodes,
 * ByChildren}, {leafs, Pairs, ByDepth}]. OTP's full nodes have no bitmap.
 */
BIF(erts_debug, map_info, 1)
{
    struct map_shape shape;
    size_t depth = 0, nodes = 0;
    term ways, leaves, list = TERM_NIL;

    if (!term_is_map(arg[0])) {
        term *hp = heap_alloc(p, 3);

        return bif_error(p, put_tuple2(&hp, am_badmap, arg[0]));
    }
    if (!map_shape(arg[0], &shape))
        return bif_badarg(p);
    for (size_t i = 0; i <= MAP_DEPTH; i++)
        depth = shape.leaves[i] ? i : depth;
    for (size_t i = 0; i < 15; i++)
        nodes += shape.ways[i];
    ways = counts_tuple(p, shape.ways, 15);
    leaves = counts_tuple(p, shape.leaves, 16);

    term *hp = heap_alloc(p, 3 * 4 + 3 + 4 * CONS_WORDS), t;

    t = put_tuple3(&hp, am_leafs, small_make((int64_t)map_size(arg[0])), leaves);
    list = put_cons(&hp, t, list);
    t = put_tuple3(&hp, am_bitmaps, small_make((int64_t)nodes), ways);
    list = put_cons(&hp, t, list);
    t = put_tuple3(&hp, am_arrays, small_make((int64_t)shape.ways[15]), TERM_NIL);
    list = put_cons(&hp, t, list);
    t = put_tuple2(&hp, am_depth, small_make((int64_t)depth));
    return put_cons(&hp, t, list);
}

/* A magic reference that owns nothing but itself. */
static void empty_free(struct resource *r)
{
    vm_free(r);
}

static term make_magic(struct proc *p)
{
    struct resource *r = vm_zalloc(ALLOC_BINARY, sizeof *r);
    struct dest d = {heap_alloc(p, MAGIC_WORDS), &p->heap.off};

    *r = (struct resource){.refc = 1, .free = empty_free, .type = &empty_free};
    return build_tuple2(p, magic_put(&d, r), uint64_make(p, (uintptr_t)r));
}

/* {Address, References, IsEmpty}; else: is it what was once a magic one? */
static term magic_info(struct proc *p, term t)
{
    const struct resource *r;

    if (boxed_is(t, BOX_REF))
        return bool_make(magic_number(ref_numbers(t)));
    if (!boxed_is(t, BOX_MAGIC))
        return am_false;
    r = ((const struct magic_words *)boxed_ptr(t))->res;
    return build_tuple3(p, uint64_make(p, (uintptr_t)r), uint64_make(p, (uint64_t)r->refc),
                        bool_make(r->type == &empty_free));
}

/* p's collections that can wait are switched on or off; how it was. */
static term gc_state(struct proc *p, bool on)
{
    bool was_on = !(p->flags & PF_NO_GC);

    p->flags |= PF_NO_GC;
    if (on) {
        p->flags &= ~(uint32_t)PF_NO_GC;
        p->heap.want_gc |= !was_on;
        task_release(p);
    }
    return bool_make(was_on);
}

/* The count-th integer that a thread makes. */
static term make_unique(struct proc *p, term thread, term count)
{
    uint64_t i, n;
    __int128 v;
    term *hp, t;

    if (!term_to_uint64(thread, &i) || !term_to_uint64(count, &n) ||
        i >> UNIQUE_THREAD_BITS)
        return bif_badarg(p);
    v = unique_of((unsigned)i, n, false);
    if (v == (int64_t)v)
        return int64_make(p, (int64_t)v);
    hp = heap_alloc(p, big_bytes_words(sizeof v));
    t = big_put_bytes(&hp, (const uint8_t *)&v, sizeof v, false);
    heap_trim(p, hp);
    return t;
}

/*
 * OTP's tests look into the VM and push it about with these two. What has a
 * meaning here is done; waiting for other threads' work is done at once.
 */
BIF(erts_debug, get_internal_state, 1)
{
    term zero = small_make(0);

    if (arg[0] == am_available_internal_state)
        return bool_make(vm.info->internal_state);
    if (!vm.info->internal_state)
        return bif_error(p, am_undef);
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_binary_info)
        return binary_info(p, *tuple_at(arg[0], 2));
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_magic_ref)
        return magic_info(p, *tuple_at(arg[0], 2));
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_internal_hash)
        return small_make(term_internal_hash(*tuple_at(arg[0], 2)));
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_process_status) {
        struct proc *q = proc_find_any(*tuple_at(arg[0], 2));

        return q ? procinfo_status(q) : am_undefined;
    }
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_link_list)
        return links_records(p, *tuple_at(arg[0], 2));
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_monitor_list)
        return monitors_records(p, *tuple_at(arg[0], 2));
    if (term_is_tuple_of(arg[0], 2) && *tuple_at(arg[0], 1) == am_atom) {
        term i = *tuple_at(arg[0], 2);

        return term_is_small(i) && small_value(i) >= 0 &&
                       (uint64_t)small_value(i) < atom_count()
                   ? atom_from_index((uint32_t)small_value(i))
                   : bif_badarg(p);
    }
    if (term_is_tuple_of(arg[0], 3) && *tuple_at(arg[0], 1) == am_make_unique_integer)
        return make_unique(p, *tuple_at(arg[0], 2), *tuple_at(arg[0], 3));
    switch (arg[0]) {
    case am_node_and_dist_references:
        return node_references_term(p);
    case am_next_pid:
        return small_make(proc_next_number(false, 0));
    case am_next_port:
        return small_make(port_next_number(false, 0));
    case am_process_info_args:
        return procinfo_items(p);
    case am_processes:
        return processes_at_once(p);
    case am_processes_bif_info:
        return processes_info(p);
    case am_reds_left:
        return small_make(p->reds_left);
    case am_stack_check:
        return small_make((int64_t)re_stack_check());
    case am_memory:
        return bif_trap(p, EXP("erlang", "memory", 0), NULL, 0);
    case am_check_io_debug:
        return build_tuple4(p, zero, zero, zero, zero);
    case am_nbalance:
        return zero;
    case am_force_heap_frags:
    case am_scheduler_dump:
        return am_false;
    case am_flxctr_memory_usage:        /* of counters per scheduler */
        return am_notsup;
    case am_persistent_term: {
        term table[2] = { am_table, uint64_make(p, persistent_term_buckets()) };

        return map_from_pairs(p, table, 1);
    }
    default:
        return bif_unimplemented(p, "erts_debug:get_internal_state/1");
    }
}

/*
 * A signal to a process that takes so many milliseconds to handle. Signals are
 * handled where they are sent, at once: nothing else happens meanwhile.
 */
static term block_signals(struct proc *p, term pid, term ms)
{
    uint64_t from = os_mono_ns();
    int64_t n;

    if (!term_is_local_pid(pid) || !term_to_int64(ms, &n))
        return bif_badarg(p);
    if (!proc_find(pid))
        return am_false;
    while (n > 0 && (os_mono_ns() - from) / 1000000 < (uint64_t)n)
        ;
    return am_true;
}

BIF(erts_debug, set_internal_state, 2)
{
    struct proc *q;
    int64_t n;

    if (arg[0] == am_available_internal_state && term_is_bool(arg[1])) {
        bool old = vm.info->internal_state;

        vm.info->internal_state = arg[1] == am_true;
        return bool_make(old);
    }
    if (!vm.info->internal_state)
        return bif_error(p, am_undef);
    switch (arg[0]) {
    case am_make:
        return arg[1] == am_magic_ref ? make_magic(p) : bif_badarg(p);
    case am_node_tab_delayed_delete:
        /* Nodes nobody refers to are not kept for a while: 0, or as ever. */
        if (arg[1] != small_make(0) && arg[1] != small_make(-1))
            return bif_badarg(p);
        return am_ok;
    case am_test_long_gc_sleep:
        if (!term_is_small(arg[1]) || small_value(arg[1]) < 0)
            return bif_badarg(p);
        vm.sysmon->test_gc_sleep_ms = (uint64_t)small_value(arg[1]);
        return am_true;
    case am_next_port:
        if (!term_is_small(arg[1]) || small_value(arg[1]) < 0)
            return bif_badarg(p);
        return small_make(port_next_number(true, (uint32_t)small_value(arg[1])));
    case am_process_uniq_counter:
        if (!term_to_int64(arg[1], &n))
            return bif_badarg(p);
        msg_marker_count(p, (uint64_t)n);
        return am_ok;
    case am_multizero_timeout_in_timeout:
        if (!term_is_small(arg[1]))
            return bif_badarg(p);
        timer_chain_start(p, small_value(arg[1]) < 0 ? 0 : (uint64_t)small_value(arg[1]));
        return am_ok;
    case am_next_pid:
        if (!term_is_small(arg[1]) || small_value(arg[1]) < 0)
            return bif_badarg(p);
        return small_make(proc_next_number(true, (uint32_t)small_value(arg[1])));
    case am_reds_left:
        if (!term_is_small(arg[1]))
            return bif_badarg(p);
        p->reds_left = small_value(arg[1]) > SLICE_REDS ? SLICE_REDS
                       : small_value(arg[1]) < 0        ? 0
                                                 : (int32_t)small_value(arg[1]);
        return am_true;
    case am_gc_state:
        return term_is_bool(arg[1]) ? gc_state(p, arg[1] == am_true) : bif_badarg(p);
    case am_wait:
        if (arg[1] == am_aux_work) {
            /* Resources of NIFs end between slices. */
            sched_look();
            arg[1] = am_deallocations;
            return bif_yield(p);
        }
        if (arg[1] != am_deallocations && arg[1] != am_timer_cancellations &&
            arg[1] != am_thread_progress)
            return bif_badarg(p);
        return am_ok;
    case am_force_gc:
        q = proc_find(arg[1]);
        if (!q)
            return am_false;
        q->heap.want_gc = q->heap.want_full = true;
        return am_true;
    case am_proc_sig_buffers:
        return am_false;
    case am_proc_sig_block:
        return term_is_tuple_of(arg[1], 2) ? block_signals(p, *tuple_at(arg[1], 1),
                                                           *tuple_at(arg[1], 2))
                                           : bif_badarg(p);
    case am_unicode_loop_limit:
    case am_re_loop_limit:
    case am_binary_loop_limit:
        /* How long slices are: ours are what reductions are left. */
        return small_make(0);
    case am_ets_force_trap:             /* of builds made to look for bugs */
        return am_notsup;
    case am_mbuf:
        return arg[1];
    case am_code_write_permission:
        if (!term_is_bool(arg[1]))
            return bif_badarg(p);
        if (arg[1] == am_true)
            return purge_seize(p) ? am_true : bif_yield(p);
        purge_unseize();
        return am_true;
    case am_inconsistent_heap:
        /* Until a second call, with what this gave: a tuple, which is sound here. */
        if (arg[1] != am_start && !term_is_tuple(arg[1]))
            return bif_badarg(p);
        gc_state(p, arg[1] != am_start);
        return arg[1] == am_start ? build_tuple2(p, am_ok, am_ok) : am_ok;
    default:
        return bif_unimplemented(p, "erts_debug:set_internal_state/2");
    }
}

#define UNIMPLEMENTED(m, f, a)                                                 \
    {                                                                          \
        return bif_unimplemented(p, #m ":" #f "/" #a);                         \
    }

/* Native code is not disassembled, says OTP's JIT too. */
BIF(erts_debug, disassemble, 1)
{
    return am_false;
}


/* Names of instructions: those of .beam files. */
BIF(erts_debug, instructions, 0)
{
    term list = TERM_NIL, *hp;

    for (uint32_t op = genop_last(); op > 0; op--) {
        const char *name = genop_name(op);
        term chars = bif_string(p, name, strlen(name));

        hp = heap_alloc(p, CONS_WORDS);
        list = put_cons(&hp, chars, list);
    }
    return list;
}

/* Counting of locks: what an OTP without it answers. */
BIF(erts_debug, lcnt_control, 1)
{
    return bif_badarg(p);
}
BIF(erts_debug, lcnt_control, 2)
{
    return bif_badarg(p);
}
BIF(erts_debug, lcnt_collect, 0)
{
    return am_error;
}
BIF(erts_debug, lcnt_clear, 0)
{
    return am_error;
}
