/*
 * print.c - terms as text.
 *
 * What io:write/1 prints, but for two things that erlang:display/1 does and
 * that make a log readable: a list of printable Latin-1 characters is a
 * string, and so is a binary of printable ASCII.
 */
#include "vm/print.h"
#include "vm/atom.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/node.h"
#include "vm/wstack.h"

#include <stdarg.h>
#include <stdio.h>

void text_init(struct text *t)
{
    *t = (struct text){0};
}

void text_fini(struct text *t)
{
    vm_free(t->s);
    *t = (struct text){0};
}

/* Room for n more bytes and a NUL. */
static char *text_room(struct text *t, size_t n)
{
    if (t->size - t->n <= n) {
        size_t size = t->size * 2 > t->n + n + 1 ? t->size * 2 : t->n + n + 1;

        if (size < 256)
            size = 256;
        t->s = vm_realloc(t->s, size);
        t->size = size;
    }
    return t->s + t->n;
}

void text_add(struct text *t, const char *s, size_t n)
{
    char *at = text_room(t, n);

    memcpy(at, s, n);
    at[n] = '\0';
    t->n += n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    va_start(ap, fmt);
    vsnprintf(text_room(t, (size_t)n), (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

static void add_str(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

static bool is_lower(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7);
}

static bool is_word(unsigned c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c >= 0xc0 && c <= 0xde && c != 0xd7) || c == '_' || c == '@';
}

/* The Latin-1 character at s, 0 if it is none; *n is its length. */
static unsigned latin1_at(const uint8_t *s, size_t *n)
{
    if (*s < 0x80) {
        *n = 1;
        return *s;
    }
    *n = *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
    return *s == 0xc2 || *s == 0xc3 ? (*s & 3u) << 6 | (s[1] & 0x3f) : 0;
}

static bool is_reserved(const struct atom *a)
{
    static const char *const words[] = {
        "after", "and",  "andalso", "band",  "begin", "bnot", "bor",
        "bsl",   "bsr",  "bxor",    "case",  "catch", "cond", "div",
        "else",  "end",  "fun",     "if",    "let",   "maybe", "not",
        "of",    "or",   "orelse",  "receive", "rem", "try",  "when", "xor",
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == a->bytes &&
            memcmp(words[i], a->name, a->bytes) == 0)
            /* "else" and "maybe" are, only where the feature is on. */
            return strcmp(words[i], "else") != 0 &&
                   strcmp(words[i], "maybe") != 0;
    return false;
}

static bool needs_quotes(const struct atom *a)
{
    size_t n = 0;

    if (a->bytes == 0 || !is_lower(latin1_at(a->name, &n)))
        return true;
    for (size_t i = n; i < a->bytes; i += n)
        if (!is_word(latin1_at(a->name + i, &n)))
            return true;
    return is_reserved(a);
}

/* Latin-1 control characters as escapes; the rest of UTF-8 as it is. */
static void add_escaped(struct text *t, const uint8_t *s, size_t bytes, char quote)
{
    size_t n;

    for (size_t i = 0; i < bytes; i += n) {
        unsigned c = latin1_at(s + i, &n);

        if (c == (unsigned char)quote || c == '\\')
            text_printf(t, "\\%c", c);
        else if (c >= '\b' && c <= '\r')
            text_printf(t, "\\%c", "btnvfr"[c - '\b']);
        else if (s[i] < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0))
            text_printf(t, "\\%03o", c);
        else
            text_add(t, (const char *)s + i, n);
    }
}

static void add_atom(struct text *t, term atom)
{
    const struct atom *a = atom_get(atom);
    bool quotes = needs_quotes(a);

    if (quotes)
        text_add(t, "'", 1);
    add_escaped(t, a->name, a->bytes, quotes ? '\'' : 0);
    if (quotes)
        text_add(t, "'", 1);
}

static bool is_print_char(term t)
{
    int64_t c;

    if (!term_is_small(t))
        return false;
    c = small_value(t);
    return (c >= ' ' && c < 0x7f) || (c >= 0xa0 && c <= 0xff) ||
           (c >= '\b' && c <= '\r') || c == 27;
}

static bool is_string(term t)
{
    while (term_is_cons(t) && is_print_char(cons_head(t)))
        t = cons_tail(t);
    return term_is_nil(t);
}

static void add_string(struct text *t, term s, size_t limit)
{
    text_add(t, "\"", 1);
    for (; term_is_cons(s) && t->n < limit; s = cons_tail(s)) {
        unsigned c = (unsigned)small_value(cons_head(s));
        uint8_t utf8[2] = {0xc0 | c >> 6, 0x80 | (c & 0x3f)};

        if (c == 27)
            add_str(t, "\\e");
        else if (c < 0x80)
            add_escaped(t, &(uint8_t){(uint8_t)c}, 1, '"');
        else
            text_add(t, (const char *)utf8, 2);
    }
    text_add(t, "\"", 1);
}

static void add_bits(struct text *t, term bin, size_t limit)
{
    struct bits b = bits_of(bin);
    uint64_t bytes = b.size / 8;
    unsigned extra = b.size & 7;
    bool string = bytes > 0 && extra == 0;
    uint8_t c = 0;

    for (uint64_t i = 0; string && i < bytes; i++) {
        bits_copy(&c, 0, b.base, b.offset + i * 8, 8);
        string = c >= ' ' && c < 0x7f;
    }
    add_str(t, string ? "<<\"" : "<<");
    for (uint64_t i = 0; i < bytes && t->n < limit; i++) {
        bits_copy(&c, 0, b.base, b.offset + i * 8, 8);
        if (string)
            add_escaped(t, &c, 1, '"');
        else
            text_printf(t, i ? ",%u" : "%u", c);
    }
    if (extra) {
        bits_copy(&c, 0, b.base, b.offset + bytes * 8, extra);
        text_printf(t, bytes ? ",%u:%u" : "%u:%u", c >> (8 - extra), extra);
    }
    add_str(t, string ? "\">>" : ">>");
}

static void add_integer(struct text *t, term i)
{
    char small[24], *buf = small;
    size_t max = int_text_max(i, 10);

    if (max > sizeof small)
        buf = vm_alloc(ALLOC_SYSTEM, max);
    text_add(t, buf, int_to_text(i, 10, buf));
    if (buf != small)
        vm_free(buf);
}

/* Other nodes show as their name's index, as OTP's channels do. */
static unsigned node_number(const struct node *n)
{
    return n == *node_this ? 0 : atom_index(n->name);
}

static void add_ext(struct text *t, const term *obj)
{
    const struct ext_words *e = (const struct ext_words *)obj;
    unsigned node = node_number(e->node);

    switch (header_type(*obj)) {
    case BOX_EXTPID:
        text_printf(t, "<%u.%u.%u>", node, (uint32_t)e->data[0],
                    (uint32_t)(e->data[0] >> 32));
        break;
    case BOX_EXTPORT:
        text_printf(t, "#Port<%u.%llu>", node, (unsigned long long)e->data[0]);
        break;
    default:
        text_printf(t, "#Ref<%u", node);
        for (size_t i = e->data[0]; i-- > 0;)
            text_printf(t, ".%u",
                        (uint32_t)(e->data[1 + i / 2] >> (i & 1 ? 32 : 0)));
        text_add(t, ">", 1);
    }
}

/* On the stack: terms, and texts that stand between and behind them. */
enum punctuation { COMMA, BAR, ARROW, END_LIST, END_TUPLE };
static const char *const punctuation[] = {",", "|", "=>", "]", "}"};
#define MARK(p) HEADER(31, 0, p)
/* The elements of a list from its second on lie below. */
#define MARK_TAIL HEADER(30, 0, 0)

static void add_one(struct text *t, term v, struct wstack *todo, size_t limit)
{
    if (term_is_atom(v)) {
        add_atom(t, v);
    } else if (term_is_small(v)) {
        add_integer(t, v);
    } else if (term_is_nil(v)) {
        add_str(t, "[]");
    } else if (term_is_local_pid(v)) {
        text_printf(t, "<0.%u.%u>", pid_number(v), pid_serial(v));
    } else if (term_is_local_port(v)) {
        text_printf(t, "#Port<0.%llu>", (unsigned long long)port_number(v));
    } else if (term_is_cons(v)) {
        if (is_string(v)) {
            add_string(t, v, limit);
            return;
        }
        text_add(t, "[", 1);
        wstack_push(todo, cons_tail(v));
        wstack_push(todo, MARK_TAIL);
        wstack_push(todo, cons_head(v));
    } else if (term_is_boxed(v)) {
        const term *obj = boxed_ptr(v);
        size_t n = header_words(*obj);

        switch (header_type(*obj)) {
        case BOX_TUPLE:
            text_add(t, "{", 1);
            wstack_push(todo, MARK(END_TUPLE));
            for (size_t i = n; i > 0; i--) {
                wstack_push(todo, obj[i]);
                if (i > 1)
                    wstack_push(todo, MARK(COMMA));
            }
            break;
        case BOX_MAP:
        case BOX_HASHMAP: {
            struct map_iter it;
            size_t from;
            term key, value;

            add_str(t, "#{");
            wstack_push(todo, MARK(END_TUPLE));
            from = todo->n;
            map_iter_init(&it, v);
            while (map_iter_next(&it, &key, &value)) {
                if (todo->n > from)
                    wstack_push(todo, MARK(COMMA));
                wstack_push(todo, key);
                wstack_push(todo, MARK(ARROW));
                wstack_push(todo, value);
            }
            /* The first pair is to be on top. */
            for (size_t i = from, j = todo->n; i + 1 < j; i++) {
                term swap = todo->base[--j];

                todo->base[j] = todo->base[i];
                todo->base[i] = swap;
            }
            break;
        }
        case BOX_FUN: {
            const struct fun_entry *e = fun_ptr(v)->entry;
            const struct atom *m = atom_get(e->module);

            add_str(t, "#Fun<");
            text_add(t, (const char *)m->name, m->bytes);
            text_printf(t, ".%u.%u>", e->index, e->old_uniq);
            break;
        }
        case BOX_EXPORT: {
            const struct export *e = ((const struct export_words *)obj)->export;

            add_str(t, "fun ");
            add_atom(t, e->m);
            text_add(t, ":", 1);
            add_atom(t, e->f);
            text_printf(t, "/%u", e->arity);
            break;
        }
        case BOX_FLOAT: {
            char buf[40];

            text_add(t, buf, double_to_text(float_value(v), buf));
            break;
        }
        case BOX_POSBIG:
        case BOX_NEGBIG:
            add_integer(t, v);
            break;
        case BOX_REF:
        case BOX_MAGIC: {
            const uint64_t *ref = ref_numbers(v);

            text_printf(t, "#Ref<0.%u.%u.%u>", (uint32_t)ref[1],
                        (uint32_t)(ref[0] >> 32), (uint32_t)ref[0]);
            break;
        }
        case BOX_EXTPID:
        case BOX_EXTPORT:
        case BOX_EXTREF:
            add_ext(t, obj);
            break;
        case BOX_HEAPBIN:
        case BOX_REFCBIN:
        case BOX_SUBBIN:
            add_bits(t, v, limit);
            break;
        case BOX_MATCH:
            add_str(t, "#MatchState");
            break;
        default:
            text_printf(t, "<unknown object %#llx>", (unsigned long long)*obj);
        }
    } else {
        add_str(t, v == THE_NON_VALUE ? "<no value>" : "<unknown immediate>");
    }
}

void text_term(struct text *t, term v, size_t max_chars)
{
    size_t limit = max_chars ? t->n + max_chars : SIZE_MAX;
    struct wstack todo;

    wstack_init(&todo);
    wstack_push(&todo, v);
    while (todo.n > 0) {
        if (t->n >= limit) {
            add_str(t, "...");
            break;
        }
        v = wstack_pop(&todo);
        if (v == MARK_TAIL) {
            v = wstack_pop(&todo);
            if (term_is_cons(v)) {
                text_add(t, ",", 1);
                wstack_push(&todo, cons_tail(v));
                wstack_push(&todo, MARK_TAIL);
                wstack_push(&todo, cons_head(v));
            } else if (term_is_nil(v)) {
                text_add(t, "]", 1);
            } else {
                text_add(t, "|", 1);
                wstack_push(&todo, MARK(END_LIST));
                wstack_push(&todo, v);
            }
        } else if (term_is_header(v)) {
            add_str(t, punctuation[header_words(v)]);
        } else {
            add_one(t, v, &todo, limit);
        }
    }
    wstack_fini(&todo);
}
