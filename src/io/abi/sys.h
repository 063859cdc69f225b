/*
 * sys.h - the little that OTP's own NIF sources (zlib_nif.c) use of the
 * emulator's header of that name.
 */
#ifndef IO_ABI_SYS_H
#define IO_ABI_SYS_H

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <stdint.h>

#include "vm/term.h"

#define NIL TERM_NIL
#define ASSERT(x) assert(x)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define sys_memcpy memcpy
#define sys_memset memset
typedef uint64_t Uint;
typedef int64_t Sint;
typedef uint32_t Uint32;

#endif
