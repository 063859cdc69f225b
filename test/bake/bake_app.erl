%% What the images of run.sh run: start/0 gets ready, then says who this is.
-module(bake_app).
-export([start/0, identity/0, deaf/0, quits/0, port/0, slow/0, too_slow/0, spins/0, serve/0]).

start() ->
    Ets = ets:new(kept, [public, named_table]),
    ets:insert(Ets, {key, lists:seq(1, 1000)}),
    OldRef = make_ref(),
    Before = erlang:monotonic_time(),
    os:putenv("SET_IN_BAKE", "1"),
    ok = kindling:subscribe(),
    erlang:send_after(50, self(), timer_goes_on),
    ok = kindling:ready(),
    Resumed = receive {ling, resumed, G} -> G after 0 -> none end,
    ok = kindling:rehearse(fun() -> put(rehearsed, yes), uri_string:parse("http://x/") end),
    true = (kindling:generation() =:= 0) =:= (get(rehearsed) =:= yes),
    true = kindling:generation() =:= 0 orelse erlang:monotonic_time() > Before,
    [{key, L}] = ets:lookup(kept, key),
    500500 = lists:sum(L),
    true = make_ref() =/= OldRef,
    receive timer_goes_on -> ok end,
    {{Y, _, _}, _} = calendar:universal_time(),
    true = kindling:generation() =:= 0 orelse Y > 2000,
    io:format("~p~n", [#{resumed => Resumed,
                         year => Y,
                         args => init:get_plain_arguments(),
                         env => os:getenv("GIVEN"),
                         early => code:is_loaded(uri_string) =/= false,
                         told => os:getenv("KINDLING_LOAD"),
                         set => os:getenv("SET_IN_BAKE")}]),
    halt(7).

%% One line of what no two copies share. It listens, so that it can be asked.
identity() ->
    {ok, _} = gen_tcp:listen(7, []),
    ok = kindling:ready(),
    {ok, Ifs} = inet:getifaddrs(),
    Mac = proplists:get_value(hwaddr, proplists:get_value("eth0", Ifs, [])),
    io:format("id ~p ~p ~p ~p ~p ~w~n",
              [make_ref(), kindling:creation(), rand:uniform(1 bsl 58),
               binary:decode_unsigned(kindling:random_bytes(16)),
               erlang:unique_integer(), Mac]),
    receive never -> ok end.

deaf() -> receive never -> ok end.
quits() -> halt(3).
port() ->
    register(port_owner, self()),
    open_port({spawn_driver, "ram_file_drv"}, [binary]),
    kindling:ready(),
    halt(0).
slow() -> timer:sleep(5000), kindling:ready(), io:format("slow is ready~n"), halt(0).
too_slow() -> timer:sleep(1000000), kindling:ready(), halt(0).
spins() -> spins().

%% A server: a line when it is ready, then it waits until it is stopped.
serve() ->
    ok = kindling:ready(),
    io:format("serving ~p~n", [init:get_plain_arguments()]),
    receive never -> ok end.
