/*
 * build.c - kindling build: applications and the OTP they use, as one image.
 *
 * The image is ling's ELF file with one more segment, the tree, and its header
 * filled in. What it holds depends on the inputs alone: no time, no user, no
 * directory of this machine goes in.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "beam.h"
#include "seal.h"
#include "switch.h"
#include "tree.h"

#define ROOT "/otp"
#define LICENCES "/otp/LICENCES"
#define INPUTS "/otp/INPUTS"

static const char help[] =
"usage: kindling build [OPTIONS] DIR...\n"
"\n"
"Packs applications, with the Erlang/OTP applications they depend on, into one\n"
"bootable file. DIR is a rebar3 project, a release, an application or an ebin\n"
"directory. Every application found is started, in the order of its needs.\n"
"\n"
"  -o, --output FILE    the image (default: name of the last application, .img)\n"
"      --app NAME       pack this application of OTP too, not started by itself\n"
"      --eval EXPR      evaluate EXPR once the applications run\n"
"      --run M F        call M:F() once the applications run\n"
"      --shell          end in an Erlang shell on the console\n"
"      --config FILE    a sys.config, for the applications' environment\n"
"      --vm-args FILE   flags of erl, as in a vm.args: -mode embedded ...\n"
"      --file PATH=FROM put the file or directory FROM into the image as PATH\n"
"      --mem SIZE       memory of an instance when `run --mem` does not say (256M)\n"
"      --plain          do not translate the modules ahead: smaller, slower to boot\n"
"      --ling FILE      use another ling than the one beside kindling\n"
"  -q, --quiet          say nothing but errors\n"
"\n"
"  kindling build examples/hello\n"
"  kindling build -o shell.img --shell my_project\n"
"  kindling build --app compiler --eval 'work:go(), halt().' ebin\n";

static const char licences[] =
"What is in this image, and under which licence:\n"
"\n"
"  ling                      Apache-2.0\n"
"  musl 1.2.3                MIT\n"
"  lwIP 2.1.3                BSD-3-Clause\n"
"  zlib 1.2.13               Zlib\n"
"  Erlang/OTP modules        Apache-2.0\n"
"  PCRE 8.44 (from OTP)      BSD-3-Clause\n"
"  Ryu (from OTP)            Apache-2.0 or Boost-1.0\n"
"  compiler-rt builtins      Apache-2.0 with LLVM exception\n"
"\n"
"The applications packed beside them are under licences of their own.\n";

struct build {
    const char *output, *eval, *config, *vm_args, *ling;
    char *run_module, *run_function;
    char **extra_app, **file;
    size_t extra_apps, files;
    bool shell, quiet, plain;
    uint64_t mem_bytes;
    struct apps apps;
    struct tree tree;
};

static void say(const struct build *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct build *b, const char *fmt, ...)
{
    va_list ap;

    if (b->quiet)
        return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
}

uint64_t parse_size(const char *option, const char *s)
{
    char *end;
    uint64_t n;
    int shift = 0;

    errno = 0;
    n = strtoull(s, &end, 10);
    switch (*end | 32) {
    case 'k': shift = 10; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    }
    if (shift)
        end++;
    if (errno || *s < '0' || *s > '9' || *end || n > GUEST_ARENA_SIZE >> shift)
        fail(EXIT_TOOL, "cannot take %s for %s: a size is wanted, such as 64M or 1G", s,
             option);
    return n << shift;
}

static struct tree_file *add_file(struct build *b, const char *path, const char *from)
{
    size_t n;
    uint8_t *data = read_file(from, &n);

    return tree_add(&b->tree, path, data, n);
}

/*
 * What of kernel and stdlib is loaded by every start, with and without a shell
 * (OTP 25 to 27). A name that a release does not have does no harm; a module
 * that is not named is translated when it is first used.
 */
static bool is_boot_module(const char *name)
{
    static const char *const modules[] = {
        "application", "application_controller", "application_master", "beam_lib",
        "binary", "c", "code", "code_server", "edlin", "edlin_expand",
        "erl_anno", "erl_eval", "erl_features", "erl_internal", "erl_lint",
        "erl_parse", "erl_scan", "erl_signal_handler", "erl_distribution",
        "erl_erts_errors", "erl_error", "error_handler", "error_logger", "erpc",
        "ets", "file", "file_io_server", "file_server", "filename", "gb_sets",
        "gb_trees", "gen", "gen_event", "gen_server", "global", "global_group",
        "group", "group_history", "heart", "inet", "inet_config", "inet_db",
        "inet_parse", "inet_udp", "io", "io_lib", "io_lib_format",
        "io_lib_pretty", "kernel", "kernel_config", "kernel_refc", "lists", "logger",
        "logger_backend", "logger_config", "logger_filters", "logger_formatter",
        "logger_h_common", "logger_handler_watcher", "logger_olp", "logger_proxy",
        "logger_server", "logger_simple_h", "logger_std_h", "logger_sup", "maps",
        "net_kernel", "orddict", "ordsets", "os", "otp_internal", "peer",
        "prim_tty", "proc_lib", "proplists", "queue", "rand", "rpc", "shell",
        "standard_error", "string", "supervisor", "supervisor_bridge", "sys",
        "timer", "unicode", "unicode_util", "user", "user_drv", "user_sup",
    };

    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (strcmp(modules[i], name) == 0)
            return true;
    return false;
}

static bool is_core(const struct app *app)
{
    return strcmp(app->name, "kernel") == 0 || strcmp(app->name, "stdlib") == 0;
}

/* erts-V/ebin or lib/erts-V/ebin: what OTP has inside its emulator. */
static void add_preloaded(struct build *b)
{
    static const char *const where[] = {"%s", "%s/lib"};

    for (size_t w = 0; w < sizeof where / sizeof *where; w++) {
        char *dir = format(where[w], b->apps.otp_root);
        size_t n;
        char **names = list_directory(dir, &n);

        for (size_t i = n; i-- > 0;) {
            char *ebin = format("%s/%s/ebin", dir, names[i]);
            size_t beams;
            char **beam;

            if (strncmp(names[i], "erts-", 5) != 0 ||
                !is_file(format("%s/erl_init.beam", ebin)))
                continue;
            beam = list_directory(ebin, &beams);
            for (size_t k = 0; k < beams; k++)
                if (strlen(beam[k]) > 5 &&
                    strcmp(beam[k] + strlen(beam[k]) - 5, ".beam") == 0)
                    add_file(b, format(ROOT "/preloaded/%s", beam[k]),
                             format("%s/%s", ebin, beam[k]));
            return;
        }
    }
    fail(EXIT_TOOL, "cannot find OTP's preloaded modules: no erts-*/ebin in %s or its lib",
         b->apps.otp_root);
}

/* Where an application goes, as OTP names it. */
static char *app_path(const struct app *app)
{
    return format(ROOT "/lib/%s-%s", app->name, app->vsn);
}

static size_t add_app(struct build *b, const struct app *app)
{
    char *to = app_path(app);
    size_t first = b->tree.n, bytes = 0;
    char *priv = format("%s/../priv", app->dir);

    add_file(b, format("%s/ebin/%s.app", to, app->name),
             format("%s/%s.app", app->dir, app->name));
    for (size_t i = 0; i < app->modules; i++) {
        char *from = format("%s/%s.beam", app->dir, app->module[i]);
        struct tree_file *f = add_file(b, format("%s/ebin/%s.beam", to, app->module[i]), from);
        const char *problem = beam_problem(f->data, f->n, app->module[i]);

        if (problem)
            fail(EXIT_TOOL, "cannot pack %s: %s; compile it again", from, problem);
        if (!is_core(app) || is_boot_module(app->module[i]))
            f->flags = TREE_TRANSLATE;
    }
    if (!app->otp && is_directory(priv))
        tree_add_directory(&b->tree, format("%s/priv", to), priv);
    for (size_t i = first; i < b->tree.n; i++)
        bytes += b->tree.file[i].n;
    return bytes;
}

/* --- boot script --- */

static struct term *read_start_clean(const struct build *b, char **path)
{
    char *data = format("%s/releases/start_erl.data", b->apps.otp_root);
    char why[200];
    struct term *t;
    uint8_t *text;
    size_t n;

    *path = format("%s/bin/start_clean.script", b->apps.otp_root);
    if (!is_file(*path) && is_file(data)) {
        /* "erts version, release" */
        char *s = (char *)read_file(data, &n), *release = strchr(s, ' ');

        if (release) {
            release[1 + strcspn(release + 1, "\r\n ")] = 0;
            *path = format("%s/releases/%s/start_clean.script", b->apps.otp_root,
                           release + 1);
        }
    }
    text = read_file(*path, &n);
    t = term_read((char *)text, n, why, sizeof why);
    if (!t)
        fail(EXIT_TOOL, "cannot read %s: %s", *path, why);
    if (!term_is_tuple(t, 3) || !term_is_list(t->item[2]))
        fail(EXIT_TOOL, "cannot use %s: it is not a boot script", *path);
    return t;
}

static struct term *tuple2(const char *name, struct term *value)
{
    return term_make(TERM_TUPLE, 2, term_atom(name), value);
}

static struct term *apply(const char *function, struct term *a, struct term *b)
{
    struct term *args = term_make(TERM_LIST, 0);

    term_append(args, a);
    if (b)
        term_append(args, b);
    return tuple2("apply", term_make(TERM_TUPLE, 3, term_atom("application"),
                                     term_atom(function), args));
}

static struct term *apply_ready(void)
{
    struct term *args = term_make(TERM_LIST, 0);

    term_append(args, term_atom("kernel"));
    return tuple2("apply", term_make(TERM_TUPLE, 3, term_atom("ling"),
                                     term_atom("ready"), args));
}

/*
 * Names are resolved by OTP itself: there is no helper program to ask the
 * system. The gateway of an instance's network answers (switch.h). A default of kernel's own, so that a configuration may say otherwise.
 */
static void set_resolver(struct build *b, struct term *t)
{
    /* A file that is not there would make OTP forget the server again. */
    static const char text[] = "{lookup, [file, dns]}.\n{resolv_conf, \"\"}.\n"
        "{nameserver, {" GATEWAY_IP(",") "}}.\n"
        "{host, {127,0,0,1}, [\"localhost\"]}.\n{host, {0,0,0,0,0,0,0,1}, [\"localhost\"]}.\n";
    struct term *start, *app, *env;

    /* {kernelProcess, _, {application_controller, start, [{application, kernel, Keys}]}} */
    if (!term_is_tuple(t, 3) || !term_is_atom(t->item[0], "kernelProcess"))
        return;
    start = t->item[2];
    if (!term_is_tuple(start, 3) || !term_is_list(start->item[2]) || start->item[2]->n != 1)
        return;
    app = start->item[2]->item[0];
    if (!term_is_tuple(app, 3) || !term_is_atom(app->item[1], "kernel"))
        return;
    env = term_lookup(app->item[2], "env");
    if (!env || !term_is_list(env))
        return;
    term_append(env, tuple2("inetrc", term_string(ROOT "/bin/inetrc")));
    tree_add(&b->tree, ROOT "/bin/inetrc", (uint8_t *)text, sizeof text - 1);
}

static bool is_progress(const struct term *t, const char *what)
{
    return term_is_tuple(t, 2) && term_is_atom(t->item[0], "progress") &&
           term_is_atom(t->item[1], what);
}

static bool is_apply_of(const struct term *t, const char *module)
{
    return term_is_tuple(t, 2) && term_is_atom(t->item[0], "apply") &&
           t->item[1]->kind == TERM_TUPLE && t->item[1]->n > 0 &&
           term_is_atom(t->item[1]->item[0], module);
}

/* Included applications are started by who includes them. */
static bool is_included(const struct build *b, const char *name)
{
    for (size_t i = 0; i < b->apps.n; i++) {
        const struct term *inc =
            term_lookup(b->apps.app[i]->term->item[2], "included_applications");

        for (size_t k = 0; inc && term_is_list(inc) && k < inc->n; k++)
            if (term_is_atom(inc->item[k], name))
                return true;
    }
    return false;
}

static bool is_extra(const struct build *b, const char *name)
{
    for (size_t i = 0; i < b->extra_apps; i++)
        if (strcmp(b->extra_app[i], name) == 0)
            return true;
    return false;
}

/*
 * OTP's own start_clean, with the applications' directories on the path, and
 * the applications loaded and started, as systools would do it. ~/.erlang is
 * not looked for.
 */
static void add_boot_script(struct build *b)
{
    char *path;
    struct term *script = read_start_clean(b, &path);
    struct term *old = script->item[2], *out = term_make(TERM_LIST, 0);
    struct buffer boot = {0};
    bool loaded = false, modules_loaded = false;

    for (size_t i = 0; i < old->n; i++) {
        struct term *t = old->item[i];

        if (is_progress(t, "applications_loaded")) {
            for (size_t k = 0; k < b->apps.n; k++)
                if (!is_core(b->apps.app[k]))
                    term_append(out, apply("load", b->apps.app[k]->term, NULL));
            loaded = true;
        }
        /* Here `kindling bake` writes the instance out, if not told otherwise. */
        if (is_progress(t, "started"))
            term_append(out, apply_ready());
        if (is_progress(t, "started"))
            for (size_t k = 0; k < b->apps.n; k++)
                if (!is_core(b->apps.app[k]) && !is_extra(b, b->apps.app[k]->name) &&
                    !is_included(b, b->apps.app[k]->name))
                    term_append(out, apply("start_boot",
                                           term_atom(b->apps.app[k]->name),
                                           term_atom("permanent")));
        if (is_progress(t, "modules_loaded"))
            modules_loaded = true;
        if (modules_loaded && term_is_tuple(t, 2) && term_is_atom(t->item[0], "path")) {
            struct term *dirs = term_make(TERM_LIST, 0);

            for (size_t k = 0; k < b->apps.n; k++)
                term_append(dirs, term_string(format("$ROOT/lib/%s-%s/ebin",
                    b->apps.app[k]->name, b->apps.app[k]->vsn)));
            term_append(dirs, term_string("$ROOT/lib/kindling-" KINDLING_VERSION "/ebin"));
            t = tuple2("path", dirs);
        }
        if (is_apply_of(t, "c"))
            continue;
        set_resolver(b, t);
        term_append(out, t);
    }
    if (!loaded)
        fail(EXIT_TOOL, "cannot use %s: it loads no applications", path);
    script->item[2] = out;
    term_external(&boot, script);
    tree_add(&b->tree, ROOT "/bin/start.boot", boot.p, boot.n);
}

/* --- the header --- */

static void add_text(struct image_header *h, const char *s)
{
    size_t n = strlen(s) + 1;

    if (n > sizeof h->text - h->text_bytes)
        fail(EXIT_TOOL, "cannot put the command line into the image: it is longer than "
             "%zu bytes; put the code into a module", sizeof h->text);
    memcpy(h->text + h->text_bytes, s, n);
    h->text_bytes += (uint32_t)n;
    h->argc++;
}

/* The next word of erl's -args_file: # begins a comment, quotes and \ as in a shell. */
static char *next_arg(const char **at, const char *end)
{
    struct buffer word = {0};
    const char *s = *at;
    char quote = 0;

    while (s < end && (isspace((unsigned char)*s) || *s == '#')) {
        if (*s == '#')
            while (s < end && *s != '\n')
                s++;
        else
            s++;
    }
    if (s == end)
        return NULL;
    for (; s < end && (quote || !isspace((unsigned char)*s)); s++) {
        if (*s == quote)
            quote = 0;
        else if (!quote && (*s == '"' || *s == '\''))
            quote = *s;
        else if (*s == '\\' && quote != '\'' && s + 1 < end)
            buffer_add(&word, ++s, 1);
        else
            buffer_add(&word, s, 1);
    }
    if (quote)
        fail(EXIT_TOOL, "cannot take the flags: a quote is not closed");
    buffer_add(&word, "", 1);
    *at = s;
    return (char *)word.p;
}

/* Those of init, and for applications. Flags of the emulator are the host's. */
static void add_vm_args(struct image_header *h, const char *path)
{
    size_t n;
    const char *text = (const char *)read_file(path, &n), *at = text;

    if (memchr(text, 0, n))
        fail(EXIT_TOOL, "cannot take the flags in %s: it is not text", path);
    for (char *word; (word = next_arg(&at, text + n)); free(word)) {
        if (*word == '+')
            fail(EXIT_TOOL, "cannot take %s of %s: an instance has no flags of the emulator",
                 word, path);
        add_text(h, word);
    }
}

static void fill_header(const struct build *b, struct image_header *h)
{
    static const char *const fixed[] = {
        "-root", ROOT, "-bindir", ROOT "/bin", "-progname", "ling", "--",
        "-home", "/tmp", "--", "-boot", ROOT "/bin/start",
    };

    h->mem_default = b->mem_bytes;
    h->text_bytes = h->argc = 0;
    h->args = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        add_text(h, fixed[i]);
    if (b->config) {
        add_text(h, "-config");
        add_text(h, ROOT "/sys");
    }
    if (b->vm_args)
        add_vm_args(h, b->vm_args);
    if (b->shell)
        h->flags |= IMAGE_SHELL;
    else
        add_text(h, "-noshell");
    if (b->run_module) {
        add_text(h, "-run");
        add_text(h, b->run_module);
        add_text(h, b->run_function);
    }
    if (b->eval) {
        add_text(h, "-eval");
        add_text(h, b->eval);
    }
    h->inputs = h->text_bytes;
    add_text(h, INPUTS);
    h->argc--;
}

/* --- the file --- */

static void write_all(int fd, const char *path, const void *p, size_t n)
{
    const uint8_t *at = p;

    while (n > 0) {
        ssize_t done = write(fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(done ? errno : ENOSPC));
        at += done;
        n -= (size_t)done;
    }
}

static size_t write_image(struct build *b, const char *path)
{
    size_t n, end = 0;
    uint8_t *elf;
    Elf64_Ehdr *eh;
    Elf64_Phdr *ph, *tree;
    struct image_header *h = NULL;
    struct buffer out = {0}, list = {0};
    uint64_t va_end = 0, base;
    char *temporary = format("%s.tmp%ld", path, (long)getpid());
    uint8_t id[32];
    int fd;

    elf = read_file(b->ling, &n);
    eh = (Elf64_Ehdr *)elf;
    ph = (Elf64_Phdr *)(elf + sizeof *eh);
    if (n < 4096 || memcmp(elf, ELFMAG, SELFMAG) || eh->e_phoff != sizeof *eh ||
        eh->e_phnum > 15)
        fail(EXIT_TOOL, "cannot build with %s: it is not ling", b->ling);
    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_offset > n || ph[i].p_filesz > n - ph[i].p_offset)
            fail(EXIT_TOOL, "cannot build with %s: it is cut short", b->ling);
        if (ph[i].p_type == PT_KINDLING && ph[i].p_filesz >= sizeof *h)
            h = (struct image_header *)(elf + ph[i].p_offset);
        if (ph[i].p_type != PT_LOAD)
            continue;
        if (ph[i].p_offset + ph[i].p_filesz > end)
            end = ph[i].p_offset + ph[i].p_filesz;
        if (ph[i].p_vaddr + ph[i].p_memsz > va_end)
            va_end = ph[i].p_vaddr + ph[i].p_memsz;
    }
    if (!h || h->magic != IMAGE_MAGIC || h->version != IMAGE_VERSION)
        fail(EXIT_TOOL, "cannot build with %s: it is not ling of this version", b->ling);
    base = h->base;

    /* What makes the image, in one hash: ling, the command line, the files. */
    fill_header(b, h);
    tree_inputs(&b->tree, &list, id);
    {
        struct sha256 s;

        sha256_init(&s);
        sha256_add(&s, id, sizeof id);
        sha256_add(&s, elf, end);
        sha256_end(&s, h->id);
    }
    tree_add(&b->tree, INPUTS, list.p, list.n);

    /* Behind ling, where large pages fit; read-only. */
    eh->e_shoff = eh->e_shnum = eh->e_shstrndx = 0;
    tree = &ph[eh->e_phnum++];
    buffer_add(&out, elf, end);
    buffer_align(&out, 4096);
    end = out.n;
    tree_write(&b->tree, &out);
    h = (struct image_header *)(out.p + ((uint8_t *)h - elf));
    tree = (Elf64_Phdr *)(out.p + ((uint8_t *)tree - elf));
    memcpy(out.p, eh, sizeof *eh);
    *tree = (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = PF_R,
        .p_offset = end,
        .p_vaddr = (va_end + GUEST_CHUNK - 1) & ~(uint64_t)(GUEST_CHUNK - 1),
        .p_filesz = out.n - end,
        .p_memsz = out.n - end,
        .p_align = 4096,
    };
    tree->p_paddr = tree->p_vaddr - base + GUEST_IMAGE_PA;
    if (tree->p_vaddr - base + tree->p_memsz > GUEST_IMAGE_MAX)
        fail(EXIT_TOOL, "cannot build an image of %zu MiB: at most %d", out.n >> 20,
             GUEST_IMAGE_MAX >> 20);
    h->tree = tree->p_vaddr;
    h->tree_bytes = tree->p_memsz;

    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", temporary, strerror(errno));
    on_fail_remove(temporary);
    fchmod(fd, 0644);           /* whatever the umask */
    write_all(fd, path, out.p, out.n);
    seal_image(temporary);
    if (fsync(fd) < 0 || close(fd) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    if (rename(temporary, path) < 0)
        fail(EXIT_TOOL, "cannot write %s: %s", path, strerror(errno));
    on_fail_remove(NULL);
    return out.n;
}

static void add_extra_file(struct build *b, char *spec)
{
    char *from = strchr(spec, '=');

    if (!from || from == spec || *spec != '/' || strstr(spec, "//") ||
        strstr(spec, "/../") || strstr(spec, "/./"))
        fail(EXIT_TOOL, "cannot take %s for --file: /PATH=FROM is wanted", spec);
    *from++ = 0;
    if (is_directory(from))
        tree_add_directory(&b->tree, spec, from);
    else
        add_file(b, spec, from);
}

static void read_options(struct build *b, int argc, char **argv)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'}, {"app", required_argument, NULL, 'a'},
        {"eval", required_argument, NULL, 'e'},   {"run", required_argument, NULL, 'r'},
        {"shell", no_argument, NULL, 's'},        {"config", required_argument, NULL, 'c'},
        {"vm-args", required_argument, NULL, 'v'},
        {"file", required_argument, NULL, 'f'},   {"mem", required_argument, NULL, 'm'},
        {"ling", required_argument, NULL, 'l'},   {"quiet", no_argument, NULL, 'q'},
        {"plain", no_argument, NULL, 'p'},        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "o:qh", known, NULL)) >= 0) {
        switch (c) {
        case 'o': b->output = optarg; break;
        case 'e': b->eval = optarg; break;
        case 's': b->shell = true; break;
        case 'c': b->config = optarg; break;
        case 'v': b->vm_args = optarg; break;
        case 'l': b->ling = optarg; break;
        case 'q': b->quiet = true; break;
        case 'p': b->plain = true; break;
        case 'm': b->mem_bytes = parse_size("--mem", optarg); break;
        case 'a':
            b->extra_app = reallocate(b->extra_app,
                                      (b->extra_apps + 1) * sizeof *b->extra_app);
            b->extra_app[b->extra_apps++] = optarg;
            break;
        case 'f':
            b->file = reallocate(b->file, (b->files + 1) * sizeof *b->file);
            b->file[b->files++] = optarg;
            break;
        case 'r':
            b->run_module = optarg;
            if (optind == argc)
                fail(EXIT_TOOL, "cannot take --run %s: a module and a function are wanted",
                     optarg);
            b->run_function = argv[optind++];
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            fail(EXIT_TOOL, "cannot build: see `kindling build --help`");
        }
    }
}

int build_main(int argc, char **argv)
{
    struct build b = {.mem_bytes = 256 << 20};
    size_t bytes, total;
    struct apps *a = &b.apps;
    char *path;

    read_options(&b, argc, argv);
    if (optind == argc && !b.eval && !b.shell && !b.run_module)
        fail(EXIT_TOOL, "cannot build an image of nothing: name a directory, or --shell; "
             "see `kindling build --help`");
    if (!b.ling)
        b.ling = find_part("ling.elf");
    apps_find_otp(a);
    say(&b, "Erlang/OTP in %s\n", a->otp_root);
    for (int i = optind; i < argc; i++)
        apps_add_directory(a, argv[i]);
    apps_order(a);
    for (size_t i = 0; i < b.extra_apps; i++)
        apps_want(a, b.extra_app[i]);

    add_preloaded(&b);
    for (size_t i = 0; i < a->n; i++) {
        bytes = add_app(&b, a->app[i]);
        say(&b, "  %-20s %-12s %4zu modules %8zu KiB%s\n", a->app[i]->name,
            a->app[i]->vsn, a->app[i]->modules, (bytes + 1023) / 1024,
            a->app[i]->otp ? "" : "  (yours)");
    }
    add_file(&b, ROOT "/lib/kindling-" KINDLING_VERSION "/ebin/kindling.beam",
             find_part("kindling.beam"))->flags = TREE_TRANSLATE;
    add_boot_script(&b);
    if (b.config)
        add_file(&b, ROOT "/sys.config", b.config);
    for (size_t i = 0; i < b.files; i++)
        add_extra_file(&b, b.file[i]);
    tree_add(&b.tree, LICENCES, (uint8_t *)format("%s", licences), strlen(licences));

    path = b.output ? format("%s", b.output)
                    : format("%s.img", a->app[a->n - 1]->otp ? "shell"
                                                             : a->app[a->n - 1]->name);
    if (b.plain) {
        total = write_image(&b, path);
    } else {
        char *plain = format("%s.plain%ld", path, (long)getpid());

        write_image(&b, plain);
        total = bake_image(plain, true, path, NULL, 0,
                           format("cannot translate the modules for %s (--plain leaves "
                                  "it to each start)", path));
    }
    say(&b, "%s: %.1f MiB, %zu files\n", path, (double)total / 1048576, b.tree.n);
    return 0;
}
