/*
 * loader.h - from the bytes of a .beam to code: what its parts share.
 *
 *    beam.c     chunks and compact terms: bytes to numbers
 *    load.c     tables (atoms, imports, literals ...), code_prepare
 *    newmap.c   the keys of maps that are made whole
 *    decode.c   instructions, one by one, and how large their frames are
 *    front.c    generic instructions to specific ones (front.h)
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
    bool unsure;                /* ... or others: decode.c */
    bool labels;                /* there are some in its operands */
};

struct import { term m, f; uint32_t arity; struct export *export; };
struct lambda {
    term name;
    uint32_t arity, label, index, num_free, old_uniq;
    struct fun_entry *entry;
};
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
    bool arg_labels;            /* read_args: as in struct ginstr */
    /* ... how to read one of a byte or two (compact.h), by what the first one ends with: */
#define SHORT_TAGS 32
    struct short_tag {
        uint32_t limit;         /* the number is less, or it is another's to read */
        uint8_t kind;           /* enum arg_kind */
        uint8_t bytes;
        uint8_t label;          /* 1: it is one */
        uint64_t scale;         /* the value is that many times the number, */
        uint64_t atom;          /* or, all ones: the atom of it */
    } short_tags[SHORT_TAGS];

    /* emit.c */
    uintptr_t *words;
    uint32_t nwords, words_size;
    uint32_t *label_at;         /* word index, UINT32_MAX: not placed */
    uint32_t *fixups;           /* words that are labels */
    uint32_t nfixups, fixups_size;
    struct catch_fixup *catches;
    uint32_t ncatches, catches_size;
    uint32_t rows_size, wide_size, funcs_size;
    uint32_t row_frame, row_line;   /* the last row's; UINT32_MAX: there is none */
    uint8_t *resumes;           /* labels where a process that waited goes on */
    bool resumes_here;          /* one of them has just been placed */
    uint32_t labels, labels_size;   /* in label_at: nlabels and emit_new_label's */
    bool lines;                 /* wanted: where in the source */
    bool native;                /* words are records: native.h */
    uint64_t hot_bytes, cold_bytes; /* native: of the records so far */
    uint32_t *vary;             /* native: labels, operands of their own */
    uint32_t nvary, vary_size, vary_at; /* vary_at: the word that counts them */
    uint32_t line;              /* of what is emitted */
    uint32_t frame;
    /* The instruction being emitted. */
    enum op op;
    uint32_t op_at, op_fixups;      /* in words, in fixups */
    uint32_t op_kinds, op_shift;    /* of its places: 4 bits each */
    uintptr_t op_wide;          /* its u operands, or-ed */
    uint32_t op_operands;       /* checked by debug builds only */
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
/* The last n operands of an instruction to args; a list's elements come after it. */
bool read_args(struct loader *l, struct reader *r, uint64_t n);
/* Before that, once the tables of atoms and labels are known. */
void read_args_init(struct loader *l);
/* A tag and its number alone (line chunk). */
uint64_t read_compact(struct loader *l, struct reader *r, unsigned *tag);
/* Grow an array of `size` elements so that `n` fit. */
void *load_grow(void *array, uint32_t *size, size_t n, size_t element);
/* Add a literal term, whose storage is in l->mbufs. Its index. */
uint32_t load_literal(struct loader *l, term t);

/* newmap.c: a put_map_assoc. Before the literals are placed. */
void new_map_keys(struct loader *l, const struct ginstr *in);

/* decode.c: the chunk Code. The instructions follow the header; false after load_fail. */
bool decode_header(struct loader *l, struct reader *r);
bool decode_code(struct loader *l, struct reader r);

/* front_calls.c: erlang:apply/2 or apply/3. */
bool import_is_apply(const struct import *im);
/* front.c: all instructions; false after load_fail. */
bool front_translate(struct loader *l);

/* emit.c; the rest is in emit.h. Once: the table of instances. */
void emit_init(void);

#endif
