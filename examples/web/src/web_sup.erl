%% web_sup - keeps the counter alive.
-module(web_sup).
-behaviour(supervisor).
-export([start_link/0, init/1]).

start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

init([]) ->
    {ok, {#{strategy => one_for_one, intensity => 10, period => 1},
          [#{id => web_counter, start => {web_counter, start_link, []}}]}}.
