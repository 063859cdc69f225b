/*
 * memfs.c - vfs.h over an image's tree and memory.
 *
 *     /            entries of the tree (memfs_tree.h)
 *     /tmp         struct mem_node (memfs_node.h)
 *
 * Nothing here is shared with anyone: no locks, no permissions.
 */
#include "fs/memfs.h"

#include <errno.h>
#include <string.h>

#include "fs/memfs_node.h"
#include "fs/memfs_tree.h"
#include "vm/vm.h"

#define FILE_MAX ((int64_t)1 << 40)

struct mem_file {
    struct vfs_file file;
    struct mem_node *node;      /* or: */
    const uint8_t *bytes;       /* in the tree */
    size_t size;
    const struct tree_entry *entry;
    int64_t at;
    unsigned mode;
};

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

/* What is at a path: a node or an entry. */
static int lookup(const char *path, struct mem_node **node, const struct tree_entry **e)
{
    *node = NULL;
    *e = NULL;
    if (in_tmp(path))
        return mem_node_find(path, node, NULL, NULL);
    *e = tree_find(path);
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
            above = tree_find(up);
            vm_free(up);
            if (above)
                return above->type == TREE_DIRECTORY ? -ENOENT : -ENOTDIR;
        }
    }
    return -ENOENT;
}

static bool is_directory(const struct mem_node *d, const struct tree_entry *e)
{
    return d ? d->directory : e->type == TREE_DIRECTORY;
}

/* --- open files --- */

static struct mem_file *file_of(struct vfs_file *f)
{
    return (struct mem_file *)f;
}

static int open_resolved(const char *path, unsigned mode, struct mem_file *f)
{
    struct mem_node *parent = NULL;
    const char *last = NULL;
    int r;

    if (!in_tmp(path)) {
        struct mem_node *none;

        r = lookup(path, &none, &f->entry);
        if (r < 0)
            return mode & VFS_WRITE && r == -ENOENT ? -EROFS : r;
        if (mode & VFS_WRITE)
            return f->entry->type == TREE_DIRECTORY ? -EISDIR : -EROFS;
        f->bytes = tree_data(f->entry);
        f->size = f->entry->bytes;
    } else {
        r = mem_node_find(path, &f->node, &parent, &last);
        if (r == -ENOENT && parent && parent->directory && mode & VFS_WRITE) {
            f->node = mem_node_new(parent, last, false);
            r = f->node ? 0 : -ENOSPC;
        } else if (r == 0 && mode & VFS_EXCLUSIVE && mode & VFS_WRITE) {
            r = -EEXIST;
        }
        if (r < 0)
            return r;
    }
    if (is_directory(f->node, f->entry)) {
        if (mode & VFS_WRITE || !(mode & (VFS_DIRECTORY | VFS_ANY_TYPE)))
            return -EISDIR;
    } else if (mode & VFS_DIRECTORY) {
        return -ENOTDIR;
    }
    /* Write alone truncates. */
    if (f->node && mode & VFS_WRITE && !(mode & (VFS_READ | VFS_APPEND)))
        return mem_node_resize(f->node, 0);
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
        !is_directory(f->node, f->entry))
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
        mem_node_release(f->node);
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

    if (is_directory(f->node, f->entry))
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
            r = mem_node_resize(f->node, (size_t)at + iov[i].n);
            if (r < 0)
                return r;
        }
        memcpy(f->node->data + at, iov[i].base, iov[i].n);
        at += (int64_t)iov[i].n;
        total += (int64_t)iov[i].n;
    }
    f->node->mtime = mem_now();
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
    return mem_node_resize(f->node, (size_t)f->at);
}

static int mem_allocate(struct vfs_file *file, int64_t offset, int64_t length)
{
    struct mem_file *f = file_of(file);
    int r;

    if (!f->node || !(f->mode & VFS_WRITE))
        return -EBADF;
    if (offset < 0 || length <= 0 || offset > FILE_MAX || length > FILE_MAX - offset)
        return -EINVAL;
    r = mem_node_room(f->node, (size_t)(offset + length));
    if (r == 0 && (size_t)(offset + length) > f->node->size)
        r = mem_node_resize(f->node, (size_t)(offset + length));
    return r;
}

static int mem_advise(struct vfs_file *f, int64_t offset, int64_t length, int advice)
{
    return 0;
}

/* --- what things are --- */

#define S_DIRECTORY 0040000u
#define S_FILE      0100000u

static void fill(struct vfs_stat *st, const struct mem_node *d, const struct tree_entry *e)
{
    bool directory = is_directory(d, e);

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
        st->inode = tree_index(e) + 2;
    }
    st->mode |= directory ? S_DIRECTORY : S_FILE;
}

static int mem_fstat(struct vfs_file *file, struct vfs_stat *st)
{
    fill(st, file_of(file)->node, file_of(file)->entry);
    return 0;
}

/* Do something with what is at a path. `write`: only in /tmp. */
static int at_path(const char *path, bool write, struct mem_node **node,
                   const struct tree_entry **e)
{
    char *absolute;
    int r = resolve(path, &absolute);

    if (r < 0)
        return r;
    r = lookup(absolute, node, e);
    if (r == 0 && path[strlen(path) - 1] == '/' &&
        !is_directory(*node, *e))
        r = -ENOTDIR;
    if (r == 0 && write && !*node)
        r = -EROFS;
    vm_free(absolute);
    return r;
}

static int mem_stat(const char *path, bool follow, struct vfs_stat *st)
{
    const struct tree_entry *e;
    struct mem_node *d;
    int r = at_path(path, false, &d, &e);

    if (r == 0)
        fill(st, d, e);
    return r;
}

static int mem_chmod(const char *path, uint32_t mode)
{
    const struct tree_entry *e;
    struct mem_node *d;
    int r = at_path(path, true, &d, &e);

    if (r == 0) {
        d->mode = mode & 0777;
        d->ctime = mem_now();
    }
    return r;
}

static int mem_chown(const char *path, int32_t uid, int32_t gid)
{
    const struct tree_entry *e;
    struct mem_node *d;
    int r = at_path(path, true, &d, &e);

    /* There is one user, 0. */
    return r < 0 ? r : uid > 0 || gid > 0 ? -EPERM : 0;
}

static int mem_utime(const char *path, int64_t atime, int64_t mtime)
{
    const struct tree_entry *e;
    struct mem_node *d;
    int r = at_path(path, true, &d, &e);

    if (r == 0) {
        d->atime = atime;
        d->mtime = mtime;
        d->ctime = mem_now();
    }
    return r;
}

/* --- changing directories --- */

/* The place of a new name in /tmp: -EEXIST with what is there, or 0. */
static int new_name(const char *path, char **absolute, struct mem_node **parent,
                    const char **last, struct mem_node **there)
{
    int r = resolve(path, absolute);

    *there = NULL;
    if (r < 0)
        return r;
    if (!in_tmp(*absolute)) {
        r = tree_find(*absolute) ? -EEXIST : -EROFS;
    } else {
        r = mem_node_find(*absolute, there, parent, last);
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
    struct mem_node *parent, *there;
    const char *last;
    char *absolute;
    int r = new_name(path, &absolute, &parent, &last, &there);

    if (r < 0 && r != -EEXIST)
        return r;
    if (r == 0 && !mem_node_new(parent, last, true))
        r = -ENOSPC;
    vm_free(absolute);
    return r;
}

static int mem_rename(const char *from, const char *to)
{
    const struct tree_entry *e;
    struct mem_node *d, *parent, *there;
    const char *last;
    char *absolute;
    int r = at_path(from, true, &d, &e);

    if (r < 0)
        return r;
    r = new_name(to, &absolute, &parent, &last, &there);
    if (r < 0 && r != -EEXIST)
        return r;
    /* In the tree, or the mount point itself. */
    if (r == -EEXIST && (!there || there == &mem_root))
        r = -EROFS;
    else
        r = mem_node_rename(d, parent, last, there);
    vm_free(absolute);
    return r;
}

static int mem_unlink(const char *path)
{
    const struct tree_entry *e;
    struct mem_node *d;
    int r = at_path(path, true, &d, &e);

    if (r < 0)
        return r;
    if (d->directory)
        return -EPERM;
    mem_node_unlink(d);
    return 0;
}

static int mem_rmdir(const char *path)
{
    const struct tree_entry *e;
    struct mem_node *d;
    int r = at_path(path, true, &d, &e);

    if (r < 0)
        return r;
    if (!d->directory)
        return -ENOTDIR;
    if (d == &mem_root)
        return -EBUSY;
    if (d->first)
        return -EEXIST;
    mem_node_unlink(d);
    return 0;
}

static int mem_chdir(const char *path)
{
    const struct tree_entry *e;
    struct mem_node *d;
    char *absolute;
    int r = at_path(path, false, &d, &e);

    if (r < 0)
        return r;
    if (!is_directory(d, e))
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
    struct mem_node *d;
    int r = at_path(path, false, &d, &e);

    return r < 0 ? r : -EINVAL;
}

static int mem_readdir(const char *path,
                       void (*each)(void *, const char *, size_t), void *ctx)
{
    const struct tree_entry *e;
    struct mem_node *d;
    char *absolute;
    int r = at_path(path, false, &d, &e);

    if (r < 0)
        return r;
    if (!is_directory(d, e))
        return -ENOTDIR;
    if (d) {
        for (struct mem_node *c = d->first; c; c = c->next)
            each(ctx, c->name, strlen(c->name));
        return 0;
    }
    r = resolve(path, &absolute);
    if (r < 0)
        return r;
    if (strcmp(absolute, "/") == 0)
        each(ctx, &TMP[1], sizeof TMP - 2);
    tree_names(absolute, each, ctx);
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
    /* Where a program may write, as it may where it is started elsewhere. */
    cwd = vm_alloc(ALLOC_SYSTEM, sizeof TMP);
    memcpy(cwd, TMP, sizeof TMP);
    return !start || tree_init(start, bytes);
}
