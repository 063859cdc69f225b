/*
 * term.c - read Erlang terms from text; write them as external terms.
 */
#include "term.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *p, *end;
    int line;
    char *why;
    size_t why_n;
    bool failed;
};

static struct term *new_term(enum term_kind kind)
{
    struct term *t = allocate(sizeof *t);

    t->kind = kind;
    return t;
}

static struct term *complain(struct reader *r, const char *what)
{
    if (!r->failed)
        snprintf(r->why, r->why_n, "line %d: %s", r->line, what);
    r->failed = true;
    return NULL;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end) {
        if (*r->p == '%') {
            while (r->p < r->end && *r->p != '\n')
                r->p++;
        } else if (isspace((unsigned char)*r->p)) {
            r->line += *r->p == '\n';
            r->p++;
        } else {
            return;
        }
    }
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static void put_utf8(struct buffer *b, uint32_t c)
{
    uint8_t u[4];
    size_t n = 1;

    if (c < 0x80) {
        u[0] = (uint8_t)c;
    } else if (c < 0x800) {
        u[0] = (uint8_t)(0xc0 | c >> 6);
        u[1] = (uint8_t)(0x80 | (c & 63));
        n = 2;
    } else if (c < 0x10000) {
        u[0] = (uint8_t)(0xe0 | c >> 12);
        u[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        u[2] = (uint8_t)(0x80 | (c & 63));
        n = 3;
    } else {
        u[0] = (uint8_t)(0xf0 | c >> 18);
        u[1] = (uint8_t)(0x80 | (c >> 12 & 63));
        u[2] = (uint8_t)(0x80 | (c >> 6 & 63));
        u[3] = (uint8_t)(0x80 | (c & 63));
        n = 4;
    }
    buffer_add(b, u, n);
}

/* After a backslash. -1: cut short or too large. */
static int64_t escape(struct reader *r)
{
    static const char from[] = "bdefnrstv", to[] = "\b\177\33\f\n\r \t\v";
    const char *at;
    char c;

    if (r->p == r->end)
        return -1;
    c = *r->p++;
    if (c >= '0' && c <= '7') {
        int v = c - '0';

        for (int i = 0; i < 2 && r->p < r->end && *r->p >= '0' && *r->p <= '7'; i++)
            v = v * 8 + *r->p++ - '0';
        return v;
    }
    if (c == 'x') {
        int64_t v = 0;
        bool brace = r->p < r->end && *r->p == '{';
        int digits = brace ? 8 : 2;

        r->p += brace;
        while (digits-- > 0 && r->p < r->end && isxdigit((unsigned char)*r->p)) {
            char d = *r->p++;

            v = v * 16 + (d <= '9' ? d - '0' : (d | 32) - 'a' + 10);
        }
        if (brace && (r->p == r->end || *r->p++ != '}'))
            return -1;
        return v > 0x10ffff ? -1 : v;
    }
    if (c == '^' && r->p < r->end)
        return *r->p++ & 31;
    at = strchr(from, c);
    return at ? to[at - from] : (unsigned char)c;
}

/* Up to the quote, as UTF-8. The file is taken to be UTF-8 itself. */
static bool quoted(struct reader *r, char quote, struct buffer *b)
{
    while (r->p < r->end && *r->p != quote) {
        if (*r->p == '\\') {
            int64_t c;

            r->p++;
            c = escape(r);
            if (c < 0) {
                complain(r, "a bad escape sequence");
                return false;
            }
            put_utf8(b, (uint32_t)c);
        } else {
            r->line += *r->p == '\n';
            buffer_add(b, r->p++, 1);
        }
    }
    if (r->p == r->end) {
        complain(r, "a quote that does not end");
        return false;
    }
    r->p++;
    buffer_add(b, "", 1);
    return true;
}

static struct term *text_term(enum term_kind kind, struct buffer *b)
{
    struct term *t = new_term(kind);

    t->text = (char *)b->p;
    t->n = b->n - 1;
    return t;
}

static struct term *number(struct reader *r, bool negative)
{
    const char *start = r->p;
    struct term *t;
    char *end, text[64];
    size_t n;

    while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '_' ||
                             (*r->p == '#' && r->p > start)))
        r->p++;
    if (r->end - r->p >= 2 && *r->p == '.' && isdigit((unsigned char)r->p[1])) {
        r->p++;
        while (r->p < r->end && (isalnum((unsigned char)*r->p) ||
               ((*r->p == '-' || *r->p == '+') && (r->p[-1] | 32) == 'e')))
            r->p++;
        n = (size_t)(r->p - start);
        if (n >= sizeof text)
            return complain(r, "a number that is too long");
        memcpy(text, start, n);
        text[n] = 0;
        t = new_term(TERM_FLOAT);
        t->real = strtod(text, &end);
        if (*end)
            return complain(r, "a bad number");
        if (negative)
            t->real = -t->real;
        return t;
    }
    n = 0;
    for (const char *p = start; p < r->p && n < sizeof text - 1; p++)
        if (*p != '_')
            text[n++] = *p;
    text[n] = 0;
    t = new_term(TERM_INT);
    errno = 0;
    end = strchr(text, '#');
    if (end && atoi(text) >= 2 && atoi(text) <= 36)
        t->number = strtoll(end + 1, &end, atoi(text));
    else
        t->number = strtoll(text, &end, 10);
    if (*end || errno || n == sizeof text - 1)
        return complain(r, "a bad number");
    if (negative)
        t->number = -t->number;
    return t;
}

static struct term *read_term(struct reader *r, int depth);

/* Items up to `close`; `=>` between every two of a map. */
static struct term *items(struct reader *r, enum term_kind kind, char close, int depth)
{
    struct term *t = new_term(kind);

    if (take(r, close))
        return t;
    for (;;) {
        struct term *item = read_term(r, depth + 1);

        if (!item)
            return NULL;
        term_append(t, item);
        if (kind == TERM_MAP && t->n % 2) {
            if (!take(r, '=') || !take(r, '>'))
                return complain(r, "=> expected");
            continue;
        }
        if (take(r, close))
            return t;
        if (!take(r, ','))
            return complain(r, "a comma or a closing bracket expected");
    }
}

static struct term *binary(struct reader *r)
{
    struct buffer b = {0};

    skip_space(r);
    if (take(r, '"')) {
        if (!quoted(r, '"', &b))
            return NULL;
        skip_space(r);
        if (r->end - r->p > 5 && strncmp(r->p, "/utf8", 5) == 0)
            r->p += 5;
    } else {
        buffer_add(&b, "", 1);
    }
    if (!take(r, '>') || !take(r, '>'))
        return complain(r, ">> expected");
    return text_term(TERM_BINARY, &b);
}

static struct term *read_term(struct reader *r, int depth)
{
    struct buffer b = {0};
    char c;

    if (depth > TERM_DEPTH)
        return complain(r, "terms nested too deep");
    skip_space(r);
    if (r->p == r->end)
        return complain(r, "the text ends within a term");
    c = *r->p;
    if (islower((unsigned char)c)) {
        while (r->p < r->end && (isalnum((unsigned char)*r->p) || *r->p == '_' ||
                                 *r->p == '@'))
            buffer_add(&b, r->p++, 1);
        buffer_add(&b, "", 1);
        return text_term(TERM_ATOM, &b);
    }
    if (isdigit((unsigned char)c))
        return number(r, false);
    r->p++;
    switch (c) {
    case '\'':
        return quoted(r, c, &b) ? text_term(TERM_ATOM, &b) : NULL;
    case '"': {
        struct term *t;

        do {            /* "a" "b" is one string */
            if (b.n)
                b.n--;
            if (!quoted(r, '"', &b))
                return NULL;
        } while (take(r, '"'));
        t = text_term(TERM_LIST, &b);
        if (t->n == 0)
            t->text = NULL;
        return t;
    }
    case '{':
        return items(r, TERM_TUPLE, '}', depth);
    case '[':
        return items(r, TERM_LIST, ']', depth);
    case '#':
        if (take(r, '{'))
            return items(r, TERM_MAP, '}', depth);
        break;
    case '<':
        if (r->p < r->end && *r->p == '<') {
            r->p++;
            return binary(r);
        }
        break;
    case '-':
        skip_space(r);
        if (r->p < r->end && isdigit((unsigned char)*r->p))
            return number(r, true);
        break;
    case '$':
        if (r->p < r->end) {
            struct term *t = new_term(TERM_INT);

            t->number = (unsigned char)*r->p++;
            if (t->number == '\\')
                t->number = escape(r);
            return t->number < 0 ? complain(r, "a bad character") : t;
        }
        break;
    }
    return complain(r, "not an Erlang term");
}

struct term *term_read(const char *text, size_t n, char *why, size_t why_n)
{
    struct reader r = {text, text + n, 1, why, why_n, false};
    struct term *t = read_term(&r, 0);

    if (t && !take(&r, '.'))
        return complain(&r, "a full stop expected");
    return t;
}

struct term *term_atom(const char *name)
{
    struct term *t = new_term(TERM_ATOM);

    t->text = format("%s", name);
    t->n = strlen(name);
    return t;
}

struct term *term_string(const char *s)
{
    struct term *t = term_atom(s);

    t->kind = TERM_LIST;
    if (t->n == 0)
        t->text = NULL;
    return t;
}

struct term *term_make(enum term_kind kind, size_t n, ...)
{
    struct term *t = new_term(kind);
    va_list ap;

    va_start(ap, n);
    for (size_t i = 0; i < n; i++)
        term_append(t, va_arg(ap, struct term *));
    va_end(ap);
    return t;
}

void term_append(struct term *list, struct term *item)
{
    if ((list->n & (list->n - 1)) == 0)
        list->item = reallocate(list->item,
                                (list->n ? list->n * 2 : 1) * sizeof *list->item);
    list->item[list->n++] = item;
}

bool term_is_atom(const struct term *t, const char *name)
{
    return t && t->kind == TERM_ATOM && strcmp(t->text, name) == 0;
}

bool term_is_tuple(const struct term *t, size_t n)
{
    return t && t->kind == TERM_TUPLE && t->n == n;
}

bool term_is_list(const struct term *t)
{
    return t && t->kind == TERM_LIST && !t->text;
}

struct term *term_lookup(const struct term *list, const char *key)
{
    for (size_t i = 0; term_is_list(list) && i < list->n; i++)
        if (term_is_tuple(list->item[i], 2) &&
            term_is_atom(list->item[i]->item[0], key))
            return list->item[i]->item[1];
    return NULL;
}

/* --- external terms: erts/emulator/internal_doc, "External Term Format" --- */

static void put(struct buffer *b, uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) {
        uint8_t c = (uint8_t)(v >> 8 * i);

        buffer_add(b, &c, 1);
    }
}

static void external_int(struct buffer *b, int64_t n)
{
    uint64_t v = n < 0 ? -(uint64_t)n : (uint64_t)n;
    int bytes = 0;

    if (n >= 0 && n < 256) {
        put(b, 97, 1);
        put(b, (uint64_t)n, 1);
        return;
    }
    if (n >= INT32_MIN && n <= INT32_MAX) {
        put(b, 98, 1);
        put(b, (uint32_t)n, 4);
        return;
    }
    while (bytes < 8 && v >> 8 * bytes)
        bytes++;
    put(b, 110, 1);
    put(b, (uint64_t)bytes, 1);
    put(b, n < 0, 1);
    for (int i = 0; i < bytes; i++)
        put(b, v >> 8 * i & 255, 1);
}

/* The code points of valid UTF-8; a bad byte is itself (Latin-1). */
static uint32_t next_char(const uint8_t **p, const uint8_t *end)
{
    uint32_t c = *(*p)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    if (more == 0 || end - *p < more)
        return c;
    for (int i = 0; i < more; i++)
        if (((*p)[i] & 0xc0) != 0x80)
            return c;
    c &= 0x3fu >> more;
    for (int i = 0; i < more; i++)
        c = c << 6 | (*(*p)++ & 63);
    return c;
}

static void external_string(struct buffer *b, const struct term *t)
{
    const uint8_t *p = (const uint8_t *)t->text, *end = p + t->n;
    size_t n = 0;
    bool bytes = true;

    while (p < end) {
        bytes &= next_char(&p, end) < 256;
        n++;
    }
    p = (const uint8_t *)t->text;
    if (bytes && n < 65536) {
        put(b, 107, 1);
        put(b, n, 2);
        while (p < end)
            put(b, next_char(&p, end), 1);
        return;
    }
    put(b, 108, 1);
    put(b, n, 4);
    while (p < end)
        external_int(b, next_char(&p, end));
    put(b, 106, 1);
}

static void external(struct buffer *b, const struct term *t)
{
    uint64_t bits;

    switch (t->kind) {
    case TERM_ATOM:
        put(b, t->n < 256 ? 119 : 118, 1);
        put(b, t->n, t->n < 256 ? 1 : 2);
        buffer_add(b, t->text, t->n);
        return;
    case TERM_INT:
        external_int(b, t->number);
        return;
    case TERM_FLOAT:
        memcpy(&bits, &t->real, 8);
        put(b, 70, 1);
        put(b, bits, 8);
        return;
    case TERM_BINARY:
        put(b, 109, 1);
        put(b, t->n, 4);
        buffer_add(b, t->text, t->n);
        return;
    case TERM_TUPLE:
        put(b, t->n < 256 ? 104 : 105, 1);
        put(b, t->n, t->n < 256 ? 1 : 4);
        break;
    case TERM_LIST:
        if (t->text) {
            external_string(b, t);
            return;
        }
        if (t->n == 0) {
            put(b, 106, 1);
            return;
        }
        put(b, 108, 1);
        put(b, t->n, 4);
        break;
    case TERM_MAP:
        put(b, 116, 1);
        put(b, t->n / 2, 4);
        break;
    }
    for (size_t i = 0; i < t->n; i++)
        external(b, t->item[i]);
    if (t->kind == TERM_LIST)
        put(b, 106, 1);
}

void term_external(struct buffer *b, const struct term *t)
{
    put(b, 131, 1);
    external(b, t);
}
