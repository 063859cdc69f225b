/*
 * burst.c - kindling burst and kindling bench: starts of images, measured from
 * outside: from the start of a tender, or the word to one of a pool, to the
 * first line that comes out, or the first page.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "elfimage.h"
#include "kindling.h"
#include "switch.h"

#define ANSWER_SECONDS 60

struct clone {
    pid_t pid;
    int out, go;                /* -1: closed */
    int client;                 /* its connection to the published port; -1: none */
    unsigned port;
    double answered;            /* ms; 0: not yet */
};

struct starter {
    const char *image;
    char *tender;
    bool process, pool;
    uint16_t http;              /* ask this port of the instance; 0: wait for a line */
    uint64_t mem_bytes;
    int report_fd;              /* -1: none */
};

static double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* A network for it, and the arguments that tell. */
static int add_network(const struct starter *s, struct clone *c, struct network *net,
                       const char **argv, int *n)
{
    struct guest_info info = {
        .magic = GUEST_INFO_MAGIC, .version = GUEST_VERSION, .bytes = sizeof info,
    };
    int fd = memfd_create("info", 0);

    c->port = network_publish_any(net, s->http);
    network_join(net, "bench");
    info.net = net->net;
    if (fd < 0 || write(fd, &info, sizeof info) != sizeof info)
        fail(EXIT_TOOL, "cannot start a copy of %s: %s", s->image, strerror(errno));
    argv[(*n)++] = "--net";
    argv[(*n)++] = network_argument(net);
    argv[(*n)++] = "--info-fd";
    argv[(*n)++] = format("%d", fd);
    return fd;
}

/* A request to it, whatever it does yet. */
static void ask(const struct starter *s, struct clone *c)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (!s->http)
        return;
    c->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->client < 0 || connect(c->client, (struct sockaddr *)&a, sizeof a) < 0 ||
        write(c->client, request, sizeof request - 1) != sizeof request - 1)
        fail(EXIT_TOOL, "cannot ask a copy of %s: %s", s->image, strerror(errno));
}

static bool is_answer(const struct starter *s, const char *part, size_t n)
{
    static const char good[] = "HTTP/1.1 200 ";

    if (s->http)
        return n >= sizeof good - 1 && memcmp(part, good, sizeof good - 1) == 0;
    return memchr(part, '\n', n);
}

static void start_clone(const struct starter *s, struct clone *c)
{
    const char *argv[18];
    int out[2], go[2] = {-1, -1}, n = 0, info = -1;
    struct network net = {0};

    c->client = -1;

    if (pipe2(out, O_CLOEXEC) < 0 ||
        (s->pool && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go) < 0))
        fail(EXIT_TOOL, "cannot start a copy of %s: %s", s->image, strerror(errno));
    argv[n++] = "tender";
    if (s->process)
        argv[n++] = "--process";
    if (s->mem_bytes) {
        argv[n++] = "--mem";
        argv[n++] = format("%llu", (unsigned long long)s->mem_bytes);
    }
    if (s->pool) {
        argv[n++] = "--go-fd";
        argv[n++] = format("%d", go[1]);
    }
    if (s->report_fd >= 0) {
        argv[n++] = "--report-fd";
        argv[n++] = format("%d", s->report_fd);
    }
    if (s->http)
        info = add_network(s, c, &net, argv, &n);
    argv[n++] = s->image;
    argv[n] = NULL;
    c->pid = vfork();
    if (c->pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 0);
        dup2(out[1], 1);
        dup2(null, 2);
        if (s->pool)
            fcntl(go[1], F_SETFD, 0);
        if (s->report_fd >= 0)
            fcntl(s->report_fd, F_SETFD, 0);
        execv(s->tender, (char **)argv);
        _exit(EXIT_TOOL);
    }
    if (c->pid < 0)
        fail(EXIT_TOOL, "cannot start a copy of %s: %s", s->image, strerror(errno));
    close(out[1]);
    if (s->pool)
        close(go[1]);
    if (s->http) {
        network_close(&net);
        close(info);
    }
    c->out = out[0];
    c->go = go[0];
    c->answered = 0;
}

/* Until each has answered or ended; how many did. */
static size_t wait_answers(const struct starter *s, struct clone *c, size_t n, double start)
{
    struct pollfd *pfd = allocate(n * sizeof *pfd);
    size_t open = 0, answered = 0;
    char part[4096];

    for (size_t i = 0; i < n; i++) {
        pfd[i] = (struct pollfd){.fd = c[i].answered ? -1 : s->http ? c[i].client : c[i].out,
                                 .events = POLLIN};
        open += pfd[i].fd >= 0;
        answered += c[i].answered != 0;
    }
    while (open > 0 && poll(pfd, n, ANSWER_SECONDS * 1000) > 0) {
        for (size_t i = 0; i < n; i++) {
            ssize_t got;

            if (!pfd[i].revents)
                continue;
            got = read(pfd[i].fd, part, sizeof part);
            if (got > 0 && !s->http && !is_answer(s, part, (size_t)got))
                continue;
            if (got > 0 && is_answer(s, part, (size_t)got)) {
                c[i].answered = now_ms() - start;
                answered++;
            }
            pfd[i].fd = -1;
            open--;
        }
    }
    free(pfd);
    return answered;
}

static void wait_ready(struct clone *c, size_t n)
{
    char byte;

    for (size_t i = 0; i < n; i++)
        if (read(c[i].go, &byte, 1) != 1)
            fail(EXIT_TOOL, "cannot fill the pool: tender %zu of %zu did not start", i + 1, n);
}

static void end_clones(struct clone *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c[i].pid > 0)
            kill(c[i].pid, SIGKILL);
    for (size_t i = 0; i < n; i++) {
        while (c[i].pid > 0 && waitpid(c[i].pid, NULL, 0) < 0 && errno == EINTR)
            ;
        close(c[i].out);
        if (c[i].client >= 0)
            close(c[i].client);
        if (c[i].go >= 0)
            close(c[i].go);
    }
}

/* A number of KiB in a file of /proc; -1: not to be had. */
static double kib_of(const char *path, const char *field)
{
    FILE *f = fopen(path, "r");
    char line[256];
    double kib = -1;

    while (f && kib < 0 && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = atof(line + strlen(field));
    if (f)
        fclose(f);
    return kib;
}

static double available_kib(void)
{
    return kib_of("/proc/meminfo", "MemAvailable:");
}

/* Of a tender; of an instance in a process, that is its child. */
static double private_dirty_kib(pid_t pid, bool process)
{
    char *path = format("/proc/%ld/smaps_rollup", (long)pid), *children;
    double kib = kib_of(path, "Private_Dirty:");
    FILE *f;
    long child;

    free(path);
    if (!process || kib < 0)
        return kib;
    children = format("/proc/%ld/task/%ld/children", (long)pid, (long)pid);
    f = fopen(children, "r");
    free(children);
    if (f && fscanf(f, "%ld", &child) == 1)
        kib += private_dirty_kib((pid_t)child, false);
    if (f)
        fclose(f);
    return kib;
}

/* Processor time of the tenders so far; their children's is in it once reaped. */
static double cpu_ms(const struct clone *c, size_t n)
{
    double ns, sum = 0;

    for (size_t i = 0; i < n; i++) {
        char *path = format("/proc/%ld/schedstat", (long)c[i].pid);
        FILE *f = fopen(path, "r");

        if (f && fscanf(f, "%lf", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
        free(path);
    }
    return sum / 1e6;
}

static double children_cpu_ms(void)
{
    struct rusage r;

    getrusage(RUSAGE_CHILDREN, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e3 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(const double *sorted, size_t n, unsigned percent)
{
    size_t i = (n * percent + 99) / 100;

    return n ? sorted[i ? i - 1 : 0] : 0;
}

static unsigned long parse_count(const char *s)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(s, &end, 10);
    if (errno || *s < '0' || *s > '9' || *end || n == 0 || n > 100000)
        fail(EXIT_TOOL, "cannot take %s: a number of copies is wanted", s);
    return n;
}

static uint16_t parse_port(const char *option, const char *s)
{
    char *end;
    unsigned long n = strtoul(s, &end, 10);

    if (*s < '0' || *s > '9' || *end || n == 0 || n > 65535)
        fail(EXIT_TOOL, "cannot take %s for %s: a port is wanted", s, option);
    return (uint16_t)n;
}

static void check_image(const char *path)
{
    struct image im;
    char why[200];

    if (image_open(path, &im, why, sizeof why) < 0)
        fail(EXIT_IMAGE, "cannot run %s: %s", path, why);
    free(im.hot);
    close(im.fd);
}

static bool parse_on(const char *on)
{
    if (!on) {
        if (access("/dev/kvm", R_OK | W_OK) == 0)
            return false;
        fprintf(stderr, "kindling: /dev/kvm: %s; running as processes\n", strerror(errno));
        return true;
    }
    if (strcmp(on, "kvm") != 0 && strcmp(on, "process") != 0)
        fail(EXIT_TOOL, "cannot run on %s: kvm or process is wanted", on);
    return strcmp(on, "process") == 0;
}

static void raise_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static const char burst_help[] =
"usage: kindling burst [OPTIONS] N IMAGE\n"
"\n"
"Starts N copies of an image at once and waits for the first line of each; then\n"
"prints how long that took and what memory the copies have, and ends them. The\n"
"image is one that goes on after that line; baked ones are fast.\n"
"\n"
"      --cold           without a pool of tenders that are ready beforehand\n"
"      --http PORT      ask each for a page on this port of its own, and wait for that\n"
"      --mem SIZE       most memory a copy may use\n"
"      --on kvm|process where to run them\n"
"\n"
"  kindling burst 100 web.img\n";

static void print_burst(const struct starter *s, struct clone *c, size_t n, double pool_ms,
                        const double kib[3])
{
    double *ms = allocate(n * sizeof *ms), dirty = 0;
    size_t counted = 0, live = 0, answers = 0;

    for (size_t i = 0; i < n; i++) {
        double k = private_dirty_kib(c[i].pid, s->process);
        bool ended = waitpid(c[i].pid, NULL, WNOHANG) == c[i].pid;

        if (ended)
            c[i].pid = 0;
        live += !ended;
        if (!ended && k >= 0) {
            dirty += k;
            counted++;
        }
        if (c[i].answered)
            ms[answers++] = c[i].answered;
    }
    qsort(ms, answers, sizeof *ms, by_value);
    printf("%-34s %s, %s\n", s->image, s->process ? "process" : "kvm",
           s->pool ? "from a warm pool" : "cold");
    if (s->pool) {
        printf("%-34s %10.1f ms\n", "filling the pool", pool_ms);
        printf("%-34s %10.2f MiB each\n", "MemAvailable, pool",
               (kib[0] - kib[1]) / 1024 / (double)n);
    }
    printf("%-34s %10zu of %zu, %zu live\n", "answered", answers, n, live);
    printf("%-34s %10.1f ms\n", "first answer, first copy", percentile(ms, answers, 0));
    printf("%-34s %10.1f ms\n", "first answer, p50", percentile(ms, answers, 50));
    printf("%-34s %10.1f ms\n", "first answer, last copy", percentile(ms, answers, 100));
    if (answers)
        printf("%-34s %10.0f\n", "copies a second",
               (double)answers * 1e3 / percentile(ms, answers, 100));
    if (counted)
        printf("%-34s %10.2f MiB each, %.0f pages\n", "Private_Dirty",
               dirty / 1024 / (double)counted, dirty / 4 / (double)counted);
    printf("%-34s %10.2f MiB each\n", "MemAvailable, all",
           (kib[0] - kib[2]) / 1024 / (double)n);
    free(ms);
}

int burst_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"cold", no_argument, NULL, 'c'},       {"mem", required_argument, NULL, 'm'},
        {"on", required_argument, NULL, 'o'},   {"help", no_argument, NULL, 'h'},
        {"http", required_argument, NULL, 'H'}, {NULL, 0, NULL, 0},
    };
    struct starter s = {.pool = true, .report_fd = -1};
    const char *on = NULL;
    struct clone *c;
    double start, pool_ms, kib[3], cpu;
    size_t n, answered;
    int opt;

    while ((opt = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        switch (opt) {
        case 'c': s.pool = false; break;
        case 'm': s.mem_bytes = parse_size("--mem", optarg); break;
        case 'o': on = optarg; break;
        case 'H': s.http = parse_port("--http", optarg); break;
        case 'h': fputs(burst_help, stdout); return 0;
        default: fail(EXIT_TOOL, "cannot burst: see `kindling burst --help`");
        }
    }
    if (optind != argc - 2)
        fail(EXIT_TOOL, "cannot burst: a number and an image are wanted; see `kindling burst "
             "--help`");
    n = parse_count(argv[optind]);
    s.image = argv[optind + 1];
    s.tender = find_part("tender");
    s.process = parse_on(on);
    check_image(s.image);
    raise_descriptors();
    c = allocate(n * sizeof *c);
    kib[0] = available_kib();
    start = now_ms();
    for (size_t i = 0; i < n; i++)
        start_clone(&s, &c[i]);
    if (s.pool)
        wait_ready(c, n);
    pool_ms = now_ms() - start;
    kib[1] = available_kib();
    cpu = s.pool ? cpu_ms(c, n) : 0;
    if (s.pool) {
        start = now_ms();
        for (size_t i = 0; i < n; i++)
            if (write(c[i].go, "g", 1) != 1)
                continue;               /* it ended: no answer, counted below */
    }
    for (size_t i = 0; i < n; i++)
        ask(&s, &c[i]);
    answered = wait_answers(&s, c, n, start);
    kib[2] = available_kib();
    cpu = cpu_ms(c, n) - cpu;
    print_burst(&s, c, n, pool_ms, kib);
    if (!s.process)
        printf("%-34s %10.2f ms each\n", "CPU, until the answers", cpu / (double)n);
    end_clones(c, n);
    printf("%-34s %10.2f ms each\n", "CPU, from start to end",
           children_cpu_ms() / (double)n);
    free(c);
    if (answered < n)
        fail(EXIT_TOOL, "cannot start %zu of %zu copies of %s: they did not answer", n - answered,
             n, s.image);
    return 0;
}

/* --- bench --- */

static const char bench_help[] =
"usage: kindling bench [-n RUNS] [--on kvm|process] [--http PORT] IMAGE...\n"
"\n"
"Starts each image RUNS times (50), in turns, and prints how long it took from\n"
"the start of the tender to the first line, or with --http to the first page from\n"
"this port of the instance, as an outside program sees it, and, on KVM, how often\n"
"the instance left and how many pages it touched that were not given to it before,\n"
"until the first line.\n"
"\n"
"  kindling bench hello.img hello.baked.img\n";

static double number_after(const char *s, const char *key)
{
    const char *at = s ? strstr(s, key) : NULL;

    return at ? atof(at + strlen(key)) : -1;
}

struct bench_row {
    double *ms;
    size_t n;
    double exits, pages;        /* the most; -1: not counted */
};

static void bench_run(struct starter *s, struct bench_row *row)
{
    char text[4096] = "", *boot;
    struct clone c;
    double start;

    s->report_fd = memfd_create("report", MFD_CLOEXEC);
    if (s->report_fd < 0)
        fail(EXIT_TOOL, "cannot make a report: %s", strerror(errno));
    start = now_ms();
    start_clone(s, &c);
    ask(s, &c);
    if (wait_answers(s, &c, 1, start) != 1)
        fail(EXIT_TOOL, "cannot measure %s: it did not answer", s->image);
    row->ms[row->n++] = c.answered;
    /* A second signal ends it at once, and the report is written. */
    kill(c.pid, SIGTERM);
    usleep(1000);
    kill(c.pid, SIGTERM);
    while (waitpid(c.pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(c.out);
    if (c.client >= 0)
        close(c.client);
    if (pread(s->report_fd, text, sizeof text - 1, 0) > 0 && (boot = strstr(text, "\"boot\""))) {
        double exits = number_after(boot, "\"exits\": ");
        double pages = number_after(boot, "\"pages\": ");

        row->exits = exits > row->exits ? exits : row->exits;
        row->pages = pages > row->pages ? pages : row->pages;
    }
    close(s->report_fd);
    s->report_fd = -1;
}

int bench_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"on", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
        {"http", required_argument, NULL, 'H'}, {NULL, 0, NULL, 0},
    };
    struct starter s = {.report_fd = -1};
    const char *on = NULL;
    struct bench_row *rows;
    size_t runs = 50;
    int opt;

    while ((opt = getopt_long(argc, argv, "n:h", known, NULL)) >= 0) {
        switch (opt) {
        case 'n': runs = parse_count(optarg); break;
        case 'o': on = optarg; break;
        case 'H': s.http = parse_port("--http", optarg); break;
        case 'h': fputs(bench_help, stdout); return 0;
        default: fail(EXIT_TOOL, "cannot bench: see `kindling bench --help`");
        }
    }
    if (optind == argc)
        fail(EXIT_TOOL, "cannot bench: name an image; see `kindling bench --help`");
    s.process = parse_on(on);
    s.tender = find_part("tender");
    argc -= optind;
    argv += optind;
    rows = allocate((size_t)argc * sizeof *rows);
    for (int i = 0; i < argc; i++) {
        check_image(argv[i]);
        rows[i] = (struct bench_row){allocate(runs * sizeof(double)), 0, -1, -1};
    }
    for (size_t k = 0; k < runs; k++) {
        for (int i = 0; i < argc; i++) {
            s.image = argv[i];
            bench_run(&s, &rows[i]);
        }
    }
    printf("%-32s %-8s %8s %8s %8s %6s %6s\n",
           s.http ? "start to first page, ms" : "start to first line, ms", "on", "min", "p50",
           "p99", "exits", "pages");
    for (int i = 0; i < argc; i++) {
        struct bench_row *r = &rows[i];

        qsort(r->ms, r->n, sizeof *r->ms, by_value);
        printf("%-32s %-8s %8.1f %8.1f %8.1f", argv[i], s.process ? "process" : "kvm",
               r->ms[0], percentile(r->ms, r->n, 50), percentile(r->ms, r->n, 99));
        if (r->exits >= 0)
            printf(" %6.0f %6.0f\n", r->exits, r->pages);
        else
            printf(" %6s %6s\n", "-", "-");
        free(r->ms);
    }
    free(rows);
    return 0;
}
