%% Microstates and the time a scheduler is busy; multi-scheduling that is blocked.
-module(accounting).
-export([main/0]).
-include("test.hrl").

main() ->
    microstates(),
    wall_time(),
    dirty_wall_time(),
    alone(),
    blocked().

counters() ->
    lists:foldl(fun(#{counters := C, id := I, type := T}, Sum) ->
                        true = is_integer(I) andalso is_atom(T),
                        maps:fold(fun(K, V, S) -> S#{K => V + maps:get(K, S, 0)} end, Sum, C)
                end, #{}, erlang:statistics(microstate_accounting)).

microstates() ->
    ?raises({error, badarg}, erlang:system_flag(microstate_accounting, on)),
    ?is(false, erlang:system_flag(microstate_accounting, true)),
    ?is(true, erlang:system_flag(microstate_accounting, true)),
    ?is([aux, check_io, emulator, gc, other, port, sleep], lists:sort(maps:keys(counters()))),
    A = counted([emulator, gc, other, sleep]),
    work(1000),
    B = counters(),
    ?is(true, maps:get(emulator, B) > maps:get(emulator, A)),
    ?is(true, erlang:system_flag(microstate_accounting, false)),
    C = counters(),
    work(1000),
    ?is(C, counters()),
    ?is(false, erlang:system_flag(microstate_accounting, reset)),
    ?is([0], lists:usort(maps:values(counters()))).

%% Once each of them has come about.
counted(Keys) ->
    garbage_collect(),
    work(1000),
    receive after 1 -> ok end,
    C = counters(),
    case [K || K <- Keys, maps:get(K, C) =:= 0] of
        [] -> C;
        _ -> counted(Keys)
    end.

work(0) -> ok;
work(N) -> lists:seq(1, 100), work(N - 1).

wall_time() ->
    ?is(undefined, erlang:statistics(scheduler_wall_time)),
    ?is(false, erlang:system_flag(scheduler_wall_time, true)),
    busy(100),
    {A1, T1} = wall(),
    ?is(true, A1 =< T1),
    receive after 200 -> ok end,
    {A2, T2} = wall(),
    ?is(true, A2 - A1 < T2 - T1),
    ?is(true, erlang:system_flag(scheduler_wall_time, false)).

%% Of all schedulers, the dirty ones left out.
wall() ->
    N = erlang:system_info(schedulers),
    L = [{A, T} || {Id, A, T} <- erlang:statistics(scheduler_wall_time), Id =< N],
    {lists:sum([A || {A, _} <- L]), lists:sum([T || {_, T} <- L])}.

%% Dirty schedulers are busy beside the others, and beside each other.
dirty_wall_time() ->
    ?is(undefined, erlang:statistics(scheduler_wall_time_all)),
    ?is(false, erlang:system_flag(scheduler_wall_time, true)),
    N = erlang:system_info(schedulers),
    Cpu = erlang:system_info(dirty_cpu_schedulers),
    All = N + Cpu + erlang:system_info(dirty_io_schedulers),
    ?is(lists:seq(1, All), ids(scheduler_wall_time_all)),
    ?is(lists:seq(1, N + Cpu), ids(scheduler_wall_time)),
    Before = active(1, All),
    Waits = [spawn_monitor(erts_debug, F, [wait, 300]) || F <- [dirty_cpu, dirty_io, dirty_io]],
    [receive {'DOWN', M, process, P, R} -> ?is(normal, R) end || {P, M} <- Waits],
    After = active(1, All),
    %% More than all that time for one.
    ?is(true, After - Before > ns(600)),
    ?is(true, active(N + 1, N + Cpu) >= ns(299)),
    ?is(true, active(N + Cpu + 1, All) >= ns(598)),
    %% What goes on is counted too.
    Self = self(),
    P1 = spawn(fun() -> erts_debug:dirty_cpu(alive_waitexiting, Self) end),
    receive {alive, P1} -> ok end,
    Begun = active(N + 1, N + Cpu),
    receive after 10 -> ok end,
    ?is(true, active(N + 1, N + Cpu) > Begun),
    exit(P1, kill),
    idle(N + 1, N + Cpu),
    ?is(true, erlang:system_flag(scheduler_wall_time, false)).

ids(Key) ->
    lists:sort([Id || {Id, _, _} <- erlang:statistics(Key)]).

active(From, To) ->
    lists:sum([A || {Id, A, _} <- erlang:statistics(scheduler_wall_time_all),
                    Id >= From, Id =< To]).

%% What was killed goes on for a second.
idle(From, To) ->
    Before = active(From, To),
    receive after 20 -> ok end,
    active(From, To) =:= Before orelse idle(From, To).

ns(Ms) ->
    erlang:convert_time_unit(Ms, millisecond, native).

%% With multi-scheduling blocked, one at a time.
alone() ->
    ?is(false, erlang:system_flag(scheduler_wall_time, true)),
    ?is(blocked, erlang:system_flag(multi_scheduling, block)),
    ?is(true, one_at_a_time(20)),
    ?is(enabled, erlang:system_flag(multi_scheduling, unblock)),
    ?is(true, erlang:system_flag(scheduler_wall_time, false)).

%% While one of OTP's schedulers hands over to the next both count, and that takes as
%% long as a busy machine makes it take: so once of some times. Three beside each other
%% would be far more at any time.
one_at_a_time(0) -> false;
one_at_a_time(Tries) ->
    {A1, T1} = total(),
    Ps = [spawn_monitor(fun() -> hog(F, 10) end) || F <- [dirty_cpu, dirty_io, dirty_io]],
    [receive {'DOWN', M, process, P, R} -> ?is(normal, R) end || {P, M} <- Ps],
    {A2, T2} = total(),
    A2 - A1 =< (T2 - T1) * 11 div 10 orelse one_at_a_time(Tries - 1).

total() ->
    L = erlang:statistics(scheduler_wall_time_all),
    {lists:sum([A || {_, A, _} <- L]), lists:max([T || {_, _, T} <- L])}.

hog(_, 0) -> ok;
hog(F, N) ->
    busy(5),
    erts_debug:F(wait, 10),
    hog(F, N - 1).

busy(Ms) ->
    busy_until(erlang:monotonic_time(millisecond) + Ms).
busy_until(T) ->
    case erlang:monotonic_time(millisecond) < T of
        true -> busy_until(T);
        false -> ok
    end.

blocked() ->
    ?is(enabled, erlang:system_info(multi_scheduling)),
    ?raises({error, badarg}, erlang:system_flag(multi_scheduling, stop)),
    ?is(enabled, erlang:system_flag(multi_scheduling, unblock)),
    ?is(blocked_normal, erlang:system_flag(multi_scheduling, block_normal)),
    ?is(blocked, erlang:system_flag(multi_scheduling, block)),
    ?is(blocked, erlang:system_flag(multi_scheduling, block)),
    ?is(blocked, erlang:system_flag(multi_scheduling, unblock_normal)),
    ?is([0], lists:usort([A || {T, _, _, A} <- erlang:system_info(all_schedulers_state),
                               T =/= normal])),
    ?is(blocked, erlang:system_flag(multi_scheduling, unblock)),
    ?is(enabled, erlang:system_flag(multi_scheduling, unblock)),
    Self = self(),
    {P, M} = spawn_monitor(fun() ->
                                   Self ! erlang:system_flag(multi_scheduling, block_normal),
                                   receive stop -> ok end
                           end),
    ?is(blocked_normal, receive X -> X end),
    ?is(blocked_normal, erlang:system_info(multi_scheduling)),
    P ! stop,
    receive {'DOWN', M, process, P, _} -> ok end,
    ?is(enabled, settled(blocked_normal)).

%% It ends soon after the process.
settled(Was) ->
    case erlang:system_info(multi_scheduling) of
        Was -> receive after 10 -> settled(Was) end;
        Now -> Now
    end.
