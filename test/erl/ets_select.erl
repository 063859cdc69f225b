%% ets: match, match_object, select and their relatives, whole and in chunks.
-module(ets_select).
-export([main/0]).
-include("test.hrl").

-define(TYPES, [set,bag,duplicate_bag,ordered_set]).

main() ->
    [match(T) || T <- ?TYPES],
    [select(T) || T <- ?TYPES],
    [bound(T) || T <- ?TYPES],
    ranges(),
    order(),
    [chunks(T, N) || T <- ?TYPES, N <- [1,2,7,100,5000]],
    chunk_ends(),
    reverse_chunks(),
    [long(T) || T <- ?TYPES],
    [delete(T) || T <- ?TYPES],
    [replace(T) || T <- ?TYPES],
    errors(),
    compiled(),
    big_spec(),
    others_change().

match(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{rufsen,dog,7},{brunte,horse,5},{ludde,dog,5}]),
    ?is([[dog,7]], ets:match(T, {rufsen,'$1','$2'})),
    ?is([[brunte,horse],[ludde,dog]], lists:sort(ets:match(T, {'$1','$2',5}))),
    ?is([[5,brunte],[5,ludde],[7,rufsen]], lists:sort(ets:match(T, {'$7','_','$3'}))),
    ?is([[],[]], ets:match(T, {'_',dog,'_'})),
    ?is([], ets:match(T, {'_','$1','$1'})),
    ?is([{ludde,dog,5}], ets:match_object(T, {'$1',dog,5})),
    ?is(3, length(ets:match_object(T, '_'))),
    ?is(3, length(ets:match_object(T, '$1'))),
    ?is([], ets:match_object(T, {'_','_'})),
    ?is([], ets:match_object(T, foo)),
    ?is(3, length(ets:match(T, {'_','_','_'}))),
    ets:insert(T, {deep,{a,[1,{2,x}|t]},#{k => v,l => w}}),
    ?is([[1,x,t]], ets:match(T, {deep,{a,['$1',{2,'$2'}|'$3']},'_'})),
    ?is([[v]], ets:match(T, {deep,'_',#{k => '$1'}})),
    ?is([], ets:match(T, {deep,'_',#{m => '$1'}})),
    ?is([[]], ets:match(T, {deep,'_',#{}})),
    ?is(true, ets:match_delete(T, {'_',dog,'_'})),
    ?is(2, ets:info(T, size)),
    ets:delete(T).

select(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{I,I * I,{odd,I rem 2 =:= 1}} || I <- lists:seq(1, 20)]),
    S = fun(MS) -> lists:sort(ets:select(T, MS)) end,
    ?is(lists:seq(1, 20), S([{{'$1','_','_'},[],['$1']}])),
    ?is(lists:seq(11, 20), S([{{'$1','_','_'},[{'>','$1',10}],['$1']}])),
    ?is(lists:seq(1, 20, 2), S([{{'$1','_',{odd,true}},[],['$1']}])),
    ?is([{I,I * I} || I <- [1,2]], S([{{'$1','$2','_'},[{'<','$1',3}],[{{'$1','$2'}}]}])),
    ?is([[4,16,{odd,false}]], S([{{'$1','$2','$3'},[{'==','$1',4.0}],['$$']}])),
    ?is([{4,16,{odd,false}}], S([{{4,'_','_'},[],['$_']}])),
    ?is([{const,'$1'}], S([{{4,'_','_'},[],[{{const,{const,'$1'}}}]}])),
    ?is([first,second], lists:usort(S([{{3,'_','_'},[],[first]},{{'_','_','_'},[],[second]}]))),
    ?is(3, ets:select_count(T, [{{'$1','_','_'},[{'=<','$1',3}],[true]}])),
    ?is(0, ets:select_count(T, [{{'$1','_','_'},[{'=<','$1',3}],[1]}])),
    ?is([], ets:select(T, [])),
    ?is(0, ets:select_count(T, [])),
    ?is(20, length(ets:select(T, [{'$1',[],['$1']}]))),
    ?is([5,6,7], S([{{'$1','$2','_'},[{'andalso',{'>=','$1',5},{'=<','$1',7}}],['$1']}])),
    ?is([1,20], S([{{'$1','_','_'},[{'orelse',{'==','$1',1},{'==','$1',20}}],['$1']}])),
    ?is([2], S([{{'$1','$2','_'},[{'=:=',{'+','$1',2},'$2'}],['$1']}])),
    ?is([#{1 => [1|1]}], S([{{1,'$1','_'},[],[#{'$1' => ['$1'|'$1']}]}])),
    %% Guards that fail do not match; bodies that fail give 'EXIT'.
    ?is([], S([{{'$1','_','_'},[{hd,'$1'}],['$1']}])),
    ?is(['EXIT'], S([{{1,'$1','_'},[],[{hd,'$1'}]}])),
    ets:delete(T).

bound(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{{k,I},I rem 3,I} || I <- lists:seq(1, 1000)]),
    ets:insert(T, [{{k,7},x,y},{[],nil,0}]),
    L = ets:lookup(T, {k,7}),
    ?is(lists:sort(L), lists:sort(ets:select(T, [{{{k,7},'_','_'},[],['$_']}]))),
    ?is(lists:sort([{{k,3},0,3}|L]),
        lists:sort(ets:select(T, [{{{k,7},'_','_'},[],['$_']},{{{k,3},'_','_'},[],['$_']},
                                  {{{k,7},'_','_'},[],[again]},{{{k,0},'_','_'},[],[none]}]))),
    ?is([], ets:match_object(T, {{k,0},'_','_'})),
    ?is(1, ets:select_count(T, [{{{k,9},'_','_'},[],[true]}])),
    ?is([nil], ets:select(T, [{{[],'$1','_'},[],['$1']}])),
    ?is(length(L), ets:select_delete(T, [{{{k,7},'_','_'},[],[true]}])),
    ?is([], ets:lookup(T, {k,7})),
    ?is(1000, ets:info(T, size)),
    case Type of
        ordered_set -> ?is([], ets:match_object(T, {{k,9.0},'_','_'}));
        _ -> ?is([], ets:match_object(T, {{k,9.0},'_','_'}))
    end,
    %% A map matches larger ones, but not as a bound key.
    ets:insert(T, [{#{a => 1,b => 2},m},{#{a => 1},n}]),
    ?is([n], ets:select(T, [{{#{a => 1},'$1'},[],['$1']}])),
    ?is([m,n], lists:sort(ets:select(T, [{{#{a => '_'},'$1'},[],['$1']}]))),
    ets:delete(T).

%% Partly bound keys of an ordered_set.
ranges() ->
    T = ets:new(x, [ordered_set]),
    Keys = [{A,B,C} || A <- [a,b,c], B <- lists:seq(1, 10), C <- [x,y,[z]]] ++
        [{A,B} || A <- [a,b], B <- [1,2]] ++ [[1,2],[1,3],[1,2,3],[2|t],"abc",17,1.5,atom],
    ets:insert(T, [{K} || K <- Keys]),
    Obj = fun(P) -> [K || {K} <- ets:match_object(T, {P})] end,
    ?is(lists:sort([K || {b,_,_} = K <- Keys]), Obj({b,'_','_'})),
    ?is(lists:sort([K || {b,3,_} = K <- Keys]), Obj({b,3,'$1'})),
    ?is(lists:sort([K || {_,3,_} = K <- Keys]), Obj({'_',3,'_'})),
    ?is([{a,1},{a,2}], Obj({a,'_'})),
    ?is([], Obj({c,'_'})),
    ?is([], Obj({0,'_','_'})),
    ?is([], Obj({zz,'_','_'})),
    ?is([[1,2],[1,2,3],[1,3]], Obj([1|'_'])),
    ?is([[1,2],[1,3]], Obj([1,'_'])),
    ?is([[2|t]], Obj([2|'$1'])),
    ?is([[1,2,3]], Obj([1,2,'_'])),
    ?is("abc", hd(Obj([$a,'_'|'_']))),
    ?is([{A,B,[z]} || A <- [a], B <- [4]], Obj({a,4,['_']})),
    %% Several ranges at once, and in the other order.
    MS = [{{{c,2,'_'}},[],['$_']},{{{a,9,'_'}},[],['$_']},{{{b,'_'}},[],['$_']}],
    Expect = [{K} || K <- lists:sort([K || {c,2,_} = K <- Keys] ++ [K || {a,9,_} = K <- Keys]
                                     ++ [K || {b,_} = K <- Keys])],
    ?is(Expect, ets:select(T, MS)),
    ?is(lists:reverse(Expect), ets:select_reverse(T, MS)),
    ?is(Expect, all_chunks(ets:select(T, MS, 2), fun ets:select/1)),
    ?is(lists:reverse(Expect), all_chunks(ets:select_reverse(T, MS, 2), fun ets:select_reverse/1)),
    ?is(3, ets:select_delete(T, [{{{c,2,'_'}},[],[true]}])),
    ?is([], Obj({c,2,'_'})),
    ?is(length(Keys) - 3, ets:info(T, size)),
    ets:delete(T).

order() ->
    T = ets:new(x, [ordered_set]),
    L = [{I} || I <- lists:seq(1, 3000)],
    ets:insert(T, [lists:nth(1 + I * 1009 rem 3000, L) || I <- lists:seq(0, 2999)]),
    ?is(L, ets:tab2list(T)),
    ?is(L, ets:match_object(T, '_')),
    ?is(lists:reverse(L), ets:select_reverse(T, [{'$1',[],['$1']}])),
    ?is(3000, ets:info(T, size)),
    ets:delete(T).

all_chunks('$end_of_table', _) -> [];
all_chunks({L,C}, F) -> L ++ all_chunks(F(C), F).

chunks(Type, N) ->
    T = ets:new(x, [Type]),
    Objs = [{I,x} || I <- lists:seq(1, 1000)] ++ [{I,y} || I <- lists:seq(1, 1000, 10)],
    ets:insert(T, Objs),
    All = lists:sort(ets:tab2list(T)),
    ets:safe_fixtable(T, true),
    ?is(All, lists:sort(all_chunks(ets:select(T, [{'$1',[],['$1']}], N), fun ets:select/1))),
    ?is(All, lists:sort(all_chunks(ets:match_object(T, '_', N), fun ets:match_object/1))),
    ?is(lists:sort([[K] || {K,_} <- All]),
        lists:sort(all_chunks(ets:match(T, {'$1','_'}, N), fun ets:match/1))),
    ets:safe_fixtable(T, false),
    {L,_} = ets:select(T, [{'$1',[],['$1']}], N),
    ?is(true, length(L) =:= N orelse length(All) < N),
    ets:delete(T).

chunk_ends() ->
    T = ets:new(x, [ordered_set]),
    ?is('$end_of_table', ets:select(T, [{'_',[],['$_']}], 1)),
    ets:insert(T, [{1},{2}]),
    {[{1},{2}],C} = ets:select(T, [{'_',[],['$_']}], 2),
    ?is('$end_of_table', ets:select(C)),
    ?is({[{1},{2}],'$end_of_table'}, ets:select(T, [{'_',[],['$_']}], 3)),
    ?is({[{1}],'$end_of_table'}, ets:select(T, [{{1},[],['$_']}], 1)),
    ?is('$end_of_table', ets:select(T, [{{3},[],['$_']}], 1)),
    ?is('$end_of_table', ets:select('$end_of_table')),
    ?is('$end_of_table', ets:match('$end_of_table')),
    ?is('$end_of_table', ets:select(T, [], 1)),
    {T,2,_,2,_,[],0,0} = C,
    ets:delete(T),
    ?raises({error, badarg}, ets:select(C)),
    S = ets:new(x, []),
    ets:insert(S, {1}),
    ?is({[{1}],'$end_of_table'}, ets:select(S, [{{1},[],['$_']}], 1)),
    ets:insert(S, [{I} || I <- lists:seq(1, 10)]),
    {[_],C2} = ets:select(S, [{'_',[],['$_']}], 1),
    {S,_,1,_,_,_} = C2,
    ?is(9, length(all_chunks(ets:select(C2), fun ets:select/1))),
    %% Continuations survive the external format, once repaired.
    C3 = ets:repair_continuation(binary_to_term(term_to_binary(setelement(1, C2, S))), [{'_',[],['$_']}]),
    ?is(9, length(all_chunks(ets:select(setelement(1, C3, S)), fun ets:select/1))),
    ?raises({error, badarg}, ets:select({S,a,b,c})),
    ?raises({error, badarg}, ets:select({S,1,1,foo,[],0})),
    ?raises({error, badarg}, ets:select({})),
    ?raises({error, badarg}, ets:select(foo)),
    ets:delete(S).

reverse_chunks() ->
    T = ets:new(x, [ordered_set]),
    ets:insert(T, [{I} || I <- lists:seq(1, 100)]),
    ?is([{I} || I <- lists:seq(100, 1, -1)],
        all_chunks(ets:select_reverse(T, [{'_',[],['$_']}], 7), fun ets:select_reverse/1)),
    ?is({[{100},{99}],'$end_of_table'},
        begin {A,C} = ets:select_reverse(T, [{{'$1'},[{'>','$1',98}],['$_']}], 2),
              {A,ets:select_reverse(C)} end),
    ets:delete(T).

%% Long enough to give up many slices, with the table changing meanwhile.
long(Type) ->
    N = 100000,
    T = ets:new(x, [Type,public]),
    ets:insert(T, [{I,I rem 10} || I <- lists:seq(1, N)]),
    Self = self(),
    Other = spawn_link(fun() -> churn(T, N, Self) end),
    ?is(N div 10, length(ets:select(T, [{{'$1',3},[],['$1']}]))),
    ?is(N div 10, ets:select_count(T, [{{'$1',3},[],[true]}])),
    ?is([], ets:match_object(T, {'_',12})),
    Other ! {stop,Self},
    receive stopped -> ok end,
    ets:select_delete(T, [{{{x,'_'},'_'},[],[true]}]),
    ?is(N, ets:info(T, size)),
    ?is(false, ets:info(T, fixed)),
    ?is(N div 10, ets:select_delete(T, [{{'_',3},[],[true]}])),
    ?is(N - N div 10, ets:info(T, size)),
    ?is(lists:usort([I rem 10 || I <- [0,1,2,4,5,6,7,8,9]]), lists:usort(ets:select(T, [{{'_','$1'},[],['$1']}]))),
    ?is(N - N div 10, ets:select_delete(T, [{'_',[],[true]}])),
    ?is([], ets:tab2list(T)),
    ets:delete(T).

churn(T, N, Parent) ->
    receive {stop,P} -> P ! stopped
    after 0 ->
            [ets:insert(T, {{x,I},11}) || I <- lists:seq(1, 20)],
            [ets:delete(T, {x,I}) || I <- lists:seq(1, 20)],
            erlang:yield(),
            churn(T, N, Parent)
    end.

delete(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{I,I rem 2} || I <- lists:seq(1, 1000)]),
    ?is(500, ets:select_delete(T, [{{'_',1},[],[true]}])),
    ?is(500, ets:info(T, size)),
    ?is(0, ets:select_delete(T, [{{'_',0},[],[false]}])),
    ?is(0, ets:select_delete(T, [{{'_',0},[],[1]}])),
    ?is(10, ets:select_delete(T, [{{'$1','_'},[{'=<','$1',20}],[true]}])),
    ets:safe_fixtable(T, true),
    ?is(490, ets:select_delete(T, [{{'_','_'},[],[true]}])),
    ?is([], ets:tab2list(T)),
    ets:insert(T, {1,2}),
    ?is([{1,2}], ets:tab2list(T)),
    ets:safe_fixtable(T, false),
    ?is([{1,2}], ets:tab2list(T)),
    ets:delete(T).

replace(bag) ->
    T = ets:new(x, [bag]),
    ?raises({error, badarg}, ets:select_replace(T, [{{'$1','$2'},[],[{{'$1',x}}]}])),
    ets:delete(T);
replace(Type) ->
    T = ets:new(x, [Type]),
    ets:insert(T, [{I,I rem 2,[I]} || I <- lists:seq(1, 1000)]),
    ?is(500, ets:select_replace(T, [{{'$1',1,'$2'},[],[{{'$1',{{one,'$2'}},<<0:800>>}}]}])),
    ?is([{7,{one,[7]},<<0:800>>}], ets:lookup(T, 7)),
    ?is([{8,0,[8]}], ets:lookup(T, 8)),
    ?is(1000, ets:info(T, size)),
    ?is(1000, ets:select_replace(T, [{'$1',[],['$_']}])),
    ?is(1, ets:select_replace(T, [{{5,'_','_'},[],[{const,{5,c}}]}])),
    ?is([{5,c}], ets:lookup(T, 5)),
    ?is(1, ets:select_replace(T, [{{'$1',c},[],[{{{element,1,'$_'},d}}]}])),
    ?is([{5,d}], ets:lookup(T, 5)),
    ?raises({error, badarg}, ets:select_replace(T, [{{'$1','$2'},[],[{{'$2','$1'}}]}])),
    ?raises({error, badarg}, ets:select_replace(T, [{{'$1','$2'},[],['$1']}])),
    ?raises({error, badarg}, ets:select_replace(T, [{{'$1','$2'},[],[{{{'+','$1',1},'$2'}}]}])),
    ?raises({error, badarg}, ets:select_replace(T, [{{1,'$2'},[],[{const,{2,x}}]}])),
    ?is(0, ets:select_replace(T, [])),
    ets:delete(T).

errors() ->
    T = ets:new(x, []),
    [?raises({error, badarg}, ets:select(T, MS)) ||
        MS <- [foo,[foo],[{a}],[{{'$1'},[]}],[{{'$1'},foo,[x]}],[{{'$1'},[],[]}],[{{'$1'},[],x}],
               [{{'$1'},[],['$2']}],[{{'$1'},[{nofun,1}],[x]}],[{{'$1'},[],[{'$1'}]}],
               [{{'$1'},[],[{1,2}]}],[{{'$1'},[true|false],[x]}],[{{'$1'},[],[x]}|y],
               [{{'$1'},[{is_atom}],[x]}],[{{'$1'},[],[{message,x}]}],[{{'$1'},[{'and'}],[x]}],
               [{{#{'$1' => x}},[],[x]}],[{{'$1'},[],[{const}]}]]],
    ?raises({error, badarg}, ets:select(T, [{'_',[],[x]}], 0)),
    ?raises({error, badarg}, ets:select(T, [{'_',[],[x]}], a)),
    ?raises({error, badarg}, ets:select_count(T, foo)),
    ?raises({error, badarg}, ets:select_delete(T, [x])),
    ?raises({error, badarg}, ets:match(T, {'$1'}, -1)),
    ets:delete(T).

compiled() ->
    MS = [{{'$1','$2'},[{'>','$1',1}],[{{'$2','$1'}}]}],
    C = ets:match_spec_compile(MS),
    ?is(true, ets:is_compiled_ms(C)),
    ?is(false, ets:is_compiled_ms(MS)),
    ?is(false, ets:is_compiled_ms(make_ref())),
    ?is([{b,2},{c,3}], ets:match_spec_run([{1,a},{2,b},x,{3,c},{4}], C)),
    ?is([], ets:match_spec_run([], C)),
    ?raises({error, badarg}, ets:match_spec_run(x, C)),
    ?raises({error, badarg}, ets:match_spec_run([{2,b}|x], C)),
    ?raises({error, badarg}, ets:match_spec_run([], MS)),
    ?raises({error, badarg}, ets:match_spec_compile(foo)),
    ?raises({error, badarg}, ets:match_spec_compile([])),
    L = [{I,I} || I <- lists:seq(2, 50000)],
    ?is(L, ets:match_spec_run(L, C)),
    ?is({ok,{b,2}}, ets:test_ms({2,b}, MS)).

%% Many clauses, many variables, deep terms.
big_spec() ->
    T = ets:new(x, [ordered_set]),
    N = 300,
    V = fun(I) -> list_to_atom("$" ++ integer_to_list(I)) end,
    Wide = list_to_tuple(lists:seq(1, N)),
    ets:insert(T, Wide),
    Head = list_to_tuple([V(I * 1000) || I <- lists:seq(1, N)]),
    ?is([lists:seq(1, N)], ets:select(T, [{Head,[],['$$']}])),
    ?is([N], ets:select(T, [{Head,[],[V(N * 1000)]}])),
    MS = [{{I},[],[I]} || I <- lists:seq(1, N)],
    ets:insert(T, [{I} || I <- lists:seq(100, 200)]),
    ?is(lists:seq(100, 200), ets:select(T, MS)),
    Deep = lists:foldl(fun(_, A) -> [A] end, '$1', lists:seq(1, 10000)),
    Term = lists:foldl(fun(_, A) -> [A] end, x, lists:seq(1, 10000)),
    ets:insert(T, {deep,Term}),
    ?is([x], ets:select(T, [{{deep,Deep},[],['$1']}])),
    ?is([Term], ets:select(T, [{{deep,'$1'},[],['$1']}])),
    ets:delete(T).

%% Others may delete the table in the middle of a scan; that is badarg.
others_change() ->
    T = ets:new(x, [public]),
    ets:insert(T, [{I} || I <- lists:seq(1, 300000)]),
    Self = self(),
    P = spawn(fun() -> receive go -> ok end,
                       R = try ets:select_count(T, [{'_',[],[true]}]) catch E:V -> {E,V} end,
                       Self ! {self(),R} end),
    P ! go,
    erlang:yield(),
    ets:delete(T),
    receive {P,R} -> ?is(true, R =:= 300000 orelse R =:= {error,badarg}) end.
