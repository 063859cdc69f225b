/*
 * heap.c - room for terms: the young block, fragments, off-heap references.
 */
#include "vm/heap.h"
#include "vm/binary.h"
#include "vm/gc.h"
#include "vm/proc.h"
#include "vm/slice.h"
#include "vm/vm.h"

#include <errno.h>

/* No term is larger; keeps sums of sizes far from overflow. */
#define WORDS_LIMIT ((size_t)1 << 44)

/*
 * Fragments of a process that builds without collecting grow with what it has
 * built, so that their number stays small; at most 512 KiB of slack.
 */
enum { MBUF_MIN = 64, MBUF_MAX_SLACK = 65536 };

/* What giving back one object takes. */
#define DROP_NS 30
#define FREED_PER_NS 8          /* bytes: most of it for their pages */

/* OTP's: 32 Ki words on its golden-ratio steps (erlang:system_info). */
#define VHEAP_MIN 46422

static _Noreturn void no_term(size_t words, const char *caller)
{
    vm_no_memory(words <= WORDS_LIMIT ? words * sizeof(term) : SIZE_MAX, "a term", caller);
}

struct mbuf *mbuf_try_new(size_t words)
{
    struct mbuf *m;

    if (words > WORDS_LIMIT)
        return NULL;
    m = vm_try_alloc(ALLOC_PROC, sizeof *m + words * sizeof(term));
    if (m)
        *m = (struct mbuf){.size = words};
    return m;
}

struct mbuf *mbuf_new_in(size_t words, const char *caller)
{
    struct mbuf *m = mbuf_try_new(words);

    if (!m)
        no_term(words, caller);
    return m;
}

void offheap_release(struct offheap *off)
{
    term *next;

    for (term *obj = off->first; obj; obj = next) {
        next = (term *)obj[1];
        offheap_drop(obj);
        slice(DROP_NS);
    }
    off->first = NULL;
    off->vheap_words = 0;
}

void mbuf_free(struct mbuf *m)
{
    struct mbuf *next;

    for (; m; m = next) {
        next = m->next;
        offheap_release(&m->off);
        slice(DROP_NS + m->size * sizeof(term) / FREED_PER_NS);
        slice_free(m);
    }
}

void heap_attach(struct proc *p, struct mbuf *m)
{
    struct heap *h = &p->heap;
    struct mbuf **last = &m;

    for (; *last; last = &(*last)->next) {
        h->mbuf_words += (*last)->used;
        h->frag_vheap_words += (*last)->off.vheap_words;
    }
    /*
     * Behind the first fragment, which heap_trim() and the next heap_alloc()
     * may be using.
     */
    if (h->mbuf) {
        *last = h->mbuf->next;
        h->mbuf->next = m;
    } else {
        h->mbuf = m;
    }
    if (h->mbuf_words > (size_t)(h->hend - h->heap) ||
        h->frag_vheap_words + h->off.vheap_words > h->bin_vheap_limit)
        h->want_gc = true;
}

void heap_detach(struct proc *p, struct mbuf **at)
{
    struct heap *h = &p->heap;
    struct mbuf *m = *at;

    *at = m->next;
    m->next = NULL;
    h->mbuf_words -= m->used;
    h->frag_vheap_words -= m->off.vheap_words;
}

/* Words in the newest fragment, or in a new one if they do not fit; or NULL. */
static term *frag_alloc(struct heap *h, size_t words)
{
    struct mbuf *m = h->mbuf;
    term *at;

    if (!m || m->size - m->used < words) {
        size_t size = h->mbuf_words;

        if (size < MBUF_MIN)
            size = MBUF_MIN;
        if (size > MBUF_MAX_SLACK)
            size = MBUF_MAX_SLACK;
        if (size < words)
            size = words;
        m = mbuf_try_new(size);
        if (!m)
            return NULL;
        m->next = h->mbuf;
        h->mbuf = m;
    }
    at = m->words + m->used;
    m->used += words;
    h->mbuf_words += words;
    h->want_gc = true;
    return at;
}

/* Under stress a BIF's terms are always in fragments, to be collected soon. */
#ifdef STRESS
#define STRESS_FRAGMENT true
#else
#define STRESS_FRAGMENT false
#endif

term *heap_alloc_big(struct proc *p, size_t words)
{
    struct heap *h = &p->heap;

    if (!STRESS_FRAGMENT && likely(words <= heap_free_words(h))) {
        term *at = h->htop;

        h->htop += words;
        return at;
    }
    return words > WORDS_LIMIT ? NULL : frag_alloc(h, words);
}

term *heap_alloc_in(struct proc *p, size_t words, const char *caller)
{
    term *at = heap_alloc_big(p, words);

    if (unlikely(!at))
        no_term(words, caller);
    return at;
}

void heap_trim(struct proc *p, term *end)
{
    struct heap *h = &p->heap;

    if (end >= h->heap && end <= h->htop) {
        h->htop = end;
    } else {
        struct mbuf *m = h->mbuf;

        assert(m && end >= m->words && end <= m->words + m->used);
        h->mbuf_words -= m->words + m->used - end;
        m->used = end - m->words;
    }
}

term *heap_try(struct proc *p, size_t words)
{
    struct heap *h = &p->heap;
    term *at = h->htop;

#ifdef STRESS
    /* An odd period: an instruction with two tries must get through. */
    static unsigned tries;
    if (++tries % 5 == 0) {
        p->need_words = words;
        return NULL;
    }
#endif
    if (unlikely(words > heap_free_words(h))) {
        p->need_words = words;
        return NULL;
    }
    h->htop += words;
    return at;
}

int heap_init(struct heap *h, size_t min_words)
{
    size_t size = heap_size_step(min_words);
    term *block = vm_try_alloc(ALLOC_PROC, size * sizeof(term));

    if (!block)
        return -ENOMEM;
    *h = (struct heap){
        .heap = block,
        .htop = block,
        .stop = block + size,
        .hend = block + size,
        .high_water = block,
        .min_words = size,
        .max_gen_gcs = 65535,
        .bin_vheap_limit = VHEAP_MIN,
        .bin_old_vheap_limit = VHEAP_MIN,
        .min_bin_vheap = VHEAP_MIN,
    };
    return 0;
}

void heap_fini(struct heap *h)
{
    offheap_release(&h->off);
    offheap_release(&h->old_off);
    mbuf_free(h->mbuf);
    slice_free(h->old_heap);
    slice_free(h->heap);
    *h = (struct heap){0};
}
