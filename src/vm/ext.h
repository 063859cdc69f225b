/*
 * ext.h - the external term format, both ways (OTP: erl_ext_dist).
 *
 * Input is a stranger's: every length is checked before memory is asked for,
 * nothing recurses, atoms are looked up, not made, when safe is set.
 */
#ifndef VM_EXT_H
#define VM_EXT_H

#include "vm/proc.h"

/*
 * Decode one term after the version byte (131 is not expected here), in two
 * passes. ext_size checks what can be checked without building and counts
 * words; it returns the bytes the term takes, or -EINVAL. ext_decode builds;
 * it gets the same bytes and flags, and as many words. It may still find
 * something wrong (equal keys in a map, no room for atoms or binaries): then
 * it returns THE_NON_VALUE and leaves d as it was.
 */
enum { EXT_SAFE = 1 };
int64_t ext_size(const uint8_t *data, size_t n, unsigned flags, size_t *words);
term ext_decode(struct dest *d, const uint8_t *data, size_t n, unsigned flags);

/*
 * A term in a stand-alone mbuf that the caller then owns; the version byte is
 * included. THE_NON_VALUE if it is not sound.
 */
term ext_decode_mbuf(const uint8_t *data, size_t n, struct mbuf **out);

/*
 * Encode: the exact size, then the bytes; version byte not included. Without
 * flags as term_to_binary/1 of OTP 25 does: minor version 1.
 * ext_encode returns the end of what it wrote.
 */
enum {
    EXT_MINOR_0 = 1,        /* floats as text */
    EXT_MINOR_2 = 2,        /* atoms always in UTF-8 */
    EXT_DETERMINISTIC = 4,  /* large maps in key order */
    EXT_OTP_SIZE = 8,       /* what erlang:external_size/1 says: for a fun some
                               bytes more than are needed */
};
#define EXT_VERSION 131
size_t ext_encode_size(term t, unsigned flags);
uint8_t *ext_encode(term t, uint8_t *out, unsigned flags);

#endif
