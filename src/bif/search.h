/*
 * search.h - find byte strings in bytes: one, or any of several.
 *
 * One is looked for with memmem. Several become an automaton (Aho-Corasick):
 * the search never goes back in the subject. Of several that match, the
 * leftmost counts, and of those the longest.
 */
#ifndef BIF_SEARCH_H
#define BIF_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct search_hit {
    size_t at, n;
};
/* Hits that do not overlap, in order. */
struct search_hits {
    struct search_hit *hit;     /* owned */
    size_t n, size;
};
void search_hits_fini(struct search_hits *h);

/* All but the strings added belongs to search.c. */
struct search {
    uint8_t *one;               /* the string, if there is only one */
    size_t one_size;
    struct search_node *nodes;  /* the automaton; [0] is the root */
    size_t count, size;
};
void search_init(struct search *s);
void search_fini(struct search *s);
/* Add a string of n > 0 bytes. False: out of memory. */
bool search_add(struct search *s, const uint8_t *bytes, size_t n);
/* When all are added and before anything is looked for. */
bool search_prepare(struct search *s);

/* Look in data[from, to). Only the first hit, or all. False: out of memory. */
bool search_run(const struct search *s, const uint8_t *data, size_t from,
                size_t to, bool all, struct search_hits *hits);

#endif
