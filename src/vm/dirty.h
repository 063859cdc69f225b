/*
 * dirty.h - processes that run dirty, beside the others.
 *
 * What OTP has a dirty scheduler do is mostly done by the one scheduler, at
 * once. What only takes time happens here beside the other processes: who does
 * it has one of a few places (OTP: dirty schedulers), and to others it runs. It
 * looks at no message until it is over, and is neither suspended nor collected;
 * those who ask for that wait. It can be killed: then all are told that it is
 * gone, but its heap stays until its place is free.
 */
#ifndef VM_DIRTY_H
#define VM_DIRTY_H

#include "vm/proc.h"
#include "vm/sched.h"

/* Places there are: OTP's defaults on one processor. */
#define DIRTY_CPU_PLACES 1
#define DIRTY_IO_PLACES 10

/*
 * A BIF of p is to run dirty. False: no place is free; it yields and is called
 * again once p has one. True again for as long as p has it.
 */
bool dirty_enter(struct proc *p, enum dirty_kind kind);
#define DIRTY_FOR_EVER UINT64_MAX
/*
 * In its place, p is busy for so long since the first of these calls. True: it
 * was, and its place is free; false: it waits, and the BIF is called again.
 */
bool dirty_passed(struct proc *p, uint64_t ms);
/*
 * p is busy, and nobody is to run beside it (OTP: multi-scheduling is blocked):
 * the scheduler waits until p's time is up. For ever it does not.
 */
void dirty_alone(struct proc *p);

/* p is in its place. */
bool dirty_runs(const struct proc *p);
/* p, which waits for a place, has something more urgent to do first. */
void dirty_withdraw(struct proc *p);
/*
 * p is dead. True: it lies in its place still, and is put into a run queue once
 * that is free.
 */
bool dirty_lingers(struct proc *p);

/* How long the i-th place (from 0) was busy since the last dirty_reset(), or ever. */
uint64_t dirty_busy_ns(enum dirty_kind kind, unsigned i);
void dirty_reset(void);

void dirty_init(struct sched *s);

#endif
