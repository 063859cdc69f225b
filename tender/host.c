/*
 * host.c - what the tender takes from its host: time, entropy, the terminal,
 * signals; and giving up rights.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tender.h"

#define NOBODY 65534

volatile sig_atomic_t signals_seen;
sigset_t wait_signals;

static struct termios terminal;
static bool terminal_changed;

void die(int status, const char *fmt, ...)
{
    va_list ap;

    restore_terminal();
    fputs("kindling: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(status);
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/*
 * The kernel publishes the rate in the page of any perf event (a dummy one
 * needs no rights worth mentioning). Where that is forbidden, we measure.
 */
static uint64_t perf_tsc_hz(void)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof attr,
        .config = PERF_COUNT_SW_DUMMY,
        .exclude_kernel = 1,
    };
    struct perf_event_mmap_page *p;
    uint64_t hz = 0;
    int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

    if (fd < 0)
        return 0;
    p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        if (p->cap_user_time && p->time_mult)
            hz = (uint64_t)(((unsigned __int128)1000000000 << p->time_shift) /
                            p->time_mult);
        munmap(p, 4096);
    }
    close(fd);
    return hz;
}

uint64_t host_tsc_hz(void)
{
    uint64_t t0, c0, t, hz = perf_tsc_hz();

    if (hz)
        return hz;
    t0 = clock_ns(CLOCK_MONOTONIC_RAW);
    c0 = guest_tsc();
    do
        t = clock_ns(CLOCK_MONOTONIC_RAW);
    while (t < t0 + 2000000);
    return (uint64_t)((unsigned __int128)(guest_tsc() - c0) * 1000000000 / (t - t0));
}

static void set_clock(const struct tender *t, struct guest_info *gi)
{
    gi->clock.tsc_hz = t->tsc_hz;
    gi->clock.ns_mul = guest_ns_mul(t->tsc_hz);
    gi->clock.mono0 = 1;
    gi->clock.tsc0 = guest_tsc();
    gi->clock.wall0 = clock_ns(CLOCK_REALTIME);
}

void wait_to_go(struct tender *t)
{
    char byte = 'r';
    ssize_t n;

    if (write(t->opt.go_fd, &byte, 1) != 1)
        exit(0);
    do
        n = read(t->opt.go_fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        exit(0);
    t->opt.start_tsc = guest_tsc();
    set_clock(t, (struct guest_info *)t->info);
}

uint64_t code_at(const struct tender *t)
{
    return t->image.base + (t->opt.emit_fd >= 0 ? t->image.code_end : GUEST_CODE_X);
}

void fill_info(struct tender *t, struct guest_info *gi, uint64_t gate)
{
    gi->magic = GUEST_INFO_MAGIC;
    gi->version = GUEST_VERSION;
    gi->bytes = sizeof *gi;
    gi->gate = gate;
    gi->mem_bytes = t->opt.mem_bytes;
    gi->code_bytes = t->image.header.code_bytes;
    gi->code_at = code_at(t);
    gi->stack_bytes = GUEST_STACK_SIZE;
    gi->generation = 1;
    gi->flags &= GUEST_TTY_IN | GUEST_TTY_OUT |
                 (t->opt.emit_fd >= 0 ? GUEST_BAKE_KERNEL | GUEST_BAKE_APP |
                                        GUEST_BAKE_IDLE : 0);
    /* A process can't be told to go on from in there: it waits before. */
    if (t->opt.go_fd >= 0 && !t->opt.process && t->image.header.flags & IMAGE_BAKED)
        gi->flags |= GUEST_POOL;
    if (t->image.hot) {
        gi->hot_at = gi->strings_bytes;
        gi->hot_bytes = (uint32_t)t->image.header.hot_bytes;
        memcpy(t->info + sizeof *gi + gi->hot_at, t->image.hot, gi->hot_bytes);
    }
    if (t->opt.boot_times)
        gi->flags |= GUEST_BOOT_TIMES;
    if (t->opt.net_fd >= 0)
        gi->flags |= GUEST_HAS_NET;
    set_clock(t, gi);
    /* A builder gets neither time nor entropy: same input, same bytes. */
    if (t->opt.emit_fd >= 0) {
        gi->flags |= GUEST_BUILDING;
        gi->generation = 0;
        gi->clock.wall0 = 0;
    }
}

void fill_window(struct tender *t)
{
    uint8_t *seed = t->window->seed;
    size_t n = sizeof t->window->seed;

    if (t->opt.emit_fd < 0 && getrandom(seed, n, 0) != (ssize_t)n)
        die(EXIT_TOOL, "cannot start %s: no entropy: %s", t->opt.image_path,
            strerror(errno));
}

/* For good: whoever runs a stranger's image as root should not be root. */
void drop_privileges(void)
{
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
         setresuid(NOBODY, NOBODY, NOBODY) < 0))
        die(EXIT_TOOL, "cannot give up the rights of root: %s", strerror(errno));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        die(EXIT_TOOL, "cannot give up rights: %s", strerror(errno));
}

static void on_signal(int sig)
{
    (void)sig;
    signals_seen++;
}

void catch_signals(void)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigset_t set;
    static const int sigs[] = {SIGTERM, SIGINT, SIGHUP};

    sigemptyset(&set);
    for (unsigned i = 0; i < sizeof sigs / sizeof *sigs; i++) {
        sigaction(sigs[i], &sa, NULL);
        sigaddset(&set, sigs[i]);
    }
    /* A reader that went away is an error of write(), not our end. */
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, NULL);
    sigprocmask(SIG_BLOCK, &set, &wait_signals);
    for (unsigned i = 0; i < sizeof sigs / sizeof *sigs; i++)
        sigdelset(&wait_signals, sigs[i]);
}

/* The guest edits lines itself, so it gets the keys as they are pressed. */
void raw_terminal(struct tender *t)
{
    struct guest_info *gi = (struct guest_info *)t->info;
    struct termios raw;

    if (!(t->image.header.flags & IMAGE_SHELL))
        gi->flags &= ~(uint32_t)GUEST_TTY_IN;
    if (!(gi->flags & GUEST_TTY_IN) || tcgetattr(0, &terminal) < 0)
        return;
    raw = terminal;
    raw.c_iflag &= ~(tcflag_t)(ISTRIP | IXON | INLCR | IGNCR);
    raw.c_iflag |= ICRNL;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal_changed = tcsetattr(0, TCSANOW, &raw) == 0;
}

void restore_terminal(void)
{
    if (terminal_changed)
        tcsetattr(0, TCSANOW, &terminal);
    terminal_changed = false;
}

uint64_t page_faults(void)
{
    struct rusage ru;

    getrusage(RUSAGE_SELF, &ru);
    return (uint64_t)ru.ru_minflt + (uint64_t)ru.ru_majflt;
}

/* What an instance gets when neither image nor --mem says. */
#define DEFAULT_MEM ((uint64_t)256 << 20)

void take_memory(struct tender *t)
{
    const struct image *im = &t->image;
    uint64_t asked = t->opt.mem_bytes, needs = im->data_bytes + 3 * GUEST_CHUNK;

    if (!asked)
        asked = im->header.mem_default ? im->header.mem_default : DEFAULT_MEM;
    if (needs < im->header.mem_min)
        needs = im->header.mem_min;
    t->opt.mem_bytes = asked & ~(uint64_t)(GUEST_CHUNK - 1);
    if (t->opt.mem_bytes < needs)
        die(EXIT_TOOL, "cannot run %s in %llu MiB: it needs %llu; use --mem",
            t->opt.image_path, (unsigned long long)asked >> 20,
            (unsigned long long)(needs >> 20) + 1);
    /* What the image brings along counts; the rest is for it to ask for. */
    t->opt.mem_bytes -= round_up(im->data_bytes, GUEST_CHUNK);
}
