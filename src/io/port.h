/*
 * port.h - ports: what open_port/2 makes, and drivers in C behind them.
 *
 * A driver is a struct of functions. The core keeps the table, the owner,
 * links, monitors, busy state, line splitting and the command protocol; a
 * driver sees bytes. What a process does to a port is done at once.
 *
 * A port ends by port_exit() (the driver's doing), port_close/1, {Pid, close}
 * or an exit signal. Its links and monitors fire then; the driver closes when
 * what it has queued is written out, unless it is killed. A driver that calls
 * port_exit() must not touch the port afterwards.
 */
#ifndef IO_PORT_H
#define IO_PORT_H

#include "vm/trace.h"

struct port;

/* The settings of open_port/2. A loan while `open` runs. */
enum port_kind { PORT_SPAWN, PORT_SPAWN_DRIVER, PORT_SPAWN_EXECUTABLE, PORT_FD, PORT_FILE };
struct port_opts {
    enum port_kind kind;
    const char *name;               /* command, driver, or "0/1" of {fd,0,1} */
    int in_fd, out_fd;              /* PORT_FD */
    unsigned packet;                /* bytes of length before data: 0, 1, 2, 4 */
    bool in, out;                   /* directions; one at least */
    bool use_stdio, stderr_to_stdout, exit_status;
    bool binary, eof, parallelism;
    size_t line;                    /* 0: none */
    const char *cd;                 /* NULL: as the VM's */
    char **args;                    /* NULL or: args[0] NULL or arg0, args, NULL */
    char **env;                     /* "NAME=value" and "NAME": unset; NULL ends */
    size_t high, low;               /* queued bytes: busy from, until */
};

#define PORT_OPEN_EINVAL (-4096)        /* no errno */
struct port_driver {
    const char *name;               /* as in open_port({spawn, Name}, _) */
    bool hidden;                    /* ... not there; nor in a list of drivers */
    bool leaving;                   /* takes no new ports */
    /*
     * 0, or negative errno: open_port fails so; -EINVAL is badarg, and
     * PORT_OPEN_EINVAL einval.
     */
    int (*open)(struct port *port, const struct port_opts *opts);
    /* The end: free state. Nothing of the driver is called afterwards. */
    void (*close)(struct port *port);
    /* Data for the port, flattened. A loan. NULL: badarg. */
    void (*output)(struct port *port, const uint8_t *data, size_t n);
    /* The same as it came, instead, if not NULL. A loan. False: no iolist, badarg. */
    bool (*output_term)(struct port *port, term data, size_t *n);
    /*
     * The port is being closed and may have to write what is queued first: stop
     * all else, or give the queue up. NULL: nothing to do.
     */
    void (*flush)(struct port *port);
    bool flush_to_halt;             /* ... and before the VM ends */
    /* Bytes accepted and not yet written; NULL: always 0. See port_drained. */
    size_t (*queued)(struct port *port);
    /* port_control/3; the result on p's heap, THE_NON_VALUE: badarg. */
    term (*control)(struct port *port, struct proc *p, uint32_t op,
                    const uint8_t *data, size_t n);
    /* port_call/3, may be NULL. THE_NON_VALUE: badarg. */
    term (*call)(struct port *port, struct proc *p, uint32_t op, term data);
    /* [{process, Pid}] of those it monitors, on p's heap; NULL: none. */
    term (*monitors)(struct port *port, struct proc *p);
    bool soft_busy;                 /* takes port_command(_, _, [force]) */
    struct port_driver *next;
};

struct port {
    term id;
    const struct port_driver *driver;
    void *state;                    /* the driver's */
    term owner;                     /* connected pid */
    term caller;                    /* while `output` runs: whose data it is */
    term name;                      /* registered, or NONE: name.c sets it */
    term data;                      /* port_set_data: immediate, or in data_mbuf */
    struct mbuf *data_mbuf;
    struct links *links;
    struct tracee trace;
    bool binary;                    /* deliver data as binaries */
    bool eof;                       /* say eof instead of closing */
    bool parallelism;               /* open_port's option: only kept */
    bool awaits_ack;                /* open_port waits for port_open_ack() */
    uint64_t ack[2];                /* ... for a message with this reference */
    bool busy;
    bool closing;                   /* not to be found any more */
    bool draining;                  /* ... and writes out what is queued: says no more */
    bool say_closed;                /* ... to the owner, at the end */
    char *spawn_name;
    int64_t os_pid;                 /* -1: none */
    uint64_t bytes_in, bytes_out;   /* input and output of port_info */
    size_t line_max;                /* {line, N}: 0: none */
    uint8_t *line;                  /* what waits for its end of line */
    size_t line_n;
    struct port *next;              /* bucket of the table */
    struct port *all_next, **all_prev;
    term *waiters;                  /* pids that wait for not busy */
    size_t nwaiters, waiters_size;
};

void port_init(void);
void port_driver_add(struct port_driver *d);
void port_driver_remove(struct port_driver *d);     /* no port is of it */

struct port_driver *port_driver_find(const char *name);
/* All there are, from the latest; NULL before the first, and at the end. */
struct port_driver *port_driver_next(const struct port_driver *after);

/* For open_port: a port in the table, NULL if it is full; and back out. */
struct port *port_new(struct proc *owner, const struct port_driver *d,
                      const struct port_opts *opts);
void port_abandon(struct port *port);

/* The open port of an id, or a registered name; NULL. Closing ones are not. */
struct port *port_find(term id);
/* The same of an id whose port may be closing, and writes out what is queued. */
struct port *port_find_any(term id);
size_t port_count(void);
/* All that are open, in that order: NULL before the first, and at the end. */
struct port *port_next(const struct port *after);
/* The number of the next port: set it to n or what is free after it, or ask only. */
uint32_t port_next_number(bool set, uint32_t n);

/* What processes do, for `!`, exit/2, and links. No such port: nothing. */
/* Data for a port, which takes it even when busy. False: no port, or no data. */
bool port_output(term id, term from, term data);
void port_signal(term port, term from, term message);
/* `!` of this message is to wait: the port is busy. port_wait(), then bif_wait(). */
bool port_holds_up(term port, term message);
void port_wait(struct proc *p, term port);
void port_exit_signal(term port, term from, term reason, bool from_link);

/* For drivers: {Port, {data, Bytes}} to the owner. */
void port_deliver(struct port *port, const void *data, size_t n);
/* The same behind bytes that are always a list. data NULL: [] is behind them. */
void port_deliver_head(struct port *port, const void *head, size_t head_n,
                       const void *data, size_t n);
/* {Port, Message}. message lies in frag (taken; NULL if immediate). */
void port_deliver_term(struct port *port, struct mbuf *frag, term message);
/* End of input: {Port, eof}, or the port ends with reason normal. */
void port_eof(struct port *port);
/*
 * A port whose `open` set awaits_ack is open now, or open_port/2 fails with this
 * reason (THE_NON_VALUE: it is open). The driver ends the port itself then.
 */
void port_open_ack(struct port *port, term reason);
/* The port ends by itself. */
void port_exit(struct port *port, term reason);
void port_exit_errno(struct port *port, int err);   /* reason: the posix atom */
/* The driver has written out what was queued. May end the port. */
void port_drained(struct port *port);
void port_set_busy(struct port *port, bool busy);

/* Process p is gone: run its proc_watches (io.h). PF_USING_PORTS says so. */
void port_proc_exit(struct proc *p);
/* Write out what is queued, waiting for it; before halt. */
void port_flush(void);

/*
 * A pair of descriptors behind a port, used by the fd and spawn drivers:
 * packets, queue of output, busy state.
 */
struct stream;
struct stream *stream_new(struct port *port, const struct port_opts *opts,
                          int in_fd, int out_fd);
void stream_output(struct stream *s, const uint8_t *data, size_t n);
size_t stream_queued(struct stream *s);
/* Input ended (0) or failed (negative errno): instead of ending the port. */
void stream_on_end(struct stream *s, void (*end)(struct port *port, int err));
/* All that was queued is written. */
void stream_on_drain(struct stream *s, void (*drained)(struct port *port));
void stream_free(struct stream *s);     /* leaves the descriptors open */

extern struct port_driver fd_driver, ttysl_driver, ram_file_driver;
extern struct port_driver tcp_inet_driver, udp_inet_driver;

#endif
