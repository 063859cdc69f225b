/*
 * msacc.c - see msacc.h.
 */
#include "vm/msacc.h"

#include "os/os.h"

enum msacc_state msacc_change(enum msacc_state to)
{
    struct msacc *m = vm.msacc;
    enum msacc_state was = m->now;
    uint64_t now_ns = os_mono_ns();

    m->ns[was] += now_ns - m->since_ns;
    m->since_ns = now_ns;
    m->now = to;
    return was;
}

void msacc_set(bool on)
{
    if (on == vm.accounting)
        return;
    if (on) {
        if (!vm.msacc)
            vm.msacc = vm_zalloc(ALLOC_SYSTEM, sizeof *vm.msacc);
        vm.msacc->now = MSACC_EMULATOR;
        vm.msacc->since_ns = os_mono_ns();
    } else {
        msacc_change(MSACC_OTHER);
    }
    vm.accounting = on;
}

void msacc_reset(void)
{
    if (!vm.msacc)
        return;
    memset(vm.msacc->ns, 0, sizeof vm.msacc->ns);
    vm.msacc->since_ns = os_mono_ns();
}

void msacc_read(uint64_t ns[MSACC_STATES])
{
    if (vm.accounting)
        msacc_change(vm.msacc->now);
    if (vm.msacc)
        memcpy(ns, vm.msacc->ns, sizeof vm.msacc->ns);
    else
        memset(ns, 0, MSACC_STATES * sizeof *ns);
}
