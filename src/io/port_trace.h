/*
 * port_trace.h - what is told of a port: to its tracer (erlang:trace/3), to the
 * profiler of runnable ports, to the monitor of long schedules.
 *
 *     {trace, Port, 'receive', {From, {command, Data}} and the like}    TF_RECEIVE
 *     {trace, Port, send, Message, To}                                  TF_SEND
 *     {trace, Port, open, By, Name}, {trace, Port, closed, Reason}      TF_PORTS
 *     {trace, Port, in, Where}, {trace, Port, out, Where}               TF_RUNNING_PORTS
 *
 * All may be called for any port, and tell only what is asked for. Links and
 * names of ports are told where they are made: link.h, name.h.
 */
#ifndef IO_PORT_TRACE_H
#define IO_PORT_TRACE_H

#include "io/port.h"
#include "vm/msacc.h"

/* It is traced as new ports are. */
void port_trace_new(struct port *port);
void port_trace_free(struct port *port);

void port_trace_open(struct port *port);
void port_trace_closed(struct port *port, term reason);

/* {From, close}; a timeout is from nobody, THE_NON_VALUE, and has no {}. */
void port_trace_got(struct port *port, term from, term what);
/* {From, {What, Arg}} */
void port_trace_got_term(struct port *port, term from, term what, term arg);
/* {From, {What, Bytes}}, {From, {What, {Op, Bytes}}} */
void port_trace_got_bytes(struct port *port, term from, term what,
                          const uint8_t *data, size_t n);
void port_trace_got_op(struct port *port, term from, term what, uint32_t op,
                       const uint8_t *data, size_t n);

/* To a process that is there, or is not. */
void port_trace_sent(struct port *port, term to, term message);
/* {Port, {What, Bytes}}: an answer that a BIF returns. */
void port_trace_answered(struct port *port, term to, term what, const uint8_t *data, size_t n);

/*
 * The driver works: a process wants something of it (`what` is open, command, control,
 * call, connect, close), or it is told of something (input, output, timeout, undefined).
 * The port may be gone when it has worked.
 */
struct port_work {
    term port, what;
    bool asked;                 /* by a process */
    enum msacc_state was;
    uint64_t began_ns;          /* 0: nobody wants to know */
};
struct port_work port_asked(struct port *port, term what);
struct port_work port_told(struct port *port, term what);
void port_worked(const struct port_work *w);

#endif
