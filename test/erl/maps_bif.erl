%% The BIFs of maps, flat (up to 32 keys) and hashed, and their errors.
-module(maps_bif).
-export([main/0]).
-include("test.hrl").

main() ->
    [sized(N) || N <- [0, 1, 2, 31, 32, 33, 34, 100, 1000, 20000]],
    errors(),
    keys(),
    equality(),
    iterators(),
    merges(),
    guards(),
    order_of_small_maps(),
    whole().

map(N) -> maps:from_list([{I, I * I} || I <- lists:seq(1, N)]).

sized(N) ->
    M = map(N),
    ?is(N, map_size(M)),
    ?is(lists:seq(1, N), lists:sort(maps:keys(M))),
    ?is([I * I || I <- lists:seq(1, N)], lists:sort(maps:values(M))),
    ?is([{I, I * I} || I <- lists:seq(1, N)], lists:sort(maps:to_list(M))),
    ?is(maps:keys(M), [K || {K, _} <- maps:to_list(M)]),
    ?is(maps:values(M), [V || {_, V} <- maps:to_list(M)]),
    ?is(lists:duplicate(N, true), [maps:is_key(I, M) || I <- lists:seq(1, N)]),
    ?is(false, maps:is_key(0, M)),
    ?is(error, maps:find(N + 1, M)),
    ?is(M, lists:foldl(fun(I, A) -> A#{I => I * I} end, #{}, lists:seq(N, 1, -1))),
    ?is(M, maps:from_list([{I, wrong} || I <- lists:seq(1, N)] ++
                              [{I, I * I} || I <- lists:seq(1, N)])),
    ?is(maps:from_list([{I, x} || I <- lists:seq(1, N)]),
        maps:from_keys(lists:seq(1, N), x)),
    ?is(#{}, lists:foldl(fun maps:remove/2, M, lists:seq(1, N))),
    ?is(#{}, lists:foldl(fun maps:remove/2, M, lists:seq(N, 1, -1))),
    ?is(M, maps:remove(none, M)),
    ?is(error, maps:take(none, M)),
    ?is(maps:map(fun(_, V) -> V + 1 end, M),
        maps:from_list([{I, I * I + 1} || I <- lists:seq(1, N)])),
    N > 0 andalso more(N, M).

more(N, M) ->
    ?is({N * N, maps:remove(N, M)}, maps:take(N, M)),
    ?is({ok, N * N}, maps:find(N, M)),
    ?is(N * N, maps:get(N, M)),
    ?is(new, maps:get(N, maps:update(N, new, M))),
    ?is(new, maps:get(N, M#{N := new})),
    ?is(N, map_size(M#{N := new})),
    ?is(N + 1, map_size(M#{a => 1})),
    ?is(M, maps:remove(a, M#{a => 1})),
    ?raises({error, {badkey, a}}, M#{a := 1, 1 := 2}).

errors() ->
    T = id([not_a_map]),
    ?raises({error, {badmap, [not_a_map]}}, maps:get(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:find(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:is_key(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:put(a, b, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:update(a, b, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:remove(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:take(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:keys(T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:values(T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:to_list(T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:merge(T, #{})),
    ?raises({error, {badmap, [not_a_map]}}, maps:merge(#{}, T)),
    ?raises({error, {badmap, [not_a_map]}}, maps:merge(T, also_not)),
    ?raises({error, {badmap, [not_a_map]}}, map_size(T)),
    ?raises({error, {badmap, [not_a_map]}}, map_get(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, is_map_key(a, T)),
    ?raises({error, {badmap, [not_a_map]}}, T#{a => 1}),
    ?raises({error, {badkey, a}}, maps:get(a, #{})),
    ?raises({error, {badkey, a}}, map_get(a, id(#{}))),
    ?raises({error, {badkey, a}}, maps:update(a, 1, #{b => 1})),
    ?raises({error, badarg}, maps:from_list([{a, 1}, b])),
    ?raises({error, badarg}, maps:from_list([{a, 1} | b])),
    ?raises({error, badarg}, maps:from_list([{a, 1, 2}])),
    ?raises({error, badarg}, maps:from_list(a)),
    ?raises({error, badarg}, maps:from_keys([a | b], 1)),
    ?raises({error, badarg}, erts_internal:map_next(0, #{}, x)),
    ?raises({error, badarg}, erts_internal:map_next(1, #{}, iterator)),
    ?raises({error, badarg}, erts_internal:map_next(-1, map(100), iterator)).

%% Keys are compared by =:=, whatever they are.
keys() ->
    Keys = [1, 1.0, a, 'A', "a", [a], [], {}, {a}, {1}, {1.0}, <<>>, <<"a">>, <<1:1>>,
            #{}, #{a => 1}, #{a => 1.0}, 1 bsl 70, -(1 bsl 70), float(1 bsl 70),
            self(), make_ref(), fun lists:map/2, fun(X) -> X end, [a | b],
            {[{[#{[] => {}}]}]}, binary:copy(<<"x">>, 100), map(40), map(41)],
    M = maps:from_list([{K, K} || K <- Keys]),
    ?is(length(Keys), map_size(M)),
    ?is(lists:duplicate(length(Keys), true),
        [maps:get(copy(K), M) =:= K || K <- Keys]),
    Big = maps:merge(M, map(100)),
    ?is(100 + length(Keys) - 1, map_size(Big)),
    ?is(lists:duplicate(length(Keys) - 1, true),
        [maps:get(copy(K), Big) =:= K || K <- tl(Keys)]),
    %% A part of a binary, and at an odd bit, is the same key.
    <<_:3, Odd:24/bits, _/bits>> = <<0:3, "abc", 0:5>>,
    ?is(1, maps:get(Odd, maps:put(<<"abc">>, 1, map(50)))).

copy(T) when is_reference(T); is_pid(T); is_function(T) -> T;
copy(T) -> binary_to_term(term_to_binary(T)).

equality() ->
    ?is(true, id(#{1 => 1}) == #{1 => 1.0}),
    ?is(false, id(#{1 => 1}) =:= #{1 => 1.0}),
    ?is(false, id(#{1 => 1}) == #{1.0 => 1}),
    ?is(true, map(50) == maps:map(fun(_, V) -> float(V) end, map(50))),
    ?is(false, map(50) == maps:remove(1, map(51))),
    ?is(true, map(50) =:= maps:remove(51, map(51))),
    ?is(true, id(#{a => 1}) < #{a => 2}),
    ?is(true, id(#{a => 2}) < #{b => 1}),
    ?is(true, id(#{z => 1}) < #{a => 1, b => 1}),
    ?is(true, id(#{1 => z}) < #{1.0 => a}),
    ?is(true, map(40) < map(41)),
    ?is(true, (map(40))#{7 := 0} < map(40)),
    ?is(true, (map(40))#{7 := 50, 9 := 0} > map(40)),
    ?is(true, maps:remove(7, map(41)) > maps:remove(8, map(41))),
    ?is(1, maps:get({map(40)}, #{{map(40)} => 1})).

iterators() ->
    [begin
         M = map(N),
         L = walk(maps:next(maps:iterator(M))),
         ?is(lists:sort(maps:to_list(M)), lists:sort(L)),
         ?is(L, walk(maps:next(maps:iterator(M))))
     end || N <- [0, 1, 32, 33, 70, 5000]],
    ?is([{I, I} || I <- lists:seq(1, 20)],
        walk(maps:next(maps:iterator(maps:from_list([{I, I} || I <- lists:seq(1, 20)]))))),
    ?is(none, maps:next(maps:iterator(#{}))).

walk(none) -> [];
walk({K, V, I}) -> [{K, V} | walk(maps:next(I))].

merges() ->
    [begin
         A = maps:from_list([{I, a} || I <- lists:seq(1, M)]),
         B = maps:from_list([{I, b} || I <- lists:seq(S, S + N - 1)]),
         ?is(lists:foldl(fun({K, V}, Acc) -> Acc#{K => V} end, A, maps:to_list(B)),
             maps:merge(A, B))
     end || M <- [0, 5, 30, 40, 1000], N <- [0, 5, 30, 40, 1000], S <- [1, 10, 2000]].

guards() ->
    ?is([map, other, big], [kind(T) || T <- [#{a => 1}, [], map(40)]]),
    ?is([true, false, false], [has(T) || T <- [#{a => 1}, #{}, []]]),
    ?is([one, other, other], [got(T) || T <- [#{a => 1}, #{a => 2}, []]]).

kind(M) when map_size(M) > 32 -> big;
kind(M) when is_map(M) -> map;
kind(_) -> other.
has(M) when is_map_key(a, M) -> true;
has(_) -> false.
got(M) when map_get(a, M) =:= 1 -> one;
got(_) -> other.

order_of_small_maps() ->
    ?is([1, 2, 1.0, 2.0, a, b, {}, [], "x", <<>>],
        maps:keys(maps:from_keys([<<>>, "x", [], {}, b, a, 2.0, 1.0, 2, 1], x))),
    ?is([{K, x} || K <- [1, 2, a, b]],
        maps:to_list(maps:from_keys([b, 2, a, 1], x))),
    ?is([a, aa, ab, b, 'å', 'ā'],
        maps:keys(maps:from_keys(['ā', 'å', b, ab, aa, a], x))).

id(X) -> X.

%% Maps written with all their keys, in any order, at every heap size.
whole() ->
    [begin
         M = whole(I, {I}),
         ?is([{1, I}, {2, {I}}, {a, 1}, {b, [I]}, {z, {I, {I}}}], maps:to_list(M)),
         ?is(maps:from_list(maps:to_list(M)), M),
         ?is(M#{y => 1}, (whole(I, {I}))#{y => 1}),
         ?is(#{c => I}, #{c => I})
     end || I <- lists:seq(1, 500)],
    ?is(#{1 => x, 1.0 => y}, #{1.0 => id(y), 1 => id(x)}),
    ?is(2, map_size(#{{a} => id(1), "s" => id(2)})),
    ?is([{-1, 3}, {0, 2}, {576460752303423487, 4}, {576460752303423488, 5}, {a, 1}],
        maps:to_list(#{a => id(1), 0 => id(2), -1 => id(3), 576460752303423488 => id(5),
                       576460752303423487 => id(4)})).

whole(I, T) ->
    Z = id({I, T}),
    #{z => Z, 2 => T, b => [I], 1 => I, a => id(1)}.
