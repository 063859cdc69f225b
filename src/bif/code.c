/*
 * code.c - loading, deleting and purging modules; what modules tell.
 */
#include "bif/bif.h"
#include "bif/info.h"
#include "op/code.h"
#include "vm/ready.h"
#include "vm/binary.h"
#include "vm/log.h"
#include "vm/ops.h"
#include "vm/print.h"
#include "vm/purge.h"
#include "vm/slice.h"
#include "vm/task.h"

/* Code that is prepared but not loaded: what a magic reference holds. */
struct prepared {
    struct resource res;
    struct code *code;              /* NULL once it is loaded */
};

static const char prepared_type;

static void prepared_free(struct resource *r)
{
    struct prepared *prep = (struct prepared *)r;

    if (prep->code)
        code_free(prep->code);
    vm_free(prep);
}

static struct prepared *prepared_of(term t)
{
    struct prepared *prep = (struct prepared *)magic_resource(t, &prepared_type);

    return prep && prep->code ? prep : NULL;
}

/*
 * erts_internal:prepare_loading(Module, Beam) -> magic reference or
 * {error, badfile}; why is logged, as in OTP.
 */
BIF(erts_internal, prepare_loading, 2)
{
    struct binbytes beam;
    struct code *c;
    char why[256];

    if (!term_is_atom(arg[0]) || !binary_bytes(arg[1], &beam))
        return bif_badarg(p);
    c = ready_take(beam.data, beam.size);
    if (!c)
        c = code_prepare(beam.data, beam.size, why);
    binary_bytes_end(&beam);
    if (c && code_module_name(c) != arg[0]) {
        struct text t;

        text_init(&t);
        text_printf(&t, "module name in object code is ");
        text_term(&t, code_module_name(c), sizeof why - 64);
        size_t n = t.n < sizeof why - 1 ? t.n : sizeof why - 1;
        memcpy(why, t.s, n);
        why[n] = 0;
        text_fini(&t);
        code_free(c);
        c = NULL;
    }
    if (!c) {
        struct text t;

        text_init(&t);
        text_printf(&t, "Loading of ");
        text_term(&t, arg[0], 0);
        text_printf(&t, " failed: %s\n", why);
        log_text(am_error, p->group_leader, t.s, t.n);
        text_fini(&t);
        term *hp = heap_alloc(p, 3);
        return put_tuple2(&hp, am_error, am_badfile);
    }

    struct prepared *prep = vm_alloc(ALLOC_CODE, sizeof *prep);
    prep->res = (struct resource){ .refc = 1, .free = prepared_free,
                                   .type = &prepared_type };
    prep->code = c;
    struct dest d = { .htop = heap_alloc(p, MAGIC_WORDS), .off = &p->heap.off };
    return magic_put(&d, &prep->res);
}

BIF(erlang, has_prepared_code_on_load, 1)
{
    struct prepared *prep = prepared_of(arg[0]);

    if (!prep)
        return bif_badarg(p);
    return bool_make(prep->code->on_load != NULL);
}

/* {Tag, Modules} of those i for which bad(i) was noted. */
static term exceptions(struct proc *p, term tag, const term *modules, size_t n)
{
    term list = TERM_NIL;
    term *hp = heap_alloc(p, 3 + n * CONS_WORDS);

    for (size_t i = 0; i < n; i++)
        list = put_cons(&hp, modules[i], list);
    return put_tuple2(&hp, tag, list);
}

/*
 * As in OTP, what is runnable gets to run before code changes: who was just
 * spawned is in the code of its time. False: p is to yield; true when called again.
 */
static bool others_ran(struct proc *p)
{
    if (purge_kept_from(p))
        return false;
    p->flags ^= PF_CODE_CHANGE;
    if (!(p->flags & PF_CODE_CHANGE))
        return true;
    sched_let_others(p);
    return false;
}

/*
 * erlang:finish_loading([Prepared]) -> ok, or {not_purged | duplicated |
 * on_load, Modules}. All or nothing: several modules become current at once.
 */
BIF(erlang, finish_loading, 1)
{
    size_t n = 0, nbad = 0;
    bool on_load = false;
    struct prepared **preps;
    term *bad, result = am_ok, l;

    for (l = arg[0]; term_is_cons(l); l = cons_tail(l), n++) {
        struct prepared *prep = prepared_of(cons_head(l));

        if (!prep)
            return bif_badarg(p);
        on_load |= prep->code->on_load != NULL;
    }
    if (!term_is_nil(l))
        return bif_badarg(p);
    /* Modules with an on_load function can't become current at once. */
    if (n > 1 && on_load)
        return bif_error(p, am_system_limit);
    if (n == 0)
        return am_ok;
    if (!others_ran(p))
        return bif_yield(p);

    preps = vm_alloc(ALLOC_CODE, n * sizeof *preps);
    bad = vm_alloc(ALLOC_CODE, n * sizeof *bad);
    n = 0;
    for (l = arg[0]; term_is_cons(l); l = cons_tail(l)) {
        preps[n] = prepared_of(cons_head(l));
        module_put(preps[n]->code->module)->seen = false;
        n++;
    }
    for (size_t i = 0; i < n; i++) {
        struct module *m = module_find(preps[i]->code->module);

        if (m->seen)
            bad[nbad++] = m->name;
        m->seen = true;
    }
    if (nbad) {
        result = exceptions(p, am_duplicated, bad, nbad);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        struct module *m = module_find(preps[i]->code->module);

        if (m->curr && m->old)
            bad[nbad++] = m->name;
    }
    if (nbad) {
        result = exceptions(p, am_not_purged, bad, nbad);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        struct code *c = preps[i]->code;

        preps[i]->code = NULL;
        if (c->on_load) {
            bad[nbad++] = c->module;
            code_install_pending(c);
        } else {
            code_install(c);
        }
    }
    if (nbad)
        result = exceptions(p, am_on_load, bad, nbad);
out:
    vm_free(bad);
    vm_free(preps);
    return result;
}

/* Go on in the on_load function of the module's pending code. */
BIF(erlang, call_on_load_function, 1)
{
    struct module *m = term_is_atom(arg[0]) ? module_find(arg[0]) : NULL;
    struct export *e = &vm.purge->on_load;
    struct func *f;

    if (!m || !m->on_load_pending)
        return bif_badarg(p);
    struct code *c = m->on_load_pending;
    f = code_func(c, c->on_load);
    e->addr = e->entry = c->on_load;
    e->m = c->module;
    e->f = f->f;
    e->arity = 0;
    return bif_trap(p, e, NULL, 0);
}

/* The on_load function returned: make its module current, or give up. */
BIF(erlang, finish_after_on_load, 2)
{
    struct module *m = term_is_atom(arg[0]) ? module_find(arg[0]) : NULL;

    if (!term_is_bool(arg[1]) || !m || !m->on_load_pending)
        return bif_badarg(p);
    if (arg[1] == am_true) {
        struct code *c = m->on_load_pending;

        m->on_load_pending = NULL;
        c->on_load = NULL;
        code_install(c);
    }
    /* Else erts_code_purger purges what is pending. */
    return am_true;
}

BIF(erlang, delete_module, 1)
{
    struct module *m;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    m = module_find(arg[0]);
    if (!m)
        return am_undefined;
    if (!others_ran(p))
        return bif_yield(p);
    if (m->old) {
        struct text t;

        text_init(&t);
        text_printf(&t, "Module ");
        text_term(&t, arg[0], 0);
        text_printf(&t, " must be purged before deleting\n");
        log_text(am_error, p->group_leader, t.s, t.n);
        text_fini(&t);
        return bif_badarg(p);
    }
    if (m->curr)
        module_retire(m);
    return am_true;
}

BIF(erlang, module_loaded, 1)
{
    struct module *m;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    m = module_find(arg[0]);
    return bool_make(m && m->curr);
}

BIF(erlang, check_old_code, 1)
{
    struct module *m;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    m = module_find(arg[0]);
    return bool_make(m && m->old);
}

BIF(erlang, loaded, 0)
{
    term list = TERM_NIL;
    struct module *m;

    for (size_t i = 0; (m = module_next(&i));) {
        if (m->curr || m->old) {
            term *hp = heap_alloc(p, CONS_WORDS);

            list = put_cons(&hp, m->name, list);
        }
    }
    return list;
}

/* The modules that were there before the first process, in that order. */
BIF(erlang, pre_loaded, 0)
{
    term list = TERM_NIL, *hp;
    struct module *m;
    size_t n = 0;

    for (size_t i = 0; (m = module_next(&i));)
        n += m->preloaded;
    hp = heap_alloc(p, n * CONS_WORDS);
    for (size_t i = 0; (m = module_next(&i));) {
        if (m->preloaded)
            list = put_cons(&hp, m->name, list);
    }
    return list;
}

BIF(erlang, function_exported, 3)
{
    if (!term_is_atom(arg[0]) || !term_is_atom(arg[1]) || !term_is_small(arg[2]))
        return bif_badarg(p);
    int64_t arity = small_value(arg[2]);
    if (arity < 0 || arity > 255)
        return am_false;
    if (arg[0] == am_erlang && arg[1] == am_apply && (arity == 2 || arity == 3))
        return am_true;
    return bool_make(export_callable(arg[0], arg[1], (uint32_t)arity) != NULL);
}

BIF(erlang, is_builtin, 3)
{
    if (!term_is_atom(arg[0]) || !term_is_atom(arg[1]) || !term_is_small(arg[2]))
        return bif_badarg(p);
    int64_t arity = small_value(arg[2]);
    if (arity < 0 || arity > 255)
        return am_false;
    /* Instructions rather than BIFs. */
    if (arg[0] == am_erlang &&
        ((arg[1] == am_apply && (arity == 2 || arity == 3)) ||
         (arg[1] == am_yield && arity == 0)))
        return am_true;
    struct export *e = export_find(arg[0], arg[1], (uint32_t)arity);
    return bool_make(e && e->flags & EXPORT_BIF && !info_own_bif(e));
}

/* Purging */

static term purge_prepare(struct proc *p, term module, bool on_load)
{
    struct purge *u = vm.purge;
    struct module *m;

    if (u->module != THE_NON_VALUE)
        return bif_badarg(p);
    m = module_find(module);
    if (!m)
        return am_false;
    if (on_load) {
        if (!m->on_load_pending)
            return am_false;
        u->saved_old = m->old;
        m->old = m->on_load_pending;
        m->on_load_pending = NULL;
    }
    if (!m->old)
        return am_false;
    u->module = module;
    /* Calls of funs arrive in pending_purge_lambda until this is decided. */
    for (uint32_t i = 0; i < m->old->nfuns; i++) {
        struct fun_entry *f = m->old->funs[i];

        if (f->addr == m->old->fun_addrs[i]) {
            f->unloaded = EXP("erts_code_purger", "pending_purge_lambda", 3);
            fun_stub_init(f);
        }
    }
    return am_true;
}

/* Funs lead to their code again, or to error_handler when it is gone. */
static void purge_release_funs(struct code *old, bool keep)
{
    for (uint32_t i = 0; i < old->nfuns; i++) {
        struct fun_entry *f = old->funs[i];

        if (!f->unloaded)
            continue;
        f->unloaded = NULL;
        if (keep)
            fun_lead_to(f, old->fun_addrs[i]);
        else
            fun_stub_init(f);
    }
}

static term purge_complete(struct module *m)
{
    struct purge *u = vm.purge;
    struct code *old = m->old;
    struct literal_area *literals;

    if (!old) {
        purge_end();
        return am_false;
    }
    purge_release_funs(old, false);
    purge_end();
    m->old = u->saved_old;
    u->saved_old = NULL;
    literals = old->literals;
    old->literals = NULL;
    code_free(old);
    if (literals)
        leaving_add(literals);
    return am_true;
}

BIF(erts_internal, purge_module, 2)
{
    struct purge *u = vm.purge;
    struct module *m;

    if (p->id != u->purger)
        return bif_error(p, am_notsup);
    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    if (arg[1] == am_prepare || arg[1] == am_prepare_on_load)
        return purge_prepare(p, arg[0], arg[1] == am_prepare_on_load);
    if (u->module != arg[0])
        return bif_badarg(p);
    m = module_find(arg[0]);
    if (arg[1] == am_abort) {
        purge_release_funs(m->old, true);
        purge_end();
        return am_false;
    }
    if (arg[1] == am_complete)
        return purge_complete(m);
    return bif_badarg(p);
}

/*
 * A call of a fun whose code is being purged. It waits for the purge to end;
 * then the fun has its code again, or error_handler looks for some.
 */
BIF(erts_code_purger, pending_purge_lambda, 3)
{
    term args[2] = { arg[1], arg[2] };

    if (vm.purge->module == arg[0]) {
        purge_wait(p);
        return bif_yield(p);
    }
    return bif_trap(p, EXP("erlang", "apply", 2), args, 2);
}

/* Literal areas */

BIF(erts_literal_area_collector, release_area_switch, 0)
{
    if (p->id != vm.purge->collector)
        return bif_error(p, am_notsup);
    return bool_make(leaving_switch(p));
}

BIF(erts_literal_area_collector, send_copy_request, 3)
{
    struct purge *u = vm.purge;
    struct task_request r = {.kind = TASK_LITERALS, .requester = p->id};
    struct proc *to;
    struct dest d;
    term id;

    if (p->id != u->collector)
        return bif_error(p, am_notsup);
    if (!term_is_local_pid(arg[0]) ||
        (arg[2] != am_init && arg[2] != am_check_gc && arg[2] != am_need_gc))
        return bif_badarg(p);
    to = proc_find_any(arg[0]);
    /* What dies does it here and now. */
    if (to && to->stack && !proc_find(arg[0]))
        return slice_wait(p, to);
    r.frag = mbuf_new(term_size(arg[1]) + 4 + 4);
    d = (struct dest){r.frag->words, &r.frag->off};
    id = term_copy(&d, arg[1]);
    id = put_tuple3(&d.htop, id, arg[2], arg[0]);
    r.reply = put_tuple3(&d.htop, am_copy_literals, id, am_ok);
    r.result = tuple_at(r.reply, 3);
    r.frag->used = (size_t)(d.htop - r.frag->words);
    if (to && u->leaving.n > 0)
        task_add(to, p->prio, &r);
    else
        msg_send_mbuf(p, r.frag, r.reply);
    return am_ok;
}

/* What .beam files hold */

static bool chunk_id(term list, char id[4])
{
    for (int i = 0; i < 4; i++, list = cons_tail(list)) {
        if (!term_is_cons(list) || !term_is_small(cons_head(list)))
            return false;
        int64_t c = small_value(cons_head(list));
        if (c < 0 || c > 255)
            return false;
        id[i] = (char)c;
    }
    return term_is_nil(list);
}

BIF(erts_internal, beamfile_chunk, 2)
{
    struct binbytes beam;
    const uint8_t *chunk;
    size_t size;
    char id[4];
    term result = am_undefined;

    if (!chunk_id(arg[1], id) || !binary_bytes(arg[0], &beam))
        return bif_badarg(p);
    chunk = beam_chunk(beam.data, beam.size, id, &size);
    if (chunk && size > 0) {
        if (beam.copy)
            result = binary_from(p, chunk, size);
        else
            result = binary_sub(p, arg[0], (uint64_t)(chunk - beam.data) * 8,
                                (uint64_t)size * 8);
    }
    binary_bytes_end(&beam);
    return result == THE_NON_VALUE ? bif_error(p, am_system_limit) : result;
}

BIF(erts_internal, beamfile_module_md5, 1)
{
    struct binbytes beam;
    uint8_t md5[16];
    bool ok;

    if (!binary_bytes(arg[0], &beam))
        return bif_badarg(p);
    ok = beam_md5(beam.data, beam.size, md5);
    binary_bytes_end(&beam);
    return ok ? binary_from(p, md5, sizeof md5) : am_undefined;
}

/* module_info */

static term name_arity(struct proc *p, term f, uint32_t arity, term list)
{
    term *hp = heap_alloc(p, 3 + CONS_WORDS);
    term pair = put_tuple2(&hp, f, small_make(arity));

    return put_cons(&hp, pair, list);
}

static term module_exports(struct proc *p, term module)
{
    struct export *e;
    term list = TERM_NIL;

    for (size_t i = 0; (e = export_next(&i));) {
        if (e->m == module && (e->entry || e->bif))
            list = name_arity(p, e->f, e->arity, list);
    }
    return list;
}

static term module_functions(struct proc *p, const struct code *c)
{
    term list = TERM_NIL;

    for (uint32_t i = c->nfuncs; i > 0; i--)
        list = name_arity(p, c->funcs[i - 1].f, c->funcs[i - 1].arity, list);
    return list;
}

static term module_nifs(struct proc *p, const struct code *c)
{
    term list = TERM_NIL;

    for (uint32_t i = c->nfuncs; i > 0; i--) {
        const struct func *f = &c->funcs[i - 1];

        if (bif_nif(c->module, f->f, f->arity))
            list = name_arity(p, f->f, f->arity, list);
    }
    return list;
}

static term module_item(struct proc *p, const struct code *c, term item)
{
    switch (item) {
    case am_module:
        return c->module;
    case am_md5:
        return binary_from(p, c->md5, sizeof c->md5);
    case am_exports:
        return module_exports(p, c->module);
    case am_functions:
        return module_functions(p, c);
    case am_nifs:
        return module_nifs(p, c);
    case am_attributes:
        return c->attributes;
    case am_compile:
        return c->compile;
    case am_native_addresses:
        return TERM_NIL;
    case am_native:
        return am_false;
    default:
        return THE_NON_VALUE;
    }
}

static const struct code *current_code(term module)
{
    struct module *m = term_is_atom(module) ? module_find(module) : NULL;

    return m ? m->curr : NULL;
}

BIF(erlang, get_module_info, 1)
{
    const term items[] = { am_md5, am_compile, am_attributes, am_exports, am_module };
    const struct code *c = current_code(arg[0]);
    term list = TERM_NIL;

    if (!c)
        return bif_badarg(p);
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        term value = module_item(p, c, items[i]);
        term *hp = heap_alloc(p, 3 + CONS_WORDS);
        term pair = put_tuple2(&hp, items[i], value);

        list = put_cons(&hp, pair, list);
    }
    return list;
}

BIF(erlang, get_module_info, 2)
{
    const struct code *c = current_code(arg[0]);
    term value = c ? module_item(p, c, arg[1]) : THE_NON_VALUE;

    return value == THE_NON_VALUE ? bif_badarg(p) : value;
}
