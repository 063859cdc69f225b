/*
 * open_port.c - open_port/2's arguments, and port_info.
 */
#include <errno.h>
#include <stdio.h>

#include "bif/bif.h"
#include "io/io.h"
#include "io/port_trace.h"
#include "vm/big.h"
#include "vm/node.h"
#include "vm/link.h"
#include "vm/ops.h"

/* Queued bytes, as OTP's defaults and limits of busy_limits_port. */
#define HIGH_DEFAULT 8192
#define LIMIT_MAX (SIZE_MAX - 1)
#define LINE_DEFAULT 512

struct strings {                    /* ends in NULL; owned */
    char **s;
    size_t n, size;
};

static void strings_add(struct strings *l, char *s)
{
    if (l->n + 1 >= l->size) {
        l->size = l->size ? l->size * 2 : 8;
        l->s = vm_realloc(l->s, l->size * sizeof *l->s);
    }
    l->s[l->n++] = s;
    l->s[l->n] = NULL;
}

static void strings_clear(struct strings *l)
{
    for (size_t i = 0; i < l->n; i++)
        vm_free(l->s[i]);
    vm_free(l->s);
    *l = (struct strings){0};
}

struct parsed {
    struct port_opts opts;
    char *name, *cd, *arg0;
    struct strings args, env;
    bool has_args;
    bool port_limits;               /* busy_limits_port: not for every driver */
};

static void parsed_clear(struct parsed *r)
{
    vm_free(r->name);
    vm_free(r->cd);
    vm_free(r->arg0);
    strings_clear(&r->args);
    strings_clear(&r->env);
}

/* Names and values of variables are lists of characters, nothing else. */
static char *env_text(term t)
{
    size_t n;

    return term_is_list(t) ? filename_bytes(t, &n) : NULL;
}

/* [{Name, Value | false}]; Name without '=' or NUL. */
static bool parse_env(struct parsed *r, term list)
{
    strings_clear(&r->env);
    for (; term_is_cons(list); list = cons_tail(list)) {
        term pair = cons_head(list), value;
        char *name, *text, *both;

        if (!term_is_tuple_of(pair, 2))
            return false;
        name = env_text(*tuple_at(pair, 1));
        if (!name)
            return false;
        value = *tuple_at(pair, 2);
        if (!*name || strchr(name, '=')) {
            vm_free(name);
            return false;
        }
        if (value == am_false || term_is_nil(value)) {
            strings_add(&r->env, name);
            continue;
        }
        text = env_text(value);
        if (!text) {
            vm_free(name);
            return false;
        }
        both = vm_alloc(ALLOC_SYSTEM, strlen(name) + strlen(text) + 2);
        strcpy(both, name);
        strcat(both, "=");
        strcat(both, text);
        vm_free(name);
        vm_free(text);
        strings_add(&r->env, both);
    }
    return term_is_nil(list);
}

static bool parse_args(struct parsed *r, term list)
{
    strings_clear(&r->args);
    r->has_args = true;
    strings_add(&r->args, NULL);    /* argument 0 */
    for (; term_is_cons(list); list = cons_tail(list)) {
        char *s = native_bytes(cons_head(list));

        if (!s)
            return false;
        strings_add(&r->args, s);
    }
    return term_is_nil(list);
}

static bool parse_limits(struct parsed *r, term t, bool port)
{
    uint64_t low = LIMIT_MAX, high = LIMIT_MAX;

    if (t != am_disabled) {
        if (!term_is_tuple_of(t, 2) || !term_to_uint64(*tuple_at(t, 1), &low) ||
            !term_to_uint64(*tuple_at(t, 2), &high) || high < 1 || low < 1 ||
            high > LIMIT_MAX || low > LIMIT_MAX)
            return false;
        if (low > high)
            low = high;
    }
    if (port) {
        r->opts.low = low;
        r->opts.high = high;
        r->port_limits = true;
    }
    return true;
}

static bool parse_pair(struct parsed *r, term option, term value)
{
    struct port_opts *o = &r->opts;
    int64_t n;

    switch (option) {
    case am_packet:
        if (!term_is_small(value))
            return false;
        n = small_value(value);
        o->packet = (unsigned)n;
        return n == 1 || n == 2 || n == 4;
    case am_line:
        if (!term_is_small(value) || small_value(value) <= 0)
            return false;
        o->line = (size_t)small_value(value);
        return o->line < UINT32_MAX;
    case am_env:
        return parse_env(r, value);
    case am_args:
        return parse_args(r, value);
    case am_arg0:
        vm_free(r->arg0);
        r->arg0 = native_bytes(value);
        r->has_args = true;
        return r->arg0 != NULL;
    case am_cd:
        if (term_is_nil(value))
            return true;
        vm_free(r->cd);
        r->cd = native_bytes(value);
        if (!r->cd)     /* found out late by OTP: badarg, not badopt */
            r->opts.cd = "";
        return true;
    case am_parallelism:
        o->parallelism = value == am_true;
        return term_is_bool(value);
    case am_busy_limits_port:
        return parse_limits(r, value, true);
    case am_busy_limits_msgq:
        return parse_limits(r, value, false);
    }
    return false;
}

static bool parse_atom(struct parsed *r, term option)
{
    struct port_opts *o = &r->opts;

    switch (option) {
    case am_stream: o->packet = 0; return true;
    case am_use_stdio: o->use_stdio = true; return true;
    case am_nouse_stdio: o->use_stdio = false; return true;
    case am_stderr_to_stdout: o->stderr_to_stdout = true; return true;
    case am_line: o->line = LINE_DEFAULT; return true;
    case am_binary: o->binary = true; return true;
    case am_in: o->in = true; return true;
    case am_out: o->out = true; return true;
    case am_eof: o->eof = true; return true;
    case am_exit_status: o->exit_status = true; return true;
    case am_hide: case am_overlapped_io: return true;
    }
    return false;
}

static bool parse_settings(struct parsed *r, term list)
{
    struct port_opts *o = &r->opts;

    *o = (struct port_opts){
        .use_stdio = true, .high = HIGH_DEFAULT, .low = HIGH_DEFAULT / 2,
    };
    for (; term_is_cons(list); list = cons_tail(list)) {
        term t = cons_head(list);

        if (term_is_tuple_of(t, 2)
                ? !parse_pair(r, *tuple_at(t, 1), *tuple_at(t, 2))
                : !parse_atom(r, t))
            return false;
    }
    if (!term_is_nil(list))
        return false;
    if (!o->in && !o->out)
        o->in = o->out = true;
    return !(o->line && o->packet) && !(o->stderr_to_stdout && !o->use_stdio);
}

static bool parse_name(struct parsed *r, term name)
{
    struct port_opts *o = &r->opts;
    char buf[48];
    term tag;

    if (term_is_atom(name) || term_is_list(name)) {
        o->kind = PORT_FILE;
        r->name = native_bytes(name);
        return r->name && *r->name;
    }
    if (!term_is_tuple(name) || tuple_arity(name) == 0)
        return false;
    tag = *tuple_at(name, 1);
    if (tag == am_fd) {
        if (tuple_arity(name) != 3 || !term_is_small(*tuple_at(name, 2)) ||
            !term_is_small(*tuple_at(name, 3)))
            return false;
        o->kind = PORT_FD;
        o->in_fd = (int)small_value(*tuple_at(name, 2));
        o->out_fd = (int)small_value(*tuple_at(name, 3));
        snprintf(buf, sizeof buf, "%d/%d", o->in_fd, o->out_fd);
        r->name = vm_alloc(ALLOC_SYSTEM, strlen(buf) + 1);
        strcpy(r->name, buf);
        return true;
    }
    if (tag == am_spawn)
        o->kind = PORT_SPAWN;
    else if (tag == am_spawn_driver)
        o->kind = PORT_SPAWN_DRIVER;
    else if (tag == am_spawn_executable)
        o->kind = PORT_SPAWN_EXECUTABLE;
    else
        return false;
    if (tuple_arity(name) != 2)
        return false;
    r->name = native_bytes(*tuple_at(name, 2));
    return r->name != NULL;
}

/* Which driver; NULL and *why when there is none. */
static const struct port_driver *driver_of(const struct port_opts *o, int *why)
{
    const struct port_driver *d = NULL;

    *why = -EINVAL;
    switch (o->kind) {
    case PORT_FD:
        return &fd_driver;
    case PORT_FILE:
        return port_driver_find("file");
    case PORT_SPAWN:
    case PORT_SPAWN_DRIVER:
        d = port_driver_find(o->name);
        if (d && (d->hidden || d->leaving))
            d = NULL;
        if (o->kind == PORT_SPAWN_DRIVER)
            return d;
        break;
    case PORT_SPAWN_EXECUTABLE:
        break;
    }
    if (!d)
        d = port_driver_find("spawn");
    if (!d)
        *why = -ENOENT;     /* an image has no other programs */
    return d;
}

BIF(erts_internal, open_port, 2)
{
    struct parsed r = {0};
    const struct port_driver *driver;
    struct port_work work;
    struct port *port;
    term result = am_badarg, *hp;
    int err;

    if (!parse_settings(&r, arg[1])) {
        result = am_badopt;
        goto out;
    }
    if (!parse_name(&r, arg[0]) || r.opts.cd)
        goto out;
    if (r.has_args && r.opts.kind != PORT_SPAWN_EXECUTABLE)
        goto out;
    if (r.opts.exit_status && r.opts.kind != PORT_SPAWN &&
        r.opts.kind != PORT_SPAWN_EXECUTABLE && r.opts.kind != PORT_SPAWN_DRIVER)
        goto out;
    if (r.has_args && r.args.n == 0)
        strings_add(&r.args, NULL);
    if (r.has_args) {
        r.args.s[0] = r.arg0;
        r.arg0 = NULL;
    }
    r.opts.name = r.name;
    r.opts.cd = r.cd;
    r.opts.args = r.has_args ? r.args.s : NULL;
    r.opts.env = r.env.s;

    driver = driver_of(&r.opts, &err);
    if (!driver) {
        if (err != -EINVAL)
            result = errno_atom(err);
        goto out;
    }
    if (r.port_limits && driver != &fd_driver && driver != port_driver_find("spawn") &&
        r.opts.kind != PORT_FILE)
        goto out;
    port = port_new(p, driver, &r.opts);
    if (!port) {
        result = am_system_limit;
        goto out;
    }
    port_trace_open(port);
    work = port_asked(port, am_open);
    err = driver->open(port, &r.opts);
    port_worked(&work);
    if (err < 0) {
        port_abandon(port);
        result = err == -EINVAL            ? am_badarg
                 : err == PORT_OPEN_EINVAL ? am_einval
                                           : errno_atom(err);
        goto out;
    }
    link_add(p->id, port->id);
    trace_tie(port->id, am_getting_linked, p->id);
    if (unlikely(p->trace & TF_PROCS))
        trace_proc(p, am_link, port->id);
    if (port->awaits_ack) {
        ref_next(port->ack);
        hp = heap_alloc(p, REF_WORDS);
        result = ref_put(&hp, port->ack);
    } else {
        result = port->id;
    }
out:
    parsed_clear(&r);
    return result;
}

void port_open_ack(struct port *port, term reason)
{
    struct proc *p = proc_find(port->owner);
    struct mbuf *m;
    term t, *hp;

    port->awaits_ack = false;
    if (reason != THE_NON_VALUE)
        link_remove(port->owner, port->id);
    if (!p)
        return;
    m = mbuf_new(REF_WORDS + 3);
    hp = m->words;
    t = ref_put(&hp, port->ack);
    t = put_tuple2(&hp, t, reason == THE_NON_VALUE ? port->id : reason);
    m->used = (size_t)(hp - m->words);
    msg_send_mbuf(p, m, t);
}

/* {Item, Value}; THE_NON_VALUE: no such item. */
static term info(struct proc *p, struct port *port, term item)
{
    term value, *hp;

    switch (item) {
    case am_id:
        value = uint64_make(p, port_number(port->id));
        break;
    case am_connected:
        value = port->owner;
        break;
    case am_links:
        value = links_list(p, port->id);
        break;
    case am_monitors:
        value = port->driver->monitors ? port->driver->monitors(port, p) : TERM_NIL;
        break;
    case am_monitored_by:
        value = links_monitored_by(p, port->id);
        break;
    case am_name:
        value = filename_chars(p, port->spawn_name, strlen(port->spawn_name));
        break;
    case am_input:
        value = uint64_make(p, port->bytes_in);
        break;
    case am_output:
        value = uint64_make(p, port->bytes_out);
        break;
    case am_os_pid:
        value = port->os_pid < 0 ? am_undefined : int64_make(p, port->os_pid);
        break;
    case am_registered_name:
        if (port->name == THE_NON_VALUE)
            return TERM_NIL;
        value = port->name;
        break;
    case am_memory:
        value = small_make((int64_t)(sizeof *port + port->line_max));
        break;
    case am_queue_size:
        value = uint64_make(p, port->driver->queued ? port->driver->queued(port) : 0);
        break;
    case am_locking:
        value = am_port_level;
        break;
    case am_parallelism:
        value = bool_make(port->parallelism);
        break;
    default:
        return THE_NON_VALUE;
    }
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, item, value);
}

/* The port to inform of; else NULL with what port_info is to return. */
static struct port *info_port(term t, term bad, term *result)
{
    struct port *port;

    if (!term_is_local_port(t) && !term_is_atom(t)) {
        *result = bad;
        return NULL;
    }
    port = port_find(t);
    *result = am_undefined;
    return port;
}

BIF(erts_internal, port_info, 1)
{
    /* Backwards: the list is built from its end. */
    static const term items[] = {
        am_os_pid, am_output, am_input, am_connected, am_id, am_links, am_name,
        am_registered_name,
    };
    struct port *port;
    term result, list = TERM_NIL, *hp;

    port = info_port(arg[0], am_badarg, &result);
    if (!port)
        return result;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
        term t = info(p, port, items[i]);

        if (term_is_nil(t))
            continue;
        hp = heap_alloc(p, CONS_WORDS);
        list = put_cons(&hp, t, list);
    }
    return list;
}

BIF(erts_internal, port_info, 2)
{
    struct port *port;
    term result;

    port = info_port(arg[0], am_badtype, &result);
    if (!port)
        return result;
    result = info(p, port, arg[1]);
    return result == THE_NON_VALUE ? am_badarg : result;
}
