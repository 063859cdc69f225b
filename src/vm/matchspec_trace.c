/*
 * matchspec_trace.c - what a match specification can ask and do when it runs
 * because something is traced. r->p is the traced process.
 */
#include "bif/bif.h"
#include "bif/info.h"
#include "bif/procinfo.h"
#include "vm/big.h"
#include "vm/exc.h"
#include "vm/ops.h"
#include "vm/seqtrace.h"
#include "vm/trace.h"

/* {M,F,A}, or {M,F,A,{File,Line}}, of the code that the call returns to. */
static term caller(struct ms_run *r, bool line)
{
    struct code *c = r->caller ? code_find(r->caller) : NULL;
    struct func *f = c ? code_func(c, r->caller) : NULL;
    struct frame_row row;
    term *hp, loc = am_undefined, file;

    if (!f)
        return am_undefined;
    if (!line) {
        hp = ms_scratch(r, 4);
        return put_tuple3(&hp, c->module, f->f, small_make(f->arity));
    }
    uint32_t at = code_row(c, r->caller, &row) ? code_line(c, &row, &file) : 0;
    if (at) {
        if (file == THE_NON_VALUE)
            file = exc_file_of_module(r->p, c->module);
        hp = ms_scratch(r, 3);
        loc = put_tuple2(&hp, file, small_make(at));
    }
    hp = ms_scratch(r, 5);
    return put_tuple4(&hp, c->module, f->f, small_make(f->arity), loc);
}

static term change_flag(struct ms_run *r, const term *a, size_t n, bool on)
{
    uint32_t flag = term_is_atom(a[n - 1]) ? trace_flag(a[n - 1]) : 0;
    struct proc *of = n == 2 ? proc_find(term_is_atom(a[0]) ? name_whereis(a[0]) : a[0])
                             : r->p;
    struct tracee *t;

    if (!flag || !of)
        return THE_NON_VALUE;
    t = &traced_of(of)->t;
    trace_set(of, on ? t->flags | flag : t->flags & ~flag, traced_of(r->p)->t.tracer);
    return am_true;
}

/* {trace, [Pid,] Disable, Enable}: true if that changes anything. */
static term change_flags(struct ms_run *r, const term *a, size_t n)
{
    struct tracer *tracer = tracer_get(traced_of(r->p)->t.tracer);
    uint32_t off = 0, on = 0;
    bool cpu_off, cpu_on;
    term result = THE_NON_VALUE;
    struct proc *of = n == 3 ? proc_find(term_is_atom(a[0]) ? name_whereis(a[0]) : a[0])
                             : r->p;

    if (of && trace_flags_parse(a[n - 2], &off, &tracer, &cpu_off) &&
        trace_flags_parse(a[n - 1], &on, &tracer, &cpu_on) && !cpu_off && !cpu_on &&
        (!tracer || tracer_alive(tracer, of->id)))
        result = bool_make(trace_set(of, (traced_of(of)->t.flags & ~off) | on, tracer));
    tracer_put(tracer);
    return result;
}

static term seq_token(struct ms_run *r, const term *a)
{
    term t;

    if (r->ms->flavor == MS_TEST) {
        t = seq_trace_info(r->p, a[0]);
        return t != THE_NON_VALUE && term_is_tuple_of(t, 2) ? *tuple_at(t, 2) : t;
    }
    t = seq_trace_set(r->p, a[0], term_copy_to(r->p, a[1]));
    return t == THE_NON_VALUE ? t : am_true;
}

static term control_word(struct ms_run *r, term new)
{
    uint32_t old = vm.info->trace_control_word;
    uint64_t n;

    if (!term_to_uint64(new, &n) || n > UINT32_MAX)
        return THE_NON_VALUE;
    if (r->ms->flavor != MS_TEST)
        vm.info->trace_control_word = (uint32_t)n;
    return small_make(old);
}

static term silent(struct ms_run *r, term how)
{
    struct tracee *t = &traced_of(r->p)->t;

    if (r->ms->flavor != MS_TEST && t->tracer && term_is_bool(how))
        trace_set(r->p, how == am_true ? t->flags | TF_SILENT : t->flags & ~TF_SILENT,
                  t->tracer);
    return am_true;
}

term ms_act(struct ms_run *r, enum ms_action what, const term *a, size_t n)
{
    switch (what) {
    case MS_IS_SEQ_TRACE: return bool_make(!term_is_nil(r->p->seq_token));
    case MS_GET_SEQ_TOKEN: return r->p->seq_token;
    case MS_SET_SEQ_TOKEN: return seq_token(r, a);
    case MS_PROCESS_DUMP: return procinfo_backtrace(r->p, r->p);
    case MS_ENABLE_TRACE: return change_flag(r, a, n, true);
    case MS_DISABLE_TRACE: return change_flag(r, a, n, false);
    case MS_CHANGE_TRACE: return change_flags(r, a, n);
    case MS_CALLER: return caller(r, false);
    case MS_CALLER_LINE: return caller(r, true);
    case MS_SILENT: return silent(r, a[0]);
    case MS_GET_TCW: return small_make(vm.info->trace_control_word);
    case MS_SET_TCW: return control_word(r, a[0]);
    }
    return THE_NON_VALUE;
}
