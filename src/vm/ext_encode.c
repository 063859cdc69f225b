/*
 * ext_encode.c - encode the external term format.
 *
 * Nothing here recurses: what is still to be written lies on a stack of words.
 */
#include "vm/ext.h"

#include "vm/atom.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/ext_tag.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/wstack.h"

#include <stdio.h>
#include <stdlib.h>

#define STRING_MAX 0xffff       /* a list of bytes this long is a STRING_EXT */
#define NEW_PORT_MAX (((uint64_t)1 << 28) - 1)

static int pair_compare(const void *a, const void *b)
{
    return term_compare_exact(*(const term *)a, *(const term *)b);
}

/*
 * The encoder's stack holds pairs, a word and what it is: a term; a list whose
 * head comes next; the length of a fun, to be written where the word points;
 * or the address of so many terms.
 */
enum { OUT_TERM = -1, OUT_LIST = -2, OUT_FUN_SIZE = -3 };

static void out_push(struct wstack *s, term word, int64_t what)
{
    wstack_push(s, word);
    wstack_push(s, (term)what);
}

static uint8_t *put_u16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    return put_u16(put_u16(p, v >> 16), v & 0xffff);
}

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
    return put_u32(put_u32(p, (uint32_t)(v >> 32)), (uint32_t)v);
}

/* A list of bytes that goes out as a string; n is its length then. */
static bool is_string(term list, size_t *n)
{
    size_t count = 0;

    for (; term_is_cons(list); list = cons_tail(list)) {
        term c = cons_head(list);

        if (!term_is_small(c) || c > small_make(255) || ++count > STRING_MAX)
            return false;
    }
    *n = count;
    return term_is_nil(list);
}

static size_t cell_count(term list)
{
    size_t n = 0;

    for (; term_is_cons(list); list = cons_tail(list))
        n++;
    return n;
}

static bool atom_as_latin1(const struct atom *a, unsigned flags)
{
    return a->latin1 && !(flags & EXT_MINOR_2);
}

static size_t atom_size(term t, unsigned flags)
{
    const struct atom *a = atom_get(t);

    if (atom_as_latin1(a, flags))
        return 3 + (size_t)a->chars;
    return (a->bytes > 255 ? 3 : 2) + (size_t)a->bytes;
}

static uint8_t *put_atom(uint8_t *p, term t, unsigned flags)
{
    const struct atom *a = atom_get(t);

    if (atom_as_latin1(a, flags)) {
        *p++ = ATOM_EXT;
        p = put_u16(p, a->chars);
        for (size_t i = 0; i < a->bytes; i++) {
            if (a->name[i] < 0x80) {
                *p++ = a->name[i];
            } else {
                *p++ = (uint8_t)(a->name[i] << 6 | (a->name[i + 1] & 0x3f));
                i++;
            }
        }
        return p;
    }
    if (a->bytes > 255) {
        *p++ = ATOM_UTF8_EXT;
        p = put_u16(p, a->bytes);
    } else {
        *p++ = SMALL_ATOM_UTF8_EXT;
        *p++ = (uint8_t)a->bytes;
    }
    memcpy(p, a->name, a->bytes);
    return p + a->bytes;
}

/* Significant bytes of an integer's magnitude. */
static size_t magnitude_bytes(const uint64_t *digit, size_t n)
{
    uint64_t top = digit[n - 1];

    return n * 8 - (top ? (size_t)__builtin_clzll(top) / 8 : 7);
}

static size_t integer_size(const uint64_t *digit, size_t n)
{
    size_t bytes = magnitude_bytes(digit, n);

    return (bytes < 256 ? 3 : 6) + bytes;
}

static uint8_t *put_integer(uint8_t *p, const uint64_t *digit, size_t n,
                            bool negative)
{
    size_t bytes = magnitude_bytes(digit, n);

    if (bytes < 256) {
        *p++ = SMALL_BIG_EXT;
        *p++ = (uint8_t)bytes;
    } else {
        *p++ = LARGE_BIG_EXT;
        p = put_u32(p, (uint32_t)bytes);
    }
    *p++ = negative;
    memcpy(p, digit, bytes);    /* both are least significant first */
    return p + bytes;
}

static uint64_t small_magnitude(term t)
{
    int64_t v = small_value(t);

    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

/* Node of an identifier, ours or another's. */
static const struct node *node_of(term t)
{
    if (term_is_imm(t) || term_is_local_ref(t))
        return *node_this;
    return ((const struct ext_words *)boxed_ptr(t))->node;
}

static const uint64_t *ext_data(term t)
{
    return ((const struct ext_words *)boxed_ptr(t))->data;
}

static uint64_t port_of(term t)
{
    return term_is_local_port(t) ? port_number(t) : ext_data(t)[0];
}

static uint32_t ref_count(term t)
{
    return term_is_local_ref(t) ? REF_NUMBERS : (uint32_t)ext_data(t)[0];
}

static uint32_t ref_number(term t, uint32_t i)
{
    const uint64_t *n = term_is_local_ref(t) ? ref_numbers(t) : ext_data(t) + 1;

    return (uint32_t)(n[i / 2] >> (i % 2 ? 32 : 0));
}

static uint8_t *put_pid(uint8_t *p, term t, unsigned flags)
{
    const struct node *n = node_of(t);
    uint32_t number, serial;

    if (term_is_local_pid(t)) {
        number = pid_number(t);
        serial = pid_serial(t);
    } else {
        number = (uint32_t)ext_data(t)[0];
        serial = (uint32_t)(ext_data(t)[0] >> 32);
    }
    *p++ = NEW_PID_EXT;
    p = put_atom(p, n->name, flags);
    p = put_u32(p, number);
    p = put_u32(p, serial);
    return put_u32(p, n->creation);
}

static size_t pid_size(term t, unsigned flags)
{
    return 1 + atom_size(node_of(t)->name, flags) + 12;
}

/*
 * Push what a container holds, so that it pops in order. Of a map, all pairs:
 * in key order if it is flat or that is asked for.
 */
static void out_push_map(struct wstack *s, term map, unsigned flags)
{
    size_t n = map_size(map), at;
    struct map_iter it;
    term key, value;

    /* Room for all at once; they are written from the top down. */
    for (at = 0; at < 4 * n; at++)
        wstack_push(s, TERM_NIL);
    at = s->n;
    map_iter_init(&it, map);
    if ((flags & EXT_DETERMINISTIC) && n > MAP_SMALL_LIMIT) {
        term *pairs = vm_alloc(ALLOC_PROC, n * 2 * sizeof *pairs);
        size_t i = 0;

        while (map_iter_next(&it, &key, &value)) {
            pairs[i++] = key;
            pairs[i++] = value;
        }
        qsort(pairs, n, 2 * sizeof *pairs, pair_compare);
        for (i = 0; i < 2 * n; i++) {
            s->base[--at] = (term)OUT_TERM;
            s->base[--at] = pairs[i];
        }
        vm_free(pairs);
        return;
    }
    while (map_iter_next(&it, &key, &value)) {
        s->base[--at] = (term)OUT_TERM;
        s->base[--at] = key;
        s->base[--at] = (term)OUT_TERM;
        s->base[--at] = value;
    }
}

static void out_push_boxed(struct wstack *s, term t, unsigned flags)
{
    if (term_is_tuple(t)) {
        if (tuple_arity(t) > 0)
            out_push(s, (term)(uintptr_t)tuple_at(t, 1), (int64_t)tuple_arity(t));
    } else if (boxed_is(t, BOX_FUN)) {
        const struct fun_words *f = fun_ptr(t);
        size_t n = header_words(f->header) + 1 - FUN_WORDS(0);

        if (n > 0)
            out_push(s, (term)(uintptr_t)f->env, (int64_t)n);
    } else {
        out_push_map(s, t, flags);
    }
}

/* Pop the next term to be written. False: no more. */
static bool out_pop(struct wstack *s, term *t, uint8_t *end)
{
    while (s->n > 0) {
        int64_t what = (int64_t)s->base[s->n - 1];
        term word = s->base[s->n - 2];

        s->n -= 2;
        switch (what) {
        case OUT_TERM:
            *t = word;
            return true;
        case OUT_LIST: {
            term tail = cons_tail(word);

            *t = cons_head(word);
            out_push(s, tail, term_is_cons(tail) ? OUT_LIST : OUT_TERM);
            return true;
        }
        case OUT_FUN_SIZE: {
            uint8_t *at = (uint8_t *)(uintptr_t)word;

            put_u32(at, (uint32_t)(end - at));
            break;
        }
        default:
            *t = *(const term *)(uintptr_t)word;
            if (what > 1)
                out_push(s, word + sizeof(term), what - 1);
            return true;
        }
    }
    return false;
}

/* Bytes of a term by itself; *deep if more is inside. */
static size_t one_size(term t, unsigned flags, bool *deep)
{
    size_t n;

    if (term_is_small(t)) {
        int64_t v = small_value(t);
        uint64_t m = small_magnitude(t);

        return v >= 0 && v < 256                    ? 2
               : v >= INT32_MIN && v <= INT32_MAX   ? 5
                                                    : integer_size(&m, 1);
    }
    if (term_is_atom(t))
        return atom_size(t, flags);
    if (term_is_nil(t))
        return 1;
    if (term_is_pid(t))
        return pid_size(t, flags);
    if (term_is_port(t))
        return 1 + atom_size(node_of(t)->name, flags)
               + (port_of(t) > NEW_PORT_MAX ? 12 : 8);
    if (term_is_cons(t)) {
        if (is_string(t, &n))
            return 3 + n;
        *deep = true;
        return 5;
    }
    switch (header_type(*boxed_ptr(t))) {
    case BOX_TUPLE:
        *deep = true;
        return tuple_arity(t) < 256 ? 2 : 5;
    case BOX_MAP:
    case BOX_HASHMAP:
        *deep = true;
        return 5;
    case BOX_FUN: {
        const struct fun_words *f = fun_ptr(t);
        uint64_t uniq = f->entry->old_uniq;
        bool unused;

        *deep = true;
        n = 1 + 4 + 1 + 16 + 4 + 4 + atom_size(f->entry->module, flags)
            + pid_size(f->creator, flags);
        if (flags & EXT_OTP_SIZE)
            return n + 2 * 5;
        return n + one_size(small_make(f->entry->index), flags, &unused)
               + one_size(small_make((int64_t)uniq), flags, &unused);
    }
    case BOX_EXPORT: {
        const struct export *e
            = ((const struct export_words *)boxed_ptr(t))->export;

        return 1 + atom_size(e->m, flags) + atom_size(e->f, flags) + 2;
    }
    case BOX_FLOAT:
        return flags & EXT_MINOR_0 ? 1 + FLOAT_TEXT_BYTES : 9;
    case BOX_POSBIG:
    case BOX_NEGBIG:
        return integer_size(big_data(t), big_digits(t));
    case BOX_REF:
    case BOX_MAGIC:
    case BOX_EXTREF:
        return 3 + atom_size(node_of(t)->name, flags) + 4
               + 4 * (size_t)ref_count(t);
    default: {
        struct bits b = bits_of(t);

        return (b.size % 8 ? 6 : 5) + (b.size + 7) / 8;
    }
    }
}

size_t ext_encode_size(term t, unsigned flags)
{
    size_t size = 0;
    struct wstack s;

    wstack_init(&s);
    do {
        bool deep = false;

        size += one_size(t, flags, &deep);
        if (deep && term_is_cons(t))
            out_push(&s, t, OUT_LIST);
        else if (deep)
            out_push_boxed(&s, t, flags & ~(unsigned)EXT_DETERMINISTIC);
    } while (out_pop(&s, &t, NULL));
    wstack_fini(&s);
    return size;
}

static uint8_t *put_small(uint8_t *p, int64_t v)
{
    if (v >= 0 && v < 256) {
        *p++ = SMALL_INTEGER_EXT;
        *p++ = (uint8_t)v;
        return p;
    }
    if (v >= INT32_MIN && v <= INT32_MAX) {
        *p++ = INTEGER_EXT;
        return put_u32(p, (uint32_t)v);
    }
    uint64_t m = v < 0 ? -(uint64_t)v : (uint64_t)v;
    return put_integer(p, &m, 1, v < 0);
}

static uint8_t *put_list(uint8_t *p, term t, struct wstack *s)
{
    size_t n;

    if (is_string(t, &n)) {
        *p++ = STRING_EXT;
        p = put_u16(p, (uint32_t)n);
        for (; term_is_cons(t); t = cons_tail(t))
            *p++ = (uint8_t)small_value(cons_head(t));
        return p;
    }
    *p++ = LIST_EXT;
    out_push(s, t, OUT_LIST);
    return put_u32(p, (uint32_t)cell_count(t));
}

static uint8_t *put_fun(uint8_t *p, term t, struct wstack *s, unsigned flags)
{
    const struct fun_words *f = fun_ptr(t);
    const struct fun_entry *e = f->entry;

    *p++ = NEW_FUN_EXT;
    out_push(s, (term)(uintptr_t)p, OUT_FUN_SIZE);
    p += 4;
    *p++ = (uint8_t)e->arity;
    memcpy(p, e->uniq, 16);
    p = put_u32(p + 16, e->index);
    p = put_u32(p, (uint32_t)(header_words(f->header) + 1 - FUN_WORDS(0)));
    p = put_atom(p, e->module, flags);
    p = put_small(p, e->index);
    p = put_small(p, e->old_uniq);
    p = put_pid(p, f->creator, flags);
    out_push_boxed(s, t, flags);
    return p;
}

static uint8_t *put_float(uint8_t *p, double d, unsigned flags)
{
    uint64_t v;

    if (flags & EXT_MINOR_0) {
        char text[FLOAT_TEXT_BYTES + 1] = {0};

        snprintf(text, sizeof text, "%.20e", d);
        *p++ = FLOAT_EXT;
        memcpy(p, text, FLOAT_TEXT_BYTES);
        return p + FLOAT_TEXT_BYTES;
    }
    memcpy(&v, &d, sizeof v);
    *p++ = NEW_FLOAT_EXT;
    return put_u64(p, v);
}

static uint8_t *put_bitstring(uint8_t *p, term t)
{
    struct bits b = bits_of(t);
    size_t bytes = (b.size + 7) / 8;
    unsigned last = b.size % 8;

    *p++ = last ? BIT_BINARY_EXT : BINARY_EXT;
    p = put_u32(p, (uint32_t)bytes);
    if (last) {
        *p++ = (uint8_t)last;
        p[bytes - 1] = 0;
    }
    if (b.offset % 8 == 0 && last == 0)
        memcpy(p, b.base + b.offset / 8, bytes);
    else
        bits_copy(p, 0, b.base, b.offset, b.size);
    return p + bytes;
}

static uint8_t *put_one(uint8_t *p, term t, struct wstack *s, unsigned flags)
{
    if (term_is_small(t))
        return put_small(p, small_value(t));
    if (term_is_atom(t))
        return put_atom(p, t, flags);
    if (term_is_nil(t)) {
        *p++ = NIL_EXT;
        return p;
    }
    if (term_is_pid(t))
        return put_pid(p, t, flags);
    if (term_is_port(t)) {
        uint64_t number = port_of(t);

        *p++ = number > NEW_PORT_MAX ? V4_PORT_EXT : NEW_PORT_EXT;
        p = put_atom(p, node_of(t)->name, flags);
        p = number > NEW_PORT_MAX ? put_u64(p, number) : put_u32(p, (uint32_t)number);
        return put_u32(p, node_of(t)->creation);
    }
    if (term_is_cons(t))
        return put_list(p, t, s);

    switch (header_type(*boxed_ptr(t))) {
    case BOX_TUPLE:
        if (tuple_arity(t) < 256) {
            *p++ = SMALL_TUPLE_EXT;
            *p++ = (uint8_t)tuple_arity(t);
        } else {
            *p++ = LARGE_TUPLE_EXT;
            p = put_u32(p, (uint32_t)tuple_arity(t));
        }
        out_push_boxed(s, t, flags);
        return p;
    case BOX_MAP:
    case BOX_HASHMAP:
        *p++ = MAP_EXT;
        out_push_boxed(s, t, flags);
        return put_u32(p, (uint32_t)map_size(t));
    case BOX_FUN:
        return put_fun(p, t, s, flags);
    case BOX_EXPORT: {
        const struct export *e
            = ((const struct export_words *)boxed_ptr(t))->export;

        *p++ = EXPORT_EXT;
        p = put_atom(p, e->m, flags);
        p = put_atom(p, e->f, flags);
        return put_small(p, e->arity);
    }
    case BOX_FLOAT:
        return put_float(p, float_value(t), flags);
    case BOX_POSBIG:
    case BOX_NEGBIG:
        return put_integer(p, big_data(t), big_digits(t), big_negative(t));
    case BOX_REF:
    case BOX_MAGIC:
    case BOX_EXTREF: {
        uint32_t n = ref_count(t);

        *p++ = NEWER_REFERENCE_EXT;
        p = put_u16(p, n);
        p = put_atom(p, node_of(t)->name, flags);
        p = put_u32(p, node_of(t)->creation);
        for (uint32_t i = 0; i < n; i++)
            p = put_u32(p, ref_number(t, i));
        return p;
    }
    default:
        return put_bitstring(p, t);
    }
}

uint8_t *ext_encode(term t, uint8_t *out, unsigned flags)
{
    struct wstack s;

    wstack_init(&s);
    do
        out = put_one(out, t, &s, flags);
    while (out_pop(&s, &t, out));
    wstack_fini(&s);
    return out;
}
