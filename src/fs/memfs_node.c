/*
 * memfs_node.c - directories and files in memory.
 */
#include "fs/memfs_node.h"

#include <errno.h>
#include <string.h>

#include "vm/vm.h"

#define GROW_MIN 512            /* bytes a file gets at first */

struct mem_node mem_root = {.directory = true, .linked = true, .name = (char *)TMP,
                            .mode = 0777, .inode = 1};
static uint64_t next_inode = 2;

int mem_node_find(const char *path, struct mem_node **found, struct mem_node **parent,
                  const char **last)
{
    struct mem_node *d = &mem_root;

    path += sizeof TMP - 1;
    if (parent)
        *parent = NULL;
    while (*path == '/') {
        const char *name = path + 1;
        size_t n = strcspn(name, "/");
        struct mem_node *c;

        if (!d->directory)
            return -ENOTDIR;
        for (c = d->first; c; c = c->next)
            if (strlen(c->name) == n && memcmp(c->name, name, n) == 0)
                break;
        if (parent && name[n] == 0) {
            *parent = d;
            *last = name;
        }
        if (!c)
            return -ENOENT;
        d = c;
        path = name + n;
    }
    *found = d;
    return 0;
}

struct mem_node *mem_node_new(struct mem_node *parent, const char *name, bool directory)
{
    size_t n = strlen(name) + 1;
    struct mem_node *d = vm_try_alloc(ALLOC_SYSTEM, sizeof *d);
    char *copy = vm_try_alloc(ALLOC_SYSTEM, n);

    if (!d || !copy) {
        vm_free(d);
        vm_free(copy);
        return NULL;
    }
    memcpy(copy, name, n);
    *d = (struct mem_node){
        .parent = parent,
        .next = parent->first,
        .name = copy,
        .directory = directory,
        .linked = true,
        .inode = next_inode++,
        .mode = directory ? 0755 : 0644,
        .atime = mem_now(),
    };
    d->mtime = d->ctime = d->atime;
    parent->first = d;
    parent->mtime = d->mtime;
    return d;
}

void mem_node_release(struct mem_node *d)
{
    if (d->linked || d->opens)
        return;
    vm_free(d->data);
    vm_free(d->name);
    vm_free(d);
}

static void take_out(struct mem_node *d)
{
    struct mem_node **at = &d->parent->first;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
}

void mem_node_unlink(struct mem_node *d)
{
    take_out(d);
    d->parent->mtime = mem_now();
    d->linked = false;
    mem_node_release(d);
}

int mem_node_room(struct mem_node *d, size_t size)
{
    size_t room = d->room ? d->room : GROW_MIN;
    uint8_t *data;

    if (size <= d->room)
        return 0;
    while (room < size)
        room = room > SIZE_MAX / 2 ? size : room + room / 2 + 1;
    data = d->data ? vm_try_realloc(d->data, room)
                   : vm_try_alloc(ALLOC_BINARY, room);
    if (!data)
        return -ENOSPC;
    d->data = data;
    d->room = room;
    return 0;
}

int mem_node_resize(struct mem_node *d, size_t size)
{
    int r = mem_node_room(d, size);

    if (r < 0)
        return r;
    if (size > d->size)
        memset(d->data + d->size, 0, size - d->size);
    d->size = size;
    d->mtime = d->ctime = mem_now();
    return 0;
}

static bool is_inside(const struct mem_node *d, const struct mem_node *directory)
{
    for (; d; d = d->parent)
        if (d == directory)
            return true;
    return false;
}

int mem_node_rename(struct mem_node *d, struct mem_node *parent, const char *last,
                    struct mem_node *there)
{
    size_t n = strlen(last) + 1;
    char *name;

    if (there == d)
        return 0;
    if (d == &mem_root || there == &mem_root)
        return -EBUSY;
    if (is_inside(parent, d))
        return -EINVAL;
    if (there && there->directory && !d->directory)
        return -EISDIR;
    if (there && !there->directory && d->directory)
        return -ENOTDIR;
    if (there && there->first)
        return -EEXIST;
    name = vm_try_alloc(ALLOC_SYSTEM, n);
    if (!name)
        return -ENOSPC;
    memcpy(name, last, n);
    if (there)
        mem_node_unlink(there);
    take_out(d);
    vm_free(d->name);
    d->name = name;
    d->parent = parent;
    d->next = parent->first;
    parent->first = d;
    d->ctime = parent->mtime = mem_now();
    return 0;
}
