/*
 * profile.c - see profile.h: stacks and their time, in a hash table.
 */
#include "vm/profile.h"

#include <stdlib.h>

#include "op/code.h"
#include "os/os.h"
#include "vm/atom.h"
#include "vm/exc.h"
#include "vm/module.h"

/* Different stacks; what comes later is counted as one, "(others)". */
#define STACKS_MAX (1u << 16)
/* Frames that are looked at: recursion makes many of one. */
#define WALK_MAX 1024

struct profile {
    uint64_t interval_ns;
    uint64_t slice_ns;          /* when this slice began */
    uint64_t pending_ns;        /* of slices since the last look */
    uint64_t random;
    uint64_t others_ns;
    struct profile_stack **table;       /* open addressing */
    size_t n, size;
};

static void forget(void)
{
    struct profile *o = vm.profile;

    for (size_t i = 0; o && i < o->size; i++)
        vm_free(o->table[i]);
    if (o)
        vm_free(o->table);
    vm_free(o);
    vm.profile = NULL;
}

void profile_start(uint64_t interval_ns)
{
    struct profile *o;

    forget();
    o = vm_zalloc(ALLOC_SYSTEM, sizeof *o);
    o->random = 0x9e3779b97f4a7c15;
    o->size = 256;
    o->table = vm_zalloc(ALLOC_SYSTEM, o->size * sizeof *o->table);
    o->interval_ns = interval_ns;
    o->slice_ns = os_mono_ns();
    vm.profile = o;
    vm.profiling = true;
}

void profile_stop(void) { vm.profiling = false; }

/* One slice after each look is shorter: enough to break step with a program. */
int32_t profile_slice(int32_t reds)
{
    vm.profile->slice_ns = os_mono_ns();
    if (vm.profile->pending_ns > 0)
        return reds;
    vm.profile->random ^= vm.profile->random << 13;
    vm.profile->random ^= vm.profile->random >> 7;
    vm.profile->random ^= vm.profile->random << 17;
    return reds - (int32_t)(vm.profile->random % (uint32_t)(reds / 2 + 1));
}

static uint64_t stack_hash(const struct profile_frame *f, size_t n)
{
    uint64_t h = n;

    for (size_t i = 0; i < n; i++)
        h = (h ^ f[i].m ^ f[i].f << 24 ^ f[i].arity) * 0x9e3779b97f4a7c15ull, h ^= h >> 29;
    return h;
}

static bool frames_equal(const struct profile_frame *a, const struct profile_frame *b,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i].m != b[i].m || a[i].f != b[i].f || a[i].arity != b[i].arity)
            return false;
    return true;
}

static struct profile_stack **slot_of(const struct profile_frame *f, uint32_t n)
{
    for (size_t i = stack_hash(f, n);; i++) {
        struct profile_stack **s = &vm.profile->table[i & (vm.profile->size - 1)];

        if (!*s || ((*s)->n == n && frames_equal((*s)->frame, f, n)))
            return s;
    }
}

static void grow(void)
{
    struct profile_stack **old = vm.profile->table;
    size_t old_size = vm.profile->size;

    vm.profile->size *= 2;
    vm.profile->table = vm_zalloc(ALLOC_SYSTEM, vm.profile->size * sizeof *vm.profile->table);
    for (size_t i = 0; i < old_size; i++)
        if (old[i])
            *slot_of(old[i]->frame, old[i]->n) = old[i];
    vm_free(old);
}

static void count(const struct profile_frame *f, uint32_t n, uint64_t ns)
{
    struct profile_stack **slot = slot_of(f, n);

    if (!*slot && vm.profile->n == STACKS_MAX) {
        vm.profile->others_ns += ns;
        return;
    }
    if (!*slot) {
        *slot = vm_zalloc(ALLOC_SYSTEM, sizeof **slot + n * sizeof *f);
        (*slot)->n = n;
        memcpy((*slot)->frame, f, n * sizeof *f);
        vm.profile->n++;
    }
    (*slot)->ns += ns;
    if (4 * vm.profile->n > 3 * vm.profile->size)
        grow();
}

/*
 * The functions of p's stack, outermost first; at least what p began with. What
 * calls itself is there once.
 */
static uint32_t frames_of(const struct proc *p, bool has_stack,
                          struct profile_frame out[PROFILE_DEPTH])
{
    code_ptr pcs[WALK_MAX];
    const struct export *bif = has_stack ? code_stub_export(p->pc) : NULL;
    uint32_t found = has_stack ? exc_frames(p, p->pc, pcs, WALK_MAX) : 0, n = 0;

    while (found-- > 0) {
        struct code *c = code_find(pcs[found]);
        const struct func *f = c ? code_func(c, pcs[found]) : NULL;

        if (!f || (n > 0 && out[n - 1].m == c->module && out[n - 1].f == f->f &&
                   out[n - 1].arity == f->arity))
            continue;
        if (n == PROFILE_DEPTH - 1) {   /* the outermost one goes */
            memmove(out, out + 1, (n - 1) * sizeof *out);
            n--;
        }
        out[n++] = (struct profile_frame){c->module, f->f, f->arity};
    }
    if (bif)
        out[n++] = (struct profile_frame){bif->m, bif->f, bif->arity};
    if (n == 0)
        out[n++] = (struct profile_frame){p->init_m, p->init_f, p->init_arity};
    return n;
}

void profile_look(const struct proc *p, bool has_stack)
{
    struct profile_frame frames[PROFILE_DEPTH];

    vm.profile->pending_ns += os_mono_ns() - vm.profile->slice_ns;
    if (vm.profile->pending_ns < vm.profile->interval_ns)
        return;
    count(frames, frames_of(p, has_stack, frames), vm.profile->pending_ns);
    vm.profile->pending_ns = 0;
}

static int atom_order(term a, term b)
{
    const struct atom *x = atom_get(a), *y = atom_get(b);
    size_t n = x->bytes < y->bytes ? x->bytes : y->bytes;
    int c = memcmp(x->name, y->name, n);

    return c ? c : (int)x->bytes - (int)y->bytes;
}

static int frame_order(const struct profile_frame *a, const struct profile_frame *b)
{
    int c = a->m == b->m ? 0 : atom_order(a->m, b->m);

    if (c == 0 && a->f != b->f)
        c = atom_order(a->f, b->f);
    return c ? c : (int)a->arity - (int)b->arity;
}

static int stack_order(const void *a, const void *b)
{
    const struct profile_stack *x = *(struct profile_stack *const *)a,
                               *y = *(struct profile_stack *const *)b;

    for (uint32_t i = 0; i < x->n && i < y->n; i++) {
        int c = frame_order(&x->frame[i], &y->frame[i]);

        if (c)
            return c;
    }
    return (int)x->n - (int)y->n;
}

struct profile_stack **profile_stacks(size_t *n)
{
    struct profile_stack **all;

    *n = 0;
    if (!vm.profile)
        return NULL;
    all = vm_alloc(ALLOC_SYSTEM, (vm.profile->n + 1) * sizeof *all);
    for (size_t i = 0; i < vm.profile->size; i++)
        if (vm.profile->table[i])
            all[(*n)++] = vm.profile->table[i];
    qsort(all, *n, sizeof *all, stack_order);
    return all;
}

void profile_name(struct text *t, const struct profile_frame *f)
{
    text_term(t, f->m, 0);
    text_add(t, ":", 1);
    text_term(t, f->f, 0);
    text_printf(t, "/%u", f->arity);
}

void profile_folded(struct text *t)
{
    size_t n;
    struct profile_stack **all = profile_stacks(&n);

    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < all[i]->n; k++) {
            size_t start = t->n;

            profile_name(t, &all[i]->frame[k]);
            /* What separates frames and counts must not be in a name. */
            for (size_t c = start; c < t->n; c++)
                if (t->s[c] == ';' || (uint8_t)t->s[c] <= ' ')
                    t->s[c] = '_';
            text_add(t, k + 1 < all[i]->n ? ";" : " ", 1);
        }
        text_printf(t, "%lu\n", (unsigned long)(all[i]->ns / 1000));
    }
    if (vm.profile && vm.profile->others_ns)
        text_printf(t, "(others) %lu\n", (unsigned long)(vm.profile->others_ns / 1000));
    vm_free(all);
}
