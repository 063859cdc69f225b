/*
 * args.c - erl's command line (erts/etc/common/erlexec.c is what it does).
 *
 *   ERL_AFLAGS -- the command line -- ERL_FLAGS -- ERL_ZFLAGS -- -extra ...
 *
 * The arguments after -extra of any of them end up behind all others. Those
 * that begin with + are the VM's; some with - are handled here; the rest is
 * init's.
 */
#define _GNU_SOURCE
#include "os/linux/args.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS_FILE_DEPTH 32      /* -args_file within -args_file */

static const char help[] =
"usage: ling [erl's flags] [+ling's flags] [-- init's arguments]\n"
"\n"
"Runs Erlang as erl does, from the modules of an installed Erlang/OTP. A flag\n"
"of erl is taken or refused by name. OTP is found by ERL_ROOTDIR, else by the erl\n"
"on the PATH.\n"
"\n"
"  ling                                     the Erlang shell\n"
"  ling -noshell -eval 'io:format(\"hi~n\"), halt().'\n"
"  ling -pa ebin -s my_app start            load my_app from ebin, start it\n"
"  ling -boot start_sasl -config sys        boot script and configuration\n"
"\n"
"  -version       version of the Erlang run-time system that ling stands for\n"
"  -emu_args      say what is started; -emu_args_exit: only say it\n"
"  +JIT false     interpret, instead of making native code\n"
"  +JPperf true   tell perf what native code is: /tmp/perf-PID.map (map),\n"
"                 /tmp/jit-PID.dump (dump), or both (true)\n"
"  +JDgdb true    tell gdb\n"
"  +P N           processes there may be at once (262144)\n"
"  +hms N         smallest heap of a process, in words\n"
"  +hmqd off_heap message_queue_data of new processes\n"
"  +fnu, +fnl     file names are UTF-8, Latin-1\n"
"  +pc unicode    what io_lib takes for printable\n"
"\n"
"Flags of erl about threads, allocators and scheduling (+S, +A, +K, +M...) are\n"
"accepted and change nothing: ling has one scheduler. So are limits of\n"
"tables that grow here (+Q, +t, +e).\n";

_Noreturn void args_fail(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fputs("ling: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static void *check(void *p)
{
    if (!p)
        args_fail("out of memory");
    return p;
}

void args_add(struct args *a, const char *s)
{
    if (a->n + 1 >= a->size) {
        a->size = a->size ? a->size * 2 : 32;
        a->v = check(realloc(a->v, (size_t)a->size * sizeof *a->v));
    }
    a->v[a->n++] = check(strdup(s));
    a->v[a->n] = NULL;
}

static void args_clear(struct args *a)
{
    for (int i = 0; i < a->n; i++)
        free(a->v[i]);
    free(a->v);
    *a = (struct args){0};
}

static char *format(const char *fmt, ...)
{
    va_list ap;
    char *s;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return n < 0 ? check(NULL) : s;
}

/*
 * Words as in a shell: quotes, backslash, and in files # to the end of line.
 */
static void split(struct args *a, const char *s, bool comments)
{
    char *word = check(malloc(strlen(s) + 1));
    size_t n = 0;
    bool in = false;
    char quote = 0;

    for (;; s++) {
        if (quote) {
            if (*s == '\0')
                args_fail("no closing %c in arguments", quote);
            if (*s == quote)
                quote = 0;
            else if (*s == '\\' && quote == '"' && (s[1] == '"' || s[1] == '\\'))
                word[n++] = *++s;
            else
                word[n++] = *s;
        } else if (*s == '\0' || strchr(" \t\n\v\f\r", *s) ||
                   (comments && *s == '#')) {
            if (in) {
                word[n] = '\0';
                args_add(a, word);
            }
            in = false;
            n = 0;
            if (*s == '#')
                s += strcspn(s, "\n");
            if (*s == '\0')
                break;
        } else {
            in = true;
            if (*s == '"' || *s == '\'')
                quote = *s;
            else if (*s == '\\' && s[1])
                word[n++] = *++s;
            else
                word[n++] = *s;
        }
    }
    free(word);
}

static void split_file(struct args *a, const char *path)
{
    FILE *f = fopen(path, "r");
    char *s = NULL;
    size_t size = 0;

    if (!f)
        args_fail("cannot open arguments file %s: %s", path, strerror(errno));
    if (getdelim(&s, &size, '\0', f) < 0 && ferror(f))
        args_fail("cannot read arguments file %s: %s", path, strerror(errno));
    if (s)
        split(a, s, true);
    free(s);
    fclose(f);
}

/* Copy v to all; what follows -extra to extra; open -args_file. */
static void merge(struct args *all, struct args *extra, char **v, int depth)
{
    struct args file = {0};

    for (; v && *v; v++) {
        if (strcmp(*v, "-extra") == 0) {
            while (*++v)
                args_add(extra, *v);
            return;
        }
        if (strcmp(*v, "-args_file") != 0) {
            args_add(all, *v);
            continue;
        }
        if (!*++v)
            args_fail("-args_file: the name of a file is missing");
        if (depth == ARGS_FILE_DEPTH)
            args_fail("-args_file %s: %d files deep", *v, depth);
        split_file(&file, *v);
        merge(all, extra, file.v, depth + 1);
        args_clear(&file);
    }
}

static void merge_env(struct args *all, struct args *extra, const char *name)
{
    const char *s = getenv(name);
    struct args a = {0};

    if (!s)
        return;
    split(&a, s, false);
    args_add(&a, "--");
    merge(all, extra, a.v, 0);
    args_clear(&a);
}

/*
 * Where OTP is.
 */
static bool is_root(const char *dir)
{
    char *s = format("%s/lib", dir);
    struct stat st;
    bool ok = stat(s, &st) == 0 && S_ISDIR(st.st_mode);

    free(s);
    s = format("%s/releases", dir);
    ok = ok && stat(s, &st) == 0;
    free(s);
    return ok;
}

/* ROOTDIR=... of the erl script, if it names an OTP. */
static char *root_of_script(const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL, *root = NULL;
    size_t size = 0;

    if (!f)
        return NULL;
    while (!root && getline(&line, &size, f) > 0) {
        char *s = line + strspn(line, " \t");

        if (strncmp(s, "ROOTDIR=", 8) != 0)
            continue;
        s += 8;
        s += *s == '"';
        s[strcspn(s, "\"\r\n")] = '\0';
        if (*s == '/' && is_root(s))
            root = check(strdup(s));
    }
    free(line);
    fclose(f);
    return root;
}

static char *root_of_erl(const char *erl)
{
    char *real = realpath(erl, NULL), *up, *root = NULL;

    if (!real)
        return NULL;
    /* ROOT/bin/erl, or ROOT/erts-V/bin/erl. */
    up = check(strdup(real));
    for (int i = 0; i < 3 && !root; i++) {
        char *slash = strrchr(up, '/');

        if (!slash || slash == up)
            break;
        *slash = '\0';
        if (i > 0 && is_root(up))
            root = check(strdup(up));
    }
    if (!root)
        root = root_of_script(real);
    free(up);
    free(real);
    return root;
}

static char *find_root(void)
{
    const char *s = getenv("ERL_ROOTDIR");
    char *path, *dir, *save, *root = NULL;

    if (s && *s) {
        root = realpath(s, NULL);
        if (!root || !is_root(root))
            args_fail("ERL_ROOTDIR: %s is not an installed Erlang/OTP", s);
        return root;
    }
    path = check(strdup(getenv("PATH") ? getenv("PATH") : ""));
    for (dir = strtok_r(path, ":", &save); dir && !root;
         dir = strtok_r(NULL, ":", &save)) {
        char *erl = format("%s/erl", dir);

        if (access(erl, X_OK) == 0)
            root = root_of_erl(erl);
        free(erl);
    }
    free(path);
    if (!root && is_root("/usr/lib/erlang"))
        root = check(strdup("/usr/lib/erlang"));
    if (!root)
        args_fail("no Erlang/OTP found: put erl on the PATH or set ERL_ROOTDIR");
    return root;
}

static char *find_erts(const char *root)
{
    char *path = format("%s/releases/start_erl.data", root);
    FILE *f = fopen(path, "r");
    char vsn[64];

    if (!f || fscanf(f, "%63s", vsn) != 1)
        args_fail("cannot tell the version of OTP: %s: %s", path,
                  f ? "no version in it" : strerror(errno));
    fclose(f);
    free(path);
    return format("erts-%s", vsn);
}

/* BINDIR first in the PATH, once, for epmd, inet_gethost and their like. */
static void set_path(const char *root, const char *bindir)
{
    const char *old = getenv("PATH");
    char *path, *copy, *dir, *save;

    if (!old || !strstr(old, root)) {
        path = format("%s:%s/bin%s%s", bindir, root, old ? ":" : "", old ? old : "");
    } else {
        path = check(strdup(bindir));
        copy = check(strdup(old));
        for (dir = strtok_r(copy, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
            char *longer;

            if (strcmp(dir, bindir) == 0)
                continue;
            longer = format("%s:%s", path, dir);
            free(path);
            path = longer;
        }
        free(copy);
    }
    setenv("PATH", path, 1);
    free(path);
}

/* How a node is to start another like itself. */
static char *find_progname(const char *argv0)
{
    char *real = strchr(argv0, '/') ? realpath(argv0, NULL) : NULL;

    return real ? real : check(strdup(argv0));
}

static const char *value_of(char **v, const char *flag)
{
    if (!*v || strcmp(*v, "--") == 0)
        args_fail("%s: its value is missing", flag);
    return *v;
}

/* Flags handled here. Returns how many arguments were used; 0: init's. */
static int own_flag(struct command_line *c, char **v)
{
    const char *s = v[0];

    if (strcmp(s, "-emu_args") == 0) {
        c->show = true;
    } else if (strcmp(s, "-emu_args_exit") == 0) {
        c->show_exit = true;
    } else if (strcmp(s, "-emu_name_exit") == 0) {
        puts("ling");
        exit(0);
    } else if (strcmp(s, "-env") == 0) {
        value_of(v + 1, s);
        setenv(v[1], value_of(v + 2, s), 1);
        return 3;
    } else if (strcmp(s, "-epmd") == 0 || strcmp(s, "-emu_type") == 0 ||
               strcmp(s, "-emu_flavor") == 0) {
        value_of(v + 1, s);
        return 2;
    } else if (strcmp(s, "-smp") == 0) {
        if (v[1] && strcmp(v[1], "disable") == 0)
            args_fail("-smp disable is not supported: use +S 1");
        return v[1] && (strcmp(v[1], "auto") == 0 || strcmp(v[1], "enable") == 0)
                   ? 2 : 1;
    } else if (strcmp(s, "-version") == 0) {
        c->version = true;
    } else if (strcmp(s, "-keep_window") == 0) {
        /* Windows' */
    } else if (strcmp(s, "-detached") == 0) {
        c->detached = true;
        args_add(&c->init, "-noshell");
        args_add(&c->init, "-noinput");
    } else if (strcmp(s, "-noinput") == 0) {
        args_add(&c->init, "-noshell");
        args_add(&c->init, "-noinput");
    } else if (strcmp(s, "-configfd") == 0) {
        if (strcmp(value_of(v + 1, s), "0") == 0) {
            args_add(&c->init, "-noshell");
            args_add(&c->init, "-noinput");
        }
        args_add(&c->init, s);
    } else if (strcmp(s, "-name") == 0 || strcmp(s, "-sname") == 0 ||
               strcmp(s, "-proto_dist") == 0 || strcmp(s, "-start_epmd") == 0) {
        args_add(&c->init, s);
        args_add(&c->init, value_of(v + 1, s));
        return 2;
    } else {
        return 0;
    }
    return 1;
}

static void classify(struct command_line *c, char **v)
{
    for (; *v; v++) {
        int used;

        if (strcmp(*v, "-extra") == 0) {
            for (; *v; v++)
                args_add(&c->init, *v);
            return;
        }
        if (strcmp(*v, "-make") == 0) {
            const char *const make[] = {"-noshell", "-noinput", "-s", "make",
                                        "all_or_nothing", "-s", "erlang", "halt"};

            for (size_t i = 0; i < sizeof make / sizeof *make; i++)
                args_add(&c->init, make[i]);
            return;
        }
        if (strcmp(*v, "-compile") == 0) {
            const char *const compile[] = {"-noshell", "-noinput", "-s", "c",
                                           "lc_batch"};

            for (size_t i = 0; i < sizeof compile / sizeof *compile; i++)
                args_add(&c->init, compile[i]);
            continue;
        }
        if (**v == '+') {
            args_add(&c->emulator, *v);
            if (flag_has_value(*v, v[1])) {
                args_add(&c->emulator, value_of(v + 1, *v));
                v++;
            }
            continue;
        }
        used = own_flag(c, v);
        if (used == 0)
            args_add(&c->init, *v);
        else
            v += used - 1;
    }
}

void args_parse(struct command_line *c, int argc, char **argv)
{
    struct args all = {0}, extra = {0};
    char *bindir;
    const char *home = getenv("HOME"), *epmd_port = getenv("ERL_EPMD_PORT");

    memset(c, 0, sizeof *c);
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        exit(0);
    }
    merge_env(&all, &extra, "ERL_OTP25_FLAGS");
    merge_env(&all, &extra, "ERL_AFLAGS");
    merge(&all, &extra, argv + (argc > 0), 0);
    if (argc > 1 && (getenv("ERL_FLAGS") || getenv("ERL_ZFLAGS")))
        args_add(&all, "--");
    merge_env(&all, &extra, "ERL_FLAGS");
    merge_env(&all, &extra, "ERL_ZFLAGS");
    if (extra.n > 0) {
        args_add(&all, "-extra");
        for (int i = 0; i < extra.n; i++)
            args_add(&all, extra.v[i]);
    }

    c->root = find_root();
    c->erts = find_erts(c->root);
    c->progname = find_progname(argc > 0 ? argv[0] : "ling");
    bindir = format("%s/%s/bin", c->root, c->erts);
    set_path(c->root, bindir);
    setenv("ROOTDIR", c->root, 1);
    setenv("BINDIR", bindir, 1);
    setenv("PROGNAME", c->progname, 1);
    setenv("EMU", "beam", 1);

    args_add(&c->init, "-root");
    args_add(&c->init, c->root);
    args_add(&c->init, "-bindir");
    args_add(&c->init, bindir);
    args_add(&c->init, "-progname");
    args_add(&c->init, c->progname);
    args_add(&c->init, "--");
    if (home) {
        args_add(&c->init, "-home");
        args_add(&c->init, home);
    }
    if (epmd_port) {
        args_add(&c->init, "-epmd_port");
        args_add(&c->init, epmd_port);
    }
    args_add(&c->init, "--");
    if (all.v)
        classify(c, all.v);
    flags_check(&c->emulator);
    args_clear(&all);
    args_clear(&extra);
    free(bindir);
}
