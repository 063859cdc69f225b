/*
 * emit.h - specific instructions to words of code: what the front end calls.
 *
 *    emit_begin(l, op);
 *    emit_label(l, fail); emit_live(l, live); emit_place(l, source); ...
 *    emit_end(l);
 *
 * with one call an operand, that of its role in op/xxx.tab, in that order. An
 * operand goes at once where it will be if the instruction has an instance for
 * such operands: a word, or none if it is one of the first x registers.
 * emit_end() looks the instance up, and mostly there is nothing left to do.
 */
#ifndef OP_EMIT_H
#define OP_EMIT_H

#include "op/loader.h"

/* Words that an instruction may have room for: header, operands. */
#define OP_WORDS_MAX 48
/* Native code has constants of so many bits as part of its instructions. */
#define IMM31_MAX 0x7fffffffu

/* Make room for an instruction. */
void emit_room(struct loader *l);
/* A place that is neither a register nor a constant word: its kind, and the word. */
enum kind emit_other_place(struct loader *l, struct arg a, uintptr_t *w);
void emit_end(struct loader *l);

/* Is it the operand's turn? */
static inline void emit_role(struct loader *l, const char *roles)
{
#ifndef NDEBUG
    char role = op_infos[l->op].roles[l->op_operands++];

    assert(role && strchr(roles, role));
#endif
}

static inline void emit_begin(struct loader *l, enum op op)
{
    if (l->words_size - l->nwords < OP_WORDS_MAX ||
        l->fixups_size - l->nfixups < OP_WORDS_MAX)
        emit_room(l);
    l->op = op;
    l->op_at = l->nwords++;
    l->op_fixups = l->nfixups;
    l->op_kinds = l->op_shift = 0;
    l->op_wide = 0;
#ifndef NDEBUG
    l->op_operands = 0;
#endif
}

/* u: a number, or a word that is known to be small. */
static inline void emit_u(struct loader *l, uintptr_t w)
{
    emit_role(l, "u");
    l->op_wide |= w;
    l->words[l->nwords++] = w;
}
/* p: an address. */
static inline void emit_p(struct loader *l, const void *p)
{
    emit_role(l, "p");
    l->words[l->nwords++] = (uintptr_t)p;
}
/* live: how many x registers are. */
static inline void emit_live(struct loader *l, uint64_t n)
{
    emit_role(l, "n");
    if (n > X_REGS)
        load_fail(l, "%s has %lu x registers alive", op_infos[l->op].name,
                  (unsigned long)n);
    l->words[l->nwords++] = n;
}
/* label: 0: none. Its number now, its address in the end: emit_resolve(). */
static inline void emit_label(struct loader *l, uint32_t label)
{
    emit_role(l, "l");
    l->fixups[l->nfixups] = l->nwords;
    l->nfixups += label != 0;
    l->words[l->nwords++] = label;
}
static inline void emit_y(struct loader *l, struct arg y)
{
    emit_role(l, "y");
    if (y.kind != ARG_Y)
        load_fail(l, "%s wants a y register", op_infos[l->op].name);
    l->words[l->nwords++] = y.value * sizeof(term);
}
static inline void emit_fr(struct loader *l, struct arg fr)
{
    emit_role(l, "f");
    if (fr.kind != ARG_FR)
        load_fail(l, "a float register is expected");
    l->words[l->nwords++] = offsetof(struct sched, fr) + fr.value * sizeof(double);
}

static inline enum kind emit_const_kind(uintptr_t w)
{
    return w > IMM31_MAX ? KIND_J : term_is_small(w) ? KIND_S : KIND_C;
}

/* src, dst, reg. */
static inline void emit_place(struct loader *l, struct arg a)
{
    enum kind kind;
    uintptr_t w;

    emit_role(l, "sdr");
    if (a.kind == ARG_X) {
        w = offsetof(struct sched, x) + a.value * sizeof(term);
        kind = a.value <= KIND_X5 ? (enum kind)a.value : KIND_X;
    } else if (a.kind == ARG_Y) {
        w = a.value * sizeof(term);
        kind = KIND_Y;
    } else if (a.kind == ARG_I || a.kind == ARG_ATOM) {
        w = a.value;
        kind = emit_const_kind(w);
    } else {
        kind = emit_other_place(l, a, &w);
    }
    l->op_kinds |= (uint32_t)kind << l->op_shift;
    l->op_shift += 4;
    l->words[l->nwords] = w;
    l->nwords += kind > KIND_X5;
}

/* Operands of its own of a vary instruction, after emit_end. */
void emit_vary_u(struct loader *l, uintptr_t word);     /* interpreted only */
void emit_vary_label(struct loader *l, uint32_t label);
void emit_catch(struct loader *l, struct arg y, uint32_t label);
void emit_place_label(struct loader *l, uint32_t label);    /* it is here */
uint32_t emit_new_label(struct loader *l);      /* one that the module has not */
bool emit_finish(struct loader *l);     /* code->base, labels, catches */
/* Byte offset in the code of what was emitted at a word; after emit_finish. */
uint32_t emit_offset(const struct loader *l, uint32_t word);

/* ---- for native.c ---- */

/* An operand that was emitted: OPERAND_WORD, OPERAND_LABEL or a place's kind. */
enum { OPERAND_WORD = 100, OPERAND_LABEL = 101 };
struct operand {
    uintptr_t word;             /* of a label: its number */
    uint8_t is;
};
/*
 * Take back the instruction with all that was emitted for it. How many operands,
 * in the order of their roles; 0 after load_fail.
 */
uint32_t emit_take_back(struct loader *l, struct operand out[OP_WORDS_MAX]);
/* A word, with room for it; one that will be a label's address; fill these in. */
void emit_word(struct loader *l, uintptr_t word);
void emit_label_word(struct loader *l, uint32_t label);
bool emit_resolve(struct loader *l);
/* The same of one label, once base is known. 0 is 0. */
uintptr_t emit_address(struct loader *l, uint32_t label);

/* The word of a constant operand. */
term arg_term(const struct loader *l, struct arg a);
static inline bool arg_is_const(struct arg a)
{
    return a.kind == ARG_I || a.kind == ARG_ATOM || a.kind == ARG_LITERAL ||
           a.kind == ARG_CHAR;
}

/* Maintenance (op/gen/scan.c): called for each instruction emitted. */
extern void (*emit_observer)(enum op op, uint32_t kinds, unsigned places);

#endif
