/*
 * guest.h - all that a guest and what runs it agree on. What runs it is the
 * tender (KVM), the shim (ring 0 under a foreign VMM) or the process loader;
 * the same ELF file runs under each, and below they are "the loader".
 *
 * A guest runs at CPL3 and executes no privileged instruction, no `syscall`,
 * no `cpuid`. All it wants of the world it asks for through one function, the
 * gate. It starts at the ELF entry with rsp in its stack, rdi at the struct
 * guest_info, fs and the FPU undefined.
 *
 * Addresses. Everything lies above one base, in one PML4 slot of 1 to 127
 * (slot 0 is ring 0's, and the higher ones are where Linux puts things):
 *
 *     base + 0            IMAGE   segments of the ELF file
 *     base + 512 MiB      GATE    the gate's code, R X
 *                         INFO    struct guest_info, arguments, R
 *                         WINDOW  shared with the outside, RW
 *                         NET     frame rings (net.h), RW, if any
 *                         STACK   of the C code, RW; absent below it
 *                         CODE    code made when the image was built, R X
 *                         CODE_X  code made at run time, R X, absent at first;
 *                                 while an image is built, it goes behind CODE
 *                         CODE_W  the same pages, RW, absent at first
 *     base + 4 GiB        ARENA   heap, RW, absent until GATE_MEMORY
 *
 * All else is absent for ever. A mapping goes from absent to present, never
 * back, and its permission never changes: hosts exist on which a live change
 * of the tables silently does nothing.
 *
 * Guest-physical addresses are nobody's business but the loader's, except that
 * the segments of the file lie at their p_paddr: `base` at GUEST_IMAGE_PA, the
 * rest compactly above; the first MiB is the tender's, the second the shim's.
 *
 * Any change here raises GUEST_VERSION.
 */
#ifndef ABI_GUEST_H
#define ABI_GUEST_H

#define GUEST_VERSION   5

/* The base of images that name no other; any 4 GiB boundary in its slot. */
#ifndef GUEST_BASE
#define GUEST_BASE      0x200000000000
#endif
#define GUEST_BASE_MIN  0x008000000000
#define GUEST_BASE_MAX  0x400000000000

#define GUEST_IMAGE_PA  0x200000
#define GUEST_SHIM_PA   0x100000

/* Offsets from the base, and the most that may lie there. */
#define GUEST_IMAGE     0x00000000
#define GUEST_IMAGE_MAX 0x20000000
#define GUEST_GATE      0x20000000
#define GUEST_GATE_SIZE 0x1000
#define GUEST_SIGSTACK  0x20010000      /* process only: for its signals */
#define GUEST_SIGSTACK_SIZE 0x10000
#define GUEST_INFO      0x20200000
#define GUEST_INFO_MAX  0x800000
#define GUEST_WINDOW    0x21000000
#define GUEST_WINDOW_SIZE 0x10000
#define GUEST_NET       0x21100000      /* struct net_port, if it has one */
#define GUEST_STACK     0x22000000      /* its lowest byte */
#define GUEST_STACK_SIZE 0x100000
#define GUEST_CODE      0x28000000
#define GUEST_CODE_X    0x2c000000
#define GUEST_CODE_W    0x30000000
#define GUEST_CODE_MAX  0x4000000
#define GUEST_ARENA     0x100000000
#define GUEST_ARENA_SIZE 0x1000000000

/* Memory of the arena comes in multiples of this. */
#define GUEST_CHUNK     0x200000

/*
 * Operations of the gate: gate(op, a, b, c) returns 0 or more, or a negative
 * Linux errno. It is a C call that also preserves the SSE registers and fs.
 */
#define GATE_EXIT       0   /* a: status, all 8 bits; b: enum guest_exit */
#define GATE_WRITE      1   /* a: 1 or 2; b, c: bytes. All of them or an error */
#define GATE_READ       2   /* b, c: room. Console input, or -EAGAIN; 0 at its end */
#define GATE_WAIT       3   /* a: monotonic ns; b: WAIT_*. Which of b is true */
#define GATE_MEMORY     4   /* a, b: range of the arena to make present, zeroed */
#define GATE_RELEASE    5   /* a, b: its memory goes back; reads as zero again */
#define GATE_CODE       6   /* make the code window present */
#define GATE_EMIT       7   /* a, b: append to the image being built */

#define GATE_READY      8   /* of a pool: returns when it is to go on; the clock
                               and the seed are of then */

#define WAIT_INPUT      1   /* GATE_READ would not say -EAGAIN */
#define WAIT_SIGNAL     2   /* guest_window.terminate went up */
#define WAIT_NET        4   /* the switch put a frame while its ring said "sleeps" */
#define WAIT_KICK       8   /* and first wake the switch; never true */

/* Where the gate of the tender leads, and that of the shim (`ud2`). */
#define GUEST_PORT      0x10

/* Selectors as in Linux: some hosts' ring 3 knows only these. */
#define SEL_KCODE       0x10
#define SEL_KDATA       0x18
#define SEL_UDATA       0x2b
#define SEL_UCODE       0x33
#define SEL_TSS         0x40

/* Exit statuses that are not the program's. */
#define EXIT_TOOL       125     /* the tool or the loader failed */
#define EXIT_IMAGE      126     /* not an image that can run here */
#define EXIT_VM_BUG     134
#define EXIT_NO_MEM     137
#define EXIT_FAULT      139

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

#include "abi/net.h"

enum guest_exit {
    GUEST_EXIT_NONE,        /* it did not say */
    GUEST_EXIT_HALT,        /* the program's own doing, halt/1 */
    GUEST_EXIT_BUG,         /* a bug of the VM's */
    GUEST_EXIT_NO_MEMORY,
    GUEST_EXIT_FAULT,       /* struct guest_window.fault */
    GUEST_EXIT_START,       /* it could not start: image or arguments */
};

/*
 * The clock: mono = mono0 + (tsc - tsc0) * ns_mul / 2^32. Written anew for each
 * start of an instance, so that its monotonic time never goes back.
 */
struct guest_clock {
    uint64_t tsc_hz, tsc0;
    uint64_t mono0;             /* ns, at least 1 */
    uint64_t wall0;             /* ns since 1970, UTC, at mono0 */
    uint64_t ns_mul;            /* 2^32 * 10^9 / tsc_hz */
};

#define GUEST_INFO_MAGIC 0x4f464e49474e494c     /* "LINGINFO" */

enum guest_flags {
    GUEST_BUILDING = 1,         /* GATE_EMIT exists; clock and seed are zero */
    GUEST_TTY_IN = 2,           /* console input is a terminal, in raw mode */
    GUEST_TTY_OUT = 4,
    GUEST_BOOT_TIMES = 8,       /* somebody will look at marks */
    GUEST_BAKE_KERNEL = 16,     /* building: write it out once OTP has started, */
    GUEST_BAKE_APP = 32,        /* or where it calls kindling:ready/0 */
    GUEST_BAKE_IDLE = 64,       /* or once it waits or ends, whatever it did */
    GUEST_POOL = 128,           /* a baked image: touch memory, call GATE_READY */
    GUEST_HAS_NET = 256,        /* there is a struct net_port, and .net */
};

/* Who the instance is on its network. */
struct guest_net {
    uint8_t mac[6], padding[2];
    uint8_t ip[4], mask[4], gateway[4];     /* IPv4 */
};

/*
 * What the loader tells, read-only to the guest. Behind it, NUL-terminated:
 * the arguments, then the environment (NAME=VALUE), `strings_bytes` in all.
 * The tool writes flags, argc, envc, the terminal's size, net and the strings,
 * the loader the rest.
 */
struct guest_info {
    uint64_t magic;
    uint32_t version, bytes;    /* of this struct */
    uint64_t gate;              /* address of the gate */
    uint64_t mem_bytes;         /* that GATE_MEMORY will give, all in all */
    uint64_t code_bytes;        /* of the code window; 0: there is none */
    uint64_t code_at;           /* where what is made in it runs */
    uint64_t stack_bytes;
    uint64_t generation;        /* of this start; 1 for the first */
    struct guest_clock clock;
    uint32_t flags;
    uint32_t rows, columns;     /* of the terminal; 0: unknown */
    uint32_t argc, envc;
    uint32_t strings_bytes;
    uint32_t bake_seconds;      /* of its own time, to get ready in */
    uint32_t hot_at, hot_bytes; /* the image's bits, this far behind this struct */
    struct guest_net net;
};

/* Moments of a start, as time stamps; 0: not come to. */
enum guest_mark {
    MARK_ENTRY,                 /* first C code */
    MARK_LIBC,                  /* C library ready */
    MARK_VM,                    /* VM's tables ready */
    MARK_ERLANG,                /* first Erlang instruction */
    MARK_BOOTED,                /* init: boot script done */
    MARK_OUTPUT,                /* first byte written to the console */
    MARKS = 16,
};

/* A fault, as the processor described it. */
struct guest_fault {
    uint64_t vector, error, rip, rsp, address;
    uint64_t regs[16];          /* rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15 */
};

/*
 * Shared by guest and loader; new for each start, part of no image. The guest
 * can write all of it at any time: the loader reads a field once, checks what
 * it read, and uses that.
 */
struct guest_window {
    struct {                    /* the call being made, under the tender */
        uint64_t op, a, b, c;
        int64_t ret;
    } call;
    uint32_t terminate;         /* how often the instance was asked to end */
    uint32_t exit_kind, exit_status;
    uint32_t padding;
    uint8_t seed[32];           /* entropy; the guest wipes what it took */
    uint64_t mark[MARKS];
    struct guest_fault fault;   /* process: by the signal handler */
};

typedef long gate_fn(long op, uint64_t a, uint64_t b, uint64_t c);

static inline uint64_t guest_tsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
}

static inline uint64_t guest_mono_ns(const struct guest_clock *c)
{
    unsigned __int128 ns = (unsigned __int128)(guest_tsc() - c->tsc0) * c->ns_mul;

    return c->mono0 + (uint64_t)(ns >> 32);
}

static inline uint64_t guest_ns_mul(uint64_t tsc_hz)
{
    /* 2^32 * 10^9 fits in 62 bits. */
    return ((uint64_t)1000000000 << 32) / tsc_hz;
}

_Static_assert(sizeof(struct guest_window) <= GUEST_WINDOW_SIZE, "one window");
#define GUEST_NET_SIZE ((sizeof(struct net_port) + 4095) & ~(size_t)4095)
_Static_assert(GUEST_NET + sizeof(struct net_port) <= GUEST_STACK, "below the stack");
#endif
#endif
