/*
 * term.h - Erlang terms as text (.app, .script files), and as external terms.
 *
 * Terms live until the program ends. Text nested deeper than TERM_DEPTH is
 * refused: files of this kind never are.
 */
#ifndef TOOL_TERM_H
#define TOOL_TERM_H

#include "kindling.h"

#define TERM_DEPTH 200

enum term_kind {
    TERM_ATOM,
    TERM_INT,           /* |number| < 2^63 */
    TERM_FLOAT,
    TERM_BINARY,
    TERM_TUPLE,
    TERM_LIST,          /* proper; a string is a list with `text` */
    TERM_MAP,           /* keys and values by turns */
};

struct term {
    enum term_kind kind;
    int64_t number;
    double real;
    char *text;         /* atom, binary, string: bytes, NUL added */
    size_t n;           /* bytes of text, or items */
    struct term **item;
};

/*
 * The first term of a text, up to its full stop; NULL with a message in `why`
 * ("line 3: ...").
 */
struct term *term_read(const char *text, size_t n, char *why, size_t why_n);
struct term *term_atom(const char *name);
struct term *term_string(const char *s);
struct term *term_make(enum term_kind kind, size_t n, ...);     /* items */
void term_append(struct term *list, struct term *item);

bool term_is_atom(const struct term *t, const char *name);
bool term_is_tuple(const struct term *t, size_t n);
/* The value of {Key, Value} in a list; NULL if there is none. */
struct term *term_lookup(const struct term *list, const char *key);
/* A list, not a string; `[]` is one of no items. */
bool term_is_list(const struct term *t);

void term_external(struct buffer *b, const struct term *t);     /* with 131 */

#endif
