%% spawn and its options, spawn_request, names, dictionaries, flags, info.
-module(process_spawn).
-export([main/0, say/2, forever/0]).
-include("test.hrl").

main() ->
    spawns(),
    bad_spawns(),
    options(),
    requests(),
    names(),
    dictionary(),
    flags(),
    info(),
    other_info(),
    leaders(),
    suspend(),
    collect(),
    hibernates(),
    pids().

say(To, What) -> To ! {said, What}.
forever() -> receive never -> ok end.

until_waiting(P) ->
    case process_info(P, status) of
        {status, waiting} -> ok;
        {status, _} -> receive after 5 -> until_waiting(P) end
    end.

spawns() ->
    Self = self(),
    spawn(?MODULE, say, [Self, {1, "x", <<0:1000>>}]),
    ?is({said, {1, "x", <<0:1000>>}}, receive A -> A after 60000 -> none end),
    spawn(fun() -> Self ! {parent, process_info(self(), parent)} end),
    ?is({parent, {parent, Self}}, receive B -> B after 60000 -> none end),
    {P, R} = spawn_monitor(fun() -> exit(x) end),
    ?is({'DOWN', R, process, P, x}, receive C -> C after 60000 -> none end),
    %% A hundred thousand, so that tables grow.
    N = 100000,
    Main = spawn(fun() -> counter(N, Self) end),
    [spawn(fun() -> Main ! 1 end) || _ <- lists:seq(1, N)],
    ?is({sum, N}, receive D -> D after 60000 -> none end),
    %% An undefined function is undef in the new process.
    {P2, R2} = spawn_monitor(no_such_module, f, [1]),
    ?matches({undef, [{no_such_module, f, [1], []} | _]},
             receive {'DOWN', R2, process, P2, X} -> X after 60000 -> none end).

counter(0, To) -> To ! {sum, 100000};
counter(N, To) -> receive 1 -> counter(N - 1, To) end.

bad_spawns() ->
    ?raises({error, badarg}, spawn(1, f, [])),
    ?raises({error, badarg}, spawn(m, 1, [])),
    ?raises({error, badarg}, spawn(m, f, x)),
    ?raises({error, badarg}, spawn(m, f, [a|b])),
    ?raises({error, badarg}, spawn(foo)),
    ?raises({error, badarg}, spawn_link(foo)),
    ?raises({error, badarg}, spawn_opt(m, f, [], [foo])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [link|x])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [{priority, foo}])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [{min_heap_size, -1}])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [{min_heap_size, x}])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [{fullsweep_after, -1}])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [{monitor, x}])),
    ?raises({error, badarg}, spawn_opt(m, f, [], [{reply, yes}])).

opt(Options, Item) ->
    Self = self(),
    P = spawn_opt(fun() -> Self ! {info, process_info(self(), Item)} end, Options),
    _ = P,
    receive {info, {Item, V}} -> V after 60000 -> none end.

options() ->
    ?is(low, opt([{priority, low}], priority)),
    ?is(high, opt([{priority, high}], priority)),
    ?is(normal, opt([], priority)),
    ?is(610, opt([{min_heap_size, 400}], min_heap_size)),
    ?is(233, opt([{min_heap_size, 10}], min_heap_size)),
    ?is(17, opt([{fullsweep_after, 17}], fullsweep_after)),
    ?is(off_heap, opt([{message_queue_data, off_heap}], message_queue_data)),
    ?is(on_heap, opt([], message_queue_data)),
    ?is(#{error_logger => true, kill => true, size => 100000},
        opt([{max_heap_size, 100000}], max_heap_size)),
    ?is(#{error_logger => false, kill => false, size => 100000},
        opt([{max_heap_size, #{size => 100000, kill => false, error_logger => false}}],
            max_heap_size)),
    process_flag(trap_exit, true),
    P = spawn_opt(fun() -> exit(linked) end, [link]),
    ?is({'EXIT', P, linked}, receive A -> A after 60000 -> none end),
    process_flag(trap_exit, false),
    {Q, R} = spawn_opt(fun() -> exit(m) end, [monitor]),
    ?is({'DOWN', R, process, Q, m}, receive B -> B after 60000 -> none end).

requests() ->
    R1 = spawn_request(fun() -> ok end),
    ?matches({spawn_reply, R1, ok, P} when is_pid(P), receive A -> A after 60000 -> none end),
    R2 = spawn_request(fun() -> ok end, [{reply_tag, {t, 1}}, monitor]),
    ?matches({{t, 1}, R2, ok, _}, receive B -> B after 60000 -> none end),
    ?matches({'DOWN', R2, process, _, normal}, receive C -> C after 60000 -> none end),
    R3 = spawn_request(fun() -> ok end, [{reply, no}]),
    ?is(true, is_reference(R3)),
    R4 = spawn_request(fun() -> ok end, [foo]),
    ?is({spawn_reply, R4, error, badopt}, receive D -> D after 60000 -> none end),
    R5 = spawn_request(fun() -> ok end, [foo, {reply, success_only}]),
    ?is(true, is_reference(R5)),
    ?is(none, receive E -> E after 20 -> none end),
    ?raises({error, badarg}, spawn_request(fun() -> ok end, foo)),
    ?is(false, spawn_request_abandon(R5)),
    ?raises({error, badarg}, spawn_request_abandon(foo)).

names() ->
    P = spawn(fun forever/0),
    ?is(true, register(process_spawn_a, P)),
    ?is(P, whereis(process_spawn_a)),
    ?is({registered_name, process_spawn_a}, process_info(P, registered_name)),
    ?is(true, lists:member(process_spawn_a, registered())),
    ?raises({error, badarg}, register(process_spawn_a, self())),
    ?raises({error, badarg}, register(process_spawn_b, P)),
    ?raises({error, badarg}, register(undefined, P)),
    ?raises({error, badarg}, register("a", P)),
    ?is(true, unregister(process_spawn_a)),
    ?raises({error, badarg}, unregister(process_spawn_a)),
    ?is(undefined, whereis(process_spawn_a)),
    ?raises({error, badarg}, whereis("a")),
    ?is([], process_info(P, registered_name)),
    ?is([{registered_name, []}], process_info(P, [registered_name])),
    ?raises({error, badarg}, process_spawn_a ! x),
    ?raises({error, badarg}, "x" ! x),
    ?raises({error, badarg}, {a,b,c} ! x),
    ?is(x, {process_spawn_a, node()} ! x),
    true = register(process_spawn_a, P),
    R = monitor(process, P),
    exit(P, kill),
    receive {'DOWN', R, _, _, _} -> ok end,
    ?is(undefined, whereis(process_spawn_a)),
    ?raises({error, badarg}, register(process_spawn_a, P)),
    %% Many.
    As = [list_to_atom("process_spawn_" ++ integer_to_list(I)) || I <- lists:seq(1, 500)],
    Ps = [begin Q = spawn(fun forever/0), register(A, Q), Q end || A <- As],
    ?is(Ps, [whereis(A) || A <- As]),
    [unregister(A) || A <- As],
    ?is([undefined], lists:usort([whereis(A) || A <- As])),
    [exit(Q, kill) || Q <- Ps],
    ?is(ok, erlang:send(self(), sent, [noconnect, nosuspend])),
    ?is(sent, receive M -> M after 0 -> none end),
    ?is(noconnect, erlang:send({a, 'b@c'}, x, [noconnect])),
    ?is(ok, erlang:send({a, 'b@c'}, x, [])),
    ?raises({error, badarg}, erlang:send(self(), x, [foo])).

dictionary() ->
    Old = erase(),
    ?is(undefined, get(k)),
    ?is(undefined, put(k, {v, 1})),
    ?is({v, 1}, put(k, [2])),
    ?is([2], get(k)),
    ?is([k], get_keys([2])),
    ?is([2], erase(k)),
    ?is(undefined, erase(k)),
    erase(),
    [put({key, I}, lists:duplicate(I rem 5, I)) || I <- lists:seq(1, 5000)],
    erlang:garbage_collect(),
    ?is(true, lists:all(fun(I) -> get({key, I}) =:= lists:duplicate(I rem 5, I) end,
                        lists:seq(1, 5000))),
    ?is(true, lists:all(fun(I) -> erase({key, I}) =:= lists:duplicate(I rem 5, I) end,
                        lists:seq(1, 5000, 2))),
    Mine = [{I, V} || {{key, I}, V} <- get()],
    ?is([{I, lists:duplicate(I rem 5, I)} || I <- lists:seq(2, 5000, 2)], lists:sort(Mine)),
    ?is(lists:seq(2, 5000, 2), lists:sort([I || {key, I} <- get_keys()])),
    erase(),
    [put(K, V) || {K, V} <- Old],
    ok.

flags() ->
    ?is(normal, process_flag(priority, high)),
    ?is(high, process_flag(priority, normal)),
    ?is(error_handler, process_flag(error_handler, foo)),
    ?is(foo, process_flag(error_handler, error_handler)),
    ?is(false, process_flag(sensitive, true)),
    ?is(true, process_flag(sensitive, false)),
    ?is(on_heap, process_flag(message_queue_data, off_heap)),
    self() ! {some, message},
    ?is(off_heap, process_flag(message_queue_data, on_heap)),
    ?is({some, message}, receive M -> M after 0 -> none end),
    D = process_flag(fullsweep_after, 5),
    ?is(5, process_flag(fullsweep_after, D)),
    H = process_flag(min_heap_size, 1000),
    ?is(1598, process_flag(min_heap_size, H)),
    ?raises({error, badarg}, process_flag(foo, 1)),
    ?raises({error, badarg}, process_flag(priority, foo)),
    ?raises({error, badarg}, process_flag(fullsweep_after, -1)),
    ?is(0, process_flag(save_calls, 10)),
    ?is(10, process_flag(save_calls, 0)),
    ?raises({error, badarg}, process_flag(save_calls, 10001)),
    P = spawn(fun forever/0),
    ?is(0, process_flag(P, save_calls, 3)),
    ?is(3, process_flag(P, save_calls, 0)),
    ?raises({error, badarg}, process_flag(P, trap_exit, true)),
    exit(P, kill).

info() ->
    Function = process_info(self(), current_function),
    ?is({current_function, {?MODULE, info, 0}}, Function),
    Location = process_info(self(), current_location),
    ?matches({current_location, {?MODULE, info, 0, [{file, _}, {line, L}]}}
               when is_integer(L), Location),
    Stacktrace = process_info(self(), current_stacktrace),
    ?matches({current_stacktrace, [{?MODULE, info, 0, _}, {?MODULE, main, 0, _} | _]},
             Stacktrace),
    ?matches({status, running}, process_info(self(), status)),
    ?matches({initial_call, {erlang, apply, 2}}, process_info(self(), initial_call)),
    [self() ! I || I <- lists:seq(1, 5)],
    self() ! {big, lists:seq(1, 300)},
    ?is({message_queue_len, 6}, process_info(self(), message_queue_len)),
    ?is({messages, [1,2,3,4,5,{big, lists:seq(1, 300)}]}, process_info(self(), messages)),
    ?is(3, receive 3 -> 3 end),
    ?is({messages, [1,2,4,5,{big, lists:seq(1, 300)}]}, process_info(self(), messages)),
    [receive _ -> ok end || _ <- lists:seq(1, 5)],
    Is = [heap_size, total_heap_size, stack_size, memory, reductions, message_queue_len],
    ?is(true, lists:all(fun({K, V}) -> lists:member(K, Is) andalso is_integer(V) end,
                        process_info(self(), Is))),
    ?is([], process_info(self(), [])),
    ?raises({error, badarg}, process_info(self(), foo)),
    ?raises({error, badarg}, process_info(self(), [status|x])),
    ?raises({error, badarg}, process_info(foo)),
    ?is([registered_name, current_function, initial_call, status, message_queue_len,
         links, dictionary, trap_exit, error_handler, priority, group_leader,
         total_heap_size, heap_size, stack_size, reductions, garbage_collection,
         suspending] -- [registered_name],
        [K || {K, _} <- process_info(self()), K =/= registered_name]),
    ?matches({garbage_collection,
              [{max_heap_size, #{}}, {min_bin_vheap_size, _}, {min_heap_size, 233},
               {fullsweep_after, _}, {minor_gcs, _}]},
             process_info(self(), garbage_collection)),
    ?matches({backtrace, B} when is_binary(B), process_info(self(), backtrace)),
    {reductions, R1} = process_info(self(), reductions),
    lists:seq(1, 1000),
    {reductions, R2} = process_info(self(), reductions),
    ?is(true, R2 > R1),
    ?is({trace, 0}, process_info(self(), trace)),
    ?is({last_calls, false}, process_info(self(), last_calls)).

other_info() ->
    Self = self(),
    P = spawn(fun() -> put(k, v), Self ! ready, forever() end),
    receive ready -> ok end,
    P ! {m, "essage"},
    until_waiting(P),
    ?is({current_function, {?MODULE, forever, 0}}, process_info(P, current_function)),
    ?matches({current_stacktrace, [{?MODULE, forever, 0, _} | _]},
             process_info(P, current_stacktrace)),
    ?is({status, waiting}, process_info(P, status)),
    ?is({messages, [{m, "essage"}]}, process_info(P, messages)),
    ?is({dictionary, [{k, v}]}, process_info(P, dictionary)),
    ?is({trap_exit, false}, process_info(P, trap_exit)),
    exit(P, kill),
    ?is(undefined, process_info(P, status)),
    ?is(undefined, process_info(P)),
    ?is(false, lists:member(P, processes()) andalso is_process_alive(P)),
    ?raises({error, badarg}, is_process_alive(foo)).

leaders() ->
    GL = group_leader(),
    P = spawn(fun forever/0),
    Self = self(),
    ?is({group_leader, GL}, process_info(P, group_leader)),
    ?is(true, group_leader(Self, P)),
    ?is({group_leader, Self}, process_info(P, group_leader)),
    ?raises({error, badarg}, group_leader(foo, P)),
    ?raises({error, badarg}, group_leader(Self, foo)),
    exit(P, kill),
    ?raises({error, badarg}, group_leader(Self, P)).

suspend() ->
    Self = self(),
    P = spawn(fun Loop() -> receive X -> Self ! {got, X}, Loop() end end),
    ?is(true, erlang:suspend_process(P)),
    P ! 1,
    ?is(none, receive A -> A after 30 -> none end),
    ?is({status, suspended}, process_info(P, status)),
    ?is({suspending, [{P, 1, 0}]}, process_info(self(), suspending)),
    ?is(true, erlang:suspend_process(P)),
    ?is(false, erlang:suspend_process(P, [unless_suspending])),
    ?is(true, erlang:resume_process(P)),
    ?is(none, receive B -> B after 30 -> none end),
    ?is(true, erlang:resume_process(P)),
    ?is({got, 1}, receive C -> C after 60000 -> none end),
    ?raises({error, badarg}, erlang:resume_process(P)),
    ?raises({error, badarg}, erlang:suspend_process(self())),
    ?raises({error, badarg}, erlang:suspend_process(P, [foo])),
    ?is(true, erlang:suspend_process(P, [{asynchronous, tag}])),
    ?is({tag, suspended}, receive D -> D after 60000 -> none end),
    %% The suspender's end resumes; a suspended process can be killed.
    ?is(true, erlang:resume_process(P)),
    {_, R} = spawn_monitor(fun() -> erlang:suspend_process(P) end),
    receive {'DOWN', R, _, _, _} -> ok end,
    P ! 2,
    ?is({got, 2}, receive E -> E after 60000 -> none end),
    erlang:suspend_process(P),
    R2 = monitor(process, P),
    exit(P, die),
    ?is(die, receive {'DOWN', R2, _, _, W} -> W after 60000 -> none end),
    ?is({suspending, []}, process_info(self(), suspending)).

collect() ->
    ?is(true, erlang:garbage_collect()),
    P = spawn(fun forever/0),
    P ! {keep, lists:seq(1, 1000)},
    ?is(true, erlang:garbage_collect(P)),
    ?is({messages, [{keep, lists:seq(1, 1000)}]}, process_info(P, messages)),
    ?is(async, erlang:garbage_collect(P, [{async, id}])),
    ?is({garbage_collect, id, true}, receive A -> A after 60000 -> none end),
    ?is(true, erlang:garbage_collect(P, [{type, minor}])),
    exit(P, kill),
    R = monitor(process, P),
    receive {'DOWN', R, _, _, _} -> ok end,
    ?is(false, erlang:garbage_collect(P)),
    ?is(false, erlang:check_process_code(self(), ?MODULE)).

hibernates() ->
    Self = self(),
    P = spawn(fun() ->
                      put(big, lists:seq(1, 100)),
                      erlang:hibernate(erlang, apply,
                                       [fun() -> receive X -> Self ! {X, get(big)} end end, []])
              end),
    until_waiting(P),
    ?is({current_function, {erlang, hibernate, 3}}, process_info(P, current_function)),
    ?is({status, waiting}, process_info(P, status)),
    P ! {hello, "you"},
    ?is({{hello, "you"}, lists:seq(1, 100)}, receive A -> A after 60000 -> none end),
    Q = spawn(fun() ->
                      receive go -> ok end,
                      erlang:hibernate(?MODULE, say, [Self, now])
              end),
    Q ! go,
    Q ! wake,
    ?is({said, now}, receive B -> B after 60000 -> none end),
    ?raises({error, badarg}, erlang:hibernate(a, b, c)),
    ?raises({error, badarg}, erlang:hibernate(1, b, [])).

pids() ->
    Ps = [spawn(fun() -> ok end) || _ <- lists:seq(1, 1000)],
    ?is(1000, length(lists:usort(Ps))),
    ?is(Ps, lists:sort(Ps)),
    Count = erlang:system_info(process_count),
    ?is(true, is_integer(Count)),
    ?is(true, lists:member(self(), processes())).
