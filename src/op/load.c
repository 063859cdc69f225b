/*
 * load.c - the tables of a .beam, and code_prepare().
 */
#include <stdio.h>
#include <zlib.h>

#include "op/code.h"
#include "op/loader.h"
#include "vm/atom.h"
#include "vm/ext.h"
#include "vm/md5.h"
#include "vm/ops.h"

/* Counts in a .beam are bounded by what their chunks could hold. */
static uint32_t read_count(struct loader *l, struct reader *r, size_t entry_bytes,
                           const char *what)
{
    uint32_t n = read_u32(l, r);

    if (load_ok(l) && n > (size_t)(r->end - r->p) / entry_bytes) {
        load_fail(l, "its %s table is truncated", what);
        return 0;
    }
    return load_ok(l) ? n : 0;
}

static bool chunk(struct loader *l, const char *id, struct reader *r, bool needed)
{
    size_t n;
    const uint8_t *p = beam_chunk(l->beam, l->beam_bytes, id, &n);

    if (!p) {
        if (needed)
            load_fail(l, "it has no %s chunk", id);
        return false;
    }
    *r = (struct reader){p, p + n};
    return true;
}

static term atom_at(struct loader *l, uint32_t index)
{
    if (index == 0 || index > l->natoms) {
        load_fail(l, "atom %u is not in its table", (unsigned)index);
        return am_false;
    }
    return l->atoms[index];
}

/* Step over the next name, if there is one, and say that it will be asked for. */
#define ATOMS_AHEAD 4
static void expect_atom(struct reader *r, bool soon)
{
    if (r->p == r->end || *r->p >= r->end - r->p)
        return;
    atom_expect(r->p + 1, *r->p, soon);
    r->p += 1 + *r->p;
}

static bool read_atoms(struct loader *l)
{
    struct reader r;
    bool utf8 = chunk(l, "AtU8", &r, false);

    if (!utf8 && !chunk(l, "Atom", &r, true))
        return false;
    uint32_t n = read_count(l, &r, 1, "atom");
    if (n == 0)
        return load_fail(l, "it names no module");
    l->atoms = vm_alloc(ALLOC_CODE, (n + 1) * sizeof *l->atoms);
    l->atoms[0] = TERM_NIL;
    struct reader first = r, second = r;
    for (uint32_t i = 0; i < 2 * ATOMS_AHEAD; i++)
        expect_atom(&first, false);
    for (uint32_t i = 0; i < ATOMS_AHEAD; i++)
        expect_atom(&second, true);
    for (uint32_t i = 1; i <= n; i++) {
        uint8_t len = read_u8(l, &r);
        const uint8_t *name = read_bytes(l, &r, len);

        if (!load_ok(l))
            return false;
        expect_atom(&first, false);
        expect_atom(&second, true);
        l->atoms[i] = utf8 ? atom_make(name, len) : atom_make_latin1(name, len);
        if (l->atoms[i] == THE_NON_VALUE)
            return load_fail(l, "atom %u can't be made", (unsigned)i);
        l->natoms = i;
    }
    l->code->module = l->atoms[1];
    return true;
}

static bool read_imports(struct loader *l)
{
    struct reader r;

    if (!chunk(l, "ImpT", &r, true))
        return false;
    uint32_t n = read_count(l, &r, 12, "import");
    l->imports = vm_alloc(ALLOC_CODE, (n + 1) * sizeof *l->imports);
    l->code->imports = vm_alloc(ALLOC_CODE, (n + 1) * sizeof *l->code->imports);
    for (uint32_t i = 0; i < n; i++) {
        struct import *im = &l->imports[i];

        im->m = atom_at(l, read_u32(l, &r));
        im->f = atom_at(l, read_u32(l, &r));
        im->arity = read_u32(l, &r);
        if (!load_ok(l))
            return false;
        if (im->arity > 255)
            return load_fail(l, "an import has arity %u", (unsigned)im->arity);
        im->export = export_put(im->m, im->f, im->arity);
        l->code->imports[i] = im->export;
        l->nimports = l->code->nimports = i + 1;
    }
    return true;
}

static bool read_exports(struct loader *l, const char *id, struct code_export **out,
                         uint32_t *count)
{
    struct reader r;

    if (!chunk(l, id, &r, id[0] == 'E'))
        return load_ok(l);
    uint32_t n = read_count(l, &r, 12, "export");
    *out = vm_alloc(ALLOC_CODE, (n + 1) * sizeof **out);
    for (uint32_t i = 0; i < n; i++) {
        struct code_export *e = &(*out)[i];

        e->f = (uint32_t)atom_at(l, read_u32(l, &r));
        e->arity = read_u32(l, &r);
        e->label_off = read_u32(l, &r);     /* the label; its offset later */
        if (!load_ok(l))
            return false;
        if (e->arity > 255 || e->label_off >= l->nlabels)
            return load_fail(l, "an export is broken");
        *count = i + 1;
    }
    return true;
}

static bool read_lambdas(struct loader *l)
{
    struct reader r;

    if (!chunk(l, "FunT", &r, false))
        return load_ok(l);
    uint32_t n = read_count(l, &r, 24, "fun");
    l->lambdas = vm_alloc(ALLOC_CODE, (n + 1) * sizeof *l->lambdas);
    for (uint32_t i = 0; i < n; i++) {
        struct lambda *f = &l->lambdas[i];

        f->name = atom_at(l, read_u32(l, &r));
        f->arity = read_u32(l, &r);
        f->label = read_u32(l, &r);
        f->index = read_u32(l, &r);
        f->num_free = read_u32(l, &r);
        f->old_uniq = read_u32(l, &r);
        f->entry = NULL;
        if (!load_ok(l))
            return false;
        if (f->label >= l->nlabels || f->arity > 255 || f->num_free > f->arity)
            return load_fail(l, "a fun is broken");
        l->nlambdas = i + 1;
    }
    return true;
}

/* One external term, version byte included, to a literal. */
static bool read_literal(struct loader *l, const uint8_t *p, size_t n, uint32_t *index)
{
    struct mbuf *m;
    term t = ext_decode_mbuf(p, n, &m);

    if (t == THE_NON_VALUE)
        return load_fail(l, "a literal can't be decoded");
    if (m) {
        struct mbuf *last = m;

        while (last->next)
            last = last->next;
        last->next = l->mbufs;
        l->mbufs = m;
    }
    *index = load_literal(l, t);
    return true;
}

/* The table's literals, all to one fragment: there are dozens in a module. */
static void decode_literals(struct loader *l, struct reader r)
{
    uint32_t n = read_count(l, &r, 5, "literal");
    struct reader first = r;
    size_t total = 0, words;

    for (uint32_t i = 0; i < n && load_ok(l); i++) {
        uint32_t bytes = read_u32(l, &r);
        const uint8_t *p = read_bytes(l, &r, bytes);

        if (!p)
            break;
        if (bytes < 1 || p[0] != EXT_VERSION || ext_size(p + 1, bytes - 1, 0, &words) < 0)
            load_fail(l, "a literal can't be decoded");
        else
            total += words;
    }
    struct mbuf *m = load_ok(l) && n ? mbuf_try_new(total) : NULL;
    if (!m) {
        if (n)
            load_fail(l, "there is no room for its literals");
        return;
    }
    m->next = l->mbufs;
    l->mbufs = m;
    struct dest d = {.htop = m->words, .off = &m->off};
    for (uint32_t i = 0; i < n && load_ok(l); i++) {
        uint32_t bytes = read_u32(l, &first);
        term t = ext_decode(&d, read_bytes(l, &first, bytes) + 1, bytes - 1, 0);

        m->used = (size_t)(d.htop - m->words);
        if (t == THE_NON_VALUE)
            load_fail(l, "a literal can't be decoded");
        else
            load_literal(l, t);
    }
}

#define LITERALS_MAX_BYTES ((size_t)1 << 30)

static bool read_literals(struct loader *l)
{
    struct reader r;
    uint8_t *copy = NULL;

    if (!chunk(l, "LitT", &r, false))
        return load_ok(l);
    uint32_t plain = read_u32(l, &r);
    if (plain) {
        uLongf got = plain;
        size_t packed = (size_t)(r.end - r.p);

        /* zlib packs at most 1032 to 1. */
        if (plain > LITERALS_MAX_BYTES || plain / 1040 > packed)
            return load_fail(l, "its literals claim %u bytes", (unsigned)plain);
        copy = vm_alloc(ALLOC_CODE, plain);
        if (uncompress(copy, &got, r.p, packed) != Z_OK || got != plain) {
            vm_free(copy);
            return load_fail(l, "its literals can't be unpacked");
        }
        r = (struct reader){copy, copy + plain};
    }
    decode_literals(l, r);
    vm_free(copy);
    return load_ok(l);
}

/* Line numbers: compact numbers, and file names as UTF-8. */
/* Lines that OTP can't represent are left out of its stack traces, and ours. */
#define LINE_LIMIT ((1u << LINE_BITS) - 1)
#define FILES_IN_LINES (1u << (32 - LINE_BITS))
/* A file without a name (forms that were compiled) is the module's own. */
#define NO_FILE ((term)-1)

static bool read_lines(struct loader *l, uint32_t *file_literals)
{
    struct reader r;
    struct code *c = l->code;
    uint32_t file = 0, size = 0;

    if (!chunk(l, "Line", &r, false))
        return load_ok(l);
    uint32_t version = read_u32(l, &r);
    read_u32(l, &r);                    /* flags */
    read_u32(l, &r);                    /* line instructions */
    uint32_t nlines = read_u32(l, &r), nfiles = read_u32(l, &r);
    if (version != 0)
        return true;                    /* OTP ignores what it does not know */
    if (nlines > (size_t)(r.end - r.p) || nfiles > (size_t)(r.end - r.p))
        return load_fail(l, "its line table is truncated");
    c->lines = load_grow(NULL, &size, nlines + 1, sizeof *c->lines);
    c->lines[0] = (struct line_info){0, 0};
    c->nlines = 1;
    if (nfiles >= FILES_IN_LINES)
        c->line_files = vm_zalloc(ALLOC_CODE, (nlines + 1) * sizeof *c->line_files);
    while (c->nlines <= nlines && load_ok(l)) {
        unsigned tag;
        uint64_t v = read_compact(l, &r, &tag);

        if (tag == 2) {
            if (v > nfiles)
                return load_fail(l, "a line is of a file it does not name");
            file = (uint32_t)v;
            continue;
        }
        bool fits = v < LINE_LIMIT;

        if (c->line_files)
            c->line_files[c->nlines] = fits ? file : 0;
        c->lines[c->nlines++] = (struct line_info){
            fits && !c->line_files ? file : 0, fits ? (uint32_t)v : 0};
    }
    c->files = vm_alloc(ALLOC_CODE, (nfiles + 1) * sizeof *c->files);
    c->files[0] = THE_NON_VALUE;
    c->nfiles = nfiles + 1;
    for (uint32_t i = 1; i <= nfiles && load_ok(l); i++) {
        uint32_t bytes = (uint32_t)read_u8(l, &r) << 8;
        bytes |= read_u8(l, &r);
        const uint8_t *p = read_bytes(l, &r, bytes);

        if (!p)
            break;
        if (bytes == 0) {
            c->files[i] = NO_FILE;
            continue;
        }
        /* A charlist; file names of the compiler are UTF-8. */
        struct mbuf *m = mbuf_new(2 * (size_t)bytes + 1);
        term *hp = m->words + 2 * (size_t)bytes, list = TERM_NIL;
        for (size_t k = bytes; k > 0;) {
            uint32_t ch = p[--k], shift = 0;

            if ((ch & 0xc0) == 0x80) {
                uint32_t v = 0;
                while (k > 0 && (p[k] & 0xc0) == 0x80 && shift < 18) {
                    v |= (uint32_t)(p[k] & 0x3f) << shift;
                    shift += 6;
                    k--;
                }
                ch = v | (uint32_t)(p[k] & (0x3f >> (shift / 6))) << shift;
            }
            hp -= 2;
            hp[0] = small_make(ch);
            hp[1] = list;
            list = cons_make(hp);
        }
        m->used = m->size;
        for (term *w = m->words; w < hp; w++)
            *w = TERM_NIL;
        m->next = l->mbufs;
        l->mbufs = m;
        file_literals[0]++;
        c->files[i] = load_literal(l, list);    /* an index, the term later */
    }
    return load_ok(l);
}

/*
 * All literal terms to one area: those of the table, bignum operands,
 * attributes and file names.
 */
static bool place_literals(struct loader *l)
{
    size_t words = 0;

    for (uint32_t i = 0; i < l->nliterals; i++)
        words += term_size_all(l->literals[i]);
    struct literal_area *area = literal_area_new(words ? words : 1);
    if (!area)
        return load_fail(l, "there is no room for its literals");
    struct dest d = {area->start, &area->off};
    for (uint32_t i = 0; i < l->nliterals; i++)
        l->literals[i] = term_copy_all(&d, l->literals[i]);
    area->end = d.htop;
    l->code->literals = area;
    return true;
}

bool beam_md5(const uint8_t *beam, size_t n, uint8_t out[16])
{
    static const char *const ids[] = {"Code", "StrT", "ImpT", "ExpT", "FunT", "LitT",
                                       "Meta"};
    static const uint8_t zero[4];
    struct md5 m;
    size_t bytes;
    const uint8_t *p = beam_chunk(beam, n, "AtU8", &bytes);

    if (!p)
        p = beam_chunk(beam, n, "Atom", &bytes);
    if (!p)
        return false;
    md5_init(&m);
    md5_update(&m, p, bytes);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        p = beam_chunk(beam, n, ids[i], &bytes);
        if (!p)
            continue;
        if (strcmp(ids[i], "FunT") != 0 || bytes < 4) {
            md5_update(&m, p, bytes);
            continue;
        }
        /* The last word of each fun is a hash of its source: not code. */
        md5_update(&m, p, 4);
        for (p += 4, bytes -= 4; bytes >= 24; p += 24, bytes -= 24) {
            md5_update(&m, p, 20);
            md5_update(&m, zero, 4);
        }
    }
    md5_final(&m, out);
    return true;
}

static void loader_free(struct loader *l)
{
    vm_free(l->atoms);
    vm_free(l->imports);
    vm_free(l->locals);
    vm_free(l->resumes);
    vm_free(l->lambdas);
    vm_free(l->literals);
    vm_free(l->instrs);
    vm_free(l->args);
    vm_free(l->words);
    vm_free(l->label_at);
    vm_free(l->vary);
    vm_free(l->fixups);
    vm_free(l->catches);
    if (l->mbufs)
        mbuf_free(l->mbufs);
}

static bool load(struct loader *l)
{
    struct reader code, r;
    struct code *c = l->code;
    uint32_t attributes = UINT32_MAX, compile = UINT32_MAX, nfiles[1] = {0};

    if (l->beam_bytes < 12 || memcmp(l->beam, "FOR1", 4) ||
        memcmp(l->beam + 8, "BEAM", 4))
        return load_fail(l, "it is no BEAM file");
    if (!read_atoms(l) || !chunk(l, "Code", &code, true) ||
        !decode_header(l, &code) || !read_imports(l) ||
        !read_exports(l, "ExpT", &c->exports, &c->nexports) ||
        !read_exports(l, "LocT", &l->locals, &l->nlocals) || !read_lambdas(l) ||
        !read_literals(l))
        return false;
    if (chunk(l, "Attr", &r, false))
        read_literal(l, r.p, (size_t)(r.end - r.p), &attributes);
    if (chunk(l, "CInf", &r, false))
        read_literal(l, r.p, (size_t)(r.end - r.p), &compile);
    if (l->lines && !read_lines(l, nfiles))
        return false;
    if (chunk(l, "StrT", &r, false)) {
        l->strings_bytes = (size_t)(r.end - r.p);
        c->strings = vm_alloc(ALLOC_CODE, l->strings_bytes + 1);
        memcpy(c->strings, r.p, l->strings_bytes);
    }
    beam_md5(l->beam, l->beam_bytes, c->md5);
    if (!decode_code(l, code))
        return false;
    if (!place_literals(l))
        return false;
    for (uint32_t i = 1; i < c->nfiles; i++)
        c->files[i] = c->files[i] == NO_FILE ? THE_NON_VALUE : l->literals[c->files[i]];
    c->attributes = attributes == UINT32_MAX ? TERM_NIL : l->literals[attributes];
    c->compile = compile == UINT32_MAX ? TERM_NIL : l->literals[compile];

    l->label_at = vm_alloc(ALLOC_CODE, (l->nlabels + 1) * sizeof *l->label_at);
    memset(l->label_at, 0xff, (l->nlabels + 1) * sizeof *l->label_at);
    c->funs = vm_zalloc(ALLOC_CODE, (l->nlambdas + 1) * sizeof *c->funs);
    c->fun_addrs = vm_zalloc(ALLOC_CODE, (l->nlambdas + 1) * sizeof *c->fun_addrs);
    for (uint32_t i = 0; i < l->nlambdas; i++) {
        struct lambda *f = &l->lambdas[i];

        f->entry = fun_entry_put(c->module, f->index, f->old_uniq, c->md5,
                                 f->arity - f->num_free, f->num_free);
        f->entry->name = f->name;
        c->funs[i] = f->entry;
    }
    c->nfuns = l->nlambdas;
    return front_translate(l);
}

static struct code *prepare(const uint8_t *beam, size_t n, bool lines, char why[256])
{
    struct loader *l = vm_zalloc(ALLOC_CODE, sizeof *l);
    struct code *c = vm_zalloc(ALLOC_CODE, sizeof *c);

    why[0] = 0;
    l->why = why;
    l->beam = beam;
    l->beam_bytes = n;
    l->code = c;
    l->native = code_native;
    l->lines = lines;
    l->row_frame = UINT32_MAX;
    if (!load(l)) {
        code_free(c);
        c = NULL;
    }
    loader_free(l);
    vm_free(l);
    return c;
}

struct code *code_prepare(const uint8_t *beam, size_t n, char why[256])
{
    return prepare(beam, n, true, why);
}

struct code *code_prepare_preloaded(const uint8_t *beam, size_t n, char why[256])
{
    return prepare(beam, n, false, why);
}

term code_module_name(struct code *c) { return c->module; }
