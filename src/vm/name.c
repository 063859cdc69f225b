/*
 * name.c - registered names: an open hash table of atoms to pids and ports.
 *
 * The scheduler alone changes it, under the lock; other threads look under it.
 */
#include <pthread.h>

#include "io/port.h"
#include "vm/atom.h"
#include "vm/names.h"
#include "vm/trace.h"

struct name_table {
    size_t n, mask;
    struct name_entry *slot;        /* name 0: empty */
};

static pthread_mutex_t changes = PTHREAD_MUTEX_INITIALIZER;

void name_init(void)
{
    size_t slots = vm.stress_gc ? 2 : 64;
    struct name_table *t = vm_zalloc(ALLOC_SYSTEM, sizeof *t);

    t->mask = slots - 1;
    t->slot = vm_zalloc(ALLOC_SYSTEM, slots * sizeof *t->slot);
    vm.names = t;
}

static size_t home(const struct name_table *t, term name)
{
    return atom_index(name) * 0x9e3779b1u & t->mask;
}

static struct name_entry *find(struct name_table *t, term name)
{
    size_t i = home(t, name);

    while (t->slot[i].name && t->slot[i].name != name)
        i = (i + 1) & t->mask;
    return &t->slot[i];
}

static void grow(struct name_table *t)
{
    struct name_entry *old = t->slot;
    size_t slots = t->mask + 1;

    t->slot = vm_zalloc(ALLOC_SYSTEM, 2 * slots * sizeof *t->slot);
    t->mask = 2 * slots - 1;
    for (size_t i = 0; i < slots; i++)
        if (old[i].name)
            *find(t, old[i].name) = old[i];
    vm_free(old);
}

/* Where the name of a process or port is kept; NULL if it is gone. */
static term *name_of(term id)
{
    if (term_is_local_pid(id)) {
        struct proc *p = proc_find(id);

        return p ? &p->name : NULL;
    }
    if (term_is_local_port(id)) {
        struct port *port = port_find(id);

        return port ? &port->name : NULL;
    }
    return NULL;
}

/* register or unregister, to the tracer of what has the name. */
static void tell(term what, term id, term name)
{
    if (term_is_local_pid(id)) {
        struct proc *p = proc_find_any(id);

        if (p && unlikely(p->trace & TF_PROCS))
            trace_proc(p, what, name);
    } else {
        struct port *port = port_find(id);

        if (port && unlikely(port->trace.flags & TF_PORTS))
            trace_tracee(&port->trace, port->id, TRACER_PORTS, what, name, THE_NON_VALUE);
    }
}

bool name_register(term name, term id)
{
    struct name_table *t = vm.names;
    struct name_entry *e;
    term *own;

    if (!term_is_atom(name) || name == am_undefined)
        return false;
    own = name_of(id);
    if (!own || *own != THE_NON_VALUE || find(t, name)->name)
        return false;
    pthread_mutex_lock(&changes);
    if ((t->n + 1) * 4 > (t->mask + 1) * 3)
        grow(t);
    e = find(t, name);
    e->name = name;
    e->id = id;
    t->n++;
    pthread_mutex_unlock(&changes);
    *own = name;
    tell(am_register, id, name);
    return true;
}

bool name_unregister(term name)
{
    struct name_table *t = vm.names;
    struct name_entry *e = find(t, name);
    size_t hole, i;
    term *own;

    if (!e->name)
        return false;
    own = term_is_local_pid(e->id) && proc_find_any(e->id)
              ? &proc_find_any(e->id)->name
              : name_of(e->id);
    if (own)
        *own = THE_NON_VALUE;
    tell(am_unregister, e->id, name);
    pthread_mutex_lock(&changes);
    hole = i = e - t->slot;
    for (;;) {
        i = (i + 1) & t->mask;
        if (!t->slot[i].name)
            break;
        if (((i - home(t, t->slot[i].name)) & t->mask) >= ((i - hole) & t->mask)) {
            t->slot[hole] = t->slot[i];
            hole = i;
        }
    }
    t->slot[hole] = (struct name_entry){0};
    t->n--;
    pthread_mutex_unlock(&changes);
    return true;
}

term name_whereis(term name)
{
    struct name_entry *e = find(vm.names, name);

    return e->name ? e->id : THE_NON_VALUE;
}

term name_whereis_by_thread(term name)
{
    term id;

    pthread_mutex_lock(&changes);
    id = name_whereis(name);
    pthread_mutex_unlock(&changes);
    return id;
}

const struct name_entry *name_next(size_t *i)
{
    struct name_table *t = vm.names;

    while (*i <= t->mask) {
        const struct name_entry *e = &t->slot[(*i)++];

        if (e->name)
            return e;
    }
    return NULL;
}

size_t name_count(void)
{
    return vm.names->n;
}
