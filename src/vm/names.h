/*
 * names.h - the table of registered names, as erlang:registered/0 walks it.
 * What most callers need is in proc.h.
 */
#ifndef VM_NAMES_H
#define VM_NAMES_H

#include "vm/proc.h"

struct name_entry {
    term name, id;
};
void name_init(void);
/* Visit all: start with *i = 0; NULL at the end. */
const struct name_entry *name_next(size_t *i);
size_t name_count(void);

#endif
