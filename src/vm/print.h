/*
 * print.h - terms as text, for erlang:display, crash reports and logs.
 */
#ifndef VM_PRINT_H
#define VM_PRINT_H

#include "vm/term.h"

/* A growing buffer of text. */
struct text {
    char *s;
    size_t n, size;
};
void text_init(struct text *t);
void text_fini(struct text *t);
void text_add(struct text *t, const char *s, size_t n);
void text_printf(struct text *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* As io:write; stops after max_chars (0: no limit). */
void text_term(struct text *t, term value, size_t max_chars);

#endif
