/*
 * seqtrace.h - sequential tracing: a token that travels with messages.
 *
 * The token is {Flags, Label, Serial, Sender, Last} on the process's heap, or
 * []; it is replaced, never changed. A message's copy lies in its fragment, so
 * a message with one always has a fragment until it is looked at. Messages of
 * the VM itself carry the atom undefined: receiving one leaves the token alone.
 */
#ifndef VM_SEQTRACE_H
#define VM_SEQTRACE_H

#include "vm/proc.h"

enum seq_flag {         /* as kernel's seq_trace.erl knows them */
    SEQ_SEND = 1, SEQ_RECEIVE = 2, SEQ_PRINT = 4,
    SEQ_TIMESTAMP = 8, SEQ_STRICT_MONOTONIC = 16, SEQ_MONOTONIC = 32,
};

/* erlang:seq_trace/2: the old value; seq_trace_info/1. THE_NON_VALUE: badarg. */
term seq_trace_set(struct proc *p, term item, term value);
term seq_trace_info(struct proc *p, term item);
/* A print event if the token asks for it; label THE_NON_VALUE: any. */
bool seq_trace_print(struct proc *p, term label, term message);

/* from, which has a token, sends to id: the next serial is used, and told. */
void seq_trace_sends(struct proc *from, term to, term message);
/* The process `from` if it runs, or dies, and has a token. */
struct proc *seq_trace_sender(term from);
/* p receives a message with another token than its own. */
void seq_trace_received(struct proc *p, term token, term message);
/* parent has a token, and p is its new process. */
void seq_trace_spawned(struct proc *p, struct proc *parent, term ref, term m, term f,
                       term args, term opts, term tag);

#endif
