/* What OTP's own NIF sources want to know from its configure script. */
#define HAVE_SYS_UIO_H 1
