/*
 * qemu_net.c - the network of an instance under QEMU: a card of QEMU's, and behind
 * it the "user" network that QEMU makes in itself for this one instance.
 *
 * It has the numbers of the switch's network, so that an image finds who answers
 * for names where it looks for him (switch.h). There the way out and the host are
 * at an address of their own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch.h"

#define NETWORK "10.78.0.0/16"
#define HOST "10.78.0.2"
#define INSTANCE "10.78.0.15"

void network_under_qemu(struct network *n)
{
    /* Nobody sees it but QEMU; who takes it for a name of its own gets one. */
    n->net = (struct guest_net){.mac = {0x02, 0x4b, 0x69}, .mask = {255, 255, 0, 0}};
    if (getrandom(n->net.mac + 3, 3, 0) != 3)
        fail(EXIT_TOOL, "cannot make a network: no entropy");
    inet_pton(AF_INET, INSTANCE, n->net.ip);
    inet_pton(AF_INET, HOST, n->net.gateway);
    n->netdev = format("user,id=net,ipv6=off,net=" NETWORK ",host=" HOST ",dns=" GATEWAY_IP(".")
                       ",dhcpstart=" INSTANCE);
    /* QEMU listens itself. That we could says that the port is free. */
    for (unsigned i = 0; i < n->published; i++) {
        struct sockaddr_in a;
        socklen_t bytes = sizeof a;
        char address[INET_ADDRSTRLEN];

        if (getsockname(n->publish[i].fd, (struct sockaddr *)&a, &bytes) < 0)
            fail(EXIT_TOOL, "cannot publish a port: %s", strerror(errno));
        close(n->publish[i].fd);
        inet_ntop(AF_INET, &a.sin_addr, address, sizeof address);
        n->netdev = format("%s,hostfwd=tcp:%s:%u-:%u", n->netdev, address, ntohs(a.sin_port),
                           n->publish[i].guest_port);
    }
}

char *network_card(const struct network *n)
{
    const uint8_t *m = n->net.mac;

    return format("virtio-net-device,netdev=net,mac=%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
                  m[2], m[3], m[4], m[5]);
}
