/*
 * matchspec_key.c - variables in patterns, and what patterns say of keys.
 */
#include "vm/atom.h"
#include "vm/map.h"
#include "vm/matchspec_op.h"
#include "vm/ops.h"
#include "vm/wstack.h"

size_t ms_variable_digits(term t, const uint8_t **digits)
{
    if (!term_is_atom(t))
        return 0;
    const struct atom *a = atom_get(t);
    size_t n = a->bytes;
    if (n < 2 || a->name[0] != '$')
        return 0;
    if (a->name[1] == '0' && n > 2)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (a->name[i] < '0' || a->name[i] > '9')
            return 0;
    }
    *digits = a->name + 1;
    return n - 1;
}

bool ms_is_variable(term t)
{
    const uint8_t *digits;

    return ms_variable_digits(t, &digits) > 0;
}

bool ms_push_parts(struct wstack *s, term t)
{
    if (term_is_cons(t)) {
        wstack_push(s, cons_tail(t));
        wstack_push(s, cons_head(t));
        return true;
    }
    if (term_is_tuple(t)) {
        for (size_t i = tuple_arity(t); i > 0; i--)
            wstack_push(s, *tuple_at(t, i));
        return true;
    }
    if (term_is_map(t)) {
        struct map_iter it;
        term key, value;

        map_iter_init(&it, t);
        while (map_iter_next(&it, &key, &value)) {
            wstack_push(s, key);
            wstack_push(s, value);
        }
        return true;
    }
    return false;
}

bool ms_has_variable(term t)
{
    struct wstack s;
    bool found = false;

    wstack_init(&s);
    wstack_push(&s, t);
    while (s.n > 0 && !found) {
        t = wstack_pop(&s);
        if (!ms_push_parts(&s, t))
            found = t == am_Underscore || ms_is_variable(t);
    }
    wstack_fini(&s);
    return found;
}

int ms_compare_key(term pattern, term key)
{
    struct wstack s;
    int c = 0;

    wstack_init(&s);
    wstack_push(&s, key);
    wstack_push(&s, pattern);
    while (s.n > 0) {
        term a = wstack_pop(&s), b = wstack_pop(&s);

        if (a == am_Underscore || ms_is_variable(a))
            break;
        if (term_is_map(a) && ms_has_variable(a))
            break;
        if (term_is_cons(a) && term_is_cons(b)) {
            wstack_push(&s, cons_tail(b));
            wstack_push(&s, cons_tail(a));
            wstack_push(&s, cons_head(b));
            wstack_push(&s, cons_head(a));
        } else if (term_is_tuple(a) && term_is_tuple(b)
                   && tuple_arity(a) == tuple_arity(b)) {
            for (size_t i = tuple_arity(a); i > 0; i--) {
                wstack_push(&s, *tuple_at(b, i));
                wstack_push(&s, *tuple_at(a, i));
            }
        } else {
            /* Different in kind or size, or without variables. */
            c = term_compare(a, b);
            if (c != 0)
                break;
        }
    }
    wstack_fini(&s);
    return c;
}

/*
 * Does a body that builds `body` give the very term that `head` matched?
 * constant: body is taken as it stands ({const,_}).
 */
static bool builds_same(term head, term body, bool constant)
{
    struct wstack s;
    bool same = true;

    wstack_init(&s);
    wstack_push(&s, constant);
    wstack_push(&s, body);
    wstack_push(&s, head);
    while (same && s.n > 0) {
        term a = wstack_pop(&s), b = wstack_pop(&s);
        bool as_is = wstack_pop(&s);

        if (term_is_cons(b)) {
            same = term_is_cons(a);
            if (!same)
                break;
            wstack_push(&s, as_is);
            wstack_push(&s, cons_tail(b));
            wstack_push(&s, cons_tail(a));
            wstack_push(&s, as_is);
            wstack_push(&s, cons_head(b));
            wstack_push(&s, cons_head(a));
            continue;
        }
        if (term_is_tuple(b)) {
            if (!as_is) {
                if (term_is_tuple_of(b, 2) && *tuple_at(b, 1) == am_const) {
                    wstack_push(&s, true);
                    wstack_push(&s, *tuple_at(b, 2));
                    wstack_push(&s, a);
                    continue;
                }
                same = term_is_tuple_of(b, 1) && term_is_tuple(*tuple_at(b, 1));
                if (!same)
                    break;
                b = *tuple_at(b, 1);
            }
            same = term_is_tuple(a) && tuple_arity(a) == tuple_arity(b);
            if (!same)
                break;
            for (size_t i = tuple_arity(a); i > 0; i--) {
                wstack_push(&s, as_is);
                wstack_push(&s, *tuple_at(b, i));
                wstack_push(&s, *tuple_at(a, i));
            }
            continue;
        }
        if (term_is_map(b)) {
            same = false;   /* the map that matched may have more pairs */
        } else if (term_is_imm(b)) {
            same = a == b && a != am_Underscore && a != am_DollarDollar
                   && a != am_DollarUnderscore
                   && !(as_is && ms_is_variable(a));
        } else {
            same = term_eq(a, b);
        }
    }
    wstack_fini(&s);
    return same;
}

static term key_of(term t, size_t keypos)
{
    return term_is_tuple(t) && tuple_arity(t) >= keypos ? *tuple_at(t, keypos)
                                                        : THE_NON_VALUE;
}

bool ms_keeps_key(term clause, size_t keypos)
{
    term head = *tuple_at(clause, 1), body = *tuple_at(clause, 3);

    if (!term_is_cons(body) || !term_is_nil(cons_tail(body)))
        return false;
    body = cons_head(body);
    if (body == am_DollarUnderscore)
        return true;
    term key = key_of(head, keypos);
    if (!term_is_tuple(body) || key == THE_NON_VALUE)
        return false;

    bool constant = term_is_tuple_of(body, 2) && *tuple_at(body, 1) == am_const;
    if (!constant && !term_is_tuple_of(body, 1))
        return false;
    term made = key_of(*tuple_at(body, constant ? 2 : 1), keypos);
    if (made == THE_NON_VALUE)
        return false;
    if (builds_same(key, made, constant))
        return true;
    /* {element, KeyPos, '$_'} */
    return !constant && term_is_tuple_of(made, 3)
           && *tuple_at(made, 1) == am_element
           && *tuple_at(made, 2) == small_make((int64_t)keypos)
           && *tuple_at(made, 3) == am_DollarUnderscore;
}
