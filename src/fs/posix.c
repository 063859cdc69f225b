/*
 * posix.c - the host's files behind vfs.h. Hosted only.
 *
 * Error numbers are passed on, but for the few that OTP corrects
 * (erts/emulator/nifs/unix/unix_prim_file.c says where and why).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utime.h>

#include "fs/vfs.h"
#include "vm/vm.h"

_Static_assert(sizeof(struct vfs_iov) == sizeof(struct iovec) &&
               offsetof(struct vfs_iov, n) == offsetof(struct iovec, iov_len),
               "vfs_iov is passed as iovec");

struct posix_file {
    struct vfs_file file;
    int fd;
};

static int fd_of(struct vfs_file *f)
{
    return ((struct posix_file *)f)->fd;
}

static int result(int r)
{
    return r < 0 ? -errno : 0;
}

static struct vfs_file *new_file(int fd)
{
    struct posix_file *f = vm_alloc(ALLOC_SYSTEM, sizeof *f);

    f->file.fs = &vfs_posix;
    f->fd = fd;
    return &f->file;
}

static int posix_open(const char *path, unsigned mode, struct vfs_file **file)
{
    int flags = O_CLOEXEC, fd, err;
    struct stat st;

    if (!(mode & VFS_WRITE))
        flags |= O_RDONLY;
    else if (!(mode & VFS_READ))
        flags |= O_WRONLY | O_CREAT | O_TRUNC;
    else
        flags |= O_RDWR | O_CREAT;
    if (mode & VFS_APPEND)
        flags = (flags & ~O_TRUNC) | O_APPEND;
    if (mode & VFS_EXCLUSIVE)
        flags |= O_EXCL;
    if (mode & VFS_SYNC)
        flags |= O_SYNC;
    if (mode & VFS_DIRECTORY)
        flags |= O_DIRECTORY;
    do
        fd = open(path, flags, mode & VFS_DIRECTORY ? 0777 : 0666);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    if (!(mode & (VFS_ANY_TYPE | VFS_DIRECTORY))) {
        err = fstat(fd, &st);
        if (err == 0 && S_ISDIR(st.st_mode)) {
            close(fd);
            return -EISDIR;
        }
    }
    *file = new_file(fd);
    return 0;
}

static int posix_from_fd(int fd, struct vfs_file **file)
{
    if (fcntl(fd, F_GETFL) < 0 && errno == EBADF)
        return -errno;
    *file = new_file(fd);
    return 0;
}

static int posix_close(struct vfs_file *f)
{
    /* Linux closes even when close() fails: never try again. */
    int r = result(close(fd_of(f)));

    vm_free(f);
    return r;
}

/* Cut the first n bytes off the vector. */
static void advance(struct vfs_iov **iov, int *count, size_t n)
{
    while (*count > 0 && n >= (*iov)->n) {
        n -= (*iov)->n;
        ++*iov;
        --*count;
    }
    if (n > 0) {
        (*iov)->base = (uint8_t *)(*iov)->base + n;
        (*iov)->n -= n;
    }
}

static int64_t transfer(struct vfs_file *f, int64_t offset, struct vfs_iov *iov,
                        int count, bool write)
{
    int fd = fd_of(f);
    int64_t total = 0;
    ssize_t n;

    for (;;) {
        int part = count < IOV_MAX ? count : IOV_MAX;
        const struct iovec *v = (const struct iovec *)iov;

        if (count == 0)
            return total;
        if (offset < 0)
            n = write ? writev(fd, v, part) : readv(fd, v, part);
        else
            n = write ? pwritev(fd, v, part, offset + total)
                      : preadv(fd, v, part, offset + total);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 && iov->n > 0)
            return total;
        total += n;
        advance(&iov, &count, (size_t)n);
    }
}

static int64_t posix_readv(struct vfs_file *f, int64_t offset,
                           struct vfs_iov *iov, int n)
{
    return transfer(f, offset, iov, n, false);
}

static int64_t posix_writev(struct vfs_file *f, int64_t offset,
                            struct vfs_iov *iov, int n)
{
    return transfer(f, offset, iov, n, true);
}

static int64_t posix_seek(struct vfs_file *f, enum vfs_whence whence, int64_t offset)
{
    static const int how[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    off_t at = lseek(fd_of(f), offset, how[whence]);

    return at < 0 ? -errno : at;
}

static int posix_sync(struct vfs_file *f, bool data_only)
{
    return result(data_only ? fdatasync(fd_of(f)) : fsync(fd_of(f)));
}

static int posix_truncate(struct vfs_file *f)
{
    off_t at = lseek(fd_of(f), 0, SEEK_CUR);

    if (at < 0)
        return -errno;
    return result(ftruncate(fd_of(f), at));
}

static int posix_allocate(struct vfs_file *f, int64_t offset, int64_t length)
{
    int r;

    do
        r = fallocate(fd_of(f), 0, offset, length);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return 0;
    do
        r = posix_fallocate(fd_of(f), offset, length);
    while (r == EINTR);
    return -r;
}

static int posix_advise(struct vfs_file *f, int64_t offset, int64_t length, int advice)
{
    static const int how[] = {
        [VFS_NORMAL] = POSIX_FADV_NORMAL,
        [VFS_RANDOM] = POSIX_FADV_RANDOM,
        [VFS_SEQUENTIAL] = POSIX_FADV_SEQUENTIAL,
        [VFS_WILL_NEED] = POSIX_FADV_WILLNEED,
        [VFS_DONT_NEED] = POSIX_FADV_DONTNEED,
        [VFS_NO_REUSE] = POSIX_FADV_NOREUSE,
    };

    /* It returns the error rather than -1; OTP takes that for success. */
    posix_fadvise(fd_of(f), offset, length, how[advice]);
    return 0;
}

static void fill(struct vfs_stat *st, const struct stat *s)
{
    *st = (struct vfs_stat){
        .size = s->st_size,
        .type = S_ISCHR(s->st_mode) || S_ISBLK(s->st_mode) ? VFS_DEVICE
                : S_ISDIR(s->st_mode)                      ? VFS_DIR
                : S_ISREG(s->st_mode)                      ? VFS_REGULAR
                : S_ISLNK(s->st_mode)                      ? VFS_SYMLINK
                                                           : VFS_OTHER,
        .mode = s->st_mode,
        .links = (uint32_t)s->st_nlink,
        .major = (uint32_t)s->st_dev,   /* so named by OTP */
        .minor = (uint32_t)s->st_rdev,
        .uid = s->st_uid,
        .gid = s->st_gid,
        .inode = s->st_ino,
        .atime = s->st_atime,
        .mtime = s->st_mtime,
        .ctime = s->st_ctime,
    };
}

static int posix_fstat(struct vfs_file *f, struct vfs_stat *st)
{
    struct stat s;
    unsigned bits;

    if (fstat(fd_of(f), &s) < 0)
        return -errno;
    fill(st, &s);
    bits = s.st_uid == geteuid()   ? s.st_mode >> 6
           : s.st_gid == getegid() ? s.st_mode >> 3
                                   : s.st_mode;
    st->access = (bits & 4 ? VFS_READ : 0) | (bits & 2 ? VFS_WRITE : 0);
    return 0;
}

static int posix_stat(const char *path, bool follow, struct vfs_stat *st)
{
    struct stat s;

    if ((follow ? stat(path, &s) : lstat(path, &s)) < 0)
        return -errno;
    fill(st, &s);
    st->access = (access(path, R_OK) == 0 ? VFS_READ : 0) |
                 (access(path, W_OK) == 0 ? VFS_WRITE : 0);
    return 0;
}

static int posix_chmod(const char *path, uint32_t mode)
{
    mode &= S_ISUID | S_ISGID | S_IRWXU | S_IRWXG | S_IRWXO;
    if (chmod(path, mode) == 0)
        return 0;
    return result(chmod(path, mode & ~(uint32_t)(S_ISUID | S_ISGID)));
}

static int posix_chown(const char *path, int32_t uid, int32_t gid)
{
    return result(chown(path, (uid_t)uid, (gid_t)gid));
}

static int posix_utime(const char *path, int64_t atime, int64_t mtime)
{
    struct utimbuf t = {.actime = atime, .modtime = mtime};

    return result(utime(path, &t));
}

static int posix_rename(const char *from, const char *to)
{
    if (rename(from, to) == 0)
        return 0;
    if (errno == ENOTEMPTY)
        return -EEXIST;
    return strcmp(from, "/") == 0 ? -EINVAL : -errno;
}

static int posix_link(const char *existing, const char *path)
{
    return result(link(existing, path));
}

static int posix_symlink(const char *target, const char *path)
{
    return result(symlink(target, path));
}

static int posix_unlink(const char *path)
{
    if (unlink(path) == 0)
        return 0;
    return errno == EISDIR ? -EPERM : -errno;
}

static int posix_mkdir(const char *path)
{
    return result(mkdir(path, 0777));
}

static int posix_rmdir(const char *path)
{
    struct stat dir, cwd;
    int err;

    if (rmdir(path) == 0)
        return 0;
    err = errno == ENOTEMPTY ? EEXIST : errno;
    if (err == EEXIST && stat(path, &dir) == 0 && stat(".", &cwd) == 0 &&
        dir.st_ino == cwd.st_ino && dir.st_dev == cwd.st_dev)
        err = EINVAL;
    return -err;
}

static int posix_chdir(const char *path)
{
    return result(chdir(path));
}

static int64_t posix_readlink(const char *path, char *buf, size_t n)
{
    ssize_t r = readlink(path, buf, n);

    /* Full: how long it is only a larger buffer can tell. */
    if (r >= 0 && (size_t)r == n)
        return (int64_t)n * 2;
    return r < 0 ? -errno : r;
}

static int64_t posix_getcwd(char *buf, size_t n)
{
    if (getcwd(buf, n))
        return (int64_t)strlen(buf);
    return errno == ERANGE ? (int64_t)n * 2 : -errno;
}

static int posix_readdir(const char *path,
                         void (*each)(void *, const char *, size_t), void *ctx)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (!d)
        return -errno;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            each(ctx, e->d_name, strlen(e->d_name));
    }
    closedir(d);
    return 0;
}

const struct vfs vfs_posix = {
    .name = "posix",
    .open = posix_open,
    .from_fd = posix_from_fd,
    .close = posix_close,
    .readv = posix_readv,
    .writev = posix_writev,
    .seek = posix_seek,
    .sync = posix_sync,
    .truncate = posix_truncate,
    .allocate = posix_allocate,
    .advise = posix_advise,
    .fstat = posix_fstat,
    .fd = fd_of,
    .stat = posix_stat,
    .chmod = posix_chmod,
    .chown = posix_chown,
    .utime = posix_utime,
    .rename = posix_rename,
    .link = posix_link,
    .symlink = posix_symlink,
    .unlink = posix_unlink,
    .mkdir = posix_mkdir,
    .rmdir = posix_rmdir,
    .chdir = posix_chdir,
    .readlink = posix_readlink,
    .getcwd = posix_getcwd,
    .readdir = posix_readdir,
};
