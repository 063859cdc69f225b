/*
 * unique.h - unique integers.
 *
 * One is of a thread's number and a count of that thread alone, as in OTP: NIFs'
 * threads make theirs (as thread 0) without a word to the scheduler, which is 1;
 * the other numbers are those of dirty schedulers. Monotonic ones are all of one
 * count. Those with different modifiers may be equal.
 */
#ifndef VM_UNIQUE_H
#define VM_UNIQUE_H

#include "vm/dirty.h"

#define UNIQUE_THREAD_BITS 4
_Static_assert(1 + DIRTY_CPU_PLACES + DIRTY_IO_PLACES < 1 << UNIQUE_THREAD_BITS,
               "a number for each scheduler");

/* The count-th one of a thread, from 0: above 0 if positive, else from the least small. */
__int128 unique_of(unsigned thread, uint64_t count, bool positive);
/* The next one; any thread. There are 2^59 before it is too large: no count gets there. */
int64_t unique_next(bool monotonic, bool positive);
/* All counts go on so much further. */
void unique_skip(uint64_t n);

#endif
