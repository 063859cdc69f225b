/*
 * exc.h - exceptions: classes, handlers, stack traces.
 */
#ifndef VM_EXC_H
#define VM_EXC_H

#include "vm/module.h"

/*
 * Note what happened; everything that goes with it is reset. cause is what
 * error_info is to say, or NONE. Returns THE_NON_VALUE.
 */
static inline term exc_set(struct proc *p, enum exc_kind kind, term reason, term cause)
{
    p->exc = (struct exc){
        .kind = kind,
        .reason = reason,
        .trace = THE_NON_VALUE,
        .args = THE_NON_VALUE,
        .cause = cause,
        .info = THE_NON_VALUE,
        .mfa = THE_NON_VALUE,
    };
    return THE_NON_VALUE;
}

/*
 * p->exc says what happened at s->self; the stack begins at p->heap.stop.
 * Builds the raw trace, finds the handler: sets heap.stop to its frame, x[0]
 * to THE_NON_VALUE, x[1..3] to class, value and raw trace, and returns its
 * address. NULL: nobody catches; the process is exiting (proc_exit_self).
 * bif is the export of a BIF that failed, with its arguments in args; or NULL.
 */
code_ptr exc_handle(struct sched *s, struct proc *p, struct export *bif,
                    const term *args);

/*
 * The stack trace of a process from a pc: at most depth frames, as
 * [{M,F,A,Loc}]. For current_stacktrace and exceptions. heap_alloc.
 */
term exc_stacktrace(struct proc *p, code_ptr pc, int depth);
/* The places themselves: pc, if it is in code, and return addresses less one. */
uint32_t exc_frames(const struct proc *p, code_ptr pc, code_ptr *pcs, uint32_t max);
/* The same as text on the console, for crash reports. Allocates nothing. */
void exc_print_stack(struct proc *p, code_ptr pc);
/* The raw trace kept in x[3], as build_stacktrace makes it a list. */
term exc_build_stacktrace(struct proc *p, term raw);
/*
 * Raise value again with the class and trace of a raw trace: fills p->exc.
 * What is no raw trace raises an error without one.
 */
void exc_raise_again(struct proc *p, term raw, term value);

/* Words of p's topmost frame, at pc. */
size_t exc_frame_words(const struct proc *p, code_ptr pc, struct code **c);
/* The file a module's code says it is from when it says nothing: heap_alloc. */
term exc_file_of_module(struct proc *p, term module);

/* The same raw trace, of an exception of another class. */
term exc_with_class(struct proc *p, term raw, term class);

#endif
