%% A program that leans on every allocator of the VM and ends in one line that
%% is the same each time. test/nomem/run.py runs it with one allocation failing.
-module(nomem).
-export([run/0]).

run() ->
    Sum = lists:sum([catch_out(F) || F <- [fun terms/0, fun binaries/0, fun bignums/0,
                                           fun processes/0, fun tables/0, fun files/0,
                                           fun code/0, fun regex/0, fun timers/0]]),
    io:format("nomem: ~p~n", [Sum]),
    erlang:halt(0).

%% What a process may die of when memory is out; anything else is a bug, and ends
%% the run with status 3.
catch_out(F) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({done, F()}) end),
    receive
        {'DOWN', Ref, process, Pid, {done, N}} when is_integer(N) -> N;
        {'DOWN', Ref, process, Pid, Why} ->
            io:format("nomem: ~p died of ~0p~n", [F, Why]),
            halt(case Why of
                     killed -> 2;
                     system_limit -> 2;
                     {system_limit, _} -> 2;
                     {enomem, _} -> 2;
                     {{badmatch, {error, enomem}}, _} -> 2;
                     {{badmatch, {error, system_limit}}, _} -> 2;
                     _ -> 3
                 end)
    end.

terms() ->
    L = [{I, integer_to_list(I), [I | <<I:32>>]} || I <- lists:seq(1, 300)],
    M = maps:from_list([{K, V} || {K, V, _} <- L]),
    B = term_to_binary({L, M}, [compressed]),
    {L, M} = binary_to_term(B),
    length(lists:sort(L ++ L)) + map_size(maps:map(fun(_, V) -> length(V) end, M)).

binaries() ->
    B = lists:foldl(fun(I, A) -> <<A/binary, I:64>> end, <<>>, lists:seq(1, 300)),
    Parts = binary:split(binary:copy(<<"a,bc">>, 200), <<",">>, [global]),
    U = unicode:characters_to_binary(lists:duplicate(200, $\x{e5})),
    byte_size(B) + length(Parts) + byte_size(iolist_to_binary([B, U | Parts])).

bignums() ->
    F = fun Fac(0) -> 1; Fac(N) -> N * Fac(N - 1) end,
    length(integer_to_list(F(200))) + erlang:phash2(F(150) div F(100), 1000).

processes() ->
    Me = self(),
    Pids = [spawn_link(fun() -> receive {N, From} -> From ! {self(), [N || _ <- Pad]} end end)
            || Pad <- [lists:seq(1, 50) || _ <- lists:seq(1, 50)]],
    [P ! {I, Me} || {I, P} <- lists:zip(lists:seq(1, length(Pids)), Pids)],
    lists:sum([receive {P, [N | _]} -> N end || P <- Pids]).

tables() ->
    lists:sum([table(ets:new(t, [Type])) || Type <- [set, ordered_set, bag]]).

table(T) ->
    [ets:insert(T, {I, {I, <<I:800>>}, "text"}) || I <- lists:seq(1, 300)],
    N = length(ets:select(T, [{{'$1', '_', '_'}, [{'<', '$1', 100}], [{{'$1', '$_'}}]}])),
    ets:delete(T),
    N.

files() ->
    {ok, Names} = file:list_dir(code:lib_dir(stdlib, ebin)),
    {ok, B} = file:read_file(filename:join(code:lib_dir(stdlib, ebin), "lists.beam")),
    {ok, {lists, [{exports, E}]}} = beam_lib:chunks(B, [exports]),
    length(E) + length(Names).

code() ->
    true = code:unstick_mod(orddict),
    {module, M} = code:load_file(orddict),
    code:purge(M),
    {module, M} = code:load_file(orddict),
    length(M:to_list(M:from_list([{b, 1}, {a, 2}]))).

regex() ->
    {match, L} = re:run("one two three two one", "(t\\w+)", [global]),
    length(L).

timers() ->
    Refs = [erlang:send_after(1, self(), {tick, I}) || I <- lists:seq(1, 50)],
    lists:sum([receive {tick, I} -> I end || I <- lists:seq(1, length(Refs))]).
