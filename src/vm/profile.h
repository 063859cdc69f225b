/*
 * profile.h - where time goes, by looking at stacks now and then.
 *
 * While it is on, the scheduler tells of every slice. Once enough time has gone
 * by since the last look, the stack at the end of the slice is counted with all
 * of that time. A slice ends where a function begins, so the time of a BIF goes
 * to what its caller does next; slices are of random length, lest a program's
 * rhythm and theirs agree. Time is the clock's, of slices only: idling is free.
 */
#ifndef VM_PROFILE_H
#define VM_PROFILE_H

#include "vm/print.h"
#include "vm/proc.h"
#include "vm/vm.h"

#define PROFILE_INTERVAL_NS 1000000
#define PROFILE_DEPTH 256       /* frames kept of a stack, the innermost */

/* Something that is shown as a function. */
struct profile_frame {
    term m, f;
    uint32_t arity;
};
struct profile_stack {
    uint64_t ns;
    uint32_t n;
    struct profile_frame frame[];       /* outermost first */
};

/* Begin; what was found before is forgotten. */
void profile_start(uint64_t interval_ns);
/* End. What was found stays until the next start. */
void profile_stop(void);
static inline bool profile_is_on(void) { return vm.profiling; }

/* The scheduler's: reductions of p's next slice; p's slice is over. */
int32_t profile_slice(int32_t reds);
void profile_look(const struct proc *p, bool has_stack);

/*
 * What was found, stacks in order: of their first frames' names, then the next.
 * The caller frees the array, not what it leads to.
 */
struct profile_stack **profile_stacks(size_t *n);

/* "m:f/2" */
void profile_name(struct text *t, const struct profile_frame *f);

/* "a:b/1;c:d/2 microseconds\n", a line a stack; or a picture of them. */
void profile_folded(struct text *t);
void profile_svg(struct text *t);

#endif
