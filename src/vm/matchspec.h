/*
 * matchspec.h - match specifications: compiled once, run on many terms.
 *
 * A specification is a list of {Head, Guards, Body}. The first clause whose
 * head matches and whose guards are all true gives the value of its body. The
 * table flavour is that of ets, the trace flavour that of
 * erlang:match_spec_test/3 (its subject is an argument list).
 *
 * A compiled one is a resource; Erlang holds it by a magic reference.
 *
 *     struct ms_run run;
 *     ms_run_init(&run, ms, p);
 *     if (ms_match(&run, tuple, tuple, &value))
 *         list = cons(term_copy_to(p, value), list);
 *     ms_run_fini(&run);
 *
 * A run's values lie in the subject, in the program and in scratch memory of
 * the run: each lasts until the next ms_match.
 */
#ifndef VM_MATCHSPEC_H
#define VM_MATCHSPEC_H

#include "vm/binary.h"
#include "vm/proc.h"

enum ms_flavor {
    MS_TABLE,
    MS_TRACE,       /* of calls */
    MS_SEND,        /* of sends: no caller to be asked for */
    MS_RECEIVE,     /* of messages that arrive: nothing that changes a process */
    MS_TEST,        /* match_spec_test/3, as of calls: some actions only pretend */
};

struct ms {
    struct resource res;
    enum ms_flavor flavor;
    bool trace;             /* all but MS_TABLE */
    term *block;            /* the specification, copied: constants */
    struct offheap off;
    term spec;
    term *heads;            /* of each clause */
    size_t nclauses;
    size_t *start;          /* of each clause, in code */
    term *vars;             /* '$N' found in heads, by N */
    size_t nvars;
    term *code;
    size_t ncode, code_size;
    size_t stack_need;      /* words, the most any clause needs */
};

/* Errors of a compilation, as match_spec_test reports them. */
struct ms_error {
    struct ms_error *next;
    size_t n;
    char text[];
};
struct ms_errors {
    struct ms_error *first, **last;
};
void ms_errors_init(struct ms_errors *e);
void ms_errors_fini(struct ms_errors *e);
/* [{error, String}]. heap_alloc. */
term ms_errors_list(struct proc *p, const struct ms_errors *e);

/*
 * NULL if spec is not one. errors may be NULL: then the first one ends the
 * compilation. The result has one reference.
 */
struct ms *ms_compile(term spec, enum ms_flavor flavor, struct ms_errors *errors);
/* A reference for Erlang; keeps the program alive. */
term ms_ref(struct proc *p, struct ms *ms);
/* What ms_ref made; NULL if t is something else. A loan. */
struct ms *ms_of_ref(term t);

enum { MS_RETURN_TRACE = 1, MS_EXCEPTION_TRACE = 2 };

struct ms_chunk;
#define MS_LOCAL 64
struct ms_run {
    struct proc *p;
    const struct ms *ms;
    term *vars, *stack;         /* vars, then the stack; local or allocated */
    struct heap heap;           /* scratch, in the shape guard BIFs want */
    struct ms_chunk *chunk;     /* the newest first; NULL: scratch is local */
    uint32_t flags;             /* trace: what the body asked for */
    code_ptr caller;            /* trace: where the call returns to, or NULL */
    term local[MS_LOCAL];
    term scratch[MS_LOCAL];
};
void ms_run_init(struct ms_run *r, const struct ms *ms, struct proc *p);
void ms_run_fini(struct ms_run *r);
/*
 * Does subject match? whole is what '$_' stands for. In the trace flavour
 * subject is a tuple of the arguments and the value is what {message,_} said,
 * or true.
 */
bool ms_match(struct ms_run *r, term subject, term whole, term *value);

/*
 * What guards and bodies of the trace flavour can ask for and do: THE_NON_VALUE
 * if it fails (matchspec_trace.c).
 */
enum ms_action {
    MS_IS_SEQ_TRACE, MS_GET_SEQ_TOKEN, MS_SET_SEQ_TOKEN, MS_PROCESS_DUMP,
    MS_ENABLE_TRACE, MS_DISABLE_TRACE, MS_CHANGE_TRACE, MS_CALLER, MS_CALLER_LINE,
    MS_SILENT, MS_GET_TCW, MS_SET_TCW,
};
term ms_act(struct ms_run *r, enum ms_action what, const term *args, size_t n);
/* Room for a value of the run. */
term *ms_scratch(struct ms_run *r, size_t words);

/* '$N' for some N. */
bool ms_is_variable(term t);
bool ms_has_variable(term t);       /* one of those or '_' anywhere in t */
/*
 * A key against a pattern, in term order, up to the pattern's first variable:
 * <0 if key lies above all keys that could match, >0 if below, 0 if it may.
 */
int ms_compare_key(term pattern, term key);
/* Does every object a clause's body makes have the key its head matched? */
bool ms_keeps_key(term clause, size_t keypos);

#endif
