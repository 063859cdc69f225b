/*
 * switch_forward.c - published ports: a connection that comes in on the host is
 * made again to the instance, from the gateway, and the bytes go over.
 *
 * Neither side is read faster than the other takes: the host's socket while the
 * instance's send buffer has room, the instance's window opens as the host's
 * socket takes what came. An instance that refuses at first, because it is
 * still booting, is asked again for a while.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lwip/tcp.h"
#include "net/lwip/ticks.h"
#include "switch.h"

#define BOOT_NS UINT64_C(30000000000)
#define AGAIN_NS UINT64_C(1000000)
#define ACCEPTS_A_TURN 64
#define READ_MAX 65535          /* lwIP's lengths have 16 bits */
#define ROOM_MIN (16 * 1024)    /* in the send buffer, to begin reading again */

struct forward {
    struct source source;
    int listener;
    struct port *port;
    ip_addr_t ip;
    uint16_t guest_port;
    bool answered;              /* the instance accepted one before */
    struct link *links;
};

struct link {
    struct source source;
    struct forward *forward;
    struct link *next, **prev;
    int fd;
    struct tcp_pcb *pcb;        /* NULL: gone, or not connected yet */
    bool connected;
    bool again;                 /* in the list of those to be looked at */
    struct link *again_next;
    bool host_eof, guest_eof, shut_host;
    bool broken;                /* the instance refused, or reset it */
    bool unwatched;             /* nothing more comes from the host */
    uint8_t *pending;           /* for the host: [start, end) */
    size_t start, end, size;
    uint32_t events;
};

static uint64_t again_ns;       /* when to dial again; 0: nobody waits */
static struct link *again;
static struct forward **forwards;
static size_t forwards_n;
/* Of instances that are gone: what they said is still to be told. */
static struct link *orphans;

/* lwIP is in the middle of something: look at it at the end of the round. */
static void look_again(struct link *l)
{
    if (l->again)
        return;
    l->again = true;
    l->again_next = again;
    again = l;
}

/* ---- an end ---- */

static void forget_pcb(struct link *l)
{
    if (!l->pcb)
        return;
    tcp_arg(l->pcb, NULL);
    tcp_recv(l->pcb, NULL);
    tcp_sent(l->pcb, NULL);
    tcp_err(l->pcb, NULL);
    l->pcb = NULL;
}

/* reset: the host is told so. The pcb is gone, or is lwIP's alone. */
static void link_end(struct link *l, bool reset)
{
    struct linger hard = {1, 0};

    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
    if (reset)
        setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(l->fd);
    free(l->pending);
    l->source.ready = NULL;
    free_later(l);
}

static void link_abort(struct link *l)
{
    struct tcp_pcb *pcb = l->pcb;

    forget_pcb(l);
    if (pcb)
        tcp_abort(pcb);
    link_end(l, true);
}

static void link_insert(struct link *l, struct link **list)
{
    l->next = *list;
    l->prev = list;
    if (l->next)
        l->next->prev = &l->next;
    *list = l;
}

/* Both sides have said all; lwIP still sends what is left. */
static bool link_done(struct link *l)
{
    if (!l->host_eof || !l->guest_eof || l->start < l->end)
        return false;
    link_end(l, false);
    return true;
}

/* ---- from the instance to the host ---- */

/* True: the link has ended. */
static bool write_pending(struct link *l)
{
    size_t wrote = 0;

    while (l->start < l->end) {
        ssize_t n = send(l->fd, l->pending + l->start, l->end - l->start, MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0) {
            link_abort(l);
            return true;
        }
        l->start += (size_t)n;
        wrote += (size_t)n;
    }
    for (size_t part; l->pcb && wrote > 0; wrote -= part) {
        part = wrote < 0xffff ? wrote : 0xffff;
        tcp_recved(l->pcb, (u16_t)part);
    }
    if (l->start < l->end)
        return false;
    l->start = l->end = 0;
    if (l->guest_eof && !l->shut_host) {
        shutdown(l->fd, SHUT_WR);
        l->shut_host = true;
    }
    return link_done(l);
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct link *l = arg;

    if (p) {
        size_t held = l->end - l->start;

        if (l->size - l->end < p->tot_len) {
            uint8_t *to;

            l->size = 2 * (held + p->tot_len);
            to = allocate(l->size);
            if (held)
                memcpy(to, l->pending + l->start, held);
            free(l->pending);
            l->pending = to;
            l->start = 0;
            l->end = held;
        }
        pbuf_copy_partial(p, l->pending + l->end, p->tot_len, 0);
        l->end += p->tot_len;
        pbuf_free(p);
    } else {
        l->guest_eof = true;
        if (l->host_eof)
            forget_pcb(l);      /* lwIP frees it some time, telling nobody */
    }
    look_again(l);
    return ERR_OK;
}

/* ---- from the host to the instance ---- */

/* True: the link has ended. */
static bool read_host(struct link *l)
{
    static uint8_t bytes[READ_MAX];

    while (l->pcb && !l->host_eof) {
        size_t room = l->pcb->snd_buf;
        ssize_t n;

        if (room > sizeof bytes)
            room = sizeof bytes;
        if (room == 0 || tcp_sndqueuelen(l->pcb) > TCP_SND_QUEUELEN / 2)
            break;
        n = recv(l->fd, bytes, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n < 0 || (n > 0 && tcp_write(l->pcb, bytes, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK)) {
            link_abort(l);
            return true;
        }
        tcp_output(l->pcb);
        if (n == 0) {
            struct tcp_pcb *pcb = l->pcb;

            l->host_eof = true;
            if (l->guest_eof)
                forget_pcb(l);
            tcp_shutdown(pcb, 0, 1);
        }
    }
    return link_done(l);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    look_again(arg);
    return ERR_OK;
}

/* ---- connecting ---- */

static void on_error(void *arg, err_t err)
{
    struct link *l = arg;

    l->pcb = NULL;
    if (!l->connected && !l->forward->answered && port_age_ns(l->forward->port) < BOOT_NS) {
        if (!again_ns)
            again_ns = now_ns() + AGAIN_NS;
        return;
    }
    /* An instance that ends resets what is closed already: it had said all. */
    if (l->guest_eof || err == ERR_CLSD)
        l->guest_eof = l->host_eof = true;
    else
        l->broken = true;
    look_again(l);
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct link *l = arg;

    l->connected = true;
    l->forward->answered = true;
    tcp_nagle_disable(pcb);
    look_again(l);
    return ERR_OK;
}

static void dial(struct link *l)
{
    struct tcp_pcb *pcb = tcp_new();

    if (pcb) {
        l->pcb = pcb;
        tcp_arg(pcb, l);
        tcp_recv(pcb, on_recv);
        tcp_sent(pcb, on_sent);
        tcp_err(pcb, on_error);
        ticks_touch();
        if (tcp_connect(pcb, &l->forward->ip, l->forward->guest_port, on_connected) == ERR_OK)
            return;
    }
    link_abort(l);
}

/* ---- events ---- */

/* What the host's socket is watched for. */
static void watch(struct link *l)
{
    uint32_t events = l->start < l->end ? EPOLLOUT : 0;

    if (l->pcb && l->connected && !l->host_eof && l->pcb->snd_buf >= ROOM_MIN &&
        tcp_sndqueuelen(l->pcb) <= TCP_SND_QUEUELEN / 2)
        events |= EPOLLIN;
    if (events != l->events && !l->unwatched)
        watch_set(&l->source, l->fd, l->events = events);
}

/* The instance is gone. If it had said all, the host gets that, and an end. */
static void link_orphan(struct link *l)
{
    struct tcp_pcb *pcb = l->pcb;

    if (!l->guest_eof) {
        link_abort(l);
        return;
    }
    forget_pcb(l);
    if (pcb)
        tcp_abort(pcb);
    l->host_eof = true;
    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
    link_insert(l, &orphans);
    if (!write_pending(l))
        watch(l);
}

bool forward_any_orphan(void)
{
    return orphans;
}

static void on_host(struct source *s, uint32_t events)
{
    struct link *l = (struct link *)s;

    if (!l->connected) {
        if (events & (EPOLLERR | EPOLLHUP))
            link_abort(l);      /* he went away before it was there */
        return;
    }
    ticks_touch();
    if (events & EPOLLERR) {
        link_abort(l);
        return;
    }
    if (events & EPOLLOUT && write_pending(l))
        return;
    if (events & (EPOLLIN | EPOLLHUP) && read_host(l))
        return;
    if (events & EPOLLHUP && !l->unwatched) {
        l->unwatched = true;    /* or it would be told all the time */
        watch_drop(l->fd);
    }
    watch(l);
}

static void on_listener(struct source *s, uint32_t events)
{
    struct forward *f = (struct forward *)s;

    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        struct link *l;

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        l = allocate(sizeof *l);
        *l = (struct link){.source = {on_host}, .forward = f, .fd = fd};
        link_insert(l, &f->links);
        watch_add(&l->source, fd, 0);
        dial(l);
    }
}

struct forward *forward_new(struct port *p, const uint8_t ip[4], int listener, uint16_t port)
{
    struct forward *f = allocate(sizeof *f);

    f->source.ready = on_listener;
    f->listener = listener;
    f->port = p;
    f->guest_port = port;
    IP_SET_TYPE(&f->ip, IPADDR_TYPE_V4);
    memcpy(&ip_2_ip4(&f->ip)->addr, ip, 4);
    forwards = reallocate(forwards, (forwards_n + 1) * sizeof *forwards);
    forwards[forwards_n++] = f;
    watch_add(&f->source, listener, EPOLLIN);
    return f;
}

void forward_free(struct forward *f)
{
    size_t i = 0;

    while (forwards[i] != f)
        i++;
    forwards[i] = forwards[--forwards_n];
    while (f->links)
        link_orphan(f->links);
    f->source.ready = NULL;
    close(f->listener);
    free_later(f);
}

static void dial_again(void)
{
    again_ns = 0;
    for (size_t i = 0; i < forwards_n; i++) {
        for (struct link *l = forwards[i]->links, *next; l; l = next) {
            next = l->next;
            if (!l->pcb && !l->connected && !l->broken)
                dial(l);
        }
    }
}

void forward_work(void)
{
    if (again_ns && now_ns() >= again_ns)
        dial_again();
    while (again) {
        struct link *l = again;

        again = l->again_next;
        l->again = false;
        if (!l->source.ready)
            continue;           /* it ended in this round */
        if (l->broken)
            link_end(l, true);
        else if (l->connected && !write_pending(l) && !read_host(l))
            watch(l);
    }
}

int forward_wait_ms(void)
{
    uint64_t now = now_ns();

    if (!again_ns)
        return -1;
    return now < again_ns ? (int)((again_ns - now) / 1000000) + 1 : 0;
}
