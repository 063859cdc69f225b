/*
 * run.c - kindling run: start an image, on KVM, under QEMU or as a process.
 *
 * The arguments and the environment go to whoever loads the image as one block
 * (struct guest_info), in a memory file: there is room for megabytes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kindling.h"
#include "elfimage.h"
#include "registry.h"
#include "switch.h"

static const char help[] =
"usage: kindling run [OPTIONS] IMAGE [-- ARGS]\n"
"\n"
"Starts an image as an instance and waits for its end. The exit status is what\n"
"the application gave to halt/1; 125: kindling failed, 126: bad image, 134: a\n"
"bug in the VM, 137: out of memory, 139: the guest broke its bounds.\n"
"\n"
"      --on kvm|qemu|process   where to run it (default: kvm if /dev/kvm can be\n"
"                       opened, else process)\n"
"      --mem SIZE       most memory it may use, such as 64M\n"
"  -e, --env K=V        a variable for os:getenv (K alone: with its value here)\n"
"      --env-file FILE  such variables, one on a line; # begins a comment\n"
"  -d, --detach         run it in the background; its name is printed\n"
"      --name NAME      a name for `kindling ps`, `logs` and `stop`\n"
"      --net            with a port on the network of this user's instances;\n"
"                       under QEMU with a network of its own\n"
"  -p, --publish [ADDRESS:]HOST:GUEST\n"
"                       connections to this port of the host, on 127.0.0.1 unless\n"
"                       an address is given, go to that of the instance (--net too)\n"
"      --boot-times     say at the end where the boot went\n"
"      --report FILE    write how it ended, as JSON\n"
"      --tcg            with --on qemu: emulate the processor, without KVM\n"
"\n"
"  kindling run hello.img\n"
"  kindling run --mem 48M -e LEVEL=debug hello.img -- one two\n"
"  kindling run -d -p 8080:8080 web.img\n"
"  kindling run --on process --report end.json hello.img\n"
"\n"
"ARGS are what init:get_plain_arguments/0 returns. SIGTERM (and ^C) ends the\n"
"instance as init:stop/0 does, a second one at once.\n";

struct environment {
    char **v;
    size_t n;
};

/* NAME=VALUE; a later one of the same name wins. */
static void set_variable(struct environment *env, char *s)
{
    size_t name = strcspn(s, "=");

    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->v[i], s, name) == 0 && env->v[i][name] == '=') {
            env->v[i] = s;
            return;
        }
    }
    env->v = reallocate(env->v, (env->n + 1) * sizeof *env->v);
    env->v[env->n++] = s;
}

static void add_variable(struct environment *env, const char *option, const char *s)
{
    size_t name = strcspn(s, "=");

    if (name == 0)
        fail(EXIT_TOOL, "cannot take %s for %s: NAME=VALUE is wanted", s, option);
    if (s[name] == 0) {
        const char *value = getenv(s);

        if (value)
            set_variable(env, format("%s=%s", s, value));
        return;
    }
    set_variable(env, format("%s", s));
}

static void add_file(struct environment *env, const char *path)
{
    size_t n;
    char *p = (char *)read_file(path, &n), *end = p + n;

    if (memchr(p, 0, n))
        fail(EXIT_TOOL, "cannot take variables from %s: it is not a text", path);
    while (p < end) {
        char *line = p;

        p += strcspn(p, "\n");
        *p++ = 0;
        line += strspn(line, " \t");
        line[strcspn(line, "\r")] = 0;
        if (*line && *line != '#')
            add_variable(env, path, line);
    }
}

/*
 * An instance on a terminal edits lines on it, so it must know which kind it is
 * and whether it shows UTF-8. What -e said stands.
 */
static void add_terminal(struct environment *env)
{
    static const char *const names[] = {"TERM", "LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]), k = 0;

        while (k < env->n && (strncmp(env->v[k], names[i], n) != 0 || env->v[k][n] != '='))
            k++;
        if (k == env->n)
            add_variable(env, "the terminal", names[i]);
    }
}

static void make_info(struct buffer *b, const struct environment *env, int argc,
                      char **argv, const struct network *net)
{
    struct guest_info gi = {
        .net = net->net,
        .magic = GUEST_INFO_MAGIC,
        .version = GUEST_VERSION,
        .bytes = sizeof gi,
        .argc = (uint32_t)argc,
        .envc = (uint32_t)env->n,
    };
    struct winsize ws;

    if (isatty(0))
        gi.flags |= GUEST_TTY_IN;
    if (isatty(1))
        gi.flags |= GUEST_TTY_OUT;
    if (ioctl(1, TIOCGWINSZ, &ws) == 0) {
        gi.rows = ws.ws_row;
        gi.columns = ws.ws_col;
    }
    buffer_add(b, &gi, sizeof gi);
    for (int i = 0; i < argc; i++)
        buffer_add(b, argv[i], strlen(argv[i]) + 1);
    for (size_t i = 0; i < env->n; i++)
        buffer_add(b, env->v[i], strlen(env->v[i]) + 1);
    if (b->n > GUEST_INFO_MAX)
        fail(EXIT_TOOL, "cannot pass arguments and environment of %zu bytes: at most %d",
             b->n, GUEST_INFO_MAX);
    ((struct guest_info *)b->p)->strings_bytes = (uint32_t)(b->n - sizeof gi);
}

static int memory_file(const struct buffer *b)
{
    int fd = memfd_create("info", 0);

    if (fd < 0 || write(fd, b->p, b->n) != (ssize_t)b->n)
        fail(EXIT_TOOL, "cannot pass the arguments: %s", strerror(errno));
    return fd;
}

static _Noreturn void run_tender(const struct run_options *o, bool process,
                                 const struct buffer *info)
{
    char *tender = find_part("tender");
    const char *argv[24];
    int n = 0;

    argv[n++] = "tender";
    if (process)
        argv[n++] = "--process";
    if (o->boot_times)
        argv[n++] = "--boot-times";
    if (o->mem_bytes) {
        argv[n++] = "--mem";
        argv[n++] = format("%llu", (unsigned long long)o->mem_bytes);
    }
    if (o->report_fd >= 0) {
        argv[n++] = "--report-fd";
        argv[n++] = format("%d", o->report_fd);
    }
    if (o->network) {
        argv[n++] = "--net";
        argv[n++] = network_argument(o->network);
    }
    argv[n++] = "--start-tsc";
    argv[n++] = format("%llu", (unsigned long long)o->start_tsc);
    argv[n++] = "--info-fd";
    argv[n++] = format("%d", memory_file(info));
    argv[n++] = o->image;
    argv[n] = NULL;
    execv(tender, (char **)argv);
    fail(EXIT_TOOL, "cannot start %s: %s", tender, strerror(errno));
}

struct start {
    const struct run_options *o;
    const char *on;
    const struct buffer *info;
};

static void start(void *ctx)
{
    const struct start *s = ctx;

    if (strcmp(s->on, "qemu") == 0)
        exit(run_qemu(s->o, s->info->p, s->info->n));
    run_tender(s->o, strcmp(s->on, "process") == 0, s->info);
}

/* A network of QEMU's is QEMU's already. */
static void let_go(void *ctx)
{
    const struct start *s = ctx;

    if (s->o->network && strcmp(s->on, "qemu") != 0)
        network_close(s->o->network);
}

int run_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"on", required_argument, NULL, 'o'},       {"mem", required_argument, NULL, 'm'},
        {"env", required_argument, NULL, 'e'},      {"env-file", required_argument, NULL, 'f'},
        {"boot-times", no_argument, NULL, 'b'},     {"report", required_argument, NULL, 'r'},
        {"tcg", no_argument, NULL, 't'},            {"help", no_argument, NULL, 'h'},
        {"name", required_argument, NULL, 'n'},     {"detach", no_argument, NULL, 'd'},
        {"publish", required_argument, NULL, 'p'},  {"net", no_argument, NULL, 'N'},
        {NULL, 0, NULL, 0},
    };
    struct run_options o = {.report_fd = -1, .start_tsc = guest_tsc()};
    struct environment env = {0};
    struct network net = {0};
    struct buffer info = {0};
    const char *on = NULL, *name = NULL;
    bool detach = false, kept;
    int c;

    while ((c = getopt_long(argc, argv, "+e:hdp:", known, NULL)) >= 0) {
        switch (c) {
        case 'o': on = optarg; break;
        case 'm': o.mem_bytes = parse_size("--mem", optarg); break;
        case 'e': add_variable(&env, "-e", optarg); break;
        case 'f': add_file(&env, optarg); break;
        case 'b': o.boot_times = true; break;
        case 't': o.tcg = true; break;
        case 'r':
            o.report_fd = open(optarg, O_WRONLY | O_CREAT | O_TRUNC, 0666);
            if (o.report_fd < 0)
                fail(EXIT_TOOL, "cannot write the report %s: %s", optarg, strerror(errno));
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'n': name = optarg; break;
        case 'd': detach = true; break;
        case 'N': net.wanted = true; break;
        case 'p': network_publish(&net, optarg); break;
        default:
            fail(EXIT_TOOL, "cannot run: see `kindling run --help`");
        }
    }
    if (optind == argc || strcmp(argv[optind], "--") == 0)
        fail(EXIT_TOOL, "cannot run: name an image; see `kindling run --help`");
    o.image = argv[optind++];
    if (optind < argc && strcmp(argv[optind], "--") == 0)
        optind++;
    else if (optind < argc)
        fail(EXIT_TOOL, "cannot pass %s to the instance: its arguments come after --",
             argv[optind]);
    if (isatty(0))
        add_terminal(&env);
    if (!on) {
        on = "kvm";
        if (access("/dev/kvm", R_OK | W_OK) < 0) {
            fprintf(stderr, "kindling: /dev/kvm: %s; running it as a process\n",
                    strerror(errno));
            on = "process";
        }
    }
    if (strcmp(on, "qemu") != 0 && strcmp(on, "kvm") != 0 && strcmp(on, "process") != 0)
        fail(EXIT_TOOL, "cannot run on %s: kvm, qemu or process is wanted", on);
    kept = name || detach;
    if (kept || net.wanted) {
        struct image im;
        char why[200];

        /* In the background nobody would see why not. */
        if (image_open(o.image, &im, why, sizeof why) < 0)
            fail(EXIT_IMAGE, "cannot run %s: %s", o.image, why);
        close(im.fd);
        name = name ? name : registry_name(o.image);
        registry_check_name(name);
    }
    if (net.wanted) {
        if (strcmp(on, "qemu") == 0)
            network_under_qemu(&net);
        else
            network_join(&net, name);
        o.network = &net;
    }
    make_info(&info, &env, argc - optind, argv + optind, &net);
    if (kept)
        return registry_run(name, o.image, on, detach, start, let_go,
                            &(struct start){&o, on, &info});
    start(&(struct start){&o, on, &info});
    return EXIT_TOOL;
}
