%% process_flag(save_calls, N): what a process called, sent and received last.
-module(last_calls).
-export([main/0, a/1, b/0, loop/1, wait/0, again/1]).
-include("test.hrl").

main() ->
    flags(),
    calls(),
    ring(),
    failing(),
    others(),
    loaded(),
    traced(),
    sensitive(),
    ?is({last_calls, false}, process_info(self(), last_calls)).

%% Those of this module, and what is no call.
mine() ->
    {last_calls, L} = process_info(self(), last_calls),
    [C || C <- L, not is_tuple(C) orelse element(1, C) =:= ?MODULE].

flags() ->
    ?is(0, process_flag(save_calls, 10)),
    ?is(10, process_flag(save_calls, 20)),
    ?raises({error, badarg}, process_flag(save_calls, -1)),
    ?raises({error, badarg}, process_flag(save_calls, 10001)),
    ?raises({error, badarg}, process_flag(save_calls, x)),
    ?is(20, process_flag(save_calls, 0)),
    ?is(0, process_flag(save_calls, 0)).

a(X) -> X.
b() -> local(), ?MODULE:a(1).
local() -> ok.

calls() ->
    process_flag(save_calls, 50),
    [] = mine(),
    ?MODULE:b(),
    self() ! hello,
    receive hello -> ok end,
    receive never -> ok after 0 -> ok end,
    receive never -> ok after 1 -> ok end,
    F = fun ?MODULE:a/1,
    F(1),
    M = ?MODULE,
    M:a(2),
    apply(M, b, []),
    local(),
    L = mine(),
    process_flag(save_calls, 0),
    ?is([{?MODULE,b,0}, {?MODULE,a,1}, send, 'receive', timeout, timeout, {?MODULE,a,1},
         {?MODULE,a,1}, {?MODULE,b,0}, {?MODULE,a,1}], L),
    ?MODULE:a(1),
    ?is({last_calls, false}, process_info(self(), last_calls)).

%% Only so many are kept; BIFs count.
ring() ->
    process_flag(save_calls, 3),
    [?MODULE:a(I) || I <- lists:seq(1, 10)],
    ?MODULE:b(),
    _ = erlang:list_to_atom(?MODULE:again("a")),
    {last_calls, L} = process_info(self(), last_calls),
    process_flag(save_calls, 0),
    ?is([{?MODULE,again,1}, {erlang,list_to_atom,1}, {erlang,process_info,2}], L),
    %% Begun anew, it is empty.
    process_flag(save_calls, 3),
    process_flag(save_calls, 3),
    {last_calls, N} = process_info(self(), last_calls),
    process_flag(save_calls, 0),
    ?is([{erlang,process_info,2}], N).

%% What fails fails as it would.
failing() ->
    process_flag(save_calls, 5),
    A = (catch erlang:list_to_atom(hd([x]))),
    B = (catch no_such_module:f(1, 2)),
    C = (catch ?MODULE:no_such_function(1)),
    D = (catch erlang:binary_to_term(hd([<<>>]))),
    process_flag(save_calls, 0),
    ?is([{badarg,{erlang,list_to_atom,[x]}}, {undef,{no_such_module,f,[1,2]}},
         {undef,{?MODULE,no_such_function,[1]}}, {badarg,{erlang,binary_to_term,[<<>>]}}],
        [{Reason, {M, F, Args}} || {'EXIT', {Reason, [{M, F, Args, _} | _]}} <- [A, B, C, D]]).

loop(0) -> done;
loop(N) -> ?MODULE:loop(N - 1).

wait() -> receive {From, go} -> ?MODULE:loop(100000), From ! done, ?MODULE:wait() end.

until_waiting(P) ->
    case process_info(P, status) of
        {status, waiting} -> ok;
        {status, _} -> receive after 5 -> until_waiting(P) end
    end.

%% Several at once, begun from outside; those who do not save are not told of.
others() ->
    Ps = [spawn_link(?MODULE, wait, []) || _ <- lists:seq(1, 3)],
    [P1, P2, P3] = Ps,
    ?is(0, erlang:process_flag(P1, save_calls, 4)),
    ?is(0, erlang:process_flag(P2, save_calls, 2)),
    [P ! {self(), go} || P <- Ps],
    [receive done -> ok end || _ <- Ps],
    [until_waiting(P) || P <- Ps],
    [erlang:suspend_process(P) || P <- Ps],
    ?is([{last_calls, [{?MODULE,loop,1}, {erlang,send,2}, send, {?MODULE,wait,0}]},
         {last_calls, [send, {?MODULE,wait,0}]},
         {last_calls, false}], [process_info(P, last_calls) || P <- Ps]),
    [begin unlink(P), exit(P, kill) end || P <- [P1, P3]],
    unlink(P2),
    M = monitor(process, P2),
    exit(P2, kill),
    receive {'DOWN', M, process, P2, _} -> ok end.

%% Code that is loaded meanwhile.
loaded() ->
    process_flag(save_calls, 100),
    {ok, Mod, Bin} = compile:forms([{attribute,1,module,last_calls_new},
                                    {attribute,1,export,[{f,0}]},
                                    {function,1,f,0,[{clause,1,[],[],[{integer,1,17}]}]}]),
    [begin
         {module, Mod} = code:load_binary(Mod, "last_calls_new", Bin),
         17 = Mod:f()
     end || _ <- [1, 2]],
    {last_calls, L} = process_info(self(), last_calls),
    process_flag(save_calls, 0),
    ?is(true, lists:member({Mod,f,0}, lists:nthtail(length(L) - 3, L))),
    code:purge(Mod),
    code:delete(Mod),
    code:purge(Mod).

again(X) -> X.

%% Breakpoints of others come and go.
traced() ->
    process_flag(save_calls, 20),
    ?is({traced, false}, erlang:trace_info({?MODULE,again,1}, traced)),
    erlang:trace_pattern({?MODULE,again,1}, true, []),
    ?is({traced, global}, erlang:trace_info({?MODULE,again,1}, traced)),
    erlang:trace_pattern({?MODULE,again,1}, false, []),
    erlang:trace_pattern({?MODULE,again,1}, true, [local]),
    ?is({traced, local}, erlang:trace_info({?MODULE,again,1}, traced)),
    erlang:trace_pattern({?MODULE,again,1}, false, [local]),
    ?is({traced, false}, erlang:trace_info({?MODULE,again,1}, traced)),
    ?MODULE:again(1),
    L = mine(),
    process_flag(save_calls, 0),
    ?is({?MODULE,again,1}, lists:last(L)),
    ?is({traced, false}, erlang:trace_info({?MODULE,again,1}, traced)).

sensitive() ->
    Self = self(),
    spawn_link(fun() ->
                       process_flag(save_calls, 10),
                       process_flag(sensitive, true),
                       ?MODULE:b(),
                       process_flag(sensitive, false),
                       {last_calls, L} = process_info(self(), last_calls),
                       Self ! L
               end),
    ?is([{erlang,process_flag,2}, {erlang,process_info,2}], receive L -> L end).
