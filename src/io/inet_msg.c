/*
 * inet_msg.c - the messages of sockets.
 *
 * Messages of a known size are built where they are to lie. Parsed packets
 * (HTTP) are built on the receiver's heap piece by piece.
 */
#include "bif/bif.h"
#include "bif/info.h"
#include "bif/packet_term.h"
#include "io/inet.h"
#include "io/io.h"
#include "vm/msg.h"

uint16_t inet_op_start(struct inet *in, struct proc *p)
{
    in->op.used = true;
    in->op.ref = in->next_ref++;
    in->op.caller = p->id;
    return in->op.ref;
}

bool inet_op_take(struct inet *in, uint16_t *ref, term *to)
{
    if (!in->op.used)
        return false;
    in->op.used = false;
    *ref = in->op.ref;
    *to = in->op.caller;
    return true;
}

/* {inet_async, S, Ref, Result}, where Result is ok, {ok, V} or {error, V}. */
static void send_async(struct inet *in, uint16_t ref, term to, term tag, term value)
{
    struct proc *p = proc_find(to);
    struct msg_build b;
    term result = tag, t;

    if (!p)
        return;
    msg_build_begin(&b, p, 3 + 5);
    if (value != THE_NON_VALUE)
        result = put_tuple2(&b.d.htop, tag, value);
    t = put_tuple4(&b.d.htop, am_inet_async, in->port->id, small_make(ref), result);
    msg_build_send(&b, p, t);
}

void inet_async_ok(struct inet *in)
{
    uint16_t ref;
    term to;

    if (inet_op_take(in, &ref, &to))
        send_async(in, ref, to, am_ok, THE_NON_VALUE);
}

void inet_async_error(struct inet *in, term reason)
{
    uint16_t ref;
    term to;

    if (inet_op_take(in, &ref, &to))
        send_async(in, ref, to, am_error, reason);
}

void inet_send_async_error(struct inet *in, uint16_t ref, term to, term reason)
{
    send_async(in, ref, to, am_error, reason);
}

void inet_send_async_port(struct inet *in, uint16_t ref, term to, term port)
{
    send_async(in, ref, to, am_ok, port);
}

static void send_reply(struct inet *in, term tag, term value)
{
    struct proc *p = proc_find(in->caller);
    struct msg_build b;
    term result = tag, t;

    in->caller = THE_NON_VALUE;
    if (!p)
        return;
    msg_build_begin(&b, p, 3 + 4);
    if (value != THE_NON_VALUE)
        result = put_tuple2(&b.d.htop, tag, value);
    t = put_tuple3(&b.d.htop, am_inet_reply, in->port->id, result);
    msg_build_send(&b, p, t);
}

void inet_reply_ok(struct inet *in)
{
    send_reply(in, am_ok, THE_NON_VALUE);
}

void inet_reply_error(struct inet *in, term reason)
{
    send_reply(in, am_error, reason);
}

static struct proc *owner(const struct inet *in)
{
    return in->port->closing ? NULL : proc_find(in->port->owner);
}

void inet_tell(struct inet *in, term tag)
{
    struct proc *p = owner(in);
    struct msg_build b;

    if (!p)
        return;
    msg_build_begin(&b, p, 3);
    term t = put_tuple2(&b.d.htop, tag, in->port->id);
    msg_build_send(&b, p, t);
}

void inet_tell_error(struct inet *in, term tag, term reason)
{
    struct proc *p = owner(in);
    struct msg_build b;

    if (!p)
        return;
    msg_build_begin(&b, p, 4);
    term t = put_tuple3(&b.d.htop, tag, in->port->id, reason);
    msg_build_send(&b, p, t);
}

bool inet_subscribe(struct inet *in, term pid)
{
    in->subscribers = vm_realloc(in->subscribers, (in->nsubscribers + 1) * sizeof(term));
    in->subscribers[in->nsubscribers++] = pid;
    return true;
}

void inet_queue_empty(struct inet *in)
{
    for (size_t i = 0; i < in->nsubscribers; i++) {
        struct proc *p = proc_find(in->subscribers[i]);
        struct msg_build b;

        if (!p)
            continue;
        msg_build_begin(&b, p, 3);
        term t = put_tuple2(&b.d.htop, am_empty_out_q, in->port->id);
        msg_build_send(&b, p, t);
    }
    vm_free(in->subscribers);
    in->subscribers = NULL;
    in->nsubscribers = 0;
}

/*
 * Data by mode and header, after `before` bytes that are always a list.
 */
struct data {
    const uint8_t *s;
    size_t n;
    size_t head;                /* bytes that are list elements */
    bool list;                  /* all are */
    struct refbin *share;       /* s lies in it, or NULL */
};

static struct data data_of(const struct inet *in, const uint8_t *s, size_t n, size_t before,
                           struct refbin *share)
{
    struct data d = {s, n, before, false, share};

    if (in->mode == INET_MODE_LIST || in->header > n - before ||
        (in->deliver == INET_DELIVER_PORT && in->active != INET_PASSIVE && !in->port->binary))
        d.list = true;
    else
        d.head += in->header;
    return d;
}

static size_t data_words(const struct data *d)
{
    size_t rest = d->n - d->head;

    if (d->list)
        return d->n * CONS_WORDS;
    return d->head * CONS_WORDS + binary_put_words(rest);
}

static term put_list(term **hp, const uint8_t *s, size_t n, term tail)
{
    while (n > 0)
        tail = put_cons(hp, small_make(s[--n]), tail);
    return tail;
}

static term put_binary(struct dest *to, const uint8_t *s, size_t n, struct refbin *share)
{
    if (n <= HEAPBIN_MAX || !share)
        return binary_put(to, s, n);
    refbin_get(share);
    return binary_put_refbin(to, share, (uint8_t *)s, n);
}

static term put_data(struct dest *to, const struct data *d)
{
    if (d->list)
        return put_list(&to->htop, d->s, d->n, TERM_NIL);
    return put_list(&to->htop, d->s, d->head,
                    put_binary(to, d->s + d->head, d->n - d->head, d->share));
}

void inet_async_data(struct inet *in, const uint8_t *s, size_t n, struct refbin *share)
{
    struct data data = data_of(in, s, n, 0, share);
    struct msg_build b;
    struct proc *p;
    uint16_t ref;
    term to, t;

    if (!inet_op_take(in, &ref, &to) || !(p = proc_find(to)))
        return;
    msg_build_begin(&b, p, data_words(&data) + 3 + 5);
    t = put_data(&b.d, &data);
    t = put_tuple2(&b.d.htop, am_ok, t);
    t = put_tuple4(&b.d.htop, am_inet_async, in->port->id, small_make(ref), t);
    msg_build_send(&b, p, t);
}

void inet_message_data(struct inet *in, const uint8_t *s, size_t n, struct refbin *share)
{
    struct data data = data_of(in, s, n, 0, share);
    struct proc *p = owner(in);
    struct msg_build b;
    term t;

    if (!p)
        return;
    msg_build_begin(&b, p, data_words(&data) + 3 + 4);
    t = put_data(&b.d, &data);
    if (in->deliver == INET_DELIVER_PORT) {
        in->port->bytes_in += n;
        vm.info->io_in_bytes += n;
        t = put_tuple2(&b.d.htop, am_data, t);
        t = put_tuple2(&b.d.htop, in->port->id, t);
    } else {
        t = put_tuple3(&b.d.htop, am_tcp, in->port->id, t);
    }
    msg_build_send(&b, p, t);
}

void inet_parsed(struct inet *in, unsigned packet, const uint8_t *s, size_t n)
{
    bool ssl = packet == PACKET_SSL_TLS, passive = in->active == INET_PASSIVE;
    struct proc *p;
    uint16_t ref = 0;
    term to, t, *hp;

    if (!passive)
        p = owner(in);
    else if (inet_op_take(in, &ref, &to))
        p = proc_find(to);
    else
        p = NULL;
    if (!p)
        return;
    if (ssl)
        t = packet_term_ssl(p, in->port->id, s, n);
    else if (packet == PACKET_HTTP || packet == PACKET_HTTPH)
        t = packet_term_http(p, packet == PACKET_HTTPH, false, s, n);
    else    /* http_bin, httph_bin */
        t = packet_term_http(p, packet == PACKET_SSL_TLS + 2, true, s, n);
    if (t == THE_NON_VALUE)
        t = am_enomem;          /* a record that there is no memory for */
    if (passive) {
        hp = heap_alloc(p, 3 + 5);
        t = put_tuple2(&hp, am_ok, t);
        t = put_tuple4(&hp, am_inet_async, in->port->id, small_make(ref), t);
    } else if (!ssl) {
        hp = heap_alloc(p, 4);
        t = put_tuple3(&hp, am_http, in->port->id, t);
    }
    msg_send_own(p, t);
}

/* ---- datagrams ---- */

static size_t addr_words(const struct net_addr *a)
{
    switch (a->family) {
    case NET_INET: return 5;
    case NET_INET6: return 9;
    case NET_LOCAL: return 3 + HEAPBIN_WORDS(NET_PATH_MAX) + BINARY_FROM_REFBIN_WORDS;
    default: return 3 + HEAPBIN_WORDS(0);
    }
}

/* An IP as a tuple, or {local, Path} and the like with port 0. */
static term put_addr(struct dest *d, const struct net_addr *a)
{
    term *t = d->htop;
    size_t n = a->family == NET_INET ? 4 : 8;

    switch (a->family) {
    case NET_INET:
    case NET_INET6:
        t[0] = TUPLE_HEADER(n);
        for (size_t i = 0; i < n; i++)
            t[1 + i] = small_make(n == 4 ? a->ip[i] : (int64_t)get16(a->ip + 2 * i));
        d->htop += 1 + n;
        return boxed_make(t);
    case NET_LOCAL: {
        term path = put_binary(d, a->path, a->path_bytes, NULL);

        return put_tuple2(&d->htop, am_local, path);
    }
    default: {
        term none = put_binary(d, NULL, 0, NULL);

        return put_tuple2(&d->htop, am_unspec, none);
    }
    }
}

#define ANC_WORDS (NET_ANCS * (3 + CONS_WORDS))

static term put_anc(term **hp, const struct net_anc *anc)
{
    static const term names[] = {
        [NET_ANC_TOS] = am_tos, [NET_ANC_TCLASS] = am_tclass, [NET_ANC_TTL] = am_ttl,
    };
    term list = TERM_NIL;

    for (int i = NET_ANCS; i-- > 0;) {
        if (anc->has & 1u << i) {
            term pair = put_tuple2(hp, names[i], small_make(anc->v[i]));

            list = put_cons(hp, pair, list);
        }
    }
    return list;
}

void inet_async_datagram(struct inet *in, const struct net_addr *from,
                         const struct net_anc *anc, const uint8_t *s, size_t n)
{
    uint8_t *all = vm_alloc(ALLOC_SYSTEM, INET_ADDR_MAX + n);
    size_t head = inet_put_addr(all, from);
    struct data data;
    struct msg_build b;
    struct proc *p;
    uint16_t ref;
    term to, t;

    memcpy(all + head, s, n);
    data = data_of(in, all, head + n, head, NULL);
    if (inet_op_take(in, &ref, &to) && (p = proc_find(to))) {
        msg_build_begin(&b, p, data_words(&data) + ANC_WORDS + 3 + 3 + 5);
        t = put_data(&b.d, &data);
        if (anc) {
            term list = put_anc(&b.d.htop, anc);

            t = put_tuple2(&b.d.htop, t, list);
        }
        t = put_tuple2(&b.d.htop, am_ok, t);
        t = put_tuple4(&b.d.htop, am_inet_async, in->port->id, small_make(ref), t);
        msg_build_send(&b, p, t);
    }
    vm_free(all);
}

void inet_message_datagram(struct inet *in, const struct net_addr *from,
                           const struct net_anc *anc, const uint8_t *s, size_t n)
{
    struct data data = data_of(in, s, n, 0, NULL);
    struct proc *p = owner(in);
    struct msg_build b;
    term t[7], tuple;
    size_t i = 0;

    if (!p)
        return;
    if (in->deliver == INET_DELIVER_PORT) {
        msg_build_begin(&b, p, data_words(&data) + 3 + 3);
        tuple = put_data(&b.d, &data);
        tuple = put_tuple2(&b.d.htop, am_data, tuple);
        tuple = put_tuple2(&b.d.htop, in->port->id, tuple);
        msg_build_send(&b, p, tuple);
        return;
    }
    msg_build_begin(&b, p, data_words(&data) + addr_words(from) + ANC_WORDS + 7);
    t[i++] = am_udp;
    t[i++] = in->port->id;
    t[i++] = put_addr(&b.d, from);
    t[i++] = small_make(from->family == NET_INET || from->family == NET_INET6 ? from->port : 0);
    if (anc)
        t[i++] = put_anc(&b.d.htop, anc);
    t[i++] = put_data(&b.d, &data);
    tuple = boxed_make(b.d.htop);
    *b.d.htop++ = TUPLE_HEADER(i);
    memcpy(b.d.htop, t, i * sizeof *t);
    b.d.htop += i;
    msg_build_send(&b, p, tuple);
}

void inet_count_active(struct inet *in)
{
    if (in->active == INET_ONCE) {
        in->active = INET_PASSIVE;
    } else if (in->active == INET_MULTI && --in->active_count == 0) {
        in->active = INET_PASSIVE;
        inet_tell(in, in->udp ? am_udp_passive : am_tcp_passive);
    }
}
