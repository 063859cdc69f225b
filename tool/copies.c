/*
 * copies.c - copies of an image: starting, asking and measuring them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

#include "copies.h"
#include "elfimage.h"
#include "kindling.h"
#include "switch.h"

double now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* A network for it, and the arguments that tell. */
static int add_network(const struct starter *s, struct copy *c, struct network *net,
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

/* Ports are so given out that a connection to a free one can be to itself. */
static bool is_own(int fd, const struct sockaddr_in *to)
{
    struct sockaddr_in a = {0};
    socklen_t n = sizeof a;

    return getsockname(fd, (struct sockaddr *)&a, &n) == 0 && a.sin_port == to->sin_port;
}

bool copy_try(struct copy *c)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    c->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->client >= 0 && connect(c->client, (struct sockaddr *)&a, sizeof a) == 0 &&
        !is_own(c->client, &a) &&
        write(c->client, request, sizeof request - 1) == sizeof request - 1)
        return true;
    if (c->client >= 0)
        close(c->client);
    c->client = -1;
    return false;
}

void copy_ask(const struct starter *s, struct copy *c)
{
    if (s->http && !copy_try(c))
        fail(EXIT_TOOL, "cannot ask a copy of %s: %s", s->image, strerror(errno));
}

static bool is_answer(const struct starter *s, const char *part, size_t n)
{
    static const char good[] = "HTTP/1.1 200 ";

    if (s->http)
        return n >= sizeof good - 1 && memcmp(part, good, sizeof good - 1) == 0;
    return memchr(part, '\n', n);
}

/* All that were ever started, for a command that fails: it leaves none behind. */
static pid_t *started;
static size_t started_n, started_room;

static void end_started(void)
{
    for (size_t i = 0; i < started_n; i++)
        if (waitpid(started[i], NULL, WNOHANG) == 0)    /* ours, and not ended */
            kill(started[i], SIGKILL);
}

static void note_started(pid_t pid)
{
    if (!started)
        atexit(end_started);
    if (started_n == started_room)
        started = reallocate(started,
                             (started_room = started_room ? 2 * started_room : 64) * sizeof pid);
    started[started_n++] = pid;
}

void copy_start(const struct starter *s, struct copy *c)
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
    note_started(c->pid);
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

int copy_answer(const struct starter *s, struct copy *c, double start)
{
    char part[4096];
    ssize_t got = read(copy_fd(s, c), part, sizeof part);

    if (got > 0 && is_answer(s, part, (size_t)got)) {
        c->answered = now_ms() - start;
        return 1;
    }
    return got > 0 && !s->http ? 0 : -1;
}

size_t copies_answer(const struct starter *s, struct copy *c, size_t n, double start)
{
    struct pollfd *pfd = allocate(n * sizeof *pfd);
    size_t open = 0, answered = 0;

    for (size_t i = 0; i < n; i++) {
        pfd[i] = (struct pollfd){.fd = c[i].answered ? -1 : copy_fd(s, &c[i]),
                                 .events = POLLIN};
        open += pfd[i].fd >= 0;
        answered += c[i].answered != 0;
    }
    while (open > 0 && poll(pfd, n, ANSWER_SECONDS * 1000) > 0) {
        for (size_t i = 0; i < n; i++) {
            int r;

            if (!pfd[i].revents || (r = copy_answer(s, &c[i], start)) == 0)
                continue;
            answered += r > 0;
            pfd[i].fd = -1;
            open--;
        }
    }
    free(pfd);
    return answered;
}

void copies_ready(struct copy *c, size_t n)
{
    char byte;

    for (size_t i = 0; i < n; i++)
        if (read(c[i].go, &byte, 1) != 1)
            fail(EXIT_TOOL, "cannot fill the pool: tender %zu of %zu did not start", i + 1, n);
}

void copies_end(struct copy *c, size_t n)
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

double available_kib(void)
{
    return kib_of("/proc/meminfo", "MemAvailable:");
}

/* Of a tender; of an instance in a process, that is its child. */
double private_dirty_kib(pid_t pid, bool process)
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
double cpu_ms(const struct copy *c, size_t n)
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

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void sort_values(double *v, size_t n)
{
    qsort(v, n, sizeof *v, by_value);
}

double percentile(const double *sorted, size_t n, unsigned percent)
{
    size_t i = (n * percent + 99) / 100;

    return n ? sorted[i ? i - 1 : 0] : 0;
}

unsigned long parse_count(const char *s)
{
    char *end;
    unsigned long n;

    errno = 0;
    n = strtoul(s, &end, 10);
    if (errno || *s < '0' || *s > '9' || *end || n == 0 || n > 100000)
        fail(EXIT_TOOL, "cannot take %s: a number of copies is wanted", s);
    return n;
}

uint16_t parse_port(const char *option, const char *s)
{
    char *end;
    unsigned long n = strtoul(s, &end, 10);

    if (*s < '0' || *s > '9' || *end || n == 0 || n > 65535)
        fail(EXIT_TOOL, "cannot take %s for %s: a port is wanted", s, option);
    return (uint16_t)n;
}

void check_image(const char *path)
{
    struct image im;
    char why[200];

    if (image_open(path, &im, why, sizeof why) < 0)
        fail(EXIT_IMAGE, "cannot run %s: %s", path, why);
    free(im.hot);
    close(im.fd);
}

bool parse_on(const char *on)
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

void raise_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}
