%% ets:safe_fixtable/2: traversals while objects come and go.
-module(ets_fix).
-export([main/0]).
-include("test.hrl").

-define(TYPES, [set,bag,duplicate_bag,ordered_set]).

main() ->
    [delete_all_walking(T) || T <- ?TYPES],
    [insert_walking(T) || T <- ?TYPES],
    [revive(T) || T <- ?TYPES],
    [delete_all(T) || T <- ?TYPES],
    [binaries(T) || T <- ?TYPES],
    counts(),
    others(),
    dead_fixer(),
    chunk_delete(),
    [many_dead(T) || T <- ?TYPES],
    [one_key(T) || T <- [bag,duplicate_bag]].

%% Every object is seen once, although each is deleted when it is seen.
delete_all_walking(Type) ->
    T = ets:new(x, [Type]),
    N = 1000,
    ets:insert(T, [{I,x} || I <- lists:seq(1, N)] ++ [{I,y} || I <- lists:seq(1, N, 7)]),
    ets:safe_fixtable(T, true),
    Seen = walk(T, ets:first(T), fun(K) -> ets:delete(T, K) end),
    ?is(lists:seq(1, N), lists:sort(Seen)),
    ?is(0, ets:info(T, size)),
    ?is('$end_of_table', ets:first(T)),
    ?is([], ets:tab2list(T)),
    ets:insert(T, {1,again}),
    ?is([{1,again}], ets:lookup(T, 1)),
    ?is(1, ets:first(T)),
    ets:safe_fixtable(T, false),
    ?is([{1,again}], ets:tab2list(T)),
    ets:delete(T).

walk(_, '$end_of_table', _) -> [];
walk(T, K, F) -> F(K), [K | walk(T, ets:next(T, K), F)].

%% What a fixed table has yet to drop keeps its binaries.
binaries(Type) ->
    T = ets:new(x, [Type]),
    Bin = binary:copy(<<1>>, 100),
    ets:insert(T, [{I,Bin} || I <- lists:seq(1, 5)]),
    ets:safe_fixtable(T, true),
    [ets:delete(T, I) || I <- [2,4]],
    Kept = case Type of ordered_set -> 3; _ -> 5 end,
    ?is(Kept, length(ets:info(T, binary))),
    ?is([100], lists:usort([S || {_,S,_} <- ets:info(T, binary)])),
    ets:safe_fixtable(T, false),
    ?is(3, length(ets:info(T, binary))),
    ?is(100, byte_size(Bin)),
    ets:delete(T).

insert_walking(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{I} || I <- lists:seq(1, 500)]),
    ets:safe_fixtable(T, true),
    Seen = walk(T, ets:first(T), fun(K) when K =< 500 -> ets:insert(T, {K + 1000 + K rem 3});
                                    (_) -> ok end),
    ?is(lists:seq(1, 500), [K || K <- lists:sort(Seen), K =< 500]),
    ?is(length(Seen), length(lists:usort(Seen))),
    ets:safe_fixtable(T, false),
    ?is(500, length([K || {K} <- ets:tab2list(T), K =< 500])),
    ets:delete(T).

%% Objects deleted and inserted again while the table is fixed.
revive(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{I,old} || I <- lists:seq(1, 100)]),
    ets:safe_fixtable(T, true),
    [begin ets:delete(T, I), ets:insert(T, {I,new}) end || I <- lists:seq(1, 100, 2), _ <- [1,2,3]],
    ?is(100, ets:info(T, size)),
    ?is([{1,new}], ets:lookup(T, 1)),
    ?is([{2,old}], ets:lookup(T, 2)),
    ?is(lists:seq(1, 100), lists:sort(walk(T, ets:first(T), fun(_) -> ok end))),
    ?is(50, length(ets:match_object(T, {'_',new}))),
    ets:delete_object(T, {1,new}),
    ?is([], ets:lookup(T, 1)),
    ?is(false, ets:member(T, 1)),
    ?is(true, ets:insert_new(T, {1,newer})),
    ?is([{1,newer}], ets:lookup(T, 1)),
    ets:delete(T, 1),
    ets:safe_fixtable(T, false),
    ?is(99, ets:info(T, size)),
    ?is(99, length(ets:tab2list(T))),
    ets:delete(T).

delete_all(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{I,old} || I <- lists:seq(1, 100)]),
    ets:safe_fixtable(T, true),
    {L,C} = ets:select(T, [{'_',[],['$_']}], 10),
    ?is(true, length(L) >= 10),
    ets:delete_all_objects(T),
    ?is(0, ets:info(T, size)),
    case ets:select(C) of
        '$end_of_table' -> ok;
        {_,'$end_of_table'} -> ok;
        Other -> ?is(end_of_table, Other)
    end,
    ets:insert(T, {a,b}),
    ?is([{a,b}], ets:tab2list(T)),
    ets:safe_fixtable(T, false),
    ?is([{a,b}], ets:tab2list(T)),
    ets:delete(T).

counts() ->
    T = ets:new(x, []),
    ?is(false, ets:info(T, safe_fixed)),
    ets:safe_fixtable(T, true),
    ets:safe_fixtable(T, true),
    {{_,_,_},[{P,2}]} = ets:info(T, safe_fixed),
    {Mono,[{P,2}]} = ets:info(T, safe_fixed_monotonic_time),
    ?is(self(), P),
    ?is(true, is_integer(Mono) andalso Mono =< erlang:monotonic_time()),
    ?is(true, ets:info(T, fixed)),
    ets:safe_fixtable(T, false),
    {_,[{P,1}]} = ets:info(T, safe_fixed),
    ets:safe_fixtable(T, false),
    ?is(false, ets:info(T, safe_fixed)),
    ?is(true, ets:safe_fixtable(T, false)),
    ?raises({error, badarg}, ets:safe_fixtable(T, foo)),
    ets:delete(T).

%% Two processes fix one table.
others() ->
    T = ets:new(x, [public]),
    ets:insert(T, [{I} || I <- lists:seq(1, 100)]),
    Self = self(),
    P = spawn_link(fun() -> ets:safe_fixtable(T, true), Self ! fixed,
                            receive go -> ok end,
                            Self ! {seen,walk(T, ets:first(T), fun(_) -> ok end)},
                            ets:safe_fixtable(T, false), Self ! done end),
    receive fixed -> ok end,
    ets:safe_fixtable(T, true),
    {_,L} = ets:info(T, safe_fixed),
    ?is(lists:sort([{P,1},{Self,1}]), lists:sort(L)),
    [ets:delete(T, I) || I <- lists:seq(1, 100, 2)],
    ets:safe_fixtable(T, false),
    P ! go,
    ?is(lists:seq(2, 100, 2), receive {seen,S} -> lists:sort(S) end),
    receive done -> ok end,
    ?is(false, ets:info(T, fixed)),
    ets:delete(T).

%% A process that ends gives up its fixes.
dead_fixer() ->
    T = ets:new(x, [public]),
    {P,Ref} = spawn_monitor(fun() -> ets:safe_fixtable(T, true), ets:insert(T, {1}), ets:delete(T, 1) end),
    receive {'DOWN',Ref,_,P,_} -> ok end,
    unfixed(T, 6000),
    ?is(false, ets:info(T, fixed)),
    ets:delete(T).

unfixed(T, N) ->
    case ets:info(T, fixed) of
        true when N > 0 -> timer:sleep(10), unfixed(T, N - 1);
        _ -> ok
    end.

%% The way ets:select/3 is meant to be used.
chunk_delete() ->
    [begin
         T = ets:new(x, [Type]),
         ets:insert(T, [{I} || I <- lists:seq(1, 1000)]),
         ets:safe_fixtable(T, true),
         Seen = chunks(T, ets:select(T, [{{'$1'},[],['$1']}], 3)),
         ets:safe_fixtable(T, false),
         ?is(lists:seq(1, 1000), lists:sort(Seen)),
         ?is(0, ets:info(T, size)),
         ets:delete(T)
     end || Type <- ?TYPES].

chunks(_, '$end_of_table') -> [];
chunks(T, {L,C}) ->
    [ets:delete(T, K) || K <- L],
    L ++ chunks(T, ets:select(C)).

%% More of them than what is noted at once, and a table that is empty then.
many_dead(Type) ->
    T = ets:new(x, [Type]),
    N = 3000,
    ets:insert(T, [{I} || I <- lists:seq(1, N)]),
    ets:safe_fixtable(T, true),
    [ets:delete(T, I) || I <- lists:seq(1, N), I rem 1000 > 0],
    ?is([I || I <- lists:seq(1000, N, 1000)], lists:sort(walk(T, ets:first(T), fun(_) -> ok end))),
    ets:safe_fixtable(T, false),
    ?is([{I} || I <- lists:seq(1000, N, 1000)], lists:sort(ets:tab2list(T))),
    ets:insert(T, [{I} || I <- lists:seq(1, N), I rem 1000 > 0]),
    ?is(N, ets:info(T, size)),
    ?is(N, ets:select_delete(T, [{'_',[],[true]}])),
    ?is([], ets:tab2list(T)),
    ets:insert(T, {1}),
    ?is([{1}], ets:tab2list(T)),
    ets:delete(T).

%% Many objects of one key, each looked for where it is: not from the first on.
one_key(Type) ->
    T = ets:new(x, [Type]),
    N = 3000,
    ets:insert(T, [{k,I} || I <- lists:seq(1, N)]),
    ?is(N div 2, ets:select_count(T, [{{k,'$1'},[{'==',{'rem','$1',2},0}],[true]}])),
    ?is(N div 2, ets:select_delete(T, [{{k,'$1'},[{'==',{'rem','$1',2},0}],[true]}])),
    ?is(lists:seq(1, N, 2), lists:sort(ets:select(T, [{{'_','$1'},[],['$1']}]))),
    ?is(N div 2, ets:select_delete(T, [{{'_','$1'},[{'>','$1',0}],[true]}])),
    ?is([], ets:lookup(T, k)),
    ets:delete(T).
