/*
 * nif.h - native functions of libraries: load_nif/2 and OTP's enif_* API.
 *
 * A library made for stock OTP loads as it is: prototypes and structs are
 * those of OTP's erl_nif.h, and terms are opaque words to both. What differs
 * inside stays here.
 *
 * An environment is where terms are made. One of a NIF call (p set) builds on
 * the calling process's heap, and terms stay valid until the call returns:
 * nothing collects meanwhile. One made by enif_alloc_env() has fragments of
 * its own.
 *
 * A NIF runs on the scheduler, dirty ones too. Threads of a library may use
 * environments of their own, enif_send, locks, binaries and resources.
 */
#ifndef IO_NIF_H
#define IO_NIF_H

#define HAVE_SYS_UIO_H 1
#include "erl_nif.h"

#include "io/io.h"
#include "vm/binary.h"

/* Bytes that live until the environment ends: copies made for inspection. */
struct nif_temp {
    struct nif_temp *next;
    uint8_t bytes[] __attribute__((aligned(16)));
};

struct nif_library {
    ErlNifEntry entry;
    void *handle;               /* of dlopen; NULL: linked in */
    void *priv;
    term module;
    struct nif_func *funcs;
    uint32_t refs;              /* nif_load.c says whose */
};
struct nif_func {
    ErlNifFunc f;
    struct nif_library *lib;
};

void nif_library_get(struct nif_library *lib);
/* The last one: unload. Not while a function of the library may be running. */
void nif_library_put(struct nif_library *lib);
/* The bif_fn of a library's functions: their nif_entry's data is the nif_func. */
term nif_entered(struct proc *p, term *arg);

struct enif_environment_t {
    struct proc *p;             /* whose heap; NULL: frags */
    struct mbuf *frags;         /* newest first */
    struct nif_library *lib;
    struct nif_temp *temps;
    bool failed;                /* an exception with this reason is pending */
    term reason;
    /* enif_schedule_nif: what to call when the NIF returns. */
    ERL_NIF_TERM (*next)(ErlNifEnv *, int, const ERL_NIF_TERM[]);
    int next_argc, next_flags;
    term *next_argv;            /* vm_alloc'ed */
};

void nif_env_init(ErlNifEnv *env, struct proc *p, struct nif_library *lib);
/* Frees temps, and frags unless they were taken. */
void nif_env_end(ErlNifEnv *env);
/* Room for `words` in env; and where its off-heap objects are listed. */
term *nif_alloc(ErlNifEnv *env, size_t words);
struct offheap *nif_offheap(ErlNifEnv *env);
void *nif_temp(ErlNifEnv *env, size_t bytes);

/* Resources. The library's object follows the struct. */
struct enif_resource_type_t {
    struct enif_resource_type_t *next;
    term module, name;
    struct nif_library *lib;    /* held, and so to be called, while there are callbacks */
    ErlNifResourceTypeInit init;
    uint32_t refs;              /* its resources; and the list of types */
};
struct nif_resource {
    struct resource res;
    ErlNifResourceType *type;
    size_t size;
    struct nif_monitor *monitors;
    uint8_t object[] __attribute__((aligned(16)));
};
static inline struct nif_resource *nif_resource_of(void *object)
{
    return (struct nif_resource *)((uint8_t *)object -
                                   offsetof(struct nif_resource, object));
}

/* Opened by a library's load or upgrade; counts only if that succeeds. */
struct nif_opened {
    struct nif_opened *next;
    struct enif_resource_type_t *type;
    bool created;
    struct nif_library *lib;
    ErlNifResourceTypeInit init;
};
void nif_types_commit(bool ok);
/* The code of their module is gone: they end with their last resources. */
void nif_types_orphan(struct nif_library *lib);

struct nif_state {
    struct enif_resource_type_t *types;
    struct nif_opened *opened;
    bool loading;
    int dirty;                  /* flags of the NIF that runs: ERL_NIF_DIRTY_... */
    struct nif_select *selects;
    struct nif_mail *mail, **mail_last;     /* from other threads; locked */
};

bool nif_on_scheduler(void);                /* this thread */
/* From a thread: a copy of t, a message to a process or data for a port. */
void nif_mail_term(term to, term t);

#endif
