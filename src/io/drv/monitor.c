/*
 * monitor.c - processes that drivers monitor for their ports.
 */
#include "io/drv/drv.h"

#include "vm/atom.h"
#include "vm/node.h"
#include "vm/ops.h"

static void monitor_free(struct drv_monitor *m)
{
    proc_unwatch(&m->watch);
    *m->prev = m->next;
    if (m->next)
        m->next->prev = m->prev;
    vm_free(m);
}

static struct drv_monitor *monitor_find(ErlDrvPort p, const ErlDrvMonitor *id)
{
    struct drv_monitor *m = p->monitors;

    while (m && memcmp(&m->id, id, sizeof *id) != 0)
        m = m->next;
    return m;
}

static void process_is_down(struct proc_watch *w, struct proc *proc)
{
    struct drv_monitor *m = (struct drv_monitor *)((char *)w -
                                                   offsetof(struct drv_monitor, watch));
    ErlDrvPort p = m->owner;
    ErlDrvMonitor id = m->id;

    drv_enter(p);
    drv_entry(p)->process_exit(p->data, &id);
    /* It is there until now, unless the driver or the port's end took it away. */
    m = monitor_find(p, &id);
    if (m)
        monitor_free(m);
    drv_leave(p);
}

int driver_monitor_process(ErlDrvPort p, ErlDrvTermData process, ErlDrvMonitor *id)
{
    struct drv_monitor *m;
    struct proc *proc;
    uint64_t ref[2];

    if (drv_off_scheduler(__func__) || !drv_alive(p) || !drv_entry(p)->process_exit)
        return -1;
    proc = term_is_local_pid(process) ? proc_find(process) : NULL;
    if (!proc)
        return 1;
    m = vm_zalloc(ALLOC_SYSTEM, sizeof *m);
    m->owner = p;
    m->pid = process;
    ref_next(ref);
    memcpy(m->id.data, ref, sizeof ref);
    m->watch.fire = process_is_down;
    m->watch.by = p->id;
    proc_watch(proc, &m->watch);
    m->next = p->monitors;
    m->prev = &p->monitors;
    if (m->next)
        m->next->prev = &m->next;
    p->monitors = m;
    *id = m->id;
    return 0;
}

int driver_demonitor_process(ErlDrvPort p, const ErlDrvMonitor *id)
{
    struct drv_monitor *m;

    if (drv_off_scheduler(__func__) || !p || !p->port)
        return -1;
    m = monitor_find(p, id);
    if (!m)
        return 1;
    monitor_free(m);
    return 0;
}

ErlDrvTermData driver_get_monitored_process(ErlDrvPort p, const ErlDrvMonitor *id)
{
    struct drv_monitor *m;

    if (drv_off_scheduler(__func__) || !p || !p->port)
        return TERM_NIL;
    m = monitor_find(p, id);
    return m ? m->pid : TERM_NIL;
}

int driver_compare_monitors(const ErlDrvMonitor *a, const ErlDrvMonitor *b)
{
    return memcmp(a, b, sizeof *a);
}

void drv_monitors_clear(ErlDrvPort p)
{
    while (p->monitors)
        monitor_free(p->monitors);
}

/* [{process, Pid}] */
term drv_monitors_list(struct port *port, struct proc *p)
{
    ErlDrvPort owner = port->state;
    term list = TERM_NIL;

    for (struct drv_monitor *m = owner->monitors; m; m = m->next) {
        term *hp = heap_alloc(p, 3 + CONS_WORDS);
        term t = put_tuple2(&hp, am_process, m->pid);

        list = put_cons(&hp, t, list);
    }
    return list;
}
