/*
 * break.c - breakpoints: where they are, and what happens at a hit.
 */
#include "op/break.h"

#include "bif/bif.h"
#include "op/code.h"
#include "op/codemem.h"
#include "op/cold.h"
#include "op/lastcalls.h"
#include "op/native.h"
#include "op/slow.h"
#include "op/t0_run.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/exc.h"
#include "vm/gc.h"
#include "vm/ops.h"

#define FIRST_BUCKETS 64
#define FIRST_TIMES 16
/* Words of stack that are unwound in one go, some milliseconds at worst. */
#define PACE_WORDS 8192
#define PACE_WORDS_STRESS 8

void break_init(void)
{
    struct breaks *t = vm_zalloc(ALLOC_CODE, sizeof *t);

    t->mask = FIRST_BUCKETS - 1;
    t->bucket = vm_zalloc(ALLOC_CODE, FIRST_BUCKETS * sizeof *t->bucket);
    vm.breaks = t;
}

/* ---- the table ---- */

static struct breakpoint **bucket(const struct breaks *t, const struct export *e)
{
    uint64_t h = atom_index(e->m) * 0x9e3779b97f4a7c15u ^
                 (atom_index(e->f) + (uint64_t)e->arity) * 0xc2b2ae3d27d4eb4fu;

    return &t->bucket[(h ^ h >> 32) & t->mask];
}

struct breakpoint *break_find(const struct export *e)
{
    struct breakpoint *b = vm.breaks->n ? *bucket(vm.breaks, e) : NULL;

    while (b && b->export != e)
        b = b->next;
    return b;
}

static void grow(struct breaks *t)
{
    struct breakpoint **old = t->bucket, *b, *next;
    size_t n = t->mask + 1;

    t->mask = 4 * n - 1;
    t->bucket = vm_zalloc(ALLOC_CODE, 4 * n * sizeof *t->bucket);
    for (size_t i = 0; i < n; i++) {
        for (b = old[i]; b; b = next) {
            struct breakpoint **at = bucket(t, b->export);

            next = b->next;
            b->next = *at;
            *at = b;
        }
    }
    vm_free(old);
}

struct breakpoint *break_get(struct export *e, struct code *c, struct func *f)
{
    struct breakpoint *b = break_find(e), **at;

    if (!b) {
        if (vm.breaks->n > vm.breaks->mask)
            grow(vm.breaks);
        b = vm_zalloc(ALLOC_CODE, sizeof *b);
        b->export = e;
        at = bucket(vm.breaks, e);
        b->next = *at;
        *at = b;
        vm.breaks->n++;
    }
    if (f) {
        b->code = c;
        b->func = f;
    }
    return b;
}

static void break_free(struct breakpoint *b)
{
    struct breakpoint **at = bucket(vm.breaks, b->export);

    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    vm.breaks->n--;
    if (b->ms)
        resource_put(&b->ms->res);
    if (b->meta_ms)
        resource_put(&b->meta_ms->res);
    tracer_put(b->meta);
    vm_free(b->times);
    vm_free(b);
}

/* ---- places ---- */

static uintptr_t *entry_of(const struct breakpoint *b)
{
    return (uintptr_t *)((char *)b->code->base + b->func->entry);
}

/* The NIF that has taken the place of a function, or NULL. */
static struct nif_entry *nif_of(const struct code *c, const struct func *f)
{
    struct nif_entry *n;

    if (c->nif_slots)
        return c->nif_slots[f - c->funcs];
    for (n = c->nifs; n; n = n->next)
        if (n->export->f == f->f && n->export->arity == f->arity)
            return n;
    return NULL;
}

static bool entry_set(struct breakpoint *b)
{
    uintptr_t *at = entry_of(b);

    b->nif = nif_of(b->code, b->func);
    if (!code_native) {
        b->saved[0] = at[0];
        b->saved[1] = at[1];
        b->go_on = b->nif ? b->nif->words : at + 2;
        at[1] = (uintptr_t)b;
        at[0] = t0_handler(OP_breakpoint);
    } else if (!codemem_writable(at)) {
        b->sealed = true;
        vm.breaks->sealed++;
        b->go_on = at;
    } else {
        b->stub = native_stub(b, at, t1_breakpoint);
        if (!b->stub)
            return false;
        if (b->nif && !b->nif->stub)
            b->nif->stub = native_stub(b->nif, at, t1_nif_entry);
        b->go_on = b->nif ? b->nif->stub
                          : (code_ptr)((char *)at + native_entry_bytes(b->code));
        if (!b->go_on)
            return false;
        memcpy(b->saved, at, NATIVE_JUMP_BYTES);
        native_patch_jump(at, b->stub);
    }
    return b->at_entry = true;
}

static void entry_clear(struct breakpoint *b)
{
    uintptr_t *at = entry_of(b);

    if (b->sealed) {
        b->sealed = false;
        vm.breaks->sealed--;
    } else if (code_native) {
        native_patch_back(at, b->saved);
        native_stub_free(b->stub);
        b->stub = NULL;
    } else {
        at[0] = b->saved[0];
        at[1] = b->saved[1];
    }
    b->at_entry = false;
}

static bool export_set(struct breakpoint *b)
{
    struct export *e = b->export;

    b->go_on = e->addr;
    if (code_native) {
        b->stub = native_stub(b, NULL, t1_breakpoint);
        if (!b->stub)
            return false;
        e->addr = b->stub;
    } else {
        b->words[0] = t0_handler(OP_breakpoint);
        b->words[1] = (uintptr_t)b;
        e->addr = b->words;
    }
    e->flags |= EXPORT_TRACED;
    return b->at_export = true;
}

static void export_clear(struct breakpoint *b)
{
    if (b->stub) {
        native_stub_free(b->stub);
        b->stub = NULL;
    }
    b->at_export = false;
    b->export->flags &= ~(uint32_t)EXPORT_TRACED;
    export_stub_init(b->export);
}

bool break_place(struct breakpoint *b)
{
    struct export *e = b->export;
    bool entry = b->flags & BREAK_AT_ENTRY && b->func;
    bool global = b->flags & BREAK_GLOBAL || (b->flags & BREAK_SAVE && !entry);
    /* A BIF that no code stands for. */
    bool at_export = global || (b->flags && !b->func && e->bif);
    bool ok = true;

    if (b->at_entry && !entry)
        entry_clear(b);
    if (b->at_export && !at_export)
        export_clear(b);
    if (at_export && !b->at_export)
        ok = export_set(b);
    if (entry && !b->at_entry)
        ok = entry_set(b);
    if (e->bif && !at_export) {
        /* Calls of a BIF go by its export: to the entry, where the break is. */
        if (b->at_entry) {
            e->flags |= EXPORT_TRACED;
            e->addr = entry_of(b);
        } else if (e->flags & EXPORT_TRACED) {
            e->flags &= ~(uint32_t)EXPORT_TRACED;
            export_stub_init(e);
        }
    }
    if (!ok)
        b->flags = 0;
    if (!b->flags)
        break_free(b);
    return ok;
}

/* Does its export lead to it still? */
static bool leads_here(const struct breakpoint *b)
{
    return b->at_export && b->export->addr == (code_native ? b->stub : b->words);
}

void break_save_again(void)
{
    struct export *e;

    for (size_t i = 0; vm.breaks->saving && (e = export_next(&i));) {
        struct breakpoint *b = break_find(e);

        /* That of apply is known by its address. */
        if ((b && b->flags & BREAK_AT_ENTRY) || (e->m == am_erlang && e->f == am_apply) ||
            (b && leads_here(b)))
            continue;
        b = break_get(e, NULL, NULL);
        if (b->at_export) {
            native_stub_free(b->stub);
            b->stub = NULL;
            b->at_export = false;
        }
        b->flags |= BREAK_SAVE;
        break_place(b);
    }
}

void break_save(bool on)
{
    struct export *e;

    vm.breaks->saving += on ? 1 : -1;
    if (on && vm.breaks->saving == 1)
        break_save_again();
    for (size_t i = 0; !vm.breaks->saving && (e = export_next(&i));) {
        struct breakpoint *b = break_find(e);

        if (b && b->flags & BREAK_SAVE) {
            b->flags &= ~(uint32_t)BREAK_SAVE;
            break_place(b);
        }
    }
}

void break_forget(struct code *c)
{
    for (uint32_t i = 0; i < c->nfuncs && vm.breaks->n; i++) {
        struct export *e = export_find(c->module, c->funcs[i].f, c->funcs[i].arity);
        struct breakpoint *b = e ? break_find(e) : NULL;

        if (b) {
            b->flags = 0;
            break_place(b);
        }
    }
}

static struct breakpoint *at_entry(struct code *c, struct func *f)
{
    struct export *e = vm.breaks->n ? export_find(c->module, f->f, f->arity) : NULL;
    struct breakpoint *b = e ? break_find(e) : NULL;

    return b && b->code == c && b->func == f ? b : NULL;
}

void break_lift(struct code *c, struct func *f)
{
    struct breakpoint *b = at_entry(c, f);

    if (b && b->at_entry)
        entry_clear(b);
}

void break_settle(struct code *c, struct func *f)
{
    struct breakpoint *b = at_entry(c, f);

    if (b)
        break_place(b);
}

/* ---- frames ---- */

static const uint8_t frame_words[BREAK_KINDS] = {
    [BREAK_RETURN] = 2, [BREAK_EXCEPTION] = 2, [BREAK_RETURN_TO] = 0,
    [BREAK_TIME_RETURN] = 1, [BREAK_PACE] = 1,
};

static int kind_of(code_ptr ret)
{
    for (int i = 0; i < BREAK_KINDS; i++)
        if (code_return_stub[i] == ret)
            return i;
    return -1;
}

int break_frame(code_ptr ret)
{
    int kind = kind_of(ret);

    return kind < 0 ? -1 : frame_words[kind];
}

/* The first return address from sp that is not of ours; *to: one of RETURN_TO before. */
static code_ptr return_address(const term *sp, bool *to)
{
    int kind;

    *to = false;
    while ((kind = kind_of((code_ptr)(uintptr_t)*sp)) >= 0) {
        *to |= kind == BREAK_RETURN_TO;
        sp += 1 + frame_words[kind];
    }
    return (code_ptr)(uintptr_t)*sp;
}

/* Room for `words` on the stack; x registers 0 .. arity-1 live. */
static bool room(struct sched *S, uint32_t arity, size_t words)
{
    struct proc *p = S->p;

    vm.breaks->frames = true;
    if (heap_free_words(&p->heap) >= words)
        return true;
    p->reds_left = (int32_t)(S->fcalls + S->reds_kept);
    if (gc_collect(p, words, S->x, arity) == 0)
        return true;
    proc_exit_self(p, am_killed);
    S->end = RUN_EXIT;
    return false;
}

static bool push(struct sched *S, uint32_t arity, unsigned kind, struct export *e,
                 const struct tracer *tracer)
{
    struct heap *h = &S->p->heap;
    size_t words = 1 + frame_words[kind];
    term what = am_true;

    if (tracer)
        words += CONS_WORDS + term_size(tracer->state);
    if (!room(S, arity, words))
        return false;
    if (tracer) {
        struct dest d = {h->htop, &h->off};
        term state = term_copy(&d, tracer->state);

        what = put_cons(&d.htop, tracer->module, state);
        h->htop = d.htop;
    }
    h->stop -= 1 + frame_words[kind];
    h->stop[0] = (term)(uintptr_t)code_return_stub[kind];
    if (frame_words[kind] > 0)
        h->stop[1] = e ? (term)(uintptr_t)e : TERM_NIL;
    if (frame_words[kind] > 1)
        h->stop[2] = what;
    return true;
}

/* ---- call time ---- */

static struct call_time *time_slot(struct breakpoint *b, term pid)
{
    size_t mask = b->times_size - 1, i = (size_t)(pid >> IMM_SHIFT) * 0x9e3779b1u & mask;

    while (b->times[i].pid && b->times[i].pid != pid)
        i = (i + 1) & mask;
    return &b->times[i];
}

static void time_add(struct export *e, term pid, uint64_t count, uint64_t ns)
{
    struct breakpoint *b = break_find(e);
    struct call_time *t;

    if (!b || !(b->flags & BREAK_TIME))
        return;
    if (2 * b->ntimes >= b->times_size) {
        struct call_time *old = b->times;
        size_t n = b->times_size;

        b->times_size = n ? 2 * n : FIRST_TIMES;
        b->times = vm_zalloc(ALLOC_CODE, b->times_size * sizeof *b->times);
        for (size_t i = 0; i < n; i++)
            if (old[i].pid)
                *time_slot(b, old[i].pid) = old[i];
        vm_free(old);
    }
    t = time_slot(b, pid);
    b->ntimes += !t->pid;
    t->pid = pid;
    t->count += count;
    t->ns += ns;
}

void break_times_clear(struct breakpoint *b)
{
    vm_free(b->times);
    b->times = NULL;
    b->ntimes = b->times_size = 0;
}

/* What was running so far gets its time; from now on it is e. */
static void time_goes_to(struct proc *p, struct export *e)
{
    struct traced *t = traced_of(p);
    uint64_t now = os_mono_ns();

    if (t->timed)
        time_add(t->timed, p->id, 0, now - t->timed_since_ns);
    t->timed = e;
    t->timed_since_ns = now;
}

void break_time_switch(struct proc *p, bool in)
{
    uint64_t now = os_mono_ns();

    if (!in)
        time_add(p->traced->timed, p->id, 0, now - p->traced->timed_since_ns);
    p->traced->timed_since_ns = now;
}

/* ---- hits ---- */

static void tell(struct proc *p, const struct tracer *t, uint32_t flags, term tag,
                 term what, term extra, term result)
{
    tracer_tell(t, flags, p, p->id, TRACER_CALL, tag, what, extra, result);
}

static term mfa(term *at, const struct export *e)
{
    at[0] = TUPLE_HEADER(3);
    at[1] = e->m;
    at[2] = e->f;
    at[3] = small_make(e->arity);
    return boxed_make(at);
}

/* The arguments, as terms that may be looked at. */
struct arguments {
    term v[256];                    /* v[0]: a tuple's header */
    term cells[255 * CONS_WORDS];   /* the same as a list */
    struct subbin_words rest;       /* what a match context has left */
    term list;
};

static void arguments(struct arguments *a, const term *x, uint32_t arity)
{
    term *hp = a->cells;

    a->v[0] = TUPLE_HEADER(arity);
    a->list = TERM_NIL;
    for (uint32_t i = arity; i-- > 0;) {
        term t = x[i];

        if (boxed_is(t, BOX_MATCH)) {
            const struct match_words *m = (const struct match_words *)boxed_ptr(t);

            a->rest = (struct subbin_words){
                .header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1),
                .orig = m->orig,
                .offset = m->offset,
                .size = m->size - m->offset,
            };
            t = boxed_make(&a->rest.header);
        }
        a->v[1 + i] = t;
        a->list = put_cons(&hp, t, a->list);
    }
}

/* Is there a tracer that wants to know? The meta tracer that is gone is given up. */
static bool wanted(struct proc *p, struct tracer **meta)
{
    struct tracer *t;

    if (meta) {
        t = *meta;
        if (!t || p->flags & PF_SENSITIVE)
            return false;
        if (!tracer_alive(t, p->id)) {
            *meta = NULL;
            tracer_put(t);
            return false;
        }
    } else {
        trace_check(p);
        t = p->traced ? p->traced->t.tracer : NULL;
    }
    return t && tracer_enabled(t, TRACER_CALL, am_call, p->id) == am_trace;
}

/* A call of b's function, for the process's tracer or a meta tracer. */
static bool call_trace(struct sched *S, struct breakpoint *b, struct ms *ms,
                       struct tracer **meta)
{
    struct proc *p = S->p;
    struct export *e = b->export;
    uint32_t arity = e->arity, flags, asked = 0;
    bool is_to, local = meta || b->flags & BREAK_LOCAL;
    code_ptr ret = return_address(p->heap.stop, &is_to);
    struct arguments a;
    struct tracer *t;
    struct ms_run run;
    term result = am_true, what[4];

    if (!wanted(p, meta))
        return true;
    t = tracer_get(meta ? *meta : p->traced->t.tracer);
    arguments(&a, S->x, arity);
    if (ms) {
        ms_run_init(&run, ms, p);
        run.caller = ret - 1;
        if (!ms_match(&run, boxed_make(a.v), a.list, &result))
            result = am_false;
        else
            asked = run.flags;
    }
    flags = meta ? TF_CALL | TF_TIMESTAMP : traced_of(p)->t.flags;
    if (!meta && flags & TF_SILENT) {
        asked = 0;
        local = false;
    } else if (result != am_false) {
        what[0] = TUPLE_HEADER(3);
        what[1] = e->m;
        what[2] = e->f;
        what[3] = flags & TF_ARITY ? small_make(arity) : a.list;
        tell(p, t, flags, am_call, boxed_make(what), THE_NON_VALUE, result);
    } else {
        local = false;
    }
    if (ms)
        ms_run_fini(&run);

    bool ok = true;
    if (!meta && local && flags & TF_RETURN_TO && !is_to)
        ok = push(S, arity, BREAK_RETURN_TO, NULL, NULL);
    if (ok && asked)
        ok = push(S, arity, asked & MS_EXCEPTION_TRACE ? BREAK_EXCEPTION : BREAK_RETURN, e,
                  meta ? t : NULL);
    tracer_put(t);
    return ok;
}

static bool hit(struct sched *S, struct breakpoint *b)
{
    struct proc *p = S->p;
    uint32_t flags = b->flags;

    if (flags & (BREAK_SAVE | BREAK_GLOBAL))
        last_calls_note(p, b->export);
    if (!(p->trace & TF_CALL))
        flags &= ~(uint32_t)(BREAK_LOCAL | BREAK_GLOBAL | BREAK_TIMES);
    if (flags & (BREAK_LOCAL | BREAK_GLOBAL) && !call_trace(S, b, b->ms, NULL))
        return false;
    if (flags & BREAK_META && !call_trace(S, b, b->meta_ms, &b->meta))
        return false;
    if (flags & BREAK_COUNTS)
        b->count++;
    if (flags & BREAK_TIMES) {
        struct export *before = traced_of(p)->timed;

        time_goes_to(p, b->export);
        time_add(b->export, p->id, 1, 0);
        /* A tail call: the frame of the one before will do. */
        if (kind_of((code_ptr)(uintptr_t)*p->heap.stop) < 0)
            return push(S, b->export->arity, BREAK_TIME_RETURN, before, NULL);
    }
    return true;
}

code_ptr break_hit(struct sched *S, struct breakpoint *b)
{
    struct proc *p = S->p;
    code_ptr go_on = b->go_on;

    if (b->at_entry) {
        /* As the func_entry would; a NIF's entry counts for itself. */
        if (S->fcalls < 1) {
            S->fcalls--;
            S->live = b->export->arity;
            return cold_yield(S);
        }
        S->fcalls -= !b->nif;
        if (p->traced && p->traced->skip) {
            bool again = p->traced->skip == S->self;

            p->traced->skip = NULL;
            if (again)
                return go_on;
        }
    }
    if (!hit(S, b))
        return NULL;
    return b->flags & BREAK_DEBUG ? slow_breakpoint(S, b->export) : go_on;
}

code_ptr break_sealed(struct sched *S, int64_t left)
{
    code_ptr self = S->self;
    struct code *c = code_find(self);
    struct func *f = c ? code_func(c, self) : NULL;
    struct breakpoint *b = f ? at_entry(c, f) : NULL;
    struct traced *t = S->p->traced;

    S->fcalls = left;
    S->gc_bytes = 0;
    if (S->p->heap.want_gc && !cold_gc(S))
        return NULL;
    if (b && b->sealed && entry_of(b) == self) {
        bool again = t && t->skip == self;

        if (t)
            t->skip = NULL;
        if (!again && !hit(S, b))
            return NULL;
        if (!again && b->flags & BREAK_DEBUG)
            return slow_breakpoint(S, b->export);
    }
    /* One for this entry; the next comes here again. */
    S->reds_kept = S->fcalls - 1;
    S->fcalls = 1;
    return self;
}

void break_again(struct sched *S)
{
    if (vm.breaks->n && code_native)
        traced_of(S->p)->skip = S->self;
}

/* ---- returns ---- */

void break_pace(struct proc *p, code_ptr self)
{
    struct heap *h = &p->heap;
    struct code *c;
    struct func *f;
    size_t depth = (size_t)(h->hend - h->stop);
    size_t apart = vm.stress_gc ? PACE_WORDS_STRESS : PACE_WORDS;

    /* An exception, or hibernation, may have left some without a word. */
    if (depth < p->paced)
        p->paced = (uint32_t)depth;
    if (depth < p->paced + apart || depth > UINT32_MAX ||
        heap_free_words(h) < 1u + frame_words[BREAK_PACE])
        return;
    /* Elsewhere, in a receive that loops, the stack begins with a frame. */
    c = code_find(self);
    f = c ? code_func(c, self) : NULL;
    if (!f || (code_ptr)((char *)c->base + f->entry) != self)
        return;
    h->stop -= 1 + frame_words[BREAK_PACE];
    h->stop[0] = (term)(uintptr_t)code_return_stub[BREAK_PACE];
    h->stop[1] = small_make(p->paced);
    p->paced = (uint32_t)depth;
}

/* The tracer that a frame names; flags: how to tell it. NULL: none, now. */
static const struct tracer *frame_tracer(struct proc *p, term t, struct tracer *own,
                                         uint32_t *flags)
{
    if (t == am_true) {
        if (!p->traced || !(p->traced->t.flags & TF_CALL))
            return NULL;
        *flags = p->traced->t.flags;
        return p->traced->t.tracer;
    }
    *flags = TF_CALL | TF_TIMESTAMP;
    *own = (struct tracer){.module = cons_head(t), .state = cons_tail(t)};
    return own;
}

static void tell_end(struct proc *p, const term *frame, term tag, term value)
{
    struct tracer own;
    uint32_t flags;
    const struct tracer *t = frame_tracer(p, frame[1], &own, &flags);
    term what[4];

    if (t)
        tell(p, t, flags, tag, mfa(what, (const struct export *)(uintptr_t)frame[0]), value,
             am_true);
}

static void tell_return_to(struct proc *p, code_ptr ret)
{
    struct code *c = code_find(ret - 1);
    struct func *f = c ? code_func(c, ret - 1) : NULL;
    term what[4] = {TUPLE_HEADER(3)}, to = am_undefined;

    if (!(p->trace & TF_RETURN_TO) || !p->traced->t.tracer)
        return;
    if (f) {
        what[1] = c->module;
        what[2] = f->f;
        what[3] = small_make(f->arity);
        to = boxed_make(what);
    }
    tell(p, p->traced->t.tracer, p->traced->t.flags, am_return_to, to, THE_NON_VALUE,
         am_true);
}

code_ptr break_returned(struct sched *S, unsigned kind)
{
    struct proc *p = S->p;
    const term *frame = p->heap.stop;
    code_ptr to;
    bool is_to;

    switch (kind) {
    case BREAK_RETURN:
    case BREAK_EXCEPTION:
        tell_end(p, frame, am_return_from, S->x[0]);
        break;
    case BREAK_RETURN_TO:
        tell_return_to(p, return_address(frame, &is_to));
        break;
    case BREAK_TIME_RETURN:
        time_goes_to(p, term_is_nil(frame[0]) ? NULL
                                              : (struct export *)(uintptr_t)frame[0]);
        break;
    case BREAK_PACE:
        p->paced = (uint32_t)small_value(frame[0]);
        break;
    }
    p->heap.stop += frame_words[kind] + 1;
    to = (code_ptr)(uintptr_t)p->heap.stop[-1];
    return kind == BREAK_PACE ? cold_returned(S, to) : to;
}

void break_unwind(struct sched *S, struct proc *p, const term *slot, term class, term value)
{
    const term *sp = p->heap.stop;
    code_ptr ret = NULL, to = NULL;
    bool to_next = false;
    struct code *c;
    size_t frame = exc_frame_words(p, S->self, &c);
    term pair[3] = {TUPLE_HEADER(2), class, value};

    for (;;) {
        int kind;

        if (slot ? slot < sp + frame : sp + frame >= p->heap.hend)
            break;
        sp += frame;
        if (sp >= p->heap.hend)
            break;
        ret = (code_ptr)(uintptr_t)*sp++;
        kind = kind_of(ret);
        if (kind == BREAK_EXCEPTION)
            tell_end(p, sp, am_exception_from, boxed_make(pair));
        if (kind == BREAK_RETURN_TO) {
            to_next = true;
            to = NULL;
        } else if (kind < 0) {
            to = to_next ? ret : NULL;
            to_next = false;
        }
        frame = code_frame(ret - 1, &c);
    }
    if (slot && to)
        tell_return_to(p, to);
}
