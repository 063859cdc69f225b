/*
 * term.c - what drivers send: bytes as a port does, and terms.
 *
 * A term is told in postfix order by an array of words: tags and their operands
 * (ERL_DRV_TUPLE and its like take what is before them). It is built in an
 * environment as those of NIFs, by any thread; the scheduler sends it.
 */
#include <math.h>

#include "io/drv/drv.h"

#include "bif/info.h"
#include "io/nif.h"
#include "io/port_trace.h"
#include "vm/atom.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/wstack.h"

const ErlDrvTermData driver_term_nil = TERM_NIL;

ErlDrvTermData driver_mk_term_nil(void) { return TERM_NIL; }

ErlDrvTermData driver_mk_atom(char *name)
{
    return atom_make_latin1((const uint8_t *)name, strlen(name));
}

ErlDrvTermData driver_mk_port(ErlDrvPort p) { return p && p->port ? p->id : TERM_NIL; }

ErlDrvTermData driver_connected(ErlDrvPort p)
{
    return p && p->port ? p->port->owner : TERM_NIL;
}

ErlDrvTermData driver_caller(ErlDrvPort p) { return p && p->port ? p->caller : TERM_NIL; }

/*
 * Bytes.
 */
int driver_output2(ErlDrvPort p, char *head, ErlDrvSizeT head_n, char *data, ErlDrvSizeT n)
{
    if (drv_off_scheduler(__func__) || !p || !p->port)
        return -1;
    port_deliver_head(p->port, head, head_n, data, n);
    return 0;
}

int driver_output(ErlDrvPort p, char *data, ErlDrvSizeT n)
{
    return driver_output2(p, NULL, 0, data, n);
}

static term list_of(ErlNifEnv *env, const uint8_t *s, size_t n, term tail)
{
    term *hp = nif_alloc(env, n * CONS_WORDS);

    while (n > 0)
        tail = put_cons(&hp, small_make(s[--n]), tail);
    return tail;
}

/* n bytes at data: of bin, which is shared, or of nothing that stays (NULL). */
static term binary_of(ErlNifEnv *env, ErlDrvBinary *bin, const char *data, size_t n)
{
    struct refbin *b;
    struct dest d;
    ErlNifBinary copy;

    if (n <= HEAPBIN_MAX || !bin) {
        if (!enif_alloc_binary(n, &copy))
            return THE_NON_VALUE;
        if (n)
            memcpy(copy.data, data, n);
        return enif_make_binary(env, &copy);
    }
    b = bin_refbin(bin);
    refbin_get(b);
    d = (struct dest){nif_alloc(env, REFCBIN_WORDS), nif_offheap(env)};
    return binary_put_refbin(&d, b, (uint8_t *)(uintptr_t)data, n);
}

/* A term of env, in a fragment of its own. */
static struct mbuf *fragment_of(term *t)
{
    struct mbuf *m = mbuf_new(term_size(*t) + 1);
    struct dest d = {m->words, &m->off};

    *t = term_copy(&d, *t);
    m->used = (size_t)(d.htop - m->words);
    return m;
}

int driver_outputv(ErlDrvPort p, char *head, ErlDrvSizeT head_n, ErlIOVec *ev, ErlDrvSizeT skip)
{
    ErlNifEnv env;
    term t = TERM_NIL;
    struct mbuf *m;

    if (drv_off_scheduler(__func__) || !p || !p->port)
        return -1;
    if (ev->size <= skip)
        return driver_output2(p, head, head_n, NULL, 0);
    if (p->port->draining)
        return 0;
    p->port->bytes_in += head_n + ev->size - skip;
    vm.info->io_in_bytes += head_n + ev->size - skip;
    nif_env_init(&env, NULL, NULL);
    {
        size_t left = ev->size - skip;

        /* From the end; the first skip bytes are what is left then. */
        for (int i = ev->vsize; i-- > 0 && left > 0;) {
            size_t n = ev->iov[i].iov_len;
            char *data = ev->iov[i].iov_base;

            if (n > left) {
                data += n - left;
                n = left;
            }
            left -= n;
            if (!p->port->binary) {
                t = list_of(&env, (uint8_t *)data, n, t);
            } else if (n > 0) {
                term b = binary_of(&env, ev->binv[i], data, n);

                t = term_is_nil(t) ? b : enif_make_list_cell(&env, b, t);
            }
        }
    }
    t = list_of(&env, (uint8_t *)head, head_n, t);
    t = enif_make_tuple2(&env, am_data, t);
    m = fragment_of(&t);
    nif_env_end(&env);
    port_deliver_term(p->port, m, t);
    return 0;
}

int driver_output_binary(ErlDrvPort p, char *head, ErlDrvSizeT head_n, ErlDrvBinary *bin,
                         ErlDrvSizeT offset, ErlDrvSizeT n)
{
    SysIOVec iov = {bin->orig_bytes + offset, n};
    ErlIOVec ev = {.vsize = 1, .size = n, .iov = &iov, .binv = &bin};

    return driver_outputv(p, head, head_n, &ev, 0);
}

/*
 * Terms.
 */
#define OPERANDS_MAX 3
static int operands(ErlDrvTermData tag)
{
    switch (tag) {
    case ERL_DRV_NIL: return 0;
    case ERL_DRV_ATOM: case ERL_DRV_INT: case ERL_DRV_UINT: case ERL_DRV_INT64:
    case ERL_DRV_UINT64: case ERL_DRV_PORT: case ERL_DRV_PID: case ERL_DRV_FLOAT:
    case ERL_DRV_LIST: case ERL_DRV_TUPLE: case ERL_DRV_MAP:
        return 1;
    case ERL_DRV_BUF2BINARY: case ERL_DRV_STRING: case ERL_DRV_STRING_CONS:
    case ERL_DRV_EXT2TERM:
        return 2;
    case ERL_DRV_BINARY: return 3;
    }
    return -1;
}

static term map_of(ErlNifEnv *env, const term *pairs, size_t n)
{
    term map = enif_make_new_map(env);

    for (size_t i = 0; i < n; i++) {
        ERL_NIF_TERM before;

        if (enif_get_map_value(env, map, pairs[2 * i], &before))
            return THE_NON_VALUE;
        enif_make_map_put(env, map, pairs[2 * i], pairs[2 * i + 1], &map);
    }
    return map;
}

/* [A, B | Tail] of n terms, the last of which is the tail. */
static term list_of_terms(ErlNifEnv *env, const term *t, size_t n)
{
    term list = t[n - 1];

    for (size_t i = n - 1; i-- > 0;)
        list = enif_make_list_cell(env, t[i], list);
    return list;
}

static term tuple_of(ErlNifEnv *env, const term *t, size_t n)
{
    return n > UINT32_MAX ? THE_NON_VALUE : enif_make_tuple_from_array(env, t, (unsigned)n);
}

/* One with operands a; s has what was built before. THE_NON_VALUE: no good. */
static term build_one(ErlNifEnv *env, struct wstack *s, ErlDrvTermData tag,
                      const ErlDrvTermData *a)
{
    const char *bytes = (const char *)a[0];
    ErlDrvBinary *bin = (ErlDrvBinary *)a[0];
    ErlNifBinary b;
    ERL_NIF_TERM t;
    size_t n = a[0];

    switch (tag) {
    case ERL_DRV_NIL: return TERM_NIL;
    case ERL_DRV_ATOM: return term_is_atom(a[0]) ? a[0] : THE_NON_VALUE;
    case ERL_DRV_PORT: return term_is_local_port(a[0]) ? a[0] : THE_NON_VALUE;
    case ERL_DRV_PID: return term_is_local_pid(a[0]) ? a[0] : THE_NON_VALUE;
    case ERL_DRV_INT: return enif_make_int64(env, (ErlNifSInt64)a[0]);
    case ERL_DRV_UINT: return enif_make_uint64(env, a[0]);
    case ERL_DRV_INT64: return enif_make_int64(env, *(const ErlDrvSInt64 *)bytes);
    case ERL_DRV_UINT64: return enif_make_uint64(env, *(const ErlDrvUInt64 *)bytes);
    case ERL_DRV_FLOAT:
        return isfinite(*(const double *)bytes) ? enif_make_double(env, *(const double *)bytes)
                                                : THE_NON_VALUE;
    case ERL_DRV_BINARY:
        if (!bin || a[1] > (size_t)bin->orig_size || a[2] > (size_t)bin->orig_size - a[1])
            return THE_NON_VALUE;
        return binary_of(env, bin, bin->orig_bytes + a[2], a[1]);
    case ERL_DRV_BUF2BINARY:
        if (!bytes && a[1] > 0)
            return THE_NON_VALUE;
        return binary_of(env, NULL, bytes, a[1]);
    case ERL_DRV_STRING:
        return !bytes || (int)a[1] < 0
                   ? THE_NON_VALUE
                   : list_of(env, (const uint8_t *)bytes, a[1], TERM_NIL);
    case ERL_DRV_STRING_CONS:
        if (!bytes || (int)a[1] < 0 || s->n < 1)
            return THE_NON_VALUE;
        return list_of(env, (const uint8_t *)bytes, a[1], wstack_pop(s));
    case ERL_DRV_EXT2TERM:
        if (!bytes || (ErlDrvSInt)a[1] <= 0 ||
            !enif_binary_to_term(env, (const unsigned char *)bytes, a[1], &t, 0))
            return THE_NON_VALUE;
        return t;
    case ERL_DRV_LIST:
        if ((int)n <= 0 || n > s->n)
            return THE_NON_VALUE;
        s->n -= n;
        return list_of_terms(env, s->base + s->n, n);
    case ERL_DRV_TUPLE:
        if ((int)n < 0 || n > s->n)
            return THE_NON_VALUE;
        s->n -= n;
        return tuple_of(env, s->base + s->n, n);
    case ERL_DRV_MAP:
        if ((int)n < 0 || n > s->n / 2)
            return THE_NON_VALUE;
        s->n -= 2 * n;
        return map_of(env, s->base + s->n, n);
    }
    (void)b;
    return THE_NON_VALUE;
}

/* The fragment of *t; NULL if the words tell no term. */
static struct mbuf *build(const ErlDrvTermData *data, int len, term *t)
{
    const ErlDrvTermData *end = data + len;
    struct mbuf *m = NULL;
    struct wstack s;
    ErlNifEnv env;

    wstack_init(&s);
    nif_env_init(&env, NULL, NULL);
    while (data < end) {
        ErlDrvTermData tag = *data++, none[OPERANDS_MAX] = {0};
        int n = operands(tag);

        if (n < 0 || n > end - data)
            goto out;
        *t = build_one(&env, &s, tag, n ? data : none);
        if (*t == THE_NON_VALUE)
            goto out;
        wstack_push(&s, *t);
        data += n;
    }
    if (s.n == 1) {
        *t = s.base[0];
        m = fragment_of(t);
    }
out:
    nif_env_end(&env);
    wstack_fini(&s);
    return m;
}

/* Told of what came for a driver that takes vectors: its parts as binaries. */
void drv_trace_vector(struct port *port, term from, ErlIOVec *ev)
{
    term list = TERM_NIL;
    ErlNifEnv env;

    nif_env_init(&env, NULL, NULL);
    for (int i = ev->vsize; i-- > 0;)
        if (ev->iov[i].iov_len > 0)
            list = enif_make_list_cell(&env, binary_of(&env, ev->binv[i], ev->iov[i].iov_base,
                                                       ev->iov[i].iov_len), list);
    port_trace_got_term(port, from, am_command, list);
    nif_env_end(&env);
}

/* Of a thread, on its way to the scheduler. */
struct letter {
    term port;                  /* to its owner, if `to` is NONE */
    term to, message;
    struct mbuf *frag;
};

/* 1, or 0: there is no such process. What a thread sends is not traced, as in OTP. */
static int deliver(struct port *port, term to, struct mbuf *m, term message)
{
    struct proc *p = proc_find(to);

    if (port)
        port_trace_sent(port, to, message);
    if (!p) {
        mbuf_free(m);
        return 0;
    }
    msg_send_mbuf(p, m, message);
    return 1;
}

static void letter_arrives(void *arg)
{
    struct letter *l = arg;
    struct port *port = port_find(l->port);

    if (l->to == THE_NON_VALUE && port)
        l->to = port->owner;
    if (port && l->to != THE_NON_VALUE)
        deliver(NULL, l->to, l->frag, l->message);
    else
        mbuf_free(l->frag);
    vm_free(l);
}

/* to NONE: the port's owner. -1: no port, or no term; 0: nobody is there. */
static int send(term port, term to, const ErlDrvTermData *data, int len)
{
    struct letter *l;
    struct mbuf *m;
    term t, owner;
    int state = drv_port_state(port, &owner);

    if (state <= 0)
        return state;
    m = build(data, len, &t);
    if (!m)
        return -1;
    if (nif_on_scheduler())
        return deliver(port_find(port), to == THE_NON_VALUE ? owner : to, m, t);
    l = vm_alloc(ALLOC_SYSTEM, sizeof *l);
    *l = (struct letter){port, to, t, m};
    nif_call_later(letter_arrives, l);
    return 1;
}

int erl_drv_output_term(ErlDrvTermData port, ErlDrvTermData *data, int len)
{
    return send(port, THE_NON_VALUE, data, len);
}

int erl_drv_send_term(ErlDrvTermData port, ErlDrvTermData to, ErlDrvTermData *data, int len)
{
    return send(port, to, data, len);
}

int driver_output_term(ErlDrvPort p, ErlDrvTermData *data, int len)
{
    return p && p->port ? send(p->id, THE_NON_VALUE, data, len) : -1;
}

int driver_send_term(ErlDrvPort p, ErlDrvTermData to, ErlDrvTermData *data, int len)
{
    return p && p->port ? send(p->id, to, data, len) : -1;
}
