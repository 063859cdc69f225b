/*
 * cold.h - where instructions go when they can't go on: collect, yield, raise.
 *
 * The interpreter and native code share them. Each finds in S
 *
 *    self      the instruction
 *    x[]       all x registers (raise and bif_failed: those that matter)
 *    fcalls    reductions left; it may change them
 *
 * and htop and stop in the process's heap. It returns the address to go on at,
 * with the x registers in S->x; or NULL: the process gives the scheduler back,
 * and S->end says why.
 */
#ifndef OP_COLD_H
#define OP_COLD_H

#include "vm/sched.h"

/* S->gc_bytes are wanted with S->live x registers alive; then self again. */
code_ptr cold_gc(struct sched *S);
/* A SLOW callee gave THE_NON_VALUE: collect, go to S->fail, or raise. */
code_ptr cold_slow_failed(struct sched *S);
/* No clause matches: the S->live x registers are the arguments. */
code_ptr cold_function_clause(struct sched *S);
/* p->exc, at self. */
code_ptr cold_raise(struct sched *S);
/* {badmatch, S->a[0]} and so on, at self. */
code_ptr cold_badmatch(struct sched *S);
code_ptr cold_case_clause(struct sched *S);
code_ptr cold_try_clause(struct sched *S);
code_ptr cold_badrecord(struct sched *S);
code_ptr cold_if_clause(struct sched *S);
code_ptr cold_badarith(struct sched *S);
code_ptr cold_system_limit(struct sched *S);
/*
 * S->bif gave THE_NON_VALUE; S->fail is where its call returns to, NULL for a
 * last call.
 */
code_ptr cold_bif_failed(struct sched *S);
/* Reductions are used up: go on at self later, with S->live x registers. */
code_ptr cold_yield(struct sched *S);
/* The same with x0, what a function returns to `to`. */
code_ptr cold_returned(struct sched *S, code_ptr to);

#endif
