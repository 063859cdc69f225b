/*
 * bake.c - kindling bake: boot an image once, keep the ready instance.
 *
 * The image runs as a process that writes its memory out through the gate, as
 * an image again. It has no clock, no entropy and no input meanwhile, so the
 * same image gives the same bytes.
 *
 * What a copy does first is learned from one that runs on in the builder until
 * it waits: which code it loads, and which pages it writes. So a bake whose ready
 * point is the application's is done twice; the second time with that code.
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
#include "seal.h"

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
            do                          /* one that it has not taken yet hides the next */
                kill(pid, SIGTERM);
            while (poll(&pfd, 1, 2000) == 0);
        }
        close(pfd.fd);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* For the tender: info and, if not NULL, one NAME=VALUE of the environment. */
static int pass_info(const struct guest_info *info, const char *variable)
{
    struct guest_info with = *info;
    size_t bytes = variable ? strlen(variable) + 1 : 0;
    int fd = memfd_create("info", 0);

    with.envc = variable != NULL;
    if (fd < 0 || write(fd, &with, sizeof with) != sizeof with ||
        (bytes && write(fd, variable, bytes) != (ssize_t)bytes))
        fail(EXIT_TOOL, "cannot pass the arguments: %s", strerror(errno));
    return fd;
}

static int run_builder(const char *from, int out_fd, const struct guest_info *info,
                       const char *variable, unsigned seconds, bool quiet, bool *late)
{
    char *tender = find_part("tender");
    int info_fd = info ? pass_info(info, variable) : -1, status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid < 0)
        fail(EXIT_TOOL, "cannot start %s: %s", tender, strerror(errno));
    if (pid == 0) {
        int out = dup(out_fd), null;    /* without close-on-exec */
        const char *argv[12] = {"tender", "--process", "--mem", "1073741824",
                                "--emit-fd", format("%d", out)};
        int n = 6;

        if (quiet && (null = open("/dev/null", O_RDWR)) >= 0) {
            dup2(null, 1);
            dup2(null, 2);
        }
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
    status = wait_for(pid, seconds, late);
    if (info_fd >= 0)
        close(info_fd);
    return status;
}

static int create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    on_fail_remove(path);
    fchmod(fd, 0644);
    return fd;
}

/* How long a copy may take until it waits for the first time. */
#define IDLE_SECONDS 10

/* False: it may fail, without a host around it. */
static bool run_idle(const char *path, const char *other)
{
    struct guest_info info = {
        .magic = GUEST_INFO_MAGIC, .version = GUEST_VERSION, .bytes = sizeof info,
        .flags = GUEST_BAKE_IDLE,
    };
    int fd = open(other, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status;
    bool late;

    if (fd < 0)
        return false;
    status = run_builder(path, fd, &info, NULL, IDLE_SECONDS, true, &late);
    return close(fd) == 0 && status == 0 && !late;
}

/*
 * What a copy of the image at `path` has loaded when it waits, as the variable
 * in which kindling:ready/0 looks for it; NULL: not known.
 */
static char *find_loaded(const char *path)
{
    char *other = format("%s.idle%ld", path, (long)getpid()), why[200], *variable = NULL;
    struct image im;

    if (run_idle(path, other)) {
        uint64_t end = 0;
        size_t n;
        uint8_t *file;

        if (image_open(other, &im, why, sizeof why) < 0)
            fail(EXIT_TOOL, "cannot bake %s: what was written is no image: %s", path, why);
        close(im.fd);
        file = read_file(other, &n);
        for (int i = 0; i < im.segs; i++) {
            uint64_t last = im.seg[i].offset + im.seg[i].file_bytes;

            end = last > end ? last : end;
        }
        end = (end + 4095) & ~(uint64_t)4095;
        if (end < n)
            variable = format("KINDLING_LOAD=%.*s", (int)(n - end), (char *)file + end);
        free(file);
    }
    unlink(other);
    free(other);
    return variable;
}

/* What is at an address of an image; NULL: zero, or no memory. */
static const uint8_t *page_at(const struct image *im, const uint8_t *file, uint64_t va,
                              bool *absent)
{
    static uint8_t partial[4096];

    *absent = true;
    for (int i = 0; i < im->segs; i++) {
        const struct segment *s = &im->seg[i];
        uint64_t in = va - s->va;

        if (va < s->va || in >= s->mem_bytes)
            continue;
        *absent = false;
        if (in >= s->file_bytes)
            return NULL;
        if (s->file_bytes - in >= 4096)
            return file + s->offset + in;
        memset(partial, 0, sizeof partial);
        memcpy(partial, file + s->offset + in, s->file_bytes - in);
        return partial;
    }
    return NULL;
}

static bool equal_pages(const uint8_t *a, const uint8_t *b)
{
    static const uint8_t zero[4096];

    return memcmp(a ? a : zero, b ? b : zero, 4096) == 0;
}

/*
 * Which pages a start writes first: a copy runs on in the builder until it
 * waits, and writes itself out too; the pages in which the two differ are
 * those. Written at the end of the image.
 */
static void find_hot(const char *path)
{
    char *other = format("%s.idle%ld", path, (long)getpid()), why[200];
    struct image a, b;
    size_t an, bn, at = 0;
    uint8_t *af, *bf, *hot;
    uint64_t fresh = 0, header;
    bool absent;
    int fd;

    /* Not known: then all is as hot as the rest. */
    if (!run_idle(path, other)) {
        unlink(other);
        return;
    }
    if (image_open(path, &a, why, sizeof why) < 0 ||
        image_open(other, &b, why, sizeof why) < 0)
        fail(EXIT_TOOL, "cannot bake %s: what was written is no image: %s", path, why);
    af = read_file(path, &an);
    bf = read_file(other, &bn);
    unlink(other);
    close(a.fd);
    close(b.fd);
    hot = allocate((a.data_bytes / 4096 + 7) / 8);
    for (int i = 0; i < a.segs; i++) {
        const struct segment *s = &a.seg[i];

        for (uint64_t in = 0; s->flags & PF_W && in < s->mem_bytes; in += 4096, at++) {
            const uint8_t *was = page_at(&a, af, s->va + in, &absent);
            uint8_t copy[4096];

            if (was)
                was = memcpy(copy, was, sizeof copy);
            if (equal_pages(was, page_at(&b, bf, s->va + in, &absent)))
                continue;
            hot[at / 8] |= (uint8_t)(1 << at % 8);
        }
    }
    /* Memory that it got meanwhile comes in the order of addresses, mostly. */
    for (int i = 0; i < b.segs; i++) {
        const struct segment *s = &b.seg[i];
        uint64_t start = 0, used = 0;

        for (uint64_t in = 0; s->flags & PF_W && in < s->file_bytes; in += 4096) {
            page_at(&a, af, s->va + in, &absent);
            if (!absent)
                start = in + 4096;
            else if (!equal_pages(page_at(&b, bf, s->va + in, &absent), NULL))
                used = in + 4096 - start;
        }
        fresh += used;
    }
    for (header = 0; header < an; header += 4096)
        if (((struct image_header *)(af + header))->magic == IMAGE_MAGIC)
            break;
    a.header.hot_offset = an;
    a.header.hot_bytes = (a.data_bytes / 4096 + 7) / 8;
    a.header.hot_fresh = fresh;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || header >= an ||
        pwrite(fd, hot, a.header.hot_bytes, (off_t)an) != (ssize_t)a.header.hot_bytes ||
        pwrite(fd, &a.header, sizeof a.header, (off_t)header) != sizeof a.header ||
        close(fd) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
}

size_t bake_image(const char *from, bool consume, const char *path,
                  const struct guest_info *info, unsigned seconds, const char *what)
{
    char *temporary = format("%s.tmp%ld", path, (long)getpid()), *load;
    int fd = create(temporary), status;
    struct stat st;
    bool late, said;

    status = run_builder(from, fd, info, NULL, seconds, false, &late);
    said = status == EXIT_TOOL;
    if (status == 0 && !late && info && info->flags & GUEST_BAKE_APP &&
        (load = find_loaded(temporary))) {
        if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
            fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
        status = run_builder(from, fd, info, load, seconds, true, &late);
        free(load);
    }
    if (consume)
        unlink(from);
    /* Instance or tender have said why: what it waits for, if it was late. */
    if (late && !said)
        fail(EXIT_TOOL, "%s: it was not ready after %u s; see --timeout", what, seconds);
    if (said) {
        unlink(temporary);
        exit(EXIT_TOOL);
    }
    if (status != 0)
        fail(EXIT_TOOL, "%s: the instance ended with status %d", what, status);
    if (info && info->flags & (GUEST_BAKE_KERNEL | GUEST_BAKE_APP))
        find_hot(temporary);
    seal_image(temporary);
    if (fsync(fd) < 0 || fstat(fd, &st) < 0 || close(fd) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    if (rename(temporary, path) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    on_fail_remove(NULL);
    return (size_t)st.st_size;
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
        case 't': info.bake_seconds = parse_seconds("--timeout", optarg); break;
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
