/*
 * raise.c - error, exit, throw, raise.
 */
#include "bif/bif.h"
#include "bif/info.h"
#include "vm/ops.h"

/*
 * A program's own error: it brings its own explanation, or none. What is no
 * list of arguments leaves the arity in the trace.
 */
static term own_error(struct proc *p, term reason, term args)
{
    bif_error(p, reason);
    p->exc.no_info = true;
    if (term_is_list(args))
        p->exc.args = args;
    return THE_NON_VALUE;
}

BIF(erlang, error, 1)
{
    return own_error(p, arg[0], am_none);
}

BIF(erlang, error, 2)
{
    return own_error(p, arg[0], arg[1]);
}

/* error(Reason, Args, [{error_info, Map}]); bad options make it error/2. */
BIF(erlang, error, 3)
{
    term info = THE_NON_VALUE, l = arg[2];

    for (; term_is_cons(l); l = cons_tail(l)) {
        term opt = cons_head(l);

        if (!term_is_tuple_of(opt, 2) || *tuple_at(opt, 1) != am_error_info ||
            !term_is_map(*tuple_at(opt, 2)))
            break;
        info = *tuple_at(opt, 2);
    }
    own_error(p, arg[0], arg[1]);
    if (term_is_nil(l))
        p->exc.info = info;
    return THE_NON_VALUE;
}

/* As any BIF that fails: the stub it is called in comes second in the trace. */
BIF(erlang, nif_error, 1)
{
    return bif_error(p, arg[0]);
}

BIF(erlang, nif_error, 2)
{
    return bif_error(p, arg[0]);
}

BIF(erlang, exit, 1)
{
    return bif_exit(p, arg[0]);
}

BIF(erlang, throw, 1)
{
    return bif_throw(p, arg[0]);
}

/* {M,F,A,Loc}, {Fun,Args,Loc}; {M,F,A} and {Fun,Args}, which become such. */
static bool frame_ok(term t, bool *old)
{
    term location = TERM_NIL;

    if (!term_is_tuple(t))
        return false;
    switch (tuple_arity(t)) {
    case 2:
        *old = true;
        return term_is_fun(*tuple_at(t, 1));
    case 3:
        if (term_is_fun(*tuple_at(t, 1)))
            location = *tuple_at(t, 3);
        else if (term_is_atom(*tuple_at(t, 1)) && term_is_atom(*tuple_at(t, 2)))
            *old = true;
        else
            return false;
        break;
    case 4:
        if (!term_is_atom(*tuple_at(t, 1)) || !term_is_atom(*tuple_at(t, 2)))
            return false;
        location = *tuple_at(t, 4);
        break;
    default:
        return false;
    }
    return term_is_list(location);
}

/* The first `depth` frames, all in the new form. */
static term copy_trace(struct proc *p, term trace, size_t depth)
{
    term *hp = heap_alloc(p, depth * (5 + CONS_WORDS));
    term first = TERM_NIL, *link = &first;

    for (size_t i = 0; i < depth; i++, trace = cons_tail(trace)) {
        term t = cons_head(trace);
        size_t arity = tuple_arity(t);

        if (arity == 2)
            t = put_tuple3(&hp, *tuple_at(t, 1), *tuple_at(t, 2), TERM_NIL);
        else if (arity == 3 && term_is_atom(*tuple_at(t, 1)))
            t = put_tuple4(&hp, *tuple_at(t, 1), *tuple_at(t, 2), *tuple_at(t, 3),
                           TERM_NIL);
        *link = put_cons(&hp, t, TERM_NIL);
        link = cons_ptr(*link) + 1;
    }
    heap_trim(p, hp);
    return first;
}

/*
 * erlang:raise(Class, Reason, Stacktrace). Bad arguments do not raise badarg,
 * they return it.
 */
BIF(erlang, raise, 3)
{
    size_t depth = 0, max = (size_t)vm.info->backtrace_depth;
    bool copy = false;
    term l = arg[2];

    if (arg[0] != am_error && arg[0] != am_exit && arg[0] != am_throw)
        return am_badarg;
    for (; term_is_cons(l); l = cons_tail(l), depth++) {
        if (!frame_ok(cons_head(l), &copy))
            return am_badarg;
    }
    if (!term_is_nil(l))
        return am_badarg;
    if (depth > max) {
        /* One frame at least, as when the VM makes the trace. */
        depth = max ? max : 1;
        copy = true;
    }
    if (arg[0] == am_error)
        bif_error(p, arg[1]);
    else if (arg[0] == am_exit)
        bif_exit(p, arg[1]);
    else
        bif_throw(p, arg[1]);
    p->exc.no_info = true;
    p->exc.trace = copy ? copy_trace(p, arg[2], depth) : arg[2];
    return THE_NON_VALUE;
}
