/*
 * stub.h - the gate of a process: what process.c and stub.c agree on.
 *
 * stub.c is compiled to one section without relocations. It is copied to the
 * guest's gate page and is the only place from which system calls are allowed.
 */
#ifndef TENDER_STUB_H
#define TENDER_STUB_H

#include "abi/guest.h"

#define STUB_EMIT_FD 3          /* image being built */
#define STUB_EVENT_FD 4         /* readable when window.terminate went up */
#define STUB_KICK_FD 5          /* wakes the switch */
#define STUB_WAKE_FD 6          /* the switch wakes us */

struct stub_unmap {
    uint64_t start, bytes;
};

/* What stub_leave() needs; it lies on the guest's stack and is wiped. */
struct stub_start {
    uint64_t entry, stack, info;
    uint64_t filter_n;
    void *filter;               /* struct sock_filter[] */
    uint64_t unmaps;
    struct stub_unmap unmap[64];
};

extern char __start_gatestub[], __stop_gatestub[];
long stub_gate(long op, uint64_t a, uint64_t b, uint64_t c);
void stub_signal(int sig, void *info, void *context);
void stub_leave(struct stub_start *s, uint64_t bytes);

#endif
