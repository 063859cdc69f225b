/*
 * log.h - what the VM itself has to report, by way of OTP's logger.
 *
 * A report is the message that OTP's emulator sends to the system logger:
 * {log, Level, Format, Args, Metadata}. While there is no such process the
 * text goes to the console, so nothing is lost.
 */
#ifndef VM_LOG_H
#define VM_LOG_H

#include "vm/term.h"

/*
 * level is am_error, am_warning or am_info; gl the group leader of whoever
 * this is about, or TERM_NIL. The text needs no newline.
 */
void log_text(term level, term gl, const char *s, size_t n);
/* format as of io:format, args a proper list, copied. */
void log_format(term level, term gl, const char *format, term args);

#endif
