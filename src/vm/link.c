/*
 * link.c - links, monitors, aliases, suspensions: link.h.
 */
#include "vm/link.h"

#include "io/port.h"
#include "vm/atom.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/sched.h"
#include "vm/trace.h"

/* Sets no longer than this are searched along the list. */
#define SET_SHORT 8
/* Reductions that undoing one tie costs. */
#define TIE_REDS 4

/* ---- sets ---- */

void set_init(struct set *s)
{
    *s = (struct set){0};
    s->last = &s->first;
}

void set_fini(struct set *s)
{
    assert(s->n == 0);
    vm_free(s->slot);
    s->slot = NULL;
}

static struct snode **set_slot(const struct set *s, uint64_t key0, uint64_t key1)
{
    uint64_t h = (key0 ^ key1 * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;

    return &s->slot[(h ^ h >> 32) & s->mask];
}

static void set_rehash(struct set *s, size_t slots)
{
    vm_free(s->slot);
    s->slot = vm_zalloc(ALLOC_PROC, slots * sizeof *s->slot);
    s->mask = slots - 1;
    for (struct snode *e = s->first; e; e = e->next) {
        struct snode **at = set_slot(s, e->key[0], e->key[1]);

        e->chain = *at;
        *at = e;
    }
}

static void list_append(struct snode ***last, struct snode *e)
{
    e->next = NULL;
    e->prev = *last;
    **last = e;
    *last = &e->next;
}

static void list_remove(struct snode ***last, struct snode *e)
{
    *e->prev = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        *last = e->prev;
    e->prev = NULL;
}

void set_add(struct set *s, struct snode *e, uint64_t key0, uint64_t key1)
{
    e->key[0] = key0;
    e->key[1] = key1;
    list_append(&s->last, e);
    s->n++;
    if (!s->slot) {
        if (s->n > (vm.stress_gc ? 2 : SET_SHORT))
            set_rehash(s, vm.stress_gc ? 2 : 4 * SET_SHORT);
    } else if (s->n > 2 * (s->mask + 1)) {
        set_rehash(s, 4 * (s->mask + 1));
    } else {
        struct snode **at = set_slot(s, key0, key1);

        e->chain = *at;
        *at = e;
    }
}

void set_remove(struct set *s, struct snode *e)
{
    if (s->slot) {
        struct snode **at = set_slot(s, e->key[0], e->key[1]);

        while (*at != e)
            at = &(*at)->chain;
        *at = e->chain;
    }
    list_remove(&s->last, e);
    if (--s->n == 0) {
        vm_free(s->slot);
        s->slot = NULL;
    }
}

struct snode *set_find(const struct set *s, uint64_t key0, uint64_t key1)
{
    if (s->slot) {
        for (struct snode *e = *set_slot(s, key0, key1); e; e = e->chain)
            if (e->key[0] == key0 && e->key[1] == key1)
                return e;
    } else {
        for (struct snode *e = s->first; e; e = e->next)
            if (e->key[0] == key0 && e->key[1] == key1)
                return e;
    }
    return NULL;
}

/* ---- links ---- */

void link_init(void)
{
    vm.aliases = vm_alloc(ALLOC_PROC, sizeof *vm.aliases);
    set_init(vm.aliases);
}

struct links *links_new(void)
{
    struct links *l = vm_zalloc(ALLOC_PROC, sizeof *l);

    set_init(&l->links);
    set_init(&l->monitors);
    set_init(&l->aliases);
    set_init(&l->suspends);
    l->watchers_last = &l->watchers;
    return l;
}

struct links *links_of(term id, bool create)
{
    struct links **at;

    if (term_is_local_pid(id)) {
        struct proc *p = proc_find_any(id);

        if (!p || (create && p->state == PROC_EXITING))
            return NULL;
        at = &p->links;
    } else if (term_is_local_port(id)) {
        struct port *port = port_find(id);

        if (!port)
            return NULL;
        at = &port->links;
    } else {
        return NULL;
    }
    if (!*at && create)
        *at = links_new();
    if (*at)
        (*at)->id = id;
    return *at;
}

/* An exit signal has reached it, so what is tied to it now comes too late. */
static bool is_killed(term id)
{
    struct proc *p = term_is_local_pid(id) ? proc_find_any(id) : NULL;

    return p && (p->flags & PF_KILLED);
}

bool link_add(term a, term b)
{
    struct links *la = links_of(a, true), *lb = links_of(b, true);
    struct link_half *half;

    if (!la || !lb || la == lb || set_find(&la->links, b, 0))
        return false;
    half = vm_zalloc(ALLOC_PROC, 2 * sizeof *half);
    half[0].owner = la;
    half[0].peer = &half[1];
    half[1].owner = lb;
    half[1].peer = &half[0];
    half[0].late = is_killed(a);
    half[1].late = is_killed(b);
    set_add(&la->links, &half[0].node, b, 0);
    set_add(&lb->links, &half[1].node, a, 0);
    return true;
}

static void link_free(struct link_half *h)
{
    struct link_half *peer = h->peer;

    set_remove(&h->owner->links, &h->node);
    set_remove(&peer->owner->links, &peer->node);
    vm_free(h < peer ? h : peer);
}

bool link_remove(term a, term b)
{
    struct links *l = links_of(a, false);
    struct snode *e = l ? set_find(&l->links, b, 0) : NULL;

    if (!e)
        return false;
    link_free((struct link_half *)e);
    return true;
}

/* ---- monitors ---- */

bool monitor_opts_parse(term list, struct monitor_opts *o)
{
    *o = (struct monitor_opts){.alias = ALIAS_NONE, .tag = THE_NON_VALUE};
    for (; term_is_cons(list); list = cons_tail(list)) {
        term opt = cons_head(list), value;

        if (!term_is_tuple_of(opt, 2))
            return false;
        value = *tuple_at(opt, 2);
        if (*tuple_at(opt, 1) == am_tag)
            o->tag = value;
        else if (*tuple_at(opt, 1) != am_alias)
            return false;
        else if (value == am_explicit_unalias)
            o->alias = ALIAS_EXPLICIT;
        else if (value == am_demonitor)
            o->alias = ALIAS_DEMONITOR;
        else if (value == am_reply_demonitor)
            o->alias = ALIAS_ONCE;
        else
            return false;
    }
    return term_is_nil(list);
}

static struct links *own_links(struct proc *p)
{
    if (!p->links) {
        p->links = links_new();
        p->links->id = p->id;
    }
    return p->links;
}

static struct monitor *monitor_new(struct proc *p, const uint64_t ref[2],
                                   term type, term id, term name, term node,
                                   const struct monitor_opts *o)
{
    struct monitor *m = vm_zalloc(ALLOC_PROC, sizeof *m);

    m->owner = own_links(p);
    m->type = type;
    m->id = id;
    m->name = name;
    m->node = node;
    m->tag = am_DOWN;
    if (o && o->tag != THE_NON_VALUE) {
        m->tag = o->tag;
        if (!term_is_imm(o->tag)) {
            size_t words = term_size(o->tag);
            struct dest d;

            m->tag_frag = mbuf_new(words);
            m->tag_frag->used = words;
            d = (struct dest){m->tag_frag->words, &m->tag_frag->off};
            m->tag = term_copy(&d, o->tag);
        }
    }
    set_add(&m->owner->monitors, &m->origin, ref[0], ref[1]);
    if (o && o->alias != ALIAS_NONE)
        alias_add(p, ref, o->alias, m);
    return m;
}

static void alias_free(struct alias *a)
{
    set_remove(vm.aliases, &a->all);
    set_remove(&a->p->links->aliases, &a->mine);
    if (a->monitor)
        a->monitor->alias = NULL;
    vm_free(a);
}

static void watch_remove(struct monitor *m)
{
    if (m->target.prev)
        list_remove(&m->watched->watchers_last, &m->target);
}

/* The monitor is over, by demonitor or after DOWN. */
static void monitor_free(struct monitor *m)
{
    watch_remove(m);
    set_remove(&m->owner->monitors, &m->origin);
    if (m->alias) {
        if (m->alias->how == ALIAS_EXPLICIT)
            m->alias->monitor = NULL;
        else
            alias_free(m->alias);
    }
    mbuf_free(m->tag_frag);
    vm_free(m);
}

/* {Tag, Ref, Type, Object, Reason}, object as monitor/2 named it. */
static void monitor_down(struct monitor *m, term reason)
{
    struct proc *p = proc_find(m->owner->id);

    if (m->late)
        reason = am_noproc;
    if (p) {
        term object = m->id;
        size_t tag_words = term_is_imm(m->tag) ? 0 : term_size(m->tag);
        size_t object_words = term_is_imm(object) ? 0 : term_size(object);
        size_t reason_words = term_is_imm(reason) ? 0 : term_size(reason);
        size_t words =
            tag_words + object_words + reason_words + REF_WORDS + 3 + 6;
        struct mbuf *frag = mbuf_new(words);
        struct dest d = {frag->words, &frag->off};
        term tag = tag_words ? term_copy(&d, m->tag) : m->tag, ref, *t;

        if (object_words)
            object = term_copy(&d, object);
        if (reason_words)
            reason = term_copy(&d, reason);
        ref = ref_put(&d.htop, m->origin.key);
        if (m->name != THE_NON_VALUE)
            object = put_tuple2(&d.htop, m->name, m->node);
        t = d.htop;
        d.htop += 6;
        t[0] = TUPLE_HEADER(5);
        t[1] = tag;
        t[2] = ref;
        t[3] = m->type;
        t[4] = object;
        t[5] = reason;
        frag->used = d.htop - frag->words;
        msg_send_mbuf_from(p, frag, boxed_make(t), term_is_pid(m->id) ? m->id : am_system);
    }
    monitor_free(m);
}

void monitor_add(struct proc *p, const uint64_t ref[2], term type, term id,
                 term name, const struct monitor_opts *o)
{
    struct monitor *m =
        monitor_new(p, ref, type, id, name, node_name(), o);
    struct links *l = NULL;

    if (type == am_time_offset)
        return;
    if (id != THE_NON_VALUE)
        l = links_of(id, true);
    if (!l) {
        monitor_down(m, am_noproc);
        return;
    }
    m->late = is_killed(id);
    m->watched = l;
    list_append(&l->watchers_last, &m->target);
}

void monitor_add_remote(struct proc *p, const uint64_t ref[2], term target,
                        term name, term node, term reason,
                        const struct monitor_opts *o)
{
    monitor_down(monitor_new(p, ref, am_process, target, name, node, o), reason);
}

enum demonitor monitor_remove(struct proc *p, const uint64_t ref[2])
{
    struct snode *e = p->links ? set_find(&p->links->monitors, ref[0], ref[1]) : NULL;
    struct monitor *m = (struct monitor *)e;
    bool time;

    if (!m)
        return DEMONITOR_NONE;
    time = m->type == am_time_offset;
    monitor_free(m);
    return time ? DEMONITOR_TIME : DEMONITOR_DONE;
}

/* ---- aliases ---- */

void alias_add(struct proc *p, const uint64_t ref[2], enum alias_how how,
               struct monitor *m)
{
    struct alias *a = vm_zalloc(ALLOC_PROC, sizeof *a);

    a->p = p;
    a->how = how;
    a->monitor = m;
    if (m)
        m->alias = a;
    set_add(vm.aliases, &a->all, ref[0], ref[1]);
    set_add(&own_links(p)->aliases, &a->mine, ref[0], ref[1]);
}

bool alias_remove(struct proc *p, const uint64_t ref[2])
{
    struct alias *a = (struct alias *)set_find(vm.aliases, ref[0], ref[1]);

    if (!a || a->p != p)
        return false;
    alias_free(a);
    return true;
}

struct proc *alias_take(const uint64_t ref[2])
{
    struct alias *a = (struct alias *)set_find(vm.aliases, ref[0], ref[1]);
    struct proc *p;

    if (!a)
        return NULL;
    p = a->p;
    if (a->how == ALIAS_ONCE) {
        if (a->monitor)
            monitor_free(a->monitor);   /* and the alias */
        else
            alias_free(a);
    }
    return p;
}

/* ---- suspensions ---- */

void proc_suspend(struct proc *p)
{
    p->suspend_count++;
    p->flags |= PF_SUSPENDED;
}

void proc_resume(struct proc *p)
{
    assert(p->suspend_count > 0);
    if (--p->suspend_count > 0)
        return;
    p->flags &= ~(uint32_t)PF_SUSPENDED;
    if ((p->flags & PF_ACTIVE) && (p->state == PROC_WAITING || p->flags & PF_IN_TASK)) {
        p->flags &= ~(uint32_t)PF_ACTIVE;
        proc_wake(p);
    }
}

struct suspend *suspend_find(struct proc *by, term pid)
{
    return by->links ? (struct suspend *)set_find(&by->links->suspends, pid, 0) : NULL;
}

void suspend_add(struct proc *by, struct proc *p)
{
    struct suspend *s = suspend_find(by, p->id);

    if (!s) {
        struct links *l = own_links(p);

        s = vm_zalloc(ALLOC_PROC, sizeof *s);
        s->owner = own_links(by);
        s->suspended = p;
        set_add(&s->owner->suspends, &s->origin, p->id, 0);
        s->target.next = l->suspenders;
        s->target.prev = &l->suspenders;
        if (l->suspenders)
            l->suspenders->prev = &s->target.next;
        l->suspenders = &s->target;
        proc_suspend(p);
    }
    s->count++;
}

static void suspend_free(struct suspend *s, bool resume)
{
    set_remove(&s->owner->suspends, &s->origin);
    *s->target.prev = s->target.next;
    if (s->target.next)
        s->target.next->prev = s->target.prev;
    if (resume)
        proc_resume(s->suspended);
    vm_free(s);
}

bool suspend_drop(struct proc *by, term pid)
{
    struct suspend *s = suspend_find(by, pid);

    if (!s)
        return false;
    if (--s->count == 0)
        suspend_free(s, true);
    return true;
}

/* ---- the end ---- */

/* getting_linked, getting_unlinked, to the tracer of what a link leads to. */
void trace_tie(term of, term what, term other)
{
    if (term_is_local_pid(of)) {
        struct proc *p = proc_find(of);

        if (p && unlikely(p->trace & TF_PROCS))
            trace_proc(p, what, other);
    } else {
        struct port *port = port_find(of);

        if (port && unlikely(port->trace.flags & TF_PORTS))
            trace_tracee(&port->trace, port->id, TRACER_PORTS, what, other, THE_NON_VALUE);
    }
}

/* A link's other end learns that id ended. */
static void link_fire(struct link_half *h, term id, term reason)
{
    term other = h->node.key[0];

    if (h->late)
        reason = am_noproc;
    link_free(h);
    if (term_is_local_port(other)) {
        trace_tie(other, am_getting_unlinked, id);
        port_exit_signal(other, id, reason, true);
    } else {
        struct proc *p = proc_find(other);

        if (p)
            proc_exit_signal(p, id, reason, true);
        trace_tie(other, am_getting_unlinked, id);
    }
}

bool links_exit(struct links *l, term id, term name, term reason, int32_t *reds)
{
    struct snode *e;

    while (*reds > 0) {
        *reds -= TIE_REDS;
        if ((e = l->links.first)) {
            link_fire((struct link_half *)e, id, reason);
        } else if ((e = l->monitors.first)) {
            struct monitor *m = (struct monitor *)e;

            if (m->alias)
                alias_free(m->alias);
            monitor_free(m);
        } else if ((e = l->watchers)) {
            monitor_down(monitor_of_target(e), reason);
        } else if ((e = l->aliases.first)) {
            alias_free((struct alias *)((char *)e - offsetof(struct alias, mine)));
        } else if ((e = l->suspends.first)) {
            suspend_free((struct suspend *)e, true);
        } else if ((e = l->suspenders)) {
            suspend_free((struct suspend *)((char *)e -
                                            offsetof(struct suspend, target)),
                         false);
        } else {
            set_fini(&l->links);
            set_fini(&l->monitors);
            set_fini(&l->aliases);
            set_fini(&l->suspends);
            vm_free(l);
            return true;
        }
    }
    return false;
}

/* A port has few ties, so its end is one step. */
void links_fire(struct links *l, term id, term name, term reason)
{
    int32_t reds = INT32_MAX;

    if (l) {
        while (!links_exit(l, id, name, reason, &reds))
            reds = INT32_MAX;
    }
}

term links_list(struct proc *p, term id)
{
    struct links *l = links_of(id, false);
    term list = TERM_NIL;

    if (!l)
        return list;
    term *hp = heap_alloc(p, l->links.n * CONS_WORDS);
    for (struct snode *e = l->links.first; e; e = e->next)
        list = put_cons(&hp, e->key[0], list);
    return list;
}

term links_monitored_by(struct proc *p, term id)
{
    struct links *l = links_of(id, false);
    term list = TERM_NIL;
    size_t n = 0;

    if (!l)
        return list;
    for (struct snode *e = l->watchers; e; e = e->next)
        n++;
    term *hp = heap_alloc(p, n * CONS_WORDS);
    for (struct snode *e = l->watchers; e; e = e->next)
        list = put_cons(&hp, monitor_of_target(e)->owner->id, list);
    return list;
}

/* {Name, ...} in front of a list. */
static term record(struct proc *p, const term *t, size_t n, term list)
{
    term *hp = heap_alloc(p, n + 1 + CONS_WORDS);

    hp[0] = TUPLE_HEADER(n);
    memcpy(hp + 1, t, n * sizeof *t);
    t = hp;
    hp += n + 1;
    return put_cons(&hp, boxed_make(t), list);
}

term links_records(struct proc *p, term id)
{
    struct links *l = links_of(id, false);
    term list = TERM_NIL;

    for (struct snode *e = l ? l->links.first : NULL; e; e = e->next) {
        bool port = term_is_local_port(id) || term_is_local_port(e->key[0]);
        term t[] = {am_erl_link, port ? am_port : am_process, e->key[0], am_linked,
                    small_make(0)};

        list = record(p, t, 5, list);
    }
    return list;
}

static term monitor_record(struct proc *p, const struct monitor *m, term dir, term pid,
                           term list)
{
    term *hp = heap_alloc(p, REF_WORDS);
    term t[] = {am_erl_monitor, m->type, dir, ref_put(&hp, m->origin.key), pid,
                m->name == THE_NON_VALUE ? TERM_NIL : m->name};

    return record(p, t, 6, list);
}

term monitors_records(struct proc *p, term id)
{
    struct links *l = links_of(id, false);
    term list = TERM_NIL;

    if (!l)
        return list;
    for (struct snode *e = l->monitors.first; e; e = e->next) {
        const struct monitor *m = (const struct monitor *)e;

        list = monitor_record(p, m, am_origin, m->id == THE_NON_VALUE ? TERM_NIL : m->id,
                              list);
    }
    for (struct snode *e = l->watchers; e; e = e->next) {
        const struct monitor *m = monitor_of_target(e);

        list = monitor_record(p, m, am_target, m->owner->id, list);
    }
    return list;
}
