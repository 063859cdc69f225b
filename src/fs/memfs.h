/*
 * memfs.h - the files of an image: a read-only tree (abi/image.h), and files
 * in memory below /tmp.
 *
 * Paths are resolved as text: there are no links, so ".." is the directory
 * above in name too. The tree is trusted (the builder made it, the loader maps
 * it read-only), its offsets are checked once by memfs_init.
 */
#ifndef FS_MEMFS_H
#define FS_MEMFS_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/vfs.h"

extern const struct vfs vfs_memory;

/* The tree may be NULL: then there is only /tmp. False if it is damaged. */
bool memfs_init(const void *tree, size_t bytes);

/* Each file of the tree that has one of the flags: its path, and where it lies. */
void memfs_each(unsigned flags,
                void (*each)(const char *path, const uint8_t *data, size_t n));

#endif
