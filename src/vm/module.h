/*
 * module.h - modules, exports, fun entries, catch entries: loaded code.
 *
 * A module has a current and an old instance. Calls between modules go
 * through struct export, calls within one go straight.
 *
 * What can be asked of a pc (find_pc and the tables of struct code) is the
 * same for interpreted and native code; see doc/instructions.md.
 */
#ifndef VM_MODULE_H
#define VM_MODULE_H

#include "vm/literal.h"
#include "vm/proc.h"

typedef term (*bif_fn)(struct proc *p, term *arg);

enum export_flags {
    EXPORT_BIF = 1,             /* bif is set: addr leads to stub */
    EXPORT_TRACED = 2,          /* breakpoint: calls in line must go to addr */
};

/* M:F/A as seen by callers. Never freed; 16-byte aligned. */
struct export {
    code_ptr addr;              /* entry, or stub: never NULL */
    bif_fn bif;
    uint32_t flags;
    uint32_t arity;
    term m, f;
    code_ptr entry;             /* function in current code, NULL if none */
    uintptr_t stub[2];          /* code: call the BIF or error_handler */
} __attribute__((aligned(16)));

void export_init(void);
/* Find or make. */
struct export *export_put(term m, term f, uint32_t arity);
struct export *export_find(term m, term f, uint32_t arity);     /* or NULL */
struct export *export_next(size_t *i);                          /* all of them */
/* The export of a function that can be called now: in code, or a BIF. */
struct export *export_callable(term m, term f, uint32_t arity);
void export_set_bif(struct export *e, bif_fn bif);

/*
 * A fun's code, found again after a reload: unique by module, index, uniq.
 * Never freed, so funs need no count; a few words for each fun expression
 * that was ever loaded. 16-byte aligned.
 */
struct fun_entry {
    code_ptr addr;              /* entry, or the stub that loads the module */
    uint32_t arity;             /* without environment */
    uint32_t num_free;
    term module, name;          /* name: '-f/1-fun-0-' */
    uint32_t index, old_uniq;
    uint8_t uniq[16];           /* MD5 of the module */
    struct export *unloaded;    /* ... */
    uintptr_t stub[2];
} __attribute__((aligned(16)));

struct fun_entry *fun_entry_put(term module, uint32_t index, uint32_t old_uniq,
                                const uint8_t uniq[16], uint32_t arity,
                                uint32_t num_free);

/* A fun on a heap: header (aux: arity without environment), then */
struct fun_words {
    term header;
    struct fun_entry *entry;
    term creator;               /* pid */
    term env[];
};
#define FUN_WORDS(num_free) (3 + (num_free))
static inline struct fun_words *fun_ptr(term t) { return (struct fun_words *)boxed_ptr(t); }
struct export_words {           /* fun M:F/A */
    term header;
    struct export *export;
};
#define EXPORT_FUN_WORDS 2
static inline term export_fun_put(term **hp, struct export *e)
{
    term *p = *hp;

    p[0] = HEADER(BOX_EXPORT, 0, 1);
    p[1] = (term)(uintptr_t)e;
    *hp = p + EXPORT_FUN_WORDS;
    return boxed_make(p);
}

/* One loaded instance of a module. */
struct func {                   /* sorted by start */
    uint32_t start;             /* offset of its func_info in the code, bytes */
    uint32_t entry;             /* offset of its entry */
    uint32_t f;                 /* a term: atoms have 32 bits */
    uint16_t arity;
    bool nif;                   /* declared as one: a NIF may take its place */
};
/*
 * A row holds from byte offset `at` to the next row's: words of the frame,
 * excluding the return address, and where in the source. An instruction that
 * raises, waits or yields is looked up at its own pc; a return address at
 * pc - 1, which lies in the call. Other instructions have no row of their own.
 */
#define FRAME_UNSURE 0x80000000u   /* in frame: code that raises, reached with others too */
struct frame_row {
    uint32_t frame;
    uint32_t line;              /* index in lines, 0: none */
};
/* As it is kept. what: line, unsure, frame; or ROW_WIDE and an index in wide_rows. */
#define ROW_WIDE 0x80000000u
#define ROW_FRAME_BITS 10
#define ROW_LINE_BITS 20
struct packed_row {
    uint32_t at, what;
};
/* file: an index in files, 0 is the module's own; unless there are line_files. */
#define LINE_BITS 24
struct line_info {
    uint32_t file : 32 - LINE_BITS, line : LINE_BITS;
};
struct code_export { uint32_t f, arity, label_off; };   /* f: a term, as above */

struct code {
    uintptr_t *base;            /* 16-byte aligned */
    size_t bytes;
    uint32_t ninstrs;           /* it was made of, without labels and lines */
    uint32_t cold_at, cold_bytes;       /* of native code: what lies behind the hot parts */
    term module;
    struct func *funcs; uint32_t nfuncs;
    struct packed_row *rows; uint32_t nrows;
    struct frame_row *wide_rows; uint32_t nwide;
    struct line_info *lines; uint32_t nlines;
    uint32_t *line_files;               /* of each line, where files are too many */
    term *files; uint32_t nfiles;       /* charlists in the literal area, [0] NONE */
    struct code_export *exports; uint32_t nexports;
    struct fun_entry **funs; uint32_t nfuns;
    code_ptr *fun_addrs;
    struct export **imports; uint32_t nimports;
    uint32_t *catches; uint32_t ncatches;
    struct literal_area *literals;
    uint8_t md5[16];
    term attributes, compile;           /* module_info: terms in literals */
    code_ptr on_load;                   /* or NULL */
    bool native;
    bool natives;                       /* code_patch_natives was here */
    bool declares_nifs;                 /* -nifs(): others may not become NIFs */
    void *nif_library;                  /* io/nif.h */
    struct nif_entry *nifs;             /* op/code.h; owned */
    struct nif_entry **nif_slots;       /* by function, or NULL: see func_entry_nif */
    uint8_t *strings;                   /* bytes the bit syntax names; owned */
};

struct module {
    term name;
    struct code *curr, *old;
    struct code *on_load_pending;
    struct module *next;
    bool has_debug;
    bool preloaded;             /* before the first process: boot.c */
    bool seen;                  /* finish_loading: finds duplicates */
};

struct module *module_find(term name);                  /* or NULL */
struct module *module_put(term name);
struct module *module_next(size_t *i);

/* Where a pc lies. NULL if in no loaded code (exports' stubs). */
struct code *code_find(code_ptr pc);
struct func *code_func(struct code *c, code_ptr pc);
/* False: it has none, and *row is all 0. */
bool code_row(const struct code *c, code_ptr pc, struct frame_row *row);
/* A row's line, and in *file a charlist, THE_NON_VALUE: module.erl; 0: none. */
uint32_t code_line(const struct code *c, const struct frame_row *row, term *file);
/*
 * Words of the frame at pc, and the code it lies in (NULL: none; then 0, or what a
 * frame of op/break.h has). What was asked for is remembered, until code comes or
 * goes: raising asks for the same few again and again, one after the other.
 */
#define FRAMES_KEPT 256
struct kept_frame {
    code_ptr pc;
    struct code *code;
    uint32_t frame;
};
struct kept_frame *code_keep_frame(struct kept_frame *k, code_ptr pc);
static inline const struct kept_frame *code_frame_at(struct kept_frame *kept, code_ptr pc)
{
    /* Most are the byte before a multiple of 16. */
    uintptr_t at = (uintptr_t)pc;
    struct kept_frame *k = &kept[(at >> 4 ^ at >> 12) % FRAMES_KEPT];

    return k->pc == pc ? k : code_keep_frame(k, pc);
}
uint32_t code_frame(code_ptr pc, struct code **c);

/* Catch entries: handler address and the y register that holds the catch. */
struct catch_entry { code_ptr handler; uint32_t y; };
struct catch_entry *catch_get(uint32_t index);
uint32_t catch_put(code_ptr handler, uint32_t y);       /* the loader's */
void catch_remove(uint32_t index);

/*
 * Loading (load.c). Nothing becomes visible before code_install.
 * code_prepare: bytes are a stranger's. On failure returns NULL and *why is
 * a static text ("module X: ...", printed by the caller, becomes badfile).
 */
struct code *code_prepare(const uint8_t *beam, size_t n, char why[256]);
/* Without line numbers, which OTP's preloaded modules have not in stack traces. */
struct code *code_prepare_preloaded(const uint8_t *beam, size_t n, char why[256]);
term code_module_name(struct code *c);
void code_install(struct code *c);      /* current becomes old: it must be free */
void code_free(struct code *c);         /* of any state, or never installed */
/*
 * Let functions that the VM has in C lead there. Installing does it; what is
 * prepared for an image has it done while its code can still be written.
 */
void code_patch_natives(struct code *c);
/* Keep c beside the current code while its on_load function runs. */
void code_install_pending(struct code *c);
/* The current code becomes old and can't be called: delete_module/1. */
void module_retire(struct module *m);
/* Make what refers to old code by its address forget it: funs, catches. */
void code_unlink(struct code *c);
/* For debuggers, or NULL: code can be run now, or is gone. */
extern void (*code_observer)(const struct code *c, bool gone);
/* What code_find knows; installing adds it, code_free removes it. */
void code_index_add(struct code *c);
void code_index_remove(struct code *c);
/* The MD5 that module_info tells and that funs carry; false: no .beam. */
bool beam_md5(const uint8_t *beam, size_t n, uint8_t md5[16]);
/* A chunk of a .beam: its bytes, or NULL. Checks the file's frame. */
const uint8_t *beam_chunk(const uint8_t *beam, size_t n, const char id[4], size_t *size);

#endif
