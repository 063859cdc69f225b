/*
 * os.c - os.h over Linux: clock, entropy, memory, console, environment.
 *
 * Waiting and signals are in wait.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/linux.h"
#include "os/os.h"

extern char **environ;

#define SORTING_BYTES 2048      /* more than malloc() keeps in rows of one size */

static uint64_t mono_base;
static size_t pages_in_use;

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void os_linux_init(void)
{
    /* One, so that no time is ever 0, which means "now" to os_wait(). */
    mono_base = clock_ns(CLOCK_MONOTONIC) - 1;
    os_wait_init();
}

uint64_t os_linux_clock(uint64_t mono_ns)
{
    return mono_ns + mono_base;
}

uint64_t os_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC) - mono_base;
}

int64_t os_wall_ns(void)
{
    return (int64_t)clock_ns(CLOCK_REALTIME);
}

uint64_t os_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void os_entropy(void *buf, size_t n)
{
    uint8_t *p = buf;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fprintf(stderr, "ling: no entropy from the host: %s\n",
                    strerror(errno));
            exit(1);
        }
        p += got;
        n -= (size_t)got;
    }
}

void *os_pages(size_t bytes, size_t align)
{
    size_t extra = align > 4096 ? align - 4096 : 0;
    uint8_t *base, *p;
    size_t head, tail;

    bytes = (bytes + 4095) & ~(size_t)4095;
    if (bytes == 0 || bytes + extra < bytes)
        return NULL;
    base = mmap(NULL, bytes + extra, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    p = (uint8_t *)(((uintptr_t)base + extra) & ~(uintptr_t)(align - 1));
    if (extra == 0)
        p = base;
    head = (size_t)(p - base);
    tail = extra - head;
    if (head > 0)
        munmap(base, head);
    if (tail > 0)
        munmap(p + bytes, tail);
    __atomic_fetch_add(&pages_in_use, bytes, __ATOMIC_RELAXED);
    return p;
}

void os_pages_free(void *p, size_t bytes)
{
    if (!p)
        return;
    bytes = (bytes + 4095) & ~(size_t)4095;
    munmap(p, bytes);
    __atomic_fetch_sub(&pages_in_use, bytes, __ATOMIC_RELAXED);
}

bool os_cpu_has(const char *level)
{
    __builtin_cpu_init();
    return strcmp(level, "x86-64") == 0 ||
           (strcmp(level, "x86-64-v2") == 0 && __builtin_cpu_supports("x86-64-v2")) ||
           (strcmp(level, "x86-64-v3") == 0 && __builtin_cpu_supports("x86-64-v3")) ||
           (strcmp(level, "x86-64-v4") == 0 && __builtin_cpu_supports("x86-64-v4"));
}

void *os_large(size_t bytes) { return malloc(bytes); }
void os_large_free(void *p, size_t bytes) { free(p); }

/* malloc() sorts what was freed when it is asked for more than it keeps in rows. */
void os_freed(void)
{
    void *volatile p = malloc(SORTING_BYTES);

    free(p);
}

/* What is mapped by itself moves with its pages. */
void *os_large_resize(void *p, size_t from, size_t to)
{
    return to <= from || from >= OS_KEPT ? realloc(p, to) : NULL;
}

void os_discard(void *p, size_t bytes)
{
    uintptr_t from = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;
    uintptr_t to = ((uintptr_t)p + bytes) & ~(uintptr_t)4095;

    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

size_t os_pages_in_use(void)
{
    return __atomic_load_n(&pages_in_use, __ATOMIC_RELAXED);
}

void *os_reserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

int os_commit(void *p, size_t bytes)
{
    if (bytes == 0)
        return 0;
    if (mprotect(p, bytes, PROT_READ | PROT_WRITE) < 0)
        return -ENOMEM;
    __atomic_fetch_add(&pages_in_use, bytes, __ATOMIC_RELAXED);
    return 0;
}

void os_decommit(void *p, size_t bytes)
{
    /* A new mapping on top, so that what is committed again is zero. */
    if (bytes == 0)
        return;
    if (mmap(p, bytes, PROT_NONE,
             MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) ==
        MAP_FAILED) {
        return;
    }
    __atomic_fetch_sub(&pages_in_use, bytes, __ATOMIC_RELAXED);
}

/* The emergency console may block: what it says must come out. */
void os_console(const char *s, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, s, n);

        if (done < 0 && errno == EAGAIN) {
            struct pollfd pfd = {.fd = STDERR_FILENO, .events = POLLOUT};

            poll(&pfd, 1, -1);
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        s += done;
        n -= (size_t)done;
    }
}

_Noreturn void os_exit(int status)
{
    exit(status);
}

_Noreturn void os_abort(const char *why)
{
    if (why) {
        os_console(why, strlen(why));
        os_console("\n", 1);
    }
    signal(SIGABRT, SIG_DFL);
    abort();
}

/*
 * Standard input, output and error are shared with whoever started us, and
 * {fd, In, Out} may be anything, so O_NONBLOCK is not set on them: poll first,
 * and write no more at once than a pipe that polls as writable is sure to
 * take. What is non-blocking already needs no such care.
 */
static bool is_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && flags & O_NONBLOCK;
}

static bool would_block(int fd, short events)
{
    struct pollfd pfd = {.fd = fd, .events = events};

    return poll(&pfd, 1, 0) == 0;
}

int64_t os_fd_read(int fd, void *buf, size_t n)
{
    if (!is_nonblocking(fd) && would_block(fd, POLLIN))
        return -EAGAIN;
    for (;;) {
        ssize_t got = read(fd, buf, n);

        if (got >= 0)
            return got;
        if (errno != EINTR)
            return -errno;
    }
}

int64_t os_fd_write(int fd, const void *buf, size_t n)
{
    if (!is_nonblocking(fd)) {
        if (would_block(fd, POLLOUT))
            return -EAGAIN;
        if (n > 4096)       /* PIPE_BUF */
            n = 4096;
    }
    for (;;) {
        ssize_t done = write(fd, buf, n);

        if (done >= 0)
            return done;
        if (errno != EINTR)
            return -errno;
    }
}

int os_tty_size(int fd, uint32_t *columns, uint32_t *rows)
{
    struct winsize ws;

    if (ioctl(fd, TIOCGWINSZ, &ws) < 0)
        return -errno;
    *columns = ws.ws_col;
    *rows = ws.ws_row;
    return 0;
}

/* The terminal as it was found; at exit it is put back. */
static struct termios tty_before;
static int tty_fd = -1;

static void tty_restore(void)
{
    if (tty_fd >= 0)
        tcsetattr(tty_fd, TCSADRAIN, &tty_before);
    tty_fd = -1;
}

/* ^C and its like end the process, but leave a terminal that can be used. */
static void on_deadly(int sig)
{
    tty_restore();
    signal(sig, SIG_DFL);
    raise(sig);
}

static bool interrupt_is_input;

void os_linux_break(char how)
{
    interrupt_is_input = how == 'c';
    if (how == 'i') {
        signal(SIGINT, SIG_IGN);
        signal(SIGQUIT, SIG_IGN);
    }
}

int os_tty_raw(int fd, bool raw)
{
    static const int deadly[] = {SIGINT, SIGQUIT, SIGHUP};
    static bool at_exit;
    struct termios t;

    if (!raw) {
        tty_restore();
        return 0;
    }
    if (tcgetattr(fd, &t) < 0)
        return -errno;
    if (tty_fd < 0) {
        tty_before = t;
        tty_fd = fd;
    }
    /* Signals (^C) and output processing stay; the rest is ours. */
    t.c_iflag &= ~(tcflag_t)(ISTRIP | INLCR | ICRNL | IGNCR | IXON);
    t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    if (interrupt_is_input)
        t.c_cc[VINTR] = 0;
    if (tcsetattr(fd, TCSANOW, &t) < 0)
        return -errno;
    if (!at_exit)
        atexit(tty_restore);
    at_exit = true;
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
        if (signal(deadly[i], on_deadly) == SIG_IGN)
            signal(deadly[i], SIG_IGN);
    return 0;
}

const char *os_getenv(const char *name)
{
    return getenv(name);
}

int os_setenv(const char *name, const char *value)
{
    int r = value ? setenv(name, value, 1) : unsetenv(name);

    return r < 0 ? -errno : 0;
}

const char *const *os_environ(void)
{
    return (const char *const *)environ;
}

uint64_t os_pid(void)
{
    return (uint64_t)getpid();
}

/* A process of Linux is never baked, and started once. */
bool os_bake_wanted(enum os_ready point)
{
    (void)point;
    return false;
}

uint64_t os_generation(void)
{
    return 1;
}
