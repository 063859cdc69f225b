/*
 * app.c - find applications and what they depend on.
 */
#define _GNU_SOURCE
#include "app.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_NEW, STATE_OPEN, STATE_DONE };

#define CHAIN_MAX 200           /* applications that depend on one another */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* --- OTP --- */

/* <root>/bin/erl and <root>/erts-V/bin/erl are both usual. */
static char *root_of_erl(void)
{
    const char *path = getenv("PATH");
    char real[PATH_MAX];

    while (path && *path) {
        size_t n = strcspn(path, ":");
        char *erl = format("%.*s/erl", (int)n, path);

        if (access(erl, X_OK) == 0 && realpath(erl, real)) {
            for (int i = 0; i < 3; i++) {
                char *slash = strrchr(real, '/');

                if (!slash || slash == real)
                    break;
                *slash = 0;
                if (is_directory(format("%s/lib/erlang/lib", real)))
                    return format("%s/lib/erlang", real);
                if (is_directory(format("%s/lib", real)) &&
                    is_directory(format("%s/releases", real)))
                    return format("%s", real);
            }
        }
        free(erl);
        path += n + (path[n] == ':');
    }
    return NULL;
}

void apps_find_otp(struct apps *a)
{
    const char *env = getenv("ERL_ROOTDIR");

    a->otp_root = env && *env ? format("%s", env) : root_of_erl();
    if (!a->otp_root)
        fail(EXIT_TOOL, "cannot find Erlang/OTP: no erl on the PATH; install it, or set "
             "ERL_ROOTDIR to the directory that has its lib");
    a->otp_lib = format("%s/lib", a->otp_root);
    if (!is_directory(a->otp_lib))
        fail(EXIT_TOOL, "cannot find Erlang/OTP: %s is no directory (ERL_ROOTDIR)",
             a->otp_lib);
}

/* --- one application --- */

static const char *string_of(const struct term *t)
{
    return t && t->kind == TERM_LIST && t->text ? t->text : NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct app *read_app(const char *dir, const char *name, bool otp)
{
    char *path = format("%s/%s.app", dir, name), why[200];
    struct app *app = allocate(sizeof *app);
    const struct term *keys, *modules;
    uint8_t *text;
    size_t n;

    text = read_file(path, &n);
    app->term = term_read((char *)text, n, why, sizeof why);
    if (!app->term)
        fail(EXIT_TOOL, "cannot read %s: %s", path, why);
    if (!term_is_tuple(app->term, 3) ||
        !term_is_atom(app->term->item[0], "application") ||
        app->term->item[1]->kind != TERM_ATOM || !term_is_list(app->term->item[2]))
        fail(EXIT_TOOL, "cannot use %s: it is not {application, Name, Keys}", path);
    app->name = app->term->item[1]->text;
    if (strcmp(app->name, name) != 0)
        fail(EXIT_TOOL, "cannot use %s: it describes %s", path, app->name);
    keys = app->term->item[2];
    app->vsn = format("%s", string_of(term_lookup(keys, "vsn"))
                                ? string_of(term_lookup(keys, "vsn")) : "0");
    if (strchr(app->vsn, '/') || strchr(app->name, '/'))
        fail(EXIT_TOOL, "cannot use %s: a slash in its name or version", path);
    app->dir = format("%s", dir);
    app->otp = otp;
    modules = term_lookup(keys, "modules");
    if (modules && !term_is_list(modules))
        fail(EXIT_TOOL, "cannot use %s: its modules are not a list", path);
    app->module = allocate((modules ? modules->n : 0) * sizeof *app->module);
    for (size_t i = 0; modules && i < modules->n; i++) {
        char *beam;

        if (modules->item[i]->kind != TERM_ATOM)
            fail(EXIT_TOOL, "cannot use %s: its modules are not atoms", path);
        beam = format("%s/%s.beam", dir, modules->item[i]->text);
        if (!is_file(beam))
            fail(EXIT_TOOL, "cannot pack %s: its module %s is not there (%s); compile it",
                 name, modules->item[i]->text, beam);
        free(beam);
        app->module[app->modules++] = modules->item[i]->text;
    }
    if (app->modules > 1)
        qsort(app->module, app->modules, sizeof *app->module, by_name);
    return app;
}

/* --- directories of the user --- */

static bool add_ebin(struct apps *a, const char *dir)
{
    size_t n;
    char **names;
    bool found = false;

    if (!is_directory(dir))
        return false;
    names = list_directory(dir, &n);
    for (size_t i = 0; i < n; i++) {
        struct app *app;

        if (!ends_with(names[i], ".app"))
            continue;
        names[i][strlen(names[i]) - 4] = 0;
        app = read_app(dir, names[i], false);
        found = true;
        for (size_t k = 0; k < a->knowns; k++)
            if (strcmp(a->known[k]->name, app->name) == 0)
                fail(EXIT_TOOL, "cannot pack two applications called %s: %s and %s",
                     app->name, a->known[k]->dir, dir);
        a->known = reallocate(a->known, (a->knowns + 1) * sizeof *a->known);
        a->known[a->knowns++] = app;
    }
    return found;
}

static bool add_lib(struct apps *a, const char *lib)
{
    bool found = false;
    size_t n;
    char **names;

    if (!is_directory(lib))
        return false;
    names = list_directory(lib, &n);
    for (size_t i = 0; i < n; i++)
        found |= add_ebin(a, format("%s/%s/ebin", lib, names[i]));
    return found;
}

void apps_add_directory(struct apps *a, const char *dir)
{
    if (!is_directory(dir))
        fail(EXIT_TOOL, "cannot pack %s: %s", dir, strerror(errno ? errno : ENOTDIR));
    if (add_ebin(a, dir) || add_ebin(a, format("%s/ebin", dir)) ||
        add_lib(a, format("%s/_build/default/lib", dir)) ||
        add_lib(a, format("%s/lib", dir)))
        return;
    fail(EXIT_TOOL, "cannot pack %s: no .app file in it, in its ebin, in _build/default/lib "
         "or in lib; compile it first", dir);
}

/* --- dependencies --- */

/* The version with the largest numbers, of <lib>/<name>-<version>. */
static int compare_versions(const char *a, const char *b)
{
    while (*a && *b) {
        char *ea, *eb;
        unsigned long x = strtoul(a, &ea, 10), y = strtoul(b, &eb, 10);

        if (ea == a || eb == b)
            return strcmp(a, b);
        if (x != y)
            return x < y ? -1 : 1;
        a = ea + (*ea == '.');
        b = eb + (*eb == '.');
    }
    return *a ? 1 : *b ? -1 : 0;
}

static struct app *find_in_otp(const struct apps *a, const char *name)
{
    size_t n, length = strlen(name);
    char **names = list_directory(a->otp_lib, &n);
    const char *best = NULL;

    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], name, length) != 0)
            continue;
        if (names[i][length] != 0 && names[i][length] != '-')
            continue;
        if (names[i][length] == '-' && names[i][length + 1] >= 'a')
            continue;
        if (!is_file(format("%s/%s/ebin/%s.app", a->otp_lib, names[i], name)))
            continue;
        if (!best || compare_versions(best + length + (best[length] == '-'),
                                      names[i] + length + (names[i][length] == '-')) < 0)
            best = names[i];
    }
    if (!best)
        return NULL;
    return read_app(format("%s/%s/ebin", a->otp_lib, best), name, true);
}

static struct app *find(struct apps *a, const char *name)
{
    struct app *app = NULL;

    for (size_t i = 0; i < a->knowns && !app; i++)
        if (strcmp(a->known[i]->name, name) == 0)
            return a->known[i];
    app = find_in_otp(a, name);
    if (app) {
        a->known = reallocate(a->known, (a->knowns + 1) * sizeof *a->known);
        a->known[a->knowns++] = app;
    }
    return app;
}

/* Depth first; the chain is what is open, for messages and cycles. */
static void want(struct apps *a, const char *name, struct app **chain, size_t depth,
                 bool optional)
{
    static const char *const keys[] = {"applications", "included_applications"};
    struct app *app = find(a, name);
    const struct term *opt;

    if (!app && optional)
        return;
    if (!app) {
        if (depth)
            fail(EXIT_TOOL, "cannot pack %s: it needs the application %s, which is neither "
                 "in the directories given nor in %s", chain[depth - 1]->name, name,
                 a->otp_lib);
        fail(EXIT_TOOL, "cannot pack the application %s: it is not in %s", name, a->otp_lib);
    }
    if (app->state == STATE_DONE)
        return;
    if (app->state == STATE_OPEN || depth == CHAIN_MAX) {
        struct buffer b = {0};
        size_t i = 0;

        while (i < depth && chain[i] != app)
            i++;
        for (; i < depth; i++)
            buffer_text(&b, "%s needs ", chain[i]->name);
        buffer_text(&b, "%s", app->name);
        buffer_add(&b, "", 1);
        fail(EXIT_TOOL, "cannot order the applications: they depend on each other in a "
             "circle: %s; remove one from `applications` in a .app file", (char *)b.p);
    }
    app->state = STATE_OPEN;
    chain[depth] = app;
    opt = term_lookup(app->term->item[2], "optional_applications");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const struct term *list = term_lookup(app->term->item[2], keys[k]);

        for (size_t i = 0; list && i < list->n; i++) {
            bool is_optional = false;

            if (!term_is_list(list) || list->item[i]->kind != TERM_ATOM)
                fail(EXIT_TOOL, "cannot use %s/%s.app: its %s are not a list of atoms",
                     app->dir, app->name, keys[k]);
            for (size_t o = 0; opt && term_is_list(opt) && o < opt->n; o++)
                is_optional |= term_is_atom(opt->item[o], list->item[i]->text);
            want(a, list->item[i]->text, chain, depth + 1, is_optional);
        }
    }
    app->state = STATE_DONE;
    a->app = reallocate(a->app, (a->n + 1) * sizeof *a->app);
    a->app[a->n++] = app;
}

void apps_want(struct apps *a, const char *name)
{
    struct app *chain[CHAIN_MAX];

    want(a, name, chain, 0, false);
}

void apps_order(struct apps *a)
{
    size_t users = a->knowns;

    apps_want(a, "kernel");
    apps_want(a, "stdlib");
    for (size_t i = 0; i < users; i++)
        apps_want(a, a->known[i]->name);
}
