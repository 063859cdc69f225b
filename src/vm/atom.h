/*
 * atom.h - the atom table. Atoms are never freed.
 *
 * am_xyz names the atom 'xyz'. The build finds every am_ word in the sources
 * (op/gen/atoms.py) and gives those atoms the first indexes of the table;
 * names that are no C identifier are spelled out in vm/atom.def.
 */
#ifndef VM_ATOM_H
#define VM_ATOM_H

#include "vm/vm.h"
#include "atoms.gen.h"

#define ATOM_MAX_CHARS 255
#define ATOM_MAX_BYTES (ATOM_MAX_CHARS * 4)
#define ATOM_LIMIT 1048576

struct atom {
    uint8_t *name;          /* UTF-8, not terminated */
    uint16_t bytes, chars;
    uint32_t hash;          /* of the name, as erlang:phash2 wants it: atom.c */
    uint32_t ord;           /* first 4 bytes, big endian: compares fast */
    bool latin1;            /* no character above 255 */
};

void atom_init(void);

/*
 * The atom of a name in UTF-8, made if new. THE_NON_VALUE if the name is not
 * UTF-8, has more than 255 characters, or the table is full (ATOM_LIMIT).
 */
term atom_make(const uint8_t *utf8, size_t bytes);
/*
 * Who makes many tells their names some time before, in turn for each: first what
 * leads to the atom, later the atom itself, is brought near.
 */
void atom_expect(const uint8_t *utf8, size_t bytes, bool soon);
term atom_make_latin1(const uint8_t *s, size_t n);
term atom_from_cstr(const char *s);
/* The same, only if it exists; else THE_NON_VALUE. */
term atom_find(const uint8_t *utf8, size_t bytes);

/* Atoms lie in chunks that never move, found by index; by name: atom.c. */
enum { ATOM_CHUNK = 4096, ATOM_CHUNKS = ATOM_LIMIT / ATOM_CHUNK };
struct atom_table {
    struct atom *chunk[ATOM_CHUNKS];
    uint32_t count;
    uint32_t *index;            /* atom index + 1, or 0; size is a power of 2 */
    uint32_t index_size;
};
static inline const struct atom *atom_get(term a)
{
    uint32_t i = atom_index(a);

    assert(term_is_atom(a) && i < vm.atoms->count);
    return &vm.atoms->chunk[i / ATOM_CHUNK][i % ATOM_CHUNK];
}
size_t atom_count(void);
/* The atom number i < atom_count(). */
term atom_from_index(uint32_t i);
/* Order of two atoms as Erlang compares them: <0, 0, >0. */
int atom_compare(term a, term b);

static inline bool term_is_bool(term t) { return t == am_true || t == am_false; }
static inline term bool_make(bool b) { return b ? am_true : am_false; }

#endif
