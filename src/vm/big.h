/*
 * big.h - integers of any size, and arithmetic on mixed numbers.
 *
 * A bignum is a sign (its box type) and 64-bit digits, least significant
 * first, no leading zero digit, and never a value that fits a small.
 * Everything here is a guard BIF in the sense of heap.h: results are built
 * with heap_try(), and THE_NON_VALUE with p->need_words != 0 means collect
 * and call again; with need_words == 0 the failure is in p->exc.
 */
#ifndef VM_BIG_H
#define VM_BIG_H

#include "vm/proc.h"

/* OTP 25's limit (erl_term.h, BIG_ARITY_MAX); beyond it: system_limit. */
#define BIG_MAX_DIGITS (((size_t)1 << 19) - 1)

static inline size_t big_digits(term t) { return header_words(*boxed_ptr(t)); }
static inline const uint64_t *big_data(term t) { return boxed_ptr(t) + 1; }
static inline bool big_negative(term t)
{
    return header_type(*boxed_ptr(t)) == BOX_NEGBIG;
}

/* + - * div rem / band bor bxor bsl bsr, unary - and bnot, abs. */
term num_add(struct proc *p, term a, term b);
term num_sub(struct proc *p, term a, term b);
term num_mul(struct proc *p, term a, term b);
term num_div(struct proc *p, term a, term b);       /* div */
term num_rem(struct proc *p, term a, term b);
term num_fdiv(struct proc *p, term a, term b);      /* / */
term num_band(struct proc *p, term a, term b);
term num_bor(struct proc *p, term a, term b);
term num_bxor(struct proc *p, term a, term b);
term num_bsl(struct proc *p, term a, term b);
term num_bsr(struct proc *p, term a, term b);
term num_neg(struct proc *p, term a);
term num_bnot(struct proc *p, term a);
term num_abs(struct proc *p, term a);

/* Order of two numbers of any kinds, exactly: <0, 0, >0. */
int num_compare(term a, term b);
int big_compare(term a, term b);                    /* two integers */
/* To a double; false if it does not fit. */
bool num_to_double(term t, double *d);
/* An integral double as an integer. heap_try contract. */
term num_from_double(struct proc *p, double d);

/* From and to C integers. Words needed at most: BIG_INT64_WORDS. */
#define BIG_INT64_WORDS 2
term int64_put(term **hp, int64_t v);
term uint64_put(term **hp, uint64_t v);
term int64_make(struct proc *p, int64_t v);         /* heap_alloc */
term uint64_make(struct proc *p, uint64_t v);
bool term_to_int64(term t, int64_t *v);             /* false: not, or too large */
bool term_to_uint64(term t, uint64_t *v);

/*
 * From and to bytes (bit syntax, external terms). Digits of `n` bytes, least
 * first; negative selects the sign of the magnitude. big_put needs
 * big_bytes_words(n) words and returns a small when it fits.
 */
static inline size_t big_bytes_words(size_t n) { return 1 + (n + 7) / 8; }
term big_put_bytes(term **hp, const uint8_t *le, size_t n, bool negative);

/*
 * The integer whose digits are hp[1..1 + n), in the words allocated last: what
 * is not needed of them is given back. THE_NON_VALUE with system_limit in
 * p->exc if it is too large.
 */
term big_finish(struct proc *p, term *hp, size_t n, bool negative);

/* Text. Returns bytes written; the buffer has int_text_max(t, base) bytes. */
size_t int_text_max(term t, unsigned base);
size_t int_to_text(term t, unsigned base, char *out);
/* heap_alloc; THE_NON_VALUE (badarg or system_limit in p->exc) if not one. */
term int_from_text(struct proc *p, const char *s, size_t n, unsigned base);
/* Shortest text that reads back as d, as float_to_list(F, [short]). <= 32. */
size_t double_to_text(double d, char *out);

#endif
