/*
 * async.c - driver_async(): work of drivers beside the scheduler.
 *
 * One thread does it, in the order it was asked for, as OTP has one by default
 * (+A 1); so jobs of one key keep their order, whatever the key. It is started
 * with the first job. What comes of a job is the port's ready_async, on the
 * scheduler; without a port or such a callback the job's data is freed.
 */
#include <pthread.h>

#include "io/drv/drv.h"

#include "io/nif.h"
#include "io/port_trace.h"
#include "vm/atom.h"

struct job {
    struct job *next;
    ErlDrvPort port;            /* holds a reference */
    struct library *lib;        /* the same */
    ErlDrvPDL pdl;              /* the port's, if it has one: the same */
    void (*invoke)(void *data);
    void (*free)(void *data);   /* may be NULL */
    void *data;
};
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *first, **last;
    bool running;
    long count;
} work = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void job_done(void *arg)
{
    struct job *j = arg;
    ErlDrvPort p = j->port;

    if (drv_alive(p) && drv_entry(p)->ready_async) {
        struct port_work w = port_told(p->port, am_undefined);

        drv_enter(p);
        drv_entry(p)->ready_async(p->data, j->data);
        drv_leave(p);
        port_worked(&w);
    } else if (j->free) {
        j->free(j->data);
    }
    if (j->pdl)
        driver_pdl_dec_refc(j->pdl);
    drv_put(p);
    if (j->lib)
        library_put(j->lib);
    vm_free(j);
}

static void *worker(void *arg)
{
    for (;;) {
        struct job *j;

        pthread_mutex_lock(&work.lock);
        while (!work.first)
            pthread_cond_wait(&work.more, &work.lock);
        j = work.first;
        work.first = j->next;
        if (!work.first)
            work.last = &work.first;
        pthread_mutex_unlock(&work.lock);
        j->invoke(j->data);
        nif_call_later(job_done, j);
    }
    return arg;
}

static bool start_worker(void)
{
    pthread_t thread;

    if (work.running)
        return true;
    work.last = &work.first;
    work.running = pthread_create(&thread, NULL, worker, NULL) == 0;
    if (work.running)
        pthread_detach(thread);
    return work.running;
}

long driver_async(ErlDrvPort p, unsigned int *key, void (*invoke)(void *), void *data,
                  void (*free_data)(void *))
{
    struct job *j;

    if (drv_off_scheduler(__func__) || !drv_alive(p) || !start_worker())
        return -1;
    if (key)
        *key = 0;               /* the thread that does it */
    j = vm_alloc(ALLOC_SYSTEM, sizeof *j);
    *j = (struct job){
        .port = p, .lib = p->driver->lib, .pdl = p->pdl, .invoke = invoke, .free = free_data,
        .data = data,
    };
    drv_get(p);
    if (j->pdl)
        driver_pdl_inc_refc(j->pdl);
    if (j->lib)
        library_get(j->lib);
    pthread_mutex_lock(&work.lock);
    *work.last = j;
    work.last = &j->next;
    pthread_cond_signal(&work.more);
    pthread_mutex_unlock(&work.lock);
    return ++work.count;
}

unsigned int driver_async_port_key(ErlDrvPort p)
{
    return p && p->port ? (unsigned)port_number(p->id) : 0;
}
