%% diff - the same random programs on stock OTP and on ling.
%%
%%    erl  ... -run diff record FILE SEED FIRST LAST SKIP...  generate, compile, run, keep
%%    ling ... -run diff compare FILE                   run, compare
%%    erl  ... -run diff coverage OPCODES FILE ...      which instructions were there
%%    erl  ... -run diff show SEED N                    a program, its options and calls
%%
%% Kept of a call: value, or class, reason and stack trace, with what differs
%% between any two runs (pids, references) left out. Calls that take more than
%% ?REDUCTIONS are dropped, so that hostile builds get through.
-module(diff).
-export([record/1, compare/1, coverage/1, show/1]).

-define(REDUCTIONS, 20000).
-define(HEAP_WORDS, 1000000).
-define(RECORD_MS, 5000).
-define(COMPARE_MS, 600000).
-define(SHOWN, 5).              % differences that are printed
-define(SHOWN_CHARS, 3000).     % ... of each term

%% A program may need more memory than there is, which ends stock OTP: FILE.at
%% says which one it was. run.sh then names it among SKIP.
record([File, Seed, First, Last | Skip]) ->
    Programs = [P || N <- lists:seq(list_to_integer(First), list_to_integer(Last)),
                     not lists:member(integer_to_list(N), Skip),
                     ok =:= file:write_file(File ++ ".at", integer_to_list(N)),
                     P <- made(list_to_integer(Seed), N)],
    Ops = lists:usort(lists:append([ops(Beam) || {_, _, Beam, _} <- Programs])),
    ok = file:write_file(File, term_to_binary({Ops, Programs})),
    halt(0).

%% The compiler must take each program. But now and then it crashes, or makes code
%% that stock OTP does not load; that program is left out, and it is said.
made(Seed, N) ->
    {M, Text, Options, Calls} = diff_gen:program(Seed, N),
    case compile:forms(forms(Text), [return_errors | Options]) of
        {ok, M, Beam} ->
            case loads(M, Beam) of
                true -> kept(N, M, Beam, Calls);
                false -> left_out(N, "loaded")
            end;
        {error, [{_, [{none, compile, {crash, _, _, _}} | _]} | _], _} ->
            left_out(N, "compiled");
        {error, Errors, _} ->
            io:format("program ~b of seed ~b is wrong, with ~0p:~n~p~n",
                      [N, Seed, Options, Errors]),
            halt(3)
    end.

kept(N, M, Beam, Calls) ->
    [{N, M, Beam, [{C, R} || {C, {R, Reds}} <- run(M, Calls, ?RECORD_MS),
                             Reds < ?REDUCTIONS]}].

left_out(N, What) ->
    io:format("program ~b can't be ~s by stock OTP~n", [N, What]),
    [].

loads(M, Beam) ->
    {module, M} =:= code:load_binary(M, "", Beam).

forms(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    forms(Tokens, [], []).

forms([{dot, _} = T | Ts], Form, Forms) ->
    {ok, F} = erl_parse:parse_form(lists:reverse([T | Form])),
    forms(Ts, [], [F | Forms]);
forms([{'?', _}, {var, L, 'MODULE'} | Ts], Form, Forms) ->
    forms(Ts, [{atom, L, module(Form, Forms)} | Form], Forms);
forms([T | Ts], Form, Forms) ->
    forms(Ts, [T | Form], Forms);
forms([], [], Forms) ->
    lists:reverse(Forms).

module(_, Forms) ->
    {attribute, _, module, M} = lists:last(Forms),
    M.

compare([File]) ->
    {ok, B} = file:read_file(File),
    {_, Programs} = binary_to_term(B),
    Different = [{N, D} || {N, M, Beam, Calls} <- Programs, D <- differences(M, Beam, Calls)],
    [io:format("program ~b, ~0p:~n  expected ~ts~n  got      ~ts~n",
               [N, Call, cut(Expected), cut(Got)]) ||
        {N, {Call, Expected, Got}} <- lists:sublist(Different, ?SHOWN)],
    io:format("~b programs, ~b calls: ~b differ~s~n",
              [length(Programs), lists:sum([length(C) || {_, _, _, C} <- Programs]),
               length(Different), [[" ", integer_to_list(N)] ||
                                      N <- lists:usort([N || {N, _} <- Different])]]),
    halt(case Different of [] -> 0; _ -> 1 end).

cut(T) -> string:slice(io_lib:format("~0tp", [T]), 0, ?SHOWN_CHARS).

differences(M, Beam, Calls) ->
    true = loads(M, Beam),
    [{C, Expected, Got} ||
        {{C, Expected}, {C, {Got, _}}} <-
            lists:zip(Calls, run(M, [C || {C, _} <- Calls], ?COMPARE_MS)),
        Got =/= Expected].

%% ---- calls ----

%% M is loaded, and gone afterwards.
run(M, Calls, Ms) ->
    Results = [{C, call(M, F, A, Ms)} || {F, A} = C <- Calls],
    true = code:delete(M),
    code:purge(M),
    Results.

%% {Result, Reductions}, infinity when the process was killed.
call(M, F, A, Ms) ->
    Parent = self(),
    {Pid, Ref} = spawn_opt(fun() -> Parent ! {self(), result(M, F, A)} end,
                           [monitor, {max_heap_size, #{size => ?HEAP_WORDS, kill => true,
                                                       error_logger => false}}]),
    receive
        {Pid, {Result, Reductions}} ->
            demonitor(Ref, [flush]),
            {Result, Reductions};
        {'DOWN', Ref, process, Pid, Reason} ->
            {{down, plain(Reason)}, infinity}
    after Ms ->
        exit(Pid, kill),
        receive {'DOWN', Ref, process, Pid, _} -> {timeout, infinity} end
    end.

result(M, F, A) ->
    Result = try apply(M, F, A) of
        V -> {value, V}
    catch
        Class:Reason:Stack -> {Class, Reason, Stack}
    end,
    %% A large result is as long work as a long call, when all is collected all the time.
    Plain = plain(Result),
    {reductions, N} = process_info(self(), reductions),
    {Plain, N}.

%% Without what differs between two runs; floats as bits, for 0.0 =:= -0.0.
plain(F) when is_float(F) -> {'$float', <<F/float>>};
plain(P) when is_pid(P) -> '$pid';
plain(R) when is_reference(R) -> '$ref';
plain(P) when is_port(P) -> '$port';
plain([H | T]) -> [plain(H) | plain(T)];
plain(T) when is_tuple(T) -> list_to_tuple(plain(tuple_to_list(T)));
plain(M) when is_map(M) -> {'$map', lists:sort(plain(maps:to_list(M)))};
plain(F) when is_function(F) ->
    {_, Type} = erlang:fun_info(F, type),
    {'$fun', [plain(erlang:fun_info(F, I)) || I <- [module, name, arity, env], Type =:= local],
     [F || Type =:= external]};
plain(T) -> T.

%% ---- coverage ----

coverage([Opcodes | Files]) ->
    Ops = lists:usort(lists:append([begin
                                        {ok, B} = file:read_file(F),
                                        element(1, binary_to_term(B))
                                    end || F <- Files])),
    {ok, T} = file:read_file(Opcodes),
    [_ | Rows] = string:lexemes(T, "\n"),
    Wanted = [lists:nth(2, string:lexemes(R, "\t")) || R <- Rows],
    None = [W || W <- Wanted, not lists:member(W, Ops)],
    io:format("~b of ~b instructions in these programs~ts~n",
              [length(Wanted) - length(None), length(Wanted),
               case None of [] -> ""; _ -> [", not:" | [[" ", N] || N <- None]] end]),
    halt(0).

%% Names of generic instructions, as the Code chunk has them (test/coverage.escript).
ops(Beam) ->
    {beam_file, _, _, _, _, Fs} = beam_disasm:file(Beam),
    lists:usort([name(I) || {function, _, _, _, Is} <- Fs, I <- Is] ++ [<<"int_code_end">>]).

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

show([Seed, N]) ->
    {_, Text, Options, Calls} = diff_gen:program(list_to_integer(Seed), list_to_integer(N)),
    io:format("%% ~0p~n~ts~n~p.~n", [Options, Text, Calls]),
    halt(0).
