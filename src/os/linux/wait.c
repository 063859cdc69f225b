/*
 * wait.c - os.h over Linux: waiting for descriptors, time, signals, wakes.
 *
 * One epoll instance. Each descriptor has a list of watches, and epoll is
 * told the union of what they want. Regular files (which epoll refuses) are
 * always ready. A wake is a write to an eventfd that epoll watches too.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/linux.h"
#include "os/os.h"

#define WAIT_EVENTS 64          /* looked at per call; the rest stay ready */

struct fd_entry {
    struct os_watch *first;
    unsigned told;              /* what epoll knows */
    bool file;                  /* refused by epoll: always ready */
};

static int epfd = -1, wake_fd = -1;
static struct fd_entry *fds;
static size_t fds_size, files;
/* Where a walk over an fd's watches goes next; an unwatch moves it on. */
static struct os_watch *walk_next;
static uint64_t signals;        /* bit n: signal n arrived, not yet taken */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "ling: cannot wait for events: %s: %s\n", what,
            strerror(errno));
    exit(1);
}

void os_wait_init(void)
{
    struct epoll_event ev = {.events = EPOLLIN};

    epfd = epoll_create1(EPOLL_CLOEXEC);
    if (epfd < 0)
        fail("epoll_create1");
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        fail("eventfd");
    ev.data.fd = wake_fd;
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, wake_fd, &ev) < 0)
        fail("epoll_ctl");
}

static void update(int fd)
{
    struct fd_entry *e = &fds[fd];
    struct epoll_event ev = {.data.fd = fd};
    unsigned want = 0;
    int op;

    for (struct os_watch *w = e->first; w; w = w->next)
        want |= w->events;
    if (e->file) {
        if (!want) {
            e->file = false;
            files--;
        }
        e->told = 0;
        return;
    }
    if (want == e->told)
        return;
    ev.events = (want & OS_READ ? EPOLLIN | EPOLLRDHUP : 0u) |
                (want & OS_WRITE ? EPOLLOUT : 0u);
    op = !want ? EPOLL_CTL_DEL : e->told ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(epfd, op, fd, &ev) < 0) {
        /* A descriptor that was closed and opened again is new to epoll. */
        if (errno == ENOENT && op == EPOLL_CTL_MOD &&
            epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) == 0) {
            e->told = want;
            return;
        }
        if (want && errno == EEXIST &&
            epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &ev) == 0) {
            e->told = want;
            return;
        }
        if (want) {
            /* EPERM: a file. EBADF: let the owner's read say so. */
            e->file = true;
            files++;
            e->told = 0;
            return;
        }
    }
    e->told = want;
}

void os_watch(struct os_watch *w, unsigned events)
{
    bool known = false;

    if (!events) {
        os_unwatch(w);
        return;
    }
    if ((size_t)w->fd >= fds_size) {
        size_t n = fds_size ? fds_size : 16;

        while (n <= (size_t)w->fd)
            n *= 2;
        fds = realloc(fds, n * sizeof *fds);
        if (!fds)
            fail("out of memory");
        memset(fds + fds_size, 0, (n - fds_size) * sizeof *fds);
        fds_size = n;
    }
    for (struct os_watch *o = fds[w->fd].first; o; o = o->next)
        known |= o == w;
    if (!known) {
        w->next = fds[w->fd].first;
        fds[w->fd].first = w;
    }
    w->events = events;
    update(w->fd);
}

void os_unwatch(struct os_watch *w)
{
    if (w->fd < 0 || (size_t)w->fd >= fds_size)
        return;
    for (struct os_watch **at = &fds[w->fd].first; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            if (walk_next == w)
                walk_next = w->next;
            w->events = 0;
            update(w->fd);
            return;
        }
    }
}

size_t os_watched(void)
{
    size_t n = files;

    for (size_t fd = 0; fd < fds_size; fd++)
        n += fds[fd].told != 0;
    return n;
}

static void run_ready(int fd, unsigned events)
{
    for (struct os_watch *w = fds[fd].first; w; w = walk_next) {
        walk_next = w->next;
        if (w->events & events)
            w->ready(w, w->events & events);
    }
    walk_next = NULL;
}

static int wait_events(struct epoll_event *ev, uint64_t mono_ns)
{
    static bool no_ns;          /* a kernel before 5.11 */
    uint64_t now, left;
    int n;

    if (mono_ns == 0 || files > 0)
        return epoll_wait(epfd, ev, WAIT_EVENTS, 0);
    if (mono_ns == UINT64_MAX)
        return epoll_wait(epfd, ev, WAIT_EVENTS, -1);
    now = os_mono_ns();
    left = mono_ns > now ? mono_ns - now : 0;
    if (!no_ns) {
        struct timespec ts = {
            .tv_sec = (time_t)(left / 1000000000u),
            .tv_nsec = (long)(left % 1000000000u),
        };

        n = epoll_pwait2(epfd, ev, WAIT_EVENTS, &ts, NULL);
        if (n >= 0 || errno != ENOSYS)
            return n;
        no_ns = true;
    }
    left = (left + 999999) / 1000000;
    return epoll_wait(epfd, ev, WAIT_EVENTS, left > 1000000 ? 1000000 : (int)left);
}

void os_wait(uint64_t mono_ns)
{
    struct epoll_event ev[WAIT_EVENTS];
    int n;

    if (__atomic_load_n(&signals, __ATOMIC_ACQUIRE))
        mono_ns = 0;
    n = wait_events(ev, mono_ns);
    for (int i = 0; i < n; i++) {
        int fd = ev[i].data.fd;
        uint32_t e = ev[i].events;
        unsigned what = 0;

        if (fd == wake_fd) {
            uint64_t count;

            while (read(wake_fd, &count, sizeof count) < 0 && errno == EINTR)
                ;
            continue;
        }
        /* An error shows itself to whoever reads or writes next. */
        if (e & (EPOLLIN | EPOLLHUP | EPOLLRDHUP | EPOLLERR))
            what |= OS_READ;
        if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            what |= OS_WRITE;
        if (e & (EPOLLHUP | EPOLLERR))
            what |= OS_ERROR;
        run_ready(fd, what);
    }
    if (files > 0) {
        for (size_t fd = 0; fd < fds_size; fd++)
            if (fds[fd].file)
                run_ready((int)fd, OS_READ | OS_WRITE);
    }
}

void os_wake(void)
{
    uint64_t one = 1;
    int saved = errno;

    /* EAGAIN: the counter is full, so the wake is already pending. */
    while (write(wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

static void on_signal(int sig)
{
    __atomic_fetch_or(&signals, (uint64_t)1 << sig, __ATOMIC_RELEASE);
    os_wake();
}

int os_take_signal(void)
{
    uint64_t pending = __atomic_load_n(&signals, __ATOMIC_ACQUIRE);
    int sig;

    if (!pending)
        return 0;
    sig = __builtin_ctzll(pending);
    __atomic_fetch_and(&signals, ~((uint64_t)1 << sig), __ATOMIC_ACQ_REL);
    return sig;
}

int os_set_signal(int sig, enum os_signal_action how)
{
    struct sigaction sa = {.sa_flags = SA_RESTART};

    sigemptyset(&sa.sa_mask);
    sa.sa_handler = how == OS_SIGNAL_HANDLE   ? on_signal
                    : how == OS_SIGNAL_IGNORE ? SIG_IGN
                                              : SIG_DFL;
    return sigaction(sig, &sa, NULL) < 0 ? -errno : 0;
}
