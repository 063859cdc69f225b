%% What keeps a process's memory bounded: the collector, and max_heap_size.
-module(heap_limits).
-export([main/0, log/2]).
-include("test.hrl").

main() ->
    bignum_loop(),
    binary_loop(),
    max_heap_size(),
    mailbox(),
    reports().

%% Words of the largest heap that F's process had, seen from outside, until it ends.
peak(F) ->
    {Pid, Ref} = spawn_monitor(F),
    watch(Pid, Ref, 0).

watch(Pid, Ref, Most) ->
    receive {'DOWN', Ref, process, Pid, Why} -> {Why, Most}
    after 1 ->
        case process_info(Pid, [total_heap_size, binary]) of
            [{_, Words}, {_, Bins}] ->
                watch(Pid, Ref, max(Most, Words + lists:sum([N || {_, N, _} <- Bins]) div 8));
            undefined -> watch(Pid, Ref, Most)
        end
    end.

%% All that is allocated are the bignums of a guard and of an addition.
bignum_loop() ->
    Loop = fun L(0, X) -> X;
               L(N, X) when X * X > 0 -> L(N - 1, X + 1) end,
    {Why, Most} = peak(fun() -> exit({done, Loop(300000, 1 bsl 64)}) end),
    ?is({done, (1 bsl 64) + 300000}, Why),
    ?is(true, Most < 100000).

binary_loop() ->
    Loop = fun L(0, B) -> byte_size(B);
               L(N, B) -> L(N - 1, <<(binary:part(B, 1, 9999))/binary, N>>) end,
    {Why, Most} = peak(fun() -> exit({done, Loop(20000, binary:copy(<<7>>, 10000))}) end),
    ?is({done, 10000}, Why),
    ?is(true, Most < 4000000).

limited(Opts, F) ->
    {Pid, Ref} = spawn_opt(F, [monitor, {max_heap_size, Opts}]),
    receive {'DOWN', Ref, process, Pid, Why} -> {Pid, Why} end.

max_heap_size() ->
    Quiet = #{size => 10000, error_logger => false},
    Hog = fun() -> exit({done, length(lists:seq(1, 100000))}) end,
    ?matches({_, killed}, limited(Quiet, Hog)),
    ?matches({_, {done, 100000}}, limited(Quiet#{kill => false}, Hog)),
    ?matches({_, {done, 100000}}, limited(Quiet#{size => 0}, Hog)),
    ?matches({_, {done, ok}}, limited(Quiet, fun() -> exit({done, ok}) end)),
    %% It can be set while running; the process's own handlers do not see it die.
    ?matches({_, killed},
             limited(Quiet#{size => 0},
                     fun() ->
                         process_flag(max_heap_size, Quiet),
                         process_flag(trap_exit, true),
                         try Hog() catch _:_ -> caught after exit(after_it) end
                     end)),
    %% Garbage alone does not kill.
    ?matches({_, {done, ok}},
             limited(Quiet#{size => 40000}, fun() ->
                 lists:foreach(fun(_) -> lists:seq(1, 50) end, lists:seq(1, 500)),
                 exit({done, ok})
             end)).

%% What waits for a process counts too, unless it is kept apart.
mailbox() ->
    Flooded = fun(Data) ->
        Sent = atomics:new(1, []),
        Wait = fun F() -> atomics:get(Sent, 1) =:= 1 orelse begin erlang:yield(), F() end end,
        Busy = fun() ->
            Wait(),
            receive go -> ok after 0 -> ok end,     % looks at all of them
            erlang:garbage_collect(),
            exit({waiting, element(2, process_info(self(), message_queue_len))})
        end,
        {Pid, Ref} = spawn_opt(Busy, [monitor, {message_queue_data, Data},
                                      {max_heap_size, #{size => 100000, error_logger => false}}]),
        [Pid ! lists:seq(1, 200) || _ <- lists:seq(1, 1000)],
        atomics:put(Sent, 1, 1),
        receive {'DOWN', Ref, process, Pid, Why} -> Why end
    end,
    ?is(killed, Flooded(on_heap)),
    ?is({waiting, 1000}, Flooded(off_heap)),
    %% Looked at often, collected meanwhile, and all there in the end.
    Sent = [{N, lists:seq(1, N), binary:copy(<<N>>, 100)} || N <- lists:seq(1, 200)],
    Picky = fun() ->
        [receive {N, _, <<N, _/binary>>} = M -> erlang:garbage_collect(), M end
         || N <- lists:seq(200, 1, -1)]
    end,
    [begin
        Self = self(),
        Pid = spawn_opt(fun() -> receive go -> Self ! {got, Picky()} end end,
                        [{message_queue_data, Data}]),
        [Pid ! M || M <- Sent],
        Pid ! go,
        ?is({got, lists:reverse(Sent)}, receive {got, _} = G -> G end)
     end || Data <- [on_heap, off_heap]],
    ok.

%% A logger handler: what was reported, to whoever is registered.
log(Event, _) -> heap_limits_reports ! {event, Event}, ok.

reports() ->
    register(heap_limits_reports, self()),
    ok = logger:add_handler(?MODULE, ?MODULE, #{}),
    Silent = fun(_, _) -> stop end,
    ok = logger:add_handler_filter(default, ?MODULE, {Silent, no}),
    Hog = fun() -> lists:seq(1, 100000) end,
    {Killed, _} = limited(#{size => 10000, error_logger => true}, Hog),
    ?is([10000, true, true, 0], facts(report(Killed))),
    {Warned, _} = limited(#{size => 10000, error_logger => true, kill => false}, Hog),
    ?is([10000, false, true, 0], facts(report(Warned))),
    %% What it said would come before what the next one says.
    {Mute, _} = limited(#{size => 10000, error_logger => false}, Hog),
    {Last, _} = limited(#{size => 10000, error_logger => true}, Hog),
    ?is([10000, true, true, 0], facts(report(Last))),
    ?is([], [said || {event, #{msg := {_, [Pid | _]}}} <- element(2, process_info(self(), messages)),
                     Pid =:= Mute]),
    ok = logger:remove_handler(?MODULE),
    ok = logger:remove_handler_filter(default, ?MODULE),
    unregister(heap_limits_reports).

report(Pid) ->
    receive
        {event, #{level := error, msg := {Format, [Pid | Args]}}} ->
            "     Process:" ++ _ = Format,
            Args
    after 60000 -> none
    end.

facts([Max, Total, Kill, Log, Queue, Info]) when Total > Max ->
    ?is([old_heap_block_size, heap_block_size, mbuf_size, recent_size, stack_size,
         old_heap_size, heap_size, bin_vheap_size, bin_vheap_block_size,
         bin_old_vheap_size, bin_old_vheap_block_size], [K || {K, V} <- Info, V >= 0]),
    [Max, Kill, Log, Queue].
