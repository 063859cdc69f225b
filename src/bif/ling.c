/*
 * ling.c - the module ling: what the VM has beyond OTP's. kindling.erl is what
 * programs call.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/md5.h"
#include "vm/renew.h"

/*
 * ling:ready(kernel | application): in a builder that waits for this point the
 * instance is written out here, and this is where each copy goes on.
 */
BIF(ling, ready, 1)
{
    if (arg[0] != am_kernel && arg[0] != am_application)
        return bif_badarg(p);
    if (!os_bake_wanted(arg[0] == am_kernel ? OS_READY_KERNEL : OS_READY_APP))
        return am_ok;
    vm.sched->pause = true;
    return bif_yield(p);
}

BIF(ling, subscribe, 1)
{
    if (!term_is_bool(arg[0]))
        return bif_badarg(p);
    renew_subscribe(p->id, arg[0] == am_true);
    return am_ok;
}

/* 0 in a builder, otherwise which start this is. */
BIF(ling, generation, 0)
{
    return uint64_make(p, os_generation());
}

/* What a node of this instance has for its creation once it is alive. */
BIF(ling, creation, 0)
{
    return uint64_make(p, vm.creation);
}

/* What a module's code adds up to: a breakpoint that was taken off leaves no trace. */
BIF(ling, code_md5, 1)
{
    struct module *m = term_is_atom(arg[0]) ? module_find(arg[0]) : NULL;
    uint8_t digest[16];
    struct md5 sum;

    if (!m || !m->curr)
        return bif_badarg(p);
    md5_init(&sum);
    md5_update(&sum, m->curr->base, m->curr->bytes);
    md5_final(&sum, digest);
    return binary_from(p, digest, sizeof digest);
}

/* Bytes of the host's entropy. */
BIF(ling, entropy, 1)
{
    uint8_t bytes[256];

    if (!term_is_small(arg[0]) || small_value(arg[0]) < 0 ||
        small_value(arg[0]) > (int64_t)sizeof bytes)
        return bif_badarg(p);
    os_entropy(bytes, (size_t)small_value(arg[0]));
    return binary_from(p, bytes, (size_t)small_value(arg[0]));
}
