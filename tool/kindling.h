/*
 * kindling.h - what the files of the kindling command share.
 */
#ifndef TOOL_KINDLING_H
#define TOOL_KINDLING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/guest.h"
#include "abi/image.h"

#define KINDLING_VERSION "0.1"

/*
 * One line to stderr, "kindling: cannot ...", and exit(status). It says what
 * was tried, on what, why it failed and, where that helps, what to do.
 */
_Noreturn void fail(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Run before fail() exits: files that must not stay half-written. */
void on_fail_remove(const char *path);          /* NULL: none any more */

void *allocate(size_t n);                       /* zeroed; never NULL */
void *reallocate(void *p, size_t n);
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct buffer {
    uint8_t *p;
    size_t n, room;
};
void buffer_add(struct buffer *b, const void *p, size_t n);
void buffer_text(struct buffer *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_align(struct buffer *b, size_t to);

/* 1 to 1000000; ends the program if it is none. */
unsigned parse_seconds(const char *option, const char *s);
/* Bytes: a number, K, M or G behind it. */
uint64_t parse_size(const char *option, const char *s);

/* A whole file, NUL added; ends the program if it can't be read. */
uint8_t *read_file(const char *path, size_t *n);
bool is_directory(const char *path);
bool is_file(const char *path);
/* Names in a directory, sorted by bytes, without those that begin with '.'. */
char **list_directory(const char *path, size_t *n);

/* A file of ours: beside the command, or where `make install` puts it. */
char *find_part(const char *name);

struct sha256 {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};
void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *p, size_t n);
void sha256_end(struct sha256 *s, uint8_t out[32]);
void sha256_text(const uint8_t hash[32], char out[65]);

/* The commands: argv[0] is the command's name. */
int build_main(int argc, char **argv);
int run_main(int argc, char **argv);
int info_main(int argc, char **argv);
int bake_main(int argc, char **argv);
int ps_main(int argc, char **argv);
int stop_main(int argc, char **argv);
int logs_main(int argc, char **argv);
int burst_main(int argc, char **argv);
int bench_main(int argc, char **argv);
int dump_main(int argc, char **argv);
int uplink_main(int argc, char **argv);

/*
 * bake.c: run `from` as a process that writes itself out as `path`; info (a
 * struct guest_info) may be NULL, consume: `from` is removed. Returns the size;
 * on failure ends the program, with a line that begins with `what`.
 */
size_t bake_image(const char *from, bool consume, const char *path, const struct guest_info *info,
                  unsigned seconds, const char *what);

/* qemu.c: run with the info that would go to the tender. */
struct network;
struct run_options {
    const char *image;
    const struct network *network;      /* joined; NULL: none */
    uint64_t mem_bytes;
    bool boot_times, tcg;
    int report_fd;
    uint64_t start_tsc;
};
int run_qemu(const struct run_options *o, const void *info, size_t n);

#endif
