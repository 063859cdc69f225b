%% Ports of other programs and of descriptors: data, packets, lines, how they
%% end, what open_port refuses.
-module(port_spawn).
-export([main/0]).
-include("test.hrl").

main() ->
    process_flag(trap_exit, true),
    cat(),
    status(),
    lines(),
    packets(),
    options(),
    owner(),
    ends(),
    refused(),
    files(),
    big(),
    limits(),
    cmd().

cat() ->
    P = open_port({spawn, "cat"}, [binary]),
    ?is(true, port_command(P, ["ab", <<"c">>])),
    ?is({P, {data, <<"abc">>}}, next()),
    P ! {self(), {command, "def"}},
    ?is({P, {data, <<"def">>}}, next()),
    ?is({connected, self()}, erlang:port_info(P, connected)),
    ?is({name, "cat"}, erlang:port_info(P, name)),
    ?is({input, 6}, erlang:port_info(P, input)),
    ?is({output, 6}, erlang:port_info(P, output)),
    ?is({links, [self()]}, erlang:port_info(P, links)),
    ?is([], erlang:port_info(P, registered_name)),
    ?is({queue_size, 0}, erlang:port_info(P, queue_size)),
    {os_pid, Os} = erlang:port_info(P, os_pid),
    ?is(true, is_integer(Os) andalso Os > 0),
    ?is([name, links, id, connected, input, output, os_pid],
        [K || {K, _} <- erlang:port_info(P)]),
    ?is(true, lists:member(P, erlang:ports())),
    ?is(undefined, erlang:port_get_data(P)),
    ?is(true, erlang:port_set_data(P, {some, "data", <<1:500>>})),
    ?is({some, "data", <<1:500>>}, erlang:port_get_data(P)),
    ?is(true, register(port_spawn_cat, P)),
    ?is(P, whereis(port_spawn_cat)),
    ?is({registered_name, port_spawn_cat}, erlang:port_info(P, registered_name)),
    port_spawn_cat ! {self(), {command, "x"}},
    ?is({P, {data, <<"x">>}}, next()),
    ?is(true, port_close(P)),
    ?is({'EXIT', P, normal}, next()),
    ?is(undefined, erlang:port_info(P)),
    ?is(undefined, whereis(port_spawn_cat)),
    ?raises({error, badarg}, port_close(P)),
    ?raises({error, badarg}, port_command(P, "x")),
    ?is({self(), {command, "x"}}, P ! {self(), {command, "x"}}),
    L = open_port({spawn, "cat"}, []),
    port_command(L, "list"),
    ?is({L, {data, "list"}}, next()),
    L ! {self(), close},
    ?is(lists:sort([{L, closed}, {'EXIT', L, normal}]), lists:sort([next(), next()])).

status() ->
    P = open_port({spawn, "sh -c 'exit 7'"}, [exit_status]),
    ?is([{P, {exit_status, 7}}, {'EXIT', P, normal}], [next(), next()]),
    Q = open_port({spawn, "sh -c 'echo x; exit 3'"}, [exit_status, eof, binary]),
    ?is({Q, {data, <<"x\n">>}}, next()),
    ?is([{Q, {exit_status, 3}}, {Q, eof}], [next(), next()]),
    ?is(true, port_close(Q)),
    ?is({'EXIT', Q, normal}, next()),
    K = open_port({spawn, "sh -c 'kill -9 $$'"}, [exit_status]),
    ?is([{K, {exit_status, 137}}, {'EXIT', K, normal}], [next(), next()]),
    N = open_port({spawn, "true"}, []),
    ?is({'EXIT', N, normal}, next()).

lines() ->
    P = open_port({spawn, "printf 'ab\\ncdefgh\\n\\nij\\r\\nk'"}, [{line, 4}, eof]),
    ?is([{eol, "ab"}, {noeol, "cdef"}, {eol, "gh"}, {eol, ""}, {eol, "ij"},
         {noeol, "k"}], [begin {P, {data, D}} = next(), D end || _ <- lists:seq(1, 6)]),
    ?is({P, eof}, next()),
    port_close(P),
    next().

packets() ->
    [begin
         P = open_port({spawn, "cat"}, [{packet, N}, binary]),
         [port_command(P, X) || X <- [<<"a">>, <<>>, <<"hello">>]],
         ?is([{P, {data, X}} || X <- [<<"a">>, <<>>, <<"hello">>]],
             [next(), next(), next()]),
         port_close(P),
         ?is({'EXIT', P, normal}, next())
     end || N <- [1, 2, 4]],
    Q = open_port({spawn, "cat"}, [{packet, 1}]),
    catch port_command(Q, binary:copy(<<"x">>, 256)),
    ?is({'EXIT', Q, einval}, next()).

options() ->
    Env = open_port({spawn, "echo $LING_A-$LING_B"},
                    [{env, [{"LING_A", "1"}, {"LING_B", false}]}]),
    ?is("1-\n", all(Env)),
    os:putenv("LING_B", "set"),
    Env2 = open_port({spawn, "echo $LING_A-$LING_B"}, [{env, [{"LING_A", "é"}]}, binary]),
    ?is(<<"é-set\n"/utf8>>, iolist_to_binary(all(Env2))),
    Cd = open_port({spawn, "pwd"}, [{cd, "/"}]),
    ?is("/\n", all(Cd)),
    Err = open_port({spawn, "sh -c 'echo out; echo err >&2'"}, [stderr_to_stdout]),
    ?is("out\nerr\n", all(Err)),
    Args = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", "echo \"$0|$1|$2\"", "zero", "one two", <<"3">>]}]),
    ?is("zero|one two|3\n", all(Args)),
    Arg0 = open_port({spawn_executable, "/bin/sh"}, [{arg0, "nm"}, {args, ["-c", "echo $0"]}]),
    ?is("nm\n", all(Arg0)),
    In = open_port({spawn, "echo in"}, [in]),
    ?is("in\n", all(In)),
    NoStdio = open_port({spawn, "sh -c 'read x <&3; echo got $x >&4'"}, [nouse_stdio]),
    port_command(NoStdio, "it\n"),
    ?is("got it\n", all(NoStdio)).

owner() ->
    Self = self(),
    P = open_port({spawn, "cat"}, [binary]),
    Pid = spawn(fun() ->
        receive M -> Self ! {other, M} end,
        receive stop -> ok end
    end),
    ?is(true, port_connect(P, Pid)),
    ?is({connected, Pid}, erlang:port_info(P, connected)),
    port_command(P, "hi"),
    ?is({other, {P, {data, <<"hi">>}}}, next()),
    unlink(P),
    Ref = erlang:monitor(port, P),
    Pid ! stop,
    ?is({'DOWN', Ref, port, P, normal}, next()),
    Q = open_port({spawn, "cat"}, []),
    Q ! {self(), {connect, self()}},
    ?is({Q, connected}, next()),
    Q ! garbage,
    ?is({'EXIT', Q, badsig}, next()),
    Q ! {spawn(fun() -> ok end), close},
    ?is({'EXIT', Q, badsig}, next()),
    exit(Q, because),
    ?is({'EXIT', Q, because}, next()),
    R = open_port({spawn, "cat"}, []),
    exit(R, kill),
    ?is({'EXIT', R, killed}, next()),
    {C, M} = spawn_monitor(fun() ->
        Self ! {port, open_port({spawn, "cat"}, [])},
        exit(bye)
    end),
    {port, O} = next(),
    ?is({'DOWN', M, process, C, bye}, next()),
    Gone = fun F() -> erlang:port_info(O) =:= undefined orelse receive after 5 -> F() end end,
    ?is(true, Gone()).

ends() ->
    {'EXIT', {badarg, _}} = (catch port_connect(foo, self())),
    ?raises({error, badarg}, erlang:port_control(foo, 1, "")),
    ?raises({error, badarg}, erlang:port_info(1)),
    ?is(undefined, erlang:port_info(list_to_port("#Port<0.9999>"))),
    P = open_port({spawn, "cat"}, []),
    ?raises({error, badarg}, erlang:port_control(P, 1, "")),
    ?raises({error, badarg}, erlang:port_call(P, 1, x)),
    ?raises({error, badarg}, port_command(P, [a])),
    ?raises({error, badarg}, port_command(P, "x", [foo])),
    ?raises({error, notsup}, port_command(P, "x", [force])),
    ?raises({error, badarg}, erlang:port_info(P, foo)),
    port_close(P),
    ?is({'EXIT', P, normal}, next()).

refused() ->
    ?raises({error, enoent}, open_port({spawn_executable, "/no/such"}, [])),
    ?raises({error, eacces}, open_port({spawn_executable, "/etc/passwd"}, [])),
    ?raises({error, badarg}, open_port({spawn_driver, "no_such_driver"}, [])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [foo])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, foo)),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [binary|foo])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{packet, 3}])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{packet, 2}, {line, 5}])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{line, 0}])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{args, ["a"]}])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{env, [{"A=B", "x"}]}])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{env, [{"A", <<"x">>}]}])),
    ?raises({error, badarg}, open_port({spawn, "cat"}, [{cd, foo}, {cd, 1}])),
    ?raises({error, badarg}, open_port({foo, "cat"}, [])),
    ?raises({error, badarg}, open_port({fd, 0}, [])),
    ?raises({error, badarg}, open_port({fd, a, b}, [])),
    ?raises({error, badarg}, open_port({}, [])).

%% A file opened as a port, and descriptors through a shell.
files() ->
    F = "ling_port_spawn." ++ os:getpid(),
    P = open_port(F, [out]),
    port_command(P, "to a file"),
    port_close(P),
    ?is({'EXIT', P, normal}, next()),
    ?is({ok, <<"to a file">>}, file:read_file(F)),
    ok = file:delete(F).

%% More than a pipe holds, both ways; the command waits while the port is busy.
big() ->
    P = open_port({spawn, "cat"}, [binary, stream]),
    Data = binary:copy(<<"0123456789abcdef">>, 65536),
    Self = self(),
    spawn_link(fun() ->
        [port_command(P, Part) || <<Part:65536/binary>> <= Data],
        Self ! sent
    end),
    ?is(true, Data =:= collect(P, byte_size(Data), [])),
    receive sent -> ok end,
    receive {'EXIT', _, normal} -> ok end,
    port_close(P),
    ?is({'EXIT', P, normal}, next()).

limits() ->
    Max = (1 bsl 64) - 2,
    [begin
         [begin
              P = open_port({spawn, "cat"}, [{Option, Limit}]),
              port_close(P),
              ?is({'EXIT', P, normal}, next())
          end || Limit <- [disabled, {1, 1}, {1, Max}, {Max, Max}]],
         [?raises({error, badarg}, open_port({spawn, "cat"}, [{Option, Limit}]))
          || Limit <- [{0, 1}, {1, 0}, {1, Max + 1}, {Max + 1, Max}, {1}, x]]
     end || Option <- [busy_limits_port, busy_limits_msgq]].

cmd() ->
    ?is("hello\n", os:cmd("echo hello")),
    ?is("", os:cmd("true")),
    ?is("e\n", os:cmd("echo e >&2")),
    ?is("12", os:cmd("echo 12345", #{max_size => 2})),
    ?is(true, is_list(os:find_executable("sh"))),
    ?is(false, os:find_executable("no_such_program_here")).

next() ->
    receive M -> M after 60000 -> timeout end.

collect(_, 0, Acc) -> iolist_to_binary(lists:reverse(Acc));
collect(P, N, Acc) ->
    receive {P, {data, D}} -> collect(P, N - byte_size(D), [D | Acc]) end.

%% What a port says until it ends.
all(P) ->
    case next() of
        {P, {data, D}} when is_binary(D) -> [D | all(P)];
        {P, {data, D}} -> D ++ all(P);
        {'EXIT', P, normal} -> [];
        Other -> Other
    end.
