/*
 * packet_term.h - whole packets of HTTP and TLS as terms, for
 * erlang:decode_packet/3 and for sockets.
 */
#ifndef BIF_PACKET_TERM_H
#define BIF_PACKET_TERM_H

#include "vm/packet.h"
#include "vm/proc.h"

/* {http_request, ...}, {http_header, ...}, http_eoh, ...; on p's heap. */
term packet_term_http(struct proc *p, bool headers, bool binaries, const uint8_t *s, size_t n);
/* {ssl_tls, Socket, Type, Version, Data}; THE_NON_VALUE: no memory for it. */
term packet_term_ssl(struct proc *p, term socket, const uint8_t *s, size_t n);

#endif
