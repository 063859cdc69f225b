/*
 * bif.h - how BIFs are written.
 *
 * BIF(lists, reverse, 2) { ... } defines lists:reverse/2: the build finds the
 * line (it must start in column 1) and makes the row in the table. BIF_AS
 * takes the Erlang name when it is no C identifier:
 *
 *     BIF_AS(erlang, append, 2, "++")
 *
 * Arguments are in arg[0..], which is the x register array: it may be written,
 * and holds at least 6 words whatever the arity. The result is a term, or
 * THE_NON_VALUE made by one of the functions below. Look, build, return:
 * heap_alloc() does not move terms, so nothing goes stale.
 *
 * GUARD(erlang, map_size, 1) defines what is allowed in guards and runs
 * without x registers in memory: it may only use heap_try(), and may not trap;
 * it may be run again after a collection, so nothing is observable before its
 * heap_try(). A call of it as an ordinary BIF is made of the same function.
 *
 * NIF(zlib, deflate, 4): the same for a function of a module whose .beam has
 * only a stub: it takes the stub's place when the module is loaded, and
 * erlang:load_nif/2 of such a module returns ok.
 *
 * Long work: count it against bif_budget(), and trap with what is left.
 */
#ifndef BIF_BIF_H
#define BIF_BIF_H

#include "vm/atom.h"
#include "vm/heap.h"
#include "vm/module.h"
#include "vm/proc.h"
#include "vm/sched.h"
#include "vm/vm.h"

#define BIF_DEF(name, args)                                                    \
    term name(struct proc *p, args *arg);                                      \
    term name(struct proc *p, args *arg)
#define BIF(m, f, a) BIF_DEF(bif_##m##_##f##_##a, term)
#define BIF_AS(m, c, a, name) BIF_DEF(bif_##m##_##c##_##a, term)
#define GUARD(m, f, a) BIF_DEF(bif_##m##_##f##_##a, const term)
#define GUARD_AS(m, c, a, name) BIF_DEF(bif_##m##_##c##_##a, const term)
#define NIF(m, f, a) BIF_DEF(bif_##m##_##f##_##a, term)

/* Bytes of C stack that the compiler of re may take; they have all been used once. */
size_t re_stack_check(void);
size_t persistent_term_buckets(void);   /* of its hash table */
struct literal_area;
void persistent_term_visit(void (*see)(void *ctx, const struct literal_area *a), void *ctx);

/* Fail. All return THE_NON_VALUE, so: return bif_error(p, am_badarg); */
term bif_error(struct proc *p, term reason);            /* error:Reason */
term bif_exit(struct proc *p, term reason);
term bif_throw(struct proc *p, term reason);
/* error:Reason with error_info cause => Cause (an atom). */
term bif_error_cause(struct proc *p, term reason, term cause);
static inline term bif_badarg(struct proc *p) { return bif_error(p, am_badarg); }
/* undef naming the function itself; logs it once on the console. */
term bif_unimplemented(struct proc *p, const char *what);

/* What the BIF did killed p itself (PF_KILLED): it does not return. */
term bif_exiting(struct proc *p);

/* Give up the slice and go on in another function with these arguments. */
term bif_trap(struct proc *p, struct export *e, const term *args, uint32_t arity);
/* Exports by name, looked up once: EXP("erlang", "dsend_continue_trap", 1). */
#define EXP(m, f, a)                                                           \
    ({                                                                         \
        static struct export *exp_;                                            \
        if (!exp_)                                                             \
            exp_ = export_put(atom_from_cstr(m), atom_from_cstr(f), a);        \
        exp_;                                                                  \
    })
/* The same BIF again, with arg[] as it is now, in the next slice. */
term bif_yield(struct proc *p);
/* Wait until a message arrives, then the same BIF again. */
term bif_wait(struct proc *p);

/*
 * Units of work this slice may still do, at `units` per reduction; at least
 * one reduction's worth. bif_spend charges what was done. In line: `units` is a
 * constant, and a division by a variable is a tenth of lists:member/2 on a short list.
 */
static inline size_t bif_budget(const struct proc *p, size_t units)
{
    return p->reds_left > 1 ? (size_t)p->reds_left * units : units;
}

static inline void bif_spend(struct proc *p, size_t work, size_t units)
{
    size_t reds = work / units;

    /* More than a slice is as much as a slice: the count must not wrap. */
    if (reds > SLICE_REDS)
        reds = SLICE_REDS;
    if (p->reds_left > -SLICE_REDS)
        p->reds_left -= (int32_t)reds;
}

/* A list of n bytes as characters; heap_alloc. */
term bif_string(struct proc *p, const char *s, size_t n);

/* The table the build makes. */
enum bif_kind { BIF_BODY, BIF_GUARD, BIF_NIF };
struct bif_row {
    const char *m, *f;
    uint8_t arity, kind;
    bif_fn fn;
};
extern const struct bif_row bif_table[];
extern const size_t bif_count;
/* A guard BIF's function for the loader; NULL if there is none. */
bif_fn bif_guard(term m, term f, uint32_t arity);
/* A NIF's function for a module that is being loaded; NULL if there is none. */
bif_fn bif_nif(term m, term f, uint32_t arity);
/* Enter the table in the exports. */
void bif_init(void);

#endif
