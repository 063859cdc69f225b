/*
 * re.c - regular expressions: the BIFs of the module re over Erlang's PCRE.
 *
 * A match that takes long stops at PCRE's loop limit, its state in a struct
 * match behind a magic ref, and goes on in erlang:re_run_trap/3 in the next
 * slice. The search for where one could begin is put aside as it stands
 * (re_scan.h). What needs re.erl's help (Unicode in lists, global) is trapped to it.
 *
 * A compiled pattern is a binary in a tuple, as in OTP, so it can be a literal
 * or come from a file. Its code is checked no further than OTP does: its magic
 * number and its size.
 */
#include "bif/bif.h"
#include "bif/re_scan.h"
#include "vm/binary.h"
#include "vm/slice.h"

#include "pcre.h"

#include <errno.h>
#include <limits.h>

#define LOOPS_PER_RED 10        /* OTP's */
#define LOOPS_PER_SLICE (SLICE_REDS * LOOPS_PER_RED)
#define GROUPS_MAX 65535        /* PCRE's */
/* Of the C stack, for PCRE's compiler, which recurses on parentheses. */
#define COMPILE_STACK_BYTES (256 * 1024)

static void *re_alloc(size_t n)
{
    return vm_try_alloc(ALLOC_SYSTEM, n);
}

/* Bytes looked at until time is, and how many take a nanosecond. */
#define FIND_BYTES ((size_t)64 << 10)
#define FIND_BYTES_PER_NS 8
#define STEP_NS 2

const uint8_t *re_find(const uint8_t *at, const uint8_t *end, unsigned c, unsigned d)
{
    while (at < end) {
        size_t left = (size_t)(end - at), n = left < FIND_BYTES ? left : FIND_BYTES;

        if (c == d) {
            const uint8_t *found = memchr(at, (int)c, n);

            if (found)
                return found;
            slice(n / FIND_BYTES_PER_NS);
        } else {
            for (size_t i = 0; i < n; i++)
                if (at[i] == c || at[i] == d)
                    return at + i;
            slice(n);
        }
        at += n;
    }
    return end;
}

void re_stepped(void)
{
    slice(RE_STEP_BYTES * STEP_NS);
}

/* Where the compiler's stack began; of use only while it runs. */
static uintptr_t compile_stack;

static int stack_guard(void)
{
    /* Not a variable's address: sanitizers keep those elsewhere. */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);

    return compile_stack - here > COMPILE_STACK_BYTES;
}

/* Down the C stack, in frames like those of PCRE's compiler, until it is told to stop. */
static __attribute__((noinline)) size_t go_down(void)
{
    volatile uint8_t frame[256];
    size_t bytes;

    frame[0] = 0;
    if (stack_guard())
        return compile_stack - (uintptr_t)__builtin_frame_address(0);
    bytes = go_down();
    frame[0] = 1;               /* or it would be no call */
    return bytes;
}

size_t re_stack_check(void)
{
    compile_stack = (uintptr_t)__builtin_frame_address(0);
    return go_down();
}

/* PCRE keeps these in variables of its own. */
static void use_pcre(void)
{
    erts_pcre_malloc = re_alloc;
    erts_pcre_free = vm_free;
    erts_pcre_stack_malloc = re_alloc;
    erts_pcre_stack_free = vm_free;
    erts_pcre_stack_guard = stack_guard;
}

/* Options */

enum option_flags {
    OPT_COMPILE = 1,            /* only compile takes such an option */
    OPT_EXEC = 2,               /* only run */
    OPT_UNICODE = 4,
    OPT_CAPTURE = 8,
    OPT_GLOBAL = 16,
    OPT_REPORT_ERRORS = 32,
    OPT_MATCH_LIMIT = 64,
    OPT_MATCH_LIMIT_RECURSION = 128,
};

static const struct option {
    term name;
    int compile, exec;          /* PCRE's bits */
    unsigned flags;
} option_table[] = {
    {am_anchored, PCRE_ANCHORED, PCRE_ANCHORED, 0},
    {am_notempty, 0, PCRE_NOTEMPTY, OPT_EXEC},
    {am_notempty_atstart, 0, PCRE_NOTEMPTY_ATSTART, OPT_EXEC},
    {am_notbol, 0, PCRE_NOTBOL, OPT_EXEC},
    {am_noteol, 0, PCRE_NOTEOL, OPT_EXEC},
    {am_no_start_optimize, PCRE_NO_START_OPTIMIZE, 0, OPT_COMPILE},
    {am_caseless, PCRE_CASELESS, 0, OPT_COMPILE},
    {am_dollar_endonly, PCRE_DOLLAR_ENDONLY, 0, OPT_COMPILE},
    {am_dotall, PCRE_DOTALL, 0, OPT_COMPILE},
    {am_extended, PCRE_EXTENDED, 0, OPT_COMPILE},
    {am_firstline, PCRE_FIRSTLINE, 0, OPT_COMPILE},
    {am_multiline, PCRE_MULTILINE, 0, OPT_COMPILE},
    {am_no_auto_capture, PCRE_NO_AUTO_CAPTURE, 0, OPT_COMPILE},
    {am_dupnames, PCRE_DUPNAMES, 0, OPT_COMPILE},
    {am_ungreedy, PCRE_UNGREEDY, 0, OPT_COMPILE},
    {am_ucp, PCRE_UCP, 0, OPT_COMPILE},
    {am_never_utf, PCRE_NEVER_UTF, 0, OPT_COMPILE},
    {am_unicode, PCRE_UTF8, 0, OPT_COMPILE | OPT_UNICODE},
    {am_report_errors, 0, 0, OPT_EXEC | OPT_REPORT_ERRORS},
    {am_global, 0, 0, OPT_EXEC | OPT_GLOBAL},
    {am_bsr_anycrlf, PCRE_BSR_ANYCRLF, PCRE_BSR_ANYCRLF, 0},
    {am_bsr_unicode, PCRE_BSR_UNICODE, PCRE_BSR_UNICODE, 0},
};
/* The values of {newline, _}. */
static const struct option newline_table[] = {
    {am_cr, PCRE_NEWLINE_CR, PCRE_NEWLINE_CR, 0},
    {am_crlf, PCRE_NEWLINE_CRLF, PCRE_NEWLINE_CRLF, 0},
    {am_lf, PCRE_NEWLINE_LF, PCRE_NEWLINE_LF, 0},
    {am_anycrlf, PCRE_NEWLINE_ANYCRLF, PCRE_NEWLINE_ANYCRLF, 0},
    {am_any, PCRE_NEWLINE_ANY, PCRE_NEWLINE_ANY, 0},
};
#define TABLE_SIZE(t) (sizeof(t) / sizeof *(t))

struct options {
    int compile, exec;
    unsigned flags;
    int offset, match_limit, match_limit_recursion;
    term capture, capture_type;
};

static bool add_option(struct options *o, const struct option *table, size_t n,
                       term name)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].name == name) {
            o->compile |= table[i].compile;
            o->exec |= table[i].exec;
            o->flags |= table[i].flags;
            return true;
        }
    }
    return false;
}

static bool term_to_int(term t, int *v)
{
    if (!term_is_small(t) || small_value(t) < 0 || small_value(t) > INT_MAX)
        return false;
    *v = (int)small_value(t);
    return true;
}

static bool add_tuple_option(struct options *o, term t)
{
    if (term_is_tuple_of(t, 3) && *tuple_at(t, 1) == am_capture) {
        o->capture = *tuple_at(t, 2);
        o->capture_type = *tuple_at(t, 3);
        o->flags |= OPT_CAPTURE | OPT_EXEC;
        return true;
    }
    if (!term_is_tuple_of(t, 2))
        return false;

    term value = *tuple_at(t, 2);
    switch (*tuple_at(t, 1)) {
    case am_capture:
        o->capture = value;
        o->capture_type = am_index;
        o->flags |= OPT_CAPTURE | OPT_EXEC;
        return true;
    case am_offset:
        o->flags |= OPT_EXEC;
        return term_to_int(value, &o->offset);
    case am_match_limit:
        o->flags |= OPT_EXEC | OPT_MATCH_LIMIT;
        return term_to_int(value, &o->match_limit);
    case am_match_limit_recursion:
        o->flags |= OPT_EXEC | OPT_MATCH_LIMIT_RECURSION;
        return term_to_int(value, &o->match_limit_recursion);
    case am_newline:
        return add_option(o, newline_table, TABLE_SIZE(newline_table), value);
    default:
        return false;
    }
}

static bool parse_options(struct options *o, term list)
{
    *o = (struct options){.capture = TERM_NIL};
    for (; term_is_cons(list); list = cons_tail(list)) {
        term t = cons_head(list);

        if (term_is_tuple(t) ? !add_tuple_option(o, t)
                             : !add_option(o, option_table,
                                           TABLE_SIZE(option_table), t))
            return false;
    }
    return term_is_nil(list);
}

static term bad_options(struct proc *p)
{
    return bif_error_cause(p, am_badarg, am_badopt);
}

/* Compiling */

struct compiled {
    pcre *code;                 /* NULL: what follows says why */
    int error, offset;
    const char *message;
};

/*
 * Compile an iolist. 0, or -EINVAL: not one, or -ENOMEM. A pattern that is
 * wrong is no failure.
 */
static int compile(struct proc *p, term pattern, int options, struct compiled *c)
{
    size_t n;
    char *s;

    *c = (struct compiled){.message = ""};
    if (iolist_size(pattern, &n) < 0)
        return -EINVAL;
    s = vm_try_alloc(ALLOC_SYSTEM, n + 1);
    if (!s)
        return -ENOMEM;
    iolist_copy(pattern, (uint8_t *)s);
    s[n] = '\0';
    use_pcre();
    compile_stack = (uintptr_t)__builtin_frame_address(0);
    c->code = erts_pcre_compile2(s, options, &c->error, &c->message, &c->offset,
                                 NULL);
    vm_free(s);
    bif_spend(p, n, LOOPS_PER_RED);
    return 0;
}

static term compile_failed(struct proc *p, int err)
{
    return bif_error(p, err == -ENOMEM ? am_system_limit : am_badarg);
}

static term bytes_to_list(struct proc *p, const char *s, size_t n)
{
    term *hp = heap_alloc(p, n * CONS_WORDS), list = TERM_NIL;

    while (n > 0) {
        n--;
        list = put_cons(&hp, small_make((uint8_t)s[n]), list);
    }
    return list;
}

/* {error, {Message, Offset}}, or {error, {tag, {Message, Offset}}}. */
static term compile_error(struct proc *p, const struct compiled *c, term tag)
{
    term t = bytes_to_list(p, c->message, strlen(c->message));
    term *hp = heap_alloc(p, 9);

    t = put_tuple2(&hp, t, small_make(c->offset));
    if (!term_is_nil(tag))
        t = put_tuple2(&hp, tag, t);
    t = put_tuple2(&hp, am_error, t);
    heap_trim(p, hp);
    return t;
}

/* {re_pattern, Groups, Unicode, UseCrlf, Code}; the code is freed. */
static term make_pattern(struct proc *p, pcre *code, bool unicode)
{
    size_t size = 0;
    int groups = 0;
    unsigned long options = 0;

    erts_pcre_fullinfo(code, NULL, PCRE_INFO_SIZE, &size);
    erts_pcre_fullinfo(code, NULL, PCRE_INFO_CAPTURECOUNT, &groups);
    erts_pcre_fullinfo(code, NULL, PCRE_INFO_OPTIONS, &options);
    options &= PCRE_NEWLINE_CR | PCRE_NEWLINE_LF | PCRE_NEWLINE_CRLF
               | PCRE_NEWLINE_ANY | PCRE_NEWLINE_ANYCRLF;
    bool crlf = options == PCRE_NEWLINE_ANY || options == PCRE_NEWLINE_CRLF
                || options == PCRE_NEWLINE_ANYCRLF;

    term bin = binary_from(p, code, size);
    vm_free(code);
    if (bin == THE_NON_VALUE)
        return bif_error(p, am_system_limit);
    term *t = heap_alloc(p, 6);
    t[0] = TUPLE_HEADER(5);
    t[1] = am_re_pattern;
    t[2] = small_make(groups);
    t[3] = small_make(unicode);
    t[4] = small_make(crlf);
    t[5] = bin;
    return boxed_make(t);
}

static term do_compile(struct proc *p, term *arg, term opts)
{
    struct options o;
    struct compiled c;

    if (!parse_options(&o, opts) || (o.flags & OPT_EXEC))
        return bad_options(p);
    if ((o.flags & OPT_UNICODE) && !term_is_bitstring(arg[0])) {
        term args[2] = {arg[0], opts};

        return bif_trap(p, EXP("re", "ucompile", 2), args, 2);
    }
    int err = compile(p, arg[0], o.compile, &c);
    if (err < 0)
        return compile_failed(p, err);
    if (!c.code)
        return compile_error(p, &c, TERM_NIL);
    term t = make_pattern(p, c.code, o.flags & OPT_UNICODE);
    if (t == THE_NON_VALUE)
        return t;
    term *hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_ok, t);
}

BIF(re, version, 0)
{
    const char *s = erts_pcre_version();

    return binary_from(p, s, strlen(s));
}

BIF(re, compile, 1)
{
    return do_compile(p, arg, TERM_NIL);
}

BIF(re, compile, 2)
{
    return do_compile(p, arg, arg[1]);
}

/* Captures: which, and as what */

/*
 * what[0..n) are the groups wanted, in order. A group that does not exist is
 * -1. A name that several groups have is -k followed by these k groups, of
 * which the first that took part counts.
 */
struct captures {
    enum { CAP_INDEX, CAP_LIST, CAP_BINARY, CAP_NONE } type;
    enum { CAP_ALL, CAP_ALL_BUT_FIRST, CAP_THESE } which;
    int *what;
    size_t n, size;
};

static void captures_add(struct captures *c, int group)
{
    if (c->n == c->size) {
        c->size = c->size ? 2 * c->size : 8;
        c->what = c->what ? vm_realloc(c->what, c->size * sizeof *c->what)
                          : vm_alloc(ALLOC_SYSTEM, c->size * sizeof *c->what);
    }
    c->what[c->n++] = group;
}

/* The group number of an entry of PCRE's table of names. */
static int entry_group(const char *entry)
{
    return (uint8_t)entry[0] << 8 | (uint8_t)entry[1];
}

static void captures_add_name(struct captures *c, const pcre *code,
                              const char *name, bool dupnames)
{
    char *first, *last;

    if (!dupnames) {
        int group = erts_pcre_get_stringnumber(code, name);

        captures_add(c, group == PCRE_ERROR_NOSUBSTRING ? -1 : group);
        return;
    }
    int size = erts_pcre_get_stringtable_entries(code, name, &first, &last);
    if (size == PCRE_ERROR_NOSUBSTRING) {
        captures_add(c, -1);
        return;
    }
    int n = (int)((last - first) / size) + 1;
    if (n > 1)
        captures_add(c, -n);
    for (int i = 0; i < n; i++, first += size)
        captures_add(c, entry_group(first));
}

/* PCRE's table of names: entries of `size` bytes, sorted by name. */
struct name_table {
    const char *entry;
    int n, size;
    bool dupnames;
};

static bool name_table(const pcre *code, struct name_table *t)
{
    unsigned long options;
    unsigned char *table;

    if (erts_pcre_fullinfo(code, NULL, PCRE_INFO_OPTIONS, &options) != 0
        || erts_pcre_fullinfo(code, NULL, PCRE_INFO_NAMECOUNT, &t->n) != 0
        || erts_pcre_fullinfo(code, NULL, PCRE_INFO_NAMEENTRYSIZE, &t->size) != 0
        || erts_pcre_fullinfo(code, NULL, PCRE_INFO_NAMETABLE, &table) != 0)
        return false;
    t->entry = (const char *)table;
    t->dupnames = options & PCRE_DUPNAMES;
    return true;
}

/* Entry i has the name of the one before. */
static bool name_repeats(const struct name_table *t, int i)
{
    const char *e = t->entry + (size_t)i * (size_t)t->size;

    return i > 0 && t->dupnames && strcmp(e + 2, e + 2 - t->size) == 0;
}

static bool captures_add_value(struct captures *c, const pcre *code,
                               const struct name_table *names, term t)
{
    int group;
    size_t n;
    char *s;

    if (term_to_int(t, &group)) {
        captures_add(c, group);
        return true;
    }
    if (term_is_atom(t)) {
        const struct atom *a = atom_get(t);

        n = a->bytes;
        s = vm_alloc(ALLOC_SYSTEM, n + 1);
        memcpy(s, a->name, n);
    } else {
        if (iolist_size(t, &n) < 0)
            return false;
        s = vm_try_alloc(ALLOC_SYSTEM, n + 1);
        if (!s)
            return false;
        iolist_copy(t, (uint8_t *)s);
    }
    s[n] = '\0';
    captures_add_name(c, code, s, names->dupnames);
    vm_free(s);
    return true;
}

static bool captures_values(struct captures *c, const pcre *code, term values)
{
    struct name_table names;

    c->which = CAP_THESE;
    switch (values) {
    case am_all:
        c->which = CAP_ALL;
        return true;
    case am_all_but_first:
        c->which = CAP_ALL_BUT_FIRST;
        return true;
    case am_first:
        captures_add(c, 0);
        return true;
    case am_none:
    case TERM_NIL:
        c->type = CAP_NONE;
        return true;
    case am_all_names:
        if (!name_table(code, &names))
            return false;
        for (int i = 0; i < names.n; i++) {
            const char *e = names.entry + (size_t)i * (size_t)names.size;

            if (!names.dupnames)
                captures_add(c, entry_group(e));
            else if (!name_repeats(&names, i))
                captures_add_name(c, code, e + 2, true);
        }
        if (names.n == 0)
            c->type = CAP_NONE;
        return true;
    default:
        break;
    }
    if (!term_is_cons(values) || !name_table(code, &names))
        return false;
    for (; term_is_cons(values); values = cons_tail(values)) {
        if (!captures_add_value(c, code, &names, cons_head(values)))
            return false;
    }
    return term_is_nil(values);
}

static bool captures_parse(struct captures *c, const pcre *code,
                           const struct options *o)
{
    *c = (struct captures){.type = CAP_INDEX, .which = CAP_ALL};
    if (!(o->flags & OPT_CAPTURE))
        return true;
    switch (o->capture_type) {
    case am_index:
        c->type = CAP_INDEX;
        break;
    case am_list:
        c->type = CAP_LIST;
        break;
    case am_binary:
        c->type = CAP_BINARY;
        break;
    default:
        return false;
    }
    return captures_values(c, code, o->capture);
}

/* Matching */

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
    struct captures captures;
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

    if (m->captures.type == CAP_INDEX) {
        term *hp = heap_alloc(p, 3);

        return put_tuple2(&hp, small_make(from), small_make(n));
    }
    if (from < 0)
        from = n = 0;
    if (m->captures.type == CAP_LIST)
        return bytes_to_list(p, m->subject + from, (size_t)n);
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
    const struct captures *c = &m->captures;
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

static term cons(struct proc *p, term head, term tail)
{
    term *hp = heap_alloc(p, CONS_WORDS);

    return put_cons(&hp, head, tail);
}

/* match, or {match, Captures}. rc is how many groups PCRE has set. */
static term captured(struct proc *p, const struct match *m, int rc, term subject)
{
    const struct captures *c = &m->captures;
    term list = TERM_NIL;

    if (c->type == CAP_NONE)
        return am_match;
    if (c->which != CAP_THESE) {
        int first = c->which == CAP_ALL_BUT_FIRST;

        for (int i = rc - 1; i >= first; i--)
            list = cons(p, capture_value(p, m, i, subject), list);
    } else {
        int *groups = vm_alloc(ALLOC_SYSTEM, (c->n + 1) * sizeof *groups);
        size_t n = 0;

        for (size_t i = 0; i < c->n;)
            groups[n++] = next_group(m, &i, rc);
        for (; n > 0; n--)
            list = cons(p, capture_value(p, m, groups[n - 1], subject), list);
        vm_free(groups);
    }
    term *hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_match, list);
}

static term error_tuple(struct proc *p, term why)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, am_error, why);
}

/* What the BIF gives for PCRE's result. m is freed by the caller. */
static term result(struct proc *p, const struct match *m, int rc, term subject)
{
    if (rc > 0)
        return captured(p, m, rc, subject);
    switch (rc) {
    case PCRE_ERROR_MATCHLIMIT:
        return m->report_errors ? error_tuple(p, am_match_limit) : am_nomatch;
    case PCRE_ERROR_RECURSIONLIMIT:
        return m->report_errors ? error_tuple(p, am_match_limit_recursion)
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

    use_pcre();
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
static term run_code(struct proc *p, struct match *m, const struct options *o,
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

    int err = captures_parse(&m->captures, m->code, o)
                  ? take_subject(p, m, arg[0], &n)
                  : -EINVAL;
    if (err < 0) {
        match_free(&m->res);
        return compile_failed(p, err);
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
static bool needs_urun(const struct options *o, term subject)
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

static term run_text(struct proc *p, term *arg, term opts, const struct options *o)
{
    struct compiled c;
    bool unicode = o->flags & OPT_UNICODE;

    if (!term_is_bitstring(arg[1]) && !term_is_list(arg[1]))
        return bif_badarg(p);
    if (unicode && (!term_is_bitstring(arg[1]) || needs_urun(o, arg[0])))
        return trap_urun(p, arg, opts);
    int err = compile(p, arg[1], o->compile, &c);
    if (err < 0)
        return compile_failed(p, err);
    if (!c.code)
        return o->flags & OPT_REPORT_ERRORS ? compile_error(p, &c, am_compile)
                                            : bif_badarg(p);
    if (o->flags & OPT_GLOBAL) {
        term pattern = make_pattern(p, c.code, unicode);

        if (pattern == THE_NON_VALUE)
            return pattern;
        term *hp = heap_alloc(p, 4);
        term t = put_tuple3(&hp, opts, bool_make(o->flags & OPT_COMPILE), arg[1]);
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

/* A tuple that says it is a compiled pattern. */
static bool is_pattern(term t)
{
    return term_is_tuple_of(t, 5) && *tuple_at(t, 1) == am_re_pattern
           && term_is_small(*tuple_at(t, 2)) && term_is_small(*tuple_at(t, 3))
           && term_is_small(*tuple_at(t, 4)) && term_is_binary(*tuple_at(t, 5));
}

/* Is the code as large as it says it is? */
static bool code_is_whole(const void *code, size_t size)
{
    size_t says;
    pcre *copy;
    bool good;

    if (size < 64)              /* PCRE's header */
        return false;
    copy = vm_alloc(ALLOC_SYSTEM, size);    /* aligned */
    memcpy(copy, code, size);
    good = erts_pcre_fullinfo(copy, NULL, PCRE_INFO_SIZE, &says) == 0
           && says == size;
    vm_free(copy);
    return good;
}

static term run_compiled(struct proc *p, term *arg, term opts,
                         const struct options *o)
{
    struct binbytes b;

    if ((o->flags & OPT_COMPILE) || !is_pattern(arg[1]))
        return bif_badarg(p);
    if (*tuple_at(arg[1], 3) != small_make(0) && needs_urun(o, arg[0]))
        return trap_urun(p, arg, opts);
    if (o->flags & OPT_GLOBAL) {
        term *hp = heap_alloc(p, 3);

        return trap_grun(p, arg[0], arg[1], put_tuple2(&hp, opts, am_false));
    }
    int64_t groups = small_value(*tuple_at(arg[1], 2));
    if (groups < 0 || groups > GROUPS_MAX || !binary_bytes(*tuple_at(arg[1], 5), &b))
        return bif_badarg(p);
    if (!code_is_whole(b.data, b.size)) {
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
    struct options o;

    if (!parse_options(&o, opts))
        return bad_options(p);
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

/* {namelist, Names} of a compiled pattern. */
BIF(re, inspect, 2)
{
    struct name_table names;
    struct binbytes b;
    term list = TERM_NIL;

    if (!is_pattern(arg[0]) || arg[1] != am_namelist)
        return bif_badarg(p);
    binary_bytes(*tuple_at(arg[0], 5), &b);
    pcre *code = NULL;
    if (code_is_whole(b.data, b.size)) {
        code = vm_alloc(ALLOC_SYSTEM, b.size);
        memcpy(code, b.data, b.size);
    }
    binary_bytes_end(&b);
    if (!code || !name_table(code, &names)) {
        vm_free(code);
        return bif_badarg(p);
    }
    for (int i = names.n - 1; i >= 0; i--) {
        const char *name = names.entry + (size_t)i * (size_t)names.size + 2;

        if (!name_repeats(&names, i))
            list = cons(p, binary_from(p, name, strlen(name)), list);
    }
    vm_free(code);
    term *hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_namelist, list);
}
