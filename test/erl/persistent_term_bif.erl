%% persistent_term: what is erased or replaced stays whole for its holders.
-module(persistent_term_bif).
-export([main/0]).
-include("test.hrl").

main() ->
    simple(),
    keys(),
    replaced(),
    shared(),
    many().

simple() ->
    ?raises({error, badarg}, persistent_term:get({?MODULE,none})),
    ?is(default, persistent_term:get({?MODULE,none}, default)),
    #{count := N, memory := M} = persistent_term:info(),
    ?is(true, is_integer(M)),
    ?is(ok, persistent_term:put({?MODULE,1}, {value,[1,2,3],<<"bin">>})),
    ?is({value,[1,2,3],<<"bin">>}, persistent_term:get({?MODULE,1})),
    ?is(N + 1, maps:get(count, persistent_term:info())),
    ?is(true, maps:get(memory, persistent_term:info()) > M),
    ?is(ok, persistent_term:put({?MODULE,1}, {value,[1,2,3],<<"bin">>})),
    ?is(true, lists:member({{?MODULE,1},{value,[1,2,3],<<"bin">>}}, persistent_term:get())),
    ?is(true, persistent_term:erase({?MODULE,1})),
    ?is(false, persistent_term:erase({?MODULE,1})),
    ?is(N, maps:get(count, persistent_term:info())),
    ?raises({error, badarg}, persistent_term:get({?MODULE,1})).

keys() ->
    K = {?MODULE,k},
    persistent_term:put({K,1}, int),
    persistent_term:put({K,1.0}, float),
    ?is(int, persistent_term:get({K,1})),
    ?is(float, persistent_term:get({K,1.0})),
    persistent_term:put({K,1}, 1.0),
    persistent_term:put({K,1}, 1),
    ?is(1, persistent_term:get({K,1})),
    ?is(true, persistent_term:erase({K,1})),
    ?is(float, persistent_term:get({K,1.0})),
    ?is(true, persistent_term:erase({K,1.0})),
    F = fun(X) -> {X,K} end,
    persistent_term:put(F, F),
    ?is({7,K}, (persistent_term:get(F))(7)),
    persistent_term:erase(F).

%% Another process holds old values while they are replaced again and again.
replaced() ->
    K = {?MODULE,r},
    Self = self(),
    Big = binary:copy(<<"x">>, 1000),
    persistent_term:put(K, {0,Big,#{0 => [a]}}),
    Holder = spawn_link(fun() ->
                                First = persistent_term:get(K),
                                Self ! holding,
                                hold(Self, First, [])
                        end),
    receive holding -> ok end,
    [begin
         persistent_term:put(K, {I,<<I,Big/binary>>,#{I => [a]}}),
         Holder ! {take,K},
         receive taken -> ok end
     end || I <- lists:seq(1, 100)],
    persistent_term:erase(K),
    erlang:garbage_collect(),
    timer:sleep(50),
    Holder ! report,
    receive
        {report,L} ->
            ?is([{0,Big,#{0 => [a]}} | [{I,<<I,Big/binary>>,#{I => [a]}} || I <- lists:seq(1, 100)]], L)
    end.

hold(To, Last, Held) ->
    receive
        {take,K} -> To ! taken, hold(To, persistent_term:get(K), [Last|Held]);
        report -> To ! {report,lists:reverse([Last|Held])}
    end.

%% What a term shares it shares when stored: this one is 2^40 cells otherwise.
shared() ->
    L = lists:foldl(fun(_, A) -> [A|A] end, [<<0:1000>>], lists:seq(1, 40)),
    persistent_term:put({?MODULE,shared}, {L,L,hd(hd(L))}),
    {A,B,C} = persistent_term:get({?MODULE,shared}),
    ?is(true, erts_debug:same(A, B)),
    ?is(true, erts_debug:same(C, hd(tl(A)))),
    ?is(erts_debug:size(L), erts_debug:size(A)),
    persistent_term:put({?MODULE,shared}, []),
    ?is(40, depth(A, 0)),
    persistent_term:erase({?MODULE,shared}).

depth([A|A], N) -> depth(A, N + 1);
depth([_], N) -> N.

many() ->
    N = 2000,
    [persistent_term:put({?MODULE,I}, [I,{I}]) || I <- lists:seq(1, N)],
    ?is([[I,{I}] || I <- lists:seq(1, N)],
        [persistent_term:get({?MODULE,I}) || I <- lists:seq(1, N)]),
    L = persistent_term:get({?MODULE,N}),
    ?is(N, length([x || {{?MODULE,I},_} <- persistent_term:get(), is_integer(I)])),
    [persistent_term:erase({?MODULE,I}) || I <- lists:seq(1, N)],
    ?is([N,{N}], L),
    ?is([], [x || {{?MODULE,I},_} <- persistent_term:get(), is_integer(I)]).
