/*
 * ops.c - equality and order of terms, as the Erlang reference manual has them:
 *
 *   number < atom < reference < fun < port < pid < tuple < map < nil < list
 *          < bitstring
 *
 * Both walk terms of any depth with a stack of their own. Comparing keeps what
 * remains to be done on it, as operands below an operation; the first pair that
 * differs decides, unless it lies in a hashed map, whose keys are not met in
 * their order: then the difference at the least key decides (struct map_cmp).
 */
#include "vm/ops.h"
#include "vm/atom.h"
#include "vm/big.h"
#include "vm/binary.h"
#include "vm/map.h"
#include "vm/module.h"
#include "vm/node.h"
#include "vm/slice.h"
#include "vm/wstack.h"

/* Steps of a loop until time is looked at. */
#define PACE 1024
/* As many words of a tuple count as a step. */
#define PACE_WORDS 16
/* Words of one tuple that are compared at once. */
#define RANGE_WORDS ((size_t)64 << 10)

int64_t list_length(term t)
{
    struct list_walk w = LIST_WALK;
    int64_t n = 0;

    if (term_is_cons(t)) {
        do {
            if (unlikely(++n % PACE == 0))
                slice(PACE * 2);
        } while (list_next(&t, &w));
    }
    return term_is_nil(t) ? n : -1;
}

/* The parts of a reference of any node. Numbers: least significant first. */
struct ref_parts {
    const struct node *node;
    size_t n;
    uint32_t num[5];
};

static void ref_parts(term t, struct ref_parts *r)
{
    if (boxed_is(t, BOX_EXTREF)) {
        const struct ext_words *e = (const struct ext_words *)boxed_ptr(t);

        r->node = e->node;
        r->n = e->data[0] < 5 ? e->data[0] : 5;
        for (size_t i = 0; i < r->n; i++)
            r->num[i] = (uint32_t)(e->data[1 + i / 2] >> (i & 1 ? 32 : 0));
    } else {
        const uint64_t *ref = ref_numbers(t);

        r->node = *node_this;
        r->n = 3;
        r->num[0] = (uint32_t)ref[0];
        r->num[1] = (uint32_t)(ref[0] >> 32);
        r->num[2] = (uint32_t)ref[1];
    }
}

static int node_compare(const struct node *a, const struct node *b)
{
    int order;

    if (a == b)
        return 0;
    order = atom_compare(a->name, b->name);
    return order ? order : (a->creation > b->creation) - (a->creation < b->creation);
}

static int ref_compare(term a, term b)
{
    struct ref_parts x, y;
    int order;

    ref_parts(a, &x);
    ref_parts(b, &y);
    order = node_compare(x.node, y.node);
    if (order)
        return order;
    for (size_t i = x.n > y.n ? x.n : y.n; i-- > 0;) {
        uint32_t m = i < x.n ? x.num[i] : 0, n = i < y.n ? y.num[i] : 0;

        if (m != n)
            return m < n ? -1 : 1;
    }
    return 0;
}

struct pid_parts {
    const struct node *node;
    uint32_t number, serial;
};

static struct pid_parts pid_parts(term t)
{
    const struct ext_words *e;

    if (term_is_local_pid(t))
        return (struct pid_parts){*node_this, pid_number(t), pid_serial(t)};
    e = (const struct ext_words *)boxed_ptr(t);
    return (struct pid_parts){e->node, (uint32_t)e->data[0],
                              (uint32_t)(e->data[0] >> 32)};
}

static int pid_compare(term a, term b)
{
    struct pid_parts x = pid_parts(a), y = pid_parts(b);

    if (x.serial != y.serial)
        return x.serial < y.serial ? -1 : 1;
    if (x.number != y.number)
        return x.number < y.number ? -1 : 1;
    return node_compare(x.node, y.node);
}

static const struct node *port_node(term t)
{
    return term_is_local_port(t)
               ? *node_this
               : ((const struct ext_words *)boxed_ptr(t))->node;
}

static uint64_t port_num(term t)
{
    return term_is_local_port(t)
               ? port_number(t)
               : ((const struct ext_words *)boxed_ptr(t))->data[0];
}

static int port_compare(term a, term b)
{
    int order = node_compare(port_node(a), port_node(b));
    uint64_t m = port_num(a), n = port_num(b);

    return order ? order : (m > n) - (m < n);
}

/* Funs but for their environments. Funs of modules come before fun M:F/A. */
static int fun_compare(term a, term b)
{
    bool a_export = boxed_is(a, BOX_EXPORT), b_export = boxed_is(b, BOX_EXPORT);
    int order;

    if (a_export != b_export)
        return a_export - b_export;
    if (a_export) {
        const struct export *x = ((struct export_words *)boxed_ptr(a))->export;
        const struct export *y = ((struct export_words *)boxed_ptr(b))->export;

        if ((order = atom_compare(x->m, y->m)) ||
            (order = atom_compare(x->f, y->f)))
            return order;
        return (int)x->arity - (int)y->arity;
    }

    const struct fun_words *f = fun_ptr(a), *g = fun_ptr(b);
    const struct fun_entry *x = f->entry, *y = g->entry;
    size_t m = header_words(f->header), n = header_words(g->header);

    if ((order = atom_compare(x->module, y->module)))
        return order;
    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    if (x->old_uniq != y->old_uniq)
        return x->old_uniq < y->old_uniq ? -1 : 1;
    return (m > n) - (m < n);
}

static bool bits_equal(term a, term b)
{
    struct bits x = bits_of(a), y = bits_of(b);

    return x.size == y.size && bits_compare(x, y) == 0;
}

enum eq { DIFFER, EQUAL, PARTS };

/*
 * Objects of another kind than tuples and flat maps. PARTS: equal if the words
 * from eq_first() on are, pair by pair. Not in line: the loop of those that are
 * common keeps its registers.
 */
static __attribute__((noinline)) enum eq eq_boxed(term a, term b)
{
    const term *x = boxed_ptr(a), *y = boxed_ptr(b);

    switch (header_type(*x)) {
    case BOX_HASHMAP:
    case BOX_MAPNODE:
        return *x == *y ? PARTS : DIFFER;
    case BOX_FUN:
        return header_type(*y) == BOX_FUN && fun_compare(a, b) == 0 ? PARTS : DIFFER;
    case BOX_EXPORT:
        return *x == *y && x[1] == y[1];
    case BOX_FLOAT:
        return *x == *y && float_value(a) == float_value(b);
    case BOX_POSBIG:
    case BOX_NEGBIG:
        return *x == *y && memcmp(x, y, (1 + header_words(*x)) * sizeof(term)) == 0;
    case BOX_REF:
    case BOX_MAGIC:
        /* What every selective receive compares. */
        if (term_is_local_ref(b)) {
            const uint64_t *m = ref_numbers(a), *n = ref_numbers(b);

            return m[0] == n[0] && m[1] == n[1];
        }
        return term_is_ref(b) && ref_compare(a, b) == 0;
    case BOX_EXTREF:
        return term_is_ref(b) && ref_compare(a, b) == 0;
    case BOX_EXTPID:
        return boxed_is(b, BOX_EXTPID) && pid_compare(a, b) == 0;
    case BOX_EXTPORT:
        return boxed_is(b, BOX_EXTPORT) && port_compare(a, b) == 0;
    case BOX_HEAPBIN:
        if (header_type(*y) == BOX_HEAPBIN)
            return *x == *y && x[1] == y[1] && memcmp(x + 2, y + 2, x[1]) == 0;
        /* fall through */
    case BOX_REFCBIN:
    case BOX_SUBBIN:
        return term_is_bitstring(b) && bits_equal(a, b);
    default:
        return a == b;
    }
}

/* Header, and entry and creator of a fun, have been compared or do not count. */
static inline size_t eq_first(term header)
{
    return header_type(header) == BOX_FUN ? 3 : 1;
}

/* Words still to be compared, pair by pair. */
struct range {
    const term *x, *y, *end;
};

static inline term *push_range(struct wstack *todo, term *top, term **limit,
                               struct range r)
{
    if (unlikely(*limit - top < 3)) {
        top = wstack_room(todo, top, 3);
        *limit = todo->base + todo->size;
    }
    top[0] = (term)(uintptr_t)r.x;
    top[1] = (term)(uintptr_t)r.y;
    top[2] = (term)(uintptr_t)r.end;
    return top + 3;
}

/* To the first pair that is not the same word. False: there is none. */
static inline bool skip_same(struct range *r)
{
    for (; r->x < r->end; r->x++, r->y++)
        if (*r->x != *r->y)
            return true;
    return false;
}

/*
 * Where two words differ and refer to something, that comes first, and what follows
 * them waits, from the next ones that differ on. A list is compared cell by cell: its
 * tail waits only where it differs as well as the head.
 */
bool term_eq_slow(term a, term b)
{
    struct wstack todo;
    struct range r;
    term *top, *limit;
    bool equal = false;
    int left = PACE;

    wstack_init(&todo);
    top = wstack_top(&todo);
    limit = todo.base + todo.size;
    for (;;) {
        if (unlikely(--left <= 0)) {
            slice((size_t)(PACE - left) * 5);
            left = PACE;
        }
        if (term_is_cons(a)) {
            if (!term_is_cons(b))
                break;
            r = (struct range){cons_ptr(a), cons_ptr(b), cons_ptr(a) + CONS_WORDS};
            a = *r.x++;
            b = *r.y++;
            if (a == b) {
                a = *r.x;
                b = *r.y;
                if (a == b)
                    goto next;
            } else if (*r.x != *r.y) {
                top = push_range(&todo, top, &limit, r);
            }
            continue;
        }
        if (!term_is_boxed(a) || !term_is_boxed(b))
            break;
        term header = *boxed_ptr(a);
        r.x = boxed_ptr(a) + 1;
        r.y = boxed_ptr(b) + 1;
        r.end = r.x + header_words(header);
        if (header_type(header) == BOX_TUPLE || header_type(header) == BOX_MAP) {
            if (header != *boxed_ptr(b))
                break;
        } else {
            enum eq is = eq_boxed(a, b);

            if (is == DIFFER)
                break;
            if (is == EQUAL)
                goto next;
            r.x += eq_first(header) - 1;
            r.y += eq_first(header) - 1;
        }
        if (unlikely(header_words(header) > PACE_WORDS)) {
            left -= (int)(header_words(header) % RANGE_WORDS / PACE_WORDS);
            goto large;
        }
    range:
        if (skip_same(&r)) {
            a = *r.x++;
            b = *r.y++;
            goto differ;
        }
    next:
        if (top == todo.base) {
            equal = true;
            break;
        }
        top -= 3;
        r.x = (const term *)(uintptr_t)top[0];
        r.y = (const term *)(uintptr_t)top[1];
        r.end = (const term *)(uintptr_t)top[2];
        /* It begins with words that differ, but for what is left of a large one. */
        if (unlikely(*r.x == *r.y || (size_t)(r.end - r.x) > RANGE_WORDS))
            goto large;
        a = *r.x++;
        b = *r.y++;
    differ:
        if (skip_same(&r))
            top = push_range(&todo, top, &limit, r);
        continue;
    large:
        if ((size_t)(r.end - r.x) > RANGE_WORDS) {
            top = push_range(&todo, top, &limit, (struct range){
                r.x + RANGE_WORDS, r.y + RANGE_WORDS, r.end});
            r.end = r.x + RANGE_WORDS;
            slice(RANGE_WORDS);
        }
        goto range;
    }
    wstack_fini(&todo);
    return equal;
}

/* Where a type stands among the others; numbers are 0. */
enum rank {
    RANK_NUMBER,
    RANK_ATOM,
    RANK_REF,
    RANK_FUN,
    RANK_PORT,
    RANK_PID,
    RANK_TUPLE,
    RANK_MAP,
    RANK_NIL,
    RANK_LIST,
    RANK_BITSTRING,
};

static inline enum rank rank_of(term t)
{
    if (term_is_small(t))
        return RANK_NUMBER;
    if (term_is_cons(t))
        return RANK_LIST;
    if (term_is_boxed(t)) {
        switch (header_type(*boxed_ptr(t))) {
        case BOX_TUPLE:
        case BOX_MAPNODE: /* erts_internal:map_hashmap_children/1 tells them */
            return RANK_TUPLE;
        case BOX_FUN:
        case BOX_EXPORT:
            return RANK_FUN;
        case BOX_MAP:
        case BOX_HASHMAP:
            return RANK_MAP;
        case BOX_FLOAT:
        case BOX_POSBIG:
        case BOX_NEGBIG:
            return RANK_NUMBER;
        case BOX_REF:
        case BOX_MAGIC:
        case BOX_EXTREF:
            return RANK_REF;
        case BOX_EXTPID:
            return RANK_PID;
        case BOX_EXTPORT:
            return RANK_PORT;
        default:
            return RANK_BITSTRING;
        }
    }
    switch (t & IMM_MASK) {
    case IMM_PID:
        return RANK_PID;
    case IMM_PORT:
        return RANK_PORT;
    case IMM_NIL:
        return RANK_NIL;
    default:
        return RANK_ATOM;
    }
}

unsigned term_rank(term t)
{
    return rank_of(t);
}

/* Operations on the stack; their operands lie below. */
enum op { OP_PAIR, OP_ARRAY, OP_INEXACT, OP_MAP };

/*
 * Two hashed maps of the same size being compared. First keys that only one of
 * them has are looked for (ONLY_A, ONLY_B): the least of these decides. If they
 * have the same keys, the least key whose values differ decides (VALUES).
 */
struct map_cmp {
    term a, b;
    struct map_iter it;
    enum { ONLY_A, ONLY_B, VALUES } phase;
    enum { ASK_KEY, ASK_VALUE } asked;  /* what r is the answer to */
    term key, value;
    term min_key;               /* the least so far, or NONE */
    int order;                  /* what it decides */
    bool was_exact;
};

/*
 * Go on until a pair must be compared: it is returned in *a and *b, with *exact
 * for how; or until done: false, and m->order is the result.
 */
static bool map_cmp_next(struct map_cmp *m, term *a, term *b, bool *exact)
{
    term other;

    for (;;) {
        if (!map_iter_next(&m->it, &m->key, &m->value)) {
            if (m->phase == VALUES)
                return false;
            if (m->phase == ONLY_A && m->min_key == THE_NON_VALUE) {
                /* All of a's keys are in b, which has no more of them. */
                m->phase = VALUES;
                map_iter_init(&m->it, m->a);
                continue;
            }
            if (m->phase == ONLY_B)
                return false;
            m->phase = ONLY_B;
            map_iter_init(&m->it, m->b);
            continue;
        }
        other = map_get(m->phase == ONLY_B ? m->a : m->b, m->key);
        if (m->phase != VALUES) {
            if (other != THE_NON_VALUE)
                continue;
            if (m->min_key == THE_NON_VALUE) {
                m->min_key = m->key;
                m->order = m->phase == ONLY_A ? -1 : 1;
                continue;
            }
        } else {
            if (other == m->value)
                continue;
            if (m->min_key == THE_NON_VALUE) {
                m->asked = ASK_VALUE;
                *exact = m->was_exact;
                *a = m->value;
                *b = other;
                return true;
            }
        }
        m->asked = ASK_KEY;
        *exact = true;
        *a = m->key;
        *b = m->min_key;
        return true;
    }
}

/* Take the answer r, and go on as map_cmp_next(). */
static bool map_cmp_answer(struct map_cmp *m, int r, term *a, term *b, bool *exact)
{
    if (m->asked == ASK_KEY) {
        if (r < 0 && m->phase == VALUES) {
            m->asked = ASK_VALUE;
            *exact = m->was_exact;
            *a = m->value;
            *b = map_get(m->b, m->key);
            return true;
        }
        if (r < 0) {
            m->min_key = m->key;
            m->order = m->phase == ONLY_A ? -1 : 1;
        }
    } else if (r != 0) {
        m->min_key = m->key;
        m->order = r;
    }
    return map_cmp_next(m, a, b, exact);
}

static void push_array(struct wstack *todo, const term *a, const term *b, size_t n)
{
    wstack_push(todo, (term)(uintptr_t)a);
    wstack_push(todo, (term)(uintptr_t)b);
    wstack_push(todo, n);
    wstack_push(todo, OP_ARRAY);
}

/* Two different terms whose order one look decides: smalls and atoms. */
static inline bool decide(term a, term b, int *r)
{
    if (term_both_small(a, b)) {
        *r = (int64_t)a < (int64_t)b ? -1 : 1;
        return true;
    }
    if (term_is_atom(a) && term_is_atom(b)) {
        *r = atom_compare(a, b);
        return true;
    }
    return false;
}

static int compare(term a, term b, bool exact)
{
    struct wstack todo;
    const term *x, *y;
    size_t n;
    unsigned steps = 0;
    int r;

    wstack_init(&todo);
again:
    if (unlikely(++steps % PACE == 0))
        slice(PACE * 10);
    r = 0;
    if (a == b)
        goto answered;
    if (decide(a, b, &r))
        goto answered;
    if (term_is_cons(a) && term_is_cons(b))
        goto list;
    if (term_is_tuple(a) && term_is_tuple(b))
        goto tuple;

    enum rank rank = rank_of(a), rank_b = rank_of(b);

    if (rank != rank_b) {
        r = rank < rank_b ? -1 : 1;
        goto answered;
    }
    switch (rank) {
    case RANK_NUMBER:
        if (exact && term_is_float(a) != term_is_float(b))
            r = term_is_float(a) ? 1 : -1;
        else
            r = num_compare(a, b);
        break;
    case RANK_REF:
        r = ref_compare(a, b);
        break;
    case RANK_PORT:
        r = port_compare(a, b);
        break;
    case RANK_PID:
        r = pid_compare(a, b);
        break;
    case RANK_BITSTRING:
        r = bits_compare(bits_of(a), bits_of(b));
        break;
    case RANK_FUN:
        r = fun_compare(a, b);
        if (r != 0 || !boxed_is(a, BOX_FUN))
            break;
        x = fun_ptr(a)->env;
        y = fun_ptr(b)->env;
        n = header_words(fun_ptr(a)->header) - 2;
        goto array;
    case RANK_TUPLE:
    tuple:
        x = boxed_ptr(a);
        y = boxed_ptr(b);
        n = header_words(*x);
        if (*x != *y) {
            r = n < header_words(*y) ? -1 : 1;
            break;
        }
        x++;
        y++;
        goto array;
    case RANK_MAP: {
        struct map_cmp *mc;

        n = map_size(a);
        if (n != map_size(b)) {
            r = n < map_size(b) ? -1 : 1;
            break;
        }
        if (boxed_is(a, BOX_MAP)) {
            /* {header, keys, values...}: keys exactly, then values. */
            push_array(&todo, boxed_ptr(a) + 2, boxed_ptr(b) + 2, n);
            if (!exact)
                wstack_push(&todo, OP_INEXACT);
            exact = true;
            a = boxed_ptr(a)[1];
            b = boxed_ptr(b)[1];
            goto again;
        }
        mc = vm_alloc(ALLOC_SYSTEM, sizeof *mc);
        mc->a = a;
        mc->b = b;
        mc->phase = ONLY_A;
        mc->min_key = THE_NON_VALUE;
        mc->order = 0;
        mc->was_exact = exact;
        map_iter_init(&mc->it, a);
        wstack_push(&todo, (term)(uintptr_t)mc);
        wstack_push(&todo, OP_MAP);
        if (map_cmp_next(mc, &a, &b, &exact))
            goto again;
        todo.n -= 2;
        r = mc->order;
        vm_free(mc);
        break;
    }
    case RANK_LIST:
    list:
        x = cons_ptr(a);
        y = cons_ptr(b);
        /* Walk over what is the same at the head of both. */
        while (x[0] == y[0] && term_is_cons(x[1]) && term_is_cons(y[1])) {
            if (x[1] == y[1])
                goto answered;
            if (unlikely(++steps % PACE == 0))
                slice(PACE * 3);
            x = cons_ptr(x[1]);
            y = cons_ptr(y[1]);
        }
        if (x[0] != y[0] && decide(x[0], y[0], &r))
            goto answered;
        wstack_push(&todo, x[1]);
        wstack_push(&todo, y[1]);
        wstack_push(&todo, OP_PAIR);
        a = x[0];
        b = y[0];
        goto again;
    case RANK_ATOM:
    case RANK_NIL:
        assert(!"immediates of one type are the same or atoms");
    }
    goto answered;

array:
    while (n > 0 && *x == *y) {
        x++;
        y++;
        n--;
        if (unlikely(n % RANGE_WORDS == 0))
            slice(RANGE_WORDS);
    }
    if (n > 0 && !decide(*x, *y, &r)) {
        if (n > 1)
            push_array(&todo, x + 1, y + 1, n - 1);
        a = *x;
        b = *y;
        goto again;
    }

answered:
    while (todo.n > 0) {
        struct map_cmp *mc;

        switch ((enum op)wstack_pop(&todo)) {
        case OP_PAIR:
            b = wstack_pop(&todo);
            a = wstack_pop(&todo);
            if (r == 0)
                goto again;
            break;
        case OP_ARRAY:
            n = wstack_pop(&todo);
            y = (const term *)(uintptr_t)wstack_pop(&todo);
            x = (const term *)(uintptr_t)wstack_pop(&todo);
            if (r == 0)
                goto array;
            break;
        case OP_INEXACT:
            exact = false;
            break;
        case OP_MAP:
            mc = (struct map_cmp *)(uintptr_t)wstack_pop(&todo);
            wstack_push(&todo, (term)(uintptr_t)mc);
            wstack_push(&todo, OP_MAP);
            if (map_cmp_answer(mc, r, &a, &b, &exact))
                goto again;
            todo.n -= 2;
            exact = mc->was_exact;
            r = mc->order;
            vm_free(mc);
            break;
        }
    }
    wstack_fini(&todo);
    return r;
}

/* Cells that two lists have in common before they are compared the long way. */
#define COMMON_CELLS 32

/*
 * Two lists, mostly of characters, whose order an early pair of smalls or atoms tells:
 * what sorting asks for most, answered without a stack for what waits. False: *a and
 * *b are in the order of what they were, and it is for compare() to find.
 */
static inline bool lists_decide(term *a, term *b, int *r)
{
    for (int n = 0; term_is_cons(*a) && term_is_cons(*b) && n < COMMON_CELLS; n++) {
        const term *x = cons_ptr(*a), *y = cons_ptr(*b);

        if (x[0] != y[0])
            return decide(x[0], y[0], r);
        *a = x[1];
        *b = y[1];
    }
    return false;
}

int term_compare(term a, term b)
{
    int r;

    return lists_decide(&a, &b, &r) ? r : compare(a, b, false);
}

int term_compare_exact(term a, term b)
{
    int r;

    return lists_decide(&a, &b, &r) ? r : compare(a, b, true);
}
