/*
 * convert.c - integers and floats from and to lists of characters and binaries.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/slice.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Characters of a bignum made or read per reduction; OTP's figure. */
#define CHARS_PER_RED 16

/* Text up to this size is kept in the frame. */
#define TEXT_LOCAL 128

#define PACE 1024               /* cells, until time is looked at */
#define CELL_NS 3

/* Room for n bytes: buf, or from the allocator; NULL if it has no more. */
static char *room_get(char *buf, size_t n)
{
    return n <= TEXT_LOCAL ? buf : vm_try_alloc(ALLOC_SYSTEM, n);
}

static void room_put(char *buf, char *room)
{
    if (room != buf)
        vm_free(room);
}

/* The characters of s in front of tail. */
static term list_of_text(struct proc *p, const char *s, size_t n)
{
    term *hp = heap_alloc_big(p, n * CONS_WORDS);
    term list = TERM_NIL;

    if (!hp)
        return bif_error(p, am_system_limit);
    while (n > 0) {
        list = put_cons(&hp, small_make((unsigned char)s[--n]), list);
        if (unlikely(n % PACE == 0))
            slice(PACE * CELL_NS);
    }
    return list;
}

/* --- integers to text ---------------------------------------------------- */

static bool base_of(term t, unsigned *base)
{
    if (!term_is_small(t) || small_value(t) < 2 || small_value(t) > 36)
        return false;
    *base = (unsigned)small_value(t);
    return true;
}

static term binary_of_text(struct proc *p, const char *s, size_t n)
{
    term t = binary_from(p, s, n);

    return t == THE_NON_VALUE ? bif_error(p, am_system_limit) : t;
}

static inline term int_text_now(struct proc *p, term i, unsigned base,
                                term (*make)(struct proc *, const char *, size_t))
{
    char local[TEXT_LOCAL], *s;
    size_t n;
    term t;

    if (!term_is_integer(i))
        return bif_badarg(p);
    s = room_get(local, int_text_max(i, base));
    if (!s)
        return bif_error(p, am_system_limit);
    n = int_to_text(i, base, s);
    t = make(p, s, n);
    room_put(local, s);
    bif_spend(p, n, CHARS_PER_RED);
    return t;
}

static __attribute__((noinline)) term
int_text_sliced(struct proc *p, term i, unsigned base,
                term (*make)(struct proc *, const char *, size_t))
{
    SLICED(p, NULL);

    return int_text_now(p, i, base, make);
}

static term int_text(struct proc *p, term i, unsigned base,
                     term (*make)(struct proc *, const char *, size_t))
{
    return unlikely(term_is_big(i)) ? int_text_sliced(p, i, base, make)
                                    : int_text_now(p, i, base, make);
}

BIF(erlang, integer_to_list, 1)
{
    return int_text(p, arg[0], 10, list_of_text);
}

BIF(erlang, integer_to_list, 2)
{
    unsigned base;

    if (!base_of(arg[1], &base))
        return bif_badarg(p);
    return int_text(p, arg[0], base, list_of_text);
}

BIF(erlang, integer_to_binary, 1)
{
    return int_text(p, arg[0], 10, binary_of_text);
}

BIF(erlang, integer_to_binary, 2)
{
    unsigned base;

    if (!base_of(arg[1], &base))
        return bif_badarg(p);
    return int_text(p, arg[0], base, binary_of_text);
}

/* --- integers from text -------------------------------------------------- */

/* The value of a character as a digit; at least 36 if it is none. */
static inline unsigned digit_value(term t)
{
    uint64_t c = (uint64_t)small_value(t);

    if (!term_is_small(t))
        return 36;
    if (c - '0' < 10)
        return (unsigned)(c - '0');
    /* Capitals and small letters differ in one bit. */
    c |= 'a' - 'A';
    return c - 'a' < 26 ? (unsigned)(c - 'a') + 10 : 36;
}

/*
 * The integer a list begins with; *rest is what follows it. False: it begins
 * with none. *value is THE_NON_VALUE if it is too large.
 */
static bool int_from_list(struct proc *p, term list, unsigned base, term *value,
                          term *rest)
{
    SLICED(p, NULL);

    char local[TEXT_LOCAL], *s;
    term from = list, t;
    size_t n = 0, i = 0;
    uint64_t v = 0;
    bool sign;

    if (!term_is_cons(list))
        return false;
    sign = cons_head(list) == small_make('-') || cons_head(list) == small_make('+');
    if (sign)
        list = cons_tail(list);
    for (t = list; term_is_cons(t); t = cons_tail(t), n++) {
        unsigned c = digit_value(cons_head(t));

        if (c >= base)
            break;
        if (unlikely(n % PACE == PACE - 1))
            slice(PACE * CELL_NS);
        v = v * base + c;
    }
    if (n == 0)
        return false;
    *rest = t;
    /* Not so many that v overflowed: most numbers end here. */
    if (n * (64 - (unsigned)__builtin_clzll(base - 1)) < SMALL_BITS) {
        int64_t i64 = (int64_t)v;

        *value = small_make(cons_head(from) == small_make('-') ? -i64 : i64);
        return true;
    }
    n += sign;
    s = room_get(local, n);
    if (!s) {
        *value = bif_error(p, am_system_limit);
        return true;
    }
    for (t = from; i < n; t = cons_tail(t)) {
        s[i++] = (char)small_value(cons_head(t));
        if (unlikely(i % PACE == 0))
            slice(PACE * CELL_NS);
    }
    *value = int_from_text(p, s, n, base);
    room_put(local, s);
    bif_spend(p, n, CHARS_PER_RED);
    return true;
}

static term list_to_integer(struct proc *p, term list, unsigned base)
{
    term value, rest;

    if (!int_from_list(p, list, base, &value, &rest) || !term_is_nil(rest))
        return bif_badarg(p);
    return value;
}

BIF(erlang, list_to_integer, 1)
{
    return list_to_integer(p, arg[0], 10);
}

BIF(erlang, list_to_integer, 2)
{
    unsigned base;

    if (!base_of(arg[1], &base))
        return bif_badarg(p);
    return list_to_integer(p, arg[0], base);
}

/* {Integer, Rest}, or {error, no_integer | not_a_list}. */
BIF(string, list_to_integer, 1)
{
    term value, rest;

    if (!term_is_list(arg[0]))
        return build_tuple2(p, am_error, am_not_a_list);
    if (!int_from_list(p, arg[0], 10, &value, &rest))
        return build_tuple2(p, am_error, am_no_integer);
    return value == THE_NON_VALUE ? value : build_tuple2(p, value, rest);
}

static term binary_to_integer(struct proc *p, term bin, unsigned base)
{
    struct binbytes b;
    term t;

    if (!binary_bytes(bin, &b))
        return bif_badarg(p);
    SLICED(p, NULL);

    t = int_from_text(p, (const char *)b.data, b.size, base);
    bif_spend(p, b.size, CHARS_PER_RED);
    binary_bytes_end(&b);
    return t;
}

BIF(erlang, binary_to_integer, 1)
{
    return binary_to_integer(p, arg[0], 10);
}

BIF(erlang, binary_to_integer, 2)
{
    unsigned base;

    if (!base_of(arg[1], &base))
        return bif_badarg(p);
    return binary_to_integer(p, arg[0], base);
}

/* --- floats to text ------------------------------------------------------ */

/* OTP's buffer, and thus its limit: what has more characters is badarg. */
#define FLOAT_TEXT_MAX 256
#define FLOAT_DEFAULT_DECIMALS 20

/* Cut zeros at the end, but leave one behind the point. */
static size_t text_compact(char *s, size_t n)
{
    while (n > 0 && s[n - 1] == '0')
        n--;
    if (n > 0 && s[n - 1] == '.')
        s[n++] = '0';
    return n;
}

/*
 * With a fixed number of decimals. OTP rounds the digits behind the point in
 * double arithmetic, half away from zero, as long as they and the whole part
 * fit 64 bits; else it prints exactly. The first way is not always what printf
 * would show ({decimals, 2} of 1.005 is "1.00", of 0.285 "0.28" or "0.29"
 * depending on the product), so it is done here as it is there.
 */
static int text_fixed(double d, int decimals, bool compact, char *s)
{
    static const double power10[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,
        1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    };
    const char *sign = signbit(d) ? "-" : "";
    double a = fabs(d);
    size_t n;

    if (decimals < 0)
        return -1;
    if (a > 0x1p53 || (size_t)decimals >= sizeof power10 / sizeof *power10) {
        int len = snprintf(s, FLOAT_TEXT_MAX, "%.*f", decimals, d);

        if (len < 0 || len >= FLOAT_TEXT_MAX)
            return -1;
        n = (size_t)len;
        return (int)(compact ? text_compact(s, n) : n);
    }
    if (decimals == 0)
        return snprintf(s, FLOAT_TEXT_MAX, "%s%lld", sign, llround(a));

    double whole = floor(a);
    double part = round((a - whole) * power10[decimals]);

    if (part >= power10[decimals]) {
        whole += 1;
        part = 0;
    }
    n = (size_t)snprintf(s, FLOAT_TEXT_MAX, "%s%llu.%0*llu", sign,
                         (unsigned long long)whole, decimals,
                         (unsigned long long)part);
    return (int)(compact ? text_compact(s, n) : n);
}

/* The text of a float by options; its length, or < 0: badarg. */
static int float_text(term f, term options, char *s)
{
    enum { SCIENTIFIC, FIXED, SHORT } how = SCIENTIFIC;
    int decimals = FLOAT_DEFAULT_DECIMALS, n;
    bool compact = false;

    if (!term_is_float(f))
        return -1;
    for (; term_is_cons(options); options = cons_tail(options)) {
        term o = cons_head(options);

        if (o == am_compact) {
            compact = true;
        } else if (o == am_short) {
            how = SHORT;
        } else if (term_is_tuple_of(o, 2) && term_is_small(*tuple_at(o, 2))
                   && (*tuple_at(o, 1) == am_decimals
                       || *tuple_at(o, 1) == am_scientific)) {
            how = *tuple_at(o, 1) == am_decimals ? FIXED : SCIENTIFIC;
            decimals = (int)small_value(*tuple_at(o, 2));
        } else {
            return -1;
        }
    }
    if (!term_is_nil(options))
        return -1;
    switch (how) {
    case SHORT:
        return (int)double_to_text(float_value(f), s);
    case FIXED:
        return text_fixed(float_value(f), decimals, compact, s);
    default:
        n = snprintf(s, FLOAT_TEXT_MAX, "%.*e", decimals, float_value(f));
        return n < FLOAT_TEXT_MAX ? n : -1;
    }
}

static term float_to(struct proc *p, term f, term options,
                     term (*make)(struct proc *, const char *, size_t))
{
    char s[FLOAT_TEXT_MAX];
    int n = float_text(f, options, s);

    return n <= 0 ? bif_badarg(p) : make(p, s, (size_t)n);
}

BIF(erlang, float_to_list, 1)
{
    return float_to(p, arg[0], TERM_NIL, list_of_text);
}

BIF(erlang, float_to_list, 2)
{
    return float_to(p, arg[0], arg[1], list_of_text);
}

BIF(erlang, float_to_binary, 1)
{
    return float_to(p, arg[0], TERM_NIL, binary_of_text);
}

BIF(erlang, float_to_binary, 2)
{
    return float_to(p, arg[0], arg[1], binary_of_text);
}

/* --- floats from text ---------------------------------------------------- */

static bool is_digit(int64_t c)
{
    return c >= '0' && c <= '9';
}

static size_t skip_digits(const char *s, size_t at)
{
    while (is_digit(s[at]))
        at++;
    return at;
}

static bool is_sign(char c)
{
    return c == '+' || c == '-';
}

/*
 * How much of s, which ends with a NUL, is a float:
 *    [+-] digits [.,] digits [ [eE] [+-] digits ]
 * A comma becomes a point, which is what strtod reads. 0: none.
 */
static size_t float_length(char *s)
{
    size_t at = is_sign(s[0]), end = skip_digits(s, at), e;

    if (end == at || (s[end] != '.' && s[end] != ','))
        return 0;
    s[end] = '.';
    at = end + 1;
    end = skip_digits(s, at);
    if (end == at)
        return 0;
    if (s[end] == 'e' || s[end] == 'E') {
        at = end + 1;
        at += is_sign(s[at]);
        e = skip_digits(s, at);
        if (e > at)
            end = e;
    }
    return end;
}

/* s[0..n) as float_length() found it. Too small is zero; too large, false. */
static bool float_parse(char *s, size_t n, double *d)
{
    s[n] = '\0';
    *d = strtod(s, NULL);
    return isfinite(*d);
}

static term float_make_checked(struct proc *p, char *s, size_t n)
{
    double d;
    term *hp;

    if (n == 0 || float_length(s) != n || !float_parse(s, n, &d))
        return bif_badarg(p);
    hp = heap_alloc(p, FLOAT_WORDS);
    return float_make(&hp, d);
}

/*
 * Whether a character can be part of a float; a list is copied as far as they
 * go, so that what follows a float does not count.
 */
static bool is_float_char(term t)
{
    int64_t c;

    if (!term_is_small(t))
        return false;
    c = small_value(t);
    return is_digit(c) || c == '+' || c == '-' || c == '.' || c == ',' || c == 'e'
           || c == 'E';
}

/*
 * The leading characters of a list that can be part of a float, with a NUL.
 * *rest is what follows them. NULL: no memory.
 */
static char *float_chars(term list, char *local, size_t *n, term *rest)
{
    size_t i = 0;
    term t;
    char *s;

    for (t = list; term_is_cons(t) && is_float_char(cons_head(t)); t = cons_tail(t))
        i++;
    *n = i;
    *rest = t;
    s = room_get(local, i + 1);
    if (!s)
        return NULL;
    for (t = list, i = 0; i < *n; t = cons_tail(t))
        s[i++] = (char)small_value(cons_head(t));
    s[i] = '\0';
    return s;
}

BIF(erlang, list_to_float, 1)
{
    char local[TEXT_LOCAL], *s;
    term rest, t;
    size_t n;

    s = float_chars(arg[0], local, &n, &rest);
    if (!s)
        return bif_error(p, am_system_limit);
    t = term_is_nil(rest) ? float_make_checked(p, s, n) : bif_badarg(p);
    room_put(local, s);
    return t;
}

BIF(erlang, binary_to_float, 1)
{
    char local[TEXT_LOCAL], *s;
    struct binbytes b;
    term t;

    if (!binary_bytes(arg[0], &b))
        return bif_badarg(p);
    s = room_get(local, b.size + 1);
    if (s) {
        memcpy(s, b.data, b.size);
        s[b.size] = '\0';
        t = float_make_checked(p, s, b.size);
        room_put(local, s);
    } else {
        t = bif_error(p, am_system_limit);
    }
    binary_bytes_end(&b);
    return t;
}

/* {Float, Rest}, or {error, no_float | not_a_list}. */
BIF(string, list_to_float, 1)
{
    char local[TEXT_LOCAL], *s;
    term list = arg[0], rest, *hp;
    size_t n;
    double d;
    bool ok;

    if (!term_is_list(list))
        return build_tuple2(p, am_error, am_not_a_list);
    s = float_chars(list, local, &n, &rest);
    if (!s)
        return bif_error(p, am_system_limit);
    n = float_length(s);
    ok = n > 0 && float_parse(s, n, &d);
    room_put(local, s);
    if (!ok)
        return build_tuple2(p, am_error, am_no_float);
    for (; n > 0; n--)
        list = cons_tail(list);
    hp = heap_alloc(p, FLOAT_WORDS + 3);
    term f = float_make(&hp, d);
    return put_tuple2(&hp, f, list);
}
