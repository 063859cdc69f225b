/*
 * ttysl.c - the port driver "tty_sl" that OTP's shell (user_drv) edits lines
 * with. The editing is in console.c; here is the protocol.
 *
 *   to it    <<Op, ...>>: put characters, move, insert, delete, beep
 *   from it  {Port, {data, Utf8}}; {Port, ok} after characters put with sync
 */
#include <errno.h>

#include "bif/bif.h"
#include "io/console.h"
#include "io/port_trace.h"
#include "os/os.h"

enum op { OP_PUTC, OP_MOVE, OP_INSC, OP_DELC, OP_BEEP, OP_PUTC_SYNC };
enum control { GET_WINSIZE = 100, GET_UNICODE_STATE, SET_UNICODE_STATE };
#define CONTROL_MAGIC 0x018b0900u
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24
#define SYNC_BYTES 256      /* with more than that queued, ok waits */

struct ttysl {
    struct port *port;
    struct os_watch in;
    struct stream *out;
    struct console console;
    uint8_t cut[4];         /* the beginning of a character */
    size_t cut_n;
    bool owes_ok;
};

static void window_size(uint32_t size[2])
{
    if (os_tty_size(1, &size[0], &size[1]) < 0 || size[0] == 0) {
        size[0] = DEFAULT_COLUMNS;
        size[1] = DEFAULT_ROWS;
    }
}

/* Characters of the terminal, UTF-8 whole characters at a time. */
static void input(struct ttysl *t)
{
    uint8_t raw[1024], utf8[2048];
    size_t n = t->cut_n, at = 0, m = 0;
    int64_t got;

    memcpy(raw, t->cut, n);
    got = os_fd_read(t->in.fd, raw + n, sizeof raw - n);
    if (got == -EAGAIN)
        return;
    if (got <= 0) {
        os_unwatch(&t->in);
        if (got == 0)
            port_eof(t->port);
        else
            port_exit_errno(t->port, (int)got);
        return;
    }
    n += (size_t)got;
    t->cut_n = 0;
    while (at < n) {
        uint32_t v;
        int len = t->console.utf8 ? utf8_next(raw + at, n - at, &v) : -1;

        if (len == 0) {
            t->cut_n = n - at;
            memcpy(t->cut, raw + at, t->cut_n);
            break;
        }
        if (len > 0) {
            memcpy(utf8 + m, raw + at, (size_t)len);
            m += (size_t)len;
            at += (size_t)len;
            continue;
        }
        /* Latin-1 */
        if (raw[at] < 0x80) {
            utf8[m++] = raw[at++];
        } else {
            utf8[m++] = (uint8_t)(0xc0 | raw[at] >> 6);
            utf8[m++] = (uint8_t)(0x80 | (raw[at++] & 0x3f));
        }
    }
    if (m > 0)
        port_deliver(t->port, utf8, m);
}

static void input_ready(struct os_watch *w, unsigned events)
{
    struct ttysl *t = (struct ttysl *)((char *)w - offsetof(struct ttysl, in));
    struct port_work work = port_told(t->port, am_input);

    input(t);
    port_worked(&work);
}

static void drained(struct port *port)
{
    struct ttysl *t = port->state;

    if (t->owes_ok) {
        t->owes_ok = false;
        port_deliver_term(port, NULL, am_ok);
    }
}

static bool utf8_terminal(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *s = os_getenv(names[i]);

        if (s && *s)
            return strstr(s, "UTF-8") || strstr(s, "utf8");
    }
    return false;
}

static int ttysl_open(struct port *port, const struct port_opts *opts)
{
    const char *terminal = os_getenv("TERM");
    struct port_opts o = *opts;
    uint32_t size[2];
    struct ttysl *t;

    if (!terminal || !*terminal || strcmp(terminal, "dumb") == 0)
        return -EINVAL;
    if (os_tty_size(0, &size[0], &size[1]) < 0 ||
        os_tty_size(1, &size[0], &size[1]) < 0)
        return -EINVAL;
    if (os_tty_raw(0, true) < 0)
        return -EINVAL;
    t = vm_zalloc(ALLOC_SYSTEM, sizeof *t);
    t->port = port;
    window_size(size);
    console_init(&t->console, size[0], utf8_terminal());
    t->in = (struct os_watch){.fd = 0, .ready = input_ready};
    os_watch(&t->in, OS_READ);
    /* The shell must not be suspended for a slow terminal. */
    o.packet = 0;
    o.high = SIZE_MAX;
    t->out = stream_new(port, &o, -1, 1);
    stream_on_drain(t->out, drained);
    port->state = t;
    return 0;
}

static void ttysl_close(struct port *port)
{
    struct ttysl *t = port->state;

    os_unwatch(&t->in);
    os_tty_raw(0, false);
    stream_free(t->out);
    console_fini(&t->console);
    vm_free(t);
}

static int int16(const uint8_t *s, size_t n)
{
    return n < 2 ? 0 : (int16_t)(s[0] << 8 | s[1]);
}

static void ttysl_output(struct port *port, const uint8_t *s, size_t n)
{
    struct ttysl *t = port->state;
    struct console *c = &t->console;
    uint32_t size[2];
    bool sync;

    if (n == 0)
        return;
    window_size(size);
    c->columns = size[0];
    sync = s[0] == OP_PUTC_SYNC;
    switch (s[0]) {
    case OP_PUTC:
    case OP_PUTC_SYNC:
        console_put(c, s + 1, n - 1);
        break;
    case OP_MOVE:
        console_move(c, int16(s + 1, n - 1));
        break;
    case OP_INSC:
        console_insert(c, s + 1, n - 1);
        break;
    case OP_DELC:
        console_delete(c, int16(s + 1, n - 1));
        break;
    case OP_BEEP:
        console_beep(c);
        break;
    }
    n = c->out.n;
    c->out.n = 0;
    /* Before the bytes go out: they may end the port. */
    if (sync && stream_queued(t->out) + n > SYNC_BYTES)
        t->owes_ok = true;
    else if (sync)
        port_deliver_term(port, NULL, am_ok);
    stream_output(t->out, (const uint8_t *)c->out.s, n);
}

static size_t ttysl_queued(struct port *port)
{
    struct ttysl *t = port->state;

    return stream_queued(t->out);
}

static term ttysl_control(struct port *port, struct proc *p, uint32_t op,
                          const uint8_t *data, size_t n)
{
    struct ttysl *t = port->state;
    uint32_t size[2];
    uint8_t result[sizeof size];
    term list = TERM_NIL, *hp;
    size_t len = 1;

    switch (op - CONTROL_MAGIC) {
    case GET_WINSIZE:
        window_size(size);
        memcpy(result, size, sizeof size);
        len = sizeof size;
        break;
    case GET_UNICODE_STATE:
        result[0] = t->console.utf8;
        break;
    case SET_UNICODE_STATE:
        if (n == 0)
            return TERM_NIL;
        result[0] = t->console.utf8;
        t->console.utf8 = data[0] != 0;
        break;
    default:
        return THE_NON_VALUE;
    }
    hp = heap_alloc(p, len * CONS_WORDS);
    while (len > 0)
        list = put_cons(&hp, small_make(result[--len]), list);
    return list;
}

struct port_driver ttysl_driver = {
    .name = "tty_sl",
    .open = ttysl_open,
    .close = ttysl_close,
    .output = ttysl_output,
    .queued = ttysl_queued,
    .control = ttysl_control,
};
