/*
 * main.c - bin/ling: Erlang as a Linux process, a work-alike of erl.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/vfs.h"
#include "io/ddll.h"
#include "io/port.h"
#include "os/linux/args.h"
#include "os/linux/linux.h"
#include "os/os.h"
#include "vm/boot.h"
#include "vm/sched.h"

struct preload {
    const char *root, *erts;
    uint8_t *beam;              /* the latest one: a loan to boot.c */
};

/* Debian has the preloaded modules in lib/erts-V; others beside bin. */
static const uint8_t *fetch(void *ctx, const char *module, size_t *bytes)
{
    static const char *const where[] = {"%s/%s/ebin/%s.beam", "%s/lib/%s/ebin/%s.beam"};
    struct preload *p = ctx;

    vm_free(p->beam);
    p->beam = NULL;
    for (size_t i = 0; i < sizeof where / sizeof *where; i++) {
        char path[4096];
        int64_t n;

        if (snprintf(path, sizeof path, where[i], p->root, p->erts, module) >=
            (int)sizeof path)
            continue;
        n = vfs_read_file(path, &p->beam);
        if (n >= 0) {
            *bytes = (size_t)n;
            return p->beam;
        }
    }
    return NULL;
}

/* As erl -emu_args: what would be exec'ed. */
static void show(const struct command_line *c, const char *separator)
{
    for (int i = 0; i < c->emulator.n; i++)
        printf("%s%s", c->emulator.v[i], separator);
    for (int i = 0; i < c->init.n; i++)
        printf("%s%s", c->init.v[i], separator);
}

static void detach(void)
{
    pid_t pid = fork();
    int fd;

    if (pid < 0)
        args_fail("-detached: %s", strerror(errno));
    if (pid > 0)
        _exit(0);
    setsid();
    fd = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3 && fd >= 0; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
}

/* Programs expect 0, 1 and 2 to be open: a file must not become one of them. */
static void open_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

/*
 * Heaps of processes come and go by the megabyte, and pages are dear to get from
 * the kernel each time: blocks up to OS_KEPT are cut from memory that stays.
 * Small blocks are joined when they are freed, not all at once with a large one.
 */
static void keep_memory(void)
{
    /* What goes back to the system at once, as the end of that memory. */
    enum { AT_ONCE = 4 << 20 };

    mallopt(M_MMAP_THRESHOLD, (int)OS_KEPT);
    mallopt(M_TRIM_THRESHOLD, 2 * (int)OS_KEPT);
    mallopt(M_TOP_PAD, 2 * (int)OS_KEPT - AT_ONCE);
    mallopt(M_MXFAST, 0);
}

int main(int argc, char **argv)
{
    static struct command_line c;       /* kept: the leak checker finds it */
    struct preload p;
    int status;

    keep_memory();
    open_standard_fds();
    args_parse(&c, argc, argv);
    if (c.version) {
        fprintf(stderr, "Erlang (SMP,ASYNC_THREADS) (BEAM) emulator version %s\r\n",
                c.erts + strlen("erts-"));
        return 0;
    }
    if (c.show_exit) {
        show(&c, "\n");
        return 0;
    }
    if (c.show) {
        printf("Executing: %s ", c.progname);
        show(&c, " ");
        printf("\n\n");
        fflush(stdout);
    }
    if (c.detached)
        detach();

    signal(SIGPIPE, SIG_IGN);
    os_linux_init();
    os_set_signal(SIGTERM, OS_SIGNAL_HANDLE);
    vfs = &vfs_posix;

    flags_before_boot(&c.emulator);
    boot_init();
    flags_apply(&c.emulator);
    spawn_init();
    ddll_init();
    p = (struct preload){c.root, c.erts, NULL};
    boot_preload(fetch, &p);
    vm_free(p.beam);
    boot_first_process(c.init.n, c.init.v);

    status = sched_run();
    os_exit(status);
}
