/*
 * process.h - what is set of a process, when it starts (spawn.c) and later
 * (process_flag.c).
 */
#ifndef BIF_PROCESS_H
#define BIF_PROCESS_H

#include "vm/gc.h"
#include "vm/proc.h"

/* A small integer that is none below zero. */
static inline bool proc_natural(term t, size_t *n)
{
    if (!term_is_small(t) || small_value(t) < 0)
        return false;
    *n = (size_t)small_value(t);
    return true;
}

/* min_heap_size and its like: a step of the collector's, not below `least`. */
static inline size_t proc_heap_words(size_t n, size_t least)
{
    return n < least ? least : heap_size_step(n);
}

/* max, high, normal or low. False: it is none of these. */
bool proc_prio_parse(term t, enum proc_prio *prio);
term proc_prio_atom(const struct proc *p);
/* of's max_heap_size as a map on p's heap. */
term proc_max_heap_map(struct proc *p, const struct proc *of);

#endif
