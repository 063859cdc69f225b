/*
 * unique.c - see unique.h.
 */
#include "vm/unique.h"

#include <pthread.h>

static __int128 from_least(__int128 n, bool positive)
{
    return n + (positive ? 1 : SMALL_MIN);
}

__int128 unique_of(unsigned thread, uint64_t count, bool positive)
{
    return from_least((__int128)count << UNIQUE_THREAD_BITS | thread, positive);
}

int64_t unique_next(bool monotonic, bool positive)
{
    uint64_t *count = vm.unique;

    if (monotonic)
        return (int64_t)from_least(__atomic_fetch_add(&vm.unique_monotonic, 1,
                                                      __ATOMIC_SEQ_CST), positive);
    if (pthread_equal(pthread_self(), vm.sched->thread))
        return (int64_t)unique_of(1, count[1]++, positive);
    return (int64_t)unique_of(0, __atomic_fetch_add(&count[0], 1, __ATOMIC_RELAXED),
                              positive);
}

void unique_skip(uint64_t n)
{
    vm.unique_monotonic += n;
    vm.unique[0] += n;
    vm.unique[1] += n;
}
