/*
 * port.c - the table of ports, their protocol with processes, their end.
 *
 * Ports are never touched by two at once: drivers run in os_wait(), between
 * slices, and processes in their BIFs.
 */
#include <errno.h>

#include "bif/bif.h"
#include "bif/build.h"
#include "bif/info.h"
#include "io/io.h"
#include "io/port_trace.h"
#include "os/os.h"
#include "vm/link.h"
#include "vm/log.h"
#include "vm/ops.h"
#include "vm/print.h"
#include "vm/sysmon.h"
#include "vm/timer.h"

#define PORTS_MAX 65536     /* as many as OTP's +Q default */
#define TABLE_MIN 64        /* buckets */
#define PORT_NUMBER_MAX (((uint32_t)1 << 28) - 1)   /* OTP's; then from 0 again */

struct port_table {
    struct port **bucket;
    size_t mask, count, open;
    struct port *first, **last; /* all, in the order they were opened */
    uint32_t next;              /* number of the next port, or the first free behind */
    struct port_driver *drivers;
};

void port_init(void)
{
    struct port_table *t = vm_zalloc(ALLOC_SYSTEM, sizeof *t);

    t->mask = TABLE_MIN - 1;
    t->bucket = vm_zalloc(ALLOC_SYSTEM, TABLE_MIN * sizeof *t->bucket);
    t->last = &t->first;
    vm.ports = t;
    port_driver_add(&fd_driver);
    port_driver_add(&ttysl_driver);
    port_driver_add(&ram_file_driver);
    port_driver_add(&udp_inet_driver);
    port_driver_add(&tcp_inet_driver);
    nif_init();
}

void port_driver_add(struct port_driver *d)
{
    d->next = vm.ports->drivers;
    vm.ports->drivers = d;
}

void port_driver_remove(struct port_driver *d)
{
    struct port_driver **at = &vm.ports->drivers;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
}

struct port_driver *port_driver_next(const struct port_driver *after)
{
    struct port_driver *d = after ? after->next : vm.ports->drivers;

    while (d && d->hidden)
        d = d->next;
    return d;
}

/* {spawn, "name arguments"}: the first word says which. */
struct port_driver *port_driver_find(const char *name)
{
    size_t n = strcspn(name, " ");

    for (struct port_driver *d = vm.ports->drivers; d; d = d->next)
        if (strlen(d->name) == n && memcmp(d->name, name, n) == 0)
            return d;
    return NULL;
}

static void table_grow(struct port_table *t)
{
    size_t size = (t->mask + 1) * 2;
    struct port **bucket = vm_zalloc(ALLOC_SYSTEM, size * sizeof *bucket);

    for (size_t i = 0; i <= t->mask; i++) {
        for (struct port *p = t->bucket[i], *next; p; p = next) {
            struct port **at = &bucket[port_number(p->id) & (size - 1)];

            next = p->next;
            p->next = *at;
            *at = p;
        }
    }
    vm_free(t->bucket);
    t->bucket = bucket;
    t->mask = size - 1;
}

/* Take it out of the table and free it. */
static void dispose(struct port *port)
{
    struct port_table *t = vm.ports;
    struct port **at = &t->bucket[port_number(port->id) & t->mask];

    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    *port->all_prev = port->all_next;
    if (port->all_next)
        port->all_next->all_prev = port->all_prev;
    else
        t->last = port->all_prev;
    t->count--;
    port_trace_free(port);
    if (port->data_mbuf)
        mbuf_free(port->data_mbuf);
    vm_free(port->waiters);
    vm_free(port->line);
    vm_free(port->spawn_name);
    vm_free(port);
}

static struct port *find_number(uint64_t number)
{
    struct port *p = vm.ports->bucket[number & vm.ports->mask];

    while (p && port_number(p->id) != number)
        p = p->next;
    return p;
}

struct port *port_find_any(term id)
{
    return find_number(port_number(id));
}

uint32_t port_next_number(bool set, uint32_t n)
{
    struct port_table *t = vm.ports;

    if (set)
        t->next = n & PORT_NUMBER_MAX;
    while (find_number(t->next))
        t->next = (t->next + 1) & PORT_NUMBER_MAX;
    return t->next;
}

struct port *port_new(struct proc *owner, const struct port_driver *d,
                      const struct port_opts *opts)
{
    struct port_table *t = vm.ports;
    struct port *port, **at;

    if (t->count >= PORTS_MAX)
        return NULL;
    if (t->count > t->mask)
        table_grow(t);
    port = vm_zalloc(ALLOC_SYSTEM, sizeof *port);
    port->driver = d;
    port->owner = owner->id;
    port->name = THE_NON_VALUE;
    port->data = am_undefined;
    port->binary = opts->binary;
    port->eof = opts->eof;
    port->parallelism = opts->parallelism;
    port->os_pid = -1;
    port->line_max = opts->line;
    if (opts->line > 0)
        port->line = vm_alloc(ALLOC_SYSTEM, opts->line);
    port->spawn_name = vm_alloc(ALLOC_SYSTEM, strlen(opts->name) + 1);
    strcpy(port->spawn_name, opts->name);
    port->links = links_new();
    port->id = port_make(port_next_number(false, 0));
    t->next = (t->next + 1) & PORT_NUMBER_MAX;
    at = &t->bucket[port_number(port->id) & t->mask];
    port->next = *at;
    *at = port;
    port->all_prev = t->last;
    *t->last = port;
    t->last = &port->all_next;
    t->count++;
    t->open++;
    port_trace_new(port);
    return port;
}

void port_abandon(struct port *port)
{
    port->closing = true;
    vm.ports->open--;
    links_fire(port->links, port->id, THE_NON_VALUE, am_normal);
    dispose(port);
}

struct port *port_find(term id)
{
    struct port *p;

    if (term_is_atom(id))
        id = name_whereis(id);
    if (!term_is_local_port(id))
        return NULL;
    p = vm.ports->bucket[port_number(id) & vm.ports->mask];
    while (p && p->id != id)
        p = p->next;
    return p && !p->closing ? p : NULL;
}

size_t port_count(void)
{
    return vm.ports->open;
}

struct port *port_next(const struct port *after)
{
    struct port *p = after ? after->all_next : vm.ports->first;

    while (p && p->closing)
        p = p->all_next;
    return p;
}

/*
 * Messages to the owner.
 */
/* {Port, Message}: where *message becomes that, and frag, or NULL, had it. */
static struct mbuf *pair_of(const struct port *port, struct mbuf *frag, term *message)
{
    struct mbuf *m = mbuf_new(3 + (frag ? term_size(*message) : 0));
    struct dest d = {m->words, &m->off};

    if (frag) {
        *message = term_copy(&d, *message);
        mbuf_free(frag);
    }
    *message = put_tuple2(&d.htop, port->id, *message);
    m->used = (size_t)(d.htop - m->words);
    return m;
}

static void post(term to, struct mbuf *m, term message)
{
    struct proc *p = proc_find(to);

    if (p)
        msg_send_mbuf(p, m, message);
    else
        mbuf_free(m);
}

static void send_pair(struct port *port, term to, struct mbuf *frag, term message)
{
    struct mbuf *m = pair_of(port, frag, &message);

    port_trace_sent(port, to, message);
    post(to, m, message);
}

void port_deliver_term(struct port *port, struct mbuf *frag, term message)
{
    send_pair(port, port->owner, frag, message);
}

/* What stands before the data, as a list whatever the port's settings. */
struct head {
    const uint8_t *bytes;
    size_t n;
};
static const struct head no_head;

/* n bytes as a list or a binary, in d. */
static size_t bytes_words(const struct port *port, size_t n)
{
    return port->binary ? binary_put_words(n) : n * CONS_WORDS;
}

static term put_bytes(const struct port *port, struct dest *d,
                      const uint8_t *data, size_t n)
{
    term list = TERM_NIL;

    if (port->binary)
        return binary_put(d, data, n);
    while (n > 0)
        list = put_cons(&d->htop, small_make(data[--n]), list);
    return list;
}

/* {Port, {data, [Head... | Data]}} or {Port, {data, {Flag, [Head... | Data]}}}. */
static void deliver(struct port *port, term flag, const struct head *head,
                    const uint8_t *data, size_t n)
{
    struct proc *p = proc_find(port->owner);
    struct mbuf *m;
    struct dest d;
    term t;

    if (!p)
        return;
    m = mbuf_new(bytes_words(port, n) + head->n * CONS_WORDS + 3 + 3 + 3);
    d = (struct dest){m->words, &m->off};
    t = data ? put_bytes(port, &d, data, n) : TERM_NIL;
    for (size_t i = head->n; i-- > 0;)
        t = put_cons(&d.htop, small_make(head->bytes[i]), t);
    if (flag != THE_NON_VALUE)
        t = put_tuple2(&d.htop, flag, t);
    t = put_tuple2(&d.htop, am_data, t);
    t = put_tuple2(&d.htop, port->id, t);
    m->used = (size_t)(d.htop - m->words);
    port_trace_sent(port, port->owner, t);
    msg_send_mbuf(p, m, t);
}

/* {line, N}: up to N bytes a message; eol, or noeol when cut. */
static void deliver_lines(struct port *port, const struct head *head,
                          const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            size_t len = port->line_n;

            if (len > 0 && port->line[len - 1] == '\r')
                len--;
            deliver(port, am_eol, head, port->line, len);
            port->line_n = 0;
            continue;
        }
        if (port->line_n == port->line_max) {
            deliver(port, am_noeol, head, port->line, port->line_n);
            port->line_n = 0;
        }
        port->line[port->line_n++] = data[i];
    }
}

void port_deliver_head(struct port *port, const void *head, size_t head_n,
                       const void *data, size_t n)
{
    struct head h = {head, head_n};

    port->bytes_in += head_n + n;
    vm.info->io_in_bytes += head_n + n;
    if (port->draining)
        return;
    if (port->line_max > 0)
        deliver_lines(port, &h, data, n);
    else
        deliver(port, THE_NON_VALUE, &h, data, n);
}

void port_deliver(struct port *port, const void *data, size_t n)
{
    port_deliver_head(port, NULL, 0, data, n);
}

/*
 * The end of a port.
 */
static void terminate(struct port *port)
{
    term owner = port->owner, message = am_closed;
    struct mbuf *m = port->say_closed ? pair_of(port, NULL, &message) : NULL;

    port->driver->close(port);
    /* A tracer is not told of the pair, as in OTP. */
    if (m)
        port_trace_sent(port, owner, am_closed);
    dispose(port);
    if (m)
        post(owner, m, message);
}

static void end(struct port *port, term reason, bool kill)
{
    struct links *links = port->links;

    port_set_busy(port, false);
    if (port->name != THE_NON_VALUE)
        name_unregister(port->name);
    port->closing = true;
    vm.ports->open--;
    port->links = NULL;
    links_fire(links, port->id, port->name, reason);
    port->draining = !kill && port->driver->queued && port->driver->queued(port) > 0;
    if (!kill && port->driver->flush)
        port->driver->flush(port);
    if (!kill && port->driver->queued && port->driver->queued(port) > 0)
        return;
    terminate(port);
}

void port_exit(struct port *port, term reason)
{
    if (port->closing) {
        terminate(port);
        return;
    }
    port_trace_closed(port, reason);
    end(port, reason, true);
}

void port_exit_errno(struct port *port, int err)
{
    port_exit(port, errno_atom(err));
}

void port_drained(struct port *port)
{
    if (port->closing)
        terminate(port);
}

void port_eof(struct port *port)
{
    if (port->line_n > 0 && !port->closing) {
        deliver(port, am_noeol, &no_head, port->line, port->line_n);
        port->line_n = 0;
    }
    if (port->eof && !port->closing)
        port_deliver_term(port, NULL, am_eof);
    else
        port_exit(port, am_normal);
}

void port_exit_signal(term id, term from, term reason, bool from_link)
{
    struct port *port = term_is_local_port(id) ? port_find(id) : NULL;

    if (!port)
        return;
    /* Of those that end normally only its owner takes a port with it. */
    if (reason == am_normal && from != port->owner && from_link)
        return;
    port_trace_got(port, from, am_close);
    port_trace_closed(port, reason);
    end(port, reason == am_kill ? am_killed : reason, reason == am_kill);
}

void port_set_busy(struct port *port, bool busy)
{
    size_t n = port->nwaiters;

    port->busy = busy;
    if (busy)
        return;
    port->nwaiters = 0;
    for (size_t i = 0; i < n; i++) {
        struct proc *p = proc_find(port->waiters[i]);

        if (p) {
            p->flags &= ~(uint32_t)PF_BUSY_PORT;
            proc_wake(p);
        }
    }
}

/* Woken by something else, p finds itself here again. */
static void wait_until_idle(struct port *port, struct proc *p)
{
    if (vm.sysmon->busy_port)
        sysmon_busy_port(p, port->id);
    if (p->flags & PF_BUSY_PORT)
        return;
    p->flags |= PF_BUSY_PORT;
    if (port->nwaiters == port->waiters_size) {
        port->waiters_size = port->waiters_size ? port->waiters_size * 2 : 8;
        port->waiters = vm_realloc(port->waiters,
                                   port->waiters_size * sizeof *port->waiters);
    }
    port->waiters[port->nwaiters++] = p->id;
}

/*
 * Watches of processes: a list that hangs off p->ports.
 */
void proc_watch(struct proc *p, struct proc_watch *w)
{
    struct proc_watch **list = (struct proc_watch **)&p->ports;

    assert(!w->prev);
    w->next = *list;
    w->prev = list;
    if (w->next)
        w->next->prev = &w->next;
    *list = w;
    p->flags |= PF_USING_PORTS;
}

void proc_unwatch(struct proc_watch *w)
{
    if (!w->prev)
        return;
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->prev = NULL;
}

term proc_watch_by(struct proc *of, const struct proc *p, term list)
{
    const struct proc_watch *w = p->flags & PF_USING_PORTS ? p->ports : NULL;

    for (; w; w = w->next) {
        if (w->by) {
            term *hp = heap_alloc(of, CONS_WORDS);

            list = put_cons(&hp, w->by, list);
        } else if (w->resource && w->resource->refc > 0) {
            resource_get(w->resource);
            list = build_cons(of, io_magic(of, w->resource), list);
        }
    }
    return list;
}

void port_proc_exit(struct proc *p)
{
    struct proc_watch **list = (struct proc_watch **)&p->ports;

    while (*list) {
        struct proc_watch *w = *list;

        proc_unwatch(w);
        w->fire(w, p);
    }
}

void port_flush(void)
{
    struct port_table *t = vm.ports;
    bool more = true;

    for (struct port *p = t->first, *next; p; p = next) {
        next = p->all_next;
        if (p->driver->flush_to_halt && !p->closing)
            p->driver->flush(p);
    }
    while (more) {
        more = false;
        for (size_t i = 0; i <= t->mask; i++)
            for (struct port *p = t->bucket[i]; p; p = p->next)
                more |= p->driver->queued && p->driver->queued(p) > 0;
        if (more) {
            /* What drains a queue may be a timer's or a thread's to do. */
            os_wait(timer_next_ns());
            nif_deliver();
            timer_run(os_mono_ns());
        }
    }
}

/*
 * Commands.
 */
enum out_result { OUT_OK, OUT_BAD, OUT_BUSY };

static void put_out(struct port *port, term from, const uint8_t *data, size_t n)
{
    struct port_work work = port_asked(port, am_command);

    port_trace_got_bytes(port, from, am_command, data, n);
    port->driver->output(port, data, n);
    port_worked(&work);
}

static enum out_result output(struct port *port, term from, term data, bool force)
{
    struct port_work work;
    struct binbytes b;
    uint8_t *copy;
    size_t n;

    if (!port->driver->output)
        return OUT_BAD;
    if (port->busy && !force)
        return OUT_BUSY;
    port->caller = from;
    if (port->driver->output_term) {
        term id = port->id;
        bool ok;

        work = port_asked(port, am_command);
        ok = port->driver->output_term(port, data, &n);
        port_worked(&work);
        if (!ok)
            return OUT_BAD;
        vm.info->io_out_bytes += n;
        port = port_find_any(id);
        if (port)
            port->bytes_out += n;
        return OUT_OK;
    }
    if (binary_bytes(data, &b)) {
        port->bytes_out += b.size;
        vm.info->io_out_bytes += b.size;
        put_out(port, from, b.data, b.size);
        binary_bytes_end(&b);
        return OUT_OK;
    }
    if (!term_is_list(data) || iolist_size(data, &n) < 0)
        return OUT_BAD;
    copy = vm_alloc(ALLOC_SYSTEM, n + 1);
    iolist_copy(data, copy);
    port->bytes_out += n;
    vm.info->io_out_bytes += n;
    put_out(port, from, copy, n);
    vm_free(copy);
    return OUT_OK;
}

/* OTP's complaint about data that is no iolist. */
static void complain(struct port *port)
{
    struct text t;

    text_init(&t);
    text_printf(&t, "Bad value on output port '%s'\n", port->spawn_name);
    log_text(am_error, TERM_NIL, t.s, t.n);
    text_fini(&t);
}

/* Who asks wants it closed. */
static void close_by(struct port *port, term by)
{
    struct port_work work = port_asked(port, am_close);

    port_trace_got(port, by, am_close);
    port_trace_closed(port, am_normal);
    end(port, am_normal, false);
    port_worked(&work);
}

static void badsig(struct port *port)
{
    struct proc *p = proc_find(port->owner);

    if (p)
        proc_exit_signal(p, port->id, am_badsig, false);
}

bool port_holds_up(term id, term message)
{
    const struct port *port = port_find(id);

    return port && port->busy && term_is_tuple_of(message, 2) &&
           *tuple_at(message, 1) == port->owner &&
           term_is_tuple_of(*tuple_at(message, 2), 2) &&
           *tuple_at(*tuple_at(message, 2), 1) == am_command;
}

void port_wait(struct proc *p, term id)
{
    wait_until_idle(port_find(id), p);
}

bool port_output(term id, term from, term data)
{
    struct port *port = port_find(id);

    if (!port)
        return false;
    if (output(port, from, data, true) != OUT_BAD)
        return true;
    complain(port);
    return false;
}

void port_signal(term id, term from, term message)
{
    struct port *port = port_find(id);
    term sender, op;

    if (!port)
        return;
    if (!term_is_tuple_of(message, 2) ||
        !term_is_local_pid(*tuple_at(message, 1))) {
        badsig(port);
        return;
    }
    sender = *tuple_at(message, 1);
    op = *tuple_at(message, 2);
    if (sender != port->owner) {
        badsig(port);
    } else if (op == am_close) {
        port->say_closed = true;
        close_by(port, sender);
    } else if (term_is_tuple_of(op, 2) && *tuple_at(op, 1) == am_command) {
        /* Who sends for another, or a driver, does not wait: it takes that too. */
        if (!port_output(id, sender, *tuple_at(op, 2)))
            badsig(port);
    } else if (term_is_tuple_of(op, 2) && *tuple_at(op, 1) == am_connect &&
               term_is_local_pid(*tuple_at(op, 2))) {
        struct port_work work = port_asked(port, am_connect);

        port_trace_got_term(port, sender, am_connect, *tuple_at(op, 2));
        port->owner = *tuple_at(op, 2);
        send_pair(port, sender, NULL, am_connected);
        port_worked(&work);
    } else {
        badsig(port);
    }
}

BIF(erts_internal, port_command, 3)
{
    bool force = false, nosuspend = false;
    struct port *port;
    term t;

    for (t = arg[2]; term_is_cons(t); t = cons_tail(t)) {
        if (cons_head(t) == am_force)
            force = true;
        else if (cons_head(t) == am_nosuspend)
            nosuspend = true;
        else
            return am_badopt;
    }
    if (!term_is_nil(t))
        return am_badopt;
    port = port_find(arg[0]);
    if (!port)
        return am_badarg;
    if (force && !port->driver->soft_busy)
        return am_notsup;
    switch (output(port, p->id, arg[1], force)) {
    case OUT_OK:
        return am_true;
    case OUT_BAD:
        complain(port);
        return am_badarg;
    case OUT_BUSY:
        break;
    }
    if (nosuspend)
        return am_false;
    wait_until_idle(port, p);
    return bif_wait(p);
}

static term control(struct port *port, struct proc *p, uint32_t op, const uint8_t *data,
                    size_t n)
{
    struct port_work work = port_asked(port, am_control);
    bool answer = port->trace.flags & TF_SEND;
    term id = port->id, t;

    port_trace_got_op(port, p->id, am_control, op, data, n);
    t = port->driver->control(port, p, op, data, n);
    port = unlikely(answer) ? port_find(id) : NULL;
    if (port && t != THE_NON_VALUE && iolist_size(t, &n) == 0) {
        uint8_t *bytes = vm_alloc(ALLOC_SYSTEM, n + 1);

        iolist_copy(t, bytes);
        port_trace_answered(port, p->id, am_control, bytes, n);
        vm_free(bytes);
    }
    port_worked(&work);
    return t;
}

BIF(erts_internal, port_control, 3)
{
    struct port *port = port_find(arg[0]);
    struct binbytes b;
    uint8_t *copy;
    uint64_t op;
    size_t n;
    term t;

    if (!port || !port->driver->control || !term_is_small(arg[1]))
        return am_badarg;
    op = (uint64_t)small_value(arg[1]);
    if (op > UINT32_MAX)
        return am_badarg;
    if (binary_bytes(arg[2], &b)) {
        t = control(port, p, (uint32_t)op, b.data, b.size);
        binary_bytes_end(&b);
    } else {
        if (!term_is_list(arg[2]) || iolist_size(arg[2], &n) < 0)
            return am_badarg;
        copy = vm_alloc(ALLOC_SYSTEM, n + 1);
        iolist_copy(arg[2], copy);
        t = control(port, p, (uint32_t)op, copy, n);
        vm_free(copy);
    }
    return t == THE_NON_VALUE ? am_badarg : t;
}

BIF(erts_internal, port_call, 3)
{
    struct port *port = port_find(arg[0]);
    struct port_work work;
    term t;

    if (!port || !port->driver->call || !term_is_small(arg[1]) ||
        (uint64_t)small_value(arg[1]) > UINT32_MAX)
        return am_badarg;
    work = port_asked(port, am_call);
    t = port->driver->call(port, p, (uint32_t)small_value(arg[1]), arg[2]);
    port_worked(&work);
    return t == THE_NON_VALUE ? am_badarg : io_ok(p, t);
}

BIF(erts_internal, port_close, 1)
{
    struct port *port = port_find(arg[0]);

    if (!port)
        return am_badarg;
    close_by(port, p->id);
    return am_true;
}

BIF(erts_internal, port_connect, 2)
{
    struct port *port = port_find(arg[0]);
    term at[3], *hp = at, pair;
    struct port_work work;

    if (!port || !term_is_local_pid(arg[1]) || !proc_find(arg[1]))
        return am_badarg;
    work = port_asked(port, am_connect);
    if (link_add(arg[1], port->id)) {
        trace_tie(arg[1], am_getting_linked, port->id);
        trace_tie(port->id, am_getting_linked, arg[1]);
    }
    port->owner = arg[1];
    port_trace_got_term(port, p->id, am_connect, arg[1]);
    pair = put_tuple2(&hp, port->id, am_connected);
    port_trace_sent(port, p->id, pair);
    port_worked(&work);
    return am_true;
}

BIF(erlang, ports, 0)
{
    term *cell = heap_alloc(p, port_count() * CONS_WORDS), list = TERM_NIL, *end = &list;

    for (const struct port *port = port_next(NULL); port; port = port_next(port)) {
        *end = cons_make(cell);
        cell[0] = port->id;
        end = &cell[1];
        cell += CONS_WORDS;
    }
    *end = TERM_NIL;
    return list;
}

BIF(erlang, port_set_data, 2)
{
    struct port *port = port_find(arg[0]);
    struct dest d;

    if (!port)
        return bif_badarg(p);
    if (port->data_mbuf)
        mbuf_free(port->data_mbuf);
    port->data_mbuf = NULL;
    port->data = arg[1];
    if (!term_is_imm(arg[1])) {
        port->data_mbuf = mbuf_new(term_size_all(arg[1]));
        d = (struct dest){port->data_mbuf->words, &port->data_mbuf->off};
        port->data = term_copy_all(&d, arg[1]);
        port->data_mbuf->used = (size_t)(d.htop - port->data_mbuf->words);
    }
    return am_true;
}

BIF(erlang, port_get_data, 1)
{
    struct port *port = port_find(arg[0]);

    if (!port)
        return bif_badarg(p);
    return term_copy_to(p, port->data);
}
