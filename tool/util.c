/*
 * util.c - memory, files and failing, for the kindling command.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kindling.h"

static const char *half_written;

void on_fail_remove(const char *path)
{
    half_written = path;
}

void fail(int status, const char *fmt, ...)
{
    va_list ap;

    if (half_written)
        unlink(half_written);
    fflush(stdout);
    fputs("kindling: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(status);
}

void *allocate(size_t n)
{
    void *p = calloc(1, n ? n : 1);

    if (!p)
        fail(EXIT_TOOL, "cannot get %zu bytes: out of memory", n);
    return p;
}

void *reallocate(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        fail(EXIT_TOOL, "cannot get %zu bytes: out of memory", n);
    return p;
}

char *format(const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        fail(EXIT_TOOL, "cannot get memory for a line");
    return s;
}

void buffer_add(struct buffer *b, const void *p, size_t n)
{
    if (n > b->room - b->n) {
        size_t room = b->room ? b->room : 64;

        while (room - b->n < n)
            room *= 2;
        b->p = reallocate(b->p, room);
        b->room = room;
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buffer_text(struct buffer *b, const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        fail(EXIT_TOOL, "cannot get memory for a line");
    buffer_add(b, s, (size_t)n);
    free(s);
}

void buffer_align(struct buffer *b, size_t to)
{
    static const uint8_t zero[4096];

    while (b->n % to) {
        size_t n = to - b->n % to;

        buffer_add(b, zero, n < sizeof zero ? n : sizeof zero);
    }
}

unsigned parse_seconds(const char *option, const char *s)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(s, &end, 10);
    if (errno || *s < '0' || *s > '9' || *end || n == 0 || n > 1000000)
        fail(EXIT_TOOL, "cannot take %s for %s: seconds are wanted", s, option);
    return (unsigned)n;
}

uint8_t *read_file(const char *path, size_t *n)
{
    struct buffer b = {0};
    FILE *f = fopen(path, "rb");
    struct stat st;
    size_t got;
    uint8_t part[16384];

    if (!f)
        fail(EXIT_TOOL, "cannot read %s: %s", path, strerror(errno));
    if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
        fail(EXIT_TOOL, "cannot read %s: it is a directory", path);
    while ((got = fread(part, 1, sizeof part, f)) > 0)
        buffer_add(&b, part, got);
    if (ferror(f))
        fail(EXIT_TOOL, "cannot read %s: %s", path, strerror(errno));
    fclose(f);
    *n = b.n;
    buffer_add(&b, "", 1);
    return b.p;
}

bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **list_directory(const char *path, size_t *n)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char **names = NULL;
    size_t room = 0;

    *n = 0;
    if (!d)
        fail(EXIT_TOOL, "cannot read the directory %s: %s", path, strerror(errno));
    while ((errno = 0, e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (*n == room) {
            room = room ? room * 2 : 64;
            names = reallocate(names, room * sizeof *names);
        }
        names[(*n)++] = format("%s", e->d_name);
    }
    if (errno)
        fail(EXIT_TOOL, "cannot read the directory %s: %s", path, strerror(errno));
    closedir(d);
    if (*n > 1)
        qsort(names, *n, sizeof *names, by_name);
    return names;
}

char *find_part(const char *name)
{
    static const char *const where[] = {"%s/%s", "%s/../lib/kindling/%s"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n < 0)
        fail(EXIT_TOOL, "cannot find %s: /proc/self/exe: %s", name, strerror(errno));
    self[n] = 0;
    slash = strrchr(self, '/');
    *slash = 0;
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        char *path = format(where[i], self, name);

        if (access(path, R_OK) == 0)
            return path;
        free(path);
    }
    fail(EXIT_TOOL, "cannot find %s: it is neither in %s nor in %s/../lib/kindling; "
         "is kindling installed whole?", name, self, self);
}

/* --- SHA-256 (FIPS 180-4) --- */

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void sha256_block(struct sha256 *s, const uint8_t *p)
{
    uint32_t w[64], v[8];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] +
               (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, s->h, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = v[7] + (rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25)) +
                      ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha256_k[i] + w[i];
        uint32_t t2 = (rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22)) +
                      ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        s->h[i] += v[i];
}

void sha256_init(struct sha256 *s)
{
    *s = (struct sha256){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *s, const void *data, size_t n)
{
    const uint8_t *p = data;

    while (n > 0) {
        size_t at = s->bytes % 64, part = 64 - at < n ? 64 - at : n;

        memcpy(s->block + at, p, part);
        s->bytes += part;
        p += part;
        n -= part;
        if (s->bytes % 64 == 0)
            sha256_block(s, s->block);
    }
}

void sha256_end(struct sha256 *s, uint8_t out[32])
{
    uint64_t bits = s->bytes * 8;
    uint8_t length[8];

    sha256_add(s, "\x80", 1);
    while (s->bytes % 64 != 56)
        sha256_add(s, "", 1);
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, length, 8);
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_text(const uint8_t hash[32], char out[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
