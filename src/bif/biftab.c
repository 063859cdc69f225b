/*
 * biftab.c - the table of BIFs, and how they fail, trap and count their work.
 */
#include "bif/bif.h"
#include "bif/info.h"
#include "op/code.h"
#include "os/os.h"
#include "vm/print.h"
#include "vm/exc.h"

/* Order of an atom's name and a C string, as strcmp orders them. */
static int name_compare(term atom, const char *s)
{
    const struct atom *a = atom_get(atom);
    size_t n = strlen(s);
    int c = memcmp(a->name, s, a->bytes < n ? a->bytes : n);

    return c ? c : (a->bytes > n) - (a->bytes < n);
}

/* The generator sorts the table by module, name and arity. */
static const struct bif_row *row_find(term m, term f, uint32_t arity)
{
    size_t lo = 0, hi = bif_count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct bif_row *r = &bif_table[mid];
        int c = name_compare(m, r->m);

        if (!c)
            c = name_compare(f, r->f);
        if (!c)
            c = (arity > r->arity) - (arity < r->arity);
        if (!c)
            return r;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

bif_fn bif_guard(term m, term f, uint32_t arity)
{
    const struct bif_row *r = row_find(m, f, arity);

    return r && r->kind == BIF_GUARD ? r->fn : NULL;
}

bif_fn bif_nif(term m, term f, uint32_t arity)
{
    const struct bif_row *r = row_find(m, f, arity);

    return r && r->kind == BIF_NIF ? r->fn : NULL;
}

void bif_init(void)
{
    for (size_t i = 0; i < bif_count; i++) {
        const struct bif_row *r = &bif_table[i];
        term m = atom_from_cstr(r->m), f = atom_from_cstr(r->f);

        if (r->kind != BIF_NIF)
            export_set_bif(export_put(m, f, r->arity), r->fn);
    }
}

static term fail(struct proc *p, enum exc_kind kind, term reason, term cause)
{
    return exc_set(p, kind, reason, cause);
}

term bif_error(struct proc *p, term reason)
{
    return fail(p, EXC_ERROR, reason, THE_NON_VALUE);
}

term bif_error_cause(struct proc *p, term reason, term cause)
{
    return fail(p, EXC_ERROR, reason, cause);
}

term bif_exit(struct proc *p, term reason)
{
    return fail(p, EXC_EXIT, reason, THE_NON_VALUE);
}

term bif_throw(struct proc *p, term reason)
{
    return fail(p, EXC_THROW, reason, THE_NON_VALUE);
}

/* Functions that were reported as not implemented: once each is enough. */
struct info_reported {
    struct info_reported *next;
    const char *what;
};

term bif_unimplemented(struct proc *p, const char *what)
{
    struct info_reported *r;
    struct text t;

    for (r = vm.info->reported; r; r = r->next) {
        if (strcmp(r->what, what) == 0)
            return bif_error(p, am_undef);
    }
    r = vm_alloc(ALLOC_SYSTEM, sizeof *r);
    r->what = what;
    r->next = vm.info->reported;
    vm.info->reported = r;

    text_init(&t);
    text_printf(&t, "ling: %s is not implemented\n", what);
    os_console(t.s, t.n);
    text_fini(&t);
    return bif_error(p, am_undef);
}

term bif_trap(struct proc *p, struct export *e, const term *args, uint32_t arity)
{
    assert(arity == e->arity);
    if (arity)
        memmove(vm.sched->x, args, arity * sizeof *args);
    fail(p, EXC_TRAP, THE_NON_VALUE, THE_NON_VALUE);
    p->exc.trap = e;
    return THE_NON_VALUE;
}

term bif_yield(struct proc *p)
{
    return fail(p, EXC_YIELD, THE_NON_VALUE, THE_NON_VALUE);
}

term bif_wait(struct proc *p)
{
    return fail(p, EXC_WAIT, THE_NON_VALUE, THE_NON_VALUE);
}

term bif_string(struct proc *p, const char *s, size_t n)
{
    term list = TERM_NIL, *hp = heap_alloc(p, n * CONS_WORDS);

    while (n > 0)
        list = put_cons(&hp, small_make((uint8_t)s[--n]), list);
    return list;
}
