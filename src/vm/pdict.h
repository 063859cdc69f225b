/*
 * pdict.h - the process dictionary: a hash table of key and value terms that
 * lie on the owner's heap. proc_roots() shows the slots to the collector.
 */
#ifndef VM_PDICT_H
#define VM_PDICT_H

#include "vm/proc.h"

struct pdict_slot {
    term key, value;        /* key THE_NON_VALUE: empty */
};
struct pdict {
    size_t n, mask;         /* mask + 1 slots, at most three quarters in use */
    struct pdict_slot slot[];
};

/* The value, or THE_NON_VALUE. */
term pdict_get(const struct proc *p, term key);
/* The old value, or THE_NON_VALUE. key and value are p's terms. */
term pdict_put(struct proc *p, term key, term value);
term pdict_erase(struct proc *p, term key);
void pdict_clear(struct proc *p);
/* Visit all: start with *i = 0; NULL at the end. */
const struct pdict_slot *pdict_next(const struct proc *p, size_t *i);
size_t pdict_size(const struct proc *p);
/* What a collection looks through. */
static inline size_t pdict_words(const struct proc *p)
{
    return p->dict ? 2 * (p->dict->mask + 1) : 0;
}

#endif
