/*
 * module.c - exports, modules, fun entries, catch entries, where a pc lies.
 *
 * All tables are open-addressed hashes of pointers, or sorted arrays, that
 * double when they fill. What they point to (struct export, module,
 * fun_entry) never moves and is never freed, since loaded code and terms hold
 * its address. The hashes come from atom indexes, never from addresses.
 */
#include "vm/module.h"

#include "bif/bif.h"
#include "io/io.h"
#include "op/break.h"
#include "op/code.h"
#include "vm/atom.h"
#include "vm/purge.h"
#include "vm/vm.h"

/* A hash of pointers. size is a power of two and at least twice n. */
struct ptr_hash {
    void **slots;
    size_t n, size;
};

struct export_table {
    struct ptr_hash hash;
    struct export **all;            /* in the order they were made */
    size_t n, size;
    struct export *slab;            /* room for slab_left more */
    size_t slab_left;
};

struct module_table {
    struct ptr_hash hash;
    struct module **all;
    size_t n, size;
    struct code **ranges;           /* all code, sorted by base */
    size_t nranges, ranges_size;
};

struct fun_table {
    struct ptr_hash hash;
    struct fun_entry *slab;
    size_t slab_left;
};

/* A free entry has no handler, and in y the next free one's index + 1. */
struct catch_table {
    struct catch_entry *entries;
    uint32_t n, size;
    uint32_t first_free;            /* index + 1, 0: none */
};

enum { SLAB_ENTRIES = 64, HASH_FIRST = 64 };

/* Mixes three small numbers; the final step is MurmurHash3's. */
static uint64_t mix(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t h = a * 0x9e3779b97f4a7c15u + b * 0xc2b2ae3d27d4eb4fu + c;

    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return h;
}

/* Double the table when it is half full; hash_of finds entries' new places. */
static void hash_room(struct ptr_hash *h, uint64_t (*hash_of)(const void *))
{
    struct ptr_hash wider;

    if (h->n * 2 < h->size)
        return;
    wider.n = h->n;
    wider.size = h->size ? h->size * 2 : HASH_FIRST;
    wider.slots = vm_zalloc(ALLOC_CODE, wider.size * sizeof *wider.slots);
    for (size_t i = 0; i < h->size; i++) {
        size_t at;

        if (!h->slots[i])
            continue;
        at = hash_of(h->slots[i]) & (wider.size - 1);
        while (wider.slots[at])
            at = (at + 1) & (wider.size - 1);
        wider.slots[at] = h->slots[i];
    }
    vm_free(h->slots);
    *h = wider;
}

/* Room for one more element in an array of `n` of `size`. */
static void *array_room(void *array, size_t n, size_t *size, size_t elem_bytes)
{
    if (n < *size)
        return array;
    *size = *size ? *size * 2 : HASH_FIRST;
    if (!array)
        return vm_alloc(ALLOC_CODE, *size * elem_bytes);
    return vm_realloc(array, *size * elem_bytes);
}

/* Exports and fun entries are 16-byte aligned: they must look like smalls. */
static void *slab_new(size_t elem_bytes)
{
    uintptr_t raw = (uintptr_t)vm_zalloc(ALLOC_CODE, SLAB_ENTRIES * elem_bytes + 15);

    return (void *)((raw + 15) & ~(uintptr_t)15);
}

void export_init(void)
{
    vm.exports = vm_zalloc(ALLOC_CODE, sizeof *vm.exports);
    vm.modules = vm_zalloc(ALLOC_CODE, sizeof *vm.modules);
    vm.kept_frames = vm_zalloc(ALLOC_CODE, FRAMES_KEPT * sizeof *vm.kept_frames);
    vm.funs = vm_zalloc(ALLOC_CODE, sizeof *vm.funs);
    vm.catches = vm_zalloc(ALLOC_CODE, sizeof *vm.catches);
    purge_init();
}

/* Exports */

static uint64_t export_hash(const void *entry)
{
    const struct export *e = entry;

    return mix(atom_index(e->m), atom_index(e->f), e->arity);
}

struct export *export_find(term m, term f, uint32_t arity)
{
    const struct ptr_hash *h = &vm.exports->hash;
    size_t at;

    if (h->n == 0)
        return NULL;
    at = mix(atom_index(m), atom_index(f), arity) & (h->size - 1);
    for (; h->slots[at]; at = (at + 1) & (h->size - 1)) {
        struct export *e = h->slots[at];

        if (e->m == m && e->f == f && e->arity == arity)
            return e;
    }
    return NULL;
}

/* Find or make; a new one leads nowhere yet. */
static struct export *export_make(term m, term f, uint32_t arity)
{
    struct export_table *t = vm.exports;
    struct export *e = export_find(m, f, arity);
    size_t at;

    if (e)
        return e;
    if (t->slab_left == 0) {
        t->slab = slab_new(sizeof *t->slab);
        t->slab_left = SLAB_ENTRIES;
    }
    t->slab_left--;
    e = t->slab++;
    e->m = m;
    e->f = f;
    e->arity = arity;

    hash_room(&t->hash, export_hash);
    at = export_hash(e) & (t->hash.size - 1);
    while (t->hash.slots[at])
        at = (at + 1) & (t->hash.size - 1);
    t->hash.slots[at] = e;
    t->hash.n++;
    t->all = array_room(t->all, t->n, &t->size, sizeof *t->all);
    t->all[t->n++] = e;
    return e;
}

struct export *export_put(term m, term f, uint32_t arity)
{
    struct export *e = export_make(m, f, arity);

    if (!e->addr)
        export_stub_init(e);
    return e;
}

struct export *export_next(size_t *i)
{
    return *i < vm.exports->n ? vm.exports->all[(*i)++] : NULL;
}

struct export *export_callable(term m, term f, uint32_t arity)
{
    struct export *e = export_find(m, f, arity);

    return e && (e->entry || e->bif) ? e : NULL;
}

void export_set_bif(struct export *e, bif_fn bif)
{
    e->bif = bif;
    e->flags |= EXPORT_BIF;
    export_stub_init(e);
}

/* Fun entries */

static uint64_t fun_key_hash(term module, uint32_t index, const uint8_t uniq[16])
{
    uint64_t u;

    memcpy(&u, uniq, sizeof u);
    return mix(atom_index(module), index, u);
}

static uint64_t fun_hash(const void *entry)
{
    const struct fun_entry *f = entry;

    return fun_key_hash(f->module, f->index, f->uniq);
}

struct fun_entry *fun_entry_put(term module, uint32_t index, uint32_t old_uniq,
                                const uint8_t uniq[16], uint32_t arity,
                                uint32_t num_free)
{
    struct fun_table *t = vm.funs;
    struct fun_entry *f;
    size_t at;

    hash_room(&t->hash, fun_hash);
    at = fun_key_hash(module, index, uniq) & (t->hash.size - 1);
    for (; (f = t->hash.slots[at]); at = (at + 1) & (t->hash.size - 1)) {
        /*
         * old_uniq belongs to the key, as in OTP: a fun that came from another
         * node, or from a file, may carry any numbers.
         */
        if (f->module == module && f->index == index && f->old_uniq == old_uniq &&
            f->arity == arity && f->num_free == num_free &&
            memcmp(f->uniq, uniq, sizeof f->uniq) == 0)
            return f;
    }
    if (t->slab_left == 0) {
        t->slab = slab_new(sizeof *t->slab);
        t->slab_left = SLAB_ENTRIES;
    }
    t->slab_left--;
    f = t->slab++;
    f->module = module;
    f->name = THE_NON_VALUE;
    f->index = index;
    f->old_uniq = old_uniq;
    memcpy(f->uniq, uniq, sizeof f->uniq);
    f->arity = arity;
    f->num_free = num_free;
    fun_stub_init(f);
    t->hash.slots[at] = f;
    t->hash.n++;
    return f;
}

/* Modules */

static uint64_t module_hash(const void *entry)
{
    return mix(atom_index(((const struct module *)entry)->name), 0, 0);
}

struct module *module_find(term name)
{
    const struct ptr_hash *h = &vm.modules->hash;
    size_t at;

    if (h->n == 0)
        return NULL;
    at = mix(atom_index(name), 0, 0) & (h->size - 1);
    for (; h->slots[at]; at = (at + 1) & (h->size - 1)) {
        struct module *m = h->slots[at];

        if (m->name == name)
            return m;
    }
    return NULL;
}

struct module *module_put(term name)
{
    struct module_table *t = vm.modules;
    struct module *m = module_find(name);
    size_t at;

    if (m)
        return m;
    m = vm_zalloc(ALLOC_CODE, sizeof *m);
    m->name = name;
    hash_room(&t->hash, module_hash);
    at = module_hash(m) & (t->hash.size - 1);
    while (t->hash.slots[at])
        at = (at + 1) & (t->hash.size - 1);
    t->hash.slots[at] = m;
    t->hash.n++;
    t->all = array_room(t->all, t->n, &t->size, sizeof *t->all);
    t->all[t->n++] = m;
    return m;
}

struct module *module_next(size_t *i)
{
    return *i < vm.modules->n ? vm.modules->all[(*i)++] : NULL;
}

/* Where a pc lies */

/* How many ranges begin at or below an address. */
static size_t ranges_upto(uintptr_t at)
{
    const struct module_table *t = vm.modules;
    size_t lo = 0, hi = t->nranges;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if ((uintptr_t)t->ranges[mid]->base <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct code *code_find(code_ptr pc)
{
    size_t i = ranges_upto((uintptr_t)pc);
    struct code *c;

    if (i == 0)
        return NULL;
    c = vm.modules->ranges[i - 1];
    return (uintptr_t)pc - (uintptr_t)c->base < c->bytes ? c : NULL;
}

static void frames_forget(void)
{
    memset(vm.kept_frames, 0, FRAMES_KEPT * sizeof *vm.kept_frames);
}

struct kept_frame *code_keep_frame(struct kept_frame *k, code_ptr pc)
{
    struct code *found = code_find(pc);
    struct frame_row row = {0};
    int ours = break_frame(pc + 1);

    if (found)
        code_row(found, pc, &row);
    *k = (struct kept_frame){pc, found, row.frame};
    if (ours >= 0)
        *k = (struct kept_frame){pc, NULL, (uint32_t)ours};
    return k;
}

uint32_t code_frame(code_ptr pc, struct code **c)
{
    const struct kept_frame *k = code_frame_at(vm.kept_frames, pc);

    *c = k->code;
    return k->frame;
}

void (*code_observer)(const struct code *c, bool gone);

void code_index_add(struct code *c)
{
    struct module_table *t = vm.modules;
    size_t i;

    frames_forget();
    if (code_find(c->base) == c)
        return;
    t->ranges = array_room(t->ranges, t->nranges, &t->ranges_size, sizeof *t->ranges);
    i = ranges_upto((uintptr_t)c->base);
    memmove(t->ranges + i + 1, t->ranges + i, (t->nranges - i) * sizeof *t->ranges);
    t->ranges[i] = c;
    t->nranges++;
    if (code_observer)
        code_observer(c, false);
}

void code_index_remove(struct code *c)
{
    struct module_table *t = vm.modules;
    size_t i = ranges_upto((uintptr_t)c->base);

    frames_forget();
    if (i == 0 || t->ranges[i - 1] != c)
        return;
    if (code_observer)
        code_observer(c, true);
    memmove(t->ranges + i - 1, t->ranges + i, (t->nranges - i) * sizeof *t->ranges);
    t->nranges--;
}

static uint32_t code_offset(const struct code *c, code_ptr pc)
{
    return (uint32_t)((uintptr_t)pc - (uintptr_t)c->base);
}

static code_ptr code_at(const struct code *c, uint32_t offset)
{
    assert(offset < c->bytes);
    return (code_ptr)((uintptr_t)c->base + offset);
}

_Static_assert(ATOM_MAKE((uint64_t)ATOM_LIMIT) <= UINT32_MAX, "struct func, code_export");

struct func *code_func(struct code *c, code_ptr pc)
{
    uint32_t at = code_offset(c, pc);
    uint32_t lo = 0, hi = c->nfuncs;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (c->funcs[mid].start <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? &c->funcs[lo - 1] : NULL;
}

bool code_row(const struct code *c, code_ptr pc, struct frame_row *row)
{
    uint32_t at = code_offset(c, pc);
    uint32_t lo = 0, hi = c->nrows;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (c->rows[mid].at <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    *row = (struct frame_row){0, 0};
    if (lo == 0)
        return false;
    uint32_t what = c->rows[lo - 1].what;
    if (what & ROW_WIDE) {
        *row = c->wide_rows[what & ~ROW_WIDE];
    } else {
        row->frame = what & ((1u << ROW_FRAME_BITS) - 1);
        row->frame |= what >> ROW_FRAME_BITS & 1 ? FRAME_UNSURE : 0;
        row->line = what >> (ROW_FRAME_BITS + 1);
    }
    return true;
}

uint32_t code_line(const struct code *c, const struct frame_row *row, term *file)
{
    *file = THE_NON_VALUE;
    if (row->line == 0 || row->line >= c->nlines)
        return 0;
    uint32_t n = c->line_files ? c->line_files[row->line] : c->lines[row->line].file;
    if (n < c->nfiles)
        *file = c->files[n];
    return c->lines[row->line].line;
}

/* Catch entries */

struct catch_entry *catch_get(uint32_t index)
{
    assert(index < vm.catches->n);
    return &vm.catches->entries[index];
}

uint32_t catch_put(code_ptr handler, uint32_t y)
{
    struct catch_table *t = vm.catches;
    uint32_t i;

    if (t->first_free) {
        i = t->first_free - 1;
        t->first_free = t->entries[i].y;
    } else {
        size_t size = t->size;

        t->entries = array_room(t->entries, t->n, &size, sizeof *t->entries);
        t->size = (uint32_t)size;
        i = t->n++;
    }
    t->entries[i].handler = handler;
    t->entries[i].y = y;
    return i;
}

void catch_remove(uint32_t index)
{
    struct catch_table *t = vm.catches;

    assert(index < t->n && t->entries[index].handler);
    t->entries[index].handler = NULL;
    t->entries[index].y = t->first_free;
    t->first_free = index + 1;
}

/* Installing and removing */

/*
 * A function that is a BIF or NIF of ours has only a stub in the .beam, which
 * raises. Calls from other modules go to the BIF by the export; calls within
 * the module arrive at the stub's entry, which leads to the BIF too.
 */
void code_patch_natives(struct code *c)
{
    if (c->natives)
        return;
    c->natives = true;
    for (uint32_t i = 0; i < c->nfuncs; i++) {
        struct func *f = &c->funcs[i];
        struct export *e = export_find(c->module, f->f, f->arity);
        bif_fn fn = NULL;

        if (e && e->flags & EXPORT_BIF)
            fn = e->bif;
        else
            fn = bif_nif(c->module, f->f, f->arity);
        if (fn)
            code_patch_nif(c, f, fn);
    }
}

/* Calls and funs of the module arrive in c from now on. */
static void publish(struct code *c)
{
    for (uint32_t i = 0; i < c->nexports; i++) {
        const struct code_export *x = &c->exports[i];
        struct export *e = export_make(c->module, x->f, x->arity);

        if (e->flags & EXPORT_BIF)
            continue;
        e->entry = code_at(c, x->label_off);
        export_stub_init(e);
    }
    for (uint32_t i = 0; i < c->nfuns; i++)
        fun_lead_to(c->funs[i], c->fun_addrs[i]);
    break_save_again();
}

/* Calls no longer arrive in c; who is in it stays there. */
static void retract(struct code *c)
{
    break_forget(c);
    for (uint32_t i = 0; i < c->nexports; i++) {
        const struct code_export *x = &c->exports[i];
        struct export *e = export_find(c->module, x->f, x->arity);

        if (!e || e->entry != code_at(c, x->label_off))
            continue;
        e->entry = NULL;
        export_stub_init(e);
    }
}

void module_retire(struct module *m)
{
    assert(m->curr && !m->old);
    retract(m->curr);
    m->old = m->curr;
    m->curr = NULL;
}

void code_install(struct code *c)
{
    struct module *m = module_put(c->module);

    assert(!m->old || !m->curr);
    if (m->curr)
        module_retire(m);
    code_index_add(c);
    code_patch_natives(c);
    m->curr = c;
    publish(c);
    trace_code_loaded(c);
}

void code_install_pending(struct code *c)
{
    struct module *m = module_put(c->module);

    assert(!m->on_load_pending);
    code_index_add(c);
    code_patch_natives(c);
    m->on_load_pending = c;
    /* Funs that on_load makes must work while the exports are the old ones. */
    for (uint32_t i = 0; i < c->nfuns; i++)
        fun_lead_to(c->funs[i], c->fun_addrs[i]);
}

void code_unlink(struct code *c)
{
    for (uint32_t i = 0; i < c->nfuns; i++) {
        struct fun_entry *f = c->funs[i];

        /* The same fun may have come again with newer, identical code. */
        if (f->addr == c->fun_addrs[i])
            fun_stub_init(f);
    }
    for (uint32_t i = 0; i < c->ncatches; i++)
        catch_remove(c->catches[i]);
    c->ncatches = 0;
    code_index_remove(c);
}

void code_free(struct code *c)
{
    code_unlink(c);
    if (c->nif_library)
        nif_unload(c->nif_library);
    code_memory_free(c);
    vm_free(c->strings);
    if (c->literals)
        literal_area_free(c->literals);
    vm_free(c->funcs);
    vm_free(c->rows);
    vm_free(c->wide_rows);
    vm_free(c->lines);
    vm_free(c->line_files);
    vm_free(c->files);
    vm_free(c->exports);
    vm_free(c->funs);
    vm_free(c->fun_addrs);
    vm_free(c->imports);
    vm_free(c->catches);
    vm_free(c);
}
