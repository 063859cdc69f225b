/*
 * prim_file.c - the natives of prim_file on open files, over vfs.h.
 *
 * An open file is a magic ref. It closes when prim_file closes it, when its
 * owner (the process that opened it) ends, or when nobody refers to it. A
 * closed one answers {error, einval}.
 */
#include "io/prim_file.h"
#include "vm/big.h"
#include "vm/slice.h"

#define IOV_MAX_BINARIES 64     /* of a list are written at once */
/* Bytes read or written until others may run, and what one takes. */
#define PIECE ((size_t)256 << 10)
#define BYTE_NS 1

struct file {
    struct resource res;
    struct proc_watch watch;
    struct vfs_file *f;             /* NULL: closed */
    unsigned users;                 /* in the middle of a transfer */
    struct vfs_file *unused;        /* closed by the last of them */
};
static const char file_type;

static int file_close(struct file *file)
{
    struct vfs_file *f = file->f;

    proc_unwatch(&file->watch);
    file->f = NULL;
    if (!f)
        return 0;
    if (file->users > 0) {
        file->unused = f;
        return 0;
    }
    return f->fs->close(f);
}

static void file_free(struct resource *r)
{
    struct file *file = (struct file *)r;

    file_close(file);
    vm_free(file);
}

static void owner_exits(struct proc_watch *w, struct proc *p)
{
    struct file *file = (struct file *)((char *)w - offsetof(struct file, watch));

    file_close(file);
}

static term file_new(struct proc *p, struct vfs_file *f)
{
    struct file *file = vm_zalloc(ALLOC_SYSTEM, sizeof *file);

    file->res = (struct resource){.refc = 1, .free = file_free, .type = &file_type};
    file->f = f;
    file->watch.fire = owner_exits;
    proc_watch(p, &file->watch);
    return io_ok(p, io_magic(p, &file->res));
}

/* The file of a ref, open; else NULL with the result to return in *result. */
static struct file *file_get(struct proc *p, term t, term *result)
{
    struct file *file = (struct file *)magic_resource(t, &file_type);

    if (!file) {
        *result = bif_badarg(p);
        return NULL;
    }
    if (!file->f) {
        *result = io_error(p, EINVAL);
        return NULL;
    }
    return file;
}

#define OPEN_OR_RETURN(open)                                                   \
    struct file *open;                                                         \
    {                                                                          \
        term result_;                                                          \
        open = file_get(p, arg[0], &result_);                                  \
        if (!open)                                                             \
            return result_;                                                    \
    }
#define FILE_OR_RETURN(f)                                                      \
    OPEN_OR_RETURN(file_)                                                      \
    struct vfs_file *f = file_->f

typedef int64_t transfer_fn(struct vfs_file *f, int64_t offset, struct vfs_iov *iov, int n);

/*
 * All of a vector in pieces, by readv or writev: others run in between. Returns
 * bytes, fewer than asked for at the end of a file, or negative errno.
 */
static int64_t in_pieces(struct vfs_file *f, transfer_fn *fn, int64_t offset,
                         struct vfs_iov *iov, int n)
{
    int64_t total = 0, got;

    while (n > 0) {
        struct vfs_iov part = {iov->base, PIECE}, *from = &part;
        size_t bytes = 0;
        int k = 1;

        if (iov->n > PIECE) {
            bytes = PIECE;
            iov->base = (uint8_t *)iov->base + PIECE;
            iov->n -= PIECE;
        } else {
            from = iov;
            for (k = 0; k < n && bytes + iov[k].n <= PIECE; k++)
                bytes += iov[k].n;
            iov += k;
            n -= k;
        }
        got = fn(f, offset, from, k);
        if (got < 0)
            return got;
        total += got;
        if ((size_t)got < bytes)
            break;
        if (offset >= 0)
            offset += got;
        slice(bytes * BYTE_NS);
    }
    return total;
}

/* The same with a file that others may close meanwhile. */
static int64_t file_transfer(struct file *file, transfer_fn *fn, int64_t offset,
                             struct vfs_iov *iov, int n)
{
    int64_t r;

    file->users++;
    r = in_pieces(file->f, fn, offset, iov, n);
    if (--file->users == 0 && file->unused) {
        file->unused->fs->close(file->unused);
        file->unused = NULL;
    }
    return r;
}

static unsigned modes_of(term list)
{
    unsigned mode = 0;

    for (; term_is_cons(list); list = cons_tail(list)) {
        term t = cons_head(list);

        if (t == am_read)
            mode |= VFS_READ;
        else if (t == am_write)
            mode |= VFS_WRITE;
        else if (t == am_exclusive)
            mode |= VFS_EXCLUSIVE;
        else if (t == am_append)
            mode |= VFS_APPEND;
        else if (t == am_sync)
            mode |= VFS_SYNC;
        else if (t == am_skip_type_check)
            mode |= VFS_ANY_TYPE;
        else if (t == am_directory)
            mode |= VFS_DIRECTORY;
        /* The others are file's and prim_file's business. */
    }
    if (mode & (VFS_APPEND | VFS_EXCLUSIVE))
        mode |= VFS_WRITE;
    else if (!(mode & (VFS_READ | VFS_WRITE)))
        mode |= VFS_READ;
    return mode;
}

NIF(prim_file, open_nif, 2)
{
    struct vfs_file *f;
    struct path path;
    int err;

    if (!term_is_list(arg[1]))
        return bif_badarg(p);
    err = path_get(&path, arg[0]);
    if (err < 0)
        return io_error(p, err);
    err = vfs->open(path.s, modes_of(arg[1]), &f);
    path_end(&path);
    return err < 0 ? io_error(p, err) : file_new(p, f);
}

NIF(prim_file, file_desc_to_ref_nif, 1)
{
    struct vfs_file *f;
    int64_t fd;
    int err;

    if (!term_to_int64(arg[0], &fd) || fd != (int)fd)
        return bif_badarg(p);
    err = HAS(from_fd) ? vfs->from_fd((int)fd, &f) : -ENOTSUP;
    return err < 0 ? io_error(p, err) : file_new(p, f);
}

NIF(prim_file, close_nif, 1)
{
    struct file *file = (struct file *)magic_resource(arg[0], &file_type);

    if (!file)
        return bif_badarg(p);
    if (!file->f)
        return io_error(p, EINVAL);
    return prim_file_done(p, file_close(file));
}

/* For the janitor process of stock OTP; here owner_exits() does its work. */
NIF(prim_file, delayed_close_nif, 1)
{
    struct file *file = (struct file *)magic_resource(arg[0], &file_type);

    if (!file)
        return bif_badarg(p);
    file_close(file);
    return am_ok;
}

/* A refbin of n bytes that is being filled, as a binary on p's heap. */
static term bin_done(struct proc *p, struct refbin *bin, size_t n)
{
    struct dest d;
    term t;

    /* Not worth a refbin, or much of it is unused: copy. */
    if (n <= HEAPBIN_MAX || n < bin->capacity / 2) {
        t = binary_from(p, bin->data, n);
        refbin_put(bin);
        return t;
    }
    bin->size = n;
    d = (struct dest){heap_alloc(p, BINARY_FROM_REFBIN_WORDS), &p->heap.off};
    return binary_put_refbin(&d, bin, bin->data, n);
}

/* Bytes that stay where they are, as a binary: not copied if that saves much. */
static term bin_of(struct proc *p, const uint8_t *bytes, size_t n)
{
    struct dest d;

    if (n <= HEAPBIN_MAX)
        return binary_from(p, bytes, n);
    d = (struct dest){heap_alloc(p, BINARY_FROM_REFBIN_WORDS), &p->heap.off};
    return binary_put_refbin(&d, refbin_new(0), (uint8_t *)bytes, n);
}

static term read_some(struct proc *p, struct file *file, int64_t offset, int64_t n)
{
    struct refbin *bin = refbin_try_new((size_t)n);
    struct vfs_iov iov;
    int64_t got;
    term t;

    if (!bin)
        return io_error(p, ENOMEM);
    iov = (struct vfs_iov){bin->data, (size_t)n};
    got = file_transfer(file, file->f->fs->readv, offset, &iov, 1);
    if (got <= 0) {
        refbin_put(bin);
        return got < 0 ? io_error(p, (int)got) : am_eof;
    }
    t = bin_done(p, bin, (size_t)got);
    return t == THE_NON_VALUE ? io_error(p, ENOMEM) : io_ok(p, t);
}

NIF(prim_file, read_nif, 2)
{
    SLICED(p, EXP("prim_file", "read_nif", 2));

    int64_t n;

    OPEN_OR_RETURN(file)
    if (!term_is_number(arg[1]))
        return bif_badarg(p);
    if (!term_to_int64(arg[1], &n) || n < 0)
        return io_error(p, EINVAL);
    return read_some(p, file, -1, n);
}

NIF(prim_file, pread_nif, 3)
{
    SLICED(p, EXP("prim_file", "pread_nif", 3));

    int64_t offset, n;

    OPEN_OR_RETURN(file)
    if (!term_is_number(arg[1]) || !term_is_number(arg[2]))
        return bif_badarg(p);
    if (!term_to_int64(arg[1], &offset) || !term_to_int64(arg[2], &n) ||
        offset < 0 || n < 0)
        return io_error(p, EINVAL);
    return read_some(p, file, offset, n);
}

/*
 * Write the first binaries of a list. Returns bytes or negative errno, -EDOM
 * if it is not a list of binaries; *rest is what is left of the list.
 */
static int64_t write_some(struct file *file, int64_t offset, term list, term *rest)
{
    struct vfs_iov iov[IOV_MAX_BINARIES];
    struct binbytes bytes[IOV_MAX_BINARIES];
    int64_t r = -EDOM;
    int n = 0;

    for (; term_is_cons(list) && n < IOV_MAX_BINARIES; list = cons_tail(list)) {
        if (!binary_bytes(cons_head(list), &bytes[n]))
            goto out;
        iov[n] = (struct vfs_iov){(void *)bytes[n].data, bytes[n].size};
        n++;
    }
    if (!term_is_list(list))
        goto out;
    *rest = list;
    r = file->f->fs->writev
            ? file_transfer(file, file->f->fs->writev, offset, iov, n) : LACKS_WRITE;
out:
    while (n > 0)
        binary_bytes_end(&bytes[--n]);
    return r;
}

NIF(prim_file, write_nif, 2)
{
    SLICED(p, EXP("prim_file", "write_nif", 2));

    int64_t n;
    term rest, *hp;

    OPEN_OR_RETURN(file)
    n = write_some(file, -1, arg[1], &rest);
    if (n == -EDOM)
        return bif_badarg(p);
    if (n < 0)
        return io_error(p, (int)n);
    if (term_is_nil(rest))
        return am_ok;
    hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_continue, rest);
}

NIF(prim_file, pwrite_nif, 3)
{
    SLICED(p, EXP("prim_file", "pwrite_nif", 3));

    int64_t offset, n;
    term rest, *hp, count;

    OPEN_OR_RETURN(file)
    if (!term_is_number(arg[1]) || !term_is_list(arg[2]))
        return bif_badarg(p);
    if (!term_to_int64(arg[1], &offset) || offset < 0)
        return io_error(p, EINVAL);
    n = write_some(file, offset, arg[2], &rest);
    if (n == -EDOM)
        return bif_badarg(p);
    if (n < 0)
        return io_error(p, (int)n);
    if (term_is_nil(rest))
        return am_ok;
    count = int64_make(p, n);
    hp = heap_alloc(p, 4);
    return put_tuple3(&hp, am_continue, count, rest);
}

NIF(prim_file, seek_nif, 3)
{
    enum vfs_whence whence;
    int64_t offset, at;

    FILE_OR_RETURN(f);
    if (!term_to_int64(arg[2], &offset))
        return bif_badarg(p);
    if (arg[1] == am_bof)
        whence = VFS_BOF;
    else if (arg[1] == am_cur)
        whence = VFS_CUR;
    else if (arg[1] == am_eof)
        whence = VFS_EOF;
    else
        return bif_badarg(p);
    at = f->fs->seek ? f->fs->seek(f, whence, offset) : -ESPIPE;
    return at < 0 ? io_error(p, (int)at) : io_ok(p, int64_make(p, at));
}

NIF(prim_file, sync_nif, 2)
{
    int64_t data_only;

    FILE_OR_RETURN(f);
    if (!term_to_int64(arg[1], &data_only) || data_only != (int)data_only)
        return bif_badarg(p);
    return prim_file_done(p, f->fs->sync ? f->fs->sync(f, data_only != 0) : 0);
}

NIF(prim_file, truncate_nif, 1)
{
    FILE_OR_RETURN(f);
    return prim_file_done(p, f->fs->truncate ? f->fs->truncate(f) : LACKS_WRITE);
}

/* Offset and length of allocate and advise: 0, -EDOM badarg, -EINVAL. */
static int range_get(const term *arg, int64_t *offset, int64_t *length)
{
    if (!term_is_number(arg[0]) || !term_is_number(arg[1]))
        return -EDOM;
    if (!term_to_int64(arg[0], offset) || !term_to_int64(arg[1], length) ||
        *offset < 0 || *length < 0)
        return -EINVAL;
    return 0;
}

NIF(prim_file, allocate_nif, 3)
{
    int64_t offset, length;
    int err;

    FILE_OR_RETURN(f);
    err = range_get(arg + 1, &offset, &length);
    if (err == -EDOM)
        return bif_badarg(p);
    if (err == 0)
        err = f->fs->allocate ? f->fs->allocate(f, offset, length) : -ENOTSUP;
    return prim_file_done(p, err);
}

NIF(prim_file, advise_nif, 4)
{
    const term names[] = {
        [VFS_NORMAL] = am_normal,
        [VFS_RANDOM] = am_random,
        [VFS_SEQUENTIAL] = am_sequential,
        [VFS_WILL_NEED] = am_will_need,
        [VFS_DONT_NEED] = am_dont_need,
        [VFS_NO_REUSE] = am_no_reuse,
    };
    int64_t offset, length;
    size_t advice = 0;
    int err;

    FILE_OR_RETURN(f);
    err = range_get(arg + 1, &offset, &length);
    if (err == -EDOM)
        return bif_badarg(p);
    if (err < 0)
        return io_error(p, err);
    while (advice < sizeof names / sizeof *names && names[advice] != arg[3])
        advice++;
    if (advice == sizeof names / sizeof *names)
        return io_error(p, EINVAL);
    return prim_file_done(p, f->fs->advise ? f->fs->advise(f, offset, length, (int)advice) : 0);
}

/*
 * dets' indirection: <<Size:32, Pos:32>> at an offset says where a block is.
 * eof if that is cut short or the block is larger than the caller wants.
 */
NIF(prim_file, ipread_s32bu_p32bu_nif, 3)
{
    SLICED(p, EXP("prim_file", "ipread_s32bu_p32bu_nif", 3));

    int64_t offset, max, got;
    uint8_t head[8];
    uint32_t size, at;
    struct vfs_iov iov = {head, sizeof head};
    struct refbin *bin;
    term data, *hp;

    OPEN_OR_RETURN(file)
    if (!term_is_number(arg[1]) || !term_is_number(arg[2]))
        return bif_badarg(p);
    if (!term_to_int64(arg[1], &offset) || !term_to_int64(arg[2], &max) ||
        offset < 0 || max >= (int64_t)1 << 31)
        return io_error(p, EINVAL);
    got = file->f->fs->readv(file->f, offset, &iov, 1);
    if (got < 0)
        return io_error(p, (int)got);
    if (got < (int64_t)sizeof head)
        return am_eof;
    size = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 |
           (uint32_t)head[2] << 8 | head[3];
    at = (uint32_t)head[4] << 24 | (uint32_t)head[5] << 16 |
         (uint32_t)head[6] << 8 | head[7];
    if (size > max)
        return am_eof;
    bin = refbin_try_new(size);
    if (!bin)
        return io_error(p, ENOMEM);
    iov = (struct vfs_iov){bin->data, size};
    got = file_transfer(file, file->f->fs->readv, at, &iov, 1);
    if (got <= 0) {
        refbin_put(bin);
        if (got < 0)
            return io_error(p, (int)got);
        data = am_eof;
    } else {
        data = bin_done(p, bin, (size_t)got);
    }
    hp = heap_alloc(p, 4);
    return io_ok(p, put_tuple3(&hp, small_make(size), small_make(at), data));
}

NIF(prim_file, get_handle_nif, 1)
{
    int fd = -1;

    /*
     * Where there are no descriptors, still a binary: only what sendfile of a
     * socket says (enotsup) makes file:sendfile/5 read and send by itself.
     */
    FILE_OR_RETURN(f);
    if (f->fs->fd)
        fd = f->fs->fd(f);
    return binary_from(p, &fd, sizeof fd);
}

NIF(prim_file, read_handle_info_nif, 1)
{
    struct vfs_stat st;
    int err;

    FILE_OR_RETURN(f);
    err = f->fs->fstat(f, &st);
    return err < 0 ? io_error(p, err) : prim_file_info(p, &st);
}

NIF(prim_file, read_file_nif, 1)
{
    SLICED(p, EXP("prim_file", "read_file_nif", 1));

    struct vfs_file *f;
    struct vfs_stat st;
    struct path path;
    struct refbin *bin;
    size_t n = 0, size;
    int64_t got;
    term t;
    int err = path_get(&path, arg[0]);

    if (err < 0)
        return io_error(p, err);
    err = vfs->open(path.s, VFS_READ, &f);
    path_end(&path);
    if (err < 0)
        return io_error(p, err);
    const uint8_t *bytes = f->fs->bytes ? f->fs->bytes(f, &n) : NULL;
    if (bytes) {
        f->fs->close(f);
        return io_ok(p, bin_of(p, bytes, n));
    }
    if (f->fs->fstat(f, &st) < 0)
        st.size = 0;
    size = st.size > 0 ? (size_t)st.size : 16384;
    bin = refbin_try_new(size);
    for (;;) {
        struct refbin *more;
        struct vfs_iov iov;

        if (!bin) {
            err = -ENOMEM;
            break;
        }
        iov = (struct vfs_iov){bin->data + n, size - n};
        got = in_pieces(f, f->fs->readv, -1, &iov, 1);
        if (got < 0) {
            err = (int)got;
            break;
        }
        n += (size_t)got;
        /* As OTP: a file whose size is known is not read beyond it. */
        if (n < size || n == (size_t)st.size)
            break;
        size *= 2;
        more = refbin_try_new(size);
        if (more)
            slice_copy(more->data, bin->data, n);
        refbin_put(bin);
        bin = more;
    }
    f->fs->close(f);
    if (err < 0) {
        if (bin)
            refbin_put(bin);
        return io_error(p, err);
    }
    t = bin_done(p, bin, n);
    return t == THE_NON_VALUE ? io_error(p, ENOMEM) : io_ok(p, t);
}
