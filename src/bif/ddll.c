/*
 * ddll.c - the module erl_ddll: there are no loadable drivers, and nothing is
 * loaded.
 */
#include "bif/bif.h"
#include "io/io.h"
#include "vm/node.h"
#include "vm/ops.h"

/* A driver's name: an atom or characters. */
static bool is_name(term t)
{
    char *s;
    size_t n;

    if (term_is_atom(t))
        return true;
    s = term_is_list(t) ? filename_bytes(t, &n) : NULL;
    vm_free(s);
    return s != NULL;
}

static bool is_path(term t)
{
    struct binbytes b;

    if (binary_bytes(t, &b)) {
        bool ok = !memchr(b.data, 0, b.size);

        binary_bytes_end(&b);
        return ok;
    }
    return is_name(t);
}

static bool is_pending(term t)
{
    return t == am_pending || t == am_pending_driver;
}

static bool load_options_ok(term l)
{
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
            }
            if (!term_is_nil(value))
                return false;
            break;
        case am_monitor:
        case am_reload:
            if (!is_pending(value))
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

BIF(erl_ddll, try_load, 3)
{
    if (!load_options_ok(arg[2]) || !is_name(arg[1]) || !is_path(arg[0]))
        return bif_badarg(p);
    return failed(p, am_not_supported);
}

BIF(erl_ddll, try_unload, 2)
{
    term l = arg[1];

    for (; term_is_cons(l); l = cons_tail(l)) {
        term opt = cons_head(l);

        if (opt != am_kill_ports &&
            !(term_is_tuple_of(opt, 2) && *tuple_at(opt, 1) == am_monitor &&
              is_pending(*tuple_at(opt, 2))))
            return bif_badarg(p);
    }
    if (!term_is_nil(l) || !is_name(arg[0]))
        return bif_badarg(p);
    return failed(p, am_not_loaded);
}

BIF(erl_ddll, loaded_drivers, 0)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, am_ok, TERM_NIL);
}

BIF(erl_ddll, info, 2)
{
    return bif_badarg(p);       /* no such driver */
}

/* Texts of what the functions above and OTP's own answer. */
static const char *error_text(term code)
{
    switch (code) {
    case am_not_supported: return "Loadable drivers are not supported";
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
        term_is_small(*tuple_at(code, 2)))
        return "Driver could not be opened";
    return NULL;
}

BIF(erl_ddll, format_error_int, 1)
{
    const char *s = error_text(arg[0]);

    return s ? filename_chars(p, s, strlen(s)) : bif_badarg(p);
}

/* {'DOWN', Ref, driver, Name, Why}: at once, as the driver is not there. */
BIF(erl_ddll, monitor, 2)
{
    uint64_t numbers[2];
    struct mbuf *frag;
    struct dest d;
    term what, name, copy, *hp;

    if (arg[0] != am_driver || !term_is_tuple_of(arg[1], 2))
        return bif_badarg(p);
    name = *tuple_at(arg[1], 1);
    what = *tuple_at(arg[1], 2);
    if (!is_name(name) ||
        (what != am_loaded && what != am_unloaded && what != am_unloaded_only))
        return bif_badarg(p);
    ref_next(numbers);
    frag = mbuf_new(REF_WORDS + term_size(name) + 6);
    d = (struct dest){frag->words, &frag->off};
    name = term_copy(&d, name);
    copy = ref_put(&d.htop, numbers);
    d.htop[0] = TUPLE_HEADER(5);
    d.htop[1] = am_DOWN;
    d.htop[2] = copy;
    d.htop[3] = am_driver;
    d.htop[4] = name;
    d.htop[5] = what == am_loaded ? am_load_cancelled : am_unloaded;
    copy = boxed_make(d.htop);
    frag->used = (size_t)(d.htop + 6 - frag->words);
    msg_send_mbuf(p, frag, copy);
    hp = heap_alloc(p, REF_WORDS);
    return ref_put(&hp, numbers);
}

/* Every monitor has fired. */
BIF(erl_ddll, demonitor, 1)
{
    return term_is_local_ref(arg[0]) ? am_true : bif_badarg(p);
}
