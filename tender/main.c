/*
 * main.c - the tender: run one image. `kindling run` starts it; doc/man has
 * its page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tender.h"

static const char usage[] =
    "usage: tender [--process] [--mem BYTES] [--boot-times] [--info-fd N]\n"
    "              [--report-fd N] [--emit-fd N] [--go-fd N] [--start-tsc N]\n"
    "              [--net MEMORY,KICK,WAKE] IMAGE\n"
    "Runs one image; see tender(1). `kindling run` is what people use.\n";

static uint64_t number(const char *name, const char *s, uint64_t max)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(s, &end, 10);
    if (errno || *s == 0 || *s == '-' || *end || n > max)
        die(EXIT_TOOL, "cannot take %s for --%s: a number up to %llu is wanted", s,
            name, (unsigned long long)max);
    return n;
}

/* Three descriptors: struct options. */
static void parse_net(struct options *o, const char *s)
{
    int at = 0;

    if (sscanf(s, "%d,%d,%d%n", &o->net_fd, &o->kick_fd, &o->wake_fd, &at) != 3 || s[at] ||
        o->net_fd < 0 || o->kick_fd < 0 || o->wake_fd < 0)
        die(EXIT_TOOL, "cannot take %s for --net: three descriptors are wanted", s);
}

static void read_options(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {
        {"process", no_argument, NULL, 'p'},
        {"mem", required_argument, NULL, 'm'},
        {"boot-times", no_argument, NULL, 'b'},
        {"info-fd", required_argument, NULL, 'i'},
        {"report-fd", required_argument, NULL, 'r'},
        {"emit-fd", required_argument, NULL, 'e'},
        {"go-fd", required_argument, NULL, 'g'},
        {"start-tsc", required_argument, NULL, 's'},
        {"net", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "+", known, NULL)) >= 0) {
        switch (c) {
        case 'p': o->process = true; break;
        case 'm': o->mem_bytes = number("mem", optarg, GUEST_ARENA_SIZE); break;
        case 'b': o->boot_times = true; break;
        case 'i': o->info_fd = (int)number("info-fd", optarg, INT_MAX); break;
        case 'r': o->report_fd = (int)number("report-fd", optarg, INT_MAX); break;
        case 'e': o->emit_fd = (int)number("emit-fd", optarg, INT_MAX); break;
        case 'g': o->go_fd = (int)number("go-fd", optarg, INT_MAX); break;
        case 's': o->start_tsc = number("start-tsc", optarg, ULLONG_MAX); break;
        case 'n': parse_net(o, optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(EXIT_TOOL);
        }
    }
    if (optind != argc - 1) {
        fputs(usage, stderr);
        exit(EXIT_TOOL);
    }
    o->image_path = argv[optind];
}

/* The tool's struct guest_info, strings behind it; or an empty one. */
static void read_info(struct tender *t)
{
    struct guest_info *gi;
    struct stat st = {0};
    uint32_t strings = 0;

    if (t->opt.info_fd >= 0 && fstat(t->opt.info_fd, &st) < 0)
        die(EXIT_TOOL, "cannot read the arguments: %s", strerror(errno));
    /* Behind it the image's bits of what is written first: fill_info(). */
    t->info_bytes = round_up(sizeof *gi + (uint64_t)st.st_size +
                             (t->image.hot ? t->image.header.hot_bytes : 0), 4096);
    if (t->info_bytes > GUEST_INFO_MAX)
        die(EXIT_TOOL, "cannot pass arguments and environment of %lld bytes: "
            "at most %d", (long long)st.st_size, GUEST_INFO_MAX);
    t->info = calloc(1, t->info_bytes);
    if (!t->info)
        die(EXIT_TOOL, "cannot read the arguments: out of memory");
    gi = (struct guest_info *)t->info;
    if (st.st_size > 0 &&
        pread(t->opt.info_fd, t->info, (size_t)st.st_size, 0) != st.st_size)
        die(EXIT_TOOL, "cannot read the arguments: %s", strerror(errno));
    for (off_t i = sizeof *gi; i < st.st_size; i++)
        strings += t->info[i] == 0;
    if (st.st_size > 0 && ((size_t)st.st_size < sizeof *gi ||
                           (uint64_t)gi->argc + gi->envc != strings ||
                           (strings && t->info[st.st_size - 1] != 0)))
        die(EXIT_TOOL, "cannot read the arguments: they are damaged");
    gi->strings_bytes = st.st_size > 0 ? (uint32_t)((size_t)st.st_size - sizeof *gi) : 0;
}

int main(int argc, char **argv)
{
    static struct tender t;
    char why[200];

    t.opt = (struct options){
        .info_fd = -1, .report_fd = -1, .emit_fd = -1, .go_fd = -1,
        .net_fd = -1, .kick_fd = -1, .wake_fd = -1, .start_tsc = guest_tsc(),
    };
    read_options(&t.opt, argc, argv);
    if (image_open(t.opt.image_path, &t.image, why, sizeof why) < 0)
        die(EXIT_IMAGE, "cannot run %s: %s", t.opt.image_path, why);
    read_info(&t);
    take_memory(&t);
    return t.opt.process ? run_process(&t) : run_kvm(&t);
}
