%% atomics and counters.
-module(atomics_bif).
-export([main/0]).
-include("test.hrl").

-define(MAX, 9223372036854775807).
-define(MIN, -9223372036854775808).
-define(UMAX, 18446744073709551615).

main() ->
    signed(),
    unsigned(),
    errors(),
    counters(atomics),
    counters(write_concurrency).

signed() ->
    R = atomics:new(3, []),
    ?is(true, is_reference(R)),
    ?is(#{max => ?MAX, min => ?MIN, size => 3}, maps:remove(memory, atomics:info(R))),
    ?is(true, is_integer(maps:get(memory, atomics:info(R)))),
    ?is(0, atomics:get(R, 1)),
    ?is(ok, atomics:put(R, 3, ?MIN)),
    ?is(?MIN, atomics:get(R, 3)),
    ?is(ok, atomics:sub(R, 3, 1)),
    ?is(?MAX, atomics:get(R, 3)),
    ?is(?MIN, atomics:add_get(R, 3, 1)),
    ?is(ok, atomics:add(R, 1, 5)),
    ?is(3, atomics:sub_get(R, 1, 2)),
    ?is(3, atomics:exchange(R, 1, -7)),
    ?is(ok, atomics:compare_exchange(R, 1, -7, 8)),
    ?is(8, atomics:compare_exchange(R, 1, -7, 9)),
    ?is(8, atomics:get(R, 1)),
    ?is(0, atomics:get(R, 2)),
    %% Shared, not copied.
    Self = self(),
    spawn(fun() -> atomics:put(R, 2, 42), Self ! done end),
    receive done -> ok end,
    ?is(42, atomics:get(R, 2)),
    ?is(ok, atomics:add(R, 2, ?UMAX)),
    ?is(41, atomics:get(R, 2)).

unsigned() ->
    R = atomics:new(1, [{signed,false}]),
    ?is(#{max => ?UMAX, min => 0, size => 1}, maps:remove(memory, atomics:info(R))),
    ?is(ok, atomics:put(R, 1, ?UMAX)),
    ?is(?UMAX, atomics:get(R, 1)),
    ?is(0, atomics:add_get(R, 1, 1)),
    ?is(?UMAX, atomics:sub_get(R, 1, 1)),
    ?is(?UMAX - 1, atomics:add_get(R, 1, -1)),
    ?raises({error, badarg}, atomics:put(R, 1, -1)),
    ?raises({error, badarg}, atomics:put(R, 1, ?UMAX + 1)).

errors() ->
    R = atomics:new(2, []),
    ?raises({error, badarg}, atomics:new(0, [])),
    ?raises({error, badarg}, atomics:new(-1, [])),
    ?raises({error, badarg}, atomics:new(a, [])),
    ?raises({error, system_limit}, atomics:new(1 bsl 64, [])),
    ?raises({error, system_limit}, atomics:new((1 bsl 64) - 1, [])),
    ?raises({error, badarg}, atomics:new(1, [foo])),
    ?raises({error, badarg}, atomics:get(R, 0)),
    ?raises({error, badarg}, atomics:get(R, 3)),
    ?raises({error, badarg}, atomics:get(R, x)),
    ?raises({error, badarg}, atomics:get(make_ref(), 1)),
    ?raises({error, badarg}, atomics:get(x, 1)),
    ?raises({error, badarg}, atomics:put(R, 1, ?MAX + 1)),
    ?raises({error, badarg}, atomics:put(R, 1, 1.0)),
    ?raises({error, badarg}, atomics:add(R, 1, ?UMAX + 1)),
    ?raises({error, badarg}, atomics:add(R, 1, ?MIN - 1)),
    ?raises({error, badarg}, atomics:exchange(R, 1, a)),
    ?raises({error, badarg}, atomics:compare_exchange(R, 1, 0, a)),
    ?raises({error, badarg}, atomics:compare_exchange(R, 1, a, 0)),
    ?raises({error, badarg}, atomics:info(self())).

counters(Kind) ->
    C = counters:new(4, [Kind]),
    ?is(4, maps:get(size, counters:info(C))),
    ?is(0, counters:get(C, 4)),
    ?is(ok, counters:put(C, 4, 10)),
    ?is(ok, counters:add(C, 4, 5)),
    ?is(ok, counters:sub(C, 4, 1)),
    ?is(14, counters:get(C, 4)),
    ?is(ok, counters:put(C, 4, ?MAX)),
    ?is(ok, counters:add(C, 4, 1)),
    ?is(?MIN, counters:get(C, 4)),
    ?raises({error, badarg}, counters:get(C, 5)),
    ?raises({error, badarg}, counters:put(C, 1, x)),
    ?raises({error, badarg}, counters:put(C, 1, ?MAX + 1)),
    ?raises({error, badarg}, counters:new(0, [Kind])),
    ?raises({error, badarg}, counters:new(1, [foo])).
