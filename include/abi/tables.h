/*
 * tables.h - a guest's page tables, for those who make them: tender and shim.
 *
 * Tables come from a pool that the loader hands over, zeroed; entries only go
 * from absent to present. PML4 slot 0 maps physical memory for ring 0 and has
 * no U bit at the top, so nothing below it can become reachable from CPL3.
 */
#ifndef ABI_TABLES_H
#define ABI_TABLES_H

#include "abi/guest.h"

#define PTE_P       0x1ul
#define PTE_W       0x2ul
#define PTE_U       0x4ul
#define PTE_2M      0x80ul
#define PTE_NX      (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul

struct tables {
    uint8_t *pool;          /* where we write */
    uint64_t pool_pa;       /* where it lies for the guest; the PML4 is first */
    uint32_t used, pages;   /* tables taken, and there are */
};

static inline uint64_t *tables_at(struct tables *t, uint64_t pa)
{
    return (uint64_t *)(t->pool + (pa - t->pool_pa));
}

static inline uint64_t tables_new(struct tables *t)
{
    if (t->used == t->pages)
        return 0;
    return t->pool_pa + 4096ul * t->used++;
}

/* The table below an entry, made if it is absent; NULL if the pool is empty. */
static inline uint64_t *tables_below(struct tables *t, uint64_t *entry)
{
    if (!(*entry & PTE_P)) {
        uint64_t pa = tables_new(t);

        if (!pa)
            return NULL;
        *entry = pa | PTE_P | PTE_W | PTE_U;
    }
    return tables_at(t, *entry & PTE_ADDRESS);
}

/* Of the 2 MiB around va, whether something is mapped there. */
static inline int tables_present(struct tables *t, uint64_t va)
{
    uint64_t *e = &tables_at(t, t->pool_pa)[va >> 39 & 511];

    if (!(*e & PTE_P))
        return 0;
    e = &tables_at(t, *e & PTE_ADDRESS)[va >> 30 & 511];
    if (!(*e & PTE_P))
        return 0;
    e = &tables_at(t, *e & PTE_ADDRESS)[va >> 21 & 511];
    return *e & PTE_P;
}

/*
 * Map whole pages, large ones where both addresses allow. The range is absent.
 * Returns 0, or -1 if the pool is empty.
 */
static inline int tables_map(struct tables *t, uint64_t va, uint64_t pa,
                             uint64_t bytes, uint64_t flags)
{
    uint64_t end = va + bytes;

    while (va < end) {
        uint64_t *e = &tables_at(t, t->pool_pa)[va >> 39 & 511];

        if (!(e = tables_below(t, e)) ||
            !(e = tables_below(t, &e[va >> 30 & 511])))
            return -1;
        e += va >> 21 & 511;
        if (!((va | pa) & 0x1fffff) && end - va >= 0x200000) {
            *e = pa | flags | PTE_2M;
            va += 0x200000;
            pa += 0x200000;
            continue;
        }
        if (!(e = tables_below(t, e)))
            return -1;
        e += va >> 12 & 511;
        do {
            *e++ = pa | flags;
            va += 4096;
            pa += 4096;
        } while (va < end && (va & 0x1fffff));
    }
    return 0;
}

/* For a segment of the image with these p_flags (PF_X 1, PF_W 2). */
static inline uint64_t tables_flags(uint32_t p_flags)
{
    return PTE_P | PTE_U | (p_flags & 2 ? PTE_W : 0) | (p_flags & 1 ? 0 : PTE_NX);
}

#endif
