/*
 * boot.c - from the entry to main(), and writing an instance out as an image.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/bare/bare.h"
#include "os/os.h"

extern Elf64_Ehdr __ehdr_start;
extern char **__environ;
extern int main(int argc, char **argv);
int __libc_start_main(int (*)(int, char **), int, char **, void (*)(void),
                      void (*)(void), void (*)(void));
int __set_thread_area(void *p);
void bare_start(void);
void bare_resume(void);
void resume(void);

int bare_argc;
char **bare_argv;

static uintptr_t thread_pointer;
static void (*resumed_fn)(void);

static void set_fs(uintptr_t p)
{
    __asm__ volatile("wrfsbase %0" : : "r"(p) : "memory");
}

/* In place of musl's, which is a system call. */
int __set_thread_area(void *p)
{
    thread_pointer = (uintptr_t)p;
    set_fs(thread_pointer);
    return 0;
}

static void check_loader(void)
{
    static const char complaint[] =
        "ling: the loader speaks another version of the guest interface\n";

    if (guest_info->magic == GUEST_INFO_MAGIC &&
        guest_info->version == GUEST_VERSION)
        return;
    gate(GATE_WRITE, 2, (uintptr_t)complaint, sizeof complaint - 1);
    gate(GATE_EXIT, EXIT_IMAGE, GUEST_EXIT_START, 0);
    __builtin_trap();
}

/*
 * The command line: what the builder chose, then, after -extra, what this
 * start was given. The strings are read where they are; the vector is ours.
 */
static void read_strings(void)
{
    const char *s = (const char *)guest_info + guest_info->bytes;
    const char *own = image_header.text + image_header.args;
    unsigned own_argc = image_header.argc, argc = guest_info->argc;
    char **v, **env;

    v = calloc(own_argc + argc + 3, sizeof *v);
    env = calloc(guest_info->envc + 1, sizeof *env);
    if (!v || !env)
        bare_exit(EXIT_NO_MEM, GUEST_EXIT_NO_MEMORY);
    bare_argv = v;
    *v++ = (char *)"ling";
    for (unsigned i = 0; i < own_argc; i++, own += strlen(own) + 1)
        *v++ = (char *)own;
    if (argc > 0 && own_argc > 0)
        *v++ = (char *)"-extra";
    for (unsigned i = 0; i < argc; i++, s += strlen(s) + 1)
        *v++ = (char *)s;
    bare_argc = (int)(v - bare_argv);
    for (unsigned i = 0; i < guest_info->envc; i++, s += strlen(s) + 1)
        env[i] = (char *)s;
    __environ = env;
}

/*
 * What the baked instance had set itself counts where this start says no other.
 * setenv() frees the vector that it made last, so names are read from a copy.
 */
static void keep_environment(char **kept)
{
    size_t n = 0;
    char **copy;

    while (kept && kept[n])
        n++;
    copy = calloc(n + 1, sizeof *copy);
    if (!copy)
        bare_exit(EXIT_NO_MEM, GUEST_EXIT_NO_MEMORY);
    memcpy(copy, kept, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        size_t bytes = strcspn(copy[i], "=");
        char *name = strndup(copy[i], bytes);

        if (!name || (copy[i][bytes] == '=' && setenv(name, copy[i] + bytes + 1, 0) < 0))
            bare_exit(EXIT_NO_MEM, GUEST_EXIT_NO_MEMORY);
        free(name);
    }
    free(copy);
}

static int start_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    bare_mark(MARK_LIBC);
    read_strings();
    return main(bare_argc, bare_argv);
}

/*
 * First start. musl keeps pointers into the vector it is given, and they must
 * be good in an image written out later: so it is in .data, not on the stack.
 */
void bare_start(void)
{
    static char name[] = "ling";
    static uint8_t random[16];
    static uintptr_t v[] = {
        1, (uintptr_t)name, 0,          /* argc, argv */
        0,                              /* envp */
        AT_PHDR, 0, AT_PHENT, sizeof(Elf64_Phdr), AT_PHNUM, 0,
        AT_PAGESZ, 4096, AT_RANDOM, (uintptr_t)random, AT_SECURE, 0, AT_NULL, 0,
    };

    bare_mark(MARK_ENTRY);
    check_loader();
    /* Only the canaries of code that was compiled with them. */
    for (int i = 0; i < 16; i++)
        random[i] = guest_window->seed[i] ^ guest_window->seed[16 + i];
    v[5] = (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff;
    v[9] = __ehdr_start.e_phnum;
    __libc_start_main(start_main, 1, (char **)(v + 1), NULL, NULL, NULL);
}

/*
 * One of a pool, that has time now: touch what a start touches, so that it is in
 * the machine's own tables before it is told to go on. Nothing changes by it.
 */
static void warm_up(void)
{
    const Elf64_Phdr *ph = (void *)((uintptr_t)&__ehdr_start + __ehdr_start.e_phoff);
    const uint8_t *hot = (const uint8_t *)guest_info + guest_info->bytes + guest_info->hot_at;
    uint64_t bit = 0;

    for (int i = 0; i < __ehdr_start.e_phnum; i++) {
        bool writable = ph[i].p_flags & PF_W;

        if (ph[i].p_type != PT_LOAD || ph[i].p_paddr == GUEST_SHIM_PA ||
            (image_header.tree >= ph[i].p_vaddr &&
             image_header.tree - ph[i].p_vaddr < ph[i].p_memsz))
            continue;
        for (uint64_t at = 0; at < ph[i].p_memsz; at += 4096, bit += writable) {
            volatile uint64_t *p = (volatile uint64_t *)(ph[i].p_vaddr + at);

            if (writable && bit / 8 < guest_info->hot_bytes && hot[bit / 8] >> bit % 8 & 1)
                *p = *p;
            else if (at < ph[i].p_filesz)
                (void)*p;
        }
    }
}

/* A start of an image that was written out: all is in place but fs. */
void bare_resume(void)
{
    char **kept;

    set_fs(thread_pointer);
    check_loader();
    if (guest_info->flags & GUEST_POOL) {
        warm_up();
        gate(GATE_READY, 0, 0, 0);
    }
    bare_mark(MARK_ENTRY);
    kept = __environ;
    read_strings();
    if (image_header.flags & IMAGE_READY)
        keep_environment(kept);
    resumed_fn();
    bare_exit(0, GUEST_EXIT_HALT);
}

/*
 * Baking. The image is the file we were started from, as far as it is read-only
 * (text, read-only data, shim, tree), our data as it is now, and the arena's
 * chunks as more segments; the entry is `resume`. The C stack is no part of it.
 */
#define BAKE_SEGMENTS 16        /* as many as loaders take */

static char bake_page0[4096], bake_header[4096];
static uint64_t bake_bytes;
static int bake_error;

static void emit(const void *p, size_t n)
{
    long r = bake_error ? 0 : gate(GATE_EMIT, (uintptr_t)p, n, 0);

    if (r < 0)
        bake_error = (int)r;
    bake_bytes += n;
}

static uint64_t without_zero_tail(uint64_t va, uint64_t size)
{
    size = (size + 4095) & ~(uint64_t)4095;
    for (; size > 0; size -= 4096) {
        const uint64_t *p = (const uint64_t *)(va + size - 4096);

        for (int i = 0; i < 512; i++)
            if (p[i])
                return size;
    }
    return 0;
}

static bool in_arena(const Elf64_Phdr *p)
{
    return p->p_type == PT_LOAD && p->p_vaddr >= GUEST_BASE + GUEST_ARENA;
}

/* Drop the arena's segments of the image we came from; add those of now, and code. */
static int bake_arena(Elf64_Ehdr *eh, Elf64_Phdr *ph, uint64_t code_bytes)
{
    struct mem_run run[BAKE_SEGMENTS];
    unsigned kept = 0, runs;
    uint64_t pa = 0;

    for (int i = 0; i < eh->e_phnum; i++) {
        if (in_arena(&ph[i]))
            continue;
        if (ph[i].p_type == PT_LOAD && ph[i].p_paddr + ph[i].p_memsz > pa)
            pa = ph[i].p_paddr + ph[i].p_memsz;
        ph[kept++] = ph[i];
    }
    if (code_bytes > 0) {
        if (kept == BAKE_SEGMENTS)
            return -E2BIG;
        pa = (pa + GUEST_CHUNK - 1) & ~(uint64_t)(GUEST_CHUNK - 1);
        ph[kept++] = (Elf64_Phdr){
            .p_type = PT_LOAD,
            .p_flags = PF_R | PF_X,
            .p_vaddr = guest_info->code_at,
            .p_paddr = pa,
            .p_filesz = code_bytes,
            .p_memsz = code_bytes,
            .p_align = 4096,
        };
        pa += code_bytes;
    }
    runs = mem_bake(run, BAKE_SEGMENTS - kept);
    if (!runs)
        return -E2BIG;
    for (unsigned i = 0; i < runs; i++) {
        pa = (pa + GUEST_CHUNK - 1) & ~(uint64_t)(GUEST_CHUNK - 1);
        ph[kept++] = (Elf64_Phdr){
            .p_type = PT_LOAD,
            .p_flags = PF_R | PF_W,
            .p_vaddr = run[i].start,
            .p_paddr = pa,
            .p_memsz = run[i].bytes,
            .p_align = 4096,
        };
        pa += run[i].bytes;
    }
    eh->e_phnum = (Elf64_Half)kept;
    return 0;
}

static void emit_segment(const Elf64_Phdr *p)
{
    const uint64_t header = (uint64_t)&image_header;
    uint64_t at = p->p_vaddr, end = at + p->p_filesz;

    if (at == GUEST_BASE + GUEST_IMAGE) {
        emit(bake_page0, sizeof bake_page0);
        at += sizeof bake_page0;
    }
    if (header >= at && header < end) {
        emit((const void *)at, header - at);
        emit(bake_header, sizeof bake_header);
        at = header + sizeof bake_header;
    }
    if (at < end)
        emit((const void *)at, end - at);
}

int bare_bake(void (*resumed)(void), unsigned flags, uint64_t code_bytes)
{
    static const char zero[4096];
    Elf64_Ehdr *eh = (Elf64_Ehdr *)bake_page0;
    Elf64_Phdr *ph;
    uint64_t offset = 0;
    int err;

    if (!(guest_info->flags & GUEST_BUILDING))
        return -ENOTSUP;
    console_flush();
    resumed_fn = resumed;
    memcpy(bake_page0, &__ehdr_start, sizeof bake_page0);
    memcpy(bake_header, &image_header, sizeof bake_header);
    ((struct image_header *)bake_header)->flags |= IMAGE_BAKED | flags;
    ph = (Elf64_Phdr *)(bake_page0 + eh->e_phoff);
    err = bake_arena(eh, ph, code_bytes);
    if (err)
        return err;
    eh->e_entry = (uintptr_t)resume;
    eh->e_shoff = eh->e_shnum = eh->e_shstrndx = 0;
    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type != PT_LOAD)
            continue;
        if (ph[i].p_flags & PF_W)
            ph[i].p_filesz = without_zero_tail(ph[i].p_vaddr, ph[i].p_memsz);
        if (ph[i].p_memsz < ph[i].p_filesz)
            ph[i].p_memsz = ph[i].p_filesz;
        ph[i].p_offset = offset;
        offset += (ph[i].p_filesz + 4095) & ~(uint64_t)4095;
    }
    /* The other headers describe parts of segments. */
    for (int i = 0; i < eh->e_phnum; i++)
        for (int j = 0; ph[i].p_type != PT_LOAD && j < eh->e_phnum; j++)
            if (ph[j].p_type == PT_LOAD &&
                ph[i].p_vaddr - ph[j].p_vaddr < ph[j].p_filesz)
                ph[i].p_offset = ph[j].p_offset + ph[i].p_vaddr - ph[j].p_vaddr;
    for (int i = 0; i < eh->e_phnum; i++) {
        if (ph[i].p_type != PT_LOAD || !ph[i].p_filesz)
            continue;
        emit_segment(&ph[i]);
        emit(zero, -bake_bytes & 4095);
    }
    return bake_error;
}
