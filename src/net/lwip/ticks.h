/*
 * ticks.h - lwIP's timers, for a program that wants to sleep when nothing needs
 * them.
 *
 * TCP's are counted in ticks. When no connection has anything under way they
 * need not be counted one by one: QUIET_MS may pass, and whoever is about to do
 * anything makes up for them first (ticks_touch). Those of ARP, neighbours and
 * fragments run for a while after the latest frame.
 */
#ifndef NET_LWIP_TICKS_H
#define NET_LWIP_TICKS_H

#include <stdint.h>

void ticks_begin(void);
/* Something is asked of lwIP. */
void ticks_touch(void);
void ticks_frame(void);                 /* one came or goes; touches too */
void ticks_run(void);
uint32_t ticks_left_ms(void);           /* until they want to; UINT32_MAX: never */

#endif
