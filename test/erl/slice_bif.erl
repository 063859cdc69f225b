%% Long work in slices: what is done in the middle of it is no different from
%% what is done at once. Every operation runs alone, then in a process that
%% others send to, ask about, suspend and have collected meanwhile; the results
%% are equal. `make stress` takes a slice at each step.
-module(slice_bif).
-export([main/0]).
-include("test.hrl").

main() ->
    results(),
    [killed(Name, Prepare, Work) || {Name, Prepare, Work} <- operations()],
    [dies(Prepare) || {_, Prepare, _} <- operations()],
    mailbox(),
    table_busy(),
    turns(),
    delete_all(),
    hibernated(),
    priorities(),
    leader(),
    looked_at(),
    counted(),
    names().

n() -> 3000.

results() ->
    [begin
         Alone = result(Work(Prepare())),
         ?is({Name, Alone}, {Name, beside(Prepare, Work)})
     end || {Name, Prepare, Work} <- operations()].

result(Term) -> erlang:md5(term_to_binary(Term)).

%% In a process that others bother.
beside(Prepare, Work) ->
    Me = self(),
    {P, Ref} = spawn_monitor(fun() ->
        In = Prepare(),
        Me ! ready,
        Out = Work(In),
        exit({done, result(Out), messages(0)})
    end),
    receive ready -> ok end,
    Sent = bother(P, 0),
    receive {'DOWN', Ref, process, P, {done, Result, Got}} when Got =< Sent -> Result;
            {'DOWN', Ref, process, P, Why} -> {died, Why} end.

%% They come in the order in which they were sent, whole.
messages(N) ->
    receive {M, Bin, List} -> N = M, <<N:800>> = Bin, "a message" = List, messages(N + 1)
    after 0 -> N end.

bother(P, N) ->
    P ! {N, <<N:800>>, "a message"},
    case N rem 5 of
        0 -> process_info(P, [messages, current_function, dictionary, heap_size]);
        1 -> erlang:garbage_collect(P);
        2 -> catch suspended(P);
        3 -> process_info(P, [current_stacktrace, status, reductions]);
        4 -> check_process_code(P, ?MODULE)
    end,
    case is_process_alive(P) andalso N < 100 of
        true -> erlang:yield(), bother(P, N + 1);
        false -> N + 1
    end.

suspended(P) ->
    erlang:suspend_process(P),
    {status, suspended} = process_info(P, status),
    erlang:yield(),
    erlang:resume_process(P).

%% Killed at some moment of its work: it is gone, and so is what it held.
killed(Name, Prepare, Work) ->
    Me = self(),
    {P, Ref} = spawn_monitor(fun() -> In = Prepare(), Me ! ready, Work(In) end),
    receive ready -> ok end,
    erlang:yield(),
    exit(P, {"a reason", Name}),
    ?is(false, is_process_alive(P)),
    ?matches(R when R =:= normal; R =:= {"a reason", Name},
             receive {'DOWN', Ref, process, P, Why} -> Why end).

%% The exit of a process with much in it.
dies(Prepare) ->
    {P, Ref} = spawn_monitor(fun() -> put(kept, Prepare()), exit(bye) end),
    ?is(bye, receive {'DOWN', Ref, process, P, Why} -> Why end).

bin() -> binary:copy(<<"The quick brown fox ", 228, " jumps">>, n()).
utf8() -> binary:copy(<<"Ähnlich keit"/utf8>>, n()).
map() -> maps:from_list([{I, {I}} || I <- lists:seq(1, n())]).
%% More than is collected at once; made by BIFs, for a heap test may collect all.
large() ->
    L = binary_to_list(binary:copy(<<1, 2, 3>>, 50000)),
    {L, list_to_tuple(L), binary_to_term(term_to_binary(pairs()))}.
pairs() -> [{I, <<I:600>>} || I <- lists:seq(1, n())].

operations() ->
    Pairs = fun pairs/0, Bin = fun bin/0, Map = fun map/0,
    Two = fun() -> {pairs(), pairs()} end,
    [{collect, fun large/0, fun(L) -> erlang:garbage_collect(), L end},
     {minor, fun large/0, fun(L) -> erlang:garbage_collect(self(), [{type, minor}]), L end},
     {grow, Pairs, fun(L) -> lists:foldl(fun({A, _}, Acc) -> [{A, A + 0.5} | Acc] end, [], L) end},
     {deep, fun() -> lists:foldl(fun(I, A) -> {I, A} end, x, lists:seq(1, n())) end,
      fun(T) -> erlang:garbage_collect(), tuple_size(T) end},
     {from_list, Pairs, fun(L) -> lists:sort(maps:to_list(maps:from_list(L))) end},
     {from_keys, fun() -> lists:seq(1, n()) end,
      fun(L) -> lists:sort(maps:to_list(maps:from_keys(L, v))) end},
     {keys, Map, fun(M) -> lists:sort(maps:keys(M)) end},
     {values, Map, fun(M) -> lists:sort(maps:values(M)) end},
     {merge, Map, fun(M) -> lists:sort(maps:to_list(maps:merge(M, maps:from_keys(lists:seq(0, 2 * n(), 7), x)))) end},
     {merge_small, Map, fun(M) -> lists:sort(maps:to_list(maps:merge(M, maps:from_keys(lists:seq(-50, 50), x)))) end},
     {bad_list, fun() -> [{a, b} || _ <- lists:seq(1, n())] ++ [c] end,
      fun(L) -> catch maps:from_list(L), ok end},
     {append, Pairs, fun(L) -> L ++ [1] end},
     {subtract, Two, fun({A, B}) -> A -- tl(B) end},
     {length, Pairs, fun erlang:length/1},
     {to_tuple, Pairs, fun(L) -> tuple_to_list(list_to_tuple(L)) end},
     {equal, Two, fun({A, B}) -> {A == B, A =:= B, A < B, A /= B ++ [x], [x | A] > B} end},
     {phash2, Pairs, fun(L) -> {erlang:phash2(L), erlang:phash2({L}, 1000), erlang:phash(L, 99)} end},
     {phash2_map, Map, fun erlang:phash2/1},
     {hash, Bin, fun(B) -> {erlang:phash2(B), erlang:md5(B), erlang:crc32(B), erlang:adler32(B)} end},
     {encode, Pairs, fun term_to_binary/1},
     {encode_map, Map, fun(M) -> lists:sort(maps:to_list(binary_to_term(term_to_binary(M)))) end},
     {encode_sorted, fun() -> maps:from_list([{{A}, B} || {A, B} <- pairs()]) end,
      fun(M) -> term_to_binary(M, [deterministic]) end},
     {encode_zip, Pairs, fun(L) -> binary_to_term(term_to_binary(L, [compressed])) end},
     {encode_size, Pairs, fun erlang:external_size/1},
     {decode, fun() -> term_to_binary(pairs()) end, fun binary_to_term/1},
     {decode_bad, fun() -> B = term_to_binary(pairs()), binary:part(B, 0, byte_size(B) - 1) end,
      fun(B) -> catch binary_to_term(B), ok end},
     {flatten, Pairs, fun(L) -> list_to_binary([[A rem 256, [B]] || {A, B} <- L]) end},
     {iolist, Pairs, fun(L) -> {iolist_size([B || {_, B} <- L]), iolist_to_binary([B || {_, B} <- L])} end},
     {bits, Pairs, fun(L) -> list_to_bitstring([<<A:3>> || {A, _} <- L]) end},
     {to_list, Bin, fun binary_to_list/1},
     {copy, Bin, fun(B) -> binary:copy(B, 7) end},
     {match, Bin, fun(B) -> {binary:match(B, <<"zebra">>), binary:matches(B, <<"fox">>),
                             binary:matches(B, [<<"fox">>, <<"brown">>, <<"o">>])} end},
     {match_across, fun() -> binary:copy(<<"0123456">>, 100000) end,
      fun(B) -> {length(binary:matches(B, <<"60123456012">>)), binary:match(B, binary:part(B, 3, 299999))} end},
     {build, fun() -> {binary:copy(bin(), 7), [a, b]} end,
      fun({B, [A | _]}) ->
          {<<B/binary, (byte_size(B)):32, B/binary>>, <<B/binary, 7>>, <<1:1, B/binary, 5:7>>,
           <<(B):10000/binary, 3:3>>, try <<B/binary, A, B/binary>> catch error:R -> R end} end},
     {shifted, fun() -> <<1:1, (bin())/binary, 1:3>> end,
      fun(B) -> <<_:1, R/bits>> = B,
                {erlang:phash2(R), erlang:bitstring_to_list(R), R =:= <<R/bits>>, #{R => 1} =:= #{<<R/bits>> => 1}} end},
     {tuple, fun() -> erlang:make_tuple(10 * n(), x) end,
      fun(T) -> {setelement(7, T, y), erlang:append_element(T, z), erlang:insert_element(9, T, z),
                 erlang:delete_element(10, T)} end},
     {arithmetic, fun() -> {1 bsl (30 * n()) - 7, 1 bsl (13 * n()) - 5} end,
      fun({I, J}) -> {I * I, I * J, I div J, I rem J, (I div J) * J + I rem J =:= I} end},
     {digits, fun() -> 1 bsl (20 * n()) - 3 end,
      fun(I) -> L = integer_to_list(I), {L, I =:= list_to_integer(L), integer_to_binary(I, 16),
                                         binary_to_integer(integer_to_binary(I, 7), 7)} end},
     {dictionary, Pairs, fun(L) -> Before = erase(),
                                   [put({I}, X) || {I, X} <- L],
                                   R = {lists:sort(get_keys()), lists:sort(get()), lists:sort(erase()), get()},
                                   [put(K, V) || {K, V} <- Before],
                                   R end},
     {sizes, fun() -> L = pairs(), [L, {L}] end,
      fun(L) -> {erts_debug:flat_size(L), erts_debug:size(L), erts_debug:copy_shared(L)} end},
     {file, Bin, fun file/1},
     {split, Bin, fun(B) -> binary:split(B, <<" ">>, [global]) end},
     {replace, Bin, fun(B) -> binary:replace(B, <<"fox">>, <<"cat">>, [global]) end},
     {prefix, Bin, fun(B) -> {binary:longest_common_prefix([B, <<B/binary, 1>>]),
                              binary:longest_common_suffix([B, <<1, B/binary>>])} end},
     {unicode, fun utf8/0,
      fun(B) -> L = unicode:characters_to_list(B), {length(L), unicode:characters_to_binary(L)} end},
     {unicode_mixed, fun utf8/0,
      fun(B) -> {unicode:characters_to_binary([B, 1000, [B]]),
                 element(1, unicode:characters_to_binary([B, <<255>>]))} end},
     {latin1, Bin, fun(B) -> {byte_size(unicode:characters_to_binary(B, latin1)),
                              unicode:characters_to_list(B, latin1)} end},
     {re_search, fun() -> <<(binary:copy(<<"The Quick brown fox 0123456789\n">>, 6000))/binary, "Zebra">> end,
      fun(B) -> [re:run(B, R, O)
                 || R <- ["zebra", "Zebra", "^zebra", "Qu[a-h]", "x.*[a-z]$"],
                    O <- [[], [caseless], [multiline], [multiline,caseless,unicode],
                          [firstline,unicode], [firstline]]] end},
     {re, fun utf8/0, fun(B) -> {re:run(B, "zebra", [unicode]), re:run([B, "zebra"], "z.b", [unicode])} end},
     {ets_insert, Pairs, fun(L) -> T = ets:new(t, [ordered_set]), ets:insert(T, L), ets:tab2list(T) end},
     {ets_insert_new, Pairs, fun(L) -> T = ets:new(t, []), ets:insert_new(T, L),
                                       false = ets:insert_new(T, [{new, 1} | L]),
                                       [] = ets:lookup(T, new), ets:info(T, size) end},
     {ets_bag, fun() -> [{k, I div 2} || I <- lists:seq(1, n() div 10)] end, fun ets_bag/1},
     {ets_select_delete, Pairs,
      fun(L) -> T = ets:new(t, []), ets:insert(T, L),
                N = ets:select_delete(T, [{{'$1', '_'}, [{'>', '$1', 7}], [true]}]),
                {N, lists:sort(ets:tab2list(T)), ets:info(T, size)} end},
     {ets_fixed, Pairs,
      fun(L) -> T = ets:new(t, []), ets:insert(T, L), ets:safe_fixtable(T, true),
                [ets:delete(T, K) || {K, _} <- L, K rem 3 > 0],
                ets:safe_fixtable(T, false), lists:sort(ets:tab2list(T)) end},
     {ets_delete_all, fun() -> T = ets:new(t, []), ets:insert(T, pairs()), T end,
      fun(T) -> ets:delete_all_objects(T), ets:insert(T, {1}), ets:tab2list(T) end},
     {ets_delete, fun() -> T = ets:new(t, [ordered_set]), ets:insert(T, pairs()), T end, fun ets:delete/1}].

%% Many objects of one key.
ets_bag(L) ->
    [begin
         T = ets:new(t, [Type]),
         true = ets:insert(T, L),
         true = ets:insert(T, {k, -1}),
         false = ets:insert_new(T, {k, -2}),
         Found = {ets:lookup(T, k), ets:lookup_element(T, k, 2)},
         true = ets:delete_object(T, {k, 1}),
         Taken = ets:take(T, k),
         true = ets:insert(T, L),
         true = ets:delete(T, k),
         {Found, Taken, ets:tab2list(T)}
     end || Type <- [bag, duplicate_bag]].

%% Written and read in pieces, which do not tear: some are large, and some are small.
file(B) ->
    Name = "slice_bif." ++ integer_to_list(erlang:unique_integer([positive])),
    L = [B, binary:copy(B, 20), <<>>, <<"end">>],
    ok = file:write_file(Name, L),
    {ok, F} = file:open(Name, [read, write, raw, binary]),
    Whole = iolist_to_binary(L),
    {ok, Whole} = file:read_file(Name),
    {ok, Whole} = file:pread(F, 0, 2 * byte_size(Whole)),
    ok = file:pwrite(F, byte_size(Whole), [Whole]),
    {ok, Twice} = file:read(F, 3 * byte_size(Whole)),
    ok = file:close(F),
    ok = file:delete(Name),
    Twice.

%% A long queue, off the heap and on it, and its owner's end.
mailbox() ->
    [begin
         {P, Ref} = spawn_opt(fun() -> receive {never, _} -> ok end end,
                              [monitor, {message_queue_data, Where}]),
         [P ! {I, [I], <<I:1000>>} || I <- lists:seq(1, n())],
         erlang:garbage_collect(P),
         ?is({message_queue_len, n()}, process_info(P, message_queue_len)),
         exit(P, kill),
         ?is(killed, receive {'DOWN', Ref, process, P, Why} -> Why end)
     end || Where <- [off_heap, on_heap]].

%% Who looks at a table sees a list of objects inserted whole, or not at all.
table_busy() ->
    [begin
         T = ets:new(t, [Type, public]),
         L = [{I, I} || I <- lists:seq(1, n())],
         {P, Ref} = spawn_monitor(fun() -> ets:insert(T, L) end),
         ?is([], [torn || {true, false} <- seen(T, Ref, [])]),
         ?is(n(), length(ets:tab2list(T))),
         ?is(false, is_process_alive(P)),
         %% Deleted while somebody fills it: one of the two is first.
         ets:delete_all_objects(T),
         {_, Ref2} = spawn_monitor(fun() -> exit(catch ets:insert(T, L)) end),
         erlang:yield(),
         ets:delete(T),
         ?matches(R when R =:= true; element(1, element(2, R)) =:= badarg,
                  receive {'DOWN', Ref2, process, _, Why} -> Why end)
     end || Type <- [set, ordered_set, bag]].

%% Those that fill a table again and again do not keep another out.
turns() ->
    T = ets:new(t, [public]),
    L = [{I, I} || I <- lists:seq(1, 5 * n())],
    Again = fun F() -> ets:insert(T, L), F() end,
    Refs = [element(2, spawn_monitor(fun() -> catch Again() end)) || _ <- lists:seq(1, 4)],
    receive after 20 -> ok end,
    ?is(true, ets:delete(T)),
    [receive {'DOWN', Ref, process, _, Why} -> ?is(normal, Why) end || Ref <- Refs].

seen(T, Ref, Seen) ->
    S = {ets:member(T, 1), ets:member(T, n())},
    receive {'DOWN', Ref, process, _, _} -> [S | Seen]
    after 0 -> seen(T, Ref, [S | Seen]) end.

delete_all() ->
    T = ets:new(t, [public]),
    [begin
         ets:insert(T, [{I, I} || I <- lists:seq(1, n())]),
         ets:safe_fixtable(T, Fixed),
         {_, Ref} = spawn_monitor(fun() -> ets:delete_all_objects(T), ets:insert(T, {a, self()}) end),
         _ = seen(T, Ref, []),
         ets:safe_fixtable(T, false),
         ?is(1, length(ets:tab2list(T)))
     end || Fixed <- [false, true]],
    %% The owner of a table may end while another fills it.
    Owner = spawn(fun() -> receive {From, new} -> From ! ets:new(t, [public]) end,
                           receive stop -> ok end end),
    Owner ! {self(), new},
    T2 = receive Tab -> Tab end,
    {_, Ref2} = spawn_monitor(fun() -> catch ets:insert(T2, [{I, I} || I <- lists:seq(1, n())]) end),
    Ref3 = monitor(process, Owner),
    Owner ! stop,
    ?is(normal, receive {'DOWN', Ref3, process, _, Why} -> Why end),
    receive {'DOWN', Ref2, process, _, _} -> ok end,
    ?is(undefined, ets:info(T2)).

hibernated() ->
    Me = self(),
    P = spawn_link(fun() -> put(kept, pairs()), Me ! ready,
                            erlang:hibernate(erlang, apply, [fun awake/1, [Me]]) end),
    receive ready -> ok end,
    [begin P ! {Me, I}, erlang:yield() end || I <- lists:seq(1, 20)],
    ?is(lists:seq(1, 20), [receive {P, I} -> I end || I <- lists:seq(1, 20)]),
    P ! stop.

awake(Me) ->
    receive {Me, I} -> true = length(get(kept)) =:= n(), Me ! {self(), I}, awake(Me);
            stop -> ok end.

%% Who asks about a busy process that is less urgent gets its answer all the same.
priorities() ->
    [begin
         Me = self(),
         Old = process_flag(priority, High),
         P = spawn_opt(fun() -> L = pairs(), Me ! ready, work(L) end, [link, {priority, Low}]),
         receive ready -> ok end,
         [begin
              ?matches({dictionary, _}, process_info(P, dictionary)),
              ?is(true, erlang:garbage_collect(P)),
              erlang:yield()
          end || _ <- lists:seq(1, 5)],
         unlink(P),
         exit(P, kill),
         process_flag(priority, Old)
     end || {Low, High} <- [{normal, max}, {low, high}, {low, normal}, {high, max}]].

work(L) ->
    B = term_to_binary(L),
    L = binary_to_term(B),
    work(L).

leader() ->
    Me = self(),
    P = spawn_link(fun() -> L = pairs(), Me ! ready, work(L) end),
    receive ready -> ok end,
    erlang:yield(),
    ?is(true, group_leader(Me, P)),
    ?is({group_leader, Me}, process_info(P, group_leader)),
    unlink(P),
    exit(P, kill).

%% A process with much to list is asked by several, more and less urgent than it,
%% while it gets messages, works, or waits; then it is killed in the middle.
looked_at() ->
    [looked_at(Prio, State) || {Prio, State} <- [{low, waits}, {normal, waits}, {max, waits},
                                                 {low, works}, {normal, works}]].

looked_at(Prio, State) ->
    Me = self(),
    Old = process_flag(priority, max),
    N = n(),
    {P, Ref} = spawn_opt(fun() ->
        [put({key, I}, {I, <<I:800>>}) || I <- lists:seq(1, N)],
        receive go -> ok end,
        Me ! ready,
        looked_at(State)
    end, [monitor, {priority, Prio}]),
    [P ! {I, <<I:600>>, [I]} || I <- lists:seq(1, N)],
    P ! go,
    receive ready -> ok end,
    process_flag(priority, Old),
    Messages = [{I, <<I:600>>, [I]} || I <- lists:seq(1, N)],
    Dictionary = [{{key, I}, {I, <<I:800>>}} || I <- lists:seq(1, N)],
    Ask = fun() ->
        [{messages, Ms}, {dictionary, D}, {binary, Bs}, {status, S}] =
            process_info(P, [messages, dictionary, binary, status]),
        {lists:sublist(Ms, N), lists:sort(D), length(Bs), lists:member(S, [waiting, runnable, running])}
    end,
    Asking = [spawn_opt(fun() -> exit({asked, Ask()}) end, [monitor, {priority, AskPrio}])
              || AskPrio <- [low, normal, high, max]],
    [begin P ! late, erlang:yield() end || _ <- lists:seq(1, 20)],
    [receive {'DOWN', AskRef, process, _, Answer} ->
         {asked, {Ms, D, Bs, Known}} = Answer,
         ?is(true, Messages =:= Ms),
         ?is(true, Dictionary =:= D),
         ?is(true, Bs >= N),
         ?is(true, Known)
     end || {_, AskRef} <- Asking],
    {Last, LastRef} = spawn_opt(fun() -> exit({asked, process_info(P, messages)}) end,
                                [monitor, {priority, max}]),
    erlang:yield(),
    exit(P, kill),
    receive {'DOWN', Ref, process, P, Why} -> ?is(killed, Why) end,
    receive
        {'DOWN', LastRef, process, Last, {asked, undefined}} -> ok;
        {'DOWN', LastRef, process, Last, {asked, {messages, Ms}}} ->
            ?is(true, Messages =:= lists:sublist(Ms, N))
    end.

looked_at(waits) -> receive never -> ok end;
looked_at(works) -> looked_at(works).

%% A queue and its length are of one moment, though more comes in the meantime.
counted() ->
    Me = self(),
    [Me ! {counted, I} || I <- lists:seq(1, 10 * n())],
    P = spawn_link(fun() -> [begin Me ! {counted, I}, erlang:yield() end || I <- lists:seq(1, n())] end),
    ?is([], [Wrong || _ <- lists:seq(1, 10),
                      [{_, A}, {_, L}, {_, B}] = Wrong <-
                          [process_info(Me, [message_queue_len, messages, message_queue_len])],
                      [A, B] =/= [length(L), length(L)]]),
    unlink(P),
    exit(P, kill),
    (fun Drop() -> receive {counted, _} -> Drop() after 0 -> ok end end)().

%% A tracer sees where it goes on, by the names OTP gives that; an error is of the
%% function that was called.
names() ->
    Long = fun() -> [[lists:duplicate(400000, $x), oops]] end,
    Bad = fun() -> [<<131, 105, 1000000:32, (binary:copy(<<119, 1, "a">>, 999999))/binary, 255>>] end,
    [begin
         Me = self(),
         {P, Ref} = spawn_monitor(fun() ->
             Args = Make(),
             erlang:yield(),
             erlang:trace(self(), true, [running, {tracer, Me}]),
             exit(try apply(M, F, Args) catch error:badarg:S -> [{M, F, Args, _} | _] = S, bad end)
         end),
         ?is(bad, receive {'DOWN', Ref, process, P, Why} -> Why end),
         Delivered = erlang:trace_delivered(P),
         receive {trace_delivered, P, Delivered} -> ok end,
         ?is({F, true}, {F, gone_on(P, As, 0) > 0})
     end || {M, F, Make, As} <-
         [{erlang, list_to_binary, Long, list_to_binary_continue},
          {erlang, iolist_to_binary, Long, list_to_binary_continue},
          {binary, list_to_bin, Long, list_to_binary_continue},
          {erlang, list_to_bitstring, Long, list_to_binary_continue},
          {erlang, binary_to_term, Bad, binary_to_term_trap}]].

gone_on(P, As, N) ->
    receive
        {trace, P, out, {erts_internal, As, 1}} ->
            receive {trace, P, in, {erts_internal, As, 1}} -> gone_on(P, As, N + 1)
            after 60000 -> none end
    after 0 -> N
    end.
