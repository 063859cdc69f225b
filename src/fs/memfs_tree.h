/*
 * memfs_tree.h - the tree of an image (abi/image.h): what its builder put in, to
 * be read where it lies.
 *
 * Entries are sorted by path: one is found by bisection, the names in a directory
 * follow it. Paths here are absolute, without ".", ".." and double slashes.
 */
#ifndef FS_MEMFS_TREE_H
#define FS_MEMFS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/image.h"

/* Without it there are no entries. False if it is damaged. */
bool tree_init(const void *start, size_t bytes);
/* NULL: there is none. */
const struct tree_entry *tree_find(const char *path);
/* What is in a file: e->bytes of them. */
const uint8_t *tree_data(const struct tree_entry *e);
/* From 0: which one it is. */
size_t tree_index(const struct tree_entry *e);
/* Each name in a directory, which may be "/". */
void tree_names(const char *directory, void (*each)(void *ctx, const char *name, size_t n),
                void *ctx);

#endif
