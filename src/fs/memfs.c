/*
 * memfs.c - vfs.h over an image's tree and memory.
 *
 *     /            entries of the tree, sorted by path: found by bisection,
 *                  the names in a directory follow it
 *     /tmp         struct node: directories with lists, files with bytes
 *
 * A file that is unlinked or replaced while it is open lives until its last
 * close. Nothing here is shared with anyone: no locks, no permissions.
 */
#include "fs/memfs.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "abi/image.h"
#include "os/os.h"
#include "vm/vm.h"

#define TMP "/tmp"
#define GROW_MIN 512            /* bytes a file gets at first */
#define FILE_MAX ((int64_t)1 << 40)

struct node {
    struct node *parent, *next, *first;     /* first: of a directory */
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

struct mem_file {
    struct vfs_file file;
    struct node *node;          /* or: */
    const uint8_t *bytes;       /* in the tree */
    size_t size;
    const struct tree_entry *entry;
    int64_t at;
    unsigned mode;
};

static const struct tree_header *tree;
static const struct tree_entry *entries;
static const char *names;
static struct node root = {.directory = true, .linked = true, .name = (char *)TMP,
                           .mode = 0777, .inode = 1};
static uint64_t next_inode = 2;
static char *cwd;

/* --- paths --- */

/*
 * An absolute path without ".", ".." and double slashes, in vm_alloc'ed memory.
 * A slash at the end is dropped.
 */
static int resolve(const char *path, char **absolute)
{
    size_t n = strlen(path), base = *path == '/' ? 0 : strlen(cwd), at = 0;
    char *out;

    if (n == 0)
        return -ENOENT;
    out = vm_try_alloc(ALLOC_SYSTEM, base + n + 2);
    if (!out)
        return -ENOMEM;
    memcpy(out, cwd, base);
    if (base > 1)
        at = base;
    while (*path) {
        size_t part = strcspn(path, "/");

        if (part == 2 && path[0] == '.' && path[1] == '.') {
            while (at > 0 && out[--at] != '/')
                ;
        } else if (part > 0 && !(part == 1 && *path == '.')) {
            out[at++] = '/';
            memcpy(out + at, path, part);
            at += part;
        }
        path += part + (path[part] == '/');
    }
    if (at == 0)
        out[at++] = '/';
    out[at] = 0;
    *absolute = out;
    return 0;
}

static bool in_tmp(const char *path)
{
    size_t n = sizeof TMP - 1;

    return strncmp(path, TMP, n) == 0 && (path[n] == 0 || path[n] == '/');
}

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

static const struct tree_entry *find_entry(const char *path)
{
    size_t i = lower_bound(path);

    if (!tree || i == tree->entries || strcmp(name_of(&entries[i]), path) != 0)
        return NULL;
    return &entries[i];
}

/*
 * The node at a path in /tmp. With `parent`, the directory it would be in, and
 * the name it would have, so that a missing last part is no error.
 */
static int find_node(const char *path, struct node **found, struct node **parent,
                     const char **last)
{
    struct node *d = &root;

    path += sizeof TMP - 1;
    if (parent)
        *parent = NULL;
    while (*path == '/') {
        const char *name = path + 1;
        size_t n = strcspn(name, "/");
        struct node *c;

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

/* What is at a path: a node or an entry. */
static int lookup(const char *path, struct node **node, const struct tree_entry **e)
{
    *node = NULL;
    *e = NULL;
    if (in_tmp(path))
        return find_node(path, node, NULL, NULL);
    *e = find_entry(path);
    if (*e)
        return 0;
    /* A file on the way? */
    for (size_t n = strlen(path); n > 1; n--) {
        if (path[n] == '/') {
            char *up = vm_try_alloc(ALLOC_SYSTEM, n + 1);
            const struct tree_entry *above;

            if (!up)
                return -ENOMEM;
            memcpy(up, path, n);
            up[n] = 0;
            above = find_entry(up);
            vm_free(up);
            if (above)
                return above->type == TREE_DIRECTORY ? -ENOENT : -ENOTDIR;
        }
    }
    return -ENOENT;
}

/* --- nodes --- */

static int64_t now(void)
{
    return os_wall_ns() / 1000000000;
}

static struct node *node_new(struct node *parent, const char *name, bool directory)
{
    size_t n = strlen(name) + 1;
    struct node *d = vm_try_alloc(ALLOC_SYSTEM, sizeof *d);
    char *copy = vm_try_alloc(ALLOC_SYSTEM, n);

    if (!d || !copy) {
        vm_free(d);
        vm_free(copy);
        return NULL;
    }
    memcpy(copy, name, n);
    *d = (struct node){
        .parent = parent,
        .next = parent->first,
        .name = copy,
        .directory = directory,
        .linked = true,
        .inode = next_inode++,
        .mode = directory ? 0755 : 0644,
        .atime = now(),
    };
    d->mtime = d->ctime = d->atime;
    parent->first = d;
    parent->mtime = d->mtime;
    return d;
}

static void node_release(struct node *d)
{
    if (d->linked || d->opens)
        return;
    vm_free(d->data);
    vm_free(d->name);
    vm_free(d);
}

static void node_unlink(struct node *d)
{
    struct node **at = &d->parent->first;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    d->parent->mtime = now();
    d->linked = false;
    node_release(d);
}

/* Make the file `size` long at least in memory; zeros between. */
static int node_room(struct node *d, size_t size)
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

static int node_resize(struct node *d, size_t size)
{
    int r = node_room(d, size);

    if (r < 0)
        return r;
    if (size > d->size)
        memset(d->data + d->size, 0, size - d->size);
    d->size = size;
    d->mtime = d->ctime = now();
    return 0;
}

/* --- open files --- */

static struct mem_file *file_of(struct vfs_file *f)
{
    return (struct mem_file *)f;
}

static int open_resolved(const char *path, unsigned mode, struct mem_file *f)
{
    struct node *parent = NULL;
    const char *last = NULL;
    int r;

    if (!in_tmp(path)) {
        struct node *none;

        r = lookup(path, &none, &f->entry);
        if (r < 0)
            return mode & VFS_WRITE && r == -ENOENT ? -EROFS : r;
        if (mode & VFS_WRITE)
            return f->entry->type == TREE_DIRECTORY ? -EISDIR : -EROFS;
        f->bytes = (const uint8_t *)tree + f->entry->data;
        f->size = f->entry->bytes;
    } else {
        r = find_node(path, &f->node, &parent, &last);
        if (r == -ENOENT && parent && parent->directory && mode & VFS_WRITE) {
            f->node = node_new(parent, last, false);
            r = f->node ? 0 : -ENOSPC;
        } else if (r == 0 && mode & VFS_EXCLUSIVE && mode & VFS_WRITE) {
            r = -EEXIST;
        }
        if (r < 0)
            return r;
    }
    if (f->node ? f->node->directory : f->entry->type == TREE_DIRECTORY) {
        if (mode & VFS_WRITE || !(mode & (VFS_DIRECTORY | VFS_ANY_TYPE)))
            return -EISDIR;
    } else if (mode & VFS_DIRECTORY) {
        return -ENOTDIR;
    }
    /* Write alone truncates. */
    if (f->node && mode & VFS_WRITE && !(mode & (VFS_READ | VFS_APPEND)))
        return node_resize(f->node, 0);
    return 0;
}

static int mem_open(const char *path, unsigned mode, struct vfs_file **file)
{
    struct mem_file *f;
    char *absolute;
    size_t n = strlen(path);
    int r;

    r = resolve(path, &absolute);
    if (r < 0)
        return r;
    f = vm_try_alloc(ALLOC_SYSTEM, sizeof *f);
    if (!f) {
        vm_free(absolute);
        return -ENOMEM;
    }
    *f = (struct mem_file){.file.fs = &vfs_memory, .mode = mode};
    r = open_resolved(absolute, mode, f);
    /* "name/" is a directory or nothing */
    if (r == 0 && path[n - 1] == '/' &&
        !(f->node ? f->node->directory : f->entry->type == TREE_DIRECTORY))
        r = -ENOTDIR;
    vm_free(absolute);
    if (r < 0) {
        vm_free(f);
        return r;
    }
    if (f->node)
        f->node->opens++;
    *file = &f->file;
    return 0;
}

static int mem_close(struct vfs_file *file)
{
    struct mem_file *f = file_of(file);

    if (f->node) {
        f->node->opens--;
        node_release(f->node);
    }
    vm_free(f);
    return 0;
}

static const uint8_t *mem_bytes(struct vfs_file *file, size_t *n)
{
    struct mem_file *f = file_of(file);

    if (f->node || f->entry->type == TREE_DIRECTORY)
        return NULL;
    *n = f->size;
    return f->bytes;
}

static int64_t mem_readv(struct vfs_file *file, int64_t offset, struct vfs_iov *iov,
                         int n)
{
    struct mem_file *f = file_of(file);
    const uint8_t *data = f->node ? f->node->data : f->bytes;
    size_t size = f->node ? f->node->size : f->size;
    int64_t at = offset < 0 ? f->at : offset, total = 0;

    if (f->node ? f->node->directory : f->entry->type == TREE_DIRECTORY)
        return -EISDIR;
    if (!(f->mode & VFS_READ))
        return -EBADF;
    for (int i = 0; i < n && at < (int64_t)size; i++) {
        size_t part = size - (size_t)at < iov[i].n ? size - (size_t)at : iov[i].n;

        memcpy(iov[i].base, data + at, part);
        at += (int64_t)part;
        total += (int64_t)part;
    }
    if (offset < 0)
        f->at = at;
    return total;
}

static int64_t mem_writev(struct vfs_file *file, int64_t offset, struct vfs_iov *iov,
                          int n)
{
    struct mem_file *f = file_of(file);
    int64_t at = offset < 0 ? f->at : offset, total = 0;

    if (!f->node || !(f->mode & VFS_WRITE))
        return -EBADF;
    if (f->mode & VFS_APPEND)
        at = (int64_t)f->node->size;
    for (int i = 0; i < n; i++) {
        int r;

        if (iov[i].n > (size_t)FILE_MAX || at > FILE_MAX - (int64_t)iov[i].n)
            return -EFBIG;
        if (iov[i].n == 0)
            continue;
        if ((size_t)at + iov[i].n > f->node->size) {
            r = node_resize(f->node, (size_t)at + iov[i].n);
            if (r < 0)
                return r;
        }
        memcpy(f->node->data + at, iov[i].base, iov[i].n);
        at += (int64_t)iov[i].n;
        total += (int64_t)iov[i].n;
    }
    f->node->mtime = now();
    if (offset < 0)
        f->at = at;
    return total;
}

static int64_t mem_seek(struct vfs_file *file, enum vfs_whence whence, int64_t offset)
{
    struct mem_file *f = file_of(file);
    int64_t from = whence == VFS_BOF   ? 0
                   : whence == VFS_CUR ? f->at
                   : f->node           ? (int64_t)f->node->size
                                       : (int64_t)f->size;

    if (offset < -from || offset > FILE_MAX)
        return -EINVAL;
    f->at = from + offset;
    return f->at;
}

static int mem_sync(struct vfs_file *f, bool data_only)
{
    return 0;
}

static int mem_truncate(struct vfs_file *file)
{
    struct mem_file *f = file_of(file);

    if (!f->node || !(f->mode & VFS_WRITE))
        return -EINVAL;
    return node_resize(f->node, (size_t)f->at);
}

static int mem_allocate(struct vfs_file *file, int64_t offset, int64_t length)
{
    struct mem_file *f = file_of(file);
    int r;

    if (!f->node || !(f->mode & VFS_WRITE))
        return -EBADF;
    if (offset < 0 || length <= 0 || offset > FILE_MAX || length > FILE_MAX - offset)
        return -EINVAL;
    r = node_room(f->node, (size_t)(offset + length));
    if (r == 0 && (size_t)(offset + length) > f->node->size)
        r = node_resize(f->node, (size_t)(offset + length));
    return r;
}

static int mem_advise(struct vfs_file *f, int64_t offset, int64_t length, int advice)
{
    return 0;
}

/* --- what things are --- */

#define S_DIRECTORY 0040000u
#define S_FILE      0100000u

static void fill(struct vfs_stat *st, const struct node *d, const struct tree_entry *e)
{
    bool directory = d ? d->directory : e->type == TREE_DIRECTORY;

    *st = (struct vfs_stat){
        .type = directory ? VFS_DIR : VFS_REGULAR,
        .access = VFS_READ | (d ? VFS_WRITE : 0),
        .links = 1,
    };
    if (d) {
        st->size = (int64_t)d->size;
        st->mode = d->mode;
        st->inode = d->inode;
        st->atime = d->atime;
        st->mtime = d->mtime;
        st->ctime = d->ctime;
        st->major = 1;
    } else {
        st->size = (int64_t)e->bytes;
        st->mode = directory ? 0555 : 0444;
        st->inode = (uint64_t)(e - entries) + 2;
    }
    st->mode |= directory ? S_DIRECTORY : S_FILE;
}

static int mem_fstat(struct vfs_file *file, struct vfs_stat *st)
{
    fill(st, file_of(file)->node, file_of(file)->entry);
    return 0;
}

/* Do something with what is at a path. `write`: only in /tmp. */
static int at_path(const char *path, bool write, struct node **node,
                   const struct tree_entry **e)
{
    char *absolute;
    int r = resolve(path, &absolute);

    if (r < 0)
        return r;
    r = lookup(absolute, node, e);
    if (r == 0 && path[strlen(path) - 1] == '/' &&
        !(*node ? (*node)->directory : (*e)->type == TREE_DIRECTORY))
        r = -ENOTDIR;
    if (r == 0 && write && !*node)
        r = -EROFS;
    vm_free(absolute);
    return r;
}

static int mem_stat(const char *path, bool follow, struct vfs_stat *st)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, false, &d, &e);

    if (r == 0)
        fill(st, d, e);
    return r;
}

static int mem_chmod(const char *path, uint32_t mode)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, true, &d, &e);

    if (r == 0) {
        d->mode = mode & 0777;
        d->ctime = now();
    }
    return r;
}

static int mem_chown(const char *path, int32_t uid, int32_t gid)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, true, &d, &e);

    /* There is one user, 0. */
    return r < 0 ? r : uid > 0 || gid > 0 ? -EPERM : 0;
}

static int mem_utime(const char *path, int64_t atime, int64_t mtime)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, true, &d, &e);

    if (r == 0) {
        d->atime = atime;
        d->mtime = mtime;
        d->ctime = now();
    }
    return r;
}

/* --- changing directories --- */

/* The place of a new name in /tmp: -EEXIST with what is there, or 0. */
static int new_name(const char *path, char **absolute, struct node **parent,
                    const char **last, struct node **there)
{
    int r = resolve(path, absolute);

    *there = NULL;
    if (r < 0)
        return r;
    if (!in_tmp(*absolute)) {
        r = find_entry(*absolute) ? -EEXIST : -EROFS;
    } else {
        r = find_node(*absolute, there, parent, last);
        if (r == 0)
            r = -EEXIST;
        else if (r == -ENOENT && *parent)
            r = (*parent)->directory ? 0 : -ENOTDIR;
    }
    if (r < 0 && r != -EEXIST)
        vm_free(*absolute);
    return r;
}

static int mem_mkdir(const char *path)
{
    struct node *parent, *there;
    const char *last;
    char *absolute;
    int r = new_name(path, &absolute, &parent, &last, &there);

    if (r < 0 && r != -EEXIST)
        return r;
    if (r == 0 && !node_new(parent, last, true))
        r = -ENOSPC;
    vm_free(absolute);
    return r;
}

static bool is_inside(const struct node *d, const struct node *directory)
{
    for (; d; d = d->parent)
        if (d == directory)
            return true;
    return false;
}

static int rename_node(struct node *d, struct node *parent, const char *last,
                       struct node *there)
{
    size_t n = strlen(last) + 1;
    struct node **at;
    char *name;

    if (there == d)
        return 0;
    if (d == &root || there == &root)
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
        node_unlink(there);
    for (at = &d->parent->first; *at != d; at = &(*at)->next)
        ;
    *at = d->next;
    vm_free(d->name);
    d->name = name;
    d->parent = parent;
    d->next = parent->first;
    parent->first = d;
    d->ctime = parent->mtime = now();
    return 0;
}

static int mem_rename(const char *from, const char *to)
{
    const struct tree_entry *e;
    struct node *d, *parent, *there;
    const char *last;
    char *absolute;
    int r = at_path(from, true, &d, &e);

    if (r < 0)
        return r;
    r = new_name(to, &absolute, &parent, &last, &there);
    if (r < 0 && r != -EEXIST)
        return r;
    /* In the tree, or the mount point itself. */
    if (r == -EEXIST && (!there || there == &root))
        r = -EROFS;
    else
        r = rename_node(d, parent, last, there);
    vm_free(absolute);
    return r;
}

static int mem_unlink(const char *path)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, true, &d, &e);

    if (r < 0)
        return r;
    if (d->directory)
        return -EPERM;
    node_unlink(d);
    return 0;
}

static int mem_rmdir(const char *path)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, true, &d, &e);

    if (r < 0)
        return r;
    if (!d->directory)
        return -ENOTDIR;
    if (d == &root)
        return -EBUSY;
    if (d->first)
        return -EEXIST;
    node_unlink(d);
    return 0;
}

static int mem_chdir(const char *path)
{
    const struct tree_entry *e;
    struct node *d;
    char *absolute;
    int r = at_path(path, false, &d, &e);

    if (r < 0)
        return r;
    if (!(d ? d->directory : e->type == TREE_DIRECTORY))
        return -ENOTDIR;
    r = resolve(path, &absolute);
    if (r < 0)
        return r;
    vm_free(cwd);
    cwd = absolute;
    return 0;
}

static int64_t mem_getcwd(char *buf, size_t n)
{
    size_t whole = strlen(cwd);

    memcpy(buf, cwd, whole < n ? whole : n);
    return (int64_t)whole;
}

static int64_t mem_readlink(const char *path, char *buf, size_t n)
{
    const struct tree_entry *e;
    struct node *d;
    int r = at_path(path, false, &d, &e);

    return r < 0 ? r : -EINVAL;
}

static int mem_readdir(const char *path,
                       void (*each)(void *, const char *, size_t), void *ctx)
{
    const struct tree_entry *e;
    struct node *d;
    char *absolute;
    size_t n;
    int r = at_path(path, false, &d, &e);

    if (r < 0)
        return r;
    if (!(d ? d->directory : e->type == TREE_DIRECTORY))
        return -ENOTDIR;
    if (d) {
        for (struct node *c = d->first; c; c = c->next)
            each(ctx, c->name, strlen(c->name));
        return 0;
    }
    r = resolve(path, &absolute);
    if (r < 0)
        return r;
    n = strlen(absolute);
    if (n == 1) {
        n = 0;          /* the root: names begin after its slash */
        each(ctx, &TMP[1], sizeof TMP - 2);
    }
    /*
     * What is below a directory comes after it, though not at once: "/a-b" and
     * what is in it lies between "/a" and "/a/x".
     */
    for (size_t i = lower_bound(absolute); i < tree->entries; i++) {
        const char *name = name_of(&entries[i]);

        if (strncmp(name, absolute, n) != 0)
            break;
        if (name[n] == '/' && name[n + 1] && !strchr(name + n + 1, '/'))
            each(ctx, name + n + 1, strlen(name + n + 1));
    }
    vm_free(absolute);
    return 0;
}

const struct vfs vfs_memory = {
    .name = "memory",
    .open = mem_open,
    .close = mem_close,
    .readv = mem_readv,
    .writev = mem_writev,
    .bytes = mem_bytes,
    .seek = mem_seek,
    .sync = mem_sync,
    .truncate = mem_truncate,
    .allocate = mem_allocate,
    .advise = mem_advise,
    .fstat = mem_fstat,
    .stat = mem_stat,
    .chmod = mem_chmod,
    .chown = mem_chown,
    .utime = mem_utime,
    .rename = mem_rename,
    .unlink = mem_unlink,
    .mkdir = mem_mkdir,
    .rmdir = mem_rmdir,
    .chdir = mem_chdir,
    .readlink = mem_readlink,
    .getcwd = mem_getcwd,
    .readdir = mem_readdir,
};

bool memfs_init(const void *start, size_t bytes)
{
    const struct tree_header *h = start;
    uint64_t head;

    /* Where a program may write, as it may where it is started elsewhere. */
    cwd = vm_alloc(ALLOC_SYSTEM, sizeof TMP);
    memcpy(cwd, TMP, sizeof TMP);
    if (!start)
        return true;
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
            each(name_of(&entries[i]), (const uint8_t *)tree + entries[i].data,
                 entries[i].bytes);
}
