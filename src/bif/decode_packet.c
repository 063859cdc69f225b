/*
 * decode_packet.c - erlang:decode_packet/3: the first packet of a binary, and
 * for http and ssl_tls what it says.
 */
#include "bif/bif.h"
#include "bif/packet_term.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/packet.h"
#include "vm/slice.h"

#define HTTP_NAME_MAX 50        /* longer header names stay as they are */

/* A packet being taken apart. */
struct packet {
    struct proc *p;
    bool binaries;              /* strings become binaries, not lists */
};

struct slice {
    const uint8_t *s;
    size_t n;
};

static term put_string(const struct packet *k, struct slice v)
{
    if (k->binaries)
        return binary_from(k->p, v.s, v.n);
    term *hp = heap_alloc(k->p, v.n * CONS_WORDS), list = TERM_NIL;
    for (size_t i = v.n; i > 0; i--)
        list = put_cons(&hp, small_make(v.s[i - 1]), list);
    return list;
}

static term tuple(struct proc *p, const term *v, size_t n)
{
    term *t = heap_alloc(p, 1 + n);

    t[0] = TUPLE_HEADER(n);
    memcpy(t + 1, v, n * sizeof *v);
    return boxed_make(t);
}

/* The names that are told as atoms. Their order is that of OTP's numbers. */
static const struct http_name {
    const char *s;
    term atom;
} http_headers[] = {
    {"Cache-Control", am_HttpCacheControl},
    {"Connection", am_Connection},
    {"Date", am_Date},
    {"Pragma", am_Pragma},
    {"Transfer-Encoding", am_HttpTransferEncoding},
    {"Upgrade", am_Upgrade},
    {"Via", am_Via},
    {"Accept", am_Accept},
    {"Accept-Charset", am_HttpAcceptCharset},
    {"Accept-Encoding", am_HttpAcceptEncoding},
    {"Accept-Language", am_HttpAcceptLanguage},
    {"Authorization", am_Authorization},
    {"From", am_From},
    {"Host", am_Host},
    {"If-Modified-Since", am_HttpIfModifiedSince},
    {"If-Match", am_HttpIfMatch},
    {"If-None-Match", am_HttpIfNoneMatch},
    {"If-Range", am_HttpIfRange},
    {"If-Unmodified-Since", am_HttpIfUnmodifiedSince},
    {"Max-Forwards", am_HttpMaxForwards},
    {"Proxy-Authorization", am_HttpProxyAuthorization},
    {"Range", am_Range},
    {"Referer", am_Referer},
    {"User-Agent", am_HttpUserAgent},
    {"Age", am_Age},
    {"Location", am_Location},
    {"Proxy-Authenticate", am_HttpProxyAuthenticate},
    {"Public", am_Public},
    {"Retry-After", am_HttpRetryAfter},
    {"Server", am_Server},
    {"Vary", am_Vary},
    {"Warning", am_Warning},
    {"Www-Authenticate", am_HttpWwwAuthenticate},
    {"Allow", am_Allow},
    {"Content-Base", am_HttpContentBase},
    {"Content-Encoding", am_HttpContentEncoding},
    {"Content-Language", am_HttpContentLanguage},
    {"Content-Length", am_HttpContentLength},
    {"Content-Location", am_HttpContentLocation},
    {"Content-Md5", am_HttpContentMd5},
    {"Content-Range", am_HttpContentRange},
    {"Content-Type", am_HttpContentType},
    {"Etag", am_Etag},
    {"Expires", am_Expires},
    {"Last-Modified", am_HttpLastModified},
    {"Accept-Ranges", am_HttpAcceptRanges},
    {"Set-Cookie", am_HttpSetCookie},
    {"Set-Cookie2", am_HttpSetCookie2},
    {"X-Forwarded-For", am_HttpXForwardedFor},
    {"Cookie", am_Cookie},
    {"Keep-Alive", am_HttpKeepAlive},
    {"Proxy-Connection", am_HttpProxyConnection},
}, http_methods[] = {
    {"OPTIONS", am_OPTIONS}, {"GET", am_GET},       {"HEAD", am_HEAD},
    {"POST", am_POST},       {"PUT", am_PUT},       {"DELETE", am_DELETE},
    {"TRACE", am_TRACE},
};

/* Index from 1, 0: not in the table. */
static unsigned http_name(const struct http_name *table, size_t n, struct slice v)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(table[i].s) == v.n && memcmp(table[i].s, v.s, v.n) == 0)
            return (unsigned)i + 1;
    }
    return 0;
}
#define HTTP_NAME(table, v) http_name(table, sizeof(table) / sizeof *(table), v)

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(int c)
{
    return c == ' ' || c == '\t';
}

/* Ends a token: RFC 2616, 2.2. */
static bool is_separator(int c)
{
    return c <= 32 || c >= 128 || strchr("()<>@,;:\\\"/[]?={}", c);
}

static void skip_blanks(struct slice *v)
{
    while (v->n > 0 && is_blank(*v->s)) {
        v->s++;
        v->n--;
    }
}

/* Digits, as far as an int goes. False if there are none. */
static bool take_int(struct slice *v, int32_t *value)
{
    uint32_t u = 0;
    size_t n = v->n;

    for (; v->n > 0 && is_digit(*v->s); v->s++, v->n--)
        u = u * 10 + (*v->s - '0');
    *value = (int32_t)u;
    return v->n < n;
}

/* Digits, a point, digits. */
static bool take_version(struct slice *v, int32_t *major, int32_t *minor)
{
    if (!take_int(v, major) || v->n == 0 || *v->s != '.')
        return false;
    v->s++;
    v->n--;
    return take_int(v, minor);
}

static bool starts_with(struct slice v, const char *prefix)
{
    size_t n = strlen(prefix);

    return v.n >= n && memcmp(v.s, prefix, n) == 0;
}

static bool starts_with_caseless(struct slice v, const char *prefix)
{
    for (size_t i = 0; prefix[i]; i++) {
        if (i >= v.n || (v.s[i] | 0x20) != (prefix[i] | 0x20))
            return false;
    }
    return true;
}

static term version_tuple(struct proc *p, int32_t major, int32_t minor)
{
    return tuple(p, (term[]){small_make(major), small_make(minor)}, 2);
}

/* {absoluteURI, Scheme, Host, Port, Path} from what follows "scheme://". */
static term absolute_uri(const struct packet *k, term scheme, struct slice v)
{
    static const uint8_t root[] = "/";
    const uint8_t *slash = memchr(v.s, '/', v.n), *colon;
    struct slice path = {root, 1}, host = v;
    term port = am_undefined;

    if (slash) {
        host.n = (size_t)(slash - v.s);
        path = (struct slice){slash, v.n - host.n};
    }
    colon = memchr(host.s, ':', host.n);
    if (colon) {
        size_t n = (size_t)(colon - host.s);
        struct slice digits = {colon + 1, host.n - n - 1};
        int32_t number;

        host.n = n;
        if (take_int(&digits, &number) && digits.n == 0 && number != 0)
            port = small_make(number);
    }
    term h = put_string(k, host), s = put_string(k, path);
    return tuple(k->p, (term[]){am_absoluteURI, scheme, h, port, s}, 5);
}

static term uri(const struct packet *k, struct slice v)
{
    const uint8_t *colon;

    if (v.n == 1 && v.s[0] == '*')
        return am_Times;
    if (v.n <= 1 || v.s[0] == '/')
        return tuple(k->p, (term[]){am_abs_path, put_string(k, v)}, 2);
    if (starts_with_caseless(v, "http://"))
        return absolute_uri(k, am_http, (struct slice){v.s + 7, v.n - 7});
    if (starts_with_caseless(v, "https://"))
        return absolute_uri(k, am_https, (struct slice){v.s + 8, v.n - 8});
    colon = memchr(v.s, ':', v.n);
    if (!colon)
        return put_string(k, v);
    size_t n = (size_t)(colon - v.s);
    term scheme = put_string(k, (struct slice){v.s, n});
    term rest = put_string(k, (struct slice){colon + 1, v.n - n - 1});
    return tuple(k->p, (term[]){am_scheme, scheme, rest}, 3);
}

/* HTTP/1.1 200 OK. THE_NON_VALUE if it is something else, as below. */
static term http_response(const struct packet *k, struct slice v)
{
    int32_t major, minor, status;

    v.s += 5;
    v.n -= 5;
    if (!take_version(&v, &major, &minor))
        return THE_NON_VALUE;
    size_t n = v.n;
    skip_blanks(&v);
    if (v.n == n)
        return THE_NON_VALUE;
    take_int(&v, &status);
    n = v.n;
    skip_blanks(&v);
    if (v.n == n && n > 0)
        return THE_NON_VALUE;
    term ver = version_tuple(k->p, major, minor), phrase = put_string(k, v);
    return tuple(k->p, (term[]){am_http_response, ver, small_make(status), phrase}, 4);
}

/* GET / HTTP/1.1, or without a version, which is 0.9. */
static term http_request(const struct packet *k, struct slice v)
{
    struct slice method = {v.s, 0}, target;
    int32_t major = 0, minor = 9;

    while (v.n > 0 && !is_separator(*v.s)) {
        v.s++;
        v.n--;
    }
    method.n = (size_t)(v.s - method.s);
    if (v.n == 0 || method.n == 0 || !is_blank(*v.s))
        return THE_NON_VALUE;
    skip_blanks(&v);
    target = (struct slice){v.s, 0};
    while (v.n > 0 && !is_blank(*v.s)) {
        v.s++;
        v.n--;
    }
    target.n = (size_t)(v.s - target.s);
    if (target.n == 0)
        return THE_NON_VALUE;
    skip_blanks(&v);
    if (v.n > 0) {
        if (v.n < 8 || !starts_with(v, "HTTP/"))
            return THE_NON_VALUE;
        v.s += 5;
        v.n -= 5;
        if (!take_version(&v, &major, &minor))
            return THE_NON_VALUE;
    }
    unsigned i = HTTP_NAME(http_methods, method);
    term m = i ? http_methods[i - 1].atom : put_string(k, method);
    term u = uri(k, target), ver = version_tuple(k->p, major, minor);
    return tuple(k->p, (term[]){am_http_request, m, u, ver}, 4);
}

/* {http_header, Number, Name, NameAsItIs, Value}: Name-Like-This. */
static term http_header(const struct packet *k, struct slice v)
{
    uint8_t name[HTTP_NAME_MAX];
    struct slice as_is = {v.s, 0}, folded;
    bool upper = true;

    if (v.n == 0)
        return am_http_eoh;
    while (!is_separator(*v.s)) {
        uint8_t c = *v.s++;

        if (as_is.n < HTTP_NAME_MAX) {
            if (upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z')
                c ^= 0x20;
            upper = c == '-' && !upper;
            name[as_is.n] = c;
        }
        as_is.n++;
        if (--v.n == 0)
            return THE_NON_VALUE;
    }
    if (*v.s != ':')
        return THE_NON_VALUE;
    v.s++;
    v.n--;
    skip_blanks(&v);

    unsigned i = 0;
    folded = as_is;
    if (as_is.n <= HTTP_NAME_MAX) {
        folded.s = name;
        i = HTTP_NAME(http_headers, folded);
    }
    term n = i ? http_headers[i - 1].atom : put_string(k, folded);
    term orig = put_string(k, as_is), value = put_string(k, v);
    return tuple(k->p, (term[]){am_http_header, small_make(i), n, orig, value}, 5);
}

term packet_term_http(struct proc *p, bool headers, bool binaries, const uint8_t *s, size_t n)
{
    const struct packet *k = &(struct packet){p, binaries};
    struct slice all = {s, n}, v = all;
    term t;

    if (v.n >= 2 && v.s[v.n - 2] == '\r')
        v.n -= 2;
    else if (v.n >= 1 && v.s[v.n - 1] == '\n')
        v.n -= 1;
    if (headers)
        t = http_header(k, v);
    else
        t = starts_with(v, "HTTP/") ? http_response(k, v) : http_request(k, v);
    if (t != THE_NON_VALUE)
        return t;
    return tuple(k->p, (term[]){am_http_error, put_string(k, all)}, 2);
}

/* A hello of SSL 2 becomes a handshake. */
term packet_term_ssl(struct proc *p, term socket, const uint8_t *s, size_t bytes)
{
    struct slice v = {s, bytes};
    bool ssl2 = (v.s[0] & 0x80) && v.s[2] == 1;
    unsigned type = ssl2 ? 22 : v.s[0];
    const uint8_t *version = v.s + (ssl2 ? 3 : 1);
    size_t skip = ssl2 ? 3 : 5, n = v.n - skip, head = ssl2 ? 4 : 0;
    uint8_t *data;
    term bin = binary_new(p, head + n, &data);

    if (bin == THE_NON_VALUE)
        return bin;
    if (ssl2) {
        data[0] = 1;
        data[1] = (uint8_t)(n >> 16);
        data[2] = (uint8_t)(n >> 8);
        data[3] = (uint8_t)n;
    }
    memcpy(data + head, v.s + skip, n);
    term ver = version_tuple(p, version[0], version[1]);
    return tuple(p, (term[]){am_ssl_tls, socket, small_make(type), ver, bin}, 5);
}

static bool packet_kind(term t, enum packet_type *type, bool *binaries)
{
    static const struct {
        term name;
        enum packet_type type;
    } kinds[] = {
        {am_raw, PACKET_RAW},       {am_asn1, PACKET_ASN1},
        {am_sunrm, PACKET_SUNRM},   {am_cdr, PACKET_CDR},
        {am_fcgi, PACKET_FCGI},     {am_line, PACKET_LINE},
        {am_tpkt, PACKET_TPKT},     {am_http, PACKET_HTTP},
        {am_httph, PACKET_HTTPH},   {am_http_bin, PACKET_HTTP},
        {am_httph_bin, PACKET_HTTPH}, {am_ssl_tls, PACKET_SSL_TLS},
    };

    *binaries = t == am_http_bin || t == am_httph_bin;
    if (term_is_small(t)) {
        switch (small_value(t)) {
        case 0: *type = PACKET_RAW; return true;
        case 1: *type = PACKET_1; return true;
        case 2: *type = PACKET_2; return true;
        case 4: *type = PACKET_4; return true;
        default: return false;
        }
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].name == t) {
            *type = kinds[i].type;
            return true;
        }
    }
    return false;
}

static bool packet_options(term list, enum packet_type type,
                           struct packet_options *o)
{
    *o = (struct packet_options){.delimiter = '\n'};
    for (; term_is_cons(list); list = cons_tail(list)) {
        term t = cons_head(list);
        uint64_t v;

        if (!term_is_tuple_of(t, 2) || !term_to_uint64(*tuple_at(t, 2), &v)
            || v > UINT32_MAX)
            return false;
        if (*tuple_at(t, 1) == am_packet_size)
            o->max_bytes = (uint32_t)v;
        else if (*tuple_at(t, 1) == am_line_length)
            o->line_bytes = (uint32_t)v;
        else if (*tuple_at(t, 1) == am_line_delimiter && type == PACKET_LINE
                 && v <= 255)
            o->delimiter = (uint8_t)v;
        else
            return false;
    }
    return term_is_nil(list);
}

BIF(erlang, decode_packet, 3)
{
    struct packet k = {.p = p};
    struct packet_options o;
    enum packet_type type;
    term t;

    if (!packet_kind(arg[0], &type, &k.binaries))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (!term_is_bitstring(arg[1]) || !packet_options(arg[2], type, &o))
        return bif_badarg(p);

    struct bits b = bits_of(arg[1]);
    struct slice all = {b.base + b.offset / 8, b.size / 8};
    uint8_t *copy = NULL;
    if (!bits_aligned(b)) {
        copy = vm_try_alloc(ALLOC_BINARY, all.n ? all.n : 1);
        if (!copy)
            return bif_error(p, am_system_limit);
        bits_copy(copy, 0, b.base, b.offset, (uint64_t)all.n * 8);
        all.s = copy;
    }

    SLICED(p, EXP("erlang", "decode_packet", 3));

    int64_t n = packet_length(type, all.s, all.n, &o);
    if (n < 0) {
        t = tuple(p, (term[]){am_error, am_invalid}, 2);
    } else if (n == 0 || (uint64_t)n > all.n) {
        t = tuple(p, (term[]){am_more, n ? small_make(n) : am_undefined}, 2);
    } else {
        struct slice packet = {all.s, (size_t)n};

        if (type == PACKET_HTTP || type == PACKET_HTTPH) {
            t = packet_term_http(p, type == PACKET_HTTPH, k.binaries, packet.s, packet.n);
        } else if (type == PACKET_SSL_TLS) {
            t = packet_term_ssl(p, TERM_NIL, packet.s, packet.n);
        } else {
            const uint8_t *s = packet.s;

            packet_body(type, &s, &packet.n);
            t = binary_sub(p, arg[1], (uint64_t)(s - all.s) * 8,
                           (uint64_t)packet.n * 8);
        }
        if (t != THE_NON_VALUE) {
            /* Bits beyond whole bytes go with the rest. */
            term rest = binary_sub(p, arg[1], (uint64_t)n * 8,
                                   b.size - (uint64_t)n * 8);

            t = tuple(p, (term[]){am_ok, t, rest}, 3);
        } else {
            bif_error(p, am_system_limit);
        }
    }
    vm_free(copy);
    bif_spend(p, all.n, 1000);
    return t;
}
