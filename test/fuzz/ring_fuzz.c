/*
 * ring_fuzz.c - two hostile guests write what they like into their rings, and
 * somebody into the uplink: the switch goes on, and only honest frames come to
 * the guests.
 *
 * The input is operations of a byte each, with what they need behind them.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define GUESTS 2

static struct guest {
    int lease, kick;
    struct source *kicked;
    struct net_port *rings;
    struct guest_net net;
    uint32_t sent, taken;
} guest[GUESTS];

/* In place of switch.c and util.c: no events but kicks. */
static struct source *first_source;
void watch_add(struct source *s, int fd, uint32_t events)
{
    if (!first_source)
        first_source = s;
}
void watch_set(struct source *s, int fd, uint32_t events)
{
}
void watch_drop(int fd)
{
}
void free_later(void *p)
{
    free(p);
}
uint64_t now_ns(void)
{
    static uint64_t now = 1;

    return now += 1000000;
}
void fail(int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    abort();
}
void *allocate(size_t n)
{
    return calloc(1, n ? n : 1);
}
void *reallocate(void *p, size_t n)
{
    return realloc(p, n);
}

static const uint8_t uplink_mac[6] = "\6uplnk";

static void join(struct guest *g, uint16_t port)
{
    struct switch_request r = {
        .version = SWITCH_VERSION, .what = SWITCH_JOIN, .published = 1, .guest_port = {port},
    };
    struct switch_reply reply;
    struct iovec v = {&reply, sizeof reply};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control,
                       .msg_controllen = sizeof control};
    int pair[2], fd[3], listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || listener < 0)
        abort();
    first_source = NULL;
    port_join(pair[0], &r, &listener, 1);
    g->kicked = first_source;
    if (recvmsg(pair[1], &m, 0) != sizeof reply || reply.why[0])
        abort();
    memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
    g->lease = pair[1];
    g->net = reply.net;
    g->rings = mmap(NULL, sizeof *g->rings, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
    if (g->rings == MAP_FAILED)
        abort();
    g->kick = fd[1];
    close(fd[0]);
    close(fd[2]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    gateway_start();
    names_start();
    for (int i = 0; i < GUESTS; i++)
        join(&guest[i], (uint16_t)(80 + i));
    return 0;
}

/* What is in a guest's ring came from the gateway or from its neighbour, as itself. */
static void look(struct guest *g, const struct guest *other)
{
    const uint8_t *f;
    size_t n;

    while (net_get_at(&g->rings->to_guest, g->taken, &f, &n)) {
        bool gateway = n >= 14 && memcmp(f + 6, gateway_mac, 6) == 0;
        bool neighbour = n >= 14 && memcmp(f + 6, other->net.mac, 6) == 0;
        bool uplink = n >= 14 && memcmp(f + 6, uplink_mac, 6) == 0 &&
                      (f[12] != 8 || f[13] != 0 || !port_may_have(f + 26)) &&
                      (f[12] != 8 || f[13] != 6 || !port_may_have(f + 28));

        if (!gateway && !neighbour && !uplink) {
            fprintf(stderr, "ring_fuzz: a frame from nobody\n");
            abort();
        }
        net_got(&g->rings->to_guest, &g->taken);
    }
}

static void work(void)
{
    uint64_t one = 1;

    for (int i = 0; i < GUESTS; i++) {
        if (write(guest[i].kick, &one, sizeof one) != sizeof one)
            abort();
        guest[i].kicked->ready(guest[i].kicked, 0);
    }
    for (int i = 0; i < 8 && port_work(); i++)
        ;
    gateway_work();
    forward_work();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *end = data + n;

    while (end - data >= 8) {
        struct guest *g = &guest[data[0] & 1], *other = &guest[~data[0] & 1];
        unsigned op = data[0] >> 1 & 7;
        uint32_t v;
        uint8_t *at;

        memcpy(&v, data + 4, 4);
        switch (op) {
        case 0: g->rings->from_guest.head = v; break;
        case 1: g->rings->to_guest.tail = v; break;
        case 2: g->rings->from_guest.slot[data[1]].bytes = v; break;
        case 3: g->rings->to_guest.sleeps = g->rings->from_guest.sleeps = v; break;
        case 4: look(g, other); break;
        case 5: g->sent = g->rings->from_guest.tail; break;
        default:        /* a frame, its addresses made right if data[2] says so */
            at = net_put_at(&g->rings->from_guest, g->sent);
            v %= NET_FRAME_MAX + 1;
            data += 8;
            if ((size_t)(end - data) < v)
                v = (uint32_t)(end - data);
            if (data[-7] & 1) {         /* through the uplink */
                uint8_t frame[NET_FRAME_MAX];

                memcpy(frame, data, v);
                if (v >= 14 && memcmp(frame + 6, gateway_mac, 4) != 0)
                    memcpy(frame + 6, uplink_mac, 6);
                if (v >= 34 && data[-6] & 2)
                    memcpy(frame, data[-6] & 4 ? gateway_mac : g->net.mac, 6);
                port_from_uplink(frame, v);
            } else if (at) {
                memcpy(at, data, v);
                if (v >= 34 && data[-6] & 1)
                    memcpy(at + 6, g->net.mac, 6);
                if (v >= 34 && data[-6] & 2)
                    memcpy(at, data[-6] & 4 ? gateway_mac : other->net.mac, 6);
                if (v >= 34 && data[-6] & 8)
                    memcpy(at + 26, g->net.ip, 4);
                if (v >= 34 && data[-6] & 16)
                    memcpy(at + 30, gateway_ip, v >= 34 ? 4 : 0);
                net_put(&g->rings->from_guest, &g->sent, v);
            }
            data += v;
            data -= 8;
        }
        data += 8;
        work();
    }
    return 0;
}
