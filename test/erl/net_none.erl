%% Without a network a socket says so, and what asks for names goes on. Where
%% there is one, the refusals are those of a socket that was closed.
-module(net_none).
-export([main/0]).
-include("test.hrl").

main() ->
    case gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]) of
        {ok, L} -> ok = gen_tcp:close(L);
        E -> ?is({error, enonet}, E), refusals()
    end,
    ?matches({ok, [_ | _]}, inet:gethostname()),
    ?is({ok, {1, 2, 3, 4}}, inet:getaddr("1.2.3.4", inet)),
    ?is({ok, {127, 0, 0, 1}}, inet:getaddr("localhost", inet)),
    %% A port of the driver, spoken to as nobody should.
    [begin
         P = open_port({spawn_driver, D}, [binary]),
         [try iolist_to_binary(erlang:port_control(P, 16#03f1a300 + Op, Arg))
          catch error:badarg -> badarg end
          || Op <- lists:seq(0, 61), Op =/= 1,
             Arg <- [<<>>, <<0>>, <<1, 1>>, <<0:32>>, <<1, 0:48>>, <<255:64>>,
                     <<2, 200, 1, 2, 3, 4>>, <<3, "abc", 3, "tcp">>, binary:copy(<<255>>, 300)]],
         catch port_command(P, <<1, 2, 3>>),
         flush(),
         ?is({name, D}, erlang:port_info(P, name)),
         ?is(true, port_close(P))
     end || D <- ["tcp_inet", "udp_inet"]].

refusals() ->
    ?is({error, enonet}, gen_tcp:connect({127, 0, 0, 1}, 80, [])),
    ?is({error, enonet}, gen_udp:open(0)),
    ?is("machine is not on the network", inet:format_error(enonet)).

flush() -> receive _ -> flush() after 0 -> ok end.
