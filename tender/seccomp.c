/*
 * seccomp.c - system call filters, built from conditions on arguments.
 */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>

#include "tender.h"

#define RULES 512

struct filter {
    struct sock_filter rule[RULES];
    unsigned n;
};

static void add(struct filter *f, uint16_t code, uint32_t k, unsigned jt, unsigned jf)
{
    if (f->n == RULES)
        die(EXIT_TOOL, "cannot build the system call filter: it is too long");
    f->rule[f->n++] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

static void load(struct filter *f, size_t offset)
{
    add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void kill_unless(struct filter *f, size_t offset, uint32_t mask, uint32_t v)
{
    load(f, offset);
    add(f, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(f, BPF_JMP | BPF_JEQ | BPF_K, v, 1, 0);
    add(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
}

struct filter *filter_new(uint64_t only_page)
{
    struct filter *f = calloc(1, sizeof *f);
    const size_t ip = offsetof(struct seccomp_data, instruction_pointer);

    if (!f)
        die(EXIT_TOOL, "cannot build the system call filter: out of memory");
    kill_unless(f, offsetof(struct seccomp_data, arch), ~0u, AUDIT_ARCH_X86_64);
    if (only_page) {
        kill_unless(f, ip + 4, ~0u, (uint32_t)(only_page >> 32));
        kill_unless(f, ip, ~4095u, (uint32_t)only_page);
    }
    return f;
}

/*
 * Allow the call if every condition holds. A condition takes five or six
 * instructions; each of them leaves for the next rule by a relative jump over
 * what remains of this one, so the length is known beforehand.
 *
 * BPF compares 32 bits. Ranges must therefore either have one high word, or
 * span whole high words (low 0 to high 0xffffffff), which all of ours do.
 */
void filter_allow(struct filter *f, unsigned nr, int n, const struct cond *c)
{
    unsigned left = 0;

    for (int i = 0; i < n; i++)
        left += c[i].low == c[i].high || c[i].low >> 32 == c[i].high >> 32 ? 6 : 3;
    left++;
    load(f, offsetof(struct seccomp_data, nr));
    add(f, BPF_JMP | BPF_JEQ | BPF_K, nr, 0, left);
    for (int i = 0; i < n; i++) {
        size_t at = offsetof(struct seccomp_data, args) + 8 * c[i].arg;
        uint32_t low_hi = (uint32_t)(c[i].low >> 32);
        uint32_t high_hi = (uint32_t)(c[i].high >> 32);

        load(f, at + 4);
        add(f, BPF_JMP | BPF_JGE | BPF_K, low_hi, 0, left -= 2);
        add(f, BPF_JMP | BPF_JGT | BPF_K, high_hi, --left, 0);
        if (low_hi != high_hi)
            continue;
        load(f, at);
        add(f, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)c[i].low, 0, left -= 2);
        add(f, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)c[i].high, --left, 0);
    }
    add(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

void filter_program(struct filter *f, struct sock_fprog *out)
{
    add(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    *out = (struct sock_fprog){(unsigned short)f->n, f->rule};
}
