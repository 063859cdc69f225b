/*
 * nif.c - NIFs: calling them, environments, sending.
 */
#include <pthread.h>

#include "io/nif.h"

#include "bif/bif.h"
#include "io/port.h"
#include "op/code.h"
#include "os/os.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/sched.h"

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
typedef ERL_NIF_TERM nif_fn(ErlNifEnv *, int, const ERL_NIF_TERM[]);

/* A call, and those that enif_schedule_nif makes of it. */
struct nif_call {
    struct nif_library *lib;
    nif_fn *f;
    int flags;                  /* ERL_NIF_DIRTY_... */
    const struct export *export;        /* what the program called */
};
struct pending {
    struct resource res;
    struct nif_call call;
};
static const char pending_type;

static void let_go(void *library)
{
    nif_library_put(library);
}

static void pending_free(struct resource *r)
{
    nif_call_later(let_go, ((struct pending *)r)->call.lib);
    vm_free(r);
}

/* Go on with a scheduled NIF in the next slice. first: arguments, a tuple. */
static term put_off(struct proc *p, ErlNifEnv *env, const struct nif_call *of, term first)
{
    struct pending *c = vm_alloc(ALLOC_SYSTEM, sizeof *c);
    term args[3];

    c->res = (struct resource){.refc = 1, .free = pending_free, .type = &pending_type};
    c->call = *of;
    c->call.f = env->next;
    c->call.flags = env->next_flags;
    nif_library_get(c->call.lib);
    args[0] = io_magic(p, &c->res);
    args[1] = enif_make_tuple_from_array(env, env->next_argv, (unsigned)env->next_argc);
    args[2] = first;
    return bif_trap(p, EXP("erts_internal", "nif_continue", 3), args, 3);
}

/* The trace of an error begins with what the program called, not with how it went on. */
static void blame(struct proc *p, const struct export *e, term first)
{
    size_t n = tuple_arity(first);
    term *hp = heap_alloc(p, n * CONS_WORDS + 4), list = TERM_NIL;

    for (; n > 0; n--)
        list = put_cons(&hp, *tuple_at(first, n), list);
    p->exc.mfa = put_tuple3(&hp, e->m, e->f, list);
    p->exc.no_info = true;
}

/* first: THE_NON_VALUE if this is the first call, of argv. */
static term call(struct proc *p, const struct nif_call *c, int argc, const term *argv,
                 term first)
{
    ErlNifEnv env;
    term result;

    nif_env_init(&env, p, c->lib);
    vm.nifs->dirty = c->flags;
    result = c->f(&env, argc, argv);
    vm.nifs->dirty = 0;
    if (!env.failed && env.next) {
        if (first == THE_NON_VALUE)
            first = enif_make_tuple_from_array(&env, argv, (unsigned)argc);
        result = put_off(p, &env, c, first);
    } else if (env.failed || result == THE_NON_VALUE) {
        result = bif_error(p, env.failed ? env.reason : am_badarg);
        if (first != THE_NON_VALUE)
            blame(p, c->export, first);
    }
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

BIF(erts_internal, nif_continue, 3)
{
    struct pending *c = (struct pending *)magic_resource(arg[0], &pending_type);

    if (!c || !term_is_tuple(arg[1]) || !term_is_tuple(arg[2]))
        return bif_badarg(p);
    return call(p, &c->call, (int)tuple_arity(arg[1]), tuple_at(arg[1], 1), arg[2]);
}

term nif_entered(struct proc *p, term *arg)
{
    const struct nif_entry *n = vm.sched->nif;
    const struct nif_func *f = n->data;
    struct nif_call c = {f->lib, f->f.fptr, (int)f->f.flags, n->export};

    return call(p, &c, (int)f->f.arity, arg, THE_NON_VALUE);
}

ERL_NIF_TERM enif_schedule_nif(ErlNifEnv *env, const char *name, int flags, nif_fn *f,
                               int argc, const ERL_NIF_TERM argv[])
{
    size_t n = (size_t)argc;

    if (argc < 0 || argc > 255 || !env->p || strlen(name) > ATOM_MAX_CHARS ||
        (flags != 0 && flags != ERL_NIF_DIRTY_JOB_CPU_BOUND &&
         flags != ERL_NIF_DIRTY_JOB_IO_BOUND))
        return enif_make_badarg(env);
    vm_free(env->next_argv);
    env->next = f;
    env->next_argc = argc;
    env->next_flags = flags;
    env->next_argv = vm_alloc(ALLOC_SYSTEM, (n + 1) * sizeof(term));
    memcpy(env->next_argv, argv, n * sizeof(term));
    return TERM_NIL;
}

/* Of a slice that is used up no more is taken: what the NIF did has been done. */
int enif_consume_timeslice(ErlNifEnv *env, int percent)
{
    struct proc *p = env->p;
    int32_t reds;

    if (percent < 1)
        percent = 1;
    if (percent > 100)
        percent = 100;
    reds = SLICE_REDS / 100 * percent;
    if (p->reds_left > 0)
        p->reds_left = p->reds_left > reds ? p->reds_left - reds : 0;
    return p->reds_left <= 0;
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
        if (m->call) {
            m->call(m->arg);
        } else if (p) {
            msg_send_mbuf(p, m->frag, m->message);
        } else {
            port_output(m->to, am_undefined, m->message);
            mbuf_free(m->frag);
        }
        vm_free(m);
    }
}

/* In a fragment of its own. */
static struct mbuf *letter(term *msg)
{
    struct mbuf *m = mbuf_new(term_size(*msg) + 1);
    struct dest d = {m->words, &m->off};

    *msg = term_copy(&d, *msg);
    m->used = (size_t)(d.htop - m->words);
    return m;
}

void nif_mail_term(term to, term t)
{
    struct mbuf *m = letter(&t);

    mail_put((struct nif_mail){.to = to, .message = t, .frag = m});
}

int enif_send(ErlNifEnv *env, const ErlNifPid *to, ErlNifEnv *msg_env, ERL_NIF_TERM msg)
{
    if (nif_on_scheduler()) {
        struct proc *p = proc_find(to->pid);
        struct mbuf *m;

        if (!p)
            return 0;
        m = letter(&msg);
        msg_send_mbuf(p, m, msg);
    } else {
        nif_mail_term(to->pid, msg);
    }
    if (msg_env)
        env_clear(msg_env);
    return 1;
}
