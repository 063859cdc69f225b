/*
 * elfimage.c - image_open().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elfimage.h"

static int refuse(char *why, size_t n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(char *why, size_t n, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(why, n, fmt, ap);
    va_end(ap);
    return -1;
}

static bool read_at(const struct image *im, void *buf, uint64_t bytes, uint64_t at)
{
    if (at > im->file_bytes || bytes > im->file_bytes - at)
        return false;
    return pread(im->fd, buf, bytes, (off_t)at) == (ssize_t)bytes;
}

static uint64_t up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static bool overlap(uint64_t a, uint64_t an, uint64_t b, uint64_t bn)
{
    return a < b + bn && b < a + an;
}

/* One PT_LOAD. Every sum below is of numbers that were bounded before. */
static const char *take_segment(struct image *im, const Elf64_Phdr *p)
{
    uint64_t lowest, room, mem;
    struct segment *s = &im->seg[im->segs];

    if (p->p_offset > im->file_bytes || p->p_filesz > im->file_bytes - p->p_offset)
        return "it is cut short";
    if (p->p_paddr == GUEST_SHIM_PA) {
        if (p->p_filesz > GUEST_IMAGE_PA - GUEST_SHIM_PA)
            return "its shim is too large";
        if ((p->p_vaddr | p->p_offset) & 4095 || p->p_vaddr < im->base ||
            p->p_vaddr - im->base > GUEST_IMAGE_MAX - (GUEST_IMAGE_PA - GUEST_SHIM_PA))
            return "its shim lies outside the guest's addresses";
        im->shim = (struct segment){
            .va = p->p_vaddr, .offset = p->p_offset, .file_bytes = p->p_filesz,
            .mem_bytes = up(p->p_filesz, 4096), .flags = PF_R,
        };
        return NULL;
    }
    lowest = im->base + GUEST_IMAGE;
    room = GUEST_IMAGE_MAX;
    if (p->p_vaddr >= im->base + GUEST_ARENA) {
        lowest = im->base + GUEST_ARENA;
        room = GUEST_ARENA_SIZE;
    }
    if (p->p_vaddr >= im->base + GUEST_CODE && p->p_vaddr < im->base + GUEST_CODE_X) {
        lowest = im->base + GUEST_CODE;
        room = GUEST_CODE_MAX;
        if (p->p_flags != (PF_R | PF_X))
            return "its code could be written";
        if (p->p_memsz <= GUEST_CODE_MAX)
            im->code_end = up(p->p_vaddr - im->base + p->p_memsz, GUEST_CHUNK);
    }
    if (p->p_memsz == 0)
        return NULL;
    if (p->p_memsz > room || p->p_vaddr < lowest ||
        p->p_vaddr - lowest > room - p->p_memsz)
        return "a segment lies outside the guest's addresses";
    if ((p->p_vaddr | p->p_paddr | p->p_offset) & 4095)
        return "a segment does not begin on a page";
    if (p->p_filesz > p->p_memsz)
        return "a segment has more bytes in the file than in memory";
    if ((p->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
        return "a segment is both writable and executable";
    mem = up(p->p_memsz, 4096);
    if (p->p_paddr < GUEST_IMAGE_PA || p->p_paddr > GUEST_ARENA ||
        mem > GUEST_ARENA - p->p_paddr)
        return "a segment lies outside physical memory";
    if (lowest == im->base + GUEST_ARENA) {
        if (p->p_flags != (PF_R | PF_W) ||
            (p->p_paddr | p->p_vaddr | p->p_memsz) & (GUEST_CHUNK - 1))
            return "its heap is not where a heap lies";
    }
    for (int i = 0; i < im->segs; i++)
        if (overlap(im->seg[i].va, im->seg[i].mem_bytes, p->p_vaddr, mem) ||
            overlap(im->seg[i].pa, im->seg[i].mem_bytes, p->p_paddr, mem))
            return "two segments overlap";
    *s = (struct segment){
        .va = p->p_vaddr,
        .pa = p->p_paddr,
        .offset = p->p_offset,
        .file_bytes = p->p_filesz,
        .mem_bytes = mem,
        .flags = p->p_flags & (PF_R | PF_W | PF_X),
    };
    im->segs++;
    if (s->pa + mem > im->pa_end)
        im->pa_end = s->pa + mem;
    if (s->flags & PF_W)
        im->data_bytes += mem;
    return NULL;
}

static const char *check_header(struct image *im)
{
    const struct image_header *h = &im->header;
    uint64_t used = h->args;

    if (h->text_bytes > sizeof h->text ||
        (h->text_bytes > 0 && h->text[h->text_bytes - 1] != 0) ||
        h->args > h->text_bytes || h->inputs > h->text_bytes)
        return "its header is damaged";
    for (uint32_t i = 0; i < h->argc; i++) {
        if (used >= h->text_bytes)
            return "its header is damaged";
        used += strlen(h->text + used) + 1;
    }
    if (h->code_bytes > GUEST_CODE_MAX || h->code_bytes & (GUEST_CHUNK - 1))
        return "it asks for an impossible code window";
    if (h->mem_min > GUEST_ARENA_SIZE || h->mem_default > GUEST_ARENA_SIZE)
        return "it asks for an impossible amount of memory";
    if (h->tree_bytes == 0)
        return NULL;
    if (h->inputs >= h->text_bytes)
        return "its header is damaged";
    for (int i = 0; i < im->segs; i++) {
        const struct segment *s = &im->seg[i];

        if (!(s->flags & PF_W) && h->tree >= s->va &&
            h->tree - s->va <= s->file_bytes &&
            h->tree_bytes <= s->file_bytes - (h->tree - s->va))
            return NULL;
    }
    return "its files lie outside the file";
}

/* A bit for each page that is written first, for exactly the pages there are. */
static const char *read_hot(struct image *im)
{
    const struct image_header *h = &im->header;

    if (h->hot_bytes == 0)
        return NULL;
    if (h->hot_bytes != (im->data_bytes / 4096 + 7) / 8 || h->hot_fresh > GUEST_ARENA_SIZE)
        return "its header is damaged";
    im->hot = malloc(h->hot_bytes);
    if (!im->hot)
        return "out of memory";
    return read_at(im, im->hot, h->hot_bytes, h->hot_offset) ? NULL : "it is cut short";
}

void image_close(struct image *im)
{
    if (im->fd >= 0)
        close(im->fd);
    free(im->hot);
    im->fd = -1;
    im->hot = NULL;
}

int image_open(const char *path, struct image *im, char *why, size_t n)
{
    Elf64_Ehdr eh;
    Elf64_Phdr ph[IMAGE_SEGMENTS], *kindling = NULL;
    struct stat st;
    const char *problem;
    bool entry_ok = false;

    *im = (struct image){.code_end = GUEST_CODE, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (im->fd < 0)
        return refuse(why, n, "%s", strerror(errno));
    if (fstat(im->fd, &st) < 0)
        return refuse(why, n, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(why, n, "it is not a file");
    im->file_bytes = (uint64_t)st.st_size;
    if (!read_at(im, &eh, sizeof eh, 0) || memcmp(eh.e_ident, ELFMAG, SELFMAG) ||
        eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
        eh.e_type != ET_EXEC || eh.e_machine != EM_X86_64)
        return refuse(why, n, "it is no image (kindling build makes them)");
    if (eh.e_phnum > IMAGE_SEGMENTS || eh.e_phentsize != sizeof *ph)
        return refuse(why, n, "it is no image: odd program headers");
    if (!read_at(im, ph, eh.e_phnum * sizeof *ph, eh.e_phoff))
        return refuse(why, n, "it is cut short");
    for (int i = 0; i < eh.e_phnum; i++)
        if (ph[i].p_type == PT_KINDLING)
            kindling = &ph[i];
    if (!kindling || kindling->p_filesz < sizeof im->header)
        return refuse(why, n, "it is a program for Linux, not an image");
    im->header_offset = kindling->p_offset;
    if (!read_at(im, &im->header, sizeof im->header, im->header_offset))
        return refuse(why, n, "it is cut short");
    if (im->header.magic != IMAGE_MAGIC)
        return refuse(why, n, "its header is damaged");
    if (im->header.version != IMAGE_VERSION ||
        im->header.guest_version != GUEST_VERSION)
        return refuse(why, n, "it is of format %u.%u, this is %u.%u; build it again",
                      im->header.version, im->header.guest_version,
                      IMAGE_VERSION, GUEST_VERSION);
    if (im->header.cpu > IMAGE_CPU_BASELINE)
        return refuse(why, n, "it is built for another processor (level %u)",
                      im->header.cpu);
    im->base = im->header.base;
    if (im->base < GUEST_BASE_MIN || im->base >= GUEST_BASE_MAX ||
        im->base & (GUEST_ARENA - 1) ||
        (im->base & 0x7fffffffff) + GUEST_ARENA + GUEST_ARENA_SIZE > 0x8000000000)
        return refuse(why, n, "it is built for an impossible address");
    for (int i = 0; i < eh.e_phnum; i++) {
        if (ph[i].p_type != PT_LOAD)
            continue;
        problem = take_segment(im, &ph[i]);
        if (problem)
            return refuse(why, n, "%s", problem);
    }
    im->entry = eh.e_entry;
    for (int i = 0; i < im->segs; i++)
        entry_ok |= im->seg[i].flags & PF_X && im->entry >= im->seg[i].va &&
                    im->entry - im->seg[i].va < im->seg[i].file_bytes;
    if (!entry_ok)
        return refuse(why, n, "it begins outside its code");
    problem = check_header(im);
    if (!problem)
        problem = read_hot(im);
    if (problem)
        return refuse(why, n, "%s", problem);
    return 0;
}
