%% What is asked of sockets wrongly is refused; names are known without a network.
-module(net_refuse).
-export([main/0]).
-include("test.hrl").

main() ->
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

flush() -> receive _ -> flush() after 0 -> ok end.
