/*
 * packet.c - where packets end in a stream.
 */
#include "vm/packet.h"
#include "vm/slice.h"

#include <limits.h>
#include <string.h>

/* Bytes until time is looked at. */
#define SEARCHED_AT_ONCE ((size_t)256 << 10)
#define SEARCHED_PER_NS 8

#define FCGI_HEAD 8
#define CDR_HEAD 12
#define TPKT_HEAD 4
#define TLS_HEAD 5

static uint32_t get_be(const uint8_t *s, unsigned n)
{
    uint32_t v = 0;

    while (n-- > 0)
        v = v << 8 | *s++;
    return v;
}

/* A head and so many bytes more. No packet is as large as an int. */
static int64_t whole(unsigned head, int64_t bytes, const struct packet_options *o)
{
    if (bytes < 0 || bytes > INT_MAX - (int64_t)head
        || (o->max_bytes != 0 && bytes > o->max_bytes))
        return -1;
    return head + bytes;
}

static int64_t counted(const uint8_t *s, size_t n, unsigned head, uint32_t mask,
                       const struct packet_options *o)
{
    return n < head ? 0 : whole(head, get_be(s, head) & mask, o);
}

/* memchr() for what may be long. */
static const uint8_t *find_byte(const uint8_t *s, uint8_t c, size_t n)
{
    const uint8_t *at = NULL;

    for (size_t part; n > 0 && !at; s += part, n -= part) {
        part = n < SEARCHED_AT_ONCE ? n : SEARCHED_AT_ONCE;
        at = memchr(s, c, part);
        slice(part / SEARCHED_PER_NS);
    }
    return at;
}

static int64_t line_length(const uint8_t *s, size_t n,
                           const struct packet_options *o)
{
    const uint8_t *end = find_byte(s, o->delimiter, n);
    size_t len = end ? (size_t)(end - s) + 1 : n;

    if (o->max_bytes != 0 && len > o->max_bytes)
        return -1;
    if (o->line_bytes != 0
        && (end ? len > o->line_bytes : len >= o->line_bytes))
        return o->line_bytes;
    return end ? (int64_t)len : 0;
}

static int64_t asn1_length(const uint8_t *s, size_t n,
                           const struct packet_options *o)
{
    size_t at = 1;

    if (n < 2)
        return 0;
    if ((s[0] & 0x1f) == 0x1f) {        /* a tag of several bytes */
        while (at < n && (s[at] & 0x80))
            at++;
        if (n - at < 2)
            return 0;
        at++;
    }
    uint32_t length = s[at] & 0x7f;
    if (s[at++] & 0x80) {
        unsigned bytes = length;

        if (n - at < bytes)
            return 0;
        if (bytes > 4)
            return -1;
        length = get_be(s + at, bytes);
        at += bytes;
    }
    return whole((unsigned)at, length, o);
}

/*
 * Up to the end of a line; of headers, of the last line that begins with a
 * blank, which can only be told when another one has begun.
 */
static int64_t http_length(const uint8_t *s, size_t n, bool headers,
                           const struct packet_options *o)
{
    /* Old programs limit lines by line_length. */
    uint32_t max = o->max_bytes ? o->max_bytes : o->line_bytes;
    const uint8_t *from = s;

    if ((n == 1 && s[0] == '\n') || (n == 2 && s[0] == '\r' && s[1] == '\n'))
        return (int64_t)n;
    for (;;) {
        const uint8_t *end = find_byte(from, '\n', n - (size_t)(from - s));

        if (!end)
            return max != 0 && n >= max ? -1 : 0;
        size_t len = (size_t)(end - s) + 1;
        if (headers && len < n && len > 2 && (end[1] == ' ' || end[1] == '\t')) {
            from = end + 1;
            continue;
        }
        if (max != 0 && len > max)
            return -1;
        return headers && len == n ? 0 : (int64_t)len;
    }
}

int64_t packet_length(enum packet_type type, const uint8_t *s, size_t n,
                      const struct packet_options *o)
{
    switch (type) {
    case PACKET_RAW:
        return (int64_t)n;
    case PACKET_1:
        return counted(s, n, 1, UINT32_MAX, o);
    case PACKET_2:
        return counted(s, n, 2, UINT32_MAX, o);
    case PACKET_4:
        return counted(s, n, 4, UINT32_MAX, o);
    case PACKET_SUNRM:
        return counted(s, n, 4, 0x7fffffff, o);
    case PACKET_LINE:
        return line_length(s, n, o);
    case PACKET_ASN1:
        return asn1_length(s, n, o);
    case PACKET_CDR:
        if (n < CDR_HEAD)
            return 0;
        if (memcmp(s, "GIOP", 4) != 0)
            return -1;
        return whole(CDR_HEAD,
                     s[6] & 1 ? __builtin_bswap32(get_be(s + 8, 4))
                              : get_be(s + 8, 4),
                     o);
    case PACKET_FCGI:
        if (n < FCGI_HEAD)
            return 0;
        return s[0] != 1 ? -1 : whole(FCGI_HEAD, get_be(s + 4, 2) + s[6], o);
    case PACKET_TPKT:
        if (n < TPKT_HEAD)
            return 0;
        return s[0] != 3 ? -1
                         : whole(TPKT_HEAD, (int64_t)get_be(s + 2, 2) - TPKT_HEAD, o);
    case PACKET_HTTP:
    case PACKET_HTTPH:
        return http_length(s, n, type == PACKET_HTTPH, o);
    case PACKET_SSL_TLS:
        if (n < TLS_HEAD)
            return 0;
        if ((s[0] & 0x80) && s[2] == 1)
            return whole(TLS_HEAD, (int64_t)(get_be(s, 2) & 0x7fff) - 3, o);
        return whole(TLS_HEAD, get_be(s + 3, 2), o);
    }
    return -1;
}

void packet_body(enum packet_type type, const uint8_t **s, size_t *n)
{
    size_t head = type == PACKET_1   ? 1
                  : type == PACKET_2 ? 2
                  : type == PACKET_4 ? 4
                                     : 0;

    if (type == PACKET_FCGI)
        *n -= (*s)[6];          /* padding */
    *s += head;
    *n -= head;
}
