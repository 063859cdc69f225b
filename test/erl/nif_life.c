/*
 * nif_life.c - a library that tells what becomes of it; nif_life.erl drives it. It
 * is built once for each VERSION, and as libraries that are not fit to be loaded.
 */
#include <erl_nif.h>

#ifndef VERSION
#define VERSION 1
#endif

static ErlNifPid teller;        /* load's argument, or the first of its pair */
static ErlNifResourceType *thing;

static void tell(ErlNifEnv *env, const char *what)
{
    ErlNifEnv *m = enif_alloc_env();

    enif_send(env, &teller, m, enif_make_tuple2(m, enif_make_atom(m, what),
                                                enif_make_int(m, VERSION)));
    enif_free_env(m);
}

static void dtor(ErlNifEnv *env, void *object) { tell(env, "dtor"); }
static void down(ErlNifEnv *env, void *object, ErlNifPid *pid, ErlNifMonitor *mon)
{
    tell(env, "down");
}

/* info: a pid, or {Pid, Result}. */
static int enter(ErlNifEnv *env, ERL_NIF_TERM info, const char *what)
{
    ErlNifResourceTypeInit init = {dtor, NULL, down};
    const ERL_NIF_TERM *pair;
    int arity, result = 0;

    if (enif_get_tuple(env, info, &arity, &pair)) {
        enif_get_int(env, pair[1], &result);
        info = pair[0];
    }
    if (!enif_get_local_pid(env, info, &teller))
        return 1;
    thing = enif_open_resource_type_x(env, "thing", &init,
                                      ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER, NULL);
    tell(env, what);
    return thing ? result : 2;
}

static int load(ErlNifEnv *env, void **priv, ERL_NIF_TERM info)
{
    int result = enter(env, info, "load");

    /* One that refuses is not told to unload. */
    if (result == 0)
        *priv = enif_alloc(1);
    return result;
}

static int upgrade(ErlNifEnv *env, void **priv, void **old, ERL_NIF_TERM info)
{
    int result = enter(env, info, "upgrade");

    /* A veto takes back what is done to the old one's data. */
    *priv = *old;
    *old = NULL;
    return result;
}

static void unload(ErlNifEnv *env, void *priv)
{
    enif_free(priv);
    tell(env, "unload");
}

static ERL_NIF_TERM version(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    return enif_make_int(env, enif_priv_data(env) ? VERSION : -VERSION);
}

static ERL_NIF_TERM make(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    void *object = enif_alloc_resource(thing, 1);
    ERL_NIF_TERM t = enif_make_resource(env, object);

    enif_release_resource(object);
    return t;
}

static ERL_NIF_TERM watch(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ErlNifPid pid;
    void *object;

    if (!enif_get_resource(env, a[0], thing, &object) || !enif_get_local_pid(env, a[1], &pid))
        return enif_make_badarg(env);
    return enif_make_int(env, enif_monitor_process(env, object, &pid, NULL));
}

#ifdef OLD_API
/* Version 2.4: functions without flags, and an entry that ends early. */
static struct {
    const char *name;
    unsigned arity;
    ERL_NIF_TERM (*f)(ErlNifEnv *, int, const ERL_NIF_TERM[]);
} funcs[] = {{"version", 0, version}, {"make", 0, make}, {"watch", 2, watch}};

ErlNifEntry *nif_init(void)
{
    static ErlNifEntry entry = {
        .major = 2, .minor = 4, .name = "nif_life_mod", .num_of_funcs = 3,
        .funcs = (ErlNifFunc *)funcs, .load = load, .upgrade = upgrade, .unload = unload,
        .vm_variant = "beam.vanilla", .options = 0xffff, .min_erts = (const char *)1,
    };

    return &entry;
}
#else
static ErlNifFunc funcs[] = {
    {"version", 0, version},
    {"make", 0, make},
#if defined TWICE
    {"make", 0, version},
#elif defined FLAGS
    {"watch", 2, watch, 77},
#else
    {"watch", 2, watch},
#endif
};
ERL_NIF_INIT(nif_life_mod, funcs, load, NULL, upgrade, unload)
#endif
