/*
 * ets.h - what the rest of the VM does to ETS: start, and a process's end.
 */
#ifndef VM_ETS_H
#define VM_ETS_H

#include "vm/proc.h"

void ets_init(void);
/*
 * p ends: give its tables to their heirs or delete them, drop its fixes.
 * Resumable: true when done, else call again with more *reds.
 */
bool ets_proc_exit(struct proc *p, int32_t *reds);
size_t ets_memory_words(void);
size_t ets_table_count(void);

#endif
