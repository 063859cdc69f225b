/*
 * bare.h - what the files of os/bare share, and what main() may ask of them.
 *
 * Everything outside is behind the gate (abi/guest.h). On some hosts a call of
 * it costs 60 us, and the first touch of a page as much: so console output goes
 * out by the line, memory comes by the chunk, time is read from the processor.
 */
#ifndef OS_BARE_H
#define OS_BARE_H

#include <stdbool.h>

#include "abi/guest.h"
#include "abi/image.h"

/* Both are constants of the layout: no stray write can move the gate. */
#define guest_info ((const struct guest_info *)(GUEST_BASE + GUEST_INFO))
#define guest_window ((volatile struct guest_window *)(GUEST_BASE + GUEST_WINDOW))

static inline long gate(long op, uint64_t a, uint64_t b, uint64_t c)
{
    return ((gate_fn *)guest_info->gate)(op, a, b, c);
}

static inline void bare_mark(enum guest_mark m)
{
    if (!guest_window->mark[m])
        guest_window->mark[m] = guest_tsc();
}

/* In the image; the builder filled it in. */
extern const struct image_header image_header;

/* boot.c: the command line of the image, then what `run -- ARGS` gave. */
extern int bare_argc;
extern char **bare_argv;
/*
 * Write this instance out as an image that goes on in `resumed` when started
 * (GUEST_BUILDING only), with the first code_bytes of the code window. flags are
 * the image's, besides IMAGE_BAKED. Returns 0 or a negative errno, here, once.
 */
int bare_bake(void (*resumed)(void), unsigned flags, uint64_t code_bytes);

/* mem.c: pages of the arena, zeroed; mem_idle() gives unused memory back. */
void *mem_alloc(size_t bytes, size_t align);
void mem_free(void *p, size_t bytes);
void mem_idle(void);
/*
 * For bake: clear what is free, and tell which runs of chunks there are. 0 if
 * there are more than `max`.
 */
struct mem_run {
    uint64_t start, bytes;
};
unsigned mem_bake(struct mem_run *run, unsigned max);

/* console.c: 1 or 2; bytes taken or a negative errno. Flush before waiting. */
int64_t console_write(int fd, const void *s, size_t n);
void console_flush(void);
/* When input or the time comes, or the instance is asked to end. */
unsigned console_wait(uint64_t mono_ns, unsigned what);

/*
 * console.c: what else os_wait() asks and runs. main.c sets it to the stack's
 * (net/lwip/stack.h), so that a program without one has no part of it.
 */
struct bare_poller {
    uint64_t (*until)(uint64_t mono_ns);
    void (*poll)(void);
};
extern const struct bare_poller *bare_poller;

/*
 * net.c: around a wait until *mono_ns: which of WAIT_NET and WAIT_KICK it is to
 * have. *mono_ns becomes 0 if there is a frame.
 */
unsigned bare_net_waits(uint64_t *mono_ns);
void bare_net_waited(void);

/* os.c: a deadline of ours as the gate counts; a builder's time goes on to it. */
uint64_t bare_gate_ns(uint64_t mono_ns);
void bare_pass_time(uint64_t mono_ns);

/*
 * console.c: called in a builder in which everything waits, and so long that it
 * is a fault; it ends the instance.
 */
extern void (*bare_never_ready)(const char *why);

/* os.c: leave; nothing is flushed that was not. */
_Noreturn void bare_exit(int status, enum guest_exit kind);

/* entry.S: makes code written through CODE_W safe to run from CODE_X. */
void bare_serialise(void);

/* libc.c: all that musl asks of a kernel. */
long bare_syscall(long n, long a, long b, long c, long d, long e, long f);

#endif
