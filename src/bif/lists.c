/*
 * lists.c - the BIFs of lists, and of erlang those on lists: ++, --, length.
 *
 * Long lists are done in slices. Where what is left of the arguments is a call
 * of the same function (reverse) the trap is just that. ++ and -- go on in
 * functions of erts_internal; they check their lists before the first trap, so
 * that a failure always names the operator. Searches are put aside where they are.
 */
#include "bif/bif.h"
#include "vm/ops.h"
#include "vm/slice.h"

#define CELLS_PER_RED 20        /* copied, to memory that was never touched */
#define MEMBER_PER_RED 16       /* compared */
#define KEYFIND_PER_RED 10
#define PACE 1024               /* cells searched, until time is looked at */
#define SEARCH_NS 4
#define SUBTRACT_PER_RED 8      /* hashed and compared */

/* n cells of list in front of acc, in reverse; *rest is what follows them. */
static term reverse_cells(struct proc *p, term list, size_t n, term acc,
                          term *rest)
{
    term *hp = heap_alloc(p, n * CONS_WORDS);
    struct list_walk w = LIST_WALK;

    for (; n > 0; n--, list_next(&list, &w))
        acc = put_cons(&hp, cons_head(list), acc);
    *rest = list;
    return acc;
}

/* How many cells list has, counting no further than max. */
static size_t count_cells(term list, size_t max, term *rest)
{
    struct list_walk w = LIST_WALK;
    size_t n = 0;

    if (term_is_cons(list) && max > 0) {
        do
            n++;
        while (list_next(&list, &w) && n < max);
    }
    *rest = list;
    return n;
}

/* lists:reverse(List, Tail). A bad end is found when it is reached, as in OTP. */
BIF(lists, reverse, 2)
{
    size_t budget = bif_budget(p, CELLS_PER_RED);
    term rest;
    size_t n = count_cells(arg[0], budget, &rest);

    if (!term_is_list(rest))
        return bif_badarg(p);
    arg[1] = reverse_cells(p, arg[0], n, arg[1], &arg[0]);
    bif_spend(p, n, CELLS_PER_RED);
    if (term_is_nil(arg[0]))
        return arg[1];
    return bif_yield(p);
}

/*
 * The first cell among the next max whose head is key, an immediate: its word is
 * all there is to compare. Otherwise what is not yet looked at, no cell if the
 * list is at its end. *max becomes what is left of it.
 */
static term member_word(term key, term list, size_t *max, bool *found)
{
    struct list_walk w = LIST_WALK;
    size_t left = *max;

    if (term_is_cons(list)) {
        do {
            if (cons_head(list) == key) {
                *found = true;
                break;
            }
        } while (--left > 0 && list_next(&list, &w));
    }
    *max = left;
    return list;
}

/* The same for any key. */
static term member_term(term key, term list, size_t *max, bool *found)
{
    size_t left = *max;

    for (; term_is_cons(list) && left > 0; list = cons_tail(list), left--) {
        if (term_eq(cons_head(list), key)) {
            *found = true;
            break;
        }
    }
    *max = left;
    return list;
}

static term member(term key, term list, size_t *max, bool *found)
{
    return term_is_imm(key) ? member_word(key, list, max, found)
                            : member_term(key, list, max, found);
}

/* The rest of a list that is longer than a slice. */
static __attribute__((noinline)) term member_long(struct proc *p, term key, term list,
                                                  bool *found)
{
    SLICED(p, EXP("lists", "member", 2));

    while (!*found && term_is_cons(list)) {
        size_t left = PACE;

        list = member(key, list, &left, found);
        slice(PACE * SEARCH_NS);
    }
    return list;
}

BIF(lists, member, 2)
{
    size_t budget = bif_budget(p, MEMBER_PER_RED), left = budget;
    bool found = false;
    term rest = member(arg[0], arg[1], &left, &found);

    bif_spend(p, budget - left, MEMBER_PER_RED);
    if (unlikely(!found && term_is_cons(rest)))
        rest = member_long(p, arg[0], rest, &found);
    if (found)
        return am_true;
    return term_is_nil(rest) ? am_false : bif_badarg(p);
}

/*
 * Is element, which is not the same word, == key? A small key equals a float
 * when its double does, exact or not: OTP's rule here, unlike that of ==. Other
 * immediates equal nothing else.
 */
static bool key_matches(term key, term element)
{
    if (term_is_small(key))
        return term_is_float(element)
               && float_value(element) == (double)small_value(key);
    return !term_is_imm(key) && term_compare(key, element) == 0;
}

/*
 * The first tuple among the heads of the next max cells whose element pos is
 * key; NONE: not there, *list is what is not yet looked at. *max becomes what
 * is left of it.
 */
static inline __attribute__((always_inline)) term
find_tuple(term key, size_t pos, term *list, size_t *max, bool imm)
{
    struct list_walk w = LIST_WALK;
    term header = THE_NON_VALUE, found = THE_NON_VALUE, at = *list;
    size_t left = *max;

    if (!term_is_cons(at))
        return found;
    do {
        term item = cons_head(at), element;
        const term *obj;

        if (!term_is_boxed(item))
            continue;
        obj = boxed_ptr(item);
        /* Most are tuples like the one before. */
        if (unlikely(*obj != header)) {
            if (header_type(*obj) != BOX_TUPLE || pos > header_words(*obj))
                continue;
            header = *obj;
        }
        element = obj[pos];
        if (element == key ||
            (unlikely(!imm || term_is_boxed(element)) &&
             key_matches(key, element))) {
            found = item;
            break;
        }
    } while (--left > 0 && list_next(&at, &w));
    *list = at;
    *max = left;
    return found;
}

/* In the rest of a list that is longer than a slice. */
static __attribute__((noinline)) term find_tuple_long(struct proc *p, term key, size_t pos,
                                                      term *list)
{
    SLICED(p, EXP("lists", "keyfind", 3));

    term t = THE_NON_VALUE;

    while (t == THE_NON_VALUE && term_is_cons(*list)) {
        size_t left = PACE;

        t = find_tuple(key, pos, list, &left, term_is_imm(key));
        slice(PACE * SEARCH_NS);
    }
    return t;
}

/* The tuple, false, or THE_NON_VALUE: failed. */
static term keyfind(struct proc *p, const term *arg)
{
    size_t budget = bif_budget(p, KEYFIND_PER_RED), left = budget, pos;
    term rest = arg[2], t;

    if (!term_is_small(arg[1]) || small_value(arg[1]) < 1)
        return bif_badarg(p);
    pos = (size_t)small_value(arg[1]);
    t = term_is_imm(arg[0]) ? find_tuple(arg[0], pos, &rest, &left, true)
                            : find_tuple(arg[0], pos, &rest, &left, false);
    bif_spend(p, budget - left, KEYFIND_PER_RED);
    if (unlikely(t == THE_NON_VALUE && term_is_cons(rest)))
        t = find_tuple_long(p, arg[0], pos, &rest);
    if (t != THE_NON_VALUE)
        return t;
    return term_is_nil(rest) ? am_false : bif_badarg(p);
}

BIF(lists, keyfind, 3)
{
    return keyfind(p, arg);
}

BIF(lists, keymember, 3)
{
    term t = keyfind(p, arg);

    return t == THE_NON_VALUE || t == am_false ? t : am_true;
}

BIF(lists, keysearch, 3)
{
    term t = keyfind(p, arg);

    if (t == THE_NON_VALUE || t == am_false)
        return t;
    term *hp = heap_alloc(p, 3);
    return put_tuple2(&hp, am_value, t);
}

GUARD(erlang, length, 1)
{
    SLICED(p, NULL);
    int64_t n = list_length(arg[0]);

    return n < 0 ? bif_badarg(p) : small_make(n);
}

/*
 * List ++ Tail when List is long: cells go in reverse to Acc, and all of Acc
 * before Tail at the end.
 */
BIF(erts_internal, append_trap, 3)
{
    size_t budget = bif_budget(p, CELLS_PER_RED);
    term rest;
    size_t n = count_cells(arg[0], budget, &rest);

    if (!term_is_list(rest))
        return bif_badarg(p);
    arg[1] = reverse_cells(p, arg[0], n, arg[1], &arg[0]);
    bif_spend(p, n, CELLS_PER_RED);
    if (!term_is_nil(arg[0]))
        return bif_yield(p);
    return bif_trap(p, EXP("lists", "reverse", 2), arg + 1, 2);
}

/*
 * A copy of the cells of list at the top of the heap, as many as there is room
 * for and not more than max; *last is the last one, list what remains.
 */
static term copy_cells(struct proc *p, term *list, size_t max, term **last)
{
    struct list_walk w = LIST_WALK;
    size_t room = heap_free_words(&p->heap) / CONS_WORDS;
    term *start = p->heap.htop, *hp = start;
    term *end = hp + (room < max ? room : max) * CONS_WORDS;
    term t = *list;

    if (term_is_cons(t) && hp < end) {
        do {
            hp[0] = cons_head(t);
            hp[1] = cons_make(hp + CONS_WORDS);
            hp += CONS_WORDS;
        } while (list_next(&t, &w) && hp < end);
    }
    p->heap.htop = hp;
    *last = hp - CONS_WORDS;
    *list = t;
    return cons_make(start);
}

static term append(struct proc *p, term *arg)
{
    SLICED(p, EXP("erlang", "++", 2));
    size_t budget = bif_budget(p, CELLS_PER_RED);
    term list = arg[0], tail = arg[1], result, *start = p->heap.htop, *last, *hp;
    int64_t n = 0;

    if (term_is_nil(list))
        return tail;
    if (term_is_nil(tail))
        return list_length(list) < 0 ? bif_badarg(p) : list;

    /* One pass, while there is room. */
    result = copy_cells(p, &list, budget, &last);
    if (!term_is_nil(list))
        n = list_length(list);
    size_t copied = (size_t)(p->heap.htop - start) / CONS_WORDS;

    if (n < 0 || (size_t)n + copied > budget) {
        term args[3] = {arg[0], TERM_NIL, tail};

        p->heap.htop = start;
        return n < 0 ? bif_badarg(p)
                     : bif_trap(p, EXP("erts_internal", "append_trap", 3), args, 3);
    }
    if (n > 0) {
        hp = heap_alloc(p, (size_t)n * CONS_WORDS);
        if (copied == 0)
            result = cons_make(hp);
        else
            last[1] = cons_make(hp);
        for (; term_is_cons(list); list = cons_tail(list), hp += CONS_WORDS) {
            hp[0] = cons_head(list);
            hp[1] = cons_make(hp + CONS_WORDS);
        }
        last = hp - CONS_WORDS;
    }
    last[1] = tail;
    bif_spend(p, (size_t)n + copied, CELLS_PER_RED);
    return result;
}

BIF_AS(erlang, op_append, 2, "++")
{
    return append(p, arg);
}
BIF(erlang, append, 2)
{
    return append(p, arg);
}

/*
 * A -- B removes, for each element of B, its first occurrence in A. The order
 * of B does not matter, so B is a multiset: a table of counts, or a plain
 * array when it is short. Neither can outlive a slice, as collections move
 * terms; a slice that ends early writes the set down as a list again.
 *
 * A long B is applied SUBTRACT_CHUNK elements at a time, A -- (B1 ++ B2) being
 * (A -- B1) -- B2: that bounds the work of making the set anew in each slice.
 */
#define SUBTRACT_CHUNK 32768
#define SUBTRACT_SHORT 16
#define TAKE_NS 30

struct bag {
    struct bag_entry {
        term t;             /* THE_NON_VALUE: free */
        uint32_t hash, count;
    } *entry;
    size_t size;            /* power of two; hashed only if > SUBTRACT_SHORT */
    size_t used, left;      /* entries; elements, counted as often as they are */
    struct bag_entry local[SUBTRACT_SHORT];
};

static struct bag_entry *bag_find(struct bag *b, term t)
{
    if (b->entry == b->local) {
        for (size_t i = 0; i < b->used; i++) {
            if (term_eq(b->entry[i].t, t))
                return &b->entry[i];
        }
        return b->used < SUBTRACT_SHORT ? &b->entry[b->used] : NULL;
    }
    uint32_t hash = term_hash(t, (uint32_t)vm.seed[0]);
    for (size_t i = hash;; i++) {
        struct bag_entry *e = &b->entry[i & (b->size - 1)];
        if (e->t == THE_NON_VALUE) {
            e->hash = hash;
            return e;
        }
        if (e->hash == hash && term_eq(e->t, t))
            return e;
    }
}

/* From at most max elements of list; *rest is what follows. */
static void bag_init(struct bag *b, term list, size_t max, term *rest)
{
    size_t n = count_cells(list, max, rest);

    b->used = b->left = 0;
    b->size = SUBTRACT_SHORT;
    b->entry = b->local;
    if (n > SUBTRACT_SHORT) {
        while (b->size < n * 2)
            b->size *= 2;
        b->entry = vm_alloc(ALLOC_SYSTEM, b->size * sizeof *b->entry);
    }
    for (size_t i = 0; i < b->size; i++) {
        b->entry[i].t = THE_NON_VALUE;
        b->entry[i].count = 0;
    }
    for (; b->left < n; b->left++, list = cons_tail(list)) {
        struct bag_entry *e = bag_find(b, cons_head(list));
        if (e->t == THE_NON_VALUE) {
            e->t = cons_head(list);
            b->used++;
        }
        e->count++;
        slice(TAKE_NS);
    }
}

static void bag_fini(struct bag *b)
{
    if (b->entry != b->local)
        vm_free(b->entry);
}

static bool bag_take(struct bag *b, term t)
{
    struct bag_entry *e = bag_find(b, t);

    if (!e || e->count == 0)
        return false;
    e->count--;
    b->left--;
    return true;
}

static term bag_list(struct proc *p, const struct bag *b)
{
    term *hp = heap_alloc(p, b->left * CONS_WORDS);
    term list = TERM_NIL;

    for (size_t i = 0; i < b->size; i++) {
        for (uint32_t n = b->entry[i].count; n > 0; n--)
            list = put_cons(&hp, b->entry[i].t, list);
    }
    return list;
}

/*
 * A slice of A -- B. arg: what is left of A in this round, what is kept of it
 * so far (reversed), this round's chunk of B, the rest of B. Both lists of B
 * and A are proper. Yields with arg as it is then.
 */
static term subtract_slice(struct proc *p, term *arg)
{
    size_t budget = bif_budget(p, SUBTRACT_PER_RED), spent = 0;
    struct bag set;
    term rest;

    for (;;) {
        if (term_is_nil(arg[2])) {
            arg[2] = arg[3];
            bag_init(&set, arg[2], SUBTRACT_CHUNK, &arg[3]);
        } else {
            bag_init(&set, arg[2], SUBTRACT_CHUNK, &rest);
        }
        spent += set.left;

        /* At least as much of A as the set has cost. */
        size_t max = budget > spent ? budget - spent : 0;
        if (max < set.left)
            max = set.left;
        size_t n = count_cells(arg[0], max, &rest);
        term *start = heap_alloc(p, n * CONS_WORDS), *hp = start;
        term a = arg[0];
        for (; n > 0 && set.left > 0; n--, a = cons_tail(a)) {
            spent++;
            slice(TAKE_NS);
            if (!bag_take(&set, cons_head(a))) {
                hp[0] = cons_head(a);
                hp[1] = cons_make(hp + CONS_WORDS);
                hp += CONS_WORDS;
            }
        }
        heap_trim(p, hp);
        bool done = set.left == 0 || term_is_nil(a);

        if (done && term_is_nil(arg[1])) {
            if (hp > start) {
                hp[-1] = a;
                a = cons_make(start);
            }
        } else {
            /* Turn the new cells round, in place, onto what is kept. */
            for (term *c = start; c < hp; c += CONS_WORDS) {
                c[1] = arg[1];
                arg[1] = cons_make(c);
            }
        }
        arg[0] = a;
        arg[2] = done ? TERM_NIL : bag_list(p, &set);
        bag_fini(&set);

        if (done) {
            int64_t kept = list_length(arg[1]);
            arg[0] = reverse_cells(p, arg[1], (size_t)kept, arg[0], &arg[1]);
            spent += (size_t)kept * SUBTRACT_PER_RED / CELLS_PER_RED;
            if (term_is_nil(arg[0]) || term_is_nil(arg[3])) {
                bif_spend(p, spent, SUBTRACT_PER_RED);
                return arg[0];
            }
        }
        if (!done || spent >= budget) {
            bif_spend(p, spent, SUBTRACT_PER_RED);
            return bif_yield(p);
        }
    }
}

BIF(erts_internal, subtract_trap, 4)
{
    SLICED(p, EXP("erts_internal", "subtract_trap", 4));

    for (int i = 0; i < 4; i++) {
        if (list_length(arg[i]) < 0)
            return bif_badarg(p);
    }
    return subtract_slice(p, arg);
}

static term subtract(struct proc *p, term *arg)
{
    SLICED(p, EXP("erlang", "--", 2));
    int64_t n = list_length(arg[0]), m = list_length(arg[1]);

    if (n < 0 || m < 0)
        return bif_badarg(p);
    if (n == 0 || m == 0)
        return arg[0];

    term args[4] = {arg[0], TERM_NIL, TERM_NIL, arg[1]};
    if ((size_t)(n + m) <= bif_budget(p, SUBTRACT_PER_RED)
        && m <= SUBTRACT_CHUNK)
        return subtract_slice(p, args);
    return bif_trap(p, EXP("erts_internal", "subtract_trap", 4), args, 4);
}

BIF_AS(erlang, op_subtract, 2, "--")
{
    return subtract(p, arg);
}
BIF(erlang, subtract, 2)
{
    return subtract(p, arg);
}
