/*
 * front.c - generic instructions to specific ones, one after the other, each with a
 * look at the next one or two; and the tables that tell where things are.
 */
#include "op/front.h"
#include "vm/atom.h"
#include "vm/bitsyntax.h"

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
        l->nwords, 0, (uint32_t)a[1].value, (uint16_t)a[2].value, false};  /* words, bytes later */
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
        emit_begin(l, l->code->nif_slots ? OP_func_entry_nif : OP_func_entry);
        emit_u(l, f->arity);
        if (l->code->nif_slots)
            emit_p(l, &l->code->nif_slots[l->code->nfuncs - 1]);
        emit_end(l);
    }
}

static void allocate(struct loader *l, uint64_t words, uint64_t heap, uint64_t live,
                     bool zero)
{
    emit_begin(l, heap ? OP_allocate_heap : OP_allocate);
    emit_u(l, BYTES(words));
    if (heap)
        emit_u(l, BYTES(words + heap));
    emit_live(l, live);
    emit_end(l);
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
    case G_int_code_end: break;
    case G_nif_start:
        if (l->code->nfuncs == 0) {
            load_fail(l, "a nif_start is outside of functions");
            break;
        }
        l->code->funcs[l->code->nfuncs - 1].nif = l->code->declares_nifs = true;
        break;
    case G_on_load:
        l->code->on_load = (code_ptr)((uintptr_t)f->entry + 1);    /* a word */
        break;

    case G_move: front_move(f, a); break;
    case G_swap: emit_2s(l, OP_swap, a[0], a[1]); break;
    case G_test_heap:
        emit_test_heap(l, heap_words(l, a[0]), a[1].value);
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
    case G_jump: emit_jump(l, fail); break;
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
    case G_call_only: emit_jump(l, label_of(a[1])); break;
    case G_call_ext: front_call_ext(l, front_import(l, a[1])); break;
    case G_call_ext_last: front_call_ext_last(l, front_import(l, a[1]), a[2].value); break;
    case G_call_ext_only: front_call_ext_only(l, front_import(l, a[1])); break;
    case G_apply: emit_1u(l, OP_apply, a[0].value); break;
    case G_apply_last: emit_2u(l, OP_apply_last, a[0].value, BYTES(a[1].value)); break;
    case G_call_fun: front_call_fun(f, a[0].value, reg_x(a[0].value)); break;
    case G_call_fun2: front_call_fun(f, a[1].value, a[2]); break;
    case G_make_fun2: {
        struct lambda *fn = front_lambda(l, a[0]);
        struct arg env[255];

        emit_test_heap(l, FUN_WORDS(fn->num_free), fn->num_free);
        for (uint32_t i = 0; i < fn->num_free; i++)
            env[i] = reg_x(i);
        front_make_fun(l, a[0], reg_x(0), env, fn->num_free);
        break;
    }
    case G_make_fun3:
        if (a[2].kind != ARG_LIST)
            return load_fail(l, "a make_fun3 is broken");
        front_make_fun(l, a[0], a[1], a + 3, a[2].value);
        break;

    case G_get_list:
        emit_begin(l, OP_get_list);
        for (int i = 0; i < 3; i++)
            emit_place(l, a[i]);
        emit_end(l);
        break;
    case G_get_hd: case G_get_tl:
        emit_2s(l, in->op == G_get_hd ? OP_get_hd : OP_get_tl, a[0], a[1]);
        break;
    case G_put_list:
        emit_begin(l, OP_put_list);
        for (int i = 0; i < 3; i++)
            emit_place(l, a[i]);
        emit_end(l);
        break;
    case G_put_tuple2: front_put_tuple(l, a); break;
    case G_get_tuple_element: front_get_tuple_element(f, a); break;
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
    case G_is_nonempty_list: front_is_nonempty_list(f, a); break;
    case G_is_tuple: front_is_tuple(f, a); break;
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
    case G_is_eq_exact: front_is_equal(l, false, a); break;
    case G_is_ne_exact: front_is_equal(l, true, a); break;
    case G_select_val: front_select_val(f, a, in->count); break;
    case G_select_tuple_arity: front_select_arity(f, a, in->count); break;

    case G_bif0: front_guard_bif(l, front_import(l, a[0]), 0, 0, NULL, 0, a[1]); break;
    case G_bif1: front_guard_bif(l, front_import(l, a[1]), fail, 0, a + 2, 1, a[3]); break;
    case G_bif2: front_guard_bif(l, front_import(l, a[1]), fail, 0, a + 2, 2, a[4]); break;
    case G_gc_bif1:
        front_guard_bif(l, front_import(l, a[2]), fail, a[1].value, a + 3, 1, a[4]);
        break;
    case G_gc_bif2:
        front_guard_bif(l, front_import(l, a[2]), fail, a[1].value, a + 3, 2, a[5]);
        break;
    case G_gc_bif3:
        front_guard_bif(l, front_import(l, a[2]), fail, a[1].value, a + 3, 3, a[6]);
        break;

    case G_fmove:
        if (a[1].kind == ARG_FR) {
            front_float_load(l, a);
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
    case G_fadd: front_float_pair(f, G_fadd, OP_fadd, a + 1); break;
    case G_fsub: front_float_pair(f, G_fsub, OP_fsub, a + 1); break;
    case G_fmul: front_float_pair(f, G_fmul, OP_fmul, a + 1); break;
    case G_fdiv: front_float_op(l, OP_fdiv, a + 1, 3); break;
    case G_fnegate: front_float_op(l, OP_fneg, a + 1, 2); break;

    case G_catch: case G_try: emit_catch(l, a[0], label_of(a[1])); break;
    case G_catch_end: with_y(l, OP_catch_end, a[0]); break;
    case G_try_end: with_y(l, OP_catch_none, a[0]); break;
    case G_try_case: with_y(l, OP_try_case, a[0]); break;
    case G_try_case_end: emit_1s(l, OP_try_case_end, a[0]); break;
    case G_badmatch: emit_1s(l, OP_badmatch, a[0]); break;
    case G_case_end: emit_1s(l, OP_case_end, a[0]); break;
    case G_badrecord: emit_1s(l, OP_badrecord, a[0]); break;
    case G_if_end: emit0(l, OP_if_end); break;
    case G_raise: emit_2s(l, OP_raise, a[0], a[1]); break;
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
        emit_1s(l, OP_recv_marker_reserve, a[0]);
        break;
    case G_recv_marker_bind: emit_2s(l, OP_recv_marker_bind, a[0], a[1]); break;
    case G_recv_marker_clear: emit_1s(l, OP_recv_marker_clear, a[0]); break;
    case G_recv_marker_use: emit_1s(l, OP_recv_marker_use, a[0]); break;

    case G_put_map_assoc: front_put_map(l, OP_put_map_assoc, a); break;
    case G_put_map_exact: front_put_map(l, OP_put_map_exact, a); break;
    case G_get_map_elements: front_get_map_elements(l, a); break;
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
        emit_live(l, a[2].value);
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
        emit_live(l, a[1].value);
        emit_place(l, a[2]);
        emit_place(l, a[3]);
        emit_end(l);
        break;
    case G_bs_get_position: emit_2s(l, OP_bs_get_position, a[0], a[1]); break;
    case G_bs_set_position: emit_2s(l, OP_bs_set_position, a[0], a[1]); break;
    case G_bs_get_tail:
        emit_begin(l, OP_bs_get_tail);
        emit_live(l, a[2].value);
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
        front_bs_test_unit(l, a[0], a[1], a[2].value);
        break;
    case G_bs_get_integer2: front_bs_get_integer(l, a); break;
    case G_bs_get_float2: front_bs_get_float(l, a); break;
    case G_bs_get_binary2: front_bs_get_binary(l, a); break;
    case G_bs_skip_bits2: front_bs_skip(l, a); break;
    case G_bs_match_string: front_bs_match_string(l, a); break;
    case G_bs_get_utf8: emit_test2(l, OP_bs_get_utf8, fail, a[1], a[4]); break;
    case G_bs_get_utf16: front_bs_utf(l, OP_bs_get_utf, a, 16, a[3], &a[4]); break;
    case G_bs_get_utf32: front_bs_utf(l, OP_bs_get_utf, a, 32, a[3], &a[4]); break;
    case G_bs_skip_utf8: front_bs_utf(l, OP_bs_skip_utf, a, 8, a[3], NULL); break;
    case G_bs_skip_utf16: front_bs_utf(l, OP_bs_skip_utf, a, 16, a[3], NULL); break;
    case G_bs_skip_utf32: front_bs_utf(l, OP_bs_skip_utf, a, 32, a[3], NULL); break;

    case G_bs_create_bin: front_bs_create(l, a); break;
    case G_bs_init2: front_bs_init(l, a, 8); break;
    case G_bs_init_bits: front_bs_init(l, a, 1); break;
    case G_bs_append: front_bs_append(l, a); break;
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
    case G_bs_put_integer: front_bs_put(l, BS_PUT_INTEGER, a); break;
    case G_bs_put_float: front_bs_put(l, BS_PUT_FLOAT, a); break;
    case G_bs_put_binary: front_bs_put(l, BS_PUT_BINARY, a); break;
    case G_bs_put_utf8: front_bs_put_utf(l, BS_PUT_UTF8, a); break;
    case G_bs_put_utf16: front_bs_put_utf(l, BS_PUT_UTF16, a); break;
    case G_bs_put_utf32: front_bs_put_utf(l, BS_PUT_UTF32, a); break;
    case G_bs_put_string: front_bs_put_string(l, a); break;
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
    emit_jump(l, fn->label);
}

/* Native code can't always be patched; a module that calls load_nif says so. */
static void want_nif_slots(struct loader *l)
{
    uint32_t functions = 0;
    bool wanted = false;

    for (uint32_t i = 0; i < l->nimports; i++)
        wanted |= l->imports[i].m == am_erlang && l->imports[i].f == am_load_nif;
    for (uint32_t i = 0; wanted && i < l->ninstrs; i++)
        functions += l->instrs[i].op == G_func_info;
    if (wanted)
        l->code->nif_slots = vm_zalloc(ALLOC_CODE, (functions + 1) * sizeof(void *));
}

bool front_translate(struct loader *l)
{
    struct front f = {.l = l};
    struct code *c = l->code;
    uint32_t *prologues;

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
