/*
 * literal.h - the literal range: terms of modules and persistent_term.
 *
 * One reserved range of addresses, committed as it is used, so that "is it a
 * literal" is one comparison. An area is a run of words that came with one
 * module (or one persistent term) and is freed whole.
 */
#ifndef VM_LITERAL_H
#define VM_LITERAL_H

#include "vm/heap.h"

struct literal_area {
    struct literal_area *next;      /* areas waiting to be freed */
    struct offheap off;
    term *start, *end;
};

void literal_init(void);
/* Room for `words`, or NULL. end is set by the user to what was used. */
struct literal_area *literal_area_new(size_t words);
void literal_area_free(struct literal_area *a);

#endif
