/*
 * halt.c - the end of the VM at a program's wish.
 */
#include "bif/bif.h"
#include "io/port.h"
#include "os/os.h"
#include "vm/big.h"
#include "vm/print.h"
#include "vm/unicode.h"

/* OTP shows this many characters of a slogan. */
#define SLOGAN_MAX 1023
#define DUMP_STATUS 1

static void put_utf8(struct text *t, uint32_t c)
{
    uint8_t u[UTF8_MAX];

    text_add(t, (char *)u, utf8_put(u, c));
}

/* The characters of a list, cut at SLOGAN_MAX. False: not characters. */
static bool slogan(struct text *t, term l)
{
    for (size_t n = 0; term_is_cons(l); l = cons_tail(l), n++) {
        term c = cons_head(l);

        if (n == SLOGAN_MAX)
            return true;
        if (!term_is_small(c) || small_value(c) < 0 || small_value(c) > 0x10ffff ||
            (small_value(c) >= 0xd800 && small_value(c) <= 0xdfff))
            return false;
        put_utf8(t, (uint32_t)small_value(c));
    }
    return term_is_nil(l);
}

static bool halt_options(term l, bool *flush)
{
    *flush = true;
    for (; term_is_cons(l); l = cons_tail(l)) {
        term o = cons_head(l);

        if (!term_is_tuple_of(o, 2) || *tuple_at(o, 1) != am_flush ||
            !term_is_bool(*tuple_at(o, 2)))
            return false;
        *flush = *tuple_at(o, 2) == am_true;
    }
    return term_is_nil(l);
}

/*
 * erlang:halt(Status, Options): a number is the exit status (its low 8 bits
 * are what the system below keeps), abort ends with a core, a string is the
 * slogan of a crash.
 */
BIF(erlang, halt, 2)
{
    term status = arg[0];
    bool flush;

    if (!halt_options(arg[1], &flush))
        return bif_error_cause(p, am_badarg, am_badopt);
    if (term_is_integer(status)) {
        uint64_t low = term_is_small(status) ? (uint64_t)small_value(status)
                                             : big_data(status)[0];

        if (term_is_big(status) && big_negative(status))
            low = -low;
        if (flush) {
            sched_halt((int)(low & 255));
            return bif_yield(p);
        }
        os_exit((int)(low & 255));
    }
    if (status == am_abort)
        os_abort("halted by erlang:halt(abort)");
    if (term_is_list(status)) {
        struct text t;

        text_init(&t);
        if (slogan(&t, status)) {
            text_add(&t, "\n", 1);
            os_console(t.s, t.n);
            os_exit(DUMP_STATUS);
        }
        text_fini(&t);
    }
    return bif_badarg(p);
}
