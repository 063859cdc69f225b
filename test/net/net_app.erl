%% What the images of run.sh run: start/0 does what the arguments say.
-module(net_app).
-export([start/0]).

-define(PATIENCE, 300000).      % a hang is an error, slowness is not

start() ->
    halt(do(init:get_plain_arguments())).

%% The address of this instance's port.
do(["address"]) ->
    {ok, Ifs} = inet:getifaddrs(),
    Opts = proplists:get_value("eth0", Ifs),
    [Four, Six] = proplists:get_all_values(addr, Opts),
    io:format("~s ~p ~s~n", [inet:ntoa(Four), proplists:get_value(hwaddr, Opts), inet:ntoa(Six)]),
    0;
do(["resolve" | Names]) ->
    [case inet:getaddr(Name, inet) of
         {ok, Ip} -> io:format("~s is ~s~n", [Name, inet:ntoa(Ip)]);
         {error, Why} -> io:format("~s: ~p~n", [Name, Why])
     end || Name <- Names],
    0;
%% Everything that comes goes back, until the connection ends.
do(["echo", Port]) ->
    {ok, L} = gen_tcp:listen(list_to_integer(Port), [inet6, binary, {active, false}, {backlog, 100},
                                                    {exit_on_close, false}]),
    do(["address"]),
    echo(L);
%% Sends N bytes to a server that echoes, reads them slowly, compares.
do(["through", Ip, Port, N]) ->
    {ok, A} = inet:parse_address(Ip),
    Family = case tuple_size(A) of 4 -> inet; 8 -> inet6 end,
    {ok, S} = gen_tcp:connect(A, list_to_integer(Port), [Family, binary, {active, false}], ?PATIENCE),
    Data = << <<(I * 7 rem 251)>> || I <- lists:seq(1, list_to_integer(N)) >>,
    spawn_link(fun() -> ok = gen_tcp:send(S, Data), gen_tcp:shutdown(S, write) end),
    case all(S, []) of
        Data -> io:format("all of it~n"), 0;
        Other -> io:format("~b bytes differ~n", [byte_size(Other)]), 1
    end;
%% Sends N bytes to whoever comes first, and ends at once.
do(["pour", Port, N]) ->
    {ok, L} = gen_tcp:listen(list_to_integer(Port), [binary, {active, false}]),
    do(["address"]),
    {ok, S} = gen_tcp:accept(L),
    ok = gen_tcp:send(S, binary:copy(<<"x">>, list_to_integer(N))),
    0;
do(["connect", Ip, Port]) ->
    do(["connect", Ip, Port, integer_to_list(?PATIENCE)]);
do(["connect", Ip, Port, Ms]) ->
    {ok, A} = inet:parse_address(Ip),
    io:format("~p~n", [gen_tcp:connect(A, list_to_integer(Port), [], list_to_integer(Ms))]),
    0;
do(["datagrams", Ip]) ->
    {ok, A} = inet:parse_address(Ip),
    {ok, U} = gen_udp:open(0, [binary, {active, false}]),
    ok = gen_udp:connect(U, A, 9),
    ok = gen_udp:send(U, <<"nobody there">>),
    io:format("~p~n", [gen_udp:recv(U, 0, ?PATIENCE)]),
    0;
do(["sleep"]) ->
    do(["address"]),
    receive never -> 0 end.

echo(L) ->
    {ok, S} = gen_tcp:accept(L),
    P = spawn(fun() -> receive go -> pass(S) end end),
    ok = gen_tcp:controlling_process(S, P),
    P ! go,
    echo(L).

pass(S) ->
    case gen_tcp:recv(S, 0) of
        {ok, D} -> ok = gen_tcp:send(S, D), pass(S);
        {error, closed} -> gen_tcp:close(S)
    end.

all(S, Acc) ->
    case gen_tcp:recv(S, 0, ?PATIENCE) of
        {ok, D} -> timer:sleep(1), all(S, [Acc, D]);
        {error, closed} -> iolist_to_binary(Acc)
    end.
