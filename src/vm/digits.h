/*
 * digits.h - arithmetic on magnitudes: arrays of 64-bit digits, least first.
 *
 * Nothing here knows about terms, heaps or signs. Results go to memory of the
 * caller, whose size each function states; unless said otherwise a result may
 * be one of the operands but may not overlap one in part. "Stripped" means
 * that the highest digit is not 0; zero has no digits.
 *
 * Scratch memory comes from vm_alloc() and is a small multiple of the size of
 * the operands, which BIG_MAX_DIGITS bounds.
 */
#ifndef VM_DIGITS_H
#define VM_DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Number of digits without the zeros at the top. */
static inline size_t dig_strip(const uint64_t *a, size_t n)
{
    while (n > 0 && a[n - 1] == 0)
        n--;
    return n;
}

/* Order of two stripped magnitudes: <0, 0, >0. */
int dig_compare(const uint64_t *a, size_t na, const uint64_t *b, size_t nb);

/* r[0..na) = a + b, na >= nb; the carry. */
uint64_t dig_add(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
                 size_t nb);
/* r[0..na) = a - b, na >= nb; the borrow. */
uint64_t dig_sub(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
                 size_t nb);
/* r[0..n) = a * m + carry; the carry out. */
uint64_t dig_mul1(uint64_t *r, const uint64_t *a, size_t n, uint64_t m,
                  uint64_t carry);
/* q[0..n) = a / d, d != 0; the remainder. */
uint64_t dig_divrem1(uint64_t *q, const uint64_t *a, size_t n, uint64_t d);

/* r[0..na + nb) = a * b, na and nb > 0; r overlaps neither. */
void dig_mul(uint64_t *r, const uint64_t *a, size_t na, const uint64_t *b,
             size_t nb);
void dig_sqr(uint64_t *r, const uint64_t *a, size_t n);

/*
 * q[0..na - nb + 1) = a / b and r[0..nb) = a rem b, for na >= nb > 0 and b
 * stripped. q or r may be NULL: not wanted. They overlap nothing.
 */
void dig_divrem(uint64_t *q, uint64_t *r, const uint64_t *a, size_t na,
                const uint64_t *b, size_t nb);

/* r[0..n) = a << bits, bits in 0..63; what leaves at the top. */
uint64_t dig_shl(uint64_t *r, const uint64_t *a, size_t n, unsigned bits);
/* r[0..n) = a >> bits, bits in 0..63; what leaves, at the top of a digit. */
uint64_t dig_shr(uint64_t *r, const uint64_t *a, size_t n, unsigned bits);

#endif
