/*
 * start.S - the shim's entry (PVH, 32 bits), its way to CPL3, the gate (#UD),
 * interrupts, and the other exceptions. On some hosts an instruction here
 * takes 0.3 us, and some (int3, SSE, xsetbv) do not work at all: keep it short.
 */
#include "abi/guest.h"

    .text
    .code32
    .globl pvh32
pvh32:                          /* at GUEST_SHIM_PA, as the note says */
    cld
    movl %ebx, %edi             /* struct hvm_start_info */
    movl $0x10620, %eax         /* PAE OSFXSR OSXMMEXCPT FSGSBASE */
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax            /* LME NXE */
    wrmsr
    movl $0x80010033, %eax      /* PG WP NE ET MP PE */
    movl %eax, %cr0
    lgdt gdtr
    ljmp $SEL_KCODE, $1f
    .code64
1:  movl $SEL_KDATA, %eax
    movl %eax, %ss
    movl $SEL_UDATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl $shim_stack_top, %esp
    call shim_main
    lidt idtr
    movl $SEL_TSS, %ecx
    ltr %cx
    movq shim_entry, %rax
    movq shim_info, %rdi
    movq shim_stack, %rcx
    pushq $SEL_UDATA
    pushq %rcx
    pushq $0x202
    pushq $SEL_UCODE
    pushq %rax
    iretq

/*
 * The gate: `ud2; ret` in a page of the guest's. It is called as a C function,
 * so what C may change need not be kept, and the arguments are still in their
 * registers. A ud2 anywhere else is a fault.
 */
    .globl gate_code, gate_code_end
gate_code:
    ud2
    ret
gate_code_end:
on_ud:
    pushq %rax
    movq shim_gate_va, %rax
    cmpq %rax, 8(%rsp)
    popq %rax
    jne on_other_ud
    cld
    call shim_gate
    addq $2, (%rsp)
    iretq
on_other_ud:
    pushq $0
    pushq $6
    jmp fault

/* These are to end a `halt`; whenever they come they need nothing but an end. */
    .globl on_interrupt
on_interrupt:
    pushq %rax
    movl $0xfee000b0, %eax      /* as an immediate address it is sign-extended */
    movl $0, (%rax)
    popq %rax
    iretq

/* Of the network card, at any time but in the gate. */
    .globl on_card_interrupt
on_card_interrupt:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    call shim_card
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    jmp on_interrupt

    .globl halt
halt:
    sti
    hlt
    cli
    ret

    .globl stubs
    .balign 16
stubs:                          /* 16 bytes for each of 32 vectors */
    .set i, 0
    .rept 32
    .balign 16
    .if i == 6
    jmp on_ud
    .else
    .if !((i == 8) || (i >= 10 && i <= 14) || (i == 17) || (i == 21))
    pushq $0
    .endif
    pushq $i
    jmp fault
    .endif
    .set i, i + 1
    .endr
fault:                          /* r15 .. rax, vector, error, rip, cs ... */
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rsp
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    movq %cr2, %rsi
    cld
    andq $-16, %rsp
    call shim_fault

    .data
    .balign 16
gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff    /* 10 kernel code */
    .quad 0x00cf93000000ffff    /* 18 kernel data */
    .quad 0x00cffb000000ffff    /* 23 */
    .quad 0x00cff3000000ffff    /* 2b user data */
    .quad 0x00affb000000ffff    /* 33 user code */
    .quad 0
    .globl gdt_tss
gdt_tss:
    .quad 0, 0                  /* 40 */
gdt_end:
gdtr:
    .word gdt_end - gdt - 1
    .quad gdt
idtr:
    .word 36 * 16 - 1
    .quad idt

/*
 * The first 4 GiB as they are, for ring 0 only, made by the assembler: a loop
 * would take longer than all the rest. The last 32 MiB are devices, uncached.
 */
    .balign 4096
    .globl pml4
pml4:                           /* the pool's first table */
    .quad low_pdpt + 3
    .fill 511, 8, 0
low_pdpt:
    .set i, 0
    .rept 4
    .quad low_pd + i * 4096 + 3
    .set i, i + 1
    .endr
    .fill 508, 8, 0
low_pd:
    .set i, 0
    .rept 2048
    .if i < 2032
    .quad i * 0x200000 + 0x83
    .else
    .quad i * 0x200000 + 0x93
    .endif
    .set i, i + 1
    .endr

    .bss
    .balign 4096
    .globl pool, pool_end
pool:
    .skip 160 * 4096
pool_end:
    .skip 8192
    .globl shim_stack_top
shim_stack_top:
    .section .note.GNU-stack, "", @progbits
