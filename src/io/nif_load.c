/*
 * nif_load.c - NIF libraries: load_nif/2, and how long a library stays.
 *
 * A library is held by the code it was loaded for, by each of its resource types
 * that has callbacks, and by each call of it that enif_schedule_nif put off. When
 * the last of these is gone it is told (unload) and closed. Nothing of it is on
 * the C stack then: code goes in a BIF, the rest between slices.
 */
#include <dlfcn.h>

#include "io/nif.h"

#include "bif/bif.h"
#include "bif/info.h"
#include "op/code.h"
#include "op/codemem.h"
#include "vm/purge.h"

/* Libraries that are linked in. Each of OTP's sources defines its init. */
ErlNifEntry *zlib_nif_init(void);
static const struct {
    const char *module;
    ErlNifEntry *(*init)(void);
} linked[] = {
    {"zlib", zlib_nif_init},
};

/*
 * Life.
 */
void nif_library_get(struct nif_library *lib)
{
    __atomic_fetch_add(&lib->refs, 1, __ATOMIC_RELAXED);
}

void nif_library_put(struct nif_library *lib)
{
    ErlNifEnv env;

    if (__atomic_sub_fetch(&lib->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (lib->entry.unload) {
        nif_env_init(&env, NULL, lib);
        lib->entry.unload(&env, lib->priv);
        nif_env_end(&env);
    }
    if (lib->handle)
        dlclose(lib->handle);
    vm_free(lib->funcs);
    vm_free(lib);
}

void nif_unload(void *library)
{
    nif_types_orphan(library);
    nif_library_put(library);
}

/*
 * Loading.
 */
/* As enif_snprintf: %T for terms. */
static term load_error(struct proc *p, term tag, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    term t, *hp;

    va_start(ap, fmt);
    enif_vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t = filename_chars(p, text, strlen(text));
    hp = heap_alloc(p, 6);
    t = put_tuple2(&hp, tag, t);
    return put_tuple2(&hp, am_error, t);
}

/*
 * The code at pc that calls load_nif/2, which may still be in its on_load; and what
 * it takes the place of. NULL: it was not called from a module's code.
 */
static struct code *caller(code_ptr pc, struct code **previous)
{
    struct code *c = code_find(pc);
    struct module *m = c ? module_find(c->module) : NULL;

    *previous = NULL;
    if (!m)
        return NULL;
    *previous = c == m->on_load_pending && m->curr ? m->curr : m->old;
    return c;
}

static struct func *func_of(const struct code *c, const ErlNifFunc *f)
{
    term name = atom_find((const uint8_t *)f->name, strlen(f->name));

    for (uint32_t i = 0; i < c->nfuncs; i++)
        if (c->funcs[i].f == name && c->funcs[i].arity == f->arity)
            return &c->funcs[i];
    return NULL;
}

/* Functions as they were before there were dirty ones, version 2.7. */
struct func_v1 {
    const char *name;
    unsigned arity;
    ERL_NIF_TERM (*fptr)(ErlNifEnv *, int, const ERL_NIF_TERM[]);
};

static bool at_least(const ErlNifEntry *e, int minor)
{
    return e->major > 2 || (e->major == 2 && e->minor >= minor);
}

/* What a library of an older minor version has of an entry and its functions. */
static void entry_copy(struct nif_library *lib, const ErlNifEntry *from)
{
    size_t n = at_least(from, 14)   ? sizeof *from
               : at_least(from, 12) ? offsetof(ErlNifEntry, min_erts)
               : at_least(from, 7)  ? offsetof(ErlNifEntry, sizeof_ErlNifResourceTypeInit)
               : at_least(from, 1)  ? offsetof(ErlNifEntry, options)
                                    : offsetof(ErlNifEntry, vm_variant);

    memcpy(&lib->entry, from, n);
    lib->funcs = vm_zalloc(ALLOC_CODE,
                           (size_t)(from->num_of_funcs + 1) * sizeof *lib->funcs);
    for (int i = 0; i < from->num_of_funcs; i++) {
        const struct func_v1 *v1 = (const struct func_v1 *)from->funcs + i;
        struct nif_func *f = &lib->funcs[i];

        f->f = at_least(from, 7) ? from->funcs[i]
                                 : (ErlNifFunc){v1->name, v1->arity, v1->fptr, 0};
        f->lib = lib;
    }
}

static term check_entry(struct proc *p, const ErlNifEntry *e, term module)
{

    if (!e)
        return load_error(p, am_bad_lib, "Library init-call unsuccessful");
    if (e->major > ERL_NIF_MAJOR_VERSION || (e->major == ERL_NIF_MAJOR_VERSION &&
                                             e->minor > ERL_NIF_MINOR_VERSION))
        return load_error(p, am_bad_lib,
                          "That '%T' NIF library needs %s or newer. Either try to"
                          " recompile the NIF lib or use a newer erts runtime.",
                          module, e->min_erts);
    if (e->major < ERL_NIF_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD ||
        (e->major == 2 && e->minor == 5))
        return load_error(p, am_bad_lib,
                          "That old NIF library (%d.%d) is not compatible with this "
                          "erts runtime (%d.%d). Try recompile the NIF lib.",
                          e->major, e->minor, ERL_NIF_MAJOR_VERSION,
                          ERL_NIF_MINOR_VERSION);
    if (at_least(e, 1) && strcmp(e->vm_variant, ERL_NIF_VM_VARIANT) != 0)
        return load_error(p, am_bad_lib,
                          "Library (%s) not compiled for this vm variant (%s).",
                          e->vm_variant, ERL_NIF_VM_VARIANT);
    if (atom_find((const uint8_t *)e->name, strlen(e->name)) != module)
        return load_error(p, am_bad_lib,
                          "Library module name '%s' does not match calling module '%T'",
                          e->name, module);
    return am_ok;
}

/* Has the code a function of its own for each of the library's? */
static term check_funcs(struct proc *p, const struct code *c, const struct nif_library *lib)
{
    for (int i = 0; i < lib->entry.num_of_funcs; i++) {
        const ErlNifFunc *f = &lib->funcs[i].f;
        const struct func *func = func_of(c, f);

        if (!func)
            return load_error(p, am_bad_lib, "Function not found %s:%s/%u",
                              lib->entry.name, f->name, f->arity);
        if (c->declares_nifs && !func->nif)
            return load_error(p, am_bad_lib, "Function not declared as nif %s:%s/%u",
                              lib->entry.name, f->name, f->arity);
        if (f->flags != 0 && f->flags != ERL_NIF_DIRTY_JOB_IO_BOUND &&
            f->flags != ERL_NIF_DIRTY_JOB_CPU_BOUND)
            return load_error(p, am_bad_lib, "Illegal flags field value %d for NIF %s:%s/%u",
                              (int)f->flags, lib->entry.name, f->name, f->arity);
        for (int j = 0; j < i; j++)
            if (func_of(c, &lib->funcs[j].f) == func)
                return load_error(p, am_bad_lib, "Duplicate NIF entry for %s:%s/%u",
                                  lib->entry.name, f->name, f->arity);
    }
    if (code_native && !c->nif_slots && !codemem_writable(c->base))
        return load_error(p, am_load_failed, "The code of this module was finished when the "
                          "image was built.");
    return am_ok;
}

/* load or upgrade. */
static term enter(struct proc *p, struct nif_library *lib, struct nif_library *old,
                  term info)
{
    void *old_priv = old ? old->priv : NULL;
    ErlNifEnv env;
    int veto = 0;

    if (old && !lib->entry.upgrade)
        return load_error(p, am_upgrade, "Upgrade not supported by this NIF library.");
    nif_env_init(&env, p, lib);
    vm.nifs->loading = true;
    if (old)
        veto = lib->entry.upgrade(&env, &lib->priv, &old->priv, info);
    else if (lib->entry.load)
        veto = lib->entry.load(&env, &lib->priv, info);
    nif_env_end(&env);
    vm.nifs->loading = false;
    nif_types_commit(veto == 0);
    if (!veto)
        return am_ok;
    if (old)
        old->priv = old_priv;
    return load_error(p, old ? am_upgrade : am_load, "Library %s-call unsuccessful (%d).",
                      old ? "upgrade" : "load", veto);
}

/* Enters the library, then lets the functions' entries lead to it. */
static term install(struct proc *p, struct code *c, struct code *previous,
                    void *handle, const ErlNifEntry *from, term info)
{
    struct nif_library *lib = vm_zalloc(ALLOC_CODE, sizeof *lib);
    term result;

    entry_copy(lib, from);
    lib->handle = handle;
    lib->module = c->module;
    lib->refs = 1;
    result = check_funcs(p, c, lib);
    if (result == am_ok)
        result = enter(p, lib, previous ? previous->nif_library : NULL, info);
    if (result != am_ok) {
        vm_free(lib->funcs);
        vm_free(lib);
        return result;
    }
    for (int i = 0; i < lib->entry.num_of_funcs; i++) {
        code_patch_nif(c, func_of(c, &lib->funcs[i].f), nif_entered);
        c->nifs->data = &lib->funcs[i];
    }
    c->nif_library = lib;
    return am_ok;
}

/* Has the module functions in our own table? They are there since its load. */
static bool has_rows(const char *module)
{
    for (size_t i = 0; i < bif_count; i++)
        if (bif_table[i].kind == BIF_NIF && strcmp(bif_table[i].m, module) == 0)
            return true;
    return false;
}

static term load_file(struct proc *p, struct code *c, struct code *previous,
                      const char *path, term info)
{
    char *file = vm_alloc(ALLOC_SYSTEM, strlen(path) + 4);
    const ErlNifEntry *(*init)(void);
    const ErlNifEntry *e;
    void *handle;
    term result;

    strcpy(file, path);
    strcat(file, ".so");
    handle = dlopen(file, RTLD_NOW);
    vm_free(file);
    if (!handle) {
        const char *why = dlerror();

        if (strstr(why, path))
            return load_error(p, am_load_failed, "Failed to load NIF library: '%s'", why);
        return load_error(p, am_load_failed, "Failed to load NIF library %s: '%s'",
                          path, why);
    }
    init = (const ErlNifEntry *(*)(void))(uintptr_t)dlsym(handle, "nif_init");
    if (!init) {
        result = load_error(p, am_bad_lib,
                            "Failed to find library init function: '%s'", dlerror());
    } else {
        info_taint(c->module);
        e = init();
        result = check_entry(p, e, c->module);
        if (result == am_ok)
            result = install(p, c, previous, handle, e, info);
    }
    if (result != am_ok)
        dlclose(handle);
    return result;
}

/* pc: where it is called. path: NUL-terminated. */
static term load(struct proc *p, code_ptr pc, const char *path, term info)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    struct code *c, *previous;
    struct module *m;

    c = caller(pc, &previous);
    if (!c)
        return load_error(p, am_bad_lib, "load_nif/2 must be explicitly called from the NIF "
                          "module. It cannot be called through apply/3.");
    m = module_find(c->module);
    if (m && c == m->old)
        return load_error(p, am_old_code, "Calling load_nif from old module '%T' not allowed",
                          c->module);
    if (c->nif_library)
        return load_error(p, am_reload, "NIF library already loaded (reload disallowed "
                                        "since OTP 20).");
    for (size_t i = 0; i < sizeof linked / sizeof *linked; i++)
        if (atom_from_cstr(linked[i].module) == c->module)
            return install(p, c, previous, NULL, linked[i].init(), info);
    return has_rows(base) ? am_ok : load_file(p, c, previous, path, info);
}

static term load_nif(struct proc *p, code_ptr pc, term *arg)
{
    struct binbytes b;
    char *path = NULL;
    term result;
    size_t n;

    if (binary_bytes(arg[0], &b)) {
        if (!memchr(b.data, 0, b.size)) {
            path = vm_alloc(ALLOC_SYSTEM, b.size + 1);
            memcpy(path, b.data, b.size);
            path[b.size] = 0;
        }
        binary_bytes_end(&b);
    } else if (term_is_list(arg[0])) {
        path = filename_bytes(arg[0], &n);
    }
    if (!path)
        return bif_badarg(p);
    result = load(p, pc, path, arg[1]);
    vm_free(path);
    return result;
}

/* Its caller waited for leave to change code: it goes on behind the call. */
BIF(erts_internal, load_nif, 2)
{
    if (purge_kept_from(p))
        return bif_yield(p);
    return load_nif(p, (code_ptr)(uintptr_t)*p->heap.stop - 1, arg);
}

BIF(erlang, load_nif, 2)
{
    if (purge_kept_from(p))
        return bif_trap(p, EXP("erts_internal", "load_nif", 2), arg, 2);
    return load_nif(p, vm.sched->self, arg);
}
