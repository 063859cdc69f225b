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

/* The cold paths: out of the registers, and back. */
#define COLD_STUB(name, spill)                                                 \
    PRESERVE_NONE long t0_##name(PARAMS)                                       \
    {                                                                          \
        spill;                                                                 \
        S->self = I;                                                           \
        S->fcalls = FC;                                                        \
        code_ptr to = cold_##name(S);                                          \
        if (!to)                                                               \
            return S->end;                                                     \
        FC = S->fcalls;                                                        \
        SWAPIN;                                                                \
        RELOADX;                                                               \
        JUMP(to);                                                              \
    }
COLD_STUB(gc, SPILL)
COLD_STUB(slow_failed, SPILL)
COLD_STUB(yield, SPILL)
COLD_STUB(raise, (void)0)
COLD_STUB(bif_failed, (void)0)
