/*
 * nif_resource.c - resources of NIF libraries, monitors of processes, and
 * waiting for descriptors (enif_select).
 */
#include "io/nif.h"

#include "io/port.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/log.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/print.h"

static const char resource_type;

/* A resource that watches a process; the resource lists it. */
struct nif_monitor {
    struct proc_watch watch;
    struct nif_monitor *next, **prev;
    struct nif_resource *resource;
    term pid;
    uint64_t ref[2];
};

/* A descriptor that a resource waits for. Each event is told once. */
struct nif_select {
    struct os_watch watch;
    struct nif_select *next;
    struct nif_resource *resource;      /* holds a reference */
    struct select_side {
        term pid;
        ErlNifEnv env;                  /* of message */
        term message;                   /* sent as it is */
    } side[3];                          /* as in sides[] */
    unsigned wanted;                    /* OS_READ | OS_WRITE | OS_ERROR */
};
static const struct {
    unsigned event;
    enum ErlNifSelectFlags flag;
    int cancelled;
    term ready;
} sides[3] = {
    {OS_READ, ERL_NIF_SELECT_READ, ERL_NIF_SELECT_READ_CANCELLED, am_ready_input},
    {OS_WRITE, ERL_NIF_SELECT_WRITE, ERL_NIF_SELECT_WRITE_CANCELLED, am_ready_output},
    {OS_ERROR, ERL_NIF_SELECT_ERROR, ERL_NIF_SELECT_ERROR_CANCELLED, am_ready_error},
};

/*
 * Types.
 */
static ErlNifResourceType *type_find(term module, term name)
{
    ErlNifResourceType *t = vm.nifs->types;

    while (t && (t->module != module || t->name != name))
        t = t->next;
    return t;
}

ErlNifResourceType *enif_init_resource_type(ErlNifEnv *env, const char *name,
                                            const ErlNifResourceTypeInit *init,
                                            ErlNifResourceFlags flags,
                                            ErlNifResourceFlags *tried)
{
    term n = atom_from_cstr(name);
    ErlNifResourceType *t = type_find(env->lib->module, n);
    ErlNifResourceFlags op = t ? ERL_NIF_RT_TAKEOVER : ERL_NIF_RT_CREATE;
    struct nif_opened *o;

    if (tried)
        *tried = flags & op ? op : flags;
    if (!(flags & op) || !vm.nifs->loading)
        return NULL;
    if (!t) {
        t = vm_zalloc(ALLOC_CODE, sizeof *t);
        t->module = env->lib->module;
        t->name = n;
        t->refs = 1;
    }
    o = vm_zalloc(ALLOC_CODE, sizeof *o);
    o->type = t;
    o->created = op == ERL_NIF_RT_CREATE;
    o->lib = env->lib;
    if (init->members > 0)
        o->init.dtor = init->dtor;
    if (init->members > 1)
        o->init.stop = init->stop;
    if (init->members > 2)
        o->init.down = init->down;
    if (init->members > 3)
        o->init.dyncall = init->dyncall;
    o->next = vm.nifs->opened;
    vm.nifs->opened = o;
    return t;
}

static bool has_callbacks(const ErlNifResourceTypeInit *i)
{
    return i->dtor || i->stop || i->down || i->dyncall;
}

static void type_put(ErlNifResourceType *t)
{
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (has_callbacks(&t->init))
        nif_library_put(t->lib);
    vm_free(t);
}

void nif_types_commit(bool ok)
{
    struct nif_opened *o, *next;

    for (o = vm.nifs->opened; o; o = next) {
        ErlNifResourceType *t = o->type;
        struct nif_library *before = has_callbacks(&t->init) ? t->lib : NULL;

        next = o->next;
        if (ok) {
            if (o->created) {
                t->next = vm.nifs->types;
                vm.nifs->types = t;
            }
            t->lib = o->lib;
            t->init = o->init;
            if (has_callbacks(&t->init))
                nif_library_get(t->lib);
            if (before)
                nif_library_put(before);
        } else if (o->created) {
            type_put(t);
        }
        vm_free(o);
    }
    vm.nifs->opened = NULL;
}

void nif_types_orphan(struct nif_library *lib)
{
    ErlNifResourceType **at = &vm.nifs->types, *t;

    while ((t = *at)) {
        if (t->lib == lib) {
            *at = t->next;
            type_put(t);
        } else {
            at = &t->next;
        }
    }
}

/* The library to call for a type; NULL if it has nothing to be called. */
static struct nif_library *library_of(const ErlNifResourceType *t)
{
    return has_callbacks(&t->init) ? t->lib : NULL;
}

ErlNifResourceType *enif_open_resource_type_x(ErlNifEnv *env, const char *name,
                                              const ErlNifResourceTypeInit *init,
                                              ErlNifResourceFlags flags,
                                              ErlNifResourceFlags *tried)
{
    /* Before enif_init_resource_type there were three callbacks, no count. */
    ErlNifResourceTypeInit i = {init->dtor, init->stop, init->down, 3, NULL};

    return enif_init_resource_type(env, name, &i, flags, tried);
}

ErlNifResourceType *enif_open_resource_type(ErlNifEnv *env, const char *module,
                                            const char *name, ErlNifResourceDtor *dtor,
                                            ErlNifResourceFlags flags,
                                            ErlNifResourceFlags *tried)
{
    ErlNifResourceTypeInit i = {dtor, NULL, NULL, 1, NULL};

    return enif_init_resource_type(env, name, &i, flags, tried);
}

/*
 * Objects.
 */
static void monitor_free(struct nif_monitor *m)
{
    proc_unwatch(&m->watch);
    *m->prev = m->next;
    if (m->next)
        m->next->prev = m->prev;
    vm_free(m);
}

/* By the scheduler, between slices: the library may be closed then. */
static void resource_end(void *resource)
{
    struct nif_resource *r = resource;
    ErlNifEnv env;

    while (r->monitors)
        monitor_free(r->monitors);
    if (r->type->init.dtor) {
        nif_env_init(&env, NULL, r->type->lib);
        r->type->init.dtor(&env, r->object);
        nif_env_end(&env);
    }
    type_put(r->type);
    vm_free(r);
}

/* In any thread, and it may be a function of the library that lets go. */
static void resource_free(struct resource *res)
{
    struct nif_resource *r = (struct nif_resource *)res;

    if (library_of(r->type)) {
        nif_call_later(resource_end, r);
        return;
    }
    type_put(r->type);
    vm_free(r);
}

void *enif_alloc_resource(ErlNifResourceType *type, size_t size)
{
    struct nif_resource *r = vm_try_alloc(ALLOC_BINARY, sizeof *r + size);

    if (!r)
        return NULL;
    r->res = (struct resource){.refc = 1, .free = resource_free, .type = &resource_type};
    r->type = type;
    __atomic_fetch_add(&type->refs, 1, __ATOMIC_RELAXED);
    r->size = size;
    r->monitors = NULL;
    return r->object;
}

void enif_keep_resource(void *object)
{
    resource_get(&nif_resource_of(object)->res);
}

void enif_release_resource(void *object)
{
    resource_put(&nif_resource_of(object)->res);
}

size_t enif_sizeof_resource(void *object)
{
    return nif_resource_of(object)->size;
}

ERL_NIF_TERM enif_make_resource(ErlNifEnv *env, void *object)
{
    struct dest d = {nif_alloc(env, MAGIC_WORDS), nif_offheap(env)};

    enif_keep_resource(object);
    return magic_put(&d, &nif_resource_of(object)->res);
}

/* A binary over memory of a resource: it keeps the resource. */
static void resource_bin_free(struct refbin *b)
{
    struct nif_resource *r;

    memcpy(&r, b->data, sizeof r);
    resource_put(&r->res);
    vm_free(b);
}

ERL_NIF_TERM enif_make_resource_binary(ErlNifEnv *env, void *object, const void *data,
                                       size_t size)
{
    struct nif_resource *r = nif_resource_of(object);
    struct refbin *b = refbin_new(sizeof r);
    struct dest d;

    memcpy(b->data, &r, sizeof r);
    resource_get(&r->res);
    b->free = resource_bin_free;
    d = (struct dest){nif_alloc(env, REFCBIN_WORDS), nif_offheap(env)};
    return binary_put_refbin(&d, b, (uint8_t *)(uintptr_t)data, size);
}

int enif_get_resource(ErlNifEnv *env, ERL_NIF_TERM t, ErlNifResourceType *type,
                      void **object)
{
    struct nif_resource *r = (struct nif_resource *)magic_resource(t, &resource_type);

    if (!r && boxed_is(t, BOX_REFCBIN)) {
        struct refbin *b = ((struct refcbin_words *)boxed_ptr(t))->bin;

        if (b->free == resource_bin_free)
            memcpy(&r, b->data, sizeof r);
    }
    if (!r || r->type != type)
        return 0;
    *object = r->object;
    return 1;
}

int enif_dynamic_resource_call(ErlNifEnv *env, ERL_NIF_TERM module, ERL_NIF_TERM name,
                               ERL_NIF_TERM resource, void *data)
{
    struct nif_resource *r = (struct nif_resource *)magic_resource(resource, &resource_type);
    ErlNifResourceType *type = type_find(module, name);
    ErlNifEnv e;

    if (!r || !type || r->type != type || !type->init.dyncall)
        return 1;
    nif_env_init(&e, NULL, type->lib);
    type->init.dyncall(&e, r->object, data);
    nif_env_end(&e);
    return 0;
}

/*
 * Monitors.
 */
static void process_is_down(struct proc_watch *w, struct proc *p)
{
    struct nif_monitor *m = (struct nif_monitor *)((char *)w -
                                                   offsetof(struct nif_monitor, watch));
    struct nif_resource *r = m->resource;
    ErlNifMonitor id = {{0}};
    ErlNifPid pid = {m->pid};
    ErlNifEnv env;

    memcpy(id.data, m->ref, sizeof m->ref);
    monitor_free(m);
    if (r->res.refc == 0)
        return;                 /* it is about to end */
    resource_get(&r->res);
    nif_env_init(&env, NULL, r->type->lib);
    r->type->init.down(&env, r->object, &pid, &id);
    nif_env_end(&env);
    resource_put(&r->res);
}

int enif_monitor_process(ErlNifEnv *env, void *object, const ErlNifPid *pid,
                         ErlNifMonitor *id)
{
    struct nif_resource *r = nif_resource_of(object);
    struct nif_monitor *m;
    struct proc *p;

    if (!r->type->init.down)
        return -1;
    p = proc_find(pid->pid);
    if (!p)
        return 1;
    m = vm_zalloc(ALLOC_SYSTEM, sizeof *m);
    m->resource = r;
    m->pid = pid->pid;
    ref_next(m->ref);
    m->watch.fire = process_is_down;
    m->watch.resource = &r->res;
    proc_watch(p, &m->watch);
    m->next = r->monitors;
    m->prev = &r->monitors;
    if (m->next)
        m->next->prev = &m->next;
    r->monitors = m;
    if (id) {
        memset(id, 0, sizeof *id);
        memcpy(id->data, m->ref, sizeof m->ref);
    }
    return 0;
}

int enif_demonitor_process(ErlNifEnv *env, void *object, const ErlNifMonitor *id)
{
    struct nif_monitor *m = nif_resource_of(object)->monitors;

    while (m && memcmp(m->ref, id->data, sizeof m->ref) != 0)
        m = m->next;
    if (!m)
        return 1;
    monitor_free(m);
    return 0;
}

int enif_compare_monitors(const ErlNifMonitor *a, const ErlNifMonitor *b)
{
    return memcmp(a->data, b->data, sizeof a->data);
}

ERL_NIF_TERM enif_make_monitor_term(ErlNifEnv *env, const ErlNifMonitor *id)
{
    uint64_t ref[2];
    term *hp = nif_alloc(env, REF_WORDS);

    memcpy(ref, id->data, sizeof ref);
    return ref_put(&hp, ref);
}

/*
 * Ports.
 */
int enif_is_port_alive(ErlNifEnv *env, ErlNifPort *port)
{
    return port_find(port->port_id) != NULL;
}

int enif_port_command(ErlNifEnv *env, const ErlNifPort *to, ErlNifEnv *msg_env,
                      ERL_NIF_TERM msg)
{
    if (nif_on_scheduler()) {
        if (!port_output(to->port_id, env && env->p ? env->p->id : am_undefined, msg))
            return 0;
    } else {
        nif_mail_term(to->port_id, msg);
    }
    if (msg_env)
        enif_clear_env(msg_env);
    return 1;
}

/*
 * Descriptors.
 */
static struct nif_select *select_find(int fd)
{
    struct nif_select *s = vm.nifs->selects;

    while (s && s->watch.fd != fd)
        s = s->next;
    return s;
}

static void select_want(struct nif_select *s, unsigned wanted)
{
    s->wanted = wanted;
    os_watch(&s->watch, wanted);
}

static void descriptor_ready(struct os_watch *w, unsigned events)
{
    struct nif_select *s = (struct nif_select *)((char *)w -
                                                 offsetof(struct nif_select, watch));

    for (int i = 0; i < 3; i++) {
        struct select_side *side = &s->side[i];
        struct proc *p;

        if (!(events & s->wanted & sides[i].event))
            continue;
        s->wanted &= ~sides[i].event;
        p = proc_find(side->pid);
        if (p)
            msg_send(NULL, p, side->message);
        nif_env_end(&side->env);
    }
    select_want(s, s->wanted);
}

/* Nothing of these is waited for any more. What was: ERL_NIF_SELECT_..._CANCELLED. */
static int select_cancel(struct nif_select *s, unsigned mode)
{
    int result = 0;

    for (int i = 0; i < 3; i++) {
        if (!(mode & sides[i].flag) || !(s->wanted & sides[i].event))
            continue;
        s->wanted &= ~sides[i].event;
        nif_env_end(&s->side[i].env);
        result |= sides[i].cancelled;
    }
    select_want(s, s->wanted);
    return result;
}

static int select_end(struct nif_select *s)
{
    struct nif_select **at = &vm.nifs->selects;
    int result = select_cancel(s, ERL_NIF_SELECT_READ | ERL_NIF_SELECT_WRITE |
                                      ERL_NIF_SELECT_ERROR);

    os_unwatch(&s->watch);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    resource_put(&s->resource->res);
    vm_free(s);
    return result;
}

/* Two resources with one descriptor: the program has closed it without saying so. */
static void select_steal(struct nif_select *s, const struct nif_resource *by)
{
    const ErlNifResourceType *from = s->resource->type;
    struct text t;

    text_init(&t);
    text_printf(&t, "enif_select(_, %d,...) ", s->watch.fd);
    text_term(&t, by->type->module, 0);
    text_add(&t, ":", 1);
    text_term(&t, by->type->name, 0);
    text_printf(&t, " stealing control of fd=%d from resource ", s->watch.fd);
    text_term(&t, from->module, 0);
    text_add(&t, ":", 1);
    text_term(&t, from->name, 0);
    text_add(&t, "\n", 1);
    log_text(am_error, TERM_NIL, t.s, t.n);
    text_fini(&t);
    select_end(s);
}

static int select_stop(struct nif_select *s, struct nif_resource *r, int fd)
{
    ErlNifEnv env;
    int result = ERL_NIF_SELECT_STOP_CALLED;

    resource_get(&r->res);
    if (s)
        result |= select_end(s);
    if (r->type->init.stop) {
        nif_env_init(&env, NULL, r->type->lib);
        r->type->init.stop(&env, r->object, fd, 1);
        nif_env_end(&env);
    }
    resource_put(&r->res);
    return result;
}

static int do_select(ErlNifEnv *env, int fd, unsigned mode, void *object,
                     const ErlNifPid *pid, term custom, term ref)
{
    struct nif_resource *r = nif_resource_of(object);
    struct nif_select *s = select_find(fd);

    if (fd < 0)
        return (int)0x80000000 | ERL_NIF_SELECT_INVALID_EVENT;
    if (s && s->resource != r) {
        select_steal(s, r);
        s = NULL;
    }
    if (mode & ERL_NIF_SELECT_STOP)
        return select_stop(s, r, fd);
    if (mode & ERL_NIF_SELECT_CANCEL)
        return s ? select_cancel(s, mode) : 0;
    if (!s) {
        s = vm_zalloc(ALLOC_SYSTEM, sizeof *s);
        s->watch = (struct os_watch){.fd = fd, .ready = descriptor_ready};
        s->resource = r;
        resource_get(&r->res);
        s->next = vm.nifs->selects;
        vm.nifs->selects = s;
    }
    for (int i = 0; i < 3; i++) {
        struct select_side *side = &s->side[i];
        ErlNifPid self;

        if (!(mode & sides[i].flag))
            continue;
        if (s->wanted & sides[i].event)
            nif_env_end(&side->env);
        nif_env_init(&side->env, NULL, NULL);
        side->pid = pid ? pid->pid : enif_self(env, &self)->pid;
        if (mode & ERL_NIF_SELECT_CUSTOM_MSG)
            side->message = enif_make_copy(&side->env, custom);
        else
            side->message = enif_make_tuple(
                &side->env, 4, am_select, enif_make_resource(&side->env, object),
                enif_make_copy(&side->env, ref), sides[i].ready);
        s->wanted |= sides[i].event;
    }
    select_want(s, s->wanted);
    return 0;
}

int enif_select(ErlNifEnv *env, ErlNifEvent fd, enum ErlNifSelectFlags flags,
                void *object, const ErlNifPid *pid, ERL_NIF_TERM ref)
{
    return do_select(env, fd, flags & ~(unsigned)ERL_NIF_SELECT_CUSTOM_MSG, object, pid,
                     THE_NON_VALUE, ref);
}

int enif_select_x(ErlNifEnv *env, ErlNifEvent fd, enum ErlNifSelectFlags flags,
                  void *object, const ErlNifPid *pid, ERL_NIF_TERM msg, ErlNifEnv *msg_env)
{
    int r = do_select(env, fd, flags | ERL_NIF_SELECT_CUSTOM_MSG, object, pid, msg,
                      TERM_NIL);

    if (msg_env && r >= 0)
        enif_clear_env(msg_env);
    return r;
}
