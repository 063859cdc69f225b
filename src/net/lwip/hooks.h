/*
 * hooks.h - where lwIP asks its surroundings. The switch, which listens to
 * nobody outside, has the plain ones.
 */
#ifndef NET_LWIP_HOOKS_H
#define NET_LWIP_HOOKS_H

#include "lwip/ip_addr.h"

struct pbuf;
struct netif;

/* RFC 6528: initial sequence numbers that nobody else can guess. */
#define LWIP_HOOK_TCP_ISN stack_isn
u32_t stack_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip,
                u16_t remote_port);

/* Sees each IPv4 packet first; 1: it took it. */
#define LWIP_HOOK_IP4_INPUT stack_sees_ip4
int stack_sees_ip4(struct pbuf *p, struct netif *in);

#endif
