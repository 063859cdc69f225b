%% erl_ddll: who has a driver loaded, when it is unloaded and loaded again, and what
%% is told of that. The drivers are test/erl/driver_api.c's.
-module(driver_load).
-export([main/0]).
-include("test.hrl").

main() ->
    Dir = filename:dirname(code:which(?MODULE)),
    process_flag(trap_exit, true),
    arguments(Dir), refused(Dir), users(Dir), ports(Dir), kill_ports(Dir), reload(Dir),
    monitors(Dir), owner_dies(Dir), permanent(Dir),
    ?is(nothing, next()).

next() ->
    receive M -> M after 0 -> nothing end.
recv() ->
    receive M -> M end.
loaded(Name) ->
    {ok, L} = erl_ddll:loaded_drivers(),
    lists:member(Name, L).

arguments(Dir) ->
    [?raises({error, badarg}, erl_ddll:try_load(D, N, O)) ||
        {D, N, O} <- [{1, d, []}, {Dir, 1, []}, {Dir, '', []}, {Dir, d, [x]}, {Dir, d, x},
                      {Dir, d, [{monitor, x}]}, {Dir, d, [{reload, 1}]},
                      {Dir, d, [{driver_options, [x]}]}, {Dir, d, [{driver_options, x}]}]],
    [?raises({error, badarg}, erl_ddll:try_unload(N, O)) ||
        {N, O} <- [{1, []}, {d, x}, {d, [x]}, {d, [{monitor, x}]}]],
    ?raises({error, badarg}, erl_ddll:monitor(driver, {d, x})),
    ?raises({error, badarg}, erl_ddll:monitor(process, {d, loaded})),
    ?raises({error, badarg}, erl_ddll:demonitor(x)),
    ?is({error, not_loaded}, erl_ddll:try_unload(driver_api, [])),
    ?is({error, not_loaded}, erl_ddll:try_load(Dir, driver_api, [{reload, pending}])).

refused(Dir) ->
    {error, {open_error, N} = Why} = erl_ddll:try_load(Dir, no_such_file, []),
    ?is(true, is_integer(N)),
    ?is(true, is_list(erl_ddll:format_error(Why))),
    ?is({error, {open_error, N}}, erl_ddll:try_load(Dir, no_such_file, [])),
    ?is({error, no_driver_init}, erl_ddll:try_load(Dir, nif_api, [])),
    ?is({error, bad_driver_name}, erl_ddll:try_load(Dir, driver_api_name, [])),
    ?is({error, driver_incorrect_version}, erl_ddll:try_load(Dir, driver_api_version, [])),
    ?is({error, driver_init_failed}, erl_ddll:try_load(Dir, driver_api_fails, [])),
    [?is(true, is_list(erl_ddll:format_error(E))) ||
        E <- [no_driver_init, bad_driver_name, driver_incorrect_version, driver_init_failed,
              inconsistent, linked_in_driver, permanent, not_loaded, pending_process]].

users(Dir) ->
    ?is({ok, loaded}, erl_ddll:try_load(Dir ++ "//", "driver_api", [])),
    ?is(true, loaded("driver_api")),
    ?is(true, lists:member(driver_api, erlang:system_info(taints))),
    ?is({ok, already_loaded}, erl_ddll:try_load(list_to_binary(Dir), driver_api, [])),
    ?is({error, inconsistent}, erl_ddll:try_load(Dir ++ "/x", driver_api, [])),
    ?is({error, inconsistent},
        erl_ddll:try_load(Dir, driver_api, [{driver_options, [kill_ports]}])),
    ?is([{self(), 2}], erl_ddll:info(driver_api, processes)),
    ?is([], erl_ddll:info(driver_api, driver_options)),
    ?is(0, erl_ddll:info(driver_api, port_count)),
    ?is({ok, pending_process}, erl_ddll:try_unload(driver_api, [])),
    Self = self(),
    spawn(fun() -> Self ! erl_ddll:try_unload(driver_api, []) end),
    ?is({error, not_loaded_by_this_process}, recv()),
    {ok, pending_driver, Ref} = erl_ddll:try_unload(driver_api, [{monitor, pending}]),
    ?is({'DOWN', Ref, driver, driver_api, unloaded}, recv()),
    ?is(false, loaded("driver_api")).

ports(Dir) ->
    {ok, loaded} = erl_ddll:try_load(Dir, driver_api, []),
    P = open_port({spawn, driver_api}, []),
    ?is(1, erl_ddll:info(driver_api, port_count)),
    {ok, pending_driver, Ref} = erl_ddll:try_unload(driver_api, [{monitor, pending_driver}]),
    ?is([{self(), 1}], erl_ddll:info(driver_api, awaiting_unload)),
    ?is([], erl_ddll:info(driver_api, processes)),
    %% It is there for as long as the port is, and may be taken again.
    Q = open_port({spawn, driver_api}, []),
    ?is({ok, already_loaded}, erl_ddll:try_load(Dir, driver_api, [])),
    ?is({'UP', Ref, driver, driver_api, unload_cancelled}, recv()),
    {ok, pending_driver, Ref2} = erl_ddll:try_unload(driver_api, [{monitor, pending_driver}]),
    true = port_close(P),
    ?is({'EXIT', P, normal}, recv()),
    ?is(nothing, next()),
    true = port_close(Q),
    ?is({'EXIT', Q, normal}, recv()),
    ?is({'DOWN', Ref2, driver, driver_api, unloaded}, recv()).

kill_ports(Dir) ->
    {ok, loaded} = erl_ddll:try_load(Dir, driver_api, [{driver_options, [kill_ports]}]),
    ?is([kill_ports], erl_ddll:info(driver_api, driver_options)),
    P = open_port({spawn, driver_api}, []),
    {ok, pending_driver, Ref} = erl_ddll:try_unload(driver_api, [{monitor, pending}]),
    ?is({'EXIT', P, driver_unloaded}, recv()),
    ?is({'DOWN', Ref, driver, driver_api, unloaded}, recv()).

reload(Dir) ->
    {ok, loaded} = erl_ddll:try_load(Dir, driver_api, []),
    P = open_port({spawn, driver_api}, []),
    {ok, pending_driver, Ref} =
        erl_ddll:try_load(Dir, driver_api, [{reload, pending_driver}, {monitor, pending_driver}]),
    ?is({error, pending_reload},
        erl_ddll:try_load(Dir, driver_api, [{reload, pending_driver}])),
    ?is([{self(), 1}], erl_ddll:info(driver_api, awaiting_load)),
    {ok, pending_driver, Ref2} = erl_ddll:try_load(Dir, driver_api, [{monitor, pending}]),
    ?is([{self(), 2}], erl_ddll:info(driver_api, processes)),
    true = port_close(P),
    ?is({'EXIT', P, normal}, recv()),
    ?is(lists:sort([{'UP', R, driver, driver_api, loaded} || R <- [Ref, Ref2]]),
        lists:sort([recv(), recv()])),
    ?is({error, pending_process},
        erl_ddll:try_load(Dir, driver_api, [{reload, pending_driver}])),
    {ok, pending_process} = erl_ddll:try_unload(driver_api, []),
    %% From where there is none it can't be loaded again: it is gone.
    {ok, pending_driver, Ref3} =
        erl_ddll:try_load(Dir ++ "/none", driver_api,
                          [{reload, pending_driver}, {monitor, pending_driver}]),
    ?matches({'DOWN', Ref3, driver, driver_api, {load_failure, {open_error, _}}}, recv()),
    ?is(false, loaded("driver_api")).

monitors(Dir) ->
    R1 = erl_ddll:monitor(driver, {driver_api, loaded}),
    ?is({'DOWN', R1, driver, driver_api, unloaded}, recv()),
    R2 = erl_ddll:monitor(driver, {"tcp_inet", unloaded}),
    ?is({'UP', R2, driver, "tcp_inet", permanent}, recv()),
    {ok, loaded} = erl_ddll:try_load(Dir, driver_api, []),
    R3 = erl_ddll:monitor(driver, {driver_api, loaded}),
    ?is({'UP', R3, driver, driver_api, loaded}, recv()),
    R4 = erl_ddll:monitor(driver, {driver_api, unloaded}),
    R5 = erl_ddll:monitor(driver, {driver_api, unloaded_only}),
    R6 = erl_ddll:monitor(driver, {driver_api, unloaded}),
    ?is([{self(), 3}], erl_ddll:info(driver_api, awaiting_unload)),
    ?is(true, erl_ddll:demonitor(R6)),
    ?is(true, erl_ddll:demonitor(R1)),
    ?is([{self(), 2}], erl_ddll:info(driver_api, awaiting_unload)),
    {ok, pending_driver} = erl_ddll:try_unload(driver_api, []),
    ?is(lists:sort([{'DOWN', R, driver, driver_api, unloaded} || R <- [R4, R5]]),
        lists:sort([recv(), recv()])).

owner_dies(Dir) ->
    Self = self(),
    Pid = spawn(fun() ->
        {ok, loaded} = erl_ddll:try_load(Dir, driver_api, []),
        Self ! ready,
        receive stop -> ok end
    end),
    ?is(ready, recv()),
    Ref = erl_ddll:monitor(driver, {driver_api, unloaded}),
    ?is([{Pid, 1}], erl_ddll:info(driver_api, processes)),
    Pid ! stop,
    ?is({'DOWN', Ref, driver, driver_api, unloaded}, recv()).

permanent(Dir) ->
    {ok, loaded} = erl_ddll:try_load(Dir, driver_api_v, []),
    {ok, loaded} = erl_ddll:try_load(Dir, driver_api_lock, []),
    Ref = erl_ddll:monitor(driver, {driver_api_lock, unloaded}),
    P = open_port({spawn, driver_api_lock}, []),
    port_command(P, "L"),
    ?is({'UP', Ref, driver, driver_api_lock, permanent}, recv()),
    ?is({locked, P, 0}, recv()),
    true = port_close(P),
    ?is({'EXIT', P, normal}, recv()),
    ?is(true, erl_ddll:info(driver_api_lock, permanent)),
    ?is(permanent, erl_ddll:info(driver_api_lock, port_count)),
    ?is({error, permanent}, erl_ddll:try_unload(driver_api_lock, [])),
    ?is({error, permanent}, erl_ddll:try_load(Dir, driver_api_lock, [])),
    ?is({ok, pending_driver}, erl_ddll:try_unload(driver_api_v, [])).
