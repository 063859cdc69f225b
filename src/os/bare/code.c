/*
 * code.c - the code window of the bare machine: made by the builder's leave,
 * and present once asked for. What is made while an image is built stays in the
 * image, where nothing can write it any more; the window then is another one.
 */
#include "os/bare/bare.h"
#include "os/os.h"

#include <string.h>

bool os_cpu_has(const char *level) { return strcmp(level, "x86-64") == 0; }

const char *os_code_window(struct os_code *w)
{
    int64_t r;

    if (guest_info->code_bytes == 0)
        return "the image is sealed: no code can be made at run time";
    r = gate(GATE_CODE, 0, 0, 0);
    if (r < 0)
        return "the machine refuses";
    *w = (struct os_code){(uint8_t *)guest_info->code_at,
                          (uint8_t *)(GUEST_BASE + GUEST_CODE_W),
                          guest_info->code_bytes};
    return NULL;
}

void os_code_written(void) { bare_serialise(); }
