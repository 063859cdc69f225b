%% Larger pieces of OTP at work.
-module(bench_otp).
-export([names/0, program/1]).

names() -> [compile, scan_parse, io_format, base64, json_like, digraph, array, rand, pretty].

program(compile) ->
    {fun() -> forms(queue) end, fun(Forms) -> {ok, _, _} = compile:forms(Forms, [binary]) end};
program(scan_parse) ->
    {fun() -> lists:flatten([["f", integer_to_list(I), "(X, {a, Y}) when X > 1 -> [X + Y * 2 | Y].\n"]
                             || I <- lists:seq(1, 300)]) end,
     fun(S) -> {ok, Tokens, _} = erl_scan:string(S), parse(Tokens, [], 0) end};
program(io_format) ->
    {fun() -> lists:seq(1, 3000) end,
     fun(L) -> [io_lib:format("~p ~s ~8.3f ~w~n", [I, "text", I / 3, {a, I}]) || I <- L] end};
program(base64) -> {fun() -> binary:copy(<<"binary data">>, 3000) end,
                    fun(B) -> base64:decode(base64:encode(B)) end};
program(json_like) ->
    {fun() -> #{list => lists:seq(1, 50), name => <<"text">>, sub => #{a => 1.5, b => [true, null]}} end,
     fun(T) -> [iolist_to_binary(encode(T)) || _ <- lists:seq(1, 300)] end};
program(digraph) -> {fun() -> 800 end, fun digraph/1};
program(array) -> {fun() -> 20000 end, fun(N) -> array(N, array:new()) end};
program(rand) -> {fun() -> rand:seed_s(exsss, 42) end, fun(S) -> rand(60000, S) end};
program(pretty) ->
    {fun() -> [{I, [a, "string", {nested, [I]}], #{k => v}} || I <- lists:seq(1, 200)] end,
     fun(T) -> lists:flatlength(io_lib:format("~p", [T])) end}.

%% The source as the beam keeps it; without it, a module made here.
forms(M) ->
    case beam_lib:chunks(code:which(M), [abstract_code]) of
        {ok, {_, [{abstract_code, {_, Forms}}]}} -> Forms;
        _ -> made(120)
    end.
made(N) ->
    Text = ["-module(made).\n-export([f1/2]).\n",
            [["f", integer_to_list(I), "(X, Y) when is_integer(X) -> case Y of {a, Z} -> f",
              integer_to_list(I rem N + 1), "(X + 1, {a, [Z | X]}); [H | T] -> {H, T, X}; _ -> X end;\n",
              "f", integer_to_list(I), "(X, Y) -> {X, Y}.\n"] || I <- lists:seq(1, N)]],
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Text)),
    parsed(Tokens, [], []).
parsed([], _, Acc) -> lists:reverse(Acc);
parsed([{dot, _} = D | T], Form, Acc) ->
    {ok, F} = erl_parse:parse_form(lists:reverse([D | Form])),
    parsed(T, [], [F | Acc]);
parsed([X | T], Form, Acc) -> parsed(T, [X | Form], Acc).
parse([], _, N) -> N;
parse([{dot, _} = D | T], Form, N) ->
    {ok, _} = erl_parse:parse_form(lists:reverse([D | Form])),
    parse(T, [], N + 1);
parse([X | T], Form, N) -> parse(T, [X | Form], N).

encode(M) when is_map(M) ->
    [${, lists:join($,, [[$", atom_to_binary(K), $", $:, encode(V)] || {K, V} <- maps:to_list(M)]), $}];
encode(L) when is_list(L) -> [$[, lists:join($,, [encode(X) || X <- L]), $]];
encode(B) when is_binary(B) -> [$", B, $"];
encode(I) when is_integer(I) -> integer_to_binary(I);
encode(F) when is_float(F) -> float_to_binary(F, [short]);
encode(A) when is_atom(A) -> atom_to_binary(A).

digraph(N) ->
    G = digraph:new(),
    [digraph:add_vertex(G, I) || I <- lists:seq(1, N)],
    [digraph:add_edge(G, I, I * 7 rem N + 1) || I <- lists:seq(1, N)],
    C = length(digraph_utils:strong_components(G)),
    digraph:delete(G),
    C.
array(0, A) -> array:size(A);
array(N, A) -> array(N - 1, array:set(N, N, A)).
rand(0, _) -> ok;
rand(N, S) -> {_, S1} = rand:uniform_s(1000, S), rand(N - 1, S1).
