/*
 * console.c - an editable line on a terminal.
 */
#define _GNU_SOURCE
#include "io/console.h"

#include <stdio.h>
#include <wchar.h>

#include "vm/unicode.h"
#include "vm/vm.h"

/*
 * A cell is a character, or the first cell of one that is shown otherwise
 * (CONTROL), or a further cell of such a one (PAD). The parts of an escape
 * sequence are cells without width.
 */
enum {
    CELL_CONTROL = 1u << 24,
    CELL_PAD = 1u << 25,
    CELL_CHAR = CELL_CONTROL - 1,
};
#define TAB_WIDTH 8
#define LINE_MAX_CELLS 32768    /* longer than that: begin a new line */

int utf8_next(const uint8_t *s, size_t n, uint32_t *c)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2
               : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    uint32_t v = len == 1 ? s[0] : s[0] & (0x7fu >> len);

    if (len == 0)
        return -1;
    for (size_t i = 1; i < len; i++) {
        if (i == n)
            return 0;
        if ((s[i] & 0xc0) != 0x80)
            return -1;
        v = v << 6 | (s[i] & 0x3fu);
    }
    if ((len == 3 && v < 0x800) || (len == 4 && (v < 0x10000 || v > 0x10ffff)) ||
        (v >= 0xd800 && v < 0xe000))
        return -1;
    *c = v;
    return (int)len;
}

void console_init(struct console *c, uint32_t columns, bool utf8)
{
    *c = (struct console){.columns = columns, .utf8 = utf8};
    text_init(&c->out);
}

void console_fini(struct console *c)
{
    vm_free(c->cell);
    text_fini(&c->out);
}

static void say(struct console *c, const char *s)
{
    text_add(&c->out, s, strlen(s));
}

static void room(struct console *c, size_t more)
{
    if (c->n + more <= c->size)
        return;
    c->size = (c->n + more) * 2;
    c->cell = vm_realloc(c->cell, c->size * sizeof *c->cell);
}

/*
 * Width of the cell at i. *escape: within an escape sequence: 1 behind ESC, 2
 * behind ESC [.
 */
static uint32_t width(const struct console *c, size_t i, int *escape)
{
    uint32_t v = c->cell[i] & CELL_CHAR;
    int w;

    if (c->cell[i] == (CELL_CONTROL | 033)) {
        *escape = 1;
        return 0;
    }
    if (*escape == 1) {
        *escape = v == '[' ? 2 : 0;
        return 0;
    }
    if (*escape == 2) {
        if (v != ';' && (v < '0' || v > '9'))
            *escape = 0;
        return 0;
    }
    if (c->cell[i] & (CELL_CONTROL | CELL_PAD) || v < 0x80 || !c->utf8)
        return 1;
    w = wcwidth((wchar_t)v);
    return w < 0 ? 1 : (uint32_t)w;
}

static size_t column(const struct console *c, size_t pos)
{
    size_t col = pos > c->n ? pos - c->n : 0;
    int escape = 0;

    if (pos > c->n)
        pos = c->n;
    for (size_t i = 0; i < pos; i++)
        col += width(c, i, &escape);
    return col;
}

static void step(struct console *c, size_t n, char direction)
{
    char s[24];

    if (n == 0)
        return;
    snprintf(s, sizeof s, "\033[%zu%c", n, direction);
    say(c, s);
}

/* The cursor is at column `from` of the line: take it to `to`. */
static void go(struct console *c, size_t from, size_t to)
{
    size_t w = c->columns;
    size_t row0 = from / w, row1 = to / w, col0 = from % w, col1 = to % w;

    if (row1 > row0)
        step(c, row1 - row0, 'B');
    else
        step(c, row0 - row1, 'A');
    if (col1 > col0)
        step(c, col1 - col0, 'C');
    else
        for (size_t i = col1; i < col0; i++)
            say(c, "\b");
}

static void show_cell(struct console *c, uint32_t cell)
{
    uint32_t v = cell & CELL_CHAR;
    char s[8];
    size_t n = 0;

    if (cell & CELL_PAD) {
        s[n++] = v ? (char)v : ' ';
    } else if (cell & CELL_CONTROL) {
        s[n++] = v == '\t' ? ' ' : v == 033 ? 033 : '^';
    } else if (v < 0x80) {
        s[n++] = (char)v;
    } else if (!c->utf8) {
        s[n++] = v < 0x100 ? (char)v : '?';
    } else {
        n = utf8_put((uint8_t *)s, v);
    }
    text_add(&c->out, s, n);
}

/*
 * Show the cells [from, to). A terminal that has filled its last column waits
 * with the wrap until one more character comes; writing one there, and going
 * back, puts the cursor where the line goes on.
 */
static void show(struct console *c, size_t from, size_t to, bool line_ends)
{
    size_t col;

    for (size_t i = from; i < to; i++)
        show_cell(c, c->cell[i]);
    col = column(c, to);
    if (line_ends || to == from || col == 0 || col % c->columns != 0)
        return;
    if (to < c->n)
        show_cell(c, c->cell[to]);
    else
        say(c, " ");
    say(c, "\b");
}

/* Store characters at the cursor; line breaks are shown at once. */
static void store(struct console *c, const uint8_t *s, size_t n)
{
    size_t start = c->pos;

    while (n > 0) {
        uint32_t v;
        int len = utf8_next(s, n, &v);

        if (len <= 0) {
            v = *s;
            len = 1;
        }
        s += len;
        n -= (size_t)len;
        /* What follows may be as long as a tab; pos may pass n. */
        if (c->size < c->pos + TAB_WIDTH + 1) {
            size_t used = c->n;

            c->n = c->pos > c->n ? c->pos : c->n;
            room(c, TAB_WIDTH + 1);
            c->n = used;
        }
        if (v == '\n' || v == '\r') {
            if (c->pos > c->n)
                c->n = c->pos;
            show(c, start, c->pos, true);
            say(c, v == '\n' ? "\r\n" : "\r");
            memmove(c->cell, c->cell + c->pos, (c->n - c->pos) * sizeof *c->cell);
            c->n -= c->pos;
            start = c->pos = 0;
        } else if (v == '\t') {
            c->cell[c->pos++] = CELL_CONTROL | '\t';
            while (c->pos % TAB_WIDTH)
                c->cell[c->pos++] = CELL_PAD;
        } else if (v == 033) {
            c->cell[c->pos++] = CELL_CONTROL | 033;
        } else if (v < ' ' || v == 0x7f) {
            c->cell[c->pos++] = CELL_CONTROL | v;
            c->cell[c->pos++] = CELL_PAD | (v ^ 0x40);
        } else {
            c->cell[c->pos++] = v;
        }
    }
    if (c->pos > c->n)
        c->n = c->pos;
    show(c, start, c->pos, false);
}

void console_put(struct console *c, const uint8_t *s, size_t n)
{
    if (c->pos > LINE_MAX_CELLS)
        store(c, (const uint8_t *)"\n", 1);
    store(c, s, n);
}

void console_insert(struct console *c, const uint8_t *s, size_t n)
{
    size_t tail = c->n - c->pos;
    uint32_t *saved = vm_alloc(ALLOC_SYSTEM, (tail + 1) * sizeof *saved);

    memcpy(saved, c->cell + c->pos, tail * sizeof *saved);
    c->n = c->pos;
    store(c, s, n);
    room(c, tail);
    memcpy(c->cell + c->pos, saved, tail * sizeof *saved);
    vm_free(saved);
    c->n = c->pos + tail;
    if (tail > 0) {
        show(c, c->pos, c->n, false);
        go(c, column(c, c->n), column(c, c->pos));
    }
}

/* The position n characters on, or back, within the line. */
static size_t position(const struct console *c, int n)
{
    size_t at = c->pos;

    for (; n > 0 && at < c->n; n--)
        for (at++; at < c->n && c->cell[at] & CELL_PAD; at++)
            ;
    for (; n < 0 && at > 0; n++)
        for (at--; at > 0 && c->cell[at] & CELL_PAD; at--)
            ;
    return at;
}

void console_move(struct console *c, int n)
{
    size_t to = position(c, n);

    go(c, column(c, c->pos), column(c, to));
    c->pos = to;
}

void console_delete(struct console *c, int n)
{
    size_t other = position(c, n);
    size_t from = other < c->pos ? other : c->pos;
    size_t to = other < c->pos ? c->pos : other;
    size_t before = column(c, c->n), here = column(c, c->pos), after;

    if (from == to)
        return;
    go(c, here, column(c, from));
    memmove(c->cell + from, c->cell + to, (c->n - to) * sizeof *c->cell);
    c->n -= to - from;
    c->pos = from;
    show(c, from, c->n, false);
    after = column(c, c->n);
    for (size_t i = after; i < before; i++)
        say(c, " ");
    if (before > after && before % c->columns == 0)
        say(c, " \b");
    go(c, before, column(c, from));
}

void console_beep(struct console *c)
{
    say(c, "\a");
}
