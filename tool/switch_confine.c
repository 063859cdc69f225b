/*
 * switch_confine.c - what the switch may still ask of Linux once it serves: its
 * descriptors, memory, new ports and connections. No programs, no processes, no
 * file to be written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "switch.h"
#include "tender.h"

void switch_confine(void)
{
    static const unsigned calls[] = {
        SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_read, SYS_readv, SYS_write,
        SYS_writev, SYS_close, SYS_accept4, SYS_recvmsg, SYS_recvfrom, SYS_sendmsg, SYS_sendto,
        SYS_shutdown, SYS_setsockopt, SYS_connect, SYS_memfd_create, SYS_ftruncate,
        SYS_eventfd2, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_getrandom,
        SYS_clock_gettime, SYS_flock, SYS_unlink, SYS_lseek, SYS_exit, SYS_exit_group,
        SYS_rt_sigreturn, SYS_restart_syscall,
    };
    struct filter *f = filter_new(0);
    struct sock_fprog prog;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        filter_allow(f, calls[i], 0, NULL);
    filter_allow(f, SYS_mmap, 1, (struct cond[]){COND_EQ(2, PROT_READ | PROT_WRITE)});
    filter_allow(f, SYS_mmap, 1, (struct cond[]){COND_EQ(2, PROT_NONE)});
    filter_allow(f, SYS_mprotect, 1, (struct cond[]){COND_EQ(2, PROT_READ | PROT_WRITE)});
    /* The host's resolver: /etc/resolv.conf, read anew, and a socket to it. */
    filter_allow(f, SYS_open, 1, (struct cond[]){COND_EQ(1, O_RDONLY | O_LARGEFILE)});
    filter_allow(f, SYS_socket, 1, (struct cond[]){COND_EQ(0, AF_INET)});
    filter_allow(f, SYS_socket, 1, (struct cond[]){COND_EQ(0, AF_INET6)});
    filter_allow(f, SYS_fcntl, 1, (struct cond[]){COND_EQ(1, F_ADD_SEALS)});
    filter_allow(f, SYS_fcntl, 1, (struct cond[]){COND_EQ(1, F_SETFD)});
    filter_allow(f, SYS_ioctl, 1, (struct cond[]){COND_EQ(1, TIOCGWINSZ)});
    filter_program(f, &prog);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        fail(EXIT_TOOL, "the switch cannot confine itself: %s", strerror(errno));
}
