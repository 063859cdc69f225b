/*
 * probe.c - a guest without the VM. It tests os.h on the bare machine, and
 * breaks every rule of it on demand: the first argument names what to do.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/bare/bare.h"
#include "os/os.h"

static int failures;
static __thread int tls_counter = 41;

static void check(int ok, const char *what)
{
    if (!ok)
        failures++;
    printf("%s %s\n", ok ? "ok  " : "FAIL", what);
}

/* --- things a guest must not be able to do --- */

static void attack(const char *what)
{
    static volatile uint8_t data[16] = {0xc3};
    uint8_t *stack_low = (uint8_t *)(GUEST_BASE + GUEST_STACK);
    uint8_t *heap = malloc(16);

    heap[0] = 0xc3;
    if (!strcmp(what, "null"))
        printf("%d\n", *(volatile int *)8);
    if (!strcmp(what, "write-null"))
        *(volatile int *)8 = 1;
    if (!strcmp(what, "write-code"))
        *(volatile uint8_t *)(uintptr_t)attack = 0xc3;
    if (!strcmp(what, "write-rodata"))
        *(volatile uint8_t *)(uintptr_t)&image_header = 1;
    if (!strcmp(what, "write-info"))
        *(volatile uint64_t *)(uintptr_t)&guest_info->gate = 1;
    if (!strcmp(what, "write-gate"))
        *(volatile uint8_t *)(GUEST_BASE + GUEST_GATE) = 0xc3;
    if (!strcmp(what, "run-data"))
        ((void (*)(void))(uintptr_t)data)();
    if (!strcmp(what, "run-heap"))
        ((void (*)(void))(uintptr_t)heap)();
    if (!strcmp(what, "run-stack")) {
        volatile uint8_t code[1] = {0xc3};

        ((void (*)(void))(uintptr_t)code)();
    }
    if (!strcmp(what, "overflow"))
        for (volatile uint8_t *p = stack_low + 64;; p--)
            *p = 1;
    if (!strcmp(what, "tables"))            /* the tender's and the shim's */
        printf("%d\n", *(volatile int *)0x10000);
    if (!strcmp(what, "shim"))
        printf("%d\n", *(volatile int *)GUEST_SHIM_PA);
    if (!strcmp(what, "window-end"))
        *(volatile int *)(GUEST_BASE + GUEST_WINDOW + GUEST_WINDOW_SIZE) = 1;
    if (!strcmp(what, "arena-end"))
        *(volatile int *)(GUEST_BASE + GUEST_ARENA + GUEST_ARENA_SIZE - 8) = 1;
    if (!strcmp(what, "kernel"))
        printf("%d\n", *(volatile int *)0xffffffff80000000);
    if (!strcmp(what, "cli"))
        __asm__ volatile("cli");
    if (!strcmp(what, "hlt"))
        __asm__ volatile("hlt");
    if (!strcmp(what, "out"))
        __asm__ volatile("outb %%al, $0x21" : : "a"(0));
    if (!strcmp(what, "cr3"))
        __asm__ volatile("mov %%cr3, %%rax" : : : "rax");
    if (!strcmp(what, "ud2"))
        __builtin_trap();
    if (!strcmp(what, "divide"))
        __asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx"
                         : : : "rax", "rcx", "rdx");
    if (!strcmp(what, "int80"))
        __asm__ volatile("int $0x80" : : "a"(1), "b"(0));
    if (!strcmp(what, "syscall") || !strcmp(what, "syscall-exit")) {
        /* getpid; exit_group(0), which the gate's own page may do */
        bool leave = strcmp(what, "syscall") != 0;
        uint8_t code[] = {0xb8, leave ? 0xe7 : 0x27, 0, 0, 0, 0x31, 0xff, 0x0f,
                          0x05, 0xc3};

        if (gate(GATE_CODE, 0, 0, 0) < 0)
            printf("no code window\n"), exit(2);
        memcpy((void *)(GUEST_BASE + GUEST_CODE_W), code, sizeof code);
        bare_serialise();
        ((void (*)(void))(GUEST_BASE + GUEST_CODE_X))();
    }
    if (!strcmp(what, "write-code-x")) {
        gate(GATE_CODE, 0, 0, 0);
        *(volatile uint8_t *)(GUEST_BASE + GUEST_CODE_X) = 0xc3;
    }
    if (!strcmp(what, "run-code-w")) {
        gate(GATE_CODE, 0, 0, 0);
        *(volatile uint8_t *)(GUEST_BASE + GUEST_CODE_W) = 0xc3;
        ((void (*)(void))(GUEST_BASE + GUEST_CODE_W))();
    }
    printf("FAIL nothing happened: %s\n", what);
    exit(3);
}

/* A hostile guest against the loader: every call must come back with an error. */
static void bad_calls(void)
{
    static const uint64_t bad[] = {
        0, 8, 4096, GUEST_SHIM_PA, GUEST_BASE - 4096, GUEST_BASE + GUEST_GATE - 8,
        GUEST_BASE + GUEST_ARENA - 4096, GUEST_BASE + GUEST_ARENA + GUEST_ARENA_SIZE,
        GUEST_BASE + GUEST_STACK - 8, GUEST_BASE + 0x7f0000000,
        0x7ffffffff000, 0x800000000000, 0xffff800000000000, UINT64_MAX - 4095,
    };
    const unsigned n = sizeof bad / sizeof *bad;
    long sum = 0;

    for (unsigned i = 0; i < n; i++) {
        char what[80];

        snprintf(what, sizeof what, "write from %#" PRIx64, bad[i]);
        check(gate(GATE_WRITE, 1, bad[i], 16) < 0, what);
        sum += gate(GATE_WRITE, 1, bad[i], UINT64_MAX) >= 0;
        sum += gate(GATE_MEMORY, bad[i] + 1, 4096, 0) >= 0;
        sum += gate(GATE_MEMORY, bad[i], GUEST_ARENA_SIZE + GUEST_CHUNK, 0) >= 0;
        sum += gate(GATE_RELEASE, bad[i] + 1, 4096, 0) >= 0;
    }
    check(sum == 0, "bad ranges are refused");
    check(gate(GATE_WRITE, 1, UINT64_MAX - 7, 16) < 0, "a range that wraps is refused");
    check(gate(GATE_READ, 0, (uintptr_t)"text", 4) <= 0, "reading into read-only memory");
    check(gate(GATE_WRITE, 0, GUEST_BASE, 1) < 0, "writing to input");
    check(gate(GATE_WRITE, 3, GUEST_BASE, 1) < 0, "writing to another descriptor");
    check(gate(GATE_EMIT, GUEST_BASE, 1, 0) < 0, "emitting when not building");
    check(gate(99, 0, 0, 0) < 0, "an unknown operation");
    check(gate(UINT32_MAX, 0, 0, 0) < 0, "an absurd operation");
}

static void test_memory(void)
{
    enum { N = 200 };
    static struct {
        uint8_t *p;
        size_t n;
    } block[N];
    size_t before = os_pages_in_use();
    uint32_t r = 1;
    bool zero = true, kept = true, aligned = true;
    uint8_t *range;

    for (int round = 0; round < 4000; round++) {
        int i = (int)((r = r * 1664525 + 1013904223) >> 16) % N;

        if (block[i].p) {
            for (size_t at = 0; at < block[i].n; at += 4096)
                kept &= block[i].p[at] == (uint8_t)i;
            os_pages_free(block[i].p, block[i].n);
            block[i].p = NULL;
        } else {
            size_t align = (size_t)4096 << (r >> 8) % 6;

            block[i].n = (size_t)4096 * (1 + (r >> 10) % 30);
            block[i].p = os_pages(block[i].n, align);
            if (!block[i].p) {
                check(0, "pages");
                return;
            }
            aligned &= (uintptr_t)block[i].p % align == 0;
            for (size_t at = 0; at < block[i].n; at += 512)
                zero &= block[i].p[at] == 0;
            memset(block[i].p, i, block[i].n);
        }
    }
    for (int i = 0; i < N; i++)
        if (block[i].p)
            os_pages_free(block[i].p, block[i].n);
    check(zero, "pages are zero");
    check(kept, "pages keep what is in them");
    check(aligned, "pages are aligned");
    check(os_pages_in_use() == before, "all pages given back");

    mem_idle();
    range = os_pages(8 << 20, 4096);
    for (size_t at = 0; range && at < 8 << 20; at += 4096)
        zero &= range[at] == 0;
    check(range && zero, "pages given back to the host are zero again");
    os_pages_free(range, 8 << 20);

    range = os_reserve((size_t)1 << 30);
    check(range && os_commit(range, 8192) == 0, "reserve 1 GiB, commit 8 KiB");
    memset(range, 1, 8192);
    os_decommit(range, 8192);
    check(os_commit(range, 1 << 20) == 0 && range[0] == 0 && range[8191] == 0,
          "what is committed again is zero");
    check(!os_reserve((size_t)1 << 40), "no more address space than there is");
    check(!os_pages((size_t)1 << 35, 4096), "no more memory than --mem");
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void test_libc(void)
{
    static double d[1000];
    uint32_t x = 1;
    bool sorted = true;
    char b[64];
    char *p;

    for (int i = 0; i < 1000; i++)
        d[i] = (x = x * 1664525 + 1013904223) / 7.0;
    qsort(d, 1000, sizeof *d, by_value);
    for (int i = 1; i < 1000; i++)
        sorted &= d[i - 1] <= d[i];
    check(sorted, "qsort of doubles");
    snprintf(b, sizeof b, "%.17g", strtod("3.14159265358979323846", NULL));
    check(!strcmp(b, "3.1415926535897931"), "strtod and printf");
    check(fabs(sin(1.0) - 0.8414709848078965) < 1e-15, "sin");
    p = malloc(3000000);
    memset(p, 1, 3000000);
    p = realloc(p, 6000000);
    check(p && p[2999999] == 1, "malloc and realloc of megabytes");
    free(p);
    check(++tls_counter == 42, "thread-local variable");
}

/* Each byte beside what a loop over bytes makes of it. */
static void test_copies(void)
{
    enum { ROOM = 1200, AT = 450 };
    static uint8_t was[ROOM], is[ROOM], wanted[ROOM];
    void *(*volatile move)(void *, const void *, size_t) = memmove;
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    void *(*volatile set)(void *, int, size_t) = memset;
    int bad = 0;

    for (int i = 0; i < ROOM; i++)
        was[i] = (uint8_t)(i * 151 >> 3);
    for (int n = 0; n <= 300; n++) {
        for (int by = -150; by <= 150; by++) {
            for (int i = 0; i < ROOM; i++)
                is[i] = wanted[i] = was[i];
            for (int i = 0; i < n; i++)
                wanted[AT + by + i] = was[AT + i];
            move(is + AT + by, is + AT, (size_t)n);
            bad += memcmp(is, wanted, ROOM) != 0;
        }
        copy(is + AT, was + 1, (size_t)n);
        for (int i = 0; i < n; i++)
            wanted[AT + i] = was[1 + i];
        set(is + 7, n, (size_t)n);
        for (int i = 0; i < n; i++)
            wanted[7 + i] = (uint8_t)n;
        bad += memcmp(is, wanted, ROOM) != 0;
    }
    check(!bad, "memmove, memcpy and memset");
}

static void test_time(void)
{
    uint64_t t0 = os_mono_ns(), t1, cpu = os_cpu_ns();
    uint8_t a[32] = {0}, b[32] = {0}, none[32] = {0};

    os_wait(t0 + 50000000);
    t1 = os_mono_ns();
    check(t1 - t0 >= 50000000, "a wait of 50 ms is no shorter");
    check(os_cpu_ns() - cpu < 40000000, "waiting takes no processor time");
    check(os_wall_ns() > 1600000000000000000, "the wall clock runs");
    os_wait(0);
    os_wake();
    os_wait(UINT64_MAX);
    check(1, "os_wake ends a wait");
    os_entropy(a, sizeof a);
    os_entropy(b, sizeof b);
    check(memcmp(a, b, 32) && memcmp(a, none, 32), "entropy differs");
}

static void test_code(void)
{
    uint8_t *w = (uint8_t *)(GUEST_BASE + GUEST_CODE_W);
    int (*f)(void) = (int (*)(void))(GUEST_BASE + GUEST_CODE_X);
    int bad = 0;

    if (!guest_info->code_bytes) {
        check(gate(GATE_CODE, 0, 0, 0) < 0, "sealed: no code window");
        return;
    }
    check(gate(GATE_CODE, 0, 0, 0) == 0, "code window");
    for (int i = 0; i < 1000; i++) {
        w[0] = 0xb8;                    /* mov $i, %eax; ret */
        memcpy(w + 1, &i, 4);
        w[5] = 0xc3;
        bare_serialise();
        bad += f() != i;
    }
    check(!bad, "code rewritten 1000 times");
}

/* Echo lines until the end of input or SIGTERM. */
static bool input_ended;

static void on_input(struct os_watch *w, unsigned events)
{
    char b[256];
    int64_t n = os_fd_read(0, b, sizeof b);

    if (n > 0)
        os_fd_write(1, b, (size_t)n);
    if (n == 0) {
        os_unwatch(w);
        input_ended = true;
    }
}

static void echo(void)
{
    struct os_watch w = {.fd = 0, .ready = on_input};

    os_set_signal(15, OS_SIGNAL_HANDLE);
    os_watch(&w, OS_READ);
    printf("echo\n");
    while (!input_ended) {
        os_wait(UINT64_MAX);
        if (os_take_signal() == 15) {
            printf("terminated\n");
            exit(15);
        }
    }
    printf("end of input\n");
}

int main(int argc, char **argv);

static void resumed(void)
{
    printf("resumed: %s\n", bare_argc > 1 ? bare_argv[1] : "");
    check(tls_counter == 43, "thread-local variable is as it was left");
    exit(main(bare_argc, bare_argv));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    bare_mark(MARK_VM);
    if (!strcmp(what, "hello")) {
        printf("hello\n");
        return 0;
    }
    if (!strcmp(what, "exit"))
        return argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(what, "args")) {
        for (int i = 2; i < argc; i++)
            printf("%s\n", argv[i]);
        printf("PROBE=%s\n", os_getenv("PROBE") ? os_getenv("PROBE") : "");
        return 0;
    }
    if (!strcmp(what, "abort"))
        os_abort("probe: asked to");
    if (!strcmp(what, "idle")) {
        os_wait(os_mono_ns() + 3000000000u);
        return 0;
    }
    if (!strcmp(what, "spin")) {
        printf("spinning\n");
        for (;;)
            ;
    }
    if (!strcmp(what, "echo")) {
        echo();
        return 0;
    }
    if (!strcmp(what, "eat")) {
        size_t n = 0;

        while (os_pages(1 << 20, 4096))
            n++;
        printf("%zu MiB\n", n);
        return 0;
    }
    if (!strcmp(what, "attack"))
        attack(argc > 2 ? argv[2] : "");
    if (!strcmp(what, "bake")) {
        tls_counter = 43;
        return bare_bake(resumed, 0, 0) < 0;
    }
    bad_calls();
    test_memory();
    test_libc();
    test_copies();
    test_time();
    test_code();
    printf("%d failures\n", failures);
    return failures ? 1 : 200;
}
