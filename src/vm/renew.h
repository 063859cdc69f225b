/*
 * renew.h - what makes one start of an instance another than every other.
 *
 * An image can be written out of a running instance, and be started any number
 * of times. Before a process runs in a copy, all that two instances must never
 * share is drawn anew: seeds, where references, unique integers and pids go on,
 * the creation of the node. Processes that keep such a thing themselves
 * subscribe, and get {ling, resumed, Generation}.
 */
#ifndef VM_RENEW_H
#define VM_RENEW_H

#include "vm/proc.h"

struct text;

/* At the start, and again in each copy. Nothing that exists gets another id. */
void renew_identity(void);
/* The arguments of this start, for init:get_plain_arguments/0. */
bool renew_arguments(char **argv, size_t argc);
/* A message to all that subscribed. */
void renew_tell(uint64_t generation);
void renew_subscribe(term pid, bool on);

/* What can't be kept in an image, with its owner; false: nothing. */
bool renew_kept_out(struct text *t);
/* Collect every heap, so that neither garbage nor room for it is kept. */
void renew_collect(void);
/* Processes and where they are, the latest first. It may build on their heaps. */
void renew_waiting(struct text *t);

/* proc.c: the next pid is that of this number, about. */
void proc_skip_pids(uint64_t n);

#endif
