/*
 * t1.h - native code's side of hooks.h.
 *
 * An instance compiled with this is a stencil: stencils.py takes its machine
 * code, and the loader (native.c) copies it and fills in what the symbols
 * below stand for. A symbol's address is the operand's value:
 *
 *    hN sN    operand word N, less than 2^31; sN is known to be a small
 *    wN       operand word N, all 64 bits of it
 *    jN       the label that operand word N is
 *    next     what follows the instruction
 *    self     the instruction
 *    ret      what follows, as a return address
 *    vary     the words of its own operands, once filled in
 *
 * hN and sN are weak, because an operand may be 0 and other symbols are not.
 *
 * Cold paths are called, and what they want to know of the instruction lies as
 * data behind the call (struct cold_at and the like); where control comes back, as
 * the operands of instructions that do nothing.
 *
 * Stencils are entered with rsp a multiple of 16, not 8 more as C functions are,
 * so that they can call C without a frame. They must not use the C stack;
 * stencils.py refuses one that does. What they jump to (t1_gc and its like)
 * keeps to the same rule.
 */
#ifndef OP_T1_H
#define OP_T1_H

#include "op/code.h"
#include "vm/sched.h"

#define PARAMS                                                                 \
    struct sched *S, term *H, term *E, int64_t FC, term x0, term x1, term x2,  \
        term x3, term x4, term x5
#define ARGS S, H, E, FC, x0, x1, x2, x3, x4, x5
#define PRESERVE_NONE __attribute__((preserve_none))
typedef PRESERVE_NONE long (*op_fn)(PARAMS);
#ifdef T1_SHARED
#define MUSTTAIL    /* it wants equal parameters; stencils.py refuses a return */
#else
#define MUSTTAIL __attribute__((musttail))
#endif

#define OPERANDS(N) N(1) N(2) N(3) N(4) N(5) N(6) N(7) N(8) N(9) N(10) N(11) \
    N(12) N(13) N(14) N(15) N(16) N(17) N(18) N(19) N(20)
#define OPERAND(n)                                                             \
    extern char h##n[] __attribute__((weak));                                  \
    extern char s##n[] __attribute__((weak, aligned(16)));                     \
    PRESERVE_NONE long j##n(PARAMS);
OPERANDS(OPERAND)
PRESERVE_NONE long next(PARAMS);

#define WIDE(k)                                                                \
    ({                                                                         \
        uintptr_t wide_;                                                       \
        __asm__("movabsq $w" #k ", %0" : "=r"(wide_));                         \
        wide_;                                                                 \
    })
#define NEAR(symbol)                                                           \
    ({                                                                         \
        code_ptr near_;                                                        \
        __asm__("leaq " #symbol "(%%rip), %0" : "=r"(near_));                  \
        near_;                                                                 \
    })
/*
 * What a stub goes to (t1_entry.gen.c) finds the instruction in S. A body that
 * stencils call (t1_shared.gen.c) finds by its return address where it is called
 * from, and where it goes on: the call is the last of the instruction.
 */
#if defined T1_ENTRY
#define SELF (S->self)
#define RET_ADDR NEAR(ret)
#elif defined T1_SHARED
#define SELF ((code_ptr)((char *)RET_ADDR - SHARED_BYTES))
#define RET_ADDR                                                               \
    ({                                                                         \
        code_ptr ret_;                                                         \
        __asm__ volatile("movq 8(%%rsp), %0" : "=r"(ret_));                    \
        ret_;                                                                  \
    })
#else
#define SELF NEAR(self)
#define RET_ADDR NEAR(ret)
#endif
#define VARY(i) (NEAR(vary)[i])

#define NEXT MUSTTAIL return next(ARGS)
#define NEXT_RET NEXT
#define JUMP(to)                                                               \
    do {                                                                       \
        op_fn to_ = (op_fn)(to);                                               \
        MUSTTAIL return to_(ARGS);                                             \
    } while (0)

/* Cold paths (cold.h), by way of t1_cold.c. */
#define LEAVE(what)                                                            \
    do {                                                                       \
        S->self = SELF;                                                        \
        MUSTTAIL return t1_##what(ARGS);                                       \
    } while (0)
#if !defined T1_ENTRY && !defined T1_SHARED
#define COLD_DATA
/* All that the machine holds, where shared functions (t1_slow.c) look for it. */
#define PIN                                                                    \
    register struct sched *s_ __asm__("r12") = S;                              \
    register term *h_ __asm__("r13") = H;                                      \
    register term *e_ __asm__("r14") = E;                                      \
    register int64_t fc_ __asm__("r15") = FC;                                  \
    register term x0_ __asm__("rdi") = x0;                                     \
    register term x1_ __asm__("rsi") = x1;                                     \
    register term x2_ __asm__("rdx") = x2;                                     \
    register term x3_ __asm__("rcx") = x3;                                     \
    register term x4_ __asm__("r8") = x4;                                      \
    register term x5_ __asm__("r9") = x5
#define PINNED                                                                 \
    "r"(s_), "r"(e_), "r"(fc_), "r"(x0_), "r"(x1_), "r"(x2_), "r"(x3_),        \
        "r"(x4_), "r"(x5_)
/* Say to stencils.py that control does not come back. */
#define NOWHERE "\tjmp\tnowhere"

#define LEAVE_GC(bytes, n_live)                                                \
    PIN;                                                                       \
    __asm__ volatile("call\tshared_gc\n\t.long\tself - .\n\t.long\t%c[live]\n"   \
                     "\t.long\t%c[need]\n" NOWHERE                              \
                     :                                                         \
                     : PINNED, "r"(h_), [live] "i"(n_live), [need] "i"(bytes)  \
                     : "memory");                                              \
    __builtin_unreachable()
#define YIELD(n_live)                                                          \
    do {                                                                       \
        PIN;                                                                   \
        __asm__ volatile("call\tshared_yield\n\t.long\tself - .\n"             \
                         "\t.long\t%c[live]\n" NOWHERE                         \
                         :                                                     \
                         : PINNED, "r"(h_), [live] "i"(n_live)                 \
                         : "memory");                                          \
        __builtin_unreachable();                                               \
    } while (0)
/* It is all of the instruction, so the return address tells where that is. */
#define CLAUSES_END(n)                                                         \
    PIN;                                                                       \
    __asm__ volatile("call\tshared_function_clause\n\t.long\t%c[live]\n" NOWHERE \
                     :                                                         \
                     : PINNED, "r"(h_), [live] "i"(n)                          \
                     : "memory");                                              \
    __builtin_unreachable()

/* test $..., %eax, three times. */
#define SLOW_DATA(fail)                                                        \
    "\n\t.byte\t0xa9\n\t.long\tself - .\n\t.byte\t0xa9\n\t.long\t" fail           \
    "\n\t.byte\t0xa9\n\t.long\t%c[live]"
#define SLOW_ASM(v, name, t1, t2, data, ...)                                   \
    term v;                                                                    \
    do {                                                                       \
        term t1_ = (t1), t2_ = (t2);                                           \
        PIN;                                                                   \
        register term a_ __asm__("r11") = t1_;                                 \
        register term b_ __asm__("rax") = t2_;                                 \
        __asm__ volatile("call\tshared_slow_" #name data                       \
                         : "+r"(a_), "+r"(b_), "+r"(h_)                        \
                         : PINNED, __VA_ARGS__                                 \
                         : "r10", "rbx", "rbp", "memory", "cc");               \
        H = h_;                                                                \
        v = a_;                                                                \
    } while (0)
#define SLOW2(v, name, t1, t2, n_live, label)                                  \
    SLOW_ASM(v, name, t1, t2, SLOW_DATA("%c[fail] - ."), [live] "i"(n_live),   \
             [fail] "i"(label))
#define SLOW2_RAISES(v, name, t1, t2, n_live)                                  \
    SLOW_ASM(v, name, t1, t2, SLOW_DATA("0"), [live] "i"(n_live))
#define SLOW1(v, name, t, n_live, label) SLOW2(v, name, t, 0, n_live, label)
#define SLOW1_RAISES(v, name, t, n_live) SLOW2_RAISES(v, name, t, 0, n_live)
#define SLOW_FAILS(name, t1, t2, label)                                        \
    SLOW_ASM(v_, name, t1, t2,                                                 \
             SLOW_DATA("%c[fail] - .") "\n" NOWHERE, [live] "i"(0),            \
             [fail] "i"(label));                                               \
    __builtin_unreachable()
#define SLOW_TEST(name, t1, t2)                                                \
    ({                                                                         \
        SLOW_ASM(v_, name, t1, t2, "", "i"(0));                                \
        (int)v_;                                                               \
    })
#endif
/* What a shared function returns to, with a value in the argument after x5. */
PRESERVE_NONE long back(PARAMS, term v);

#define YIELD_AT(label, n_live)                                                \
    do {                                                                       \
        S->live = (uint32_t)(n_live);                                          \
        S->self = (label);                                                     \
        MUSTTAIL return t1_yield(ARGS);                                        \
    } while (0)
PRESERVE_NONE long t1_nif_entry(PARAMS);
#define ENTER_NIF MUSTTAIL return t1_nif_entry(ARGS)

#include "op/hooks.h"

COLD_EACH(COLD_DECLARE, t1)

#endif
