/*
 * wstack.h - a stack of words that starts in the caller's frame and moves to
 * the allocator when it grows; in place of recursion on terms.
 */
#ifndef VM_WSTACK_H
#define VM_WSTACK_H

#include "vm/vm.h"

#define WSTACK_LOCAL 64

struct wstack {
    term *base;
    size_t n, size;
    term local[WSTACK_LOCAL];
};

static inline void wstack_init(struct wstack *s)
{
    s->base = s->local;
    s->n = 0;
    s->size = WSTACK_LOCAL;
}
void wstack_free(struct wstack *s);
static inline void wstack_fini(struct wstack *s)
{
    if (s->base != s->local)
        wstack_free(s);
}
/* Room for n words more, twice as much at least; ends the VM without memory. */
void wstack_grow(struct wstack *s, size_t n);
static inline void wstack_push(struct wstack *s, term t)
{
    if (unlikely(s->n == s->size))
        wstack_grow(s, 1);
    s->base[s->n++] = t;
}
static inline void wstack_push2(struct wstack *s, term a, term b)
{
    if (unlikely(s->n + 2 > s->size))
        wstack_grow(s, 2);
    s->base[s->n++] = a;
    s->base[s->n++] = b;
}
/*
 * For loops whose pace is the stack's: the top is a variable of the caller's
 * and stays in a register, n is not kept. Room for n words at top, which moves
 * if the stack does.
 */
static inline term *wstack_top(const struct wstack *s) { return s->base + s->n; }
static inline term *wstack_room(struct wstack *s, term *top, size_t n)
{
    if (unlikely((size_t)(s->base + s->size - top) < n)) {
        s->n = (size_t)(top - s->base);
        wstack_grow(s, n);
        top = wstack_top(s);
    }
    return top;
}
/* n words more on top, yet to be written. */
static inline term *wstack_reserve(struct wstack *s, size_t n)
{
    if (unlikely(s->size - s->n < n))
        wstack_grow(s, n);
    s->n += n;
    return &s->base[s->n - n];
}
static inline term wstack_pop(struct wstack *s)
{
    assert(s->n > 0);
    return s->base[--s->n];
}

#endif
