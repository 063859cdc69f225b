/*
 * stub.c - the gate of a process. Runs in the guest's gate page: no calls out,
 * no constants in memory, no thread-local data (fs is the guest's). tender.mk
 * fails the build if the section has a relocation.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>

#include "stub.h"

#define STUB __attribute__((section("gatestub"), used, noinline, no_stack_protector))
#define INLINE static inline __attribute__((always_inline))

#define INFO ((const struct guest_info *)(GUEST_BASE + GUEST_INFO))
#define WINDOW ((volatile struct guest_window *)(GUEST_BASE + GUEST_WINDOW))

INLINE long sys(long n, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;

    __asm__ volatile("syscall"
                     : "+a"(n)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return n;
}

INLINE long write_all(long fd, uint64_t p, uint64_t n)
{
    while (n > 0) {
        long r = sys(SYS_write, fd, (long)p, (long)n, 0, 0);

        if (r == -EINTR)
            continue;
        if (r == -EAGAIN) {
            struct pollfd pfd = {.fd = (int)fd, .events = POLLOUT};

            sys(SYS_ppoll, (long)&pfd, 1, 0, 0, 8);
            continue;
        }
        if (r <= 0)
            return r ? r : -EIO;
        p += (uint64_t)r;
        n -= (uint64_t)r;
    }
    return 0;
}

INLINE long read_input(uint64_t p, uint64_t n)
{
    struct pollfd pfd = {.fd = 0, .events = POLLIN};
    struct timespec now = {0, 0};
    long r = sys(SYS_ppoll, (long)&pfd, 1, (long)&now, 0, 8);

    if (r <= 0)
        return r == 0 || r == -EINTR ? -EAGAIN : r;
    return sys(SYS_read, 0, (long)p, (long)n, 0, 0);
}

INLINE long wait_until(uint64_t deadline, uint64_t what)
{
    uint64_t now = guest_mono_ns(&INFO->clock);
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
    volatile struct pollfd pfd[3];
    volatile uint64_t count = 1;
    long r, is = 0;

    pfd[0].fd = STUB_EVENT_FD;
    pfd[0].events = POLLIN;
    pfd[0].revents = 0;
    pfd[1].fd = what & WAIT_INPUT ? 0 : -1;
    pfd[1].events = POLLIN;
    pfd[1].revents = 0;
    pfd[2].fd = what & WAIT_NET && INFO->flags & GUEST_HAS_NET ? STUB_WAKE_FD : -1;
    pfd[2].events = POLLIN;
    pfd[2].revents = 0;
    if (what & WAIT_KICK && INFO->flags & GUEST_HAS_NET)
        sys(SYS_write, STUB_KICK_FD, (long)&count, 8, 0, 0);
    r = sys(SYS_ppoll, (long)pfd, 3, deadline == UINT64_MAX ? 0 : (long)&t, 0, 8);
    if (r <= 0)
        return r == -EINTR ? 0 : r;
    if (pfd[0].revents) {
        sys(SYS_read, STUB_EVENT_FD, (long)&count, 8, 0, 0);
        is |= WAIT_SIGNAL;
    }
    if (pfd[1].revents)
        is |= WAIT_INPUT;
    if (pfd[2].revents) {
        sys(SYS_read, STUB_WAKE_FD, (long)&count, 8, 0, 0);
        is |= WAIT_NET;
    }
    return is;
}

/* The filter kills for what is outside; a guest that errs is told first. */
INLINE int in_arena(uint64_t va, uint64_t n, uint64_t unit)
{
    const uint64_t arena = GUEST_BASE + GUEST_ARENA;

    return !((va | n) & (unit - 1)) && va >= arena && n <= GUEST_ARENA_SIZE &&
           va - arena <= GUEST_ARENA_SIZE - n;
}

STUB long stub_gate(long op, uint64_t a, uint64_t b, uint64_t c)
{
    if (op == GATE_WRITE)
        return a == 1 || a == 2 ? write_all((long)a, b, c) : -EBADF;
    if (op == GATE_WAIT)
        return wait_until(a, b);
    if (op == GATE_READ)
        return read_input(b, c);
    if (op == GATE_MEMORY && !in_arena(a, b, GUEST_CHUNK))
        return -EINVAL;
    if (op == GATE_RELEASE && !in_arena(a, b, 4096))
        return -EINVAL;
    if (op == GATE_MEMORY)
        return sys(SYS_mprotect, (long)a, (long)b, PROT_READ | PROT_WRITE, 0, 0);
    if (op == GATE_RELEASE)
        return sys(SYS_madvise, (long)a, (long)b, MADV_DONTNEED, 0, 0);
    if (op == GATE_EMIT && INFO->flags & GUEST_BUILDING)
        return write_all(STUB_EMIT_FD, a, b);
    if (op == GATE_CODE) {
        uint64_t n = INFO->code_bytes;
        long r;

        if (n == 0)
            return -EPERM;
        r = sys(SYS_mprotect,
                (long)INFO->code_at, (long)n,
                PROT_READ | PROT_EXEC, 0, 0);
        if (r < 0)
            return r;
        return sys(SYS_mprotect, GUEST_BASE + GUEST_CODE_W, (long)n,
                   PROT_READ | PROT_WRITE, 0, 0);
    }
    if (op == GATE_EXIT) {
        WINDOW->exit_kind = (uint32_t)b;
        WINDOW->exit_status = (uint32_t)a & 255;
        sys(SYS_exit_group, (long)a & 255, 0, 0, 0, 0);
    }
    return -ENOSYS;
}

/* A fault: the record goes into the window, which our parent sees. */
STUB void stub_signal(int sig, void *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *g = uc->uc_mcontext.gregs;
    volatile struct guest_fault *f = &WINDOW->fault;

    (void)sig;
    f->vector = (uint64_t)g[REG_TRAPNO];
    f->error = (uint64_t)g[REG_ERR];
    f->rip = (uint64_t)g[REG_RIP];
    f->rsp = (uint64_t)g[REG_RSP];
    f->address = (uint64_t)g[REG_CR2];
    f->regs[0] = (uint64_t)g[REG_RAX];
    f->regs[1] = (uint64_t)g[REG_RCX];
    f->regs[2] = (uint64_t)g[REG_RDX];
    f->regs[3] = (uint64_t)g[REG_RBX];
    f->regs[4] = (uint64_t)g[REG_RSP];
    f->regs[5] = (uint64_t)g[REG_RBP];
    f->regs[6] = (uint64_t)g[REG_RSI];
    f->regs[7] = (uint64_t)g[REG_RDI];
    f->regs[8] = (uint64_t)g[REG_R8];
    f->regs[9] = (uint64_t)g[REG_R9];
    f->regs[10] = (uint64_t)g[REG_R10];
    f->regs[11] = (uint64_t)g[REG_R11];
    f->regs[12] = (uint64_t)g[REG_R12];
    f->regs[13] = (uint64_t)g[REG_R13];
    f->regs[14] = (uint64_t)g[REG_R14];
    f->regs[15] = (uint64_t)g[REG_R15];
    WINDOW->exit_kind = GUEST_EXIT_FAULT;
    sys(SYS_exit_group, EXIT_FAULT, 0, 0, 0, 0);
}

/*
 * The last of the loader: unmap it, put the filter on, wipe what we were told,
 * enter the guest. A failure kills: nobody is left who could say why.
 */
STUB void stub_leave(struct stub_start *s, uint64_t bytes)
{
    struct sock_fprog prog = {(unsigned short)s->filter_n, s->filter};
    uint64_t entry = s->entry, stack = s->stack, info = s->info;

    for (uint64_t i = 0; i < s->unmaps; i++)
        sys(SYS_munmap, (long)s->unmap[i].start, (long)s->unmap[i].bytes, 0, 0, 0);
    if (sys(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&prog, 0, 0) < 0)
        sys(SYS_exit_group, EXIT_TOOL, 0, 0, 0, 0);
    {
        void *p = s;
        uint64_t n = bytes;

        __asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(0) : "memory");
    }
    __asm__ volatile("movq %1, %%rsp\n\tjmp *%0"
                     :
                     : "r"(entry), "r"(stack), "D"(info)
                     : "memory");
    __builtin_unreachable();
}
