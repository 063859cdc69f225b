/*
 * sched.h - the scheduler: run queues, slices, waiting.
 */
#ifndef VM_SCHED_H
#define VM_SCHED_H

#include "vm/proc.h"

#include <pthread.h>

#define X_REGS 1024
#define FLOAT_REGS 1024
#define SLICE_REDS 4000

enum dirty_kind { DIRTY_CPU, DIRTY_IO, DIRTY_KINDS };

/* Why code_run() returned. */
enum run_end { RUN_YIELD, RUN_WAIT, RUN_EXIT };

/*
 * What a running process keeps outside its own struct. Generated code holds a
 * pointer to it in a register; x0..x5 live in machine registers between
 * instructions and in x[0..5] while a BIF runs.
 */
struct sched {
    struct proc *p;             /* running, or NULL */
    term a[4];                  /* operands of SLOW callees */
    term operand[6];            /* of an instance that native code has not */
    code_ptr self;              /* the instruction that took a cold path */
    size_t gc_bytes;            /* ... wants so much heap */
    uint32_t live;              /* ... with so many x registers alive */
    code_ptr fail;              /* ... goes to this label if it fails; NULL: raises */
    struct export *bif;         /* ... is a call of this BIF */
    const struct nif_entry *nif;    /* the one that is called (op/code.h) */
    struct export *bif_send;    /* erlang:'!'/2, for the send instruction */
    int64_t fcalls;             /* reductions left, while in a cold path */
    double fconv;               /* slow_fconv's result */
    enum run_end end;           /* why a process gave the scheduler back */
    int64_t reds_kept;          /* taken from FCALLS to make an entry look */
    code_ptr stress_done;       /* stress builds: collected for this one */
    struct proc *sliced;        /* may be put aside now (vm/slice.h), or NULL */
    struct export *sliced_in;   /* what it is seen in then */
    bool settle;                /* it has been put aside since it may be */
    term x[X_REGS];
    double fr[FLOAT_REGS];

    /* What is before this belongs to p, and is kept for it while it is put aside. */
    term *scratch;              /* operands gathered by an instruction */
    size_t scratch_size;        /* words; the loader grows it */
    struct bs_build *build;     /* the binary being built (vm/bitsyntax.h) */

    uint32_t unsliced;          /* > 0: nobody may be put aside */
    int64_t work_left;          /* of this slice's share, ns: slice() */
    pthread_t thread;           /* the scheduler's */
    struct stack *stack, *base; /* the C stack in use; sched_run()'s own */
    struct stack *left;         /* the one in use before */
    struct stack *aside;        /* those whose owners are put aside */
    struct stack *idle;         /* the rest, and how many of those have memory */
    size_t nidle;
    struct leftover *leftovers; /* what is yet to be freed: slice_free() */

    struct runq {
        struct proc *first, **last;
        size_t length;
    } runq[PRIOS];
    struct dirty_places {           /* dirty.h */
        unsigned places;
        struct dirty_place *place;
        struct runq runq[PRIOS];    /* who waits for one */
    } dirty[DIRTY_KINDS];
    struct dirty_job *alone;    /* nobody runs while this lasts; or NULL */
    bool halt;                  /* leave sched_run() */
    bool pause;                 /* the same, to be called again */
    int halt_status;
    uint64_t context_switches;
    uint64_t slept_ns;          /* while scheduler_wall_time is on */
    /* Since the world had its turn: sched.c. */
    int64_t reds, reds_unseen;  /* ... and since os_wait() */
    unsigned slices, slices_unseen;
    /* Of the slice that runs: its reductions, and when and where it began. */
    int32_t slice;
    code_ptr began;
    uint64_t began_ns;          /* 0: nobody wants to know */
};

void sched_init(void);
/* p is runnable: in the queue of its priority, if it is not in that already. */
void sched_enqueue(struct proc *p);
/* p has tasks (task.h): it gets a turn for them, in whatever state it is. */
void sched_request(struct proc *p);
/* Take the next process from some queues; NULL: there is none. */
struct proc *sched_next(struct runq q[PRIOS]);
/* Once p, which runs, has ended its slice, less urgent ones get one too (not all of a crowd). */
void sched_let_others(const struct proc *p);
/* What has come from outside is looked at before the next slice. */
void sched_look(void);
/* p's share of time is used up, but nobody else has anything to do: it may go on. */
bool sched_goes_on(struct sched *s, struct proc *p);
/* Run until halt; returns the status. */
int sched_run(void);
/* erlang:halt/2, after flushing. */
void sched_halt(int status);

/* For slice.c. Run processes; returns once slice_unwind() says so. */
void sched_loop(struct sched *s);
/* p's slice ends in the middle of its work, and goes on there later. */
void sched_put_aside(struct sched *s, struct proc *p);
void sched_take_back(struct sched *s, struct proc *p);
/* p, which is in a run queue, leaves it; or is as urgent as prio this time. */
void sched_dequeue(struct proc *p);
void sched_hurry(struct proc *p, enum proc_prio prio);

/*
 * Run p from p->pc until it gives the scheduler back (op/code.c). x registers
 * come from p->arg and go back there.
 */
enum run_end code_run(struct sched *s, struct proc *p);

#endif
