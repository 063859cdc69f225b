%% erl_ddll of the VM's own drivers, and of none: also where nothing can be loaded.
-module(ddll_own).
-export([main/0]).
-include("test.hrl").

main() ->
    {ok, L} = erl_ddll:loaded_drivers(),
    [?is(true, lists:member(D, L)) || D <- ["tcp_inet", "udp_inet", "ram_file_drv"]],
    [?is(false, lists:member(D, L)) || D <- ["fd", "spawn", "file"]],
    ?is([{processes, linked_in_driver}, {driver_options, linked_in_driver},
         {port_count, linked_in_driver}, {linked_in_driver, true}, {permanent, false},
         {awaiting_load, linked_in_driver}, {awaiting_unload, linked_in_driver}],
        [{I, erl_ddll:info(tcp_inet, I)} ||
            I <- [processes, driver_options, port_count, linked_in_driver, permanent,
                  awaiting_load, awaiting_unload]]),
    ?raises({error, badarg}, erl_ddll:info(tcp_inet, no_such_item)),
    ?raises({error, badarg}, erl_ddll:info(no_such_driver, processes)),
    ?is({error, linked_in_driver}, erl_ddll:try_load("/", tcp_inet, [])),
    ?is({error, linked_in_driver}, erl_ddll:try_unload("tcp_inet", [])),
    {error, Why} = erl_ddll:try_load("/none", no_such_driver, []),
    ?is(true, is_list(erl_ddll:format_error(Why))),
    ?is({error, not_loaded}, erl_ddll:try_unload(no_such_driver, [{monitor, pending}])),
    R1 = erl_ddll:monitor(driver, {tcp_inet, unloaded}),
    ?is({'UP', R1, driver, tcp_inet, permanent}, receive M1 -> M1 end),
    [begin
         R = erl_ddll:monitor(driver, {no_such_driver, What}),
         ?is({'DOWN', R, driver, no_such_driver, unloaded}, receive M -> M end)
     end || What <- [loaded, unloaded, unloaded_only]],
    ?is(true, erl_ddll:demonitor(R1)),
    ?is([], [T || T <- erlang:system_info(taints), T =:= no_such_driver]).
