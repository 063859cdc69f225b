/*
 * magic.c - references that own something: see binary.h.
 *
 * One that was written as an external term, or as text, may come back: those are
 * in a table by number, until the last reference is gone. Threads of NIFs drop
 * references too, so a lock is held for the few steps on the table.
 */
#include "vm/binary.h"
#include "vm/node.h"

/* A bit of the third number, which serials never reach: that it is magic. */
#define MAGIC_BIT ((uint64_t)1 << 31)

#define SLOTS_MIN 64

struct magics {
    struct resource **slot;     /* chains, by number */
    size_t n, mask;
    bool locked;
};

static void lock(struct magics *m)
{
    while (__atomic_exchange_n(&m->locked, true, __ATOMIC_ACQUIRE))
        ;
}

static void unlock(struct magics *m)
{
    __atomic_store_n(&m->locked, false, __ATOMIC_RELEASE);
}

void magic_init(void)
{
    struct magics *m = vm_zalloc(ALLOC_SYSTEM, sizeof *m);

    m->mask = (vm.stress_gc ? 2 : SLOTS_MIN) - 1;
    m->slot = vm_zalloc(ALLOC_SYSTEM, (m->mask + 1) * sizeof *m->slot);
    vm.magics = m;
}

static struct resource **slot_of(struct magics *m, const uint64_t ref[2])
{
    uint64_t h = (ref[0] ^ ref[1]) * 0x9e3779b97f4a7c15;

    return &m->slot[(h >> 32) & m->mask];
}

static void grow(struct magics *m)
{
    struct magics old = *m;

    m->mask = old.mask * 2 + 1;
    m->slot = vm_zalloc(ALLOC_SYSTEM, (m->mask + 1) * sizeof *m->slot);
    for (size_t i = 0; i <= old.mask; i++) {
        for (struct resource *r = old.slot[i], *next; r; r = next) {
            struct resource **at = slot_of(m, r->ref);

            next = r->chain;
            r->chain = *at;
            *at = r;
        }
    }
    vm_free(old.slot);
}

void magic_remember(term t)
{
    struct resource *r = ((struct magic_words *)boxed_ptr(t))->res;
    struct magics *m = vm.magics;
    struct resource **at;

    lock(m);
    if (!r->remembered) {
        if (m->n > m->mask)
            grow(m);
        at = slot_of(m, r->ref);
        r->chain = *at;
        *at = r;
        r->remembered = true;
        m->n++;
    }
    unlock(m);
}

static void forget(struct resource *r)
{
    struct magics *m = vm.magics;
    struct resource **at;

    lock(m);
    for (at = slot_of(m, r->ref); *at != r; at = &(*at)->chain)
        ;
    *at = r->chain;
    m->n--;
    unlock(m);
}

/* One more reference, unless the last one has just been dropped. */
static bool get_alive(struct resource *r)
{
    int64_t n = __atomic_load_n(&r->refc, __ATOMIC_RELAXED);

    while (n > 0)
        if (__atomic_compare_exchange_n(&r->refc, &n, n + 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

bool magic_number(const uint64_t ref[2])
{
    return ref[1] & MAGIC_BIT;
}

struct resource *magic_recall(const uint64_t ref[2])
{
    struct magics *m = vm.magics;
    struct resource *r;

    if (!magic_number(ref))
        return NULL;
    lock(m);
    r = *slot_of(m, ref);
    while (r && (r->ref[0] != ref[0] || r->ref[1] != ref[1]))
        r = r->chain;
    if (r && !get_alive(r))
        r = NULL;
    unlock(m);
    return r;
}

void resource_get(struct resource *r)
{
    __atomic_fetch_add(&r->refc, 1, __ATOMIC_RELAXED);
}

void resource_put(struct resource *r)
{
    if (__atomic_sub_fetch(&r->refc, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (r->remembered)
        forget(r);
    r->free(r);
}

term magic_put(struct dest *d, struct resource *res)
{
    struct magic_words *m = (struct magic_words *)d->htop;

    d->htop += MAGIC_WORDS;
    m->header = HEADER(BOX_MAGIC, 0, MAGIC_WORDS - 1);
    m->next = d->off->first;
    d->off->first = &m->header;
    if (!res->ref[0] && !res->ref[1]) {
        ref_next(res->ref);
        res->ref[1] |= MAGIC_BIT;
    }
    m->ref[0] = res->ref[0];
    m->ref[1] = res->ref[1];
    m->res = res;
    return boxed_make(&m->header);
}

struct resource *magic_resource(term t, const void *type)
{
    struct resource *r;

    if (!boxed_is(t, BOX_MAGIC))
        return NULL;
    r = ((struct magic_words *)boxed_ptr(t))->res;
    return r->type == type ? r : NULL;
}
