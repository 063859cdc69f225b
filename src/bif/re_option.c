/*
 * re_option.c - options of re:compile and re:run.
 */
#include "bif/re.h"

#include <limits.h>

static const struct option {
    term name;
    int compile, exec;          /* PCRE's bits */
    unsigned flags;
} option_table[] = {
    {am_anchored, PCRE_ANCHORED, PCRE_ANCHORED, 0},
    {am_notempty, 0, PCRE_NOTEMPTY, OPT_EXEC},
    {am_notempty_atstart, 0, PCRE_NOTEMPTY_ATSTART, OPT_EXEC},
    {am_notbol, 0, PCRE_NOTBOL, OPT_EXEC},
    {am_noteol, 0, PCRE_NOTEOL, OPT_EXEC},
    {am_no_start_optimize, PCRE_NO_START_OPTIMIZE, 0, OPT_COMPILE},
    {am_caseless, PCRE_CASELESS, 0, OPT_COMPILE},
    {am_dollar_endonly, PCRE_DOLLAR_ENDONLY, 0, OPT_COMPILE},
    {am_dotall, PCRE_DOTALL, 0, OPT_COMPILE},
    {am_extended, PCRE_EXTENDED, 0, OPT_COMPILE},
    {am_firstline, PCRE_FIRSTLINE, 0, OPT_COMPILE},
    {am_multiline, PCRE_MULTILINE, 0, OPT_COMPILE},
    {am_no_auto_capture, PCRE_NO_AUTO_CAPTURE, 0, OPT_COMPILE},
    {am_dupnames, PCRE_DUPNAMES, 0, OPT_COMPILE},
    {am_ungreedy, PCRE_UNGREEDY, 0, OPT_COMPILE},
    {am_ucp, PCRE_UCP, 0, OPT_COMPILE},
    {am_never_utf, PCRE_NEVER_UTF, 0, OPT_COMPILE},
    {am_unicode, PCRE_UTF8, 0, OPT_COMPILE | OPT_UNICODE},
    {am_report_errors, 0, 0, OPT_EXEC | OPT_REPORT_ERRORS},
    {am_global, 0, 0, OPT_EXEC | OPT_GLOBAL},
    {am_bsr_anycrlf, PCRE_BSR_ANYCRLF, PCRE_BSR_ANYCRLF, 0},
    {am_bsr_unicode, PCRE_BSR_UNICODE, PCRE_BSR_UNICODE, 0},
};
/* The values of {newline, _}. */
static const struct option newline_table[] = {
    {am_cr, PCRE_NEWLINE_CR, PCRE_NEWLINE_CR, 0},
    {am_crlf, PCRE_NEWLINE_CRLF, PCRE_NEWLINE_CRLF, 0},
    {am_lf, PCRE_NEWLINE_LF, PCRE_NEWLINE_LF, 0},
    {am_anycrlf, PCRE_NEWLINE_ANYCRLF, PCRE_NEWLINE_ANYCRLF, 0},
    {am_any, PCRE_NEWLINE_ANY, PCRE_NEWLINE_ANY, 0},
};
#define TABLE_SIZE(t) (sizeof(t) / sizeof *(t))

static bool add_option(struct re_options *o, const struct option *table, size_t n,
                       term name)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].name == name) {
            o->compile |= table[i].compile;
            o->exec |= table[i].exec;
            o->flags |= table[i].flags;
            return true;
        }
    }
    return false;
}

bool re_int(term t, int *v)
{
    if (!term_is_small(t) || small_value(t) < 0 || small_value(t) > INT_MAX)
        return false;
    *v = (int)small_value(t);
    return true;
}

static bool add_tuple_option(struct re_options *o, term t)
{
    if (term_is_tuple_of(t, 3) && *tuple_at(t, 1) == am_capture) {
        o->capture = *tuple_at(t, 2);
        o->capture_type = *tuple_at(t, 3);
        o->flags |= OPT_CAPTURE | OPT_EXEC;
        return true;
    }
    if (!term_is_tuple_of(t, 2))
        return false;

    term value = *tuple_at(t, 2);
    switch (*tuple_at(t, 1)) {
    case am_capture:
        o->capture = value;
        o->capture_type = am_index;
        o->flags |= OPT_CAPTURE | OPT_EXEC;
        return true;
    case am_offset:
        o->flags |= OPT_EXEC;
        return re_int(value, &o->offset);
    case am_match_limit:
        o->flags |= OPT_EXEC | OPT_MATCH_LIMIT;
        return re_int(value, &o->match_limit);
    case am_match_limit_recursion:
        o->flags |= OPT_EXEC | OPT_MATCH_LIMIT_RECURSION;
        return re_int(value, &o->match_limit_recursion);
    case am_newline:
        return add_option(o, newline_table, TABLE_SIZE(newline_table), value);
    default:
        return false;
    }
}

bool re_options_parse(struct re_options *o, term list)
{
    *o = (struct re_options){.capture = TERM_NIL};
    for (; term_is_cons(list); list = cons_tail(list)) {
        term t = cons_head(list);

        if (term_is_tuple(t) ? !add_tuple_option(o, t)
                             : !add_option(o, option_table,
                                           TABLE_SIZE(option_table), t))
            return false;
    }
    return term_is_nil(list);
}

term re_bad_options(struct proc *p)
{
    return bif_error_cause(p, am_badarg, am_badopt);
}
