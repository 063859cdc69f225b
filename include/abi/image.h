/*
 * image.h - the image file: what the builder writes and loaders read.
 *
 * An image is an ELF64 executable for x86-64. Its PT_LOAD segments lie between
 * base + GUEST_IMAGE and GUEST_IMAGE_MAX, or in the arena (the heap of an image
 * that was written out by a running guest); each begins on a page in the file
 * and in memory, none is writable and executable at once. One of them, with
 * p_paddr GUEST_SHIM_PA, is the shim: loaded for machines that start in ring 0
 * (they find it by the PVH note), otherwise not mapped.
 *
 * A program header of type PT_KINDLING points at the struct image_header, in a
 * read-only segment. The linker makes it, with most fields zero; the builder
 * fills it in. An ELF file whose header has tree_bytes 0 is ling alone.
 *
 * The tree is a read-only segment of its own: a struct tree_header, the
 * entries sorted by path, the paths, then the files' bytes. Paths begin with
 * '/', have no empty, "." or ".." part, and every directory has an entry.
 *
 * Everything is little-endian. Any change raises IMAGE_VERSION.
 */
#ifndef ABI_IMAGE_H
#define ABI_IMAGE_H

#define IMAGE_VERSION   3
#define PT_KINDLING     0x6b4c494e      /* in PT_LOOS..PT_HIOS */
#define IMAGE_MAGIC     0x0047464f4b4c4e49

/* Processor an image asks for. x86-64-v1: what every one has. */
#define IMAGE_CPU_BASELINE 1

#ifndef __ASSEMBLER__
#include <stdint.h>

enum image_flags {
    IMAGE_BAKED = 1,            /* entered at resume, memory as it was left */
    IMAGE_SHELL = 2,            /* wants the terminal raw */
    IMAGE_READY = 4,            /* baked with processes: a start goes on with them */
};

struct image_header {
    uint64_t magic;
    uint32_t version;           /* IMAGE_VERSION */
    uint32_t guest_version;     /* GUEST_VERSION */
    uint64_t base;
    uint32_t flags;             /* enum image_flags */
    uint32_t cpu;               /* IMAGE_CPU_* */

    /* Resources: what the application says it needs. */
    uint64_t mem_min;           /* bytes of arena without which it can't start */
    uint64_t mem_default;       /* --mem of those who do not say */
    uint64_t code_bytes;        /* code window; 0: sealed */

    uint64_t tree;              /* address; 0: none */
    uint64_t tree_bytes;
    uint8_t id[32];             /* SHA-256 over all inputs */
    uint8_t digest[32];         /* SHA-256 over the file, these bytes as zeros */

    /* Paths in the tree; 0: none. Offsets into `text`. */
    uint32_t args;              /* argc strings: the command line of the VM */
    uint32_t argc;
    uint32_t inputs;            /* path of the list of inputs, by hash */
    uint32_t text_bytes;
    char text[3072];

    /*
     * Of a baked image, what a start writes first: a bit for each page of the
     * writable segments, in the order of their headers, at this place in the
     * file; and how much of the memory that it asks for then. 0: not known.
     */
    uint64_t hot_offset, hot_bytes;
    uint64_t hot_fresh;
};

#define TREE_MAGIC      0x3145455254474e4c      /* "LNGTREE1" */

struct tree_header {
    uint64_t magic;
    uint64_t bytes;             /* of the tree, this header included */
    uint32_t entries;
    uint32_t strings_bytes;     /* of the paths, NUL-terminated */
};

enum tree_type {
    TREE_FILE = 1,
    TREE_DIRECTORY = 2,
};

enum tree_flags {
    TREE_TRANSLATE = 1,         /* a module to have ready when the image starts */
};

struct tree_entry {
    uint32_t path;              /* offset into the strings */
    uint16_t type, flags;
    uint64_t data;              /* offset into the tree */
    uint64_t bytes;
    uint64_t stored;            /* bytes in the tree; = bytes unless deflated */
};

_Static_assert(sizeof(struct image_header) <= 4096, "one page");
#endif
#endif
