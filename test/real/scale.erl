%% Many of everything: scale:run(processes | timers | rows, N) says how much memory
%% the VM had at most, and ends with status 1 if that is more than it should be.
-module(scale).
-export([run/1]).

run([What, Number, MiB]) ->
    N = list_to_integer(Number),
    {Us, ok} = timer:tc(fun() -> many(list_to_atom(What), N) end),
    Peak = peak_mib(),
    io:format("~b ~s: ~b MiB, ~b ms~n", [N, What, Peak, Us div 1000]),
    halt(case Peak =< list_to_integer(MiB) of true -> 0; false -> 1 end).

many(processes, N) ->
    Me = self(),
    Pids = [spawn(fun() -> receive {Me, go} -> Me ! done end end) || _ <- lists:seq(1, N)],
    true = erlang:system_info(process_count) > N,
    [P ! {Me, go} || P <- Pids],
    [receive done -> ok end || _ <- Pids],
    ok;
many(timers, N) ->
    Refs = [erlang:send_after(1000 + I rem 3000, self(), {tick, I}) || I <- lists:seq(1, N)],
    [receive {tick, _} -> ok end || _ <- Refs],
    ok;
many(rows, N) ->
    T = ets:new(t, [set, public]),
    insert(T, N),
    N = ets:info(T, size),
    [{N, N}] = ets:lookup(T, N),
    true = ets:delete(T),
    ok.

insert(_, 0) -> ok;
insert(T, N) -> true = ets:insert(T, {N, N}), insert(T, N - 1).

peak_mib() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [KiB]} = re:run(Status, "VmHWM:\\s+(\\d+)", [{capture, [1], list}]),
    list_to_integer(KiB) div 1024.
