/*
 * spawn.c - the port driver of other programs: {spawn, Command} by /bin/sh,
 * {spawn_executable, File}.
 *
 * The child gets two pipes as 0 and 1 (nouse_stdio: 3 and 4). Its end is
 * noticed by a pidfd; where the kernel has none, by a thread that waits for it
 * and closes a pipe. With exit_status the port tells how it ended once it has
 * ended and its output is read to the end; without, the end of the output is
 * the end of the port.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/io.h"
#include "io/port.h"
#include "os/linux/linux.h"
#include "os/os.h"
#include "vm/atom.h"

struct child {
    struct os_watch end;            /* readable: the child has ended */
    struct port *port;              /* NULL: gone, only reaping is left */
    struct stream *stream;
    pid_t pid;
    int in_fd, out_fd;              /* ours */
    bool want_status, ended, eof, over;
    int status;
};

/* The end of a child whose descriptor for it we lack. */
struct waiter {
    pid_t pid;
    int fd, status;
};

/* What waitpid() found, for the pipe of end_fd_by_thread(). */
static void *wait_thread(void *arg)
{
    struct waiter *w = arg;
    int status = 0;

    while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
        ;
    while (write(w->fd, &status, sizeof status) < 0 && errno == EINTR)
        ;
    close(w->fd);
    free(w);
    return NULL;
}

static int end_fd_by_thread(pid_t pid)
{
    struct waiter *w = malloc(sizeof *w);
    sigset_t all, old;
    pthread_t thread;
    int fds[2], err;

    if (!w)
        return -ENOMEM;
    if (pipe2(fds, O_CLOEXEC) < 0) {
        free(w);
        return -errno;
    }
    *w = (struct waiter){.pid = pid, .fd = fds[1]};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&thread, NULL, wait_thread, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err) {
        close(fds[0]);
        close(fds[1]);
        free(w);
        return -err;
    }
    pthread_detach(thread);
    return fds[0];
}

static bool use_threads;

static int end_fd_of(pid_t pid)
{
    int fd = -1;

    if (!use_threads)
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        use_threads = true;
        fd = end_fd_by_thread(pid);
    }
    return fd;
}

/* The status of an ended child, in waitpid's form. */
static int reap(struct child *c)
{
    int status = 0;

    if (use_threads) {
        while (read(c->end.fd, &status, sizeof status) < 0 && errno == EINTR)
            ;
        return status;
    }
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void maybe_over(struct child *c)
{
    struct port *port = c->port;
    int status = c->status;
    struct mbuf *m;
    term t, *hp;

    if (c->over || !c->eof || (c->want_status && !c->ended))
        return;
    c->over = true;
    if (c->want_status) {
        status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        m = mbuf_new(3);
        hp = m->words;
        t = put_tuple2(&hp, am_exit_status, small_make(status));
        m->used = 3;
        c->want_status = false;
        port_deliver_term(port, m, t);
    }
    port_eof(port);
}

static void child_ended(struct os_watch *w, unsigned events)
{
    struct child *c = (struct child *)((char *)w - offsetof(struct child, end));

    os_unwatch(w);
    c->status = reap(c);
    close(w->fd);
    w->fd = -1;
    c->ended = true;
    if (!c->port) {
        vm_free(c);
        return;
    }
    c->port->os_pid = c->pid;
    /* Nothing to read from: the output ends with the child. */
    if (c->in_fd < 0)
        c->eof = true;
    maybe_over(c);
}

static void input_ended(struct port *port, int err)
{
    struct child *c = port->state;

    if (err < 0) {
        port_exit_errno(port, err);
        return;
    }
    c->eof = true;
    maybe_over(c);
}

/* The environment with the port's changes: strings are loans, the array not. */
static char **environment(char **changes)
{
    const char *const *old = os_environ();
    size_t n = 0, m = 0, k = 0;
    char **env;

    while (old && old[n])
        n++;
    while (changes && changes[m])
        m++;
    env = vm_alloc(ALLOC_SYSTEM, (n + m + 1) * sizeof *env);
    for (size_t i = 0; i < n; i++)
        env[k++] = (char *)(uintptr_t)old[i];
    for (size_t i = 0; i < m; i++) {
        size_t len = strcspn(changes[i] + 1, "=") + 1, at = 0;

        while (at < k && (strncmp(env[at], changes[i], len) != 0 || env[at][len] != '='))
            at++;
        if (changes[i][len] == '=') {
            env[at] = changes[i];
            k += at == k;
        } else if (at < k) {
            env[at] = env[--k];
        }
    }
    env[k] = NULL;
    return env;
}

static int start(const struct port_opts *o, int child_in, int child_out, pid_t *pid)
{
    const char *path = "/bin/sh";
    char *command = NULL, **env = NULL;
    char *sh[] = {"sh", "-c", NULL, NULL}, *self[] = {NULL, NULL}, **args = sh;
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t attr;
    sigset_t def;
    int err, in_to = o->use_stdio ? 0 : 3, out_to = o->use_stdio ? 1 : 4;

    if (o->kind == PORT_SPAWN_EXECUTABLE) {
        path = o->name;
        if (access(path, X_OK) < 0)
            return -errno;
        args = o->args ? o->args : self;
        if (!args[0])
            args[0] = (char *)(uintptr_t)o->name;
    } else {
        command = vm_alloc(ALLOC_SYSTEM, strlen(o->name) + 6);
        strcpy(command, "exec ");
        strcat(command, o->name);
        sh[2] = command;
    }
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&attr);
    /* Signals as a program expects them; and its own process group. */
    sigemptyset(&def);
    for (int sig = 1; sig < 32; sig++)
        if (sig != SIGKILL && sig != SIGSTOP)
            sigaddset(&def, sig);
    posix_spawnattr_setsigdefault(&attr, &def);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (o->cd)
        posix_spawn_file_actions_addchdir_np(&fa, o->cd);
    if (o->stderr_to_stdout)
        posix_spawn_file_actions_adddup2(&fa, child_out, 2);
    if (o->out)
        posix_spawn_file_actions_adddup2(&fa, child_in, in_to);
    if (o->in)
        posix_spawn_file_actions_adddup2(&fa, child_out, out_to);
    env = environment(o->env);
    err = posix_spawn(pid, path, &fa, &attr, args, env);
    vm_free(env);
    vm_free(command);
    if (args[0] == o->name)
        args[0] = NULL;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&fa);
    return -err;
}

/* A pipe whose ends are above what the child is given, ours non-blocking. */
static int pipe_high(int fds[2], int ours)
{
    int low[2];

    if (pipe2(low, O_CLOEXEC) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fds[i] = low[i];
        if (low[i] > 4)
            continue;
        fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, 5);
        if (fds[i] < 0) {
            int err = -errno;

            close(low[0]);
            close(low[1]);
            if (i == 1 && fds[0] != low[0])
                close(fds[0]);
            return err;
        }
    }
    for (int i = 0; i < 2; i++)
        if (fds[i] != low[i])
            close(low[i]);
    fcntl(fds[ours], F_SETFL, fcntl(fds[ours], F_GETFL) | O_NONBLOCK);
    return 0;
}

static int spawn_open(struct port *port, const struct port_opts *o)
{
    struct port_opts no_cd;
    char *complaint = NULL;
    int from[2], to[2], err, end;
    struct child *c;
    pid_t pid;

    err = pipe_high(from, 0);
    if (err < 0)
        return err;
    err = pipe_high(to, 1);
    if (err < 0)
        goto out_from;
    if (o->cd && access(o->cd, X_OK) < 0) {
        /* OTP's child says so, and its exit status is the error. */
        no_cd = *o;
        no_cd.kind = PORT_SPAWN;
        no_cd.cd = no_cd.name = NULL;
        if (asprintf(&complaint,
                     "/bin/sh -c 'echo \"spawn: Could not cd to the directory "
                     "given\" >&2; exit %d'", errno) < 0) {
            err = -ENOMEM;
            goto out_to;
        }
        no_cd.name = complaint;
        o = &no_cd;
    }
    err = start(o, to[0], from[1], &pid);
    free(complaint);
    if (err < 0)
        goto out_to;
    close(to[0]);
    close(from[1]);
    end = end_fd_of(pid);
    if (end < 0) {
        /* It runs, and nobody will notice its end: better not at all. */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(to[1]);
        close(from[0]);
        return end;
    }
    c = vm_zalloc(ALLOC_SYSTEM, sizeof *c);
    c->port = port;
    c->pid = pid;
    c->in_fd = from[0];
    c->out_fd = to[1];
    c->want_status = o->exit_status;
    if (!o->in) {
        close(c->in_fd);
        c->in_fd = -1;
    }
    if (!o->out) {
        close(c->out_fd);
        c->out_fd = -1;
    }
    c->end = (struct os_watch){.fd = end, .ready = child_ended};
    os_watch(&c->end, OS_READ);
    c->stream = stream_new(port, o, c->in_fd, c->out_fd);
    stream_on_end(c->stream, input_ended);
    port->state = c;
    port->os_pid = pid;
    return 0;

out_to:
    close(to[0]);
    close(to[1]);
out_from:
    close(from[0]);
    close(from[1]);
    return err;
}

/* The child is not killed: it sees its input end, and is reaped later. */
static void spawn_close(struct port *port)
{
    struct child *c = port->state;

    stream_free(c->stream);
    if (c->in_fd >= 0)
        close(c->in_fd);
    if (c->out_fd >= 0)
        close(c->out_fd);
    c->port = NULL;
    if (c->ended)
        vm_free(c);
}

static void spawn_output(struct port *port, const uint8_t *data, size_t n)
{
    struct child *c = port->state;

    stream_output(c->stream, data, n);
}

static size_t spawn_queued(struct port *port)
{
    struct child *c = port->state;

    return stream_queued(c->stream);
}

static struct port_driver spawn_driver = {
    .name = "spawn",
    .hidden = true,
    .open = spawn_open,
    .close = spawn_close,
    .output = spawn_output,
    .queued = spawn_queued,
};

/* open_port("file", Settings): a plain file as a stream. */
static int file_open(struct port *port, const struct port_opts *o)
{
    int flags = o->in && o->out ? O_RDWR | O_CREAT
                : o->out        ? O_WRONLY | O_CREAT | O_TRUNC
                                : O_RDONLY;
    int fd = open(o->name, flags | O_CLOEXEC | O_NONBLOCK, 0666);
    struct child *c;

    if (fd < 0)
        return -EINVAL;
    c = vm_zalloc(ALLOC_SYSTEM, sizeof *c);
    c->ended = true;
    c->in_fd = fd;
    c->out_fd = -1;
    c->stream = stream_new(port, o, o->in ? fd : -1, o->out ? fd : -1);
    port->state = c;
    return 0;
}

static struct port_driver file_driver = {
    .name = "file",
    .hidden = true,
    .open = file_open,
    .close = spawn_close,
    .output = spawn_output,
    .queued = spawn_queued,
};

void spawn_init(void)
{
    port_driver_add(&spawn_driver);
    port_driver_add(&file_driver);
}
