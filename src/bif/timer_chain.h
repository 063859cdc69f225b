/*
 * timer_chain.h - a timer that, when it fires, starts another of no time, and
 * that a third; which tells the process.
 */
#ifndef BIF_TIMER_CHAIN_H
#define BIF_TIMER_CHAIN_H

#include "vm/proc.h"

/* multizero_timeout_in_timeout_done to p, after ms milliseconds. */
void timer_chain_start(struct proc *p, uint64_t ms);

#endif
