/*
 * switch.c - kindling switch: its start, its end, and the loop between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "registry.h"
#include "switch.h"

#define IDLE_SECONDS 5          /* without a port, until it ends */
#define EVENTS 64
enum { LISTENER_FD = 3, LOCK_FD };

static int poll_fd;
static int listener, lock;      /* lock: that of switch_client.c */
static const char *socket_path;

uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void watch_add(struct source *s, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        fail(EXIT_TOOL, "the switch cannot watch a descriptor: %s", strerror(errno));
}

void watch_set(struct source *s, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    epoll_ctl(poll_fd, EPOLL_CTL_MOD, fd, &e);
}

void watch_drop(int fd)
{
    epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void **dead;
static size_t deads, deads_room;

void free_later(void *p)
{
    if (deads == deads_room)
        dead = reallocate(dead, (deads_room = deads_room ? 2 * deads_room : 64) * sizeof *dead);
    dead[deads++] = p;
}

/* One request comes over a connection, at its beginning. */
static void request(int connection)
{
    struct switch_request r;
    struct iovec v = {&r, sizeof r};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(PUBLISH_MAX * sizeof(int))];
    } control = {0};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    struct timeval second = {1, 0};
    struct cmsghdr *c;
    int fd[PUBLISH_MAX];
    unsigned fds = 0;
    ssize_t got;

    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    got = recvmsg(connection, &m, MSG_CMSG_CLOEXEC);
    c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fd, CMSG_DATA(c), fds * sizeof(int));
    }
    if (got == sizeof r && r.version == SWITCH_VERSION && r.published == fds) {
        r.name[sizeof r.name - 1] = 0;
        if (r.what == SWITCH_JOIN) {
            port_join(connection, &r, fd, fds);
            return;
        }
        if (r.what == SWITCH_DUMP && fds == 0) {
            port_dump(connection, r.name);
            return;
        }
        if (r.what == SWITCH_UPLINK && fds == 1) {
            uplink_join(connection, &r, fd[0]);
            return;
        }
    }
    while (fds > 0)
        close(fd[--fds]);
    close(connection);
}

static void on_listener(struct source *s, uint32_t events)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        request(fd);
}

static bool in_use(void)
{
    return ports_open() > 0 || uplink_open();
}

/* Nobody connects while we hold the lock, unless he did before. */
static void end_unless_asked(void)
{
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        return;
    on_listener(NULL, 0);
    if (!in_use()) {
        unlink(socket_path);
        exit(0);
    }
    flock(lock, LOCK_UN);
}

static int shorter(int a, int b)
{
    return a < 0 ? b : b < 0 || a < b ? a : b;
}

static _Noreturn void serve(void)
{
    static struct source listen_source = {on_listener};
    uint64_t idle_since = now_ns();
    bool more = false;

    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0)
        fail(EXIT_TOOL, "the switch cannot start: %s", strerror(errno));
    watch_add(&listen_source, listener, EPOLLIN);
    port_faults(getenv("KINDLING_FAULTS"));
    port_limit(getenv("KINDLING_PORTS"));
    gateway_start();
    names_start();
    switch_confine();
    for (;;) {
        int ms = more ? 0 : shorter(gateway_wait_ms(), forward_wait_ms()), n;
        struct epoll_event event[EVENTS];

        if (!in_use())
            ms = shorter(ms, IDLE_SECONDS * 1000);
        n = epoll_wait(poll_fd, event, EVENTS, ms);
        for (int i = 0; i < n; i++) {
            struct source *s = event[i].data.ptr;

            if (s->ready)
                s->ready(s, event[i].events);
        }
        more = port_work();
        gateway_work();
        forward_work();
        while (deads > 0)
            free(dead[--deads]);
        if (in_use() || forward_any_orphan())
            idle_since = now_ns();
        else if (now_ns() - idle_since >= IDLE_SECONDS * UINT64_C(1000000000))
            end_unless_asked();
    }
}

pid_t switch_fork(int fd)
{
    const char *log = registry_path(SWITCH_FILES, "log");
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), null;
    struct rlimit files;
    sigset_t none;
    pid_t pid;

    if (out < 0)
        fail(EXIT_TOOL, "cannot write the switch's log %s: %s", log, strerror(errno));
    pid = fork();
    if (pid < 0)
        fail(EXIT_TOOL, "cannot start the switch: %s", strerror(errno));
    if (pid > 0) {
        close(out);
        return pid;
    }
    /* Nothing of the one that happened to start it: it outlives him. */
    setsid();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    socket_path = registry_path(SWITCH_FILES, "socket");
    lock = open(registry_path(SWITCH_FILES, "lock"), O_RDWR);
    null = open("/dev/null", O_RDWR);
    listener = fcntl(fd, F_DUPFD, LOCK_FD + 1);
    lock = fcntl(lock, F_DUPFD, LOCK_FD + 1);
    if (listener < 0 || lock < 0 || null < 0)
        _exit(EXIT_TOOL);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    listener = dup2(listener, LISTENER_FD);
    lock = dup2(lock, LOCK_FD);
    if (syscall(SYS_close_range, LOCK_FD + 1, ~0u, 0) < 0)
        for (int i = LOCK_FD + 1; i < 1024; i++)
            close(i);
    if (chdir("/") < 0)
        _exit(EXIT_TOOL);
    prctl(PR_SET_NAME, "kindling-switch", 0, 0, 0);
    serve();
}
