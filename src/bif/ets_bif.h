/*
 * ets_bif.h - what the two files of ets BIFs share.
 */
#ifndef BIF_ETS_BIF_H
#define BIF_ETS_BIF_H

#include "bif/bif.h"
#include "vm/ets_table.h"

enum ets_access { ETS_INFO, ETS_READ, ETS_WRITE };
/*
 * The table id names, if p may do that. NULL: badarg is in p->exc, with the
 * cause that erl_stdlib_errors explains.
 */
struct ets_table *ets_access(struct proc *p, term id, enum ets_access what);

#endif
