#!/usr/bin/env escript
%% web.escript - a client for examples/web, from outside: starts the server and
%% asks it what it should answer, then what it should survive.
%%
%%    escript test/web.escript [-c CONNECTIONS] COMMAND ARG...
%%
%% CONNECTIONS (200) are made at the same time, at the end. The command must say
%% "serving on port N". PORT in an argument becomes a free port of the host, where
%% it is to be reached then. Ends with status 0 or 1.

-define(PATIENCE, 300000).      % a hang is an error, slowness is not

main(["-c", N | Args]) -> main(list_to_integer(N), Args);
main(Args) -> main(200, Args).

main(Connections, [Command | Args0]) ->
    {Published, Args} = publish(Args0),
    Path = case os:find_executable(Command) of
               false -> filename:absname(Command);
               Found -> Found
           end,
    Server = open_port({spawn_executable, Path},
                       [{args, Args}, {line, 200}, exit_status, binary, stderr_to_stdout]),
    {os_pid, Pid} = erlang:port_info(Server, os_pid),
    put(failed, 0),
    try
        Serving = serving(Server),
        ask(case Published of none -> Serving; _ -> Published end, Connections),
        check(alive, true, filelib:is_dir("/proc/" ++ integer_to_list(Pid)))
    after
        os:cmd("kill " ++ integer_to_list(Pid))
    end,
    receive {Server, {exit_status, _}} -> ok end,
    case get(failed) of
        0 -> io:format("web: ok~n");
        N -> io:format("web: ~b checks failed~n", [N]), halt(1)
    end.

ask(Port, Connections) ->
    page(Port),
    counter(Port),
    echo(Port),
    strangers(Port),
    crowd(Port, Connections).

publish(Args) ->
    Port = string:trim(os:cmd(filename:join(filename:dirname(escript:script_name()), "free_port.py"))),
    New = [re:replace(A, "PORT", Port, [{return, list}]) || A <- Args],
    {case New of Args -> none; _ -> list_to_integer(Port) end, New}.

serving(Server) ->
    receive
        {Server, {data, {eol, Line}}} ->
            case re:run(Line, "serving on port ([0-9]+)", [{capture, [1], list}]) of
                {match, [N]} -> list_to_integer(N);
                nomatch -> io:format("~s~n", [Line]), serving(Server)
            end;
        {Server, {exit_status, N}} ->
            io:format("web: the server ended with status ~b~n", [N]),
            halt(1)
    end.

check(_, Same, Same) -> ok;
check(What, Expected, Got) ->
    io:format("web: ~p: expected ~0tp, got ~0tp~n", [What, Expected, Got]),
    put(failed, get(failed) + 1).

connect(Port) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    S.

get(S, Path) ->
    ok = gen_tcp:send(S, ["GET ", Path, " HTTP/1.1\r\nHost: localhost\r\n\r\n"]),
    response(S).

%% {Status, Body}
response(S) ->
    ok = inet:setopts(S, [{packet, http_bin}]),
    case gen_tcp:recv(S, 0, ?PATIENCE) of
        {ok, {http_response, _, Code, _}} ->
            N = headers(S, 0),
            ok = inet:setopts(S, [{packet, raw}]),
            case N of
                0 -> {Code, <<>>};
                _ -> {ok, B} = gen_tcp:recv(S, N, ?PATIENCE), {Code, B}
            end;
        Other -> Other
    end.

headers(S, N) ->
    case gen_tcp:recv(S, 0, ?PATIENCE) of
        {ok, {http_header, _, 'Content-Length', _, V}} -> headers(S, binary_to_integer(V));
        {ok, {http_header, _, _, _, _}} -> headers(S, N);
        {ok, http_eoh} -> N
    end.

page(Port) ->
    S = connect(Port),
    {Code, Body} = get(S, "/"),
    check(page, {200, match}, {Code, re:run(Body, "Erlang/OTP 25 on", [{capture, none}])}),
    check(missing, {404, <<"no such page\n">>}, get(S, "/nowhere")),
    gen_tcp:close(S).

%% Over one connection, over many, and several requests in one packet.
counter(Port) ->
    S = connect(Port),
    check(counter, [{200, integer_to_binary(N)} || N <- lists:seq(1, 100)],
          [get(S, "/counter") || _ <- lists:seq(1, 100)]),
    ok = gen_tcp:send(S, lists:duplicate(3, "GET /counter HTTP/1.1\r\nHost: h\r\n\r\n")),
    check(pipelined, [{200, <<"101">>}, {200, <<"102">>}, {200, <<"103">>}],
          [response(S) || _ <- [1, 2, 3]]),
    gen_tcp:close(S),
    check(connections, [{200, integer_to_binary(N)} || N <- lists:seq(104, 153)],
          [begin T = connect(Port), R = get(T, "/counter"), gen_tcp:close(T), R end
           || _ <- lists:seq(1, 50)]).

echo(Port) ->
    S = connect(Port),
    [begin
         Data = bytes(N),
         ok = gen_tcp:send(S, ["POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: ",
                               integer_to_list(N), "\r\n\r\n", Data]),
         check({echo, N}, {200, Data}, response(S))
     end || N <- [1, 1000, 100000, 1000000]],
    gen_tcp:close(S).

bytes(N) ->
    << <<(I * 7 rem 251)>> || I <- lists:seq(1, N) >>.

%% Half a request, garbage, a reset, a client that says nothing.
strangers(Port) ->
    Silent = connect(Port),
    Half = connect(Port),
    ok = gen_tcp:send(Half, "GET /counter HTT"),
    Reset = connect(Port),
    ok = inet:setopts(Reset, [{linger, {true, 0}}]),
    ok = gen_tcp:send(Reset, "POST /echo HTTP/1.1\r\nContent-Length: 1000\r\n\r\nabc"),
    gen_tcp:close(Reset),
    Garbage = connect(Port),
    ok = gen_tcp:send(Garbage, [<<0, 255, 1>>, binary:copy(<<"x">>, 1000), "\r\n\r\n"]),
    check(garbage, true, case response(Garbage) of
                             {Code, _} when is_integer(Code) -> Code >= 400;
                             {error, closed} -> true;
                             Other -> Other
                         end),
    gen_tcp:close(Garbage),
    S = connect(Port),
    check(after_strangers, {200, <<"154">>}, get(S, "/counter")),
    ok = gen_tcp:send(Half, "P/1.1\r\nHost: h\r\n\r\n"),
    check(half, {200, <<"155">>}, response(Half)),
    [gen_tcp:close(X) || X <- [Silent, Half, S]].

%% Connections at the same time, each with a few requests.
crowd(Port, N) ->
    Self = self(),
    Ps = [spawn_link(fun() ->
                             S = connect(Port),
                             Self ! {self(), [get(S, "/counter") || _ <- lists:seq(1, 5)]},
                             receive stop -> gen_tcp:close(S) end
                     end) || _ <- lists:seq(1, N)],
    All = lists:append([receive {P, L} -> L after ?PATIENCE -> [none] end || P <- Ps]),
    check(crowd, [{200, integer_to_binary(155 + I)} || I <- lists:seq(1, 5 * N)],
          lists:sort(fun({_, A}, {_, B}) -> binary_to_integer(A) =< binary_to_integer(B) end,
                     All)),
    [P ! stop || P <- Ps].
