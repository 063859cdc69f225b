%% Deep stacks: what returns from deep recursion lets others run, and is found in
%% its frames by exceptions, traces, backtraces, purges and the collector meanwhile.
-module(deep_stack).
-export([main/0, at_end/1]).
-include("test.hrl").

%% make stress, which collects at each word, goes less deep.
-define(DEEP, (list_to_integer(os:getenv("TEST_DEPTH", "200000")))).

main() ->
    results(),
    others_run(),
    exceptions(),
    seen(),
    traced(),
    purged(),
    hibernates().

%% Not a tail call: what is above waits for the result of F.
down(0, F) -> [F()];
down(N, F) -> [N | down(N - 1, F)].

%% The same with a live register on each level.
sum(0, F) -> F();
sum(N, F) -> X = {N}, S = sum(N - 1, F), element(1, X) + S.

results() ->
    ?is(lists:seq(?DEEP, 1, -1) ++ [x], down(?DEEP, fun() -> x end)),
    ?is(?DEEP * (?DEEP + 1) div 2, sum(?DEEP, fun() -> 0 end)),
    ?is(lists:seq(1, ?DEEP), [X || X <- lists:seq(1, ?DEEP)]),
    %% Again and again, on a stack that is deep all the time.
    ?is(20 * (?DEEP div 10 + 1) + ?DEEP,
        sum1(?DEEP, fun() -> lists:sum([length(down(?DEEP div 10, fun() -> x end))
                                        || _ <- lists:seq(1, 20)])
                    end)).

sum1(0, F) -> F();
sum1(N, F) -> 1 + sum1(N - 1, F).

%% Another process on the same scheduler, which gives up its turn at once, gets many
%% while one only returns.
others_run() ->
    Self = self(),
    spawn_opt(fun() ->
            P = spawn_opt(fun() -> turns(0) end, [{scheduler, 1}]),
            Self ! {turns, between(fun() -> turn_count(P) end, fun() -> turn_count(P) end)},
            exit(P, kill)
        end, [link, {scheduler, 1}]),
    {Before, After} = receive {turns, T} -> T end,
    ?is(true, After - Before >= ?DEEP div 10000).

between(F, G) ->
    Self = self(),
    sum(?DEEP, fun() -> Self ! {first, F()}, 0 end),
    receive {first, Before} -> {Before, G()} end.

turns(N) ->
    receive {count, From} -> From ! {self(), N}, turns(N)
    after 0 -> erlang:yield(), turns(N + 1)
    end.

turn_count(P) ->
    P ! {count, self()},
    receive {P, N} -> N end.

exceptions() ->
    ?raises({error, deep}, down(?DEEP, fun() -> error(deep) end)),
    ?raises({throw, deep}, sum(?DEEP, fun() -> throw(deep) end)),
    %% Its trace has frames of functions only.
    Trace = try sum(?DEEP, fun() -> error(deep) end)
            catch error:deep:S -> S end,
    ?is([{sum, 2}, {exceptions, 0}, {main, 0}],
        [{F, A} || {?MODULE, F, A, _} <- tl(Trace)]),
    %% From half way: what is below goes on as deep as it was.
    ?is(?DEEP * (?DEEP + 1) div 2,
        sum(?DEEP, fun() -> try sum(?DEEP, fun() -> throw(0) end) catch throw:X -> X end end)),
    %% One in each of many levels.
    ?is((?DEEP div 20 - 1) * 5050 + 1, caught(?DEEP div 20)),
    %% Deep, and out again by an exception, many times over.
    ?is(ok, often(20)).

caught(0) -> throw(0);
caught(N) -> try sum(100, fun() -> caught(N - 1) end) catch throw:X -> X + 1 end.

often(0) -> ok;
often(N) ->
    catch sum(?DEEP div 7, fun() -> exit(out) end),
    often(N - 1).

%% By others, while it waits deep down.
seen() ->
    P = waits_deep(),
    {current_stacktrace, Trace} = process_info(P, current_stacktrace),
    ?matches([{?MODULE, at_end, 1}, {?MODULE, sum, 2}, {?MODULE, _, 1}],
             [{M, F, A} || {M, F, A, _} <- Trace]),
    {backtrace, B} = process_info(P, backtrace),
    ?is(true, byte_size(B) > 0),
    erlang:garbage_collect(P),
    P ! {go, self()},
    ?is(?DEEP * (?DEEP + 1) div 2, receive {P, Sum} -> Sum end).

waits_deep() ->
    Self = self(),
    P = spawn_link(fun() ->
            From = self(),
            S = sum(?DEEP, fun() -> Self ! {From, deep}, at_end(0) end),
            receive {to, To} -> To ! {From, S} end
        end),
    receive {P, deep} -> until_waiting(P) end.

until_waiting(P) ->
    case process_info(P, status) of
        {status, waiting} -> P;
        {status, _} -> receive after 5 -> until_waiting(P) end
    end.

at_end(X) -> receive {go, To} -> self() ! {to, To}, X end.

%% What is told when functions return does not depend on how deep it is.
traced() ->
    P = waits_deep(),
    erlang:trace(P, true, [call, return_to]),
    erlang:trace_pattern({?MODULE, at_end, 1}, [{'_', [], [{return_trace}]}], [local]),
    erlang:trace_pattern({?MODULE, sum1, 2}, [{'_', [], [{return_trace}]}], [local]),
    P ! {go, self()},
    ?is(?DEEP * (?DEEP + 1) div 2, receive {P, Sum} -> Sum end),
    Self = self(),
    Q = spawn_link(fun() -> receive go -> Self ! {self(), sum1(?DEEP div 10, fun() -> 0 end)} end end),
    erlang:trace(Q, true, [call, return_to]),
    Q ! go,
    ?is(?DEEP div 10, receive {Q, N} -> N end),
    erlang:trace_delivered(Q),
    receive {trace_delivered, Q, _} -> ok end,
    ?is(?DEEP div 10 + 1, told(Q, 0)),
    erlang:trace_pattern({?MODULE, '_', '_'}, false, [local]).

told(Q, N) ->
    receive
        {trace, Q, return_from, {?MODULE, sum1, 2}, _} -> told(Q, N + 1);
        {trace, Q, _, _} -> told(Q, N);
        {trace, Q, _, _, _} -> told(Q, N)
    after 0 -> N
    end.

%% Old code that a deep stack returns to is in use.
purged() ->
    Name = deep_stack_old,
    Forms = [{attribute, 1, module, Name}, {attribute, 1, export, [{f, 1}]},
             {function, 1, f, 1,
              [{clause, 1, [{var, 1, 'F'}], [],
                [{op, 1, '+', {call, 1, {var, 1, 'F'}, []}, {integer, 1, 1}}]}]}],
    {ok, Name, Code} = compile:forms(Forms),
    {module, Name} = code:load_binary(Name, "", Code),
    Self = self(),
    P = spawn_link(fun() ->
            R = Name:f(fun() -> sum(?DEEP, fun() -> Self ! {self(), deep}, at_end(0) end) end),
            receive {to, To} -> To ! {self(), R} end
        end),
    receive {P, deep} -> ok end,
    true = code:delete(Name),
    ?is(false, code:soft_purge(Name)),
    P ! {go, self()},
    ?is(?DEEP * (?DEEP + 1) div 2 + 1, receive {P, R} -> R end),
    ?is(true, code:soft_purge(Name)).

%% The stack is gone, and grows again.
hibernates() ->
    Self = self(),
    P = spawn_link(fun() ->
            sum(?DEEP, fun() -> erlang:hibernate(erlang, apply, [fun awake/1, [Self]]) end)
        end),
    P ! go,
    ?is(?DEEP * (?DEEP + 1) div 2, receive {P, Sum} -> Sum end).

awake(To) ->
    receive go -> To ! {self(), sum(?DEEP, fun() -> 0 end)} end.
