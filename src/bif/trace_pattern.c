/*
 * trace_pattern.c - which calls are traced: erlang:trace_pattern/2,3, and
 * trace_info/2 of functions and events.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "bif/trace.h"
#include "op/break.h"
#include "vm/big.h"
#include "vm/ops.h"
#include "vm/trace.h"

enum how { OFF, ON, RESTART, PAUSE };

/* trace_pattern's arguments. */
struct pattern {
    enum how how;
    struct ms *ms;              /* NULL: none */
    uint32_t flags;             /* enum break_flag; 0: global */
    bool global;                /* said so */
    struct tracer *meta;
};

static struct ms *ms_get(struct ms *ms)
{
    if (ms)
        resource_get(&ms->res);
    return ms;
}

static void ms_put(struct ms *ms)
{
    if (ms)
        resource_put(&ms->res);
}

static void ms_replace(struct ms **at, struct ms *ms)
{
    struct ms *old = *at;

    *at = ms_get(ms);
    ms_put(old);
}

static void tracer_replace(struct tracer **at, struct tracer *t)
{
    struct tracer *old = *at;

    *at = tracer_get(t);
    tracer_put(old);
}

/* ---- one function ---- */

static void count_set(struct breakpoint *b, enum how how, uint32_t flag, uint32_t active)
{
    if (b->flags & flag && how == PAUSE) {
        b->flags &= ~active;
    } else if (b->flags & flag || how == ON) {
        b->flags |= flag | active;
        if (flag == BREAK_COUNT)
            b->count = 0;
        else
            break_times_clear(b);
    }
}

static bool set_local(struct export *e, struct code *c, struct func *f,
                      const struct pattern *t)
{
    struct breakpoint *b = break_get(e, c, f);

    b->flags &= ~(uint32_t)BREAK_GLOBAL;
    if (t->how == ON && t->flags & BREAK_LOCAL) {
        ms_replace(&b->ms, t->ms);
        b->flags |= BREAK_LOCAL;
    }
    if (t->how == ON && t->flags & BREAK_META) {
        ms_replace(&b->meta_ms, t->ms);
        tracer_replace(&b->meta, t->meta);
        b->flags |= BREAK_META;
    }
    if (t->how == ON && t->flags & BREAK_DEBUG)
        b->flags |= BREAK_DEBUG;
    if (t->flags & BREAK_COUNT)
        count_set(b, t->how, BREAK_COUNT, BREAK_COUNTS);
    if (t->flags & BREAK_TIME)
        count_set(b, t->how, BREAK_TIME, BREAK_TIMES);
    return break_place(b);
}

static void clear(struct breakpoint *b, uint32_t flags)
{
    if (flags & BREAK_COUNT)
        flags |= BREAK_COUNTS;
    if (flags & BREAK_TIME) {
        flags |= BREAK_TIMES;
        break_times_clear(b);
    }
    if (flags & (BREAK_LOCAL | BREAK_GLOBAL))
        ms_replace(&b->ms, NULL);
    if (flags & BREAK_META) {
        ms_replace(&b->meta_ms, NULL);
        tracer_replace(&b->meta, NULL);
    }
    b->flags &= ~flags;
    break_place(b);
}

static bool set_global(struct export *e, struct code *c, struct func *f,
                       const struct pattern *t)
{
    struct breakpoint *b = break_find(e);

    if (b && b->flags & BREAK_AT_ENTRY)
        clear(b, BREAK_AT_ENTRY);
    b = break_get(e, c, f);
    ms_replace(&b->ms, t->ms);
    b->flags = BREAK_GLOBAL;
    return break_place(b);
}

/* ---- all functions that match ---- */

/* Of trace_pattern({M,F,A}, ...): how many of the three count. */
struct mfa {
    term m, f, a;
    int given;
};

static bool matches(const struct mfa *w, term m, term f, uint32_t arity)
{
    return (w->given < 1 || m == w->m) && (w->given < 2 || f == w->f) &&
           (w->given < 3 || small_make(arity) == w->a);
}

static bool callable(const struct export *e) { return e->entry || e->bif; }

static struct func *func_of(const struct export *e, struct code **c)
{
    struct module *m = module_find(e->m);

    *c = m ? m->curr : NULL;
    for (uint32_t i = 0; *c && i < (*c)->nfuncs; i++)
        if ((*c)->funcs[i].f == e->f && (*c)->funcs[i].arity == e->arity)
            return &(*c)->funcs[i];
    return NULL;
}

/* Returns how many, -1: there is no room for code. */
static int64_t global_pattern(const struct mfa *w, const struct pattern *t)
{
    struct export *e;
    struct code *c;
    int64_t n = 0;

    for (size_t i = 0; (e = export_next(&i));) {
        struct breakpoint *b = break_find(e);

        if (!callable(e) || !matches(w, e->m, e->f, e->arity))
            continue;
        n++;
        if (t->how == OFF && b && b->flags & BREAK_GLOBAL)
            clear(b, BREAK_GLOBAL);
        if (t->how == ON) {
            struct func *f = b && b->flags & BREAK_AT_ENTRY ? func_of(e, &c) : NULL;

            if (!set_global(e, f ? c : NULL, f, t))
                return -1;
        }
    }
    return n;
}

static bool one_local(struct export *e, struct code *c, struct func *f,
                      const struct pattern *t)
{
    struct breakpoint *b = break_find(e);

    if (t->how != OFF)
        return set_local(e, c, f, t);
    if (b && !(b->flags & BREAK_GLOBAL))
        clear(b, t->flags);
    return true;
}

static int64_t local_in(struct code *c, const struct mfa *w, const struct pattern *t)
{
    int64_t n = 0;

    for (uint32_t i = 0; i < c->nfuncs; i++) {
        struct func *f = &c->funcs[i];

        if (!matches(w, c->module, f->f, f->arity))
            continue;
        n++;
        if (!one_local(export_put(c->module, f->f, f->arity), c, f, t))
            return -1;
    }
    return n;
}

static int64_t local_pattern(const struct mfa *w, const struct pattern *t)
{
    struct module *m;
    int64_t n = 0, k;

    for (size_t i = 0; (m = module_next(&i));) {
        if (!m->curr || (w->given > 0 && m->name != w->m))
            continue;
        k = local_in(m->curr, w, t);
        if (k < 0)
            return -1;
        n += k;
    }
    /* A BIF that has no function in its module. */
    if (n == 0 && w->given == 3) {
        struct export *e = export_find(w->m, w->f, (uint32_t)small_value(w->a));

        if (e && e->bif)
            n = one_local(e, NULL, NULL, t) ? 1 : -1;
    }
    return n;
}

/* A local pattern takes the global ones of the same functions away. */
static int64_t set_pattern(const struct mfa *w, const struct pattern *t)
{
    struct pattern off = {.how = OFF};

    /* Local code of a global pattern is forgotten even where nothing is exported. */
    if (t->flags == 0 && t->how == ON) {
        off.flags = BREAK_LOCAL | BREAK_META | BREAK_COUNT | BREAK_TIME;
        local_pattern(w, &off);
    }
    if (t->flags && t->how != OFF) {
        off.flags = 0;
        global_pattern(w, &off);
    }
    return t->flags ? local_pattern(w, t) : global_pattern(w, t);
}

/* ---- on_load ---- */

static void set_on_load(const struct pattern *t)
{
    uint32_t flags = t->flags;
    bool local = flags != 0;

    if (!local || flags & BREAK_LOCAL)
        ms_replace(&vm.trace->on_load.ms, t->ms);
    if (flags & BREAK_META) {
        ms_replace(&vm.trace->on_load.meta_ms, t->ms);
        tracer_replace(&vm.trace->on_load.meta, t->meta);
    } else if (!local) {
        ms_replace(&vm.trace->on_load.meta_ms, NULL);
        tracer_replace(&vm.trace->on_load.meta, NULL);
    }
    if (t->how == RESTART || t->how == PAUSE)
        flags &= ~(uint32_t)(BREAK_COUNT | BREAK_TIME);
    if (vm.trace->on_load.flags && local) {
        if (t->how == OFF)
            vm.trace->on_load.flags &= ~flags;
        else
            vm.trace->on_load.flags |= flags;
        vm.trace->on_load.on = vm.trace->on_load.flags != 0;
    } else if (!vm.trace->on_load.flags && !local) {
        vm.trace->on_load.on = t->how != OFF;
    } else if (t->how != OFF) {
        vm.trace->on_load.flags = flags;
        vm.trace->on_load.on = !local || flags;
    }
}

void trace_code_loaded(struct code *c)
{
    struct mfa w = {.m = c->module, .given = 1};
    struct pattern t = {.how = ON, .flags = vm.trace->on_load.flags, .ms = vm.trace->on_load.ms,
                        .meta = vm.trace->on_load.meta};

    if (!vm.trace->on_load.on)
        return;
    if (vm.trace->on_load.flags & BREAK_META) {
        t.flags = BREAK_META;
        t.ms = vm.trace->on_load.meta_ms;
        set_pattern(&w, &t);
        t.flags = vm.trace->on_load.flags & ~(uint32_t)BREAK_META;
        t.ms = vm.trace->on_load.ms;
        if (!t.flags)
            return;
    }
    set_pattern(&w, &t);
}

/* ---- the BIF ---- */

/* Options. False: not these. */
static bool options(struct proc *p, struct pattern *t, term l)
{
    for (; term_is_cons(l); l = cons_tail(l)) {
        struct tracer *meta;
        term o = cons_head(l);

        if (term_is_tuple(o)) {
            if (!tracer_parse(o, am_meta, &meta))
                return false;
            tracer_put(t->meta);
            t->meta = meta;
            t->flags |= BREAK_META;
            continue;
        }
        switch (o) {
        case am_global: t->global = true; break;
        case am_local: t->flags |= BREAK_LOCAL; break;
        case am_meta: t->flags |= BREAK_META; break;
        case am_call_count: t->flags |= BREAK_COUNT; break;
        case am_call_time: t->flags |= BREAK_TIME; break;
        default: return false;
        }
        if (t->global && t->flags)
            return false;
    }
    if (t->flags & BREAK_META && !t->meta)
        tracer_parse(p->id, THE_NON_VALUE, &t->meta);
    return term_is_nil(l);
}

static bool mfa_parse(term t, struct mfa *w)
{
    if (!term_is_tuple_of(t, 3))
        return false;
    w->m = *tuple_at(t, 1);
    w->f = *tuple_at(t, 2);
    w->a = *tuple_at(t, 3);
    if (!term_is_atom(w->m) || !term_is_atom(w->f) ||
        (!term_is_small(w->a) && w->a != am_Underscore))
        return false;
    while (w->given < 3 && *tuple_at(t, 1 + (size_t)w->given) != am_Underscore)
        w->given++;
    for (int i = w->given; i < 3; i++)
        if (*tuple_at(t, 1 + (size_t)i) != am_Underscore)
            return false;
    return true;
}

static term event_pattern(struct proc *p, struct trace_event *e, const struct pattern *t)
{
    if (t->global || t->flags || t->how > ON)
        return bif_error_cause(p, am_badarg, am_none);
    ms_replace(&e->ms, t->ms);
    e->off = t->how == OFF;
    return small_make(1);
}

static term pattern(struct proc *p, term what, struct pattern *t, term opts)
{
    struct mfa w = {0};
    int64_t n;

    if (!options(p, t, opts))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (t->ms && !(t->flags & (BREAK_LOCAL | BREAK_META)) && t->flags)
        return bif_error_cause(p, am_badarg, am_call_count);
    if (what == am_on_load) {
        set_on_load(t);
        return small_make(0);
    }
    if (what == am_send)
        return event_pattern(p, &vm.trace->send, t);
    if (what == am_receive)
        return event_pattern(p, &vm.trace->receive, t);
    if (!mfa_parse(what, &w))
        return bif_error_cause(p, am_badarg, am_none);
    n = set_pattern(&w, t);
    if (n < 0)
        return bif_error(p, am_system_limit);
    /* While there are places that can't be written, entries come by themselves. */
    if (vm.breaks->sealed && p->reds_left > vm.sched->reds_kept) {
        vm.sched->reds_kept = p->reds_left;
    }
    return small_make(n);
}

BIF(erts_internal, trace_pattern, 3)
{
    struct pattern t = {.how = ON};
    enum ms_flavor flavor = arg[0] == am_send      ? MS_SEND
                            : arg[0] == am_receive ? MS_RECEIVE
                                                   : MS_TRACE;
    term result;

    if (arg[1] == am_false)
        t.how = OFF;
    else if (arg[1] == am_restart)
        t.how = RESTART;
    else if (arg[1] == am_pause)
        t.how = PAUSE;
    else if (arg[1] != am_true && !term_is_nil(arg[1])) {
        t.ms = ms_compile(arg[1], flavor, NULL);
        if (!t.ms)
            return bif_error_cause(p, am_badarg, am_match_spec);
    }
    result = pattern(p, arg[0], &t, arg[2]);
    break_save_again();
    ms_put(t.ms);
    tracer_put(t.meta);
    return result;
}

/* erts_debug:breakpoint({M,F,A}, Bool): calls go to error_handler:breakpoint/3. */
BIF(erts_debug, breakpoint, 2)
{
    struct pattern t = {.how = arg[1] == am_true ? ON : OFF, .flags = BREAK_DEBUG};
    struct mfa w = {0};
    int64_t n;

    if (!term_is_bool(arg[1]) || !mfa_parse(arg[0], &w))
        return bif_badarg(p);
    n = local_pattern(&w, &t);
    return n < 0 ? bif_error(p, am_system_limit) : small_make(n);
}

/* ---- trace_info/2 ---- */

static term ms_source(struct proc *p, bool there, const struct ms *ms)
{
    return !there ? am_false : ms ? term_copy_to(p, ms->spec) : TERM_NIL;
}

/* A tracer in trace_info of functions: [] and false have their history. */
static term meta_of(struct proc *p, const struct breakpoint *b, term none)
{
    return b->flags & BREAK_META && b->meta ? tracer_term(p, b->meta) : none;
}

static term times_of(struct proc *p, const struct breakpoint *b)
{
    term list = TERM_NIL;

    if (!(b->flags & BREAK_TIME))
        return am_false;
    for (size_t i = 0; i < b->times_size; i++) {
        const struct call_time *t = &b->times[i];
        int64_t us = (int64_t)(t->ns / 1000);

        if (t->pid)
            list = build_cons(p,
                              build_tuple4(p, t->pid, small_make((int64_t)t->count),
                                           small_make(us / 1000000),
                                           small_make(us % 1000000)),
                              list);
    }
    return list;
}

static term count_of(const struct breakpoint *b)
{
    return b->flags & BREAK_COUNT ? small_make((int64_t)b->count) : am_false;
}

static term function_info(struct proc *p, const struct breakpoint *b, term key)
{
    bool call = b->flags & (BREAK_LOCAL | BREAK_GLOBAL);
    term traced = b->flags & BREAK_GLOBAL ? am_global : call ? am_local : am_false;
    term list = TERM_NIL;

    switch (key) {
    case am_traced: return traced;
    case am_match_spec: return ms_source(p, call, b->ms);
    case am_meta: return meta_of(p, b, TERM_NIL);
    case am_meta_match_spec: return ms_source(p, b->flags & BREAK_META, b->meta_ms);
    case am_call_count: return count_of(b);
    case am_call_time: return times_of(p, b);
    case am_all:
        list = build_item(p, am_call_count, count_of(b), list);
        list = build_item(p, am_call_time, times_of(p, b), list);
        list = build_item(p, am_meta_match_spec,
                          ms_source(p, b->flags & BREAK_META, b->meta_ms), list);
        list = build_item(p, am_meta, meta_of(p, b, am_false), list);
        list = build_item(p, am_match_spec, ms_source(p, call, b->ms), list);
        return build_item(p, am_traced, traced, list);
    default: return THE_NON_VALUE;
    }
}

static term info_function(struct proc *p, term of, term key)
{
    term m, f, a, value = am_undefined;
    struct export *e, named;
    struct breakpoint *b;
    struct code *c;

    if (!term_is_tuple_of(of, 3))
        return bif_badarg(p);
    m = *tuple_at(of, 1);
    f = *tuple_at(of, 2);
    a = *tuple_at(of, 3);
    if (!term_is_atom(m) || !term_is_atom(f) || !term_is_small(a))
        return bif_badarg(p);
    named = (struct export){.m = m, .f = f, .arity = (uint32_t)small_value(a)};
    e = export_find(m, f, named.arity);
    b = e ? break_find(e) : NULL;
    if (b && b->flags != BREAK_SAVE)
        value = function_info(p, b, key);
    else if ((e && callable(e)) || func_of(&named, &c))
        value = am_false;
    return value == THE_NON_VALUE ? bif_badarg(p) : build_tuple2(p, key, value);
}

static term info_on_load(struct proc *p, term key)
{
    uint32_t flags = vm.trace->on_load.flags;
    bool call = !flags || flags & BREAK_LOCAL;
    term traced = !flags ? am_global : call ? am_local : am_false, value, list = TERM_NIL;

    if (!vm.trace->on_load.on)
        return build_tuple2(p, key, am_false);
    switch (key) {
    case am_traced: value = traced; break;
    case am_match_spec: value = ms_source(p, call, vm.trace->on_load.ms); break;
    case am_meta:
        value = flags & BREAK_META ? tracer_term(p, vm.trace->on_load.meta) : am_false;
        break;
    case am_meta_match_spec: value = ms_source(p, flags & BREAK_META, vm.trace->on_load.meta_ms); break;
    case am_call_count: value = bool_make(flags & BREAK_COUNT); break;
    case am_call_time: value = bool_make(flags & BREAK_TIME); break;
    case am_all:
        list = build_item(p, am_call_count, bool_make(flags & BREAK_COUNT), list);
        list = build_item(p, am_meta_match_spec,
                          ms_source(p, flags & BREAK_META, vm.trace->on_load.meta_ms), list);
        list = build_item(p, am_meta,
                          flags & BREAK_META ? tracer_term(p, vm.trace->on_load.meta) : am_false, list);
        list = build_item(p, am_match_spec, ms_source(p, call, vm.trace->on_load.ms), list);
        value = build_item(p, am_traced, traced, list);
        break;
    default: return bif_badarg(p);
    }
    return build_tuple2(p, key, value);
}

static term info_event(struct proc *p, const struct trace_event *e, term key)
{
    if (key != am_match_spec)
        return bif_badarg(p);
    return build_tuple2(p, key, e->off   ? am_false
                                : !e->ms ? am_true
                                         : term_copy_to(p, e->ms->spec));
}

BIF(erlang, trace_info, 2)
{
    switch (arg[0]) {
    case am_on_load: return info_on_load(p, arg[1]);
    case am_send: return info_event(p, &vm.trace->send, arg[1]);
    case am_receive: return info_event(p, &vm.trace->receive, arg[1]);
    }
    if (term_is_tuple(arg[0]))
        return info_function(p, arg[0], arg[1]);
    return trace_info_tracee(p, arg[0], arg[1]);
}
