/*
 * driver_api.c - the driver of test/erl/driver_*.erl, made with OTP's header as
 * a user's is. What a port is told, by port_command or port_control, is a letter
 * and its operands; what happens to it goes to its owner as {Port, {data, _}} or
 * as terms.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "erl_driver.h"

#ifndef DRIVER_NAME
#define DRIVER_NAME "driver_api"
#endif

struct state {
    ErlDrvPort port;
    ErlDrvTermData id;
    ErlDrvMonitor monitor;
    ErlDrvPDL pdl;
    ErlDrvTid thread;
    int fds[2];
    int watching;
    int flushes;                /* drain the queue when asked to */
    int last_words;
    ErlDrvData ack;             /* what opening the port comes to, a while later */
};

#ifdef DRIVER_ACK
#define ACK_FLAG ERL_DRV_FLAG_USE_INIT_ACK
#else
#define ACK_FLAG 0
#endif

static int loads;               /* calls of init */
static int sum;                 /* of what jobs did, in their order */

static int drv_init(void)
{
    loads++;
    return 0;
}

static ErlDrvData drv_start(ErlDrvPort port, char *command)
{
    struct state *s;
    char *arg = strchr(command, ' ');

    if (arg && strcmp(arg, " badarg") == 0)
        return ERL_DRV_ERROR_BADARG;
    if (arg && strcmp(arg, " general") == 0)
        return ERL_DRV_ERROR_GENERAL;
    if (arg && strcmp(arg, " enoent") == 0) {
        errno = ENOENT;
        return ERL_DRV_ERROR_ERRNO;
    }
    s = driver_alloc(sizeof *s);
    memset(s, 0, sizeof *s);
    s->port = port;
    s->id = driver_mk_port(port);
    if (arg && strcmp(arg, " binary") == 0)
        set_port_control_flags(port, PORT_CONTROL_FLAG_BINARY);
    if (ACK_FLAG) {
        s->ack = arg && strcmp(arg, " late") == 0 ? ERL_DRV_ERROR_GENERAL : (ErlDrvData)s;
        driver_set_timer(port, 5);
    }
    return (ErlDrvData)s;
}

/* {Tag, Port, N} to the owner. */
static void say(struct state *s, char *tag, ErlDrvSInt n)
{
    ErlDrvTermData t[] = {ERL_DRV_ATOM, driver_mk_atom(tag), ERL_DRV_PORT, s->id, ERL_DRV_INT,
                          (ErlDrvTermData)n, ERL_DRV_TUPLE, 3};

    erl_drv_output_term(s->id, t, sizeof t / sizeof *t);
}

static void drv_stop(ErlDrvData d)
{
    struct state *s = (struct state *)d;

    if (!s)                     /* driver_create_port() gave it none */
        return;
    if (s->last_words)
        driver_output(s->port, "last words", 10);
    if (s->watching) {
        driver_select(s->port, (ErlDrvEvent)(intptr_t)s->fds[0], ERL_DRV_READ | ERL_DRV_USE, 0);
        close(s->fds[1]);
    }
    driver_free(s);
}

static void drv_stop_select(ErlDrvEvent event, void *reserved)
{
    close((int)(intptr_t)event);
}

static void drv_flush(ErlDrvData d)
{
    struct state *s = (struct state *)d;

    s->flushes++;
    driver_set_timer(s->port, 10);
}

static void drv_timeout(ErlDrvData d)
{
    struct state *s = (struct state *)d;

    if (s->ack) {
        ErlDrvData ack = s->ack;

        s->ack = NULL;
        erl_drv_set_os_pid(s->port, 4711);
        erl_drv_init_ack(s->port, ack);     /* may be the end of s */
        return;
    }
    if (s->flushes > 0) {
        driver_deq(s->port, driver_sizeq(s->port));
        return;
    }
    driver_output2(s->port, "T", 1, NULL, 0);
}

static void drv_ready_input(ErlDrvData d, ErlDrvEvent event)
{
    struct state *s = (struct state *)d;
    char buf[64];
    ssize_t n = read((int)(intptr_t)event, buf, sizeof buf);

    if (n > 0)
        driver_output2(s->port, "R", 1, buf, (ErlDrvSizeT)n);
}

static void drv_process_exit(ErlDrvData d, ErlDrvMonitor *monitor)
{
    struct state *s = (struct state *)d;
    ErlDrvTermData pid = driver_get_monitored_process(s->port, monitor);
    ErlDrvTermData t[] = {ERL_DRV_ATOM, driver_mk_atom("down"), ERL_DRV_PID, pid, ERL_DRV_INT,
                          (ErlDrvTermData)driver_compare_monitors(monitor, &s->monitor),
                          ERL_DRV_TUPLE, 3};

    erl_drv_output_term(s->id, t, sizeof t / sizeof *t);
}

/* One term of each kind. */
static void send_terms(struct state *s, ErlDrvTermData to)
{
    static double f = 2.5;
    static ErlDrvSInt64 i64 = INT64_MIN;
    static ErlDrvUInt64 u64 = UINT64_MAX;
    static char ext[] = {(char)131, 104, 1, 97, 7};     /* {7} */
    ErlDrvBinary *b = driver_alloc_binary(200), *small = driver_alloc_binary(4);
    ErlDrvTermData t[] = {
        ERL_DRV_NIL,
        ERL_DRV_ATOM, driver_mk_atom("atom"),
        ERL_DRV_INT, (ErlDrvTermData)-5,
        ERL_DRV_UINT, ~(ErlDrvTermData)0,
        ERL_DRV_INT64, (ErlDrvTermData)&i64,
        ERL_DRV_UINT64, (ErlDrvTermData)&u64,
        ERL_DRV_PORT, s->id,
        ERL_DRV_PID, driver_connected(s->port),
        ERL_DRV_FLOAT, (ErlDrvTermData)&f,
        ERL_DRV_BINARY, (ErlDrvTermData)b, 100, 50,
        ERL_DRV_BINARY, (ErlDrvTermData)small, 2, 1,
        ERL_DRV_BUF2BINARY, (ErlDrvTermData)"buffer", 6,
        ERL_DRV_STRING, (ErlDrvTermData)"string", 6,
        ERL_DRV_INT, 1, ERL_DRV_STRING_CONS, (ErlDrvTermData)"ab", 2,
        ERL_DRV_EXT2TERM, (ErlDrvTermData)ext, sizeof ext,
        ERL_DRV_TUPLE, 0,
        ERL_DRV_INT, 1, ERL_DRV_INT, 2, ERL_DRV_NIL, ERL_DRV_LIST, 3,
        ERL_DRV_ATOM, driver_mk_atom("k"), ERL_DRV_INT, 1,
        ERL_DRV_ATOM, driver_mk_atom("l"), ERL_DRV_INT, 2, ERL_DRV_MAP, 2,
        ERL_DRV_TUPLE, 18,
    };

    memset(b->orig_bytes, 'b', 200);
    memcpy(small->orig_bytes, "wxyz", 4);
    if (to == driver_term_nil)
        erl_drv_output_term(s->id, t, sizeof t / sizeof *t);
    else
        erl_drv_send_term(s->id, to, t, sizeof t / sizeof *t);
    driver_free_binary(b);
    driver_free_binary(small);
}

/* How often sending what is no term is refused. */
static int bad_terms(struct state *s)
{
    ErlDrvTermData none[] = {ERL_DRV_TUPLE, 2};
    ErlDrvTermData two[] = {ERL_DRV_NIL, ERL_DRV_NIL};
    ErlDrvTermData tag[] = {999};
    ErlDrvTermData cut[] = {ERL_DRV_INT};
    ErlDrvTermData atom[] = {ERL_DRV_ATOM, ERL_DRV_NIL << 4};
    ErlDrvTermData twice[] = {ERL_DRV_INT, 1, ERL_DRV_NIL, ERL_DRV_INT, 1, ERL_DRV_NIL,
                              ERL_DRV_MAP, 2};

    return (erl_drv_output_term(s->id, none, 2) == -1) +
           (erl_drv_output_term(s->id, two, 2) == -1) +
           (erl_drv_output_term(s->id, tag, 1) == -1) +
           (erl_drv_output_term(s->id, cut, 1) == -1) +
           (erl_drv_output_term(s->id, atom, 2) == -1) +
           (erl_drv_output_term(s->id, twice, 8) == -1);
}

/* All that a queue can do; 0, or the number of what went wrong. */
static int queue_test(ErlDrvPort p)
{
    ErlDrvBinary *b = driver_alloc_binary(8), *binv[2] = {NULL, NULL};
    SysIOVec iov[2] = {{"12", 2}, {"345", 3}}, shared = {b->orig_bytes + 5, 3}, *v;
    ErlIOVec ev = {2, 5, iov, binv}, push = {1, 3, &shared, &b}, peeked;
    char buf[32];
    int n;

    memcpy(b->orig_bytes, "ABCDEFGH", 8);
    if (driver_enq(p, "mid", 3) || driver_pushq(p, "head", 4))
        return 1;
    if (driver_enq_bin(p, b, 2, 3) || driver_pushq_bin(p, b, 0, 2))
        return 2;
    if (driver_enqv(p, &ev, 1) || driver_pushqv(p, &push, 1))
        return 3;
    if (driver_binary_get_refc(b) != 4)
        return 4;
    if (driver_sizeq(p) != 18)
        return 5;
    v = driver_peekq(p, &n);
    if (!v || n != 7 || v[0].iov_len != 2)
        return 6;
    if (driver_peekqv(p, &peeked) != 18 || driver_vec_to_buf(&peeked, buf, sizeof buf) != 18 ||
        memcmp(buf, "GHABheadmidCDE2345", 18) != 0)
        return 7;
    if (driver_deq(p, 5) != 13 || driver_peekqv(p, &peeked) != 13 ||
        driver_vec_to_buf(&peeked, buf, 4) != 4 || memcmp(buf, "eadm", 4) != 0)
        return 8;
    if (driver_deq(p, 14) != (ErlDrvSizeT)-1 || driver_deq(p, 13) != 0)
        return 9;
    if (driver_binary_get_refc(b) != 1 || driver_peekq(p, &n) || n != 0)
        return 10;
    b = driver_realloc_binary(b, 300);
    if (!b || b->orig_size != 300 || memcmp(b->orig_bytes, "ABCDEFGH", 8) != 0)
        return 11;
    if (driver_binary_inc_refc(b) != 2 || driver_binary_dec_refc(b) != 1)
        return 12;
    driver_free_binary(b);
    return 0;
}

/* More than the C library has. */
static int many_keys(void)
{
    static ErlDrvTSDKey key[2000];
    int n = (int)(sizeof key / sizeof *key), ok = 1;

    for (int i = 0; i < n; i++) {
        ok &= erl_drv_tsd_key_create("many", &key[i]) == 0;
        erl_drv_tsd_set(key[i], (void *)(intptr_t)(i + 1));
    }
    for (int i = 0; i < n; i++) {
        ok &= erl_drv_tsd_get(key[i]) == (void *)(intptr_t)(i + 1);
        erl_drv_tsd_set(key[i], NULL);
        erl_drv_tsd_key_destroy(key[i]);
    }
    return ok;
}

/* What else there is to ask; 0, or the number of what went wrong. */
static int misc_test(struct state *s)
{
    ErlDrvPort p = s->port;
    ErlDrvSysInfo info;
    ErlDrvNowData now;
    ErlDrvTSDKey key;
    ErlDrvMutex *m = erl_drv_mutex_create("m");
    ErlDrvRWLock *l = erl_drv_rwlock_create("l");
    unsigned long left = 1;
    char text[16];
    size_t n = sizeof text;

    driver_system_info(&info, sizeof info);
    if (info.driver_major_version != ERL_DRV_EXTENDED_MAJOR_VERSION || info.async_threads < 1 ||
        strcmp(info.otp_release, "25") != 0)
        return 1;
    if (erl_drv_convert_time_unit(1500, ERL_DRV_MSEC, ERL_DRV_SEC) != 1 ||
        erl_drv_monotonic_time(ERL_DRV_NSEC) > erl_drv_monotonic_time(ERL_DRV_NSEC) ||
        erl_drv_monotonic_time((ErlDrvTimeUnit)77) != ERL_DRV_TIME_ERROR)
        return 2;
    if (driver_get_now(&now) || now.megasecs < 1000 || driver_get_now(NULL) != -1)
        return 3;
    if (strcmp(erl_errno_id(ENOENT), "enoent") != 0)
        return 4;
    if (erl_drv_putenv("DRIVER_API_TEST", "value") ||
        erl_drv_getenv("DRIVER_API_TEST", text, &n) || n != 5 || strcmp(text, "value") != 0)
        return 5;
    n = 2;
    if (erl_drv_getenv("DRIVER_API_TEST", text, &n) != 1 ||
        erl_drv_getenv("DRIVER_API_UNSET", text, &n) != -1)
        return 6;
    if (erl_drv_tsd_key_create("key", &key))
        return 7;
    erl_drv_tsd_set(key, s);
    if (erl_drv_tsd_get(key) != s)
        return 8;
    erl_drv_tsd_set(key, NULL);
    erl_drv_tsd_key_destroy(key);
    if (!many_keys())
        return 15;
    if (erl_drv_mutex_trylock(m))
        return 9;
    erl_drv_mutex_unlock(m);
    erl_drv_mutex_destroy(m);
    if (erl_drv_rwlock_tryrlock(l))
        return 10;
    erl_drv_rwlock_runlock(l);
    erl_drv_rwlock_rwlock(l);
    erl_drv_rwlock_rwunlock(l);
    erl_drv_rwlock_destroy(l);
    if (driver_read_timer(p, &left) || left != 0 || driver_set_timer(p, 100000) ||
        driver_read_timer(p, &left) || left < 99000 || left > 100000 || driver_cancel_timer(p))
        return 11;
    if (driver_mk_port(p) != s->id || driver_mk_term_nil() != driver_term_nil)
        return 12;
    if (get_port_flags(p) & PORT_FLAG_LINE)
        return 13;
    return loads == 1 ? 0 : 14;
}

struct job {
    int n;
};

static void job_invoke(void *data)
{
    struct job *j = data;

    sum = j->n == 1 ? 1 : sum * 10 + j->n;
}

static void drv_ready_async(ErlDrvData d, ErlDrvThreadData data)
{
    struct job *j = (struct job *)data;

    if (j->n == 3)
        say((struct state *)d, "jobs", sum);
    driver_free(j);
}

/* A job that takes the port's lock, which is to outlive the port. */
static void late_invoke(void *data)
{
    usleep(20000);
    driver_pdl_lock(data);
    driver_pdl_unlock(data);
}

static void start_jobs(struct state *s)
{
    unsigned key = driver_async_port_key(s->port);

    for (int i = 1; i <= 3; i++) {
        struct job *j = driver_alloc(sizeof *j);

        *j = (struct job){i};
        driver_async(s->port, &key, job_invoke, j, driver_free);
    }
}

static void *thread_main(void *data)
{
    struct state *s = data;

    driver_pdl_lock(s->pdl);
    say(s, "thread", erl_drv_equal_tids(erl_drv_thread_self(), s->thread));
    driver_pdl_unlock(s->pdl);
    return s;
}

/* The two halves of `data`, of which the second is shared. */
static void output_parts(struct state *s, char *data, ErlDrvSizeT n)
{
    ErlDrvBinary *b = driver_alloc_binary(n), *binv[2] = {NULL, b};
    SysIOVec iov[2] = {{data, n / 2}, {b->orig_bytes + n / 2, n - n / 2}};
    ErlIOVec ev = {2, n, iov, binv};

    memcpy(b->orig_bytes, data, n);
    driver_outputv(s->port, "V", 1, &ev, 1);
    driver_output_binary(s->port, "B", 1, b, 1, n - 1);
    driver_output(s->port, data, n);
    driver_free_binary(b);
}

static void command(struct state *s, char *buf, ErlDrvSizeT n)
{
    ErlDrvPort p = s->port;
    ErlDrvPort other;

    switch (n ? buf[0] : 0) {
    case 'e': driver_output2(p, "E", 1, buf + 1, n - 1); break;
    case 'p': output_parts(s, buf + 1, n - 1); break;
    case 'c': {
        ErlDrvTermData t[] = {ERL_DRV_PID, driver_caller(p)};

        erl_drv_output_term(s->id, t, 2);
        break;
    }
    case 't': send_terms(s, driver_term_nil); break;
    case 'T': send_terms(s, driver_caller(p)); break;
    case 's': driver_set_timer(p, (unsigned long)(buf[1] - '0')); break;
    case 'q': driver_enq(p, buf + 1, n - 1); break;
    case 'j': start_jobs(s); break;
    case 'b': set_busy_port(p, 1); break;
    case 'l': s->last_words = 1; break;
    case 'J':
        s->pdl = driver_pdl_create(p);
        driver_async(p, NULL, late_invoke, s->pdl, NULL);
        break;
    case 'h':
        s->pdl = driver_pdl_create(p);
        driver_pdl_lock(s->pdl);
        erl_drv_thread_create("thread", &s->thread, thread_main, s, NULL);
        driver_pdl_unlock(s->pdl);
        erl_drv_thread_join(s->thread, NULL);
        break;
    case 'w':
        if (pipe(s->fds) == 0) {
            s->watching = 1;
            driver_select(p, (ErlDrvEvent)(intptr_t)s->fds[0], ERL_DRV_READ | ERL_DRV_USE, 1);
            if (write(s->fds[1], buf + 1, n - 1) < 0)
                driver_failure_posix(p, errno);
        }
        break;
    case 'f': {
        int fd = dup(1);

        close(fd);
        driver_select(p, (ErlDrvEvent)(intptr_t)fd, ERL_DRV_READ, 1);
        driver_select(p, (ErlDrvEvent)(intptr_t)fd, ERL_DRV_READ, 0);
        driver_select(p, (ErlDrvEvent)(intptr_t)fd, ERL_DRV_READ, 1);
        driver_set_timer(p, 5);
        break;
    }
    case 'n':
        other = driver_create_port(p, driver_caller(p), DRIVER_NAME, NULL);
        if (other != (ErlDrvPort)-1) {
            struct state *o = driver_alloc(sizeof *o);

            memset(o, 0, sizeof *o);
            o->port = other;
            o->id = driver_mk_port(other);
            say(o, "created", 0);
            driver_free(o);
            driver_failure_atom(other, "enough");
        }
        break;
    case 'E': driver_failure_eof(p); break;
    case 'A': driver_failure_atom(p, "atom"); break;
    case 'P': driver_failure_posix(p, EACCES); break;
    case 'F': driver_failure(p, 17); break;
    case 'X': driver_exit(p, 0); break;
    case 'L': say(s, "locked", driver_lock_driver(p)); break;
    }
}

static void drv_output(ErlDrvData d, char *buf, ErlDrvSizeT n)
{
    command((struct state *)d, buf, n);
}

/* An answer of any length: in the buffer that is there, or in one more. */
static ErlDrvSSizeT drv_control(ErlDrvData d, unsigned op, char *buf, ErlDrvSizeT n, char **out,
                                ErlDrvSizeT size)
{
    struct state *s = (struct state *)d;
    ErlDrvTermData pid = driver_caller(s->port);

    switch (op) {
    case 'e':
        if (n > size)
            *out = driver_alloc(n);
        memcpy(*out, buf, n);
        return (ErlDrvSSizeT)n;
    case 'b': {
        ErlDrvBinary *b = driver_alloc_binary(n);

        memcpy(b->orig_bytes, buf, n);
        *out = (char *)b;
        return (ErlDrvSSizeT)n;
    }
    case 'z': {
        ErlDrvTermData t[] = {ERL_DRV_EXT2TERM, (ErlDrvTermData)buf, n};

        return sprintf(*out, "%d", erl_drv_output_term(s->id, t, 3));
    }
    case 'q': return sprintf(*out, "%d", queue_test(s->port));
    case 'x': return sprintf(*out, "%d", misc_test(s));
    case 'B': return sprintf(*out, "%d", bad_terms(s));
    case 'm': return sprintf(*out, "%d", driver_monitor_process(s->port, pid, &s->monitor));
    case 'd': return sprintf(*out, "%d", driver_demonitor_process(s->port, &s->monitor));
    case 'i': set_busy_port(s->port, 0); return 0;
    case 'X': driver_exit(s->port, EPIPE); return 0;
    case 'n': *out = NULL; return 0;
    }
    return -1;
}

static ErlDrvSSizeT drv_call(ErlDrvData d, unsigned op, char *buf, ErlDrvSizeT n, char **out,
                             ErlDrvSizeT size, unsigned *flags)
{
    if (op == 1)
        return -1;
    if (n > size)
        *out = driver_alloc(n);
    memcpy(*out, buf, n);
    if (op == 2)
        (*out)[0] = 0;
    return (ErlDrvSSizeT)n;
}

#ifdef DRIVER_OUTPUTV
/* The number of parts, then all bytes. */
static void drv_outputv(ErlDrvData d, ErlIOVec *ev)
{
    struct state *s = (struct state *)d;

    if (ev->iov[0].iov_len != 0 || ev->binv[0])
        driver_failure_atom(s->port, "no_room_for_a_header");
    else
        driver_outputv(s->port, ev->vsize == 2 ? "2" : "n", 1, ev, 0);
}
#else
#define drv_outputv NULL
#endif

static ErlDrvEntry entry = {
    .init = drv_init,
    .start = drv_start,
    .stop = drv_stop,
    .output = drv_output,
    .ready_input = drv_ready_input,
    .driver_name = DRIVER_NAME,
    .control = drv_control,
    .timeout = drv_timeout,
    .outputv = drv_outputv,
    .ready_async = drv_ready_async,
    .flush = drv_flush,
    .call = drv_call,
    .extended_marker = ERL_DRV_EXTENDED_MARKER,
    .major_version = ERL_DRV_EXTENDED_MAJOR_VERSION,
    .minor_version = ERL_DRV_EXTENDED_MINOR_VERSION,
    .driver_flags = ERL_DRV_FLAG_USE_PORT_LOCKING | ERL_DRV_FLAG_SOFT_BUSY | ACK_FLAG,
    .process_exit = drv_process_exit,
    .stop_select = drv_stop_select,
};

DRIVER_INIT(driver_api)
{
#ifdef DRIVER_VERSION
    entry.major_version = DRIVER_VERSION;
#endif
#ifdef DRIVER_INIT_FAILS
    return NULL;
#endif
    return &entry;
}
