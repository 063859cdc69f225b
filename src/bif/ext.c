/*
 * ext.c - term_to_binary, binary_to_term and their kin.
 *
 * Both are written as if they were done in one go; they go in slices.
 */
#include "bif/ext.h"

#include "bif/bif.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/ext.h"
#include "vm/slice.h"

#include <zlib.h>

#define BYTES_PER_RED 128
#define INFLATE_RATIO_MAX 1032  /* deflate can't do better */
/* Bytes deflated or inflated until time is looked at, and what one takes. */
#define DEFLATE_BYTES ((size_t)16 << 10)
#define DEFLATE_NS 30
#define INFLATE_BYTES ((size_t)256 << 10)
#define INFLATE_NS 3

static bool encode(struct ext_buf *b, term t, unsigned flags)
{
    ext_buf_init(b);
    b->data[b->n++] = EXT_VERSION;
    return ext_encode(b, t, flags | EXT_ABANDON);
}

/* A binary of what is in the buffer, which is done with. */
static term take_binary(struct proc *p, struct ext_buf *b)
{
    size_t n = b->n;
    struct refbin *bin;

    if (n <= HEAPBIN_MAX)
        return binary_from(p, b->data, n);
    bin = ext_buf_refbin(b);
    return bin ? binary_from_refbin(p, bin) : THE_NON_VALUE;
}

static term encode_plain(struct proc *p, term t, unsigned flags)
{
    struct ext_buf b;
    term bin = THE_NON_VALUE;

    if (encode(&b, t, flags)) {
        bif_spend(p, b.n, BYTES_PER_RED);
        bin = take_binary(p, &b);
    }
    ext_buf_fini(&b);
    return bin != THE_NON_VALUE ? bin : bif_error(p, am_system_limit);
}

/*
 * n bytes, less than 4 GiB, into *room, which becomes what they took. False if
 * there is not as much room.
 */
static bool deflate_all(uint8_t *out, size_t *room, const uint8_t *data, size_t n, int level)
{
    z_stream z = {.next_out = out, .avail_out = (uInt)*room};
    int rc = Z_OK;

    if (deflateInit(&z, level) != Z_OK)
        return false;
    while (rc == Z_OK && z.avail_out > 0) {
        size_t take = n < DEFLATE_BYTES ? n : DEFLATE_BYTES;

        z.next_in = (uint8_t *)data;
        z.avail_in = (uInt)take;
        rc = deflate(&z, take == n ? Z_FINISH : Z_NO_FLUSH);
        take -= z.avail_in;
        data += take;
        n -= take;
        slice(DEFLATE_NS * (take + 1));
    }
    *room -= z.avail_out;
    deflateEnd(&z);
    return rc == Z_STREAM_END;
}

/* Deflate b; what does not become smaller is left as it is. */
static term compressed(struct proc *p, struct ext_buf *b, int level)
{
    size_t n = b->n;
    uint8_t *packed;
    term bin;

    if (n <= EXT_COMPRESSED_HEAD || n - 1 > UINT32_MAX)
        return take_binary(p, b);
    packed = vm_try_alloc(ALLOC_BINARY, n);
    if (!packed)
        return THE_NON_VALUE;

    size_t room = n - EXT_COMPRESSED_HEAD;
    packed[0] = EXT_VERSION;
    packed[1] = EXT_COMPRESSED;
    packed[2] = (uint8_t)((n - 1) >> 24);
    packed[3] = (uint8_t)((n - 1) >> 16);
    packed[4] = (uint8_t)((n - 1) >> 8);
    packed[5] = (uint8_t)(n - 1);
    if (deflate_all(packed + EXT_COMPRESSED_HEAD, &room, b->data + 1, n - 1, level))
        bin = binary_from(p, packed, EXT_COMPRESSED_HEAD + room);
    else
        bin = take_binary(p, b);
    vm_free(packed);
    return bin;
}

static term encode_compressed(struct proc *p, term t, unsigned flags, int level)
{
    struct ext_buf b;
    term bin = THE_NON_VALUE;

    if (encode(&b, t, flags)) {
        bif_spend(p, b.n, BYTES_PER_RED / 2);
        bin = compressed(p, &b, level);
    }
    ext_buf_fini(&b);
    return bin != THE_NON_VALUE ? bin : bif_error(p, am_system_limit);
}

static bool encode_options(term opts, unsigned *flags, int *level)
{
    *flags = 0;
    *level = 0;
    for (; term_is_cons(opts); opts = cons_tail(opts)) {
        term o = cons_head(opts);

        if (o == am_compressed) {
            *level = Z_DEFAULT_COMPRESSION;
            continue;
        }
        if (o == am_deterministic) {
            *flags |= EXT_DETERMINISTIC;
            continue;
        }
        if (!term_is_tuple_of(o, 2) || !term_is_small(*tuple_at(o, 2)))
            return false;
        int64_t v = small_value(*tuple_at(o, 2));
        if (*tuple_at(o, 1) == am_minor_version && v >= 0 && v <= 2) {
            *flags &= EXT_DETERMINISTIC;
            *flags |= v == 0 ? EXT_MINOR_0 : v == 2 ? EXT_MINOR_2 : 0;
        } else if (*tuple_at(o, 1) == am_compressed && v >= 0 && v <= 9) {
            *level = (int)v;
        } else {
            return false;
        }
    }
    return term_is_nil(opts);
}

static term encode_with(struct proc *p, term t, term opts)
{
    unsigned flags;
    int level;

    if (!encode_options(opts, &flags, &level))
        return bif_badarg(p);
    return level ? encode_compressed(p, t, flags, level)
                 : encode_plain(p, t, flags);
}

static term in_list(struct proc *p, term t)
{
    if (t == THE_NON_VALUE)
        return t;
    term *hp = heap_alloc(p, CONS_WORDS);
    return put_cons(&hp, t, TERM_NIL);
}

BIF(erlang, term_to_binary, 1)
{
    SLICED(p, EXP("erlang", "term_to_binary", 1));

    return encode_plain(p, arg[0], 0);
}

BIF(erlang, term_to_binary, 2)
{
    SLICED(p, EXP("erlang", "term_to_binary", 2));

    return encode_with(p, arg[0], arg[1]);
}

/* One binary: how the bytes are divided is not specified. */
BIF(erlang, term_to_iovec, 1)
{
    SLICED(p, EXP("erlang", "term_to_iovec", 1));

    return in_list(p, encode_plain(p, arg[0], 0));
}

BIF(erlang, term_to_iovec, 2)
{
    SLICED(p, EXP("erlang", "term_to_iovec", 2));

    return in_list(p, encode_with(p, arg[0], arg[1]));
}

BIF(erlang, external_size, 1)
{
    SLICED(p, EXP("erlang", "external_size", 1));

    return uint64_make(p, 1 + ext_encode_size(arg[0], EXT_OTP_SIZE));
}

BIF(erlang, external_size, 2)
{
    SLICED(p, EXP("erlang", "external_size", 2));

    unsigned flags = EXT_OTP_SIZE;
    term opts = arg[1];

    /* Here, unlike in term_to_binary/2, nothing resets an earlier 0. */
    for (; term_is_cons(opts); opts = cons_tail(opts)) {
        term o = cons_head(opts);

        if (!term_is_tuple_of(o, 2) || *tuple_at(o, 1) != am_minor_version)
            return bif_badarg(p);
        if (*tuple_at(o, 2) == small_make(0))
            flags |= EXT_MINOR_0;
        else if (*tuple_at(o, 2) != small_make(1))
            return bif_badarg(p);
    }
    if (!term_is_nil(opts))
        return bif_badarg(p);
    return uint64_make(p, 1 + ext_encode_size(arg[0], flags));
}

/*
 * Inflate what follows a EXT_COMPRESSED tag. *used gets the bytes of the input.
 * NULL if it is not sound or does not give exactly `size` bytes.
 */
static uint8_t *inflate_all(const uint8_t *data, size_t n, size_t size,
                            size_t *used)
{
    z_stream z = {0};
    uint8_t *out;
    int rc;

    if (size / INFLATE_RATIO_MAX > n || n > UINT32_MAX)
        return NULL;
    out = vm_try_alloc(ALLOC_BINARY, size ? size : 1);
    if (!out)
        return NULL;
    if (inflateInit(&z) != Z_OK) {
        vm_free(out);
        return NULL;
    }
    z.next_in = (uint8_t *)data;
    z.avail_in = (uInt)n;
    z.next_out = out;
    do {
        size_t left = size - z.total_out;
        size_t most = left < INFLATE_BYTES ? left : INFLATE_BYTES;

        z.avail_out = (uInt)most;
        rc = inflate(&z, most == left ? Z_FINISH : Z_NO_FLUSH);
        slice(INFLATE_NS * (most + 1));
    } while (rc == Z_OK && z.avail_out == 0 && z.total_out < size);
    *used = n - z.avail_in;
    inflateEnd(&z);
    if (rc != Z_STREAM_END || z.total_out != size) {
        vm_free(out);
        return NULL;
    }
    return out;
}

uint8_t *ext_inflate(const uint8_t *data, size_t n, size_t *size, size_t *used)
{
    uint8_t *plain;

    if (n < EXT_COMPRESSED_HEAD)
        return NULL;
    *size = (size_t)data[2] << 24 | (size_t)data[3] << 16 | (size_t)data[4] << 8 | data[5];
    plain = inflate_all(data + EXT_COMPRESSED_HEAD, n - EXT_COMPRESSED_HEAD, *size, used);
    *used += EXT_COMPRESSED_HEAD;
    return plain;
}

/* Decode n bytes to the heap; *used is 0 on entry if nobody wants it. */
static term decode_bytes(struct proc *p, const uint8_t *data, size_t n,
                         unsigned flags, size_t *used)
{
    size_t words;
    int64_t bytes = ext_size(data, n, flags, &words);

    if (bytes < 0)
        return bif_badarg(p);
    term *hp = heap_alloc_big(p, words);
    if (!hp)
        return bif_error(p, am_system_limit);
    struct dest d = {.htop = hp, .off = &p->heap.off};
    term t = ext_decode(&d, data, (size_t)bytes, flags);
    heap_trim(p, d.htop);
    bif_spend(p, (size_t)bytes, BYTES_PER_RED);
    if (t == THE_NON_VALUE)
        return bif_badarg(p);
    *used = (size_t)bytes;
    return t;
}

static term decode(struct proc *p, term bin, unsigned flags, size_t *used)
{
    struct binbytes b;
    term t = THE_NON_VALUE;

    if (!binary_bytes(bin, &b))
        return bif_badarg(p);
    if (b.size < 1 || b.data[0] != EXT_VERSION) {
        t = bif_badarg(p);
    } else if (b.size < EXT_COMPRESSED_HEAD || b.data[1] != EXT_COMPRESSED) {
        t = decode_bytes(p, b.data + 1, b.size - 1, flags, used);
        *used += 1;
    } else {
        size_t size, inner = 0;
        uint8_t *plain = ext_inflate(b.data, b.size, &size, used);

        t = plain ? decode_bytes(p, plain, size, flags, &inner)
                  : bif_badarg(p);
        vm_free(plain);
    }
    binary_bytes_end(&b);
    return t;
}

BIF(erlang, binary_to_term, 1)
{
    SLICED(p, EXP("erts_internal", "binary_to_term_trap", 1));

    size_t used = 0;

    return decode(p, arg[0], 0, &used);
}

BIF(erlang, binary_to_term, 2)
{
    SLICED(p, EXP("erts_internal", "binary_to_term_trap", 1));

    unsigned flags = 0;
    bool tell_used = false;
    size_t used = 0;
    term opts = arg[1];

    for (; term_is_cons(opts); opts = cons_tail(opts)) {
        if (cons_head(opts) == am_safe)
            flags |= EXT_SAFE;
        else if (cons_head(opts) == am_used)
            tell_used = true;
        else
            break;
    }
    if (!term_is_nil(opts))
        return bif_error_cause(p, am_badarg, am_badopt);

    term t = decode(p, arg[0], flags, &used);
    if (t == THE_NON_VALUE || !tell_used)
        return t;
    term n = uint64_make(p, used);
    term *hp = heap_alloc(p, 3);
    return put_tuple2(&hp, t, n);
}
