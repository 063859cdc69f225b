/*
 * roots.h - the roots of a collection that the collector can't see.
 *
 * gc.c visits the stack, the x registers it is given, messages on the heap and
 * the terms in struct proc itself. proc_roots() (proc.c) calls range() for
 * every run of terms that hangs off struct proc by a pointer and lies outside
 * the heap: the process dictionary first of all, half-done exits and the like.
 * range() may write the words; the runs must stay where they are meanwhile.
 */
#ifndef VM_ROOTS_H
#define VM_ROOTS_H

#include "vm/proc.h"

typedef void (*root_range)(void *ctx, term *start, size_t n);
void proc_roots(struct proc *p, root_range range, void *ctx);

#endif
