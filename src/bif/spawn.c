/*
 * spawn.c - start processes.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "bif/info.h"
#include "bif/process.h"
#include "vm/link.h"
#include "vm/node.h"
#include "vm/ops.h"

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

/* {Key, Value} of spawn_opt/4. False: badopt. request: spawn_request's too. */
static bool spawn_option(struct spawn_parse *s, term key, term value, bool request)
{
    struct spawn_opts *o = &s->opts;
    struct monitor_opts mo;
    size_t n;

    switch (key) {
    case am_priority:
        return proc_prio_parse(value, &o->prio);
    case am_message_queue_data:
        if (value == am_off_heap)
            o->flags |= PF_OFF_HEAP_MSGS;
        else if (value == am_on_heap)
            o->flags &= ~(uint32_t)PF_OFF_HEAP_MSGS;
        else
            return false;
        return true;
    case am_min_heap_size:
        if (!proc_natural(value, &n))
            return false;
        o->min_heap_words = proc_heap_words(n, vm.info->min_heap_words);
        return true;
    case am_min_bin_vheap_size:
        if (!proc_natural(value, &n))
            return false;
        o->min_bin_vheap = proc_heap_words(n, vm.info->min_bin_vheap_words);
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
        if (!proc_natural(value, &n))
            return false;
        /* OTP keeps 16 bits of it. */
        o->max_gen_gcs = (uint16_t)n;
        return true;
    case am_scheduler:
        if (!proc_natural(value, &n) || n > 1)
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
