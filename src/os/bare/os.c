/*
 * os.c - the rest of os.h on the bare machine: clock, entropy, environment, end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/bare/bare.h"
#include "os/os.h"

extern char **__environ;

/*
 * In a builder time moves only when everything waits, and then at once to what
 * is waited for: what it writes out must not depend on how long it took. Every
 * start of that goes on from there, so that timers and monotonic time do.
 */
static uint64_t built_ns;               /* time that passed in builders */

uint64_t os_mono_ns(void)
{
    if (guest_info->flags & GUEST_BUILDING)
        return guest_info->clock.mono0 + built_ns;
    return built_ns + guest_mono_ns(&guest_info->clock);
}

uint64_t bare_gate_ns(uint64_t mono_ns)
{
    if (mono_ns == UINT64_MAX)
        return mono_ns;
    return mono_ns > built_ns ? mono_ns - built_ns : 0;
}

void bare_pass_time(uint64_t mono_ns)
{
    if (mono_ns > os_mono_ns())
        built_ns = mono_ns - guest_info->clock.mono0;
}

int64_t os_wall_ns(void)
{
    const struct guest_clock *c = &guest_info->clock;

    if (guest_info->flags & GUEST_BUILDING)
        return (int64_t)(c->wall0 + built_ns);
    return (int64_t)(c->wall0 + (guest_mono_ns(c) - c->mono0));
}

bool os_bake_wanted(enum os_ready point)
{
    unsigned flag = point == OS_READY_APP ? GUEST_BAKE_APP : GUEST_BAKE_KERNEL;

    return guest_info->flags & GUEST_BUILDING && guest_info->flags & flag;
}

uint64_t os_generation(void)
{
    return guest_info->generation;
}

/*
 * Entropy: ChaCha20 (RFC 8439), keyed by the loader's seed. Each request ends by
 * replacing the key with fresh output, so that nothing given out earlier can
 * be computed from memory found later.
 */
static uint32_t chacha_key[8];
static uint64_t chacha_generation;      /* whose seed the key is of */

static uint32_t rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

static void chacha_block(uint32_t out[16], uint64_t counter)
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(in + 4, chacha_key, sizeof chacha_key);
    in[12] = (uint32_t)counter;
    in[13] = (uint32_t)(counter >> 32);
    memcpy(out, in, sizeof in);
    for (int i = 0; i < 10; i++) {
        quarter(out, 0, 4, 8, 12);
        quarter(out, 1, 5, 9, 13);
        quarter(out, 2, 6, 10, 14);
        quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15);
        quarter(out, 1, 6, 11, 12);
        quarter(out, 2, 7, 8, 13);
        quarter(out, 3, 4, 9, 14);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

/* Mix the seed of this start into the key, and wipe it where it came from. */
static void take_seed(void)
{
    uint8_t seed[32], any = 0;

    for (int i = 0; i < 32; i++) {
        seed[i] = guest_window->seed[i];
        guest_window->seed[i] = 0;
        any |= seed[i];
    }
    if (!any && !(guest_info->flags & GUEST_BUILDING)) {
        static const char why[] = "ling: no entropy from the host\n";

        os_console(why, sizeof why - 1);
        console_flush();
        bare_exit(1, GUEST_EXIT_START);
    }
    for (int i = 0; i < 8; i++) {
        uint32_t word;

        memcpy(&word, seed + 4 * i, 4);
        chacha_key[i] ^= word;
    }
    chacha_generation = guest_info->generation;
}

void os_entropy(void *buf, size_t n)
{
    uint8_t *p = buf;
    uint32_t block[16];
    uint64_t counter = 1;

    if (chacha_generation != guest_info->generation)
        take_seed();
    while (n > 0) {
        size_t part = n < sizeof block ? n : sizeof block;

        chacha_block(block, counter++);
        memcpy(p, block, part);
        p += part;
        n -= part;
    }
    chacha_block(block, 0);
    memcpy(chacha_key, block, sizeof chacha_key);
    memset(block, 0, sizeof block);
}

_Noreturn void bare_exit(int status, enum guest_exit kind)
{
    for (;;)
        gate(GATE_EXIT, (uint64_t)status & 255, kind, 0);
}

_Noreturn void os_exit(int status)
{
    exit(status);
}

_Noreturn void os_abort(const char *why)
{
    if (why) {
        os_console(why, strlen(why));
        os_console("\n", 1);
    }
    console_flush();
    bare_exit(EXIT_VM_BUG, GUEST_EXIT_BUG);
}

const char *os_getenv(const char *name)
{
    return getenv(name);
}

int os_setenv(const char *name, const char *value)
{
    int r = value ? setenv(name, value, 1) : unsetenv(name);

    return r < 0 ? -errno : 0;
}

const char *const *os_environ(void)
{
    return (const char *const *)__environ;
}

/* Nothing else runs here: the number init has. */
uint64_t os_pid(void)
{
    return 1;
}
