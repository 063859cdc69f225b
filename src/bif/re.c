/*
 * re.c - regular expressions: re:run over Erlang's PCRE.
 *
 * A match that takes long stops at PCRE's loop limit, its state in a struct
 * match behind a magic ref, and goes on in erlang:re_run_trap/3 in the next
 * slice. The search for where one could begin is put aside as it stands
 * (re_scan.h). What needs re.erl's help (Unicode in lists, global) is trapped to it.
 */
#include "bif/re.h"
#include "vm/binary.h"
#include "vm/slice.h"

#include <errno.h>
#include <limits.h>

#define LOOPS_PER_SLICE (SLICE_REDS * LOOPS_PER_RED)
#define GROUPS_MAX 65535        /* PCRE's */

/* A match that may have to be continued. */
struct match {
    struct resource res;
    erts_pcre_extra extra;
    void *restart;              /* PCRE's state */
    unsigned long loops;        /* PCRE counts here */
    bool subject_in_binary;     /* a loan from the subject, which is an
                                   argument of the trap */
    bool report_errors;
    char *subject;
    pcre *code;
    int *offsets;
    struct re_captures captures;
};
static const char match_type;

static void match_free(struct resource *r)
{
    struct match *m = (struct match *)r;

    if (m->restart)
        erts_pcre_free_restart_data(m->restart);
    if (!m->subject_in_binary)
        vm_free(m->subject);
    vm_free(m->code);
    vm_free(m->offsets);
    vm_free(m->captures.what);
    vm_free(m);
}

/* The value of a group, or of one that took no part (-1). */
static term capture_value(struct proc *p, const struct match *m, int group,
                          term subject)
{
    int from = group < 0 ? -1 : m->offsets[2 * group];
    int n = group < 0 ? 0 : m->offsets[2 * group + 1] - from;

    if (m->captures.type == CAP_INDEX)
        return build_tuple2(p, small_make(from), small_make(n));
    if (from < 0)
        from = n = 0;
    if (m->captures.type == CAP_LIST)
        return re_bytes_to_list(p, m->subject + from, (size_t)n);
    if (m->subject_in_binary && group >= 0)
        return binary_sub(p, subject, (uint64_t)from * 8, (uint64_t)n * 8);
    return binary_from(p, m->subject + from, (size_t)n);
}

/*
 * The group at what[*i], which moves on to the next one wanted. Of groups with
 * one name, the first that took part.
 */
static int next_group(const struct match *m, size_t *i, int groups)
{
    const struct re_captures *c = &m->captures;
    int group = c->what[(*i)++];

    if (group < -1) {
        size_t end = *i + (size_t)-group;

        group = -1;
        for (; *i < end; (*i)++) {
            int g = c->what[*i];

            if (group < 0 && g < groups && m->offsets[2 * g] >= 0)
                group = g;
        }
    }
    return group < groups ? group : -1;
}

/* match, or {match, Captures}. rc is how many groups PCRE has set. */
static term captured(struct proc *p, const struct match *m, int rc, term subject)
{
    const struct re_captures *c = &m->captures;
    term list = TERM_NIL;

    if (c->type == CAP_NONE)
        return am_match;
    if (c->which != CAP_THESE) {
        int first = c->which == CAP_ALL_BUT_FIRST;

        for (int i = rc - 1; i >= first; i--)
            list = build_cons(p, capture_value(p, m, i, subject), list);
    } else {
        int *groups = vm_alloc(ALLOC_SYSTEM, (c->n + 1) * sizeof *groups);
        size_t n = 0;

        for (size_t i = 0; i < c->n;)
            groups[n++] = next_group(m, &i, rc);
        for (; n > 0; n--)
            list = build_cons(p, capture_value(p, m, groups[n - 1], subject), list);
        vm_free(groups);
    }
    return build_tuple2(p, am_match, list);
}

/* What the BIF gives for PCRE's result. m is freed by the caller. */
static term result(struct proc *p, const struct match *m, int rc, term subject)
{
    if (rc > 0)
        return captured(p, m, rc, subject);
    switch (rc) {
    case PCRE_ERROR_MATCHLIMIT:
        return m->report_errors ? build_tuple2(p, am_error, am_match_limit) : am_nomatch;
    case PCRE_ERROR_RECURSIONLIMIT:
        return m->report_errors ? build_tuple2(p, am_error, am_match_limit_recursion)
                                : am_nomatch;
    case PCRE_ERROR_NOMATCH:
    case PCRE_ERROR_RECURSELOOP:
    case 0:
        return am_nomatch;
    case PCRE_ERROR_NOMEMORY:
        return bif_error(p, am_system_limit);
    default:
        /*
         * Bad UTF-8, a bad pattern; an offset beyond the end, for which OTP
         * ends the process.
         */
        return bif_badarg(p);
    }
}

static void prepare_slice(struct proc *p, struct match *m)
{
    size_t budget = bif_budget(p, LOOPS_PER_RED);

    re_use_pcre();
    m->loops = 0;
    m->extra.loop_limit = budget < LOOPS_PER_SLICE ? budget : LOOPS_PER_SLICE;
    m->extra.loop_counter_return = &m->loops;
    m->extra.restart_data = &m->restart;
    m->extra.restart_flags = 0;
}

/* After a slice that ended with rc: trap with ref (made if NIL), or be done. */
static term end_slice(struct proc *p, struct match *m, int rc, term subject,
                      term pattern, term ref)
{
    bif_spend(p, m->loops, LOOPS_PER_RED);
    if (rc == PCRE_ERROR_LOOP_LIMIT) {
        if (term_is_nil(ref)) {
            struct dest d = {heap_alloc(p, MAGIC_WORDS), &p->heap.off};

            ref = magic_put(&d, &m->res);
        }
        term args[3] = {subject, pattern, ref};
        return bif_trap(p, EXP("erlang", "re_run_trap", 3), args, 3);
    }
    term t = result(p, m, rc, subject);
    if (term_is_nil(ref))
        match_free(&m->res);
    return t;
}

BIF(erlang, re_run_trap, 3)
{
    struct match *m = (struct match *)magic_resource(arg[2], &match_type);

    if (!m || !m->restart)
        return bif_badarg(p);
    prepare_slice(p, m);
    int rc;
    {
        SLICED(p, EXP("erlang", "re_run_trap", 3));
        rc = erts_pcre_exec(NULL, &m->extra, NULL, 0, 0, 0, NULL, 0);
    }
    return end_slice(p, m, rc, arg[0], arg[1], arg[2]);
}

/*
 * The subject's bytes: those of a large binary as they lie, else a copy. 0, or
 * -EINVAL, or -ENOMEM.
 */
static int take_subject(struct proc *p, struct match *m, term t, size_t *n)
{
    if (term_is_binary(t)) {
        struct bits b = bits_of(t);

        *n = b.size / 8;
        if (bits_aligned(b) && *n > HEAPBIN_MAX && boxed_is(b.orig, BOX_REFCBIN)) {
            m->subject = (char *)b.base + b.offset / 8;
            m->subject_in_binary = true;
            return *n <= INT_MAX ? 0 : -EINVAL;
        }
    }

    SLICED(p, EXP("re", "run", 3));

    if (iolist_size(t, n) < 0 || *n > INT_MAX)
        return -EINVAL;
    m->subject = vm_try_alloc(ALLOC_SYSTEM, *n + 1);
    if (!m->subject)
        return -ENOMEM;
    iolist_copy(t, (uint8_t *)m->subject);
    return 0;
}

/* Match compiled code, which is m's, with a subject. Frees m. */
static term run_code(struct proc *p, struct match *m, const struct re_options *o,
                     int groups, const term *arg)
{
    size_t n;

    m->res = (struct resource){.refc = 1, .free = match_free, .type = &match_type};
    m->extra.flags = PCRE_EXTRA_TABLES | PCRE_EXTRA_LOOP_LIMIT;
    m->report_errors = o->flags & OPT_REPORT_ERRORS;
    if (o->flags & OPT_MATCH_LIMIT) {
        m->extra.flags |= PCRE_EXTRA_MATCH_LIMIT;
        m->extra.match_limit = (unsigned long)o->match_limit;
    }
    if (o->flags & OPT_MATCH_LIMIT_RECURSION) {
        m->extra.flags |= PCRE_EXTRA_MATCH_LIMIT_RECURSION;
        m->extra.match_limit_recursion = (unsigned long)o->match_limit_recursion;
    }
    int size = 3 * (groups + 1);
    m->offsets = vm_alloc(ALLOC_SYSTEM, (size_t)size * sizeof *m->offsets);

    int err = re_captures_parse(&m->captures, m->code, o)
                  ? take_subject(p, m, arg[0], &n)
                  : -EINVAL;
    if (err < 0) {
        match_free(&m->res);
        return re_compile_failed(p, err);
    }
    prepare_slice(p, m);
    int rc;
    {
        SLICED(p, EXP("re", "run", 3));
        rc = erts_pcre_exec(m->code, &m->extra, m->subject, (int)n, o->offset, o->exec,
                            m->offsets, size);
    }
    return end_slice(p, m, rc, arg[0], arg[1], TERM_NIL);
}

static struct match *match_new(const void *code, size_t size)
{
    struct match *m = vm_zalloc(ALLOC_SYSTEM, sizeof *m);

    m->code = vm_alloc(ALLOC_SYSTEM, size);
    memcpy(m->code, code, size);
    return m;
}

/* Does re.erl have to convert something? */
static bool needs_urun(const struct re_options *o, term subject)
{
    bool list = (o->flags & OPT_CAPTURE) && o->capture_type == am_list;

    return !term_is_bitstring(subject) || (list && !(o->flags & OPT_GLOBAL));
}

static term trap_urun(struct proc *p, const term *arg, term opts)
{
    term args[3] = {arg[0], arg[1], opts};

    return bif_trap(p, EXP("re", "urun", 3), args, 3);
}

/* The last argument of re:grun: for conversions, and for exceptions. */
static term trap_grun(struct proc *p, term subject, term pattern, term options)
{
    term args[3] = {subject, pattern, options};

    return bif_trap(p, EXP("re", "grun", 3), args, 3);
}

static term run_text(struct proc *p, term *arg, term opts, const struct re_options *o)
{
    struct re_compiled c;
    bool unicode = o->flags & OPT_UNICODE;

    if (!term_is_bitstring(arg[1]) && !term_is_list(arg[1]))
        return bif_badarg(p);
    if (unicode && (!term_is_bitstring(arg[1]) || needs_urun(o, arg[0])))
        return trap_urun(p, arg, opts);
    int err = re_compile(p, arg[1], o->compile, &c);
    if (err < 0)
        return re_compile_failed(p, err);
    if (!c.code)
        return o->flags & OPT_REPORT_ERRORS ? re_compile_error(p, &c, am_compile)
                                            : bif_badarg(p);
    if (o->flags & OPT_GLOBAL) {
        term pattern = re_pattern_make(p, c.code, unicode);

        if (pattern == THE_NON_VALUE)
            return pattern;
        term t = build_tuple3(p, opts, bool_make(o->flags & OPT_COMPILE), arg[1]);
        return trap_grun(p, arg[0], pattern, t);
    }

    size_t size = 0;
    int groups = 0;
    erts_pcre_fullinfo(c.code, NULL, PCRE_INFO_SIZE, &size);
    erts_pcre_fullinfo(c.code, NULL, PCRE_INFO_CAPTURECOUNT, &groups);
    struct match *m = match_new(c.code, size);
    vm_free(c.code);
    return run_code(p, m, o, groups, arg);
}

static term run_compiled(struct proc *p, term *arg, term opts,
                         const struct re_options *o)
{
    struct binbytes b;

    if ((o->flags & OPT_COMPILE) || !re_is_pattern(arg[1]))
        return bif_badarg(p);
    if (*tuple_at(arg[1], 3) != small_make(0) && needs_urun(o, arg[0]))
        return trap_urun(p, arg, opts);
    if (o->flags & OPT_GLOBAL)
        return trap_grun(p, arg[0], arg[1], build_tuple2(p, opts, am_false));
    int64_t groups = small_value(*tuple_at(arg[1], 2));
    if (groups < 0 || groups > GROUPS_MAX || !binary_bytes(*tuple_at(arg[1], 5), &b))
        return bif_badarg(p);
    if (!re_code_is_whole(b.data, b.size)) {
        binary_bytes_end(&b);
        return bif_badarg(p);
    }
    struct match *m = match_new(b.data, b.size);
    binary_bytes_end(&b);
    return run_code(p, m, o, (int)groups, arg);
}

/* checked: the subject is known to be UTF-8, if that is what it is. */
static term run(struct proc *p, term *arg, term opts, bool checked)
{
    struct re_options o;

    if (!re_options_parse(&o, opts))
        return re_bad_options(p);
    if (checked)
        o.exec |= PCRE_NO_UTF8_CHECK;
    return term_is_tuple_of(arg[1], 5) ? run_compiled(p, arg, opts, &o)
                                       : run_text(p, arg, opts, &o);
}

BIF(re, run, 2)
{
    return run(p, arg, TERM_NIL, false);
}

BIF(re, run, 3)
{
    return run(p, arg, arg[2], false);
}

/* The last argument is false when re:grun has had this subject before. */
BIF(re, internal_run, 4)
{
    if (!term_is_bool(arg[3]))
        return bif_badarg(p);
    return run(p, arg, arg[2], arg[3] == am_false);
}
