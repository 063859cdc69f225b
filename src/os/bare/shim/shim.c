/*
 * shim.c - ring 0, for machines where nobody enters CPL3 for us.
 *
 * It maps the image by the image's own program headers, so that one written out
 * by a running guest needs no other shim. It changes only its copy at 1 MiB,
 * which the guest does not see: what is written out is as it was linked. Devices:
 * two 16550s, the local APIC's timer, the I/O APIC, isa-debug-exit, and if the
 * instance has a network, a card (virtio_net.h). What it can't do it says on the
 * console.
 */
#include <elf.h>
#include <errno.h>

#include "abi/image.h"
#include "abi/shim.h"
#include "abi/tables.h"
#include "os/bare/shim/virtio_net.h"

extern uint8_t pml4[], pool[], pool_end[], shim_stack_top[], stubs[];
extern uint8_t gate_code[], gate_code_end[], on_interrupt[], on_card_interrupt[];
extern uint64_t gdt_tss[2];
void halt(void);
void shim_main(void *start_info);
long shim_gate(uint64_t op, uint64_t a, uint64_t b, uint64_t c);
_Noreturn void shim_fault(uint64_t *frame, uint64_t cr2);
void shim_card(void);

uint64_t shim_entry, shim_info, shim_stack, shim_gate_va;
struct {
    uint16_t low, selector, type, mid;
    uint32_t high, zero;
} idt[36];

static struct {
    uint32_t zero;
    uint64_t rsp0;
    uint32_t rest[20];
    uint16_t pad, iomap;
} __attribute__((packed)) tss;

/* Of the PVH boot protocol (Xen's public/arch-x86/hvm/start_info.h). */
struct hvm_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modules, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
struct hvm_module {
    uint64_t address, bytes, cmdline, reserved;
};
struct hvm_memmap {
    uint64_t address, bytes;
    uint32_t type, reserved;
};

static struct {
    struct tables tables;
    struct guest_window *window;        /* where it lies for us */
    const struct guest_info *info;
    uint64_t base, arena_end;           /* base: of the guest's addresses */
    uint64_t next_pa, end_pa;           /* of the arena, not yet given */
    uint64_t code_pa;
    uint32_t told;
    int code_present;
    uint64_t exits;
} shim;

static volatile uint32_t *const apic = (uint32_t *)0xfee00000;
static volatile uint32_t *const ioapic = (uint32_t *)0xfec00000;

static void outb(uint16_t port, uint8_t v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "d"(port));
}

static uint8_t inb(uint16_t port)
{
    uint8_t v;

    __asm__ volatile("inb %1, %0" : "=a"(v) : "d"(port));
    return v;
}

static void copy(void *to, const void *from, uint64_t n)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

static void send(uint16_t port, const void *s, uint64_t n)
{
    while (n > 0) {
        uint64_t part = n < 16 ? n : 16;        /* the FIFO's size */

        while (!(inb((uint16_t)(port + 5)) & 0x20))
            ;
        n -= part;
        __asm__ volatile("rep outsb" : "+S"(s), "+c"(part) : "d"(port) : "memory");
    }
}

static void say(const char *s)
{
    const char *end = s;

    while (*end)
        end++;
    send(SHIM_COM1, s, (uint64_t)(end - s));
}

static struct shim_record record;
#define LINGER_TICKS 1000000000ull      /* 0.2 to 1 s */

static _Noreturn void leave(uint8_t status, uint32_t kind)
{
    record.magic = SHIM_RECORD_MAGIC;
    record.kind = kind;
    record.status = status;
    record.exits = shim.exits;
    record.tsc = guest_tsc();
    if (shim.window)
        copy(record.mark, shim.window->mark, sizeof record.mark);
    send(SHIM_COM2, &record, sizeof record);
    /*
     * Leaving at once can lose what QEMU has not passed on yet. Whoever reads
     * the record ends QEMU; nobody does when it is run by hand.
     */
    for (uint64_t start = guest_tsc(); guest_tsc() - start < LINGER_TICKS;)
        __asm__ volatile("pause");
    /* Carries 7 bits only: the record is what counts. */
    outb(SHIM_EXIT_PORT, status);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static _Noreturn void refuse(const char *why)
{
    say("kindling: the image cannot start: ");
    say(why);
    say("\n");
    leave(EXIT_TOOL, GUEST_EXIT_START);
}

/* --- the network --- */

/*
 * QEMU's microvm has its virtio devices in these places, one interrupt of the
 * I/O APIC each; it fills them from the last one down.
 */
#define VIRTIO_PLACES   8
#define VIRTIO_AT       0xfeb00000ul
#define VIRTIO_BYTES    0x200
#define VIRTIO_IRQ      5
#define VIRTIO_MAGIC    0x74726976      /* "virt" */
#define VIRTIO_NET      1

static struct card card;
static int card_works;

static void card_turn(void)
{
    if (card_works && !card_work(&card)) {
        card_works = 0;
        say("kindling: the network card broke the rules of virtio and was switched off\n");
    }
}

/*
 * It interrupts the guest too, so that frames come to a busy one as they come
 * from the switch: without its doing.
 */
void shim_card(void)
{
    if (card_works)
        card_heard(&card);
    card_turn();
}

static void route_interrupt(uint32_t irq, uint32_t vector)
{
    ioapic[0] = 0x10 + 2 * irq;         /* edge, high, physical, to CPU 0 */
    ioapic[4] = vector;
    ioapic[0] = 0x11 + 2 * irq;
    ioapic[4] = 0;
}

static void start_card(struct net_port *port)
{
    for (uint32_t i = VIRTIO_PLACES; i-- > 0;) {
        volatile uint32_t *regs = (uint32_t *)(VIRTIO_AT + VIRTIO_BYTES * i);

        if (regs[0] != VIRTIO_MAGIC || regs[1] != 2 || regs[2] != VIRTIO_NET)
            continue;
        route_interrupt(VIRTIO_IRQ + i, 35);
        if (!card_start(&card, regs, port))
            refuse("its network card is not one of virtio 1.0");
        card_works = 1;
        return;
    }
    refuse("the machine has no network card of virtio 1.0");
}

/* --- waiting --- */

/* A byte that came before the FIFO was switched on, which empties it. */
static uint8_t early_byte, early;

static int input_waits(void)
{
    return early || inb(SHIM_COM1 + 5) & 1;
}

static void look_at_control(void)
{
    while (inb(SHIM_COM2 + 5) & 1)
        if (inb(SHIM_COM2) == SHIM_TERMINATE)
            shim.window->terminate++;
}

/*
 * The APIC timer's rate is only assumed (1 GHz, divided by 16): the TSC says
 * when it is time. The serial ports interrupt when bytes come; interrupts are
 * off between the look and the hlt, so none is missed.
 */
static long wait_until(uint64_t deadline, uint64_t what)
{
    long is = 0;

    for (;;) {
        uint64_t now = guest_mono_ns(&shim.info->clock), n;

        look_at_control();
        if (shim.window->terminate != shim.told) {
            shim.told = shim.window->terminate;
            is |= WAIT_SIGNAL;
        }
        if (what & WAIT_INPUT && input_waits())
            is |= WAIT_INPUT;
        card_turn();
        if (what & WAIT_NET && card.port &&
            net_any(&card.port->to_guest, card.port->to_guest.tail))
            is |= WAIT_NET;
        if (is || now >= deadline)
            return is;
        n = ((deadline - now) >> 4) + 1;
        apic[0x380 / 4] = n > 0xffffffff ? 0xffffffff : (uint32_t)n;
        halt();
    }
}

static long read_input(uint8_t *to, uint64_t n)
{
    uint64_t got = 0;

    if (!input_waits())
        return -EAGAIN;
    if (early && n) {
        to[got++] = early_byte;
        early = 0;
    }
    while (got < n && input_waits())
        to[got++] = inb(SHIM_COM1);
    return (long)got;
}

/* --- the gate --- */

/*
 * Is [va, va + n) present, and the guest's? We write and read through its own
 * addresses, where a fault of ours would be taken for the guest's.
 */
static int is_guest(uint64_t va, uint64_t n, int write)
{
    uint64_t end = va + n;

    if (end < va || va < shim.base || end > shim.arena_end)
        return 0;
    for (; va < end; va = (va | 4095) + 1) {
        uint64_t *e = &tables_at(&shim.tables, shim.tables.pool_pa)[va >> 39 & 511];

        for (int shift = 30;; shift -= 9) {
            if ((*e & (PTE_P | PTE_U)) != (PTE_P | PTE_U) || (write && !(*e & PTE_W)))
                return 0;
            if (shift < 12 || *e & PTE_2M)
                break;
            e = tables_at(&shim.tables, *e & PTE_ADDRESS) + (va >> shift & 511);
        }
    }
    return 1;
}

static long give_memory(uint64_t va, uint64_t n)
{
    uint64_t arena = shim.base + GUEST_ARENA;

    if ((va | n) & (GUEST_CHUNK - 1) || va < arena || n > GUEST_ARENA_SIZE ||
        va - arena > GUEST_ARENA_SIZE - n)
        return -EINVAL;
    if (n > shim.end_pa - shim.next_pa)
        return -ENOMEM;
    for (uint64_t at = va; at < va + n; at += GUEST_CHUNK)
        if (tables_present(&shim.tables, at))
            return -EEXIST;
    if (tables_map(&shim.tables, va, shim.next_pa, n,
                   PTE_P | PTE_U | PTE_W | PTE_NX) < 0)
        return -ENOMEM;
    shim.next_pa += n;
    return 0;
}

static long give_code(void)
{
    uint64_t n = shim.info->code_bytes;

    if (n == 0)
        return -EPERM;
    if (shim.code_present)
        return 0;
    if (tables_map(&shim.tables, shim.base + GUEST_CODE_X, shim.code_pa, n,
                   PTE_P | PTE_U) < 0 ||
        tables_map(&shim.tables, shim.base + GUEST_CODE_W, shim.code_pa, n,
                   PTE_P | PTE_U | PTE_W | PTE_NX) < 0)
        return -ENOMEM;
    shim.code_present = 1;
    return 0;
}

long shim_gate(uint64_t op, uint64_t a, uint64_t b, uint64_t c)
{
    shim.exits++;
    switch (op) {
    case GATE_EXIT:
        leave((uint8_t)a, b <= GUEST_EXIT_START && b != GUEST_EXIT_FAULT
                              ? (uint32_t)b : GUEST_EXIT_NONE);
    case GATE_WRITE:
        if (a != 1 && a != 2)
            return -EBADF;
        if (!is_guest(b, c, 0))
            return -EFAULT;
        send(SHIM_COM1, (const void *)b, c);
        return 0;
    case GATE_READ:
        return is_guest(b, c, 1) ? read_input((uint8_t *)b, c) : -EFAULT;
    case GATE_WAIT:
        return wait_until(a, b);
    case GATE_MEMORY:
        return give_memory(a, b);
    case GATE_CODE:
        return give_code();
    default:
        return -ENOSYS;
    }
}

_Noreturn void shim_fault(uint64_t *frame, uint64_t cr2)
{
    struct guest_fault *f = &record.fault;

    /* r15 .. rax, vector, error, rip, cs, rflags, rsp, ss */
    for (int i = 0; i < 16; i++)
        f->regs[i] = frame[15 - i];
    f->vector = frame[16];
    f->error = frame[17];
    f->rip = frame[18];
    f->rsp = f->regs[4] = frame[21];
    f->address = f->vector == 14 ? cr2 : 0;
    leave(EXIT_FAULT, GUEST_EXIT_FAULT);
}

/* --- start --- */

static void gate_descriptor(int i, const uint8_t *handler)
{
    uint64_t at = (uint64_t)handler;

    idt[i].low = (uint16_t)at;
    idt[i].selector = SEL_KCODE;
    idt[i].type = 0x8e00;
    idt[i].mid = (uint16_t)(at >> 16);
}

static void map(uint64_t va, uint64_t pa, uint64_t bytes, uint64_t flags)
{
    if (tables_map(&shim.tables, va, pa, bytes, flags) < 0)
        refuse("it needs more page tables than there are");
}

static uint64_t up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static const struct image_header *find_header(const Elf64_Ehdr *eh,
                                              const Elf64_Phdr *ph)
{
    for (int i = 0; i < eh->e_phnum; i++)
        if (ph[i].p_type == PT_KINDLING)
            return (const struct image_header *)ph[i].p_paddr;
    refuse("it has no header");
}

/* The RAM that begins below the image goes up to here. */
static uint64_t ram_end(const struct hvm_start_info *si, uint64_t module)
{
    const struct hvm_memmap *m = (const void *)si->memmap;
    uint64_t end = 0;

    for (uint32_t i = 0; si->version >= 1 && i < si->memmap_entries; i++)
        if (m[i].type == 1 && m[i].address <= GUEST_IMAGE_PA &&
            m[i].address + m[i].bytes > GUEST_IMAGE_PA)
            end = m[i].address + m[i].bytes;
    if (!end)
        refuse("the machine has no memory map");
    return module > GUEST_IMAGE_PA && module < end ? module : end;
}

static void set_up_interrupts(void)
{
    for (int i = 0; i < 32; i++)
        gate_descriptor(i, stubs + 16 * i);
    gate_descriptor(32, on_interrupt);
    gate_descriptor(33, on_interrupt);
    gate_descriptor(34, on_interrupt);
    gate_descriptor(35, on_card_interrupt);
    tss.rsp0 = (uint64_t)shim_stack_top;
    tss.iomap = sizeof tss;             /* no port for CPL3 */
    gdt_tss[0] = 0x0000890000000000 | (sizeof tss - 1) | (uint64_t)&tss << 16;

    apic[0xf0 / 4] = 0x122;             /* on; spurious: 34 */
    apic[0x3e0 / 4] = 3;                /* divide by 16 */
    apic[0x320 / 4] = 32;               /* timer: one shot, 32 */
    route_interrupt(3, 33);
    route_interrupt(4, 33);
    for (int i = 0; i < 2; i++) {
        uint16_t port = i ? SHIM_COM2 : SHIM_COM1;

        if (!i && inb(SHIM_COM1 + 5) & 1) {
            early_byte = inb(SHIM_COM1);
            early = 1;
        }
        outb((uint16_t)(port + 2), 1);  /* FIFO on */
        outb((uint16_t)(port + 4), 0xb);        /* DTR RTS, interrupts out */
        outb((uint16_t)(port + 1), 1);  /* tell of bytes that came */
    }
}

void shim_main(void *start_info)
{
    const struct hvm_start_info *si = start_info;
    const struct hvm_module *module = (const void *)si->modules;
    const Elf64_Ehdr *eh = (const void *)GUEST_IMAGE_PA;
    const Elf64_Phdr *ph = (const void *)(GUEST_IMAGE_PA + eh->e_phoff);
    const uint64_t rw = PTE_P | PTE_U | PTE_W | PTE_NX;
    const struct image_header *header;
    const struct shim_boot *boot;
    struct guest_info *info;
    uint64_t pa = 0, code, info_bytes, gate_pa, stack_pa, window_pa, net_pa, base;
    uint64_t net_bytes;

    set_up_interrupts();
    header = find_header(eh, ph);
    shim.tables = (struct tables){pml4, (uint64_t)pml4, 0, 0};
    /*
     * Tables are addressed from the PML4 on; what is between it and the pool
     * is skipped.
     */
    shim.tables.used = (uint32_t)((pool - pml4) / 4096);
    shim.tables.pages = (uint32_t)((pool_end - pml4) / 4096);
    shim.base = base = header->base;
    shim.arena_end = base + GUEST_ARENA + GUEST_ARENA_SIZE;
    for (int i = 0; i < eh->e_phnum; i++) {
        const Elf64_Phdr *p = &ph[i];
        uint64_t bytes = up(p->p_memsz, 4096);

        if (p->p_type != PT_LOAD || p->p_paddr == GUEST_SHIM_PA || !bytes)
            continue;
        map(p->p_vaddr, p->p_paddr, bytes, tables_flags(p->p_flags));
        if (p->p_paddr + bytes > pa)
            pa = p->p_paddr + bytes;
    }
    if (si->nr_modules < 1 || module->bytes < sizeof *boot)
        refuse("no boot record; `kindling run --on qemu` passes one");
    boot = (const void *)module->address;
    if (boot->magic != SHIM_BOOT_MAGIC || boot->info_bytes > GUEST_INFO_MAX ||
        boot->info_bytes > module->bytes - sizeof *boot ||
        boot->info_bytes < sizeof *info)
        refuse("the boot record is damaged");

    code = header->code_bytes;
    info_bytes = up(boot->info_bytes, 4096);
    gate_pa = up(pa, 4096);
    info = (struct guest_info *)(gate_pa + GUEST_GATE_SIZE);
    stack_pa = (uint64_t)info + info_bytes;
    window_pa = stack_pa + GUEST_STACK_SIZE;
    net_pa = window_pa + GUEST_WINDOW_SIZE;
    copy(info, boot + 1, boot->info_bytes);
    net_bytes = info->flags & GUEST_HAS_NET ? GUEST_NET_SIZE : 0;
    shim.code_pa = up(net_pa + net_bytes, GUEST_CHUNK);
    shim.next_pa = shim.code_pa + code;
    shim.end_pa = ram_end(si, module->address) & ~(uint64_t)(GUEST_CHUNK - 1);
    /* What was asked for, though the machine has to be larger. */
    if (info->mem_bytes && info->mem_bytes < shim.end_pa - shim.next_pa)
        shim.end_pa = shim.next_pa + (info->mem_bytes & ~(uint64_t)(GUEST_CHUNK - 1));
    if (shim.next_pa + GUEST_CHUNK > shim.end_pa)
        refuse("too little memory; use --mem");
    map(base + GUEST_GATE, gate_pa, GUEST_GATE_SIZE, PTE_P | PTE_U);
    map(base + GUEST_INFO, (uint64_t)info, info_bytes, PTE_P | PTE_U | PTE_NX);
    map(base + GUEST_STACK, stack_pa, GUEST_STACK_SIZE, rw);
    map(base + GUEST_WINDOW, window_pa, GUEST_WINDOW_SIZE, rw);
    map(base + GUEST_NET, net_pa, net_bytes, rw);
    copy((void *)gate_pa, gate_code, (uint64_t)(gate_code_end - gate_code));

    shim.window = (struct guest_window *)window_pa;
    copy(shim.window->seed, boot->seed, sizeof boot->seed);
    shim.info = info;
    if (info->clock.tsc_hz == 0)
        refuse("nobody says how fast the clock runs");
    info->magic = GUEST_INFO_MAGIC;
    info->version = GUEST_VERSION;
    info->bytes = sizeof *info;
    info->gate = shim_gate_va = base + GUEST_GATE;
    info->mem_bytes = shim.end_pa - shim.next_pa;
    info->code_bytes = code;
    info->code_at = base + GUEST_CODE_X;
    info->stack_bytes = GUEST_STACK_SIZE;
    info->generation = 1;
    if (net_bytes)
        start_card((struct net_port *)net_pa);
    info->clock.mono0 = 1;
    info->clock.tsc0 = guest_tsc();
    shim_entry = eh->e_entry;
    shim_info = base + GUEST_INFO;
    shim_stack = base + GUEST_STACK + GUEST_STACK_SIZE;
}
