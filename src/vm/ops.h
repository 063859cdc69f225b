/*
 * ops.h - what any term can be asked: equality, order, hash, copy, size.
 *
 * No recursion on the depth of a term: an explicit stack (wstack.h).
 */
#ifndef VM_OPS_H
#define VM_OPS_H

#include "vm/heap.h"

bool term_eq_slow(term a, term b);          /* =:= of two non-identical terms */
static inline bool term_eq(term a, term b)  /* =:= */
{
    return a == b || (!(term_is_imm(a) || term_is_imm(b)) && term_eq_slow(a, b));
}
/* Erlang's order, 1 == 1.0. <0, 0, >0. */
int term_compare(term a, term b);
/* As map keys and ordered key tables compare: 1 < 1.0. */
int term_compare_exact(term a, term b);
/* Where the type stands in that order: numbers 0, bitstrings 10. */
unsigned term_rank(term t);

uint32_t term_phash2(term t);               /* erlang:phash2/1, 27 bits fold: full 32 */
uint32_t term_phash(term t);                /* erlang:phash/2 */
uint32_t term_hash(term t, uint32_t salt);  /* the VM's own: maps, ets */
uint64_t term_hash64(term t, uint32_t salt);    /* the same, all its bits */
uint32_t term_internal_hash(term t);            /* keys of persistent_term */

/* Words that a copy needs; literals count nothing, sharing is not kept. */
size_t term_size(term t);
/* erts_debug:flat_size: literals count too. */
size_t term_flat_size(term t);
/* A copy in d; literals stay where they are. */
term term_copy(struct dest *d, term t);
/* The same but literals are copied too (purge, persistent_term). */
size_t term_size_all(term t);
term term_copy_all(struct dest *d, term t);
/* n words of whole objects (not match contexts) and cells that refer to nothing
 * outside of them, such as a copy made in one piece: faster than term_copy(). */
void term_copy_block(struct dest *d, const term *from, size_t n);
/* A copy on p's heap (heap_alloc). */
term term_copy_to(struct proc *p, term t);

/* With sharing kept: the size of t in words, and a copy on p's heap. */
size_t term_size_shared(term t);
term term_copy_shared(struct proc *p, term t);
/* The same into an area of its own, literals too; NULL without room. t is no immediate. */
struct literal_area;
struct literal_area *term_to_area(term t, term *copy);

/*
 * Walking along a list. Cells that were made or collected together lie at equal
 * distances. To guess the next one and see that the tail says the same lets the
 * processor go on without waiting for the tail, which is what the pace of such
 * a loop hangs on. A list that is not so is soon walked without guesses.
 */
struct list_walk {
    term step;                  /* 0: no guess, no tail is its own cell */
    unsigned misses;
};
#define LIST_WALK {CONS_WORDS * sizeof(term), 0}
#define LIST_WALK_MISSES 8

/* From the cell *list to what its tail is. True: that is a cell, too. */
static inline bool list_next(term *list, struct list_walk *w)
{
    term tail = cons_tail(*list), next = *list + w->step, guess = next;

    /* Or the compiler takes tail for next where they are equal. */
    __asm__("" : "+r"(guess));
    if (likely(guess == tail)) {
        *list = next;
        return true;
    }
    w->step = w->misses++ < LIST_WALK_MISSES && term_is_cons(tail) ? tail - *list : 0;
    *list = tail;
    return term_is_cons(tail);
}

/* -1 if not a proper list. */
int64_t list_length(term t);

#endif
