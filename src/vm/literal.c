/*
 * literal.c - areas in the literal range.
 *
 * The range is reserved once and backed with memory from its start upwards.
 * Free room is a list of runs sorted by address, kept outside the range, from
 * which the first that fits is taken; neighbours become one again.
 */
#include "vm/literal.h"

#include "os/os.h"
#include "vm/vm.h"

/* Binaries are kept alive by literals, where the leak checker does not look. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define LEAK_ROOTS(p, n) __lsan_register_root_region(p, n)
#endif
#endif
#ifndef LEAK_ROOTS
#define LEAK_ROOTS(p, n) ((void)0)
#endif

/* OTP reserves as much (+MIscs). Address space only. */
#define RANGE_BYTES ((size_t)1 << 30)
/* Areas start and end on multiples of this; memory is asked for in COMMIT. */
#define GRANULE 64
#define COMMIT ((size_t)256 << 10)

struct run {
    uintptr_t start, end;
};

struct literal_space {
    uintptr_t committed;        /* memory lies below */
    struct run *runs;           /* free; the last one ends at the range's end */
    size_t n, size;
};

struct area {
    struct literal_area a;      /* first: what users see */
    uintptr_t end;              /* of its room, used or not */
};

void literal_init(void)
{
    struct literal_space *s = vm_zalloc(ALLOC_SYSTEM, sizeof *s);
    void *range = os_reserve(RANGE_BYTES);

    if (!range)
        vm_fatal(EXIT_NO_MEMORY, "cannot reserve %zu bytes for literals",
                 RANGE_BYTES);
    vm.literals = s;
    vm.literal_base = (uintptr_t)range;
    vm.literal_end = vm.literal_base + RANGE_BYTES;
    s->committed = vm.literal_base;
    s->size = 16;
    s->runs = vm_alloc(ALLOC_SYSTEM, s->size * sizeof *s->runs);
    s->runs[0] = (struct run){vm.literal_base, vm.literal_end};
    s->n = 1;
}

/* Back everything below end with memory. */
static bool commit(uintptr_t end)
{
    struct literal_space *s = vm.literals;
    size_t bytes;

    if (end <= s->committed)
        return true;
    bytes = (end - s->committed + COMMIT - 1) / COMMIT * COMMIT;
    if (bytes > vm.literal_end - s->committed)
        bytes = vm.literal_end - s->committed;
    if (os_commit((void *)s->committed, bytes) < 0)
        return false;
    LEAK_ROOTS((void *)s->committed, bytes);
    s->committed += bytes;
    return true;
}

struct literal_area *literal_area_new(size_t words)
{
    struct literal_space *s = vm.literals;
    struct area *area;
    size_t bytes;

    if (words > RANGE_BYTES / sizeof(term))
        return NULL;
    bytes = (words * sizeof(term) + GRANULE - 1) / GRANULE * GRANULE;
    if (bytes == 0)
        bytes = GRANULE;
    for (size_t i = 0; i < s->n; i++) {
        struct run *r = &s->runs[i];
        uintptr_t start = r->start;

        if (r->end - start < bytes)
            continue;
        if (!commit(start + bytes))
            return NULL;
        r->start += bytes;
        if (r->start == r->end) {
            s->n--;
            memmove(r, r + 1, (s->n - i) * sizeof *r);
        }
        area = vm_alloc(ALLOC_CODE, sizeof *area);
        *area = (struct area){
            .a = {.start = (term *)start, .end = (term *)(start + bytes)},
            .end = start + bytes,
        };
        vm.allocated[ALLOC_CODE] += bytes;
        return &area->a;
    }
    return NULL;
}

void literal_area_free(struct literal_area *a)
{
    struct area *area = (struct area *)a;
    struct literal_space *s = vm.literals;
    uintptr_t start = (uintptr_t)a->start, end = area->end;
    size_t i = 0, above = s->n;

    offheap_release(&a->off);
    vm.allocated[ALLOC_CODE] -= end - start;
    vm_free(area);

    while (i < above) {
        size_t mid = (i + above) / 2;

        if (s->runs[mid].start < start)
            i = mid + 1;
        else
            above = mid;
    }
    /* Between runs i - 1 and i: join either or both. */
    if (i > 0 && s->runs[i - 1].end == start) {
        s->runs[i - 1].end = end;
        if (i < s->n && s->runs[i].start == end) {
            s->runs[i - 1].end = s->runs[i].end;
            s->n--;
            memmove(&s->runs[i], &s->runs[i + 1], (s->n - i) * sizeof *s->runs);
        }
        return;
    }
    if (i < s->n && s->runs[i].start == end) {
        s->runs[i].start = start;
        return;
    }
    if (s->n == s->size) {
        s->size *= 2;
        s->runs = vm_realloc(s->runs, s->size * sizeof *s->runs);
    }
    memmove(&s->runs[i + 1], &s->runs[i], (s->n - i) * sizeof *s->runs);
    s->runs[i] = (struct run){start, end};
    s->n++;
}
