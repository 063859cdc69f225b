/*
 * hash.h - the VM's own hash of a term (ops.h), for words in line.
 *
 * Salt 0 takes one multiplication a word. Keys that were made to collide there
 * are told apart by the others, which take three: with one, a difference in high
 * bits passes through unchanged whatever the salt.
 */
#ifndef VM_HASH_H
#define VM_HASH_H

#include "vm/ops.h"

static inline uint64_t hash_seed(uint32_t salt)
{
    return 0x2545f4914f6cdd1du * ((uint64_t)salt + 1);
}

static inline uint64_t hash_stir(uint64_t h, uint64_t w, bool strong)
{
    h = (h ^ w) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
    if (strong) {
        h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
        h = (h ^ h >> 31) * 0x94d049bb133111eb;
        h ^= h >> 28;
    }
    return h;
}

static inline uint64_t hash_finish(uint64_t h)
{
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9;
    return h ^ h >> 27;
}

/* term_hash64(t, 0) */
static inline uint64_t hash_of(term t)
{
    return term_is_imm(t) ? hash_finish(hash_stir(hash_seed(0), t, false))
                          : term_hash64(t, 0);
}

#endif
