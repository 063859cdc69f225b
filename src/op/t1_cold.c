/*
 * t1_cold.c - where native code goes when it can't go on: out of the registers into
 * cold.c, and back. Compiled as stencils are (op.mk), and under their rules.
 */
#include "op/t1.h"

#define ENTER_COLD ((void)0)    /* LEAVE has said where */
COLD_STUBS(t1)
