%% enif_*: a library made with OTP's header, driven from here (nif_api.c).
-module(nif_api).
-export([main/0]).
-export([inspect/1, iolist/1, raise/1, count/2, box_new/1, box_get/1, box_watch/2,
         box_unwatch/1, box_select/2, box_write/1, box_stop_select/1, threads/1, misc/2,
         addresses/1, later/1, times/0, spend/0, port_say/2, box_error/3, box_shut/1,
         box_steal/3, search/2, search/0]).
-nifs([inspect/1, iolist/1, raise/1, count/2, box_new/1, box_get/1, box_watch/2,
       box_unwatch/1, box_select/2, box_write/1, box_stop_select/1, threads/1, misc/2,
       addresses/1, later/1, times/0, spend/0, port_say/2, box_error/3, box_shut/1,
       box_steal/3, search/2, search/0]).
-include("test.hrl").

main() ->
    Lib = filename:rootname(code:which(?MODULE)),
    ?matches({error, {load_failed, _}}, erlang:load_nif("/no/such/library", ok)),
    ?matches({error, {load, "Library load-call unsuccessful (17)."}}, erlang:load_nif(Lib, 1)),
    ?raises({error, badarg}, erlang:load_nif(1, ok)),
    ?raises({error, nif_not_loaded}, inspect(a)),
    ?is(ok, erlang:load_nif(Lib, ok)),
    ?matches({error, {reload, _}}, erlang:load_nif(Lib, ok)),
    terms(), errors(), boxes(), selects(), stolen(), hidden(), later(), clocks(), ports(), names(),
    ?is({5, {5}, self()}, count(5, x)),
    ?is({2000, {2000}, self()}, count(2000, x)),
    ?is(ok, threads(100)),
    ?is([{I, "from a thread"} || I <- lists:seq(0, 99)],
        [receive {I, _} = M -> M end || I <- lists:seq(0, 99)]),
    ?is(["text 42 {a,[1]} 2.5 %", 1, 0, 1, erlang:phash2({a, [1]}), "private", -1,
         {[<<"c">>], 2, 1}, <<"bb">>],
        misc({a, [1]}, [<<"aB">>, <<"bb">>, <<"c">>])).

terms() ->
    ?is({2, 3, ab}, inspect(ab)),
    ?is({1, 2, 'å'}, inspect('å')),
    ?is("not latin1", inspect('中')),
    ?is({long, -1}, inspect(-1)),
    ?is({long, 1 bsl 62}, inspect(1 bsl 62)),
    ?is({long, -(1 bsl 63)}, inspect(-(1 bsl 63))),
    ?is({ulong, (1 bsl 64) - 1}, inspect((1 bsl 64) - 1)),
    ?is(big, inspect(1 bsl 64)),
    ?is(3.0, inspect(1.5)),
    ?is({4, "abc"}, inspect("abc")),
    ?is({-8, "abcdefg"}, inspect("abcdefghi")),
    ?is({1, []}, inspect([])),
    ?is({2, [a, 300]}, inspect([a, 300])),
    ?is(improper, inspect([a|b])),
    ?is({{}, []}, inspect({})),
    ?is({{1, "x", c}, [1, "x", c]}, inspect({1, "x", c})),
    ?is({0, #{}}, inspect(#{})),
    ?is({2, #{1 => a, 2 => b}}, inspect(#{a => 1, b => 2})),
    Big = maps:from_list([{I, {I}} || I <- lists:seq(1, 100)]),
    ?is({100, maps:from_list([{{I}, I} || I <- lists:seq(1, 100)])}, inspect(Big)),
    ?is({<<"abc!">>, <<"b">>, <<"abc">>}, inspect(<<"abc">>)),
    Long = binary:copy(<<"0123456789">>, 100),
    ?is({<<Long/binary, "!">>, <<"0">>, Long}, inspect(Long)),
    <<_:3, Odd:24/bits, _/bits>> = <<5:3, "abc", 0:5>>,
    ?is({<<"abc!">>, <<"b">>, <<"abc">>}, inspect(Odd)),
    ?is(bits, inspect(<<1:3>>)),
    ?is({'fun', 'fun', pid, reference},
        {inspect(fun() -> ok end), inspect(fun lists:map/2), inspect(self()), inspect(make_ref())}),
    ?is(<<"cba">>, iolist(["a", [<<"b">>], $c])),
    ?is(200, byte_size(iolist(lists:duplicate(200, $x)))).

errors() ->
    ?raises({error, {my, reason}}, raise({my, reason})),
    ?raises({error, badarg}, iolist(foo)),
    ?raises({error, badarg}, iolist([300])),
    ?raises({error, badarg}, box_get(make_ref())),
    ?raises({error, badarg}, box_get(x)).

boxes() ->
    B = box_new({"term", #{k => <<1:600>>}}),
    ?is(true, is_reference(B)),
    erlang:garbage_collect(),
    ?is({{"term", #{k => <<1:600>>}}, 1}, box_get(B)),
    ?is(B, binary_to_term(term_to_binary(B))),
    P = spawn(fun() -> receive stop -> ok end end),
    ?is(0, box_watch(B, P)),
    P ! stop,
    ?is({dead, P, 0}, receive M -> M after 60000 -> timeout end),
    ?is(1, box_watch(B, P)),
    Q = spawn(fun() -> receive stop -> ok end end),
    ?is(0, box_watch(B, Q)),
    ?is(0, box_unwatch(B)),
    ?is(1, box_unwatch(B)),
    exit(Q, kill),
    %% The last reference is another process's, which ends.
    Self = self(),
    spawn(fun() -> X = box_new(x), Self ! {made, X}, receive _ -> ok end end) ! go,
    receive {made, _} -> ok end,
    Pid = spawn(fun() -> receive go -> X = box_new(y), Self ! {self(), box_get(X)} end end),
    Pid ! go,
    ?is({Pid, {y, 1}}, receive N = {_, _} -> N after 60000 -> timeout end).

selects() ->
    B = box_new(pipe),
    Ref = make_ref(),
    ?is(0, box_select(B, Ref)),
    ?is(nothing, receive {select, B, _, _} -> early after 50 -> nothing end),
    ?is(1, box_write(B)),
    ?is({select, B, Ref, ready_input}, receive {select, _, _, _} = M -> M after 60000 -> timeout end),
    ?is(1, box_stop_select(B)),
    %% An error on the writing side, which a reader's end is.
    E = box_new(pipe),
    ?is(0, box_select(E, Ref)),
    ?is(0, box_error(E, Ref, 0)),
    ?is(1 bsl 6, box_error(E, Ref, 1)),
    ?is(0, box_error(E, Ref, 1)),
    ?is(0, box_error(E, Ref, 0)),
    ?is(1, box_shut(E)),
    ?is({select, E, Ref, ready_error}, receive {select, _, _, _} = N -> N after 60000 -> timeout end).

%% Another resource with the same descriptor.
stolen() ->
    {From, By} = {box_new(from), box_new(by)},
    {Ref1, Ref2} = {make_ref(), make_ref()},
    ?is(0, box_select(From, Ref1)),
    ?is(0, box_steal(From, By, Ref2)),
    ?is(1, box_write(By)),
    ?is({select, By, Ref2, ready_input}, receive {select, _, _, _} = M -> M after 60000 -> timeout end),
    ?is(1, box_stop_select(By)),
    ?is(nothing, receive {select, _, _, _} = N -> N after 50 -> nothing end).

%% Calls that go on: on a dirty scheduler, and an error of theirs is the first one's.
later() ->
    ?is({1, 3}, later(x)),
    Self = self(),
    ?matches({'EXIT', {badarg, [{?MODULE, later, [Self], []}, {?MODULE, _, 0, [_ | _]} | _]}},
             catch later(self())),
    %% What is left of a slice is all that can be used up.
    {reductions, R1} = process_info(self(), reductions),
    ?is(true, spend() =< 3),
    {reductions, R2} = process_info(self(), reductions),
    ?is(true, R2 - R1 < 3 * 4000).

clocks() ->
    A = erlang:monotonic_time(nanosecond),
    N1 = erlang:now(),
    {M, Offset, N2} = times(),
    ?is(true, A =< M andalso M =< erlang:monotonic_time(nanosecond)),
    ?is(true, abs(Offset - erlang:time_offset(nanosecond)) < 60000000000),
    ?is(true, N1 < N2 andalso N2 < erlang:now()).

%% Whoever it is may send to a port; what is no data is refused, and the port lives.
ports() ->
    Self = self(),
    {Port, Owner} = cat(Self),
    ?is(1, port_say(Port, ["he", <<"llo">>])),
    ?is({data, <<"hello">>}, receive {Owner, M} -> M after 60000 -> timeout end),
    ?is(0, port_say(Port, [not_data])),
    ?is(1, port_say(Port, "again")),
    ?is({data, <<"again">>}, receive {Owner, N} -> N after 60000 -> timeout end),
    Owner ! stop,
    ?is(closed, receive {Owner, C} -> C after 60000 -> timeout end),
    ?is(0, port_say(Port, "late")).
cat(To) ->
    Owner = spawn(fun() ->
                          Port = open_port({spawn_executable, "/bin/cat"}, [stream, binary]),
                          To ! {self(), Port},
                          relay(Port, To)
                  end),
    receive {Owner, Port} -> {Port, Owner} end.
relay(Port, To) ->
    receive
        {Port, M} -> To ! {self(), M}, relay(Port, To);
        stop -> port_close(Port), To ! {self(), closed}
    end.

%% A thread finds a name whatever happens to other names.
names() ->
    register(nif_api_searched, self()),
    ?is(0, search(nif_api_searched, 300000)),
    ?is({found, 300000}, others()),
    ?is(0, search()),
    unregister(nif_api_searched).
others() ->
    Names = [list_to_atom("nif_api_" ++ integer_to_list(I)) || I <- lists:seq(1, 200)],
    Pids = [begin P = spawn(fun() -> receive stop -> ok end end), register(Name, P), P end
            || Name <- Names],
    [unregister(Name) || Name <- Names],
    [P ! stop || P <- Pids],
    receive {found, _} = F -> F after 0 -> others() end.

%% A library is not told where code lies either.
hidden() ->
    Ranges = native_hidden:ranges(),
    {_, Stack} = process_info(self(), current_stacktrace),
    Terms = {fun lists:map/2, fun hidden/0, fun inspect/1, fun(X) -> {X, Ranges} end, self(),
             Stack, <<1:7>>, #{a => 1}, make_ref()},
    {Words, Text, N} = addresses(Terms),
    ?is(length(Text), N),
    ?is([], [W || W <- Words, {From, To} <- Ranges, W >= From, W < To]),
    ?is([], native_hidden:inside(Ranges, Text)).

inspect(_) -> erlang:nif_error(nif_not_loaded).
iolist(_) -> erlang:nif_error(nif_not_loaded).
raise(_) -> erlang:nif_error(nif_not_loaded).
count(_, _) -> erlang:nif_error(nif_not_loaded).
box_new(_) -> erlang:nif_error(nif_not_loaded).
box_get(_) -> erlang:nif_error(nif_not_loaded).
box_watch(_, _) -> erlang:nif_error(nif_not_loaded).
box_unwatch(_) -> erlang:nif_error(nif_not_loaded).
box_select(_, _) -> erlang:nif_error(nif_not_loaded).
box_write(_) -> erlang:nif_error(nif_not_loaded).
box_stop_select(_) -> erlang:nif_error(nif_not_loaded).
threads(_) -> erlang:nif_error(nif_not_loaded).
misc(_, _) -> erlang:nif_error(nif_not_loaded).
addresses(_) -> erlang:nif_error(nif_not_loaded).
search() -> erlang:nif_error(nif_not_loaded).
search(_, _) -> erlang:nif_error(nif_not_loaded).
later(_) -> erlang:nif_error(nif_not_loaded).
times() -> erlang:nif_error(nif_not_loaded).
spend() -> erlang:nif_error(nif_not_loaded).
port_say(_, _) -> erlang:nif_error(nif_not_loaded).
box_error(_, _, _) -> erlang:nif_error(nif_not_loaded).
box_shut(_) -> erlang:nif_error(nif_not_loaded).
box_steal(_, _, _) -> erlang:nif_error(nif_not_loaded).
