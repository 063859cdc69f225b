/*
 * renew.c - identity, drawn anew for each copy of an instance.
 */
#include "vm/renew.h"

#include "io/port.h"
#include "net/net.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/exc.h"
#include "vm/gc.h"
#include "vm/names.h"
#include "vm/print.h"
#include "vm/unique.h"

/* Pids of a copy go on at most so many further; 2^28 numbers there are. */
#define PID_SKIP ((uint64_t)1 << 24)
/* A unique integer stays a small one through 2^16 generations. */
#define UNIQUE_SKIP ((uint64_t)1 << 40)

/* Of the processes that a bake waits for. */
#define WAITING_SHOWN 16

struct renew {
    term *pid;
    size_t n, size;
};

void renew_identity(void)
{
    uint64_t chance[4];

    os_entropy(vm.seed, sizeof vm.seed);
    os_entropy(chance, sizeof chance);
    /* A builder has no entropy, so that its image depends on its input only. */
    if (os_generation() == 0)
        return;
    /* Above all of an earlier generation, as far as there is room above. */
    vm.ref_serial = (chance[0] | (uint64_t)1 << 48) & INT64_MAX;
    unique_skip(chance[1] % UNIQUE_SKIP);
    vm.creation = (uint32_t)chance[2] | 16;
    if (vm.procs && proc_count() > 0)
        proc_skip_pids(chance[3] % PID_SKIP);
}

/*
 * init keeps its arguments as binaries in its state, the third element of the
 * record that it loops with. The tuple may be old and the list is new, so all
 * of init's heap is collected at once: no collection sees the one without the
 * other.
 */
#define INIT_STATE_ARITY 12
#define INIT_STATE_ARGS 3

static term *init_arguments(struct proc *init)
{
    for (term *at = init->heap.stop; at < init->heap.hend; at++)
        if (term_is_tuple_of(*at, INIT_STATE_ARITY) && *tuple_at(*at, 1) == am_state &&
            term_is_list(*tuple_at(*at, INIT_STATE_ARGS)))
            return (term *)tuple_at(*at, INIT_STATE_ARGS);
    return NULL;
}

bool renew_arguments(char **argv, size_t argc)
{
    term pid = name_whereis(am_init), list = TERM_NIL, *slot, *hp;
    struct proc *init = pid == THE_NON_VALUE ? NULL : proc_find(pid);

    if (argc == 0)
        return true;
    slot = init ? init_arguments(init) : NULL;
    if (!slot)
        return false;
    for (size_t i = argc; i-- > 0;) {
        term arg = binary_from(init, argv[i], strlen(argv[i]));

        hp = heap_alloc(init, CONS_WORDS);
        list = put_cons(&hp, arg, list);
    }
    *slot = list;
    return gc_full(init, 0, init->arg, init->live) == 0;
}

void renew_subscribe(term pid, bool on)
{
    struct renew *r = vm.renew;
    size_t i = 0;

    if (!r)
        r = vm.renew = vm_zalloc(ALLOC_SYSTEM, sizeof *r);
    while (i < r->n && r->pid[i] != pid)
        i++;
    if (!on && i < r->n)
        r->pid[i] = r->pid[--r->n];
    if (!on || i < r->n)
        return;
    if (r->n == r->size) {
        /* Those that ended without a word make room first. */
        for (i = 0; i < r->n;)
            if (proc_find(r->pid[i]))
                i++;
            else
                r->pid[i] = r->pid[--r->n];
        if (2 * r->n >= r->size) {
            r->size = r->size ? 2 * r->size : 4;
            r->pid = vm_realloc(r->pid, r->size * sizeof *r->pid);
        }
    }
    r->pid[r->n++] = pid;
}

void renew_tell(uint64_t generation)
{
    struct renew *r = vm.renew;

    for (size_t i = 0; r && i < r->n; i++) {
        struct proc *p = proc_find(r->pid[i]);
        struct mbuf *m;
        term *hp, message;

        if (!p)
            continue;
        m = mbuf_new(4);
        hp = m->words;
        message = put_tuple3(&hp, am_ling, am_resumed, small_make((int64_t)generation));
        m->used = 4;
        msg_send_mbuf(p, m, message);
    }
}

static void put_owner(struct text *t, term pid)
{
    struct proc *p = proc_find_any(pid);

    text_term(t, pid, 0);
    if (p && p->name != THE_NON_VALUE) {
        text_add(t, " (", 2);
        text_term(t, p->name, 0);
        text_add(t, ")", 1);
    }
}

bool renew_kept_out(struct text *t)
{
    const struct port *port;

    for (port = port_next(NULL); port; port = port_next(port)) {
        /* The console is there in every copy. */
        if (port->driver == &fd_driver || port->driver == &ttysl_driver)
            continue;
        /* So are the sockets of an instance, whose stack is its own memory. */
        if (!net_ops.adopt &&
            (port->driver == &tcp_inet_driver || port->driver == &udp_inet_driver))
            continue;
        text_printf(t, "the port %s is open and can't be kept; its owner is ",
                    port->driver->name);
        put_owner(t, port->owner);
        return true;
    }
    return false;
}

void renew_collect(void)
{
    struct proc *p;
    size_t i = 0;

    while ((p = proc_next(&i)))
        if (p->state != PROC_EXITING && !(p->flags & PF_KILLED))
            gc_full(p, 0, p->arg, p->live);
}

/* {M, F, A, _} as text. */
static void put_function(struct text *t, const struct proc *p, term frame)
{
    if (!term_is_tuple(frame) || tuple_arity(frame) < 3) {
        text_term(t, p->init_m, 0);
        text_add(t, ":", 1);
        text_term(t, p->init_f, 0);
        return;
    }
    text_term(t, *tuple_at(frame, 1), 0);
    text_add(t, ":", 1);
    text_term(t, *tuple_at(frame, 2), 0);
    text_printf(t, "/");
    text_term(t, *tuple_at(frame, 3), 0);
}

void renew_waiting(struct text *t)
{
    struct proc *p, **all = vm_alloc(ALLOC_SYSTEM, (proc_count() + 1) * sizeof *all);
    size_t i = 0, n = 0, shown = 0;

    while ((p = proc_next(&i)))
        if (!(p->flags & PF_SYSTEM) && p->state != PROC_EXITING)
            all[n++] = p;
    /* Those without a name come first: OTP's, and servers, mostly have one. */
    for (int named = 0; named < 2; named++) {
        for (i = n; i-- > 0 && shown < WAITING_SHOWN;) {
            term list = exc_stacktrace(all[i], all[i]->pc, 1);

            if ((all[i]->name != THE_NON_VALUE) != named)
                continue;
            text_add(t, ", ", shown++ ? 2 : 0);
            put_owner(t, all[i]->id);
            text_add(t, " in ", 4);
            put_function(t, all[i], term_is_cons(list) ? cons_head(list) : TERM_NIL);
        }
    }
    vm_free(all);
}
