#include "vm/heaplimit.h"

#include "vm/atom.h"
#include "vm/log.h"
#include "vm/ops.h"
#include "vm/trace.h"

#include <errno.h>

void heap_facts(const struct proc *p, size_t fragments, struct heap_fact f[HEAP_FACTS])
{
    const struct heap *h = &p->heap;
    const struct heap_fact all[HEAP_FACTS] = {
        {am_old_heap_block_size, (size_t)(h->old_hend - h->old_heap)},
        {am_heap_block_size, (size_t)(h->hend - h->heap)},
        {am_mbuf_size, fragments},
        {am_recent_size, (size_t)(h->high_water - h->heap)},
        {am_stack_size, (size_t)(h->hend - h->stop)},
        {am_old_heap_size, (size_t)(h->old_htop - h->old_heap)},
        {am_heap_size, (size_t)(h->htop - h->heap)},
        {am_bin_vheap_size, h->off.vheap_words},
        {am_bin_vheap_block_size, h->bin_vheap_limit},
        {am_bin_old_vheap_size, h->old_off.vheap_words},
        {am_bin_old_vheap_block_size, h->bin_old_vheap_limit},
    };

    memcpy(f, all, sizeof all);
}

/* OTP's report. p's heap is in use by the collector: nothing is built on it. */
static void report(const struct proc *p, size_t words)
{
    struct heap_fact f[HEAP_FACTS];
    struct mbuf *m = mbuf_new(HEAP_FACTS * (CONS_WORDS + 3) + 7 * CONS_WORDS);
    term *hp = m->words, facts = TERM_NIL, args;

    heap_facts(p, p->heap.mbuf_words, f);
    for (size_t i = HEAP_FACTS; i-- > 0;) {
        term fact = put_tuple2(&hp, f[i].key, small_make((int64_t)f[i].value));

        facts = put_cons(&hp, fact, facts);
    }
    args = put_cons(&hp, facts, TERM_NIL);
    args = put_cons(&hp, small_make((int64_t)p->msgq.length), args);
    args = put_cons(&hp, am_true, args);
    args = put_cons(&hp, bool_make(p->flags & PF_MAX_HEAP_KILL), args);
    args = put_cons(&hp, small_make((int64_t)words), args);
    args = put_cons(&hp, small_make((int64_t)p->heap.max_words), args);
    args = put_cons(&hp, p->id, args);
    log_format(am_error, p->group_leader,
               "     Process:            ~p ~n"
               "     Context:            maximum heap size reached~n"
               "     Max Heap Size:      ~p~n"
               "     Total Heap Size:    ~p~n"
               "     Kill:               ~p~n"
               "     Error Logger:       ~p~n"
               "     Message Queue Len:  ~p~n"
               "     GC Info:            ~p~n", args);
    mbuf_free(m);
}

bool heap_limit_allows(struct proc *p, size_t words)
{
    /* Messages that wait are part of it, unless they are to be kept apart. */
    if (!(p->flags & PF_OFF_HEAP_MSGS))
        words += p->msgq.frag_words;
    if (!p->heap.max_words || words <= p->heap.max_words)
        return true;
    if (p->flags & PF_MAX_HEAP_LOG)
        report(p, words);
    if (p->trace & TF_GC)
        trace_gc_limit(p);
    return !(p->flags & PF_MAX_HEAP_KILL);
}

void heap_refused(struct proc *p, int err)
{
    const struct heap *h = &p->heap;
    size_t words = (size_t)(h->hend - h->heap) + (size_t)(h->old_hend - h->old_heap) +
                   h->mbuf_words;
    struct mbuf *m;
    term *hp, args;

    if (err != -ENOMEM)
        return;
    if (p->flags & PF_SYSTEM)
        vm_no_memory(words * sizeof(term), "a heap", __func__);
    m = mbuf_new(2 * CONS_WORDS);
    hp = m->words;
    args = put_cons(&hp, small_make((int64_t)words), TERM_NIL);
    args = put_cons(&hp, p->id, args);
    log_format(am_error, p->group_leader,
               "Process ~p killed: no memory to collect its heap of ~p words~n", args);
    mbuf_free(m);
}
