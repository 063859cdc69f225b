/*
 * nif_term.c - the part of enif_* that looks at terms and makes them.
 */
#include <math.h>

#include "io/nif.h"

#include "bif/bif.h"
#include "bif/ext.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/clock.h"
#include "vm/ext.h"
#include "vm/map.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/unique.h"

/*
 * Type tests.
 */
int enif_is_atom(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_atom(t); }
int enif_is_binary(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_binary(t); }
int enif_is_ref(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_ref(t); }
int enif_is_fun(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_fun(t); }
int enif_is_pid(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_pid(t); }
int enif_is_port(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_port(t); }
int enif_is_list(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_list(t); }
int enif_is_empty_list(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_nil(t); }
int enif_is_tuple(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_tuple(t); }
int enif_is_map(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_map(t); }
int enif_is_number(ErlNifEnv *env, ERL_NIF_TERM t) { return term_is_number(t); }
int enif_is_identical(ERL_NIF_TERM a, ERL_NIF_TERM b) { return term_eq(a, b); }
int enif_compare(ERL_NIF_TERM a, ERL_NIF_TERM b) { return term_compare(a, b); }

ErlNifTermType enif_term_type(ErlNifEnv *env, ERL_NIF_TERM t)
{
    if (term_is_atom(t))
        return ERL_NIF_TERM_TYPE_ATOM;
    if (term_is_integer(t))
        return ERL_NIF_TERM_TYPE_INTEGER;
    if (term_is_list(t))
        return ERL_NIF_TERM_TYPE_LIST;
    if (term_is_pid(t))
        return ERL_NIF_TERM_TYPE_PID;
    if (term_is_port(t))
        return ERL_NIF_TERM_TYPE_PORT;
    if (term_is_tuple(t))
        return ERL_NIF_TERM_TYPE_TUPLE;
    if (term_is_map(t))
        return ERL_NIF_TERM_TYPE_MAP;
    if (term_is_bitstring(t))
        return ERL_NIF_TERM_TYPE_BITSTRING;
    if (term_is_float(t))
        return ERL_NIF_TERM_TYPE_FLOAT;
    if (term_is_fun(t))
        return ERL_NIF_TERM_TYPE_FUN;
    assert(term_is_ref(t));
    return ERL_NIF_TERM_TYPE_REFERENCE;
}

ErlNifUInt64 enif_hash(ErlNifHash type, ERL_NIF_TERM t, ErlNifUInt64 salt)
{
    if (type == ERL_NIF_PHASH2)
        return term_phash2(t) & ((1u << 27) - 1);
    return term_hash(t, (uint32_t)(salt ^ salt >> 32));
}

/*
 * Numbers.
 */
int enif_get_int(ErlNifEnv *env, ERL_NIF_TERM t, int *out)
{
    int64_t v;

    if (!term_to_int64(t, &v) || v != (int)v)
        return 0;
    *out = (int)v;
    return 1;
}

int enif_get_uint(ErlNifEnv *env, ERL_NIF_TERM t, unsigned *out)
{
    uint64_t v;

    if (!term_to_uint64(t, &v) || v != (unsigned)v)
        return 0;
    *out = (unsigned)v;
    return 1;
}

int enif_get_long(ErlNifEnv *env, ERL_NIF_TERM t, long *out)
{
    return term_to_int64(t, out);
}

int enif_get_ulong(ErlNifEnv *env, ERL_NIF_TERM t, unsigned long *out)
{
    return term_to_uint64(t, out);
}

int enif_get_double(ErlNifEnv *env, ERL_NIF_TERM t, double *out)
{
    if (!term_is_float(t))
        return 0;
    *out = float_value(t);
    return 1;
}

ERL_NIF_TERM enif_make_long(ErlNifEnv *env, long v)
{
    term *hp;

    if (small_fits(v))
        return small_make(v);
    hp = nif_alloc(env, BIG_INT64_WORDS);
    return int64_put(&hp, v);
}

ERL_NIF_TERM enif_make_ulong(ErlNifEnv *env, unsigned long v)
{
    term *hp;

    if (v <= (unsigned long)SMALL_MAX)
        return small_make((int64_t)v);
    hp = nif_alloc(env, BIG_INT64_WORDS);
    return uint64_put(&hp, v);
}

ERL_NIF_TERM enif_make_int(ErlNifEnv *env, int v) { return small_make(v); }
ERL_NIF_TERM enif_make_uint(ErlNifEnv *env, unsigned v) { return small_make(v); }

ERL_NIF_TERM enif_make_double(ErlNifEnv *env, double d)
{
    term *hp;

    if (!isfinite(d))
        return enif_make_badarg(env);
    hp = nif_alloc(env, FLOAT_WORDS);
    return float_make(&hp, d);
}

/*
 * Atoms and strings. The only encoding is Latin-1.
 */
int enif_get_atom_length(ErlNifEnv *env, ERL_NIF_TERM t, unsigned *len,
                         ErlNifCharEncoding encoding)
{
    if (!term_is_atom(t) || encoding != ERL_NIF_LATIN1 || !atom_get(t)->latin1)
        return 0;
    *len = atom_get(t)->chars;
    return 1;
}

int enif_get_atom(ErlNifEnv *env, ERL_NIF_TERM t, char *buf, unsigned size,
                  ErlNifCharEncoding encoding)
{
    const struct atom *a;
    size_t n = 0;

    if (!term_is_atom(t) || encoding != ERL_NIF_LATIN1)
        return 0;
    a = atom_get(t);
    if (!a->latin1 || a->chars >= size)
        return 0;
    for (size_t i = 0; i < a->bytes; i++) {
        uint8_t c = a->name[i];

        if (c >= 0x80)
            c = (uint8_t)((c & 3) << 6 | (a->name[++i] & 0x3f));
        buf[n++] = (char)c;
    }
    buf[n] = '\0';
    return (int)n + 1;
}

/* Bytes with the NUL; negative if cut; 0 if no list of Latin-1. */
int enif_get_string(ErlNifEnv *env, ERL_NIF_TERM t, char *buf, unsigned size,
                    ErlNifCharEncoding encoding)
{
    unsigned n = 0;

    if (size < 1 || encoding != ERL_NIF_LATIN1)
        return 0;
    for (; term_is_cons(t); t = cons_tail(t)) {
        term c = cons_head(t);

        if (!term_is_small(c) || small_value(c) < 0 || small_value(c) > 255) {
            buf[0] = '\0';
            return 0;
        }
        if (n + 1 == size) {
            buf[n] = '\0';
            return -(int)size;
        }
        buf[n++] = (char)small_value(c);
    }
    buf[n] = '\0';
    if (!term_is_nil(t)) {
        buf[0] = '\0';
        return 0;
    }
    return (int)n + 1;
}

ERL_NIF_TERM enif_make_atom_len(ErlNifEnv *env, const char *name, size_t n)
{
    if (n > ATOM_MAX_CHARS)
        return enif_make_badarg(env);
    return atom_make_latin1((const uint8_t *)name, n);
}

ERL_NIF_TERM enif_make_atom(ErlNifEnv *env, const char *name)
{
    return enif_make_atom_len(env, name, strlen(name));
}

int enif_make_existing_atom_len(ErlNifEnv *env, const char *name, size_t n,
                                ERL_NIF_TERM *atom, ErlNifCharEncoding encoding)
{
    uint8_t utf8[ATOM_MAX_CHARS * 2];
    size_t m = 0;
    term t;

    if (n > ATOM_MAX_CHARS || encoding != ERL_NIF_LATIN1)
        return 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)name[i];

        if (c >= 0x80)
            utf8[m++] = (uint8_t)(0xc0 | c >> 6);
        utf8[m++] = c < 0x80 ? c : (uint8_t)(0x80 | (c & 0x3f));
    }
    t = atom_find(utf8, m);
    if (t == THE_NON_VALUE)
        return 0;
    *atom = t;
    return 1;
}

int enif_make_existing_atom(ErlNifEnv *env, const char *name, ERL_NIF_TERM *atom,
                            ErlNifCharEncoding encoding)
{
    return enif_make_existing_atom_len(env, name, strlen(name), atom, encoding);
}

ERL_NIF_TERM enif_make_string_len(ErlNifEnv *env, const char *s, size_t n,
                                  ErlNifCharEncoding encoding)
{
    term *hp, list = TERM_NIL;

    if (encoding != ERL_NIF_LATIN1)
        return enif_make_badarg(env);
    hp = nif_alloc(env, n * CONS_WORDS);
    while (n > 0)
        list = put_cons(&hp, small_make((uint8_t)s[--n]), list);
    return list;
}

ERL_NIF_TERM enif_make_string(ErlNifEnv *env, const char *s, ErlNifCharEncoding e)
{
    return enif_make_string_len(env, s, strlen(s), e);
}

/*
 * Lists and tuples.
 */
int enif_get_list_cell(ErlNifEnv *env, ERL_NIF_TERM t, ERL_NIF_TERM *head,
                       ERL_NIF_TERM *tail)
{
    if (!term_is_cons(t))
        return 0;
    *head = cons_head(t);
    *tail = cons_tail(t);
    return 1;
}

int enif_get_list_length(ErlNifEnv *env, ERL_NIF_TERM t, unsigned *len)
{
    int64_t n = list_length(t);

    if (n < 0 || n > UINT32_MAX)
        return 0;
    *len = (unsigned)n;
    return 1;
}

ERL_NIF_TERM enif_make_list_cell(ErlNifEnv *env, ERL_NIF_TERM head, ERL_NIF_TERM tail)
{
    term *hp = nif_alloc(env, CONS_WORDS);

    return put_cons(&hp, head, tail);
}

ERL_NIF_TERM enif_make_list_from_array(ErlNifEnv *env, const ERL_NIF_TERM a[], unsigned n)
{
    term *hp = nif_alloc(env, (size_t)n * CONS_WORDS), list = TERM_NIL;

    while (n > 0)
        list = put_cons(&hp, a[--n], list);
    return list;
}

ERL_NIF_TERM enif_make_list(ErlNifEnv *env, unsigned n, ...)
{
    term *hp;
    va_list ap;

    if (n == 0)
        return TERM_NIL;
    hp = nif_alloc(env, (size_t)n * CONS_WORDS);
    va_start(ap, n);
    for (unsigned i = 0; i < n; i++) {
        hp[2 * i] = va_arg(ap, term);
        hp[2 * i + 1] = i + 1 < n ? cons_make(hp + 2 * i + 2) : TERM_NIL;
    }
    va_end(ap);
    return cons_make(hp);
}

int enif_make_reverse_list(ErlNifEnv *env, ERL_NIF_TERM t, ERL_NIF_TERM *out)
{
    int64_t n = list_length(t);
    term *hp, list = TERM_NIL;

    if (n < 0)
        return 0;
    hp = nif_alloc(env, (size_t)n * CONS_WORDS);
    for (; term_is_cons(t); t = cons_tail(t))
        list = put_cons(&hp, cons_head(t), list);
    *out = list;
    return 1;
}

int enif_get_tuple(ErlNifEnv *env, ERL_NIF_TERM t, int *arity, const ERL_NIF_TERM **array)
{
    if (!term_is_tuple(t))
        return 0;
    *arity = (int)tuple_arity(t);
    *array = *arity ? tuple_at(t, 1) : NULL;
    return 1;
}

ERL_NIF_TERM enif_make_tuple_from_array(ErlNifEnv *env, const ERL_NIF_TERM a[], unsigned n)
{
    term *hp = nif_alloc(env, (size_t)n + 1);

    hp[0] = TUPLE_HEADER(n);
    if (n)
        memcpy(hp + 1, a, n * sizeof *a);
    return boxed_make(hp);
}

ERL_NIF_TERM enif_make_tuple(ErlNifEnv *env, unsigned n, ...)
{
    term *hp = nif_alloc(env, (size_t)n + 1);
    va_list ap;

    hp[0] = TUPLE_HEADER(n);
    va_start(ap, n);
    for (unsigned i = 0; i < n; i++)
        hp[i + 1] = va_arg(ap, term);
    va_end(ap);
    return boxed_make(hp);
}

/*
 * Maps. An environment without a process can't grow a map in place: it builds
 * the new one from all pairs.
 */
int enif_get_map_size(ErlNifEnv *env, ERL_NIF_TERM t, size_t *size)
{
    if (!term_is_map(t))
        return 0;
    *size = map_size(t);
    return 1;
}

int enif_get_map_value(ErlNifEnv *env, ERL_NIF_TERM map, ERL_NIF_TERM key,
                       ERL_NIF_TERM *value)
{
    term v = term_is_map(map) ? map_get(map, key) : THE_NON_VALUE;

    if (v == THE_NON_VALUE)
        return 0;
    *value = v;
    return 1;
}

/* The map without key, and with key => value unless value is no term. */
static term rebuild(ErlNifEnv *env, term map, term key, term value)
{
    size_t n = 0, size = map_size(map) + 1;
    term *pairs = vm_alloc(ALLOC_SYSTEM, size * 2 * sizeof *pairs), k, v, result;
    struct map_iter it;
    struct dest d;

    map_iter_init(&it, map);
    while (map_iter_next(&it, &k, &v)) {
        if (term_eq(k, key))
            continue;
        pairs[2 * n] = k;
        pairs[2 * n++ + 1] = v;
    }
    if (value != THE_NON_VALUE) {
        pairs[2 * n] = key;
        pairs[2 * n++ + 1] = value;
    }
    d = (struct dest){nif_alloc(env, map_build_words(n)), nif_offheap(env)};
    result = map_build(&d, pairs, n);
    vm_free(pairs);
    return result;
}

ERL_NIF_TERM enif_make_new_map(ErlNifEnv *env)
{
    struct dest d = {nif_alloc(env, map_build_words(0)), nif_offheap(env)};

    return map_build(&d, NULL, 0);
}

int enif_make_map_put(ErlNifEnv *env, ERL_NIF_TERM map, ERL_NIF_TERM key,
                      ERL_NIF_TERM value, ERL_NIF_TERM *out)
{
    if (!term_is_map(map))
        return 0;
    *out = env->p ? map_put(env->p, map, key, value) : rebuild(env, map, key, value);
    return 1;
}

int enif_make_map_update(ErlNifEnv *env, ERL_NIF_TERM map, ERL_NIF_TERM key,
                         ERL_NIF_TERM value, ERL_NIF_TERM *out)
{
    if (!term_is_map(map) || map_get(map, key) == THE_NON_VALUE)
        return 0;
    return enif_make_map_put(env, map, key, value, out);
}

int enif_make_map_remove(ErlNifEnv *env, ERL_NIF_TERM map, ERL_NIF_TERM key,
                         ERL_NIF_TERM *out)
{
    if (!term_is_map(map))
        return 0;
    *out = env->p ? map_remove(env->p, map, key)
                  : rebuild(env, map, key, THE_NON_VALUE);
    return 1;
}

int enif_make_map_from_arrays(ErlNifEnv *env, ERL_NIF_TERM keys[],
                              ERL_NIF_TERM values[], size_t n, ERL_NIF_TERM *out)
{
    term map = enif_make_new_map(env);

    for (size_t i = 0; i < n; i++) {
        if (map_get(map, keys[i]) != THE_NON_VALUE)
            return 0;
        enif_make_map_put(env, map, keys[i], values[i], &map);
    }
    *out = map;
    return 1;
}

/* An iterator holds an array of the pairs; idx counts from 1, 0 is before. */
int enif_map_iterator_create(ErlNifEnv *env, ERL_NIF_TERM map, ErlNifMapIterator *it,
                             ErlNifMapIteratorEntry entry)
{
    struct map_iter walk;
    size_t n = 0;

    if (!term_is_map(map))
        return 0;
    it->map = map;
    it->size = map_size(map);
    it->u.hash.kv = vm_alloc(ALLOC_SYSTEM, (it->size + 1) * 2 * sizeof(term));
    map_iter_init(&walk, map);
    while (map_iter_next(&walk, &it->u.hash.kv[2 * n], &it->u.hash.kv[2 * n + 1]))
        n++;
    it->idx = entry == ERL_NIF_MAP_ITERATOR_FIRST ? 1 : it->size;
    return 1;
}

void enif_map_iterator_destroy(ErlNifEnv *env, ErlNifMapIterator *it)
{
    vm_free(it->u.hash.kv);
    it->map = THE_NON_VALUE;
}

int enif_map_iterator_is_head(ErlNifEnv *env, ErlNifMapIterator *it)
{
    return it->idx == 0;
}

int enif_map_iterator_is_tail(ErlNifEnv *env, ErlNifMapIterator *it)
{
    return it->idx > it->size;
}

int enif_map_iterator_next(ErlNifEnv *env, ErlNifMapIterator *it)
{
    if (it->idx <= it->size)
        it->idx++;
    return it->idx <= it->size;
}

int enif_map_iterator_prev(ErlNifEnv *env, ErlNifMapIterator *it)
{
    if (it->idx > 0)
        it->idx--;
    return it->idx > 0;
}

int enif_map_iterator_get_pair(ErlNifEnv *env, ErlNifMapIterator *it,
                               ERL_NIF_TERM *key, ERL_NIF_TERM *value)
{
    if (it->idx < 1 || it->idx > it->size)
        return 0;
    *key = it->u.hash.kv[2 * (it->idx - 1)];
    *value = it->u.hash.kv[2 * (it->idx - 1) + 1];
    return 1;
}

/*
 * Binaries. ref_bin is set in those that own a refbin.
 */
int enif_alloc_binary(size_t size, ErlNifBinary *bin)
{
    struct refbin *b = refbin_try_new(size);

    if (!b)
        return 0;
    bin->size = size;
    bin->data = b->data;
    bin->ref_bin = b;
    return 1;
}

int enif_realloc_binary(ErlNifBinary *bin, size_t size)
{
    struct refbin *old = bin->ref_bin, *b;

    if (old && old->refc == 1 && size <= old->capacity && size >= old->capacity / 4) {
        bin->size = size;
        return 1;
    }
    b = refbin_try_new(size);
    if (!b)
        return 0;
    memcpy(b->data, bin->data, size < bin->size ? size : bin->size);
    if (old)
        refbin_put(old);
    bin->size = size;
    bin->data = b->data;
    bin->ref_bin = b;
    return 1;
}

void enif_release_binary(ErlNifBinary *bin)
{
    if (bin->ref_bin)
        refbin_put(bin->ref_bin);
    bin->ref_bin = NULL;
    bin->data = NULL;
    bin->size = 0;
}

unsigned char *enif_make_new_binary(ErlNifEnv *env, size_t size, ERL_NIF_TERM *out)
{
    struct refbin *b;
    struct dest d;

    if (size <= HEAPBIN_MAX) {
        struct heapbin_words *h =
            (struct heapbin_words *)nif_alloc(env, HEAPBIN_WORDS(size));

        h->header = HEADER(BOX_HEAPBIN, 0, HEAPBIN_WORDS(size) - 1);
        h->size = size;
        *out = boxed_make(&h->header);
        return h->data;
    }
    b = refbin_try_new(size);
    if (!b) {
        *out = enif_make_badarg(env);
        return NULL;
    }
    d = (struct dest){nif_alloc(env, REFCBIN_WORDS), nif_offheap(env)};
    *out = binary_put_refbin(&d, b, b->data, size);
    return b->data;
}

ERL_NIF_TERM enif_make_binary(ErlNifEnv *env, ErlNifBinary *bin)
{
    struct refbin *b = bin->ref_bin;
    struct dest d;
    term t;

    if (!b) {
        unsigned char *data = enif_make_new_binary(env, bin->size, &t);

        if (data && bin->size)
            memcpy(data, bin->data, bin->size);
        return t;
    }
    /* bin->data stays valid, as promised: no copying, however small. */
    d = (struct dest){nif_alloc(env, REFCBIN_WORDS), nif_offheap(env)};
    b->size = bin->size;
    bin->ref_bin = NULL;
    return binary_put_refbin(&d, b, b->data, bin->size);
}

ERL_NIF_TERM enif_make_sub_binary(ErlNifEnv *env, ERL_NIF_TERM t, size_t pos, size_t size)
{
    struct subbin_words *s;
    struct bits b;

    if (!term_is_bitstring(t))
        return enif_make_badarg(env);
    b = bits_of(t);
    if (pos > bits_bytes(b) || size > bits_bytes(b) - pos)
        return enif_make_badarg(env);
    s = (struct subbin_words *)nif_alloc(env, SUBBIN_WORDS);
    s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    s->orig = b.orig;
    s->offset = b.offset + 8 * (uint64_t)pos;
    s->size = 8 * (uint64_t)size;
    return boxed_make(&s->header);
}

int enif_inspect_binary(ErlNifEnv *env, ERL_NIF_TERM t, ErlNifBinary *bin)
{
    struct bits b;
    uint8_t *copy;

    if (!term_is_binary(t))
        return 0;
    b = bits_of(t);
    bin->size = bits_bytes(b);
    bin->ref_bin = NULL;
    if (bits_aligned(b)) {
        bin->data = (unsigned char *)(uintptr_t)b.base + b.offset / 8;
        return 1;
    }
    copy = nif_temp(env, bin->size);
    if (!copy)
        return 0;
    bits_copy(copy, 0, b.base, b.offset, b.size);
    bin->data = copy;
    return 1;
}

int enif_inspect_iolist_as_binary(ErlNifEnv *env, ERL_NIF_TERM t, ErlNifBinary *bin)
{
    uint8_t *copy;
    size_t n;

    if (term_is_binary(t))
        return enif_inspect_binary(env, t, bin);
    if (!term_is_list(t) || iolist_size(t, &n) < 0)
        return 0;
    copy = nif_temp(env, n + 1);
    if (!copy)
        return 0;
    iolist_copy(t, copy);
    *bin = (ErlNifBinary){.size = n, .data = copy};
    return 1;
}

int enif_term_to_binary(ErlNifEnv *env, ERL_NIF_TERM t, ErlNifBinary *bin)
{
    struct ext_buf b;
    int ok;

    ext_buf_init(&b);
    b.data[b.n++] = EXT_VERSION;
    ok = ext_encode(&b, t, 0) && enif_alloc_binary(b.n, bin);
    if (ok)
        memcpy(bin->data, b.data, b.n);
    ext_buf_fini(&b);
    return ok;
}

size_t enif_binary_to_term(ErlNifEnv *env, const unsigned char *data, size_t n,
                           ERL_NIF_TERM *out, unsigned opts)
{
    unsigned flags = opts & ERL_NIF_BIN2TERM_SAFE ? EXT_SAFE : 0;
    uint8_t *plain = NULL;
    struct dest d;
    size_t words, size, packed;
    int64_t used;

    if (n < 1 || data[0] != 131 || opts & ~(unsigned)ERL_NIF_BIN2TERM_SAFE)
        return 0;
    if (n > 1 && data[1] == EXT_COMPRESSED) {
        plain = ext_inflate(data, n, &size, &packed);
        if (!plain)
            return 0;
    }
    used = plain ? ext_size(plain, size, flags, &words)
                 : ext_size(data + 1, n - 1, flags, &words);
    *out = THE_NON_VALUE;
    if (used >= 0) {
        d = (struct dest){nif_alloc(env, words), nif_offheap(env)};
        *out = plain ? ext_decode(&d, plain, size, flags)
                     : ext_decode(&d, data + 1, n - 1, flags);
    }
    vm_free(plain);
    return *out == THE_NON_VALUE ? 0 : plain ? packed : (size_t)used + 1;
}

/*
 * Pids, ports, references.
 */
ErlNifPid *enif_self(ErlNifEnv *env, ErlNifPid *pid)
{
    if (!env->p)
        return NULL;
    pid->pid = env->p->id;
    return pid;
}

int enif_get_local_pid(ErlNifEnv *env, ERL_NIF_TERM t, ErlNifPid *pid)
{
    if (!term_is_local_pid(t))
        return 0;
    pid->pid = t;
    return 1;
}

int enif_get_local_port(ErlNifEnv *env, ERL_NIF_TERM t, ErlNifPort *port)
{
    if (!term_is_local_port(t))
        return 0;
    port->port_id = t;
    return 1;
}

void enif_set_pid_undefined(ErlNifPid *pid)
{
    pid->pid = am_undefined;
}

int enif_is_pid_undefined(const ErlNifPid *pid)
{
    return pid->pid == am_undefined;
}

static term whereis(term name)
{
    if (!term_is_atom(name))
        return THE_NON_VALUE;
    return nif_on_scheduler() ? name_whereis(name) : name_whereis_by_thread(name);
}

int enif_whereis_pid(ErlNifEnv *env, ERL_NIF_TERM name, ErlNifPid *pid)
{
    return enif_get_local_pid(env, whereis(name), pid);
}

int enif_whereis_port(ErlNifEnv *env, ERL_NIF_TERM name, ErlNifPort *port)
{
    return enif_get_local_port(env, whereis(name), port);
}

int enif_is_process_alive(ErlNifEnv *env, ErlNifPid *pid)
{
    return proc_find(pid->pid) != NULL;
}

int enif_is_current_process_alive(ErlNifEnv *env)
{
    return env->p && proc_find(env->p->id) != NULL;
}

ERL_NIF_TERM enif_make_ref(ErlNifEnv *env)
{
    uint64_t ref[2];
    term *hp = nif_alloc(env, REF_WORDS);

    ref_next(ref);
    return ref_put(&hp, ref);
}

ERL_NIF_TERM enif_make_unique_integer(ErlNifEnv *env, ErlNifUniqueInteger properties)
{
    return enif_make_int64(env, unique_next(properties & ERL_NIF_UNIQUE_MONOTONIC,
                                            properties & ERL_NIF_UNIQUE_POSITIVE));
}

/*
 * Time.
 */
static int64_t parts_per_second(ErlNifTimeUnit unit)
{
    switch (unit) {
    case ERL_NIF_SEC: return 1;
    case ERL_NIF_MSEC: return 1000;
    case ERL_NIF_USEC: return 1000000;
    case ERL_NIF_NSEC: return 1000000000;
    }
    return 0;
}

ErlNifTime enif_convert_time_unit(ErlNifTime t, ErlNifTimeUnit from, ErlNifTimeUnit to)
{
    int64_t f = parts_per_second(from), n = parts_per_second(to);
    __int128 v = (__int128)t * n;

    if (f == 0 || n == 0)
        return ERL_NIF_TIME_ERROR;
    /* Rounds down, also below zero. */
    return (ErlNifTime)(v / f - (v % f < 0));
}

ErlNifTime enif_monotonic_time(ErlNifTimeUnit unit)
{
    return enif_convert_time_unit(clock_monotonic_ns(), ERL_NIF_NSEC, unit);
}

ErlNifTime enif_time_offset(ErlNifTimeUnit unit)
{
    return enif_convert_time_unit(clock_offset_ns(), ERL_NIF_NSEC, unit);
}

static ERL_NIF_TERM timestamp(ErlNifEnv *env, int64_t us)
{
    return enif_make_tuple(env, 3, small_make(us / 1000000000000),
                           small_make(us / 1000000 % 1000000), small_make(us % 1000000));
}

ERL_NIF_TERM enif_now_time(ErlNifEnv *env)
{
    return timestamp(env, clock_now_us());
}

ERL_NIF_TERM enif_cpu_time(ErlNifEnv *env)
{
    return timestamp(env, (int64_t)os_cpu_ns() / 1000);
}
