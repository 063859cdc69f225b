/*
 * erl_tracer.c - the NIFs of OTP's own tracer module.
 */
#include "bif/bif.h"
#include "io/port.h"

/* May this be traced? trace, discard, or remove: the tracer is gone. */
NIF(erl_tracer, enabled, 3)
{
    term status = arg[0], tracer = arg[1];
    bool alive = term_is_local_pid(tracer)    ? proc_find(tracer) != NULL
                 : term_is_local_port(tracer) ? port_find(tracer) != NULL
                                              : false;

    if (!alive)
        return status == am_trace_status ? am_remove : am_discard;
    /* A tracer does not trace itself. */
    return tracer == arg[2] ? am_discard : am_trace;
}

NIF(erl_tracer, trace, 5)
{
    return bif_unimplemented(p, "erl_tracer:trace/5");
}
