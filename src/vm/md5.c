/* md5.c - MD5 as RFC 1321 describes it. */
#include "vm/md5.h"
#include "vm/slice.h"

#include <string.h>

/* Blocks until time is looked at, and what one takes. */
#define PACE_BLOCKS 512
#define BLOCK_NS 150

/* floor(2^32 * abs(sin(i + 1))), RFC 1321 section 3.4. */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
    0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
    0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

/*
 * One of 64 steps: f mixes three of the words, x is a word of the block, s how far
 * to rotate. Written out, for loading a module computes the MD5 of its code. Each
 * step waits for b, the one before; what does not need it is added first, and the
 * compiler is kept from doing that in another order.
 */
#define STEP(f, a, b, c, d, i, g, s)                                           \
    do {                                                                       \
        uint32_t sum_ = (a) + sines[i] + x[(g) % 16] + f##_early(c, d);        \
        __asm__("" : "+r"(sum_));                                              \
        sum_ += f(b, c, d);                                                    \
        (a) = (b) + (sum_ << (s) | sum_ >> (32 - (s)));                        \
    } while (0)
#define FOUR(f, i, k, o, s0, s1, s2, s3)                                       \
    STEP(f, a, b, c, d, i, (k) * (i) + (o), s0);                               \
    STEP(f, d, a, b, c, i + 1, (k) * (i + 1) + (o), s1);                       \
    STEP(f, c, d, a, b, i + 2, (k) * (i + 2) + (o), s2);                       \
    STEP(f, b, c, d, a, i + 3, (k) * (i + 3) + (o), s3)
#define ROUND(f, i, k, o, s0, s1, s2, s3)                                      \
    FOUR(f, i, k, o, s0, s1, s2, s3);                                          \
    FOUR(f, i + 4, k, o, s0, s1, s2, s3);                                      \
    FOUR(f, i + 8, k, o, s0, s1, s2, s3);                                      \
    FOUR(f, i + 12, k, o, s0, s1, s2, s3)

static uint32_t mix_f(uint32_t b, uint32_t c, uint32_t d) { return d ^ (b & (c ^ d)); }
static uint32_t mix_f_early(uint32_t c, uint32_t d) { return 0; }
static uint32_t mix_g(uint32_t b, uint32_t c, uint32_t d) { return b & d; }
static uint32_t mix_g_early(uint32_t c, uint32_t d) { return c & ~d; }
static uint32_t mix_h(uint32_t b, uint32_t c, uint32_t d) { return b ^ c ^ d; }
static uint32_t mix_h_early(uint32_t c, uint32_t d) { return 0; }
static uint32_t mix_i(uint32_t b, uint32_t c, uint32_t d) { return c ^ (b | ~d); }
static uint32_t mix_i_early(uint32_t c, uint32_t d) { return 0; }

static void md5_block(struct md5 *m, const uint8_t *p)
{
    uint32_t x[16], a = m->state[0], b = m->state[1], c = m->state[2],
                    d = m->state[3];

    for (int i = 0; i < 16; i++, p += 4)
        x[i] = p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
    ROUND(mix_f, 0, 1, 0, 7, 12, 17, 22);
    ROUND(mix_g, 16, 5, 1, 5, 9, 14, 20);
    ROUND(mix_h, 32, 3, 5, 4, 11, 16, 23);
    ROUND(mix_i, 48, 7, 0, 6, 10, 15, 21);
    m->state[0] += a;
    m->state[1] += b;
    m->state[2] += c;
    m->state[3] += d;
}

void md5_init(struct md5 *m)
{
    static const uint32_t start[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

    memcpy(m->state, start, sizeof start);
    m->bytes = 0;
}

void md5_update(struct md5 *m, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t have = m->bytes % 64;

    m->bytes += n;
    if (have) {
        size_t take = 64 - have < n ? 64 - have : n;

        memcpy(m->block + have, p, take);
        p += take;
        n -= take;
        if (have + take < 64)
            return;
        md5_block(m, m->block);
    }
    for (size_t k = 1; n >= 64; p += 64, n -= 64, k++) {
        md5_block(m, p);
        if (k % PACE_BLOCKS == 0)
            slice(PACE_BLOCKS * BLOCK_NS);
    }
    if (n)
        memcpy(m->block, p, n);
}

void md5_final(struct md5 *m, uint8_t out[16])
{
    static const uint8_t pad[64] = {0x80};
    uint64_t bits = m->bytes * 8;
    uint8_t length[8];

    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> 8 * i);
    md5_update(m, pad, 1 + (119 - m->bytes % 64) % 64);
    md5_update(m, length, 8);
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)(m->state[i / 4] >> 8 * (i % 4));
}
