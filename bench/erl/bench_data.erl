%% Terms: maps, binaries, bignums, sorting, strings, exceptions, matching.
-module(bench_data).
-export([names/0, program/1]).

names() ->
    [map_small, map_update, map_large, map_fold, bin_build, bin_match, bin_comp, fact, pidigits,
     big_div, sort, sort_words, keysort, string_split, string_case, float_text, integer_text,
     exceptions, records, dispatch, dict, gb_trees, sets, queue, queens, comprehension].

program(map_small) ->
    {fun() -> #{a => 1, b => 2, c => 3, d => 4, e => 5} end, fun(M) -> map_small(200000, M, 0) end};
program(map_update) ->
    {fun() -> #{a => 1, b => 2, c => 3, d => 4, e => 5} end, fun(M) -> map_update(200000, M) end};
program(map_large) ->
    {fun() -> lists:seq(1, 20000) end,
     fun(L) -> M = lists:foldl(fun(K, A) -> A#{K => K} end, #{}, L),
               lists:foldl(fun(K, A) -> A + map_get(K, M) end, 0, L) end};
program(map_fold) ->
    {fun() -> maps:from_list([{I, I} || I <- lists:seq(1, 20000)]) end,
     fun(M) -> maps:fold(fun(_, V, A) -> V + A end, 0, maps:map(fun(_, V) -> V + 1 end, M)) end};
program(bin_build) ->
    {fun() -> 200000 end, fun(N) -> bin_build(N, <<>>) end};
program(bin_match) ->
    {fun() -> binary:copy(<<1:16, 2:24, 3:32, 5:8>>, 20000) end, fun(B) -> bin_match(B, 0) end};
program(bin_comp) ->
    {fun() -> binary:copy(<<1, 2, 3, 4>>, 20000) end, fun(B) -> << <<(X bxor 85)>> || <<X>> <= B >> end};
program(fact) -> {fun() -> 1500 end, fun(N) -> fact(N, 1) end};
program(pidigits) -> {fun() -> 400 end, fun pidigits/1};
program(big_div) ->
    {fun() -> {(1 bsl 4000) - 17, (1 bsl 1000) + 33} end, fun({A, B}) -> big_div(3000, A, B, 0) end};
program(sort) -> {fun() -> randoms(50000, 7, []) end, fun lists:sort/1};
program(sort_words) ->
    {fun() -> [integer_to_list(X) || X <- randoms(15000, 7, [])] end, fun lists:sort/1};
program(keysort) ->
    {fun() -> [{X, X} || X <- randoms(30000, 7, [])] end, fun(L) -> lists:keysort(1, L) end};
program(string_split) ->
    {fun() -> lists:flatten(lists:duplicate(3000, "alpha,beta;gamma ")) end,
     fun(S) -> string:lexemes(S, ",; ") end};
program(string_case) ->
    {fun() -> unicode:characters_to_binary(lists:duplicate(2000, "Straße und Ähre ")) end,
     fun(S) -> string:uppercase(S) end};
program(float_text) ->
    {fun() -> [X / 7 || X <- randoms(6000, 7, [])] end,
     fun(L) -> [list_to_float(float_to_list(X, [short])) || X <- L] end};
program(integer_text) ->
    {fun() -> randoms(60000, 7, []) end,
     fun(L) -> [list_to_integer(integer_to_list(X)) || X <- L] end};
program(exceptions) -> {fun() -> 60000 end, fun exceptions/1};
program(records) -> {fun() -> {state, 0, 0, [], undefined, x} end, fun(R) -> records(300000, R) end};
program(dispatch) ->
    {fun() -> lists:flatten(lists:duplicate(3000, ops())) end, fun(L) -> dispatch(L, 0) end};
program(dict) ->
    {fun() -> lists:seq(1, 8000) end,
     fun(L) -> lists:foldl(fun(K, D) -> dict:update_counter(K rem 500, 1, D) end, dict:new(), L) end};
program(gb_trees) ->
    {fun() -> randoms(10000, 7, []) end,
     fun(L) -> lists:foldl(fun(K, T) -> gb_trees:enter(K, K, T) end, gb_trees:empty(), L) end};
program(sets) ->
    {fun() -> {lists:seq(1, 10000), lists:seq(5000, 15000)} end,
     fun({A, B}) -> sets:size(sets:intersection(sets:from_list(A, [{version, 2}]),
                                                sets:from_list(B, [{version, 2}]))) end};
program(queue) -> {fun() -> 150000 end, fun(N) -> queue(N, queue:new()) end};
program(queens) -> {fun() -> 7 end, fun(N) -> length(queens(N, N)) end};
program(comprehension) ->
    {fun() -> lists:seq(1, 110) end,
     fun(L) -> length([{A, B} || A <- L, B <- L, (A * B) rem 7 =:= 3]) end}.

map_small(0, _, A) -> A;
map_small(N, #{b := B, d := D} = M, A) -> map_small(N - 1, M, A + B + D).
map_update(0, M) -> M;
map_update(N, #{c := C} = M) -> map_update(N - 1, M#{c := C + 1, e => N}).

bin_build(0, B) -> B;
bin_build(N, B) -> bin_build(N - 1, <<B/binary, N:16, 7>>).
bin_match(<<A:16, B:24, C:32, D, R/binary>>, S) -> bin_match(R, S + A + B + C + D);
bin_match(<<>>, S) -> S.

fact(0, A) -> A;
fact(N, A) -> fact(N - 1, A * N).
big_div(0, _, _, S) -> S;
big_div(N, A, B, S) -> big_div(N - 1, A - 1, B, (S + A div B + A rem B) band 65535).
pidigits(N) -> pi(N, 1, 180, 60, 2, []).
pi(0, _, _, _, _, L) -> L;
pi(N, Q, R, T, I, L) ->
    U = 3 * (3 * I + 1) * (3 * I + 2),
    Y = (Q * (27 * I - 12) + 5 * R) div (5 * T),
    pi(N - 1, 10 * Q * I * (2 * I - 1), 10 * U * (Q * (5 * I - 2) + R - Y * T), T * U, I + 1, [Y | L]).

randoms(0, _, L) -> L;
randoms(N, X, L) -> Y = (X * 1103515245 + 12345) band 16#7fffffff, randoms(N - 1, Y, [Y bsr 3 | L]).

exceptions(0) -> ok;
exceptions(N) ->
    try risky(N) catch throw:{odd, _} -> ok; error:badarith -> ok end,
    exceptions(N - 1).
risky(N) when N band 1 =:= 1 -> throw({odd, N});
risky(N) -> N / (N - N).

records(0, R) -> R;
records(N, {state, A, B, L, U, X}) when A < 1000000 ->
    records(N - 1, {state, A + 1, B + A band 7, L, U, X}).

ops() -> [{add, 1}, {sub, 2}, {push, a}, stop, {mul, 3}, nop, {neg}, {swap, 1, 2}].
dispatch([{add, N} | T], A) -> dispatch(T, A + N);
dispatch([{sub, N} | T], A) -> dispatch(T, A - N);
dispatch([{mul, N} | T], A) -> dispatch(T, (A * N) band 16#ffff);
dispatch([{push, X} | T], A) when is_atom(X) -> dispatch(T, A + 1);
dispatch([{neg} | T], A) -> dispatch(T, -A);
dispatch([{swap, X, Y} | T], A) -> dispatch(T, A + X - Y);
dispatch([stop | T], A) -> dispatch(T, A);
dispatch([nop | T], A) -> dispatch(T, A);
dispatch([], A) -> A.

queue(0, Q) -> Q;
queue(N, Q) ->
    case queue:out(queue:in(N, queue:in(N, Q))) of
        {{value, _}, Q1} when N rem 2 =:= 0 -> queue(N - 1, queue:drop(Q1));
        {_, Q1} -> queue(N - 1, Q1)
    end.

queens(0, _) -> [[]];
queens(K, N) -> [[Q | B] || B <- queens(K - 1, N), Q <- lists:seq(1, N), safe(Q, B, 1)].
safe(_, [], _) -> true;
safe(Q, [Q1 | B], D) -> Q =/= Q1 andalso abs(Q - Q1) =/= D andalso safe(Q, B, D + 1).
