/*
 * ddll.c - the module erl_ddll: loadable drivers (io/ddll.h). An image has none:
 * nothing can be loaded, and the VM's own drivers are all there are.
 */
#include "bif/bif.h"
#include "io/ddll.h"
#include "io/io.h"
#include "io/port.h"
#include "vm/node.h"
#include "vm/ops.h"

const struct ddll *ddll;

/*
 * A driver's name, an atom or characters, as bytes; or a directory, which may be
 * a binary. NUL-terminated, vm_alloc'ed; NULL if it is neither.
 */
static char *text_of(term t, bool binary)
{
    size_t n;

    if (term_is_atom(t) || term_is_list(t))
        return filename_bytes(t, &n);
    return binary ? native_bytes(t) : NULL;
}

static bool parse_when(term t, enum ddll_when *when)
{
    *when = t == am_pending          ? DDLL_PENDING
            : t == am_pending_driver ? DDLL_PENDING_DRIVER
                                     : DDLL_NOT;
    return *when != DDLL_NOT;
}

struct load_options {
    bool kill_ports;
    enum ddll_when monitor, reload;
};

static bool parse_load_options(term l, struct load_options *o)
{
    *o = (struct load_options){0};
    for (; term_is_cons(l); l = cons_tail(l)) {
        term opt = cons_head(l), value;

        if (!term_is_tuple_of(opt, 2))
            return false;
        value = *tuple_at(opt, 2);
        switch (*tuple_at(opt, 1)) {
        case am_driver_options:
            for (; term_is_cons(value); value = cons_tail(value)) {
                if (cons_head(value) != am_kill_ports)
                    return false;
                o->kill_ports = true;
            }
            if (!term_is_nil(value))
                return false;
            break;
        case am_monitor:
            if (!parse_when(value, &o->monitor))
                return false;
            break;
        case am_reload:
            if (!parse_when(value, &o->reload))
                return false;
            break;
        default:
            return false;
        }
    }
    return term_is_nil(l);
}

static term failed(struct proc *p, term why)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, am_error, why);
}

static bool is_vm_driver(const char *name)
{
    for (const struct port_driver *d = port_driver_next(NULL); d; d = port_driver_next(d))
        if (strcmp(d->name, name) == 0)
            return true;
    return false;
}

/* Directory/Name, without slashes too many. */
static char *joined(const char *directory, const char *name)
{
    size_t n = strlen(directory);
    char *path = vm_alloc(ALLOC_SYSTEM, n + strlen(name) + 2);

    while (n > 0 && directory[n - 1] == '/')
        n--;
    memcpy(path, directory, n);
    path[n] = '/';
    strcpy(path + n + 1, name);
    return path;
}

BIF(erl_ddll, try_load, 3)
{
    struct load_options o;
    char *directory, *name = NULL, *path;
    term result;

    if (!parse_load_options(arg[2], &o))
        return bif_badarg(p);
    directory = text_of(arg[0], true);
    if (directory)
        name = text_of(arg[1], false);
    if (!name || !*name) {
        result = bif_badarg(p);
    } else if (ddll) {
        path = joined(directory, name);
        result = ddll->try_load(p, path, name, o.kill_ports, o.monitor, o.reload);
        vm_free(path);
    } else {
        result = failed(p, is_vm_driver(name) ? am_linked_in_driver : am_no_ddll_available);
    }
    vm_free(directory);
    vm_free(name);
    return result;
}

BIF(erl_ddll, try_unload, 2)
{
    enum ddll_when monitor = DDLL_NOT;
    bool kill_ports = false;
    term l = arg[1], result;
    char *name;

    for (; term_is_cons(l); l = cons_tail(l)) {
        term opt = cons_head(l);

        if (opt == am_kill_ports)
            kill_ports = true;
        else if (!term_is_tuple_of(opt, 2) || *tuple_at(opt, 1) != am_monitor ||
                 !parse_when(*tuple_at(opt, 2), &monitor))
            return bif_badarg(p);
    }
    name = term_is_nil(l) ? text_of(arg[0], false) : NULL;
    if (!name)
        return bif_badarg(p);
    result = ddll ? ddll->try_unload(p, name, kill_ports, monitor)
                  : failed(p, is_vm_driver(name) ? am_linked_in_driver : am_not_loaded);
    vm_free(name);
    return result;
}

BIF(erl_ddll, loaded_drivers, 0)
{
    term list = TERM_NIL, *hp;

    for (const struct port_driver *d = port_driver_next(NULL); d; d = port_driver_next(d)) {
        term name = filename_chars(p, d->name, strlen(d->name));

        hp = heap_alloc(p, CONS_WORDS);
        list = put_cons(&hp, name, list);
    }
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_ok, list);
}

/* What there is to say of the VM's own. */
static term own_info(term item)
{
    switch (item) {
    case am_linked_in_driver:
        return am_true;
    case am_permanent:
        return am_false;
    case am_processes: case am_driver_options: case am_port_count: case am_awaiting_load:
    case am_awaiting_unload:
        return am_linked_in_driver;
    }
    return THE_NON_VALUE;
}

BIF(erl_ddll, info, 2)
{
    char *name = term_is_atom(arg[1]) ? text_of(arg[0], false) : NULL;
    const struct port_driver *d = name ? port_driver_next(NULL) : NULL;
    term result = THE_NON_VALUE;

    while (d && strcmp(d->name, name) != 0)
        d = port_driver_next(d);
    if (d)
        result = ddll ? ddll->info(p, d, arg[1]) : own_info(arg[1]);
    vm_free(name);
    return result == THE_NON_VALUE ? bif_badarg(p) : result;
}

/* Texts of what the functions above and OTP's own answer. */
static const char *error_text(term code)
{
    switch (code) {
    case am_not_loaded: return "DDLL driver is not loaded";
    case am_inconsistent: return "Driver name or options differ from the loaded driver's";
    case am_linked_in_driver: return "Driver is part of the VM";
    case am_permanent: return "DDLL driver is permanent";
    case am_not_loaded_by_this_process: return "DDLL driver was loaded by another process";
    case am_not_pending: return "DDLL driver is not being loaded";
    case am_already_loaded: return "DDLL driver is loaded already";
    case am_pending_reload: return "DDLL driver is being reloaded already";
    case am_pending_process: return "DDLL driver is in use by other processes";
    case am_no_error: return "No error";
    case am_no_driver_init: return "No driver init in the driver";
    case am_driver_init_failed: return "Driver init failed";
    case am_bad_driver_name: return "Bad driver name";
    case am_driver_name_to_long: return "Driver name too long";
    case am_driver_incorrect_version: return "Driver compiled for another version";
    case am_no_ddll_available: return "DDLL functionality not available";
    case am_unspecified_error: return "Unspecified dynamic library error";
    case am_symbol_not_found: return "Symbol not found";
    }
    if (term_is_tuple_of(code, 2) && *tuple_at(code, 1) == am_open_error &&
        term_is_small(*tuple_at(code, 2))) {
        const char *why = ddll ? ddll->open_error(small_value(*tuple_at(code, 2))) : NULL;

        return why ? why : "Unspecified error";
    }
    return NULL;
}

BIF(erl_ddll, format_error_int, 1)
{
    const char *s = error_text(arg[0]);

    return s ? filename_chars(p, s, strlen(s)) : bif_badarg(p);
}

void ddll_notify(struct proc *p, const uint64_t ref[2], term type, term name, term why)
{
    struct mbuf *frag = mbuf_new(REF_WORDS + term_size(name) + term_size(why) + 6);
    struct dest d = {frag->words, &frag->off};
    term r, *t;

    name = term_copy(&d, name);
    why = term_copy(&d, why);
    r = ref_put(&d.htop, ref);
    t = d.htop;
    t[0] = TUPLE_HEADER(5);
    t[1] = type;
    t[2] = r;
    t[3] = am_driver;
    t[4] = name;
    t[5] = why;
    frag->used = (size_t)(t + 6 - frag->words);
    msg_send_mbuf(p, frag, boxed_make(t));
}

/* There is nothing to wait for: the VM's own stay, others are not there. */
static term own_monitor(struct proc *p, term name, const char *driver)
{
    bool ours = is_vm_driver(driver);
    uint64_t ref[2];
    term *hp;

    ref_next(ref);
    ddll_notify(p, ref, ours ? am_UP : am_DOWN, name, ours ? am_permanent : am_unloaded);
    hp = heap_alloc(p, REF_WORDS);
    return ref_put(&hp, ref);
}

BIF(erl_ddll, monitor, 2)
{
    enum ddll_await what;
    term name, result;
    char *driver;

    if (arg[0] != am_driver || !term_is_tuple_of(arg[1], 2))
        return bif_badarg(p);
    name = *tuple_at(arg[1], 1);
    switch (*tuple_at(arg[1], 2)) {
    case am_loaded: what = DDLL_AWAIT_LOAD; break;
    case am_unloaded: what = DDLL_AWAIT_UNLOAD; break;
    case am_unloaded_only: what = DDLL_AWAIT_UNLOAD_ONLY; break;
    default: return bif_badarg(p);
    }
    driver = text_of(name, false);
    if (!driver)
        return bif_badarg(p);
    result = ddll ? ddll->monitor(p, name, driver, what) : own_monitor(p, name, driver);
    vm_free(driver);
    return result;
}

BIF(erl_ddll, demonitor, 1)
{
    if (!term_is_local_ref(arg[0]))
        return bif_badarg(p);
    if (ddll)
        ddll->demonitor(p, ref_numbers(arg[0]));
    return am_true;
}
