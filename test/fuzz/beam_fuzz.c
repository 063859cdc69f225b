/*
 * beam_fuzz.c - the loader takes any bytes: code or a reason, never a crash,
 * and what it allocated for a refused file is given back.
 */
#include "op/code.h"
#include "vm/boot.h"
#include "vm/module.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    boot_init();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char why[256];
    struct code *c = code_prepare(data, n, why);

    if (c)
        code_free(c);
    else if (!why[0])
        vm_bug("a .beam was refused without a reason");
    return 0;
}
