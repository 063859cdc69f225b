/*
 * ddll.c - loading libraries of drivers, who uses them, unloading.
 *
 *    LIB_OK          loaded, used
 *    LIB_UNLOAD      nobody has it loaded; goes when its last port does
 *    LIB_RELOAD      the same, to be loaded again at once, for those who have it
 *                    loaded: they are set aside until then
 *    LIB_FORCE_...   as these, and its ports are being killed: no new ones
 *    LIB_PERMANENT   stays
 *
 * A library is unloaded between slices, never below a callback of its own.
 */
#include <dlfcn.h>

#include "io/drv/drv.h"

#include "bif/info.h"
#include "vm/atom.h"
#include "vm/node.h"
#include "vm/ops.h"

enum user_what { USER_LOADED, USER_AWAIT_LOAD, USER_AWAIT_UNLOAD, USER_AWAIT_UNLOAD_ONLY };
struct library_user {
    struct proc_watch watch;
    struct library_user *next, **prev;
    struct library *lib;
    term pid;
    enum user_what what;
    bool aside;                 /* USER_LOADED: counts only after the reload */
    uint64_t ref[2];            /* of who waits */
};

/* What dlerror() said, by number: {error, {open_error, FIRST - I}}. */
#define OPEN_ERROR_FIRST (-10)
static struct {
    char **text;
    size_t n;
} open_errors;

static char *copy_of(const char *s)
{
    return strcpy(vm_alloc(ALLOC_SYSTEM, strlen(s) + 1), s);
}

static term open_error(const char *why)
{
    size_t i = 0;

    while (i < open_errors.n && strcmp(open_errors.text[i], why) != 0)
        i++;
    if (i == open_errors.n) {
        size_t bytes = (i + 1) * sizeof *open_errors.text;

        open_errors.text = open_errors.text ? vm_realloc(open_errors.text, bytes)
                                            : vm_alloc(ALLOC_SYSTEM, bytes);
        open_errors.text[open_errors.n++] = copy_of(why);
    }
    return small_make(OPEN_ERROR_FIRST - (int64_t)i);
}

static const char *open_error_text(int64_t number)
{
    int64_t i = OPEN_ERROR_FIRST - number;

    return i >= 0 && (uint64_t)i < open_errors.n ? open_errors.text[i] : NULL;
}

/* What loading says, as Erlang does. A number is one of the above. */
static term load_error(struct proc *p, term error)
{
    term *hp;

    if (term_is_atom(error))
        return error;
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_open_error, error);
}

/*
 * Users.
 */
static void user_gone(struct library_user *u);

static void user_exits(struct proc_watch *w, struct proc *p)
{
    user_gone((struct library_user *)((char *)w - offsetof(struct library_user, watch)));
}

static struct library_user *user_add(struct library *lib, struct proc *p, enum user_what what)
{
    struct library_user *u = vm_zalloc(ALLOC_SYSTEM, sizeof *u);

    u->lib = lib;
    u->pid = p->id;
    u->what = what;
    u->watch.fire = user_exits;
    proc_watch(p, &u->watch);
    u->next = lib->users;
    u->prev = &lib->users;
    if (u->next)
        u->next->prev = &u->next;
    lib->users = u;
    return u;
}

static void user_remove(struct library_user *u)
{
    proc_unwatch(&u->watch);
    *u->prev = u->next;
    if (u->next)
        u->next->prev = u->prev;
    vm_free(u);
}

static struct library_user *user_find(struct library *lib, term pid)
{
    struct library_user *u = lib->users;

    while (u && (u->pid != pid || u->what != USER_LOADED))
        u = u->next;
    return u;
}

/* How often it is loaded. */
static size_t loads(const struct library *lib)
{
    size_t n = 0;

    for (const struct library_user *u = lib->users; u; u = u->next)
        n += u->what == USER_LOADED;
    return n;
}

static term monitor_new(struct library *lib, struct proc *p, enum user_what what)
{
    struct library_user *u = user_add(lib, p, what);
    term *hp = heap_alloc(p, REF_WORDS);

    ref_next(u->ref);
    return ref_put(&hp, u->ref);
}

static void notify(const struct library_user *u, term type, term name, term why)
{
    struct proc *p = proc_find(u->pid);

    if (p)
        ddll_notify(p, u->ref, type, name, why);
}

/* All who wait for this hear something else instead. */
static void notify_all(struct library *lib, enum user_what what, term type, term why)
{
    term name = driver_mk_atom((char *)(uintptr_t)lib->driver->pd.name);

    for (struct library_user *u = lib->users, *next; u; u = next) {
        next = u->next;
        if (u->what == what) {
            notify(u, type, name, why);
            user_remove(u);
        }
    }
}

/*
 * Loading and unloading.
 */
static bool version_ok(const ErlDrvEntry *e)
{
    return e->extended_marker == (int)ERL_DRV_EXTENDED_MARKER &&
           e->major_version >= ERL_DRV_MIN_REQUIRED_MAJOR_VERSION_ON_LOAD &&
           (e->major_version < ERL_DRV_EXTENDED_MAJOR_VERSION ||
            (e->major_version == ERL_DRV_EXTENDED_MAJOR_VERSION &&
             e->minor_version <= ERL_DRV_EXTENDED_MINOR_VERSION));
}

/* am_ok, or why not: lib is as before. */
static term library_open(struct library *lib, const char *path, const char *name)
{
    char *file = vm_alloc(ALLOC_SYSTEM, strlen(path) + 4);
    ErlDrvEntry *(*init)(void);
    ErlDrvEntry *e;
    void *handle;
    term result;
    int err;

    strcpy(file, path);
    strcat(file, ".so");
    handle = dlopen(file, RTLD_NOW);
    vm_free(file);
    if (!handle)
        return open_error(dlerror());
    init = (ErlDrvEntry * (*)(void))(uintptr_t)dlsym(handle, "driver_init");
    e = init ? init() : NULL;
    result = !init                              ? am_no_driver_init
             : !e                               ? am_driver_init_failed
             : !version_ok(e)                   ? am_driver_incorrect_version
             : strcmp(name, e->driver_name) != 0 ? am_bad_driver_name
                                                 : am_ok;
    if (result == am_ok) {
        lib->handle = handle;
        lib->driver = driver_new(e, lib, &err);
        if (lib->driver) {
            lib->path = copy_of(path);
            lib->status = LIB_OK;
            info_taint(driver_mk_atom(e->driver_name));
            return am_ok;
        }
        result = am_driver_init_failed;
    }
    dlclose(handle);
    return result;
}

static void library_close(struct library *lib)
{
    void (*finish)(void) = lib->driver->entry->finish;

    if (finish)
        finish();
    driver_delete(lib->driver);
    dlclose(lib->handle);
    lib->driver = NULL;
    vm_free(lib->path);
    lib->path = NULL;
}

static void library_free(struct library *lib)
{
    while (lib->users)
        user_remove(lib->users);
    vm_free(lib->path);
    vm_free(lib->reload_path);
    vm_free(lib);
}

static void reload(struct library *lib, const char *name, term name_atom)
{
    char *path = lib->reload_path;
    term result;

    lib->reload_path = NULL;
    result = library_open(lib, path, name);
    vm_free(path);
    lib->kill_ports = lib->reload_kill_ports;
    for (struct library_user *u = lib->users, *next; u; u = next) {
        next = u->next;
        if (u->what == USER_LOADED && result == am_ok) {
            lib->refs++;
            u->aside = false;
        } else if (u->what == USER_AWAIT_LOAD) {
            if (result == am_ok) {
                notify(u, am_UP, name_atom, am_loaded);
            } else {
                term words[6], *hp = words, why = result;

                if (!term_is_atom(why))
                    why = put_tuple2(&hp, am_open_error, why);
                notify(u, am_DOWN, name_atom, put_tuple2(&hp, am_load_failure, why));
            }
            user_remove(u);
        }
    }
    if (result != am_ok)
        library_free(lib);
}

static void library_is_unused(void *arg)
{
    struct library *lib = arg;
    bool again = lib->status == LIB_RELOAD || lib->status == LIB_FORCE_RELOAD;
    char *name;
    term atom;

    lib->going = false;
    if (lib->refs > 0)
        return;
    name = copy_of(lib->driver->pd.name);
    atom = driver_mk_atom(name);
    library_close(lib);
    for (struct library_user *u = lib->users, *next; u; u = next) {
        next = u->next;
        if (u->what == USER_AWAIT_UNLOAD || u->what == USER_AWAIT_UNLOAD_ONLY) {
            notify(u, am_DOWN, atom, am_unloaded);
            user_remove(u);
        }
    }
    if (again)
        reload(lib, name, atom);
    else
        library_free(lib);
    vm_free(name);
}

void library_get(struct library *lib) { lib->refs++; }

void library_put(struct library *lib)
{
    if (--lib->refs == 0 && !lib->going) {
        lib->going = true;
        nif_call_later(library_is_unused, lib);
    }
}

static void set_status(struct library *lib, enum library_status status)
{
    lib->status = status;
    lib->driver->pd.leaving = status == LIB_FORCE_UNLOAD || status == LIB_FORCE_RELOAD;
}

void library_lock(struct library *lib)
{
    if (lib->status == LIB_PERMANENT)
        return;
    for (enum user_what w = USER_AWAIT_LOAD; w <= USER_AWAIT_UNLOAD_ONLY; w++)
        notify_all(lib, w, am_UP, am_permanent);
    while (lib->users)
        user_remove(lib->users);
    library_get(lib);
    set_status(lib, LIB_PERMANENT);
}

/* All of its ports end; new ones are refused until it is gone, or there again. */
static void kill_ports_of(struct library *lib, enum library_status status)
{
    struct port *port, *next;

    library_get(lib);
    set_status(lib, status);
    for (port = port_next(NULL); port; port = next) {
        next = port_next(port);
        if (port->driver == &lib->driver->pd)
            driver_failure_atom(port->state, "driver_unloaded");
    }
    library_put(lib);
}

/* Nobody has it loaded any more: a reload will not be. */
static void begin_unload(struct library *lib)
{
    if (lib->status == LIB_RELOAD || lib->status == LIB_FORCE_RELOAD) {
        notify_all(lib, USER_AWAIT_LOAD, am_DOWN, am_load_cancelled);
        vm_free(lib->reload_path);
        lib->reload_path = NULL;
    }
    set_status(lib, LIB_UNLOAD);
}

static void user_gone(struct library_user *u)
{
    struct library *lib = u->lib;
    bool loaded = u->what == USER_LOADED, counts = loaded && !u->aside;

    user_remove(u);
    /* One more, until all is done. */
    library_get(lib);
    if (counts)
        library_put(lib);
    if (loaded && loads(lib) == 0) {
        begin_unload(lib);
        if (lib->ports > 0 && lib->kill_ports)
            kill_ports_of(lib, LIB_FORCE_UNLOAD);
    }
    library_put(lib);
}

/*
 * erl_ddll's functions.
 */
static term answer(struct proc *p, term tag, term value, term ref)
{
    term *hp = heap_alloc(p, 4);

    if (ref != THE_NON_VALUE)
        return put_tuple3(&hp, tag, value, ref);
    heap_trim(p, hp + 3);
    return put_tuple2(&hp, tag, value);
}

static term refuse(struct proc *p, term why)
{
    return answer(p, am_error, why, THE_NON_VALUE);
}

static struct port_driver *driver_called(const char *name)
{
    struct port_driver *d = port_driver_next(NULL);

    while (d && strcmp(d->name, name) != 0)
        d = port_driver_next(d);
    return d;
}

static term load_new(struct proc *p, const char *path, const char *name, bool kill_ports)
{
    struct library *lib = vm_zalloc(ALLOC_SYSTEM, sizeof *lib);
    term result = library_open(lib, path, name);

    if (result != am_ok) {
        library_free(lib);
        return refuse(p, load_error(p, result));
    }
    lib->kill_ports = kill_ports;
    user_add(lib, p, USER_LOADED);
    library_get(lib);
    return answer(p, am_ok, am_loaded, THE_NON_VALUE);
}

/* lib is in use, and p wants it loaded again. */
static term load_again(struct proc *p, struct library *lib, const char *path, bool kill_ports,
                       enum ddll_when monitor, enum ddll_when when)
{
    struct library_user *u = user_find(lib, p->id);
    term ref = THE_NON_VALUE;

    if (when == DDLL_PENDING_DRIVER && (!u || loads(lib) != 1))
        return refuse(p, am_pending_process);
    if (lib->kill_ports != kill_ports)
        return refuse(p, am_inconsistent);
    if (!u)
        return refuse(p, am_not_loaded_by_this_process);
    set_status(lib, LIB_RELOAD);
    lib->reload_path = copy_of(path);
    lib->reload_kill_ports = kill_ports;
    library_get(lib);
    for (u = lib->users; u; u = u->next) {
        if (u->what == USER_LOADED && !u->aside) {
            u->aside = true;
            library_put(lib);
        }
    }
    if (lib->kill_ports)
        kill_ports_of(lib, LIB_FORCE_RELOAD);
    library_put(lib);
    if (monitor)
        ref = monitor_new(lib, p, USER_AWAIT_LOAD);
    return answer(p, am_ok, when == DDLL_PENDING_DRIVER ? am_pending_driver : am_pending_process,
                  ref);
}

static term try_load(struct proc *p, const char *path, const char *name, bool kill_ports,
                     enum ddll_when monitor, enum ddll_when when)
{
    struct port_driver *pd = driver_called(name);
    struct driver *d = driver_of_library(pd);
    struct library *lib = d ? d->lib : NULL;

    if (!pd)
        return when ? refuse(p, am_not_loaded) : load_new(p, path, name, kill_ports);
    if (!lib)
        return refuse(p, am_linked_in_driver);
    switch (lib->status) {
    case LIB_PERMANENT:
        return refuse(p, am_permanent);
    case LIB_RELOAD:
    case LIB_FORCE_RELOAD:
        if (when)
            return refuse(p, am_pending_reload);
        if (strcmp(lib->reload_path, path) != 0 || lib->reload_kill_ports != kill_ports)
            return refuse(p, am_inconsistent);
        user_add(lib, p, USER_LOADED)->aside = true;
        return answer(p, am_ok, am_pending_driver, monitor_new(lib, p, USER_AWAIT_LOAD));
    case LIB_OK:
        if (when)
            return load_again(p, lib, path, kill_ports, monitor, when);
        break;
    case LIB_UNLOAD:
    case LIB_FORCE_UNLOAD:
        if (when)
            return refuse(p, am_not_loaded_by_this_process);
        break;
    }
    if (strcmp(lib->path, path) != 0 || lib->kill_ports != kill_ports)
        return refuse(p, am_inconsistent);
    if (lib->status != LIB_OK) {
        set_status(lib, LIB_OK);
        notify_all(lib, USER_AWAIT_UNLOAD, am_UP, am_unload_cancelled);
    }
    user_add(lib, p, USER_LOADED);
    library_get(lib);
    return answer(p, am_ok, am_already_loaded, THE_NON_VALUE);
}

static term try_unload(struct proc *p, const char *name, bool kill_ports,
                       enum ddll_when monitor)
{
    struct port_driver *pd = driver_called(name);
    struct driver *d = driver_of_library(pd);
    struct library *lib = d ? d->lib : NULL;
    struct library_user *u;
    term result, ref = THE_NON_VALUE;

    if (!pd)
        return refuse(p, am_not_loaded);
    if (!lib)
        return refuse(p, am_linked_in_driver);
    if (lib->status == LIB_PERMANENT)
        return refuse(p, am_permanent);
    kill_ports |= lib->kill_ports;
    u = user_find(lib, p->id);
    if (!u && loads(lib) > 0)
        return refuse(p, am_not_loaded_by_this_process);
    library_get(lib);
    if (u) {
        if (!u->aside)
            library_put(lib);
        user_remove(u);
    }
    if (loads(lib) > 0) {
        result = am_pending_process;
        /* To wait for the driver alone is not to wait for others. */
        if (monitor == DDLL_PENDING)
            ref = monitor_new(lib, p, USER_AWAIT_UNLOAD);
    } else {
        result = am_pending_driver;
        begin_unload(lib);
        if (kill_ports && lib->ports > 0)
            kill_ports_of(lib, LIB_FORCE_UNLOAD);
        if (monitor)
            ref = monitor_new(lib, p, USER_AWAIT_UNLOAD);
    }
    library_put(lib);
    return answer(p, am_ok, result, ref);
}

/* [{Pid, Count}] of who is this to lib. */
static term users_list(struct proc *p, struct library *lib, enum user_what what)
{
    term list = TERM_NIL;

    for (struct library_user *u = lib->users; u; u = u->next) {
        struct library_user *o;
        int64_t n = 0;
        term *hp, t;

        /* Each pid once, where it is first. */
        for (o = lib->users; o; o = o->next) {
            enum user_what w = o->what == USER_AWAIT_UNLOAD_ONLY ? USER_AWAIT_UNLOAD : o->what;

            if (w != what || o->pid != u->pid)
                continue;
            if (n++ == 0 && o != u)
                break;
        }
        if (o || n == 0)
            continue;
        hp = heap_alloc(p, 3 + CONS_WORDS);
        t = put_tuple2(&hp, u->pid, small_make(n));
        list = put_cons(&hp, t, list);
    }
    return list;
}

static term info(struct proc *p, const struct port_driver *pd, term item)
{
    struct driver *d = driver_of_library(pd);
    struct library *lib = d ? d->lib : NULL;
    bool permanent = lib && lib->status == LIB_PERMANENT;
    enum user_what what;
    term *hp;

    switch (item) {
    case am_linked_in_driver:
        return bool_make(!lib);
    case am_permanent:
        return bool_make(permanent);
    case am_driver_options:
        if (!lib)
            return am_linked_in_driver;
        if (!lib->kill_ports)
            return TERM_NIL;
        hp = heap_alloc(p, CONS_WORDS);
        return put_cons(&hp, am_kill_ports, TERM_NIL);
    case am_port_count:
        return !lib ? am_linked_in_driver : permanent ? am_permanent : small_make(lib->ports);
    case am_processes:
        what = USER_LOADED;
        break;
    case am_awaiting_load:
        what = USER_AWAIT_LOAD;
        break;
    case am_awaiting_unload:
        what = USER_AWAIT_UNLOAD;
        break;
    default:
        return THE_NON_VALUE;
    }
    return !lib ? am_linked_in_driver : permanent ? am_permanent : users_list(p, lib, what);
}

static term monitor(struct proc *p, term name, const char *driver, enum ddll_await what)
{
    struct port_driver *pd = driver_called(driver);
    struct driver *d = driver_of_library(pd);
    struct library *lib = d ? d->lib : NULL;
    term type, why, *hp;
    uint64_t ref[2];

    if (!pd) {
        type = am_DOWN;
        why = am_unloaded;
    } else if (!lib || lib->status == LIB_PERMANENT) {
        type = am_UP;
        why = am_permanent;
    } else if (what != DDLL_AWAIT_LOAD) {
        return monitor_new(lib, p, what == DDLL_AWAIT_UNLOAD ? USER_AWAIT_UNLOAD
                                                             : USER_AWAIT_UNLOAD_ONLY);
    } else if (lib->status == LIB_OK) {
        type = am_UP;
        why = am_loaded;
    } else if (lib->status == LIB_UNLOAD || lib->status == LIB_FORCE_UNLOAD) {
        type = am_DOWN;
        why = am_load_cancelled;
    } else {
        return monitor_new(lib, p, USER_AWAIT_LOAD);
    }
    ref_next(ref);
    ddll_notify(p, ref, type, name, why);
    hp = heap_alloc(p, REF_WORDS);
    return ref_put(&hp, ref);
}

static void demonitor(struct proc *p, const uint64_t ref[2])
{
    for (struct port_driver *pd = port_driver_next(NULL); pd; pd = port_driver_next(pd)) {
        struct driver *d = driver_of_library(pd);
        struct library_user *u = d && d->lib ? d->lib->users : NULL;

        while (u && (u->what == USER_LOADED || u->pid != p->id || u->ref[0] != ref[0] ||
                     u->ref[1] != ref[1]))
            u = u->next;
        if (u) {
            user_remove(u);
            return;
        }
    }
}

static const struct ddll hosted = {
    .try_load = try_load,
    .try_unload = try_unload,
    .info = info,
    .monitor = monitor,
    .demonitor = demonitor,
    .open_error = open_error_text,
};

void ddll_init(void)
{
    ddll = &hosted;
}
