/*
 * gc.h - the generational, copying collector of one process.
 *
 * It runs only between instructions (and while a process waits). Roots: the
 * stack, live x registers, the process dictionary and the other terms in
 * struct proc, messages that lie on the heap.
 *
 * Cheney's algorithm; no recursion. A minor collection copies what is young:
 * below high_water it has survived once and goes to the old heap. A full sweep
 * copies everything to one block. Sizes follow OTP's steps (heap_size_step()).
 */
#ifndef VM_GC_H
#define VM_GC_H

#include "vm/proc.h"

/*
 * Collect so that `words` are free at htop (HEAP_RESERVE beyond those is
 * implied). roots[0..n) are updated. Returns 0, or -ENOMEM without memory, or
 * -E2BIG when max_heap_size does not allow it: the heap is sound, and the caller
 * ends the process (heaplimit.h). Frees p->heap.mbuf.
 */
int gc_collect(struct proc *p, size_t words, term *roots, size_t n);
/* The same for the process that runs: a large heap is collected in slices. */
int gc_collect_running(struct proc *p, size_t words, term *roots, size_t n);
/* As gc_collect(), but everything, whatever the generation. */
int gc_full(struct proc *p, size_t words, term *roots, size_t n);
/* hibernate/3, in slices too: full sweep, then the smallest block that fits. */
int gc_hibernate(struct proc *p);

/* OTP's heap sizes: the smallest step >= words. */
size_t heap_size_step(size_t words);

/* Walk the heap and assert what heap.h promises. */
void heap_check(struct proc *p);

#endif
