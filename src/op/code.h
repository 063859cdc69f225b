/*
 * code.h - what the rest of the VM may know of loaded code's insides.
 *
 * Native code is machine code in the code window. Interpreted code is a run of
 * words: an instruction's handler, its operands, the next handler ..., and a
 * code_ptr leads to a handler's word. Return addresses are 16-byte aligned.
 */
#ifndef OP_CODE_H
#define OP_CODE_H

#include "vm/module.h"

/* Once, before anything is loaded. */
void code_init(void);
/* Before that: interpret, instead of making native code. */
void code_interpret(void);
extern bool code_native;

/* Where a new process starts: x0 module, x1 function, x2 argument list. */
extern code_ptr code_apply_stub;
/* What its initial function returns to: ends the process, reason normal. */
extern code_ptr code_exit_stub;

/*
 * Make e->stub and e->addr right for what e has: entry (code), else bif, else
 * neither (then a call goes to error_handler:undefined_function/3).
 */
void export_stub_init(struct export *e);
/* The same for a fun entry without code (error_handler:undefined_lambda/3). */
void fun_stub_init(struct fun_entry *f);
/* Its code has come. */
void fun_lead_to(struct fun_entry *f, code_ptr addr);
/* Is the instruction at `to` the first one from `from` on? */
bool code_falls_to(code_ptr from, code_ptr to);
/* The export whose stub pc is (a process waits in a BIF called by apply), or NULL. */
const struct export *code_stub_export(code_ptr pc);

/* A NIF that stands in the place of a function; the code owns it. */
struct nif_entry {
    struct nif_entry *next;
    bif_fn fn;
    struct export *export;
    const void *data;           /* io/nif.c's: which function of a library */
    code_ptr stub;              /* native: where the function's entry jumps to */
    uintptr_t words[2];         /* interpreted: code that calls it */
};
/* Let a function's entry call a NIF with the function's arguments in arg[]. */
void code_patch_nif(struct code *c, struct func *f, bif_fn fn);

/* The code's own memory, and its NIFs: code_free's part. */
void code_memory_free(struct code *c);

#endif
