/*
 * re_scan.c - what PCRE calls while it looks for a place where a match could begin.
 */
#include "bif/re_scan.h"
#include "vm/slice.h"

#include <string.h>

/* Bytes looked at until time is, and how many take a nanosecond. */
#define FIND_BYTES ((size_t)64 << 10)
#define FIND_BYTES_PER_NS 8
#define STEP_NS 2

const uint8_t *re_find(const uint8_t *at, const uint8_t *end, unsigned c, unsigned d)
{
    while (at < end) {
        size_t left = (size_t)(end - at), n = left < FIND_BYTES ? left : FIND_BYTES;

        if (c == d) {
            const uint8_t *found = memchr(at, (int)c, n);

            if (found)
                return found;
            slice(n / FIND_BYTES_PER_NS);
        } else {
            for (size_t i = 0; i < n; i++)
                if (at[i] == c || at[i] == d)
                    return at + i;
            slice(n);
        }
        at += n;
    }
    return end;
}

void re_stepped(void)
{
    slice(RE_STEP_BYTES * STEP_NS);
}
