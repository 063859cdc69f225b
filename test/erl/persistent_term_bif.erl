%% persistent_term: what is erased or replaced stays whole for its holders.
-module(persistent_term_bif).
-export([main/0]).
-include("test.hrl").

main() ->
    simple(),
    keys(),
    colliding(),
    replaced(),
    shared(),
    many(),
    together(),
    in_a_loop().

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

%% Keys of one and the same hash, here as in OTP, are told apart whichever goes.
colliding() ->
    [begin
         [persistent_term:put(K, {value,K}) || K <- Keys],
         ?is([{value,K} || K <- Keys], [persistent_term:get(K) || K <- Keys]),
         ?is(true, persistent_term:erase(Gone)),
         ?is(none, persistent_term:get(Gone, none)),
         ?is([{value,K} || K <- Keys -- [Gone]],
             [persistent_term:get(K) || K <- Keys -- [Gone]]),
         [persistent_term:erase(K) || K <- Keys]
     end || Keys <- [[19517437,22844812,25702617], [588416,9339918,27759587]],
            Gone <- Keys].

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

%% Many terms leave at once, in no order: a heap keeps some, a queue others, a binary
%% that is matched and a part of one are in between.
together() ->
    N = 1500,
    Self = self(),
    Value = fun(I) -> {I,[I],#{i => {I}},<<I:32,0:400>>,<<I:64>>} end,
    Kept = [I || I <- lists:seq(1, N), I rem 3 =:= 1],
    Sent = [I || I <- lists:seq(1, N), I rem 3 =:= 2],
    [persistent_term:put({?MODULE,I}, Value(I)) || I <- lists:seq(N, 1, -1)],
    {Holder,Ref} =
        spawn_monitor(fun() ->
                              L = [persistent_term:get({?MODULE,I}) || I <- Kept],
                              <<_:16,Part/binary>> = element(4, hd(L)),
                              Self ! holding,
                              Queued = [receive {I,V} -> V end || I <- Sent, waited(I)],
                              Self ! {got,L,Queued,Part}
                      end),
    receive holding -> ok end,
    [Holder ! {I,persistent_term:get({?MODULE,I})} || I <- Sent],
    [persistent_term:erase({?MODULE,I})
     || {_,I} <- lists:sort([{erlang:phash2(I),I} || I <- lists:seq(1, N)])],
    all_left(N),
    Holder ! go,
    receive
        {got,L,Queued,Part} ->
            ?is([Value(I) || I <- Kept], L),
            ?is([Value(I) || I <- Sent], Queued),
            ?is(<<1:16,0:400>>, Part)
    end,
    receive {'DOWN',Ref,process,Holder,Reason} -> ?is(normal, Reason) end.

waited(2) -> receive go -> true end;
waited(_) -> true.

%% Until others have had so many turns: what left is gone by then.
all_left(0) -> ok;
all_left(N) -> erlang:yield(), all_left(N - 1).

%% One that never lets the collector be alone does not fill the range of literals.
in_a_loop() ->
    L = lists:seq(1, 500),
    Before = erlang:memory(code),
    [begin
         persistent_term:put({?MODULE,loop}, [I|L]),
         persistent_term:erase({?MODULE,loop})
     end || I <- lists:seq(1, 5000)],
    ?is(true, erlang:memory(code) - Before < 4000000).
