/*
 * qemu.c - run an image under QEMU's microvm, through its PVH note and shim.
 *
 * The console is the first serial port; over the second we ask for the end and
 * learn how it came (abi/shim.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "abi/shim.h"
#include "kindling.h"
#include "switch.h"
#include "tender.h"

#define QEMU "qemu-system-x86_64"

/* Beside the arena: stack, window, tables, rounding, what the firmware takes. */
#define MACHINE_BYTES (8u << 20)

static int boot_module(struct tender *t, const void *info, size_t n, bool network)
{
    struct shim_boot boot = {.magic = SHIM_BOOT_MAGIC, .info_bytes = n};
    struct timespec ts;
    int fd = memfd_create("boot", 0);

    /* t->info: our copy, with the clock filled in. */
    t->info = malloc(n);
    if (!t->info)
        fail(EXIT_TOOL, "cannot pass the arguments: out of memory");
    memcpy(t->info, info, n);
    clock_gettime(CLOCK_REALTIME, &ts);
    ((struct guest_info *)t->info)->clock = (struct guest_clock){
        .tsc_hz = t->tsc_hz,
        .ns_mul = guest_ns_mul(t->tsc_hz),
        .wall0 = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec,
    };
    ((struct guest_info *)t->info)->mem_bytes = t->opt.mem_bytes;
    if (!(t->image.header.flags & IMAGE_SHELL))
        ((struct guest_info *)t->info)->flags &= ~(uint32_t)GUEST_TTY_IN;
    if (network)
        ((struct guest_info *)t->info)->flags |= GUEST_HAS_NET;
    if (getrandom(boot.seed, sizeof boot.seed, 0) != sizeof boot.seed)
        fail(EXIT_TOOL, "cannot start %s: no entropy", t->opt.image_path);
    if (fd < 0 || write(fd, &boot, sizeof boot) != sizeof boot ||
        write(fd, t->info, n) != (ssize_t)n)
        fail(EXIT_TOOL, "cannot pass the arguments: %s", strerror(errno));
    return fd;
}

static _Noreturn void exec_qemu(const struct run_options *o, const struct tender *t,
                                int module, int control)
{
    uint64_t bytes = t->image.pa_end + t->opt.mem_bytes + t->image.header.code_bytes +
                     MACHINE_BYTES + (o->network ? GUEST_NET_SIZE : 0);
    bool kvm = !o->tcg && access("/dev/kvm", R_OK | W_OK) == 0;
    const char *argv[] = {
        QEMU, "-M",
        "microvm,acpi=off,rtc=off,pic=off,pit=off,x-option-roms=off,isa-serial=on,"
        "auto-kernel-cmdline=off",
        "-accel", kvm ? "kvm" : "tcg", "-cpu", kvm ? "host,arch-capabilities=off" : "max",
        "-m", format("%lluM", (unsigned long long)(bytes >> 20) + 1),
        "-bios", "qboot.rom", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        "-chardev", format("socket,id=control,fd=%d", control),
        "-device", "isa-serial,chardev=control,iobase=0x2f8,irq=3",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        "-kernel", o->image, "-initrd", format("/proc/self/fd/%d", module),
        o->network ? "-global" : NULL, "virtio-mmio.force-legacy=off",
        "-netdev", o->network ? o->network->netdev : NULL,
        "-device", o->network ? network_card(o->network) : NULL, NULL,
    };
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    /*
     * The terminal's ^C is ours to pass on, so QEMU is in a group of its own.
     * A shell takes the whole terminal; other images get no input from one, as
     * QEMU would make it raw and ^C a byte like others.
     */
    setpgid(0, 0);
    if (isatty(0) && t->image.header.flags & IMAGE_SHELL) {
        signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(0, getpid());
        signal(SIGTTOU, SIG_DFL);
    } else if (isatty(0)) {
        int null = open("/dev/null", O_RDONLY);

        dup2(null, 0);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(QEMU, (char **)argv);
    _exit(EXIT_TOOL);
}

/*
 * What QEMU changes of a terminal, and cannot put back when it is killed. It is
 * killed at once, as the end it makes of a request puts a line on the console.
 */
struct console {
    struct termios modes;
    bool tty;
    int flags[2];
};

static void console_save(struct console *c)
{
    c->tty = tcgetattr(0, &c->modes) == 0;
    for (int fd = 0; fd < 2; fd++)
        c->flags[fd] = fcntl(fd, F_GETFL);
}

static void console_restore(const struct console *c)
{
    signal(SIGTTOU, SIG_IGN);
    if (c->tty) {
        tcsetpgrp(0, getpgrp());
        tcsetattr(0, TCSADRAIN, &c->modes);
    }
    for (int fd = 0; fd < 2; fd++)
        if (c->flags[fd] >= 0)
            fcntl(fd, F_SETFL, c->flags[fd]);
}

static void on_child(int sig)
{
    (void)sig;
}

static struct outcome wait_qemu(struct tender *t, pid_t pid, int control,
                                struct shim_record *record)
{
    struct outcome out = {.status = EXIT_TOOL, .kind = GUEST_EXIT_NONE};
    size_t got = 0;
    int told = 0, status;
    bool ended = false;

    while (!ended || got < sizeof *record) {
        struct pollfd pfd = {.fd = control, .events = POLLIN};

        if (ppoll(&pfd, 1, NULL, &wait_signals) > 0) {
            ssize_t n = read(control, (uint8_t *)record + got,
                             sizeof *record - got ? sizeof *record - got : 1);

            if (n <= 0)
                break;
            if (got < sizeof *record)
                got += (size_t)n;
        }
        while (told < signals_seen) {
            if (++told == 1) {
                if (write(control, &(char){SHIM_TERMINATE}, 1) != 1)
                    kill(pid, SIGKILL);
            } else {
                kill(pid, SIGKILL);
                out.killed = true;
            }
        }
        ended = got == sizeof *record;
    }
    t->ended_tsc = guest_tsc();
    /* The record is here: the guest waits a moment for this, then exits. */
    if (ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (got == sizeof *record && record->magic == SHIM_RECORD_MAGIC) {
        out.status = (int)(record->status & 255);
        out.kind = record->kind <= GUEST_EXIT_START ? record->kind : GUEST_EXIT_NONE;
        out.fault = record->fault;
    } else if (out.killed) {
        out.status = 128 + SIGTERM;
    } else {
        out.detail = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_TOOL
                         ? "cannot start " QEMU "; install it, or use --on process"
                         : "QEMU ended before the instance did";
    }
    return out;
}

int run_qemu(const struct run_options *o, const void *info, size_t n)
{
    static struct tender t;
    static struct guest_window window;
    struct shim_record record = {0};
    struct sigaction sa = {.sa_handler = on_child};
    struct console console;
    struct outcome out;
    char why[200];
    int control[2], module;
    pid_t pid;

    t.opt = (struct options){
        .image_path = o->image, .process = true, .boot_times = o->boot_times,
        .report_fd = o->report_fd, .emit_fd = -1, .go_fd = -1, .mem_bytes = o->mem_bytes,
        .start_tsc = o->start_tsc,
    };
    t.window = &window;
    t.mode = o->tcg ? "qemu-tcg" : "qemu";
    if (image_open(o->image, &t.image, why, sizeof why) < 0)
        fail(EXIT_IMAGE, "cannot run %s: %s", o->image, why);
    take_memory(&t);
    if (t.image.pa_end + t.opt.mem_bytes > (uint64_t)2900 << 20)
        fail(EXIT_TOOL, "cannot run %s under QEMU with %llu MiB: at most 2900 with the "
             "image; use --mem", o->image, (unsigned long long)t.opt.mem_bytes >> 20);
    t.tsc_hz = host_tsc_hz();
    module = boot_module(&t, info, n, o->network);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, control) < 0)
        fail(EXIT_TOOL, "cannot make a control line: %s", strerror(errno));
    catch_signals();
    console_save(&console);
    sigaction(SIGCHLD, &sa, NULL);
    t.ran_tsc = guest_tsc();
    pid = fork();
    if (pid < 0)
        fail(EXIT_TOOL, "cannot start QEMU: %s", strerror(errno));
    if (pid == 0) {
        close(control[0]);
        exec_qemu(o, &t, module, control[1]);
    }
    close(control[1]);
    out = wait_qemu(&t, pid, control[0], &record);
    console_restore(&console);
    /* The guest's time stamps, in ours. */
    for (int i = 0; i < MARKS; i++)
        window.mark[i] = record.mark[i] ? record.mark[i] + t.ended_tsc - record.tsc : 0;
    t.exits = record.exits;
    return report(&t, &out);
}
