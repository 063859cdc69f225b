/*
 * vm.c - the root struct, the allocator, and the two ways to end the VM.
 *
 * Every block carries its size and kind in a header of 16 bytes in front, so
 * that freeing needs neither and erlang:memory/0 is a sum kept as we go. The
 * sums are plain additions: a helper thread that drops the last reference of
 * a binary may make them a little wrong, never the memory itself.
 */
#include "vm/vm.h"

#include "os/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef STRESS
struct vm vm = {.slice_reds = 1, .stress_gc = true};
#else
struct vm vm = {.slice_reds = 4000};
#endif

struct block {
    size_t bytes;               /* what the user asked for */
    uint64_t kind;
};
static_assert(sizeof(struct block) == 16, "blocks are 16-byte aligned");

void vm_stress(const char *what)
{
    vm.stress_gc = what && strstr(what, "gc");
    if (what && strstr(what, "reds"))
        vm.slice_reds = 1;
}

static const char *const kind_name[ALLOC_KINDS] = {
    [ALLOC_PROC] = "processes", [ALLOC_BINARY] = "binaries",
    [ALLOC_CODE] = "code",      [ALLOC_ATOM] = "atoms",
    [ALLOC_ETS] = "ets",        [ALLOC_SYSTEM] = "system",
};

/* True when a test wants this allocation to fail (vm.fail_alloc_at). */
static inline bool must_fail(void)
{
    return unlikely(vm.fail_alloc_at) && --vm.fail_alloc_at == 0;
}

static inline bool too_large(size_t bytes)
{
    return bytes > PTRDIFF_MAX - sizeof(struct block);
}

static _Noreturn void out_of_memory(enum alloc_kind kind, size_t bytes)
{
    vm_fatal(EXIT_NO_MEMORY, "out of memory: %zu bytes for %s", bytes,
             kind_name[kind]);
}

static void *block_give(struct block *b, enum alloc_kind kind, size_t bytes)
{
    b->bytes = bytes;
    b->kind = kind;
    vm.allocated[kind] += bytes;
    return b + 1;
}

void *vm_try_alloc(enum alloc_kind kind, size_t bytes)
{
    struct block *b;

    if (must_fail() || too_large(bytes))
        return NULL;
    b = malloc(sizeof *b + bytes);
    return b ? block_give(b, kind, bytes) : NULL;
}

void *vm_alloc(enum alloc_kind kind, size_t bytes)
{
    void *p = vm_try_alloc(kind, bytes);

    if (unlikely(!p))
        out_of_memory(kind, bytes);
    return p;
}

void *vm_zalloc(enum alloc_kind kind, size_t bytes)
{
    struct block *b;

    if (must_fail() || too_large(bytes))
        out_of_memory(kind, bytes);
    b = calloc(1, sizeof *b + bytes);
    if (!b)
        out_of_memory(kind, bytes);
    return block_give(b, kind, bytes);
}

void *vm_try_realloc(void *p, size_t bytes)
{
    if (!p)
        return vm_try_alloc(ALLOC_SYSTEM, bytes);

    struct block *b = (struct block *)p - 1;
    enum alloc_kind kind = b->kind;
    size_t before = b->bytes;

    if (must_fail() || too_large(bytes))
        return NULL;
    b = realloc(b, sizeof *b + bytes);
    if (!b)
        return NULL;
    vm.allocated[kind] -= before;
    return block_give(b, kind, bytes);
}

void *vm_realloc(void *p, size_t bytes)
{
    void *q = vm_try_realloc(p, bytes);

    if (unlikely(!q))
        out_of_memory(p ? ((struct block *)p - 1)->kind : ALLOC_SYSTEM, bytes);
    return q;
}

void vm_free(void *p)
{
    struct block *b;

    if (!p)
        return;
    b = (struct block *)p - 1;
    vm.allocated[b->kind] -= b->bytes;
    free(b);
}

size_t vm_allocated(enum alloc_kind kind)
{
    return vm.allocated[kind];
}

/* One whole line on the console; what does not fit is cut. */
static void say(const char *what, const char *fmt, va_list ap)
{
    char line[512];
    int n = snprintf(line, sizeof line, "ling: %s", what);
    int m = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);

    if (m > 0)
        n += m;
    if (n > (int)sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    os_console(line, n);
}

void vm_bug(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("bug: ", fmt, ap);
    va_end(ap);
    os_abort(fmt);
}

void vm_fatal(int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
    os_exit(status);
}
