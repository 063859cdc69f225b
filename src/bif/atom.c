/*
 * atom.c - atoms from and to lists of characters and binaries.
 */
#include "bif/bif.h"
#include "vm/binary.h"
#include "vm/unicode.h"

BIF(erlang, atom_to_list, 1)
{
    const struct atom *a;
    term list = TERM_NIL, *hp, *cell, *last = &list;
    size_t at = 0;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    a = atom_get(arg[0]);
    if (a->chars == 0)
        return list;
    hp = heap_alloc(p, a->chars * CONS_WORDS);
    while (at < a->bytes) {
        uint32_t c = 0;

        at += utf8_get(a->name + at, a->bytes - at, &c);
        cell = hp;
        *last = put_cons(&hp, small_make(c), TERM_NIL);
        last = cell + 1;
    }
    return list;
}

BIF(erlang, atom_to_binary, 2)
{
    const struct atom *a;
    uint8_t *to;
    term bin;

    if (!term_is_atom(arg[0]))
        return bif_badarg(p);
    a = atom_get(arg[0]);
    if (arg[1] == am_utf8 || arg[1] == am_unicode)
        return binary_from(p, a->name, a->bytes);
    if (arg[1] != am_latin1 || !a->latin1)
        return bif_badarg(p);
    bin = binary_new(p, a->chars, &to);
    for (size_t at = 0; at < a->bytes;) {
        uint32_t c = 0;

        at += utf8_get(a->name + at, a->bytes - at, &c);
        *to++ = (uint8_t)c;
    }
    return bin;
}

/* What is wrong with a name, in the order in which OTP looks. */
enum name_fault { NAME_OK, NAME_BAD, NAME_TOO_LONG };

/* The name in UTF-8, in a buffer of ATOM_MAX_BYTES. */
struct name {
    uint8_t utf8[ATOM_MAX_BYTES];
    size_t bytes;
};

static enum name_fault name_of_list(term list, struct name *name)
{
    name->bytes = 0;
    for (size_t n = 0; term_is_cons(list); list = cons_tail(list), n++) {
        term c = cons_head(list);

        if (n == ATOM_MAX_CHARS)
            return NAME_TOO_LONG;
        if (!term_is_small(c) || !unicode_valid((uint64_t)small_value(c)))
            return NAME_BAD;
        name->bytes += utf8_put(name->utf8 + name->bytes, (uint32_t)small_value(c));
    }
    return term_is_nil(list) ? NAME_OK : NAME_BAD;
}

static enum name_fault name_of_latin1(const struct binbytes *b, struct name *name)
{
    if (b->size > ATOM_MAX_CHARS)
        return NAME_TOO_LONG;
    name->bytes = 0;
    for (size_t i = 0; i < b->size; i++)
        name->bytes += utf8_put(name->utf8 + name->bytes, b->data[i]);
    return NAME_OK;
}

static enum name_fault name_of_utf8(const struct binbytes *b, struct name *name)
{
    size_t chars = 0;

    if (b->size > ATOM_MAX_BYTES)
        return NAME_TOO_LONG;
    for (size_t at = 0; at < b->size; chars++) {
        uint32_t c;
        unsigned n = utf8_get(b->data + at, b->size - at, &c);

        if (n == 0)
            return chars > ATOM_MAX_CHARS ? NAME_TOO_LONG : NAME_BAD;
        at += n;
    }
    if (chars > ATOM_MAX_CHARS)
        return NAME_TOO_LONG;
    memcpy(name->utf8, b->data, b->size);
    name->bytes = b->size;
    return NAME_OK;
}

static term atom_of(struct proc *p, enum name_fault fault, const struct name *name)
{
    term t;

    if (fault == NAME_BAD)
        return bif_badarg(p);
    if (fault == NAME_TOO_LONG)
        return bif_error(p, am_system_limit);
    t = atom_make(name->utf8, name->bytes);
    /* A valid name is refused only by a full table. */
    return t == THE_NON_VALUE ? bif_error(p, am_system_limit) : t;
}

static term existing_atom_of(struct proc *p, enum name_fault fault,
                             const struct name *name)
{
    term t = fault == NAME_OK ? atom_find(name->utf8, name->bytes) : THE_NON_VALUE;

    return t == THE_NON_VALUE ? bif_badarg(p) : t;
}

BIF(erlang, list_to_atom, 1)
{
    struct name name;

    return atom_of(p, name_of_list(arg[0], &name), &name);
}

BIF(erlang, list_to_existing_atom, 1)
{
    struct name name;

    return existing_atom_of(p, name_of_list(arg[0], &name), &name);
}

/* A binary in the encoding that an atom names. */
static enum name_fault name_of_binary(term bin, term encoding, struct name *name)
{
    enum name_fault fault = NAME_BAD;
    struct binbytes b;

    if (!binary_bytes(bin, &b))
        return NAME_BAD;
    if (encoding == am_latin1)
        fault = name_of_latin1(&b, name);
    else if (encoding == am_utf8 || encoding == am_unicode)
        fault = name_of_utf8(&b, name);
    binary_bytes_end(&b);
    return fault;
}

BIF(erlang, binary_to_atom, 2)
{
    struct name name;

    return atom_of(p, name_of_binary(arg[0], arg[1], &name), &name);
}

BIF(erlang, binary_to_existing_atom, 2)
{
    struct name name;

    return existing_atom_of(p, name_of_binary(arg[0], arg[1], &name), &name);
}
