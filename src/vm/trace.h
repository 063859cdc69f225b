/*
 * trace.h - tracing: who is traced by whom, and what a tracer is told.
 *
 * A tracee (a process or a port) has flags, and one tracer: a process, a port,
 * or a module of NIFs with a state. Something traceable tests a bit of
 * p->trace, which is 0 for nearly all, and calls one of the functions below.
 * They tell at once: the order in a tracer's mailbox is that of the events.
 *
 * Calls are traced by breakpoints: op/break.h. Messages may carry a token of
 * sequential tracing: vm/seqtrace.h.
 */
#ifndef VM_TRACE_H
#define VM_TRACE_H

#include "vm/matchspec.h"
#include "vm/proc.h"

enum trace_flag {
    TF_SEND = 1 << 0,
    TF_RECEIVE = 1 << 1,
    TF_SET_ON_SPAWN = 1 << 2,
    TF_SET_ON_FIRST_SPAWN = 1 << 3,
    TF_SET_ON_LINK = 1 << 4,
    TF_SET_ON_FIRST_LINK = 1 << 5,
    TF_CALL = 1 << 6,
    TF_PROCS = 1 << 7,
    TF_RUNNING = 1 << 8,
    TF_EXITING = 1 << 9,
    TF_GC = 1 << 10,
    TF_ARITY = 1 << 11,
    TF_RETURN_TO = 1 << 12,
    TF_SILENT = 1 << 13,
    TF_SCHEDULER_ID = 1 << 14,
    TF_PORTS = 1 << 15,
    TF_RUNNING_PORTS = 1 << 16,
    TF_RUNNING_PROCS = 1 << 17,
    TF_TIMESTAMP = 1 << 18,
    TF_STRICT_MONOTONIC = 1 << 19,
    TF_MONOTONIC = 1 << 20,

    TF_ALL = (1 << 21) - 1,
    /* Only in p->trace: the process has a token (seqtrace.h). */
    TF_TOKEN = 1 << 21,
    /* Say how events are told, or concern processes and ports alike. */
    TF_MODIFIERS = TF_SILENT | TF_TIMESTAMP | TF_STRICT_MONOTONIC | TF_MONOTONIC |
                   TF_SCHEDULER_ID | TF_RECEIVE | TF_SEND,
    TF_OF_PORTS = TF_MODIFIERS | TF_PORTS | TF_RUNNING_PORTS,
    TF_OF_PROCS = (TF_ALL & ~TF_OF_PORTS) | TF_MODIFIERS,
};

/* Shared by all that it traces. */
struct tracer {
    uint32_t refc;
    term module;                /* erl_tracer: state is a pid or port */
    term state;
    struct mbuf *frag;          /* the state's, or NULL */
};
/*
 * From {Tag, Pid | Port}, {Tag, Module, State}, a pid or a port. False: it is
 * none. *out NULL: {Tag, []}, no tracer. The caller has a reference.
 */
bool tracer_parse(term t, term tag, struct tracer **out);
struct tracer *tracer_get(struct tracer *t);        /* NULL is fine, here and below */
void tracer_put(struct tracer *t);
bool tracer_same(const struct tracer *a, const struct tracer *b);
/* As trace_info says it: a pid, a port, {Module, State}; []: none. heap_alloc. */
term tracer_term(struct proc *p, const struct tracer *t);
/* Is it still there, for a tracee of this id? */
bool tracer_alive(const struct tracer *t, term id);

/* The official flags; p->trace has those that are in effect. */
struct tracee {
    uint32_t flags;
    struct tracer *tracer;      /* NULL without flags */
};

/* What a process has of it once it was traced, or had a token. */
struct traced {
    struct tracee t;
    uint32_t seq_clock, seq_last;   /* sequential tracing's serials */
    struct export *timed;           /* call_time: the function that runs; or NULL */
    uint64_t timed_since_ns;
    code_ptr skip;                  /* is run again here: no call */
};
struct traced *traced_of(struct proc *p);           /* made when needed */
void trace_proc_free(struct proc *p);

/* A pattern of send or receive events. */
struct trace_event {
    bool off;
    struct ms *ms;              /* NULL: all */
};
/* The pattern that new code gets: trace_pattern(on_load, ...). */
struct trace_on_load {
    bool on;
    uint32_t flags;             /* enum break_flag (op/break.h); 0: global */
    struct ms *ms, *meta_ms;
    struct tracer *meta;
};
struct trace {
    struct trace_on_load on_load;
    struct tracee new_procs, new_ports;
    struct trace_event send, receive;
    struct tracer *seq_tracer;
    struct proc *exiting;       /* whose links are told now, with a token */
    int depth;                  /* of events told while one is told */
    bool cpu_time;              /* {cpu_timestamp}: timestamps are CPU time */
};
void trace_init(void);

/* What a name means, 0: none. Then a whole list, with a tracer (a reference). */
uint32_t trace_flag(term name);
bool trace_flags_parse(term list, uint32_t *flags, struct tracer **tracer, bool *cpu);
term trace_flags_list(struct proc *p, uint32_t flags);

/* Give p flags and tracer (a reference of its own is taken). True: they differ. */
bool trace_set(struct proc *p, uint32_t flags, struct tracer *tracer);
/* p->flags changed: PF_SENSITIVE. */
void trace_refresh(struct proc *p);
/* A tracer that is gone traces no more: the process begins to run, or is asked for. */
void trace_check(struct proc *p);
bool tracee_check(struct tracee *t, term id);       /* false: none now */
/* A new process's, from what is traced of new ones and from its parent's. */
void trace_inherit(struct proc *p, struct proc *parent, bool link);

/*
 * Events. Call them only if p->trace has the flag. Terms may lie anywhere,
 * locals of the caller too.
 */
void trace_send(struct proc *p, term to, term message);
void trace_receive(struct proc *p, term from, term message);
void trace_proc(struct proc *p, term what, term data);
void trace_spawn(struct proc *p, term what, term pid, term m, term f, term args);
void trace_running(struct proc *p, term what);
void trace_gc(struct proc *p, term what, size_t words);
void trace_gc_limit(struct proc *p);    /* max_heap_size is reached */

/* The pattern that on_load was given is for c now. */
struct code;
void trace_code_loaded(struct code *c);

/* Where p is at pc: {M,F,A}, lying in mfa, or 0. */
term trace_where(struct proc *p, code_ptr pc, term mfa[4]);
/* A timestamp in at most so many words, as the flags want it. */
#define TRACE_STAMP_WORDS 4
term trace_stamp(term **hp, uint32_t flags);

struct port;
/* A message for a port: its bytes in the external format. */
void trace_to_port(struct port *port, term message);

/* Functions of a tracer module, by which it can choose. */
enum tracer_fn {
    TRACER_ANY, TRACER_SEND, TRACER_RECEIVE, TRACER_CALL, TRACER_RUNNING_PROCS,
    TRACER_RUNNING_PORTS, TRACER_GC, TRACER_PROCS, TRACER_PORTS,
};
/* Of a port: io/port_trace.h. `extra` may be THE_NON_VALUE. */
void trace_tracee(struct tracee *t, term id, enum tracer_fn fn, term tag, term what,
                  term extra);
/* tag trace_status: trace or remove; an event: trace or discard. */
term tracer_enabled(const struct tracer *t, enum tracer_fn fn, term tag, term id);
/*
 * Tell. extra, result: THE_NON_VALUE and true say nothing. flags: how. tracee:
 * the process it is about, if it is one.
 */
void tracer_tell(const struct tracer *t, uint32_t flags, struct proc *tracee, term id,
                 enum tracer_fn fn, term tag, term what, term extra, term result);

#endif
