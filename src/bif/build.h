/*
 * build.h - small results of BIFs, piece by piece on p's heap (heap_alloc).
 */
#ifndef BIF_BUILD_H
#define BIF_BUILD_H

#include "vm/heap.h"

static inline term build_cons(struct proc *p, term head, term tail)
{
    term *hp = heap_alloc(p, CONS_WORDS);

    return put_cons(&hp, head, tail);
}

static inline term build_tuple2(struct proc *p, term a, term b)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, a, b);
}

static inline term build_tuple3(struct proc *p, term a, term b, term c)
{
    term *hp = heap_alloc(p, 4);

    return put_tuple3(&hp, a, b, c);
}

static inline term build_tuple4(struct proc *p, term a, term b, term c, term d)
{
    term *hp = heap_alloc(p, 5);

    return put_tuple4(&hp, a, b, c, d);
}

/* [{Key, Value} | Tail] */
static inline term build_item(struct proc *p, term key, term value, term tail)
{
    return build_cons(p, build_tuple2(p, key, value), tail);
}

#endif
