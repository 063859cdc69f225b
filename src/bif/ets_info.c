/*
 * ets_info.c - the ets BIFs that tell about tables.
 */
#include "bif/build.h"
#include "bif/ets_bif.h"
#include "vm/big.h"
#include "vm/msg.h"
#include "vm/node.h"
#include "vm/ops.h"

#include <math.h>

static term info_fixed(struct proc *p, struct ets_table *t, bool monotonic)
{
    term list = TERM_NIL, time;

    if (!t->fixes)
        return am_false;
    for (struct ets_fix *f = t->fixes; f; f = f->table_next) {
        list = build_item(p, f->proc->id, uint64_make(p, f->count), list);
    }
    if (monotonic) {
        time = int64_make(p, t->fix_time_ns);
    } else {
        int64_t us = (t->fix_time_ns + t->fix_offset_ns) / 1000;
        time = build_tuple3(p, small_make(us / 1000000000000),
                            small_make(us / 1000000 % 1000000),
                            small_make(us % 1000000));
    }
    return build_tuple2(p, time, list);
}

/* Chain lengths: {Buckets, Avg, StdDev, StdDevExpected, Min, Max, Kept, Locks} */
static term info_stats(struct proc *p, struct ets_table *t)
{
    size_t n = t->hash.buckets, min = SIZE_MAX, max = 0, kept = 0;
    double sum = 0, squares = 0;

    if (ets_is_tree(t))
        return am_false;
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        for (struct ets_obj *o = ets_hash_bucket(t, i); o; o = o->next) {
            len++;
            kept += o->dead;
        }
        sum += (double)len;
        squares += (double)len * (double)len;
        min = len < min ? len : min;
        max = len > max ? len : max;
    }
    double avg = sum / (double)n;
    double dev = sqrt(fmax(0, squares / (double)n - avg * avg));
    double expected = sqrt(avg * (1 - 1.0 / (double)n));
    term *hp = heap_alloc(p, 9 + 3 * FLOAT_WORDS);
    term a = float_make(&hp, avg), b = float_make(&hp, dev);
    term c = float_make(&hp, expected);
    hp[0] = TUPLE_HEADER(8);
    hp[1] = small_make((int64_t)n);
    hp[2] = a;
    hp[3] = b;
    hp[4] = c;
    hp[5] = small_make((int64_t)min);
    hp[6] = small_make((int64_t)max);
    hp[7] = small_make((int64_t)kept);
    hp[8] = small_make(1);
    return boxed_make(hp);
}

static term info(struct proc *p, struct ets_table *t, term what)
{
    static const term types[] = {am_set, am_bag, am_duplicate_bag, am_ordered_set};
    static const term protections[] = {am_private, am_protected, am_public};

    switch (what) {
    case am_size: return uint64_make(p, t->count);
    case am_type: return types[t->type];
    case am_memory: return uint64_make(p, (t->bytes + 7) / sizeof(term));
    case am_owner: return t->owner;
    case am_heir: return t->heir;
    case am_protection: return protections[t->protection];
    /* As OTP with one scheduler: no fine-grained locks, no counters apart. */
    case am_write_concurrency:
    case am_decentralized_counters: return am_false;
    case am_read_concurrency: return bool_make(t->read_concurrency);
    case am_name: return t->name;
    case am_keypos: return small_make((int64_t)t->keypos);
    case am_node: return node_name();
    case am_named_table: return bool_make(t->named);
    case am_compressed: return bool_make(t->compressed);
    case am_id: return term_copy_to(p, t->tid);
    case am_fixed: return bool_make(t->fixes != NULL);
    case am_safe_fixed: return info_fixed(p, t, false);
    case am_safe_fixed_monotonic_time: return info_fixed(p, t, true);
    case am_stats: return info_stats(p, t);
    }
    return THE_NON_VALUE;
}

/* For info/1,2: a table that is gone gives undefined, other things badarg. */
static struct ets_table *info_table(struct proc *p, term id, term *result)
{
    term cause;
    struct ets_table *t = ets_table_find(id, &cause);

    if (!t)
        *result = cause == am_id ? am_undefined
                                 : bif_error_cause(p, am_badarg, cause);
    return t;
}

BIF(ets, info, 1)
{
    static const term fields[] = {
        am_protection, am_keypos, am_type, am_named_table, am_node, am_size,
        am_name, am_heir, am_owner, am_memory, am_compressed,
        am_write_concurrency, am_read_concurrency, am_decentralized_counters,
        am_id,
    };
    term list = TERM_NIL;
    struct ets_table *t = info_table(p, arg[0], &list);

    for (size_t i = 0; t && i < sizeof fields / sizeof *fields; i++) {
        list = build_item(p, fields[i], info(p, t, fields[i]), list);
    }
    return list;
}

BIF_AS(ets, info_item, 2, "info")
{
    term result;

    if (arg[1] == am_binary)
        return bif_trap(p, EXP("erts_internal", "ets_info_binary", 1), arg, 1);
    struct ets_table *t = info_table(p, arg[0], &result);
    if (!t)
        return result;
    result = info(p, t, arg[1]);
    return result == THE_NON_VALUE ? bif_badarg(p) : result;
}

/*
 * [{Address, Bytes, References}] of the large binaries in a key's objects, those
 * included that a fixed table has yet to drop.
 */
BIF(erts_internal, ets_lookup_binary_info, 2)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    term list = TERM_NIL;
    for (struct ets_obj *o = ets_find_raw(t, arg[1]); o; o = ets_find_next_raw(t, o)) {
        for (term *w = o->off; w; w = (term *)w[1]) {
            if (header_type(*w) != BOX_REFCBIN)
                continue;
            struct refbin *b = ((struct refcbin_words *)w)->bin;
            term at = uint64_make(p, (uint64_t)(uintptr_t)b);
            term size = uint64_make(p, b->size);
            term refs = uint64_make(p, (uint64_t)b->refc);
            list = build_cons(p, build_tuple3(p, at, size, refs), list);
        }
    }
    return list;
}

/*
 * ets:all/0 waits for one {Ref, Tables} from each scheduler, and there is one:
 * p has its answer before it gets the reference.
 */
BIF(ets, internal_request_all, 0)
{
    uint64_t number[2];
    term *hp = heap_alloc(p, REF_WORDS);

    ref_next(number);
    term ref = ref_put(&hp, number);

    size_t words = 3 + REF_WORDS + vm.ets->tables * (CONS_WORDS + MAGIC_WORDS);
    struct mbuf *m = mbuf_new(words);
    struct dest d = {.htop = m->words, .off = &m->off};
    term list = TERM_NIL;
    for (struct ets_table *t = vm.ets->all; t; t = t->all_next) {
        term id = t->named ? t->name : term_copy(&d, t->tid);
        list = put_cons(&d.htop, id, list);
    }
    term copy = ref_put(&d.htop, number);
    term message = put_tuple2(&d.htop, copy, list);
    m->used = (size_t)(d.htop - m->words);
    bif_spend(p, vm.ets->tables, 10);
    msg_send_mbuf(p, m, message);
    return ref;
}
