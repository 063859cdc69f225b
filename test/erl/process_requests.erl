%% What others ask a process to do: it does it in its own turn, as urgently as
%% who asks. And processes that run dirty, beside the others.
-module(process_requests).
-export([main/0]).
-include("test.hrl").

main() ->
    answers(),
    priorities(),
    shares(),
    states(),
    order_of_signals(),
    large(),
    gc_off(),
    code_changes(),
    listed(),
    dirty(),
    dirty_killed(),
    dirty_suspended(),
    dirty_places(),
    dirty_code().

request(P, Prio, Id) -> request(P, Prio, Id, system_task_test).
request(P, Prio, Id, Type) when Type =:= garbage_collect ->
    erts_internal:request_system_task(P, Prio, {Type, Id, major});
request(P, Prio, Id, Type) ->
    erts_internal:request_system_task(P, Prio, {Type, Id}).

got(Type, Id) -> receive {Type, Id, Result} -> Result after 60000 -> none end.

ended(P) ->
    Ref = monitor(process, P),
    receive {'DOWN', Ref, process, P, Why} -> Why after 60000 -> none end.

%% Comes to be true, while P is there.
until(P, F) ->
    case F() of
        true -> true;
        false -> is_process_alive(P) andalso receive after 5 -> until(P, F) end
    end.

%% What F gives in a process of this priority that stays with the first scheduler:
%% what else stays there runs as their priorities say.
on_first(Prio, F) ->
    Me = self(),
    Ref = make_ref(),
    spawn_opt(fun() -> Me ! {Ref, F()} end, [{scheduler, 1}, {priority, Prio}, link]),
    receive {Ref, Result} -> Result end.

sleeper() -> spawn(fun() -> receive after infinity -> ok end end).

answers() ->
    P = sleeper(),
    ?is(true, garbage_collect(P)),
    ?is(false, check_process_code(P, lists)),
    ?is(async, garbage_collect(P, [{async, {"a", <<"term">>, 1 bsl 70}}, {type, minor}])),
    ?is(true, got(garbage_collect, {"a", <<"term">>, 1 bsl 70})),
    ?is(async, check_process_code(P, lists, [{async, 1}])),
    ?is(false, got(check_process_code, 1)),
    ?is(ok, request(P, low, 2)),
    ?is(true, got(system_task_test, 2)),
    %% Itself, in its next turn.
    ?is(ok, request(self(), normal, 3)),
    ?is(true, got(system_task_test, 3)),
    ?is(async, garbage_collect(self(), [{async, 4}])),
    ?is(true, got(garbage_collect, 4)),
    exit(P, kill),
    ?is(false, garbage_collect(P)),
    ?is(false, check_process_code(P, lists)),
    ?is(async, garbage_collect(P, [{async, 5}])),
    ?is(false, got(garbage_collect, 5)),
    ?raises({error, badarg}, request(x, normal, 6)),
    ?raises({error, badarg}, request(P, x, 6)),
    ?raises({error, badarg}, request(P, normal, 6, nonsense)),
    ?raises({error, badarg}, erts_internal:request_system_task(P, normal, {garbage_collect, 6, x})).

%% Nobody less urgent than it gets a turn while one of high priority is busy; but
%% what is asked of such a one at high priority is done.
priorities() ->
    Before = process_flag(priority, max),
    Me = self(),
    Busy = [spawn_opt(fun() -> Me ! busy, busy() end, [{priority, max}, {scheduler, N}])
            || N <- lists:seq(1, erlang:system_info(schedulers_online))],
    [receive busy -> ok end || _ <- Busy],
    Low = spawn_opt(fun busy/0, [{priority, low}]),
    [request(Low, Prio, Prio) || Prio <- [low, normal, high]],
    ?is(none, receive {system_task_test, _, _} -> done after 100 -> none end),
    request(Low, max, max),
    ?is(true, got(system_task_test, max)),
    [exit(P, kill) || P <- Busy],
    [?is(true, got(system_task_test, Prio)) || Prio <- [low, normal, high]],
    exit(Low, kill),
    ended(Low),
    process_flag(priority, Before).

busy() -> busy().

%% Eight of normal priority, then one of low.
shares() ->
    ?is([{normal, N} || N <- lists:seq(1, 8)] ++ [{low, 1}] ++
            [{normal, N} || N <- lists:seq(9, 12)] ++ [{low, 2}],
        on_first(high, fun share/0)).

%% The answers in their order. P does nothing before all has been asked.
share() ->
    P = spawn_opt(fun() -> receive after infinity -> ok end end, [{scheduler, 1}]),
    [request(P, low, {low, N}) || N <- [1, 2]],
    [request(P, normal, {normal, N}) || N <- lists:seq(1, 12)],
    Ids = [receive {system_task_test, Id, true} -> Id end || _ <- lists:seq(1, 14)],
    exit(P, kill),
    Ids.

%% Whoever waits still waits, and one that is suspended can be asked.
states() ->
    P = spawn(fun() -> receive {From, Ref} -> From ! {Ref, self()} after 600000 -> late end end),
    ?is(true, until(P, fun() -> process_info(P, status) =:= {status, waiting} end)),
    [garbage_collect(P) || _ <- lists:seq(1, 10)],
    ?is({status, waiting}, process_info(P, status)),
    erlang:suspend_process(P),
    P ! {self(), hello},
    ?is(true, garbage_collect(P)),
    ?is(false, check_process_code(P, ?MODULE)),
    ?is({status, suspended}, process_info(P, status)),
    erlang:resume_process(P),
    ?is(P, receive {hello, From} -> From after 60000 -> none end),
    %% A timeout is not lost beside requests.
    Me = self(),
    Q = spawn(fun() -> receive after 50 -> Me ! {self(), late} end end),
    ask_on(Q),
    ?is(late, receive {Q, What} -> What after 60000 -> none end),
    H = spawn(fun() -> erlang:hibernate(erlang, send, [Me, oops]) end),
    Hibernates = fun() ->
                     process_info(H, current_function) =:= {current_function, {erlang, hibernate, 3}}
                 end,
    ?is(true, until(H, Hibernates)),
    ?is(true, garbage_collect(H)),
    ?is(true, Hibernates()),
    exit(H, kill).

ask_on(P) ->
    case garbage_collect(P) of
        true -> ask_on(P);
        false -> ok
    end.

%% An exit signal was sent before, so it arrives before.
order_of_signals() ->
    P = sleeper(),
    exit(P, kill),
    check_process_code(P, ?MODULE, [{async, here}]),
    ?is(false, got(check_process_code, here)).

%% A large heap is collected in turns; the process gets all that comes meanwhile.
large() ->
    Me = self(),
    P = spawn(fun() ->
                  L = [{I, [I]} || I <- lists:seq(1, 300000)],
                  Me ! ready,
                  N = count(0),
                  Me ! {self(), N, length(L), erlang:phash2(lists:last(L))}
              end),
    receive ready -> ok end,
    Asks = [spawn(fun() -> garbage_collect(P), Me ! asked end) || _ <- lists:seq(1, 5)],
    [begin P ! N, erlang:yield() end || N <- lists:seq(1, 1000)],
    [receive asked -> ok end || _ <- Asks],
    P ! stop,
    Hash = erlang:phash2({300000, [300000]}),
    ?is({1000, 300000, Hash}, receive {P, N, L, H} -> {N, L, H} after 60000 -> none end),
    %% Killed meanwhile, everyone still gets an answer.
    Q = spawn(fun() ->
                  L = [{I, [I]} || I <- lists:seq(1, 300000)],
                  Me ! ready,
                  receive never -> L end
              end),
    receive ready -> ok end,
    [garbage_collect(Q, [{async, N}]) || N <- lists:seq(1, 20)],
    erlang:yield(),
    exit(Q, kill),
    Answers = [got(garbage_collect, N) || N <- lists:seq(1, 20)],
    ?is([], [A || A <- Answers, not is_boolean(A)]),
    ?is(false, garbage_collect(Q)).

count(N) -> receive stop -> N; _ -> count(N + 1) end.

%% erts_debug: collections that were asked for wait while they are switched off.
gc_off() ->
    Before = erts_debug:set_internal_state(available_internal_state, true),
    Me = self(),
    P = spawn(fun() ->
                  true = erts_debug:set_internal_state(gc_state, false),
                  Me ! off,
                  receive on -> ok end,
                  L = lists:sum([length(lists:seq(1, N)) || N <- lists:seq(1, 300)]),
                  false = erts_debug:set_internal_state(gc_state, true),
                  true = erts_debug:set_internal_state(gc_state, true),
                  Me ! {self(), L},
                  receive stop -> ok end
              end),
    receive off -> ok end,
    garbage_collect(P, [{async, gc}]),
    check_process_code(P, lists, [{async, code}]),
    ?is(false, got(check_process_code, code)),
    ?is(none, receive {garbage_collect, gc, _} -> done after 100 -> none end),
    P ! on,
    ?is(45150, receive {P, L} -> L after 60000 -> none end),
    ?is(true, got(garbage_collect, gc)),
    P ! stop,
    %% It dies with them off: the answer is no.
    Q = spawn(fun() -> erts_debug:set_internal_state(gc_state, false), Me ! off,
                       receive stop -> ok end end),
    receive off -> ok end,
    garbage_collect(Q, [{async, never}]),
    Q ! stop,
    ?is(false, got(garbage_collect, never)),
    erts_debug:set_internal_state(available_internal_state, Before).

module(Name, Text) ->
    Forms = [begin {ok, T, _} = erl_scan:string(S), {ok, F} = erl_parse:parse_form(T), F end
             || S <- ["-module(" ++ atom_to_list(Name) ++ ").", "-compile([export_all, nowarn_export_all])." | Text]],
    {ok, Name, Bin} = compile:forms(Forms),
    Bin.

%% Who was spawned before code is changed is in the code of that time, or, where it
%% could not begin yet, finds none: never in code of which nobody knows.
code_changes() ->
    Before = process_flag(priority, high),
    Bin = module(process_requests_m, ["loop() -> receive {F, R} -> F ! R, loop() end."]),
    {module, M} = erlang:load_module(process_requests_m, Bin),
    {P, R} = spawn_monitor(M, loop, []),
    ?is(true, erlang:delete_module(M)),
    InUse = check_process_code(P, M),
    InUse andalso exit(P, kill),
    ?matches(E when E =:= {true, killed}; element(1, element(2, E)) =:= undef, {InUse, down(P, R)}),
    ?is(true, erlang:purge_module(M)),
    process_flag(priority, Before).

dirty() ->
    Me = self(),
    P = spawn(fun() -> erts_debug:dirty_io(alive_waitexiting, Me) end),
    receive {alive, P} -> ok end,
    ?is([{status, running}, {current_function, {erts_debug, dirty_io, 2}}],
        process_info(P, [status, current_function])),
    ?is(true, erts_internal:is_process_executing_dirty(P)),
    %% Others run meanwhile, and may ask.
    P ! {self(), x},
    ?is({status, running}, process_info(P, status)),
    ?is(false, check_process_code(P, lists)),
    ?is(true, erts_internal:is_process_executing_dirty(P)),
    exit(P, kill),
    %% It goes on afterwards, with what was asked and sent. (How soon that was, only the
    %% machine knows.)
    Q = spawn(fun() -> Me ! {ready, self()},
                       erts_debug:dirty_io(wait, 300),
                       receive {F, x} -> F ! self() end,
                       receive stop -> ok end
              end),
    receive {ready, Q} -> ok end,
    Q ! {self(), x},
    ?is(true, garbage_collect(Q)),
    ?is(Q, receive Q -> Q after 60000 -> none end),
    ?is(false, erts_internal:is_process_executing_dirty(Q)),
    exit(Q, kill),
    ?is(ok, erts_debug:dirty_cpu(wait, 0)),
    ?is(ok, erts_debug:dirty_cpu(wait, 1)),
    ?raises({error, badarg}, erts_debug:dirty_cpu(wait, x)).

%% Dirty for longer than anything here takes: an end that is known meanwhile was
%% not the end of the call.
dirty_long() -> erts_debug:dirty_io(wait, 90000).

down(P, R) -> receive {'DOWN', R, process, P, Why} -> Why after 60000 -> none end.

%% All know at once that it is gone; what is on its heap goes with the call.
dirty_killed() ->
    {P, R} = spawn_monitor(fun dirty_long/0),
    ?is(true, until(P, fun() -> erts_internal:is_process_executing_dirty(P) end)),
    async = garbage_collect(P, [{async, gone}]),
    exit(P, kill),
    ?is(killed, down(P, R)),
    ?is(undefined, process_info(P)),
    ?is(false, lists:member(P, processes())),
    ?is(false, got(garbage_collect, gone)),
    Bin = binary:copy(<<"x">>, 5000),
    Refs = fun() ->
               {binary, L} = process_info(self(), binary),
               hd([C || {_, 5000, C} <- L])
           end,
    garbage_collect(),
    One = Refs(),
    Me = self(),
    Q = spawn(fun() -> erts_debug:dirty_io(alive_waitexiting, Me), exit(Bin) end),
    receive {alive, Q} -> ok end,
    ?is(One + 1, Refs()),
    exit(Q, kill),
    ?is(true, until(Me, fun() -> Refs() =:= One end)),
    ?is(5000, byte_size(Bin)).

%% It is suspended once it is not dirty any more.
dirty_suspended() ->
    Me = self(),
    {P, R} = spawn_monitor(fun() -> erts_debug:dirty_io(alive_waitexiting, Me) end),
    receive {alive, P} -> ok end,
    erlang:suspend_process(P, [asynchronous]),
    ?is({status, running}, process_info(P, status)),
    exit(P, kill),
    ?is(killed, down(P, R)),
    {Q, S} = spawn_monitor(fun() ->
                               Me ! {ready, self()},
                               erts_debug:dirty_io(wait, 200),
                               receive go -> exit(back) end
                           end),
    receive {ready, Q} -> ok end,
    erlang:suspend_process(Q, [asynchronous]),
    Q ! go,
    ?is(true, until(Q, fun() -> process_info(Q, status) =:= {status, suspended} end)),
    erlang:resume_process(Q),
    ?is(back, down(Q, S)).

%% More than there are places: they take turns, and can be killed as they wait.
dirty_places() ->
    N = 3 * erlang:system_info(dirty_cpu_schedulers),
    Me = self(),
    Ps = [spawn(fun() -> ok = erts_debug:dirty_cpu(wait, 20), Me ! {self(), done} end)
          || _ <- lists:seq(1, N)],
    ?is(lists:duplicate(N, done), [receive {P, X} -> X after 60000 -> none end || P <- Ps]),
    Qs = [spawn(fun() -> erts_debug:dirty_cpu(wait, 50) end) || _ <- lists:seq(1, N)],
    receive after 10 -> ok end,
    [garbage_collect(Q, [{async, Q}]) || Q <- Qs],
    [exit(Q, kill) || Q <- lists:reverse(Qs)],
    [?is(true, is_boolean(got(garbage_collect, Q))) || Q <- Qs],
    ?is(lists:duplicate(N, false), [is_process_alive(Q) || Q <- Qs]),
    ?is(ok, erts_debug:dirty_cpu(wait, 1)).

%% Code that it will return to is in use.
dirty_code() ->
    Bin = module(process_requests_d, ["f(F) -> F(), process_requests:no()."]),
    {module, M} = erlang:load_module(process_requests_d, Bin),
    {P, R} = spawn_monitor(M, f, [fun dirty_long/0]),
    ?is(true, until(P, fun() -> erts_internal:is_process_executing_dirty(P) end)),
    ?is(true, erlang:delete_module(M)),
    ?is(true, check_process_code(P, M)),
    ?is(true, erlang:purge_module(M)),
    ?is(killed, down(P, R)).

%% Who is there when processes/0 is called is in it, also who dies before it is
%% done; who starts meanwhile is not. It gives up its slice on the way.
listed() ->
    Before = erts_debug:set_internal_state(available_internal_state, true),
    {Ps, New, All, Got} = on_first(normal, fun lists_others/0),
    %% Of these: what other tests left may go meanwhile.
    Ours = maps:from_keys(Ps ++ New, true),
    ?is(lists:sort(Ps), lists:sort([P || P <- All, is_map_key(P, Ours)])),
    ?is(lists:sort(Ps), lists:sort([P || P <- Got, is_map_key(P, Ours)])),
    Me = self(),
    %% It may be killed on the way, or be suspended and collected.
    Half = [spawn(fun() -> erts_debug:set_internal_state(reds_left, 60),
                           Me ! {self(), length(processes()) > 3000},
                           receive stop -> ok end end)
            || _ <- lists:seq(1, 20)],
    [exit(P, kill) || P <- lists:sublist(Half, 10)],
    Rest = lists:nthtail(10, Half),
    [begin erlang:suspend_process(P), garbage_collect(P) end || P <- Rest],
    [erlang:resume_process(P) || P <- Rest],
    ?is([true], lists:usort([receive {P, B} -> B after 60000 -> none end || P <- Rest])),
    [exit(P, kill) || P <- Rest ++ New],
    erts_debug:set_internal_state(available_internal_state, Before).

%% Which processes are killed, which are started, and what two calls told of them:
%% one before all that, one that began before it. The lister takes turns with who
%% does that, and its turn ends in processes/0.
lists_others() ->
    Me = self(),
    Ps = [spawn(fun() -> receive never -> ok end end) || _ <- lists:seq(1, 2000)],
    Lister = spawn_opt(fun() ->
                           erlang:yield(),
                           All = erts_debug:get_internal_state(processes),
                           Me ! begins,
                           erts_debug:set_internal_state(reds_left, 60),
                           L = processes(),
                           Me ! {self(), All, L}
                       end, [{scheduler, 1}]),
    receive begins -> ok end,
    [exit(P, kill) || P <- Ps],
    New = [spawn(fun() -> receive never -> ok end end) || _ <- lists:seq(1, 3000)],
    receive {Lister, All, Got} -> {Ps, New, All, Got} end.
