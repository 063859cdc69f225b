#!/usr/bin/env escript
%% Writes external terms of every kind to a directory, without the version byte.
main([Dir]) ->
    Terms = [a, 'å€', 1, -1, 1 bsl 40, -(1 bsl 70), 1 bsl 3000, 1.5, "string", [a | b],
             lists:seq(1, 300), {}, {1, {2}}, list_to_tuple(lists:seq(1, 300)),
             <<>>, <<"bin">>, <<5:3>>, #{}, #{a => 1, "k" => [#{}]},
             maps:from_list([{I, I} || I <- lists:seq(1, 50)]),
             self(), make_ref(), fun lists:map/2, fun() -> Dir end,
             lists:foldl(fun(_, L) -> [L] end, [], lists:seq(1, 200))],
    lists:foreach(fun({N, T}) ->
        <<131, Bytes/binary>> = term_to_binary(T),
        ok = file:write_file(filename:join(Dir, integer_to_list(N)), Bytes)
    end, lists:zip(lists:seq(1, length(Terms)), Terms)).
