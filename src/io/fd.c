/*
 * fd.c - streams of bytes over descriptors, and the fd driver.
 *
 * A stream reads when its input is ready and hands bytes or whole packets to
 * the port. Output is tried at once; what the descriptor does not take waits
 * in a queue, and the port is busy while more than `high` bytes do.
 */
#include <errno.h>

#include "bif/bif.h"
#include "io/io.h"
#include "io/port_trace.h"
#include "os/os.h"

#define READ_BYTES 65536
#define TTYSL_CONTROL 0x018b0900u   /* ERTS_TTYSL_DRV_CONTROL_MAGIC_NUMBER */
enum { FD_CTRL_GET_WINSIZE = 100 };

struct chunk {
    struct chunk *next;
    size_t at, n;                   /* bytes[at..n) are to be written */
    uint8_t bytes[];
};

struct stream {
    struct os_watch in, out;
    struct port *port;
    unsigned packet;
    size_t high, low, queued;
    struct chunk *first, **last;
    uint8_t head[4];                /* length of the packet being read */
    unsigned head_n;
    uint8_t *body;
    size_t body_n, body_size;
    void (*end)(struct port *port, int err);
    void (*drained)(struct port *port);
};

static void input_ends(struct stream *s, int err)
{
    struct port *port = s->port;

    os_unwatch(&s->in);
    if (s->end)
        s->end(port, err);
    else if (err == 0)
        port_eof(port);
    else
        port_exit_errno(port, err);
}

/* Cut packets out of what was read. */
static void packets(struct stream *s, const uint8_t *data, size_t n)
{
    while (n > 0) {
        size_t take;

        if (s->head_n < s->packet) {
            s->head[s->head_n++] = *data++;
            n--;
            if (s->head_n < s->packet)
                continue;
            s->body_size = 0;
            for (unsigned i = 0; i < s->packet; i++)
                s->body_size = s->body_size << 8 | s->head[i];
            s->body_n = 0;
            s->body = vm_try_alloc(ALLOC_SYSTEM, s->body_size + 1);
            if (!s->body) {
                input_ends(s, -ENOMEM);
                return;
            }
        }
        take = s->body_size - s->body_n < n ? s->body_size - s->body_n : n;
        memcpy(s->body + s->body_n, data, take);
        s->body_n += take;
        data += take;
        n -= take;
        if (s->body_n == s->body_size) {
            port_deliver(s->port, s->body, s->body_size);
            vm_free(s->body);
            s->body = NULL;
            s->head_n = 0;
        }
    }
}

static void read_ready(struct os_watch *w, unsigned events)
{
    struct stream *s = (struct stream *)((char *)w - offsetof(struct stream, in));
    struct port_work work = port_told(s->port, am_input);
    uint8_t *buf = vm_alloc(ALLOC_SYSTEM, READ_BYTES);
    int64_t n = os_fd_read(w->fd, buf, READ_BYTES);

    if (n > 0 && s->packet == 0)
        port_deliver(s->port, buf, (size_t)n);
    else if (n > 0)
        packets(s, buf, (size_t)n);
    else if (n == 0 || n != -EAGAIN)
        input_ends(s, (int)n);
    vm_free(buf);
    port_worked(&work);
}

static void write_fails(struct stream *s, int err)
{
    os_unwatch(&s->out);
    port_exit_errno(s->port, err);
}

/* 0, or the negative errno of a failure; what is left waits in the queue. */
static int write_queue(struct stream *s)
{
    while (s->first) {
        struct chunk *c = s->first;
        int64_t n = os_fd_write(s->out.fd, c->bytes + c->at, c->n - c->at);

        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return (int)n;
        c->at += (size_t)n;
        s->queued -= (size_t)n;
        if (c->at < c->n)
            continue;
        s->first = c->next;
        if (!s->first)
            s->last = &s->first;
        vm_free(c);
    }
    return 0;
}

static void continue_writing(struct stream *s)
{
    int err = write_queue(s);

    if (err < 0) {
        write_fails(s, err);
        return;
    }
    if (s->port->busy && s->queued <= s->low)
        port_set_busy(s->port, false);
    if (!s->first) {
        os_unwatch(&s->out);
        if (s->drained)
            s->drained(s->port);
        port_drained(s->port);
    }
}

static void write_ready(struct os_watch *w, unsigned events)
{
    struct stream *s = (struct stream *)((char *)w - offsetof(struct stream, out));
    struct port_work work = port_told(s->port, am_output);

    continue_writing(s);
    port_worked(&work);
}

struct stream *stream_new(struct port *port, const struct port_opts *opts,
                          int in_fd, int out_fd)
{
    struct stream *s = vm_zalloc(ALLOC_SYSTEM, sizeof *s);

    s->port = port;
    s->packet = opts->packet;
    s->high = opts->high;
    s->low = opts->low;
    s->last = &s->first;
    s->in = (struct os_watch){.fd = in_fd, .ready = read_ready};
    s->out = (struct os_watch){.fd = out_fd, .ready = write_ready};
    if (in_fd >= 0)
        os_watch(&s->in, OS_READ);
    return s;
}

void stream_on_end(struct stream *s, void (*end)(struct port *, int))
{
    s->end = end;
}

void stream_on_drain(struct stream *s, void (*drained)(struct port *))
{
    s->drained = drained;
}

static void enqueue(struct stream *s, const uint8_t *data, size_t n)
{
    struct chunk *c = vm_alloc(ALLOC_SYSTEM, sizeof *c + n);

    c->next = NULL;
    c->at = 0;
    c->n = n;
    memcpy(c->bytes, data, n);
    *s->last = c;
    s->last = &c->next;
    s->queued += n;
}

void stream_output(struct stream *s, const uint8_t *data, size_t n)
{
    uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                       (uint8_t)n};

    if (s->out.fd < 0)
        return;
    if (s->packet > 0) {
        if (s->packet < 4 && n >> (8 * s->packet)) {
            write_fails(s, EINVAL);
            return;
        }
        enqueue(s, head + 4 - s->packet, s->packet);
    }
    /* Try at once what nothing waits before. */
    while (!s->first && n > 0) {
        int64_t done = os_fd_write(s->out.fd, data, n);

        if (done == -EAGAIN)
            break;
        if (done < 0) {
            write_fails(s, (int)done);
            return;
        }
        data += done;
        n -= (size_t)done;
    }
    if (n > 0)
        enqueue(s, data, n);
    if (s->first && !s->out.events) {
        int err = write_queue(s);

        if (err < 0) {
            write_fails(s, err);
            return;
        }
    }
    if (s->first) {
        os_watch(&s->out, OS_WRITE);
        if (s->queued >= s->high)
            port_set_busy(s->port, true);
    } else if (s->drained) {
        s->drained(s->port);
    }
}

size_t stream_queued(struct stream *s)
{
    return s->queued;
}

void stream_free(struct stream *s)
{
    os_unwatch(&s->in);
    os_unwatch(&s->out);
    while (s->first) {
        struct chunk *c = s->first;

        s->first = c->next;
        vm_free(c);
    }
    vm_free(s->body);
    vm_free(s);
}

/*
 * The fd driver. The descriptors stay open: they were here before it.
 */
static int fd_open(struct port *port, const struct port_opts *opts)
{
    port->state = stream_new(port, opts, opts->in ? opts->in_fd : -1,
                             opts->out ? opts->out_fd : -1);
    return 0;
}

static void fd_close(struct port *port)
{
    stream_free(port->state);
}

static void fd_output(struct port *port, const uint8_t *data, size_t n)
{
    stream_output(port->state, data, n);
}

static size_t fd_queued(struct port *port)
{
    return stream_queued(port->state);
}

static term fd_control(struct port *port, struct proc *p, uint32_t op,
                       const uint8_t *data, size_t n)
{
    struct stream *s = port->state;
    uint32_t size[2];               /* columns, rows */
    uint8_t *bytes = (uint8_t *)size;
    term list = TERM_NIL, *hp;

    if (op - TTYSL_CONTROL != FD_CTRL_GET_WINSIZE)
        return THE_NON_VALUE;
    if ((s->out.fd < 0 || os_tty_size(s->out.fd, &size[0], &size[1]) < 0) &&
        (s->in.fd < 0 || os_tty_size(s->in.fd, &size[0], &size[1]) < 0))
        return THE_NON_VALUE;
    hp = heap_alloc(p, sizeof size * CONS_WORDS);
    for (size_t i = sizeof size; i-- > 0;)
        list = put_cons(&hp, small_make(bytes[i]), list);
    return list;
}

struct port_driver fd_driver = {
    .name = "fd",
    .hidden = true,
    .open = fd_open,
    .close = fd_close,
    .output = fd_output,
    .queued = fd_queued,
    .control = fd_control,
};
