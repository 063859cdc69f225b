/*
 * boot.h - from nothing to the first process.
 *
 *     boot_init();
 *     boot_preload(fetch, ctx);
 *     boot_first_process(argc, argv);
 *     status = sched_run();
 */
#ifndef VM_BOOT_H
#define VM_BOOT_H

#include <stddef.h>
#include <stdint.h>

/* Every part of the VM, in the order they need each other. */
void boot_init(void);

/*
 * The same for a VM that was written to an image after boot_preload(): what
 * must differ from start to start begins anew.
 */
void boot_resume(void);

/*
 * Load the modules that OTP has inside its emulator (erlang:pre_loaded/0).
 * fetch gives a module's .beam, a loan until its next call; NULL ends the VM
 * with a message that names the module.
 */
typedef const uint8_t *(*boot_fetch)(void *ctx, const char *module, size_t *bytes);
void boot_preload(boot_fetch fetch, void *ctx);

/*
 * The process init, erl_init:start(init, Args), and OTP's system processes.
 * Args are init's, as erl gives them after its first --: -root Dir -bindir Dir
 * -progname Name -- -home Dir -- and the user's own.
 */
void boot_first_process(int argc, char **argv);

#endif
