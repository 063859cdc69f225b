/*
 * trace.c - tracing of processes and ports: who is traced, for what; and the
 * BIFs of sequential tracing. Patterns of calls: trace_pattern.c.
 */
#include "vm/trace.h"

#include "bif/bif.h"
#include "bif/build.h"
#include "bif/trace.h"
#include "io/port.h"
#include "vm/log.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/seqtrace.h"

/* ---- erlang:trace/3 ---- */

struct change {
    bool on, cpu;
    uint32_t flags;
    struct tracer *tracer;      /* NULL: the one it has */
    int64_t matched;
};

/* False: another tracer has it. */
static bool may_trace(const struct tracee *t, const struct change *c, term id)
{
    return !c->tracer || !t->flags || tracer_same(t->tracer, c->tracer) ||
           !tracer_alive(t->tracer, id);
}

static uint32_t changed(uint32_t flags, const struct change *c)
{
    return c->on ? flags | c->flags : flags & ~c->flags;
}

static bool change_proc(struct proc *of, struct change *c)
{
    const struct tracee none = {0}, *t = of->traced ? &of->traced->t : &none;

    if (!may_trace(t, c, of->id))
        return false;
    trace_set(of, changed(t->flags, c), c->tracer ? c->tracer : t->tracer);
    c->matched++;
    return true;
}

/* Flags without a tracer are none. */
static void change_tracee(struct tracee *t, struct change *c)
{
    struct tracer *old = t->tracer;

    t->flags = changed(t->flags, c);
    if (c->tracer || !t->flags) {
        t->tracer = t->flags ? tracer_get(c->tracer) : NULL;
        tracer_put(old);
    }
    if (!t->tracer)
        t->flags = 0;
}

static bool change_port(struct port *of, struct change *c)
{
    if (!may_trace(&of->trace, c, of->id))
        return false;
    change_tracee(&of->trace, c);
    c->matched++;
    return true;
}

static void change_existing(term what, struct change *c)
{
    bool ports_only = what == am_ports || what == am_existing_ports;
    bool procs_only = what == am_processes || what == am_existing_processes;
    bool modifiers = c->flags & TF_MODIFIERS;
    bool procs = !ports_only && (c->flags & (TF_OF_PROCS & ~TF_MODIFIERS) || modifiers);
    bool ports = !procs_only && (c->flags & (TF_OF_PORTS & ~TF_MODIFIERS) || modifiers);
    struct proc *p;
    struct port *port;

    for (size_t i = 0; procs && (p = proc_next(&i));)
        change_proc(p, c);
    for (port = ports ? port_next(NULL) : NULL; port; port = port_next(port))
        change_port(port, c);
}

static void change_new(struct tracee *t, struct change *c, uint32_t mask)
{
    struct change masked = *c;

    masked.flags &= mask;
    if (masked.flags) {
        change_tracee(t, &masked);
        if (t->flags)
            tracee_check(t, am_undefined);
    }
}

/* What a name means; false: nothing. */
static bool change_all(term what, struct change *c)
{
    bool all = what == am_all || what == am_processes || what == am_ports;
    bool now = all || what == am_existing || what == am_existing_processes ||
               what == am_existing_ports;
    bool later = all || what == am_new || what == am_new_processes || what == am_new_ports;

    if (now)
        change_existing(what, c);
    if (later && what != am_ports && what != am_new_ports)
        change_new(&vm.trace->new_procs, c, TF_OF_PROCS);
    if (later && what != am_processes && what != am_new_processes)
        change_new(&vm.trace->new_ports, c, TF_OF_PORTS);
    if (c->cpu && what == am_all)
        vm.trace->cpu_time = c->on;
    return now || later;
}

static bool change(struct proc *p, term what, struct change *c)
{
    bool known, done;

    if (term_is_local_pid(what)) {
        struct proc *of = proc_find(what);

        known = of && !c->cpu;
        done = known && change_proc(of, c);
    } else if (term_is_local_port(what)) {
        struct port *of = port_find(what);

        known = of && !c->cpu;
        done = known && change_port(of, c);
    } else {
        return !(c->cpu && what != am_all) && change_all(what, c);
    }
    if (known && !done) {
        static const char text[] = "** can only have one tracer per process\n";

        log_text(am_error, p->group_leader, text, sizeof text - 1);
    }
    return done;
}

BIF(erts_internal, trace, 3)
{
    struct change c = {.on = arg[1] == am_true};
    bool ok;

    if (!trace_flags_parse(arg[2], &c.flags, &c.tracer, &c.cpu))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (!term_is_bool(arg[1])) {
        tracer_put(c.tracer);
        return bif_badarg(p);
    }
    if (c.on && !c.tracer)
        tracer_parse(p->id, THE_NON_VALUE, &c.tracer);
    ok = change(p, arg[0], &c);
    tracer_put(c.tracer);
    return ok ? small_make(c.matched) : bif_badarg(p);
}

/* ---- trace_info/2 of tracees ---- */

static term tracee_info(struct proc *p, const struct tracee *t, term key)
{
    if (key == am_flags)
        return build_tuple2(p, key, trace_flags_list(p, t->flags));
    if (key == am_tracer)
        return build_tuple2(p, key, tracer_term(p, t->tracer));
    return bif_badarg(p);
}

term trace_info_tracee(struct proc *p, term of, term key)
{
    static const struct tracee none;

    if (of == am_new || of == am_new_processes) {
        tracee_check(&vm.trace->new_procs, am_undefined);
        return tracee_info(p, &vm.trace->new_procs, key);
    }
    if (of == am_new_ports) {
        tracee_check(&vm.trace->new_ports, am_undefined);
        return tracee_info(p, &vm.trace->new_ports, key);
    }
    if (term_is_local_port(of)) {
        struct port *port = port_find(of);

        if (!port)
            return am_undefined;
        tracee_check(&port->trace, of);
        return tracee_info(p, &port->trace, key);
    }
    if (term_is_local_pid(of)) {
        struct proc *q = proc_find(of);

        if (key != am_flags && key != am_tracer)
            return bif_badarg(p);
        if (!q)
            return am_undefined;
        trace_check(q);
        return tracee_info(p, q->traced ? &q->traced->t : &none, key);
    }
    if (boxed_is(of, BOX_EXTPID) &&
        ((const struct ext_words *)boxed_ptr(of))->node->name == node_name())
        return am_undefined;
    return bif_error_cause(p, am_badarg, am_badopt);
}

/* {trace_delivered, Tracee, Ref}: whatever was told has been delivered. */
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
    frag->used = (size_t)(hp - frag->words);
    msg_send_mbuf(p, frag, copy);
    return ref;
}

/* ---- OTP's tracer module ---- */

/* May this be traced? trace, discard, or remove: the tracer is gone. */
NIF(erl_tracer, enabled, 3)
{
    struct tracer t = {.module = am_erl_tracer, .state = arg[1]};

    if (!term_is_local_pid(arg[1]) && !term_is_local_port(arg[1]))
        return arg[0] == am_trace_status ? am_remove : am_discard;
    return tracer_enabled(&t, TRACER_ANY, arg[0], arg[2]);
}

NIF(erl_tracer, trace, 5)
{
    return bif_badarg(p);
}

/* ---- sequential tracing ---- */

BIF(erlang, seq_trace, 2)
{
    term old = seq_trace_set(p, arg[0], arg[1]);

    return old == THE_NON_VALUE ? bif_badarg(p) : old;
}

BIF(erlang, seq_trace_info, 1)
{
    term t = seq_trace_info(p, arg[0]);

    return t == THE_NON_VALUE ? bif_badarg(p) : t;
}

BIF(erlang, seq_trace_print, 1)
{
    return bool_make(seq_trace_print(p, THE_NON_VALUE, arg[0]));
}

BIF(erlang, seq_trace_print, 2)
{
    return bool_make(seq_trace_print(p, arg[0], arg[1]));
}
