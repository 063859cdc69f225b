/* wstack.c - the part of the word stack that is rarely needed: growing. */
#include "vm/wstack.h"

#include "os/os.h"
#include "vm/slice.h"

void wstack_grow(struct wstack *s, size_t n)
{
    size_t used = s->n * sizeof(term);
    term *base;

    do
        s->size *= 2;
    while (s->size - s->n < n);
    base = vm_alloc(ALLOC_SYSTEM, s->size * sizeof(term));
    if (used < OS_LARGE)
        memcpy(base, s->base, used);
    else
        slice_copy(base, s->base, used);
    wstack_fini(s);
    s->base = base;
}

void wstack_free(struct wstack *s)
{
    slice_free(s->base);
}
