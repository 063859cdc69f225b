%% test - runs behaviour test modules and counts what fails.
%%
%%    erl -noshell -pa EBIN -eval 'test:run([lists_bif, ext_term])'
%%
%% Prints one line a module, `ok' or the lines that failed, and ends the VM with
%% status 0 or 1. A module that ends in TEST_MINUTES (of the environment; 2) is not
%% taken for one that hangs.
-module(test).
-export([run/1, is/4, raised/5, matched/5, in_image/0]).

-define(TEXT_CHARS, 600).        % of a failure's terms

run(Modules) ->
    Failed = [M || M <- Modules, not run_module(M)],
    io:format("~b of ~b modules failed~s~n",
              [length(Failed), length(Modules), [[" ", atom_to_list(M)] || M <- Failed]]),
    halt(case Failed of [] -> 0; _ -> 1 end).

%% Alone on a machine: no descriptors, no paths but the image's.
in_image() -> code:root_dir() =:= "/otp".

run_module(M) ->
    {Pid, Ref} = spawn_monitor(fun() -> put(failed, 0), M:main(), exit({done, get(failed), get(checks)}) end),
    receive
        {'DOWN', Ref, process, Pid, {done, 0, N}} when is_integer(N) ->
            io:format("~s: ok, ~b checks~n", [M, N]),
            true;
        {'DOWN', Ref, process, Pid, {done, 0, undefined}} ->
            io:format("~s: checks nothing~n", [M]),
            false;
        {'DOWN', Ref, process, Pid, {done, F, N}} ->
            io:format("~s: ~b of ~b checks failed~n", [M, F, N]),
            false;
        {'DOWN', Ref, process, Pid, Reason} ->
            io:format("~s: died: ~0p~n", [M, Reason]),
            false
    after minutes() * 60000 ->
            exit(Pid, kill),
            io:format("~s: not done after ~b minutes~n", [M, minutes()]),
            false
    end.

minutes() -> list_to_integer(os:getenv("TEST_MINUTES", "2")).

is(Module, Line, Expected, Fun) ->
    count(checks),
    try Fun() of
        Expected -> ok;
        Other -> failed(Module, Line, "expected ~0tp, got ~0tp", [Expected, Other])
    catch
        Class:Reason:Stack ->
            failed(Module, Line, "expected ~0tp, got ~p:~0tp ~0tp",
                   [Expected, Class, Reason, Stack])
    end.

raised(Module, Line, Text, Match, Fun) ->
    count(checks),
    try Fun() of
        Other -> failed(Module, Line, "expected ~s, got ~0tp", [Text, Other])
    catch
        Class:Reason ->
            case Match({Class, Reason}) of
                true -> ok;
                false -> failed(Module, Line, "expected ~s, got ~p:~0tp", [Text, Class, Reason])
            end
    end.

matched(Module, Line, Text, Match, Fun) ->
    count(checks),
    try Fun() of
        Value ->
            case Match(Value) of
                true -> ok;
                false -> failed(Module, Line, "expected ~s, got ~0tp", [Text, Value])
            end
    catch
        Class:Reason:Stack ->
            failed(Module, Line, "expected ~s, got ~p:~0tp ~0tp", [Text, Class, Reason, Stack])
    end.

%% Checks in other processes than the module's own are counted there.
count(Key) ->
    put(Key, case get(Key) of undefined -> 1; N -> N + 1 end).

failed(Module, Line, Format, Args) ->
    count(failed),
    Text = unicode:characters_to_list(io_lib:format(Format, Args)),
    io:format("~s:~b: ~ts~n", [Module, Line, string:slice(Text, 0, ?TEXT_CHARS)]).
