/*
 * node.c - reference numbers, and the table of nodes.
 */
#include "vm/node.h"
#include "vm/atom.h"
#include "vm/binary.h"
#include "vm/vm.h"

/*
 * A serial of 64 bits becomes three numbers, 18 bits in the least significant
 * as OTP has it: older external formats hold no more there.
 */
void ref_next(uint64_t ref[2])
{
    uint64_t n = ++vm.ref_serial;

    ref[0] = (n & 0x3ffff) | (n >> 18 & 0xffffffff) << 32;
    ref[1] = n >> 50;
}

term ref_put(term **hp, const uint64_t ref[2])
{
    struct ref_words *r = (struct ref_words *)*hp;

    *hp += REF_WORDS;
    r->header = REF_HEADER;
    r->ref[0] = ref[0];
    r->ref[1] = ref[1];
    return boxed_make(&r->header);
}

term ref_recall(struct dest *d, const uint64_t ref[2])
{
    struct resource *r = magic_recall(ref);

    return r ? magic_put(d, r) : ref_put(&d->htop, ref);
}

static const struct node nonode = {.name = am_NonodeAtNohost};
static const struct node *this_node = &nonode;
const struct node *const *node_this = &this_node;

term node_name(void)
{
    return this_node->name;
}

void node_set_this(const struct node *n)
{
    this_node = n;
}

/* Open addressing, at most half full; nodes themselves never move. */
struct node_table {
    struct node **slots;
    size_t n, size;
};

static size_t node_slot(const struct node_table *t, term name, uint32_t creation)
{
    uint64_t h = (name ^ (uint64_t)creation << 32) * 0x9e3779b97f4a7c15;
    size_t mask = t->size - 1;

    for (size_t i = (h >> 32) & mask;; i = (i + 1) & mask)
        if (!t->slots[i] ||
            (t->slots[i]->name == name && t->slots[i]->creation == creation))
            return i;
}

/* Into a table of this size, without those that nobody refers to. */
static void table_rebuild(struct node_table *t, size_t size)
{
    struct node_table old = *t;

    t->n = 0;
    t->size = size;
    t->slots = vm_zalloc(ALLOC_SYSTEM, size * sizeof *t->slots);
    for (size_t i = 0; i < old.size; i++) {
        struct node *n = old.slots[i];

        if (n && __atomic_load_n(&n->refc, __ATOMIC_ACQUIRE) > 0) {
            t->slots[node_slot(t, n->name, n->creation)] = n;
            t->n++;
        } else {
            vm_free(n);
        }
    }
    vm_free(old.slots);
}

static size_t table_min(void)
{
    return vm.stress_gc ? 2 : 16;
}

void node_sweep(void)
{
    struct node_table *t = vm.nodes;
    size_t size;

    if (!t)
        return;
    table_rebuild(t, t->size);
    for (size = t->size; size > table_min() && t->n * 8 < size; size /= 2)
        ;
    if (size < t->size)
        table_rebuild(t, size);
}

size_t node_count(void)
{
    return vm.nodes ? vm.nodes->n : 0;
}

struct node *node_next(size_t *i)
{
    struct node_table *t = vm.nodes;

    for (; t && *i < t->size; ++*i)
        if (t->slots[*i])
            return t->slots[(*i)++];
    return NULL;
}

struct node *node_get(term name, uint32_t creation)
{
    struct node_table *t = vm.nodes;
    struct node *node;
    size_t i;

    if (!t) {
        t = vm.nodes = vm_zalloc(ALLOC_SYSTEM, sizeof *t);
        table_rebuild(t, table_min());
    }
    i = node_slot(t, name, creation);
    if (t->slots[i]) {
        node_ref(t->slots[i]);
        return t->slots[i];
    }
    if ((t->n + 1) * 2 > t->size) {
        node_sweep();
        /* A quarter at least is free then: no sweep soon. */
        if ((t->n + 1) * 4 > t->size)
            table_rebuild(t, t->size * 2);
        i = node_slot(t, name, creation);
    }
    node = vm_alloc(ALLOC_SYSTEM, sizeof *node);
    *node = (struct node){name, creation, 1};
    t->slots[i] = node;
    t->n++;
    return node;
}
