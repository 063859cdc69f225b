%% Run benchmark programs in this VM and print how long each took.
%%
%%     erl -noshell -pa DIR -s bench main ROUNDS PROGRAM... -s init stop
%%
%% A program is a function program(Name) of a bench_* module: {Prepare, Run}.
%% Prepare's result is Run's argument. Each runs ROUNDS times, in a fresh
%% process each time; a row "NAME MICROSECONDS" tells the fastest.
-module(bench).
-export([main/1, names/0, names/1]).

modules() ->
    [bench_ten, bench_data, bench_proc, bench_bif, bench_otp].

names() -> [N || M <- modules(), N <- M:names()].

%% The names on standard output, for the script.
names(_) ->
    io:format("~s~n", [lists:join(" ", [atom_to_list(N) || N <- names()])]).

main([Rounds | Names]) ->
    N = list_to_integer(atom_to_list(Rounds)),
    [io:format("~s ~p~n", [Name, best(N, Name)]) || Name <- Names],
    ok.

best(N, Name) ->
    [M] = [M || M <- modules(), lists:member(Name, M:names())],
    lists:min([once(M, Name) || _ <- lists:seq(1, N)]).

once(M, Name) ->
    Self = self(),
    {Pid, Ref} = spawn_monitor(fun() ->
        {Prepare, Run} = M:program(Name),
        Arg = Prepare(),
        T0 = erlang:monotonic_time(microsecond),
        _ = Run(Arg),
        T1 = erlang:monotonic_time(microsecond),
        Self ! {self(), T1 - T0}
    end),
    receive
        {Pid, T} -> erlang:demonitor(Ref, [flush]), T;
        {'DOWN', Ref, process, _, Why} ->
            io:format(standard_error, "~s failed: ~p~n", [Name, Why]),
            halt(1)
    end.
