%% Loading, replacing, deleting and purging modules; on_load; funs and literals
%% that outlive their code; what modules tell about themselves.
-module(code_loading).
-export([main/0]).
-include("test.hrl").

main() ->
    process_flag(trap_exit, true),
    replace(),
    two_at_once(),
    bad_files(),
    purge_kills(),
    soft_purge(),
    funs(),
    fun_while_purging(),
    literals(),
    literals_in_messages(),
    on_load(),
    on_load_fails(),
    deleted(),
    module_info_items(),
    many_times(),
    beam_chunks().

%% The .beam of a module from source text.
beam(Mod, Text) ->
    Name = atom_to_list(Mod),
    Source = "-module(" ++ Name ++ ").\n" ++ string:replace(Text, "?MODULE", Name, all),
    {ok, Tokens, _} = erl_scan:string(lists:flatten(Source)),
    Forms = forms(Tokens, [], []),
    {ok, Mod, Beam} = compile:forms(Forms, [binary]),
    Beam.

forms([], [], Acc) ->
    lists:reverse(Acc);
forms([{dot, _} = D | Ts], Form, Acc) ->
    {ok, F} = erl_parse:parse_form(lists:reverse(Form, [D])),
    forms(Ts, [], [F | Acc]);
forms([T | Ts], Form, Acc) ->
    forms(Ts, [T | Form], Acc).

load(Mod, Text) ->
    code:load_binary(Mod, atom_to_list(Mod) ++ ".beam", beam(Mod, Text)).

gone(Mod) ->
    code:purge(Mod),
    code:delete(Mod),
    code:purge(Mod).

replace() ->
    M = code_t1,
    ?is(false, code:is_loaded(M)),
    ?raises({error, undef}, M:v()),
    ?is({module, M}, load(M, "-export([v/0,w/0]). v() -> 1. w() -> a.")),
    ?is(1, M:v()),
    ?is(a, M:w()),
    ?is(true, erlang:module_loaded(M)),
    ?is(false, erlang:check_old_code(M)),
    ?is(true, erlang:function_exported(M, w, 0)),
    ?is({module, M}, load(M, "-export([v/0]). v() -> 2.")),
    ?is(2, M:v()),
    ?is(true, erlang:check_old_code(M)),
    ?is(false, erlang:function_exported(M, w, 0)),
    ?raises({error, undef}, M:w()),
    %% load_binary purges by itself; the BIFs do not.
    Beam = beam(M, "-export([v/0]). v() -> 3."),
    Prep = erlang:prepare_loading(M, Beam),
    ?is({not_purged, [M]}, erlang:finish_loading([Prep])),
    ?is(2, M:v()),
    ?is(false, code:purge(M)),
    ?is(ok, erlang:finish_loading([Prep])),
    ?is(3, M:v()),
    ?raises({error, badarg}, erlang:finish_loading([Prep])),
    ?raises({error, badarg}, erlang:finish_loading(Prep)),
    ?raises({error, badarg}, erlang:finish_loading([x])),
    ?is(false, erlang:has_prepared_code_on_load(
                 erlang:prepare_loading(M, Beam))),
    ?raises({error, badarg}, erlang:has_prepared_code_on_load(make_ref())),
    gone(M),
    ?is(false, erlang:module_loaded(M)),
    ?raises({error, undef}, M:v()).

two_at_once() ->
    P = [erlang:prepare_loading(M, beam(M, "-export([v/0]). v() -> ?MODULE."))
         || M <- [code_t2, code_t3]],
    ?is(ok, erlang:finish_loading(P)),
    ?is(code_t2, code_t2:v()),
    ?is(code_t3, code_t3:v()),
    Twice = [erlang:prepare_loading(code_t2,
                                    beam(code_t2, "-export([v/0]). v() -> 2."))
             || _ <- [1, 2]],
    ?is({duplicated, [code_t2]}, erlang:finish_loading(Twice)),
    ?is(code_t2, code_t2:v()),
    gone(code_t2),
    gone(code_t3).

bad_files() ->
    M = code_t4,
    Beam = beam(M, "-export([v/0]). v() -> 1."),
    logger:add_primary_filter(quiet, {fun(_, _) -> stop end, []}),
    ?is({error, badfile}, erlang:prepare_loading(M, <<"junk">>)),
    ?is({error, badfile}, erlang:prepare_loading(M, <<>>)),
    ?is({error, badfile}, erlang:prepare_loading(code_other, Beam)),
    [?is({error, badfile}, erlang:prepare_loading(M, binary:part(Beam, 0, N)))
     || N <- [4, 11, 12, 40, byte_size(Beam) div 2]],
    timer:sleep(50),
    logger:remove_primary_filter(quiet),
    ?raises({error, badarg}, erts_internal:prepare_loading(M, foo)),
    ?raises({error, badarg}, erts_internal:prepare_loading(1, Beam)),
    ?is({error, nofile}, code:load_file(code_no_such_module)).

server() ->
    "-export([start/0, loop/0, nested/0, call/1]).\n"
    "start() -> spawn_link(?MODULE, loop, []).\n"
    "loop() -> receive {From, X} -> From ! {self(), X}, loop();\n"
    "                  new -> ?MODULE:loop() end.\n"
    "nested() -> receive X -> X end, nested(), x.\n"
    "call(F) -> R = F(), {R}.\n".

%% A server that is in the code of now.
started(M) ->
    P = M:start(),
    P ! {self(), started},
    receive {P, started} -> P end.

until(F) ->
    case F() of
        true -> ok;
        false -> timer:sleep(5), until(F)
    end.

%% purge/1 kills who is in old code, also when it only returns there.
purge_kills() ->
    M = code_t5,
    {module, M} = load(M, server()),
    P1 = started(M),
    P2 = spawn_link(M, nested, []),
    P2 ! a,
    P3 = spawn_link(fun() -> M:call(fun() -> receive stop -> ok end end) end),
    P4 = started(M),
    [until(fun() -> process_info(P, [status, message_queue_len]) =:=
                        [{status, waiting}, {message_queue_len, 0}] end) || P <- [P2, P3]],
    {module, M} = load(M, server()),
    P4 ! new,
    P4 ! {self(), hi},
    receive {P4, hi} -> ok after 60000 -> ?is(answer, none) end,
    ?is(true, erlang:check_process_code(P1, M)),
    ?is(true, erlang:check_process_code(P2, M)),
    ?is(true, erlang:check_process_code(P3, M)),
    ?is(false, erlang:check_process_code(P4, M)),
    ?is(false, erlang:check_process_code(self(), M)),
    ?is(true, code:purge(M)),
    [receive {'EXIT', P, R} -> ?is(killed, R) after 60000 -> ?is(exit, none) end
     || P <- [P1, P2, P3]],
    ?is(true, is_process_alive(P4)),
    unlink(P4),
    exit(P4, kill),
    gone(M).

soft_purge() ->
    M = code_t6,
    {module, M} = load(M, server()),
    P = started(M),
    {module, M} = load(M, server()),
    ?is(false, code:soft_purge(M)),
    P ! {self(), 1},
    receive {P, 1} -> ok after 60000 -> ?is(answer, none) end,
    P ! new,
    P ! {self(), 2},
    receive {P, 2} -> ok after 60000 -> ?is(answer, none) end,
    ?is(true, code:soft_purge(M)),
    ?is(true, code:soft_purge(M)),
    ?is(true, is_process_alive(P)),
    unlink(P),
    exit(P, kill),
    gone(M).

%% A fun finds its code again when the same module is loaded again.
funs() ->
    M = code_t7,
    Text = "-export([f/1]). f(X) -> fun(Y) -> {X, Y} end.",
    {module, M} = load(M, Text),
    F = M:f(1),
    ?is({1, 2}, F(2)),
    ?is({module, M}, erlang:fun_info(F, module)),
    ?is({arity, 1}, erlang:fun_info(F, arity)),
    ?is({env, [1]}, erlang:fun_info(F, env)),
    ?is({type, local}, erlang:fun_info(F, type)),
    ?is({name, '-f/1-fun-0-'}, erlang:fun_info(F, name)),
    ?is({pid, self()}, erlang:fun_info(F, pid)),
    ?is({new_uniq, M:module_info(md5)}, erlang:fun_info(F, new_uniq)),
    gone(M),
    ?is({name, []}, erlang:fun_info(F, name)),
    ?is({M, [], 1}, erlang:fun_info_mfa(F)),
    ?raises({error, undef}, F(2)),
    {module, M} = load(M, Text),
    ?is({1, 3}, F(3)),
    ?is({M, '-f/1-fun-0-', 1}, erlang:fun_info_mfa(F)),
    %% Old code stays good for it until it is purged.
    {module, M} = load(M, "-export([g/0]). g() -> ok."),
    ?is({1, 4}, F(4)),
    code:purge(M),
    ?raises({error, {badfun, _}}, F(5)),
    gone(M),
    E = fun M:f/1,
    ?is({external, M, f, 1}, {element(2, erlang:fun_info(E, type)),
                              element(2, erlang:fun_info(E, module)),
                              element(2, erlang:fun_info(E, name)),
                              element(2, erlang:fun_info(E, arity))}),
    ?is(undefined, element(2, erlang:fun_info(E, pid))),
    ?raises({error, undef}, E(1)),
    ?raises({error, badarg}, erlang:fun_info(x, module)),
    ?raises({error, badarg}, erlang:fun_info(E, nothing)),
    ?is(E, erlang:make_fun(M, f, 1)),
    ?raises({error, badarg}, erlang:make_fun(M, f, 256)),
    ?raises({error, badarg}, erlang:make_fun(M, f, -1)),
    ?is("fun code_t7:f/1", erlang:fun_to_list(E)).

%% Calls of a fun while its code is being purged never see half of it.
fun_while_purging() ->
    M = code_t8,
    Text = "-export([f/0]). f() -> fun() -> 1 end.",
    {module, M} = load(M, Text),
    F = M:f(),
    Self = self(),
    P = spawn_link(fun() -> fun_caller(F, Self, 0) end),
    [begin
         {module, M} = load(M, Text),
         code:purge(M)
     end || _ <- lists:seq(1, 20)],
    P ! stop,
    receive
        {P, N} -> ?is(true, N > 0);
        {'EXIT', P, R} -> ?is(alive, R)
    after 60000 -> ?is(answer, none)
    end,
    gone(M).

fun_caller(F, To, N) ->
    1 = F(),
    receive stop -> To ! {self(), N + 1}
    after 0 -> fun_caller(F, To, N + 1)
    end.

text_of_literals() ->
    Big = lists:flatten(io_lib:format("~w", [binary_to_list(big())])),
    "-export([l/0, b/0, m/0]).\n"
    "l() -> {lit, [1,2,3], \"text\", #{a => [x], b => {y}}, 1.5,"
    " 123456789012345678901234567890}.\n"
    "b() -> <<\"" ++ [$x || _ <- lists:seq(1, 100)] ++ "\">>.\n"
    "m() -> " ++ Big ++ ".\n".

big() ->
    << <<(I rem 256)>> || I <- lists:seq(1, 1000) >>.

%% What came from a module's literals stays whole after it is gone.
literals() ->
    M = code_t9,
    Text = text_of_literals(),
    {module, M} = load(M, Text),
    Want = {M:l(), M:b(), M:m()},
    Copy = binary_to_term(term_to_binary(Want)),
    Bin = M:b(),
    Sub = binary:part(Bin, 10, 80),
    put(literal, M:l()),
    Ets = ets:new(t, []),
    ets:insert(Ets, {1, M:l(), M:b()}),
    persistent_term:put(code_t9, M:l()),
    Self = self(),
    %% A sleeping process, one with it in its state, one that computes.
    Sleepers = [spawn_link(fun() -> X = {K, M:l(), M:m()},
                                    Self ! {self(), has},
                                    receive go -> Self ! {self(), X} end end)
                || K <- lists:seq(1, 10)],
    Busy = spawn_link(fun() -> L = M:l(), Self ! {self(), has}, busy(L, 0, Self) end),
    [receive {P, has} -> ok end || P <- [Busy | Sleepers]],
    gone(M),
    %% The collector process works in the background.
    [begin
         {module, M2} = load(M2, "-export([x/0]). x() -> {a, \"b\", [c]}."),
         gone(M2)
     end || M2 <- [code_t10, code_t11]],
    timer:sleep(100),
    erlang:garbage_collect(),
    ?is(Copy, Want),
    ?is(100, byte_size(Bin)),
    ?is(80, byte_size(Sub)),
    ?is(element(1, Copy), get(literal)),
    ?is(element(1, Copy), ets:lookup_element(Ets, 1, 2)),
    ?is(element(1, Copy), persistent_term:get(code_t9)),
    [begin
         S ! go,
         receive
             {S, X} -> ?is({K, element(1, Copy), element(3, Copy)}, X)
         after 60000 -> ?is(answer, none)
         end
     end || {K, S} <- lists:zip(lists:seq(1, 10), Sleepers)],
    Busy ! stop,
    receive {Busy, L} -> ?is(element(1, Copy), L)
    after 60000 -> ?is(answer, none)
    end,
    persistent_term:erase(code_t9),
    erase(literal).

busy(L, N, To) ->
    receive stop -> To ! {self(), L}
    after 0 -> busy(L, length(lists:seq(1, 50)) + N, To)
    end.

%% In a message that waits, and in one on its way around.
literals_in_messages() ->
    M = code_t12,
    {module, M} = load(M, text_of_literals()),
    Copy = binary_to_term(term_to_binary(M:l())),
    Self = self(),
    P = spawn_link(fun() -> receive go -> ok end,
                            receive {m, X} -> Self ! {self(), X} end end),
    P ! {m, M:l()},
    erlang:send_after(150, self(), {timer, M:l()}),
    Ring = [spawn_link(fun() -> forward() end) || _ <- lists:seq(1, 5)],
    [A ! {to, B} || {A, B} <- lists:zip(Ring, tl(Ring) ++ [hd(Ring)])],
    hd(Ring) ! {ball, M:l(), M:b()},
    gone(M),
    timer:sleep(100),
    P ! go,
    receive {P, Y} -> ?is(Copy, Y) after 60000 -> ?is(answer, none) end,
    receive {timer, Z} -> ?is(Copy, Z) after 60000 -> ?is(timer, none) end,
    [R ! {stop, self()} || R <- Ring],
    Balls = [receive {R, Got} -> Got after 60000 -> timeout end || R <- Ring],
    [?is(Copy, B) || B <- Balls, B =/= none].

forward() ->
    receive {to, Next} -> forward(Next, none) end.

forward(Next, Ball) ->
    receive
        {ball, L, B} -> Next ! {ball, L, B}, forward(Next, L);
        {stop, To} -> To ! {self(), Ball}
    end.

on_load() ->
    M = code_t13,
    persistent_term:put(code_t13, self()),
    Text = "-on_load(init/0). -export([v/0, w/1]).\n"
           "init() -> persistent_term:get(code_t13) ! {init, self(), helper()}, ok.\n"
           "helper() -> erlang:function_exported(?MODULE, v, 0).\n"
           "v() -> 1. w(F) -> F().",
    Beam = beam(M, Text),
    ?is(true, erlang:has_prepared_code_on_load(erlang:prepare_loading(M, Beam))),
    ?is({module, M}, code:load_binary(M, "", Beam)),
    receive {init, _, E} -> ?is(false, E) after 60000 -> ?is(init, none) end,
    ?is(1, M:v()),
    ?is({module, M}, code:load_binary(M, "", Beam)),
    receive {init, _, E2} -> ?is(true, E2) after 60000 -> ?is(init, none) end,
    ?is(2, M:w(fun() -> 2 end)),
    P2 = [erlang:prepare_loading(X, B)
          || {X, B} <- [{M, Beam}, {code_t14, beam(code_t14, "")}]],
    ?raises({error, system_limit}, erlang:finish_loading(P2)),
    gone(M),
    persistent_term:erase(code_t13).

%% The old code stays when on_load does not return ok.
on_load_fails() ->
    M = code_t15,
    {module, M} = load(M, "-export([v/0]). v() -> old."),
    logger:add_primary_filter(quiet, {fun(_, _) -> stop end, []}),
    ?is({error, on_load_failure},
        load(M, "-on_load(i/0). -export([v/0, x/0]). i() -> no. v() -> new. x() -> x.")),
    ?is(old, M:v()),
    ?is({error, on_load_failure},
        load(M, "-on_load(i/0). -export([v/0]). i() -> exit(no). v() -> new.")),
    ?is(old, M:v()),
    ?is(false, erlang:function_exported(M, x, 0)),
    timer:sleep(50),
    logger:remove_primary_filter(quiet),
    ?is({module, M}, load(M, "-export([v/0]). v() -> newer.")),
    ?is(newer, M:v()),
    gone(M).

deleted() ->
    M = code_t16,
    ?is(undefined, erlang:delete_module(code_no_such_module)),
    {module, M} = load(M, "-export([v/0]). v() -> 1."),
    ?is(true, lists:member(M, erlang:loaded())),
    ?is(true, erlang:delete_module(M)),
    ?is(false, erlang:module_loaded(M)),
    ?is(true, erlang:check_old_code(M)),
    ?is(true, lists:member(M, erlang:loaded())),
    ?raises({error, badarg}, erlang:get_module_info(M)),
    code:purge(M),
    ?is(false, lists:member(M, erlang:loaded())),
    ?raises({error, badarg}, erlang:delete_module(1)),
    ?raises({error, badarg}, erlang:check_old_code("m")),
    ?raises({error, badarg}, erlang:module_loaded(1)).

module_info_items() ->
    M = code_t17,
    {module, M} = load(M, "-vsn(7). -mine([a]). -export([b/0, a/1]). "
                          "b() -> l(). a(X) -> X. l() -> ok."),
    ?is([module, exports, attributes, compile, md5], [K || {K, _} <- M:module_info()]),
    ?is([{a, 1}, {b, 0}, {module_info, 0}, {module_info, 1}],
        lists:sort(M:module_info(exports))),
    ?is([{vsn, [7]}, {mine, [a]}], M:module_info(attributes)),
    ?is([{b, 0}, {a, 1}, {l, 0}, {module_info, 0}, {module_info, 1}],
        M:module_info(functions)),
    ?is(M, M:module_info(module)),
    ?is([], M:module_info(nifs)),
    ?is(16, byte_size(M:module_info(md5))),
    ?is(true, is_list(M:module_info(compile))),
    ?raises({error, badarg}, M:module_info(what)),
    ?raises({error, badarg}, erlang:get_module_info(1)),
    gone(M),
    ?is(true, erlang:is_builtin(erlang, self, 0)),
    ?is(true, erlang:is_builtin(erlang, apply, 3)),
    ?is(true, erlang:is_builtin(lists, member, 2)),
    ?is(false, erlang:is_builtin(lists, map, 2)),
    ?is(false, erlang:is_builtin(erlang, no_such_bif, 2)),
    ?is(true, erlang:function_exported(erlang, apply, 2)),
    ?is(true, erlang:function_exported(lists, member, 2)),
    ?is(false, erlang:function_exported(lists, member, 300)),
    ?raises({error, badarg}, erlang:function_exported(lists, member, x)),
    ?is(true, lists:member(erts_internal, erlang:pre_loaded())),
    ?is(persistent_term, hd(erlang:pre_loaded())).

%% Nothing is left behind: 300 versions, each with literals, funs and catches.
many_times() ->
    M = code_t18,
    [begin
         Text = "-export([f/1]). f(X) -> try X() of Y -> {Y, " ++
             integer_to_list(I) ++ ", [a,{b,\"c\"}]} catch _:_ -> "
             "(fun(Z) -> {X, Z} end)(1) end.",
         {module, M} = load(M, Text),
         {ok, I, [a, {b, "c"}]} = M:f(fun() -> ok end),
         {_, 1} = M:f(fun() -> exit(x) end),
         I
     end || I <- lists:seq(1, 100)],
    gone(M).

beam_chunks() ->
    M = code_t19,
    Beam = beam(M, "-export([v/0]). v() -> 1."),
    {ok, {M, Md5}} = beam_lib:md5(Beam),
    ?is(Md5, code:module_md5(Beam)),
    ?is(undefined, code:module_md5(<<"junk">>)),
    ?is(Md5, erts_internal:beamfile_module_md5(Beam)),
    {ok, {M, [{"AtU8", Atoms}]}} = beam_lib:chunks(Beam, ["AtU8"]),
    ?is(Atoms, erts_internal:beamfile_chunk(Beam, "AtU8")),
    Size = byte_size(Beam),
    <<_:3, Unaligned:Size/binary, _/bits>> = <<0:3, Beam/binary, 0:5>>,
    ?is(Atoms, erts_internal:beamfile_chunk(Unaligned, "AtU8")),
    ?is(undefined, erts_internal:beamfile_chunk(Beam, "NoNo")),
    ?is(undefined, erts_internal:beamfile_chunk(<<"junk">>, "Code")),
    ?raises({error, badarg}, erts_internal:beamfile_chunk(Beam, "Cod")),
    ?raises({error, badarg}, erts_internal:beamfile_chunk(Beam, code)),
    ?raises({error, badarg}, erts_internal:beamfile_chunk(x, "Code")).
