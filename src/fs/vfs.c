/*
 * vfs.c - the file system in use, and what is the same over all of them.
 */
#include <errno.h>

#include "fs/vfs.h"
#include "vm/vm.h"

const struct vfs *vfs;

#define READ_FILE_FIRST 16384   /* when the size is not known: devices, /proc */

int64_t vfs_read_file(const char *path, uint8_t **data)
{
    struct vfs_file *f;
    struct vfs_stat st = {0};
    size_t size, n = 0;
    uint8_t *buf;
    int64_t r;

    r = vfs->open(path, VFS_READ, &f);
    if (r < 0)
        return r;
    if (vfs->fstat(f, &st) < 0)
        st.size = 0;
    size = st.size > 0 ? (size_t)st.size : READ_FILE_FIRST;
    r = -ENOMEM;
    buf = vm_try_alloc(ALLOC_BINARY, size + 1);
    if (!buf)
        goto out;
    for (;;) {
        struct vfs_iov iov = {buf + n, size + 1 - n};
        uint8_t *more;

        r = vfs->readv(f, -1, &iov, 1);
        if (r < 0)
            goto out_buf;
        n += (size_t)r;
        if (n <= size)
            break;
        /* Longer than it said: one byte beyond was read. */
        more = vm_try_realloc(buf, size * 2 + 1);
        if (!more) {
            r = -ENOMEM;
            goto out_buf;
        }
        buf = more;
        size *= 2;
    }
    buf[n] = 0;
    *data = buf;
    vfs->close(f);
    return (int64_t)n;

out_buf:
    vm_free(buf);
out:
    vfs->close(f);
    return r;
}
