/*
 * node.c - this node and others.
 *
 * There is no distribution: the node is nonode@nohost, not alive, and what
 * needs it to be fails as OTP's fails then.
 */
#include "vm/node.h"

#include "bif/bif.h"
#include "bif/build.h"
#include "vm/big.h"
#include "vm/map.h"

GUARD(erlang, node, 0)
{
    return node_name();
}

GUARD(erlang, node, 1)
{
    term t = arg[0];

    if (term_is_local_pid(t) || term_is_local_port(t) || term_is_local_ref(t))
        return node_name();
    if (term_is_pid(t) || term_is_port(t) || term_is_ref(t))
        return ((const struct ext_words *)boxed_ptr(t))->node->name;
    return bif_badarg(p);
}

/* Node types that are asked for; false: badarg. *self: this node counts. */
static bool node_types(term l, bool *self)
{
    if (term_is_atom(l)) {
        *self = l == am_known || l == am_this;
        return *self || l == am_visible || l == am_hidden || l == am_connected;
    }
    *self = false;
    for (; term_is_cons(l); l = cons_tail(l)) {
        bool one;

        if (!term_is_atom(cons_head(l)) || !node_types(cons_head(l), &one))
            return false;
        *self |= one;
    }
    return term_is_nil(l);
}

BIF(erlang, nodes, 0)
{
    return TERM_NIL;
}

BIF(erlang, nodes, 1)
{
    bool self;

    if (!node_types(arg[0], &self))
        return bif_badarg(p);
    return self ? build_cons(p, node_name(), TERM_NIL) : TERM_NIL;
}

BIF(erlang, nodes, 2)
{
    static const term keys[] = {am_connection_id, am_node_type};
    static const term values[] = {am_undefined, am_this};
    term pairs[4];
    size_t n = 0, known = 0;
    bool self;

    if (!node_types(arg[0], &self) || !term_is_map(arg[1]))
        return bif_badarg(p);
    for (size_t i = 0; i < 2; i++) {
        term want = map_get(arg[1], keys[i]);

        if (want == THE_NON_VALUE)
            continue;
        if (!term_is_bool(want))
            return bif_badarg(p);
        known++;
        if (want == am_true) {
            pairs[2 * n] = keys[i];
            pairs[2 * n++ + 1] = values[i];
        }
    }
    if (known != map_size(arg[1]))
        return bif_badarg(p);
    if (!self)
        return TERM_NIL;
    return build_item(p, node_name(), map_from_pairs(p, pairs, n), TERM_NIL);
}

static term monitor_node(struct proc *p, term node, term on, term opts)
{
    for (; term_is_cons(opts); opts = cons_tail(opts))
        if (cons_head(opts) != am_allow_passive_connect)
            return bif_error_cause(p, am_badarg, am_badopt);
    if (!term_is_nil(opts))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (!term_is_atom(node))
        return bif_badarg(p);
    if (node != am_NonodeAtNohost)
        return bif_error(p, am_notalive);
    return term_is_bool(on) ? am_true : bif_badarg(p);
}

BIF(erlang, monitor_node, 2)
{
    return monitor_node(p, arg[0], arg[1], TERM_NIL);
}

BIF(erlang, monitor_node, 3)
{
    return monitor_node(p, arg[0], arg[1], arg[2]);
}

/* To become alive takes a distribution; OTP's answer without net_kernel. */
BIF(erlang, setnode, 2)
{
    return bif_badarg(p);
}

BIF(erts_internal, create_dist_channel, 3)
{
    return am_badarg;
}

BIF(erts_internal, get_creation, 0)
{
    /* 0: not alive. */
    return (*node_this)->creation ? uint64_make(p, (*node_this)->creation) : am_undefined;
}

/*
 * OTP 25's distribution flags (erts dist.h): default, mandatory, addable,
 * rejectable, strict order.
 */
BIF(erts_internal, get_dflags, 0)
{
    static const int64_t flags[] = {55966662588, 17239956, 55966662588, 8396866, 8192};
    term *hp = heap_alloc(p, 7), *t = hp;

    t[0] = TUPLE_HEADER(6);
    t[1] = am_erts_dflags;
    for (int i = 0; i < 5; i++)
        t[2 + i] = small_make(flags[i]);
    return boxed_make(t);
}

/* No connection can be pending: nothing here makes one. */
BIF(erts_internal, new_connection, 1)
{
    return bif_badarg(p);
}

BIF(erts_internal, abort_pending_connection, 2)
{
    return bif_badarg(p);
}

BIF(net_kernel, dflag_unicode_io, 1)
{
    if (!term_is_pid(arg[0]))
        return bif_badarg(p);
    return am_true;
}

/*
 * These take a handle of a connection, and there is none: neither this one nor,
 * where OTP asks for it first, one that the caller controls.
 */
BIF(erlang, dist_get_stat, 1)
{
    return bif_badarg(p);
}

BIF(erlang, dist_ctrl_input_handler, 2)
{
    return bif_error(p, am_notsup);
}

BIF(erlang, dist_ctrl_put_data, 2)
{
    /* Erlang code makes one binary of a list, and calls again. */
    if (term_is_cons(arg[1]))
        return bif_trap(p, EXP("erts_internal", "dist_ctrl_put_data", 2), arg, 2);
    return bif_badarg(p);
}

BIF(erlang, dist_ctrl_get_data, 1)
{
    return bif_error(p, am_notsup);
}

BIF(erlang, dist_ctrl_get_data_notification, 1)
{
    return bif_error(p, am_notsup);
}

BIF(erlang, dist_ctrl_get_opt, 2)
{
    return bif_error(p, am_notsup);
}

BIF(erlang, dist_ctrl_set_opt, 3)
{
    return bif_error(p, am_notsup);
}

BIF(erts_debug, dist_ext_to_term, 2)
{
    return bif_badarg(p);
}
