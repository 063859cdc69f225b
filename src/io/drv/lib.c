/*
 * lib.c - what a driver asks besides: locks and threads, time, the environment,
 * libraries, settings of its port.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/drv/drv.h"

#include "bif/bif.h"
#include "io/nif.h"
#include "os/os.h"
#include "vm/clock.h"
#include "vm/sched.h"

/*
 * Locks and threads are those of NIFs: the same structs under two names.
 */
ErlDrvMutex *erl_drv_mutex_create(char *name) { return enif_mutex_create(name); }
void erl_drv_mutex_destroy(ErlDrvMutex *m) { enif_mutex_destroy(m); }
int erl_drv_mutex_trylock(ErlDrvMutex *m) { return enif_mutex_trylock(m); }
void erl_drv_mutex_lock(ErlDrvMutex *m) { enif_mutex_lock(m); }
void erl_drv_mutex_unlock(ErlDrvMutex *m) { enif_mutex_unlock(m); }
char *erl_drv_mutex_name(ErlDrvMutex *m) { return enif_mutex_name(m); }

ErlDrvCond *erl_drv_cond_create(char *name) { return enif_cond_create(name); }
void erl_drv_cond_destroy(ErlDrvCond *c) { enif_cond_destroy(c); }
void erl_drv_cond_signal(ErlDrvCond *c) { enif_cond_signal(c); }
void erl_drv_cond_broadcast(ErlDrvCond *c) { enif_cond_broadcast(c); }
void erl_drv_cond_wait(ErlDrvCond *c, ErlDrvMutex *m) { enif_cond_wait(c, m); }
char *erl_drv_cond_name(ErlDrvCond *c) { return enif_cond_name(c); }

ErlDrvRWLock *erl_drv_rwlock_create(char *name) { return enif_rwlock_create(name); }
void erl_drv_rwlock_destroy(ErlDrvRWLock *l) { enif_rwlock_destroy(l); }
int erl_drv_rwlock_tryrlock(ErlDrvRWLock *l) { return enif_rwlock_tryrlock(l); }
void erl_drv_rwlock_rlock(ErlDrvRWLock *l) { enif_rwlock_rlock(l); }
void erl_drv_rwlock_runlock(ErlDrvRWLock *l) { enif_rwlock_runlock(l); }
int erl_drv_rwlock_tryrwlock(ErlDrvRWLock *l) { return enif_rwlock_tryrwlock(l); }
void erl_drv_rwlock_rwlock(ErlDrvRWLock *l) { enif_rwlock_rwlock(l); }
void erl_drv_rwlock_rwunlock(ErlDrvRWLock *l) { enif_rwlock_rwunlock(l); }
char *erl_drv_rwlock_name(ErlDrvRWLock *l) { return enif_rwlock_name(l); }

int erl_drv_tsd_key_create(char *name, ErlDrvTSDKey *key)
{
    return enif_tsd_key_create(name, key);
}
void erl_drv_tsd_key_destroy(ErlDrvTSDKey key) { enif_tsd_key_destroy(key); }
void erl_drv_tsd_set(ErlDrvTSDKey key, void *data) { enif_tsd_set(key, data); }
void *erl_drv_tsd_get(ErlDrvTSDKey key) { return enif_tsd_get(key); }

ErlDrvThreadOpts *erl_drv_thread_opts_create(char *name)
{
    return (ErlDrvThreadOpts *)enif_thread_opts_create(name);
}
void erl_drv_thread_opts_destroy(ErlDrvThreadOpts *o)
{
    enif_thread_opts_destroy((ErlNifThreadOpts *)o);
}
int erl_drv_thread_create(char *name, ErlDrvTid *tid, void *(*f)(void *), void *arg,
                          ErlDrvThreadOpts *o)
{
    return enif_thread_create(name, tid, f, arg, (ErlNifThreadOpts *)o);
}
ErlDrvTid erl_drv_thread_self(void) { return enif_thread_self(); }
int erl_drv_equal_tids(ErlDrvTid a, ErlDrvTid b) { return enif_equal_tids(a, b); }
void erl_drv_thread_exit(void *result) { enif_thread_exit(result); }
int erl_drv_thread_join(ErlDrvTid t, void **result) { return enif_thread_join(t, result); }
char *erl_drv_thread_name(ErlDrvTid t) { return enif_thread_name(t); }

/*
 * The lock of a port's data: counted, as threads may have it when the port is gone.
 */
struct erl_drv_port_data_lock {
    pthread_mutex_t lock;
    int64_t refs;               /* atomic */
    ErlDrvPort port;            /* holds a reference */
};

ErlDrvPDL driver_pdl_create(ErlDrvPort p)
{
    ErlDrvPDL pdl;

    if (drv_off_scheduler(__func__) || !drv_alive(p) || p->pdl)
        return NULL;
    pdl = calloc(1, sizeof *pdl);
    if (!pdl)
        vm_no_memory(sizeof *pdl, "a port's lock", __func__);
    pthread_mutex_init(&pdl->lock, NULL);
    pdl->refs = 1;
    pdl->port = p;
    drv_get(p);
    p->pdl = pdl;
    return pdl;
}

ErlDrvSInt driver_pdl_get_refc(ErlDrvPDL pdl)
{
    return __atomic_load_n(&pdl->refs, __ATOMIC_RELAXED);
}

ErlDrvSInt driver_pdl_inc_refc(ErlDrvPDL pdl)
{
    return __atomic_add_fetch(&pdl->refs, 1, __ATOMIC_RELAXED);
}

ErlDrvSInt driver_pdl_dec_refc(ErlDrvPDL pdl)
{
    ErlDrvSInt n = __atomic_sub_fetch(&pdl->refs, 1, __ATOMIC_ACQ_REL);

    if (n == 0) {
        pthread_mutex_destroy(&pdl->lock);
        drv_put(pdl->port);
        free(pdl);
    }
    return n;
}

void driver_pdl_lock(ErlDrvPDL pdl)
{
    driver_pdl_inc_refc(pdl);
    pthread_mutex_lock(&pdl->lock);
}

void driver_pdl_unlock(ErlDrvPDL pdl)
{
    pthread_mutex_unlock(&pdl->lock);
    driver_pdl_dec_refc(pdl);
}

/*
 * Settings of a port.
 */
void set_busy_port(ErlDrvPort p, int on)
{
    if (!drv_off_scheduler(__func__) && drv_alive(p) && p->port->busy != (on != 0))
        port_set_busy(p->port, on);
}

void set_port_control_flags(ErlDrvPort p, int flags)
{
    if (p && p->port)
        p->control_flags = flags;
}

int get_port_flags(ErlDrvPort p)
{
    if (!p || !p->port)
        return 0;
    return (p->port->binary ? PORT_FLAG_BINARY : 0) |
           (p->port->line_max > 0 ? PORT_FLAG_LINE : 0);
}

/* Signals to a port are done at once: no queue of them is ever full. */
void erl_drv_busy_msgq_limits(ErlDrvPort p, ErlDrvSizeT *low, ErlDrvSizeT *high)
{
    ErlDrvSizeT l = low ? *low : ERL_DRV_BUSY_MSGQ_READ_ONLY;
    ErlDrvSizeT h = high ? *high : ERL_DRV_BUSY_MSGQ_READ_ONLY;

    if (!p || !p->port)
        return;
    if (p->msgq_high != ERL_DRV_BUSY_MSGQ_DISABLED) {
        if (l == ERL_DRV_BUSY_MSGQ_DISABLED || h == ERL_DRV_BUSY_MSGQ_DISABLED) {
            p->msgq_low = p->msgq_high = ERL_DRV_BUSY_MSGQ_DISABLED;
        } else {
            if (l != ERL_DRV_BUSY_MSGQ_READ_ONLY)
                p->msgq_low = l;
            if (h != ERL_DRV_BUSY_MSGQ_READ_ONLY)
                p->msgq_high = h;
            if (p->msgq_low > p->msgq_high && h != ERL_DRV_BUSY_MSGQ_READ_ONLY &&
                l == ERL_DRV_BUSY_MSGQ_READ_ONLY)
                p->msgq_low = p->msgq_high;
            else if (p->msgq_low > p->msgq_high)
                p->msgq_high = p->msgq_low;
        }
    }
    if (low)
        *low = p->msgq_low;
    if (high)
        *high = p->msgq_high;
}

int erl_drv_consume_timeslice(ErlDrvPort p, int percent)
{
    if (drv_off_scheduler(__func__) || !p || !p->port)
        return 1;
    percent = percent < 1 ? 1 : percent > 100 ? 100 : percent;
    p->slice_percent += (unsigned)percent;
    if (vm.sched->p)
        bif_spend(vm.sched->p, (size_t)(SLICE_REDS / 100 * percent), 1);
    return p->slice_percent >= 100;
}

/*
 * Time.
 */
ErlDrvTime erl_drv_convert_time_unit(ErlDrvTime t, ErlDrvTimeUnit from, ErlDrvTimeUnit to)
{
    return enif_convert_time_unit(t, (ErlNifTimeUnit)from, (ErlNifTimeUnit)to);
}

ErlDrvTime erl_drv_monotonic_time(ErlDrvTimeUnit unit)
{
    return erl_drv_convert_time_unit(clock_monotonic_ns(), ERL_DRV_NSEC, unit);
}

ErlDrvTime erl_drv_time_offset(ErlDrvTimeUnit unit)
{
    return erl_drv_convert_time_unit(clock_offset_ns(), ERL_DRV_NSEC, unit);
}

int driver_get_now(ErlDrvNowData *now)
{
    int64_t us;

    if (drv_off_scheduler(__func__) || !now)
        return -1;
    us = clock_now_us();
    now->megasecs = (unsigned long)(us / 1000000000000);
    now->secs = (unsigned long)(us / 1000000 % 1000000);
    now->microsecs = (unsigned long)(us % 1000000);
    return 0;
}

/*
 * The VM and the world.
 */
void driver_system_info(ErlDrvSysInfo *info, size_t size)
{
    enif_system_info((ErlNifSysInfo *)info, size);
}

char *erl_errno_id(int err) { return (char *)(uintptr_t)errno_name(err); }

int erl_drv_putenv(const char *key, char *value)
{
    return drv_off_scheduler(__func__) || os_setenv(key, value) < 0 ? -1 : 0;
}

int erl_drv_getenv(const char *key, char *value, size_t *size)
{
    return enif_getenv(key, value, size);
}

/* As OTP's: the file's name without its end. */
void *driver_dl_open(char *path)
{
    size_t n = strlen(path);
    char *file = malloc(n + 4);
    void *handle;

    if (!file)
        return NULL;
    memcpy(file, path, n);
    memcpy(file + n, ".so", 4);
    handle = dlopen(file, RTLD_NOW);
    free(file);
    return handle;
}
void *driver_dl_sym(void *handle, char *name) { return dlsym(handle, name); }
int driver_dl_close(void *handle) { return dlclose(handle); }
char *driver_dl_error(void) { return dlerror(); }

int null_func(void) { return 0; }

void dtrace_drvport_str(ErlDrvPort p, char *buf)
{
    /* 20 bytes, as OTP's callers have. */
    if (p && p->port)
        snprintf(buf, 20, "#Port<0.%u>", (unsigned)port_number(p->id));
    else
        snprintf(buf, 20, "#Port<INVALID>");
}
