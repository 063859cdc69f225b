/*
 * vm.h - the root of everything the VM knows.
 *
 * There is one struct vm, called vm. Whatever outlives a function call hangs
 * off it, each part in a struct that the part's own header defines, so that an
 * image or a snapshot is memory plus a few registers.
 *
 * Allocation: vm_alloc() never returns NULL. When memory is out it ends the VM
 * with one line that names size and kind. Use it for what is small and what
 * the VM can't do without; use vm_try_alloc() for sizes a program chose, and
 * turn NULL into system_limit.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include "vm/term.h"

/* What memory is for, as erlang:memory/0 sorts it. */
enum alloc_kind {
    ALLOC_PROC,         /* heaps, fragments, process structs */
    ALLOC_BINARY,
    ALLOC_CODE,
    ALLOC_ATOM,
    ALLOC_ETS,
    ALLOC_SYSTEM,
    ALLOC_KINDS,
};

/*
 * Without memory the VM ends in one line naming size, kind and caller. The try_
 * forms say NULL instead for a large block (a block to resize is then as before):
 * who asked for it gets system_limit, or dies. Where not even vm.try_least bytes
 * are left, nobody can go on.
 */
#define vm_alloc(kind, bytes) vm_alloc_in(kind, bytes, __func__)
#define vm_zalloc(kind, bytes) vm_zalloc_in(kind, bytes, __func__)  /* zeroed */
#define vm_realloc(p, bytes) vm_realloc_in(p, bytes, __func__)
#define vm_try_alloc(kind, bytes) vm_try_alloc_in(kind, bytes, __func__)
#define vm_try_zalloc(kind, bytes) vm_try_zalloc_in(kind, bytes, __func__)
#define vm_try_realloc(p, bytes) vm_try_realloc_in(p, bytes, __func__)
void *vm_alloc_in(enum alloc_kind kind, size_t bytes, const char *caller);
void *vm_zalloc_in(enum alloc_kind kind, size_t bytes, const char *caller);
void *vm_realloc_in(void *p, size_t bytes, const char *caller);
void *vm_try_alloc_in(enum alloc_kind kind, size_t bytes, const char *caller);
void *vm_try_zalloc_in(enum alloc_kind kind, size_t bytes, const char *caller);
void *vm_try_realloc_in(void *p, size_t bytes, const char *caller);
void vm_free(void *p);                                  /* NULL is fine */
size_t vm_block_bytes(const void *p);                   /* as it was asked for */
size_t vm_allocated(enum alloc_kind kind);              /* bytes */

/* End the VM: a broken promise of ours (134). One line, then a crash report. */
_Noreturn void vm_bug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* End the VM: no memory for `bytes` more. One line. */
_Noreturn void vm_no_memory(size_t bytes, const char *what, const char *caller);
/* End the VM: the world can't give what is needed (status). One line. */
_Noreturn void vm_fatal(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

enum { EXIT_NO_MEMORY = 137, EXIT_BUG = 134 };

struct sched;

struct vm {
    struct sched *sched;

    struct atom_table *atoms;           /* atom.h */
    struct export_table *exports;       /* module.h */
    struct module_table *modules;       /* module.h */
    struct kept_frame *kept_frames;     /* module.h */
    struct fun_table *funs;             /* module.h */
    struct catch_table *catches;        /* module.h */
    struct purge *purge;                /* purge.h */
    struct proc_table *procs;           /* proc.h */
    struct set *aliases;                /* link.h */
    struct set *btimers;                /* btimer.h */
    struct name_table *names;           /* proc.h: register/2 */
    struct timer_table *timers;         /* timer.h */
    struct clock *clock;                /* clock.h */
    struct node_table *nodes;           /* node.h */
    struct magics *magics;              /* magic.c */
    struct ets *ets;                    /* ets.h */
    struct persistent *persistent;      /* persistent_term */
    struct trace *trace;                /* trace.h */
    struct sysmon *sysmon;              /* sysmon.h */
    struct breaks *breaks;              /* op/break.h */
    struct port_table *ports;           /* io/port.h */
    struct nif_state *nifs;             /* io/nif.h */
    struct info *info;                  /* bif/info.c: flags, arguments */

    /* The literal range: modules' literals and persistent_term. */
    uintptr_t literal_base, literal_end;
    struct literal_space *literals;     /* literal.h */
    uintptr_t leaving_base, leaving_end;    /* around what leaves: leaving.h */

    uint64_t ref_serial;                /* make_ref */
    uint64_t unique_monotonic, unique[2];   /* counts: unique.h */
    uint64_t start_mono_ns;
    uint64_t seed[4];                   /* from os_entropy at start and resume */
    uintptr_t pc_mask;                  /* hides code addresses in terms: exc.c */
    uint32_t creation;                  /* of the node this becomes; not 0 */
    struct renew *renew;                /* renew.h: who wants to know */
    struct profile *profile;            /* profile.h */
    bool profiling;
    struct msacc *msacc;                /* msacc.h; NULL: never was on */
    bool accounting;                    /* ... is on */
    size_t allocated[ALLOC_KINDS];
    struct {
        uint64_t collections, words_reclaimed;
    } gc;                               /* statistics(garbage_collection) */

    /* Hostile builds (make stress). */
    bool stress_gc;                     /* collect at every reserve */
    int32_t slice_reds;                 /* reductions per slice: 4000, or 1 */
    uint64_t fail_alloc_at;             /* count down to a failing allocation */
    size_t try_least;                   /* vm_try_alloc: 1 MiB */
};

extern struct vm vm;

/*
 * Before anything else: give bugs their chance. what names how, as LING_STRESS
 * in the environment does: "gc", every heap test collects and tables start with
 * two slots; "reds", slices of one reduction; "fail=N", the Nth allocation
 * fails. NULL: not at all.
 */
void vm_stress(const char *what);

static inline bool term_is_literal(term t)
{
    return t - vm.literal_base < vm.literal_end - vm.literal_base;
}

bool leaving_has(term t);               /* between those: is it in an area that leaves? */

/* A literal that a copy may go on referring to: not of an area that leaves. */
static inline bool term_stays(term t)
{
    return term_is_literal(t) &&
           (likely(t - vm.leaving_base >= vm.leaving_end - vm.leaving_base) ||
            !leaving_has(t));
}

#endif
