/*
 * process.c - an instance as a Linux process, for where there is no KVM.
 *
 * Two processes: the instance, which has nothing mapped but itself and the
 * gate's page and may make a handful of system calls, from that page only; and
 * its parent, which passes signals on and tells how it ended. They share the
 * window.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stub.h"
#include "tender.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define RW (PROT_READ | PROT_WRITE)

static void *map(const struct tender *t, uint64_t va, uint64_t bytes, int prot,
                 int flags, int fd, uint64_t offset)
{
    void *p = mmap((void *)va, bytes, prot, flags | MAP_FIXED_NOREPLACE, fd,
                   (off_t)offset);

    if (p == MAP_FAILED || (uint64_t)p != va)
        die(EXIT_TOOL, "cannot map %#llx bytes at %#llx for %s: %s",
            (unsigned long long)bytes, (unsigned long long)va, t->opt.image_path,
            strerror(p == MAP_FAILED ? errno : EEXIST));
    return p;
}

static void map_segment(const struct tender *t, const struct segment *s)
{
    uint64_t file = round_up(s->file_bytes, 4096);
    int prot = (s->flags & PF_R ? PROT_READ : 0) | (s->flags & PF_W ? PROT_WRITE : 0) |
               (s->flags & PF_X ? PROT_EXEC : 0);

    if (file > 0) {
        map(t, s->va, file, prot, MAP_PRIVATE, t->image.fd, s->offset);
        if (prot & PROT_WRITE)
            memset((char *)s->va + s->file_bytes, 0, file - s->file_bytes);
    }
    if (s->mem_bytes > file)
        map(t, s->va + file, s->mem_bytes - file, prot, ANON, -1, 0);
}

static void map_guest(struct tender *t)
{
    uint64_t base = t->image.base, arena = base + GUEST_ARENA;
    uint64_t code = t->image.header.code_bytes;
    uint8_t *gate;
    void *info;

    /* The arena absent, then what the image has of it on top. */
    map(t, arena, GUEST_ARENA_SIZE, PROT_NONE, ANON, -1, 0);
    for (int i = 0; i < t->image.segs; i++) {
        const struct segment *s = &t->image.seg[i];

        if (s->va >= arena)
            munmap((void *)s->va, s->mem_bytes);
        map_segment(t, s);
    }
    if (t->opt.emit_fd >= 0 && t->image.shim.file_bytes > 0)
        map_segment(t, &t->image.shim);
    if (t->opt.net_fd >= 0)
        map(t, base + GUEST_NET, GUEST_NET_SIZE, RW, MAP_SHARED, t->opt.net_fd, 0);
    map(t, base + GUEST_STACK, GUEST_STACK_SIZE, RW, ANON, -1, 0);
    map(t, base + GUEST_SIGSTACK, GUEST_SIGSTACK_SIZE, RW, ANON, -1, 0);
    if (code_at(t) - base < GUEST_CODE_X && code_at(t) - base + code > GUEST_CODE_X)
        die(EXIT_TOOL, "cannot build: the image has too much code already");
    if (code > 0) {
        int fd = memfd_create("code", MFD_CLOEXEC);

        if (fd < 0 || ftruncate(fd, (off_t)code) < 0)
            die(EXIT_TOOL, "cannot make the code window: %s", strerror(errno));
        map(t, code_at(t), code, PROT_NONE, MAP_SHARED, fd, 0);
        map(t, base + GUEST_CODE_W, code, PROT_NONE, MAP_SHARED, fd, 0);
    }
    gate = map(t, base + GUEST_GATE, GUEST_GATE_SIZE, RW, ANON, -1, 0);
    memcpy(gate, __start_gatestub, (size_t)(__stop_gatestub - __start_gatestub));
    if (mprotect(gate, GUEST_GATE_SIZE, PROT_READ | PROT_EXEC) < 0)
        die(EXIT_TOOL, "cannot make the gate: %s", strerror(errno));
    info = map(t, base + GUEST_INFO, t->info_bytes, RW, ANON, -1, 0);
    fill_info(t, (struct guest_info *)t->info,
              base + GUEST_GATE + (uint64_t)((char *)stub_gate - __start_gatestub));
    memcpy(info, t->info, t->info_bytes);
    if (mprotect(info, t->info_bytes, PROT_READ) < 0)
        die(EXIT_TOOL, "cannot make the arguments read-only: %s", strerror(errno));
}

static struct filter *make_filter(const struct tender *t)
{
    uint64_t base = t->image.base, code = t->image.header.code_bytes;
    struct filter *f = filter_new(base + GUEST_GATE);
    const struct cond range = {0, base + GUEST_ARENA,
                               base + GUEST_ARENA + GUEST_ARENA_SIZE - 1};
    const struct cond size = {1, 0, GUEST_ARENA_SIZE - 1};

    filter_allow(f, SYS_ppoll, 0, NULL);
    filter_allow(f, SYS_write, 1, (struct cond[]){{0, 1, 2}});
    filter_allow(f, SYS_read, 1, (struct cond[]){COND_EQ(0, 0)});
    filter_allow(f, SYS_read, 1, (struct cond[]){COND_EQ(0, STUB_EVENT_FD)});
    filter_allow(f, SYS_mprotect, 3, (struct cond[]){range, size, COND_EQ(2, RW)});
    filter_allow(f, SYS_madvise, 3,
                 (struct cond[]){range, size, COND_EQ(2, MADV_DONTNEED)});
    if (t->opt.emit_fd >= 0)
        filter_allow(f, SYS_write, 1, (struct cond[]){COND_EQ(0, STUB_EMIT_FD)});
    if (t->opt.net_fd >= 0) {
        filter_allow(f, SYS_write, 1, (struct cond[]){COND_EQ(0, STUB_KICK_FD)});
        filter_allow(f, SYS_read, 1, (struct cond[]){COND_EQ(0, STUB_WAKE_FD)});
    }
    if (code > 0) {
        filter_allow(f, SYS_mprotect, 3, (struct cond[]){
            COND_EQ(0, code_at(t)), COND_EQ(1, code),
            COND_EQ(2, PROT_READ | PROT_EXEC)});
        filter_allow(f, SYS_mprotect, 3, (struct cond[]){
            COND_EQ(0, base + GUEST_CODE_W), COND_EQ(1, code), COND_EQ(2, RW)});
    }
    filter_allow(f, SYS_exit_group, 0, NULL);
    return f;
}

/* Faults come to the stub, on a stack of their own; the rest is the parent's. */
static void set_signals(const struct tender *t)
{
    uint64_t base = t->image.base;
    stack_t ss = {.ss_sp = (void *)(base + GUEST_SIGSTACK),
                  .ss_size = GUEST_SIGSTACK_SIZE};
    /* The kernel's own structure: musl would add a restorer of its own. */
    struct {
        uint64_t handler, flags, restorer, mask;
    } sa = {
        base + GUEST_GATE + (uint64_t)((char *)stub_signal - __start_gatestub),
        SA_SIGINFO | SA_ONSTACK | 0x04000000, base + GUEST_GATE, ~(uint64_t)0,
    }, ignore = {.handler = (uint64_t)SIG_IGN};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGQUIT};
    sigset_t none;

    if (sigaltstack(&ss, NULL) < 0)
        die(EXIT_TOOL, "cannot set the signal stack: %s", strerror(errno));
    for (unsigned i = 0; i < sizeof faults / sizeof *faults; i++)
        if (syscall(SYS_rt_sigaction, faults[i], &sa, NULL, 8) < 0)
            die(EXIT_TOOL, "cannot catch faults: %s", strerror(errno));
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++)
        syscall(SYS_rt_sigaction, ignored[i], &ignore, NULL, 8);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The instance has these at the numbers of stub.h, and the console. */
static void set_descriptors(const struct tender *t, int event)
{
    const struct {
        int from, to;
    } fd[] = {
        {t->opt.emit_fd, STUB_EMIT_FD},
        {event, STUB_EVENT_FD},
        {t->opt.kick_fd, STUB_KICK_FD},
        {t->opt.wake_fd, STUB_WAKE_FD},
    };
    enum { N = sizeof fd / sizeof *fd };
    int safe[N];

    /* First out of the way of the numbers that are wanted. */
    for (int i = 0; i < N; i++)
        safe[i] = fd[i].from >= 0 ? fcntl(fd[i].from, F_DUPFD, 16) : -1;
    for (int i = 0; i < N; i++) {
        if (fd[i].from < 0)
            close(fd[i].to);
        else if (safe[i] < 0 || dup2(safe[i], fd[i].to) < 0)
            die(EXIT_TOOL, "cannot pass descriptors: %s", strerror(errno));
    }
    if (syscall(SYS_close_range, STUB_WAKE_FD + 1, ~0u, 0) < 0)
        for (int i = STUB_WAKE_FD + 1; i < 1024; i++)
            close(i);
}

/* The limit counts pages that may be written, at the moment they become so. */
static void limit_memory(const struct tender *t)
{
    uint64_t now = t->image.data_bytes + GUEST_STACK_SIZE + GUEST_SIGSTACK_SIZE +
                   t->info_bytes + (4 << 20);
    struct rlimit lim;

    lim.rlim_cur = lim.rlim_max = now + t->opt.mem_bytes;
    if (setrlimit(RLIMIT_DATA, &lim) < 0)
        die(EXIT_TOOL, "cannot limit memory: %s", strerror(errno));
}

/* Everything mapped that is not the guest's. */
static void list_loader(const struct tender *t, struct stub_start *s)
{
    uint64_t base = t->image.base;
    uint64_t end = base + GUEST_ARENA + GUEST_ARENA_SIZE;
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long long from, to;
    char line[512];

    if (!f)
        die(EXIT_TOOL, "cannot read /proc/self/maps: %s", strerror(errno));
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%llx-%llx", &from, &to) != 2)
            continue;
        if ((from >= base && to <= end) || from >> 63)
            continue;
        if (s->unmaps == sizeof s->unmap / sizeof *s->unmap)
            die(EXIT_TOOL, "cannot leave the loader: too many mappings");
        s->unmap[s->unmaps++] = (struct stub_unmap){from, to - from};
    }
    fclose(f);
}

static _Noreturn void become_guest(struct tender *t, int event, pid_t tender)
{
    uint64_t base = t->image.base, top = base + GUEST_STACK + GUEST_STACK_SIZE;
    struct sock_fprog prog;
    struct stub_start *s;
    uint64_t bytes, at;
    void (*leave)(struct stub_start *, uint64_t) =
        (void (*)(struct stub_start *, uint64_t))(base + GUEST_GATE +
            (uint64_t)((char *)stub_leave - __start_gatestub));

    prctl(PR_SET_NAME, "ling", 0, 0, 0);
    map_guest(t);
    if (t->opt.go_fd >= 0) {
        void *info = (void *)(base + GUEST_INFO);

        wait_to_go(t);
        mprotect(info, t->info_bytes, RW);
        memcpy(info, t->info, sizeof(struct guest_info));
        mprotect(info, t->info_bytes, PROT_READ);
    }
    set_signals(t);
    set_descriptors(t, event);
    drop_privileges();
    /* Whoever changes who he is loses this; and the tender may be gone already. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != tender)
        _exit(EXIT_TOOL);
    limit_memory(t);
    filter_program(make_filter(t), &prog);
    bytes = sizeof *s + prog.len * sizeof *prog.filter;
    at = (top - bytes - 256) & ~(uint64_t)4095;
    s = (struct stub_start *)at;
    memcpy(s + 1, prog.filter, prog.len * sizeof *prog.filter);
    s->filter = s + 1;
    s->filter_n = prog.len;
    s->entry = t->image.entry;
    s->stack = top;
    s->info = base + GUEST_INFO;
    list_loader(t, s);
    /* From here on the guest's stack, below what stub_leave() reads. */
    __asm__ volatile("movq %0, %%rsp\n\tcall *%1"
                     :
                     : "r"(at - 256), "r"(leave), "D"(s), "S"(bytes)
                     : "memory");
    __builtin_unreachable();
}

static void tell(struct tender *t, int event)
{
    uint64_t one = 1;

    t->window->terminate++;
    if (write(event, &one, sizeof one) < 0)
        return;     /* it is readable already */
}

static struct outcome wait_guest(struct tender *t, pid_t pid, int event)
{
    struct outcome o = {0};
    int status, told = 0;
    sigset_t child;

    /* SIGCHLD is blocked too, so that it can't slip by before ppoll. */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (;;) {
        pid_t r = waitpid(pid, &status, WNOHANG);

        if (r == pid)
            break;
        if (r < 0 && errno != EINTR)
            die(EXIT_TOOL, "cannot wait for the instance: %s", strerror(errno));
        ppoll(NULL, 0, NULL, &wait_signals);
        while (told < signals_seen) {
            if (++told == 1)
                tell(t, event);
            else {
                kill(pid, SIGKILL);
                o.killed = true;
            }
        }
    }
    if (WIFEXITED(status)) {
        o.status = WEXITSTATUS(status);
        o.kind = t->window->exit_kind;
        if (o.kind > GUEST_EXIT_START)
            o.kind = GUEST_EXIT_NONE;
        if (o.kind == GUEST_EXIT_FAULT)
            o.fault = t->window->fault;
    } else if (o.killed) {
        o.status = 128 + SIGTERM;
    } else if (WTERMSIG(status) == SIGSYS) {
        o.status = EXIT_FAULT;
        o.kind = GUEST_EXIT_FAULT;
        o.detail = "it made a system call, which is not allowed";
    } else if (WTERMSIG(status) == SIGKILL) {
        o.status = EXIT_NO_MEM;
        o.kind = GUEST_EXIT_NO_MEMORY;
        o.detail = "killed by the host, most likely for want of memory";
    } else {
        o.status = EXIT_FAULT;
        o.kind = GUEST_EXIT_FAULT;
        o.detail = strsignal(WTERMSIG(status));
    }
    return o;
}

static void on_child(int sig)
{
    (void)sig;
}

int run_process(struct tender *t)
{
    uint64_t base = t->image.base;
    struct sigaction sa = {.sa_handler = on_child};
    struct outcome o;
    sigset_t child;
    int event;
    pid_t pid, tender;

    t->mode = "process";
    if (base != GUEST_BASE)
        die(EXIT_IMAGE, "cannot run %s as a process: it is built for the base %#llx",
            t->opt.image_path, (unsigned long long)base);
    if (!(getauxval(AT_HWCAP2) & 2))
        die(EXIT_TOOL, "cannot run %s as a process: Linux 5.9 or later is needed "
            "(FSGSBASE)", t->opt.image_path);
    t->tsc_hz = host_tsc_hz();
    t->window = map(t, base + GUEST_WINDOW, GUEST_WINDOW_SIZE, RW,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0)
        die(EXIT_TOOL, "cannot make an eventfd: %s", strerror(errno));
    fill_window(t);
    raw_terminal(t);
    catch_signals();
    sigaction(SIGCHLD, &sa, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    sigdelset(&wait_signals, SIGCHLD);
    t->ran_tsc = guest_tsc();
    tender = getpid();
    pid = fork();
    if (pid < 0)
        die(EXIT_TOOL, "cannot start a process: %s", strerror(errno));
    if (pid == 0)
        become_guest(t, event, tender);
    o = wait_guest(t, pid, event);
    return report(t, &o);
}
