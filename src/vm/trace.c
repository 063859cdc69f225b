/*
 * trace.c - tracers, tracees, and the events that are not calls: trace.h.
 */
#include "vm/trace.h"

#include "bif/info.h"
#include "io/io.h"
#include "io/port.h"
#include "op/code.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/clock.h"
#include "vm/exc.h"
#include "vm/ext.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/map.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/sched.h"
#include "vm/unique.h"

/*
 * A tracer may be traced by its own tracee: what telling makes them tell each
 * other ends here.
 */
#define DEPTH_MAX 4

void trace_init(void)
{
    vm.trace = vm_zalloc(ALLOC_SYSTEM, sizeof *vm.trace);
}

/* ---- tracers ---- */

static struct tracer *tracer_new(term module, term state)
{
    struct tracer *t = vm_zalloc(ALLOC_SYSTEM, sizeof *t);

    t->refc = 1;
    t->module = module;
    t->state = state;
    if (!term_is_imm(state)) {
        size_t words = term_size(state);
        struct dest d;

        t->frag = mbuf_new(words);
        d = (struct dest){t->frag->words, &t->frag->off};
        t->state = term_copy(&d, state);
        t->frag->used = words;
    }
    return t;
}

struct tracer *tracer_get(struct tracer *t)
{
    if (t)
        t->refc++;
    return t;
}

void tracer_put(struct tracer *t)
{
    if (!t || --t->refc > 0)
        return;
    mbuf_free(t->frag);
    vm_free(t);
}

bool tracer_same(const struct tracer *a, const struct tracer *b)
{
    return a == b || (a && b && a->module == b->module && term_eq(a->state, b->state));
}

static bool is_process_or_port(term t)
{
    return term_is_local_pid(t) || term_is_local_port(t);
}

bool tracer_parse(term t, term tag, struct tracer **out)
{
    term module = am_erl_tracer, state = t;

    *out = NULL;
    if (tag == THE_NON_VALUE && term_is_tuple_of(t, 2) && term_is_atom(*tuple_at(t, 1))) {
        module = *tuple_at(t, 1);
        state = *tuple_at(t, 2);
    } else if (tag != THE_NON_VALUE && term_is_tuple_of(t, 2) && *tuple_at(t, 1) == tag) {
        state = *tuple_at(t, 2);
        if (term_is_nil(state))
            return true;
    } else if (tag != THE_NON_VALUE && term_is_tuple_of(t, 3) &&
               *tuple_at(t, 1) == tag && term_is_atom(*tuple_at(t, 2))) {
        module = *tuple_at(t, 2);
        state = *tuple_at(t, 3);
    }
    if (module == am_erl_tracer ? !is_process_or_port(state)
                                : !nif_function(module, "trace", 5) ||
                                      !nif_function(module, "enabled", 3))
        return false;
    *out = tracer_new(module, state);
    return true;
}

term tracer_term(struct proc *p, const struct tracer *t)
{
    if (!t)
        return TERM_NIL;
    if (t->module == am_erl_tracer)
        return t->state;

    term state = term_copy_to(p, t->state), *hp = heap_alloc(p, 3);
    return put_tuple2(&hp, t->module, state);
}

static const struct {
    const char *enabled, *trace;
} names[] = {
    [TRACER_ANY] = {"enabled", "trace"},
    [TRACER_SEND] = {"enabled_send", "trace_send"},
    [TRACER_RECEIVE] = {"enabled_receive", "trace_receive"},
    [TRACER_CALL] = {"enabled_call", "trace_call"},
    [TRACER_RUNNING_PROCS] = {"enabled_running_procs", "trace_running_procs"},
    [TRACER_RUNNING_PORTS] = {"enabled_running_ports", "trace_running_ports"},
    [TRACER_GC] = {"enabled_garbage_collection", "trace_garbage_collection"},
    [TRACER_PROCS] = {"enabled_procs", "trace_procs"},
    [TRACER_PORTS] = {"enabled_ports", "trace_ports"},
};

term tracer_enabled(const struct tracer *t, enum tracer_fn fn, term tag, term id)
{
    const struct nif_func *f;
    term args[3] = {tag, t->state, id}, says;

    if (t->module == am_erl_tracer) {
        bool alive = term_is_local_pid(t->state) ? proc_find(t->state) != NULL
                                                 : port_find(t->state) != NULL;

        if (tag == am_trace_status)
            return alive ? am_trace : am_remove;
        return alive && t->state != id ? am_trace : am_discard;
    }
    f = nif_function(t->module, names[fn].enabled, 3);
    if (!f)
        f = nif_function(t->module, names[TRACER_ANY].enabled, 3);
    if (!f)
        return tag == am_trace_status ? am_remove : am_discard;
    says = nif_call_detached(f, args);
    if (tag == am_trace_status)
        return says == am_remove || says == THE_NON_VALUE ? am_remove : am_trace;
    return says == am_trace ? am_trace : am_discard;
}

bool tracer_alive(const struct tracer *t, term id)
{
    return t && tracer_enabled(t, TRACER_ANY, am_trace_status, id) == am_trace;
}

/* ---- telling ---- */




term trace_stamp(term **hp, uint32_t flags)
{
    if (flags & TF_TIMESTAMP) {
        int64_t us = vm.trace->cpu_time ? (int64_t)(os_cpu_ns() / 1000) : clock_now_us();
        int64_t s = us / 1000000;

        return put_tuple3(hp, small_make(s / 1000000), small_make(s % 1000000),
                          small_make(us % 1000000));
    }
    term t = small_make(clock_monotonic_ns());

    return flags & TF_STRICT_MONOTONIC
               ? put_tuple2(hp, t, small_make(unique_next(true, false)))
               : t;
}

#define TF_STAMPS (TF_TIMESTAMP | TF_STRICT_MONOTONIC | TF_MONOTONIC)

void trace_to_port(struct port *port, term message)
{
    struct ext_buf b;

    ext_buf_init(&b);
    b.data[b.n++] = EXT_VERSION;
    if (ext_encode(&b, message, 0) && port->driver->output) {
        port->bytes_out += b.n;
        port->driver->output(port, b.data, b.n);
    }
    ext_buf_fini(&b);
}

/* {trace, Id, Tag, What, ...} as OTP's erl_tracer makes it. */
static void tell(const struct tracer *t, uint32_t flags, term id, term tag, term what,
                 term extra, term result)
{
    struct proc *to = term_is_local_pid(t->state) ? proc_find(t->state) : NULL;
    struct port *port = to ? NULL : port_find(t->state);
    size_t words = term_size(id) + term_size(what) + 9 + TRACE_STAMP_WORDS, n = 0;
    struct mbuf *frag;
    struct dest d;
    term *tuple;

    if (!to && !port)
        return;
    if (extra != THE_NON_VALUE)
        words += term_size(extra);
    words += term_size(result);
    frag = mbuf_new(words);
    d = (struct dest){frag->words + 9, &frag->off};
    tuple = frag->words;
    if (tag == am_seq_trace) {
        tuple[++n] = tag;
        tuple[++n] = term_copy(&d, id);
    } else {
        tuple[++n] = flags & TF_STAMPS ? am_trace_ts : am_trace;
        tuple[++n] = id;
        tuple[++n] = tag;
    }
    tuple[++n] = term_copy(&d, what);
    if (extra != THE_NON_VALUE)
        tuple[++n] = term_copy(&d, extra);
    if (result != am_true)
        tuple[++n] = term_copy(&d, result);
    if (flags & TF_SCHEDULER_ID)
        tuple[++n] = small_make(1);
    if (flags & TF_STAMPS)
        tuple[++n] = trace_stamp(&d.htop, flags);
    tuple[0] = TUPLE_HEADER(n);
    /* What the tuple could have had more is a hole of smalls. */
    for (size_t i = n + 1; i < 9; i++)
        tuple[i] = small_make(0);
    frag->used = (size_t)(d.htop - frag->words);
    if (to) {
        msg_send_mbuf(to, frag, boxed_make(tuple));
    } else {
        trace_to_port(port, boxed_make(tuple));
        mbuf_free(frag);
    }
}

/* The options of a tracer module's trace function, a flat map: keys in order. */
static term options(term *at, uint32_t flags, term extra, term result)
{
    struct { term key, value; } o[4];
    size_t n = 0;

    if (extra != THE_NON_VALUE)
        o[n].key = am_extra, o[n++].value = extra;
    if (result != am_true)
        o[n].key = am_match_spec_result, o[n++].value = result;
    if (flags & TF_SCHEDULER_ID)
        o[n].key = am_scheduler_id, o[n++].value = small_make(1);
    if (flags & TF_STAMPS) {
        o[n].key = am_timestamp;
        o[n++].value = !(flags & TF_TIMESTAMP)
                           ? flags & TF_STRICT_MONOTONIC ? am_strict_monotonic : am_monotonic
                       : vm.trace->cpu_time ? am_cpu_timestamp
                                            : am_timestamp;
    }
    at[0] = TUPLE_HEADER(n);
    at[n + 1] = MAP_HEADER(n);
    at[n + 2] = boxed_make(at);
    for (size_t i = 0; i < n; i++) {
        at[1 + i] = o[i].key;
        at[n + 3 + i] = o[i].value;
    }
    return boxed_make(at + n + 1);
}

void tracer_tell(const struct tracer *t, uint32_t flags, struct proc *tracee, term id,
                 enum tracer_fn fn, term tag, term what, term extra, term result)
{
    if (vm.trace->depth >= DEPTH_MAX)
        return;
    vm.trace->depth++;
    if (t->module == am_erl_tracer) {
        tell(t, flags, id, tag, what, extra, result);
    } else {
        const struct nif_func *f = nif_function(t->module, names[fn].trace, 5);
        term map[11], args[5] = {tag, t->state, id, what,
                                 options(map, flags, extra, result)};

        if (!f)
            f = nif_function(t->module, names[TRACER_ANY].trace, 5);
        if (f)
            nif_call_detached(f, args);
    }
    vm.trace->depth--;
}

/* ---- tracees ---- */

struct traced *traced_of(struct proc *p)
{
    if (!p->traced)
        p->traced = vm_zalloc(ALLOC_PROC, sizeof *p->traced);
    return p->traced;
}

void trace_proc_free(struct proc *p)
{
    if (p->traced) {
        tracer_put(p->traced->t.tracer);
        vm_free(p->traced);
    }
}

void trace_refresh(struct proc *p)
{
    p->trace = p->traced && !(p->flags & PF_SENSITIVE) ? p->traced->t.flags : 0;
    if (!term_is_nil(p->seq_token))
        p->trace |= TF_TOKEN;
}

static void tracee_set(struct tracee *t, uint32_t flags, struct tracer *tracer)
{
    struct tracer *old = t->tracer;

    t->flags = flags;
    t->tracer = flags ? tracer_get(tracer) : NULL;
    tracer_put(old);
}

bool trace_set(struct proc *p, uint32_t flags, struct tracer *tracer)
{
    bool differs;

    if (!tracer)
        flags = 0;
    if (flags == 0)
        tracer = NULL;
    if (!p->traced && flags == 0)
        return false;
    differs = traced_of(p)->t.flags != flags || !tracer_same(p->traced->t.tracer, tracer);
    tracee_set(&p->traced->t, flags, tracer);
    trace_refresh(p);
    return differs;
}

bool tracee_check(struct tracee *t, term id)
{
    if (t->flags && !tracer_alive(t->tracer, id))
        tracee_set(t, 0, NULL);
    return t->flags != 0;
}

void trace_check(struct proc *p)
{
    if (p->traced && p->traced->t.flags && !tracer_alive(p->traced->t.tracer, p->id))
        trace_set(p, 0, NULL);
}

static const uint32_t set_on_link = TF_SET_ON_LINK | TF_SET_ON_FIRST_LINK;
static const uint32_t set_on_spawn = TF_SET_ON_SPAWN | TF_SET_ON_FIRST_SPAWN;

/* The parent's flags go to the child; the first of its children ends that. */
static void pass_on(struct proc *from, struct proc *to, uint32_t set, uint32_t first)
{
    struct tracee *t = &from->traced->t;
    uint32_t flags = t->flags | (to->traced ? to->traced->t.flags : 0);

    if (t->flags & first) {
        flags &= ~set;
        trace_set(to, flags, t->tracer);
        trace_set(from, t->flags & ~set, t->tracer);
    } else {
        trace_set(to, flags, t->tracer);
    }
}

void trace_inherit(struct proc *p, struct proc *parent, bool link)
{
    struct tracee *all = &vm.trace->new_procs;

    if (all->flags && tracee_check(all, am_undefined))
        trace_set(p, all->flags, all->tracer);
    if (!parent || !parent->traced || !parent->traced->t.flags)
        return;
    if (parent->trace & set_on_spawn)
        pass_on(parent, p, set_on_spawn, TF_SET_ON_FIRST_SPAWN);
    if (link && parent->trace & set_on_link)
        pass_on(parent, p, set_on_link, TF_SET_ON_FIRST_LINK);
}

static const struct {
    term name;
    uint32_t flag;
} flag_names[] = {
    {am_timestamp, TF_TIMESTAMP},
    {am_strict_monotonic_timestamp, TF_STRICT_MONOTONIC},
    {am_monotonic_timestamp, TF_MONOTONIC},
    {am_send, TF_SEND},
    {am_receive, TF_RECEIVE},
    {am_set_on_spawn, TF_SET_ON_SPAWN},
    {am_call, TF_CALL},
    {am_procs, TF_PROCS},
    {am_set_on_first_spawn, TF_SET_ON_FIRST_SPAWN},
    {am_set_on_link, TF_SET_ON_LINK},
    {am_set_on_first_link, TF_SET_ON_FIRST_LINK},
    {am_running, TF_RUNNING},
    {am_exiting, TF_EXITING},
    {am_garbage_collection, TF_GC},
    {am_arity, TF_ARITY},
    {am_return_to, TF_RETURN_TO},
    {am_silent, TF_SILENT},
    {am_scheduler_id, TF_SCHEDULER_ID},
    {am_ports, TF_PORTS},
    {am_running_ports, TF_RUNNING_PORTS},
    {am_running_procs, TF_RUNNING_PROCS},
};
#define FLAG_NAMES (sizeof flag_names / sizeof *flag_names)

uint32_t trace_flag(term name)
{
    if (name == am_all)
        return TF_ALL;
    for (size_t i = 0; i < FLAG_NAMES; i++)
        if (flag_names[i].name == name)
            return flag_names[i].flag;
    return 0;
}

bool trace_flags_parse(term l, uint32_t *flags, struct tracer **tracer, bool *cpu)
{
    struct tracer *found = NULL, *t;
    uint32_t mask = 0;

    *cpu = false;
    for (; term_is_cons(l); l = cons_tail(l)) {
        term item = cons_head(l);

        if (item == am_cpu_timestamp) {
            *cpu = true;
        } else if (term_is_atom(item) && trace_flag(item)) {
            mask |= trace_flag(item);
        } else if (term_is_tuple(item) && tracer_parse(item, am_tracer, &t)) {
            tracer_put(found);
            found = t;
        } else {
            tracer_put(found);
            return false;
        }
    }
    if (!term_is_nil(l)) {
        tracer_put(found);
        return false;
    }
    if (mask)
        *flags = mask;
    if (found) {
        tracer_put(*tracer);
        *tracer = found;
    }
    return true;
}

term trace_flags_list(struct proc *p, uint32_t flags)
{
    term list = TERM_NIL, *hp = heap_alloc(p, FLAG_NAMES * CONS_WORDS);

    for (size_t i = 0; i < FLAG_NAMES; i++)
        if (flags & flag_names[i].flag)
            list = put_cons(&hp, flag_names[i].name, list);
    heap_trim(p, hp);
    return list;
}

/* ---- events ---- */

static bool wanted(struct proc *p, enum tracer_fn fn, term tag)
{
    return p->traced->t.tracer &&
           tracer_enabled(p->traced->t.tracer, fn, tag, p->id) == am_trace;
}

static void told(struct proc *p, enum tracer_fn fn, term tag, term what, term extra,
                 term result)
{
    tracer_tell(p->traced->t.tracer, p->traced->t.flags, p, p->id, fn, tag, what, extra,
                result);
}

/* What a pattern's run is about, and what its result may refer to. */
struct event {
    struct ms_run run;
    term tuple[4], cells[3 * CONS_WORDS];
};

/* What an event's pattern says of it: false, or what goes with the message. */
static term event_match(const struct trace_event *e, struct event *v, struct proc *p,
                        const term *args, size_t n)
{
    term list = TERM_NIL, *hp = v->cells, value;

    v->tuple[0] = TUPLE_HEADER(n);
    for (size_t i = n; i-- > 0;) {
        v->tuple[1 + i] = args[i];
        list = put_cons(&hp, args[i], list);
    }
    ms_run_init(&v->run, e->ms, p);
    return ms_match(&v->run, boxed_make(v->tuple), list, &value) ? value : am_false;
}

void trace_send(struct proc *p, term to, term message)
{
    const struct trace_event *e = &vm.trace->send;
    term tag = am_send, result = am_true, args[2] = {to, message};
    struct event v;

    if (e->off)
        return;
    if (e->ms) {
        result = event_match(e, &v, p, args, 2);
        if (result == am_false || !(p->trace & TF_ALL) || p->trace & TF_SILENT)
            goto done;
    }
    if (term_is_local_pid(to) ? !proc_find(to)
                              : boxed_is(to, BOX_EXTPID) &&
                                    ((const struct ext_words *)boxed_ptr(to))->node->name ==
                                        node_name())
        tag = am_send_to_non_existing_process;
    if (wanted(p, TRACER_SEND, tag))
        told(p, TRACER_SEND, tag, message, to, result);
done:
    if (e->ms)
        ms_run_fini(&v.run);
}

void trace_receive(struct proc *p, term from, term message)
{
    const struct trace_event *e = &vm.trace->receive;
    term result = am_true;
    bool named = term_is_atom(from);
    term args[3] = {named ? from : node_name(), named ? am_undefined : from, message};
    struct event v;

    if (e->off)
        return;
    if (e->ms) {
        result = event_match(e, &v, p, args, 3);
        if (result == am_false || !p->trace || p->trace & TF_SILENT)
            goto done;
    }
    if (wanted(p, TRACER_RECEIVE, am_receive))
        told(p, TRACER_RECEIVE, am_receive, message, THE_NON_VALUE, result);
done:
    if (e->ms)
        ms_run_fini(&v.run);
}

void trace_proc(struct proc *p, term what, term data)
{
    if (wanted(p, TRACER_PROCS, what))
        told(p, TRACER_PROCS, what, data, THE_NON_VALUE, am_true);
}

void trace_spawn(struct proc *p, term what, term pid, term m, term f, term args)
{
    term mfa[4] = {TUPLE_HEADER(3), m, f, args};

    if (wanted(p, TRACER_PROCS, what))
        told(p, TRACER_PROCS, what, pid, boxed_make(mfa), am_true);
}

term trace_where(struct proc *p, code_ptr pc, term mfa[4])
{
    struct code *c = code_find(pc);
    struct func *f = c ? code_func(c, pc) : NULL;
    const struct export *e = f ? NULL : code_stub_export(pc);

    if (p->current && pc == p->pc) {
        e = p->current;
        f = NULL;
    }
    /* A BIF goes on somewhere of our own: who called it. These OTP has too. */
    if (e && e->flags & EXPORT_BIF && info_own_bif(e) && e->f != am_re_run_trap &&
        e->f != am_ptab_list_continue) {
        pc = (code_ptr)(uintptr_t)*p->heap.stop - 1;
        c = code_find(pc);
        f = c ? code_func(c, pc) : NULL;
    }
    if (p->state == PROC_EXITING)
        return small_make(0);
    mfa[0] = TUPLE_HEADER(3);
    if (p->flags & PF_HIBERNATED || pc == code_apply_stub) {
        mfa[1] = p->arg[0];
        mfa[2] = p->arg[1];
        mfa[3] = small_make(list_length(p->arg[2]));
        if (p->live != 3 || !term_is_atom(mfa[1]))
            return small_make(0);
    } else if (f) {
        mfa[1] = c->module;
        mfa[2] = f->f;
        mfa[3] = small_make(f->arity);
    } else if (e) {
        mfa[1] = e->m;
        mfa[2] = e->f;
        mfa[3] = small_make(e->arity);
    } else {
        return small_make(0);
    }
    return boxed_make(mfa);
}

void trace_running(struct proc *p, term what)
{
    term mfa[4];

    if (wanted(p, TRACER_RUNNING_PROCS, what))
        told(p, TRACER_RUNNING_PROCS, what, trace_where(p, p->pc, mfa), THE_NON_VALUE, am_true);
}

/* Facts of p's heap; a first one before them, unless its key is 0. */
static void tell_heap(struct proc *p, term what, struct heap_fact first)
{
    struct heap_fact f[1 + HEAP_FACTS];
    term at[(1 + HEAP_FACTS) * (3 + CONS_WORDS)], *hp = at, list = TERM_NIL;

    if (!wanted(p, TRACER_GC, what))
        return;
    f[0] = first;
    heap_facts(p, p->heap.mbuf_words, f + 1);
    for (size_t i = 1 + HEAP_FACTS; i-- > !first.key;) {
        term pair = put_tuple2(&hp, f[i].key, small_make((int64_t)f[i].value));

        list = put_cons(&hp, pair, list);
    }
    told(p, TRACER_GC, what, list, THE_NON_VALUE, am_true);
}

void trace_gc(struct proc *p, term what, size_t words)
{
    tell_heap(p, what, (struct heap_fact){am_wordsize, words});
}

void trace_gc_limit(struct proc *p)
{
    tell_heap(p, am_gc_max_heap_size, (struct heap_fact){0, 0});
}

void trace_tracee(struct tracee *t, term id, enum tracer_fn fn, term tag, term what,
                  term extra)
{
    if (tracee_check(t, id) && tracer_enabled(t->tracer, fn, tag, id) == am_trace)
        tracer_tell(t->tracer, t->flags, NULL, id, fn, tag, what, extra, am_true);
}
