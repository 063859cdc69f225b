#!/usr/bin/env escript
%% coverage - is every instruction that compilers emit, and every BIF that a
%% boot calls, used by a test?
%%
%%    test/coverage.escript EBIN
%%
%% test/needs/opcodes.tsv and boot_bifs.txt name them; EBIN has the compiled
%% test modules. Prints what no test uses; status 1 if there is any.
-mode(compile).

main([Ebin]) ->
    Beams = filelib:wildcard(filename:join(Ebin, "*.beam")),
    Ops = lists:usort(lists:flatmap(fun ops/1, Beams)),
    Calls = lists:usort(lists:flatmap(fun calls/1, Beams)),
    {ok, T} = file:read_file("test/needs/opcodes.tsv"),
    [_ | Rows] = string:lexemes(T, "\n"),
    Names = [lists:nth(2, string:lexemes(R, "\t")) || R <- Rows],
    {ok, B} = file:read_file("test/needs/boot_bifs.txt"),
    Bifs = string:lexemes(B, "\n"),
    NoOp = [N || N <- Names, not lists:member(N, Ops)],
    NoBif = [N || N <- Bifs, not called(N, Calls)],
    io:format("~b of ~b instructions in tests~s~n",
              [length(Names) - length(NoOp), length(Names), missing(NoOp)]),
    io:format("~b of ~b BIFs of a boot in tests~s~n",
              [length(Bifs) - length(NoBif), length(Bifs), missing(NoBif)]),
    halt(case {NoOp, NoBif} of {[], []} -> 0; _ -> 1 end).

%% A native of prim_file is called by the exported function of its name, or one.
called(<<"prim_file:read_info_nif/2">>, Calls) ->
    lists:member(<<"prim_file:read_file_info/1">>, Calls);
called(Bif, Calls) ->
    lists:member(Bif, Calls) orelse
        case string:split(Bif, "_nif/") of
            [Name, _] -> lists:any(fun(C) -> string:prefix(C, [Name, "/"]) =/= nomatch end, Calls);
            _ -> false
        end.

missing([]) -> "";
missing(L) -> [", none for:", [[" ", N] || N <- L]].

%% The generic instructions of a module, by the numbers in its Code chunk: what
%% beam_disasm shows has been renamed in places.
ops(Beam) ->
    {beam_file, _, _, _, _, Fs} = beam_disasm:file(Beam),
    [name(I) || {function, _, _, _, Is} <- Fs, I <- Is] ++ [<<"int_code_end">>].

name(I) when is_atom(I) -> atom_to_binary(I);
name({test, Op, _, _}) -> atom_to_binary(Op);
name({test, Op, _, _, _}) -> atom_to_binary(Op);
name({test, Op, _, _, _, _}) -> atom_to_binary(Op);
name({bif, _, nofail, Args, _}) -> bif("bif", Args);
name({bif, _, _, Args, _}) -> bif("bif", Args);
name({gc_bif, _, _, _, Args, _}) -> bif("gc_bif", Args);
name({arithfbif, Op, _, _, _}) -> atom_to_binary(Op);
name(I) -> atom_to_binary(element(1, I)).

bif(Kind, Args) -> iolist_to_binary([Kind, integer_to_list(length(Args))]).

calls(Beam) ->
    {ok, {_, [{imports, Imports}]}} = beam_lib:chunks(Beam, [imports]),
    [unicode:characters_to_binary(io_lib:format("~ts:~ts/~b", [M, F, A])) ||
        {M, F, A} <- Imports].
