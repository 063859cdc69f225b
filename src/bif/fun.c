/*
 * fun.c - making funs and asking what they are.
 */
#include "bif/bif.h"
#include "vm/binary.h"
#include "vm/ets_table.h"
#include "vm/vm.h"
#include "vm/print.h"

#define MAX_ARITY 255

/*
 * Funs hold no count of their entry (ARCHITECTURE.md): who asks for it has all
 * memory walked for them, which only tests and debuggers do.
 */
static size_t funs_in(const struct fun_entry *f, const term *w, const term *end)
{
    size_t n = 0;

    while (w < end) {
        if (!term_is_header(*w)) {
            w++;
            continue;
        }
        switch (header_type(*w)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            w++;
            break;
        case BOX_FUN:
            n += fun_ptr(boxed_make(w))->entry == f;
            w += 2;
            break;
        default:
            w += 1 + header_words(*w);
        }
    }
    return n;
}

static size_t funs_of_proc(const struct fun_entry *f, const struct proc *p)
{
    const struct heap *h = &p->heap;
    size_t n = funs_in(f, h->heap, h->htop);

    if (h->old_heap)
        n += funs_in(f, h->old_heap, h->old_htop);
    for (const struct mbuf *m = h->mbuf; m; m = m->next)
        n += funs_in(f, m->words, m->words + m->used);
    for (const struct msg *q = p->msgq.first; q; q = q->next) {
        for (const struct mbuf *m = q->frag; m; m = m->next)
            n += funs_in(f, m->words, m->words + m->used);
    }
    return n;
}

static size_t funs_of_obj(const struct fun_entry *f, const struct ets_obj *o)
{
    return funs_in(f, o->tuple, o->tuple + o->words);
}

static size_t funs_of_table(const struct fun_entry *f, struct ets_table *t)
{
    size_t n = 0;

    if (t->deleted)
        return 0;
    if (ets_is_tree(t)) {
        struct ets_iter it;

        for (ets_iter_first(t, &it); ets_iter_get(&it); ets_iter_next(&it))
            n += funs_of_obj(f, ets_iter_get(&it));
        return n;
    }
    for (size_t i = 0; i < t->hash.buckets; i++) {
        for (struct ets_obj *o = ets_hash_bucket(t, i); o; o = o->next)
            n += o->dead ? 0 : funs_of_obj(f, o);
    }
    return n;
}

/* One for the code, one for each fun there is. */
static size_t fun_refc(const struct fun_entry *f)
{
    size_t n = 1, i = 0;

    /* Those put aside have a heap that can't be read: what they hold is missing. */
    for (struct proc *p; (p = proc_next(&i));)
        n += p->stack ? 0 : funs_of_proc(f, p);
    for (struct ets_table *t = vm.ets->all; t; t = t->all_next)
        n += funs_of_table(f, t);
    return n;
}

/* The name is known only while the fun's code is loaded. */
static term fun_name(const struct fun_entry *f)
{
    return code_find(f->addr) ? f->name : TERM_NIL;
}

BIF(erlang, make_fun, 3)
{
    if (!term_is_atom(arg[0]) || !term_is_atom(arg[1]) || !term_is_small(arg[2]))
        return bif_badarg(p);
    int64_t arity = small_value(arg[2]);
    if (arity < 0 || arity > MAX_ARITY)
        return bif_badarg(p);
    term *hp = heap_alloc(p, EXPORT_FUN_WORDS);
    return export_fun_put(&hp, export_put(arg[0], arg[1], (uint32_t)arity));
}

static term local_info(struct proc *p, const struct fun_words *fun, term item)
{
    const struct fun_entry *f = fun->entry;
    term list = TERM_NIL, *hp;

    switch (item) {
    case am_type:
        return am_local;
    case am_pid:
        return fun->creator;
    case am_module:
        return f->module;
    case am_name:
        return fun_name(f);
    case am_arity:
        return small_make(f->arity);
    case am_index:
    case am_new_index:
        return small_make(f->index);
    case am_uniq:
        return small_make(f->old_uniq);
    case am_new_uniq:
        return binary_from(p, f->uniq, sizeof f->uniq);
    case am_refc:
        return small_make((int64_t)fun_refc(f));
    case am_env:
        hp = heap_alloc(p, f->num_free * CONS_WORDS);
        for (uint32_t i = f->num_free; i > 0; i--)
            list = put_cons(&hp, fun->env[i - 1], list);
        return list;
    default:
        return THE_NON_VALUE;
    }
}

static term external_info(const struct export *e, term item)
{
    switch (item) {
    case am_type:
        return am_external;
    case am_module:
        return e->m;
    case am_name:
        return e->f;
    case am_arity:
        return small_make(e->arity);
    case am_env:
        return TERM_NIL;
    case am_pid:
    case am_index:
    case am_new_index:
    case am_uniq:
    case am_new_uniq:
    case am_refc:
        return am_undefined;
    default:
        return THE_NON_VALUE;
    }
}

static const struct export *export_of(term fun)
{
    return ((const struct export_words *)boxed_ptr(fun))->export;
}

BIF(erlang, fun_info, 2)
{
    term value, *hp;

    if (boxed_is(arg[0], BOX_FUN))
        value = local_info(p, fun_ptr(arg[0]), arg[1]);
    else if (boxed_is(arg[0], BOX_EXPORT))
        value = external_info(export_of(arg[0]), arg[1]);
    else
        value = THE_NON_VALUE;
    if (value == THE_NON_VALUE)
        return bif_badarg(p);
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, arg[1], value);
}

BIF(erlang, fun_info_mfa, 1)
{
    if (boxed_is(arg[0], BOX_FUN)) {
        const struct fun_entry *f = fun_ptr(arg[0])->entry;
        term *hp = heap_alloc(p, 4);

        return put_tuple3(&hp, f->module, fun_name(f), small_make(f->arity));
    }
    if (boxed_is(arg[0], BOX_EXPORT)) {
        const struct export *e = export_of(arg[0]);
        term *hp = heap_alloc(p, 4);

        return put_tuple3(&hp, e->m, e->f, small_make(e->arity));
    }
    return bif_badarg(p);
}

BIF(erlang, fun_to_list, 1)
{
    struct text t;
    term list;

    if (!term_is_fun(arg[0]))
        return bif_badarg(p);
    text_init(&t);
    text_term(&t, arg[0], 0);
    list = bif_string(p, t.s, t.n);
    text_fini(&t);
    return list;
}
