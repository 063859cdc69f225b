/*
 * front_fuse.c - instructions that are done as one with the next, and tests that
 * are simpler than they look.
 */
#include "op/front.h"

/* Two moves in one, when the second does not read what the first writes. */
void front_move(struct front *f, const struct arg *a)
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

void front_get_tuple_element(struct front *f, const struct arg *a)
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

void front_is_equal(struct loader *l, bool ne, const struct arg *a)
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

void front_is_tuple(struct front *f, const struct arg *a)
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

void front_is_nonempty_list(struct front *f, const struct arg *a)
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

void front_float_op(struct loader *l, enum op op, const struct arg *a, unsigned n)
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

void front_float_load(struct loader *l, const struct arg *a)
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
void front_float_pair(struct front *f, enum genop first, enum op alone,
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
        front_float_op(l, alone, a, 3);
        return;
    }
    for (uint32_t i = 1; i <= loads; i++)
        front_float_load(l, args_of(l, peek(f, i)));
    emit_begin(l, op);
    emit_fr(l, a[0]);
    emit_fr(l, a[1]);
    emit_fr(l, a[2]);
    emit_fr(l, t_first ? b[2] : b[1]);
    emit_fr(l, b[3]);
    emit_end(l);
    f->i += loads + 1;
}
