/*
 * ready.h - modules that an image has translated already.
 *
 * The builder translates the image's modules and keeps the result. Loading one
 * later goes its usual way, through OTP's code server, which reads the file and
 * asks for its code to be prepared; only if the bytes are exactly those that
 * were translated, what was prepared then is taken. So nothing but the time it
 * takes can be told from outside.
 */
#ifndef VM_READY_H
#define VM_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct code;

/* Translate a .beam. The bytes must stay: an image's files do. False: why not. */
bool ready_add(const uint8_t *beam, size_t n, char why[256]);
/* The code of exactly these bytes, now the caller's; NULL if there is none. */
struct code *ready_take(const uint8_t *beam, size_t n);

#endif
