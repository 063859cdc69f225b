/*
 * drv.h - port drivers of libraries, made with OTP's erl_driver.h.
 *
 * Such a driver is an ErlDrvEntry of callbacks, and calls the driver_* and
 * erl_drv_* functions that are defined here. To the ports it is one more
 * struct port_driver; a struct _erl_drv_port, which a driver knows by address as
 * ErlDrvPort, is the state of each port.
 *
 * Callbacks run on the scheduler. A driver may end its port in the middle of one
 * (driver_failure and its like): `stop` is called at once then, the port is gone,
 * and the struct lives until the last callback has returned, the last job is
 * done and the last reference of its lock is given back. Functions that get a
 * port which is gone say so and do nothing.
 *
 * Threads of a driver may use memory, binaries, locks, the queue (under the
 * port's lock), erl_drv_send_term and erl_drv_output_term.
 */
#ifndef IO_DRV_DRV_H
#define IO_DRV_DRV_H

#define HAVE_SYS_UIO_H 1
#include "erl_driver.h"

#include "io/ddll.h"
#include "io/io.h"
#include "io/port.h"
#include "vm/binary.h"
#include "vm/timer.h"

/* A library: loaded, or about to be loaded again. */
enum library_status { LIB_OK, LIB_UNLOAD, LIB_FORCE_UNLOAD, LIB_RELOAD,
                      LIB_FORCE_RELOAD, LIB_PERMANENT };
struct library {
    void *handle;               /* of dlopen */
    struct driver *driver;
    char *path;                 /* without ".so" */
    enum library_status status;
    bool kill_ports;
    /* Users that loaded it and are not set aside, ports, jobs. At 0 it goes. */
    int64_t refs;
    int64_t ports;
    bool going;                 /* library_is_unused() is to be called */
    struct library_user *users;
    char *reload_path;          /* LIB_RELOAD and LIB_FORCE_RELOAD */
    bool reload_kill_ports;
};
void library_get(struct library *lib);
void library_put(struct library *lib);
void library_lock(struct library *lib);     /* it stays for ever */

struct driver {
    struct port_driver pd;      /* first; pd.name is the entry's copied */
    ErlDrvEntry *entry;
    struct library *lib;        /* NULL: add_driver_entry() made it */
};
/* NULL, with *err set to what `init` returned. */
struct driver *driver_new(ErlDrvEntry *entry, struct library *lib, int *err);
void driver_delete(struct driver *d);
/* NULL if d is the VM's own. */
struct driver *driver_of_library(const struct port_driver *d);

/* The queue of bytes: iov[first..end), each with a reference of its binary. */
struct drv_queue {
    SysIOVec *iov;
    ErlDrvBinary **binv;
    size_t first, end, size;
    size_t bytes;
};
void queue_clear(struct drv_queue *q);

struct drv_monitor {
    struct proc_watch watch;
    struct drv_monitor *next, **prev;
    ErlDrvPort owner;
    term pid;
    ErlDrvMonitor id;
};

struct _erl_drv_port {
    struct port *port;          /* NULL: gone */
    struct driver *driver;
    term id;
    ErlDrvData data;
    int64_t refs;               /* atomic */
    bool starting, stopping, flushing;
    bool fails;                 /* ... while it is starting or flushing */
    term reason;
    term caller;
    int control_flags;
    unsigned slice_percent;     /* of a slice, used up in this callback */
    struct timer timer;
    struct drv_queue queue;
    ErlDrvPDL pdl;
    struct drv_monitor *monitors;
    ErlDrvSizeT msgq_low, msgq_high;
    struct _erl_drv_port *next, **prev;     /* all there are; locked */
};

static inline bool drv_alive(ErlDrvPort p) { return p && p->port && !p->stopping; }
static inline const ErlDrvEntry *drv_entry(ErlDrvPort p) { return p->driver->entry; }

/* Around each callback; drv_leave() may end the port, and free p. */
void drv_enter(ErlDrvPort p);
void drv_leave(ErlDrvPort p);
void drv_get(ErlDrvPort p);
void drv_put(ErlDrvPort p);
size_t drv_queued(ErlDrvPort p);
/*
 * The port of an id, for any thread: 1 if it may send, 0 if it only drains its
 * queue, -1 if it is gone. *owner is set unless it is gone.
 */
int drv_port_state(term id, term *owner);
/* Of the monitors of p: all are gone. */
void drv_monitors_clear(ErlDrvPort p);
term drv_monitors_list(struct port *port, struct proc *p);
/* p's descriptors are not looked at any more. */
void drv_unselect_all(ErlDrvPort p);

static inline struct refbin *bin_refbin(const ErlDrvBinary *b)
{
    return (struct refbin *)((uintptr_t)b - offsetof(struct refbin, size));
}
static inline ErlDrvBinary *refbin_bin(struct refbin *b)
{
    return (ErlDrvBinary *)&b->size;
}

/* An iolist as the vector that outputv gets; false: it is none. */
struct drv_vector {
    ErlIOVec ev;
    ErlDrvBinary *small;        /* the bytes that came as such; owned, or NULL */
};
bool vector_of_iolist(term t, struct drv_vector *v);
void drv_trace_vector(struct port *port, term from, ErlIOVec *ev);
void vector_end(struct drv_vector *v);

/* A thread of a driver asked for what only the scheduler may do: said so, true. */
bool drv_off_scheduler(const char *function);

#endif
