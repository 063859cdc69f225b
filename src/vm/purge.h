/*
 * purge.h - getting rid of old code.
 *
 * OTP's erts_code_purger drives this: it asks every process whether it uses
 * the old code and kills or waits for those that do. What it asks is answered
 * here; what becomes of the code's literals is in leaving.h.
 */
#ifndef VM_PURGE_H
#define VM_PURGE_H

#include "vm/leaving.h"
#include "vm/module.h"

struct purge {
    term module;                    /* being purged, or THE_NON_VALUE */
    struct code *saved_old;         /* while a failed on_load is purged */
    struct leaving leaving;
    term purger, collector;         /* pids of OTP's processes */
    struct export on_load;          /* where call_on_load_function goes */
    term writer;                    /* who alone may change code, or THE_NON_VALUE */
    term *waiting;                  /* suspended in calls of the module's funs, or by writer */
    size_t nwaiting, waiting_size;
};

void purge_init(void);

/* Does p execute in the module's old code, or return to it? */
bool purge_check_process(const struct proc *p, term module);

/* p waits, suspended, until it is decided what becomes of the module. */
void purge_wait(struct proc *p);
/* It is decided. */
void purge_end(void);

/*
 * For tests: p alone may change code until it gives that back. False: somebody else
 * may; p waits, suspended, and asks again.
 */
bool purge_seize(struct proc *p);
void purge_unseize(void);
/* Somebody but p may change code alone: p waits, suspended, and asks again. */
bool purge_kept_from(struct proc *p);

#endif
