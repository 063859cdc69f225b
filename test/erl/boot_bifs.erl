%% boot_bifs - the BIFs that a boot calls by way of other modules, called here
%% for themselves.
-module(boot_bifs).
-include("test.hrl").
-export([main/0, f/2, id/1]).

f(A, B) -> {A, B}.
id(X) -> X.

main() ->
    files(), ports(), process(), tags(), tables().

%% What a file is called, holds, and what a directory has. The natives
%% (read_file_nif and so on) are called by these.
files() ->
    {ok, Cwd} = prim_file:get_cwd(),
    ?is(true, is_list(Cwd)),
    ?is(<<"/no/such/file", 0>>, prim_file:internal_name2native("/no/such/file")),
    ?is("/no/such/file", prim_file:internal_native2name(<<"/no/such/file">>)),
    ?is({error, enoent}, prim_file:read_file("/no/such/file")),
    ?is({error, enoent}, prim_file:read_file_info("/no/such/file")),
    ?is({error, enoent}, prim_file:list_dir("/no/such/file")),
    ?is({error, enoent}, prim_file:open("/no/such/file", [read])),
    ?matches({ok, [_ | _]}, prim_file:list_dir("/")),
    ?is(directory, element(3, element(2, prim_file:read_file_info("/")))),
    ?is({error, badarg}, prim_file:read_file(not_a_name)).

ports() ->
    ?is(badarg, erts_internal:open_port({fd, a, b}, [])),
    ?raises({error, badarg}, open_port({spawn_driver, "no_such_driver"}, [])),
    ?is(badarg, erts_internal:port_command(not_a_port, <<>>, [])),
    ?is(badarg, erts_internal:port_control(not_a_port, 1, <<>>)),
    ?is(badarg, erts_internal:port_close(not_a_port)).

process() ->
    ?is({1, 2}, apply(fun f/2, [1, 2])),
    ?is({1, 2}, erlang:apply(id(fun f/2), id([1, 2]))),
    ?raises({error, {badarity, {_, [1]}}}, erlang:apply(id(fun f/2), id([1]))),
    ?raises({error, {badfun, x}}, erlang:apply(id(x), id([1, 2]))),
    ?raises({error, badarg}, erlang:apply(id(fun f/2), id([1 | 2]))),
    ?is(hello, erlang:send(self(), hello)),
    ?is(hello, receive M -> M after 0 -> none end),
    ?is([], nodes()), ?is([], erlang:nodes([visible, hidden])),
    ?is([], erlang:nodes(visible, #{})),
    ?is([node()], nodes(this)),
    ?is(true, erts_internal:garbage_collect(major)),
    Leader = group_leader(),
    ?is(true, erts_internal:group_leader(Leader, self())),
    ?is(Leader, group_leader()),
    Depth = erlang:system_flag(backtrace_depth, 8),
    ?is(8, erlang:system_flag(backtrace_depth, Depth)),
    ?raises({error, badarg}, erlang:system_flag(no_such_flag, 1)),
    ?is(false, erts_internal:scheduler_wall_time(false)).

%% Tags of a dynamic tracer that is not there.
tags() ->
    ?is(true, erlang:dt_restore_tag(erlang:dt_spread_tag(false))).

tables() ->
    T = ets:new(t, [ordered_set]),
    true = ets:insert(T, [{I, I rem 3} || I <- lists:seq(1, 30)]),
    ?is(10, ets:internal_select_delete(T, [{{'_', 0}, [], [true]}])),
    ?is(20, ets:info(T, size)).
