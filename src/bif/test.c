/*
 * test.c - type tests, comparisons and boolean operators as functions: for
 * apply, fun erlang:is_atom/1 and guards that no instruction covers.
 */
#include "bif/bif.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/ops.h"
#include "vm/slice.h"

/* erlang:is_xyz(Term) of a predicate. */
#define TYPE_TEST(test)                                                        \
    {                                                                          \
        return bool_make(test(arg[0]));                                        \
    }

GUARD(erlang, is_atom, 1) TYPE_TEST(term_is_atom)
GUARD(erlang, is_list, 1) TYPE_TEST(term_is_list)
GUARD(erlang, is_tuple, 1) TYPE_TEST(term_is_tuple)
GUARD(erlang, is_float, 1) TYPE_TEST(term_is_float)
GUARD(erlang, is_integer, 1) TYPE_TEST(term_is_integer)
GUARD(erlang, is_number, 1) TYPE_TEST(term_is_number)
GUARD(erlang, is_pid, 1) TYPE_TEST(term_is_pid)
GUARD(erlang, is_port, 1) TYPE_TEST(term_is_port)
GUARD(erlang, is_reference, 1) TYPE_TEST(term_is_ref)
GUARD(erlang, is_binary, 1) TYPE_TEST(term_is_binary)
GUARD(erlang, is_bitstring, 1) TYPE_TEST(term_is_bitstring)
GUARD(erlang, is_boolean, 1) TYPE_TEST(term_is_bool)
GUARD(erlang, is_function, 1) TYPE_TEST(term_is_fun)

/* The number of arguments that a fun takes. */
static uint32_t fun_arity(term fun)
{
    if (boxed_is(fun, BOX_FUN))
        return fun_ptr(fun)->entry->arity;
    return ((const struct export_words *)boxed_ptr(fun))->export->arity;
}

GUARD(erlang, is_function, 2)
{
    if (term_is_big(arg[1]))
        return big_negative(arg[1]) ? bif_badarg(p) : am_false;
    if (!term_is_small(arg[1]) || small_value(arg[1]) < 0)
        return bif_badarg(p);
    return bool_make(term_is_fun(arg[0]) && fun_arity(arg[0]) == small_value(arg[1]));
}

GUARD(erlang, is_record, 2)
{
    if (!term_is_atom(arg[1]))
        return bif_badarg(p);
    return bool_make(term_is_tuple(arg[0]) && tuple_arity(arg[0]) > 0 &&
                     *tuple_at(arg[0], 1) == arg[1]);
}

BIF(erlang, is_record, 3)
{
    if (!term_is_atom(arg[1]) || !term_is_small(arg[2]))
        return bif_badarg(p);
    return bool_make(term_is_tuple(arg[0]) && tuple_arity(arg[0]) > 0 &&
                     (int64_t)tuple_arity(arg[0]) == small_value(arg[2]) &&
                     *tuple_at(arg[0], 1) == arg[1]);
}

GUARD_AS(erlang, gt, 2, ">")
{
    SLICED(p, NULL);

    return bool_make(term_compare(arg[0], arg[1]) > 0);
}
GUARD_AS(erlang, ge, 2, ">=")
{
    SLICED(p, NULL);

    return bool_make(term_compare(arg[0], arg[1]) >= 0);
}
GUARD_AS(erlang, lt, 2, "<")
{
    SLICED(p, NULL);

    return bool_make(term_compare(arg[0], arg[1]) < 0);
}
GUARD_AS(erlang, le, 2, "=<")
{
    SLICED(p, NULL);

    return bool_make(term_compare(arg[0], arg[1]) <= 0);
}
GUARD_AS(erlang, eq, 2, "==")
{
    SLICED(p, NULL);

    return bool_make(term_compare(arg[0], arg[1]) == 0);
}
GUARD_AS(erlang, ne, 2, "/=")
{
    SLICED(p, NULL);

    return bool_make(term_compare(arg[0], arg[1]) != 0);
}
GUARD_AS(erlang, exact_eq, 2, "=:=")
{
    SLICED(p, NULL);

    return bool_make(term_eq(arg[0], arg[1]));
}
GUARD_AS(erlang, exact_ne, 2, "=/=")
{
    SLICED(p, NULL);

    return bool_make(!term_eq(arg[0], arg[1]));
}

static bool bools(const term *arg)
{
    return term_is_bool(arg[0]) && term_is_bool(arg[1]);
}

GUARD(erlang, and, 2)
{
    return bools(arg) ? bool_make(arg[0] == am_true && arg[1] == am_true) : bif_badarg(p);
}
GUARD(erlang, or, 2)
{
    return bools(arg) ? bool_make(arg[0] == am_true || arg[1] == am_true) : bif_badarg(p);
}
GUARD(erlang, xor, 2)
{
    return bools(arg) ? bool_make(arg[0] != arg[1]) : bif_badarg(p);
}
GUARD(erlang, not, 1)
{
    return term_is_bool(arg[0]) ? bool_make(arg[0] == am_false) : bif_badarg(p);
}

GUARD(erlang, hd, 1)
{
    return term_is_cons(arg[0]) ? cons_head(arg[0]) : bif_badarg(p);
}
GUARD(erlang, tl, 1)
{
    return term_is_cons(arg[0]) ? cons_tail(arg[0]) : bif_badarg(p);
}
GUARD(erlang, self, 0)
{
    return p->id;
}

/* Of a tuple, or the whole bytes of a bitstring. */
GUARD(erlang, size, 1)
{
    if (term_is_tuple(arg[0]))
        return small_make((int64_t)tuple_arity(arg[0]));
    if (term_is_bitstring(arg[0]))
        return small_make((int64_t)bits_bytes(bits_of(arg[0])));
    return bif_badarg(p);
}

/* A last byte that is not full counts. */
GUARD(erlang, byte_size, 1)
{
    if (!term_is_bitstring(arg[0]))
        return bif_badarg(p);
    return small_make((int64_t)((bits_of(arg[0]).size + 7) / 8));
}

GUARD(erlang, bit_size, 1)
{
    if (!term_is_bitstring(arg[0]))
        return bif_badarg(p);
    return small_make((int64_t)bits_of(arg[0]).size);
}
