/*
 * ram_file.c - the port driver "ram_file_drv": files in memory, file:open(Data,
 * [ram]). One command, one answer:
 *
 *    to it    <<Op, arguments>>
 *    from it  {Port, {data, [Kind, 4 bytes of number | Data]}}
 */
#include <errno.h>

#include "bif/bif.h"
#include "io/io.h"
#include "io/port.h"

enum op {
    OPEN = 1, READ, LSEEK, WRITE, FSYNC = 9, TRUNCATE = 14, PREAD = 17, PWRITE,
    FDATASYNC, GET = 30, SIZE = 37, ADVISE, ALLOCATE,
};
enum { RESP_OK, RESP_ERROR, RESP_DATA, RESP_NUMBER };
enum { MODE_READ = 1, MODE_WRITE = 2 };
#define POSITION_MAX INT32_MAX      /* answers are of 32 bits */

struct ram_file {
    uint8_t *data;
    size_t n, size;                 /* in use, allocated; zero behind n */
    size_t at;
    uint32_t mode;                  /* 0: not open yet */
};

/* [Head... | Tail], the tail as the port's owner wants data; NULL: []. */
static void answer(struct port *port, const uint8_t *head, size_t head_n,
                   const uint8_t *data, size_t n)
{
    size_t data_words = !data           ? 0
                        : !port->binary ? n * CONS_WORDS
                                        : binary_put_words(n);
    struct mbuf *m = mbuf_new(data_words + head_n * CONS_WORDS + 3);
    struct dest d = {m->words, &m->off};
    term t = TERM_NIL;

    if (data && !port->binary) {
        for (size_t i = n; i-- > 0;)
            t = put_cons(&d.htop, small_make(data[i]), t);
    } else if (data) {
        t = binary_put(&d, data, n);
    }
    while (head_n > 0)
        t = put_cons(&d.htop, small_make(head[--head_n]), t);
    t = put_tuple2(&d.htop, am_data, t);
    m->used = (size_t)(d.htop - m->words);
    port_deliver_term(port, m, t);
}

static void answer_error(struct port *port, int err)
{
    const char *name = errno_name(err);
    uint8_t head[64] = {RESP_ERROR};
    size_t n = strlen(name);

    memcpy(head + 1, name, n);
    answer(port, head, n + 1, NULL, 0);
}

static void answer_ok(struct port *port)
{
    answer(port, (const uint8_t[]){RESP_OK}, 1, NULL, 0);
}

static void answer_number(struct port *port, int kind, size_t v,
                          const uint8_t *data, size_t n)
{
    uint8_t head[5] = {(uint8_t)kind, (uint8_t)(v >> 24), (uint8_t)(v >> 16),
                       (uint8_t)(v >> 8), (uint8_t)v};

    answer(port, head, sizeof head, data, n);
}

static int32_t int32_at(const uint8_t *s, size_t n, size_t at)
{
    if (n < at + 4)
        return 0;
    s += at;
    return (int32_t)((uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 |
                     (uint32_t)s[2] << 8 | s[3]);
}

/* 0 or an errno. What lies between the end and `at` is zero. */
static int put(struct ram_file *f, size_t at, const uint8_t *s, size_t n)
{
    if (at > POSITION_MAX || n > POSITION_MAX - at)
        return EINVAL;
    if (at + n > f->size) {
        size_t size = (at + n) * 2;
        uint8_t *data = f->data ? vm_try_realloc(f->data, size)
                                : vm_try_alloc(ALLOC_SYSTEM, size);

        if (!data)
            return ENOMEM;
        memset(data + f->size, 0, size - f->size);
        f->data = data;
        f->size = size;
    }
    if (n)
        memcpy(f->data + at, s, n);
    if (at + n > f->n)
        f->n = at + n;
    return 0;
}

static void read_at(struct port *port, struct ram_file *f, size_t at, int32_t want,
                    bool move)
{
    static const uint8_t none[1];
    size_t n = 0;

    if (!(f->mode & MODE_READ)) {
        answer_error(port, EBADF);
        return;
    }
    if (want < 0) {
        answer_error(port, EINVAL);
        return;
    }
    if (at < f->n)
        n = (size_t)want < f->n - at ? (size_t)want : f->n - at;
    if (move)
        f->at = at + n;
    answer_number(port, RESP_DATA, n, n ? f->data + at : none, n);
}

static void seek(struct port *port, struct ram_file *f, int32_t offset, int32_t whence)
{
    int64_t base = whence == 0 ? 0 : (int64_t)(whence == 1 ? f->at : f->n);

    if (f->mode == 0) {
        answer_error(port, EBADF);
    } else if (whence < 0 || whence > 2 || base + offset < 0 ||
               base + offset > POSITION_MAX) {
        answer_error(port, EINVAL);
    } else {
        f->at = (size_t)(base + offset);
        answer_number(port, RESP_NUMBER, f->at, NULL, 0);
    }
}

static void ram_output(struct port *port, const uint8_t *s, size_t n)
{
    struct ram_file *f = port->state;
    static const uint8_t none[1];
    int32_t at;
    int err;

    if (n == 0)
        return;
    switch (n--, *s++) {
    case OPEN:
        f->mode = (uint32_t)int32_at(s, n, 0);
        err = n >= 4 ? put(f, 0, s + 4, n - 4) : EINVAL;
        if (err)
            answer_error(port, err);
        else
            answer_number(port, RESP_NUMBER, 0, NULL, 0);
        break;
    case WRITE:
    case PWRITE:
        at = s[-1] == PWRITE ? int32_at(s, n, 0) : 0;
        if (s[-1] == PWRITE) {
            s += n < 4 ? n : 4;
            n -= n < 4 ? n : 4;
            err = at < 0 ? EINVAL : !(f->mode & MODE_WRITE) ? EBADF
                                  : put(f, (size_t)at, s, n);
        } else {
            err = !(f->mode & MODE_WRITE) ? EBADF : put(f, f->at, s, n);
            f->at += err ? 0 : n;
        }
        if (err)
            answer_error(port, err);
        else
            answer_number(port, RESP_NUMBER, n, NULL, 0);
        break;
    case READ:
        read_at(port, f, f->at, int32_at(s, n, 0), true);
        break;
    case PREAD:
        at = int32_at(s, n, 0);
        if (at < 0)
            answer_error(port, EINVAL);
        else
            read_at(port, f, (size_t)at, int32_at(s, n, 4), false);
        break;
    case LSEEK:
        seek(port, f, int32_at(s, n, 0), int32_at(s, n, 4));
        break;
    case TRUNCATE:
        if (!(f->mode & MODE_WRITE)) {
            answer_error(port, EACCES);
            break;
        }
        err = put(f, f->at, s, 0);
        if (err) {
            answer_error(port, err);
            break;
        }
        if (f->n > f->at)
            memset(f->data + f->at, 0, f->n - f->at);
        f->n = f->at;
        answer_ok(port);
        break;
    case GET:
        answer_number(port, RESP_DATA, f->n, f->n ? f->data : none, f->n);
        break;
    case SIZE:
        answer_number(port, RESP_NUMBER, f->n, NULL, 0);
        break;
    case FSYNC:
    case FDATASYNC:
    case ADVISE:
    case ALLOCATE:
        if (f->mode == 0)
            answer_error(port, EBADF);
        else
            answer_ok(port);
        break;
    default:
        answer_error(port, EINVAL);
    }
}

static int ram_open(struct port *port, const struct port_opts *opts)
{
    port->state = vm_zalloc(ALLOC_SYSTEM, sizeof(struct ram_file));
    return 0;
}

static void ram_close(struct port *port)
{
    struct ram_file *f = port->state;

    vm_free(f->data);
    vm_free(f);
}

struct port_driver ram_file_driver = {
    .name = "ram_file_drv",
    .open = ram_open,
    .close = ram_close,
    .output = ram_output,
};
