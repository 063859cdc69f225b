/*
 * net.c - net_ops of an instance that has no network: no socket can be opened,
 * with the error that says so, enonet. What needs no socket fails the same way;
 * the rest is never called.
 */
#include "net/net.h"

#include <errno.h>

static int no_network(struct net_sock **s, enum net_family family, enum net_type type)
{
    return -ENONET;
}

static int no_hostname(char *buf, size_t n)
{
    return -ENONET;
}

static int no_service_port(const char *name, const char *protocol)
{
    return -ENONET;
}

static int no_service_name(int port, const char *protocol, char *buf, size_t n)
{
    return -ENONET;
}

const struct net_ops net_ops = {
    .open = no_network,
    .hostname = no_hostname,
    .service_port = no_service_port,
    .service_name = no_service_name,
};
