/*
 * slice.h - long work in slices, without the work knowing where it stopped.
 *
 * What may take long (a BIF, a collection, freeing a heap) opens a scope and
 * says how much it has done:
 *
 *     SLICED(p, EXP("maps", "from_list", 1));
 *     for (...) {
 *         slice(10);              about as many nanoseconds of work
 *         ...
 *     }
 *
 * When its share is used up, p goes into its run queue right there, in the
 * middle of the C function. The C stack it is on, with the scheduler's frames
 * at the bottom, is put aside whole, and the scheduler goes on on another one
 * until p's turn comes: then that other stack rests where it is, an idle
 * scheduler. So a function returns on the stack it was called on, and there
 * are as many stacks as processes that are put aside, and one. Nothing is paid
 * by who does not use up a share.
 *
 * While a process is put aside (p->stack is not NULL) its heap may be in any
 * state, and nobody but itself may look at it or change it:
 *   - messages to it come in fragments (msg.c)
 *   - a signal that kills it keeps its reason aside (p->late) until the scope
 *     is left
 *   - a BIF that wants to look into it waits: slice_wait()
 *
 * Inside a scope p holds nothing that another process may change: no pointer
 * into an ETS table, a port or a static buffer, nor the operands that an
 * instruction gathered (sched.h: scratch, build). Common functions (hashing,
 * comparing, encoding) call slice() wherever they are called from; outside of
 * a scope it does nothing.
 */
#ifndef VM_SLICE_H
#define VM_SLICE_H

#include "vm/proc.h"
#include "vm/sched.h"
#include "vm/vm.h"

struct slice_scope {
    struct proc *p;
    struct proc *before;
};

void slice_settle(struct proc *p);

static inline struct slice_scope slice_begin(struct proc *p, struct export *as)
{
    struct sched *s = vm.sched;
    struct slice_scope scope = {p, s->sliced};

    if (!scope.before) {
        s->sliced = p;
        s->sliced_in = as;
        s->settle = false;
    }
    return scope;
}

static inline void slice_end(struct slice_scope *scope)
{
    struct sched *s = vm.sched;

    s->sliced = scope->before;
    if (unlikely(s->settle) && !scope->before)
        slice_settle(scope->p);
}

/*
 * To the end of the block. as: what p is seen in meanwhile (the name of what
 * OTP's goes on in, where it has one), or NULL.
 */
#define SLICED(p, as)                                                          \
    __attribute__((cleanup(slice_end))) struct slice_scope slice_scope_ =      \
        slice_begin(p, as)

/*
 * Has p been killed while it was put aside? Long work may end early then, with
 * an error that nobody will see, but not without giving back what it holds.
 */
static inline bool slice_killed(void)
{
    const struct proc *p = vm.sched->sliced;

    return p && p->flags & PF_KILLED;
}

void slice_over(void);
static inline void slice(size_t ns)
{
    struct sched *s = vm.sched;

    s->work_left -= (int64_t)ns;
    if (unlikely(s->work_left < 0))
        slice_over();
}

/* What takes long in one call, done piece by piece. */
void slice_copy(void *to, const void *from, size_t n);
/*
 * vm_free() of a large block. Outside of a scope it only becomes one of the
 * scheduler's leftovers, which are freed in pieces between slices.
 */
void slice_free(void *block);
/* There are leftovers: free a piece. */
void slice_clear(struct sched *s);
/* Memory is out, or the VM is to be written out: free all now. False: there was nothing. */
bool slice_clear_all(void);

/* p's BIF has to wait until q, which is put aside, is whole: return this. */
term slice_wait(struct proc *p, struct proc *q);

/*
 * For p, which looks at q in slices: until slice_release(), q is as if it were
 * put aside itself, and gets no turn. q is not put aside, nor does it do dirty
 * work or wait to.
 */
void slice_hold(struct proc *p, struct proc *q);
void slice_release(struct proc *q);

/* The scheduler's. */
void slice_init(struct sched *s);
void slice_resume(struct proc *p);          /* p->stack is not NULL */
/*
 * The scheduler is to stop. False: something had to be finished first, or this
 * is not the stack that sched_run() was called on: ask again.
 */
bool slice_unwind(struct sched *s);
/* What stacks that are not in use take is given back. */
void slice_trim(struct sched *s);

#endif
