/*
 * frame_fuzz.c - an instance takes any frames: its stack, under sanitizers, with
 * sockets that listen, accept, answer and connect.
 *
 * The input is frames, each behind a byte of flags and two of length. The
 * checksums are not looked at in this build, and a flag puts right what a
 * stranger can't guess: addresses, and the sequence number that was sent last, or
 * one that lies as far behind it as the frame says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/link.h"
#include "net/lwip/stack.h"
#include "net/net.h"
#include "os/os.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 2}, ip[4] = {10, 78, 0, 2};
static const uint8_t *frame;
static size_t frame_bytes;
static uint8_t sent[LINK_FRAME_MAX], last_tcp[20];

bool link_config(struct link_config *c)
{
    memcpy(c->mac, mac, 6);
    memcpy(c->ip, ip, 4);
    memcpy(c->mask, (uint8_t[]){255, 255, 0, 0}, 4);
    memcpy(c->gateway, (uint8_t[]){10, 78, 0, 1}, 4);
    return true;
}
size_t link_rx(const uint8_t **at)
{
    *at = frame;
    return frame_bytes;
}
void link_rx_done(void)
{
    frame_bytes = 0;
}
uint8_t *link_tx(void)
{
    return sent;
}
void link_tx_done(size_t bytes)
{
    if (bytes >= 54 && sent[12] == 8 && sent[13] == 0 && sent[23] == 6)
        memcpy(last_tcp, sent + 34, sizeof last_tcp);
}

extern const struct net_ops lwip_net_ops;
static struct net_sock *listener, *udp, *conn[16];
static unsigned conns;

static void nothing(struct net_sock *s, unsigned events)
{
}

static void on_conn(struct net_sock *s, unsigned events)
{
    uint8_t buf[3000];
    int64_t n = lwip_net_ops.recv(s, buf, sizeof buf);
    struct net_iov v = {buf, n > 0 ? (size_t)n : 0};

    if (n > 0)
        lwip_net_ops.send(s, &v, 1);
    if (n > 0 || n == -11)
        return;
    for (unsigned i = 0; i < 16; i++)
        if (conn[i] == s)
            conn[i] = NULL;
    lwip_net_ops.close(s);
}

static void on_listener(struct net_sock *s, unsigned events)
{
    struct net_sock *c;

    while (lwip_net_ops.accept(s, &c) == 0) {
        struct net_sock **at = &conn[conns++ % 16];

        if (*at)
            lwip_net_ops.close(*at);
        *at = c;
        c->ready = on_conn;
        lwip_net_ops.watch(c, NET_READ);
    }
}

static void on_udp(struct net_sock *s, unsigned events)
{
    uint8_t buf[3000];
    struct net_addr from;
    int64_t n = lwip_net_ops.recvfrom(s, buf, sizeof buf, &from, NULL);

    if (n >= 0)
        lwip_net_ops.sendto(s, buf, (size_t)n, &from, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct net_addr a = {.family = NET_INET6, .port = 80};

    if (lwip_net_ops.open(&listener, NET_INET6, NET_STREAM) < 0 ||
        lwip_net_ops.bind(listener, &a) < 0 || lwip_net_ops.listen(listener, 20) < 0 ||
        lwip_net_ops.open(&udp, NET_INET6, NET_DGRAM) < 0)
        abort();
    a.port = 53;
    if (lwip_net_ops.bind(udp, &a) < 0)
        abort();
    listener->ready = on_listener;
    udp->ready = on_udp;
    lwip_net_ops.watch(listener, NET_READ);
    lwip_net_ops.watch(udp, NET_READ);
    return 0;
}

/* A connection of ours, which a frame may answer. */
static void dial(void)
{
    struct net_addr a = {.family = NET_INET, .port = 99, .ip = {10, 78, 0, 1}};
    struct net_sock **at = &conn[conns++ % 16];

    if (*at)
        lwip_net_ops.close(*at);
    if (lwip_net_ops.open(at, NET_INET, NET_STREAM) < 0)
        abort();
    (*at)->ready = nothing;
    lwip_net_ops.connect(*at, &a);
}

static uint32_t word(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_word(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put_right(uint8_t *f, size_t n, unsigned flags)
{
    if (flags & 1 && n >= 14)
        memcpy(f, mac, 6);
    if (flags & 2 && n >= 34) {
        f[12] = 8;
        f[13] = 0;
        f[14] = 0x45;
        f[16] = (uint8_t)((n - 14) >> 8);
        f[17] = (uint8_t)(n - 14);
        f[20] &= 0x20;
        memcpy(f + 30, ip, 4);
    }
    if (flags & 4 && n >= 54) {
        uint32_t seq = word(last_tcp + 8) + (flags & 16 ? word(f + 38) : 0);

        f[23] = 6;
        memcpy(f + 34, last_tcp + 2, 2);
        memcpy(f + 36, last_tcp, 2);
        put_word(f + 38, seq);
        put_word(f + 42, word(last_tcp + 4) + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    while (n >= 3) {
        unsigned flags = data[0];
        size_t bytes = (size_t)(data[1] << 8 | data[2]) % (LINK_FRAME_MAX + 1);
        uint8_t *copy;

        data += 3;
        n -= 3;
        bytes = bytes < n ? bytes : n;
        if (flags & 8)
            dial();
        copy = malloc(bytes ? bytes : 1);
        memcpy(copy, data, bytes);
        put_right(copy, bytes, flags);
        frame = copy;
        frame_bytes = bytes;
        stack_poll();
        frame_bytes = 0;
        stack_poll();
        free(copy);
        data += bytes;
        n -= bytes;
    }
    return 0;
}
