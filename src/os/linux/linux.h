/*
 * linux.h - what the files of os/linux share.
 */
#ifndef OS_LINUX_H
#define OS_LINUX_H

#include <stdint.h>

void os_linux_init(void);       /* first of all */
void os_wait_init(void);
/* CLOCK_MONOTONIC of one of our monotonic times. */
uint64_t os_linux_clock(uint64_t mono_ns);

/* +B: ^C is input for the shell ('c'), ignored ('i'), or ends us (0, 'd'). */
void os_linux_break(char how);

/* Port drivers that need a Unix below: spawn.c. */
void spawn_init(void);

#endif
