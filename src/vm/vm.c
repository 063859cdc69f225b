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
#include "vm/slice.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY_LEAST ((size_t)1 << 20)

#ifdef STRESS
struct vm vm = {.slice_reds = 1, .stress_gc = true, .try_least = TRY_LEAST};
#else
struct vm vm = {.slice_reds = 4000, .try_least = TRY_LEAST};
#endif

struct block {
    size_t bytes;               /* what the user asked for */
    uint32_t kind;
    uint32_t large;             /* os_large's */
};
static_assert(sizeof(struct block) == 16, "blocks are 16-byte aligned");

void vm_stress(const char *what)
{
    vm.stress_gc = what && strstr(what, "gc");
    if (what && strstr(what, "reds"))
        vm.slice_reds = 1;
    if (what && (what = strstr(what, "fail=")))
        vm.fail_alloc_at = strtoull(what + strlen("fail="), NULL, 10);
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

_Noreturn void vm_no_memory(size_t bytes, const char *what, const char *caller)
{
    vm_fatal(EXIT_NO_MEMORY, "out of memory: %zu bytes for %s, in %s", bytes, what, caller);
}

static void *block_give(struct block *b, enum alloc_kind kind, size_t bytes)
{
    b->bytes = bytes;
    b->kind = kind;
    vm.allocated[kind] += bytes;
    return b + 1;
}

static struct block *block_take(size_t bytes, bool zeroed, bool large)
{
    bytes += sizeof(struct block);
    return zeroed ? calloc(1, bytes) : large ? os_large(bytes) : malloc(bytes);
}

static void *block_try(enum alloc_kind kind, size_t bytes, bool zeroed)
{
    struct block *b;

    if (must_fail() || too_large(bytes))
        return NULL;
    bool large = !zeroed && bytes >= OS_LARGE;
    b = block_take(bytes, zeroed, large);
    if (unlikely(!b) && slice_clear_all())
        b = block_take(bytes, zeroed, large);
    if (!b)
        return NULL;
    b->large = large;
    return block_give(b, kind, bytes);
}

static void block_free(struct block *b)
{
    vm.allocated[b->kind] -= b->bytes;
    if (b->large)
        os_large_free(b, sizeof *b + b->bytes);
    else
        free(b);
}

/* realloc() for a large block that can't stay, in parts. */
static void *block_move(struct block *b, size_t bytes)
{
    void *p = block_try((enum alloc_kind)b->kind, bytes, false);

    if (!p)
        return NULL;
    slice_copy(p, b + 1, bytes < b->bytes ? bytes : b->bytes);
    slice_free(b + 1);
    return p;
}

static void *block_resize(void *p, size_t bytes)
{
    struct block *b;
    enum alloc_kind kind;
    size_t before;

    if (!p)
        return block_try(ALLOC_SYSTEM, bytes, false);
    b = (struct block *)p - 1;
    if (must_fail() || too_large(bytes))
        return NULL;
    kind = b->kind;
    before = b->bytes;
    if (b->large) {
        struct block *moved = os_large_resize(b, sizeof *b + before, sizeof *b + bytes);

        if (!moved)
            return block_move(b, bytes);
        b = moved;
    } else {
        b = realloc(b, sizeof *b + bytes);
        if (!b)
            return NULL;
    }
    vm.allocated[kind] -= before;
    return block_give(b, kind, bytes);
}

/* What became of a request: p, or NULL for one of at least `least` bytes. */
static inline void *answer(void *p, size_t least, enum alloc_kind kind, size_t bytes,
                           const char *caller)
{
    if (unlikely(!p) && bytes < least)
        vm_no_memory(bytes, kind_name[kind], caller);
    return p;
}

static enum alloc_kind kind_of(const void *p)
{
    return p ? ((const struct block *)p - 1)->kind : ALLOC_SYSTEM;
}

void *vm_alloc_in(enum alloc_kind kind, size_t bytes, const char *caller)
{
    return answer(block_try(kind, bytes, false), SIZE_MAX, kind, bytes, caller);
}

void *vm_zalloc_in(enum alloc_kind kind, size_t bytes, const char *caller)
{
    return answer(block_try(kind, bytes, true), SIZE_MAX, kind, bytes, caller);
}

void *vm_try_alloc_in(enum alloc_kind kind, size_t bytes, const char *caller)
{
    return answer(block_try(kind, bytes, false), vm.try_least, kind, bytes, caller);
}

void *vm_try_zalloc_in(enum alloc_kind kind, size_t bytes, const char *caller)
{
    return answer(block_try(kind, bytes, true), vm.try_least, kind, bytes, caller);
}

void *vm_realloc_in(void *p, size_t bytes, const char *caller)
{
    enum alloc_kind kind = kind_of(p);

    return answer(block_resize(p, bytes), SIZE_MAX, kind, bytes, caller);
}

void *vm_try_realloc_in(void *p, size_t bytes, const char *caller)
{
    enum alloc_kind kind = kind_of(p);

    return answer(block_resize(p, bytes), vm.try_least, kind, bytes, caller);
}

void vm_free(void *p)
{
    if (p)
        block_free((struct block *)p - 1);
}

size_t vm_block_bytes(const void *p)
{
    return ((const struct block *)p - 1)->bytes;
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
