%% ets: protection, heirs, give_away, setopts, owners that end.
-module(ets_owner).
-export([main/0]).
-include("test.hrl").

main() ->
    [protection(T) || T <- [set,bag,ordered_set]],
    ends(),
    heir(),
    no_heir(),
    give(),
    opts(),
    foreign_delete().

%% What another process may do.
in_other(F) ->
    Self = self(),
    {P,Ref} = spawn_monitor(fun() -> Self ! {self(),try {ok,F()} catch C:R -> {C,R} end} end),
    receive {P,X} -> receive {'DOWN',Ref,_,_,_} -> X end end.

protection(Type) ->
    Pub = ets:new(x, [Type,public]),
    Pro = ets:new(x, [Type]),
    Pri = ets:new(x, [Type,private]),
    [ets:insert(T, {a,1}) || T <- [Pub,Pro,Pri]],
    ?is({ok,true}, in_other(fun() -> ets:insert(Pub, {b,1}) end)),
    ?is({error,badarg}, in_other(fun() -> ets:insert(Pro, {b,1}) end)),
    ?is({error,badarg}, in_other(fun() -> ets:insert(Pri, {b,1}) end)),
    ?is({ok,[{a,1}]}, in_other(fun() -> ets:lookup(Pub, a) end)),
    ?is({ok,[{a,1}]}, in_other(fun() -> ets:lookup(Pro, a) end)),
    ?is({error,badarg}, in_other(fun() -> ets:lookup(Pri, a) end)),
    ?is({error,badarg}, in_other(fun() -> ets:first(Pri) end)),
    ?is({error,badarg}, in_other(fun() -> ets:tab2list(Pri) end)),
    ?is({error,badarg}, in_other(fun() -> ets:select_delete(Pro, [{'_',[],[true]}]) end)),
    ?is({error,badarg}, in_other(fun() -> ets:delete(Pro) end)),
    ?is({error,badarg}, in_other(fun() -> ets:delete_all_objects(Pro) end)),
    ?is({error,badarg}, in_other(fun() -> ets:take(Pro, a) end)),
    ?is({error,badarg}, in_other(fun() -> ets:rename(Pro, b) end)),
    ?is({error,badarg}, in_other(fun() -> ets:safe_fixtable(Pri, true) end)),
    ?is({ok,true}, in_other(fun() -> ets:safe_fixtable(Pro, true) end)),
    ?is({ok,1}, in_other(fun() -> ets:info(Pri, size) end)),
    ?is({ok,true}, in_other(fun() -> ets:delete(Pub) end)),
    ?is(undefined, ets:info(Pub)),
    [ets:delete(T) || T <- [Pro,Pri]].

%% An owner's tables go with it, the large ones too.
ends() ->
    Self = self(),
    P = spawn(fun() ->
                      T1 = ets:new(ets_owner_t, [named_table,public]),
                      T2 = ets:new(x, [ordered_set,public]),
                      ets:insert(T1, [{I,<<I:800>>} || I <- lists:seq(1, 30000)]),
                      ets:insert(T2, [{I,<<I:800>>} || I <- lists:seq(1, 30000)]),
                      [ets:new(y, []) || _ <- lists:seq(1, 100)],
                      Self ! {T1,T2},
                      receive stop -> ok end
              end),
    {T1,T2} = receive M -> M end,
    ?is(30000, ets:info(T1, size)),
    Ref = monitor(process, P),
    ets:safe_fixtable(T1, true),
    P ! stop,
    receive {'DOWN',Ref,_,_,_} -> ok end,
    wait_gone(T1, 6000),
    ?is(undefined, ets:info(T1)),
    wait_gone(T2, 6000),
    ?is(undefined, ets:info(T2)),
    ?is([], [T || T <- ets:all(), ets:info(T, owner) =:= P]).

wait_gone(T, N) ->
    case ets:info(T, size) of
        undefined -> ok;
        _ when N > 0 -> timer:sleep(10), wait_gone(T, N - 1)
    end.

heir() ->
    Self = self(),
    P = spawn(fun() ->
                      T = ets:new(x, [{heir,Self,{data,[1,2],<<0:800>>}}]),
                      N = ets:new(ets_owner_n, [named_table,{heir,Self,named}]),
                      ets:insert(T, {a,1}),
                      ets:insert(N, {b,1}),
                      Self ! {T,N},
                      receive stop -> ok end
              end),
    {T,N} = receive M -> M end,
    ?is(Self, ets:info(T, heir)),
    P ! stop,
    ?is({'ETS-TRANSFER',T,P,{data,[1,2],<<0:800>>}},
        receive {'ETS-TRANSFER',T,_,_} = M1 -> M1 after 60000 -> none end),
    ?is({'ETS-TRANSFER',N,P,named}, receive {'ETS-TRANSFER',N,_,_} = M2 -> M2 after 60000 -> none end),
    ?is([{a,1}], ets:lookup(T, a)),
    ?is(Self, ets:info(T, owner)),
    ?is(true, ets:insert(N, {c,2})),
    ets:delete(T),
    ets:delete(N).

no_heir() ->
    %% A dead heir is none.
    {Dead,Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN',Ref,_,_,_} -> ok end,
    T = ets:new(x, [{heir,Dead,x}]),
    ?is(none, ets:info(T, heir)),
    ?raises({error, badarg}, ets:new(x, [{heir,foo,x}])),
    ets:delete(T),
    Self = self(),
    P = spawn(fun() -> Self ! ets:new(x, [{heir,self(),x}]), receive stop -> ok end end),
    T2 = receive M -> M end,
    ?is(P, ets:info(T2, heir)),
    P ! stop,
    wait_gone(T2, 6000),
    ?is(undefined, ets:info(T2)).

give() ->
    Self = self(),
    P = spawn_link(fun() ->
                           {_,T,_,_} = receive M -> Self ! {got,M}, M end,
                           receive {back,To} -> ets:give_away(T, To, back) end,
                           receive stop -> ok end
                   end),
    T = ets:new(x, []),
    ets:insert(T, {a,1}),
    ?is(true, ets:give_away(T, P, {gift,[x]})),
    ?is({'ETS-TRANSFER',T,Self,{gift,[x]}}, receive {got,G} -> G end),
    ?is(P, ets:info(T, owner)),
    ?raises({error, badarg}, ets:insert(T, {b,1})),
    ?raises({error, badarg}, ets:give_away(T, Self, x)),
    P ! {back,Self},
    ?is({'ETS-TRANSFER',T,P,back}, receive {'ETS-TRANSFER',_,_,_} = B -> B end),
    ?raises({error, badarg}, ets:give_away(T, Self, x)),
    ?raises({error, badarg}, ets:give_away(T, foo, x)),
    Ref = monitor(process, P),
    P ! stop,
    receive {'DOWN',Ref,_,_,_} -> ok end,
    ?raises({error, badarg}, ets:give_away(T, P, x)),
    ets:delete(T).

opts() ->
    T = ets:new(x, []),
    ?is(true, ets:setopts(T, {protection,public})),
    ?is(public, ets:info(T, protection)),
    ?is(true, ets:setopts(T, [{protection,private},{heir,self(),x}])),
    ?is({private,self()}, {ets:info(T, protection),ets:info(T, heir)}),
    ?is(true, ets:setopts(T, {heir,none})),
    ?is(none, ets:info(T, heir)),
    ?is(true, ets:setopts(T, [])),
    [?raises({error, badarg}, ets:setopts(T, O)) ||
        O <- [foo,{protection,x},{heir,x},{heir,x,y},[{protection,public},{protection,public}],
              {keypos,2},{heir,self()},[{heir,none}|x],{protection}]],
    ?is(private, ets:info(T, protection)),
    ets:setopts(T, {protection,public}),
    ?is({error,badarg}, in_other(fun() -> ets:setopts(T, {heir,none}) end)),
    ets:delete(T).

%% A large public table may be deleted by someone else, even one that is
%% killed in the middle of it.
foreign_delete() ->
    T = ets:new(ets_owner_f, [named_table,public]),
    ets:insert(T, [{I,<<I:800>>} || I <- lists:seq(1, 100000)]),
    P = spawn(fun() -> ets:delete(T) end),
    Ref = monitor(process, P),
    exit(P, kill),
    receive {'DOWN',Ref,_,_,_} -> ok end,
    case ets:whereis(T) of
        undefined -> ok;
        _ -> ets:delete(T)
    end,
    ?is(T, ets:new(T, [named_table])),
    ets:delete(T).
