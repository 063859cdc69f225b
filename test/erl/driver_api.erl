%% Ports of a loaded driver, made with OTP's header (driver_api.c): its callbacks,
%% what it may call, how its ports end.
-module(driver_api).
-export([main/0]).
-include("test.hrl").

main() ->
    Dir = filename:dirname(code:which(?MODULE)),
    process_flag(trap_exit, true),
    ok = erl_ddll:load(Dir, driver_api),
    ok = erl_ddll:load(Dir, driver_api_v),
    opening(), output(), controls(), calls(), terms(), timers(), selecting(), jobs(),
    monitors(), busy(), ends(), queues(), vectors(), acknowledged(Dir),
    ?is(ok, erl_ddll:unload(driver_api)),
    ?is(ok, erl_ddll:unload(driver_api_v)),
    ?is(nothing, next()).

open(Args, Options) ->
    open_port({spawn_driver, "driver_api" ++ Args}, Options).
next() ->
    receive M -> M after 0 -> nothing end.
recv() ->
    receive M -> M end.
close(Port) ->
    true = port_close(Port),
    ?is({'EXIT', Port, normal}, recv()).

opening() ->
    ?raises({error, badarg}, open(" badarg", [])),
    ?raises({error, einval}, open(" general", [])),
    ?raises({error, enoent}, open(" enoent", [])),
    ?raises({error, badarg}, open_port({spawn_driver, "driver_api_none"}, [])),
    ?raises({error, badarg}, open("", [exit_status])),
    ?raises({error, badarg}, open("", [{busy_limits_port, {1, 1}}])),
    close(open("", [{busy_limits_msgq, {1, (1 bsl 64) - 2}}])),
    P = open_port({spawn, "driver_api and more"}, [{parallelism, true}]),
    ?is({name, "driver_api and more"}, erlang:port_info(P, name)),
    ?is({connected, self()}, erlang:port_info(P, connected)),
    ?is({parallelism, true}, erlang:port_info(P, parallelism)),
    close(P).

output() ->
    P = open("", []),
    P ! {self(), {command, ["ec", $h, <<"o">>]}},
    ?is({P, {data, "Echo"}}, recv()),
    port_command(P, "p12345"),
    ?is({P, {data, "V2345"}}, recv()),
    ?is({P, {data, "B2345"}}, recv()),
    ?is({P, {data, "12345"}}, recv()),
    port_command(P, "c"),
    ?is(self(), recv()),
    port_command(P, "h"),
    ?is({thread, P, 1}, recv()),
    close(P),
    B = open("", [binary]),
    port_command(B, "e"),
    ?is({B, {data, [$E | <<>>]}}, recv()),
    Long = binary:copy(<<"long">>, 100),
    port_command(B, ["p", Long]),
    <<_, A:199/binary, C/binary>> = Long,
    <<_, Rest/binary>> = Long,
    ?is({B, {data, [$V, A | C]}}, recv()),
    ?is({B, {data, [$B | Rest]}}, recv()),
    ?is({B, {data, Long}}, recv()),
    close(B),
    L = open("", [{line, 4}]),
    port_command(L, "eone\nlonger\nx"),
    ?is({L, {data, {eol, "Eone"}}}, recv()),
    ?is({L, {data, {noeol, "Elong"}}}, recv()),
    ?is({L, {data, {eol, "Eer"}}}, recv()),
    port_command(L, "E"),
    ?is({L, {data, {noeol, "x"}}}, recv()),
    ?is({'EXIT', L, normal}, recv()).

controls() ->
    P = open("", []),
    ?is("", port_control(P, $e, "")),
    ?is("abc", port_control(P, $e, ["a", <<"bc">>])),
    ?is([], port_control(P, $n, "")),
    Long = lists:duplicate(1000, $l),
    ?is(Long, port_control(P, $e, Long)),
    ?raises({error, badarg}, port_control(P, 1, "")),
    ?raises({error, badarg}, port_control(P, -1, "")),
    ?is("0", port_control(P, $x, "")),
    close(P),
    B = open(" binary", []),
    ?is(<<"abc">>, port_control(B, $e, "abc")),
    ?is(<<"abc">>, port_control(B, $b, "abc")),
    ?is(list_to_binary(Long), port_control(B, $b, Long)),
    close(B).

calls() ->
    P = open("", []),
    [?is(T, erlang:port_call(P, 0, T)) ||
        T <- [1, {a, [b]}, lists:seq(1, 500), self(), make_ref(), #{k => 1.5}]],
    ?raises({error, badarg}, erlang:port_call(P, 1, a)),
    ?raises({error, badarg}, erlang:port_call(P, 2, a)),
    close(P).

terms() ->
    P = open("", []),
    Expect = {[], atom, -5, 16#ffffffffffffffff, -(1 bsl 63), 16#ffffffffffffffff, P, self(),
              2.5, binary:copy(<<"b">>, 100), <<"xy">>, <<"buffer">>, "string",
              [$a, $b | 1], {7}, {}, [1, 2], #{k => 1, l => 2}},
    port_command(P, "t"),
    ?is(Expect, recv()),
    port_command(P, "T"),
    ?is(Expect, recv()),
    ?is("6", port_control(P, $B, "")),
    T = lists:duplicate(1000, <<"compressed">>),
    [begin
         ?is("1", port_control(P, $z, Ext)),
         ?is(T, recv())
     end || Ext <- [term_to_binary(T), term_to_binary(T, [compressed])]],
    ?is("-1", port_control(P, $z, [131, 80, 0, 0, 0, 9, 1, 2])),
    ?is("-1", port_control(P, $z, [131, 80])),
    close(P).

timers() ->
    P = open("", []),
    port_command(P, "s0"),
    ?is({P, {data, "T"}}, recv()),
    port_command(P, "s5"),
    port_command(P, "s9"),
    ?is({P, {data, "T"}}, recv()),
    ?is(nothing, next()),
    port_command(P, "s9"),
    close(P).

selecting() ->
    P = open("", []),
    port_command(P, "wpipe"),
    ?is({P, {data, "Rpipe"}}, recv()),
    close(P),
    %% A descriptor that is not open is never ready.
    Q = open("", []),
    port_command(Q, "f"),
    ?is({Q, {data, "T"}}, recv()),
    close(Q).

jobs() ->
    P = open("", []),
    port_command(P, "j"),
    ?is({jobs, P, 123}, recv()),
    port_command(P, "j"),
    close(P),
    Late = open("", []),
    port_command(Late, "J"),
    close(Late),
    %% Behind that job, as all have one thread.
    Q = open("", []),
    port_command(Q, "j"),
    ?is({jobs, Q, 123}, recv()),
    close(Q).

watching() ->
    {monitored_by, L} = process_info(self(), monitored_by),
    [P || P <- L, is_port(P)].

monitors() ->
    P = open("", []),
    ?is({monitors, []}, erlang:port_info(P, monitors)),
    {Pid, Ref} = spawn_monitor(fun() ->
        ?is("0", port_control(P, $m, ""))
    end),
    receive {'DOWN', Ref, process, _, _} -> ok end,
    receive {down, Pid, 0} -> ok end,
    ?is("0", port_control(P, $m, "")),
    ?is({monitors, [{process, self()}]}, erlang:port_info(P, monitors)),
    ?is([P], watching()),
    ?is("0", port_control(P, $d, "")),
    ?is("1", port_control(P, $d, "")),
    ?is([], watching()),
    ?is("0", port_control(P, $m, "")),
    close(P),
    ?is([], watching()).

busy() ->
    P = open("", []),
    port_command(P, "b"),
    ?is(false, port_command(P, "elate", [nosuspend])),
    ?is(true, port_command(P, "eforced", [force])),
    ?is({P, {data, "Eforced"}}, recv()),
    Self = self(),
    [begin
         Pid = spawn_link(fun() -> Self ! going, Send("ewaited") end),
         ?is(going, recv()),
         wait_for_status(Pid, suspended),
         ?is({current_function, MFA}, process_info(Pid, current_function)),
         Pid ! a_message,
         wait_for_status(Pid, suspended),
         ?is([], port_control(P, $i, "")),
         ?is({P, {data, "Ewaited"}}, recv()),
         ?is({'EXIT', Pid, normal}, recv()),
         port_command(P, "b")
     end || {Send, MFA} <- [{fun(D) -> P ! {Self, {command, D}} end, {erlang, send, 2}},
                            {fun(D) -> erlang:send(P, {Self, {command, D}}) end,
                             {erlang, send, 2}},
                            {fun(D) -> erlang:send(P, {Self, {command, D}}, []) end,
                             {erlang, send, 3}}]],
    ?is(nosuspend, erlang:send(P, {self(), {command, "elate"}}, [nosuspend])),
    Pid = spawn_link(fun() -> Self ! going, port_command(P, "ewaited") end),
    ?is(going, recv()),
    wait_for_status(Pid, suspended),
    ?is([], port_control(P, $i, "")),
    ?is({P, {data, "Ewaited"}}, recv()),
    ?is({'EXIT', Pid, normal}, recv()),
    ?is(ok, erlang:send(P, {self(), {command, "e"}}, [nosuspend])),
    ?is({P, {data, "E"}}, recv()),
    %% Who waits when the port ends goes on.
    port_command(P, "b"),
    Late = spawn_link(fun() -> Self ! going, P ! {Self, {command, "ewaited"}} end),
    ?is(going, recv()),
    wait_for_status(Late, suspended),
    close(P),
    ?is({'EXIT', Late, normal}, recv()).

wait_for_status(Pid, Status) ->
    case process_info(Pid, status) of
        {status, Status} -> ok;
        _ -> erlang:yield(), wait_for_status(Pid, Status)
    end.

ends() ->
    [begin
         P = open("", []),
         Ref = monitor(port, P),
         port_command(P, Command),
         ?is({'EXIT', P, Why}, recv()),
         ?is({'DOWN', Ref, port, P, Why}, recv()),
         ?is(undefined, erlang:port_info(P)),
         ?raises({error, badarg}, port_command(P, "e"))
     end || {Command, Why} <- [{"E", normal}, {"A", atom}, {"P", eacces}, {"F", 17}]],
    P = open("", [eof]),
    port_command(P, "E"),
    ?is({P, eof}, recv()),
    close(P),
    %% The owner is unlinked first.
    [begin
         Q = open("", []),
         Ref = monitor(port, Q),
         Do(Q),
         ?is({'DOWN', Ref, port, Q, Why}, recv())
     end || {Do, Why} <- [{fun(Q) -> port_command(Q, "X") end, normal},
                          {fun(Q) -> port_control(Q, $X, "") end, epipe}]],
    L = open("", []),
    port_command(L, "l"),
    L ! {self(), close},
    ?is([{L, closed}, {L, {data, "last words"}}, {'EXIT', L, normal}],
        lists:sort([recv(), recv(), recv()])),
    C = open("", []),
    port_command(C, "n"),
    {created, New, 0} = recv(),
    ?is(true, is_port(New)),
    ?is({'EXIT', New, enough}, recv()),
    close(C).

%% A port that has something queued ends when that is gone; but not if it is killed.
queues() ->
    P = open("", []),
    ?is("0", port_control(P, $q, "")),
    port_command(P, "qqueued"),
    ?is({queue_size, 6}, erlang:port_info(P, queue_size)),
    P ! {self(), close},
    ?is({'EXIT', P, normal}, recv()),
    ?is({P, closed}, recv()),
    ?is(undefined, erlang:port_info(P)),
    K = open("", []),
    port_command(K, "qqueued"),
    exit(K, kill),
    ?is({'EXIT', K, killed}, recv()).

vectors() ->
    P = open_port({spawn, driver_api_v}, [binary]),
    Large = binary:copy(<<"large">>, 1000),
    port_command(P, "small"),
    ?is({P, {data, [$2 | <<"small">>]}}, recv()),
    port_command(P, [<<"sm">>, [$a, ["ll"]]]),
    ?is({P, {data, [$2 | <<"small">>]}}, recv()),
    port_command(P, ["x", Large, [<<"y">> | <<"z">>]]),
    ?is({P, {data, [$n, <<"x">>, Large | <<"yz">>]}}, recv()),
    port_command(P, Large),
    ?is({P, {data, [$2 | Large]}}, recv()),
    ?raises({error, badarg}, port_command(P, [a])),
    ?raises({error, badarg}, port_command(P, [<<1:1>>])),
    close(P).

%% open_port/2 waits for what the driver says of the port, a while after its start.
acknowledged(Dir) ->
    ok = erl_ddll:load(Dir, driver_api_ack),
    P = open_port({spawn_driver, driver_api_ack}, []),
    ?is({os_pid, 4711}, erlang:port_info(P, os_pid)),
    port_command(P, "eopen"),
    ?is({P, {data, "Eopen"}}, recv()),
    close(P),
    ?raises({error, einval}, open_port({spawn_driver, "driver_api_ack late"}, [])),
    ?is(nothing, next()),
    ?is(ok, erl_ddll:unload(driver_api_ack)).
