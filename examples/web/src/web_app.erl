%% web_app - starts the supervisor and, below inets, the server. run/0 is what
%% an image or a command line calls.
-module(web_app).
-behaviour(application).
-export([start/2, stop/1, run/0, port/0]).

start(_Type, _Args) ->
    {ok, Address} = application:get_env(address),
    {ok, Port} = application:get_env(port),
    %% Head and body are written one after the other; without this the second
    %% waits for the client's delayed acknowledgement. httpd's own way to say
    %% so, {socket_type, {ip_comm, Opts}}, works with port 0 only.
    application:set_env(kernel, inet_default_listen_options, [{nodelay, true}]),
    {ok, Sup} = web_sup:start_link(),
    case inets:start(httpd, [{port, Port},
                             {bind_address, Address},
                             {server_name, "web"},
                             {server_root, "/tmp"},
                             {document_root, "/tmp"},
                             {modules, [web_page]},
                             {max_clients, 10000},
                             {keep_alive_timeout, 60}]) of
        {ok, Server} -> {ok, Sup, Server};
        {error, Reason} -> {error, {httpd, Reason}}
    end.

stop(Server) ->
    inets:stop(httpd, Server).

%% Starts all and says where. `kindling bake --ready app' writes an instance out
%% between the two.
run() ->
    {ok, _} = application:ensure_all_started(web),
    ready(),
    io:format("web: serving on port ~b~n", [port()]).

ready() ->
    case code:ensure_loaded(kindling) of
        {module, _} -> kindling:ready(), kindling:rehearse(fun ask/0);
        {error, _} -> ok                        % stock OTP
    end.

%% A page of our own.
ask() ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, port(), [binary, {active, false}]),
    ok = gen_tcp:send(S, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    {ok, _} = gen_tcp:recv(S, 0),
    gen_tcp:close(S).

%% The port in use, which the system chose if it was configured as 0.
port() ->
    {httpd, Pid} = lists:keyfind(httpd, 1, inets:services()),
    [{port, Port}] = httpd:info(Pid, [port]),
    Port.
