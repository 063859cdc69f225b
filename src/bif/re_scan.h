/*
 * re_scan.h - what PCRE calls while it looks for a place where a match could
 * begin, since deps/pcre.patch. That takes no steps of the kind its limit
 * counts, so it says how many bytes it has seen (slice.h).
 */
#ifndef BIF_RE_SCAN_H
#define BIF_RE_SCAN_H

#include <stdint.h>

/* The first byte that is c or d, which may be the same, or end. */
const uint8_t *re_find(const uint8_t *at, const uint8_t *end, unsigned c, unsigned d);

#define RE_STEP_BYTES 16384
void re_stepped(void);
/* After each step to p: every RE_STEP_BYTES of them count. */
#define RE_STEP(p) \
    (((uintptr_t)(p) & (RE_STEP_BYTES - 1)) == 0 ? re_stepped() : (void)0)

#endif
