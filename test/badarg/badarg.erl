%% badarg.erl - every BIF, with wrong and odd arguments, beside stock OTP.
%%
%%   erl  ... -s badarg record FILE      makes the calls and writes what came of each
%%   ling ... -s badarg compare FILE     makes the same calls, tells every difference
%%
%% Calls are made, not listed: at random from a pool of odd terms; then, because
%% most of those fail on their first argument, from calls that succeed on stock
%% with one argument replaced. What decides is stock's answer: the class, the
%% reason, the top of the stack and its error_info, or the value returned.
%%
%% A call is written down as recipes, as pids, references, funs and tables of one
%% VM mean nothing in the other; each runs in a process of its own.
-module(badarg).
-export([record/1, compare/1]).

-define(CALLS, 60).                     % of every BIF, at least
-define(PATIENCE, 5000).                % ms that one call may wait,
-define(LOOKS, 20).                     % ... and so many times that if it works
-define(DONE, badarg_done__).

record([File]) ->
    Bifs = lists:sort(erlang:system_info(snifs)),
    Out = [{MFA, calls(MFA)} || MFA <- Bifs, why_not(MFA) =:= none],
    ok = file:write_file(File, term_to_binary(Out, [compressed])),
    io:format("~w BIFs, ~w calls~n", [length(Out), lists:sum([length(C) || {_, C} <- Out])]),
    erlang:halt(0).

compare([File]) ->
    {ok, Bin} = file:read_file(File),
    Bifs = binary_to_term(Bin),
    Bad = lists:sum([differences(MFA, Calls) || {MFA, Calls} <- Bifs]),
    io:format("~w BIFs, ~w calls, ~w differ~n",
              [length(Bifs), lists:sum([length(C) || {_, C} <- Bifs]), Bad]),
    erlang:halt(min(Bad, 1)).

differences(MFA, Calls) ->
    Different = [{Args, Stock, Here} || {Args, Stock} <- Calls,
                                        (Here = outcome(MFA, Args)) =/= Stock],
    {M, F, A} = MFA,
    [io:format("~p:~p/~p~n  args  ~0tP~n  stock ~0tP~n  here  ~0tP~n",
               [M, F, A, Args, 40, Stock, 60, Here, 60])
     || {Args, Stock, Here} <- lists:sublist(Different, 4)],
    Different =:= [] orelse io:format("~p:~p/~p: ~w differ~n", [M, F, A, length(Different)]),
    length(Different).

%% The calls of one BIF, with stock's outcomes.

calls({_, _, 0} = MFA) ->
    [{[], outcome(MFA, [])}];
calls({_, _, A} = MFA) ->
    rand:seed(exsss, erlang:phash2(MFA)),
    Pool = list_to_tuple(pool()),
    Random = [[any(Pool) || _ <- lists:seq(1, A)] || _ <- lists:seq(1, 2 * ?CALLS)],
    Tried = [{Args, outcome(MFA, Args)} || Args <- lists:usort(Random), left_out(MFA, Args) =:= none],
    Good = [Args || {Args, {value, _}} <- Tried],
    %% The likelier ones first: an argument that was taken once fits again.
    Mutants = case Good of
                  [] -> [];
                  _ -> [mutant(lists:nth(rand:uniform(length(Good)), Good), A, Pool)
                        || _ <- lists:seq(1, ?CALLS)]
              end,
    Singles = case A of
                  1 -> [[X] || X <- tuple_to_list(Pool)];
                  _ -> []
              end,
    More = lists:usort(Mutants ++ Singles) -- [Args || {Args, _} <- Tried],
    Tried ++ [{Args, outcome(MFA, Args)} || Args <- More, left_out(MFA, Args) =:= none].

%% Calls that are not made, and why.
left_out({binary, copy, 2}, [_, N]) when is_integer(N), N > 1 bsl 31 ->
    "stock stops for want of memory";
left_out({erts_internal, F, _}, [N | _])
  when F =:= atomics_new, is_integer(N), N > 1 bsl 24;
       F =:= counters_new, is_integer(N), N > 1 bsl 24 ->
    "stock stops for want of memory";
left_out({erts_debug, map_info, 1}, [{make, big_map}]) ->
    "asks for the inner nodes of OTP's tree";
left_out({erlang, exit_signal, 2}, [{make, self}, _]) ->
    "how far the caller gets before it dies is left open";
left_out({erlang, md5, 1}, [{make, Long}]) when Long =:= long_list; Long =:= long_improper ->
    "stock shows the function it trapped to, with its half-done sum";
left_out({ets, F, 2}, [_, {make, What}])
  when F =:= insert, (What =:= table orelse What =:= atomics);
       F =:= insert_new, (What =:= table orelse What =:= atomics) ->
    "stock takes any magic reference for its own continuation";
left_out(_, _) -> none.

mutant(Args, A, Pool) ->
    setelement_list(rand:uniform(A), Args, any(Pool)).

setelement_list(1, [_ | T], X) -> [X | T];
setelement_list(N, [H | T], X) -> [H | setelement_list(N - 1, T, X)].

any(Pool) -> element(rand:uniform(tuple_size(Pool)), Pool).

%% Recipes: terms as they are, or {make, What}.
pool() ->
    [0, 1, 2, 3, -1, -2, 7, 64, 255, 256,
     1 bsl 31 - 1, -(1 bsl 31), 1 bsl 32, 1 bsl 59 - 1, 1 bsl 59, -(1 bsl 59), -(1 bsl 59) - 1,
     1 bsl 63, 1 bsl 64 - 1, 1 bsl 64, -(1 bsl 64), 1 bsl 200, -(1 bsl 200),
     0.0, 1.0, -1.5, 1.0e300,
     badarg_a, true, false, undefined, infinity, '', error, exit, latin1, utf8, '_', '$1',
     [], [1], [1, 2, 3], "abc", [a, b], [a | b], [1 | 2], [[1, 2], <<3>> | <<4>>], [256], [16#10ffff],
     [16#d800], [-1], [[[]]], "12", "1.5", "-", [{a, 1}], [{a, 1}, {b, 2} | c], [{1, 2, 3}],
     [<<"a">>, <<"b">>], [true, false], [[a], [b]], [bogus_option], [{scope, {0, 1}}],
     {make, long_list}, {make, deep_list}, {make, deep_tuple}, {make, long_improper},
     {}, {1}, {a, b}, {a, b, c}, {1, 2}, {0, 0}, {-1, 1}, {1, 1 bsl 64}, {make, big_tuple},
     <<>>, <<"a">>, <<"abc">>, <<"12">>, <<"1.5">>, <<1:3>>, <<255, 1:7>>, <<131, 97, 1>>, <<131, 104, 255>>,
     <<255, 254>>, {make, big_binary}, {make, sub_binary},
     #{}, #{a => 1}, #{1 => 2, 1.0 => 3}, {make, big_map},
     {make, self}, {make, dead}, {make, ref}, {make, fun0}, {make, fun1}, {make, fun2},
     {make, external_fun}, {make, table}, {make, atomics}, {make, regexp}, {make, pattern}].

cook({make, What}) -> make(What);
cook(T) -> T.

make(long_list) -> lists:seq(1, 5000);
make(long_improper) -> lists:seq(1, 5000) ++ z;
make(deep_list) -> lists:foldl(fun(_, T) -> [T] end, [], lists:seq(1, 20000));
make(deep_tuple) -> lists:foldl(fun(_, T) -> {T} end, {}, lists:seq(1, 20000));
make(big_tuple) -> list_to_tuple(lists:seq(1, 300));
make(big_binary) -> binary:copy(<<"0123456789">>, 300);
make(sub_binary) -> <<_:3, B:77/bits, _/bits>> = binary:copy(<<"xyz">>, 40), B;
make(big_map) -> maps:from_list([{I, -I} || I <- lists:seq(1, 100)]);
make(self) -> self();
make(dead) -> {P, R} = spawn_monitor(fun() -> ok end), receive {'DOWN', R, _, _, _} -> P end;
make(ref) -> make_ref();
make(fun0) -> fun() -> ok end;
make(fun1) -> fun(X) -> X end;
make(fun2) -> fun(X, Y) -> {X, Y} end;
make(external_fun) -> fun lists:reverse/1;
make(table) ->
    T = ets:new(badarg_table, [public, set]),
    ets:insert(T, [{1, one}, {a, 2, 3}, {"abc", 1}]),
    T;
make(atomics) -> atomics:new(3, []);
make(regexp) -> {ok, R} = re:compile("a(b)?"), R;
make(pattern) -> binary:compile_pattern([<<"a">>, <<"bc">>]).

%% What comes of one call.

outcome({M, F, _} = MFA, Recipes) ->
    Parent = self(),
    Call = fun() ->
               Args = [cook(R) || R <- Recipes],
               Parent ! {?DONE, self(), attempt(M, F, Args)}
           end,
    {Pid, Ref} = spawn_monitor(Call),
    outcome(MFA, Recipes, Pid, Ref, ?LOOKS).

outcome(MFA, Recipes, Pid, Ref, Looks) ->
    receive
        {'DOWN', Ref, _, _, Reason} ->
            receive
                {?DONE, Pid, {value, V}} -> {value, value(MFA, Recipes, V)};
                {?DONE, Pid, Outcome} -> Outcome
            after 0 -> {down, plain(reason(Reason))}
            end
    after ?PATIENCE ->
        case process_info(Pid, status) of
            {status, waiting} -> hang(Pid, Ref);
            _ when Looks =:= 1 -> hang(Pid, Ref);
            _ -> outcome(MFA, Recipes, Pid, Ref, Looks - 1)
        end
    end.

hang(Pid, Ref) ->
    erlang:demonitor(Ref, [flush]),
    exit(Pid, kill),
    receive {?DONE, Pid, _} -> ok after 0 -> ok end,
    hang.

attempt(M, F, Args) ->
    try apply(M, F, Args) of
        V -> {value, V}
    catch
        Class:Reason:Stack -> {Class, plain(Reason), top(Stack)}
    end.

reason({R, [{_, _, _, _} | _] = Stack}) -> {R, top(Stack)};
reason(R) -> R.

top([{M, F, Args, Location} | _]) ->
    {M, F, plain(Args), plain(proplists:get_value(error_info, Location, none))};
top([]) ->
    none.

%% Terms that compare across two VMs.
plain(T) when is_pid(T) -> '$pid';
plain(T) when is_port(T) -> '$port';
plain(T) when is_reference(T) -> '$ref';
plain(T) when is_function(T) -> '$fun';
plain(T) when is_tuple(T), tuple_size(T) > 40; is_bitstring(T), bit_size(T) > 800 ->
    {'$hash', hash(T)};
plain(T) when is_tuple(T) -> list_to_tuple([plain(E) || E <- shallow(tuple_to_list(T))]);
plain(T) when is_map(T) -> maps:map(fun(_, V) -> plain(V) end, T);
plain(T) when is_list(T) ->
    case catch length(T) of
        N when is_integer(N), N =< 60 -> [plain(E) || E <- shallow(T)];
        N when is_integer(N) -> {'$hash', N};
        _ -> improper(T, 20)
    end;
plain(T) -> T.

improper([H | T], N) when N > 0 -> [plain(H) | improper(T, N - 1)];
improper([_ | _], _) -> '$long';
improper(T, _) -> plain(T).

%% One chain of brackets is not followed to its bottom.
shallow([{_}] = L) -> deep(L);
shallow([[_]] = L) -> deep(L);
shallow(L) -> L.

deep([T]) ->
    case depth(T, 0) of
        D when D > 100 -> [{'$depth', D}];
        _ -> [T]
    end.

depth({T}, N) -> depth(T, N + 1);
depth([T], N) -> depth(T, N + 1);
depth(_, N) -> N.

hash(T) -> erlang:phash2(T).

%% The value counts where it is a function of the arguments.
value({M, F, _}, Recipes, V) ->
    Pure = lists:member(M, [binary, lists, maps, math, re, unicode]) orelse
        (M =:= erlang andalso lists:member(F, pure())),
    case Pure andalso not lists:any(fun is_own/1, Recipes) of
        true -> plain(V);
        false -> '$any'
    end.

%% Of one VM: no other has the same.
is_own({make, What}) ->
    lists:member(What, [self, dead, ref, fun0, fun1, fun2, table, atomics, pattern]);
is_own(_) -> false.

pure() ->
    ['+', '-', '*', '/', 'div', 'rem', 'band', 'bor', 'bxor', 'bsl', 'bsr', 'bnot', '++', '--',
     '==', '/=', '=:=', '=/=', '<', '=<', '>', '>=', abs, adler32, append_element, atom_to_binary,
     atom_to_list, binary_part, binary_to_float, binary_to_integer, binary_to_list,
     binary_to_term, bit_size, bitstring_to_list, byte_size, ceil, crc32, crc32_combine,
     adler32_combine, decode_packet, delete_element, element, external_size, float,
     float_to_binary, float_to_list, floor, insert_element, integer_to_binary, integer_to_list,
     iolist_size, iolist_to_binary, iolist_to_iovec, is_builtin, is_function, is_map_key, length,
     list_to_binary, list_to_bitstring, list_to_float, list_to_integer, list_to_tuple,
     make_tuple, map_get, map_size, md5, phash, phash2, round, setelement, size, split_binary,
     tl, hd, trunc, tuple_size, tuple_to_list].

%% BIFs that are not called, and why.
why_not({erlang, halt, _}) -> "stops the VM";
why_not({erts_internal, erase_persistent_terms, 0}) -> "the logger's terms go with them";
why_not({erts_debug, breakpoint, _}) -> "for hand";
why_not({erts_debug, lock_counters, _}) -> "a debug VM's";
why_not({_, display, 1}) -> "prints";
why_not({erlang, display_string, _}) -> "prints";
why_not({erlang, display_nl, _}) -> "prints";
why_not({erlang, hibernate, 3}) -> "waits";
why_not({erlang, load_nif, 2}) -> "stock refuses apply; here it may be called so";
why_not({erts_internal, gather_alloc_histograms, 1}) -> "stock crashes";
why_not({erts_internal, gather_carrier_info, 1}) -> "stock crashes";
why_not({erts_internal, spawn_system_process, 3}) -> "stock crashes";
why_not({prim_file, internal_name2native, 1}) -> "stock crashes";
why_not(_) -> none.
