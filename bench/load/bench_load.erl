%% bench_load - what loading costs: kernel, stdlib and compiler.
%%
%%    erl|ling -noshell -pa DIR -run bench_load main
%%
%% Prints `name value' lines, which bench/load.py compares:
%%   prepare_ms   CPU to check and translate all modules: the least of ?ROUNDS
%%   install_ms   ... to install those that a start does not load by itself
%%   code_bytes   erlang:memory(code) that these take (stock), the sum of their
%%                code and tables (ling)
%%   process_bytes  memory of a process that has just started
%% and on ling code and tables one by one, of the same modules.
-module(bench_load).
-export([main/0, wait/0]).

-define(ROUNDS, 15).
-define(PROCESSES, 10000).

main() ->
    Apps = [kernel, stdlib, compiler],
    Dirs = [code:lib_dir(A, ebin) || A <- Apps],
    [code:unstick_dir(D) || D <- Dirs],
    Beams = [begin
                 {ok, B} = file:read_file(F),
                 {list_to_atom(filename:basename(F, ".beam")), F, B}
             end || D <- Dirs, F <- filelib:wildcard(filename:join(D, "*.beam"))],
    io:format("modules ~b~n", [length(Beams)]),
    Prepare = lists:min([prepare(Beams) || _ <- lists:seq(1, ?ROUNDS)]),
    io:format("prepare_ms ~b~n", [Prepare]),
    New = [X || {M, _, _} = X <- Beams, not erlang:module_loaded(M)],
    Prepared = [erlang:prepare_loading(M, B) || {M, _, B} <- New],
    T0 = cpu(),
    ok = erlang:finish_loading(Prepared),
    io:format("install_ms ~b~n", [cpu() - T0]),
    code_bytes([M || {M, _, _} <- New]),
    process_bytes(),
    halt().

prepare(Beams) ->
    erlang:garbage_collect(),
    T0 = cpu(),
    [begin erlang:prepare_loading(M, B), ok end || {M, _, B} <- Beams],
    cpu() - T0.

cpu() -> element(1, erlang:statistics(runtime)).

code_bytes(Modules) ->
    io:format("new_modules ~b~n", [length(Modules)]),
    case erlang:function_exported(ling, code_size, 1) of
        false ->
            %% What is only prepared counts already.
            [true = code:delete(M) || M <- Modules],
            [code:purge(M) || M <- Modules],
            Without = erlang:memory(code),
            [{module, M} = code:load_file(M) || M <- Modules],
            io:format("code_bytes ~b~n", [erlang:memory(code) - Without]);
        true ->
            All = lists:append([ling:code_size(M) || M <- Modules]),
            Sums = [{Part, lists:sum([N || {P, N} <- All, P =:= Part])} ||
                       {Part, _} <- ling:code_size(hd(Modules))],
            io:format("code_bytes ~b~n",
                      [lists:sum([N || {P, N} <- Sums, P =/= instructions])]),
            [io:format("~s ~b~n", [P, N]) || {P, N} <- Sums]
    end.

process_bytes() ->
    Before = erlang:memory(processes),
    Pids = [spawn(?MODULE, wait, []) || _ <- lists:seq(1, ?PROCESSES)],
    receive after 100 -> ok end,
    io:format("process_bytes ~b~n", [(erlang:memory(processes) - Before) div ?PROCESSES]),
    [exit(P, kill) || P <- Pids].

wait() -> receive stop -> ok end.
