/*
 * matchspec.c - the compiler of match specifications.
 *
 * It walks the specification, which a stranger wrote, with an explicit stack
 * of things still to do. What it makes is described in matchspec_op.h.
 */
#include "bif/bif.h"
#include "vm/map.h"
#include "vm/matchspec_op.h"
#include "vm/ops.h"
#include "vm/print.h"
#include "vm/wstack.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    term name;
    uint8_t arity, native;
} functions[] = {
    {am_is_atom, 1, N_IS_ATOM},
    {am_is_float, 1, N_IS_FLOAT},
    {am_is_integer, 1, N_IS_INTEGER},
    {am_is_list, 1, N_IS_LIST},
    {am_is_number, 1, N_IS_NUMBER},
    {am_is_pid, 1, N_IS_PID},
    {am_is_port, 1, N_IS_PORT},
    {am_is_reference, 1, N_IS_REFERENCE},
    {am_is_tuple, 1, N_IS_TUPLE},
    {am_is_map, 1, N_IS_MAP},
    {am_is_binary, 1, N_IS_BINARY},
    {am_is_function, 1, N_IS_FUNCTION},
    {am_is_record, 3, N_IS_RECORD},
    {am_element, 2, N_ELEMENT},
    {am_hd, 1, N_HD},
    {am_tl, 1, N_TL},
    {am_not, 1, N_NOT},
    {am_xor, 2, N_XOR},
    {am_Gt, 2, N_GT},
    {am_Ge, 2, N_GE},
    {am_Lt, 2, N_LT},
    {am_Le, 2, N_LE},
    {am_Eq, 2, N_EQ},
    {am_ExactEq, 2, N_EXACT_EQ},
    {am_Ne, 2, N_NE},
    {am_ExactNe, 2, N_EXACT_NE},
    {am_abs, 1, N_GUARD},
    {am_length, 1, N_GUARD},
    {am_node, 1, N_GUARD},
    {am_node, 0, N_GUARD},
    {am_round, 1, N_GUARD},
    {am_size, 1, N_GUARD},
    {am_map_size, 1, N_GUARD},
    {am_map_get, 2, N_GUARD},
    {am_is_map_key, 2, N_GUARD},
    {am_bit_size, 1, N_GUARD},
    {am_byte_size, 1, N_GUARD},
    {am_binary_part, 2, N_GUARD},
    {am_binary_part, 3, N_GUARD},
    {am_trunc, 1, N_GUARD},
    {am_float, 1, N_GUARD},
    {am_Plus, 1, N_GUARD},
    {am_Minus, 1, N_GUARD},
    {am_Plus, 2, N_GUARD},
    {am_Minus, 2, N_GUARD},
    {am_Times, 2, N_GUARD},
    {am_Slash, 2, N_GUARD},
    {am_div, 2, N_GUARD},
    {am_rem, 2, N_GUARD},
    {am_band, 2, N_GUARD},
    {am_bor, 2, N_GUARD},
    {am_bxor, 2, N_GUARD},
    {am_bnot, 1, N_GUARD},
    {am_bsl, 2, N_GUARD},
    {am_bsr, 2, N_GUARD},
};

/* What only the trace flavour has: by name, how many arguments, what it needs. */
enum {
    IN_GUARD = 1,       /* allowed there */
    CHANGES = 2,        /* not of MS_RECEIVE */
    OF_CALL = 4,        /* nor of MS_SEND */
};
static const struct {
    term name;
    uint8_t min, max, action, needs;
} actions[] = {
    {am_is_seq_trace, 0, 0, MS_IS_SEQ_TRACE, IN_GUARD | CHANGES},
    {am_get_seq_token, 0, 0, MS_GET_SEQ_TOKEN, IN_GUARD | CHANGES},
    {am_set_seq_token, 2, 2, MS_SET_SEQ_TOKEN, CHANGES},
    {am_process_dump, 0, 0, MS_PROCESS_DUMP, CHANGES},
    {am_enable_trace, 1, 2, MS_ENABLE_TRACE, CHANGES},
    {am_disable_trace, 1, 2, MS_DISABLE_TRACE, CHANGES},
    {am_trace, 2, 3, MS_CHANGE_TRACE, CHANGES},
    {am_caller, 0, 0, MS_CALLER, OF_CALL},
    {am_caller_line, 0, 0, MS_CALLER_LINE, OF_CALL},
    {am_silent, 1, 1, MS_SILENT, CHANGES},
};

/* Errors. */

void ms_errors_init(struct ms_errors *e)
{
    e->first = NULL;
    e->last = &e->first;
}

void ms_errors_fini(struct ms_errors *e)
{
    struct ms_error *next;

    for (struct ms_error *x = e->first; x; x = next) {
        next = x->next;
        vm_free(x);
    }
    ms_errors_init(e);
}

term ms_errors_list(struct proc *p, const struct ms_errors *e)
{
    term list = TERM_NIL, *last = &list;

    for (const struct ms_error *x = e->first; x; x = x->next) {
        term *hp = heap_alloc(p, x->n * CONS_WORDS + 3 + CONS_WORDS);
        term text = TERM_NIL;

        for (size_t i = x->n; i > 0; i--)
            text = put_cons(&hp, small_make((uint8_t)x->text[i - 1]), text);
        text = put_tuple2(&hp, am_error, text);
        *last = put_cons(&hp, text, TERM_NIL);
        last = hp - 1;
    }
    return list;
}

/* The compiler. */

struct compiler {
    struct ms *ms;
    struct ms_errors *errors;
    bool failed;
    bool *bound;            /* of each variable, in this clause */
    size_t depth;           /* of the stack, here */
    bool guard;
};

/* Note an error; with no list to put it in, give up. */
static void error(struct compiler *c, const char *before, term t,
                  const char *after)
{
    c->failed = true;
    if (!c->errors)
        return;

    struct text text;
    text_init(&text);
    text_printf(&text, "%s", before);
    if (t != THE_NON_VALUE)
        text_term(&text, t, 200);
    text_printf(&text, "%s", after);
    struct ms_error *x = vm_alloc(ALLOC_SYSTEM, sizeof *x + text.n);
    x->next = NULL;
    x->n = text.n;
    memcpy(x->text, text.s, text.n);
    text_fini(&text);
    *c->errors->last = x;
    c->errors->last = &x->next;
}

static void emit(struct compiler *c, term word)
{
    struct ms *ms = c->ms;

    if (ms->ncode == ms->code_size) {
        ms->code_size = ms->code_size ? ms->code_size * 2 : 64;
        ms->code = vm_realloc(ms->code, ms->code_size * sizeof(term));
    }
    ms->code[ms->ncode++] = word;
}

static void emit2(struct compiler *c, enum op op, term a)
{
    emit(c, op);
    emit(c, a);
}

/* The code before here takes `pop` from the stack and puts `push` there. */
static void moved(struct compiler *c, size_t pop, size_t push)
{
    assert(c->depth >= pop);
    c->depth = c->depth - pop + push;
    if (c->depth > c->ms->stack_need)
        c->ms->stack_need = c->depth;
}

/* Order of '$N' by N, however large. */
static int compare_variables(const void *a, const void *b)
{
    const uint8_t *x = NULL, *y = NULL;
    size_t n = ms_variable_digits(*(const term *)a, &x);
    size_t m = ms_variable_digits(*(const term *)b, &y);

    if (n != m)
        return n < m ? -1 : 1;
    return memcmp(x, y, n);
}

static size_t variable_index(const struct ms *ms, term v)
{
    term *at;

    if (ms->nvars == 0)
        return SIZE_MAX;
    at = bsearch(&v, ms->vars, ms->nvars, sizeof v, compare_variables);
    return at ? (size_t)(at - ms->vars) : SIZE_MAX;
}

/* All variables in heads, sorted. */
static void collect_variables(struct ms *ms)
{
    struct wstack s;
    size_t size = 0;

    wstack_init(&s);
    for (size_t i = 0; i < ms->nclauses; i++) {
        wstack_push(&s, ms->heads[i]);
        while (s.n > 0) {
            term t = wstack_pop(&s);
            if (ms_push_parts(&s, t) || !ms_is_variable(t))
                continue;
            if (ms->nvars == size) {
                size = size ? size * 2 : 8;
                ms->vars = vm_realloc(ms->vars, size * sizeof t);
            }
            ms->vars[ms->nvars++] = t;
        }
    }
    wstack_fini(&s);
    if (ms->nvars == 0)
        return;
    qsort(ms->vars, ms->nvars, sizeof(term), compare_variables);
    size_t n = 1;
    for (size_t i = 1; i < ms->nvars; i++) {
        if (ms->vars[i] != ms->vars[n - 1])
            ms->vars[n++] = ms->vars[i];
    }
    ms->nvars = n;
}

static void compile_head(struct compiler *c, term head)
{
    struct wstack s;

    c->depth = 0;
    moved(c, 0, 1);
    wstack_init(&s);
    wstack_push(&s, head);
    while (s.n > 0) {
        term t = wstack_pop(&s);

        if (t == am_Underscore) {
            emit(c, H_ANY);
            moved(c, 1, 0);
        } else if (ms_is_variable(t)) {
            size_t v = variable_index(c->ms, t);
            emit2(c, c->bound[v] ? H_SAME : H_BIND, v);
            c->bound[v] = true;
            moved(c, 1, 0);
        } else if (term_is_imm(t)) {
            emit2(c, H_IMM, t);
            moved(c, 1, 0);
        } else if (term_is_cons(t)) {
            emit(c, H_CONS);
            ms_push_parts(&s, t);
            moved(c, 1, 2);
        } else if (term_is_tuple(t)) {
            emit2(c, H_TUPLE, tuple_arity(t));
            ms_push_parts(&s, t);
            moved(c, 1, tuple_arity(t));
        } else if (term_is_map(t)) {
            struct map_iter it;
            term key, value;

            emit2(c, H_MAP, map_size(t));
            map_iter_init(&it, t);
            while (map_iter_next(&it, &key, &value)) {
                if (ms_is_variable(key))
                    error(c, "Variable found in map key.", THE_NON_VALUE, "");
                else if (key == am_Underscore)
                    error(c, "Underscore found in map key.", THE_NON_VALUE, "");
                emit(c, key);
                wstack_push(&s, value);
            }
            moved(c, 1, map_size(t));
        } else {
            emit2(c, H_EQ, t);
            moved(c, 1, 0);
        }
    }
    wstack_fini(&s);
    assert(c->depth == 0);
}

/* Things to do when compiling an expression: a tag and a word. */
enum todo {
    DO_EXPR,            /* term */
    DO_OP,              /* OP_ARG(op, n): takes n, gives one */
    DO_PAIR,            /* X_MAP of n pairs */
    DO_WORD,            /* a word that follows an operation */
    DO_SHORTCUT,        /* X_ANDALSO, X_ORELSE or X_JUMP: link into the chain */
    DO_SHORTCUT_END,    /* the value when nothing decided; resolve the chain */
};
#define OP_ARG(op, n) ((term)(n) << 8 | (op))

static void todo(struct wstack *s, enum todo tag, term word)
{
    wstack_push(s, word);
    wstack_push(s, tag);
}

/* Elements from..to of tuple t are to be compiled in order. */
static void todo_elements(struct wstack *s, term t, size_t from, size_t to)
{
    for (size_t i = to; i >= from && i > 0; i--)
        todo(s, DO_EXPR, *tuple_at(t, i));
}

static void emit_const(struct compiler *c, term t)
{
    emit2(c, X_CONST, t);
    moved(c, 0, 1);
}

/*
 * Special forms of the trace flavour. name: for errors. False: an error was
 * noted.
 */
static bool trace_form(struct compiler *c, term t, size_t arity)
{
    term f = *tuple_at(t, 1);
    const char *why = NULL;

    if (!c->ms->trace)
        why = "' used in wrong dialect.";
    else if (c->guard)
        why = "' called in guard context.";
    else if (tuple_arity(t) != arity + 1)
        why = "' called with wrong number of arguments.";
    if (!why)
        return true;
    error(c, "Special form '", f, why);
    return false;
}

static void todo_action(struct wstack *s, enum ms_action what, term t)
{
    size_t n = tuple_arity(t) - 1;

    todo(s, DO_WORD, what);
    todo(s, DO_WORD, n);
    todo(s, DO_OP, OP_ARG(X_ACTION, n));
    todo_elements(s, t, 2, n + 1);
}

/* One of actions[]: true, errors noted. */
static bool action(struct compiler *c, struct wstack *s, term t)
{
    size_t i = 0, n = tuple_arity(t) - 1, count = sizeof actions / sizeof *actions;
    enum ms_flavor flavor = c->ms->flavor;
    const char *why = NULL;
    uint8_t needs;

    while (i < count && actions[i].name != *tuple_at(t, 1))
        i++;
    if (i == count)
        return false;
    needs = actions[i].needs;
    if (!c->ms->trace)
        why = "' used in wrong dialect.";
    else if ((needs & (CHANGES | OF_CALL) && flavor == MS_RECEIVE) ||
             (needs & OF_CALL && flavor == MS_SEND))
        why = "' not allow for this trace event.";
    else if (c->guard && !(needs & IN_GUARD))
        why = "' called in guard context.";
    else if (n < actions[i].min || n > actions[i].max)
        why = "' called with wrong number of arguments.";
    if (why) {
        error(c, "Special form '", actions[i].name, why);
        emit_const(c, am_true);
    } else {
        todo_action(s, (enum ms_action)actions[i].action, t);
    }
    return true;
}

/* get_tcw/0 and set_tcw/1, which count as functions. */
static bool control_word(struct compiler *c, struct wstack *s, term t)
{
    term f = *tuple_at(t, 1);
    size_t n = tuple_arity(t) - 1;
    char arity[60];

    if (!(f == am_get_tcw && n == 0) && !(f == am_set_tcw && n == 1))
        return false;
    if (!c->ms->trace || (c->guard && f == am_set_tcw)) {
        snprintf(arity, sizeof arity, "/%zu cannot be called in this context.", n);
        error(c, "Function ", f, arity);
        emit_const(c, am_true);
    } else {
        todo_action(s, f == am_get_tcw ? MS_GET_TCW : MS_SET_TCW, t);
    }
    return true;
}

static void compile_call(struct compiler *c, struct wstack *s,
                         struct wstack *chain, term t)
{
    term f = *tuple_at(t, 1);
    size_t n = tuple_arity(t) - 1;

    switch (f) {
    case am_const:
        if (n != 1) {
            error(c, "Special form 'const' called with more than one "
                  "argument in ", t, ".");
            emit_const(c, am_true);
        } else {
            emit_const(c, *tuple_at(t, 2));
        }
        return;
    case am_and:
    case am_or:
    case am_andalso:
    case am_andthen:
    case am_orelse:
        if (n == 0) {
            error(c, f == am_and ? "Special form 'and' called without "
                  "arguments in " : f == am_or ? "Special form 'or' called "
                  "without arguments in " : f == am_orelse ? "Special form "
                  "'orelse' called without arguments in " : "Special form "
                  "'andalso' called without arguments in ", t, ".");
            emit_const(c, am_true);
        } else if (f == am_and || f == am_or) {
            todo(s, DO_WORD, n);
            todo(s, DO_OP, OP_ARG(f == am_and ? X_AND : X_OR, n));
            todo_elements(s, t, 2, n + 1);
        } else {
            bool is_and = f != am_orelse;
            wstack_push(chain, 0);
            todo(s, DO_SHORTCUT_END, bool_make(is_and));
            for (size_t i = n + 1; i > 1; i--) {
                todo(s, DO_SHORTCUT, i == n + 1 ? X_JUMP
                                     : is_and   ? X_ANDALSO
                                                : X_ORELSE);
                todo(s, DO_EXPR, *tuple_at(t, i));
            }
        }
        return;
    case am_self:
        if (n != 0)
            error(c, "Special form 'self' called with arguments in ", t, ".");
        emit(c, X_SELF);
        moved(c, 0, 1);
        return;
    case am_message:
        if (trace_form(c, t, 1)) {
            todo(s, DO_OP, OP_ARG(X_MESSAGE, 1));
            todo(s, DO_EXPR, *tuple_at(t, 2));
        } else {
            emit_const(c, am_true);
        }
        return;
    case am_display:
        if (trace_form(c, t, 1)) {
            todo(s, DO_OP, OP_ARG(X_DISPLAY, 1));
            todo(s, DO_EXPR, *tuple_at(t, 2));
        } else {
            emit_const(c, am_true);
        }
        return;
    case am_return_trace:
    case am_exception_trace:
        if (trace_form(c, t, 0)) {
            emit2(c, X_FLAG, f == am_return_trace ? MS_RETURN_TRACE
                                                  : MS_EXCEPTION_TRACE);
            moved(c, 0, 1);
        } else {
            emit_const(c, am_true);
        }
        return;
    }
    if (action(c, s, t) || control_word(c, s, t))
        return;

    size_t i = 0, count = sizeof functions / sizeof *functions;
    while (i < count && (functions[i].name != f || functions[i].arity != n))
        i++;
    bif_fn fn = NULL;
    if (i < count && functions[i].native == N_GUARD)
        fn = bif_guard(am_erlang, f, (uint32_t)n);
    if (i == count || (functions[i].native == N_GUARD && !fn)) {
        char arity[40];
        snprintf(arity, sizeof arity, "/%zu does_not_exist.", n);
        error(c, "Function ", f, arity);
        emit_const(c, am_true);
        return;
    }
    todo(s, DO_WORD, n);
    todo(s, DO_WORD, fn ? (term)(uintptr_t)fn : functions[i].native);
    todo(s, DO_OP, OP_ARG(fn ? X_CALL : X_NATIVE, n));
    todo_elements(s, t, 2, n + 1);
}

static void compile_leaf(struct compiler *c, term t)
{
    if (t == am_DollarUnderscore) {
        emit(c, X_WHOLE);
        moved(c, 0, 1);
    } else if (t == am_DollarDollar) {
        size_t n = 0;
        for (size_t i = 0; i < c->ms->nvars; i++)
            n += c->bound[i];
        emit2(c, X_BINDINGS, n);
        for (size_t i = 0; i < c->ms->nvars; i++) {
            if (c->bound[i])
                emit(c, i);
        }
        moved(c, 0, 1);
    } else if (ms_is_variable(t)) {
        size_t v = variable_index(c->ms, t);
        if (v == SIZE_MAX || !c->bound[v]) {
            const struct atom *a = atom_get(t);
            char why[ATOM_MAX_BYTES + 40];
            snprintf(why, sizeof why, "Variable %.*s is unbound.", a->bytes,
                     a->name);
            error(c, why, THE_NON_VALUE, "");
            emit_const(c, am_true);
        } else {
            emit2(c, X_VAR, v);
            moved(c, 0, 1);
        }
    } else {
        emit_const(c, t);
    }
}

static void compile_expr(struct compiler *c, term expr)
{
    struct wstack s, chain;
    struct ms *ms = c->ms;

    wstack_init(&s);
    wstack_init(&chain);
    todo(&s, DO_EXPR, expr);
    while (s.n > 0 && !(c->failed && !c->errors)) {
        enum todo tag = (enum todo)wstack_pop(&s);
        term t = wstack_pop(&s);

        switch (tag) {
        case DO_OP:
            emit(c, t & 255);
            if ((t & 255) == X_TUPLE)
                emit(c, t >> 8);
            moved(c, t >> 8, 1);
            continue;
        case DO_PAIR:
            emit2(c, X_MAP, t);
            moved(c, t * 2, 1);
            continue;
        case DO_WORD:
            emit(c, t);
            continue;
        case DO_SHORTCUT:
            emit2(c, (enum op)t, wstack_pop(&chain));
            wstack_push(&chain, ms->ncode - 1);
            moved(c, 1, 0);
            continue;
        case DO_SHORTCUT_END:
            emit_const(c, t);
            for (size_t at = wstack_pop(&chain); at;) {
                size_t next = ms->code[at];
                ms->code[at] = ms->ncode;
                at = next;
            }
            continue;
        case DO_EXPR:
            break;
        }

        if (term_is_cons(t)) {
            todo(&s, DO_OP, OP_ARG(X_CONS, 2));
            todo(&s, DO_EXPR, cons_tail(t));
            todo(&s, DO_EXPR, cons_head(t));
        } else if (term_is_map(t)) {
            struct map_iter it;
            term key, value;

            todo(&s, DO_PAIR, map_size(t));
            map_iter_init(&it, t);
            while (map_iter_next(&it, &key, &value)) {
                todo(&s, DO_EXPR, value);
                todo(&s, DO_EXPR, key);
            }
        } else if (!term_is_tuple(t)) {
            compile_leaf(c, t);
        } else if (term_is_tuple_of(t, 1) && term_is_tuple(*tuple_at(t, 1))) {
            term made = *tuple_at(t, 1);
            todo(&s, DO_OP, OP_ARG(X_TUPLE, tuple_arity(made)));
            todo_elements(&s, made, 1, tuple_arity(made));
        } else if (tuple_arity(t) >= 1 && term_is_atom(*tuple_at(t, 1))
                   && !ms_is_variable(*tuple_at(t, 1))) {
            compile_call(c, &s, &chain, t);
        } else {
            error(c, "", t, " is neither a function call, nor a tuple "
                  "(tuples are written {{ ... }}).");
            emit_const(c, am_true);
        }
    }
    wstack_fini(&s);
    wstack_fini(&chain);
}

static void compile_list(struct compiler *c, term list)
{
    if (!term_is_list(list)) {
        error(c, "Match expression is not a list.", THE_NON_VALUE, "");
        return;
    }
    for (; term_is_cons(list); list = cons_tail(list)) {
        compile_expr(c, cons_head(list));
        if (c->failed && !c->errors)
            return;
        bool last = term_is_nil(cons_tail(list));
        emit(c, c->guard                              ? X_CHECK
                : last && !c->ms->trace               ? X_RETURN
                                                      : X_DROP);
        moved(c, 1, 0);
    }
    if (!term_is_nil(list))
        error(c, "Match expression is not a proper list.", THE_NON_VALUE, "");
}

static void compile_clause(struct compiler *c, size_t i, term clause)
{
    struct ms *ms = c->ms;

    memset(c->bound, 0, ms->nvars);
    ms->start[i] = ms->ncode;
    if (ms->trace && !term_is_tuple(ms->heads[i])
        && !ms_is_variable(ms->heads[i]) && ms->heads[i] != am_Underscore)
        error(c, "Match head is invalid in this context.", THE_NON_VALUE, "");
    compile_head(c, ms->heads[i]);
    c->guard = true;
    compile_list(c, *tuple_at(clause, 2));
    c->guard = false;
    if (c->failed && !c->errors)
        return;
    if (!ms->trace && !term_is_cons(*tuple_at(clause, 3))) {
        error(c, "Body clause does not return anything.", THE_NON_VALUE, "");
        return;
    }
    emit(c, X_BODY);
    compile_list(c, *tuple_at(clause, 3));
    emit(c, X_HALT);
}

static void ms_destroy(struct resource *res)
{
    struct ms *ms = (struct ms *)res;

    offheap_release(&ms->off);
    vm_free(ms->block);
    vm_free(ms->heads);
    vm_free(ms->start);
    vm_free(ms->vars);
    vm_free(ms->code);
    vm_free(ms);
}

/* {Head, _, _} of each, with lists of arguments made tuples when tracing. */
static bool find_heads(struct compiler *c, size_t words)
{
    struct ms *ms = c->ms;
    term *hp = ms->block + words;   /* room for those tuples */
    size_t i = 0;

    for (term l = ms->spec; term_is_cons(l); l = cons_tail(l), i++) {
        term clause = cons_head(l);
        if (!term_is_tuple_of(clause, 3)) {
            error(c, "Match program part is not a tuple of arity 3.",
                  THE_NON_VALUE, "");
            return false;
        }
        term head = *tuple_at(clause, 1);
        if (ms->trace && term_is_list(head)) {
            int64_t n = list_length(head);
            if (n < 0) {
                error(c, "Match expression part ", head,
                      " is not a proper list.");
                return false;
            }
            term *tuple = hp;
            *hp++ = TUPLE_HEADER(n);
            for (; term_is_cons(head); head = cons_tail(head))
                *hp++ = cons_head(head);
            head = boxed_make(tuple);
        }
        ms->heads[i] = head;
    }
    return true;
}

struct ms *ms_compile(term spec, enum ms_flavor flavor, struct ms_errors *errors)
{
    static const char not_list[] = "Match programs are not in a list.";
    static const char not_proper[] = "Match programs are not in a proper list.";
    struct compiler c = {.errors = errors};
    int64_t n = list_length(spec);

    if (!term_is_cons(spec) || n < 0) {
        error(&c, term_is_cons(spec) ? not_proper : not_list, THE_NON_VALUE, "");
        return NULL;
    }

    /* Heads that become tuples need no more words than the lists they were,
     * which take two words an element, and one. */
    size_t words = term_size_all(spec);
    struct ms *ms = vm_zalloc(ALLOC_SYSTEM, sizeof *ms);
    c.ms = ms;
    ms->res = (struct resource){.refc = 1, .free = ms_destroy, .type = &ms_destroy};
    ms->flavor = flavor;
    ms->trace = flavor != MS_TABLE;
    ms->nclauses = (size_t)n;
    ms->heads = vm_alloc(ALLOC_SYSTEM, ms->nclauses * sizeof *ms->heads);
    ms->start = vm_alloc(ALLOC_SYSTEM, ms->nclauses * sizeof *ms->start);
    size_t extra = ms->trace ? words + ms->nclauses : 0;
    ms->block = vm_alloc(ALLOC_SYSTEM, (words + extra + 1) * sizeof(term));
    struct dest d = {.htop = ms->block, .off = &ms->off};
    ms->spec = term_copy_all(&d, spec);

    if (find_heads(&c, words)) {
        collect_variables(ms);
        c.bound = vm_alloc(ALLOC_SYSTEM, ms->nvars + 1);
        size_t i = 0;
        for (term l = ms->spec; term_is_cons(l); l = cons_tail(l), i++) {
            compile_clause(&c, i, cons_head(l));
            if (c.failed && !errors)
                break;
        }
        vm_free(c.bound);
    }
    if (c.failed) {
        ms_destroy(&ms->res);
        return NULL;
    }
    return ms;
}

term ms_ref(struct proc *p, struct ms *ms)
{
    struct dest d = {.htop = heap_alloc(p, MAGIC_WORDS), .off = &p->heap.off};

    resource_get(&ms->res);
    return magic_put(&d, &ms->res);
}

struct ms *ms_of_ref(term t)
{
    return (struct ms *)magic_resource(t, &ms_destroy);
}
