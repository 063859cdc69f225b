/*
 * front_data.c - choices by value, and tuples, funs and maps.
 */
#include <stdlib.h>

#include "op/front.h"
#include "vm/atom.h"
#include "vm/map.h"

static int word_order(const void *a, const void *b)
{
    term x = *(const term *)a, y = *(const term *)b;

    return x < y ? -1 : x > y;
}

#define FEW_CASES 16
#define LINEAR_CASES 6
#define JUMP_TABLE_SPARSE 4     /* at most so many times the cases */

struct select_case { term value; uint32_t label; };

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
            emit_place(l, word_arg(c[mid].value));
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
            emit_place(l, word_arg(c[lo].value));
            emit_label(l, c[lo].label);
            emit_end(l);
        }
        emit_jump(l, fail);
    }
}

/* select_val: a[0] the term, a[1] fail, a[2] the list of values and labels. */
void front_select_val(struct front *f, const struct arg *a, uint32_t count)
{
    struct loader *l = f->l;
    uint64_t n = a[2].value / 2, imms = 0;
    const struct arg *list = a + 3;

    if (a[2].kind != ARG_LIST || count != 3 + a[2].value || a[2].value % 2) {
        load_fail(l, "a select_val is broken");
        return;
    }
    struct select_case few[FEW_CASES], *cases =
        n <= FEW_CASES ? few : vm_alloc(ALLOC_CODE, n * sizeof *cases);
    bool sorted = true;

    for (uint64_t i = 0; i < n; i++) {
        term v = arg_term(l, list[2 * i]);

        if (!arg_is_const(list[2 * i])) {
            load_fail(l, "a select_val has a register for a value");
        } else if (term_is_imm(v)) {
            sorted &= imms == 0 || cases[imms - 1].value < v;
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
    if (!sorted)
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
    if (cases != few)
        vm_free(cases);
}

void front_select_arity(struct front *f, const struct arg *a, uint32_t count)
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
            emit_place(l, word_arg(TUPLE_HEADER(list[2 * i].value)));
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
void front_put_tuple(struct loader *l, const struct arg *a)
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
    emit_1s(l, OP_put, word_arg(header));
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

struct lambda *front_lambda(struct loader *l, struct arg a)
{
    static struct lambda none;

    if (a.kind != ARG_U || a.value >= l->nlambdas) {
        load_fail(l, "fun %u is not in its table", (unsigned)a.value);
        return &none;
    }
    return &l->lambdas[a.value];
}

void front_make_fun(struct loader *l, struct arg index, struct arg d,
                     const struct arg *env, uint64_t n)
{
    struct lambda *f = front_lambda(l, index);

    if (!load_ok(l))
        return;
    if (n != f->num_free) {
        load_fail(l, "a fun has an environment of %u words instead of %u",
                  (unsigned)n, (unsigned)f->num_free);
        return;
    }
    emit_pu(l, OP_make_fun, f->entry, n);
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

    emit_test_heap(l, 2 + n, a[3].value);
    emit_begin(l, OP_put2);
    emit_place(l, word_arg(MAP_HEADER(n)));
    emit_place(l, (struct arg){ARG_LITERAL, a[1].value});
    emit_end(l);
    for (uint64_t i = 0; i < n; i++)
        emit_1s(l, OP_put, a[5 + 2 * i + 1]);
    emit_begin(l, OP_put_end);
    emit_u(l, BYTES(2 + n));
    emit_place(l, a[2]);
    emit_end(l);
}

/* fail, src, dst, live, list */
void front_put_map(struct loader *l, enum op op, const struct arg *a)
{
    if (a[4].kind != ARG_LIST || a[4].value % 2) {
        load_fail(l, "a %s is broken", op_infos[op].name);
        return;
    }
    if (a[1].kind == ARG_KEYS) {
        new_map(l, a);
        return;
    }
    gather(l, a + 5, a[4].value);
    emit_begin(l, op);
    if (op == OP_put_map_exact)
        emit_label(l, label_of(a[0]));
    emit_place(l, a[1]);
    emit_place(l, a[2]);
    emit_u(l, a[4].value);
    emit_end(l);
}

/* get_map_elements: an element that overwrites the map is taken last. */
void front_get_map_elements(struct loader *l, const struct arg *a)
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
