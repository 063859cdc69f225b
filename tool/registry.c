/*
 * registry.c - keepers of instances, and kindling ps, logs, stop.
 */
#define _GNU_SOURCE
#include "registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What sun_path has room for, less the directory's name and ".sock". */
#define NAME_MAX_BYTES 48
#define STOP_SECONDS 10
#define STATUS_MS 10000         /* a keeper answers at once, however loaded the machine */

static const char *directory(void)
{
    static char *dir;
    const char *run = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    if (dir)
        return dir;
    dir = run && *run ? format("%s/kindling", run)
                      : format("/tmp/kindling-%u", (unsigned)getuid());
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        fail(EXIT_TOOL, "cannot make the directory of instances %s: %s", dir,
             strerror(errno));
    /* Somebody else's directory would let him answer for our instances. */
    if (lstat(dir, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        st.st_mode & 077)
        fail(EXIT_TOOL, "cannot use the directory of instances %s: it is not ours alone",
             dir);
    return dir;
}

void registry_check_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "0123456789_.-");

    if (n == 0 || name[n] || n > NAME_MAX_BYTES || *name == '.' || *name == '-')
        fail(EXIT_TOOL, "cannot take %s for a name: up to %d letters, digits, _ . and - "
             "are wanted", name, NAME_MAX_BYTES);
}

char *registry_path(const char *name, const char *kind)
{
    return format("%s/%s.%s", directory(), name, kind);
}

static bool address(const char *name, struct sockaddr_un *a)
{
    char *path = registry_path(name, "sock");
    bool fits = strlen(path) < sizeof a->sun_path;

    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (fits)
        strcpy(a->sun_path, path);
    free(path);
    return fits;
}

/* A connection to the keeper; -1: there is none by that name (any more). */
static int call(const char *name)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a;

    if (fd < 0 || !address(name, &a))
        fail(EXIT_TOOL, "cannot reach %s: %s", name, strerror(fd < 0 ? errno : ENAMETOOLONG));
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (errno == ECONNREFUSED)
        unlink(a.sun_path);
    close(fd);
    return -1;
}

/* One line, or NULL if the keeper went away or `ms` passed without it. */
static char *ask(int fd, const char *request, int ms)
{
    static char line[4200];
    size_t n = 0;

    if (write(fd, request, strlen(request)) != (ssize_t)strlen(request))
        return NULL;
    while (n < sizeof line - 1) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        ssize_t got;

        if (poll(&pfd, 1, ms) <= 0 || (got = read(fd, line + n, sizeof line - 1 - n)) <= 0)
            return NULL;
        n += (size_t)got;
        if (line[n - 1] == '\n') {
            line[n - 1] = 0;
            return line;
        }
    }
    return NULL;
}

/* --- the keeper --- */

struct keeper {
    const char *name, *image, *mode;
    int listener, signals;
    pid_t pid;
    struct timespec started;
    int *waiting;                       /* who wants to know the end */
    size_t n;
};

static int listen_on(const char *name)
{
    struct sockaddr_un a;
    int fd, other;

    if (!address(name, &a))
        fail(EXIT_TOOL, "cannot name an instance %s: the path of %s is too long", name,
             directory());
    other = call(name);                 /* removes what a dead one left */
    if (other >= 0)
        fail(EXIT_TOOL, "cannot name an instance %s: one of that name runs; see `kindling "
             "ps`", name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 16) < 0)
        fail(EXIT_TOOL, "cannot name an instance %s: %s", name, strerror(errno));
    return fd;
}

static void answer(struct keeper *k, int fd)
{
    struct timespec now;
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    char request[16] = "", *reply;
    ssize_t n = poll(&pfd, 1, 1000) > 0 ? read(fd, request, sizeof request - 1) : -1;

    if (n > 0 && strncmp(request, "status\n", 7) == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        reply = format("%ld %s %lld %s\n", (long)k->pid, k->mode,
                       (long long)(now.tv_sec - k->started.tv_sec), k->image);
        if (write(fd, reply, strlen(reply)) < 0)
            n = -1;                     /* it went away: so be it */
        free(reply);
    } else if (n > 0 && (strncmp(request, "stop\n", 5) == 0 ||
                         strncmp(request, "kill\n", 5) == 0)) {
        kill(k->pid, *request == 's' ? SIGTERM : SIGKILL);
        k->waiting = reallocate(k->waiting, (k->n + 1) * sizeof *k->waiting);
        k->waiting[k->n++] = fd;
        return;
    }
    close(fd);
}

static int keep(struct keeper *k)
{
    int status;
    char *text;

    for (;;) {
        struct pollfd pfd[] = {{.fd = k->listener, .events = POLLIN},
                               {.fd = k->signals, .events = POLLIN}};
        struct signalfd_siginfo s;

        if (poll(pfd, 2, -1) < 0 && errno != EINTR)
            break;
        if (pfd[1].revents && read(k->signals, &s, sizeof s) == sizeof s &&
            s.ssi_signo != SIGCHLD && s.ssi_signo != SIGINT)   /* ^C: it got one too */
            kill(k->pid, (int)s.ssi_signo);
        if (waitpid(k->pid, &status, WNOHANG) == k->pid)
            break;
        if (pfd[0].revents) {
            int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0)
                answer(k, fd);
        }
    }
    status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    unlink(registry_path(k->name, "sock"));
    text = format("%d\n", status);
    for (size_t i = 0; i < k->n; i++)
        if (write(k->waiting[i], text, strlen(text)) < 0)
            continue;
    return status;
}

/* Into the background: a session of its own, the console into the log. */
static void detach_to(int out)
{
    int null = open("/dev/null", O_RDONLY);

    if (null < 0)
        fail(EXIT_TOOL, "cannot open /dev/null: %s", strerror(errno));
    setsid();
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    close(null);
    close(out);
}

char *registry_name(const char *image)
{
    const char *base = strrchr(image, '/');
    char *stem = format("%s", base ? base + 1 : image), *name;

    stem[strcspn(stem, ".")] = 0;
    name = format("%.32s-%ld", *stem ? stem : "image", (long)getpid());
    free(stem);
    return name;
}

int registry_run(const char *name, const char *image, const char *mode, bool detach,
                 void (*exec_tender)(void *), void (*let_go)(void *), void *ctx)
{
    struct keeper k = {.image = realpath(image, NULL), .mode = mode};
    sigset_t set;
    pid_t pid;

    if (!k.image)
        fail(EXIT_IMAGE, "cannot run %s: %s", image, strerror(errno));
    registry_check_name(name);
    k.name = name;
    k.listener = listen_on(name);
    if (detach) {
        /* Begun before the name is told: whoever hears it may look at once. */
        const char *log = registry_path(name, "log");
        int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

        if (out < 0) {
            unlink(registry_path(name, "sock"));
            fail(EXIT_TOOL, "cannot write the log %s: %s", log, strerror(errno));
        }
        fflush(stdout);
        pid = fork();
        if (pid < 0)
            fail(EXIT_TOOL, "cannot go into the background: %s", strerror(errno));
        if (pid > 0) {
            printf("%s\n", name);
            return 0;
        }
        detach_to(out);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    k.signals = signalfd(-1, &set, SFD_CLOEXEC);
    if (k.signals < 0)
        fail(EXIT_TOOL, "cannot wait for the instance: %s", strerror(errno));
    clock_gettime(CLOCK_MONOTONIC, &k.started);
    k.pid = fork();
    if (k.pid < 0)
        fail(EXIT_TOOL, "cannot start a process: %s", strerror(errno));
    if (k.pid == 0) {
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
        exec_tender(ctx);
    }
    let_go(ctx);
    return keep(&k);
}

/* --- the commands --- */

static const char ps_help[] =
"usage: kindling ps\n"
"\n"
"Lists the instances of this user that have a name: those that were started by\n"
"`kindling run` with -d or --name.\n";

int ps_main(int argc, char **argv)
{
    size_t n;
    char **name;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(ps_help, stdout);
        return 0;
    }
    if (argc > 1)
        fail(EXIT_TOOL, "cannot list %s: see `kindling ps --help`", argv[1]);
    name = list_directory(directory(), &n);
    printf("%-20s %8s %-8s %9s  %s\n", "NAME", "PID", "ON", "SECONDS", "IMAGE");
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(name[i]);
        char *line, on[16], *image;
        long pid;
        long long seconds;
        int fd, at = 0;

        if (len < 6 || strcmp(name[i] + len - 5, ".sock") != 0)
            continue;
        name[i][len - 5] = 0;
        fd = call(name[i]);
        line = fd >= 0 ? ask(fd, "status\n", STATUS_MS) : NULL;
        if (line && sscanf(line, "%ld %15s %lld %n", &pid, on, &seconds, &at) >= 3) {
            image = line + at;
            printf("%-20s %8ld %-8s %9lld  %s\n", name[i], pid, on, seconds, image);
        }
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

static const char stop_help[] =
"usage: kindling stop [--timeout SECONDS] NAME...\n"
"\n"
"Asks instances to end, as init:stop/0 does, and waits for it. One that has not\n"
"ended after 10 seconds, or --timeout, is killed.\n";

int stop_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c, seconds = STOP_SECONDS, missing = 0;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        if (c == 'h') {
            fputs(stop_help, stdout);
            return 0;
        }
        if (c != 't')
            fail(EXIT_TOOL, "cannot stop: see `kindling stop --help`");
        seconds = (int)parse_seconds("--timeout", optarg);
    }
    if (optind == argc)
        fail(EXIT_TOOL, "cannot stop: name an instance; see `kindling ps`");
    for (; optind < argc; optind++) {
        const char *name = argv[optind];
        int fd;

        registry_check_name(name);
        fd = call(name);
        if (fd < 0) {
            fprintf(stderr, "kindling: cannot stop %s: no instance of that name runs\n", name);
            missing = EXIT_TOOL;
            continue;
        }
        if (!ask(fd, "stop\n", seconds * 1000)) {
            int again = call(name);

            if (again >= 0 && ask(again, "kill\n", 10000))
                fprintf(stderr, "kindling: %s did not end within %d s and was killed\n",
                        name, seconds);
            if (again >= 0)
                close(again);
        }
        close(fd);
    }
    return missing;
}

static const char logs_help[] =
"usage: kindling logs [-f] NAME\n"
"\n"
"Prints the console of an instance that runs, or ran, in the background.\n"
"\n"
"  -f, --follow     go on until it ends\n";

int logs_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"follow", no_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool follow = false, last = false;
    char part[16384];
    ssize_t n;
    int c, fd;

    while ((c = getopt_long(argc, argv, "fh", known, NULL)) >= 0) {
        switch (c) {
        case 'f': follow = true; break;
        case 'h': fputs(logs_help, stdout); return 0;
        default: fail(EXIT_TOOL, "cannot show logs: see `kindling logs --help`");
        }
    }
    if (optind != argc - 1)
        fail(EXIT_TOOL, "cannot show logs: name one instance; see `kindling ps`");
    registry_check_name(argv[optind]);
    fd = open(registry_path(argv[optind], "log"), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(EXIT_TOOL, "cannot show the log of %s: %s", argv[optind],
             errno == ENOENT ? "no instance of that name ran in the background"
                             : strerror(errno));
    for (;;) {
        while ((n = read(fd, part, sizeof part)) > 0)
            for (ssize_t at = 0, done; at < n; at += done)
                if ((done = write(1, part + at, (size_t)(n - at))) <= 0)
                    return EXIT_TOOL;
        if (n < 0)
            fail(EXIT_TOOL, "cannot read the log of %s: %s", argv[optind], strerror(errno));
        if (!follow || last)
            return 0;
        /* What it wrote before it ended is read once more. */
        c = call(argv[optind]);
        last = c < 0;
        if (c >= 0)
            close(c);
        usleep(last ? 0 : 100000);
    }
}
