/*
 * bench.c - kindling bench: images started in turns, and perhaps a command
 * beside them, each timed from outside: from the start of its process to its
 * first line, or the first page that it serves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copies.h"
#include "kindling.h"

static const char help[] =
"usage: kindling bench [-n RUNS] [--on kvm|process] [--http PORT] [--beside COMMAND]\n"
"                      IMAGE...\n"
"\n"
"Starts each image RUNS times (50), in turns, and prints how long it took from\n"
"the start of the tender to the first line, or with --http to the first page from\n"
"this port of the instance, as an outside program sees it, and, on KVM, how often\n"
"the instance left and how many pages it touched that were not given to it before,\n"
"until then.\n"
"\n"
"      --beside COMMAND  start this too, by the shell; {port} is a free port of the host's,\n"
"                        where it is to serve\n"
"\n"
"  kindling bench hello.img hello.baked.img\n"
"  kindling bench --http 8080 --beside 'erl -noshell -pa ebin -web port {port} -s web' web.img\n";

struct row {
    const char *image;          /* NULL: the command */
    double *ms;
    size_t n;
    double exits, pages;        /* the most; -1: not counted */
};

static double number_after(const char *s, const char *key)
{
    const char *at = s ? strstr(s, key) : NULL;

    return at ? atof(at + strlen(key)) : -1;
}

/*
 * Both signals are there before it runs on, so it ends where it is, and what it
 * counted is what it took until the answer.
 */
static void end_with_report(struct copy *c)
{
    kill(c->pid, SIGSTOP);
    kill(c->pid, SIGTERM);
    kill(c->pid, SIGINT);
    kill(c->pid, SIGCONT);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    c->pid = 0;
    copies_end(c, 1);
}

static void run_image(struct starter *s, struct row *row)
{
    char text[4096] = "", *counts;
    struct copy c;
    double start;

    s->image = row->image;
    s->report_fd = memfd_create("report", MFD_CLOEXEC);
    if (s->report_fd < 0)
        fail(EXIT_TOOL, "cannot make a report: %s", strerror(errno));
    start = now_ms();
    copy_start(s, &c);
    copy_ask(s, &c);
    if (copies_answer(s, &c, 1, start) != 1)
        fail(EXIT_TOOL, "cannot measure %s: it did not answer", s->image);
    row->ms[row->n++] = c.answered;
    end_with_report(&c);
    if (!s->process && pread(s->report_fd, text, sizeof text - 1, 0) > 0 &&
        (counts = strstr(text, s->http ? "\"exits\"" : "\"boot\""))) {
        double exits = number_after(counts, "\"exits\": ");
        double pages = number_after(counts, "\"pages\": ");

        row->exits = exits > row->exits ? exits : row->exits;
        row->pages = pages > row->pages ? pages : row->pages;
    }
    close(s->report_fd);
    s->report_fd = -1;
}

static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) < 0)
        fail(EXIT_TOOL, "cannot find a free port: %s", strerror(errno));
    close(fd);
    return ntohs(a.sin_port);
}

/* `command` with the number in place of {port}. */
static char *with_port(const char *command, unsigned port)
{
    const char *at = strstr(command, "{port}");

    if (!at)
        return format("exec %s", command);
    return format("exec %.*s%u%s", (int)(at - command), command, port, at + strlen("{port}"));
}

/*
 * Asked each 200 us until it serves the page: it may listen before it can, and
 * httpd says 500 for a while.
 */
static void ask_command(const struct starter *s, struct copy *c, double start)
{
    for (;;) {
        if (!s->http || copy_try(c)) {
            if (copies_answer(s, c, 1, start) == 1)
                return;
            if (!s->http)
                fail(EXIT_TOOL, "cannot measure the command beside: it wrote no line");
            close(c->client);
            c->client = -1;
        }
        if (waitpid(c->pid, NULL, WNOHANG) == c->pid)
            fail(EXIT_TOOL, "cannot measure the command beside: it ended");
        if (now_ms() - start > ANSWER_SECONDS * 1e3)
            fail(EXIT_TOOL, "cannot measure the command beside: it does not serve on %u", c->port);
        usleep(200);
    }
}

static void run_command(struct starter *s, const char *command, struct row *row)
{
    struct copy c = {.out = -1, .go = -1, .client = -1, .port = free_port()};
    char *line = with_port(command, c.port);
    double start = now_ms();
    int out[2];

    if (pipe2(out, O_CLOEXEC) < 0 || (c.pid = fork()) < 0)
        fail(EXIT_TOOL, "cannot start %s: %s", command, strerror(errno));
    if (c.pid == 0) {
        int null = open("/dev/null", O_RDWR);

        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);       /* if we fail meanwhile */
        dup2(null, 0);
        dup2(out[1], 1);
        dup2(null, 2);
        execl("/bin/sh", "sh", "-c", line, NULL);
        _exit(EXIT_TOOL);
    }
    setpgid(c.pid, c.pid);
    close(out[1]);
    c.out = out[0];
    ask_command(s, &c, start);
    row->ms[row->n++] = c.answered;
    kill(-c.pid, SIGKILL);
    copies_end(&c, 1);
    free(line);
}

static void print_row(const struct starter *s, struct row *r)
{
    sort_values(r->ms, r->n);
    printf("%-32s %-8s %8.1f %8.1f %8.1f", r->image ? r->image : "the command beside",
           !r->image ? "host" : s->process ? "process" : "kvm", r->ms[0],
           percentile(r->ms, r->n, 50), percentile(r->ms, r->n, 99));
    if (r->exits >= 0)
        printf(" %6.0f %6.0f\n", r->exits, r->pages);
    else
        printf(" %6s %6s\n", "-", "-");
}

int bench_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"on", required_argument, NULL, 'o'},   {"help", no_argument, NULL, 'h'},
        {"http", required_argument, NULL, 'H'}, {"beside", required_argument, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    struct starter s = {.report_fd = -1};
    const char *on = NULL, *command = NULL;
    struct row *rows;
    size_t runs = 50, n;
    int opt;

    while ((opt = getopt_long(argc, argv, "n:h", known, NULL)) >= 0) {
        switch (opt) {
        case 'n': runs = parse_count(optarg); break;
        case 'o': on = optarg; break;
        case 'H': s.http = parse_port("--http", optarg); break;
        case 'b': command = optarg; break;
        case 'h': fputs(help, stdout); return 0;
        default: fail(EXIT_TOOL, "cannot bench: see `kindling bench --help`");
        }
    }
    if (optind == argc)
        fail(EXIT_TOOL, "cannot bench: name an image; see `kindling bench --help`");
    s.process = parse_on(on);
    s.tender = find_part("tender");
    n = (size_t)(argc - optind) + (command != NULL);
    rows = allocate(n * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (struct row){argv[(size_t)optind + i], allocate(runs * sizeof(double)), 0, -1, -1};
        if (rows[i].image)              /* argv ends by NULL: the command is last */
            check_image(rows[i].image);
    }
    for (size_t k = 0; k < runs; k++) {
        for (size_t i = 0; i < n; i++) {
            if (rows[i].image)
                run_image(&s, &rows[i]);
            else
                run_command(&s, command, &rows[i]);
        }
    }
    printf("%-32s %-8s %8s %8s %8s %6s %6s\n",
           s.http ? "start to first page, ms" : "start to first line, ms", "on", "min", "p50",
           "p99", "exits", "pages");
    for (size_t i = 0; i < n; i++) {
        print_row(&s, &rows[i]);
        free(rows[i].ms);
    }
    free(rows);
    return 0;
}
