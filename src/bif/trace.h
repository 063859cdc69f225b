/*
 * trace.h - what trace.c and trace_pattern.c share.
 */
#ifndef BIF_TRACE_H
#define BIF_TRACE_H

#include "vm/proc.h"

/* erlang:trace_info/2 of a process, a port or new ones. */
term trace_info_tracee(struct proc *p, term of, term key);

#endif
