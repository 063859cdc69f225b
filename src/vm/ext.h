/*
 * ext.h - the external term format, both ways (OTP: erl_ext_dist).
 *
 * Input is a stranger's: every length is checked before memory is asked for,
 * nothing recurses, atoms are looked up, not made, when safe is set.
 */
#ifndef VM_EXT_H
#define VM_EXT_H

#include "vm/binary.h"
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
 * Encode without the version byte. Without flags as term_to_binary/1 of OTP 25
 * does: minor version 1.
 */
enum {
    EXT_MINOR_0 = 1,        /* floats as text */
    EXT_MINOR_2 = 2,        /* atoms always in UTF-8 */
    EXT_DETERMINISTIC = 4,  /* large maps in key order */
    EXT_OTP_SIZE = 8,       /* what erlang:external_size/1 says: for a fun some
                               bytes more than are needed */
    EXT_ABANDON = 16,       /* false as soon as slice_killed() */
};
#define EXT_VERSION 131

/*
 * Where the bytes go: what is short stays in local, and a refbin is not made
 * for it. data[0..n) is written; whatever is to stand in front of the term may
 * be put there first (n at most EXT_LOCAL).
 */
#define EXT_LOCAL 1024
struct ext_buf {
    uint8_t *data, *end;
    size_t n;
    struct refbin *bin;     /* owned, or NULL */
    uint8_t local[EXT_LOCAL];
};
void ext_buf_init(struct ext_buf *b);
void ext_buf_fini(struct ext_buf *b);
/* Append a term; false: no memory, or abandoned; n is as before. */
bool ext_encode(struct ext_buf *b, term t, unsigned flags);
/* All of it in a refbin of that size, which the caller owns; NULL: no memory. */
struct refbin *ext_buf_refbin(struct ext_buf *b);

/* The bytes that a term takes. */
size_t ext_encode_size(term t, unsigned flags);

#endif
