/*
 * search.c - find byte strings in bytes.
 */
#define _GNU_SOURCE     /* memmem */
#include "bif/search.h"

#include "vm/slice.h"
#include "vm/vm.h"

/* Bytes searched until time is looked at. */
#define PACE ((size_t)1024)
#define FIND_BYTES ((size_t)256 << 10)
#define FIND_BYTES_PER_NS 2
/* Bytes of hits that may move in one go as there are more. */
#define MOVED_AT_ONCE ((size_t)1 << 20)

/*
 * A state of the automaton: the bytes on the way from the root to it are a
 * prefix of some string. next[c] is 0 where there is no such prefix.
 */
struct search_node {
    uint32_t next[256];
    uint32_t fail;      /* the longest proper suffix that is a state */
    uint32_t output;    /* the longest suffix, itself included, that is a
                           whole string; 0: none */
    uint32_t depth;
    bool final;         /* a whole string */
};

void search_init(struct search *s)
{
    *s = (struct search){0};
}

void search_fini(struct search *s)
{
    vm_free(s->one);
    vm_free(s->nodes);
}

static bool node_new(struct search *s, uint32_t depth, uint32_t *index)
{
    if (s->count == s->size) {
        size_t size = s->size ? 2 * s->size : 16;
        struct search_node *nodes;

        if (size > UINT32_MAX)
            return false;
        nodes = s->nodes ? vm_try_realloc(s->nodes, size * sizeof *nodes)
                         : vm_try_alloc(ALLOC_SYSTEM, size * sizeof *nodes);
        if (!nodes)
            return false;
        s->nodes = nodes;
        s->size = size;
    }
    *index = (uint32_t)s->count++;
    memset(&s->nodes[*index], 0, sizeof *s->nodes);
    s->nodes[*index].depth = depth;
    return true;
}

static bool add_path(struct search *s, const uint8_t *bytes, size_t n)
{
    uint32_t at = 0, next;

    if (s->count == 0 && !node_new(s, 0, &next))
        return false;
    for (size_t i = 0; i < n; i++) {
        next = s->nodes[at].next[bytes[i]];
        if (!next) {
            if (!node_new(s, (uint32_t)i + 1, &next))
                return false;
            s->nodes[at].next[bytes[i]] = next;
        }
        at = next;
    }
    s->nodes[at].final = true;
    return true;
}

/* The first one is kept as it is; a second one makes paths of both. */
bool search_add(struct search *s, const uint8_t *bytes, size_t n)
{
    assert(n > 0);
    if (!s->one && s->count == 0) {
        s->one = vm_try_alloc(ALLOC_SYSTEM, n);
        if (!s->one)
            return false;
        memcpy(s->one, bytes, n);
        s->one_size = n;
        return true;
    }
    if (s->one) {
        if (!add_path(s, s->one, s->one_size))
            return false;
        vm_free(s->one);
        s->one = NULL;
    }
    return add_path(s, bytes, n);
}

/*
 * Breadth first, so that the states a failure leads to are complete.
 */
bool search_prepare(struct search *s)
{
    uint32_t *queue;
    size_t first = 0, last = 0;

    if (s->one || s->count == 0)
        return true;
    queue = vm_try_alloc(ALLOC_SYSTEM, s->count * sizeof *queue);
    if (!queue)
        return false;
    queue[last++] = 0;
    while (first < last) {
        uint32_t at = queue[first++];
        struct search_node *node = &s->nodes[at];

        slice(256);
        node->output = node->final ? at : s->nodes[node->fail].output;
        for (unsigned c = 0; c < 256; c++) {
            uint32_t child = node->next[c], f = node->fail;

            if (!child)
                continue;
            queue[last++] = child;
            if (at == 0)
                continue;       /* fails to the root */
            while (f && !s->nodes[f].next[c])
                f = s->nodes[f].fail;
            s->nodes[child].fail = s->nodes[f].next[c];
        }
    }
    vm_free(queue);
    return true;
}

void search_hits_fini(struct search_hits *h)
{
    slice_free(h->hit);
}

static __attribute__((noinline)) bool hits_grow(struct search_hits *h)
{
    size_t size = h->size ? 2 * h->size : 16;
    bool many = h->size * sizeof *h->hit >= MOVED_AT_ONCE;
    struct search_hit *hit
        = h->hit && !many ? vm_try_realloc(h->hit, size * sizeof *hit)
                          : vm_try_alloc(ALLOC_SYSTEM, size * sizeof *hit);

    if (!hit)
        return false;
    if (many) {
        slice_copy(hit, h->hit, h->n * sizeof *hit);
        slice_free(h->hit);
    }
    h->hit = hit;
    h->size = size;
    return true;
}

static bool hit_push(struct search_hits *h, size_t at, size_t n)
{
    if (unlikely(h->n == h->size) && !hits_grow(h))
        return false;
    h->hit[h->n++] = (struct search_hit){at, n};
    return true;
}

/*
 * A string ends: take it if it is better than what it overlaps with, that is,
 * begins earlier, or at the same place and is longer.
 */
static bool hit_offer(struct search_hits *h, size_t at, size_t n)
{
    size_t keep = h->n;

    while (keep > 0
           && (h->hit[keep - 1].at > at
               || (h->hit[keep - 1].at == at && h->hit[keep - 1].n < n)))
        keep--;
    if (keep > 0 && h->hit[keep - 1].at + h->hit[keep - 1].n > at)
        return true;
    h->n = keep;
    return hit_push(h, at, n);
}

static bool run_many(const struct search *s, const uint8_t *data, size_t from,
                     size_t to, bool all, struct search_hits *hits)
{
    const struct search_node *nodes = s->nodes;
    uint32_t q = 0;

    for (size_t i = from; i < to; i++) {
        uint8_t c = data[i];

        if (unlikely(i % PACE == 0))
            slice(PACE * 3);
        while (q && !nodes[q].next[c])
            q = nodes[q].fail;
        q = nodes[q].next[c];
        /* Whatever still can match begins after the first hit. */
        if (!all && hits->n > 0 && i + 1 - nodes[q].depth > hits->hit[0].at)
            return true;
        for (uint32_t f = nodes[q].output; f;
             f = nodes[nodes[f].fail].output) {
            if (!hit_offer(hits, i + 1 - nodes[f].depth, nodes[f].depth))
                return false;
        }
    }
    return true;
}

static bool run_one(const struct search *s, const uint8_t *data, size_t from,
                    size_t to, bool all, struct search_hits *hits)
{
    const uint8_t *p = data + from, *end = data + to;

    while ((size_t)(end - p) >= s->one_size) {
        /* A part, and what of a string that begins there is beyond it. */
        size_t n = (size_t)(end - p), part = FIND_BYTES + s->one_size - 1;
        const uint8_t *at = memmem(p, n < part ? n : part, s->one, s->one_size);

        slice(at ? (size_t)(at - p) / FIND_BYTES_PER_NS + 20
                 : FIND_BYTES / FIND_BYTES_PER_NS);
        if (!at && n <= part)
            break;
        if (!at) {
            p += FIND_BYTES;
            continue;
        }
        if (!hit_push(hits, (size_t)(at - data), s->one_size))
            return false;
        if (!all)
            break;
        p = at + s->one_size;
    }
    return true;
}

bool search_run(const struct search *s, const uint8_t *data, size_t from,
                size_t to, bool all, struct search_hits *hits)
{
    *hits = (struct search_hits){0};
    if (s->one ? run_one(s, data, from, to, all, hits)
               : run_many(s, data, from, to, all, hits))
        return true;
    search_hits_fini(hits);
    *hits = (struct search_hits){0};
    return false;
}
