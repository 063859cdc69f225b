%% hello_app - starts the supervisor; run/0 is what the image calls.
-module(hello_app).
-behaviour(application).
-export([start/2, stop/1, run/0]).

start(_Type, _Args) ->
    hello_sup:start_link().

stop(_State) ->
    ok.

%% Starts the application, watches the counter die and come back, and ends
%% the VM with the counter's last value as its status.
run() ->
    io:format("Hello from Erlang/OTP ~s on ~s~n",
              [erlang:system_info(otp_release), erlang:system_info(machine)]),
    {ok, _} = application:ensure_all_started(hello),
    First = whereis(hello_counter),
    wait_for(3),
    io:format("ticked to ~b~n", [hello_counter:value()]),
    Ref = monitor(process, First),
    hello_counter:crash(),
    receive {'DOWN', Ref, process, First, Reason} ->
        io:format("the counter crashed: ~p~n", [element(1, Reason)])
    end,
    Second = restarted(First),
    wait_for(2),
    io:format("restarted: ~p, ticked to ~b~n", [Second =/= First, hello_counter:value()]),
    halt(0).

wait_for(N) ->
    case hello_counter:value() of
        V when V >= N -> ok;
        _ -> timer:sleep(5), wait_for(N)
    end.

restarted(Old) ->
    case whereis(hello_counter) of
        New when is_pid(New), New =/= Old -> New;
        _ -> timer:sleep(1), restarted(Old)
    end.
