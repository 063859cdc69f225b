/*
 * front.h - generic instructions to specific ones: what the parts share.
 *
 *    front.c         one instruction after the other, with tables and labels
 *    front_calls.c   calls and BIFs in line
 *    front_data.c    choices by value, tuples, funs, maps
 *    front_bits.c    the bit syntax
 *    front_fuse.c    two that are done as one: nothing fuses across a label
 *
 * Operands are an instruction's in the order of genop.def, the elements of a list
 * behind it. What they are is checked here or by emit_place(); after load_fail
 * what is emitted does not matter.
 */
#ifndef OP_FRONT_H
#define OP_FRONT_H

#include "op/emit.h"
#include "op/genop.h"
#include "op/slow.h"

struct front {
    struct loader *l;
    uint32_t i;             /* instruction being translated */
    uint32_t arity;         /* of the current function */
    bool at_entry;          /* the next label is the function's entry */
    uint32_t entry;         /* words, of the current function */
};

/* Operands that move htop or the stack top are bytes. */
#define BYTES(words) ((words) * sizeof(term))

static inline struct arg *args_of(struct loader *l, const struct ginstr *in)
{
    return l->args + in->first;
}
/* The n-th instruction from here; behind the last one, that. */
static inline const struct ginstr *peek(struct front *f, uint32_t n)
{
    uint32_t i = f->i + n;

    return i < f->l->ninstrs ? &f->l->instrs[i] : &f->l->instrs[f->l->ninstrs - 1];
}

static inline struct arg reg_x(uint64_t n) { return (struct arg){ARG_X, n}; }
static inline struct arg atom_arg(term a) { return (struct arg){ARG_ATOM, a}; }
/* Any word that is a constant. */
static inline struct arg word_arg(term t) { return (struct arg){ARG_I, t}; }
static inline bool same_place(struct arg a, struct arg b)
{
    return a.kind == b.kind && a.value == b.value;
}
static inline uint32_t label_of(struct arg a)
{
    return a.kind == ARG_LABEL ? (uint32_t)a.value : 0;
}

/* Words that a heap test asks for: what no compiler emits is refused. */
#define HEAP_NEED_MAX ((uint64_t)1 << 27)
static inline uint64_t heap_words(struct loader *l, struct arg a)
{
    if (a.value <= HEAP_NEED_MAX)
        return a.value;
    load_fail(l, "it wants %lu words of heap at once", (unsigned long)a.value);
    return 0;
}
static inline void need_scratch(struct loader *l, uint64_t words)
{
    if (words > l->scratch_words)
        l->scratch_words = words;
}

/* ---- instructions of simple shapes ---- */

static inline void emit0(struct loader *l, enum op op)
{
    emit_begin(l, op);
    emit_end(l);
}
static inline void emit_1u(struct loader *l, enum op op, uintptr_t u)
{
    emit_begin(l, op);
    emit_u(l, u);
    emit_end(l);
}
static inline void emit_2u(struct loader *l, enum op op, uintptr_t u, uintptr_t v)
{
    emit_begin(l, op);
    emit_u(l, u);
    emit_u(l, v);
    emit_end(l);
}
static inline void emit_1p(struct loader *l, enum op op, const void *p)
{
    emit_begin(l, op);
    emit_p(l, p);
    emit_end(l);
}
static inline void emit_pu(struct loader *l, enum op op, const void *p, uintptr_t u)
{
    emit_begin(l, op);
    emit_p(l, p);
    emit_u(l, u);
    emit_end(l);
}
static inline void emit_1s(struct loader *l, enum op op, struct arg a)
{
    emit_begin(l, op);
    emit_place(l, a);
    emit_end(l);
}
static inline void emit_2s(struct loader *l, enum op op, struct arg a, struct arg b)
{
    emit_begin(l, op);
    emit_place(l, a);
    emit_place(l, b);
    emit_end(l);
}
static inline void emit_test1(struct loader *l, enum op op, uint32_t label, struct arg a)
{
    emit_begin(l, op);
    emit_label(l, label);
    emit_place(l, a);
    emit_end(l);
}
static inline void emit_test2(struct loader *l, enum op op, uint32_t label, struct arg a,
                              struct arg b)
{
    emit_begin(l, op);
    emit_label(l, label);
    emit_place(l, a);
    emit_place(l, b);
    emit_end(l);
}
static inline void emit_move(struct loader *l, struct arg s, struct arg d)
{
    if (!same_place(s, d))
        emit_2s(l, OP_move, s, d);
}
static inline void emit_jump(struct loader *l, uint32_t to)
{
    emit_begin(l, OP_jump);
    emit_label(l, to);
    emit_end(l);
}
static inline void emit_test_heap(struct loader *l, uint64_t words, uint64_t live)
{
    emit_begin(l, OP_test_heap);
    emit_u(l, BYTES(words));
    emit_live(l, live);
    emit_end(l);
}

/* ---- front_calls.c ---- */

struct import *front_import(struct loader *l, struct arg a);
void front_call_ext(struct loader *l, struct import *im);
void front_call_ext_last(struct loader *l, struct import *im, uint64_t words);
void front_call_ext_only(struct loader *l, struct import *im);
/* fun in a register to x[arity], then the call. */
void front_call_fun(struct front *f, uint64_t arity, struct arg fun);
/* bif0..2 and gc_bif1..3: n arguments at a[], result in d. */
void front_guard_bif(struct loader *l, struct import *im, uint32_t fail, uint64_t live,
                     const struct arg *a, unsigned n, struct arg d);

/* ---- front_data.c ---- */

void front_select_val(struct front *f, const struct arg *a, uint32_t count);
void front_select_arity(struct front *f, const struct arg *a, uint32_t count);
void front_put_tuple(struct loader *l, const struct arg *a);
struct lambda *front_lambda(struct loader *l, struct arg a);
void front_make_fun(struct loader *l, struct arg index, struct arg d,
                    const struct arg *env, uint64_t n);
void front_put_map(struct loader *l, enum op op, const struct arg *a);
void front_get_map_elements(struct loader *l, const struct arg *a);

/* ---- front_bits.c ---- */

void front_bs_get_integer(struct loader *l, const struct arg *a);
void front_bs_get_float(struct loader *l, const struct arg *a);
void front_bs_get_binary(struct loader *l, const struct arg *a);
void front_bs_skip(struct loader *l, const struct arg *a);
/* What is left must be a multiple of unit. */
void front_bs_test_unit(struct loader *l, struct arg fail, struct arg ctx, uint64_t unit);
void front_bs_match_string(struct loader *l, const struct arg *a);
void front_bs_utf(struct loader *l, enum op op, const struct arg *a, unsigned which,
                  struct arg flags, const struct arg *d);
void front_bs_create(struct loader *l, const struct arg *a);
void front_bs_init(struct loader *l, const struct arg *a, unsigned unit);
void front_bs_append(struct loader *l, const struct arg *a);
void front_bs_put(struct loader *l, enum bs_put kind, const struct arg *a);
void front_bs_put_utf(struct loader *l, enum bs_put kind, const struct arg *a);
void front_bs_put_string(struct loader *l, const struct arg *a);

/* ---- front_fuse.c ---- */

void front_move(struct front *f, const struct arg *a);
void front_get_tuple_element(struct front *f, const struct arg *a);
void front_is_equal(struct loader *l, bool ne, const struct arg *a);
void front_is_tuple(struct front *f, const struct arg *a);
void front_is_nonempty_list(struct front *f, const struct arg *a);
void front_float_op(struct loader *l, enum op op, const struct arg *a, unsigned n);
void front_float_load(struct loader *l, const struct arg *a);
void front_float_pair(struct front *f, enum genop first, enum op alone,
                      const struct arg *a);

#endif
