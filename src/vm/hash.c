/*
 * hash.c - the hashes of terms.
 *
 * term_phash2() and term_phash() are what erlang:phash2/1 and erlang:phash/2
 * promise never to change; every constant here is part of that promise.
 * term_hash64() is the VM's own, for maps and tables: it may differ between
 * releases but not between runs, and never depends on an address.
 * term_internal_hash(), for persistent_term, takes integers as OTP 25 does, so
 * that sets of keys known to collide there (its own tests have some) collide.
 */
#include "vm/atom.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/hash.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/node.h"
#include "vm/ops.h"
#include "vm/slice.h"
#include "vm/wstack.h"

/* Steps of a loop until time is looked at. */
#define PACE 1024

/*
 * Bob Jenkins' mixing step, and multiples of the golden ratio. Everything waits
 * for the latest of three values, two operations a line if it is the last to be
 * subtracted: the compiler is kept from adding it to the one before it first.
 */
#define MIX_LINE(x, y, latest, shifted)                                        \
    do {                                                                       \
        x -= y;                                                                \
        __asm__("" : "+r"(x));                                                 \
        x -= latest;                                                           \
        x ^= shifted;                                                          \
    } while (0)
#define MIX(a, b, c)                                                           \
    do {                                                                       \
        MIX_LINE(a, b, c, c >> 13);                                            \
        MIX_LINE(b, c, a, a << 8);                                             \
        MIX_LINE(c, a, b, b >> 13);                                            \
        MIX_LINE(a, b, c, c >> 12);                                            \
        MIX_LINE(b, c, a, a << 16);                                            \
        MIX_LINE(c, a, b, b >> 5);                                             \
        MIX_LINE(a, b, c, c >> 3);                                             \
        MIX_LINE(b, c, a, a << 10);                                            \
        MIX_LINE(c, a, b, b >> 15);                                            \
    } while (0)

#define GOLDEN(k) ((uint32_t)(0x9e3779b9u * (uint32_t)(k)))

/* Which multiple goes with which type of term. */
enum {
    K_SMALL = 1, K_FUN = 1, K_NIL = 2, K_ATOM = 3, K_STRING = 4, K_PID = 5,
    K_PORT = 6, K_REF = 7, K_TUPLE = 9, K_NEGATIVE = 10, K_POSITIVE = 11,
    K_FLOAT = 12, K_BINARY = 13, K_EXPORT = 14, K_BITS = 15, K_MAP = 16,
    K_MAP_PAIRS = 19,
};

static inline __attribute__((always_inline)) uint32_t
mix2(uint32_t hash, uint32_t x, uint32_t y, int k)
{
    uint32_t a = GOLDEN(k) + x, b = GOLDEN(k) + y;

    MIX(a, b, hash);
    return hash;
}

static inline __attribute__((always_inline)) uint32_t
mix1(uint32_t hash, uint32_t x, int k)
{
    return mix2(hash, x, 0, k);
}

static inline uint32_t mix64(uint32_t hash, uint64_t v, int k)
{
    return mix2(hash, (uint32_t)v, (uint32_t)(v >> 32), k);
}

static inline uint32_t atom_hash(term a)
{
    return atom_get(a)->hash;
}

/* Integers of 28 bits were the smalls of 32-bit machines, and still are here. */
static inline uint32_t phash2_small(uint32_t hash, int64_t v)
{
    if (unlikely(v < -(1 << 27) || v >= 1 << 27))
        return v < 0 ? mix64(hash, -(uint64_t)v, K_NEGATIVE)
                     : mix64(hash, (uint64_t)v, K_POSITIVE);
    if (v < 0)
        hash = mix1(hash, (uint32_t)-v, K_SMALL);
    return mix1(hash, (uint32_t)v, K_SMALL);
}

static inline uint32_t load_le32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

/* Of one word: most of what terms are made of, done where it is found. */
static __attribute__((noinline)) uint32_t phash2_imm(uint32_t hash, term t)
{
    if (term_is_small(t))
        return phash2_small(hash, small_value(t));
    if (term_is_atom(t))
        return hash == 0 ? atom_hash(t) : mix1(hash, atom_hash(t), K_ATOM);
    if (term_is_nil(t))
        return hash == 0 ? 3468870702u : mix1(hash, 2, K_NIL);
    if (term_is_local_pid(t))
        return mix1(hash, pid_number(t), K_PID);
    assert(term_is_local_port(t));
    return mix64(hash, port_number(t), K_PORT);
}

struct state {
    uint32_t a, b, c;
};

/* Whole blocks of 12 bytes, n bytes in all. */
static struct state blocks(struct state s, const uint8_t *p, size_t n)
{
    for (unsigned k = 1; n >= 12; n -= 12, p += 12, k++) {
        if (unlikely(k % PACE == 0))
            slice(PACE * 12);
        s.a += load_le32(p);
        s.b += load_le32(p + 4);
        s.c += load_le32(p + 8);
        MIX(s.a, s.b, s.c);
    }
    return s;
}

/* n < 8 bytes, least first, and zeros: loads in pieces, no way through memory. */
static inline uint64_t load_few(const uint8_t *p, size_t n)
{
    if (n >= 4)
        return load_le32(p) | (uint64_t)load_le32(p + n - 4) << 8 * (n - 4);
    return n == 0 ? 0
                  : p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) |
                        (uint64_t)p[n - 1] << 8 * (n - 1);
}

/*
 * From s on: the last bytes, up to 11 and then zeros, go to a, b and the upper
 * three bytes of c.
 */
static inline uint32_t last_block(struct state s, const uint8_t *last, size_t tail,
                                  size_t bytes)
{
    uint64_t low = tail < 8 ? load_few(last, tail)
                            : load_le32(last) | (uint64_t)load_le32(last + 4) << 32;
    uint32_t high = tail < 8 ? 0 : (uint32_t)load_few(last + 8, tail - 8);

    s.a += (uint32_t)low;
    s.b += (uint32_t)(low >> 32);
    s.c += (high << 8) + (uint32_t)bytes;
    MIX(s.a, s.b, s.c);
    return s.c;
}

/* s stands before `bytes` bytes, and a few bits, at b.offset. */
static __attribute__((noinline)) uint32_t phash2_unaligned(struct state s,
                                                           struct bits b, size_t bytes)
{
    size_t tail = bytes % 12;
    unsigned extra = b.size & 7;
    uint8_t buf[12 * 64];
    uint64_t at = b.offset;
    uint32_t hash;

    for (size_t left = bytes - tail, n; left > 0; left -= n) {
        n = left < sizeof buf ? left : sizeof buf;
        bits_copy(buf, 0, b.base, at, n * 8);
        s = blocks(s, buf, n);
        at += n * 8;
        slice(n);
    }
    bits_copy(buf, 0, b.base, at, tail * 8 + extra);
    hash = last_block(s, buf, tail, bytes);
    return extra ? mix2(hash, extra, buf[tail] >> (8 - extra), K_BITS) : hash;
}

static uint32_t phash2_bits(uint32_t hash, term t)
{
    struct bits b = bits_of(t);
    /* The length is cut to 32 bits, as it always was. */
    size_t bytes = (uint32_t)(b.size / 8), tail = bytes % 12;
    struct state s = {GOLDEN(1), GOLDEN(1), GOLDEN(K_BINARY) + hash};
    const uint8_t *p = b.base + b.offset / 8;

    if (b.size == 0)
        return s.c;
    if (unlikely(!bits_aligned(b) || b.size % 8))
        return phash2_unaligned(s, b, bytes);
    if (bytes >= 12)
        s = blocks(s, p, bytes - tail);
    return last_block(s, p + bytes - tail, tail, bytes);
}

static uint64_t float_bits(term t)
{
    double d = float_value(t);
    uint64_t v;

    if (d == 0.0)
        d = 0.0;                /* 0.0 and -0.0 are equal */
    memcpy(&v, &d, 8);
    return v;
}

static uint32_t ref_first(term t)
{
    if (boxed_is(t, BOX_EXTREF))
        return (uint32_t)((const struct ext_words *)boxed_ptr(t))->data[1];
    return (uint32_t)ref_numbers(t)[0];
}

static uint64_t ext_first(term t)
{
    return ((const struct ext_words *)boxed_ptr(t))->data[0];
}

/*
 * Marks on the stack, no terms. A map's pairs are hashed each for itself and
 * joined by xor, as they come in any order: at MARK_PAIR one is complete, at
 * MARK_MAP all are, and the hash so far and the outer map's xor lie below.
 */
#define MARK_PAIR HEADER(30, 0, 0)
#define MARK_MAP HEADER(31, 0, 0)

static void push_map(struct wstack *todo, uint32_t pairs, uint32_t hash)
{
    term *to = wstack_reserve(todo, 3);

    to[0] = pairs;
    to[1] = hash;
    to[2] = MARK_MAP;
}

static void push_pair(struct wstack *todo, term key, term value)
{
    term *to = wstack_reserve(todo, 3);

    to[0] = MARK_PAIR;
    to[1] = value;
    to[2] = key;
}

static void push_down(struct wstack *todo, const term *from, size_t n)
{
    term *to = wstack_reserve(todo, n);

    while (n-- > 0)
        *to++ = from[n];
}

uint32_t term_phash2(term t)
{
    struct wstack todo;
    uint32_t hash = 0, pairs = 0;
    unsigned steps = 0;

    if (term_is_atom(t))
        return atom_hash(t);
    if (term_is_small(t))
        return phash2_small(0, small_value(t));
    wstack_init(&todo);
    for (;;) {
        if (unlikely(++steps % PACE == 0))
            slice(PACE * 20);
        if (term_is_cons(t)) {
            uint32_t four = 0;
            int n = 0;
            term head;

            /* Bytes of a string, four at a time. */
            while (((head = cons_head(t)) & ~small_make(255)) == 0) {
                four = (four << 8) + (uint32_t)small_value(head);
                if (n++ == 3) {
                    if (unlikely(++steps % PACE == 0))
                        slice(PACE * 20);
                    hash = mix1(hash, four, K_STRING);
                    n = 0;
                    four = 0;
                }
                t = cons_tail(t);
                if (!term_is_cons(t))
                    break;
            }
            if (n > 0)
                hash = mix1(hash, four, K_STRING);
            if (term_is_cons(t)) {
                t = cons_tail(t);
                if (term_is_imm(head)) {
                    hash = phash2_imm(hash, head);
                } else {
                    wstack_push(&todo, t);
                    t = head;
                }
            }
            continue;
        }
        if (term_is_imm(t)) {
            hash = phash2_imm(hash, t);
        } else {
            const term *obj = boxed_ptr(t);
            size_t n = header_words(*obj);

            switch (header_type(*obj)) {
            case BOX_TUPLE:
                hash = mix1(hash, (uint32_t)n, K_TUPLE);
                for (obj++; n > 0 && term_is_imm(*obj); n--, obj++) {
                    if (unlikely(++steps % PACE == 0))
                        slice(PACE * 10);
                    hash = phash2_imm(hash, *obj);
                }
                if (n > 0)
                    push_down(&todo, obj, n);
                break;
            case BOX_MAP: {
                const term *key = tuple_at(obj[1], 1), *value = obj + 2;
                size_t size = map_size(t), large = 0;
                uint32_t done = 0;

                hash = mix1(hash, (uint32_t)size, K_MAP);
                if (size == 0)
                    break;
                for (size_t i = 0; i < size; i++) {
                    if (term_is_imm(key[i]) && term_is_imm(value[i]))
                        done ^= phash2_imm(phash2_imm(0, key[i]), value[i]);
                    else
                        large++;
                }
                if (large == 0) {
                    hash = mix1(hash, done, K_MAP_PAIRS);
                    break;
                }
                push_map(&todo, pairs, hash);
                hash = 0;
                pairs = done;
                for (size_t i = 0; i < size; i++) {
                    if (!(term_is_imm(key[i]) && term_is_imm(value[i])))
                        push_pair(&todo, key[i], value[i]);
                }
                break;
            }
            case BOX_HASHMAP:
                hash = mix1(hash, (uint32_t)map_size(t), K_MAP);
                push_map(&todo, pairs, hash);
                hash = pairs = 0;
                wstack_push(&todo, obj[2]);
                break;
            case BOX_MAPNODE:
                for (size_t i = 2; i <= n; i++) {
                    if (term_is_cons(obj[i]))
                        push_pair(&todo, cons_head(obj[i]), cons_tail(obj[i]));
                    else
                        wstack_push(&todo, obj[i]);
                }
                break;
            case BOX_FUN: {
                const struct fun_words *f = fun_ptr(t);

                hash = mix2(hash, (uint32_t)(n - 2), atom_hash(f->entry->module),
                            K_FUN);
                hash = mix2(hash, f->entry->index, f->entry->old_uniq, K_FUN);
                push_down(&todo, f->env, n - 2);
                break;
            }
            case BOX_EXPORT: {
                const struct export *e =
                    ((const struct export_words *)obj)->export;

                hash = mix2(hash, e->arity, atom_hash(e->m), K_FUN);
                hash = mix1(hash, atom_hash(e->f), K_EXPORT);
                break;
            }
            case BOX_HEAPBIN:
            case BOX_REFCBIN:
            case BOX_SUBBIN:
                hash = phash2_bits(hash, t);
                break;
            case BOX_POSBIG:
            case BOX_NEGBIG:
                for (size_t i = 0; i < n; i++)
                    hash = mix64(hash, big_data(t)[i],
                                 big_negative(t) ? K_NEGATIVE : K_POSITIVE);
                break;
            case BOX_REF:
            case BOX_MAGIC:
            case BOX_EXTREF:
                hash = mix1(hash, ref_first(t), K_REF);
                break;
            case BOX_EXTPID:
                hash = mix1(hash, (uint32_t)ext_first(t), K_PID);
                break;
            case BOX_EXTPORT:
                hash = mix64(hash, ext_first(t), K_PORT);
                break;
            case BOX_FLOAT: {
                uint64_t v = float_bits(t);

                hash = mix2(hash, (uint32_t)(v >> 32), (uint32_t)v, K_FLOAT);
                break;
            }
            default:
                assert(!"a term");
            }
        }
        for (;;) {
            if (todo.n == 0) {
                wstack_fini(&todo);
                return hash;
            }
            t = wstack_pop(&todo);
            if (t == MARK_PAIR) {
                pairs ^= hash;
                hash = 0;
            } else if (t == MARK_MAP) {
                hash = (uint32_t)wstack_pop(&todo);
                hash = mix1(hash, pairs, K_MAP_PAIRS);
                pairs = (uint32_t)wstack_pop(&todo);
            } else {
                break;
            }
        }
    }
}

/* erlang:phash/2: primes a little above 2^28. */
enum {
    P1 = 268440163, P2 = 268439161, P3 = 268435459, P4 = 268436141,
    P5 = 268438633, P6 = 268437017, P8 = 268437511, P9 = 268439627,
    P10 = 268440479, P11 = 268440577, P12 = 268440581, P13 = 268440593,
    P14 = 268440611,
};

static uint32_t step32(uint32_t hash, uint32_t x, uint32_t prime)
{
    for (int i = 0; i < 4; i++, x >>= 8)
        hash = hash * prime + (x & 0xff);
    return hash;
}

/* Magnitude: as many 32-bit words as it needs. */
static uint32_t phash_integer(uint32_t hash, const uint64_t *digits, size_t n,
                              bool negative)
{
    for (size_t i = 0; i < n; i++) {
        hash = step32(hash, (uint32_t)digits[i], P2);
        if (i + 1 < n || digits[i] >> 32)
            hash = step32(hash, (uint32_t)(digits[i] >> 32), P2);
    }
    return hash * (negative ? P4 : P3);
}

static uint32_t phash_port(uint32_t hash, uint64_t number)
{
    if (number >> 32)
        hash = step32(hash, (uint32_t)(number >> 32), P11);
    return step32(hash, (uint32_t)number, P9) * P10;
}

static uint32_t phash_bits(uint32_t hash, struct bits b)
{
    size_t bytes = b.size / 8;
    unsigned extra = b.size & 7;
    uint8_t byte = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (unlikely(i % PACE == PACE - 1))
            slice(PACE * 5);
        bits_copy(&byte, 0, b.base, b.offset + i * 8, 8);
        hash = hash * P1 + byte;
    }
    if (extra) {
        bits_copy(&byte, 0, b.base, b.offset + bytes * 8, extra);
        hash = (hash * P1 + (byte >> (8 - extra))) * P12 + extra;
    }
    return hash * P4 + (uint32_t)bytes;
}

/* What to do when the term above it is hashed. */
#define MARK_TAIL HEADER(28, 0, 0)      /* the tail of a list lies below */
#define MARK_END HEADER(29, 0, 0)       /* that tail was no list: its end */
#define MARK_TUPLE(n) HEADER(30, 0, n)  /* the last element was hashed */

uint32_t term_phash(term t)
{
    struct wstack todo;
    uint32_t hash = 0;
    unsigned steps = 0;

    wstack_init(&todo);
    for (;;) {
        if (unlikely(++steps % PACE == 0))
            slice(PACE * 20);
        if (term_is_cons(t)) {
        list:
            for (;;) {
                if (unlikely(++steps % PACE == 0))
                    slice(PACE * 10);
                term head = cons_head(t), tail = cons_tail(t);

                if (!term_is_small(head) || (uint64_t)small_value(head) > 255) {
                    wstack_push(&todo, tail);
                    wstack_push(&todo, MARK_TAIL);
                    t = head;
                    break;
                }
                hash = hash * P2 + (uint32_t)small_value(head);
                t = tail;
                if (!term_is_cons(tail)) {
                    wstack_push(&todo, MARK_END);
                    break;
                }
            }
            continue;
        }
        if (term_is_small(t)) {
            int64_t v = small_value(t);
            uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;

            hash = phash_integer(hash, &magnitude, 1, v < 0);
        } else if (term_is_atom(t)) {
            hash = hash * P1 + atom_hash(t);
        } else if (term_is_nil(t)) {
            hash = hash * P3 + 1;
        } else if (term_is_local_pid(t)) {
            hash = step32(hash, pid_number(t), P5) * P6;
        } else if (term_is_local_port(t)) {
            hash = phash_port(hash, port_number(t));
        } else {
            const term *obj = boxed_ptr(t);
            size_t n = header_words(*obj);

            switch (header_type(*obj)) {
            case BOX_TUPLE:
                wstack_push(&todo, MARK_TUPLE(n));
                push_down(&todo, obj + 1, n);
                break;
            case BOX_MAP:
            case BOX_HASHMAP:
                hash = hash * P13 + P14 + term_phash2(t);
                break;
            case BOX_FUN: {
                const struct fun_words *f = fun_ptr(t);

                hash = hash * P10 + (uint32_t)(n - 2);
                hash = hash * P1 + atom_hash(f->entry->module);
                hash = hash * P2 + f->entry->index;
                hash = hash * P2 + f->entry->old_uniq;
                push_down(&todo, f->env, n - 2);
                break;
            }
            case BOX_EXPORT: {
                const struct export *e =
                    ((const struct export_words *)obj)->export;

                hash = hash * P11 + e->arity;
                hash = hash * P1 + atom_hash(e->m);
                hash = hash * P1 + atom_hash(e->f);
                break;
            }
            case BOX_HEAPBIN:
            case BOX_REFCBIN:
            case BOX_SUBBIN:
                hash = phash_bits(hash, bits_of(t));
                break;
            case BOX_POSBIG:
            case BOX_NEGBIG:
                hash = phash_integer(hash, big_data(t), n, big_negative(t));
                break;
            case BOX_REF:
            case BOX_MAGIC:
            case BOX_EXTREF:
                hash = step32(hash, ref_first(t), P9) * P10;
                break;
            case BOX_EXTPID:
                hash = step32(hash, (uint32_t)ext_first(t), P5) * P6;
                break;
            case BOX_EXTPORT:
                hash = phash_port(hash, ext_first(t));
                break;
            case BOX_FLOAT: {
                uint64_t v = float_bits(t);

                hash = hash * P6 + ((uint32_t)v ^ (uint32_t)(v >> 32));
                break;
            }
            default:
                assert(!"a term");
            }
        }
        for (;;) {
            if (todo.n == 0) {
                wstack_fini(&todo);
                return hash;
            }
            t = wstack_pop(&todo);
            if (t == MARK_END) {
                hash *= P8;
            } else if (t == MARK_TAIL) {
                t = wstack_pop(&todo);
                if (term_is_cons(t))
                    goto list;
                wstack_push(&todo, MARK_END);
                break;
            } else if (term_is_header(t)) {
                hash = hash * P9 + (uint32_t)header_words(t);
            } else {
                break;
            }
        }
    }
}

/* The VM's own: hash.h has its steps. */

static uint64_t stir_bits(uint64_t h, struct bits b, bool strong)
{
    uint64_t at = b.offset, n = b.size;
    uint8_t buf[8];
    uint64_t w;

    h = hash_stir(h, n, strong);
    if ((at & 7) == 0) {
        for (const uint8_t *p = b.base + at / 8; n >= 64; n -= 64, p += 8) {
            if (unlikely(n / 64 % PACE == 0))
                slice(PACE * 4);
            memcpy(&w, p, 8);
            h = hash_stir(h, w, strong);
        }
        at += b.size - n;
    }
    for (uint64_t k; n > 0; n -= k, at += k) {
        k = n < 64 ? n : 64;
        memset(buf, 0, sizeof buf);
        bits_copy(buf, 0, b.base, at, k);
        memcpy(&w, buf, 8);
        h = hash_stir(h, w, strong);
        slice(10);
    }
    return h;
}

/* The same for a heap binary, whose last word is all there. */
static uint64_t stir_heapbin(uint64_t h, const struct heapbin_words *b, bool strong)
{
    const term *w = (const term *)b->data;
    size_t words = b->size / 8;
    unsigned rest = (unsigned)b->size % 8 * 8;

    h = hash_stir(h, b->size * 8, strong);
    for (size_t i = 0; i < words; i++)
        h = hash_stir(h, w[i], strong);
    return rest ? hash_stir(h, w[words] & (((term)1 << rest) - 1), strong) : h;
}

/* What of a node its order depends on. */
static uint64_t stir_ext(uint64_t h, const struct ext_words *e, bool strong)
{
    return hash_stir(hash_stir(h, e->node->name, strong), e->node->creation, strong);
}

uint64_t term_hash64(term t, uint32_t salt)
{
    uint64_t h = hash_seed(salt);
    bool strong = salt != 0;
    struct wstack todo;
    unsigned steps = 0;

    if (term_is_imm(t))
        return hash_finish(hash_stir(h, t, strong));
    wstack_init(&todo);
    for (;;) {
        if (unlikely(++steps % PACE == 0))
            slice(PACE * 6);
        if (term_is_imm(t)) {
            h = hash_stir(h, t, strong);
            goto next;
        }
        if (term_is_cons(t)) {
            h = hash_stir(h, TAG_CONS, strong);
            wstack_push(&todo, cons_tail(t));
            t = cons_head(t);
            continue;
        }

        const term *obj = boxed_ptr(t);
        size_t n = header_words(*obj);

        switch (header_type(*obj)) {
        case BOX_TUPLE:
        case BOX_MAP:
        case BOX_HASHMAP:
        case BOX_MAPNODE:
            h = hash_stir(h, *obj, strong);
            push_down(&todo, obj + 1, n);
            break;
        case BOX_FUN: {
            const struct fun_words *f = fun_ptr(t);

            h = hash_stir(h, *obj, strong);
            h = hash_stir(h, f->entry->module, strong);
            h = hash_stir(h, (uint64_t)f->entry->index << 32 | f->entry->old_uniq,
                     strong);
            push_down(&todo, f->env, n - 2);
            break;
        }
        case BOX_EXPORT: {
            const struct export *e = ((const struct export_words *)obj)->export;

            h = hash_stir(h, *obj, strong);
            h = hash_stir(h, e->m, strong);
            h = hash_stir(h, e->f, strong);
            h = hash_stir(h, e->arity, strong);
            break;
        }
        case BOX_HEAPBIN:
            h = stir_heapbin(hash_stir(h, BOX_HEAPBIN, strong),
                             (const struct heapbin_words *)obj, strong);
            break;
        case BOX_REFCBIN:
        case BOX_SUBBIN:
            h = stir_bits(hash_stir(h, BOX_HEAPBIN, strong), bits_of(t), strong);
            break;
        case BOX_REF:
        case BOX_MAGIC:
            h = hash_stir(h, BOX_REF, strong);
            h = hash_stir(h, ref_numbers(t)[0], strong);
            h = hash_stir(h, ref_numbers(t)[1], strong);
            break;
        case BOX_EXTREF: {
            const struct ext_words *e = (const struct ext_words *)obj;
            size_t words = (e->data[0] + 1) / 2;

            /* Zeros at the upper end do not make it another reference. */
            while (words > 0 && e->data[words] == 0)
                words--;
            h = stir_ext(hash_stir(h, BOX_EXTREF, strong), e, strong);
            for (size_t i = 1; i <= words; i++)
                h = hash_stir(h, e->data[i], strong);
            break;
        }
        case BOX_EXTPID:
        case BOX_EXTPORT:
            h = stir_ext(hash_stir(h, *obj, strong), (const struct ext_words *)obj,
                         strong);
            h = hash_stir(h, ext_first(t), strong);
            break;
        case BOX_FLOAT:
            h = hash_stir(hash_stir(h, *obj, strong), float_bits(t), strong);
            break;
        case BOX_POSBIG:
        case BOX_NEGBIG:
            for (size_t i = 0; i <= n; i++)
                h = hash_stir(h, obj[i], strong);
            break;
        default:
            assert(!"a term");
        }
    next:
        if (todo.n == 0)
            break;
        t = wstack_pop(&todo);
    }
    wstack_fini(&todo);
    return hash_finish(h);
}

/*
 * OTP tags a small integer with 15 where ours has 0, mixes both halves of the
 * word once, and begins with a prime.
 */
uint32_t term_internal_hash(term t)
{
    term otp = t | 15;

    return term_is_small(t) ? mix2(3432918353u, (uint32_t)otp, (uint32_t)(otp >> 32), 1)
                            : term_hash(t, 0);
}

uint32_t term_hash(term t, uint32_t salt)
{
    return (uint32_t)(term_hash64(t, salt) >> 32);
}
