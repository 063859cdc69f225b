/*
 * heaplimit.h - what happens to a process that may not have the heap it needs.
 *
 * Two causes: max_heap_size, which reports and kills as the process asked, and a
 * host without memory for a large heap: its process dies as `killed`, for it is
 * what fills the machine. A system process can't be missed: the VM ends (137), as
 * it does when there is no memory for small things (vm_try_alloc).
 */
#ifndef VM_HEAPLIMIT_H
#define VM_HEAPLIMIT_H

#include "vm/proc.h"

/* What process_info(_, garbage_collection_info) tells, in OTP's order. */
struct heap_fact {
    term key;
    size_t value;               /* words */
};
enum { HEAP_FACTS = 11 };
/* fragments: words outside of the blocks. */
void heap_facts(const struct proc *p, size_t fragments, struct heap_fact f[HEAP_FACTS]);

/*
 * A collection is about to have `words` in use, besides messages. False: more than max_heap_size
 * allows, and p is to die; either way it was reported if p wants reports.
 */
bool heap_limit_allows(struct proc *p, size_t words);

/* gc_collect() said err for p. The caller ends p as killed, if this returns. */
void heap_refused(struct proc *p, int err);

#endif
