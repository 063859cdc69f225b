/*
 * blocking.c - multi-scheduling, blocked by processes that want to run alone.
 *
 * One scheduler is what blocking leaves, so nobody is stopped; only dirty work
 * is then done with nobody beside it (bif/dirty.c). Who asked is kept, as it is
 * told to all and ends with the process.
 */
#include "bif/blocking.h"

#include "bif/info.h"
#include "vm/atom.h"

enum { ALL, NORMAL, KINDS };    /* block, block_normal */

struct blocker {
    struct blocker *next;
    term pid;
    size_t n[KINDS];
};

/* The link to pid's entry, or to the NULL at the end. The dead are dropped. */
static struct blocker **find(term pid)
{
    struct blocker **at = &vm.info->blockers, *b;

    while ((b = *at) && b->pid != pid) {
        if (proc_find(b->pid)) {
            at = &b->next;
        } else {
            *at = b->next;
            vm_free(b);
        }
    }
    return at;
}

term blocking_state(void)
{
    term state = am_enabled;

    find(THE_NON_VALUE);
    for (const struct blocker *b = vm.info->blockers; b; b = b->next) {
        if (b->n[ALL] > 0)
            return am_blocked;
        state = am_blocked_normal;
    }
    return state;
}

static void block(term pid, int kind)
{
    struct blocker **at = find(pid), *b = *at;

    if (!b) {
        b = *at = vm_zalloc(ALLOC_SYSTEM, sizeof *b);
        b->pid = pid;
    }
    b->n[kind]++;
}

static void unblock(term pid, int kind)
{
    struct blocker **at = find(pid), *b = *at;

    if (!b || b->n[kind] == 0 || --b->n[kind] > 0 || b->n[!kind] > 0)
        return;
    *at = b->next;
    vm_free(b);
}

bool blocking_flag(struct proc *p, term value)
{
    switch (value) {
    case am_block: block(p->id, ALL); return true;
    case am_block_normal: block(p->id, NORMAL); return true;
    case am_unblock: unblock(p->id, ALL); return true;
    case am_unblock_normal: unblock(p->id, NORMAL); return true;
    default: return false;
    }
}
