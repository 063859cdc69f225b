/*
 * re_compile.c - regular expressions: patterns, and their code.
 *
 * A compiled pattern is a binary in a tuple, as in OTP, so it can be a literal
 * or come from a file. Its code is checked no further than OTP does: its magic
 * number and its size.
 */
#include "bif/re.h"
#include "vm/binary.h"

#include <errno.h>

/* Of the C stack, for PCRE's compiler, which recurses on parentheses. */
#define COMPILE_STACK_BYTES (256 * 1024)

static void *re_alloc(size_t n)
{
    return vm_try_alloc(ALLOC_SYSTEM, n);
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

void re_use_pcre(void)
{
    erts_pcre_malloc = re_alloc;
    erts_pcre_free = vm_free;
    erts_pcre_stack_malloc = re_alloc;
    erts_pcre_stack_free = vm_free;
    erts_pcre_stack_guard = stack_guard;
}

int re_compile(struct proc *p, term pattern, int options, struct re_compiled *c)
{
    size_t n;
    char *s;

    *c = (struct re_compiled){.message = ""};
    if (iolist_size(pattern, &n) < 0)
        return -EINVAL;
    s = vm_try_alloc(ALLOC_SYSTEM, n + 1);
    if (!s)
        return -ENOMEM;
    iolist_copy(pattern, (uint8_t *)s);
    s[n] = '\0';
    re_use_pcre();
    compile_stack = (uintptr_t)__builtin_frame_address(0);
    c->code = erts_pcre_compile2(s, options, &c->error, &c->message, &c->offset,
                                 NULL);
    vm_free(s);
    bif_spend(p, n, LOOPS_PER_RED);
    return 0;
}

term re_compile_failed(struct proc *p, int err)
{
    return bif_error(p, err == -ENOMEM ? am_system_limit : am_badarg);
}

term re_bytes_to_list(struct proc *p, const char *s, size_t n)
{
    term *hp = heap_alloc(p, n * CONS_WORDS), list = TERM_NIL;

    while (n > 0) {
        n--;
        list = put_cons(&hp, small_make((uint8_t)s[n]), list);
    }
    return list;
}

term re_compile_error(struct proc *p, const struct re_compiled *c, term tag)
{
    term t = re_bytes_to_list(p, c->message, strlen(c->message));

    t = build_tuple2(p, t, small_make(c->offset));
    if (!term_is_nil(tag))
        t = build_tuple2(p, tag, t);
    return build_tuple2(p, am_error, t);
}

term re_pattern_make(struct proc *p, pcre *code, bool unicode)
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

bool re_is_pattern(term t)
{
    return term_is_tuple_of(t, 5) && *tuple_at(t, 1) == am_re_pattern
           && term_is_small(*tuple_at(t, 2)) && term_is_small(*tuple_at(t, 3))
           && term_is_small(*tuple_at(t, 4)) && term_is_binary(*tuple_at(t, 5));
}

bool re_code_is_whole(const void *code, size_t size)
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

static term do_compile(struct proc *p, term *arg, term opts)
{
    struct re_options o;
    struct re_compiled c;

    if (!re_options_parse(&o, opts) || (o.flags & OPT_EXEC))
        return re_bad_options(p);
    if ((o.flags & OPT_UNICODE) && !term_is_bitstring(arg[0])) {
        term args[2] = {arg[0], opts};

        return bif_trap(p, EXP("re", "ucompile", 2), args, 2);
    }
    int err = re_compile(p, arg[0], o.compile, &c);
    if (err < 0)
        return re_compile_failed(p, err);
    if (!c.code)
        return re_compile_error(p, &c, TERM_NIL);
    term t = re_pattern_make(p, c.code, o.flags & OPT_UNICODE);
    return t == THE_NON_VALUE ? t : build_tuple2(p, am_ok, t);
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
