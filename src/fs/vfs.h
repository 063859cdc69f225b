/*
 * vfs.h - files, as prim_file and the loader see them.
 *
 * A file system is a struct of functions. Paths are bytes, terminated by NUL,
 * as the system below takes them; "." and ".." and relative paths are the file
 * system's business. Every function returns 0 (or a count) or a negative Linux
 * errno. What a file system can't do it leaves NULL: -ENOTSUP (-EROFS for what
 * writes, if `read_only`).
 */
#ifndef FS_VFS_H
#define FS_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vfs_mode {
    VFS_READ = 1,
    VFS_WRITE = 2,          /* alone it truncates, as file:open/2 */
    VFS_APPEND = 4,
    VFS_EXCLUSIVE = 8,
    VFS_SYNC = 16,
    VFS_DIRECTORY = 32,
    VFS_ANY_TYPE = 64,      /* without it, opening a directory is EISDIR */
};
enum vfs_whence { VFS_BOF, VFS_CUR, VFS_EOF };
enum vfs_type { VFS_DEVICE, VFS_DIR, VFS_REGULAR, VFS_SYMLINK, VFS_OTHER };

struct vfs_stat {
    int64_t size;
    enum vfs_type type;
    uint32_t access;        /* VFS_READ | VFS_WRITE: what the caller may do */
    uint32_t mode, links, major, minor, uid, gid;
    uint64_t inode;
    int64_t atime, mtime, ctime;    /* seconds since 1970, UTC */
};

/* An open file. A file system's own struct begins with one. */
struct vfs_file {
    const struct vfs *fs;
};
struct vfs_iov {            /* layout of struct iovec */
    void *base;
    size_t n;
};

struct vfs {
    const char *name;
    bool read_only;

    int (*open)(const char *path, unsigned mode, struct vfs_file **file);
    int (*from_fd)(int fd, struct vfs_file **file);
    /* Closes and frees, whatever it returns. */
    int (*close)(struct vfs_file *f);
    /*
     * readv reads until the vector is full or the file ends; writev writes
     * all or fails. Both change the vector. offset -1: at the position.
     */
    int64_t (*readv)(struct vfs_file *f, int64_t offset, struct vfs_iov *iov, int n);
    int64_t (*writev)(struct vfs_file *f, int64_t offset, struct vfs_iov *iov, int n);
    /* All of a file whose bytes lie in memory and never change; NULL: not so. */
    const uint8_t *(*bytes)(struct vfs_file *f, size_t *n);
    int64_t (*seek)(struct vfs_file *f, enum vfs_whence whence, int64_t offset);
    int (*sync)(struct vfs_file *f, bool data_only);
    int (*truncate)(struct vfs_file *f);        /* at the position */
    int (*allocate)(struct vfs_file *f, int64_t offset, int64_t length);
    int (*advise)(struct vfs_file *f, int64_t offset, int64_t length, int advice);
    int (*fstat)(struct vfs_file *f, struct vfs_stat *st);
    int (*fd)(struct vfs_file *f);              /* the descriptor */

    int (*stat)(const char *path, bool follow, struct vfs_stat *st);
    int (*chmod)(const char *path, uint32_t mode);
    int (*chown)(const char *path, int32_t uid, int32_t gid);
    int (*utime)(const char *path, int64_t atime, int64_t mtime);
    int (*rename)(const char *from, const char *to);
    int (*link)(const char *existing, const char *path);
    int (*symlink)(const char *target, const char *path);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path);
    int (*rmdir)(const char *path);
    int (*chdir)(const char *path);
    /* The whole length; buf holds the first n bytes of it, not terminated. */
    int64_t (*readlink)(const char *path, char *buf, size_t n);
    int64_t (*getcwd)(char *buf, size_t n);
    /* `each` for every name but . and .., in the system's order. */
    int (*readdir)(const char *path,
                   void (*each)(void *ctx, const char *name, size_t n), void *ctx);
};

/* file:advise/4's advice, in this order. */
enum vfs_advice {
    VFS_NORMAL, VFS_RANDOM, VFS_SEQUENTIAL, VFS_WILL_NEED, VFS_DONT_NEED,
    VFS_NO_REUSE,
};

/* The one in use; main sets it before anything runs. */
extern const struct vfs *vfs;
extern const struct vfs vfs_posix;      /* posix.c, hosted only */

/* A whole file in vm_alloc'ed memory, NUL added; or negative errno. */
int64_t vfs_read_file(const char *path, uint8_t **data);

#endif
