/*
 * ets_tree.c - ordered_set: an AVL tree in term order (1 == 1.0).
 *
 * Objects have no parent links; whoever goes down remembers the way, which is
 * never longer than ETS_TREE_DEPTH. The subtrees of every object differ by at
 * most one level, its balance.
 */
#include "vm/ets_table.h"
#include "vm/matchspec.h"
#include "vm/ops.h"

#define left next

static inline int compare(term a, term b)
{
    if (term_both_small(a, b))
        return ((int64_t)a > (int64_t)b) - ((int64_t)a < (int64_t)b);
    return a == b ? 0 : term_compare(a, b);
}

struct ets_obj *ets_tree_find(struct ets_table *t, term key)
{
    struct ets_obj *o = t->tree.root;

    while (o) {
        int c = compare(key, ets_key(t, o));
        if (c == 0)
            return o;
        o = c < 0 ? o->left : o->right;
    }
    return NULL;
}

/*
 * Turn *at, two levels out of balance, so that it is not. True if the subtree
 * is one level lower than it was before it got out of balance by growing (or:
 * got lower by the removal that made it so).
 */
static bool rebalance(struct ets_obj **at)
{
    struct ets_obj *o = *at, *up;
    bool lower = true;

    if (o->balance < 0) {
        struct ets_obj *l = o->left;
        if (l->balance <= 0) {
            up = l;
            o->left = l->right;
            l->right = o;
            lower = l->balance != 0;
            o->balance = lower ? 0 : -1;
            l->balance = lower ? 0 : 1;
        } else {
            up = l->right;
            l->right = up->left;
            up->left = l;
            o->left = up->right;
            up->right = o;
            l->balance = up->balance > 0 ? -1 : 0;
            o->balance = up->balance < 0 ? 1 : 0;
            up->balance = 0;
        }
    } else {
        struct ets_obj *r = o->right;
        if (r->balance >= 0) {
            up = r;
            o->right = r->left;
            r->left = o;
            lower = r->balance != 0;
            o->balance = lower ? 0 : 1;
            r->balance = lower ? 0 : -1;
        } else {
            up = r->left;
            r->left = up->right;
            up->right = r;
            o->right = up->left;
            up->left = o;
            r->balance = up->balance < 0 ? 1 : 0;
            o->balance = up->balance > 0 ? -1 : 0;
            up->balance = 0;
        }
    }
    *at = up;
    return lower;
}

static void put_in_place(struct ets_table *t, struct ets_obj **at,
                         struct ets_obj *o)
{
    struct ets_obj *old = *at;

    o->left = old->left;
    o->right = old->right;
    o->balance = old->balance;
    *at = o;
    ets_obj_free(t, old);
}

void ets_tree_insert(struct ets_table *t, struct ets_obj *o)
{
    struct ets_obj **path[ETS_TREE_DEPTH], **at = &t->tree.root;
    term key = ets_key(t, o);
    int n = 0;

    while (*at) {
        int c = compare(key, ets_key(t, *at));
        if (c == 0) {
            put_in_place(t, at, o);
            return;
        }
        assert(n < ETS_TREE_DEPTH);
        path[n++] = at;
        at = c < 0 ? &(*at)->left : &(*at)->right;
    }
    o->left = o->right = NULL;
    o->balance = 0;
    *at = o;
    t->count++;

    /* Up again, as long as subtrees have grown. */
    while (n > 0) {
        struct ets_obj **link = path[--n], *up = *link;
        up->balance += at == &up->left ? -1 : 1;
        if (up->balance == 0)
            return;
        if (up->balance == 2 || up->balance == -2) {
            rebalance(link);
            return;
        }
        at = link;
    }
}

struct ets_obj *ets_tree_take(struct ets_table *t, term key)
{
    struct ets_obj **path[ETS_TREE_DEPTH], **at = &t->tree.root;
    int n = 0;

    for (int c; *at && (c = compare(key, ets_key(t, *at))) != 0;) {
        path[n++] = at;
        at = c < 0 ? &(*at)->left : &(*at)->right;
    }
    struct ets_obj *o = *at;
    if (!o)
        return NULL;

    if (o->left && o->right) {
        /* The last one below it takes its place. */
        int place = n;
        struct ets_obj **p = &o->left;
        path[n++] = at;
        while ((*p)->right) {
            path[n++] = p;
            p = &(*p)->right;
        }
        struct ets_obj *last = *p;
        *p = last->left;
        last->left = o->left;
        last->right = o->right;
        last->balance = o->balance;
        *at = last;
        /* The link through o's left is now last's. */
        if (place + 1 < n)
            path[place + 1] = &last->left;
        if (p == &o->left)
            p = &last->left;
        at = p;
    } else {
        *at = o->left ? o->left : o->right;
    }
    t->count--;

    /* Up again, as long as subtrees have got lower; at is the lower link. */
    while (n > 0) {
        struct ets_obj **link = path[--n], *up = *link;
        up->balance += at == &up->left ? 1 : -1;
        if (up->balance == 1 || up->balance == -1)
            break;
        if (up->balance != 0 && !rebalance(link))
            break;
        at = link;
    }
    return o;
}

void ets_tree_delete(struct ets_table *t, term key)
{
    struct ets_obj *o = ets_tree_take(t, key);

    if (o)
        ets_obj_free(t, o);
}

void ets_tree_replace(struct ets_table *t, struct ets_obj *old, struct ets_obj *o)
{
    struct ets_obj **at = &t->tree.root;
    term key = ets_key(t, o);

    while (*at != old)
        at = compare(key, ets_key(t, *at)) < 0 ? &(*at)->left : &(*at)->right;
    put_in_place(t, at, o);
}

/* Turn left subtrees up until there is none, then drop the object: no stack. */
bool ets_tree_empty(struct ets_table *t, int32_t *reds)
{
    struct ets_obj *o;

    while ((o = t->tree.root)) {
        if ((*reds)-- <= 0)
            return false;
        struct ets_obj *l = o->left;
        if (l) {
            o->left = l->right;
            l->right = o;
            t->tree.root = l;
        } else {
            t->tree.root = o->right;
            ets_obj_free(t, o);
        }
    }
    return true;
}

static void go_left(struct ets_iter *it, struct ets_obj *o)
{
    for (; o; o = o->left)
        it->path[it->depth++] = o;
}

static void go_right(struct ets_iter *it, struct ets_obj *o)
{
    for (; o; o = o->right)
        it->path[it->depth++] = o;
}

void ets_iter_first(struct ets_table *t, struct ets_iter *it)
{
    it->depth = 0;
    go_left(it, t->tree.root);
}

void ets_iter_last(struct ets_table *t, struct ets_iter *it)
{
    it->depth = 0;
    go_right(it, t->tree.root);
}

/* Up to the first one that was left by its `right` (or left) link. */
static void go_up(struct ets_iter *it, bool from_right)
{
    while (it->depth > 0) {
        struct ets_obj *child = it->path[--it->depth];
        if (it->depth == 0)
            return;
        struct ets_obj *up = it->path[it->depth - 1];
        if ((up->right == child) != from_right)
            return;
    }
}

void ets_iter_next(struct ets_iter *it)
{
    struct ets_obj *o = ets_iter_get(it);

    if (o->right)
        go_left(it, o->right);
    else
        go_up(it, true);
}

void ets_iter_prev(struct ets_iter *it)
{
    struct ets_obj *o = ets_iter_get(it);

    if (o->left)
        go_right(it, o->left);
    else
        go_up(it, false);
}

/*
 * The first object that lies after the place where `side` turns from < 0 to
 * >= 0 (upward), or the last one before it turns to > 0.
 */
typedef int (*side_fn)(term what, term key);

static void seek(struct ets_table *t, struct ets_iter *it, term what,
                 side_fn side, int least, bool upward)
{
    struct ets_obj *o = t->tree.root;
    int found = 0;

    /* side(what, key) falls as key rises. */
    it->depth = 0;
    while (o) {
        bool in = upward ? side(what, ets_key(t, o)) <= least
                         : side(what, ets_key(t, o)) >= least;
        it->path[it->depth++] = o;
        if (in)
            found = it->depth;
        o = in == upward ? o->left : o->right;
    }
    it->depth = found;
}

static int sign(int c)
{
    return (c > 0) - (c < 0);
}
static int side_of_key(term what, term key)
{
    return sign(compare(what, key));
}
static int side_of_pattern(term what, term key)
{
    return sign(ms_compare_key(what, key));
}

void ets_iter_above(struct ets_table *t, struct ets_iter *it, term key)
{
    seek(t, it, key, side_of_key, -1, true);
}
void ets_iter_below(struct ets_table *t, struct ets_iter *it, term key)
{
    seek(t, it, key, side_of_key, 1, false);
}
void ets_iter_from(struct ets_table *t, struct ets_iter *it, term pattern)
{
    seek(t, it, pattern, side_of_pattern, 0, true);
}
void ets_iter_to(struct ets_table *t, struct ets_iter *it, term pattern)
{
    seek(t, it, pattern, side_of_pattern, 0, false);
}
