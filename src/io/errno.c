/*
 * errno.c - error numbers of the host as the atoms Erlang knows them by.
 */
#include <errno.h>

#include "io/io.h"
#include "vm/atom.h"

/* The names are OTP's (erts/emulator/beam/erl_posix_str.c). */
static const char *const names[] = {
    [EPERM] = "eperm",
    [ENOENT] = "enoent",
    [ESRCH] = "esrch",
    [EINTR] = "eintr",
    [EIO] = "eio",
    [ENXIO] = "enxio",
    [E2BIG] = "e2big",
    [ENOEXEC] = "enoexec",
    [EBADF] = "ebadf",
    [ECHILD] = "echild",
    [EAGAIN] = "eagain",
    [ENOMEM] = "enomem",
    [EACCES] = "eacces",
    [EFAULT] = "efault",
    [ENOTBLK] = "enotblk",
    [EBUSY] = "ebusy",
    [EEXIST] = "eexist",
    [EXDEV] = "exdev",
    [ENODEV] = "enodev",
    [ENOTDIR] = "enotdir",
    [EISDIR] = "eisdir",
    [EINVAL] = "einval",
    [ENFILE] = "enfile",
    [EMFILE] = "emfile",
    [ENOTTY] = "enotty",
    [ETXTBSY] = "etxtbsy",
    [EFBIG] = "efbig",
    [ENOSPC] = "enospc",
    [ESPIPE] = "espipe",
    [EROFS] = "erofs",
    [EMLINK] = "emlink",
    [EPIPE] = "epipe",
    [EDOM] = "edom",
    [ERANGE] = "erange",
    [EDEADLK] = "edeadlk",
    [ENAMETOOLONG] = "enametoolong",
    [ENOLCK] = "enolck",
    [ENOSYS] = "enosys",
    [ENOTEMPTY] = "enotempty",
    [ELOOP] = "eloop",
    [ENOMSG] = "enomsg",
    [EIDRM] = "eidrm",
    [ECHRNG] = "echrng",
    [EL2NSYNC] = "el2nsync",
    [EL3HLT] = "el3hlt",
    [EL3RST] = "el3rst",
    [ELNRNG] = "elnrng",
    [EUNATCH] = "eunatch",
    [ENOCSI] = "enocsi",
    [EL2HLT] = "el2hlt",
    [EBADE] = "ebade",
    [EBADR] = "ebadr",
    [EXFULL] = "exfull",
    [ENOANO] = "enoano",
    [EBADRQC] = "ebadrqc",
    [EBADSLT] = "ebadslt",
    [EBFONT] = "ebfont",
    [ENOSTR] = "enostr",
    [ENODATA] = "enodata",
    [ETIME] = "etime",
    [ENOSR] = "enosr",
    [ENONET] = "enonet",
    [ENOPKG] = "enopkg",
    [EREMOTE] = "eremote",
    [ENOLINK] = "enolink",
    [EADV] = "eadv",
    [ESRMNT] = "esrmnt",
    [ECOMM] = "ecomm",
    [EPROTO] = "eproto",
    [EMULTIHOP] = "emultihop",
    [EDOTDOT] = "edotdot",
    [EBADMSG] = "ebadmsg",
    [EOVERFLOW] = "eoverflow",
    [ENOTUNIQ] = "enotuniq",
    [EBADFD] = "ebadfd",
    [EREMCHG] = "eremchg",
    [ELIBACC] = "elibacc",
    [ELIBBAD] = "elibbad",
    [ELIBSCN] = "elibscn",
    [ELIBMAX] = "elibmax",
    [ELIBEXEC] = "elibexec",
    [EILSEQ] = "eilseq",
    [EUSERS] = "eusers",
    [ENOTSOCK] = "enotsock",
    [EDESTADDRREQ] = "edestaddrreq",
    [EMSGSIZE] = "emsgsize",
    [EPROTOTYPE] = "eprototype",
    [ENOPROTOOPT] = "enoprotoopt",
    [EPROTONOSUPPORT] = "eprotonosupport",
    [ESOCKTNOSUPPORT] = "esocktnosupport",
    [ENOTSUP] = "enotsup",
    [EPFNOSUPPORT] = "epfnosupport",
    [EAFNOSUPPORT] = "eafnosupport",
    [EADDRINUSE] = "eaddrinuse",
    [EADDRNOTAVAIL] = "eaddrnotavail",
    [ENETDOWN] = "enetdown",
    [ENETUNREACH] = "enetunreach",
    [ENETRESET] = "enetreset",
    [ECONNABORTED] = "econnaborted",
    [ECONNRESET] = "econnreset",
    [ENOBUFS] = "enobufs",
    [EISCONN] = "eisconn",
    [ENOTCONN] = "enotconn",
    [ESHUTDOWN] = "eshutdown",
    [ETOOMANYREFS] = "etoomanyrefs",
    [ETIMEDOUT] = "etimedout",
    [ECONNREFUSED] = "econnrefused",
    [EHOSTDOWN] = "ehostdown",
    [EHOSTUNREACH] = "ehostunreach",
    [EALREADY] = "ealready",
    [EINPROGRESS] = "einprogress",
    [ESTALE] = "estale",
    [EUCLEAN] = "euclean",
    [ENOTNAM] = "enotnam",
    [ENAVAIL] = "enavail",
    [EISNAM] = "eisnam",
    [EREMOTEIO] = "eremoteio",
    [EDQUOT] = "edquot",
};

const char *errno_name(int err)
{
    if (err < 0)
        err = -err;
    if ((size_t)err < sizeof names / sizeof *names && names[err])
        return names[err];
    return "unknown";
}

term errno_atom(int err)
{
    return atom_from_cstr(errno_name(err));
}

term io_error_atom(struct proc *p, term reason)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, am_error, reason);
}

term io_error(struct proc *p, int err)
{
    return io_error_atom(p, errno_atom(err));
}

term io_ok(struct proc *p, term value)
{
    term *hp = heap_alloc(p, 3);

    return put_tuple2(&hp, am_ok, value);
}

term io_magic(struct proc *p, struct resource *res)
{
    struct dest d = {heap_alloc(p, MAGIC_WORDS), &p->heap.off};

    return magic_put(&d, res);
}
