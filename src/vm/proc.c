/*
 * proc.c - processes: the table, how they start and how they end.
 *
 * A pid's number counts up, so that a pid is not used again before 2^28 others
 * (then the serial counts, as in OTP). A process is in the slot that the low
 * bits of its number say; numbers whose slot is taken are passed over. The
 * table doubles when it is half full.
 */
#include "vm/atom.h"
#include "op/lastcalls.h"
#include "vm/btimer.h"
#include "vm/dirty.h"
#include "vm/gc.h"
#include "vm/link.h"
#include "vm/log.h"
#include "vm/names.h"
#include "vm/ops.h"
#include "vm/pdict.h"
#include "vm/print.h"
#include "vm/proclist.h"
#include "vm/renew.h"
#include "vm/roots.h"
#include "vm/sched.h"
#include "vm/seqtrace.h"
#include "vm/slice.h"
#include "vm/task.h"
#include "vm/timer.h"

#include "bif/info.h"
#include "io/port.h"
#include "op/code.h"
#include "os/os.h"
#include "vm/ets.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/sysmon.h"
#include "vm/trace.h"

/* OTP's default, system_info(process_limit). */
#define PROC_LIMIT 262144
#define FIRST_SLOTS 256
/* What the steps of dying cost that are not counted one by one. */
#define EXIT_STEP_REDS 10

void proc_init(void)
{
    struct proc_table *t = vm_zalloc(ALLOC_PROC, sizeof *t);
    size_t slots = vm.stress_gc ? 2 : FIRST_SLOTS;

    t->limit = PROC_LIMIT;
    t->mask = slots - 1;
    t->slot = vm_zalloc(ALLOC_PROC, slots * sizeof *t->slot);
    vm.procs = t;
    link_init();
    btimer_init();
    magic_init();
    name_init();
}

size_t proc_count(void)
{
    return vm.procs->count;
}

size_t proc_slots(void)
{
    return vm.procs->mask + 1;
}

size_t proc_limit(void)
{
    return vm.procs->limit;
}

void proc_set_limit(size_t n)
{
    assert(n <= PROC_LIMIT_MAX);
    vm.procs->limit = n;
}

struct proc *proc_find_any(term pid)
{
    struct proc *p;

    if (!term_is_local_pid(pid))
        return NULL;
    p = vm.procs->slot[pid_number(pid) & vm.procs->mask];
    return p && p->id == pid ? p : NULL;
}

struct proc *proc_find(term pid)
{
    struct proc *p = proc_find_any(pid);

    if (!p || p->state == PROC_EXITING || (p->flags & PF_KILLED))
        return NULL;
    return p;
}

struct proc *proc_next(size_t *i)
{
    struct proc_table *t = vm.procs;

    while (*i <= t->mask) {
        struct proc *p = t->slot[(*i)++];

        if (p)
            return p;
    }
    return NULL;
}

static void table_grow(struct proc_table *t)
{
    size_t slots = 2 * (t->mask + 1);
    struct proc **slot = vm_zalloc(ALLOC_PROC, slots * sizeof *slot);

    /* Distinct in the low bits, so distinct in one bit more. */
    for (size_t i = 0; i <= t->mask; i++)
        if (t->slot[i])
            slot[pid_number(t->slot[i]->id) & (slots - 1)] = t->slot[i];
    vm_free(t->slot);
    t->slot = slot;
    t->mask = slots - 1;
}

static void table_add(struct proc_table *t, struct proc *p)
{
    const uint64_t numbers = (uint64_t)1 << PID_NUMBER_BITS;
    uint64_t n;

    if (2 * t->count > t->mask)
        table_grow(t);
    while (t->slot[t->next & t->mask])
        t->next++;
    n = t->next++;
    p->slot = (uint32_t)(n & t->mask);
    p->id = pid_make((uint32_t)(n & (numbers - 1)),
                     (uint32_t)(n >> PID_NUMBER_BITS) &
                         ((1u << PID_SERIAL_BITS) - 1));
    t->slot[p->slot] = p;
    t->count++;
}

uint32_t proc_next_number(bool set, uint32_t n)
{
    struct proc_table *t = vm.procs;
    const uint64_t mask = ((uint64_t)1 << PID_NUMBER_BITS) - 1;

    if (set)
        t->next = (t->next & ~mask) | (n & mask);
    while (t->slot[t->next & t->mask])
        t->next++;
    return (uint32_t)(t->next & mask);
}

void proc_skip_pids(uint64_t n)
{
    vm.procs->next += n;
}

static void table_remove(struct proc_table *t, struct proc *p)
{
    if (unlikely(t->lists != NULL))
        proc_list_lose(p);
    t->slot[pid_number(p->id) & t->mask] = NULL;
    t->count--;
}

void proc_roots(struct proc *p, root_range range, void *ctx)
{
    /* Empty slots hold THE_NON_VALUE, which is no pointer. */
    if (p->dict)
        range(ctx, &p->dict->slot[0].key, 2 * (p->dict->mask + 1));
    /* x registers of a process that is not running: the caller's roots. */
}

/* ---- start ---- */

/* A copy of t for p, which has just started and has room. */
static term copy_in(struct proc *p, term t)
{
    struct dest d = {p->heap.htop, &p->heap.off};
    term copy = term_copy(&d, t);

    p->heap.htop = d.htop;
    return copy;
}

/* Something of p or its parent is traced. */
static __attribute__((noinline, cold)) void tell_spawn(struct proc *p, struct proc *parent,
                                                      term m, term f, term args,
                                                      const struct spawn_opts *opts)
{
    trace_inherit(p, parent, opts->link);
    if (parent && parent->trace & TF_TOKEN)
        seq_trace_spawned(p, parent, opts->monitor_ref, m, f, args, opts->list, opts->tag);
    if (parent && parent->trace & TF_PROCS) {
        trace_spawn(parent, am_spawn, p->id, m, f, args);
        if (opts->link && parent->trace & TF_PROCS)
            trace_proc(parent, am_link, p->id);
    }
    if (p->trace & TF_PROCS) {
        trace_spawn(p, am_spawned, p->parent, m, f, args);
        if (opts->link && p->trace & TF_PROCS)
            trace_proc(p, am_getting_linked, p->parent);
    }
}

term proc_spawn(struct proc *parent, term m, term f, term args,
                struct spawn_opts *opts, term *error)
{
    struct proc_table *t = vm.procs;
    term leader = parent ? parent->group_leader : THE_NON_VALUE;
    size_t leader_words = term_is_imm(leader) ? 0 : term_size(leader);
    size_t words = term_size(args) + leader_words;
    size_t need = words + 1 + HEAP_RESERVE;
    size_t min_words =
        opts->min_heap_words > HEAP_MIN_WORDS ? opts->min_heap_words : HEAP_MIN_WORDS;
    struct proc *p;

    *error = am_system_limit;
    if (t->count >= t->limit)
        return THE_NON_VALUE;
    p = vm_zalloc(ALLOC_PROC, sizeof *p);
    if (heap_init(&p->heap, need > min_words ? need : min_words) < 0) {
        vm_free(p);
        return THE_NON_VALUE;
    }
    p->heap.min_words = heap_size_step(min_words);
    p->heap.max_words = opts->max_heap_words;
    p->heap.max_gen_gcs = opts->max_gen_gcs;
    if (opts->min_bin_vheap) {
        p->heap.min_bin_vheap = opts->min_bin_vheap;
        p->heap.bin_vheap_limit = p->heap.bin_old_vheap_limit = opts->min_bin_vheap;
    }

    p->flags = opts->flags;
    p->bound = opts->bound;
    p->prio = opts->prio;
    p->arg = p->arg_def;
    p->arg_size = sizeof p->arg_def / sizeof *p->arg_def;
    msgq_init(&p->msgq);
    p->exit_reason = THE_NON_VALUE;
    p->exc.reason = p->exc.trace = p->exc.args = p->exc.cause = THE_NON_VALUE;
    p->exc.info = p->exc.mfa = THE_NON_VALUE;
    p->seq_token = TERM_NIL;
    p->ftrace_args = TERM_NIL;
    p->error_handler = am_error_handler;
    p->name = THE_NON_VALUE;
    p->initial_call = TERM_NIL;
    p->init_m = m;
    p->init_f = f;
    p->init_arity = (uint32_t)list_length(args);
    p->start_ns = os_mono_ns();
    table_add(t, p);
    p->parent = parent ? parent->id : am_undefined;
    p->group_leader = !parent         ? p->id
                      : leader_words ? copy_in(p, leader)
                                     : leader;

    p->arg[0] = m;
    p->arg[1] = f;
    p->arg[2] = term_is_imm(args) ? args : copy_in(p, args);
    p->live = 3;
    p->pc = code_apply_stub;
    *--p->heap.stop = (term)(uintptr_t)code_exit_stub;

    if (unlikely(vm.trace->new_procs.flags || (parent && parent->trace)))
        tell_spawn(p, parent, m, f, args, opts);
    if (opts->link)
        link_add(parent->id, p->id);
    if (opts->monitor) {
        struct monitor_opts mo;
        uint64_t ref[2];
        term *hp = heap_alloc(parent, REF_WORDS);
        bool ok = monitor_opts_parse(opts->monitor_opts, &mo);

        assert(ok);
        (void)ok;
        if (opts->monitor_ref == THE_NON_VALUE || opts->monitor_ref == 0) {
            ref_next(ref);
            opts->monitor_ref = ref_put(&hp, ref);
        } else {
            heap_trim(parent, hp);
            memcpy(ref, ref_numbers(opts->monitor_ref), sizeof ref);
        }
        monitor_add(parent, ref, am_process, p->id, THE_NON_VALUE, &mo);
    }
    sched_enqueue(p);
    return p->id;
}

void proc_wake(struct proc *p)
{
    if (unlikely(p->flags & PF_IN_TASK)) {
        p->flags |= PF_WOKEN;
        return;
    }
    if (p->state != PROC_WAITING)
        return;
    if (p->flags & PF_SUSPENDED)
        p->flags |= PF_ACTIVE;
    else
        sched_enqueue(p);
}

/* ---- end ---- */

void proc_exit_signal(struct proc *to, term from, term reason, bool from_link)
{
    bool kill = reason == am_kill && !from_link;

    if (to->state == PROC_EXITING || to->state == PROC_FREE ||
        (to->flags & PF_KILLED))
        return;
    if ((to->flags & PF_TRAP_EXIT) && !kill) {
        size_t words = 4 + term_size(reason) + term_size(from);
        struct mbuf *frag = mbuf_new(words);
        struct dest d = {frag->words, &frag->off};
        term r = term_copy(&d, reason), f = term_copy(&d, from);
        term message = put_tuple3(&d.htop, am_EXIT, f, r);

        frag->used = d.htop - frag->words;
        msg_send_mbuf_from(to, frag, message, from);
        return;
    }
    if (reason == am_normal && to->id != from)
        return;
    if (to->stack) {
        struct mbuf *frag = mbuf_new(term_size(reason));
        struct dest d = {frag->words, &frag->off};

        to->late_reason = kill ? am_killed : term_copy(&d, reason);
        frag->used = d.htop - frag->words;
        to->late = frag;
    } else {
        to->exit_reason = kill ? am_killed : term_copy_to(to, reason);
    }
    to->flags |= PF_KILLED;
    /* Who is more urgent than it need not wait for its end. */
    if (vm.sched->p && to->state == PROC_WAITING && vm.sched->p->prio < to->prio)
        to->prio = vm.sched->p->prio;
    if (to == vm.sched->p) {
        /* It dies at the next function entry, if its BIF does not see it. */
        if (to->reds_left > 0)
            to->reds_left = 0;
    } else if (to->state == PROC_WAITING) {
        sched_enqueue(to);
    } else if (to->dirty_waits) {
        dirty_withdraw(to);
    }
}

void proc_exit_self(struct proc *p, term reason)
{
    if (!(p->flags & PF_KILLED) || p->exit_reason == THE_NON_VALUE)
        p->exit_reason = reason;
}

void proc_log_crash(struct proc *p, term value)
{
    term *hp = heap_alloc(p, 2 * CONS_WORDS);
    term args = put_cons(&hp, value, TERM_NIL);

    args = put_cons(&hp, p->id, args);
    log_format(am_error, p->group_leader,
               "Error in process ~p with exit value:~n~p~n", args);
}

/* Progress of dying: the steps in their order. What others see is OTP's. */
enum exit_step { EXIT_TIMERS, EXIT_ETS, EXIT_TABLE, EXIT_LINKS, EXIT_FREE };
struct exit_work {
    enum exit_step step;
};

static void proc_free(struct proc *p)
{
    assert(!p->links && !p->timers && !p->tasks && !p->runq);
    vm.info->ended_reductions += p->reductions;
    {
        SLICED(p, NULL);
        pdict_clear(p);
        msgq_clear(&p->msgq);
        heap_fini(&p->heap);
    }
    if (p->timer) {
        timer_cancel(p->timer);
        vm_free(p->timer);
    }
    if (p->arg != p->arg_def)
        vm_free(p->arg);
    vm_free(p->exit_work);
    if (p->traced)
        trace_proc_free(p);
    p->state = PROC_FREE;
    vm_free(p);
}

/* init and the processes that serve the VM can't be missed: as OTP, end it. */
static _Noreturn void system_process_died(struct proc *p)
{
    struct text t;

    text_init(&t);
    text_printf(&t, "System process ");
    text_term(&t, p->id, 0);
    text_printf(&t, " terminated: ");
    text_term(&t, p->exit_reason, 0);
    vm_fatal(1, "%.*s", (int)t.n, t.s);
}

bool proc_exit_continue(struct proc *p, int32_t *reds)
{
    struct exit_work *w = p->exit_work;

    p->state = PROC_EXITING;
    if (!w) {
        w = p->exit_work = vm_zalloc(ALLOC_PROC, sizeof *w);
        if (p->exit_reason == THE_NON_VALUE)
            p->exit_reason = am_normal;
        if (p->flags & PF_SYSTEM)
            system_process_died(p);
        recv_timer_cancel(p);
        task_refuse(p);
        if (unlikely(p->trace & TF_PROCS))
            trace_proc(p, am_exit, p->exit_reason);
    }
    while (*reds > 0) {
        switch (w->step) {
        case EXIT_TIMERS:
            if (!btimer_proc_exit(p, reds))
                break;
            w->step = EXIT_ETS;
            break;
        case EXIT_ETS:
            if ((p->flags & PF_USING_DB) && !ets_proc_exit(p, reds))
                break;
            p->flags &= ~(uint32_t)PF_USING_DB;
            w->step = EXIT_TABLE;
            break;
        case EXIT_TABLE:
            if (p->name != THE_NON_VALUE)
                name_unregister(p->name);
            table_remove(vm.procs, p);
            if (p->last_calls)
                last_calls_set(p, 0);
            if (p->on_exit)
                p->on_exit(p);
            if (p->flags & PF_USING_PORTS)
                port_proc_exit(p);
            w->step = EXIT_LINKS;
            break;
        case EXIT_LINKS:
            if (p->links) {
                bool done;

                vm.trace->exiting = term_is_nil(p->seq_token) ? NULL : p;
                done = links_exit(p->links, p->id, p->name, p->exit_reason, reds);
                vm.trace->exiting = NULL;
                if (!done)
                    break;
                p->links = NULL;
            }
            w->step = EXIT_FREE;
            break;
        case EXIT_FREE:
            if (unlikely(p->dirty != NULL) && dirty_lingers(p))
                return true;
            if (unlikely(p->trace & TF_EXITING))
                trace_running(p, am_out_exited);
            if (unlikely(vm.sysmon->profile & PROFILE_PROCS))
                sysmon_profile_proc(p, am_inactive);
            proc_free(p);
            return true;
        }
        *reds -= EXIT_STEP_REDS;
    }
    return false;
}
