/*
 * main.c - the kindling command.
 */
#include <stdio.h>
#include <string.h>

#include "kindling.h"

static const char help[] =
"usage: kindling COMMAND ...\n"
"\n"
"  build DIR...      pack applications and the OTP they use into one image\n"
"  bake IMAGE        boot an image once, keep the ready instance as an image\n"
"  run IMAGE         start an image: on KVM, under QEMU, or as a process\n"
"  ps                instances that run in the background or have a name\n"
"  logs NAME         what one wrote\n"
"  stop NAME...      end them\n"
"  dump NAME         the frames that one sends and receives, for tcpdump\n"
"  uplink TAP        join the network of instances with the host's\n"
"  burst N IMAGE     start N copies at once: how long, how much memory\n"
"  bench IMAGE...    how long starts take\n"
"  info IMAGE        what an image holds, and how large it is\n"
"\n"
"  kindling build examples/hello\n"
"  kindling run hello.img\n"
"  kindling COMMAND --help\n";

/* Commands that will come: refused by name, so that nobody uses the names. */
static const char *const reserved[] = {
    "console", "top", "exec", "switch",
};

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*main)(int, char **);
    } commands[] = {
        {"build", build_main},
        {"bake", bake_main},
        {"run", run_main},
        {"ps", ps_main},
        {"logs", logs_main},
        {"stop", stop_main},
        {"burst", burst_main},
        {"bench", bench_main},
        {"dump", dump_main},
        {"uplink", uplink_main},
        {"info", info_main},
    };

    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_TOOL;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("kindling %s (image format %d, guest interface %d)\n", KINDLING_VERSION,
               IMAGE_VERSION, GUEST_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].main(argc - 1, argv + 1);
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(argv[1], reserved[i]) == 0)
            fail(EXIT_TOOL, "cannot %s: the command does not exist yet", argv[1]);
    fail(EXIT_TOOL, "cannot %s: no such command; see `kindling --help`", argv[1]);
}
