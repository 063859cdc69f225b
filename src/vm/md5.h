/* md5.h - MD5 (RFC 1321), for module identities and erlang:md5. */
#ifndef VM_MD5_H
#define VM_MD5_H

#include <stddef.h>
#include <stdint.h>

struct md5 {
    uint32_t state[4];
    uint64_t bytes;
    uint8_t block[64];
};
void md5_init(struct md5 *m);
void md5_update(struct md5 *m, const void *data, size_t n);
void md5_final(struct md5 *m, uint8_t out[16]);

#endif
