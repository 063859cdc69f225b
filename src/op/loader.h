/*
 * loader.h - from the bytes of a .beam to code: what its parts share.
 *
 *    beam.c     chunks and compact terms: bytes to numbers
 *    load.c     tables (atoms, imports, literals ...), code_prepare
 *    newmap.c   the keys of maps that are made whole
 *    front.c    generic instructions to specific ones
 *    emit.c     specific instructions to the interpreter's words
 *    native.c   or to records, and these to machine code
 *
 * The bytes are a stranger's: every read is checked, the first error is kept
 * (load_fail) and everything after it reads zeros, so that a caller need not
 * check each step.
 */
#ifndef OP_LOADER_H
#define OP_LOADER_H

#include "op/op.h"
#include "vm/module.h"

/* A run of bytes that is read from the front. */
struct reader {
    const uint8_t *p, *end;
};

/* An operand of a generic instruction. */
enum arg_kind {
    ARG_U,          /* a number */
    ARG_I,          /* an integer: a small term */
    ARG_ATOM,       /* value: the atom; NIL for atom 0 */
    ARG_X, ARG_Y,
    ARG_LABEL,      /* 0: none */
    ARG_CHAR,
    ARG_LITERAL,    /* value: index in literals */
    ARG_FR,
    ARG_LIST,       /* value: count; the elements follow */
    ARG_ALLOC,      /* value: words */
    ARG_KEYS,       /* value: as a literal's; the keys of a new map (newmap.c) */
};
struct arg {
    enum arg_kind kind;
    uint64_t value;
};

struct ginstr {
    uint32_t op;
    uint32_t first, count;      /* in loader.args */
    uint32_t line;
    int32_t frame;              /* words, -1: not reached */
    bool unsure;                /* ... or others: flow() */
    bool has_label;             /* among its operands */
};

struct import { term m, f; uint32_t arity; struct export *export; };
struct lambda {
    term name;
    uint32_t arity, label, index, num_free, old_uniq;
    struct fun_entry *entry;
};
struct fixup { uint32_t at, label; };
struct catch_fixup { uint32_t at, label, y; };

struct loader {
    char *why;                  /* 256 bytes; empty: no error yet */
    const uint8_t *beam;
    size_t beam_bytes;
    struct code *code;          /* what is being made */

    term *atoms;                /* 1.. */
    uint32_t natoms;
    struct import *imports;
    uint32_t nimports;
    struct code_export *locals; /* only looked at */
    uint32_t nlocals;
    struct lambda *lambdas;
    uint32_t nlambdas;
    term *literals;             /* in mbufs, then in the literal area */
    uint32_t nliterals, literals_size;
    struct mbuf *mbufs;         /* what literals decoded to */
    size_t literal_words;
    const uint8_t *strings;     /* in the file */
    uint8_t *strings_copy;
    size_t strings_bytes;
    uint32_t nlabels, nfunctions;

    struct ginstr *instrs;
    uint32_t ninstrs, instrs_size;
    struct arg *args;
    uint32_t nargs, args_size;
    bool has_label;             /* read_arg: an operand was a label */

    /* emit.c */
    uintptr_t *words;
    uint32_t nwords, words_size;
    uint32_t *label_at;         /* word index, UINT32_MAX: not placed */
    struct fixup *fixups;
    uint32_t nfixups, fixups_size;
    struct catch_fixup *catches;
    uint32_t ncatches, catches_size;
    uint32_t rows_size, wide_size, funcs_size;
    uint32_t row_frame, row_line;   /* the last row's */
    uint8_t *resumes;           /* labels where a process that waited goes on */
    bool resumes_here;          /* one of them has just been placed */
    uint32_t labels, labels_size;   /* in label_at: nlabels and emit_new_label's */
    bool lines;                 /* wanted: where in the source */
    bool native;                /* words are records: native.h */
    uint32_t last_record;       /* native: the header emitted last */
    uint32_t *offset;           /* native: of each record, bytes; by word */
    uint32_t line;              /* of what is emitted */
    uint32_t frame;
    /* The instruction being emitted. */
    enum op op;
    uint32_t op_kinds, op_t0_kinds, op_places, op_nwords;
    uintptr_t op_words[40];     /* operands: one word each, places two */
    uint8_t op_is[40];          /* OPERAND_WORD, OPERAND_LABEL or the place's kind */
    uint64_t scratch_words;     /* most that a vary instruction gathers */
};

/* Keep the first error. Always returns false. */
bool load_fail(struct loader *l, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline bool load_ok(const struct loader *l) { return l->why[0] == 0; }

/* beam.c */
uint32_t read_u32(struct loader *l, struct reader *r);
uint8_t read_u8(struct loader *l, struct reader *r);
const uint8_t *read_bytes(struct loader *l, struct reader *r, size_t n);
/* One compact term; lists put their elements in args after themselves. */
bool read_arg(struct loader *l, struct reader *r);
/* A tag and its number alone (line chunk). */
uint64_t read_compact(struct loader *l, struct reader *r, unsigned *tag);
/* Grow an array of `size` elements so that `n` fit. */
void *load_grow(void *array, uint32_t *size, size_t n, size_t element);
/* Add a literal term, whose storage is in l->mbufs. Its index. */
uint32_t load_literal(struct loader *l, term t);

/* newmap.c: before the literals are placed. */
void new_map_keys(struct loader *l);

/* front.c: erlang:apply/2 or apply/3. */
bool import_is_apply(const struct import *im);
/* All instructions; false after load_fail. */
bool front_translate(struct loader *l);
const char *genop_name(uint32_t op);
unsigned genop_arity(uint32_t op);
uint32_t genop_last(void);

/* emit.c */
void emit_init(void);           /* once: the table of instances */
void emit_begin(struct loader *l, enum op op);
void emit_u(struct loader *l, uintptr_t word);
void emit_label(struct loader *l, uint32_t label);  /* 0: a word 0 */
void emit_y(struct loader *l, struct arg y);
void emit_fr(struct loader *l, struct arg fr);
void emit_place(struct loader *l, struct arg place);
void emit_end(struct loader *l);
/* Operands of its own of a vary instruction, after emit_end. */
void emit_vary_u(struct loader *l, uintptr_t word);
void emit_vary_label(struct loader *l, uint32_t label);
void emit_catch(struct loader *l, struct arg y, uint32_t label);
void emit_place_label(struct loader *l, uint32_t label);    /* it is here */
uint32_t emit_new_label(struct loader *l);      /* one that the module has not */
bool emit_finish(struct loader *l);     /* code->base, labels, catches */
/* Byte offset in the code of what was emitted at a word; after emit_finish. */
uint32_t emit_offset(const struct loader *l, uint32_t word);

/* For native.c: a word that will be a label's address; fill them in. */
enum { OPERAND_WORD = 100, OPERAND_LABEL = 101 };
void emit_label_word(struct loader *l, uint32_t label);
bool emit_resolve(struct loader *l);
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
