/*
 * info.h - what the VM can be asked about itself: system_info, statistics,
 * system_flag; and the state these need.
 */
#ifndef BIF_INFO_H
#define BIF_INFO_H

#include "vm/proc.h"

struct info_reported;

struct info {
    struct info_reported *reported;     /* biftab.c: unimplemented functions */

    int argc;                           /* the command line, for emu_args */
    char **argv;

    /* statistics/1 gives these since the last call. */
    uint64_t last_runtime_ms, last_wall_ms;
    uint64_t last_reductions, last_exact_reductions;
    uint64_t ended_reductions;          /* of processes that have ended: proc.c */
    uint64_t io_in_bytes, io_out_bytes; /* ports add to them */

    /* Scheduler wall time is measured while it is asked for. */
    bool wall_time;
    uint64_t wall_time_mono_ns;         /* at its start */

    /* system_flag/2: defaults for new processes, and the rest. */
    size_t min_heap_words, min_bin_vheap_words, max_heap_words;
    bool max_heap_kill, max_heap_log;
    bool off_heap_messages;
    uint32_t fullsweep_after;
    int64_t backtrace_depth;
    uint32_t outstanding_requests;
    uint32_t trace_control_word;
    term system_logger;                 /* pid, or the atom logger or undefined */
    struct blocker *blockers;           /* blocking.c */
    bool internal_state;                /* erts_debug:set_internal_state/2 */
    term *taints;                       /* atoms: see info_taint() */
    size_t ntaints;
};

/* Before the first process. */
void info_init(void);

/*
 * A BIF that OTP has not, or not as one: where others go on, what only programs
 * of ling call.
 */
struct export;
bool info_own_bif(const struct export *e);

/* system_info(taints): code that is not Erlang came from here, once or still. */
void info_taint(term name);

/* #{size, kill, error_logger} of new processes. */
term info_max_heap_size(struct proc *p);
/*
 * The same from what a program gave (process_flag, spawn_opt, system_flag): a
 * size in words, or a map. False if it is neither.
 */
bool info_max_heap_parse(term t, size_t *words, bool *kill, bool *log);

/* allocation.c: what erlang:memory/0 asks for. */
term info_allocators(struct proc *p);
term info_allocated_areas(struct proc *p);
term info_allocator_request(struct proc *p, term ref, term allocators);

#endif
