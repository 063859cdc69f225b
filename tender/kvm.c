/*
 * kvm.c - an instance on KVM, entered at CPL3 in its own page tables.
 *
 * Physical memory:
 *
 *     0         null, ring-0 fault stubs, IDT, TSS, GDT, tables: ours
 *     1 MiB     shim (not loaded here)
 *     2 MiB     the image's segments, at their p_paddr
 *     then      gate, info, stack, I/O window, the rings of the network
 *     then      from a 2 MiB boundary the arena, behind it the code window
 *
 * For each page of a memory slot, used or not, a kernel that keeps shadow tables
 * has some 12 bytes, which is more than an idle copy's own memory if a slot holds
 * all that --mem allows. So the first slot ends a little way into the arena;
 * more of it, and the code window, become slots when they are asked for.
 *
 * There is no interrupt controller and no device: the guest leaves by `out` to
 * one port, or by a fault, which a ring-0 stub turns into `out` to another. The
 * order of the ioctls matters: memory before the vCPU costs 0.2 ms, after it 8.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "abi/tables.h"
#include "tender.h"

#define FAULT_PA    0x4000      /* 32 stubs of 4 bytes, then their stack */
#define FAULT_STACK 0x5000      /* its top: below is free down to the stubs */
#define IDT_PA      0x5000
#define TSS_PA      0x6000
#define TSS_LIMIT   0x268       /* with an I/O bitmap for 4096 ports */
#define GDT_PA      0x8000
#define TABLES_PA   0x10000
#define TABLES      ((GUEST_SHIM_PA - TABLES_PA) / 4096)
#define FAULT_PORT  0x20        /* and the 31 after it */

/* Touched by every boot: given pages before entry, in one go. */
#define HOT_STACK   0x8000
#define HOT_ARENA   (4 << 20)

/* The least of the arena that a slot has; each has as much as those before. */
#define SLOT_ARENA  ((uint64_t)8 << 20)

#ifndef MADV_POPULATE_READ          /* Linux 5.14; not in musl's header yet */
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* As musl passes it: an int, extended with its sign. */
#define COND_IOCTL(request) COND_EQ(1, (int64_t)(int32_t)(request))

struct vm {
    struct tender *t;
    int kvm, vm, cpu;
    struct kvm_run *run;
    uint8_t *ram;
    uint64_t ram_bytes;
    uint64_t info_pa;
    struct tables tables;
    uint32_t slots;
    uint64_t code_pa;
    uint64_t arena_pa;
    uint64_t next_pa;           /* of the arena, not yet given */
    uint64_t slot_end;          /* of the arena, not yet in a slot */
    uint32_t told;              /* of window.terminate, by a wait */
    bool code_present;
};

_Static_assert(GUEST_PORT / 8 != FAULT_PORT / 8, "CPL3 may use the gate's only");

static _Noreturn void failed(const struct vm *v, const char *what)
{
    die(EXIT_TOOL, "cannot run %s on KVM: %s: %s", v->t->opt.image_path, what,
        strerror(errno));
}

static void map_tables(struct vm *v, uint64_t va, uint64_t pa, uint64_t bytes,
                       uint64_t flags)
{
    if (tables_map(&v->tables, va, pa, bytes, flags) < 0)
        die(EXIT_TOOL, "cannot run %s on KVM: it needs more than %d page tables",
            v->t->opt.image_path, TABLES);
}

/*
 * The one function for guest addresses: host memory for [va, va + n) of a
 * place where the guest may have data, as it is mapped; NULL if any of it is
 * not there. One run only, so callers go page by page where it may be split.
 */
static void *guest_memory(const struct vm *v, uint64_t va, uint64_t n, bool write)
{
    struct tables t = v->tables;
    uint64_t *e = tables_at(&t, t.pool_pa), pa, in;
    uint64_t base = v->t->image.base;

    if (va < base || n > 4096 || (va & 4095) + n > 4096)
        return NULL;
    e += va >> 39 & 511;
    for (int shift = 30;; shift -= 9) {
        if ((*e & (PTE_P | PTE_U)) != (PTE_P | PTE_U) || (write && !(*e & PTE_W)))
            return NULL;
        if (shift < 12 || *e & PTE_2M) {
            uint64_t size = shift < 12 ? 4096 : 0x200000;

            pa = *e & PTE_ADDRESS;
            in = va & (size - 1);
            break;
        }
        e = tables_at(&t, *e & PTE_ADDRESS) + (va >> shift & 511);
    }
    pa += in;
    if (pa >= v->ram_bytes || n > v->ram_bytes - pa)
        return NULL;
    return v->ram + pa;
}

static void *map_shared(const struct vm *v, uint64_t pa, uint64_t bytes, int fd)
{
    void *at = mmap(v->ram + pa, bytes, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

    if (at == MAP_FAILED)
        failed(v, "shared memory");
    return at;
}

static void lay_out(struct vm *v)
{
    struct tender *t = v->t;
    uint64_t base = t->image.base, code = t->image.header.code_bytes;
    uint64_t pa = round_up(t->image.pa_end, 4096);
    uint64_t gate_pa = pa, info_pa = gate_pa + GUEST_GATE_SIZE;
    uint64_t stack_pa = info_pa + t->info_bytes;
    uint64_t window_pa = stack_pa + GUEST_STACK_SIZE;
    uint64_t net_pa = window_pa + GUEST_WINDOW_SIZE;
    uint64_t net_bytes = t->opt.net_fd >= 0 ? GUEST_NET_SIZE : 0;
    const uint64_t rw = PTE_P | PTE_U | PTE_W | PTE_NX;

    v->arena_pa = v->next_pa = round_up(net_pa + net_bytes, GUEST_CHUNK);
    v->code_pa = v->arena_pa + t->opt.mem_bytes;
    v->ram_bytes = round_up(v->code_pa + code, GUEST_CHUNK);

    /* 2 MiB aligned, so that the host can use large pages. */
    v->ram = mmap(NULL, v->ram_bytes + GUEST_CHUNK, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (v->ram == MAP_FAILED)
        failed(v, "memory");
    v->ram = (uint8_t *)round_up((uint64_t)v->ram, GUEST_CHUNK);
    /* What is shared lies in between, so that one slot has it all. */
    t->window = map_shared(v, window_pa, GUEST_WINDOW_SIZE, -1);
    if (net_bytes)
        map_shared(v, net_pa, net_bytes, t->opt.net_fd);

    v->info_pa = info_pa;
    v->tables = (struct tables){v->ram + TABLES_PA, TABLES_PA, 1, TABLES};
    for (int i = 0; i < t->image.segs; i++) {
        const struct segment *s = &t->image.seg[i];
        uint64_t whole = s->file_bytes & ~(uint64_t)4095;
        uint64_t rest = s->file_bytes - whole;
        uint8_t *at = v->ram + s->pa;

        /*
         * Read-only segments are mapped shared with the page cache to their
         * last byte; of a writable one the last page ends in zeros.
         */
        if (!(s->flags & PF_W) && rest > 0) {
            whole += 4096;
            rest = 0;
        }
        if (whole > 0 && mmap(at, whole, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_FIXED, t->image.fd,
                              (off_t)s->offset) == MAP_FAILED)
            failed(v, "mapping the image");
        if (rest > 0 && pread(t->image.fd, at + whole, rest,
                              (off_t)(s->offset + whole)) != (ssize_t)rest)
            failed(v, "reading the image");
        map_tables(v, s->va, s->pa, s->mem_bytes, tables_flags(s->flags));
    }
    map_tables(v, base + GUEST_GATE, gate_pa, GUEST_GATE_SIZE, PTE_P | PTE_U);
    map_tables(v, base + GUEST_INFO, info_pa, t->info_bytes, PTE_P | PTE_U | PTE_NX);
    map_tables(v, base + GUEST_STACK, stack_pa, GUEST_STACK_SIZE, rw);
    map_tables(v, base + GUEST_WINDOW, window_pa, GUEST_WINDOW_SIZE, rw);
    if (net_bytes)
        map_tables(v, base + GUEST_NET, net_pa, net_bytes, rw);
    fill_info(t, (struct guest_info *)t->info, base + GUEST_GATE);
    memcpy(v->ram + info_pa, t->info, t->info_bytes);
    {
        /* long gate(op, a, b, c): store the arguments, leave, load the result */
        uint8_t gate[] = {
            0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, /* movabs $&call, %rax */
            0x48, 0x89, 0x38,                   /* mov %rdi, (%rax) */
            0x48, 0x89, 0x70, 8,                /* mov %rsi, 8(%rax) */
            0x48, 0x89, 0x50, 16,               /* mov %rdx, 16(%rax) */
            0x48, 0x89, 0x48, 24,               /* mov %rcx, 24(%rax) */
            0xe6, GUEST_PORT,                   /* out %al, $port */
            0x48, 0x8b, 0x40, 32,               /* mov 32(%rax), %rax */
            0xc3,                               /* ret */
        };
        uint64_t call = base + GUEST_WINDOW + offsetof(struct guest_window, call);

        memcpy(gate + 2, &call, sizeof call);
        memcpy(v->ram + gate_pa, gate, sizeof gate);
    }
}

/* Ring 0: no code but 32 stubs, `out %al, $port; hlt`, on a stack of their own. */
static void set_up_ring0(struct vm *v)
{
    uint64_t *pml4 = tables_at(&v->tables, TABLES_PA), *pdpt, *pd;
    uint64_t *gdt = (uint64_t *)(v->ram + GDT_PA);
    uint8_t *tss = v->ram + TSS_PA;
    uint64_t pdpt_pa = tables_new(&v->tables), pd_pa = tables_new(&v->tables);

    if (!pdpt_pa || !pd_pa)
        die(EXIT_TOOL, "cannot run %s on KVM: out of page tables",
            v->t->opt.image_path);
    pdpt = tables_at(&v->tables, pdpt_pa);
    pd = tables_at(&v->tables, pd_pa);
    pml4[0] = pdpt_pa | PTE_P | PTE_W;
    pdpt[0] = pd_pa | PTE_P | PTE_W;
    pd[0] = PTE_P | PTE_W | PTE_2M;

    gdt[SEL_KCODE / 8] = 0x00af9b000000ffff;
    gdt[SEL_KDATA / 8] = 0x00cf93000000ffff;
    gdt[4] = 0x00cffb000000ffff;
    gdt[SEL_UDATA / 8] = 0x00cff3000000ffff;
    gdt[SEL_UCODE / 8] = 0x00affb000000ffff;
    gdt[SEL_TSS / 8] = 0x00008b0000000000 | TSS_LIMIT | (uint64_t)TSS_PA << 16;

    *(uint64_t *)(tss + 4) = FAULT_STACK;       /* rsp0 */
    *(uint16_t *)(tss + 0x66) = 0x68;           /* where the bitmap begins */
    memset(tss + 0x68, 0xff, TSS_LIMIT - 0x68 + 1);
    tss[0x68 + GUEST_PORT / 8] &= (uint8_t)~(1 << GUEST_PORT % 8);

    for (uint64_t i = 0; i < 32; i++) {
        uint64_t at = FAULT_PA + 4 * i;
        uint64_t *gate = (uint64_t *)(v->ram + IDT_PA + 16 * i);
        const uint8_t stub[] = {0xe6, (uint8_t)(FAULT_PORT + i), 0xf4};

        memcpy(v->ram + at, stub, sizeof stub);
        gate[0] = (at & 0xffff) | SEL_KCODE << 16 | (uint64_t)0x8e00 << 32;
        gate[1] = 0;
    }
}

static struct kvm_segment user_segment(unsigned sel, unsigned type, unsigned l)
{
    return (struct kvm_segment){
        .limit = ~0u, .selector = (uint16_t)sel, .type = (uint8_t)type, .present = 1,
        .dpl = 3, .s = 1, .l = (uint8_t)l, .db = !l, .g = 1,
    };
}

/*
 * What the guest may think of its processor: x86-64-v1 and FSGSBASE. It never
 * asks (cpuid leaves the guest and costs 30 us), but KVM decides by it which
 * registers it lets us set.
 */
static void set_cpuid(struct vm *v)
{
    static const struct kvm_cpuid_entry2 entry[] = {
        {.function = 0, .eax = 7, .ebx = 0x756e6547, .ecx = 0x6c65746e,
         .edx = 0x49656e69},
        {.function = 1, .eax = 0x000006f0, .ecx = 0, .edx = 0x0783a17b},
        {.function = 7, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .ebx = 1},
        {.function = 0x80000000, .eax = 0x80000008},
        {.function = 0x80000001, .edx = 1u << 29 | 1u << 20 | 1u << 11},
        {.function = 0x80000008, .eax = 48u << 8 | 40},
    };
    const unsigned n = sizeof entry / sizeof *entry;
    struct kvm_cpuid2 *c = calloc(1, sizeof *c + sizeof entry);

    if (!c)
        failed(v, "memory");
    c->nent = n;
    memcpy(c->entries, entry, sizeof entry);
    if (ioctl(v->cpu, KVM_SET_CPUID2, c) < 0)
        failed(v, "KVM_SET_CPUID2");
    free(c);
}

static void set_registers(struct vm *v)
{
    uint64_t base = v->t->image.base;
    struct kvm_sregs s;
    struct kvm_regs r = {
        .rip = v->t->image.entry,
        .rflags = 0x202,
        .rsp = base + GUEST_STACK + GUEST_STACK_SIZE,
        .rdi = base + GUEST_INFO,
    };

    if (ioctl(v->cpu, KVM_GET_SREGS, &s) < 0)
        failed(v, "KVM_GET_SREGS");
    s.cs = user_segment(SEL_UCODE, 0xb, 1);
    s.ss = s.ds = s.es = user_segment(SEL_UDATA, 3, 0);
    s.fs = s.gs = user_segment(0, 3, 0);
    s.gdt.base = GDT_PA;
    s.gdt.limit = SEL_TSS + 15;
    s.idt.base = IDT_PA;
    s.idt.limit = 32 * 16 - 1;
    s.tr = (struct kvm_segment){
        .base = TSS_PA, .limit = TSS_LIMIT, .selector = SEL_TSS, .type = 0xb,
        .present = 1,
    };
    s.cr0 = 0x80010033;                 /* PG WP NE ET MP PE */
    s.cr3 = TABLES_PA;
    s.cr4 = 0x620 | 1 << 16;            /* PAE OSFXSR OSXMMEXCPT FSGSBASE */
    s.efer = 0xd00;                     /* LME LMA NXE */
    if (ioctl(v->cpu, KVM_SET_SREGS, &s) < 0)
        failed(v, "KVM_SET_SREGS");
    if (ioctl(v->cpu, KVM_SET_REGS, &r) < 0)
        failed(v, "KVM_SET_REGS");
}

static void populate(uint8_t *at, uint64_t bytes, int advice)
{
    /* A kernel before 5.14 does not know it: then it goes page by page. */
    if (bytes > 0)
        madvise(at, round_up(bytes, 4096), advice);
}

/*
 * Give a writable segment its memory: the pages known to be written first get
 * copies of their own, the rest is left to be touched: of the file's pages, which
 * are in the host's memory, a touch maps sixteen at once, and a start touches a
 * third of them. Without that knowledge, all that is in the file and some of
 * what is free behind it.
 */
static void populate_data(struct vm *v, const struct segment *s, uint64_t *bit)
{
    const uint8_t *hot = v->t->image.hot;
    uint64_t pages = s->mem_bytes / 4096, from = 0;

    if (!hot) {
        uint64_t fresh = s->mem_bytes - s->file_bytes;

        populate(v->ram + s->pa, s->file_bytes + (fresh < HOT_ARENA ? fresh : HOT_ARENA),
                 MADV_POPULATE_WRITE);
        return;
    }
    for (uint64_t i = 0; i <= pages; i++, ++*bit) {
        if (i < pages && hot[*bit / 8] >> *bit % 8 & 1)
            continue;
        if (i > from)
            populate(v->ram + s->pa + 4096 * from, 4096 * (i - from),
                     MADV_POPULATE_WRITE);
        from = i + 1;
    }
    --*bit;
}

static int add_slot(struct vm *v, uint64_t pa, uint64_t bytes)
{
    struct kvm_userspace_memory_region slot = {
        .slot = v->slots, .guest_phys_addr = pa, .memory_size = bytes,
        .userspace_addr = (uint64_t)(v->ram + pa),
    };

    if (ioctl(v->vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
        return -errno;
    v->slots++;
    return 0;
}

/* The arena up to `end` shall be in slots. 0 or a negative errno. */
static int add_arena(struct vm *v, uint64_t end)
{
    uint64_t from = v->slot_end, more = from - v->arena_pa;
    int err;

    if (end <= from)
        return 0;
    if (more < SLOT_ARENA)
        more = SLOT_ARENA;
    if (more > v->code_pa - from)
        more = v->code_pa - from;
    if (end < from + more)
        end = from + more;
    err = add_slot(v, from, end - from);
    if (!err)
        v->slot_end = end;
    return err;
}

static void set_up_memory(struct vm *v)
{
    struct tender *t = v->t;
    uint64_t hot = t->image.hot ? t->image.header.hot_fresh : HOT_ARENA, bit = 0;

    v->slot_end = v->arena_pa + (t->opt.mem_bytes < SLOT_ARENA ? t->opt.mem_bytes : SLOT_ARENA);
    if (add_slot(v, 0, v->slot_end) < 0)
        failed(v, "KVM_SET_USER_MEMORY_REGION");
    for (int i = 0; i < t->image.segs; i++) {
        const struct segment *s = &t->image.seg[i];
        bool tree = t->image.header.tree_bytes && t->image.header.tree >= s->va &&
                    t->image.header.tree - s->va < s->mem_bytes;

        if (s->flags & PF_W)
            populate_data(v, s, &bit);
        else if (!t->image.hot)
            populate(v->ram + s->pa, tree ? 4096 : s->file_bytes, MADV_POPULATE_READ);
    }
    populate(v->ram + round_up(t->image.pa_end, 4096) + GUEST_GATE_SIZE +
                 t->info_bytes + GUEST_STACK_SIZE - HOT_STACK,
             HOT_STACK, MADV_POPULATE_WRITE);
    if (hot > t->opt.mem_bytes)
        hot = t->opt.mem_bytes;
    populate(v->ram + v->next_pa, hot, MADV_POPULATE_WRITE);
}

/* --- calls of the guest --- */

static int64_t serve_write(struct vm *v, uint64_t fd, uint64_t va, uint64_t n)
{
    if (fd != 1 && fd != 2)
        return -EBADF;
    while (n > 0) {
        uint64_t part = 4096 - (va & 4095);
        const uint8_t *p;

        if (part > n)
            part = n;
        p = guest_memory(v, va, part, false);
        if (!p)
            return -EFAULT;
        while (part > 0) {
            ssize_t done = write((int)fd, p, part);

            if (done < 0 && errno == EAGAIN) {
                struct pollfd pfd = {.fd = (int)fd, .events = POLLOUT};

                ppoll(&pfd, 1, NULL, NULL);
                continue;
            }
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                return done < 0 ? -errno : -EIO;
            p += done;
            va += (uint64_t)done;
            n -= (uint64_t)done;
            part -= (uint64_t)done;
        }
    }
    return 0;
}

static int64_t serve_read(struct vm *v, uint64_t va, uint64_t n)
{
    struct pollfd pfd = {.fd = 0, .events = POLLIN};
    struct timespec now = {0, 0};
    uint64_t part = 4096 - (va & 4095);
    uint8_t *p;
    ssize_t got;

    if (part > n)
        part = n;
    p = guest_memory(v, va, part, true);
    if (!p)
        return -EFAULT;
    if (ppoll(&pfd, 1, &now, NULL) <= 0)
        return -EAGAIN;
    do
        got = read(0, p, part);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* Pass on what the signals said; a second one ends the guest. */
static bool take_signals(struct vm *v)
{
    if (signals_seen == 0)
        return false;
    v->t->window->terminate = (uint32_t)signals_seen;
    return signals_seen > 1;
}

static int64_t serve_wait(struct vm *v, uint64_t deadline, uint64_t what)
{
    const struct guest_info *gi = (const struct guest_info *)v->t->info;
    struct pollfd pfd[] = {
        {.fd = what & WAIT_INPUT ? 0 : -1, .events = POLLIN},
        {.fd = what & WAIT_NET ? v->t->opt.wake_fd : -1, .events = POLLIN},
    };
    uint64_t now = guest_mono_ns(&gi->clock), count = 1;
    uint64_t left = deadline > now ? deadline - now : 0;
    struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
    int64_t is = 0;

    if (what & WAIT_KICK && v->t->opt.kick_fd >= 0 &&
        write(v->t->opt.kick_fd, &count, sizeof count) < 0)
        count = 0;              /* it is readable already */
    /* A process with the window in hand can change it: seen is what counts. */
    if (v->told == (uint32_t)signals_seen &&
        ppoll(pfd, 2, deadline == UINT64_MAX ? NULL : &t, &wait_signals) > 0) {
        if (pfd[0].revents)
            is |= WAIT_INPUT;
        if (pfd[1].revents && read(v->t->opt.wake_fd, &count, sizeof count) > 0)
            is |= WAIT_NET;
    }
    if (v->told != (uint32_t)signals_seen) {
        v->told = (uint32_t)signals_seen;
        is |= WAIT_SIGNAL;
    }
    return is;
}

static int64_t serve_memory(struct vm *v, uint64_t va, uint64_t n)
{
    uint64_t arena = v->t->image.base + GUEST_ARENA;

    if ((va | n) & (GUEST_CHUNK - 1) || va < arena || n > GUEST_ARENA_SIZE ||
        va - arena > GUEST_ARENA_SIZE - n)
        return -EINVAL;
    if (n > v->code_pa - v->next_pa)
        return -ENOMEM;
    for (uint64_t at = va; at < va + n; at += GUEST_CHUNK)
        if (tables_present(&v->tables, at))
            return -EEXIST;
    if (add_arena(v, v->next_pa + n) < 0 ||
        tables_map(&v->tables, va, v->next_pa, n,
                   PTE_P | PTE_U | PTE_W | PTE_NX) < 0)
        return -ENOMEM;
    v->next_pa += n;
    return 0;
}

static int64_t serve_release(struct vm *v, uint64_t va, uint64_t n)
{
    uint64_t arena = v->t->image.base + GUEST_ARENA;

    if ((va | n) & 4095 || va < arena || n > GUEST_ARENA_SIZE ||
        va - arena > GUEST_ARENA_SIZE - n)
        return -EINVAL;
    /* What came with the image would read as the file again. */
    for (int i = 0; i < v->t->image.segs; i++) {
        const struct segment *s = &v->t->image.seg[i];

        if (va < s->va + s->mem_bytes && s->va < va + n)
            return -EPERM;
    }
    while (n > 0) {
        uint64_t part = GUEST_CHUNK - (va & (GUEST_CHUNK - 1));
        uint8_t *p = guest_memory(v, va, 4096, true);

        if (part > n)
            part = n;
        if (!p)
            return -EFAULT;
        if (madvise(p, part, MADV_DONTNEED) < 0)
            return -errno;
        va += part;
        n -= part;
    }
    return 0;
}

static int64_t serve_code(struct vm *v)
{
    uint64_t n = v->t->image.header.code_bytes, base = v->t->image.base;

    if (n == 0)
        return -EPERM;
    if (v->code_present)
        return 0;
    if (add_slot(v, v->code_pa, n) < 0 ||
        tables_map(&v->tables, base + GUEST_CODE_X, v->code_pa, n,
                   PTE_P | PTE_U) < 0 ||
        tables_map(&v->tables, base + GUEST_CODE_W, v->code_pa, n,
                   PTE_P | PTE_U | PTE_W | PTE_NX) < 0)
        return -ENOMEM;
    v->code_present = true;
    return 0;
}

/* Whoever asks again has gone on already. */
static int64_t serve_ready(struct vm *v)
{
    struct tender *t = v->t;

    if (t->opt.go_fd < 0 || t->went)
        return 0;
    t->went = true;
    wait_to_go(t);
    memcpy(v->ram + v->info_pa, t->info, sizeof(struct guest_info));
    t->exits = 0;
    t->faults_base = page_faults();
    return 0;
}

static struct outcome exited(uint64_t status, uint64_t kind)
{
    struct outcome o = {.status = (int)(status & 255)};

    /* A fault is what we see, not what a guest says. */
    o.kind = kind <= GUEST_EXIT_START && kind != GUEST_EXIT_FAULT
                 ? (enum guest_exit)kind : GUEST_EXIT_NONE;
    return o;
}

static struct outcome faulted(struct vm *v, unsigned vector)
{
    struct outcome o = {.kind = GUEST_EXIT_FAULT, .status = EXIT_FAULT};
    bool has_error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
    struct kvm_regs r;
    struct kvm_sregs s;
    uint64_t frame[6] = {0};

    if (ioctl(v->cpu, KVM_GET_REGS, &r) < 0 || ioctl(v->cpu, KVM_GET_SREGS, &s) < 0)
        failed(v, "reading registers");
    /* error rip cs rflags rsp ss, on the stack of the stubs */
    if (r.rsp >= FAULT_PA && r.rsp <= FAULT_STACK - 40)
        memcpy(frame + !has_error, v->ram + r.rsp, has_error ? 48 : 40);
    o.fault = (struct guest_fault){
        .vector = vector,
        .error = frame[0],
        .rip = frame[1],
        .rsp = frame[4],
        .address = vector == 14 ? s.cr2 : 0,
        .regs = {r.rax, r.rcx, r.rdx, r.rbx, frame[4], r.rbp, r.rsi, r.rdi,
                 r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15},
    };
    return o;
}

static struct outcome run(struct vm *v)
{
    struct guest_window *w = v->t->window;
    struct outcome o = {0};

    for (;;) {
        uint64_t op, a, b, c;
        int64_t r;

        if (ioctl(v->cpu, KVM_RUN, 0) < 0) {
            struct timespec now = {0, 0};

            if (errno != EINTR && errno != EAGAIN)
                failed(v, "KVM_RUN");
            ppoll(NULL, 0, &now, &wait_signals);
            if (take_signals(v)) {
                o.killed = true;
                o.status = 128 + SIGTERM;
                return o;
            }
            continue;
        }
        v->t->exits++;
        switch (v->run->exit_reason) {
        case KVM_EXIT_IO:
            if (v->run->io.port >= FAULT_PORT && v->run->io.port < FAULT_PORT + 32)
                return faulted(v, v->run->io.port - FAULT_PORT);
            break;
        case KVM_EXIT_INTR:
            continue;
        case KVM_EXIT_SHUTDOWN:
            o = (struct outcome){.kind = GUEST_EXIT_FAULT, .status = EXIT_FAULT};
            o.detail = "triple fault";
            return o;
        default:
            o = (struct outcome){.kind = GUEST_EXIT_FAULT, .status = EXIT_FAULT};
            o.detail = "it did what KVM can't do here";
            fprintf(stderr, "kindling: KVM exit %u\n", v->run->exit_reason);
            return o;
        }
        op = __atomic_load_n(&w->call.op, __ATOMIC_RELAXED);
        a = __atomic_load_n(&w->call.a, __ATOMIC_RELAXED);
        b = __atomic_load_n(&w->call.b, __ATOMIC_RELAXED);
        c = __atomic_load_n(&w->call.c, __ATOMIC_RELAXED);
        switch (op) {
        case GATE_EXIT: return exited(a, b);
        case GATE_WRITE:
            note_output(v->t);
            r = serve_write(v, a, b, c);
            break;
        case GATE_READ: r = serve_read(v, b, c); break;
        case GATE_WAIT: r = serve_wait(v, a, b); break;
        case GATE_MEMORY: r = serve_memory(v, a, b); break;
        case GATE_RELEASE: r = serve_release(v, a, b); break;
        case GATE_READY: r = serve_ready(v); break;
        case GATE_CODE: r = serve_code(v); break;
        default: r = -ENOSYS; break;
        }
        if (take_signals(v)) {
            o.killed = true;
            o.status = 128 + SIGTERM;
            return o;
        }
        w->call.ret = r;
    }
}

/* From here on: run the guest, read and write what is open, end. */
static void lock_down(struct vm *v)
{
    struct filter *f = filter_new(0);
    struct sock_fprog prog;

    filter_allow(f, SYS_ioctl, 2, (struct cond[]){COND_EQ(0, v->cpu), COND_IOCTL(KVM_RUN)});
    filter_allow(f, SYS_ioctl, 2, (struct cond[]){
        COND_EQ(0, v->vm), COND_IOCTL(KVM_SET_USER_MEMORY_REGION)});
    filter_allow(f, SYS_ppoll, 0, NULL);
    filter_allow(f, SYS_write, 0, NULL);
    filter_allow(f, SYS_writev, 0, NULL);
    filter_allow(f, SYS_read, 1, (struct cond[]){COND_EQ(0, 0)});
    if (v->t->opt.go_fd >= 0)
        filter_allow(f, SYS_read, 1, (struct cond[]){COND_EQ(0, v->t->opt.go_fd)});
    if (v->t->opt.wake_fd >= 0)
        filter_allow(f, SYS_read, 1, (struct cond[]){COND_EQ(0, v->t->opt.wake_fd)});
    filter_allow(f, SYS_rt_sigreturn, 0, NULL);
    filter_allow(f, SYS_exit_group, 0, NULL);
    filter_allow(f, SYS_exit, 0, NULL);
    filter_allow(f, SYS_madvise, 1, (struct cond[]){COND_EQ(2, MADV_DONTNEED)});
    filter_allow(f, SYS_ioctl, 2, (struct cond[]){COND_EQ(0, v->cpu), COND_IOCTL(KVM_GET_REGS)});
    filter_allow(f, SYS_ioctl, 2, (struct cond[]){COND_EQ(0, v->cpu), COND_IOCTL(KVM_GET_SREGS)});
    filter_allow(f, SYS_ioctl, 2, (struct cond[]){COND_EQ(0, 0), COND_IOCTL(TCSETS)});
    filter_allow(f, SYS_getrusage, 0, NULL);
    /* The C library's own: output buffers, locks, the report's FILE. */
    filter_allow(f, SYS_clock_gettime, 0, NULL);
    filter_allow(f, SYS_fcntl, 1, (struct cond[]){COND_EQ(1, F_GETFL)});
    filter_allow(f, SYS_fcntl, 1, (struct cond[]){COND_EQ(1, F_SETFD)});
    filter_allow(f, SYS_ioctl, 1, (struct cond[]){COND_IOCTL(TIOCGWINSZ)});
    filter_allow(f, SYS_close, 0, NULL);
    filter_allow(f, SYS_lseek, 0, NULL);
    filter_allow(f, SYS_brk, 0, NULL);
    filter_allow(f, SYS_mmap, 1, (struct cond[]){COND_EQ(2, PROT_READ | PROT_WRITE)});
    filter_allow(f, SYS_mmap, 1, (struct cond[]){COND_EQ(2, PROT_NONE)});
    filter_allow(f, SYS_mprotect, 1, (struct cond[]){COND_EQ(2, PROT_READ | PROT_WRITE)});
    filter_allow(f, SYS_munmap, 0, NULL);
    filter_allow(f, SYS_restart_syscall, 0, NULL);
    filter_program(f, &prog);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
        failed(v, "seccomp");
}

int run_kvm(struct tender *t)
{
    static struct vm v;
    struct kvm_signal_mask *mask;
    struct outcome o;
    int khz, run_bytes;

    t->mode = "kvm";
    v = (struct vm){.t = t, .kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)};
    if (v.kvm < 0)
        die(EXIT_TOOL, "cannot run %s on KVM: /dev/kvm: %s; try --on process",
            t->opt.image_path, strerror(errno));
    if (t->opt.emit_fd >= 0)
        die(EXIT_TOOL, "cannot build an image on KVM: use --process");
    v.vm = ioctl(v.kvm, KVM_CREATE_VM, 0);
    if (v.vm < 0)
        failed(&v, "KVM_CREATE_VM");
    khz = ioctl(v.vm, KVM_GET_TSC_KHZ, 0);
    t->tsc_hz = khz > 0 ? (uint64_t)khz * 1000 : host_tsc_hz();
    raw_terminal(t);
    lay_out(&v);
    set_up_ring0(&v);
    fill_window(t);
    set_up_memory(&v);
    v.cpu = ioctl(v.vm, KVM_CREATE_VCPU, 0);
    if (v.cpu < 0)
        failed(&v, "KVM_CREATE_VCPU");
    run_bytes = ioctl(v.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_bytes < (int)sizeof *v.run)
        failed(&v, "KVM_GET_VCPU_MMAP_SIZE");
    v.run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v.cpu, 0);
    if (v.run == MAP_FAILED)
        failed(&v, "kvm_run");
    set_cpuid(&v);
    set_registers(&v);
    catch_signals();
    mask = calloc(1, sizeof *mask + 8);
    if (!mask)
        failed(&v, "memory");
    mask->len = 8;
    memcpy(mask->sigset, &wait_signals, 8);
    if (ioctl(v.cpu, KVM_SET_SIGNAL_MASK, mask) < 0)
        failed(&v, "KVM_SET_SIGNAL_MASK");
    drop_privileges();
    lock_down(&v);
    if (t->opt.go_fd >= 0 && !(t->image.header.flags & IMAGE_BAKED))
        serve_ready(&v);
    t->faults_base = page_faults();
    t->ran_tsc = guest_tsc();
    o = run(&v);
    return report(t, &o);
}
