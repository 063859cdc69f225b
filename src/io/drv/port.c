/*
 * port.c - ports of drivers of libraries: their callbacks, and their end.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/drv/drv.h"

#include "io/nif.h"
#include "io/port_trace.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/ext.h"
#include "vm/log.h"
#include "vm/ops.h"
#include "vm/print.h"
#include "vm/vm.h"

#define NS_PER_MS UINT64_C(1000000)
#define CONTROL_BYTES HEAPBIN_MAX   /* room for an answer, as OTP gives */
#define CALL_BYTES 256

/* All ports of drivers, for threads that have an id. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static ErlDrvPort all;

bool drv_off_scheduler(const char *function)
{
    struct text t;

    if (nif_on_scheduler())
        return false;
    text_init(&t);
    text_printf(&t, "ling: %s() is not for threads of a driver\n", function);
    os_console(t.s, t.n);
    text_fini(&t);
    return true;
}

void drv_get(ErlDrvPort p)
{
    __atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
}

void drv_put(ErlDrvPort p)
{
    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(p);
}

int drv_port_state(term id, term *owner)
{
    const struct port *port = nif_on_scheduler() ? port_find(id) : NULL;
    int state = port ? 1 : -1;

    if (port)
        *owner = port->owner;
    pthread_mutex_lock(&all_lock);
    for (ErlDrvPort p = all; p && state < 0; p = p->next) {
        if (p->id == id) {
            state = !__atomic_load_n(&p->port->draining, __ATOMIC_RELAXED);
            *owner = __atomic_load_n(&p->port->owner, __ATOMIC_RELAXED);
        }
    }
    pthread_mutex_unlock(&all_lock);
    return state;
}

size_t drv_queued(ErlDrvPort p)
{
    ErlDrvPDL pdl = p->pdl;
    size_t n;

    if (pdl)
        driver_pdl_lock(pdl);
    n = p->queue.bytes;
    if (pdl)
        driver_pdl_unlock(pdl);
    return n;
}

void drv_enter(ErlDrvPort p)
{
    p->slice_percent = 0;
    drv_get(p);
}

void drv_leave(ErlDrvPort p)
{
    if (p->port && p->port->closing && !p->stopping && !p->flushing && drv_queued(p) == 0)
        port_drained(p->port);
    drv_put(p);
}

/*
 * A port begins.
 */
static ErlDrvPort drv_new(struct port *port, struct driver *d)
{
    ErlDrvPort p = calloc(1, sizeof *p);

    if (!p)
        vm_no_memory(sizeof *p, "a driver's port", __func__);
    *p = (struct _erl_drv_port){
        .port = port, .driver = d, .id = port->id, .refs = 1, .caller = TERM_NIL,
        .msgq_low = 4096, .msgq_high = 8192,    /* OTP's */
    };
    if (d->entry->driver_flags & ERL_DRV_FLAG_NO_BUSY_MSGQ)
        p->msgq_low = p->msgq_high = ERL_DRV_BUSY_MSGQ_DISABLED;
    port->state = p;
    pthread_mutex_lock(&all_lock);
    p->next = all;
    p->prev = &all;
    if (all)
        all->prev = &p->next;
    all = p;
    pthread_mutex_unlock(&all_lock);
    if (d->lib) {
        library_get(d->lib);
        d->lib->ports++;
    }
    return p;
}

/* p's port is no more: what is left of p is what others refer to. */
static void drv_end(ErlDrvPort p)
{
    struct library *lib = p->driver->lib;

    drv_monitors_clear(p);
    drv_unselect_all(p);
    timer_cancel(&p->timer);
    pthread_mutex_lock(&all_lock);
    *p->prev = p->next;
    if (p->next)
        p->next->prev = p->prev;
    pthread_mutex_unlock(&all_lock);
    if (p->pdl)
        driver_pdl_lock(p->pdl);
    queue_clear(&p->queue);
    p->port = NULL;
    if (p->pdl)
        driver_pdl_unlock(p->pdl);
    if (p->pdl)
        driver_pdl_dec_refc(p->pdl);
    if (lib) {
        lib->ports--;
        library_put(lib);
    }
    drv_put(p);
}

/* It failed while it started: now that it is there it can end. */
static void fail_late(void *arg)
{
    ErlDrvPort p = arg;

    if (drv_alive(p))
        port_exit(p->port, p->reason);
    drv_put(p);
}

static int drv_open(struct port *port, const struct port_opts *o)
{
    struct driver *d = (struct driver *)port->driver;
    ErlDrvPort p;
    char *command;
    int err = 0;

    if (o->exit_status)
        return -EINVAL;
    p = drv_new(port, d);
    drv_get(p);
    p->starting = true;
    p->caller = port->owner;
    /* A driver may write into it. */
    command = strdup(o->name);
    if (!command)
        vm_no_memory(strlen(o->name) + 1, "a driver's command", __func__);
    if (d->entry->start)
        p->data = d->entry->start(p, command);
    if (p->data == ERL_DRV_ERROR_ERRNO)
        err = errno == EINVAL ? PORT_OPEN_EINVAL : -errno;
    else if (p->data == ERL_DRV_ERROR_GENERAL)
        err = PORT_OPEN_EINVAL;
    else if (p->data == ERL_DRV_ERROR_BADARG)
        err = -EINVAL;
    free(command);
    p->caller = TERM_NIL;
    p->starting = false;
    if (err) {
        drv_end(p);
    } else {
        port->awaits_ack = d->entry->driver_flags & ERL_DRV_FLAG_USE_INIT_ACK;
        if (p->fails) {
            drv_get(p);
            nif_call_later(fail_late, p);
        }
    }
    drv_put(p);
    return err;
}

ErlDrvPort driver_create_port(ErlDrvPort creator, ErlDrvTermData connected, char *name,
                              ErlDrvData data)
{
    struct port_opts o = {.name = name, .in = true, .out = true};
    struct proc *owner;
    struct port *port;
    ErlDrvPort p;

    if (drv_off_scheduler(__func__) || !drv_alive(creator) || creator->driver->pd.leaving)
        return (ErlDrvPort)-1;
    owner = proc_find(connected);
    port = owner ? port_new(owner, &creator->driver->pd, &o) : NULL;
    if (!port)
        return (ErlDrvPort)-1;
    p = drv_new(port, creator->driver);
    p->data = data;
    link_add(owner->id, port->id);
    return p;
}

void erl_drv_init_ack(ErlDrvPort p, ErlDrvData data)
{
    term reason = THE_NON_VALUE;
    int err = errno;

    if (drv_off_scheduler(__func__) || !drv_alive(p) || !p->port->awaits_ack)
        return;
    if (data == ERL_DRV_ERROR_ERRNO)
        reason = errno_atom(err);
    else if (data == ERL_DRV_ERROR_GENERAL)
        reason = am_einval;
    else if (data == ERL_DRV_ERROR_BADARG)
        reason = am_badarg;
    else
        p->data = data;
    port_open_ack(p->port, reason);
    if (reason != THE_NON_VALUE)
        driver_exit(p, 0);
}

void erl_drv_set_os_pid(ErlDrvPort p, ErlDrvSInt pid)
{
    if (drv_alive(p))
        p->port->os_pid = pid;
}

/*
 * ... and ends.
 */
static void drv_close(struct port *port)
{
    ErlDrvPort p = port->state;

    drv_get(p);
    timer_cancel(&p->timer);
    drv_monitors_clear(p);
    p->stopping = true;
    if (drv_entry(p)->stop)
        drv_entry(p)->stop(p->data);
    drv_end(p);
    drv_put(p);
}

static void drv_flush(struct port *port)
{
    ErlDrvPort p = port->state;

    if (drv_queued(p) == 0 || !drv_entry(p)->flush)
        return;
    drv_get(p);
    p->flushing = true;
    drv_entry(p)->flush(p->data);
    p->flushing = false;
    drv_put(p);
}

static size_t port_queued(struct port *port)
{
    ErlDrvPort p = port->state;

    return p->fails ? 0 : drv_queued(p);
}

static int fail(ErlDrvPort p, term reason, bool eof)
{
    if (!drv_alive(p))
        return -1;
    if (p->starting || p->flushing) {
        p->fails = true;
        p->reason = reason;
    } else {
        if (p->port->awaits_ack)
            port_open_ack(p->port, THE_NON_VALUE);
        if (eof)
            port_eof(p->port);
        else
            port_exit(p->port, reason);
    }
    return 0;
}

int driver_failure_eof(ErlDrvPort p)
{
    return drv_off_scheduler(__func__) ? -1 : fail(p, am_normal, true);
}
int driver_failure(ErlDrvPort p, int code)
{
    if (drv_off_scheduler(__func__))
        return -1;
    return code == 0 ? fail(p, am_normal, true) : fail(p, small_make(code), false);
}
int driver_failure_atom(ErlDrvPort p, char *name)
{
    return drv_off_scheduler(__func__) ? -1 : fail(p, driver_mk_atom(name), false);
}
int driver_failure_posix(ErlDrvPort p, int err)
{
    return drv_off_scheduler(__func__) ? -1 : fail(p, errno_atom(err), false);
}
int driver_exit(ErlDrvPort p, int err)
{
    if (drv_off_scheduler(__func__) || !drv_alive(p))
        return -1;
    link_remove(p->port->owner, p->id);
    return fail(p, err == 0 ? am_normal : errno_atom(err), false);
}

/*
 * What processes ask for.
 */
static void drv_output(struct port *port, const uint8_t *data, size_t n)
{
    ErlDrvPort p = port->state;

    if (!drv_entry(p)->output)
        return;
    drv_enter(p);
    p->caller = port->caller;
    drv_entry(p)->output(p->data, (char *)(uintptr_t)data, n);
    p->caller = TERM_NIL;
    drv_leave(p);
}

static bool drv_outputv(struct port *port, term data, size_t *n)
{
    ErlDrvPort p = port->state;
    struct drv_vector v;

    if (!vector_of_iolist(data, &v))
        return false;
    *n = v.ev.size;
    drv_enter(p);
    p->caller = port->caller;
    if (unlikely(port->trace.flags & TF_RECEIVE))
        drv_trace_vector(port, port->caller, &v.ev);
    drv_entry(p)->outputv(p->data, &v.ev);
    p->caller = TERM_NIL;
    vector_end(&v);
    drv_leave(p);
    return true;
}

/* What control answered in *r, n bytes; `local` was offered for it. */
static term control_result(struct proc *p, char *r, const char *local, size_t n, int flags)
{
    ErlDrvBinary *bin;
    term t;

    if (!r)
        return TERM_NIL;
    if (flags & PORT_CONTROL_FLAG_BINARY) {
        if (r == local)
            return binary_from(p, local, n);
        bin = (ErlDrvBinary *)r;
        if (bin->orig_size > HEAPBIN_MAX)
            return binary_from_refbin(p, bin_refbin(bin));
        t = binary_from(p, bin->orig_bytes, (size_t)bin->orig_size);
        driver_free_binary(bin);
        return t;
    }
    t = TERM_NIL;
    {
        term *hp = heap_alloc(p, n * CONS_WORDS);

        for (size_t i = n; i-- > 0;)
            t = put_cons(&hp, small_make((uint8_t)r[i]), t);
    }
    if (r != local)
        driver_free(r);
    return t;
}

static term drv_control(struct port *port, struct proc *caller, uint32_t op,
                        const uint8_t *data, size_t n)
{
    ErlDrvPort p = port->state;
    char local[CONTROL_BYTES], *r = local;
    ErlDrvSSizeT len;
    int flags;

    if (!drv_entry(p)->control)
        return THE_NON_VALUE;
    drv_enter(p);
    p->caller = caller->id;
    len = drv_entry(p)->control(p->data, op, (char *)(uintptr_t)data, n, &r, sizeof local);
    p->caller = TERM_NIL;
    flags = p->control_flags;
    drv_leave(p);
    return len < 0 ? THE_NON_VALUE : control_result(caller, r, local, (size_t)len, flags);
}

static term drv_call(struct port *port, struct proc *caller, uint32_t op, term data)
{
    ErlDrvPort p = port->state;
    char local[CALL_BYTES], *r = local;
    unsigned flags = 0;
    struct ext_buf in;
    ErlDrvSSizeT len;
    term t = THE_NON_VALUE;

    if (!drv_entry(p)->call)
        return THE_NON_VALUE;
    ext_buf_init(&in);
    in.data[in.n++] = EXT_VERSION;
    if (!ext_encode(&in, data, 0)) {
        ext_buf_fini(&in);
        return THE_NON_VALUE;
    }
    drv_enter(p);
    p->caller = caller->id;
    port_trace_got_op(port, caller->id, am_call, op, in.data, in.n);
    len = drv_entry(p)->call(p->data, op, (char *)in.data, in.n, &r, sizeof local, &flags);
    p->caller = TERM_NIL;
    if (len > 0 && drv_alive(p))
        port_trace_answered(port, caller->id, am_call, (uint8_t *)r, (size_t)len);
    drv_leave(p);
    ext_buf_fini(&in);
    if (len > 0 && (uint8_t)r[0] == EXT_VERSION) {
        const uint8_t *ext = (uint8_t *)r + 1;
        size_t n = (size_t)len - 1, words;
        term *hp = ext_size(ext, n, 0, &words) < 0 ? NULL : heap_alloc_big(caller, words);

        if (hp) {
            struct dest d = {hp, &caller->heap.off};

            t = ext_decode(&d, ext, n, 0);
            heap_trim(caller, t == THE_NON_VALUE ? hp : d.htop);
        }
    }
    if (r != local && len > 0 && !(flags & DRIVER_CALL_KEEP_BUFFER))
        driver_free(r);
    return t;
}

/*
 * Timers: one a port.
 */
static void timer_fires(struct timer *t)
{
    ErlDrvPort p = (ErlDrvPort)((char *)t - offsetof(struct _erl_drv_port, timer));

    struct port_work work = port_told(p->port, am_timeout);

    drv_enter(p);
    port_trace_got(p->port, THE_NON_VALUE, am_timeout);
    drv_entry(p)->timeout(p->data);
    drv_leave(p);
    port_worked(&work);
}

int driver_set_timer(ErlDrvPort p, unsigned long ms)
{
    if (drv_off_scheduler(__func__) || !drv_alive(p) || !drv_entry(p)->timeout)
        return -1;
    p->timer.fire = timer_fires;
    timer_start(&p->timer, os_mono_ns() + ms * NS_PER_MS);
    return 0;
}

int driver_cancel_timer(ErlDrvPort p)
{
    if (drv_off_scheduler(__func__) || !p || !p->port)
        return -1;
    timer_cancel(&p->timer);
    return 0;
}

int driver_read_timer(ErlDrvPort p, unsigned long *ms)
{
    uint64_t now = os_mono_ns();

    if (drv_off_scheduler(__func__) || !p || !p->port)
        return -1;
    *ms = p->timer.prev && p->timer.at_ns > now
              ? (p->timer.at_ns - now + NS_PER_MS - 1) / NS_PER_MS
              : 0;
    return 0;
}

/*
 * Drivers.
 */
struct driver *driver_new(ErlDrvEntry *entry, struct library *lib, int *err)
{
    struct driver *d = vm_zalloc(ALLOC_SYSTEM, sizeof *d);
    char *name = vm_alloc(ALLOC_SYSTEM, strlen(entry->driver_name) + 1);

    strcpy(name, entry->driver_name);
    d->pd = (struct port_driver){
        .name = name,
        .open = drv_open,
        .close = drv_close,
        .output = drv_output,
        .output_term = entry->outputv ? drv_outputv : NULL,
        .flush = drv_flush,
        .flush_to_halt = true,
        .queued = port_queued,
        .control = drv_control,
        .call = drv_call,
        .monitors = drv_monitors_list,
        .soft_busy = entry->driver_flags & ERL_DRV_FLAG_SOFT_BUSY,
    };
    d->entry = entry;
    d->lib = lib;
    port_driver_add(&d->pd);
    *err = entry->init ? entry->init() : 0;
    if (*err == 0)
        return d;
    driver_delete(d);
    return NULL;
}

void driver_delete(struct driver *d)
{
    port_driver_remove(&d->pd);
    vm_free((void *)(uintptr_t)d->pd.name);
    vm_free(d);
}

struct driver *driver_of_library(const struct port_driver *d)
{
    return d && d->open == drv_open ? (struct driver *)(uintptr_t)d : NULL;
}

void add_driver_entry(ErlDrvEntry *entry)
{
    int err;

    if (!drv_off_scheduler(__func__))
        driver_new(entry, NULL, &err);
}

int remove_driver_entry(ErlDrvEntry *entry)
{
    struct driver *d;

    if (drv_off_scheduler(__func__))
        return -1;
    for (struct port_driver *pd = port_driver_next(NULL); pd; pd = port_driver_next(pd)) {
        d = driver_of_library(pd);
        if (!d || d->entry != entry)
            continue;
        if (d->lib)
            return -1;
        for (struct port *p = port_next(NULL); p; p = port_next(p))
            if (p->driver == pd)
                return -1;
        driver_delete(d);
        return 1;
    }
    return 0;
}

int driver_lock_driver(ErlDrvPort p)
{
    if (drv_off_scheduler(__func__) || !drv_alive(p) || !p->driver->lib)
        return -1;
    library_lock(p->driver->lib);
    return 0;
}
