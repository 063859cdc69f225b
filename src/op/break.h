/*
 * break.h - breakpoints: calls that are traced, counted or timed.
 *
 * A breakpoint is where a function begins: its func_entry leads to break_hit(),
 * interpreted by another handler, native by a jump. A global one is in the
 * export instead, where only calls from other modules come by. What a traced
 * function has to tell when it returns waits in a frame of its own under the
 * function's, which returns to one of the stubs code_return_stub[]:
 *
 *    RETURN, EXCEPTION   export (looks like a small), tracer: true or [Module|State]
 *    RETURN_TO           nothing
 *    TIME                the export that was timed before, or []
 *    PACE                p->paced before
 *
 * PACE is no breakpoint's. Functions count no reductions when they return, and a
 * deep stack takes long to unwind; so a slice that ends deep puts one there, and
 * who returns to it ends a slice too.
 *
 * Code of an image can't be written. While a breakpoint is on there, processes
 * run with no reductions in sight, so that each function entry comes to
 * cold_yield(), which asks break_sealed().
 */
#ifndef OP_BREAK_H
#define OP_BREAK_H

#include "vm/module.h"
#include "vm/trace.h"

struct sched;

enum break_flag {
    BREAK_GLOBAL = 1,               /* with none of the others */
    BREAK_LOCAL = 2,
    BREAK_META = 4,
    BREAK_COUNT = 8,
    BREAK_COUNTS = 16,              /* ... and is not paused */
    BREAK_TIME = 32,
    BREAK_TIMES = 64,
    BREAK_DEBUG = 128,              /* error_handler:breakpoint/3 instead */
    BREAK_SAVE = 256,               /* as global, where no other is: lastcalls.h */
    BREAK_AT_ENTRY = ~(BREAK_GLOBAL | BREAK_SAVE),
};

struct breakpoint {
    struct breakpoint *next;        /* bucket */
    struct export *export;          /* names the function, exported or not */
    struct code *code;              /* where it is, if anywhere */
    struct func *func;
    uint32_t flags;
    struct ms *ms, *meta_ms;        /* owned; NULL: all calls */
    struct tracer *meta;
    uint64_t count;
    struct call_time { term pid; uint64_t count, ns; } *times;
    size_t ntimes, times_size;      /* open addressing; pid 0: free */

    bool at_entry, at_export, sealed;
    code_ptr stub;                  /* native: where the place jumps to */
    uintptr_t words[2];             /* interpreted: code between an export and its own */
    code_ptr go_on;                 /* after the hit */
    struct nif_entry *nif;          /* ... which is this NIF's */
    uintptr_t saved[2];             /* what was at the entry */
};
struct breaks {
    struct breakpoint **bucket;
    size_t n, mask;
    size_t sealed;                  /* how many are in code that can't be written */
    size_t saving;                  /* processes that save their last calls */
    bool frames;                    /* some stack may have frames of ours */
};
void break_init(void);

struct breakpoint *break_find(const struct export *e);      /* or NULL */
/* Find or make, for a function of current code, or f NULL. */
struct breakpoint *break_get(struct export *e, struct code *c, struct func *f);
struct breakpoint *break_next(size_t *i, struct breakpoint *b);
/*
 * Its flags have changed: put it where they want it. Without flags it is freed.
 * False: there is no room for code; it is off.
 */
bool break_place(struct breakpoint *b);
/* The code is no longer current, or gets a NIF at f: nothing of ours is in it. */
void break_forget(struct code *c);
void break_lift(struct code *c, struct func *f);
void break_settle(struct code *c, struct func *f);

/* A process begins or ends to save its last calls. */
void break_save(bool on);
/* Exports lead elsewhere than they did: where they shall be saved they are again. */
void break_save_again(void);

/* p ends its slice before self: a PACE frame, if it is deep and that is an entry. */
void break_pace(struct proc *p, code_ptr self);

/* For the instructions: where to go on; NULL: S->end says why not. */
code_ptr break_hit(struct sched *S, struct breakpoint *b);
code_ptr break_returned(struct sched *S, unsigned kind);
/* p looks at an entry with `left` reductions; there are breaks->sealed. */
code_ptr break_sealed(struct sched *S, int64_t left);
/* The BIF at S->self runs again: that is no call. */
void break_again(struct sched *S);
/* Frames above slot (NULL: all) are left by an exception. */
void break_unwind(struct sched *S, struct proc *p, const term *slot, term class,
                  term value);

/* Return stubs, by kind; code.c makes them. */
enum {
    BREAK_RETURN, BREAK_EXCEPTION, BREAK_RETURN_TO, BREAK_TIME_RETURN, BREAK_PACE,
    BREAK_KINDS
};
extern code_ptr code_return_stub[BREAK_KINDS];
/* Words of the frame that returns to a stub; -1: it is none of ours. */
int break_frame(code_ptr ret);

/* Timed processes begin and end slices. */
void break_time_switch(struct proc *p, bool in);
void break_times_clear(struct breakpoint *b);

#endif
