/*
 * digest.c - MD5, CRC-32 and Adler-32 of iodata.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/md5.h"
#include "vm/slice.h"

#include <errno.h>
#include <zlib.h>

#define BYTES_PER_RED 2000

/* Iodata as one run of bytes, copied where it has to be. */
struct iodata {
    struct binbytes bytes;
};

/* 0, or -EINVAL: not iodata, or -ENOMEM. */
static int iodata_get(struct proc *p, term t, struct iodata *io)
{
    size_t n;

    if (!binary_bytes(t, &io->bytes)) {
        if (iolist_size(t, &n) < 0)
            return -EINVAL;
        io->bytes.copy = vm_try_alloc(ALLOC_BINARY, n ? n : 1);
        if (!io->bytes.copy)
            return -ENOMEM;
        iolist_copy(t, io->bytes.copy);
        io->bytes.data = io->bytes.copy;
        io->bytes.size = n;
    }
    bif_spend(p, io->bytes.size, BYTES_PER_RED);
    return 0;
}

static term iodata_failed(struct proc *p, int err)
{
    return bif_error(p, err == -ENOMEM ? am_system_limit : am_badarg);
}

BIF(erlang, md5, 1)
{
    SLICED(p, EXP("erlang", "md5", 1));
    struct iodata io;
    struct md5 m;
    uint8_t out[16];
    int err = iodata_get(p, arg[0], &io);

    if (err < 0)
        return iodata_failed(p, err);
    md5_init(&m);
    md5_update(&m, io.bytes.data, io.bytes.size);
    md5_final(&m, out);
    binary_bytes_end(&io.bytes);
    return binary_from(p, out, sizeof out);
}

/* A context is the struct itself in a binary; only its size can be checked. */
static bool md5_context(term t, struct md5 *m)
{
    struct binbytes b;
    bool good;

    if (!binary_bytes(t, &b))
        return false;
    good = b.size == sizeof *m;
    if (good)
        memcpy(m, b.data, sizeof *m);
    binary_bytes_end(&b);
    return good;
}

BIF(erlang, md5_init, 0)
{
    struct md5 m;

    memset(&m, 0, sizeof m);
    md5_init(&m);
    return binary_from(p, &m, sizeof m);
}

BIF(erlang, md5_update, 2)
{
    SLICED(p, EXP("erlang", "md5_update", 2));
    struct iodata io;
    struct md5 m;

    if (!md5_context(arg[0], &m))
        return bif_badarg(p);
    int err = iodata_get(p, arg[1], &io);
    if (err < 0)
        return iodata_failed(p, err);
    md5_update(&m, io.bytes.data, io.bytes.size);
    binary_bytes_end(&io.bytes);
    return binary_from(p, &m, sizeof m);
}

BIF(erlang, md5_final, 1)
{
    struct md5 m;
    uint8_t out[16];

    if (!md5_context(arg[0], &m))
        return bif_badarg(p);
    md5_final(&m, out);
    return binary_from(p, out, sizeof out);
}

typedef uLong (*sum_fn)(uLong sum, const Bytef *data, z_size_t n);

/* Bytes summed until time is looked at. */
#define SUM_BYTES ((size_t)64 << 10)
#define SUM_BYTES_PER_NS 1

static term checksum(struct proc *p, sum_fn fn, uint64_t start, term data)
{
    struct iodata io;
    int err;

    if (start > UINT32_MAX)
        return bif_badarg(p);
    err = iodata_get(p, data, &io);
    if (err < 0)
        return iodata_failed(p, err);
    uint64_t sum = start;

    for (size_t at = 0, n; at < io.bytes.size; at += n) {
        n = io.bytes.size - at < SUM_BYTES ? io.bytes.size - at : SUM_BYTES;
        sum = fn(sum, io.bytes.data + at, n);
        slice(n / SUM_BYTES_PER_NS);
    }
    binary_bytes_end(&io.bytes);
    return small_make((int64_t)sum);
}

static term checksum_from(struct proc *p, sum_fn fn, term *arg)
{
    uint64_t start;

    if (!term_to_uint64(arg[0], &start))
        return bif_badarg(p);
    return checksum(p, fn, start, arg[1]);
}

BIF(erlang, crc32, 1)
{
    SLICED(p, EXP("erlang", "crc32", 1));

    return checksum(p, crc32_z, 0, arg[0]);
}

BIF(erlang, crc32, 2)
{
    SLICED(p, EXP("erlang", "crc32", 2));

    return checksum_from(p, crc32_z, arg);
}

BIF(erlang, adler32, 1)
{
    SLICED(p, EXP("erlang", "adler32", 1));

    return checksum(p, adler32_z, 1, arg[0]);
}

BIF(erlang, adler32, 2)
{
    SLICED(p, EXP("erlang", "adler32", 2));

    return checksum_from(p, adler32_z, arg);
}

static bool combine_args(const term *arg, uint64_t v[3])
{
    for (int i = 0; i < 3; i++) {
        if (!term_to_uint64(arg[i], &v[i]))
            return false;
    }
    return v[0] <= UINT32_MAX && v[1] <= UINT32_MAX && v[2] <= INT64_MAX;
}

BIF(erlang, crc32_combine, 3)
{
    uint64_t v[3];

    if (!combine_args(arg, v))
        return bif_badarg(p);
    return small_make((int64_t)crc32_combine(v[0], v[1], (z_off_t)v[2]));
}

BIF(erlang, adler32_combine, 3)
{
    uint64_t v[3];

    if (!combine_args(arg, v))
        return bif_badarg(p);
    return small_make((int64_t)adler32_combine(v[0], v[1], (z_off_t)v[2]));
}
