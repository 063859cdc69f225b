/*
 * uplink.c - kindling uplink: opens a tap of the host and gives it to the switch.
 *
 * The tap is one that exists, and may be opened by whoever runs this: whoever
 * has the rights makes it, once (ip-tuntap(8)).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "switch.h"

static const char help[] =
"usage: kindling uplink TAP\n"
"\n"
"Joins the network of this user's instances (10.78.0.0/16) with the host's, by a tap\n"
"that exists, until this command is ended. The host's end of it takes an address from\n"
"10.78.254.1 to 10.78.255.254. What instances send to addresses of other networks goes\n"
"to the host, which forwards it if it is set up to.\n"
"\n"
"  sudo ip tuntap add tap0 mode tap user $USER\n"
"  sudo ip address add 10.78.255.254/16 dev tap0\n"
"  sudo ip link set tap0 up\n"
"  kindling uplink tap0\n";

static int open_tap(const char *name, uint8_t mac[6])
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (strlen(name) >= sizeof r.ifr_name || !if_nametoindex(name))
        fail(EXIT_TOOL, "cannot use %s for an uplink: there is no such interface; "
             "see `kindling uplink --help`", name);
    if (fd < 0)
        fail(EXIT_TOOL, "cannot use %s for an uplink: /dev/net/tun: %s", name, strerror(errno));
    strcpy(r.ifr_name, name);
    if (ioctl(fd, TUNSETIFF, &r) < 0)
        fail(EXIT_TOOL, "cannot use %s for an uplink: %s", name,
             errno == EINVAL ? "it is no tap" : strerror(errno));
    /* Of a tap this is the address of the host's end. */
    if (ioctl(fd, SIOCGIFHWADDR, &r) < 0)
        fail(EXIT_TOOL, "cannot use %s for an uplink: %s", name, strerror(errno));
    memcpy(mac, r.ifr_hwaddr.sa_data, 6);
    return fd;
}

int uplink_main(int argc, char **argv)
{
    static const struct option known[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct switch_request r = {
        .version = SWITCH_VERSION, .what = SWITCH_UPLINK, .published = 1,
    };
    struct switch_reply reply;
    int c, tap, connection;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        if (c != 'h')
            fail(EXIT_TOOL, "cannot make an uplink: see `kindling uplink --help`");
        fputs(help, stdout);
        return 0;
    }
    if (optind != argc - 1)
        fail(EXIT_TOOL, "cannot make an uplink: name a tap; see `kindling uplink --help`");
    tap = open_tap(argv[optind], r.mac);
    snprintf(r.name, sizeof r.name, "%s", argv[optind]);
    connection = switch_connect(true);
    switch_ask(connection, &r, &tap, 1);
    close(tap);
    if (recv(connection, &reply, sizeof reply, 0) != sizeof reply ||
        reply.version != SWITCH_VERSION)
        fail(EXIT_TOOL, "cannot make an uplink: the switch that runs is another kindling's");
    reply.why[sizeof reply.why - 1] = 0;
    if (reply.why[0])
        fail(EXIT_TOOL, "cannot use %s for an uplink: %s", argv[optind], reply.why);
    /* Nothing more comes but its end. */
    if (recv(connection, &reply, sizeof reply, 0) <= 0)
        fail(EXIT_TOOL, "the uplink %s is gone: the switch ended", argv[optind]);
    return 0;
}
