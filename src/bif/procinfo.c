/*
 * procinfo.c - erlang:process_info/1,2 and what prints a process's stack.
 *
 * Items are built on the caller's heap; what belongs to another process is
 * copied.
 */
#include "bif/process.h"
#include "bif/procinfo.h"
#include "bif/bif.h"
#include "bif/build.h"
#include "bif/info.h"
#include "io/io.h"
#include "op/code.h"
#include "op/lastcalls.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/dirty.h"
#include "vm/exc.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/slice.h"
#include "vm/trace.h"
#include "vm/link.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/pdict.h"
#include "vm/print.h"

/* What an item costs, about: some build lists and walk stacks. */
#define ITEM_REDS 8

/* q's term for p. */
static term give(struct proc *p, const struct proc *q, term t)
{
    return p == q || term_is_imm(t) ? t : term_copy_to(p, t);
}

static term size_term(struct proc *p, uint64_t n)
{
    return uint64_make(p, n);
}

/* ---- where it runs ---- */

static term mfa(struct proc *p, term m, term f, uint32_t arity)
{
    return build_tuple3(p, m, f, small_make(arity));
}

/* The innermost frames; who asks for itself is seen as the caller. */
static term frames(struct proc *p, struct proc *q, int depth)
{
    code_ptr pc = q == p ? vm.sched->self : q->pc;

    return give(p, q, exc_stacktrace(q, pc, depth));
}

/* {M,F,A}, or {M,F,A,Loc} when location. */
static term current(struct proc *p, struct proc *q, bool location)
{
    const struct export *e = q == p       ? NULL
                             : q->current ? q->current
                                          : code_stub_export(q->pc);
    term m, f, list;
    uint32_t arity;

    if (q->flags & PF_HIBERNATED) {
        m = am_erlang;
        f = am_hibernate;
        arity = 3;
    } else if (q != p && q->pc == code_apply_stub) {
        m = q->init_m;
        f = q->init_f;
        arity = q->init_arity;
    } else if (e) {
        m = e->m;
        /* It is a call of send/2, says OTP. */
        f = e == vm.sched->bif_send ? am_send : e->f;
        arity = e->arity;
    } else {
        list = frames(p, q, 1);
        if (!term_is_cons(list))
            return am_undefined;
        list = cons_head(list);
        if (location)
            return list;
        return build_tuple3(p, *tuple_at(list, 1), *tuple_at(list, 2),
                            *tuple_at(list, 3));
    }
    return location ? build_tuple4(p, m, f, small_make(arity), TERM_NIL)
                    : mfa(p, m, f, arity);
}

static term stacktrace(struct proc *p, struct proc *q)
{
    int depth = (int)vm.info->backtrace_depth;
    const struct export *e = q == p ? NULL : code_stub_export(q->pc);

    if ((q->flags & PF_HIBERNATED) || (e && depth > 0) ||
        (q != p && q->pc == code_apply_stub)) {
        term first = current(p, q, true);
        term rest = depth > 1 ? frames(p, q, depth - 1) : TERM_NIL;

        return depth > 0 ? build_cons(p, first, rest) : TERM_NIL;
    }
    return frames(p, q, depth);
}

/* Where OTP shows an address: the place in its module. Programs don't see more. */
static void address(struct text *t, code_ptr pc)
{
    struct code *c = code_find(pc);
    struct func *f = c ? code_func(c, pc) : NULL;

    text_printf(t, "0x%016lx (",
                c ? (unsigned long)((uintptr_t)pc - (uintptr_t)c->base) : 0);
    if (f) {
        text_term(t, c->module, 0);
        text_add(t, ":", 1);
        text_term(t, f->f, 0);
        text_printf(t, "/%u + %lu)\n", f->arity,
                    (unsigned long)((uintptr_t)pc - (uintptr_t)c->base - f->start));
    } else if (pc == code_exit_stub) {
        text_printf(t, "<terminate process normally>)\n");
    } else {
        text_printf(t, "unknown function)\n");
    }
}

/* The stack in OTP's words: the pc, then each frame and what is in it. */
static void backtrace(struct text *t, const struct proc *p, const struct proc *q)
{
    code_ptr pc = q == p ? vm.sched->self : q->pc;
    const term *sp = q->heap.stop;
    struct code *c;
    size_t frame = exc_frame_words(q, pc, &c);

    text_printf(t, "Program counter: ");
    address(t, pc);
    while (sp < q->heap.hend) {
        for (size_t i = 0; i < frame && sp < q->heap.hend; i++) {
            text_printf(t, "y(%zu)     ", (size_t)i);
            if (term_is_catch(*sp)) {
                text_printf(t, "Catch ");
                address(t, catch_get(catch_index(*sp))->handler);
            } else {
                text_term(t, *sp, 1000);
                text_add(t, "\n", 1);
            }
            sp++;
        }
        if (sp >= q->heap.hend)
            break;
        pc = (code_ptr)(uintptr_t)*sp;
        text_printf(t, "\n0x%016lx Return addr ", (unsigned long)(uintptr_t)sp);
        address(t, pc);
        sp++;
        frame = code_frame(pc - 1, &c) & ~FRAME_UNSURE;
    }
}

term procinfo_backtrace(struct proc *p, const struct proc *q)
{
    struct text t;
    term bin;

    text_init(&t);
    if (!(q->flags & PF_SENSITIVE))
        backtrace(&t, p, q);
    bin = binary_from(p, t.s, t.n);
    text_fini(&t);
    return bin;
}

BIF(erts_internal, process_display, 2)
{
    struct proc *q;
    struct text t;

    if (arg[1] != am_backtrace)
        return am_badarg;
    q = proc_find(arg[0]);
    if (!q)
        return am_badarg;
    text_init(&t);
    if (!(q->flags & PF_SENSITIVE))
        backtrace(&t, p, q);
    os_console(t.s, t.n);
    text_fini(&t);
    return am_true;
}

/* ---- memory ---- */

static size_t block_words(const struct proc *q)
{
    return (size_t)(q->heap.hend - q->heap.heap);
}

static size_t old_block_words(const struct proc *q)
{
    return q->heap.old_heap ? (size_t)(q->heap.old_hend - q->heap.old_heap) : 0;
}

static size_t mbuf_words(const struct proc *q)
{
    return q->heap.mbuf_words + (q->flags & PF_OFF_HEAP_MSGS ? 0 : q->msgq.frag_words);
}

static size_t total_words(const struct proc *q)
{
    return block_words(q) + old_block_words(q) + mbuf_words(q);
}

static size_t memory_bytes(const struct proc *q)
{
    size_t n = sizeof *q + total_words(q) * sizeof(term);

    if (q->flags & PF_OFF_HEAP_MSGS)
        n += q->msgq.frag_words * sizeof(term);
    n += q->msgq.length * sizeof(struct msg);
    if (q->dict)
        n += (q->dict->mask + 1) * sizeof(struct pdict_slot);
    if (q->arg != q->arg_def)
        n += q->arg_size * sizeof(term);
    if (q->links)
        n += sizeof *q->links + q->links->links.n * sizeof(struct link_half) +
             q->links->monitors.n * sizeof(struct monitor);
    return n;
}

static term gc_settings(struct proc *p, const struct proc *q)
{
    term list = build_item(p, am_minor_gcs, small_make(q->heap.gen_gcs), TERM_NIL);

    list = build_item(p, am_fullsweep_after, small_make(q->heap.max_gen_gcs), list);
    list = build_item(p, am_min_heap_size, size_term(p, q->heap.min_words), list);
    list = build_item(p, am_min_bin_vheap_size, size_term(p, q->heap.min_bin_vheap),
                      list);
    return build_item(p, am_max_heap_size, proc_max_heap_map(p, q), list);
}

static term gc_info(struct proc *p, const struct proc *q)
{
    struct heap_fact f[HEAP_FACTS];
    term list = TERM_NIL;

    heap_facts(q, mbuf_words(q), f);
    for (size_t i = HEAP_FACTS; i-- > 0;)
        list = build_item(p, f[i].key, size_term(p, f[i].value), list);
    return list;
}

/* ---- what may be large ---- */

/* Nanoseconds of an element, and of a word that is copied. */
#define ELEMENT_NS 40
#define WORD_NS 3

static size_t words_used(const struct heap *h)
{
    return (size_t)(h->htop - h->heap) + h->mbuf_words;
}

/* An element more, since p's heap held *words. */
static void element(const struct proc *p, size_t *words)
{
    size_t now = words_used(&p->heap);

    slice(ELEMENT_NS + (now - *words) * WORD_NS);
    *words = now;
}

/*
 * What lists much of q does it in slices: q stays as it is meanwhile, but for
 * messages behind the first `queued`.
 */
static term in_slices(struct proc *p, struct proc *q, size_t queued,
                      term list(struct proc *p, const struct proc *q, size_t queued))
{
    term t;

    /* It goes on with its work elsewhere. */
    if (dirty_runs(q) || q->dirty_waits)
        return list(p, q, queued);
    SLICED(p, NULL);
    if (q != p)
        slice_hold(p, q);
    t = list(p, q, queued);
    if (q != p)
        slice_release(q);
    return t;
}

/* [{Address, Bytes, References} | Tail] */
static term binaries_of(struct proc *p, const struct offheap *off, term list)
{
    size_t words = words_used(&p->heap);

    for (const term *o = off->first; o; o = (const term *)o[1]) {
        const struct refcbin_words *w = (const struct refcbin_words *)o;

        element(p, &words);
        if (header_type(*o) != BOX_REFCBIN)
            continue;
        list = build_cons(p,
                          build_tuple3(p, size_term(p, (uintptr_t)w->bin),
                                       size_term(p, w->bin->size),
                                       small_make(w->bin->refc)),
                          list);
    }
    return list;
}

static term binaries(struct proc *p, const struct proc *q, size_t queued)
{
    term list = binaries_of(p, &q->heap.off, TERM_NIL);

    list = binaries_of(p, &q->heap.old_off, list);
    for (const struct mbuf *m = q->heap.mbuf; m; m = m->next)
        list = binaries_of(p, &m->off, list);
    return list;
}

static term messages(struct proc *p, const struct proc *q, size_t queued)
{
    term list = TERM_NIL, *tail = &list;
    size_t words = words_used(&p->heap);

    if (q->flags & PF_SENSITIVE)
        return TERM_NIL;
    for (const struct msg *m = q->msgq.first; m && queued > 0; m = m->next, queued--) {
        term *hp, value = m->value;

        element(p, &words);
        if (value == THE_NON_VALUE)
            continue;
        if (m->frag && !term_is_imm(value))
            value = term_copy_to(p, value);
        else
            value = give(p, q, value);
        hp = heap_alloc(p, CONS_WORDS);
        hp[0] = value;
        hp[1] = TERM_NIL;
        *tail = cons_make(hp);
        tail = &hp[1];
    }
    return list;
}

static term dictionary(struct proc *p, const struct proc *q, size_t queued)
{
    const struct pdict_slot *s;
    term list = TERM_NIL;
    size_t words = words_used(&p->heap);

    if (q->flags & PF_SENSITIVE)
        return TERM_NIL;
    for (size_t i = 0; (s = pdict_next(q, &i));) {
        list = build_item(p, give(p, q, s->key), give(p, q, s->value), list);
        element(p, &words);
    }
    return list;
}

/* ---- the rest ---- */

static term status(const struct proc *q)
{
    if (dirty_runs(q))
        return am_running;
    if (q->flags & (PF_SUSPENDED | PF_BUSY_PORT))
        return am_suspended;
    switch (q->state) {
    case PROC_RUNNING: return am_running;
    case PROC_RUNNABLE: return am_runnable;
    case PROC_WAITING: return am_waiting;
    default: return am_exiting;
    }
}

static term monitors(struct proc *p, const struct proc *q)
{
    term list = TERM_NIL;

    if (!q->links)
        return list;
    for (struct snode *e = q->links->monitors.first; e; e = e->next) {
        const struct monitor *m = (const struct monitor *)e;
        term what = m->name != THE_NON_VALUE ? build_tuple2(p, m->name, m->node)
                                             : m->id;

        list = build_item(p, m->type, what, list);
    }
    return list;
}

static term suspending(struct proc *p, const struct proc *q)
{
    term list = TERM_NIL;

    if (!q->links)
        return list;
    for (struct snode *e = q->links->suspends.first; e; e = e->next)
        list = build_cons(p,
                          build_tuple3(p, e->key[0],
                                       small_make(((struct suspend *)e)->count),
                                       small_make(0)),
                          list);
    return list;
}

static uint64_t reductions(const struct proc *q)
{
    int32_t spent = q->state == PROC_RUNNING ? vm.slice_reds - q->reds_left : 0;

    return q->reductions + (spent > 0 ? (uint32_t)spent : 0);
}

/*
 * The value of an item; THE_NON_VALUE: there is none of that name. queued: q's
 * messages when the first item was looked at. More may have come since.
 */
static term item(struct proc *p, struct proc *q, size_t queued, term name)
{
    switch (name) {
    case am_registered_name:
        return q->name == THE_NON_VALUE ? TERM_NIL : q->name;
    case am_current_function: return current(p, q, false);
    case am_current_location: return current(p, q, true);
    case am_current_stacktrace: return stacktrace(p, q);
    case am_initial_call: return mfa(p, q->init_m, q->init_f, q->init_arity);
    case am_status: return status(q);
    case am_messages: return in_slices(p, q, queued, messages);
    case am_message_queue_len: return size_term(p, queued);
    case am_message_queue_data:
        return q->flags & PF_OFF_HEAP_MSGS ? am_off_heap : am_on_heap;
    case am_links: return links_list(p, q->id);
    case am_monitors: return monitors(p, q);
    case am_monitored_by:
        return proc_watch_by(p, q, links_monitored_by(p, q->id));
    case am_suspending: return suspending(p, q);
    case am_dictionary: return in_slices(p, q, queued, dictionary);
    case am_trap_exit: return bool_make(q->flags & PF_TRAP_EXIT);
    case am_error_handler: return q->error_handler;
    case am_heap_size: return size_term(p, block_words(q));
    case am_total_heap_size: return size_term(p, total_words(q));
    case am_stack_size: return size_term(p, (size_t)(q->heap.hend - q->heap.stop));
    case am_memory: return size_term(p, memory_bytes(q));
    case am_garbage_collection: return gc_settings(p, q);
    case am_garbage_collection_info: return gc_info(p, q);
    case am_min_heap_size: return size_term(p, q->heap.min_words);
    case am_min_bin_vheap_size: return size_term(p, q->heap.min_bin_vheap);
    case am_max_heap_size: return proc_max_heap_map(p, q);
    case am_fullsweep_after: return small_make(q->heap.max_gen_gcs);
    case am_group_leader: return give(p, q, q->group_leader);
    case am_parent: return give(p, q, q->parent);
    case am_reductions: return size_term(p, reductions(q));
    case am_priority: return proc_prio_atom(q);
    case am_trace: return small_make(q->traced ? q->traced->t.flags : 0);
    case am_binary: return in_slices(p, q, queued, binaries);
    case am_sequential_trace_token: return give(p, q, q->seq_token);
    case am_catchlevel: return small_make(q->catches);
    case am_backtrace: return procinfo_backtrace(p, q);
    case am_last_calls: return last_calls_list(p, q);
    default: return THE_NON_VALUE;
    }
}

static const term known[] = {
    am_registered_name, am_current_function, am_current_location,
    am_current_stacktrace, am_initial_call, am_status, am_messages,
    am_message_queue_len, am_message_queue_data, am_links, am_monitors,
    am_monitored_by, am_suspending, am_dictionary, am_trap_exit, am_error_handler,
    am_heap_size, am_total_heap_size, am_stack_size, am_memory,
    am_garbage_collection, am_garbage_collection_info, am_min_heap_size,
    am_min_bin_vheap_size, am_max_heap_size, am_fullsweep_after, am_group_leader,
    am_parent, am_reductions, am_priority, am_trace, am_binary,
    am_sequential_trace_token, am_catchlevel, am_backtrace, am_last_calls,
};

term procinfo_items(struct proc *p)
{
    term list = TERM_NIL;

    for (size_t i = sizeof known / sizeof *known; i-- > 0;)
        list = build_cons(p, known[i], list);
    return list;
}

term procinfo_status(const struct proc *q)
{
    return status(q);
}

static bool is_known(term name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == name)
            return true;
    return false;
}

/* process_info/1's, in OTP's order. */
static const term common[] = {
    am_registered_name, am_current_function, am_initial_call, am_status,
    am_message_queue_len, am_links, am_dictionary, am_trap_exit, am_error_handler,
    am_priority, am_group_leader, am_total_heap_size, am_heap_size, am_stack_size,
    am_reductions, am_garbage_collection, am_suspending,
};

/* The process of a pid; NULL: *undefined or badarg. */
static struct proc *find(term pid, bool *undefined)
{
    *undefined = term_is_local_pid(pid) ||
                 (boxed_is(pid, BOX_EXTPID) &&
                  ((const struct ext_words *)boxed_ptr(pid))->node->name == node_name());
    return term_is_local_pid(pid) ? proc_find(pid) : NULL;
}

BIF(erlang, process_info, 1)
{
    bool undefined;
    struct proc *q = find(arg[0], &undefined);
    term list = TERM_NIL;
    size_t queued;

    if (!q)
        return undefined ? am_undefined : bif_badarg(p);
    if (q->stack)
        return slice_wait(p, q);
    queued = q->msgq.length;
    for (size_t i = sizeof common / sizeof *common; i-- > 0;) {
        term value = item(p, q, queued, common[i]);

        if (common[i] != am_registered_name || !term_is_nil(value))
            list = build_item(p, common[i], value, list);
    }
    bif_spend(p, ITEM_REDS * sizeof common / sizeof *common, 1);
    return list;
}

BIF(erlang, process_info, 2)
{
    bool undefined;
    struct proc *q = find(arg[0], &undefined);
    term l = arg[1], list = TERM_NIL, *tail = &list;
    size_t queued;

    if (term_is_atom(l)) {
        if (!is_known(l) || (!q && !undefined))
            return bif_badarg(p);
        if (!q)
            return am_undefined;
        if (q->stack)
            return slice_wait(p, q);
        bif_spend(p, ITEM_REDS, 1);
        /* Without a name: [], by old custom. */
        if (l == am_registered_name && q->name == THE_NON_VALUE)
            return TERM_NIL;
        return build_tuple2(p, l, item(p, q, q->msgq.length, l));
    }
    for (; term_is_cons(l); l = cons_tail(l))
        if (!is_known(cons_head(l)))
            return bif_badarg(p);
    if (!term_is_nil(l) || (!q && !undefined))
        return bif_badarg(p);
    if (!q)
        return am_undefined;
    if (q->stack)
        return slice_wait(p, q);
    queued = q->msgq.length;
    for (l = arg[1]; term_is_cons(l); l = cons_tail(l)) {
        term value = item(p, q, queued, cons_head(l));
        term pair = build_tuple2(p, cons_head(l), value);
        term *hp = heap_alloc(p, CONS_WORDS);

        hp[0] = pair;
        hp[1] = TERM_NIL;
        *tail = cons_make(hp);
        tail = &hp[1];
        bif_spend(p, ITEM_REDS, 1);
    }
    return list;
}
