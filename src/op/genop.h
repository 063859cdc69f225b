/*
 * genop.h - the instructions of .beam files, by number: op/genop.def.
 */
#ifndef OP_GENOP_H
#define OP_GENOP_H

#include <stdint.h>

enum genop {
#define GENOP(number, name, arity) G_##name = number,
#include "op/genop.def"
#undef GENOP
    GENOP_END
};

const char *genop_name(uint32_t op);    /* "?": there is none */
uint32_t genop_last(void);

#endif
