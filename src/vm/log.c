/*
 * log.c - reports of the VM, to OTP's logger or to the console.
 */
#include "vm/log.h"

#include "bif/info.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/map.h"
#include "vm/msg.h"
#include "vm/ops.h"
#include "vm/print.h"
#include "vm/sched.h"

/* A process that was told to log and died leaves it to the logger. */
static struct proc *logger(void)
{
    term to = vm.info ? vm.info->system_logger : THE_NON_VALUE;

    if (to != THE_NON_VALUE && term_is_local_pid(to) && !proc_find(to))
        to = vm.info->system_logger = am_logger;
    if (to != THE_NON_VALUE && term_is_atom(to))
        to = vm.names ? name_whereis(to) : THE_NON_VALUE;
    return to != THE_NON_VALUE && term_is_local_pid(to) ? proc_find(to) : NULL;
}

static term put_string(term **hp, const char *s, size_t n)
{
    term list = TERM_NIL;

    while (n > 0)
        list = put_cons(hp, small_make((uint8_t)s[--n]), list);
    return list;
}

/*
 * For the console: ~n, and ~p and its like as io:write does it, which is all
 * that the VM's own formats use. There is no io:format yet when this is asked.
 */
static void text_format(struct text *t, const char *format, term args)
{
    for (const char *s = format; *s; s++) {
        if (*s != '~' || !s[1]) {
            text_add(t, s, 1);
            continue;
        }
        s++;
        if (*s == 'n') {
            text_add(t, "\n", 1);
        } else if (term_is_cons(args)) {
            text_term(t, cons_head(args), 0);
            args = cons_tail(args);
        }
    }
}

/* {log, Level, Format, Args, Metadata} in m; format and args are in m already. */
static void send(struct proc *to, struct mbuf *m, struct dest *d, term level,
                 term gl, term format, term args)
{
    struct proc *p = vm.sched ? vm.sched->p : NULL;
    /* The old error_logger's name of the level. */
    term tag = level == am_info      ? am_info_msg
               : level == am_warning ? am_warning_msg
                                     : am_error;
    term inner[4] = { am_emulator, am_true, am_tag, tag };
    term outer[8], *message;
    size_t n = 0;

    outer[n++] = am_error_logger;
    outer[n++] = map_build(d, inner, 2);
    outer[n++] = am_time;
    outer[n++] = small_make(os_wall_ns() / 1000);
    if (p) {
        outer[n++] = am_pid;
        outer[n++] = p->id;
    }
    if (!term_is_nil(gl)) {
        outer[n++] = am_gl;
        outer[n++] = term_copy(d, gl);
    }
    term metadata = map_build(d, outer, n / 2);
    message = d->htop;
    message[0] = TUPLE_HEADER(5);
    message[1] = am_log;
    message[2] = level;
    message[3] = format;
    message[4] = args;
    message[5] = metadata;
    d->htop += 6;
    m->used = (size_t)(d->htop - m->words);
    assert(m->used <= m->size);
    msg_send_mbuf(to, m, boxed_make(message));
}

static size_t frame_words(term gl)
{
    return map_build_words(2) + map_build_words(4) + 6 + term_size(gl);
}

void log_text(term level, term gl, const char *s, size_t n)
{
    static const char format[] = "~s~n";
    struct proc *to = logger();
    struct mbuf *m;
    struct dest d;

    if (!to) {
        struct text t;

        text_init(&t);
        text_add(&t, s, n);
        if (n == 0 || s[n - 1] != '\n')
            text_add(&t, "\n", 1);
        os_console(t.s, t.n);
        text_fini(&t);
        return;
    }
    m = mbuf_new((n + 1 + sizeof format) * CONS_WORDS + frame_words(gl));
    d = (struct dest){ .htop = m->words, .off = &m->off };
    term text = put_string(&d.htop, s, n);
    term args = put_cons(&d.htop, text, TERM_NIL);
    term fmt = put_string(&d.htop, format, sizeof format - 1);
    send(to, m, &d, level, gl, fmt, args);
}

void log_format(term level, term gl, const char *format, term args)
{
    struct proc *to = logger();
    size_t n = strlen(format);
    struct mbuf *m;
    struct dest d;

    if (!to) {
        struct text t;

        text_init(&t);
        text_format(&t, format, args);
        text_add(&t, "\n", 1);
        os_console(t.s, t.n);
        text_fini(&t);
        return;
    }
    m = mbuf_new(n * CONS_WORDS + term_size(args) + frame_words(gl));
    d = (struct dest){ .htop = m->words, .off = &m->off };
    term fmt = put_string(&d.htop, format, n);
    term copy = term_copy(&d, args);
    send(to, m, &d, level, gl, fmt, copy);
}
