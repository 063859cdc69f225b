/*
 * pdict.c - the process dictionary: open addressing, linear probing; what is
 * erased leaves no mark, the entries behind it move up.
 */
#include "vm/pdict.h"

#include "vm/ops.h"
#include "vm/slice.h"

#define PDICT_MIN_SLOTS 8
#define EMPTY_NS 4              /* to write a slot that is empty */
#define MOVE_NS 100             /* and to move one: waiting for memory */

static size_t home(const struct pdict *d, term key)
{
    return term_hash(key, 0) & d->mask;
}

/* Where key is, or the empty slot where it would be. */
static struct pdict_slot *find(struct pdict *d, term key)
{
    size_t i = home(d, key);

    while (d->slot[i].key != THE_NON_VALUE && !term_eq(d->slot[i].key, key))
        i = (i + 1) & d->mask;
    return &d->slot[i];
}

static struct pdict *pdict_new(size_t slots)
{
    struct pdict *d =
        vm_alloc(ALLOC_PROC, sizeof *d + slots * sizeof(struct pdict_slot));

    d->n = 0;
    d->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) {
        d->slot[i] = (struct pdict_slot){THE_NON_VALUE, THE_NON_VALUE};
        slice(EMPTY_NS);
    }
    return d;
}

static void grow(struct proc *p)
{
    SLICED(p, NULL);

    struct pdict *old = p->dict, *d = pdict_new((old->mask + 1) * 2);

    for (size_t i = 0; i <= old->mask; i++) {
        if (old->slot[i].key != THE_NON_VALUE)
            *find(d, old->slot[i].key) = old->slot[i];
        slice(MOVE_NS);
    }
    d->n = old->n;
    p->dict = d;
    slice_free(old);
}

term pdict_get(const struct proc *p, term key)
{
    return p->dict ? find(p->dict, key)->value : THE_NON_VALUE;
}

term pdict_put(struct proc *p, term key, term value)
{
    struct pdict_slot *s;
    term old;

    if (!p->dict)
        p->dict = pdict_new(vm.stress_gc ? 2 : PDICT_MIN_SLOTS);
    s = find(p->dict, key);
    old = s->value;
    if (s->key == THE_NON_VALUE) {
        if ((p->dict->n + 1) * 4 > (p->dict->mask + 1) * 3) {
            grow(p);
            s = find(p->dict, key);
        }
        s->key = key;
        p->dict->n++;
    }
    s->value = value;
    return old;
}

term pdict_erase(struct proc *p, term key)
{
    struct pdict *d = p->dict;
    struct pdict_slot *s;
    size_t hole, i;
    term old;

    if (!d)
        return THE_NON_VALUE;
    s = find(d, key);
    if (s->key == THE_NON_VALUE)
        return THE_NON_VALUE;
    old = s->value;
    hole = i = s - d->slot;
    for (;;) {
        size_t h;

        i = (i + 1) & d->mask;
        if (d->slot[i].key == THE_NON_VALUE)
            break;
        /* An entry may move to the hole if its home is not behind the hole. */
        h = home(d, d->slot[i].key);
        if (((i - h) & d->mask) >= ((i - hole) & d->mask)) {
            d->slot[hole] = d->slot[i];
            hole = i;
        }
    }
    d->slot[hole] = (struct pdict_slot){THE_NON_VALUE, THE_NON_VALUE};
    if (--d->n == 0)
        pdict_clear(p);
    return old;
}

void pdict_clear(struct proc *p)
{
    slice_free(p->dict);
    p->dict = NULL;
}

const struct pdict_slot *pdict_next(const struct proc *p, size_t *i)
{
    const struct pdict *d = p->dict;

    if (!d)
        return NULL;
    while (*i <= d->mask) {
        const struct pdict_slot *s = &d->slot[(*i)++];

        if (s->key != THE_NON_VALUE)
            return s;
    }
    return NULL;
}

size_t pdict_size(const struct proc *p)
{
    return p->dict ? p->dict->n : 0;
}
