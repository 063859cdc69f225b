/*
 * main.c - ling in an image: Erlang alone on a machine.
 *
 * The builder wrote init's arguments into the image; what `kindling run` adds
 * comes after -extra. Files are the image's own (fs/memfs.h).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/memfs.h"
#include "io/port.h"
#include "net/lwip/stack.h"
#include "op/code.h"
#include "op/codemem.h"
#include "os/bare/bare.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/boot.h"
#include "vm/clock.h"
#include "vm/module.h"
#include "vm/print.h"
#include "vm/ready.h"
#include "vm/renew.h"
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

/* The modules to translate: paths and bytes are the tree's. */
struct module_file {
    const char *path;
    const uint8_t *beam;
    size_t n;
};
static struct module_file *to_translate;
static size_t to_translate_n, to_translate_max;

static void note(const char *path, const uint8_t *beam, size_t n)
{
    if (to_translate_n == to_translate_max) {
        to_translate_max = to_translate_max ? 2 * to_translate_max : 64;
        to_translate = vm_realloc(to_translate, to_translate_max * sizeof *to_translate);
    }
    to_translate[to_translate_n++] = (struct module_file){path, beam, n};
}

static int larger_first(const void *a, const void *b)
{
    const struct module_file *x = a, *y = b;

    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->path, y->path);
}

/*
 * The largest first: what it took while it was loaded is used by the others, and
 * no gap is left in the heap that the image is written with.
 */
static void translate_all(void)
{
    char why[256];

    memfs_each(TREE_TRANSLATE, note);
    qsort(to_translate, to_translate_n, sizeof *to_translate, larger_first);
    for (size_t i = 0; i < to_translate_n; i++)
        if (!ready_add(to_translate[i].beam, to_translate[i].n, why))
            vm_fatal(EXIT_TOOL, "cannot build: %s: %s", to_translate[i].path, why);
    vm_free(to_translate);
    to_translate = NULL;
    to_translate_n = to_translate_max = 0;
}

/* Behind an image that is for the tool only: what is loaded, a line each. */
static int emit_loaded(void)
{
    struct module *m;
    struct text t;
    int err;

    text_init(&t);
    for (size_t i = 0; (m = module_next(&i));) {
        const struct atom *name = atom_get(m->name);

        if (m->curr) {
            text_add(&t, (const char *)name->name, name->bytes);
            text_add(&t, "\n", 1);
        }
    }
    err = (int)gate(GATE_EMIT, (uintptr_t)t.s, t.n, 0);
    text_fini(&t);
    return err;
}

static _Noreturn void write_image(void (*then)(void), unsigned flags)
{
    int err = bare_bake(then, flags, code_native ? codemem_seal() : 0);

    if (!err && guest_info->flags & GUEST_BAKE_IDLE)
        err = emit_loaded();
    if (err)
        vm_fatal(EXIT_TOOL, "cannot write the image: %s", strerror(-err));
    os_exit(0);
}

static const char *ready_point(void)
{
    return guest_info->flags & GUEST_BAKE_APP ? "kindling:ready/0 is called"
                                              : "kernel and stdlib have started";
}

static void ready_resumed(void);

static void never_ready(const char *why)
{
    struct text t;

    if (guest_info->flags & GUEST_BAKE_IDLE)
        write_image(ready_resumed, IMAGE_READY);
    text_init(&t);
    renew_waiting(&t);
    vm_fatal(EXIT_TOOL, "cannot bake: the instance %s; it is when %s. Waiting: %.*s", why,
             ready_point(), (int)(t.n < 340 ? t.n : 340), t.s);
}

/* Until the end, or in a builder until the point where it is written out. */
static _Noreturn void go_on(void)
{
    int status;
    struct text t;

    bare_mark(MARK_ERLANG);
    status = sched_run();
    if (!(guest_info->flags & GUEST_BUILDING)) {
        stack_end();
        os_exit(status);
    }
    if (guest_info->flags & GUEST_BAKE_IDLE)
        write_image(ready_resumed, IMAGE_READY);
    if (!vm.sched->pause)
        vm_fatal(EXIT_TOOL, "cannot bake: the instance ended with status %d before %s",
                 status, ready_point());
    text_init(&t);
    if (renew_kept_out(&t))
        vm_fatal(EXIT_TOOL, "cannot bake: %.*s", (int)(t.n < 340 ? t.n : 340), t.s);
    renew_collect();
    write_image(ready_resumed, IMAGE_READY);
}

static _Noreturn void run(void)
{
    boot_first_process(bare_argc - 1, bare_argv + 1);
    go_on();
}

/* A copy of an instance that was ready: what makes it another one, then on. */
static void ready_resumed(void)
{
    bare_mark(MARK_VM);
    vm.sched->pause = false;
    clock_resume();
    renew_identity();
    if (!renew_arguments(bare_argv + bare_argc - guest_info->argc, guest_info->argc))
        vm_fatal(EXIT_IMAGE, "cannot pass arguments to a baked image: this OTP's init "
                 "keeps them elsewhere");
    renew_tell(os_generation());
    go_on();
}

/* A start of an image whose modules are ready. Time and chance begin anew. */
static void resumed(void)
{
    bare_mark(MARK_VM);
    boot_resume();
    run();
}

static const struct bare_poller stack = {stack_until, stack_poll};

int main(int argc, char **argv)
{
    const void *tree = (const void *)image_header.tree;

    os_set_signal(SIGTERM, OS_SIGNAL_HANDLE);
    if (!guest_info->code_bytes)
        code_interpret();
    bare_never_ready = never_ready;
    bare_poller = &stack;
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
    translate_all();
    write_image(resumed, 0);
}
