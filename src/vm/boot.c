/*
 * boot.c - start the VM's parts, load what must be there, make the first
 * processes.
 */
#include "vm/boot.h"

#include "bif/bif.h"
#include "bif/info.h"
#include "io/port.h"
#include "op/break.h"
#include "op/code.h"
#include "os/os.h"
#include "vm/binary.h"
#include "vm/btimer.h"
#include "vm/clock.h"
#include "vm/ets.h"
#include "vm/link.h"
#include "vm/literal.h"
#include "vm/names.h"
#include "vm/purge.h"
#include "vm/renew.h"
#include "vm/sysmon.h"
#include "vm/timer.h"

/* In the order that erlang:pre_loaded/0 shows backwards. */
static const char *const preloaded[] = {
    "erts_code_purger", "erl_init", "init", "prim_buffer", "prim_eval", "prim_inet",
    "prim_file", "zlib", "socket_registry", "prim_socket", "prim_net", "prim_zip",
    "erl_prim_loader", "erlang", "erts_internal", "erl_tracer",
    "erts_literal_area_collector", "erts_dirty_process_signal_handler", "atomics",
    "counters", "persistent_term",
};

void boot_init(void)
{
    renew_identity();
    os_entropy(&vm.pc_mask, sizeof vm.pc_mask);
    vm.pc_mask &= (uintptr_t)SMALL_MAX;
    vm_stress(os_getenv("LING_STRESS"));
    atom_init();
    literal_init();
    info_init();
    timer_init();
    proc_init();
    sched_init();
    export_init();
    break_init();
    trace_init();
    sysmon_init();
    /* What an export leads to is known once the interpreter's stubs are. */
    code_init();
    ets_init();
    port_init();
    bif_init();
}

void boot_preload(boot_fetch fetch, void *ctx)
{
    for (size_t i = 0; i < sizeof preloaded / sizeof *preloaded; i++) {
        const char *name = preloaded[i];
        size_t bytes = 0;
        const uint8_t *beam = fetch(ctx, name, &bytes);
        struct code *c;
        char why[256];

        if (!beam)
            vm_fatal(1, "cannot find the preloaded module %s", name);
        c = code_prepare_preloaded(beam, bytes, why);
        if (!c)
            vm_fatal(1, "cannot load the preloaded module %s: %s", name, why);
        if (code_module_name(c) != atom_from_cstr(name) || c->on_load)
            vm_fatal(1, "%s is not OTP's preloaded module of that name", name);
        code_install(c);
        module_find(code_module_name(c))->preloaded = true;
    }
}

static term spawn(struct proc *parent, term m, term f, term args, enum proc_prio prio,
                  uint32_t flags)
{
    struct spawn_opts opts = {
        .prio = prio,
        .min_heap_words = vm.info->min_heap_words,
        .max_gen_gcs = vm.info->fullsweep_after,
        .flags = PF_SYSTEM | flags | (vm.info->off_heap_messages ? PF_OFF_HEAP_MSGS : 0),
        .monitor_opts = TERM_NIL,
    };
    term error;
    term pid = proc_spawn(parent, m, f, args, &opts, &error);

    if (pid == THE_NON_VALUE)
        vm_fatal(EXIT_NO_MEMORY, "no memory for the first processes");
    return pid;
}

void boot_first_process(int argc, char **argv)
{
    size_t words = 2 * CONS_WORDS;
    struct mbuf *m;
    struct proc *init;
    term list = TERM_NIL;

    for (int i = 0; i < argc; i++)
        words += CONS_WORDS + binary_put_words(strlen(argv[i]));
    m = mbuf_new(words);
    struct dest d = { .htop = m->words, .off = &m->off };
    for (int i = argc - 1; i >= 0; i--) {
        term arg = binary_put(&d, argv[i], strlen(argv[i]));

        list = put_cons(&d.htop, arg, list);
    }
    list = put_cons(&d.htop, list, TERM_NIL);
    list = put_cons(&d.htop, am_init, list);
    m->used = words;
    init = proc_find(spawn(NULL, am_erl_init, am_start, list, PRIO_NORMAL, 0));
    mbuf_free(m);

    vm.purge->purger = spawn(init, am_erts_code_purger, am_start, TERM_NIL, PRIO_HIGH,
                             PF_OFF_HEAP_MSGS);
    vm.purge->collector = spawn(init, am_erts_literal_area_collector, am_start, TERM_NIL,
                                PRIO_HIGH, PF_OFF_HEAP_MSGS);
    /*
     * Nothing here runs on dirty schedulers, so these three never get work;
     * they are there because OTP's process list starts with them.
     */
    spawn(init, am_erts_dirty_process_signal_handler, am_start, TERM_NIL, PRIO_NORMAL,
          PF_OFF_HEAP_MSGS);
    spawn(init, am_erts_dirty_process_signal_handler, am_start, TERM_NIL, PRIO_HIGH,
          PF_OFF_HEAP_MSGS);
    spawn(init, am_erts_dirty_process_signal_handler, am_start, TERM_NIL, PRIO_MAX,
          PF_OFF_HEAP_MSGS);
}

void boot_resume(void)
{
    clock_start();
    renew_identity();
}
