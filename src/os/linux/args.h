/*
 * args.h - bin/ling's command line, which is erl's: what is for the VM (+...),
 * what is for init, and where the Erlang/OTP it runs is installed.
 */
#ifndef OS_LINUX_ARGS_H
#define OS_LINUX_ARGS_H

#include <stdbool.h>
#include <stddef.h>

struct args {                   /* grows; ends in NULL */
    char **v;
    int n, size;
};

struct command_line {
    struct args init;           /* init's: -root Dir ... -- -home Dir -- ... */
    struct args emulator;       /* the VM's, + and all: "+S", "1" */
    char *root;                 /* of OTP */
    char *erts;                 /* "erts-13.1.5" */
    char *progname;
    bool version, detached, show, show_exit;
};

/*
 * Takes main's arguments, ERL_AFLAGS, ERL_FLAGS and ERL_ZFLAGS apart. Ends the
 * process with one line about what is wrong with them, or after --help.
 */
void args_parse(struct command_line *c, int argc, char **argv);

void args_add(struct args *a, const char *s);   /* a copy */
/* One line on stderr: ling: ...; exit status 1. */
_Noreturn void args_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The VM's flags: checked by args_parse, put to use here. */
void flags_check(const struct args *emulator);
/* Those that the VM must know before it makes anything. */
void flags_before_boot(const struct args *e);
void flags_apply(const struct args *emulator);  /* after boot_init() */
/* Does a flag ("+hms") take the next argument (or NULL) as its value? */
bool flag_has_value(const char *flag, const char *next);

#endif
