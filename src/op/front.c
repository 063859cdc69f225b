/*
 * front.c - generic instructions to specific ones.
 *
 * First every instruction learns how large its frame is, by following the
 * jumps (flow()); rows of the frame table come from that, so that a stack can
 * be walked exactly. Then each is translated, with a look at the next one or
 * two: nothing fuses across a label.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bif/bif.h"
#include "op/code.h"
#include "op/loader.h"
#include "op/slow.h"
#include "vm/atom.h"
#include "vm/bitsyntax.h"
#include "vm/map.h"

enum genop {
#define GENOP(number, name, arity) G_##name = number,
#include "op/genop.def"
#undef GENOP
    GENOP_END
};
static const struct {
    const char *name;
    unsigned arity;
} genops[] = {
#define GENOP(number, name, arity) [number] = {#name, arity},
#include "op/genop.def"
#undef GENOP
};

const char *genop_name(uint32_t op)
{
    return op < GENOP_END && genops[op].name ? genops[op].name : "?";
}
unsigned genop_arity(uint32_t op) { return genops[op].arity; }
uint32_t genop_last(void) { return GENOP_END - 1; }

static struct arg *args_of(struct loader *l, const struct ginstr *in)
{
    return l->args + in->first;
}
/* Operands that move htop or the stack top are bytes. */
#define BYTES(words) ((words) * sizeof(term))

static struct arg reg_x(uint64_t n) { return (struct arg){ARG_X, n}; }
static struct arg atom_arg(term a) { return (struct arg){ARG_ATOM, a}; }
static bool same_place(struct arg a, struct arg b)
{
    return a.kind == b.kind && a.value == b.value;
}
static uint32_t label_of(struct arg a)
{
    return a.kind == ARG_LABEL ? (uint32_t)a.value : 0;
}

/* ---- frames ---- */

/* Does control never reach the next instruction? */
static bool ends_block(uint32_t op)
{
    switch (op) {
    case G_jump: case G_return: case G_call_last: case G_call_only:
    case G_call_ext_last: case G_call_ext_only: case G_apply_last:
    case G_func_info: case G_badmatch: case G_case_end: case G_if_end:
    case G_try_case_end: case G_raise: case G_badrecord: case G_select_val:
    case G_select_tuple_arity: case G_wait: case G_loop_rec_end:
    case G_int_code_end:
        return true;
    default:
        return false;
    }
}

/* Does flow() have to look? Not at most instructions, if they name no label. */
static bool is_straight(uint32_t op)
{
    static uint8_t known[GENOP_END];    /* 1: yes, 2: no */

    if (known[op] == 0) {
        switch (op) {
        case G_label: case G_func_info: case G_allocate: case G_allocate_zero:
        case G_allocate_heap: case G_allocate_heap_zero: case G_deallocate:
        case G_trim:
            known[op] = 2;
            break;
        default:
            known[op] = ends_block(op) ? 2 : 1;
        }
    }
    return known[op] == 1;
}

/* The frame after an instruction; arguments are checked by translate(). */
static int32_t frame_after(const struct ginstr *in, const struct arg *a)
{
    switch (in->op) {
    case G_allocate: case G_allocate_zero: case G_allocate_heap:
    case G_allocate_heap_zero:
        return (int32_t)a[0].value;
    case G_deallocate: case G_call_last: case G_call_ext_last:
        return 0;
    case G_trim:
        return in->frame - (int32_t)a[0].value;
    default:
        return in->frame;
    }
}

/* Marks of labels, beside their frames. */
#define AT_UNSURE (1 << 30)
#define AT_FRAME (AT_UNSURE - 1)

/* Control comes to a label with this frame. Is that news? */
static bool arrive(int32_t *at, int32_t frame)
{
    if (*at < 0) {
        *at = frame;
        return true;
    }
    if ((*at & AT_FRAME) != frame && !(*at & AT_UNSURE)) {
        *at |= AT_UNSURE;
        return true;
    }
    return false;
}

/*
 * Frame sizes, from entries along every jump. Code is mostly laid out so that
 * one pass does; a jump back to code not seen yet takes another. Code that only
 * raises may be reached with different ones: then it is unsure.
 */
static bool flow(struct loader *l)
{
    int32_t *at = vm_alloc(ALLOC_CODE, (l->nlabels + 1) * sizeof *at);
    uint8_t *seen = vm_zalloc(ALLOC_CODE, l->nlabels + 1);      /* in pass ... */
    bool again = true;

    memset(at, 0xff, (l->nlabels + 1) * sizeof *at);
    for (uint8_t pass = 1; again && pass <= 64; pass++) {
        int32_t frame = -1;
        bool unsure = false;

        again = false;
        for (uint32_t i = 0; i < l->ninstrs; i++) {
            struct ginstr *in = &l->instrs[i];
            struct arg *a = args_of(l, in);

            if (!in->has_label && is_straight(in->op)) {
                in->frame = frame;
                in->unsure = unsure;
                continue;
            }
            if (in->op == G_label) {
                uint64_t n = a[0].value;

                if (a[0].kind != ARG_U || n >= l->nlabels || n == 0) {
                    load_fail(l, "label %u is out of range", (unsigned)n);
                    goto out;
                }
                seen[n] = pass;
                if (frame >= 0 && !unsure)
                    arrive(&at[n], frame);
                unsure = at[n] >= 0 && at[n] & AT_UNSURE;
                frame = at[n] < 0 ? at[n] : at[n] & AT_FRAME;
            }
            if (in->op == G_func_info && frame < 0)
                frame = 0;
            in->frame = frame;
            in->unsure = unsure;
            if (in->op == G_func_info) {
                frame = 0;      /* the entry that follows it */
                unsure = false;
                continue;
            }
            if (frame >= 0) {
                for (uint32_t k = 0; in->has_label && k < in->count; k++) {
                    uint64_t n = a[k].value;

                    if (a[k].kind != ARG_LABEL || n == 0 || (unsure && at[n] >= 0))
                        continue;
                    if (in->op == G_call || in->op == G_call_last ||
                        in->op == G_call_only)
                        continue;
                    again |= arrive(&at[n], frame) && seen[n] == pass;
                }
                if (in->op == G_wait || in->op == G_wait_timeout ||
                    in->op == G_loop_rec_end)
                    l->resumes[label_of(a[0])] = 1;
                frame = frame_after(in, a);
                if (frame < 0 || frame > (int32_t)X_REGS * 64) {
                    load_fail(l, "a frame has %d words", frame);
                    goto out;
                }
                unsure &= frame == in->frame;
            }
            if (ends_block(in->op)) {
                frame = -1;
                unsure = false;
            }
        }
    }
out:
    vm_free(at);
    vm_free(seen);
    return load_ok(l);
}

/* ---- helpers of the translation ---- */

struct front {
    struct loader *l;
    uint32_t i;             /* instruction being translated */
    uint32_t arity;         /* of the current function */
    bool at_entry;          /* the next label is the function's entry */
    uint32_t entry;         /* words, of the current function */
};

static const struct ginstr *peek(struct front *f, uint32_t n)
{
    uint32_t i = f->i + n;

    return i < f->l->ninstrs ? &f->l->instrs[i] : &f->l->instrs[f->l->ninstrs - 1];
}

static struct import *import_of(struct loader *l, struct arg a)
{
    static struct import none;

    if (a.kind != ARG_U || a.value >= l->nimports) {
        load_fail(l, "import %u is not in its table", (unsigned)a.value);
        return &none;
    }
    return &l->imports[a.value];
}

static void emit0(struct loader *l, enum op op)
{
    emit_begin(l, op);
    emit_end(l);
}
static void emit_1u(struct loader *l, enum op op, uintptr_t u)
{
    emit_begin(l, op);
    emit_u(l, u);
    emit_end(l);
}
static void emit_2u(struct loader *l, enum op op, uintptr_t u, uintptr_t v)
{
    emit_begin(l, op);
    emit_u(l, u);
    emit_u(l, v);
    emit_end(l);
}
static void emit_1s(struct loader *l, enum op op, struct arg a)
{
    emit_begin(l, op);
    emit_place(l, a);
    emit_end(l);
}
static void emit_test1(struct loader *l, enum op op, uint32_t label, struct arg a)
{
    emit_begin(l, op);
    emit_label(l, label);
    emit_place(l, a);
    emit_end(l);
}
static void emit_test2(struct loader *l, enum op op, uint32_t label, struct arg a,
                       struct arg b)
{
    emit_begin(l, op);
    emit_label(l, label);
    emit_place(l, a);
    emit_place(l, b);
    emit_end(l);
}
static void emit_move(struct loader *l, struct arg s, struct arg d)
{
    if (same_place(s, d))
        return;
    emit_begin(l, OP_move);
    emit_place(l, s);
    emit_place(l, d);
    emit_end(l);
}
/* Words that a heap test asks for: what no compiler emits is refused. */
#define HEAP_NEED_MAX ((uint64_t)1 << 27)
static uint64_t heap_words(struct loader *l, struct arg a)
{
    if (a.value <= HEAP_NEED_MAX)
        return a.value;
    load_fail(l, "it wants %lu words of heap at once", (unsigned long)a.value);
    return 0;
}
static void need_scratch(struct loader *l, uint64_t words)
{
    if (words > l->scratch_words)
        l->scratch_words = words;
}

/* ---- families ---- */

/* A call of a BIF in line, or of an export. */
static bool is_bif(struct import *im)
{
    return im->export && im->export->bif;
}

/* erlang:apply/2 and apply/3 are instructions, of the function that calls them. */
bool import_is_apply(const struct import *im)
{
    return im->m == am_erlang && im->f == am_apply && (im->arity == 2 || im->arity == 3);
}

static void call_ext(struct loader *l, struct import *im)
{
    static const enum op bif_ops[] = {OP_call_bif1, OP_call_bif1, OP_call_bif2,
                                      OP_call_bif3};
    enum op op = !is_bif(im)      ? OP_call_ext
                 : im->arity <= 3 ? bif_ops[im->arity]
                                  : OP_call_bif;

    if (import_is_apply(im))
        emit_1u(l, OP_call_apply, im->arity);
    else
        emit_1u(l, op, (uintptr_t)im->export);
}

/* What never returns. Compilers are not exact then about the frame to drop. */
static bool is_exit_bif(const struct import *im)
{
    return im->m == am_erlang &&
           ((im->f == am_error && im->arity >= 1 && im->arity <= 3) ||
            ((im->f == am_exit || im->f == am_throw) && im->arity == 1));
}

/*
 * A BIF as the last call is an ordinary one, and a return: who traces it sees
 * its caller, as in OTP.
 */
static void call_ext_and_return(struct loader *l, struct import *im)
{
    call_ext(l, im);
    emit_begin(l, OP_return);
    emit_end(l);
}

static void call_ext_last(struct loader *l, struct import *im, uint64_t words)
{
    if (is_exit_bif(im)) {
        call_ext(l, im);
    } else if (import_is_apply(im)) {
        emit_2u(l, OP_call_apply_last, im->arity, BYTES(words));
    } else if (is_bif(im) && words == 0) {
        call_ext_and_return(l, im);
    } else if (is_bif(im)) {
        call_ext(l, im);
        emit_1u(l, OP_deallocate_return, BYTES(words));
    } else {
        emit_2u(l, OP_call_ext_last, (uintptr_t)im->export, BYTES(words));
    }
}

/* fun in a register to x[arity], then the call. */
static void call_fun(struct front *f, uint64_t arity, struct arg fun)
{
    struct loader *l = f->l;
    const struct ginstr *next = peek(f, 1);
    uintptr_t header = (uint16_t)HEADER(BOX_FUN, arity, 0);

    if (arity > 255) {
        load_fail(l, "a fun is called with %u arguments", (unsigned)arity);
        return;
    }
    emit_move(l, fun, reg_x(arity));
    if (next->op == G_deallocate && peek(f, 2)->op == G_return) {
        emit_begin(l, OP_call_fun_last);
        emit_u(l, arity);
        emit_u(l, header);
        emit_u(l, BYTES(args_of(l, next)[0].value));
        emit_place(l, reg_x(arity));
        emit_end(l);
        f->i += 2;
        return;
    }
    emit_begin(l, OP_call_fun);
    emit_u(l, arity);
    emit_u(l, header);
    emit_place(l, reg_x(arity));
    emit_end(l);
}

static const struct {
    term name;
    uint8_t arity;
    enum op op;
} arithmetic[] = {
    {am_Plus, 2, OP_add},  {am_Minus, 2, OP_sub}, {am_Times, 2, OP_mul},
    {am_div, 2, OP_div},   {am_rem, 2, OP_rem},   {am_band, 2, OP_band},
    {am_bor, 2, OP_bor},   {am_bxor, 2, OP_bxor}, {am_bsl, 2, OP_bsl},
    {am_bsr, 2, OP_bsr},   {am_Minus, 1, OP_neg}, {am_bnot, 1, OP_bnot},
};

/*
 * Reg + Small, Small + Reg, Reg - Small; for OTP, which names no BIF when they
 * fail, only if what is subtracted is not negative.
 */
static bool increment(struct loader *l, term f, uint64_t live, const struct arg *a,
                      struct arg d)
{
    struct arg reg = a[0], n = a[1];

    if (f == am_Plus && reg.kind == ARG_I) {
        reg = a[1];
        n = a[0];
    }
    if ((f != am_Plus && f != am_Minus) || n.kind != ARG_I ||
        (reg.kind != ARG_X && reg.kind != ARG_Y))
        return false;
    int64_t v = small_value(n.value);
    if (f == am_Minus && v < 0)
        return false;
    if (f == am_Minus)
        v = -v;
    if (!small_fits(v) || !small_fits(-v))
        return false;
    emit_begin(l, v < 0 ? OP_decrement : OP_increment);
    emit_u(l, live);
    emit_place(l, reg);
    emit_u(l, small_make(v < 0 ? -v : v));
    emit_place(l, d);
    emit_end(l);
    return true;
}

/* bif0..2 and gc_bif1..3: n arguments at a[], result in d. */
static void guard_bif(struct loader *l, struct import *im, uint32_t fail, uint64_t live,
                      const struct arg *a, unsigned n, struct arg d)
{
    if (!load_ok(l))
        return;
    if (im->arity != n) {
        load_fail(l, "a guard BIF has %u arguments instead of %u", n,
                  (unsigned)im->arity);
        return;
    }
    if (im->m == am_erlang) {
        /* As OTP does: + X is X + 0, which shows when X is no number. */
        struct arg sum[2] = {{ARG_I, small_make(0)}, {ARG_I, small_make(0)}};
        if (n > 0)
            sum[0] = a[0];
        if (n == 1 && im->f == am_Plus) {
            im = &(struct import){am_erlang, am_Plus, 2, export_put(am_erlang, am_Plus, 2)};
            a = sum;
            n = 2;
        }
        if (n == 2 && fail == 0 && increment(l, im->f, live, a, d))
            return;
        if (n == 0 && (im->f == am_self || im->f == am_node)) {
            emit_begin(l, im->f == am_self ? OP_self : OP_node);
            emit_place(l, d);
            emit_end(l);
            return;
        }
        if (n == 1 && (im->f == am_hd || im->f == am_tl)) {
            emit_begin(l, im->f == am_hd ? OP_hd : OP_tl);
            emit_label(l, fail);
            emit_place(l, a[0]);
            emit_place(l, d);
            emit_end(l);
            return;
        }
        if (n == 2 && im->f == am_element) {
            emit_begin(l, OP_element);
            emit_label(l, fail);
            emit_place(l, a[0]);
            emit_place(l, a[1]);
            emit_place(l, d);
            emit_end(l);
            return;
        }
        for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++) {
            if (arithmetic[i].name != im->f || arithmetic[i].arity != n)
                continue;
            emit_begin(l, arithmetic[i].op);
            emit_label(l, fail);
            emit_u(l, live);
            for (unsigned k = 0; k < n; k++)
                emit_place(l, a[k]);
            emit_place(l, d);
            emit_end(l);
            return;
        }
    }
    /* No argument: guard1 with one that nobody looks at. */
    static const enum op ops[] = {OP_guard1, OP_guard1, OP_guard2, OP_guard3};
    emit_begin(l, ops[n]);
    emit_label(l, fail);
    emit_u(l, live);
    emit_u(l, (uintptr_t)im->export);
    if (n == 0)
        emit_place(l, atom_arg(TERM_NIL));
    for (unsigned k = 0; k < n; k++)
        emit_place(l, a[k]);
    emit_place(l, d);
    emit_end(l);
}

static int word_order(const void *a, const void *b)
{
    term x = *(const term *)a, y = *(const term *)b;

    return x < y ? -1 : x > y;
}

#define LINEAR_CASES 6
#define JUMP_TABLE_SPARSE 4     /* at most so many times the cases */

struct select_case { term value; uint32_t label; };

static struct arg constant(term t) { return (struct arg){ARG_I, t}; }

static void emit_jump(struct loader *l, uint32_t to)
{
    emit_begin(l, OP_jump);
    emit_label(l, to);
    emit_end(l);
}

/* Halve the cases until few are left, compare those one by one. */
static void select_tree(struct loader *l, struct arg t, const struct select_case *c,
                        uint64_t n, uint32_t fail)
{
    struct { uint64_t lo, hi; uint32_t label; } todo[64];   /* halves of halves */
    unsigned depth = 0;

    todo[depth++].hi = n;
    todo[0].lo = todo[0].label = 0;
    while (depth) {
        uint64_t lo = todo[--depth].lo, hi = todo[depth].hi;

        if (todo[depth].label)
            emit_place_label(l, todo[depth].label);
        while (hi - lo > LINEAR_CASES) {
            uint64_t mid = lo + (hi - lo) / 2;
            uint32_t below = emit_new_label(l);

            emit_begin(l, OP_select_below);
            emit_place(l, t);
            emit_place(l, constant(c[mid].value));
            emit_label(l, below);
            emit_end(l);
            todo[depth].lo = lo;
            todo[depth].hi = mid;
            todo[depth++].label = below;
            lo = mid;
        }
        for (; lo < hi; lo++) {
            emit_begin(l, OP_select_case);
            emit_place(l, t);
            emit_place(l, constant(c[lo].value));
            emit_label(l, c[lo].label);
            emit_end(l);
        }
        emit_jump(l, fail);
    }
}

/* select_val: a[0] the term, a[1] fail, a[2] the list of values and labels. */
static void select_val(struct front *f, const struct arg *a, uint32_t count)
{
    struct loader *l = f->l;
    uint64_t n = a[2].value / 2, imms = 0;
    const struct arg *list = a + 3;

    if (a[2].kind != ARG_LIST || count != 3 + a[2].value || a[2].value % 2) {
        load_fail(l, "a select_val is broken");
        return;
    }
    struct select_case *cases =
        vm_alloc(ALLOC_CODE, (n + 1) * sizeof *cases);
    for (uint64_t i = 0; i < n; i++) {
        term v = arg_term(l, list[2 * i]);

        if (!arg_is_const(list[2 * i])) {
            load_fail(l, "a select_val has a register for a value");
        } else if (term_is_imm(v)) {
            cases[imms].value = v;
            cases[imms++].label = label_of(list[2 * i + 1]);
        } else {
            emit_begin(l, OP_select_eq);
            emit_place(l, a[0]);
            emit_place(l, list[2 * i]);
            emit_label(l, label_of(list[2 * i + 1]));
            emit_end(l);
        }
    }
    uint32_t fail = label_of(a[1]);
    qsort(cases, imms, sizeof *cases, word_order);

    uint64_t span = imms ? ((cases[imms - 1].value - cases[0].value) >> 4) + 1 : 0;
    bool smalls = imms > 0;
    for (uint64_t i = 0; i < imms; i++)
        smalls &= term_is_small(cases[i].value);
    /* Sorted as words, negative smalls come last: then the span is huge. */
    if (smalls && imms > LINEAR_CASES / 2 && span <= imms * JUMP_TABLE_SPARSE) {
        emit_begin(l, OP_select_jump);
        emit_place(l, a[0]);
        emit_u(l, cases[0].value);
        emit_u(l, span);
        emit_label(l, fail);
        emit_end(l);
        for (uint64_t i = 0, k = 0; i < span; i++) {
            if (cases[k].value == cases[0].value + (i << 4))
                emit_vary_label(l, cases[k++].label);
            else
                emit_vary_label(l, fail);
        }
    } else if (imms == 0) {
        emit_jump(l, fail);
    } else if (l->native) {
        select_tree(l, a[0], cases, imms, fail);
    } else {
        emit_begin(l, imms <= LINEAR_CASES ? OP_select_linear : OP_select_bsearch);
        emit_place(l, a[0]);
        emit_u(l, imms);
        emit_label(l, fail);
        emit_end(l);
        for (uint64_t i = 0; i < imms; i++)
            emit_vary_u(l, cases[i].value);
        for (uint64_t i = 0; i < imms; i++)
            emit_vary_label(l, cases[i].label);
    }
    vm_free(cases);
}

static void select_arity(struct front *f, const struct arg *a, uint32_t count)
{
    struct loader *l = f->l;
    uint64_t n = a[2].value / 2;
    const struct arg *list = a + 3;

    if (a[2].kind != ARG_LIST || count != 3 + a[2].value || a[2].value % 2) {
        load_fail(l, "a select_tuple_arity is broken");
        return;
    }
    if (l->native) {
        emit_test1(l, OP_select_header, label_of(a[1]), a[0]);
        for (uint64_t i = 0; i < n; i++) {
            emit_begin(l, OP_select_header_case);
            emit_place(l, constant(TUPLE_HEADER(list[2 * i].value)));
            emit_label(l, label_of(list[2 * i + 1]));
            emit_end(l);
        }
        emit_jump(l, label_of(a[1]));
        return;
    }
    emit_begin(l, OP_select_arity);
    emit_place(l, a[0]);
    emit_u(l, n);
    emit_label(l, label_of(a[1]));
    emit_end(l);
    for (uint64_t i = 0; i < n; i++)
        emit_vary_u(l, TUPLE_HEADER(list[2 * i].value));
    for (uint64_t i = 0; i < n; i++)
        emit_vary_label(l, label_of(list[2 * i + 1]));
}

/* put_tuple2: a[0] where to, a[1] the list of elements. */
static void put_tuple(struct loader *l, const struct arg *a)
{
    uint64_t n = a[1].value;
    const struct arg *e = a + 2;
    uintptr_t header = TUPLE_HEADER(n);
    static const enum op ops[] = {0, OP_put_tuple1, OP_put_tuple2, OP_put_tuple3};

    if (a[1].kind != ARG_LIST) {
        load_fail(l, "a put_tuple2 is broken");
        return;
    }
    if (n >= 1 && n <= 3) {
        emit_begin(l, ops[n]);
        emit_u(l, header);
        for (uint64_t i = 0; i < n; i++)
            emit_place(l, e[i]);
        emit_place(l, a[0]);
        emit_end(l);
        return;
    }
    emit_1s(l, OP_put, constant(header));
    uint64_t i = 0;
    for (; i + 2 <= n; i += 2) {
        emit_begin(l, OP_put2);
        emit_place(l, e[i]);
        emit_place(l, e[i + 1]);
        emit_end(l);
    }
    if (i < n)
        emit_1s(l, OP_put, e[i]);
    emit_begin(l, OP_put_end);
    emit_u(l, BYTES(n + 1));
    emit_place(l, a[0]);
    emit_end(l);
}

static struct lambda *lambda_of(struct loader *l, struct arg a)
{
    static struct lambda none;

    if (a.kind != ARG_U || a.value >= l->nlambdas) {
        load_fail(l, "fun %u is not in its table", (unsigned)a.value);
        return &none;
    }
    return &l->lambdas[a.value];
}

static void make_fun(struct loader *l, struct arg index, struct arg d,
                     const struct arg *env, uint64_t n)
{
    struct lambda *f = lambda_of(l, index);

    if (!load_ok(l))
        return;
    if (n != f->num_free) {
        load_fail(l, "a fun has an environment of %u words instead of %u",
                  (unsigned)n, (unsigned)f->num_free);
        return;
    }
    emit_2u(l, OP_make_fun, (uintptr_t)f->entry, n);
    for (uint64_t i = 0; i < n; i++)
        emit_1s(l, OP_put, env[i]);
    emit_begin(l, OP_put_end);
    emit_u(l, BYTES(FUN_WORDS(n)));
    emit_place(l, d);
    emit_end(l);
}

/* The parts of a map: keys and values. */
static void gather(struct loader *l, const struct arg *list, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        emit_begin(l, OP_gather);
        emit_place(l, list[i]);
        emit_u(l, BYTES(i));
        emit_end(l);
    }
    need_scratch(l, n);
}

/* A map with ARG_KEYS for its source. */
static void new_map(struct loader *l, const struct arg *a)
{
    uint64_t n = a[4].value / 2;

    emit_2u(l, OP_test_heap, BYTES(2 + n), a[3].value);
    emit_begin(l, OP_put2);
    emit_place(l, constant(MAP_HEADER(n)));
    emit_place(l, (struct arg){ARG_LITERAL, a[1].value});
    emit_end(l);
    for (uint64_t i = 0; i < n; i++)
        emit_1s(l, OP_put, a[5 + 2 * i + 1]);
    emit_begin(l, OP_put_end);
    emit_u(l, BYTES(2 + n));
    emit_place(l, a[2]);
    emit_end(l);
}

/* get_map_elements: an element that overwrites the map is taken last. */
static void get_map_elements(struct loader *l, const struct arg *a)
{
    uint64_t n = a[2].value / 2, last = n;
    const struct arg *list = a + 3;

    if (a[2].kind != ARG_LIST || a[2].value % 2) {
        load_fail(l, "a get_map_elements is broken");
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (same_place(list[2 * i + 1], a[1]))
            last = i;
    }
    for (uint64_t k = 0; k < n + 1; k++) {
        uint64_t i = k < n ? k : last;

        if (i >= n || (k < n && i == last))
            continue;
        struct arg key = list[2 * i];
        bool word = arg_is_const(key) && term_is_imm(arg_term(l, key));

        emit_begin(l, word ? OP_get_map_word : OP_get_map_element);
        emit_label(l, label_of(a[0]));
        emit_place(l, a[1]);
        emit_place(l, list[2 * i]);
        emit_place(l, list[2 * i + 1]);
        emit_end(l);
    }
}

/* ---- the bit syntax ---- */

/* x86-64 and AArch64 are little endian: native becomes little. */
static uint64_t bs_flags(struct arg a)
{
    uint64_t flags = a.value;

    return flags & BS_NATIVE ? (flags & ~(uint64_t)BS_NATIVE) | BS_LITTLE : flags;
}

/* A constant number of bits, or false. */
static bool bs_const_bits(struct arg size, uint64_t unit, uint64_t *bits)
{
    if ((size.kind != ARG_I && size.kind != ARG_U) ||
        (size.kind == ARG_I && small_value(size.value) < 0))
        return false;
    uint64_t n = size.kind == ARG_I ? (uint64_t)small_value(size.value) : size.value;

    return !__builtin_mul_overflow(n, unit, bits) && *bits < (uint64_t)1 << 40;
}

/* fail, ctx, live, size, unit, flags, dst */
static void match_integer(struct loader *l, const struct arg *a)
{
    uint64_t bits, flags = bs_flags(a[5]);

    if (bs_const_bits(a[3], a[4].value, &bits)) {
        bool plain = (flags & (BS_LITTLE | BS_SIGNED)) == 0 ||
                     ((flags & BS_SIGNED) == 0 && bits <= 8);

        bool fixed = plain && (bits == 8 || bits == 16 || bits == 24 || bits == 32);

        emit_begin(l, !plain || bits == 0 || bits > 56 ? OP_bs_get_int
                      : bits == 8                      ? OP_bs_get_int8
                      : bits == 16                     ? OP_bs_get_uint16
                      : bits == 24                     ? OP_bs_get_uint24
                      : bits == 32                     ? OP_bs_get_uint32
                                                       : OP_bs_get_uint);
        emit_label(l, label_of(a[0]));
        emit_u(l, a[2].value);
        emit_place(l, a[1]);
        if (!fixed)
            emit_u(l, bits);
        if (!(plain && bits > 0 && bits <= 56))
            emit_u(l, flags);
    } else {
        emit_begin(l, OP_bs_get_int_var);
        emit_label(l, label_of(a[0]));
        emit_u(l, a[2].value);
        emit_place(l, a[1]);
        emit_place(l, a[3]);
        emit_u(l, a[4].value);
        emit_u(l, flags);
    }
    emit_place(l, a[6]);
    emit_end(l);
}

static void match_float(struct loader *l, const struct arg *a)
{
    emit_begin(l, OP_bs_get_float);
    emit_label(l, label_of(a[0]));
    emit_u(l, a[2].value);
    emit_place(l, a[1]);
    emit_place(l, a[3]);
    emit_u(l, a[4].value);
    emit_u(l, bs_flags(a[5]));
    emit_place(l, a[6]);
    emit_end(l);
}

/* What is left must be a multiple of unit. */
static void test_unit(struct loader *l, struct arg fail, struct arg ctx, uint64_t unit)
{
    bool mask = (unit & (unit - 1)) == 0;

    if (unit <= 1)
        return;
    emit_begin(l, mask ? OP_bs_test_mask : OP_bs_test_unit);
    emit_label(l, label_of(fail));
    emit_place(l, ctx);
    emit_u(l, mask ? unit - 1 : unit);
    emit_end(l);
}

static void match_binary(struct loader *l, const struct arg *a)
{
    bool all = a[3].kind == ARG_ATOM && a[3].value == am_all;

    if (all)
        test_unit(l, a[0], a[1], a[4].value);
    emit_begin(l, all ? OP_bs_get_bin_all : OP_bs_get_bin);
    emit_label(l, label_of(a[0]));
    emit_u(l, a[2].value);
    emit_place(l, a[1]);
    if (!all) {
        emit_place(l, a[3]);
        emit_u(l, a[4].value ? a[4].value : 1);
    }
    emit_place(l, a[6]);
    emit_end(l);
}

/* fail, ctx, size, unit, flags */
static void match_skip(struct loader *l, const struct arg *a)
{
    uint64_t bits;

    if (a[2].kind == ARG_ATOM && a[2].value == am_all) {
        test_unit(l, a[0], a[1], a[3].value);
        emit_begin(l, OP_bs_skip_all);
        emit_place(l, a[1]);
    } else if (bs_const_bits(a[2], a[3].value, &bits)) {
        emit_begin(l, OP_bs_skip);
        emit_label(l, label_of(a[0]));
        emit_place(l, a[1]);
        emit_u(l, bits);
    } else {
        emit_begin(l, OP_bs_skip_var);
        emit_label(l, label_of(a[0]));
        emit_place(l, a[1]);
        emit_place(l, a[2]);
        emit_u(l, a[3].value);
    }
    emit_end(l);
}

static const uint8_t *string_of(struct loader *l, struct arg off, uint64_t bytes)
{
    if (off.kind != ARG_U || off.value > l->strings_bytes ||
        bytes > l->strings_bytes - off.value) {
        load_fail(l, "a string is not in its table");
        return NULL;
    }
    return l->code->strings + off.value;
}

static void bs_utf(struct loader *l, enum op op, const struct arg *a, unsigned which,
                   struct arg flags, const struct arg *d)
{
    emit_begin(l, op);
    emit_label(l, label_of(a[0]));
    emit_place(l, a[1]);
    emit_u(l, which);
    emit_u(l, bs_flags(flags));
    if (d)
        emit_place(l, *d);
    emit_end(l);
}

/* fail, size, unit, flags, value */
static void bs_put(struct loader *l, enum bs_put kind, const struct arg *a)
{
    emit_begin(l, OP_bs_put);
    emit_label(l, label_of(a[0]));
    emit_u(l, kind);
    emit_u(l, a[2].value);
    emit_u(l, bs_flags(a[3]));
    emit_place(l, a[1]);
    emit_place(l, a[4]);
    emit_end(l);
}
/* fail, flags, value */
static void bs_put_utf(struct loader *l, enum bs_put kind, const struct arg *a)
{
    emit_begin(l, OP_bs_put);
    emit_label(l, label_of(a[0]));
    emit_u(l, kind);
    emit_u(l, 0);
    emit_u(l, bs_flags(a[1]));
    emit_place(l, atom_arg(TERM_NIL));
    emit_place(l, a[2]);
    emit_end(l);
}

/*
 * bs_create_bin: fail, alloc, live, unit, dst, and six operands a segment:
 * type, segment number, unit, flags, value, size. The flags are nil or a
 * literal list of atoms.
 */
static uint64_t segment_flags(struct loader *l, struct arg a)
{
    term t = a.kind == ARG_LITERAL ? arg_term(l, a) : TERM_NIL;
    uint64_t flags = 0;

    if (a.kind != ARG_LITERAL && (a.kind != ARG_ATOM || a.value != TERM_NIL))
        load_fail(l, "the flags of a segment are no list");
    for (int n = 0; term_is_cons(t) && n < 16; n++, t = cons_tail(t)) {
        if (cons_head(t) == am_little || cons_head(t) == am_native)
            flags |= BS_LITTLE;
        else if (cons_head(t) == am_signed)
            flags |= BS_SIGNED;
    }
    return flags;
}

static unsigned segment_type(struct loader *l, struct arg a)
{
    static const struct {
        term name;
        enum bs_type type;
    } types[] = {
        {am_append, BS_APPEND},   {am_private_append, BS_PRIVATE_APPEND},
        {am_binary, BS_BINARY},   {am_float, BS_FLOAT},
        {am_integer, BS_INTEGER}, {am_string, BS_STRING},
        {am_utf8, BS_UTF8},       {am_utf16, BS_UTF16},
        {am_utf32, BS_UTF32},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (a.kind == ARG_ATOM && a.value == types[i].name)
            return types[i].type;
    }
    load_fail(l, "a bs_create_bin has a segment of unknown type");
    return 0;
}

/*
 * An instruction that makes a binary also reserves `words` for what follows
 * it, before it runs. The binary itself takes at most BIN_WORDS at htop.
 *
 * Its n operands may lie in x registers from `live` on, which a collection
 * forgets: they are moved down to the first of these, in ascending order, so
 * that none is overwritten before it is moved.
 */
#define BIN_WORDS (HEAPBIN_WORDS(HEAPBIN_MAX) + SUBBIN_WORDS)
static void reserve_with_bin(struct loader *l, uint64_t words, uint64_t live,
                             struct arg *operand, uint64_t n)
{
    if (words == 0)
        return;
    if (words > HEAP_NEED_MAX) {
        load_fail(l, "it wants %lu words of heap at once", (unsigned long)words);
        return;
    }
    for (uint64_t from = live;; live++) {
        uint64_t next = UINT64_MAX;

        for (uint64_t i = 0; i < n; i++) {
            const struct arg *o = &operand[i];

            if (o->kind == ARG_X && o->value >= from && o->value < next)
                next = o->value;
        }
        if (next == UINT64_MAX)
            break;
        if (next != live)
            emit_move(l, reg_x(next), reg_x(live));
        for (uint64_t i = 0; i < n; i++) {
            struct arg *o = &operand[i];

            if (o->kind == ARG_X && o->value == next)
                *o = reg_x(live);
        }
        from = next + 1;
    }
    emit_2u(l, OP_test_heap, BYTES(words + BIN_WORDS), live);
}

static const uint8_t *segment_string(struct loader *l, const struct arg *seg,
                                     uint64_t *bytes)
{
    *bytes = seg[5].kind == ARG_I ? (uint64_t)small_value(seg[5].value) : seg[5].value;
    return string_of(l, seg[4], *bytes);
}

/*
 * How many of n segments make whole bytes together, the fewest: one string or
 * integer, or integers up to PARTS_MAX_BITS; 0: they don't, or one is something
 * else. All big endian.
 */
#define PART_MAX_BITS 30        /* a mask of that is an operand */
#define PARTS_MAX_BITS 56
static uint64_t bytes_group(struct loader *l, const struct arg *list, uint64_t n,
                            uint64_t *bytes)
{
    uint64_t total = 0, bits;

    for (uint64_t i = 0; i < n; i++) {
        const struct arg *seg = list + 6 * i;
        unsigned type = segment_type(l, seg[0]);

        if (type == BS_STRING && i == 0) {
            segment_string(l, seg, bytes);
            return 1;
        }
        if (type != BS_INTEGER || segment_flags(l, seg[3]) & BS_LITTLE ||
            !bs_const_bits(seg[5], seg[2].value, &bits))
            return 0;
        total += bits;
        if (bits == 0)
            return 0;
        if (i == 0 ? bits > 64 : total > PARTS_MAX_BITS || bits > PART_MAX_BITS)
            return 0;
        if (total % 8 == 0) {
            *bytes = total / 8;
            return i + 1;
        }
        if (bits > PART_MAX_BITS)
            return 0;
    }
    return 0;
}

/* Bytes that the segments after the first append to it, if that is all they do:
 * strings, and integers that make whole bytes. Else 0. */
static uint64_t more_bytes(struct loader *l, const struct arg *list, uint64_t n)
{
    uint64_t total = 0, bytes, k;

    if (n < 2 || segment_type(l, list[0]) > BS_PRIVATE_APPEND ||
        list[2].value == 0 || 8 % list[2].value != 0)
        return 0;
    for (uint64_t i = 1; i < n; i += k) {
        k = bytes_group(l, list + 6 * i, n - i, &bytes);
        if (k == 0)
            return 0;
        total += bytes;
    }
    return total;
}

static void more_parts(struct loader *l, const struct arg *list, uint64_t n,
                       uint64_t bytes, uint32_t slow)
{
    uint64_t bits;

    for (uint64_t i = 0; i < n; i++) {
        bs_const_bits(list[6 * i + 5], list[6 * i + 2].value, &bits);
        emit_begin(l, OP_bs_more_part);
        emit_label(l, slow);
        emit_place(l, list[6 * i + 4]);
        emit_u(l, bits);
        emit_u(l, ((uintptr_t)1 << bits) - 1);
        emit_end(l);
    }
    emit_1u(l, OP_bs_more_parts, bytes);
}

/* The short way of that, if it works; on to done. */
static void create_more(struct loader *l, const struct arg *list, uint64_t n,
                        uint64_t bytes, struct arg d, uint32_t done)
{
    uint32_t slow = emit_new_label(l);

    emit_begin(l, OP_bs_more);
    emit_label(l, slow);
    emit_place(l, list[4]);
    emit_u(l, bytes);
    emit_end(l);
    for (uint64_t i = 1, k; i < n; i += k) {
        const struct arg *seg = list + 6 * i;
        uint64_t size;

        k = bytes_group(l, seg, n - i, &size);
        if (k == 0)
            break;
        if (k > 1) {
            more_parts(l, seg, k, size, slow);
        } else if (segment_type(l, seg[0]) == BS_STRING) {
            emit_2u(l, OP_bs_more_string, (uintptr_t)segment_string(l, seg, &size),
                    size);
        } else if (size == 1) {
            emit_test1(l, OP_bs_more_byte, slow, seg[4]);
        } else if (size > 0) {
            emit_begin(l, OP_bs_more_int);
            emit_label(l, slow);
            emit_place(l, seg[4]);
            emit_u(l, size);
            emit_end(l);
        }
    }
    if (segment_type(l, list[0]) == BS_APPEND) {
        emit_1s(l, OP_bs_more_end, d);
    } else {
        emit_begin(l, OP_bs_more_private_end);
        emit_u(l, bytes / sizeof(term));
        emit_place(l, d);
        emit_end(l);
    }
    emit_jump(l, done);
    emit_place_label(l, slow);
}

static void create_bin(struct loader *l, const struct arg *a)
{
    uint64_t n = a[5].value / 6;
    struct arg *list, *operands;

    if (a[5].kind != ARG_LIST || a[5].value % 6) {
        load_fail(l, "a bs_create_bin is broken");
        return;
    }
    operands = vm_alloc(ALLOC_CODE, (n * 6 + 1) * sizeof *operands);
    memcpy(operands, a + 6, n * 6 * sizeof *operands);
    list = operands;
    reserve_with_bin(l, a[1].value, a[2].value, operands, n * 6);
    uint64_t more = more_bytes(l, list, n);
    uint32_t done = more ? emit_new_label(l) : 0;
    if (more)
        create_more(l, list, n, more, a[4], done);
    for (uint64_t i = 0; i < n; i++, list += 6) {
        struct arg value = list[4];
        unsigned type = segment_type(l, list[0]);

        if (type == BS_STRING) {
            uint64_t bytes;
            const uint8_t *s = segment_string(l, list, &bytes);

            value = (struct arg){ARG_ATOM, (term)(uintptr_t)s};
        }
        emit_begin(l, OP_bs_segment);
        emit_u(l, i * sizeof(struct bs_segment));
        emit_u(l, type);
        emit_u(l, segment_flags(l, list[3]));
        emit_u(l, list[2].value);
        emit_u(l, list[1].value);
        emit_place(l, value);
        emit_place(l, list[5]);
        emit_end(l);
    }
    emit_begin(l, OP_bs_create_bin);
    emit_label(l, label_of(a[0]));
    emit_place(l, a[4]);
    emit_u(l, n);
    emit_end(l);
    if (more)
        emit_place_label(l, done);
    vm_free(operands);
    need_scratch(l, n * (sizeof(struct bs_segment) / sizeof(term)));
}

/* ---- one instruction ---- */

static void function_start(struct front *f, const struct arg *a)
{
    struct loader *l = f->l;
    struct code *c = l->code;

    if (a[0].kind != ARG_ATOM || a[1].kind != ARG_ATOM || a[2].value > 255) {
        load_fail(l, "a func_info is broken");
        return;
    }
    c->funcs = load_grow(c->funcs, &l->funcs_size, c->nfuncs + 1, sizeof *c->funcs);
    c->funcs[c->nfuncs++] = (struct func){
        l->nwords, 0, (uint32_t)a[1].value, (uint32_t)a[2].value};  /* words, bytes later */
    emit_begin(l, OP_func_info);
    emit_u(l, a[2].value);
    emit_end(l);
    f->arity = (uint32_t)a[2].value;
    f->at_entry = true;
}

static void put_label(struct front *f, uint32_t label)
{
    struct loader *l = f->l;

    emit_place_label(l, label);
    if (f->at_entry) {
        f->at_entry = false;
        f->entry = l->nwords;
        l->code->funcs[l->code->nfuncs - 1].entry = l->nwords;
        if (l->code->nif_slots)
            emit_2u(l, OP_func_entry_nif, f->arity,
                    (uintptr_t)&l->code->nif_slots[l->code->nfuncs - 1]);
        else
            emit_1u(l, OP_func_entry, f->arity);
    }
}

/* Two moves in one, when the second does not read what the first writes. */
static void move(struct front *f, const struct arg *a)
{
    struct loader *l = f->l;
    const struct ginstr *next = peek(f, 1);

    if (next->op == G_move) {
        const struct arg *b = args_of(l, next);

        if (!same_place(a[1], b[0]) && !same_place(a[1], b[1])) {
            emit_begin(l, OP_move2);
            emit_place(l, a[0]);
            emit_place(l, a[1]);
            emit_place(l, b[0]);
            emit_place(l, b[1]);
            emit_end(l);
            f->i++;
            return;
        }
    }
    emit_move(l, a[0], a[1]);
}

static void get_tuple_element(struct front *f, const struct arg *a)
{
    struct loader *l = f->l;
    const struct ginstr *next = peek(f, 1);

    if (a[1].kind != ARG_U || a[1].value >= TUPLE_MAX_ARITY) {
        load_fail(l, "a tuple element is out of range");
        return;
    }
    if (next->op == G_get_tuple_element) {
        const struct arg *b = args_of(l, next);

        if (same_place(a[0], b[0]) && !same_place(a[2], a[0]) &&
            !same_place(a[2], b[2]) && b[1].value < TUPLE_MAX_ARITY) {
            emit_begin(l, OP_get_tuple_element2);
            emit_place(l, a[0]);
            emit_u(l, (a[1].value + 1) * sizeof(term));
            emit_place(l, a[2]);
            emit_u(l, (b[1].value + 1) * sizeof(term));
            emit_place(l, b[2]);
            emit_end(l);
            f->i++;
            return;
        }
    }
    emit_begin(l, OP_get_tuple_element);
    emit_place(l, a[0]);
    emit_u(l, (a[1].value + 1) * sizeof(term));
    emit_place(l, a[2]);
    emit_end(l);
}

static void is_equal(struct loader *l, bool ne, const struct arg *a)
{
    struct arg x = a[1], y = a[2];

    if (arg_is_const(x)) {
        x = a[2];
        y = a[1];
    }
    if (arg_is_const(y) && !arg_is_const(x) && term_is_imm(arg_term(l, y))) {
        emit_begin(l, ne ? OP_is_ne_imm : OP_is_eq_imm);
        emit_label(l, label_of(a[0]));
        emit_place(l, x);
        emit_place(l, y);
        emit_end(l);
        return;
    }
    emit_test2(l, ne ? OP_is_ne_exact : OP_is_eq_exact, label_of(a[0]), a[1], a[2]);
}

static void is_tuple(struct front *f, const struct arg *a)
{
    struct loader *l = f->l;
    const struct ginstr *next = peek(f, 1);

    if (next->op == G_test_arity) {
        const struct arg *b = args_of(l, next);

        if (same_place(a[1], b[1]) && label_of(a[0]) == label_of(b[0])) {
            emit_begin(l, OP_is_tuple_of_arity);
            emit_label(l, label_of(a[0]));
            emit_place(l, a[1]);
            emit_u(l, TUPLE_HEADER(b[2].value));
            emit_end(l);
            f->i++;
            return;
        }
    }
    emit_test1(l, OP_is_tuple, label_of(a[0]), a[1]);
}

static void is_nonempty_list(struct front *f, const struct arg *a)
{
    struct loader *l = f->l;
    const struct ginstr *next = peek(f, 1);

    if (next->op == G_get_list) {
        const struct arg *b = args_of(l, next);

        if (same_place(a[1], b[0])) {
            emit_begin(l, OP_is_nonempty_get_list);
            emit_label(l, label_of(a[0]));
            emit_place(l, a[1]);
            emit_place(l, b[1]);
            emit_place(l, b[2]);
            emit_end(l);
            f->i++;
            return;
        }
    }
    emit_test1(l, OP_is_nonempty_list, label_of(a[0]), a[1]);
}

static void allocate(struct loader *l, uint64_t words, uint64_t heap, uint64_t live,
                     bool zero)
{
    if (heap) {
        emit_begin(l, OP_allocate_heap);
        emit_u(l, BYTES(words));
        emit_u(l, BYTES(words + heap));
        emit_u(l, live);
        emit_end(l);
    } else {
        emit_2u(l, OP_allocate, BYTES(words), live);
    }
    if (!zero)
        return;
    l->frame = (uint32_t)words;
    for (uint64_t y = 0; y < words; y++) {
        emit_begin(l, OP_init_y);
        emit_y(l, (struct arg){ARG_Y, y});
        emit_end(l);
    }
}

static void init_yregs(struct loader *l, const struct arg *a)
{
    uint64_t i = 1, n = a[0].value;

    if (a[0].kind != ARG_LIST) {
        load_fail(l, "an init_yregs is broken");
        return;
    }
    for (; i + 1 <= n; i += 2) {
        emit_begin(l, OP_init_y2);
        emit_y(l, a[i]);
        emit_y(l, a[i + 1]);
        emit_end(l);
    }
    if (i <= n) {
        emit_begin(l, OP_init_y);
        emit_y(l, a[i]);
        emit_end(l);
    }
}

static void with_y(struct loader *l, enum op op, struct arg y)
{
    emit_begin(l, op);
    emit_y(l, y);
    emit_end(l);
}

static void float_op(struct loader *l, enum op op, const struct arg *a, unsigned n)
{
    emit_begin(l, op);
    for (unsigned i = 0; i < n; i++)
        emit_fr(l, a[i]);
    emit_end(l);
}

static bool same_fr(struct arg a, struct arg b)
{
    return a.kind == ARG_FR && b.kind == ARG_FR && a.value == b.value;
}

static void float_load(struct loader *l, const struct arg *a)
{
    emit_begin(l, OP_fmove_load);
    emit_place(l, a[0]);
    emit_fr(l, a[1]);
    emit_end(l);
}

/* The pair of `first` and an operation on its result t and another register. */
static enum op pair_of(enum genop first, enum genop second, bool t_first)
{
    static const enum op ops[3][5] = {
        {OP_fadd_add, OP_fadd_sub, OP_fadd_rsub, OP_fadd_mul, OP_fadd_rdiv},
        {OP_fsub_add, OP_fsub_sub, OP_fsub_rsub, OP_fsub_mul, OP_fsub_rdiv},
        {OP_fmul_add, OP_fmul_sub, OP_fmul_rsub, OP_fmul_mul, OP_fmul_rdiv},
    };
    const enum op *row = ops[first == G_fadd ? 0 : first == G_fsub ? 1 : 2];

    switch (second) {
    case G_fadd: return row[0];
    case G_fsub: return row[t_first ? 1 : 2];
    case G_fmul: return row[3];
    case G_fdiv: return t_first ? OP_fdiv : row[4];     /* OP_fdiv: no pair */
    default: return OP_fdiv;
    }
}

/*
 * a: two registers and where to, of an addition, subtraction or multiplication.
 * If the next operation takes its result, both are one instruction; loads of
 * other registers in between come first.
 */
static void float_pair(struct front *f, enum genop first, enum op alone,
                       const struct arg *a)
{
    struct loader *l = f->l;
    const struct ginstr *next = peek(f, 1);
    const struct arg *b = args_of(l, next);
    uint32_t loads = 0;

    while (next->op == G_fmove && b[1].kind == ARG_FR && b[0].kind != ARG_FR &&
           !same_fr(b[1], a[0]) && !same_fr(b[1], a[1]) && !same_fr(b[1], a[2])) {
        next = peek(f, ++loads + 1);
        b = args_of(l, next);
    }
    enum op op = OP_fdiv;
    bool t_first = false;

    if (next->op >= G_fadd && next->op <= G_fdiv && next->line == l->line) {
        t_first = same_fr(b[1], a[2]);
        if (t_first != same_fr(b[2], a[2]))
            op = pair_of(first, (enum genop)next->op, t_first);
    }
    if (op == OP_fdiv) {
        float_op(l, alone, a, 3);
        return;
    }
    for (uint32_t i = 1; i <= loads; i++)
        float_load(l, args_of(l, peek(f, i)));
    emit_begin(l, op);
    emit_fr(l, a[0]);
    emit_fr(l, a[1]);
    emit_fr(l, a[2]);
    emit_fr(l, t_first ? b[2] : b[1]);
    emit_fr(l, b[3]);
    emit_end(l);
    f->i += loads + 1;
}

static void is_function2(struct loader *l, const struct arg *a)
{
    if (a[2].kind == ARG_I && small_value(a[2].value) >= 0 &&
        small_value(a[2].value) < 256) {
        emit_begin(l, OP_is_function2);
        emit_label(l, label_of(a[0]));
        emit_place(l, a[1]);
        emit_u(l, (uintptr_t)small_value(a[2].value));
        emit_end(l);
        return;
    }
    emit_test2(l, OP_is_function2_var, label_of(a[0]), a[1], a[2]);
}

static void receive_mark(struct loader *l, enum op op, struct arg a)
{
    emit_1s(l, op, a);
}

static bool translate(struct front *f)
{
    struct loader *l = f->l;
    const struct ginstr *in = &l->instrs[f->i];
    const struct arg *a = args_of(l, in);
    uint32_t fail = in->count ? label_of(a[0]) : 0;

    l->line = in->line;
    l->frame = in->frame < 0 ? 0 : (uint32_t)in->frame | (in->unsure ? FRAME_UNSURE : 0);
    switch ((enum genop)in->op) {
    case G_label: put_label(f, (uint32_t)a[0].value); break;
    case G_func_info: function_start(f, a); break;
    case G_int_code_end: case G_nif_start: break;
    case G_on_load:
        l->code->on_load = (code_ptr)((uintptr_t)f->entry + 1);    /* a word */
        break;

    case G_move: move(f, a); break;
    case G_swap:
        emit_begin(l, OP_swap);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_test_heap:
        emit_2u(l, OP_test_heap, BYTES(heap_words(l, a[0])), a[1].value);
        break;
    case G_allocate: allocate(l, a[0].value, 0, a[1].value, false); break;
    case G_allocate_zero: allocate(l, a[0].value, 0, a[1].value, true); break;
    case G_allocate_heap:
        allocate(l, a[0].value, heap_words(l, a[1]), a[2].value, false);
        break;
    case G_allocate_heap_zero:
        allocate(l, a[0].value, heap_words(l, a[1]), a[2].value, true);
        break;
    case G_deallocate:
        if (peek(f, 1)->op == G_return) {
            emit_1u(l, OP_deallocate_return, BYTES(a[0].value));
            f->i++;
        } else {
            emit_1u(l, OP_deallocate, BYTES(a[0].value));
        }
        break;
    case G_trim: emit_1u(l, OP_trim, BYTES(a[0].value)); break;
    case G_init: with_y(l, OP_init_y, a[0]); break;
    case G_init_yregs: init_yregs(l, a); break;
    case G_jump:
        emit_begin(l, OP_jump);
        emit_label(l, fail);
        emit_end(l);
        break;
    case G_return: emit0(l, OP_return); break;

    case G_call:
        emit_begin(l, OP_call);
        emit_label(l, label_of(a[1]));
        emit_end(l);
        break;
    case G_call_last:
        emit_begin(l, OP_call_last);
        emit_label(l, label_of(a[1]));
        emit_u(l, BYTES(a[2].value));
        emit_end(l);
        break;
    case G_call_only:
        emit_begin(l, OP_jump);
        emit_label(l, label_of(a[1]));
        emit_end(l);
        break;
    case G_call_ext: call_ext(l, import_of(l, a[1])); break;
    case G_call_ext_last: call_ext_last(l, import_of(l, a[1]), a[2].value); break;
    case G_call_ext_only: {
        struct import *im = import_of(l, a[1]);

        if (import_is_apply(im))
            emit_2u(l, OP_call_apply_last, im->arity, 0);
        else if (is_bif(im))
            call_ext_and_return(l, im);
        else
            emit_1u(l, OP_call_ext_only, (uintptr_t)im->export);
        break;
    }
    case G_apply: emit_1u(l, OP_apply, a[0].value); break;
    case G_apply_last: emit_2u(l, OP_apply_last, a[0].value, BYTES(a[1].value)); break;
    case G_call_fun: call_fun(f, a[0].value, reg_x(a[0].value)); break;
    case G_call_fun2: call_fun(f, a[1].value, a[2]); break;
    case G_make_fun2: {
        struct lambda *fn = lambda_of(l, a[0]);
        struct arg env[255];

        emit_2u(l, OP_test_heap, BYTES(FUN_WORDS(fn->num_free)), fn->num_free);
        for (uint32_t i = 0; i < fn->num_free; i++)
            env[i] = reg_x(i);
        make_fun(l, a[0], reg_x(0), env, fn->num_free);
        break;
    }
    case G_make_fun3:
        if (a[2].kind != ARG_LIST)
            return load_fail(l, "a make_fun3 is broken");
        make_fun(l, a[0], a[1], a + 3, a[2].value);
        break;

    case G_get_list:
        emit_begin(l, OP_get_list);
        for (int i = 0; i < 3; i++)
            emit_place(l, a[i]);
        emit_end(l);
        break;
    case G_get_hd: case G_get_tl:
        emit_begin(l, in->op == G_get_hd ? OP_get_hd : OP_get_tl);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_put_list:
        emit_begin(l, OP_put_list);
        for (int i = 0; i < 3; i++)
            emit_place(l, a[i]);
        emit_end(l);
        break;
    case G_put_tuple2: put_tuple(l, a); break;
    case G_get_tuple_element: get_tuple_element(f, a); break;
    case G_set_tuple_element:
        emit_begin(l, OP_set_tuple_element);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_u(l, (a[2].value + 1) * sizeof(term));
        emit_end(l);
        break;

    case G_is_integer: emit_test1(l, OP_is_integer, fail, a[1]); break;
    case G_is_float: emit_test1(l, OP_is_float, fail, a[1]); break;
    case G_is_number: emit_test1(l, OP_is_number, fail, a[1]); break;
    case G_is_atom: emit_test1(l, OP_is_atom, fail, a[1]); break;
    case G_is_pid: emit_test1(l, OP_is_pid, fail, a[1]); break;
    case G_is_reference: emit_test1(l, OP_is_reference, fail, a[1]); break;
    case G_is_port: emit_test1(l, OP_is_port, fail, a[1]); break;
    case G_is_nil: emit_test1(l, OP_is_nil, fail, a[1]); break;
    case G_is_binary: emit_test1(l, OP_is_binary, fail, a[1]); break;
    case G_is_bitstr: emit_test1(l, OP_is_bitstr, fail, a[1]); break;
    case G_is_list: emit_test1(l, OP_is_list, fail, a[1]); break;
    case G_is_boolean: emit_test1(l, OP_is_boolean, fail, a[1]); break;
    case G_is_map: emit_test1(l, OP_is_map, fail, a[1]); break;
    case G_is_function: emit_test1(l, OP_is_function, fail, a[1]); break;
    case G_is_function2: is_function2(l, a); break;
    case G_is_nonempty_list: is_nonempty_list(f, a); break;
    case G_is_tuple: is_tuple(f, a); break;
    case G_test_arity:
        emit_begin(l, OP_test_arity);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_u(l, TUPLE_HEADER(a[2].value));
        emit_end(l);
        break;
    case G_is_tagged_tuple:
        emit_begin(l, OP_is_tagged_tuple);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_u(l, TUPLE_HEADER(a[2].value));
        emit_u(l, a[3].value);
        emit_end(l);
        break;
    case G_is_lt: emit_test2(l, OP_is_lt, fail, a[1], a[2]); break;
    case G_is_ge: emit_test2(l, OP_is_ge, fail, a[1], a[2]); break;
    case G_is_eq: emit_test2(l, OP_is_eq, fail, a[1], a[2]); break;
    case G_is_ne: emit_test2(l, OP_is_ne, fail, a[1], a[2]); break;
    case G_is_eq_exact: is_equal(l, false, a); break;
    case G_is_ne_exact: is_equal(l, true, a); break;
    case G_select_val: select_val(f, a, in->count); break;
    case G_select_tuple_arity: select_arity(f, a, in->count); break;

    case G_bif0: guard_bif(l, import_of(l, a[0]), 0, 0, NULL, 0, a[1]); break;
    case G_bif1: guard_bif(l, import_of(l, a[1]), fail, 0, a + 2, 1, a[3]); break;
    case G_bif2: guard_bif(l, import_of(l, a[1]), fail, 0, a + 2, 2, a[4]); break;
    case G_gc_bif1:
        guard_bif(l, import_of(l, a[2]), fail, a[1].value, a + 3, 1, a[4]);
        break;
    case G_gc_bif2:
        guard_bif(l, import_of(l, a[2]), fail, a[1].value, a + 3, 2, a[5]);
        break;
    case G_gc_bif3:
        guard_bif(l, import_of(l, a[2]), fail, a[1].value, a + 3, 3, a[6]);
        break;

    case G_fmove:
        if (a[1].kind == ARG_FR) {
            float_load(l, a);
            break;
        }
        emit_begin(l, OP_fmove_store);
        emit_fr(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_fconv:
        emit_begin(l, OP_fconv);
        emit_place(l, a[0]);
        emit_fr(l, a[1]);
        emit_end(l);
        break;
    case G_fclearerror: case G_fcheckerror: break;
    case G_fadd: float_pair(f, G_fadd, OP_fadd, a + 1); break;
    case G_fsub: float_pair(f, G_fsub, OP_fsub, a + 1); break;
    case G_fmul: float_pair(f, G_fmul, OP_fmul, a + 1); break;
    case G_fdiv: float_op(l, OP_fdiv, a + 1, 3); break;
    case G_fnegate: float_op(l, OP_fneg, a + 1, 2); break;

    case G_catch: case G_try: emit_catch(l, a[0], label_of(a[1])); break;
    case G_catch_end: with_y(l, OP_catch_end, a[0]); break;
    case G_try_end: with_y(l, OP_catch_none, a[0]); break;
    case G_try_case: with_y(l, OP_try_case, a[0]); break;
    case G_try_case_end: emit_1s(l, OP_try_case_end, a[0]); break;
    case G_badmatch: emit_1s(l, OP_badmatch, a[0]); break;
    case G_case_end: emit_1s(l, OP_case_end, a[0]); break;
    case G_badrecord: emit_1s(l, OP_badrecord, a[0]); break;
    case G_if_end: emit0(l, OP_if_end); break;
    case G_raise:
        emit_begin(l, OP_raise);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_raw_raise: emit0(l, OP_raw_raise); break;
    case G_build_stacktrace: emit0(l, OP_build_stacktrace); break;

    case G_send: emit0(l, OP_send); break;
    case G_loop_rec:
        emit_begin(l, OP_loop_rec);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_loop_rec_end:
        emit_begin(l, OP_loop_rec_end);
        emit_label(l, fail);
        emit_end(l);
        break;
    case G_remove_message: emit0(l, OP_remove_message); break;
    case G_wait:
        emit_begin(l, OP_wait);
        emit_label(l, fail);
        emit_end(l);
        break;
    case G_wait_timeout: emit_test1(l, OP_wait_timeout, fail, a[1]); break;
    case G_timeout: emit0(l, OP_timeout); break;
    case G_recv_marker_reserve:
        receive_mark(l, OP_recv_marker_reserve, a[0]);
        break;
    case G_recv_marker_bind:
        emit_begin(l, OP_recv_marker_bind);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_recv_marker_clear: receive_mark(l, OP_recv_marker_clear, a[0]); break;
    case G_recv_marker_use: receive_mark(l, OP_recv_marker_use, a[0]); break;

    /* fail, src, dst, live, list */
    case G_put_map_assoc:
        if (a[4].kind != ARG_LIST || a[4].value % 2)
            return load_fail(l, "a put_map_assoc is broken");
        if (a[1].kind == ARG_KEYS) {
            new_map(l, a);
            break;
        }
        gather(l, a + 5, a[4].value);
        emit_begin(l, OP_put_map_assoc);
        emit_place(l, a[1]);
        emit_place(l, a[2]);
        emit_u(l, a[4].value);
        emit_end(l);
        break;
    case G_put_map_exact:
        if (a[4].kind != ARG_LIST || a[4].value % 2)
            return load_fail(l, "a put_map_exact is broken");
        gather(l, a + 5, a[4].value);
        emit_begin(l, OP_put_map_exact);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_place(l, a[2]);
        emit_u(l, a[4].value);
        emit_end(l);
        break;
    case G_get_map_elements: get_map_elements(l, a); break;
    case G_has_map_fields:
        if (a[2].kind != ARG_LIST)
            return load_fail(l, "a has_map_fields is broken");
        for (uint64_t i = 0; i < a[2].value; i++)
            emit_test2(l, OP_has_map_field, fail, a[1], a[3 + i]);
        break;

    /* fail, src, live, dst; start_match4's fail may be an atom */
    case G_bs_start_match3:
        emit_begin(l, OP_bs_start_match);
        emit_label(l, fail);
        emit_u(l, a[2].value);
        emit_place(l, a[1]);
        emit_place(l, a[3]);
        emit_end(l);
        break;
    case G_bs_start_match4:
        if (a[0].kind == ARG_ATOM && a[0].value == am_resume) {
            emit_move(l, a[2], a[3]);
            break;
        }
        emit_begin(l, OP_bs_start_match);
        emit_label(l, fail);
        emit_u(l, a[1].value);
        emit_place(l, a[2]);
        emit_place(l, a[3]);
        emit_end(l);
        break;
    case G_bs_get_position:
        emit_begin(l, OP_bs_get_position);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_bs_set_position:
        emit_begin(l, OP_bs_set_position);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_bs_get_tail:
        emit_begin(l, OP_bs_get_tail);
        emit_u(l, a[2].value);
        emit_place(l, a[0]);
        emit_place(l, a[1]);
        emit_end(l);
        break;
    case G_bs_test_tail2:
        emit_begin(l, OP_bs_test_tail);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_u(l, a[2].value);
        emit_end(l);
        break;
    case G_bs_test_unit:
        test_unit(l, a[0], a[1], a[2].value);
        break;
    case G_bs_get_integer2: match_integer(l, a); break;
    case G_bs_get_float2: match_float(l, a); break;
    case G_bs_get_binary2: match_binary(l, a); break;
    case G_bs_skip_bits2: match_skip(l, a); break;
    case G_bs_match_string: {
        uint64_t bits = a[2].value;

        if (bits > (uint64_t)1 << 40)
            return load_fail(l, "a bs_match_string is broken");
        emit_begin(l, OP_bs_match_string);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_u(l, bits);
        emit_u(l, (uintptr_t)string_of(l, a[3], (bits + 7) / 8));
        emit_end(l);
        break;
    }
    case G_bs_get_utf8: emit_test2(l, OP_bs_get_utf8, fail, a[1], a[4]); break;
    case G_bs_get_utf16: bs_utf(l, OP_bs_get_utf, a, 16, a[3], &a[4]); break;
    case G_bs_get_utf32: bs_utf(l, OP_bs_get_utf, a, 32, a[3], &a[4]); break;
    case G_bs_skip_utf8: bs_utf(l, OP_bs_skip_utf, a, 8, a[3], NULL); break;
    case G_bs_skip_utf16: bs_utf(l, OP_bs_skip_utf, a, 16, a[3], NULL); break;
    case G_bs_skip_utf32: bs_utf(l, OP_bs_skip_utf, a, 32, a[3], NULL); break;

    case G_bs_create_bin: create_bin(l, a); break;
    /* fail, size, words, live, flags, dst */
    case G_bs_init2: case G_bs_init_bits: {
        struct arg size = a[1];

        reserve_with_bin(l, a[2].value, a[3].value, &size, 1);
        emit_begin(l, OP_bs_init);
        emit_label(l, fail);
        emit_place(l, size);
        emit_u(l, in->op == G_bs_init2 ? 8 : 1);
        emit_place(l, a[5]);
        emit_end(l);
        break;
    }
    /* fail, size, extra, live, unit, bin, flags, dst */
    case G_bs_append: {
        struct arg from[2] = {a[1], a[5]};

        reserve_with_bin(l, a[2].value, a[3].value, from, 2);
        emit_begin(l, OP_bs_append);
        emit_label(l, fail);
        emit_place(l, from[0]);
        emit_u(l, a[4].value);
        emit_place(l, from[1]);
        emit_u(l, 0);
        emit_place(l, a[7]);
        emit_end(l);
        break;
    }
    /* fail, size, unit, bin, flags, dst */
    case G_bs_private_append:
        emit_begin(l, OP_bs_append);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_u(l, a[2].value);
        emit_place(l, a[3]);
        emit_u(l, 1);
        emit_place(l, a[5]);
        emit_end(l);
        break;
    case G_bs_init_writable: emit0(l, OP_bs_init_writable); break;
    case G_bs_put_integer: bs_put(l, BS_PUT_INTEGER, a); break;
    case G_bs_put_float: bs_put(l, BS_PUT_FLOAT, a); break;
    case G_bs_put_binary: bs_put(l, BS_PUT_BINARY, a); break;
    case G_bs_put_utf8: bs_put_utf(l, BS_PUT_UTF8, a); break;
    case G_bs_put_utf16: bs_put_utf(l, BS_PUT_UTF16, a); break;
    case G_bs_put_utf32: bs_put_utf(l, BS_PUT_UTF32, a); break;
    case G_bs_put_string:
        emit_2u(l, OP_bs_put_string, (uintptr_t)string_of(l, a[1], a[0].value),
                a[0].value);
        break;
    /* fail, {list: size1, size2, unit}, dst: the list is flat in the args */
    case G_bs_add:
        emit_begin(l, OP_bs_add);
        emit_label(l, fail);
        emit_place(l, a[1]);
        emit_place(l, a[2]);
        emit_u(l, a[3].value);
        emit_place(l, a[4]);
        emit_end(l);
        break;
    case G_bs_utf8_size: case G_bs_utf16_size:
        emit_begin(l, OP_bs_utf_size);
        emit_place(l, a[1]);
        emit_u(l, in->op == G_bs_utf8_size ? 8 : 16);
        emit_place(l, a[2]);
        emit_end(l);
        break;

    default:
        return load_fail(l, "instruction %s (%u) is not supported",
                         genop_name(in->op), (unsigned)in->op);
    }
    return load_ok(l);
}

/*
 * Where the call of a fun enters: its environment goes from the fun, which is
 * in x[arity], to x[arity..]; the first word last, for it overwrites the fun.
 */
static void lambda_prologue(struct loader *l, struct lambda *fn, uint32_t *at)
{
    uint32_t arity = fn->arity - fn->num_free;

    *at = l->nwords;
    for (uint32_t i = fn->num_free; i-- > 0;) {
        emit_begin(l, OP_fun_env);
        emit_place(l, reg_x(arity));
        emit_u(l, FUN_WORDS(0) + i);
        emit_place(l, reg_x(arity + i));
        emit_end(l);
    }
    emit_begin(l, OP_jump);
    emit_label(l, fn->label);
    emit_end(l);
}

/* Native code can't always be patched; a module that calls load_nif says so. */
static void want_nif_slots(struct loader *l)
{
    uint32_t functions = 0;
    bool wanted = false;

    for (uint32_t i = 0; i < l->ninstrs; i++)
        functions += l->instrs[i].op == G_func_info;
    for (uint32_t i = 0; i < l->nimports; i++)
        wanted |= l->imports[i].m == am_erlang && l->imports[i].f == am_load_nif;
    if (wanted)
        l->code->nif_slots = vm_zalloc(ALLOC_CODE, (functions + 1) * sizeof(void *));
}

bool front_translate(struct loader *l)
{
    struct front f = {.l = l};
    struct code *c = l->code;
    uint32_t *prologues;

    if (!flow(l))
        return false;
    if (l->native)
        want_nif_slots(l);
    for (f.i = 0; f.i < l->ninstrs && load_ok(l); f.i++)
        translate(&f);
    prologues = vm_alloc(ALLOC_CODE, (l->nlambdas + 1) * sizeof *prologues);
    l->frame = 0;
    l->line = 0;
    for (uint32_t i = 0; i < l->nlambdas && load_ok(l); i++)
        lambda_prologue(l, &l->lambdas[i], &prologues[i]);
    if (c->nfuncs == 0)
        load_fail(l, "it has no function");
    if (f.at_entry)
        load_fail(l, "a function has no entry");
    if (emit_finish(l)) {
        for (uint32_t i = 0; i < l->nlambdas; i++)
            c->fun_addrs[i] = (code_ptr)((char *)c->base + emit_offset(l, prologues[i]));
        struct { struct code_export *e; uint32_t n; } tables[] = {
            {c->exports, c->nexports}, {l->locals, l->nlocals}};
        for (int t = 0; t < 2; t++) {
            for (uint32_t i = 0; i < tables[t].n; i++) {
                struct code_export *e = &tables[t].e[i];

                if (l->label_at[e->label_off] == UINT32_MAX)
                    load_fail(l, "an export has no code");
                else
                    e->label_off = emit_offset(l, l->label_at[e->label_off]);
            }
        }
        if (c->on_load)
            c->on_load = (code_ptr)((char *)c->base +
                                    emit_offset(l, (uint32_t)(uintptr_t)c->on_load - 1));
        if (l->scratch_words > vm.sched->scratch_size) {
            vm.sched->scratch = vm_realloc(vm.sched->scratch,
                                           l->scratch_words * sizeof(term));
            vm.sched->scratch_size = l->scratch_words;
        }
    }
    vm_free(prologues);
    return load_ok(l);
}
