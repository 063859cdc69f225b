/*
 * node_refs.h - the table of nodes as a term.
 */
#ifndef BIF_NODE_REFS_H
#define BIF_NODE_REFS_H

#include "vm/term.h"

struct proc;

/*
 * {{node_references, [{{Name, Creation}, Refc, [{{Type, Id}, [{Kind, N}]}]}]},
 *  {dist_references, [{Name, Refc, ...}]}}, as OTP has it: Refc is what is
 * counted, the Ns are what a walk through memory finds. heap_alloc.
 */
term node_references_term(struct proc *p);

#endif
