%% bench_stream - one connection, one way: `sink' takes and counts, `source
%% ADDRESS MEGABYTES' sends, waits for the count to come back, and prints MB/s.
-module(bench_stream).
-export([run/0]).

-define(PORT, 7778).
-define(PART, 65536).

run() ->
    case init:get_plain_arguments() of
        ["sink"] -> sink();
        ["source", Address, Megabytes] -> source(Address, list_to_integer(Megabytes))
    end.

sink() ->
    {ok, L} = gen_tcp:listen(?PORT, [binary, {active, false}, {reuseaddr, true}, {recbuf, 262144},
                                     {buffer, ?PART}]),
    {ok, Ifs} = inet:getifaddrs(),
    [io:format("sink at ~s~n", [inet:ntoa(A)]) || {_, O} <- Ifs, {addr, A} <- O, tuple_size(A) =:= 4],
    taking(L).

taking(L) ->
    {ok, S} = gen_tcp:accept(L),
    <<Wanted:64>> = element(2, {ok, _} = gen_tcp:recv(S, 8)),
    take(S, Wanted),
    ok = gen_tcp:send(S, <<Wanted:64>>),
    gen_tcp:close(S),
    taking(L).

take(_, 0) -> ok;
take(S, Left) ->
    {ok, Part} = gen_tcp:recv(S, 0),
    take(S, Left - byte_size(Part)).

source(Address, Megabytes) ->
    {ok, A} = inet:parse_address(Address),
    {ok, S} = gen_tcp:connect(A, ?PORT, [binary, {active, false}]),
    Parts = Megabytes * 1000000 div ?PART,
    Part = binary:copy(<<"stream. ">>, ?PART div 8),
    T0 = erlang:monotonic_time(microsecond),
    ok = gen_tcp:send(S, <<(Parts * ?PART):64>>),
    [ok = gen_tcp:send(S, Part) || _ <- lists:seq(1, Parts)],
    {ok, _} = gen_tcp:recv(S, 8),
    T1 = erlang:monotonic_time(microsecond),
    io:format("~.1f MB/s~n", [Parts * ?PART / (T1 - T0)]),
    halt(0).
