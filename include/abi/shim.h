/*
 * shim.h - between the shim in an image and what started the foreign VMM
 * (QEMU) around it: a struct shim_boot as the first module (initrd), and a
 * control line on the second serial port: a byte SHIM_TERMINATE goes in, one
 * struct shim_record comes out at the end.
 */
#ifndef ABI_SHIM_H
#define ABI_SHIM_H

#include "abi/guest.h"

#define SHIM_BOOT_MAGIC     0x31544f4f42474e4c      /* "LNGBOOT1" */
#define SHIM_RECORD_MAGIC   0x31434552474e494c      /* "LINGREC1" */
#define SHIM_TERMINATE      'T'

#define SHIM_COM1           0x3f8       /* console */
#define SHIM_COM2           0x2f8       /* control */
#define SHIM_EXIT_PORT      0xf4        /* isa-debug-exit */

struct shim_boot {
    uint64_t magic;
    uint64_t info_bytes;        /* what follows: guest_info, strings */
    uint8_t seed[32];
};

struct shim_record {
    uint64_t magic;
    uint32_t kind, status;      /* enum guest_exit */
    uint64_t exits;
    uint64_t tsc;               /* now, by the guest's own count */
    uint64_t mark[MARKS];
    struct guest_fault fault;
};

#endif
