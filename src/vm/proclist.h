/*
 * proclist.h - all processes of one moment, listed in pieces.
 *
 * The list has who was there when it was begun, in the order of the table;
 * who dies before it has been come to is put in where it is then. Who starts
 * meanwhile is not in it.
 */
#ifndef VM_PROCLIST_H
#define VM_PROCLIST_H

#include "vm/binary.h"
#include "vm/proc.h"

struct proc_list {
    struct resource res;        /* first */
    struct proc_list *next, **prev; /* those in progress; prev NULL: complete */
    uint64_t before;            /* pids from here on are too new */
    size_t at, end;             /* slots of the table as it was then, next and last */
    term *pids;
    size_t n, size;
};

/* Begin one; the caller has its reference. */
struct proc_list *proc_list_new(void);
/* The list that a magic reference is, or NULL. */
struct proc_list *proc_list_of(term t);
/* Look at some more slots; leaves how many of *slots were not needed. True: complete. */
bool proc_list_go(struct proc_list *l, size_t *slots);

/* For proc.c: p leaves the table. */
void proc_list_lose(const struct proc *p);

/* The table, which proc.c owns. */
struct proc_table {
    size_t count, mask, limit;
    uint64_t next;                  /* serial and number of the next pid */
    struct proc **slot;
    struct proc_list *lists;        /* in progress */
};

#endif
