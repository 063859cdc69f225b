/*
 * console.c - the console, and the one wait.
 *
 * Output is kept until there is a whole line, or the instance waits, reads or
 * ends: each call of the gate can cost as much as printing a thousand lines.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "os/bare/bare.h"
#include "os/os.h"

#define SIGNALS 65

/* While busy, look for input this often: looking is a call of the gate. */
#define LOOK_NS 10000000

/* A wait this long is worth giving memory back for. */
#define IDLE_NS 100000000

static char out[16384];
static size_t out_n;
static int out_fd;

static struct os_watch *watches;
static struct os_watch *walk_next;      /* moved on by os_unwatch */
static uint32_t terminate_taken;
static uint64_t last_look_ns;
static uint64_t idle_ns;                /* spent waiting */
static bool woken;
void (*bare_never_ready)(const char *why);
const struct bare_poller *bare_poller;
static uint8_t actions[SIGNALS];

static int64_t put(int fd, const char *s, size_t n)
{
    bare_mark(MARK_OUTPUT);
    return gate(GATE_WRITE, (uint64_t)fd, (uintptr_t)s, n);
}

void console_flush(void)
{
    size_t n = out_n;

    out_n = 0;
    if (n > 0)
        put(out_fd, out, n);
}

int64_t console_write(int fd, const void *s, size_t n)
{
    const char *p = s;
    size_t lines, keep;
    int64_t r = 0;

    if (fd != 1 && fd != 2)
        return -EBADF;
    if (out_n > 0 && (fd != out_fd || n > sizeof out - out_n))
        console_flush();
    out_fd = fd;
    lines = n;
    while (lines > 0 && p[lines - 1] != '\n')
        lines--;
    keep = n - lines;
    if (keep > sizeof out) {
        lines = n;
        keep = 0;
    }
    if (lines > 0 && out_n + lines <= sizeof out) {
        memcpy(out + out_n, p, lines);
        lines += out_n;
        out_n = 0;
        r = put(fd, out, lines);
    } else if (lines > 0) {
        console_flush();
        r = put(fd, p, lines);
    }
    memcpy(out + out_n, p + (n - keep), keep);
    out_n += keep;
    return r < 0 ? r : (int64_t)n;
}

void os_console(const char *s, size_t n)
{
    console_write(2, s, n);
}

unsigned console_wait(uint64_t mono_ns, unsigned what)
{
    uint64_t before = os_mono_ns();
    long r;

    console_flush();
    if (guest_window->terminate != terminate_taken)
        mono_ns = 0;
    if (mono_ns > before && mono_ns - before > IDLE_NS)
        mem_idle();
    r = gate(GATE_WAIT, bare_gate_ns(mono_ns), what | WAIT_SIGNAL, 0);
    idle_ns += os_mono_ns() - before;
    return r < 0 ? 0 : (unsigned)r;
}

uint64_t os_cpu_ns(void)
{
    return os_mono_ns() - idle_ns;
}

int64_t os_fd_read(int fd, void *buf, size_t n)
{
    if (fd != 0)
        return -EBADF;
    console_flush();
    return gate(GATE_READ, 0, (uintptr_t)buf, n);
}

int64_t os_fd_write(int fd, const void *buf, size_t n)
{
    return console_write(fd, buf, n);
}

void os_watch(struct os_watch *w, unsigned events)
{
    bool known = false;

    if (!events) {
        os_unwatch(w);
        return;
    }
    for (struct os_watch *o = watches; o; o = o->next)
        known |= o == w;
    if (!known) {
        w->next = watches;
        watches = w;
    }
    w->events = events;
}

void os_unwatch(struct os_watch *w)
{
    for (struct os_watch **at = &watches; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            if (walk_next == w)
                walk_next = w->next;
            w->events = 0;
            return;
        }
    }
}

size_t os_watched(void)
{
    size_t n = 0;

    for (const struct os_watch *w = watches; w; w = w->next)
        n++;
    return n;
}

static bool ready(const struct os_watch *w, bool input, unsigned *events)
{
    *events = w->events & OS_WRITE ? OS_WRITE : 0;
    if (w->fd == 0 && input)
        *events |= w->events & OS_READ;
    return *events != 0;
}

/* In a builder there is no input, and nobody sleeps. */
static void pass_time(uint64_t mono_ns)
{
    uint64_t limit = (uint64_t)guest_info->bake_seconds * 1000000000;

    if (guest_window->terminate != terminate_taken)
        bare_never_ready("was told to stop (by --timeout, if by nobody else) before it was ready");
    if (mono_ns > os_mono_ns() && guest_info->flags & GUEST_BAKE_IDLE)
        bare_never_ready("waits");
    if (mono_ns == UINT64_MAX)
        bare_never_ready("waits for ever before it is ready");
    bare_pass_time(mono_ns);
    if (limit && os_mono_ns() > limit)
        bare_never_ready("is not ready after all the time it was given");
}

void os_wait(uint64_t mono_ns)
{
    bool reads = false, input = false;
    unsigned events, net;

    if (woken)
        mono_ns = 0;
    woken = false;
    for (struct os_watch *w = watches; w; w = w->next) {
        reads |= w->fd == 0 && w->events & OS_READ;
        if (w->events & OS_WRITE)
            mono_ns = 0;
    }
    if (bare_poller)
        mono_ns = bare_poller->until(mono_ns);
    net = bare_net_waits(&mono_ns);
    if (guest_info->flags & GUEST_BUILDING) {
        pass_time(mono_ns);
    } else if (mono_ns > 0 || net & WAIT_KICK ||
        (reads && os_mono_ns() - last_look_ns >= LOOK_NS)) {
        unsigned r = console_wait(mono_ns, (reads ? WAIT_INPUT : 0) | net);

        last_look_ns = os_mono_ns();
        input = r & WAIT_INPUT;
    }
    bare_net_waited();
    for (struct os_watch *w = watches; w; w = walk_next) {
        walk_next = w->next;
        if (ready(w, input, &events))
            w->ready(w, events);
    }
    walk_next = NULL;
    if (bare_poller)
        bare_poller->poll();
}

/* One thread, and no signal handler runs in it. */
void os_wake(void)
{
    woken = true;
}

int os_take_signal(void)
{
    if (guest_window->terminate == terminate_taken)
        return 0;
    terminate_taken = guest_window->terminate;
    if (actions[SIGTERM] == OS_SIGNAL_IGNORE)
        return 0;
    if (actions[SIGTERM] == OS_SIGNAL_DEFAULT) {
        console_flush();
        bare_exit(128 + SIGTERM, GUEST_EXIT_HALT);
    }
    return SIGTERM;
}

/* Only SIGTERM ever comes; the rest is accepted, as OTP's programs set them. */
int os_set_signal(int sig, enum os_signal_action how)
{
    if (sig <= 0 || sig >= SIGNALS || sig == SIGKILL || sig == SIGSTOP)
        return -EINVAL;
    actions[sig] = (uint8_t)how;
    return 0;
}

int os_tty_size(int fd, uint32_t *columns, uint32_t *rows)
{
    unsigned tty = fd == 0 ? GUEST_TTY_IN : GUEST_TTY_OUT;

    if (fd < 0 || fd > 2)
        return -EBADF;
    if (!(guest_info->flags & tty))
        return -ENOTTY;
    *columns = guest_info->columns;
    *rows = guest_info->rows;
    return 0;
}

/* The loader made it raw, if the image has a shell and there is a terminal. */
int os_tty_raw(int fd, bool raw)
{
    (void)raw;
    return fd == 0 && guest_info->flags & GUEST_TTY_IN ? 0 : -ENOTTY;
}
