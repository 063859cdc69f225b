/*
 * switch_names.c - names for instances: a query that comes to the gateway goes
 * on to the host's resolver (/etc/resolv.conf), the answer back.
 *
 * A query gets a number of our own on the way, chosen by chance; what comes back
 * with another is none of ours. The table is small and forgets: who gets no
 * answer asks again, as the protocol has it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lwip/udp.h"
#include "switch.h"

#define DNS_PORT 53
#define HEADER 12
#define QUERY_MAX 1472
#define ANSWER_MAX 4096
#define UNDER_WAY 256

static struct query {
    bool used;
    ip_addr_t ip;
    uint16_t port;
    uint8_t id[2], our_id[2];
} query[UNDER_WAY];
static unsigned next_query;

static struct udp_pcb *pcb;
static struct source resolver;
static int resolver_fd = -1;

/* The first nameserver of the host, or false. KINDLING_RESOLVER: ADDRESS:PORT. */
static bool find_resolver(struct sockaddr_storage *a, socklen_t *n)
{
    const char *given = getenv("KINDLING_RESOLVER");
    FILE *f = fopen("/etc/resolv.conf", "r");
    char line[256], address[64];
    bool found = false;
    int given_port;

    if (given && sscanf(given, "%63[0-9.]:%d", address, &given_port) == 2) {
        struct sockaddr_in *in = (struct sockaddr_in *)a;

        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)given_port)};
        *n = sizeof *in;
        found = inet_pton(AF_INET, address, &in->sin_addr) == 1;
    }
    while (f && !found && fgets(line, sizeof line, f)) {
        struct sockaddr_in *in = (struct sockaddr_in *)a;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)a;

        if (sscanf(line, " nameserver %63s", address) != 1)
            continue;
        memset(a, 0, sizeof *a);
        if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
            in->sin_family = AF_INET;
            in->sin_port = htons(DNS_PORT);
            *n = sizeof *in;
            found = true;
        } else if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
            in6->sin6_family = AF_INET6;
            in6->sin6_port = htons(DNS_PORT);
            *n = sizeof *in6;
            found = true;
        }
    }
    if (f)
        fclose(f);
    return found;
}

static void on_answer(struct source *s, uint32_t events)
{
    uint8_t b[ANSWER_MAX];
    ssize_t n;

    while ((n = recv(resolver_fd, b, sizeof b, MSG_DONTWAIT)) >= 0) {
        for (unsigned i = 0; n >= HEADER && i < UNDER_WAY; i++) {
            struct query *q = &query[i];
            struct pbuf *p;

            if (!q->used || memcmp(q->our_id, b, 2) != 0)
                continue;
            q->used = false;
            memcpy(b, q->id, 2);
            p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)n, PBUF_RAM);
            if (p) {
                pbuf_take(p, b, (u16_t)n);
                udp_sendto(pcb, p, &q->ip, q->port);
                pbuf_free(p);
            }
            break;
        }
    }
}

/* A socket of its own for each hundred queries or so: another port to guess. */
static bool open_resolver(void)
{
    struct sockaddr_storage a;
    socklen_t n;

    if (resolver_fd >= 0 && next_query % 128 != 0)
        return true;
    if (resolver_fd >= 0)
        close(resolver_fd);
    resolver_fd = -1;
    if (!find_resolver(&a, &n))
        return false;
    resolver_fd = socket(a.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (resolver_fd < 0)
        return false;
    if (connect(resolver_fd, (struct sockaddr *)&a, n) < 0) {
        close(resolver_fd);
        resolver_fd = -1;
        return false;
    }
    watch_add(&resolver, resolver_fd, EPOLLIN);
    return true;
}

static void on_query(void *arg, struct udp_pcb *from_pcb, struct pbuf *p, const ip_addr_t *ip,
                     u16_t port)
{
    struct query *q = &query[next_query % UNDER_WAY];
    uint8_t b[QUERY_MAX];
    u16_t n = pbuf_copy_partial(p, b, sizeof b, 0);
    bool whole = n == p->tot_len && n >= HEADER;
    uint32_t id = stack_random();

    pbuf_free(p);
    if (!whole || !open_resolver())
        return;
    next_query++;
    q->used = true;
    q->ip = *ip;
    q->port = port;
    memcpy(q->id, b, 2);
    memcpy(q->our_id, &id, 2);
    memcpy(b, q->our_id, 2);
    if (send(resolver_fd, b, n, MSG_NOSIGNAL) < 0)
        q->used = false;
}

void names_start(void)
{
    ip_addr_t ip = IPADDR4_INIT(0);

    resolver.ready = on_answer;
    memcpy(&ip_2_ip4(&ip)->addr, gateway_ip, 4);
    pcb = udp_new();
    if (!pcb || udp_bind(pcb, &ip, DNS_PORT) != ERR_OK)
        fail(EXIT_TOOL, "the switch cannot answer for names");
    udp_recv(pcb, on_query, NULL);
}
