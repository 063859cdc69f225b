/*
 * lwipopts.h - lwIP as the guest and the switch use it: no threads, raw API, our
 * own timers (so that an idle instance sleeps), memory from malloc, no address
 * configuration (the one who starts an instance says), no resolver (OTP has one).
 */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS                  1
#define SYS_LIGHTWEIGHT_PROT    0
#define LWIP_TIMERS             0
#define LWIP_NETCONN            0
#define LWIP_SOCKET             0
#define LWIP_RAW                0
#define LWIP_STATS              0
#define MEM_ALIGNMENT           8
#define MEM_LIBC_MALLOC         1
#define MEMP_MEM_MALLOC         1
#define mem_free                lwip_mem_free   /* os/bare has one */

#define LWIP_IPV4               1
#define LWIP_IPV6               1
#define LWIP_IPV6_MLD           0
#define LWIP_IPV6_AUTOCONFIG    0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define IPV6_FRAG_COPYHEADER    1       /* pointers do not fit into the header */
#define IP_REASS_MAX_PBUFS      128     /* two of the largest datagrams */
#define ARP_TABLE_SIZE          64
#define ARP_QUEUEING            1
#define LWIP_HAVE_LOOPIF        1
#define LWIP_NETIF_LOOPBACK     1
#define SO_REUSE                1
#define IP_SOF_BROADCAST        1
#define LWIP_MULTICAST_TX_OPTIONS 1

#define TCP_MSS                 1460
#define LWIP_WND_SCALE          1
#define TCP_RCV_SCALE           3
#define TCP_WND                 (256 * 1024)
#define TCP_SND_BUF             (256 * 1024)
#define TCP_SND_QUEUELEN        1024
#define TCP_SNDLOWAT            32768
#define MEMP_NUM_TCP_SEG        1024
#define TCP_QUEUE_OOSEQ         1
/* What a stranger sends out of order is kept in the pieces it came in. */
#define TCP_OOSEQ_MAX_BYTES     TCP_WND
#define TCP_OOSEQ_MAX_PBUFS     512
#define LWIP_TCP_SACK_OUT       1
#define LWIP_TCP_KEEPALIVE      1
#define TCP_LISTEN_BACKLOG      1
#define LWIP_TCP_RTO_TIME       1000    /* RFC 6298 */
#define TCP_MSL                 30000
/* Delayed acknowledgements wait so long, retransmissions twice that or more. */
#define TCP_TMR_INTERVAL        50
#define LWIP_CHKSUM_ALGORITHM   3
#define LWIP_CHECKSUM_ON_COPY   1

#define LWIP_HOOK_FILENAME      "net/lwip/hooks.h"

#endif
