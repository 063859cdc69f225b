#define _GNU_SOURCE
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kindling.h"

static uint64_t digest_offset(const struct image *im)
{
    return im->header_offset + offsetof(struct image_header, digest);
}

static void digest(const struct image *im, const char *path, uint8_t out[32])
{
    const uint8_t zeros[sizeof im->header.digest] = {0};
    uint64_t at = digest_offset(im), after = at + sizeof zeros;
    uint8_t *file = mmap(NULL, im->file_bytes, PROT_READ, MAP_PRIVATE, im->fd, 0);
    struct sha256 s;

    if (file == MAP_FAILED)
        fail(EXIT_TOOL, "cannot read %s: %s", path, strerror(errno));
    sha256_init(&s);
    sha256_add(&s, file, at);
    sha256_add(&s, zeros, sizeof zeros);
    sha256_add(&s, file + after, im->file_bytes - after);
    sha256_end(&s, out);
    munmap(file, im->file_bytes);
}

void seal_image(const char *path)
{
    uint8_t sum[sizeof ((struct image_header *)0)->digest];
    struct image im;
    char why[200];
    int fd;

    if (image_open(path, &im, why, sizeof why) < 0)
        fail(EXIT_TOOL, "cannot read %s: %s", path, why);
    digest(&im, path, sum);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, sum, sizeof sum, (off_t)digest_offset(&im)) != sizeof sum ||
        close(fd) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    image_close(&im);
}

bool seal_intact(const struct image *im, const char *path)
{
    uint8_t sum[sizeof im->header.digest];

    digest(im, path, sum);
    return memcmp(sum, im->header.digest, sizeof sum) == 0;
}
