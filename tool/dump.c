/*
 * dump.c - kindling dump: the frames of an instance's port, as the switch sees
 * them, in the format of pcap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "registry.h"
#include "switch.h"

#define PCAP_NS 0xa1b23c4d      /* times in nanoseconds */
#define PCAP_ETHERNET 1

static const char help[] =
"usage: kindling dump NAME\n"
"\n"
"Writes the frames that an instance sends and receives, from now on until it ends,\n"
"to the standard output, in the format of pcap.\n"
"\n"
"  kindling dump web | tcpdump -n -r -\n";

static void put(const void *p, size_t n)
{
    if (fwrite(p, n, 1, stdout) != 1 || fflush(stdout) != 0)
        fail(EXIT_TOOL, "cannot write what was dumped: %s", strerror(errno));
}

int dump_main(int argc, char **argv)
{
    static const struct option known[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, precision, most, type;
    } head = {PCAP_NS, 2, 4, 0, 0, NET_FRAME_MAX, PCAP_ETHERNET};
    struct switch_request r = {.version = SWITCH_VERSION, .what = SWITCH_DUMP};
    struct {
        struct switch_frame head;
        uint8_t bytes[NET_FRAME_MAX];
    } frame;
    size_t frames = 0;
    ssize_t n;
    int c, connection;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        if (c != 'h')
            fail(EXIT_TOOL, "cannot dump: see `kindling dump --help`");
        fputs(help, stdout);
        return 0;
    }
    if (optind != argc - 1)
        fail(EXIT_TOOL, "cannot dump: name one instance; see `kindling ps`");
    if (isatty(1))
        fail(EXIT_TOOL, "cannot dump to a terminal: write to a file, or to tcpdump -r -");
    registry_check_name(argv[optind]);
    snprintf(r.name, sizeof r.name, "%s", argv[optind]);
    connection = switch_connect(false);
    if (connection < 0 || send(connection, &r, sizeof r, MSG_NOSIGNAL) != sizeof r)
        fail(EXIT_TOOL, "cannot dump %s: no instance is on a network", argv[optind]);
    while ((n = recv(connection, &frame, sizeof frame, 0)) >= (ssize_t)sizeof frame.head) {
        uint32_t record[4] = {(uint32_t)(frame.head.wall_ns / 1000000000),
                              (uint32_t)(frame.head.wall_ns % 1000000000), 0, 0};

        if (frames++ == 0) {
            put(&head, sizeof head);    /* the first: it is there */
            continue;
        }
        record[2] = record[3] = (uint32_t)(n - (ssize_t)sizeof frame.head);
        put(record, sizeof record);
        put(frame.bytes, record[2]);
    }
    if (frames == 0)
        fail(EXIT_TOOL, "cannot dump %s: no instance of that name is on a network",
             argv[optind]);
    return 0;
}
