/*
 * syscall_arch.h - takes the place of musl's file of this name (-iquote is
 * searched before musl's own -I): each system call of the C library becomes a
 * call of one C function, bare_syscall() in libc.c.
 */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

long bare_syscall(long n, long a, long b, long c, long d, long e, long f);

static inline long __syscall0(long n)
{
    return bare_syscall(n, 0, 0, 0, 0, 0, 0);
}
static inline long __syscall1(long n, long a)
{
    return bare_syscall(n, a, 0, 0, 0, 0, 0);
}
static inline long __syscall2(long n, long a, long b)
{
    return bare_syscall(n, a, b, 0, 0, 0, 0);
}
static inline long __syscall3(long n, long a, long b, long c)
{
    return bare_syscall(n, a, b, c, 0, 0, 0);
}
static inline long __syscall4(long n, long a, long b, long c, long d)
{
    return bare_syscall(n, a, b, c, d, 0, 0);
}
static inline long __syscall5(long n, long a, long b, long c, long d, long e)
{
    return bare_syscall(n, a, b, c, d, e, 0);
}
static inline long __syscall6(long n, long a, long b, long c, long d, long e,
                              long f)
{
    return bare_syscall(n, a, b, c, d, e, f);
}

#define IPC_64 0
