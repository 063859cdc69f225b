%% What a tracer is told of ports (of driver_api.c, and in images of the driver of
%% files in memory): messages, beginning and end, when their drivers run; and the
%% profiler of runnable ports.
-module(trace_ports).
-export([main/0]).
-include("test.hrl").

main() ->
    in_memory(),
    case test:in_image() of
        true -> ok;
        false -> of_library()
    end,
    ?is(nothing, receive M -> M after 0 -> nothing end).

%% What was told of Port since, the port as `port' and this process as `me'.
told(Port) ->
    R = erlang:trace_delivered(all),
    receive {trace_delivered, all, R} -> ok end,
    told(Port, self()).
told(Port, Me) ->
    receive
        T when element(1, T) =:= trace, element(2, T) =:= Port ->
            [_, _ | E] = tuple_to_list(T),
            [named(E, Port, Me) | told(Port, Me)]
    after 0 -> []
    end.

named(Port, Port, _) -> port;
named(Me, _, Me) -> me;
named(T, Port, Me) when is_tuple(T) -> list_to_tuple(named(tuple_to_list(T), Port, Me));
named([H | T], Port, Me) -> [named(H, Port, Me) | named(T, Port, Me)];
named(T, _, _) -> T.

in_memory() ->
    Flags = [send, 'receive', ports, running_ports],
    ?is(0, erlang:trace(new_ports, true, Flags)),
    P = open_port({spawn_driver, "ram_file_drv"}, [binary]),
    ?is({flags, lists:sort(Flags)}, sorted(erlang:trace_info(P, flags))),
    ?is({tracer, self()}, erlang:trace_info(P, tracer)),
    0 = erlang:trace(new_ports, false, Flags),
    ?is([[open, me, ram_file_drv], [in, open], [out, open], [getting_linked, me]], told(P)),
    %% Open for reading and writing, with some data.
    true = port_command(P, <<1, 3:32, "some data">>),
    receive {P, {data, _}} -> ok end,
    ?matches([[in, command],
              ['receive', {me, {command, _}}],
              [send, {port, {data, _}}, me],
              [out, command]], told(P)),
    unlink(P),
    link(P),
    register(trace_ports, P),
    unregister(trace_ports),
    register(trace_ports, P),
    ?is([[getting_unlinked, me], [getting_linked, me], [register, trace_ports],
         [unregister, trace_ports], [register, trace_ports]],
        [E || E <- told(P), hd(E) =/= in, hd(E) =/= out]),
    unlink(P),
    told(P),
    P ! {self(), close},
    receive {P, closed} -> ok end,
    ?is([[in, close], ['receive', {me, close}], [closed, normal], [unregister, trace_ports],
         [send, closed, me]], told(P)),
    %% One that is not traced, and one whose tracer is gone.
    Q = open_port({spawn_driver, "ram_file_drv"}, [binary]),
    ?is({flags, []}, erlang:trace_info(Q, flags)),
    {Tracer, R} = spawn_monitor(fun() -> receive stop -> ok end end),
    ?is(1, erlang:trace(Q, true, ['receive', {tracer, Tracer}])),
    ?is({tracer, Tracer}, erlang:trace_info(Q, tracer)),
    Tracer ! stop,
    receive {'DOWN', R, process, Tracer, normal} -> ok end,
    true = port_command(Q, <<1, 3:32, "some data">>),
    receive {Q, {data, _}} -> ok end,
    ?is({tracer, []}, erlang:trace_info(Q, tracer)),
    true = port_close(Q),
    ?is([], told(Q)),
    %% In the context of a port a process does not run.
    S = open_port({spawn_driver, "ram_file_drv"}, [binary]),
    Me = self(),
    C = spawn(fun() ->
                  receive go -> ok end,
                  S ! {Me, {command, <<1, 3:32, "some data">>}},
                  Me ! done,
                  receive never -> ok end
              end),
    waiting(C),
    1 = erlang:trace(C, true, [running_procs]),
    C ! go,
    receive done -> ok end,
    receive {S, {data, _}} -> ok end,
    1 = erlang:trace(C, false, [all]),
    Switches = [W || [W | _] <- told(C)],
    ?is(true, lists:prefix([in, out, in], Switches)),
    exit(C, kill),
    true = port_close(S).

sorted({K, L}) -> {K, lists:sort(L)}.

-define(FLAGS, [send, 'receive', ports]).

open(Driver, Options) ->
    0 = erlang:trace(new_ports, true, ?FLAGS),
    P = open_port({spawn_driver, Driver}, Options),
    0 = erlang:trace(new_ports, false, ?FLAGS),
    Name = list_to_atom(Driver),
    ?is([[open, me, Name], [getting_linked, me]], told(P)),
    P.

close(P) ->
    true = port_close(P),
    ?is([['receive', {me, close}], [closed, normal]], told(P)).

of_library() ->
    Dir = filename:dirname(code:which(?MODULE)),
    ok = erl_ddll:load(Dir, driver_api),
    ok = erl_ddll:load(Dir, driver_api_v),
    P = open("driver_api", [binary]),
    true = port_command(P, ["e", <<"cho">>]),
    receive {P, {data, _}} -> ok end,
    ?is([['receive', {me, {command, <<"echo">>}}],
         [send, {port, {data, [$E | <<"cho">>]}}, me]], told(P)),
    P ! {self(), {command, <<"echo">>}},
    receive {P, {data, _}} -> ok end,
    ?is([['receive', {me, {command, <<"echo">>}}],
         [send, {port, {data, [$E | <<"cho">>]}}, me]], told(P)),
    %% Parts of one binary.
    Long = binary:copy(<<"long">>, 100),
    true = port_command(P, ["p", Long]),
    [receive {P, {data, _}} -> ok end || _ <- [1, 2, 3]],
    ?matches([['receive', {me, {command, <<$p, _:400/binary>>}}],
              [send, {port, {data, [$V | _]}}, me],
              [send, {port, {data, [$B | _]}}, me],
              [send, {port, {data, _}}, me]], told(P)),
    %% A timer, that is from nobody.
    true = port_command(P, "s0"),
    receive {P, timeout} -> ok; {P, {data, _}} -> ok end,
    ?matches([['receive', {me, {command, <<"s0">>}}], ['receive', timeout],
              [send, {port, _}, me]], told(P)),
    %% What port_control/3 and port_call/3 get and answer.
    Answer = iolist_to_binary(erlang:port_control(P, $e, "xyz")),
    ?is([['receive', {me, {control, {$e, <<"xyz">>}}}],
         [send, {port, {control, Answer}}, me]], told(P)),
    Big = (1 bsl 32) - 1,
    catch erlang:port_control(P, Big, <<>>),
    ?matches([['receive', {me, {control, {Big, <<>>}}}] | _], told(P)),
    {Called, Result} = called(P, {a, "term"}),
    ?is([['receive', {me, {call, {0, term_to_binary({a, "term"})}}}]] ++
            [[send, {port, {call, term_to_binary(Result)}}, me] || Called =:= answered], told(P)),
    %% Another owner.
    Me = self(),
    O = spawn(fun() ->
                  receive go -> ok end,
                  P ! {self(), {connect, Me}},
                  receive {P, connected} -> ok end,
                  unlink(P),
                  Me ! back
              end),
    true = erlang:port_connect(P, O),
    ?is([[getting_linked, O], ['receive', {me, {connect, O}}], [send, {port, connected}, me]],
        told(P)),
    O ! go,
    receive back -> ok end,
    ?is([['receive', {O, {connect, me}}], [send, {port, connected}, O],
         [getting_unlinked, O]], told(P)),
    close(P),
    %% Vectors are told as they came: short parts of one list are one.
    V = open("driver_api_v", []),
    true = port_command(V, [$e, "ch", Long, <<"x">>, [$y | Long]]),
    ?is([['receive', {me, {command, [<<"ech">>, Long, <<"xy">>, Long]}}]],
        [E || E = ['receive' | _] <- told(V)]),
    receive {V, {data, _}} -> ok end,
    %% Killed, it ends for that reason; badly used, its owner would. An exit signal is
    %% told as one wants it closed.
    unlink(V),
    exit(V, kill),
    ended(V),
    ?matches([['receive', {me, close}], [closed, kill]],
             [E || E <- told(V), hd(E) =/= getting_unlinked]),
    %% It ends by itself.
    process_flag(trap_exit, true),
    F = open("driver_api", []),
    true = port_command(F, "P"),
    receive {'EXIT', F, eacces} -> ok end,
    ?is([['receive', {me, {command, <<"P">>}}], [closed, eacces]], told(F)),
    G = open("driver_api", [eof]),
    true = port_command(G, "E"),
    receive {G, eof} -> ok end,
    ?is([['receive', {me, {command, <<"E">>}}], [send, {port, eof}, me]], told(G)),
    close(G),
    receive {'EXIT', G, normal} -> ok end,
    receive {'EXIT', P, normal} -> ok after 0 -> ok end,
    process_flag(trap_exit, false),
    profiled(),
    ok = erl_ddll:unload(driver_api),
    ok = erl_ddll:unload(driver_api_v).

waiting(P) ->
    case process_info(P, status) of
        {status, waiting} -> ok;
        _ -> receive after 5 -> waiting(P) end
    end.

ended(P) ->
    case erlang:port_info(P) of
        undefined -> ok;
        _ -> receive after 5 -> ended(P) end
    end.

called(P, T) ->
    try {answered, erlang:port_call(P, 0, T)} catch error:badarg -> {none, none} end.

%% Each time it runs; opening is not told, closing is.
profiled() ->
    Me = self(),
    Profiler = spawn(fun() -> profiler([], none) end),
    erlang:system_profile(Profiler, [runnable_ports]),
    P = open_port({spawn_driver, "driver_api"}, []),
    [begin true = port_command(P, "e"), receive {P, {data, _}} -> ok end end || _ <- [1, 2]],
    true = port_close(P),
    Profiler ! {told, Me, P, 6},
    ?is([active, inactive, active, inactive, active, inactive],
        receive {Profiler, L} -> L end),
    erlang:system_profile(undefined, []).

%% It answers when so much has been told of P, which may come late.
profiler(L, none) ->
    receive {told, To, P, N} -> profiler(L, {To, P, N}); M -> profiler([M | L], none) end;
profiler(L, {To, P, N} = Asked) ->
    case [S || {profile, Q, S, 0, _} <- lists:reverse(L), Q =:= P] of
        Told when length(Told) >= N -> To ! {self(), Told};
        _ -> receive M -> profiler([M | L], Asked) end
    end.
