/*
 * select.c - driver_select(): descriptors that ports of drivers wait for.
 *
 * A descriptor belongs to one port for input and one for output, mostly the
 * same. Once it was selected with ERL_DRV_USE it is in use until it is
 * deselected so: then the driver's stop_select may close it. Everything happens
 * on the scheduler, so that is at once.
 */
#include <fcntl.h>

#include "io/drv/drv.h"

#include "io/port_trace.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/log.h"
#include "vm/print.h"

struct event {
    struct os_watch watch;
    ErlDrvPort in, out;         /* NULL: nobody */
    bool used;
};
/* By descriptor. */
static struct {
    struct event **of;
    size_t size;
} events;

static struct event *event_find(int fd)
{
    return (size_t)fd < events.size ? events.of[fd] : NULL;
}

static void event_free(struct event *e)
{
    os_unwatch(&e->watch);
    events.of[e->watch.fd] = NULL;
    vm_free(e);
}

/* Wait for what is wanted now; e goes if it is nobody's. */
static void event_update(struct event *e)
{
    unsigned want = (e->in ? OS_READ : 0u) | (e->out ? OS_WRITE : 0u);

    if (!want && !e->used)
        event_free(e);
    else
        os_watch(&e->watch, want);
}

static void complain(ErlDrvPort p, const char *format, const char *what, int fd)
{
    struct text t;

    text_init(&t);
    text_printf(&t, format, p->driver->pd.name, what, fd);
    log_text(am_error, TERM_NIL, t.s, t.n);
    text_fini(&t);
}

static void call_ready(ErlDrvPort p, int fd, bool input)
{
    void (*f)(ErlDrvData, ErlDrvEvent) = input ? drv_entry(p)->ready_input
                                               : drv_entry(p)->ready_output;

    if (!f) {
        complain(p, "Driver '%s' does not implement the %s callback! (fd %d)",
                 input ? "ready_input()" : "ready_output()", fd);
        driver_select(p, (ErlDrvEvent)(intptr_t)fd,
                      (input ? ERL_DRV_READ : ERL_DRV_WRITE) | ERL_DRV_USE_NO_CALLBACK, 0);
        return;
    }
    struct port_work work = port_told(p->port, input ? am_input : am_output);

    drv_enter(p);
    f(p->data, (ErlDrvEvent)(intptr_t)fd);
    drv_leave(p);
    port_worked(&work);
}

static void event_ready(struct os_watch *w, unsigned what)
{
    struct event *e = (struct event *)((char *)w - offsetof(struct event, watch));
    int fd = w->fd;

    if (what & OS_READ && e->in)
        call_ready(e->in, fd, true);
    /* The callback may have let go of the descriptor. */
    if (what & OS_WRITE && event_find(fd) == e && e->out)
        call_ready(e->out, fd, false);
}

static struct event *event_new(int fd)
{
    struct event *e = vm_zalloc(ALLOC_SYSTEM, sizeof *e);

    if ((size_t)fd >= events.size) {
        size_t n = events.size ? events.size : 64;

        while (n <= (size_t)fd)
            n *= 2;
        events.of = events.of ? vm_realloc(events.of, n * sizeof *events.of)
                              : vm_alloc(ALLOC_SYSTEM, n * sizeof *events.of);
        memset(events.of + events.size, 0, (n - events.size) * sizeof *events.of);
        events.size = n;
    }
    e->watch = (struct os_watch){.fd = fd, .ready = event_ready};
    events.of[fd] = e;
    return e;
}

/* p takes one side of a descriptor, from another port if it has to. */
static void take(ErlDrvPort *side, ErlDrvPort p, const char *what, int fd)
{
    if (*side && *side != p)
        complain(p, "driver_select() by driver '%s' stealing control of %s of fd=%d", what, fd);
    *side = p;
}

int driver_select(ErlDrvPort p, ErlDrvEvent event, int mode, int on)
{
    int fd = (int)(intptr_t)event;
    /* Without the callback only what else is named is deselected. */
    bool unused = !on && (mode & ERL_DRV_USE_NO_CALLBACK) == ERL_DRV_USE;
    struct event *e;

    if (drv_off_scheduler(__func__) || !p || !p->port || fd < 0 || (on && p->stopping))
        return -1;
    e = event_find(fd);
    if (on && fcntl(fd, F_GETFD) < 0) {
        complain(p, "driver_select() by driver '%s' of a bad file descriptor%s (fd %d)", "", fd);
        return -1;
    }
    if (!e && on)
        e = event_new(fd);
    if (e) {
        if (on && mode & ERL_DRV_READ)
            take(&e->in, p, "input", fd);
        else if (!on && (mode & ERL_DRV_READ || unused))
            e->in = NULL;
        if (on && mode & ERL_DRV_WRITE)
            take(&e->out, p, "output", fd);
        else if (!on && (mode & ERL_DRV_WRITE || unused))
            e->out = NULL;
        if (mode & ERL_DRV_USE)
            e->used = on;
        event_update(e);
    }
    if (unused) {
        if (drv_entry(p)->stop_select)
            drv_entry(p)->stop_select(event, NULL);
        else
            complain(p, "Driver '%s' does not implement the %s callback! (fd %d)",
                     "stop_select()", fd);
    }
    return 0;
}

void drv_unselect_all(ErlDrvPort p)
{
    for (size_t fd = 0; fd < events.size; fd++) {
        struct event *e = events.of[fd];

        if (!e || (e->in != p && e->out != p))
            continue;
        complain(p, "Driver '%s' gone away without deselecting%s! (fd %d)", "", (int)fd);
        e->in = e->in == p ? NULL : e->in;
        e->out = e->out == p ? NULL : e->out;
        e->used = e->in || e->out;
        event_update(e);
    }
}
