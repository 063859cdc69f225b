%% Processes and messages.
-module(bench_proc).
-export([names/0, program/1, init/1, handle_call/3, handle_cast/2]).

names() ->
    [pingpong, ring, spawn_exit, spawn_link, messages_medium, messages_big, selective, gen_server_call,
     timers, monitors, process_dict, many_mailboxes].

program(pingpong) -> {fun echo/0, fun(P) -> pingpong(30000, P) end};
program(ring) -> {fun() -> ring(200) end, fun(P) -> P ! {self(), 100}, receive done -> ok end end};
program(spawn_exit) -> {fun() -> 10000 end, fun spawn_exit/1};
program(spawn_link) -> {fun() -> process_flag(trap_exit, true), 5000 end, fun spawn_link_exit/1};
program(messages_medium) ->
    {fun() -> {echo(), {[alpha, {beta, "gamma", 1.5}], <<"delta">>, lists:seq(1, 20)}} end,
     fun({P, M}) -> messages(10000, P, M) end};
program(messages_big) ->
    {fun() -> {echo(), lists:seq(1, 5000)} end, fun({P, M}) -> messages(60, P, M) end};
program(selective) ->
    {fun() -> [self() ! {noise, I} || I <- lists:seq(1, 300)], echo() end,
     fun(P) -> selective(1000, P) end};
program(gen_server_call) ->
    {fun() -> {ok, P} = gen_server:start_link(?MODULE, 0, []), P end,
     fun(P) -> calls(10000, P) end};
program(timers) -> {fun() -> 20000 end, fun timers/1};
program(monitors) -> {fun echo/0, fun(P) -> monitors(30000, P) end};
program(process_dict) -> {fun() -> 200000 end, fun dict/1};
program(many_mailboxes) ->
    {fun() -> [spawn_link(fun drain/0) || _ <- lists:seq(1, 500)] end,
     fun(Ps) -> [[P ! I || P <- Ps] || I <- lists:seq(1, 20)],
                [P ! {stop, self()} || P <- Ps],
                [receive stopped -> ok end || _ <- Ps] end}.

echo() -> spawn_link(fun echo_loop/0).
echo_loop() -> receive {P, M} -> P ! M, echo_loop() end.

pingpong(0, _) -> ok;
pingpong(N, P) -> P ! {self(), N}, receive N -> pingpong(N - 1, P) end.
messages(0, _, _) -> ok;
messages(N, P, M) -> P ! {self(), {N, M}}, receive {N, _} -> messages(N - 1, P, M) end.
selective(0, _) -> ok;
selective(N, P) ->
    Ref = make_ref(),
    P ! {self(), {Ref, N}},
    receive {Ref, N} -> selective(N - 1, P) end.

ring(N) -> Self = self(), Last = spawn_link(fun() -> ring_last(Self) end), ring(N, Last, Last).
ring(0, Next, Last) -> Last ! {next, Next}, Next;
ring(N, Next, Last) -> ring(N - 1, spawn_link(fun() -> ring_member(Next) end), Last).
ring_member(Next) -> receive M -> Next ! M, ring_member(Next) end.
ring_last(Owner) -> receive {next, First} -> ring_last(Owner, First) end.
ring_last(Owner, First) ->
    receive
        {_, 0} -> Owner ! done;
        {From, N} -> First ! {From, N - 1}, ring_last(Owner, First)
    end.

spawn_exit(0) -> ok;
spawn_exit(N) ->
    {_, R} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', R, _, _, _} -> spawn_exit(N - 1) end.
spawn_link_exit(0) -> ok;
spawn_link_exit(N) ->
    P = spawn_link(fun() -> exit(done) end),
    receive {'EXIT', P, done} -> spawn_link_exit(N - 1) end.

calls(0, _) -> ok;
calls(N, P) -> _ = gen_server:call(P, {add, N}), calls(N - 1, P).
init(S) -> {ok, S}.
handle_call({add, N}, _, S) -> {reply, S, (S + N) band 16#ffff}.
handle_cast(_, S) -> {noreply, S}.

timers(0) -> ok;
timers(N) ->
    R = erlang:send_after(100000 + N, self(), x),
    _ = erlang:cancel_timer(R),
    timers(N - 1).
monitors(0, _) -> ok;
monitors(N, P) -> erlang:demonitor(erlang:monitor(process, P), [flush]), monitors(N - 1, P).
dict(0) -> ok;
dict(N) -> put(N band 63, N), _ = get((N + 7) band 63), dict(N - 1).
drain() -> receive {stop, P} -> P ! stopped; _ -> drain() end.
