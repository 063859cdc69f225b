/*
 * cold.c - see cold.h.
 */
#include "op/cold.h"

#include "op/break.h"
#include "op/slow.h"
#include "vm/exc.h"
#include "vm/gc.h"
#include "vm/heaplimit.h"
#include "vm/atom.h"
#include "vm/vm.h"

static code_ptr leave(struct sched *S, enum run_end end)
{
    S->end = end;
    return NULL;
}

/* The process gives the processor back: what is alive goes to p->arg. */
static code_ptr switch_out(struct sched *S, uint32_t live, enum run_end end)
{
    struct proc *p = S->p;

    if (live > p->arg_size) {
        if (p->arg != p->arg_def)
            vm_free(p->arg);
        p->arg = vm_alloc(ALLOC_PROC, live * sizeof(term));
        p->arg_size = live;
    }
    memcpy(p->arg, S->x, live * sizeof(term));
    p->pc = S->self;
    p->live = live;
    return leave(S, end);
}

code_ptr cold_gc(struct sched *S)
{
    struct proc *p = S->p;
    size_t words = S->gc_bytes / sizeof(term);
    int err;

    if (p->need_words > words)
        words = p->need_words;
    p->need_words = 0;
    p->reds_left = (int32_t)(S->fcalls + S->reds_kept);
    p->pc = S->self;
    if ((err = gc_collect_running(p, words, S->x, S->live)) < 0) {
        heap_refused(p, err);
        proc_exit_self(p, am_killed);
        return leave(S, RUN_EXIT);
    }
    return S->self;
}

static code_ptr handle(struct sched *S, struct export *bif, const term *args)
{
    code_ptr to = exc_handle(S, S->p, bif, args);

    S->bif = NULL;
    return to ? to : leave(S, RUN_EXIT);
}

code_ptr cold_slow_failed(struct sched *S)
{
    if (S->p->need_words) {
        S->gc_bytes = 0;
        return cold_gc(S);
    }
    if (S->fail) {
        S->p->exc.kind = EXC_NONE;
        return S->fail;
    }
    return handle(S, S->bif, S->a);
}

code_ptr cold_raise(struct sched *S)
{
    code_ptr to = exc_handle(S, S->p, NULL, NULL);

    return to ? to : leave(S, RUN_EXIT);
}

static code_ptr raise_error(struct sched *S, enum slow_error why)
{
    slow_error(S, why);
    return cold_raise(S);
}

code_ptr cold_function_clause(struct sched *S)
{
    return raise_error(S, ERR_FUNCTION_CLAUSE);
}
code_ptr cold_badmatch(struct sched *S) { return raise_error(S, ERR_BADMATCH); }
code_ptr cold_case_clause(struct sched *S) { return raise_error(S, ERR_CASE_CLAUSE); }
code_ptr cold_try_clause(struct sched *S) { return raise_error(S, ERR_TRY_CLAUSE); }
code_ptr cold_badrecord(struct sched *S) { return raise_error(S, ERR_BADRECORD); }
code_ptr cold_if_clause(struct sched *S) { return raise_error(S, ERR_IF_CLAUSE); }
code_ptr cold_badarith(struct sched *S) { return raise_error(S, ERR_BADARITH); }
code_ptr cold_system_limit(struct sched *S) { return raise_error(S, ERR_SYSTEM_LIMIT); }

code_ptr cold_yield(struct sched *S)
{
    int64_t left = S->fcalls + S->reds_kept;

    S->reds_kept = 0;
    if (left > 0) {
        if (unlikely(vm.breaks->sealed))
            return break_sealed(S, left);
        /* The reductions were only taken to get here: NOTICE_HEAP. */
        S->fcalls = left;
        S->gc_bytes = 0;
        return S->p->heap.want_gc ? cold_gc(S) : S->self;
    }
    S->p->reds_left = (int32_t)S->fcalls;
    break_pace(S->p, S->self);
    return switch_out(S, S->live, RUN_YIELD);
}

code_ptr cold_returned(struct sched *S, code_ptr to)
{
    /* Who looks at p finds it in a function; else the next entry has to do. */
    if (!code_find(to)) {
        S->reds_kept = S->fcalls = 0;
        return to;
    }
    S->self = to;
    S->reds_kept = S->p->reds_left = 0;
    return switch_out(S, 1, RUN_YIELD);
}

/* A body BIF, or what it made, asks for a collection: see NOTICE_HEAP. */
static void notice_heap(struct sched *S)
{
    if (S->p->heap.want_gc && S->fcalls > 0) {
        S->reds_kept += S->fcalls;
        S->fcalls = 0;
    }
}

code_ptr cold_bif_failed(struct sched *S)
{
    struct proc *p = S->p;
    struct export *bif = S->bif;

    p->reds_left = (int32_t)(S->fcalls + S->reds_kept);
    if (p->need_words) {
        /* A guard BIF called as an ordinary one. */
        S->gc_bytes = 0;
        S->live = bif->arity;
        S->bif = NULL;
        return cold_gc(S);
    }
    switch (p->exc.kind) {
    case EXC_TRAP:
        if (S->fail)
            *--p->heap.stop = (term)(uintptr_t)S->fail;
        p->exc.kind = EXC_NONE;
        S->bif = NULL;
        notice_heap(S);
        return p->exc.trap->addr;
    case EXC_YIELD:
    case EXC_WAIT: {
        enum run_end end = p->exc.kind == EXC_YIELD ? RUN_YIELD : RUN_WAIT;

        p->exc.kind = EXC_NONE;
        S->bif = NULL;
        break_again(S);
        p->current = bif;
        return switch_out(S, bif->arity, end);
    }
    case EXC_EXITING:
        S->bif = NULL;
        return leave(S, RUN_EXIT);
    default:
        return handle(S, bif, S->x);
    }
}
