%% web_counter - counts the requests for it. State: the count.
-module(web_counter).
-behaviour(gen_server).
-export([start_link/0, next/0, init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

next() ->
    gen_server:call(?MODULE, next).

init([]) ->
    {ok, 0}.

handle_call(next, _From, N) ->
    {reply, N + 1, N + 1}.

handle_cast(_, N) ->
    {noreply, N}.
