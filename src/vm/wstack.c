/* wstack.c - the part of the word stack that is rarely needed: growing. */
#include "vm/wstack.h"
#include "vm/slice.h"

void wstack_free(struct wstack *s)
{
    slice_free(s->base);
}

void wstack_grow(struct wstack *s)
{
    size_t size = s->size * 2;

    if (s->base == s->local) {
        s->base = vm_alloc(ALLOC_SYSTEM, size * sizeof(term));
        memcpy(s->base, s->local, s->n * sizeof(term));
    } else {
        s->base = vm_realloc(s->base, size * sizeof(term));
    }
    s->size = size;
}
