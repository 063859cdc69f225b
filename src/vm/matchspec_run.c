/*
 * matchspec_run.c - the machine that runs match specifications.
 */
#include "bif/bif.h"
#include "vm/map.h"
#include "vm/matchspec_op.h"
#include "vm/ops.h"
#include "vm/print.h"

#include <stdio.h>

struct ms_chunk {
    struct ms_chunk *next;
    size_t size;
    term words[];
};

static void scratch_use(struct ms_run *r, term *words, size_t n)
{
    r->heap.heap = r->heap.htop = r->heap.high_water = words;
    r->heap.stop = r->heap.hend = words + n;
}

/* A larger chunk; the others keep what they hold until the next match. */
static void scratch_grow(struct ms_run *r, size_t words)
{
    size_t size = r->chunk ? r->chunk->size * 2 : 1024;

    while (size < words + HEAP_RESERVE)
        size *= 2;
    struct ms_chunk *c = vm_alloc(ALLOC_PROC, sizeof *c + size * sizeof(term));
    c->next = r->chunk;
    c->size = size;
    r->chunk = c;
    scratch_use(r, c->words, size);
}

static void scratch_free_after(struct ms_chunk **at)
{
    struct ms_chunk *next;

    for (struct ms_chunk *c = *at; c; c = next) {
        next = c->next;
        vm_free(c);
    }
    *at = NULL;
}

static void scratch_reset(struct ms_run *r)
{
    if (r->chunk) {
        scratch_free_after(&r->chunk->next);
        scratch_use(r, r->chunk->words, r->chunk->size);
    } else {
        scratch_use(r, r->scratch, MS_LOCAL);
    }
    if (unlikely(r->heap.off.first))
        offheap_release(&r->heap.off);
    if (unlikely(r->heap.mbuf)) {
        mbuf_free(r->heap.mbuf);
        r->heap.mbuf = NULL;
        r->heap.mbuf_words = 0;
    }
}

term *ms_scratch(struct ms_run *r, size_t words)
{
    if ((size_t)(r->heap.stop - r->heap.htop) < words)
        scratch_grow(r, words);
    term *at = r->heap.htop;
    r->heap.htop += words;
    return at;
}

void ms_run_init(struct ms_run *r, const struct ms *ms, struct proc *p)
{
    size_t need = ms->nvars + ms->stack_need;

    r->p = p;
    r->ms = ms;
    r->vars = need <= MS_LOCAL ? r->local
                               : vm_alloc(ALLOC_PROC, need * sizeof(term));
    r->stack = r->vars + ms->nvars;
    r->chunk = NULL;
    r->flags = 0;
    r->caller = NULL;
    r->heap = (struct heap){.bin_vheap_limit = SIZE_MAX};
    scratch_use(r, r->scratch, MS_LOCAL);
}

void ms_run_fini(struct ms_run *r)
{
    scratch_reset(r);
    scratch_free_after(&r->chunk);
    if (r->vars != r->local)
        vm_free(r->vars);
}

/* Run f on the scratch heap. Swapped in, so that what is built lies there. */
static term call_guard(struct ms_run *r, bif_fn f, term *args)
{
    struct proc *p = r->p;

    /* Nobody is put aside here: the heap is not p's, and a table may be at hand. */
    vm.sched->unsliced++;
    for (;;) {
        struct heap own = p->heap;
        p->heap = r->heap;
        p->need_words = 0;
        term t = f(p, args);
        r->heap = p->heap;
        p->heap = own;
        size_t need = p->need_words;
        p->need_words = 0;
        if (t == THE_NON_VALUE && need > 0) {
            scratch_grow(r, need);
            continue;
        }
        if (t == THE_NON_VALUE) {
            /* What it says lies on the scratch heap: no root may refer to it. */
            p->exc.kind = EXC_NONE;
            p->exc.reason = p->exc.trace = p->exc.args = p->exc.cause = TERM_NIL;
        }
        vm.sched->unsliced--;
        return t;
    }
}

/* A map on the scratch heap from n pairs at kv. */
static term make_map(struct ms_run *r, const term *kv, size_t n)
{
    struct proc *p = r->p;
    struct heap own = p->heap;

    p->heap = r->heap;
    term map = map_from_pairs(p, kv, n);
    r->heap = p->heap;
    p->heap = own;
    return map;
}

static term native(enum native f, const term *a)
{
    switch (f) {
    case N_IS_ATOM: return bool_make(term_is_atom(a[0]));
    case N_IS_FLOAT: return bool_make(term_is_float(a[0]));
    case N_IS_INTEGER: return bool_make(term_is_integer(a[0]));
    case N_IS_LIST: return bool_make(term_is_list(a[0]));
    case N_IS_NUMBER: return bool_make(term_is_number(a[0]));
    case N_IS_PID: return bool_make(term_is_pid(a[0]));
    case N_IS_PORT: return bool_make(term_is_port(a[0]));
    case N_IS_REFERENCE: return bool_make(term_is_ref(a[0]));
    case N_IS_TUPLE: return bool_make(term_is_tuple(a[0]));
    case N_IS_MAP: return bool_make(term_is_map(a[0]));
    case N_IS_BINARY: return bool_make(term_is_binary(a[0]));
    case N_IS_FUNCTION: return bool_make(term_is_fun(a[0]));
    case N_IS_RECORD:
        if (!term_is_atom(a[1]) || !term_is_small(a[2]))
            return THE_NON_VALUE;
        return bool_make(term_is_tuple(a[0]) && tuple_arity(a[0]) > 0
                         && (int64_t)tuple_arity(a[0]) == small_value(a[2])
                         && *tuple_at(a[0], 1) == a[1]);
    case N_ELEMENT:
        if (!term_is_small(a[0]) || small_value(a[0]) < 1
            || !term_is_tuple(a[1])
            || (uint64_t)small_value(a[0]) > tuple_arity(a[1]))
            return THE_NON_VALUE;
        return *tuple_at(a[1], (size_t)small_value(a[0]));
    case N_HD: return term_is_cons(a[0]) ? cons_head(a[0]) : THE_NON_VALUE;
    case N_TL: return term_is_cons(a[0]) ? cons_tail(a[0]) : THE_NON_VALUE;
    case N_NOT:
        return term_is_bool(a[0]) ? bool_make(a[0] == am_false) : THE_NON_VALUE;
    case N_XOR:
        return term_is_bool(a[0]) && term_is_bool(a[1]) ? bool_make(a[0] != a[1])
                                                        : THE_NON_VALUE;
    case N_GT: return bool_make(term_compare(a[0], a[1]) > 0);
    case N_GE: return bool_make(term_compare(a[0], a[1]) >= 0);
    case N_LT: return bool_make(term_compare(a[0], a[1]) < 0);
    case N_LE: return bool_make(term_compare(a[0], a[1]) <= 0);
    case N_EQ: return bool_make(term_compare(a[0], a[1]) == 0);
    case N_NE: return bool_make(term_compare(a[0], a[1]) != 0);
    case N_EXACT_EQ: return bool_make(term_eq(a[0], a[1]));
    case N_EXACT_NE: return bool_make(!term_eq(a[0], a[1]));
    case N_GUARD:
        break;
    }
    vm_bug("matchspec: native function %d", f);
}

/* and, or of n terms; THE_NON_VALUE if one is no boolean. */
static term logic(const term *a, size_t n, term neutral)
{
    term t = neutral;

    for (size_t i = 0; i < n; i++) {
        if (!term_is_bool(a[i]))
            return THE_NON_VALUE;
        if (a[i] != neutral)
            t = a[i];
    }
    return t;
}

/*
 * One clause. THE_NON_VALUE: it does not match. *message is what a trace
 * clause's message/1 said last.
 */
static term run_clause(struct ms_run *r, size_t clause, term subject, term whole)
{
    const struct ms *ms = r->ms;
    const term *code = ms->code, *pc = code + ms->start[clause];
    term *sp = r->stack;    /* next free */
    term message = am_true, t;
    bool body = false;
    size_t n;

    *sp++ = subject;
    for (;;) {
        assert(sp >= r->stack && sp <= r->stack + ms->stack_need);
        switch ((enum op)*pc++) {
        case H_ANY:
            sp--;
            continue;
        case H_BIND:
            r->vars[*pc++] = *--sp;
            continue;
        case H_SAME:
            if (!term_eq(r->vars[*pc++], *--sp))
                return THE_NON_VALUE;
            continue;
        case H_IMM:
            if (*pc++ != *--sp)
                return THE_NON_VALUE;
            continue;
        case H_EQ:
            if (!term_eq(*pc++, *--sp))
                return THE_NON_VALUE;
            continue;
        case H_TUPLE:
            t = *--sp;
            n = *pc++;
            if (!term_is_tuple_of(t, n))
                return THE_NON_VALUE;
            for (size_t i = n; i > 0; i--)
                *sp++ = *tuple_at(t, i);
            continue;
        case H_CONS:
            t = *--sp;
            if (!term_is_cons(t))
                return THE_NON_VALUE;
            *sp++ = cons_tail(t);
            *sp++ = cons_head(t);
            continue;
        case H_MAP:
            t = *--sp;
            n = *pc++;
            if (!term_is_map(t) || map_size(t) < n)
                return THE_NON_VALUE;
            for (; n > 0; n--) {
                term value = map_get(t, *pc++);
                if (value == THE_NON_VALUE)
                    return THE_NON_VALUE;
                *sp++ = value;
            }
            continue;

        case X_CONST:
            *sp++ = *pc++;
            continue;
        case X_VAR:
            *sp++ = r->vars[*pc++];
            continue;
        case X_WHOLE:
            *sp++ = whole;
            continue;
        case X_BINDINGS: {
            n = *pc++;
            term *hp = ms_scratch(r, n * CONS_WORDS);
            t = TERM_NIL;
            for (size_t i = n; i > 0; i--)
                t = put_cons(&hp, r->vars[pc[i - 1]], t);
            pc += n;
            *sp++ = t;
            continue;
        }
        case X_CONS: {
            term *hp = ms_scratch(r, CONS_WORDS);
            sp--;
            sp[-1] = put_cons(&hp, sp[-1], sp[0]);
            continue;
        }
        case X_TUPLE: {
            n = *pc++;
            term *hp = ms_scratch(r, n + 1);
            sp -= n;
            hp[0] = TUPLE_HEADER(n);
            memcpy(hp + 1, sp, n * sizeof *sp);
            *sp++ = boxed_make(hp);
            continue;
        }
        case X_MAP:
            n = *pc++;
            sp -= n * 2;
            t = make_map(r, sp, n);
            *sp++ = t;
            continue;
        case X_NATIVE:
            sp -= pc[1];
            t = native((enum native)pc[0], sp);
            pc += 2;
            break;
        case X_CALL:
            sp -= pc[1];
            t = call_guard(r, (bif_fn)(uintptr_t)pc[0], sp);
            pc += 2;
            break;
        case X_AND:
        case X_OR:
            n = *pc++;
            sp -= n;
            t = logic(sp, n, bool_make(pc[-2] == X_AND));
            break;
        case X_ANDALSO:
        case X_ORELSE:
            t = *--sp;
            if (t == bool_make(pc[-1] == X_ANDALSO)) {
                pc++;
                continue;
            }
            pc = code + *pc;
            if (!term_is_bool(t))
                t = THE_NON_VALUE;
            break;
        case X_JUMP:
            pc = code + *pc;
            continue;
        case X_SELF:
            *sp++ = r->p->id;
            continue;
        case X_MESSAGE:
            message = sp[-1];
            sp[-1] = am_true;
            continue;
        case X_FLAG:
            r->flags |= (uint32_t)*pc++;
            *sp++ = am_true;
            continue;
        case X_DISPLAY: {
            struct text text;
            text_init(&text);
            text_term(&text, sp[-1], 0);
            text_printf(&text, "\n");
            fwrite(text.s, 1, text.n, stderr);
            text_fini(&text);
            sp[-1] = am_true;
            continue;
        }
        case X_ACTION:
            sp -= pc[0];
            t = ms_act(r, (enum ms_action)pc[1], sp, pc[0]);
            pc += 2;
            break;
        case X_BODY:
            body = true;
            continue;
        case X_CHECK:
            if (*--sp != am_true)
                return THE_NON_VALUE;
            continue;
        case X_DROP:
            sp--;
            continue;
        case X_RETURN:
            return *--sp;
        case X_HALT:
            return message;
        }

        /* A value that may be a failure. */
        if (t == THE_NON_VALUE) {
            if (!body)
                return THE_NON_VALUE;
            t = am_EXIT;
        }
        *sp++ = t;
    }
}

bool ms_match(struct ms_run *r, term subject, term whole, term *value)
{
    scratch_reset(r);
    for (size_t i = 0; i < r->ms->nclauses; i++) {
        r->flags = 0;
        /* A trace head that is one variable stands for the argument list. */
        bool all = r->ms->trace && !term_is_tuple(r->ms->heads[i]);
        term t = run_clause(r, i, all ? whole : subject, whole);
        if (t != THE_NON_VALUE) {
            *value = t;
            return true;
        }
    }
    return false;
}
