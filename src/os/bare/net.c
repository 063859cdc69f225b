/*
 * net.c - the port of an instance: none yet.
 */
#include "net/link.h"

bool link_config(struct link_config *c)
{
    return false;
}
size_t link_rx(const uint8_t **frame)
{
    return 0;
}
void link_rx_done(void)
{
}
uint8_t *link_tx(void)
{
    return NULL;
}
void link_tx_done(size_t bytes)
{
}
