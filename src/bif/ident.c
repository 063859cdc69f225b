/*
 * ident.c - pids, ports and references from and to lists of characters.
 *
 * The first number of an identifier is that of its node. 0 is this node; the
 * others are known only while connected, so without distribution their texts
 * are badarg, as in OTP.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/node.h"
#include "vm/print.h"

static term list_of_term(struct proc *p, term t)
{
    term list = TERM_NIL, *hp;
    struct text text;

    text_init(&text);
    text_term(&text, t, 0);
    hp = heap_alloc(p, text.n * CONS_WORDS);
    for (size_t i = text.n; i-- > 0;)
        list = put_cons(&hp, small_make((unsigned char)text.s[i]), list);
    text_fini(&text);
    return list;
}

BIF(erlang, pid_to_list, 1)
{
    return term_is_pid(arg[0]) ? list_of_term(p, arg[0]) : bif_badarg(p);
}

BIF(erlang, port_to_list, 1)
{
    return term_is_port(arg[0]) ? list_of_term(p, arg[0]) : bif_badarg(p);
}

BIF(erlang, ref_to_list, 1)
{
    if (!term_is_ref(arg[0]))
        return bif_badarg(p);
    if (boxed_is(arg[0], BOX_MAGIC))
        magic_remember(arg[0]);
    return list_of_term(p, arg[0]);
}

/* Five numbers of a reference at most, and of 20 characters each. */
#define IDENT_NUMBERS 6
#define IDENT_CHARS 128

/*
 * "prefix" numbers, dots between them, ">". How many numbers; 0: it is not of
 * that form, or a number is above max.
 */
static size_t ident_parse(term list, const char *prefix, uint64_t max,
                          uint64_t number[IDENT_NUMBERS])
{
    char s[IDENT_CHARS + 1];
    size_t n = 0, k = 0, at = strlen(prefix);

    for (; term_is_cons(list); list = cons_tail(list)) {
        term c = cons_head(list);

        if (n == IDENT_CHARS || !term_is_small(c) || small_value(c) < 1
            || small_value(c) > 127)
            return 0;
        s[n++] = (char)small_value(c);
    }
    s[n] = '\0';
    if (!term_is_nil(list) || strncmp(s, prefix, at) != 0)
        return 0;
    for (;; at++) {
        uint64_t v = 0;

        if (k == IDENT_NUMBERS || s[at] < '0' || s[at] > '9')
            return 0;
        for (; s[at] >= '0' && s[at] <= '9'; at++) {
            if (__builtin_mul_overflow(v, 10, &v)
                || __builtin_add_overflow(v, s[at] - '0', &v) || v > max)
                return 0;
        }
        number[k++] = v;
        if (s[at] == '>')
            return at + 1 == n ? k : 0;
        if (s[at] != '.')
            return 0;
    }
}

BIF(erlang, list_to_pid, 1)
{
    uint64_t n[IDENT_NUMBERS];

    if (ident_parse(arg[0], "<", UINT64_MAX, n) != 3 || n[0] != 0
        || n[1] >> PID_NUMBER_BITS || n[2] >> PID_SERIAL_BITS)
        return bif_badarg(p);
    return pid_make((uint32_t)n[1], (uint32_t)n[2]);
}

BIF(erlang, list_to_port, 1)
{
    uint64_t n[IDENT_NUMBERS];

    if (ident_parse(arg[0], "#Port<", UINT64_MAX, n) != 2 || n[0] != 0
        || n[1] >> (64 - IMM_SHIFT))
        return bif_badarg(p);
    return port_make(n[1]);
}

/* A reference equal to the one printed. */
BIF(erlang, list_to_ref, 1)
{
    uint64_t n[IDENT_NUMBERS], ref[2];
    struct dest d;

    if (ident_parse(arg[0], "#Ref<", UINT32_MAX, n) != 4 || n[0] != 0
        || n[3] >> 18)
        return bif_badarg(p);
    ref[0] = n[3] | n[2] << 32;
    ref[1] = n[1];
    d = (struct dest){heap_alloc(p, MAGIC_WORDS), &p->heap.off};
    term t = ref_recall(&d, ref);
    heap_trim(p, d.htop);
    return t;
}
