/*
 * switch_client.c - asking the switch for a port, and starting it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "registry.h"
#include "switch.h"

static long port_number(const char *s, size_t n)
{
    long v = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || v > 65535)
            return -1;
        v = v * 10 + (s[i] - '0');
    }
    return n > 0 && v > 0 && v <= 65535 ? v : -1;
}

/* Listen; text is for complaints. */
static void publish(struct network *n, struct sockaddr_in *a, uint16_t guest_port,
                    const char *text)
{
    struct publish *p = &n->publish[n->published];
    int on = 1;

    if (n->published == PUBLISH_MAX)
        fail(EXIT_TOOL, "cannot publish %s: more than %d ports", text, PUBLISH_MAX);
    *p = (struct publish){socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
                          guest_port};
    if (p->fd < 0 || setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(p->fd, (struct sockaddr *)a, sizeof *a) < 0 || listen(p->fd, 1024) < 0)
        fail(EXIT_TOOL, "cannot publish %s: %s", text, strerror(errno));
    n->published++;
    n->wanted = true;
}

unsigned network_publish_any(struct network *n, uint16_t guest_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof a;

    publish(n, &a, guest_port, "a port");
    if (getsockname(n->publish[n->published - 1].fd, (struct sockaddr *)&a, &bytes) < 0)
        fail(EXIT_TOOL, "cannot publish a port: %s", strerror(errno));
    return ntohs(a.sin_port);
}

void network_publish(struct network *n, const char *text)
{
    const char *guest = strrchr(text, ':'), *host = guest;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    long host_port, guest_port;

    while (host && host > text && host[-1] != ':')
        host--;
    host_port = host ? port_number(host, (size_t)(guest - host)) : -1;
    guest_port = guest ? port_number(guest + 1, strlen(guest + 1)) : -1;
    if (host_port < 0 || guest_port < 0)
        fail(EXIT_TOOL, "cannot publish %s: HOST:GUEST, or ADDRESS:HOST:GUEST, is wanted", text);
    if (host > text) {
        char *address = format("%.*s", (int)(host - 1 - text), text);

        if (inet_pton(AF_INET, address, &a.sin_addr) != 1)
            fail(EXIT_TOOL, "cannot publish %s: %s is no IPv4 address", text, address);
        free(address);
    }
    a.sin_port = htons((uint16_t)host_port);
    publish(n, &a, (uint16_t)guest_port, text);
}

static int try_connect(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        fail(EXIT_TOOL, "cannot reach the switch: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The one who holds the lock starts it, or ends it (switch.c). */
int switch_connect(bool start)
{
    char *path = registry_path(SWITCH_FILES, "lock");
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), fd, listener;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char *name = registry_path(SWITCH_FILES, "socket");

    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        fail(EXIT_TOOL, "cannot lock %s: %s", path, strerror(errno));
    if (strlen(name) >= sizeof a.sun_path)
        fail(EXIT_TOOL, "cannot reach the switch: the path %s is too long", name);
    strcpy(a.sun_path, name);
    fd = try_connect(&a);
    if (fd < 0 && start) {
        unlink(name);
        listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof a) < 0 ||
            listen(listener, 128) < 0)
            fail(EXIT_TOOL, "cannot start the switch at %s: %s", name, strerror(errno));
        if (ftruncate(lock, 0) < 0 || dprintf(lock, "%ld\n", (long)switch_fork(listener)) < 0)
            fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
        close(listener);
        fd = try_connect(&a);
        if (fd < 0)
            fail(EXIT_TOOL, "cannot reach the switch that was started: %s", strerror(errno));
    }
    close(lock);
    free(path);
    free(name);
    return fd;
}

void switch_ask(int connection, const struct switch_request *r, const int *fd, unsigned fds)
{
    struct iovec v = {(void *)r, sizeof *r};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(PUBLISH_MAX * sizeof(int))];
    } control = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    if (fds > 0) {
        struct cmsghdr *c;

        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds * sizeof(int));
        memcpy(CMSG_DATA(c), fd, fds * sizeof(int));
    }
    if (sendmsg(connection, &m, MSG_NOSIGNAL) != sizeof *r)
        fail(EXIT_TOOL, "cannot ask the switch: %s", strerror(errno));
}

static void take_reply(int connection, struct network *n)
{
    struct switch_reply reply;
    struct iovec v = {&reply, sizeof reply};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    ssize_t got = recvmsg(connection, &m, 0);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    int fd[3];

    if (got != sizeof reply || reply.version != SWITCH_VERSION)
        fail(EXIT_TOOL, "cannot get a port: the switch that runs is another kindling's");
    reply.why[sizeof reply.why - 1] = 0;
    if (reply.why[0])
        fail(EXIT_TOOL, "cannot get a port of the switch: %s", reply.why);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fd))
        fail(EXIT_TOOL, "cannot get a port: the switch sent no memory");
    memcpy(fd, CMSG_DATA(c), sizeof fd);
    n->memory = fd[0];
    n->kick = fd[1];
    n->wake = fd[2];
    n->net = reply.net;
}

void network_join(struct network *n, const char *name)
{
    struct switch_request r = {
        .version = SWITCH_VERSION, .what = SWITCH_JOIN, .published = n->published,
    };
    int fd[PUBLISH_MAX];

    n->lease = switch_connect(true);
    snprintf(r.name, sizeof r.name, "%s", name);
    for (unsigned i = 0; i < n->published; i++) {
        r.guest_port[i] = n->publish[i].guest_port;
        fd[i] = n->publish[i].fd;
    }
    switch_ask(n->lease, &r, fd, n->published);
    take_reply(n->lease, n);
    fcntl(n->lease, F_SETFD, 0);        /* the tender keeps it open */
    for (unsigned i = 0; i < n->published; i++)
        close(n->publish[i].fd);
}

char *network_argument(const struct network *n)
{
    return format("%d,%d,%d", n->memory, n->kick, n->wake);
}

void network_close(const struct network *n)
{
    close(n->memory);
    close(n->kick);
    close(n->wake);
    close(n->lease);
}
