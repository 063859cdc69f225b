/*
 * code.c - the code window of a Linux process: shared memory, mapped twice.
 *
 * Where code runs lies within reach of a 32-bit displacement from the VM's own
 * text, so that code can call it. Where it is written lies anywhere. The memory is
 * anonymous: no descriptor leads to it, and perf looks for the names of what lies
 * in it where +JPperf puts them, which it does not for a memfd.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os.h"

#define WINDOW_BYTES ((size_t)256 << 20)
#define REACH        ((uintptr_t)1 << 30)
#define STEP         ((uintptr_t)16 << 20)

/* A free place near the VM's text, tried at random and then one by one. */
static void *map_near(void)
{
    uintptr_t text = (uintptr_t)&os_code_window & ~(STEP - 1), start;

    os_entropy(&start, sizeof start);
    for (uintptr_t i = 0; i < 2 * REACH / STEP; i++) {
        uintptr_t distance = (start / STEP + i) % (2 * REACH / STEP) * STEP;
        uintptr_t at = text - REACH + distance;
        void *p;

        if (at > text + REACH || at < STEP)     /* around the end of all addresses */
            continue;
        p = mmap((void *)at, WINDOW_BYTES, PROT_READ | PROT_EXEC,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
        if (p == (void *)at)
            return p;
        if (p != MAP_FAILED)
            munmap(p, WINDOW_BYTES);
        else if (errno != EEXIST)
            break;
    }
    return MAP_FAILED;
}

const char *os_code_window(struct os_code *w)
{
    void *run = map_near(), *write;

    if (run == MAP_FAILED)
        return strerror(errno);
    /* Of shared memory, a mapping of no bytes is not moved but made once more. */
    write = mremap(run, 0, WINDOW_BYTES, MREMAP_MAYMOVE);
    if (write == MAP_FAILED || mprotect(write, WINDOW_BYTES, PROT_READ | PROT_WRITE) < 0) {
        int why = errno;

        if (write != MAP_FAILED)
            munmap(write, WINDOW_BYTES);
        munmap(run, WINDOW_BYTES);
        return strerror(why);
    }
    *w = (struct os_code){run, write, WINDOW_BYTES};
    return NULL;
}

/* One thread writes and runs: the processor keeps its own order. */
void os_code_written(void) { }
