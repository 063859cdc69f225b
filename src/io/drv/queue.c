/*
 * queue.c - bytes of drivers: memory, binaries, vectors, the queue of a port.
 *
 * An ErlDrvBinary is the end of a struct refbin: its size, and the bytes. So what
 * a driver makes goes into terms, and what is in terms to drivers, uncopied.
 */
#include <stdlib.h>

#include "io/drv/drv.h"

#include "io/nif.h"
#include "vm/wstack.h"

/*
 * A vector of so many parts has binaries below so many bytes copied into its common
 * one, as OTP does.
 */
#define LONG_PARTS 16
#define SMALL_BYTES 256

/*
 * Memory, by the C library as that of NIFs: any thread may allocate.
 */
void *driver_alloc(ErlDrvSizeT size) { return enif_alloc(size); }
void *driver_realloc(void *p, ErlDrvSizeT size) { return enif_realloc(p, size); }
void driver_free(void *p) { enif_free(p); }

ErlDrvBinary *driver_alloc_binary(ErlDrvSizeT size)
{
    struct refbin *b = refbin_try_new(size);

    return b ? refbin_bin(b) : NULL;
}

ErlDrvBinary *driver_realloc_binary(ErlDrvBinary *bin, ErlDrvSizeT size)
{
    ErlDrvBinary *b = driver_alloc_binary(size);
    size_t n;

    if (!b || !bin)
        return b;
    n = (size_t)bin->orig_size < size ? (size_t)bin->orig_size : size;
    if (n)
        memcpy(b->orig_bytes, bin->orig_bytes, n);
    driver_free_binary(bin);
    return b;
}

void driver_free_binary(ErlDrvBinary *bin)
{
    if (bin)
        refbin_put(bin_refbin(bin));
}

ErlDrvSInt driver_binary_get_refc(ErlDrvBinary *bin)
{
    return __atomic_load_n(&bin_refbin(bin)->refc, __ATOMIC_RELAXED);
}

ErlDrvSInt driver_binary_inc_refc(ErlDrvBinary *bin)
{
    refbin_get(bin_refbin(bin));
    return driver_binary_get_refc(bin);
}

ErlDrvSInt driver_binary_dec_refc(ErlDrvBinary *bin)
{
    ErlDrvSInt n = driver_binary_get_refc(bin) - 1;

    refbin_put(bin_refbin(bin));
    return n;
}

/*
 * Vectors.
 */
ErlDrvSizeT driver_vec_to_buf(ErlIOVec *ev, char *buf, ErlDrvSizeT len)
{
    ErlDrvSizeT done = 0;

    for (int i = 0; i < ev->vsize && done < len; i++) {
        size_t n = ev->iov[i].iov_len;

        n = n < len - done ? n : len - done;
        if (n)
            memcpy(buf + done, ev->iov[i].iov_base, n);
        done += n;
    }
    return done;
}

/* Counts the parts of a vector; fills them in if there are any to fill. */
struct fill {
    SysIOVec *iov;              /* NULL: count only */
    ErlDrvBinary **binv, *small;
    size_t n, small_n;
    bool in_small;              /* the latest part is of small, and grows */
    size_t copy_below;          /* binaries of fewer bytes go there too */
};

static void fill_bytes(struct fill *f, struct bits b)
{
    size_t n = bits_bytes(b);

    if (n == 0)
        return;
    if (!f->in_small) {
        if (f->iov) {
            f->iov[f->n].iov_base = f->small->orig_bytes + f->small_n;
            f->iov[f->n].iov_len = 0;
            f->binv[f->n] = f->small;
        }
        f->n++;
        f->in_small = true;
    }
    if (f->iov) {
        bits_copy((uint8_t *)f->small->orig_bytes + f->small_n, 0, b.base, b.offset, b.size);
        f->iov[f->n - 1].iov_len += n;
    }
    f->small_n += n;
}

static void fill_binary(struct fill *f, term t)
{
    struct bits b = bits_of(t);

    if (bits_bytes(b) < f->copy_below || !bits_aligned(b) || !boxed_is(b.orig, BOX_REFCBIN) ||
        ((struct refcbin_words *)boxed_ptr(b.orig))->bin->free) {
        fill_bytes(f, b);
        return;
    }
    if (f->iov) {
        f->iov[f->n].iov_base = (uint8_t *)(uintptr_t)b.base + b.offset / 8;
        f->iov[f->n].iov_len = bits_bytes(b);
        f->binv[f->n] = refbin_bin(((struct refcbin_words *)boxed_ptr(b.orig))->bin);
    }
    f->n++;
    f->in_small = false;
}

static void fill_iolist(struct fill *f, term t)
{
    struct wstack todo;

    wstack_init(&todo);
    for (;;) {
        while (term_is_cons(t)) {
            term head = cons_head(t);

            t = cons_tail(t);
            if (term_is_small(head)) {
                uint8_t byte = (uint8_t)small_value(head);

                fill_bytes(f, (struct bits){&byte, 0, 8, TERM_NIL});
            } else if (term_is_list(head)) {
                if (!term_is_nil(t))
                    wstack_push(&todo, t);
                t = head;
            } else {
                fill_binary(f, head);
            }
        }
        if (!term_is_nil(t))
            fill_binary(f, t);
        if (todo.n == 0)
            break;
        t = wstack_pop(&todo);
    }
    wstack_fini(&todo);
}

bool vector_of_iolist(term t, struct drv_vector *v)
{
    struct fill f = {.n = 1};
    size_t bytes, parts;

    if (!(term_is_list(t) || term_is_binary(t)) || iolist_size(t, &bytes) < 0)
        return false;
    fill_iolist(&f, t);
    if (f.n > LONG_PARTS) {
        f = (struct fill){.n = 1, .copy_below = SMALL_BYTES};
        fill_iolist(&f, t);
    }
    parts = f.n;
    *v = (struct drv_vector){.ev = {.vsize = (int)parts, .size = bytes}};
    v->ev.iov = vm_alloc(ALLOC_SYSTEM, parts * sizeof *v->ev.iov);
    v->ev.binv = vm_alloc(ALLOC_SYSTEM, parts * sizeof *v->ev.binv);
    if (f.small_n)
        v->small = refbin_bin(refbin_new(f.small_n));
    /* The first part is empty, for a header of the driver's. */
    v->ev.iov[0] = (SysIOVec){NULL, 0};
    v->ev.binv[0] = NULL;
    f = (struct fill){.iov = v->ev.iov, .binv = v->ev.binv, .small = v->small, .n = 1,
                      .copy_below = f.copy_below};
    fill_iolist(&f, t);
    assert(f.n == parts);
    return true;
}

void vector_end(struct drv_vector *v)
{
    driver_free_binary(v->small);
    vm_free(v->ev.iov);
    vm_free(v->ev.binv);
}

/*
 * Queues. Room for n parts more, at the end or in front; they are not counted yet.
 */
static bool queue_room(struct drv_queue *q, size_t n, bool front)
{
    size_t used = q->end - q->first, size, at;
    SysIOVec *iov;
    ErlDrvBinary **binv;

    if (front ? q->first >= n : q->end + n <= q->size)
        return true;
    size = used + n > q->size / 2 ? (used + n) * 2 : q->size;
    iov = malloc(size * sizeof *iov);
    binv = malloc(size * sizeof *binv);
    if (!iov || !binv) {
        free(iov);
        free(binv);
        return false;
    }
    at = front ? size - used : 0;
    if (used) {
        memcpy(iov + at, q->iov + q->first, used * sizeof *iov);
        memcpy(binv + at, q->binv + q->first, used * sizeof *binv);
    }
    free(q->iov);
    free(q->binv);
    q->iov = iov;
    q->binv = binv;
    q->first = at;
    q->end = at + used;
    q->size = size;
    return true;
}

void queue_clear(struct drv_queue *q)
{
    for (size_t i = q->first; i < q->end; i++)
        driver_free_binary(q->binv[i]);
    free(q->iov);
    free(q->binv);
    *q = (struct drv_queue){0};
}

/* What of ev is behind the first skip bytes; 0, or -1 and nothing was done. */
static int queue_add(ErlDrvPort p, const ErlIOVec *ev, size_t skip, bool front)
{
    struct drv_queue *q;
    size_t at;
    int from = 0;

    if (!p || !p->port || skip > ev->size)
        return -1;
    q = &p->queue;
    while (from < ev->vsize && skip >= ev->iov[from].iov_len)
        skip -= ev->iov[from++].iov_len;
    if (from == ev->vsize)
        return 0;
    if (!queue_room(q, (size_t)(ev->vsize - from), front))
        return -1;
    at = front ? q->first : q->end;
    /* In front from the last to the first, so that all keep their order. */
    for (int k = 0; k < ev->vsize - from; k++) {
        int i = front ? ev->vsize - 1 - k : from + k;
        char *data = ev->iov[i].iov_base;
        size_t n = ev->iov[i].iov_len;
        ErlDrvBinary *bin = ev->binv[i];

        if (i == from) {
            data += skip;
            n -= skip;
        }
        if (n == 0)
            continue;
        if (bin) {
            driver_binary_inc_refc(bin);
        } else {
            bin = driver_alloc_binary(n);
            if (!bin)
                return -1;
            memcpy(bin->orig_bytes, data, n);
            data = bin->orig_bytes;
        }
        if (front)
            at = --q->first;
        q->iov[at] = (SysIOVec){data, n};
        q->binv[at] = bin;
        if (!front)
            at = ++q->end;
        q->bytes += n;
    }
    return 0;
}

int driver_enqv(ErlDrvPort p, ErlIOVec *ev, ErlDrvSizeT skip)
{
    return queue_add(p, ev, skip, false);
}
int driver_pushqv(ErlDrvPort p, ErlIOVec *ev, ErlDrvSizeT skip)
{
    return queue_add(p, ev, skip, true);
}

static int add_one(ErlDrvPort p, ErlDrvBinary *bin, char *data, size_t n, bool front)
{
    SysIOVec iov = {data, n};
    ErlIOVec ev = {.vsize = 1, .size = n, .iov = &iov, .binv = &bin};

    return n == 0 ? 0 : queue_add(p, &ev, 0, front);
}

int driver_enq_bin(ErlDrvPort p, ErlDrvBinary *bin, ErlDrvSizeT offset, ErlDrvSizeT n)
{
    return add_one(p, bin, bin->orig_bytes + offset, n, false);
}
int driver_pushq_bin(ErlDrvPort p, ErlDrvBinary *bin, ErlDrvSizeT offset, ErlDrvSizeT n)
{
    return add_one(p, bin, bin->orig_bytes + offset, n, true);
}
int driver_enq(ErlDrvPort p, char *data, ErlDrvSizeT n)
{
    return add_one(p, NULL, data, n, false);
}
int driver_pushq(ErlDrvPort p, char *data, ErlDrvSizeT n)
{
    return add_one(p, NULL, data, n, true);
}

ErlDrvSizeT driver_deq(ErlDrvPort p, ErlDrvSizeT n)
{
    struct drv_queue *q;

    if (!p || !p->port || n > p->queue.bytes)
        return (ErlDrvSizeT)-1;
    q = &p->queue;
    q->bytes -= n;
    while (q->first < q->end && n >= q->iov[q->first].iov_len) {
        n -= q->iov[q->first].iov_len;
        driver_free_binary(q->binv[q->first++]);
    }
    if (n > 0) {
        q->iov[q->first].iov_base = (char *)q->iov[q->first].iov_base + n;
        q->iov[q->first].iov_len -= n;
    }
    return q->bytes;
}

ErlDrvSizeT driver_sizeq(ErlDrvPort p)
{
    return p && p->port ? p->queue.bytes : (ErlDrvSizeT)-1;
}

SysIOVec *driver_peekq(ErlDrvPort p, int *n)
{
    struct drv_queue *q;

    if (!p || !p->port) {
        *n = -1;
        return NULL;
    }
    q = &p->queue;
    *n = (int)(q->end - q->first);
    return *n ? q->iov + q->first : NULL;
}

ErlDrvSizeT driver_peekqv(ErlDrvPort p, ErlIOVec *ev)
{
    struct drv_queue *q;

    if (!p || !p->port)
        return (ErlDrvSizeT)-1;
    q = &p->queue;
    *ev = (ErlIOVec){
        .vsize = (int)(q->end - q->first),
        .size = q->bytes,
        .iov = q->iov + q->first,
        .binv = q->binv + q->first,
    };
    return q->bytes;
}
