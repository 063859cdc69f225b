%% ets:update_element/3, update_counter/3,4.
-module(ets_update).
-export([main/0]).
-include("test.hrl").

main() ->
    [element(T) || T <- [set,ordered_set]],
    [counter(T) || T <- [set,ordered_set]],
    [default(T) || T <- [set,ordered_set]],
    bags().

element(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, {a,1,2}),
    ?is(true, ets:update_element(T, a, {2,x})),
    ?is([{a,x,2}], ets:lookup(T, a)),
    ?is(true, ets:update_element(T, a, [{2,"list"},{3,<<0:1000>>},{2,last}])),
    ?is([{a,last,<<0:1000>>}], ets:lookup(T, a)),
    ?is(true, ets:update_element(T, a, [])),
    ?is(false, ets:update_element(T, b, {2,x})),
    ?is(false, ets:update_element(T, b, {2})),
    ?raises({error, badarg}, ets:update_element(T, a, {1,x})),
    ?raises({error, badarg}, ets:update_element(T, a, {4,x})),
    ?raises({error, badarg}, ets:update_element(T, a, {0,x})),
    ?raises({error, badarg}, ets:update_element(T, a, {2,x,y})),
    ?raises({error, badarg}, ets:update_element(T, a, foo)),
    ?raises({error, badarg}, ets:update_element(T, a, [{2,no},{9,no}])),
    ?raises({error, badarg}, ets:update_element(T, a, [{2,no}|{3,no}])),
    ?is([{a,last,<<0:1000>>}], ets:lookup(T, a)),
    Wide = list_to_tuple([key|lists:seq(2, 300)]),
    ets:insert(T, Wide),
    ?is(true, ets:update_element(T, key, [{I,{I}} || I <- lists:seq(2, 300, 2)])),
    ?is([list_to_tuple([key|[case I rem 2 of 0 -> {I}; 1 -> I end || I <- lists:seq(2, 300)]])],
        ets:lookup(T, key)),
    ets:delete(T).

counter(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, {a,1,10,x}),
    ?is(2, ets:update_counter(T, a, 1)),
    ?is(0, ets:update_counter(T, a, -2)),
    ?is(15, ets:update_counter(T, a, {3,5})),
    ?is([1,2,14], ets:update_counter(T, a, [{2,1},{2,1},{3,-1}])),
    ?is([], ets:update_counter(T, a, [])),
    ?is([{a,2,14,x}], ets:lookup(T, a)),
    ?is(0, ets:update_counter(T, a, {2,1,2,0})),
    ?is(2, ets:update_counter(T, a, {2,2,2,0})),
    ?is(99, ets:update_counter(T, a, {2,-3,0,99})),
    ?is(1 bsl 70, ets:update_counter(T, a, {2,(1 bsl 70) - 99})),
    ?is((1 bsl 70) + 1, ets:update_counter(T, a, 1)),
    ?is([{a,(1 bsl 70) + 1,14,x}], ets:lookup(T, a)),
    ?is(1, ets:update_counter(T, a, -(1 bsl 70))),
    ?is((1 bsl 59) - 1, ets:update_counter(T, a, (1 bsl 59) - 2)),
    ?is(1 bsl 59, ets:update_counter(T, a, 1)),
    ?is(0, ets:update_counter(T, a, -(1 bsl 59))),
    ?is(1 bsl 90, ets:update_counter(T, a, {2,1,0,1 bsl 90})),
    ets:insert(T, {a,1,10,x}),
    ?raises({error, badarg}, ets:update_counter(T, b, 1)),
    ?raises({error, badarg}, ets:update_counter(T, a, {1,1})),
    ?raises({error, badarg}, ets:update_counter(T, a, {4,1})),
    ?raises({error, badarg}, ets:update_counter(T, a, {5,1})),
    ?raises({error, badarg}, ets:update_counter(T, a, {0,1})),
    ?raises({error, badarg}, ets:update_counter(T, a, {2,1.0})),
    ?raises({error, badarg}, ets:update_counter(T, a, {2,1,1})),
    ?raises({error, badarg}, ets:update_counter(T, a, {2,1,x,1})),
    ?raises({error, badarg}, ets:update_counter(T, a, foo)),
    ?raises({error, badarg}, ets:update_counter(T, a, [{2,1},{5,1}])),
    ?raises({error, badarg}, ets:update_counter(T, a, [{2,1}|x])),
    ?is([{a,1,10,x}], ets:lookup(T, a)),
    ets:insert(T, {lone}),
    ?raises({error, badarg}, ets:update_counter(T, lone, 1)),
    ets:delete(T).

default(Type) ->
    T = ets:new(x, [Type]),
    ?is(6, ets:update_counter(T, k, 1, {ignored,5})),
    ?is([{k,6}], ets:lookup(T, k)),
    ?is(7, ets:update_counter(T, k, 1, {ignored,5})),
    ?is([1,2], ets:update_counter(T, "l", [{2,1},{3,2}], {x,0,0,y})),
    ?is([{"l",1,2,y}], ets:lookup(T, "l")),
    ?raises({error, badarg}, ets:update_counter(T, m, 1, foo)),
    ?raises({error, badarg}, ets:update_counter(T, k, 1, foo)),
    ?raises({error, badarg}, ets:update_counter(T, m, 1, {a,b})),
    ?raises({error, badarg}, ets:update_counter(T, m, {3,1}, {a,1})),
    ?is(false, ets:member(T, m)),
    ets:delete(T).

bags() ->
    [begin
         T = ets:new(x, [Type]),
         ets:insert(T, {a,1}),
         ?raises({error, badarg}, ets:update_counter(T, a, 1)),
         ?raises({error, badarg}, ets:update_counter(T, a, 1, {a,1})),
         ?raises({error, badarg}, ets:update_element(T, a, {2,1})),
         ets:delete(T)
     end || Type <- [bag,duplicate_bag]].
