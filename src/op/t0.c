/*
 * t0.c - the interpreter: entry, exit, and the cold paths of its instances.
 */
#include "op/t0.h"

#include "op/t0_run.h"
#include "vm/vm.h"

uintptr_t t0_handler(enum op op)
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

enum run_end t0_run(struct sched *S, code_ptr pc)
{
    struct proc *p = S->p;
    op_fn go = (op_fn)pc[0];
    term *x = S->x;

    return (enum run_end)go(S, p->heap.htop, p->heap.stop, p->reds_left, x[0], x[1],
                            x[2], x[3], x[4], x[5], pc);
}

#define ENTER_COLD (S->self = I)
COLD_STUBS(t0)
