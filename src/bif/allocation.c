/*
 * allocation.c - memory in use, in the form of OTP's allocators.
 *
 * erlang:memory/0 and observer ask every scheduler for the block sizes of
 * named allocators; answers are messages {Ref, Scheduler, [{Allocator,
 * Instance, Info}]}. Here there is one allocator with a byte count for each
 * kind of use; the kinds that OTP names get its names, the rest is ll_alloc.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "bif/info.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"

static const struct {
    term name;
    unsigned kinds;                     /* bits 1 << enum alloc_kind */
} allocators[] = {
    { am_ll_alloc, 1u << ALLOC_ATOM | 1u << ALLOC_CODE | 1u << ALLOC_SYSTEM },
    { am_eheap_alloc, 1u << ALLOC_PROC },
    { am_ets_alloc, 1u << ALLOC_ETS },
    { am_binary_alloc, 1u << ALLOC_BINARY },
};

term info_allocators(struct proc *p)
{
    term list = TERM_NIL;

    for (size_t i = sizeof allocators / sizeof *allocators; i > 0; i--)
        list = build_cons(p, allocators[i - 1].name, list);
    return list;
}

/* What is not in the allocators' counts but belongs to atom and code. */
term info_allocated_areas(struct proc *p)
{
    term atom = small_make((int64_t)vm_allocated(ALLOC_ATOM));
    term list = TERM_NIL;

    list = build_item(p, am_loaded_code, small_make((int64_t)vm_allocated(ALLOC_CODE)),
                      list);
    return build_cons(p, build_tuple3(p, am_atom_space, atom, atom), list);
}

static term triple(struct proc *p, term name, size_t bytes)
{
    term n = small_make((int64_t)bytes);

    return build_tuple4(p, name, n, n, n);
}

/* [{blocks, [{Name, [{size, N, N, N}]}]}, {carriers_size, N, N, N}] */
static term carriers(struct proc *p, term name, size_t bytes)
{
    term list = build_cons(p, triple(p, am_carriers_size, bytes), TERM_NIL);
    term blocks = TERM_NIL;

    if (bytes) {
        term sizes = build_cons(p, triple(p, am_size, bytes), TERM_NIL);

        blocks = build_item(p, name, sizes, TERM_NIL);
    }
    return build_item(p, am_blocks, blocks, list);
}

static term allocator_info(struct proc *p, term name, unsigned kinds)
{
    size_t bytes = 0;
    term list;

    for (int i = 0; i < ALLOC_KINDS; i++) {
        if (kinds & 1u << i)
            bytes += vm_allocated((enum alloc_kind)i);
    }
    list = build_item(p, am_sbcs, carriers(p, name, 0), TERM_NIL);
    return build_item(p, am_mbcs, carriers(p, name, bytes), list);
}

/*
 * system_info({memory_internal | allocator | allocator_sizes, Ref, Names}).
 * There is one scheduler and one instance, hence one message.
 */
term info_allocator_request(struct proc *p, term ref, term names)
{
    term list = TERM_NIL, l;

    if (!term_is_local_ref(ref) || list_length(names) < 0)
        return bif_badarg(p);
    for (l = names; term_is_cons(l); l = cons_tail(l)) {
        if (!term_is_atom(cons_head(l)))
            return bif_badarg(p);
    }
    for (l = names; term_is_cons(l); l = cons_tail(l)) {
        term name = cons_head(l);
        term entry = THE_NON_VALUE;

        for (size_t i = 0; i < sizeof allocators / sizeof *allocators; i++) {
            if (allocators[i].name == name)
                entry = build_tuple3(p, name, small_make(0),
                                     allocator_info(p, name, allocators[i].kinds));
        }
        if (entry == THE_NON_VALUE)
            entry = build_tuple2(p, name, am_false);
        list = build_cons(p, entry, list);
    }
    /* In the order asked: erlang:alloc_info/1 merges it with its list. */
    term ordered = TERM_NIL;
    for (; term_is_cons(list); list = cons_tail(list))
        ordered = build_cons(p, cons_head(list), ordered);
    msg_send(p, p, build_tuple3(p, ref, small_make(1), ordered));
    return am_true;
}

/* Schedulers that send such messages, and one that never does. */
BIF(erts_internal, no_aux_work_threads, 0)
{
    return small_make(2);
}

/* Histograms of blocks and carriers: there are no carriers to tell about. */
BIF(erts_internal, gather_alloc_histograms, 1)
{
    return bif_unimplemented(p, "erts_internal:gather_alloc_histograms/1");
}

BIF(erts_internal, gather_carrier_info, 1)
{
    return bif_unimplemented(p, "erts_internal:gather_carrier_info/1");
}
