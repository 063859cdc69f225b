/*
 * front_calls.c - calls of exports, funs and BIFs, and the BIFs that are
 * instructions of their own.
 */
#include "bif/bif.h"
#include "op/front.h"
#include "vm/atom.h"

struct import *front_import(struct loader *l, struct arg a)
{
    static struct import none;

    if (a.kind != ARG_U || a.value >= l->nimports) {
        load_fail(l, "import %u is not in its table", (unsigned)a.value);
        return &none;
    }
    return &l->imports[a.value];
}

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

void front_call_ext(struct loader *l, struct import *im)
{
    static const enum op bif_ops[] = {OP_call_bif1, OP_call_bif1, OP_call_bif2,
                                      OP_call_bif3};
    enum op op = !is_bif(im)      ? OP_call_ext
                 : im->arity <= 3 ? bif_ops[im->arity]
                                  : OP_call_bif;

    if (import_is_apply(im))
        emit_1u(l, OP_call_apply, im->arity);
    else
        emit_1p(l, op, im->export);
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
    front_call_ext(l, im);
    emit_begin(l, OP_return);
    emit_end(l);
}

void front_call_ext_last(struct loader *l, struct import *im, uint64_t words)
{
    if (is_exit_bif(im)) {
        front_call_ext(l, im);
    } else if (import_is_apply(im)) {
        emit_2u(l, OP_call_apply_last, im->arity, BYTES(words));
    } else if (is_bif(im) && words == 0) {
        call_ext_and_return(l, im);
    } else if (is_bif(im)) {
        front_call_ext(l, im);
        emit_1u(l, OP_deallocate_return, BYTES(words));
    } else {
        emit_pu(l, OP_call_ext_last, im->export, BYTES(words));
    }
}

void front_call_ext_only(struct loader *l, struct import *im)
{
    if (import_is_apply(im))
        emit_2u(l, OP_call_apply_last, im->arity, 0);
    else if (is_bif(im))
        call_ext_and_return(l, im);
    else
        emit_1p(l, OP_call_ext_only, im->export);
}

/* fun in a register to x[arity], then the call. */
void front_call_fun(struct front *f, uint64_t arity, struct arg fun)
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
    /* The least small has no small to take away instead. */
    bool minus = v < 0 && small_fits(-v);

    emit_begin(l, minus ? OP_decrement : OP_increment);
    emit_live(l, live);
    emit_place(l, reg);
    emit_u(l, small_make(minus ? -v : v));
    emit_place(l, d);
    emit_end(l);
    return true;
}

/* bif0..2 and gc_bif1..3: n arguments at a[], result in d. */
void front_guard_bif(struct loader *l, struct import *im, uint32_t fail, uint64_t live,
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
            emit_live(l, live);
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
    emit_live(l, live);
    emit_p(l, im->export);
    if (n == 0)
        emit_place(l, atom_arg(TERM_NIL));
    for (unsigned k = 0; k < n; k++)
        emit_place(l, a[k]);
    emit_place(l, d);
    emit_end(l);
}
