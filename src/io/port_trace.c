/*
 * port_trace.c - see port_trace.h. The formats are those of OTP 25's erl_trace.c.
 */
#include "io/port_trace.h"

#include "bif/bif.h"
#include "os/os.h"
#include "vm/ops.h"
#include "vm/sysmon.h"

void port_trace_new(struct port *port)
{
    struct tracee *all = &vm.trace->new_ports;

    if (all->flags && tracee_check(all, am_undefined))
        port->trace = (struct tracee){all->flags, tracer_get(all->tracer)};
}

void port_trace_free(struct port *port)
{
    tracer_put(port->trace.tracer);
    port->trace = (struct tracee){0};
}

/* ---- its beginning and its end ---- */

void port_trace_open(struct port *port)
{
    const char *name = port->spawn_name;

    if (likely(!(port->trace.flags & TF_PORTS)))
        return;
    /* A name that makes no atom is told as one that does not exist. */
    term atom = atom_make_latin1((const uint8_t *)name, strlen(name));
    trace_tracee(&port->trace, port->id, TRACER_PORTS, am_open, port->owner,
               atom == THE_NON_VALUE ? am_undefined : atom);
}

void port_trace_closed(struct port *port, term reason)
{
    if (unlikely(port->trace.flags & TF_PORTS))
        trace_tracee(&port->trace, port->id, TRACER_PORTS, am_closed, reason, THE_NON_VALUE);
}

/* ---- what it gets ---- */

/* Bytes as a binary, and {Op, Binary}, built apart from any heap. */
static struct mbuf *binary_apart(const uint8_t *data, size_t n, term *t)
{
    struct mbuf *m = mbuf_new(binary_put_words(n));
    struct dest d = {m->words, &m->off};

    *t = binary_put(&d, data, n);
    m->used = (size_t)(d.htop - m->words);
    return m;
}

static void got(struct port *port, term data)
{
    trace_tracee(&port->trace, port->id, TRACER_RECEIVE, am_receive, data, THE_NON_VALUE);
}

void port_trace_got(struct port *port, term from, term what)
{
    term at[3], *hp = at;

    if (unlikely(port->trace.flags & TF_RECEIVE))
        got(port, from == THE_NON_VALUE ? what : put_tuple2(&hp, from, what));
}

void port_trace_got_term(struct port *port, term from, term what, term arg)
{
    term at[3 + 3], *hp = at, t;

    if (likely(!(port->trace.flags & TF_RECEIVE)))
        return;
    t = put_tuple2(&hp, what, arg);
    got(port, put_tuple2(&hp, from, t));
}

void port_trace_got_bytes(struct port *port, term from, term what,
                          const uint8_t *data, size_t n)
{
    struct mbuf *m;
    term t;

    if (likely(!(port->trace.flags & TF_RECEIVE)))
        return;
    m = binary_apart(data, n, &t);
    port_trace_got_term(port, from, what, t);
    mbuf_free(m);
}

void port_trace_got_op(struct port *port, term from, term what, uint32_t op,
                       const uint8_t *data, size_t n)
{
    term at[3], *hp = at, t;
    struct mbuf *m;

    if (likely(!(port->trace.flags & TF_RECEIVE)))
        return;
    m = binary_apart(data, n, &t);
    port_trace_got_term(port, from, what, put_tuple2(&hp, small_make(op), t));
    mbuf_free(m);
}

/* ---- what it says ---- */

void port_trace_sent(struct port *port, term to, term message)
{
    if (unlikely(port->trace.flags & TF_SEND))
        trace_tracee(&port->trace, port->id, TRACER_SEND,
                   proc_find(to) ? am_send : am_send_to_non_existing_process, message, to);
}

void port_trace_answered(struct port *port, term to, term what, const uint8_t *data, size_t n)
{
    term at[3 + 3], *hp = at, t;
    struct mbuf *m;

    if (likely(!(port->trace.flags & TF_SEND)))
        return;
    m = binary_apart(data, n, &t);
    t = put_tuple2(&hp, what, t);
    port_trace_sent(port, to, put_tuple2(&hp, port->id, t));
    mbuf_free(m);
}

/* ---- when its driver works ---- */

/* As far as tracers can tell, who asks is not running meanwhile. */
static void caller_switches(bool in)
{
    struct proc *p = vm.sched->p;
    uint32_t profile = PROFILE_PROCS | PROFILE_EXCLUSIVE;

    if (!p)
        return;
    if (unlikely(p->trace & TF_RUNNING_PROCS))
        trace_running(p, in ? am_in : am_out);
    if (unlikely((vm.sysmon->profile & profile) == profile))
        sysmon_profile_proc(p, in ? am_active : am_inactive);
}

/* port NULL: it is gone, and its tracer has heard of that. */
static void switches(struct port *port, const struct port_work *w, bool in)
{
    term where = w->asked ? w->what : small_make(0);
    bool profile = vm.sysmon->profile & PROFILE_PORTS && w->what != am_open;

    if (unlikely(profile) && in)
        sysmon_profile_port(w->port, am_active);
    if (port && unlikely(port->trace.flags & TF_RUNNING_PORTS))
        trace_tracee(&port->trace, port->id, TRACER_RUNNING_PORTS, in ? am_in : am_out, where,
                     THE_NON_VALUE);
    if (unlikely(profile) && !in)
        sysmon_profile_port(w->port, am_inactive);
}

static struct port_work begin(struct port *port, term what, bool asked)
{
    struct port_work w = {.port = port->id, .what = what, .asked = asked};

    w.was = msacc_enter(MSACC_PORT);
    if (unlikely(vm.sysmon->long_schedule_ms) && !asked)
        w.began_ns = os_mono_ns();
    switches(port, &w, true);
    return w;
}

struct port_work port_asked(struct port *port, term what)
{
    caller_switches(false);
    return begin(port, what, true);
}

struct port_work port_told(struct port *port, term what)
{
    return begin(port, what, false);
}

void port_worked(const struct port_work *w)
{
    switches(port_find_any(w->port), w, false);
    if (unlikely(w->began_ns))
        sysmon_port_ran(w->port, w->what, w->began_ns);
    msacc_enter(w->was);
    if (w->asked)
        caller_switches(true);
}
