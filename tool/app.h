/*
 * app.h - applications: find them, read their .app files, order them.
 */
#ifndef TOOL_APP_H
#define TOOL_APP_H

#include "term.h"

struct app {
    char *name, *vsn;
    char *dir;              /* of ebin; its parent is the application's */
    bool otp;               /* of the OTP installation, not the user's */
    struct term *term;      /* {application, Name, Keys} */
    char **module;          /* from .app, sorted; every .beam exists */
    size_t modules;
    int state;              /* of the walk that orders them */
};

struct apps {
    struct app **app;       /* dependencies first; kernel and stdlib lead */
    size_t n;
    struct app **known;     /* all the user's, found in his directories */
    size_t knowns;
    char *otp_root;         /* has lib/ and erts-V or lib/erts-V */
    char *otp_lib;
};

/* ERL_ROOTDIR, else what is around the erl on the PATH. */
void apps_find_otp(struct apps *a);
/*
 * A directory the user names: ebin, an application, a rebar3 project or a
 * release. Its applications become known and wanted.
 */
void apps_add_directory(struct apps *a, const char *dir);
/* Add an application and what it depends on. */
void apps_want(struct apps *a, const char *name);
void apps_order(struct apps *a);        /* all known ones, and their needs */

#endif
