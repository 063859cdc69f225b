/*
 * filename.c - file names between Erlang (characters, or raw bytes) and the
 * system below (bytes). prim_file's BIFs, file:native_name_encoding/0.
 *
 * A name that is a binary is passed on as it is. A list of characters is
 * encoded as UTF-8 (or Latin-1, +fnl). NUL can be part of neither.
 */
#include "bif/bif.h"
#include "io/io.h"
#include "vm/unicode.h"
#include "vm/wstack.h"

struct filename_state {
    enum filename_encoding encoding;
    enum filename_warning warning;
    bool printable_unicode;
};
static struct filename_state state;

void filename_init(enum filename_encoding e, enum filename_warning w)
{
    state.encoding = e;
    state.warning = w;
}

/* Characters in n bytes of UTF-8, or -1. */
static int64_t utf8_count(const uint8_t *s, size_t n)
{
    int64_t count = 0;
    uint32_t c;

    for (size_t i = 0, len; i < n; i += len, count++) {
        len = utf8_get(s + i, n - i, &c);
        if (len == 0)
            return -1;
    }
    return count;
}

struct bytes {
    uint8_t *s;
    size_t n, size;
};

static bool add_char(struct bytes *b, term t)
{
    int64_t c = small_value(t);

    if (c == 0 || !unicode_valid((uint64_t)c))
        return false;
    if (b->n + 4 >= b->size) {
        b->size = b->size * 2;
        b->s = vm_realloc(b->s, b->size);
    }
    if (state.encoding == FILENAME_LATIN1) {
        if (c > 255)
            return false;
        b->s[b->n++] = (uint8_t)c;
    } else {
        b->n += utf8_put(b->s + b->n, (uint32_t)c);
    }
    return true;
}

static bool add_atom(struct bytes *b, term t)
{
    const struct atom *a = atom_get(t);
    uint32_t c;

    for (size_t i = 0; i < a->bytes;) {
        i += utf8_get(a->name + i, a->bytes - i, &c);
        if (!add_char(b, small_make(c)))
            return false;
    }
    return true;
}

static bool add_list(struct bytes *b, term t)
{
    struct wstack s;
    bool ok = true;

    wstack_init(&s);
    wstack_push(&s, t);
    while (ok && s.n > 0) {
        t = wstack_pop(&s);
        while (ok && term_is_cons(t)) {
            term head = cons_head(t);

            t = cons_tail(t);
            if (term_is_small(head)) {
                ok = add_char(b, head);
            } else if (term_is_cons(head)) {
                wstack_push(&s, t);
                t = head;
            } else {
                ok = term_is_nil(head);
            }
        }
        ok = ok && term_is_nil(t);
    }
    wstack_fini(&s);
    return ok;
}

char *filename_bytes(term chars, size_t *n)
{
    struct bytes b = {vm_alloc(ALLOC_SYSTEM, 256), 0, 256};
    bool ok;

    if (term_is_atom(chars))
        ok = add_atom(&b, chars);
    else
        ok = term_is_list(chars) && add_list(&b, chars);
    if (!ok) {
        vm_free(b.s);
        return NULL;
    }
    b.s[b.n] = 0;       /* add_char leaves room */
    *n = b.n;
    return (char *)b.s;
}

char *native_bytes(term t)
{
    struct binbytes b;
    char *s = NULL;
    size_t n;

    if (!binary_bytes(t, &b))
        return filename_bytes(t, &n);
    if (!memchr(b.data, 0, b.size)) {
        s = vm_alloc(ALLOC_SYSTEM, b.size + 1);
        memcpy(s, b.data, b.size);
        s[b.size] = 0;
    }
    binary_bytes_end(&b);
    return s;
}

term filename_chars(struct proc *p, const char *s, size_t n)
{
    const uint8_t *u = (const uint8_t *)s;
    int64_t count = -1;
    term list = TERM_NIL, *hp, *cell;

    if (n == 0)
        return TERM_NIL;
    if (state.encoding == FILENAME_UTF8)
        count = utf8_count(u, n);
    hp = heap_alloc(p, CONS_WORDS * (count < 0 ? n : (size_t)count));
    list = cons_make(hp);
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t c = u[i];

        len = count < 0 ? 1 : utf8_get(u + i, n - i, &c);
        cell = hp;
        hp += CONS_WORDS;
        cell[0] = small_make(c);
        cell[1] = i + len < n ? cons_make(hp) : TERM_NIL;
    }
    return list;
}

BIF(prim_file, internal_name2native, 1)
{
    uint8_t *out;
    struct binbytes b;
    term result;
    char *s;
    size_t n;

    if (term_is_atom(arg[0]))
        return bif_badarg(p);
    if (binary_bytes(arg[0], &b)) {
        if (memchr(b.data, 0, b.size)) {
            binary_bytes_end(&b);
            return bif_badarg(p);
        }
        result = binary_new(p, b.size + 1, &out);
        if (result != THE_NON_VALUE) {
            memcpy(out, b.data, b.size);
            out[b.size] = 0;
        }
        binary_bytes_end(&b);
        return result != THE_NON_VALUE ? result : bif_error(p, am_system_limit);
    }
    s = filename_bytes(arg[0], &n);
    if (!s)
        return bif_badarg(p);
    result = binary_from(p, s, n + 1);
    vm_free(s);
    return result != THE_NON_VALUE ? result : bif_error(p, am_system_limit);
}

BIF(prim_file, internal_native2name, 1)
{
    struct binbytes b;
    term result;

    if (!binary_bytes(arg[0], &b))
        return bif_badarg(p);
    if (state.encoding == FILENAME_UTF8 && utf8_count(b.data, b.size) < 0) {
        result = io_error_atom(p, state.warning == FILENAME_IGNORE  ? am_ignore
                                  : state.warning == FILENAME_ERROR ? am_error
                                                                    : am_warning);
    } else {
        result = filename_chars(p, (const char *)b.data, b.size);
    }
    binary_bytes_end(&b);
    return result;
}

/*
 * Composes what is decomposed, as file names of macOS are; only names with
 * combining marks need the composition table.
 */
BIF(prim_file, internal_normalize_utf8, 1)
{
    struct binbytes b;
    bool marks = false;
    term result;

    if (!binary_bytes(arg[0], &b))
        return bif_badarg(p);
    if (utf8_count(b.data, b.size) < 0) {
        binary_bytes_end(&b);
        return bif_badarg(p);
    }
    for (size_t i = 0; i < b.size;) {
        uint32_t c;

        i += utf8_get(b.data + i, b.size - i, &c);
        marks |= (c >= 0x300 && c < 0xfb8) || c == 0x3099 || c == 0x309a;
    }
    if (marks)
        result = bif_unimplemented(p, "prim_file:internal_normalize_utf8/1 of "
                                      "combining marks");
    else
        result = filename_chars(p, (const char *)b.data, b.size);
    binary_bytes_end(&b);
    return result;
}

BIF(prim_file, is_translatable, 1)
{
    struct binbytes b;
    bool ok;

    if (!binary_bytes(arg[0], &b))
        return bif_badarg(p);
    ok = state.encoding == FILENAME_LATIN1 || utf8_count(b.data, b.size) >= 0;
    binary_bytes_end(&b);
    return bool_make(ok);
}

BIF(file, native_name_encoding, 0)
{
    return state.encoding == FILENAME_LATIN1 ? am_latin1 : am_utf8;
}

void io_set_printable_unicode(bool on)
{
    state.printable_unicode = on;
}

BIF(io, printable_range, 0)
{
    return state.printable_unicode ? am_unicode : am_latin1;
}
