/*
 * copies.h - copies of an image, started and measured from outside: what burst
 * and bench share.
 *
 * A copy has answered when its first line came out or, with starter.http, when
 * the first page did. It is a tender of its own, and goes on until copies_end().
 */
#ifndef TOOL_COPIES_H
#define TOOL_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ANSWER_SECONDS 60       /* how long is waited for one */

struct copy {
    pid_t pid;                  /* 0: it ended */
    int out, go;                /* -1: closed */
    int client;                 /* its connection to the published port; -1: none */
    unsigned port;
    double answered;            /* ms; 0: not yet */
};

struct starter {
    const char *image;
    char *tender;
    bool process, pool;
    uint16_t http;              /* ask this port of the instance; 0: wait for a line */
    uint64_t mem_bytes;
    int report_fd;              /* -1: none */
};

double now_ms(void);

/* Each fails, with a message, if the machine does not give what it takes. */
void copy_start(const struct starter *s, struct copy *c);
/* Of a pool: until each is ready to go. */
void copies_ready(struct copy *c, size_t n);
/* With s->http: a request to it, whatever it does yet. */
void copy_ask(const struct starter *s, struct copy *c);
/* A request to c->port of this host; false: nobody listens (errno). */
bool copy_try(struct copy *c);
/* Where its answer comes; once readable, copy_answer(): 1, 0 not yet, -1 it ended. */
static inline int copy_fd(const struct starter *s, const struct copy *c)
{
    return s->http ? c->client : c->out;
}
int copy_answer(const struct starter *s, struct copy *c, double start);
/* Until each has answered or ended; how many did answer. */
size_t copies_answer(const struct starter *s, struct copy *c, size_t n, double start);
void copies_end(struct copy *c, size_t n);

double available_kib(void);     /* of the machine; -1: not to be had */
/* Of a tender; of an instance in a process, that is its child. */
double private_dirty_kib(pid_t pid, bool process);
/* Processor time of the tenders so far; their children's is in it once reaped. */
double cpu_ms(const struct copy *c, size_t n);
void sort_values(double *v, size_t n);
double percentile(const double *sorted, size_t n, unsigned percent);

/* Of command lines; each fails, with a message. */
unsigned long parse_count(const char *s);
uint16_t parse_port(const char *option, const char *s);
bool parse_on(const char *on);  /* true: as processes. NULL: what there is */
void check_image(const char *path);
void raise_descriptors(void);

#endif
