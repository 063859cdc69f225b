/*
 * seal.h - the digest of an image file, by which damage shows.
 *
 * A start does not look at it: hashing takes longer than starting. `kindling info`
 * does.
 */
#ifndef TOOL_SEAL_H
#define TOOL_SEAL_H

#include <stdbool.h>

#include "elfimage.h"

/* Write the digest into an image that is complete otherwise. Fails as fail() does. */
void seal_image(const char *path);
/* Is the file what was built? */
bool seal_intact(const struct image *im, const char *path);

#endif
