/*
 * image_fuzz.c - the image reader takes any bytes: an image whose promises hold
 * (abi/image.h), or a reason, never a crash.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elfimage.h"
#include "view.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int file;
static char path[64];
static uint64_t sum;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    file = memfd_create("image", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    return file < 0 ? -1 : 0;
}

static void expect(int what, const char *text)
{
    if (!what) {
        fprintf(stderr, "image_fuzz: accepted, though not: %s\n", text);
        abort();
    }
}
#define EXPECT(what) expect(what, #what)

/* What the loaders rely on. */
static void check(const struct image *im)
{
    const char *s = im->header.text + im->header.args;

    for (int i = 0; i < im->segs; i++) {
        const struct segment *g = &im->seg[i];

        EXPECT(g->offset + g->file_bytes <= im->file_bytes);
        EXPECT(g->file_bytes <= g->mem_bytes);
        EXPECT(g->va >= im->base);
        EXPECT(g->va + g->mem_bytes <= im->base + GUEST_ARENA + GUEST_ARENA_SIZE);
        EXPECT(g->pa >= GUEST_IMAGE_PA && g->pa + g->mem_bytes <= im->pa_end);
        EXPECT(((g->va | g->pa | g->offset | g->mem_bytes) & 4095) == 0);
        EXPECT((g->flags & (PF_W | PF_X)) != (PF_W | PF_X));
    }
    EXPECT(im->shim.offset + im->shim.file_bytes <= im->file_bytes);
    for (uint32_t i = 0; i < im->header.argc; i++) {
        EXPECT(s < im->header.text + im->header.text_bytes);
        s += strlen(s) + 1;
    }
}

static void look(const struct image *im)
{
    const char *inputs = im->header.text + im->header.inputs;
    struct tree_view v;

    if (im->header.tree_bytes == 0 || view_open(&v, im) < 0)
        return;
    sum += strlen(inputs);
    for (uint32_t i = 0; i < v.h->entries; i++) {
        const uint8_t *p = v.base + v.e[i].data;

        sum += strlen(v.names + v.e[i].path);
        if (v.e[i].stored > 0)
            sum += p[0] + p[v.e[i].stored - 1];
    }
    view_close(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char why[256] = "";
    struct image im;

    if (ftruncate(file, 0) < 0 || pwrite(file, data, n, 0) != (ssize_t)n)
        abort();
    if (image_open(path, &im, why, sizeof why) == 0) {
        check(&im);
        look(&im);
    } else {
        EXPECT(why[0] && !strchr(why, '\n'));
    }
    image_close(&im);
    return 0;
}
