/*
 * native.h - native code: what the loader and the stubs need of it.
 *
 * While a module is translated its words are records:
 *
 *    header, operand words ..., [how many operands of its own, if vary]
 *
 * A header is a stencil's index | back << 16 | words << 24 | hot << 32. back:
 * words back to the record where the instruction begins, when others bring its
 * operands to memory first. words: header and operands. hot: where its hot part
 * goes, bytes. Operands of its own are labels, in l->vary, one after the other.
 */
#ifndef OP_NATIVE_H
#define OP_NATIVE_H

#include "op/emit.h"

/* Once. NULL, or why there can be no native code. */
const char *native_init(void);
/* The same of stencils for that processor: os_cpu_has(). */
const char *native_fits(const char *cpu);
/* The instruction in l->op...: its record. */
void native_end(struct loader *l);
/* One more operand of its own. */
void native_vary_label(struct loader *l, uint32_t label);
/* All records to code->base. */
bool native_finish(struct loader *l);
/* Where the record at a word begins; behind the last one, the end of the hot part. */
uint32_t native_offset(const struct loader *l, uint32_t word);

/*
 * Code that leaves `self` in S->self and `what` in S->a[0] and goes to `to`, a
 * function of the same convention. NULL: the window is full.
 */
code_ptr native_stub(const void *what, code_ptr self, const void *to);
void native_stub_free(code_ptr stub);
const void *native_stub_what(code_ptr stub);

/* Where stubs go (t1_entry.gen.c): never called, only jumped to. */
extern char t1_bif_stub[], t1_nif_entry[], t1_undef_stub[], t1_undef_fun_stub[],
    t1_apply_list[], t1_apply_fun[], t1_process_end[], t1_breakpoint[],
    t1_trace_return[];

/* Let the code at entry (of at least 5 bytes) begin with a jump to `to`. */
#define NATIVE_JUMP_BYTES 5
void native_patch_jump(code_ptr entry, code_ptr to);
/* Put back the first NATIVE_JUMP_BYTES of it. */
void native_patch_back(code_ptr entry, const void *bytes);
/* From a function's entry to what comes after its func_entry. */
uint32_t native_entry_bytes(const struct code *c);

/* Is there nothing but padding from one place in native code to another? */
bool native_falls_to(code_ptr from, code_ptr to);

/* Run a process from pc; x registers are in S->x. */
enum run_end native_run(struct sched *S, code_ptr pc);

#endif
