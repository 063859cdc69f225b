#!/usr/bin/env escript
%% asm - assemble a .S file as it is, past the compiler's check, which refuses
%% instructions that it no longer emits: test/asm.escript FILE.S OUTDIR
main([File, Dir]) ->
    {ok, [{module, M}, {exports, E}, {attributes, A}, {labels, N} | Forms]} =
        file:consult(File),
    {ok, Beam} = beam_asm:module({M, E, A, functions(Forms), N}, [], [], []),
    ok = file:write_file(filename:join(Dir, atom_to_list(M) ++ ".beam"), Beam).

functions([{function, F, A, Entry} | Forms]) ->
    {Code, Rest} = lists:splitwith(fun(I) -> element(1, I) =/= function end,
                                   [wrap(I) || I <- Forms]),
    [{function, F, A, Entry, [unwrap(I) || I <- Code]} | functions(Rest)];
functions([]) ->
    [].

wrap(I) when is_atom(I) -> {I};
wrap(I) -> I.
unwrap({I}) -> I;
unwrap(I) -> I.
