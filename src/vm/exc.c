/*
 * exc.c - exceptions.
 *
 * A stack trace is kept raw until somebody looks at it, because most are not
 * looked at. A raw trace is a tuple that no Erlang code gets to see other than
 * as an opaque value:
 *
 *    1 class    2 list    3 head    4 args    5 info    6.. pcs
 *
 * list: the trace itself, given by erlang:raise/3; else NONE. head: the BIF
 * that failed, as a finished {M,F,Args,Loc}; else NONE. args and info belong
 * to the function of the first pc. A pc is a small: its address, mixed with
 * vm.pc_mask, so that who gets to see one learns nothing of where code lies.
 */
#include "vm/exc.h"

#include <stdio.h>

#include "op/break.h"
#include "os/os.h"
#include "bif/info.h"
#include "op/code.h"
#include "vm/atom.h"
#include "vm/log.h"
#include "vm/map.h"
#include "vm/sched.h"

enum { RAW_CLASS = 1, RAW_LIST, RAW_HEAD, RAW_ARGS, RAW_INFO, RAW_PCS };
#define BACKTRACE_MAX 64        /* what system_flag(backtrace_depth, N) allows */

/* Who can explain an error of a BIF: error_info's module. */
static term explains(term m)
{
    if (m == am_erlang || m == am_erts_internal || m == am_atomics ||
        m == am_counters || m == am_persistent_term)
        return am_erl_erts_errors;
    if (m == am_ets || m == am_lists || m == am_maps || m == am_binary ||
        m == am_math || m == am_re || m == am_unicode)
        return am_erl_stdlib_errors;
    if (m == am_os)
        return am_erl_kernel_errors;
    return THE_NON_VALUE;
}

/* [{error_info, Map}] */
static term info_list(struct proc *p, term map)
{
    term *hp = heap_alloc(p, 3 + CONS_WORDS);
    term pair = put_tuple2(&hp, am_error_info, map);

    return put_cons(&hp, pair, TERM_NIL);
}

/* A cause that is a tuple comes from a binary's construction. */
static term info_map(struct proc *p, term module, term cause)
{
    term pairs[6] = {am_module, module, am_cause, cause, am_function,
                     am_format_bs_fail};
    size_t n = cause == THE_NON_VALUE ? 1 : term_is_tuple(cause) ? 3 : 2;

    return map_from_pairs(p, pairs, n);
}

/* {M,F,Args,Loc} of a BIF that failed. */
static term bif_head(struct proc *p, struct export *bif, const term *args)
{
    term module = explains(bif->m), loc = TERM_NIL, list = TERM_NIL;

    if (module != THE_NON_VALUE && !p->exc.no_info)
        loc = info_list(p, info_map(p, module, p->exc.cause));
    term *hp = heap_alloc(p, CONS_WORDS * (size_t)bif->arity + 5);
    for (uint32_t i = bif->arity; i-- > 0;)
        list = put_cons(&hp, args[i], list);
    return put_tuple4(&hp, bif->m, bif->f, list, loc);
}

/* error/1..3, exit/1, throw/1 and raise/3 speak for their caller; nif_error does not. */
static bool speaks_for_caller(const struct export *bif)
{
    return bif->m == am_erlang &&
           (bif->f == am_error || (bif->f == am_exit && bif->arity == 1) ||
            bif->f == am_throw || bif->f == am_raise);
}

/* Do return addresses lead from *sp to the end of the stack? */
static bool is_chain(const term *sp, const term *end)
{
    while (sp < end) {
        code_ptr ret = (code_ptr)(uintptr_t)*sp++;
        struct code *c;

        if (ret == code_exit_stub)
            return sp == end;
        if (!term_is_small((term)(uintptr_t)ret))
            return false;
        uint32_t frame = code_frame(ret - 1, &c);
        if ((!c && break_frame(ret) < 0) || frame & FRAME_UNSURE)
            return false;
        sp += frame;
    }
    return false;
}

/*
 * Words of a frame whose size the code does not tell: compilers share code that
 * only raises between places that have frames of different sizes. The first
 * word from which on the rest of the stack makes sense ends it.
 */
static size_t find_frame(const term *sp, const term *end)
{
    for (const term *at = sp; at < end; at++)
        if (is_chain(at, end))
            return (size_t)(at - sp);
    return (size_t)(end - sp);
}

size_t exc_frame_words(const struct proc *p, code_ptr pc, struct code **c)
{
    size_t frame = code_frame(pc, c);

    return frame & FRAME_UNSURE ? find_frame(p->heap.stop, p->heap.hend) : frame;
}

/*
 * Frames above pc: their return addresses into pcs[], without repetitions of
 * the one before or, the first, of last. (pc itself may be one of them, right
 * behind a call. For OTP that is a repetition if a BIF was called there, none if
 * another instruction failed.)
 */
static uint32_t walk(const struct proc *p, code_ptr pc, code_ptr last, code_ptr *pcs,
                     uint32_t max)
{
    const term *sp = p->heap.stop, *end = p->heap.hend;
    struct kept_frame *kept = vm.kept_frames;
    uint32_t n = 0;
    struct code *c;
    size_t frame = exc_frame_words(p, pc, &c);
    bool first = last != NULL;

    while (n < max && sp + frame < end) {
        code_ptr ret = (code_ptr)(uintptr_t)sp[frame];

        sp += frame + 1;
        const struct kept_frame *at = code_frame_at(kept, ret - 1);
        frame = at->frame;
        if (!at->code)
            continue;           /* a frame of tracing: op/break.h */
        if (ret != last && !(first && code_falls_to(ret, last)))
            pcs[n++] = ret - 1;
        last = ret;
        first = false;
    }
    return n;
}

static term pc_hidden(code_ptr pc)
{
    return small_make((int64_t)((uintptr_t)pc ^ vm.pc_mask));
}
static code_ptr pc_of(term t) { return (code_ptr)((uintptr_t)small_value(t) ^ vm.pc_mask); }

/* A BIF or NIF that is called where its function's code begins. */
static bool is_entry_of(struct code *c, code_ptr pc, const struct export *bif)
{
    struct func *f = code_func(c, pc);

    return f && f->f == bif->f && f->arity == bif->arity;
}

/* The raw trace of what p->exc says. */
static term raw_trace(struct sched *s, struct proc *p, struct export *bif,
                      const term *args, term class)
{
    code_ptr pcs[BACKTRACE_MAX];
    uint32_t n = 0;
    term head = THE_NON_VALUE;

    /* A BIF that went on for another function says so in exc.mfa. */
    if (bif && !speaks_for_caller(bif) && p->exc.mfa == THE_NON_VALUE)
        head = bif_head(p, bif, args);
    else if (p->exc.mfa != THE_NON_VALUE && p->exc.kind == EXC_ERROR &&
             term_is_tuple_of(p->exc.mfa, 3)) {
        const term *mfa = tuple_at(p->exc.mfa, 1);
        term loc = TERM_NIL;

        if (p->exc.reason != am_undef && !p->exc.no_info)
            loc = info_list(p, info_map(p, am_erl_erts_errors, p->exc.cause));
        term *hp = heap_alloc(p, 5);

        head = put_tuple4(&hp, mfa[0], mfa[1], mfa[2], loc);
    }
    uint32_t max = vm.info->backtrace_depth > 1 ? (uint32_t)vm.info->backtrace_depth : 1;
    max -= head != THE_NON_VALUE;
    struct code *own = NULL;
    if (max > 0)
        code_frame(s->self, &own);
    if (own && !(bif && own->module == bif->m && is_entry_of(own, s->self, bif)))
        pcs[n++] = s->self;
    /* OTP enters the frame of a call before it finds that there is no fun. */
    if (p->exc.call && n < max)
        pcs[n++] = p->exc.call - 1;
    bool called = bif && n == 0;
    n += walk(p, s->self, p->exc.call ? p->exc.call : args == s->x ? s->self : NULL,
              pcs + n, max - n);
    /* ... and looks a BIF's caller up behind the call: the next one's line. */
    if (called && n > 0 && !speaks_for_caller(bif))
        pcs[0]++;

    term info = TERM_NIL;
    if (p->exc.info != THE_NON_VALUE)
        info = info_list(p, p->exc.info);
    else if (head == THE_NON_VALUE && p->exc.cause != THE_NON_VALUE)
        info = info_list(p, term_is_map(p->exc.cause)
                                ? p->exc.cause
                                : info_map(p, am_erl_erts_errors, p->exc.cause));
    term *raw = heap_alloc(p, RAW_PCS + n);
    raw[0] = TUPLE_HEADER(RAW_PCS + n - 1);
    raw[RAW_CLASS] = class;
    raw[RAW_LIST] = p->exc.trace;
    raw[RAW_HEAD] = head;
    raw[RAW_ARGS] = p->exc.args;
    raw[RAW_INFO] = info;
    for (uint32_t i = 0; i < n; i++)
        raw[RAW_PCS + i] = pc_hidden(pcs[i]);
    return boxed_make(raw);
}

static bool is_raw(term t)
{
    if (!term_is_tuple(t) || tuple_arity(t) < RAW_PCS - 1)
        return false;
    term class = *tuple_at(t, RAW_CLASS);
    return class == am_error || class == am_exit || class == am_throw;
}

/* The trace begins with a function_clause: its pc is the function's func_info. */
static struct func *clause_of(const term *raw, struct code **c)
{
    if (raw[RAW_HEAD] != THE_NON_VALUE || raw[RAW_ARGS] == THE_NON_VALUE ||
        raw[RAW_LIST] != THE_NON_VALUE || TUPLE_HEADER(RAW_PCS - 1) == raw[0])
        return NULL;
    code_ptr pc = pc_of(raw[RAW_PCS]);
    *c = code_find(pc);
    struct func *f = *c ? code_func(*c, pc) : NULL;

    return f && (uintptr_t)pc - (uintptr_t)(*c)->base == f->start ? f : NULL;
}

/* OTP forgets by then where in the source a function_clause was. */
term exc_with_class(struct proc *p, term raw, term class)
{
    struct code *c;

    if (!is_raw(raw))
        return raw;
    const term *r = boxed_ptr(raw);
    const struct func *f = clause_of(r, &c);
    if (r[RAW_CLASS] == class && !f)
        return raw;
    size_t words = tuple_arity(raw) + 1, skip = f != NULL;
    term *copy = heap_alloc(p, words - skip + (f ? 5 : 0));

    copy[0] = TUPLE_HEADER(words - skip - 1);
    memcpy(copy + 1, r + 1, (RAW_PCS - 1) * sizeof *copy);
    memcpy(copy + RAW_PCS, r + RAW_PCS + skip, (words - RAW_PCS - skip) * sizeof *copy);
    copy[RAW_CLASS] = class;
    if (f) {
        term *hp = copy + words - skip;

        copy[RAW_HEAD] = put_tuple4(&hp, c->module, f->f, r[RAW_ARGS], r[RAW_INFO]);
        copy[RAW_ARGS] = THE_NON_VALUE;
        copy[RAW_INFO] = TERM_NIL;
    }
    return boxed_make(copy);
}

/* A charlist of an atom's characters and a suffix. */
term exc_file_of_module(struct proc *p, term module)
{
    const struct atom *a = atom_get(module);
    static const char suffix[] = ".erl";
    term list = TERM_NIL;
    term *hp = heap_alloc(p, CONS_WORDS * ((size_t)a->chars + 4));

    for (int i = 3; i >= 0; i--)
        list = put_cons(&hp, small_make(suffix[i]), list);
    for (size_t k = a->bytes; k > 0;) {
        uint32_t ch = a->name[--k], shift = 0, v = 0;

        while ((ch & 0xc0) == 0x80) {
            v |= (ch & 0x3f) << shift;
            shift += 6;
            ch = a->name[--k];
        }
        if (shift)
            ch = v | (ch & (0x3f >> (shift / 6))) << shift;
        list = put_cons(&hp, small_make(ch), list);
    }
    return list;
}

/* {M,F,ArityOrArgs,Loc} of a pc; THE_NON_VALUE if it is in no code. */
static term item(struct proc *p, code_ptr pc, term args, term info)
{
    struct code *c = code_find(pc);

    if (!c)
        return THE_NON_VALUE;
    struct func *f = code_func(c, pc);
    if (!f)
        return THE_NON_VALUE;
    struct frame_row row;
    term loc = info, file;
    uint32_t line = code_row(c, pc, &row) ? code_line(c, &row, &file) : 0;

    if (line) {
        if (file == THE_NON_VALUE)
            file = exc_file_of_module(p, c->module);
        term *hp = heap_alloc(p, 2 * (3 + CONS_WORDS));
        term pair = put_tuple2(&hp, am_line, small_make(line));

        loc = put_cons(&hp, pair, loc);
        pair = put_tuple2(&hp, am_file, file);
        loc = put_cons(&hp, pair, loc);
    }
    term *hp = heap_alloc(p, 5);
    return put_tuple4(&hp, c->module, f->f,
                      args != THE_NON_VALUE ? args : small_make(f->arity), loc);
}

static term prepend(struct proc *p, term head, term list)
{
    term *hp = heap_alloc(p, CONS_WORDS);

    return put_cons(&hp, head, list);
}

term exc_build_stacktrace(struct proc *p, term raw)
{
    if (!is_raw(raw))
        return raw == THE_NON_VALUE || !term_is_list(raw) ? TERM_NIL : raw;

    const term *r = boxed_ptr(raw);
    size_t n = tuple_arity(raw) - (RAW_PCS - 1);
    term list = TERM_NIL;

    if (r[RAW_LIST] != THE_NON_VALUE)
        return r[RAW_LIST];
    for (size_t i = n; i-- > 0;) {
        bool first = i == 0 && r[RAW_HEAD] == THE_NON_VALUE;
        code_ptr pc = pc_of(r[RAW_PCS + i]);
        term t = item(p, pc, first ? r[RAW_ARGS] : THE_NON_VALUE,
                      first ? r[RAW_INFO] : TERM_NIL);

        if (t != THE_NON_VALUE)
            list = prepend(p, t, list);
    }
    if (r[RAW_HEAD] != THE_NON_VALUE)
        list = prepend(p, r[RAW_HEAD], list);
    else if (n == 0) {
        term *hp = heap_alloc(p, 5);

        list = prepend(p, put_tuple4(&hp, p->init_m, p->init_f,
                                     small_make(p->init_arity), TERM_NIL), list);
    }
    return list;
}

void exc_raise_again(struct proc *p, term raw, term value)
{
    enum exc_kind kind = EXC_ERROR;

    if (is_raw(raw)) {
        term class = *tuple_at(raw, RAW_CLASS);

        kind = class == am_error ? EXC_ERROR : class == am_exit ? EXC_EXIT : EXC_THROW;
    }
    exc_set(p, kind, value, THE_NON_VALUE);
    p->exc.trace = is_raw(raw) ? raw : TERM_NIL;
}

/* The topmost catch of the stack, or NULL. */
static term *find_catch(struct proc *p)
{
    if (p->catches == 0)
        return NULL;
    for (term *sp = p->heap.stop; sp < p->heap.hend; sp++) {
        if (term_is_catch(*sp))
            return sp;
    }
    return NULL;
}

/* Nobody catches: what the process exits with. */
static term final_reason(struct proc *p, term class, term value, term raw)
{
    if (class == am_exit)
        return value;

    term trace = exc_build_stacktrace(p, raw);
    term *hp = heap_alloc(p, 6);

    if (class == am_throw)
        value = put_tuple2(&hp, am_nocatch, value);
    value = put_tuple2(&hp, value, trace);
    proc_log_crash(p, value);
    return value;
}

/* Functions whose exceptions are traced are left; what nobody catches is an error. */
static void tell_tracer(struct sched *s, struct proc *p, const term *slot, term class,
                        term value)
{
    term nocatch[3] = {TUPLE_HEADER(2), am_nocatch, value};

    if (!slot && class == am_throw)
        break_unwind(s, p, slot, am_error, boxed_make(nocatch));
    else
        break_unwind(s, p, slot, class, value);
}

code_ptr exc_handle(struct sched *s, struct proc *p, struct export *bif,
                    const term *args)
{
    term class = p->exc.kind == EXC_THROW  ? am_throw
                 : p->exc.kind == EXC_EXIT ? am_exit
                                           : am_error;
    term value = p->exc.reason, raw = p->exc.trace;

    if (p->flags & PF_KILLED) {
        proc_exit_self(p, p->exit_reason);
        return NULL;
    }
    if (raw == THE_NON_VALUE || !is_raw(raw))
        raw = raw_trace(s, p, bif, args, class);

    term *slot = find_catch(p);

    if (unlikely(vm.breaks->frames))
        tell_tracer(s, p, slot, class, value);

    exc_set(p, EXC_NONE, TERM_NIL, THE_NON_VALUE);
    if (!slot) {
        proc_exit_self(p, final_reason(p, class, value, raw));
        return NULL;
    }

    struct catch_entry *entry = catch_get(catch_index(*slot));
    p->heap.stop = slot - entry->y;
    s->x[0] = THE_NON_VALUE;
    s->x[1] = class;
    s->x[2] = value;
    s->x[3] = raw;
    return entry->handler;
}

uint32_t exc_frames(const struct proc *p, code_ptr pc, code_ptr *pcs, uint32_t max)
{
    uint32_t n = 0;

    if (max > 0 && code_find(pc))
        pcs[n++] = pc;
    return n + walk(p, pc, NULL, pcs + n, max - n);
}

term exc_stacktrace(struct proc *p, code_ptr pc, int depth)
{
    term list = TERM_NIL;

    if (depth <= 0)
        return list;
    code_ptr *pcs = vm_alloc(ALLOC_PROC, (size_t)depth * sizeof *pcs);
    uint32_t n = exc_frames(p, pc, pcs, (uint32_t)depth);

    for (uint32_t i = n; i-- > 0;) {
        term t = item(p, pcs[i], THE_NON_VALUE, TERM_NIL);

        if (t != THE_NON_VALUE)
            list = prepend(p, t, list);
    }
    vm_free(pcs);
    return list;
}

void exc_print_stack(struct proc *p, code_ptr pc)
{
    code_ptr pcs[64];
    uint32_t n = exc_frames(p, pc, pcs, sizeof pcs / sizeof *pcs);

    for (uint32_t i = 0; i < n; i++) {
        struct code *c = code_find(pcs[i]);
        struct func *f = c ? code_func(c, pcs[i]) : NULL;
        struct frame_row row;
        term file;
        char line[512];

        if (!f)
            continue;
        const struct atom *m = atom_get(c->module), *name = atom_get(f->f);
        unsigned at = code_row(c, pcs[i], &row) ? code_line(c, &row, &file) : 0;
        int len = snprintf(line, sizeof line, "  %.*s:%.*s/%u line %u\n", m->bytes,
                           (const char *)m->name, name->bytes,
                           (const char *)name->name, f->arity, at);
        os_console(line, (size_t)len < sizeof line ? (size_t)len : sizeof line - 1);
    }
}
