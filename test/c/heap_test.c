/*
 * heap_test.c - heaps, collections and copies keep terms as they are.
 */
#include "t.h"

#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/gc.h"
#include "vm/map.h"
#include "vm/ops.h"

#include <errno.h>

enum { ROOTS = 40 };

/* A copy that no collection touches. */
struct witness {
    struct mbuf *m;
    term t;
};

static struct witness witness(term t)
{
    size_t words = term_size_all(t);
    struct witness w = {.m = mbuf_new(words)};
    struct dest d = {w.m->words, &w.m->off};

    w.t = term_copy_all(&d, t);
    assert_int_equal(d.htop - w.m->words, words);
    w.m->used = words;
    return w;
}

/* Replace a root by a new term; not too large a one: a copy has no sharing. */
static void new_root(struct rng *r, struct proc *p, term *roots)
{
    term t = t_term(r, p, roots, ROOTS);

    if (term_size_all(t) < 1000)
        roots[rng_below(r, ROOTS)] = t;
}

/* OTP's steps, from erlang:system_info(heap_sizes). */
static void sizes(void **state)
{
    static const size_t want[] = {12,   38,   51,   90,   142,  233, 376,
                                  610,  987,  1598, 2586, 4185, 6772};

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_int_equal(heap_size_step(want[i]), want[i]);
        if (i > 0)
            assert_int_equal(heap_size_step(want[i - 1] + 1), want[i]);
    }
    assert_int_equal(heap_size_step(1439469), 1727361);
}

/*
 * Random graphs, kept in roots, on the stack and in a message; collected in all
 * ways. After each the roots equal the copies made before it, and what they
 * share is still shared.
 */
static void graphs(struct rng r)
{
    struct proc *p = t_proc();
    struct witness kept[ROOTS];
    term roots[ROOTS];
    struct msg msg = {.value = TERM_NIL, .token = TERM_NIL};

    p->msgq.first = &msg;
    for (size_t i = 0; i < ROOTS; i++)
        roots[i] = small_make((int64_t)i);
    for (int round = 0; round < 60; round++) {
        size_t make = rng_below(&r, 60), words = rng_below(&r, 500);
        term stack[4];
        int result;

        for (size_t i = 0; i < make; i++)
            new_root(&r, p, roots);
        msg.value = roots[3];
        p->msgq.on_heap = !term_is_imm(msg.value);
        /* A little of it on the stack, if there is room. */
        p->heap.stop = p->heap.hend;
        for (size_t i = 0; i < 4 && heap_free_words(&p->heap) > 0; i++)
            *--p->heap.stop = roots[i];
        size_t on_stack = p->heap.hend - p->heap.stop;

        heap_check(p);
        for (size_t i = 0; i < ROOTS; i++)
            kept[i] = witness(roots[i]);
        switch (rng_below(&r, 8)) {
        case 0:
            result = gc_full(p, words, roots, ROOTS);
            break;
        case 1:
            p->live = 0;
            for (size_t i = 0; i < 4; i++)
                p->arg[p->live++] = roots[i];
            memcpy(stack, roots, sizeof stack);
            result = gc_hibernate(p);
            for (size_t i = 0; i < 4; i++)
                roots[i] = p->arg[i];
            for (size_t i = 4; i < ROOTS; i++)
                roots[i] = TERM_NIL;
            words = 0;
            break;
        default:
            result = gc_collect(p, words, roots, ROOTS);
        }
        assert_int_equal(result, 0);
        assert_true(heap_free_words(&p->heap) >= words);
        assert_null(p->heap.mbuf);
        heap_check(p);
        for (size_t i = 0; i < ROOTS; i++) {
            if (roots[i] != TERM_NIL)
                assert_true(term_eq(roots[i], kept[i].t));
            mbuf_free(kept[i].m);
        }
        for (size_t i = 0; i < on_stack; i++)
            assert_true(p->heap.hend[-1 - (ptrdiff_t)i] == roots[i]);
        assert_true(msg.value == roots[3]);
    }
    p->msgq.first = NULL;
    t_proc_free(p);
}

static void random_graphs(void **state)
{
    t_vm();
    for (uint64_t seed = 0; seed < 60; seed++) {
        size_t binaries = vm_allocated(ALLOC_BINARY);
        size_t system = vm_allocated(ALLOC_SYSTEM);
        size_t heaps = vm_allocated(ALLOC_PROC);

        graphs((struct rng){seed});
        assert_int_equal(vm_allocated(ALLOC_BINARY), binaries);
        assert_int_equal(vm_allocated(ALLOC_SYSTEM), system);
        assert_int_equal(vm_allocated(ALLOC_PROC), heaps);
    }
}

/*
 * A collection survives any allocation failing: it says so, and the heap is as
 * it was or smaller by its garbage.
 */
static void out_of_memory(void **state)
{
    t_vm();
    vm.try_least = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct rng r = {seed};
        struct proc *p = t_proc();
        term roots[ROOTS];
        int failures = 0;

        for (size_t i = 0; i < ROOTS; i++)
            roots[i] = TERM_NIL;
        for (int k = 0; k < 3; k++) {
            for (int i = 0; i < 100; i++)
                new_root(&r, p, roots);
            for (uint64_t n = 1;; n++) {
                struct witness w = witness(roots[5]);
                int result;

                vm.fail_alloc_at = n;
                result = gc_collect(p, 10000, roots, ROOTS);
                vm.fail_alloc_at = 0;
                heap_check(p);
                assert_true(term_eq(roots[5], w.t));
                mbuf_free(w.m);
                if (result == 0)
                    break;
                assert_int_equal(result, -ENOMEM);
                failures++;
            }
        }
        assert_true(failures > 0);
        t_proc_free(p);
    }
}

/* Live data of one size, garbage without end: the heap finds its size. */
static void steady_state(void **state)
{
    struct proc *p;
    term keep = TERM_NIL, *hp;
    size_t most = 0;

    t_vm();
    p = t_proc();
    for (int i = 0; i < 200; i++) {
        hp = heap_alloc(p, CONS_WORDS);
        keep = put_cons(&hp, small_make(i), keep);
    }
    for (int i = 0; i < 200000; i++) {
        if (heap_free_words(&p->heap) < 10) {
            assert_int_equal(gc_collect(p, 10, &keep, 1), 0);
            if ((size_t)(p->heap.hend - p->heap.heap) > most)
                most = p->heap.hend - p->heap.heap;
        }
        hp = heap_alloc(p, 10);
        hp[0] = TUPLE_HEADER(9);
        for (int k = 1; k < 10; k++)
            hp[k] = keep;
    }
    assert_int_equal(list_length(keep), 200);
    assert_true(most <= 2586);
    assert_true(vm.gc.collections > 0);
    t_proc_free(p);
}

/* A list a million long and a tuple nested as deep: nothing recurses. */
static void deep(void **state)
{
    struct proc *p, *q;
    term t = TERM_NIL, copy, *hp;

    t_vm();
    p = t_proc();
    q = t_proc();
    for (int i = 0; i < 1000000; i++) {
        hp = heap_alloc(p, 5);
        hp[0] = TUPLE_HEADER(2);
        hp[1] = small_make(i);
        hp[2] = t;
        t = boxed_make(hp);
        hp += 3;
        t = put_cons(&hp, t, TERM_NIL);
    }
    assert_int_equal(gc_collect(p, 0, &t, 1), 0);
    assert_int_equal(gc_collect(p, 0, &t, 1), 0);
    assert_int_equal(gc_full(p, 0, &t, 1), 0);
    assert_int_equal(term_size(t), 5000000);
    copy = term_copy_to(q, t);
    assert_true(term_eq(t, copy));
    assert_int_equal(term_compare(t, copy), 0);
    assert_int_equal(term_hash64(t, 3), term_hash64(copy, 3));
    assert_int_equal(term_phash2(t), term_phash2(copy));
    assert_int_equal(term_phash(t), term_phash(copy));
    t_proc_free(p);
    t_proc_free(q);
}

/* max_heap_size: refused, and the heap is as before. */
static void limit(void **state)
{
    struct proc *p;
    term t = TERM_NIL, *hp;

    t_vm();
    p = t_proc();
    p->heap.max_words = 2000;
    p->flags = PF_MAX_HEAP_KILL;
    for (int i = 0; i < 1000; i++) {
        hp = heap_alloc(p, CONS_WORDS);
        t = put_cons(&hp, small_make(i), t);
    }
    assert_int_equal(gc_collect(p, 0, &t, 1), -E2BIG);
    heap_check(p);
    assert_int_equal(list_length(t), 1000);
    p->flags = 0;
    assert_int_equal(gc_collect(p, 0, &t, 1), 0);
    t_proc_free(p);
}

/* Copied parts of binaries: of small ones the bytes, of large ones shares. */
static void sub_binaries(void **state)
{
    struct proc *p, *q;
    uint8_t *data;
    term small, large;

    t_vm();
    p = t_proc();
    q = t_proc();
    small = binary_new(p, 60, &data);
    for (int i = 0; i < 60; i++)
        data[i] = (uint8_t)(i * 7);
    large = binary_new(p, 6000, &data);
    for (int i = 0; i < 6000; i++)
        data[i] = (uint8_t)(i * 7);
    for (uint64_t at = 0; at < 40; at++)
        for (uint64_t n = 0; n < 400; n += 13) {
            term a = binary_sub(p, small, at, n), b = binary_sub(p, large, at, n);
            term c = term_copy_to(q, a), d = term_copy_to(q, b);

            assert_true(term_eq(a, b));
            assert_true(term_eq(a, c));
            assert_true(term_eq(b, d));
            assert_true(term_eq(c, d));
            assert_int_equal(term_hash64(c, 0), term_hash64(d, 0));
            assert_int_equal(term_phash2(c), term_phash2(b));
            assert_int_equal(term_compare(a, d), 0);
        }
    assert_int_equal(gc_collect(q, 0, NULL, 0), 0);
    t_proc_free(q);
    assert_int_equal(bits_of(large).base[100], (uint8_t)700);
    t_proc_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),        cmocka_unit_test(limit),
        cmocka_unit_test(steady_state), cmocka_unit_test(sub_binaries),
        cmocka_unit_test(deep),         cmocka_unit_test(out_of_memory),
        cmocka_unit_test(random_graphs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
