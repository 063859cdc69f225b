%% hello_counter - counts ticks of a timer. State: the count; a crash loses it.
-module(hello_counter).
-behaviour(gen_server).
-export([start_link/0, value/0, crash/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-define(TICK_MS, 5).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

value() ->
    gen_server:call(?MODULE, value).

crash() ->
    gen_server:cast(?MODULE, crash).

init([]) ->
    erlang:send_after(?TICK_MS, self(), tick),
    {ok, 0}.

handle_call(value, _From, Count) ->
    {reply, Count, Count}.

handle_cast(crash, Count) ->
    {noreply, Count div list_to_integer("0")}.

handle_info(tick, Count) ->
    erlang:send_after(?TICK_MS, self(), tick),
    {noreply, Count + 1}.
