/*
 * slow.h - what instructions do when the fast way does not apply.
 *
 * A SLOW callee takes its operands in S->a[], preserves every register, and
 * never collects, traps or raises. It returns a term, or THE_NON_VALUE: then
 * either p->need_words says how much to collect, or p->exc what went wrong
 * and S->bif whose failure it is.
 */
#ifndef OP_SLOW_H
#define OP_SLOW_H

#include "vm/module.h"
#include "vm/sched.h"

#define SLOW __attribute__((preserve_most, noinline, cold))

SLOW term slow_add(struct sched *S);
SLOW term slow_sub(struct sched *S);
SLOW term slow_mul(struct sched *S);
SLOW term slow_div(struct sched *S);
SLOW term slow_rem(struct sched *S);
SLOW term slow_band(struct sched *S);
SLOW term slow_bor(struct sched *S);
SLOW term slow_bxor(struct sched *S);
SLOW term slow_bsl(struct sched *S);
SLOW term slow_bsr(struct sched *S);
SLOW term slow_bnot(struct sched *S);
SLOW term slow_neg(struct sched *S);
SLOW term slow_increment(struct sched *S);

/* Any guard BIF: S->bif over S->a[]. */
SLOW term slow_guard_bif(struct sched *S);

/* Comparisons of S->a[0] and S->a[1]. */
SLOW bool slow_eq_exact(struct sched *S);
SLOW int slow_compare(struct sched *S);

/* hd, tl, element, tuple_size, self with a wrong argument: never a value. */
SLOW term slow_hd(struct sched *S);
SLOW term slow_tl(struct sched *S);
SLOW term slow_element(struct sched *S);

/* S->a[0] as a double in S->fconv: numbers. False: badarith in p->exc. */
SLOW bool slow_fconv(struct sched *S);

/*
 * Where a call of the fun S->a[0] with `arity` arguments goes; NULL after
 * badfun or badarity. The arguments are in x (SPILL), for badarity's value.
 */
code_ptr slow_call_fun(struct sched *S, uint32_t arity);
/*
 * apply: module and function are x[arity], x[arity + 1]. NULL: badarg. S->a[0]
 * tells whether it is error/1..3, exit/1 or throw/1.
 */
code_ptr slow_apply(struct sched *S, uint32_t arity);
/*
 * apply/3: x0, x1 and the list x2 become x[0..n): the function's address, or
 * NULL: badarg, with x as it was. S->a[0] as for apply.
 */
code_ptr slow_apply_list(struct sched *S);
/* apply/2: the fun x0 and the list x1, the same, but S->a[0] is 0. */
code_ptr slow_apply_fun(struct sched *S);
/*
 * A call of an export or a fun without code: x becomes the arguments of the
 * error handler; its address. NULL: the handler itself is missing: undef.
 */
/* A debugger's breakpoint: where error_handler:breakpoint(M, F, Args) begins. */
code_ptr slow_breakpoint(struct sched *S, struct export *e);
code_ptr slow_undefined(struct sched *S, struct export *e);
code_ptr slow_undefined_fun(struct sched *S, struct fun_entry *f);


/* Exceptions of the instructions. */
enum slow_error {
    ERR_BADMATCH, ERR_CASE_CLAUSE, ERR_TRY_CLAUSE, ERR_BADRECORD, ERR_BADMAP,
    ERR_IF_CLAUSE, ERR_FUNCTION_CLAUSE, ERR_BADARG, ERR_SYSTEM_LIMIT,
    ERR_BADKEY, ERR_BADARITH,
};
/* Fill p->exc; the value that goes with it is S->a[0]. */
SLOW void slow_error(struct sched *S, enum slow_error why);

/* catch_end of an exception in S->x[1..3]: the value of the catch. heap_alloc */
term slow_catch_value(struct sched *S);
/* raise: S->a[0] raw trace, S->a[1] value. Fills p->exc. */
void slow_raise(struct sched *S);
/* raw_raise: x0 class, x1 value, x2 raw trace. False: not a class. */
bool slow_raw_raise(struct sched *S);

/* Maps. S->scratch holds keys and values. */
term slow_map_put(struct sched *S, term map, size_t pairs);
term slow_map_update(struct sched *S, term map, size_t pairs);
/* The value of key a[1] in the map a[0], or THE_NON_VALUE. */
SLOW term slow_map_get(struct sched *S);

/* is_function/2: S->a[0] is a fun of arity S->a[1]; both may be any term. */
SLOW bool slow_fun_has_arity(struct sched *S);
SLOW bool slow_is_binary(struct sched *S);
SLOW term slow_node(struct sched *S);

/* receive ... after: the time is no valid timeout. */
void slow_timeout_value(struct sched *S);

/* The bit syntax: vm/bitsyntax.h over S->a[]. */
SLOW term slow_bs_start(struct sched *S);
SLOW term slow_bs_get_tail(struct sched *S);
/* a[1] = size a[1] times unit a[2], in bits; false: no size. */
SLOW bool slow_bs_size(struct sched *S);
/* a[1] <= 56 bits of context a[0], big endian, unsigned; they are there. */
SLOW term slow_bs_get_uint(struct sched *S);
SLOW term slow_bs_get_integer(struct sched *S);
SLOW term slow_bs_get_float(struct sched *S);
SLOW term slow_bs_get_binary(struct sched *S);
SLOW bool slow_bs_match_string(struct sched *S);
SLOW term slow_bs_get_utf8(struct sched *S);
SLOW term slow_bs_get_utf(struct sched *S);
enum bs_put {
    BS_PUT_INTEGER, BS_PUT_FLOAT, BS_PUT_BINARY, BS_PUT_UTF8, BS_PUT_UTF16,
    BS_PUT_UTF32,
};
/* bs_more of a[0] and a[1] bytes; a[0], a small, in a[1] bytes; its end. */
SLOW bool slow_bs_more(struct sched *S);
SLOW void slow_bs_more_int(struct sched *S);
SLOW void slow_bs_more_string(struct sched *S);
SLOW term slow_bs_more_end(struct sched *S);
term slow_bs_init(struct sched *S);
term slow_bs_append(struct sched *S);
bool slow_bs_put(struct sched *S, unsigned kind);
void slow_bs_put_string(struct sched *S, const uint8_t *bytes, size_t n);
SLOW term slow_bs_add(struct sched *S);
/* Bytes (a small) of the code point a[0] in UTF-a[1]. */
SLOW term slow_bs_utf_size(struct sched *S);

#endif
