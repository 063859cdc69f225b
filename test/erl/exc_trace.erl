%% exc_trace - stack traces as OTP's native code makes them, oddities included.
%% Most cases were found by test/diff.
-module(exc_trace).
-export([main/0, id/1, clause/1, deep/2, again/1]).
-include("test.hrl").

id(X) -> X.

clause(a) -> a.

trace(F) ->
    try F() of
        V -> {value, V}
    catch
        _:_:Stack -> [{M, F1, A} || {M, F1, A, _} <- Stack, M =/= test, M =/= init]
    end.

%% The frames of this module above the fun in main.
mine(F) -> [case A of _ when is_list(A) -> {N, A}; _ -> N end ||
               {M, N, A} <- trace(F), M =:= ?MODULE orelse is_list(A),
               hd(atom_to_list(N)) =/= $-, N =/= trace, N =/= mine, N =/= main].

%% A call of what is no fun has its frame begun.
body_fun(F, X) -> {F(X)}.
last_fun(F, X) -> put(k, 1), F(X).
body_apply(F, As) -> {apply(F, As)}.
last_apply(F, As) -> put(k, 1), apply(F, As).
body_apply(M, F, As) -> {apply(M, F, As)}.
last_apply(M, F, As) -> put(k, 1), apply(M, F, As).
body_call(M, F, X) -> {M:F(X)}.
last_call(M, F, X) -> put(k, 1), M:F(X).

%% The instruction that fails stands right behind a call of the function itself.
deep(0, _) -> 0;
deep(N, M) ->
    K = deep(N - 1, M),
    {map_get(K, M)}.

deep_error(0) -> 0;
deep_error(N) -> {error(deep_error(N - 1))}.

%% The compiler names a frame for the call of error/1 that is gone (trim).
trimmed(0) ->
    Self = self(),
    [] = lists:flatten([id([])]),
    Self ! x,
    receive x -> ok end,
    (get(no_such_key) andalso true);
trimmed(N) -> {trimmed(N - 1)}.

%% Raised again by raise/3, a function_clause does not know its line any more.
again(F) ->
    try F() catch C:R:S -> erlang:raise(C, R, S) end.

minus(X) -> X - 7.
plus(X) -> X + 7.
plus_least(X) -> X + -16#800000000000000.

main() ->
    ?is([body_fun, body_fun], mine(fun() -> body_fun(id(a), 1) end)),
    ?is([body_fun, body_fun], mine(fun() -> body_fun(fun(_, _) -> 1 end, 1) end)),
    ?is([last_fun], mine(fun() -> last_fun(id({}), 1) end)),
    ?is([{abs, [a]}, body_fun], mine(fun() -> body_fun(fun erlang:abs/1, a) end)),
    ?is([{abs, [a]}], mine(fun() -> last_fun(fun erlang:abs/1, a) end)),

    ?is([body_apply, body_apply], mine(fun() -> body_apply(id(a), [1]) end)),
    ?is([last_apply], mine(fun() -> last_apply(fun() -> 1 end, [1]) end)),
    ?is([{apply, [x, y]}, body_apply], mine(fun() -> body_apply(x, y) end)),
    ?is([{apply, [x, [1 | 2]]}, last_apply], mine(fun() -> last_apply(x, [1 | 2]) end)),
    ?is([{apply, [lists, sort, a]}, body_apply], mine(fun() -> body_apply(lists, sort, a) end)),
    ?is([3, 2, 1], last_apply(erlang, apply, [erlang, apply, [lists, reverse, [[1, 2, 3]]]])),
    ?is([{apply, [erlang, apply, [x | 1]]}, last_apply],
        mine(fun() -> last_apply(erlang, apply, [erlang, apply, [x | 1]]) end)),
    ?is([{apply, [1, sort, []]}, last_apply], mine(fun() -> last_apply(1, sort, []) end)),
    ?is([{apply, [1, f, [x]]}, body_call], mine(fun() -> body_call(1, f, x) end)),
    ?is([{apply, [m, 2, [x]]}, last_call], mine(fun() -> last_call(m, 2, x) end)),
    ?is([last_call], mine(fun() -> last_call(erlang, error, x) end)),
    ?is([last_apply], mine(fun() -> last_apply(erlang, exit, [x]) end)),
    ?is([body_apply], mine(fun() -> body_apply(erlang, throw, [x]) end)),
    ?matches([{erlang, apply, [1, 2, []], [{error_info, #{module := erl_erts_errors}}]} | _],
             try body_apply(1, 2, []) catch _:_:S -> S end),

    ?is([{map_get, [0, #{}]}, deep, deep], mine(fun() -> deep(3, #{}) end)),
    ?is([deep_error], mine(fun() -> deep_error(3) end)),
    ?is([trimmed, trimmed], mine(fun() -> trimmed(2) end)),

    ?matches([{?MODULE, clause, [b], [_, _]} | _],
             try clause(id(b)) catch _:_:S -> S end),
    ?matches([{?MODULE, clause, [b], []} | _],
             try again(fun() -> clause(id(b)) end) catch _:_:S -> S end),
    ?matches([{erlang, '+', [a, 0], _} | _], try + a catch _:_:S -> S end),
    ?is([minus], mine(fun() -> minus(id(a)) end)),
    ?is([plus], mine(fun() -> plus(id(a)) end)),
    ?is([plus_least], mine(fun() -> plus_least(id(a)) end)),
    ?is(-16#800000000000001, plus_least(id(-1))),
    ?is(0, plus_least(id(16#800000000000000))),
    %% OTP's preloaded modules have no line numbers.
    ?matches([{erlang, atom_to_binary, [1], [{error_info, _}]} | _],
             try atom_to_binary(id(1)) catch _:_:S -> S end),
    %% Arguments are told as they were given.
    ?matches([{lists, keyfind, [b, 1, [{a}, {c} | d]], _} | _],
             try lists:keyfind(b, 1, [{a}, {c} | id(d)]) catch _:_:S -> S end),
    ?matches([{lists, member, [b, [a, c | d]], _} | _],
             try lists:member(b, [a, c | id(d)]) catch _:_:S -> S end),
    full_heap(),
    no_file(),
    last_call_lines().

%% A map_get fails with a heap that is nearly full, for many sizes of what is left.
full_heap() ->
    [?is({badkey, 41}, begin
                           {_, R} = spawn_monitor(fun() -> map_get_fails(N) end),
                           receive {'DOWN', R, _, _, {Reason, _}} -> Reason end
                       end) || N <- lists:seq(1, 40)].

map_get_fails(N) ->
    L = lists:seq(1, N),
    Map = maps:from_list([{I, I} || I <- lists:seq(1, 40)]),
    try map_get(41, Map#{a => L}) catch error:R:S -> exit({R, S}) end.

%% Code compiled from forms is of no file: then the module's name is told.
no_file() ->
    Forms = [{attribute, 1, module, exc_trace_forms},
             {attribute, 2, export, [{f, 1}]},
             {function, 3, f, 1, [{clause, 3, [{atom, 3, a}], [], [{atom, 4, a}]}]}],
    {ok, M, Beam} = compile:forms(Forms),
    {module, M} = code:load_binary(M, "nofile", Beam),
    ?matches([{M, f, [b], [{file, "exc_trace_forms.erl"}, {line, 3}]} | _],
             try M:f(b) catch _:_:S -> S end),
    true = code:delete(M),
    code:purge(M).

%% A last call has no line of its own behind a move, but has one behind two moves
%% that OTP makes one: what fails after it is of that line.
last_call_lines() ->
    ?is(3, failing_line([{move, {y, 0}, {x, 1}}, {move, {y, 0}, {x, 0}}])),
    ?is(4, failing_line([{move, {y, 0}, {x, 1}}, {move, {y, 1}, {x, 0}}])),
    ?is(4, failing_line([{move, {y, 1}, {x, 1}}, {move, {y, 0}, {x, 0}}])),
    ?is(3, failing_line([{move, {atom, a}, {x, 1}}, {move, {y, 1}, {x, 0}}])).

failing_line(Moves) ->
    M = exc_trace_lines,
    Line = fun(N) -> {line, [{location, "lines.erl", N}]} end,
    Code = [{label, 1}, Line(1), {func_info, {atom, M}, {atom, f}, 2}, {label, 2},
            {allocate, 2, 2}, {move, {x, 1}, {y, 1}}, {move, {x, 0}, {y, 0}},
            Line(3), {call_ext, 0, {extfunc, erlang, self, 0}},
            {test, is_pid, {f, 3}, [{y, 0}]}]
        ++ Moves ++
           [Line(4), {call_ext_last, 2, {extfunc, lists, foo, 2}, 2},
            {label, 3}, {badmatch, {y, 0}}],
    {ok, M, Beam} = compile:forms({M, [{f, 2}], [], [{function, f, 2, 2, Code}], 4}, [from_asm]),
    {module, M} = code:load_binary(M, "", Beam),
    L = try M:f(a, b) catch error:{badmatch, a}:S -> [{M, f, 2, [_, {line, N}]} | _] = S, N end,
    true = code:delete(M),
    code:purge(M),
    L.
