/*
 * log_test.c - what the VM says by itself before there is a logger.
 */
#include "t.h"

#include "bif/bif.h"
#include "vm/atom.h"
#include "vm/boot.h"
#include "vm/exc.h"

#include <unistd.h>

/* A function that is not there yet raises undef each time, and is named once. */
static void unimplemented_named_once(void **state)
{
    int ends[2], console = dup(2);
    char said[512];
    struct proc *p;
    term failed[3];
    ssize_t n;

    boot_init();
    p = t_proc();
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], 2);
    for (int i = 0; i < 3; i++)
        failed[i] = bif_unimplemented(p, "erlang:frobnicate/7");
    bif_unimplemented(p, "erlang:other/0");
    dup2(console, 2);
    close(console);
    close(ends[1]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(failed[i], THE_NON_VALUE);
    assert_int_equal(p->exc.reason, am_undef);
    n = read(ends[0], said, sizeof said - 1);
    close(ends[0]);
    assert_true(n > 0);
    said[n] = 0;
    assert_string_equal(said, "ling: erlang:frobnicate/7 is not implemented\n"
                              "ling: erlang:other/0 is not implemented\n");
    t_proc_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unimplemented_named_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
