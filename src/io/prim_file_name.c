/*
 * prim_file_name.c - the natives of prim_file on what a path names, over vfs.h.
 */
#include "io/prim_file.h"
#include "vm/big.h"

/* {{1902,1,1},{0,0,0}}: what converts between all kinds of time. */
#define MIN_FILETIME (-2145916800)

int path_get(struct path *path, term t)
{
    const uint8_t *s, *nul;

    if (!binary_bytes(t, &path->bytes))
        return -EINVAL;
    s = path->bytes.data;
    nul = path->bytes.size ? memchr(s, 0, path->bytes.size) : NULL;
    for (const uint8_t *at = nul; at && at < s + path->bytes.size; at++)
        if (*at)
            nul = NULL;
    if (!nul) {
        binary_bytes_end(&path->bytes);
        return -EINVAL;
    }
    path->s = (const char *)s;
    return 0;
}

void path_end(struct path *path)
{
    binary_bytes_end(&path->bytes);
}

static term type_atom(enum vfs_type type)
{
    switch (type) {
    case VFS_DEVICE: return am_device;
    case VFS_DIR: return am_directory;
    case VFS_REGULAR: return am_regular;
    case VFS_SYMLINK: return am_symlink;
    case VFS_OTHER: break;
    }
    return am_other;
}

static term access_atom(unsigned access)
{
    switch (access & (VFS_READ | VFS_WRITE)) {
    case VFS_READ: return am_read;
    case VFS_WRITE: return am_write;
    case VFS_READ | VFS_WRITE: return am_read_write;
    }
    return am_none;
}

static int64_t filetime(int64_t t)
{
    return t < MIN_FILETIME ? MIN_FILETIME : t;
}

term prim_file_info(struct proc *p, const struct vfs_stat *st)
{
    term *hp, t[14];

    t[0] = am_file_info;
    t[1] = int64_make(p, st->size);
    t[2] = type_atom(st->type);
    t[3] = access_atom(st->access);
    t[4] = int64_make(p, filetime(st->atime));
    t[5] = int64_make(p, filetime(st->mtime));
    t[6] = int64_make(p, filetime(st->ctime));
    t[7] = small_make(st->mode);
    t[8] = small_make(st->links);
    t[9] = small_make(st->major);
    t[10] = small_make(st->minor);
    t[11] = small_make((uint32_t)st->inode);    /* 32 bits, as OTP 25 */
    t[12] = small_make(st->uid);
    t[13] = small_make(st->gid);
    hp = heap_alloc(p, 15);
    hp[0] = TUPLE_HEADER(14);
    memcpy(hp + 1, t, sizeof t);
    return boxed_make(hp);
}

NIF(prim_file, read_info_nif, 2)
{
    struct vfs_stat st;
    struct path path;
    int64_t follow;
    int err;

    if (!term_to_int64(arg[1], &follow) || follow != (int)follow)
        return bif_badarg(p);
    err = path_get(&path, arg[0]);
    if (err < 0)
        return io_error(p, err);
    err = vfs->stat(path.s, follow != 0, &st);
    path_end(&path);
    return err < 0 ? io_error(p, err) : prim_file_info(p, &st);
}

NIF(prim_file, set_permissions_nif, 2)
{
    struct path path;
    int64_t mode;
    int err;

    if (!term_to_int64(arg[1], &mode) || mode != (uint32_t)mode)
        return bif_badarg(p);
    err = path_get(&path, arg[0]);
    if (err < 0)
        return io_error(p, err);
    err = HAS(chmod) ? vfs->chmod(path.s, (uint32_t)mode) : LACKS_WRITE;
    path_end(&path);
    return prim_file_done(p, err);
}

NIF(prim_file, set_owner_nif, 3)
{
    struct path path;
    int64_t uid, gid;
    int err;

    if (!term_to_int64(arg[1], &uid) || uid != (int32_t)uid ||
        !term_to_int64(arg[2], &gid) || gid != (int32_t)gid)
        return bif_badarg(p);
    err = path_get(&path, arg[0]);
    if (err < 0)
        return io_error(p, err);
    err = HAS(chown) ? vfs->chown(path.s, (int32_t)uid, (int32_t)gid) : LACKS_WRITE;
    path_end(&path);
    return prim_file_done(p, err);
}

NIF(prim_file, set_time_nif, 4)
{
    struct path path;
    int64_t atime, mtime, ctime;
    int err;

    if (!term_to_int64(arg[1], &atime) || !term_to_int64(arg[2], &mtime) ||
        !term_to_int64(arg[3], &ctime))
        return bif_badarg(p);
    err = path_get(&path, arg[0]);
    if (err < 0)
        return io_error(p, err);
    err = HAS(utime) ? vfs->utime(path.s, atime, mtime) : LACKS_WRITE;
    path_end(&path);
    return prim_file_done(p, err);
}

/* Text whose length only the second try knows: a link's target, the cwd. */
static term read_text(struct proc *p, const char *path,
                      int64_t (*link)(const char *, char *, size_t))
{
    size_t size = 256;

    for (;;) {
        char *buf = vm_try_alloc(ALLOC_SYSTEM, size);
        int64_t n;
        term t;

        if (!buf)
            return io_error(p, ENOMEM);
        n = link ? link(path, buf, size) : vfs->getcwd(buf, size);
        if (n < 0 || (size_t)n < size) {
            t = n < 0 ? io_error(p, (int)n) : io_ok(p, binary_from(p, buf, (size_t)n));
            vm_free(buf);
            return t;
        }
        vm_free(buf);
        size = (size_t)n + 1;
    }
}

NIF(prim_file, read_link_nif, 1)
{
    struct path path;
    int err = path_get(&path, arg[0]);
    term t;

    if (err < 0)
        return io_error(p, err);
    t = HAS(readlink) ? read_text(p, path.s, vfs->readlink) : io_error(p, EINVAL);
    path_end(&path);
    return t;
}

NIF(prim_file, get_cwd_nif, 0)
{
    return HAS(getcwd) ? read_text(p, NULL, NULL) : io_error(p, ENOTSUP);
}

NIF(prim_file, get_device_cwd_nif, 1)
{
    int64_t n;

    if (!term_to_int64(arg[0], &n) || n != (int)n)
        return bif_badarg(p);
    return io_error(p, ENOTSUP);        /* Windows' */
}

NIF(prim_file, altname_nif, 1)
{
    struct path path;
    int err = path_get(&path, arg[0]);

    if (err < 0)
        return io_error(p, err);
    path_end(&path);
    return io_error(p, ENOTSUP);        /* Windows' */
}

struct listing {
    struct proc *p;
    term list;
};

static void add_name(void *ctx, const char *name, size_t n)
{
    struct listing *l = ctx;
    term t = binary_from(l->p, name, n), *hp;

    hp = heap_alloc(l->p, CONS_WORDS);
    l->list = put_cons(&hp, t, l->list);
}

NIF(prim_file, list_dir_nif, 1)
{
    struct listing l = {p, TERM_NIL};
    struct path path;
    int err = path_get(&path, arg[0]);

    if (err < 0)
        return io_error(p, err);
    err = vfs->readdir(path.s, add_name, &l);
    path_end(&path);
    return err < 0 ? io_error(p, err) : io_ok(p, l.list);
}

static term with_path(struct proc *p, term t, int (*op)(const char *), int lacks)
{
    struct path path;
    int err = path_get(&path, t);

    if (err < 0)
        return io_error(p, err);
    err = op ? op(path.s) : lacks;
    path_end(&path);
    return prim_file_done(p, err);
}

static term with_paths(struct proc *p, const term *t,
                       int (*op)(const char *, const char *))
{
    struct path a, b;
    int err = path_get(&a, t[0]);

    if (err < 0)
        return io_error(p, err);
    err = path_get(&b, t[1]);
    if (err == 0) {
        err = op ? op(a.s, b.s) : LACKS_WRITE;
        path_end(&b);
    }
    path_end(&a);
    return prim_file_done(p, err);
}

NIF(prim_file, rename_nif, 2)
{
    return with_paths(p, arg, vfs->rename);
}

NIF(prim_file, make_hard_link_nif, 2)
{
    return with_paths(p, arg, vfs->link);
}

NIF(prim_file, make_soft_link_nif, 2)
{
    return with_paths(p, arg, vfs->symlink);
}

NIF(prim_file, make_dir_nif, 1)
{
    return with_path(p, arg[0], vfs->mkdir, LACKS_WRITE);
}

NIF(prim_file, del_file_nif, 1)
{
    return with_path(p, arg[0], vfs->unlink, LACKS_WRITE);
}

NIF(prim_file, del_dir_nif, 1)
{
    return with_path(p, arg[0], vfs->rmdir, LACKS_WRITE);
}

NIF(prim_file, set_cwd_nif, 1)
{
    return with_path(p, arg[0], vfs->chdir, -ENOTSUP);
}
