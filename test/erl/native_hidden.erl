%% native_hidden - no page of code is both written and run, and where code lies is
%% told to no program: not by a term, not by the texts about processes and the VM,
%% not by the report of a crash.
-module(native_hidden).
-export([main/0, log/2, crash/1, ranges/0, inside/2]).
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
    ?is([], inside(Ranges, text(erlang:fun_info(fun erlang:abs/1)))),
    views(),
    infos(Ranges),
    report(Ranges),
    crashes().

%% One view runs, the other is written, and the file of all memory is no way around it.
views() ->
    Views = [Line || Line <- maps(), string:find(Line, "/dev/zero") =/= nomatch],
    ?is([], [Line || Line <- maps(), [_, <<_, $w, $x, _/bits>> | _] <- [fields(Line)]]),
    ?is(true, lists:member(lists:sort([Access || Line <- Views, [_, Access | _] <- [fields(Line)]]),
                           [[], [<<"r-xs">>, <<"rw-s">>]])),
    [begin
         {ok, F} = file:open("/proc/self/mem", [read, write, raw, binary]),
         {From, _} = range(Line),
         {ok, Before} = file:pread(F, From, 8),
         ?matches({error, _}, file:pwrite(F, From, <<0:64>>)),
         ?is({ok, Before}, file:pread(F, From, 8)),
         file:close(F)
     end || Line <- Views, [_, <<"r-xs">> | _] <- [fields(Line)]].

fields(Line) -> string:lexemes(Line, " ").

%% All that can be asked of processes, modules and the VM.
infos(Ranges) ->
    Items = [backtrace, binary, catchlevel, current_function, current_location,
             current_stacktrace, dictionary, error_handler, garbage_collection,
             garbage_collection_info, group_leader, heap_size, initial_call, links,
             last_calls, memory, messages, monitored_by, monitors, priority, reductions,
             registered_name, sequential_trace_token, stack_size, status, suspending,
             total_heap_size, trace],
    [?is([], inside(Ranges, text({P, I, catch process_info(P, I)}))) ||
        P <- processes(), I <- Items],
    Of = [allocated_areas, atom_count, build_type, c_compiler_used, check_io, compat_rel,
          cpu_topology, driver_version, dynamic_trace, elib_malloc, emu_flavor, emu_type,
          fullsweep_after, heap_sizes, heap_type, machine, nif_version, otp_release,
          port_count, process_count, snifs, system_version, thread_pool_size,
          version, wordsize],
    [?is([], inside(Ranges, text(catch erlang:system_info(I)))) || I <- Of],
    [?is([], inside(Ranges, text(catch M:module_info()))) || {M, _} <- code:all_loaded()],
    ?is([], inside(Ranges, text([erlang:fun_info(F) || F <- exported()]))),
    ?is([], inside(Ranges, text([catch erts_debug:get_internal_state(I) ||
                                    I <- [node_and_dist_references, reds_left, memory]]))).

exported() ->
    [fun M:F/A || M <- [erlang, lists, maps, binary, ets], {F, A} <- M:module_info(exports)].

%% What logger makes of a process that crashes.
report(Ranges) ->
    Quiet = logger:set_handler_config(default, level, none),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}}),
    proc_lib:spawn(fun() -> error({x, self(), fun main/0, fun() -> Ranges end}) end),
    spawn(fun() -> lists:map(fun(X) -> [X | erlang:error(y, [X, fun main/0])] end, [1]) end),
    [receive {?MODULE, Text} -> ?is([], inside(Ranges, Text)) end || _ <- [1, 2]],
    ok = logger:remove_handler(?MODULE),
    Quiet =:= ok andalso logger:set_handler_config(default, level, all).

log(Event, #{config := #{to := To}}) ->
    To ! {?MODULE, unicode:characters_to_list(logger_formatter:format(Event, #{}))}.

%% Another VM, which tells its own addresses first, as text that holds no number.
crashes() ->
    case file:read_link("/proc/self/exe") of
        {ok, Vm} ->
            case filename:basename(Vm) of
                "ling" ++ _ -> [crash_of(Vm, How) || How <- [error, exit, halt, boot]];
                _ -> stock
            end;
        {error, _} -> image
    end.

crash_of(Vm, How) ->
    Port = open_port({spawn_executable, Vm},
                     [{args, ["-noshell", "-pa", filename:dirname(code:which(?MODULE)),
                              "-run", ?MODULE_STRING, "crash", atom_to_list(How)]},
                      exit_status, stderr_to_stdout]),
    [First, Text] = string:split(output(Port), "\n"),
    {ok, Tokens, _} = erl_scan:string(First),
    {ok, Ranges} = erl_parse:parse_term(Tokens),
    ?is(2, length(Ranges)),
    ?is(true, length(Text) > 10),
    ?is([], inside([{list_to_integer(A), list_to_integer(B)} || {A, B} <- Ranges], Text)).

output(Port) ->
    receive
        {Port, {data, D}} -> D ++ output(Port);
        {Port, {exit_status, _}} -> []
    end.

crash([How]) ->
    io:format("~w.~n", [[{integer_to_list(A), integer_to_list(B)} || {A, B} <- ranges()]]),
    case How of
        "error" -> error({How, self(), fun main/0, fun() -> How end});
        "exit" -> exit({How, fun main/0, erlang:system_info(procs)});
        "halt" -> halt("no more " ++ How);
        "boot" -> exit(whereis(init), {How, fun main/0}), exit(whereis(kernel_sup), kill)
    end.

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

%% Both views of the window, from the kernel. In an image, where there is none, they
%% lie where include/abi/guest.h says: GUEST_CODE up to the end of GUEST_CODE_W.
ranges() ->
    case maps() of
        [] -> [{16#200028000000, 16#200034000000}];
        Maps -> [range(L) || L <- Maps, string:find(L, "/dev/zero") =/= nomatch]
    end.

maps() ->
    case file:open("/proc/self/maps", [read, raw, binary]) of
        {ok, F} ->
            Maps = read_all(F, []),
            file:close(F),
            string:lexemes(Maps, "\n");
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
