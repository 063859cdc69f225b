#include "t.h"

#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/gc.h"
#include "vm/literal.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/node.h"
#include "vm/sched.h"
#include "vm/sysmon.h"

#include <stdlib.h>

uint64_t rng_next(struct rng *r)
{
    uint64_t x = r->s += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

void t_vm(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    atom_init();
    literal_init();
    sched_init();               /* work says to it how much it has done */
    sysmon_init();
}

struct proc *t_proc(void)
{
    struct proc *p = vm_zalloc(ALLOC_PROC, sizeof *p);

    assert_int_equal(heap_init(&p->heap, HEAP_MIN_WORDS), 0);
    p->arg = p->arg_def;
    p->msgq.last = p->msgq.save = &p->msgq.first;
    return p;
}

void t_proc_free(struct proc *p)
{
    heap_fini(&p->heap);
    vm_free(p);
}

static term any(struct rng *r, const term *known, size_t n)
{
    if (n > 0 && rng_below(r, 4))
        return known[rng_below(r, n)];
    switch (rng_below(r, 5)) {
    case 0:
        return TERM_NIL;
    case 1:
        return ATOM_MAKE(rng_below(r, ATOM_STATIC_COUNT));
    case 2:
        return pid_make((uint32_t)rng_below(r, 100), 0);
    case 3:
        return port_make(rng_below(r, 100));
    default:
        return small_make((int64_t)rng_next(r) >> 5 >> rng_below(r, 58));
    }
}

static void resource_free(struct resource *res)
{
    vm_free(res);
}

static struct fun_entry fun_entry = {.module = am_true, .name = am_true};
static struct export export = {.m = am_true, .f = am_false, .arity = 3};

static term random_map(struct rng *r, struct proc *p, const term *known, size_t n)
{
    size_t size = rng_below(r, 8) ? rng_below(r, 10) : 30 + rng_below(r, 200);
    term *pairs = malloc(2 * size * sizeof(term) + 1), map;

    for (size_t i = 0; i < size; i++) {
        pairs[2 * i] = t_key(r, p);
        pairs[2 * i + 1] = any(r, known, n);
    }
    map = map_from_pairs(p, pairs, size);
    free(pairs);
    return map;
}

term t_term(struct rng *r, struct proc *p, const term *known, size_t n)
{
    term *hp;

    switch (rng_below(r, 12)) {
    case 0:
        hp = heap_alloc(p, FLOAT_WORDS);
        return float_make(&hp, (double)(int64_t)rng_next(r) / 1e9);
    case 1: {
        size_t digits = 1 + rng_below(r, 5);

        hp = heap_alloc(p, 1 + digits);
        hp[0] = HEADER(rng_below(r, 2) ? BOX_POSBIG : BOX_NEGBIG, 0, digits);
        for (size_t i = 1; i <= digits; i++)
            hp[i] = rng_next(r) | (term)1 << 63;
        return boxed_make(hp);
    }
    case 2: {
        size_t size = rng_below(r, 3) ? rng_below(r, 70) : rng_below(r, 2000);
        uint8_t *data;
        term t = binary_new(p, size, &data);

        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)rng_next(r);
        return t;
    }
    case 3: {
        for (size_t i = 0; i < n; i++) {
            term t = known[rng_below(r, n)];

            if (term_is_bitstring(t)) {
                uint64_t bits = bits_of(t).size, from = rng_below(r, bits + 1);

                return binary_sub(p, t, from, rng_below(r, bits - from + 1));
            }
        }
        return TERM_NIL;
    }
    case 4: {
        uint64_t ref[2];

        ref_next(ref);
        hp = heap_alloc(p, REF_WORDS);
        return ref_put(&hp, ref);
    }
    case 5: {
        struct resource *res = vm_alloc(ALLOC_SYSTEM, sizeof *res);
        struct dest d = {heap_alloc(p, MAGIC_WORDS), &p->heap.off};

        *res = (struct resource){.refc = 1, .free = resource_free};
        return magic_put(&d, res);
    }
    case 6: {
        size_t env = rng_below(r, 4);
        struct fun_words *f = (struct fun_words *)heap_alloc(p, FUN_WORDS(env));

        f->header = HEADER(BOX_FUN, 1, FUN_WORDS(env) - 1);
        f->entry = &fun_entry;
        f->creator = pid_make(1, 0);
        for (size_t i = 0; i < env; i++)
            f->env[i] = any(r, known, n);
        return boxed_make(&f->header);
    }
    case 7:
        if (rng_below(r, 4) == 0) {
            hp = heap_alloc(p, EXPORT_FUN_WORDS);
            return export_fun_put(&hp, &export);
        }
        return random_map(r, p, known, n);
    case 8:
    case 9: {
        size_t arity = rng_below(r, 6);

        hp = heap_alloc(p, 1 + arity);
        hp[0] = TUPLE_HEADER(arity);
        for (size_t i = 1; i <= arity; i++)
            hp[i] = any(r, known, n);
        return boxed_make(hp);
    }
    default: {
        size_t length = rng_below(r, 12);
        term t = any(r, known, n);

        while (length-- > 0) {
            hp = heap_alloc(p, CONS_WORDS);
            t = put_cons(&hp, any(r, known, n), t);
        }
        return t;
    }
    }
}

term t_key(struct rng *r, struct proc *p)
{
    term *hp, a = small_make((int64_t)rng_below(r, 400));
    uint8_t *data;

    switch (rng_below(r, 8)) {
    case 0:
        return a;
    case 1:
        return ATOM_MAKE(rng_below(r, ATOM_STATIC_COUNT));
    case 2:
        hp = heap_alloc(p, FLOAT_WORDS);
        return float_make(&hp, (double)rng_below(r, 400));
    case 3:
        hp = heap_alloc(p, 3);
        return put_tuple2(&hp, a, TERM_NIL);
    case 4:
        hp = heap_alloc(p, CONS_WORDS);
        return put_cons(&hp, a, TERM_NIL);
    case 5:
        a = binary_new(p, 2, &data);
        data[0] = (uint8_t)rng_below(r, 100);
        data[1] = 7;
        return a;
    default:
        return small_make((int64_t)rng_next(r) >> 30);
    }
}
