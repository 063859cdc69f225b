/*
 * t0.c - the interpreter: entry, exit, and the cold paths of its instances.
 */
#include "op/t0.h"

#include "bif/bif.h"
#include "op/loader.h"
#include "vm/gc.h"

/* What a handler's word holds: the all-generic instance, always the last. */
static uintptr_t handler(enum op op)
{
    const struct op_info *o = &op_infos[op];

    for (uint32_t i = 0; i < o->count; i++) {
        const struct op_instance *inst = &t0_instances[o->first + i];
        bool generic = true;
        unsigned place = 0;

        for (const char *r = o->roles; *r; r++) {
            if (strchr("sdr", *r)) {
                generic &= (inst->kinds >> 4 * place & 15) == KIND_G;
                place++;
            }
        }
        if (generic)
            return (uintptr_t)inst->handler;
    }
    vm_bug("instruction %s has no generic instance", o->name);
}

/*
 * Code that no module owns. The words lie in the VM's data, 16-byte aligned
 * because code_exit_stub is a return address.
 */
static uintptr_t stubs[8] __attribute__((aligned(16)));
static uintptr_t op_undef, op_undef_fun, op_bif_stub, op_apply_list, op_apply_fun,
    op_nif_entry;
code_ptr code_apply_stub = &stubs[0];
code_ptr code_exit_stub = &stubs[2];

void code_init(void)
{
    emit_init();
    vm.sched->build = vm_zalloc(ALLOC_CODE, sizeof *vm.sched->build);
    op_undef = handler(OP_undef_stub);
    op_undef_fun = handler(OP_undef_fun_stub);
    op_bif_stub = handler(OP_bif_stub);
    op_apply_list = handler(OP_apply_list);
    op_apply_fun = handler(OP_apply_fun);
    op_nif_entry = handler(OP_nif_entry);
    stubs[0] = op_apply_list;
    stubs[2] = handler(OP_process_end);
    vm.sched->bif_send = export_put(am_erlang, am_Bang, 2);
}

void export_stub_init(struct export *e)
{
    e->stub[1] = (uintptr_t)e;
    e->addr = e->stub;
    if (e->m == am_erlang && e->f == am_apply && e->arity == 3)
        e->stub[0] = op_apply_list;     /* the module's own only calls this */
    else if (e->m == am_erlang && e->f == am_apply && e->arity == 2)
        e->stub[0] = op_apply_fun;
    else if (e->bif)
        e->stub[0] = op_bif_stub;
    else if (e->entry)
        e->addr = e->entry;
    else
        e->stub[0] = op_undef;
}

void fun_stub_init(struct fun_entry *f)
{
    f->stub[0] = op_undef_fun;
    f->stub[1] = (uintptr_t)f;
    f->addr = f->stub;
}

void code_patch_nif(struct code *c, struct func *f, bif_fn fn)
{
    uintptr_t *entry = c->base + f->entry / sizeof *c->base;
    struct nif_entry *n = vm_zalloc(ALLOC_CODE, sizeof *n);

    n->fn = fn;
    n->export = export_put(c->module, f->f, f->arity);
    n->next = c->nifs;
    c->nifs = n;
    entry[1] = (uintptr_t)n;
    entry[0] = op_nif_entry;
}

static long enter(struct sched *S, struct proc *p, code_ptr pc)
{
    op_fn go = (op_fn)pc[0];
    term *x = S->x;

    return go(S, p->heap.htop, p->heap.stop, p->reds_left, x[0], x[1], x[2],
              x[3], x[4], x[5], pc);
}

enum run_end code_run(struct sched *S, struct proc *p)
{
    S->p = p;
    S->reds_kept = 0;
    if (p->heap.want_gc) {
        p->need_words = 0;
        if (gc_collect(p, 0, p->arg, p->live) < 0) {
            p->exit_reason = am_killed;
            return RUN_EXIT;
        }
    }
    memcpy(S->x, p->arg, p->live * sizeof(term));
    return (enum run_end)enter(S, p, p->pc);
}

/* The process gives the processor back: what is alive goes to p->arg. */
static void switch_out(struct sched *S, code_ptr pc, uint32_t live)
{
    struct proc *p = S->p;

    if (live > p->arg_size) {
        if (p->arg != p->arg_def)
            vm_free(p->arg);
        p->arg = vm_alloc(ALLOC_PROC, live * sizeof(term));
        p->arg_size = live;
    }
    memcpy(p->arg, S->x, live * sizeof(term));
    p->pc = pc;
    p->live = live;
}

static long memory_out(struct sched *S)
{
    proc_exit_self(S->p, am_killed);
    return RUN_EXIT;
}

PRESERVE_NONE long t0_gc(PARAMS)
{
    SPILL;
    size_t words = S->gc_words > PROC->need_words ? S->gc_words : PROC->need_words;

    PROC->need_words = 0;
    S->self = I;
    PROC->reds_left = (int32_t)(FC + S->reds_kept);
    if (gc_collect(PROC, words, S->x, S->live) < 0)
        return memory_out(S);
    SWAPIN;
    RELOADX;
    DISPATCH;
}

PRESERVE_NONE long t0_slow_failed(PARAMS)
{
    if (PROC->need_words) {
        S->gc_words = 0;
        MUSTTAIL return t0_gc(ARGS);
    }
    if (S->fail) {
        PROC->exc.kind = EXC_NONE;
        JUMP(S->fail);
    }
    SPILL;
    S->self = I;
    code_ptr to = exc_handle(S, PROC, S->bif, S->a);
    S->bif = NULL;
    if (!to)
        return RUN_EXIT;
    SWAPIN;
    RELOADX;
    JUMP(to);
}

PRESERVE_NONE long t0_raise(PARAMS)
{
    S->self = I;
    code_ptr to = exc_handle(S, PROC, NULL, NULL);
    if (!to)
        return RUN_EXIT;
    SWAPIN;
    RELOADX;
    JUMP(to);
}

PRESERVE_NONE long t0_yield(PARAMS)
{
    int64_t left = FC + S->reds_kept;

    SPILL;
    S->reds_kept = 0;
    if (left > 0) {
        /* The reductions were only taken to get here: NOTICE_HEAP. */
        FC = left;
        S->gc_words = 0;
        if (HEAP.want_gc)
            MUSTTAIL return t0_gc(ARGS);
        DISPATCH;
    }
    PROC->reds_left = (int32_t)FC;
    switch_out(S, I, S->live);
    return RUN_YIELD;
}

/*
 * S->bif returned THE_NON_VALUE at I; S->fail is where its call returns to,
 * NULL for a last call.
 */
PRESERVE_NONE long t0_bif_failed(PARAMS)
{
    struct proc *p = PROC;
    uint32_t arity = S->bif->arity;
    code_ptr to;

    S->self = I;
    p->reds_left = (int32_t)(FC + S->reds_kept);
    if (p->need_words) {
        /* A guard BIF called as an ordinary one. */
        S->gc_words = 0;
        S->live = arity;
        S->bif = NULL;
        RELOADX;
        MUSTTAIL return t0_gc(ARGS);
    }
    switch (p->exc.kind) {
    case EXC_TRAP:
        if (S->fail)
            *--E = (term)(uintptr_t)S->fail;
        p->exc.kind = EXC_NONE;
        S->bif = NULL;
        NOTICE_HEAP;
        RELOADX;
        JUMP(p->exc.trap->addr);
    case EXC_YIELD:
        p->exc.kind = EXC_NONE;
        S->bif = NULL;
        switch_out(S, I, arity);
        return RUN_YIELD;
    case EXC_WAIT:
        p->exc.kind = EXC_NONE;
        S->bif = NULL;
        switch_out(S, I, arity);
        return RUN_WAIT;
    case EXC_EXITING:
        S->bif = NULL;
        return RUN_EXIT;
    default:
        to = exc_handle(S, p, S->bif, S->x);
        S->bif = NULL;
        if (!to)
            return RUN_EXIT;
        SWAPIN;
        RELOADX;
        JUMP(to);
    }
}
