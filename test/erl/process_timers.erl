%% receive ... after, send_after, start_timer, cancel_timer, read_timer; clocks.
-module(process_timers).
-export([main/0]).
-include("test.hrl").

main() ->
    timeouts(),
    messages(),
    cancels(),
    bad(),
    many(),
    clocks(),
    unique(),
    calendar(),
    markers(),
    priorities().

ms() -> erlang:monotonic_time(millisecond).

timeouts() ->
    T0 = ms(),
    ?is(out, receive never -> in after 50 -> out end),
    T1 = ms(),
    ?is(true, T1 - T0 >= 49),
    ?is(out, receive never -> in after 0 -> out end),
    self() ! x,
    ?is(x, receive Y -> Y after 0 -> out end),
    self() ! other,
    ?is(out, receive never -> in after 10 -> out end),
    ?is(other, receive other -> other after infinity -> out end),
    ?raises({error, timeout_value}, receive never -> ok after id(-1) -> ok end),
    ?raises({error, timeout_value}, receive never -> ok after id(foo) -> ok end),
    ?raises({error, timeout_value}, receive never -> ok after id(1 bsl 70) -> ok end),
    %% A message in time ends the wait; what does not match does not renew it.
    Self = self(),
    {Noise, Ref} = spawn_monitor(fun() ->
        [begin timer:sleep(10), Self ! noise end || _ <- lists:seq(1, 2000)]
    end),
    ?is(out, receive never -> in after 60 -> out end),
    ?is(true, is_process_alive(Noise)),
    exit(Noise, kill),
    receive {'DOWN', Ref, process, Noise, _} -> ok end,
    flush().

id(X) -> X.

flush() -> receive _ -> flush() after 0 -> ok end.

messages() ->
    R1 = erlang:start_timer(10, self(), {a, "b"}),
    ?is({timeout, R1, {a, "b"}}, receive A -> A after 60000 -> none end),
    R2 = erlang:send_after(10, self(), {c, <<"d">>}),
    ?is(true, is_reference(R2)),
    ?is({c, <<"d">>}, receive B -> B after 60000 -> none end),
    register(process_timers_me, self()),
    erlang:send_after(5, process_timers_me, named),
    ?is(named, receive C -> C after 60000 -> none end),
    unregister(process_timers_me),
    erlang:send_after(5, process_timers_me, named),
    ?is(none, receive D -> D after 30 -> none end),
    At = erlang:monotonic_time(millisecond) + 20,
    erlang:send_after(At, self(), absolute, [{abs, true}]),
    ?is(absolute, receive E -> E after 60000 -> none end),
    ?is(true, erlang:monotonic_time(millisecond) >= At),
    %% In the order of their times, whatever the order of their starting.
    ?is([0, 20, 40, 60, 80], on_first(fun() -> ordered(100, [80, 20, 60, 40, 0]) end)),
    %% Equal times in the order of their starting.
    ?is(lists:seq(1, 20), on_first(fun() ->
            [erlang:send_after(10, self(), I) || I <- lists:seq(1, 20)],
            [receive X -> X end || _ <- lists:seq(1, 20)]
        end)).

%% As they come that many milliseconds after one moment; it is Ms away, or further
%% if that was too soon to start them all.
ordered(Ms, Ts) ->
    At = ms() + Ms,
    [erlang:send_after(At + T, self(), T, [{abs, true}]) || T <- Ts],
    Early = ms() < At,
    Got = [receive X -> X end || _ <- Ts],
    if Early -> Got; true -> ordered(4 * Ms, Ts) end.

%% In a process that stays with one scheduler: each of them has timers of its own.
on_first(F) ->
    Me = self(),
    Ref = make_ref(),
    spawn_opt(fun() -> Me ! {Ref, F()} end, [{scheduler, 1}, link]),
    receive {Ref, Result} -> Result end.

cancels() ->
    R1 = erlang:start_timer(100000, self(), x),
    ?matches(L when is_integer(L), erlang:read_timer(R1)),
    Left = erlang:read_timer(R1),
    ?is(true, Left =< 100000 andalso Left > 90000),
    ?matches(L when is_integer(L), erlang:cancel_timer(R1)),
    ?is(false, erlang:cancel_timer(R1)),
    ?is(false, erlang:read_timer(R1)),
    ?is(false, erlang:cancel_timer(make_ref())),
    ?is(ok, erlang:cancel_timer(make_ref(), [{async, true}, {info, false}])),
    R2 = erlang:start_timer(100000, self(), x),
    ?is(ok, erlang:cancel_timer(R2, [{async, true}])),
    ?matches({cancel_timer, R2, N} when is_integer(N), receive A -> A after 60000 -> none end),
    ?is(ok, erlang:read_timer(R2, [{async, true}])),
    ?is({read_timer, R2, false}, receive B -> B after 60000 -> none end),
    R3 = erlang:start_timer(100000, self(), x),
    ?is(ok, erlang:cancel_timer(R3, [{info, false}])),
    ?is(false, erlang:read_timer(R3)).

bad() ->
    ?raises({error, badarg}, erlang:send_after(-1, self(), x)),
    ?raises({error, badarg}, erlang:send_after(x, self(), x)),
    ?raises({error, badarg}, erlang:send_after(1.5, self(), x)),
    ?raises({error, badarg}, erlang:send_after(1, "x", x)),
    ?raises({error, badarg}, erlang:send_after(1 bsl 62, self(), x)),
    ?raises({error, badarg}, erlang:send_after(1, self(), x, [foo])),
    ?raises({error, badarg}, erlang:cancel_timer(foo)),
    ?raises({error, badarg}, erlang:cancel_timer(make_ref(), [{async, foo}])),
    ?raises({error, badarg}, erlang:read_timer(foo)).

many() ->
    Self = self(),
    Rs = [erlang:start_timer(I rem 300, Self, I) || I <- lists:seq(1, 20000)],
    ?is(ok, gather(Rs)),
    Long = [erlang:start_timer(100000 + I * 997, Self, I) || I <- lists:seq(1, 5000)],
    ?is(true, lists:all(fun(R) -> is_integer(erlang:cancel_timer(R)) end, Long)),
    {P, M} = spawn_monitor(fun() ->
                                   [erlang:send_after(100000, self(), x) || _ <- lists:seq(1, 10000)],
                                   exit(bye)
                           end),
    ?is(bye, receive {'DOWN', M, process, P, W} -> W after 60000 -> none end).

gather([]) -> ok;
gather([R|Rs]) -> receive {timeout, R, _} -> gather(Rs) after 60000 -> {missing, R} end.

clocks() ->
    Ts = [erlang:monotonic_time() || _ <- lists:seq(1, 1000)],
    ?is(Ts, lists:sort(Ts)),
    Ns = [erlang:now() || _ <- lists:seq(1, 1000)],
    ?is(1000, length(lists:usort(Ns))),
    ?is(Ns, lists:sort(Ns)),
    Os1 = os:system_time(second),
    S1 = erlang:system_time(),
    S = erlang:monotonic_time() + erlang:time_offset(),
    {Mega, Sec, Micro} = erlang:timestamp(),
    S2 = erlang:system_time(),
    Os2 = os:system_time(second),
    Second = erlang:convert_time_unit(1, second, native),
    ?is(true, S1 > 1600000000 * Second),
    ?is(true, S1 > (Os1 - 3) * Second andalso S2 < (Os2 + 3) * Second),
    ?is(true, S1 - Second =< S andalso S =< S2 + Second),
    Stamp = erlang:convert_time_unit((Mega * 1000000 + Sec) * 1000000 + Micro, microsecond, native),
    ?is(true, S1 - Second =< Stamp andalso Stamp =< S2 + Second),
    [?matches(I when is_integer(I), erlang:monotonic_time(U)) ||
        U <- [native, second, millisecond, microsecond, nanosecond, perf_counter, 1, 7, 1000,
              1 bsl 70]],
    ?raises({error, badarg}, erlang:monotonic_time(foo)),
    ?raises({error, badarg}, erlang:monotonic_time(0)),
    ?raises({error, badarg}, erlang:system_time(-5)),
    ?is(1000, erlang:convert_time_unit(1, second, millisecond)),
    ?is(-1, erlang:convert_time_unit(-1, millisecond, second)),
    ?is(true, erlang:monotonic_time() >= erlang:system_info(start_time)).

%% They are of a scheduler's number, in as many bits as it takes, and its count.
unique_of_threads() ->
    Before = erts_debug:set_internal_state(available_internal_state, true),
    Last = lists:sum([erlang:system_info(I) || I <- [schedulers, dirty_cpu_schedulers,
                                                     dirty_io_schedulers]]),
    Bits = length(integer_to_list(Last, 2)),
    [?is(((N bsl Bits) bor T) - (1 bsl 59),
         erts_debug:get_internal_state({make_unique_integer, T, N}))
     || T <- [0, 1, Last], K <- [0, 1, 58, 59, 60, 62, 63, 64], D <- [-1, 0, 1],
        N <- [(1 bsl K) + D], N >= 0, N < 1 bsl 64],
    ?raises({error, badarg},
            erts_debug:get_internal_state({make_unique_integer, 1, 1 bsl 64})),
    ?raises({error, badarg}, erts_debug:get_internal_state({make_unique_integer, 1, -1})),
    erts_debug:set_internal_state(available_internal_state, Before).

unique() ->
    Us = [erlang:unique_integer() || _ <- lists:seq(1, 1000)],
    ?is(1000, length(lists:usort(Us))),
    Ms = [erlang:unique_integer([monotonic, positive]) || _ <- lists:seq(1, 1000)],
    ?is(Ms, lists:usort(Ms)),
    ?is(true, hd(Ms) > 0),
    ?is(true, hd(Us) < 0),
    ?is(true, lists:all(fun(U) -> U > 0 end, [erlang:unique_integer([positive]) || _ <- Us])),
    unique_of_threads(),
    ?raises({error, badarg}, erlang:unique_integer([foo])),
    ?raises({error, badarg}, erlang:unique_integer(foo)),
    Rs = [make_ref() || _ <- lists:seq(1, 1000)],
    ?is(1000, length(lists:usort(Rs))).

calendar() ->
    ?is({{1970,1,1},{0,0,0}}, erlang:posixtime_to_universaltime(0)),
    ?is({{2038,1,19},{3,14,8}}, erlang:posixtime_to_universaltime(2147483648)),
    ?is({{1969,12,31},{23,59,59}}, erlang:posixtime_to_universaltime(-1)),
    ?is({{2000,2,29},{12,0,0}}, erlang:posixtime_to_universaltime(951825600)),
    ?is(951825600, erlang:universaltime_to_posixtime({{2000,2,29},{12,0,0}})),
    [?is(S, erlang:universaltime_to_posixtime(erlang:posixtime_to_universaltime(S))) ||
        S <- [0, 1, -1, 86399, 86400, -86400, 4102444800, -5000000000, 99999999999]],
    ?raises({error, badarg}, erlang:universaltime_to_posixtime({{2001,2,29},{0,0,0}})),
    ?raises({error, badarg}, erlang:universaltime_to_posixtime({{1599,1,1},{0,0,0}})),
    ?raises({error, badarg}, erlang:universaltime_to_posixtime(foo)),
    ?raises({error, badarg}, erlang:universaltime_to_localtime({{2000,13,1},{0,0,0}})),
    U = erlang:universaltime(),
    L = erlang:universaltime_to_localtime(U),
    ?is(U, erlang:localtime_to_universaltime(L)),
    ?is(U, erlang:localtime_to_universaltime(L, undefined)),
    ?raises({error, badarg}, erlang:localtime_to_universaltime(L, foo)),
    ?matches({_, _, _}, date()),
    ?matches({_, _, _}, time()).

%% Calls in front of a long queue: the marker must not lose anything.
markers() ->
    Self = self(),
    P = spawn(fun Loop() -> receive {Ref, N} -> Self ! {Ref, N * 2}, Loop() end end),
    [Self ! {noise, I} || I <- lists:seq(1, 20000)],
    ?is(lists:seq(2, 4000, 2), [call(P, N) || N <- lists:seq(1, 2000)]),
    ?is(lists:seq(1, 20000), [receive {noise, I} -> I end || _ <- lists:seq(1, 20000)]),
    exit(P, kill).

call(P, N) ->
    Ref = make_ref(),
    P ! {Ref, N},
    receive {Ref, M} -> M end.

priorities() ->
    Self = self(),
    Busy = spawn_opt(fun Loop() -> Loop() end, [{priority, normal}]),
    spawn_opt(fun() -> Self ! low end, [{priority, low}]),
    ?is(low, receive A -> A after 60000 -> starved end),
    spawn_opt(fun() -> Self ! high end, [{priority, high}]),
    ?is(high, receive B -> B after 60000 -> starved end),
    exit(Busy, kill).
