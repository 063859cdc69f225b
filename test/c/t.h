/*
 * t.h - what the C tests share: a process without a scheduler, random terms.
 */
#ifndef TEST_C_T_H
#define TEST_C_T_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vm/proc.h"

/* A generator with a seed that a failure can print. */
struct rng {
    uint64_t s;
};
uint64_t rng_next(struct rng *r);
static inline size_t rng_below(struct rng *r, size_t n) { return rng_next(r) % n; }

/* The VM's tables, once. */
void t_vm(void);
/* A process with an empty heap of the least size. */
struct proc *t_proc(void);
void t_proc_free(struct proc *p);

/*
 * A random term on p's heap, of any type, made of what is in known[0..n) and of
 * new things. With sharing.
 */
term t_term(struct rng *r, struct proc *p, const term *known, size_t n);
/* Keys: small terms of all kinds, few enough that they repeat. */
term t_key(struct rng *r, struct proc *p);

#endif
