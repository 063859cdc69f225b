/*
 * code.c - what does not lie in a module: stubs, NIFs, where a process enters.
 *
 * Every function here has two answers, interpreted and native. A native stub
 * is code of its own, made when an export or a fun has nothing better to lead
 * to; an interpreted one is two words in the export or the fun.
 */
#include "op/code.h"

#include "bif/bif.h"
#include "op/break.h"
#include "op/codemem.h"
#include "op/native.h"
#include "op/t0_run.h"
#include "vm/atom.h"
#include "vm/bitsyntax.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/vm.h"

bool code_native;
static bool interpret;

/*
 * Code that no module owns. The interpreter's words lie in the VM's data,
 * 16-byte aligned because code_exit_stub is a return address.
 */
static uintptr_t stubs[4 + 2 * BREAK_KINDS] __attribute__((aligned(16)));
static uintptr_t op_undef, op_undef_fun, op_bif_stub, op_apply_list, op_apply_fun,
    op_nif_entry;
code_ptr code_apply_stub;
code_ptr code_exit_stub;
code_ptr code_return_stub[BREAK_KINDS];

void code_interpret(void) { interpret = true; }

static code_ptr stub(const void *what, code_ptr self, const void *to)
{
    code_ptr s = native_stub(what, self, to);

    if (!s)
        vm_fatal(EXIT_NO_MEMORY, "the window for code (%zu bytes) is full",
                 codemem_used());
    return s;
}

static void native_begin(void)
{
    const char *why = native_init();

    if (why)
        vm_fatal(1, "there can be no native code: %s (+JIT false interprets)", why);
    code_native = true;
    code_apply_stub = stub(NULL, NULL, t1_apply_list);
    code_exit_stub = stub(NULL, NULL, t1_process_end);
    for (uintptr_t i = 0; i < BREAK_KINDS; i++)
        code_return_stub[i] = stub((void *)i, NULL, t1_trace_return);
}

static void interpreter_begin(void)
{
    emit_init();
    op_undef = t0_handler(OP_undef_stub);
    op_undef_fun = t0_handler(OP_undef_fun_stub);
    op_bif_stub = t0_handler(OP_bif_stub);
    op_apply_list = t0_handler(OP_apply_list);
    op_apply_fun = t0_handler(OP_apply_fun);
    op_nif_entry = t0_handler(OP_nif_entry);
    stubs[0] = op_apply_list;
    stubs[2] = t0_handler(OP_process_end);
    code_apply_stub = &stubs[0];
    code_exit_stub = &stubs[2];
    for (uintptr_t i = 0; i < BREAK_KINDS; i++) {
        stubs[4 + 2 * i] = t0_handler(OP_trace_return);
        stubs[5 + 2 * i] = i;
        code_return_stub[i] = &stubs[4 + 2 * i];
    }
}

void code_init(void)
{
    vm.sched->build = vm_zalloc(ALLOC_CODE, sizeof *vm.sched->build);
    if (interpret)
        interpreter_begin();
    else
        native_begin();
    vm.sched->bif_send = export_put(am_erlang, am_Bang, 2);
}

static bool is_apply(const struct export *e, uint32_t arity)
{
    return e->m == am_erlang && e->f == am_apply && e->arity == arity;
}

static void drop_stub(uintptr_t *words)
{
    if (code_native && words[0]) {
        native_stub_free((code_ptr)words[0]);
        words[0] = words[1] = 0;
    }
}

/* words: 0 the stub, 1 where it goes. */
static code_ptr want_stub(uintptr_t *words, const void *what, const void *to)
{
    if (words[1] != (uintptr_t)to) {
        drop_stub(words);
        words[0] = (uintptr_t)stub(what, NULL, to);
        words[1] = (uintptr_t)to;
    }
    return (code_ptr)words[0];
}

void export_stub_init(struct export *e)
{
    /* apply's own code only calls itself. */
    bool list = is_apply(e, 3), fun = is_apply(e, 2);

    if (e->entry && !e->bif && !list && !fun) {
        drop_stub(e->stub);
        e->addr = e->entry;
        return;
    }
    if (code_native) {
        const void *to = list     ? (void *)t1_apply_list
                         : fun    ? (void *)t1_apply_fun
                         : e->bif ? (void *)t1_bif_stub
                                  : (void *)t1_undef_stub;


        e->addr = want_stub(e->stub, e, to);
    } else {
        e->stub[0] = list ? op_apply_list : fun ? op_apply_fun
                     : e->bif ? op_bif_stub : op_undef;
        e->stub[1] = (uintptr_t)e;
        e->addr = e->stub;
    }
}

const struct export *code_stub_export(code_ptr pc)
{
    uintptr_t e;

    if (code_find(pc) || pc == code_apply_stub || pc == code_exit_stub ||
        break_frame(pc) >= 0)
        return NULL;
    if (code_native) {
        e = (uintptr_t)native_stub_what(pc);
        if (((const struct export *)e)->stub[0] != (uintptr_t)pc)
            return NULL;
    } else {
        e = (uintptr_t)pc - offsetof(struct export, stub);
        if (pc[1] != e)
            return NULL;
    }
    return (const struct export *)e;
}

bool code_falls_to(code_ptr from, code_ptr to)
{
    return from == to || (code_native && native_falls_to(from, to));
}

void fun_stub_init(struct fun_entry *f)
{
    if (code_native) {
        f->addr = want_stub(f->stub, f, t1_undef_fun_stub);
        return;
    }
    f->stub[0] = op_undef_fun;
    f->stub[1] = (uintptr_t)f;
    f->addr = f->stub;
}

void fun_lead_to(struct fun_entry *f, code_ptr addr)
{
    drop_stub(f->stub);
    f->addr = addr;
}

void code_patch_nif(struct code *c, struct func *f, bif_fn fn)
{
    struct nif_entry *n = vm_zalloc(ALLOC_CODE, sizeof *n);

    break_lift(c, f);
    n->fn = fn;
    n->export = export_put(c->module, f->f, f->arity);
    n->next = c->nifs;
    c->nifs = n;
    if (c->nif_slots) {
        c->nif_slots[f - c->funcs] = n;
    } else if (code_native) {
        code_ptr at = (code_ptr)((char *)c->base + f->entry);

        n->stub = stub(n, at, t1_nif_entry);
        native_patch_jump(at, n->stub);
    } else {
        uintptr_t *at = c->base + f->entry / sizeof *c->base;

        at[1] = n->words[1] = (uintptr_t)n;
        at[0] = n->words[0] = op_nif_entry;
    }
    break_settle(c, f);
}

void code_memory_free(struct code *c)
{
    struct nif_entry *n, *next;

    for (n = c->nifs; n; n = next) {
        next = n->next;
        if (n->stub)
            native_stub_free(n->stub);
        vm_free(n);
    }
    vm_free(c->nif_slots);
    if (c->native)
        codemem_free((uint8_t *)c->base, c->bytes);
    else
        vm_free(c->base);
}

enum run_end code_run(struct sched *S, struct proc *p)
{
    S->p = p;
    S->reds_kept = 0;
    if (p->heap.want_gc) {
        p->need_words = 0;
        int err = gc_collect_running(p, 0, p->arg, p->live);

        if (err < 0) {
            heap_refused(p, err);
            p->exit_reason = am_killed;
            return RUN_EXIT;
        }
    }
    memcpy(S->x, p->arg, p->live * sizeof(term));
    if (unlikely(vm.breaks->sealed)) {
        S->reds_kept = p->reds_left;
        p->reds_left = 0;
    }
    return code_native ? native_run(S, p->pc) : t0_run(S, p->pc);
}
