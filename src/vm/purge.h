/*
 * purge.h - getting rid of old code and of literals.
 *
 * OTP's own processes drive this: erts_code_purger asks every process whether
 * it uses the old code and kills or waits for those that do;
 * erts_literal_area_collector asks every process to copy what it uses of an
 * area before the area is freed. What they ask is answered here.
 *
 * While an area is leaving (vm.leaving_base..leaving_end), term_copy() copies
 * its terms too, so that a process that has been asked gets no new reference.
 */
#ifndef VM_PURGE_H
#define VM_PURGE_H

#include "vm/module.h"

struct purge {
    term module;                    /* being purged, or THE_NON_VALUE */
    struct code *saved_old;         /* while a failed on_load is purged */
    struct literal_area *first, **last;     /* waiting to leave */
    struct literal_area *leaving;
    term purger, collector;         /* pids of OTP's processes */
    struct export on_load;          /* where call_on_load_function goes */
    term *waiting;                  /* suspended in calls of the module's funs */
    size_t nwaiting, waiting_size;
};

void purge_init(void);

/* Does p execute in the module's old code, or return to it? */
bool purge_check_process(const struct proc *p, term module);

/* p waits, suspended, until it is decided what becomes of the module. */
void purge_wait(struct proc *p);
/* It is decided. */
void purge_end(void);

/* Free an area once no process refers to it. Takes the area. */
void purge_literals(struct literal_area *a);

/* p's own copies of what it uses of the leaving area. p is not running; done in slices. */
void purge_copy_literals(struct proc *p);

#endif
