/*
 * burst.c - kindling burst: many copies of an image at once, from a pool of
 * tenders that are ready or from nothing, and what they take.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copies.h"
#include "kindling.h"

static const char help[] =
"usage: kindling burst [OPTIONS] N IMAGE\n"
"\n"
"Starts N copies of an image at once and waits for the first line of each; then\n"
"prints how long that took and what memory the copies have, and ends them. The\n"
"image is one that goes on after that line; baked ones are fast.\n"
"\n"
"      --cold           without a pool of tenders that are ready beforehand\n"
"      --seconds S      N at a time from nothing, for so long: whenever one has\n"
"                       answered another starts, and all go on\n"
"      --http PORT      ask each for a page on this port of its own, and wait for that\n"
"      --mem SIZE       most memory a copy may use\n"
"      --on kvm|process where to run them\n"
"\n"
"  kindling burst 100 web.img\n"
"  kindling burst --seconds 10 --http 8080 4 web.img\n";

/* Of all copies: available memory before, with the pool full, and at the end; CPU. */
struct totals {
    double kib_before, kib_pool, kib_end;
    double pool_ms, pool_cpu, answer_cpu;
};

static double children_cpu_ms(void)
{
    struct rusage r;

    getrusage(RUSAGE_CHILDREN, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e3 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e3;
}

/* The mean of those that live, in KiB; 0: none does. */
static double mean_dirty_kib(const struct starter *s, const struct copy *c, size_t n)
{
    double sum = 0;
    size_t counted = 0;

    for (size_t i = 0; i < n; i++) {
        double k = c[i].pid > 0 ? private_dirty_kib(c[i].pid, s->process) : -1;

        if (k >= 0) {
            sum += k;
            counted++;
        }
    }
    return counted ? sum / (double)counted : 0;
}

static size_t count_live(struct copy *c, size_t n)
{
    size_t live = 0;

    for (size_t i = 0; i < n; i++) {
        if (waitpid(c[i].pid, NULL, WNOHANG) == c[i].pid)
            c[i].pid = 0;
        live += c[i].pid > 0;
    }
    return live;
}

static void row_ms(const char *name, double ms) { printf("%-34s %10.1f ms\n", name, ms); }

static void row_each(const char *name, double value, const char *unit)
{
    printf("%-34s %10.2f %s each\n", name, value, unit);
}

static void print_burst(const struct starter *s, struct copy *c, size_t n,
                        const struct totals *t, double pool_dirty)
{
    double *ms = allocate(n * sizeof *ms), each = (double)n, dirty;
    size_t live = count_live(c, n), answers = 0;

    for (size_t i = 0; i < n; i++)
        if (c[i].answered)
            ms[answers++] = c[i].answered;
    sort_values(ms, answers);
    printf("%-34s %s, %s\n", s->image, s->process ? "process" : "kvm",
           s->pool ? "from a warm pool" : "cold");
    if (s->pool) {
        row_ms("filling the pool", t->pool_ms);
        if (!s->process)
            row_each("pool: CPU", t->pool_cpu / each, "ms");
        row_each("pool: Private_Dirty", pool_dirty / 1024, "MiB");
        row_each("pool: MemAvailable", (t->kib_before - t->kib_pool) / 1024 / each, "MiB");
    }
    printf("%-34s %10zu of %zu, %zu live\n", "answered", answers, n, live);
    row_ms("first answer, first copy", percentile(ms, answers, 0));
    row_ms("first answer, p50", percentile(ms, answers, 50));
    row_ms("first answer, last copy", percentile(ms, answers, 100));
    if (answers)
        printf("%-34s %10.0f\n", "copies a second",
               (double)answers * 1e3 / percentile(ms, answers, 100));
    dirty = mean_dirty_kib(s, c, n);
    printf("%-34s %10.2f MiB each, %.0f pages", "Private_Dirty", dirty / 1024, dirty / 4);
    if (s->pool)
        printf(", %.0f since the pool", (dirty - pool_dirty) / 4);
    putchar('\n');
    row_each("MemAvailable, all", (t->kib_before - t->kib_end) / 1024 / each, "MiB");
    if (!s->process)
        row_each("CPU, until the answers", t->answer_cpu / each, "ms");
    free(ms);
}

static size_t burst(const struct starter *s, size_t n)
{
    struct copy *c = allocate(n * sizeof *c);
    struct totals t = {.kib_before = available_kib()};
    double start = now_ms(), pool_dirty = 0;
    size_t answered;

    for (size_t i = 0; i < n; i++)
        copy_start(s, &c[i]);
    if (s->pool) {
        copies_ready(c, n);
        t.pool_ms = now_ms() - start;
        t.kib_pool = available_kib();
        t.pool_cpu = cpu_ms(c, n);
        pool_dirty = mean_dirty_kib(s, c, n);
        start = now_ms();
        for (size_t i = 0; i < n; i++)
            if (write(c[i].go, "g", 1) != 1)
                continue;               /* it ended: no answer, counted below */
    }
    for (size_t i = 0; i < n; i++)
        copy_ask(s, &c[i]);
    answered = copies_answer(s, c, n, start);
    t.kib_end = available_kib();
    t.answer_cpu = cpu_ms(c, n) - t.pool_cpu;
    print_burst(s, c, n, &t, pool_dirty);
    copies_end(c, n);
    row_each("CPU, from start to end", children_cpu_ms() / (double)n, "ms");
    free(c);
    return n - answered;
}

/* `width` starts under way for so long; how many did not answer. */
static size_t burst_on(const struct starter *s, size_t width, unsigned seconds)
{
    struct pollfd *pfd = allocate(width * sizeof *pfd);
    size_t *which = allocate(width * sizeof *which), n = 0, room = 0, answered = 0, live;
    struct copy *c = NULL;
    double start = now_ms(), end = start + 1e3 * seconds, took, kib = available_kib(), dirty;

    for (size_t i = 0; i < width; i++)
        pfd[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    while (now_ms() < end) {
        for (size_t i = 0; i < width; i++) {
            if (pfd[i].fd >= 0)
                continue;
            if (n == room)
                c = reallocate(c, (room = room ? 2 * room : 256) * sizeof *c);
            copy_start(s, &c[n]);
            copy_ask(s, &c[n]);
            pfd[i].fd = copy_fd(s, &c[n]);
            which[i] = n++;
        }
        if (poll(pfd, width, 100) < 0)
            continue;
        for (size_t i = 0; i < width; i++) {
            int r = pfd[i].revents ? copy_answer(s, &c[which[i]], start) : 0;

            answered += r > 0 && now_ms() < end;
            if (r != 0)
                pfd[i].fd = -1;
        }
    }
    took = now_ms() - start;
    live = copies_answer(s, c, n, start);
    kib -= available_kib();
    live = count_live(c, n) + live - n;
    dirty = mean_dirty_kib(s, c, n);
    printf("%-34s %s, %zu at a time from nothing, %.1f s\n", s->image,
           s->process ? "process" : "kvm", width, took / 1e3);
    printf("%-34s %10zu of %zu, %zu live\n", "answered", answered, n, live);
    printf("%-34s %10.0f\n", "live copies a second", (double)answered * 1e3 / took);
    row_each("Private_Dirty", dirty / 1024, "MiB");
    row_each("MemAvailable, all", kib / 1024 / (double)n, "MiB");
    copies_end(c, n);
    row_each("CPU, from start to end", children_cpu_ms() / (double)n, "ms");
    free(pfd);
    free(which);
    free(c);
    return n - live;
}

int burst_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"cold", no_argument, NULL, 'c'},         {"mem", required_argument, NULL, 'm'},
        {"on", required_argument, NULL, 'o'},     {"help", no_argument, NULL, 'h'},
        {"http", required_argument, NULL, 'H'},   {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    struct starter s = {.pool = true, .report_fd = -1};
    const char *on = NULL;
    unsigned seconds = 0;
    size_t n, missing;
    int opt;

    while ((opt = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        switch (opt) {
        case 'c': s.pool = false; break;
        case 's': seconds = parse_seconds("--seconds", optarg); break;
        case 'm': s.mem_bytes = parse_size("--mem", optarg); break;
        case 'o': on = optarg; break;
        case 'H': s.http = parse_port("--http", optarg); break;
        case 'h': fputs(help, stdout); return 0;
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
    s.pool &= seconds == 0;
    check_image(s.image);
    raise_descriptors();
    missing = seconds ? burst_on(&s, n, seconds) : burst(&s, n);
    if (missing)
        fail(EXIT_TOOL, "cannot start %zu copies of %s: they did not answer", missing, s.image);
    return 0;
}
