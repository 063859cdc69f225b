/*
 * sysmon.c - see sysmon.h. Who is told never hears of itself.
 */
#include "vm/sysmon.h"

#include "io/port.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/trace.h"

#define NS_PER_MS 1000000u

void sysmon_init(void)
{
    vm.sysmon = vm_zalloc(ALLOC_SYSTEM, sizeof *vm.sysmon);
    vm.sysmon->monitor = vm.sysmon->profiler = THE_NON_VALUE;
}

void sysmon_clear(void)
{
    struct sysmon *s = vm.sysmon;

    s->monitor = THE_NON_VALUE;
    s->long_gc_ms = s->long_schedule_ms = s->large_heap_words = 0;
    s->busy_port = s->busy_dist_port = s->watch_gc = false;
}

term sysmon_monitor(void)
{
    if (vm.sysmon->monitor != THE_NON_VALUE && !proc_find(vm.sysmon->monitor))
        sysmon_clear();
    return vm.sysmon->monitor;
}

term sysmon_profiler(void)
{
    struct sysmon *s = vm.sysmon;

    if (s->profiler != THE_NON_VALUE &&
        !(term_is_local_pid(s->profiler) ? proc_find(s->profiler) != NULL
                                         : port_find(s->profiler) != NULL)) {
        s->profiler = THE_NON_VALUE;
        s->profile = 0;
    }
    return s->profiler;
}

/* {monitor, About, What, Term}, a process or a port */
static void tell(term about, term what, term t)
{
    term to = sysmon_monitor();
    struct mbuf *frag;
    struct dest d;

    if (to == THE_NON_VALUE || to == about)
        return;
    frag = mbuf_new(term_size(t) + 5);
    d = (struct dest){frag->words, &frag->off};
    t = term_copy(&d, t);
    t = put_tuple4(&d.htop, am_monitor, about, what, t);
    frag->used = (size_t)(d.htop - frag->words);
    msg_send_mbuf(proc_find(to), frag, t);
}

/* [{timeout, Ms}, ...] of n figures, the first of them left out if it is 0. */
static void tell_figures(struct proc *p, term what, uint64_t ms)
{
    static const term keys[] = {am_old_heap_block_size, am_heap_block_size, am_mbuf_size,
                                am_stack_size, am_old_heap_size, am_heap_size};
    struct heap_fact all[HEAP_FACTS];
    term at[7 * (3 + CONS_WORDS)], *hp = at, list = TERM_NIL, pair;

    heap_facts(p, p->heap.mbuf_words, all);
    for (size_t i = sizeof keys / sizeof *keys; i-- > 0;) {
        size_t k = 0;

        while (all[k].key != keys[i])
            k++;
        pair = put_tuple2(&hp, keys[i], small_make((int64_t)all[k].value));
        list = put_cons(&hp, pair, list);
    }
    if (what == am_long_gc) {
        pair = put_tuple2(&hp, am_timeout, small_make((int64_t)ms));
        list = put_cons(&hp, pair, list);
    }
    tell(p->id, what, list);
}

void sysmon_collected(struct proc *p, uint64_t began_ns)
{
    struct sysmon *s = vm.sysmon;
    const struct heap *h = &p->heap;
    size_t words = (size_t)(h->hend - h->heap) +
                   (h->old_heap ? (size_t)(h->old_hend - h->old_heap) : 0);

    while (s->test_gc_sleep_ms &&
           os_mono_ns() - began_ns < s->test_gc_sleep_ms * NS_PER_MS)
        ;
    if (s->long_gc_ms) {
        uint64_t ms = (os_mono_ns() - began_ns) / NS_PER_MS;

        if (ms > s->long_gc_ms)
            tell_figures(p, am_long_gc, ms);
    }
    if (s->large_heap_words && words >= s->large_heap_words)
        tell_figures(p, am_large_heap, 0);
}

void sysmon_ran(struct proc *p, code_ptr in, uint64_t began_ns)
{
    uint64_t ms = (os_mono_ns() - began_ns) / NS_PER_MS;
    term from[4], to[4], at[3 * (3 + CONS_WORDS)], *hp = at, list, pair;

    if (!vm.sysmon->long_schedule_ms || ms < vm.sysmon->long_schedule_ms)
        return;
    pair = put_tuple2(&hp, am_out, trace_where(p, p->pc, to));
    list = put_cons(&hp, pair, TERM_NIL);
    pair = put_tuple2(&hp, am_in, trace_where(p, in, from));
    list = put_cons(&hp, pair, list);
    pair = put_tuple2(&hp, am_timeout, small_make((int64_t)ms));
    list = put_cons(&hp, pair, list);
    tell(p->id, am_long_schedule, list);
}

void sysmon_port_ran(term port, term what, uint64_t began_ns)
{
    uint64_t ms = (os_mono_ns() - began_ns) / NS_PER_MS;
    term at[2 * (3 + CONS_WORDS)], *hp = at, list, pair;

    if (!vm.sysmon->long_schedule_ms || ms <= vm.sysmon->long_schedule_ms)
        return;
    pair = put_tuple2(&hp, am_port_op, what);
    list = put_cons(&hp, pair, TERM_NIL);
    pair = put_tuple2(&hp, am_timeout, small_make((int64_t)ms));
    list = put_cons(&hp, pair, list);
    tell(port, am_long_schedule, list);
}

void sysmon_busy_port(struct proc *p, term port)
{
    tell(p->id, am_busy_port, port);
}

/* {profile, Id, Status, Where, Timestamp} */
static void profile(term id, term status, term where)
{
    term to = sysmon_profiler(), *t;
    struct mbuf *frag;
    struct dest d;

    if (to == THE_NON_VALUE || to == id)
        return;
    frag = mbuf_new(6 + term_size(where) + TRACE_STAMP_WORDS);
    d = (struct dest){frag->words + 6, &frag->off};
    t = frag->words;
    t[0] = TUPLE_HEADER(5);
    t[1] = am_profile;
    t[2] = id;
    t[3] = status;
    t[4] = term_copy(&d, where);
    t[5] = trace_stamp(&d.htop, vm.sysmon->stamp);
    frag->used = (size_t)(d.htop - frag->words);
    if (term_is_local_pid(to)) {
        msg_send_mbuf(proc_find(to), frag, boxed_make(t));
    } else {
        trace_to_port(port_find(to), boxed_make(t));
        mbuf_free(frag);
    }
}

void sysmon_profile_proc(struct proc *p, term status)
{
    term mfa[4];

    profile(p->id, status, trace_where(p, p->pc, mfa));
}

void sysmon_profile_port(term port, term status)
{
    profile(port, status, small_make(0));
}
