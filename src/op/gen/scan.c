/*
 * scan.c - count the instructions and operand kinds that .beam files need.
 *
 *    build/opscan FILE.beam... > counts
 *
 * Prints "name kinds count", kinds "-" where an instruction has no places; a
 * maintainer keeps it, with the count's logarithm, as src/op/combos.txt (make combos).
 */
#include <stdio.h>
#include <stdlib.h>

#include "bif/bif.h"
#include "op/code.h"
#include "op/emit.h"
#include "vm/boot.h"

static struct count {
    uint32_t op, kinds, places;
    uint64_t n;
} *counts;
static size_t ncounts, size;

static void observe(enum op op, uint32_t kinds, unsigned places)
{
    for (size_t i = 0; i < ncounts; i++) {
        if (counts[i].op == op && counts[i].kinds == kinds) {
            counts[i].n++;
            return;
        }
    }
    if (ncounts == size) {
        size = size ? 2 * size : 1024;
        counts = realloc(counts, size * sizeof *counts);
        if (!counts)
            abort();
    }
    counts[ncounts++] = (struct count){op, kinds, places, 1};
}

int main(int argc, char **argv)
{
    boot_init();
    emit_init();
    emit_observer = observe;
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        char why[256];

        if (!f) {
            perror(argv[i]);
            return 1;
        }
        fseek(f, 0, SEEK_END);
        long n = ftell(f);
        rewind(f);
        uint8_t *bytes = malloc((size_t)n + 1);
        if (!bytes || fread(bytes, 1, (size_t)n, f) != (size_t)n)
            return 1;
        fclose(f);
        /* Each has instructions that the other has not. */
        for (int native = 0; native < 2; native++) {
            code_native = native;
            struct code *c = code_prepare(bytes, (size_t)n, why);
            if (!c)
                fprintf(stderr, "%s: %s\n", argv[i], why);
            else
                code_free(c);
        }
        free(bytes);
    }
    for (size_t i = 0; i < ncounts; i++) {
        printf("%s ", op_infos[counts[i].op].name);
        if (!counts[i].places)
            putchar('-');
        for (uint32_t k = 0; k < counts[i].places; k++)
            putchar("012345XYCSJG"[counts[i].kinds >> 4 * k & 15]);
        printf(" %lu\n", (unsigned long)counts[i].n);
    }
    return 0;
}
