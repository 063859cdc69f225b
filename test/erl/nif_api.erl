%% enif_*: a library made with OTP's header, driven from here (nif_api.c).
-module(nif_api).
-export([main/0]).
-export([inspect/1, iolist/1, raise/1, count/2, box_new/1, box_get/1, box_watch/2,
         box_unwatch/1, box_select/2, box_write/1, box_stop_select/1, threads/1, misc/2,
         addresses/1]).
-nifs([inspect/1, iolist/1, raise/1, count/2, box_new/1, box_get/1, box_watch/2,
       box_unwatch/1, box_select/2, box_write/1, box_stop_select/1, threads/1, misc/2,
       addresses/1]).
-include("test.hrl").

main() ->
    Lib = filename:rootname(code:which(?MODULE)),
    ?matches({error, {load_failed, _}}, erlang:load_nif("/no/such/library", ok)),
    ?matches({error, {load, "Library load-call unsuccessful (17)."}}, erlang:load_nif(Lib, 1)),
    ?raises({error, badarg}, erlang:load_nif(1, ok)),
    ?raises({error, nif_not_loaded}, inspect(a)),
    ?is(ok, erlang:load_nif(Lib, ok)),
    ?matches({error, {reload, _}}, erlang:load_nif(Lib, ok)),
    terms(), errors(), boxes(), selects(), hidden(),
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
    ?is(1, box_stop_select(B)).

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
