/*
 * tender.h - what the tender's files share.
 *
 * One process runs one instance, on KVM (kvm.c), or as a process behind the
 * same gate (process.c). Whatever the guest says is checked once, where it is
 * read; a bad address or number gets an error back or ends the guest, never us.
 */
#ifndef TENDER_H
#define TENDER_H

#include <signal.h>
#include <stdbool.h>

#include "elfimage.h"

struct options {
    const char *image_path;
    bool process;
    bool boot_times;
    int info_fd;            /* struct guest_info and strings; -1: none */
    int report_fd;          /* -1: none */
    int go_fd;              /* -1; or: say when ready, begin when told */
    int emit_fd;            /* image being built; -1: none. Process only */
    /* The port on a network, from the switch: the rings' memory, an event that
       wakes the switch, one that wakes us. -1: none */
    int net_fd, kick_fd, wake_fd;
    uint64_t mem_bytes;     /* 0: the image's default */
    uint64_t start_tsc;     /* when the tool began, or the tender */
};

struct tender {
    struct options opt;
    const char *mode;       /* kvm, process, qemu */
    struct image image;
    uint8_t *info;          /* what the guest will see as its info; our copy */
    uint64_t info_bytes;
    uint64_t tsc_hz;
    struct guest_window *window;    /* shared with the guest: read once */
    /* Counted until the first output, and until the end. */
    uint64_t exits, exits_at_output;
    uint64_t faults_base, faults_at_output;
    uint64_t ran_tsc;       /* when the guest was entered first */
    uint64_t ended_tsc;     /* QEMU: when it told how it ended */
    bool output_seen;
    bool went;              /* one of a pool, no longer */
};

/* One line, "tender: cannot ...", and exit(status). */
_Noreturn void die(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* host.c */
/* opt.mem_bytes from --mem or the image, less what the image brings; or die(). */
void take_memory(struct tender *t);
uint64_t host_tsc_hz(void);             /* without KVM: about 0.1 ms, or 2 */
/* Fill in what only the loader knows. */
void fill_info(struct tender *t, struct guest_info *gi, uint64_t gate);
/* Address where code runs that the guest makes now: behind what it has, if it is built. */
uint64_t code_at(const struct tender *t);
void fill_window(struct tender *t);
/*
 * One of a pool: all is ready. Tells so by a byte to go_fd, waits for one, and
 * takes the time anew; the end of go_fd is ours.
 */
void wait_to_go(struct tender *t);
void drop_privileges(void);
/* SIGTERM, SIGINT, SIGHUP: blocked, and counted in a wait with wait_signals. */
extern volatile sig_atomic_t signals_seen;
extern sigset_t wait_signals;
void catch_signals(void);
void raw_terminal(struct tender *t);
void restore_terminal(void);
uint64_t page_faults(void);             /* of this process, so far */

/* report.c: what it came to, to stderr and the report; returns the status. */
struct outcome {
    enum guest_exit kind;
    int status;
    bool killed;                        /* by a second signal */
    struct guest_fault fault;
    const char *detail;                 /* of an end we brought about; or NULL */
};
int report(struct tender *t, const struct outcome *o);
void note_output(struct tender *t);     /* the guest writes its first bytes */

/* seccomp.c: a filter that kills for all that is not allowed. */
struct filter;
struct cond {
    unsigned arg;
    uint64_t low, high;                 /* both included */
};
#define COND_EQ(arg, v) {(arg), (uint64_t)(v), (uint64_t)(v)}
struct filter *filter_new(uint64_t only_page);      /* 0: from anywhere */
void filter_allow(struct filter *f, unsigned nr, int n, const struct cond *c);
/* The program; valid until the process ends. */
struct sock_fprog;
void filter_program(struct filter *f, struct sock_fprog *out);

int run_kvm(struct tender *t);
int run_process(struct tender *t);

static inline uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

#endif
