/*
 * mem.c - memory of the bare machine: pages, reserved ranges, giving back.
 *
 *     ARENA      pages, upwards            reservations, downwards      end
 *       | used, free, used, free | top ->        <- bottom | range | range |
 *
 * A chunk of 2 MiB is absent until the gate makes it present, zeroed, and stays
 * present for good; --mem counts chunks. Of the pages below `top`, the free
 * ones are in a table sorted by address, outside the pages it describes. A free
 * range is dirty if its pages may hold something; they are cleared when they
 * are handed out again, or given back to the host when the instance is idle
 * and then read as zero. Beyond `top`, and in what is reserved but not
 * committed, every page that is present is zero.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "os/bare/bare.h"
#include "os/os.h"

#define PAGE        ((uint64_t)4096)
#define ARENA       ((uint64_t)(GUEST_BASE + GUEST_ARENA))
#define ARENA_END   (ARENA + GUEST_ARENA_SIZE)
#define CHUNKS      (GUEST_ARENA_SIZE / GUEST_CHUNK)

/* Ask for more than is wanted now, by this part of what there is. */
#define GROW_PART   16

/* Give back when idle what is at least so large, and so much of it together. */
#define IDLE_RANGE  (16 * PAGE)
#define IDLE_TOTAL  (4u << 20)

struct range {
    uint64_t start, end;
    bool dirty;
};

static struct {
    uint64_t top, bottom;
    struct range *free;         /* by address; neighbours are merged */
    size_t frees, frees_max;
    size_t in_use;              /* os_pages and os_commit, bytes */
    uint64_t dirty_bytes;
    uint64_t present_bytes;
    uint64_t present[CHUNKS / 64];
    uint64_t baked[CHUNKS / 64];        /* came with the image */
} mem = {.top = ARENA, .bottom = ARENA_END};

static struct range first_free[512];    /* until the table has pages */

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static bool chunk_present(uint64_t va)
{
    uint64_t i = (va - ARENA) / GUEST_CHUNK;

    return mem.present[i / 64] >> i % 64 & 1;
}

/*
 * Give memory of [start, end) back. What came with the image would read as the
 * image's file again, so it is cleared, as where the loader can't take it.
 */
static void release(uint64_t start, uint64_t end)
{
    uint64_t first = (start - ARENA) / GUEST_CHUNK;
    uint64_t last = (end - 1 - ARENA) / GUEST_CHUNK;
    bool baked = false;

    for (uint64_t i = first; i <= last; i++)
        baked |= mem.baked[i / 64] >> i % 64 & 1;
    if (baked || end - start < IDLE_RANGE ||
        gate(GATE_RELEASE, start, end - start, 0) < 0)
        memset((void *)start, 0, end - start);
}

/* Make [va, end) present, in as few calls as there are gaps. 0 or -ENOMEM. */
static int make_present(uint64_t va, uint64_t end)
{
    va &= ~(uint64_t)(GUEST_CHUNK - 1);
    end = round_up(end, GUEST_CHUNK);
    while (va < end) {
        uint64_t to = va;

        if (chunk_present(va)) {
            va += GUEST_CHUNK;
            continue;
        }
        while (to < end && !chunk_present(to))
            to += GUEST_CHUNK;
        if (gate(GATE_MEMORY, va, to - va, 0) < 0)
            return -ENOMEM;
        mem.present_bytes += to - va;
        for (; va < to; va += GUEST_CHUNK) {
            uint64_t i = (va - ARENA) / GUEST_CHUNK;

            mem.present[i / 64] |= (uint64_t)1 << i % 64;
        }
    }
    return 0;
}

/* How many free ranges end at or below va. */
static size_t find(uint64_t va)
{
    size_t lo = 0, hi = mem.frees;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (mem.free[mid].end <= va)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void drop(size_t i)
{
    mem.frees--;
    memmove(mem.free + i, mem.free + i + 1, (mem.frees - i) * sizeof *mem.free);
}

/* Grow the table at the top of the pages: nothing else is sure to be free. */
static bool table_grow(void)
{
    size_t n = mem.frees_max ? mem.frees_max * 2 : 512;
    uint64_t bytes = round_up(n * sizeof *mem.free, PAGE);
    struct range *old = mem.free;
    size_t old_bytes = mem.frees_max * sizeof *old;
    uint64_t at = mem.top;

    if (!old) {
        mem.free = first_free;
        mem.frees_max = sizeof first_free / sizeof *first_free;
        return true;
    }
    if (bytes > mem.bottom - at || make_present(at, at + bytes) < 0)
        return false;
    mem.top = at + bytes;
    memcpy((void *)at, old, mem.frees * sizeof *old);
    mem.free = (struct range *)at;
    mem.frees_max = bytes / sizeof *mem.free;
    if (old != first_free)
        mem_free(old, old_bytes);
    return true;
}

static void clear(uint64_t start, uint64_t end)
{
    memset((void *)start, 0, end - start);
}

static void free_insert(uint64_t start, uint64_t end, bool dirty)
{
    size_t i = find(start);
    struct range *r;

    assert(i == mem.frees || mem.free[i].start >= end);
    if (dirty)
        mem.dirty_bytes += end - start;
    /* find() counts a range that ends at start among those below. */
    if (i > 0 && mem.free[i - 1].end == start && mem.free[i - 1].dirty == dirty) {
        r = &mem.free[--i];
        r->end = end;
        if (i + 1 < mem.frees && r[1].start == end && r[1].dirty == dirty) {
            r->end = r[1].end;
            drop(i + 1);
        }
    } else if (i < mem.frees && mem.free[i].start == end &&
               mem.free[i].dirty == dirty) {
        mem.free[i].start = start;
    } else {
        if (mem.frees == mem.frees_max) {
            /*
             * No room in the table: a leak of address space, until the idle
             * release. Growing can itself free the old table, so look again.
             */
            if (!table_grow()) {
                if (dirty)
                    mem.dirty_bytes -= end - start;
                return;
            }
            i = find(start);
        }
        r = &mem.free[i];
        memmove(r + 1, r, (mem.frees - i) * sizeof *r);
        *r = (struct range){start, end, dirty};
        mem.frees++;
    }
}

/* The smallest run of free ranges, one behind the other, that has the room. */
static uint64_t take_free(uint64_t bytes, uint64_t align, bool zeroed)
{
    size_t best = SIZE_MAX;
    uint64_t best_room = UINT64_MAX, at;
    struct range r;

    for (size_t i = 0; i < mem.frees; i++) {
        uint64_t start = round_up(mem.free[i].start, align);
        uint64_t room = mem.free[i].end - mem.free[i].start;

        if (start < mem.free[i].end && mem.free[i].end - start >= bytes &&
            room < best_room) {
            best = i;
            best_room = room;
            if (room == bytes)
                break;
        }
    }
    if (best == SIZE_MAX)
        return 0;
    r = mem.free[best];
    at = round_up(r.start, align);
    if (r.dirty)
        mem.dirty_bytes -= r.end - r.start;
    drop(best);
    if (r.dirty && zeroed)
        clear(at, at + bytes);
    if (r.start < at)
        free_insert(r.start, at, r.dirty);
    if (at + bytes < r.end)
        free_insert(at + bytes, r.end, r.dirty);
    return at;
}

/* New pages at the top; what is free right below it is taken first. */
static uint64_t take_new(uint64_t bytes, uint64_t align, bool zeroed)
{
    struct range *last = mem.frees ? &mem.free[mem.frees - 1] : NULL;
    uint64_t start = last && last->end == mem.top ? last->start : mem.top;
    uint64_t at = round_up(start, align), end = at + bytes, more;

    if (end < at || end > mem.bottom)
        return 0;
    more = round_up(mem.present_bytes / GROW_PART, GUEST_CHUNK);
    if (make_present(start, end) < 0)
        return 0;
    /* The rest of this chunk is there; a further one only if it is cheap. */
    if (more > GUEST_CHUNK && end - mem.top > GUEST_CHUNK / 2 &&
        end + more <= mem.bottom)
        make_present(end, end + more);
    if (start < mem.top) {
        struct range r = *last;

        if (r.dirty) {
            mem.dirty_bytes -= r.end - r.start;
            if (zeroed)
                clear(at < r.end ? at : r.end, r.end);
        }
        drop(mem.frees - 1);
        mem.top = end;
        if (start < at)
            free_insert(start, at, r.dirty);
    } else {
        mem.top = end;
        if (start < at)
            free_insert(start, at, false);
    }
    return at;
}

static void *allocate(size_t bytes, size_t align, bool zeroed)
{
    uint64_t at;

    if (bytes == 0 || bytes > GUEST_ARENA_SIZE || align > GUEST_ARENA_SIZE)
        return NULL;
    if (!mem.free)
        table_grow();
    if (align < PAGE)
        align = PAGE;
    bytes = round_up(bytes, PAGE);
    at = take_free(bytes, align, zeroed);
    if (!at)
        at = take_new(bytes, align, zeroed);
    return (void *)at;
}

void *mem_alloc(size_t bytes, size_t align) { return allocate(bytes, align, true); }

/* Blocks are joined when they are freed. */
void os_freed(void) { }

void *os_large(size_t bytes) { return allocate(bytes, PAGE, false); }
void os_large_free(void *p, size_t bytes) { mem_free(p, bytes); }

void *os_large_resize(void *p, size_t from, size_t to)
{
    from = round_up(from, PAGE);
    to = round_up(to, PAGE);
    if (to > from)
        return NULL;
    mem_free((uint8_t *)p + to, from - to);
    return p;
}

void mem_free(void *p, size_t bytes)
{
    uint64_t start = (uint64_t)p;

    if (!p || !bytes)
        return;
    bytes = round_up(bytes, PAGE);
    assert(start >= ARENA && start + bytes <= mem.top);
    free_insert(start, start + bytes, true);
}

/* Called before a wait that may be long. */
void mem_idle(void)
{
    if (mem.dirty_bytes < IDLE_TOTAL)
        return;
    for (size_t i = 0; i < mem.frees; i++) {
        struct range *r = &mem.free[i];

        if (!r->dirty || r->end - r->start < IDLE_RANGE)
            continue;
        release(r->start, r->end);
        mem.dirty_bytes -= r->end - r->start;
        r->dirty = false;
    }
}

unsigned mem_bake(struct mem_run *run, unsigned max)
{
    unsigned n = 0;

    /* Whoever asks what was written wants to see that of what is free, too. */
    for (size_t i = 0; i < mem.frees && !(guest_info->flags & GUEST_BAKE_IDLE); i++) {
        struct range *r = &mem.free[i];

        if (r->dirty) {
            clear(r->start, r->end);
            mem.dirty_bytes -= r->end - r->start;
            r->dirty = false;
        }
    }
    memcpy(mem.baked, mem.present, sizeof mem.baked);
    for (uint64_t i = 0; i < CHUNKS; i++) {
        uint64_t va = ARENA + i * GUEST_CHUNK;

        if (!(mem.present[i / 64] >> i % 64 & 1))
            continue;
        if (n > 0 && run[n - 1].start + run[n - 1].bytes == va)
            run[n - 1].bytes += GUEST_CHUNK;
        else if (n < max)
            run[n++] = (struct mem_run){va, GUEST_CHUNK};
        else
            return 0;
    }
    return n;
}

void *os_pages(size_t bytes, size_t align)
{
    void *p = mem_alloc(bytes, align);

    if (p)
        mem.in_use += round_up(bytes, PAGE);
    return p;
}

void os_pages_free(void *p, size_t bytes)
{
    if (!p)
        return;
    mem_free(p, bytes);
    mem.in_use -= round_up(bytes, PAGE);
}

/* Freeing costs nothing here that could be done before. */
void os_discard(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
}

size_t os_pages_in_use(void)
{
    return mem.in_use;
}

void *os_reserve(size_t bytes)
{
    uint64_t n = round_up(bytes, GUEST_CHUNK);

    if (bytes == 0 || n < bytes || n > mem.bottom - mem.top)
        return NULL;
    mem.bottom -= n;
    return (void *)mem.bottom;
}

int os_commit(void *p, size_t bytes)
{
    uint64_t va = (uint64_t)p;

    if (bytes == 0)
        return 0;
    assert(va >= mem.bottom && va + bytes <= ARENA_END);
    if (make_present(va, va + bytes) < 0)
        return -ENOMEM;
    mem.in_use += bytes;
    return 0;
}

void os_decommit(void *p, size_t bytes)
{
    uint64_t va = (uint64_t)p;

    if (bytes == 0)
        return;
    release(va, va + bytes);
    mem.in_use -= bytes;
}
