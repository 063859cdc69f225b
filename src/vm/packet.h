/*
 * packet.h - where packets end in a stream: {packet, _} of sockets, and
 * erlang:decode_packet/3.
 */
#ifndef VM_PACKET_H
#define VM_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_type {
    PACKET_RAW,
    PACKET_1,           /* a length of one byte before the data */
    PACKET_2,
    PACKET_4,
    PACKET_ASN1,        /* BER */
    PACKET_SUNRM,       /* RFC 5531: four bytes, the first bit ends a record */
    PACKET_CDR,         /* GIOP */
    PACKET_FCGI,
    PACKET_LINE,
    PACKET_TPKT,        /* RFC 1006 */
    PACKET_HTTP,        /* the first line of a message */
    PACKET_HTTPH,       /* a header, which may go on in the next lines */
    PACKET_SSL_TLS,     /* a record, or a client hello of SSL 2 */
};

struct packet_options {
    uint32_t max_bytes;         /* of a packet without its head; 0: any */
    uint32_t line_bytes;        /* longer lines are cut; 0: never */
    uint8_t delimiter;          /* of PACKET_LINE */
};

/*
 * Bytes of the first packet in n bytes, its head included: may be more than
 * n. 0: more are needed to tell. -1: not such a packet, or too large.
 */
int64_t packet_length(enum packet_type type, const uint8_t *s, size_t n,
                      const struct packet_options *o);
/* The part of a whole packet that a program gets. */
void packet_body(enum packet_type type, const uint8_t **s, size_t *n);

#endif
