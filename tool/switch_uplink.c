/*
 * switch_uplink.c - the network of the host, by a tap that whoever asks has
 * opened (uplink.c). One at a time; it goes when his connection does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch.h"

#define FRAMES_A_TURN 64

static struct source tap_source, connection_source;
static int tap = -1, lease;
static char tap_name[SWITCH_NAME];
static uint8_t host_mac[6];

bool uplink_open(void)
{
    return tap >= 0;
}

/* A tap that is full or down loses frames, as any wire. */
void uplink_send(const uint8_t *frame, size_t n)
{
    if (tap >= 0 && write(tap, frame, n) < 0)
        return;
}

void uplink_route(const uint8_t *frame, size_t n)
{
    uint8_t f[NET_FRAME_MAX];

    memcpy(f, frame, n);
    memcpy(f, host_mac, 6);
    uplink_send(f, n);
}

static void on_tap(struct source *s, uint32_t events)
{
    uint8_t frame[NET_FRAME_MAX + 1];   /* one that is longer shows it */

    for (int i = 0; i < FRAMES_A_TURN; i++) {
        ssize_t n = read(tap, frame, sizeof frame);

        if (n <= 0)
            return;
        if (n <= NET_FRAME_MAX)
            port_from_uplink(frame, (size_t)n);
    }
}

static void on_connection(struct source *s, uint32_t events)
{
    tap_source.ready = connection_source.ready = NULL;
    close(tap);
    close(lease);
    tap = -1;
}

void uplink_join(int connection, const struct switch_request *r, int fd)
{
    struct switch_reply reply = {.version = SWITCH_VERSION};

    if (tap >= 0)
        snprintf(reply.why, sizeof reply.why, "%s is the uplink already", tap_name);
    if (send(connection, &reply, sizeof reply, MSG_NOSIGNAL) < 0 || tap >= 0) {
        close(fd);
        close(connection);
        return;
    }
    tap = fd;
    lease = connection;
    memcpy(tap_name, r->name, sizeof tap_name);
    memcpy(host_mac, r->mac, sizeof host_mac);
    tap_source.ready = on_tap;
    connection_source.ready = on_connection;
    watch_add(&tap_source, tap, EPOLLIN);
    watch_add(&connection_source, lease, EPOLLIN);
}
