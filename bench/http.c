/*
 * http.c - a load of HTTP/1.1 requests over kept-alive connections.
 *
 * usage: http PORT CONNECTIONS SECONDS PATH
 *
 * Every connection has one request under way. After a third of SECONDS more to
 * warm up, requests are counted for SECONDS. Prints one line:
 *
 *     REQUESTS/S P50_US P99_US MAX_US
 *
 * A response that is not 200, or a connection that ends, ends the program.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RESPONSE_MAX 65536

struct conn {
    int fd;
    uint64_t sent_ns;
    size_t n;                       /* bytes of the response so far */
    char buf[RESPONSE_MAX + 1];
};

static char request[1024];
static size_t request_bytes;

static void fail(const char *what)
{
    fprintf(stderr, "http: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void ask(struct conn *c)
{
    c->n = 0;
    c->sent_ns = now();
    if (write(c->fd, request, request_bytes) != (ssize_t)request_bytes)
        fail("cannot send");
}

static int dial(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        fail("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Read on; 1 when the response is whole. */
static int take(struct conn *c)
{
    ssize_t n = read(c->fd, c->buf + c->n, RESPONSE_MAX - c->n);
    char *end, *length;

    if (n <= 0)
        fail("a connection ended");
    c->n += (size_t)n;
    c->buf[c->n] = 0;
    end = strstr(c->buf, "\r\n\r\n");
    if (!end)
        return 0;
    if (strncmp(c->buf, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "http: the answer is not 200: %.60s\n", c->buf);
        exit(1);
    }
    length = strcasestr(c->buf, "\r\nContent-Length:");
    if (!length || length > end) {
        fprintf(stderr, "http: no length in the answer\n");
        exit(1);
    }
    return c->n >= (size_t)(end + 4 - c->buf) + strtoul(length + 17, NULL, 10);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    int ep = epoll_create1(0), n, port;
    size_t count = 0, room = 0;
    uint32_t *us = NULL;
    uint64_t from, to;
    struct conn *conns;

    if (argc != 5) {
        fprintf(stderr, "usage: http PORT CONNECTIONS SECONDS PATH\n");
        return 2;
    }
    port = atoi(argv[1]);
    n = atoi(argv[2]);
    request_bytes = (size_t)snprintf(request, sizeof request,
                                     "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[4]);
    conns = calloc((size_t)n, sizeof *conns);
    if (!conns || ep < 0)
        fail("cannot begin");
    for (int i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &conns[i]};

        conns[i].fd = dial(port);
        epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e);
    }
    from = now() + (uint64_t)(atof(argv[3]) * 1e9 / 3);
    to = from + (uint64_t)(atof(argv[3]) * 1e9);
    for (int i = 0; i < n; i++)
        ask(&conns[i]);
    while (now() < to) {
        struct epoll_event e[64];
        int k = epoll_wait(ep, e, 64, 1000);

        for (int i = 0; i < k; i++) {
            struct conn *c = e[i].data.ptr;
            uint64_t t;

            if (!take(c))
                continue;
            t = now();
            if (t >= from) {
                if (count == room)
                    us = realloc(us, (room = room ? room * 2 : 65536) * sizeof *us);
                if (!us)
                    fail("no memory");
                us[count++] = (uint32_t)((t - c->sent_ns) / 1000);
            }
            ask(c);
        }
    }
    if (count == 0) {
        fprintf(stderr, "http: no answers\n");
        return 1;
    }
    qsort(us, count, sizeof *us, by_size);
    printf("%.0f %u %u %u\n", (double)count / ((double)(to - from) / 1e9), us[count / 2],
           us[count * 99 / 100], us[count - 1]);
    return 0;
}
