/*
 * memfs_node.h - directories and files in memory, below /tmp: directories with lists,
 * files with bytes.
 *
 * A file that is unlinked or replaced while it is open lives until its last close.
 */
#ifndef FS_MEMFS_NODE_H
#define FS_MEMFS_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/os.h"

#define TMP "/tmp"

struct mem_node {
    struct mem_node *parent, *next, *first;     /* first: of a directory */
    char *name;
    bool directory;
    unsigned opens;             /* files that are open on it */
    bool linked;
    uint8_t *data;
    size_t size, room;
    uint64_t inode;
    uint32_t mode;
    int64_t atime, mtime, ctime;
};

extern struct mem_node mem_root;        /* TMP itself */

/* Seconds, as the times of files are. */
static inline int64_t mem_now(void)
{
    return os_wall_ns() / 1000000000;
}

/*
 * The node at a path that begins with TMP. With `parent`, also the directory it is in
 * or would be in, and its name there; *parent is NULL where there is none.
 */
int mem_node_find(const char *path, struct mem_node **found, struct mem_node **parent,
                  const char **last);

/* Called name, in parent. NULL: no memory. */
struct mem_node *mem_node_new(struct mem_node *parent, const char *name, bool directory);
/* Free it if it is neither linked nor open. */
void mem_node_release(struct mem_node *d);
/* Out of its directory; d may be gone then. */
void mem_node_unlink(struct mem_node *d);
/*
 * Call d last, in parent, in place of what is there (NULL: nothing). 0, or negative
 * errno, as rename(2).
 */
int mem_node_rename(struct mem_node *d, struct mem_node *parent, const char *last,
                    struct mem_node *there);

/* Memory for so many bytes of a file; 0 or -ENOSPC. */
int mem_node_room(struct mem_node *d, size_t size);
/* Make it so long; zeros between. 0 or -ENOSPC. */
int mem_node_resize(struct mem_node *d, size_t size);

#endif
