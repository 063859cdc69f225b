# lwIP, as src/net/lwip/lwipopts.h configures it: IPv4 and IPv6, TCP and UDP over
# Ethernet. Its objects are made for the guest (src/os/bare/bare.mk) and for the
# switch (tool/tool.mk).
LWIP_DIR := build/dep/lwip/src
LWIP_SRC := $(addprefix core/,def.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c \
                tcp.c tcp_in.c tcp_out.c timeouts.c udp.c) \
            $(addprefix core/ipv4/,etharp.c icmp.c ip4.c ip4_addr.c ip4_frag.c) \
            $(addprefix core/ipv6/,ethip6.c icmp6.c inet6.c ip6.c ip6_addr.c ip6_frag.c nd6.c) \
            netif/ethernet.c
LWIP_INC := -Isrc -Isrc/net/lwip -isystem $(LWIP_DIR)/include
LWIP_CFLAGS := -w $(LWIP_INC)
