/*
 * proc.h - processes: state, table, names, links, monitors, exit.
 *
 * One scheduler thread runs every process, so what one process does to another
 * is done at once and in order; signals (proc_exit_signal and its like) have
 * the effect OTP's have, minus the delay. What it asks the other to do is done
 * by that in its turn (task.h). A process that is to die is marked and unwinds
 * when it is scheduled next, in slices when it has much to undo.
 */
#ifndef VM_PROC_H
#define VM_PROC_H

#include "vm/heap.h"
#include "vm/msg.h"
#include "vm/term.h"
#include "vm/vm.h"

struct export;
struct timer;

typedef const uintptr_t *code_ptr;  /* a place in loaded code */

enum proc_state {
    PROC_RUNNABLE,          /* in a run queue */
    PROC_RUNNING,
    PROC_WAITING,
    PROC_EXITING,           /* unwinding; in a run queue */
    PROC_FREE,
};
enum proc_prio { PRIO_MAX, PRIO_HIGH, PRIO_NORMAL, PRIO_LOW, PRIOS };

enum proc_flags {
    PF_TRAP_EXIT = 1 << 0,
    PF_KILLED = 1 << 1,         /* exit_reason is set, die when scheduled */
    PF_SUSPENDED = 1 << 2,      /* suspend_count > 0 */
    PF_SENSITIVE = 1 << 3,
    PF_SYSTEM = 1 << 4,         /* system process (erts_internal) */
    PF_OFF_HEAP_MSGS = 1 << 5,
    PF_TIMEOUT = 1 << 6,        /* the receive timeout expired */
    PF_ASYNC_DIST = 1 << 7,
    PF_HIBERNATED = 1 << 8,
    PF_USING_DB = 1 << 9,       /* owns ETS tables: tell ets at exit */
    PF_USING_PORTS = 1 << 10,
    PF_MAX_HEAP_KILL = 1 << 11,
    PF_MAX_HEAP_LOG = 1 << 12,
    PF_YIELD = 1 << 13,         /* give up the slice at the next chance */
    PF_ACTIVE = 1 << 14,        /* suspended: runnable once resumed */
    PF_AFTER_INFINITY = 1 << 15,    /* waits in receive ... after infinity */
    PF_NO_GC = 1 << 16,         /* erts_debug: collect only what can't wait */
    PF_IN_TASK = 1 << 17,       /* does what others asked for: task.h */
    PF_WOKEN = 1 << 18,         /* meanwhile there was something to wake it */
    PF_CODE_CHANGE = 1 << 19,   /* others get to run before it changes code */
    PF_BUSY_PORT = 1 << 20,     /* waits until a port takes its data */
};

/* How a BIF or an instruction failed: p->exc, set by bif.h's functions. */
enum exc_kind {
    EXC_NONE,
    EXC_ERROR,
    EXC_EXIT,
    EXC_THROW,
    EXC_TRAP,               /* not an error: continue in exc.trap */
    EXC_YIELD,              /* not an error: run the same BIF call again */
    EXC_WAIT,               /* not an error: wait for a message, then again */
    EXC_EXITING,            /* the process leaves its code: it is to die with
                               p->exit_reason, or PF_HIBERNATED is set */
};
struct exc {
    enum exc_kind kind;
    term reason;            /* Erlang's value: badarg, {badmatch,V} ... */
    term trace;             /* raise/3: the stack trace to use, else NONE */
    term args;              /* argument list for the first frame, or NONE */
    term cause;             /* error_info map's `cause`, or NONE */
    struct export *trap;    /* EXC_TRAP: arguments are in S->x */
    bool no_info;           /* reason needs no error_info */
    code_ptr call;          /* of what was no fun: where its call returns to */
    term info;              /* error/3: the error_info map itself, or NONE */
    term mfa;               /* {M,F,Args} that has no error handler, or NONE */
};

struct proc {
    struct heap heap;               /* first: generated code reaches it */

    /* What generated code needs. */
    code_ptr pc;                    /* where to go on */
    uint32_t live;                  /* arguments saved in arg[] */
    int32_t reds_left;              /* FCALLS while switched out */
    size_t need_words;              /* heap_try() ran out: so many */
    struct exc exc;
    code_ptr exc_pc;                /* the instruction that raised */
    uint32_t catches;               /* catch and try frames on the stack */
    uint32_t paced;                 /* depth of its last BREAK_PACE frame: op/break.h */

    term id;                        /* its pid */
    uint32_t flags;                 /* enum proc_flags */
    uint32_t trace;                 /* enum trace_flag in effect: vm/trace.h */
    struct traced *traced;          /* the rest of it, or NULL */
    enum proc_state state;
    enum proc_prio prio;
    uint32_t low_skips;             /* PRIO_LOW: turns passed by */
    struct runq *runq;              /* the run queue it is in, or NULL */
    struct proc *run_next, **run_prev;

    term *arg;                      /* saved x registers */
    uint32_t arg_size;
    term arg_def[6];

    struct msgq msgq;
    struct timer *timer;            /* receive ... after, or NULL */
    struct bif_timer *timers;       /* send_after and the like: btimer.h */

    /* Roots of a collection, besides stack, x and messages. */
    struct pdict *dict;             /* process dictionary: pdict.c */
    term exit_reason;
    term group_leader;
    term seq_token;
    term error_handler;             /* module: process_flag(error_handler, M) */
    term ftrace_args;

    struct links *links;            /* links and monitors, both directions */
    term name;                      /* registered, or NONE */
    struct proc *parent_unused;
    term parent;                    /* pid or undefined */
    term initial_call;              /* {M,F,A} parts below */
    term init_m, init_f;
    uint32_t init_arity;
    uint32_t suspend_count;
    uint64_t reductions;            /* total, of finished slices */
    uint64_t start_ns;
    uint32_t gc_minor, gc_major_total;
    void *ets;                      /* tables it owns, fixes: ets.c */
    void *ports;                    /* ports it owns: io/port.c */
    struct exit_work *exit_work;    /* progress of a resumable exit */
    uint32_t slot;                  /* index in the table */
    struct last_calls *last_calls;  /* op/lastcalls.h, or NULL */
    uint32_t monitor_nodes, bound;  /* process_flag/2's, only kept */
    void (*on_exit)(struct proc *p);
    const struct export *current;   /* the BIF that gave up its slice, or NULL */
    struct stack *stack;            /* put aside in the middle of C: vm/slice.h */
    struct tasks *tasks;            /* what others ask it to do, or NULL: task.h */
    struct dirty_job *dirty;        /* it runs dirty, or is to, or NULL: dirty.h */
    bool dirty_waits;               /* for a place of dirty_kind there */
    uint8_t dirty_kind;
    struct mbuf *late;              /* a signal's reason that came meanwhile */
    term late_reason;
};

/* The process of a pid of this node, NULL if there is none or it is exiting. */
struct proc *proc_find(term pid);
/* The same, exiting processes included. */
struct proc *proc_find_any(term pid);
size_t proc_count(void);
size_t proc_slots(void);            /* of the table, which grows */
void proc_init(void);
#define PROC_LIMIT_MAX ((size_t)1 << 27)        /* OTP's; pids have 28 bits */
/* system_info(process_limit): processes there may be at once. */
size_t proc_limit(void);
/* erl's +P: a power of two up to PROC_LIMIT_MAX. */
void proc_set_limit(size_t n);
/* The number of the next pid: set it to n or what is free after it, or ask only. */
uint32_t proc_next_number(bool set, uint32_t n);
/* Visit all, in table order: start with *i = 0; NULL at the end. */
struct proc *proc_next(size_t *i);

/* spawn/1..4, spawn_link, spawn_monitor, spawn_opt, spawn_request. */
struct spawn_opts {
    bool link, monitor;
    enum proc_prio prio;
    size_t min_heap_words, max_heap_words;
    uint32_t max_gen_gcs;
    uint32_t flags;                 /* PF_OFF_HEAP_MSGS ... */
    term monitor_ref;               /* out: when monitor */
    term monitor_opts;              /* [] or [{alias,_}...] checked before */
    size_t min_bin_vheap;           /* words; 0: the VM's own minimum */
    uint32_t bound;                 /* to a scheduler: only kept */
    term list, tag;                 /* the options and the reply's tag, for seq_trace */
};
/*
 * A process that will call m:f with the elements of the proper list args.
 * parent may be NULL (the first process). Returns its pid, or THE_NON_VALUE
 * with *error system_limit, when the table is full or memory is out.
 */
term proc_spawn(struct proc *parent, term m, term f, term args,
                struct spawn_opts *opts, term *error);

/* Register an atom for a process (or a port id); the rules of register/2. */
bool name_register(term name, term pid_or_port);
bool name_unregister(term name);
term name_whereis(term name);               /* pid, port or THE_NON_VALUE */
term name_whereis_by_thread(term name);     /* the same for any thread */

/*
 * Exit signals, as erlang:exit/2. from is the pid of the sender. A kill is
 * reason am_kill and not a link's. Marks or messages the receiver.
 */
void proc_exit_signal(struct proc *to, term from, term reason, bool from_link);
/* p itself ends: reason is on its heap. For the instructions and exit/1. */
void proc_exit_self(struct proc *p, term reason);
/*
 * A slice of the work of dying; true when p is freed, or comes back by itself
 * (dirty_lingers()). For the scheduler.
 */
bool proc_exit_continue(struct proc *p, int32_t *reds);

/*
 * p died of an uncaught error (value: {Reason, Stacktrace}): a report for the
 * logger, as OTP words it.
 */
void proc_log_crash(struct proc *p, term value);

/* Make a waiting process runnable; harmless in any other state. */
void proc_wake(struct proc *p);

/* Links and monitors, link.c. Ports use them too: ids are terms. */
struct links *links_new(void);
bool link_add(term a, term b);              /* false: was there */
bool link_remove(term a, term b);
/* What links (monitors) of a process or port lead to: lists on p's heap. */
term links_list(struct proc *p, term id);
term links_monitored_by(struct proc *p, term id);
/* Something ended (a port): tell what is linked to or monitors it. Frees l. */
void links_fire(struct links *l, term id, term name, term reason);

#endif
