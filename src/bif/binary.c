/*
 * binary.c - the module binary: searching, splitting, copying, integers.
 */
#include "bif/bif.h"
#include "bif/search.h"
#include "vm/big.h"
#include "vm/bitfield.h"
#include "vm/bitsyntax.h"
#include "vm/slice.h"

#define BYTES_PER_RED 500       /* searched or compared */
#define COPY_PER_RED 4096
/* To build what tells of a hit, and of a part: most of it is the memory's, new. */
#define HIT_NS 20
#define PART_NS 60
#define PACE 1024               /* bytes compared until time is looked at */

/* A compiled pattern: {bm, Ref} of one string, {ac, Ref} of several. */
struct pattern {
    struct resource res;
    struct search search;
};
static const char pattern_type;

static void pattern_free(struct resource *r)
{
    struct pattern *pat = (struct pattern *)r;

    search_fini(&pat->search);
    vm_free(pat);
}

static bool add_string(struct search *s, term t)
{
    struct binbytes b;
    bool good;

    if (!binary_bytes(t, &b))
        return false;
    good = b.size > 0 && search_add(s, b.data, b.size);
    binary_bytes_end(&b);
    return good;
}

/* A pattern from a binary or a list of them, none empty. */
static bool build_search(struct search *s, term t)
{
    bool good;

    search_init(s);
    if (term_is_cons(t)) {
        for (good = true; good && term_is_cons(t); t = cons_tail(t))
            good = add_string(s, cons_head(t));
        good = good && term_is_nil(t);
    } else {
        good = add_string(s, t);
    }
    if (good && search_prepare(s))
        return true;
    search_fini(s);
    return false;
}

BIF(binary, compile_pattern, 1)
{
    SLICED(p, EXP("binary", "compile_pattern", 1));

    struct pattern *pat = vm_alloc(ALLOC_SYSTEM, sizeof *pat);

    if (!build_search(&pat->search, arg[0])) {
        vm_free(pat);
        return bif_badarg(p);
    }
    pat->res = (struct resource){
        .refc = 1,
        .free = pattern_free,
        .type = &pattern_type,
    };
    term *hp = heap_alloc(p, MAGIC_WORDS + 3);
    struct dest d = {.htop = hp, .off = &p->heap.off};
    term ref = magic_put(&d, &pat->res);
    return put_tuple2(&d.htop, pat->search.one ? am_bm : am_ac, ref);
}

/* A compiled pattern or one to be compiled into *own. NULL: badarg. */
static const struct search *get_search(term t, struct search *own)
{
    if (!term_is_tuple(t))
        return build_search(own, t) ? own : NULL;
    if (!term_is_tuple_of(t, 2))
        return NULL;
    const struct pattern *pat
        = (const struct pattern *)magic_resource(*tuple_at(t, 2), &pattern_type);
    if (!pat || *tuple_at(t, 1) != (pat->search.one ? am_bm : am_ac))
        return NULL;
    return &pat->search;
}

/* {scope, {Pos, Len}}, within a binary of n bytes. */
static bool scope_option(term t, size_t n, size_t *from, size_t *to)
{
    uint64_t pos;
    int64_t len;

    if (!term_is_tuple_of(t, 2) || *tuple_at(t, 1) != am_scope
        || !term_is_tuple_of(*tuple_at(t, 2), 2))
        return false;
    t = *tuple_at(t, 2);
    if (!term_to_uint64(*tuple_at(t, 1), &pos)
        || !term_to_int64(*tuple_at(t, 2), &len))
        return false;
    if (len < 0) {
        if (len == INT64_MIN || (uint64_t)-len > pos)
            return false;
        len = -len;
        pos -= (uint64_t)len;
    }
    if (pos > n || (uint64_t)len > n - pos)
        return false;
    *from = pos;
    *to = pos + (uint64_t)len;
    return true;
}

enum find_flags { FIND_ALL = 1, FIND_TRIM = 2, FIND_TRIM_ALL = 4 };

static bool split_flag(term t, unsigned *flags)
{
    if (t == am_global)
        *flags |= FIND_ALL;
    else if (t == am_trim)
        *flags |= FIND_TRIM;
    else if (t == am_trim_all)
        *flags |= FIND_TRIM_ALL;
    else
        return false;
    return true;
}

/*
 * Search arg[0] for arg[1] with options opts (split's: with flags). False
 * after badarg. An empty scope finds nothing, whatever the pattern is.
 */
static bool find(struct proc *p, term *arg, term opts, bool split,
                 unsigned *flags, struct search_hits *hits)
{
    struct search own = {0};
    struct binbytes b;
    size_t from = 0, to;
    bool good = true;

    *hits = (struct search_hits){0};
    if (!binary_bytes(arg[0], &b)) {
        bif_badarg(p);
        return false;
    }
    to = b.size;
    /* Something else than a list is wrong; as the tail of one it is not seen. */
    good = term_is_list(opts);
    for (; good && term_is_cons(opts); opts = cons_tail(opts)) {
        good = (split && split_flag(cons_head(opts), flags))
               || scope_option(cons_head(opts), b.size, &from, &to);
    }

    if (good && to > 0) {
        const struct search *s = get_search(arg[1], &own);

        good = s != NULL;
        if (good && !search_run(s, b.data, from, to, *flags & FIND_ALL, hits)) {
            binary_bytes_end(&b);
            if (s == &own)
                search_fini(&own);
            bif_error(p, am_system_limit);
            return false;
        }
        if (s == &own)
            search_fini(&own);
        bif_spend(p, to - from, BYTES_PER_RED);
    }
    binary_bytes_end(&b);
    if (!good)
        bif_badarg(p);
    return good;
}

#define HIT_WORDS (3 + 2 * BIG_INT64_WORDS)

static term put_hit(term **hp, struct search_hit h)
{
    term at = uint64_put(hp, h.at), n = uint64_put(hp, h.n);

    return put_tuple2(hp, at, n);
}

static term match(struct proc *p, term *arg, term opts)
{
    struct search_hits hits;
    unsigned flags = 0;
    term t = am_nomatch;

    if (!find(p, arg, opts, false, &flags, &hits))
        return THE_NON_VALUE;
    if (hits.n > 0) {
        term *hp = heap_alloc(p, HIT_WORDS);

        t = put_hit(&hp, hits.hit[0]);
        heap_trim(p, hp);
    }
    search_hits_fini(&hits);
    return t;
}

static term matches(struct proc *p, term *arg, term opts)
{
    struct search_hits hits;
    unsigned flags = FIND_ALL;
    term list = TERM_NIL;

    if (!find(p, arg, opts, false, &flags, &hits))
        return THE_NON_VALUE;
    if (hits.n > 0) {
        term *hp = heap_alloc_big(p, hits.n * (HIT_WORDS + CONS_WORDS));

        if (!hp) {
            search_hits_fini(&hits);
            return bif_error(p, am_system_limit);
        }
        for (size_t i = hits.n; i > 0; i--) {
            term t = put_hit(&hp, hits.hit[i - 1]);

            list = put_cons(&hp, t, list);
            slice(HIT_NS);
        }
        heap_trim(p, hp);
    }
    search_hits_fini(&hits);
    return list;
}

BIF(binary, match, 2)
{
    SLICED(p, EXP("binary", "match", 2));

    return match(p, arg, TERM_NIL);
}

BIF(binary, match, 3)
{
    SLICED(p, EXP("binary", "match", 3));

    return match(p, arg, arg[2]);
}

BIF(binary, matches, 2)
{
    SLICED(p, EXP("binary", "matches", 2));

    return matches(p, arg, TERM_NIL);
}

BIF(binary, matches, 3)
{
    SLICED(p, EXP("binary", "matches", 3));

    return matches(p, arg, arg[2]);
}

/*
 * The list is built from its end. Trimming drops empty parts there until one
 * is not empty, or everywhere.
 */
static term split(struct proc *p, term *arg, term opts)
{
    struct search_hits hits;
    unsigned flags = 0;
    term list = TERM_NIL;

    if (!find(p, arg, opts, true, &flags, &hits))
        return THE_NON_VALUE;

    struct bits b = bits_of(arg[0]);
    bool trim = flags & (FIND_TRIM | FIND_TRIM_ALL);
    uint64_t end = b.size / 8;
    for (size_t i = hits.n + 1; i > 0; i--) {
        uint64_t from = i > 1 ? hits.hit[i - 2].at + hits.hit[i - 2].n : 0;
        uint64_t size = (end - from) * 8;

        if (size > 0 || !trim) {
            term *hp = heap_alloc_big(p, bits_extract_words(size) + CONS_WORDS);

            if (!hp) {
                search_hits_fini(&hits);
                return bif_error(p, am_system_limit);
            }
            term part = size == b.size && hits.n == 0
                            ? arg[0]
                            : bits_extract(&hp, b, from * 8, size);
            list = put_cons(&hp, part, list);
            heap_trim(p, hp);
            if (!(flags & FIND_TRIM_ALL))
                trim = false;
            slice(PART_NS);
        }
        if (i > 1)
            end = hits.hit[i - 2].at;
    }
    search_hits_fini(&hits);
    return list;
}

BIF(binary, split, 2)
{
    SLICED(p, EXP("binary", "split", 2));

    return split(p, arg, TERM_NIL);
}

BIF(binary, split, 3)
{
    SLICED(p, EXP("binary", "split", 3));

    return split(p, arg, arg[2]);
}

/* One byte of a binary, by index. */
static term byte_at(struct proc *p, term bin, bool last, uint64_t index)
{
    if (!term_is_binary(bin))
        return bif_badarg(p);
    struct bits b = bits_of(bin);
    uint64_t n = b.size / 8;
    if (last)
        index = n - 1;
    if (n == 0 || index >= n)
        return bif_badarg(p);
    return small_make((int64_t)bits_load(b.base, b.offset + index * 8, 8));
}

BIF(binary, first, 1)
{
    return byte_at(p, arg[0], false, 0);
}

BIF(binary, last, 1)
{
    return byte_at(p, arg[0], true, 0);
}

BIF(binary, at, 2)
{
    uint64_t index;

    if (!term_to_uint64(arg[1], &index))
        return bif_badarg(p);
    return byte_at(p, arg[0], false, index);
}

static term copy(struct proc *p, term bin, uint64_t times)
{
    struct binbytes b;
    uint8_t *data;
    size_t total;

    if (!binary_bytes(bin, &b))
        return bif_badarg(p);
    term t = THE_NON_VALUE;
    if (!__builtin_mul_overflow(b.size, times, &total)
        && total <= BINARY_MAX_BITS / 8)
        t = binary_new(p, total, &data);
    if (t == THE_NON_VALUE) {
        binary_bytes_end(&b);
        return bif_error(p, am_system_limit);
    }
    /* Doubling what is there: few and large copies. */
    if (total > 0) {
        size_t have = b.size;

        slice_copy(data, b.data, b.size);
        for (; have < total; have *= 2) {
            size_t n = have < total - have ? have : total - have;
            slice_copy(data + have, data, n);
        }
    }
    binary_bytes_end(&b);
    bif_spend(p, total, COPY_PER_RED);
    return t;
}

BIF(binary, copy, 1)
{
    SLICED(p, EXP("binary", "copy", 1));

    return copy(p, arg[0], 1);
}

BIF(binary, copy, 2)
{
    SLICED(p, EXP("binary", "copy", 2));

    uint64_t times;

    if (!term_to_uint64(arg[1], &times))
        return bif_badarg(p);
    return copy(p, arg[0], times);
}

BIF(binary, referenced_byte_size, 1)
{
    if (!term_is_bitstring(arg[0]))
        return bif_badarg(p);
    term orig = bits_of(arg[0]).orig;
    if (boxed_is(orig, BOX_REFCBIN)) {
        struct refcbin_words *r = (struct refcbin_words *)boxed_ptr(orig);

        return uint64_make(p, r->bin->capacity);
    }
    return uint64_make(p, ((struct heapbin_words *)boxed_ptr(orig))->size);
}

static bool byte_order(term t, bool *big)
{
    *big = t == am_big;
    return t == am_big || t == am_little;
}

static void reverse_bytes(uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        uint8_t c = s[i];

        s[i] = s[n - 1 - i];
        s[n - 1 - i] = c;
    }
}

static term encode_unsigned(struct proc *p, term v, term order)
{
    bool big;

    if (!byte_order(order, &big) || !term_is_integer(v)
        || (term_is_small(v) ? small_value(v) < 0 : big_negative(v)))
        return bif_badarg(p);

    uint64_t small = term_is_small(v) ? (uint64_t)small_value(v) : 0;
    const uint64_t *digit = term_is_small(v) ? &small : big_data(v);
    size_t digits = term_is_small(v) ? 1 : big_digits(v);
    uint64_t top = digit[digits - 1];
    size_t n = digits * 8 - (top ? (size_t)__builtin_clzll(top) / 8 : 7);
    uint8_t *data;
    term t = binary_new(p, n, &data);

    if (t == THE_NON_VALUE)
        return bif_error(p, am_system_limit);
    memcpy(data, digit, n);     /* digits are least significant first */
    if (big)
        reverse_bytes(data, n);
    bif_spend(p, n, COPY_PER_RED);
    return t;
}

static term decode_unsigned(struct proc *p, term bin, term order)
{
    struct binbytes b;
    bool big;

    if (!byte_order(order, &big) || !binary_bytes(bin, &b))
        return bif_badarg(p);

    size_t n = b.size;
    const uint8_t *s = b.data;
    for (; n > 0 && (big ? s[0] : s[n - 1]) == 0; n--)
        s += big;
    term t = THE_NON_VALUE;
    if (n <= BIG_MAX_DIGITS * 8) {
        term *hp = heap_alloc_big(p, big_bytes_words(n));
        uint8_t *le = big ? vm_try_alloc(ALLOC_SYSTEM, n ? n : 1) : NULL;

        if (hp && big && le) {
            memcpy(le, s, n);
            reverse_bytes(le, n);
            s = le;
        }
        if (hp && (!big || le))
            t = big_put_bytes(&hp, s, n, false);
        if (hp)
            heap_trim(p, hp);
        vm_free(le);
    }
    binary_bytes_end(&b);
    bif_spend(p, n, COPY_PER_RED);
    return t != THE_NON_VALUE ? t : bif_error(p, am_system_limit);
}

BIF(binary, encode_unsigned, 1)
{
    SLICED(p, EXP("binary", "encode_unsigned", 1));

    return encode_unsigned(p, arg[0], am_big);
}

BIF(binary, encode_unsigned, 2)
{
    SLICED(p, EXP("binary", "encode_unsigned", 2));

    return encode_unsigned(p, arg[0], arg[1]);
}

BIF(binary, decode_unsigned, 1)
{
    SLICED(p, EXP("binary", "decode_unsigned", 1));

    return decode_unsigned(p, arg[0], am_big);
}

BIF(binary, decode_unsigned, 2)
{
    SLICED(p, EXP("binary", "decode_unsigned", 2));

    return decode_unsigned(p, arg[0], arg[1]);
}

static uint8_t nth_byte(struct bits b, uint64_t i, bool from_end)
{
    uint64_t at = from_end ? b.size - (i + 1) * 8 : i * 8;

    return (uint8_t)bits_load(b.base, b.offset + at, 8);
}

/* How many bytes all the binaries of a list have in common at one end. */
static term longest_common(struct proc *p, term list, bool from_end)
{
    uint64_t common = UINT64_MAX;
    size_t work = 0;
    term t;

    for (t = list; term_is_cons(t); t = cons_tail(t)) {
        slice(10);
        if (!term_is_binary(cons_head(t)))
            return bif_badarg(p);
    }
    if (!term_is_nil(t) || term_is_nil(list))
        return bif_badarg(p);

    struct bits first = bits_of(cons_head(list));
    common = first.size / 8;
    for (t = cons_tail(list); term_is_cons(t); t = cons_tail(t)) {
        struct bits b = bits_of(cons_head(t));
        uint64_t n = b.size / 8 < common ? b.size / 8 : common, i = 0;

        while (i < n && nth_byte(first, i, from_end) == nth_byte(b, i, from_end))
            if (unlikely(++i % PACE == 0))
                slice(PACE * 10);
        common = i;
        work += i + 1;
    }
    bif_spend(p, work, BYTES_PER_RED);
    return uint64_make(p, common);
}

BIF(binary, longest_common_prefix, 1)
{
    SLICED(p, EXP("binary", "longest_common_prefix", 1));

    return longest_common(p, arg[0], false);
}

BIF(binary, longest_common_suffix, 1)
{
    SLICED(p, EXP("binary", "longest_common_suffix", 1));

    return longest_common(p, arg[0], true);
}
