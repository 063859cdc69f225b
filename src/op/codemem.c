/*
 * codemem.c - see codemem.h. First fit over a table of free ranges, sorted by
 * address, neighbours merged: code comes in tens of kilobytes and goes rarely.
 */
#include "op/codemem.h"

#include <string.h>

#include "os/os.h"
#include "vm/vm.h"

#define UNIT ((size_t)64)
/* What a jump into the middle of nothing meets: int3. */
#define FILL 0xcc

struct range { size_t at, end; };

static struct {
    struct os_code window;
    struct range *free;
    uint32_t nfree, free_size;
    size_t used;
} mem;

static size_t round_up(size_t bytes) { return (bytes + UNIT - 1) & ~(UNIT - 1); }

const char *codemem_init(void)
{
    const char *why = os_code_window(&mem.window);

    if (why)
        return why;
    if (!mem.free) {
        mem.free_size = 16;
        mem.free = vm_alloc(ALLOC_SYSTEM, mem.free_size * sizeof *mem.free);
    }
    mem.free[0] = (struct range){0, mem.window.bytes};
    mem.nfree = 1;
    return NULL;
}

size_t codemem_seal(void)
{
    const struct range *last = mem.nfree ? &mem.free[mem.nfree - 1] : NULL;
    size_t end = last && last->end == mem.window.bytes ? last->at : mem.window.bytes;

    if (!mem.window.run)
        return 0;
    mem.window = (struct os_code){NULL, NULL, 0};
    mem.nfree = 0;
    return (end + 4095) & ~(size_t)4095;
}

bool codemem_writable(const void *code)
{
    return (uintptr_t)code - (uintptr_t)mem.window.run < mem.window.bytes;
}

uint8_t *codemem_alloc(size_t bytes)
{
    size_t want = round_up(bytes);

    if (!mem.window.run && codemem_init())
        return NULL;
    for (uint32_t i = 0; i < mem.nfree; i++) {
        struct range *r = &mem.free[i];

        if (r->end - r->at < want)
            continue;
        uint8_t *code = mem.window.run + r->at;

        r->at += want;
        if (r->at == r->end) {
            memmove(r, r + 1, (mem.nfree - i - 1) * sizeof *r);
            mem.nfree--;
        }
        mem.used += want;
        return code;
    }
    return NULL;
}

void codemem_free(uint8_t *code, size_t bytes)
{
    struct range gone;
    uint32_t i = 0;

    if (!code || !codemem_writable(code))
        return;
    gone.at = (size_t)(code - mem.window.run);
    gone.end = gone.at + round_up(bytes);
    memset(mem.window.write + gone.at, FILL, gone.end - gone.at);
    mem.used -= gone.end - gone.at;
    while (i < mem.nfree && mem.free[i].end < gone.at)
        i++;
    if (i < mem.nfree && mem.free[i].end == gone.at) {
        mem.free[i].end = gone.end;
        if (i + 1 < mem.nfree && mem.free[i + 1].at == gone.end) {
            mem.free[i].end = mem.free[i + 1].end;
            memmove(&mem.free[i + 1], &mem.free[i + 2],
                    (mem.nfree - i - 2) * sizeof *mem.free);
            mem.nfree--;
        }
        return;
    }
    if (i < mem.nfree && mem.free[i].at == gone.end) {
        mem.free[i].at = gone.at;
        return;
    }
    if (mem.nfree == mem.free_size) {
        mem.free_size *= 2;
        mem.free = vm_realloc(mem.free, mem.free_size * sizeof *mem.free);
    }
    memmove(&mem.free[i + 1], &mem.free[i], (mem.nfree - i) * sizeof *mem.free);
    mem.free[i] = gone;
    mem.nfree++;
}

uint8_t *codemem_rw(const void *code)
{
    assert(codemem_writable(code));
    return mem.window.write + ((const uint8_t *)code - mem.window.run);
}

void codemem_written(void) { os_code_written(); }
size_t codemem_used(void) { return mem.used; }
