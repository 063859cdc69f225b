/*
 * os.c - the module os: environment, time, signals.
 */
#include <signal.h>
#include <stdio.h>

#include "bif/bif.h"
#include "io/io.h"
#include "os/os.h"
#include "vm/big.h"

/*
 * A variable's name or value: a list of characters, nothing else. NULL if it is
 * not. A name has no '='.
 */
static char *env_text(term t, bool name)
{
    size_t n;
    char *s = term_is_list(t) ? filename_bytes(t, &n) : NULL;

    if (s && name && strchr(s, '=')) {
        vm_free(s);
        return NULL;
    }
    return s;
}

BIF(os, getenv, 1)
{
    char *name = env_text(arg[0], true);
    const char *value;

    if (!name)
        return bif_badarg(p);
    value = os_getenv(name);
    vm_free(name);
    return value ? filename_chars(p, value, strlen(value)) : am_false;
}

BIF(os, putenv, 2)
{
    char *name = env_text(arg[0], true), *value = env_text(arg[1], false);
    bool ok = name && value;

    /* A variable without a name can be set, says OTP, but not be found. */
    if (ok && *name)
        ok = os_setenv(name, value) == 0;
    vm_free(name);
    vm_free(value);
    return ok ? am_true : bif_badarg(p);
}

BIF(os, unsetenv, 1)
{
    char *name = env_text(arg[0], true);

    if (!name)
        return bif_badarg(p);
    if (*name)
        os_setenv(name, NULL);
    vm_free(name);
    return am_true;
}

/* [{Name, Value}] */
BIF(os, env, 0)
{
    const char *const *env = os_environ();
    term list = TERM_NIL;

    for (; env && *env; env++) {
        const char *eq = strchr(*env, '=');
        term name, value, *hp;

        if (!eq)
            continue;
        name = filename_chars(p, *env, (size_t)(eq - *env));
        value = filename_chars(p, eq + 1, strlen(eq + 1));
        hp = heap_alloc(p, 3 + CONS_WORDS);
        value = put_tuple2(&hp, name, value);
        list = put_cons(&hp, value, list);
    }
    return list;
}

BIF(os, getpid, 0)
{
    char buf[24];
    int n = snprintf(buf, sizeof buf, "%llu", (unsigned long long)os_pid());

    return filename_chars(p, buf, (size_t)n);
}

/* In nanoseconds: erts_internal:perf_counter_unit/0 says so. */
BIF(os, perf_counter, 0)
{
    return uint64_make(p, os_mono_ns());
}

/* The signals that have a name here, as kernel's erl_signal_server knows them. */
static const struct {
    term name;
    int number;
} signals[] = {
    {am_sighup, SIGHUP},   {am_sigquit, SIGQUIT}, {am_sigabrt, SIGABRT},
    {am_sigalrm, SIGALRM}, {am_sigterm, SIGTERM}, {am_sigusr1, SIGUSR1},
    {am_sigusr2, SIGUSR2}, {am_sigchld, SIGCHLD}, {am_sigstop, SIGSTOP},
    {am_sigtstp, SIGTSTP},
};
#define SIGNALS (sizeof signals / sizeof *signals)

BIF(os, set_signal, 2)
{
    enum os_signal_action how;

    if (arg[1] == am_ignore)
        how = OS_SIGNAL_IGNORE;
    else if (arg[1] == am_default)
        how = OS_SIGNAL_DEFAULT;
    else if (arg[1] == am_handle)
        how = OS_SIGNAL_HANDLE;
    else
        return bif_error_cause(p, am_badarg, am_badopt);
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i].name != arg[0])
            continue;
        /* SIGSTOP can't be caught; OTP says ok to that. */
        os_set_signal(signals[i].number, how);
        return am_ok;
    }
    return bif_badarg(p);
}
