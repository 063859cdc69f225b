/*
 * tree.h - the files of an image, while it is being built (abi/image.h has the
 * format).
 */
#ifndef TOOL_TREE_H
#define TOOL_TREE_H

#include "kindling.h"

struct tree_file {
    char *path;
    uint8_t *data;              /* NULL: a directory */
    size_t n;
    unsigned flags;             /* enum tree_flags */
};

struct tree {
    struct tree_file *file;
    size_t n, room;
};

/* Add a file, and the directories it is in. The data becomes the tree's. */
struct tree_file *tree_add(struct tree *t, const char *path, uint8_t *data, size_t n);
/* Add all files of a directory and below, under `path`. */
void tree_add_directory(struct tree *t, const char *path, const char *from);
/* The list of what is in it: "sha256 bytes path", by path. Hashed into `id`. */
void tree_inputs(struct tree *t, struct buffer *list, uint8_t id[32]);
void tree_write(struct tree *t, struct buffer *b);

#endif
