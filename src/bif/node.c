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

#include <stdlib.h>

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

/*
 * Which nodes are asked for? *others: those that identifiers lead to, which are
 * known though there is no connection. False: badarg.
 */
static bool node_types(term l, bool *self, bool *others)
{
    *self = l == am_known || l == am_this;
    *others = l == am_known;
    if (term_is_atom(l))
        return *self || l == am_visible || l == am_hidden || l == am_connected;
    for (; term_is_cons(l); l = cons_tail(l)) {
        term type = cons_head(l);
        bool one, more;

        if (!term_is_atom(type) || !node_types(type, &one, &more))
            return false;
        *self |= one;
        *others |= more;
    }
    return term_is_nil(l);
}

static int term_order(const void *a, const void *b)
{
    term x = *(const term *)a, y = *(const term *)b;

    return (x > y) - (x < y);
}

/* The names of nodes that there are identifiers of, each once. vm_alloc. */
static term *known_names(size_t *n)
{
    struct node *node;
    term *names;
    size_t all = 0;

    node_sweep();
    names = vm_alloc(ALLOC_SYSTEM, (node_count() + 1) * sizeof *names);
    for (size_t i = 0; (node = node_next(&i));)
        if (node->name != node_name())
            names[all++] = node->name;
    qsort(names, all, sizeof *names, term_order);
    *n = 0;
    for (size_t i = 0; i < all; i++)
        if (i == 0 || names[i] != names[i - 1])
            names[(*n)++] = names[i];
    return names;
}

BIF(erlang, nodes, 0)
{
    return TERM_NIL;
}

/* What is asked of each node: nothing, or keys of its info map. */
struct node_info {
    bool map, id, type;
};

static term node_entry(struct proc *p, term name, bool self, const struct node_info *info)
{
    term pairs[4];
    size_t n = 0;

    if (info->id) {
        pairs[2 * n] = am_connection_id;
        pairs[2 * n++ + 1] = am_undefined;
    }
    if (info->type) {
        pairs[2 * n] = am_node_type;
        pairs[2 * n++ + 1] = self ? am_this : am_known;
    }
    return info->map ? build_tuple2(p, name, map_from_pairs(p, pairs, n)) : name;
}

static term node_list(struct proc *p, bool self, bool others, const struct node_info *info)
{
    term list = self ? build_cons(p, node_entry(p, node_name(), true, info), TERM_NIL)
                     : TERM_NIL;

    if (others) {
        size_t n;
        term *names = known_names(&n);

        for (size_t i = 0; i < n; i++)
            list = build_cons(p, node_entry(p, names[i], false, info), list);
        vm_free(names);
    }
    return list;
}

BIF(erlang, nodes, 1)
{
    static const struct node_info none;
    bool self, others;

    if (!node_types(arg[0], &self, &others))
        return bif_badarg(p);
    return node_list(p, self, others, &none);
}

BIF(erlang, nodes, 2)
{
    struct node_info info = {.map = true};
    const struct {
        term key;
        bool *want;
    } keys[] = {{am_connection_id, &info.id}, {am_node_type, &info.type}};
    size_t known = 0;
    bool self, others;

    if (!node_types(arg[0], &self, &others) || !term_is_map(arg[1]))
        return bif_badarg(p);
    for (size_t i = 0; i < 2; i++) {
        term want = map_get(arg[1], keys[i].key);

        if (want == THE_NON_VALUE)
            continue;
        if (!term_is_bool(want))
            return bif_badarg(p);
        known++;
        *keys[i].want = want == am_true;
    }
    if (known != map_size(arg[1]))
        return bif_badarg(p);
    return node_list(p, self, others, &info);
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
