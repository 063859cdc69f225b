/*
 * info.c - kindling info: what an image is and what makes it large.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elfimage.h"
#include "kindling.h"
#include "seal.h"
#include "view.h"

static const char help[] =
"usage: kindling info [--inputs] [--licences] IMAGE\n"
"\n"
"Says what an image holds: its hash, how it starts, what it needs, and how large\n"
"its parts are. --inputs lists every file with its SHA-256, --licences the\n"
"licences of what was built in. A damaged image is refused: every byte is checked.\n"
"\n"
"  kindling info hello.img\n"
"  kindling info --inputs hello.img | grep hello\n";

static void print_file(const struct tree_view *v, const char *path)
{
    for (uint32_t i = 0; i < v->h->entries; i++)
        if (strcmp(v->names + v->e[i].path, path) == 0)
            fwrite(v->base + v->e[i].data, 1, v->e[i].stored, stdout);
}

/* The part of a path that names what it belongs to. */
static size_t group_of(const char *path)
{
    size_t n = strlen(path);
    const char *lib = "/otp/lib/", *p;

    if (strncmp(path, lib, strlen(lib)) == 0) {
        p = strchr(path + strlen(lib), '/');
        return p ? (size_t)(p - path) : n;
    }
    p = strchr(path + 1, '/');
    p = p ? strchr(p + 1, '/') : NULL;
    return p ? (size_t)(p - path) : n;
}

static void print_groups(const struct tree_view *v)
{
    uint32_t i = 0;

    while (i < v->h->entries) {
        const char *path = v->names + v->e[i].path;
        size_t n = group_of(path);
        uint64_t bytes = 0, files = 0;

        for (; i < v->h->entries; i++) {
            const char *p = v->names + v->e[i].path;

            if (group_of(p) != n || strncmp(p, path, n) != 0)
                break;
            bytes += v->e[i].stored;
            files += v->e[i].type == TREE_FILE;
        }
        if (files > 0)
            printf("  %-36.*s %9.1f KiB %5" PRIu64 " files\n", (int)n, path,
                   (double)bytes / 1024, files);
    }
}

int info_main(int argc, char **argv)
{
    static const struct option known[] = {
        {"inputs", no_argument, NULL, 'i'},
        {"licences", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool inputs = false, lic = false, tree;
    const struct image_header *h;
    struct tree_view v = {0};
    struct image im;
    const char *s;
    char why[200], id[65];
    int c;

    while ((c = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
        switch (c) {
        case 'i': inputs = true; break;
        case 'l': lic = true; break;
        case 'h': fputs(help, stdout); return 0;
        default: fail(EXIT_TOOL, "cannot say: see `kindling info --help`");
        }
    }
    if (optind != argc - 1)
        fail(EXIT_TOOL, "cannot say: name one image; see `kindling info --help`");
    if (image_open(argv[optind], &im, why, sizeof why) < 0)
        fail(EXIT_IMAGE, "cannot read %s: %s", argv[optind], why);
    if (!seal_intact(&im, argv[optind]))
        fail(EXIT_IMAGE, "cannot trust %s: it is damaged, not what was built; build or "
             "copy it again", argv[optind]);
    h = &im.header;
    tree = h->tree_bytes > 0;
    if (tree && view_open(&v, &im) < 0)
        fail(EXIT_IMAGE, "cannot read %s: its files are damaged", argv[optind]);
    if (inputs || lic) {
        if (tree && inputs)
            print_file(&v, h->text + h->inputs);
        if (tree && lic)
            print_file(&v, "/otp/LICENCES");
        return 0;
    }
    sha256_text(h->id, id);
    printf("%s\n", argv[optind]);
    printf("  id        %s\n", id);
    printf("  format    image %u, guest %u, x86-64-v%u\n", h->version, h->guest_version,
           h->cpu);
    printf("  base      %#" PRIx64 "\n", im.base);
    printf("  memory    %" PRIu64 " MiB unless --mem says otherwise\n",
           h->mem_default >> 20);
    printf("  code      %s\n", h->code_bytes ? "can be made at run time" : "sealed");
    printf("  kind      %s%s\n", h->flags & IMAGE_BAKED ? "as a running instance left it"
                                                        : "boots from its files",
           h->flags & IMAGE_SHELL ? ", with a shell" : "");
    printf("  command  ");
    s = h->text + h->args;
    for (uint32_t i = 0; i < h->argc; i++, s += strlen(s) + 1)
        printf(strpbrk(s, " '\"") ? " \"%s\"" : " %s", s);
    printf("\n\n  %-36s %9.1f KiB\n", "whole file", (double)im.file_bytes / 1024);
    for (int i = 0; i < im.segs; i++) {
        const struct segment *g = &im.seg[i];
        bool files = tree && h->tree >= g->va && h->tree - g->va < g->mem_bytes;

        printf("  %-36s %9.1f KiB\n",
               files                ? "files"
               : g->flags & PF_X    ? "ling: code"
               : !(g->flags & PF_W) ? "ling: constants"
               : g->va >= im.base + GUEST_ARENA ? "heap" : "ling: data",
               (double)g->file_bytes / 1024);
    }
    if (tree) {
        printf("\n");
        print_groups(&v);
    }
    return 0;
}
