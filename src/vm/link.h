/*
 * link.h - what ties processes and ports together: links, monitors, aliases,
 * suspensions.
 *
 * Each process and port has a struct links, made when it is first needed. A
 * tie is one struct that both ends know, so either end can undo it without
 * looking for the other. Every set is a list in the order of making, for
 * walking, with a hash table beside it once it is long, for finding.
 *
 * Aliases, and monitors with an alias, are also in vm.aliases, by reference:
 * a send to the reference finds the process there.
 */
#ifndef VM_LINK_H
#define VM_LINK_H

#include "vm/proc.h"

/* A member of a set: first in the struct that is the member. */
struct snode {
    struct snode *next, **prev;     /* the list; prev NULL: in no set */
    struct snode *chain;            /* hash chain */
    uint64_t key[2];
};
struct set {
    struct snode *first, **last;
    struct snode **slot;            /* NULL while short */
    size_t n, mask;
};
void set_init(struct set *s);
void set_fini(struct set *s);       /* the table; it must be empty */
void set_add(struct set *s, struct snode *e, uint64_t key0, uint64_t key1);
void set_remove(struct set *s, struct snode *e);
struct snode *set_find(const struct set *s, uint64_t key0, uint64_t key1);

struct links {
    term id;                        /* whose: pid or port */
    struct set links;               /* struct link_half by other's id */
    struct set monitors;            /* struct monitor.origin by reference */
    struct set aliases;             /* struct alias.mine by reference */
    struct set suspends;            /* struct suspend.origin by suspended pid */
    struct snode *watchers;         /* struct monitor.target; list only */
    struct snode **watchers_last;
    struct snode *suspenders;       /* struct suspend.target; list only */
};

struct link_half {
    struct snode node;              /* key: the other's id */
    struct links *owner;
    struct link_half *peer;
    bool late;                      /* its owner is to die already: noproc */
};

struct alias;
struct monitor {
    struct snode origin;            /* in the monitoring end's set */
    struct snode target;            /* in the watchers; prev NULL: none */
    struct links *owner, *watched;
    term type;                      /* process, port or time_offset */
    term id;                        /* monitored pid, port, name or NONE */
    term name;                      /* by registered name; or NONE */
    term node;                      /* node of a name */
    struct mbuf *tag_frag;          /* {tag, Term} */
    term tag;                       /* 'DOWN' unless asked for otherwise */
    struct alias *alias;            /* or NULL */
    bool late;                      /* set after the exit signal: noproc */
};
static inline struct monitor *monitor_of_target(struct snode *t)
{
    return (struct monitor *)((char *)t - offsetof(struct monitor, target));
}

enum alias_how { ALIAS_NONE, ALIAS_EXPLICIT, ALIAS_DEMONITOR, ALIAS_ONCE };
struct alias {
    struct snode all;               /* in vm.aliases */
    struct snode mine;              /* in the owner's set */
    struct proc *p;
    struct monitor *monitor;        /* or NULL */
    enum alias_how how;
};

struct suspend {
    struct snode origin;            /* key: suspended pid */
    struct snode target;
    struct links *owner;
    struct proc *suspended;
    uint32_t count;
};

void link_init(void);
/* Tell the tracer of one end, a pid or port, what the other end did. */
void trace_tie(term of, term what, term other);

/* The links of a pid or port; made if create. NULL if it is gone. */
struct links *links_of(term id, bool create);

/* [monitor_option()] as monitor/3 takes it. False: badopt. */
struct monitor_opts {
    enum alias_how alias;
    term tag;                       /* THE_NON_VALUE: 'DOWN' */
};
bool monitor_opts_parse(term list, struct monitor_opts *o);

/*
 * p monitors; ref is a new reference's numbers. type process or port, id what
 * is monitored or NONE, name if by name. What is gone answers noproc at once.
 */
void monitor_add(struct proc *p, const uint64_t ref[2], term type, term id,
                 term name, const struct monitor_opts *o);
/* The same for what lives on another node: noconnection at once. */
void monitor_add_remote(struct proc *p, const uint64_t ref[2], term target,
                        term name, term node, term reason,
                        const struct monitor_opts *o);
enum demonitor { DEMONITOR_NONE, DEMONITOR_DONE, DEMONITOR_TIME };
enum demonitor monitor_remove(struct proc *p, const uint64_t ref[2]);

void alias_add(struct proc *p, const uint64_t ref[2], enum alias_how how,
               struct monitor *m);
bool alias_remove(struct proc *p, const uint64_t ref[2]);
/* The process that a send to this reference is for; NULL. Spends a reply alias. */
struct proc *alias_take(const uint64_t ref[2]);

/*
 * What OTP's tests look at: [{erl_link, Type, Pid, linked, Id}] and
 * [{erl_monitor, Type, origin | target, Ref, Pid, Name}]. heap_alloc.
 */
term links_records(struct proc *p, term id);
term monitors_records(struct proc *p, term id);

/* Suspend counts. */
struct suspend *suspend_find(struct proc *by, term pid);
void suspend_add(struct proc *by, struct proc *p);
bool suspend_drop(struct proc *by, term pid);
void proc_suspend(struct proc *p);      /* count + 1 */
void proc_resume(struct proc *p);       /* count - 1 */

/*
 * A slice of undoing everything of p's, exit signals and DOWN messages sent.
 * True when nothing is left.
 */
bool links_exit(struct links *l, term id, term name, term reason, int32_t *reds);

#endif
