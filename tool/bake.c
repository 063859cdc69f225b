/*
 * bake.c - kindling bake: boot an image once, keep the ready instance.
 *
 * The image runs as a process that writes its memory out through the gate, as
 * an image again. It has no clock, no entropy and no input meanwhile, so the
 * same image gives the same bytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elfimage.h"
#include "kindling.h"

#define DEFAULT_SECONDS 60

static const char help[] =
"usage: kindling bake [OPTIONS] IMAGE\n"
"\n"
"Boots an image once and writes the ready instance back as an image. A start of\n"
"that goes on where it was ready: with its processes, but an identity, a clock,\n"
"an environment and arguments of its own.\n"
"\n"
"  -o, --output FILE    the baked image (default: IMAGE itself)\n"
"      --ready kernel|app   ready when kernel and stdlib have started (default),\n"
"                       or where the application calls kindling:ready/0\n"
"      --timeout SECONDS    give up after so long (60)\n"
"\n"
"  kindling bake -o hello.baked.img hello.img\n"
"  kindling bake --ready app web.img\n"
"\n"
"Time does not pass by itself in there: when all processes wait, it moves to the\n"
"next timeout. What can't be kept, a port that is not the console, is an error.\n";

/* Wait for the tender, in vain at most `seconds` (0: as long as it takes). */
static int wait_for(pid_t pid, unsigned seconds, bool *late)
{
    struct pollfd pfd = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    int status, r = 1;

    *late = false;
    if (pfd.fd >= 0 && seconds > 0) {
        while ((r = poll(&pfd, 1, (int)seconds * 1000)) < 0 && errno == EINTR)
            ;
        if (r == 0) {
            /* It is asked first, so that it can say what it waits for. */
            *late = true;
            kill(pid, SIGTERM);
            if (poll(&pfd, 1, 2000) == 0)
                kill(pid, SIGTERM);
        }
        close(pfd.fd);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

size_t bake_image(const char *from, bool consume, const char *path,
                  const struct guest_info *info, unsigned seconds, const char *what)
{
    char *tender = find_part("tender");
    char *temporary = format("%s.tmp%ld", path, (long)getpid());
    int fd, status, info_fd = -1;
    struct stat st;
    bool late;
    pid_t pid;

    fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", temporary, strerror(errno));
    on_fail_remove(temporary);
    fchmod(fd, 0644);
    if (info) {
        info_fd = memfd_create("info", 0);
        if (info_fd < 0 || write(info_fd, info, sizeof *info) != sizeof *info)
            fail(EXIT_TOOL, "cannot pass the arguments: %s", strerror(errno));
    }
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        fail(EXIT_TOOL, "cannot start %s: %s", tender, strerror(errno));
    if (pid == 0) {
        int out = dup(fd);              /* without close-on-exec */
        const char *argv[12] = {"tender", "--process", "--mem", "1073741824",
                                "--emit-fd", format("%d", out)};
        int n = 6;

        if (info) {
            argv[n++] = "--info-fd";
            argv[n++] = format("%d", info_fd);
        }
        argv[n++] = from;
        argv[n] = NULL;
        execv(tender, (char **)argv);
        fprintf(stderr, "kindling: cannot start %s: %s\n", tender, strerror(errno));
        _exit(EXIT_TOOL);
    }
    status = wait_for(pid, seconds, &late);
    if (consume)
        unlink(from);
    if (late)
        fail(EXIT_TOOL, "%s: it was not ready after %u s; see --timeout", what, seconds);
    /* Instance and tender have said why. */
    if (status == EXIT_TOOL) {
        unlink(temporary);
        exit(EXIT_TOOL);
    }
    if (status != 0)
        fail(EXIT_TOOL, "%s: the instance ended with status %d", what, status);
    if (info_fd >= 0)
        close(info_fd);
    if (fstat(fd, &st) < 0 || fsync(fd) < 0 || close(fd) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    if (rename(temporary, path) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    on_fail_remove(NULL);
    return (size_t)st.st_size;
}

static unsigned parse_seconds(const char *s)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(s, &end, 10);
    if (errno || *s < '0' || *s > '9' || *end || n == 0 || n > 1000000)
        fail(EXIT_TOOL, "cannot take %s for --timeout: seconds are wanted", s);
    return (unsigned)n;
}

int bake_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'}, {"ready", required_argument, NULL, 'r'},
        {"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct guest_info info = {
        .magic = GUEST_INFO_MAGIC, .version = GUEST_VERSION, .bytes = sizeof info,
        .flags = GUEST_BAKE_KERNEL, .bake_seconds = DEFAULT_SECONDS,
    };
    const char *output = NULL;
    struct image im;
    char why[200];
    size_t bytes;
    int c;

    while ((c = getopt_long(argc, argv, "o:h", known, NULL)) >= 0) {
        switch (c) {
        case 'o': output = optarg; break;
        case 'r':
            if (strcmp(optarg, "kernel") == 0)
                info.flags = GUEST_BAKE_KERNEL;
            else if (strcmp(optarg, "app") == 0)
                info.flags = GUEST_BAKE_APP;
            else
                fail(EXIT_TOOL, "cannot take %s for --ready: kernel or app is wanted", optarg);
            break;
        case 't': info.bake_seconds = parse_seconds(optarg); break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            fail(EXIT_TOOL, "cannot bake: see `kindling bake --help`");
        }
    }
    if (optind != argc - 1)
        fail(EXIT_TOOL, "cannot bake: name one image; see `kindling bake --help`");
    if (image_open(argv[optind], &im, why, sizeof why) < 0)
        fail(EXIT_IMAGE, "cannot bake %s: %s", argv[optind], why);
    if (im.header.flags & IMAGE_READY)
        fail(EXIT_TOOL, "cannot bake %s: it is baked already", argv[optind]);
    close(im.fd);
    bytes = bake_image(argv[optind], false, output ? output : argv[optind], &info,
                       info.bake_seconds, format("cannot bake %s", argv[optind]));
    printf("%s: %.1f MiB\n", output ? output : argv[optind], (double)bytes / 1048576);
    return 0;
}
