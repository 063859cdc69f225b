/*
 * leaving.h - literal areas that are no longer wanted.
 *
 * OTP's erts_literal_area_collector asks every process to copy what it uses of
 * an area before the area is freed. Here all areas that wait when it begins a
 * round leave together: a round costs a turn of every process, and one that
 * puts and erases persistent terms in a loop would fill the range in between.
 *
 * While areas leave, term_copy() copies their terms too (term_stays()), so that
 * a process that has been asked gets no new reference.
 */
#ifndef VM_LEAVING_H
#define VM_LEAVING_H

#include "vm/literal.h"
#include "vm/proc.h"

struct leaving {
    struct literal_area *first, **last;     /* waiting */
    struct literal_area **area;             /* leaving, by address */
    size_t n;
    bool told;                              /* the collector is at work */
};

void leaving_init(struct leaving *l);

/* Free an area once no process refers to it. Takes the area. */
void leaving_add(struct literal_area *a);

/*
 * The collector p has heard from every process: free what left, and begin with
 * what waits. False: nothing does. In slices.
 */
bool leaving_switch(struct proc *p);

/* p's own copies of what it uses of what leaves. p is not running; in slices. */
void leaving_copy(struct proc *p);

#endif
