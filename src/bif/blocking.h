/*
 * blocking.h - system_flag(multi_scheduling, ...) and what it led to.
 */
#ifndef BIF_BLOCKING_H
#define BIF_BLOCKING_H

#include "vm/proc.h"

/* p blocks or unblocks, as often as it says so. False: value is none of it. */
bool blocking_flag(struct proc *p, term value);
/* blocked, dirty schedulers too; blocked_normal; or enabled. */
term blocking_state(void);

#endif
