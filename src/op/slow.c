/*
 * slow.c - see slow.h.
 */
#include "op/slow.h"

#include "bif/bif.h"
#include "op/code.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/bitsyntax.h"
#include "vm/exc.h"
#include "vm/map.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/slice.h"

/* Arithmetic: a failure is one of the BIF of the same name. */
#define ARITH(name, atom, call, arity)                                         \
    SLOW term slow_##name(struct sched *S)                                     \
    {                                                                          \
        term v = call;                                                         \
                                                                               \
        if (unlikely(v == THE_NON_VALUE && S->p->need_words == 0))             \
            S->bif = export_put(am_erlang, atom, arity);                       \
        return v;                                                              \
    }
ARITH(add, am_Plus, num_add(S->p, S->a[0], S->a[1]), 2)
ARITH(sub, am_Minus, num_sub(S->p, S->a[0], S->a[1]), 2)
ARITH(mul, am_Times, num_mul(S->p, S->a[0], S->a[1]), 2)
ARITH(div, am_div, num_div(S->p, S->a[0], S->a[1]), 2)
ARITH(rem, am_rem, num_rem(S->p, S->a[0], S->a[1]), 2)
ARITH(band, am_band, num_band(S->p, S->a[0], S->a[1]), 2)
ARITH(bor, am_bor, num_bor(S->p, S->a[0], S->a[1]), 2)
ARITH(bxor, am_bxor, num_bxor(S->p, S->a[0], S->a[1]), 2)
ARITH(bsl, am_bsl, num_bsl(S->p, S->a[0], S->a[1]), 2)
ARITH(bsr, am_bsr, num_bsr(S->p, S->a[0], S->a[1]), 2)
ARITH(bnot, am_bnot, num_bnot(S->p, S->a[0]), 1)
ARITH(neg, am_Minus, num_neg(S->p, S->a[0]), 1)

SLOW term slow_increment(struct sched *S)
{
    S->bif = NULL;
    return num_add(S->p, S->a[0], S->a[1]);
}

SLOW term slow_guard_bif(struct sched *S)
{
    if (unlikely(!S->bif->bif))
        return bif_error(S->p, am_undef);
    return S->bif->bif(S->p, S->a);
}

SLOW bool slow_eq_exact(struct sched *S)
{
    SLICED(S->p, NULL);

    return term_eq(S->a[0], S->a[1]);
}

SLOW int slow_compare(struct sched *S)
{
    SLICED(S->p, NULL);

    return term_compare(S->a[0], S->a[1]);
}

static term badarg_of(struct sched *S, term f, uint32_t arity)
{
    S->bif = export_put(am_erlang, f, arity);
    return bif_error(S->p, am_badarg);
}
SLOW term slow_hd(struct sched *S) { return badarg_of(S, am_hd, 1); }
SLOW term slow_tl(struct sched *S) { return badarg_of(S, am_tl, 1); }
SLOW term slow_element(struct sched *S) { return badarg_of(S, am_element, 2); }

SLOW bool slow_fconv(struct sched *S)
{
    if (num_to_double(S->a[0], &S->fconv))
        return true;
    bif_error(S->p, am_badarith);
    return false;
}

/* n arguments of x as a list. */
static term args_list(struct sched *S, uint32_t n)
{
    term *hp = heap_alloc(S->p, CONS_WORDS * (size_t)n), list = TERM_NIL;

    for (uint32_t i = n; i-- > 0;)
        list = put_cons(&hp, S->x[i], list);
    return list;
}

/* error:{Tag, Value} */
static void error_pair(struct sched *S, term tag, term value)
{
    term *hp = heap_alloc(S->p, 3);

    bif_error(S->p, put_tuple2(&hp, tag, value));
}

code_ptr slow_call_fun(struct sched *S, uint32_t arity)
{
    term f = S->a[0];

    if (boxed_is(f, BOX_EXPORT)) {
        struct export *e = ((struct export_words *)boxed_ptr(f))->export;

        if (e->arity == arity)
            return e->addr;
    } else if (!boxed_is(f, BOX_FUN)) {
        error_pair(S, am_badfun, f);
        return NULL;
    } else if (header_aux(*boxed_ptr(f)) == arity) {
        return fun_ptr(f)->entry->addr;
    }
    term args = args_list(S, arity), *hp = heap_alloc(S->p, 3);

    error_pair(S, am_badarity, put_tuple2(&hp, f, args));
    return NULL;
}

/* apply itself fails: the trace begins with erlang:apply and its n arguments. */
static code_ptr apply_error(struct sched *S, term reason, const term *args, uint32_t n)
{
    term *hp = heap_alloc(S->p, CONS_WORDS * (size_t)n + 4), list = TERM_NIL;

    bif_error(S->p, reason);
    while (n > 0)
        list = put_cons(&hp, args[--n], list);
    S->p->exc.mfa = put_tuple3(&hp, am_erlang, am_apply, list);
    return NULL;
}

static code_ptr applied(struct sched *S, term m, term f, uint32_t arity)
{
    const struct export *e = export_put(m, f, arity);

    S->a[0] = e->bif && m == am_erlang &&
              ((f == am_error && arity >= 1 && arity <= 3) ||
               ((f == am_exit || f == am_throw) && arity == 1));
    return e->addr;
}

/* Applying apply/3 is applying what it is told to. */
static bool is_apply(term m, term f, int64_t arity)
{
    return m == am_erlang && f == am_apply && arity == 3;
}

code_ptr slow_apply_list(struct sched *S)
{
    for (;;) {
        term m = S->x[0], f = S->x[1], list = S->x[2];
        int64_t n = list_length(list);

        if (n < 0 || !term_is_atom(m) || !term_is_atom(f))
            return apply_error(S, am_badarg, S->x, 3);
        if (n > 255)
            return apply_error(S, am_system_limit, S->x, 3);
        for (int64_t i = 0; i < n; i++, list = cons_tail(list))
            S->x[i] = cons_head(list);
        if (!is_apply(m, f, n))
            return applied(S, m, f, (uint32_t)n);
    }
}

code_ptr slow_apply(struct sched *S, uint32_t arity)
{
    term m = S->x[arity], f = S->x[arity + 1];

    if (!term_is_atom(m) || !term_is_atom(f))
        return apply_error(S, am_badarg, (term[]){m, f, args_list(S, arity)}, 3);
    if (is_apply(m, f, arity))
        return slow_apply_list(S);
    return applied(S, m, f, arity);
}

code_ptr slow_apply_fun(struct sched *S)
{
    term fun = S->x[0], list = S->x[1];
    int64_t n = list_length(list);

    if (n < 0 || n > 255)
        return apply_error(S, n < 0 ? am_badarg : am_system_limit, S->x, 2);
    for (int64_t i = 0; i < n; i++, list = cons_tail(list))
        S->x[i] = cons_head(list);
    S->x[n] = S->a[0] = fun;
    code_ptr to = slow_call_fun(S, (uint32_t)n);

    S->a[0] = 0;
    return to;
}

/* A call of the error handler: its address, or undef. */
static code_ptr error_handler(struct sched *S, term function)
{
    term handler = S->p->error_handler;
    struct export *e = export_put(handler, function, 3);

    if (!e->entry) {
        S->p->exc.kind = EXC_ERROR;
        S->p->exc.reason = am_undef;
        return NULL;
    }
    return e->addr;
}

code_ptr slow_breakpoint(struct sched *S, struct export *e)
{
    term args = args_list(S, e->arity);

    S->x[0] = e->m;
    S->x[1] = e->f;
    S->x[2] = args;
    return export_put(S->p->error_handler, am_breakpoint, 3)->addr;
}

code_ptr slow_undefined(struct sched *S, struct export *e)
{
    term args = args_list(S, e->arity);
    code_ptr to = error_handler(S, am_undefined_function);

    if (to) {
        S->x[0] = e->m;
        S->x[1] = e->f;
        S->x[2] = args;
    } else {
        term *hp = heap_alloc(S->p, 4);

        S->p->exc.mfa = put_tuple3(&hp, e->m, e->f, args);
    }
    return to;
}

code_ptr slow_undefined_fun(struct sched *S, struct fun_entry *f)
{
    term fun = S->x[f->arity], args = args_list(S, f->arity);
    struct module *m = module_find(f->module);

    /* Other code of the module is there: loading again would not help. */
    if (!f->unloaded && m && m->curr) {
        error_pair(S, am_badfun, fun);
        return NULL;
    }
    /* While its code is being purged a call waits for the outcome: purge.h. */
    code_ptr to = f->unloaded ? f->unloaded->addr
                              : error_handler(S, am_undefined_lambda);

    if (to) {
        S->x[0] = f->module;
        S->x[1] = fun;
        S->x[2] = args;
    }
    return to;
}

SLOW void slow_error(struct sched *S, enum slow_error why)
{
    term v = S->a[0];

    switch (why) {
    case ERR_BADMATCH: error_pair(S, am_badmatch, v); break;
    case ERR_CASE_CLAUSE: error_pair(S, am_case_clause, v); break;
    case ERR_TRY_CLAUSE: error_pair(S, am_try_clause, v); break;
    case ERR_BADRECORD: error_pair(S, am_badrecord, v); break;
    case ERR_BADMAP: error_pair(S, am_badmap, v); break;
    case ERR_BADKEY: error_pair(S, am_badkey, v); break;
    case ERR_IF_CLAUSE: bif_error(S->p, am_if_clause); break;
    case ERR_BADARG: bif_error(S->p, am_badarg); break;
    case ERR_BADARITH: bif_error(S->p, am_badarith); break;
    case ERR_SYSTEM_LIMIT: bif_error(S->p, am_system_limit); break;
    case ERR_FUNCTION_CLAUSE:
        bif_error(S->p, am_function_clause);
        S->p->exc.args = args_list(S, S->live);
        break;
    }
}

/* The receive is over, so the next one begins with the first message. */
void slow_timeout_value(struct sched *S)
{
    recv_timer_cancel(S->p);
    msg_rewind(S->p);
    bif_error(S->p, am_timeout_value);
}

term slow_catch_value(struct sched *S)
{
    term class = S->x[1], value = S->x[2];

    if (class == am_error) {
        term trace = exc_build_stacktrace(S->p, S->x[3]);
        term *hp = heap_alloc(S->p, 3);

        value = put_tuple2(&hp, value, trace);
    }
    term *hp = heap_alloc(S->p, 3);
    return put_tuple2(&hp, am_EXIT, value);
}

void slow_raise(struct sched *S)
{
    exc_raise_again(S->p, S->a[0], S->a[1]);
}

bool slow_raw_raise(struct sched *S)
{
    term class = S->x[0];
    enum exc_kind kind = class == am_error   ? EXC_ERROR
                         : class == am_exit  ? EXC_EXIT
                         : class == am_throw ? EXC_THROW
                                             : EXC_NONE;

    if (kind == EXC_NONE)
        return false;
    S->p->exc.kind = kind;
    S->p->exc.reason = S->x[1];
    S->p->exc.trace = exc_with_class(S->p, S->x[2], class);
    return true;
}

SLOW bool slow_fun_has_arity(struct sched *S)
{
    term fun = S->a[0], n = S->a[1];

    if (!term_is_fun(fun))
        return false;
    uint32_t arity = boxed_is(fun, BOX_FUN)
                         ? header_aux(*boxed_ptr(fun))
                         : ((struct export_words *)boxed_ptr(fun))->export->arity;

    return n == small_make(arity);
}

SLOW bool slow_is_binary(struct sched *S) { return term_is_binary(S->a[0]); }
SLOW term slow_node(struct sched *S) { return node_name(); }

/* ---- maps ---- */

SLOW term slow_map_get(struct sched *S) { return map_get(S->a[0], S->a[1]); }

term slow_map_put(struct sched *S, term map, size_t pairs)
{
    if (!term_is_map(map)) {
        error_pair(S, am_badmap, map);
        return THE_NON_VALUE;
    }
    return map_put_many(S->p, map, S->scratch, pairs);
}

term slow_map_update(struct sched *S, term map, size_t pairs)
{
    term key;

    if (!term_is_map(map)) {
        error_pair(S, am_badmap, map);
        return THE_NON_VALUE;
    }
    term v = map_update_many(S->p, map, S->scratch, pairs, &key);
    if (v == THE_NON_VALUE)
        error_pair(S, am_badkey, key);
    return v;
}

/* ---- the bit syntax ---- */

SLOW term slow_bs_start(struct sched *S) { return bs_start(S->p, S->a[0]); }
SLOW term slow_bs_get_tail(struct sched *S) { return bs_get_tail(S->p, S->a[0]); }
SLOW bool slow_bs_size(struct sched *S)
{
    return bs_size_bits(S->a[1], S->a[2], &S->a[1]);
}
SLOW term slow_bs_get_uint(struct sched *S)
{
    struct match_words *m = bs_match(S->a[0]);
    uint64_t at = m->offset, end = at + S->a[1], v = 0;

    for (uint64_t i = at >> 3; i <= (end - 1) >> 3; i++)
        v = v << 8 | m->base[i];
    v >>= -end & 7;
    m->offset = end;
    return small_make((int64_t)(v & (((uint64_t)1 << S->a[1]) - 1)));
}
SLOW term slow_bs_get_integer(struct sched *S)
{
    return bs_get_integer(S->p, S->a[0], S->a[1], (unsigned)S->a[2]);
}
SLOW term slow_bs_get_float(struct sched *S)
{
    return bs_get_float(S->p, S->a[0], S->a[1], (unsigned)S->a[2]);
}
SLOW term slow_bs_get_binary(struct sched *S)
{
    return bs_get_binary(S->p, S->a[0], S->a[1]);
}
SLOW bool slow_bs_match_string(struct sched *S)
{
    return bs_match_string(S->a[0], (const uint8_t *)S->a[2], S->a[1]);
}
SLOW term slow_bs_get_utf8(struct sched *S)
{
    int64_t c = bs_get_utf8(S->a[0]);

    return c < 0 ? THE_NON_VALUE : small_make(c);
}
SLOW term slow_bs_get_utf(struct sched *S)
{
    unsigned flags = (unsigned)S->a[2];
    int64_t c = S->a[1] == 8    ? bs_get_utf8(S->a[0])
                : S->a[1] == 16 ? bs_get_utf16(S->a[0], flags)
                                : bs_get_utf32(S->a[0], flags);

    return c < 0 ? THE_NON_VALUE : small_make(c);
}

SLOW bool slow_bs_more(struct sched *S) { return bs_more(S->build, S->a[0], S->a[1]); }
SLOW void slow_bs_more_int(struct sched *S)
{
    uint8_t *to = S->build->to;
    int64_t v = small_value(S->a[0]);

    for (size_t i = S->a[1]; i-- > 0; v >>= 8)
        to[i] = (uint8_t)v;
    S->build->to = to + S->a[1];
}
SLOW void slow_bs_more_string(struct sched *S)
{
    bytes_copy(S->build->to, (const uint8_t *)S->a[0], S->a[1]);
    S->build->to += S->a[1];
}
SLOW term slow_bs_more_end(struct sched *S) { return bs_more_end(S->p, S->build); }

term slow_bs_init(struct sched *S)
{
    uint64_t bits;

    if (!bs_size_bits(S->a[0], S->a[1], &bits))
        return bif_error(S->p, term_is_integer(S->a[0]) && term_is_big(S->a[0])
                                   ? am_system_limit
                                   : am_badarg);
    return bs_init(S->p, S->build, bits);
}

term slow_bs_append(struct sched *S)
{
    uint64_t bits;
    term why;

    if (!bs_size_bits(S->a[0], 1, &bits))
        return bif_error(S->p, am_badarg);
    return bs_append(S->p, S->build, S->a[1], bits, S->a[2], S->a[3] != 0, &why);
}

bool slow_bs_put(struct sched *S, unsigned kind)
{
    term v = S->a[0], size = S->a[1], why;
    uint64_t unit = S->a[2], bits = 0;
    unsigned flags = (unsigned)S->a[3];
    bool ok = false;

    if (kind <= BS_PUT_BINARY && size != am_all && !bs_size_bits(size, unit, &bits)) {
        bif_error(S->p, am_badarg);
        return false;
    }
    switch ((enum bs_put)kind) {
    case BS_PUT_INTEGER:
        ok = bs_put_integer(S->p, S->build, v, bits, flags);
        break;
    case BS_PUT_FLOAT: ok = bs_put_float(S->build, v, bits, flags, &why); break;
    case BS_PUT_BINARY:
        ok = size == am_all ? bs_put_binary_all(S->p, S->build, v, unit)
                            : bs_put_binary(S->p, S->build, v, bits);
        break;
    case BS_PUT_UTF8: ok = bs_put_utf8(S->build, v); break;
    case BS_PUT_UTF16: ok = bs_put_utf16(S->build, v, flags); break;
    case BS_PUT_UTF32: ok = bs_put_utf32(S->build, v, flags); break;
    }
    if (!ok && S->p->exc.kind == EXC_NONE)
        bif_error(S->p, am_badarg);
    return ok;
}

void slow_bs_put_string(struct sched *S, const uint8_t *bytes, size_t n)
{
    bs_put_string(S->build, bytes, n);
}

/* Sizes of a construction: added with care, they may be any term. */
SLOW term slow_bs_add(struct sched *S)
{
    uint64_t a, b;

    if (!bs_size_bits(S->a[0], 1, &a) || !bs_size_bits(S->a[1], S->a[2], &b) ||
        a + b > BINARY_MAX_BITS) {
        bool large = term_is_big(S->a[0]) || term_is_big(S->a[1]);

        return bif_error(S->p, large ? am_system_limit : am_badarg);
    }
    return small_make((int64_t)(a + b));
}

SLOW term slow_bs_utf_size(struct sched *S)
{
    return small_make(S->a[1] == 8 ? bs_utf8_size(S->a[0]) : bs_utf16_size(S->a[0]));
}
