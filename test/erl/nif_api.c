/*
 * nif_api.c - a NIF library that uses enif_* in every way; nif_api.erl drives
 * it, on stock OTP and on ling.
 */
#include <string.h>
#include <unistd.h>

#include <erl_nif.h>

static ErlNifResourceType *box_type, *plain_type;
static ERL_NIF_TERM am_ok, am_dead;

struct box {
    ErlNifEnv *env;             /* of value */
    ERL_NIF_TERM value;
    ErlNifPid owner;            /* told when it is gone */
    ErlNifMonitor monitor;
    int fds[2];
};

static void box_dtor(ErlNifEnv *env, void *obj)
{
    struct box *b = obj;
    ErlNifEnv *m = enif_alloc_env();

    if (b->env)
        enif_free_env(b->env);
    enif_send(env, &b->owner, m, enif_make_atom(m, "box_gone"));
    enif_free_env(m);
}

static void box_down(ErlNifEnv *env, void *obj, ErlNifPid *pid, ErlNifMonitor *mon)
{
    struct box *b = obj;
    ErlNifEnv *m = enif_alloc_env();

    enif_send(env, &b->owner, m,
              enif_make_tuple3(m, am_dead, enif_make_pid(m, pid),
                               enif_make_int(m, enif_compare_monitors(mon, &b->monitor))));
    enif_free_env(m);
}

static void box_stop(ErlNifEnv *env, void *obj, ErlNifEvent fd, int direct)
{
    struct box *b = obj;

    close(b->fds[0]);
    close(b->fds[1]);
}

static int load(ErlNifEnv *env, void **priv, ERL_NIF_TERM info)
{
    ErlNifResourceTypeInit init = {box_dtor, box_stop, box_down};

    am_ok = enif_make_atom(env, "ok");
    am_dead = enif_make_atom(env, "dead");
    plain_type = enif_open_resource_type(env, NULL, "plain", NULL, ERL_NIF_RT_CREATE, NULL);
    box_type = enif_open_resource_type_x(env, "box", &init, ERL_NIF_RT_CREATE, NULL);
    *priv = "private";
    return enif_is_atom(env, info) ? 0 : 17;
}

/* What the API thinks of a term, and the term made again. */
static ERL_NIF_TERM inspect(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ERL_NIF_TERM t = a[0], h, l, k, v, out = enif_make_list(env, 0);
    const ERL_NIF_TERM *e;
    ErlNifMapIterator it;
    ErlNifBinary b, copy;
    unsigned u;
    long n;
    unsigned long un;
    double d;
    char s[32];
    int arity;
    size_t size;

    switch (enif_term_type(env, t)) {
    case ERL_NIF_TERM_TYPE_ATOM:
        if (!enif_get_atom_length(env, t, &u, ERL_NIF_LATIN1))
            return enif_make_string(env, "not latin1", ERL_NIF_LATIN1);
        n = enif_get_atom(env, t, s, sizeof s, ERL_NIF_LATIN1);
        return enif_make_tuple3(env, enif_make_uint(env, u), enif_make_long(env, n),
                                n ? enif_make_atom_len(env, s, n - 1) : am_ok);
    case ERL_NIF_TERM_TYPE_INTEGER:
        if (enif_get_long(env, t, &n))
            return enif_make_tuple2(env, enif_make_atom(env, "long"), enif_make_long(env, n));
        if (enif_get_ulong(env, t, &un))
            return enif_make_tuple2(env, enif_make_atom(env, "ulong"), enif_make_ulong(env, un));
        return enif_make_atom(env, "big");
    case ERL_NIF_TERM_TYPE_FLOAT:
        enif_get_double(env, t, &d);
        return enif_make_double(env, d * 2);
    case ERL_NIF_TERM_TYPE_LIST:
        n = enif_get_string(env, t, s, 8, ERL_NIF_LATIN1);
        if (n != 0)
            return enif_make_tuple2(env, enif_make_long(env, n),
                                    enif_make_string(env, s, ERL_NIF_LATIN1));
        if (!enif_get_list_length(env, t, &u))
            return enif_make_atom(env, "improper");
        for (l = t; enif_get_list_cell(env, l, &h, &l);)
            out = enif_make_list_cell(env, h, out);
        enif_make_reverse_list(env, out, &out);
        return enif_make_tuple2(env, enif_make_uint(env, u), out);
    case ERL_NIF_TERM_TYPE_TUPLE:
        enif_get_tuple(env, t, &arity, &e);
        return enif_make_tuple2(env, enif_make_tuple_from_array(env, e, arity),
                                enif_make_list_from_array(env, e, arity));
    case ERL_NIF_TERM_TYPE_MAP:
        enif_get_map_size(env, t, &size);
        k = enif_make_new_map(env);
        enif_map_iterator_create(env, t, &it, ERL_NIF_MAP_ITERATOR_FIRST);
        for (ERL_NIF_TERM key; enif_map_iterator_get_pair(env, &it, &key, &v);
             enif_map_iterator_next(env, &it))
            enif_make_map_put(env, k, v, key, &k);
        enif_map_iterator_destroy(env, &it);
        enif_make_map_remove(env, k, enif_make_atom(env, "gone"), &k);
        return enif_make_tuple2(env, enif_make_ulong(env, size), k);
    case ERL_NIF_TERM_TYPE_BITSTRING:
        if (!enif_inspect_binary(env, t, &b))
            return enif_make_atom(env, "bits");
        enif_alloc_binary(b.size + 10, &copy);
        memcpy(copy.data, b.data, b.size);
        memset(copy.data + b.size, '!', 10);
        enif_realloc_binary(&copy, b.size + 1);
        v = enif_make_binary(env, &copy);
        return enif_make_tuple3(env, v, enif_make_sub_binary(env, v, b.size / 2, 1),
                                enif_make_binary(env, &b));
    case ERL_NIF_TERM_TYPE_FUN:
        return enif_make_atom(env, "fun");
    case ERL_NIF_TERM_TYPE_PID:
        return enif_make_atom(env, "pid");
    case ERL_NIF_TERM_TYPE_PORT:
        return enif_make_atom(env, "port");
    case ERL_NIF_TERM_TYPE_REFERENCE:
        return enif_make_atom(env, "reference");
    default:
        return enif_make_badarg(env);
    }
}

static ERL_NIF_TERM iolist(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ErlNifBinary b;
    ERL_NIF_TERM t;
    unsigned char *p;

    if (!enif_inspect_iolist_as_binary(env, a[0], &b))
        return enif_make_badarg(env);
    p = enif_make_new_binary(env, b.size, &t);
    for (size_t i = 0; i < b.size; i++)
        p[i] = b.data[b.size - 1 - i];
    return t;
}

static ERL_NIF_TERM raise(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ERL_NIF_TERM reason, t = enif_raise_exception(env, a[0]);

    return enif_is_exception(env, t) && enif_has_pending_exception(env, &reason)
               ? t : am_ok;
}

/* Counts down, one call a time, then says who called. */
static ERL_NIF_TERM count(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ERL_NIF_TERM next[3];
    ErlNifPid self;
    int n, calls = 0;

    if (!enif_get_int(env, a[0], &n))
        return enif_make_badarg(env);
    if (argc == 3)
        enif_get_int(env, a[2], &calls);
    if (n == 0)
        return enif_make_tuple3(env, enif_make_int(env, calls), a[1],
                                enif_make_pid(env, enif_self(env, &self)));
    enif_consume_timeslice(env, 1);
    next[0] = enif_make_int(env, n - 1);
    next[1] = argc == 3 ? a[1] : enif_make_tuple1(env, a[0]);
    next[2] = enif_make_int(env, calls + 1);
    return enif_schedule_nif(env, "count", 0, count, 3, next);
}

static ERL_NIF_TERM box_new(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b = enif_alloc_resource(box_type, sizeof *b);
    ERL_NIF_TERM t;

    b->env = enif_alloc_env();
    b->value = enif_make_copy(b->env, a[0]);
    enif_self(env, &b->owner);
    t = enif_make_resource(env, b);
    enif_release_resource(b);
    return t;
}

static ERL_NIF_TERM box_get(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;

    if (!enif_get_resource(env, a[0], box_type, (void **)&b))
        return enif_make_badarg(env);
    return enif_make_tuple2(env, enif_make_copy(env, b->value),
                            enif_make_int(env, enif_sizeof_resource(b) == sizeof *b));
}

static ERL_NIF_TERM box_watch(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ErlNifPid pid;
    struct box *b;

    if (!enif_get_resource(env, a[0], box_type, (void **)&b) ||
        !enif_get_local_pid(env, a[1], &pid))
        return enif_make_badarg(env);
    return enif_make_int(env, enif_monitor_process(env, b, &pid, &b->monitor));
}

static ERL_NIF_TERM box_unwatch(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;

    enif_get_resource(env, a[0], box_type, (void **)&b);
    return enif_make_int(env, enif_demonitor_process(env, b, &b->monitor));
}

/* A pipe in the box: wait until it can be read; write to it; give it back. */
static ERL_NIF_TERM box_select(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;

    enif_get_resource(env, a[0], box_type, (void **)&b);
    if (pipe(b->fds) < 0)
        return enif_make_badarg(env);
    return enif_make_int(env, enif_select(env, b->fds[0], ERL_NIF_SELECT_READ, b, NULL, a[1]));
}

static ERL_NIF_TERM box_write(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;

    enif_get_resource(env, a[0], box_type, (void **)&b);
    return enif_make_int(env, (int)write(b->fds[1], "x", 1));
}

static ERL_NIF_TERM box_stop_select(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;

    enif_get_resource(env, a[0], box_type, (void **)&b);
    return enif_make_int(env, enif_select(env, b->fds[0], ERL_NIF_SELECT_STOP, b, NULL,
                                          am_ok) >= 0);
}

/* A thread of our own sends n messages. */
struct job {
    ErlNifPid to;
    int n;
    ErlNifMutex *lock;
};
static void *sender(void *arg)
{
    struct job *j = arg;

    for (int i = 0; i < j->n; i++) {
        ErlNifEnv *m = enif_alloc_env();

        enif_mutex_lock(j->lock);
        enif_send(NULL, &j->to, m,
                  enif_make_tuple2(m, enif_make_int(m, i),
                                   enif_make_string(m, "from a thread", ERL_NIF_LATIN1)));
        enif_mutex_unlock(j->lock);
        enif_free_env(m);
    }
    return arg;
}

static ERL_NIF_TERM threads(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct job j;
    ErlNifTid tid;
    void *result;

    enif_self(env, &j.to);
    enif_get_int(env, a[0], &j.n);
    j.lock = enif_mutex_create("lock");
    if (enif_thread_create("sender", &tid, sender, &j, NULL))
        return enif_make_badarg(env);
    enif_thread_join(tid, &result);
    enif_mutex_destroy(j.lock);
    return result == &j ? am_ok : am_dead;
}

static ERL_NIF_TERM misc(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ErlNifBinary bin;
    ERL_NIF_TERM t, atom, list = enif_make_list(env, 0);
    ErlNifIOVec *v = NULL;
    ErlNifIOQueue *q = enif_ioq_create(ERL_NIF_IOQ_NORMAL);
    char s[64];
    size_t n;
    int vn;

    enif_snprintf(s, sizeof s, "%s %d %T %.1f %%", "text", 42, a[0], 2.5);
    list = enif_make_list_cell(env, enif_make_string(env, s, ERL_NIF_LATIN1), list);
    enif_term_to_binary(env, a[0], &bin);
    n = enif_binary_to_term(env, bin.data, bin.size, &t, 0);
    list = enif_make_list_cell(env, enif_make_int(env, n == bin.size && enif_is_identical(t, a[0])), list);
    enif_release_binary(&bin);
    list = enif_make_list_cell(env, enif_make_int(env, enif_make_existing_atom(env, "nif_api_none_such", &atom, ERL_NIF_LATIN1)), list);
    list = enif_make_list_cell(env, enif_make_int(env, enif_compare(a[0], enif_make_int(env, 1)) > 0), list);
    list = enif_make_list_cell(env, enif_make_ulong(env, enif_hash(ERL_NIF_PHASH2, a[0], 0)), list);
    list = enif_make_list_cell(env, enif_make_string(env, enif_priv_data(env), ERL_NIF_LATIN1), list);
    list = enif_make_list_cell(env, enif_make_long(env, enif_convert_time_unit(-1, ERL_NIF_MSEC, ERL_NIF_SEC)), list);
    enif_inspect_iovec(env, 2, a[1], &t, &v);
    enif_ioq_enqv(q, v, 1);
    enif_ioq_deq(q, 1, &n);
    enif_ioq_peek(q, &vn);
    list = enif_make_list_cell(env, enif_make_tuple3(env, t, enif_make_ulong(env, n), enif_make_int(env, vn)), list);
    enif_ioq_peek_head(env, q, NULL, &t);
    list = enif_make_list_cell(env, t, list);
    enif_ioq_destroy(q);
    enif_make_reverse_list(env, list, &list);
    return list;
}

/* A thread looks a name up n times, and tells how often that was the pid it is to be. */
struct search {
    ErlNifPid pid;
    ERL_NIF_TERM name;
    int n;
    ErlNifTid tid;
};
static void *searcher(void *arg)
{
    struct search *s = arg;
    ErlNifEnv *m = enif_alloc_env();
    ErlNifPid pid;
    int found = 0;

    for (int i = 0; i < s->n; i++)
        found += enif_whereis_pid(NULL, s->name, &pid) && enif_compare_pids(&pid, &s->pid) == 0;
    enif_send(NULL, &s->pid, m, enif_make_tuple2(m, enif_make_atom(m, "found"),
                                                 enif_make_int(m, found)));
    enif_free_env(m);
    return NULL;
}
static ERL_NIF_TERM search(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    static struct search s;

    if (argc == 0)
        return enif_make_int(env, enif_thread_join(s.tid, NULL));
    enif_self(env, &s.pid);
    s.name = a[0];
    enif_get_int(env, a[1], &s.n);
    return enif_make_int(env, enif_thread_create("searcher", &s.tid, searcher, &s, NULL));
}

/* On what threads it and the call it makes later run; or, of a pid, fails later. */
static ERL_NIF_TERM later(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ERL_NIF_TERM next[2] = {a[0], enif_make_int(env, enif_thread_type())};

    if (argc == 1)
        return enif_schedule_nif(env, "later", ERL_NIF_DIRTY_JOB_IO_BOUND, later, 2, next);
    if (enif_is_pid(env, a[0]))
        return enif_make_badarg(env);
    return enif_make_tuple2(env, a[1], next[1]);
}

static ERL_NIF_TERM times(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    return enif_make_tuple3(env, enif_make_int64(env, enif_monotonic_time(ERL_NIF_NSEC)),
                            enif_make_int64(env, enif_time_offset(ERL_NIF_NSEC)),
                            enif_now_time(env));
}

/* Uses up a slice, and more. */
static ERL_NIF_TERM spend(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    int n = 0;

    while (n < 10 && !enif_consume_timeslice(env, 30))
        n++;
    for (int i = 0; i < 50; i++)
        enif_consume_timeslice(env, 100);
    return enif_make_int(env, n);
}

static ERL_NIF_TERM port_say(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ErlNifPort port;

    return enif_get_local_port(env, a[0], &port)
               ? enif_make_int(env, enif_port_command(env, &port, NULL, a[1]))
               : enif_make_badarg(env);
}

/* The box's pipe: wait for an error where it is written to, or no longer. */
static ERL_NIF_TERM box_error(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;
    int cancel;

    enif_get_resource(env, a[0], box_type, (void **)&b);
    enif_get_int(env, a[2], &cancel);
    return enif_make_int(env, enif_select(env, b->fds[1], ERL_NIF_SELECT_ERROR |
                                              (cancel ? ERL_NIF_SELECT_CANCEL : 0),
                                          b, NULL, a[1]));
}

static ERL_NIF_TERM box_shut(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *b;

    enif_get_resource(env, a[0], box_type, (void **)&b);
    enif_select(env, b->fds[0], ERL_NIF_SELECT_READ | ERL_NIF_SELECT_CANCEL, b, NULL, a[0]);
    return enif_make_int(env, dup2(b->fds[1], b->fds[0]) >= 0);
}

/* The second box waits for the first one's pipe. */
static ERL_NIF_TERM box_steal(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    struct box *from, *b;

    enif_get_resource(env, a[0], box_type, (void **)&from);
    enif_get_resource(env, a[1], box_type, (void **)&b);
    b->fds[0] = from->fds[0];
    b->fds[1] = from->fds[1];
    return enif_make_int(env, enif_select(env, b->fds[0], ERL_NIF_SELECT_READ, b, NULL, a[2]));
}

/* What a library is told of places: every word and pointer it gets, and printed terms. */
static ERL_NIF_TERM addresses(ErlNifEnv *env, int argc, const ERL_NIF_TERM a[])
{
    ErlNifEnv *own = enif_alloc_env();
    void *b = enif_alloc_resource(plain_type, 8);
    void *memory = enif_alloc(100);
    const ERL_NIF_TERM *element;
    ERL_NIF_TERM words, copy = enif_make_copy(own, a[0]);
    ErlNifBinary bin;
    ErlNifPid self;
    char text[8000];
    int arity, n = 0;

    enif_self(env, &self);
    enif_get_tuple(env, a[0], &arity, &element);
    enif_term_to_binary(env, a[0], &bin);
    const ERL_NIF_TERM found[] = {
        (ERL_NIF_TERM)env, (ERL_NIF_TERM)own, (ERL_NIF_TERM)a, (ERL_NIF_TERM)b,
        (ERL_NIF_TERM)memory, (ERL_NIF_TERM)enif_priv_data(env), (ERL_NIF_TERM)bin.data,
        (ERL_NIF_TERM)element, self.pid, a[0], copy, enif_make_resource(env, b),
        enif_make_badarg(own), enif_make_ref(env), enif_make_double(env, 1.5),
    };
    words = enif_make_list(env, 0);
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        words = enif_make_list_cell(env, enif_make_ulong(env, found[i]), words);
    for (int i = 0; i < arity; i++)
        words = enif_make_list_cell(env, enif_make_ulong(env, element[i]), words);
    n = enif_snprintf(text, sizeof text, "%T %T %T", a[0], copy, enif_make_resource(env, b));
    enif_release_binary(&bin);
    enif_release_resource(b);
    enif_free(memory);
    enif_free_env(own);
    return enif_make_tuple3(env, words, enif_make_string(env, text, ERL_NIF_LATIN1),
                            enif_make_int(env, n));
}

static ErlNifFunc funcs[] = {
    {"inspect", 1, inspect},
    {"iolist", 1, iolist, ERL_NIF_DIRTY_JOB_CPU_BOUND},
    {"raise", 1, raise},
    {"count", 2, count},
    {"box_new", 1, box_new},
    {"box_get", 1, box_get},
    {"box_watch", 2, box_watch},
    {"box_unwatch", 1, box_unwatch},
    {"box_select", 2, box_select},
    {"box_write", 1, box_write},
    {"box_stop_select", 1, box_stop_select},
    {"threads", 1, threads},
    {"misc", 2, misc},
    {"addresses", 1, addresses},
    {"later", 1, later},
    {"search", 2, search},
    {"search", 0, search},
    {"times", 0, times},
    {"spend", 0, spend},
    {"port_say", 2, port_say},
    {"box_error", 3, box_error},
    {"box_shut", 1, box_shut},
    {"box_steal", 3, box_steal},
};
ERL_NIF_INIT(nif_api, funcs, load, NULL, NULL, NULL)
