%% ++ and --, short, long, improper.
-module(lists_bif_ops).
-export([main/0]).
-include("test.hrl").

main() ->
    append(),
    subtract(),
    random(300).

append() ->
    ?is([1,2,3,4], [1,2] ++ id([3,4])),
    ?is([1,2|x], [1,2] ++ id(x)),
    ?is(x, id([]) ++ id(x)),
    ?is([1], id([1]) ++ id([])),
    ?is([], id([]) ++ id([])),
    ?raises({error, badarg}, id([1|2]) ++ id([3])),
    ?raises({error, badarg}, id([1|2]) ++ id([])),
    ?raises({error, badarg}, id(a) ++ id([3])),
    ?is([a,b], erlang:append(id([a]), id([b]))),
    %% Where the heap has room for none, some or all of the cells; cells in
    %% every order in memory.
    [begin
         A = lists:seq(1, N), B = lists:reverse(A), C = [{I, I} || I <- A],
         ?is(lists:seq(1, 2 * N), A ++ lists:seq(N + 1, 2 * N)),
         ?is(A, lists:reverse(B ++ id([]))),
         ?is({C, A}, lists:split(N, C ++ A)),
         ?is(N, length(B)),
         ?is({N, N}, lists:keyfind(N, 2, C)),
         ?is(true, lists:member(1, B)),
         ?raises({error, badarg}, (A ++ id(x)) ++ id([1]))
     end || N <- lists:seq(1, 300)],
    L = lists:seq(1, 500000),
    LL = L ++ id(L),
    ?is(1000000, length(LL)),
    ?is(LL, lists:append(L, L)),
    ?is(L, lists:sublist(LL, 500000)),
    ?is(tail, lists:nthtail(500000, L ++ id(tail))),
    ?raises({error, badarg}, (L ++ id(x)) ++ id(L)).

subtract() ->
    ?is([], id([]) -- id([])),
    ?is([3,1], id([1,2,3,1]) -- id([2,1])),
    ?is([1,2,3], id([1,2,3]) -- id([])),
    ?is([1.0], id([1,1.0]) -- id([1])),
    ?is([1], id([1,1.0]) -- id([1.0])),
    ?is([a,b], erlang:subtract(id([a,x,b,x]), id([x,x,x]))),
    ?is([{1,[2]}], id([{1,[2]},{1,[3]}]) -- id([{1,[3]}])),
    ?raises({error, badarg}, id([1|2]) -- id([1])),
    ?raises({error, badarg}, id([1]) -- id([1|2])),
    ?raises({error, badarg}, id(a) -- id([])),
    ?raises({error, badarg}, id([]) -- id(a)),
    L = lists:seq(1, 100000),
    ?is([], L -- id(lists:reverse(L))),
    ?is([1], [1|L] -- id(L)),
    ?is(L, L -- id([x])),
    ?is(lists:seq(1, 100000, 2), L -- id(lists:seq(2, 100000, 2))),
    ?is(lists:seq(50001, 100000), L -- id(lists:seq(1, 50000))),
    ?is([], L -- id(L ++ L)),
    T = [{I,<<I:32>>} || I <- lists:seq(1, 40000)],
    ?is([{1,<<1:32>>}], T -- id(tl(T))),
    ?is(lists:duplicate(60000, a), lists:duplicate(100000, a) -- id(lists:duplicate(40000, a))).

%% Against the definition.
random(0) -> ok;
random(N) ->
    A = [rand:uniform(20) || _ <- lists:seq(1, rand:uniform(80))],
    B = [rand:uniform(20) || _ <- lists:seq(1, rand:uniform(60))],
    ?is(lists:foldl(fun lists:delete/2, A, B), A -- B),
    random(N - 1).

id(X) -> X.
