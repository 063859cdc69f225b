/*
 * switch_port.c - ports of instances: their rings, and where frames go.
 *
 * What a guest puts into its ring is copied once, then looked at. A port's
 * frames are taken a few at a time, so that nobody keeps the others waiting.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "switch.h"

#define PORT_FIRST 2            /* 0 and 1: the network, the gateway */
#define PORT_LAST 65000         /* of 10.78.0.0/16 */
#define FRAMES_A_TURN 64
#define ETHERNET_HEADER 14

struct port {
    struct source kicked, connection;   /* first: see port_of() */
    int kick, wake, lease;
    unsigned number;
    char name[SWITCH_NAME];
    struct net_port *rings;
    uint32_t sent, taken;               /* our ends of them */
    struct guest_net net;
    bool work;                          /* there may be frames of its */
    uint8_t *late;                      /* a frame held back (faults); NULL: none */
    size_t late_bytes;
    uint64_t born_ns;
    struct forward *forward[PUBLISH_MAX];
    struct dump *dumps;
};

struct dump {
    struct source source;
    struct dump *next;
    struct port *port;
    int fd;
};

static struct port **ports;             /* by number; NULL: free */
static unsigned ports_room, next_number = PORT_FIRST, last_number = PORT_LAST;
static size_t open_ports;

#define FROM_FIELD(type, field, p) ((type *)((char *)(p) - offsetof(type, field)))

size_t ports_open(void)
{
    return open_ports;
}

uint64_t port_age_ns(const struct port *p)
{
    return now_ns() - p->born_ns;
}

/* ---- frames ---- */

static void dump_frame(const struct port *p, const uint8_t *frame, size_t n)
{
    struct timespec ts;
    struct switch_frame head;
    struct iovec v[2] = {{&head, sizeof head}, {(void *)frame, n}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

    clock_gettime(CLOCK_REALTIME, &ts);
    head.wall_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
    /* A reader that is too slow misses some. */
    for (struct dump *d = p->dumps; d; d = d->next)
        sendmsg(d->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool put_frame(struct port *p, const uint8_t *frame, size_t n)
{
    uint8_t *at = net_put_at(&p->rings->to_guest, p->sent);
    uint64_t one = 1;

    if (!at)
        return false;
    memcpy(at, frame, n);
    if (net_put(&p->rings->to_guest, &p->sent, n) && write(p->wake, &one, sizeof one) < 0)
        one = 0;                /* it is readable already */
    if (p->dumps)
        dump_frame(p, frame, n);
    return true;
}

/*
 * KINDLING_FAULTS=LOST,DOUBLED,SWAPPED, in percent of the frames to instances:
 * for tests of what they make of it.
 */
static unsigned lost, doubled, swapped;

void port_faults(const char *s)
{
    if (s && sscanf(s, "%u,%u,%u", &lost, &doubled, &swapped) != 3)
        fail(EXIT_TOOL, "cannot take %s for KINDLING_FAULTS: three numbers are wanted", s);
}

static bool deliver(struct port *p, const uint8_t *frame, size_t n)
{
    unsigned chance;
    bool put;

    if (!lost && !doubled && !swapped)
        return put_frame(p, frame, n);
    chance = stack_random() % 100;
    if (chance < lost)
        return true;
    if (chance < lost + swapped && !p->late) {
        p->late = allocate(n);
        memcpy(p->late, frame, p->late_bytes = n);
        return true;
    }
    put = put_frame(p, frame, n);
    if (chance >= 100 - doubled)
        put_frame(p, frame, n);
    if (p->late) {
        put_frame(p, p->late, p->late_bytes);
        free(p->late);
        p->late = NULL;
    }
    return put;
}

static struct port *port_by_mac(const uint8_t *mac)
{
    unsigned number = (unsigned)mac[4] << 8 | mac[5];

    if (memcmp(mac, gateway_mac, 4) != 0 || number >= ports_room)
        return NULL;
    return ports[number];
}

static void to_all(const struct port *except, const uint8_t *frame, size_t n)
{
    for (unsigned i = PORT_FIRST; i < ports_room; i++)
        if (ports[i] && ports[i] != except)
            deliver(ports[i], frame, n);
}

bool port_send(const uint8_t *frame, size_t n)
{
    struct port *p;

    if (frame[0] & 1) {
        to_all(NULL, frame, n);
        return true;
    }
    p = port_by_mac(frame);
    return !p || deliver(p, frame, n);  /* nobody's frame is gone */
}

/* Whether it says truly whose it is. */
static bool honest(const struct port *p, const uint8_t *f, size_t n)
{
    unsigned type;

    if (n < ETHERNET_HEADER || memcmp(f + 6, p->net.mac, 6) != 0)
        return false;
    type = (unsigned)f[12] << 8 | f[13];
    if (type == 0x0800)
        return n >= ETHERNET_HEADER + 20 && memcmp(f + 26, p->net.ip, 4) == 0;
    if (type == 0x0806)
        return n >= ETHERNET_HEADER + 28 && memcmp(f + 22, p->net.mac, 6) == 0 &&
               memcmp(f + 28, p->net.ip, 4) == 0;
    return type == 0x86dd;
}

static struct port *port_by_ip(const uint8_t *ip)
{
    unsigned number = (unsigned)ip[2] << 8 | ip[3];

    return memcmp(ip, gateway_ip, 2) == 0 && number < ports_room ? ports[number] : NULL;
}

bool port_net_has(const uint8_t *ip)
{
    return memcmp(ip, gateway_ip, 2) == 0;
}

bool port_may_have(const uint8_t *ip)
{
    return port_net_has(ip) && ((unsigned)ip[2] << 8 | ip[3]) <= PORT_LAST;
}

static bool is_arp(const uint8_t *f)
{
    return f[12] == 0x08 && f[13] == 0x06;
}

static bool is_ip4(const uint8_t *f)
{
    return f[12] == 0x08 && f[13] == 0x00;
}

static void forward_frame(struct port *p, const uint8_t *f, size_t n)
{
    struct port *to;

    if (p->dumps)
        dump_frame(p, f, n);
    if (f[0] & 1 && is_arp(f)) {
        /* Who has an address is known: a question is only for him. */
        if (memcmp(f + 38, gateway_ip, 4) == 0)
            gateway_frame(f, n);
        else if (!port_may_have(f + 38))
            uplink_send(f, n);
        else if ((to = port_by_ip(f + 38)) && to != p)
            deliver(to, f, n);
    } else if (f[0] & 1) {
        to_all(p, f, n);
        gateway_frame(f, n);
        uplink_send(f, n);
    } else if (memcmp(f, gateway_mac, 6) == 0) {
        if (is_ip4(f) && !port_net_has(f + 30))
            uplink_route(f, n);
        else
            gateway_frame(f, n);
    } else if (memcmp(f, gateway_mac, 4) != 0) {
        uplink_send(f, n);
    } else if ((to = port_by_mac(f)) && to != p) {
        deliver(to, f, n);
    }
}

/* It may not speak as one of ours, nor with the gateway. */
void port_from_uplink(const uint8_t *f, size_t n)
{
    struct port *to = NULL;

    if (n < ETHERNET_HEADER || f[6] & 1 || memcmp(f + 6, gateway_mac, 4) == 0)
        return;
    if (is_ip4(f) && (n < ETHERNET_HEADER + 20 || port_may_have(f + 26)))
        return;
    if (is_arp(f) && (n < ETHERNET_HEADER + 28 || port_may_have(f + 28) ||
                      memcmp(f + 22, f + 6, 6) != 0))
        return;
    if (!(f[0] & 1))
        to = port_by_mac(f);
    else if (is_arp(f))
        to = port_by_ip(f + 38);
    else
        to_all(NULL, f, n);
    if (to)
        deliver(to, f, n);
}

/* True: it has more. */
static bool take_frames(struct port *p)
{
    struct net_ring *r = &p->rings->from_guest;
    uint8_t frame[NET_FRAME_MAX];
    const uint8_t *at;
    size_t n;

    net_sleeps(r, false);
    for (int i = 0; i < FRAMES_A_TURN; i++) {
        if (!net_get_at(r, p->taken, &at, &n)) {
            net_sleeps(r, true);
            if (!net_any(r, p->taken))
                return false;
            net_sleeps(r, false);
            continue;
        }
        memcpy(frame, at, n);
        net_got(r, &p->taken);
        if (honest(p, frame, n))
            forward_frame(p, frame, n);
    }
    return true;
}

bool port_work(void)
{
    bool more = false;

    for (unsigned i = PORT_FIRST; i < ports_room; i++)
        if (ports[i] && ports[i]->work)
            more |= ports[i]->work = take_frames(ports[i]);
    return more;
}

static void on_kick(struct source *s, uint32_t events)
{
    struct port *p = FROM_FIELD(struct port, kicked, s);
    uint64_t count;

    if (read(p->kick, &count, sizeof count) > 0)
        p->work = true;
}

/* ---- coming and going ---- */

static void dump_end(struct dump *d)
{
    d->source.ready = NULL;
    close(d->fd);
    free_later(d);
}

static void port_end(struct port *p)
{
    for (int i = 0; i < PUBLISH_MAX; i++)
        if (p->forward[i])
            forward_free(p->forward[i]);
    for (struct dump *d = p->dumps, *next; d; d = next) {
        next = d->next;
        dump_end(d);
    }
    ports[p->number] = NULL;
    open_ports--;
    p->kicked.ready = p->connection.ready = NULL;
    watch_drop(p->kick);        /* its tender may still have it open, and it be readable */
    close(p->lease);
    close(p->kick);
    close(p->wake);
    munmap(p->rings, sizeof *p->rings);
    free(p->late);
    free_later(p);
}

/* Nothing more is said on it: it can only end. What it sent last still counts. */
static void on_connection(struct source *s, uint32_t events)
{
    struct port *p = FROM_FIELD(struct port, connection, s);

    for (unsigned i = 0; i <= NET_SLOTS / FRAMES_A_TURN && take_frames(p); i++)
        ;
    port_end(p);
}

/* KINDLING_PORTS=N: no more ports than that, for tests of what comes then. */
void port_limit(const char *s)
{
    unsigned n;

    if (s && (sscanf(s, "%u", &n) != 1 || n == 0 || n > PORT_LAST - PORT_FIRST + 1))
        fail(EXIT_TOOL, "cannot take %s for KINDLING_PORTS: a number is wanted", s);
    if (s)
        last_number = PORT_FIRST + n - 1;
}

/* The next one that is free: an address is not used again at once. */
static unsigned free_number(void)
{
    for (unsigned i = 0; i <= last_number - PORT_FIRST; i++) {
        unsigned n = next_number;

        next_number = n == last_number ? PORT_FIRST : n + 1;
        if (n < ports_room && ports[n])
            continue;
        if (n >= ports_room) {
            unsigned room = n < 512 ? 1024 : 2 * n;

            ports = reallocate(ports, room * sizeof *ports);
            memset(ports + ports_room, 0, (room - ports_room) * sizeof *ports);
            ports_room = room;
        }
        return n;
    }
    return 0;
}

static void refuse(int connection, const char *why)
{
    struct switch_reply reply = {.version = SWITCH_VERSION};

    snprintf(reply.why, sizeof reply.why, "%s", why);
    if (send(connection, &reply, sizeof reply, MSG_NOSIGNAL) < 0)
        why = NULL;             /* he did not wait for it */
    close(connection);
}

static bool answer(const struct port *p, int memory)
{
    struct switch_reply reply = {.version = SWITCH_VERSION, .net = p->net};
    struct iovec v = {&reply, sizeof reply};
    int fd[3] = {memory, p->kick, p->wake};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof control,
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), fd, sizeof fd);
    return sendmsg(p->lease, &m, MSG_NOSIGNAL) == sizeof reply;
}

void port_join(int connection, const struct switch_request *r, int *fd, unsigned fds)
{
    int memory = memfd_create("port", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct port *p = allocate(sizeof *p);

    *p = (struct port){
        .kicked = {on_kick}, .connection = {on_connection}, .lease = connection,
        .kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .number = free_number(),
        .born_ns = now_ns(), .rings = MAP_FAILED,
    };
    memcpy(p->name, r->name, sizeof p->name);
    /* Sealed: a guest that made it shorter would end us. */
    if (p->number && memory >= 0 && p->kick >= 0 && p->wake >= 0 &&
        ftruncate(memory, (off_t)GUEST_NET_SIZE) == 0 &&
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        p->rings = mmap(NULL, sizeof *p->rings, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (p->rings == MAP_FAILED) {
        const char *why = p->number ? strerror(errno) : "no address is left";

        /* Who hears it may publish the same ports again at once. */
        while (fds > 0)
            close(fd[--fds]);
        refuse(connection, why);
        close(p->kick);
        close(p->wake);
        close(memory);
        free(p);
        return;
    }
    memcpy(p->net.mac, gateway_mac, 4);
    memcpy(p->net.ip, gateway_ip, 2);
    p->net.mac[4] = p->net.ip[2] = (uint8_t)(p->number >> 8);
    p->net.mac[5] = p->net.ip[3] = (uint8_t)p->number;
    memcpy(p->net.mask, gateway_mask, 4);
    memcpy(p->net.gateway, gateway_ip, 4);
    net_sleeps(&p->rings->from_guest, true);
    ports[p->number] = p;
    open_ports++;
    watch_add(&p->kicked, p->kick, EPOLLIN);
    watch_add(&p->connection, connection, EPOLLIN);
    for (unsigned i = 0; i < fds; i++)
        p->forward[i] = forward_new(p, p->net.ip, fd[i], r->guest_port[i]);
    if (!answer(p, memory))
        port_end(p);
    close(memory);
}

static void on_dump(struct source *s, uint32_t events)
{
    struct dump *d = FROM_FIELD(struct dump, source, s), **at = &d->port->dumps;

    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    dump_end(d);
}

void port_dump(int connection, const char *name)
{
    struct port *p = NULL;
    struct dump *d;

    for (unsigned i = PORT_FIRST; i < ports_room && !p; i++)
        if (ports[i] && strcmp(ports[i]->name, name) == 0)
            p = ports[i];
    if (!p) {
        close(connection);      /* nothing comes: there is no such port */
        return;
    }
    d = allocate(sizeof *d);
    *d = (struct dump){{on_dump}, p->dumps, p, connection};
    p->dumps = d;
    watch_add(&d->source, connection, EPOLLIN);
    dump_frame(p, NULL, 0);     /* to begin with: it is there */
}
