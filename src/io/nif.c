/*
 * nif.c - NIF libraries: loading, calling, environments, sending.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/nif.h"

#include "bif/bif.h"
#include "bif/info.h"
#include "op/code.h"
#include "op/codemem.h"
#include "os/os.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/sched.h"

/* Libraries that are linked in. Each of OTP's sources defines its init. */
ErlNifEntry *zlib_nif_init(void);
static const struct {
    const char *module;
    ErlNifEntry *(*init)(void);
} linked[] = {
    {"zlib", zlib_nif_init},
};

/* A message from another thread, in its own fragment; or a call. */
struct nif_mail {
    struct nif_mail *next;
    term to, message;
    struct mbuf *frag;
    void (*call)(void *arg);    /* NULL: a message */
    void *arg;
};
static pthread_mutex_t mail_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_t scheduler_thread;

void nif_init(void)
{
    vm.nifs = vm_zalloc(ALLOC_SYSTEM, sizeof *vm.nifs);
    vm.nifs->mail_last = &vm.nifs->mail;
    scheduler_thread = pthread_self();
}

bool nif_on_scheduler(void)
{
    return pthread_equal(pthread_self(), scheduler_thread);
}

/*
 * Environments.
 */
#define FRAG_WORDS 256

void nif_env_init(ErlNifEnv *env, struct proc *p, struct nif_library *lib)
{
    *env = (ErlNifEnv){.p = p, .lib = lib, .reason = THE_NON_VALUE};
}

static void env_clear(ErlNifEnv *env)
{
    while (env->temps) {
        struct nif_temp *t = env->temps;

        env->temps = t->next;
        vm_free(t);
    }
    if (env->frags)
        mbuf_free(env->frags);
    env->frags = NULL;
}

void nif_env_end(ErlNifEnv *env)
{
    env_clear(env);
    vm_free(env->next_argv);
    env->next_argv = NULL;
}

term *nif_alloc(ErlNifEnv *env, size_t words)
{
    struct mbuf *m = env->frags;
    term *at;

    if (env->p)
        return heap_alloc(env->p, words);
    if (!m || m->size - m->used < words) {
        size_t size = m ? m->size * 2 : FRAG_WORDS;

        if (size > 65536)
            size = 65536;
        m = mbuf_new(size < words ? words : size);
        m->next = env->frags;
        env->frags = m;
    }
    at = m->words + m->used;
    m->used += words;
    return at;
}

struct offheap *nif_offheap(ErlNifEnv *env)
{
    if (env->p)
        return &env->p->heap.off;
    if (!env->frags)
        env->frags = mbuf_new(FRAG_WORDS);
    return &env->frags->off;
}

void *nif_temp(ErlNifEnv *env, size_t bytes)
{
    struct nif_temp *t = vm_try_alloc(ALLOC_SYSTEM, sizeof *t + bytes);

    if (!t)
        return NULL;
    t->next = env->temps;
    env->temps = t;
    return t->bytes;
}

ErlNifEnv *enif_alloc_env(void)
{
    /* By enif_alloc: OTP's own libraries end an environment with enif_free. */
    ErlNifEnv *env = enif_alloc(sizeof *env);

    if (!env)
        vm_fatal(EXIT_NO_MEMORY, "out of memory: an environment of a NIF");
    nif_env_init(env, NULL, NULL);
    return env;
}

void enif_clear_env(ErlNifEnv *env)
{
    env_clear(env);
}

void enif_free_env(ErlNifEnv *env)
{
    nif_env_end(env);
    enif_free(env);
}

void *enif_priv_data(ErlNifEnv *env)
{
    return env->lib ? env->lib->priv : NULL;
}

ERL_NIF_TERM enif_make_copy(ErlNifEnv *env, ERL_NIF_TERM t)
{
    struct dest d;

    if (term_is_imm(t))
        return t;
    d = (struct dest){nif_alloc(env, term_size(t)), nif_offheap(env)};
    return term_copy(&d, t);
}

/*
 * Calls.
 */
struct pending {
    struct resource res;
    struct nif_library *lib;
    ERL_NIF_TERM (*f)(ErlNifEnv *, int, const ERL_NIF_TERM[]);
};
static const char pending_type;

static void pending_free(struct resource *r)
{
    vm_free(r);
}

/* Go on with a scheduled NIF in the next slice. */
static term put_off(struct proc *p, ErlNifEnv *env)
{
    struct pending *c = vm_alloc(ALLOC_SYSTEM, sizeof *c);
    size_t n = (size_t)env->next_argc;
    term args[2], *hp;

    c->res = (struct resource){.refc = 1, .free = pending_free, .type = &pending_type};
    c->lib = env->lib;
    c->f = env->next;
    args[0] = io_magic(p, &c->res);
    hp = heap_alloc(p, n + 1);
    hp[0] = TUPLE_HEADER(n);
    for (size_t i = 0; i < n; i++)
        hp[i + 1] = env->next_argv[i];
    args[1] = boxed_make(hp);
    return bif_trap(p, EXP("erts_internal", "nif_continue", 2), args, 2);
}

static term call(struct proc *p, struct nif_library *lib,
                 ERL_NIF_TERM (*f)(ErlNifEnv *, int, const ERL_NIF_TERM[]),
                 int argc, const term *argv)
{
    ErlNifEnv env;
    term result;

    nif_env_init(&env, p, lib);
    result = f(&env, argc, argv);
    if (env.failed)
        result = bif_error(p, env.reason);
    else if (env.next)
        result = put_off(p, &env);
    else if (result == THE_NON_VALUE)
        result = bif_badarg(p);
    nif_env_end(&env);
    return result;
}

const struct nif_func *nif_function(term module, const char *name, unsigned arity)
{
    struct module *m = module_find(module);
    const struct nif_library *lib = m && m->curr ? m->curr->nif_library : NULL;

    for (int i = 0; lib && i < lib->entry.num_of_funcs; i++)
        if (lib->funcs[i].f.arity == arity && strcmp(lib->funcs[i].f.name, name) == 0)
            return &lib->funcs[i];
    return NULL;
}

term nif_call_detached(const struct nif_func *f, const term *argv)
{
    ErlNifEnv env;
    term result;

    nif_env_init(&env, NULL, f->lib);
    result = f->f.fptr(&env, (int)f->f.arity, argv);
    nif_env_end(&env);
    return !env.failed && term_is_imm(result) ? result : THE_NON_VALUE;
}

BIF(erts_internal, nif_continue, 2)
{
    struct pending *c = (struct pending *)magic_resource(arg[0], &pending_type);

    if (!c || !term_is_tuple(arg[1]))
        return bif_badarg(p);
    return call(p, c->lib, c->f, (int)tuple_arity(arg[1]), tuple_at(arg[1], 1));
}

/* What stands in the place of a function. */
static term entered(struct proc *p, term *arg)
{
    const struct nif_entry *n = vm.sched->nif;
    const struct nif_func *f = n->data;

    return call(p, f->lib, f->f.fptr, (int)f->f.arity, arg);
}

ERL_NIF_TERM enif_schedule_nif(ErlNifEnv *env, const char *name, int flags,
                               ERL_NIF_TERM (*f)(ErlNifEnv *, int, const ERL_NIF_TERM[]),
                               int argc, const ERL_NIF_TERM argv[])
{
    size_t n = (size_t)argc;

    if (argc < 0 || argc > 255 || !env->p)
        return enif_make_badarg(env);
    env->next = f;
    env->next_argc = argc;
    env->next_argv = vm_alloc(ALLOC_SYSTEM, (n + 1) * sizeof(term));
    memcpy(env->next_argv, argv, n * sizeof(term));
    return TERM_NIL;
}

int enif_consume_timeslice(ErlNifEnv *env, int percent)
{
    size_t reds;

    if (percent < 1)
        percent = 1;
    if (percent > 100)
        percent = 100;
    reds = (size_t)(SLICE_REDS / 100 * percent);
    bif_spend(env->p, reds, 1);
    return env->p->reds_left <= 0;
}

ERL_NIF_TERM enif_make_badarg(ErlNifEnv *env)
{
    return enif_raise_exception(env, am_badarg);
}

ERL_NIF_TERM enif_raise_exception(ErlNifEnv *env, ERL_NIF_TERM reason)
{
    env->failed = true;
    env->reason = reason;
    return THE_NON_VALUE;
}

int enif_has_pending_exception(ErlNifEnv *env, ERL_NIF_TERM *reason)
{
    if (env->failed && reason)
        *reason = env->reason;
    return env->failed;
}

int enif_is_exception(ErlNifEnv *env, ERL_NIF_TERM t)
{
    return t == THE_NON_VALUE;
}

/*
 * Loading.
 */
static term load_error(struct proc *p, term tag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static term load_error(struct proc *p, term tag, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    term t, *hp;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    t = filename_chars(p, text, strlen(text));
    hp = heap_alloc(p, 6);
    t = put_tuple2(&hp, tag, t);
    return put_tuple2(&hp, am_error, t);
}

/* The code that a library is for: it may still be in its on_load. */
static struct code *code_of(term module, struct code **previous)
{
    struct module *m = module_find(module);

    *previous = NULL;
    if (!m)
        return NULL;
    if (m->on_load_pending) {
        *previous = m->curr ? m->curr : m->old;
        return m->on_load_pending;
    }
    *previous = m->old;
    return m->curr;
}

static struct func *func_of(struct code *c, const ErlNifFunc *f)
{
    term name = atom_find((const uint8_t *)f->name, strlen(f->name));

    for (uint32_t i = 0; i < c->nfuncs; i++)
        if (c->funcs[i].f == name && c->funcs[i].arity == f->arity)
            return &c->funcs[i];
    return NULL;
}

/* Copies what a library of an older minor version has of an entry. */
static void entry_copy(ErlNifEntry *to, const ErlNifEntry *from)
{
    size_t n = from->minor >= 14   ? sizeof *to
               : from->minor >= 12 ? offsetof(ErlNifEntry, min_erts)
               : from->minor >= 7  ? offsetof(ErlNifEntry, sizeof_ErlNifResourceTypeInit)
               : from->minor >= 1  ? offsetof(ErlNifEntry, options)
                                   : offsetof(ErlNifEntry, vm_variant);

    memset(to, 0, sizeof *to);
    memcpy(to, from, n);
}

static term check_entry(struct proc *p, const ErlNifEntry *e, const char *module)
{
    if (!e)
        return load_error(p, am_bad_lib, "Library init-call unsuccessful");
    if (e->major > ERL_NIF_MAJOR_VERSION || (e->major == ERL_NIF_MAJOR_VERSION &&
                                             e->minor > ERL_NIF_MINOR_VERSION))
        return load_error(p, am_bad_lib,
                          "That '%s' NIF library needs %s or newer. Either try to"
                          " recompile the NIF lib or use a newer erts runtime.",
                          module, e->min_erts);
    if (e->major < ERL_NIF_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD ||
        (e->major == 2 && e->minor == 5))
        return load_error(p, am_bad_lib,
                          "That old NIF library (%d.%d) is not compatible with this "
                          "erts runtime (%d.%d). Try recompile the NIF lib.",
                          e->major, e->minor, ERL_NIF_MAJOR_VERSION,
                          ERL_NIF_MINOR_VERSION);
    if (e->minor >= 1 && strcmp(e->vm_variant, ERL_NIF_VM_VARIANT) != 0)
        return load_error(p, am_bad_lib,
                          "Library (%s) not compiled for this vm variant (%s).",
                          e->vm_variant, ERL_NIF_VM_VARIANT);
    return am_ok;
}

/* load or upgrade, then let the functions' entries lead to the library. */
static term install(struct proc *p, struct code *c, struct code *previous,
                    void *handle, const ErlNifEntry *from, term info)
{
    struct nif_library *lib, *old = previous ? previous->nif_library : NULL;
    ErlNifEnv env;
    int veto = 0;

    for (int i = 0; i < from->num_of_funcs; i++) {
        const ErlNifFunc *f = &from->funcs[i];

        if (!func_of(c, f))
            return load_error(p, am_bad_lib, "Function not found %s:%s/%u",
                              from->name, f->name, f->arity);
    }
    lib = vm_zalloc(ALLOC_CODE, sizeof *lib);
    entry_copy(&lib->entry, from);
    lib->handle = handle;
    lib->module = c->module;

    nif_env_init(&env, p, lib);
    if (old && !lib->entry.upgrade) {
        vm_free(lib);
        return load_error(p, am_upgrade, "Upgrade not supported by this NIF library.");
    }
    if (code_native && !c->nif_slots && !codemem_writable(c->base)) {
        vm_free(lib);
        return load_error(p, am_load_failed, "The code of this module was finished when the "
                          "image was built.");
    }
    vm.nifs->loading = true;
    if (old)
        veto = lib->entry.upgrade(&env, &lib->priv, &old->priv, info);
    else if (lib->entry.load)
        veto = lib->entry.load(&env, &lib->priv, info);
    nif_env_end(&env);
    vm.nifs->loading = false;
    nif_types_commit(veto == 0);
    if (veto) {
        vm_free(lib);
        return load_error(p, old ? am_upgrade : am_load,
                          "Library %s-call unsuccessful (%d).",
                          old ? "upgrade" : "load", veto);
    }
    lib->funcs = vm_zalloc(ALLOC_CODE,
                           (size_t)(from->num_of_funcs + 1) * sizeof *lib->funcs);
    for (int i = 0; i < from->num_of_funcs; i++) {
        struct nif_func *f = &lib->funcs[i];

        f->f = from->funcs[i];
        f->lib = lib;
        code_patch_nif(c, func_of(c, &f->f), entered);
        c->nifs->data = f;
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

static term load_file(struct proc *p, const char *path, term info)
{
    char *file = vm_alloc(ALLOC_SYSTEM, strlen(path) + 4);
    const ErlNifEntry *(*init)(void);
    const ErlNifEntry *e;
    struct code *c, *previous;
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
        goto out;
    }
    e = init();
    result = check_entry(p, e, e ? e->name : "");
    if (result != am_ok)
        goto out;
    c = code_of(atom_from_cstr(e->name), &previous);
    if (!c) {
        result = load_error(p, am_bad_lib,
                            "Library module name '%s' does not match calling module",
                            e->name);
        goto out;
    }
    if (c->nif_library) {
        result = load_error(p, am_reload, "NIF library already loaded (reload "
                                          "disallowed since OTP 20).");
        goto out;
    }
    result = install(p, c, previous, handle, e, info);
    if (result == am_ok) {
        info_taint(c->module);
        return am_ok;
    }
out:
    dlclose(handle);
    return result;
}

BIF(erlang, load_nif, 2)
{
    struct binbytes b;
    char *path = NULL;
    const char *base;
    struct code *c, *previous;
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
    base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (size_t i = 0; i < sizeof linked / sizeof *linked; i++) {
        if (strcmp(base, linked[i].module) != 0)
            continue;
        c = code_of(atom_from_cstr(linked[i].module), &previous);
        result = c ? c->nif_library
                         ? load_error(p, am_reload, "NIF library already loaded "
                                                    "(reload disallowed since OTP 20).")
                         : install(p, c, previous, NULL, linked[i].init(), arg[1])
                   : load_error(p, am_bad_lib, "Module '%s' is not loaded", base);
        vm_free(path);
        return result;
    }
    result = has_rows(base) ? am_ok : load_file(p, path, arg[1]);
    vm_free(path);
    return result;
}

/*
 * Messages. Those of other threads wait for the scheduler.
 */
static void mail_put(struct nif_mail mail)
{
    struct nif_mail *m = vm_alloc(ALLOC_SYSTEM, sizeof *m);

    *m = mail;
    pthread_mutex_lock(&mail_lock);
    *vm.nifs->mail_last = m;
    vm.nifs->mail_last = &m->next;
    pthread_mutex_unlock(&mail_lock);
    os_wake();
}

void nif_call_later(void (*f)(void *arg), void *arg)
{
    mail_put((struct nif_mail){.call = f, .arg = arg});
    if (nif_on_scheduler())
        sched_look();
}

void nif_deliver(void)
{
    struct nif_mail *m, *next;

    if (!__atomic_load_n(&vm.nifs->mail, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&mail_lock);
    m = vm.nifs->mail;
    vm.nifs->mail = NULL;
    vm.nifs->mail_last = &vm.nifs->mail;
    pthread_mutex_unlock(&mail_lock);
    for (; m; m = next) {
        struct proc *p = m->call ? NULL : proc_find(m->to);

        next = m->next;
        if (m->call)
            m->call(m->arg);
        else if (p)
            msg_send_mbuf(p, m->frag, m->message);
        else
            mbuf_free(m->frag);
        vm_free(m);
    }
}

int enif_send(ErlNifEnv *env, const ErlNifPid *to, ErlNifEnv *msg_env, ERL_NIF_TERM msg)
{
    struct proc *p;
    struct mbuf *m;
    struct dest d;

    if (!nif_on_scheduler()) {
        m = mbuf_new(term_size(msg) + 1);
        d = (struct dest){m->words, &m->off};
        msg = term_copy(&d, msg);
        m->used = (size_t)(d.htop - m->words);
        mail_put((struct nif_mail){.to = to->pid, .message = msg, .frag = m});
        if (msg_env)
            env_clear(msg_env);
        return 1;
    }
    p = proc_find(to->pid);
    if (!p)
        return 0;
    m = mbuf_new(term_size(msg) + 1);
    d = (struct dest){m->words, &m->off};
    msg = term_copy(&d, msg);
    m->used = (size_t)(d.htop - m->words);
    msg_send_mbuf(p, m, msg);
    if (msg_env)
        env_clear(msg_env);
    return 1;
}
