/*
 * tree.c - collect files, sort them, write them as an image's tree.
 */
#include "tree.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY_DEPTH 40      /* below one that is added whole */

static struct tree_file *add(struct tree *t, const char *path)
{
    if (t->n == t->room) {
        t->room = t->room ? t->room * 2 : 256;
        t->file = reallocate(t->file, t->room * sizeof *t->file);
    }
    t->file[t->n] = (struct tree_file){.path = format("%s", path)};
    return &t->file[t->n++];
}

struct tree_file *tree_add(struct tree *t, const char *path, uint8_t *data, size_t n)
{
    struct tree_file *f = add(t, path);

    f->data = data;
    f->n = n;
    return f;
}

static void add_below(struct tree *t, const char *path, const char *from, int depth)
{
    size_t n;
    char **names;

    if (depth > DIRECTORY_DEPTH)
        fail(EXIT_TOOL, "cannot pack %s: its directories go round in a circle", from);
    names = list_directory(from, &n);
    for (size_t i = 0; i < n; i++) {
        char *to = format("%s/%s", path, names[i]);
        char *name = format("%s/%s", from, names[i]);

        if (is_directory(name)) {
            add_below(t, to, name, depth + 1);
        } else if (is_file(name)) {
            size_t bytes;
            uint8_t *data = read_file(name, &bytes);

            tree_add(t, to, data, bytes);
        }
        free(to);
        free(name);
    }
}

void tree_add_directory(struct tree *t, const char *path, const char *from)
{
    add_below(t, path, from, 0);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct tree_file *)a)->path,
                  ((const struct tree_file *)b)->path);
}

static void sort(struct tree *t)
{
    if (t->n > 1)
        qsort(t->file, t->n, sizeof *t->file, by_path);
    for (size_t i = 1; i < t->n; i++)
        if (strcmp(t->file[i].path, t->file[i - 1].path) == 0 && t->file[i].data)
            fail(EXIT_TOOL, "cannot pack two files as %s", t->file[i].path);
}

void tree_inputs(struct tree *t, struct buffer *list, uint8_t id[32])
{
    struct sha256 all;
    char text[65];

    sort(t);
    for (size_t i = 0; i < t->n; i++) {
        struct sha256 s;
        uint8_t hash[32];

        sha256_init(&s);
        sha256_add(&s, t->file[i].data, t->file[i].n);
        sha256_end(&s, hash);
        sha256_text(hash, text);
        buffer_text(list, "%s %zu %s\n", text, t->file[i].n, t->file[i].path);
    }
    sha256_init(&all);
    sha256_add(&all, list->p, list->n);
    sha256_end(&all, id);
}

/* An entry for every directory on the way to a file, once each. */
static void add_directories(struct tree *t)
{
    size_t files = t->n, kept;

    add(t, "/");
    for (size_t i = 0; i < files; i++) {
        char *path = format("%s", t->file[i].path), *slash;

        while ((slash = strrchr(path, '/')) != NULL && slash != path) {
            *slash = 0;
            add(t, path);
        }
        free(path);
    }
    qsort(t->file, t->n, sizeof *t->file, by_path);
    kept = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (kept > 0 && strcmp(t->file[i].path, t->file[kept - 1].path) == 0) {
            if (t->file[i].data || t->file[kept - 1].data)
                fail(EXIT_TOOL, "cannot pack %s both as a file and as a directory",
                     t->file[i].path);
            continue;
        }
        t->file[kept++] = t->file[i];
    }
    t->n = kept;
}

void tree_write(struct tree *t, struct buffer *b)
{
    struct tree_header h = {.magic = TREE_MAGIC};
    struct tree_entry *e;
    struct buffer names = {0};
    uint64_t at;

    add_directories(t);
    e = allocate(t->n * sizeof *e);
    for (size_t i = 0; i < t->n; i++) {
        e[i].path = (uint32_t)names.n;
        e[i].type = t->file[i].data ? TREE_FILE : TREE_DIRECTORY;
        e[i].flags = (uint16_t)t->file[i].flags;
        buffer_add(&names, t->file[i].path, strlen(t->file[i].path) + 1);
    }
    at = sizeof h + t->n * sizeof *e + names.n;
    for (size_t i = 0; i < t->n; i++) {
        at = (at + 15) & ~(uint64_t)15;
        e[i].data = at;
        e[i].bytes = e[i].stored = t->file[i].n;
        at += t->file[i].n;
    }
    h.bytes = at;
    h.entries = (uint32_t)t->n;
    h.strings_bytes = (uint32_t)names.n;
    buffer_add(b, &h, sizeof h);
    buffer_add(b, e, t->n * sizeof *e);
    buffer_add(b, names.p, names.n);
    for (size_t i = 0; i < t->n; i++) {
        buffer_align(b, 16);
        if (t->file[i].n)
            buffer_add(b, t->file[i].data, t->file[i].n);
    }
    free(e);
    free(names.p);
}
