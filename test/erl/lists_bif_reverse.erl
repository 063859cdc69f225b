%% lists:reverse/2, member/2, keyfind/3 and relatives, length/1. The long lists
%% are done in many slices.
-module(lists_bif_reverse).
-export([main/0]).
-include("test.hrl").

main() ->
    reverse(),
    member(),
    keys(),
    len().

reverse() ->
    ?is([3,2,1|x], lists:reverse([1,2,3], x)),
    ?is(tail, lists:reverse([], tail)),
    ?is([], lists:reverse([])),
    ?raises({error, badarg}, lists:reverse([1|2], [])),
    ?raises({error, badarg}, lists:reverse(foo, [])),
    ?raises({error, function_clause}, lists:reverse(foo)),
    L = lists:seq(1, 200000),
    ?is(L, lists:reverse(lists:reverse(L, []), [])),
    ?raises({error, badarg}, lists:reverse(L ++ x, [])).

member() ->
    ?is(true, lists:member(b, [a,b,c])),
    ?is(false, lists:member(d, [a,b,c])),
    ?is(false, lists:member(1, [1.0])),
    ?is(true, lists:member(1.0, [1,1.0])),
    ?is(true, lists:member({a,[1|<<"x">>]}, [{a,[1|<<"y">>]},{a,[1|<<"x">>]}])),
    ?is(false, lists:member(x, [])),
    ?is(true, lists:member(1 bsl 70, [1 bsl 69, 1 bsl 70])),
    ?raises({error, badarg}, lists:member(x, [a|b])),
    ?is(true, lists:member(a, [a|b])),
    ?raises({error, badarg}, lists:member(x, x)),
    L = lists:seq(1, 300000),
    ?is(true, lists:member(300000, L)),
    ?is(false, lists:member(300001, L)),
    ?is(true, lists:member({300000}, [{I} || I <- L])).

keys() ->
    L = [{a,1},x,{b},{},{c,1.0},{d,2},[],{d,3}],
    ?is({a,1}, lists:keyfind(1, 2, L)),
    ?is({a,1}, lists:keyfind(1.0, 2, L)),
    ?is({c,1.0}, lists:keyfind(1, 2, tl(L))),
    ?is({d,2}, lists:keyfind(d, 1, L)),
    ?is(false, lists:keyfind(e, 1, L)),
    ?is(false, lists:keyfind(a, 3, L)),
    ?is({value,{b}}, lists:keysearch(b, 1, L)),
    ?is(false, lists:keysearch(b, 2, L)),
    ?is(true, lists:keymember(c, 1, L)),
    ?is(false, lists:keymember(c, 1, [])),
    ?is({{1,1.0},x}, lists:keyfind({1.0,1}, 1, [{{1,2},y},{{1,1.0},x}])),
    ?is({1 bsl 64}, lists:keyfind(18446744073709551616.0, 1, [{1},{1 bsl 64}])),
    %% A small is compared to a float as a float.
    ?is({9007199254740992.0}, lists:keyfind((1 bsl 53) + 1, 1, [{9007199254740992.0}])),
    ?raises({error, badarg}, lists:keyfind(a, 0, L)),
    ?raises({error, badarg}, lists:keyfind(a, x, L)),
    ?raises({error, badarg}, lists:keyfind(a, 1 bsl 70, L)),
    ?raises({error, badarg}, lists:keyfind(z, 1, L ++ x)),
    ?raises({error, badarg}, lists:keymember(z, 1, {})),
    ?raises({error, badarg}, lists:keysearch(z, -1, [])),
    ?is({a,1}, lists:keyfind(a, 1, L ++ x)),
    Long = [{I,x} || I <- lists:seq(1, 200000)],
    ?is({200000,x}, lists:keyfind(200000, 1, Long)),
    ?is({200000,x}, lists:keyfind(200000.0, 1, Long)),
    ?is(true, lists:keymember(200000, 1, Long)),
    ?is(false, lists:keymember(200001, 1, Long)),
    ?is({value,{7,x}}, lists:keysearch(7, 1, Long)).

len() ->
    ?is(0, length([])),
    ?is(3, length([a,b,c])),
    ?is(500000, length(lists:duplicate(500000, x))),
    ?raises({error, badarg}, length(id([a|b]))),
    ?raises({error, badarg}, length(id(foo))),
    X = id(foo),
    ?is(no, if length(X) > 0 -> yes; true -> no end).

id(X) -> X.
