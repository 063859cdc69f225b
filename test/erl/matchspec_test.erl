%% erlang:match_spec_test/3: heads, guards, bodies and what compilation says.
-module(matchspec_test).
-export([main/0]).
-include("test.hrl").

main() ->
    heads(),
    maps(),
    guards(),
    logic(),
    bodies(),
    functions(),
    failing_guards(),
    exact(),
    trace(),
    errors().

%% The value, or false.
t(Subject, MS) ->
    {ok,R,[],[]} = erlang:match_spec_test(Subject, MS, table),
    R.
h(Subject, Head) -> t(Subject, [{Head,[],['$$']}]).
g(Guard) -> t({1,2.0,[a,b],<<"bin">>,#{k => v}}, [{{'$1','$2','$3','$4','$5'},[Guard],[yes]}]).
b(Body) -> t({1,2.0,[a,b],<<"bin">>,#{k => v}}, [{{'$1','$2','$3','$4','$5'},[],[Body]}]).

%% What a guard that failed says lies where nothing may refer to it afterwards:
%% the memory is used again at once.
failing_guards() ->
    T = ets:new(t, []),
    ets:insert(T, [{N, N} || N <- lists:seq(1, 10)]),
    [begin
        Long = lists:duplicate(Words, '$1'),
        ?is([], ets:select(T, [{{'$1','_'},[{'==',{map_size,Long},3}],['$1']}])),
        Filled = [binary:copy(<<1>>, N) || N <- lists:seq(500, 20000, 250)],
        erlang:garbage_collect(),
        ?is(79, length(Filled))
     end || Words <- [20, 100, 300, 600, 1000]],
    ets:delete(T).

heads() ->
    ?is([], h({a,b}, {a,b})),
    ?is(false, h({a,b}, {a,c})),
    ?is([], h({a,b}, '_')),
    ?is([{a,b}], h({a,b}, '$1')),
    ?is([1,2], h({1,2}, {'$0','$1'})),
    ?is([2,1], h({1,2}, {'$10','$9'})),
    ?is([x], h({x,x}, {'$1','$1'})),
    ?is(false, h({x,y}, {'$1','$1'})),
    ?is(false, h({1,1.0}, {'$1','$1'})),
    ?is([], h({'$01','$x','$'}, {'$01','$x','$'})),
    ?is([[2,3]], h({[1,2,3]}, {[1|'$1']})),
    ?is([1,t], h({[1|t]}, {['$1'|'$2']})),
    ?is(false, h({[]}, {['$1'|'$2']})),
    ?is([b], h({{a,{b}}}, {{a,{'$1'}}})),
    ?is(false, h({{a,{b,c}}}, {{a,{'$1'}}})),
    ?is([], h({{},[],<<>>,"str"}, {{},[],<<>>,"str"})),
    ?is([], h({1 bsl 70,1.5,self(),<<1,2:3>>}, {1 bsl 70,1.5,self(),<<1,2:3>>})),
    ?is(false, h({1 bsl 70}, {1 bsl 71})),
    ?is([y], t({b,y}, [{{a,'$1'},[],['$$']},{{b,'$1'},[],['$$']},{'_',[],[last]}])),
    ?is(last, t({c,y}, [{{a,'$1'},[],['$$']},{{b,'$1'},[],['$$']},{'_',[],[last]}])),
    ?is([a,b], h({a,b}, {'$1','$100000000'})),
    ?is([b,a], h({a,b}, {'$123456','$7'})).

maps() ->
    M = #{a => 1,b => {x,2},"c" => [3]},
    ?is([], h({M}, {#{}})),
    ?is([1], h({M}, {#{a => '$1'}})),
    ?is([2], h({M}, {#{b => {x,'$1'}}})),
    ?is([1,2,3], h({M}, {#{a => '$1',b => {x,'$2'},"c" => ['$3']}})),
    ?is(false, h({M}, {#{d => '_'}})),
    ?is(false, h({M}, {#{a => 2}})),
    ?is(false, h({x}, {#{}})),
    Big = maps:from_list([{I,I * I} || I <- lists:seq(1, 100)]),
    ?is([2500], h({Big}, {#{50 => '$1'}})),
    ?is([], h({Big}, {Big})),
    ?is(false, h({Big}, {Big#{7 := 0}})),
    ?is(#{x => 1,{y} => [2.0]}, b(#{x => '$1',{{y}} => ['$2']})),
    ?is(#{1 => x}, b(#{'$1' => x})),
    ?is(maps:from_list([{I,1} || I <- lists:seq(1, 50)]),
        b(maps:from_list([{I,'$1'} || I <- lists:seq(1, 50)]))).

guards() ->
    [?is({G,yes}, {G,g(G)}) ||
        G <- [true,{is_integer,'$1'},{is_float,'$2'},{is_list,'$3'},{is_binary,'$4'},{is_map,'$5'},
              {is_number,'$2'},{is_atom,{hd,'$3'}},{is_tuple,'$_'},{is_pid,{self}},
              {is_reference,{const,make_ref()}},{is_function,fun() -> ok end},{is_port,hd(erlang:ports())},
              {'==','$2',2},{'=:=','$1',1},{'/=','$1','$2'},{'=/=','$2',2},{'<','$1','$2'},
              {'>=','$2','$1'},{'=<','$1',1},{'>','$3',0},
              {'==',{size,'$4'},3},{'==',{length,'$3'},2},{'==',{map_size,'$5'},1},
              {'==',{map_get,k,'$5'},v},{is_map_key,k,'$5'},{'==',{element,1,'$_'},1},
              {'==',{'+','$1','$2'},3},{'==',{'-','$1'},-1},{'==',{abs,{'-',5}},5},
              {'==',{'*','$1',1 bsl 70},1 bsl 70},{'==',{'div',7,2},3},{'==',{'rem',7,2},1},
              {'==',{'/','$2',4},0.5},{'==',{'band',6,3},2},{'==',{'bor',6,3},7},{'==',{'bxor',6,3},5},
              {'==',{'bnot',0},-1},{'==',{'bsl',1,100},1 bsl 100},{'==',{'bsr',8,2},2},
              {'==',{round,2.6},3},{'==',{trunc,2.6},2},{'==',{float,2},2.0},
              {'==',{byte_size,'$4'},3},{'==',{bit_size,'$4'},24},{'==',{tl,'$3'},[b]},
              {'==',{binary_part,'$4',1,2},<<"in">>},{'==',{binary_part,'$4',{{0,1}}},<<"b">>},
              {'==',{node},{const,node()}},{'==',{node,{self}},{node}},
              {is_record,{const,{r,1}},r,2}]],
    [?is({G,false}, {G,g(G)}) ||
        G <- [false,1,yes,'$1',{is_atom,'$1'},{hd,'$1'},{'+',a,1},{element,9,'$_'},{element,0,'$_'},
              {'div',1,0},{length,'$1'},{map_get,x,'$5'},{size,'$1'},{tl,[]},{'not',1},
              {'xor',true,1},{is_record,'$_',r,5},{binary_part,'$4',9,9},{'bsl',1.0,1}]].

logic() ->
    ?is(yes, g({'and',true,true,true})),
    ?is(false, g({'and',true,false,true})),
    ?is(yes, g({'and',true})),
    ?is(yes, g({'or',false,true,false})),
    ?is(false, g({'or',false,false})),
    ?is(false, g({'or',true,1})),
    ?is(yes, g({'orelse',false,true,{hd,1}})),
    ?is(yes, g({'orelse',true,1})),
    ?is(false, g({'orelse',1,true})),
    ?is(false, g({'andalso',true,{hd,1}})),
    ?is(false, g({'andalso',false,{hd,1}})),
    ?is(yes, g({'not',{'andalso',false,{hd,1}}})),
    ?is(yes, g({'andalso',true,{'orelse',false,{'andalso',true,true}},true})),
    ?is(yes, g({'xor',true,false})),
    ?is(yes, g({'not',false})),
    ?is(1, b({'andalso',true,1})),
    ?is('EXIT', b({'andalso',1,true})),
    ?is('EXIT', b({'and',true,1})).

bodies() ->
    ?is(1, b('$1')),
    ?is([1,2.0,[a,b],<<"bin">>,#{k => v}], b('$$')),
    ?is({1,2.0,[a,b],<<"bin">>,#{k => v}}, b('$_')),
    ?is('$1', b({const,'$1'})),
    ?is({'$1',x}, b({const,{'$1',x}})),
    ?is({1,[2.0|x],{}}, b({{'$1',['$2'|x],{{}}}})),
    ?is([{a},1], b([{const,{a}},'$1'])),
    ?is('EXIT', b({hd,'$1'})),
    ?is({x,'EXIT'}, b({{x,{element,3,{const,{a}}}}})),
    ?is(b, t({x}, [{'_',[],[a,b]}])),
    ?is(<<"in">>, b({binary_part,'$4',1,2})),
    ?is((1 bsl 80) + 1, b({'+','$1',1 bsl 80})),
    L = lists:seq(1, 5000),
    ?is(L, b({const,L})),
    ?is(list_to_tuple(L), b({list_to_tuple(L)})),
    %% Results that need more and more room.
    ?is(1 bsl 60000, b({'*',{'bsl',1,30000},{'bsl',1,30000}})).

functions() ->
    [?is({F,true}, {F,element(1, erlang:match_spec_test({x}, [{'_',[],[F]}], table)) =:= error}) ||
        F <- [{foo},{is_boolean,1},{tuple_size,{}},{ceil,1.0},{list_to_atom,"a"},{is_atom},{is_atom,a,b},
              {message,x},{return_trace},{display,x},{get_tcw},{caller},{silent,true}]].

%% =:= everywhere.
exact() ->
    ?is(false, h({1}, {1.0})),
    ?is(false, h({1.0}, {1})),
    ?is(false, h({[1]}, {[1.0]})),
    ?is(false, h({#{a => 1}}, {#{a => 1.0}})),
    ?is(false, h({#{1 => a}}, {#{1.0 => a}})).

trace() ->
    T = fun(Args, MS) -> erlang:match_spec_test(Args, MS, trace) end,
    ?is({ok,true,[],[]}, T([a,b], [{[a,b],[],[]}])),
    ?is({ok,false,[],[]}, T([a,b], [{[a,c],[],[]}])),
    ?is({ok,false,[],[]}, T([a,b], [{[a],[],[]}])),
    ?is({ok,true,[],[]}, T([], [{[],[],[]}])),
    ?is({ok,true,[],[]}, T([a,b], [{'_',[],[]}])),
    ?is({ok,[b,a],[],[]}, T([a,b], [{['$1','$2'],[],[{message,['$2','$1']}]}])),
    ?is({ok,[a,b],[],[]}, T([a,b], [{['$1','$2'],[],[{message,'$_'}]}])),
    ?is({ok,[a,b],[],[]}, T([a,b], [{'$1',[],[{message,'$1'}]}])),
    ?is({ok,false,[],[]}, T([a,b], [{['$1','$2'],[],[{message,false}]}])),
    ?is({ok,true,[return_trace],[]}, T([a], [{['_'],[],[{return_trace}]}])),
    ?is({ok,true,[exception_trace],[]}, T([a], [{['_'],[],[{exception_trace}]}])),
    ?is({ok,true,[],[]}, T([7], [{['$1'],[{'>','$1',6}],[]}])),
    ?is(error, element(1, T([7], [{['$1'],[{message,x}],[]}]))),
    ?is(error, element(1, T([7], [{{'$1'},foo,[]}]))),
    ?raises({error, badarg}, T(a, [{'_',[],[]}])),
    ?raises({error, badarg}, erlang:match_spec_test({a}, [{'_',[],[]}], foo)).

errors() ->
    E = fun(MS) ->
                {error,L} = erlang:match_spec_test({x}, MS, table),
                [{S,lists:flatten(M)} || {S,M} <- L]
        end,
    ?is([{error,"Match programs are not in a list."}], E(foo)),
    ?is([{error,"Match programs are not in a proper list."}], E([{'_',[],[x]}|y])),
    ?is([{error,"Match program part is not a tuple of arity 3."}], E([foo])),
    ?is([{error,"Variable $1 is unbound."}], E([{'_',[],['$1']}])),
    ?is([{error,"Match expression is not a list."}], E([{'_',foo,[x]}])),
    ?is([{error,"Body clause does not return anything."}], E([{'_',[],[]}])),
    ?is([{error,"Function nofun/1 does_not_exist."}], E([{'_',[{nofun,1}],[x]}])),
    ?is([{error,"Match expression is not a proper list."}], E([{'_',[true|false],[x]}])),
    ?is([{error,"{1,2} is neither a function call, nor a tuple (tuples are written {{ ... }})."}],
        E([{'_',[],[{1,2}]}])),
    ?is([{error,"Special form 'const' called with more than one argument in {const,1,2}."}],
        E([{'_',[],[{const,1,2}]}])),
    ?is([{error,"Special form 'message' used in wrong dialect."}], E([{'_',[],[{message,1}]}])),
    ?is([{error,"Variable $1 is unbound."},{error,"Variable $2 is unbound."}],
        E([{'_',['$1'],['$2']}])),
    ?is([{error,"Variable found in map key."}], E([{{#{'$1' => x}},[],[x]}])),
    ?is([{error,"Underscore found in map key."}], E([{{#{'_' => x}},[],[x]}])).
