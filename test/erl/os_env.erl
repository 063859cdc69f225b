%% os: environment, pid, clocks, signals.
-module(os_env).
-export([main/0]).
-include("test.hrl").

main() ->
    env(),
    clocks(),
    signals().

env() ->
    ?is(false, os:getenv("LING_TEST_UNSET")),
    ?is(true, os:putenv("LING_TEST", "å1=2")),
    ?is("å1=2", os:getenv("LING_TEST")),
    ?is(["å1=2"], [V || {"LING_TEST", V} <- os:env()]),
    ?is(true, lists:member("LING_TEST=å1=2", os:getenv())),
    ?is(true, os:putenv("LING_TEST", "")),
    ?is("", os:getenv("LING_TEST")),
    ?is(true, os:unsetenv("LING_TEST")),
    ?is(false, os:getenv("LING_TEST")),
    ?is(dflt, os:getenv("LING_TEST", dflt)),
    ?is(true, os:putenv("LING_DEEP", ["a", [$b, [[]]], "c"])),
    ?is("abc", os:getenv(["LING", "_DEEP"])),
    ?is(true, os:putenv("LING_WIDE", [16#4e2d, 16#1f600])),
    ?is([16#4e2d, 16#1f600], os:getenv("LING_WIDE")),
    ?raises({error, badarg}, os:putenv("A=B", "c")),
    ?raises({error, badarg}, os:putenv("A", [$a, 0])),
    ?raises({error, badarg}, os:putenv(a, "b")),
    ?raises({error, badarg}, os:putenv("a", b)),
    ?raises({error, badarg}, os:putenv("a", <<"b">>)),
    ?raises({error, badarg}, os:putenv("a", [16#d800])),
    ?raises({error, badarg}, os:putenv("a", [$a|$b])),
    ?raises({error, badarg}, os:getenv(<<"HOME">>)),
    ?raises({error, badarg}, os:getenv(home)),
    ?raises({error, badarg}, os:unsetenv("A=B")),
    Pid = os:getpid(),
    ?is(Pid, integer_to_list(list_to_integer(Pid))).

clocks() ->
    A = os:perf_counter(),
    ?is(true, is_integer(A) andalso os:perf_counter() >= A),
    {Mega, Sec, Micro} = os:timestamp(),
    Secs = Mega * 1000000 + Sec,
    ?is(true, abs(os:system_time(second) - Secs) =< 2),
    ?is(true, Micro >= 0 andalso Micro < 1000000),
    ?raises({error, badarg}, os:system_time(foo)),
    ?raises({error, badarg}, os:system_time(0)).

signals() ->
    ?is(ok, os:set_signal(sigusr1, ignore)),
    ?is(ok, os:set_signal(sigusr1, default)),
    ?is(ok, os:set_signal(sigstop, default)),
    ?raises({error, badarg}, os:set_signal(sigfoo, default)),
    ?raises({error, badarg}, os:set_signal(sigterm, foo)),
    ?raises({error, badarg}, os:set_signal("sigterm", default)).
