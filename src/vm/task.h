/*
 * task.h - what others ask a process to do for them: system tasks.
 *
 * To collect its heap, to say whether it runs old code, to let go of a literal
 * area. The process does it in its own turn, between two of its slices, and
 * answers with a message. Whoever asks says how urgent it is: until the task
 * is done the process is scheduled as if it had that priority, if its own is
 * lower. It need not have anything else to do for that: who waits or is
 * suspended still gets turns for its tasks, and others see it wait meanwhile.
 *
 * A large heap is collected in slices, in the turns of its process. So who
 * asks for it keeps nobody waiting but itself.
 */
#ifndef VM_TASK_H
#define VM_TASK_H

#include "vm/proc.h"

enum task_kind {
    TASK_GC_MINOR,
    TASK_GC_MAJOR,
    TASK_CHECK_CODE,            /* does it run old code of a module? */
    TASK_LITERALS,              /* leaving_copy() */
    TASK_TEST,                  /* nothing: answers true */
};

/*
 * What is asked and what is answered. reply is built in frag, a fragment of
 * its own; *result, a word of it, is filled in. The task owns frag.
 */
struct task_request {
    enum task_kind kind;
    term module;                /* TASK_CHECK_CODE */
    term requester;             /* pid: who gets the answer */
    struct mbuf *frag;
    term reply, *result;
};

/* p is to do it. One that is to die has nothing left to look at, and answers so. */
void task_add(struct proc *p, enum proc_prio prio, const struct task_request *r);

/* Is there a task to be done in p's next turn? */
bool task_is_due(const struct proc *p);
/* p's priority, or that of its most urgent task. */
enum proc_prio task_prio(const struct proc *p);

/*
 * A turn of p for its tasks, which takes from *reds. In the scope of a slice: p
 * may be put aside.
 */
void task_run(struct proc *p, int32_t *reds);

/* p may be collected again (not dirty, PF_NO_GC off): what had to wait is due. */
void task_release(struct proc *p);

/* p is to die: answer everything. */
void task_refuse(struct proc *p);

#endif
