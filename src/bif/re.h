/*
 * re.h - what the files of the BIFs of re share: options, compiled patterns,
 * captures.
 */
#ifndef BIF_RE_H
#define BIF_RE_H

#include "bif/bif.h"
#include "bif/build.h"

#include "pcre.h"

#define LOOPS_PER_RED 10        /* OTP's */

/* Options (re_option.c) */

enum re_option_flags {
    OPT_COMPILE = 1,            /* only compile takes such an option */
    OPT_EXEC = 2,               /* only run */
    OPT_UNICODE = 4,
    OPT_CAPTURE = 8,
    OPT_GLOBAL = 16,
    OPT_REPORT_ERRORS = 32,
    OPT_MATCH_LIMIT = 64,
    OPT_MATCH_LIMIT_RECURSION = 128,
};

struct re_options {
    int compile, exec;          /* PCRE's bits */
    unsigned flags;             /* enum re_option_flags */
    int offset, match_limit, match_limit_recursion;
    term capture, capture_type;
};

/* False: there is one that re does not know, or it is no list. */
bool re_options_parse(struct re_options *o, term list);
/* Raise badarg, badopt being its cause. */
term re_bad_options(struct proc *p);
/* A small integer from 0 to INT_MAX. */
bool re_int(term t, int *v);

/* Compiled patterns (re_compile.c) */

struct re_compiled {
    pcre *code;                 /* the caller's; NULL: what follows says why */
    int error, offset;
    const char *message;
};
/*
 * Compile an iolist. 0, or -EINVAL: not one, or -ENOMEM. A pattern that is
 * wrong is no failure.
 */
int re_compile(struct proc *p, term pattern, int options, struct re_compiled *c);
/* Raise what such a failure is. */
term re_compile_failed(struct proc *p, int err);
/* {error, {Message, Offset}}, or {error, {tag, {Message, Offset}}}. */
term re_compile_error(struct proc *p, const struct re_compiled *c, term tag);
/* {re_pattern, Groups, Unicode, UseCrlf, Code}; takes code. THE_NON_VALUE: system_limit. */
term re_pattern_make(struct proc *p, pcre *code, bool unicode);
/* A tuple that says it is a compiled pattern. */
bool re_is_pattern(term t);
/* Is the code as large as it says it is? */
bool re_code_is_whole(const void *code, size_t size);
/* Before any call: PCRE keeps what it needs of us in variables of its own. */
void re_use_pcre(void);
term re_bytes_to_list(struct proc *p, const char *s, size_t n);

/* Captures: which, and as what (re_capture.c) */

/*
 * what[0..n) are the groups wanted, in order. A group that does not exist is
 * -1. A name that several groups have is -k followed by these k groups, of
 * which the first that took part counts.
 */
struct re_captures {
    enum { CAP_INDEX, CAP_LIST, CAP_BINARY, CAP_NONE } type;
    enum { CAP_ALL, CAP_ALL_BUT_FIRST, CAP_THESE } which;
    int *what;
    size_t n, size;
};
/* What o asks of code. False: it makes no sense. The caller frees c->what either way. */
bool re_captures_parse(struct re_captures *c, const pcre *code, const struct re_options *o);

#endif
