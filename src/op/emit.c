/*
 * emit.c - specific instructions to the interpreter's words.
 *
 * Each instruction becomes the handler of the instance whose operand kinds it
 * has, and its operand words. Where no such instance was made, the generic one
 * is taken: then every place is two words, its kind and where it is.
 */
#include <stdio.h>

#include "op/emit.h"
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

void emit_room(struct loader *l)
{
    l->words = load_grow(l->words, &l->words_size, l->nwords + OP_WORDS_MAX,
                         sizeof *l->words);
    l->fixups = load_grow(l->fixups, &l->fixups_size, l->nfixups + OP_WORDS_MAX,
                          sizeof *l->fixups);
}

void emit_word(struct loader *l, uintptr_t w)
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
        l->fixups[l->nfixups++] = l->nwords;
    }
    emit_word(l, label);
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

static __attribute__((noinline)) void add_row(struct loader *l)
{
    struct code *c = l->code;
    uint32_t at = l->op_at;     /* bytes once placed: emit_finish */

    if (c->nrows && c->rows[c->nrows - 1].at == at)
        c->nrows--;
    c->rows = load_grow(c->rows, &l->rows_size, c->nrows + 1, sizeof *c->rows);
    c->rows[c->nrows++] = (struct packed_row){at, pack_row(l)};
    l->row_frame = l->frame;
    l->row_line = l->line;
}

/*
 * A new row where frame or line differ from the row before; an instruction that
 * is never looked up needs none, but where a process that waits goes on.
 */
static inline void row(struct loader *l)
{
    bool looked_up = !(op_infos[l->op].flags & OPF_PLAIN) | l->resumes_here;
    bool same = (l->row_frame == l->frame) & (l->row_line == l->line);

    l->resumes_here = false;
    if (looked_up & !same)
        add_row(l);
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

enum kind emit_other_place(struct loader *l, struct arg a, uintptr_t *w)
{
    switch (a.kind) {
    case ARG_LITERAL:
        if (a.value >= l->nliterals)
            load_fail(l, "literal %u is not in its table", (unsigned)a.value);
        *w = arg_term(l, a);
        return emit_const_kind(*w);
    case ARG_CHAR:
    case ARG_U:
        *w = arg_term(l, a);
        return emit_const_kind(*w);
    default:
        load_fail(l, "an operand of %s is of an unexpected kind",
                  op_infos[l->op].name);
        *w = TERM_NIL;
        return KIND_C;
    }
}

/*
 * Here come all instructions that have no instance for their operands, and so
 * all that would write to a constant: there is none for that.
 */
uint32_t emit_take_back(struct loader *l, struct operand out[OP_WORDS_MAX])
{
    const uintptr_t *w = l->words + l->op_at + 1;
    uint32_t n = 0, kinds = l->op_kinds;

    for (const char *r = op_infos[l->op].roles; *r; r++, n++) {
        if (!strchr("sdr", *r)) {
            out[n] = (struct operand){*w++, *r == 'l' ? OPERAND_LABEL : OPERAND_WORD};
            continue;
        }
        uint8_t kind = kinds & 15;

        kinds >>= 4;
        if (*r != 's' && is_const(kind)) {
            load_fail(l, "%s would write to a constant", op_infos[l->op].name);
            return 0;
        }
        if (kind <= KIND_X5)
            out[n] = (struct operand){offsetof(struct sched, x) + kind * sizeof(term), kind};
        else
            out[n] = (struct operand){*w++, kind};
    }
    l->nwords = l->op_at;
    l->nfixups = l->op_fixups;
    return n;
}

/* The interpreter takes constants as one kind: S and J are C. */
static uint32_t t0_kinds(uint32_t kinds)
{
    uint32_t consts = kinds & 0x88888888;

    return kinds & ~(consts - (consts >> 3));
}

/* The handler, in the first word; the generic one, if there is no better. */
static __attribute__((noinline)) void interpreted_end(struct loader *l)
{
    const struct op_instance *inst = instance_find(l->op, t0_kinds(l->op_kinds));

    if (inst) {
        l->words[l->op_at] = (uintptr_t)inst->handler;
    } else {
        struct operand operands[OP_WORDS_MAX];
        uint32_t n = emit_take_back(l, operands), kinds = 0;

        for (uint32_t shift = 0; shift < l->op_shift; shift += 4)
            kinds |= (uint32_t)KIND_G << shift;
        inst = instance_find(l->op, kinds);
        emit_word(l, (uintptr_t)inst->handler);
        for (uint32_t i = 0; i < n; i++) {
            if (operands[i].is == OPERAND_LABEL) {
                emit_label_word(l, (uint32_t)operands[i].word);
            } else {
                if (operands[i].is != OPERAND_WORD)
                    emit_word(l, operands[i].is);
                emit_word(l, operands[i].word);
            }
        }
    }
    /* A return address is a multiple of 16 bytes; RET_ADDR rounds up. */
    if (op_infos[l->op].flags & OPF_RET && l->nwords & 1)
        emit_word(l, 0);
}

void emit_end(struct loader *l)
{
    assert(op_infos[l->op].roles[l->op_operands] == 0);
    if (emit_observer)
        emit_observer(l->op, l->op_kinds, l->op_shift / 4);
    if (l->native)
        native_end(l);
    else
        interpreted_end(l);
    row(l);
}

void emit_vary_u(struct loader *l, uintptr_t w) { emit_word(l, w); }
void emit_vary_label(struct loader *l, uint32_t label)
{
    if (l->native)
        native_vary_label(l, label);
    else
        emit_label_word(l, label);
}

void emit_catch(struct loader *l, struct arg y, uint32_t label)
{
    if (label == 0)
        load_fail(l, "a catch leads nowhere");
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
    return l->native ? native_offset(l, word) : word * (uint32_t)sizeof(uintptr_t);
}

uintptr_t emit_address(struct loader *l, uint32_t label)
{
    if (label == 0)
        return 0;
    if (l->label_at[label] == UINT32_MAX) {
        load_fail(l, "label %u is used and not placed", (unsigned)label);
        return 0;
    }
    return (uintptr_t)l->code->base + emit_offset(l, l->label_at[label]);
}

bool emit_resolve(struct loader *l)
{
    struct code *c = l->code;

    for (uint32_t i = 0; i < l->nfixups; i++)
        l->words[l->fixups[i]] = emit_address(l, (uint32_t)l->words[l->fixups[i]]);
    for (uint32_t i = 0; i < l->ncatches; i++)
        emit_address(l, l->catches[i].label);
    if (!load_ok(l))
        return false;
    c->catches = vm_alloc(ALLOC_CODE, (l->ncatches + 1) * sizeof *c->catches);
    for (uint32_t i = 0; i < l->ncatches; i++) {
        struct catch_fixup *f = &l->catches[i];
        uint32_t index = catch_put((code_ptr)emit_address(l, f->label), f->y);

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
