/*
 * flags.c - the VM's flags: erl's + flags. Each has its row: whether it takes
 * a value, and whether it means anything here. One that erl does not know is
 * refused by name.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "bif/info.h"
#include "io/io.h"
#include "op/code.h"
#include "os/linux/args.h"
#include "os/linux/linux.h"
#include "vm/atom.h"
#include "vm/gc.h"
#include "vm/proc.h"

enum use {
    EFFECT,         /* apply() knows it */
    IGNORED,        /* tuning of what ling does not have */
    REFUSED,        /* asks for what ling can't do */
};
enum value { NONE, NEXT, JOINED, MAYBE };   /* JOINED: "+fnu" */

static const struct flag {
    const char *name;
    enum value value;
    enum use use;
} flags[] = {
    {"+hms", NEXT, EFFECT},     {"+hmbs", NEXT, EFFECT},
    {"+hmaxel", NEXT, EFFECT},  {"+hmaxk", NEXT, EFFECT},
    {"+hmax", NEXT, EFFECT},    {"+hmqd", NEXT, EFFECT},
    {"+hpds", NEXT, IGNORED},   {"+h", NEXT, EFFECT},
    {"+fn", JOINED, EFFECT},    {"+pc", NEXT, EFFECT},
    {"+V", NONE, EFFECT},       {"+W", MAYBE, EFFECT},
    {"+B", MAYBE, EFFECT},
    {"+i", NEXT, REFUSED},      {"+l", NONE, IGNORED},
    {"+A", NEXT, IGNORED},      {"+a", NEXT, IGNORED},
    {"+C", NEXT, IGNORED},      {"+c", MAYBE, IGNORED},
    {"+d", JOINED, IGNORED},    {"+e", NEXT, IGNORED},
    {"+IOPp", NEXT, IGNORED},   {"+IOPt", NEXT, IGNORED},
    {"+IOp", NEXT, IGNORED},    {"+IOs", NEXT, IGNORED},
    {"+IOt", NEXT, IGNORED},
    {"+JIT", NEXT, EFFECT},     {"+JDdump", NEXT, IGNORED}, {"+JPperf", NEXT, EFFECT},
    {"+JDgdb", NEXT, EFFECT},
    {"+JMsingle", NEXT, IGNORED},
    {"+K", NEXT, IGNORED},      {"+L", NONE, IGNORED},
    {"+n", JOINED, IGNORED},
    {"+P", NEXT, EFFECT},      {"+Q", NEXT, IGNORED},
    {"+R", NEXT, IGNORED},      {"+rg", NEXT, IGNORED},
    {"+r", NONE, IGNORED},
    {"+SDPcpu", NEXT, IGNORED}, {"+SDcpu", NEXT, IGNORED},
    {"+SDio", NEXT, IGNORED},   {"+SP", NEXT, IGNORED},
    {"+S", NEXT, IGNORED},
    {"+sbtu", NONE, IGNORED},   {"+sbt", NEXT, IGNORED},
    {"+sbwtdcpu", NEXT, IGNORED}, {"+sbwtdio", NEXT, IGNORED},
    {"+sbwt", NEXT, IGNORED},   {"+scl", NEXT, IGNORED},
    {"+sct", NEXT, IGNORED},    {"+secio", NEXT, IGNORED},
    {"+sfwi", NEXT, IGNORED},   {"+spp", NEXT, IGNORED},
    {"+ssrct", NONE, IGNORED},  {"+sssdcpu", NEXT, IGNORED},
    {"+sssdio", NEXT, IGNORED}, {"+sss", NEXT, IGNORED},
    {"+stbt", NEXT, IGNORED},   {"+sub", NEXT, IGNORED},
    {"+swct", NEXT, IGNORED},   {"+sws", NEXT, IGNORED},
    {"+swtdcpu", NEXT, IGNORED}, {"+swtdio", NEXT, IGNORED},
    {"+swt", NEXT, IGNORED},
    {"+t", NEXT, IGNORED},      {"+T", NEXT, IGNORED},
    {"+v", JOINED, IGNORED},
    {"+zdbbl", NEXT, IGNORED},  {"+zdntgc", NEXT, IGNORED},
    {"+zebwt", NEXT, IGNORED},  {"+zosrl", NEXT, IGNORED},
    /* +M<allocator><parameter> <value> */
    {"+M", JOINED, IGNORED},
};

/* What erl takes behind a flag as well as in the next argument: "+S1", "+Ktrue". */
static bool is_joined_value(const char *s)
{
    return (*s >= '0' && *s <= '9') || strcmp(s, "true") == 0 || strcmp(s, "false") == 0;
}

static const struct flag *find(const char *s)
{
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const struct flag *f = &flags[i];
        size_t n = strlen(f->name);

        if (strncmp(s, f->name, n) != 0)
            continue;
        if (!s[n] || f->value == JOINED || f->value == MAYBE ||
            (f->value == NEXT && is_joined_value(s + n)))
            return f;
    }
    return NULL;
}

bool flag_has_value(const char *s, const char *next)
{
    const struct flag *f = find(s);
    size_t n = strlen(s);

    /* +c [true|false], +B [i|c|d], +W i or +Wi. */
    if (strcmp(s, "+c") == 0)
        return next && (strcmp(next, "true") == 0 || strcmp(next, "false") == 0);
    if (strcmp(s, "+B") == 0)
        return next && *next && !next[1] && strchr("icd", *next);
    if (strcmp(s, "+W") == 0)
        return true;
    /* +Mea min, +MBas gf ...: a letter or more, then what takes a value. */
    if (f && strcmp(f->name, "+M") == 0)
        return n > 3 || strcmp(s, "+Mea") == 0;
    return f && f->value == NEXT && !s[strlen(f->name)];
}

void flags_check(const struct args *e)
{
    for (int i = 0; i < e->n; i++) {
        const struct flag *f = find(e->v[i]);

        if (!f)
            args_fail("unknown flag %s (ling --help)", e->v[i]);
        if (f->use == REFUSED)
            args_fail("%s: not supported", e->v[i]);
        if (flag_has_value(e->v[i], e->v[i + 1]))
            i++;
    }
}

static size_t number(const char *flag, const char *s, size_t max)
{
    char *end;
    unsigned long long n;

    errno = 0;
    n = strtoull(s, &end, 10);
    if (errno || *end || end == s || *s == '-' || n > max)
        args_fail("%s %s: not a number from 0 to %zu", flag, s, max);
    return n;
}

static bool boolean(const char *flag, const char *s)
{
    if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0)
        args_fail("%s %s: neither true nor false", flag, s);
    return *s == 't';
}

static enum filename_encoding filename_of_locale(void)
{
    setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0 ? FILENAME_UTF8
                                                      : FILENAME_LATIN1;
}

/* +fn{u|l|a}[w|i|e] */
static void file_names(const char *flag)
{
    const char *s = flag + strlen("+fn");
    enum filename_encoding e = filename_of_locale();
    enum filename_warning w = FILENAME_WARN;

    if (*s == 'l')
        e = FILENAME_LATIN1;
    else if (*s == 'u')
        e = FILENAME_UTF8;
    else if (*s != 'a')
        args_fail("unknown flag %s (ling --help)", flag);
    if (*s)
        s++;
    if (*s == 'i')
        w = FILENAME_IGNORE;
    else if (*s == 'e')
        w = FILENAME_ERROR;
    else if (*s && *s != 'w')
        args_fail("unknown flag %s (ling --help)", flag);
    filename_init(e, w);
}

/* The flag at *i, its value if it has one of its own; *i moves to its last word. */
static const char *flag_at(const struct args *e, int *i, const char **value)
{
    const char *s = e->v[*i];
    const struct flag *f = find(s);

    if (flag_has_value(s, e->v[*i + 1]))
        *value = e->v[++*i];
    else if (f && f->value == NEXT) {
        *value = s + strlen(f->name);
        s = f->name;
    }
    return s;
}

void flags_before_boot(const struct args *e)
{
    for (int i = 0; i < e->n; i++) {
        const char *value = "", *s = flag_at(e, &i, &value);

        if (strcmp(s, "+JIT") == 0 && !boolean(s, value))
            code_interpret();
        if (strcmp(s, "+JPperf") == 0 && !jit_perf(value))
            args_fail("+JPperf %s: none of true, false, map, dump", value);
        if (strcmp(s, "+JDgdb") == 0 && boolean(s, value))
            jit_gdb();
    }
}

/* As OTP: a power of two. */
static void process_limit(const char *flag, const char *s)
{
    size_t n = number(flag, s, PROC_LIMIT_MAX), limit = 1024;

    if (n < limit)
        args_fail("%s %s: not a number from %zu to %zu", flag, s, limit, PROC_LIMIT_MAX);
    while (limit < n)
        limit *= 2;
    proc_set_limit(limit);
}

#define HEAP_MAX_WORDS ((size_t)1 << 59)

void flags_apply(const struct args *e)
{
    filename_init(filename_of_locale(), FILENAME_WARN);
    for (int i = 0; i < e->n; i++) {
        const char *value = "", *s = flag_at(e, &i, &value);

        if (strcmp(s, "+hms") == 0 || strcmp(s, "+h") == 0) {
            vm.info->min_heap_words = heap_size_step(number(s, value, HEAP_MAX_WORDS));
        } else if (strcmp(s, "+hmbs") == 0) {
            vm.info->min_bin_vheap_words = number(s, value, HEAP_MAX_WORDS);
        } else if (strcmp(s, "+hmax") == 0) {
            vm.info->max_heap_words = number(s, value, HEAP_MAX_WORDS);
        } else if (strcmp(s, "+hmaxk") == 0) {
            vm.info->max_heap_kill = boolean(s, value);
        } else if (strcmp(s, "+hmaxel") == 0) {
            vm.info->max_heap_log = boolean(s, value);
        } else if (strcmp(s, "+hmqd") == 0) {
            vm.info->off_heap_messages = strcmp(value, "off_heap") == 0;
            if (!vm.info->off_heap_messages && strcmp(value, "on_heap") != 0)
                args_fail("+hmqd %s: neither on_heap nor off_heap", value);
        } else if (strcmp(s, "+P") == 0) {
            process_limit(s, value);
        } else if (strncmp(s, "+B", 2) == 0) {
            os_linux_break(s[2] ? s[2] : *value ? *value : 'd');
        } else if (strncmp(s, "+fn", 3) == 0) {
            file_names(s);
        } else if (strcmp(s, "+pc") == 0) {
            if (strcmp(value, "unicode") == 0)
                io_set_printable_unicode(true);
            else if (strcmp(value, "latin1") != 0)
                args_fail("+pc %s: neither latin1 nor unicode", value);
        }
    }
}
