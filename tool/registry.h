/*
 * registry.h - the running instances of a user: a directory of sockets.
 *
 * There is no daemon. Who starts an instance with a name or in the background
 * leaves a keeper behind, a process that waits for its end and listens on
 * NAME.sock meanwhile; NAME.log beside it is the console of one in the
 * background, kept until the name is used again. A socket nobody listens on is
 * that of a keeper that was killed, and is removed by whoever finds it.
 *
 * A request is a line, the answer too: "status" is answered by "PID MODE SECONDS
 * IMAGE"; "stop" and "kill" by the exit status, once it has ended.
 */
#ifndef TOOL_REGISTRY_H
#define TOOL_REGISTRY_H

#include "kindling.h"

char *registry_name(const char *image);         /* for one that was given none */
void registry_check_name(const char *name);     /* or the end of the program */
char *registry_path(const char *name, const char *kind);        /* DIRECTORY/name.kind */

/*
 * Become the keeper of an instance that exec_tender(ctx) starts in a child; then
 * let_go(ctx) closes what is the tender's alone: it is free again before anybody is
 * told that the tender ended. With detach, the calling process prints the name and
 * ends, the instance is in the background. Returns the instance's exit status.
 */
int registry_run(const char *name, const char *image, const char *mode, bool detach,
                 void (*exec_tender)(void *ctx), void (*let_go)(void *ctx), void *ctx);

#endif
