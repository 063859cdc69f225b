/*
 * view.h - look at the files in an image without starting it.
 *
 * The image is a stranger's: view_open() accepts a tree only if every path and
 * every file of every entry lies within it, so that its users need not look.
 */
#ifndef TOOL_VIEW_H
#define TOOL_VIEW_H

#include "elfimage.h"

struct tree_view {
    const struct tree_header *h;
    const struct tree_entry *e;
    const char *names;
    const uint8_t *base;
    void *map;                  /* the whole file */
    uint64_t map_bytes;
};

/* The tree of an image that image_open() accepted. 0, or -1: it is damaged. */
int view_open(struct tree_view *v, const struct image *im);
void view_close(struct tree_view *v);

#endif
