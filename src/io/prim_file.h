/*
 * prim_file.h - what the two files of prim_file's natives share.
 */
#ifndef IO_PRIM_FILE_H
#define IO_PRIM_FILE_H

#include <errno.h>

#include "bif/bif.h"
#include "fs/vfs.h"
#include "io/io.h"

/*
 * A path as internal_name2native makes it: a binary that ends in NUL, which
 * appears nowhere else but in a run at the end.
 */
struct path {
    struct binbytes bytes;
    const char *s;
};
/* 0, or -EINVAL: t is none. Good until path_end(), which only then is wanted. */
int path_get(struct path *path, term t);
void path_end(struct path *path);

/* ok, or {error, Reason} of negative errno. */
static inline term prim_file_done(struct proc *p, int err)
{
    return err < 0 ? io_error(p, err) : am_ok;
}

/* #file_info{} (file.hrl) on p's heap. The times are converted by prim_file. */
term prim_file_info(struct proc *p, const struct vfs_stat *st);

/* Does the file system have such an operation? What it says that has none to write. */
#define HAS(op) (vfs->op != NULL)
#define LACKS_WRITE (vfs->read_only ? -EROFS : -ENOTSUP)

#endif
