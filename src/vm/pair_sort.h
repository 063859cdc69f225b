/*
 * pair_sort.h - pairs of a map in the order of their keys.
 */
#ifndef VM_PAIR_SORT_H
#define VM_PAIR_SORT_H

#include "vm/term.h"

/*
 * pairs: n times a value and its key. In place, the greatest key (as
 * term_compare_exact() has it) first. False: no memory, or, with `abandon`, the
 * process whose slice this is has been killed; the pairs are as before.
 */
bool pair_sort(term *pairs, size_t n, bool abandon);

#endif
