/*
 * nif_lib.c - what enif_* offers besides terms: memory, locks, threads, text,
 * libraries, queues of bytes.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/nif.h"

#include "os/os.h"
#include "vm/print.h"

/*
 * Memory. From the C library: any thread may allocate.
 */
void *enif_alloc(size_t size) { return malloc(size ? size : 1); }
void *enif_realloc(void *p, size_t size) { return realloc(p, size ? size : 1); }
void enif_free(void *p) { free(p); }

/*
 * Locks. A failure to make one is out of memory.
 */
static char *name_copy(const char *name)
{
    return strdup(name ? name : "");
}

struct ErlDrvMutex_ {
    pthread_mutex_t lock;
    char *name;
};
ErlNifMutex *enif_mutex_create(char *name)
{
    ErlNifMutex *m = malloc(sizeof *m);

    if (m) {
        pthread_mutex_init(&m->lock, NULL);
        m->name = name_copy(name);
    }
    return m;
}
void enif_mutex_destroy(ErlNifMutex *m)
{
    if (!m)
        return;
    pthread_mutex_destroy(&m->lock);
    free(m->name);
    free(m);
}
int enif_mutex_trylock(ErlNifMutex *m) { return pthread_mutex_trylock(&m->lock); }
void enif_mutex_lock(ErlNifMutex *m) { pthread_mutex_lock(&m->lock); }
void enif_mutex_unlock(ErlNifMutex *m) { pthread_mutex_unlock(&m->lock); }
char *enif_mutex_name(ErlNifMutex *m) { return m ? m->name : NULL; }

struct ErlDrvCond_ {
    pthread_cond_t cond;
    char *name;
};
ErlNifCond *enif_cond_create(char *name)
{
    ErlNifCond *c = malloc(sizeof *c);

    if (c) {
        pthread_cond_init(&c->cond, NULL);
        c->name = name_copy(name);
    }
    return c;
}
void enif_cond_destroy(ErlNifCond *c)
{
    if (!c)
        return;
    pthread_cond_destroy(&c->cond);
    free(c->name);
    free(c);
}
void enif_cond_signal(ErlNifCond *c) { pthread_cond_signal(&c->cond); }
void enif_cond_broadcast(ErlNifCond *c) { pthread_cond_broadcast(&c->cond); }
void enif_cond_wait(ErlNifCond *c, ErlNifMutex *m) { pthread_cond_wait(&c->cond, &m->lock); }
char *enif_cond_name(ErlNifCond *c) { return c ? c->name : NULL; }

struct ErlDrvRWLock_ {
    pthread_rwlock_t lock;
    char *name;
};
ErlNifRWLock *enif_rwlock_create(char *name)
{
    ErlNifRWLock *l = malloc(sizeof *l);

    if (l) {
        pthread_rwlock_init(&l->lock, NULL);
        l->name = name_copy(name);
    }
    return l;
}
void enif_rwlock_destroy(ErlNifRWLock *l)
{
    if (!l)
        return;
    pthread_rwlock_destroy(&l->lock);
    free(l->name);
    free(l);
}
int enif_rwlock_tryrlock(ErlNifRWLock *l) { return pthread_rwlock_tryrdlock(&l->lock); }
void enif_rwlock_rlock(ErlNifRWLock *l) { pthread_rwlock_rdlock(&l->lock); }
void enif_rwlock_runlock(ErlNifRWLock *l) { pthread_rwlock_unlock(&l->lock); }
int enif_rwlock_tryrwlock(ErlNifRWLock *l) { return pthread_rwlock_trywrlock(&l->lock); }
void enif_rwlock_rwlock(ErlNifRWLock *l) { pthread_rwlock_wrlock(&l->lock); }
void enif_rwlock_rwunlock(ErlNifRWLock *l) { pthread_rwlock_unlock(&l->lock); }
char *enif_rwlock_name(ErlNifRWLock *l) { return l ? l->name : NULL; }

/*
 * Threads.
 */
struct ErlDrvTid_ {
    pthread_t thread;
    char *name;
    void *(*f)(void *);
    void *arg;
};
static __thread struct ErlDrvTid_ *this_thread;
static __thread struct ErlDrvTid_ foreign;     /* one we did not start */

/*
 * Values of a thread, by key. The C library has 1024 keys for all; here there are
 * as many as are asked for, and each thread has an array of values.
 */
static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    pthread_key_t values;           /* frees them when a thread ends */
    bool *used;
    int n;
} keys = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};
struct values {
    int n;
    void *v[];
};

static void keys_init(void)
{
    pthread_key_create(&keys.values, free);
}

int enif_tsd_key_create(char *name, ErlNifTSDKey *key)
{
    int err = 0, i = 0;

    pthread_once(&keys.once, keys_init);
    pthread_mutex_lock(&keys.lock);
    while (i < keys.n && keys.used[i])
        i++;
    if (i == keys.n) {
        int n = keys.n ? keys.n * 2 : 16;
        bool *used = n > keys.n ? realloc(keys.used, (size_t)n * sizeof *used) : NULL;

        if (used) {
            memset(used + keys.n, 0, (size_t)(n - keys.n) * sizeof *used);
            keys.used = used;
            keys.n = n;
        } else {
            err = ENOMEM;
        }
    }
    if (!err)
        keys.used[i] = true;
    *key = err ? -1 : i;
    pthread_mutex_unlock(&keys.lock);
    return err;
}

void enif_tsd_key_destroy(ErlNifTSDKey key)
{
    pthread_mutex_lock(&keys.lock);
    if (key >= 0 && key < keys.n)
        keys.used[key] = false;
    pthread_mutex_unlock(&keys.lock);
}

void enif_tsd_set(ErlNifTSDKey key, void *value)
{
    struct values *v = pthread_getspecific(keys.values);
    int n = v ? v->n : 0;

    if (key >= n) {
        v = realloc(v, sizeof *v + ((size_t)key + 16) * sizeof *v->v);
        if (!v)
            vm_no_memory((size_t)key * sizeof *v->v, "a thread's values", __func__);
        memset(v->v + n, 0, (size_t)(key + 16 - n) * sizeof *v->v);
        v->n = key + 16;
        pthread_setspecific(keys.values, v);
    }
    v->v[key] = value;
}

void *enif_tsd_get(ErlNifTSDKey key)
{
    const struct values *v = pthread_getspecific(keys.values);

    return v && key < v->n ? v->v[key] : NULL;
}

ErlNifThreadOpts *enif_thread_opts_create(char *name)
{
    ErlNifThreadOpts *o = calloc(1, sizeof *o);

    if (o)
        o->suggested_stack_size = -1;
    return o;
}
void enif_thread_opts_destroy(ErlNifThreadOpts *o) { free(o); }

static void *thread_main(void *arg)
{
    this_thread = arg;
    return this_thread->f(this_thread->arg);
}

int enif_thread_create(char *name, ErlNifTid *tid, void *(*f)(void *), void *arg,
                       ErlNifThreadOpts *opts)
{
    struct ErlDrvTid_ *t = calloc(1, sizeof *t);
    pthread_attr_t attr;
    int err;

    if (!t)
        return ENOMEM;
    t->name = name_copy(name);
    t->f = f;
    t->arg = arg;
    pthread_attr_init(&attr);
    if (opts && opts->suggested_stack_size > 0)
        pthread_attr_setstacksize(&attr, (size_t)opts->suggested_stack_size * 1024 *
                                             sizeof(void *));
    err = pthread_create(&t->thread, &attr, thread_main, t);
    pthread_attr_destroy(&attr);
    if (err) {
        free(t->name);
        free(t);
        return err;
    }
    *tid = t;
    return 0;
}

ErlNifTid enif_thread_self(void)
{
    if (!this_thread) {
        foreign.thread = pthread_self();
        this_thread = &foreign;
    }
    return this_thread;
}

int enif_equal_tids(ErlNifTid a, ErlNifTid b) { return a == b; }
void enif_thread_exit(void *result) { pthread_exit(result); }
char *enif_thread_name(ErlNifTid t) { return t ? t->name : NULL; }

int enif_thread_join(ErlNifTid t, void **result)
{
    int err = pthread_join(t->thread, result);

    if (!err) {
        free(t->name);
        free(t);
    }
    return err;
}

int enif_thread_type(void)
{
    if (!nif_on_scheduler())
        return ERL_NIF_THR_UNDEFINED;
    return vm.nifs->dirty == ERL_NIF_DIRTY_JOB_CPU_BOUND  ? ERL_NIF_THR_DIRTY_CPU_SCHEDULER
           : vm.nifs->dirty == ERL_NIF_DIRTY_JOB_IO_BOUND ? ERL_NIF_THR_DIRTY_IO_SCHEDULER
                                                          : ERL_NIF_THR_NORMAL_SCHEDULER;
}

void enif_system_info(ErlNifSysInfo *info, size_t size)
{
    ErlNifSysInfo i = {
        .driver_major_version = 3,
        .driver_minor_version = 3,
        .erts_version = "13.1.5",
        .otp_release = "25",
        .thread_support = 1,
        .smp_support = 1,
        .async_threads = 1,
        .scheduler_threads = 1,
        .nif_major_version = ERL_NIF_MAJOR_VERSION,
        .nif_minor_version = ERL_NIF_MINOR_VERSION,
        .dirty_scheduler_support = 1,
    };

    memcpy(info, &i, size < sizeof i ? size : sizeof i);
}

int enif_getenv(const char *key, char *value, size_t *size)
{
    const char *s = os_getenv(key);
    size_t n;

    if (!s)
        return -1;
    n = strlen(s);
    if (n >= *size) {
        *size = n + 1;
        return 1;
    }
    memcpy(value, s, n + 1);
    *size = n;
    return 0;
}

/*
 * Libraries of libraries (crypto has one of callbacks).
 */
void *enif_dlopen(const char *lib, void (*on_error)(void *, const char *), void *arg)
{
    char *file = NULL;
    void *h;

    if (lib) {
        file = malloc(strlen(lib) + 4);
        if (!file)
            return NULL;
        strcpy(file, lib);
        strcat(file, ".so");
    }
    h = dlopen(file, RTLD_NOW);
    free(file);
    if (!h && on_error)
        on_error(arg, dlerror());
    return h;
}

void *enif_dlsym(void *handle, const char *symbol, void (*on_error)(void *, const char *),
                 void *arg)
{
    void *p = dlsym(handle, symbol);

    if (!p && on_error)
        on_error(arg, dlerror());
    return p;
}

/*
 * printf with %T for terms. Every other conversion is handed to the C library
 * one at a time, with its own argument.
 */
static void convert(struct text *out, const char *spec, char conversion, int longs,
                    va_list *ap)
{
    char buf[512];

    switch (conversion) {
    case 'd': case 'i': case 'c':
        if (longs >= 1 && conversion != 'c')
            snprintf(buf, sizeof buf, spec, va_arg(*ap, long));
        else
            snprintf(buf, sizeof buf, spec, va_arg(*ap, int));
        break;
    case 'u': case 'o': case 'x': case 'X':
        if (longs >= 1)
            snprintf(buf, sizeof buf, spec, va_arg(*ap, unsigned long));
        else
            snprintf(buf, sizeof buf, spec, va_arg(*ap, unsigned));
        break;
    case 'e': case 'E': case 'f': case 'F': case 'g': case 'G':
        snprintf(buf, sizeof buf, spec, va_arg(*ap, double));
        break;
    case 'p':
        snprintf(buf, sizeof buf, spec, va_arg(*ap, void *));
        break;
    default:
        text_add(out, spec, strlen(spec));
        return;
    }
    text_add(out, buf, strlen(buf));
}

static void format(struct text *out, const char *fmt, va_list ap_in)
{
    va_list ap;

    va_copy(ap, ap_in);
    for (; *fmt; fmt++) {
        char spec[64];
        size_t n = 0;
        int longs = 0, precision = -1;
        bool in_precision = false;

        if (*fmt != '%') {
            text_add(out, fmt, 1);
            continue;
        }
        spec[n++] = *fmt++;
        for (; *fmt && strchr("-+ #0123456789.*lhzjt", *fmt); fmt++) {
            int v;

            if (n > sizeof spec - 16)
                break;
            if (*fmt == '*') {
                v = va_arg(ap, int);
                n += (size_t)snprintf(spec + n, 12, "%d", v);
                if (in_precision)
                    precision = v;
                continue;
            }
            if (*fmt == '.') {
                in_precision = true;
                precision = 0;
            } else if (in_precision && *fmt >= '0' && *fmt <= '9') {
                precision = precision * 10 + *fmt - '0';
            }
            longs += *fmt == 'l' || *fmt == 'z' || *fmt == 'j' || *fmt == 't';
            spec[n++] = *fmt;
        }
        spec[n++] = *fmt;
        spec[n] = '\0';
        if (*fmt == '\0')
            break;
        if (*fmt == '%') {
            text_add(out, "%", 1);
        } else if (*fmt == 'T') {
            text_term(out, va_arg(ap, term), 0);
        } else if (*fmt == 's') {
            const char *s = va_arg(ap, const char *);

            s = s ? s : "(null)";
            text_add(out, s, precision >= 0 ? strnlen(s, (size_t)precision) : strlen(s));
        } else {
            convert(out, spec, *fmt, longs, &ap);
        }
    }
    va_end(ap);
}

int enif_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct text t;
    size_t n;

    text_init(&t);
    format(&t, fmt, ap);
    n = t.n;
    if (size > 0) {
        size_t m = n < size ? n : size - 1;

        if (m)
            memcpy(buf, t.s, m);
        buf[m] = '\0';
    }
    text_fini(&t);
    return (int)n;
}

int enif_snprintf(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = enif_vsnprintf(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

int enif_vfprintf(FILE *f, const char *fmt, va_list ap)
{
    struct text t;
    int n;

    text_init(&t);
    format(&t, fmt, ap);
    n = (int)fwrite(t.s, 1, t.n, f);
    text_fini(&t);
    return n;
}

int enif_fprintf(FILE *f, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = enif_vfprintf(f, fmt, ap);
    va_end(ap);
    return n;
}

/*
 * Vectors of binaries, and queues of them. A vector that goes on a heap-made
 * binary copies it into a refbin, so that it outlives the call.
 */
enum { IOVEC_OWNED = 1, IOVEC_HEAP = 2 };   /* flags: refs held; malloc'ed */

static bool iovec_add(ErlNifIOVec *v, int i, term t)
{
    struct bits b = bits_of(t);
    struct refbin *bin = NULL;
    uint8_t *data;

    if (bits_aligned(b) && boxed_is(b.orig, BOX_REFCBIN)) {
        bin = ((struct refcbin_words *)boxed_ptr(b.orig))->bin;
        refbin_get(bin);
        data = (uint8_t *)(uintptr_t)b.base + b.offset / 8;
    } else {
        bin = refbin_try_new(bits_bytes(b));
        if (!bin)
            return false;
        bits_copy(bin->data, 0, b.base, b.offset, b.size);
        data = bin->data;
    }
    v->iov[i].iov_base = data;
    v->iov[i].iov_len = bits_bytes(b);
    v->ref_bins[i] = bin;
    v->size += bits_bytes(b);
    return true;
}

int enif_inspect_iovec(ErlNifEnv *env, size_t max, ERL_NIF_TERM list, ERL_NIF_TERM *tail,
                       ErlNifIOVec **out)
{
    ErlNifIOVec *v = *out;
    size_t n = 0;
    term t;

    for (t = list; term_is_cons(t) && n < max; t = cons_tail(t), n++)
        if (!term_is_binary(cons_head(t)))
            return 0;
    if (!term_is_list(t) || n > INT32_MAX)
        return 0;
    *tail = t;
    if (!v) {
        v = env ? nif_temp(env, sizeof *v) : malloc(sizeof *v);
        if (!v)
            return 0;
        v->flags = env ? 0 : IOVEC_HEAP | IOVEC_OWNED;
    } else {
        v->flags = env ? 0 : IOVEC_OWNED;
    }
    v->size = 0;
    v->iovcnt = 0;
    v->iov = v->small_iov;
    v->ref_bins = v->small_ref_bin;
    if (n > ERL_NIF_IOVEC_SIZE) {
        size_t bytes = n * (sizeof *v->iov + sizeof *v->ref_bins);

        v->iov = env ? nif_temp(env, bytes) : malloc(bytes);
        if (!v->iov)
            return 0;
        v->ref_bins = (void **)(v->iov + n);
    }
    for (t = list; v->iovcnt < (int)n; t = cons_tail(t)) {
        if (env) {
            /* Points into the terms; queues make their own references. */
            struct bits bits = bits_of(cons_head(t));
            ErlNifBinary b;

            if (!enif_inspect_binary(env, cons_head(t), &b))
                return 0;
            v->iov[v->iovcnt].iov_base = b.data;
            v->iov[v->iovcnt].iov_len = b.size;
            v->ref_bins[v->iovcnt] = NULL;
            v->size += b.size;
            if (bits_aligned(bits) && boxed_is(bits.orig, BOX_REFCBIN))
                v->ref_bins[v->iovcnt] =
                    ((struct refcbin_words *)boxed_ptr(bits.orig))->bin;
        } else if (!iovec_add(v, v->iovcnt, cons_head(t))) {
            enif_free_iovec(v);
            return 0;
        }
        v->iovcnt++;
    }
    *out = v;
    return 1;
}

void enif_free_iovec(ErlNifIOVec *v)
{
    if (!(v->flags & IOVEC_OWNED))
        return;
    for (int i = 0; i < v->iovcnt; i++)
        if (v->ref_bins[i])
            refbin_put(v->ref_bins[i]);
    if (v->iov != v->small_iov)
        free(v->iov);
    if (v->flags & IOVEC_HEAP)
        free(v);
}

/* iov[first..end) wait; bins[i] holds the bytes of iov[i]. */
struct erts_io_queue {
    SysIOVec *iov;
    struct refbin **bins;
    int first, end, size;
    size_t bytes;
};

ErlNifIOQueue *enif_ioq_create(ErlNifIOQueueOpts opts)
{
    return opts == ERL_NIF_IOQ_NORMAL ? calloc(1, sizeof(ErlNifIOQueue)) : NULL;
}

void enif_ioq_destroy(ErlNifIOQueue *q)
{
    for (int i = q->first; i < q->end; i++)
        refbin_put(q->bins[i]);
    free(q->iov);
    free(q->bins);
    free(q);
}

static bool ioq_room(ErlNifIOQueue *q, int n)
{
    int used = q->end - q->first;

    if (q->end + n <= q->size)
        return true;
    if (q->first > 0) {
        memmove(q->iov, q->iov + q->first, (size_t)used * sizeof *q->iov);
        memmove(q->bins, q->bins + q->first, (size_t)used * sizeof *q->bins);
        q->first = 0;
        q->end = used;
    }
    if (used + n > q->size) {
        int size = (used + n) * 2;
        SysIOVec *iov = realloc(q->iov, (size_t)size * sizeof *iov);
        struct refbin **bins;

        if (!iov)
            return false;
        q->iov = iov;
        bins = realloc(q->bins, (size_t)size * sizeof *bins);
        if (!bins)
            return false;
        q->bins = bins;
        q->size = size;
    }
    return true;
}

/* Takes one reference of bin. */
static void ioq_add(ErlNifIOQueue *q, struct refbin *bin, void *data, size_t n)
{
    q->iov[q->end].iov_base = data;
    q->iov[q->end].iov_len = n;
    q->bins[q->end++] = bin;
    q->bytes += n;
}

int enif_ioq_enq_binary(ErlNifIOQueue *q, ErlNifBinary *b, size_t skip)
{
    ErlNifBinary own = {0};

    if (skip > b->size || !ioq_room(q, 1))
        return 0;
    if (!b->ref_bin) {
        if (!enif_alloc_binary(b->size, &own))
            return 0;
        memcpy(own.data, b->data, b->size);
        *b = own;
    }
    ioq_add(q, b->ref_bin, b->data + skip, b->size - skip);
    b->ref_bin = NULL;
    return 1;
}

int enif_ioq_enqv(ErlNifIOQueue *q, ErlNifIOVec *v, size_t skip)
{
    if (skip > v->size || !ioq_room(q, v->iovcnt))
        return 0;
    for (int i = 0; i < v->iovcnt; i++) {
        size_t n = v->iov[i].iov_len;
        uint8_t *data = v->iov[i].iov_base;
        struct refbin *bin = v->ref_bins[i];

        if (skip >= n) {
            skip -= n;
            continue;
        }
        data += skip;
        n -= skip;
        skip = 0;
        if (bin) {
            refbin_get(bin);
        } else {
            bin = refbin_try_new(n);
            if (!bin)
                return 0;
            memcpy(bin->data, data, n);
            data = bin->data;
        }
        ioq_add(q, bin, data, n);
    }
    return 1;
}

size_t enif_ioq_size(ErlNifIOQueue *q)
{
    return q->bytes;
}

int enif_ioq_deq(ErlNifIOQueue *q, size_t count, size_t *size)
{
    if (count > q->bytes)
        return 0;
    q->bytes -= count;
    while (q->first < q->end && count >= q->iov[q->first].iov_len) {
        count -= q->iov[q->first].iov_len;
        refbin_put(q->bins[q->first++]);
    }
    if (count > 0) {
        q->iov[q->first].iov_base = (uint8_t *)q->iov[q->first].iov_base + count;
        q->iov[q->first].iov_len -= count;
    }
    if (size)
        *size = q->bytes;
    return 1;
}

SysIOVec *enif_ioq_peek(ErlNifIOQueue *q, int *n)
{
    *n = q->end - q->first;
    return *n ? q->iov + q->first : NULL;
}

int enif_ioq_peek_head(ErlNifEnv *env, ErlNifIOQueue *q, size_t *size, ERL_NIF_TERM *out)
{
    struct dest d;
    SysIOVec *v;

    if (q->first == q->end)
        return 0;
    v = &q->iov[q->first];
    refbin_get(q->bins[q->first]);
    d = (struct dest){nif_alloc(env, REFCBIN_WORDS), nif_offheap(env)};
    *out = binary_put_refbin(&d, q->bins[q->first], v->iov_base, v->iov_len);
    if (size)
        *size = v->iov_len;
    return 1;
}
