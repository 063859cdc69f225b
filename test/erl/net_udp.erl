%% Datagrams over loopback: gen_udp and inet as stock OTP answers.
-module(net_udp).
-export([main/0]).
-include("test.hrl").

-define(LO, {127, 0, 0, 1}).

main() ->
    process_flag(trap_exit, true),
    passive(),
    active(),
    sends(),
    connected(),
    options(),
    families(),
    ends().

open(Opts) ->
    {ok, S} = gen_udp:open(0, [{ip, ?LO} | Opts]),
    {ok, Port} = inet:port(S),
    {S, Port}.

msg() -> receive M -> M after 60000 -> none end.
no_msg() -> receive M -> M after 30 -> none end.

async(Fun) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), Fun()} end).
await(P) -> receive {P, R} -> R after 60000 -> timeout end.
until(Fun) -> case Fun() of true -> ok; _ -> timer:sleep(5), until(Fun) end.

passive() ->
    {A, PA} = open([binary, {active, false}]),
    {B, PB} = open([list, {active, false}]),
    ?is(ok, gen_udp:send(A, ?LO, PB, "one")),
    ?is(ok, gen_udp:send(A, ?LO, PB, [<<"tw">>, $o])),
    ?is({ok, {?LO, PA, "one"}}, gen_udp:recv(B, 0)),
    ?is({ok, {?LO, PA, "two"}}, gen_udp:recv(B, 0, 60000)),
    ?is({error, timeout}, gen_udp:recv(B, 0, 0)),
    ?is({error, timeout}, gen_udp:recv(B, 0, 20)),
    ?is(ok, gen_udp:send(B, "localhost", PA, "")),
    ?is({ok, {?LO, PB, <<>>}}, gen_udp:recv(A, 0)),
    ok = inet:setopts(A, [{header, 2}]),
    gen_udp:send(B, ?LO, PA, "head"),
    ?is({ok, {?LO, PB, [$h, $e | <<"ad">>]}}, gen_udp:recv(A, 0)),
    R = async(fun() -> gen_udp:recv(B, 0) end),
    until(fun() -> process_info(R, status) =:= {status, waiting} end),
    ?is({error, ealready}, gen_udp:recv(B, 0)),
    gen_udp:send(A, ?LO, PB, "late"),
    ?is({ok, {?LO, PA, "late"}}, await(R)),
    %% Longer than the buffer is cut; the largest goes through.
    ok = inet:setopts(B, [{buffer, 5}]),
    gen_udp:send(A, ?LO, PB, "0123456789"),
    ?is({ok, {?LO, PA, "01234"}}, gen_udp:recv(B, 0)),
    ok = inet:setopts(B, [{buffer, 65536}, binary]),
    Big = binary:copy(<<7>>, 65507),
    gen_udp:send(A, ?LO, PB, Big),
    ?is({ok, {?LO, PA, Big}}, gen_udp:recv(B, 0)),
    ?is({error, emsgsize}, gen_udp:send(A, ?LO, PB, <<Big/binary, 0>>)),
    %% Many readers, one after the other.
    gen_udp:close(A),
    ?is({error, closed}, gen_udp:recv(A, 0)),
    ?is({error, closed}, gen_udp:send(A, ?LO, PB, "x")),
    gen_udp:close(B).

active() ->
    {A, PA} = open([binary]),
    {B, PB} = open([binary, {active, false}]),
    gen_udp:send(B, ?LO, PA, "1"),
    ?is({udp, A, ?LO, PB, <<"1">>}, msg()),
    ?is({error, einval}, gen_udp:recv(A, 0)),
    ok = inet:setopts(A, [{active, once}, {mode, list}]),
    gen_udp:send(B, ?LO, PA, "2"),
    gen_udp:send(B, ?LO, PA, "3"),
    ?is({udp, A, ?LO, PB, "2"}, msg()),
    ?is(none, no_msg()),
    ?is({ok, [{active, false}]}, inet:getopts(A, [active])),
    ?is({ok, {?LO, PB, "3"}}, gen_udp:recv(A, 0)),
    ok = inet:setopts(A, [{active, 2}]),
    [gen_udp:send(B, ?LO, PA, [N]) || N <- "456"],
    ?is({udp, A, ?LO, PB, "4"}, msg()),
    ?is({udp, A, ?LO, PB, "5"}, msg()),
    ?is({udp_passive, A}, msg()),
    ?is(none, no_msg()),
    ok = inet:setopts(A, [{active, true}, {header, 1}, binary]),
    ?is({udp, A, ?LO, PB, [$6 | <<>>]}, msg()),
    ok = inet:setopts(A, [{header, 0}, {deliver, port}]),
    gen_udp:send(B, ?LO, PA, "as data"),
    ?matches({A, {data, _}}, msg()),
    %% More than are read at a time.
    ok = inet:setopts(A, [{deliver, term}, {read_packets, 3}]),
    [gen_udp:send(B, ?LO, PA, <<N>>) || N <- lists:seq(1, 12)],
    ?is(lists:seq(1, 12), [begin {udp, A, _, PB, <<N>>} = msg(), N end || _ <- lists:seq(1, 12)]),
    %% The owner is who gets them.
    Self = self(),
    Other = spawn_link(fun() -> receive {udp, A, _, _, D} -> Self ! {other, D} end,
                                receive stop -> ok end end),
    ok = gen_udp:controlling_process(A, Other),
    gen_udp:send(B, ?LO, PA, "yours"),
    ?is({other, <<"yours">>}, msg()),
    Other ! stop,
    until(fun() -> erlang:port_info(A) =:= undefined end),
    receive {'EXIT', Other, normal} -> ok end,
    gen_udp:close(B).

sends() ->
    {A, PA} = open([binary, {active, false}]),
    {B, PB} = open([binary, {active, false}]),
    ?is(ok, gen_udp:send(A, {?LO, PB}, "dest")),
    ?is({ok, {?LO, PA, <<"dest">>}}, gen_udp:recv(B, 0)),
    ?is(ok, gen_udp:send(A, #{family => inet, addr => ?LO, port => PB}, "map")),
    ?is({ok, {?LO, PA, <<"map">>}}, gen_udp:recv(B, 0)),
    ?is(ok, gen_udp:send(A, {inet, {loopback, PB}}, "loop")),
    ?is({ok, {?LO, PA, <<"loop">>}}, gen_udp:recv(B, 0)),
    ?is({error, einval}, gen_udp:send(A, "no one")),
    ?is({error, einval}, gen_udp:send(A, ?LO, 0, "x")),
    %% What comes with a datagram.
    ok = inet:setopts(B, [{recvtos, true}, {recvttl, true}]),
    ?is(ok, gen_udp:send(A, ?LO, PB, [{tos, 8}, {ttl, 9}], "anc")),
    ?is({ok, {?LO, PA, [{tos, 8}, {ttl, 9}], <<"anc">>}},
        case gen_udp:recv(B, 0) of
            {ok, {I, P, An, D}} -> {ok, {I, P, lists:sort(An), D}};
            E -> E
        end),
    ok = inet:setopts(B, [{recvttl, false}, {active, once}]),
    gen_udp:send(A, ?LO, PB, "act"),
    ?is({udp, B, ?LO, PA, [{tos, 0}], <<"act">>}, msg()),
    ?is({ok, [{send_cnt, 7}]}, inet:getstat(A, [send_cnt])),
    ?is({ok, [{recv_cnt, 5}, {recv_oct, 17}, {recv_max, 4}]},
        inet:getstat(B, [recv_cnt, recv_oct, recv_max])),
    gen_udp:close(A),
    gen_udp:close(B).

connected() ->
    {A, PA} = open([binary, {active, false}]),
    {B, PB} = open([binary, {active, false}]),
    {C, _} = open([binary, {active, false}]),
    ?is({error, enotconn}, inet:peername(A)),
    ?is(ok, gen_udp:connect(A, ?LO, PB)),
    ?is({ok, {?LO, PB}}, inet:peername(A)),
    ?is(ok, gen_udp:send(A, "hello")),
    ?is({ok, {?LO, PA, <<"hello">>}}, gen_udp:recv(B, 0)),
    gen_udp:send(C, ?LO, PA, "stranger"),
    gen_udp:send(B, ?LO, PA, "peer"),
    ?is({ok, {?LO, PB, <<"peer">>}}, gen_udp:recv(A, 0)),
    gen_udp:close(B),
    %% Nobody there: told at the next use.
    ?is(ok, gen_udp:send(A, "void")),
    ?is({error, econnrefused}, gen_udp:recv(A, 0, 60000)),
    ok = inet:setopts(A, [{active, true}]),
    gen_udp:send(A, "void"),
    ?is({udp_error, A, econnrefused}, msg()),
    gen_udp:close(A),
    gen_udp:close(C).

options() ->
    {A, PA} = open([]),
    [begin
         ?is({O, ok}, {O, inet:setopts(A, [O])}),
         ?is({ok, [O]}, inet:getopts(A, [element(1, O)]))
     end || O <- [{broadcast, true}, {reuseaddr, true}, {mode, binary}, {read_packets, 9},
                  {active, false}, {active, true}, {header, 4}, {buffer, 2000},
                  {multicast_ttl, 4}, {multicast_loop, false}, {tos, 16}, {ttl, 44},
                  {recvtos, true}, {deliver, port},
                  {priority, 2}, {dontroute, true}]],
    ?is({error, einval}, inet:setopts(A, [{ttl, 400}])),
    ?is({error, einval}, inet:setopts(A, [{active, yes}])),
    ok = inet:setopts(A, [{add_membership, {{224, 0, 0, 250}, ?LO}}]),
    ok = inet:setopts(A, [{drop_membership, {{224, 0, 0, 250}, ?LO}}]),
    ?is({ok, {?LO, PA}}, inet:sockname(A)),
    ?is({error, eaddrinuse}, gen_udp:open(PA, [{ip, ?LO}])),
    ?is({name, "udp_inet"}, erlang:port_info(A, name)),
    ?is({ok, {inet, dgram}}, prim_inet:gettype(A)),
    gen_udp:close(A),
    ?is({error, einval}, inet:getopts(A, [active])),
    ?is({error, eaddrnotavail}, gen_udp:open(0, [{ip, {192, 0, 2, 77}}])),
    ?raises({exit, badarg}, gen_udp:open(0, [nonsense])).

families() ->
    case test:in_image() of
        true -> ?is({error, eafnosupport}, gen_udp:open(0, [{ifaddr, {local, "/tmp/a"}}]));
        false -> paths()
    end,
    ip6().

paths() ->
    Base = "/tmp/kindling-net-udp-" ++ os:getpid(),
    [PathA, PathB] = Paths = [Base ++ "a", Base ++ "b"],
    [file:delete(P) || P <- Paths],
    {ok, A} = gen_udp:open(0, [{ifaddr, {local, PathA}}, binary, {active, false}]),
    {ok, B} = gen_udp:open(0, [{ifaddr, {local, PathB}}, binary]),
    ?is(ok, gen_udp:send(A, {local, PathB}, 0, "by path")),
    ?is({udp, B, {local, list_to_binary(PathA)}, 0, <<"by path">>}, msg()),
    ok = inet:setopts(A, [{active, once}]),
    gen_udp:send(B, {local, PathA}, 0, "back"),
    ?is({udp, A, {local, list_to_binary(PathB)}, 0, <<"back">>}, msg()),
    {ok, U} = gen_udp:open(0, [local]),
    gen_udp:send(U, {local, PathA}, 0, "unnamed"),
    ?matches({ok, {_, 0, <<"unnamed">>}}, gen_udp:recv(A, 0)),
    [gen_udp:close(X) || X <- [A, B, U]],
    [file:delete(P) || P <- Paths].

ip6() ->
    L6 = {0, 0, 0, 0, 0, 0, 0, 1},
    case gen_udp:open(0, [inet6, {ip, L6}, binary]) of
        {ok, S} ->
            {ok, P} = inet:port(S),
            ?is({ok, {L6, P}}, inet:sockname(S)),
            ?is(ok, gen_udp:send(S, L6, P, "six")),
            ?is({udp, S, L6, P, <<"six">>}, msg()),
            ok = inet:setopts(S, [{recvtclass, true}]),
            gen_udp:send(S, L6, P, [{tclass, 4}], "class"),
            ?is({udp, S, L6, P, [{tclass, 4}], <<"class">>}, msg()),
            gen_udp:close(S);
        {error, _} -> ok
    end.

ends() ->
    {A, PA} = open([{active, false}]),
    R = async(fun() -> gen_udp:recv(A, 0) end),
    until(fun() -> process_info(R, status) =:= {status, waiting} end),
    gen_udp:close(A),
    ?is({error, closed}, await(R)),
    Self = self(),
    P = spawn(fun() -> {B, PB} = open([]), Self ! {self(), B, PB}, receive stop -> ok end end),
    {B, PB} = receive {P, X, Y} -> {X, Y} end,
    ?matches({error, eaddrinuse}, gen_udp:open(PB, [{ip, ?LO}])),
    P ! stop,
    until(fun() -> erlang:port_info(B) =:= undefined end),
    {ok, C} = gen_udp:open(PB, [{ip, ?LO}]),
    Ref = inet:monitor(C),
    gen_udp:close(C),
    ?matches({'DOWN', Ref, port, C, _}, msg()),
    _ = PA.
