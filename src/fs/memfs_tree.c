/*
 * memfs_tree.c - the tree of an image.
 */
#include "fs/memfs_tree.h"

#include <string.h>

#include "fs/memfs.h"

static const struct tree_header *tree;
static const struct tree_entry *entries;
static const char *names;

static const char *name_of(const struct tree_entry *e)
{
    return names + e->path;
}

/* The first entry whose path is not below `path` in order. */
static size_t lower_bound(const char *path)
{
    size_t lo = 0, hi = tree ? tree->entries : 0;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (strcmp(name_of(&entries[mid]), path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

const struct tree_entry *tree_find(const char *path)
{
    size_t i = lower_bound(path);

    if (!tree || i == tree->entries || strcmp(name_of(&entries[i]), path) != 0)
        return NULL;
    return &entries[i];
}

const uint8_t *tree_data(const struct tree_entry *e)
{
    return (const uint8_t *)tree + e->data;
}

size_t tree_index(const struct tree_entry *e)
{
    return (size_t)(e - entries);
}

void tree_names(const char *directory, void (*each)(void *ctx, const char *name, size_t n),
                void *ctx)
{
    size_t n = strlen(directory);

    if (n == 1)
        n = 0;          /* the root: names begin after its slash */
    /*
     * What is below a directory comes after it, though not at once: "/a-b" and
     * what is in it lies between "/a" and "/a/x".
     */
    for (size_t i = lower_bound(directory); tree && i < tree->entries; i++) {
        const char *name = name_of(&entries[i]);

        if (strncmp(name, directory, n) != 0)
            break;
        if (name[n] == '/' && name[n + 1] && !strchr(name + n + 1, '/'))
            each(ctx, name + n + 1, strlen(name + n + 1));
    }
}

bool tree_init(const void *start, size_t bytes)
{
    const struct tree_header *h = start;
    uint64_t head;

    if (bytes < sizeof *h || h->magic != TREE_MAGIC || h->bytes > bytes)
        return false;
    head = sizeof *h + (uint64_t)h->entries * sizeof *entries;
    if (head > h->bytes || h->strings_bytes > h->bytes - head || h->entries == 0 ||
        h->strings_bytes == 0)
        return false;
    tree = h;
    entries = (const struct tree_entry *)(h + 1);
    names = (const char *)(entries + h->entries);
    if (names[h->strings_bytes - 1] != 0)
        return false;
    for (uint32_t i = 0; i < h->entries; i++) {
        const struct tree_entry *e = &entries[i];

        if (e->path >= h->strings_bytes || e->data > h->bytes ||
            e->stored > h->bytes - e->data || e->stored != e->bytes)
            return false;
    }
    return true;
}

void memfs_each(unsigned flags,
                void (*each)(const char *path, const uint8_t *data, size_t n))
{
    for (uint32_t i = 0; tree && i < tree->entries; i++)
        if (entries[i].type == TREE_FILE && entries[i].flags & flags)
            each(name_of(&entries[i]), tree_data(&entries[i]), entries[i].bytes);
}
