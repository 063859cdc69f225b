%% native_hidden - where code lies is told to no program: not by a term, not by
%% the texts about processes and the VM, not by a crash dump.
-module(native_hidden).
-export([main/0]).
-include("test.hrl").

main() ->
    Ranges = ranges(),
    {Pid, Ref} = spawn_monitor(fun() -> receive stop -> ok end end),
    erlang:yield(),
    ?is([], inside(Ranges, element(2, process_info(Pid, backtrace)))),
    [?is([], inside(Ranges, text(erlang:system_info(I)))) ||
        I <- [info, loaded, procs]],
    exit(Pid, kill),
    receive {'DOWN', Ref, process, Pid, killed} -> ok end,
    ?is([], inside(Ranges, text(try error(x, [self(), fun main/0]) catch _:_:S -> S end))),
    Local = fun(X) -> {Pid, X} end,
    ?is([], inside(Ranges, text([erlang:fun_info(Local), Local, fun lists:map/2,
                                 term_to_binary(Local)]))),
    ?is([], inside(Ranges, text(ets:info(ets:new(t, []))))),
    ?is([], inside(Ranges, text(erlang:fun_info(fun erlang:abs/1)))).

text(T) -> unicode:characters_to_list(io_lib:format("~w", [T])).

%% The numbers of a text, in either base, that are addresses of the window.
inside(Ranges, Text) ->
    S = if is_binary(Text) -> binary_to_list(Text); true -> Text end,
    [N || N <- numbers(S), {From, To} <- Ranges, N >= From, N < To].

numbers(S) ->
    [list_to_integer(D, Base) ||
        {Re, Base} <- [{"[0-9]{6,20}", 10}, {"[0-9a-fA-F]{8,16}", 16}],
        D <- case re:run(S, Re, [global, {capture, first, list}]) of
                 {match, L} -> lists:append(L);
                 nomatch -> []
             end].

%% Both views of the window, from the kernel. Elsewhere there is nobody to ask.
ranges() ->
    case file:open("/proc/self/maps", [read, raw, binary]) of
        {ok, F} ->
            Maps = read_all(F, []),
            file:close(F),
            [range(L) || L <- string:split(Maps, "\n", all), string:find(L, "/dev/zero") =/= nomatch];
        {error, _} -> []
    end.

range(Line) ->
    [From, Rest] = string:split(Line, "-"),
    [To | _] = string:split(Rest, " "),
    {binary_to_integer(From, 16), binary_to_integer(To, 16)}.

read_all(F, Acc) ->
    case file:read(F, 65536) of
        {ok, B} -> read_all(F, [Acc, B]);
        eof -> iolist_to_binary(Acc)
    end.
