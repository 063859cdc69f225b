/*
 * view.c - the tree of an image file, checked.
 */
#include "view.h"

#include <stdbool.h>
#include <sys/mman.h>

static bool sound(const struct tree_view *v, uint64_t bytes)
{
    uint64_t head = sizeof *v->h + (uint64_t)v->h->entries * sizeof *v->e;

    if (v->h->magic != TREE_MAGIC || head > bytes || v->h->strings_bytes == 0 ||
        v->h->strings_bytes > bytes - head ||
        v->names[v->h->strings_bytes - 1] != 0)
        return false;
    for (uint32_t i = 0; i < v->h->entries; i++)
        if (v->e[i].path >= v->h->strings_bytes || v->names[v->e[i].path] != '/' ||
            v->e[i].data > bytes || v->e[i].stored > bytes - v->e[i].data)
            return false;
    return true;
}

int view_open(struct tree_view *v, const struct image *im)
{
    const struct image_header *ih = &im->header;
    uint64_t offset = 0;

    *v = (struct tree_view){.map_bytes = im->file_bytes};
    for (int i = 0; i < im->segs; i++)
        if (ih->tree >= im->seg[i].va && ih->tree - im->seg[i].va < im->seg[i].file_bytes)
            offset = im->seg[i].offset + (ih->tree - im->seg[i].va);
    if (ih->tree_bytes < sizeof *v->h || offset % _Alignof(struct tree_header))
        return -1;
    v->map = mmap(NULL, v->map_bytes, PROT_READ, MAP_PRIVATE, im->fd, 0);
    if (v->map == MAP_FAILED)
        return -1;
    v->base = (const uint8_t *)v->map + offset;
    v->h = (const struct tree_header *)v->base;
    v->e = (const struct tree_entry *)(v->h + 1);
    v->names = (const char *)(v->e + v->h->entries);
    if (sound(v, ih->tree_bytes))
        return 0;
    view_close(v);
    return -1;
}

void view_close(struct tree_view *v)
{
    munmap(v->map, v->map_bytes);
}
