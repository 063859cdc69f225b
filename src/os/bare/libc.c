/*
 * libc.c - what the C library asks of a kernel, answered without one.
 *
 * Files are not here: the VM goes through fs/vfs.h. So a library that opens
 * one is told that it does not exist.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "os/bare/bare.h"
#include "os/os.h"

static long sys_mmap(size_t bytes, int prot, int flags, int fd)
{
    void *p;

    (void)prot;
    if (!(flags & MAP_ANONYMOUS) || (flags & MAP_FIXED) || fd != -1)
        return -ENODEV;
    p = mem_alloc(bytes, 4096);
    return p ? (long)p : -ENOMEM;
}

static long sys_writev(int fd, const struct iovec *v, int n)
{
    long total = 0;

    for (int i = 0; i < n; i++) {
        int64_t r = console_write(fd, v[i].iov_base, v[i].iov_len);

        if (r < 0)
            return total > 0 ? total : r;
        total += r;
    }
    return total;
}

static long sys_clock(clockid_t id, struct timespec *ts)
{
    uint64_t ns;

    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        ns = (uint64_t)os_wall_ns();
        break;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
        ns = os_cpu_ns();
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        ns = os_mono_ns();
        break;
    default:
        return -EINVAL;
    }
    ts->tv_sec = (time_t)(ns / 1000000000);
    ts->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

static long sys_sleep(clockid_t id, int absolute, const struct timespec *ts)
{
    uint64_t ns = (uint64_t)ts->tv_sec * 1000000000 + (uint64_t)ts->tv_nsec;

    if (!absolute)
        ns += os_mono_ns();
    else if (id == CLOCK_REALTIME)
        ns -= (uint64_t)os_wall_ns() - os_mono_ns();
    while (os_mono_ns() < ns)
        console_wait(ns, 0);
    return 0;
}

static long sys_ioctl(int fd, unsigned long request, struct winsize *ws)
{
    unsigned tty = fd == 0 ? GUEST_TTY_IN : GUEST_TTY_OUT;

    if (fd < 0 || fd > 2)
        return -EBADF;
    if (request != TIOCGWINSZ || !(guest_info->flags & tty))
        return -ENOTTY;
    *ws = (struct winsize){.ws_row = (unsigned short)guest_info->rows,
                           .ws_col = (unsigned short)guest_info->columns};
    return 0;
}

static long sys_uname(struct utsname *u)
{
    memset(u, 0, sizeof *u);
    strcpy(u->sysname, "ling");
    strcpy(u->nodename, "nohost");
    strcpy(u->release, "0");
    strcpy(u->version, "0");
    strcpy(u->machine, "x86_64");
    return 0;
}

static long sys_kill(int sig)
{
    if (sig == 0)
        return 0;
    console_flush();
    bare_exit(sig == SIGABRT ? EXIT_VM_BUG : 128 + sig, GUEST_EXIT_BUG);
}

/* Something new wants a kernel: say which call, once, so that it is looked at. */
static long unknown(long n)
{
    static uint8_t said[512 / 8];
    char line[] = "ling: the C library made system call ....\n";
    char *at = strchr(line, '.');

    if (n < 0 || n >= 512 || said[n / 8] & 1 << n % 8)
        return -ENOSYS;
    said[n / 8] |= (uint8_t)(1 << n % 8);
    for (int i = 3; i >= 0; i--, n /= 10)
        at[i] = n || i == 3 ? (char)('0' + n % 10) : ' ';
    os_console(line, sizeof line - 1);
    return -ENOSYS;
}

long bare_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    struct iovec iov;

    (void)f;
    switch (n) {
    case SYS_read:
        return os_fd_read((int)a, (void *)b, (size_t)c);
    case SYS_write:
        iov = (struct iovec){(void *)b, (size_t)c};
        return sys_writev((int)a, &iov, 1);
    case SYS_writev:
        return sys_writev((int)a, (const struct iovec *)b, (int)c);
    case SYS_mmap:
        return sys_mmap((size_t)b, (int)c, (int)d, (int)e);
    case SYS_munmap:
        mem_free((void *)a, (size_t)b);
        return 0;
    case SYS_mremap:
        return -ENOMEM;                 /* the caller copies */
    case SYS_brk:
        return 0;                       /* malloc falls back to mmap */
    case SYS_mprotect:
    case SYS_madvise:
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_sigaltstack:
    case SYS_sched_yield:
    case SYS_close:
    case SYS_getuid:
    case SYS_geteuid:
    case SYS_getgid:
    case SYS_getegid:
    case SYS_futex:                     /* one thread: nobody waits */
        return 0;
    case SYS_getpid:
    case SYS_gettid:
    case SYS_set_tid_address:
        return 1;
    case SYS_ioctl:
        return sys_ioctl((int)a, (unsigned long)b, (struct winsize *)c);
    case SYS_clock_gettime:
        return sys_clock((clockid_t)a, (struct timespec *)b);
    case SYS_nanosleep:
        return sys_sleep(CLOCK_MONOTONIC, 0, (const struct timespec *)a);
    case SYS_clock_nanosleep:
        return sys_sleep((clockid_t)a, (int)b & TIMER_ABSTIME,
                         (const struct timespec *)c);
    case SYS_getrandom:
        os_entropy((void *)a, (size_t)b);
        return b;
    case SYS_uname:
        return sys_uname((struct utsname *)a);
    case SYS_open:
    case SYS_openat:
    case SYS_stat:
    case SYS_lstat:
    case SYS_access:
    case SYS_readlink:
        return -ENOENT;
    case SYS_fstat:
    case SYS_lseek:
        return -ESPIPE;
    case SYS_fcntl:
        return a >= 0 && a <= 2 ? 0 : -EBADF;
    case SYS_kill:
        return sys_kill((int)b);
    case SYS_tkill:
        return sys_kill((int)b);
    case SYS_tgkill:
        return sys_kill((int)c);
    case SYS_exit:
    case SYS_exit_group:
        console_flush();
        bare_exit((int)a & 255, GUEST_EXIT_HALT);
    default:
        return unknown(n);
    }
}
