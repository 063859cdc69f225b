%% Streams over loopback: gen_tcp and inet as stock OTP answers.
-module(net_tcp).
-export([main/0]).
-include("test.hrl").
-include_lib("kernel/include/file.hrl").

main() ->
    process_flag(trap_exit, true),
    recv(),
    active(),
    modes(),
    packets(),
    bad_packets(),
    http(),
    acceptors(),
    ownership(),
    refusals(),
    ends(),
    again(),
    half_close(),
    flow(),
    timeouts(),
    options(),
    statistics(),
    names(),
    families(),
    files().

%% ---- helpers ----

listen(Opts) ->
    {ok, L} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}} | Opts]),
    L.

%% A connected pair {Client, Server}, both passive binaries but for Opts.
pair() -> pair([], []).
pair(ClientOpts, ServerOpts) ->
    L = listen([binary, {active, false} | ServerOpts]),
    {ok, Port} = inet:port(L),
    {ok, C} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false} | ClientOpts]),
    {ok, S} = gen_tcp:accept(L),
    ok = gen_tcp:close(L),
    {C, S}.

close({A, B}) -> gen_tcp:close(A), gen_tcp:close(B).

msg() -> receive {'EXIT', _, _} -> msg(); M -> M after 60000 -> none end.
no_msg() -> receive {'EXIT', _, _} -> no_msg(); M -> M after 30 -> none end.

%% What Fun gives in a process of its own, which then waits to be told to end.
async(Fun) ->
    Self = self(),
    spawn_link(fun() -> Self ! {self(), Fun()}, receive stop -> ok end end).
await(P) ->
    receive {P, R} -> R after 60000 -> timeout end.

%% Wait until Fun is true; for what happens at the other end.
until(Fun) ->
    case Fun() of true -> ok; _ -> timer:sleep(5), until(Fun) end.

all(S, Acc) ->
    case gen_tcp:recv(S, 0, 60000) of
        {ok, D} -> all(S, [Acc, D]);
        {error, R} -> {R, iolist_to_binary(Acc)}
    end.

%% ---- passive ----

recv() ->
    {C, S} = P = pair(),
    ?is(ok, gen_tcp:send(C, "hello")),
    ?is({ok, <<"he">>}, gen_tcp:recv(S, 2)),
    ?is({ok, <<"llo">>}, gen_tcp:recv(S, 0)),
    R = async(fun() -> gen_tcp:recv(S, 6) end),
    gen_tcp:send(C, ["a", <<"b">>, [$c]]),
    timer:sleep(10),
    gen_tcp:send(C, "defgh"),
    ?is({ok, <<"abcdef">>}, await(R)),
    ?is({ok, <<"gh">>}, gen_tcp:recv(S, 0)),
    ?is({error, timeout}, gen_tcp:recv(S, 0, 0)),
    ?is({error, timeout}, gen_tcp:recv(S, 0, 20)),
    gen_tcp:send(C, "xyz"),
    ?is({error, timeout}, gen_tcp:recv(S, 4, 20)),
    ?is({ok, <<"xyz">>}, gen_tcp:recv(S, 3, 60000)),
    ?is(ok, gen_tcp:unrecv(S, "back")),
    ?is({ok, <<"bac">>}, gen_tcp:recv(S, 3)),
    ?is(ok, gen_tcp:unrecv(S, "bac")),
    ?is({ok, <<"back">>}, gen_tcp:recv(S, 0)),
    W = async(fun() -> gen_tcp:recv(S, 0) end),
    until(fun() -> process_info(W, status) =:= {status, waiting} end),
    ?is({error, ealready}, gen_tcp:recv(S, 0)),
    gen_tcp:send(C, "1"),
    ?is({ok, <<"1">>}, await(W)),
    ?is(ok, gen_tcp:send(C, "")),
    ?is({error, enomem}, gen_tcp:recv(S, 16#4000001)),
    %% A receiver that is killed leaves the socket usable.
    gen_tcp:send(C, "last"),
    gen_tcp:close(C),
    ?is({ok, <<"last">>}, gen_tcp:recv(S, 0)),
    ?is({error, closed}, gen_tcp:recv(S, 0)),
    ?is({error, closed}, gen_tcp:send(S, "x")),
    close(P),
    ?is({error, closed}, gen_tcp:recv(S, 0)),
    ?is({error, closed}, gen_tcp:send(S, "x")).

%% ---- active ----

active() ->
    {C, S} = P = pair(),
    gen_tcp:send(C, "early"),
    until(fun() -> inet:setopts(S, [{active, once}]) =:= ok end),
    ?is({tcp, S, <<"early">>}, msg()),
    ?is({ok, [{active, false}]}, inet:getopts(S, [active])),
    gen_tcp:send(C, "more"),
    ?is(none, no_msg()),
    ?is({ok, <<"more">>}, gen_tcp:recv(S, 0)),
    ok = inet:setopts(S, [{active, true}]),
    ?is({error, einval}, gen_tcp:recv(S, 0)),
    gen_tcp:send(C, "1"),
    ?is({tcp, S, <<"1">>}, msg()),
    gen_tcp:send(C, "2"),
    ?is({tcp, S, <<"2">>}, msg()),
    ok = inet:setopts(S, [{active, false}]),
    ok = inet:setopts(S, [{active, 2}]),
    ?is({ok, [{active, 2}]}, inet:getopts(S, [active])),
    gen_tcp:send(C, "3"),
    ?is({tcp, S, <<"3">>}, msg()),
    ?is({ok, [{active, 1}]}, inet:getopts(S, [active])),
    ok = inet:setopts(S, [{active, 3}]),
    ?is({ok, [{active, 4}]}, inet:getopts(S, [active])),
    ok = inet:setopts(S, [{active, -4}]),
    ?is({tcp_passive, S}, msg()),
    ?is({ok, [{active, false}]}, inet:getopts(S, [active])),
    ?is({error, einval}, inet:setopts(S, [{active, 32768}])),
    ok = inet:setopts(S, [{active, 1}]),
    gen_tcp:send(C, "4"),
    ?is({tcp, S, <<"4">>}, msg()),
    ?is({tcp_passive, S}, msg()),
    ok = inet:setopts(S, [{active, once}]),
    gen_tcp:close(C),
    ?is({tcp_closed, S}, msg()),
    ?is(none, no_msg()),
    close(P),
    %% Closed while passive, then made active.
    {C2, S2} = pair(),
    gen_tcp:send(C2, "left"),
    gen_tcp:close(C2),
    ?is({ok, <<"left">>}, gen_tcp:recv(S2, 0)),
    ok = inet:setopts(S2, [{active, true}]),
    ?is({tcp_closed, S2}, msg()),
    ?is(none, no_msg()),
    ?is(undefined, erlang:port_info(S2)).

modes() ->
    {C, S} = P = pair([list], [list, {header, 2}]),
    gen_tcp:send(S, <<"abc">>),
    ?is({ok, "abc"}, gen_tcp:recv(C, 0)),
    ok = inet:setopts(S, [binary]),
    gen_tcp:send(C, "abcd"),
    ?is({ok, [$a, $b | <<"cd">>]}, gen_tcp:recv(S, 4)),
    gen_tcp:send(C, "z"),
    ?is({ok, "z"}, gen_tcp:recv(S, 0)),
    %% As a port's data; a port that accept made was not opened with `binary'.
    [ok = inet:setopts(X, [binary, {deliver, port}, {header, 0}, {active, once}]) || X <- [C, S]],
    gen_tcp:send(C, "port"),
    ?is({S, {data, "port"}}, msg()),
    gen_tcp:send(S, "port"),
    ?is({C, {data, <<"port">>}}, msg()),
    close(P).

%% ---- packets ----

%% {Type, what is sent raw, what arrives}
packets() ->
    Table = [{1, <<3, "abc", 0, 1, "x">>, [<<"abc">>, <<>>, <<"x">>]},
             {2, <<0, 3, "abc", 0, 0>>, [<<"abc">>, <<>>]},
             {4, <<0, 0, 0, 1, "a", 0, 0, 0, 2, "bc">>, [<<"a">>, <<"bc">>]},
             {line, <<"one\r\ntwo\n\nthree\n">>,
              [<<"one\r\n">>, <<"two\n">>, <<"\n">>, <<"three\n">>]},
             {asn1, <<16#30, 2, 1, 2, 16#04, 16#81, 1, 9>>,
              [<<16#30, 2, 1, 2>>, <<16#04, 16#81, 1, 9>>]},
             {sunrm, <<16#80, 0, 0, 2, "hi">>, [<<16#80, 0, 0, 2, "hi">>]},
             {fcgi, <<1, 1, 0, 1, 0, 2, 1, 0, "ok", 0>>,
              [<<1, 1, 0, 1, 0, 2, 1, 0, "ok">>]},
             {tpkt, <<3, 0, 0, 6, "ab">>, [<<3, 0, 0, 6, "ab">>]},
             {cdr, <<"GIOP", 1, 0, 0, 1, 0, 0, 0, 2, "ab">>,
              [<<"GIOP", 1, 0, 0, 1, 0, 0, 0, 2, "ab">>]},
             {ssl_tls, <<23, 3, 3, 0, 2, "ab">>, [{ssl_tls, socket, 23, {3, 3}, <<"ab">>}]},
             {raw, <<"as it is">>, [<<"as it is">>]}],
    [packets(T, Sent, Expect) || {T, Sent, Expect} <- Table],
    %% Written with a header.
    [begin
         {C, S} = P = pair([{packet, N}], [{packet, raw}]),
         gen_tcp:send(C, "xy"),
         ?is({ok, <<2:(N * 8), "xy">>}, gen_tcp:recv(S, N + 2)),
         close(P)
     end || N <- [1, 2, 4]],
    %% A packet that comes in many parts, larger than any buffer.
    Big = binary:copy(<<"0123456789">>, 100000),
    {C, S} = P = pair([{packet, 4}], [{packet, 4}]),
    R = async(fun() -> [gen_tcp:recv(S, 0), gen_tcp:recv(S, 0)] end),
    gen_tcp:send(C, Big),
    gen_tcp:send(C, "s"),
    ?is([{ok, Big}, {ok, <<"s">>}], await(R)),
    ?is({error, einval}, gen_tcp:recv(S, 3)),
    %% From one type to another with bytes in the buffer.
    ok = inet:setopts(C, [{packet, raw}]),
    gen_tcp:send(C, <<0, 0, 0, 1, "p", "line\nrest">>),
    ?is({ok, <<"p">>}, gen_tcp:recv(S, 0)),
    ok = inet:setopts(S, [{packet, line}]),
    ?is({ok, <<"line\n">>}, gen_tcp:recv(S, 0)),
    ok = inet:setopts(S, [{packet, raw}]),
    ?is({ok, <<"rest">>}, gen_tcp:recv(S, 0)),
    ok = inet:setopts(S, [{packet, line}, {line_delimiter, $;}]),
    gen_tcp:send(C, "a;b;"),
    ?is({ok, <<"a;">>}, gen_tcp:recv(S, 0)),
    ?is({ok, <<"b;">>}, gen_tcp:recv(S, 0)),
    close(P).

packets(T, Sent, Expect0) ->
    %% All at once to a passive socket; a byte at a time to an active one.
    {C, S} = P = pair([], [{packet, T}]),
    Expect = [case E of {ssl_tls, socket, A, V, D} -> {ssl_tls, S, A, V, D}; _ -> E end
              || E <- Expect0],
    gen_tcp:send(C, Sent),
    [?is({T, {ok, E}}, {T, gen_tcp:recv(S, 0, 60000)}) || E <- Expect],
    ok = inet:setopts(S, [{active, true}]),
    ok = inet:setopts(C, [{nodelay, true}]),
    T =/= raw andalso
        spawn_link(fun() -> [begin gen_tcp:send(C, [B]), timer:sleep(1) end || <<B>> <= Sent] end),
    case T of
        raw -> ok;
        ssl_tls -> [?is({T, E}, {T, msg()}) || E <- Expect];
        _ -> [?is({T, {tcp, S, E}}, {T, msg()}) || E <- Expect]
    end,
    close(P).

bad_packets() ->
    [begin
         {C, S} = P = pair([], [{packet, T}, {packet_size, 100}]),
         gen_tcp:send(C, Sent),
         ?is({T, {error, emsgsize}}, {T, gen_tcp:recv(S, 0, 60000)}),
         ?is({T, {error, enotconn}}, {T, gen_tcp:recv(S, 0, 60000)}),
         close(P),
         {C2, S2} = P2 = pair([], [{packet, T}, {packet_size, 100}]),
         ok = inet:setopts(S2, [{active, true}]),
         gen_tcp:send(C2, Sent),
         ?is({T, {tcp_error, S2, emsgsize}}, {T, msg()}),
         ?is({T, {tcp_closed, S2}}, {T, msg()}),
         close(P2)
     end || {T, Sent} <- [{4, <<0, 0, 0, 101>>}, {4, <<16#ffffffff:32>>}, {2, <<101:16>>},
                          {asn1, <<16#30, 16#84, 16#7fffffff:32>>}]],
    %% A line longer than the buffer comes in pieces.
    {C, S} = P = pair([], [{packet, line}, {buffer, 10}]),
    gen_tcp:send(C, "0123456789abc\nd\n"),
    ?is({ok, <<"0123456789">>}, gen_tcp:recv(S, 0, 60000)),
    ?is({ok, <<"abc\n">>}, gen_tcp:recv(S, 0, 60000)),
    ?is({ok, <<"d\n">>}, gen_tcp:recv(S, 0, 60000)),
    close(P).

http() ->
    Req = "GET /p?q HTTP/1.1\r\nHost: h\r\nX-Own: v\r\n\r\nbody",
    {C, S} = P = pair([], [{packet, http_bin}]),
    gen_tcp:send(C, Req),
    ?is({ok, {http_request, 'GET', {abs_path, <<"/p?q">>}, {1, 1}}}, gen_tcp:recv(S, 0)),
    ?is({ok, {http_header, 14, 'Host', <<"Host">>, <<"h">>}}, gen_tcp:recv(S, 0)),
    ?is({ok, {http_header, 0, <<"X-Own">>, <<"X-Own">>, <<"v">>}}, gen_tcp:recv(S, 0)),
    ?is({ok, http_eoh}, gen_tcp:recv(S, 0)),
    ok = inet:setopts(S, [{packet, raw}]),
    ?is({ok, <<"body">>}, gen_tcp:recv(S, 4)),
    %% The same as messages, two requests on end, as lists.
    ok = inet:setopts(S, [{packet, http}, {active, true}]),
    gen_tcp:send(C, "HTTP/1.0 200 Fine\r\nConnection: close\r\n\r\nPUT * HTTP/1.0\r\n\r\nbad\r\n"),
    ?is({http, S, {http_response, {1, 0}, 200, "Fine"}}, msg()),
    ?is({http, S, {http_header, 2, 'Connection', "Connection", "close"}}, msg()),
    ?is({http, S, http_eoh}, msg()),
    ?is({http, S, {http_request, 'PUT', '*', {1, 0}}}, msg()),
    ?is({http, S, http_eoh}, msg()),
    ?is({http, S, {http_error, "bad\r\n"}}, msg()),
    close(P),
    {C2, S2} = P2 = pair([], [{packet, httph}]),
    gen_tcp:send(C2, "A: b\r\n\r\n"),
    ?is({ok, {http_header, 0, "A", "A", "b"}}, gen_tcp:recv(S2, 0)),
    ?is({ok, http_eoh}, gen_tcp:recv(S2, 0)),
    close(P2).

%% ---- accept ----

acceptors() ->
    L = listen([binary, {active, false}, {backlog, 100}]),
    {ok, Port} = inet:port(L),
    ?is({error, timeout}, gen_tcp:accept(L, 0)),
    ?is({error, timeout}, gen_tcp:accept(L, 20)),
    Self = self(),
    Ps = [spawn_link(fun() ->
                             {ok, S} = gen_tcp:accept(L),
                             {ok, D} = gen_tcp:recv(S, 0),
                             gen_tcp:send(S, [D, integer_to_list(N)]),
                             Self ! {N, D},
                             receive stop -> ok end
                     end) || N <- lists:seq(1, 30)],
    [until(fun() -> process_info(P, status) =:= {status, waiting} end) || P <- Ps],
    ?matches({ok, [_ | _]}, prim_inet_status(L)),
    %% One that is killed does not get a connection.
    exit(hd(Ps), kill),
    receive {'EXIT', P1, killed} when P1 =:= hd(Ps) -> timer:sleep(50) end,
    Cs = [begin
              {ok, C} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
              gen_tcp:send(C, <<"c", (integer_to_binary(N))/binary>>),
              C
          end || N <- lists:seq(1, 29)],
    Got = [receive {N, _} when is_integer(N) -> N after 60000 -> none end || _ <- Cs],
    ?is(lists:seq(2, 30), lists:sort(Got)),
    Echo = [begin {ok, D} = gen_tcp:recv(C, 0), D end || C <- Cs],
    ?is(29, length(lists:usort(Echo))),
    [P ! stop || P <- tl(Ps)],
    %% Their owners are gone: so are the sockets.
    [?is({error, closed}, gen_tcp:recv(C, 0, 60000)) || C <- Cs],
    %% Connections wait in the backlog, in order.
    Ws = [element(2, {ok, _} = gen_tcp:connect({127, 0, 0, 1}, Port, [])) || _ <- [1, 2, 3]],
    Names = [element(2, inet:sockname(W)) || W <- Ws],
    As = [element(2, {ok, _} = gen_tcp:accept(L, 60000)) || _ <- Ws],
    ?is(Names, [element(2, inet:peername(A)) || A <- As]),
    %% Closed under those who wait.
    Q = [async(fun() -> gen_tcp:accept(L) end) || _ <- [1, 2]],
    [until(fun() -> process_info(P, status) =:= {status, waiting} end) || P <- Q],
    gen_tcp:close(L),
    ?is([{error, closed}, {error, closed}], [await(P) || P <- Q]),
    ?is({error, closed}, gen_tcp:accept(L)),
    %% Options of the listener are the accepted socket's.
    L2 = listen([list, {packet, 2}, {nodelay, true}, {high_watermark, 5000}, {active, once},
                 {send_timeout, 77}, {keepalive, true}]),
    {ok, Port2} = inet:port(L2),
    {ok, C2} = gen_tcp:connect({127, 0, 0, 1}, Port2, [{active, false}]),
    {ok, S2} = gen_tcp:accept(L2),
    ?is({ok, [{mode, list}, {packet, 2}, {nodelay, true}, {high_watermark, 5000},
              {active, once}, {send_timeout, 77}, {keepalive, true}]},
        inet:getopts(S2, [mode, packet, nodelay, high_watermark, active, send_timeout,
                          keepalive])),
    [gen_tcp:close(X) || X <- [L2, C2, S2]].

prim_inet_status(L) -> prim_inet:getstatus(L).

ownership() ->
    {C, S} = P = pair(),
    Self = self(),
    Other = spawn_link(fun() ->
                               receive go -> ok end,
                               ok = inet:setopts(S, [{active, once}]),
                               receive {tcp, S, D} -> Self ! {other, D} end,
                               receive stop -> ok end
                       end),
    ?is({connected, self()}, erlang:port_info(S, connected)),
    ?is(ok, gen_tcp:controlling_process(S, Other)),
    ?is({connected, Other}, erlang:port_info(S, connected)),
    ?is({error, not_owner}, gen_tcp:controlling_process(S, self())),
    Other ! go,
    gen_tcp:send(C, "to other"),
    ?is({other, <<"to other">>}, msg()),
    ?is(ok, gen_tcp:send(S, "anybody may send")),
    ?is({ok, <<"anybody may send">>}, gen_tcp:recv(C, 0)),
    Other ! stop,
    ?is({error, closed}, gen_tcp:recv(C, 0)),
    close(P),
    ?is({name, "tcp_inet"}, begin {C3, _} = P3 = pair(), N = erlang:port_info(C3, name),
                                  close(P3), N end),
    %% Messages wait to be handed on.
    {C2, S2} = P2 = pair(),
    ok = inet:setopts(S2, [{active, true}]),
    gen_tcp:send(C2, "moved"),
    until(fun() -> element(2, process_info(self(), message_queue_len)) > 0 end),
    Heir = spawn_link(fun() -> receive {tcp, S2, D} -> Self ! {heir, D} end,
                               receive stop -> ok end end),
    ok = gen_tcp:controlling_process(S2, Heir),
    ?is({heir, <<"moved">>}, msg()),
    Heir ! stop,
    close(P2).

refusals() ->
    L = listen([]),
    {ok, Port} = inet:port(L),
    ?is({error, eaddrinuse}, gen_tcp:listen(Port, [{ip, {127, 0, 0, 1}}])),
    ?is({error, enotconn}, gen_tcp:send(L, "x")),
    ?is({error, enotconn}, gen_tcp:recv(L, 0, 100)),
    ?is({error, enotconn}, inet:peername(L)),
    gen_tcp:close(L),
    ?is({error, econnrefused}, gen_tcp:connect({127, 0, 0, 1}, Port, [])),
    ?is({error, econnrefused}, gen_tcp:connect({127, 0, 0, 1}, Port, [], 1000)),
    ?is({error, einval}, inet:sockname(L)),
    {C, S} = P = pair(),
    ?is({error, einval}, gen_tcp:accept(S, 10)),
    close(P),
    ?is({error, closed}, gen_tcp:shutdown(C, write)),
    ?raises({exit, badarg}, gen_tcp:listen(0, [nonsense])),
    ?is({error, eaddrnotavail}, gen_tcp:listen(0, [{ip, {192, 0, 2, 77}}])).

%% ---- ends ----

ends() ->
    %% A reset, told or not.
    {C, S} = P = pair([{linger, {true, 0}}], [{show_econnreset, true}]),
    gen_tcp:close(C),
    ?is({error, econnreset}, gen_tcp:recv(S, 0)),
    close(P),
    {C1, S1} = P1 = pair([{linger, {true, 0}}], []),
    gen_tcp:close(C1),
    ?is({error, closed}, gen_tcp:recv(S1, 0)),
    close(P1),
    {C2, S2} = P2 = pair([{linger, {true, 0}}], [{show_econnreset, true}]),
    ok = inet:setopts(S2, [{active, true}]),
    gen_tcp:close(C2),
    ?is({tcp_error, S2, econnreset}, msg()),
    ?is({tcp_closed, S2}, msg()),
    close(P2),
    %% The port stays when it is to.
    {C3, S3} = P3 = pair([], [{exit_on_close, false}]),
    gen_tcp:send(C3, "bye"),
    gen_tcp:shutdown(C3, write),
    ?is({ok, <<"bye">>}, gen_tcp:recv(S3, 0)),
    ?is({error, closed}, gen_tcp:recv(S3, 0)),
    ?is(ok, gen_tcp:send(S3, "answer")),
    ?is({ok, <<"answer">>}, gen_tcp:recv(C3, 0)),
    gen_tcp:close(S3),
    ?is({error, closed}, gen_tcp:recv(C3, 0)),
    close(P3),
    %% Somebody reads while the socket is closed.
    {_, S4} = P4 = pair(),
    R = async(fun() -> gen_tcp:recv(S4, 0) end),
    until(fun() -> process_info(R, status) =:= {status, waiting} end),
    gen_tcp:close(S4),
    ?is({error, closed}, await(R)),
    close(P4),
    %% The owner is no longer linked then; others are.
    {C5, S5} = P5 = pair(),
    ok = inet:setopts(S5, [{active, true}]),
    Self = self(),
    L5 = spawn_link(fun() -> process_flag(trap_exit, true), link(S5), Self ! linked,
                             receive {'EXIT', S5, R5} -> Self ! {linked, R5} end end),
    ?is(linked, msg()),
    gen_tcp:close(C5),
    ?is({tcp_closed, S5}, msg()),
    ?is({linked, normal}, msg()),
    ?is(none, receive {'EXIT', S5, _} = E -> E after 30 -> none end),
    unlink(L5),
    close(P5),
    %% Monitors of a socket.
    {_, S6} = P6 = pair(),
    Ref = inet:monitor(S6),
    gen_tcp:close(S6),
    ?matches({'DOWN', Ref, port, S6, _}, msg()),
    close(P6),
    %% Closed with much unsent: it all arrives.
    Data = binary:copy(<<"0123456789abcdef">>, 250000),
    {C7, S7} = P7 = pair([{high_watermark, 10000000}], []),
    ok = gen_tcp:send(C7, Data),
    T = async(fun() -> gen_tcp:close(C7) end),
    {Why, All} = all(S7, []),
    ?is({closed, true}, {Why, All =:= Data}),
    ?is(ok, await(T)),
    close(P7).

%% The same two ports again, whoever ended first before.
again() ->
    L = listen([binary, {active, false}]),
    {ok, Port} = inet:port(L),
    {C0, Mine} = connect_from(Port, 20000 + erlang:phash2(erlang:system_time(), 10000)),
    {ok, S0} = gen_tcp:accept(L),
    gen_tcp:close(S0),
    gen_tcp:close(C0),
    [begin
         {ok, C} = gen_tcp:connect({127, 0, 0, 1}, Port,
                                   [binary, {active, false}, {port, Mine}, {reuseaddr, true}]),
         {ok, S} = gen_tcp:accept(L),
         ?is(ok, gen_tcp:send(C, <<N>>)),
         ?is({ok, <<N>>}, gen_tcp:recv(S, 1, 60000)),
         gen_tcp:close(S),
         ?is({error, closed}, gen_tcp:recv(C, 0, 60000)),
         gen_tcp:close(C)
     end || N <- [1, 2, 3]],
    gen_tcp:close(L).

%% From a port that is given to nobody who asks for any.
connect_from(Port, Mine) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, [{port, Mine}, {reuseaddr, true}]) of
        {ok, C} -> {C, Mine};
        {error, eaddrinuse} -> connect_from(Port, Mine + 1)
    end.

half_close() ->
    {C, S} = P = pair([], [{exit_on_close, false}]),
    ?is(ok, gen_tcp:shutdown(C, write)),
    ?is({error, closed}, gen_tcp:send(C, "x")),
    close(P),
    {C1, S1} = P1 = pair([{high_watermark, 10000000}], [{exit_on_close, false}]),
    Data = binary:copy(<<"x">>, 3000000),
    ok = gen_tcp:send(C1, Data),
    ?is(ok, gen_tcp:shutdown(C1, write)),
    {Why, All} = all(S1, []),
    ?is({closed, true}, {Why, All =:= Data}),
    gen_tcp:send(S1, "still"),
    ?is({ok, <<"still">>}, gen_tcp:recv(C1, 0)),
    close(P1),
    {C2, S2} = P2 = pair(),
    ?is(ok, gen_tcp:shutdown(S2, read)),
    ?is({error, closed}, gen_tcp:recv(S2, 0)),
    close(P2),
    {C3, S3} = P3 = pair(),
    ?is(ok, gen_tcp:shutdown(S3, read_write)),
    ?is({error, closed}, gen_tcp:recv(C3, 0)),
    close(P3),
    _ = {S, C2}.

%% ---- flow ----

flow() ->
    %% A sender waits for a reader that is slow; nothing is lost or moved.
    {C, S} = P = pair([], []),
    Blocks = [binary:copy(<<N:32>>, 16384) || N <- lists:seq(1, 100)],
    W = async(fun() -> [gen_tcp:send(C, B) || B <- Blocks] end),
    timer:sleep(50),
    Sum = erlang:md5(Blocks),
    {ok, All} = gen_tcp:recv(S, 100 * 65536, 60000),
    ?is(Sum, erlang:md5(All)),
    ?is(lists:duplicate(100, ok), await(W)),
    %% Two senders at a time, in packets.
    ok = inet:setopts(C, [{packet, 4}]),
    ok = inet:setopts(S, [{packet, 4}, {active, true}]),
    Ws = [async(fun() -> [gen_tcp:send(C, binary:copy(<<N>>, 50000)) || _ <- lists:seq(1, 40)],
                         done end) || N <- [1, 2, 3]],
    Got = [receive {tcp, S, <<N, _/binary>> = D} -> {N, D =:= binary:copy(<<N>>, 50000)}
           after 60000 -> none end || _ <- lists:seq(1, 120)],
    ?is([{1, true}, {2, true}, {3, true}], lists:usort(Got)),
    ?is([done, done, done], [await(X) || X <- Ws]),
    close(P),
    %% Both directions at once.
    {C1, S1} = P1 = pair(),
    Data = binary:copy(<<"both ways ">>, 300000),
    N = byte_size(Data),
    A = [async(fun() -> gen_tcp:send(X, Data) end) || X <- [C1, S1]],
    B = [async(fun() -> {ok, D} = gen_tcp:recv(X, N, 60000), D =:= Data end) || X <- [C1, S1]],
    ?is([ok, ok, true, true], [await(X) || X <- A ++ B]),
    close(P1),
    {C2, S2} = P2 = pair([{delay_send, true}], []),
    [ok = gen_tcp:send(C2, [X]) || X <- "delayed"],
    ?is({ok, <<"delayed">>}, gen_tcp:recv(S2, 7, 60000)),
    close(P2).

timeouts() ->
    Block = binary:copy(<<0>>, 1000000),
    {C, _} = P = pair([{send_timeout, 50}, {sndbuf, 10000}], [{recbuf, 10000}]),
    ?is({error, timeout}, send_until_error(C, Block)),
    ?is({error, timeout}, gen_tcp:send(C, "more")),
    gen_tcp:close(element(2, P)),
    gen_tcp:close(C),
    {C1, _} = P1 = pair([{send_timeout, 50}, {send_timeout_close, true}, {sndbuf, 10000}],
                        [{recbuf, 10000}]),
    ?is({error, timeout}, send_until_error(C1, Block)),
    ?is({error, enotconn}, gen_tcp:send(C1, "more")),
    close(P1),
    %% A blocked sender hears of the end.
    {C2, S2} = P2 = pair([{sndbuf, 10000}], [{recbuf, 10000}]),
    W = async(fun() -> send_until_error(C2, Block) end),
    timer:sleep(50),
    gen_tcp:close(S2),
    ?is({error, closed}, await(W)),
    close(P2).

send_until_error(S, D) ->
    case gen_tcp:send(S, D) of ok -> send_until_error(S, D); E -> E end.

%% ---- options and questions ----

options() ->
    {C, S} = P = pair(),
    [begin
         ?is({O, ok}, {O, inet:setopts(C, [O])}),
         ?is({ok, [O]}, inet:getopts(C, [element(1, O)]))
     end || O <- [{nodelay, true}, {nodelay, false}, {keepalive, true}, {reuseaddr, true},
                  {linger, {true, 3}}, {linger, {false, 3}}, {packet, 4}, {packet, raw},
                  {packet_size, 77}, {header, 3}, {header, 0}, {mode, list}, {mode, binary},
                  {active, true}, {active, false}, {buffer, 4321}, {high_watermark, 9000},
                  {low_watermark, 100}, {send_timeout, 10}, {send_timeout, infinity},
                  {send_timeout_close, true}, {delay_send, true}, {delay_send, false},
                  {exit_on_close, false}, {exit_on_close, true}, {deliver, port},
                  {deliver, term}, {show_econnreset, true},
                  {priority, 3}, {tos, 16}, {dontroute, true}, {nopush, true},
                  {high_msgq_watermark, 5000}, {low_msgq_watermark, 1000}],
            O =/= {packet, raw}],
    ok = inet:setopts(C, [{packet, raw}]),
    ?is({ok, [{packet, 0}]}, inet:getopts(C, [packet])),
    ok = inet:setopts(C, [{sndbuf, 30000}, {recbuf, 30000}]),
    {ok, [{sndbuf, Snd}, {recbuf, Rec}]} = inet:getopts(C, [sndbuf, recbuf]),
    ?is(true, Snd >= 30000 andalso Rec >= 30000),
    ?is({ok, [{raw, 6, 1, <<1:32/native>>}]},
        begin ok = inet:setopts(C, [{raw, 6, 1, <<1:32/native>>}]),
              inet:getopts(C, [{raw, 6, 1, 4}]) end),
    ?is({error, einval}, inet:setopts(C, [{nodelay, maybe}])),
    ?is({error, einval}, inet:setopts(C, [{packet, 3}])),
    ?is({error, einval}, inet:getopts(C, [nonsense])),
    ?is({ok, []}, inet:getopts(C, [])),
    gen_tcp:close(S),
    close(P),
    ?is({error, einval}, inet:setopts(C, [{nodelay, true}])),
    ?is({error, einval}, inet:getopts(C, [nodelay])),
    %% recbuf raises the buffer.
    L = listen([{recbuf, 20000}]),
    ?matches({ok, [{buffer, N}]} when N >= 20000, inet:getopts(L, [buffer])),
    gen_tcp:close(L).

statistics() ->
    {C, S} = P = pair(),
    gen_tcp:send(C, "12345"),
    {ok, _} = gen_tcp:recv(S, 5),
    gen_tcp:send(C, "123"),
    {ok, _} = gen_tcp:recv(S, 3),
    ?is({ok, [{send_oct, 8}, {send_cnt, 2}, {send_max, 5}, {send_avg, 4}, {send_pend, 0}]},
        inet:getstat(C, [send_oct, send_cnt, send_max, send_avg, send_pend])),
    ?is({ok, [{recv_oct, 8}, {recv_cnt, 2}, {recv_max, 5}, {recv_avg, 4}]},
        inet:getstat(S, [recv_oct, recv_cnt, recv_max, recv_avg])),
    ?matches({ok, [_ | _]}, inet:getstat(S)),
    ?is({output, 8}, erlang:port_info(C, output)),
    ?is({input, 0}, erlang:port_info(S, input)),
    close(P).

names() ->
    {C, S} = P = pair(),
    {ok, {{127, 0, 0, 1}, _} = A} = inet:sockname(C),
    {ok, {{127, 0, 0, 1}, _} = B} = inet:sockname(S),
    ?is({ok, A}, inet:peername(S)),
    ?is({ok, B}, inet:peername(C)),
    ?is({ok, [A]}, inet:peernames(S)),
    ?is({ok, [B]}, inet:socknames(S)),
    ?is(ok, inet:setpeername(C, {{1, 2, 3, 4}, 5})),
    ?is({ok, {{1, 2, 3, 4}, 5}}, inet:peername(C)),
    ?is(ok, inet:setpeername(C, undefined)),
    ?is({ok, B}, inet:peername(C)),
    ?is({ok, [open, connected]}, begin {ok, St} = prim_inet:getstatus(C), {ok, lists:sort(
        fun(X, _) -> X =:= open end, St)} end),
    ?is({ok, {inet, stream}}, case prim_inet:gettype(C) of {ok, T} -> {ok, T}; E -> E end),
    case test:in_image() of
        true -> ?is({error, enotsup}, inet:getfd(C));
        false -> ?matches({ok, N} when is_integer(N), inet:getfd(C))
    end,
    close(P),
    ?matches({ok, [_ | _]}, inet:gethostname()),
    ?matches({ok, [_ | _]}, inet:getifaddrs()),
    ?is({ok, {127, 0, 0, 1}}, inet:getaddr("localhost", inet)),
    ?is({ok, {10, 1, 2, 3}}, inet:getaddr("10.1.2.3", inet)).

families() ->
    case test:in_image() of
        true -> ?is({error, eafnosupport}, gen_tcp:listen(0, [{ifaddr, {local, "/tmp/a"}}]));
        false -> paths()
    end,
    ip6().

%% Paths as addresses.
paths() ->
    Path = "/tmp/kindling-net-tcp-" ++ os:getpid(),
    file:delete(Path),
    {ok, L} = gen_tcp:listen(0, [{ifaddr, {local, Path}}, {active, false}]),
    ?is({ok, {local, list_to_binary(Path)}}, inet:sockname(L)),
    {ok, C} = gen_tcp:connect({local, Path}, 0, [local, {active, false}]),
    {ok, S} = gen_tcp:accept(L),
    ?is({ok, {local, list_to_binary(Path)}}, inet:peername(C)),
    gen_tcp:send(C, "by path"),
    ?is({ok, "by path"}, gen_tcp:recv(S, 0)),
    [gen_tcp:close(X) || X <- [L, C, S]],
    file:delete(Path),
    ?is({error, enoent}, gen_tcp:connect({local, Path}, 0, [local])).

%% IPv6, where there is one.
ip6() ->
    case gen_tcp:listen(0, [inet6, {ip, {0, 0, 0, 0, 0, 0, 0, 1}}, {active, false}]) of
        {ok, L6} ->
            {ok, Port} = inet:port(L6),
            {ok, C6} = gen_tcp:connect({0, 0, 0, 0, 0, 0, 0, 1}, Port, [inet6, {active, false}]),
            {ok, S6} = gen_tcp:accept(L6),
            ?is({ok, {{0, 0, 0, 0, 0, 0, 0, 1}, Port}}, inet:peername(C6)),
            gen_tcp:send(S6, "six"),
            ?is({ok, "six"}, gen_tcp:recv(C6, 0)),
            [gen_tcp:close(X) || X <- [L6, C6, S6]];
        {error, _} -> ok
    end.

files() ->
    Path = "/tmp/kindling-net-file-" ++ os:getpid(),
    Data = binary:copy(<<"file ">>, 200000),
    ok = file:write_file(Path, Data),
    {C, S} = P = pair(),
    R = async(fun() -> gen_tcp:recv(S, byte_size(Data), 60000) end),
    ?is({ok, byte_size(Data)}, file:sendfile(Path, C)),
    ?is({ok, Data}, await(R)),
    {ok, F} = file:open(Path, [read, raw, binary]),
    ?is({ok, 7}, file:sendfile(F, C, 5, 7, [])),
    ?is({ok, <<"file fi">>}, gen_tcp:recv(S, 7, 60000)),
    ?is(ok, gen_tcp:send(C, "after")),
    ?is({ok, <<"after">>}, gen_tcp:recv(S, 5, 60000)),
    file:close(F),
    file:delete(Path),
    close(P).
