/*
 * codemem.h - memory for native code: pieces of the code window.
 *
 * The window is one range of pages mapped twice (os/os.h): where code runs, not
 * writable, and where it is written, not executable. Addresses that leave this
 * file's callers in op/ are those where code runs.
 */
#ifndef OP_CODEMEM_H
#define OP_CODEMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ask the world for the window. NULL, or why there is none. */
const char *codemem_init(void);
/* A piece, a multiple of 16 bytes, 16-byte aligned. NULL: the window is full. */
uint8_t *codemem_alloc(size_t bytes);
void codemem_free(uint8_t *code, size_t bytes);
/* Where to write what runs at `code`. Never kept, never in a term. */
uint8_t *codemem_rw(const void *code);
/* What was written may now be run. */
void codemem_written(void);
/*
 * Bake: nothing is written any more to what has been handed out, nor given
 * back; the next piece comes from a new window. Bytes, whole pages, from the
 * start of the window of now.
 */
size_t codemem_seal(void);
/* May what runs at `code` be written? Not what was sealed. */
bool codemem_writable(const void *code);
/* Bytes handed out. */
size_t codemem_used(void);

#endif
