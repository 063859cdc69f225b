/*
 * lastcalls.h - process_flag(save_calls, N): the last calls of a process to
 * exported functions, its sends, receives and timeouts.
 *
 * While a process saves calls there is a breakpoint in each export (break.h,
 * BREAK_SAVE), so that nobody pays who does not ask. Calls of a function with a
 * local breakpoint are not saved.
 */
#ifndef OP_LASTCALLS_H
#define OP_LASTCALLS_H

#include "vm/module.h"
#include "vm/proc.h"

/* What is no call of an export. */
extern const struct export last_send, last_receive, last_timeout;

void last_calls_add(struct proc *p, const struct export *what);
static inline void last_calls_note(struct proc *p, const struct export *what)
{
    if (unlikely(p->last_calls != NULL))
        last_calls_add(p, what);
}

/* Keep n from here on, none of those before; 0: no more. Returns the n before. */
size_t last_calls_set(struct proc *p, size_t n);
/* [{M,F,A} | send | 'receive' | timeout], oldest first, of q; false. heap_alloc. */
term last_calls_list(struct proc *p, const struct proc *q);

#endif
