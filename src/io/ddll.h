/*
 * ddll.h - loadable port drivers, where there are shared objects to load.
 *
 * A driver is loaded by processes, as often as they ask, and used by ports. It
 * is unloaded when none of both is left; what happens to it meanwhile is told
 * to those who monitor it. The module erl_ddll (bif/ddll.c) checks arguments
 * and asks here. In an image there is nobody to ask: ddll is NULL.
 */
#ifndef IO_DDLL_H
#define IO_DDLL_H

#include "vm/proc.h"

struct port_driver;

/* When it is to be done: at once, if nobody else uses it, or when that is so. */
enum ddll_when { DDLL_NOT, DDLL_PENDING_DRIVER, DDLL_PENDING };
enum ddll_await { DDLL_AWAIT_LOAD, DDLL_AWAIT_UNLOAD, DDLL_AWAIT_UNLOAD_ONLY };

/*
 * Results are those of erl_ddll's functions of the same names, on p's heap. path
 * is the file without ".so"; both strings are loans.
 */
struct ddll {
    term (*try_load)(struct proc *p, const char *path, const char *name, bool kill_ports,
                     enum ddll_when monitor, enum ddll_when reload);
    term (*try_unload)(struct proc *p, const char *name, bool kill_ports,
                       enum ddll_when monitor);
    /* THE_NON_VALUE: no such item. */
    term (*info)(struct proc *p, const struct port_driver *d, term item);
    /* name as it was given. */
    term (*monitor)(struct proc *p, term name, const char *driver, enum ddll_await what);
    void (*demonitor)(struct proc *p, const uint64_t ref[2]);
    /* Why the system refused to open a file; NULL: there is no such number. */
    const char *(*open_error)(int64_t number);
};
extern const struct ddll *ddll;

/* From main, hosted. */
void ddll_init(void);

/* {Type, Ref, driver, Name, Why} to p at once. */
void ddll_notify(struct proc *p, const uint64_t ref[2], term type, term name, term why);

#endif
