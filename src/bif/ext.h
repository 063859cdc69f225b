/*
 * ext.h - compressed external terms: what term_to_binary/2 wraps on request.
 */
#ifndef BIF_EXT_H
#define BIF_EXT_H

#include <stddef.h>
#include <stdint.h>

#define EXT_COMPRESSED 80       /* tag: size of what follows, then zlib's data */
#define EXT_COMPRESSED_HEAD 6   /* bytes: version, tag, size */

/*
 * The bytes of a compressed term: data[0..n), which begins with the version and
 * the tag. vm_alloc'ed, *size of them; NULL if they are not sound. *used: how many
 * of the n bytes it was. Any thread.
 */
uint8_t *ext_inflate(const uint8_t *data, size_t n, size_t *size, size_t *used);

#endif
