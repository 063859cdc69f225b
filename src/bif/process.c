/*
 * process.c - processes: start, flags, names, group leaders, suspension,
 * collection and code checks on request.
 */
#include "bif/bif.h"
#include "op/lastcalls.h"
#include "vm/exc.h"
#include "bif/build.h"
#include "bif/info.h"
#include "bif/procinfo.h"
#include "io/port.h"
#include "op/code.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/link.h"
#include "vm/map.h"
#include "vm/names.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/purge.h"
#include "vm/slice.h"
#include "vm/task.h"
#include "vm/trace.h"

term bif_exiting(struct proc *p)
{
    return exc_set(p, EXC_EXITING, TERM_NIL, THE_NON_VALUE);
}

/* ---- spawn ---- */

struct spawn_parse {
    struct spawn_opts opts;
    term reply_tag;
    bool tell_success, tell_error;
};

static void spawn_defaults(struct spawn_parse *s)
{
    const struct info *i = vm.info;

    *s = (struct spawn_parse){
        .opts =
            {
                .prio = PRIO_NORMAL,
                .min_heap_words = i->min_heap_words,
                .max_heap_words = i->max_heap_words,
                .min_bin_vheap = i->min_bin_vheap_words,
                .max_gen_gcs = i->fullsweep_after,
                .flags = (i->max_heap_kill ? PF_MAX_HEAP_KILL : 0) |
                         (i->max_heap_log ? PF_MAX_HEAP_LOG : 0) |
                         (i->off_heap_messages ? PF_OFF_HEAP_MSGS : 0),
                .monitor_ref = THE_NON_VALUE,
                .monitor_opts = TERM_NIL,
                .list = TERM_NIL,
                .tag = am_spawn_reply,
            },
        .reply_tag = am_spawn_reply,
        .tell_success = true,
        .tell_error = true,
    };
}

static bool natural(term t, size_t *n)
{
    if (!term_is_small(t) || small_value(t) < 0)
        return false;
    *n = (size_t)small_value(t);
    return true;
}

/* min_heap_size and its like: a step of the collector's, not below `least`. */
static size_t heap_words(size_t n, size_t least)
{
    return n < least ? least : heap_size_step(n);
}

static bool prio_parse(term t, enum proc_prio *prio)
{
    switch (t) {
    case am_max: *prio = PRIO_MAX; return true;
    case am_high: *prio = PRIO_HIGH; return true;
    case am_normal: *prio = PRIO_NORMAL; return true;
    case am_low: *prio = PRIO_LOW; return true;
    default: return false;
    }
}

static const term prio_atom[PRIOS] = {am_max, am_high, am_normal, am_low};

term proc_prio_atom(const struct proc *p)
{
    return prio_atom[p->prio];
}

/* Words of bin_vheap at least: what heap_init() gave. */
static size_t min_vheap(void)
{
    return vm.info->min_bin_vheap_words;
}

/* {Key, Value} of spawn_opt/4. False: badopt. request: spawn_request's too. */
static bool spawn_option(struct spawn_parse *s, term key, term value, bool request)
{
    struct spawn_opts *o = &s->opts;
    struct monitor_opts mo;
    size_t n;

    switch (key) {
    case am_priority:
        return prio_parse(value, &o->prio);
    case am_message_queue_data:
        if (value == am_off_heap)
            o->flags |= PF_OFF_HEAP_MSGS;
        else if (value == am_on_heap)
            o->flags &= ~(uint32_t)PF_OFF_HEAP_MSGS;
        else
            return false;
        return true;
    case am_min_heap_size:
        if (!natural(value, &n))
            return false;
        o->min_heap_words = heap_words(n, vm.info->min_heap_words);
        return true;
    case am_min_bin_vheap_size:
        if (!natural(value, &n))
            return false;
        o->min_bin_vheap = heap_words(n, min_vheap());
        return true;
    case am_max_heap_size: {
        bool kill = o->flags & PF_MAX_HEAP_KILL, log = o->flags & PF_MAX_HEAP_LOG;

        if (!info_max_heap_parse(value, &o->max_heap_words, &kill, &log))
            return false;
        o->flags &= ~(uint32_t)(PF_MAX_HEAP_KILL | PF_MAX_HEAP_LOG);
        o->flags |= (kill ? PF_MAX_HEAP_KILL : 0) | (log ? PF_MAX_HEAP_LOG : 0);
        return true;
    }
    case am_fullsweep_after:
        if (!natural(value, &n))
            return false;
        /* OTP keeps 16 bits of it. */
        o->max_gen_gcs = (uint16_t)n;
        return true;
    case am_scheduler:
        if (!natural(value, &n) || n > 1)
            return false;
        o->bound = (uint32_t)n;
        return true;
    case am_reply:
        if (!request)
            return false;
        if (value != am_yes && value != am_no && value != am_error_only &&
            value != am_success_only)
            return false;
        s->tell_success = value == am_yes || value == am_success_only;
        s->tell_error = value == am_yes || value == am_error_only;
        return true;
    case am_reply_tag:
        s->reply_tag = value;
        return request;
    case am_monitor:
        if (!monitor_opts_parse(value, &mo))
            return false;
        o->monitor = true;
        o->monitor_opts = value;
        return true;
    default:
        return false;
    }
}

enum parsed { PARSED, PARSED_BADOPT, PARSED_NO_LIST };

static enum parsed spawn_parse(struct spawn_parse *s, term list, bool request)
{
    bool ok = true;

    spawn_defaults(s);
    for (; term_is_cons(list); list = cons_tail(list)) {
        term opt = cons_head(list);

        if (opt == am_link) {
            s->opts.link = true;
        } else if (opt == am_monitor) {
            s->opts.monitor = true;
            s->opts.monitor_opts = TERM_NIL;
        } else if (!term_is_tuple_of(opt, 2) ||
                   !spawn_option(s, *tuple_at(opt, 1), *tuple_at(opt, 2), request)) {
            ok = false;
        }
    }
    if (!term_is_nil(list))
        return PARSED_NO_LIST;
    if (s->opts.max_heap_words && s->opts.max_heap_words < s->opts.min_heap_words)
        ok = false;
    return ok ? PARSED : PARSED_BADOPT;
}

static bool good_call(const term *arg)
{
    return term_is_atom(arg[0]) && term_is_atom(arg[1]) && list_length(arg[2]) >= 0;
}

static term spawn(struct proc *p, const term *arg, struct spawn_parse *s)
{
    term pid, error;

    if (!good_call(arg))
        return bif_badarg(p);
    pid = proc_spawn(p, arg[0], arg[1], arg[2], &s->opts, &error);
    if (pid == THE_NON_VALUE)
        return bif_error(p, error);
    return s->opts.monitor ? build_tuple2(p, pid, s->opts.monitor_ref) : pid;
}

BIF(erlang, spawn, 3)
{
    struct spawn_parse s;

    spawn_defaults(&s);
    return spawn(p, arg, &s);
}

BIF(erlang, spawn_link, 3)
{
    struct spawn_parse s;

    spawn_defaults(&s);
    s.opts.link = true;
    return spawn(p, arg, &s);
}

BIF(erlang, spawn_opt, 4)
{
    struct spawn_parse s;

    if (spawn_parse(&s, arg[3], false) != PARSED)
        return bif_error_cause(p, am_badarg, am_badopt);
    return spawn(p, arg, &s);
}

/* {Tag, ReqId, ok | error, Value} to the requester. */
static void spawn_reply(struct proc *p, term tag, term ref, term what, term value)
{
    size_t words = term_size(tag) + REF_WORDS + 5;
    struct mbuf *frag = mbuf_new(words);
    struct dest d = {frag->words, &frag->off};

    tag = term_copy(&d, tag);
    ref = term_copy(&d, ref);
    tag = put_tuple4(&d.htop, tag, ref, what, value);
    frag->used = d.htop - frag->words;
    msg_send_mbuf(p, frag, tag);
}

BIF(erts_internal, spawn_request, 4)
{
    struct spawn_parse s;
    enum parsed parsed;
    uint64_t numbers[2];
    term *hp, ref, pid, error = am_badopt;

    if (!good_call(arg))
        return am_badarg;
    parsed = spawn_parse(&s, arg[3], true);
    if (parsed == PARSED_NO_LIST)
        return am_badopt;
    hp = heap_alloc(p, REF_WORDS);
    ref_next(numbers);
    ref = ref_put(&hp, numbers);
    s.opts.monitor_ref = ref;
    s.opts.list = arg[3];
    s.opts.tag = s.reply_tag;
    pid = parsed == PARSED
              ? proc_spawn(p, arg[0], arg[1], arg[2], &s.opts, &error)
              : THE_NON_VALUE;
    if (pid == THE_NON_VALUE) {
        if (s.tell_error)
            spawn_reply(p, s.reply_tag, ref, am_error, error);
    } else if (s.tell_success) {
        spawn_reply(p, s.reply_tag, ref, am_ok, pid);
    }
    return ref;
}

/* A request is answered at once, so none is outstanding. */
BIF(erlang, spawn_request_abandon, 1)
{
    return term_is_ref(arg[0]) ? am_false : bif_badarg(p);
}

/*
 * Another node: there is no connection to it. OTP's way to say so is the
 * reply; spawn_opt/5 then starts a process that dies of it.
 */
BIF(erts_internal, dist_spawn_request, 4)
{
    struct spawn_parse s;
    uint64_t numbers[2];
    term *hp, ref, mfa = arg[1];

    if (!term_is_atom(arg[0]) || !term_is_tuple_of(mfa, 3) ||
        !good_call(tuple_at(mfa, 1)) ||
        (arg[3] != am_spawn_request && arg[3] != am_spawn_opt))
        return am_badarg;
    spawn_defaults(&s);
    for (term l = arg[2]; !term_is_nil(l); l = cons_tail(l)) {
        term opt;

        if (!term_is_cons(l))
            return am_badarg;
        opt = cons_head(l);
        /* What the other node would judge is not judged here. */
        if (opt == am_link)
            s.opts.link = true;
        else if (opt == am_monitor)
            s.opts.monitor = true;
        else if (term_is_tuple_of(opt, 2) &&
                 (*tuple_at(opt, 1) == am_monitor || *tuple_at(opt, 1) == am_reply ||
                  *tuple_at(opt, 1) == am_reply_tag) &&
                 !spawn_option(&s, *tuple_at(opt, 1), *tuple_at(opt, 2), true))
            return am_badarg;
    }
    hp = heap_alloc(p, REF_WORDS + 3);
    ref_next(numbers);
    ref = ref_put(&hp, numbers);
    if (s.tell_error || arg[3] == am_spawn_opt)
        spawn_reply(p, s.reply_tag, ref, am_error, am_noconnection);
    return arg[3] == am_spawn_opt ? put_tuple2(&hp, ref, bool_make(s.opts.monitor))
                                  : ref;
}

BIF(erts_internal, spawn_system_process, 3)
{
    struct spawn_parse s;

    if (!good_call(arg))
        return bif_badarg(p);
    spawn_defaults(&s);
    s.opts.flags |= PF_SYSTEM;
    s.opts.prio = p->prio;
    return spawn(p, arg, &s);
}

BIF(erts_internal, is_system_process, 1)
{
    struct proc *of = proc_find(arg[0]);

    if (!term_is_local_pid(arg[0]))
        return boxed_is(arg[0], BOX_EXTPID) ? am_false : bif_badarg(p);
    return bool_make(of && (of->flags & PF_SYSTEM));
}

/* ---- existence and names ---- */

BIF(erlang, is_process_alive, 1)
{
    if (term_is_local_pid(arg[0]))
        return bool_make(proc_find(arg[0]) != NULL);
    if (boxed_is(arg[0], BOX_EXTPID) &&
        ((const struct ext_words *)boxed_ptr(arg[0]))->node->name == node_name())
        return am_false;
    return bif_badarg(p);
}

/* {Ref, Result} to p. */
static void answer(struct proc *p, term ref, term result)
{
    struct mbuf *frag = mbuf_new(term_size(ref) + 3);
    struct dest d = {frag->words, &frag->off};

    ref = term_copy(&d, ref);
    ref = put_tuple2(&d.htop, ref, result);
    frag->used = d.htop - frag->words;
    msg_send_mbuf(p, frag, ref);
}

BIF(erts_internal, is_process_alive, 2)
{
    if (!term_is_local_pid(arg[0]) || !term_is_local_ref(arg[1]))
        return bif_badarg(p);
    answer(p, arg[1], bool_make(proc_find(arg[0]) != NULL));
    return am_ok;
}

BIF(erlang, register, 2)
{
    term cause = am_none;
    struct proc *of;

    if (name_register(arg[0], arg[1]))
        return am_true;
    if (term_is_atom(arg[0]) && arg[0] != am_undefined) {
        if (term_is_local_pid(arg[1])) {
            of = proc_find(arg[1]);
            cause = !of                         ? am_notalive
                    : of->name != THE_NON_VALUE ? am_registered_name
                                                : am_none;
        } else if (term_is_local_port(arg[1])) {
            struct port *port = port_find(arg[1]);

            if (port && port->name != THE_NON_VALUE)
                cause = am_registered_name;
        }
    }
    return bif_error_cause(p, am_badarg, cause);
}

BIF(erlang, unregister, 1)
{
    if (!term_is_atom(arg[0]) || !name_unregister(arg[0]))
        return bif_badarg(p);
    return am_true;
}

BIF(erlang, whereis, 1)
{
    term id;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    id = name_whereis(arg[0]);
    return id == THE_NON_VALUE ? am_undefined : id;
}

BIF(erlang, registered, 0)
{
    term *hp = heap_alloc(p, name_count() * CONS_WORDS), list = TERM_NIL;
    const struct name_entry *e;

    for (size_t i = 0; (e = name_next(&i));)
        list = put_cons(&hp, e->name, list);
    return list;
}

/* ---- group leaders ---- */

BIF(erlang, group_leader, 0)
{
    return p->group_leader;
}

static void set_leader(struct proc *of, term leader)
{
    of->group_leader = term_copy_to(of, leader);
}

BIF(erts_internal, group_leader, 2)
{
    struct proc *of;

    if (!term_is_pid(arg[0]))
        return am_badarg;
    if (boxed_is(arg[1], BOX_EXTPID)) {
        const struct ext_words *w = (struct ext_words *)boxed_ptr(arg[1]);

        return w->node->name == node_name() ? bif_badarg(p) : am_true;
    }
    of = proc_find(arg[1]);
    if (!of)
        return am_badarg;
    if (of->stack)
        return slice_wait(p, of);
    set_leader(of, arg[0]);
    return am_true;
}

BIF(erts_internal, group_leader, 3)
{
    struct proc *of;

    if (!term_is_pid(arg[0]) || !term_is_local_pid(arg[1]) ||
        !term_is_local_ref(arg[2]))
        return bif_badarg(p);
    of = proc_find(arg[1]);
    if (of && of->stack)
        return slice_wait(p, of);
    if (of)
        set_leader(of, arg[0]);
    answer(p, arg[2], of ? am_true : am_badarg);
    return am_ok;
}

/* ---- flags ---- */

term proc_max_heap_map(struct proc *p, const struct proc *of)
{
    term pairs[6] = {
        am_error_logger, bool_make(of->flags & PF_MAX_HEAP_LOG),
        am_kill,         bool_make(of->flags & PF_MAX_HEAP_KILL),
        am_size,         small_make((int64_t)of->heap.max_words),
    };

    return map_from_pairs(p, pairs, 3);
}

static term set_bit(struct proc *p, uint32_t bit, term value)
{
    term old = bool_make(p->flags & bit);

    if (value == am_true)
        p->flags |= bit;
    else if (value == am_false)
        p->flags &= ~bit;
    else
        return bif_badarg(p);
    return old;
}

/* What process_flag/2 and /3 share: save_calls. THE_NON_VALUE: badarg. */
static term save_calls(struct proc *of, term flag, term value)
{
    if (flag != am_save_calls || !term_is_small(value) || small_value(value) < 0 ||
        small_value(value) > 10000)
        return THE_NON_VALUE;
    return small_make((int64_t)last_calls_set(of, (size_t)small_value(value)));
}

/* Nodes come and go only in a distributed system; the count is OTP's answer. */
static term monitor_nodes(struct proc *p, term on, term opts)
{
    term old = small_make(p->monitor_nodes);

    for (; term_is_cons(opts); opts = cons_tail(opts)) {
        term o = cons_head(opts);

        if (o == am_nodedown_reason || o == am_connection_id)
            continue;
        if (!term_is_tuple_of(o, 2) || *tuple_at(o, 1) != am_node_type ||
            (*tuple_at(o, 2) != am_visible && *tuple_at(o, 2) != am_hidden &&
             *tuple_at(o, 2) != am_all))
            return bif_badarg(p);
    }
    if (!term_is_nil(opts) && !term_is_map(opts))
        return bif_badarg(p);
    if (on == am_true)
        p->monitor_nodes++;
    else if (on == am_false)
        p->monitor_nodes = 0;
    else
        return bif_badarg(p);
    return old;
}

BIF(erlang, process_flag, 2)
{
    term flag = arg[0], value = arg[1], old;
    size_t n;

    switch (flag) {
    case am_trap_exit:
        return set_bit(p, PF_TRAP_EXIT, value);
    case am_sensitive:
        old = set_bit(p, PF_SENSITIVE, value);
        trace_refresh(p);
        return old;
    case am_async_dist:
        break;                  /* OTP 25.3's; 25.2 does not know it */
    case am_error_handler:
        if (!term_is_atom(value))
            return bif_badarg(p);
        old = p->error_handler;
        p->error_handler = value;
        return old;
    case am_priority: {
        enum proc_prio prio;

        if (!prio_parse(value, &prio))
            return bif_badarg(p);
        old = proc_prio_atom(p);
        p->prio = prio;
        return old;
    }
    case am_scheduler:
        if (!natural(value, &n) || n > 1)
            return bif_badarg(p);
        old = small_make(p->bound);
        p->bound = (uint32_t)n;
        return old;
    case am_fullsweep_after:
        if (!natural(value, &n))
            return bif_badarg(p);
        old = small_make(p->heap.max_gen_gcs);
        p->heap.max_gen_gcs = (uint16_t)n;
        return old;
    case am_min_heap_size:
        if (!natural(value, &n))
            return bif_badarg(p);
        old = small_make((int64_t)p->heap.min_words);
        p->heap.min_words = heap_words(n, vm.info->min_heap_words);
        return old;
    case am_min_bin_vheap_size:
        if (!natural(value, &n))
            return bif_badarg(p);
        old = small_make((int64_t)p->heap.min_bin_vheap);
        p->heap.min_bin_vheap = heap_words(n, min_vheap());
        return old;
    case am_max_heap_size: {
        bool kill = vm.info->max_heap_kill, log = vm.info->max_heap_log;

        if (!info_max_heap_parse(value, &n, &kill, &log) ||
            (n != 0 && n < p->heap.min_words))
            return bif_badarg(p);
        old = proc_max_heap_map(p, p);
        p->heap.max_words = n;
        p->flags &= ~(uint32_t)(PF_MAX_HEAP_KILL | PF_MAX_HEAP_LOG);
        p->flags |= (kill ? PF_MAX_HEAP_KILL : 0) | (log ? PF_MAX_HEAP_LOG : 0);
        return old;
    }
    case am_message_queue_data:
        if (value != am_on_heap && value != am_off_heap)
            return bif_badarg(p);
        old = p->flags & PF_OFF_HEAP_MSGS ? am_off_heap : am_on_heap;
        p->flags &= ~(uint32_t)PF_OFF_HEAP_MSGS;
        p->flags |= value == am_off_heap ? PF_OFF_HEAP_MSGS : 0;
        return old;
    case am_monitor_nodes:
        return monitor_nodes(p, value, TERM_NIL);
    default:
        if (term_is_tuple_of(flag, 2) && *tuple_at(flag, 1) == am_monitor_nodes)
            return monitor_nodes(p, value, *tuple_at(flag, 2));
    }
    old = save_calls(p, flag, value);
    if (old != THE_NON_VALUE)
        return old;
    return bif_error_cause(p, am_badarg, flag == am_save_calls ? am_none : am_badopt);
}

BIF(erts_internal, process_flag, 3)
{
    struct proc *of;
    term old;

    if (!term_is_local_pid(arg[0]))
        return am_badtype;
    of = proc_find(arg[0]);
    if (!of)
        return am_badtype;
    old = save_calls(of, arg[1], arg[2]);
    return old == THE_NON_VALUE ? am_badarg : old;
}

/* ---- suspension ---- */

static void suspend_answer(struct proc *p, term tag, term result)
{
    struct mbuf *frag = mbuf_new(term_size(tag) + 3);
    struct dest d = {frag->words, &frag->off};

    tag = term_copy(&d, tag);
    tag = put_tuple2(&d.htop, tag, result);
    frag->used = d.htop - frag->words;
    msg_send_mbuf(p, frag, tag);
}

BIF(erts_internal, suspend_process, 2)
{
    bool async = false, unless_suspending = false;
    term tag = THE_NON_VALUE, l = arg[1];
    struct proc *of;

    if (arg[0] == p->id || !term_is_local_pid(arg[0]))
        return am_badarg;
    for (; term_is_cons(l); l = cons_tail(l)) {
        term o = cons_head(l);

        if (o == am_unless_suspending) {
            unless_suspending = true;
        } else if (o == am_asynchronous) {
            async = true;
        } else if (term_is_tuple_of(o, 2) && *tuple_at(o, 1) == am_asynchronous) {
            async = true;
            tag = *tuple_at(o, 2);
        } else {
            return am_badopt;
        }
    }
    if (!term_is_nil(l))
        return am_badopt;
    of = proc_find(arg[0]);
    if (!of) {
        if (tag != THE_NON_VALUE)
            suspend_answer(p, tag, am_exited);
        return async ? am_true : am_badarg;
    }
    if (unless_suspending && suspend_find(p, of->id)) {
        if (tag != THE_NON_VALUE)
            suspend_answer(p, tag, am_suspended);
        return am_false;
    }
    suspend_add(p, of);
    if (tag != THE_NON_VALUE)
        suspend_answer(p, tag, am_suspended);
    return am_true;
}

BIF(erlang, resume_process, 1)
{
    if (!term_is_local_pid(arg[0]) || !suspend_drop(p, arg[0]))
        return bif_badarg(p);
    return am_true;
}

/* ---- collection and code checks ---- */

BIF(erts_internal, garbage_collect, 1)
{
    if (arg[0] != am_major && arg[0] != am_minor)
        return bif_badarg(p);
    /* Where it enters the function that gives the result, below. */
    p->heap.want_gc = true;
    p->heap.want_full |= arg[0] == am_major;
    arg[0] = am_true;
    return bif_trap(p, EXP("erts_internal", "collected", 1), arg, 1);
}

/* Entered, so slices can end and heaps be collected here. */
BIF(erts_internal, collected, 1)
{
    return arg[0];
}

/* The message that answers a task: {Type, Id, Result}. */
static void task_reply(struct task_request *r, term type, term id)
{
    struct mbuf *frag = mbuf_new(term_size(id) + 4);
    struct dest d = {frag->words, &frag->off};

    id = term_copy(&d, id);
    r->frag = frag;
    r->reply = put_tuple3(&d.htop, type, id, am_false);
    r->result = tuple_at(r->reply, 3);
    frag->used = d.htop - frag->words;
}

static term system_task(struct proc *p, term requester, term target, term prio_name,
                        term request)
{
    struct proc *of = proc_find(target);
    struct task_request r = {.requester = requester, .module = THE_NON_VALUE};
    enum proc_prio prio = p->prio;
    term type, what;

    if (!term_is_local_pid(target) && !boxed_is(target, BOX_EXTPID))
        return bif_badarg(p);
    if (prio_name != am_inherit && !prio_parse(prio_name, &prio))
        return bif_badarg(p);
    if (!term_is_tuple(request) || tuple_arity(request) < 2 || tuple_arity(request) > 4)
        return bif_badarg(p);
    type = *tuple_at(request, 1);
    what = tuple_arity(request) > 2 ? *tuple_at(request, 3) : THE_NON_VALUE;
    switch (type) {
    case am_garbage_collect:
        if (what != am_major && what != am_minor)
            return bif_badarg(p);
        r.kind = what == am_major ? TASK_GC_MAJOR : TASK_GC_MINOR;
        break;
    case am_check_process_code:
        if (!term_is_atom(what))
            return bif_badarg(p);
        r.kind = TASK_CHECK_CODE;
        r.module = what;
        break;
    case am_system_task_test:
        r.kind = TASK_TEST;
        break;
    default:
        return bif_badarg(p);
    }
    task_reply(&r, type, *tuple_at(request, 2));
    if (of) {
        task_add(of, prio, &r);
    } else {
        struct proc *to = proc_find(requester);

        if (to)
            msg_send_mbuf(to, r.frag, r.reply);
        else
            mbuf_free(r.frag);
    }
    return am_ok;
}

BIF(erts_internal, request_system_task, 3)
{
    return system_task(p, p->id, arg[0], arg[1], arg[2]);
}

BIF(erts_internal, request_system_task, 4)
{
    return system_task(p, arg[0], arg[1], arg[2], arg[3]);
}

/* p runs: where it goes on is the BIF's return address, on the stack. */
BIF(erts_internal, check_process_code, 1)
{
    SLICED(p, EXP("erts_internal", "check_process_code", 1));

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    return bool_make(purge_check_process(p, arg[0]));
}

/* ---- hibernate ---- */

BIF(erlang, hibernate, 3)
{
    int64_t n = list_length(arg[2]);

    if (!term_is_atom(arg[0]) || !term_is_atom(arg[1]) || n < 0)
        return bif_badarg(p);
    if (n > X_REGS)
        return bif_error(p, am_system_limit);

    /* The scheduler does the rest once the call has been left. */
    if (p->arg != p->arg_def) {
        vm_free(p->arg);
        p->arg = p->arg_def;
        p->arg_size = sizeof p->arg_def / sizeof *p->arg_def;
    }
    memcpy(p->arg, arg, 3 * sizeof *arg);
    p->live = 3;
    p->pc = code_apply_stub;
    p->heap.stop = p->heap.hend - 1;
    assert(*p->heap.stop == (term)(uintptr_t)code_exit_stub);
    p->catches = 0;
    p->flags |= PF_HIBERNATED;
    return bif_exiting(p);
}

BIF(erlang, yield, 0)
{
    /* What is left of the slice is given up, not spent. */
    p->reductions -= (uint64_t)(p->reds_left > 0 ? p->reds_left : 0);
    p->reds_left = 0;
    vm.sched->reds_kept = 0;
    arg[0] = am_true;
    return bif_trap(p, EXP("erts_internal", "collected", 1), arg, 1);
}
