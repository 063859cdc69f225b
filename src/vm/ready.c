/*
 * ready.c - a table of prepared modules by the size of their .beam: sizes are
 * nearly all different, and a comparison of the bytes decides. An image's file
 * is read without a copy: then they are the same bytes.
 */
#include "vm/ready.h"

#include <string.h>

#include "vm/module.h"
#include "vm/vm.h"

#define BUCKETS 1024

struct ready {
    struct ready *next;
    const uint8_t *beam;
    size_t n;
    struct code *code;
};

static struct ready **table;    /* BUCKETS; none outside an image */

static struct ready **bucket(size_t n)
{
    return &table[n % BUCKETS];
}

bool ready_add(const uint8_t *beam, size_t n, char why[256])
{
    struct code *c = code_prepare(beam, n, why);
    struct ready *r;

    if (!c)
        return false;
    code_patch_natives(c);
    if (!table)
        table = vm_zalloc(ALLOC_CODE, BUCKETS * sizeof *table);
    r = vm_alloc(ALLOC_CODE, sizeof *r);
    *r = (struct ready){.next = *bucket(n), .beam = beam, .n = n, .code = c};
    *bucket(n) = r;
    return true;
}

struct code *ready_take(const uint8_t *beam, size_t n)
{
    if (!table)
        return NULL;
    for (struct ready **at = bucket(n); *at; at = &(*at)->next) {
        struct ready *r = *at;

        if (r->n == n && (r->beam == beam || memcmp(r->beam, beam, n) == 0)) {
            struct code *c = r->code;

            *at = r->next;
            vm_free(r);
            return c;
        }
    }
    return NULL;
}
