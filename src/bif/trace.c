/*
 * trace.c - tracing and sequential tracing.
 *
 * Nothing can be traced yet: asking what is traced says nothing, turning
 * tracing off succeeds, turning it on is refused by name.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "io/port.h"
#include "vm/matchspec.h"
#include "vm/node.h"

/* How many tracees a specification names; -1: it is none. */
static int64_t tracees(term what)
{
    switch (what) {
    case am_all: case am_existing: return (int64_t)(proc_count() + port_count());
    case am_processes: case am_existing_processes: return (int64_t)proc_count();
    case am_ports: case am_existing_ports: return (int64_t)port_count();
    case am_new: case am_new_processes: case am_new_ports: return 0;
    }
    if (term_is_local_pid(what))
        return proc_find(what) ? 1 : -1;
    if (term_is_local_port(what))
        return port_find(what) ? 1 : -1;
    return -1;
}

static bool is_flag(term t)
{
    switch (t) {
    case am_all: case am_send: case am_receive: case am_procs: case am_ports:
    case am_call: case am_arity: case am_return_to: case am_silent:
    case am_running: case am_running_procs: case am_running_ports: case am_exiting:
    case am_garbage_collection: case am_scheduler_id: case am_timestamp:
    case am_cpu_timestamp: case am_monotonic_timestamp:
    case am_strict_monotonic_timestamp: case am_set_on_spawn:
    case am_set_on_first_spawn: case am_set_on_link: case am_set_on_first_link:
        return true;
    }
    return false;
}

/* {tracer, Pid | Port}, {tracer, Module, State}; the same with meta. */
static bool is_tracer(term t, term tag)
{
    if (term_is_tuple_of(t, 2)) {
        term to = *tuple_at(t, 2);

        return *tuple_at(t, 1) == tag &&
               (term_is_nil(to) || (term_is_local_pid(to) && proc_find(to)) ||
                (term_is_local_port(to) && port_find(to)));
    }
    return term_is_tuple_of(t, 3) && *tuple_at(t, 1) == tag &&
           term_is_atom(*tuple_at(t, 2));
}

static bool flags_ok(term l)
{
    for (; term_is_cons(l); l = cons_tail(l)) {
        if (!is_flag(cons_head(l)) && !is_tracer(cons_head(l), am_tracer))
            return false;
    }
    return term_is_nil(l);
}

BIF(erts_internal, trace, 3)
{
    int64_t n = tracees(arg[0]);

    if (!flags_ok(arg[2]))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (n < 0 || !term_is_bool(arg[1]))
        return bif_badarg(p);
    if (arg[1] == am_false)
        return small_make(n);
    return bif_unimplemented(p, "erlang:trace/3");
}

/* How many functions {M, F, A} names, '_' for any. */
static int64_t functions(term m, term f, term a)
{
    struct export *e;
    int64_t n = 0;

    for (size_t i = 0; (e = export_next(&i));)
        n += (m == am_Underscore || m == e->m) && (f == am_Underscore || f == e->f) &&
             (a == am_Underscore || a == small_make(e->arity)) && (e->entry || e->bif);
    return n;
}

static bool is_pattern(term t)
{
    struct ms *ms;

    if (term_is_bool(t) || term_is_nil(t) || t == am_restart || t == am_pause)
        return true;
    ms = ms_compile(t, MS_TRACE, NULL);
    if (ms)
        resource_put(&ms->res);
    return ms != NULL;
}

/* Options of trace_pattern: global goes with none of the others. */
static bool options_ok(term l)
{
    bool global = false, local = false;

    for (; term_is_cons(l); l = cons_tail(l)) {
        term t = cons_head(l);

        if (t == am_global)
            global = true;
        else if (t == am_local || t == am_meta || t == am_call_count ||
                 t == am_call_time || is_tracer(t, am_meta))
            local = true;
        else
            return false;
    }
    return term_is_nil(l) && !(global && local);
}

BIF(erts_internal, trace_pattern, 3)
{
    if (!is_pattern(arg[1]))
        return bif_error_cause(p, am_badarg, am_match_spec);
    if (!options_ok(arg[2]))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (arg[0] == am_on_load || arg[0] == am_send || arg[0] == am_receive)
        return arg[1] == am_false ? small_make(0)
                                  : bif_unimplemented(p, "erlang:trace_pattern/3");
    if (!term_is_tuple_of(arg[0], 3))
        return bif_error_cause(p, am_badarg, am_none);

    term m = *tuple_at(arg[0], 1), f = *tuple_at(arg[0], 2), a = *tuple_at(arg[0], 3);

    if (!term_is_atom(m) || !term_is_atom(f) ||
        (!term_is_small(a) && a != am_Underscore) ||
        (m == am_Underscore && f != am_Underscore) ||
        (f == am_Underscore && a != am_Underscore))
        return bif_error_cause(p, am_badarg, am_none);
    if (arg[1] == am_false)
        return small_make(functions(m, f, a));
    return bif_unimplemented(p, "erlang:trace_pattern/3");
}

BIF(erlang, trace_info, 2)
{
    term of = arg[0], what = arg[1];

    if (term_is_tuple_of(of, 3) || of == am_on_load) {
        bool there = of == am_on_load;

        if (what != am_traced && what != am_match_spec && what != am_meta &&
            what != am_meta_match_spec && what != am_call_count &&
            what != am_call_time && what != am_all)
            return bif_badarg(p);
        if (!there) {
            term a = *tuple_at(of, 3);

            if (!term_is_atom(*tuple_at(of, 1)) || !term_is_atom(*tuple_at(of, 2)) ||
                !term_is_small(a))
                return bif_badarg(p);
            there = functions(*tuple_at(of, 1), *tuple_at(of, 2), a) > 0;
        }
        return build_tuple2(p, what, there ? am_false : am_undefined);
    }
    if (term_is_tuple(of))
        return bif_badarg(p);
    if (of == am_send || of == am_receive)
        return what == am_match_spec ? build_tuple2(p, what, am_true) : bif_badarg(p);
    if (of != am_new && of != am_new_processes && of != am_new_ports) {
        if (!term_is_local_pid(of) && !term_is_local_port(of))
            return bif_error_cause(p, am_badarg, am_badopt);
        if (tracees(of) < 0)
            return what == am_flags || what == am_tracer || term_is_local_port(of)
                       ? am_undefined
                       : bif_badarg(p);
    }
    if (what != am_flags && what != am_tracer)
        return bif_badarg(p);
    return build_tuple2(p, what, TERM_NIL);
}

/* {trace_delivered, Tracee, Ref}: all of the nothing there was. */
BIF(erlang, trace_delivered, 1)
{
    uint64_t numbers[2];
    struct mbuf *frag;
    term *hp, ref, copy;

    if (!term_is_local_pid(arg[0]) && arg[0] != am_all)
        return bif_badarg(p);
    hp = heap_alloc(p, REF_WORDS);
    ref_next(numbers);
    ref = ref_put(&hp, numbers);
    frag = mbuf_new(REF_WORDS + 4);
    hp = frag->words;
    copy = ref_put(&hp, numbers);
    copy = put_tuple3(&hp, am_trace_delivered, arg[0], copy);
    frag->used = hp - frag->words;
    msg_send_mbuf(p, frag, copy);
    return ref;
}

/* ---- sequential tracing: every token is [] ---- */

static bool seq_item(term t)
{
    return t == am_label || t == am_serial || t == am_send || t == am_receive ||
           t == am_print || t == am_timestamp || t == am_monotonic_timestamp ||
           t == am_strict_monotonic_timestamp;
}

BIF(erlang, seq_trace, 2)
{
    if (arg[0] == am_sequential_trace_token)
        return term_is_nil(arg[1]) ? TERM_NIL
                                   : bif_unimplemented(p, "erlang:seq_trace/2");
    if (!seq_item(arg[0]))
        return bif_badarg(p);
    return bif_unimplemented(p, "erlang:seq_trace/2");
}

BIF(erlang, seq_trace_info, 1)
{
    return seq_item(arg[0]) ? TERM_NIL : bif_badarg(p);
}

BIF(erlang, seq_trace_print, 1)
{
    return am_false;
}

BIF(erlang, seq_trace_print, 2)
{
    return am_false;
}
