/*
 * node_refs.c - who refers to which nodes: what erts_debug shows OTP's tests.
 *
 * Each node counts the identifiers that lead to it (node.h). Here memory is
 * walked for them: a count that differs from what is found is a bug. Of a
 * process that is put aside in the middle of C nothing is found, as its lists
 * can't be read then.
 */
#include "bif/node_refs.h"

#include "bif/bif.h"
#include "bif/build.h"
#include "io/port.h"
#include "vm/big.h"
#include "vm/btimer.h"
#include "vm/ets_table.h"
#include "vm/link.h"
#include "vm/matchspec.h"
#include "vm/node.h"
#include "vm/purge.h"

#include <stdlib.h>

/* Who holds identifiers, and how many of one node. type and id as OTP names it. */
struct holder {
    struct holder *next;
    term type, id;          /* immediate; id of a match spec: a small */
    term kind;              /* heap, ets, ... */
    size_t n;
};

struct found {
    struct node *node;
    struct holder *holders; /* newest first */
};

struct walk {
    struct found *found;    /* by address of the node */
    size_t n;
    term type, id, kind;    /* of what is being walked */
    const struct ms **seen; /* match specs: each is walked once */
    size_t nseen, seen_size;
};

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct found *)a)->node;
    uintptr_t y = (uintptr_t)((const struct found *)b)->node;

    return (x > y) - (x < y);
}

static void count(struct walk *w, struct node *node)
{
    struct found key = {.node = node};
    struct found *f = bsearch(&key, w->found, w->n, sizeof *w->found, by_address);
    struct holder *h;

    assert(f);
    /* A holder's identifiers are found one after the other. */
    h = f->holders;
    if (!h || h->type != w->type || h->id != w->id || h->kind != w->kind) {
        h = vm_alloc(ALLOC_SYSTEM, sizeof *h);
        *h = (struct holder){f->holders, w->type, w->id, w->kind, 0};
        f->holders = h;
    }
    h->n++;
}

static void in_list(struct walk *w, const term *obj);

static void in_match_spec(struct walk *w, const struct ms *ms)
{
    struct walk was = *w;

    for (size_t i = 0; i < w->nseen; i++)
        if (w->seen[i] == ms)
            return;
    if (w->nseen == w->seen_size) {
        w->seen_size = w->seen_size ? w->seen_size * 2 : 16;
        w->seen = vm_realloc(w->seen, w->seen_size * sizeof *w->seen);
    }
    w->seen[w->nseen++] = ms;
    w->type = am_match_spec;
    w->id = small_make((int64_t)((uintptr_t)ms / sizeof(term)));
    w->kind = am_binary;
    /* Constants: no match spec lies in one, so this goes no deeper. */
    in_list(w, ms->off.first);
    w->type = was.type;
    w->id = was.id;
    w->kind = was.kind;
}

static void in_list(struct walk *w, const term *obj)
{
    for (; obj; obj = (const term *)(uintptr_t)obj[1]) {
        struct ms *ms;

        switch (header_type(*obj)) {
        case BOX_EXTPID:
        case BOX_EXTPORT:
        case BOX_EXTREF:
            count(w, ((const struct ext_words *)obj)->node);
            break;
        case BOX_MAGIC:
            ms = ms_of_ref(boxed_make(obj));
            if (ms)
                in_match_spec(w, ms);
            break;
        }
    }
}

static void in_frags(struct walk *w, const struct mbuf *m)
{
    for (; m; m = m->next)
        in_list(w, m->off.first);
}

static void holder(struct walk *w, term type, term id, term kind)
{
    w->type = type;
    w->id = id;
    w->kind = kind;
}

static void in_process(struct walk *w, struct proc *q)
{
    holder(w, am_process, q->id, am_heap);
    in_list(w, q->heap.off.first);
    in_list(w, q->heap.old_off.first);
    in_frags(w, q->heap.mbuf);
    in_frags(w, q->late);
    for (const struct msg *m = q->msgq.first; m; m = m->next)
        in_frags(w, m->frag);
    if (!q->links)
        return;
    holder(w, am_process, q->id, am_monitor);
    for (struct snode *m = q->links->monitors.first; m; m = m->next)
        in_frags(w, ((struct monitor *)m)->tag_frag);
}

static void in_table(struct walk *w, struct ets_table *t)
{
    holder(w, am_ets, t->name, am_ets);
    if (t->heir_data)
        in_list(w, t->heir_data->off);
    /* One that is being emptied is in pieces. */
    if (t->deleted)
        return;
    if (ets_is_tree(t)) {
        struct ets_iter it;

        for (ets_iter_first(t, &it); ets_iter_get(&it); ets_iter_next(&it))
            in_list(w, ets_iter_get(&it)->off);
        return;
    }
    for (size_t i = 0; i < t->hash.buckets; i++)
        for (struct ets_obj *o = ets_hash_bucket(t, i); o; o = o->next)
            in_list(w, o->off);
}

static void in_timer(void *ctx, term to, const struct mbuf *frag)
{
    struct walk *w = ctx;

    holder(w, am_process, to, am_timer);
    in_frags(w, frag);
}

static void in_area(void *ctx, const struct literal_area *a)
{
    if (a)
        in_list(ctx, a->off.first);
}

static void in_literals(struct walk *w)
{
    struct module *m;

    holder(w, am_system, am_persistent_term, am_system);
    persistent_term_visit(in_area, w);
    holder(w, am_system, am_literals, am_system);
    for (size_t i = 0; (m = module_next(&i));) {
        if (m->curr)
            in_area(w, m->curr->literals);
        if (m->old)
            in_area(w, m->old->literals);
    }
    for (size_t i = 0; i < vm.purge->leaving.n; i++)
        in_area(w, vm.purge->leaving.area[i]);
    for (const struct literal_area *a = vm.purge->leaving.first; a; a = a->next)
        in_area(w, a);
}

static void walk_all(struct walk *w, struct proc *p)
{
    struct proc *q;
    const struct port *port;

    for (size_t i = 0; (q = proc_next(&i));)
        if (q == p || !q->stack)
            in_process(w, q);
    for (port = port_next(NULL); port; port = port_next(port)) {
        holder(w, am_port, port->id, am_heap);
        in_frags(w, port->data_mbuf);
    }
    for (struct ets_table *t = vm.ets->all; t; t = t->all_next)
        in_table(w, t);
    btimer_visit(in_timer, w);
    in_literals(w);
}

/* {{Type, Id}, [{Kind, N}]} */
static term holder_term(struct proc *p, term type, term id, term kind, size_t n)
{
    term kinds = build_item(p, kind, uint64_make(p, n), TERM_NIL);

    return build_tuple2(p, build_tuple2(p, type, id), kinds);
}

static term node_term(struct proc *p, const struct node *n)
{
    return build_tuple2(p, n->name, uint64_make(p, n->creation));
}

/* [{{Name, Creation}, Refc, [Holder]} | Tail]. The holders are freed. */
static term node_references(struct proc *p, struct found *f, term tail)
{
    term list = TERM_NIL;
    struct holder *next;

    for (struct holder *h = f->holders; h; h = next) {
        next = h->next;
        list = build_cons(p, holder_term(p, h->type, h->id, h->kind, h->n), list);
        vm_free(h);
    }
    return build_cons(p,
                      build_tuple3(p, node_term(p, f->node),
                                   uint64_make(p, (uint64_t)f->node->refc), list),
                      tail);
}

static int by_name(const void *a, const void *b)
{
    term x = ((const struct found *)a)->node->name;
    term y = ((const struct found *)b)->node->name;

    return (x > y) - (x < y);
}

/* Of a name: its incarnations, and this node itself. Those are in a row. */
static term dist_references(struct proc *p, const struct found *f, size_t n, term list)
{
    term refs = TERM_NIL, id;
    size_t refc = n;

    if (n == 0 || f->node->name == node_name()) {
        refs = build_cons(p, holder_term(p, am_system, am_undefined, am_system, 1), refs);
        refc++;
    }
    for (size_t i = 0; i < n; i++) {
        id = node_term(p, f[i].node);
        refs = build_cons(p, holder_term(p, am_node, id, am_node, 1), refs);
    }
    return build_cons(p,
                      build_tuple3(p, n ? f->node->name : node_name(),
                                   uint64_make(p, refc), refs),
                      list);
}

term node_references_term(struct proc *p)
{
    struct walk w = {0};
    term nodes = TERM_NIL, dists = TERM_NIL;
    struct node *node;
    bool this_seen = false;

    node_sweep();
    w.found = vm_zalloc(ALLOC_SYSTEM, (node_count() + 1) * sizeof *w.found);
    for (size_t i = 0; (node = node_next(&i));)
        w.found[w.n++].node = node;
    qsort(w.found, w.n, sizeof *w.found, by_address);
    walk_all(&w, p);

    for (size_t i = 0; i < w.n; i++)
        nodes = node_references(p, &w.found[i], nodes);
    /* Identifiers of this node lead nowhere: the VM alone refers to it. */
    nodes = build_cons(
        p,
        build_tuple3(p, node_term(p, *node_this), small_make(1),
                     build_cons(p, holder_term(p, am_system, am_undefined, am_system, 1),
                                TERM_NIL)),
        nodes);
    qsort(w.found, w.n, sizeof *w.found, by_name);
    for (size_t i = 0, n; i < w.n; i += n) {
        for (n = 1; i + n < w.n && by_name(&w.found[i], &w.found[i + n]) == 0; n++)
            ;
        this_seen |= w.found[i].node->name == node_name();
        dists = dist_references(p, &w.found[i], n, dists);
    }
    if (!this_seen)
        dists = dist_references(p, NULL, 0, dists);
    vm_free(w.found);
    vm_free(w.seen);
    return build_tuple2(p, build_tuple2(p, am_node_references, nodes),
                        build_tuple2(p, am_dist_references, dists));
}
