/*
 * ets.c - tables as such: identifiers, names, owners, heirs, fixes, objects.
 */
#include "vm/ets.h"
#include "vm/atom.h"
#include "vm/clock.h"
#include "vm/ets_table.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/slice.h"

/* Objects freed per reduction when a table goes. */
#define FREED_PER_RED 1
#define FREE_NS 200             /* most of it waiting for memory */

void ets_init(void)
{
    vm.ets = vm_zalloc(ALLOC_ETS, sizeof *vm.ets);
    vm.ets->names_size = 64;
    vm.ets->names = vm_zalloc(ALLOC_ETS, vm.ets->names_size * sizeof *vm.ets->names);
}

size_t ets_table_count(void)
{
    return vm.ets->tables;
}

size_t ets_memory_words(void)
{
    return vm.ets->bytes / sizeof(term);
}

struct ets_proc *ets_of_proc(struct proc *p)
{
    if (!p->ets) {
        p->ets = vm_zalloc(ALLOC_PROC, sizeof(struct ets_proc));
        p->flags |= PF_USING_DB;
    }
    return p->ets;
}

/* Objects. */

static void account(struct ets_table *t, struct ets_obj *o, bool add)
{
    size_t bytes = sizeof *o + o->words * sizeof(term);

    if (add) {
        t->bytes += bytes;
        vm.ets->bytes += bytes;
    } else {
        t->bytes -= bytes;
        vm.ets->bytes -= bytes;
    }
}

struct ets_obj *ets_obj_new(struct ets_table *t, const term *elements, size_t n)
{
    size_t words = n + 1;

    for (size_t i = 0; i < n; i++) {
        if (!term_is_imm(elements[i]))
            words += term_size_all(elements[i]);
    }
    struct ets_obj *o = vm_try_alloc(ALLOC_ETS, sizeof *o + words * sizeof(term));
    if (!o)
        return NULL;

    struct offheap off = {0};
    struct dest d = {.htop = o->tuple + n + 1, .off = &off};
    o->tuple[0] = TUPLE_HEADER(n);
    for (size_t i = 0; i < n; i++) {
        o->tuple[i + 1] = term_is_imm(elements[i]) ? elements[i]
                                                   : term_copy_all(&d, elements[i]);
    }
    assert(d.htop == o->tuple + words);
    o->words = words;
    o->off = off.first;
    o->balance = 0;
    account(t, o, true);
    return o;
}

void ets_obj_free(struct ets_table *t, struct ets_obj *o)
{
    slice(FREE_NS);
    account(t, o, false);
    if (o->off) {
        struct offheap off = {.first = o->off};
        offheap_release(&off);
    }
    vm_free(o);
}

/* Any table. */

struct ets_obj *ets_find(struct ets_table *t, term key)
{
    return ets_is_tree(t) ? ets_tree_find(t, key) : ets_hash_find(t, key);
}

void ets_insert(struct ets_table *t, struct ets_obj *o)
{
    if (ets_is_tree(t))
        ets_tree_insert(t, o);
    else
        ets_hash_insert(t, o);
}

size_t ets_delete_key(struct ets_table *t, term key)
{
    if (!ets_is_tree(t))
        return ets_hash_delete_key(t, key);
    struct ets_obj *o = ets_tree_take(t, key);
    if (!o)
        return 0;
    ets_obj_free(t, o);
    return 1;
}

void ets_delete_obj(struct ets_table *t, struct ets_obj *o)
{
    if (ets_is_tree(t))
        ets_tree_delete(t, ets_key(t, o));
    else
        ets_hash_delete(t, o);
}

void ets_replace(struct ets_table *t, struct ets_obj *old, struct ets_obj *o)
{
    if (ets_is_tree(t))
        ets_tree_replace(t, old, o);
    else
        ets_hash_replace(t, old, o);
}

/* Names. */

static struct ets_table **name_chain(term name)
{
    return &vm.ets->names[atom_index(name) & (vm.ets->names_size - 1)];
}

static struct ets_table *name_find(term name)
{
    struct ets_table *t = *name_chain(name);

    while (t && t->name != name)
        t = t->name_next;
    return t;
}

static void names_grow(void)
{
    struct ets *e = vm.ets;
    struct ets_table **old = e->names;
    size_t n = e->names_size;

    e->names_size = n * 2;
    e->names = vm_zalloc(ALLOC_ETS, e->names_size * sizeof *e->names);
    for (size_t i = 0; i < n; i++) {
        struct ets_table *next;
        for (struct ets_table *t = old[i]; t; t = next) {
            struct ets_table **at = name_chain(t->name);
            next = t->name_next;
            t->name_next = *at;
            *at = t;
        }
    }
    vm_free(old);
}

bool ets_name_put(struct ets_table *t, term name)
{
    if (name_find(name))
        return false;
    if (vm.ets->names_count == vm.ets->names_size)
        names_grow();
    struct ets_table **at = name_chain(name);
    t->name = name;
    t->name_next = *at;
    *at = t;
    vm.ets->names_count++;
    return true;
}

void ets_name_remove(struct ets_table *t)
{
    struct ets_table **at = name_chain(t->name);

    while (*at != t)
        at = &(*at)->name_next;
    *at = t->name_next;
    vm.ets->names_count--;
}

/* Tables. */

static void tid_free(struct resource *res)
{
    vm_free(res);
}

struct ets_table *ets_table_new(struct proc *owner, term name, bool named,
                                enum ets_type type, size_t keypos)
{
    struct ets_table *t = vm_zalloc(ALLOC_ETS, sizeof *t);
    struct dest d = {.htop = t->tid_words, .off = &t->tid_off};

    t->type = type;
    t->protection = ETS_PROTECTED;
    t->next = THE_NON_VALUE;
    t->keypos = keypos;
    t->name = name;
    t->heir = am_none;
    t->named = named;
    t->bytes = sizeof *t;
    if (named && !ets_name_put(t, name)) {
        vm_free(t);
        return NULL;
    }
    vm.ets->bytes += t->bytes;
    t->handle = vm_alloc(ALLOC_PROC, sizeof *t->handle);
    *t->handle = (struct ets_tid){
        .res = {.refc = 1, .free = tid_free, .type = &tid_free},
        .table = t,
    };
    t->tid = magic_put(&d, &t->handle->res);
    if (type != ETS_ORDERED_SET)
        ets_hash_init(t);

    t->all_next = vm.ets->all;
    t->all_prev = &vm.ets->all;
    if (t->all_next)
        t->all_next->all_prev = &t->all_next;
    vm.ets->all = t;
    vm.ets->tables++;
    ets_owner_set(t, owner);
    return t;
}

struct ets_table *ets_table_find(term id, term *cause)
{
    struct ets_table *t;

    if (term_is_atom(id)) {
        t = name_find(id);
        *cause = am_id;
        return t;
    }
    struct ets_tid *handle = (struct ets_tid *)magic_resource(id, &tid_free);
    if (handle) {
        *cause = am_id;
        return handle->table;
    }
    *cause = am_type;
    return NULL;
}

static void owner_unlink(struct ets_table *t)
{
    if (!t->owner_prev)
        return;
    *t->owner_prev = t->owner_next;
    if (t->owner_next)
        t->owner_next->owner_prev = t->owner_prev;
    t->owner_prev = NULL;
}

void ets_owner_set(struct ets_table *t, struct proc *to)
{
    struct ets_proc *e = ets_of_proc(to);

    owner_unlink(t);
    t->owner = to->id;
    t->owner_next = e->tables;
    t->owner_prev = &e->tables;
    if (t->owner_next)
        t->owner_next->owner_prev = &t->owner_next;
    e->tables = t;
}

static void heir_clear(struct ets_table *t)
{
    if (t->heir_data)
        ets_obj_free(t, t->heir_data);
    t->heir_data = NULL;
    t->heir = am_none;
}

void ets_heir_set(struct ets_table *t, term heir, term data)
{
    heir_clear(t);
    if (heir == am_none || !proc_find(heir))
        return;
    t->heir_data = ets_obj_new(t, &data, 1);
    if (!t->heir_data)
        vm_no_memory(term_size(data) * sizeof(term), "an ETS table's heir data", __func__);
    t->heir = heir;
}

void ets_transfer(struct ets_table *t, struct proc *to, term from, term data)
{
    term tid = t->named ? t->name : t->tid;
    size_t words = 5 + term_size(tid) + term_size(data);
    struct mbuf *m = mbuf_new(words);
    struct dest d = {.htop = m->words + 5, .off = &m->off};

    ets_owner_set(t, to);
    m->words[0] = TUPLE_HEADER(4);
    m->words[1] = am_EtsTransfer;
    m->words[2] = term_copy(&d, tid);
    m->words[3] = from;
    m->words[4] = term_copy(&d, data);
    m->used = (size_t)(d.htop - m->words);
    msg_send_mbuf(to, m, boxed_make(m->words));
}

void ets_table_delete(struct ets_table *t)
{
    assert(!t->deleted);
    t->deleted = true;
    t->handle->table = NULL;
    if (t->named)
        ets_name_remove(t);
    t->named = false;
    heir_clear(t);
    while (t->fixes) {
        struct ets_fix *f = t->fixes;
        t->fixes = f->table_next;
        if (t->fixes)
            t->fixes->table_prev = &t->fixes;
        *f->proc_prev = f->proc_next;
        if (f->proc_next)
            f->proc_next->proc_prev = f->proc_prev;
        vm_free(f);
    }
    t->fix_count = 0;
    *t->all_prev = t->all_next;
    if (t->all_next)
        t->all_next->all_prev = t->all_prev;
    vm.ets->tables--;
}

void ets_table_clear(struct ets_table *t)
{
    struct ets_table *old = vm_alloc(ALLOC_ETS, sizeof *old);
    int32_t reds = INT32_MAX;

    /* What it holds moves to a table that nobody knows, to be freed in slices. */
    *old = *t;
    t->count = 0;
    t->bytes = sizeof *t;
    if (ets_is_tree(t))
        t->tree.root = NULL;
    else
        ets_hash_init(t);
    while (!(ets_is_tree(old) ? ets_tree_empty(old, &reds) : ets_hash_empty(old, &reds)))
        reds = INT32_MAX;
    vm_free(old);
}

bool ets_table_empty(struct ets_table *t, int32_t *reds)
{
    int32_t objects = *reds > INT32_MAX / FREED_PER_RED ? INT32_MAX
                      : *reds > 0                       ? *reds * FREED_PER_RED
                                                        : FREED_PER_RED;
    bool done = ets_is_tree(t) ? ets_tree_empty(t, &objects)
                               : ets_hash_empty(t, &objects);

    *reds = objects > 0 ? objects / FREED_PER_RED : 0;
    if (!done)
        return false;
    t->count = 0;
    owner_unlink(t);
    vm.ets->bytes -= t->bytes;
    offheap_release(&t->tid_off);
    vm_free(t);
    return true;
}

/* Fixes. */

static struct ets_fix *fix_of(struct ets_table *t, struct proc *p)
{
    struct ets_fix *f = t->fixes;

    while (f && f->proc != p)
        f = f->table_next;
    return f;
}

void ets_fix(struct ets_table *t, struct proc *p)
{
    struct ets_fix *f = fix_of(t, p);

    if (!t->fixes) {
        t->fix_time_ns = clock_monotonic_ns();
        t->fix_offset_ns = clock_offset_ns();
    }
    if (!f) {
        struct ets_proc *e = ets_of_proc(p);
        f = vm_alloc(ALLOC_ETS, sizeof *f);
        *f = (struct ets_fix){.table = t, .proc = p,
                              .table_next = t->fixes, .table_prev = &t->fixes,
                              .proc_next = e->fixes, .proc_prev = &e->fixes};
        if (t->fixes)
            t->fixes->table_prev = &f->table_next;
        t->fixes = f;
        if (e->fixes)
            e->fixes->proc_prev = &f->proc_next;
        e->fixes = f;
        t->fix_count++;
    }
    f->count++;
}

void ets_release(struct ets_table *t)
{
    assert(t->fix_count > 0);
    if (--t->fix_count == 0 && !ets_is_tree(t))
        ets_hash_unfixed(t);
}

static void fix_drop(struct ets_fix *f)
{
    struct ets_table *t = f->table;

    *f->table_prev = f->table_next;
    if (f->table_next)
        f->table_next->table_prev = f->table_prev;
    *f->proc_prev = f->proc_next;
    if (f->proc_next)
        f->proc_next->proc_prev = f->proc_prev;
    vm_free(f);
    ets_release(t);
}

void ets_unfix(struct ets_table *t, struct proc *p)
{
    struct ets_fix *f = fix_of(t, p);

    if (f && --f->count == 0)
        fix_drop(f);
}

/* The end of a process. */

bool ets_proc_exit(struct proc *p, int32_t *reds)
{
    struct ets_proc *e = p->ets;

    if (!e)
        return true;
    while (e->fixes) {
        struct ets_table *t = e->fixes->table;

        if (*reds <= 0 || t->busy)
            return false;
        {
            SLICED(p, NULL);

            t->busy = p;
            fix_drop(e->fixes);
            t->busy = NULL;
        }
        --*reds;
    }
    while (e->tables) {
        struct ets_table *t = e->tables;
        struct proc *heir;

        if (*reds <= 0 || t->busy)
            return false;
        --*reds;
        if (!t->deleted) {
            heir = t->heir == am_none || t->heir == p->id ? NULL
                                                          : proc_find(t->heir);
            if (heir) {
                ets_transfer(t, heir, p->id, t->heir_data->tuple[1]);
                continue;
            }
            ets_table_delete(t);
        }

        SLICED(p, NULL);

        if (!ets_table_empty(t, reds))
            return false;
    }
    vm_free(e);
    p->ets = NULL;
    return true;
}
