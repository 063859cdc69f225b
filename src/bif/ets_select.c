/*
 * ets_select.c - match, select and their relatives: scans of a table with a
 * match specification.
 *
 * A scan visits the objects that could match: those of the keys that the heads
 * name, a range of an ordered_set, or all. A long one gives up its slice, fixes
 * the table and goes on in erts_internal:ets_scan_trap/1, whose argument is
 *
 *     {Table, Kind, MatchSpec, Place, Chunk, Acc, Got, Id}
 *
 * A chunk that is full ends the call with a continuation as OTP's
 * (ets:repair_continuation/2 knows its form):
 *
 *     {Table, Slot, Chunk, MatchSpec, Rest, RestLength}           hash
 *     {Table, LastKey, [], Chunk, MatchSpec, [], Reverse, 0}      ordered_set
 *
 * A program can make up either, so nothing in them is trusted.
 */
#include "bif/ets_bif.h"
#include "vm/matchspec.h"
#include "vm/ops.h"

/* Objects visited per reduction. */
#define VISITS_PER_RED 1
#define VISIT_NS 100

/* More distinct keys than this are not looked up one by one. */
#define KEYS_MAX 64

enum scan_kind {
    SCAN_SELECT,
    SCAN_SELECT_REVERSE,
    SCAN_COUNT,
    SCAN_DELETE,
    SCAN_REPLACE,
};

struct scan {
    struct proc *p;
    struct ets_table *t;
    term id;                /* the table as the caller named it */
    enum scan_kind kind;
    struct ms *ms;
    struct ms_run run;
    size_t chunk;           /* objects a call may return; 0: all */
    term acc;               /* found, the latest first */
    size_t got;             /* found; for the others, how many were done */
    size_t budget, visits;
    bool fixed;             /* hash: this scan holds a fix across slices */
    bool no_memory;
};

static bool scan_full(const struct scan *s)
{
    return s->chunk > 0 && s->got >= s->chunk;
}
static bool scan_spent(const struct scan *s)
{
    return s->visits >= s->budget;
}

/*
 * One object. Returns the object in its place, which is another one after
 * SCAN_REPLACE; NULL if it was deleted (SCAN_DELETE).
 */
static struct ets_obj *visit(struct scan *s, struct ets_obj *o)
{
    term value;

    s->visits++;
    slice(VISIT_NS);
    if (!ms_match(&s->run, ets_obj_term(o), ets_obj_term(o), &value))
        return o;
    switch (s->kind) {
    case SCAN_SELECT:
    case SCAN_SELECT_REVERSE: {
        value = term_copy_to(s->p, value);
        term *hp = heap_alloc(s->p, CONS_WORDS);
        s->acc = put_cons(&hp, value, s->acc);
        s->got++;
        return o;
    }
    case SCAN_COUNT:
        s->got += value == am_true;
        return o;
    case SCAN_DELETE:
        if (value != am_true)
            return o;
        s->got++;
        return NULL;
    case SCAN_REPLACE: {
        /* The specification was found to keep keys: ms_keeps_key(). */
        if (!term_is_tuple(value) || tuple_arity(value) < s->t->keypos
            || !term_eq(*tuple_at(value, s->t->keypos), ets_key(s->t, o)))
            return o;
        struct ets_obj *made = ets_obj_new(s->t, tuple_at(value, 1),
                                           tuple_arity(value));
        if (!made) {
            s->no_memory = true;
            return o;
        }
        s->got++;
        ets_replace(s->t, o, made);
        return made;
    }
    }
    return o;
}

/* Which keys can match? */

enum bound { KEYS_ANY, KEYS_NONE, KEYS_SOME };

struct keys {
    enum bound bound;
    size_t n;
    term *key;              /* patterns, of KEYS_SOME */
    bool ground;            /* without variables, all of them */
    term local[8];
};

static void keys_init(struct keys *k, const struct ets_table *t,
                      const struct ms *ms)
{
    k->n = 0;
    k->ground = true;
    k->bound = KEYS_SOME;
    k->key = ms->nclauses <= 8 ? k->local
                               : vm_alloc(ALLOC_ETS, ms->nclauses * sizeof(term));
    for (size_t i = 0; i < ms->nclauses; i++) {
        term head = ms->heads[i];
        if (head == am_Underscore || ms_is_variable(head)) {
            k->bound = KEYS_ANY;
            return;
        }
        if (!term_is_tuple(head) || tuple_arity(head) < t->keypos)
            continue;
        term key = *tuple_at(head, t->keypos);
        if (key == am_Underscore || ms_is_variable(key)) {
            k->bound = KEYS_ANY;
            return;
        }
        /* A map without variables is taken for the key, as OTP does. */
        k->ground = k->ground && !ms_has_variable(key);
        k->key[k->n++] = key;
    }
    if (k->n == 0)
        k->bound = KEYS_NONE;
}

static void keys_fini(struct keys *k)
{
    if (k->key != k->local)
        vm_free(k->key);
}

/* Hash tables. */

/*
 * Visit the chain of bucket i from its beginning. The table is held, so
 * nothing moves and what is deleted stays in its chain, dead.
 */
static void visit_bucket(struct scan *s, size_t i)
{
    struct ets_obj *o = ets_hash_live(ets_hash_bucket(s->t, i));

    while (o) {
        struct ets_obj *now = visit(s, o);
        if (!now) {
            ets_hash_delete(s->t, o);
            now = o;
        }
        o = ets_hash_live(now->next);
    }
}

/* The objects of all keys. True; false: better look at all of the table. */
static bool visit_keys(struct scan *s, const struct keys *k)
{
    if (k->n > KEYS_MAX)
        return false;
    for (size_t i = 0; i < k->n; i++) {
        size_t j = 0;
        while (j < i && !term_eq(k->key[j], k->key[i]))
            j++;
        if (j < i)
            continue;
        struct ets_obj *o = ets_find(s->t, k->key[i]);
        while (o) {
            struct ets_obj *now = visit(s, o);
            struct ets_obj *next = ets_find_next(s->t, now ? now : o);
            if (!now)
                ets_hash_delete(s->t, o);
            o = next;
        }
    }
    return true;
}

/* From bucket *slot on; false if the slice or the chunk ended before *slot. */
static bool scan_hash(struct scan *s, size_t *slot)
{
    struct keys keys;
    bool done = false;

    keys_init(&keys, s->t, s->ms);
    ets_hold(s->t);
    if (keys.bound == KEYS_NONE) {
        done = true;
    } else if (keys.bound == KEYS_SOME && keys.ground && *slot == 0) {
        done = visit_keys(s, &keys);
    }
    while (!done && !s->no_memory) {
        if (*slot >= s->t->hash.buckets)
            done = true;
        else if (scan_full(s) || scan_spent(s))
            break;
        else
            visit_bucket(s, (*slot)++);
        s->visits += *slot % 8 == 0;    /* empty buckets cost something too */
    }
    /* A full chunk at the very end of the table leaves nothing to go on with. */
    done = done || *slot >= s->t->hash.buckets;
    /* About to give up the slice: from hold to fix without a gap. */
    if (!done && !scan_full(s) && !s->no_memory && !s->fixed) {
        ets_fix(s->t, s->p);
        s->fixed = true;
    }
    ets_release(s->t);
    keys_fini(&keys);
    return done;
}

/* Ordered sets. */

static bool ascending(const struct scan *s)
{
    switch (s->kind) {
    case SCAN_SELECT:
        /* All at once are found backwards, so that the list comes out right. */
        return s->chunk > 0;
    case SCAN_SELECT_REVERSE:
        return s->chunk == 0;
    default:
        return true;
    }
}

/* Is key beyond what any of the patterns could match, in our direction? */
static bool beyond(const struct keys *k, term key, bool up)
{
    if (k->bound == KEYS_ANY)
        return false;
    for (size_t i = 0; i < k->n; i++) {
        int c = ms_compare_key(k->key[i], key);
        if (up ? c >= 0 : c <= 0)
            return false;
    }
    return true;
}

/* Where to begin: the outermost object that some pattern could match. */
static void start(struct scan *s, const struct keys *k, struct ets_iter *it,
                  bool up)
{
    struct ets_iter one;

    if (k->bound == KEYS_ANY) {
        if (up)
            ets_iter_first(s->t, it);
        else
            ets_iter_last(s->t, it);
        return;
    }
    it->depth = 0;
    for (size_t i = 0; i < k->n; i++) {
        if (up)
            ets_iter_from(s->t, &one, k->key[i]);
        else
            ets_iter_to(s->t, &one, k->key[i]);
        struct ets_obj *a = ets_iter_get(&one), *b = ets_iter_get(it);
        if (!a)
            continue;
        int c = b ? term_compare(ets_key(s->t, a), ets_key(s->t, b)) : 0;
        if (!b || (up ? c < 0 : c > 0))
            *it = one;
    }
}

/*
 * From the object behind key *last on, or from the beginning if it is NONE.
 * False if the slice or the chunk ended; *last is then the key of the last
 * object visited, on p's heap.
 */
static bool scan_tree(struct scan *s, term *last)
{
    struct keys keys;
    struct ets_iter it;
    struct ets_obj *o, *seen = NULL;
    bool up = ascending(s), done = true;

    keys_init(&keys, s->t, s->ms);
    if (keys.bound == KEYS_NONE)
        it.depth = 0;
    else if (*last == THE_NON_VALUE)
        start(s, &keys, &it, up);
    else if (up)
        ets_iter_above(s->t, &it, *last);
    else
        ets_iter_below(s->t, &it, *last);

    while ((o = ets_iter_get(&it)) && !s->no_memory) {
        if (beyond(&keys, ets_key(s->t, o), up))
            break;
        if (scan_spent(s)) {
            done = false;
            break;
        }
        struct ets_obj *now = visit(s, o);
        if (now) {
            it.path[it.depth - 1] = now;
            seen = now;
            if (scan_full(s)) {
                done = keys.ground && keys.n == 1 && keys.bound == KEYS_SOME;
                break;
            }
            if (up)
                ets_iter_next(&it);
            else
                ets_iter_prev(&it);
        } else {
            /* Out of the tree, but its key still tells where we are. */
            ets_tree_take(s->t, ets_key(s->t, o));
            ets_iter_above(s->t, &it, ets_key(s->t, o));
            if (scan_spent(s) && ets_iter_get(&it)) {
                *last = term_copy_to(s->p, ets_key(s->t, o));
                seen = NULL;
                done = false;
            }
            ets_obj_free(s->t, o);
            if (!done)
                break;
        }
    }
    if (!done && seen)
        *last = term_copy_to(s->p, ets_key(s->t, seen));
    keys_fini(&keys);
    return done;
}

/* Results. */

static term reverse(struct proc *p, term list)
{
    term out = TERM_NIL;
    term *hp = heap_alloc(p, (size_t)list_length(list) * CONS_WORDS);

    for (; term_is_cons(list); list = cons_tail(list))
        out = put_cons(&hp, cons_head(list), out);
    return out;
}

static term pair(struct proc *p, term a, term b)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, a, b);
}

/* A chunk of a hash table. slot: where to go on, -1: nowhere. */
static term hash_chunk(struct scan *s, int64_t slot)
{
    struct proc *p = s->p;
    size_t rest_n = s->got > s->chunk ? s->got - s->chunk : 0;
    term rest = TERM_NIL, *last = &rest;

    /* What is too much, the latest found, waits for the next call. */
    for (size_t i = 0; i < rest_n; i++, s->acc = cons_tail(s->acc)) {
        term *hp = heap_alloc(p, CONS_WORDS);
        *last = put_cons(&hp, cons_head(s->acc), TERM_NIL);
        last = hp - 1;
    }
    if (slot < 0 && rest_n == 0) {
        return term_is_nil(s->acc) ? am_EndOfTable
                                   : pair(p, s->acc, am_EndOfTable);
    }
    term ref = ms_ref(p, s->ms), id = term_copy_to(p, s->t->tid);
    term *hp = heap_alloc(p, 7);
    hp[0] = TUPLE_HEADER(6);
    hp[1] = id;
    hp[2] = small_make(slot);
    hp[3] = small_make((int64_t)s->chunk);
    hp[4] = ref;
    hp[5] = rest;
    hp[6] = small_make((int64_t)rest_n);
    return pair(p, s->acc, boxed_make(hp));
}

static term tree_chunk(struct scan *s, bool done, term last)
{
    struct proc *p = s->p;

    if (done) {
        return term_is_nil(s->acc) ? am_EndOfTable
                                   : pair(p, reverse(p, s->acc), am_EndOfTable);
    }
    term ref = ms_ref(p, s->ms);
    term *hp = heap_alloc(p, 9);
    hp[0] = TUPLE_HEADER(8);
    hp[1] = s->id;
    hp[2] = last;
    hp[3] = TERM_NIL;
    hp[4] = small_make((int64_t)s->chunk);
    hp[5] = ref;
    hp[6] = TERM_NIL;
    hp[7] = small_make(s->kind == SCAN_SELECT_REVERSE);
    hp[8] = small_make(0);
    return pair(p, reverse(p, s->acc), boxed_make(hp));
}

/* Give up the slice. place: slot, or [Key]. */
static term scan_trap(struct scan *s, term place)
{
    struct proc *p = s->p;
    term ref = ms_ref(p, s->ms), id = term_copy_to(p, s->t->tid);

    term *hp = heap_alloc(p, 9);
    hp[0] = TUPLE_HEADER(8);
    hp[1] = id;
    hp[2] = small_make(s->kind);
    hp[3] = ref;
    hp[4] = place;
    hp[5] = small_make((int64_t)s->chunk);
    hp[6] = s->acc;
    hp[7] = small_make((int64_t)s->got);
    hp[8] = s->id;
    term args[1] = {boxed_make(hp)};
    return bif_trap(p, EXP("erts_internal", "ets_scan_trap", 1), args, 1);
}

/*
 * Go on with a scan. slot for hash tables (< 0: only s->acc is left), last for
 * ordered ones.
 */
static term scan_run(struct scan *s, int64_t slot, term last)
{
    struct proc *p = s->p;
    bool selects = s->kind == SCAN_SELECT || s->kind == SCAN_SELECT_REVERSE;
    bool done, tree = ets_is_tree(s->t);

    s->budget = bif_budget(p, VISITS_PER_RED);
    s->visits = 0;
    s->no_memory = false;
    ms_run_init(&s->run, s->ms, p);
    if (tree) {
        done = scan_tree(s, &last);
    } else if (slot < 0) {
        done = true;
    } else {
        /* There may be any number of objects in a chain: they have one key. */
        ETS_SLICED(p, s->t, EXP("erts_internal", "ets_scan_trap", 1));

        size_t at = (size_t)slot;
        done = scan_hash(s, &at);
        slot = (int64_t)at;
    }
    ms_run_fini(&s->run);
    bif_spend(p, s->visits, VISITS_PER_RED);

    if (!done && !scan_full(s) && !s->no_memory) {
        term place = small_make(slot);
        if (tree) {
            /* NONE: the slice was too short even for the first object. */
            place = TERM_NIL;
            if (last != THE_NON_VALUE) {
                term *hp = heap_alloc(p, CONS_WORDS);
                place = put_cons(&hp, last, TERM_NIL);
            }
        }
        return scan_trap(s, place);
    }
    term result = s->no_memory    ? bif_error(p, am_system_limit)
                  : !selects      ? small_make((int64_t)s->got)
                  : s->chunk == 0 ? s->acc
                  : tree          ? tree_chunk(s, done, last)
                                  : hash_chunk(s, done ? -1 : slot);
    if (s->fixed) {
        /* What was deleted meanwhile goes now. */
        ETS_SLICED(p, s->t, NULL);
        ets_unfix(s->t, p);
    }
    return result;
}

BIF(erts_internal, ets_scan_trap, 1)
{
    struct scan s = {.p = p};

    if (!term_is_tuple_of(arg[0], 8))
        return bif_badarg(p);
    const term *a = tuple_at(arg[0], 1);
    if (!term_is_small(a[1]) || small_value(a[1]) < 0
        || small_value(a[1]) > SCAN_REPLACE || !term_is_small(a[4])
        || small_value(a[4]) < 0 || !term_is_small(a[6]) || small_value(a[6]) < 0)
        return bif_badarg(p);
    /* Counted only where it is taken apart: without a chunk it may be long. */
    if (small_value(a[4]) > 0 ? list_length(a[5]) != small_value(a[6]) : !term_is_list(a[5]))
        return bif_badarg(p);
    s.kind = (enum scan_kind)small_value(a[1]);
    s.ms = ms_of_ref(a[2]);
    s.t = ets_access(p, a[0], s.kind >= SCAN_DELETE ? ETS_WRITE : ETS_READ);
    if (!s.t)
        return THE_NON_VALUE;
    if (!s.ms || (ets_is_tree(s.t) ? !term_is_list(a[3])
                                   : !term_is_small(a[3]) || small_value(a[3]) < 0))
        return bif_badarg(p);
    s.fixed = !ets_is_tree(s.t);
    s.chunk = (size_t)small_value(a[4]);
    s.acc = a[5];
    s.got = (size_t)small_value(a[6]);
    s.id = a[7];

    term last = term_is_cons(a[3]) ? cons_head(a[3]) : THE_NON_VALUE;
    resource_get(&s.ms->res);
    term result = scan_run(&s, ets_is_tree(s.t) ? 0 : small_value(a[3]), last);
    resource_put(&s.ms->res);
    return result;
}

/* The calls. */

/* What a scan gives when there is nothing: no clause, or no object. */
static term scan_nothing(enum scan_kind kind, size_t chunk)
{
    if (kind > SCAN_SELECT_REVERSE)
        return small_make(0);
    return chunk > 0 ? am_EndOfTable : TERM_NIL;
}

static term scan_start(struct proc *p, struct ets_table *t, term id, term spec,
                       enum scan_kind kind, size_t chunk)
{
    if (term_is_nil(spec))
        return scan_nothing(kind, chunk);
    if (kind == SCAN_REPLACE) {
        for (term l = spec; term_is_cons(l); l = cons_tail(l)) {
            if (!term_is_tuple_of(cons_head(l), 3)
                || !ms_keeps_key(cons_head(l), t->keypos))
                return bif_badarg(p);
        }
    }
    struct scan s = {.p = p, .t = t, .id = id, .kind = kind, .chunk = chunk,
                     .acc = TERM_NIL};
    s.ms = ms_compile(spec, MS_TABLE, NULL);
    if (!s.ms)
        return bif_badarg(p);
    term result = scan_run(&s, 0, THE_NON_VALUE);
    resource_put(&s.ms->res);
    return result;
}

static term scan_all(struct proc *p, const term *arg, enum scan_kind kind)
{
    struct ets_table *t = ets_access(p, arg[0], kind >= SCAN_DELETE ? ETS_WRITE
                                                                    : ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    if (kind == SCAN_REPLACE && t->type == ETS_BAG)
        return bif_error_cause(p, am_badarg, am_table_type);
    return scan_start(p, t, arg[0], arg[1], kind, 0);
}

static term scan_chunk(struct proc *p, const term *arg, enum scan_kind kind)
{
    struct ets_table *t = ets_access(p, arg[0], ETS_READ);

    if (!t)
        return THE_NON_VALUE;
    if (!term_is_small(arg[2]) || small_value(arg[2]) < 1)
        return bif_badarg(p);
    return scan_start(p, t, arg[0], arg[1], kind, (size_t)small_value(arg[2]));
}

/* select/1 and its like: go on where a full chunk left off. */
static term scan_continue(struct proc *p, term cont)
{
    struct scan s = {.p = p};

    if (cont == am_EndOfTable)
        return cont;
    if (!term_is_tuple(cont) || tuple_arity(cont) < 1)
        return bif_badarg(p);
    const term *a = tuple_at(cont, 1);
    s.t = ets_access(p, a[0], ETS_READ);
    if (!s.t)
        return THE_NON_VALUE;
    s.id = a[0];
    term result;
    if (ets_is_tree(s.t)) {
        if (tuple_arity(cont) != 8 || !term_is_small(a[3]) || small_value(a[3]) < 1
            || !term_is_list(a[5]) || !term_is_small(a[6]) || !term_is_small(a[7])
            || !(s.ms = ms_of_ref(a[4])))
            return bif_badarg(p);
        s.chunk = (size_t)small_value(a[3]);
        s.kind = small_value(a[6]) ? SCAN_SELECT_REVERSE : SCAN_SELECT;
        s.acc = TERM_NIL;
        resource_get(&s.ms->res);
        result = scan_run(&s, 0, a[1]);
    } else {
        int64_t rest;
        if (tuple_arity(cont) != 6 || !term_is_small(a[1]) || !term_is_small(a[2])
            || small_value(a[2]) < 1 || (rest = list_length(a[4])) < 0
            || a[5] != small_make(rest) || !(s.ms = ms_of_ref(a[3])))
            return bif_badarg(p);
        s.chunk = (size_t)small_value(a[2]);
        s.acc = a[4];
        s.got = (size_t)rest;
        /* Slot 0 is where a scan begins; nobody goes on there. */
        if (small_value(a[1]) == 0)
            return bif_badarg(p);
        resource_get(&s.ms->res);
        result = scan_run(&s, small_value(a[1]), THE_NON_VALUE);
    }
    resource_put(&s.ms->res);
    return result;
}

BIF(ets, select, 1) { return scan_continue(p, arg[0]); }
BIF(ets, select, 2) { return scan_all(p, arg, SCAN_SELECT); }
BIF(ets, select, 3) { return scan_chunk(p, arg, SCAN_SELECT); }
BIF(ets, select_reverse, 1) { return scan_continue(p, arg[0]); }
BIF(ets, select_reverse, 2) { return scan_all(p, arg, SCAN_SELECT_REVERSE); }
BIF(ets, select_reverse, 3) { return scan_chunk(p, arg, SCAN_SELECT_REVERSE); }
BIF(ets, select_count, 2) { return scan_all(p, arg, SCAN_COUNT); }
BIF(ets, select_replace, 2) { return scan_all(p, arg, SCAN_REPLACE); }
BIF(ets, internal_select_delete, 2) { return scan_all(p, arg, SCAN_DELETE); }

/* [{Pattern, [], [What]}]; arg stays as it is, for errors to show. */
static term pattern_spec(struct proc *p, term pattern, term what)
{
    term *hp = heap_alloc(p, CONS_WORDS + 4 + CONS_WORDS);
    term body = put_cons(&hp, what, TERM_NIL);
    term clause = put_tuple3(&hp, pattern, TERM_NIL, body);

    return put_cons(&hp, clause, TERM_NIL);
}

static term match_all(struct proc *p, const term *arg, term what)
{
    term args[2] = {arg[0], pattern_spec(p, arg[1], what)};

    return scan_all(p, args, SCAN_SELECT);
}

static term match_chunk(struct proc *p, const term *arg, term what)
{
    term args[3] = {arg[0], pattern_spec(p, arg[1], what), arg[2]};

    return scan_chunk(p, args, SCAN_SELECT);
}

BIF(ets, match, 1) { return scan_continue(p, arg[0]); }
BIF(ets, match, 2) { return match_all(p, arg, am_DollarDollar); }
BIF(ets, match, 3) { return match_chunk(p, arg, am_DollarDollar); }
BIF(ets, match_object, 1) { return scan_continue(p, arg[0]); }
BIF(ets, match_object, 2) { return match_all(p, arg, am_DollarUnderscore); }
BIF(ets, match_object, 3) { return match_chunk(p, arg, am_DollarUnderscore); }

/* Match specifications without a table. */

BIF(ets, match_spec_compile, 1)
{
    struct ms *ms = ms_compile(arg[0], MS_TABLE, NULL);

    if (!ms)
        return bif_badarg(p);
    term ref = ms_ref(p, ms);
    resource_put(&ms->res);
    return ref;
}

BIF(ets, is_compiled_ms, 1)
{
    return bool_make(ms_of_ref(arg[0]) != NULL);
}

/* match_spec_run_r(List, Compiled, Acc): results before Acc, in reverse. */
BIF(ets, match_spec_run_r, 3)
{
    size_t budget = bif_budget(p, VISITS_PER_RED), n = 0;
    struct ms *ms = ms_of_ref(arg[1]);
    struct ms_run run;

    if (!ms || !term_is_list(arg[0]))
        return bif_badarg(p);
    ms_run_init(&run, ms, p);
    for (; term_is_cons(arg[0]) && n < budget; arg[0] = cons_tail(arg[0]), n++) {
        term value;
        if (ms_match(&run, cons_head(arg[0]), cons_head(arg[0]), &value)) {
            value = term_copy_to(p, value);
            term *hp = heap_alloc(p, CONS_WORDS);
            arg[2] = put_cons(&hp, value, arg[2]);
        }
    }
    ms_run_fini(&run);
    bif_spend(p, n, VISITS_PER_RED);
    if (term_is_cons(arg[0]))
        return bif_yield(p);
    return term_is_nil(arg[0]) ? arg[2] : bif_badarg(p);
}

/* The elements of a list as a tuple. */
static term list_to_tuple(struct proc *p, term list)
{
    size_t n = 0;

    for (term l = list; term_is_cons(l); l = cons_tail(l))
        n++;
    term *hp = heap_alloc(p, n + 1);
    hp[0] = TUPLE_HEADER(n);
    for (size_t i = 1; i <= n; i++, list = cons_tail(list))
        hp[i] = cons_head(list);
    return boxed_make(hp);
}

/*
 * match_spec_test(Subject, Spec, table | trace) -> {ok, Result, Flags, Errors}
 * or {error, Errors}, where Errors are those of the compilation.
 */
BIF(erlang, match_spec_test, 3)
{
    bool trace = arg[2] == am_trace;
    struct ms_errors errors;
    struct ms_run run;

    if ((!trace && arg[2] != am_table) || (trace && !term_is_list(arg[0])))
        return bif_badarg(p);
    ms_errors_init(&errors);
    struct ms *ms = ms_compile(arg[1], trace ? MS_TEST : MS_TABLE, &errors);
    term list = ms_errors_list(p, &errors);
    ms_errors_fini(&errors);
    if (!ms)
        return pair(p, am_error, list);

    term subject = trace ? list_to_tuple(p, arg[0]) : arg[0];
    term value = am_false, flags = TERM_NIL;
    ms_run_init(&run, ms, p);
    if (ms_match(&run, subject, arg[0], &value))
        value = term_copy_to(p, value);
    else
        run.flags = 0;
    uint32_t set = run.flags;
    ms_run_fini(&run);
    resource_put(&ms->res);

    term *hp = heap_alloc(p, 2 * CONS_WORDS + 5);
    if (set & MS_EXCEPTION_TRACE)
        flags = put_cons(&hp, am_exception_trace, flags);
    if (set & MS_RETURN_TRACE)
        flags = put_cons(&hp, am_return_trace, flags);
    term result = put_tuple4(&hp, am_ok, value, flags, list);
    heap_trim(p, hp);
    return result;
}
