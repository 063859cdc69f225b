/*
 * elfimage.h - read an image's headers, and refuse what is not one.
 *
 * An image is a stranger's file. What image_open() accepts keeps every promise
 * of abi/image.h about addresses and sizes; the code that maps it relies on it.
 */
#ifndef TENDER_ELFIMAGE_H
#define TENDER_ELFIMAGE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/guest.h"
#include "abi/image.h"

#define IMAGE_SEGMENTS 16

struct segment {
    uint64_t va, pa, offset, file_bytes, mem_bytes;     /* mem: whole pages */
    uint32_t flags;                                     /* PF_* */
};

struct image {
    int fd;
    uint64_t file_bytes;
    uint64_t base, entry;
    struct segment seg[IMAGE_SEGMENTS];     /* PT_LOAD, the shim left out */
    int segs;
    struct segment shim;                    /* not mapped, but for a builder */
    uint64_t code_end;              /* offset from base: behind the code made at build */
    uint64_t pa_end;                        /* of the segments */
    uint64_t data_bytes;                    /* of writable segments, heap too */
    uint8_t *hot;                           /* header.hot_bytes; NULL: not known */
    struct image_header header;
    uint64_t header_offset;                 /* in the file */
};

/*
 * Open and check. 0, or -1 with one line in `why` (a sentence without the
 * file's name). Either way image_close() gives back what it took.
 */
int image_open(const char *path, struct image *im, char *why, size_t n);
void image_close(struct image *im);

#endif
