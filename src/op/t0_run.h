/*
 * t0_run.h - the interpreter, for code.c.
 */
#ifndef OP_T0_RUN_H
#define OP_T0_RUN_H

#include "op/op.h"

/* What a handler's word holds: the op's all-generic instance. */
uintptr_t t0_handler(enum op op);
/* Run a process from pc; x registers are in S->x. */
enum run_end t0_run(struct sched *S, code_ptr pc);

#endif
