/*
 * io.h - what the natives of src/io share: posix errors as atoms, results of
 * the shape {ok,T} and {error,R}, file names, and watching a process's end.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "vm/binary.h"
#include "vm/proc.h"

/* "enoent" for ENOENT (positive); "unknown" for what OTP has no name for. */
const char *errno_name(int err);
term errno_atom(int err);

/* On p's heap. err is positive or negative. */
term io_error(struct proc *p, int err);         /* {error, Posix} */
term io_error_atom(struct proc *p, term reason);
term io_ok(struct proc *p, term value);         /* {ok, Value} */
/* Takes one reference of res. */
term io_magic(struct proc *p, struct resource *res);

/*
 * Characters (of an iolist of them, or an atom) as bytes in the encoding of
 * file names, NUL added, no NUL within. vm_alloc'ed; NULL if they are not.
 * *n: bytes without the NUL.
 */
char *filename_bytes(term chars, size_t *n);
/* Raw bytes (a binary) or characters, NUL-terminated; NULL if it is neither. */
char *native_bytes(term t);
/* Bytes as the list of characters they encode (bytes if not valid UTF-8). */
term filename_chars(struct proc *p, const char *s, size_t n);

enum filename_encoding { FILENAME_UTF8, FILENAME_LATIN1 };
enum filename_warning { FILENAME_WARN, FILENAME_IGNORE, FILENAME_ERROR };
/* +fnu, +fnl, +fna and their w, i, e. */
void io_set_printable_unicode(bool on);     /* +pc */
void filename_init(enum filename_encoding e, enum filename_warning w);

/* Messages that threads of NIFs sent; the scheduler takes them between slices. */
void nif_init(void);
void nif_deliver(void);
/*
 * Any thread: have the scheduler call f(arg) between slices, in the order of
 * asking; before the next one if it is the scheduler that asks.
 */
void nif_call_later(void (*f)(void *arg), void *arg);
/* The code that a library (struct code's nif_library) was loaded for is gone. */
void nif_unload(void *library);
/* A function of a module's library, NULL if there is none; a loan. */
struct nif_func;
const struct nif_func *nif_function(term module, const char *name, unsigned arity);
/*
 * Call it for the VM itself: no process, and what it builds is gone afterwards.
 * The result, if it is immediate; else THE_NON_VALUE.
 */
term nif_call_detached(const struct nif_func *f, const term *argv);

/*
 * Something that must know when a process is gone: open files, NIF monitors,
 * ports. fire runs once, late in the exit, unlinked; it may free w.
 */
struct proc_watch {
    struct proc_watch *next, **prev;    /* prev NULL: not watching */
    void (*fire)(struct proc_watch *w, struct proc *p);
    term by;                            /* a port that monitors p so, or 0 */
    struct resource *resource;          /* a NIF's that monitors p so, or NULL; no reference */
};
/* The ports and resources that watch p, before `list`. heap_alloc of `of`. */
term proc_watch_by(struct proc *of, const struct proc *p, term list);
void proc_watch(struct proc *p, struct proc_watch *w);
void proc_unwatch(struct proc_watch *w);    /* harmless when not watching */

#endif
