/*
 * switch.h - the switch: one process of a user that joins his instances.
 *
 *   instance -- rings -- port --+-- another instance's port
 *                               +-- gateway: lwIP; names, published ports
 *                               +-- uplink: a tap of the host's, if one is given
 *
 * `kindling run` asks it for a port over a socket in the directory of instances
 * and starts it if nobody listens there. The connection is the lease: the tender
 * keeps it open, and the port is free again when it ends. Some seconds after the
 * last one the switch ends.
 *
 * The switch gives out addresses, so it need not learn them: a port's number is
 * in its MAC and IPv4 address. Frames that claim others are dropped. Instances
 * are strangers to it, and to each other.
 */
#ifndef TOOL_SWITCH_H
#define TOOL_SWITCH_H

#include <sys/types.h>

#include "kindling.h"

#define SWITCH_VERSION 2
#define SWITCH_NAME 64
#define PUBLISH_MAX 16

/* The gateway, port 1 of 10.78.0.0/16. */
#define GATEWAY_IP(between) "10" between "78" between "0" between "1"

/* A message of the connection, with the descriptors of listening sockets. */
enum switch_what { SWITCH_JOIN = 1, SWITCH_DUMP = 2, SWITCH_UPLINK = 3 };
struct switch_request {
    uint32_t version, what;
    char name[SWITCH_NAME];             /* of the instance; of the tap */
    uint32_t published;                 /* descriptors that come along */
    uint16_t guest_port[PUBLISH_MAX];
    uint8_t mac[6];                     /* of the host's end of the tap */
};
/*
 * The answer to SWITCH_JOIN, with: the rings' memory, kick, wake. That to
 * SWITCH_UPLINK comes alone.
 */
struct switch_reply {
    uint32_t version;
    struct guest_net net;
    char why[120];                      /* not empty: refused */
};
/*
 * SWITCH_DUMP is answered by frames, each behind this in a message of its own;
 * first one without bytes. Nothing at all: there is no such instance.
 */
struct switch_frame {
    uint64_t wall_ns;
};

#define SWITCH_FILES ".switch"          /* of the registry: .socket, .lock, .log */

/* switch_client.c: a message, with descriptors. */
void switch_ask(int connection, const struct switch_request *r, const int *fd, unsigned fds);

/* What an instance is to have. */
struct publish {
    int fd;                             /* listening */
    uint16_t guest_port;
};
struct network {
    bool wanted;
    struct publish publish[PUBLISH_MAX];
    unsigned published;
    int memory, kick, wake, lease;      /* from the switch, for the tender */
    char *netdev;                       /* QEMU's -netdev */
    struct guest_net net;
};
/* [ADDRESS:]HOST:GUEST; it listens at once. */
void network_publish(struct network *n, const char *text);
/* On a port of 127.0.0.1 that is free; which one. */
unsigned network_publish_any(struct network *n, uint16_t guest_port);
/* A port of the switch, which is started if need be. */
void network_join(struct network *n, const char *name);
/* For the tender's arguments: --net's. */
char *network_argument(const struct network *n);
void network_close(const struct network *n);  /* the tender has its own by now */
/* qemu_net.c: or one that QEMU makes. What it is to have as a -device. */
void network_under_qemu(struct network *n);
char *network_card(const struct network *n);
/* A connection to the switch; start: begin one if there is none, else -1. */
int switch_connect(bool start);
pid_t switch_fork(int listener);         /* one that serves it, in the background */

/* ---- inside the switch ---- */

struct source {                         /* of events; NULL: it is over */
    void (*ready)(struct source *s, uint32_t events);
};
void watch_add(struct source *s, int fd, uint32_t events);
void watch_set(struct source *s, int fd, uint32_t events);
void watch_drop(int fd);
/* An event that was taken already may still name it: freed after the round. */
void free_later(void *p);
uint64_t now_ns(void);

/* switch_port.c */
struct port;
void port_join(int connection, const struct switch_request *r, int *fd, unsigned fds);
void port_dump(int connection, const char *name);
bool port_work(void);                   /* frames of the instances; true: more */
size_t ports_open(void);
void port_faults(const char *s);        /* of KINDLING_FAULTS; NULL: none */
void port_limit(const char *s);         /* of KINDLING_PORTS; NULL: none */
/* A frame of the gateway's to a port, by its MAC; false: no room now. */
bool port_send(const uint8_t *frame, size_t n);
uint64_t port_age_ns(const struct port *p);
/* A frame of the uplink's, to whom it is for. */
void port_from_uplink(const uint8_t *frame, size_t n);
/* Whether an IPv4 address is of this network, whether it is one of a port. */
bool port_net_has(const uint8_t *ip);
bool port_may_have(const uint8_t *ip);

/* switch_uplink.c: frames to the host are dropped while there is none. */
void uplink_join(int connection, const struct switch_request *r, int tap);
bool uplink_open(void);
void uplink_send(const uint8_t *frame, size_t n);
/* One that is for beyond the host: it knows the way. */
void uplink_route(const uint8_t *frame, size_t n);

/* switch_gateway.c */
void gateway_start(void);
void gateway_frame(const uint8_t *frame, size_t n);
void gateway_work(void);
int gateway_wait_ms(void);              /* -1: for ever */
uint32_t stack_random(void);
extern const uint8_t gateway_mac[6], gateway_ip[4], gateway_mask[4];

/* switch_forward.c: connections to published ports */
struct forward;
struct forward *forward_new(struct port *p, const uint8_t ip[4], int listener, uint16_t port);
void forward_free(struct forward *f);
void forward_work(void);
bool forward_any_orphan(void);          /* something is still to be written */
int forward_wait_ms(void);

/* switch_confine.c */
void switch_confine(void);

/* switch_names.c: queries to the gateway go on to the host's resolver */
void names_start(void);

#endif
