/*
 * report.c - how an instance ended and where its boot went.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tender.h"

static const char *const kind_name[] = {
    [GUEST_EXIT_NONE] = "unknown",     [GUEST_EXIT_HALT] = "halt",
    [GUEST_EXIT_BUG] = "vm_bug",       [GUEST_EXIT_NO_MEMORY] = "no_memory",
    [GUEST_EXIT_FAULT] = "fault",      [GUEST_EXIT_START] = "not_started",
};

static const char *vector_name(uint64_t v)
{
    static const char *const name[] = {
        [0] = "division by zero",   [1] = "debug trap",
        [3] = "breakpoint",         [4] = "overflow",
        [6] = "invalid instruction", [8] = "double fault",
        [13] = "protection fault",  [14] = "page fault",
        [16] = "floating point",    [17] = "misaligned access",
        [19] = "SIMD floating point",
    };

    return v < sizeof name / sizeof *name && name[v] ? name[v] : "fault";
}

static const char *const reg_name[16] = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15",
};

static void print_fault(const struct guest_fault *f)
{
    char what[80] = "";

    if (f->vector == 14)
        snprintf(what, sizeof what, ": %s of %#" PRIx64 ", which is %s",
                 f->error & 16 ? "execution" : f->error & 2 ? "write" : "read",
                 f->address, f->error & 1 ? "protected" : "not there");
    fprintf(stderr, "kindling: guest fault: %s%s, at %#" PRIx64 "\n",
            vector_name(f->vector), what, f->rip);
    fprintf(stderr, "  vector %" PRIu64 " error %#" PRIx64 " rip %016" PRIx64
            " rsp %016" PRIx64 " cr2 %016" PRIx64 "\n",
            f->vector, f->error, f->rip, f->rsp, f->address);
    for (int i = 0; i < 16; i++)
        fprintf(stderr, "%s%3s %016" PRIx64 "%s", i % 4 ? " " : "  ", reg_name[i],
                f->regs[i], i % 4 == 3 ? "\n" : "");
}

void note_output(struct tender *t)
{
    if (t->output_seen)
        return;
    t->output_seen = true;
    t->exits_at_output = t->exits;
    t->faults_at_output = page_faults() - t->faults_base;
}

struct step {
    const char *name;
    uint64_t tsc;
};

/* Milliseconds since the tool began; 0 where the stamp makes no sense. */
static double ms_since_start(const struct tender *t, uint64_t tsc)
{
    return tsc < t->opt.start_tsc
               ? 0
               : (double)(tsc - t->opt.start_tsc) * 1e3 / (double)t->tsc_hz;
}

static int steps(const struct tender *t, struct step *s)
{
    static const char *const name[] = {
        [MARK_ENTRY] = "guest entered",
        [MARK_LIBC] = "C library ready",
        [MARK_VM] = "VM ready",
        [MARK_ERLANG] = "first Erlang instruction",
        [MARK_BOOTED] = "boot script done",
        [MARK_OUTPUT] = "first output",
    };
    int n = 0;

    s[n++] = (struct step){"tender ready", t->ran_tsc};
    for (unsigned i = 0; i < sizeof name / sizeof *name; i++) {
        uint64_t tsc = t->window->mark[i];

        if (tsc)
            s[n++] = (struct step){name[i], tsc};
    }
    return n;
}

static void print_boot_times(const struct tender *t)
{
    struct step s[MARKS + 1];
    int n = steps(t, s);
    double before = 0;

    fprintf(stderr, "%-26s %10s %10s\n", "boot", "at ms", "took ms");
    for (int i = 0; i < n; i++) {
        double at = ms_since_start(t, s[i].tsc);

        fprintf(stderr, "%-26s %10.3f %10.3f\n", s[i].name, at, at - before);
        before = at;
    }
    if (!t->opt.process)
        fprintf(stderr,
                "until then %" PRIu64 " exits, %" PRIu64 " pages touched first\n",
                t->exits_at_output, t->faults_at_output);
}

static void write_report(const struct tender *t, const struct outcome *o)
{
    FILE *f = fdopen(t->opt.report_fd, "w");
    struct step s[MARKS + 1];
    int n = steps(t, s);

    if (!f)
        return;
    fprintf(f, "{\"status\": %d, \"reason\": \"%s\", \"mode\": \"%s\"", o->status,
            o->killed ? "killed" : kind_name[o->kind],
            t->mode);
    if (o->detail)
        fprintf(f, ",\n \"detail\": \"%s\"", o->detail);
    if (o->kind == GUEST_EXIT_FAULT) {
        fprintf(f, ",\n \"fault\": {\"vector\": %" PRIu64 ", \"error\": %" PRIu64
                ", \"rip\": \"%#" PRIx64 "\", \"rsp\": \"%#" PRIx64
                "\", \"address\": \"%#" PRIx64 "\"", o->fault.vector,
                o->fault.error, o->fault.rip, o->fault.rsp, o->fault.address);
        for (int i = 0; i < 16; i++)
            fprintf(f, ", \"%s\": \"%#" PRIx64 "\"", reg_name[i], o->fault.regs[i]);
        fputc('}', f);
    }
    fprintf(f, ",\n \"exits\": %" PRIu64 ", \"pages\": %" PRIu64 ", \"boot\": {", t->exits,
            page_faults() - t->faults_base);
    for (int i = 0; i < n; i++)
        fprintf(f, "%s\"%s\": %.3f", i ? ", " : "", s[i].name,
                ms_since_start(t, s[i].tsc));
    if (!t->opt.process)
        fprintf(f, ", \"exits\": %" PRIu64 ", \"pages\": %" PRIu64,
                t->exits_at_output, t->faults_at_output);
    fprintf(f, "}}\n");
    if (fclose(f) != 0)
        fprintf(stderr, "kindling: cannot write the report\n");
}

int report(struct tender *t, const struct outcome *o)
{
    restore_terminal();
    if (o->detail)
        fprintf(stderr, "kindling: %s: %s\n", t->opt.image_path, o->detail);
    if (o->kind == GUEST_EXIT_FAULT && !o->detail)
        print_fault(&o->fault);
    if (t->opt.boot_times)
        print_boot_times(t);
    if (t->opt.report_fd >= 0)
        write_report(t, o);
    return o->status;
}
