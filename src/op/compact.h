/*
 * compact.h - operands of one and two bytes, literals and typed registers, in line:
 * nearly all operands are. beam.c has the others.
 */
#ifndef OP_COMPACT_H
#define OP_COMPACT_H

#include "op/loader.h"

/* Tags of compact terms: the low three bits, then the extended ones. */
enum {
    CT_U, CT_I, CT_A, CT_X, CT_Y, CT_F, CT_H, CT_Z,
    CT_Z_LIST = 1, CT_Z_FR = 2, CT_Z_ALLOC = 3, CT_Z_LITERAL = 4, CT_Z_TYPED = 5,
};
/* The two extended ones below, and the most bytes they have there. */
#define FIRST_LITERAL (CT_Z_LITERAL << 4 | CT_Z)
#define FIRST_TYPED (CT_Z_TYPED << 4 | CT_Z)
#define SHORT_BYTES 5

/* The number of a compact term, if it has one byte or two. */
static inline uint32_t short_number(const uint8_t *p)
{
    uint32_t one = p[0] >> 4, both = (p[0] & 0xe0) << 3 | p[1], two = p[0] >> 3 & 1;

    return one ^ ((one ^ both) & -two);
}

/* A compact term; not *ok: it is longer. */
static inline const uint8_t *short_value(const uint8_t *p, uint32_t *v, bool *ok)
{
    *ok &= (*p & 0x18) != 0x18;
    *v = short_number(p);
    return p + 1 + (*p >> 3 & 1);
}

/* A literal, or a register with its type, to *out. NULL: it is neither, or longer. */
static inline const uint8_t *read_short_extended(const uint8_t *p, struct arg *out)
{
    uint32_t tag = p[1] & 7, v, type;
    bool ok = true;
    const uint8_t *next = short_value(p + 1, &v, &ok);

    if (*p == FIRST_LITERAL) {
        *out = (struct arg){ARG_LITERAL, v};
        return ok && tag == CT_U ? next : NULL;
    }
    if (*p != FIRST_TYPED)
        return NULL;
    *out = (struct arg){tag == CT_X ? ARG_X : ARG_Y, v};
    ok &= (tag == CT_X || tag == CT_Y) && v < X_REGS && (*next & 7) != CT_Z;
    next = short_value(next, &type, &ok);
    return ok ? next : NULL;
}

/*
 * Of n operands those up to the first that is long, a list or something wrong. There
 * is room in args. How many are left: for these there is read_args(). Lengths and tags
 * come in any order, so what depends on them is not a branch.
 */
static inline uint64_t read_short_args(struct loader *l, struct reader *r, uint64_t n)
{
    const uint8_t *p = r->p, *next;
    const term *atoms = l->atoms;
    struct arg *out = l->args + l->nargs, *end = out + n;
    uint8_t labels = 0;

    if ((uint64_t)(r->end - p) < n * SHORT_BYTES)
        return n;
    for (; out < end; out++) {
        const struct short_tag *t = &l->short_tags[*p % SHORT_TAGS];
        uint32_t v = short_number(p);

        if (likely(v < t->limit)) {
            out->kind = t->kind;
            out->value = v * t->scale | (atoms[v & t->atom] & t->atom);
            labels |= t->label;
            p += t->bytes;
        } else {
            next = read_short_extended(p, out);
            if (!next)
                break;
            p = next;
        }
    }
    l->arg_labels |= labels;
    l->nargs = (uint32_t)(out - l->args);
    r->p = p;
    return (uint64_t)(end - out);
}

#endif
