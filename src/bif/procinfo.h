/*
 * procinfo.h - what is told about processes.
 */
#ifndef BIF_PROCINFO_H
#define BIF_PROCINFO_H

#include "vm/proc.h"

/* of's stack as text, in a binary on p's heap: process_info(backtrace). */
term procinfo_backtrace(struct proc *p, const struct proc *of);
/* All that process_info/2 takes. */
term procinfo_items(struct proc *p);
term procinfo_status(const struct proc *of);
/* What OTP's tests ask about processes/0, and all processes in one go: processes.c. */
term processes_info(struct proc *p);
term processes_at_once(struct proc *p);

#endif
