/*
 * beam.c - an IFF file, big-endian: FOR1 size BEAM, then chunks of an identifier,
 * a size and as many bytes, padded to four.
 */
#include "beam.h"

#include <stdbool.h>
#include <string.h>

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Atom chunks: a count, then atoms of a length in one byte; the first is the name. */
static const char *check_name(const uint8_t *p, size_t n, const char *name)
{
    size_t length = strlen(name);

    if (n < 5 || be32(p) == 0 || p[4] > n - 5)
        return "its atoms are damaged";
    if (p[4] != length || memcmp(p + 5, name, length) != 0)
        return "it is of another module";
    return NULL;
}

const char *beam_problem(const uint8_t *p, size_t n, const char *name)
{
    bool code = false, atoms = false;
    const char *problem;
    size_t at = 12;

    if (n > 2 && p[0] == 0x1f && p[1] == 0x8b)
        return NULL;
    if (n < 12 || memcmp(p, "FOR1", 4) || memcmp(p + 8, "BEAM", 4))
        return "it is no .beam file";
    if (be32(p + 4) > n - 8)
        return "it is cut short";
    n = be32(p + 4) + 8;
    while (at + 8 <= n) {
        uint32_t bytes = be32(p + at + 4);

        if (bytes > n - at - 8)
            return "one of its chunks is cut short";
        code |= memcmp(p + at, "Code", 4) == 0;
        if (memcmp(p + at, "AtU8", 4) == 0 || memcmp(p + at, "Atom", 4) == 0) {
            problem = check_name(p + at + 8, bytes, name);
            if (problem)
                return problem;
            atoms = true;
        }
        at += 8 + ((uint64_t)bytes + 3) / 4 * 4;
    }
    return code && atoms ? NULL : "it has no code";
}
