/*
 * entry.S - where a guest begins, under every loader: CPL3, rsp at the top of
 * its stack, rdi at the guest_info, all else undefined. The FPU is set here so
 * that no loader has to (after a real reset its control word is 0x40).
 */
#include "abi/guest.h"
#include "abi/image.h"

    .macro START name, function
    .globl \name
    .type \name, @function
\name:
    fninit
    ldmxcsr mxcsr(%rip)
    xorl %ebp, %ebp
    cld
    call \function
    ud2
    .endm

    .text
    START entry, bare_start
    START resume, bare_resume

/* iretq to the next instruction: serialises, needs no privilege, 90 ns. */
    .globl bare_serialise
    .type bare_serialise, @function
bare_serialise:
    popq %rdx
    movq %rsp, %rcx
    movl %ss, %eax
    pushq %rax
    pushq %rcx
    pushfq
    movl %cs, %eax
    pushq %rax
    pushq %rdx
    iretq

    .section .rodata
    .balign 4
mxcsr:
    .long 0x1f80

/* The window for code made at run time; address space until it is asked for. */
#ifndef IMAGE_CODE_BYTES
#define IMAGE_CODE_BYTES 0x2000000
#endif

/* Filled in by the builder; alone, this is ling without an application. */
    .section .image, "a"
    .balign 4096
    .globl image_header
    .type image_header, @object
image_header:
    .quad IMAGE_MAGIC
    .long IMAGE_VERSION, GUEST_VERSION
    .quad GUEST_BASE
    .long 0, IMAGE_CPU_BASELINE
    .quad 0, 0, IMAGE_CODE_BYTES        /* mem_min, mem_default, code_bytes */
    .fill 4096 - (. - image_header)

/* QEMU, Firecracker and Xen look for this: where to start in 32-bit mode. */
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long GUEST_SHIM_PA

    .section .shim, "a"
    .incbin "shim.bin"

    .section .note.GNU-stack, "", @progbits
