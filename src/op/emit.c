/*
 * emit.c - specific instructions to the interpreter's words.
 *
 * Each instruction becomes the handler of the instance whose operand kinds it
 * has, and its operand words. Where no such instance was made, the generic one
 * is taken: then every place is two words, its kind and where it is.
 */
#include <stdio.h>

#include "op/loader.h"
#include "op/native.h"
#include "vm/vm.h"

void (*emit_observer)(enum op op, uint32_t kinds, unsigned places);

/*
 * (op, kinds) to instance: open addressing, built once, never changed.
 */
static struct {
    uint32_t op, kinds;
    const struct op_instance *instance;
} *instances;
static uint32_t instances_mask;

static uint32_t instance_hash(uint32_t op, uint32_t kinds)
{
    uint64_t h = ((uint64_t)op << 32 | kinds) * 0x9e3779b97f4a7c15ull;

    return (uint32_t)(h >> 40);
}

static const struct op_instance *instance_find(uint32_t op, uint32_t kinds)
{
    for (uint32_t i = instance_hash(op, kinds);; i++) {
        i &= instances_mask;
        if (!instances[i].instance)
            return NULL;
        if (instances[i].op == op && instances[i].kinds == kinds)
            return instances[i].instance;
    }
}

void emit_init(void)
{
    uint32_t n = 0, size = 64;

    for (uint32_t op = 0; op < OP_COUNT; op++)
        n += op_infos[op].count;
    while (size < 2 * n)
        size *= 2;
    instances = vm_zalloc(ALLOC_CODE, size * sizeof *instances);
    instances_mask = size - 1;
    for (uint32_t op = 0; op < OP_COUNT; op++) {
        for (uint32_t k = 0; k < op_infos[op].count; k++) {
            const struct op_instance *inst = &t0_instances[op_infos[op].first + k];
            uint32_t i = instance_hash(op, inst->kinds) & instances_mask;

            while (instances[i].instance)
                i = (i + 1) & instances_mask;
            instances[i].op = op;
            instances[i].kinds = inst->kinds;
            instances[i].instance = inst;
        }
    }
}

static bool is_const(uint8_t is) { return is >= KIND_C && is <= KIND_J; }

static void word(struct loader *l, uintptr_t w)
{
    if (l->nwords == l->words_size)
        l->words = load_grow(l->words, &l->words_size, l->nwords + 1, sizeof *l->words);
    l->words[l->nwords++] = w;
}

void emit_label_word(struct loader *l, uint32_t label)
{
    if (label) {
        l->fixups = load_grow(l->fixups, &l->fixups_size, l->nfixups + 1,
                              sizeof *l->fixups);
        l->fixups[l->nfixups++] = (struct fixup){l->nwords, label};
    }
    word(l, 0);
}

/* A row's frame and line in one word; what does not fit goes to a table. */
static uint32_t pack_row(struct loader *l)
{
    struct code *c = l->code;
    uint32_t words = l->frame & ~FRAME_UNSURE, unsure = l->frame >> 31;

    if (words < 1u << ROW_FRAME_BITS && l->line < 1u << ROW_LINE_BITS)
        return l->line << (ROW_FRAME_BITS + 1) | unsure << ROW_FRAME_BITS | words;
    c->wide_rows = load_grow(c->wide_rows, &l->wide_size, c->nwide + 1,
                             sizeof *c->wide_rows);
    c->wide_rows[c->nwide] = (struct frame_row){l->frame, l->line};
    return ROW_WIDE | c->nwide++;
}

/*
 * A new row where frame or line differ from the row before; an instruction that
 * is never looked up needs none, but where a process that waits goes on.
 */
static void row(struct loader *l)
{
    struct code *c = l->code;
    uint32_t at = l->nwords;    /* bytes once placed: emit_finish */

    if (op_infos[l->op].flags & OPF_PLAIN && !l->resumes_here)
        return;
    l->resumes_here = false;
    if (c->nrows && l->row_frame == l->frame && l->row_line == l->line)
        return;
    if (c->nrows && c->rows[c->nrows - 1].at == at)
        c->nrows--;
    c->rows = load_grow(c->rows, &l->rows_size, c->nrows + 1, sizeof *c->rows);
    c->rows[c->nrows++] = (struct packed_row){at, pack_row(l)};
    l->row_frame = l->frame;
    l->row_line = l->line;
}

void emit_begin(struct loader *l, enum op op)
{
    l->op = op;
    l->op_kinds = l->op_t0_kinds = 0;
    l->op_places = 0;
    l->op_nwords = 0;
}

static void operand(struct loader *l, uintptr_t w, uint8_t is)
{
    assert(l->op_nwords < sizeof l->op_is);
    l->op_words[l->op_nwords] = w;
    l->op_is[l->op_nwords++] = is;
}

void emit_u(struct loader *l, uintptr_t w) { operand(l, w, OPERAND_WORD); }
void emit_label(struct loader *l, uint32_t label) { operand(l, label, OPERAND_LABEL); }

static uintptr_t y_offset(struct loader *l, struct arg y)
{
    if (y.kind != ARG_Y)
        load_fail(l, "%s wants a y register", genop_name(l->op));
    return y.value * sizeof(term);
}

void emit_y(struct loader *l, struct arg y) { operand(l, y_offset(l, y), OPERAND_WORD); }

void emit_fr(struct loader *l, struct arg fr)
{
    if (fr.kind != ARG_FR)
        load_fail(l, "a float register is expected");
    operand(l, offsetof(struct sched, fr) + fr.value * sizeof(double), OPERAND_WORD);
}

term arg_term(const struct loader *l, struct arg a)
{
    switch (a.kind) {
    case ARG_LITERAL:
        return a.value < l->nliterals ? l->literals[a.value] : TERM_NIL;
    case ARG_U:
        return small_make((int64_t)a.value);
    default:
        return a.value;
    }
}

#define IMM31_MAX 0x7fffffffu
static enum kind const_kind(uintptr_t w)
{
    return w > IMM31_MAX ? KIND_J : term_is_small(w) ? KIND_S : KIND_C;
}

/* Kind and operand word of a place. */
static enum kind place(struct loader *l, struct arg a, uintptr_t *w)
{
    switch (a.kind) {
    case ARG_X:
        *w = offsetof(struct sched, x) + a.value * sizeof(term);
        return a.value < 6 ? (enum kind)a.value : KIND_X;
    case ARG_Y:
        *w = a.value * sizeof(term);
        return KIND_Y;
    case ARG_LITERAL:
        if (a.value >= l->nliterals)
            load_fail(l, "literal %u is not in its table", (unsigned)a.value);
        *w = arg_term(l, a);
        return const_kind(*w);
    case ARG_I:
    case ARG_ATOM:
    case ARG_CHAR:
    case ARG_U:
        *w = arg_term(l, a);
        return const_kind(*w);
    default:
        load_fail(l, "an operand of %s is of an unexpected kind",
                  op_infos[l->op].name);
        *w = TERM_NIL;
        return KIND_C;
    }
}

void emit_place(struct loader *l, struct arg a)
{
    uintptr_t w;
    enum kind kind = place(l, a, &w);

    l->op_t0_kinds |= (uint32_t)(is_const(kind) ? KIND_C : kind) << 4 * l->op_places;
    l->op_kinds |= (uint32_t)kind << 4 * l->op_places++;
    operand(l, w, (uint8_t)kind);
}

/* A place that is written must not be a constant. */
static bool places_fit(struct loader *l)
{
    unsigned n = 0;

    for (const char *r = op_infos[l->op].roles; *r; r++, n++) {
        if (n >= l->op_nwords)
            return false;
        if (*r == 'n' && l->op_words[n] > X_REGS)
            return load_fail(l, "%s has %lu x registers alive", op_infos[l->op].name,
                             (unsigned long)l->op_words[n]);
        if ((*r == 'd' || *r == 'r') && is_const(l->op_is[n]))
            return load_fail(l, "%s would write to a constant", op_infos[l->op].name);
    }
    return n == l->op_nwords;
}

void emit_end(struct loader *l)
{
    const struct op_info *info = &op_infos[l->op];
    const struct op_instance *inst;

    if (!places_fit(l)) {
        if (load_ok(l))
            vm_bug("loader: operands of %s do not fit its definition", info->name);
        return;
    }
    if (emit_observer)
        emit_observer(l->op, l->op_kinds, l->op_places);
    row(l);
    if (l->native) {
        native_end(l);
        return;
    }
    inst = instance_find(l->op, l->op_t0_kinds);
    bool generic = !inst;
    if (generic) {
        uint32_t kinds = 0;

        for (unsigned i = 0; i < l->op_places; i++)
            kinds |= (uint32_t)KIND_G << 4 * i;
        inst = instance_find(l->op, kinds);
    }
    word(l, (uintptr_t)inst->handler);
    for (uint32_t i = 0; i < l->op_nwords; i++) {
        uint8_t is = l->op_is[i];

        if (is == OPERAND_LABEL) {
            emit_label_word(l, (uint32_t)l->op_words[i]);
        } else if (is == OPERAND_WORD) {
            word(l, l->op_words[i]);
        } else if (generic) {
            word(l, is);
            word(l, l->op_words[i]);
        } else if (is > KIND_X5) {
            word(l, l->op_words[i]);
        }
    }
    /* A return address is a multiple of 16 bytes; RET_ADDR rounds up. */
    if (info->flags & OPF_RET && l->nwords & 1)
        word(l, 0);
}

/* A record's header counts them: op/native.h. */
static void count_vary(struct loader *l)
{
    if (l->native)
        l->words[l->last_record] += (uintptr_t)1 << 32;
}
void emit_vary_u(struct loader *l, uintptr_t w)
{
    count_vary(l);
    word(l, w);
}
void emit_vary_label(struct loader *l, uint32_t label)
{
    count_vary(l);
    emit_label_word(l, label);
}

void emit_catch(struct loader *l, struct arg y, uint32_t label)
{
    emit_begin(l, OP_catch);
    emit_y(l, y);
    emit_u(l, 0);
    emit_end(l);
    l->catches = load_grow(l->catches, &l->catches_size, l->ncatches + 1,
                           sizeof *l->catches);
    l->catches[l->ncatches++] =
        (struct catch_fixup){l->nwords - 1, label, (uint32_t)y.value};
}

void emit_place_label(struct loader *l, uint32_t label)
{
    if (l->label_at[label] != UINT32_MAX)
        load_fail(l, "label %u is placed twice", (unsigned)label);
    l->label_at[label] = l->nwords;
    if (label < l->nlabels && l->resumes[label])
        l->resumes_here = true;
}

uint32_t emit_new_label(struct loader *l)
{
    if (l->labels == 0)
        l->labels = l->labels_size = l->nlabels + 1;
    l->label_at = load_grow(l->label_at, &l->labels_size, l->labels + 1,
                            sizeof *l->label_at);
    l->label_at[l->labels] = UINT32_MAX;
    return l->labels++;
}

uint32_t emit_offset(const struct loader *l, uint32_t word)
{
    return l->native ? l->offset[word] : word * (uint32_t)sizeof(uintptr_t);
}

/* The address of a label; after base is known. */
static code_ptr label_addr(struct loader *l, uint32_t label)
{
    if (l->label_at[label] == UINT32_MAX) {
        load_fail(l, "label %u is used and not placed", (unsigned)label);
        return l->code->base;
    }
    return (code_ptr)((char *)l->code->base + emit_offset(l, l->label_at[label]));
}

bool emit_resolve(struct loader *l)
{
    struct code *c = l->code;

    for (uint32_t i = 0; i < l->nfixups; i++)
        l->words[l->fixups[i].at] = (uintptr_t)label_addr(l, l->fixups[i].label);
    for (uint32_t i = 0; i < l->ncatches && load_ok(l); i++)
        label_addr(l, l->catches[i].label);
    if (!load_ok(l))
        return false;
    c->catches = vm_alloc(ALLOC_CODE, (l->ncatches + 1) * sizeof *c->catches);
    for (uint32_t i = 0; i < l->ncatches; i++) {
        struct catch_fixup *f = &l->catches[i];
        uint32_t index = catch_put(label_addr(l, f->label), f->y);

        c->catches[c->ncatches++] = index;
        l->words[f->at] = catch_make(index);
    }
    return true;
}

bool emit_finish(struct loader *l)
{
    struct code *c = l->code;

    if (!load_ok(l))
        return false;
    if (l->native) {
        if (!native_finish(l))
            return false;
    } else {
        c->bytes = l->nwords * sizeof *c->base;
        c->base = vm_alloc(ALLOC_CODE, c->bytes + 16);
        assert(((uintptr_t)c->base & 15) == 0);
        if (!emit_resolve(l))
            return false;
        memcpy(c->base, l->words, c->bytes);
    }
    for (uint32_t i = 0; i < c->nrows; i++)
        c->rows[i].at = emit_offset(l, c->rows[i].at);
    for (uint32_t i = 0; i < c->nfuncs; i++) {
        c->funcs[i].start = emit_offset(l, c->funcs[i].start);
        c->funcs[i].entry = emit_offset(l, c->funcs[i].entry);
    }
    return true;
}
