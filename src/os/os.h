/*
 * os.h - all the VM asks of the world. linux/ (a process, bin/ling) or bare/
 * (an image) stands behind it; the Makefile picks one.
 *
 * Times are nanoseconds. Nothing here is called by more than one thread,
 * except os_wake().
 */
#ifndef OS_H
#define OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clock. Monotonic time starts near 0 and never goes back. */
uint64_t os_mono_ns(void);
int64_t os_wall_ns(void);               /* since 1970, UTC */
uint64_t os_cpu_ns(void);               /* processor time this instance used */

/* Fill with entropy of the host; ends the VM when there is none. */
void os_entropy(void *buf, size_t n);

/*
 * Memory. Pages are zeroed, and aligned to `align` (a power of two, at least
 * 4096). NULL if none are left.
 */
void *os_pages(size_t bytes, size_t align);
void os_pages_free(void *p, size_t bytes);
/* What lies there is not needed any more, whoever it belongs to. */
void os_discard(void *p, size_t bytes);
size_t os_pages_in_use(void);           /* bytes handed out and not given back */
/*
 * A block of OS_LARGE bytes or more, with anything in it: a heap that grows takes
 * one after the other, and clearing them costs as much as a quarter of collecting.
 */
#define OS_LARGE ((size_t)4 << 10)
void *os_large(size_t bytes);
void os_large_free(void *p, size_t bytes);
/*
 * Many small blocks were freed: join them now, a few at a time, or who wants a larger
 * one next waits until that is done.
 */
void os_freed(void);
/* p made smaller, or larger, without a byte being copied; NULL: that can't be. */
void *os_large_resize(void *p, size_t from, size_t to);

/*
 * Address space without memory, and memory in it. Bytes and addresses are
 * multiples of 4096. os_commit returns 0 or -ENOMEM; committed pages are zero.
 */
void *os_reserve(size_t bytes);
int os_commit(void *p, size_t bytes);
void os_decommit(void *p, size_t bytes);

/*
 * Memory for code made at run time: the same pages at two addresses. NULL, or
 * a static text that says why there is none. After writing, os_code_written().
 */
struct os_code {
    uint8_t *run;                       /* read and execute */
    uint8_t *write;                     /* read and write */
    size_t bytes;
};
const char *os_code_window(struct os_code *w);
/*
 * Has the processor what code for this level needs: "x86-64", "x86-64-v2" ... of the
 * psABI? What is not known, another architecture's, it has not. An image may run
 * anywhere: there it is the first one only.
 */
bool os_cpu_has(const char *level);
void os_code_written(void);

/* The emergency console: crash reports, erlang:display. Whole lines. */
void os_console(const char *s, size_t n);

/* End the instance with a status of 0 to 255; os_abort() is for VM bugs (134). */
_Noreturn void os_exit(int status);
_Noreturn void os_abort(const char *why);

/*
 * What can become ready. The owner embeds a struct os_watch, and unwatches
 * before it frees. `ready` runs inside os_wait(), on the scheduler's stack,
 * between slices. Watching is level-triggered: ready is called in every
 * os_wait() while the condition holds.
 *
 * Hosted, fd is a Linux descriptor. Bare, only 0, 1, 2 (the console) exist.
 */
enum { OS_READ = 1, OS_WRITE = 2, OS_ERROR = 4 };   /* the last alone: nothing but errors */
struct os_watch {
    int fd;
    unsigned events;                    /* of those; 0: not watched */
    void (*ready)(struct os_watch *w, unsigned events);
    struct os_watch *next;              /* os.c's own */
};
void os_watch(struct os_watch *w, unsigned events); /* again to change events */
void os_unwatch(struct os_watch *w);
size_t os_watched(void);                /* descriptors that are watched */

/*
 * Block until mono_ns (0: only look, UINT64_MAX: for ever), until something
 * watched is ready, a signal arrived or os_wake(). Runs what is ready.
 */
void os_wait(uint64_t mono_ns);
void os_wake(void);                     /* any thread, any signal handler */

/* Signals for the instance (SIGTERM and its like), taken once; 0 if none. */
int os_take_signal(void);
/* What a signal does from now on. 0 or -EINVAL. Handled: os_take_signal(). */
enum os_signal_action { OS_SIGNAL_DEFAULT, OS_SIGNAL_IGNORE, OS_SIGNAL_HANDLE };
int os_set_signal(int sig, enum os_signal_action how);

/* Descriptors: as read(2) and write(2), never blocking; negative errno. */
int64_t os_fd_read(int fd, void *buf, size_t n);
int64_t os_fd_write(int fd, const void *buf, size_t n);

/*
 * Terminals: columns and rows, 0 or negative errno (-ENOTTY); raw mode, without
 * echo and line editing, which os_exit() undoes. A bare console is raw.
 */
int os_tty_size(int fd, uint32_t *columns, uint32_t *rows);
int os_tty_raw(int fd, bool raw);

/* Arguments and environment of the instance. */
const char *os_getenv(const char *name);            /* NULL if unset */
int os_setenv(const char *name, const char *value); /* value NULL: unset */
const char *const *os_environ(void);
uint64_t os_pid(void);

/*
 * Baking: whether the instance is to be written out at this point of its
 * start. Each copy goes on from there, with a generation that is not 0.
 */
enum os_ready { OS_READY_KERNEL = 1, OS_READY_APP = 2 };
bool os_bake_wanted(enum os_ready point);
uint64_t os_generation(void);

#endif
