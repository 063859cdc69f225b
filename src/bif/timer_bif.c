/*
 * timer_bif.c - erlang:send_after, start_timer, cancel_timer, read_timer.
 */
#include "bif/bif.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/btimer.h"
#include "vm/clock.h"
#include "vm/node.h"
#include "vm/ops.h"

#define NS_PER_MS 1000000

struct timer_opts {
    bool async, info, abs;
};

/* access: cancel_timer's and read_timer's options; else start_timer's. */
static bool options(term l, bool access, struct timer_opts *o)
{
    *o = (struct timer_opts){.info = true};
    for (; term_is_cons(l); l = cons_tail(l)) {
        term opt = cons_head(l), value;

        if (!term_is_tuple_of(opt, 2))
            return false;
        value = *tuple_at(opt, 2);
        if (!term_is_bool(value))
            return false;
        if (access && *tuple_at(opt, 1) == am_async)
            o->async = value == am_true;
        else if (access && *tuple_at(opt, 1) == am_info)
            o->info = value == am_true;
        else if (!access && *tuple_at(opt, 1) == am_abs)
            o->abs = value == am_true;
        else
            return false;
    }
    return term_is_nil(l);
}

/*
 * When it is due, on os_mono_ns()'s clock. False: no time at all, or beyond
 * the ends of Erlang's monotonic time.
 */
static bool due(term time, bool abs, uint64_t *at_ns)
{
    int64_t now = clock_monotonic_ns(), ms, at;

    if (!term_is_integer(time) || !term_to_int64(time, &ms) || (!abs && ms < 0))
        return false;
    if (abs) {
        if (ms < clock_start_ns() / NS_PER_MS || ms > clock_end_ns() / NS_PER_MS)
            return false;
        at = ms * NS_PER_MS;
        *at_ns = at <= now ? 0 : os_mono_ns() + (uint64_t)(at - now);
        return true;
    }
    if (ms > (clock_end_ns() - now) / NS_PER_MS)
        return false;
    *at_ns = os_mono_ns() + (uint64_t)ms * NS_PER_MS;
    return true;
}

static term start(struct proc *p, const term *arg, term opts, bool wrap)
{
    struct timer_opts o;
    uint64_t at_ns, numbers[2];
    term *hp;

    if (!options(opts, false, &o))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (!due(arg[0], o.abs, &at_ns))
        return bif_error_cause(p, am_badarg, am_time);
    if (!term_is_local_pid(arg[1]) && !term_is_atom(arg[1]))
        return bif_badarg(p);
    ref_next(numbers);
    btimer_start(numbers, at_ns, arg[1], arg[2], wrap);
    hp = heap_alloc(p, REF_WORDS);
    return ref_put(&hp, numbers);
}

BIF(erlang, send_after, 3)
{
    return start(p, arg, TERM_NIL, false);
}

BIF(erlang, send_after, 4)
{
    return start(p, arg, arg[3], false);
}

BIF(erlang, start_timer, 3)
{
    return start(p, arg, TERM_NIL, true);
}

BIF(erlang, start_timer, 4)
{
    return start(p, arg, arg[3], true);
}

static term use(struct proc *p, term ref, term opts, bool cancel)
{
    struct timer_opts o;
    int64_t left = -1;
    term result;

    if (!options(opts, true, &o) || !term_is_ref(ref))
        return bif_badarg(p);
    if (term_is_local_ref(ref))
        left = cancel ? btimer_cancel(ref_numbers(ref)) : btimer_left(ref_numbers(ref));
    if (!o.info)
        return am_ok;
    result = left < 0 ? am_false : small_make(left);
    if (o.async) {
        /* {cancel_timer | read_timer, Ref, Result} */
        struct mbuf *frag = mbuf_new(term_size(ref) + 4);
        struct dest d = {frag->words, &frag->off};

        ref = term_copy(&d, ref);
        result = put_tuple3(&d.htop, cancel ? am_cancel_timer : am_read_timer, ref,
                            result);
        frag->used = d.htop - frag->words;
        msg_send_mbuf(p, frag, result);
        return am_ok;
    }
    return result;
}

BIF(erlang, cancel_timer, 1)
{
    return use(p, arg[0], TERM_NIL, true);
}

BIF(erlang, cancel_timer, 2)
{
    return use(p, arg[0], arg[1], true);
}

BIF(erlang, read_timer, 1)
{
    return use(p, arg[0], TERM_NIL, false);
}

BIF(erlang, read_timer, 2)
{
    return use(p, arg[0], arg[1], false);
}
