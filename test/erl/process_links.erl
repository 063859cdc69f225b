%% link, unlink, exit, exit signals, trap_exit; monitors, their options; aliases.
-module(process_links).
-export([main/0]).
-include("test.hrl").

main() ->
    exits(),
    links(),
    many_links(),
    monitors(),
    monitor_names(),
    monitor_options(),
    many_monitors(),
    aliases(),
    reply_aliases().

down(Ref) ->
    receive {'DOWN', Ref, process, _, R} -> R after 60000 -> timeout end.

dies(F) ->
    {_, Ref} = spawn_monitor(F),
    down(Ref).

sleeper() -> spawn(fun() -> receive stop -> ok end end).

exits() ->
    ?is(normal, dies(fun() -> ok end)),
    ?is(normal, dies(fun() -> exit(normal) end)),
    ?is({a,"b",<<"c">>,1.5}, dies(fun() -> exit({a,"b",<<"c">>,1.5}) end)),
    ?is(killed, dies(fun() -> exit(self(), kill) end)),
    ?is(normal, dies(fun() -> exit(self(), normal), receive never -> ok end end)),
    ?is(boo, dies(fun() -> exit(self(), boo), receive never -> ok end end)),
    ?is({got, {'EXIT', normal}},
        dies(fun() ->
                     process_flag(trap_exit, true),
                     exit(self(), normal),
                     receive {'EXIT', _, R} -> exit({got, {'EXIT', R}}) end
             end)),
    ?is(still, dies(fun() ->
                            exit_signal(self(), normal),
                            exit(still)
                    end)),
    %% Messages sent before the signal do not help.
    P = sleeper(),
    R = monitor(process, P),
    exit(P, normal),
    ?is(true, is_process_alive(P)),
    exit(P, {big, lists:seq(1, 1000)}),
    ?is(false, is_process_alive(P)),
    ?is({big, lists:seq(1, 1000)}, down(R)),
    ?is(true, exit(P, again)),
    ?raises({error, badarg}, exit(nobody, x)),
    ?raises({error, badarg}, exit(1, x)),
    ?is(kill, dies(fun() ->
                           spawn_link(fun() -> exit(kill) end),
                           receive never -> ok end
                   end)),
    ?is(killed, dies(fun() ->
                             process_flag(trap_exit, true),
                             exit(self(), kill)
                     end)).

exit_signal(P, R) -> erlang:exit_signal(P, R).

links() ->
    ?is(true, link(self())),
    P = sleeper(),
    ?is(true, link(P)),
    ?is(true, link(P)),
    ?is({links, [P]}, process_info(self(), links)),
    ?is({links, [self()]}, process_info(P, links)),
    ?is(true, unlink(P)),
    ?is(true, unlink(P)),
    ?is({links, []}, process_info(self(), links)),
    exit(P, kill),
    gone(P),
    ?raises({error, noproc}, link(P)),
    ?raises({error, badarg}, link(foo)),
    ?raises({error, badarg}, unlink(foo)),
    Old = process_flag(trap_exit, true),
    ?is(false, Old),
    ?is(true, link(P)),
    ?is({'EXIT', P, noproc}, receive A -> A after 60000 -> none end),
    Q = spawn_link(fun() -> exit({why, [1,2]}) end),
    ?is({'EXIT', Q, {why, [1,2]}}, receive B -> B after 60000 -> none end),
    Q2 = spawn_link(fun() -> ok end),
    ?is({'EXIT', Q2, normal}, receive C -> C after 60000 -> none end),
    ?raises({error, badarg}, process_flag(trap_exit, maybe)),
    ?is(true, process_flag(trap_exit, false)),
    %% A chain dies from one end to the other.
    Self = self(),
    End = spawn(fun() -> chain(200, Self) end),
    R = monitor(process, End),
    receive {last, Last} -> exit(Last, bang) end,
    ?is(bang, down(R)).

chain(0, To) -> To ! {last, self()}, receive never -> ok end;
chain(N, To) -> spawn_link(fun() -> chain(N - 1, To) end), receive never -> ok end.

gone(P) ->
    R = monitor(process, P),
    receive {'DOWN', R, _, _, _} -> ok end.

many_links() ->
    Self = self(),
    Hub = spawn(fun() ->
                        Ps = [spawn_link(fun() -> process_flag(trap_exit, true),
                                                  Self ! ready,
                                                  receive {'EXIT', _, X} -> Self ! X end
                                         end) || _ <- lists:seq(1, 3000)],
                        {links, L} = process_info(self(), links),
                        Self ! {sorted, lists:sort(Ps) =:= lists:sort(L)},
                        receive go -> ok end,
                        [unlink(P) || P <- lists:sublist(Ps, 1000)],
                        [exit(P, kill) || P <- lists:sublist(Ps, 1000)],
                        exit(hub)
                end),
    [receive ready -> ok end || _ <- lists:seq(1, 3000)],
    ?is(true, receive {sorted, S} -> S end),
    Hub ! go,
    ?is(ok, hubs(2000)),
    ?is(none, receive hub -> more after 50 -> none end).

hubs(0) -> ok;
hubs(N) -> receive hub -> hubs(N - 1) after 60000 -> {left, N} end.

monitors() ->
    P = sleeper(),
    R1 = monitor(process, P),
    R2 = monitor(process, P),
    ?is({monitors, [{process,P},{process,P}]}, process_info(self(), monitors)),
    ?is({monitored_by, [self(),self()]}, process_info(P, monitored_by)),
    ?is(true, demonitor(R1)),
    ?is(true, demonitor(R1)),
    ?is(false, demonitor(R1, [info])),
    P ! stop,
    ?is({'DOWN', R2, process, P, normal}, receive M -> M after 60000 -> none end),
    R3 = monitor(process, P),
    ?is({'DOWN', R3, process, P, noproc}, receive M3 -> M3 after 60000 -> none end),
    R4 = monitor(process, P),
    ?is(true, demonitor(R4, [flush])),
    ?is(none, receive M4 -> M4 after 10 -> none end),
    R5 = monitor(process, P),
    demonitor(R5, [flush, info]),
    ?is(none, receive M5 -> M5 after 10 -> none end),
    R6 = monitor(process, self()),
    ?is(true, is_reference(R6)),
    ?is(true, demonitor(R6)),
    ?raises({error, badarg}, demonitor(foo)),
    ?raises({error, badarg}, demonitor(R6, [foo])),
    ?raises({error, badarg}, demonitor(R6, [flush|x])),
    ?raises({error, badarg}, monitor(foo, P)),
    ?raises({error, badarg}, monitor(process, 1)),
    ?raises({error, badarg}, monitor(process, {a,b,c})),
    ?raises({error, badarg}, monitor(process, {a,'b@c'})),
    ?raises({error, badarg}, monitor(process, {a,1})),
    ?raises({error, badarg}, monitor(time_offset, foo)),
    R7 = monitor(time_offset, clock_service),
    ?is({monitors, [{time_offset,clock_service}]}, process_info(self(), monitors)),
    ?is(true, demonitor(R7)).

monitor_names() ->
    P = sleeper(),
    register(process_links_name, P),
    R1 = monitor(process, process_links_name),
    R2 = monitor(process, {process_links_name, node()}),
    ?is({monitors, lists:duplicate(2, {process,{process_links_name,node()}})},
        process_info(self(), monitors)),
    P ! stop,
    ?is({process_links_name, node()},
        receive {'DOWN', R1, process, O1, normal} -> O1 after 60000 -> none end),
    ?is({process_links_name, node()},
        receive {'DOWN', R2, process, O2, normal} -> O2 after 60000 -> none end),
    R3 = monitor(process, process_links_name),
    ?is({process_links_name, node()},
        receive {'DOWN', R3, process, O3, noproc} -> O3 after 60000 -> none end).

monitor_options() ->
    P = sleeper(),
    R1 = monitor(process, P, [{tag, {my, "tag"}}]),
    P ! stop,
    ?is({{my, "tag"}, R1, process, P, normal}, receive M1 -> M1 after 60000 -> none end),
    ?raises({error, badarg}, monitor(process, P, [{tag, a}, foo])),
    ?raises({error, badarg}, monitor(process, P, [{alias, foo}])),
    ?raises({error, badarg}, monitor(process, P, foo)),
    {Q, R2} = spawn_opt(fun() -> exit(q) end, [{monitor, [{tag, t}]}]),
    ?is({t, R2, process, Q, q}, receive M2 -> M2 after 60000 -> none end).

many_monitors() ->
    Ps = [sleeper() || _ <- lists:seq(1, 2000)],
    Rs = [{P, monitor(process, P)} || P <- Ps, _ <- [1,2]],
    ?is(4000, length(element(2, process_info(self(), monitors)))),
    [?is(true, demonitor(R, [info])) || {_, R} <- lists:sublist(Rs, 1000)],
    [P ! stop || P <- Ps],
    Left = lists:nthtail(1000, Rs),
    ?is(ok, lists:foreach(fun({P, R}) ->
                                  receive {'DOWN', R, process, P, normal} -> ok end
                          end, lists:reverse(Left))),
    ?is(none, receive X -> X after 20 -> none end),
    ?is({monitors, []}, process_info(self(), monitors)).

aliases() ->
    A = alias(),
    A ! hello,
    ?is(hello, receive M1 -> M1 after 60000 -> none end),
    Self = self(),
    spawn(fun() -> A ! {from, Self, lists:seq(1, 100)} end),
    ?is({from, Self, lists:seq(1, 100)}, receive M2 -> M2 after 60000 -> none end),
    ?is(true, unalias(A)),
    ?is(false, unalias(A)),
    A ! lost,
    ?is(none, receive M3 -> M3 after 10 -> none end),
    ?is(false, unalias(make_ref())),
    ?raises({error, badarg}, unalias(foo)),
    ?raises({error, badarg}, alias([foo])),
    %% Of another process.
    P = spawn(fun() -> Self ! {alias, alias()}, receive {x, F} -> F ! y end end),
    B = receive {alias, B0} -> B0 end,
    ?is(false, unalias(B)),
    B ! {x, Self},
    ?is(y, receive M4 -> M4 after 60000 -> none end),
    gone(P),
    B ! {x, Self},
    ?is(none, receive M5 -> M5 after 10 -> none end).

reply_aliases() ->
    Server = fun() -> receive {req, R1, N} -> [R1 ! {R1, I} || I <- lists:seq(1, N)] end,
                      receive stop -> ok end end,
    P = spawn(Server),
    %% reply_demonitor: the first reply ends alias and monitor.
    R = monitor(process, P, [{alias, reply_demonitor}]),
    P ! {req, R, 3},
    ?is({R, 1}, receive M1 -> M1 after 60000 -> none end),
    ?is(none, receive M2 -> M2 after 20 -> none end),
    ?is(false, demonitor(R, [info])),
    P ! stop,
    ?is(none, receive M3 -> M3 after 20 -> none end),
    %% demonitor: alive until then.
    Q = spawn(Server),
    S = monitor(process, Q, [{alias, demonitor}]),
    S ! a,
    ?is(a, receive M4 -> M4 after 60000 -> none end),
    ?is(true, demonitor(S)),
    S ! b,
    ?is(none, receive M5 -> M5 after 10 -> none end),
    %% explicit_unalias survives it.
    T = monitor(process, Q, [{alias, explicit_unalias}]),
    ?is(true, demonitor(T)),
    T ! c,
    ?is(c, receive M6 -> M6 after 60000 -> none end),
    ?is(false, demonitor(T, [info])),
    ?is(true, unalias(T)),
    %% DOWN ends an alias of kind demonitor.
    U = monitor(process, Q, [{alias, demonitor}]),
    exit(Q, kill),
    ?is(killed, down(U)),
    U ! d,
    ?is(none, receive M7 -> M7 after 10 -> none end),
    V = alias([reply]),
    V ! 1,
    V ! 2,
    ?is(1, receive M8 -> M8 after 60000 -> none end),
    ?is(none, receive M9 -> M9 after 10 -> none end).
