/*
 * console.h - a line on a terminal that can be edited in the middle: what is
 * in it, where the cursor is, and the bytes that make a terminal show it.
 *
 * The line may wrap over several rows. Everything before the last line break
 * is forgotten. Positions count characters; a control character (shown as ^X)
 * and a tab are one character that takes several cells. The terminal is one
 * that knows ANSI sequences.
 *
 * Bytes for the terminal gather in out; the user of this takes them.
 */
#ifndef IO_CONSOLE_H
#define IO_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/print.h"

struct console {
    uint32_t *cell;             /* characters, and CELL_* */
    size_t n, pos, size;        /* cells in the line, the cursor, room */
    uint32_t columns;           /* of the terminal */
    bool utf8;                  /* the terminal takes UTF-8, else Latin-1 */
    struct text out;
};

void console_init(struct console *c, uint32_t columns, bool utf8);
void console_fini(struct console *c);
/* UTF-8 always; what is not is taken for Latin-1. */
void console_put(struct console *c, const uint8_t *s, size_t n);    /* over */
void console_insert(struct console *c, const uint8_t *s, size_t n);
void console_delete(struct console *c, int n);  /* < 0: before the cursor */
void console_move(struct console *c, int n);
void console_beep(struct console *c);

/* Length of the UTF-8 sequence at s and its character; 0: cut short; -1: none. */
int utf8_next(const uint8_t *s, size_t n, uint32_t *c);

#endif
