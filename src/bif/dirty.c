/*
 * dirty.c - what OTP's tests order a dirty scheduler to do.
 *
 * There is one scheduler, and it does dirty work too, at once; but what would
 * keep a dirty one busy runs dirty (vm/dirty.h).
 */
#include "bif/bif.h"
#include "bif/blocking.h"
#include "bif/build.h"
#include "vm/big.h"
#include "vm/dirty.h"
#include "vm/msg.h"
#include "vm/names.h"
#include "vm/ops.h"

#define COPIES 1000
#define READY_WAIT_MS 6000

/* {Tag, Self} to a pid or name. */
static void tell(struct proc *p, term to, term tag)
{
    struct proc *q = proc_find(term_is_atom(to) ? name_whereis(to) : to);

    if (q)
        msg_send(p, q, build_tuple2(p, tag, p->id));
}

static term copies(struct proc *p, term t)
{
    term list = TERM_NIL;

    for (int i = 0; i < COPIES; i++) {
        struct dest d = {heap_alloc(p, term_size_all(t) + CONS_WORDS), &p->heap.off};

        list = put_cons(&d.htop, term_copy_all(&d, t), list);
    }
    return list;
}

/* p is in its place: has it been busy for so long? */
static bool passed(struct proc *p, uint64_t ms)
{
    if (dirty_passed(p, ms))
        return true;
    if (blocking_state() == am_blocked)
        dirty_alone(p);
    return false;
}

/* An order that waits is run again, as another one. */
static term dirty(struct proc *p, term kind, term *order, term how)
{
    enum dirty_kind place = kind == am_dirty_io ? DIRTY_IO : DIRTY_CPU;
    uint64_t n;

    switch (*order) {
    case am_scheduler:
        return how == am_type ? kind : bif_badarg(p);
    case am_error:
        return bif_error(p, how == am_notsup || how == am_undef || how == am_badarith ||
                                    how == am_noproc || how == am_system_limit
                                ? how
                                : am_badarg);
    case am_copy:
        return copies(p, how);
    case am_send:
        tell(p, how, am_ok);
        return am_ok;
    case am_wait:
        if (!term_to_uint64(how, &n) || n > UINT32_MAX)
            return bif_badarg(p);
        if (!dirty_enter(p, place))
            return bif_yield(p);
        return passed(p, n) ? am_ok : bif_wait(p);
    case am_reschedule:
        return term_to_uint64(how, &n) && n % 2 == 0 ? am_ok : bif_badarg(p);
    case am_ready_wait6_done:
        if (!dirty_enter(p, place))
            return bif_yield(p);
        tell(p, how, am_ready);
        *order = am_done;
        /* Fall through. */
    case am_done:
        if (!dirty_enter(p, place))
            return bif_yield(p);
        if (!passed(p, READY_WAIT_MS))
            return bif_wait(p);
        tell(p, how, am_done);
        return am_ok;
    case am_alive_waitexiting:
        if (!dirty_enter(p, place))
            return bif_yield(p);
        tell(p, how, am_alive);
        *order = am_exiting;
        /* Fall through. */
    case am_exiting:
        if (!dirty_enter(p, place))
            return bif_yield(p);
        dirty_passed(p, DIRTY_FOR_EVER);
        return bif_wait(p);
    default:
        return bif_badarg(p);
    }
}

BIF(erts_debug, dirty_cpu, 2)
{
    return dirty(p, am_dirty_cpu, &arg[0], arg[1]);
}

BIF(erts_debug, dirty_io, 2)
{
    return dirty(p, am_dirty_io, &arg[0], arg[1]);
}

BIF(erts_debug, dirty, 3)
{
    term kind = arg[0];

    if (kind == am_normal || arg[1] == am_error)
        return dirty(p, kind, &arg[1], arg[2]);
    if (kind != am_dirty_cpu && kind != am_dirty_io)
        return bif_badarg(p);
    return bif_trap(p,
                    kind == am_dirty_io ? EXP("erts_debug", "dirty_io", 2)
                                        : EXP("erts_debug", "dirty_cpu", 2),
                    arg + 1, 2);
}
