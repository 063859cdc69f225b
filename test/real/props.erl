%% PropEr on the VM: ten thousand generated cases over what the VM itself does.
-module(props).
-export([run/0]).
-import(proper_types, [any/0, binary/0, integer/0, list/1, tuple/1]).
-define(FORALL(X, Type, Property), proper:forall(Type, fun(X) -> Property end)).

run() ->
    Results = [{Name, proper:quickcheck(P, [{numtests, 2500}, quiet])} || {Name, P} <- properties()],
    io:format("proper: ~0p~n", [Results]),
    halt(case [N || {N, R} <- Results, R =/= true] of [] -> 0; _ -> 1 end).

properties() ->
    [{reverse, ?FORALL(L, list(any()), lists:reverse(lists:reverse(L)) =:= L)},
     {external, ?FORALL(T, any(), binary_to_term(term_to_binary(T)) =:= T)},
     {map, ?FORALL(L, list(tuple([any(), any()])), is_map_of(maps:from_list(L), L))},
     {split, ?FORALL({L, B}, tuple([list(integer()), binary()]),
                     lists:usort(L) =:= ordsets:from_list(L) andalso
                     iolist_to_binary(binary:split(B, <<0>>, [global])) =:=
                         << <<C>> || <<C>> <= B, C =/= 0 >>)}].

is_map_of(M, L) ->
    lists:all(fun({K, _}) ->
                  {K, V} = lists:keyfind(K, 1, [E || {K1, _} = E <- lists:reverse(L), K1 =:= K]),
                  V =:= maps:get(K, M)
              end, L).
