/*
 * iolist_test.c - the size of what is larger than any memory, by sharing its parts.
 */
#include "t.h"

#include "vm/binary.h"
#include "vm/heap.h"

#include <errno.h>

/* A binary of as many bits as one may have; nobody reads them. */
static term largest(struct proc *p)
{
    static const uint8_t byte;
    struct subbin_words *s;
    term small = binary_from(p, &byte, 1);

    s = (struct subbin_words *)heap_alloc(p, SUBBIN_WORDS);
    s->header = HEADER(BOX_SUBBIN, 0, SUBBIN_WORDS - 1);
    s->orig = small;
    s->offset = 0;
    s->size = BINARY_MAX_BITS;
    return boxed_make(&s->header);
}

/* t, and t again, n times over: two to the n of it. */
static term doubled(struct proc *p, term t, unsigned n)
{
    while (n-- > 0) {
        term *hp = heap_alloc(p, 2 * CONS_WORDS);
        term tail = put_cons(&hp, t, TERM_NIL);

        t = put_cons(&hp, t, tail);
    }
    return t;
}

static void sizes(void **state)
{
    struct proc *p = t_proc();
    const size_t most = BINARY_MAX_BITS / 8;
    term t = largest(p);
    size_t n = 0;

    (void)state;
    assert_int_equal(iolist_size(t, &n), 0);
    assert_int_equal(n, most);
    assert_int_equal(iolist_size(doubled(p, t, 1), &n), -EOVERFLOW);
    assert_int_equal(iolist_count(doubled(p, t, 6), &n), 0);
    assert_int_equal(n, 64 * most);
    assert_int_equal(iolist_count(doubled(p, t, 20), &n), -EOVERFLOW);
    t_proc_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes)};

    t_vm();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
