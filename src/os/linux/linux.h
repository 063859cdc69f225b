/*
 * linux.h - what the files of os/linux share.
 */
#ifndef OS_LINUX_H
#define OS_LINUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks below are cut from memory that stays, others are mapped (main.c). */
#define OS_KEPT ((size_t)16 << 20)

void os_linux_init(void);       /* first of all */
void os_wait_init(void);
/* CLOCK_MONOTONIC of one of our monotonic times. */
uint64_t os_linux_clock(uint64_t mono_ns);

/* +B: ^C is input for the shell ('c'), ignored ('i'), or ends us (0, 'd'). */
void os_linux_break(char how);

/*
 * +JPperf how, +JDgdb: tell perf and gdb of native code. Before any is made.
 * False: how is none of erl's words.
 */
bool jit_perf(const char *how);
void jit_gdb(void);

/* Port drivers that need a Unix below: spawn.c. */
void spawn_init(void);

#endif
