/*
 * atom.c - the atom table.
 *
 * Atoms lie in chunks that never move, so a struct atom * stays good while the
 * table grows. An open-addressed index of 32-bit words finds them by name; it
 * is kept at most two thirds full.
 */
#include "vm/atom.h"
#include "vm/vm.h"

static const struct {
    const char *name;
    uint16_t bytes;
} static_atoms[] = {
#include "atoms.gen.inc"
};

static inline struct atom *atom_at(uint32_t i)
{
    return &vm.atoms->chunk[i / ATOM_CHUNK][i % ATOM_CHUNK];
}

size_t atom_count(void)
{
    return vm.atoms->count;
}

term atom_from_index(uint32_t i)
{
    assert(i < vm.atoms->count);
    return ATOM_MAKE(i);
}

static inline uint64_t load64(const uint8_t *s)
{
    uint64_t w;

    memcpy(&w, s, 8);
    return w;
}

/* All of n < 8 bytes in a word. */
static inline uint64_t load_few(const uint8_t *s, size_t n)
{
    uint32_t first, last;

    if (n < 4)
        return n == 0 ? 0 : s[0] | (uint32_t)s[n / 2] << 8 | (uint32_t)s[n - 1] << 16;
    memcpy(&first, s, 4);
    memcpy(&last, s + n - 4, 4);
    return first | (uint64_t)last << 32;
}

/* Eight bytes a step, the length in the first; the index uses the low bits. */
static inline uint32_t index_hash(const uint8_t *s, size_t n)
{
    uint64_t h = n * 0x9e3779b97f4a7c15;

    for (; n >= 8; n -= 8, s += 8) {
        h = (h ^ load64(s)) * 0xff51afd7ed558ccd;
        h ^= h >> 32;
    }
    h = (h ^ load_few(s, n)) * 0xff51afd7ed558ccd;
    return (uint32_t)(h ^ h >> 32);
}

static inline bool same_name(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (; n >= 8; n -= 8, a += 8, b += 8)
        if (load64(a) != load64(b))
            return false;
    return load_few(a, n) == load_few(b, n);
}

/*
 * What erlang:phash2/1 mixes in for an atom: the PJW hash of its characters
 * where they are Latin-1, else of the bytes of UTF-8.
 */
static uint32_t portable_hash(const uint8_t *s, size_t n)
{
    uint32_t h = 0, g;

    for (size_t i = 0; i < n; i++) {
        uint8_t c = s[i];

        if (i + 1 < n && (c & 0xfe) == 0xc2 && (s[i + 1] & 0xc0) == 0x80)
            c = (uint8_t)(c << 6) | (s[++i] & 0x3f);
        h = (h << 4) + c;
        if ((g = h & 0xf0000000))
            h ^= g >> 24 ^ g;
    }
    return h;
}

/*
 * Characters in s, or -1 if it is no UTF-8: overlong forms, surrogates and
 * what lies above 16#10ffff are refused.
 */
static int utf8_chars(const uint8_t *s, size_t n, bool *latin1)
{
    int chars = 0;

    *latin1 = true;
    for (size_t i = 0; i < n; chars++) {
        uint8_t c = s[i++];
        uint32_t v;
        int more;

        if (c < 0x80)
            continue;
        if (c >= 0xc2 && c <= 0xdf) {
            more = 1;
            v = c & 0x1f;
        } else if ((c & 0xf0) == 0xe0) {
            more = 2;
            v = c & 0x0f;
        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3;
            v = c & 0x07;
        } else {
            return -1;
        }
        if (n - i < (size_t)more)
            return -1;
        for (int k = 0; k < more; k++, i++) {
            if ((s[i] & 0xc0) != 0x80)
                return -1;
            v = v << 6 | (s[i] & 0x3f);
        }
        if ((more == 2 && v < 0x800) || (more == 3 && v < 0x10000) ||
            v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
            return -1;
        if (v > 255)
            *latin1 = false;
    }
    return chars;
}

/* The index slot of this name, or the empty one where it would go. */
static uint32_t *slot_of(const uint8_t *s, size_t n)
{
    struct atom_table *t = vm.atoms;
    uint32_t mask = t->index_size - 1;

    for (uint32_t i = index_hash(s, n) & mask;; i = (i + 1) & mask) {
        struct atom *a;

        if (t->index[i] == 0)
            return &t->index[i];
        a = atom_at(t->index[i] - 1);
        if (a->bytes == n && same_name(a->name, s, n))
            return &t->index[i];
    }
}

void atom_expect(const uint8_t *utf8, size_t bytes, bool soon)
{
    const struct atom_table *t = vm.atoms;
    const uint32_t *slot = &t->index[index_hash(utf8, bytes) & (t->index_size - 1)];

    if (!soon)
        __builtin_prefetch(slot);
    else if (*slot)
        __builtin_prefetch(atom_at(*slot - 1));
}

static void index_grow(void)
{
    struct atom_table *t = vm.atoms;
    uint32_t *old = t->index, old_size = t->index_size;

    t->index_size *= 2;
    t->index = vm_zalloc(ALLOC_ATOM, t->index_size * sizeof *t->index);
    for (uint32_t i = 0; i < old_size; i++)
        if (old[i]) {
            struct atom *a = atom_at(old[i] - 1);

            *slot_of(a->name, a->bytes) = old[i];
        }
    vm_free(old);
}

/* A new atom whose name lies at `name` for good. */
static term atom_add(uint32_t *slot, uint8_t *name, size_t n, int chars,
                     bool latin1)
{
    struct atom_table *t = vm.atoms;
    uint32_t i = t->count;
    struct atom *a;

    if (!t->chunk[i / ATOM_CHUNK])
        t->chunk[i / ATOM_CHUNK] =
            vm_alloc(ALLOC_ATOM, ATOM_CHUNK * sizeof(struct atom));
    a = atom_at(i);
    a->name = name;
    a->bytes = (uint16_t)n;
    a->chars = (uint16_t)chars;
    a->hash = portable_hash(name, n);
    a->ord = 0;
    for (size_t k = 0; k < 4; k++)
        a->ord = a->ord << 8 | (k < n ? name[k] : 0);
    a->latin1 = latin1;
    *slot = ++t->count;
    if (t->count * 3 > t->index_size * 2)
        index_grow();
    return ATOM_MAKE(i);
}

term atom_make(const uint8_t *utf8, size_t bytes)
{
    uint32_t *slot;
    uint8_t *name;
    bool latin1;
    int chars;

    if (bytes > ATOM_MAX_BYTES)
        return THE_NON_VALUE;
    slot = slot_of(utf8, bytes);
    if (*slot)
        return ATOM_MAKE(*slot - 1);
    chars = utf8_chars(utf8, bytes, &latin1);
    if (chars < 0 || chars > ATOM_MAX_CHARS || vm.atoms->count == ATOM_LIMIT)
        return THE_NON_VALUE;
    name = vm_alloc(ALLOC_ATOM, bytes);
    memcpy(name, utf8, bytes);
    return atom_add(slot, name, bytes, chars, latin1);
}

term atom_make_latin1(const uint8_t *s, size_t n)
{
    uint8_t utf8[ATOM_MAX_CHARS * 2];
    size_t bytes = 0;

    if (n > ATOM_MAX_CHARS)
        return THE_NON_VALUE;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < 0x80) {
            utf8[bytes++] = s[i];
        } else {
            utf8[bytes++] = 0xc0 | s[i] >> 6;
            utf8[bytes++] = 0x80 | (s[i] & 0x3f);
        }
    }
    return atom_make(utf8, bytes);
}

term atom_from_cstr(const char *s)
{
    return atom_make((const uint8_t *)s, strlen(s));
}

term atom_find(const uint8_t *utf8, size_t bytes)
{
    uint32_t i = bytes > ATOM_MAX_BYTES ? 0 : *slot_of(utf8, bytes);

    return i ? ATOM_MAKE(i - 1) : THE_NON_VALUE;
}

int atom_compare(term a, term b)
{
    const struct atom *x, *y;
    int order;

    if (a == b)
        return 0;
    x = atom_get(a);
    y = atom_get(b);
    if (x->ord != y->ord)
        return x->ord < y->ord ? -1 : 1;
    order = memcmp(x->name, y->name, x->bytes < y->bytes ? x->bytes : y->bytes);
    return order ? order : (int)x->bytes - (int)y->bytes;
}

void atom_init(void)
{
    struct atom_table *t = vm_zalloc(ALLOC_ATOM, sizeof *t);

    vm.atoms = t;
    t->index_size = vm.stress_gc ? 2 : 8192;
    t->index = vm_zalloc(ALLOC_ATOM, t->index_size * sizeof *t->index);
    for (uint32_t i = 0; i < ATOM_STATIC_COUNT; i++) {
        uint8_t *name = (uint8_t *)(uintptr_t)static_atoms[i].name;
        size_t n = static_atoms[i].bytes;
        uint32_t *slot = slot_of(name, n);
        bool latin1;
        int chars = utf8_chars(name, n, &latin1);

        if (*slot)
            vm_bug("two static atoms are named '%s'", name);
        atom_add(slot, name, n, chars, latin1);
    }
}
