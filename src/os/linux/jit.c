/*
 * jit.c - tell perf and gdb what lies where in native code (+JPperf, +JDgdb).
 *
 *   map    /tmp/perf-PID.map: a line a function; perf reads it when it reports
 *   dump   /tmp/jit-PID.dump: with the code's bytes, for perf inject --jit
 *          (linux/tools/perf/Documentation/jitdump-specification.txt)
 *   gdb    an ELF file with symbols in memory for each module (GDB manual, JIT
 *          Interface)
 *
 * A symbol is $Module:Function/Arity, as OTP names it; a module's cold parts are
 * one, $Module:(cold). The interpreter has none.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "op/code.h"
#include "os/linux/args.h"
#include "os/linux/linux.h"
#include "vm/module.h"
#include "vm/print.h"

static FILE *map, *dump;
static bool gdb;

/* ---- the functions of a module ---- */

struct symbol {
    const uint8_t *at;
    size_t bytes;
    size_t name;                /* in the text that comes along; NUL-terminated */
};

/* nfuncs and one more; the caller frees them and the text. */
static struct symbol *symbols(const struct code *c, struct text *names)
{
    struct symbol *s = malloc((c->nfuncs + 1) * sizeof *s);
    const uint8_t *base = (const uint8_t *)c->base;

    if (!s)
        args_fail("out of memory");
    for (uint32_t i = 0; i <= c->nfuncs; i++) {
        size_t from = i < c->nfuncs ? c->funcs[i].start : c->cold_at;
        size_t to = i + 1 < c->nfuncs ? c->funcs[i + 1].start
                    : i < c->nfuncs   ? c->cold_at
                                      : c->cold_at + c->cold_bytes;

        s[i] = (struct symbol){base + from, to - from, names->n};
        text_add(names, "$", 1);
        text_term(names, c->module, 0);
        if (i < c->nfuncs) {
            text_add(names, ":", 1);
            text_term(names, c->funcs[i].f, 0);
            text_printf(names, "/%u", c->funcs[i].arity);
        } else {
            text_printf(names, ":(cold)");
        }
        text_add(names, "", 1);
    }
    return s;
}

/* ---- perf ---- */

static void add_to_map(const struct symbol *s, size_t n, const struct text *names)
{
    for (size_t i = 0; i < n; i++)
        fprintf(map, "%lx %lx %s\n", (unsigned long)(uintptr_t)s[i].at,
                (unsigned long)s[i].bytes, names->s + s[i].name);
    fflush(map);
}

enum { JITDUMP_MAGIC = 0x4a695444, JITDUMP_VERSION = 1, JIT_CODE_LOAD = 0 };

struct dump_header {
    uint32_t magic, version, size, elf_machine, pad, pid;
    uint64_t timestamp, flags;
};
struct dump_load {
    uint32_t id, size;
    uint64_t timestamp;
    uint32_t pid, tid;
    uint64_t vma, at, bytes, index;
};

static uint64_t timestamp(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void add_to_dump(const struct symbol *s, size_t n, const struct text *names)
{
    static uint64_t index;

    for (size_t i = 0; i < n; i++) {
        const char *name = names->s + s[i].name;
        size_t name_bytes = strlen(name) + 1;
        struct dump_load load = {
            .id = JIT_CODE_LOAD,
            .size = (uint32_t)(sizeof load + name_bytes + s[i].bytes),
            .timestamp = timestamp(),
            .pid = (uint32_t)getpid(),
            .tid = (uint32_t)getpid(),
            .vma = (uintptr_t)s[i].at,
            .at = (uintptr_t)s[i].at,
            .bytes = s[i].bytes,
            .index = index++,
        };

        fwrite(&load, sizeof load, 1, dump);
        fwrite(name, 1, name_bytes, dump);
        fwrite(s[i].at, 1, s[i].bytes, dump);
    }
    fflush(dump);
}

/* A file of our own in /tmp: not through a link that somebody else put there. */
static FILE *open_new(const char *format)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, format, (int)getpid());
    unlink(path);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w+");
    if (!f)
        args_fail("+JPperf: %s: %s", path, strerror(errno));
    return f;
}

static void begin_dump(void)
{
    struct dump_header h = {
        .magic = JITDUMP_MAGIC, .version = JITDUMP_VERSION, .size = sizeof h,
        .elf_machine = EM_X86_64, .pid = (uint32_t)getpid(), .timestamp = timestamp(),
    };

    dump = open_new("/tmp/jit-%d.dump");
    fwrite(&h, sizeof h, 1, dump);
    fflush(dump);
    /* perf record notes mappings that can be run: this is how it hears of the file. */
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(dump), 0) == MAP_FAILED)
        args_fail("+JPperf: the dump can't be mapped: %s", strerror(errno));
}

/* ---- gdb: the names and the layout are its ---- */

struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};
struct jit_descriptor {
    uint32_t version, action_flag;
    struct jit_code_entry *relevant_entry, *first_entry;
};
enum { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_descriptor __jit_debug_descriptor = {1, JIT_NOACTION, NULL, NULL};
void __jit_debug_register_code(void);
__attribute__((noinline)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");  /* gdb has a breakpoint here */
}

enum { SEC_NULL, SEC_TEXT, SEC_SYMTAB, SEC_STRTAB, SEC_NAMES, SECS };
static const char section_names[] = "\0.text\0.symtab\0.strtab\0.shstrtab";

/* All in one block behind the entry, which `c` is found by when it goes. */
struct registered {
    struct jit_code_entry entry;
    const struct code *code;
    Elf64_Ehdr header;
    Elf64_Shdr section[SECS];
    char names[sizeof section_names];
    Elf64_Sym symbol[];                 /* then the text of the symbols' names */
};

static void add_to_gdb(const struct code *c, const struct symbol *s, size_t n,
                       const struct text *names)
{
    size_t symbols_bytes = (n + 1) * sizeof(Elf64_Sym);
    struct registered *r = calloc(1, sizeof *r + symbols_bytes + names->n + 1);

    if (!r)
        args_fail("out of memory");
    char *text = (char *)r->symbol + symbols_bytes + 1;
    size_t start = offsetof(struct registered, header);
    size_t symbols_at = offsetof(struct registered, symbol) - start;

    memcpy(r->header.e_ident, ELFMAG, SELFMAG);
    r->header.e_ident[EI_CLASS] = ELFCLASS64;
    r->header.e_ident[EI_DATA] = ELFDATA2LSB;
    r->header.e_ident[EI_VERSION] = EV_CURRENT;
    r->header.e_type = ET_EXEC;
    r->header.e_machine = EM_X86_64;
    r->header.e_version = EV_CURRENT;
    r->header.e_ehsize = sizeof r->header;
    r->header.e_shoff = offsetof(struct registered, section) - start;
    r->header.e_shentsize = sizeof r->section[0];
    r->header.e_shnum = SECS;
    r->header.e_shstrndx = SEC_NAMES;
    memcpy(r->names, section_names, sizeof section_names);
    r->section[SEC_TEXT] = (Elf64_Shdr){
        .sh_name = 1, .sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
        .sh_addr = (uintptr_t)c->base, .sh_size = c->bytes, .sh_addralign = 16};
    r->section[SEC_SYMTAB] = (Elf64_Shdr){
        .sh_name = 7, .sh_type = SHT_SYMTAB, .sh_offset = symbols_at,
        .sh_size = symbols_bytes, .sh_link = SEC_STRTAB, .sh_info = 1, .sh_addralign = 8,
        .sh_entsize = sizeof(Elf64_Sym)};
    r->section[SEC_STRTAB] = (Elf64_Shdr){
        .sh_name = 15, .sh_type = SHT_STRTAB, .sh_offset = symbols_at + symbols_bytes,
        .sh_size = names->n + 1, .sh_addralign = 1};
    r->section[SEC_NAMES] = (Elf64_Shdr){
        .sh_name = 23, .sh_type = SHT_STRTAB,
        .sh_offset = offsetof(struct registered, names) - start,
        .sh_size = sizeof r->names, .sh_addralign = 1};
    memcpy(text, names->s, names->n);
    for (size_t i = 0; i < n; i++)
        r->symbol[i + 1] = (Elf64_Sym){
            .st_name = (uint32_t)s[i].name + 1,
            .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
            .st_shndx = SEC_TEXT,
            .st_value = (uintptr_t)s[i].at,
            .st_size = s[i].bytes};

    r->code = c;
    r->entry.symfile_addr = (const char *)&r->header;
    r->entry.symfile_size = symbols_at + symbols_bytes + names->n + 1;
    r->entry.next_entry = __jit_debug_descriptor.first_entry;
    if (r->entry.next_entry)
        r->entry.next_entry->prev_entry = &r->entry;
    __jit_debug_descriptor.first_entry = __jit_debug_descriptor.relevant_entry = &r->entry;
    __jit_debug_descriptor.action_flag = JIT_REGISTER_FN;
    __jit_debug_register_code();
}

static void remove_from_gdb(const struct code *c)
{
    struct jit_code_entry *e = __jit_debug_descriptor.first_entry;

    while (e && ((struct registered *)e)->code != c)
        e = e->next_entry;
    if (!e)
        return;
    if (e->prev_entry)
        e->prev_entry->next_entry = e->next_entry;
    else
        __jit_debug_descriptor.first_entry = e->next_entry;
    if (e->next_entry)
        e->next_entry->prev_entry = e->prev_entry;
    __jit_debug_descriptor.relevant_entry = e;
    __jit_debug_descriptor.action_flag = JIT_UNREGISTER_FN;
    __jit_debug_register_code();
    free(e);
}

/* ---- */

static void observe(const struct code *c, bool gone)
{
    struct text names;

    if (!c->native)
        return;
    if (gone) {
        remove_from_gdb(c);
        return;
    }
    text_init(&names);
    struct symbol *s = symbols(c, &names);
    if (map)
        add_to_map(s, c->nfuncs + 1, &names);
    if (dump)
        add_to_dump(s, c->nfuncs + 1, &names);
    if (gdb)
        add_to_gdb(c, s, c->nfuncs + 1, &names);
    free(s);
    text_fini(&names);
}

bool jit_perf(const char *how)
{
    bool both = strcmp(how, "true") == 0;

    if (!both && strcmp(how, "map") != 0 && strcmp(how, "dump") != 0)
        return strcmp(how, "false") == 0 || strcmp(how, "fp") == 0 ||
               strcmp(how, "no_fp") == 0;
    if (both || strcmp(how, "map") == 0)
        map = open_new("/tmp/perf-%d.map");
    if (both || strcmp(how, "dump") == 0)
        begin_dump();
    code_observer = observe;
    return true;
}

void jit_gdb(void)
{
    gdb = true;
    code_observer = observe;
}
