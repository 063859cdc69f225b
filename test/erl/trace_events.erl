%% What is told of processes: messages, starts and ends, links, names, slices,
%% collections; sequential tracing; system_monitor and system_profile.
-module(trace_events).
-export([main/0, child/1]).
-include("test.hrl").

main() ->
    messages(), event_patterns(), procs(), names(), set_on(), running(), collections(),
    stamps(), new_processes(), tokens(), exits(), large_heaps(), heap_limit(), profiled(),
    late().

child(F) -> F().

%% A process that does what it is sent, traced with Flags.
traced(Flags) ->
    P = spawn(fun F() -> receive {do, G, To} -> To ! {done, catch G()}, F(); stop -> ok end end),
    1 = erlang:trace(P, true, Flags),
    P.

run(P, G) ->
    P ! {do, G, self()},
    receive {done, R} -> R end.

told(P) ->
    R = erlang:trace_delivered(P),
    receive {trace_delivered, P, R} -> ok end,
    collect(P).

collect(P) ->
    receive
        {trace, P, A} -> [{A} | collect(P)];
        {trace, P, A, B} -> [{A, B} | collect(P)];
        {trace, P, A, B, C} -> [{A, B, C} | collect(P)]
    after 0 -> []
    end.

stop(P) ->
    erlang:trace(P, false, [all]),
    exit(P, kill).

messages() ->
    Me = self(),
    P = traced([send, 'receive']),
    Dead = spawn(fun() -> ok end),
    R = monitor(process, Dead), receive {'DOWN', R, _, _, _} -> ok end,
    register(trace_events_me, Me),
    run(P, fun() -> Me ! {big, lists:seq(1, 100)}, trace_events_me ! named, Dead ! lost, catch nobody_here ! x, ok end),
    unregister(trace_events_me),
    ?matches([{'receive', {do, _, Me}}, {send, {big, _}, Me}, {send, named, trace_events_me},
              {send_to_non_existing_process, lost, Dead}, {send, x, nobody_here},
              {send, {done, ok}, Me}], told(P)),
    receive {big, _} -> ok end, receive named -> ok end,
    stop(P).

event_patterns() ->
    Me = self(),
    P = traced([send, 'receive']),
    ?is({match_spec, true}, erlang:trace_info(send, match_spec)),
    ?is(1, erlang:trace_pattern(send, [{['_', {done, '_'}], [], [{message, got}]}], [])),
    ?is(1, erlang:trace_pattern('receive', false, [])),
    run(P, fun() -> ok end),
    ?matches([{send, {done, ok}, Me}], [{A, B, C} || {A, B, C} <- told4(P)]),
    ?raises({error, badarg}, erlang:trace_pattern('receive', [{'_', [], [{silent, true}]}], [])),
    erlang:trace_pattern(send, true, []),
    erlang:trace_pattern('receive', true, []),
    stop(P).

told4(P) ->
    R = erlang:trace_delivered(P),
    receive {trace_delivered, P, R} -> ok end,
    [{send, M, To} || {trace, _, send, M, To, got} <- element(2, process_info(self(), messages))].

procs() ->
    Me = self(),
    flush(),
    P = traced([procs]),
    C = run(P, fun() -> spawn_link(?MODULE, child, [fun() -> receive X -> exit(X) end end]) end),
    ?matches([{spawn, C, {?MODULE, child, [_]}}, {link, C}], told(P)),
    run(P, fun() -> unlink(C), link(C), process_flag(trap_exit, true) end),
    ?is([{unlink, C}, {link, C}], told(P)),
    C ! bye,
    run(P, fun() -> receive {'EXIT', C, bye} -> ok end end),
    ?is([{getting_unlinked, C}], told(P)),
    link(P), unlink(P),
    run(P, fun() -> ok end),
    ?is([{getting_linked, Me}, {getting_unlinked, Me}], told(P)),
    P ! stop,
    M = monitor(process, P), receive {'DOWN', M, _, _, _} -> ok end,
    ?is([{exit, normal}], told(P)).

names() ->
    P = traced([procs]),
    run(P, fun() -> register(trace_events_name, self()), unregister(trace_events_name) end),
    ?is([{register, trace_events_name}, {unregister, trace_events_name}], told(P)),
    stop(P).

set_on() ->
    P = traced([procs, set_on_first_spawn]),
    {A, B} = run(P, fun() -> F = fun() -> receive stop -> ok end end, {spawn(F), spawn(F)} end),
    ?is({flags, [procs]}, erlang:trace_info(A, flags)),
    ?is({flags, []}, erlang:trace_info(B, flags)),
    ?is({flags, [procs]}, erlang:trace_info(P, flags)),
    [exit(X, kill) || X <- [A, B]],
    stop(P),
    Q = traced([send, set_on_link]),
    L = run(Q, fun() -> spawn_link(fun() -> receive stop -> ok end end) end),
    ?is(erlang:trace_info(Q, tracer), erlang:trace_info(L, tracer)),
    stop(Q), exit(L, kill), flush().

running() ->
    P = traced([running]),
    run(P, fun() -> ok end),
    %% It is out some time after it answered.
    ?matches({_, _, _}, receive {trace, P, out, MFA} -> MFA end),
    T = told(P),
    ?is(true, lists:member(in, [A || {A, _} <- T])),
    ?is([], [X || {A, X} <- T, A =/= in, A =/= out]),
    stop(P), flush().

collections() ->
    P = traced([garbage_collection]),
    run(P, fun() -> garbage_collect(), ok end),
    ?matches([{gc_major_start, _}, {gc_major_end, _}],
             [E || {A, _} = E <- told(P), A =:= gc_major_start orelse A =:= gc_major_end]),
    stop(P), flush().

stamps() ->
    [begin
         P = traced([send, S]),
         run(P, fun() -> ok end),
         R = erlang:trace_delivered(P), receive {trace_delivered, P, R} -> ok end,
         ?is(true, receive {trace_ts, P, send, {done, ok}, _, Ts} -> Is(Ts) after 0 -> no end),
         stop(P)
     end || {S, Is} <- [{timestamp, fun({A, B, C}) -> is_integer(A + B + C) end},
                        {monotonic_timestamp, fun(T) -> is_integer(T) end},
                        {strict_monotonic_timestamp, fun({T, U}) -> is_integer(T + U) end}]],
    flush().

new_processes() ->
    Tracer = spawn(fun() -> receive stop -> ok end end),
    erlang:trace(new_processes, true, [procs, {tracer, Tracer}]),
    ?is({flags, [procs]}, erlang:trace_info(new_processes, flags)),
    P = spawn(fun() -> receive stop -> ok end end),
    ?is({tracer, Tracer}, erlang:trace_info(P, tracer)),
    erlang:trace(new_processes, false, [procs]),
    ?is({flags, []}, erlang:trace_info(new_processes, flags)),
    exit(P, kill), exit(Tracer, kill).

tokens() ->
    Me = self(),
    seq_trace:reset_trace(),
    Tracer = collector(),
    ?is(false, seq_trace:set_system_tracer(Tracer)),
    Echo = spawn(fun() -> receive {M, From} -> From ! {echo, M} end end),
    seq_trace:set_token(label, {l, 1}),
    [seq_trace:set_token(F, true) || F <- [send, 'receive', print]],
    Echo ! {hello, Me},
    receive {echo, hello} -> ok end,
    ?matches({_, {l, 1}, 2, Echo, 1}, seq_trace:get_token()),
    seq_trace:print("here"),
    seq_trace:set_token([]),
    ?is([{seq_trace, {l, 1}, {send, {0, 1}, Me, Echo, {hello, Me}}},
         {seq_trace, {l, 1}, {'receive', {0, 1}, Me, Echo, {hello, Me}}},
         {seq_trace, {l, 1}, {send, {1, 2}, Echo, Me, {echo, hello}}},
         {seq_trace, {l, 1}, {'receive', {1, 2}, Echo, Me, {echo, hello}}},
         {seq_trace, {l, 1}, {print, {2, 3}, Me, [], "here"}}], collected(Tracer)),
    ?is(Tracer, seq_trace:set_system_tracer(false)),
    ?is([], seq_trace:get_token()).

%% The token goes with the message of a process that ends.
exits() ->
    Me = self(),
    seq_trace:reset_trace(),
    Old = process_flag(trap_exit, true),
    P = spawn_link(fun() -> receive X -> exit({got, X}) end end),
    seq_trace:set_token(label, ending),
    P ! go,
    seq_trace:set_token([]),
    receive {'EXIT', P, {got, go}} -> ok end,
    ?matches({0, ending, 2, P, 1}, seq_trace:get_token()),
    %% A collection keeps it.
    garbage_collect(), _ = lists:seq(1, 10000), garbage_collect(),
    ?matches({0, ending, 2, P, 1}, seq_trace:get_token()),
    seq_trace:reset_trace(),
    process_flag(trap_exit, Old),
    ?is(Me, self()).

collector() ->
    spawn(fun F() -> receive {collected, To} -> To ! {collected, gather()}, F() end end).
gather() -> receive T when element(1, T) =:= seq_trace -> [T | gather()] after 0 -> [] end.
collected(P) -> P ! {collected, self()}, receive {collected, L} -> L end.

large_heaps() ->
    flush(),
    ?is(undefined, erlang:system_monitor(self(), [{large_heap, 20000}, busy_port])),
    ?is({self(), [busy_port, {large_heap, 20000}]}, erlang:system_monitor()),
    Me = self(),
    P = spawn(fun() -> L = lists:seq(1, 100000), garbage_collect(), Me ! {length, length(L)} end),
    receive {length, 100000} -> ok end,
    ?matches({monitor, P, large_heap, [_ | _]}, receive {monitor, P, _, _} = M -> M after 0 -> none end),
    ?is({self(), [busy_port, {large_heap, 20000}]}, erlang:system_monitor(undefined)),
    ?is(undefined, erlang:system_monitor()),
    flush().

%% Over max_heap_size and not killed: the tracer hears of it.
heap_limit() ->
    Me = self(),
    P = spawn_opt(fun() -> receive go -> ok end, L = lists:seq(1, 50000), garbage_collect(), Me ! {length, length(L)} end,
                  [{max_heap_size, #{size => 2000, kill => false, error_logger => false}}]),
    erlang:trace(P, true, [garbage_collection]),
    P ! go,
    receive {length, 50000} -> ok end,
    ?is(true, lists:keymember(gc_max_heap_size, 1, told(P))),
    flush().

profiled() ->
    Me = self(),
    ?is(undefined, erlang:system_profile(Me, [runnable_procs])),
    ?is({Me, [runnable_procs]}, erlang:system_profile()),
    P = spawn(fun() -> receive go -> ok end, receive stop -> ok end end),
    Two = fun() -> [receive {profile, P, S, _, {_, _, _}} -> S end || _ <- [1, 2]] end,
    ?is([active, inactive], Two()),
    P ! go,
    ?is([active, inactive], Two()),
    ?is({Me, [runnable_procs]}, erlang:system_profile(undefined, [])),
    exit(P, kill), flush().

%% A timeout of no sense leaves nothing behind for the next receive.
late() ->
    self() ! first,
    Bad = list_to_atom("never"),
    ?raises({error, timeout_value}, receive nothing -> ok after Bad -> ok end),
    ?is(first, receive X -> X after 0 -> none end),
    T = traced(['receive']),
    run(T, fun() -> receive nothing -> ok after 1 -> late end end),
    ?matches([{'receive', {do, _, _}}, {'receive', timeout}], told(T)),
    stop(T).

flush() -> receive _ -> flush() after 0 -> ok end.
