/*
 * seqtrace.c - see seqtrace.h.
 */
#include "vm/seqtrace.h"

#include "vm/atom.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/sched.h"
#include "vm/trace.h"

enum { FLAGS = 1, LABEL, SERIAL, SENDER, LAST };
#define TOKEN_WORDS 6

static term of(term token, int i) { return *tuple_at(token, (size_t)i); }
static uint32_t flags_of(term token) { return (uint32_t)small_value(of(token, FLAGS)); }

static void token_set(struct proc *p, term token)
{
    p->seq_token = token;
    trace_refresh(p);
}

/* What p has, or a first one, with one element another. */
static void change(struct proc *p, int i, term value)
{
    term *hp = heap_alloc(p, TOKEN_WORDS);

    if (term_is_nil(p->seq_token)) {
        hp[FLAGS] = hp[LABEL] = hp[SERIAL] = small_make(0);
        hp[SENDER] = p->id;
        hp[LAST] = small_make(p->traced ? p->traced->seq_last : 0);
    } else {
        memcpy(hp, boxed_ptr(p->seq_token), TOKEN_WORDS * sizeof *hp);
    }
    hp[0] = TUPLE_HEADER(5);
    if (i)
        hp[i] = value;
    token_set(p, boxed_make(hp));
}

static uint32_t flag_of(term item)
{
    switch (item) {
    case am_send: return SEQ_SEND;
    case am_receive: return SEQ_RECEIVE;
    case am_print: return SEQ_PRINT;
    case am_timestamp: return SEQ_TIMESTAMP;
    case am_strict_monotonic_timestamp: return SEQ_STRICT_MONOTONIC;
    case am_monotonic_timestamp: return SEQ_MONOTONIC;
    default: return 0;
    }
}

term seq_trace_set(struct proc *p, term item, term value)
{
    uint32_t flag = flag_of(item), flags;
    term old;

    if (flag && term_is_bool(value)) {
        change(p, 0, 0);
        flags = flags_of(p->seq_token);
        change(p, FLAGS, small_make(value == am_true ? flags | flag : flags & ~flag));
        return bool_make(flags & flag);
    }
    if (item == am_label) {
        change(p, 0, 0);
        old = of(p->seq_token, LABEL);
        change(p, LABEL, value);
        return old;
    }
    if (item == am_serial && term_is_tuple_of(value, 2) &&
        term_is_small(*tuple_at(value, 1)) && term_is_small(*tuple_at(value, 2))) {
        struct traced *t = traced_of(p);
        term *hp = heap_alloc(p, 3);

        change(p, 0, 0);
        old = put_tuple2(&hp, of(p->seq_token, LAST), of(p->seq_token, SERIAL));
        change(p, LAST, *tuple_at(value, 1));
        change(p, SERIAL, *tuple_at(value, 2));
        t->seq_last = (uint32_t)small_value(*tuple_at(value, 1));
        t->seq_clock = (uint32_t)small_value(*tuple_at(value, 2));
        return old;
    }
    if (item == am_sequential_trace_token && term_is_nil(value)) {
        old = p->seq_token;
        token_set(p, TERM_NIL);
        return old;
    }
    return THE_NON_VALUE;
}

term seq_trace_info(struct proc *p, term item)
{
    uint32_t flag = flag_of(item);
    term token = p->seq_token, value, *hp;

    if (!flag && item != am_label && item != am_serial &&
        !(item == am_spawn && term_is_nil(token)))
        return THE_NON_VALUE;
    if (term_is_nil(token)) {
        if (item == am_label || item == am_serial)
            return TERM_NIL;
        value = am_false;
    } else if (flag) {
        value = bool_make(flags_of(token) & flag);
    } else if (item == am_label) {
        value = of(token, LABEL);
    } else {
        hp = heap_alloc(p, 3);
        value = put_tuple2(&hp, of(token, LAST), of(token, SERIAL));
    }
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, item, value);
}

/* The tracer, if there is one that wants to know what p does. */
static struct tracer *tracer_for(const struct proc *p)
{
    struct tracer *t = vm.trace->seq_tracer;

    if (!t)
        return NULL;
    if (!tracer_alive(t, am_undefined)) {
        vm.trace->seq_tracer = NULL;
        tracer_put(t);
        return NULL;
    }
    return tracer_enabled(t, TRACER_ANY, am_seq_trace, p ? p->id : am_undefined) == am_trace
               ? t
               : NULL;
}

/* {seq_trace, Label, {Type, {Last, Serial}, From, To, Message}} */
static void output(struct proc *p, term token, uint32_t type, term to, term message)
{
    struct tracer *t;
    term serial[3], what[6];
    uint32_t flags = flags_of(token);

    if (!(flags & type) || (p && p->flags & PF_SENSITIVE) || !(t = tracer_for(p)))
        return;
    serial[0] = TUPLE_HEADER(2);
    serial[1] = of(token, LAST);
    serial[2] = of(token, SERIAL);
    what[0] = TUPLE_HEADER(5);
    what[1] = type == SEQ_SEND ? am_send : type == SEQ_RECEIVE ? am_receive : am_print;
    what[2] = boxed_make(serial);
    what[3] = of(token, SENDER);
    what[4] = to;
    what[5] = message;
    tracer_tell(t,
                (flags & SEQ_TIMESTAMP ? TF_TIMESTAMP : 0) |
                    (flags & SEQ_STRICT_MONOTONIC ? TF_STRICT_MONOTONIC : 0) |
                    (flags & SEQ_MONOTONIC ? TF_MONOTONIC : 0),
                p, of(token, LABEL), TRACER_ANY, am_seq_trace, boxed_make(what),
                THE_NON_VALUE, am_true);
}

/* The next serial, unless a tracer says that p is not to be traced. */
static void next_serial(struct proc *p)
{
    struct traced *t = traced_of(p);

    if (vm.trace->seq_tracer && !tracer_for(p) && vm.trace->seq_tracer)
        return;
    change(p, SENDER, p->id);
    change(p, SERIAL, small_make(++t->seq_clock));
    change(p, LAST, small_make(t->seq_last));
}

bool seq_trace_print(struct proc *p, term label, term message)
{
    if (term_is_nil(p->seq_token) ||
        (label != THE_NON_VALUE && !term_eq(label, of(p->seq_token, LABEL))))
        return false;
    next_serial(p);
    output(p, p->seq_token, SEQ_PRINT, TERM_NIL, message);
    return true;
}

void seq_trace_sends(struct proc *from, term to, term message)
{
    next_serial(from);
    output(from, from->seq_token, SEQ_SEND, to, message);
}

struct proc *seq_trace_sender(term from)
{
    struct proc *p = vm.trace->exiting ? vm.trace->exiting : vm.sched->p;

    return p && p->id == from && !term_is_nil(p->seq_token) ? p : NULL;
}

void seq_trace_received(struct proc *p, term token, term message)
{
    struct traced *t;
    uint32_t serial;

    if (token == am_undefined)
        return;
    token_set(p, token);
    if (term_is_nil(token))
        return;
    t = traced_of(p);
    serial = (uint32_t)small_value(of(token, SERIAL));
    t->seq_last = serial;
    if (t->seq_clock < serial)
        t->seq_clock = serial;
    output(p, token, SEQ_RECEIVE, p->id, message);
}

void seq_trace_spawned(struct proc *p, struct proc *parent, term ref, term m, term f,
                       term args, term opts, term tag)
{
    term mfa[4] = {TUPLE_HEADER(3), m, f, small_make(list_length(args))};
    term request[9] = {TUPLE_HEADER(8), am_spawn_request, ref, parent->id,
                       parent->group_leader, boxed_make(mfa), opts, tag, args};
    struct traced *t = traced_of(p);
    term reply[5] = {TUPLE_HEADER(4), tag, ref, am_ok, p->id}, words[REF_WORDS], *hp = words;
    uint64_t numbers[2];

    if (ref == THE_NON_VALUE) {
        ref_next(numbers);
        request[2] = reply[2] = ref_put(&hp, numbers);
    }
    next_serial(parent);
    token_set(p, term_copy_to(p, parent->seq_token));
    output(parent, parent->seq_token, SEQ_SEND, p->id, boxed_make(request));
    output(parent, parent->seq_token, SEQ_RECEIVE, p->id, boxed_make(request));
    t->seq_clock = t->seq_last = (uint32_t)small_value(of(p->seq_token, SERIAL));

    /* The reply to it, which the parent does not see as a message either. */
    next_serial(p);
    output(p, p->seq_token, SEQ_SEND, parent->id, boxed_make(reply));
    t = traced_of(parent);
    t->seq_clock = t->seq_last = (uint32_t)small_value(of(p->seq_token, SERIAL));
    output(p, p->seq_token, SEQ_RECEIVE, parent->id, boxed_make(reply));
}
