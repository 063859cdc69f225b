/*
 * unicode.c - characters in lists and binaries to one binary or list.
 *
 * Everything goes through a buffer of UTF-8. Encodings other than UTF-8 and
 * Latin-1 are unicode.erl's, which is trapped to.
 *
 * What is wrong in the data is not an exception: the result is {error, Done,
 * Rest}, or {incomplete, Done, Rest} if the data may go on. Rest is the list
 * as it was, without what was done: at each level the rest of it.
 */
#include "bif/bif.h"
#include "bif/build.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/slice.h"
#include "vm/unicode.h"
#include "vm/wstack.h"

#define CHARS_PER_RED 40

/* Bytes looked at until time is. */
#define RUN_BYTES ((size_t)32 << 10)
#define PACE 1024               /* characters */

/* How many bytes have their upper bit set. */
static size_t count_high(const uint8_t *s, size_t n)
{
    size_t high = 0;

    for (size_t i = 0; i < n; i += RUN_BYTES) {
        size_t end = n - i < RUN_BYTES ? n : i + RUN_BYTES;

        for (size_t k = i; k < end; k++)
            high += s[k] >> 7;
        slice(end - i);
    }
    return high;
}

/* How many bytes from the front are ASCII; of very many, not all are counted. */
static size_t ascii_run(const uint8_t *s, size_t n)
{
    size_t i = 0;
    uint64_t w;

    if (n > RUN_BYTES)
        n = RUN_BYTES;
    slice(4);
    for (; n - i >= 8; i += 8) {
        memcpy(&w, s + i, 8);
        if (w & 0x8080808080808080)
            break;
    }
    while (i < n && s[i] < 0x80)
        i++;
    slice(i);
    return i;
}

/* Bytes of UTF-8 that a binary becomes. False: odd bits. */
static bool binary_need(term t, bool latin1, size_t *n)
{
    struct binbytes b;

    if (!binary_bytes(t, &b))
        return false;
    *n += b.size;
    if (latin1)
        *n += count_high(b.data, b.size);
    binary_bytes_end(&b);
    return true;
}

/*
 * Bytes of UTF-8 that will be enough. False if the data is of a wrong kind; a
 * number that is no character ends the count: that is told otherwise.
 */
static bool data_need(term t, bool latin1, size_t *n)
{
    struct wstack todo;
    bool good = term_is_list(t) || term_is_bitstring(t);

    *n = 0;
    wstack_init(&todo);
    wstack_push(&todo, t);
    while (good && todo.n > 0) {
        t = wstack_pop(&todo);
        while (good && term_is_cons(t)) {
            term head = cons_head(t);

            slice(3);
            t = cons_tail(t);
            if (term_is_small(head)) {
                /* What is no character gets any number. */
                *n += head < small_make(0x80) ? 1 : head < small_make(0x800) ? 2
                      : head < small_make(0x10000) ? 3 : UTF8_MAX;
            } else if (term_is_cons(head)) {
                wstack_push(&todo, t);
                t = head;
            } else if (term_is_bitstring(head)) {
                good = binary_need(head, latin1, n);
            } else if (term_is_big(head)) {
                wstack_fini(&todo);
                return true;
            } else {
                good = term_is_nil(head);
            }
        }
        if (good && !term_is_nil(t))
            good = term_is_bitstring(t) && binary_need(t, latin1, n);
    }
    wstack_fini(&todo);
    return good;
}

/* A conversion: what has been written, and a character cut in two. */
struct conversion {
    uint8_t *out;
    size_t size, chars;
    bool latin1;
    uint8_t cut[UTF8_MAX];
    unsigned cut_size;
};

/*
 * UTF-8 from a binary, whose first bytes may complete what the last one left.
 * Returns how many bytes were taken: fewer than n means an error there.
 */
static size_t take_utf8(struct conversion *c, const uint8_t *s, size_t n)
{
    size_t i = 0;
    uint32_t code;

    if (c->cut_size) {
        unsigned len = utf8_length(c->cut[0]), more = len - c->cut_size;

        if (n < more) {
            memcpy(c->cut + c->cut_size, s, n);
            c->cut_size += (unsigned)n;
            return n;
        }
        memcpy(c->cut + c->cut_size, s, more);
        if (!utf8_get(c->cut, len, &code))
            return 0;
        memcpy(c->out + c->size, c->cut, len);
        c->size += len;
        c->chars++;
        c->cut_size = 0;
        i = more;
    }
    /* From `from` on, what is good is copied in one go. */
    size_t from = i, chars = 0;
    while (i < n) {
        size_t run = ascii_run(s + i, n - i);
        unsigned len;

        i += run;
        chars += run;
        if (i == n)
            break;
        if (s[i] < 0x80)
            continue;
        len = utf8_get(s + i, n - i, &code);
        if (len == 0) {
            if (utf8_length(s[i]) <= n - i)
                break;
            memcpy(c->cut, s + i, n - i);
            c->cut_size = (unsigned)(n - i);
            break;
        }
        i += len;
        chars++;
    }
    slice_copy(c->out + c->size, s + from, i - from);
    c->size += i - from;
    c->chars += chars;
    return c->cut_size ? n : i;
}

/* False: *rest is the part of the binary where the error is. */
static bool take_binary(struct proc *p, struct conversion *c, term t, term *rest)
{
    struct binbytes b;

    if (!binary_bytes(t, &b)) {
        *rest = t;
        return false;
    }
    size_t size = b.size, taken = size;
    if (c->latin1) {
        for (size_t i = 0; i < size; i++) {
            c->size += utf8_put(c->out + c->size, b.data[i]);
            if (unlikely(i % PACE == PACE - 1))
                slice(PACE * 8);
        }
        c->chars += size;
    } else {
        taken = take_utf8(c, b.data, size);
    }
    binary_bytes_end(&b);
    if (taken == size)
        return true;
    *rest = binary_sub(p, t, (uint64_t)taken * 8, (uint64_t)(size - taken) * 8);
    return false;
}

static inline bool take_char(struct conversion *c, term t)
{
    if (c->cut_size || !term_is_small(t))
        return false;
    uint64_t code = (uint64_t)small_value(t);
    if (!unicode_valid(code) || (c->latin1 && code > 255))
        return false;
    c->size += utf8_put(c->out + c->size, (uint32_t)code);
    c->chars++;
    return true;
}

/* All of t. False: *rest is what was not taken. */
static bool take(struct proc *p, struct conversion *c, term t, term *rest)
{
    struct wstack todo;
    bool good = true;

    wstack_init(&todo);
    wstack_push(&todo, t);
    while (good && todo.n > 0) {
        t = wstack_pop(&todo);
        while (good && term_is_cons(t)) {
            term head = cons_head(t), tail = cons_tail(t);

            slice(8);
            if (term_is_cons(head)) {
                wstack_push(&todo, tail);
                t = head;
            } else if (term_is_bitstring(head)) {
                good = take_binary(p, c, head, rest);
                t = tail;
                if (!good)
                    *rest = build_cons(p, *rest, tail);
            } else if (term_is_nil(head) || take_char(c, head)) {
                t = tail;
            } else {
                good = false;
                *rest = t;
            }
        }
        if (good && !term_is_nil(t)) {
            if (term_is_bitstring(t)) {
                good = take_binary(p, c, t, rest);
            } else {
                good = false;
                *rest = t;
            }
        }
    }
    while (!good && todo.n > 0)
        *rest = build_cons(p, *rest, wstack_pop(&todo));
    wstack_fini(&todo);
    return good;
}

/* May the bytes be the beginning of a character? */
static bool may_go_on(const uint8_t *s, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return false;
    }
    return true;
}

/* What is in the buffer is sound. */
static term chars_to_list(struct proc *p, const struct conversion *c)
{
    const uint8_t *s = c->out, *end = s + c->size;
    term *hp;

    if (c->chars == 0)
        return TERM_NIL;
    hp = heap_alloc_big(p, c->chars * CONS_WORDS);
    if (!hp)
        return bif_error(p, am_system_limit);
    term list = cons_make(hp);
    for (size_t n = 1; s < end; n++) {
        uint32_t code = *s;

        if (unlikely(n % PACE == 0))
            slice(PACE * 6);
        if (code < 0x80)
            s++;
        else
            s += utf8_get_valid(s, &code);
        hp[0] = small_make(code);
        hp[1] = cons_make(hp + CONS_WORDS);
        hp += CONS_WORDS;
    }
    hp[-1] = TERM_NIL;
    return list;
}

/* The whole BIF, with a buffer of enough bytes. */
static term convert(struct proc *p, term data, bool latin1, bool to_list,
                    size_t need)
{
    struct conversion c = {.latin1 = latin1};
    uint8_t local[256];
    term rest = TERM_NIL, why = am_error;

    c.out = need <= sizeof local ? local : vm_try_alloc(ALLOC_BINARY, need);
    if (!c.out)
        return bif_error(p, am_system_limit);
    bool good = take(p, &c, data, &rest);
    term done = to_list ? chars_to_list(p, &c)
                        : binary_from(p, c.out, c.size);
    if (c.out != local)
        slice_free(c.out);
    bif_spend(p, c.chars, CHARS_PER_RED);
    if (done == THE_NON_VALUE)
        return bif_error(p, am_system_limit);

    if (c.cut_size) {
        term cut = binary_from(p, c.cut, c.cut_size);

        if (good) {
            good = false;
            rest = cut;
            if (may_go_on(c.cut, c.cut_size))
                why = am_incomplete;
        } else {
            rest = build_cons(p, cut, build_cons(p, rest, TERM_NIL));
        }
    }
    if (good)
        return done;
    term *hp = heap_alloc(p, 4);
    return put_tuple3(&hp, why, done, rest);
}

/* A binary that needs no conversion. */
static bool is_converted(struct proc *p, term t, bool latin1)
{
    struct binbytes b;
    uint32_t code;
    size_t i = 0;

    if (!binary_bytes(t, &b))
        return false;
    for (;;) {
        unsigned len;

        i += ascii_run(b.data + i, b.size - i);
        if (i < b.size && b.data[i] < 0x80)
            continue;
        if (latin1 || i == b.size)
            break;
        len = utf8_get(b.data + i, b.size - i, &code);
        if (len == 0)
            break;
        i += len;
    }
    bool all = i == b.size;
    bif_spend(p, i, CHARS_PER_RED * 2);
    binary_bytes_end(&b);
    return all;
}

static bool known_encoding(term t, bool *latin1)
{
    *latin1 = t == am_latin1;
    return *latin1 || t == am_utf8 || t == am_unicode;
}

BIF(unicode, characters_to_binary, 2)
{
    SLICED(p, EXP("unicode", "characters_to_binary", 2));

    term data = arg[0];
    size_t need;
    bool latin1;

    if (!known_encoding(arg[1], &latin1))
        return bif_trap(p, EXP("unicode", "characters_to_binary_int", 2), arg, 2);
    if (term_is_cons(data) && term_is_bitstring(cons_head(data))
        && term_is_nil(cons_tail(data)))
        data = cons_head(data);
    if (is_converted(p, data, latin1))
        return data;
    if (!data_need(data, latin1, &need))
        return bif_badarg(p);
    return convert(p, data, latin1, false, need);
}

/*
 * The characters of a binary, without a buffer between. THE_NON_VALUE, and
 * nothing done, if that is not simple: no binary, no memory, not all of it good.
 */
static term binary_to_chars(struct proc *p, term t, bool latin1)
{
    struct binbytes b;
    size_t chars = 0, i = 0;
    term *start, *hp;

    if (!binary_bytes(t, &b))
        return THE_NON_VALUE;
    for (size_t k = 0; k < b.size; k++) {
        chars += latin1 || (b.data[k] & 0xc0) != 0x80;
        if (unlikely(k % RUN_BYTES == RUN_BYTES - 1))
            slice(RUN_BYTES);
    }
    hp = start = heap_alloc_big(p, chars * CONS_WORDS);
    while (hp && i < b.size && chars > 0) {
        uint32_t code = b.data[i];
        unsigned len = latin1 ? 1 : utf8_get(b.data + i, b.size - i, &code);

        slice(6);
        if (len == 0)
            break;
        hp[0] = small_make(code);
        hp[1] = cons_make(hp + CONS_WORDS);
        hp += CONS_WORDS;
        i += len;
    }
    bool all = hp && i == b.size;
    binary_bytes_end(&b);
    if (!all) {
        if (start)
            heap_trim(p, start);
        return THE_NON_VALUE;
    }
    bif_spend(p, chars, CHARS_PER_RED);
    if (chars == 0)
        return TERM_NIL;
    hp[-1] = TERM_NIL;
    return cons_make(start);
}

BIF(unicode, characters_to_list, 2)
{
    SLICED(p, EXP("unicode", "characters_to_list", 2));

    size_t need;
    bool latin1;
    term list;

    if (!known_encoding(arg[1], &latin1))
        return bif_trap(p, EXP("unicode", "characters_to_list_int", 2), arg, 2);
    list = binary_to_chars(p, arg[0], latin1);
    if (list != THE_NON_VALUE)
        return list;
    if (!data_need(arg[0], latin1, &need))
        return bif_badarg(p);
    return convert(p, arg[0], latin1, true, need);
}

BIF(unicode, bin_is_7bit, 1)
{
    SLICED(p, EXP("unicode", "bin_is_7bit", 1));

    return bool_make(is_converted(p, arg[0], true));
}
