/*
 * cc.h - lwIP's view of compiler and C library, for the guest (src/net/lwip)
 * and for the switch (tool/switch_stack.c), which both bring what is declared.
 */
#ifndef LWIP_ARCH_CC_H
#define LWIP_ARCH_CC_H

#include <stdint.h>

#define LWIP_PLATFORM_DIAG(x) do { } while (0)
/* A state that lwIP itself says cannot be: nothing it does later can be trusted. */
#define LWIP_PLATFORM_ASSERT(x) stack_broken(x)
_Noreturn void stack_broken(const char *why);

#define LWIP_RAND() stack_random()
uint32_t stack_random(void);

#endif
