/*
 * front_bits.c - the bit syntax.
 */
#include "op/front.h"
#include "vm/atom.h"
#include "vm/bitsyntax.h"

/* x86-64 and AArch64 are little endian: native becomes little. */
static uint64_t bs_flags(struct arg a)
{
    uint64_t flags = a.value;

    return flags & BS_NATIVE ? (flags & ~(uint64_t)BS_NATIVE) | BS_LITTLE : flags;
}

/* A constant number of bits, or false. */
static bool bs_const_bits(struct arg size, uint64_t unit, uint64_t *bits)
{
    if ((size.kind != ARG_I && size.kind != ARG_U) ||
        (size.kind == ARG_I && small_value(size.value) < 0))
        return false;
    uint64_t n = size.kind == ARG_I ? (uint64_t)small_value(size.value) : size.value;

    return !__builtin_mul_overflow(n, unit, bits) && *bits < (uint64_t)1 << 40;
}

/* fail, ctx, live, size, unit, flags, dst */
void front_bs_get_integer(struct loader *l, const struct arg *a)
{
    uint64_t bits, flags = bs_flags(a[5]);

    if (bs_const_bits(a[3], a[4].value, &bits)) {
        bool plain = (flags & (BS_LITTLE | BS_SIGNED)) == 0 ||
                     ((flags & BS_SIGNED) == 0 && bits <= 8);

        bool fixed = plain && (bits == 8 || bits == 16 || bits == 24 || bits == 32);

        emit_begin(l, !plain || bits == 0 || bits > 56 ? OP_bs_get_int
                      : bits == 8                      ? OP_bs_get_int8
                      : bits == 16                     ? OP_bs_get_uint16
                      : bits == 24                     ? OP_bs_get_uint24
                      : bits == 32                     ? OP_bs_get_uint32
                                                       : OP_bs_get_uint);
        emit_label(l, label_of(a[0]));
        emit_live(l, a[2].value);
        emit_place(l, a[1]);
        if (!fixed)
            emit_u(l, bits);
        if (!(plain && bits > 0 && bits <= 56))
            emit_u(l, flags);
    } else {
        emit_begin(l, OP_bs_get_int_var);
        emit_label(l, label_of(a[0]));
        emit_live(l, a[2].value);
        emit_place(l, a[1]);
        emit_place(l, a[3]);
        emit_u(l, a[4].value);
        emit_u(l, flags);
    }
    emit_place(l, a[6]);
    emit_end(l);
}

void front_bs_get_float(struct loader *l, const struct arg *a)
{
    emit_begin(l, OP_bs_get_float);
    emit_label(l, label_of(a[0]));
    emit_live(l, a[2].value);
    emit_place(l, a[1]);
    emit_place(l, a[3]);
    emit_u(l, a[4].value);
    emit_u(l, bs_flags(a[5]));
    emit_place(l, a[6]);
    emit_end(l);
}

/* What is left must be a multiple of unit. */
void front_bs_test_unit(struct loader *l, struct arg fail, struct arg ctx, uint64_t unit)
{
    bool mask = (unit & (unit - 1)) == 0;

    if (unit <= 1)
        return;
    emit_begin(l, mask ? OP_bs_test_mask : OP_bs_test_unit);
    emit_label(l, label_of(fail));
    emit_place(l, ctx);
    emit_u(l, mask ? unit - 1 : unit);
    emit_end(l);
}

void front_bs_get_binary(struct loader *l, const struct arg *a)
{
    bool all = a[3].kind == ARG_ATOM && a[3].value == am_all;

    if (all)
        front_bs_test_unit(l, a[0], a[1], a[4].value);
    emit_begin(l, all ? OP_bs_get_bin_all : OP_bs_get_bin);
    emit_label(l, label_of(a[0]));
    emit_live(l, a[2].value);
    emit_place(l, a[1]);
    if (!all) {
        emit_place(l, a[3]);
        emit_u(l, a[4].value ? a[4].value : 1);
    }
    emit_place(l, a[6]);
    emit_end(l);
}

/* fail, ctx, size, unit, flags */
void front_bs_skip(struct loader *l, const struct arg *a)
{
    uint64_t bits;

    if (a[2].kind == ARG_ATOM && a[2].value == am_all) {
        front_bs_test_unit(l, a[0], a[1], a[3].value);
        emit_begin(l, OP_bs_skip_all);
        emit_place(l, a[1]);
    } else if (bs_const_bits(a[2], a[3].value, &bits)) {
        emit_begin(l, OP_bs_skip);
        emit_label(l, label_of(a[0]));
        emit_place(l, a[1]);
        emit_u(l, bits);
    } else {
        emit_begin(l, OP_bs_skip_var);
        emit_label(l, label_of(a[0]));
        emit_place(l, a[1]);
        emit_place(l, a[2]);
        emit_u(l, a[3].value);
    }
    emit_end(l);
}

static const uint8_t *string_of(struct loader *l, struct arg off, uint64_t bytes)
{
    if (off.kind != ARG_U || off.value > l->strings_bytes ||
        bytes > l->strings_bytes - off.value) {
        load_fail(l, "a string is not in its table");
        return NULL;
    }
    return l->code->strings + off.value;
}

void front_bs_utf(struct loader *l, enum op op, const struct arg *a, unsigned which,
                   struct arg flags, const struct arg *d)
{
    emit_begin(l, op);
    emit_label(l, label_of(a[0]));
    emit_place(l, a[1]);
    emit_u(l, which);
    emit_u(l, bs_flags(flags));
    if (d)
        emit_place(l, *d);
    emit_end(l);
}

/* fail, size, unit, flags, value */
void front_bs_put(struct loader *l, enum bs_put kind, const struct arg *a)
{
    emit_begin(l, OP_bs_put);
    emit_label(l, label_of(a[0]));
    emit_u(l, kind);
    emit_u(l, a[2].value);
    emit_u(l, bs_flags(a[3]));
    emit_place(l, a[1]);
    emit_place(l, a[4]);
    emit_end(l);
}
/* fail, flags, value */
void front_bs_put_utf(struct loader *l, enum bs_put kind, const struct arg *a)
{
    emit_begin(l, OP_bs_put);
    emit_label(l, label_of(a[0]));
    emit_u(l, kind);
    emit_u(l, 0);
    emit_u(l, bs_flags(a[1]));
    emit_place(l, atom_arg(TERM_NIL));
    emit_place(l, a[2]);
    emit_end(l);
}

/*
 * bs_create_bin: fail, alloc, live, unit, dst, and six operands a segment:
 * type, segment number, unit, flags, value, size. The flags are nil or a
 * literal list of atoms.
 */
static uint64_t segment_flags(struct loader *l, struct arg a)
{
    term t = a.kind == ARG_LITERAL ? arg_term(l, a) : TERM_NIL;
    uint64_t flags = 0;

    if (a.kind != ARG_LITERAL && (a.kind != ARG_ATOM || a.value != TERM_NIL))
        load_fail(l, "the flags of a segment are no list");
    for (int n = 0; term_is_cons(t) && n < 16; n++, t = cons_tail(t)) {
        if (cons_head(t) == am_little || cons_head(t) == am_native)
            flags |= BS_LITTLE;
        else if (cons_head(t) == am_signed)
            flags |= BS_SIGNED;
    }
    return flags;
}

static unsigned segment_type(struct loader *l, struct arg a)
{
    static const struct {
        term name;
        enum bs_type type;
    } types[] = {
        {am_append, BS_APPEND},   {am_private_append, BS_PRIVATE_APPEND},
        {am_binary, BS_BINARY},   {am_float, BS_FLOAT},
        {am_integer, BS_INTEGER}, {am_string, BS_STRING},
        {am_utf8, BS_UTF8},       {am_utf16, BS_UTF16},
        {am_utf32, BS_UTF32},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (a.kind == ARG_ATOM && a.value == types[i].name)
            return types[i].type;
    }
    load_fail(l, "a bs_create_bin has a segment of unknown type");
    return 0;
}

/*
 * An instruction that makes a binary also reserves `words` for what follows
 * it, before it runs. The binary itself takes at most BIN_WORDS at htop.
 *
 * Its n operands may lie in x registers from `live` on, which a collection
 * forgets: they are moved down to the first of these, in ascending order, so
 * that none is overwritten before it is moved.
 */
#define BIN_WORDS (HEAPBIN_WORDS(HEAPBIN_MAX) + SUBBIN_WORDS)
static void reserve_with_bin(struct loader *l, uint64_t words, uint64_t live,
                             struct arg *operand, uint64_t n)
{
    if (words == 0)
        return;
    if (words > HEAP_NEED_MAX) {
        load_fail(l, "it wants %lu words of heap at once", (unsigned long)words);
        return;
    }
    for (uint64_t from = live;; live++) {
        uint64_t next = UINT64_MAX;

        for (uint64_t i = 0; i < n; i++) {
            const struct arg *o = &operand[i];

            if (o->kind == ARG_X && o->value >= from && o->value < next)
                next = o->value;
        }
        if (next == UINT64_MAX)
            break;
        if (next != live)
            emit_move(l, reg_x(next), reg_x(live));
        for (uint64_t i = 0; i < n; i++) {
            struct arg *o = &operand[i];

            if (o->kind == ARG_X && o->value == next)
                *o = reg_x(live);
        }
        from = next + 1;
    }
    emit_test_heap(l, words + BIN_WORDS, live);
}

static const uint8_t *segment_string(struct loader *l, const struct arg *seg,
                                     uint64_t *bytes)
{
    *bytes = seg[5].kind == ARG_I ? (uint64_t)small_value(seg[5].value) : seg[5].value;
    return string_of(l, seg[4], *bytes);
}

/*
 * How many of n segments make whole bytes together, the fewest: one string or
 * integer, or integers up to PARTS_MAX_BITS; 0: they don't, or one is something
 * else. All big endian.
 */
#define PART_MAX_BITS 30        /* a mask of that is an operand */
#define PARTS_MAX_BITS 56
static uint64_t bytes_group(struct loader *l, const struct arg *list, uint64_t n,
                            uint64_t *bytes)
{
    uint64_t total = 0, bits;

    for (uint64_t i = 0; i < n; i++) {
        const struct arg *seg = list + 6 * i;
        unsigned type = segment_type(l, seg[0]);

        if (type == BS_STRING && i == 0) {
            segment_string(l, seg, bytes);
            return 1;
        }
        if (type != BS_INTEGER || segment_flags(l, seg[3]) & BS_LITTLE ||
            !bs_const_bits(seg[5], seg[2].value, &bits))
            return 0;
        total += bits;
        if (bits == 0)
            return 0;
        if (i == 0 ? bits > 64 : total > PARTS_MAX_BITS || bits > PART_MAX_BITS)
            return 0;
        if (total % 8 == 0) {
            *bytes = total / 8;
            return i + 1;
        }
        if (bits > PART_MAX_BITS)
            return 0;
    }
    return 0;
}

/* Bytes that the segments after the first append to it, if that is all they do:
 * strings, and integers that make whole bytes. Else 0. */
static uint64_t more_bytes(struct loader *l, const struct arg *list, uint64_t n)
{
    uint64_t total = 0, bytes, k;

    if (n < 2 || segment_type(l, list[0]) > BS_PRIVATE_APPEND ||
        list[2].value == 0 || 8 % list[2].value != 0)
        return 0;
    for (uint64_t i = 1; i < n; i += k) {
        k = bytes_group(l, list + 6 * i, n - i, &bytes);
        if (k == 0)
            return 0;
        total += bytes;
    }
    return total;
}

static void more_parts(struct loader *l, const struct arg *list, uint64_t n,
                       uint64_t bytes, uint32_t slow)
{
    uint64_t bits;

    for (uint64_t i = 0; i < n; i++) {
        bs_const_bits(list[6 * i + 5], list[6 * i + 2].value, &bits);
        emit_begin(l, OP_bs_more_part);
        emit_label(l, slow);
        emit_place(l, list[6 * i + 4]);
        emit_u(l, bits);
        emit_u(l, ((uintptr_t)1 << bits) - 1);
        emit_end(l);
    }
    emit_1u(l, OP_bs_more_parts, bytes);
}

/* The short way of that, if it works; on to done. */
static void create_more(struct loader *l, const struct arg *list, uint64_t n,
                        uint64_t bytes, struct arg d, uint32_t done)
{
    uint32_t slow = emit_new_label(l);

    emit_begin(l, OP_bs_more);
    emit_label(l, slow);
    emit_place(l, list[4]);
    emit_u(l, bytes);
    emit_end(l);
    for (uint64_t i = 1, k; i < n; i += k) {
        const struct arg *seg = list + 6 * i;
        uint64_t size;

        k = bytes_group(l, seg, n - i, &size);
        if (k == 0)
            break;
        if (k > 1) {
            more_parts(l, seg, k, size, slow);
        } else if (segment_type(l, seg[0]) == BS_STRING) {
            const uint8_t *bytes_of = segment_string(l, seg, &size);

            emit_pu(l, OP_bs_more_string, bytes_of, size);
        } else if (size == 1) {
            emit_test1(l, OP_bs_more_byte, slow, seg[4]);
        } else if (size > 0) {
            emit_begin(l, OP_bs_more_int);
            emit_label(l, slow);
            emit_place(l, seg[4]);
            emit_u(l, size);
            emit_end(l);
        }
    }
    if (segment_type(l, list[0]) == BS_APPEND) {
        emit_1s(l, OP_bs_more_end, d);
    } else {
        emit_begin(l, OP_bs_more_private_end);
        emit_u(l, bytes / sizeof(term));
        emit_place(l, d);
        emit_end(l);
    }
    emit_jump(l, done);
    emit_place_label(l, slow);
}

void front_bs_create(struct loader *l, const struct arg *a)
{
    uint64_t n = a[5].value / 6;
    struct arg *list, *operands;

    if (a[5].kind != ARG_LIST || a[5].value % 6) {
        load_fail(l, "a bs_create_bin is broken");
        return;
    }
    operands = vm_alloc(ALLOC_CODE, (n * 6 + 1) * sizeof *operands);
    memcpy(operands, a + 6, n * 6 * sizeof *operands);
    list = operands;
    reserve_with_bin(l, a[1].value, a[2].value, operands, n * 6);
    uint64_t more = more_bytes(l, list, n);
    uint32_t done = more ? emit_new_label(l) : 0;
    if (more)
        create_more(l, list, n, more, a[4], done);
    for (uint64_t i = 0; i < n; i++, list += 6) {
        struct arg value = list[4];
        unsigned type = segment_type(l, list[0]);

        if (type == BS_STRING) {
            uint64_t bytes;
            const uint8_t *s = segment_string(l, list, &bytes);

            value = (struct arg){ARG_ATOM, (term)(uintptr_t)s};
        }
        emit_begin(l, OP_bs_segment);
        emit_u(l, i * sizeof(struct bs_segment));
        emit_u(l, type);
        emit_u(l, segment_flags(l, list[3]));
        emit_u(l, list[2].value);
        emit_u(l, list[1].value);
        emit_place(l, value);
        emit_place(l, list[5]);
        emit_end(l);
    }
    emit_begin(l, OP_bs_create_bin);
    emit_label(l, label_of(a[0]));
    emit_place(l, a[4]);
    emit_u(l, n);
    emit_end(l);
    if (more)
        emit_place_label(l, done);
    vm_free(operands);
    need_scratch(l, n * (sizeof(struct bs_segment) / sizeof(term)));
}

void front_bs_match_string(struct loader *l, const struct arg *a)
{
    uint64_t bits = a[2].value;

    if (bits > (uint64_t)1 << 40) {
        load_fail(l, "a bs_match_string is broken");
        return;
    }
    emit_begin(l, OP_bs_match_string);
    emit_label(l, label_of(a[0]));
    emit_place(l, a[1]);
    emit_u(l, bits);
    emit_p(l, string_of(l, a[3], (bits + 7) / 8));
    emit_end(l);
}

/* fail, size, words, live, flags, dst */
void front_bs_init(struct loader *l, const struct arg *a, unsigned unit)
{
    struct arg size = a[1];

    reserve_with_bin(l, a[2].value, a[3].value, &size, 1);
    emit_begin(l, OP_bs_init);
    emit_label(l, label_of(a[0]));
    emit_place(l, size);
    emit_u(l, unit);
    emit_place(l, a[5]);
    emit_end(l);
}

/* fail, size, extra, live, unit, bin, flags, dst */
void front_bs_append(struct loader *l, const struct arg *a)
{
    struct arg from[2] = {a[1], a[5]};

    reserve_with_bin(l, a[2].value, a[3].value, from, 2);
    emit_begin(l, OP_bs_append);
    emit_label(l, label_of(a[0]));
    emit_place(l, from[0]);
    emit_u(l, a[4].value);
    emit_place(l, from[1]);
    emit_u(l, 0);
    emit_place(l, a[7]);
    emit_end(l);
}

void front_bs_put_string(struct loader *l, const struct arg *a)
{
    emit_pu(l, OP_bs_put_string, string_of(l, a[1], a[0].value), a[0].value);
}
