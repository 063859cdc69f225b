/*
 * inet.c - what every socket can do: answers, addresses, statistics, the
 * requests that are the same for streams and datagrams.
 */
#include "io/inet.h"

#include <errno.h>
#include <math.h>

#include "bif/bif.h"
#include "io/io.h"
#include "os/os.h"

#define BUFFER_DEFAULT 1460
#define MSGQ_HIGH 8192
#define MSGQ_LOW 4096
#define NAME_BYTES 256
#define PATHS_MAX (64 * 1024)       /* OTP's limit of an answer */

enum { REP_ERROR, REP_OK };
enum { SUBS_EMPTY_OUT_Q = 1 };
enum { STAT_RECV_CNT = 1, STAT_RECV_MAX, STAT_RECV_AVG, STAT_RECV_DVI, STAT_SEND_CNT,
       STAT_SEND_MAX, STAT_SEND_AVG, STAT_SEND_PEND, STAT_RECV_OCT, STAT_SEND_OCT };

/* ---- answers ---- */

static term answer(struct proc *p, uint8_t code, const uint8_t *s, size_t n)
{
    term *hp = heap_alloc(p, (n + 1) * CONS_WORDS), list = TERM_NIL;

    while (n > 0)
        list = put_cons(&hp, small_make(s[--n]), list);
    return put_cons(&hp, small_make(code), list);
}

term inet_ok(struct inet_request *r, const void *bytes, size_t n)
{
    return answer(r->p, REP_OK, bytes, n);
}

term inet_ok_ref(struct inet_request *r, uint16_t ref)
{
    uint8_t b[2];

    put16(b, ref);
    return inet_ok(r, b, sizeof b);
}

term inet_xerror(struct inet_request *r, const char *name)
{
    return answer(r->p, REP_ERROR, (const uint8_t *)name, strlen(name));
}

term inet_error(struct inet_request *r, int err)
{
    return inet_xerror(r, errno_name(err < 0 ? -err : err));
}

uint8_t *inet_buf_room(struct inet_buf *b, size_t n)
{
    if (b->size - b->n < n) {
        b->size = (b->n + n) * 2;
        b->s = vm_realloc(b->s, b->size);
    }
    b->n += n;
    return b->s + b->n - n;
}

void inet_buf_byte(struct inet_buf *b, uint8_t v)
{
    *inet_buf_room(b, 1) = v;
}

void inet_buf_32(struct inet_buf *b, uint32_t v)
{
    put32(inet_buf_room(b, 4), v);
}

void inet_buf_put(struct inet_buf *b, const void *s, size_t n)
{
    memcpy(inet_buf_room(b, n), s, n);
}

void inet_buf_free(struct inet_buf *b)
{
    vm_free(b->s);
    *b = (struct inet_buf){0};
}

term inet_ok_buf(struct inet_request *r, struct inet_buf *b)
{
    term t = inet_ok(r, b->s, b->n);

    inet_buf_free(b);
    return t;
}

/* ---- addresses ---- */

static const char *get_ip(enum net_family family, const uint8_t **s, size_t *n,
                          struct net_addr *a)
{
    size_t bytes = family == NET_INET ? 4 : 16, all = 2 + bytes;

    if (family == NET_INET6)
        all += 8;               /* flow and scope */
    if (*n < all)
        return "einval";
    a->port = (uint16_t)get16(*s);
    memcpy(a->ip, *s + 2, bytes);
    if (family == NET_INET6) {
        a->flow = get32(*s + 18);
        a->scope = get32(*s + 22);
    }
    *s += all;
    *n -= all;
    return NULL;
}

static const char *get_path(const uint8_t **s, size_t *n, struct net_addr *a)
{
    size_t len;

    if (*n < 1 || *n < 1u + **s)
        return "einval";
    len = **s;
    /* One that does not begin with zero is terminated. */
    if (len + (len > 0 && (*s)[1] == 0 ? 0 : 1) > NET_PATH_MAX)
        return "einval";
    a->path_bytes = (uint8_t)len;
    memcpy(a->path, *s + 1, len);
    *s += 1 + len;
    *n -= 1 + len;
    return NULL;
}

const char *inet_get_addr(enum net_family family, const uint8_t **s, size_t *n,
                          struct net_addr *a)
{
    unsigned tag;

    memset(a, 0, sizeof *a);
    if (*n < 1)
        return "einval";
    tag = *(*s)++;
    --*n;
    switch (tag) {
    case INET_AF_INET:
    case INET_AF_INET6:
        a->family = (uint8_t)tag;
        return get_ip(a->family, s, n, a);
    case INET_AF_LOCAL:
        a->family = NET_LOCAL;
        return get_path(s, n, a);
    case INET_AF_ANY:
    case INET_AF_LOOPBACK:
        if (*n < 2 || (family != NET_INET && family != NET_INET6))
            return "einval";
        a->family = (uint8_t)family;
        a->port = (uint16_t)get16(*s);
        if (tag == INET_AF_LOOPBACK && family == NET_INET)
            memcpy(a->ip, (uint8_t[]){127, 0, 0, 1}, 4);
        else if (tag == INET_AF_LOOPBACK)
            a->ip[15] = 1;
        *s += 2;
        *n -= 2;
        return NULL;
    }
    return "eafnosupport";
}

size_t inet_put_addr(uint8_t *s, const struct net_addr *a)
{
    size_t n;

    s[0] = a->family;
    switch (a->family) {
    case NET_INET:
    case NET_INET6:
        n = a->family == NET_INET ? 4 : 16;
        put16(s + 1, a->port);
        memcpy(s + 3, a->ip, n);
        return 3 + n;
    case NET_LOCAL:
        s[1] = a->path_bytes;
        memcpy(s + 2, a->path, a->path_bytes);
        return 2u + a->path_bytes;
    }
    s[0] = INET_AF_UNSPEC;
    return 1;
}

/* ---- the state ---- */

void inet_init(struct inet *in, struct port *port, bool udp)
{
    *in = (struct inet){
        .port = port, .udp = udp, .type = udp ? NET_DGRAM : NET_STREAM,
        .exit_on_close = 1, .deliver = INET_DELIVER_TERM, .buffer = BUFFER_DEFAULT,
        .delimiter = '\n', .msgq_high = MSGQ_HIGH, .msgq_low = MSGQ_LOW,
        .caller = THE_NON_VALUE,
    };
}

void inet_close(struct inet *in)
{
    vm_free(in->subscribers);
    in->subscribers = NULL;
    in->nsubscribers = 0;
    if (!in->sock)
        return;
    net_ops.close(in->sock);
    in->sock = NULL;
    in->watched = 0;
    in->ignored = false;
    in->state = 0;
}

void inet_watch(struct inet *in, unsigned add, unsigned drop)
{
    unsigned events = (in->watched | add) & ~drop;

    if (in->ignored) {
        in->ignored_wants = (in->ignored_wants | add) & ~drop;
        return;
    }
    if (!in->sock || events == in->watched)
        return;
    in->watched = events;
    net_ops.watch(in->sock, events);
}

static bool known_family(unsigned f)
{
    return f == NET_INET || f == NET_INET6 || f == NET_LOCAL;
}

int inet_open(struct inet *in, const uint8_t *data, size_t n, enum net_type want,
              void (*ready)(struct net_sock *s, unsigned events))
{
    int err;

    if (n != 2)
        return -EINVAL;
    if (!known_family(data[0]))
        return -EAFNOSUPPORT;
    if (data[1] != NET_STREAM && data[1] != NET_DGRAM)
        return -EINVAL;
    if (want == NET_STREAM && data[1] != NET_STREAM)
        return -EINVAL;
    err = net_ops.open(&in->sock, data[0], data[1]);
    if (err < 0)
        return err;
    in->sock->owner = in;
    in->sock->ready = ready;
    in->family = data[0];
    in->type = data[1];
    in->state = INET_F_OPEN;
    return 0;
}

int inet_fdopen(struct inet *in, const uint8_t *data, size_t n, enum net_type want,
                void (*ready)(struct net_sock *s, unsigned events))
{
    struct net_addr a;
    struct net_sock *s;
    bool bound;
    int err;

    if (n != 6 && n != 10)
        return -EINVAL;
    if (!known_family(data[0]))
        return -EAFNOSUPPORT;
    if ((data[1] != NET_STREAM && data[1] != NET_DGRAM) ||
        (want == NET_STREAM && data[1] != NET_STREAM))
        return -EINVAL;
    if (!net_ops.adopt)
        return -ENOTSUP;
    bound = n == 6 || get32(data + 6);
    err = net_ops.adopt(&s, (int)get32(data + 2));
    if (err < 0)
        return err;
    if (bound) {
        err = net_ops.local(s, &a);
        if (err == 0 && a.family != data[0])
            err = -EINVAL;
        if (err < 0) {
            net_ops.close(s);
            return err;
        }
    }
    in->sock = s;
    s->owner = in;
    s->ready = ready;
    in->family = data[0];
    in->type = data[1];
    in->prebound = true;
    in->state = INET_F_OPEN;
    if (in->type == NET_STREAM && net_ops.peer(s, &a) == 0)
        in->state = INET_CONNECTED;
    return 0;
}

uint64_t inet_deadline(uint32_t ms)
{
    return os_mono_ns() + (uint64_t)ms * 1000000u;
}

uint32_t inet_queued(struct inet *in)
{
    const struct port_driver *d = in->port->driver;
    size_t n = d->queued ? d->queued(in->port) : 0;

    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/*
 * Average and deviation as OTP reckons them. A port's own count of input is of
 * what comes as {Port, {data, D}}.
 */
void inet_count_in(struct inet *in, size_t n)
{
    double avg;

    in->stat.recv_oct += n;
    in->stat.recv_cnt++;
    avg = in->stat.recv_avg + ((double)n - in->stat.recv_avg) / (double)in->stat.recv_cnt;
    in->stat.recv_avg = avg;
    if (n > in->stat.recv_max)
        in->stat.recv_max = n;
    in->stat.recv_dvi += (((double)n - avg) - in->stat.recv_dvi) / (double)in->stat.recv_cnt;
}

void inet_count_out(struct inet *in, size_t n)
{
    in->stat.send_oct += n;
    in->stat.send_cnt++;
    in->stat.send_avg += ((double)n - in->stat.send_avg) / (double)in->stat.send_cnt;
    if (n > in->stat.send_max)
        in->stat.send_max = n;
}

/* ---- requests ---- */

static term get_stat(struct inet *in, struct inet_request *r)
{
    struct inet_buf b = {0};

    if (r->n > PATHS_MAX)
        return THE_NON_VALUE;
    for (size_t i = 0; i < r->n; i++) {
        uint64_t v = 0;

        switch (r->data[i]) {
        case STAT_RECV_CNT: v = in->stat.recv_cnt; break;
        case STAT_RECV_MAX: v = in->stat.recv_max; break;
        case STAT_RECV_AVG: v = (uint64_t)in->stat.recv_avg; break;
        case STAT_RECV_DVI: v = (uint64_t)fabs(in->stat.recv_dvi); break;
        case STAT_SEND_CNT: v = in->stat.send_cnt; break;
        case STAT_SEND_MAX: v = in->stat.send_max; break;
        case STAT_SEND_AVG: v = (uint64_t)in->stat.send_avg; break;
        case STAT_SEND_PEND: v = inet_queued(in); break;
        case STAT_RECV_OCT: v = in->stat.recv_oct; break;
        case STAT_SEND_OCT: v = in->stat.send_oct; break;
        default:
            inet_buf_free(&b);
            return THE_NON_VALUE;
        }
        inet_buf_byte(&b, r->data[i]);
        if (r->data[i] == STAT_RECV_OCT || r->data[i] == STAT_SEND_OCT)
            inet_buf_32(&b, (uint32_t)(v >> 32));
        inet_buf_32(&b, (uint32_t)v);
    }
    return inet_ok_buf(r, &b);
}

static term subscribe(struct inet *in, struct inet_request *r)
{
    struct inet_buf b = {0};

    for (size_t i = 0; i < r->n; i++) {
        uint32_t n = inet_queued(in);

        if (r->data[i] != SUBS_EMPTY_OUT_Q) {
            inet_buf_free(&b);
            return THE_NON_VALUE;
        }
        if (n > 0)
            inet_subscribe(in, r->p->id);
        inet_buf_byte(&b, SUBS_EMPTY_OUT_Q);
        inet_buf_32(&b, n);
    }
    return inet_ok_buf(r, &b);
}

static term addr_answer(struct inet_request *r, int err, const struct net_addr *a)
{
    uint8_t s[INET_ADDR_MAX];

    if (err < 0)
        return inet_error(r, err);
    if (a->family == NET_UNSPEC)
        return inet_error(r, EINVAL);
    return inet_ok(r, s, inet_put_addr(s, a));
}

static term peer(struct inet *in, struct inet_request *r)
{
    struct net_addr a;

    if (!(in->state & INET_F_ACTIVE))
        return inet_error(r, ENOTCONN);
    if (in->has_fake_peer)
        return addr_answer(r, 0, &in->fake_peer);
    return addr_answer(r, net_ops.peer(in->sock, &a), &a);
}

static term name(struct inet *in, struct inet_request *r)
{
    struct net_addr a;

    if (in->has_fake_name)
        return addr_answer(r, 0, &in->fake_name);
    if (!in->sock)
        return inet_error(r, EBADF);
    return addr_answer(r, net_ops.local(in->sock, &a), &a);
}

static term addrs(struct inet *in, struct inet_request *r, bool local)
{
    struct net_addr a;

    if (r->n != 4)
        return inet_error(r, EINVAL);
    if (!inet_is_open(in))
        return inet_xerror(r, "exbadport");
    return addr_answer(r, local ? net_ops.local(in->sock, &a) : net_ops.peer(in->sock, &a),
                       &a);
}

/* setpeername, setsockname: none, or one to tell instead. */
static term set_fake(struct inet *in, struct inet_request *r, struct net_addr *a, bool *has)
{
    const uint8_t *s = r->data;
    size_t n = r->n;
    const char *err;

    if (n == 0) {
        *has = false;
        return inet_ok(r, NULL, 0);
    }
    if (n < 2)
        return inet_error(r, EINVAL);
    err = inet_get_addr(in->family, &s, &n, a);
    if (err)
        return inet_xerror(r, err);
    *has = true;
    return inet_ok(r, NULL, 0);
}

static term bind(struct inet *in, struct inet_request *r)
{
    const uint8_t *s = r->data;
    size_t n = r->n;
    struct net_addr a;
    uint8_t port[2];
    const char *x;
    int err;

    if (n < 2)
        return inet_error(r, EINVAL);
    if (in->state != INET_F_OPEN)
        return inet_xerror(r, "exbadport");
    x = inet_get_addr(in->family, &s, &n, &a);
    if (x)
        return inet_xerror(r, x);
    err = net_ops.bind(in->sock, &a);
    if (err < 0)
        return inet_error(r, err);
    if (a.port == 0)
        net_ops.local(in->sock, &a);
    put16(port, a.family == NET_LOCAL ? 0 : a.port);
    return inet_ok(r, port, sizeof port);
}

static term ignore_fd(struct inet *in, struct inet_request *r)
{
    if (!inet_is_connected(in))
        return inet_error(r, ENOTCONN);
    if (in->type != NET_STREAM || r->n < 1 || r->data[0] > 1 ||
        (r->data[0] == 1) == in->ignored)
        return inet_error(r, EINVAL);
    if (r->data[0] == 1) {
        unsigned was = in->watched;

        inet_watch(in, 0, NET_READ | NET_WRITE);
        in->ignored = true;
        in->ignored_wants = was & NET_READ ? NET_READ : 0;
    } else {
        in->ignored = false;
        inet_watch(in, in->ignored_wants, 0);
    }
    return inet_ok(r, NULL, 0);
}

static term get_type(struct inet *in, struct inet_request *r)
{
    uint8_t b[8];

    if (!inet_is_open(in))
        return inet_error(r, EINVAL);
    put32(b, in->family);
    put32(b + 4, in->type);
    return inet_ok(r, b, sizeof b);
}

static term get_fd(struct inet *in, struct inet_request *r)
{
    uint8_t b[4];
    int fd;

    if (!inet_is_open(in))
        return inet_error(r, EINVAL);
    fd = net_ops.fd(in->sock);
    if (fd < 0)
        return inet_error(r, fd);
    put32(b, (uint32_t)fd);
    return inet_ok(r, b, sizeof b);
}

/* [Length | Characters], which become a string. */
static bool take_string(const uint8_t **s, size_t *n, char out[NAME_BYTES])
{
    size_t len;

    if (*n < 1 || *n < 1u + **s)
        return false;
    len = **s;
    memcpy(out, *s + 1, len);
    out[len] = 0;
    *s += 1 + len;
    *n -= 1 + len;
    return true;
}

static term service_port(struct inet_request *r)
{
    char service[NAME_BYTES], protocol[NAME_BYTES];
    const uint8_t *s = r->data;
    size_t n = r->n;
    uint8_t b[2];
    int port;

    if (!take_string(&s, &n, service) || !take_string(&s, &n, protocol))
        return inet_error(r, EINVAL);
    port = net_ops.service_port(service, protocol);
    if (port < 0)
        return inet_error(r, EINVAL);
    put16(b, (uint32_t)port);
    return inet_ok(r, b, sizeof b);
}

static term service_name(struct inet_request *r)
{
    char service[NAME_BYTES], protocol[NAME_BYTES];
    const uint8_t *s = r->data + 2;
    size_t n = r->n - 2;

    if (r->n < 3 || !take_string(&s, &n, protocol) ||
        net_ops.service_name((int)get16(r->data), protocol, service, sizeof service) < 0)
        return inet_error(r, EINVAL);
    return inet_ok(r, service, strlen(service));
}

static term set_options(struct inet *in, struct inet_request *r)
{
    switch (inet_set_options(in, r->data, r->n)) {
    case INET_SET_ERROR:
        return inet_error(r, EINVAL);
    default:
        return inet_ok(r, NULL, 0);
    }
}

term inet_control(struct inet *in, struct inet_request *r, uint32_t op)
{
    char host[NAME_BYTES];
    uint8_t b[4];
    int err;

    switch (op) {
    case INET_REQ_GETSTAT: return get_stat(in, r);
    case INET_REQ_SUBSCRIBE: return subscribe(in, r);
    case INET_REQ_SETOPTS: return set_options(in, r);
    case INET_REQ_GETOPTS: return inet_get_options(in, r);
    case INET_REQ_PEER: return peer(in, r);
    case INET_REQ_NAME: return name(in, r);
    case INET_REQ_GETPADDRS: return addrs(in, r, false);
    case INET_REQ_GETLADDRS: return addrs(in, r, true);
    case INET_REQ_SETPEER: return set_fake(in, r, &in->fake_peer, &in->has_fake_peer);
    case INET_REQ_SETNAME: return set_fake(in, r, &in->fake_name, &in->has_fake_name);
    case INET_REQ_BIND: return bind(in, r);
    case INET_REQ_IGNOREFD: return ignore_fd(in, r);
    case INET_REQ_GETTYPE: return get_type(in, r);
    case INET_REQ_GETFD: return get_fd(in, r);
    case INET_REQ_GETSERVBYNAME: return service_port(r);
    case INET_REQ_GETSERVBYPORT: return service_name(r);
    case INET_REQ_GETSTATUS:
        put32(b, in->state);
        return inet_ok(r, b, sizeof b);
    case INET_REQ_GETHOSTNAME:
        if (r->n != 0)
            return inet_error(r, EINVAL);
        err = net_ops.hostname(host, sizeof host);
        return err < 0 ? inet_error(r, err) : inet_ok(r, host, strlen(host));
    case INET_REQ_GETIFLIST:
    case INET_REQ_GETIFADDRS:
    case INET_REQ_IFGET:
    case INET_REQ_IFSET:
        if (!inet_is_open(in))
            return inet_xerror(r, "exbadport");
        return op == INET_REQ_GETIFLIST    ? inet_iflist(r)
               : op == INET_REQ_GETIFADDRS ? inet_ifaddrs(r)
               : op == INET_REQ_IFGET      ? inet_ifget(r)
                                           : inet_error(r, ENOTSUP);
    }
    return inet_xerror(r, "exbadport");
}
