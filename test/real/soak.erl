%% A random mix of spawn, kill, link, send, ETS and code reload for a while:
%% soak:run(Seconds) says every tenth of it how much memory is in use, and ends with
%% status 1 if the second half used more than the first.
-module(soak).
-export([run/1, worker/2]).

-define(WORKERS, 200).

run([Seconds0, Seed]) ->
    Seconds = list_to_integer(Seconds0),
    rand:seed(exsss, list_to_integer(Seed)),
    process_flag(trap_exit, true),
    ets:new(names, [named_table, public]),
    ets:new(rows, [named_table, public, ordered_set]),
    {ok, reloaded, _} = load(0),
    T0 = erlang:monotonic_time(millisecond),
    Peaks = [stretch(T0 + I * Seconds * 100) || I <- lists:seq(1, 10)],
    {First, Second} = lists:split(5, Peaks),
    %% The first stretch fills tables and caches; a tenth more is noise.
    Before = lists:max(tl(First)), After = lists:max(Second),
    io:format("soak: ~b operations; at most ~b MiB before, ~b MiB after half of the time~n",
              [get(operations), Before bsr 20, After bsr 20]),
    halt(case After =< Before + Before div 10 of true -> 0; false -> 1 end).

%% Memory in use when it is Until, after a collection of everything.
stretch(Until) ->
    [step(rand:uniform(100)) || _ <- lists:seq(1, 2000)],
    put(operations, 2000 + case get(operations) of undefined -> 0; N -> N end),
    drain(),
    case erlang:monotonic_time(millisecond) >= Until of
        true ->
            [garbage_collect(P) || P <- processes()],
            Now = erlang:memory(total),
            io:format("soak: ~b KiB in use, ~b processes, ~b atoms~n",
                      [Now bsr 10, length(processes()), erlang:system_info(atom_count)]),
            Now;
        false -> stretch(Until)
    end.

step(N) when N =< 25 -> start();
step(N) when N =< 45 -> with(fun(P) -> exit(P, element(rand:uniform(3), {kill, shutdown, odd})) end);
step(N) when N =< 55 -> with(fun(P) -> with(fun(Q) -> P ! {link, Q} end) end);
step(N) when N =< 80 -> with(fun(P) -> P ! {work, rand:uniform(1000)} end);
step(N) when N =< 99 ->
    ets:insert(rows, {rand:uniform(5000), binary:copy(<<N>>, rand:uniform(300))}),
    ets:delete(rows, rand:uniform(5000));
step(_) ->
    {ok, reloaded, V} = load(rand:uniform(50)),
    V = reloaded:version().

start() ->
    case ets:info(names, size) < ?WORKERS of
        true -> ets:insert(names, {spawn_link(?MODULE, worker, [[], 0])});
        false -> ok
    end.

with(F) ->
    case ets:tab2list(names) of
        [] -> ok;
        Workers -> F(element(1, lists:nth(rand:uniform(length(Workers)), Workers)))
    end.

%% Keeps some of what it makes, dies by links and signals, and of its own bugs.
worker(Kept, N) ->
    receive
        {link, P} -> catch link(P), worker(Kept, N);
        {work, 13} -> exit(unlucky);
        {work, 7} -> spawn_link(fun() -> timer:sleep(1), exit(normal) end), worker(Kept, N);
        {work, I} ->
            New = {I, lists:seq(1, I), #{I => binary:copy(<<"x">>, I)}},
            (catch ets:insert(rows, {I, New})),
            erlang:send_after(rand:uniform(20), self(), {work, I div 2 + 1}),
            worker(lists:sublist([New | Kept], 20), reloaded:version() + N)
    after 200 -> ok
    end.

drain() ->
    receive {'EXIT', P, _} -> ets:delete(names, P), drain()
    after 0 -> ok
    end.

%% A module whose version/0 gives V, over the one before it.
load(V) ->
    Forms = [{attribute, 1, module, reloaded}, {attribute, 1, export, [{version, 0}]},
             {function, 1, version, 0, [{clause, 1, [], [], [{integer, 1, V}]}]}],
    {ok, reloaded, Beam} = compile:forms(Forms, []),
    code:purge(reloaded),
    {module, reloaded} = code:load_binary(reloaded, "reloaded.beam", Beam),
    {ok, reloaded, V}.
