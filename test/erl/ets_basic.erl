%% ets: making, naming, filling, reading and emptying tables of all types.
-module(ets_basic).
-export([main/0]).
-include("test.hrl").

-define(TYPES, [set,bag,duplicate_bag,ordered_set]).

main() ->
    new(),
    names(),
    [insert_lookup(T) || T <- ?TYPES],
    numbers(),
    bags(),
    [lookup_element(T) || T <- ?TYPES],
    [big(T) || T <- ?TYPES],
    [walk(T) || T <- ?TYPES],
    [binaries(T) || T <- ?TYPES],
    [kinds(T) || T <- ?TYPES],
    keys(),
    slots(),
    take(),
    delete_object(),
    info(),
    gone(),
    all(),
    model().

new() ->
    T = ets:new(foo, []),
    ?is(true, is_reference(T)),
    ?is(set, ets:info(T, type)),
    ?is(protected, ets:info(T, protection)),
    ?is(1, ets:info(T, keypos)),
    ?is(foo, ets:info(T, name)),
    ?is(false, ets:info(T, named_table)),
    ?is(true, ets:delete(T)),
    ?raises({error, badarg}, ets:new("foo", [])),
    ?raises({error, badarg}, ets:new(foo, [bar])),
    ?raises({error, badarg}, ets:new(foo, set)),
    ?raises({error, badarg}, ets:new(foo, [set|bag])),
    ?raises({error, badarg}, ets:new(foo, [{keypos,0}])),
    ?raises({error, badarg}, ets:new(foo, [{keypos,a}])),
    ?raises({error, badarg}, ets:new(foo, [{heir,x}])),
    ?raises({error, badarg}, ets:new(foo, [{write_concurrency,x}])),
    ?raises({error, badarg}, ets:new(foo, [{read_concurrency,x}])),
    ?raises({error, badarg}, ets:new(foo, [{decentralized_counters,x}])),
    T2 = ets:new(foo, [ordered_set,public,compressed,{keypos,2},{write_concurrency,true},
                       {read_concurrency,true},{decentralized_counters,true}]),
    %% With one scheduler there are no finer locks than the table's.
    Locks = erlang:system_info(schedulers) > 1,
    ?is([ordered_set,public,true,2,Locks,true,Locks],
        [ets:info(T2, I) || I <- [type,protection,compressed,keypos,write_concurrency,
                                  read_concurrency,decentralized_counters]]),
    T3 = ets:new(foo, [private,{write_concurrency,auto},{read_concurrency,true}]),
    ?is([false,false,false], [ets:info(T3, I) || I <- [write_concurrency,read_concurrency,
                                                       decentralized_counters]]),
    T4 = ets:new(foo, [{write_concurrency,auto}]),
    ?is([Locks andalso auto,Locks], [ets:info(T4, I) || I <- [write_concurrency,decentralized_counters]]),
    [ets:delete(X) || X <- [T2,T3,T4]].

names() ->
    ?is(undefined, ets:whereis(ets_basic_a)),
    ?is(ets_basic_a, ets:new(ets_basic_a, [named_table])),
    R = ets:whereis(ets_basic_a),
    ?is(R, ets:info(ets_basic_a, id)),
    ?raises({error, badarg}, ets:new(ets_basic_a, [named_table])),
    ets:insert(ets_basic_a, {1,x}),
    ?is([{1,x}], ets:lookup(R, 1)),
    ?is(ets_basic_b, ets:rename(ets_basic_a, ets_basic_b)),
    ?is(undefined, ets:whereis(ets_basic_a)),
    ?is([{1,x}], ets:lookup(ets_basic_b, 1)),
    ?is(ets_basic_a, ets:rename(R, ets_basic_a)),
    ?raises({error, badarg}, ets:rename(R, 1)),
    ets:new(ets_basic_b, [named_table]),
    ?raises({error, badarg}, ets:rename(ets_basic_a, ets_basic_b)),
    ?raises({error, badarg}, ets:whereis(R)),
    ?raises({error, badarg}, ets:lookup(ets_basic_c, 1)),
    ets:delete(ets_basic_a),
    ets:delete(ets_basic_b),
    ?is(undefined, ets:whereis(ets_basic_b)),
    U = ets:new(x, []),
    ?is(U, ets:rename(U, y)),
    ?is(y, ets:info(U, name)),
    ets:delete(U).

insert_lookup(Type) ->
    T = ets:new(x, [Type]),
    ?is(true, ets:insert(T, {a,1})),
    ?is(true, ets:insert(T, [{b,2},{c,3,4},{"str",<<"bin">>}])),
    ?is(true, ets:insert(T, [])),
    ?is(4, ets:info(T, size)),
    ?is([{a,1}], ets:lookup(T, a)),
    ?is([{c,3,4}], ets:lookup(T, c)),
    ?is([{"str",<<"bin">>}], ets:lookup(T, "str")),
    ?is([], ets:lookup(T, d)),
    ?is(true, ets:member(T, b)),
    ?is(false, ets:member(T, d)),
    ?is(false, ets:insert_new(T, {a,2})),
    ?is(false, ets:insert_new(T, [{z,1},{a,2}])),
    ?is(false, ets:member(T, z)),
    ?is(true, ets:insert_new(T, [{z,1},{y,2}])),
    ?is([{z,1}], ets:lookup(T, z)),
    ?is(true, ets:delete(T, z)),
    ?is(true, ets:delete(T, z)),
    ?is([], ets:lookup(T, z)),
    ?raises({error, badarg}, ets:insert(T, {})),
    ?raises({error, badarg}, ets:insert(T, foo)),
    ?raises({error, badarg}, ets:insert(T, [{q,1},foo])),
    ?raises({error, badarg}, ets:insert(T, [{q,1}|foo])),
    ?raises({error, badarg}, ets:insert_new(T, {})),
    ?is(false, ets:member(T, q)),
    ?is(true, ets:delete_all_objects(T)),
    ?is(0, ets:info(T, size)),
    ?is([], ets:tab2list(T)),
    ets:delete(T),
    K = ets:new(x, [Type,{keypos,3}]),
    ?raises({error, badarg}, ets:insert(K, {a,b})),
    ets:insert(K, {a,b,c}),
    ?is([{a,b,c}], ets:lookup(K, c)),
    ets:delete(K).

numbers() ->
    S = ets:new(x, [set]),
    ets:insert(S, [{1,int},{1.0,float}]),
    ?is([{1,int}], ets:lookup(S, 1)),
    ?is([{1.0,float}], ets:lookup(S, 1.0)),
    O = ets:new(x, [ordered_set]),
    ets:insert(O, [{1,int},{1.0,float}]),
    ?is([{1.0,float}], ets:lookup(O, 1)),
    ?is(1, ets:info(O, size)),
    ?is(true, ets:delete_object(O, {1,float})),
    ?is(1, ets:info(O, size)),
    ?is(1.0, ets:first(O)),
    ?is('$end_of_table', ets:next(O, 1)),
    ets:delete(S),
    ets:delete(O).

bags() ->
    B = ets:new(x, [bag]),
    [ets:insert(B, O) || O <- [{a,1},{a,2},{a,1},{a,1.0},{b,1}]],
    ?is([{a,1},{a,2},{a,1.0}], ets:lookup(B, a)),
    ets:delete_object(B, {a,2}),
    ?is([{a,1},{a,1.0}], ets:lookup(B, a)),
    %% A list is inserted from its end.
    ets:insert(B, [{c,1},{c,2},{c,1},{c,3}]),
    ?is([{c,3},{c,1},{c,2}], ets:lookup(B, c)),
    ets:delete(B, c),
    ets:delete(B, a),
    ?is([{b,1}], ets:tab2list(B)),
    D = ets:new(x, [duplicate_bag]),
    ets:insert(D, [{a,1},{a,2},{a,1},{b,1}]),
    ?is([{a,1},{a,2},{a,1}], ets:lookup(D, a)),
    ?is(4, ets:info(D, size)),
    ets:delete_object(D, {a,1}),
    ?is([{a,2}], ets:lookup(D, a)),
    ets:delete(B),
    ets:delete(D).

lookup_element(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{a,1,"x"},{b,2}]),
    One = case Type of bag -> ["x"]; duplicate_bag -> ["x"]; _ -> "x" end,
    ?is(One, ets:lookup_element(T, a, 3)),
    ?raises({error, badarg}, ets:lookup_element(T, b, 3)),
    ?raises({error, badarg}, ets:lookup_element(T, c, 1)),
    ?raises({error, badarg}, ets:lookup_element(T, a, 0)),
    ?raises({error, badarg}, ets:lookup_element(T, a, x)),
    ets:delete(T).

%% Tables grow and shrink.
big(Type) ->
    N = 20000,
    T = ets:new(x, [Type]),
    [ets:insert(T, {{k,I},I}) || I <- lists:seq(1, N)],
    ?is(N, ets:info(T, size)),
    ?is(true, lists:all(fun(I) -> ets:lookup(T, {k,I}) =:= [{{k,I},I}] end, lists:seq(1, N))),
    ?is(lists:seq(1, N), lists:sort([I || {_,I} <- ets:tab2list(T)])),
    [ets:delete(T, {k,I}) || I <- lists:seq(1, N, 2)],
    ?is(N div 2, ets:info(T, size)),
    ?is(lists:seq(2, N, 2), lists:sort([I || {_,I} <- ets:tab2list(T)])),
    [ets:delete(T, {k,I}) || I <- lists:seq(2, N - 10, 2)],
    ?is(lists:seq(N - 8, N, 2), lists:sort([I || {_,I} <- ets:tab2list(T)])),
    [ets:insert(T, {{k,I},I}) || I <- lists:seq(1, 100)],
    ?is(105, ets:info(T, size)),
    ets:delete(T),
    L = ets:new(x, [Type]),
    ets:insert(L, [{I,I} || I <- lists:seq(1, N)]),
    ?is(N, ets:info(L, size)),
    ets:delete(L).

walk(Type) ->
    T = ets:new(x, [Type]),
    ?is('$end_of_table', ets:first(T)),
    ?is('$end_of_table', ets:last(T)),
    ets:insert(T, [{I,x} || I <- lists:seq(1, 100)]),
    ets:insert(T, [{I,y} || I <- lists:seq(1, 100, 3)]),
    Up = walk(T, ets:first(T), fun ets:next/2),
    Down = walk(T, ets:last(T), fun ets:prev/2),
    ?is(lists:seq(1, 100), lists:sort(Up)),
    ?is(lists:seq(1, 100), lists:sort(Down)),
    case Type of
        ordered_set ->
            ?is(Up, lists:reverse(Down)),
            ?is(Up, lists:sort(Up)),
            ?is(51, ets:next(T, 50.5)),
            ?is(50, ets:prev(T, 50.5)),
            ?is(1, ets:next(T, 0)),
            ?is('$end_of_table', ets:next(T, atom)),
            ?is(100, ets:prev(T, atom));
        _ ->
            ?is(Up, Down),
            ?raises({error, badarg}, ets:next(T, none)),
            ?raises({error, badarg}, ets:prev(T, none))
    end,
    ?is(5050, ets:foldl(fun({I,_}, A) -> I + A end, 0, T) -
            case Type of bag -> 1717; duplicate_bag -> 1717; _ -> 0 end),
    ets:delete(T).

walk(_, '$end_of_table', _) -> [];
walk(T, K, F) -> [K | walk(T, F(T, K), F)].

%% Large binaries, funs and references are kept by the table.
binaries(Type) ->
    T = ets:new(x, [Type]),
    [ets:insert(T, {I,binary:copy(<<I:32>>, 500),make_ref(),fun() -> I end,self(),
                    #{I => [1.5,1 bsl 80]}}) || I <- lists:seq(1, 200)],
    erlang:garbage_collect(),
    ?is(true, lists:all(fun(I) ->
                                [{I,B,R,F,P,M}] = ets:lookup(T, I),
                                B =:= binary:copy(<<I:32>>, 500) andalso is_reference(R)
                                    andalso F() =:= I andalso P =:= self()
                                    andalso M =:= #{I => [1.5,1 bsl 80]}
                        end, lists:seq(1, 200))),
    [{5,B,_,_,_,_}] = ets:lookup(T, 5),
    <<_:100/binary,Part:90/binary,_/binary>> = B,
    ets:insert(T, {part,Part,<<5:3>>}),
    ets:delete(T, 5),
    erlang:garbage_collect(),
    ?is([{part,binary:part(binary:copy(<<5:32>>, 500), 100, 90),<<5:3>>}], ets:lookup(T, part)),
    ets:delete(T),
    ?is(2000, byte_size(B)).

%% Whatever is in an object comes out of it, and stays when the table is gone.
kinds(Type) ->
    {Pid,Port,Ref} = binary_to_term(<<131,104,3,
        88,119,3,"a@b",1:32,2:32,3:32, 89,119,3,"a@b",4:32,3:32, 90,0,3,119,3,"a@b",3:32,1:32,2:32,3:32>>),
    Big = binary:copy(<<"0123456789">>, 30),
    <<_:9,Bits:1001/bitstring,_/bitstring>> = Big,
    <<_:8/binary,Few:21/bitstring,_/bitstring>> = Big,
    Map = maps:from_list([{{k,I},[I,I bsl 80,float(I)]} || I <- lists:seq(1, 200)]),
    Terms = [1 bsl 70,-(1 bsl 200),1.5,"string",[improper|tail],{},{{{}}},#{},
             #{a => "b",<<"c">> => #{d => 1.0}},Map,<<>>,<<"heap">>,Big,Bits,Few,Pid,Port,Ref,
             make_ref(),self(),fun lists:map/2,fun() -> {Map,Big} end,[Big|Big],
             atomics:new(1, [])],
    T = ets:new(t, [Type]),
    [ets:insert(T, {I,X,I,[X],{X}}) || {I,X} <- lists:enumerate(Terms)],
    ets:insert(T, {all,Terms}),
    Found = [ets:lookup(T, I) || I <- lists:seq(1, length(Terms))],
    [{all,All}] = ets:lookup(T, all),
    ets:delete(T),
    [erlang:garbage_collect() || _ <- [1,2]],
    ?is(Terms, All),
    ?is(Found, [[{I,X,I,[X],{X}}] || {I,X} <- lists:enumerate(Terms)]),
    ?is(ok, atomics:put(lists:last(All), 1, 7)),
    ?is(7, atomics:get(lists:last(Terms), 1)).

%% A key is found however it is represented, and by integers of every size.
keys() ->
    T = ets:new(t, []),
    Keys = [binary:copy(<<"ab">>, N) || N <- lists:seq(0, 50)]
        ++ [<<0:N>> || N <- lists:seq(1, 70)],
    ets:insert(T, [{K,bit_size(K)} || K <- Keys]),
    [begin
         Whole = <<1:3,K/bits,(binary:copy(<<"x">>, 100))/bits>>,
         Size = bit_size(K),
         <<_:3,Part:Size/bits,_/bits>> = Whole,
         Long = <<7,K/bits,0:1000>>,
         <<7,Aligned:Size/bits,_/bits>> = Long,
         ?is([{K,Size}], ets:lookup(T, Part)),
         ?is([{K,Size}], ets:lookup(T, Aligned)),
         ?is([], ets:lookup(T, {K})),
         ?is([], ets:lookup(T, <<K/bits,1:1>>))
     end || K <- Keys],
    Ints = lists:usort([S * ((1 bsl N) + D) || N <- lists:seq(0, 70), D <- lists:seq(-9, 9),
                                               S <- [1,-1]]),
    ets:insert(T, [{I,I} || I <- Ints]),
    ?is([], [I || I <- Ints, ets:lookup(T, I) =/= [{I,I}]]),
    ?is([], [I || I <- Ints, ets:member(T, I + 1) =/= lists:member(I + 1, Ints)]),
    [ets:delete(T, I) || I <- Ints, I rem 2 =:= 0],
    ?is([I || I <- Ints, I rem 2 =/= 0],
        lists:sort([I || {I,_} <- ets:tab2list(T), is_integer(I)])),
    ets:delete(T).

slots() ->
    T = ets:new(x, []),
    ets:insert(T, [{I} || I <- lists:seq(1, 1000)]),
    ?is([{I} || I <- lists:seq(1, 1000)], lists:sort(slots(T, 0))),
    ?raises({error, badarg}, ets:slot(T, -1)),
    ?raises({error, badarg}, ets:slot(T, a)),
    ?raises({error, badarg}, ets:slot(T, 1 bsl 40)),
    ets:delete(T),
    O = ets:new(x, [ordered_set]),
    ets:insert(O, [{I} || I <- lists:seq(1, 10)]),
    ?is([{I} || I <- lists:seq(1, 10)], slots(O, 0)),
    ?raises({error, badarg}, ets:slot(O, 11)),
    ets:delete(O).

slots(T, I) ->
    case ets:slot(T, I) of
        '$end_of_table' -> [];
        L -> L ++ slots(T, I + 1)
    end.

take() ->
    [begin
         T = ets:new(x, [Type]),
         ets:insert(T, [{a,1},{a,2},{b,1}]),
         L = ets:lookup(T, a),
         ?is(L, ets:take(T, a)),
         ?is([], ets:take(T, a)),
         ?is([{b,1}], ets:tab2list(T)),
         ets:delete(T)
     end || Type <- ?TYPES].

delete_object() ->
    [begin
         T = ets:new(x, [Type]),
         ets:insert(T, {a,1}),
         ?is(true, ets:delete_object(T, {a,2})),
         ?is(true, ets:delete_object(T, {b,2})),
         ?is(1, ets:info(T, size)),
         ?is(true, ets:delete_object(T, {a,1})),
         ?is(0, ets:info(T, size)),
         ?raises({error, badarg}, ets:delete_object(T, {})),
         ?raises({error, badarg}, ets:delete_object(T, x)),
         ets:delete(T)
     end || Type <- ?TYPES].

info() ->
    T = ets:new(nm, [bag,public,{keypos,2},{heir,self(),data}]),
    ?is([id,decentralized_counters,read_concurrency,write_concurrency,compressed,memory,owner,
         heir,name,size,node,named_table,type,keypos,protection],
        [K || {K,_} <- ets:info(T)]),
    ?is([{id,T},{owner,self()},{heir,self()},{name,nm},{size,0},{node,node()},{keypos,2},
         {protection,public},{type,bag}],
        [lists:keyfind(K, 1, ets:info(T)) || K <- [id,owner,heir,name,size,node,keypos,
                                                   protection,type]]),
    ?is(true, ets:info(T, memory) > 0),
    M = ets:info(T, memory),
    ets:insert(T, {1,list_to_tuple(lists:seq(1, 100))}),
    ?is(true, ets:info(T, memory) > M + 100),
    ets:delete(T, list_to_tuple(lists:seq(1, 100))),
    ?is(M, ets:info(T, memory)),
    ?raises({error, badarg}, ets:info(T, foo)),
    ?is(false, ets:info(T, fixed)),
    ?is(false, ets:info(T, safe_fixed)),
    ets:insert(T, [{I,<<I:1000>>} || I <- lists:seq(1, 10)]),
    ?is([125], lists:usort([S || {_,S,_} <- ets:info(T, binary)])),
    ets:delete(T),
    ?is(undefined, ets:info(T)),
    ?is(undefined, ets:info(T, size)),
    ?is(undefined, ets:info(no_such_table)),
    ?raises({error, badarg}, ets:info(make_ref())),
    ?raises({error, badarg}, ets:info(1, size)).

%% After deletion the identifier is a bad one; so is what never was one.
gone() ->
    T = ets:new(x, []),
    ets:delete(T),
    [?raises({error, badarg}, F()) ||
        X <- [T,make_ref(),no_such_table,17],
        F <- [fun() -> ets:insert(X, {1}) end, fun() -> ets:lookup(X, 1) end,
              fun() -> ets:delete(X) end, fun() -> ets:delete(X, 1) end,
              fun() -> ets:first(X) end, fun() -> ets:select(X, [{'_',[],[x]}]) end,
              fun() -> ets:update_counter(X, 1, 1) end, fun() -> ets:safe_fixtable(X, true) end]].

all() ->
    T = ets:new(x, []),
    N = ets:new(ets_basic_all, [named_table]),
    All = ets:all(),
    ?is(true, lists:member(T, All)),
    ?is(true, lists:member(N, All)),
    ets:delete(T),
    ets:delete(N),
    ?is(false, lists:member(T, ets:all())),
    %% A reference survives a trip through the external format.
    U = ets:new(x, []),
    ets:insert(U, {a}),
    ?is([{a}], ets:lookup(binary_to_term(term_to_binary(U)), a)),
    ets:delete(U).

%% Random operations against lists.
model() ->
    [model(T, ets:new(x, [T]), [], 1500) || T <- ?TYPES].

model(Type, T, L, 0) ->
    ?is(lists:sort(L), lists:sort(ets:tab2list(T))),
    case Type of ordered_set -> ?is(lists:sort(L), ets:tab2list(T)); _ -> ok end,
    ets:delete(T);
model(Type, T, L, N) ->
    K = rand:uniform(60),
    L1 = case rand:uniform(4) of
             1 ->
                 ets:delete(T, K),
                 [O || {K1,_} = O <- L, K1 =/= K];
             2 ->
                 ets:delete_object(T, {K,3}),
                 [O || O <- L, O =/= {K,3}];
             _ ->
                 O = {K,rand:uniform(4)},
                 ets:insert(T, O),
                 put_in(Type, O, L)
         end,
    case N rem 50 of
        0 ->
            ?is(length(L1), ets:info(T, size)),
            ?is([X || {K2,_} = X <- L1, K2 =:= K], ets:lookup(T, K));
        _ ->
            ok
    end,
    model(Type, T, L1, N - 1).

put_in(bag, O, L) -> case lists:member(O, L) of true -> L; false -> L ++ [O] end;
put_in(duplicate_bag, O, L) -> L ++ [O];
put_in(_, {K,_} = O, L) -> lists:keydelete(K, 1, L) ++ [O].
