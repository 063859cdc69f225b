/*
 * newmap.c - the keys of maps that are made whole: #{a => X, b => Y}.
 *
 * The compiler writes that as put_map_assoc of #{}. With keys that are known
 * here the map is only header, keys and values, and all maps made by this
 * instruction share one literal tuple of keys: less to build, to collect and to
 * compare. Such an instruction gets the tuple in place of #{}, as ARG_KEYS, and
 * its pairs in the order of the keys.
 */
#include "op/loader.h"
#include "vm/map.h"
#include "vm/ops.h"

static bool is_empty_map(const struct loader *l, struct arg a)
{
    return a.kind == ARG_LITERAL && a.value < l->nliterals &&
           term_is_map(l->literals[a.value]) && map_size(l->literals[a.value]) == 0;
}

/* Sort n keys and values by key. False if a key is no atom or integer of a
 * word, or comes twice. */
static bool sort_pairs(struct arg *pair, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct arg key = pair[2 * i], value = pair[2 * i + 1];
        uint64_t k = i;

        if (key.kind != ARG_ATOM && key.kind != ARG_I)
            return false;
        for (; k > 0; k--) {
            int order = term_compare_exact(pair[2 * k - 2].value, key.value);

            if (order == 0)
                return false;
            if (order < 0)
                break;
            pair[2 * k] = pair[2 * k - 2];
            pair[2 * k + 1] = pair[2 * k - 1];
        }
        pair[2 * k] = key;
        pair[2 * k + 1] = value;
    }
    return true;
}

static uint32_t key_tuple(struct loader *l, const struct arg *pair, uint64_t n)
{
    struct mbuf *m = mbuf_new(1 + n);

    m->words[0] = TUPLE_HEADER(n);
    for (uint64_t i = 0; i < n; i++)
        m->words[1 + i] = pair[2 * i].value;
    m->used = 1 + n;
    m->next = l->mbufs;
    l->mbufs = m;
    return load_literal(l, boxed_make(m->words));
}

void new_map_keys(struct loader *l, const struct ginstr *in)
{
    struct arg *a = l->args + in->first;    /* fail, src, dst, live, list */

    if (a[4].kind != ARG_LIST || a[4].value == 0 || a[4].value % 2 ||
        a[4].value > 2 * MAP_SMALL_LIMIT || !is_empty_map(l, a[1]) ||
        !sort_pairs(a + 5, a[4].value / 2))
        return;
    a[1] = (struct arg){ARG_KEYS, key_tuple(l, a + 5, a[4].value / 2)};
}
