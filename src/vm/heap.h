/*
 * heap.h - the term heap of one process.
 *
 *    heap           htop              stop            hend
 *      | live terms   |   free words    |  stack frames |
 *
 * Terms made while the owner can't collect (in a BIF when the free words run
 * out, messages) wait in heap fragments, the mbuf list, until the next
 * collection, which an instruction boundary starts soon after.
 *
 * To build a term in a BIF: heap_alloc() the exact number of words and fill
 * them in. It never moves a term, so nothing goes stale during a BIF.
 * In a guard BIF or a SLOW callee: heap_try(); NULL means return
 * THE_NON_VALUE: the instruction collects and runs again (DESIGN of the
 * instructions: doc/instructions.md).
 *
 * Between instructions, always (heap_check() walks it in debug builds):
 *   - heap <= htop, htop + HEAP_RESERVE - 1 <= stop <= hend
 *   - a pointer found in [heap, htop) leads into this heap, its fragments,
 *     its old heap or a literal area, never into another process
 *   - no word of the old heap points into the young one
 *
 * No lock: a heap belongs to the scheduler that runs its process.
 */
#ifndef VM_HEAP_H
#define VM_HEAP_H

#include "vm/term.h"

struct proc;

/* Words every heap test leaves free, so that calls can push unchecked. */
#define HEAP_RESERVE 4
#define HEAP_MIN_WORDS 233      /* OTP's, so that process_info agrees */

/*
 * Off-heap objects found on a heap: refc binaries, magic refs, identifiers of
 * other nodes. Word 1 of the object links to the next one on the same heap (an
 * address, or 0).
 */
struct offheap {
    term *first;
    size_t vheap_words;         /* binary bytes referenced / 8: asks for GC */
};

/* A heap fragment: terms in words[0..used), which point only into itself. */
struct mbuf {
    struct mbuf *next;
    struct offheap off;
    size_t used, size;          /* words */
    term words[];
};

struct heap {
    term *heap, *htop, *stop, *hend;    /* young block, low to high */
    term *high_water;                   /* [heap, high_water) survived once */
    term *old_heap, *old_htop, *old_hend;
    struct mbuf *mbuf;                  /* owned, until collected */
    size_t mbuf_words;                  /* counts toward the next collection */
    struct offheap off, old_off;        /* off-heap objects, young and old */
    size_t min_words;                   /* min_heap_size */
    size_t max_words;                   /* max_heap_size, 0: none */
    uint32_t gen_gcs, max_gen_gcs;      /* since, until a full sweep */
    size_t bin_vheap_limit;             /* words of off.vheap_words */
    size_t bin_old_vheap_limit;         /* words of old_off.vheap_words */
    size_t min_bin_vheap;               /* min_bin_vheap_size */
    size_t frag_vheap_words;            /* of the fragments' off lists */
    bool grow;                          /* survivors filled the block: double */
    bool want_gc;                       /* collect at the next boundary */
    bool want_full;
    uint8_t roomy_gcs;                  /* minor ones in a row: gc.c */
};

/*
 * `words` words for a term: at htop, else in a fragment of its own. Never
 * collects, never NULL (memory out ends the VM; sizes a program chose go
 * through heap_alloc_big). Words not used must be given back by heap_trim().
 */
#define heap_alloc(p, words) heap_alloc_in(p, words, __func__)
term *heap_alloc_in(struct proc *p, size_t words, const char *caller);
/* The same, but NULL if that much can't be had: the caller says system_limit. */
term *heap_alloc_big(struct proc *p, size_t words);
/* Give back what lies between end and the end of the latest allocation. */
void heap_trim(struct proc *p, term *end);

/*
 * `words` words at htop, or NULL after noting the need in p->need_words. For
 * guard BIFs and SLOW callees.
 */
term *heap_try(struct proc *p, size_t words);

/* Free words at htop that may be used now. */
static inline size_t heap_free_words(const struct heap *h)
{
    ptrdiff_t n = h->stop - h->htop - HEAP_RESERVE;

    return n > 0 ? (size_t)n : 0;
}

/*
 * A stand-alone fragment (messages, signals). heap_attach() makes its terms
 * the process's own; an mbuf that never gets attached is freed by mbuf_free,
 * which drops the references of its off-heap objects.
 */
#define mbuf_new(words) mbuf_new_in(words, __func__)    /* used = 0; never NULL */
struct mbuf *mbuf_new_in(size_t words, const char *caller);
struct mbuf *mbuf_try_new(size_t words);    /* or NULL */
void mbuf_free(struct mbuf *m);             /* and what follows it */
void heap_attach(struct proc *p, struct mbuf *m);
/* The fragment at a link of p->heap.mbuf stands alone again; nothing else refers to it. */
void heap_detach(struct proc *p, struct mbuf **at);

/* Where a term that is being copied or decoded goes. */
struct dest {
    term *htop;
    struct offheap *off;
};

/* Count a second object like this one. */
void offheap_share(term *obj);
/* Drop the reference of one off-heap object; of all in a list. */
void offheap_drop(term *obj);
void offheap_release(struct offheap *off);

int heap_init(struct heap *h, size_t min_words);    /* 0 or -ENOMEM */
void heap_fini(struct heap *h);                     /* drops references */

/* Collection, gc.h */
#endif
