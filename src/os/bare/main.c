/*
 * main.c - ling in an image: Erlang alone on a machine.
 *
 * The builder wrote init's arguments into the image; what `kindling run` adds
 * comes after -extra. Files are the image's own (fs/memfs.h).
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fs/memfs.h"
#include "io/port.h"
#include "op/code.h"
#include "os/bare/bare.h"
#include "os/os.h"
#include "vm/boot.h"
#include "vm/ready.h"
#include "vm/sched.h"
#include "vm/vm.h"

/* Where the builder puts what OTP has inside its emulator. */
#define PRELOADED "/otp/preloaded"

static uint8_t *fetched;        /* the latest one: a loan to boot.c */

static const uint8_t *fetch(void *ctx, const char *module, size_t *bytes)
{
    char path[300];
    int64_t n;

    vm_free(fetched);
    fetched = NULL;
    if (snprintf(path, sizeof path, PRELOADED "/%s.beam", module) >= (int)sizeof path)
        return NULL;
    n = vfs_read_file(path, &fetched);
    if (n < 0)
        return NULL;
    *bytes = (size_t)n;
    return fetched;
}

static _Noreturn void run(void)
{
    int status;

    boot_first_process(bare_argc - 1, bare_argv + 1);
    bare_mark(MARK_ERLANG);
    status = sched_run();
    os_exit(status);
}

/* A start of an image whose modules are ready. Time and chance begin anew. */
static void resumed(void)
{
    bare_mark(MARK_VM);
    boot_resume();
    run();
}

int main(int argc, char **argv)
{
    const void *tree = (const void *)image_header.tree;
    int err;

    os_set_signal(SIGTERM, OS_SIGNAL_HANDLE);
    if (!guest_info->code_bytes)
        code_interpret();
    boot_init();
    if (!memfs_init(image_header.tree_bytes ? tree : NULL, image_header.tree_bytes))
        vm_fatal(EXIT_IMAGE, "the image's files are damaged; build it again");
    if (!image_header.tree_bytes)
        vm_fatal(EXIT_IMAGE, "this is ling without an application; "
                 "`kindling build` makes images of it");
    vfs = &vfs_memory;
    bare_mark(MARK_VM);
    boot_preload(fetch, NULL);
    vm_free(fetched);
    fetched = NULL;
    if (!(guest_info->flags & GUEST_BUILDING))
        run();
    memfs_each(TREE_TRANSLATE, ready_add);
    err = bare_bake(resumed);
    if (err)
        vm_fatal(EXIT_TOOL, "cannot write the image: %s", strerror(-err));
    os_exit(0);
}
